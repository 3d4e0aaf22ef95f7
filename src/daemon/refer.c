/* SPDX-License-Identifier: Apache-2.0 */
/* daemon/refer.c - REFERs on their way: the conference judges, their tickets go through the KMS
 *
 * A REFER lives from its arrival until it is refused or its last NOTIFY is out. Its ticket keys
 * nothing: it proves who asks, and that he asked for this very person (5.5 of the digest).
 */
#include "daemon/hub-private.h"

#include <string.h>

typedef struct Refer {
    ClvReferId id;
    ClvHub *hub;
    ClvConferenceId room;
    ClvEvRefer event; /* its strings belong here */
    ClvSdp *ticket;   /* (nullable) */
    char *request_uri, *call_id;
    gboolean accepted;

    const ClvKeymgmtOps *ops; /* (nullable) */
    ClvKeymgmtState *state;   /* (nullable) */
    ClvKeymgmtConfig config;  /* outlives the state */
    ClvKeymgmtOutput out;
    ClvEvKeys keys; /* points into out */
    guint64 ask;
} Refer;

/* ---- life ---- */

static void
forget_keys(Refer *r)
{
    ask_forget(r->hub, r->ask);
    r->ask = 0;
    if (r->state != NULL)
        r->ops->close(g_steal_pointer(&r->state));
    if (r->out.session != NULL)
        r->ops->session_free(g_steal_pointer(&r->out.session));
    clv_keymgmt_output_clear(&r->out);
}

static void
refer_free(gpointer data)
{
    Refer *r = data;

    forget_keys(r);
    clv_sdp_free(r->ticket);
    g_free((char *)r->event.identity);
    g_strfreev((char **)r->event.identities);
    g_free((char *)r->event.peer);
    g_free((char *)r->event.peer_name);
    g_free((char *)r->event.target);
    g_free((char *)r->event.referred_by);
    g_free((char *)r->event.replaces);
    g_free(r->request_uri);
    g_free(r->call_id);
    g_free(r);
}

void
refer_open(ClvHub *hub)
{
    hub->refers = g_hash_table_new_full(g_int64_hash, g_int64_equal, NULL, refer_free);
}

void
refer_close(ClvHub *hub)
{
    g_clear_pointer(&hub->refers, g_hash_table_unref);
}

static Refer *
find(ClvHub *hub, ClvReferId id)
{
    return g_hash_table_lookup(hub->refers, &id);
}

gboolean
refer_is_live(ClvHub *hub, ClvReferId id)
{
    return find(hub, id) != NULL;
}

/* ---- arrival ---- */

gboolean
refer_is_ours(ClvHub *hub, const Room *room, const char *target)
{
    const Room *other = g_hash_table_lookup(hub->rooms_by_uri, target);

    return (other != NULL && other != room) || clv_policy_find_factory(hub->policy, target) != NULL;
}

static Refer *
refer_new(ClvHub *hub, const Room *room, const ClvSipRefer *from)
{
    const ClvKeymgmtOps *ops = clv_keymgmt_find(CLV_SCHEME_MIKEY_TICKET);
    Refer *r = g_new0(Refer, 1);

    r->id = from->refer;
    r->hub = hub;
    r->room = room->id;
    r->ticket = from->ticket != NULL ? clv_sdp_copy(from->ticket) : NULL;
    r->request_uri = g_strdup(from->request_uri);
    r->call_id = g_strdup(from->call_id);
    r->event = (ClvEvRefer){
        .refer = from->refer,
        .leg = from->leg,
        .leg_is_named = from->leg_is_named,
        .identity = g_strdup(from->identity),
        .identities = (const char *const *)g_strdupv((char **)from->identities),
        .proof = from->proof,
        .peer = g_strdup(from->peer),
        .peer_name = g_strdup(from->peer_name),
        .ticket_offered =
            r->ticket != NULL && ops != NULL && ops->offered(r->ticket, G_MAXUINT),
        .anonymous = from->privacy_id,
        .secured = from->secured,
        .tls = from->tls,
        .target = g_strdup(from->target),
        .target_is_ours = refer_is_ours(hub, room, from->target),
        .removes = from->removes,
        .names_dialog = from->names_dialog,
        .target_leg = from->target_leg,
        .referred_by = g_strdup(from->referred_by),
        .replaces = g_strdup(from->replaces),
    };
    return r;
}

void
refer_take(ClvHub *hub, const ClvSipRefer *from)
{
    Room *room = g_hash_table_lookup(hub->rooms_by_uri, from->request_uri);
    ClvEvent event = {.kind = CLV_EV_REFER, .refer_id = from->refer};
    Refer *r;

    if (room == NULL || hub->stopping) {
        clv_sip_refer_reply(hub->sip, from->refer,
                            room == NULL ? CLV_CODE_NOT_FOUND : CLV_CODE_OVERLOAD, FALSE);
        return;
    }
    r = refer_new(hub, room, from);
    g_hash_table_insert(hub->refers, &r->id, r);
    event.refer = &r->event;
    hub_feed(hub, room->id, &event);
}

/* ---- answers ---- */

void
refer_reply(ClvHub *hub, ClvReferId id, ClvCode code, gboolean plain_200)
{
    Refer *r = find(hub, id);

    if (r == NULL || r->accepted)
        return;
    clv_sip_refer_reply(hub->sip, id, code, plain_200);
    if (code == CLV_CODE_OK)
        r->accepted = TRUE;
    else
        g_hash_table_remove(hub->refers, &id);
}

void
refer_notify(ClvHub *hub, ClvReferId id, guint status, gboolean last)
{
    if (find(hub, id) == NULL)
        return;
    clv_sip_refer_notify(hub->sip, id, status, NULL, last);
    if (last)
        g_hash_table_remove(hub->refers, &id);
}

void
refer_forget_room(ClvHub *hub, ClvConferenceId room)
{
    GHashTableIter iter;
    gpointer value;

    g_hash_table_iter_init(&iter, hub->refers);
    while (g_hash_table_iter_next(&iter, NULL, &value)) {
        Refer *r = value;

        if (r->room != room)
            continue;
        if (r->accepted)
            clv_sip_refer_notify(hub->sip, r->id, 404, NULL, TRUE);
        else
            clv_sip_refer_reply(hub->sip, r->id, CLV_CODE_NOT_FOUND, FALSE);
        g_hash_table_iter_remove(&iter);
    }
}

/* ---- the ticket ---- */

/* Before the KMS has been asked that is the answer to the REFER, a 488 or 503; after it, news. */
static void
keys_failed(Refer *r, ClvCode code, const char *why)
{
    ClvEvent event = {.kind = CLV_EV_REFER_FAILED, .refer_id = r->id, .code = code, .cause = why};
    ClvConferenceId room = r->room;
    ClvHub *hub = r->hub;

    if (r->out.forged)
        hub_log(hub, CLV_LOG_WARNING, NULL, hub_room(hub, room), "auth-failure",
                "REFER from %s: %s", r->event.peer, why);
    forget_keys(r);
    if (!r->accepted)
        refer_reply(hub, r->id, code, FALSE); /* r is gone */
    hub_feed(hub, room, &event);
}

static void
keys_done(Refer *r)
{
    ClvEvent event = {.kind = CLV_EV_REFER_KEYS, .refer_id = r->id, .keys = &r->keys};

    r->keys = call_ev_keys(r->ops, &r->out);
    clv_sip_refer_proven(r->hub->sip, r->id);
    hub_feed(r->hub, r->room, &event);
}

static void kms_replied(ClvHub *hub, guint64 asker, guint64 ask, const ClvKmsReply *reply);

static void
ask(Refer *r)
{
    Ask question = {
        .func = kms_replied,
        .asker = r->id,
        .room = r->room,
        .source = r->event.proof == CLV_PROOF_ASSERTED ? r->event.identity : r->event.peer_name,
        .share = r->event.proof != CLV_PROOF_NONE || (r->event.leg != 0 && !r->event.leg_is_named)
                     ? ASK_WHOLE
                     : ask_share(r->hub, r->room, r->out.claimed),
    };
    const char *why = NULL;
    ClvCode code;

    r->ask = ask_kms(r->hub, &question, r->out.kms_request, r->out.bytes, &code, &why);
    if (r->ask == 0)
        keys_failed(r, code, why);
}

static void
step(Refer *r, const ClvKeymgmtInput *in)
{
    g_autoptr(GError) error = NULL;

    switch (r->ops->step(r->state, in, &r->out, &error)) {
    case CLV_KEYMGMT_WANT_KMS:
        ask(r);
        return;
    case CLV_KEYMGMT_DONE:
        keys_done(r);
        return;
    case CLV_KEYMGMT_WANT_PEER:
    case CLV_KEYMGMT_FAILED:
        keys_failed(r, error != NULL ? (ClvCode)error->code : CLV_CODE_INTERNAL,
                    error != NULL ? error->message : "the scheme asked the peer");
        return;
    }
}

static void
kms_replied(ClvHub *hub, guint64 asker, guint64 ask, const ClvKmsReply *reply)
{
    Refer *r = find(hub, asker);
    ClvKeymgmtInput in = {.now_us = hub_wall()};

    if (r == NULL || r->ask != ask || r->state == NULL)
        return;
    r->ask = 0;
    if (reply->code != CLV_CODE_OK) {
        keys_failed(r, reply->code, reply->detail != NULL ? reply->detail : "KMS error");
        return;
    }
    in.bytes = reply->body->data;
    in.len = reply->body->len;
    step(r, &in);
}

void
refer_open_keys(ClvHub *hub, Room *room, ClvReferId id)
{
    static const ClvSrtpSuite none[] = {CLV_SRTP_NONE};
    const ClvPolicyView *view = clv_conference_policy(room->conference);
    Refer *r = find(hub, id);
    ClvKeymgmtInput in = {.now_us = hub_wall()};
    g_autoptr(GError) error = NULL;
    ClvKeymgmtSetup setup;

    if (r == NULL)
        return;
    r->ops = clv_keymgmt_find(CLV_SCHEME_MIKEY_TICKET);
    r->config = hub->kms.keymgmt;
    r->config.max_ticket_lifetime_s = clv_policy_max_ticket_lifetime_s(view);
    r->config.max_responders = clv_policy_max_participants(view) + 2;
    r->config.foreign_kms = clv_policy_relays_foreign_kms(view);
    setup = (ClvKeymgmtSetup){
        .config = &r->config,
        .purpose = CLV_PURPOSE_REFER,
        .offer = r->ticket,
        .media_index = G_MAXUINT,
        .focus_uri = clv_conference_uri(room->conference),
        .request_uri = r->request_uri,
        .suites = none,
        .now_us = in.now_us,
    };
    r->state = r->ticket != NULL ? r->ops->open(&setup, &error) : NULL;
    if (r->state == NULL)
        keys_failed(r, error != NULL ? (ClvCode)error->code : CLV_CODE_KEYMGMT_UNACCEPTABLE,
                    error != NULL ? error->message : "no ticket");
    else
        step(r, &in);
}
