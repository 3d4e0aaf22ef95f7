/* SPDX-License-Identifier: Apache-2.0 */
/* The text that Prometheus reads, and the port that serves it inside the loop. */
#include <arpa/inet.h>
#include <glib.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "admin/metrics.h"

/* ---- text ---- */

static void
a_family_has_help_type_and_samples(void)
{
    g_autoptr(ClvMetrics) m = clv_metrics_new();

    clv_metrics_family(m, "x_total", "counter", "Things.");
    clv_metrics_sample(m, NULL, 3, "kind", "a", "where", "b", NULL);
    clv_metrics_sample(m, NULL, 0, NULL);
    clv_metrics_one(m, "y_seconds", "gauge", "Time.", 0.25);
    g_assert_cmpstr(clv_metrics_text(m), ==,
                    "# HELP x_total Things.\n# TYPE x_total counter\n"
                    "x_total{kind=\"a\",where=\"b\"} 3\nx_total 0\n"
                    "# HELP y_seconds Time.\n# TYPE y_seconds gauge\ny_seconds 0.25\n");
}

static void
labels_cannot_break_out(void)
{
    g_autoptr(ClvMetrics) m = clv_metrics_new();

    clv_metrics_family(m, "x", "gauge", "X.");
    clv_metrics_sample(m, "_bucket", 1, "le", "a\"} 9\nb\\c\xff", NULL);
    g_assert_nonnull(
        strstr(clv_metrics_text(m), "x_bucket{le=\"a\\\"} 9\\nb\\\\c\xef\xbf\xbd\"} 1\n"));
}

static void
numbers_are_exact(void)
{
    static const struct {
        double value;
        const char *text;
    } rows[] = {
        {0, "x 0\n"},
        {4294967297.0, "x 4294967297\n"},
        {1234567890123456.0, "x 1234567890123456\n"},
        {-1, "x -1\n"},
        {0.000123, "x 0.000123\n"},
        {1e300, "x 1e+300\n"},
    };

    for (guint i = 0; i < G_N_ELEMENTS(rows); i++) {
        g_autoptr(ClvMetrics) m = clv_metrics_new();

        clv_metrics_one(m, "x", "gauge", "X.", rows[i].value);
        g_assert_true(g_str_has_suffix(clv_metrics_text(m), rows[i].text));
    }
}

/* ---- port ---- */

typedef struct Fixture {
    ClvLoop *loop;
    ClvMetricsPort *port;
    GThread *mine;
    guint rendered;
} Fixture;

static void
render(ClvMetrics *metrics, void *user)
{
    Fixture *f = user;

    g_assert_true(g_thread_self() == f->mine); /* nobody else looks at our state */
    clv_metrics_one(metrics, "asked_total", "counter", "Asked.", ++f->rendered);
}

static void
set_up(Fixture *f, gconstpointer unused)
{
    g_autoptr(GError) error = NULL;

    f->mine = g_thread_self();
    f->loop = clv_loop_new(&error);
    g_assert_no_error(error);
    f->port = clv_metrics_port_new(f->loop, "127.0.0.1:0", FALSE, render, f, &error);
    g_assert_no_error(error);
}

static void
tear_down(Fixture *f, gconstpointer unused)
{
    clv_metrics_port_free(f->port);
    clv_loop_free(f->loop);
}

static int
connect_to(const Fixture *f)
{
    const char *colon = strrchr(clv_metrics_port_url(f->port), ':');
    struct sockaddr_in address = {.sin_family = AF_INET};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    g_assert_true(g_str_has_prefix(clv_metrics_port_url(f->port), "http://127.0.0.1:"));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons((guint16)atoi(colon + 1));
    g_assert_cmpint(connect(fd, (struct sockaddr *)&address, sizeof address), ==, 0);
    return fd;
}

typedef struct Reader {
    Fixture *f;
    int fd;
    GString *text;
    const char *until; /* (nullable): until the peer closes */
    gboolean done;
} Reader;

static void
reader_ready(void *user)
{
    Reader *r = user;
    char buffer[4096];
    ssize_t n = recv(r->fd, buffer, sizeof buffer, MSG_DONTWAIT);

    if (n > 0)
        g_string_append_len(r->text, buffer, n);
    r->done = n == 0 || (r->until != NULL && strstr(r->text->str, r->until) != NULL);
    if (r->done)
        clv_loop_quit(r->f->loop);
}

static void
too_late(void *user)
{
    g_error("no answer: %s", ((Reader *)user)->text->str);
}

/* Lets the loop run until what is expected has come, or the peer has closed. */
static char *
hear(Fixture *f, int fd, const char *until)
{
    Reader r = {.f = f, .fd = fd, .text = g_string_new(NULL), .until = until};
    ClvTimer *patience = clv_loop_timer(f->loop, 10000, too_late, &r);
    int watch = clv_loop_watch(f->loop, fd, reader_ready, &r);

    while (!r.done)
        clv_loop_run(f->loop);
    clv_loop_unwatch(f->loop, watch);
    clv_timer_cancel(patience);
    return g_string_free(r.text, FALSE);
}

static char *
ask(Fixture *f, const char *request, const char *until)
{
    int fd = connect_to(f);
    char *answer;

    g_assert_cmpint(send(fd, request, strlen(request), MSG_NOSIGNAL), ==, (int)strlen(request));
    answer = hear(f, fd, until);
    close(fd);
    return answer;
}

#define CLOSING "Host: x\r\nConnection: close\r\n\r\n"

static void
a_scrape_gets_the_text(Fixture *f, gconstpointer unused)
{
    g_autofree char *first = ask(f, "GET /metrics HTTP/1.1\r\n" CLOSING, NULL);
    g_autofree char *second = ask(f, "GET /metrics HTTP/1.1\r\n" CLOSING, NULL);

    g_assert_true(g_str_has_prefix(first, "HTTP/1.1 200 "));
    g_assert_nonnull(strstr(first, "Content-Type: text/plain; version=0.0.4; charset=utf-8\r\n"));
    g_assert_true(g_str_has_suffix(first, "\nasked_total 1\n"));
    g_assert_true(g_str_has_suffix(second, "\nasked_total 2\n"));
}

static void
a_connection_is_kept(Fixture *f, gconstpointer unused)
{
    static const char request[] = "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n";
    int fd = connect_to(f);

    for (guint i = 0; i < 3; i++) {
        g_autofree char *until = g_strdup_printf("\nasked_total %u\n", i + 1);

        g_assert_cmpint(send(fd, request, strlen(request), MSG_NOSIGNAL), ==, (int)strlen(request));
        g_free(hear(f, fd, until));
    }
    close(fd);
}

static const struct {
    const char *request;
    const char *status;
} refusals[] = {
    {"GET / HTTP/1.1\r\n" CLOSING, "HTTP/1.1 404 "},
    {"GET /metrics/../x HTTP/1.1\r\n" CLOSING, "HTTP/1.1 404 "},
    {"POST /metrics HTTP/1.1\r\nContent-Length: 2\r\n" CLOSING "xx", "HTTP/1.1 405 "},
    {"DELETE /metrics HTTP/1.1\r\n" CLOSING, "HTTP/1.1 405 "},
};

static void
nothing_else_is_there(Fixture *f, gconstpointer unused)
{
    for (guint i = 0; i < G_N_ELEMENTS(refusals); i++) {
        g_autofree char *answer = ask(f, refusals[i].request, NULL);

        if (!g_str_has_prefix(answer, refusals[i].status))
            g_error("%s: %s", refusals[i].request, answer);
    }
    g_assert_cmpuint(f->rendered, ==, 0);
}

/* Someone who never ends his request, and noise, are in nobody's way. */
static void
the_loop_goes_on(Fixture *f, gconstpointer unused)
{
    int silent = connect_to(f), half = connect_to(f), noise = connect_to(f);
    g_autofree char *answer = NULL;

    g_assert_cmpint(send(half, "GET /met", 8, 0), ==, 8);
    g_assert_cmpint(send(noise, "\0\xff\r\n\r\n", 6, 0), ==, 6);
    answer = ask(f, "GET /metrics HTTP/1.1\r\n" CLOSING, NULL);
    g_assert_true(g_str_has_suffix(answer, "\nasked_total 1\n"));
    close(silent);
    close(half);
    close(noise);
}

static void
only_loopback_unless_permitted(Fixture *f, gconstpointer unused)
{
    static const struct {
        const char *listen;
        gboolean remote;
        const char *says; /* NULL: good */
    } rows[] = {
        {"0.0.0.0:0", FALSE, "loopback"},
        {"[::]:0", FALSE, "loopback"},
        {"0.0.0.0:0", TRUE, NULL},
        {"127.0.0.9:0", FALSE, NULL},
        {"0", FALSE, NULL},
        {"", FALSE, "expected a port"},
        {"localhost:1", FALSE, "expected a port"},
        {"127.0.0.1", FALSE, "expected a port"},
        {"127.0.0.1:", FALSE, "expected a port"},
        {"127.0.0.1:99999", FALSE, "expected a port"},
        {"99999", FALSE, "expected a port"},
        {"192.0.2.1:0", TRUE, "cannot listen"},
    };

    for (guint i = 0; i < G_N_ELEMENTS(rows); i++) {
        g_autoptr(GError) error = NULL;
        ClvMetricsPort *port =
            clv_metrics_port_new(f->loop, rows[i].listen, rows[i].remote, render, f, &error);

        g_test_message("%s", rows[i].listen);
        g_assert_cmpint(port != NULL, ==, rows[i].says == NULL);
        g_assert_cmpint(error == NULL, ==, rows[i].says == NULL);
        if (error != NULL && strstr(error->message, rows[i].says) == NULL)
            g_error("%s: %s", rows[i].listen, error->message);
        clv_metrics_port_free(port);
    }
}

#define ADD(name, fn) g_test_add("/metrics/" name, Fixture, NULL, set_up, fn, tear_down)

int
main(int argc, char **argv)
{
    signal(SIGPIPE, SIG_IGN);
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/metrics/a-family-has-help-type-and-samples",
                    a_family_has_help_type_and_samples);
    g_test_add_func("/metrics/labels-cannot-break-out", labels_cannot_break_out);
    g_test_add_func("/metrics/numbers-are-exact", numbers_are_exact);
    ADD("a-scrape-gets-the-text", a_scrape_gets_the_text);
    ADD("a-connection-is-kept", a_connection_is_kept);
    ADD("nothing-else-is-there", nothing_else_is_there);
    ADD("the-loop-goes-on", the_loop_goes_on);
    ADD("only-loopback-unless-permitted", only_loopback_unless_permitted);
    return g_test_run();
}
