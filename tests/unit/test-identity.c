/* SPDX-License-Identifier: Apache-2.0 */
/* Do two URIs mean the same person exactly when they should? */
#include "config.h"

#include "base/identity.h"

#include <string.h>

static void
test_canonical(void)
{
    static const struct {
        const char *uri, *canonical; /* NULL: no identity */
    } cases[] = {
        {"sip:alice@example.org", "sip:alice@example.org"},
        {"<sip:alice@example.org>", "sip:alice@example.org"},
        {" \t<SIPS:alice@EXAMPLE.org.> ", "sip:alice@example.org"},
        {"sip:Alice@example.org", "sip:Alice@example.org"},
        {"sip:alice@example.org:5061;transport=tls;lr?Subject=x@y", "sip:alice@example.org"},
        {"sip:alice@example.org?a=b;user=phone", "sip:alice@example.org"},
        {"sip:%61l%49ce%7e@example.org", "sip:alIce~@example.org"},
        {"sip:a%c3%bc%3b@example.org", "sip:a%C3%BC%3B@example.org"},
        {"sip:a;x=1/?&=+$,@example.org", "sip:a;x=1/?&=+$,@example.org"},
        {"sip:alice@[2001:DB8:0:0::1]:5060", "sip:alice@[2001:db8::1]"},
        {"sip:alice@192.0.2.1", "sip:alice@192.0.2.1"},
        {"sip:alice@example.org;gr=urn:uuid:1", "sip:alice@example.org"},
        {"sip:tgruu.7hs@example.org;gr", NULL},
        {"sip:tgruu.7hs@example.org;GR=", NULL},
        {"sip:+49-30.1234(5)@example.org;user=phone", "tel:+4930"
                                                      "12345"},
        {"sip:+493012345;npdi@example.org;x;USER=Phone", "tel:+493012345"},
        {"sip:+493012345@example.org", "sip:+493012345@example.org"},
        {"tel:+49-30-12345", "tel:+493012345"},
        {"TEL:+493012345;npdi;rn=+49301", "tel:+493012345"},
        {"tel:+493012345;ext=5", NULL},
        {"tel:+493012345;ISUB=5", NULL},
        {"sip:+493012345;ext=5@example.org;user=phone", NULL},
        {"sip:12345@example.org;user=phone", NULL},
        {"sip:%2B493012345@example.org;user=phone", NULL},
        {"tel:12345;phone-context=example.org", NULL},
        {"tel:+12345;phone-context=example.org", NULL},
        {"tel:+", NULL},
        {"tel:+-", NULL},
        {"tel:+12a", NULL},
        {"tel:+12345678901234567890123456789012", NULL},
        {"sip:example.org", NULL},
        {"sip:@example.org", NULL},
        {"sip:alice@", NULL},
        {"sip:alice:secret@example.org", NULL},
        {"sip:alice@example.org@evil.example", NULL},
        {"sip:al ice@example.org", NULL},
        {"sip:alice%@example.org", NULL},
        {"sip:alice%4@example.org", NULL},
        {"sip:alice%4g@example.org", NULL},
        {"sip:alice%00@example.org", NULL},
        {"sip:al\"ice@example.org", NULL},
        {"sip:al\xc3\xbc@example.org", NULL},
        {"sip:alice@exam ple.org", NULL},
        {"sip:alice@example..org", NULL},
        {"sip:alice@.example.org", NULL},
        {"sip:alice@.", NULL},
        {"sip:alice@example.org:", NULL},
        {"sip:alice@example.org:5o", NULL},
        {"sip:alice@example.org:123456", NULL},
        {"sip:alice@[2001:db8::1", NULL},
        {"sip:alice@[2001:db8::1]x", NULL},
        {"sip:alice@[192.0.2.1]", NULL},
        {"sip:alice@[]", NULL},
        {"mailto:alice@example.org", NULL},
        {"alice@example.org", NULL},
        {"<sip:alice@example.org", NULL},
        {"<>", NULL},
        {"", NULL},
        {":", NULL},
        {"*@example.org", NULL},
    };

    for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *found = clv_identity_canonical(cases[i].uri, -1);
        g_autofree char *again = NULL;

        g_test_message("%s", cases[i].uri);
        g_assert_cmpstr(found, ==, cases[i].canonical);
        if (found == NULL)
            continue;
        again = clv_identity_canonical(found, -1);
        g_assert_cmpstr(again, ==, found); /* a canonical form is its own */
    }
}

static void
test_length(void)
{
    static const char uri[] = "sip:alice@example.orgevil";
    g_autofree char *part = clv_identity_canonical(uri, (gssize)strlen("sip:alice@example.org"));
    g_autofree char *user = g_strnfill(CLV_IDENTITY_MAX_BYTES, 'a');
    g_autofree char *huge = g_strconcat("sip:", user, "@example.org", NULL);
    g_autofree char *label = g_strnfill(64, 'a');
    g_autofree char *wide = g_strconcat("sip:alice@", label, ".org", NULL);

    g_assert_cmpstr(part, ==, "sip:alice@example.org");
    g_assert_null(clv_identity_canonical(huge, -1));
    g_assert_null(clv_identity_canonical(wide, -1));
    g_assert_null(clv_identity_canonical("sip:a\0b@example.org", 17));
    g_assert_null(clv_identity_canonical("sip:a@exa\0mple.org", 18));
    g_assert_null(clv_identity_canonical("sip:a@[::1\0]", 12));
}

/* Every prefix and every changed octet of a URI: no overread (sanitizers), and stable results. */
static void
test_broken(void)
{
    static const char uri[] = "<sip:%41lice;x@[2001:db8::1]:5060;user=phone;gr=a?b=c>";
    const gsize len = sizeof(uri) - 1;

    for (gsize cut = 0; cut <= len; cut++) {
        char *copy = g_memdup2(uri, cut); /* no NUL behind it */

        g_free(clv_identity_canonical(copy == NULL ? "" : copy, (gssize)cut));
        g_free(copy);
    }
    for (gsize at = 0; at < len; at++) {
        for (guint value = 0; value < 256; value++) {
            g_autofree char *copy = g_memdup2(uri, len);
            g_autofree char *found = NULL, *again = NULL;

            copy[at] = (char)value;
            found = clv_identity_canonical(copy, (gssize)len);
            if (found == NULL)
                continue;
            again = clv_identity_canonical(found, -1);
            g_assert_cmpstr(again, ==, found);
        }
    }
}

static void
test_anonymous(void)
{
    g_assert_true(clv_identity_is_anonymous("sip:anonymous@anonymous.invalid"));
    g_assert_true(clv_identity_is_anonymous("sip:x@a.b.invalid"));
    g_assert_true(clv_identity_is_anonymous("sip:x@invalid"));
    g_assert_false(clv_identity_is_anonymous("sip:anonymous@example.org"));
    g_assert_false(clv_identity_is_anonymous("sip:x@notinvalid"));
    g_assert_false(clv_identity_is_anonymous("tel:+49301"));
}

static void
test_match(void)
{
    static const struct {
        const char *pattern, *identity;
        gboolean matches;
    } cases[] = {
        {"sip:alice@example.org", "sip:alice@example.org", TRUE},
        {"SIPS:alice@EXAMPLE.org:5061;x=y", "sip:alice@example.org", TRUE},
        {"sip:Alice@example.org", "sip:alice@example.org", FALSE},
        {"sip:+4930123@x.org;user=phone", "tel:+4930123", TRUE},
        {"*@example.org", "sip:alice@example.org", TRUE},
        {"*@EXAMPLE.org", "sip:alice@example.org", TRUE},
        {"*@example.org", "sip:alice@sub.example.org", FALSE},
        {"*@example.org", "sip:alice@badexample.org", FALSE},
        {"*@example.org", "sip:a@example.org.evil.net", FALSE},
        {"*@example.org", "tel:+4930123", FALSE},
        {"*@[2001:db8::1]", "sip:alice@[2001:db8::1]", TRUE},
        {"*@*.example.org", "sip:alice@sub.example.org", TRUE},
        {"*@*.example.org", "sip:alice@a.b.example.org", TRUE},
        {"*@*.example.org", "sip:alice@example.org", FALSE},
        {"*@*.example.org", "sip:alice@badexample.org", FALSE},
        {"tel:+4930*", "tel:+4930123", TRUE},
        {"tel:+49-30-*", "tel:+4930123", TRUE},
        {"tel:+4930*", "tel:+4930", TRUE},
        {"tel:+4930*", "tel:+493", FALSE},
        {"tel:+4930*", "tel:+4931123", FALSE},
        {"tel:+*", "tel:+1", TRUE},
        {"tel:+*", "sip:alice@example.org", FALSE},
        {"*", "sip:alice@example.org", FALSE},
        {"*@*", "sip:alice@example.org", FALSE},
        {"", "sip:alice@example.org", FALSE},
        {"sip:*@example.org", "sip:alice@example.org", FALSE},
    };

    for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_test_message("%s ~ %s", cases[i].pattern, cases[i].identity);
        g_assert_cmpint(clv_identity_match(cases[i].pattern, cases[i].identity), ==,
                        cases[i].matches);
    }
}

static void
test_pattern_check(void)
{
    static const char *const bad[] = {
        "",
        "*",
        "a*@x",
        "*@",
        "*@*",
        "*@*.",
        "*@a*",
        "*@*.*.org",
        "sip:*@x.org",
        "sip:%2a@x.org",
        "sip:a@*",
        "tel:*",
        "tel:+4*9",
        "tel:+49**",
        "tel:49*",
        "tel:+49;ext=1*",
        "tel:",
        "alice@example.org",
        "*@*.[::1]",
        "*@[::1]:5060",
        "*@example.org:5060",
        "*@[",
        "alice",
        "@staff",
        "!sip:a@b",
    };

    for (guint i = 0; i < G_N_ELEMENTS(bad); i++) {
        g_autoptr(GError) error = NULL;

        g_test_message("%s", bad[i]);
        g_assert_false(clv_identity_pattern_check(bad[i], &error));
        g_assert_nonnull(error);
        g_assert_nonnull(strstr(error->message, "expected"));
    }
    g_assert_true(clv_identity_pattern_check("*@example.org", NULL));
    g_assert_true(clv_identity_pattern_check("tel:+49*", NULL));
}

static void
test_pattern_canonical(void)
{
    g_autofree char *a = clv_identity_pattern_canonical("*@*.EXAMPLE.org.", NULL);
    g_autofree char *b = clv_identity_pattern_canonical("TEL:+49-3(0)*", NULL);
    g_autofree char *c = clv_identity_pattern_canonical("sips:a@B.org;x", NULL);

    g_assert_cmpstr(a, ==, "*@*.example.org");
    g_assert_cmpstr(b, ==, "tel:+4930*");
    g_assert_cmpstr(c, ==, "sip:a@b.org");
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/identity/equal-people-have-equal-texts", test_canonical);
    g_test_add_func("/identity/length-is-honoured-and-bounded", test_length);
    g_test_add_func("/identity/broken-uris-are-read-within-their-bounds", test_broken);
    g_test_add_func("/identity/anonymous-is-who-lives-in-invalid", test_anonymous);
    g_test_add_func("/identity/patterns-match-what-they-say", test_match);
    g_test_add_func("/identity/malformed-patterns-are-explained", test_pattern_check);
    g_test_add_func("/identity/equal-patterns-have-equal-texts", test_pattern_canonical);
    return g_test_run();
}
