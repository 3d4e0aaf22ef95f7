/* SPDX-License-Identifier: Apache-2.0 */
/* admin/report.h - one answer for people and for machines
 *
 * A report is a list of fields and tables; it is printed as aligned text or as one JSON object.
 * Pure.
 */
#pragma once

#include <glib.h>

typedef struct ClvReport ClvReport;

ClvReport *clv_report_new(void);
void clv_report_free(ClvReport *report);

/* Fields, in order. Names are words with hyphens; JSON keeps them as they are. */
void clv_report_text(ClvReport *report, const char *name, const char *value); /* NULL: null, "-" */
void clv_report_int(ClvReport *report, const char *name, gint64 value);
void clv_report_bool(ClvReport *report, const char *name, gboolean value);

/* Starts a table; columns: NULL-terminated names. Rows follow cell by cell, as text or numbers. */
void clv_report_table(ClvReport *report, const char *name, const char *const *columns);
void clv_report_cell(ClvReport *report, const char *value); /* NULL: null, "-" */
void clv_report_cell_int(ClvReport *report, gint64 value);

char *clv_report_print(const ClvReport *report, gboolean json);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(ClvReport, clv_report_free)
