/* SPDX-License-Identifier: Apache-2.0 */
/* ua/sipfrag.h - what a NOTIFY tells about a REFER (RFC 3420, RFC 3515); pure */
#pragma once

#include <glib.h>

/**
 * clv_ua_sipfrag_parse:
 * @text: body of type message/sipfrag; only its status line is read
 * @out_phrase: (transfer full): what stands after the status, maybe ""
 *
 * FALSE: it does not begin with the status line of a SIP answer.
 */
gboolean clv_ua_sipfrag_parse(const char *text, gsize len, guint *out_status, char **out_phrase);
/* "SIP/2.0 200 OK\r\n". Returns: (transfer full) */
char *clv_ua_sipfrag_format(guint status, const char *phrase);
