/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/test-policy-operator.c - what the operator is shown, the samples, PINs, several files,
 * and what the manual says of each key
 */
#include "policy/policy-private.h"

#include <glib/gstdio.h>
#include <string.h>

#define F                                                                                          \
    "[policy]\nformat=1\n[factory f]\nuri=sip:factory.conf1@example.org\n"                         \
    "create-allow=*@example.org\n"

static ClvPolicy *
parse(const char *text)
{
    g_autoptr(GPtrArray) errors = g_ptr_array_new_with_free_func(g_free);
    ClvPolicy *policy = clv_policy_parse("test", text, strlen(text), errors);

    g_assert_cmpstr(errors->len > 0 ? errors->pdata[0] : NULL, ==, NULL);
    return policy;
}

static ClvPolicyView *
view_of(const char *text)
{
    g_autoptr(ClvPolicy) policy = parse(text);

    return clv_policy_view_factory(policy, "f");
}

/* ---- the samples ---- */

static const char *const samples[] = {"etc/policy.conf", "etc/policies/adhoc-service.conf",
                                      "etc/policies/board.conf", "etc/policies/lab.conf"};

static void
test_samples(void)
{
    for (guint i = 0; i < G_N_ELEMENTS(samples); i++) {
        g_autofree char *path = g_test_build_filename(G_TEST_DIST, samples[i], NULL);
        g_autoptr(GPtrArray) errors = g_ptr_array_new_with_free_func(g_free);
        g_autofree char *text = NULL;
        g_autoptr(ClvPolicy) policy = NULL;

        g_test_message("%s", samples[i]);
        g_assert_true(g_file_get_contents(path, &text, NULL, NULL));
        policy = clv_policy_parse(samples[i], text, strlen(text), errors);
        g_assert_cmpstr(errors->len > 0 ? errors->pdata[0] : NULL, ==, NULL);
        g_assert_cmpstr(clv_policy_warnings(policy)[0], ==, NULL);
        g_assert_cmpuint(clv_policy_n_factories(policy), >=, 1);
    }
}

/* The board's promise: nobody in but who is called, and only he. */
static void
test_board(void)
{
    static const char *const names[] = {"sip:bob@example.org", "sip:carol@example.org", NULL};
    g_autofree char *path = g_test_build_filename(G_TEST_DIST, "etc/policies/board.conf", NULL);
    g_autofree char *text = NULL;
    g_autoptr(ClvPolicy) policy = NULL;
    g_autoptr(ClvPolicyView) view = NULL;
    ClvPolicyFacts facts = {"sip:bob@example.org", CLV_PROOF_TICKET, .tls = TRUE,
                            .creator = "sip:alice@example.org", .ticket_names = names};

    g_assert_true(g_file_get_contents(path, &text, NULL, NULL));
    policy = parse(text);
    view = clv_policy_view_factory(policy, "board");
    g_assert_cmpstr(clv_policy_decide(view, CLV_OP_JOIN, &facts).reason, ==, "dial-in-off");
    g_assert_true(clv_policy_decide(view, CLV_OP_DIAL, &facts).allow);
    g_assert_true(clv_policy_decide(view, CLV_OP_REFER_ADD, &facts).allow);
    facts.answered_identity = "sip:bob@example.org";
    g_assert_true(clv_policy_decide(view, CLV_OP_ANSWER, &facts).allow);
    facts.answered_identity = "sip:carol@example.org";
    g_assert_cmpstr(clv_policy_decide(view, CLV_OP_ANSWER, &facts).reason, ==, "diverted");
    facts.identity = "sip:carol@example.org";
    g_assert_cmpstr(clv_policy_decide(view, CLV_OP_REFER_ADD, &facts).reason, ==,
                    "not-in-refer-allow");
}

/* ---- what is shown ---- */

typedef struct Shown {
    GHashTable *values, *origins;
} Shown;

static void
note(const char *key, const char *value, const char *origin, void *user)
{
    Shown *shown = user;

    g_assert_true(g_hash_table_insert(shown->values, g_strdup(key), g_strdup(value)));
    g_hash_table_insert(shown->origins, g_strdup(key), g_strdup(origin));
}

static Shown
show(const ClvPolicyView *view)
{
    Shown shown = {g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free),
                   g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free)};

    clv_policy_view_each(view, note, &shown);
    return shown;
}

static void
shown_clear(Shown *shown)
{
    g_hash_table_unref(shown->values);
    g_hash_table_unref(shown->origins);
}

#define HASH "pbkdf2-sha256$100000$c2FsdHNhbHQ=$"

static void
test_shown_values(void)
{
    static const char *const expected[][3] = {
        {"allow", "*@example.org and sip:bob@example.org;@more",
         "test:4 [default] allow, test:15 [factory f] allow"},
        {"deny", "sip:eve@example.org;sip:mallory@example.org",
         "test:5 [default] deny, test:16 [factory f] deny"},
        {"max-duration", "none", "test:6 [default] max-duration"},
        {"dial-out-timeout", "90s", "test:17 [factory f] dial-out-timeout"},
        {"lobby", "no", "built-in"},
        {"not-after", "2030-05-01T12:00:00Z", "test:8 [default] not-after"},
        {"trust", "192.0.2.0/24 and proxy.example.org", "test:18 [factory f] trust"},
        {"pin-hash", "pbkdf2-sha256$100000$...", "test:9 [default] pin-hash"},
        {"srtp-suites", "AEAD_AES_256_GCM", "test:10 [default] srtp-suites"},
        {"refer-allow", "owners;moderators", "built-in"},
    };
    g_autoptr(ClvPolicyView) view = view_of(
        "[policy]\nformat=1\n[default]\nallow=*@Example.ORG\ndeny=sip:eve@example.org\n"
        "max-duration=none\ntrust=192.0.2.0/24\nnot-after=2030-05-01T12:00:00Z\n"
        "pin-hash=" HASH "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n"
        "srtp-suites=AEAD_AES_256_GCM\nfinal=allow;trust\n"
        "[factory f]\nuri=sip:factory.conf1@example.org\ncreate-allow=any\n"
        "allow=sip:bob@example.org;@more\ndeny=sip:mallory@example.org\ndial-out-timeout=90\n"
        "trust=proxy.example.org\n[list more]\nmembers=sip:carol@example.org\n");
    Shown shown = show(view);

    g_assert_cmpuint(g_hash_table_size(shown.values), ==, N_KEYS);
    for (guint i = 0; i < G_N_ELEMENTS(expected); i++) {
        g_assert_cmpstr(g_hash_table_lookup(shown.values, expected[i][0]), ==, expected[i][1]);
        g_assert_cmpstr(g_hash_table_lookup(shown.origins, expected[i][0]), ==, expected[i][2]);
    }
    shown_clear(&shown);
}

/* What is shown can be written into a file, and means the same there. */
static void
test_shown_values_can_be_written(void)
{
    g_autoptr(ClvPolicyView) view = view_of(F "allow=any;!*@example.net;tel:+49*\nlobby=yes\n"
                                              "max-uri-list=7\nempty-timeout=1500ms\n"
                                              "trust=192.0.2.1;a.example.org\ndiversion=off\n");
    Shown shown = show(view);
    g_autoptr(GString) text = g_string_new("[policy]\nformat=1\n[factory f]\n"
                                           "uri=sip:factory.conf1@example.org\n");
    g_autoptr(ClvPolicyView) again = NULL;

    for (guint i = 0; i < N_KEYS; i++) {
        const char *name = clv_policy_keys[i].name;

        if (i != KEY_SCHEDULED)
            g_string_append_printf(text, "%s=%s\n", name,
                                   (const char *)g_hash_table_lookup(shown.values, name));
    }
    again = view_of(text->str);
    for (guint i = 0; i < N_KEYS; i++) {
        g_test_message("%s", clv_policy_keys[i].name);
        g_assert_true(clv_policy_rule_equal(view->rules[i], again->rules[i]));
    }
    shown_clear(&shown);
}

/* ---- PINs ---- */

static void
test_pin(void)
{
    static const guint8 salt[] = "saltsalt";
    static const char *const bad[] = {
        "",
        "4711",
        "md5$100000$c2FsdHNhbHQ=$AAAA",
        HASH "AAAA",
        "pbkdf2-sha256$99999$c2FsdHNhbHQ=$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
        "pbkdf2-sha256$100000000$c2FsdHNhbHQ=$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
        "pbkdf2-sha256$100000$c2Fs$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
        HASH "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=$",
        HASH "AAAA AAAAAAAAAAAAAAAAAAAAAAAA"};
    g_autofree char *hash = clv_policy_pin_hash_new("4711", salt, 8, 100000);

    /* computed with another implementation of PBKDF2 */
    g_assert_cmpstr(
        hash, ==, "pbkdf2-sha256$100000$c2FsdHNhbHQ=$R7PxFcRV4RUf89dPlpW1kZNwNw5hcphNQO+m1P+rH/g=");
    g_assert_true(clv_policy_pin_hash_is_valid(hash));
    g_assert_true(clv_policy_pin_fits(hash, "4711"));
    g_assert_false(clv_policy_pin_fits(hash, "4712"));
    g_assert_false(clv_policy_pin_fits(hash, "471"));
    g_assert_false(clv_policy_pin_fits(hash, "47110"));
    g_assert_false(clv_policy_pin_fits(hash, ""));
    for (guint i = 0; i < G_N_ELEMENTS(bad); i++) {
        g_test_message("%s", bad[i]);
        g_assert_false(clv_policy_pin_hash_is_valid(bad[i]));
        g_assert_false(clv_policy_pin_fits(bad[i], "4711"));
    }
    g_assert_null(clv_policy_pin_hash_new("47a1", salt, 8, 100000));
    g_assert_null(clv_policy_pin_hash_new("", salt, 8, 100000));
    g_assert_null(clv_policy_pin_hash_new("4711", salt, 7, 100000));
    g_assert_null(clv_policy_pin_hash_new("4711", salt, 8, 99999));
}

static void
test_pin_is_not_repeated(void)
{
    static const char text[] = F "pin=additional\npin-hash=4711\n";
    g_autoptr(GPtrArray) errors = g_ptr_array_new_with_free_func(g_free);

    g_assert_null(clv_policy_parse("test", text, strlen(text), errors));
    for (guint i = 0; i < errors->len; i++)
        g_assert_null(strstr(errors->pdata[i], "4711"));
}

static void
test_values(void)
{
    g_autoptr(ClvPolicyView) built_in = view_of(F);
    g_autoptr(ClvPolicyView) view = view_of(
        F "creation=redirect\nrefer-ticket=optional\nrefer-extends=yes\nrefer-duplicate=reject\n"
          "refer-status=200\npass-referred-by=yes\ninvite-by-refer=yes\ndial-out-timeout=7s\n"
          "dial-out-parallel=3\nmax-uri-list=0\ndiversion=allowed-set\nlobby-timeout=1m\n"
          "pin=additional\npin-hash=" HASH "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n"
          "pin-tries=5\npin-timeout=9s\nend-on-expiry=yes\npersist=yes\nkms-timeout=700ms\n"
          "share-uri-list=yes\nforeign-kms=relay\n");

#define BOTH(type, name, default_value, value)                                                     \
    g_assert_cmp##type(clv_policy_##name(built_in), ==, default_value);                            \
    g_assert_cmp##type(clv_policy_##name(view), ==, value)
    BOTH(int, creation_redirects, FALSE, TRUE);
    BOTH(int, refer_needs_ticket, TRUE, FALSE);
    BOTH(int, refer_extends, FALSE, TRUE);
    BOTH(int, refer_rejects_duplicate, FALSE, TRUE);
    BOTH(int, refer_plain_200, FALSE, TRUE);
    BOTH(int, pass_referred_by, FALSE, TRUE);
    BOTH(int, invite_by_refer, FALSE, TRUE);
    BOTH(int, dial_out_timeout_ms, 60000, 7000);
    BOTH(uint, dial_out_parallel, 8, 3);
    BOTH(uint, max_uri_list, 100, 0);
    BOTH(int, share_uri_list, FALSE, TRUE);
    BOTH(int, follows_diversion, FALSE, TRUE);
    BOTH(int, lobby_timeout_ms, 300000, 60000);
    BOTH(str, pin_hash, "", HASH "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=");
    BOTH(uint, pin_tries, 3, 5);
    BOTH(int, pin_timeout_ms, 30000, 9000);
    BOTH(int, end_on_expiry, FALSE, TRUE);
    BOTH(int, persist, FALSE, TRUE);
    BOTH(int, kms_timeout_ms, 3000, 700);
    BOTH(int, relays_foreign_kms, FALSE, TRUE);
}

/* ---- files ---- */

static char *
write_file(const char *folder, const char *name, const char *text, int mode)
{
    char *path = g_build_filename(folder, name, NULL);

    g_assert_true(g_file_set_contents(path, text, -1, NULL));
    g_assert_cmpint(g_chmod(path, mode), ==, 0);
    return path;
}

static void
test_several_files(void)
{
    g_autofree char *folder = g_dir_make_tmp("policy-XXXXXX", NULL);
    g_autofree char *main = write_file(folder, "policy.conf", F "locked=no\n", 0644);
    g_autofree char *more = write_file(folder, "more.conf", "[factory f]\nlocked=yes\n", 0644);
    g_autofree char *pin = write_file(
        folder, "pin.conf",
        "[factory f]\npin-hash=" HASH "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n", 0644);
    const char *const both[] = {main, more, NULL}, *const exposed[] = {main, pin, NULL},
                      *const none[] = {main, "/nowhere/at.all", NULL};
    g_autoptr(GPtrArray) errors = g_ptr_array_new_with_free_func(g_free);
    g_autoptr(ClvPolicy) policy = clv_policy_load_all(both, errors);
    g_autoptr(ClvPolicyView) view = clv_policy_view_factory(policy, "f");
    g_autoptr(ClvPolicy) private = NULL;
    g_autofree char *expected = g_strdup_printf(
        "%s: found mode 0644 and a pin-hash, expected a file that others cannot read (chmod o-r)",
        pin);

    g_assert_true(clv_policy_locked(view));
    g_assert_null(clv_policy_load_all(none, errors));
    g_assert_null(clv_policy_load_all(exposed, errors));
    g_assert_cmpuint(errors->len, ==, 2);
    g_assert_cmpstr(errors->pdata[1], ==, expected);
    g_assert_cmpint(g_chmod(pin, 0640), ==, 0);
    private = clv_policy_load_all(exposed, errors);
    g_assert_nonnull(private);
    g_unlink(main);
    g_unlink(more);
    g_unlink(pin);
    g_rmdir(folder);
}

/* A drop-in alone does not make a policy of a file that may be none. */
static void
test_format_in_main_file(void)
{
    static const struct {
        const char *main, *dropin;
        gboolean good;
    } rows[] = {
        {"[default]\nlobby=no\n", "[policy]\nformat=1\n", FALSE},
        {"[policy]\nstrict=yes\n", "[policy]\nformat=1\n", FALSE},
        {"[policy]\nformat=1\n", "[policy]\nformat=1\n", TRUE},
        {"[policy]\nformat=1\n", "[policy]\nstrict=no\n", TRUE},
        {"[policy]\nformat=1\n", "[policy]\nformat=2\n", FALSE},
    };
    g_autofree char *folder = g_dir_make_tmp("policy-XXXXXX", NULL);

    for (guint i = 0; i < G_N_ELEMENTS(rows); i++) {
        g_autofree char *main = write_file(folder, "policy.conf", rows[i].main, 0640);
        g_autofree char *dropin = write_file(folder, "more.conf", rows[i].dropin, 0640);
        const char *const both[] = {main, dropin, NULL};
        g_autoptr(GPtrArray) errors = g_ptr_array_new_with_free_func(g_free);

        clv_policy_unref(clv_policy_load_all(both, errors));
        g_assert_cmpuint(errors->len, ==, rows[i].good ? 0 : 1);
        if (!rows[i].good)
            g_assert_nonnull(strstr(errors->pdata[0], "[policy] format: found "));
        g_unlink(main);
        g_unlink(dropin);
    }
    g_rmdir(folder);
}

/* ---- the manual ---- */

static void
man_says_range(const Key *key, const char *paragraph)
{
    g_autofree char *range = NULL;

    if (key->kind == KIND_INT) {
        range = g_strdup_printf("%d to %d", (int)key->min, (int)key->max);
    } else if (key->kind == KIND_TIME) {
        g_autofree char *min = clv_policy_format_time(key->min);
        g_autofree char *max = clv_policy_format_time(key->max);

        range = g_strdup_printf("%s to %s%s", min, max, key->none_allowed ? " or none" : "");
    }
    if (range != NULL && strstr(paragraph, range) == NULL)
        g_error("%s: %s in %s", key->name, range, paragraph);
}

/* How two values combine, and what a reload does. */
static void
man_says_columns(const Key *key, const char *paragraph)
{
    static const char *const lives[] = {
        [LIVE_ANY] = "any.", [LIVE_TIGHTEN] = "tightens.", [LIVE_NEW] = "new."};
    static const char *const narrows[][KIND_PEERS + 1] = {
        [NARROW_AND] = {[KIND_BOOL] = "No wins",
                        [KIND_IDS] = "Both lists must hold",
                        [KIND_SET] = "Both sets must hold",
                        [KIND_PEERS] = "Both lists must hold"},
        [NARROW_MAX] =
            {[KIND_BOOL] = "Yes wins", [KIND_IDS] = "Lists unite", [KIND_DATE] = "The later one"},
        [NARROW_MIN] =
            {[KIND_INT] = "Minimum", [KIND_TIME] = "Minimum", [KIND_DATE] = "The earlier one"},
        [NARROW_STRICT] = {[KIND_ENUM] = "Stricter to the right"},
        [NARROW_NO] = {NULL},
    };
    const char *narrow = narrows[key->narrow][key->kind];
    const char *live = key->live == LIVE_TIGHTEN && key->narrow == NARROW_NO
                           ? "taken over by .B reload\\-running=all alone."
                           : lives[key->live];
    g_autofree char *ending =
        g_strdup_printf("%s; %s", narrow != NULL ? narrow : "Not combined", live);

    if (!g_str_has_suffix(paragraph, ending))
        g_error("%s: %s at the end of %s", key->name, ending, paragraph);
}

static void
test_manual_names_every_key(void)
{
    static const char *const structural[] = {
        "format", "strict", "reload\\-running", "inherit", "template", "final",
        "uri",    "match",  "factory",          "members"};
    g_autofree char *path = g_test_build_filename(G_TEST_DIST, "man", "conclave-policy.5", NULL);
    g_autofree char *text = NULL;

    g_assert_true(g_file_get_contents(path, &text, NULL, NULL));
    for (guint i = 0; i < G_N_ELEMENTS(structural); i++) {
        g_autofree char *tag = g_strdup_printf("\n.TP\n.B %s\n", structural[i]);

        g_test_message("%s", structural[i]);
        g_assert_nonnull(strstr(text, tag));
    }
    for (guint i = 0; i < N_KEYS; i++) {
        const Key *key = &clv_policy_keys[i];
        g_autoptr(GString) name = g_string_new(key->name);
        g_autoptr(GString) fallback =
            g_string_new(key->fallback[0] != '\0' ? key->fallback : "empty");
        g_autofree char *tag = NULL, *paragraph = NULL, *says = NULL;
        const char *start, *end;

        g_string_replace(name, "-", "\\-", 0);
        g_string_replace(fallback, "-", "\\-", 0);
        tag = g_strdup_printf("\n.TP\n.B %s\n", name->str);
        start = strstr(text, tag);
        g_test_message("%s", key->name);
        g_assert_nonnull(start);
        end = start + strlen(tag);
        while (end != NULL && !g_str_has_prefix(end, "\n.TP") && !g_str_has_prefix(end, "\n.S"))
            end = strchr(end + 1, '\n');
        paragraph = end != NULL ? g_strndup(start, (gsize)(end - start)) : g_strdup(start);
        g_strdelimit(paragraph, "\n", ' ');
        man_says_range(key, paragraph);
        if (i != KEY_MODERATORS && key->served != (1u << SECURE_REQUIRED))
            man_says_columns(key, paragraph);
        says = i == KEY_SRTP_SUITES ? g_strdup("(these are the default, in this order)")
                                    : g_strdup_printf("default %s", fallback->str);
        g_assert_nonnull(strstr(paragraph, says));
    }
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/policy/samples/load-without-a-warning", test_samples);
    g_test_add_func("/policy/samples/R057-the-board-is-called-and-calls-in-never", test_board);
    g_test_add_func("/policy/show/each-key-once-with-value-and-line", test_shown_values);
    g_test_add_func("/policy/show/what-is-shown-can-be-written", test_shown_values_can_be_written);
    g_test_add_func("/policy/pin/fits-its-hash-alone", test_pin);
    g_test_add_func("/policy/pin/is-not-repeated-in-errors", test_pin_is_not_repeated);
    g_test_add_func("/policy/view/values-of-calls-lobby-and-pin", test_values);
    g_test_add_func("/policy/files/R033-several-files-and-who-may-read-a-pin", test_several_files);
    g_test_add_func("/policy/load/manual-names-every-key", test_manual_names_every_key);
    g_test_add_func("/policy/files/format-stands-in-the-main-file", test_format_in_main_file);
    return g_test_run();
}
