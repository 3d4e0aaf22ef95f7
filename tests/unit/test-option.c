/* SPDX-License-Identifier: Apache-2.0 */
/* Is a configuration taken as it stands, and every mistake in it explained with its line? */
#include "config.h"

#include "base/option.h"

#include <string.h>
#include <unistd.h>

#include <glib/gstdio.h>

#define N(text) (text), sizeof(text) - 1

static GPtrArray *
new_errors(void)
{
    return g_ptr_array_new_with_free_func(g_free);
}

/* The only error is this one. */
static void
assert_error(GPtrArray *errors, const char *expected)
{
    g_assert_cmpuint(errors->len, ==, 1);
    g_assert_cmpstr(errors->pdata[0], ==, expected);
}

/* ---- INI ---- */

static void
test_ini_reads(void)
{
    static const char text[] = "\xef\xbb\xbf# comment\n"
                               "\n"
                               "[one]\r\n"
                               "  a = 1  # no comment\r\n"
                               "b=\n"
                               "  # comment\n"
                               "[ two 2 ]\t\n"
                               "c=x=y=\xc3\xbc\n"
                               "[empty]\n"
                               "[three]\n"
                               "d\t=\tlast without newline";
    static const ClvIniEntry want[] = {{"one", "a", "1  # no comment", 4},
                                       {"one", "b", "", 5},
                                       {"two 2", "c", "x=y=\xc3\xbc", 8},
                                       {"three", "d", "last without newline", 11}};
    static const char *const groups[] = {"one", "two 2", "empty", "three"};
    static const guint lines[] = {3, 7, 9, 10};
    g_autoptr(GPtrArray) errors = new_errors();
    g_autoptr(ClvIni) ini = clv_ini_parse("f", N(text), errors);

    g_assert_cmpuint(errors->len, ==, 0);
    g_assert_cmpstr(clv_ini_name(ini), ==, "f");
    g_assert_cmpuint(clv_ini_n_warnings(ini), ==, 0);
    g_assert_cmpuint(clv_ini_n_entries(ini), ==, G_N_ELEMENTS(want));
    for (guint i = 0; i < G_N_ELEMENTS(want); i++) {
        const ClvIniEntry *entry = clv_ini_entry(ini, i);

        g_assert_cmpstr(entry->group, ==, want[i].group);
        g_assert_cmpstr(entry->key, ==, want[i].key);
        g_assert_cmpstr(entry->value, ==, want[i].value);
        g_assert_cmpuint(entry->line, ==, want[i].line);
        g_assert_true(clv_ini_find(ini, want[i].group, want[i].key) == entry);
    }
    g_assert_null(clv_ini_find(ini, "one", "c"));
    g_assert_null(clv_ini_find(ini, "none", "a"));
    g_assert_cmpuint(clv_ini_n_groups(ini), ==, G_N_ELEMENTS(groups));
    for (guint i = 0; i < G_N_ELEMENTS(groups); i++) {
        guint line;

        g_assert_cmpstr(clv_ini_group(ini, i, &line), ==, groups[i]);
        g_assert_cmpuint(line, ==, lines[i]);
    }
    {
        guint n = 17;

        g_assert_null(clv_ini_group_entries(ini, 2, &n)); /* [empty] */
        g_assert_cmpuint(n, ==, 0);
    }
}

static void
test_ini_nothing(void)
{
    g_autoptr(GPtrArray) errors = new_errors();
    g_autoptr(ClvIni) none = clv_ini_parse("f", "", 0, errors);
    g_autoptr(ClvIni) bom = clv_ini_parse("f", N("\xef\xbb\xbf"), errors);

    g_assert_cmpuint(errors->len, ==, 0);
    g_assert_cmpuint(clv_ini_n_entries(none), ==, 0);
    g_assert_cmpuint(clv_ini_n_groups(bom), ==, 0);
}

static void
test_ini_twice(void)
{
    static const char text[] = "[a]\nx=1\ny=1\n[b]\nx=2\n[a]\nx=3\nz=4\nx=5\n";
    g_autoptr(GPtrArray) errors = new_errors();
    g_autoptr(ClvIni) ini = clv_ini_parse("f", N(text), errors);

    g_assert_cmpuint(errors->len, ==, 0);
    g_assert_cmpuint(clv_ini_n_groups(ini), ==, 2);
    g_assert_cmpuint(clv_ini_n_entries(ini), ==, 4);
    g_assert_cmpstr(clv_ini_find(ini, "a", "x")->value, ==, "5");
    g_assert_cmpuint(clv_ini_find(ini, "a", "x")->line, ==, 9);
    g_assert_cmpstr(clv_ini_find(ini, "a", "y")->value, ==, "1");
    g_assert_cmpstr(clv_ini_find(ini, "a", "z")->value, ==, "4");
    g_assert_cmpstr(clv_ini_find(ini, "b", "x")->value, ==, "2");
    {
        static const char *const keys[] = {"y", "z", "x"};
        guint n;
        const ClvIniEntry *entries = clv_ini_group_entries(ini, 0, &n);

        g_assert_cmpuint(n, ==, G_N_ELEMENTS(keys));
        for (guint i = 0; i < n; i++) {
            g_assert_cmpstr(entries[i].group, ==, "a");
            g_assert_cmpstr(entries[i].key, ==, keys[i]);
        }
        entries = clv_ini_group_entries(ini, 1, &n);
        g_assert_cmpuint(n, ==, 1);
        g_assert_true(clv_ini_find(ini, "b", "x") == entries);
    }
    g_assert_cmpuint(clv_ini_n_warnings(ini), ==, 3);
    g_assert_cmpstr(clv_ini_warning(ini, 0), ==,
                    "f:6: the group [a] stands already in line 1; both are taken together");
    g_assert_cmpstr(clv_ini_warning(ini, 1), ==,
                    "f:7: [a] x stands already in line 2; this one counts");
    g_assert_cmpstr(clv_ini_warning(ini, 2), ==,
                    "f:9: [a] x stands already in line 7; this one counts");
}

static void
test_ini_errors(void)
{
    static const struct {
        const char *text;
        gsize len;
        const char *error;
    } cases[] = {
        {N("[a]\nx"),
         "f:2: found a line without '=', expected key=value, [group] or a comment that "
         "starts with '#'"},
        {N("x=1\n[a]"), "f:1: found the key 'x' before the first [group]"},
        {N("[a\nx=1"),
         "f:1: found a group header without a closing ']' at its end, expected [name]"},
        {N("[a] # no\nx=1"),
         "f:1: found a group header without a closing ']' at its end, expected [name]"},
        {N("["), "f:1: found a group header without a closing ']' at its end, expected [name]"},
        {N("[]"), "f:1: found the group name '', expected a name without '[' and ']'"},
        {N("[ ]"), "f:1: found the group name '', expected a name without '[' and ']'"},
        {N("[a[b]"), "f:1: found the group name 'a[b', expected a name without '[' and ']'"},
        {N("[a]\n=1"), "f:2: found the key '', expected a name without '[', ']', ';' and '#'"},
        {N("[a]\n; x=1"),
         "f:2: found the key '; x', expected a name without '[', ']', ';' and '#'"},
        {N("[a]\n\nx=\xff"), "f:3: found an octet 0xff that is not UTF-8, expected UTF-8 text"},
        {N("[a]\nx=\xc3"), "f:2: found an octet 0xc3 that is not UTF-8, expected UTF-8 text"},
        {N("[a]\nx=a\0b"), "f:2: found an octet 0x00 that is not UTF-8, expected UTF-8 text"},
        {N("[a]\nx=\x1b[1m"), "f:2: found a control character, expected text and tabs"},
        {N("[a]\nx=a\rb=c"), "f:2: found a control character, expected text and tabs"},
    };

    for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(GPtrArray) errors = new_errors();

        g_assert_null(clv_ini_parse("f", cases[i].text, cases[i].len, errors));
        assert_error(errors, cases[i].error);
    }
}

static void
test_ini_all_errors(void)
{
    g_autoptr(GPtrArray) errors = new_errors();

    g_assert_null(clv_ini_parse("f", N("[a]\nx\ny\n=2\n[b\nignored=1\n"), errors));
    g_assert_cmpuint(errors->len, ==, 4);
    for (guint i = 0; i < errors->len; i++) {
        g_autofree char *where = g_strdup_printf("f:%u: ", i + 2);

        g_assert_true(g_str_has_prefix(errors->pdata[i], where));
    }
}

static void
test_ini_keeps_values_to_itself(void)
{
    g_autoptr(GPtrArray) errors = new_errors();

    clv_ini_parse("f", N("[a]\ndeadbeef00\nx=deadbeef00\nx=deadbeef00\n[b\n"), errors);
    g_assert_cmpuint(errors->len, ==, 2);
    for (guint i = 0; i < errors->len; i++)
        g_assert_null(strstr(errors->pdata[i], "deadbeef"));
}

static void
test_ini_many_groups(void)
{
    g_autoptr(GPtrArray) errors = new_errors();
    g_autoptr(GString) text = g_string_new(NULL);
    g_autoptr(ClvIni) ini = NULL;

    for (guint i = 0; i < CLV_INI_MAX_GROUPS; i++)
        g_string_append_printf(text, "[g%u]\nk=%u\n", i, i);
    ini = clv_ini_parse("f", text->str, text->len, errors);
    g_assert_nonnull(ini);
    g_assert_cmpuint(clv_ini_n_groups(ini), ==, CLV_INI_MAX_GROUPS);
    g_assert_cmpstr(clv_ini_find(ini, "g99999", "k")->value, ==, "99999");

    g_string_append(text, "[one more]\n");
    g_assert_null(clv_ini_parse("f", text->str, text->len, errors));
    assert_error(errors, "f:200001: found more than 100000 groups");
}

static void
test_ini_any_bytes(void)
{
    static const char alphabet[] = "[]=#;\\ \t\r\nab\0\xc3\xbc\xff";

    for (guint turn = 0; turn < 20000; turn++) {
        g_autoptr(GPtrArray) errors = new_errors();
        gsize len = (gsize)g_test_rand_int_range(0, 24);
        g_autofree char *text = g_malloc(len + 1);
        g_autoptr(ClvIni) ini = NULL;

        for (gsize i = 0; i < len; i++)
            text[i] = alphabet[g_test_rand_int_range(0, sizeof(alphabet) - 1)];
        ini = clv_ini_parse("f", text, len, errors);
        g_assert_true((ini == NULL) == (errors->len > 0));
    }
}

static void
test_ini_files(void)
{
    g_autoptr(GPtrArray) errors = new_errors();
    g_autofree char *path = NULL, *expected = NULL;
    g_autoptr(GString) text = g_string_new("[a]\n");
    g_autoptr(ClvIni) ini = NULL, private = NULL;
    int fd = g_file_open_tmp("ini-XXXXXX", &path, NULL);

    for (guint i = 0; i < 3000; i++)
        g_string_append_printf(text, "k%u=%u\n", i, i);
    g_assert_cmpint(write(fd, text->str, text->len), ==, text->len);
    close(fd);

    ini = clv_ini_read(path, text->len, errors);
    g_assert_nonnull(ini);
    g_assert_cmpuint(clv_ini_n_entries(ini), ==, 3000);
    private = clv_ini_read_private(path, text->len, errors);
    g_assert_nonnull(private);

    g_assert_null(clv_ini_read(path, text->len - 1, errors));
    expected =
        g_strdup_printf("%s: found more than %" G_GSIZE_FORMAT " bytes", path, text->len - 1);
    assert_error(errors, expected);
    g_ptr_array_set_size(errors, 0);

    g_assert_cmpint(g_chmod(path, 0644), ==, 0);
    g_assert_null(clv_ini_read_private(path, text->len, errors));
    g_assert_cmpuint(errors->len, ==, 1);
    g_assert_nonnull(strstr(errors->pdata[0], "found mode 0644"));
    g_ptr_array_set_size(errors, 0);

    g_unlink(path);
    g_assert_null(clv_ini_read(path, text->len, errors));
    g_assert_cmpuint(errors->len, ==, 1);
    g_ptr_array_set_size(errors, 0);
    g_assert_null(clv_ini_read(g_get_tmp_dir(), 100, errors));
    g_assert_cmpuint(errors->len, ==, 1);
}

static void
test_lists(void)
{
    static const struct {
        const char *value;
        const char *parts[5];
    } cases[] = {
        {"", {NULL}},
        {"  ", {NULL}},
        {"a", {"a", NULL}},
        {"a;", {"a", NULL}},
        {" a ; b c ;", {"a", "b c", NULL}},
        {"a;;b", {"a", "", "b", NULL}},
        {";", {"", NULL}},
        {";a", {"", "a", NULL}},
        {"sip:a@b\\;x=1;c", {"sip:a@b;x=1", "c", NULL}},
        {"a\\\\;b\\x", {"a\\", "b\\x", NULL}},
        {"a\\", {"a\\", NULL}},
    };

    for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_auto(GStrv) parts = clv_ini_split_list(cases[i].value), again = NULL;
        g_autofree char *joined = clv_ini_join_list((const char *const *)parts);

        g_assert_cmpstrv(parts, cases[i].parts);
        again = clv_ini_split_list(joined);
        g_assert_cmpstrv(again, cases[i].parts);
    }
}

/* ---- values ---- */

static void
test_bool(void)
{
    static const char *const yes[] = {"yes", "true", "on", "1"};
    static const char *const no[] = {"no", "false", "off", "0"};
    static const char *const bad[] = {"", "Yes", "2", "yes ", "y", "no  # never"};
    g_autoptr(GError) error = NULL;
    gboolean value;

    for (guint i = 0; i < 4; i++) {
        value = FALSE;
        g_assert_true(clv_parse_bool(yes[i], &value, NULL) && value);
        g_assert_true(clv_parse_bool(no[i], &value, NULL) && !value);
    }
    value = 17;
    for (guint i = 0; i < G_N_ELEMENTS(bad); i++)
        g_assert_false(clv_parse_bool(bad[i], &value, NULL));
    g_assert_cmpint(value, ==, 17);
    g_assert_false(clv_parse_bool("ja", &value, &error));
    g_assert_cmpstr(error->message, ==,
                    "found 'ja', expected yes, no, true, false, on, off, 1 or 0");
}

static void
test_int(void)
{
    static const char *const bad[] = {
        "", "-", "1x", " 1", "1 ", "+1", "0x10", "1e3", "11", "-3", "99999999999999999999"};
    g_autoptr(GError) error = NULL;
    gint64 value = 0;

    g_assert_true(clv_parse_int("10", -2, 10, &value, NULL));
    g_assert_cmpint(value, ==, 10);
    g_assert_true(clv_parse_int("-2", -2, 10, &value, NULL));
    g_assert_cmpint(value, ==, -2);
    for (guint i = 0; i < G_N_ELEMENTS(bad); i++)
        g_assert_false(clv_parse_int(bad[i], -2, 10, &value, NULL));
    g_assert_cmpint(value, ==, -2);
    g_assert_true(clv_parse_int("9223372036854775807", 0, G_MAXINT64, &value, NULL));
    g_assert_cmpint(value, ==, G_MAXINT64);
    g_assert_false(clv_parse_int("9223372036854775808", G_MININT64, G_MAXINT64, &value, NULL));
    g_assert_false(clv_parse_int("11", -2, 10, &value, &error));
    g_assert_cmpstr(error->message, ==, "found '11', expected a number from -2 to 10");
}

static void
test_time(void)
{
    static const struct {
        const char *text;
        gint64 ms;
    } good[] = {{"3", 3000},       {"0", 0},       {"200ms", 200},
                {"3s", 3000},      {"5m", 300000}, {"1h", 3600000},
                {"2d", 172800000}, {"none", 0},    {"106751991167d", 9223372036828800000}};
    static const char *const bad[] = {
        "",   "s",    "-1s",   "1.5s",          "3 s",
        "3S", "3min", "never", "106751991168d", "18446744073709551616ms"};
    gint64 value = -1;

    for (guint i = 0; i < G_N_ELEMENTS(good); i++) {
        g_assert_true(clv_parse_time_ms(good[i].text, &value, NULL));
        g_assert_cmpint(value, ==, good[i].ms);
    }
    value = -1;
    for (guint i = 0; i < G_N_ELEMENTS(bad); i++) {
        g_autoptr(GError) error = NULL;

        g_assert_false(clv_parse_time_ms(bad[i], &value, &error));
        g_assert_nonnull(strstr(error->message, "expected a time such as"));
    }
    g_assert_cmpint(value, ==, -1);
}

/* ---- tables ---- */

typedef struct Sip {
    char **listen;
    char *tls;
    gboolean ask;
    gint64 calls;
    gint64 timeout_ms;
} Sip;
typedef struct Log {
    char *file;
    int level;
    char *untouched;
} Log;

static const char *const level_words[] = {"quiet", "loud", NULL};

static const ClvOption sip_options[] = {
    {.section = "sip",
     .name = "listen",
     .kind = CLV_OPTION_STRINGS,
     .offset = G_STRUCT_OFFSET(Sip, listen),
     .default_text = "udp:127.0.0.1:5060;tcp:127.0.0.1:5060",
     .help = "Addresses to listen on."},
    {.section = "sip",
     .name = "tls",
     .kind = CLV_OPTION_PATH,
     .offset = G_STRUCT_OFFSET(Sip, tls),
     .help = "Folder of the certificate."},
    {.section = "sip",
     .name = "ask",
     .kind = CLV_OPTION_BOOL,
     .offset = G_STRUCT_OFFSET(Sip, ask),
     .default_text = "no",
     .reloads = TRUE,
     .help = "Ask for certificates."},
    {.section = "sip",
     .name = "calls",
     .kind = CLV_OPTION_INT,
     .offset = G_STRUCT_OFFSET(Sip, calls),
     .default_text = "100",
     .min = 1,
     .max = 1000,
     .help = "Live dialogs."},
    {.section = "sip",
     .name = "timeout",
     .kind = CLV_OPTION_TIME_MS,
     .offset = G_STRUCT_OFFSET(Sip, timeout_ms),
     .default_text = "3s",
     .min = 100,
     .max = 60000,
     .help = "How long to wait."},
    {.name = NULL},
};
static const ClvOption log_options[] = {
    {.section = "log",
     .name = "file",
     .kind = CLV_OPTION_STRING,
     .offset = G_STRUCT_OFFSET(Log, file),
     .default_text = "stderr",
     .help = "Where to."},
    {.section = "log",
     .name = "level",
     .kind = CLV_OPTION_ENUM,
     .offset = G_STRUCT_OFFSET(Log, level),
     .default_text = "loud",
     .words = level_words,
     .help = "How much."},
    {.section = "sip",
     .name = "extra",
     .kind = CLV_OPTION_STRING,
     .offset = G_STRUCT_OFFSET(Log, untouched),
     .help = "A key that another room has in the same section."},
    {.name = NULL},
};

typedef struct Loaded {
    Sip sip;
    Log log;
    ClvOptionSet sets[3];
    GPtrArray *errors;
    char *dir, *path;
} Loaded;

static void
setup(Loaded *l, gconstpointer unused)
{
    l->sets[0] = (ClvOptionSet){sip_options, &l->sip};
    l->sets[1] = (ClvOptionSet){log_options, &l->log};
    l->errors = new_errors();
    l->dir = g_dir_make_tmp("option-XXXXXX", NULL);
    l->path = g_build_filename(l->dir, "c.conf", NULL);
}

static void
teardown(Loaded *l, gconstpointer unused)
{
    clv_options_clear(l->sets);
    g_assert_null(l->sip.listen);
    g_assert_null(l->log.file);
    g_ptr_array_unref(l->errors);
    g_unlink(l->path);
    g_rmdir(l->dir);
    g_free(l->path);
    g_free(l->dir);
}

static gboolean
load(Loaded *l, const char *text)
{
    g_assert_true(g_file_set_contents(l->path, text, -1, NULL));
    return clv_options_load(l->sets, l->path, l->errors);
}

static void
assert_defaults(const Loaded *l)
{
    static const char *const listen[] = {"udp:127.0.0.1:5060", "tcp:127.0.0.1:5060", NULL};

    g_assert_cmpstrv(l->sip.listen, listen);
    g_assert_null(l->sip.tls);
    g_assert_false(l->sip.ask);
    g_assert_cmpint(l->sip.calls, ==, 100);
    g_assert_cmpint(l->sip.timeout_ms, ==, 3000);
    g_assert_cmpstr(l->log.file, ==, "stderr");
    g_assert_cmpint(l->log.level, ==, 1);
    g_assert_null(l->log.untouched);
}

static void
test_defaults(Loaded *l, gconstpointer unused)
{
    g_assert_true(clv_options_load(l->sets, NULL, l->errors));
    assert_defaults(l);
}

static void
test_values(Loaded *l, gconstpointer unused)
{
    static const char *const listen[] = {"tls:[::1]:5061", NULL};
    g_autofree char *tls = g_build_filename(l->dir, "pki", NULL);

    g_assert_true(load(l, "[sip]\nlisten=tls:[::1]:5061\ntls=pki\nask=yes\ncalls=1000\n"
                          "timeout=1m\nextra=x\n[log]\nfile=\nlevel=quiet\n"));
    g_assert_cmpstrv(l->sip.listen, listen);
    g_assert_cmpstr(l->sip.tls, ==, tls);
    g_assert_true(l->sip.ask);
    g_assert_cmpint(l->sip.calls, ==, 1000);
    g_assert_cmpint(l->sip.timeout_ms, ==, 60000);
    g_assert_cmpstr(l->log.file, ==, "");
    g_assert_cmpint(l->log.level, ==, 0);
    g_assert_cmpstr(l->log.untouched, ==, "x");

    /* Again into the same structs: the old values go, an absolute path stays, an empty one unsets.
     */
    g_assert_true(load(l, "[sip]\ntls=/etc/pki\n"));
    g_assert_cmpstr(l->sip.tls, ==, "/etc/pki");
    g_assert_true(load(l, "[sip]\ntls=\n"));
    g_assert_null(l->sip.tls);
}

static void
test_mistakes(Loaded *l, gconstpointer unused)
{
    static const char *const expected[] = {
        "c.conf:13: found the unknown section [sipp], expected one of sip, log",
        "c.conf:2: [sip] found the unknown key 'lisen', expected one of listen, tls, ask, calls, "
        "timeout, extra",
        "c.conf:3: [sip] calls: found '0', expected a number from 1 to 1000",
        "c.conf:4: [sip] timeout: found '61s', expected a time from 100ms to 1m",
        "c.conf:5: [sip] ask: found 'maybe', expected yes, no, true, false, on, off, 1 or 0",
        "c.conf:6: [sip] listen: found 'a;;b' with an empty part, expected values separated by ';'",
        "c.conf:11: [log] level: found 'silent', expected one of quiet, loud",
    };

    g_assert_false(load(l, "[sip]\nlisen=x\ncalls=0\ntimeout=61s\nask=maybe\nlisten=a;;b\n\n\n\n"
                           "[log]\nlevel=silent\nfile=good\n[sipp]\nx=1\n"));
    g_assert_cmpuint(l->errors->len, ==, G_N_ELEMENTS(expected));
    for (guint i = 0; i < G_N_ELEMENTS(expected); i++) {
        g_autofree char *want = g_build_filename(l->dir, expected[i], NULL);

        g_assert_cmpstr(l->errors->pdata[i], ==, want);
    }
}

static void
test_no_file(Loaded *l, gconstpointer unused)
{
    g_assert_false(clv_options_load(l->sets, l->path, l->errors));
    g_assert_cmpuint(l->errors->len, ==, 1);
}

static void
test_sample(Loaded *l, gconstpointer unused)
{
    g_autofree char *sample = clv_options_sample(l->sets);
    g_autoptr(GString) active = g_string_new(NULL);
    g_auto(GStrv) lines = g_strsplit(sample, "\n", -1);
    guint keys = 0;

    g_assert_true(load(l, sample));
    assert_defaults(l);

    /* With the comment signs taken from the keys it still says the same. */
    for (guint i = 0; lines[i] != NULL; i++) {
        gboolean key = lines[i][0] == '#' && lines[i][1] != ' ';

        g_assert_cmpuint(strlen(lines[i]), <=, 80);
        g_string_append_printf(active, "%s\n", lines[i] + key);
        keys += key;
    }
    g_assert_cmpuint(keys, ==, 8);
    g_free(g_steal_pointer(&l->log.untouched));
    g_assert_true(load(l, active->str));
    g_assert_cmpstr(l->log.untouched, ==, "");
    g_clear_pointer(&l->log.untouched, g_free);
    assert_defaults(l);
    g_assert_nonnull(strstr(sample, "(a time from 100ms to 1m; a change takes effect on"));
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/ini/entries-carry-their-lines", test_ini_reads);
    g_test_add_func("/ini/an-empty-file-is-a-file", test_ini_nothing);
    g_test_add_func("/ini/what-comes-twice-is-merged-and-reported", test_ini_twice);
    g_test_add_func("/ini/errors-say-line-found-and-expected", test_ini_errors);
    g_test_add_func("/ini/all-errors-are-reported-at-once", test_ini_all_errors);
    g_test_add_func("/ini/errors-never-quote-values", test_ini_keeps_values_to_itself);
    g_test_add_func("/ini/groups-are-bounded", test_ini_many_groups);
    g_test_add_func("/ini/any-bytes-are-a-file-or-an-error", test_ini_any_bytes);
    g_test_add_func("/ini/files-are-bounded-and-private-when-asked", test_ini_files);
    g_test_add_func("/ini/lists-split-and-join", test_lists);
    g_test_add_func("/option/bool-takes-eight-words", test_bool);
    g_test_add_func("/option/int-takes-digits-in-range", test_int);
    g_test_add_func("/option/time-takes-five-units", test_time);
    g_test_add("/option/no-file-means-defaults", Loaded, NULL, setup, test_defaults, teardown);
    g_test_add("/option/a-file-sets-every-kind", Loaded, NULL, setup, test_values, teardown);
    g_test_add("/option/every-mistake-is-explained", Loaded, NULL, setup, test_mistakes, teardown);
    g_test_add("/option/an-absent-file-is-an-error", Loaded, NULL, setup, test_no_file, teardown);
    g_test_add("/option/the-sample-says-the-defaults", Loaded, NULL, setup, test_sample, teardown);
    return g_test_run();
}
