/* SPDX-License-Identifier: Apache-2.0 */
/* Concealment: tones go on in tune, fade, and give way without a click. */
#include "media/plc.h"

#include <glib.h>
#include <math.h>
#include <stdlib.h>

#define N 160

static void
tone(int16_t *out, double hz, int frame)
{
    for (int i = 0; i < N; i++)
        out[i] = (int16_t)lrint(8000 * sin(2 * G_PI * hz * (frame * N + i) / 8000));
}

static double
loudness(const int16_t *s, int n)
{
    double sum = 0;

    for (int i = 0; i < n; i++)
        sum += (double)s[i] * s[i];
    return sqrt(sum / n);
}

static void
test_a_tone_goes_on_in_tune(void)
{
    static const double tones[] = {100, 150, 210, 333, 440, 1000};

    for (size_t t = 0; t < G_N_ELEMENTS(tones); t++) {
        int16_t frame[N], want[N], got[N], gap[N];
        ClvPlc plc;

        clv_plc_init(&plc);
        for (int f = 0; f < 5; f++) {
            tone(frame, tones[t], f);
            clv_plc_good(&plc, frame, N);
        }
        tone(want, tones[t], 5);
        g_assert_true(clv_plc_conceal(&plc, got, N));
        for (int i = 0; i < N; i++)
            gap[i] = (int16_t)(got[i] - want[i]);
        g_assert_cmpfloat(loudness(gap, 80), <, 0.25 * loudness(want, 80));
        g_assert_cmpint(abs(got[0] - frame[N - 1]), <, 6500); /* the steepest step at 1 kHz */
    }
}

static void
test_it_fades_to_silence(void)
{
    int16_t frame[N];
    double before, now;
    ClvPlc plc;

    clv_plc_init(&plc);
    for (int f = 0; f < 5; f++) {
        tone(frame, 200, f);
        clv_plc_good(&plc, frame, N);
    }
    before = loudness(frame, N);
    for (int f = 0; f < 3; f++) {
        g_assert_true(clv_plc_conceal(&plc, frame, N));
        now = loudness(frame, N);
        g_assert_cmpfloat(now, <, before);
        before = now;
    }
    g_assert_false(clv_plc_conceal(&plc, frame, N));
    g_assert_cmpfloat(loudness(frame, N), ==, 0);
}

static void
test_what_comes_back_fades_in(void)
{
    int16_t frame[N], last;
    ClvPlc plc;

    clv_plc_init(&plc);
    for (int f = 0; f < 5; f++) {
        tone(frame, 200, f);
        clv_plc_good(&plc, frame, N);
    }
    clv_plc_conceal(&plc, frame, N);
    last = frame[N - 1];
    tone(frame, 200, 100); /* anywhere */
    for (int i = 0; i < N; i++)
        frame[i] = (int16_t)(frame[i] + 12000); /* a step, if it were played as it is */
    clv_plc_good(&plc, frame, N);
    g_assert_cmpint(abs(frame[0] - last), <, 2500);
}

static void
test_nothing_heard_conceals_as_silence(void)
{
    int16_t frame[N];
    ClvPlc plc;

    clv_plc_init(&plc);
    g_assert_false(clv_plc_conceal(&plc, frame, N));
    g_assert_cmpfloat(loudness(frame, N), ==, 0);
}

static void
test_any_history_and_any_length_hold(void)
{
    g_autoptr(GRand) rand = g_rand_new_with_seed(4);
    ClvPlc plc;

    clv_plc_init(&plc);
    for (int turn = 0; turn < 20000; turn++) {
        int16_t frame[N];
        size_t n = (size_t)g_rand_int_range(rand, 1, N + 1);

        for (size_t i = 0; i < n; i++)
            frame[i] = (int16_t)(turn % 3 == 0 ? INT16_MIN : g_rand_int_range(rand, -32768, 32768));
        if (g_rand_int_range(rand, 0, 3) == 0)
            clv_plc_conceal(&plc, frame, n);
        else
            clv_plc_good(&plc, frame, n);
    }
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/plc/a-tone-goes-on-in-tune", test_a_tone_goes_on_in_tune);
    g_test_add_func("/plc/it-fades-to-silence", test_it_fades_to_silence);
    g_test_add_func("/plc/what-comes-back-fades-in", test_what_comes_back_fades_in);
    g_test_add_func("/plc/nothing-heard-conceals-as-silence",
                    test_nothing_heard_conceals_as_silence);
    g_test_add_func("/plc/any-history-and-any-length-hold", test_any_history_and_any_length_hold);
    return g_test_run();
}
