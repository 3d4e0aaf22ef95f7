/* SPDX-License-Identifier: Apache-2.0 */
/* mikey-ticket/answerer.c - being called with a ticket
 *
 *   open    the TRANSFER_INIT is copied out of the offer
 *   step 1  read, checked as far as that goes without keys; a RESOLVE_INIT goes to the KMS
 *   step 2  the RESOLVE_RESP brings the keys; now V and Vi prove that the ticket's owner made this
 *           very TRANSFER_INIT; the message is remembered, TRANSFER_RESP and SRTP keys come out
 *
 * A ticket is resolved anew each time, a reused one too (J flag): only the KMS can check Vr, and
 * without it every responder of the ticket could pose as its owner.
 */
#include "config.h"

#include <openssl/crypto.h>
#include <string.h>

#include "base/identity.h"
#include "base/replay.h"
#include "base/secret.h"
#include "ticket-private.h"

/* ---- words of libmikey and words of ours ---- */

static const MikeySrtpProfile profile_of_suite[CLV_N_SRTP_SUITES] = {
    [CLV_SRTP_AES_CM_128_HMAC_SHA1_80] = MIKEY_SRTP_AES_CM_128_HMAC_SHA1_80,
    [CLV_SRTP_AES_CM_128_HMAC_SHA1_32] = MIKEY_SRTP_AES_CM_128_HMAC_SHA1_32,
    [CLV_SRTP_AES_256_CM_HMAC_SHA1_80] = MIKEY_SRTP_AES_256_CM_HMAC_SHA1_80,
    [CLV_SRTP_AES_256_CM_HMAC_SHA1_32] = MIKEY_SRTP_AES_256_CM_HMAC_SHA1_32,
    [CLV_SRTP_AEAD_AES_128_GCM] = MIKEY_SRTP_AEAD_AES_128_GCM,
    [CLV_SRTP_AEAD_AES_256_GCM] = MIKEY_SRTP_AEAD_AES_256_GCM,
};

static ClvSrtpSuite
suite_of_profile(MikeySrtpProfile profile)
{
    for (guint suite = CLV_SRTP_NONE + 1; suite < CLV_N_SRTP_SUITES; suite++) {
        if (profile_of_suite[suite] == profile)
            return (ClvSrtpSuite)suite;
    }
    return CLV_SRTP_NONE;
}

static bool
random_octets(uint8_t *out, size_t len, void *data)
{
    const ClvKeymgmtConfig *config = data;

    return config->random(config->random_user, out, len);
}

MikeyEnv
clv_ticket_env(const ClvKeymgmtConfig *config, gint64 now_us)
{
    return (MikeyEnv){
        .now = mikey_ntp_from_unix_us(now_us),
        .skew_s = (uint32_t)config->skew_s,
        .allow_128 = config->allow_128,
        .random = random_octets,
        .random_data = (void *)config,
    };
}

char *
clv_ticket_identity(const MikeyIdentity *identity)
{
    if (identity->type != MIKEY_ID_URI || identity->data.len == 0 || identity->data.len > 1024)
        return NULL;
    if (memchr(identity->data.data, '\0', identity->data.len) != NULL)
        return NULL;
    return clv_identity_canonical((const char *)identity->data.data, (gssize)identity->data.len);
}

gboolean
clv_ticket_replay_names(const MikeyOffer *offer, guint8 out_message[MIKEY_DIGEST_LEN],
                        guint8 out_bundle[MIKEY_DIGEST_LEN])
{
    static const char bundle_tag[] = "conclave: bundle of an initiator";
    MikeyIdentity initiator = mikey_offer_initiator(offer);
    MikeyWriter w = MIKEY_WRITER_INIT;
    MikeyStatus status;

    mikey_write_bytes(&w, mikey_bytes_str(bundle_tag));
    mikey_write_u32(&w, mikey_offer_csb_id(offer));
    mikey_write_bytes(&w, initiator.data);
    status = w.bad ? MIKEY_NO_MEMORY : mikey_digest(mikey_writer_octets(&w), out_bundle);
    mikey_writer_clear(&w);

    return status == MIKEY_OK && mikey_offer_digest(offer, out_message) == MIKEY_OK;
}

char *
clv_ticket_hash(const MikeyTicket *ticket)
{
    guint8 digest[MIKEY_DIGEST_LEN];
    GString *hex;

    if (mikey_ticket_digest(ticket, digest) != MIKEY_OK)
        return NULL;
    hex = g_string_sized_new(2 * sizeof(digest));
    for (guint i = 0; i < sizeof(digest); i++)
        g_string_append_printf(hex, "%02x", digest[i]);
    return g_string_free(hex, FALSE);
}

/* ---- asking ---- */

static gboolean
ask_kms(ClvKeymgmtState *state, const MikeyEnv *env, ClvKeymgmtOutput *out)
{
    const ClvKeymgmtConfig *config = &state->config;
    MikeyKey psk = {.len = 0};
    MikeyAccount account = {
        .psk = &psk,
        .psk_id = mikey_identity_bytes(mikey_bytes(config->psk_id, config->psk_id_len)),
        .self = mikey_identity_uri(state->focus_uri),
        .kms = mikey_identity_uri(config->kms_uri),
        .prf = MIKEY_PRF_HMAC_SHA_256,
    };
    MikeyStatus status = mikey_key_set(&psk, config->psk, config->psk_len);
    MikeyBytes octets;

    if (status == MIKEY_OK)
        status = mikey_resolve_new(state->offer, &account, env, &state->resolve);
    mikey_key_clear(&psk);
    if (status != MIKEY_OK)
        return clv_ticket_refuse(&state->refusal, CLV_CODE_INTERNAL, MIKEY_REFUSED,
                                 "making a RESOLVE_INIT: %s", mikey_status_string(status));

    octets = mikey_resolve_octets(state->resolve);
    out->kms_request = CLV_KMS_TICKET_RESOLVE;
    out->bytes = g_byte_array_new();
    g_byte_array_append(out->bytes, octets.data, (guint)octets.len);
    return TRUE;
}

static gboolean
first_step(ClvKeymgmtState *state, const ClvKeymgmtInput *in, ClvKeymgmtOutput *out)
{
    MikeyEnv env = clv_ticket_env(&state->config, in->now_us);
    MikeyBytes octets = mikey_bytes(state->lines.message.data, state->lines.message.len);
    MikeyStatus status;

    if (state->refusal.error != NULL) /* found while opening */
        return FALSE;

    status = mikey_offer_open(octets, &env, &state->offer);
    if (status != MIKEY_OK)
        return clv_ticket_refuse_peer(&state->refusal, status, "TRANSFER_INIT");
    return clv_ticket_check_early(state, in->now_us, &state->refusal) && ask_kms(state, &env, out);
}

/* ---- what the KMS says ---- */

static gboolean
check_session_keys(ClvKeymgmtState *state, const MikeyResolution *resolution)
{
    const MikeyPolicy *policy = mikey_offer_policy(state->offer);
    gsize wanted = mikey_suite_key_len(policy->prf);

    for (gsize i = 0; i < mikey_resolution_n_keys(resolution); i++) {
        const MikeyKeyData *key = mikey_resolution_key(resolution, i);
        gboolean forked = key->type == MIKEY_KEY_TGK || key->type == MIKEY_KEY_TGK_SALT;

        if (!forked && policy->n_responders > 1)
            return clv_ticket_refuse(&state->refusal, CLV_CODE_TICKET_REFUSED,
                                     MIKEY_POLICY_VIOLATED,
                                     "the ticket names %zu responders and holds a %s, which all "
                                     "of them can read",
                                     policy->n_responders, mikey_key_type_string(key->type));
        if (forked && key->key.len < wanted)
            return clv_ticket_refuse(&state->refusal, CLV_CODE_TICKET_REFUSED, MIKEY_BAD_KEYS,
                                     "the ticket's TGK has %zu octets, %zu are wanted",
                                     key->key.len, wanted);
    }
    return TRUE;
}

/* The KMS may put a name of the ticket in place of ours; then the caller would authenticate the
 * factory and not this conference. */
static gboolean
check_our_name(ClvKeymgmtState *state, const MikeyResolution *resolution)
{
    MikeyIdentity named = mikey_resolution_responder(resolution);
    MikeyIdentity focus = mikey_identity_uri(state->focus_uri);
    g_autofree char *name = NULL;

    if (mikey_identity_equal(&named, &focus))
        return TRUE;
    name = clv_ticket_identity(&named);
    return clv_ticket_refuse(&state->refusal, CLV_CODE_INTERNAL, MIKEY_REFUSED,
                             "ALARM: the KMS resolved the ticket for %s in place of %s; its rule "
                             "for conference URIs is wrong",
                             name != NULL ? name : "no URI", state->focus_uri);
}

static gboolean
remember(ClvKeymgmtState *state, gint64 now_us)
{
    const ClvKeymgmtConfig *config = &state->config;
    gint64 expires_us = mikey_ntp_to_unix_us(mikey_offer_timestamp(state->offer)) +
                        (config->skew_s + 1) * G_USEC_PER_SEC;
    guint8 names[2][MIKEY_DIGEST_LEN];

    if (!clv_ticket_replay_names(state->offer, names[0], names[1]))
        return clv_ticket_refuse(&state->refusal, CLV_CODE_INTERNAL, MIKEY_CRYPTO,
                                 "no digest of the message");
    for (guint i = 0; i < G_N_ELEMENTS(names); i++) {
        switch (clv_replay_check(config->replay, names[i], now_us, expires_us)) {
        case CLV_REPLAY_FRESH:
            break;
        case CLV_REPLAY_SEEN:
            return clv_ticket_refuse(&state->refusal, CLV_CODE_KEYMGMT_FAILED, MIKEY_REPLAYED,
                                     "this TRANSFER_INIT or its CSB ID has been seen before");
        case CLV_REPLAY_FULL:
            return clv_ticket_refuse(&state->refusal, CLV_CODE_OVERLOAD, MIKEY_REFUSED,
                                     "the memory of seen messages is full");
        }
    }
    return TRUE;
}

/* Only after this is the caller who he says to be. */
static gboolean
authenticate(ClvKeymgmtState *state, const MikeyResolution *resolution, gint64 now_us)
{
    MikeyStatus status;

    if (!check_our_name(state, resolution) || !check_session_keys(state, resolution))
        return FALSE;

    status = mikey_offer_verify(state->offer, resolution);
    if (status != MIKEY_OK)
        return clv_ticket_refuse_peer(&state->refusal, status,
                                      "the TRANSFER_INIT was not made by the ticket's owner");
    return remember(state, now_us);
}

/* ---- answering ---- */

static gboolean
keys_of_session(ClvKeymgmtState *state, const MikeyBundle *bundle, guint8 cs_id, ClvSrtpKeys *out)
{
    MikeySrtp srtp;
    MikeyStatus status = mikey_bundle_srtp(bundle, cs_id, &srtp);

    if (status != MIKEY_OK)
        return clv_ticket_refuse_peer(&state->refusal, status, "crypto session");

    if (srtp.mki_len <= CLV_SRTP_MAX_MKI && srtp.master_key.len <= CLV_SRTP_MAX_KEY &&
        srtp.master_salt.len <= CLV_SRTP_MAX_SALT) {
        out->suite = suite_of_profile(srtp.profile);
        out->key_len = (guint8)srtp.master_key.len;
        memcpy(out->key, srtp.master_key.bytes, srtp.master_key.len);
        out->salt_len = (guint8)srtp.master_salt.len;
        memcpy(out->salt, srtp.master_salt.bytes, srtp.master_salt.len);
        out->mki_len = srtp.mki_len;
        memcpy(out->mki, srtp.mki, srtp.mki_len);
        out->has_ssrc = srtp.has_ssrc;
        out->ssrc = srtp.ssrc;
        out->roc = srtp.has_roc ? srtp.roc : 0;
    } else {
        status = MIKEY_BAD_KEYS;
    }
    mikey_srtp_clear(&srtp);

    return status == MIKEY_OK ||
           clv_ticket_refuse_peer(&state->refusal, status, "MKI of more than 8 octets");
}

/* One key for both directions is fine, unless both send with one SSRC: then the same key stream
 * would cover different packets. */
static gboolean
check_two_time_pad(ClvKeymgmtState *state, const ClvSrtpKeys *rx, const ClvSrtpKeys *tx)
{
    if (rx->ssrc != tx->ssrc || rx->key_len != tx->key_len ||
        CRYPTO_memcmp(rx->key, tx->key, sizeof(rx->key)) != 0)
        return TRUE;
    return clv_ticket_refuse(&state->refusal, CLV_CODE_KEYMGMT_FAILED, MIKEY_BAD_SESSIONS,
                             "one key and one SSRC for both directions");
}

static gboolean
take_keys(ClvKeymgmtState *state, const MikeyBundle *bundle, ClvKeymgmtOutput *out)
{
    if (state->cs_line == 0)
        return TRUE;
    if (!keys_of_session(state, bundle, MIKEY_CS_OFFERER(state->cs_line), &out->rx) ||
        !keys_of_session(state, bundle, MIKEY_CS_ANSWERER(state->cs_line), &out->tx) ||
        !check_two_time_pad(state, &out->rx, &out->tx))
        return FALSE;

    out->has_media = TRUE;
    return TRUE;
}

/* Names that the ticket gives, less those of this server. */
static char **
names_of_ticket(const ClvKeymgmtState *state)
{
    const MikeyPolicy *policy = mikey_offer_policy(state->offer);
    g_autoptr(GStrvBuilder) names = g_strv_builder_new();

    for (gsize i = 0; i < policy->n_responders; i++) {
        g_autofree char *name = clv_ticket_identity(&policy->responders[i]);

        if (name == NULL || strcmp(name, state->focus_uri) == 0)
            continue;
        if (state->factory_uris != NULL &&
            g_strv_contains((const char *const *)state->factory_uris, name))
            continue;
        g_strv_builder_add(names, name);
    }
    return g_strv_builder_end(names);
}

/* A ticket that names more than the focus and is good for changing the list, or for anything. */
static gboolean
may_set_allowed(const ClvKeymgmtState *state, char **names)
{
    return state->purpose != CLV_PURPOSE_CREATE && names[0] != NULL &&
           mikey_policy_allows_application(mikey_offer_policy(state->offer),
                                           mikey_bytes_str("conclave:allow"));
}

static gboolean
encode_line(ClvKeymgmtState *state, const MikeyBuffer *message, char **out_line)
{
    MikeyBuffer value = MIKEY_BUFFER_INIT;

    if (mikey_sdp_encode(mikey_bytes(message->data, message->len), &value) != MIKEY_OK)
        return clv_ticket_refuse(&state->refusal, CLV_CODE_INTERNAL, MIKEY_NO_MEMORY,
                                 "encoding a MIKEY message");
    *out_line = g_strndup((const char *)value.data, value.len);
    mikey_buffer_clear(&value);
    return TRUE;
}

static gboolean
describe(ClvKeymgmtState *state, const MikeyBuffer *answer, ClvKeymgmtOutput *out)
{
    MikeyIdentity caller = mikey_offer_initiator(state->offer);

    out->identity = clv_ticket_identity(&caller);
    out->ticket_hash = clv_ticket_hash(mikey_offer_ticket(state->offer));
    if (out->identity == NULL || out->ticket_hash == NULL)
        return clv_ticket_refuse(&state->refusal, CLV_CODE_INTERNAL, MIKEY_CRYPTO,
                                 "no digest of the ticket");

    out->proof = CLV_PROOF_TICKET;
    out->ticket_names = names_of_ticket(state);
    out->sets_allowed = may_set_allowed(state, out->ticket_names);
    out->expires_us = mikey_offer_policy(state->offer)->end_unix * G_USEC_PER_SEC;
    out->answer_at_session = state->lines.at_session;
    return encode_line(state, answer, &out->answer_line);
}

static gboolean
answer(ClvKeymgmtState *state, const MikeyEnv *env, ClvKeymgmtOutput *out)
{
    MikeyLine lines[CLV_SDP_MAX_MEDIA] = {{.keyed = false}};
    MikeyAnswerSetup setup = {
        .lines = lines,
        .n_lines = state->cs_line,
        .profiles = state->profiles,
        .n_profiles = state->n_profiles,
    };
    MikeyBuffer message = MIKEY_BUFFER_INIT;
    MikeyBundle *bundle = NULL;
    MikeyStatus status;
    gboolean sound;

    if (state->cs_line > 0)
        lines[state->cs_line - 1] = (MikeyLine){.keyed = true, .ssrc = state->local_ssrc};
    status = mikey_offer_answer(state->offer, &setup, env, &message, &bundle);
    if (status != MIKEY_OK)
        return clv_ticket_refuse_peer(&state->refusal, status, "answering the TRANSFER_INIT");

    sound = take_keys(state, bundle, out) && describe(state, &message, out);
    mikey_bundle_free(bundle);
    mikey_buffer_clear(&message);
    return sound;
}

static gboolean
second_step(ClvKeymgmtState *state, const ClvKeymgmtInput *in, ClvKeymgmtOutput *out)
{
    MikeyEnv env = clv_ticket_env(&state->config, in->now_us);
    MikeyResolution *resolution = NULL;
    MikeyPeerError kms_error = {0, false};
    MikeyStatus status;
    gboolean authentic;

    status = mikey_resolve_finish(state->resolve, mikey_bytes(in->bytes, in->len), &env,
                                  &resolution, &kms_error);
    if (status != MIKEY_OK)
        return clv_ticket_refuse_kms(&state->refusal, status, &kms_error);

    authentic = authenticate(state, resolution, in->now_us);
    mikey_resolution_free(resolution);
    return authentic && answer(state, &env, out);
}

/* ---- the door ---- */

static void
take_suites(ClvKeymgmtState *state, const ClvSrtpSuite *suites)
{
    for (; *suites != CLV_SRTP_NONE && state->n_profiles < G_N_ELEMENTS(state->profiles); suites++)
        state->profiles[state->n_profiles++] = profile_of_suite[*suites];
}

ClvKeymgmtState *
clv_ticket_answerer_open(const ClvKeymgmtSetup *setup)
{
    ClvKeymgmtState *state = g_new0(ClvKeymgmtState, 1);

    state->config = *setup->config;
    state->purpose = setup->purpose;
    state->focus_uri = g_strdup(setup->focus_uri);
    state->factory_uris = g_strdupv((char **)setup->factory_uris);
    state->creation_ticket = g_strdup(setup->creation_ticket);
    state->local_ssrc = setup->local_ssrc;
    take_suites(state, setup->suites);
    clv_ticket_lines_read(setup->offer, setup->media_index, &state->lines, &state->refusal);
    return state;
}

/* A MIKEY Error for the body of the 488; authentic once the caller is. None is no harm. */
static void
add_error_line(ClvKeymgmtState *state, gint64 now_us, ClvKeymgmtOutput *out)
{
    MikeyEnv env = clv_ticket_env(&state->config, now_us);
    MikeyBytes at_fault = mikey_bytes(state->lines.message.data, state->lines.message.len);
    MikeyBuffer message = MIKEY_BUFFER_INIT;
    MikeyBuffer value = MIKEY_BUFFER_INIT;
    MikeyStatus status;

    if (state->offer != NULL)
        status = mikey_offer_error(state->offer, state->refusal.status, state->profiles,
                                   state->n_profiles, &env, &message);
    else
        status = mikey_error_new(at_fault, state->refusal.status, &env, &message);
    if (status == MIKEY_OK)
        status = mikey_sdp_encode(mikey_bytes(message.data, message.len), &value);
    if (status == MIKEY_OK)
        out->error_line = g_strndup((const char *)value.data, value.len);
    mikey_buffer_clear(&message);
    mikey_buffer_clear(&value);
}

static ClvKeymgmtNext
fail(ClvKeymgmtState *state, gint64 now_us, ClvKeymgmtOutput *out, GError **error)
{
    clv_keymgmt_output_clear(out);
    if (clv_ticket_code_has_error_line((ClvCode)state->refusal.error->code))
        add_error_line(state, now_us, out);
    g_propagate_error(error, g_steal_pointer(&state->refusal.error));
    state->stage = TICKET_OVER;
    return CLV_KEYMGMT_FAILED;
}

ClvKeymgmtNext
clv_ticket_answerer_step(ClvKeymgmtState *state, const ClvKeymgmtInput *in, ClvKeymgmtOutput *out,
                         GError **error)
{
    clv_keymgmt_output_clear(out);
    switch (state->stage) {
    case TICKET_OPENED:
        if (!first_step(state, in, out))
            return fail(state, in->now_us, out, error);
        state->stage = TICKET_ASKED;
        return CLV_KEYMGMT_WANT_KMS;
    case TICKET_ASKED:
        if (!second_step(state, in, out))
            return fail(state, in->now_us, out, error);
        state->stage = TICKET_OVER;
        return CLV_KEYMGMT_DONE;
    case TICKET_OVER:
        break;
    }

    g_set_error_literal(error, CLV_KEYMGMT_ERROR, CLV_CODE_INTERNAL,
                        "mikey-ticket: a step after the last one");
    return CLV_KEYMGMT_FAILED;
}

void
clv_ticket_answerer_close(ClvKeymgmtState *state)
{
    mikey_resolve_free(state->resolve);
    mikey_offer_free(state->offer);
    clv_ticket_lines_clear(&state->lines);
    g_clear_error(&state->refusal.error);
    g_free(state->focus_uri);
    g_strfreev(state->factory_uris);
    g_free(state->creation_ticket);
    g_free(state);
}
