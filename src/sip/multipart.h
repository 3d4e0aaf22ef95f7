/* SPDX-License-Identifier: Apache-2.0 */
/* sip/multipart.h - a body of several parts, cut by its boundary (RFC 2046)
 *
 * Pure and bounded: nothing is copied but the few words of each part's head. Of this room, and of conclave-ua.
 */
#pragma once

#include <glib.h>

#define CLV_MULTIPART_MAX_PARTS 16

typedef struct ClvPart {
    char type[64];        /* lower case, without parameters; "text/plain" when there was none */
    char disposition[40]; /* lower case, without parameters; "" none */
    gboolean optional;    /* handling=optional */
    gboolean base64;      /* Content-Transfer-Encoding */
    const char *body;
    gsize len;
} ClvPart;

/* boundary: value of the parameter, perhaps in quotes. FALSE: no boundary, no end, too many parts
 * or heads that cannot be read. */
gboolean clv_multipart_split(const char *boundary, const char *body, gsize len,
                             ClvPart parts[CLV_MULTIPART_MAX_PARTS], guint *out_n);
/* One header line of a part, "Name: value", without its end. */
void clv_part_read_line(ClvPart *part, const char *line, gsize len);
