/* SPDX-License-Identifier: Apache-2.0 */
/* admin/command.h - the words that a running server is asked in; known to it and to conclavectl */
#pragma once

#include <glib.h>

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
