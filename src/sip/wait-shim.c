/* SPDX-License-Identifier: Apache-2.0 */
/* sip/wait-shim.c - Sofia's loop waits instead of spinning
 *
 * Sofia counts the time to its next timer in whole milliseconds, rounded down, and asks epoll again
 * and again without waiting while less than one is left. With a few hundred transactions some timer
 * is always that near, and the signalling thread takes a whole core for nothing. The dynamic linker
 * finds our epoll_wait() first: in the thread of the loop a wait of zero becomes one millisecond,
 * which an event still ends at once.
 */
#include "config.h"

#include "sip/connections.h"
#include "sip/loop-private.h"

#include <sys/epoll.h>

static __thread gboolean is_loop_thread;

void
clv_wait_shim_enter(void)
{
    is_loop_thread = TRUE;
}

void
clv_wait_shim_leave(void)
{
    is_loop_thread = FALSE;
}

CLV_STANDS_BEFORE int
epoll_wait(int fd, struct epoll_event *events, int max_events, int timeout_ms)
{
    int (*real)(int, struct epoll_event *, int, int);

    CLV_FIND_REAL(real, "epoll_wait");
    return real(fd, events, max_events, is_loop_thread && timeout_ms == 0 ? 1 : timeout_ms);
}
