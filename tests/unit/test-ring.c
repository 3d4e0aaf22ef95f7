/* SPDX-License-Identifier: Apache-2.0 */
/* Does everything arrive, once, whole and in order? */
#include "config.h"

#include "base/ring.h"

#include <sched.h>
#include <stdint.h>
#include <string.h>

#include <glib.h>

typedef struct Message {
    uint64_t number;
    uint64_t check[4]; /* the number again: a torn copy would show */
} Message;

static Message
message(uint64_t number)
{
    return (Message){number, {number, number, number, number}};
}

static void
test_order(void)
{
    ClvRing *ring = clv_ring_new(4, sizeof(int));
    int out = -1;

    g_assert_false(clv_ring_pop(ring, &out));
    g_assert_cmpint(out, ==, -1);
    for (int turn = 0; turn < 10; turn++) {
        for (int i = 0; i < 3; i++)
            g_assert_true(clv_ring_push(ring, &i));
        for (int i = 0; i < 3; i++) {
            g_assert_true(clv_ring_pop(ring, &out));
            g_assert_cmpint(out, ==, i);
        }
        g_assert_false(clv_ring_pop(ring, &out));
    }
    clv_ring_free(ring);
    clv_ring_free(NULL);
}

static void
test_full(void)
{
    static const struct {
        size_t asked, rounded;
    } cases[] = {{1, 1}, {2, 2}, {3, 4}, {4, 4}, {5, 8}, {1000, 1024}};

    for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
        ClvRing *ring = clv_ring_new(cases[i].asked, 1);
        uint8_t byte = 7;

        for (size_t n = 0; n < cases[i].rounded; n++)
            g_assert_true(clv_ring_push(ring, &byte));
        g_assert_false(clv_ring_push(ring, &byte));
        g_assert_true(clv_ring_pop(ring, &byte));
        g_assert_true(clv_ring_push(ring, &byte));
        g_assert_false(clv_ring_push(ring, &byte));
        clv_ring_free(ring);
    }
}

#define N_MESSAGES 300000

static gpointer
produce(gpointer user)
{
    for (uint64_t n = 0; n < N_MESSAGES; n++) {
        Message m = message(n);

        while (!clv_ring_push(user, &m))
            sched_yield();
    }
    return NULL;
}

static void
run_two_threads(size_t slots)
{
    ClvRing *ring = clv_ring_new(slots, sizeof(Message));
    GThread *producer = g_thread_new("producer", produce, ring);
    Message got;

    for (uint64_t n = 0; n < N_MESSAGES; n++) {
        Message want = message(n);

        while (!clv_ring_pop(ring, &got))
            sched_yield();
        if (memcmp(&got, &want, sizeof(got)) != 0)
            g_error("message %" G_GUINT64_FORMAT " came as %" G_GUINT64_FORMAT, n, got.number);
    }
    g_assert_false(clv_ring_pop(ring, &got));
    g_thread_join(producer);
    clv_ring_free(ring);
}

static void
test_two_threads(void)
{
    run_two_threads(1);
    run_two_threads(8);
    run_two_threads(1024);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/ring/first-in-is-first-out", test_order);
    g_test_add_func("/ring/a-full-ring-says-so", test_full);
    g_test_add_func("/ring/two-threads-lose-nothing", test_two_threads);
    return g_test_run();
}
