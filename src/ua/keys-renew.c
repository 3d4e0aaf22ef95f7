/* SPDX-License-Identifier: Apache-2.0 */
/* ua/keys-renew.c - other keys in a call: by a fresh ticket, or by an update of the bundle */
#include "ua/keys-private.h"

#include "base/identity.h"
#include "base/secret.h"

#include <string.h>

#define NEW_KEY_LEN 32u
#define SPI_LEN 4u

void
clv_ua_keys_drop_next(ClvUaKeys *keys)
{
    g_clear_pointer(&keys->next_update, mikey_update_free);
    g_clear_pointer(&keys->next_transfer, mikey_transfer_free);
    g_clear_pointer(&keys->next_grant, mikey_grant_free);
    g_clear_pointer(&keys->next_line, clv_secret_free_string);
}

/* Is there somebody who has proven who he is? */
static gboolean
check_begun(const ClvUaKeys *keys, GError **error)
{
    if (keys->options->keymgmt != CLV_UA_MIKEY || keys->bundle == NULL || keys->peer == NULL)
        return clv_ua_keys_refuse(error, "there are no keys by MIKEY that could be renewed");
    return TRUE;
}

gboolean
clv_ua_keys_renew(ClvUaKeys *keys, const char *const *uris, const char *purpose, gboolean has_media,
                  guint32 ssrc, GError **error)
{
    g_autoptr(GPtrArray) names = g_ptr_array_new_with_free_func(g_free);
    g_autoptr(GPtrArray) purposes =
        purpose != NULL ? clv_ua_keys_purposes(keys->options, purpose, NULL) : NULL;

    if (!check_begun(keys, error))
        return FALSE;
    clv_ua_keys_drop_next(keys);
    clv_ua_keys_add_name(names, keys->peer);
    for (; uris != NULL && *uris != NULL; uris++)
        clv_ua_keys_add_name(names, *uris);
    g_ptr_array_add(names, NULL);
    keys->next_grant = clv_ua_keys_request(keys, names, purposes, error);
    if (keys->next_grant == NULL)
        return FALSE;
    if (clv_ua_keys_build(keys, keys->next_grant, keys->peer, has_media, ssrc, &keys->next_transfer,
                          &keys->next_csb_id, error))
        keys->next_line = clv_ua_keys_value(mikey_transfer_octets(keys->next_transfer), error);
    if (keys->next_line == NULL)
        clv_ua_keys_drop_next(keys);
    return keys->next_line != NULL;
}

static gboolean
fresh_key(MikeyKeyData *key, GError **error)
{
    *key = (MikeyKeyData){
        .type = MIKEY_KEY_TGK, .key = {.len = NEW_KEY_LEN}, .kv = MIKEY_KV_SPI, .spi_len = SPI_LEN};
    return clv_random(NULL, key->key.bytes, key->key.len) &&
                   clv_random(NULL, key->spi, key->spi_len)
               ? TRUE
               : clv_ua_keys_refuse(error, "no random numbers");
}

gboolean
clv_ua_keys_update(ClvUaKeys *keys, gboolean has_media, guint32 ssrc, GError **error)
{
    MikeySrtpProfile profiles[CLV_UA_MAX_SUITES];
    MikeyLine line = {.keyed = true, .ssrc = ssrc};
    MikeyKeyData key = {0};
    MikeyUpdateSetup setup = {
        .lines = &line,
        .n_lines = has_media ? 1 : 0,
        .profiles = profiles,
        .n_profiles = has_media ? clv_ua_keys_profiles(keys->options, profiles) : 0,
        .sdp_ids = mikey_bytes_str("mikey"),
        .want_answer = true,
    };
    MikeyEnv env = clv_ua_keys_env_at(g_get_real_time());
    MikeyStatus status;

    if (!check_begun(keys, error))
        return FALSE;
    clv_ua_keys_drop_next(keys);
    if (keys->options->supply_keys) {
        if (!fresh_key(&key, error))
            return FALSE;
        setup.keys = &key;
        setup.n_keys = 1;
    }
    status = mikey_update_new(keys->bundle, &setup, &env, &keys->next_update);
    mikey_key_clear(&key.key);
    if (status != MIKEY_OK)
        return clv_ua_keys_fail(error, "the update", status);
    keys->next_line = clv_ua_keys_value(mikey_update_octets(keys->next_update), error);
    return keys->next_line != NULL;
}

/* What was offered is in force from now on. */
static void
commit(ClvUaKeys *keys)
{
    g_ptr_array_set_size(keys->lines, 0);
    g_ptr_array_add(keys->lines, g_steal_pointer(&keys->next_line));
    if (keys->next_transfer != NULL) {
        mikey_transfer_free(keys->transfer);
        mikey_grant_free(keys->grant);
        keys->transfer = g_steal_pointer(&keys->next_transfer);
        keys->grant = g_steal_pointer(&keys->next_grant);
        keys->info.csb_id = keys->next_csb_id;
        keys->answered = FALSE;
    }
    clv_ua_keys_drop_next(keys);
}

gboolean
clv_ua_keys_finish_next(ClvUaKeys *keys, MikeyBytes octets, GError **error)
{
    MikeyEnv env = clv_ua_keys_env_at(g_get_real_time());
    MikeyPeerError refusal = {0};
    MikeyBundle *bundle = NULL;
    MikeyStatus status;

    if (keys->next_update != NULL)
        status = mikey_update_finish(keys->next_update, keys->bundle, octets, &env, &refusal);
    else
        status = mikey_transfer_finish(keys->next_transfer, octets, &env, &bundle, &refusal);
    if (status == MIKEY_PEER_ERROR)
        keys->info.refusal = refusal.number;
    if (status != MIKEY_OK)
        return clv_ua_keys_fail(error, "the answer to the new keys", status);
    if (bundle != NULL) {
        mikey_bundle_free(keys->bundle);
        keys->bundle = bundle;
    }
    commit(keys);
    return TRUE;
}

gboolean
clv_ua_keys_take_update(ClvUaKeys *keys, MikeyBytes octets, guint media_index, guint32 ssrc,
                        char **out_value, GError **error)
{
    MikeySrtpProfile profiles[CLV_UA_MAX_SUITES];
    MikeyLine lines[CLV_SDP_MAX_MEDIA] = {0};
    MikeyAnswerSetup setup = {
        .lines = lines,
        .n_lines = media_index + 1,
        .profiles = profiles,
        .n_profiles = clv_ua_keys_profiles(keys->options, profiles),
    };
    MikeyEnv env = clv_ua_keys_env_at(g_get_real_time());
    MikeyBuffer answer = MIKEY_BUFFER_INIT;
    MikeyUpdate *update = NULL;
    MikeyStatus status;

    if (keys->bundle == NULL)
        return clv_ua_keys_refuse(error, "an update of nothing");
    lines[media_index] = (MikeyLine){.keyed = true, .ssrc = ssrc};
    status = mikey_update_open(keys->bundle, octets, &env, &update);
    if (status == MIKEY_OK)
        status = mikey_update_answer(update, keys->bundle, &setup, &env, &answer);
    mikey_update_free(update);
    if (status != MIKEY_OK)
        return clv_ua_keys_fail(error, "the update", status);
    *out_value = clv_ua_keys_value(mikey_bytes(answer.data, answer.len), error);
    mikey_buffer_clear(&answer);
    return *out_value != NULL;
}
