/* SPDX-License-Identifier: Apache-2.0 */
/* sdes/crypto-line.h - what does this a=crypto value say, and can we do it? (RFC 4568)
 *
 * Pure and bounded; key octets go into the caller's structure and nowhere else.
 */
#pragma once

#include "keymgmt/keymgmt.h"

/* One a=crypto value that we can do. Holds a key: clear @keys with clv_srtp_keys_clear(). */
typedef struct SdesLine {
    guint32 tag;
    const char *suite_name; /* static; in the offerer's spelling */
    ClvSrtpKeys keys;       /* the first key of the line */
    gboolean padded;        /* its base64 ended in "=", or had no need to */
} SdesLine;

/* Fails when the value does not begin with a tag; a line that we cannot use still has one. */
gboolean clv_sdes_line_tag(const char *value, guint32 *out_tag);

/**
 * clv_sdes_line_parse:
 * @value: what stands after "crypto:", such as "1 AES_CM_128_HMAC_SHA1_80 inline:..."
 *
 * Returns: %FALSE with a sentence why the line must be passed over; no key is in the sentence, and
 *   @out_line is untouched
 */
gboolean clv_sdes_line_parse(const char *value, SdesLine *out_line, GError **error);

#define SDES_MAX_LINE 192 /* octets of a line that we write, with the zero */

/* Writes the answer's value: tag and suite of @line with the key of @tx. */
void clv_sdes_line_format(const SdesLine *line, const ClvSrtpKeys *tx, char out[SDES_MAX_LINE]);

/* As RFC 4568 and its successors spell it. */
const char *clv_sdes_suite_name(ClvSrtpSuite suite);
/* Octets of master key and master salt. */
gsize clv_sdes_key_len(ClvSrtpSuite suite);
gsize clv_sdes_salt_len(ClvSrtpSuite suite);
