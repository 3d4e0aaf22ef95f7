/* SPDX-License-Identifier: Apache-2.0 */
/* Is any run of octets a WAVE file whose samples lie within it, or refused with a reason? */
#include "config.h"

#include "media/wav.h"

#include <glib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    volatile int sum = 0;
    ClvWav wav;

    switch (clv_wav_read(data, size, &wav)) {
    case CLV_WAV_OK:
        g_assert(wav.format == 1 && wav.channels == 1 && wav.bits == 16 && wav.rate_hz == 8000);
        g_assert(wav.samples >= data && wav.n_samples > 0);
        g_assert(wav.n_samples <= (size_t)(data + size - wav.samples) / 2);
        for (size_t i = 0; i < wav.n_samples; i++)
            sum = sum + clv_wav_sample(&wav, i);
        break;
    case CLV_WAV_EMPTY:
        g_assert(wav.n_samples == 0);
        break;
    case CLV_WAV_OTHER:
    case CLV_WAV_NO_WAVE:
    case CLV_WAV_NO_FORMAT:
        break;
    }
    return 0;
}
