/* SPDX-License-Identifier: Apache-2.0 */
/* admin/metrics.c - figures for Prometheus: the text, and a port that serves it */
#include "admin/metrics.h"

#include <errno.h>
#include <gio/gio.h>
#include <math.h>
#include <microhttpd.h>
#include <stdarg.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define MAX_CONNECTIONS 64
#define IDLE_S 10u
#define BACKLOG 16
#define CONTENT_TYPE "text/plain; version=0.0.4; charset=utf-8"

G_DEFINE_QUARK(clv_metrics_error, clv_metrics_error)

/* ---- text ---- */

struct ClvMetrics {
    GString *text;
    char *family;
};

ClvMetrics *
clv_metrics_new(void)
{
    ClvMetrics *metrics = g_new0(ClvMetrics, 1);

    metrics->text = g_string_new(NULL);
    return metrics;
}

void
clv_metrics_free(ClvMetrics *metrics)
{
    if (metrics == NULL)
        return;
    g_string_free(metrics->text, TRUE);
    g_free(metrics->family);
    g_free(metrics);
}

void
clv_metrics_family(ClvMetrics *metrics, const char *name, const char *type, const char *help)
{
    g_free(metrics->family);
    metrics->family = g_strdup(name);
    g_string_append_printf(metrics->text, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void
append_label(GString *text, const char *name, const char *value)
{
    g_autofree char *valid = g_utf8_make_valid(value, -1);

    g_string_append_printf(text, "%s=\"", name);
    for (const char *p = valid; *p != '\0'; p++) {
        if (*p == '"' || *p == '\\')
            g_string_append_c(text, '\\');
        if (*p == '\n')
            g_string_append(text, "\\n");
        else
            g_string_append_c(text, *p);
    }
    g_string_append_c(text, '"');
}

/* Whole numbers as they are; the decimal point is a point in every language. */
static void
append_number(GString *text, double value)
{
    char digits[G_ASCII_DTOSTR_BUF_SIZE];

    if (value == floor(value) && fabs(value) < 9e15)
        g_string_append_printf(text, "%" G_GINT64_FORMAT "\n", (gint64)value);
    else
        g_string_append_printf(text, "%s\n",
                               g_ascii_formatd(digits, sizeof digits, "%.10g", value));
}

void
clv_metrics_sample(ClvMetrics *metrics, const char *suffix, double value, ...)
{
    GString *text = metrics->text;
    const char *name;
    char before = '{';
    va_list labels;

    g_return_if_fail(metrics->family != NULL);
    g_string_append(text, metrics->family);
    if (suffix != NULL)
        g_string_append(text, suffix);
    va_start(labels, value);
    while ((name = va_arg(labels, const char *)) != NULL) {
        g_string_append_c(text, before);
        append_label(text, name, va_arg(labels, const char *));
        before = ',';
    }
    va_end(labels);
    g_string_append(text, before == ',' ? "} " : " ");
    append_number(text, value);
}

void
clv_metrics_one(ClvMetrics *metrics, const char *name, const char *type, const char *help,
                double value)
{
    clv_metrics_family(metrics, name, type, help);
    clv_metrics_sample(metrics, NULL, value, NULL);
}

const char *
clv_metrics_text(const ClvMetrics *metrics)
{
    return metrics->text->str;
}

/* ---- answering ---- */

struct ClvMetricsPort {
    ClvLoop *loop;
    struct MHD_Daemon *daemon;
    int watch;
    ClvTimer *timer; /* (nullable) when the daemon wants to be run without an event */
    char *url;
    ClvMetricsRender render;
    void *user;
};

static enum MHD_Result
reply(struct MHD_Connection *connection, unsigned status, const char *header, const char *value,
      const char *body)
{
    /* copied by the library, which does not write to it */
    struct MHD_Response *response =
        MHD_create_response_from_buffer(strlen(body), (void *)body, MHD_RESPMEM_MUST_COPY);
    enum MHD_Result result;

    if (response == NULL)
        return MHD_NO;
    MHD_add_response_header(response, header, value);
    result = MHD_queue_response(connection, status, response);
    MHD_destroy_response(response);
    return result;
}

static enum MHD_Result
on_request(void *user, struct MHD_Connection *connection, const char *path, const char *method,
           const char *version, const char *upload, size_t *upload_size, void **state)
{
    ClvMetricsPort *port = user;
    g_autoptr(ClvMetrics) metrics = NULL;

    if (strcmp(method, "GET") != 0 && strcmp(method, "HEAD") != 0)
        return reply(connection, MHD_HTTP_METHOD_NOT_ALLOWED, "Allow", "GET, HEAD", "");
    if (*state == NULL) { /* an answer to the header alone would cost the connection */
        *state = port;
        return MHD_YES;
    }
    if (strcmp(path, "/metrics") != 0)
        return reply(connection, MHD_HTTP_NOT_FOUND, "Content-Type", "text/plain",
                     "found another path, expected /metrics\n");
    metrics = clv_metrics_new();
    port->render(metrics, port->user);
    return reply(connection, MHD_HTTP_OK, "Content-Type", CONTENT_TYPE, clv_metrics_text(metrics));
}

static void run_daemon(void *user);

static void
time_is_up(void *user)
{
    ClvMetricsPort *port = user;

    port->timer = NULL;
    run_daemon(port);
}

static void
run_daemon(void *user)
{
    ClvMetricsPort *port = user;
    MHD_UNSIGNED_LONG_LONG ms;

    MHD_run(port->daemon);
    clv_timer_cancel(g_steal_pointer(&port->timer));
    if (MHD_get_timeout(port->daemon, &ms) == MHD_YES)
        port->timer = clv_loop_timer(port->loop, (gint64)MIN(ms, 60000), time_is_up, port);
}

/* ---- listening ---- */

static gboolean fail(GError **error, const char *format, ...) G_GNUC_PRINTF(2, 3);

static gboolean
fail(GError **error, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    g_propagate_error(error, g_error_new_valist(CLV_METRICS_ERROR, 0, format, args));
    va_end(args);
    return FALSE;
}

static GInetSocketAddress *
read_listen(const char *listen, GError **error)
{
    gboolean bare = listen[0] != '\0' && strspn(listen, "0123456789") == strlen(listen);
    g_autofree char *text = bare ? g_strconcat("127.0.0.1:", listen, NULL) : g_strdup(listen);
    g_autoptr(GSocketConnectable) parsed = g_network_address_parse(text, G_MAXUINT16, NULL);
    g_autoptr(GInetAddress) ip = NULL;
    const char *colon = strrchr(text, ':');

    if (parsed != NULL && colon != NULL && g_ascii_isdigit(colon[1]))
        ip = g_inet_address_new_from_string(
            g_network_address_get_hostname(G_NETWORK_ADDRESS(parsed)));
    if (ip == NULL) {
        fail(error,
             "[metrics] listen=%s: expected a port, or address and port such as "
             "127.0.0.1:9464 or [::1]:9464",
             listen);
        return NULL;
    }
    return G_INET_SOCKET_ADDRESS(
        g_inet_socket_address_new(ip, g_network_address_get_port(G_NETWORK_ADDRESS(parsed))));
}

static gboolean
check_exposure(GInetSocketAddress *address, const char *listen, gboolean allow_remote,
               GError **error)
{
    if (allow_remote || g_inet_address_get_is_loopback(g_inet_socket_address_get_address(address)))
        return TRUE;
    return fail(error,
                "[metrics] listen=%s: others could reach it; expected a loopback address, "
                "or allow-remote=yes",
                listen);
}

static int
open_socket(GInetSocketAddress *address, const char *listen_text, GError **error)
{
    struct sockaddr_storage native;
    gssize len = g_socket_address_get_native_size(G_SOCKET_ADDRESS(address));
    int on = 1, fd;

    if (!g_socket_address_to_native(G_SOCKET_ADDRESS(address), &native, sizeof native, error))
        return -1;
    fd = socket(native.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd >= 0)
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (fd < 0 || bind(fd, (struct sockaddr *)&native, (socklen_t)len) != 0 ||
        listen(fd, BACKLOG) != 0) {
        fail(error, "[metrics] listen=%s: cannot listen: %s", listen_text, g_strerror(errno));
        if (fd >= 0)
            close(fd);
        return -1;
    }
    return fd;
}

static char *
url_of(int fd)
{
    struct sockaddr_storage native;
    socklen_t len = sizeof native;
    g_autoptr(GSocketAddress) address = NULL;
    g_autofree char *text = NULL;

    if (getsockname(fd, (struct sockaddr *)&native, &len) != 0)
        return g_strdup("unknown");
    address = g_socket_address_new_from_native(&native, len);
    text = g_socket_connectable_to_string(G_SOCKET_CONNECTABLE(address));
    return g_strdup_printf("http://%s/metrics", text);
}

/* Takes the socket, also on failure. */
static gboolean
start_daemon(ClvMetricsPort *port, int fd, GError **error)
{
    const union MHD_DaemonInfo *info;

    port->daemon =
        MHD_start_daemon(MHD_USE_EPOLL, 0, NULL, NULL, on_request, port, MHD_OPTION_LISTEN_SOCKET,
                         fd, MHD_OPTION_CONNECTION_LIMIT, MAX_CONNECTIONS,
                         MHD_OPTION_CONNECTION_TIMEOUT, IDLE_S, MHD_OPTION_END);
    if (port->daemon == NULL) {
        close(fd);
        return fail(error, "the port of the metrics cannot start");
    }
    info = MHD_get_daemon_info(port->daemon, MHD_DAEMON_INFO_EPOLL_FD);
    if (info != NULL)
        port->watch = clv_loop_watch(port->loop, info->epoll_fd, run_daemon, port);
    return port->watch > 0 || fail(error, "the port of the metrics cannot be watched");
}

ClvMetricsPort *
clv_metrics_port_new(ClvLoop *loop, const char *listen, gboolean allow_remote,
                     ClvMetricsRender render, void *user, GError **error)
{
    g_autoptr(GInetSocketAddress) address = read_listen(listen, error);
    ClvMetricsPort *port;
    int fd;

    if (address == NULL || !check_exposure(address, listen, allow_remote, error))
        return NULL;
    fd = open_socket(address, listen, error);
    if (fd < 0)
        return NULL;
    port = g_new0(ClvMetricsPort, 1);
    port->loop = loop;
    port->render = render;
    port->user = user;
    port->url = url_of(fd);
    if (!start_daemon(port, fd, error)) {
        clv_metrics_port_free(port);
        return NULL;
    }
    return port;
}

void
clv_metrics_port_free(ClvMetricsPort *port)
{
    if (port == NULL)
        return;
    clv_timer_cancel(port->timer);
    if (port->watch > 0)
        clv_loop_unwatch(port->loop, port->watch);
    if (port->daemon != NULL)
        MHD_stop_daemon(port->daemon);
    g_free(port->url);
    g_free(port);
}

const char *
clv_metrics_port_url(const ClvMetricsPort *port)
{
    return port->url;
}
