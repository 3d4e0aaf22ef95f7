/* SPDX-License-Identifier: Apache-2.0 */
/* Do the small readers of the sip room say what stands there, and refuse the rest? */
#include "config.h"

#include <string.h>

#include "sip/multipart.h"
#include "sip/refer-to.h"
#include "sip/resource-list.h"
#include "sip/sip-private.h"

/* ---- multipart ---- */

static guint
split(const char *boundary, const char *body, ClvPart parts[CLV_MULTIPART_MAX_PARTS])
{
    guint n = 0;

    return clv_multipart_split(boundary, body, strlen(body), parts, &n) ? n : 0;
}

static void
parts_are_cut_where_the_boundary_says(void)
{
    ClvPart parts[CLV_MULTIPART_MAX_PARTS];
    const char *body = "preamble\r\n--b 1\r\nContent-Type: Application/SDP; x=y\r\n"
                       "Content-Disposition: session; Handling=optional\r\n\r\nv=0\r\n\r\n"
                       "--b 1  \r\n\r\n--b 12\r\n--b 1--\r\nepilogue --b 1\r\n";

    g_assert_cmpuint(split("\"b 1\"", body, parts), ==, 2);
    g_assert_cmpstr(parts[0].type, ==, "application/sdp");
    g_assert_cmpstr(parts[0].disposition, ==, "session");
    g_assert_true(parts[0].optional);
    g_assert_cmpint(parts[0].len, ==, 5);
    g_assert_cmpint(memcmp(parts[0].body, "v=0\r\n", 5), ==, 0);
    g_assert_cmpstr(parts[1].type, ==, "text/plain");
    g_assert_cmpint(parts[1].len, ==, 6);
    g_assert_cmpint(memcmp(parts[1].body, "--b 12", 6), ==, 0);
}

static void
bodies_without_boundary_or_end_are_refused(void)
{
    ClvPart parts[CLV_MULTIPART_MAX_PARTS];
    GString *many = g_string_new(NULL);

    g_assert_cmpuint(split(NULL, "--b\r\n\r\n--b--", parts), ==, 0);
    g_assert_cmpuint(split("", "--\r\n\r\n----", parts), ==, 0);
    g_assert_cmpuint(split("b", "--b\r\n\r\nx\r\n", parts), ==, 0);
    g_assert_cmpuint(split("b", "--b\r\nContent-Type: x", parts), ==, 0);
    g_assert_cmpuint(split("b", "--b--\r\n", parts), ==, 0);
    g_assert_cmpuint(split("b", "--b\r\n\r\n--b--", parts), ==, 1);
    g_assert_cmpuint(parts[0].len, ==, 0);
    for (guint i = 0; i < CLV_MULTIPART_MAX_PARTS + 1; i++)
        g_string_append(many, "--b\r\n\r\nx\r\n");
    g_string_append(many, "--b--\r\n");
    g_assert_cmpuint(split("b", many->str, parts), ==, 0);
    g_string_free(many, TRUE);
}

/* ---- Refer-To ---- */

static void
a_refer_to_says_whom_and_how(void)
{
    ClvReferTo to;

    g_assert_cmpint(clv_refer_to_parse("sip:carol@Example.COM:5070;method=BYE", &to), ==,
                    CLV_REFER_TO_OK);
    g_assert_cmpstr(to.target, ==, "sip:carol@example.com");
    g_assert_true(to.removes);
    clv_refer_to_clear(&to);
    g_assert_cmpint(clv_refer_to_parse("tel:+49-30-1234", &to), ==, CLV_REFER_TO_OK);
    g_assert_cmpstr(to.target, ==, "tel:+49301234");
    clv_refer_to_clear(&to);
    g_assert_cmpint(clv_refer_to_parse("sip:a;method=BYE@example.org", &to), ==, CLV_REFER_TO_OK);
    g_assert_false(to.removes); /* that is a name */
    clv_refer_to_clear(&to);
    g_assert_cmpint(clv_refer_to_parse("sip:a@b.org?Replaces=1%402%3Bfrom-tag%3D3%3Bto-tag%3D4"
                                       "&Route=%3Csip:evil.org%3E",
                                       &to),
                    ==, CLV_REFER_TO_OK);
    g_assert_cmpstr(to.replaces, ==, "1@2;from-tag=3;to-tag=4");
    g_assert_false(to.names_dialog);
    clv_refer_to_clear(&to);
}

static void
bad_refer_tos_are_refused(void)
{
    static const struct {
        const char *uri;
        ClvReferToVerdict want;
    } cases[] = {
        {"", CLV_REFER_TO_MALFORMED},
        {"carol", CLV_REFER_TO_MALFORMED},
        {"sip:", CLV_REFER_TO_MALFORMED},
        {"http://example.org", CLV_REFER_TO_FOREIGN},
        {"cid:a@b", CLV_REFER_TO_FOREIGN},
        {"sip:a@b.org;method=REFER", CLV_REFER_TO_FOREIGN},
        {"sip:a@b.org?Replaces=1%0d%0aEvil:%20yes;to-tag=1;from-tag=2", CLV_REFER_TO_MALFORMED},
        {"sip:a@b.org?Replaces=1%00;to-tag=1;from-tag=2", CLV_REFER_TO_MALFORMED},
        {"sip:a@b.org?Replaces=1;to-tag=1", CLV_REFER_TO_MALFORMED},
        {"sip:a@b.org?Replaces", CLV_REFER_TO_MALFORMED},
        {"sip:a@b.org?To=%4", CLV_REFER_TO_MALFORMED},
        {"sip:a@b.org?To=x", CLV_REFER_TO_MALFORMED},
        {"sip:a@b.org?Call-ID=1&i=2", CLV_REFER_TO_MALFORMED},
    };

    for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
        ClvReferTo to;

        g_test_message("%s", cases[i].uri);
        g_assert_cmpint(clv_refer_to_parse(cases[i].uri, &to), ==, cases[i].want);
        clv_refer_to_clear(&to);
    }
}

/* ---- lists ---- */

#define LISTS(inside)                                                                              \
    "<?xml version=\"1.0\" encoding=\"UTF-8\"?>"                                                   \
    "<resource-lists xmlns=\"urn:ietf:params:xml:ns:resource-lists\" "                             \
    "xmlns:q=\"urn:ietf:params:xml:ns:copycontrol\" xmlns:x=\"urn:else\">" inside                  \
    "</resource-lists>"

static GPtrArray *
parse(const char *xml)
{
    return clv_resource_list_parse(xml, strlen(xml), NULL, NULL);
}

static void
lists_are_flat_and_name_each_person_once(void)
{
    g_autoptr(GPtrArray) list = parse(LISTS(
        "<list><entry uri=\"sip:bob@Example.org\" q:copyControl=\"cc\"/>"
        "<external anchor=\"http://example.org/x\"/><entry-ref ref=\"y\"/>"
        "<x:entry uri=\"sip:mallory@example.org\"/>"
        "<list><entry uri=\"sip:carol@example.org\" q:copyControl=\"bcc\" "
        "q:anonymize=\"true\"><display-name>Carol</display-name></entry>"
        "<entry uri=\"sips:bob@example.org:5061\"/></list></list>"
        "<list><entry uri=\"tel:+4930123\" copyControl=\"bcc\" x:anonymize=\"true\"/></list>"));
    static const ClvUriEntry want[] = {{"sip:bob@example.org", CLV_COPY_CC, FALSE, 0},
                                       {"sip:carol@example.org", CLV_COPY_BCC, TRUE, 0},
                                       {"tel:+4930123", CLV_COPY_TO, FALSE, 0}};

    g_assert_nonnull(list);
    g_assert_cmpuint(list->len, ==, G_N_ELEMENTS(want));
    for (guint i = 0; i < list->len; i++) {
        const ClvUriEntry *entry = g_ptr_array_index(list, i);

        g_assert_cmpstr(entry->uri, ==, want[i].uri);
        g_assert_cmpint(entry->copy, ==, want[i].copy);
        g_assert_cmpint(entry->anonymize, ==, want[i].anonymize);
    }
}

static ClvLegId
find_dialog(void *user, const char *call_id, const char *tag, const char *other_tag)
{
    return strcmp(call_id, "c1") == 0 && strcmp(tag, "f") == 0 && strcmp(other_tag, "t") == 0 ? 42
                                                                                              : 0;
}

static void
an_entry_may_name_a_dialog(void)
{
    const char *xml = LISTS("<list><entry uri=\"sip:bob@example.org;method=INVITE?Call-ID=c1"
                            "&amp;From=%3csip:b@c%3e;tag=f&amp;To=%3csip:d@e%3e;tag=t\"/>"
                            "<entry uri=\"sip:carol@example.org?Call-ID=c2&amp;From=a;tag=f"
                            "&amp;To=b;tag=t\"/></list>");
    g_autoptr(GPtrArray) list = clv_resource_list_parse(xml, strlen(xml), find_dialog, NULL);

    g_assert_nonnull(list);
    g_assert_cmpuint(((ClvUriEntry *)g_ptr_array_index(list, 0))->leg, ==, 42);
    g_assert_cmpuint(((ClvUriEntry *)g_ptr_array_index(list, 1))->leg, ==, 0);
}

static void
bad_lists_are_refused_whole(void)
{
    static const char *const cases[] = {
        "",
        "no xml",
        "<resource-lists/>",
        "<a xmlns=\"urn:ietf:params:xml:ns:resource-lists\"/>",
        LISTS("<list><entry uri=\"sip:bob@example.org\"></list>"),
        LISTS("<list><entry/></list>"),
        LISTS("<list><entry uri=\"http://example.org\"/></list>"),
        LISTS("<list><entry uri=\"sip:bob@example.org;method=BYE\"/></list>"),
        LISTS("<list><entry uri=\"sip:bob@example.org;method=REFER\"/></list>"),
        "<!DOCTYPE r [<!ENTITY e \"sip:bob@example.org\">]>" LISTS("<list/>"),
        "<!DOCTYPE r SYSTEM \"file:///etc/passwd\">" LISTS("<list/>"),
        "\xff\xfe<\0r\0/\0>",
        LISTS("<list><entry uri=\"&e;\"/></list>"),
    };
    GString *deep = g_string_new(NULL);

    for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_test_message("%s", cases[i]);
        g_assert_null(parse(cases[i]));
    }
    g_string_append(deep, "<resource-lists xmlns=\"urn:ietf:params:xml:ns:resource-lists\">");
    for (guint i = 0; i < 100; i++)
        g_string_append(deep, "<list>");
    for (guint i = 0; i < 100; i++)
        g_string_append(deep, "</list>");
    g_string_append(deep, "</resource-lists>");
    g_assert_null(parse(deep->str));
    g_string_free(deep, TRUE);
}

/* 5.7: the answer to that is the policy's, 403; it may allow 1000 at most. */
static void
a_list_without_end_is_too_long_and_not_malformed(void)
{
    GString *many =
        g_string_new("<resource-lists xmlns=\"urn:ietf:params:xml:ns:resource-lists\"><list>");
    GPtrArray *list;

    for (guint i = 0; i <= 2 * CLV_RESOURCE_LIST_MAX; i++)
        g_string_append_printf(many, "<entry uri=\"sip:u%u@example.org\"/>", i);
    g_string_append(many, "</list></resource-lists>");
    list = parse(many->str);
    g_assert_nonnull(list);
    g_assert_cmpuint(list->len, ==, CLV_RESOURCE_LIST_MAX);
    g_assert_cmpuint(list->len, >, 1000);
    g_ptr_array_unref(list);
    g_string_free(many, TRUE);
}

/* ---- histories ---- */

static void
a_history_is_diverted_when_the_target_changed(void)
{
    static const struct {
        const char *value;
        gboolean diverted;
    } cases[] = {
        {"", FALSE},
        {"<sip:bob@example.org>;index=1", FALSE},
        {"\"Bob, the <builder>; rc\" <sip:bob@example.org>;index=1", FALSE},
        {"<sip:bob@example.org>;index=1,<sip:bob@192.0.2.1>;index=1.1;np=1", FALSE},
        {"<sip:bob@example.org>;index=1,<sip:bob@192.0.2.1>;index=1.1;rc=1", TRUE},
        {"<sip:bob@example.org>;index=1, <sip:carol@example.org>;index=1.1;mp=1", TRUE},
        {"<sip:bob@example.org>;index=1,<sip:carol@example.org>;index=1.1", TRUE},
        {"<sip:bob@example.org;cause=302>;index=1", TRUE},
        {"<sip:bob@example.org?Reason=SIP%3Bcause%3D486>;index=1", TRUE},
        {"<sip:bob@example.org>;index=1;np=1,<sip:c@d?Reason=SIP%3bcause%3d302>;index=1.1;np=1",
         TRUE},
        {"<sip:bob;rc=1@example.org>;index=1", FALSE},
    };
    g_autofree char *huge = g_strnfill(9000, 'x');

    for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_test_message("%s", cases[i].value);
        g_assert_cmpint(clv_history_is_diverted(cases[i].value), ==, cases[i].diverted);
    }
    g_assert_true(clv_history_is_diverted(huge));
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);

    g_test_add_func("/sip-parsers/multipart", parts_are_cut_where_the_boundary_says);
    g_test_add_func("/sip-parsers/multipart-bad", bodies_without_boundary_or_end_are_refused);
    g_test_add_func("/sip-parsers/refer-to", a_refer_to_says_whom_and_how);
    g_test_add_func("/sip-parsers/refer-to-bad", bad_refer_tos_are_refused);
    g_test_add_func("/sip-parsers/list", lists_are_flat_and_name_each_person_once);
    g_test_add_func("/sip-parsers/list-dialog", an_entry_may_name_a_dialog);
    g_test_add_func("/sip-parsers/list-bad", bad_lists_are_refused_whole);
    g_test_add_func("/sip-parsers/list-too-long", a_list_without_end_is_too_long_and_not_malformed);
    g_test_add_func("/sip-parsers/history", a_history_is_diverted_when_the_target_changed);

    return g_test_run();
}
