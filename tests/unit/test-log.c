/* SPDX-License-Identifier: Apache-2.0 */
/* Does a line say what it should, and nothing that a peer wants it to say? */
#include "config.h"

#include "base/log.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

static int log_fd;

/* What was logged since the last call. Standard error gets the same lines and is sent away. */
static char *
logged(void)
{
    char buffer[16384];
    ssize_t n;

    g_assert_cmpint(lseek(log_fd, 0, SEEK_SET), ==, 0);
    n = read(log_fd, buffer, sizeof(buffer) - 1);
    g_assert_cmpint(n, >=, 0);
    buffer[n] = '\0';
    g_assert_cmpint(ftruncate(log_fd, 0), ==, 0);
    g_assert_cmpint(lseek(log_fd, 0, SEEK_SET), ==, 0);
    return g_strdup(buffer);
}

static guint
count_lines(const char *text)
{
    guint n = 0;

    for (; *text != '\0'; text++)
        n += *text == '\n';
    return n;
}

static void
test_line(void)
{
    const ClvLogScope scope = {"sip:c1@x.org", "call-7", "sip:alice@x.org"};
    g_autofree char *text = NULL;

    clv_log_init(CLV_LOG_INFO, FALSE, FALSE);
    clv_log(CLV_LOG_INFO, &scope, "join-refused", "join refused: %s", "denied");
    text = logged();
    g_assert_true(
        g_regex_match_simple("^\\d{4}-\\d\\d-\\d\\dT\\d\\d:\\d\\d:\\d\\d\\.\\d{3}Z info    join "
                             "refused: denied conference=sip:c1@x.org call=call-7 "
                             "identity=sip:alice@x.org event=join-refused\n$",
                             text, 0, 0));
}

static void
test_levels(void)
{
    ClvLogLevel level = CLV_LOG_ERROR;
    g_autofree char *text = NULL;

    clv_log_init(CLV_LOG_WARNING, FALSE, FALSE);
    clv_log(CLV_LOG_NOTICE, NULL, NULL, "no");
    clv_log(CLV_LOG_WARNING, NULL, NULL, "yes");
    clv_log(CLV_LOG_ERROR, NULL, NULL, "yes");
    text = logged();
    g_assert_cmpuint(count_lines(text), ==, 2);
    g_assert_null(strstr(text, " no"));
    g_assert_false(clv_log_enabled(CLV_LOG_NOTICE));

    g_assert_true(clv_log_level_parse("debug", &level));
    g_assert_cmpint(level, ==, CLV_LOG_DEBUG);
    g_assert_false(clv_log_level_parse("loud", &level));
    g_assert_cmpint(level, ==, CLV_LOG_DEBUG);
}

static void
test_forged(void)
{
    static const char evil[] = "a\nb\r\x1b[31m\x7f\xff\xe2\x80\xae\xc2\x85\xe2\x80\xa8";
    const ClvLogScope scope = {evil, evil, evil};
    g_autofree char *text = NULL;

    clv_log_init(CLV_LOG_INFO, FALSE, FALSE);
    clv_log(CLV_LOG_INFO, &scope, NULL, "%s", evil);
    text = logged();
    g_assert_cmpuint(count_lines(text), ==, 1);
    g_assert_true(g_utf8_validate(text, -1, NULL));
    for (const char *at = text; at[1] != '\0'; at = g_utf8_next_char(at)) {
        g_assert_false(g_unichar_iscntrl(g_utf8_get_char(at)));
        g_assert_cmpuint(g_utf8_get_char(at), !=, 0x202e);
    }
}

static void
test_long(void)
{
    g_autofree char *huge = g_strnfill(100000, 'x');
    g_autofree char *text = NULL;

    clv_log_init(CLV_LOG_INFO, FALSE, FALSE);
    clv_log(CLV_LOG_INFO, NULL, NULL, "%s", huge);
    text = logged();
    g_assert_cmpuint(strlen(text), <, 2200);
    g_assert_true(g_str_has_suffix(text, "x...\n"));
}

static void
test_privacy(void)
{
    const ClvLogScope scope = {NULL, NULL, "sip:alice@x.org"};
    g_autofree char *one = NULL, *two = NULL, *other = NULL, *text = NULL;

    clv_log_init(CLV_LOG_INFO, TRUE, FALSE);
    one = clv_pii("sip:alice@x.org");
    two = clv_pii("sip:alice@x.org");
    other = clv_pii("sip:bob@x.org");
    g_assert_cmpstr(one, ==, two);
    g_assert_cmpstr(one, !=, other);
    clv_log(CLV_LOG_INFO, &scope, NULL, "joined");
    text = logged();
    g_assert_null(strstr(text, "alice"));
    g_assert_nonnull(strstr(text, one));
}

static gpointer
log_much(gpointer user)
{
    for (guint i = 0; i < 40; i++)
        clv_log(CLV_LOG_INFO, NULL, NULL, "thread %s", (const char *)user);
    return NULL;
}

static void
test_threads(void)
{
    GThread *threads[2];
    g_autofree char *text = NULL;
    g_auto(GStrv) lines = NULL;

    clv_log_init(CLV_LOG_INFO, FALSE, FALSE);
    threads[0] = g_thread_new("a", log_much, "one");
    threads[1] = g_thread_new("b", log_much, "two");
    g_thread_join(threads[0]);
    g_thread_join(threads[1]);
    text = logged();
    g_assert_cmpuint(count_lines(text), ==, 80);
    lines = g_strsplit(text, "\n", -1);
    for (guint i = 0; i < 80; i++)
        g_assert_true(g_str_has_suffix(lines[i], " info    thread one") ||
                      g_str_has_suffix(lines[i], " info    thread two"));
}

int
main(int argc, char **argv)
{
    g_autofree char *path = NULL;
    int null = open("/dev/null", O_WRONLY | O_CLOEXEC), result;

    g_test_init(&argc, &argv, NULL);
    log_fd = g_file_open_tmp("log-XXXXXX", &path, NULL);
    g_assert_cmpint(log_fd, >=, 0);
    g_assert_cmpint(dup2(null, STDERR_FILENO), ==, STDERR_FILENO);
    clv_log_to_fd(log_fd);

    g_test_add_func("/log/a-line-carries-its-scope", test_line);
    g_test_add_func("/log/levels-hold-back-what-is-below", test_levels);
    g_test_add_func("/log/peers-cannot-forge-lines", test_forged);
    g_test_add_func("/log/a-line-is-bounded", test_long);
    g_test_add_func("/log/privacy-hides-identities-and-keeps-them-apart", test_privacy);
    g_test_add_func("/log/lines-of-two-threads-stay-whole", test_threads);
    result = g_test_run();
    unlink(path);
    return result;
}
