/* SPDX-License-Identifier: Apache-2.0 */
/* media/wav.h - where in these octets are the samples of a RIFF WAVE file, and are they ours
 *
 * Pure. Ours are 8000 Hz, 16 bit, one channel, linear.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CLV_WAV_EXPECTED "WAVE, linear, 8000 Hz, 16 bit, mono"

typedef struct ClvWav {
    uint16_t format; /* 1: linear */
    uint16_t channels, bits;
    uint32_t rate_hz;
    const uint8_t *samples; /* points into the octets: little endian, 16 bits each */
    size_t n_samples;
} ClvWav;

typedef enum ClvWavVerdict {
    CLV_WAV_OK,
    CLV_WAV_NO_WAVE,   /* no RIFF WAVE file, or one that ends early */
    CLV_WAV_NO_FORMAT, /* samples without a format before them */
    CLV_WAV_OTHER,     /* another format; out says which */
    CLV_WAV_EMPTY,
} ClvWavVerdict;

ClvWavVerdict clv_wav_read(const uint8_t *bytes, size_t len, ClvWav *out);

static inline int16_t
clv_wav_sample(const ClvWav *wav, size_t i)
{
    return (int16_t)(wav->samples[2 * i] | wav->samples[2 * i + 1] << 8);
}
