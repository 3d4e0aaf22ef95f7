/* SPDX-License-Identifier: Apache-2.0 */
/* sip/route.c - by which way does a request of ours go first, and is that way secured? */
#include "config.h"

#include "sip/route.h"

#include <gio/gio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static gboolean
has_transport(const ClvSip *sip, const char *name)
{
    gsize len = strlen(name);

    for (char **l = sip->listening; l != NULL && *l != NULL; l++) {
        if (g_str_has_prefix(*l, name) && (*l)[len] == ':')
            return TRUE;
    }
    return FALSE;
}

static const char *
transport_of(const ClvSip *sip, const url_t *url)
{
    static const char *const known[] = {"udp", "tcp", "tls"};
    char name[16] = "";

    if (url->url_type == url_sips)
        return "tls";
    if (url->url_params == NULL || !url_has_param(url, "transport"))
        return has_transport(sip, "udp") ? "udp" : has_transport(sip, "tcp") ? "tcp" : "tls";
    url_param(url->url_params, "transport", name, sizeof(name));
    for (gsize i = 0; i < G_N_ELEMENTS(known); i++) {
        if (g_ascii_strcasecmp(known[i], name) == 0)
            return known[i];
    }
    return NULL;
}

static gboolean
is_listed(char *const *names, const char *host)
{
    for (; names != NULL && *names != NULL; names++) {
        if (g_ascii_strcasecmp(*names, host) == 0)
            return TRUE;
    }
    return FALSE;
}

static void
copy_host(char *out, gsize size, const char *host)
{
    gsize len = strlen(host);
    gboolean bracketed = len > 2 && host[0] == '[' && host[len - 1] == ']';

    g_strlcpy(out, host + (bracketed ? 1 : 0), MIN(size, bracketed ? len - 1 : size));
}

static gboolean
read_route(const ClvSip *sip, const url_t *url, Route *out)
{
    guint64 port = 0;

    if (!clv_dialog_is_sane_url(url) || (out->transport = transport_of(sip, url)) == NULL ||
        !has_transport(sip, out->transport))
        return FALSE;
    if (url->url_port != NULL && url->url_port[0] != '\0' &&
        !g_ascii_string_to_unsigned(url->url_port, 10, 1, 65535, &port, NULL))
        return FALSE;

    out->port = (guint)port;
    copy_host(out->host, sizeof(out->host), url->url_host);
    out->stream = strcmp(out->transport, "udp") != 0;
    out->tls = strcmp(out->transport, "tls") == 0;
    out->trusted = clv_sip_is_trusted_address(sip->trusted_peers, out->host) ||
                   (out->tls && is_listed(sip->trusted_peers, out->host));
    return TRUE;
}

gboolean
clv_route_find(const ClvSip *sip, const char *target, Route *out)
{
    su_home_t home[1] = {SU_HOME_INIT(home)};
    url_t *url = strpbrk(target, " <>\"\r\n?") == NULL ? url_make(home, target) : NULL;
    url_t *first = sip->outbound != NULL ? url_make(home, sip->outbound) : url;
    gboolean good =
        url != NULL && first != NULL && (url->url_type == url_tel || clv_dialog_is_sane_url(url));

    memset(out, 0, sizeof(*out));
    out->outbound = sip->outbound != NULL;
    good = good && read_route(sip, first, out);
    if (good && url->url_type == url_sips && !out->tls) /* RFC 3261 section 26.2.2 */
        good = FALSE;
    su_home_deinit(home);
    return good;
}

/* The rest of "udp:[2001:db8::1]:5060": host and port of the first socket of this transport. */
static gboolean
own_socket(const ClvSip *sip, const Route *route, char **out_host, char **out_port)
{
    gsize len = strlen(route->transport);

    for (char **l = sip->listening; *l != NULL; l++) {
        const char *port = strrchr(*l, ':');

        if (!g_str_has_prefix(*l, route->transport) || (*l)[len] != ':')
            continue;
        *out_port = g_strdup(port + 1);
        *out_host = g_strndup(*l + len + 1, (gsize)(port - *l) - len - 1);
        return TRUE;
    }
    return FALSE;
}

/* Whom the kernel would send from; nothing is sent. */
static char *
ask_kernel(const Route *route)
{
    g_autoptr(GInetAddress) there = g_inet_address_new_from_string(route->host);
    g_autoptr(GSocketAddress) to = NULL, from = NULL;
    struct sockaddr_storage ss;
    socklen_t len = sizeof(ss);
    gssize size;
    char *host = NULL;
    int fd;

    if (there == NULL)
        return NULL;
    to = g_inet_socket_address_new(there, route->port != 0 ? (guint16)route->port : 5060);
    size = g_socket_address_get_native_size(to);
    if (!g_socket_address_to_native(to, &ss, sizeof(ss), NULL))
        return NULL;
    fd = socket(ss.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return NULL;
    if (connect(fd, (struct sockaddr *)&ss, (socklen_t)size) == 0 &&
        getsockname(fd, (struct sockaddr *)&ss, &len) == 0) {
        from = g_socket_address_new_from_native(&ss, len);
        if (G_IS_INET_SOCKET_ADDRESS(from))
            host = g_inet_address_to_string(
                g_inet_socket_address_get_address(G_INET_SOCKET_ADDRESS(from)));
    }
    close(fd);
    return host;
}

char *
clv_route_local_host(const ClvSip *sip, const Route *route)
{
    char *host = ask_kernel(route);
    g_autofree char *own = NULL, *port = NULL;
    char bare[64];

    if (host != NULL || !own_socket(sip, route, &own, &port))
        return host;
    copy_host(bare, sizeof(bare), own);
    return g_strdup(bare);
}

char *
clv_route_own_port(const ClvSip *sip, const Route *route, const char *uri)
{
    g_autofree char *host = NULL, *port = NULL;
    const char *at = strchr(uri, '@');

    if (route->outbound || at == NULL || !own_socket(sip, route, &host, &port) ||
        strcmp(port, route->tls ? "5061" : "5060") == 0)
        return NULL;
    return g_strdup_printf("%s:%s", at + 1, port);
}
