/* SPDX-License-Identifier: Apache-2.0 */
/* ua/keys.c - tickets, offers, answers, and how to spoil them
 *
 *   prepare:  KMS --> MikeyGrant          (or from a file, or taken apart for --forge)
 *   offer:    MikeyGrant --> TRANSFER_INIT in the SDP
 *   finish:   TRANSFER_RESP --> MikeyBundle --> who it is, and SRTP keys
 */
#include "ua/keys-private.h"

#include "base/identity.h"
#include "base/secret.h"
#include "ua/suite.h"
#include "ua/ticket-file.h"

#include <openssl/crypto.h>
#include <string.h>

#define FORGED_AGE_US (G_GINT64_CONSTANT(7200) * G_USEC_PER_SEC)

G_DEFINE_QUARK(clv_ua_keys_error, clv_ua_keys_error)

gboolean
clv_ua_keys_fail(GError **error, const char *what, MikeyStatus status)
{
    g_set_error(error, CLV_UA_KEYS_ERROR, (int)status, "%s: %s", what, mikey_status_string(status));
    return FALSE;
}

gboolean
clv_ua_keys_refuse(GError **error, const char *why)
{
    g_set_error(error, CLV_UA_KEYS_ERROR, 0, "%s", why);
    return FALSE;
}

MikeyEnv
clv_ua_keys_env_at(gint64 now_us)
{
    return (MikeyEnv){.now = mikey_ntp_from_unix_us(now_us), .random = mikey_random_openssl};
}

/* ---- suites ------------------------------------------------------------------------------ */

static const MikeySrtpProfile profile_of[CLV_N_SRTP_SUITES] = {
    [CLV_SRTP_NONE] = MIKEY_SRTP_NONE,
    [CLV_SRTP_AES_CM_128_HMAC_SHA1_80] = MIKEY_SRTP_AES_CM_128_HMAC_SHA1_80,
    [CLV_SRTP_AES_CM_128_HMAC_SHA1_32] = MIKEY_SRTP_AES_CM_128_HMAC_SHA1_32,
    [CLV_SRTP_AES_256_CM_HMAC_SHA1_80] = MIKEY_SRTP_AES_256_CM_HMAC_SHA1_80,
    [CLV_SRTP_AES_256_CM_HMAC_SHA1_32] = MIKEY_SRTP_AES_256_CM_HMAC_SHA1_32,
    [CLV_SRTP_AEAD_AES_128_GCM] = MIKEY_SRTP_AEAD_AES_128_GCM,
    [CLV_SRTP_AEAD_AES_256_GCM] = MIKEY_SRTP_AEAD_AES_256_GCM,
};

static ClvSrtpSuite
suite_of(MikeySrtpProfile profile)
{
    for (guint i = 0; i < CLV_N_SRTP_SUITES; i++)
        if (profile_of[i] == profile)
            return (ClvSrtpSuite)i;
    return CLV_SRTP_NONE;
}

guint
clv_ua_keys_profiles(const ClvUaOptions *options, MikeySrtpProfile out[CLV_UA_MAX_SUITES])
{
    guint n = MIN(options->suites->len, CLV_UA_MAX_SUITES);

    for (guint i = 0; i < n; i++)
        out[i] = profile_of[g_array_index(options->suites, ClvSrtpSuite, i)];
    return n;
}

/* ---- birth and death --------------------------------------------------------------------- */

/* Of the file, or the key as GBA would make it one. Returns: (transfer full) (nullable) */
static char *
kms_password(const ClvUaOptions *o, const ClvTerminalConfig *config, GError **error)
{
    char *text = NULL;

    if (o->kms_password_file == NULL)
        return g_base64_encode(config->psk, config->psk_len);
    if (!g_file_get_contents(o->kms_password_file, &text, NULL, error))
        return NULL;
    text[strcspn(text, "\r\n")] = '\0';
    return text;
}

static gboolean
open_terminal(ClvUaKeys *keys, GError **error)
{
    const ClvUaOptions *o = keys->options;
    ClvSecret *psk;
    char *password = NULL;
    ClvTerminalConfig config = {
        .http = {.url = o->kms,
                 .ca_file = o->kms_ca,
                 .cert_file = o->kms_cert,
                 .digest_user = o->kms_user,
                 .allow_insecure = o->kms_insecure},
        .kms_uri = o->kms_uri,
        .identity = o->identity,
        .user = o->psk_id,
    };

    if (o->kms == NULL)
        return TRUE;
    psk = clv_secret_read_file(o->psk_file, error);
    if (psk == NULL)
        return FALSE;
    config.psk = clv_secret_bytes(psk, &config.psk_len);
    if (o->kms_user == NULL || (password = kms_password(o, &config, error)) != NULL) {
        config.http.digest_password = password;
        keys->terminal = clv_terminal_new(&config, error);
    }
    clv_secret_free_string(password);
    clv_secret_free(psk);
    return keys->terminal != NULL;
}

ClvUaKeys *
clv_ua_keys_new(const ClvUaOptions *options, GError **error)
{
    ClvUaKeys *keys = g_new0(ClvUaKeys, 1);

    keys->options = options;
    keys->lines = g_ptr_array_new_with_free_func((GDestroyNotify)clv_secret_free_string);
    keys->info.scheme = "none";
    keys->info.refusal = -1;
    if (!open_terminal(keys, error)) {
        clv_ua_keys_free(keys);
        return NULL;
    }
    return keys;
}

void
clv_ua_keys_free(ClvUaKeys *keys)
{
    if (keys == NULL)
        return;
    clv_terminal_free(keys->terminal);
    clv_ua_keys_drop_next(keys);
    mikey_bundle_free(keys->bundle);
    mikey_transfer_free(keys->transfer);
    mikey_grant_free(keys->grant);
    for (guint i = 0; i < CLV_UA_MAX_SUITES; i++)
        clv_srtp_keys_clear(&keys->own[i]);
    g_ptr_array_unref(keys->lines);
    clv_secret_free_string(keys->agreed);
    g_free(keys->responder);
    g_free(keys->peer);
    g_free(keys);
}

ClvUaKeysInfo
clv_ua_keys_info(const ClvUaKeys *keys)
{
    ClvUaKeysInfo info = keys->info;

    info.peer = keys->peer;
    return info;
}

/* ---- tickets ----------------------------------------------------------------------------- */

void
clv_ua_keys_add_name(GPtrArray *names, const char *uri)
{
    char *canonical = clv_identity_canonical(uri, -1);
    char *name = canonical != NULL ? canonical : g_strdup(uri);

    if (g_ptr_array_find_with_equal_func(names, name, g_str_equal, NULL))
        g_free(name);
    else
        g_ptr_array_add(names, name);
}

static void
add_purpose(GPtrArray *purposes, const char *text)
{
    g_ptr_array_add(purposes, strchr(text, ':') != NULL ? g_strdup(text)
                                                        : g_strconcat("conclave:", text, NULL));
}

static GPtrArray *
wanted_names(const ClvUaKeys *keys, const char *uri)
{
    const ClvUaOptions *o = keys->options;
    const GPtrArray *dialled[] = {o->dial, o->dial_cc, o->dial_bcc};
    GPtrArray *names = g_ptr_array_new_with_free_func(g_free);

    if (uri != NULL)
        clv_ua_keys_add_name(names, uri);
    for (guint i = 0; i < o->invite->len; i++)
        clv_ua_keys_add_name(names, g_ptr_array_index(o->invite, i));
    for (guint i = 0; i < o->ticket_for->len; i++)
        clv_ua_keys_add_name(names, g_ptr_array_index(o->ticket_for, i));
    for (guint list = 0; list < G_N_ELEMENTS(dialled) && !o->dial_unnamed; list++)
        for (guint i = 0; i < dialled[list]->len; i++)
            clv_ua_keys_add_name(names, g_ptr_array_index(dialled[list], i));
    g_ptr_array_add(names, NULL);
    return names;
}

/* What --purpose says, or what is usual. Returns: (nullable): NULL when the ticket is for
 * everything
 */
GPtrArray *
clv_ua_keys_purposes(const ClvUaOptions *o, const char *usual, const char *second)
{
    GPtrArray *purposes = g_ptr_array_new_with_free_func(g_free);

    for (guint i = 0; i < o->purposes->len; i++)
        add_purpose(purposes, g_ptr_array_index(o->purposes, i));
    if (o->purposes->len == 0 && usual != NULL)
        add_purpose(purposes, usual);
    if (o->purposes->len == 0 && second != NULL)
        add_purpose(purposes, second);
    if (purposes->len == 0) {
        g_ptr_array_unref(purposes);
        return NULL;
    }
    g_ptr_array_add(purposes, NULL);
    return purposes;
}

MikeyGrant *
clv_ua_keys_request(ClvUaKeys *keys, GPtrArray *names, GPtrArray *purposes, GError **error)
{
    ClvTicketWish wish = {
        .responders = (const char *const *)names->pdata,
        .purposes = purposes != NULL ? (const char *const *)purposes->pdata : NULL,
        .lifetime_s = keys->options->valid_for_s,
        .reusable = keys->options->reusable,
        .more_flags = keys->options->supply_keys ? MIKEY_FLAG_L : 0,
    };
    MikeyPeerError refusal = {.number = 255};
    MikeyGrant *grant;

    if (keys->terminal == NULL) {
        clv_ua_keys_refuse(error, "a ticket needs --kms and its companions");
        return NULL;
    }
    grant = clv_terminal_request(keys->terminal, &wish, g_get_real_time(), &refusal, error);
    if (grant == NULL && refusal.number != 255)
        keys->info.refusal = refusal.number;
    return grant;
}

static gboolean
request_ticket(ClvUaKeys *keys, const char *uri, GError **error)
{
    ClvUaVerb verb = keys->options->verb;
    gboolean joins = verb == CLV_UA_CREATE || verb == CLV_UA_JOIN || verb == CLV_UA_ANSWER;
    g_autoptr(GPtrArray) names = wanted_names(keys, uri);
    g_autoptr(GPtrArray) purposes = clv_ua_keys_purposes(keys->options, joins ? "join" : NULL,
                                                         verb == CLV_UA_CREATE ? "create" : NULL);

    keys->grant = clv_ua_keys_request(keys, names, purposes, error);
    return keys->grant != NULL;
}

/* A thief has the ticket's octets and nothing else. */
static gboolean
forget_ticket_keys(ClvUaKeys *keys, GError **error)
{
    size_t len = mikey_suite_key_len(mikey_grant_policy(keys->grant)->prf);
    MikeyKey mpki = {.len = len}, mpkr = {.len = len};
    MikeyKeyData tgk = {
        .type = MIKEY_KEY_TGK, .key = {.len = len}, .kv = MIKEY_KV_SPI, .spi_len = 4};
    MikeyGrant *stolen = NULL;
    MikeyStatus status = MIKEY_NO_RANDOM;

    if (clv_random(NULL, mpki.bytes, mpki.len) && clv_random(NULL, mpkr.bytes, mpkr.len) &&
        clv_random(NULL, tgk.key.bytes, tgk.key.len) && clv_random(NULL, tgk.spi, tgk.spi_len))
        status = mikey_grant_new(mikey_grant_ticket(keys->grant), &mpki, &mpkr, &tgk, 1, &stolen);
    if (status != MIKEY_OK)
        return clv_ua_keys_fail(error, "forging", status);
    mikey_grant_free(keys->grant);
    keys->grant = stolen;
    return TRUE;
}

gboolean
clv_ua_keys_prepare(ClvUaKeys *keys, const char *uri, GError **error)
{
    const ClvUaOptions *o = keys->options;
    const MikeyPolicy *policy;

    if (o->keymgmt != CLV_UA_MIKEY && o->verb != CLV_UA_TICKET)
        return TRUE;
    keys->info.scheme = "mikey-ticket";
    keys->responder = uri != NULL ? clv_identity_canonical(uri, -1) : NULL;
    if (uri != NULL && keys->responder == NULL)
        return clv_ua_keys_refuse(error, "a ticket cannot name that URI");
    if (o->raw_sdp != NULL || o->forge == CLV_UA_FORGE_REPLAY)
        return TRUE;

    if (o->ticket_file != NULL && o->verb != CLV_UA_TICKET)
        keys->grant = clv_ua_ticket_read(o->ticket_file, error);
    else
        request_ticket(keys, uri, error);
    if (keys->grant == NULL)
        return FALSE;

    policy = mikey_grant_policy(keys->grant);
    keys->info.ticket_end_s = policy->has_end ? policy->end_unix : 0;
    return o->forge != CLV_UA_FORGE_STOLEN_TICKET || forget_ticket_keys(keys, error);
}

gboolean
clv_ua_keys_save_ticket(const ClvUaKeys *keys, GError **error)
{
    return clv_ua_ticket_write(keys->options->ticket_file, keys->grant, error);
}

/* ---- MIKEY offer ------------------------------------------------------------------------- */

/* Turns one bit of the octets that @part is a view of into @octets' copy @copy. */
static void
flip_bit(guint8 *copy, MikeyBytes octets, MikeyBytes part)
{
    if (part.len > 0)
        copy[(gsize)(part.data - octets.data) + part.len / 2] ^= 0x10;
}

/* Returns: (transfer full) (nullable): the message, spoiled as --forge says */
GByteArray *
clv_ua_keys_spoil(const ClvUaKeys *keys, MikeyBytes octets)
{
    GByteArray *copy = g_byte_array_append(g_byte_array_new(), octets.data, (guint)octets.len);
    MikeyMessage *message = NULL;
    const MikeyPayload *payload;

    if (keys->options->forge != CLV_UA_FORGE_BAD_MAC && keys->options->forge != CLV_UA_FORGE_BAD_VI)
        return copy;
    if (mikey_message_parse(octets, &message) != MIKEY_OK)
        return copy;
    octets = mikey_message_octets(message);
    if (keys->options->forge == CLV_UA_FORGE_BAD_MAC) {
        payload = mikey_message_find(message, MIKEY_V, 0);
        flip_bit(copy->data, octets, payload != NULL ? payload->u.v.mac : (MikeyBytes){0});
    } else {
        payload = mikey_message_find(message, MIKEY_TICKET, 0);
        if (payload != NULL) {
            /* next payload, algorithm, then the MAC of Vi */
            MikeyBytes data = payload->u.ticket.initiator_data;

            flip_bit(copy->data, octets, mikey_bytes(data.data + 3, data.len > 32 ? 16 : 0));
        }
    }
    mikey_message_free(message);
    return copy;
}

static gboolean
keep_message(const ClvUaKeys *keys, const char *value, GError **error)
{
    const char *path = keys->options->save_message;

    return path == NULL || g_file_set_contents(path, value, -1, error);
}

gboolean
clv_ua_keys_build(ClvUaKeys *keys, const MikeyGrant *grant, const char *responder,
                  gboolean has_media, guint32 ssrc, MikeyTransfer **out_transfer,
                  guint32 *out_csb_id, GError **error)
{
    MikeySrtpProfile profiles[CLV_UA_MAX_SUITES];
    MikeyLine line = {.keyed = true, .ssrc = ssrc};
    MikeyTransferSetup setup = {
        .responder = mikey_identity_uri(responder),
        .csb_id = g_random_int(),
        .lines = &line,
        .n_lines = has_media ? 1 : 0,
        .profiles = profiles,
        .n_profiles = has_media ? clv_ua_keys_profiles(keys->options, profiles) : 0,
        .sdp_ids = mikey_bytes_str("mikey"),
    };
    gint64 now_us = g_get_real_time();
    MikeyEnv env = clv_ua_keys_env_at(
        keys->options->forge == CLV_UA_FORGE_EXPIRED ? now_us - FORGED_AGE_US : now_us);
    MikeyStatus status;

    if (keys->options->forge == CLV_UA_FORGE_NO_SDP_IDS)
        setup.sdp_ids = (MikeyBytes){NULL, 0};
    status = mikey_transfer_new(grant, &setup, &env, out_transfer);
    if (status != MIKEY_OK)
        return clv_ua_keys_fail(error, "the ticket cannot be used", status);
    *out_csb_id = setup.csb_id;
    return TRUE;
}

char *
clv_ua_keys_value(MikeyBytes octets, GError **error)
{
    MikeyBuffer value = MIKEY_BUFFER_INIT;
    MikeyStatus status = mikey_sdp_encode(octets, &value);
    char *text;

    if (status != MIKEY_OK) {
        clv_ua_keys_fail(error, "the offer", status);
        return NULL;
    }
    text = g_strndup((char *)value.data, value.len);
    mikey_buffer_clear(&value);
    return text;
}

/* Returns: (transfer full) (nullable): value of a=key-mgmt */
static char *
mikey_offer_value(ClvUaKeys *keys, gboolean has_media, guint32 ssrc, GError **error)
{
    g_autoptr(GByteArray) octets = NULL;
    char *text;

    if (keys->options->forge == CLV_UA_FORGE_REPLAY) {
        if (!g_file_get_contents(keys->options->message_file, &text, NULL, error))
            return NULL;
        return g_strchomp(text);
    }
    if (!clv_ua_keys_build(keys, keys->grant, keys->responder, has_media, ssrc, &keys->transfer,
                           &keys->info.csb_id, error))
        return NULL;
    keys->info.has_csb_id = TRUE;
    octets = clv_ua_keys_spoil(keys, mikey_transfer_octets(keys->transfer));
    text = clv_ua_keys_value(mikey_bytes(octets->data, octets->len), error);
    if (text == NULL)
        return NULL;
    if (!keep_message(keys, text, error)) {
        g_free(text);
        return NULL;
    }
    return text;
}

/* ---- offer ------------------------------------------------------------------------------- */

static gboolean
make_crypto_lines(ClvUaKeys *keys, GError **error)
{
    const GArray *suites = keys->options->suites;

    keys->n_own = MIN(suites->len, MIN(CLV_UA_MAX_SUITES, CLV_SDP_MAX_KEYLINES));
    for (guint i = 0; i < keys->n_own; i++) {
        if (!clv_ua_suite_fresh(g_array_index(suites, ClvSrtpSuite, i), &keys->own[i], error))
            return FALSE;
        g_ptr_array_add(keys->lines, clv_ua_crypto_format(i + 1, &keys->own[i]));
    }
    return TRUE;
}

static gboolean
make_lines(ClvUaKeys *keys, gboolean has_media, guint32 ssrc, GError **error)
{
    char *value;

    switch (keys->options->keymgmt) {
    case CLV_UA_MIKEY:
        value = mikey_offer_value(keys, has_media, ssrc, error);
        if (value == NULL)
            return FALSE;
        g_ptr_array_add(keys->lines, value);
        return TRUE;
    case CLV_UA_SDES:
        keys->info.scheme = "sdes";
        return make_crypto_lines(keys, error);
    default:
        return TRUE;
    }
}

gboolean
clv_ua_keys_offer(ClvUaKeys *keys, ClvSdp *offer, guint32 ssrc, GError **error)
{
    gboolean has_media = offer->n_media > 0;
    gboolean clear = keys->options->keymgmt == CLV_UA_CLEAR;

    if (keys->lines->len == 0 && !make_lines(keys, has_media, ssrc, error))
        return FALSE;
    if (has_media)
        g_strlcpy(offer->media[0].proto, clear ? "RTP/AVP" : "RTP/SAVP",
                  sizeof offer->media[0].proto);
    if (keys->options->keymgmt == CLV_UA_MIKEY && keys->next_line != NULL) {
        offer->keymgmt[offer->n_keymgmt++] = g_strdup(keys->next_line);
        return TRUE;
    }
    /* what was an answer is no offer: without a line the keys stay */
    if (keys->options->keymgmt == CLV_UA_MIKEY && keys->answered)
        return TRUE;
    for (guint i = 0; i < keys->lines->len; i++) {
        char *line = g_strdup(g_ptr_array_index(keys->lines, i));

        if (keys->options->keymgmt == CLV_UA_MIKEY)
            offer->keymgmt[offer->n_keymgmt++] = line;
        else if (has_media)
            offer->media[0].crypto[offer->media[0].n_crypto++] = line;
        else
            clv_secret_free_string(line);
    }
    return TRUE;
}

/* ---- answer to our offer ----------------------------------------------------------------- */

const char *
clv_ua_keys_line(const ClvSdp *sdp, guint media, gboolean mikey)
{
    const ClvSdpMedia *m = media < sdp->n_media ? &sdp->media[media] : NULL;

    if (!mikey)
        return m != NULL && m->n_crypto > 0 ? m->crypto[0] : NULL;
    if (m != NULL && m->n_keymgmt > 0)
        return m->keymgmt[0];
    return sdp->n_keymgmt > 0 ? sdp->keymgmt[0] : NULL;
}

static gboolean
take_session(const MikeyBundle *bundle, uint8_t cs_id, ClvSrtpKeys *out, GError **error)
{
    MikeySrtp srtp = {0};
    MikeyStatus status = mikey_bundle_srtp(bundle, cs_id, &srtp);

    if (status != MIKEY_OK)
        return clv_ua_keys_fail(error, "keys of the stream", status);
    if (srtp.mki_len > CLV_SRTP_MAX_MKI) {
        mikey_srtp_clear(&srtp);
        return clv_ua_keys_refuse(error, "the MKI is longer than 8 octets");
    }
    out->suite = suite_of(srtp.profile);
    out->key_len = (guint8)srtp.master_key.len;
    out->salt_len = (guint8)srtp.master_salt.len;
    memcpy(out->key, srtp.master_key.bytes, MIN(srtp.master_key.len, sizeof out->key));
    memcpy(out->salt, srtp.master_salt.bytes, MIN(srtp.master_salt.len, sizeof out->salt));
    out->mki_len = srtp.mki_len;
    memcpy(out->mki, srtp.mki, srtp.mki_len);
    out->has_ssrc = srtp.has_ssrc;
    out->ssrc = srtp.ssrc;
    out->roc = srtp.has_roc ? srtp.roc : 0;
    mikey_srtp_clear(&srtp);
    return TRUE;
}

void
clv_ua_keys_agree(ClvUaKeys *keys, const ClvSrtpKeys *rx, const char *line)
{
    keys->info.suite = rx->suite;
    keys->info.mki_len = rx->mki_len;
    memcpy(keys->info.mki, rx->mki, sizeof keys->info.mki);
    clv_secret_free_string(keys->agreed);
    keys->agreed = g_strdup(line);
}

/* What stands in the ticket's answer must be who the dialog says it is. */
static gboolean
check_peer(ClvUaKeys *keys, const char *contact, GError **error)
{
    MikeyIdentity peer = mikey_bundle_peer(keys->bundle);
    g_autofree char *where = contact != NULL ? clv_identity_canonical(contact, -1) : NULL;

    g_free(keys->peer);
    keys->peer = clv_identity_canonical((const char *)peer.data.data, (gssize)peer.data.len);
    if (keys->peer == NULL)
        return clv_ua_keys_refuse(
            error, "the answer was proven to come from something that is no SIP URI");
    /* a user's Contact is where he is; who he is is whom we called */
    if (keys->options->verb == CLV_UA_CALL && g_strcmp0(keys->responder, keys->peer) == 0)
        return TRUE;
    if (where == NULL || strcmp(where, keys->peer) != 0) {
        g_set_error(error, CLV_UA_KEYS_ERROR, 0, "the Contact says '%s', the ticket proves '%s'",
                    where != NULL ? where : "", keys->peer);
        return FALSE;
    }
    return TRUE;
}

/* Ours and theirs: which is which was settled when the bundle was made. */
gboolean
clv_ua_keys_sessions(ClvUaKeys *keys, guint media_index, ClvSrtpKeys *tx, ClvSrtpKeys *rx,
                     GError **error)
{
    uint8_t offerer = (uint8_t)MIKEY_CS_OFFERER(media_index + 1);
    uint8_t answerer = (uint8_t)MIKEY_CS_ANSWERER(media_index + 1);

    return take_session(keys->bundle, keys->answered ? answerer : offerer, tx, error) &&
           take_session(keys->bundle, keys->answered ? offerer : answerer, rx, error);
}

static gboolean
finish_mikey(ClvUaKeys *keys, const ClvSdp *answer, const char *contact, ClvSrtpKeys *tx,
             ClvSrtpKeys *rx, GError **error)
{
    const char *line = clv_ua_keys_line(answer, 0, TRUE);
    MikeyBuffer octets = MIKEY_BUFFER_INIT;
    MikeyPeerError refusal = {0};
    MikeyEnv env = clv_ua_keys_env_at(g_get_real_time());
    MikeyStatus status;

    if (line == NULL)
        return clv_ua_keys_refuse(error,
                                  "the answer has no a=key-mgmt: nobody has proven anything");
    if (keys->transfer == NULL && keys->next_line == NULL)
        return clv_ua_keys_refuse(error,
                                  "a replayed or raw offer was accepted; its keys are not ours");
    status = mikey_sdp_decode(mikey_bytes_str(line), &octets);
    if (status == MIKEY_OK && keys->next_line != NULL) {
        gboolean good = clv_ua_keys_finish_next(keys, mikey_bytes(octets.data, octets.len), error);

        mikey_buffer_clear(&octets);
        if (!good)
            return FALSE;
    } else {
        MikeyBundle *bundle = NULL;

        if (status == MIKEY_OK)
            status = mikey_transfer_finish(keys->transfer, mikey_bytes(octets.data, octets.len),
                                           &env, &bundle, &refusal);
        mikey_buffer_clear(&octets);
        if (status == MIKEY_PEER_ERROR)
            keys->info.refusal = refusal.number;
        if (status != MIKEY_OK)
            return clv_ua_keys_fail(error, "the answer does not prove who it is from", status);
        g_clear_pointer(&keys->bundle, mikey_bundle_free);
        keys->bundle = bundle;
        keys->answered = FALSE;
    }
    if (!check_peer(keys, contact, error))
        return FALSE;
    if (answer->n_media == 0)
        return TRUE;
    if (!clv_ua_keys_sessions(keys, 0, tx, rx, error))
        return FALSE;
    clv_ua_keys_agree(keys, rx, line);
    return TRUE;
}

static gboolean
finish_sdes(ClvUaKeys *keys, const ClvSdp *answer, ClvSrtpKeys *tx, ClvSrtpKeys *rx, GError **error)
{
    const char *line = clv_ua_keys_line(answer, 0, FALSE);
    guint tag = 0;

    if (line == NULL)
        return clv_ua_keys_refuse(error, "the answer has no a=crypto");
    if (!clv_ua_crypto_parse(line, &tag, rx, error))
        return FALSE;
    if (tag < 1 || tag > keys->n_own || keys->own[tag - 1].suite != rx->suite)
        return clv_ua_keys_refuse(error, "a=crypto of the answer is none of those offered");
    *tx = keys->own[tag - 1];
    clv_ua_keys_agree(keys, rx, line);
    return TRUE;
}

gboolean
clv_ua_keys_finish(ClvUaKeys *keys, const ClvSdp *answer, const char *contact, ClvSrtpKeys *out_tx,
                   ClvSrtpKeys *out_rx, GError **error)
{
    ClvSrtpKeys tx = {0}, rx = {0};
    gboolean good = TRUE;

    if (keys->options->keymgmt == CLV_UA_MIKEY)
        good = finish_mikey(keys, answer, contact, &tx, &rx, error);
    else if (keys->options->keymgmt == CLV_UA_SDES)
        good = answer->n_media == 0 || finish_sdes(keys, answer, &tx, &rx, error);
    if (good) {
        *out_tx = tx;
        *out_rx = rx;
    }
    clv_srtp_keys_clear(&tx);
    clv_srtp_keys_clear(&rx);
    return good;
}

void
clv_ua_keys_refused(ClvUaKeys *keys, const char *sdp, gsize len)
{
    ClvSdp *body = clv_sdp_parse(sdp, len, NULL);
    const char *line = body != NULL ? clv_ua_keys_line(body, 0, TRUE) : NULL;
    MikeyBuffer octets = MIKEY_BUFFER_INIT;
    MikeyMessage *message = NULL;
    const MikeyPayload *err;

    if (line != NULL && mikey_sdp_decode(mikey_bytes_str(line), &octets) == MIKEY_OK &&
        mikey_message_parse(mikey_bytes(octets.data, octets.len), &message) == MIKEY_OK) {
        err = mikey_message_find(message, MIKEY_ERR, 0);
        if (err != NULL)
            keys->info.refusal = err->u.err.number;
    }
    mikey_message_free(message);
    mikey_buffer_clear(&octets);
    clv_sdp_free(body);
}

gboolean
clv_ua_keys_unchanged(const ClvUaKeys *keys, const ClvSdp *answer)
{
    const char *line = clv_ua_keys_line(answer, 0, keys->options->keymgmt == CLV_UA_MIKEY);

    /* an answer without a key line to an offer that repeats what is agreed changes nothing */
    return keys->options->keymgmt == CLV_UA_CLEAR || line == NULL ||
           (keys->agreed != NULL && strcmp(line, keys->agreed) == 0);
}
