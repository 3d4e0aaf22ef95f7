/* SPDX-License-Identifier: Apache-2.0 */
/* media/plc.h - what to play when a frame is missing
 *
 * Pure. The last pitch period goes on, softer and softer, for 60 ms at most; what comes after is
 * faded into. Samples of 8 kHz.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CLV_PLC_HISTORY 320
#define CLV_PLC_MAX_PITCH 120

typedef struct ClvPlc {
    int16_t history[CLV_PLC_HISTORY];
    int16_t period[CLV_PLC_MAX_PITCH];
    uint32_t heard;   /* samples in the history, up to its size */
    uint32_t pitch;   /* length of the period */
    uint32_t phase;   /* where in the period we are */
    uint32_t missing; /* samples concealed in a row */
} ClvPlc;

void clv_plc_init(ClvPlc *plc);
/* A frame that arrived, at most CLV_PLC_HISTORY samples; its beginning may be faded in place. */
void clv_plc_good(ClvPlc *plc, int16_t *frame, size_t n);
/* Makes up n samples, as many as that at most. False: it is silence by now. */
bool clv_plc_conceal(ClvPlc *plc, int16_t *out, size_t n);
