/* SPDX-License-Identifier: Apache-2.0 */
/* sip/probe.c - does the peer of a dialog still live, of whom nothing is heard?
 *
 * OPTIONS in the dialog. Whatever he answers shows that he lives, but for what RFC 3261 12.2.1.2
 * says: 481 and 408, also ours when no answer came within 64*T1, and a request that cannot be sent
 * at all.
 */
#include "config.h"

#include "sip/sip-private.h"

static gboolean
is_lost(nta_outgoing_t *orq, int status)
{
    msg_t *response = nta_outgoing_getresponse(orq);
    gboolean by_us = response == NULL || nta_is_internal_msg(response);

    msg_destroy(response);
    return status == 408 || status == 481 || (status >= 300 && by_us);
}

static int
probe_answered(void *magic, nta_outgoing_t *orq, const sip_t *msg)
{
    Dialog *d = magic;
    int status = nta_outgoing_status(orq);
    ClvSipEvent event = {.kind = CLV_SIP_PROBED, .status = (guint)status};

    if (status < 200)
        return 0;
    clv_dialog_ref(d);
    event.lost = is_lost(orq, status);
    d->probe = NULL;
    if (d->state == DIALOG_LIVE)
        clv_dialog_emit(d, &event);
    clv_dialog_unref(d);
    nta_outgoing_destroy(orq); /* last: msg is a part of it */
    return 0;
}

void
clv_probe_drop(Dialog *d)
{
    if (d->probe != NULL)
        nta_outgoing_destroy(d->probe);
    d->probe = NULL;
}

void
clv_sip_probe(ClvSip *sip, ClvLegId leg)
{
    Dialog *d = clv_dialog_find(sip, leg);
    ClvSipEvent unsent = {.kind = CLV_SIP_PROBED, .status = 503, .lost = TRUE};

    if (d == NULL || d->state != DIALOG_LIVE || d->probe != NULL)
        return;
    d->probe = nta_outgoing_tcreate(
        d->leg, probe_answered, d, NULL, SIP_METHOD_OPTIONS, NULL,
        NTATAG_TPORT(clv_dialog_connection(d)), SIPTAG_CONTACT_STR(d->contact),
        SIPTAG_ACCEPT_STR("application/sdp"), SIPTAG_SUPPORTED_STR(CLV_SIP_SUPPORTED), TAG_END());
    if (d->probe == NULL)
        clv_dialog_emit(d, &unsent);
}
