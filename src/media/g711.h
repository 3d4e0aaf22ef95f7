/* SPDX-License-Identifier: Apache-2.0 */
/* media/g711.h - A-law and mu-law to linear samples and back (ITU-T G.711)
 *
 * Pure. Samples are 16 bits with the codec's 13 or 14 bits on top. Tables are made once, by
 * clv_g711_init(), before any thread asks.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

typedef enum ClvG711Law {
    CLV_G711_ULAW, /* PCMU, static payload type 0 */
    CLV_G711_ALAW, /* PCMA, static payload type 8 */
    CLV_N_G711_LAWS
} ClvG711Law;

void clv_g711_init(void); /* again does no harm, at the same time does */
void clv_g711_decode(ClvG711Law law, const uint8_t *restrict code, int16_t *restrict out, size_t n);
void clv_g711_encode(ClvG711Law law, const int16_t *restrict in, uint8_t *restrict out, size_t n);
/* The code of silence: what a listener of nobody hears. */
uint8_t clv_g711_silence(ClvG711Law law);
