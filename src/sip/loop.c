/* SPDX-License-Identifier: Apache-2.0 */
/* sip/loop.c - Sofia's epoll root, fd watches, and timers that no wall clock can stop
 *
 * All timers share one timerfd on CLOCK_MONOTONIC, armed for the root of a binary heap. Each timer
 * knows its place in the heap, so cancelling one among thousands costs log n.
 */
#include "config.h"

#include "sip/loop-private.h"

#include <errno.h>
#include <gio/gio.h>
#include <string.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <sofia-sip/su.h>

struct ClvTimer {
    ClvLoop *loop;
    gint64 due_us;  /* CLOCK_MONOTONIC */
    guint64 serial; /* equal deadlines fire in the order they were set */
    guint place;    /* index in the heap */
    ClvTimerFunc fn;
    void *user;
};

typedef struct Watch {
    int index; /* su_root_register()'s, also the id */
    ClvLoopFdFunc fn;
    void *user;
} Watch;

struct ClvLoop {
    su_root_t *root;
    GHashTable *watches; /* id -> Watch */
    GPtrArray *heap;     /* of ClvTimer, earliest first */
    guint64 serial;
    int timer_fd;
    int timer_watch;
    gint64 armed_us; /* what the timerfd is set to; 0: nothing */
};

/* ---- heap -------------------------------------------------------------------------------- */

static ClvTimer *
at(const ClvLoop *loop, guint place)
{
    return g_ptr_array_index(loop->heap, place);
}

static void
put(ClvLoop *loop, guint place, ClvTimer *timer)
{
    g_ptr_array_index(loop->heap, place) = timer;
    timer->place = place;
}

static gboolean
earlier(const ClvTimer *a, const ClvTimer *b)
{
    return a->due_us != b->due_us ? a->due_us < b->due_us : a->serial < b->serial;
}

static void
sift_up(ClvLoop *loop, ClvTimer *timer)
{
    guint place = timer->place;

    while (place > 0 && earlier(timer, at(loop, (place - 1) / 2))) {
        put(loop, place, at(loop, (place - 1) / 2));
        place = (place - 1) / 2;
    }
    put(loop, place, timer);
}

static void
sift_down(ClvLoop *loop, ClvTimer *timer)
{
    guint place = timer->place;

    for (;;) {
        guint child = 2 * place + 1;

        if (child + 1 < loop->heap->len && earlier(at(loop, child + 1), at(loop, child)))
            child++;
        if (child >= loop->heap->len || !earlier(at(loop, child), timer))
            break;
        put(loop, place, at(loop, child));
        place = child;
    }
    put(loop, place, timer);
}

static void
heap_remove(ClvLoop *loop, ClvTimer *timer)
{
    guint place = timer->place;
    ClvTimer *last = at(loop, loop->heap->len - 1);

    g_ptr_array_set_size(loop->heap, (gint)loop->heap->len - 1);
    if (last == timer)
        return;

    put(loop, place, last);
    sift_up(loop, last);
    sift_down(loop, last);
}

/* ---- timers ------------------------------------------------------------------------------ */

/* g_get_monotonic_time() reads CLOCK_MONOTONIC, the clock of the timerfd. */
static void
arm(ClvLoop *loop)
{
    gint64 due_us = loop->heap->len > 0 ? MAX(at(loop, 0)->due_us, 1) : 0;
    struct itimerspec when = {0};

    if (due_us == loop->armed_us)
        return;

    loop->armed_us = due_us;
    when.it_value.tv_sec = due_us / G_USEC_PER_SEC;
    when.it_value.tv_nsec = (due_us % G_USEC_PER_SEC) * 1000;
    if (timerfd_settime(loop->timer_fd, TFD_TIMER_ABSTIME, &when, NULL) != 0)
        g_critical("timerfd_settime: %s", g_strerror(errno));
}

/* Fires what was due on entry; timers that the callbacks set wait for the next turn, so that no
 * chain of zero delays can starve the sockets. */
static void
fire_due(void *user)
{
    ClvLoop *loop = user;
    guint64 expirations;
    guint64 newest = loop->serial;
    gint64 now_us = g_get_monotonic_time();

    if (read(loop->timer_fd, &expirations, sizeof(expirations)) < 0 && errno != EAGAIN)
        g_critical("timerfd: %s", g_strerror(errno));
    loop->armed_us = -1;

    while (loop->heap->len > 0 && at(loop, 0)->due_us <= now_us && at(loop, 0)->serial <= newest) {
        ClvTimer *timer = at(loop, 0);
        ClvTimerFunc fn = timer->fn;
        void *timer_user = timer->user;

        heap_remove(loop, timer);
        g_free(timer);
        fn(timer_user);
    }
    arm(loop);
}

ClvTimer *
clv_loop_timer(ClvLoop *loop, gint64 delay_ms, ClvTimerFunc fn, void *user)
{
    ClvTimer *timer;

    g_return_val_if_fail(loop != NULL && fn != NULL, NULL);

    timer = g_new(ClvTimer, 1);
    timer->loop = loop;
    timer->due_us = g_get_monotonic_time() + CLAMP(delay_ms, 0, G_MAXINT64 / 4000) * 1000;
    timer->serial = ++loop->serial;
    timer->fn = fn;
    timer->user = user;
    timer->place = loop->heap->len;
    g_ptr_array_add(loop->heap, timer);
    sift_up(loop, timer);
    if (loop->armed_us >= 0)
        arm(loop);

    return timer;
}

void
clv_timer_cancel(ClvTimer *timer)
{
    ClvLoop *loop;

    if (timer == NULL)
        return;

    loop = timer->loop;
    heap_remove(loop, timer);
    g_free(timer);
    if (loop->armed_us >= 0)
        arm(loop);
}

/* ---- watches ----------------------------------------------------------------------------- */

static int
watch_ready(su_root_magic_t *magic, su_wait_t *wait, su_wakeup_arg_t *arg)
{
    Watch *watch = (Watch *)arg;

    watch->fn(watch->user); /* may remove the watch: not touched afterwards */
    return 0;
}

int
clv_loop_watch(ClvLoop *loop, int fd, ClvLoopFdFunc fn, void *user)
{
    su_wait_t wait[1] = {SU_WAIT_INIT};
    Watch *watch;

    g_return_val_if_fail(loop != NULL && fd >= 0 && fn != NULL, 0);

    if (su_wait_create(wait, fd, SU_WAIT_IN) < 0) {
        g_critical("cannot watch descriptor %d: %s", fd, g_strerror(errno));
        return 0;
    }

    watch = g_new(Watch, 1);
    watch->fn = fn;
    watch->user = user;
    watch->index = su_root_register(loop->root, wait, watch_ready, (su_wakeup_arg_t *)watch, 0);
    if (watch->index <= 0) {
        g_critical("cannot watch descriptor %d: %s", fd, g_strerror(errno));
        su_wait_destroy(wait);
        g_free(watch);
        return 0;
    }
    g_hash_table_insert(loop->watches, GINT_TO_POINTER(watch->index), watch);

    return watch->index;
}

void
clv_loop_unwatch(ClvLoop *loop, int watch)
{
    g_return_if_fail(loop != NULL);

    if (!g_hash_table_contains(loop->watches, GINT_TO_POINTER(watch)))
        return;

    su_root_deregister(loop->root, watch);
    g_hash_table_remove(loop->watches, GINT_TO_POINTER(watch));
}

/* ---- loop -------------------------------------------------------------------------------- */

ClvLoop *
clv_loop_new(GError **error)
{
    ClvLoop *loop = g_new0(ClvLoop, 1);

    su_init();
    loop->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    loop->root = su_root_create(NULL);
    loop->watches = g_hash_table_new_full(NULL, NULL, NULL, g_free);
    loop->heap = g_ptr_array_new();
    if (loop->timer_fd < 0 || loop->root == NULL) {
        g_set_error(error, G_IO_ERROR, g_io_error_from_errno(errno),
                    "cannot make the main loop: %s", g_strerror(errno));
        clv_loop_free(loop);
        return NULL;
    }

    su_root_threading(loop->root, 0);
    loop->timer_watch = clv_loop_watch(loop, loop->timer_fd, fire_due, loop);
    if (loop->timer_watch == 0) {
        g_set_error_literal(error, G_IO_ERROR, G_IO_ERROR_FAILED,
                            "cannot watch the timer descriptor");
        clv_loop_free(loop);
        return NULL;
    }

    return loop;
}

void
clv_loop_free(ClvLoop *loop)
{
    if (loop == NULL)
        return;

    if (loop->root != NULL && loop->timer_watch > 0)
        clv_loop_unwatch(loop, loop->timer_watch);
    if (loop->root != NULL)
        su_root_destroy(loop->root);
    if (loop->timer_fd >= 0)
        close(loop->timer_fd);
    for (guint i = 0; i < loop->heap->len; i++)
        g_free(at(loop, i));
    g_ptr_array_free(loop->heap, TRUE);
    g_hash_table_destroy(loop->watches);
    g_free(loop);
    su_deinit();
}

void
clv_loop_run(ClvLoop *loop)
{
    g_return_if_fail(loop != NULL);

    clv_wait_shim_enter();
    su_root_run(loop->root);
    clv_wait_shim_leave();
}

void
clv_loop_quit(ClvLoop *loop)
{
    g_return_if_fail(loop != NULL);

    su_root_break(loop->root);
}

su_root_t *
clv_loop_root(ClvLoop *loop)
{
    return loop->root;
}
