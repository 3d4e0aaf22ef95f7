/* SPDX-License-Identifier: Apache-2.0 */
/* sip/refer-out.c - REFERs of ours: what does somebody whom we asked to call the focus say? (5.20)
 *
 * Each has a dialog of its own, which lives until a NOTIFY ends the subscription, the REFER is
 * refused, or nobody says anything for long.
 */
#include "config.h"

#include "sip/route.h"
#include "sip/sip-private.h"

#include <string.h>

#define PATIENCE_S 300
#define DEAF_MS 10000 /* for a NOTIFY that crosses our losing interest */
#define MAX_LIVE 1024

typedef struct Asked {
    ClvSip *sip;
    guint64 token;
    nta_leg_t *leg;
    nta_outgoing_t *refer; /* (nullable) unanswered */
    gboolean tls, trusted;
    char *contact;
    gboolean deaf; /* nobody wants to hear of it */
    guint status;  /* as last told */
    ClvTimer *timer;
} Asked;

static void
asked_free(gpointer data)
{
    Asked *a = data;

    clv_timer_cancel(a->timer);
    if (a->refer != NULL)
        nta_outgoing_destroy(a->refer);
    if (a->leg != NULL)
        nta_leg_destroy(a->leg);
    g_free(a->contact);
    g_free(a);
}

GHashTable *
clv_refers_out_new(void)
{
    return g_hash_table_new_full(g_int64_hash, g_int64_equal, NULL, asked_free);
}

/* Tells the hub what is new to it; with the last word the dialog goes. */
static void
tell(Asked *a, guint status, gboolean last)
{
    ClvSip *sip = a->sip;
    ClvSipEvent event = {
        .kind = CLV_SIP_REFER_STATUS, .token = a->token, .status = status, .last_status = last};
    gboolean news = !a->deaf && (last || status != a->status);

    a->status = status;
    if (last)
        g_hash_table_remove(sip->asked, &a->token);
    if (news)
        sip->handlers.event(sip->user, &event);
}

static void
gave_up(void *user)
{
    Asked *a = user;

    a->timer = NULL;
    tell(a, 408, TRUE);
}

static gboolean
is_worse(const Asked *a, const Peer *peer)
{
    return (a->tls && !peer->tls) || (a->trusted && !peer->trusted);
}

static int
refer_answered(void *magic, nta_outgoing_t *orq, const sip_t *msg)
{
    Asked *a = magic;
    int status = nta_outgoing_status(orq);
    Peer peer;

    if (status < 200 || orq != a->refer)
        return 0;
    clv_sip_peer_of_response(a->sip, orq, &peer);
    a->refer = NULL;
    if (status >= 300 || msg == NULL) {
        tell(a, status >= 300 ? (guint)status : 500, TRUE);
    } else if (is_worse(a, &peer) || msg->sip_to->a_tag == NULL) {
        tell(a, 502, TRUE);
    } else {
        if (nta_leg_get_rtag(a->leg) == NULL)
            nta_leg_rtag(a->leg, msg->sip_to->a_tag);
        tell(a, (guint)status, FALSE);
    }
    nta_outgoing_destroy(orq); /* last: msg is a part of it */
    return 0;
}

/* "SIP/2.0 200 OK" and whatever follows; 0: no such thing. */
static guint
read_fragment(const sip_t *msg)
{
    const sip_payload_t *body = msg->sip_payload;
    const char *p = body != NULL ? body->pl_data : NULL;

    if (p == NULL || body->pl_len < 11 || memcmp(p, "SIP/2.0 ", 8) != 0 || p[8] < '1' ||
        p[8] > '6' || !g_ascii_isdigit(p[9]) || !g_ascii_isdigit(p[10]) ||
        (body->pl_len > 11 && g_ascii_isdigit(p[11])))
        return 0;
    return (guint)((p[8] - '0') * 100 + (p[9] - '0') * 10 + (p[10] - '0'));
}

static int
on_notify(Asked *a, nta_incoming_t *irq, const sip_t *msg)
{
    const sip_subscription_state_t *state = msg->sip_subscription_state;
    const sip_event_t *event = msg->sip_event;
    guint status = read_fragment(msg);
    gboolean last;

    if (event == NULL || event->o_type == NULL || g_ascii_strcasecmp(event->o_type, "refer") != 0)
        return 489;
    if (state == NULL || state->ss_substate == NULL)
        return 400;
    last = g_ascii_strcasecmp(state->ss_substate, "terminated") == 0;
    if (nta_leg_get_rtag(a->leg) == NULL)
        nta_leg_rtag(a->leg, msg->sip_from->a_tag);
    nta_incoming_treply(irq, SIP_200_OK, SIPTAG_CONTACT_STR(a->contact), TAG_END());
    if (status == 0 && last)
        status = a->status >= 200 && a->status < 300 ? 408 : MAX(a->status, 408);
    if (status != 0)
        tell(a, status, last);
    return 200;
}

static int
on_request(void *magic, nta_leg_t *leg, nta_incoming_t *irq, const sip_t *msg)
{
    Asked *a = magic;
    Peer peer;

    if (msg->sip_to->a_tag == NULL)
        return 482;
    clv_sip_peer(a->sip, irq, &peer);
    if (is_worse(a, &peer))
        return 403;
    return msg->sip_request->rq_method == sip_method_notify ? on_notify(a, irq, msg)
                                                            : clv_sip_reply_method(irq, msg);
}

static gboolean
send_refer(Asked *a, const ClvSipReferOut *wish, const Route *route)
{
    g_autofree char *refer_to = g_strdup_printf("<%s>", wish->focus_uri);
    g_autofree char *proxy =
        a->sip->outbound != NULL ? g_strdup_printf("<%s>", a->sip->outbound) : NULL;
    g_autofree char *body =
        wish->mikey != NULL ? g_base64_encode(wish->mikey, wish->mikey_len) : NULL;

    a->refer = nta_outgoing_tcreate(
        a->leg, refer_answered, a, NULL, SIP_METHOD_REFER, URL_STRING_MAKE(wish->target),
        TAG_IF(proxy != NULL, SIPTAG_ROUTE_STR(proxy)), SIPTAG_CONTACT_STR(a->contact),
        SIPTAG_REFER_TO_STR(refer_to), SIPTAG_REFERRED_BY_STR(refer_to),
        SIPTAG_ALLOW_STR(CLV_SIP_ALLOW), SIPTAG_SUPPORTED_STR(CLV_SIP_SUPPORTED),
        SIPTAG_PRIVACY_STR("none"),
        TAG_IF(route->trusted, SIPTAG_P_ASSERTED_IDENTITY_STR(refer_to)),
        TAG_IF(body != NULL, SIPTAG_CONTENT_TYPE_STR("application/mikey")),
        TAG_IF(body != NULL, SIPTAG_CONTENT_DISPOSITION_STR("session;handling=required")),
        TAG_IF(body != NULL, SIPTAG_HEADER_STR("Content-Transfer-Encoding: base64")),
        TAG_IF(body != NULL, SIPTAG_PAYLOAD_STR(body)), TAG_END());
    return a->refer != NULL;
}

gboolean
clv_sip_refer(ClvSip *sip, const ClvSipReferOut *wish)
{
    Route route;
    Asked *a;
    Dialog way = {.sip = sip};
    g_autofree char *own = NULL, *to = NULL, *from = NULL, *tag = g_uuid_string_random();

    if (sip->refuse_new || g_hash_table_size(sip->asked) >= MAX_LIVE ||
        g_hash_table_contains(sip->asked, &wish->token) ||
        !clv_route_find(sip, wish->target, &route))
        return FALSE;

    own = clv_route_own_port(sip, &route, wish->focus_uri);
    way.request_target = own;
    to = g_strdup_printf("<%s>", wish->target);
    from = g_strdup_printf("<%s>;tag=%.18s", wish->focus_uri, tag);
    a = g_new0(Asked, 1);
    a->sip = sip;
    a->token = wish->token;
    a->tls = route.tls;
    a->trusted = route.trusted;
    a->contact =
        clv_dialog_make_contact(&way, wish->focus_uri, route.stream ? route.transport : NULL);
    a->leg = nta_leg_tcreate(sip->agent, on_request, a, SIPTAG_CALL_ID_STR(tag),
                             SIPTAG_FROM_STR(from), SIPTAG_TO_STR(to), TAG_END());
    g_hash_table_insert(sip->asked, &a->token, a);
    if (a->leg == NULL || !send_refer(a, wish, &route)) {
        g_hash_table_remove(sip->asked, &wish->token);
        return FALSE;
    }
    a->timer = clv_loop_timer(sip->loop, PATIENCE_S * 1000, gave_up, a);
    return TRUE;
}

void
clv_sip_refer_forget(ClvSip *sip, guint64 token)
{
    Asked *a = g_hash_table_lookup(sip->asked, &token);

    if (a == NULL || a->deaf)
        return;
    if (a->refer != NULL) { /* its dialog may never be */
        g_hash_table_remove(sip->asked, &token);
        return;
    }
    a->deaf = TRUE;
    clv_timer_cancel(a->timer);
    a->timer = clv_loop_timer(sip->loop, DEAF_MS, gave_up, a);
}
