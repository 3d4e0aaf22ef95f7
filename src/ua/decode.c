/* SPDX-License-Identifier: Apache-2.0 */
/* ua/decode.c - look for base64 where MIKEY may be, and lay it open */
#include "ua/decode.h"

#include "ua/report.h"

#include <libmikey/mikey.h>
#include <string.h>

#define MARK "key-mgmt:"
#define MIN_BASE64 24 /* a header is ten octets */

static gboolean
is_base64(char c)
{
    return g_ascii_isalnum(c) || c == '+' || c == '/' || c == '=';
}

static gboolean
decode_base64(const char *text, gsize len, gsize at, ClvUaDecodeFunc found, void *user)
{
    MikeyBuffer octets = MIKEY_BUFFER_INIT;

    if (mikey_base64_decode(mikey_bytes(text, len), &octets) != MIKEY_OK)
        return FALSE;
    found(octets.data, octets.len, at, user);
    mikey_buffer_clear(&octets);
    return TRUE;
}

/* After "key-mgmt:": an optional space, the protocol, a space, base64. Returns: the base64 */
static const char *
attribute_value(const char *p, const char *end, gsize *out_len)
{
    const char *start;

    while (p < end && *p == ' ')
        p++;
    if (end - p < 6 || strncmp(p, "mikey ", 6) != 0)
        return NULL;
    for (p += 6; p < end && *p == ' '; p++)
        ;
    for (start = p; p < end && is_base64(*p); p++)
        ;
    *out_len = (gsize)(p - start);
    return start;
}

static guint
find_attributes(const char *text, gsize len, ClvUaDecodeFunc found, void *user)
{
    const char *end = text + len, *p = text;
    guint n = 0;

    while ((p = g_strstr_len(p, end - p, MARK)) != NULL) {
        gsize value_len = 0;
        const char *value;

        p += strlen(MARK);
        value = attribute_value(p, end, &value_len);
        if (value != NULL && value_len > 0 &&
            decode_base64(value, value_len, (gsize)(value - text), found, user))
            n++;
    }
    return n;
}

/* Text that is base64 and nothing else, but for line ends and blanks. */
static guint
find_bare(const char *text, gsize len, ClvUaDecodeFunc found, void *user)
{
    g_autoptr(GString) packed = g_string_new(NULL);

    for (gsize i = 0; i < len; i++) {
        if (is_base64(text[i]))
            g_string_append_c(packed, text[i]);
        else if (!g_ascii_isspace(text[i]))
            return 0;
    }
    return packed->len > 0 && decode_base64(packed->str, packed->len, 0, found, user) ? 1 : 0;
}

/* Bodies of type application/mikey, and other lines that are one long base64 word beginning with
 * the version octet. */
static guint
find_lines(const char *text, gsize len, ClvUaDecodeFunc found, void *user)
{
    const char *end = text + len, *p = text;
    guint n = 0;

    while (p < end) {
        const char *stop = memchr(p, '\n', (gsize)(end - p));
        gsize line_len = (gsize)((stop != NULL ? stop : end) - p), word = 0;

        if (line_len > 0 && p[line_len - 1] == '\r')
            line_len--;
        while (word < line_len && is_base64(p[word]))
            word++;
        if (word == line_len && word >= MIN_BASE64 && p[0] == 'A' &&
            decode_base64(p, word, (gsize)(p - text), found, user))
            n++;
        p = stop != NULL ? stop + 1 : end;
    }
    return n;
}

guint
clv_ua_decode_find(const char *text, gsize len, ClvUaDecodeFunc found, void *user)
{
    guint n;

    if (len > 0 && text[0] == 0x01) {
        found((const guint8 *)text, len, 0, user);
        return 1;
    }
    n = find_attributes(text, len, found, user);
    if (n == 0)
        n = find_bare(text, len, found, user);
    if (n == 0)
        n = find_lines(text, len, found, user);
    return n;
}

/* ---- printing ---------------------------------------------------------------------------- */

typedef struct Printer {
    FILE *out;
    ClvUaReport *report; /* (nullable): JSON */
    guint n, n_bad;
} Printer;

static void
print_line(const char *line, void *user)
{
    Printer *printer = user;

    if (printer->report == NULL) {
        fprintf(printer->out, "%s\n", line);
        return;
    }
    clv_ua_report_item(printer->report);
    clv_ua_report_string(printer->report, "text", line);
}

static void
print_message(const guint8 *octets, gsize len, gsize at, void *user)
{
    Printer *printer = user;
    MikeyMessage *message = NULL;
    MikeyStatus status = mikey_message_parse(mikey_bytes(octets, len), &message);

    printer->n++;
    if (status != MIKEY_OK)
        printer->n_bad++;
    if (printer->report != NULL) {
        clv_ua_report_begin(printer->report, "message");
        clv_ua_report_int(printer->report, "at", (gint64)at);
        clv_ua_report_int(printer->report, "octets", (gint64)len);
        clv_ua_report_string(printer->report, "status", mikey_status_string(status));
        if (message != NULL) {
            clv_ua_report_string(printer->report, "type",
                                 mikey_data_type_string(mikey_message_header(message)->type));
            clv_ua_report_list(printer->report, "lines");
            mikey_print(message, print_line, printer);
            clv_ua_report_list_end(printer->report);
        }
        clv_ua_report_end(printer->report);
    } else {
        fprintf(printer->out,
                "%smessage %u, %" G_GSIZE_FORMAT " octets at %" G_GSIZE_FORMAT "%s%s\n",
                printer->n > 1 ? "\n" : "", printer->n, len, at,
                status != MIKEY_OK ? ": not readable: " : "",
                status != MIKEY_OK ? mikey_status_string(status) : "");
        if (message != NULL)
            mikey_print(message, print_line, printer);
    }
    mikey_message_free(message);
}

gboolean
clv_ua_decode(const char *text, gsize len, gboolean json, FILE *out)
{
    Printer printer = {.out = out};

    if (json)
        printer.report = clv_ua_report_new(out, TRUE, FALSE);
    clv_ua_decode_find(text, len, print_message, &printer);
    clv_ua_report_free(printer.report);
    if (printer.n == 0)
        fprintf(stderr, "conclave-ua: there is no MIKEY message in it\n");
    return printer.n > 0 && printer.n_bad == 0;
}
