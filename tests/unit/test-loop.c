/* SPDX-License-Identifier: Apache-2.0 */
/* Do timers fire in order and once, and do watches see what can be read? */
#include "config.h"

#include "sip/loop.h"

#include <string.h>
#include <unistd.h>

typedef struct World {
    ClvLoop *loop;
    GString *seen;
    ClvTimer *victim;
    int pipe[2];
    int watch;
    guint left;
} World;

static void
setup(World *w, gconstpointer unused)
{
    w->loop = clv_loop_new(NULL);
    g_assert_nonnull(w->loop);
    w->seen = g_string_new(NULL);
    g_assert_cmpint(pipe(w->pipe), ==, 0);
}

static void
teardown(World *w, gconstpointer unused)
{
    clv_loop_free(w->loop);
    g_string_free(w->seen, TRUE);
    close(w->pipe[0]);
    close(w->pipe[1]);
}

static void
quit(void *user)
{
    clv_loop_quit(((World *)user)->loop);
}

static void
say_a(void *user)
{
    g_string_append_c(((World *)user)->seen, 'a');
}

static void
say_b(void *user)
{
    g_string_append_c(((World *)user)->seen, 'b');
}

static void
say_c_and_cancel(void *user)
{
    World *w = user;

    g_string_append_c(w->seen, 'c');
    clv_timer_cancel(w->victim);
}

static void
earliest_first(World *w, gconstpointer unused)
{
    clv_loop_timer(w->loop, 40, quit, w);
    clv_loop_timer(w->loop, 20, say_b, w);
    clv_loop_timer(w->loop, 5, say_a, w);
    clv_loop_timer(w->loop, 5, say_b, w);
    clv_loop_timer(w->loop, 20, say_a, w);
    clv_loop_run(w->loop);
    g_assert_cmpstr(w->seen->str, ==, "abba");
}

static void
cancelled_timers_stay_silent(World *w, gconstpointer unused)
{
    ClvTimer *timer = clv_loop_timer(w->loop, 1, say_a, w);

    w->victim = clv_loop_timer(w->loop, 5, say_b, w); /* cancelled by one due in the same turn */
    clv_loop_timer(w->loop, 2, say_c_and_cancel, w);
    clv_loop_timer(w->loop, 30, quit, w);
    clv_timer_cancel(timer);
    clv_timer_cancel(NULL);
    g_usleep(10 * 1000);
    clv_loop_run(w->loop);
    g_assert_cmpstr(w->seen->str, ==, "c");
}

static void
again(void *user)
{
    World *w = user;

    if (--w->left > 0)
        clv_loop_timer(w->loop, 0, again, w);
}

/* A chain of zero delays must not starve a descriptor. */
static void
read_and_quit(void *user)
{
    World *w = user;
    char c;

    g_assert_cmpint(read(w->pipe[0], &c, 1), ==, 1);
    g_assert_cmpuint(w->left, >, 0);
    clv_loop_unwatch(w->loop, w->watch);
    clv_loop_quit(w->loop);
}

static void
zero_delays_let_sockets_in(World *w, gconstpointer unused)
{
    w->left = 100000;
    w->watch = clv_loop_watch(w->loop, w->pipe[0], read_and_quit, w);
    g_assert_cmpint(w->watch, >, 0);
    clv_loop_timer(w->loop, 0, again, w);
    g_assert_cmpint(write(w->pipe[1], "x", 1), ==, 1);
    clv_loop_run(w->loop);
}

/* The heap against a sorted list: thousands set in disorder, every third cancelled. */
static gint64 last_due;
static guint fired;

typedef struct Entry {
    World *w;
    gint64 delay_ms;
    ClvTimer *timer;
} Entry;

static void
in_order(void *user)
{
    Entry *e = user;

    g_assert_cmpint(e->delay_ms, >=, last_due);
    g_assert_nonnull(e->timer);
    e->timer = NULL;
    last_due = e->delay_ms;
    fired++;
}

static void
thousands_keep_their_order(World *w, gconstpointer unused)
{
    enum { N = 3000 };
    g_autofree Entry *entries = g_new0(Entry, N);

    for (guint i = 0; i < N; i++) {
        entries[i].w = w;
        entries[i].delay_ms = (gint64)((i * 7919) % 20) * 50;
        entries[i].timer = clv_loop_timer(w->loop, entries[i].delay_ms, in_order, &entries[i]);
    }
    for (guint i = 0; i < N; i += 3) {
        clv_timer_cancel(entries[i].timer);
        entries[i].timer = NULL;
    }
    clv_loop_timer(w->loop, 1200, quit, w);
    clv_loop_run(w->loop);
    g_assert_cmpuint(fired, ==, N - N / 3);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
#define ADD(name, fn) g_test_add("/loop/" name, World, NULL, setup, fn, teardown)
    ADD("earliest-timer-fires-first", earliest_first);
    ADD("cancelled-timers-stay-silent", cancelled_timers_stay_silent);
    ADD("zero-delays-let-sockets-in", zero_delays_let_sockets_in);
    ADD("thousands-of-timers-keep-their-order", thousands_keep_their_order);
    return g_test_run();
}
