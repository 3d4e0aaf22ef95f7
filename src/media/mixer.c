/* SPDX-License-Identifier: Apache-2.0 */
/* media/mixer.c - the sum and its parts; loops of fixed length that compilers turn into vectors */
#include "media/mixer.h"

#include <string.h>

#define N CLV_MIX_SAMPLES
#define IDLE 8         /* A-law has no zero: its idle code is a sample of 8 */
#define FLOOR_MIN 64   /* about -69 dBov */
#define TALK_FACTOR 8  /* 9 dB above the background */
#define TALK_MIN 20000 /* about -45 dBov */
#define TALK_UP 3      /* frames */
#define TALK_HANG 25

uint32_t
clv_mix_power(const int16_t samples[N])
{
    uint32_t power = 0;
    int peak = 0;

    for (size_t i = 0; i < N; i++) {
        int s = samples[i];

        power += (uint32_t)(s * s) >> 8;
        peak |= s < 0 ? -s : s;
    }
    if (peak <= IDLE)
        return 0;
    return power > 0 ? power : 1;
}

void
clv_mix_begin(ClvMix *mix)
{
    memset(mix->sum, 0, sizeof mix->sum);
    mix->n_parts = mix->n_loudest = mix->n_encoded = 0;
    mix->shared_ready[CLV_G711_ULAW] = mix->shared_ready[CLV_G711_ALAW] = false;
}

/* Keeps the list sorted; it is short, and most parts are weaker than its last. */
static void
rank(ClvMix *mix, uint32_t ssrc, uint32_t power)
{
    const unsigned room = CLV_RTP_MAX_CSRCS + 1;
    unsigned at;

    if (mix->n_loudest == room && mix->loudest[room - 1].power >= power)
        return;
    at = mix->n_loudest < room ? mix->n_loudest++ : room - 1;
    for (; at > 0 && mix->loudest[at - 1].power < power; at--)
        mix->loudest[at] = mix->loudest[at - 1];
    mix->loudest[at].ssrc = ssrc;
    mix->loudest[at].power = power;
}

static void
add(int32_t *restrict sum, const int16_t *restrict samples)
{
    for (size_t i = 0; i < N; i++)
        sum[i] += samples[i];
}

bool
clv_mix_add(ClvMix *mix, const int16_t samples[N], uint32_t ssrc, uint32_t power)
{
    if (power == 0 || mix->n_parts >= CLV_MIX_MAX_MEMBERS)
        return false;
    add(mix->sum, samples);
    rank(mix, ssrc, power);
    mix->n_parts++;
    return true;
}

static int16_t
clamp(int32_t v)
{
    v = v > INT16_MAX ? INT16_MAX : v;
    return (int16_t)(v < INT16_MIN ? INT16_MIN : v);
}

static void
subtract(const int32_t *restrict sum, const int16_t *restrict own, int16_t *restrict out)
{
    for (size_t i = 0; i < N; i++)
        out[i] = clamp(sum[i] - own[i]);
}

static void
narrow(const int32_t *restrict sum, int16_t *restrict out)
{
    for (size_t i = 0; i < N; i++)
        out[i] = clamp(sum[i]);
}

void
clv_mix_without(const ClvMix *mix, const int16_t *own, int16_t out[N])
{
    if (own != NULL)
        subtract(mix->sum, own, out);
    else
        narrow(mix->sum, out);
}

const uint8_t *
clv_mix_encode(ClvMix *mix, const int16_t *own, ClvG711Law law, uint8_t room[N])
{
    int16_t linear[N];
    uint8_t *code = own != NULL ? room : mix->shared[law];

    if (own == NULL && mix->shared_ready[law])
        return code;
    if (mix->n_parts == 0 || (own != NULL && mix->n_parts == 1)) {
        memset(code, clv_g711_silence(law), N); /* nobody else: the idle code, not a sum of zeros */
    } else {
        clv_mix_without(mix, own, linear);
        clv_g711_encode(law, linear, code, N);
        mix->n_encoded++;
    }
    if (own == NULL)
        mix->shared_ready[law] = true;
    return code;
}

unsigned
clv_mix_csrcs(const ClvMix *mix, uint32_t own_ssrc, uint32_t out[CLV_RTP_MAX_CSRCS])
{
    unsigned n = 0;

    for (unsigned i = 0; i < mix->n_loudest && n < CLV_RTP_MAX_CSRCS; i++) {
        if (mix->loudest[i].ssrc != own_ssrc)
            out[n++] = mix->loudest[i].ssrc;
    }
    return n;
}

/* ---- talking ------------------------------------------------------------------------------ */

void
clv_talk_init(ClvTalk *talk)
{
    *talk = (ClvTalk){.floor = FLOOR_MIN};
}

/* The background follows downwards at once and upwards slowly, in some ten seconds. */
static void
follow_floor(ClvTalk *talk, uint32_t power)
{
    if (power < talk->floor)
        talk->floor = power < FLOOR_MIN ? FLOOR_MIN : power;
    else if (!talk->talking)
        talk->floor += 1 + talk->floor / 128;
}

bool
clv_talk_step(ClvTalk *talk, uint32_t power)
{
    bool loud = power > TALK_MIN && power / TALK_FACTOR > talk->floor;
    bool before = talk->talking;

    follow_floor(talk, power);
    talk->up = loud ? (uint16_t)(talk->up < TALK_UP ? talk->up + 1 : TALK_UP) : 0;
    if (talk->up == TALK_UP) {
        talk->talking = true;
        talk->hang = TALK_HANG;
    } else if (talk->hang > 0) {
        talk->hang--;
    } else {
        talk->talking = false;
    }
    return talk->talking != before;
}
