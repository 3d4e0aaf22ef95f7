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

/* ---- the first step ---- */

static gboolean
first_step(TicketAnswerer *state, const ClvKeymgmtInput *in, ClvKeymgmtOutput *out)
{
    MikeyEnv env = clv_ticket_env(&state->config, in->now_us);
    MikeyBytes octets = mikey_bytes(state->lines.message.data, state->lines.message.len);
    MikeyIdentity initiator;
    MikeyStatus status;

    if (state->refusal.error != NULL) /* found while opening */
        return FALSE;

    status = mikey_offer_open(octets, &env, &state->offer);
    if (status != MIKEY_OK)
        return clv_ticket_refuse_peer(&state->refusal, status, "TRANSFER_INIT");
    if (!clv_ticket_check_early(state, in->now_us, &state->refusal) ||
        !clv_ticket_ask_resolve(&state->config, state->focus_uri, state->offer, &env,
                                &state->resolve, out, &state->refusal))
        return FALSE;
    initiator = mikey_offer_initiator(state->offer);
    out->claimed = clv_ticket_identity(&initiator);
    return TRUE;
}

/* ---- what the KMS says ---- */

static gboolean
check_session_keys(TicketAnswerer *state, const MikeyResolution *resolution)
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
check_our_name(TicketAnswerer *state, const MikeyResolution *resolution)
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

static gboolean
remember(TicketAnswerer *state, gint64 now_us)
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
authenticate(TicketAnswerer *state, const MikeyResolution *resolution, gint64 now_us)
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

/* Names that the ticket gives, less those of this server. */
static char **
names_of_ticket(const TicketAnswerer *state)
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
may_set_allowed(const TicketAnswerer *state, char **names)
{
    return state->purpose != CLV_PURPOSE_CREATE && state->purpose != CLV_PURPOSE_REFER &&
           names[0] != NULL &&
           mikey_policy_allows_application(mikey_offer_policy(state->offer),
                                           mikey_bytes_str("conclave:allow"));
}

static gboolean
describe(TicketAnswerer *state, const MikeyBuffer *answer, ClvKeymgmtOutput *out)
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
    return clv_ticket_encode_line(mikey_bytes(answer->data, answer->len), &out->answer_line,
                                  &state->refusal);
}

static gboolean
answer(TicketAnswerer *state, const MikeyEnv *env, ClvKeymgmtOutput *out)
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

    sound = clv_ticket_take_keys(bundle, state->cs_line, FALSE, out, &state->refusal) &&
            describe(state, &message, out);
    if (sound)
        out->session = clv_ticket_session_new(bundle, state->cs_line, FALSE, out);
    else
        mikey_bundle_free(bundle);
    mikey_buffer_clear(&message);
    return sound;
}

static gboolean
second_step(TicketAnswerer *state, const ClvKeymgmtInput *in, ClvKeymgmtOutput *out)
{
    MikeyEnv env = clv_ticket_env(&state->config, in->now_us);
    MikeyResolution *resolution = NULL;
    MikeyPeerError kms_error = {0, false};
    MikeyStatus status;
    gboolean authentic;

    status = mikey_resolve_finish(state->resolve, mikey_bytes(in->bytes, in->len), &env,
                                  &resolution, &kms_error);
    if (status != MIKEY_OK && state->foreign)
        return clv_ticket_refuse_foreign(&state->refusal, status, &kms_error);
    if (status != MIKEY_OK)
        return clv_ticket_refuse_kms(&state->refusal, CLV_KMS_TICKET_RESOLVE, status, &kms_error);

    authentic = authenticate(state, resolution, in->now_us);
    mikey_resolution_free(resolution);
    return authentic && answer(state, &env, out);
}

/* ---- the door ---- */

/* A MIKEY Error for the body of the 488; authentic once the caller is. None is no harm. */
static void
add_error_line(TicketAnswerer *state, gint64 now_us, ClvKeymgmtOutput *out)
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
fail(TicketAnswerer *state, gint64 now_us, ClvKeymgmtOutput *out, GError **error)
{
    clv_keymgmt_output_clear(out);
    if (clv_ticket_code_has_error_line((ClvCode)state->refusal.error->code))
        add_error_line(state, now_us, out);
    out->forged = clv_ticket_is_forgery(&state->refusal);
    g_propagate_error(error, g_steal_pointer(&state->refusal.error));
    state->stage = TICKET_OVER;
    return CLV_KEYMGMT_FAILED;
}

static ClvKeymgmtNext
answerer_step(ClvKeymgmtState *base, const ClvKeymgmtInput *in, ClvKeymgmtOutput *out,
              GError **error)
{
    TicketAnswerer *state = (TicketAnswerer *)base;

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

static void
answerer_close(ClvKeymgmtState *base)
{
    TicketAnswerer *state = (TicketAnswerer *)base;

    mikey_resolve_free(state->resolve);
    mikey_offer_free(state->offer);
    clv_ticket_lines_clear(&state->lines);
    g_clear_error(&state->refusal.error);
    g_free(state->focus_uri);
    g_strfreev(state->factory_uris);
    g_free(state->creation_ticket);
    g_free(state);
}

ClvKeymgmtState *
clv_ticket_answerer_new(const ClvKeymgmtSetup *setup)
{
    TicketAnswerer *state = g_new0(TicketAnswerer, 1);

    state->base = (ClvKeymgmtState){answerer_step, answerer_close};
    state->config = *setup->config;
    state->purpose = setup->purpose;
    state->focus_uri = g_strdup(setup->focus_uri);
    state->factory_uris = g_strdupv((char **)setup->factory_uris);
    state->creation_ticket = g_strdup(setup->creation_ticket);
    state->session = setup->session;
    state->local_ssrc = setup->local_ssrc;
    state->n_profiles = clv_ticket_profiles(setup->suites, state->profiles);
    clv_ticket_lines_read(setup->offer, setup->media_index, setup->purpose, &state->lines,
                          &state->refusal);
    return &state->base;
}
