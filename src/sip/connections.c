/* SPDX-License-Identifier: Apache-2.0 */
/* sip/connections.c - a count and a clock for every accepted TCP connection
 *
 * The program's own listen() and accept() stand before libc's, and Sofia's calls end here. They act
 * on the sockets that were made between adopt_begin() and adopt_end(); everybody else's calls pass
 * through. A socket that Sofia closes is not announced: the inode tells whether a descriptor is
 * still the connection that it was.
 */
#include "config.h"

#include "sip/connections.h"

#include <errno.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define SWEEP_MS 1000
#define BACKLOG 4096
#define SPARE_DESCRIPTORS 256 /* for everything that is no SIP connection */

typedef struct Connection {
    int fd;
    ino_t inode;
    gint64 since_us;
    gboolean tls;
    gboolean spoke; /* a SIP octet came; Sofia's own timers watch it from there */
    GList *place;   /* in by_age */
} Connection;

struct ClvConnections {
    ClvLoop *loop;
    ClvTimer *sweeper;
    guint max;
    gint64 silent_us;
    GHashTable *listeners; /* fd -> is it for TLS? */
    GHashTable *by_fd;     /* fd -> Connection */
    GQueue silent;         /* of Connection, oldest first */
};

static ClvConnections *the_connections; /* interposed functions have no other way to find it */
static __thread const ClvTlsWishes *adopting;

/* ---- book-keeping ---------------------------------------------------------------------------- */

static ino_t
inode_of(int fd)
{
    struct stat st;

    return fstat(fd, &st) == 0 ? st.st_ino : 0;
}

static void
not_silent(ClvConnections *c, Connection *connection)
{
    if (connection->place != NULL)
        g_queue_delete_link(&c->silent, connection->place);
    connection->place = NULL;
}

static void
forget(ClvConnections *c, Connection *connection)
{
    not_silent(c, connection);
    g_hash_table_remove(c->by_fd, GINT_TO_POINTER(connection->fd));
}

static gboolean
is_gone(const Connection *connection)
{
    return inode_of(connection->fd) != connection->inode;
}

/* TLS peers speak when application data was read; of the others the kernel knows. */
static gboolean
has_spoken(Connection *connection)
{
    struct tcp_info info;
    socklen_t len = sizeof(info);

    if (!connection->spoke && !connection->tls &&
        getsockopt(connection->fd, IPPROTO_TCP, TCP_INFO, &info, &len) == 0 &&
        len > offsetof(struct tcp_info, tcpi_bytes_received))
        connection->spoke = info.tcpi_bytes_received > 0;
    return connection->spoke;
}

/* Sofia sees the end of the stream and cleans up after itself. */
static void
hang_up(const Connection *connection)
{
    shutdown(connection->fd, SHUT_RDWR);
}

static void
remember(ClvConnections *c, int fd, gboolean tls)
{
    Connection *connection = g_hash_table_lookup(c->by_fd, GINT_TO_POINTER(fd));

    if (connection != NULL) /* closed and given out again since the last sweep */
        forget(c, connection);

    connection = g_new0(Connection, 1);
    connection->fd = fd;
    connection->inode = inode_of(fd);
    connection->since_us = g_get_monotonic_time();
    connection->tls = tls;
    g_queue_push_tail(&c->silent, connection);
    connection->place = c->silent.tail;
    g_hash_table_insert(c->by_fd, GINT_TO_POINTER(fd), connection);
}

static void
drop_gone(ClvConnections *c)
{
    GHashTableIter iter;
    gpointer value;

    g_hash_table_iter_init(&iter, c->by_fd);
    while (g_hash_table_iter_next(&iter, NULL, &value)) {
        Connection *connection = value;

        if (!is_gone(connection))
            continue;
        not_silent(c, connection);
        g_hash_table_iter_remove(&iter);
    }
}

/* The oldest that has not said a word. */
static gboolean
drop_oldest_silent(ClvConnections *c)
{
    while (c->silent.head != NULL) {
        Connection *connection = c->silent.head->data;

        not_silent(c, connection);
        if (is_gone(connection) || !has_spoken(connection)) {
            if (!is_gone(connection))
                hang_up(connection);
            g_hash_table_remove(c->by_fd, GINT_TO_POINTER(connection->fd));
            return TRUE;
        }
    }
    return FALSE;
}

static void
sweep(void *user)
{
    ClvConnections *c = user;
    gint64 now_us = g_get_monotonic_time();

    c->sweeper = clv_loop_timer(c->loop, SWEEP_MS, sweep, c);
    drop_gone(c);
    while (c->silent_us > 0 && c->silent.head != NULL) {
        Connection *connection = c->silent.head->data;

        if (now_us - connection->since_us < c->silent_us)
            break;
        if (!has_spoken(connection))
            hang_up(connection); /* stays in by_fd until Sofia has closed it */
        not_silent(c, connection);
    }
}

guint
clv_connections_count(const ClvConnections *c)
{
    return g_hash_table_size(c->by_fd);
}

void
clv_connections_spoke(int fd)
{
    Connection *connection;

    if (the_connections == NULL)
        return;
    connection = g_hash_table_lookup(the_connections->by_fd, GINT_TO_POINTER(fd));
    if (connection == NULL || connection->spoke)
        return;

    connection->spoke = TRUE;
    not_silent(the_connections, connection);
}

/* ---- between Sofia and libc -------------------------------------------------------------------
 */

CLV_STANDS_BEFORE int listen(int fd, int backlog);
CLV_STANDS_BEFORE int accept(int fd, __SOCKADDR_ARG address, socklen_t *restrict len);

/* Sofia's backlog of 64 is full before a burst of calls is over. */
int
listen(int fd, int backlog)
{
    int (*real)(int, int) = dlsym(RTLD_NEXT, "listen");

    if (adopting != NULL && the_connections != NULL) {
        backlog = BACKLOG;
        g_hash_table_add(the_connections->listeners, GINT_TO_POINTER(fd));
    }
    return real(fd, backlog);
}

static gboolean
has_room(ClvConnections *c)
{
    if (c->max == 0 || g_hash_table_size(c->by_fd) < c->max)
        return TRUE;
    drop_gone(c);
    return g_hash_table_size(c->by_fd) < c->max || drop_oldest_silent(c);
}

int
accept(int fd, __SOCKADDR_ARG address, socklen_t *restrict len)
{
    int (*real)(int, struct sockaddr *, socklen_t *);
    ClvConnections *c = the_connections;
    int connection;

    CLV_FIND_REAL(real, "accept");
    connection = real(fd, address.__sockaddr__, len);
    if (c == NULL || !g_hash_table_contains(c->listeners, GINT_TO_POINTER(fd)))
        return connection;
    if (connection < 0) {
        if ((errno == EMFILE || errno == ENFILE) && drop_oldest_silent(c))
            errno = EAGAIN;
        return connection;
    }

    if (!has_room(c)) {
        close(connection);
        errno = EAGAIN;
        return -1;
    }
    remember(c, connection, FALSE);
    return connection;
}

/* ---- life -------------------------------------------------------------------------------------
 */

static guint
raise_descriptors(guint wanted)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return wanted;
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur > G_MAXINT)
        return wanted;
    return MIN(wanted, (guint)MAX((gint64)limit.rlim_cur - SPARE_DESCRIPTORS, 16));
}

ClvConnections *
clv_connections_new(ClvLoop *loop, guint max_connections, gint64 silent_ms)
{
    ClvConnections *c = g_new0(ClvConnections, 1);

    g_assert(the_connections == NULL);
    c->loop = loop;
    c->max = raise_descriptors(max_connections > 0 ? max_connections : G_MAXINT);
    c->silent_us = silent_ms * 1000;
    c->listeners = g_hash_table_new(NULL, NULL);
    c->by_fd = g_hash_table_new_full(NULL, NULL, NULL, g_free);
    g_queue_init(&c->silent);
    c->sweeper = clv_loop_timer(loop, SWEEP_MS, sweep, c);
    the_connections = c;
    return c;
}

void
clv_connections_free(ClvConnections *c)
{
    if (c == NULL)
        return;

    the_connections = NULL;
    clv_timer_cancel(c->sweeper);
    g_queue_clear(&c->silent);
    g_hash_table_destroy(c->listeners);
    g_hash_table_destroy(c->by_fd);
    g_free(c);
}

void
clv_connections_adopt_begin(ClvConnections *c, const ClvTlsWishes *wishes)
{
    adopting = wishes;
}

void
clv_connections_adopt_end(ClvConnections *c)
{
    adopting = NULL;
}

const ClvTlsWishes *
clv_connections_adopting(void)
{
    return adopting;
}

void
clv_connections_is_tls(int fd)
{
    Connection *connection = the_connections != NULL
                                 ? g_hash_table_lookup(the_connections->by_fd, GINT_TO_POINTER(fd))
                                 : NULL;

    if (connection != NULL)
        connection->tls = TRUE;
}
