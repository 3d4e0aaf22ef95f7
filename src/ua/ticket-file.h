/* SPDX-License-Identifier: Apache-2.0 */
/* ua/ticket-file.h - a ticket and its keys on disk, for calls to come
 *
 * The file holds keys: it is written with mode 0600 and read only with a mode like that.
 */
#pragma once

#include <glib.h>
#include <libmikey/mikey.h>

#define CLV_UA_TICKET_ERROR (clv_ua_ticket_error_quark())
GQuark clv_ua_ticket_error_quark(void);

gboolean clv_ua_ticket_write(const char *path, const MikeyGrant *grant, GError **error);
/* Returns: (transfer full) (nullable): mikey_grant_free() it */
MikeyGrant *clv_ua_ticket_read(const char *path, GError **error);
