/* SPDX-License-Identifier: Apache-2.0 */
/* sip/reply.c - final answers that need no conference */
#include "config.h"

#include "sip/sip-private.h"

#include <string.h>

static char *
warning(guint code, const char *text)
{
    return code != 0 ? g_strdup_printf("%u conclave \"%s\"", code, text) : NULL;
}

void
clv_sip_count_refusal(ClvSip *sip, guint status)
{
    guint at = status - 400;

    sip->totals.refused++;
    if (at < G_N_ELEMENTS(sip->totals.refused_by)) /* others wrap to large */
        sip->totals.refused_by[at]++;
}

void
clv_sip_reply_odd(ClvSip *sip, nta_incoming_t *irq, guint status)
{
    clv_sip_count_refusal(sip, status);
    nta_incoming_treply(irq, (int)status, sip_status_phrase((int)status),
                        TAG_IF(status == 421, SIPTAG_REQUIRE_STR("100rel")), TAG_END());
}

void
clv_sip_challenge(ClvSip *sip, nta_incoming_t *irq, gboolean stale)
{
    g_auto(GStrv) challenges = clv_digest_challenges(sip->digest, g_get_monotonic_time(), stale);

    clv_sip_count_refusal(sip, 401);
    nta_incoming_treply(irq, SIP_401_UNAUTHORIZED, SIPTAG_WWW_AUTHENTICATE_STR(challenges[0]),
                        TAG_IF(sip->digest_sha256, SIPTAG_WWW_AUTHENTICATE_STR(challenges[1])),
                        TAG_END());
}

void
clv_sip_reply_code(ClvSip *sip, nta_incoming_t *irq, ClvCode code, guint retry_after_s,
                   const char *body)
{
    const ClvSipStatus *status = clv_sip_status(code);
    g_autofree char *first = warning(status->warning, status->warning_text);
    g_autofree char *second = warning(status->also, status->also_text);
    guint delay_s = retry_after_s > 0 ? retry_after_s : status->retry_after_s;
    g_autofree char *delay = g_strdup_printf("%u", delay_s);
    g_autofree char *min_se = g_strdup_printf("%" G_GINT64_FORMAT, sip->min_se_s);

    if (code == CLV_CODE_UNAUTHENTICATED) {
        clv_sip_challenge(sip, irq, FALSE);
        return;
    }

    clv_sip_count_refusal(sip, status->status);
    nta_incoming_treply(
        irq, (int)status->status, status->phrase, TAG_IF(first != NULL, SIPTAG_WARNING_STR(first)),
        TAG_IF(second != NULL, SIPTAG_WARNING_STR(second)),
        TAG_IF(delay_s > 0, SIPTAG_RETRY_AFTER_STR(delay)),
        TAG_IF(code == CLV_CODE_INTERVAL_TOO_BRIEF, SIPTAG_MIN_SE_STR(min_se)),
        TAG_IF(code == CLV_CODE_METHOD_NOT_ALLOWED, SIPTAG_ALLOW_STR(CLV_SIP_ALLOW)),
        TAG_IF(code == CLV_CODE_UNSUPPORTED_MEDIA, SIPTAG_ACCEPT_STR(CLV_SIP_ACCEPT_INVITE)),
        TAG_IF(body != NULL, SIPTAG_CONTENT_TYPE_STR("application/sdp")),
        TAG_IF(body != NULL, SIPTAG_PAYLOAD_STR(body)), TAG_END());
}

int
clv_sip_reply_method(nta_incoming_t *irq, const sip_t *msg)
{
    int status = msg->sip_request->rq_method == sip_method_unknown ? 501 : 405;

    nta_incoming_treply(irq, status, status == 501 ? "Not Implemented" : "Method Not Allowed",
                        SIPTAG_ALLOW_STR(CLV_SIP_ALLOW), TAG_END());
    return status;
}

int
clv_sip_reply_options(nta_incoming_t *irq, const char *contact)
{
    nta_incoming_treply(irq, SIP_200_OK, SIPTAG_CONTACT_STR(contact),
                        SIPTAG_ALLOW_STR(CLV_SIP_ALLOW), SIPTAG_ACCEPT_STR(CLV_SIP_ACCEPT),
                        SIPTAG_ALLOW_EVENTS_STR(CLV_SIP_EVENTS),
                        SIPTAG_SUPPORTED_STR(CLV_SIP_SUPPORTED), TAG_END());
    return 200;
}
