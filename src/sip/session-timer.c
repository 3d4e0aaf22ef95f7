/* SPDX-License-Identifier: Apache-2.0 */
/* sip/session-timer.c - does the peer still live? (RFC 4028)
 *
 * As refresher we send UPDATE when the peer allows it, else a re-INVITE with the SDP we sent last.
 * Otherwise we wait, and shortly before the session expires we end it.
 */
#include "config.h"

#include "sip/sip-private.h"

#include <string.h>

#include "base/secret.h"

#define RETRY_MS 1500
#define MAX_INTERVAL_S (86400 * 7)

static void session_due(void *user);

void
clv_session_asked(Dialog *d, const sip_t *msg)
{
    const sip_session_expires_t *x = msg->sip_session_expires;

    d->peer_has_timer = sip_has_feature(msg->sip_supported, "timer") != 0;
    d->asked_s = x != NULL ? (gint64)MIN(x->x_delta, MAX_INTERVAL_S) : 0;
    d->asked_min_s =
        msg->sip_min_se != NULL ? (gint64)MIN(msg->sip_min_se->min_delta, MAX_INTERVAL_S) : 0;
    d->asked_uas =
        x != NULL && x->x_refresher != NULL && g_ascii_strcasecmp(x->x_refresher, "uas") == 0;
    d->asked_uac =
        x != NULL && x->x_refresher != NULL && g_ascii_strcasecmp(x->x_refresher, "uac") == 0;
}

char *
clv_session_answer(Dialog *d, gboolean *out_require)
{
    gint64 ours_s = d->sip->session_expires_s;

    *out_require = FALSE;
    d->interval_s =
        d->asked_s > 0 && ours_s > 0 ? MIN(d->asked_s, ours_s) : MAX(d->asked_s, ours_s);
    if (d->interval_s <= 0)
        return NULL;

    /* Section 9: neither below our own Min-SE nor below the peer's. */
    d->interval_s = MAX(d->interval_s, MAX(d->sip->min_se_s, d->asked_min_s));
    d->we_refresh = !d->peer_has_timer || (d->asked_uas && !d->asked_uac);
    *out_require = !d->we_refresh;
    return g_strdup_printf("%" G_GINT64_FORMAT ";refresher=%s", d->interval_s,
                           d->we_refresh ? "uas" : "uac");
}

static void
arm(Dialog *d, gint64 delay_ms)
{
    clv_timer_cancel(d->session_timer);
    d->session_timer = clv_loop_timer(d->sip->loop, MAX(delay_ms, 0), session_due, d);
}

/* Section 10: the BYE leaves a third of the interval, at most 32 s, before the session expires. */
static gint64
last_call_ms(const Dialog *d)
{
    gint64 left_ms = (d->expires_us - g_get_monotonic_time()) / 1000;

    return left_ms - MIN(32, d->interval_s / 3) * 1000;
}

void
clv_session_start(Dialog *d)
{
    if (d->interval_s <= 0 || d->state == DIALOG_OPENING)
        return;

    d->expires_us = g_get_monotonic_time() + d->interval_s * G_USEC_PER_SEC;
    arm(d, d->we_refresh ? d->interval_s * 500 : last_call_ms(d));
}

void
clv_session_stop(Dialog *d)
{
    g_clear_pointer(&d->session_timer, clv_timer_cancel);
}

static void
expire(Dialog *d)
{
    g_free(d->reason);
    d->reason = g_strdup("SIP;cause=408;text=\"session expired\"");
    clv_dialog_fail(d, "timer");
}

/* ---- our refresh ------------------------------------------------------------------------------
 */

static int refresh_answered(void *magic, nta_outgoing_t *orq, const sip_t *msg);

static gboolean
send_refresh(Dialog *d)
{
    g_autofree char *expires = g_strdup_printf("%" G_GINT64_FORMAT ";refresher=uac", d->interval_s);
    g_autofree char *min_se = g_strdup_printf("%" G_GINT64_FORMAT, d->sip->min_se_s);
    gboolean update = d->peer_has_update;

    if (!update && d->sdp == NULL)
        return FALSE;

    d->request_offers = !update;
    d->request = nta_outgoing_tcreate(
        d->leg, refresh_answered, d, NULL, update ? sip_method_update : sip_method_invite,
        update ? "UPDATE" : "INVITE", NULL, NTATAG_TPORT(clv_dialog_connection(d)),
        SIPTAG_CONTACT_STR(d->contact), SIPTAG_ALLOW_STR(CLV_SIP_ALLOW),
        SIPTAG_SUPPORTED_STR(CLV_SIP_SUPPORTED_CALLING), SIPTAG_SESSION_EXPIRES_STR(expires),
        SIPTAG_MIN_SE_STR(min_se), TAG_IF(!update, SIPTAG_CONTENT_TYPE_STR("application/sdp")),
        TAG_IF(!update, SIPTAG_PAYLOAD_STR(d->sdp)), TAG_END());
    return d->request != NULL;
}

static void
acknowledge(Dialog *d, nta_outgoing_t *orq, const sip_t *msg)
{
    nta_outgoing_t *ack;

    if (nta_outgoing_method(orq) != sip_method_invite || msg == NULL)
        return;

    ack = nta_outgoing_tcreate(d->leg, NULL, NULL, NULL, SIP_METHOD_ACK, NULL,
                               NTATAG_TPORT(clv_dialog_connection(d)), SIPTAG_CSEQ(msg->sip_cseq),
                               TAG_END());
    if (ack != NULL)
        nta_outgoing_destroy(ack);
}

static gboolean
is_sane_target(const sip_contact_t *contact)
{
    return contact != NULL && contact->m_next == NULL && contact->m_url->url_host != NULL &&
           (contact->m_url->url_type == url_sip || contact->m_url->url_type == url_sips);
}

/* What the 2xx to our refresh says about the next one. */
static void
refreshed(Dialog *d, const sip_t *msg)
{
    const sip_session_expires_t *x = msg->sip_session_expires;

    if (is_sane_target(msg->sip_contact))
        nta_leg_client_reroute(d->leg, NULL, msg->sip_contact, FALSE);
    if (x != NULL && (gint64)x->x_delta >= d->sip->min_se_s)
        d->interval_s = (gint64)MIN(x->x_delta, MAX_INTERVAL_S);
    d->we_refresh =
        x == NULL || x->x_refresher == NULL || g_ascii_strcasecmp(x->x_refresher, "uas") != 0;
    clv_session_start(d);
}

void
clv_session_agreed(Dialog *d, const sip_t *msg)
{
    d->peer_has_timer = sip_has_feature(msg->sip_supported, "timer") != 0 ||
                        sip_has_feature(msg->sip_require, "timer") != 0;
    d->peer_has_update = sip_is_allowed(msg->sip_allow, SIP_METHOD_UPDATE);
    d->interval_s = d->sip->session_expires_s;
    if (d->interval_s > 0 || msg->sip_session_expires != NULL)
        refreshed(d, msg);
}

/* RFC 3261 14.1: 2.1 to 4 s for who owns the Call-ID, 0 to 2 s for the other, with T1 of 500 ms. */
static gint64
glare_ms(const Dialog *d)
{
    gint32 t1_ms = (gint32)d->sip->t1_ms;

    return d->we_called ? g_random_int_range(t1_ms * 21 / 5, t1_ms * 8 + 1)
                        : g_random_int_range(0, t1_ms * 4 + 1);
}

static int
refresh_answered(void *magic, nta_outgoing_t *orq, const sip_t *msg)
{
    Dialog *d = magic;
    int status = nta_outgoing_status(orq);
    gboolean by_update = nta_outgoing_method(orq) == sip_method_update;

    if (status < 200)
        return 0;
    clv_dialog_ref(d);
    if (status < 300)
        acknowledge(d, orq, msg);
    d->request = NULL;
    if (status < 300 && msg != NULL) {
        refreshed(d, msg);
    } else if (status == 408 || status == 481) {
        expire(d);
    } else if (status == 422 && msg != NULL && msg->sip_min_se != NULL &&
               (gint64)msg->sip_min_se->min_delta > d->interval_s) {
        d->interval_s = (gint64)MIN(msg->sip_min_se->min_delta, MAX_INTERVAL_S);
        arm(d, 0);
    } else if (status == 491) {
        arm(d, glare_ms(d));
    } else if (by_update && d->sdp != NULL) {
        d->peer_has_update = FALSE; /* whatever its Allow said */
        arm(d, 0);
    } else {
        d->we_refresh = FALSE; /* it does not want to: wait for the end */
        arm(d, last_call_ms(d));
    }
    clv_dialog_unref(d);
    nta_outgoing_destroy(orq); /* last: msg is a part of it */
    return 0;
}

static void
session_due(void *user)
{
    Dialog *d = user;

    d->session_timer = NULL;
    if (!d->we_refresh || last_call_ms(d) <= 0) {
        expire(d);
    } else if (d->request != NULL || d->update != NULL || d->invite != NULL) {
        arm(d, RETRY_MS); /* something is under way that may refresh by itself */
    } else if (!send_refresh(d)) {
        d->we_refresh = FALSE;
        arm(d, last_call_ms(d));
    } else {
        arm(d, last_call_ms(d));
    }
}
