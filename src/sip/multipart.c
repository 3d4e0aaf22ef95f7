/* SPDX-License-Identifier: Apache-2.0 */
/* sip/multipart.c - a body of several parts, cut by its boundary (RFC 2046) */
#include "config.h"

#include "sip/multipart.h"

#include <string.h>

#define MAX_BOUNDARY 70

typedef struct Text {
    const char *p, *end;
} Text;

/* The next line without its CRLF; FALSE at the end. */
static gboolean
next_line(Text *text, const char **out, gsize *out_len)
{
    const char *eol;

    if (text->p >= text->end)
        return FALSE;
    eol = memchr(text->p, '\n', (gsize)(text->end - text->p));
    *out = text->p;
    *out_len = (gsize)((eol != NULL ? eol : text->end) - text->p);
    text->p = eol != NULL ? eol + 1 : text->end;
    if (*out_len > 0 && (*out)[*out_len - 1] == '\r')
        (*out_len)--;
    return TRUE;
}

static gboolean
is_blank(const char *p, gsize len)
{
    for (gsize i = 0; i < len; i++) {
        if (p[i] != ' ' && p[i] != '\t')
            return FALSE;
    }
    return TRUE;
}

typedef enum Mark { MARK_NONE, MARK_NEXT, MARK_END } Mark;

static Mark
mark_of(const char *line, gsize len, const char *boundary, gsize n)
{
    if (len < n + 2 || line[0] != '-' || line[1] != '-' || memcmp(line + 2, boundary, n) != 0)
        return MARK_NONE;
    line += n + 2;
    len -= n + 2;
    if (is_blank(line, len))
        return MARK_NEXT;
    return len >= 2 && line[0] == '-' && line[1] == '-' && is_blank(line + 2, len - 2) ? MARK_END
                                                                                       : MARK_NONE;
}

/* The word before any parameter, in lower case. */
static void
first_word(char *out, gsize size, const char *value)
{
    gsize n = strcspn(value, "; \t");

    g_strlcpy(out, value, MIN(size, n + 1));
    for (char *c = out; *c != '\0'; c++)
        *c = g_ascii_tolower(*c);
}

void
clv_part_read_line(ClvPart *part, const char *line, gsize len)
{
    g_autofree char *text = g_strndup(line, MIN(len, 1024));
    char *value = strchr(text, ':');
    g_autofree char *lower = NULL;

    if (value == NULL)
        return;
    *value++ = '\0';
    g_strchomp(text);
    value += strspn(value, " \t");
    lower = g_ascii_strdown(value, -1);
    if (g_ascii_strcasecmp(text, "Content-Type") == 0) {
        first_word(part->type, sizeof(part->type), value);
    } else if (g_ascii_strcasecmp(text, "Content-Disposition") == 0) {
        first_word(part->disposition, sizeof(part->disposition), value);
        part->optional = strstr(lower, "handling=optional") != NULL;
    } else if (g_ascii_strcasecmp(text, "Content-Transfer-Encoding") == 0) {
        part->base64 = g_str_has_prefix(lower, "base64");
    }
}

static gboolean
read_head(Text *text, ClvPart *part)
{
    const char *line;
    gsize len;

    memset(part, 0, sizeof(*part));
    g_strlcpy(part->type, "text/plain", sizeof(part->type));
    while (next_line(text, &line, &len)) {
        if (len == 0) {
            part->body = text->p;
            return TRUE;
        }
        clv_part_read_line(part, line, len);
    }
    return FALSE;
}

/* The line end before the mark belongs to the mark. */
static void
close_part(ClvPart *part, const char *mark)
{
    const char *end = mark;

    if (end > part->body && end[-1] == '\n')
        end--;
    if (end > part->body && end[-1] == '\r')
        end--;
    part->len = (gsize)(end - part->body);
}

static char *
unquoted(const char *boundary)
{
    gsize n = boundary != NULL ? strlen(boundary) : 0;

    if (n >= 2 && boundary[0] == '"' && boundary[n - 1] == '"')
        return g_strndup(boundary + 1, n - 2);
    return g_strdup(boundary);
}

gboolean
clv_multipart_split(const char *boundary, const char *body, gsize len,
                    ClvPart parts[CLV_MULTIPART_MAX_PARTS], guint *out_n)
{
    g_autofree char *bare = unquoted(boundary);
    gsize n = bare != NULL ? strlen(bare) : 0;
    Text text = {body, body + len};
    ClvPart *open = NULL;
    const char *line;
    gsize line_len;

    *out_n = 0;
    if (n == 0 || n > MAX_BOUNDARY)
        return FALSE;
    while (next_line(&text, &line, &line_len)) {
        Mark mark = mark_of(line, line_len, bare, n);

        if (mark == MARK_NONE)
            continue;
        if (open != NULL)
            close_part(open, line);
        if (mark == MARK_END)
            return open != NULL;
        if (*out_n == CLV_MULTIPART_MAX_PARTS)
            return FALSE;
        open = &parts[(*out_n)++];
        if (!read_head(&text, open))
            return FALSE;
    }
    return FALSE;
}
