/* SPDX-License-Identifier: Apache-2.0 */
/* The mixer: N-1 to the bit, clamped, encoded no more often than needed, and who is loud. */
#include "media/mixer.h"

#include <glib.h>
#include <string.h>

#define N CLV_MIX_SAMPLES

static void
noise(GRand *rand, int16_t *out, int amplitude)
{
    for (int i = 0; i < N; i++)
        out[i] = (int16_t)g_rand_int_range(rand, -amplitude, amplitude + 1);
}

static void
test_everyone_hears_all_but_himself(void)
{
    enum { M = 17 };
    g_autoptr(GRand) rand = g_rand_new_with_seed(1);
    int16_t in[M][N], out[N];
    ClvMix mix;

    clv_mix_begin(&mix);
    for (int m = 0; m < M; m++) {
        noise(rand, in[m], 1500);
        g_assert_true(clv_mix_add(&mix, in[m], (uint32_t)m, clv_mix_power(in[m])));
    }
    for (int m = 0; m < M; m++) {
        clv_mix_without(&mix, in[m], out);
        for (int i = 0; i < N; i++) {
            int want = 0;

            for (int k = 0; k < M; k++)
                want += k == m ? 0 : in[k][i];
            g_assert_cmpint(out[i], ==, CLAMP(want, INT16_MIN, INT16_MAX));
        }
    }
}

static void
test_loud_sums_are_clamped_and_never_wrap(void)
{
    enum { M = 300 };
    int16_t high[N], low[N], out[N];
    ClvMix mix;

    for (int i = 0; i < N; i++) {
        high[i] = INT16_MAX;
        low[i] = INT16_MIN;
    }
    clv_mix_begin(&mix);
    for (uint32_t m = 0; m < M; m++)
        clv_mix_add(&mix, high, m, clv_mix_power(high));
    clv_mix_without(&mix, high, out);
    for (int i = 0; i < N; i++)
        g_assert_cmpint(out[i], ==, INT16_MAX);
    clv_mix_begin(&mix);
    for (uint32_t m = 0; m < M; m++)
        clv_mix_add(&mix, low, m, clv_mix_power(low));
    clv_mix_without(&mix, low, out);
    for (int i = 0; i < N; i++)
        g_assert_cmpint(out[i], ==, INT16_MIN);
}

/* The clamp is the listener's, not the sum's: with the loud one taken out nothing is lost. */
static void
test_own_part_leaves_before_the_clamp(void)
{
    int16_t loud[N], soft[N], out[N];
    ClvMix mix;

    for (int i = 0; i < N; i++) {
        loud[i] = 32000;
        soft[i] = 1000;
    }
    clv_mix_begin(&mix);
    clv_mix_add(&mix, loud, 1, clv_mix_power(loud));
    clv_mix_add(&mix, soft, 2, clv_mix_power(soft));
    clv_mix_without(&mix, loud, out);
    for (int i = 0; i < N; i++)
        g_assert_cmpint(out[i], ==, 1000);
}

static void
test_equal_mixes_are_encoded_once(void)
{
    g_autoptr(GRand) rand = g_rand_new_with_seed(2);
    int16_t in[2][N];
    uint8_t room[2][N];
    const uint8_t *first, *own;
    ClvMix mix;

    clv_mix_begin(&mix);
    for (int m = 0; m < 2; m++) {
        noise(rand, in[m], 1000);
        clv_mix_add(&mix, in[m], (uint32_t)m, clv_mix_power(in[m]));
    }
    first = clv_mix_encode(&mix, NULL, CLV_G711_ULAW, room[0]);
    for (int i = 0; i < 100; i++)
        g_assert_true(clv_mix_encode(&mix, NULL, CLV_G711_ULAW, room[0]) == first);
    g_assert_cmpuint(mix.n_encoded, ==, 1);
    g_assert_true(clv_mix_encode(&mix, NULL, CLV_G711_ALAW, room[0]) != first);
    g_assert_cmpuint(mix.n_encoded, ==, 2);
    own = clv_mix_encode(&mix, in[0], CLV_G711_ULAW, room[1]);
    g_assert_true(own == room[1]);
    clv_g711_encode(CLV_G711_ULAW, in[1], room[0], N);
    g_assert_cmpmem(own, N, room[0], N); /* without the one, it is the other */
    g_assert_cmpuint(mix.n_encoded, ==, 3);
}

static void
test_silence_is_nobodys_part(void)
{
    int16_t idle[N], out[N];
    uint8_t room[N];
    ClvMix mix;

    for (int i = 0; i < N; i++)
        idle[i] = 8;
    clv_mix_begin(&mix);
    g_assert_cmpuint(clv_mix_power(idle), ==, 0);
    g_assert_false(clv_mix_add(&mix, idle, 1, 0));
    clv_mix_without(&mix, NULL, out);
    for (int i = 0; i < N; i++)
        g_assert_cmpint(out[i], ==, 0);
    g_assert_cmpuint(clv_mix_encode(&mix, NULL, CLV_G711_ALAW, room)[7], ==, 0xd5);
    g_assert_cmpuint(clv_mix_encode(&mix, NULL, CLV_G711_ULAW, room)[7], ==, 0xff);
    idle[3] = -9;
    g_assert_cmpuint(clv_mix_power(idle), >, 0);
}

static void
test_contributors_are_named_loudest_first(void)
{
    enum { M = 40 };
    g_autoptr(GRand) rand = g_rand_new_with_seed(3);
    int16_t in[N];
    uint32_t out[CLV_RTP_MAX_CSRCS];
    ClvMix mix;

    noise(rand, in, 100);
    clv_mix_begin(&mix);
    for (uint32_t m = 0; m < M; m++)
        clv_mix_add(&mix, in, 100 + m, 1 + m * 7 % M); /* 7 and 40 share no factor: all differ */
    g_assert_cmpuint(clv_mix_csrcs(&mix, 0, out), ==, 15);
    for (uint32_t i = 0; i < 15; i++)
        g_assert_cmpuint((out[i] - 100) * 7 % M, ==, M - 1 - i);
    g_assert_cmpuint(clv_mix_csrcs(&mix, out[0], out), ==, 15); /* the loudest: still fifteen */
    for (uint32_t i = 0; i < 15; i++)
        g_assert_cmpuint((out[i] - 100) * 7 % M, ==, M - 2 - i);
}

static void
test_talking_starts_fast_and_ends_slowly(void)
{
    ClvTalk talk;
    int changes = 0, started = -1;

    clv_talk_init(&talk);
    for (int i = 0; i < 200; i++)
        g_assert_false(clv_talk_step(&talk, 2000)); /* a fan */
    for (int i = 0; i < 50; i++) {
        if (clv_talk_step(&talk, 4000000)) {
            changes++;
            started = i;
        }
    }
    g_assert_cmpint(changes, ==, 1);
    g_assert_cmpint(started, <=, 3);
    g_assert_true(talk.talking);
    for (int i = 0; i < 20; i++)
        g_assert_false(clv_talk_step(&talk, 2000)); /* a pause between words */
    for (int i = 0; i < 20; i++)
        changes += clv_talk_step(&talk, 2000);
    g_assert_cmpint(changes, ==, 2);
    g_assert_false(talk.talking);
    g_assert_false(clv_talk_step(&talk, 4000000)); /* one click is no word */
    g_assert_false(clv_talk_step(&talk, 0));
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    clv_g711_init();
    g_test_add_func("/mixer/everyone-hears-all-but-himself", test_everyone_hears_all_but_himself);
    g_test_add_func("/mixer/loud-sums-are-clamped-and-never-wrap",
                    test_loud_sums_are_clamped_and_never_wrap);
    g_test_add_func("/mixer/own-part-leaves-before-the-clamp",
                    test_own_part_leaves_before_the_clamp);
    g_test_add_func("/mixer/equal-mixes-are-encoded-once", test_equal_mixes_are_encoded_once);
    g_test_add_func("/mixer/silence-is-nobodys-part", test_silence_is_nobodys_part);
    g_test_add_func("/mixer/contributors-are-named-loudest-first",
                    test_contributors_are_named_loudest_first);
    g_test_add_func("/mixer/talking-starts-fast-and-ends-slowly",
                    test_talking_starts_fast_and_ends_slowly);
    return g_test_run();
}
