/* SPDX-License-Identifier: Apache-2.0 */
/* media/mixer.h - one tick of one conference: sum, minus own, clamp
 *
 * Pure. A listener's mix is the sum of all who talk, less his own part exactly, clamped and never
 * wrapped. Whoever contributes nothing hears the same as all the others who do not: that mix is
 * encoded once for each law.
 */
#pragma once

#include "media/g711.h"
#include "media/rtp.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CLV_MIX_SAMPLES 160
#define CLV_MIX_MAX_MEMBERS 65535 /* so that 16-bit samples cannot overflow a 32-bit sum */

typedef struct ClvMix {
    int32_t sum[CLV_MIX_SAMPLES];
    unsigned n_parts;
    unsigned n_loudest;
    struct {
        uint32_t ssrc;
        uint32_t power;
    } loudest[CLV_RTP_MAX_CSRCS + 1]; /* one more than fits, as nobody is told of himself */
    bool shared_ready[CLV_N_G711_LAWS];
    uint8_t shared[CLV_N_G711_LAWS][CLV_MIX_SAMPLES];
    unsigned n_encoded; /* how often a mix was encoded: for tests and figures */
} ClvMix;

/* Sum of the squares, divided by 256; 0 also when there is nothing but the codec's idle noise. */
uint32_t clv_mix_power(const int16_t samples[CLV_MIX_SAMPLES]);

void clv_mix_begin(ClvMix *mix);
/* A part with power 0 is left out. Returns whether it went in. */
bool clv_mix_add(ClvMix *mix, const int16_t samples[CLV_MIX_SAMPLES], uint32_t ssrc,
                 uint32_t power);
/* The mix without own (NULL: who contributed nothing). Returns: (transfer none): the code, in
 * room or in the mix. */
const uint8_t *clv_mix_encode(ClvMix *mix, const int16_t *own, ClvG711Law law,
                              uint8_t room[CLV_MIX_SAMPLES]);
/* The linear mix. */
void clv_mix_without(const ClvMix *mix, const int16_t *own, int16_t out[CLV_MIX_SAMPLES]);
/* Contributors but own_ssrc, loudest first. Returns how many. */
unsigned clv_mix_csrcs(const ClvMix *mix, uint32_t own_ssrc, uint32_t out[CLV_RTP_MAX_CSRCS]);

/* ---- is somebody talking? ------------------------------------------------------------------ */

typedef struct ClvTalk {
    uint32_t floor; /* power of the background */
    uint16_t up;    /* loud frames of late */
    uint16_t hang;  /* frames until silence is believed */
    bool talking;
} ClvTalk;

void clv_talk_init(ClvTalk *talk);
/* Once per frame; returns true when talking has changed. */
bool clv_talk_step(ClvTalk *talk, uint32_t power);
