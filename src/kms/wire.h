/* SPDX-License-Identifier: Apache-2.0 */
/* kms/wire.h - how a MIKEY message travels in HTTP; what client and server must agree on
 *
 * Inside of the room. Pure.
 */
#pragma once

#include "kms/kms.h"

#define CLV_KMS_MIME_TYPE "application/mikey"
/* base64 of the longest MIKEY message, with room for line ends */
#define CLV_KMS_MAX_BODY (96u * 1024u)

/* Is this Content-Type (NULL allowed) that of a MIKEY message, whatever its parameters? */
gboolean clv_kms_type_is_mikey(const char *content_type);

/* "ticketrequest", "ticketresolve": value of requesttype= */
const char *clv_kms_request_type(ClvKmsRequest request);
/* @text: (nullable) */
gboolean clv_kms_request_type_parse(const char *text, ClvKmsRequest *out_request);

/**
 * clv_kms_body_decode:
 * @out_binary: (nullable): the body was raw octets, not base64
 *
 * Raw octets start with version 1, base64 of the same with an "A". White space may stand around
 * base64.
 *
 * Returns: (transfer full) (nullable): octets that start with version 1; NULL for anything else
 */
GByteArray *clv_kms_body_decode(const guint8 *body, gsize len, gboolean *out_binary);
