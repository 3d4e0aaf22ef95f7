/* SPDX-License-Identifier: Apache-2.0 */
/* ua/g711.h - A-law and mu-law by the definition of ITU-T G.711
 *
 * The participant measures what the server's codec made of a tone, so it does not share that
 * codec: here it is worked out segment by segment. Pure.
 */
#pragma once

#include <glib.h>

guint8 clv_ua_alaw_encode(gint16 sample);
gint16 clv_ua_alaw_decode(guint8 code);
guint8 clv_ua_ulaw_encode(gint16 sample);
gint16 clv_ua_ulaw_decode(guint8 code);
