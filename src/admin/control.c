/* SPDX-License-Identifier: Apache-2.0 */
/* admin/control.c - the control socket */
#include "admin/control.h"

#include <errno.h>
#include <fcntl.h>
#include <gio/gio.h>
#include <grp.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define MAX_CLIENTS 16
#define CLIENT_MS 5000

/* ---- socket ---- */

typedef struct Client {
    ClvControl *control;
    int fd;
    int watch;
    ClvTimer *deadline;
    gsize len;
    char line[CLV_CONTROL_MAX_LINE + 2];
} Client;

struct ClvControl {
    ClvLoop *loop;
    char *path;
    int fd;
    int watch;
    ClvControlHandler handler;
    void *user;
    GPtrArray *clients; /* (element-type Client) */
};

static void
client_free(gpointer data)
{
    Client *client = data;

    clv_loop_unwatch(client->control->loop, client->watch);
    clv_timer_cancel(client->deadline);
    close(client->fd);
    g_free(client);
}

static void
client_drop(Client *client)
{
    g_ptr_array_remove_fast(client->control->clients, client);
}

static void
client_too_slow(void *user)
{
    Client *client = user;

    client->deadline = NULL; /* it has fired */
    client_drop(client);
}

/* An answer is small against a socket buffer that we make large enough; a client that does not
 * read loses the rest, nobody waits for him. */
static void
send_all(int fd, const char *text)
{
    gsize len = strlen(text);

    while (len > 0) {
        ssize_t n = send(fd, text, len, MSG_NOSIGNAL | MSG_DONTWAIT);

        if (n <= 0)
            return;
        text += n;
        len -= (gsize)n;
    }
}

static void
answer(Client *client, const char *line, gsize len)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(ClvReport) report = clv_report_new();
    ClvCommand command = {0};
    g_autofree char *body = NULL;
    g_autofree char *text = NULL;
    int bytes;

    if (clv_command_parse(line, len, &command, &error) &&
        client->control->handler(&command, report, client->control->user, &error)) {
        body = clv_report_print(report, command.json);
        text = g_strdup_printf("ok\n%s", body);
    } else {
        text = g_strdup_printf("error %s\n", error->message);
    }
    bytes = (int)strlen(text) + 4096;
    setsockopt(client->fd, SOL_SOCKET, SO_SNDBUFFORCE, &bytes, sizeof bytes);
    send_all(client->fd, text);
    clv_command_clear(&command);
}

static void
client_ready(void *user)
{
    Client *client = user;
    gsize room = sizeof client->line - client->len;
    ssize_t n = recv(client->fd, client->line + client->len, room, MSG_DONTWAIT);
    const char *end;

    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n <= 0) {
        client_drop(client);
        return;
    }
    client->len += (gsize)n;
    end = memchr(client->line, '\n', client->len);
    if (end == NULL && client->len < sizeof client->line)
        return;
    answer(client, client->line, end != NULL ? (gsize)(end - client->line) : client->len);
    client_drop(client);
}

static void
accept_ready(void *user)
{
    ClvControl *control = user;
    int fd = accept4(control->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    Client *client;

    if (fd < 0)
        return;
    if (control->clients->len >= MAX_CLIENTS) {
        send_all(fd, "error too many control connections\n");
        close(fd);
        return;
    }
    client = g_new0(Client, 1);
    client->control = control;
    client->fd = fd;
    client->watch = clv_loop_watch(control->loop, fd, client_ready, client);
    client->deadline = clv_loop_timer(control->loop, CLIENT_MS, client_too_slow, client);
    g_ptr_array_add(control->clients, client);
}

static gboolean
fill_address(const char *path, struct sockaddr_un *out, GError **error)
{
    memset(out, 0, sizeof *out);
    out->sun_family = AF_UNIX;
    if (strlen(path) >= sizeof out->sun_path) {
        g_set_error(error, CLV_CONTROL_ERROR, 0, "%s: the path is longer than %zu octets", path,
                    sizeof out->sun_path - 1);
        return FALSE;
    }
    memcpy(out->sun_path, path, strlen(path));
    return TRUE;
}

static gboolean
is_live(const struct sockaddr_un *address)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    gboolean live = fd >= 0 && connect(fd, (const struct sockaddr *)address, sizeof *address) == 0;

    if (fd >= 0)
        close(fd);
    return live;
}

static gboolean
give_to_group(const char *path, const char *group, GError **error)
{
    struct group *entry = group != NULL ? getgrnam(group) : NULL;

    if (group == NULL)
        return TRUE;
    if (entry == NULL) {
        g_set_error(error, CLV_CONTROL_ERROR, 0, "[control] group=%s: no such group", group);
        return FALSE;
    }
    if (chown(path, (uid_t)-1, entry->gr_gid) != 0 || chmod(path, 0660) != 0) {
        g_set_error(error, CLV_CONTROL_ERROR, 0, "%s: cannot give it to group '%s': %s", path,
                    group, g_strerror(errno));
        return FALSE;
    }
    return TRUE;
}

static int
open_socket(const char *path, const char *group, GError **error)
{
    struct sockaddr_un address;
    g_autofree char *folder = g_path_get_dirname(path);
    mode_t old;
    int fd, bound;

    if (!fill_address(path, &address, error))
        return -1;
    if (is_live(&address)) {
        g_set_error(error, CLV_CONTROL_ERROR, 0, "%s: another server answers on it", path);
        return -1;
    }
    g_mkdir_with_parents(folder, 0755);
    unlink(path);
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    old = umask(0177);
    bound = bind(fd, (struct sockaddr *)&address, sizeof address);
    umask(old);
    if (bound != 0 || listen(fd, 16) != 0) {
        g_set_error(error, CLV_CONTROL_ERROR, 0, "%s: cannot listen: %s", path, g_strerror(errno));
        close(fd);
        return -1;
    }
    if (!give_to_group(path, group, error)) {
        close(fd);
        unlink(path);
        return -1;
    }
    return fd;
}

ClvControl *
clv_control_new(ClvLoop *loop, const char *path, const char *group, ClvControlHandler handler,
                void *user, GError **error)
{
    ClvControl *control;
    int fd = open_socket(path, group, error);

    if (fd < 0)
        return NULL;
    control = g_new0(ClvControl, 1);
    control->loop = loop;
    control->path = g_strdup(path);
    control->fd = fd;
    control->handler = handler;
    control->user = user;
    control->clients = g_ptr_array_new_with_free_func(client_free);
    control->watch = clv_loop_watch(loop, fd, accept_ready, control);
    return control;
}

void
clv_control_free(ClvControl *control)
{
    if (control == NULL)
        return;
    g_ptr_array_unref(control->clients);
    clv_loop_unwatch(control->loop, control->watch);
    close(control->fd);
    unlink(control->path);
    g_free(control->path);
    g_free(control);
}
