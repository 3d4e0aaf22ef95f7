/* SPDX-License-Identifier: Apache-2.0 */
/* sip/response-guard.c - a response that cannot be sent is lost on the way, and no more than that
 *
 * nta puts a transaction whose final response could not be sent into a queue of its own, where the
 * ACK of the same peer meets an assertion: an INVITE whose Via names port 0, and its ACK, stop the
 * process. So Sofia's call of tport_tsend() ends here, and for responses it never fails. What
 * follows is right for a lost response: retransmissions, and the end of the transaction by timer.
 */
#include "config.h"

#include "sip/connections.h"
#include "sip/sofia.h"

#include <dlfcn.h>
#include <errno.h>

#include <sofia-sip/su_tagarg.h>

#define MAX_TRIES 3 /* nta finds another connection when the old one is gone (RFC 3261 18.2.2) */

CLV_STANDS_BEFORE tport_t *tport_tsend(tport_t *self, msg_t *msg, tp_name_t const *name,
                                       tag_type_t tag, tag_value_t value, ...);

static gboolean
is_response(msg_t *msg)
{
    const sip_t *sip = msg != NULL ? sip_object(msg) : NULL;

    return sip != NULL && sip->sip_status != NULL;
}

/* Shall nta try again by another way? */
static gboolean
has_another_way(msg_t *msg)
{
    static const msg_t *last;
    static guint tries;
    int error = msg_errno(msg);

    tries = msg == last ? tries + 1 : 1;
    last = msg;
    if ((error == EPIPE || error == ECONNREFUSED) && tries < MAX_TRIES)
        return TRUE;

    last = NULL;
    return FALSE;
}

tport_t *
tport_tsend(tport_t *self, msg_t *msg, tp_name_t const *name, tag_type_t tag, tag_value_t value,
            ...)
{
    static tport_t *(*real)(tport_t *, msg_t *, tp_name_t const *, tag_type_t, tag_value_t, ...);
    static char lost; /* callers ask only whether the answer is NULL */
    tport_t *sent;
    ta_list ta;

    if (real == NULL)
        *(void **)&real = dlsym(RTLD_NEXT, "tport_tsend");
    ta_start(ta, tag, value);
    sent = real(self, msg, name, ta_tags(ta));
    (void)(0 == ta_end(ta)); /* frees the list; its value means nothing */
    if (sent != NULL || !is_response(msg) || has_another_way(msg))
        return sent;

    return self != NULL ? self : (tport_t *)&lost;
}

gboolean
clv_response_guard_in_place(void)
{
    return dlsym(RTLD_DEFAULT, "tport_tsend") == (void *)tport_tsend;
}
