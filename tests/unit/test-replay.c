/* SPDX-License-Identifier: Apache-2.0 */
/* Is a message that was seen within the skew known, and only that? */
#include "config.h"

#include "base/replay.h"

#include <string.h>

/* The digest with this number. */
static const guint8 *
digest(guint64 number)
{
    static guint8 bytes[32];

    memset(bytes, 0, sizeof(bytes));
    memcpy(bytes + 24, &number, sizeof(number));
    return bytes;
}

static void
test_seen(void)
{
    ClvReplay *replay = clv_replay_new(10);

    g_assert_cmpint(clv_replay_check(replay, digest(1), 0, 100), ==, CLV_REPLAY_FRESH);
    g_assert_cmpint(clv_replay_check(replay, digest(2), 0, 100), ==, CLV_REPLAY_FRESH);
    g_assert_cmpint(clv_replay_check(replay, digest(1), 1, 100), ==, CLV_REPLAY_SEEN);
    g_assert_cmpuint(clv_replay_size(replay), ==, 2);
    clv_replay_free(replay);
    clv_replay_free(NULL);
}

static void
test_expiry(void)
{
    ClvReplay *replay = clv_replay_new(10);

    clv_replay_check(replay, digest(1), 0, 100);
    g_assert_cmpint(clv_replay_check(replay, digest(1), 100, 200), ==, CLV_REPLAY_SEEN);
    g_assert_cmpint(clv_replay_check(replay, digest(1), 101, 200), ==, CLV_REPLAY_FRESH);
    g_assert_cmpuint(clv_replay_size(replay), ==, 1);
    clv_replay_free(replay);
}

static void
test_contains(void)
{
    ClvReplay *replay = clv_replay_new(10);

    g_assert_false(clv_replay_contains(replay, digest(1), 0));
    g_assert_cmpuint(clv_replay_size(replay), ==, 0);
    clv_replay_check(replay, digest(1), 0, 100);
    g_assert_true(clv_replay_contains(replay, digest(1), 100));
    g_assert_false(clv_replay_contains(replay, digest(1), 101));
    g_assert_false(clv_replay_contains(replay, digest(2), 0));
    clv_replay_free(replay);
}

static void
test_full(void)
{
    ClvReplay *replay = clv_replay_new(2);

    clv_replay_check(replay, digest(1), 0, 50);
    clv_replay_check(replay, digest(2), 0, 100);
    g_assert_cmpint(clv_replay_check(replay, digest(3), 10, 100), ==, CLV_REPLAY_FULL);
    /* What it knows it still knows, and the refused one was not kept. */
    g_assert_cmpint(clv_replay_check(replay, digest(1), 10, 100), ==, CLV_REPLAY_SEEN);
    g_assert_cmpint(clv_replay_check(replay, digest(2), 10, 100), ==, CLV_REPLAY_SEEN);
    g_assert_cmpint(clv_replay_check(replay, digest(3), 51, 100), ==, CLV_REPLAY_FRESH);
    clv_replay_free(replay);
}

static void
test_nothing_kept(void)
{
    ClvReplay *replay = clv_replay_new(0);

    g_assert_cmpint(clv_replay_check(replay, digest(1), 0, 100), ==, CLV_REPLAY_FULL);
    clv_replay_free(replay);
}

/* Against the plainest possible model: a table from number to expiry. */
static void
test_model(void)
{
    enum { NUMBERS = 64, LIMIT = 40 };
    ClvReplay *replay = clv_replay_new(LIMIT);
    gint64 expires[NUMBERS];
    gint64 now = 0;

    for (guint i = 0; i < NUMBERS; i++)
        expires[i] = -1;
    for (guint turn = 0; turn < 200000; turn++) {
        guint number = (guint)g_test_rand_int_range(0, NUMBERS);
        gint64 until = now + g_test_rand_int_range(0, 100);
        guint live = 0;
        ClvReplayVerdict want;

        for (guint i = 0; i < NUMBERS; i++)
            live += expires[i] >= now;
        want = expires[number] >= now ? CLV_REPLAY_SEEN
               : live >= LIMIT        ? CLV_REPLAY_FULL
                                      : CLV_REPLAY_FRESH;
        if (want == CLV_REPLAY_FRESH)
            expires[number] = until;
        g_assert_cmpint(clv_replay_check(replay, digest(number), now, until), ==, want);
        g_assert_cmpuint(clv_replay_size(replay), ==, live + (want == CLV_REPLAY_FRESH));
        now += g_test_rand_int_range(0, 4);
    }
    clv_replay_free(replay);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/replay/the-second-time-is-seen", test_seen);
    g_test_add_func("/replay/an-entry-lives-until-it-expires", test_expiry);
    g_test_add_func("/replay/looking-does-not-insert", test_contains);
    g_test_add_func("/replay/a-full-table-refuses-and-forgets-nothing", test_full);
    g_test_add_func("/replay/a-table-without-room-refuses-everything", test_nothing_kept);
    g_test_add_func("/replay/agrees-with-a-plain-model", test_model);
    return g_test_run();
}
