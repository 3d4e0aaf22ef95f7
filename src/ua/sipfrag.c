/* SPDX-License-Identifier: Apache-2.0 */
/* ua/sipfrag.c - one status line */
#include "ua/sipfrag.h"

#include <string.h>

#define VERSION "SIP/2.0 "
#define MAX_PHRASE 200u

gboolean
clv_ua_sipfrag_parse(const char *text, gsize len, guint *out_status, char **out_phrase)
{
    gsize version = sizeof VERSION - 1, at = version, end;
    guint status = 0;

    if (len < version + 3 || g_ascii_strncasecmp(text, VERSION, version) != 0)
        return FALSE;
    for (; at < version + 3; at++) {
        if (!g_ascii_isdigit(text[at]))
            return FALSE;
        status = 10 * status + (guint)(text[at] - '0');
    }
    if (status < 100 || status > 699)
        return FALSE;
    if (at < len && text[at] == ' ')
        at++;
    else if (at < len && text[at] != '\r' && text[at] != '\n')
        return FALSE;
    for (end = at; end < len && end - at < MAX_PHRASE; end++)
        if (text[end] == '\r' || text[end] == '\n' || text[end] == '\0')
            break;
    *out_status = status;
    *out_phrase = g_strndup(text + at, end - at);
    return TRUE;
}

char *
clv_ua_sipfrag_format(guint status, const char *phrase)
{
    return g_strdup_printf(VERSION "%u %s\r\n", status, phrase != NULL ? phrase : "");
}
