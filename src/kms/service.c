/* SPDX-License-Identifier: Apache-2.0 */
/* kms/service.c - the service as a whole: its birth and death, another key file, what is kept */
#include "config.h"

#include "kms/handling.h"

#include <openssl/crypto.h>
#include <string.h>

/* ---- the key file in force ---- */

ClvKmsKeyFile *
clv_kms_ref_keys(ClvKmsService *service)
{
    ClvKmsKeyFile *keys;

    pthread_mutex_lock(&service->lock);
    keys = clv_kms_keyfile_ref(service->keys);
    pthread_mutex_unlock(&service->lock);
    return keys;
}

gboolean
clv_kms_service_admit(ClvKmsService *service, gint64 now_us)
{
    g_autoptr(ClvKmsKeyFile) keys = clv_kms_ref_keys(service);

    return clv_kms_rates_take(service->rate, "", keys->rate, now_us);
}

char *
clv_kms_service_audit_file(ClvKmsService *service)
{
    g_autoptr(ClvKmsKeyFile) keys = clv_kms_ref_keys(service);

    return g_strdup(keys->audit_file);
}

ClvKmsHttpAuth
clv_kms_service_http_auth(ClvKmsService *service)
{
    g_autoptr(ClvKmsKeyFile) keys = clv_kms_ref_keys(service);

    return keys->http_auth;
}

/* That of the KMS's own name, unless the file says otherwise. */
char *
clv_kms_service_http_host(ClvKmsService *service)
{
    g_autoptr(ClvKmsKeyFile) keys = clv_kms_ref_keys(service);
    const char *at = strchr(keys->canonical_uri, '@');

    if (keys->http_host != NULL)
        return g_strdup(keys->http_host);
    return g_strdup(at != NULL ? at + 1 : strchr(keys->canonical_uri, ':') + 1);
}

char *
clv_kms_service_client_ca(ClvKmsService *service)
{
    g_autoptr(ClvKmsKeyFile) keys = clv_kms_ref_keys(service);

    return g_strdup(keys->client_ca);
}

char *
clv_kms_service_digest_password(ClvKmsService *service, const char *user)
{
    g_autoptr(ClvKmsKeyFile) keys = clv_kms_ref_keys(service);
    const ClvKmsUser *found = clv_kms_keyfile_user(keys, user, strlen(user));
    gsize len = 0;
    const guint8 *bytes;

    if (found == NULL || found->revoked)
        return NULL;
    bytes = clv_secret_bytes(found->psk, &len);
    return g_base64_encode(bytes, len);
}

char *
clv_kms_service_certificate_user(ClvKmsService *service, const char *name)
{
    g_autoptr(ClvKmsKeyFile) keys = clv_kms_ref_keys(service);
    const ClvKmsUser *found = g_hash_table_lookup(keys->users_by_certificate, name);

    return found != NULL && !found->revoked ? g_strdup(found->name) : NULL;
}

void
clv_kms_service_keep_relays(ClvKmsService *service, ClvKmsRelays *relays)
{
    g_autoptr(ClvKmsKeyFile) keys = clv_kms_ref_keys(service);

    clv_kms_relays_keep(relays, keys->peers);
}

/* ---- ticket protection keys ---- */

/* Puts the keys of the file first, in its order; those that were in force stay behind them. */
static void
take_tpk_files(ClvKmsTpks *tpks, const GPtrArray *secrets)
{
    for (guint i = secrets->len; i > 0; i--) {
        gsize len = 0;

        clv_kms_tpks_put_first(tpks, clv_secret_bytes(secrets->pdata[i - 1], &len), 0);
    }
}

/* @wanted: its name, or empty for the newest. Copies the key: clear it. */
gboolean
clv_kms_copy_tpk(ClvKmsService *service, gboolean newest, MikeyBytes wanted, MikeyKey *out_key,
                 char out_name[CLV_KMS_TPK_NAME_LEN + 1])
{
    const ClvKmsTpk *tpk;
    const guint8 *bytes;
    gsize len = 0;
    gboolean found = FALSE;

    pthread_mutex_lock(&service->lock);
    tpk = newest ? clv_kms_tpks_at(service->tpks, 0)
                 : clv_kms_tpks_find(service->tpks, wanted.data, wanted.len);
    if (tpk != NULL) {
        bytes = clv_secret_bytes(tpk->secret, &len);
        found = mikey_key_set(out_key, bytes, len) == MIKEY_OK;
        memcpy(out_name, tpk->name, CLV_KMS_TPK_NAME_LEN + 1);
    }
    pthread_mutex_unlock(&service->lock);
    return found;
}

/* ---- birth, reload, death ---- */

static gboolean
new_tpk(ClvKmsService *service, ClvKmsTpks *tpks, gint64 now_s)
{
    guint8 bytes[CLV_KMS_TPK_LEN];
    gboolean good = service->random(service->random_user, bytes, sizeof bytes);

    if (good)
        clv_kms_tpks_rotate(tpks, bytes, now_s);
    OPENSSL_cleanse(bytes, sizeof bytes);
    return good;
}

ClvKmsService *
clv_kms_service_new(ClvKmsKeyFile *keys, ClvRandom random, void *random_user)
{
    ClvKmsService *service;

    g_return_val_if_fail(keys != NULL, NULL);
    service = g_new0(ClvKmsService, 1);
    pthread_mutex_init(&service->lock, NULL);
    pthread_mutex_init(&service->change, NULL);
    service->random = random != NULL ? random : clv_random;
    service->random_user = random_user;
    service->keys = keys;
    service->memory = clv_kms_memory_new((gsize)keys->replay_entries);
    service->roster = clv_kms_roster_new();
    service->rates = clv_kms_rates_new();
    service->rate = clv_kms_rates_new();
    service->tpks = clv_kms_tpks_new();
    take_tpk_files(service->tpks, keys->tpks);
    if (clv_kms_tpks_n(service->tpks) == 0 && !new_tpk(service, service->tpks, 0))
        g_clear_pointer(&service, clv_kms_service_free);
    return service;
}

void
clv_kms_service_free(ClvKmsService *service)
{
    if (service == NULL)
        return;
    clv_kms_keeper_close(service->keeper);
    clv_kms_keyfile_free(service->keys);
    clv_kms_memory_free(service->memory);
    clv_kms_tpks_free(service->tpks);
    clv_kms_roster_free(service->roster);
    clv_kms_rates_free(service->rates);
    clv_kms_rates_free(service->rate);
    pthread_mutex_destroy(&service->lock);
    pthread_mutex_destroy(&service->change);
    g_free(service);
}

void
clv_kms_service_reload(ClvKmsService *service, ClvKmsKeyFile *keys)
{
    ClvKmsKeyFile *old;

    g_return_if_fail(service != NULL && keys != NULL);
    clv_kms_memory_set_max(service->memory, (gsize)keys->replay_entries);
    clv_kms_rates_clear(service->rates); /* of users who are gone, too */
    clv_kms_rates_clear(service->rate);
    pthread_mutex_lock(&service->change);
    pthread_mutex_lock(&service->lock);
    old = service->keys;
    service->keys = keys;
    take_tpk_files(service->tpks, keys->tpks);
    pthread_mutex_unlock(&service->lock);
    pthread_mutex_unlock(&service->change);
    clv_kms_keyfile_free(old);
}

/* ---- what is kept over a restart ---- */

/* With the change lock held. Saved first, and in force only then. Takes @tpks. */
static gboolean
replace_tpks(ClvKmsService *service, ClvKmsTpks *tpks, GError **error)
{
    g_autoptr(ClvKmsTpks) old = tpks;

    if (service->keeper != NULL && !clv_kms_keeper_save_tpks(service->keeper, tpks, error))
        return FALSE;
    pthread_mutex_lock(&service->lock);
    old = service->tpks;
    service->tpks = tpks;
    pthread_mutex_unlock(&service->lock);
    return TRUE;
}

static gboolean
is_due(const ClvKmsTpks *tpks, gint64 rotate_s, gint64 now_s)
{
    return rotate_s > 0 && clv_kms_tpks_at(tpks, 0)->made_s + rotate_s <= now_s;
}

/* With the change lock held. */
static gboolean
tend_tpks(ClvKmsService *service, const ClvKmsKeyFile *keys, gint64 now_s, GError **error)
{
    g_autoptr(ClvKmsTpks) tpks = clv_kms_tpks_copy(service->tpks); /* nobody else changes it */
    gboolean changed = clv_kms_tpks_note_longest(tpks, clv_kms_keyfile_longest_s(keys));

    if (is_due(tpks, keys->tpk_rotate_s, now_s)) {
        if (!new_tpk(service, tpks, now_s)) {
            g_set_error(error, CLV_KMS_ERROR, CLV_CODE_INTERNAL,
                        "no random octets for a ticket protection key");
            return FALSE;
        }
        changed = TRUE;
    }
    changed = clv_kms_tpks_forget(tpks, now_s) || changed;
    return !changed || replace_tpks(service, g_steal_pointer(&tpks), error);
}

gboolean
clv_kms_service_tend(ClvKmsService *service, gint64 now_us, GError **error)
{
    g_autoptr(ClvKmsKeyFile) keys = clv_kms_ref_keys(service);
    gboolean good;

    pthread_mutex_lock(&service->change);
    good = tend_tpks(service, keys, now_us / G_USEC_PER_SEC, error);
    pthread_mutex_unlock(&service->change);
    if (good && service->keeper != NULL)
        good = clv_kms_keeper_tend(service->keeper, now_us, error);
    return good;
}

typedef struct Recall {
    ClvKmsMemory *memory;
    gint64 now_us;
} Recall;

static void
recall(const guint8 *digest, gint64 expires_us, void *user)
{
    const Recall *into = user;

    clv_kms_memory_recall(into->memory, digest, into->now_us, expires_us);
}

/* Keys of the folder, behind those of files; where there are none, the one of this start. */
static gboolean
take_kept_tpks(ClvKmsService *service, ClvKmsKeeper *keeper, gint64 now_s, GError **error)
{
    g_autoptr(ClvKmsTpks) tpks = clv_kms_tpks_copy(clv_kms_keeper_tpks(keeper));

    take_tpk_files(tpks, service->keys->tpks);
    if (clv_kms_tpks_n(tpks) == 0 && !new_tpk(service, tpks, now_s)) {
        g_set_error(error, CLV_KMS_ERROR, CLV_CODE_INTERNAL,
                    "no random octets for a ticket protection key");
        return FALSE;
    }
    clv_kms_tpks_note_longest(tpks, clv_kms_keyfile_longest_s(service->keys));
    return replace_tpks(service, g_steal_pointer(&tpks), error);
}

gboolean
clv_kms_service_open_state(ClvKmsService *service, gint64 now_us, GError **error)
{
    Recall into = {service->memory, now_us};

    g_return_val_if_fail(service->keeper == NULL, FALSE);
    if (service->keys->state_dir == NULL)
        return TRUE;
    service->keeper =
        clv_kms_keeper_open(service->keys->state_dir, service->keys->skew_s, now_us, error);
    return service->keeper != NULL &&
           clv_kms_keeper_recall(service->keeper, now_us, recall, &into, error) &&
           clv_kms_roster_open(service->roster, service->keys->state_dir, now_us, error) &&
           take_kept_tpks(service, service->keeper, now_us / G_USEC_PER_SEC, error);
}

void
clv_kms_service_state(ClvKmsService *service, ClvKmsServiceState *out)
{
    pthread_mutex_lock(&service->lock);
    *out = service->state;
    out->users = service->keys->users->len;
    out->services = service->keys->systems->len;
    out->tpks = clv_kms_tpks_n(service->tpks);
    out->tpk_made_s = clv_kms_tpks_at(service->tpks, 0)->made_s;
    pthread_mutex_unlock(&service->lock);
    out->conferences = clv_kms_roster_size(service->roster);
    out->replay_entries = clv_kms_memory_size(service->memory);
}
