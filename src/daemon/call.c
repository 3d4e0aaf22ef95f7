/* SPDX-License-Identifier: Apache-2.0 */
/* daemon/call.c - one leg's way from an offer to an answer
 *
 * The conference says when; this file carries the offer through SDP choice, key management (with
 * the KMS when it asks), media and the answer. A re-offer takes the same way in leg->next and
 * changes nothing of what is in force until it is answered.
 */
#include <string.h>

#include "base/identity.h"
#include "base/secret.h"
#include "daemon/hub-private.h"

#define PROGRESS_MS 200 /* longer at the KMS: the caller hears 183 (4.2 of the digest) */
#define HURRIED_MS 4000 /* so long at the KMS while an UPDATE waits, which hears no 183 (4.2) */
#define PTIME_MS 20

static const char *const codecs[] = {"PCMA", "PCMU", NULL};

/* ---- a leg ---- */

Leg *
call_new(ClvHub *hub)
{
    Leg *leg = g_new0(Leg, 1);

    leg->hub = hub;
    leg->id = clv_id_add(hub->legs, leg);
    leg->sip_alive = TRUE;
    clv_random(NULL, (guint8 *)&leg->sdp_id, sizeof leg->sdp_id);
    leg->sdp_id >>= 2; /* fits a signed number at the other end */
    leg->sdp_version = 1;
    return leg;
}

static void
close_state(Negotiation *n)
{
    if (n->state != NULL)
        n->ops->close(g_steal_pointer(&n->state));
}

static void
drop_session(Leg *leg)
{
    if (leg->session != NULL)
        leg->session_ops->session_free(g_steal_pointer(&leg->session));
}

/* What the exchange left behind is there for the next one in this dialog. */
void
call_take_session(Leg *leg, const ClvKeymgmtOps *ops, ClvKeymgmtOutput *out)
{
    if (out->session == NULL)
        return; /* an update, or a scheme that remembers nothing */
    drop_session(leg);
    leg->session_ops = ops;
    leg->session = g_steal_pointer(&out->session);
}

static void
drop_output_session(Negotiation *n)
{
    if (n->out.session != NULL)
        n->ops->session_free(g_steal_pointer(&n->out.session));
}

static void
negotiation_clear(Leg *leg, Negotiation *n)
{
    ask_forget(leg->hub, n->ask);
    close_state(n);
    drop_output_session(n);
    clv_keymgmt_output_clear(&n->out);
    clv_sdp_free(n->offer);
    g_free(n->key_id);
    memset(n, 0, sizeof *n);
}

void
call_free(Leg *leg)
{
    clv_timer_cancel(leg->progress);
    dial_free(leg);
    dial_take_who(leg, NULL);
    negotiation_clear(leg, &leg->now);
    negotiation_clear(leg, &leg->next);
    drop_session(leg);
    g_free(leg->peer_name);
    g_free(leg->referred_by);
    g_strfreev(leg->identities);
    if (leg->uri_list != NULL)
        g_ptr_array_unref(leg->uri_list);
    clv_secret_free_string(leg->answer);
    clv_secret_free_string(leg->key_line);
    g_free(leg->identity);
    g_free(leg->display_name);
    g_free(leg->peer);
    g_free(leg->call_id);
    g_free(leg->request_uri);
    g_free(leg->local_host);
    g_free(leg);
}

ClvSdpLocal
call_sdp_local(const Leg *leg)
{
    const char *media = leg->hub->config->media_address;

    return (ClvSdpLocal){
        .host = media != NULL ? media : leg->local_host,
        .session_id = leg->sdp_id,
        .version = leg->sdp_version,
        .codecs = codecs,
    };
}

static guint
key_media_index(const Negotiation *n)
{
    return n->choice.no_media ? G_MAXUINT : n->choice.media_index;
}

static gboolean
offers_ticket(const Negotiation *n)
{
    const ClvKeymgmtOps *ops = clv_keymgmt_find(CLV_SCHEME_MIKEY_TICKET);

    return ops != NULL && ops->offered(n->offer, key_media_index(n));
}

static void
negotiation_begin(Leg *leg, Negotiation *n, const ClvSdp *offer)
{
    ClvSdpLocal local = call_sdp_local(leg);

    n->offer = clv_sdp_copy(offer);
    n->media_code = clv_sdp_choose(n->offer, &local, &n->choice);
}

/* How the peer sees its direction: the mirror of ours. */
ClvDirection
call_mirror(ClvDirection ours)
{
    return (ClvDirection)(((ours & CLV_DIR_SENDONLY) ? CLV_DIR_RECVONLY : 0) |
                          ((ours & CLV_DIR_RECVONLY) ? CLV_DIR_SENDONLY : 0));
}

/* RFC 3323 4.1.1, and nobody who says who it is; an assertion without Privacy is for all to see. */
static gboolean
hides_behind_from(const ClvSipInvite *invite)
{
    return invite->identity == NULL && invite->from_uri != NULL &&
           clv_identity_is_anonymous(invite->from_uri);
}

void
call_take_invite(Leg *leg, const ClvSipInvite *invite)
{
    gboolean ticket;

    leg->identity = g_strdup(invite->identity);
    leg->display_name = g_strdup(invite->display_name);
    leg->peer = g_strdup(invite->peer);
    leg->call_id = g_strdup(invite->call_id);
    leg->request_uri = g_strdup(invite->request_uri);
    leg->local_host = g_strdup(invite->local_host);
    leg->peer_name = g_strdup(invite->peer_name);
    leg->referred_by = g_strdup(invite->referred_by);
    leg->identities = g_strdupv((char **)invite->identities);
    leg->uri_list = invite->uri_list != NULL ? g_ptr_array_ref(invite->uri_list) : NULL;
    leg->purpose = invite->target == CLV_TARGET_FACTORY ? CLV_PURPOSE_CREATE : CLV_PURPOSE_JOIN;
    if (invite->offer != NULL)
        negotiation_begin(leg, &leg->now, invite->offer);
    ticket = leg->now.offer != NULL && offers_ticket(&leg->now);
    leg->join = (ClvEvJoin){
        .identity = leg->identity,
        .proof = invite->proof,
        .display_name = leg->display_name,
        .peer = leg->peer,
        .creates = leg->purpose == CLV_PURPOSE_CREATE,
        .ticket_offered = ticket,
        .anonymous = invite->privacy_id || (!ticket && hides_behind_from(invite)),
        .diverted = invite->diverted,
        .secured = invite->secured,
        .tls = invite->tls,
        .has_media = !leg->now.choice.no_media,
        .peer_direction = call_mirror(leg->now.choice.direction),
        .identities = (const char *const *)leg->identities,
        .peer_name = leg->peer_name,
        .uri_list = leg->uri_list,
        .replaces = invite->replaces,
        .referred_by = leg->referred_by,
    };
}

/* ---- key management ---- */

static void
keys_failed(Leg *leg, Negotiation *n, ClvCode code, const char *why)
{
    hub_log(leg->hub, n->out.forged ? CLV_LOG_WARNING : CLV_LOG_NOTICE, leg,
            hub_room(leg->hub, leg->room), n->out.forged ? "auth-failure" : "key-management-failed",
            "key management failed: %s", why);
    clv_timer_cancel(g_steal_pointer(&leg->progress));
    if (n == &leg->now) {
        ClvEvent event = {.kind = CLV_EV_KEYS_FAILED, .leg = leg->id, .code = code};

        hub_feed(leg->hub, leg->room, &event);
        return;
    }
    call_refuse(leg, code, 0);
}

ClvEvKeys
call_ev_keys(const ClvKeymgmtOps *ops, const ClvKeymgmtOutput *out)
{
    return (ClvEvKeys){
        .updates_session = out->updates_session,
        .proof = out->proof,
        .scheme = ops->scheme,
        .suite = out->has_media ? out->tx.suite : CLV_SRTP_NONE,
        .identity = out->identity,
        .ticket_names = (const char *const *)out->ticket_names,
        .ticket_hash = out->ticket_hash,
        .expires_us = out->expires_us,
        .sets_allowed = out->sets_allowed,
    };
}

/* The key management has said all that it has to say; now the conference is asked. */
static void
keys_done(Leg *leg, Room *room, Negotiation *n)
{
    gboolean first = n == &leg->now;
    ClvEvent event = {.kind = first ? CLV_EV_KEYS : CLV_EV_REOFFER_KEYS,
                      .leg = leg->id,
                      .keys = &n->keys};

    clv_timer_cancel(g_steal_pointer(&leg->progress));
    close_state(n); /* and what it knows of keys */
    n->keyed = n->out.has_media;
    n->keys = call_ev_keys(n->ops, &n->out);
    if (first && leg->join.creates)
        hub_census(leg->hub, room, n->out.identity != NULL ? n->out.identity : leg->identity,
                   &n->keys.n_by_creator, &n->keys.n_total);
    if (first && n->out.identity != NULL && leg->identity == NULL)
        leg->identity = g_strdup(n->out.identity);
    hub_feed(leg->hub, leg->room, &event);
}

static void
progress_due(void *user)
{
    Leg *leg = user;
    Room *room = hub_room(leg->hub, leg->room);

    leg->progress = NULL;
    if (room != NULL)
        clv_sip_progress(leg->hub->sip, leg->id, 183, clv_conference_uri(room->conference));
}

const char *
call_source(const Leg *leg)
{
    return leg->join.proof == CLV_PROOF_ASSERTED ? leg->join.identity : leg->peer_name;
}

static void kms_replied(ClvHub *hub, guint64 asker, guint64 ask, const ClvKmsReply *reply);

static void
ask(Leg *leg, Negotiation *n)
{
    ClvHub *hub = leg->hub;
    Ask question = {
        .func = kms_replied,
        .asker = leg->id,
        .room = leg->room,
        .source = call_source(leg),
        .share = leg->accepted || leg->join.proof != CLV_PROOF_NONE
                     ? ASK_WHOLE
                     : ask_share(hub, leg->room, n->out.claimed),
    };
    const char *why = NULL;
    ClvCode code;

    if (n->answer_by_us > 0)
        question.limit_ms = MAX(1, (n->answer_by_us - hub_now()) / 1000);
    n->ask = ask_kms(hub, &question, n->out.kms_request, n->out.bytes, &code, &why);
    if (n->ask == 0) {
        keys_failed(leg, n, code, why);
        return;
    }
    if (leg->progress == NULL && n == &leg->now)
        leg->progress = clv_loop_timer(hub->loop, PROGRESS_MS, progress_due, leg);
}

static void
step_keys(Leg *leg, Room *room, Negotiation *n, const guint8 *bytes, gsize len)
{
    ClvKeymgmtInput in = {.now_us = hub_wall(), .bytes = bytes, .len = len};
    g_autoptr(GError) error = NULL;

    switch (n->ops->step(n->state, &in, &n->out, &error)) {
    case CLV_KEYMGMT_WANT_KMS:
        ask(leg, n);
        return;
    case CLV_KEYMGMT_DONE:
        keys_done(leg, room, n);
        return;
    case CLV_KEYMGMT_WANT_PEER: /* an answerer has nothing more to ask */
    case CLV_KEYMGMT_FAILED:
        keys_failed(leg, n, error != NULL ? (ClvCode)error->code : CLV_CODE_INTERNAL,
                    error != NULL ? error->message : "the scheme asked the peer");
        return;
    }
}

static const char *
why_not(const Negotiation *n, ClvCode code)
{
    const ClvSipStatus *status = clv_sip_status(code);

    if (code == CLV_CODE_UNSECURED && n->offer != NULL && n->offer->capneg)
        return "secured media required: a potential configuration (a=pcfg, RFC 5939) is not read, the "
               "m= line itself must say RTP/SAVP";
    return status->warning_text != NULL ? status->warning_text : status->phrase;
}

static void
open_keys(Leg *leg, Room *room, Negotiation *n)
{
    ClvHub *hub = leg->hub;
    const ClvPolicyView *view = clv_conference_policy(room->conference);
    const ClvPolicyFactory *factory = clv_policy_find_factory(hub->policy, leg->request_uri);
    g_autoptr(GError) error = NULL;
    ClvCode code = n->media_code;
    ClvKeymgmtSetup setup;

    if (code == CLV_CODE_OK)
        n->ops = clv_keymgmt_choose(n->offer, key_media_index(n), clv_policy_schemes(view),
                                    leg->join.secured, &code);
    if (n->ops == NULL) {
        keys_failed(leg, n, code, why_not(n, code));
        return;
    }
    if (n == &leg->next && leg->scheme != CLV_SCHEME_NONE && n->ops->scheme != leg->scheme) {
        keys_failed(leg, n, CLV_CODE_KEYMGMT_UNACCEPTABLE,
                    "a re-offer may not change the key management that the caller was admitted by");
        return;
    }
    n->key_id = n->ops->offer_id(n->offer, key_media_index(n));
    if (leg->ssrc == 0)
        leg->ssrc = clv_media_new_ssrc(hub->media, room->id);
    n->config = hub->kms.keymgmt;
    n->config.max_ticket_lifetime_s = clv_policy_max_ticket_lifetime_s(view);
    n->config.max_responders = clv_policy_max_participants(view) + 2;
    n->config.foreign_kms = clv_policy_relays_foreign_kms(view);
    setup = (ClvKeymgmtSetup){
        .config = &n->config,
        .purpose = leg->purpose,
        .offer = n->offer,
        .media_index = key_media_index(n),
        .focus_uri = clv_conference_uri(room->conference),
        .factory_uris = factory != NULL ? factory->uris : NULL,
        .request_uri = leg->request_uri,
        .creation_ticket = clv_conference_creation_ticket(room->conference),
        .suites = clv_policy_suites(view),
        .local_ssrc = leg->ssrc,
        .now_us = hub_wall(),
        .session = n == &leg->next && leg->session_ops == n->ops ? leg->session : NULL,
    };
    n->state = n->ops->open(&setup, &error);
    if (n->state == NULL) {
        keys_failed(leg, n, (ClvCode)error->code, error->message);
        return;
    }
    step_keys(leg, room, n, NULL, 0);
}

/* A conference that the KMS is to know is announced before its creation is resolved (5.1 step 3). */
void
call_open_keys(Leg *leg, Room *room)
{
    ClvCode code = CLV_CODE_OK;

    if (!leg->join.creates || !announce_is_due(leg->hub, room)) {
        open_keys(leg, room, &leg->now);
        return;
    }
    code = announce_room(leg->hub, room, leg->id);
    if (code != CLV_CODE_OK)
        keys_failed(leg, &leg->now, code, "the KMS cannot be told of the conference");
}

void
call_announced(Leg *leg, Room *room, ClvCode code)
{
    if (leg->now.ops != NULL || leg->now.offer == NULL)
        return;
    if (code == CLV_CODE_OK)
        open_keys(leg, room, &leg->now);
    else
        keys_failed(leg, &leg->now, code, "the KMS does not take the conference into its list");
}

static void
kms_replied(ClvHub *hub, guint64 asker, guint64 ask, const ClvKmsReply *reply)
{
    Leg *leg = hub_leg(hub, asker);
    Room *room = leg != NULL ? hub_room(hub, leg->room) : NULL;
    Negotiation *n;

    if (room == NULL)
        return;
    n = leg->next.ask == ask ? &leg->next : &leg->now;
    if (n->ask != ask || n->state == NULL)
        return;
    n->ask = 0;
    if (reply->code != CLV_CODE_OK)
        keys_failed(leg, n, reply->code, reply->detail != NULL ? reply->detail : "KMS error");
    else
        step_keys(leg, room, n, reply->body->data, reply->body->len);
}

void
call_forget_keys(Leg *leg)
{
    clv_timer_cancel(g_steal_pointer(&leg->progress));
    ask_forget(leg->hub, leg->now.ask);
    leg->now.ask = 0;
    negotiation_clear(leg, &leg->next);
}

/* ---- media ---- */

static void
media_failed(Leg *leg, const GError *error)
{
    ClvEvent event = {.kind = CLV_EV_MEDIA_FAILED, .leg = leg->id, .code = CLV_CODE_OVERLOAD};

    hub_log(leg->hub, CLV_LOG_WARNING, leg, NULL, "media-failed", "no media: %s", error->message);
    hub_feed(leg->hub, leg->room, &event);
}

static ClvMediaSetup
media_setup(const Leg *leg, const Room *room, const Negotiation *n, const char *host)
{
    const ClvSdpMedia *offered = &n->offer->media[n->choice.media_index];

    return (ClvMediaSetup){
        .cname = strchr(clv_conference_uri(room->conference), ':') + 1, /* token@host */
        .leg = leg->id,
        .conference = room->id,
        .local_host = host,
        .remote_rtp = offered->rtp,
        .remote_rtcp = offered->rtcp,
        .rtcp_mux = offered->rtcp_mux,
        .pt = n->choice.codec.pt,
        .codec = n->choice.codec.name,
        .dtmf_pt = n->choice.dtmf_pt,
        .ptime_ms = PTIME_MS,
        .direction = n->choice.direction,
        .rx = n->out.rx,
        .tx = n->out.tx,
        .has_local_ssrc = TRUE,
        .local_ssrc = leg->ssrc,
    };
}

/* ports: (transfer full) */
gboolean
call_start_media(Leg *leg, Room *room, const Negotiation *n, ClvMediaPorts *ports, GError **error)
{
    ClvSdpLocal local = call_sdp_local(leg);
    ClvMediaSetup setup;

    leg->rtp_port = clv_media_ports_rtp(ports);
    leg->rtcp_port = clv_media_ports_rtcp(ports);
    setup = media_setup(leg, room, n, local.host);
    leg->media_open = clv_media_open(leg->hub->media, &setup, ports, error);
    clv_srtp_keys_clear(&setup.rx);
    clv_srtp_keys_clear(&setup.tx);
    return leg->media_open;
}

static gboolean
open_media(Leg *leg, Room *room, const Negotiation *n, GError **error)
{
    ClvMediaPorts *ports =
        clv_media_ports_open(leg->hub->media, call_sdp_local(leg).host, error);

    return ports != NULL && call_start_media(leg, room, n, ports, error);
}

static void
wipe_keys(Negotiation *n)
{
    clv_srtp_keys_clear(&n->out.rx);
    clv_srtp_keys_clear(&n->out.tx);
    n->keyed = FALSE;
}

/* A call of ours has had its ports since its offer. */
static gboolean
open_first_media(Leg *leg, Room *room, GError **error)
{
    if (leg->dial == NULL || leg->dial->ports == NULL)
        return open_media(leg, room, &leg->now, error);
    return call_start_media(leg, room, &leg->now, g_steal_pointer(&leg->dial->ports), error);
}

void
call_open_media(Leg *leg, Room *room)
{
    ClvEvent ready = {.kind = CLV_EV_MEDIA_READY, .leg = leg->id};
    g_autoptr(GError) error = NULL;

    if (leg->now.out.has_media && !open_first_media(leg, room, &error)) {
        wipe_keys(&leg->now);
        media_failed(leg, error);
        return;
    }
    wipe_keys(&leg->now);
    hub_feed(leg->hub, leg->room, &ready);
}

/* ---- answers ---- */

static void
remember_key_line(Leg *leg, Negotiation *n)
{
    clv_secret_free_string(leg->key_line);
    leg->key_line = g_steal_pointer(&n->out.answer_line);
    leg->key_is_crypto = n->out.answer_is_crypto;
    leg->key_at_session = n->out.answer_at_session;
}

static char *
format_answer(const Leg *leg, const Negotiation *n, const char *key_line)
{
    ClvSdpLocal local = call_sdp_local(leg);
    ClvSdp *answer = clv_sdp_answer(n->offer, &local, &n->choice, leg->rtp_port, leg->rtcp_port,
                                    key_line, leg->key_is_crypto, leg->key_at_session);
    char *text = clv_sdp_format(answer);

    clv_sdp_free(answer);
    return text;
}

/* The version in o= goes up by one when anything else changes, and only then (RFC 3264 8). */
static void
send_answer(Leg *leg, Room *room, const Negotiation *n, const char *key_line)
{
    char *text = format_answer(leg, n, key_line);

    if (leg->answer != NULL && strcmp(text, leg->answer) != 0) {
        leg->sdp_version++;
        clv_secret_free_string(text);
        text = format_answer(leg, n, key_line);
    }
    clv_secret_free_string(leg->answer);
    leg->answer = text;
    clv_sip_accept(leg->hub->sip, leg->id, clv_conference_uri(room->conference), leg->answer);
}

void
call_accept(Leg *leg, Room *room)
{
    remember_key_line(leg, &leg->now);
    if (leg->now.ops != NULL) { /* creation only, by digest or assertion, has none */
        leg->scheme = leg->now.ops->scheme;
        call_take_session(leg, leg->now.ops, &leg->now.out);
    }
    leg->accepted = TRUE;
    send_answer(leg, room, &leg->now, leg->key_line);
}

/* 302: the conference is there, and its creator joins it by himself (5.1, variant C). */
void
call_redirect(Leg *leg, Room *room)
{
    const char *line = leg->now.out.answer_line;
    const char *base64 = line != NULL && !leg->now.out.answer_is_crypto ? strchr(line, ' ') : NULL;
    gsize len = 0;
    g_autofree guint8 *mikey = base64 != NULL ? g_base64_decode(base64 + 1, &len) : NULL;

    clv_sip_redirect(leg->hub->sip, leg->id, clv_conference_uri(room->conference), mikey, len);
    leg->sip_alive = FALSE;
    call_forget_keys(leg);
}

/* The 488's body: the key management's own error message, when it has one. */
static char *
error_body(const Leg *leg, const Negotiation *n)
{
    ClvSdp *sdp;
    char *text;

    if (n->out.error_line == NULL)
        return NULL;
    sdp = g_new0(ClvSdp, 1);
    g_strlcpy(sdp->origin_user, "-", sizeof sdp->origin_user);
    g_strlcpy(sdp->origin.host, leg->local_host, sizeof sdp->origin.host);
    sdp->session_id = leg->sdp_id;
    sdp->session_version = leg->sdp_version;
    sdp->keymgmt[0] = g_strdup(n->out.error_line);
    sdp->n_keymgmt = 1;
    text = clv_sdp_format(sdp);
    clv_sdp_free(sdp);
    return text;
}

/* An offer without any secured media hears that, whatever else it lacks. */
static ClvCode
plainest_code(const Negotiation *n, ClvCode code)
{
    gboolean secured = n->media_code != CLV_CODE_UNSECURED;

    if (n->offer != NULL && n->media_code == CLV_CODE_OK && !n->choice.no_media)
        secured = clv_sdp_is_keyed(n->offer, n->choice.media_index);
    return code == CLV_CODE_KEYMGMT_UNACCEPTABLE && !secured ? CLV_CODE_UNSECURED : code;
}

void
call_refuse(Leg *leg, ClvCode code, guint retry_after_s)
{
    Negotiation *n = leg->next.offer != NULL ? &leg->next : &leg->now;
    g_autofree char *body = error_body(leg, n);
    gboolean first = n == &leg->now;

    clv_sip_refuse(leg->hub->sip, leg->id, plainest_code(n, code), retry_after_s, body);
    if (!first) {
        negotiation_clear(leg, &leg->next);
        return;
    }
    leg->hub->n_refused++;
    leg->sip_alive = FALSE;
    call_forget_keys(leg);
}

/* ---- re-offers: hold, resume, refresh, new address, new keys ---- */

/* Creation only, and now a re-offer brings the media (5.1, variant B). */
static gboolean
adds_media(const Leg *leg, const Negotiation *n)
{
    return leg->now.choice.no_media && !n->choice.no_media;
}

static gboolean
apply_media(Leg *leg, Room *room, const Negotiation *n, GError **error)
{
    const ClvSdpMedia *offered;

    if (adds_media(leg, n))
        return open_media(leg, room, n, error);
    if (!leg->media_open)
        return TRUE;
    offered = &n->offer->media[n->choice.media_index];
    if (!clv_media_change(leg->hub->media, leg->id, n->choice.direction, &offered->rtp,
                          &offered->rtcp, n->choice.codec.pt, n->choice.codec.name, error) ||
        !clv_media_dtmf(leg->hub->media, leg->id, n->choice.dtmf_pt, error))
        return FALSE;
    return !n->keyed || clv_media_rekey(leg->hub->media, leg->id, &n->out.rx, &n->out.tx, error);
}

static gboolean
has_key_lines(const Negotiation *n)
{
    guint index = key_media_index(n);

    return n->offer->n_keymgmt > 0 ||
           (index < n->offer->n_media &&
            n->offer->media[index].n_keymgmt + n->offer->media[index].n_crypto > 0);
}

/* The re-offer is acceptable and, where it brought new keys, they are there. */
static void
finish_reoffer(Leg *leg, Room *room)
{
    Negotiation *n = &leg->next;
    ClvEvent event = {.kind = adds_media(leg, n) ? CLV_EV_MEDIA_ADDED : CLV_EV_DIRECTION,
                      .leg = leg->id,
                      .keys = &leg->now.keys,
                      .direction = call_mirror(n->choice.direction)};
    g_autoptr(GError) error = NULL;
    gboolean rekeyed = n->keyed || n->out.answer_line != NULL;

    if (!apply_media(leg, room, n, &error)) {
        keys_failed(leg, n, adds_media(leg, n) ? CLV_CODE_OVERLOAD : CLV_CODE_INTERNAL,
                    error->message);
        return;
    }
    if (rekeyed) {
        remember_key_line(leg, n);
        leg->scheme = n->ops->scheme;
        call_take_session(leg, n->ops, &n->out);
    }
    wipe_keys(n);
    send_answer(leg, room, n, rekeyed || has_key_lines(n) ? leg->key_line : NULL);
    negotiation_clear(leg, &leg->now);
    leg->now = leg->next;
    memset(&leg->next, 0, sizeof leg->next);
    hub_feed(leg->hub, leg->room, &event);
}

void
call_accept_reoffer(Leg *leg, Room *room)
{
    if (leg->next.offer != NULL)
        finish_reoffer(leg, room);
}

/* What we offered in a 200 was what is in force; the answer may hold, resume or come from elsewhere
 * (RFC 3264 section 6). One that takes the audio away ends the call. */
void
call_take_answer(Leg *leg, const ClvSdp *answer)
{
    ClvEvent event = {.kind = CLV_EV_DIRECTION, .leg = leg->id};
    ClvEvent gone = {.kind = CLV_EV_MEDIA_FAILED, .leg = leg->id, .cause = "answered without audio"};
    ClvSdpLocal local = call_sdp_local(leg);
    ClvSdpChoice choice = {0};
    const ClvSdpMedia *media;
    ClvCode code;

    if (leg->media_open)
        clv_media_rekeyed(leg->hub->media, leg->id); /* if there were new keys, the peer has them */
    if (!leg->media_open || answer == NULL)
        return;
    code = clv_sdp_choose(answer, &local, &choice);
    if (code != CLV_CODE_OK || choice.media_index != leg->now.choice.media_index) {
        gone.code = code != CLV_CODE_OK ? code : CLV_CODE_INTERNAL;
        hub_feed(leg->hub, leg->room, &gone);
        return;
    }
    media = &answer->media[choice.media_index];
    if (!clv_media_change(leg->hub->media, leg->id, choice.direction, &media->rtp, &media->rtcp,
                          choice.codec.pt, choice.codec.name, NULL))
        return;
    (void)clv_media_dtmf(leg->hub->media, leg->id, choice.dtmf_pt, NULL);
    leg->now.choice.direction = choice.direction;
    event.direction = call_mirror(choice.direction);
    hub_feed(leg->hub, leg->room, &event);
}

/* The same octets are a refresh; a MIKEY refresh may leave them out (5.17 of the digest). */
static gboolean
keeps_keys(const Leg *leg, const Negotiation *n)
{
    g_autofree char *id = NULL;

    if (leg->now.ops == NULL || adds_media(leg, n))
        return FALSE;
    id = leg->now.ops->offer_id(n->offer, key_media_index(n));
    if (id == NULL)
        return leg->scheme == CLV_SCHEME_MIKEY_TICKET && !has_key_lines(n);
    return g_strcmp0(id, leg->now.key_id) == 0;
}

void
call_reoffer(Leg *leg, Room *room, const ClvSipEvent *event)
{
    Negotiation *n = &leg->next;
    const ClvSdp *offer = event->offer;

    call_forget_keys(leg); /* of a re-offer that was cancelled on its way */
    if (offer == NULL) {   /* they want our offer: what is in force stays in force */
        clv_sip_accept(leg->hub->sip, leg->id, clv_conference_uri(room->conference), leg->answer);
        return;
    }
    negotiation_begin(leg, n, offer);
    if (event->hurried)
        n->answer_by_us = hub_now() + HURRIED_MS * 1000;
    if (n->media_code != CLV_CODE_OK) {
        keys_failed(leg, n, n->media_code, clv_sip_status(n->media_code)->phrase);
        return;
    }
    if (!adds_media(leg, n) && n->choice.media_index != leg->now.choice.media_index) {
        keys_failed(leg, n, CLV_CODE_NO_COMMON_MEDIA,
                    "a re-offer may not take the audio away or move it to another m-line");
        return;
    }
    if (n->choice.no_media || keeps_keys(leg, n)) {
        n->ops = leg->now.ops;
        n->key_id = g_strdup(leg->now.key_id);
        finish_reoffer(leg, room);
        return;
    }
    leg->purpose = CLV_PURPOSE_JOIN;
    open_keys(leg, room, n);
}
