/* SPDX-License-Identifier: Apache-2.0 */
/* mikey-ticket/offerer.c - calling somebody with a ticket of our own
 *
 *   step 1  a REQUEST_INIT goes to the KMS: a ticket for whom we call, this conference being its
 *           owner
 *   step 2  the REQUEST_RESP brings it; what was granted is looked at; TRANSFER_INIT for the offer
 *   then    each answer has a TRANSFER_RESP: V proves who could have the ticket resolved, and he
 *           must be one whom the ticket names; his keys are his alone (key forking)
 *
 * Several early dialogs may answer: each is tried by itself and none of them changes this state.
 */
#include "config.h"

#include <string.h>

#include "base/identity.h"
#include "ticket-private.h"

#define TGK_LEN 32u

typedef enum OffererStage {
    OFFERER_OPENED,  /* nothing has been sent */
    OFFERER_ASKED,   /* the KMS has been asked for a ticket */
    OFFERER_OFFERED, /* the TRANSFER_INIT is on its way; answers are tried */
    OFFERER_OVER,    /* there is no ticket */
} OffererStage;

typedef struct TicketOfferer {
    ClvKeymgmtState base;
    ClvKeymgmtConfig config;
    OffererStage stage;
    ClvPurpose purpose;
    char *focus_uri;
    char *target;
    char **ticket_for; /* never NULL */
    gint64 lifetime_s;
    guint media_line; /* number of our m-line from 1; 0: no media */
    MikeySrtpProfile profiles[CLV_N_SRTP_SUITES];
    gsize n_profiles;
    guint32 local_ssrc;
    gint64 asked_end_unix;
    TicketRefusal refusal;
    MikeyRequest *request;   /* (nullable) */
    MikeyGrant *grant;       /* (nullable) */
    MikeyTransfer *transfer; /* (nullable) */
} TicketOfferer;

/* ---- step 1: a ticket is wanted ---- */

static gboolean
ask_for_ticket(TicketOfferer *o, const ClvKeymgmtInput *in, ClvKeymgmtOutput *out)
{
    MikeyEnv env = clv_ticket_env(&o->config, in->now_us);
    const MikeyKeyWish wish = {.type = MIKEY_KEY_TGK, .key_len = TGK_LEN};
    const MikeyIdentity application = mikey_identity_bytes(mikey_bytes_str("conclave:refer"));
    guint n = g_strv_length(o->ticket_for);
    g_autofree MikeyIdentity *responders = g_new0(MikeyIdentity, n);
    MikeyPolicy policy = mikey_policy_default();

    for (guint i = 0; i < n; i++)
        responders[i] = mikey_identity_uri(o->ticket_for[i]);
    o->asked_end_unix = in->now_us / G_USEC_PER_SEC + o->lifetime_s;
    policy.has_end = true;
    policy.end_unix = o->asked_end_unix;
    policy.responders = responders;
    policy.n_responders = n;
    policy.has_wishes = true;
    policy.wishes = &wish;
    policy.n_wishes = 1;
    if (o->purpose == CLV_PURPOSE_REFER) {
        policy.applications = &application;
        policy.n_applications = 1;
    }
    return clv_ticket_ask_request(&o->config, o->focus_uri, &policy, &env, &o->request, out,
                                  &o->refusal);
}

/* ---- step 2: what was granted ---- */

static gboolean
is_named(const TicketOfferer *o, const char *uri)
{
    return g_strv_contains((const char *const *)o->ticket_for, uri);
}

static gboolean
refuse_grant(TicketOfferer *o, const char *what)
{
    return clv_ticket_refuse(&o->refusal, CLV_CODE_INTERNAL, MIKEY_REFUSED,
                             "ALARM: the KMS granted another ticket than was asked for: %s", what);
}

/* The K flag lets a KMS change what was asked for. Less time is fine; other people, or rules that
 * would prove less about who answers, are not. */
static gboolean
check_policy(TicketOfferer *o, const MikeyPolicy *policy)
{
    const guint32 wanted =
        MIKEY_FLAG_D | MIKEY_FLAG_E | MIKEY_FLAG_F | MIKEY_FLAG_G | MIKEY_FLAG_H | MIKEY_FLAG_I;

    if ((policy->flags & wanted) != wanted)
        return refuse_grant(o, "one of the flags D to I is not set");
    if ((policy->flags & MIKEY_FLAG_M) != 0)
        return refuse_grant(o, "who answers may bring keys of his own (M)");
    if (!policy->has_end || policy->end_unix > o->asked_end_unix)
        return refuse_grant(o, "it is good for longer");
    if (policy->n_responders != g_strv_length(o->ticket_for))
        return refuse_grant(o, "it names more people, or fewer");
    for (gsize i = 0; i < policy->n_responders; i++) {
        g_autofree char *name = clv_ticket_identity(&policy->responders[i]);

        if (name == NULL || !is_named(o, name))
            return refuse_grant(o, "it names somebody else");
    }
    if (o->purpose == CLV_PURPOSE_REFER &&
        !mikey_policy_allows_application(policy, mikey_bytes_str("conclave:refer")))
        return refuse_grant(o, "it is not good for a REFER");
    return TRUE;
}

/* One TGK: it is forked, so that every responder has keys of his own. */
static gboolean
check_grant(TicketOfferer *o)
{
    const MikeyKeyData *key = mikey_grant_key(o->grant, 0);

    if (!check_policy(o, mikey_grant_policy(o->grant)))
        return FALSE;
    if (mikey_grant_n_keys(o->grant) != 1 ||
        (key->type != MIKEY_KEY_TGK && key->type != MIKEY_KEY_TGK_SALT) || key->key.len != TGK_LEN)
        return refuse_grant(o, "it does not hold one TGK of 256 bits");
    return TRUE;
}

static gboolean
make_transfer(TicketOfferer *o, const MikeyEnv *env)
{
    MikeyLine lines[CLV_SDP_MAX_MEDIA] = {{.keyed = false}};
    MikeyTransferSetup setup = {
        .responder = mikey_identity_uri(o->target),
        .lines = lines,
        .n_lines = o->media_line,
        .profiles = o->profiles,
        .n_profiles = o->media_line > 0 ? o->n_profiles : 0,
        .sdp_ids = mikey_bytes_str("mikey"), /* we offer no other */
    };
    MikeyStatus status;

    if (!o->config.random(o->config.random_user, (guint8 *)&setup.csb_id, sizeof(setup.csb_id)))
        return clv_ticket_refuse(&o->refusal, CLV_CODE_INTERNAL, MIKEY_NO_RANDOM,
                                 "no random octets for a CSB ID");
    if (o->media_line > 0)
        lines[o->media_line - 1] = (MikeyLine){.keyed = true, .ssrc = o->local_ssrc};
    status = mikey_transfer_new(o->grant, &setup, env, &o->transfer);
    return status == MIKEY_OK ||
           clv_ticket_refuse(&o->refusal, CLV_CODE_INTERNAL, MIKEY_REFUSED,
                             "making a TRANSFER_INIT: %s", mikey_status_string(status));
}

static gboolean
make_offer(TicketOfferer *o, const ClvKeymgmtInput *in, ClvKeymgmtOutput *out)
{
    MikeyEnv env = clv_ticket_env(&o->config, in->now_us);
    MikeyPeerError kms_error = {0, false};
    MikeyStatus status = mikey_request_finish(o->request, mikey_bytes(in->bytes, in->len), &env,
                                              &o->grant, &kms_error);

    if (status != MIKEY_OK)
        return clv_ticket_refuse_kms(&o->refusal, CLV_KMS_TICKET_REQUEST, status, &kms_error);
    if (!check_grant(o) || !make_transfer(o, &env))
        return FALSE;

    out->answer_at_session = TRUE;
    out->expires_us = mikey_grant_policy(o->grant)->end_unix * G_USEC_PER_SEC;
    return clv_ticket_encode_line(mikey_transfer_octets(o->transfer), &out->answer_line,
                                  &o->refusal);
}

/* ---- answers ---- */

static gboolean
refuse_answer(TicketOfferer *o, MikeyStatus status, const MikeyPeerError *error)
{
    if (status == MIKEY_PEER_ERROR)
        return clv_ticket_refuse(&o->refusal, CLV_CODE_KEYMGMT_FAILED, status,
                                 "who was called answers with error %u (%s, %s)", error->number,
                                 mikey_error_string(error->number),
                                 error->authentic ? "authentic" : "not authenticated");
    return clv_ticket_refuse_peer(&o->refusal, status, "TRANSFER_RESP");
}

/* V was right, so the KMS has let this very person have the ticket resolved; but a KMS may know
 * rules by which somebody answers for another one, and we asked for these alone. */
static gboolean
check_who_answered(TicketOfferer *o, const MikeyBundle *bundle, ClvKeymgmtOutput *out)
{
    MikeyIdentity peer = mikey_bundle_peer(bundle);

    out->identity = clv_ticket_identity(&peer);
    if (out->identity != NULL && is_named(o, out->identity))
        return TRUE;
    return clv_ticket_refuse(&o->refusal, CLV_CODE_FORBIDDEN, MIKEY_BAD_IDENTITY,
                             "%s has answered, whom the ticket does not name",
                             out->identity != NULL ? out->identity : "somebody without a URI");
}

static gboolean
take_bundle(TicketOfferer *o, MikeyBundle *bundle, ClvKeymgmtOutput *out)
{
    if (!check_who_answered(o, bundle, out) ||
        !clv_ticket_take_keys(bundle, o->media_line, TRUE, out, &o->refusal))
        return FALSE;

    out->ticket_hash = clv_ticket_hash(mikey_grant_ticket(o->grant));
    if (out->ticket_hash == NULL)
        return clv_ticket_refuse(&o->refusal, CLV_CODE_INTERNAL, MIKEY_CRYPTO,
                                 "no digest of the ticket");
    out->proof = CLV_PROOF_TICKET;
    out->expires_us = mikey_grant_policy(o->grant)->end_unix * G_USEC_PER_SEC;
    return TRUE;
}

static gboolean
take_answer(TicketOfferer *o, const ClvKeymgmtInput *in, ClvKeymgmtOutput *out)
{
    MikeyEnv env = clv_ticket_env(&o->config, in->now_us);
    MikeyBuffer message = MIKEY_BUFFER_INIT;
    MikeyBundle *bundle = NULL;
    MikeyPeerError error = {0, false};
    MikeyStatus status;
    gboolean taken;

    if (in->answer == NULL)
        return clv_ticket_refuse(&o->refusal, CLV_CODE_INTERNAL, MIKEY_ARGUMENT,
                                 "mikey-ticket: a step without an answer");
    if (!clv_ticket_answer_read(in->answer, o->media_line, &message, &o->refusal))
        return FALSE;
    status = mikey_transfer_finish(o->transfer, mikey_bytes(message.data, message.len), &env,
                                   &bundle, &error);
    mikey_buffer_clear(&message);
    if (status != MIKEY_OK)
        return refuse_answer(o, status, &error);

    taken = take_bundle(o, bundle, out);
    if (taken)
        out->session = clv_ticket_session_new(bundle, o->media_line, TRUE, out);
    else
        mikey_bundle_free(bundle);
    return taken;
}

/* ---- the door ---- */

static ClvKeymgmtNext
fail(TicketOfferer *o, ClvKeymgmtOutput *out, GError **error)
{
    clv_keymgmt_output_clear(out);
    g_propagate_error(error, g_steal_pointer(&o->refusal.error));
    if (o->stage != OFFERER_OFFERED)
        o->stage = OFFERER_OVER;
    return CLV_KEYMGMT_FAILED;
}

static ClvKeymgmtNext
offerer_step(ClvKeymgmtState *state, const ClvKeymgmtInput *in, ClvKeymgmtOutput *out,
             GError **error)
{
    TicketOfferer *o = (TicketOfferer *)state;

    clv_keymgmt_output_clear(out);
    switch (o->stage) {
    case OFFERER_OPENED:
        if (!ask_for_ticket(o, in, out))
            return fail(o, out, error);
        o->stage = OFFERER_ASKED;
        return CLV_KEYMGMT_WANT_KMS;
    case OFFERER_ASKED:
        if (!make_offer(o, in, out))
            return fail(o, out, error);
        o->stage = OFFERER_OFFERED;
        return CLV_KEYMGMT_WANT_PEER;
    case OFFERER_OFFERED:
        return take_answer(o, in, out) ? CLV_KEYMGMT_DONE : fail(o, out, error);
    case OFFERER_OVER:
        break;
    }

    g_set_error_literal(error, CLV_KEYMGMT_ERROR, CLV_CODE_INTERNAL,
                        "mikey-ticket: a step after the last one");
    return CLV_KEYMGMT_FAILED;
}

static void
offerer_close(ClvKeymgmtState *state)
{
    TicketOfferer *o = (TicketOfferer *)state;

    mikey_request_free(o->request);
    mikey_grant_free(o->grant);
    mikey_transfer_free(o->transfer);
    g_clear_error(&o->refusal.error);
    g_free(o->focus_uri);
    g_free(o->target);
    g_strfreev(o->ticket_for);
    g_free(o);
}

ClvKeymgmtState *
clv_ticket_offerer_new(const ClvKeymgmtCall *call, GError **error)
{
    const char *const only_target[] = {call->target, NULL};
    TicketOfferer *o;

    if (call->media_index != G_MAXUINT &&
        (call->media_index >= CLV_SDP_MAX_MEDIA || call->suites[0] == CLV_SRTP_NONE)) {
        g_set_error_literal(error, CLV_KEYMGMT_ERROR, CLV_CODE_INTERNAL,
                            "mikey-ticket: an offer without such an m-line or without a suite");
        return NULL;
    }

    o = g_new0(TicketOfferer, 1);
    o->base = (ClvKeymgmtState){offerer_step, offerer_close};
    o->config = *call->config;
    o->purpose = call->purpose;
    o->focus_uri = g_strdup(call->focus_uri);
    o->target = g_strdup(call->target);
    o->ticket_for = g_strdupv((char **)(call->ticket_for != NULL ? call->ticket_for : only_target));
    o->lifetime_s = call->ticket_lifetime_s;
    o->media_line = call->media_index != G_MAXUINT ? call->media_index + 1 : 0;
    if (o->media_line > 0)
        o->n_profiles = clv_ticket_profiles(call->suites, o->profiles);
    o->local_ssrc = call->local_ssrc;
    return &o->base;
}
