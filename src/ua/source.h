/* SPDX-License-Identifier: Apache-2.0 */
/* ua/source.h - what a participant says: tones, a sound file over and over, or silence
 *
 * Pure.
 */
#pragma once

#include <glib.h>

typedef struct ClvUaSource ClvUaSource;

/* A sine; @dbfs is its level, 0 for full scale */
typedef struct ClvUaTone {
    double hz;
    double dbfs;
} ClvUaTone;

ClvUaSource *clv_ua_source_tones(const ClvUaTone *tones, guint n_tones, guint rate_hz);
/* @samples: (transfer full) */
ClvUaSource *clv_ua_source_samples(gint16 *samples, gsize n);
ClvUaSource *clv_ua_source_silence(void);
void clv_ua_source_free(ClvUaSource *source); /* NULL allowed */
void clv_ua_source_read(ClvUaSource *source, gint16 *out, gsize n);
