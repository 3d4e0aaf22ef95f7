/* SPDX-License-Identifier: Apache-2.0 */
/* sip/early.c - what is said to a caller before his INVITE has its final answer?
 *
 * Progress (18x), the answer in a reliable 183, the PRACKs of both, and the 200 that waits for them
 * and for what the caller has to reserve (RFC 3262, 3312).
 */
#include "config.h"

#include "sip/sip-private.h"

#include "base/secret.h"

void
clv_early_drop(Dialog *d)
{
    if (d->ringing != NULL)
        nta_reliable_destroy(d->ringing);
    d->ringing = NULL;
}

gboolean
clv_early_may_progress(const Dialog *d)
{
    return d->state == DIALOG_OPENING && d->invite != NULL && !d->invite_answered;
}

/* The 200 that says nothing new, once the peer knows our answer and has what he needs. */
void
clv_early_finish(Dialog *d)
{
    if (d->state != DIALOG_OPENING || !d->answer_known || d->peer_reserves || d->update != NULL ||
        d->ringing != NULL || d->invite_answered)
        return;
    clv_dialog_answer(d, NULL);
}

static void
answer_prack(ClvSip *sip, nta_incoming_t *prack, const sip_t *msg)
{
    gboolean offers = msg != NULL && msg->sip_payload != NULL && msg->sip_payload->pl_len > 0;

    if (offers) /* UPDATE is for that */
        clv_sip_reply_code(sip, prack, CLV_CODE_NO_COMMON_MEDIA, 0, NULL);
    else
        nta_incoming_treply(prack, SIP_200_OK, TAG_END());
    nta_incoming_destroy(prack);
}

/* The PRACK of a reliable 18x, or (NULL) that none came or none is needed any more. An answer that
 * came in between has waited for it. */
static int
on_prack(void *magic, nta_reliable_t *rel, nta_incoming_t *prack, const sip_t *msg)
{
    Dialog *d = magic;

    if (rel != d->ringing)
        return 0;

    clv_dialog_ref(d);
    if (prack != NULL)
        answer_prack(d->sip, prack, msg);
    clv_early_drop(d);
    if (prack != NULL && d->answer_sent)
        d->answer_known = TRUE;
    if (prack != NULL && d->answer_waits && d->state == DIALOG_OPENING) {
        char *sdp = g_steal_pointer(&d->sdp);

        d->answer_waits = FALSE;
        clv_dialog_accept(d, sdp);
        clv_secret_free_string(sdp);
    }
    clv_early_finish(d);
    clv_dialog_unref(d);
    return 0;
}

static void repeat_progress(void *user);

/* sdp: (nullable) */
static void
send_reliable(Dialog *d, int status, const char *sdp)
{
    g_autofree char *asserted = clv_dialog_own_assertion(d);

    d->ringing = nta_reliable_treply(
        d->invite, on_prack, d, status, NULL, SIPTAG_CONTACT_STR(d->contact),
        SIPTAG_ALLOW_STR(CLV_SIP_ALLOW), SIPTAG_SUPPORTED_STR(CLV_SIP_SUPPORTED),
        TAG_IF(asserted != NULL, SIPTAG_HEADER_STR(asserted)),
        TAG_IF(asserted != NULL, SIPTAG_PRIVACY_STR("none")),
        TAG_IF(sdp != NULL, SIPTAG_CONTENT_TYPE_STR("application/sdp")),
        TAG_IF(sdp != NULL, SIPTAG_PAYLOAD_STR(sdp)), TAG_END());
}

static void
send_progress(Dialog *d)
{
    g_autofree char *asserted = clv_dialog_own_assertion(d);

    if (d->wants_reliable)
        send_reliable(d, (int)d->progress, NULL);
    else
        nta_incoming_treply(d->invite, (int)d->progress, NULL, SIPTAG_CONTACT_STR(d->contact),
                            SIPTAG_ALLOW_STR(CLV_SIP_ALLOW),
                            TAG_IF(asserted != NULL, SIPTAG_HEADER_STR(asserted)),
                            TAG_IF(asserted != NULL, SIPTAG_PRIVACY_STR("none")), TAG_END());
}

/* RFC 3261 13.3.1.1: once a minute, or proxies lose their patience. */
static void
schedule_progress(Dialog *d)
{
    clv_timer_cancel(d->progress_timer);
    d->progress_timer = clv_loop_timer(d->sip->loop, 120 * d->sip->t1_ms, repeat_progress, d);
}

static void
repeat_progress(void *user)
{
    Dialog *d = user;

    d->progress_timer = NULL;
    if (!clv_early_may_progress(d))
        return;
    if (d->ringing == NULL)
        send_progress(d);
    schedule_progress(d);
}

void
clv_sip_progress(ClvSip *sip, ClvLegId leg, guint status, const char *contact_uri)
{
    Dialog *d = clv_dialog_find(sip, leg);

    g_return_if_fail(status > 100 && status < 200);

    if (d == NULL || !clv_early_may_progress(d) || d->answer_sent)
        return;
    clv_dialog_name_contact(d, contact_uri);
    d->progress = status;
    schedule_progress(d);
    if (d->ringing == NULL)
        send_progress(d);
}

/* RFC 3312: he had a minute to reserve what he needs. */
static void
never_reserved(void *user)
{
    Dialog *d = user;

    d->progress_timer = NULL;
    if (!clv_early_may_progress(d))
        return;
    clv_dialog_ref(d);
    clv_sip_reply_odd(d->sip, d->invite, 580);
    clv_unacked_take(d->sip, d, g_steal_pointer(&d->invite));
    clv_dialog_ended(d, "error");
    clv_dialog_bury(d);
    clv_dialog_unref(d);
}

/* RFC 3262 section 5: the answer in a provisional response that gets a PRACK. */
void
clv_early_answer(Dialog *d, const char *sdp)
{
    clv_timer_cancel(d->progress_timer);
    d->progress_timer = clv_loop_timer(d->sip->loop, 120 * d->sip->t1_ms, never_reserved, d);
    d->answer_sent = TRUE;
    clv_dialog_set_sdp(d, sdp);
    send_reliable(d, 183, sdp);
}
