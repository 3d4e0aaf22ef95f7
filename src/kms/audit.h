/* SPDX-License-Identifier: Apache-2.0 */
/* kms/audit.h - who asked for what, and which rule decided; inside of the room
 *
 * A file that is only ever appended to, one JSON object in each line, no key in it. Thread safe.
 */
#pragma once

#include "kms/kms.h"

typedef struct ClvKmsAudit ClvKmsAudit;

/* Made when it is not there, mode 0600. Returns: (transfer full) (nullable) */
ClvKmsAudit *clv_kms_audit_open(const char *path, GError **error);
void clv_kms_audit_close(ClvKmsAudit *audit);
/* Returns: FALSE when the line is not in the file: it waits for clv_kms_audit_flush() or the next.
 */
gboolean clv_kms_audit_write(ClvKmsAudit *audit, const ClvKmsDecision *decision, const char *peer,
                             gint64 now_us, GError **error);
/* Returns: FALSE while lines wait that the disk cannot take */
gboolean clv_kms_audit_flush(ClvKmsAudit *audit, GError **error);
/* For lines that cost nothing to cause, and are better counted while so many wait */
gboolean clv_kms_audit_has_room(ClvKmsAudit *audit);
/* Goes on in a new file when the old one was moved away. */
gboolean clv_kms_audit_follow(ClvKmsAudit *audit, GError **error);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(ClvKmsAudit, clv_kms_audit_close)
