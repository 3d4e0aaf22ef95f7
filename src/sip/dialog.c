/* SPDX-License-Identifier: Apache-2.0 */
/* sip/dialog.c - one dialog with one peer, from its INVITE to its grave
 *
 *   OPENING --200--> ACCEPTED --ACK--> LIVE --BYE--> (BURIED)
 *      |                 |               \--end()--> CLOSING --response--> BURIED
 *      | CANCEL, refuse  | end()
 *      v                 v
 *   BURIED           UNWANTED --ACK or no ACK--> CLOSING
 *
 * A call of ours begins elsewhere (call-out.c) and joins in at LIVE:
 *
 *   CALLING --2xx--> ANSWERED --confirm()--> LIVE
 *      | end()           | end(): ACK and BYE
 *      v                 v
 *   CANCELLING        CLOSING
 *
 * The hub knows a dialog as long as it stands in sip->dialogs; what is left to be said to the peer
 * afterwards is said from sip->lingering. Handlers of the hub may call back into this room, so each
 * function that emits holds a reference and looks at the state again.
 */
#include "config.h"

#include "sip/sip-private.h"

#include <string.h>

#include "base/secret.h"

/* In one dialog; honest peers owe one ACK at a time. */
#define MAX_UNACKED 64

#define ICSI_MMTEL "urn%3Aurn-7%3A3gpp-service.ims.icsi.mmtel"

/* ---- life -------------------------------------------------------------------------------- */

Dialog *
clv_dialog_ref(Dialog *d)
{
    d->refs++;
    return d;
}

void
clv_dialog_unref(Dialog *d)
{
    if (--d->refs > 0)
        return;

    g_free(d->call_id);
    g_free(d->request_target);
    g_free(d->contact);
    g_free(d->contact_uri);
    g_free(d->reason);
    g_free(d->asserted);
    g_free(d->claimed);
    g_free(d->identity);
    g_free(d->tag);
    clv_secret_free_string(d->sdp);
    g_free(d);
}

gboolean
clv_dialog_is_known(const Dialog *d)
{
    return g_hash_table_contains(d->sip->dialogs, &d->id);
}

/* Out of the hub's sight. A reference of the caller keeps it alive. */
void
clv_dialog_leave(Dialog *d)
{
    if (d->tag != NULL && g_hash_table_lookup(d->sip->dialogs_by_tag, d->tag) == d)
        g_hash_table_remove(d->sip->dialogs_by_tag, d->tag);
    if (clv_dialog_is_known(d))
        g_hash_table_remove(d->sip->dialogs, &d->id);
    d->sip->totals.dialogs = g_hash_table_size(d->sip->dialogs);
}

void
clv_dialog_linger(Dialog *d)
{
    if (!g_hash_table_contains(d->sip->lingering, d))
        g_hash_table_insert(d->sip->lingering, d, clv_dialog_ref(d));
}

static void
drop_incoming(nta_incoming_t **irq)
{
    if (*irq != NULL)
        nta_incoming_destroy(*irq);
    *irq = NULL;
}

static void
drop_request(Dialog *d)
{
    if (d->request != NULL)
        nta_outgoing_destroy(d->request);
    d->request = NULL;
}

/* Nothing more to be said: every Sofia object goes. Safe to call twice. */
void
clv_dialog_bury(Dialog *d)
{
    clv_dialog_ref(d);
    d->state = DIALOG_BURIED;
    clv_session_stop(d);
    g_clear_pointer(&d->ack_timer, clv_timer_cancel);
    g_clear_pointer(&d->progress_timer, clv_timer_cancel);
    clv_early_drop(d);
    drop_incoming(&d->invite);
    drop_incoming(&d->update);
    drop_request(d);
    clv_probe_drop(d);
    g_clear_pointer(&d->call, clv_call_free);
    if (d->leg != NULL)
        nta_leg_destroy(d->leg);
    d->leg = NULL;
    if (d->tport != NULL)
        tport_unref(d->tport);
    d->tport = NULL;
    clv_dialog_leave(d);
    g_hash_table_remove(d->sip->lingering, d);
    clv_dialog_unref(d);
}

void
clv_dialog_emit(Dialog *d, ClvSipEvent *event)
{
    event->leg = d->id;
    if (clv_dialog_is_known(d))
        d->sip->handlers.event(d->sip->user, event);
}

static void
emit(Dialog *d, ClvSipEventKind kind, const ClvSdp *offer, const char *cause)
{
    ClvSipEvent event = {.kind = kind, .leg = d->id, .offer = offer, .cause = cause};

    d->sip->handlers.event(d->sip->user, &event);
}

void
clv_dialog_ended(Dialog *d, const char *cause)
{
    if (!clv_dialog_is_known(d))
        return;

    clv_dialog_ref(d);
    clv_dialog_leave(d);
    emit(d, CLV_SIP_ENDED, NULL, cause);
    clv_dialog_unref(d);
}

/* ---- contact ------------------------------------------------------------------------------- */

static gboolean
host_is(const char *uri, const char *host, gsize len)
{
    const char *at = strchr(uri, '@');
    const char *start = at != NULL ? at + 1 : uri;

    return g_ascii_strncasecmp(start, host, len) == 0 && start[len] == '\0';
}

/* The conference URI, with the port and transport by which this peer reached us: a softphone sends
 * its ACK and BYE there without asking anybody. Both fall off again when URIs are compared. In an IMS
 * the service is told as well (TS 24.229: the ICSI of MMTel). */
char *
clv_dialog_make_contact(const Dialog *d, const char *uri, const char *transport)
{
    GString *text = g_string_new("<");
    const char *port = d->request_target != NULL ? strrchr(d->request_target, ':') : NULL;

    g_string_append(text, uri);
    if (strchr(uri, ';') == NULL) {
        if (port != NULL && host_is(uri, d->request_target, (gsize)(port - d->request_target)))
            g_string_append(text, port);
        if (transport != NULL)
            g_string_append_printf(text, ";transport=%s", transport);
    }
    g_string_append(text, ">;isfocus");
    if (d->sip->ims)
        g_string_append(text, ";+g.3gpp.icsi-ref=\"" ICSI_MMTEL "\"");
    return g_string_free(text, FALSE);
}

void
clv_dialog_strip_contact(char *contact)
{
    char *end = contact != NULL ? strchr(contact, '>') : NULL;

    if (end != NULL)
        end[1] = '\0';
}

static const char *
transport_name(const Dialog *d)
{
    return d->tport == NULL ? NULL : tport_has_tls(d->tport) ? "tls" : "tcp";
}

void
clv_dialog_set_contact(Dialog *d, const char *uri, const char *transport)
{
    if (g_strcmp0(d->contact_uri, uri) == 0)
        return;

    g_free(d->contact_uri);
    g_free(d->contact);
    d->contact_uri = g_strdup(uri);
    d->contact = clv_dialog_make_contact(d, uri, transport);
}

void
clv_dialog_name_contact(Dialog *d, const char *uri)
{
    clv_dialog_set_contact(d, uri, transport_name(d));
}

void
clv_dialog_set_sdp(Dialog *d, const char *sdp)
{
    clv_secret_free_string(d->sdp);
    d->sdp = g_strdup(sdp);
}

/* ---- our BYE ------------------------------------------------------------------------------- */

static int
bye_answered(void *d, nta_outgoing_t *orq, const sip_t *msg)
{
    if (nta_outgoing_status(orq) >= 200)
        clv_dialog_bury(d);
    return 0;
}

/* A client behind TCP or TLS can often be reached by its own connection alone. */
tport_t *
clv_dialog_connection(const Dialog *d)
{
    gboolean lives = d->tport != NULL && !tport_is_closed(d->tport) && !tport_is_shutdown(d->tport);

    return lives ? d->tport : NULL;
}

void
clv_dialog_bye(Dialog *d)
{
    clv_session_stop(d);
    g_clear_pointer(&d->ack_timer, clv_timer_cancel);
    drop_request(d);
    clv_probe_drop(d);
    drop_incoming(&d->invite); /* unanswered ones get a 500 */
    drop_incoming(&d->update);
    if (d->state == DIALOG_LIVE)
        clv_refer_hurry(d);
    d->state = DIALOG_CLOSING;
    d->request = nta_outgoing_tcreate(
        d->leg, bye_answered, d, NULL, SIP_METHOD_BYE, NULL, NTATAG_TPORT(clv_dialog_connection(d)),
        TAG_IF(d->reason != NULL, SIPTAG_REASON_STR(d->reason)), TAG_END());
    if (d->request == NULL)
        clv_dialog_bury(d);
    else
        clv_dialog_linger(d);
}

/* The peer broke a rule that ends the call. */
void
clv_dialog_fail(Dialog *d, const char *cause)
{
    clv_dialog_ref(d);
    clv_dialog_linger(d);
    clv_dialog_ended(d, cause);
    if (d->state != DIALOG_BURIED)
        clv_dialog_bye(d);
    clv_dialog_unref(d);
}

/* ---- ACK, no ACK, CANCEL -------------------------------------------------------------------- */

static void
no_ack(Dialog *d)
{
    clv_dialog_ref(d);
    if (d->state == DIALOG_UNWANTED) {
        clv_dialog_bye(d);
    } else if (d->state == DIALOG_ACCEPTED || d->state == DIALOG_LIVE) {
        clv_dialog_fail(d, "no-ack");
    } else if (d->state == DIALOG_OPENING) { /* no PRACK for a reliable 180 */
        nta_incoming_treply(d->invite, SIP_504_GATEWAY_TIME_OUT, TAG_END());
        clv_dialog_ended(d, "no-ack");
        clv_dialog_bury(d);
    }
    clv_dialog_unref(d);
}

/* nta says so itself after 64*T1, but not when the 200 could not be sent at all. */
static void
ack_timed_out(void *user)
{
    Dialog *d = user;

    d->ack_timer = NULL;
    no_ack(d);
}

static void
wait_for_ack(Dialog *d)
{
    clv_timer_cancel(d->ack_timer);
    d->ack_timer = clv_loop_timer(d->sip->loop, 64 * d->sip->t1_ms + 2000, ack_timed_out, d);
}

/* When our 200 carried the offer, its answer is in the ACK, and without one there is no session. */
static void
confirm(Dialog *d, ClvSipEventKind kind, const sip_t *msg)
{
    const sip_payload_t *body = msg->sip_payload;
    ClvSdp *answer = NULL;

    if (d->we_offered) {
        answer = body != NULL ? clv_sdp_parse(body->pl_data, body->pl_len, NULL) : NULL;
        d->we_offered = FALSE;
        if (answer == NULL) {
            clv_dialog_fail(d, "error");
            return;
        }
    }
    emit(d, kind, answer, NULL);
    clv_sdp_free(answer);
}

static void
acked(Dialog *d, int status, const sip_t *msg)
{
    g_clear_pointer(&d->ack_timer, clv_timer_cancel);
    drop_incoming(&d->invite);
    d->invite_answered = FALSE;
    if (d->state == DIALOG_UNWANTED) {
        clv_dialog_bye(d);
    } else if (status >= 300 && d->state == DIALOG_ACCEPTED) {
        clv_dialog_ended(d, "transport"); /* the 200 never left, nta sent a 500 in its place */
        clv_dialog_bury(d);
    } else if (status >= 300) {
        clv_dialog_fail(d, "transport");
    } else if (d->state == DIALOG_ACCEPTED) {
        d->state = DIALOG_LIVE;
        confirm(d, CLV_SIP_CONFIRMED, msg);
    } else if (d->state == DIALOG_LIVE) {
        confirm(d, CLV_SIP_REOFFER_DONE, msg);
    }
}

static void
cancelled(Dialog *d)
{
    nta_incoming_treply(d->invite, SIP_487_REQUEST_CANCELLED, TAG_END());
    clv_unacked_take(d->sip, d, g_steal_pointer(&d->invite));
    if (d->state != DIALOG_OPENING) { /* a re-INVITE: the dialog stays as it was */
        d->we_offered = FALSE;
        emit(d, CLV_SIP_REOFFER_CANCELLED, NULL, NULL);
        return;
    }
    clv_dialog_ended(d, "cancel");
    clv_dialog_bury(d);
}

/* nta's word about the INVITE in d->invite: its ACK, its CANCEL, or that no ACK came (NULL). */
static int
on_ack_or_cancel(void *magic, nta_incoming_t *irq, const sip_t *msg)
{
    Dialog *d = magic;

    if (irq != d->invite)
        return 0;

    clv_dialog_ref(d);
    if (msg == NULL)
        no_ack(d);
    else if (msg->sip_request->rq_method == sip_method_ack)
        acked(d, nta_incoming_status(irq), msg);
    else if (msg->sip_request->rq_method == sip_method_cancel && !d->invite_answered)
        cancelled(d);
    clv_dialog_unref(d);
    return 0;
}

/* ---- requests inside the dialog ----------------------------------------------------------------
 */

static int
on_bye(Dialog *d, nta_incoming_t *irq, const sip_t *msg)
{
    nta_incoming_treply(irq, SIP_200_OK, TAG_END());
    nta_incoming_destroy(irq);
    if (d->state == DIALOG_ANSWERED)
        clv_call_acknowledge(d); /* or the 2xx comes again and again */
    if (d->invite != NULL && !d->invite_answered)
        nta_incoming_treply(d->invite, SIP_487_REQUEST_CANCELLED, TAG_END());
    if (d->update != NULL)
        nta_incoming_treply(d->update, SIP_487_REQUEST_CANCELLED, TAG_END());
    clv_dialog_ended(d, "bye");
    clv_dialog_bury(d);
    return 0;
}

static int
on_options(Dialog *d, nta_incoming_t *irq, const sip_t *msg)
{
    return clv_sip_reply_options(irq, d->contact);
}

/* We have no subscription in a dialog of a call. */
static int
on_notify(Dialog *d, nta_incoming_t *irq, const sip_t *msg)
{
    return 481;
}

/* An ACK without a transaction, of a 200 that was acknowledged before. */
static int
on_late_ack(Dialog *d, nta_incoming_t *irq, const sip_t *msg)
{
    return 200; /* no answer is ever sent to an ACK; ends the transaction */
}

static gboolean
is_over(const Dialog *d)
{
    return d->state >= DIALOG_UNWANTED;
}

/* May an offer of the peer come in now? The rules of RFC 3261 14.2 and RFC 3311 5.2. */
static ClvCode
offer_verdict(const Dialog *d, sip_method_t method)
{
    if (method == sip_method_update && d->state == DIALOG_OPENING && d->answer_known &&
        d->update == NULL)
        return CLV_CODE_OK; /* resources are reserved, or the answer was not the last word */
    if (d->state != DIALOG_LIVE || d->update != NULL || (d->invite != NULL && !d->invite_answered))
        return CLV_CODE_RETRY_LATER;
    if (d->invite != NULL || (d->request != NULL && d->request_offers))
        return CLV_CODE_GLARE;
    return CLV_CODE_OK;
}

static gboolean
is_unfit(Dialog *d, nta_incoming_t *irq, const sip_t *msg)
{
    return clv_sip_check_extensions(d->sip, irq, msg) || clv_sip_check_content(d->sip, irq, msg) ||
           clv_sip_check_contact(d->sip, irq, msg, FALSE) ||
           clv_sip_check_session(d->sip, irq, msg);
}

static int
finish(Dialog *d, nta_incoming_t *irq)
{
    clv_unacked_take(d->sip, d, irq);
    return 0;
}

static int
refuse_offer(Dialog *d, nta_incoming_t *irq, ClvCode code)
{
    clv_sip_reply_code(d->sip, irq, code,
                       code == CLV_CODE_RETRY_LATER ? (guint)g_random_int_range(1, 10) : 0, NULL);
    return finish(d, irq);
}

static void
refresh_target(Dialog *d, const sip_t *msg)
{
    if (msg->sip_contact != NULL)
        nta_leg_server_route(d->leg, NULL, msg->sip_contact);
    if (msg->sip_allow != NULL)
        d->peer_has_update = sip_is_allowed(msg->sip_allow, SIP_METHOD_UPDATE);
}

static int
on_invite(Dialog *d, nta_incoming_t *irq, const sip_t *msg)
{
    ClvCode code = offer_verdict(d, sip_method_invite);
    ClvSdp *offer = NULL;

    if (code != CLV_CODE_OK)
        return refuse_offer(d, irq, code);
    if (clv_body_has_list(msg)) /* 5.7: REFER is the way to add people later */
        return refuse_offer(d, irq, CLV_CODE_FORBIDDEN);
    if (is_unfit(d, irq, msg) || !clv_sip_read_offer(d->sip, irq, msg, &offer))
        return finish(d, irq);

    nta_incoming_treply(irq, SIP_100_TRYING, TAG_END());
    refresh_target(d, msg);
    clv_session_asked(d, msg);
    clv_call_heed_identity(d, irq, msg);
    if (is_over(d)) { /* the hub did not like it */
        clv_sdp_free(offer);
        nta_incoming_treply(irq, SIP_487_REQUEST_CANCELLED, TAG_END());
        clv_unacked_take(d->sip, d, irq);
        return 0;
    }
    d->invite = irq;
    d->invite_answered = FALSE;
    d->we_offered = offer == NULL;
    nta_incoming_bind(irq, on_ack_or_cancel, d);
    emit(d, CLV_SIP_REOFFER, offer, NULL);
    clv_sdp_free(offer);
    return 0;
}

/* P-Asserted-Identity: who we are, for those whom we trust. (nullable) */
char *
clv_dialog_own_assertion(const Dialog *d)
{
    return d->trusted && d->contact_uri != NULL
               ? g_strdup_printf("P-Asserted-Identity: <%s>", d->contact_uri)
               : NULL;
}

/* 200 with what every 2xx carries; keeps the SDP for refreshes. */
static void
reply_ok(Dialog *d, nta_incoming_t *irq, const char *sdp)
{
    gboolean require = FALSE;
    g_autofree char *expires = clv_session_answer(d, &require);
    g_autofree char *asserted = clv_dialog_own_assertion(d);

    nta_incoming_treply(irq, SIP_200_OK, SIPTAG_CONTACT_STR(d->contact),
                        SIPTAG_ALLOW_STR(CLV_SIP_ALLOW), SIPTAG_SUPPORTED_STR(CLV_SIP_SUPPORTED),
                        SIPTAG_ACCEPT_STR(CLV_SIP_ACCEPT),
                        TAG_IF(require, SIPTAG_REQUIRE_STR("timer")),
                        TAG_IF(expires != NULL, SIPTAG_SESSION_EXPIRES_STR(expires)),
                        TAG_IF(asserted != NULL, SIPTAG_HEADER_STR(asserted)),
                        TAG_IF(asserted != NULL, SIPTAG_PRIVACY_STR("none")),
                        TAG_IF(sdp != NULL, SIPTAG_CONTENT_TYPE_STR("application/sdp")),
                        TAG_IF(sdp != NULL, SIPTAG_PAYLOAD_STR(sdp)), TAG_END());
    if (sdp != NULL)
        clv_dialog_set_sdp(d, sdp);
    clv_session_start(d);
}

/* Without an offer an UPDATE only refreshes the session timer and the target. */
static int
on_update(Dialog *d, nta_incoming_t *irq, const sip_t *msg)
{
    ClvSipEvent event = {.kind = CLV_SIP_REOFFER, .hurried = TRUE};
    ClvSdp *offer = NULL;
    ClvCode code;

    if (is_unfit(d, irq, msg) || !clv_sip_read_offer(d->sip, irq, msg, &offer))
        return finish(d, irq);
    if (offer == NULL) {
        refresh_target(d, msg);
        clv_session_asked(d, msg);
        reply_ok(d, irq, NULL);
        clv_call_heed_identity(d, irq, msg);
        return finish(d, irq);
    }

    code = offer_verdict(d, sip_method_update);
    if (code != CLV_CODE_OK) {
        clv_sdp_free(offer);
        return refuse_offer(d, irq, code);
    }
    refresh_target(d, msg);
    clv_session_asked(d, msg);
    clv_call_heed_identity(d, irq, msg);
    if (is_over(d)) {
        clv_sdp_free(offer);
        nta_incoming_treply(irq, SIP_487_REQUEST_CANCELLED, TAG_END());
        return finish(d, irq);
    }
    d->update = irq;
    d->update_reserves = clv_sdp_qos_waits(offer);
    event.offer = offer;
    clv_dialog_emit(d, &event);
    clv_sdp_free(offer);
    return 0;
}

static const struct {
    sip_method_t method;
    int (*handle)(Dialog *d, nta_incoming_t *irq, const sip_t *msg);
} methods[] = {
    {sip_method_bye, on_bye},
    {sip_method_invite, on_invite},
    {sip_method_ack, on_late_ack},
    {sip_method_update, on_update},
    {sip_method_options, on_options},
    {sip_method_refer, clv_refer_inside},
    {sip_method_subscribe, clv_refer_subscribe_inside},
    {sip_method_notify, on_notify},
};

/* Whoever knows the tags could otherwise speak in a dialog of TLS from anywhere in the clear, and
 * an answer may hold keys. */
gboolean
clv_dialog_is_worse(const Dialog *d, const Peer *peer)
{
    return (d->tls && !peer->tls) || (d->trusted && !peer->trusted);
}

static gboolean
came_worse(const Dialog *d, nta_incoming_t *irq)
{
    Peer peer;

    if (!d->tls && !d->trusted)
        return FALSE;
    clv_sip_peer(d->sip, irq, &peer);
    return clv_dialog_is_worse(d, &peer);
}

/* From here on his requests belong to no dialog, and cost us as little as those of strangers. */
static void
abandon(Dialog *d)
{
    if (d->state == DIALOG_LIVE)
        clv_dialog_fail(d, "error");
    else
        clv_dialog_ended(d, "error");
    if (d->state != DIALOG_BURIED)
        clv_dialog_bury(d); /* a BYE is repeated nevertheless */
}

/* is_his: of the peer himself, as far as we can tell. What others send shall not end his call. */
static int
refuse_invite(Dialog *d, gboolean is_his, nta_incoming_t *irq, int status)
{
    nta_incoming_treply(irq, status, sip_status_phrase(status), TAG_END());
    clv_unacked_take(d->sip, is_his ? d : NULL, irq);
    if (d->n_unacked > MAX_UNACKED && d->state != DIALOG_BURIED)
        abandon(d);
    return 0;
}

int
clv_dialog_request(void *magic, nta_leg_t *leg, nta_incoming_t *irq, const sip_t *msg)
{
    Dialog *d = magic;
    sip_method_t method = msg->sip_request->rq_method;
    gboolean is_his = FALSE;
    int status = -1;

    clv_dialog_ref(d);
    if (msg->sip_to->a_tag == NULL && method != sip_method_ack) {
        status = 482; /* the same Call-ID and From tag, but a call of its own */
    } else if (method != sip_method_ack && came_worse(d, irq)) {
        status = 403;
    } else if ((d->state == DIALOG_CLOSING || d->state == DIALOG_UNWANTED) &&
               method != sip_method_bye && method != sip_method_ack) {
        is_his = TRUE;
        status = 481;
    } else if (method == sip_method_invite && d->n_unacked >= MAX_UNACKED) {
        is_his = TRUE;
        status = 503;
    } else {
        for (gsize i = 0; status < 0 && i < G_N_ELEMENTS(methods); i++) {
            if (methods[i].method == method)
                status = methods[i].handle(d, irq, msg);
        }
        if (status < 0)
            status = clv_sip_reply_method(irq, msg);
    }
    if (method == sip_method_invite && status >= 300)
        status = refuse_invite(d, is_his, irq, status);
    clv_dialog_unref(d);
    return status;
}

/* ---- a new dialog -----------------------------------------------------------------------------
 */

static gboolean
is_default_port(const Peer *peer)
{
    return strcmp(peer->local_port, peer->tls ? "5061" : "5060") == 0;
}

static gboolean
is_port(const char *text)
{
    return text != NULL && text[0] != '\0' && strspn(text, "0123456789") == strlen(text);
}

/* Without a port in the Request-URI and without a proxy in between (a softphone that was given our
 * address as its outbound proxy) it is the port that the peer came to, unless that is the one it
 * would take anyway. */
char *
clv_dialog_read_target(const sip_t *msg, const Peer *peer)
{
    const url_t *url = msg->sip_request->rq_url;
    const char *port = url->url_port;

    if (port == NULL && msg->sip_record_route == NULL && !is_default_port(peer))
        port = peer->local_port;
    if (url->url_host == NULL || !is_port(port))
        return NULL;
    return g_strdup_printf("%s:%s", url->url_host, port);
}

/* Found by the tag that we chose: nobody can have others share its place in the table. */
void
clv_dialog_enter_tag(Dialog *d)
{
    d->tag = g_strdup(nta_leg_get_tag(d->leg));
    if (d->tag != NULL)
        g_hash_table_insert(d->sip->dialogs_by_tag, d->tag, d);
}

static void
enter_table(Dialog *d)
{
    g_hash_table_insert(d->sip->dialogs, &d->id, clv_dialog_ref(d));
    d->sip->totals.dialogs = g_hash_table_size(d->sip->dialogs);
}

Dialog *
clv_dialog_new_out(ClvSip *sip, ClvLegId leg)
{
    Dialog *d = g_new0(Dialog, 1);

    d->refs = 1;
    d->sip = sip;
    d->id = leg;
    d->state = DIALOG_CALLING;
    d->we_called = TRUE;
    enter_table(d);
    clv_dialog_unref(d);
    return d;
}

static Dialog *
dialog_new(ClvSip *sip, nta_incoming_t *irq, const sip_t *msg, const Peer *peer)
{
    Dialog *d = g_new0(Dialog, 1);

    d->refs = 1;
    d->sip = sip;
    d->call_id = g_strdup(msg->sip_call_id->i_id);
    d->request_target = clv_dialog_read_target(msg, peer);
    d->tls = peer->tls;
    d->trusted = peer->trusted;
    d->leg = nta_leg_tcreate(sip->agent, clv_dialog_request, d, SIPTAG_CALL_ID(msg->sip_call_id),
                             SIPTAG_FROM(msg->sip_to), SIPTAG_TO(msg->sip_from),
                             NTATAG_REMOTE_CSEQ(msg->sip_cseq->cs_seq), TAG_END());
    if (d->leg == NULL || nta_leg_tag(d->leg, nta_incoming_tag(irq, NULL)) == NULL ||
        nta_leg_server_route(d->leg, msg->sip_record_route, msg->sip_contact) < 0) {
        if (d->leg != NULL)
            nta_leg_destroy(d->leg);
        clv_dialog_unref(d);
        return NULL;
    }
    if (peer->tport != NULL && tport_is_stream(peer->tport))
        d->tport = tport_ref(peer->tport);
    d->peer_has_update = sip_is_allowed(msg->sip_allow, SIP_METHOD_UPDATE);
    d->wants_reliable = sip_has_feature(msg->sip_require, "100rel") != 0;
    d->knows_reliable = d->wants_reliable || sip_has_feature(msg->sip_supported, "100rel") != 0;
    d->knows_preconditions = sip_has_feature(msg->sip_require, "precondition") != 0 ||
                             sip_has_feature(msg->sip_supported, "precondition") != 0;
    clv_session_asked(d, msg);
    return d;
}

void
clv_dialog_open(ClvSip *sip, nta_incoming_t *irq, const sip_t *msg, const Peer *peer,
                ClvSipInvite *info)
{
    Dialog *d = dialog_new(sip, irq, msg, peer);
    ClvSipEvent event = {.kind = CLV_SIP_INVITE, .invite = info};

    if (d == NULL) {
        sip->totals.malformed++;
        nta_incoming_treply(irq, SIP_400_BAD_REQUEST, TAG_END());
        clv_unacked_take(sip, NULL, irq);
        return;
    }
    d->id = sip->handlers.new_leg(sip->user);
    if (d->id == 0) {
        clv_sip_reply_code(sip, irq, CLV_CODE_OVERLOAD, 0, NULL);
        clv_unacked_take(sip, NULL, irq);
        clv_dialog_bury(d);
        clv_dialog_unref(d);
        return;
    }

    nta_incoming_treply(irq, SIP_100_TRYING, TAG_END());
    d->invite = irq;
    d->we_offered = info->offer == NULL;
    d->peer_reserves =
        info->offer != NULL && d->knows_preconditions && clv_sdp_qos_waits(info->offer);
    d->answer_early =
        info->offer != NULL && d->knows_reliable &&
        (d->wants_reliable || (d->knows_preconditions && clv_sdp_qos_is_mandatory(info->offer)));
    d->proof = info->proof;
    d->identity = g_strdup(info->identity);
    nta_incoming_bind(irq, on_ack_or_cancel, d);
    enter_table(d);
    clv_dialog_enter_tag(d);
    event.leg = info->leg = d->id;
    event.offer = info->offer;
    sip->handlers.event(sip->user, &event);
    clv_dialog_unref(d);
}

/* ---- what the hub asks for
 * ----------------------------------------------------------------------- */

Dialog *
clv_dialog_find(const ClvSip *sip, ClvLegId leg)
{
    g_return_val_if_fail(sip != NULL, NULL);

    return g_hash_table_lookup(sip->dialogs, &leg);
}

void
clv_sip_redirect(ClvSip *sip, ClvLegId leg, const char *contact_uri, const guint8 *mikey, gsize len)
{
    Dialog *d = clv_dialog_find(sip, leg);
    sip_payload_t body[1];

    if (d == NULL || !clv_early_may_progress(d))
        return;
    clv_dialog_name_contact(d, contact_uri);
    sip_payload_init(body);
    body->pl_data = (char *)(uintptr_t)mikey;
    body->pl_len = len;
    nta_incoming_treply(d->invite, SIP_302_MOVED_TEMPORARILY, SIPTAG_CONTACT_STR(d->contact),
                        TAG_IF(len > 0, SIPTAG_CONTENT_TYPE_STR("application/mikey")),
                        TAG_IF(len > 0, SIPTAG_PAYLOAD(body)), TAG_END());
    clv_unacked_take(sip, d, g_steal_pointer(&d->invite));
    clv_dialog_bury(d);
}

void
clv_sip_refuse(ClvSip *sip, ClvLegId leg, ClvCode code, guint retry_after_s, const char *body)
{
    Dialog *d = clv_dialog_find(sip, leg);
    nta_incoming_t **irq;
    gboolean updates;

    if (d == NULL)
        return;
    updates = d->update != NULL;
    irq = updates ? &d->update : &d->invite;
    if (*irq == NULL || (!updates && d->invite_answered))
        return;

    if (updates && code == CLV_CODE_KMS_TIMEOUT)
        code = CLV_CODE_RETRY_LATER; /* 4.2: the dialog goes on, and the UPDATE may come again */
    clv_sip_reply_code(sip, *irq, code, retry_after_s, body);
    clv_unacked_take(sip, d, g_steal_pointer(irq));
    if (updates)
        return; /* and in an early dialog the INVITE waits for its answer as before */
    d->we_offered = FALSE;
    if (d->state == DIALOG_OPENING)
        clv_dialog_bury(d);
}

static void
accept_update(Dialog *d, const char *sdp)
{
    reply_ok(d, d->update, sdp);
    drop_incoming(&d->update);
    d->peer_reserves = d->update_reserves;
    emit(d, CLV_SIP_REOFFER_DONE, NULL, NULL);
    clv_early_finish(d);
}

/* The 200. */
void
clv_dialog_answer(Dialog *d, const char *sdp)
{
    d->invite_answered = TRUE;
    if (d->state == DIALOG_OPENING)
        d->state = DIALOG_ACCEPTED;
    wait_for_ack(d);
    reply_ok(d, d->invite, sdp);
}

void
clv_dialog_accept(Dialog *d, const char *sdp)
{
    if (d->invite == NULL || d->invite_answered || (d->state == DIALOG_OPENING && d->answer_sent))
        return;
    if (d->ringing != NULL) {
        clv_dialog_set_sdp(d, sdp);
        d->answer_waits = TRUE;
        return;
    }
    if (d->state == DIALOG_OPENING && d->answer_early && sdp != NULL) {
        clv_early_answer(d, sdp);
        return;
    }
    clv_dialog_answer(d, sdp);
}

void
clv_sip_accept(ClvSip *sip, ClvLegId leg, const char *contact_uri, const char *sdp)
{
    Dialog *d = clv_dialog_find(sip, leg);

    if (d == NULL)
        return;

    clv_dialog_ref(d);
    clv_dialog_name_contact(d, contact_uri);
    if (d->update != NULL)
        accept_update(d, sdp);
    else
        clv_dialog_accept(d, sdp);
    clv_dialog_unref(d);
}

void
clv_sip_end(ClvSip *sip, ClvLegId leg, const char *reason)
{
    Dialog *d = clv_dialog_find(sip, leg);

    if (d == NULL)
        return;

    clv_dialog_ref(d);
    d->reason = g_strdup(reason);
    clv_dialog_leave(d);
    switch (d->state) {
    case DIALOG_OPENING:
        nta_incoming_treply(d->invite, SIP_487_REQUEST_CANCELLED,
                            TAG_IF(reason != NULL, SIPTAG_REASON_STR(reason)), TAG_END());
        clv_dialog_bury(d);
        break;
    case DIALOG_CALLING:
        clv_call_cancel(d);
        break;
    case DIALOG_ANSWERED:
        clv_call_acknowledge(d);
        clv_dialog_linger(d);
        clv_dialog_bye(d);
        break;
    case DIALOG_ACCEPTED: /* RFC 3261 section 15: no BYE before the ACK */
        d->state = DIALOG_UNWANTED;
        clv_dialog_linger(d);
        break;
    default:
        clv_dialog_linger(d);
        clv_dialog_bye(d);
        break;
    }
    clv_dialog_unref(d);
}

static Dialog *
find_by_own_tag(const ClvSip *sip, const char *call_id, const char *own, const char *other)
{
    Dialog *d = g_hash_table_lookup(sip->dialogs_by_tag, own);

    return d != NULL && d->leg != NULL && g_strcmp0(d->call_id, call_id) == 0 &&
                   g_strcmp0(nta_leg_get_rtag(d->leg), other) == 0
               ? d
               : NULL;
}

Dialog *
clv_dialog_find_by_tags(const ClvSip *sip, const char *call_id, const char *tag,
                        const char *other_tag)
{
    Dialog *d = find_by_own_tag(sip, call_id, tag, other_tag);

    return d != NULL ? d : find_by_own_tag(sip, call_id, other_tag, tag);
}

const char *
clv_sip_call_id(const ClvSip *sip, ClvLegId leg)
{
    const Dialog *d = g_hash_table_lookup(sip->dialogs, &leg);

    return d != NULL ? d->call_id : NULL;
}
