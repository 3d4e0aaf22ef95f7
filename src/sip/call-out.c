/* SPDX-License-Identifier: Apache-2.0 */
/* sip/call-out.c - calls of ours, from the INVITE to the ACK
 *
 * One INVITE may ring in many places: each early dialog (RFC 3261 section 12, a fork) is kept by
 * its To tag, with a Sofia leg of its own for PRACKs, the answer that a reliable 18x brought, and
 * the evidence of who is there. The first 2xx wins; its leg becomes that of the dialog, which then
 * lives like any other (dialog.c). nta itself says ACK and BYE to later 2xx of other forks.
 */
#include "config.h"

#include "sip/route.h"
#include "sip/sip-private.h"

#include <string.h>

#include "base/secret.h"

#define MAX_FORKS 16
#define MAX_RELIABLE 64 /* each makes us send a PRACK to where the callee wants it */
#define MAX_TRIES 3 /* 422 asks for a longer session interval */

typedef struct Fork {
    Dialog *d; /* not counted: the dialog owns its call */
    char *tag;
    nta_leg_t *leg;
    gboolean has_target;
    guint32 rseq;   /* of the last reliable 18x; 0: none */
    ClvSdp *answer; /* (nullable) of a reliable 18x */
    guint status;   /* as last told */
    gboolean diverted;
    char *asserted; /* (nullable) canonical */
    char *claimed;  /* (nullable) canonical */
} Fork;

struct CallOut {
    nta_outgoing_t *invite; /* (nullable) */
    guint32 cseq;
    char *target, *from, *tag; /* tag: of From */
    GPtrArray *forks;
    gboolean forwarded; /* 181 in any of them */
    guint n_tries, n_reliable;
    gint64 interval_s, min_se_s;
    ClvTimer *timer;    /* of a CANCEL */
    GString *headers;   /* those that do not change between tries: header lines */
    char *content_type; /* of .body */
    char *body;         /* may hold keys */
};

static int invite_answered(void *magic, nta_outgoing_t *orq, const sip_t *msg);

/* ---- life --------------------------------------------------------------------------------------
 */

static void
fork_free(gpointer data)
{
    Fork *fork = data;

    if (fork->leg != NULL)
        nta_leg_destroy(fork->leg);
    clv_sdp_free(fork->answer);
    g_free(fork->tag);
    g_free(fork->asserted);
    g_free(fork->claimed);
    g_free(fork);
}

void
clv_call_free(CallOut *call)
{
    if (call == NULL)
        return;

    clv_timer_cancel(call->timer);
    g_ptr_array_unref(call->forks);
    if (call->invite != NULL)
        nta_outgoing_destroy(call->invite);
    g_string_free(call->headers, TRUE);
    g_free(call->target);
    g_free(call->from);
    g_free(call->tag);
    g_free(call->content_type);
    clv_secret_free_string(call->body);
    g_free(call);
}

/* ---- the INVITE --------------------------------------------------------------------------------
 */

/* Some fork that has not answered yet, or nobody that we know, says something. */
static int
unknown_request(void *magic, nta_leg_t *leg, nta_incoming_t *irq, const sip_t *msg)
{
    return 481;
}

static gboolean
send_invite(Dialog *d)
{
    CallOut *call = d->call;
    ClvSip *sip = d->sip;
    g_autofree char *expires =
        g_strdup_printf("%" G_GINT64_FORMAT ";refresher=uac", call->interval_s);
    g_autofree char *min_se = g_strdup_printf("%" G_GINT64_FORMAT, call->min_se_s);
    g_autofree char *route = sip->outbound != NULL ? g_strdup_printf("<%s>", sip->outbound) : NULL;
    msg_t *request;

    call->n_tries++;
    call->invite = nta_outgoing_tcreate(
        d->leg, invite_answered, d, NULL, SIP_METHOD_INVITE, URL_STRING_MAKE(call->target),
        TAG_IF(route != NULL, SIPTAG_ROUTE_STR(route)), SIPTAG_CONTACT_STR(d->contact),
        SIPTAG_ALLOW_STR(CLV_SIP_ALLOW), SIPTAG_SUPPORTED_STR(CLV_SIP_SUPPORTED_CALLING),
        SIPTAG_ACCEPT_STR(CLV_SIP_ACCEPT), SIPTAG_PRIVACY_STR("none"),
        TAG_IF(call->interval_s > 0, SIPTAG_SESSION_EXPIRES_STR(expires)),
        TAG_IF(call->interval_s > 0, SIPTAG_MIN_SE_STR(min_se)),
        SIPTAG_HEADER_STR(call->headers->str), SIPTAG_CONTENT_TYPE_STR(call->content_type),
        SIPTAG_PAYLOAD_STR(call->body), TAG_END());
    if (call->invite == NULL)
        return FALSE;

    request = nta_outgoing_getrequest(call->invite);
    call->cseq = sip_object(request)->sip_cseq->cs_seq;
    msg_destroy(request);
    return TRUE;
}

static void
add_header(CallOut *call, const char *name, const char *value)
{
    if (value != NULL && strpbrk(value, "\r\n") == NULL)
        g_string_append_printf(call->headers, "%s: %s\r\n", name, value);
}

/* RFC 7044: the first entry of a history; RFC 7315: an id for those who count the charges. */
static void
write_headers(CallOut *call, const ClvSip *sip, const ClvSipCall *wish, gboolean trusted)
{
    g_autofree char *own = g_strdup_printf("<%s>", wish->focus_uri);
    g_autofree char *history = g_strdup_printf("<%s>;index=1", wish->target);
    g_autofree char *id = g_uuid_string_random();
    g_autofree char *charging = g_strdup_printf("icid-value=%s", id);

    add_header(call, "History-Info", history);
    add_header(call, "P-Asserted-Identity", trusted ? own : NULL);
    add_header(call, "Referred-By", wish->referred_by);
    add_header(call, "Replaces", wish->replaces);
    add_header(call, "Require", wish->replaces != NULL ? "replaces" : NULL);
    add_header(call, "P-Charging-Vector", sip->ims ? charging : NULL);
    if (wish->history != NULL)
        add_header(call, "MIME-Version", "1.0");
}

static void
append_entry(GString *xml, const ClvUriEntry *entry)
{
    g_autofree char *uri =
        g_markup_escape_text(entry->anonymize ? "sip:anonymous@anonymous.invalid" : entry->uri, -1);

    if (entry->copy != CLV_COPY_BCC)
        g_string_append_printf(xml, "<entry uri=\"%s\" cp:copyControl=\"%s\"/>\r\n", uri,
                               entry->copy == CLV_COPY_TO ? "to" : "cc");
}

/* RFC 5366 section 5.2: who else was invited, for those who care. */
static void
write_body(CallOut *call, const ClvSipCall *wish)
{
    g_autofree char *boundary = g_uuid_string_random();
    GString *text;

    if (wish->history == NULL) {
        call->content_type = g_strdup("application/sdp");
        call->body = g_strdup(wish->sdp);
        return;
    }
    text = g_string_sized_new(strlen(wish->sdp) + 1024 + 128 * wish->history->len);
    g_string_printf(text,
                    "--%s\r\nContent-Type: application/sdp\r\n\r\n%s\r\n--%s\r\n"
                    "Content-Type: application/resource-lists+xml\r\n"
                    "Content-Disposition: recipient-list-history; handling=optional\r\n\r\n"
                    "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\r\n"
                    "<resource-lists xmlns=\"urn:ietf:params:xml:ns:resource-lists\" "
                    "xmlns:cp=\"urn:ietf:params:xml:ns:copycontrol\">\r\n<list>\r\n",
                    boundary, wish->sdp, boundary);
    for (guint i = 0; i < wish->history->len; i++)
        append_entry(text, g_ptr_array_index(wish->history, i));
    g_string_append_printf(text, "</list>\r\n</resource-lists>\r\n--%s--\r\n", boundary);
    call->content_type = g_strdup_printf("multipart/mixed;boundary=\"%s\"", boundary);
    call->body = g_strdup(text->str);
    clv_secret_free_string(g_string_free(text, FALSE));
}

/* "Weekly meeting" <sip:abc@conf.example.org>;tag=... */
static char *
make_from(const ClvSipCall *wish, const char *tag)
{
    GString *out = g_string_new(NULL);

    if (wish->display_name != NULL) {
        g_string_append_c(out, '"');
        for (const char *p = wish->display_name; *p != '\0'; p++) {
            if (*p == '"' || *p == '\\')
                g_string_append_c(out, '\\');
            if ((guchar)*p >= 0x20 && *p != 0x7f)
                g_string_append_c(out, *p);
        }
        g_string_append(out, "\" ");
    }
    g_string_append_printf(out, "<%s>;tag=%s", wish->focus_uri, tag);
    return g_string_free(out, FALSE);
}

static CallOut *
call_new(const ClvSip *sip, const ClvSipCall *wish, const Route *route)
{
    CallOut *call = g_new0(CallOut, 1);
    g_autofree char *id = g_uuid_string_random();

    call->forks = g_ptr_array_new_with_free_func(fork_free);
    call->headers = g_string_new(NULL);
    call->target = g_strdup(wish->target);
    call->tag = g_strndup(id, 18);
    call->from = make_from(wish, call->tag);
    call->interval_s = sip->session_expires_s;
    call->min_se_s = sip->min_se_s;
    write_headers(call, sip, wish, route->trusted);
    write_body(call, wish);
    return call;
}

gboolean
clv_sip_call(ClvSip *sip, ClvLegId leg, const ClvSipCall *wish)
{
    Route route;
    Dialog *d;
    g_autofree char *to = g_strdup_printf("<%s>", wish->target);

    g_return_val_if_fail(leg != 0 && !g_hash_table_contains(sip->dialogs, &leg), FALSE);

    if (sip->refuse_new ||
        (sip->max_calls > 0 && g_hash_table_size(sip->dialogs) >= sip->max_calls) ||
        !clv_route_find(sip, wish->target, &route))
        return FALSE;

    d = clv_dialog_ref(clv_dialog_new_out(sip, leg));
    d->tls = route.tls;
    d->trusted = route.trusted;
    d->call = call_new(sip, wish, &route);
    d->call_id = g_uuid_string_random();
    d->request_target = clv_route_own_port(sip, &route, wish->focus_uri);
    clv_dialog_set_contact(d, wish->focus_uri, route.stream ? route.transport : NULL);
    clv_dialog_set_sdp(d, wish->sdp);
    d->leg = nta_leg_tcreate(sip->agent, unknown_request, d, SIPTAG_CALL_ID_STR(d->call_id),
                             SIPTAG_FROM_STR(d->call->from), SIPTAG_TO_STR(to), TAG_END());
    if (d->leg != NULL)
        clv_dialog_enter_tag(d);
    if (d->leg == NULL || !send_invite(d)) {
        clv_dialog_bury(d);
        clv_dialog_unref(d);
        return FALSE;
    }
    clv_dialog_unref(d);
    return TRUE;
}

gboolean
clv_sip_call_is_tls(const ClvSip *sip, const char *target)
{
    Route route;

    return clv_route_find(sip, target, &route) && route.tls;
}

char *
clv_sip_call_local_host(const ClvSip *sip, const char *target)
{
    Route route;

    return clv_route_find(sip, target, &route) ? clv_route_local_host(sip, &route) : NULL;
}

/* ---- early dialogs -----------------------------------------------------------------------------
 */

static Fork *
find_fork(const CallOut *call, const char *tag)
{
    for (guint i = 0; i < call->forks->len; i++) {
        Fork *fork = g_ptr_array_index(call->forks, i);

        if (strcmp(fork->tag, tag) == 0)
            return fork;
    }
    return NULL;
}

static gboolean
has_sane_route(const sip_t *msg)
{
    for (const sip_record_route_t *r = msg->sip_record_route; r != NULL; r = r->r_next) {
        if (!clv_dialog_is_sane_url(r->r_url))
            return FALSE;
    }
    return msg->sip_contact != NULL && msg->sip_contact->m_next == NULL &&
           clv_dialog_is_sane_url(msg->sip_contact->m_url);
}

static int early_request(void *magic, nta_leg_t *leg, nta_incoming_t *irq, const sip_t *msg);

/* The fork that a response speaks for; NULL: none, or too many. */
static Fork *
heed_fork(Dialog *d, const sip_t *msg)
{
    CallOut *call = d->call;
    const char *tag = msg->sip_to->a_tag;
    Fork *fork = tag != NULL ? find_fork(call, tag) : NULL;
    gboolean winner = msg->sip_status->st_status >= 200;

    if (tag == NULL || tag[0] == '\0' || strlen(tag) > 256)
        return NULL;
    if (fork == NULL) {
        if (call->forks->len >= MAX_FORKS && !winner)
            return NULL;
        fork = g_new0(Fork, 1);
        fork->d = d;
        fork->tag = g_strdup(tag);
        fork->leg = nta_leg_tcreate(d->sip->agent, early_request, fork,
                                    SIPTAG_CALL_ID_STR(d->call_id), SIPTAG_FROM_STR(call->from),
                                    SIPTAG_TO(msg->sip_to), SIPTAG_CSEQ(msg->sip_cseq), TAG_END());
        if (fork->leg == NULL) {
            fork_free(fork);
            return NULL;
        }
        g_ptr_array_add(call->forks, fork);
    }
    if (has_sane_route(msg)) {
        nta_leg_client_reroute(fork->leg, msg->sip_record_route, msg->sip_contact, TRUE);
        fork->has_target = TRUE;
    }
    return fork;
}

/* ---- evidence of who is there ------------------------------------------------------------------
 */

static gboolean
learn(char **known, char *news)
{
    gboolean changed = news != NULL && g_strcmp0(*known, news) != 0;

    if (!changed) {
        g_free(news);
        return FALSE;
    }
    g_free(*known);
    *known = news;
    return TRUE;
}

static char *
first_assertion(const sip_t *msg)
{
    const sip_p_asserted_identity_t *paid = sip_p_asserted_identity(msg);
    char *found = NULL;

    for (; paid != NULL && found == NULL; paid = paid->paid_next)
        found = clv_sip_canonical_url(paid->paid_url);
    return found;
}

static gboolean
history_says_diverted(const sip_t *msg)
{
    GString *all = g_string_new(NULL);
    gboolean diverted;

    for (const sip_unknown_t *u = msg->sip_unknown; u != NULL; u = u->un_next) {
        if (u->un_value == NULL || g_ascii_strcasecmp(u->un_name, "History-Info") != 0)
            continue;
        g_string_append_printf(all, "%s%s", all->len > 0 ? "," : "", u->un_value);
    }
    diverted = clv_history_is_diverted(all->str);
    g_string_free(all, TRUE);
    return diverted;
}

/* TRUE: it says something new. */
static gboolean
read_evidence(CallOut *call, Fork *fork, const sip_t *msg, const Peer *peer)
{
    gboolean news = FALSE;

    if (msg->sip_status->st_status == 181 && !call->forwarded)
        news = call->forwarded = TRUE;
    if (fork != NULL && !fork->diverted && history_says_diverted(msg))
        news = fork->diverted = TRUE;
    if (fork != NULL && peer->trusted)
        news |= learn(&fork->asserted, first_assertion(msg));
    return news;
}

static ClvAnswerer
answerer_of(const CallOut *call, const Fork *fork)
{
    ClvAnswerer who = {.forwarded = call->forwarded};

    if (fork != NULL) {
        who.diverted = fork->diverted;
        who.asserted = fork->asserted;
        who.claimed = fork->claimed;
    }
    return who;
}

/* RFC 4916: an UPDATE before the answer may tell who is about to answer. */
static void
heed_early_identity(Fork *fork, const sip_t *msg, const Peer *peer)
{
    Dialog *d = fork->d;
    ClvSipEvent event = {.kind = CLV_SIP_RINGING, .status = MAX(fork->status, 180)};
    gboolean news = learn(&fork->claimed, clv_sip_canonical_url(msg->sip_from->a_url));
    ClvAnswerer who;

    if (peer->trusted)
        news |= learn(&fork->asserted, first_assertion(msg));
    if (!news)
        return;
    who = answerer_of(d->call, fork);
    event.answerer = &who;
    clv_dialog_emit(d, &event);
}

/* An offer in an early dialog of ours. Without an answer to our own it is glare. With one, nothing is
 * pending, but no offer can be taken before the call is answered: the conference has not judged yet who
 * is there, nor with which keys, and another fork may win. RFC 3311 5.2 has 504 for a session that
 * cannot be changed without asking somebody; 500 with Retry-After is for offers that cross. */
static int
refuse_early_offer(Fork *fork, nta_incoming_t *irq)
{
    if (fork->answer == NULL) {
        clv_sip_reply_code(fork->d->sip, irq, CLV_CODE_GLARE, 0, NULL);
        return 491;
    }
    clv_sip_reply_odd(fork->d->sip, irq, 504);
    return 504;
}

static int
early_request(void *magic, nta_leg_t *leg, nta_incoming_t *irq, const sip_t *msg)
{
    Fork *fork = magic;
    sip_method_t method = msg->sip_request->rq_method;
    Peer peer;

    if (method == sip_method_ack)
        return 200;
    clv_sip_peer(fork->d->sip, irq, &peer);
    if (clv_dialog_is_worse(fork->d, &peer))
        return 403;
    if (method == sip_method_options)
        return clv_sip_reply_options(irq, fork->d->contact);
    if (method != sip_method_update)
        return 481;
    if (msg->sip_payload != NULL && msg->sip_payload->pl_len > 0)
        return refuse_early_offer(fork, irq);
    if (has_sane_route(msg))
        nta_leg_client_reroute(leg, NULL, msg->sip_contact, FALSE);
    nta_incoming_treply(irq, SIP_200_OK, SIPTAG_CONTACT_STR(fork->d->contact),
                        SIPTAG_ALLOW_STR(CLV_SIP_ALLOW), TAG_END());
    heed_early_identity(fork, msg, &peer);
    return 200;
}

void
clv_call_heed_identity(Dialog *d, nta_incoming_t *irq, const sip_t *msg)
{
    ClvAnswerer who = {0};
    ClvSipEvent event = {.kind = CLV_SIP_IDENTITY, .answerer = &who};
    gboolean news;
    Peer peer;

    if (!d->we_called)
        return;
    clv_sip_peer(d->sip, irq, &peer);
    news = learn(&d->claimed, clv_sip_canonical_url(msg->sip_from->a_url));
    if (peer.trusted)
        news |= learn(&d->asserted, first_assertion(msg));
    if (!news)
        return;
    who.asserted = d->asserted;
    who.claimed = d->claimed;
    clv_dialog_emit(d, &event);
}

/* ---- provisional answers -----------------------------------------------------------------------
 */

static gboolean
is_reliable(const sip_t *msg)
{
    return msg->sip_rseq != NULL && sip_has_feature(msg->sip_require, "100rel");
}

static ClvSdp *
read_answer(const sip_t *msg)
{
    const sip_content_type_t *type = msg->sip_content_type;
    const sip_payload_t *body = msg->sip_payload;

    if (body == NULL || body->pl_len == 0 || type == NULL || type->c_type == NULL ||
        g_ascii_strcasecmp(type->c_type, "application/sdp") != 0)
        return NULL;
    return clv_sdp_parse(body->pl_data, body->pl_len, NULL);
}

/* RFC 3262 section 4: in order, each once, each with a PRACK. FALSE: not to be heeded. */
static gboolean
acknowledge_reliable(Dialog *d, Fork *fork, const sip_t *msg)
{
    guint32 rseq = (guint32)msg->sip_rseq->rs_response;
    g_autofree char *rack = g_strdup_printf("%u %u INVITE", rseq, msg->sip_cseq->cs_seq);
    nta_outgoing_t *prack;

    if (fork == NULL || !fork->has_target || rseq == 0 ||
        (fork->rseq != 0 && rseq != fork->rseq + 1) || d->call->n_reliable >= MAX_RELIABLE)
        return FALSE;

    prack = nta_outgoing_tcreate(fork->leg, NULL, NULL, NULL, SIP_METHOD_PRACK, NULL,
                                 SIPTAG_RACK_STR(rack), TAG_END());
    if (prack == NULL)
        return FALSE;
    nta_outgoing_destroy(prack); /* it is retransmitted nevertheless */
    d->call->n_reliable++;
    fork->rseq = rseq;
    if (fork->answer == NULL)
        fork->answer = read_answer(msg);
    return TRUE;
}

static void
provisional(Dialog *d, const sip_t *msg)
{
    guint status = (guint)msg->sip_status->st_status;
    ClvSipEvent event = {.kind = CLV_SIP_RINGING, .status = status};
    ClvAnswerer who;
    gboolean news;
    Fork *fork;
    Peer peer;

    clv_sip_peer_of_response(d->sip, d->call->invite, &peer);
    if (status == 100 || clv_dialog_is_worse(d, &peer))
        return;
    fork = heed_fork(d, msg);
    if (is_reliable(msg) && !acknowledge_reliable(d, fork, msg))
        return;

    news = read_evidence(d->call, fork, msg, &peer);
    if (fork != NULL) {
        news |= fork->status != status;
        fork->status = status;
    }
    if (!news)
        return;
    who = answerer_of(d->call, fork);
    event.answerer = &who;
    clv_dialog_emit(d, &event);
}

/* ---- final answers -----------------------------------------------------------------------------
 */

static void
over(Dialog *d, guint status)
{
    ClvSipEvent event = {.kind = CLV_SIP_FAILED, .leg = d->id, .status = status};
    gboolean known = clv_dialog_is_known(d);

    clv_dialog_leave(d);
    if (known)
        d->sip->handlers.event(d->sip->user, &event);
}

static gboolean
wants_longer_interval(const Dialog *d, guint status, const sip_t *msg)
{
    return status == 422 && d->state == DIALOG_CALLING && msg != NULL && msg->sip_min_se != NULL &&
           (gint64)msg->sip_min_se->min_delta > d->call->min_se_s &&
           msg->sip_min_se->min_delta <= 86400 * 7 && d->call->n_tries < MAX_TRIES;
}

static gboolean
tries_again(Dialog *d, guint status, const sip_t *msg)
{
    CallOut *call = d->call;

    if (!wants_longer_interval(d, status, msg))
        return FALSE;
    call->min_se_s = (gint64)msg->sip_min_se->min_delta;
    call->interval_s = MAX(call->interval_s, call->min_se_s);
    g_ptr_array_set_size(call->forks, 0);
    return send_invite(d);
}

static void
refused(Dialog *d, guint status, const sip_t *msg)
{
    nta_outgoing_t *invite = g_steal_pointer(&d->call->invite);

    if (!tries_again(d, status, msg)) {
        over(d, status);
        if (d->state != DIALOG_BURIED)
            clv_dialog_bury(d);
    }
    nta_outgoing_destroy(invite); /* last: msg is a part of it */
}

/* The fork's leg becomes that of the dialog; the others are forgotten. */
static void
settle(Dialog *d, Fork *fork)
{
    nta_leg_destroy(d->leg);
    d->leg = g_steal_pointer(&fork->leg);
    nta_leg_bind(d->leg, clv_dialog_request, d);
}

void
clv_call_acknowledge(Dialog *d)
{
    g_autofree char *cseq = g_strdup_printf("%u ACK", d->call->cseq);
    nta_outgoing_t *ack = nta_outgoing_tcreate(
        d->leg, NULL, NULL, NULL, SIP_METHOD_ACK, URL_STRING_MAKE(d->call->target),
        SIPTAG_CSEQ_STR(cseq), NTATAG_TPORT(clv_dialog_connection(d)), TAG_END());

    if (ack != NULL)
        nta_outgoing_destroy(ack); /* nta repeats it for every 2xx that comes again */
    g_clear_pointer(&d->call, clv_call_free);
}

/* A 2xx that cannot be used: ACK and BYE, and for the hub the call has failed. */
static void
give_up(Dialog *d, guint status)
{
    clv_dialog_linger(d);
    clv_call_acknowledge(d);
    over(d, status);
    if (d->state != DIALOG_BURIED && d->state != DIALOG_CLOSING)
        clv_dialog_bye(d);
}

static char *
shown_name(const sip_t *msg, const Peer *peer)
{
    const sip_p_asserted_identity_t *paid = peer->trusted ? sip_p_asserted_identity(msg) : NULL;
    char *name = paid != NULL ? clv_sip_clean_display(paid->paid_display) : NULL;

    return name != NULL ? name : clv_sip_clean_display(msg->sip_to->a_display);
}

static void
tell_answered(Dialog *d, Fork *fork, const sip_t *msg, const Peer *peer, const ClvSdp *answer)
{
    ClvAnswerer who = answerer_of(d->call, fork);
    g_autofree char *name = shown_name(msg, peer);
    ClvSipEvent event = {.kind = CLV_SIP_ANSWERED,
                         .status = (guint)msg->sip_status->st_status,
                         .offer = answer,
                         .answerer = &who,
                         .secured = peer->tls || peer->trusted,
                         .tls = peer->tls,
                         .peer = peer->text,
                         .peer_name = peer->name,
                         .local_host = peer->local_host,
                         .display_name = name};

    clv_dialog_emit(d, &event);
}

static void
take_connection(Dialog *d, const Peer *peer)
{
    if (peer->tport != NULL && tport_is_secondary(peer->tport) && tport_is_stream(peer->tport))
        d->tport = tport_ref(peer->tport);
}

static void
answered(Dialog *d, const sip_t *msg)
{
    gboolean cancelled = d->state == DIALOG_CANCELLING;
    gboolean garbage;
    ClvSdp *answer;
    Fork *fork;
    Peer peer;

    clv_sip_peer_of_response(d->sip, d->call->invite, &peer);
    fork = heed_fork(d, msg);
    if (clv_dialog_is_worse(d, &peer) || fork == NULL) {
        over(d, 502);
        if (d->state != DIALOG_BURIED)
            clv_dialog_bury(d);
        return;
    }

    answer = read_answer(msg);
    garbage = answer == NULL && msg->sip_payload != NULL && msg->sip_payload->pl_len > 0;
    if (answer == NULL)
        answer = g_steal_pointer(&fork->answer);
    take_connection(d, &peer);
    settle(d, fork);
    clv_session_agreed(d, msg);
    clv_session_stop(d); /* it runs from the ACK */
    d->state = DIALOG_ANSWERED;
    if (cancelled || garbage || answer == NULL || !fork->has_target) {
        give_up(d, !fork->has_target ? 502 : 488);
    } else {
        read_evidence(d->call, fork, msg, &peer);
        d->asserted = g_strdup(fork->asserted);
        d->claimed = fork->claimed != NULL ? g_strdup(fork->claimed)
                                           : clv_sip_canonical_url(msg->sip_to->a_url);
        tell_answered(d, fork, msg, &peer, answer);
    }
    clv_sdp_free(answer);
}

static int
invite_answered(void *magic, nta_outgoing_t *orq, const sip_t *msg)
{
    Dialog *d = magic;
    int status = nta_outgoing_status(orq);

    if (d->call == NULL || orq != d->call->invite ||
        (d->state != DIALOG_CALLING && d->state != DIALOG_CANCELLING))
        return 0;

    clv_dialog_ref(d);
    if (status >= 300 || msg == NULL)
        refused(d, status >= 300 ? (guint)status : 500, msg);
    else if (status >= 200)
        answered(d, msg);
    else
        provisional(d, msg);
    clv_dialog_unref(d);
    return 0;
}

/* ---- what the hub asks for ---------------------------------------------------------------------
 */

void
clv_sip_confirm(ClvSip *sip, ClvLegId leg)
{
    Dialog *d = clv_dialog_find(sip, leg);

    if (d == NULL || d->state != DIALOG_ANSWERED)
        return;

    clv_call_acknowledge(d);
    d->state = DIALOG_LIVE;
    clv_session_start(d);
}

static void
no_final_answer(void *user)
{
    Dialog *d = user;

    d->call->timer = NULL;
    clv_dialog_bury(d);
}

/* RFC 3261 section 9.1: nta waits with the CANCEL for a provisional answer. Who never answers is
 * forgotten after 64*T1. */
void
clv_call_cancel(Dialog *d)
{
    d->state = DIALOG_CANCELLING;
    clv_dialog_linger(d);
    d->call->timer = clv_loop_timer(d->sip->loop, 64 * d->sip->t1_ms + 2000, no_final_answer, d);
    nta_outgoing_tcancel(d->call->invite, NULL, NULL,
                         TAG_IF(d->reason != NULL, SIPTAG_REASON_STR(d->reason)), TAG_END());
}
