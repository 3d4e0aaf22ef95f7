/* SPDX-License-Identifier: Apache-2.0 */
/* admin/control.h - the control socket: one line in, a verdict and lines out
 *
 * A Unix socket for conclavectl. A connection carries one command: "[json ]VERB [ARGUMENT]\n". The
 * answer is "ok\n" and a report, or "error SENTENCE\n"; then the server closes. The engine decides
 * nothing: it hands the command to the hub. Runs on the signalling thread.
 */
#pragma once

#include <glib.h>

#include "admin/command.h"
#include "admin/report.h"
#include "sip/loop.h"

/* Fills the report, or says in a sentence why not. */
typedef gboolean (*ClvControlHandler)(const ClvCommand *command, ClvReport *report, void *user,
                                      GError **error);

typedef struct ClvControl ClvControl;

/* Makes the socket with mode 0660 (0600 without a group), replacing a dead one; a live one is an
 * error: another server uses it. */
ClvControl *clv_control_new(ClvLoop *loop, const char *path, const char *group,
                            ClvControlHandler handler, void *user, GError **error);
void clv_control_free(ClvControl *control); /* removes the socket; NULL allowed */
