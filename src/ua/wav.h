/* SPDX-License-Identifier: Apache-2.0 */
/* ua/wav.h - sound files in and out: RIFF/WAVE with 16-bit PCM
 *
 * Reading mixes all channels into one and resamples; writing is mono. A recording is readable at
 * any moment, also when its writer was killed: the header is brought up to date once a second.
 */
#pragma once

#include <glib.h>

#define CLV_UA_WAV_ERROR (clv_ua_wav_error_quark())
GQuark clv_ua_wav_error_quark(void);

#define CLV_UA_WAV_MAX_BYTES (256u << 20)

/**
 * clv_ua_wav_read:
 * @rate_hz: what is wanted; the file may have another one
 * @out_n: samples
 *
 * Returns: (transfer full) (array length=out_n) (nullable): g_free() it
 */
gint16 *clv_ua_wav_read(const char *path, guint rate_hz, gsize *out_n, GError **error);

typedef struct ClvUaWavWriter ClvUaWavWriter;

ClvUaWavWriter *clv_ua_wav_create(const char *path, guint rate_hz, GError **error);
void clv_ua_wav_write(ClvUaWavWriter *wav, const gint16 *samples, gsize n);
/* Completes the header. FALSE when something could not be written, then or earlier; the writer is
 * gone in any case. NULL allowed. */
gboolean clv_ua_wav_close(ClvUaWavWriter *wav, GError **error);
