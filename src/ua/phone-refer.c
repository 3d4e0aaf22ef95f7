/* SPDX-License-Identifier: Apache-2.0 */
/* ua/phone-refer.c - REFER and its NOTIFYs, asking and being asked (RFC 3515, 4488, 4538)
 *
 * Out:  REFER -> [401 -> REFER] -> 202 -> NOTIFY ... NOTIFY terminated
 * In:   REFER -> answer() -> notify() ...; one NOTIFY under way at a time
 *
 * A NOTIFY is known by Call-ID and the CSeq of its REFER, so that it is found also when it comes
 * before the 202 or after the call is over.
 */
#include "ua/phone-private.h"

#include "ua/sipfrag.h"

#include <string.h>

typedef struct ReferOut {
    guint id;
    nta_outgoing_t *orq;
    nta_leg_t *leg; /* (nullable) of its own; NULL: that of the call */
    char *uri, *type, *body, *lines;
    char *call_id;
    guint32 cseq;
    guint n_challenges;
    gboolean answered;
} ReferOut;

typedef struct Notice {
    int status;
    char *phrase;
    gboolean last;
} Notice;

typedef struct ReferIn {
    guint id;
    nta_incoming_t *irq; /* until it is answered */
    nta_leg_t *leg;      /* (nullable) of its own; NULL: that of the call */
    guint32 cseq;
    gboolean quiet; /* no NOTIFYs are wanted */
    nta_outgoing_t *notify;
    GQueue notices;
} ReferIn;

static gboolean on_notify_answered(ClvUaPhone *phone, ReferIn *refer, const sip_t *sip);

/* ---- asking ------------------------------------------------------------------------------ */

static void
free_out(ReferOut *refer)
{
    if (refer->orq != NULL)
        nta_outgoing_destroy(refer->orq);
    if (refer->leg != NULL)
        nta_leg_destroy(refer->leg);
    g_free(refer->uri);
    g_free(refer->type);
    g_free(refer->body);
    g_free(refer->lines);
    g_free(refer->call_id);
    g_free(refer);
}

static void
drop_out(ClvUaPhone *phone, ReferOut *refer)
{
    g_ptr_array_remove(phone->refers_out, refer);
    free_out(refer);
}

static gboolean
send_refer(ClvUaPhone *phone, ReferOut *refer)
{
    ClvUaRequest request = {.method = sip_method_refer,
                            .name = "REFER",
                            .uri = refer->uri,
                            .type = refer->type,
                            .body = refer->body,
                            .len = refer->body != NULL ? strlen(refer->body) : 0,
                            .lines = refer->lines};
    nta_leg_t *leg = refer->leg != NULL ? refer->leg : phone->leg;
    msg_t *msg;
    const sip_t *sip;

    refer->orq = leg != NULL ? clv_ua_phone_send(phone, leg, &request) : NULL;
    if (refer->orq == NULL)
        return FALSE;
    refer->cseq = nta_outgoing_cseq(refer->orq);
    msg = nta_outgoing_getrequest(refer->orq);
    sip = sip_object(msg);
    g_free(refer->call_id);
    refer->call_id =
        g_strdup(sip != NULL && sip->sip_call_id != NULL ? sip->sip_call_id->i_id : "");
    msg_destroy(msg);
    return TRUE;
}

static char *
lines_of(const ClvUaPhone *phone, const ClvUaRefer *wish)
{
    GString *lines = g_string_new(NULL);

    g_string_append_printf(lines, "Refer-To: <%s>\r\n", wish->refer_to);
    if (wish->referred_by != NULL)
        g_string_append_printf(lines, "Referred-By: <%s>\r\n", wish->referred_by);
    if (wish->target_dialog != NULL)
        g_string_append_printf(lines, "Target-Dialog: %s\r\n", wish->target_dialog);
    if (wish->no_notify)
        g_string_append(lines, "Refer-Sub: false\r\n");
    if (wish->body != NULL && g_strcmp0(wish->type, "application/mikey") == 0)
        g_string_append(lines, "Content-Transfer-Encoding: base64\r\n");
    if (wish->body != NULL)
        g_string_append(lines, "Content-Disposition: session;handling=required\r\n");
    clv_ua_phone_append_wanted(phone, lines);
    return g_string_free(lines, FALSE);
}

guint
clv_ua_phone_refer(ClvUaPhone *phone, const ClvUaRefer *wish, GError **error)
{
    ReferOut *refer;

    if (wish->whom == NULL && phone->call != TALKING) {
        g_set_error(error, CLV_UA_PHONE_ERROR, 0, "REFER: there is no call");
        return 0;
    }
    if (phone->refers_out->len >= CLV_UA_MAX_REFERS) {
        g_set_error(error, CLV_UA_PHONE_ERROR, 0, "too many REFERs are under way");
        return 0;
    }
    refer = g_new0(ReferOut, 1);
    refer->id = ++phone->last_refer;
    refer->uri = g_strdup(wish->whom);
    refer->type = g_strdup(wish->type);
    refer->body = g_strdup(wish->body);
    refer->lines = lines_of(phone, wish);
    if (wish->whom != NULL) {
        refer->leg = clv_ua_phone_new_leg(phone, wish->whom, error);
        if (refer->leg == NULL) {
            free_out(refer);
            return 0;
        }
        if (phone->route == NULL && phone->first_hop == NULL)
            phone->first_hop = clv_ua_phone_hop_of(phone, wish->whom);
    }
    g_ptr_array_add(phone->refers_out, refer);
    if (!send_refer(phone, refer)) {
        g_set_error(error, CLV_UA_PHONE_ERROR, 0, "REFER cannot be sent");
        drop_out(phone, refer);
        return 0;
    }
    return refer->id;
}

/* Did the other side agree that there are no NOTIFYs? */
static gboolean
agreed_on_silence(const sip_t *sip)
{
    const sip_refer_sub_t *sub = sip_refer_sub(sip);

    return sub != NULL && sub->rs_value != NULL && g_ascii_strcasecmp(sub->rs_value, "false") == 0;
}

static void
on_refer_final(ClvUaPhone *phone, ReferOut *refer, const sip_t *sip)
{
    int status = sip->sip_status->st_status;
    gboolean last = status >= 300 || agreed_on_silence(sip);

    refer->answered = TRUE;
    if (status < 300 && refer->leg != NULL) {
        nta_leg_rtag(refer->leg, sip->sip_to->a_tag);
        nta_leg_client_route(refer->leg, sip->sip_record_route, sip->sip_contact);
    }
    {
        ClvUaPhoneEvent event = {
            .kind = CLV_UA_PHONE_REFER_ANSWERED, .refer = refer->id, .last = last};

        clv_ua_phone_tell_event(phone, &event, sip);
    }
    if (last)
        drop_out(phone, refer);
}

gboolean
clv_ua_phone_refer_response(ClvUaPhone *phone, nta_outgoing_t *orq, const sip_t *sip)
{
    ReferOut *refer = NULL;
    nta_outgoing_t *done;

    for (guint i = 0; i < phone->refers_in->len; i++)
        if (((ReferIn *)phone->refers_in->pdata[i])->notify == orq)
            return on_notify_answered(phone, phone->refers_in->pdata[i], sip);
    for (guint i = 0; i < phone->refers_out->len && refer == NULL; i++)
        if (((ReferOut *)phone->refers_out->pdata[i])->orq == orq)
            refer = phone->refers_out->pdata[i];
    if (refer == NULL)
        return FALSE;
    done = refer->orq;
    refer->orq = NULL;
    if (!clv_ua_phone_answer_challenge(phone, sip, &refer->n_challenges) ||
        !send_refer(phone, refer))
        on_refer_final(phone, refer, sip);
    nta_outgoing_destroy(done);
    return TRUE;
}

/* ---- NOTIFYs about what we asked ---------------------------------------------------------- */

static ReferOut *
find_out(const ClvUaPhone *phone, const sip_t *sip)
{
    const char *id = sip->sip_event->o_id;
    guint64 cseq = id != NULL ? g_ascii_strtoull(id, NULL, 10) : 0;

    for (guint i = 0; i < phone->refers_out->len; i++) {
        ReferOut *refer = phone->refers_out->pdata[i];

        if (strcmp(refer->call_id, sip->sip_call_id->i_id) == 0 &&
            (id == NULL || refer->cseq == cseq))
            return refer;
    }
    return NULL;
}

static gboolean
is_type(const sip_t *sip, const char *type)
{
    return sip->sip_content_type != NULL && sip->sip_content_type->c_type != NULL &&
           g_ascii_strcasecmp(sip->sip_content_type->c_type, type) == 0;
}

static void
answer_plainly(nta_incoming_t *irq, int status)
{
    nta_incoming_treply(irq, status, sip_status_phrase(status), SIPTAG_USER_AGENT_STR(CLV_UA_AGENT),
                        TAG_END());
    nta_incoming_destroy(irq);
}

int
clv_ua_phone_on_notify(ClvUaPhone *phone, nta_incoming_t *irq, const sip_t *sip)
{
    const sip_subscription_state_t *state = sip->sip_subscription_state;
    g_autofree char *phrase = NULL;
    ClvUaPhoneEvent event = {.kind = CLV_UA_PHONE_REFER_NOTIFIED, .retry_after_s = -1};
    ReferOut *refer;
    guint status = 0;

    if (sip->sip_event == NULL || g_ascii_strcasecmp(sip->sip_event->o_type, "refer") != 0)
        return 489;
    if (state == NULL || state->ss_substate == NULL)
        return 400;
    refer = find_out(phone, sip);
    if (refer == NULL)
        return 481;
    if (!is_type(sip, "message/sipfrag") || sip->sip_payload == NULL ||
        !clv_ua_sipfrag_parse(sip->sip_payload->pl_data, sip->sip_payload->pl_len, &status,
                              &phrase))
        status = 0;
    event.last = g_ascii_strcasecmp(state->ss_substate, "terminated") == 0;
    answer_plainly(irq, 200);
    event.refer = refer->id;
    event.status = (int)status;
    event.phrase = phrase;
    if (event.last)
        drop_out(phone, refer);
    phone->config.event(&event, phone->config.user);
    return 0;
}

/* ---- being asked -------------------------------------------------------------------------- */

static void
free_notice(gpointer notice)
{
    g_free(((Notice *)notice)->phrase);
    g_free(notice);
}

static void
free_in(ReferIn *refer)
{
    if (refer->irq != NULL)
        nta_incoming_destroy(refer->irq);
    if (refer->notify != NULL)
        nta_outgoing_destroy(refer->notify);
    if (refer->leg != NULL)
        nta_leg_destroy(refer->leg);
    g_queue_clear_full(&refer->notices, free_notice);
    g_free(refer);
}

static void
drop_in(ClvUaPhone *phone, ReferIn *refer)
{
    g_ptr_array_remove(phone->refers_in, refer);
    free_in(refer);
}

static ReferIn *
find_in(const ClvUaPhone *phone, guint id)
{
    for (guint i = 0; i < phone->refers_in->len; i++)
        if (((ReferIn *)phone->refers_in->pdata[i])->id == id)
            return phone->refers_in->pdata[i];
    return NULL;
}

/* The dialog that a REFER outside of any opens. */
static nta_leg_t *
leg_of(ClvUaPhone *phone, nta_incoming_t *irq, const sip_t *sip)
{
    nta_leg_t *leg;

    if (sip->sip_contact == NULL || !clv_ua_is_sip_url(sip->sip_contact->m_url) ||
        sip->sip_from->a_tag == NULL)
        return NULL;
    leg = nta_leg_tcreate(phone->agent, clv_ua_phone_on_request, phone,
                          SIPTAG_CALL_ID(sip->sip_call_id), SIPTAG_FROM(sip->sip_to),
                          SIPTAG_TO(sip->sip_from), NTATAG_REMOTE_CSEQ(sip->sip_cseq->cs_seq),
                          TAG_END());
    if (leg == NULL)
        return NULL;
    nta_leg_tag(leg, nta_incoming_tag(irq, NULL));
    nta_leg_server_route(leg, sip->sip_record_route, sip->sip_contact);
    return leg;
}

/* Value of a parameter of the URI, "method=BYE". Returns: (transfer full) */
static char *
method_of(const url_t *url)
{
    char value[32] = "";

    if (url->url_params == NULL || url_param(url->url_params, "method", value, sizeof value) <= 1)
        return g_strdup("INVITE");
    return g_ascii_strup(value, -1);
}

/* With a NUL behind it */
static guint8 *
body_of(const sip_t *sip, gsize *out_len)
{
    const sip_payload_t *payload = sip->sip_payload;
    guint8 *octets;

    if (payload == NULL || payload->pl_data == NULL)
        return NULL;
    octets = g_malloc(payload->pl_len + 1);
    memcpy(octets, payload->pl_data, payload->pl_len);
    octets[payload->pl_len] = 0;
    *out_len = payload->pl_len;
    return octets;
}

static void
tell_referred(ClvUaPhone *phone, const ReferIn *refer, const sip_t *sip)
{
    su_home_t home[1] = {SU_HOME_INIT(home)};
    g_autofree char *method = method_of(sip->sip_refer_to->r_url);
    gsize len = 0;
    g_autofree guint8 *body = body_of(sip, &len);
    ClvUaPhoneEvent event = {
        .kind = CLV_UA_PHONE_REFERRED,
        .refer = refer->id,
        .no_notify = refer->quiet,
        .refer_to = url_as_string(home, sip->sip_refer_to->r_url),
        .refer_method = method,
        .body_type = sip->sip_content_type != NULL ? sip->sip_content_type->c_type : NULL,
        .body = (const char *)body,
        .body_len = len,
    };

    clv_ua_phone_tell_event(phone, &event, sip);
    su_home_deinit(home);
}

int
clv_ua_phone_on_refer(ClvUaPhone *phone, nta_leg_t *leg, nta_incoming_t *irq, const sip_t *sip)
{
    nta_leg_t *own;
    ReferIn *refer;

    if (!phone->config.options->follow_refer)
        return 405;
    if (sip->sip_refer_to == NULL || sip->sip_refer_to->r_next != NULL)
        return 400;
    if (phone->refers_in->len >= CLV_UA_MAX_REFERS)
        return 503;
    own = leg == NULL ? leg_of(phone, irq, sip) : NULL;
    if (leg == NULL && own == NULL)
        return 400;
    refer = g_new0(ReferIn, 1);
    refer->id = ++phone->last_refer;
    refer->irq = irq;
    refer->leg = own;
    refer->cseq = sip->sip_cseq->cs_seq;
    refer->quiet = agreed_on_silence(sip);
    g_ptr_array_add(phone->refers_in, refer);
    tell_referred(phone, refer, sip);
    return 0;
}

void
clv_ua_phone_refer_answer(ClvUaPhone *phone, guint id, int status)
{
    ReferIn *refer = find_in(phone, id);
    gboolean good = status < 300;

    if (refer == NULL || refer->irq == NULL)
        return;
    nta_incoming_treply(
        refer->irq, status, sip_status_phrase(status), SIPTAG_SERVER_STR(CLV_UA_AGENT),
        TAG_IF(good, SIPTAG_CONTACT_STR(phone->contact_header)),
        TAG_IF(good, SIPTAG_ALLOW_STR(CLV_UA_ALLOWED)),
        TAG_IF(good, SIPTAG_SUPPORTED_STR(CLV_UA_SUPPORTED)),
        TAG_IF(good && refer->quiet, SIPTAG_HEADER_STR("Refer-Sub: false")), TAG_END());
    g_clear_pointer(&refer->irq, nta_incoming_destroy);
    if (!good || refer->quiet)
        drop_in(phone, refer);
}

static gboolean
send_notify(ClvUaPhone *phone, ReferIn *refer)
{
    Notice *notice = g_queue_peek_head(&refer->notices);
    g_autofree char *body = clv_ua_sipfrag_format((guint)notice->status, notice->phrase);
    g_autofree char *lines =
        g_strdup_printf("Event: refer;id=%u\r\nSubscription-State: %s\r\n", refer->cseq,
                        notice->last ? "terminated;reason=noresource" : "active;expires=180");
    ClvUaRequest request = {.method = sip_method_notify,
                            .name = "NOTIFY",
                            .type = "message/sipfrag",
                            .body = body,
                            .len = strlen(body),
                            .lines = lines};
    nta_leg_t *leg = refer->leg != NULL ? refer->leg : phone->leg;

    refer->notify = leg != NULL ? clv_ua_phone_send(phone, leg, &request) : NULL;
    return refer->notify != NULL;
}

static gboolean
on_notify_answered(ClvUaPhone *phone, ReferIn *refer, const sip_t *sip)
{
    Notice *sent = g_queue_pop_head(&refer->notices);
    gboolean over = sent->last || sip->sip_status->st_status >= 300;

    free_notice(sent);
    g_clear_pointer(&refer->notify, nta_outgoing_destroy);
    if (over || (!g_queue_is_empty(&refer->notices) && !send_notify(phone, refer)))
        drop_in(phone, refer);
    return TRUE;
}

void
clv_ua_phone_refer_notify(ClvUaPhone *phone, guint id, int status, const char *phrase,
                          gboolean last)
{
    ReferIn *refer = find_in(phone, id);
    Notice *notice;

    if (refer == NULL || refer->irq != NULL)
        return;
    notice = g_new0(Notice, 1);
    notice->status = status;
    notice->phrase = g_strdup(phrase != NULL ? phrase : sip_status_phrase(status));
    notice->last = last;
    g_queue_push_tail(&refer->notices, notice);
    if (refer->notify == NULL && !send_notify(phone, refer))
        drop_in(phone, refer);
}

gboolean
clv_ua_phone_refers_are_done(const ClvUaPhone *phone)
{
    for (guint i = 0; i < phone->refers_in->len; i++)
        if (((ReferIn *)phone->refers_in->pdata[i])->notify != NULL)
            return FALSE;
    return TRUE;
}

void
clv_ua_phone_forget_refers(ClvUaPhone *phone)
{
    for (guint i = 0; i < phone->refers_out->len; i++)
        free_out(phone->refers_out->pdata[i]);
    g_ptr_array_set_size(phone->refers_out, 0);
    for (guint i = 0; i < phone->refers_in->len; i++)
        free_in(phone->refers_in->pdata[i]);
    g_ptr_array_set_size(phone->refers_in, 0);
}
