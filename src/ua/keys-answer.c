/* SPDX-License-Identifier: Apache-2.0 */
/* ua/keys-answer.c - keys of a call that somebody else begins: who is it, and what do we answer? */
#include "ua/keys-private.h"

#include "base/identity.h"
#include "base/secret.h"
#include "ua/suite.h"

#include <string.h>

/* ---- answering --------------------------------------------------------------------------- */

static gboolean
answer_sdes(ClvUaKeys *keys, const ClvSdpMedia *offered, ClvSdpMedia *media, ClvSrtpKeys *tx,
            ClvSrtpKeys *rx, GError **error)
{
    const GArray *suites = keys->options->suites;

    for (guint i = 0; i < offered->n_crypto; i++) {
        guint tag = 0;

        if (!clv_ua_crypto_parse(offered->crypto[i], &tag, rx, NULL))
            continue;
        for (guint k = 0; k < suites->len; k++) {
            if (g_array_index(suites, ClvSrtpSuite, k) != rx->suite)
                continue;
            /* an offer made again gets the key it got before */
            if (keys->own[0].suite != rx->suite &&
                !clv_ua_suite_fresh(rx->suite, &keys->own[0], error))
                return FALSE;
            *tx = keys->own[0];
            media->crypto[media->n_crypto++] = clv_ua_crypto_format(tag, tx);
            keys->info.scheme = "sdes";
            clv_ua_keys_agree(keys, rx, offered->crypto[i]);
            return TRUE;
        }
        clv_srtp_keys_clear(rx);
    }
    return clv_ua_keys_refuse(error, "no a=crypto with one of our suites");
}

static char *
bytes_to_text(MikeyBytes bytes)
{
    return clv_identity_canonical((const char *)bytes.data, (gssize)bytes.len);
}

gboolean
clv_ua_keys_verify(ClvUaKeys *keys, MikeyOffer *offer, GError **error)
{
    MikeyPeerError refusal = {.number = 255};
    MikeyResolution *resolution =
        clv_terminal_resolve(keys->terminal, offer, g_get_real_time(), &refusal, error);
    MikeyStatus status;

    if (resolution == NULL) {
        keys->info.refusal = refusal.number != 255 ? refusal.number : -1;
        return FALSE;
    }
    status = mikey_offer_verify(offer, resolution);
    mikey_resolution_free(resolution);
    return status == MIKEY_OK ||
           clv_ua_keys_fail(error, "the caller is not who the ticket says", status);
}

static gboolean
answer_offer(ClvUaKeys *keys, MikeyOffer *offer, guint media_index, guint32 ssrc, char **out_value,
             GError **error)
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
    MikeyBuffer octets = MIKEY_BUFFER_INIT, value = MIKEY_BUFFER_INIT;
    MikeyBundle *bundle = NULL;
    MikeyStatus status;

    lines[media_index] = (MikeyLine){.keyed = true, .ssrc = ssrc};
    status = mikey_offer_answer(offer, &setup, &env, &octets, &bundle);
    if (status == MIKEY_OK)
        status = mikey_sdp_encode(mikey_bytes(octets.data, octets.len), &value);
    mikey_buffer_clear(&octets);
    if (status != MIKEY_OK) {
        mikey_bundle_free(bundle);
        return clv_ua_keys_fail(error, "the answer", status);
    }
    mikey_bundle_free(keys->bundle);
    keys->bundle = bundle;
    *out_value = g_strndup((char *)value.data, value.len);
    mikey_buffer_clear(&value);
    return TRUE;
}

static gboolean
open_offer(ClvUaKeys *keys, MikeyBytes octets, guint media_index, guint32 ssrc, char **out_value,
           GError **error)
{
    MikeyBytes ids[] = {mikey_bytes_str("mikey")};
    MikeyEnv env = clv_ua_keys_env_at(g_get_real_time());
    MikeyOffer *offer = NULL;
    MikeyStatus status = mikey_offer_open(octets, &env, &offer);
    gboolean good;

    if (status == MIKEY_OK)
        status = mikey_sdp_ids_check(mikey_offer_message(offer), ids, 1);
    good = status == MIKEY_OK ? clv_ua_keys_verify(keys, offer, error) &&
                                    answer_offer(keys, offer, media_index, ssrc, out_value, error)
                              : clv_ua_keys_fail(error, "the offer", status);
    if (good) {
        keys->answered = TRUE;
        keys->info.has_csb_id = TRUE;
        keys->info.csb_id = mikey_offer_csb_id(offer);
        g_free(keys->peer);
        keys->peer = bytes_to_text(mikey_offer_initiator(offer).data);
    }
    mikey_offer_free(offer);
    return good;
}

/* A call, or an update in one. */
static gboolean
open_line(ClvUaKeys *keys, const char *line, guint media_index, guint32 ssrc, char **out_value,
          GError **error)
{
    MikeyBuffer octets = MIKEY_BUFFER_INIT;
    MikeyStatus status = mikey_sdp_decode(mikey_bytes_str(line), &octets);
    MikeyBytes bytes = mikey_bytes(octets.data, octets.len);
    uint32_t csb_id = 0;
    gboolean good;

    if (status != MIKEY_OK)
        good = clv_ua_keys_fail(error, "the offer", status);
    else if (mikey_update_peek(bytes, &csb_id) == MIKEY_OK)
        good = clv_ua_keys_take_update(keys, bytes, media_index, ssrc, out_value, error);
    else
        good = open_offer(keys, bytes, media_index, ssrc, out_value, error);
    mikey_buffer_clear(&octets);
    return good;
}

static gboolean
answer_mikey(ClvUaKeys *keys, const ClvSdp *offer, guint media_index, guint32 ssrc, ClvSdp *answer,
             ClvSrtpKeys *tx, ClvSrtpKeys *rx, GError **error)
{
    const char *line = clv_ua_keys_line(offer, media_index, TRUE);
    gboolean at_media = offer->media[media_index].n_keymgmt > 0;
    char *value = NULL;

    if (line == NULL && keys->bundle != NULL)
        return clv_ua_keys_sessions(keys, media_index, tx, rx, error);
    if (line == NULL)
        return clv_ua_keys_refuse(error, "the offer has no a=key-mgmt");
    if (keys->terminal == NULL)
        return clv_ua_keys_refuse(error, "answering a ticket needs --kms and its companions");
    if (keys->agreed == NULL || strcmp(keys->agreed, line) != 0) {
        if (!open_line(keys, line, media_index, ssrc, &value, error))
            return FALSE;
        g_ptr_array_set_size(keys->lines, 0);
        g_ptr_array_add(keys->lines, value);
    }
    value = g_strdup(g_ptr_array_index(keys->lines, 0));
    if (keys->options->no_transfer_resp) {
        g_free(value);
        value = NULL;
    } else if (at_media)
        answer->media[media_index].keymgmt[answer->media[media_index].n_keymgmt++] = value;
    else
        answer->keymgmt[answer->n_keymgmt++] = value;
    keys->info.scheme = "mikey-ticket";
    if (!clv_ua_keys_sessions(keys, media_index, tx, rx, error))
        return FALSE;
    clv_ua_keys_agree(keys, rx, line);
    return TRUE;
}

gboolean
clv_ua_keys_answer(ClvUaKeys *keys, const ClvSdp *offer, guint media_index, guint32 ssrc,
                   ClvSdp *answer, ClvSrtpKeys *out_tx, ClvSrtpKeys *out_rx, GError **error)
{
    const ClvSdpMedia *offered = &offer->media[media_index];
    ClvSrtpKeys tx = {0}, rx = {0};
    gboolean secured = g_str_has_prefix(offered->proto, "RTP/SAVP");
    gboolean good;

    if (keys->options->answer_plain) {
        g_strlcpy(answer->media[media_index].proto, "RTP/AVP",
                  sizeof answer->media[media_index].proto);
        *out_tx = tx;
        *out_rx = rx;
        return TRUE;
    }
    if (secured == (keys->options->keymgmt == CLV_UA_CLEAR))
        return clv_ua_keys_refuse(error, secured ? "the offer is secured, we are not"
                                                 : "the offer is in clear");
    switch (keys->options->keymgmt) {
    case CLV_UA_MIKEY:
        good = answer_mikey(keys, offer, media_index, ssrc, answer, &tx, &rx, error);
        break;
    case CLV_UA_SDES:
        good = answer_sdes(keys, offered, &answer->media[media_index], &tx, &rx, error);
        break;
    default:
        good = TRUE;
        break;
    }
    if (good) {
        *out_tx = tx;
        *out_rx = rx;
    }
    clv_srtp_keys_clear(&tx);
    clv_srtp_keys_clear(&rx);
    return good;
}
