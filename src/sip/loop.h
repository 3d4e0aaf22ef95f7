/* SPDX-License-Identifier: Apache-2.0 */
/* sip/loop.h - the signalling thread's main loop
 *
 * Sofia's epoll root, with watches for others' file descriptors and one-shot timers on
 * CLOCK_MONOTONIC (timerfd), because Sofia's own timers follow wall time.
 */
#pragma once

#include <glib.h>

typedef struct ClvLoop ClvLoop;
typedef struct ClvTimer ClvTimer;

ClvLoop *clv_loop_new(GError **error);
void clv_loop_free(ClvLoop *loop);
void clv_loop_run(ClvLoop *loop);
void clv_loop_quit(ClvLoop *loop); /* from the loop's own thread */

typedef void (*ClvLoopFdFunc)(void *user);
/* Calls fn when fd is readable. Returns a watch id > 0. */
int clv_loop_watch(ClvLoop *loop, int fd, ClvLoopFdFunc fn, void *user);
void clv_loop_unwatch(ClvLoop *loop, int watch);

typedef void (*ClvTimerFunc)(void *user);
/* One shot after delay_ms, counted from now. The timer is freed when it fires or is cancelled. */
ClvTimer *clv_loop_timer(ClvLoop *loop, gint64 delay_ms, ClvTimerFunc fn, void *user);
void clv_timer_cancel(ClvTimer *timer); /* NULL allowed */
