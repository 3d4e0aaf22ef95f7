/* SPDX-License-Identifier: Apache-2.0 */
/* admin/report.c - fields and tables, printed as text or as JSON */
#include "admin/report.h"

#include <string.h>

typedef enum Kind { TEXT, NUMBER, BOOL } Kind;

typedef struct Value {
    Kind kind;
    char *text; /* (nullable) */
    gint64 number;
} Value;

typedef struct Item {
    char *name;
    Value value;
    char **columns; /* (nullable) set: a table */
    GArray *cells;  /* of Value */
} Item;

struct ClvReport {
    GArray *items; /* of Item */
};

static void
value_clear(gpointer data)
{
    g_free(((Value *)data)->text);
}

static void
item_clear(gpointer data)
{
    Item *item = data;

    g_free(item->name);
    g_free(item->value.text);
    g_strfreev(item->columns);
    g_clear_pointer(&item->cells, g_array_unref);
}

ClvReport *
clv_report_new(void)
{
    ClvReport *report = g_new0(ClvReport, 1);

    report->items = g_array_new(FALSE, TRUE, sizeof(Item));
    g_array_set_clear_func(report->items, item_clear);
    return report;
}

void
clv_report_free(ClvReport *report)
{
    if (report == NULL)
        return;
    g_array_unref(report->items);
    g_free(report);
}

static void
add(ClvReport *report, const char *name, Kind kind, const char *text, gint64 number)
{
    Item item = {.name = g_strdup(name), .value = {kind, g_strdup(text), number}};

    g_array_append_val(report->items, item);
}

void
clv_report_text(ClvReport *report, const char *name, const char *value)
{
    add(report, name, TEXT, value, 0);
}

void
clv_report_int(ClvReport *report, const char *name, gint64 value)
{
    add(report, name, NUMBER, NULL, value);
}

void
clv_report_bool(ClvReport *report, const char *name, gboolean value)
{
    add(report, name, BOOL, NULL, value);
}

void
clv_report_table(ClvReport *report, const char *name, const char *const *columns)
{
    Item item = {.name = g_strdup(name), .columns = g_strdupv((char **)columns)};

    item.cells = g_array_new(FALSE, TRUE, sizeof(Value));
    g_array_set_clear_func(item.cells, value_clear);
    g_array_append_val(report->items, item);
}

static void
add_cell(ClvReport *report, Value value)
{
    Item *table;

    g_return_if_fail(report->items->len > 0);
    table = &g_array_index(report->items, Item, report->items->len - 1);
    g_return_if_fail(table->cells != NULL);
    g_array_append_val(table->cells, value);
}

void
clv_report_cell(ClvReport *report, const char *value)
{
    add_cell(report, (Value){TEXT, g_strdup(value), 0});
}

void
clv_report_cell_int(ClvReport *report, gint64 value)
{
    add_cell(report, (Value){NUMBER, NULL, value});
}

/* ---- JSON ---- */

static void
json_string(GString *out, const char *text)
{
    g_autofree char *valid = g_utf8_make_valid(text, -1);

    g_string_append_c(out, '"');
    for (const char *p = valid; *p != '\0'; p++) {
        if (*p == '"' || *p == '\\')
            g_string_append_printf(out, "\\%c", *p);
        else if ((guchar)*p < 0x20 || *p == 0x7f)
            g_string_append_printf(out, "\\u%04x", (guint)(guchar)*p);
        else
            g_string_append_c(out, *p);
    }
    g_string_append_c(out, '"');
}

static void
json_value(GString *out, const Value *value)
{
    if (value->kind == NUMBER)
        g_string_append_printf(out, "%" G_GINT64_FORMAT, value->number);
    else if (value->kind == BOOL)
        g_string_append(out, value->number ? "true" : "false");
    else if (value->text == NULL)
        g_string_append(out, "null");
    else
        json_string(out, value->text);
}

static void
json_table(GString *out, const Item *item)
{
    guint width = g_strv_length(item->columns);

    g_string_append_c(out, '[');
    for (guint i = 0; i < item->cells->len; i++) {
        guint column = i % width;

        if (column == 0)
            g_string_append(out, i == 0 ? "{" : ",{");
        json_string(out, item->columns[column]);
        g_string_append_c(out, ':');
        json_value(out, &g_array_index(item->cells, Value, i));
        g_string_append_c(out, column + 1 == width ? '}' : ',');
    }
    g_string_append_c(out, ']');
}

static char *
print_json(const ClvReport *report)
{
    GString *out = g_string_new("{");

    for (guint i = 0; i < report->items->len; i++) {
        const Item *item = &g_array_index(report->items, Item, i);

        if (i > 0)
            g_string_append_c(out, ',');
        json_string(out, item->name);
        g_string_append_c(out, ':');
        if (item->columns != NULL)
            json_table(out, item);
        else
            json_value(out, &item->value);
    }
    g_string_append(out, "}\n");
    return g_string_free(out, FALSE);
}

/* ---- text ---- */

static char *
value_text(const Value *value)
{
    g_autofree char *valid = NULL;

    if (value->kind == NUMBER)
        return g_strdup_printf("%" G_GINT64_FORMAT, value->number);
    if (value->kind == BOOL)
        return g_strdup(value->number ? "yes" : "no");
    if (value->text == NULL || *value->text == '\0')
        return g_strdup("-");
    valid = g_utf8_make_valid(value->text, -1);
    for (char *p = valid; *p != '\0'; p++) {
        if ((guchar)*p < 0x20 || *p == 0x7f)
            *p = '?';
    }
    return g_steal_pointer(&valid);
}

static void
pad(GString *out, const char *text, gsize width)
{
    glong len = g_utf8_strlen(text, -1);

    g_string_append(out, text);
    for (gsize i = (gsize)len; i < width; i++)
        g_string_append_c(out, ' ');
}

static void
text_table(GString *out, const Item *item)
{
    guint n_columns = g_strv_length(item->columns);
    g_autofree gsize *widths = g_new0(gsize, n_columns);
    g_autoptr(GPtrArray) cells = g_ptr_array_new_with_free_func(g_free);

    for (guint c = 0; c < n_columns; c++)
        g_ptr_array_add(cells, g_ascii_strup(item->columns[c], -1));
    for (guint i = 0; i < item->cells->len; i++)
        g_ptr_array_add(cells, value_text(&g_array_index(item->cells, Value, i)));
    for (guint i = 0; i < cells->len; i++) {
        gsize len = (gsize)g_utf8_strlen(g_ptr_array_index(cells, i), -1);

        widths[i % n_columns] = MAX(widths[i % n_columns], len);
    }
    for (guint i = 0; i < cells->len; i++) {
        gboolean last = i % n_columns == n_columns - 1;

        pad(out, g_ptr_array_index(cells, i), last ? 0 : widths[i % n_columns] + 2);
        if (last)
            g_string_append_c(out, '\n');
    }
}

static char *
print_text(const ClvReport *report)
{
    GString *out = g_string_new(NULL);
    gsize width = 0;

    for (guint i = 0; i < report->items->len; i++) {
        const Item *item = &g_array_index(report->items, Item, i);

        if (item->columns == NULL)
            width = MAX(width, strlen(item->name));
    }
    for (guint i = 0; i < report->items->len; i++) {
        const Item *item = &g_array_index(report->items, Item, i);
        g_autofree char *text = NULL;

        if (item->columns != NULL) {
            if (i > 0)
                g_string_append_c(out, '\n');
            text_table(out, item);
            continue;
        }
        text = value_text(&item->value);
        pad(out, item->name, width + 2);
        g_string_append_printf(out, "%s\n", text);
    }
    return g_string_free(out, FALSE);
}

char *
clv_report_print(const ClvReport *report, gboolean json)
{
    return json ? print_json(report) : print_text(report);
}
