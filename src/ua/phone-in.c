/* SPDX-License-Identifier: Apache-2.0 */
/* ua/phone-in.c - what the other side asks, and our answers
 *
 * In:   INVITE -> answer() -> ACK -> re-INVITE, UPDATE, OPTIONS, BYE
 */
#include "ua/phone-private.h"

#include <string.h>

static int
on_ack_cancel(ClvUaPhone *phone, nta_incoming_t *irq, const sip_t *sip)
{
    if (irq != phone->invited)
        return 0;
    if (sip == NULL) {
        phone->invited = NULL;
        nta_incoming_destroy(irq);
        if (phone->call == ANSWERED) {
            phone->leaving = "no-ack";
            clv_ua_phone_send_bye(phone);
        }
        return 0;
    }
    if (sip->sip_request->rq_method == sip_method_cancel) {
        if (phone->call == RINGING) {
            nta_incoming_treply(irq, SIP_487_REQUEST_CANCELLED, TAG_END());
            clv_ua_phone_end_call(phone, "cancel", NULL);
        }
        return 0;
    }
    phone->invited = NULL;
    if (phone->call == ANSWERED) {
        phone->call = TALKING;
        clv_ua_phone_tell(phone, CLV_UA_PHONE_CONFIRMED, sip, NULL);
    } else if (phone->call == TALKING) {
        clv_ua_phone_tell(phone, CLV_UA_PHONE_RECONFIRMED, sip, NULL);
    }
    nta_incoming_destroy(irq);
    return 0;
}

/* Header lines that the tester wants in answers. Returns: (transfer full) (nullable) */
static char *
wanted_lines(const ClvUaPhone *phone, int status)
{
    const ClvUaOptions *o = phone->config.options;
    GString *lines;

    if (status <= 100 || status >= 300 || (o->history_info == NULL && o->assert_identity == NULL))
        return NULL;
    lines = g_string_new(NULL);
    if (o->history_info != NULL)
        g_string_append_printf(lines, "History-Info: %s\r\n", o->history_info);
    if (o->assert_identity != NULL)
        g_string_append_printf(lines, "P-Asserted-Identity: <%s>\r\n", o->assert_identity);
    return g_string_free(lines, FALSE);
}

#define ANSWER_TAGS                                                                                \
    SIPTAG_SERVER_STR(CLV_UA_AGENT), TAG_IF(full, SIPTAG_CONTACT_STR(phone->contact_header)),      \
        TAG_IF(full, SIPTAG_ALLOW_STR(CLV_UA_ALLOWED)),                                            \
        TAG_IF(full, SIPTAG_SUPPORTED_STR(CLV_UA_SUPPORTED)),                                      \
        TAG_IF(lines != NULL, SIPTAG_HEADER_STR(lines)),                                           \
        TAG_IF(session != NULL, SIPTAG_SESSION_EXPIRES_STR(session)),                              \
        TAG_IF(session != NULL, SIPTAG_REQUIRE_STR("timer")),                                      \
        TAG_IF(sdp != NULL, SIPTAG_CONTENT_TYPE_STR("application/sdp")),                           \
        TAG_IF(sdp != NULL, SIPTAG_PAYLOAD_STR(sdp)), TAG_END()

static void
reply(ClvUaPhone *phone, nta_incoming_t *irq, int status, const char *sdp, const char *session)
{
    const char *phrase = sip_status_phrase(status);
    gboolean full = status > 100 && status < 300;
    g_autofree char *lines = wanted_lines(phone, status);

    nta_incoming_treply(irq, status, phrase != NULL ? phrase : "Refused", ANSWER_TAGS);
}

/* ---- reliable provisional answers (RFC 3262) ---------------------------------------------- */

static int
on_prack(ClvUaPhone *phone, nta_reliable_t *rel, nta_incoming_t *prack, const sip_t *sip)
{
    if (prack != NULL) {
        nta_incoming_treply(prack, SIP_200_OK, TAG_END());
        nta_incoming_destroy(prack);
    }
    nta_reliable_destroy(rel);
    if (phone->reliable != rel)
        return 0;
    phone->reliable = NULL;
    clv_ua_phone_tell(phone, prack != NULL ? CLV_UA_PHONE_PRACKED : CLV_UA_PHONE_UNPRACKED, sip,
                      NULL);
    return 0;
}

gboolean
clv_ua_phone_answer_reliably(ClvUaPhone *phone, int status, const char *sdp)
{
    const char *phrase = sip_status_phrase(status);
    const char *session = NULL;
    gboolean full = TRUE;
    g_autofree char *lines = wanted_lines(phone, status);

    if (phone->invited == NULL || phone->call != RINGING || phone->reliable != NULL)
        return FALSE;
    phone->reliable =
        nta_reliable_treply(phone->invited, on_prack, phone, status, phrase, ANSWER_TAGS);
    return phone->reliable != NULL;
}

static const sip_t *
request_of(nta_incoming_t *irq, msg_t **out_msg)
{
    *out_msg = nta_incoming_getrequest(irq);
    return sip_object(*out_msg);
}

void
clv_ua_phone_answer(ClvUaPhone *phone, int status, const char *sdp)
{
    gboolean update = phone->updated != NULL;
    nta_incoming_t *irq = update ? phone->updated : phone->invited;
    g_autofree char *session = NULL;
    msg_t *msg = NULL;

    if (irq == NULL)
        return;
    if (status >= 200 && status < 300)
        session = clv_ua_phone_take_session_request(phone, request_of(irq, &msg));
    if (msg != NULL)
        msg_destroy(msg);
    reply(phone, irq, status, sdp, session);
    if (status < 200)
        return;
    if (update) {
        g_clear_pointer(&phone->updated, nta_incoming_destroy);
    } else if (status >= 300) {
        g_clear_pointer(&phone->invited, nta_incoming_destroy);
        if (phone->call == RINGING)
            clv_ua_phone_forget_call(phone);
    } else if (phone->call == RINGING) {
        phone->call = ANSWERED;
    }
}

static int
answer_options(ClvUaPhone *phone, nta_incoming_t *irq)
{
    nta_incoming_treply(irq, SIP_200_OK, SIPTAG_SERVER_STR(CLV_UA_AGENT),
                        SIPTAG_ALLOW_STR(CLV_UA_ALLOWED), SIPTAG_ACCEPT_STR("application/sdp"),
                        SIPTAG_SUPPORTED_STR(CLV_UA_SUPPORTED),
                        SIPTAG_CONTACT_STR(phone->contact_header), TAG_END());
    nta_incoming_destroy(irq);
    return 0;
}

static int
take_reoffer(ClvUaPhone *phone, nta_incoming_t *irq, const sip_t *sip)
{
    gboolean update = sip->sip_request->rq_method == sip_method_update;

    if (phone->invite != NULL)
        return 491;
    if (phone->invited != NULL || phone->updated != NULL) {
        nta_incoming_treply(irq, SIP_500_INTERNAL_SERVER_ERROR, SIPTAG_RETRY_AFTER_STR("2"),
                            TAG_END());
        nta_incoming_destroy(irq);
        return 0;
    }
    if (update && !clv_ua_is_sdp(sip)) {
        g_autofree char *session = clv_ua_phone_take_session_request(phone, sip);

        reply(phone, irq, 200, NULL, session);
        nta_incoming_destroy(irq);
        return 0;
    }
    if (update) {
        phone->updated = irq;
    } else {
        phone->invited = irq;
        nta_incoming_bind(irq, on_ack_cancel, phone);
    }
    clv_ua_phone_tell(phone, CLV_UA_PHONE_REOFFERED, sip, NULL);
    return 0;
}

gboolean
clv_ua_phone_takes_reliable(const ClvUaPhone *phone)
{
    return phone->takes_reliable;
}

int
clv_ua_phone_on_request(ClvUaPhone *phone, nta_leg_t *leg, nta_incoming_t *irq, const sip_t *sip)
{
    switch (sip->sip_request->rq_method) {
    case sip_method_bye:
        if (phone->call == IDLE || leg != phone->leg)
            return 481;
        {
            su_home_t home[1] = {SU_HOME_INIT(home)};
            const char *reason = sip->sip_reason != NULL
                                     ? sip_header_as_string(home, (sip_header_t *)sip->sip_reason)
                                     : NULL;

            nta_incoming_treply(irq, SIP_200_OK, TAG_END());
            nta_incoming_destroy(irq);
            clv_ua_phone_end_call(phone, "bye", reason);
            su_home_deinit(home);
        }
        return 0;
    case sip_method_invite:
    case sip_method_update:
        return phone->leg == leg ? take_reoffer(phone, irq, sip) : 481;
    case sip_method_options:
        return answer_options(phone, irq);
    case sip_method_notify:
        return clv_ua_phone_on_notify(phone, irq, sip);
    case sip_method_refer:
        return clv_ua_phone_on_refer(phone, leg, irq, sip);
    case sip_method_ack:
        return 0;
    default:
        return 405;
    }
}

static gboolean
make_server_leg(ClvUaPhone *phone, nta_incoming_t *irq, const sip_t *sip)
{
    char *url;

    if (sip->sip_contact == NULL || !clv_ua_is_sip_url(sip->sip_contact->m_url) ||
        sip->sip_from->a_tag == NULL)
        return FALSE;
    phone->leg = nta_leg_tcreate(phone->agent, clv_ua_phone_on_request, phone,
                                 SIPTAG_CALL_ID(sip->sip_call_id), SIPTAG_FROM(sip->sip_to),
                                 SIPTAG_TO(sip->sip_from),
                                 NTATAG_REMOTE_CSEQ(sip->sip_cseq->cs_seq), TAG_END());
    if (phone->leg == NULL)
        return FALSE;
    nta_leg_tag(phone->leg, nta_incoming_tag(irq, NULL));
    clv_ua_phone_note_dialog(phone, sip->sip_call_id->i_id, sip->sip_from->a_tag,
                             nta_incoming_gettag(irq));
    nta_leg_server_route(phone->leg, sip->sip_record_route, sip->sip_contact);
    url = url_as_string(phone->home, sip->sip_contact->m_url);
    phone->target = g_strdup(url);
    su_free(phone->home, url);
    return TRUE;
}

int
clv_ua_phone_on_stray(ClvUaPhone *phone, nta_leg_t *leg, nta_incoming_t *irq, const sip_t *sip)
{
    if (sip->sip_request->rq_method == sip_method_options)
        return answer_options(phone, irq);
    if (sip->sip_request->rq_method == sip_method_ack)
        return 0;
    if (sip->sip_request->rq_method == sip_method_notify)
        return clv_ua_phone_on_notify(phone, irq, sip);
    if (sip->sip_to->a_tag != NULL)
        return 481;
    if (sip->sip_request->rq_method == sip_method_refer)
        return clv_ua_phone_on_refer(phone, NULL, irq, sip);
    if (sip->sip_request->rq_method != sip_method_invite)
        return 405;
    if (phone->config.options->verb != CLV_UA_ANSWER || phone->call != IDLE)
        return 486;
    if (!make_server_leg(phone, irq, sip))
        return 400;

    phone->call = RINGING;
    phone->invited = irq;
    phone->session_s = 0;
    phone->peer_updates =
        sip->sip_allow != NULL && sip_is_allowed(sip->sip_allow, SIP_METHOD_UPDATE);
    phone->takes_reliable = sip_has_feature(sip->sip_supported, "100rel") ||
                            sip_has_feature(sip->sip_require, "100rel");
    nta_incoming_bind(irq, on_ack_cancel, phone);
    clv_ua_phone_tell(phone, CLV_UA_PHONE_INVITED, sip, NULL);
    return 0;
}
