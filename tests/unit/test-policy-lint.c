/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/test-policy-lint.c - what is legal but surely not meant is warned of, and nothing else */
#include "policy/policy.h"

#include <string.h>

#define P "[policy]\nformat=1\n"
#define F P "[factory f]\nuri=sip:factory.conf1@example.org\ncreate-allow=*@example.org\n"
#define C                                                                                          \
    F "[conference c]\nuri=sip:c.conf1@example.org\nscheduled=yes\nno-ticket-list=policy\n"        \
      "allow=*@example.org\n"

/* clang-format off */
static const struct {
    const char *text;
    const char *warning; /* the only one; NULL: none */
} rows[] = {
    {F, NULL},
    {C, NULL},
    /* values that nobody has a use for */
    {F "pin-tries=3\n", "test:6: [factory f] pin-tries: found a value that nobody has a use for, "
                        "expected it together with pin=additional"},
    {F "lobby-timeout=1m\n", "test:6: [factory f] lobby-timeout: found a value that nobody has a "
                             "use for, expected it together with lobby=yes"},
    {F "lobby-timeout=1m\nlobby=yes\n", NULL},
    {F "creator-grace=1m\n", "test:6: [factory f] creator-grace: found a value that nobody has a "
                             "use for, expected it together with end-when-creator-leaves=yes"},
    {F "dial-out=no\ndiversion=off\n",
     "test:7: [factory f] diversion: found a value that nobody has a use for, expected it together "
     "with dial-out=yes"},
    {F "max-uri-list=0\nshare-uri-list=yes\n",
     "test:7: [factory f] share-uri-list: found a value that nobody has a use for, expected it "
     "together with max-uri-list above 0"},
    {C "create-empty=yes\n", "test:11: [conference c] create-empty: found a value that nobody has "
     "a use for, expected it together with a creator, whom a scheduled conference has not"},
    /* one who has a use for it is enough */
    {P "[default]\nlobby-timeout=1m\n[factory f]\nuri=sip:factory.a@example.org\ncreate-allow=any\n"
       "[factory g]\nuri=sip:factory.b@example.org\ncreate-allow=any\nlobby=yes\n", NULL},
    /* factories that nobody can use */
    {P "[factory f]\nuri=sip:factory.conf1@example.org\n",
     "test:3: [factory f] create-allow: found nothing: nobody can use this factory"},
    {F "create-allow=nobody\n",
     "test:6: [factory f] create-allow: found a list that names nobody: nobody can use this factory"},
    {F "create-allow=sip:alice@example.org;!*@example.org\n",
     "test:6: [factory f] create-allow: found a list that names nobody: nobody can use this factory"},
    {F "create-allow=@none\n[list none]\nmembers=nobody\n",
     "test:6: [factory f] create-allow: found a list that names nobody: nobody can use this factory"},
    /* allow */
    {F "allow=\n", "test:6: [factory f] allow: found a list that names nobody: only the creator "
                   "can join"},
    {F "allow=nobody\n", "test:6: [factory f] allow: found a list that names nobody: only the "
                         "creator can join"},
    {C "allow=nobody\n", "test:11: [conference c] allow: found a list that names nobody: nobody can "
                         "join"},
    {P "[default]\nfinal=allow\nallow=*@example.org\n"
       "[factory f]\nuri=sip:factory.conf1@example.org\ncreate-allow=any\nallow=*@example.net\n",
     "test:9: [factory f] allow: found two lists that both must hold, as one is final, and that "
     "have nobody in common"},
    {P "[default]\nfinal=allow\nallow=*@example.org\n"
       "[factory f]\nuri=sip:factory.conf1@example.org\ncreate-allow=any\nallow=sip:a@example.org\n",
     NULL},
    {F "ticket-authority=extend\nallow=any\n",
     "test:7: [factory f] allow: found 'any' with ticket-authority=extend: everybody may come, "
     "whomever a ticket names"},
    /* deny */
    {F "allow=*@example.org\ndeny=sip:eve@example.net\n",
     "test:7: [factory f] deny: found 'sip:eve@example.net', whom nothing would let in: it denies "
     "nobody"},
    {F "allow=*@example.org\ndeny=sip:eve@example.org;*@*.example.net\n",
     "test:7: [factory f] deny: found '*@*.example.net', whom nothing would let in: it denies "
     "nobody"},
    {F "deny=sip:eve@example.net\n", NULL}, /* a ticket could name her */
    {F "allow=*@example.net\ndeny=sip:eve@example.org\n", NULL}, /* she could create */
    {F "allow=*@*.example.org\ncreate-allow=any\ndeny=*@a.b.example.org\n", NULL},
    {F "deny=any\n", "test:6: [factory f] deny: found 'any': everybody is denied, the creator too"},
    /* people with a role who can never be in */
    {C "owners=sip:x@example.net\n", "test:11: [conference c] owners: found 'sip:x@example.net', who "
     "may change, lock and end the conference, but not join"},
    {C "moderators=@helpers\n[list helpers]\nmembers=sip:x@example.net\n",
     "test:11: [conference c] moderators: found '@helpers', who may remove and admit people, but "
     "not join"},
    {C "refer-allow=tel:+49*\n", "test:11: [conference c] refer-allow: found 'tel:+49*', who may "
     "have people called, but not join"},
    {C "owners=sip:x@example.org\n", NULL},
    /* nobody in charge */
    {C "lobby=yes\n", "test:11: [conference c] lobby: found 'yes', but neither owners= nor "
                      "moderators= names anybody who could let people in"},
    {C "lobby=yes\nmoderators=sip:x@example.org\n", NULL},
    {F "lobby=yes\n", NULL},
    {F "lobby=yes\nowners=nobody\nmoderators=nobody\n",
     "test:6: [factory f] lobby: found 'yes', but neither owners= nor moderators= names anybody "
     "who could let people in"},
    {C "join-before-creator=no\n",
     "test:11: [conference c] join-before-creator: found 'no' in a scheduled conference without "
     "owners: nobody can ever join"},
    {C "dial-in=no\n", "test:11: [conference c] dial-in: found 'no' in a scheduled conference "
                       "without owners and moderators: nobody can have anybody called"},
    /* ways in */
    {F "dial-in=no\ndiversion=off\n",
     "test:7: [factory f] diversion: found 'off' with dial-in=no: whoever answers a call is taken "
     "for who was called"},
    {F "dial-in=no\nrefer-allow=nobody\nmax-uri-list=0\n",
     "test:7: [factory f] refer-allow: found nobody, with dial-in=no and max-uri-list=0: only the "
     "creator can be in"},
    /* groups that nobody needs */
    {F "[template t]\nlocked=yes\n", "test:6: [template t]: found a template that nobody uses"},
    {F "template=b\n[template a]\nlocked=yes\n[template b]\ninherit=a\n", NULL},
    {F "[list l]\nmembers=any\n", "test:6: [list l]: found a list that nobody names"},
    {F "deny=@l\n[list l]\nmembers=@m\n[list m]\nmembers=sip:a@example.org\n", NULL},
    {F "[conference m]\nmatch=sip:*.hall@example.org\nlocked=yes\n",
     "test:7: [conference m] match: found 'sip:*.hall@example.org', which no [conference uri=] "
     "needs: it says nothing"},
    /* exclusions */
    {F "allow=*@example.org;!sip:eve@example.net\n",
     "test:6: [factory f] allow: found '!sip:eve@example.net', whom nothing else in this list "
     "names"},
    {F "allow=*@example.org;!sip:eve@example.org\n", NULL},
    {F "allow=any;!*@example.net\n", NULL},
    {F "deny=@l\n[list l]\nmembers=sip:a@example.org;!tel:+49*\n",
     "test:8: [list l] members: found '!tel:+49*', whom nothing else in this list names"},
};
/* clang-format on */

static void
test_rows(void)
{
    for (guint i = 0; i < G_N_ELEMENTS(rows); i++) {
        g_autoptr(GPtrArray) errors = g_ptr_array_new_with_free_func(g_free);
        g_autoptr(ClvPolicy) policy =
            clv_policy_parse("test", rows[i].text, strlen(rows[i].text), errors);
        g_autoptr(GPtrArray) found = g_ptr_array_new();

        g_test_message("row %u: %s", i, rows[i].text);
        g_assert_cmpstr(errors->len > 0 ? errors->pdata[0] : NULL, ==, NULL);
        for (const char *const *w = clv_policy_warnings(policy); *w != NULL; w++) {
            if (strstr(*w, "stands already in line") == NULL) /* the rows override each other */
                g_ptr_array_add(found, (gpointer)*w);
        }
        g_assert_cmpstr(found->len > 0 ? found->pdata[0] : NULL, ==, rows[i].warning);
        g_assert_cmpuint(found->len, <=, 1);
    }
}

/* Lists of thousands in thousands of factories: looked at in part, and in time. */
static void
test_large(void)
{
    g_autoptr(GString) text = g_string_new(P "[list l]\nmembers=");
    g_autoptr(GPtrArray) errors = g_ptr_array_new_with_free_func(g_free);
    g_autoptr(ClvPolicy) policy = NULL;
    gint64 before;

    for (guint i = 0; i < 10000; i++)
        g_string_append_printf(text, "sip:user%u@example.org;", i);
    g_string_append(text, "\n[default]\nallow=@l\ndeny=@l;sip:eve@example.net\nowners=@l\n"
                          "create-allow=@l\n");
    for (guint i = 0; i < 5000; i++)
        g_string_append_printf(text, "[factory f%u]\nuri=sip:factory.s%u@example.org\n", i, i);
    before = g_get_monotonic_time();
    policy = clv_policy_parse("test", text->str, text->len, errors);
    g_assert_nonnull(policy);
    g_test_message("%" G_GINT64_FORMAT " ms", (g_get_monotonic_time() - before) / 1000);
    g_assert_cmpint(g_get_monotonic_time() - before, <, 20 * G_USEC_PER_SEC);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/policy/lint/each-oddity-has-one-warning-and-sound-files-none", test_rows);
    g_test_add_func("/policy/lint/large-files-are-read-in-time", test_large);
    return g_test_run();
}
