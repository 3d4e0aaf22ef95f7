/* SPDX-License-Identifier: Apache-2.0 */
/* raw-peer.c - see raw-peer.h */
#include "config.h"

#include "raw-peer.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <gio/gio.h>
#include <openssl/ssl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define PATIENCE_MS 4000

struct RawPeer {
    ClvLoop *loop;
    int fd;
    char transport[4];
    char *address;
    SSL_CTX *ctx;
    SSL *ssl;
    GByteArray *in; /* stream: bytes; datagram: one message at a time */
    GQueue datagrams;
    GHashTable *seen; /* each message that was taken, with whether it has come again */
    gboolean closed;
};

/* ---- running the loop ------------------------------------------------------------------------ */

typedef struct Until {
    ClvLoop *loop;
    gboolean (*test)(void *user);
    void *user;
    gint64 deadline_us;
    ClvTimer *timer;
    gboolean met;
} Until;

static void
look(void *data)
{
    Until *u = data;

    u->met = u->test != NULL && u->test(u->user);
    if (u->met || g_get_monotonic_time() >= u->deadline_us)
        clv_loop_quit(u->loop);
    else
        u->timer = clv_loop_timer(u->loop, 1, look, u);
}

gboolean
raw_run_until(ClvLoop *loop, gboolean (*test)(void *user), void *user, gint64 timeout_ms)
{
    Until u = {loop, test, user, g_get_monotonic_time() + timeout_ms * 1000, NULL, FALSE};

    if (test != NULL && test(user))
        return TRUE;
    u.timer = clv_loop_timer(loop, 0, look, &u);
    clv_loop_run(loop);
    return u.met;
}

void
raw_run(ClvLoop *loop, gint64 ms)
{
    raw_run_until(loop, NULL, NULL, ms);
}

/* ---- sockets --------------------------------------------------------------------------------- */

static GSocketAddress *
parse_address(const char *to)
{
    const char *host = strchr(to, ':') + 1;
    g_autoptr(GSocketConnectable) c = g_network_address_parse(host, 5060, NULL);
    GNetworkAddress *n = G_NETWORK_ADDRESS(c);

    return g_inet_socket_address_new_from_string(g_network_address_get_hostname(n),
                                                 g_network_address_get_port(n));
}

static char *
own_address(int fd)
{
    struct sockaddr_storage ss;
    socklen_t len = sizeof(ss);
    g_autoptr(GSocketAddress) a = NULL;
    g_autofree char *host = NULL;

    g_assert_cmpint(getsockname(fd, (struct sockaddr *)&ss, &len), ==, 0);
    a = g_socket_address_new_from_native(&ss, len);
    host = g_inet_address_to_string(g_inet_socket_address_get_address(G_INET_SOCKET_ADDRESS(a)));
    return g_strdup_printf(strchr(host, ':') != NULL ? "[%s]:%u" : "%s:%u", host,
                           g_inet_socket_address_get_port(G_INET_SOCKET_ADDRESS(a)));
}

static RawPeer *
peer_new(ClvLoop *loop, const char *to, const char *from)
{
    g_autoptr(GSocketAddress) address = parse_address(to);
    struct sockaddr_storage ss;
    struct sockaddr_in own = {.sin_family = AF_INET};
    gssize len = g_socket_address_get_native_size(address);
    RawPeer *peer = g_new0(RawPeer, 1);

    peer->loop = loop;
    g_strlcpy(peer->transport,
              g_str_has_prefix(to, "udp")   ? "UDP"
              : g_str_has_prefix(to, "tls") ? "TLS"
                                            : "TCP",
              4);
    peer->in = g_byte_array_new();
    g_queue_init(&peer->datagrams);
    peer->seen = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    g_assert_true(g_socket_address_to_native(address, &ss, sizeof(ss), NULL));
    peer->fd = socket(ss.ss_family, (to[0] == 'u' ? SOCK_DGRAM : SOCK_STREAM) | SOCK_CLOEXEC, 0);
    g_assert_cmpint(peer->fd, >=, 0);
    if (from != NULL && (inet_pton(AF_INET, from, &own.sin_addr) != 1 ||
                         bind(peer->fd, (struct sockaddr *)&own, sizeof(own)) != 0))
        g_error("bind %s: %s", from, g_strerror(errno));
    if (connect(peer->fd, (struct sockaddr *)&ss, (socklen_t)len) != 0)
        g_error("connect %s: %s", to, g_strerror(errno));
    fcntl(peer->fd, F_SETFL, O_NONBLOCK);
    peer->address = own_address(peer->fd);
    return peer;
}

RawPeer *
raw_peer_silent(ClvLoop *loop, const char *to)
{
    return peer_new(loop, to, NULL);
}

RawPeer *
raw_peer_from(ClvLoop *loop, const char *to, const char *from)
{
    return peer_new(loop, to, from);
}

static gboolean
handshake_over(void *user)
{
    RawPeer *peer = user;
    int n = SSL_do_handshake(peer->ssl);

    if (n == 1)
        return TRUE;
    n = SSL_get_error(peer->ssl, n);
    peer->closed = n != SSL_ERROR_WANT_READ && n != SSL_ERROR_WANT_WRITE;
    return peer->closed;
}

RawPeer *
raw_peer_new(ClvLoop *loop, const char *to, const char *cert)
{
    RawPeer *peer = raw_peer_silent(loop, to);

    if (strcmp(peer->transport, "TLS") != 0)
        return peer;

    peer->ctx = SSL_CTX_new(TLS_client_method());
    if (cert != NULL) {
        g_assert_cmpint(SSL_CTX_use_certificate_file(peer->ctx, cert, SSL_FILETYPE_PEM), ==, 1);
        g_assert_cmpint(SSL_CTX_use_PrivateKey_file(peer->ctx, cert, SSL_FILETYPE_PEM), ==, 1);
    }
    peer->ssl = SSL_new(peer->ctx);
    SSL_set_fd(peer->ssl, peer->fd);
    SSL_set_connect_state(peer->ssl);
    raw_run_until(loop, handshake_over, peer, PATIENCE_MS);
    if (!SSL_is_init_finished(peer->ssl) || peer->closed)
        g_clear_pointer(&peer, raw_peer_free);
    return peer;
}

/* ---- being called ---- */

struct RawListener {
    ClvLoop *loop;
    int fd;
    char *address;
    SSL_CTX *ctx;
};

RawListener *
raw_listener_new(ClvLoop *loop, const char *cert)
{
    RawListener *l = g_new0(RawListener, 1);
    struct sockaddr_in sin = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};

    l->loop = loop;
    l->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    g_assert_cmpint(bind(l->fd, (struct sockaddr *)&sin, sizeof(sin)), ==, 0);
    g_assert_cmpint(listen(l->fd, 8), ==, 0);
    l->address = own_address(l->fd);
    if (cert != NULL) {
        l->ctx = SSL_CTX_new(TLS_server_method());
        g_assert_cmpint(SSL_CTX_use_certificate_file(l->ctx, cert, SSL_FILETYPE_PEM), ==, 1);
        g_assert_cmpint(SSL_CTX_use_PrivateKey_file(l->ctx, cert, SSL_FILETYPE_PEM), ==, 1);
    }
    return l;
}

const char *
raw_listener_address(const RawListener *l)
{
    return l->address;
}

typedef struct Accepting {
    RawListener *listener;
    int fd;
} Accepting;

static gboolean
somebody_came(void *user)
{
    Accepting *a = user;

    a->fd = accept(a->listener->fd, NULL, NULL);
    return a->fd >= 0;
}

RawPeer *
raw_listener_accept(RawListener *l, gint64 timeout_ms)
{
    Accepting a = {l, -1};
    RawPeer *peer;

    if (!raw_run_until(l->loop, somebody_came, &a, timeout_ms))
        return NULL;
    peer = g_new0(RawPeer, 1);
    peer->loop = l->loop;
    g_strlcpy(peer->transport, l->ctx != NULL ? "TLS" : "TCP", 4);
    peer->in = g_byte_array_new();
    g_queue_init(&peer->datagrams);
    peer->seen = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    peer->fd = a.fd;
    fcntl(peer->fd, F_SETFL, O_NONBLOCK);
    peer->address = g_strdup(l->address);
    if (l->ctx == NULL)
        return peer;

    SSL_CTX_up_ref(l->ctx);
    peer->ctx = l->ctx;
    peer->ssl = SSL_new(l->ctx);
    SSL_set_fd(peer->ssl, peer->fd);
    SSL_set_accept_state(peer->ssl);
    raw_run_until(l->loop, handshake_over, peer, PATIENCE_MS);
    if (!SSL_is_init_finished(peer->ssl) || peer->closed)
        g_clear_pointer(&peer, raw_peer_free);
    return peer;
}

void
raw_listener_free(RawListener *l)
{
    if (l->ctx != NULL)
        SSL_CTX_free(l->ctx);
    close(l->fd);
    g_free(l->address);
    g_free(l);
}

void
raw_peer_free(RawPeer *peer)
{
    if (peer == NULL)
        return;

    if (peer->ssl != NULL)
        SSL_free(peer->ssl);
    if (peer->ctx != NULL)
        SSL_CTX_free(peer->ctx);
    close(peer->fd);
    g_byte_array_unref(peer->in);
    g_queue_clear_full(&peer->datagrams, g_free);
    g_hash_table_unref(peer->seen);
    g_free(peer->address);
    g_free(peer);
}

const char *
raw_peer_address(const RawPeer *peer)
{
    return peer->address;
}

const char *
raw_peer_transport(const RawPeer *peer)
{
    return peer->transport;
}

void
raw_peer_send(RawPeer *peer, const char *text)
{
    gsize len = strlen(text), done = 0;

    while (done < len) {
        gssize n = peer->ssl != NULL ? SSL_write(peer->ssl, text + done, (int)(len - done))
                                     : send(peer->fd, text + done, len - done, MSG_NOSIGNAL);

        if (n > 0)
            done += (gsize)n;
        else if (peer->ssl == NULL && errno != EAGAIN)
            return; /* the other side has closed: the test will see it */
        else
            raw_run(peer->loop, 1);
    }
}

void
raw_peer_say(RawPeer *peer, const char *text)
{
    g_assert_cmpint(send(peer->fd, text, strlen(text), MSG_NOSIGNAL), ==, strlen(text));
}

static void
read_some(RawPeer *peer)
{
    char buffer[65536];
    gssize n;

    for (;;) {
        n = peer->ssl != NULL ? SSL_read(peer->ssl, buffer, sizeof(buffer))
                              : recv(peer->fd, buffer, sizeof(buffer), 0);
        if (n <= 0)
            break;
        if (strcmp(peer->transport, "UDP") == 0)
            g_queue_push_tail(&peer->datagrams, g_strndup(buffer, (gsize)n));
        else
            g_byte_array_append(peer->in, (guint8 *)buffer, (guint)n);
    }
    if (peer->ssl != NULL)
        peer->closed |= SSL_get_error(peer->ssl, (int)n) != SSL_ERROR_WANT_READ;
    else
        peer->closed |= n == 0 || (errno != EAGAIN && errno != ECONNREFUSED);
}

/* A whole message out of the stream. */
static char *
take(RawPeer *peer)
{
    g_autofree char *text = NULL, *length = NULL;
    const char *end;
    gsize need;

    if (strcmp(peer->transport, "UDP") == 0)
        return g_queue_pop_head(&peer->datagrams);
    while (peer->in->len >= 2 && memcmp(peer->in->data, "\r\n", 2) == 0)
        g_byte_array_remove_range(peer->in, 0, 2);
    if (peer->in->len == 0)
        return NULL;
    text = g_strndup((const char *)peer->in->data, peer->in->len);
    end = strstr(text, "\r\n\r\n");
    if (end == NULL)
        return NULL;
    length = raw_header(text, "Content-Length");
    need = (gsize)(end - text) + 4 + (length != NULL ? g_ascii_strtoull(length, NULL, 10) : 0);
    if (peer->in->len < need)
        return NULL;
    g_byte_array_remove_range(peer->in, 0, (guint)need);
    text[need] = '\0';
    return g_steal_pointer(&text);
}

typedef struct Waiting {
    RawPeer *peer;
    char *message;
} Waiting;

static gboolean
has_message(void *user)
{
    Waiting *w = user;

    if (w->message == NULL)
        w->message = take(w->peer);
    if (w->message == NULL) {
        read_some(w->peer);
        w->message = take(w->peer);
    }
    return w->message != NULL || w->peer->closed;
}

char *
raw_peer_receive(RawPeer *peer, gint64 timeout_ms)
{
    Waiting w = {peer, NULL};

    raw_run_until(peer->loop, has_message, &w, timeout_ms);
    if (g_getenv("RAW_TRACE") != NULL)
        g_printerr("---- received by %s\n%s\n", peer->address, w.message ? w.message : "(nothing)");
    if (w.message != NULL)
        g_hash_table_replace(peer->seen, g_strdup(w.message),
                             GINT_TO_POINTER(g_hash_table_contains(peer->seen, w.message)));
    return w.message;
}

/* On a machine that is busy elsewhere anything may be sent once more before it is answered. */
gboolean
raw_peer_had_before(const RawPeer *peer, const char *message)
{
    return GPOINTER_TO_INT(g_hash_table_lookup(peer->seen, message));
}

gboolean
raw_peer_is_closed(RawPeer *peer)
{
    read_some(peer);
    return peer->closed;
}

/* ---- messages ---------------------------------------------------------------------------------
 */

guint
raw_status(const char *message)
{
    return g_str_has_prefix(message, "SIP/2.0 ") ? (guint)g_ascii_strtoull(message + 8, NULL, 10)
                                                 : 0;
}

static const char *
find_header(const char *from, const char *name)
{
    const char *end = strstr(from, "\r\n\r\n");
    gsize len = strlen(name);

    for (const char *line = strstr(from, "\r\n"); line != NULL && line < end;
         line = strstr(line + 2, "\r\n")) {
        if (g_ascii_strncasecmp(line + 2, name, len) == 0 && line[2 + len] == ':')
            return line + 2;
    }
    return NULL;
}

char *
raw_header(const char *message, const char *name)
{
    const char *line = find_header(message, name);

    if (line == NULL)
        return NULL;
    line += strlen(name) + 1;
    return g_strstrip(g_strndup(line, (gsize)(strstr(line, "\r\n") - line)));
}

guint
raw_count_headers(const char *message, const char *name)
{
    guint n = 0;

    for (const char *p = message; (p = find_header(p, name)) != NULL;) {
        n++;
        p = strstr(p, "\r\n");
    }
    return n;
}

const char *
raw_body(const char *message)
{
    const char *end = strstr(message, "\r\n\r\n");

    return end != NULL ? end + 4 : "";
}

/* ---- calls ------------------------------------------------------------------------------------
 */

static char *
unique(const char *prefix)
{
    return g_strdup_printf("%s%08x%08x", prefix, g_random_int(), g_random_int());
}

void
raw_call_init(RawCall *call, RawPeer *peer, const char *uri)
{
    memset(call, 0, sizeof(*call));
    call->peer = peer;
    call->call_id = unique("call");
    call->first_uri = g_strdup(uri);
    call->target = g_strdup(uri);
    call->user = g_strdup("alice");
}

void
raw_call_clear(RawCall *call)
{
    g_free(call->call_id);
    g_free(call->to_tag);
    g_free(call->from_tag);
    g_free(call->target);
    g_free(call->first_uri);
    g_free(call->user);
    g_free(call->branch);
}

static void
send_request(RawCall *call, const char *method, const char *uri, const char *extra,
             const char *body)
{
    const char *transport = raw_peer_transport(call->peer);
    g_autofree char *lower = g_ascii_strdown(transport, -1);
    gboolean has_contact = extra != NULL && (g_str_has_prefix(extra, "Contact:") ||
                                             strstr(extra, "\nContact:") != NULL);
    gboolean has_type = extra != NULL && strstr(extra, "Content-Type:") != NULL;
    g_autofree char *contact =
        has_contact ? g_strdup("")
                    : g_strdup_printf("Contact: <sip:%s@%s;transport=%s>\r\n", call->user,
                                      raw_peer_address(call->peer), lower);
    g_autofree char *text = g_strdup_printf(
        "%s %s SIP/2.0\r\nVia: SIP/2.0/%s %s;branch=%s;rport\r\nMax-Forwards: 70\r\n"
        "From: <sip:%s@example.org>;tag=%s\r\nTo: <%s>%s%s\r\nCall-ID: %s\r\nCSeq: %u %s\r\n"
        "%s%s%sContent-Length: %zu\r\n\r\n%s",
        method, uri, transport, raw_peer_address(call->peer), call->branch, call->user,
        call->from_tag != NULL ? call->from_tag : "from1", call->first_uri,
        call->to_tag != NULL ? ";tag=" : "", call->to_tag != NULL ? call->to_tag : "",
        call->call_id, call->cseq, method, contact, extra != NULL ? extra : "",
        body != NULL && !has_type ? "Content-Type: application/sdp\r\n" : "",
        body != NULL ? strlen(body) : 0, body != NULL ? body : "");

    raw_peer_send(call->peer, text);
}

void
raw_call_send(RawCall *call, const char *method, const char *extra, const char *body)
{
    g_free(call->branch);
    call->branch = unique("z9hG4bK");
    call->cseq++;
    send_request(call, method, call->target, extra, body);
}

void
raw_call_ack(RawCall *call, const char *body)
{
    g_autofree char *branch = g_steal_pointer(&call->branch);

    call->branch = unique("z9hG4bK");
    send_request(call, "ACK", call->target, NULL, body);
    g_free(call->branch);
    call->branch = g_steal_pointer(&branch);
}

void
raw_call_same_branch(RawCall *call, const char *method)
{
    send_request(call, method, call->to_tag == NULL ? call->first_uri : call->target, NULL, NULL);
}

static void
learn(RawCall *call, const char *message)
{
    g_autofree char *to = raw_header(message, "To"), *contact = raw_header(message, "Contact");
    const char *tag = to != NULL ? strstr(to, ";tag=") : NULL;

    if (tag != NULL && raw_status(message) < 300) {
        g_free(call->to_tag);
        call->to_tag = g_strdup(tag + 5);
    }
    if (contact != NULL && contact[0] == '<' && raw_status(message) < 300) {
        g_free(call->target);
        call->target = g_strndup(contact + 1, strcspn(contact + 1, ">"));
    }
}

char *
raw_call_expect(RawCall *call, guint status)
{
    char *message;

    do {
        message = raw_peer_receive(call->peer, PATIENCE_MS);
        if (message == NULL)
            g_error("no answer, expected %u", status);
        if (raw_status(message) == 100 ||
            (raw_status(message) != status && raw_peer_had_before(call->peer, message)))
            g_clear_pointer(&message, g_free);
    } while (message == NULL);
    if (raw_status(message) != status)
        g_error("expected %u, got\n%s", status, message);
    learn(call, message);
    return message;
}

char *
raw_call_expect_request(RawCall *call, const char *method)
{
    char *message = raw_peer_receive(call->peer, PATIENCE_MS);

    while (message != NULL && !g_str_has_prefix(message, method) &&
           raw_peer_had_before(call->peer, message)) {
        g_free(message);
        message = raw_peer_receive(call->peer, PATIENCE_MS);
    }
    if (message == NULL || !g_str_has_prefix(message, method))
        g_error("expected %s, got\n%s", method, message != NULL ? message : "nothing");
    return message;
}

void
raw_call_answer_as(RawCall *call, const char *request, guint status, const char *tag,
                   const char *contact, const char *extra, const char *body)
{
    static const char *const copied[] = {"From", "To", "Call-ID", "CSeq"};
    gboolean has_type = extra != NULL && strstr(extra, "Content-Type:") != NULL;
    GString *text = g_string_new(NULL);

    g_string_printf(text, "SIP/2.0 %u Whatever\r\n", status);
    for (const char *p = request; (p = find_header(p, "Via")) != NULL; p = strstr(p, "\r\n"))
        g_string_append_len(text, p, strstr(p, "\r\n") + 2 - p);
    for (gsize i = 0; i < G_N_ELEMENTS(copied); i++) {
        g_autofree char *value = raw_header(request, copied[i]);
        gboolean tagged = tag != NULL && i == 1 && strstr(value, ";tag=") == NULL;

        g_string_append_printf(text, "%s: %s%s%s\r\n", copied[i], value, tagged ? ";tag=" : "",
                               tagged ? tag : "");
    }
    if (contact == NULL)
        g_string_append_printf(text, "Contact: <sip:%s@%s>\r\n", call->user,
                               raw_peer_address(call->peer));
    else
        g_string_append(text, contact);
    g_string_append_printf(text, "%s%sContent-Length: %zu\r\n\r\n%s", extra != NULL ? extra : "",
                           body != NULL && !has_type ? "Content-Type: application/sdp\r\n" : "",
                           body != NULL ? strlen(body) : 0, body != NULL ? body : "");
    raw_peer_send(call->peer, text->str);
    g_string_free(text, TRUE);
}

void
raw_call_answer(RawCall *call, const char *request, guint status, const char *extra,
                const char *body)
{
    raw_call_answer_as(call, request, status, NULL, NULL, extra, body);
}

/* What stands between "<" and ">", or NULL. */
static char *
bracketed(const char *value)
{
    const char *start = value != NULL ? strchr(value, '<') : NULL;

    return start != NULL ? g_strndup(start + 1, strcspn(start + 1, ">")) : NULL;
}

char *
raw_call_taken(RawCall *call, RawPeer *peer, const char *method, const char *tag)
{
    char *message;
    g_autofree char *from = NULL, *contact = NULL;

    memset(call, 0, sizeof(*call));
    call->peer = peer;
    call->user = g_strdup("alice");
    message = raw_call_expect_request(call, method);
    from = raw_header(message, "From");
    contact = raw_header(message, "Contact");
    call->call_id = raw_header(message, "Call-ID");
    call->to_tag = g_strdup(strstr(from, ";tag=") + 5);
    call->from_tag = g_strdup(tag);
    call->first_uri = bracketed(from);
    call->target = bracketed(contact);
    return message;
}
