/* SPDX-License-Identifier: Apache-2.0 */
/* ua/meter.h - which tones are in the sound, and how loud?
 *
 * The sound is cut into blocks of 256 ms under a Hann window. Tones that are listened for are
 * measured at exactly their frequency (Goertzel), the strongest others are found in the mean
 * spectrum. Levels are those of a sine: a full-scale sine has 0 dBFS. Pure.
 */
#pragma once

#include <glib.h>

#define CLV_UA_METER_BLOCK 2048u    /* samples */
#define CLV_UA_METER_FLOOR (-120.0) /* dBFS: nothing */

typedef struct ClvUaMeter ClvUaMeter;

/**
 * ClvUaLevel:
 * @median_db: half of the time it was at least that loud
 * @p90_db: it was louder for a tenth of the time at most
 * @last_db: in the last block
 */
typedef struct ClvUaLevel {
    double hz;
    double median_db;
    double p90_db;
    double max_db;
    double last_db;
} ClvUaLevel;

typedef struct ClvUaPeak {
    double hz;
    double db;
} ClvUaPeak;

ClvUaMeter *clv_ua_meter_new(guint rate_hz, const double *hz, guint n_hz);
void clv_ua_meter_free(ClvUaMeter *meter); /* NULL allowed */
void clv_ua_meter_feed(ClvUaMeter *meter, const gint16 *samples, gsize n);
/* Forgets all that was heard */
void clv_ua_meter_reset(ClvUaMeter *meter);
guint clv_ua_meter_n_blocks(const ClvUaMeter *meter);
guint clv_ua_meter_n_levels(const ClvUaMeter *meter);
/* Everything is at CLV_UA_METER_FLOOR before the first whole block */
ClvUaLevel clv_ua_meter_level(const ClvUaMeter *meter, guint i);
/* The loudest peaks of the mean spectrum above -60 dBFS, loudest first.
 * Returns: how many, at most @room */
guint clv_ua_meter_peaks(const ClvUaMeter *meter, ClvUaPeak *out, guint room);
/* Level of everything together, as a sine of the same power */
double clv_ua_meter_total_db(const ClvUaMeter *meter);

/* Amplitude of @hz in one block under a Hann window, in dBFS */
double clv_ua_goertzel_db(const gint16 *samples, gsize n, guint rate_hz, double hz);
