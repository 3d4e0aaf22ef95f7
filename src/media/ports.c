/* SPDX-License-Identifier: Apache-2.0 */
/* media/ports.c - pairs of sockets from a range, tried from a random place on */
#include "media/ports.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>

#define DSCP_EF 0xb8 /* as a type of service octet */

gboolean
clv_peer_parse(const char *host, guint16 port, ClvPeer *out)
{
    struct sockaddr_in *v4 = (struct sockaddr_in *)&out->address;
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&out->address;

    memset(out, 0, sizeof *out);
    if (inet_pton(AF_INET, host, &v4->sin_addr) == 1) {
        v4->sin_family = AF_INET;
        v4->sin_port = htons(port);
        out->len = sizeof *v4;
        return TRUE;
    }
    if (inet_pton(AF_INET6, host, &v6->sin6_addr) == 1) {
        v6->sin6_family = AF_INET6;
        v6->sin6_port = htons(port);
        out->len = sizeof *v6;
        return TRUE;
    }
    return FALSE;
}

/* Returns a bound socket, or -1 with errno set. */
static int
bind_socket(const ClvPeer *at)
{
    int family = at->address.ss_family;
    int fd = socket(family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    int on = 1, tos = DSCP_EF, saved;

    if (fd < 0)
        return -1;
    (void)setsockopt(fd, SOL_SOCKET, SO_TIMESTAMPNS, &on, sizeof on);
    if (family == AF_INET6) {
        (void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
        (void)setsockopt(fd, IPPROTO_IPV6, IPV6_TCLASS, &tos, sizeof tos);
    } else {
        (void)setsockopt(fd, IPPROTO_IP, IP_TOS, &tos, sizeof tos);
    }
    if (bind(fd, (const struct sockaddr *)&at->address, at->len) == 0)
        return fd;
    saved = errno;
    close(fd);
    errno = saved;
    return -1;
}

static gboolean
bind_pair(const char *host, guint16 port, ClvMediaPorts *out)
{
    ClvPeer at;

    (void)clv_peer_parse(host, port, &at);
    out->family = at.address.ss_family;
    out->rtp_fd = bind_socket(&at);
    if (out->rtp_fd < 0)
        return FALSE;
    (void)clv_peer_parse(host, (guint16)(port + 1), &at);
    out->rtcp_fd = bind_socket(&at);
    if (out->rtcp_fd < 0) {
        int saved = errno;

        close(out->rtp_fd);
        errno = saved;
        return FALSE;
    }
    out->rtp = port;
    out->rtcp = (guint16)(port + 1);
    return TRUE;
}

ClvMediaPorts *
clv_ports_open(const char *local_host, guint16 port_first, guint16 port_last, GError **error)
{
    guint first = (port_first + 1u) & ~1u;
    guint n = port_last > first ? (port_last - first + 1) / 2 : 0;
    guint begin = n > 0 ? (guint)g_random_int_range(0, (gint32)n) : 0;
    ClvMediaPorts *ports;
    ClvPeer probe;

    if (!clv_peer_parse(local_host, 0, &probe)) {
        g_set_error(error, CLV_MEDIA_ERROR, CLV_MEDIA_ERROR_ADDRESS,
                    "'%s' is not an address media can be bound to", local_host);
        return NULL;
    }
    ports = g_new0(ClvMediaPorts, 1);
    for (guint i = 0; i < n; i++) {
        if (bind_pair(local_host, (guint16)(first + 2 * ((begin + i) % n)), ports))
            return ports;
        if (errno != EADDRINUSE)
            break;
    }
    g_set_error(error, CLV_MEDIA_ERROR, CLV_MEDIA_ERROR_PORTS,
                "no pair of ports from %u to %u can be bound on %s: %s", port_first, port_last,
                local_host, g_strerror(n > 0 ? errno : EINVAL));
    g_free(ports);
    return NULL;
}

void
clv_media_ports_close(ClvMediaPorts *ports)
{
    if (ports == NULL)
        return;
    if (ports->rtp_fd >= 0)
        close(ports->rtp_fd);
    if (ports->rtcp_fd >= 0)
        close(ports->rtcp_fd);
    g_free(ports);
}

guint16
clv_media_ports_rtp(const ClvMediaPorts *ports)
{
    return ports->rtp;
}

guint16
clv_media_ports_rtcp(const ClvMediaPorts *ports)
{
    return ports->rtcp;
}
