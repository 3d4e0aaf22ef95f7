/* SPDX-License-Identifier: Apache-2.0 */
/* kms/keeper.h - what the KMS must not forget when it stops; inside of the room
 *
 * A folder with the ticket protection keys (replaced in one step) and a journal of the messages
 * that were taken (appended to). A folder that is damaged is never taken for an empty one. One
 * process at a time; thread safe.
 */
#pragma once

#include "kms/tpk.h"

typedef struct ClvKmsKeeper ClvKmsKeeper;

/* Makes the folder when it is not there (mode 0700). @skew_s: largest difference of clocks.
 * Returns: (transfer full) (nullable) */
ClvKmsKeeper *clv_kms_keeper_open(const char *folder, gint64 skew_s, gint64 now_us, GError **error);
void clv_kms_keeper_close(ClvKmsKeeper *keeper);

/* (transfer none): as they were when it was opened; empty the first time */
const ClvKmsTpks *clv_kms_keeper_tpks(const ClvKmsKeeper *keeper);
gboolean clv_kms_keeper_save_tpks(ClvKmsKeeper *keeper, const ClvKmsTpks *tpks, GError **error);

/* Messages made before this may have been taken without our knowing: refuse them. 0: none */
gint64 clv_kms_keeper_not_before_us(const ClvKmsKeeper *keeper);
/* Calls @each with what was taken before and is not over yet. */
gboolean clv_kms_keeper_recall(ClvKmsKeeper *keeper, gint64 now_us,
                               void (*each)(const guint8 *digest, gint64 expires_us, void *user),
                               void *user, GError **error);
/* FALSE: it is not written, and the message must be refused. */
gboolean clv_kms_keeper_remember(ClvKmsKeeper *keeper, const guint8 *digest, gint64 expires_us,
                                 GError **error);
/* Once a second or so: to the disk, and shorter when most of it is over. */
gboolean clv_kms_keeper_tend(ClvKmsKeeper *keeper, gint64 now_us, GError **error);

/* For an operator whose folder is damaged. @what: "replay" or "tpks"; the old file is kept beside
 * with ".damaged". A new journal refuses what could have been taken before. */
gboolean clv_kms_keeper_reset(const char *folder, const char *what, gint64 skew_s, gint64 now_us,
                              GError **error);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(ClvKmsKeeper, clv_kms_keeper_close)
