/* SPDX-License-Identifier: Apache-2.0 */
/* ua/dialog-id.h - the name of a dialog, as it is reported and as headers want it; pure */
#pragma once

#include <glib.h>

/* "callid;local-tag=L;remote-tag=R", as whom it is sent to sees it */
char *clv_ua_dialog_format(const char *call_id, const char *theirs, const char *ours);
/* A header line that names @dialog with to-tag and from-tag (RFC 3891, 3911): what is local to the
 * other side is its to-tag. Text that is not of the form above goes out as it is. */
void clv_ua_append_dialog(GString *lines, const char *header, const char *dialog);
