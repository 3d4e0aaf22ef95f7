/* SPDX-License-Identifier: Apache-2.0 */
/* sip/answerer.c - does a history say that somebody else than whom we called will answer? (RFC
 * 7044)
 *
 * Entries are taken one at a time from the text. Ours is the first; one that a proxy marks as
 * "np" went on to the same target. Anything else means that the target has changed.
 */
#include "config.h"

#include "sip/sip-private.h"

#include <string.h>

#define MAX_HISTORY 8192

/* Where the entry ends: a comma outside of quotes and angle brackets, or the end. */
static gsize
entry_length(const char *text, gsize len)
{
    gboolean quoted = FALSE, bracketed = FALSE;

    for (gsize i = 0; i < len; i++) {
        if (quoted && text[i] == '\\')
            i++;
        else if (text[i] == '"' && !bracketed)
            quoted = !quoted;
        else if (!quoted && (text[i] == '<' || text[i] == '>'))
            bracketed = text[i] == '<';
        else if (text[i] == ',' && !quoted && !bracketed)
            return i;
    }
    return len;
}

static gboolean
has_parameter(const char *params, const char *name)
{
    gsize len = strlen(name);

    for (const char *p = strchr(params, ';'); p != NULL; p = strchr(p + 1, ';')) {
        const char *start = p + 1 + strspn(p + 1, " \t");

        if (strncmp(start, name, len) == 0 && strchr("=; \t", start[len]) != NULL)
            return TRUE;
    }
    return FALSE;
}

static gboolean
entry_is_diversion(const char *text, gsize len, gboolean first)
{
    g_autofree char *entry = g_ascii_strdown(text, (gssize)len);
    const char *params = strrchr(entry, '>');

    params = params != NULL ? params : entry;
    if (strstr(entry, "cause=") != NULL || strstr(entry, "cause%3d") != NULL ||
        has_parameter(params, "rc") || has_parameter(params, "mp"))
        return TRUE;
    return !first && !has_parameter(params, "np");
}

gboolean
clv_history_is_diverted(const char *value)
{
    gsize len = strlen(value);
    gboolean first = TRUE;

    if (len > MAX_HISTORY)
        return TRUE;
    while (len > 0) {
        gsize n = entry_length(value, len);

        if (n > strspn(value, " \t") && entry_is_diversion(value, n, first))
            return TRUE;
        first = first && n <= strspn(value, " \t");
        n = MIN(n + 1, len);
        value += n;
        len -= n;
    }
    return FALSE;
}
