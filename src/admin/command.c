/* SPDX-License-Identifier: Apache-2.0 */
/* admin/command.c - what may be asked of a running server, and in which words? Pure. */
#include "admin/command.h"

#include <string.h>

G_DEFINE_QUARK(clv_control_error, clv_control_error)

typedef struct VerbRow {
    const char *word;
    guint min_args, max_args;
    const char *usage;
} VerbRow;

static const VerbRow verbs[CLV_N_VERBS] = {
    [CLV_VERB_STATUS] = {"status", 0, 0, "status"},
    [CLV_VERB_LIST] = {"list", 0, 0, "list"},
    [CLV_VERB_SHOW] = {"show", 1, 1, "show CONFERENCE"},
    [CLV_VERB_KICK] = {"kick", 2, 2, "kick CONFERENCE WHO"},
    [CLV_VERB_END] = {"end", 1, 1, "end CONFERENCE"},
    [CLV_VERB_RELOAD] = {"reload", 0, 0, "reload"},
    [CLV_VERB_KMS] = {"kms", 0, 0, "kms"},
    [CLV_VERB_POLICY] = {"policy", 2, 3, "policy show CONFERENCE, or policy show factory NAME"},
    [CLV_VERB_WHY] = {"why", 2, 3, "why USER CONFERENCE [join|create|refer|remove|dial]"},
    [CLV_VERB_ADMIT] = {"admit", 1, 2, "admit CONFERENCE [WHO]"},
    [CLV_VERB_LOCK] = {"lock", 1, 1, "lock CONFERENCE"},
    [CLV_VERB_UNLOCK] = {"unlock", 1, 1, "unlock CONFERENCE"},
};

static gboolean
is_clean(const char *line, gsize len)
{
    for (gsize i = 0; i < len; i++) {
        if ((guchar)line[i] < 0x20 || line[i] == 0x7f)
            return FALSE;
    }
    return g_utf8_validate(line, (gssize)len, NULL);
}

static const VerbRow *
find_verb(const char *word, ClvVerb *out)
{
    for (guint i = 0; i < CLV_N_VERBS; i++) {
        if (strcmp(verbs[i].word, word) == 0) {
            *out = (ClvVerb)i;
            return &verbs[i];
        }
    }
    return NULL;
}

gboolean
clv_command_parse(const char *line, gsize len, ClvCommand *out, GError **error)
{
    g_autofree char *text = NULL;
    g_auto(GStrv) words = NULL;
    const VerbRow *row;
    ClvCommand command = {0};
    guint first = 0, n;

    if (len > CLV_CONTROL_MAX_LINE || !is_clean(line, len)) {
        g_set_error_literal(error, CLV_CONTROL_ERROR, 0,
                            "the command is too long or holds control characters");
        return FALSE;
    }
    text = g_strndup(line, len);
    words = g_strsplit(g_strstrip(text), " ", 8);
    n = g_strv_length(words);
    if (n > 0 && strcmp(words[0], "json") == 0) {
        command.json = TRUE;
        first = 1;
    }
    row = n > first ? find_verb(words[first], &command.verb) : NULL;
    if (row == NULL) {
        g_set_error(error, CLV_CONTROL_ERROR, 0, "unknown command '%s', see conclavectl --help",
                    n > first ? words[first] : "");
        return FALSE;
    }
    n -= first + 1;
    if (n < row->min_args || n > row->max_args) {
        g_set_error(error, CLV_CONTROL_ERROR, 0, "expected: %s", row->usage);
        return FALSE;
    }
    for (guint i = 0; i < n; i++)
        command.args[i] = g_strdup(words[first + 1 + i]);
    *out = command;
    return TRUE;
}

void
clv_command_clear(ClvCommand *command)
{
    for (guint i = 0; i < CLV_CONTROL_MAX_ARGS; i++)
        g_free(command->args[i]);
    memset(command, 0, sizeof *command);
}
