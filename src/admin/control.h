/* SPDX-License-Identifier: Apache-2.0 */
/* admin/control.h - the control socket: one line in, a verdict and lines out
 *
 * A Unix socket for conclavectl. A connection carries one command: "[json ]VERB [ARGUMENT]\n". The
 * answer is "ok\n" and a report, or "error SENTENCE\n"; then the server closes. The engine decides
 * nothing: it hands the command to the hub. Runs on the signalling thread.
 */
#pragma once

#include <glib.h>

#include "admin/report.h"
#include "sip/loop.h"

#define CLV_CONTROL_MAX_LINE 1024
#define CLV_CONTROL_MAX_ARGS 3

typedef enum ClvVerb {
    CLV_VERB_STATUS,
    CLV_VERB_LIST,
    CLV_VERB_SHOW, /* CONFERENCE */
    CLV_VERB_KICK, /* CONFERENCE WHO */
    CLV_VERB_END,  /* CONFERENCE */
    CLV_VERB_RELOAD,
    CLV_VERB_KMS,
    CLV_VERB_POLICY, /* "show" CONFERENCE, or "show" "factory" NAME */
    CLV_VERB_WHY,    /* USER CONFERENCE [OPERATION] */
    CLV_VERB_ADMIT,  /* CONFERENCE [WHO] */
    CLV_VERB_LOCK,   /* CONFERENCE */
    CLV_VERB_UNLOCK, /* CONFERENCE */
    CLV_N_VERBS
} ClvVerb;

typedef struct ClvCommand {
    ClvVerb verb;
    gboolean json;
    char *args[CLV_CONTROL_MAX_ARGS]; /* (nullable) each */
} ClvCommand;

#define CLV_CONTROL_ERROR (clv_control_error_quark())
GQuark clv_control_error_quark(void);

/* Pure; the line comes without its line end. Clear with clv_command_clear(). */
gboolean clv_command_parse(const char *line, gsize len, ClvCommand *out, GError **error);
void clv_command_clear(ClvCommand *command);

/* Fills the report, or says in a sentence why not. */
typedef gboolean (*ClvControlHandler)(const ClvCommand *command, ClvReport *report, void *user,
                                      GError **error);

typedef struct ClvControl ClvControl;

/* Makes the socket with mode 0660 (0600 without a group), replacing a dead one; a live one is an
 * error: another server uses it. */
ClvControl *clv_control_new(ClvLoop *loop, const char *path, const char *group,
                            ClvControlHandler handler, void *user, GError **error);
void clv_control_free(ClvControl *control); /* removes the socket; NULL allowed */
