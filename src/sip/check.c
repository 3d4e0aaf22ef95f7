/* SPDX-License-Identifier: Apache-2.0 */
/* sip/check.c - what nta lets through and we do not */
#include "config.h"

#include "sip/sip-private.h"

#include <string.h>

/* Refuses with a phrase of its own; TRUE, so that it can be returned. */
static gboolean
refuse(ClvSip *sip, nta_incoming_t *irq, int status, const char *phrase)
{
    sip->totals.malformed++;
    nta_incoming_treply(irq, status, phrase, TAG_END());
    return TRUE;
}

gboolean
clv_sip_check_basics(ClvSip *sip, nta_incoming_t *irq, const sip_t *msg)
{
    enum url_type_e type = msg->sip_request->rq_url->url_type;

    if (msg->sip_from == NULL || msg->sip_from->a_tag == NULL || msg->sip_from->a_tag[0] == '\0')
        return refuse(sip, irq, 400, "Missing From Tag");
    if (msg->sip_max_forwards != NULL && msg->sip_max_forwards->mf_count > 255)
        return refuse(sip, irq, 400, "Bad Max-Forwards");
    if (type != url_sip && type != url_sips && type != url_tel)
        return refuse(sip, irq, 416, "Unsupported URI Scheme");
    return FALSE;
}

gboolean
clv_sip_check_extensions(ClvSip *sip, nta_incoming_t *irq, const sip_t *msg)
{
    if (nta_check_required(irq, (sip_t *)msg, sip->supported, TAG_END()) == 0)
        return FALSE;
    clv_sip_count_refusal(sip, 420);
    return TRUE;
}

static gboolean
accepts_sdp(const sip_t *msg)
{
    static const char *const fit[] = {"application/sdp", "application/*", "*/*"};

    for (const sip_accept_t *a = msg->sip_accept; a != NULL; a = a->ac_next) {
        for (gsize i = 0; i < G_N_ELEMENTS(fit); i++) {
            if (a->ac_type != NULL && g_ascii_strcasecmp(a->ac_type, fit[i]) == 0)
                return TRUE;
        }
    }
    return msg->sip_accept == NULL;
}

/* A body that we do not understand may be ignored only when its sender says so (RFC 3261 20.11). */
gboolean
clv_sip_check_content(ClvSip *sip, nta_incoming_t *irq, const sip_t *msg)
{
    const sip_content_disposition_t *disposition = msg->sip_content_disposition;

    if (msg->sip_request->rq_method == sip_method_invite && !accepts_sdp(msg)) {
        clv_sip_count_refusal(sip, 406);
        nta_incoming_treply(irq, SIP_406_NOT_ACCEPTABLE,
                            SIPTAG_ACCEPT_STR(CLV_SIP_ACCEPT_INVITE),
                            TAG_END());
        return TRUE;
    }
    if (msg->sip_payload == NULL || msg->sip_payload->pl_len == 0)
        return FALSE;
    if (disposition != NULL && disposition->cd_optional)
        return FALSE;
    if (clv_body_is_ours(msg))
        return FALSE;

    clv_sip_count_refusal(sip, 415);
    nta_incoming_treply(
        irq, SIP_415_UNSUPPORTED_MEDIA,
        SIPTAG_ACCEPT_STR(msg->sip_request->rq_method == sip_method_invite ? CLV_SIP_ACCEPT_INVITE
                                                                           : CLV_SIP_ACCEPT_UPDATE),
        TAG_IF(clv_body_is_encoded(msg), SIPTAG_ACCEPT_ENCODING_STR("identity")), TAG_END());
    return TRUE;
}

gboolean
clv_dialog_is_sane_url(const url_t *url)
{
    return (url->url_type == url_sip || url->url_type == url_sips) && url->url_host != NULL &&
           url->url_host[0] != '\0' && strlen(url->url_host) < 256;
}

/* "Contact: *", tel: and mailto: make legs that crash or cannot be reached. */
gboolean
clv_sip_check_contact(ClvSip *sip, nta_incoming_t *irq, const sip_t *msg, gboolean needed)
{
    const sip_contact_t *contact = msg->sip_contact;

    if (contact == NULL && needed)
        return refuse(sip, irq, 400, "Missing Contact");
    if (contact != NULL && (contact->m_next != NULL || !clv_dialog_is_sane_url(contact->m_url)))
        return refuse(sip, irq, 400, "Bad Contact");
    for (const sip_record_route_t *r = msg->sip_record_route; r != NULL; r = r->r_next) {
        if (!clv_dialog_is_sane_url(r->r_url))
            return refuse(sip, irq, 400, "Bad Record-Route");
    }
    return FALSE;
}

/* RFC 4028 section 9: only who supports the timer can be told to ask for more. */
gboolean
clv_sip_check_session(ClvSip *sip, nta_incoming_t *irq, const sip_t *msg)
{
    const sip_session_expires_t *x = msg->sip_session_expires;

    if (x == NULL || (gint64)x->x_delta >= sip->min_se_s ||
        !sip_has_feature(msg->sip_supported, "timer"))
        return FALSE;

    clv_sip_reply_code(sip, irq, CLV_CODE_INTERVAL_TOO_BRIEF, 0, NULL);
    return TRUE;
}

gboolean
clv_sip_read_offer(ClvSip *sip, nta_incoming_t *irq, const sip_t *msg, ClvSdp **out_offer)
{
    const char *text;
    gsize len;

    *out_offer = NULL;
    if (!clv_body_find_sdp(msg, &text, &len))
        return !refuse(sip, irq, 400, "Bad Body");
    if (text == NULL)
        return TRUE;
    *out_offer = clv_sdp_parse(text, len, NULL);
    if (*out_offer != NULL)
        return TRUE;

    sip->totals.malformed++;
    clv_sip_reply_code(sip, irq, CLV_CODE_BAD_SDP, 0, NULL);
    return FALSE;
}
