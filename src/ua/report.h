/* SPDX-License-Identifier: Apache-2.0 */
/* ua/report.h - what happened, as text for people or JSON for programs
 *
 * One record is one event: begin it, put its fields, end it. As JSON a record is one line with
 * "event" and "t" (seconds since the start); as text it is a line, or several for a long one.
 * Key material never comes here.
 */
#pragma once

#include <glib.h>
#include <stdio.h>

typedef struct ClvUaReport ClvUaReport;

/* @out: not owned; @quiet: records other than the long ones are left out of the text form */
ClvUaReport *clv_ua_report_new(FILE *out, gboolean json, gboolean quiet);
void clv_ua_report_free(ClvUaReport *report); /* NULL allowed */

/* An event on one line */
void clv_ua_report_begin(ClvUaReport *report, const char *event);
/* An event that takes a line for each field in text form */
void clv_ua_report_begin_long(ClvUaReport *report, const char *event);
void clv_ua_report_end(ClvUaReport *report);

/* Fields. @value NULL: left out. Text is shown whatever octets it has: what is no UTF-8 or no
 * printable character is escaped. */
void clv_ua_report_string(ClvUaReport *report, const char *name, const char *value);
void clv_ua_report_int(ClvUaReport *report, const char *name, gint64 value);
void clv_ua_report_number(ClvUaReport *report, const char *name, double value, int decimals);
void clv_ua_report_bool(ClvUaReport *report, const char *name, gboolean value);
void clv_ua_report_hex32(ClvUaReport *report, const char *name, guint32 value);

/* A list of objects; fields in between belong to the object */
void clv_ua_report_list(ClvUaReport *report, const char *name);
void clv_ua_report_item(ClvUaReport *report);
void clv_ua_report_list_end(ClvUaReport *report);

/* A JSON string with its quotes. Returns: (transfer full) */
char *clv_ua_json_string(const char *text);
