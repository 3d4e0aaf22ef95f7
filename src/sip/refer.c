/* SPDX-License-Identifier: Apache-2.0 */
/* sip/refer.c - REFERs to a conference, and the NOTIFYs that tell what became of them (RFC 3515)
 *
 *   REFER -> (checks) -> hub -> 202 -> NOTIFY 100 -> ... -> NOTIFY 200, terminated
 *
 * A REFER inside a call speaks in the call's dialog; one outside makes a dialog of its own for its
 * NOTIFYs. One NOTIFY is under way at a time; what is told in between is the latest. The hub's id
 * is dead with a refusal or its last NOTIFY; the peer may stop listening at any time, and the hub
 * need not know.
 */
#include "config.h"

#include "sip/multipart.h"
#include "sip/refer-to.h"
#include "sip/sip-private.h"

#include <string.h>

#include "base/identity.h"

#define MAX_IN_ALL 4096
#define MAX_OF_STRANGERS 3072 /* their addresses may be forged: the rest is for calls and trusted peers */
#define MAX_PER_SOURCE 128    /* of an address that is not trusted, or of a call */
#define DEFAULT_EXPIRES_S 300
#define MAX_EXPIRES_S 3600

typedef struct Referral {
    ClvSip *sip;
    ClvReferId id;
    Dialog *d;      /* (nullable) counted: the call that it came in */
    nta_leg_t *leg; /* (nullable) own dialog of a REFER outside of calls */
    tport_t *tport; /* (nullable) */
    gboolean tls, trusted;
    gboolean unproven; /* so is his Contact: no way for our NOTIFYs but his own connection */
    gboolean at_home;  /* his Contact is where the REFER came from, by UDP */
    char *source; /* whose share it is */
    nta_incoming_t *irq;              /* (nullable) the REFER, unanswered */
    char *contact, *event, *event_id; /* event_id: (nullable) */
    gboolean quiet;                   /* the referrer wants no NOTIFYs, or no more */
    gboolean done;                    /* for the hub: its id is dead */
    nta_outgoing_t *notify;           /* (nullable) under way */
    guint status;                     /* what is told, or was told last */
    char *phrase;                     /* (nullable) */
    const char *reason;               /* (nullable) the subscription ends, and why */
    gboolean pending;                 /* .status has not been told */
    gint64 expires_us;
    ClvTimer *timer;
} Referral;

struct ClvReferrals {
    GHashTable *live;    /* id -> Referral */
    GHashTable *sources; /* host -> how many */
    ClvReferId last_id;
};

ClvReferrals *
clv_referrals_new(void)
{
    ClvReferrals *referrals = g_new0(ClvReferrals, 1);

    referrals->live = g_hash_table_new(g_int64_hash, g_int64_equal);
    referrals->sources = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    return referrals;
}

guint
clv_referrals_count(const ClvReferrals *referrals)
{
    return g_hash_table_size(referrals->live);
}

static Referral *
find(ClvSip *sip, ClvReferId id)
{
    return g_hash_table_lookup(sip->referrals->live, &id);
}

/* ---- life --------------------------------------------------------------------------------------
 */

static guint
count_of(ClvSip *sip, const char *source)
{
    return GPOINTER_TO_UINT(g_hash_table_lookup(sip->referrals->sources, source));
}

static void
count(ClvSip *sip, const char *source, gint more)
{
    guint n = count_of(sip, source) + (guint)more;

    if (n == 0)
        g_hash_table_remove(sip->referrals->sources, source);
    else
        g_hash_table_insert(sip->referrals->sources, g_strdup(source), GUINT_TO_POINTER(n));
}

static void
referral_free(Referral *r)
{
    g_hash_table_remove(r->sip->referrals->live, &r->id);
    count(r->sip, r->source, -1);
    clv_timer_cancel(r->timer);
    if (r->irq != NULL)
        nta_incoming_destroy(r->irq);
    if (r->notify != NULL)
        nta_outgoing_destroy(r->notify);
    if (r->leg != NULL)
        nta_leg_destroy(r->leg);
    if (r->tport != NULL)
        tport_unref(r->tport);
    if (r->d != NULL)
        clv_dialog_unref(r->d);
    g_free(r->source);
    g_free(r->contact);
    g_free(r->event);
    g_free(r->event_id);
    g_free(r->phrase);
    g_free(r);
}

void
clv_referrals_free(ClvReferrals *referrals)
{
    GHashTableIter iter;
    gpointer value;

    while (g_hash_table_size(referrals->live) > 0) {
        g_hash_table_iter_init(&iter, referrals->live);
        g_hash_table_iter_next(&iter, NULL, &value);
        referral_free(value);
    }
    g_hash_table_destroy(referrals->live);
    g_hash_table_destroy(referrals->sources);
    g_free(referrals);
}

/* Nobody wants to say or hear anything more? */
static void
settle(Referral *r)
{
    if (r->done && r->irq == NULL && r->notify == NULL && (r->quiet || !r->pending))
        referral_free(r);
}

/* ---- NOTIFY ------------------------------------------------------------------------------------
 */

static nta_leg_t *
leg_of(const Referral *r)
{
    if (r->d == NULL)
        return r->leg;
    return r->d->state == DIALOG_LIVE ? r->d->leg : NULL;
}

static tport_t *
connection_of(const Referral *r)
{
    if (r->d != NULL)
        return clv_dialog_connection(r->d);
    return r->tport != NULL && !tport_is_closed(r->tport) && !tport_is_shutdown(r->tport) ? r->tport
                                                                                          : NULL;
}

static char *
subscription_state(const Referral *r)
{
    gint64 left_s = (r->expires_us - g_get_monotonic_time()) / G_USEC_PER_SEC;

    if (r->reason != NULL)
        return g_strdup_printf("terminated;reason=%s", r->reason);
    return g_strdup_printf("active;expires=%" G_GINT64_FORMAT, MAX(left_s, 0));
}

static int notify_answered(void *magic, nta_outgoing_t *orq, const sip_t *msg);

/* To an address that somebody may have forged the last word goes alone, and once; to another than that
 * of the REFER nothing. */
static void
send_notify(Referral *r)
{
    nta_leg_t *leg = leg_of(r);
    tport_t *connection = connection_of(r);
    gboolean once = r->unproven && connection == NULL;
    g_autofree char *state = subscription_state(r);
    g_autofree char *fragment = NULL;

    if (r->quiet || !r->pending || r->notify != NULL || r->irq != NULL ||
        (once && r->reason == NULL))
        return;
    if (once && !r->at_home) {
        r->quiet = TRUE;
        return;
    }
    r->pending = FALSE;
    fragment = g_strdup_printf("SIP/2.0 %u %s\r\n", r->status,
                               r->phrase != NULL ? r->phrase : sip_status_phrase((int)r->status));
    if (leg != NULL)
        r->notify =
            nta_outgoing_tcreate(leg, once ? NULL : notify_answered, once ? NULL : r, NULL, SIP_METHOD_NOTIFY, NULL,
                                 NTATAG_TPORT(connection), NTATAG_STATELESS(once),
                                 SIPTAG_CONTACT_STR(r->contact),
                                 SIPTAG_EVENT_STR(r->event), SIPTAG_SUBSCRIPTION_STATE_STR(state),
                                 SIPTAG_CONTENT_TYPE_STR("message/sipfrag;version=2.0"),
                                 SIPTAG_PAYLOAD_STR(fragment), TAG_END());
    if (once)
        r->notify = NULL;
    if (r->reason != NULL || r->notify == NULL)
        r->quiet = TRUE; /* nothing after the last */
}

static int
notify_answered(void *magic, nta_outgoing_t *orq, const sip_t *msg)
{
    Referral *r = magic;
    int status = nta_outgoing_status(orq);

    if (status < 200 || orq != r->notify)
        return 0;
    nta_outgoing_destroy(g_steal_pointer(&r->notify));
    if (status >= 300)
        r->quiet = TRUE; /* 481: he has forgotten; others: he does not want it */
    send_notify(r);
    settle(r);
    return 0;
}

/* ---- the life of the subscription --------------------------------------------------------------
 */

static void
expired(void *user)
{
    Referral *r = user;

    r->timer = NULL;
    r->reason = "timeout";
    r->pending = !r->quiet;
    send_notify(r);
    if (r->notify == NULL)
        r->quiet = TRUE;
    settle(r);
}

static void
listen_for(Referral *r, gint64 seconds)
{
    r->expires_us = g_get_monotonic_time() + seconds * G_USEC_PER_SEC;
    clv_timer_cancel(r->timer);
    r->timer = clv_loop_timer(r->sip->loop, seconds * 1000, expired, r);
}

static gint64
wanted_expires(const sip_t *msg, gint64 otherwise)
{
    return msg->sip_expires != NULL ? (gint64)MIN(msg->sip_expires->ex_delta, MAX_EXPIRES_S)
                                    : otherwise;
}

/* A refresh, or with 0 the end; in both cases he is told how things stand. */
static int
on_subscribe(Referral *r, nta_incoming_t *irq, const sip_t *msg)
{
    gint64 expires_s = wanted_expires(msg, DEFAULT_EXPIRES_S);
    g_autofree char *expires = g_strdup_printf("%" G_GINT64_FORMAT, expires_s);

    nta_incoming_treply(irq, SIP_200_OK, SIPTAG_EXPIRES_STR(expires),
                        SIPTAG_CONTACT_STR(r->contact), TAG_END());
    if (expires_s == 0)
        r->reason = "timeout";
    else
        listen_for(r, expires_s);
    r->pending = TRUE;
    send_notify(r);
    settle(r);
    return 200;
}

static int
subscribe_to(ClvSip *sip, const Dialog *d, Referral *own, nta_incoming_t *irq, const sip_t *msg)
{
    const sip_event_t *event = msg->sip_event;
    GHashTableIter iter;
    gpointer value;

    if (event == NULL || event->o_type == NULL || g_ascii_strcasecmp(event->o_type, "refer") != 0) {
        nta_incoming_treply(irq, 489, "Bad Event", SIPTAG_ALLOW_EVENTS_STR(CLV_SIP_EVENTS),
                            TAG_END());
        return 489;
    }
    if (own != NULL)
        return own->quiet || own->reason != NULL ? 481 : on_subscribe(own, irq, msg);

    g_hash_table_iter_init(&iter, sip->referrals->live);
    while (g_hash_table_iter_next(&iter, NULL, &value)) {
        Referral *r = value;

        if (r->d == d && r->irq == NULL && !r->quiet && r->reason == NULL &&
            g_strcmp0(r->event_id, event->o_id) == 0)
            return on_subscribe(r, irq, msg);
    }
    return 481;
}

int
clv_refer_subscribe_inside(Dialog *d, nta_incoming_t *irq, const sip_t *msg)
{
    int status = subscribe_to(d->sip, d, NULL, irq, msg);

    return status;
}

/* ---- requests in a REFER's own dialog ----------------------------------------------------------
 */

static int
on_own_request(void *magic, nta_leg_t *leg, nta_incoming_t *irq, const sip_t *msg)
{
    Referral *r = magic;
    Peer peer;

    if (msg->sip_to->a_tag == NULL)
        return 482;
    clv_sip_peer(r->sip, irq, &peer);
    if ((r->tls && !peer.tls) || (r->trusted && !peer.trusted))
        return 403;
    if (msg->sip_request->rq_method == sip_method_subscribe)
        return subscribe_to(r->sip, NULL, r, irq, msg);
    if (msg->sip_request->rq_method == sip_method_refer) {
        clv_sip_reply_code(r->sip, irq, CLV_CODE_FORBIDDEN, 0, NULL); /* RFC 7647: not in here */
        return 403;
    }
    return msg->sip_request->rq_method == sip_method_options
               ? clv_sip_reply_options(irq, r->contact)
               : clv_sip_reply_method(irq, msg);
}

/* ---- checks of a REFER: TRUE: refused and answered ---------------------------------------------
 */

static gboolean
refuse_with(Request *rq, int status, const char *phrase)
{
    clv_sip_count_refusal(rq->sip, (guint)status);
    nta_incoming_treply(rq->irq, status, phrase, TAG_END());
    return TRUE;
}

/* Who is in a call is counted by that: strangers who forge his address must not use up his share. */
static char *
source_of(const Request *rq, const Dialog *d)
{
    return d != NULL ? g_strdup_printf("call %" G_GUINT64_FORMAT, d->id) : g_strdup(rq->peer.host);
}

static gboolean
is_overload(Request *rq, const Dialog *d)
{
    const ClvSip *sip = rq->sip;
    guint most = rq->peer.trusted || d != NULL ? MAX_IN_ALL : MAX_OF_STRANGERS;
    g_autofree char *source = source_of(rq, d);

    if (!sip->refuse_new && g_hash_table_size(sip->referrals->live) < most &&
        (rq->peer.trusted || count_of(rq->sip, source) < MAX_PER_SOURCE))
        return FALSE;
    return clv_request_refuse(rq, CLV_CODE_OVERLOAD);
}

/* It makes us send a request: so it counts as a hop (RFC 3261 section 16.3). */
static gboolean
is_loop(Request *rq)
{
    return rq->msg->sip_max_forwards != NULL && rq->msg->sip_max_forwards->mf_count == 0 &&
           refuse_with(rq, SIP_483_TOO_MANY_HOPS);
}

static gboolean
has_body(const sip_t *msg)
{
    return msg->sip_payload != NULL && msg->sip_payload->pl_len > 0;
}

static gboolean
is_beyond_us(Request *rq)
{
    static const char *const types[] = {"application/mikey", "application/sdp", "multipart/mixed"};
    const sip_content_type_t *type = rq->msg->sip_content_type;
    const sip_content_encoding_t *encoding = rq->msg->sip_content_encoding;
    gboolean fits = !has_body(rq->msg);

    if (clv_sip_check_extensions(rq->sip, rq->irq, rq->msg))
        return TRUE;
    for (gsize i = 0; i < G_N_ELEMENTS(types); i++)
        fits |=
            type != NULL && type->c_type != NULL && g_ascii_strcasecmp(type->c_type, types[i]) == 0;
    fits &= encoding == NULL || encoding->k_items == NULL || encoding->k_items[0] == NULL ||
            g_ascii_strcasecmp(encoding->k_items[0], "identity") == 0;
    if (!fits) {
        clv_sip_count_refusal(rq->sip, 415);
        nta_incoming_treply(rq->irq, SIP_415_UNSUPPORTED_MEDIA,
                            SIPTAG_ACCEPT_STR(CLV_SIP_ACCEPT_REFER),
                            SIPTAG_ACCEPT_ENCODING_STR("identity"), TAG_END());
        return TRUE;
    }
    return clv_sip_check_contact(rq->sip, rq->irq, rq->msg, TRUE);
}

/* Sofia keeps the first, and puts others, or malformed ones, aside. */
static gboolean
has_more_than_one(const sip_t *msg)
{
    for (const sip_error_t *e = msg->sip_error; e != NULL; e = e->er_next) {
        if (e->er_common->h_class == sip_refer_to_class)
            return TRUE;
    }
    return FALSE;
}

/* RFC 3515 2.4.2: exactly one Refer-To. */
static gboolean
is_bad_target(Request *rq, ClvReferTo *out)
{
    const sip_refer_to_t *refer_to = rq->msg->sip_refer_to;
    char text[CLV_REFER_TO_MAX + 1];
    issize_t n;

    if (refer_to == NULL || has_more_than_one(rq->msg))
        return refuse_with(rq, 400, refer_to == NULL ? "Missing Refer-To" : "Several Refer-To");
    n = url_e(text, sizeof(text), refer_to->r_url);
    if (n <= 0 || n >= (issize_t)sizeof(text))
        return refuse_with(rq, 400, "Bad Refer-To");
    switch (clv_refer_to_parse(text, out)) {
    case CLV_REFER_TO_OK:
        return FALSE;
    case CLV_REFER_TO_FOREIGN:
        return clv_request_refuse(rq, CLV_CODE_FORBIDDEN);
    case CLV_REFER_TO_MALFORMED:
        break;
    }
    return refuse_with(rq, 400, "Bad Refer-To");
}

/* ---- the ticket in the body --------------------------------------------------------------------
 */

/* Without blanks, and good to the last character; (nullable) */
static char *
clean_base64(const char *body, gsize len)
{
    GString *out = g_string_sized_new(len);
    gsize n = 0;

    for (gsize i = 0; i < len; i++) {
        if (g_ascii_isalnum(body[i]) || body[i] == '+' || body[i] == '/' || body[i] == '=') {
            g_string_append_c(out, body[i]);
            n += body[i] == '=' ? 1 : 0;
        } else if (!g_ascii_isspace(body[i])) {
            n = G_MAXUINT16;
            break;
        }
    }
    if (out->len == 0 || out->len % 4 != 0 || n > 2 || strcspn(out->str, "=") != out->len - n)
        return g_string_free(out, TRUE), NULL;
    return g_string_free(out, FALSE);
}

static ClvSdp *
ticket_from_mikey(const char *body, gsize len, gboolean base64)
{
    g_autofree char *text =
        base64 ? clean_base64(body, len) : g_base64_encode((const guchar *)body, len);
    ClvSdp *sdp;

    if (text == NULL || text[0] == '\0')
        return NULL;
    sdp = g_new0(ClvSdp, 1);
    sdp->keymgmt[sdp->n_keymgmt++] = g_strdup_printf("mikey %s", text);
    return sdp;
}

static ClvSdp *
ticket_from_part(const ClvPart *part)
{
    ClvSdp *sdp;

    if (strcmp(part->type, "application/mikey") == 0)
        return ticket_from_mikey(part->body, part->len, part->base64);
    sdp = clv_sdp_parse(part->body, part->len, NULL);
    if (sdp != NULL && sdp->n_media == 0 && sdp->n_keymgmt == 1)
        return sdp;
    clv_sdp_free(sdp);
    return NULL;
}

static gboolean
holds_ticket(const ClvPart *part)
{
    return strcmp(part->type, "application/mikey") == 0 ||
           strcmp(part->type, "application/sdp") == 0;
}

/* FALSE: malformed. *out may be NULL: no ticket. */
static gboolean
read_ticket(const sip_t *msg, ClvSdp **out)
{
    ClvPart parts[CLV_MULTIPART_MAX_PARTS], whole = {.body = NULL};
    const char *encoding = clv_request_header(msg, "Content-Transfer-Encoding");
    guint n = 1;

    *out = NULL;
    if (!has_body(msg))
        return TRUE;
    g_strlcpy(whole.type, msg->sip_content_type->c_type, sizeof(whole.type));
    for (char *c = whole.type; *c != '\0'; c++)
        *c = g_ascii_tolower(*c);
    whole.base64 = encoding != NULL && g_ascii_strncasecmp(encoding, "base64", 6) == 0;
    whole.body = msg->sip_payload->pl_data;
    whole.len = msg->sip_payload->pl_len;
    parts[0] = whole;
    if (strcmp(whole.type, "multipart/mixed") == 0 &&
        !clv_multipart_split(msg_params_find(msg->sip_content_type->c_params, "boundary="),
                             whole.body, whole.len, parts, &n))
        return FALSE;

    for (guint i = 0; i < n; i++) {
        if (!holds_ticket(&parts[i]))
            continue;
        if (*out != NULL || (*out = ticket_from_part(&parts[i])) == NULL) {
            clv_sdp_free(*out);
            *out = NULL;
            return FALSE;
        }
    }
    return TRUE;
}

/* ---- a new REFER -------------------------------------------------------------------------------
 */

static gboolean
wants_no_notify(const sip_t *msg)
{
    const sip_refer_sub_t *sub = sip_refer_sub(msg);

    return sub != NULL && sub->rs_value != NULL && g_ascii_strcasecmp(sub->rs_value, "false") == 0;
}

static char *
referred_by_of(const sip_t *msg)
{
    const sip_referred_by_t *by = msg->sip_referred_by;
    g_autofree char *who = by != NULL ? clv_sip_canonical_url(by->b_url) : NULL;

    return who != NULL ? g_strdup_printf("<%s>", who) : NULL;
}

/* RFC 4538: whoever names both tags of a dialog has seen it. */
static ClvLegId
target_dialog(const Request *rq)
{
    const char *value = clv_request_header(rq->msg, "Target-Dialog");
    g_autofree char *call_id = NULL, *local = NULL, *remote = NULL;
    Dialog *d = NULL;

    if (value != NULL &&
        clv_dialog_name_parse(value, "local-tag", "remote-tag", &call_id, &local, &remote, NULL))
        d = clv_dialog_find_by_tags(rq->sip, call_id, local, remote);
    return d != NULL && !clv_dialog_is_worse(d, &rq->peer) ? d->id : 0;
}

static gboolean
make_leg(Referral *r, Request *rq)
{
    const sip_t *msg = rq->msg;

    r->leg = nta_leg_tcreate(r->sip->agent, on_own_request, r, SIPTAG_CALL_ID(msg->sip_call_id),
                             SIPTAG_FROM(msg->sip_to), SIPTAG_TO(msg->sip_from),
                             NTATAG_REMOTE_CSEQ(msg->sip_cseq->cs_seq), TAG_END());
    if (r->leg == NULL || nta_leg_tag(r->leg, nta_incoming_tag(rq->irq, NULL)) == NULL ||
        nta_leg_server_route(r->leg, msg->sip_record_route, msg->sip_contact) < 0)
        return FALSE;
    if (rq->peer.tport != NULL && tport_is_stream(rq->peer.tport))
        r->tport = tport_ref(rq->peer.tport);
    return TRUE;
}

/* Ours in NOTIFYs: the conference, without isfocus (4.1). */
static char *
make_contact(Request *rq, const Dialog *d)
{
    g_autofree char *target = clv_dialog_read_target(rq->msg, &rq->peer);
    Dialog way = {.sip = rq->sip, .request_target = target};
    char *contact;

    if (d != NULL)
        contact = g_strdup(d->contact);
    else
        contact = clv_dialog_make_contact(&way, rq->uri,
                                          rq->peer.tls                              ? "tls"
                                          : g_str_has_prefix(rq->peer.text, "tcp:") ? "tcp"
                                                                                    : NULL);
    clv_dialog_strip_contact(contact);
    return contact;
}

/* With nothing in between that would have to be looked up, or connected to. */
static gboolean
is_at_home(const Request *rq)
{
    const url_t *url = rq->msg->sip_contact != NULL ? rq->msg->sip_contact->m_url : NULL;
    char transport[8] = "udp";
    gsize n;

    if (url == NULL || url->url_type != url_sip || url->url_host == NULL ||
        rq->msg->sip_record_route != NULL || rq->peer.tls ||
        url_has_param(url, "maddr") ||
        (url_has_param(url, "transport") &&
         url_param(url->url_params, "transport", transport, sizeof transport) > (int)sizeof transport) ||
        g_ascii_strcasecmp(transport, "udp") != 0)
        return FALSE;
    n = strlen(rq->peer.host);
    return strcmp(url->url_host, rq->peer.host) == 0 ||
           (url->url_host[0] == '[' && strncmp(url->url_host + 1, rq->peer.host, n) == 0 &&
            strcmp(url->url_host + 1 + n, "]") == 0);
}

static Referral *
referral_new(Request *rq, Dialog *d)
{
    ClvReferrals *referrals = rq->sip->referrals;
    Referral *r = g_new0(Referral, 1);

    r->sip = rq->sip;
    r->id = ++referrals->last_id;
    r->d = d != NULL ? clv_dialog_ref(d) : NULL;
    r->tls = rq->peer.tls;
    r->trusted = rq->peer.trusted;
    r->source = source_of(rq, d);
    r->contact = make_contact(rq, d);
    r->quiet = wants_no_notify(rq->msg);
    if (d != NULL && d->n_refers++ > 0) /* RFC 3515 2.4.6: the first needs no id */
        r->event_id = g_strdup_printf("%u", rq->msg->sip_cseq->cs_seq);
    r->event = g_strdup_printf("refer%s%s", r->event_id != NULL ? ";id=" : "",
                               r->event_id != NULL ? r->event_id : "");
    g_hash_table_insert(referrals->live, &r->id, r);
    count(r->sip, r->source, 1);
    return r;
}

static void
tell_hub(Referral *r, Request *rq, const ClvReferTo *to, const ClvSdp *ticket)
{
    Dialog *d = r->d;
    Dialog *named = to->names_dialog
                        ? clv_dialog_find_by_tags(r->sip, to->call_id, to->from_tag, to->to_tag)
                        : NULL;
    g_autofree char *referred_by = referred_by_of(rq->msg);
    gboolean of_dialog = d != NULL && rq->proof == CLV_PROOF_NONE;
    ClvSipRefer refer = {
        .refer = r->id,
        .leg = d != NULL ? d->id : target_dialog(rq),
        .leg_is_named = d == NULL,
        .request_uri = rq->uri,
        .call_id = rq->msg->sip_call_id->i_id,
        .proof = of_dialog ? d->proof : rq->proof,
        .identity = of_dialog ? d->identity : rq->identity,
        .identities = rq->identities != NULL ? (const char *const *)rq->identities->pdata : NULL,
        .privacy_id = clv_request_wants_privacy(rq->msg),
        .secured = rq->peer.tls || rq->peer.trusted,
        .tls = rq->peer.tls,
        .peer = rq->peer.text,
        .peer_name = rq->peer.name,
        .target = to->target,
        .removes = to->removes,
        .names_dialog = to->names_dialog,
        .target_leg = named != NULL ? named->id : 0,
        .replaces = to->replaces,
        .referred_by = referred_by,
        .ticket = ticket,
    };
    ClvSipEvent event = {.kind = CLV_SIP_REFER, .leg = refer.leg, .refer = &refer};

    r->sip->handlers.event(r->sip->user, &event);
}

/* Returns a status when it was answered here; 0: the hub answers. */
static int
handle(Request *rq, Dialog *d)
{
    ClvReferTo to = {0};
    ClvSdp *ticket = NULL;
    Referral *r;
    int status = 200;

    if (is_overload(rq, d) || is_loop(rq) || is_beyond_us(rq) || is_bad_target(rq, &to) ||
        clv_request_is_unproven(rq))
        goto out;
    if (!read_ticket(rq->msg, &ticket)) {
        refuse_with(rq, 400, "Bad Body");
        goto out;
    }

    r = referral_new(rq, d);
    if (d == NULL && !make_leg(r, rq)) {
        referral_free(r);
        refuse_with(rq, SIP_400_BAD_REQUEST);
        goto out;
    }
    r->irq = rq->irq;
    r->at_home = is_at_home(rq);
    r->unproven = d == NULL && ticket != NULL && rq->proof == CLV_PROOF_NONE && !rq->peer.trusted;
    tell_hub(r, rq, &to, ticket);
    status = 0;
out:
    clv_refer_to_clear(&to);
    clv_sdp_free(ticket);
    return status;
}

int
clv_refer_outside(Request *rq)
{
    return handle(rq, NULL);
}

int
clv_refer_inside(Dialog *d, nta_incoming_t *irq, const sip_t *msg)
{
    Request rq = {.sip = d->sip, .irq = irq, .msg = msg};
    int status;

    if (d->state != DIALOG_LIVE || d->contact_uri == NULL) {
        clv_sip_reply_code(d->sip, irq, CLV_CODE_RETRY_LATER, 0, NULL);
        return 500;
    }
    clv_sip_peer(d->sip, irq, &rq.peer);
    rq.uri = clv_identity_canonical(d->contact_uri, -1);
    if (rq.uri == NULL)
        rq.uri = g_strdup(d->contact_uri);
    status = handle(&rq, d);
    clv_request_clear(&rq);
    return status;
}

/* ---- what the hub says -------------------------------------------------------------------------
 */

static void
let_go(Referral *r)
{
    nta_incoming_destroy(g_steal_pointer(&r->irq));
}

void
clv_sip_refer_reply(ClvSip *sip, ClvReferId refer, ClvCode code, gboolean plain_200)
{
    Referral *r = find(sip, refer);

    if (r == NULL || r->irq == NULL)
        return;
    if (code != CLV_CODE_OK) {
        clv_sip_reply_code(sip, r->irq, code, 0, NULL);
        let_go(r);
        referral_free(r);
        return;
    }
    nta_incoming_treply(r->irq, plain_200 ? 200 : 202, plain_200 ? "OK" : "Accepted",
                        SIPTAG_CONTACT_STR(r->contact), SIPTAG_ALLOW_STR(CLV_SIP_ALLOW),
                        SIPTAG_SUPPORTED_STR(CLV_SIP_SUPPORTED),
                        TAG_IF(r->quiet, SIPTAG_HEADER_STR("Refer-Sub: false")), TAG_END());
    let_go(r);
    if (r->quiet)
        return;
    r->status = 100;
    r->pending = TRUE;
    listen_for(r, DEFAULT_EXPIRES_S);
    send_notify(r);
}

void
clv_sip_refer_proven(ClvSip *sip, ClvReferId refer)
{
    Referral *r = find(sip, refer);

    if (r == NULL || !r->unproven)
        return;
    r->unproven = FALSE;
    send_notify(r);
}

void
clv_sip_refer_notify(ClvSip *sip, ClvReferId refer, guint status, const char *phrase, gboolean last)
{
    Referral *r = find(sip, refer);

    g_return_if_fail(status >= 100 && status < 700);

    if (r == NULL || r->done || r->irq != NULL)
        return;
    r->done = last;
    if (!r->quiet) {
        r->status = status;
        g_free(r->phrase);
        r->phrase = g_strdup(phrase);
        r->pending = TRUE;
        if (last && r->reason == NULL)
            r->reason = "noresource";
        send_notify(r);
    }
    settle(r);
}

/* The call is about to end by our BYE: what its REFERs have as their last word goes out before,
 * although the word before that has not been answered. */
void
clv_refer_hurry(Dialog *d)
{
    GHashTableIter iter;
    gpointer value;

    g_hash_table_iter_init(&iter, d->sip->referrals->live);
    while (g_hash_table_iter_next(&iter, NULL, &value)) {
        Referral *r = value;

        if (r->d != d || r->reason == NULL || !r->pending || r->quiet || r->notify == NULL)
            continue;
        nta_outgoing_destroy(g_steal_pointer(&r->notify));
        send_notify(r);
    }
}
