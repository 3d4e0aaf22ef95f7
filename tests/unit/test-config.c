/* SPDX-License-Identifier: Apache-2.0 */
/* conclave.conf: errors an operator can act on, and papers that know every option. */
#include <glib.h>
#include <glib/gstdio.h>
#include <string.h>

#include "daemon/config.h"

static gboolean
load(const char *text, ClvConfig *config, GPtrArray *errors)
{
    g_autofree char *path = NULL;
    int fd = g_file_open_tmp("conclave-XXXXXX", &path, NULL);
    gboolean good;

    g_close(fd, NULL);
    g_assert_true(g_file_set_contents(path, text, -1, NULL));
    good = clv_config_load(config, path, errors);
    g_remove(path);
    return good;
}

#define KMS "[kms]\nurl=http://127.0.0.1:1/k\nuri=sip:kms@x.example\nuser=conf1\npsk-file=psk\n"

static void
a_small_file_is_enough(void)
{
    g_autoptr(GPtrArray) errors = g_ptr_array_new_with_free_func(g_free);
    ClvConfig config;

    g_assert_true(load(KMS, &config, errors));
    g_assert_cmpint(config.kms_timeout_ms, ==, 3000);
    g_assert_cmpint(config.session_expires_ms, ==, 1800000);
    g_assert_cmpstr(config.listen[0], ==, "udp:127.0.0.1:5060");
    g_assert_true(g_path_is_absolute(config.kms_psk_file));
    clv_config_clear(&config);
}

static void
one_kms_may_have_several_addresses(void)
{
    g_autoptr(GPtrArray) errors = g_ptr_array_new_with_free_func(g_free);
    ClvConfig config;

    g_assert_true(
        load(KMS "url=https://a.example/k; https://b.example/k?x=1\\;2\n", &config, errors));
    g_assert_cmpuint(g_strv_length(config.kms_urls), ==, 2);
    g_assert_cmpstr(config.kms_urls[0], ==, "https://a.example/k");
    g_assert_cmpstr(config.kms_urls[1], ==, "https://b.example/k?x=1;2");
    g_assert_cmpint(config.kms_connect_ms, ==, 1500);
    clv_config_clear(&config);
}

typedef struct Bad {
    const char *text;
    const char *says; /* in one of the errors */
} Bad;

static const Bad bad[] = {
    {KMS "[sip]\nlisten=tls:127.0.0.1:5061\n", "tls-dir is not set"},
    {KMS "[sip]\nlisten=udp:127.0.0.1:5060\nlistne=x\n", ":8: "},
    {KMS "[media]\nport-first=99999\n", ":7: "},
    {KMS "[media]\nport-first=30000\nport-last=30001\n", "port-first"},
    {KMS "[media]\naddress=localhost\n", "IP address"},
    {KMS "[media]\ntransform=rot13\n", "rot13"},
    {KMS "[sip]\nmin-se=2h\n", "2h"},
    {"[kms]\nuri=sip:kms@x.example\nuser=conf1\n", "no KMS"},
    {"[kms]\nurl=http://127.0.0.1:1/k\nuser=conf1\npsk-file=x\n", "uri= is missing"},
    {KMS "mikey-cert-file=a\nmikey-key-file=b\nmikey-kms-cert-file=c\n", "both set"},
    {KMS "mikey-key-file=b\n", "mikey-kms-cert-file go together"},
    {KMS "mikey-kms-cert-file=b\n", "mikey-kms-cert-file go together"},
    {KMS "mikey-crl-file=b\n", "go with mikey-cert-file"},
    {KMS "mikey-ca-file=b\n", "go with mikey-cert-file"},
    {KMS "cert-file=x\n", "go together"},
    {KMS "[kmss]\nurl=x\n", "kmss"},
};

static void
errors_say_line_and_cause(void)
{
    for (guint i = 0; i < G_N_ELEMENTS(bad); i++) {
        g_autoptr(GPtrArray) errors = g_ptr_array_new_with_free_func(g_free);
        gboolean said = FALSE;
        ClvConfig config;

        g_assert_false(load(bad[i].text, &config, errors));
        g_assert_cmpuint(errors->len, >, 0);
        for (guint e = 0; e < errors->len; e++) {
            g_test_message("%s", (char *)g_ptr_array_index(errors, e));
            said = said || strstr(g_ptr_array_index(errors, e), bad[i].says) != NULL;
        }
        if (!said)
            g_error("case %u does not say '%s'", i, bad[i].says);
        clv_config_clear(&config);
    }
}

/* Every "key=" of the sample, commented or not. */
static void
the_man_page_knows_every_option(void)
{
    g_autofree char *sample = clv_config_sample();
    g_autofree char *path = g_test_build_filename(G_TEST_DIST, "man", "conclave.conf.5", NULL);
    g_autofree char *page = NULL;
    g_auto(GStrv) lines = g_strsplit(sample, "\n", -1);
    guint n = 0;

    g_assert_true(g_file_get_contents(path, &page, NULL, NULL));
    for (char **line = lines; *line != NULL; line++) {
        const char *start = **line == '#' ? *line + 1 : *line;
        const char *equals = strchr(start, '=');
        g_autofree char *name = NULL;
        g_autofree char *want = NULL;
        g_auto(GStrv) parts = NULL;

        if (equals == NULL || memchr(start, ' ', (gsize)(equals - start)) != NULL)
            continue;
        name = g_strndup(start, (gsize)(equals - start));
        parts = g_strsplit(name, "-", -1);
        g_free(name);
        name = g_strjoinv("\\-", parts);
        want = g_strdup_printf("\\fB%s\\fR=", name);
        if (strstr(page, want) == NULL)
            g_error("conclave.conf(5) has no %s", want);
        n++;
    }
    g_assert_cmpuint(n, >, 40);
}

static void
the_sample_is_good(void)
{
    g_autofree char *sample = clv_config_sample();
    g_autofree char *text = g_strconcat(sample, "\n", KMS, NULL);
    g_autoptr(GPtrArray) errors = g_ptr_array_new_with_free_func(g_free);
    ClvConfig config;

    load(text, &config, errors);
    for (guint e = 0; e < errors->len; e++)
        g_error("%s", (char *)g_ptr_array_index(errors, e));
    clv_config_clear(&config);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/config/a-small-file-is-enough", a_small_file_is_enough);
    g_test_add_func("/config/one-kms-may-have-several-addresses",
                    one_kms_may_have_several_addresses);
    g_test_add_func("/config/errors-say-line-and-cause", errors_say_line_and_cause);
    g_test_add_func("/config/the-man-page-knows-every-option", the_man_page_knows_every_option);
    g_test_add_func("/config/the-sample-is-good", the_sample_is_good);
    return g_test_run();
}
