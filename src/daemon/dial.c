/* SPDX-License-Identifier: Apache-2.0 */
/* daemon/dial.c - calls of ours: from the order to who answered
 *
 *   order    each scheme that the policy allows makes its line for the offer; MIKEY-TICKET asks the
 *            KMS for a ticket first
 *   offer    secured audio alone, with the lines of all schemes that are ready; INVITE
 *   answer   the scheme that the peer took says who he is; then the conference judges
 *   confirm  ACK, once the conference has taken him
 *
 * A failure on the way is a CLV_EV_DIAL_FAILED, whatever it was. No media is open before the
 * conference says so, so nobody is heard whose identity is not settled (5.13).
 */
#include "daemon/hub-private.h"

#include <string.h>

#include "base/secret.h"

#define TICKET_LIFETIME_S 120
#define REASON_KEYS "SIP;cause=488;text=\"no acceptable keys\""
#define REASON_MEDIA "SIP;cause=488;text=\"no secured media\""
#define DTMF_PT 101

static const struct {
    guint8 pt;
    const char *name;
} offered_codecs[] = {{8, "PCMA"}, {0, "PCMU"}};

/* ---- life ---- */

static void
scheme_clear(ClvHub *hub, DialScheme *s)
{
    ask_forget(hub, s->ask);
    s->ask = 0;
    s->ready = FALSE;
    if (s->state != NULL)
        s->ops->close(g_steal_pointer(&s->state));
    if (s->out.session != NULL)
        s->ops->session_free(g_steal_pointer(&s->out.session));
    clv_keymgmt_output_clear(&s->out);
}

void
dial_take_who(Leg *leg, const ClvAnswerer *who)
{
    g_free((char *)leg->who.asserted);
    g_free((char *)leg->who.claimed);
    leg->who = (ClvAnswerer){0};
    if (who == NULL)
        return;
    leg->who = *who;
    leg->who.asserted = g_strdup(who->asserted);
    leg->who.claimed = g_strdup(who->claimed);
}

void
dial_free(Leg *leg)
{
    Dial *dial = g_steal_pointer(&leg->dial);
    Room *room = hub_room(leg->hub, leg->room);

    if (dial == NULL)
        return;
    if (room != NULL && dial->order != NULL)
        g_hash_table_remove(room->dials, GUINT_TO_POINTER(dial->order->dial));
    for (guint i = 0; i < dial->n_schemes; i++)
        scheme_clear(leg->hub, &dial->schemes[i]);
    clv_media_ports_close(dial->ports);
    clv_dial_order_free(dial->order);
    g_free(dial);
}

static Leg *
find(ClvHub *hub, Room *room, guint dial)
{
    const ClvLegId *id = g_hash_table_lookup(room->dials, GUINT_TO_POINTER(dial));

    return id != NULL ? hub_leg(hub, *id) : NULL;
}

/* It has come to nothing: the conference hears it, and the leg goes. */
static void
fail(Leg *leg, guint status, ClvCode code, const char *why)
{
    ClvHub *hub = leg->hub;
    ClvEvent event = {.kind = CLV_EV_DIAL_FAILED,
                      .dial = leg->dial->order->dial,
                      .status = status,
                      .code = code,
                      .cause = why};
    ClvConferenceId room = leg->room;

    dial_free(leg);
    leg->sip_alive = FALSE;
    hub_leg_release(leg);
    hub_feed(hub, room, &event);
}

/* The same, of a call that is up: with a word to the peer. */
static void
fail_call(Leg *leg, ClvCode code, const char *reason, const char *why)
{
    hub_log(leg->hub, CLV_LOG_NOTICE, leg, NULL, "dial-out-failed", "call to %s failed: %s",
            leg->dial->order->target, why);
    clv_sip_end(leg->hub->sip, leg->id, reason);
    fail(leg, 0, code, why);
}

/* ---- the offer ---- */

static const ClvDialOrder *
order_of(const Leg *leg)
{
    return leg->dial->order;
}

static void
offer_codecs(ClvSdpMedia *m)
{
    GString *formats = g_string_new(NULL);

    for (gsize i = 0; i < G_N_ELEMENTS(offered_codecs); i++) {
        ClvCodec *codec = &m->codecs[m->n_codecs++];

        *codec = (ClvCodec){.pt = offered_codecs[i].pt, .rate_hz = 8000, .channels = 1};
        g_strlcpy(codec->name, offered_codecs[i].name, sizeof codec->name);
        g_string_append_printf(formats, "%u ", codec->pt);
    }
    m->codecs[m->n_codecs++] = (ClvCodec){DTMF_PT, "telephone-event", 8000, 1, "0-15"};
    g_string_append_printf(formats, "%u", DTMF_PT);
    g_strlcpy(m->formats, formats->str, sizeof m->formats);
    g_string_free(formats, TRUE);
}

static void
offer_keys(const Dial *dial, ClvSdp *sdp)
{
    ClvSdpMedia *m = &sdp->media[0];

    for (guint i = 0; i < dial->n_schemes; i++) {
        const DialScheme *s = &dial->schemes[i];
        g_auto(GStrv) lines = NULL;

        if (!s->ready)
            continue;
        lines = g_strsplit(s->out.answer_line, "\n", CLV_SDP_MAX_KEYLINES);
        for (guint k = 0; lines[k] != NULL; k++) {
            if (s->out.answer_is_crypto)
                m->crypto[m->n_crypto++] = g_strdup(lines[k]);
            else
                sdp->keymgmt[sdp->n_keymgmt++] = g_strdup(lines[k]);
            memset(lines[k], 0, strlen(lines[k]));
        }
    }
}

/* Secured audio alone (5.14 step 3). */
static char *
make_offer(Leg *leg)
{
    ClvSdpLocal local = call_sdp_local(leg);
    ClvSdp *sdp = g_new0(ClvSdp, 1);
    ClvSdpMedia *m = &sdp->media[0];
    char *text;

    g_strlcpy(sdp->origin_user, "-", sizeof sdp->origin_user);
    g_strlcpy(sdp->origin.host, local.host, sizeof sdp->origin.host);
    sdp->session_id = local.session_id;
    sdp->session_version = local.version;
    sdp->n_media = 1;
    g_strlcpy(m->type, "audio", sizeof m->type);
    g_strlcpy(m->proto, "RTP/SAVP", sizeof m->proto);
    g_strlcpy(m->rtp.host, local.host, sizeof m->rtp.host);
    g_strlcpy(m->rtcp.host, local.host, sizeof m->rtcp.host);
    m->port = m->rtp.port = leg->rtp_port;
    m->rtcp.port = leg->rtcp_port;
    m->direction = CLV_DIR_SENDRECV;
    m->ptime_ms = 20;
    m->label = g_strdup("1");
    offer_codecs(m);
    offer_keys(leg->dial, sdp);
    text = clv_sdp_format(sdp);
    clv_sdp_free(sdp);
    return text;
}

static void
send_invite(Leg *leg, Room *room)
{
    const ClvDialOrder *order = order_of(leg);
    const char *name = clv_policy_display_text(clv_conference_policy(room->conference));
    ClvSipCall call = {
        .target = order->target,
        .focus_uri = clv_conference_uri(room->conference),
        .display_name = *name != '\0' ? name : NULL,
        .referred_by = order->referred_by,
        .replaces = order->replaces,
        .history = order->history,
    };
    g_autoptr(GError) error = NULL;

    leg->dial->ports =
        clv_media_ports_open(leg->hub->media, call_sdp_local(leg).host, &error);
    if (leg->dial->ports == NULL) {
        fail(leg, 0, CLV_CODE_OVERLOAD, error->message);
        return;
    }
    leg->rtp_port = clv_media_ports_rtp(leg->dial->ports);
    leg->rtcp_port = clv_media_ports_rtcp(leg->dial->ports);
    clv_secret_free_string(leg->answer);
    leg->answer = make_offer(leg);
    call.sdp = leg->answer;
    leg->sip_alive = TRUE;
    if (!clv_sip_call(leg->hub->sip, leg->id, &call)) {
        fail(leg, 0, CLV_CODE_NOT_FOUND, "there is no way to this URI");
        return;
    }
    g_free(leg->call_id);
    leg->call_id = g_strdup(clv_sip_call_id(leg->hub->sip, leg->id));
}

/* ---- asking somebody to call us (5.20) ---- */

static void
send_refer(Leg *leg, Room *room)
{
    const char *line = leg->dial->schemes[0].out.answer_line;
    const char *base64 = strchr(line, ' ');
    gsize len = 0;
    g_autofree guint8 *mikey = base64 != NULL ? g_base64_decode(base64 + 1, &len) : NULL;
    ClvSipReferOut refer = {
        .token = leg->id,
        .target = order_of(leg)->target,
        .focus_uri = clv_conference_uri(room->conference),
        .mikey = mikey,
        .mikey_len = len,
    };

    if (!clv_sip_refer(leg->hub->sip, &refer))
        fail(leg, 0, CLV_CODE_NOT_FOUND, "there is no way to this URI");
}

void
dial_refer_status(ClvHub *hub, const ClvSipEvent *event)
{
    Leg *leg = hub_leg(hub, event->token);

    if (leg != NULL && leg->dial != NULL && event->last_status)
        fail(leg, event->status, CLV_CODE_OK, "asked to call");
}

/* ---- schemes get ready ---- */

static gboolean
is_pending(const DialScheme *s)
{
    return s->ask != 0;
}

/* All schemes have said what they can: is there anything to offer? */
static void
go_on(Leg *leg, Room *room)
{
    Dial *dial = leg->dial;
    gboolean any = FALSE;

    for (guint i = 0; i < dial->n_schemes; i++) {
        if (is_pending(&dial->schemes[i]))
            return;
        any |= dial->schemes[i].ready;
    }
    if (!any)
        fail(leg, 0, dial->why != CLV_CODE_OK ? dial->why : CLV_CODE_KEYMGMT_UNACCEPTABLE,
             "no keys for this call");
    else if (dial->order->by_refer)
        send_refer(leg, room);
    else
        send_invite(leg, room);
}

static void
scheme_failed(Leg *leg, DialScheme *s, ClvCode code, const char *why)
{
    hub_log(leg->hub, CLV_LOG_NOTICE, leg, NULL, "key-management-failed",
            "no %s for a call to %s: %s", s->ops->name, order_of(leg)->target, why);
    if (leg->dial->why == CLV_CODE_OK)
        leg->dial->why = code;
    scheme_clear(leg->hub, s);
}

static void kms_replied(ClvHub *hub, guint64 asker, guint64 ask, const ClvKmsReply *reply);

static void
prepare(Leg *leg, DialScheme *s, const ClvKeymgmtInput *in)
{
    Ask question = {.func = kms_replied, .asker = leg->id, .room = leg->room};
    g_autoptr(GError) error = NULL;
    const char *why = NULL;
    ClvCode code;

    switch (s->ops->step(s->state, in, &s->out, &error)) {
    case CLV_KEYMGMT_WANT_KMS:
        s->ask = ask_kms(leg->hub, &question, s->out.kms_request, s->out.bytes, &code, &why);
        if (s->ask == 0)
            scheme_failed(leg, s, code, why);
        return;
    case CLV_KEYMGMT_WANT_PEER:
        s->ready = TRUE;
        return;
    case CLV_KEYMGMT_DONE:
    case CLV_KEYMGMT_FAILED:
        scheme_failed(leg, s, error != NULL ? (ClvCode)error->code : CLV_CODE_INTERNAL,
                      error != NULL ? error->message : "the scheme ended without an offer");
        return;
    }
}

static void
kms_replied(ClvHub *hub, guint64 asker, guint64 ask, const ClvKmsReply *reply)
{
    Leg *leg = hub_leg(hub, asker);
    Room *room = leg != NULL ? hub_room(hub, leg->room) : NULL;
    ClvKeymgmtInput in = {.now_us = hub_wall()};

    if (room == NULL || leg->dial == NULL)
        return;
    for (guint i = 0; i < leg->dial->n_schemes; i++) {
        DialScheme *s = &leg->dial->schemes[i];

        if (s->ask != ask)
            continue;
        s->ask = 0;
        if (reply->code != CLV_CODE_OK) {
            scheme_failed(leg, s, reply->code,
                          reply->detail != NULL ? reply->detail : "KMS error");
        } else {
            in.bytes = reply->body->data;
            in.len = reply->body->len;
            prepare(leg, s, &in);
        }
        go_on(leg, room);
        return;
    }
}

static gboolean
is_usable(const Leg *leg, const ClvPolicyView *view, const ClvKeymgmtOps *ops)
{
    const ClvDialOrder *order = order_of(leg);

    if (ops == NULL || ops->call == NULL)
        return FALSE;
    if (ops->gives != CLV_PROOF_TICKET && clv_policy_min_proof(view) == CLV_PROOF_TICKET)
        return FALSE; /* who answers by it could prove nothing that counts here */
    if (order->by_refer && ops->scheme != CLV_SCHEME_MIKEY_TICKET)
        return FALSE;
    return !ops->needs_tls || clv_sip_call_is_tls(leg->hub->sip, order->target);
}

static void
open_scheme(Leg *leg, Room *room, const ClvKeymgmtOps *ops)
{
    const ClvPolicyView *view = clv_conference_policy(room->conference);
    const ClvDialOrder *order = order_of(leg);
    DialScheme *s = &leg->dial->schemes[leg->dial->n_schemes++];
    ClvKeymgmtInput in = {.now_us = hub_wall()};
    g_autoptr(GError) error = NULL;
    ClvKeymgmtCall call = {
        .config = &leg->hub->kms.keymgmt,
        .focus_uri = clv_conference_uri(room->conference),
        .target = order->target,
        .ticket_for = (const char *const *)order->ticket_for,
        .ticket_lifetime_s = TICKET_LIFETIME_S,
        .purpose = order->by_refer ? CLV_PURPOSE_REFER : CLV_PURPOSE_JOIN,
        .media_index = order->by_refer ? G_MAXUINT : 0,
        .suites = clv_policy_suites(view),
        .local_ssrc = leg->ssrc,
        .now_us = in.now_us,
    };

    s->ops = ops;
    s->state = ops->call(&call, &error);
    if (s->state == NULL)
        scheme_failed(leg, s, (ClvCode)error->code, error->message);
    else
        prepare(leg, s, &in);
}

void
dial_start(ClvHub *hub, Room *room, ClvDialOrder *order)
{
    const ClvPolicyView *view = clv_conference_policy(room->conference);
    const ClvScheme *scheme = clv_policy_schemes(view);
    Leg *leg = call_new(hub);

    leg->sip_alive = FALSE;
    leg->room = room->id;
    leg->dial = g_new0(Dial, 1);
    leg->dial->order = order;
    leg->identity = g_strdup(order->target);
    leg->request_uri = g_strdup(clv_conference_uri(room->conference));
    leg->local_host = clv_sip_call_local_host(hub->sip, order->target);
    leg->ssrc = clv_media_new_ssrc(hub->media, room->id);
    g_hash_table_insert(room->dials, GUINT_TO_POINTER(order->dial), &leg->id);
    if (refer_is_ours(hub, room, order->target)) { /* a list, too, may name them */
        fail(leg, 0, CLV_CODE_FORBIDDEN, "the target is this server");
        return;
    }
    if (leg->local_host == NULL) {
        fail(leg, 0, CLV_CODE_NOT_FOUND, "there is no way to this URI");
        return;
    }
    if (clv_policy_demands_tls(view) && !clv_sip_call_is_tls(hub->sip, order->target)) {
        fail(leg, 0, CLV_CODE_FORBIDDEN, "signalling=tls, and this call would not go by TLS");
        return;
    }
    for (; *scheme != CLV_SCHEME_NONE && leg->dial->n_schemes < MAX_DIAL_SCHEMES; scheme++) {
        const ClvKeymgmtOps *ops = clv_keymgmt_find(*scheme);

        if (is_usable(leg, view, ops))
            open_scheme(leg, room, ops);
    }
    go_on(leg, room);
}

/* ---- the answer ---- */

static DialScheme *
scheme_of_answer(Leg *leg, const ClvSdp *answer, guint index)
{
    for (guint i = 0; i < leg->dial->n_schemes; i++) {
        DialScheme *s = &leg->dial->schemes[i];

        if (s->ready && s->ops->offered(answer, index))
            return s;
    }
    return NULL;
}

/* What the scheme has found goes where a call that came in has it. */
static void
take_keys(Leg *leg, DialScheme *s)
{
    Negotiation *n = &leg->now;

    n->ops = s->ops;
    n->out = s->out;
    memset(&s->out, 0, sizeof s->out);
    n->keyed = n->out.has_media;
    n->keys = call_ev_keys(n->ops, &n->out);
    n->key_id = n->ops->offer_id(n->offer, n->choice.media_index);
    leg->scheme = n->ops->scheme;
    clv_secret_free_string(leg->key_line);
    leg->key_line = g_steal_pointer(&n->out.answer_line);
    call_take_session(leg, n->ops, &n->out);
    scheme_clear(leg->hub, s);
}

static gboolean
read_keys(Leg *leg, const ClvSdp *answer, const char **out_why)
{
    Negotiation *n = &leg->now;
    DialScheme *s = scheme_of_answer(leg, answer, n->choice.media_index);
    ClvKeymgmtInput in = {.now_us = hub_wall(), .answer = answer};
    g_autoptr(GError) error = NULL;

    *out_why = "the answer has no key management of the offer";
    if (s == NULL)
        return FALSE;
    if (s->ops->step(s->state, &in, &s->out, &error) != CLV_KEYMGMT_DONE) {
        hub_log(leg->hub, CLV_LOG_NOTICE, leg, NULL, "key-management-failed",
                "key management of the answer failed: %s",
                error != NULL ? error->message : "it wants more");
        *out_why = "the keys of the answer are no good";
        return FALSE;
    }
    take_keys(leg, s);
    return TRUE;
}

static void
answered(Leg *leg, const ClvSipEvent *event)
{
    Dial *dial = leg->dial;
    Negotiation *n = &leg->now;
    ClvSdpLocal local = call_sdp_local(leg);
    ClvEvent answer = {.kind = CLV_EV_DIAL_ANSWERED,
                       .dial = dial->order->dial,
                       .leg = leg->id,
                       .answer = &leg->answered};
    const char *why = NULL;

    if (event->offer == NULL || event->offer->n_media != 1) {
        fail_call(leg, CLV_CODE_NO_COMMON_MEDIA, REASON_MEDIA, "the answer does not fit the offer");
        return;
    }
    n->offer = clv_sdp_copy(event->offer);
    n->media_code = clv_sdp_choose(n->offer, &local, &n->choice);
    if (n->media_code != CLV_CODE_OK || n->choice.no_media) {
        fail_call(leg, n->media_code != CLV_CODE_OK ? n->media_code : CLV_CODE_NO_COMMON_MEDIA,
                  REASON_MEDIA, "the answer has no secured audio");
        return;
    }
    if (!read_keys(leg, n->offer, &why)) {
        fail_call(leg, CLV_CODE_KEYMGMT_FAILED, REASON_KEYS, why);
        return;
    }
    dial_take_who(leg, event->answerer);
    leg->display_name = g_strdup(event->display_name);
    leg->peer = g_strdup(event->peer);
    leg->peer_name = g_strdup(event->peer_name);
    if (n->out.identity != NULL) {
        g_free(leg->identity);
        leg->identity = g_strdup(n->out.identity);
    }
    leg->answered = (ClvEvAnswer){
        .who = &leg->who,
        .keys = &n->keys,
        .display_name = leg->display_name,
        .peer = leg->peer,
        .peer_name = leg->peer_name,
        .secured = event->secured,
        .tls = event->tls,
        .peer_direction = call_mirror(n->choice.direction),
    };
    hub_feed(leg->hub, leg->room, &answer);
}

static void
ringing(Leg *leg, const ClvSipEvent *event)
{
    ClvEvent ring = {.kind = CLV_EV_DIAL_RINGING,
                     .dial = leg->dial->order->dial,
                     .leg = leg->id,
                     .status = event->status,
                     .answerer = &leg->who};

    dial_take_who(leg, event->answerer);
    hub_feed(leg->hub, leg->room, &ring);
}

static void
identity(Leg *leg, const ClvSipEvent *event)
{
    ClvEvent change = {.kind = CLV_EV_IDENTITY, .leg = leg->id, .answerer = &leg->who};

    dial_take_who(leg, event->answerer);
    hub_feed(leg->hub, leg->room, &change);
}

gboolean
dial_sip_event(Leg *leg, const ClvSipEvent *event)
{
    if (event->kind == CLV_SIP_IDENTITY) {
        identity(leg, event);
        return TRUE;
    }
    if (leg->dial == NULL)
        return FALSE;
    switch (event->kind) {
    case CLV_SIP_RINGING:
        ringing(leg, event);
        return TRUE;
    case CLV_SIP_ANSWERED:
        answered(leg, event);
        return TRUE;
    case CLV_SIP_FAILED:
        fail(leg, event->status, CLV_CODE_OK, "refused");
        return TRUE;
    default:
        return FALSE;
    }
}

/* ---- what the conference says ---- */

void
dial_end(ClvHub *hub, Room *room, guint dial, const char *reason)
{
    Leg *leg = find(hub, room, dial);

    if (leg == NULL)
        return;
    if (leg->sip_alive)
        clv_sip_end(hub->sip, leg->id, reason);
    leg->sip_alive = FALSE;
    clv_sip_refer_forget(hub->sip, leg->id);
    dial_free(leg);
    hub_leg_release(leg);
}

void
dial_confirm(Leg *leg, Room *room)
{
    if (leg->dial == NULL)
        return;
    leg->accepted = TRUE;
    clv_sip_confirm(leg->hub->sip, leg->id);
    dial_free(leg);
}
