/* SPDX-License-Identifier: Apache-2.0 */
/* base/nonce.h - is this the nonce of a challenge of ours, and since when?
 *
 * It says when it was made, and proves by a MAC that it was made with the key, so that nothing need
 * be kept for strangers. Pure but for its random octets.
 */
#pragma once

#include <glib.h>

#define CLV_NONCE_KEY 32u
#define CLV_NONCE_LEN 64u /* characters: time, random octets and MAC, in hexadecimal digits */

void clv_nonce_make(const guint8 key[CLV_NONCE_KEY], gint64 now_us, char out[CLV_NONCE_LEN + 1]);
gboolean clv_nonce_open(const guint8 key[CLV_NONCE_KEY], const char *text, gint64 *out_made_us);

/* @out: 2 * @len digits, in lower case, and NUL */
void clv_hex_write(const guint8 *octets, gsize len, char *out);
/* FALSE: not as many digits */
gboolean clv_hex_read(const char *text, guint8 *out, gsize len);
