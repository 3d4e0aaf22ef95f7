/* SPDX-License-Identifier: Apache-2.0 */
/* kms/roster.h - which conferences has their server announced? inside of the room
 *
 * Each with an end. With a file it survives a restart: one line for each change, written through
 * before it counts, and replaced in one step when most of it is over. Thread safe; no clock.
 */
#pragma once

#include <glib.h>

#define CLV_KMS_ROSTER_MAX 65536u /* of one service */

typedef struct ClvKmsRoster ClvKmsRoster;

ClvKmsRoster *clv_kms_roster_new(void);
void clv_kms_roster_free(ClvKmsRoster *roster);
/* Takes what @folder keeps, and keeps in it from now on. A damaged file is an error. */
gboolean clv_kms_roster_open(ClvKmsRoster *roster, const char *folder, gint64 now_us,
                             GError **error);
/* FALSE: not kept, and so not done. A withdrawal is in force all the same. */
gboolean clv_kms_roster_add(ClvKmsRoster *roster, const char *service, const char *conference,
                            gint64 now_us, gint64 expires_us, GError **error);
gboolean clv_kms_roster_remove(ClvKmsRoster *roster, const char *service, const char *conference,
                               gint64 now_us, GError **error);
gboolean clv_kms_roster_has(ClvKmsRoster *roster, const char *service, const char *conference,
                            gint64 now_us);
guint clv_kms_roster_size(ClvKmsRoster *roster);
