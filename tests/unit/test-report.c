/* SPDX-License-Identifier: Apache-2.0 */
/* One answer for people and for machines. */
#include <glib.h>

#include "admin/report.h"

static const char *const columns[] = {"who", "packets", NULL};

static ClvReport *
sample(void)
{
    ClvReport *report = clv_report_new();

    clv_report_text(report, "uri", "sip:a@b");
    clv_report_text(report, "subject", NULL);
    clv_report_int(report, "n", -3);
    clv_report_bool(report, "locked", TRUE);
    clv_report_table(report, "people", columns);
    clv_report_cell(report, "sip:alice@example.org");
    clv_report_cell_int(report, 12);
    clv_report_cell(report, NULL);
    clv_report_cell_int(report, 0);
    return report;
}

static void
text_is_aligned(void)
{
    g_autoptr(ClvReport) report = sample();
    g_autofree char *text = clv_report_print(report, FALSE);

    g_assert_cmpstr(text, ==,
                    "uri      sip:a@b\n"
                    "subject  -\n"
                    "n        -3\n"
                    "locked   yes\n"
                    "\n"
                    "WHO                    PACKETS\n"
                    "sip:alice@example.org  12\n"
                    "-                      0\n");
}

static void
json_is_one_object(void)
{
    g_autoptr(ClvReport) report = sample();
    g_autofree char *text = clv_report_print(report, TRUE);

    g_assert_cmpstr(text, ==,
                    "{\"uri\":\"sip:a@b\",\"subject\":null,\"n\":-3,\"locked\":true,"
                    "\"people\":[{\"who\":\"sip:alice@example.org\",\"packets\":12},"
                    "{\"who\":null,\"packets\":0}]}\n");
}

static void
an_empty_table_is_an_empty_array(void)
{
    g_autoptr(ClvReport) report = clv_report_new();
    g_autofree char *text = NULL;

    clv_report_table(report, "people", columns);
    text = clv_report_print(report, TRUE);
    g_assert_cmpstr(text, ==, "{\"people\":[]}\n");
}

static void
what_peers_wrote_cannot_break_out(void)
{
    g_autoptr(ClvReport) report = clv_report_new();
    g_autofree char *json = NULL;
    g_autofree char *text = NULL;

    clv_report_text(report, "name", "a\"\\\n\x1b[31m\xff");
    json = clv_report_print(report, TRUE);
    text = clv_report_print(report, FALSE);
    g_assert_cmpstr(json, ==, "{\"name\":\"a\\\"\\\\\\u000a\\u001b[31m\xef\xbf\xbd\"}\n");
    g_assert_cmpstr(text, ==, "name  a\"\\??[31m\xef\xbf\xbd\n");
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/report/text-is-aligned", text_is_aligned);
    g_test_add_func("/report/json-is-one-object", json_is_one_object);
    g_test_add_func("/report/an-empty-table-is-an-empty-array", an_empty_table_is_an_empty_array);
    g_test_add_func("/report/what-peers-wrote-cannot-break-out", what_peers_wrote_cannot_break_out);
    return g_test_run();
}
