/* SPDX-License-Identifier: Apache-2.0 */
/* media/plc.c - packet loss concealment: repeat the pitch period, then let go of it */
#include "media/plc.h"

#include <string.h>

#define HISTORY CLV_PLC_HISTORY
#define MIN_PITCH 40 /* 200 Hz; higher voices repeat several periods at once */
#define TEMPLATE 160 /* how much must look alike, 20 ms */
#define FULL 80      /* at full strength for 10 ms, */
#define GONE 480     /* silent after 60 */
#define FADE_IN 32   /* 4 ms, and as much again for each 10 ms that were missing */
#define FADE_IN_MAX 80
#define LOUD 1023 /* samples of the search fit into ten bits, their sums into 32 */

void
clv_plc_init(ClvPlc *plc)
{
    *plc = (ClvPlc){0};
}

static void
remember(ClvPlc *plc, const int16_t *samples, size_t n)
{
    memmove(plc->history, plc->history + n, (HISTORY - n) * sizeof plc->history[0]);
    memcpy(plc->history + HISTORY - n, samples, n * sizeof samples[0]);
    plc->heard = plc->heard + n < HISTORY ? plc->heard + (uint32_t)n : HISTORY;
}

static void
scale_down(const int16_t *restrict in, int16_t *restrict out)
{
    int peak = 0, shift = 0;

    for (size_t i = 0; i < HISTORY; i++) {
        int size = in[i] < 0 ? -in[i] : in[i];

        peak = size > peak ? size : peak;
    }
    while (peak >> shift > LOUD)
        shift++;
    for (size_t i = 0; i < HISTORY; i++)
        out[i] = (int16_t)(in[i] >> shift);
}

static int32_t
product(const int16_t *restrict a, const int16_t *restrict b)
{
    int32_t sum = 0;

    for (size_t i = 0; i < TEMPLATE; i++)
        sum += a[i] * b[i];
    return sum;
}

/* The lag at which the last 20 ms look most like what was before them. */
static uint32_t
find_pitch(const ClvPlc *plc)
{
    int16_t small[HISTORY];
    const int16_t *end = small + HISTORY - TEMPLATE;
    uint32_t best = CLV_PLC_MAX_PITCH;
    double best_score = 0;

    scale_down(plc->history, small);
    for (uint32_t lag = MIN_PITCH; lag <= CLV_PLC_MAX_PITCH; lag++) {
        double alike = product(end, end - lag);
        double energy = 1.0 + product(end - lag, end - lag);
        double score = alike > 0 ? alike * alike / energy : 0;

        if (score > best_score) {
            best_score = score;
            best = lag;
        }
    }
    return best;
}

/* The last period, its end bent towards what came before its beginning: it closes on itself. */
static void
make_period(ClvPlc *plc)
{
    const int16_t *end = plc->history + HISTORY;
    int32_t bend;

    plc->pitch = find_pitch(plc);
    plc->phase = 0;
    bend = (int32_t)plc->pitch / 4;
    memcpy(plc->period, end - plc->pitch, plc->pitch * sizeof plc->period[0]);
    for (int32_t i = 0; i < bend; i++) {
        int32_t at = (int32_t)plc->pitch - bend + i;
        int32_t before = end[-2 * (int32_t)plc->pitch + at];

        plc->period[at] = (int16_t)((plc->period[at] * (bend - i) + before * i) / bend);
    }
}

static int16_t
next_sample(ClvPlc *plc)
{
    int32_t sample = plc->period[plc->phase];
    int32_t at = (int32_t)plc->missing;

    plc->phase = plc->phase + 1 < plc->pitch ? plc->phase + 1 : 0;
    plc->missing++;
    if (at >= GONE)
        return 0;
    if (at >= FULL)
        sample = sample * (GONE - at) / (GONE - FULL);
    return (int16_t)sample;
}

bool
clv_plc_conceal(ClvPlc *plc, int16_t *out, size_t n)
{
    if (plc->heard < HISTORY || plc->missing >= GONE) {
        memset(out, 0, n * sizeof out[0]);
        plc->heard = 0; /* what is remembered from before a long gap is of no use after it */
        return false;
    }
    if (plc->missing == 0)
        make_period(plc);
    for (size_t i = 0; i < n; i++)
        out[i] = next_sample(plc);
    remember(plc, out, n);
    return true;
}

static void
fade_in(ClvPlc *plc, int16_t *frame, size_t n)
{
    uint32_t len = FADE_IN + plc->missing / FULL * FADE_IN;

    if (len > FADE_IN_MAX)
        len = FADE_IN_MAX;
    if (len > n)
        len = (uint32_t)n;
    for (uint32_t i = 0; i < len; i++) {
        int32_t old = next_sample(plc) * (int32_t)(len - i);

        frame[i] = (int16_t)((frame[i] * (int32_t)i + old) / (int32_t)len);
    }
}

void
clv_plc_good(ClvPlc *plc, int16_t *frame, size_t n)
{
    if (plc->missing > 0 && plc->missing < GONE && plc->heard == HISTORY)
        fade_in(plc, frame, n);
    plc->missing = 0;
    remember(plc, frame, n);
}
