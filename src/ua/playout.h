/* SPDX-License-Identifier: Apache-2.0 */
/* ua/playout.h - samples put down where their timestamp says, taken up at an even pace
 *
 * A window of one second of sound around the reading point; it begins 60 ms behind the first
 * packet. What is not there in time is silence and is counted. Packets of any length fit. Pure.
 */
#pragma once

#include <glib.h>

#define CLV_UA_PLAYOUT_DELAY 480u /* samples */

typedef struct ClvUaPlayout ClvUaPlayout;

ClvUaPlayout *clv_ua_playout_new(void);
void clv_ua_playout_free(ClvUaPlayout *playout); /* NULL allowed */
/* @restart: the stream is a new one, or has been silent: its timestamps say nothing yet.
 * FALSE: too late to be heard */
gboolean clv_ua_playout_put(ClvUaPlayout *playout, guint32 timestamp, gboolean restart,
                            const gint16 *samples, gsize n);
/* Returns: how many of the @n samples had to be silence though a stream has begun */
gsize clv_ua_playout_take(ClvUaPlayout *playout, gint16 *out, gsize n);
gboolean clv_ua_playout_has_begun(const ClvUaPlayout *playout);
