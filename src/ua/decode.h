/* SPDX-License-Identifier: Apache-2.0 */
/* ua/decode.h - the MIKEY messages in whatever text somebody has at hand
 *
 * SDP, a SIP message, a log with a=key-mgmt lines in it, bare base64, or raw octets.
 */
#pragma once

#include <glib.h>
#include <stdio.h>

/* Gets each message that was found, in order; @octets are those of the message */
typedef void (*ClvUaDecodeFunc)(const guint8 *octets, gsize len, gsize at, void *user);

/* Returns: how many messages were found; @at of a message is where it stood in the text */
guint clv_ua_decode_find(const char *text, gsize len, ClvUaDecodeFunc found, void *user);

/* Prints everything found in @text. Returns: FALSE when nothing was, or one of them is broken */
gboolean clv_ua_decode(const char *text, gsize len, gboolean json, FILE *out);
