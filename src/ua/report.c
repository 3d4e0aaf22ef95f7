/* SPDX-License-Identifier: Apache-2.0 */
/* ua/report.c - the same fields, written two ways */
#include "ua/report.h"

#include <math.h>
#include <string.h>

struct ClvUaReport {
    FILE *out;
    gboolean json;
    gboolean quiet;
    gint64 start_us;
    GString *line;
    gboolean long_form;
    gboolean in_list;
    gboolean first; /* no comma before the next field */
    gboolean first_item;
};

ClvUaReport *
clv_ua_report_new(FILE *out, gboolean json, gboolean quiet)
{
    ClvUaReport *report = g_new0(ClvUaReport, 1);

    report->out = out;
    report->json = json;
    report->quiet = quiet;
    report->start_us = g_get_monotonic_time();
    report->line = g_string_new(NULL);
    return report;
}

void
clv_ua_report_free(ClvUaReport *report)
{
    if (report == NULL)
        return;
    g_string_free(report->line, TRUE);
    g_free(report);
}

static void
append_escaped(GString *out, const char *text)
{
    const char *p = text;

    while (*p != '\0') {
        gunichar c = g_utf8_get_char_validated(p, -1);

        if (c == (gunichar)-1 || c == (gunichar)-2) {
            /* no UTF-8: the octet as the character with that number */
            g_string_append_printf(out, "\\u%04x", (guint8)*p);
            p++;
            continue;
        }
        if (c == '"' || c == '\\')
            g_string_append_printf(out, "\\%c", (char)c);
        else if (c == '\n')
            g_string_append(out, "\\n");
        else if (c == '\r')
            g_string_append(out, "\\r");
        else if (c == '\t')
            g_string_append(out, "\\t");
        else if (c < 0x20 || (c >= 0x7f && c < 0xa0) || c == 0x2028 || c == 0x2029)
            g_string_append_printf(out, "\\u%04x", c);
        else
            g_string_append_unichar(out, c);
        p = g_utf8_next_char(p);
    }
}

char *
clv_ua_json_string(const char *text)
{
    GString *out = g_string_new("\"");

    append_escaped(out, text);
    g_string_append_c(out, '"');
    return g_string_free(out, FALSE);
}

static void
begin(ClvUaReport *report, const char *event, gboolean long_form)
{
    double t = (double)(g_get_monotonic_time() - report->start_us) / 1e6;

    g_string_truncate(report->line, 0);
    report->long_form = long_form;
    report->in_list = FALSE;
    report->first = FALSE;
    if (report->json)
        g_string_append_printf(report->line, "{\"event\":\"%s\",\"t\":%.3f", event, t);
    else
        g_string_append_printf(report->line, "%8.3f  %s", t, event);
}

void
clv_ua_report_begin(ClvUaReport *report, const char *event)
{
    begin(report, event, FALSE);
}

void
clv_ua_report_begin_long(ClvUaReport *report, const char *event)
{
    begin(report, event, TRUE);
}

void
clv_ua_report_end(ClvUaReport *report)
{
    if (report->json)
        g_string_append_c(report->line, '}');
    g_string_append_c(report->line, '\n');
    if (report->long_form || !report->quiet) {
        fwrite(report->line->str, report->line->len, 1, report->out);
        fflush(report->out);
    }
}

/* Writes everything up to the value. */
static void
name_field(ClvUaReport *report, const char *name)
{
    if (report->json) {
        g_string_append_printf(report->line, "%s\"%s\":", report->first ? "" : ",", name);
        report->first = FALSE;
    } else if (report->long_form && !report->in_list) {
        g_string_append_printf(report->line, "\n  %-20s ", name);
    } else {
        g_string_append_printf(report->line, " %s=", name);
    }
}

void
clv_ua_report_string(ClvUaReport *report, const char *name, const char *value)
{
    gboolean quote;

    if (value == NULL)
        return;
    quote = report->json || (!report->long_form && strpbrk(value, " \"=") != NULL);
    name_field(report, name);
    if (quote)
        g_string_append_c(report->line, '"');
    append_escaped(report->line, value);
    if (quote)
        g_string_append_c(report->line, '"');
}

void
clv_ua_report_int(ClvUaReport *report, const char *name, gint64 value)
{
    name_field(report, name);
    g_string_append_printf(report->line, "%" G_GINT64_FORMAT, value);
}

void
clv_ua_report_number(ClvUaReport *report, const char *name, double value, int decimals)
{
    char text[64];

    /* neither JSON nor people have a use for infinities */
    if (!isfinite(value))
        value = 0.0;
    g_snprintf(text, sizeof text, "%.*f", decimals, value);
    name_field(report, name);
    g_string_append(report->line, text);
}

void
clv_ua_report_bool(ClvUaReport *report, const char *name, gboolean value)
{
    name_field(report, name);
    if (report->json)
        g_string_append(report->line, value ? "true" : "false");
    else
        g_string_append(report->line, value ? "yes" : "no");
}

void
clv_ua_report_hex32(ClvUaReport *report, const char *name, guint32 value)
{
    char text[16];

    g_snprintf(text, sizeof text, "%08x", value);
    clv_ua_report_string(report, name, text);
}

void
clv_ua_report_list(ClvUaReport *report, const char *name)
{
    if (report->json)
        g_string_append_printf(report->line, "%s\"%s\":[", report->first ? "" : ",", name);
    else
        g_string_append_printf(report->line, "\n  %s", name);
    report->in_list = TRUE;
    report->first_item = TRUE;
}

void
clv_ua_report_item(ClvUaReport *report)
{
    if (report->json)
        g_string_append(report->line, report->first_item ? "{" : "},{");
    else
        g_string_append(report->line, "\n   ");
    report->first_item = FALSE;
    report->first = TRUE;
}

void
clv_ua_report_list_end(ClvUaReport *report)
{
    if (report->json)
        g_string_append(report->line, report->first_item ? "]" : "}]");
    report->in_list = FALSE;
    report->first = FALSE;
}
