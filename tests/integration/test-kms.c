/* SPDX-License-Identifier: Apache-2.0 */
/* Do client, server and program work together over real sockets, and the client without a server?
 *
 * Loopback only, ports chosen by the kernel. Where the other side has to misbehave, a small server
 * of the test's own does so.
 */
#include "config.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <glib/gstdio.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include "base/secret.h"
#include "kms/kms.h"
#include "kms/terminal.h"
#include "unit/kms-parties.h"

#define PATIENCE_MS 10000 /* only a broken program makes a test wait this long */

/* ---- a server that misbehaves on purpose ---- */

typedef struct Fake {
    const char *answer; /* (nullable) whole HTTP answer; NULL: read and stay silent */
    gsize answer_len;   /* 0: that of the string */
    guint n_resets;     /* so many connections are closed after their first request */
    SSL_CTX *tls;       /* (nullable) */
    int fd;
    guint16 port;
    GThread *thread;
    gint accepted; /* atomic, as the next */
    gint requests;
} Fake;

typedef struct FakePeer {
    Fake *fake;
    int fd;
    SSL *ssl;
    gboolean reset;
} FakePeer;

static gssize
peer_read(FakePeer *peer, char *out, gsize size)
{
    return peer->ssl != NULL ? SSL_read(peer->ssl, out, (int)size) : read(peer->fd, out, size);
}

static void
peer_write(FakePeer *peer, const char *data, gsize len)
{
    if (peer->ssl != NULL)
        SSL_write(peer->ssl, data, (int)len);
    else if (send(peer->fd, data, len, MSG_NOSIGNAL) < 0)
        return; /* the client gave up */
}

/* Reads one request to the end of its body. */
static gboolean
peer_read_request(FakePeer *peer)
{
    g_autoptr(GString) text = g_string_new(NULL);
    char buffer[4096];
    gssize n;

    while ((n = peer_read(peer, buffer, sizeof buffer)) > 0) {
        const char *end, *length;

        g_string_append_len(text, buffer, n);
        end = strstr(text->str, "\r\n\r\n");
        length = strstr(text->str, "Content-Length: ");
        if (end == NULL || length == NULL)
            continue;
        if (text->len >= (gsize)(end + 4 - text->str) + g_ascii_strtoull(length + 16, NULL, 10))
            return TRUE;
    }
    return FALSE;
}

static gpointer
peer_serve(gpointer data)
{
    FakePeer *peer = data;
    Fake *fake = peer->fake;

    if (peer->ssl != NULL && SSL_accept(peer->ssl) != 1) {
        shutdown(peer->fd, SHUT_RDWR);
        return NULL;
    }
    while (peer_read_request(peer)) {
        g_atomic_int_inc(&fake->requests);
        if (peer->reset) {
            shutdown(peer->fd, SHUT_RDWR);
            return NULL;
        }
        if (fake->answer != NULL)
            peer_write(peer, fake->answer,
                       fake->answer_len > 0 ? fake->answer_len : strlen(fake->answer));
        if (fake->answer != NULL && strstr(fake->answer, "keep-alive") == NULL) {
            shutdown(peer->fd, SHUT_RDWR);
            return NULL;
        }
    }
    return NULL;
}

static void
peer_end(FakePeer *peer, GThread *thread)
{
    shutdown(peer->fd, SHUT_RDWR);
    g_thread_join(thread);
    SSL_free(peer->ssl);
    close(peer->fd);
    g_free(peer);
}

static gpointer
fake_run(gpointer data)
{
    Fake *fake = data;
    g_autoptr(GPtrArray) peers = g_ptr_array_new();
    g_autoptr(GPtrArray) threads = g_ptr_array_new();
    int fd;

    while ((fd = accept(fake->fd, NULL, NULL)) >= 0) {
        FakePeer *peer = g_new0(FakePeer, 1);

        peer->fake = fake;
        peer->fd = fd;
        peer->reset = (guint)g_atomic_int_add(&fake->accepted, 1) < fake->n_resets;
        if (fake->tls != NULL) {
            peer->ssl = SSL_new(fake->tls);
            SSL_set_fd(peer->ssl, fd);
        }
        g_ptr_array_add(peers, peer);
        g_ptr_array_add(threads, g_thread_new("fake-peer", peer_serve, peer));
    }
    for (guint i = 0; i < peers->len; i++)
        peer_end(peers->pdata[i], threads->pdata[i]);
    return NULL;
}

static int
listen_on_loopback(guint16 *port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(*port)};
    socklen_t len = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int on = 1;

    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    g_assert_cmpint(bind(fd, (struct sockaddr *)&address, sizeof address), ==, 0);
    g_assert_cmpint(listen(fd, 64), ==, 0);
    g_assert_cmpint(getsockname(fd, (struct sockaddr *)&address, &len), ==, 0);
    *port = ntohs(address.sin_port);
    return fd;
}

static void
fake_start(Fake *fake)
{
    fake->fd = listen_on_loopback(&fake->port);
    fake->thread = g_thread_new("fake", fake_run, fake);
}

static void
fake_stop(Fake *fake)
{
    shutdown(fake->fd, SHUT_RDWR);
    g_thread_join(fake->thread);
    close(fake->fd);
}

static char *
fake_url(const Fake *fake)
{
    return g_strdup_printf("%s://127.0.0.1:%u/keymanagement", fake->tls != NULL ? "https" : "http",
                           fake->port);
}

#define HTTP_HEAD(status, type, length)                                                            \
    "HTTP/1.1 " status "\r\nContent-Type: " type "\r\nContent-Length: " length                     \
    "\r\nConnection: keep-alive\r\n\r\n"
/* "AQYA" is 01 06 00: the client looks at the first octet alone */
#define GOOD_ANSWER HTTP_HEAD("200 OK", "application/mikey", "4") "AQYA"

/* ---- the client ---- */

static ClvKmsClient *
client_for(const char *url, gint64 timeout_ms)
{
    ClvKmsClientConfig config = {
        .url = url,
        .timeout_ms = timeout_ms,
        .connections = 1,
        .breaker_open_ms = 100,
    };
    g_autoptr(GError) error = NULL;
    ClvKmsClient *client = clv_kms_client_new(&config, &error);

    g_assert_no_error(error);
    return client;
}

static ClvKmsReply *
wait_for_reply(ClvKmsClient *client)
{
    struct pollfd fd = {.fd = clv_kms_client_event_fd(client), .events = POLLIN};
    ClvKmsReply *reply;

    g_assert_cmpint(poll(&fd, 1, PATIENCE_MS), ==, 1);
    reply = clv_kms_client_take(client);
    g_assert_nonnull(reply);
    return reply;
}

static ClvCode
post_something(ClvKmsClient *client, guint64 token)
{
    static const guint8 octets[] = {1, 11, 0};

    return clv_kms_client_post(client, CLV_KMS_TICKET_REQUEST, octets, sizeof octets, token,
                               token + 1000);
}

static ClvKmsReply *
ask_something(ClvKmsClient *client)
{
    g_assert_cmpint(post_something(client, 7), ==, CLV_CODE_OK);
    return wait_for_reply(client);
}

static void
assert_ask(ClvKmsClient *client, ClvCode code)
{
    g_autoptr(ClvKmsReply) reply = ask_something(client);

    if (reply->code != code)
        g_error("found code %d (%s), expected %d", reply->code, reply->detail, code);
}

/* ---- the real server ---- */

typedef struct Kms {
    ClvKmsService *service;
    ClvKmsServer *server;
    gint logged; /* atomic */
} Kms;

static void
on_decision(const ClvKmsDecision *decision, const char *peer, void *user)
{
    Kms *kms = user;

    g_assert_true(g_str_has_prefix(peer, "127.0.0.1 port "));
    g_assert_cmpstr(decision->rule, !=, "");
    g_atomic_int_inc(&kms->logged);
}

static void
kms_listen(Kms *kms, const char *listen, const char *cert, const char *key)
{
    ClvKmsServerConfig config = {
        .listen = listen,
        .cert_file = cert,
        .key_file = key,
        .log = on_decision,
        .log_user = kms,
    };
    g_autoptr(GError) error = NULL;

    if (kms->service == NULL)
        kms->service = parties_service(NULL);
    kms->server = clv_kms_server_new(&config, kms->service, &error);
    g_assert_no_error(error);
}

static void
kms_clear(Kms *kms)
{
    clv_kms_server_free(kms->server);
    clv_kms_service_free(kms->service);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Kms, kms_clear)

static ClvKmsReply *
ask_for_ticket(ClvKmsClient *client, guint64 token)
{
    g_autoptr(Wanted) wanted = wanted_new(BOB);
    g_autoptr(MikeyRequest) request = party_request("alice", ALICE, wanted, g_get_real_time());
    MikeyBytes octets = mikey_request_octets(request);

    g_assert_cmpint(clv_kms_client_post(client, CLV_KMS_TICKET_REQUEST, octets.data, octets.len,
                                        token, token + 1000),
                    ==, CLV_CODE_OK);
    return wait_for_reply(client);
}

static void
assert_is_ticket(const ClvKmsReply *reply)
{
    if (reply->code != CLV_CODE_OK)
        g_error("%s", reply->detail);
    g_assert_cmpuint(reply->body->len, >, 100);
    g_assert_cmpuint(reply->body->data[1], ==, MIKEY_REQUEST_RESP);
}

static void
test_ticket_over_http(gconstpointer binary)
{
    g_auto(Kms) kms = {0};
    g_autoptr(ClvKmsClient) client = NULL;
    g_autoptr(ClvKmsReply) reply = NULL;
    ClvKmsClientConfig config = {.binary_body = binary != NULL};
    ClvKmsClientState state;

    kms_listen(&kms, "127.0.0.1:0", NULL, NULL);
    config.url = clv_kms_server_url(kms.server);
    client = clv_kms_client_new(&config, NULL);
    g_assert_null(clv_kms_client_take(client));
    reply = ask_for_ticket(client, 42);
    assert_is_ticket(reply);
    g_assert_cmpuint(reply->token, ==, 42);
    g_assert_cmpuint(reply->generation, ==, 1042);
    g_assert_null(clv_kms_client_take(client));
    clv_kms_client_state(client, &state);
    g_assert_cmpuint(state.requests, ==, 1);
    g_assert_cmpuint(state.failures, ==, 0);
    g_assert_cmpuint(state.outstanding, ==, 0);
    g_assert_cmpint(state.last_latency_us, >, 0);
    g_assert_cmpint(g_atomic_int_get(&kms.logged), ==, 1);
}

static void
test_ipv6(void)
{
    ClvKmsServerConfig config = {.listen = "[::1]:0"};
    g_autoptr(ClvKmsService) service = parties_service(NULL);
    g_autoptr(ClvKmsServer) server = clv_kms_server_new(&config, service, NULL);
    g_autoptr(ClvKmsClient) client = NULL;
    g_autoptr(ClvKmsReply) reply = NULL;

    if (server == NULL) {
        g_test_skip("no IPv6 on loopback");
        return;
    }
    g_assert_true(g_str_has_prefix(clv_kms_server_url(server), "http://[::1]:"));
    client = client_for(clv_kms_server_url(server), PATIENCE_MS);
    reply = ask_for_ticket(client, 1);
    assert_is_ticket(reply);
}

/* The event descriptor tells the truth however replies and takes interleave. */
static void
test_64_at_once(void)
{
    g_auto(Kms) kms = {0};
    g_autoptr(ClvKmsClient) client = NULL;
    g_autoptr(Wanted) wanted = wanted_new(BOB);
    ClvKmsClientConfig config = {.max_outstanding = 64};
    gboolean seen[64] = {FALSE};
    struct pollfd fd;

    kms_listen(&kms, "127.0.0.1:0", NULL, NULL);
    config.url = clv_kms_server_url(kms.server);
    client = clv_kms_client_new(&config, NULL);
    for (guint i = 0; i < G_N_ELEMENTS(seen); i++) {
        g_autoptr(MikeyRequest) request = party_request("alice", ALICE, wanted, g_get_real_time());
        MikeyBytes octets = mikey_request_octets(request);

        g_assert_cmpint(
            clv_kms_client_post(client, CLV_KMS_TICKET_REQUEST, octets.data, octets.len, i, 0), ==,
            CLV_CODE_OK);
    }
    for (guint i = 0; i < G_N_ELEMENTS(seen); i++) {
        g_autoptr(ClvKmsReply) reply = wait_for_reply(client);

        assert_is_ticket(reply);
        g_assert_cmpuint(reply->token, <, 64);
        g_assert_false(seen[reply->token]);
        seen[reply->token] = TRUE;
    }
    fd = (struct pollfd){.fd = clv_kms_client_event_fd(client), .events = POLLIN};
    g_assert_cmpint(poll(&fd, 1, 0), ==, 0);
}

/* ---- a server that is not as it should be ---- */

static void
test_connection_is_kept(void)
{
    Fake fake = {.answer = GOOD_ANSWER};
    g_autoptr(ClvKmsClient) client = NULL;
    g_autofree char *url = NULL;

    fake_start(&fake);
    url = fake_url(&fake);
    client = client_for(url, PATIENCE_MS);
    for (guint i = 0; i < 5; i++)
        assert_ask(client, CLV_CODE_OK);
    g_assert_cmpint(g_atomic_int_get(&fake.requests), ==, 5);
    g_assert_cmpint(g_atomic_int_get(&fake.accepted), ==, 1);
    g_clear_pointer(&client, clv_kms_client_free);
    fake_stop(&fake);
}

static void
test_slow_server(void)
{
    Fake fake = {.answer = NULL};
    g_autoptr(ClvKmsClient) client = NULL;
    g_autoptr(ClvKmsReply) reply = NULL;
    g_autofree char *url = NULL;
    ClvKmsClientState state;
    gint64 start_us;

    fake_start(&fake);
    url = fake_url(&fake);
    client = client_for(url, 200);
    start_us = g_get_monotonic_time();
    reply = ask_something(client);
    g_assert_cmpint(reply->code, ==, CLV_CODE_KMS_TIMEOUT);
    g_assert_cmpuint(reply->token, ==, 7);
    g_assert_nonnull(strstr(reply->detail, "in time"));
    g_assert_cmpint(g_get_monotonic_time() - start_us, >=, 190000);
    g_assert_cmpint(g_get_monotonic_time() - start_us, <, 5000000);
    g_assert_cmpint(g_atomic_int_get(&fake.requests), ==, 1); /* not tried again */
    clv_kms_client_state(client, &state);
    g_assert_cmpuint(state.timeouts, ==, 1);
    g_assert_cmpstr(state.last_error, !=, "");
    g_clear_pointer(&client, clv_kms_client_free);
    fake_stop(&fake);
}

typedef struct Nonsense {
    const char *name;
    const char *answer;
    ClvCode code;
} Nonsense;

static const Nonsense nonsense[] = {
    {"html", HTTP_HEAD("200 OK", "text/html", "4") "AQYA", CLV_CODE_KMS_TIMEOUT},
    {"no-base64", HTTP_HEAD("200 OK", "application/mikey", "4") "????", CLV_CODE_KMS_TIMEOUT},
    {"no-mikey", HTTP_HEAD("200 OK", "application/mikey", "4") "BQYA", CLV_CODE_KMS_TIMEOUT},
    {"empty", HTTP_HEAD("200 OK", "application/mikey", "0"), CLV_CODE_KMS_TIMEOUT},
    {"similar-type", HTTP_HEAD("200 OK", "application/mikey2", "4") "AQYA", CLV_CODE_KMS_TIMEOUT},
    {"no-http", "SSH-2.0-OpenSSH_9.2\r\n", CLV_CODE_KMS_TIMEOUT},
    {"nothing", "", CLV_CODE_KMS_TIMEOUT},
    {"half",
     "HTTP/1.1 200 OK\r\nContent-Type: application/mikey\r\nContent-Length: 400\r\n\r\nAQYA",
     CLV_CODE_KMS_TIMEOUT},
    {"redirect", "HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n",
     CLV_CODE_KMS_TIMEOUT},
    {"not-found", HTTP_HEAD("404 Not Found", "text/plain", "2") "no", CLV_CODE_KMS_TIMEOUT},
    {"broken", HTTP_HEAD("500 Oops", "text/plain", "2") "no", CLV_CODE_KMS_TIMEOUT},
    {"overloaded", HTTP_HEAD("503 Busy", "text/plain", "2") "no", CLV_CODE_KMS_DOWN},
    {"too-often", HTTP_HEAD("429 Slowly", "text/plain", "2") "no", CLV_CODE_KMS_DOWN},
    {"forbidden", HTTP_HEAD("403 No", "text/plain", "2") "no", CLV_CODE_FORBIDDEN},
    {"unauthorized", HTTP_HEAD("401 Who", "text/plain", "2") "no", CLV_CODE_INTERNAL},
    /* a MIKEY message is passed up, whatever the status */
    {"forbidden-by-mikey", HTTP_HEAD("403 No", "application/mikey", "4") "AQYA", CLV_CODE_OK},
    {"broken-by-mikey", HTTP_HEAD("500 No", "application/mikey", "4") "AQYA", CLV_CODE_OK},
    {"type-with-parameter", HTTP_HEAD("200 OK", "Application/MIKEY; x=y", "4") "AQYA", CLV_CODE_OK},
    {"line-end", HTTP_HEAD("200 OK", "application/mikey", "6") "AQYA\r\n", CLV_CODE_OK},
    {"raw", HTTP_HEAD("200 OK", "application/mikey", "3") "\x01\x06\x05", CLV_CODE_OK},
};

static void
test_nonsense(gconstpointer data)
{
    const Nonsense *row = data;
    Fake fake = {.answer = row->answer};
    g_autoptr(ClvKmsClient) client = NULL;
    g_autoptr(ClvKmsReply) reply = NULL;
    g_autofree char *url = NULL;

    fake_start(&fake);
    url = fake_url(&fake);
    client = client_for(url, PATIENCE_MS);
    reply = ask_something(client);
    g_test_message("%s", reply->detail);
    g_assert_cmpint(reply->code, ==, row->code);
    g_assert_cmpint(reply->body != NULL, ==, row->code == CLV_CODE_OK);
    g_assert_cmpint(reply->detail != NULL, ==, row->code != CLV_CODE_OK);
    if (reply->body != NULL)
        g_assert_cmpuint(reply->body->data[0], ==, 1);
    g_clear_pointer(&client, clv_kms_client_free);
    fake_stop(&fake);
}

static void
test_endless_answer(void)
{
    static const char head[] = HTTP_HEAD("200 OK", "application/mikey", "1000000");
    g_autofree char *answer = g_malloc(sizeof head + 1000000);
    Fake fake = {.answer = answer, .answer_len = sizeof head - 1 + 1000000};
    g_autoptr(ClvKmsClient) client = NULL;
    g_autoptr(ClvKmsReply) reply = NULL;
    g_autofree char *url = NULL;

    memset(answer, 'A', sizeof head + 1000000);
    memcpy(answer, head, sizeof head - 1);
    answer[sizeof head + 999999] = '\0';
    fake_start(&fake);
    url = fake_url(&fake);
    client = client_for(url, PATIENCE_MS);
    reply = ask_something(client);
    g_assert_cmpint(reply->code, ==, CLV_CODE_KMS_TIMEOUT);
    g_assert_nonnull(strstr(reply->detail, "more than"));
    g_clear_pointer(&client, clv_kms_client_free);
    fake_stop(&fake);
}

static void
test_reset_is_tried_once_more(void)
{
    static const struct {
        guint n_resets;
        ClvCode code;
    } rows[] = {{1, CLV_CODE_OK}, {9, CLV_CODE_KMS_TIMEOUT}};

    for (guint i = 0; i < G_N_ELEMENTS(rows); i++) {
        Fake fake = {.answer = GOOD_ANSWER, .n_resets = rows[i].n_resets};
        g_autoptr(ClvKmsClient) client = NULL;
        g_autofree char *url = NULL;

        fake_start(&fake);
        url = fake_url(&fake);
        client = client_for(url, PATIENCE_MS);
        assert_ask(client, rows[i].code);
        g_assert_cmpint(g_atomic_int_get(&fake.accepted), ==, 2);
        g_clear_pointer(&client, clv_kms_client_free);
        fake_stop(&fake);
    }
}

/* Posting is refused at once as long as the breaker is open. */
static void
wait_until_half_open(ClvKmsClient *client)
{
    gint64 end_us = g_get_monotonic_time() + PATIENCE_MS * 1000;
    ClvCode code;

    while ((code = post_something(client, 7)) == CLV_CODE_KMS_DOWN &&
           g_get_monotonic_time() < end_us)
        g_usleep(2000); /* nothing else tells the time */
    g_assert_cmpint(code, ==, CLV_CODE_OK);
}

static gboolean
breaker_is_open(ClvKmsClient *client)
{
    ClvKmsClientState state;

    clv_kms_client_state(client, &state);
    return state.breaker_open;
}

static void
test_breaker(void)
{
    Fake fake = {.answer = HTTP_HEAD("500 Oops", "text/plain", "2") "no"};
    g_autoptr(ClvKmsClient) client = NULL;
    g_autoptr(ClvKmsReply) probe = NULL, good = NULL;
    g_autofree char *url = NULL;

    fake_start(&fake);
    url = fake_url(&fake);
    client = client_for(url, PATIENCE_MS);
    for (guint i = 0; i < 5; i++) {
        g_assert_false(breaker_is_open(client));
        assert_ask(client, CLV_CODE_KMS_TIMEOUT);
    }
    g_assert_true(breaker_is_open(client));
    g_assert_cmpint(post_something(client, 1), ==, CLV_CODE_KMS_DOWN);
    g_assert_cmpint(g_atomic_int_get(&fake.requests), ==, 5);

    /* one is let through; it fails and shuts the door again */
    wait_until_half_open(client);
    probe = wait_for_reply(client);
    g_assert_cmpint(probe->code, ==, CLV_CODE_KMS_TIMEOUT);
    g_assert_true(breaker_is_open(client));
    g_assert_cmpint(post_something(client, 1), ==, CLV_CODE_KMS_DOWN);
    g_assert_cmpint(g_atomic_int_get(&fake.requests), ==, 6);
    fake_stop(&fake);

    /* the next one finds a server that works */
    fake.answer = GOOD_ANSWER;
    fake_start(&fake);
    wait_until_half_open(client);
    good = wait_for_reply(client);
    g_assert_cmpint(good->code, ==, CLV_CODE_OK);
    g_assert_false(breaker_is_open(client));
    assert_ask(client, CLV_CODE_OK);
    g_clear_pointer(&client, clv_kms_client_free);
    fake_stop(&fake);
}

static void
test_one_probe_at_a_time(void)
{
    Fake fake = {.answer = NULL};
    ClvKmsClientConfig config = {
        .timeout_ms = 50, .connections = 4, .breaker_failures = 1, .breaker_open_ms = 20};
    g_autoptr(ClvKmsClient) client = NULL;
    g_autofree char *url = NULL;

    fake_start(&fake);
    url = fake_url(&fake);
    config.url = url;
    client = clv_kms_client_new(&config, NULL);
    assert_ask(client, CLV_CODE_KMS_TIMEOUT);
    wait_until_half_open(client);
    for (guint i = 0; i < 8; i++)
        g_assert_cmpint(post_something(client, 9), ==, CLV_CODE_KMS_DOWN);
    clv_kms_reply_free(wait_for_reply(client));
    g_clear_pointer(&client, clv_kms_client_free);
    fake_stop(&fake);
}

/* A KMS that forbids is not a KMS that is down. */
static void
test_refusals_leave_the_breaker_shut(void)
{
    Fake fake = {.answer = HTTP_HEAD("403 No", "text/plain", "2") "no"};
    g_autoptr(ClvKmsClient) client = NULL;
    g_autofree char *url = NULL;

    fake_start(&fake);
    url = fake_url(&fake);
    client = client_for(url, PATIENCE_MS);
    for (guint i = 0; i < 8; i++)
        assert_ask(client, CLV_CODE_FORBIDDEN);
    g_assert_false(breaker_is_open(client));
    g_clear_pointer(&client, clv_kms_client_free);
    fake_stop(&fake);
}

static void
test_server_killed_and_back(void)
{
    g_auto(Kms) kms = {0};
    g_autoptr(ClvKmsClient) client = NULL;
    g_autofree char *listen = NULL;
    g_autofree char *url = NULL;

    kms_listen(&kms, "127.0.0.1:0", NULL, NULL);
    url = g_strdup(clv_kms_server_url(kms.server));
    listen = g_strndup(url + strlen("http://"), strcspn(url + strlen("http://"), "/"));
    client = client_for(url, PATIENCE_MS);
    {
        g_autoptr(ClvKmsReply) reply = ask_for_ticket(client, 1);

        assert_is_ticket(reply);
    }
    g_clear_pointer(&kms.server, clv_kms_server_free);
    assert_ask(client, CLV_CODE_KMS_TIMEOUT);
    kms_listen(&kms, listen, NULL, NULL);
    {
        g_autoptr(ClvKmsReply) reply = ask_for_ticket(client, 2);

        assert_is_ticket(reply);
    }
}

static void
test_too_many_outstanding(void)
{
    Fake fake = {.answer = NULL};
    ClvKmsClientConfig config = {.timeout_ms = 60000, .connections = 1, .max_outstanding = 3};
    g_autoptr(ClvKmsClient) client = NULL;
    g_autofree char *url = NULL;
    ClvKmsClientState state;

    fake_start(&fake);
    url = fake_url(&fake);
    config.url = url;
    client = clv_kms_client_new(&config, NULL);
    for (guint i = 0; i < 3; i++)
        g_assert_cmpint(post_something(client, i), ==, CLV_CODE_OK);
    g_assert_cmpint(post_something(client, 3), ==, CLV_CODE_OVERLOAD);
    clv_kms_client_state(client, &state);
    g_assert_cmpuint(state.outstanding, ==, 3);
    g_assert_cmpuint(state.requests, ==, 3);
    g_clear_pointer(&client, clv_kms_client_free);
    fake_stop(&fake);
}

/* The deadline runs while a request waits for a free connection. */
static void
test_deadline_counts_waiting(void)
{
    Fake fake = {.answer = NULL};
    g_autoptr(ClvKmsClient) client = NULL;
    g_autofree char *url = NULL;
    gint64 start_us;

    fake_start(&fake);
    url = fake_url(&fake);
    client = client_for(url, 1000);
    start_us = g_get_monotonic_time();
    for (guint i = 0; i < 4; i++)
        g_assert_cmpint(post_something(client, i), ==, CLV_CODE_OK);
    for (guint i = 0; i < 4; i++) {
        g_autoptr(ClvKmsReply) reply = wait_for_reply(client);

        g_assert_cmpint(reply->code, ==, CLV_CODE_KMS_TIMEOUT);
    }
    g_assert_cmpint(g_get_monotonic_time() - start_us, <, 3000000);
    g_clear_pointer(&client, clv_kms_client_free);
    fake_stop(&fake);
}

static void
test_free_does_not_wait(void)
{
    Fake fake = {.answer = NULL};
    ClvKmsClientConfig config = {.timeout_ms = 60000, .connections = 4};
    g_autofree char *url = NULL;
    ClvKmsClient *client;
    gint64 start_us;

    fake_start(&fake);
    url = fake_url(&fake);
    config.url = url;
    client = clv_kms_client_new(&config, NULL);
    for (guint i = 0; i < 16; i++)
        g_assert_cmpint(post_something(client, i), ==, CLV_CODE_OK);
    while (g_atomic_int_get(&fake.requests) < 4)
        g_thread_yield();
    start_us = g_get_monotonic_time();
    clv_kms_client_free(client);
    g_assert_cmpint(g_get_monotonic_time() - start_us, <, 10000000);
    fake_stop(&fake);
}

/* ---- what is not allowed to start with ---- */

static void
test_client_refused(void)
{
    static const char *const urls[] = {
        "http://192.0.2.1/keymanagement",
        "http://kms.example.org/keymanagement",
        "http://127.0.0.1.example.org/",
        "ftp://127.0.0.1/",
        "file:///etc/passwd",
        "http://user:secret@127.0.0.1/",
        "http://127.0.0.1/#x",
        "not a url",
        "",
    };

    for (guint i = 0; i < G_N_ELEMENTS(urls); i++) {
        ClvKmsClientConfig config = {.url = urls[i]};
        g_autoptr(GError) error = NULL;

        g_assert_null(clv_kms_client_new(&config, &error));
        g_assert_error(error, clv_kms_error_quark(), CLV_CODE_INTERNAL);
    }
}

static void
test_client_allowed(void)
{
    static const struct {
        const char *url;
        gboolean allow_insecure;
    } rows[] = {
        {"http://127.0.0.1/k", FALSE},  {"http://127.9.9.9:80/k", FALSE},
        {"http://[::1]:8089/k", FALSE}, {"http://localhost/k", FALSE},
        {"https://192.0.2.1/k", FALSE}, {"https://kms.example.org/k?x=y", FALSE},
        {"http://192.0.2.1/k", TRUE},
    };

    for (guint i = 0; i < G_N_ELEMENTS(rows); i++) {
        ClvKmsClientConfig config = {
            .url = rows[i].url, .allow_insecure = rows[i].allow_insecure, .connections = 1};
        g_autoptr(GError) error = NULL;
        g_autoptr(ClvKmsClient) client = clv_kms_client_new(&config, &error);

        g_assert_no_error(error);
        g_assert_nonnull(client);
    }
}

static void
test_server_refused(void)
{
    static const struct {
        const char *listen, *cert, *key, *message;
    } rows[] = {
        {"0.0.0.0:0", NULL, NULL, "plain HTTP beyond loopback"},
        {"[::]:0", NULL, NULL, "plain HTTP beyond loopback"},
        {"192.0.2.1:0", NULL, NULL, "plain HTTP beyond loopback"},
        {"127.0.0.1", NULL, NULL, "expected ADDRESS:PORT"},
        {"127.0.0.1:99999", NULL, NULL, "expected ADDRESS:PORT"},
        {"::1:80", NULL, NULL, "expected ADDRESS:PORT"},
        {"localhost:80", NULL, NULL, "expected ADDRESS:PORT"},
        {"127.0.0.1:0", "/nonexistent", NULL, "without a key"},
        {"127.0.0.1:0", "/nonexistent", "/nonexistent", "No such file"},
        {"127.0.0.1:0", "/dev/null", "/dev/null", "no PEM file"},
    };
    g_autoptr(ClvKmsService) service = parties_service(NULL);

    for (guint i = 0; i < G_N_ELEMENTS(rows); i++) {
        ClvKmsServerConfig config = {
            .listen = rows[i].listen, .cert_file = rows[i].cert, .key_file = rows[i].key};
        g_autoptr(GError) error = NULL;

        g_assert_null(clv_kms_server_new(&config, service, &error));
        g_assert_nonnull(error);
        if (strstr(error->message, rows[i].message) == NULL)
            g_error("'%s' says nothing of '%s'", error->message, rows[i].message);
    }
}

/* ---- the server's manners, without a client that has any ---- */

/* Sends this text. Returns: (transfer full): all that comes back until the server closes or has
 * answered */
static char *
talk(const char *url, const char *text, gsize len)
{
    const char *host = strstr(url, "127.0.0.1:");
    struct sockaddr_in address = {.sin_family = AF_INET};
    struct timeval patience = {.tv_sec = 2};
    GString *answer = g_string_new(NULL);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    char buffer[4096];
    ssize_t n;

    address.sin_port = htons((guint16)g_ascii_strtoull(host + 10, NULL, 10));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    g_assert_cmpint(connect(fd, (struct sockaddr *)&address, sizeof address), ==, 0);
    while (len > 0 && (n = send(fd, text, len, MSG_NOSIGNAL)) > 0) {
        text += n;
        len -= (gsize)n;
    }
    shutdown(fd, SHUT_WR);
    while ((n = recv(fd, buffer, sizeof buffer, 0)) > 0)
        g_string_append_len(answer, buffer, n);
    close(fd);
    return g_string_free(answer, FALSE);
}

typedef struct Manner {
    const char *name;
    const char *request;
    const char *answer; /* how it starts */
} Manner;

#define POST_HEAD(path, type, length)                                                              \
    "POST " path " HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: " type                \
    "\r\nContent-Length: " length "\r\n\r\n"

static const Manner manners[] = {
    {"healthz", "GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", "HTTP/1.1 200 OK"},
    {"get", "GET /keymanagement?requesttype=ticketrequest HTTP/1.1\r\nHost: x\r\n\r\n",
     "HTTP/1.1 405 "},
    {"other-path", POST_HEAD("/?requesttype=ticketrequest", "application/mikey", "4") "AQYA",
     "HTTP/1.1 404 "},
    {"other-type", POST_HEAD("/keymanagement?requesttype=ticketrequest", "text/plain", "4") "AQYA",
     "HTTP/1.1 415 "},
    {"no-request-type", POST_HEAD("/keymanagement", "application/mikey", "4") "AQYA",
     "HTTP/1.1 400 "},
    {"other-request-type",
     POST_HEAD("/keymanagement?requesttype=coffee", "application/mikey", "4") "AQYA",
     "HTTP/1.1 400 "},
    {"too-long",
     POST_HEAD("/keymanagement?requesttype=ticketrequest", "application/mikey", "99999999"),
     "HTTP/1.1 413 "},
    {"no-base64",
     POST_HEAD("/keymanagement?requesttype=ticketrequest", "application/mikey", "4") "????",
     "HTTP/1.1 400 "},
    {"empty", POST_HEAD("/keymanagement?requesttype=ticketrequest", "application/mikey", "0"),
     "HTTP/1.1 400 "},
    /* 01 06 00: an Error is never answered */
    {"error-message",
     POST_HEAD("/keymanagement?requesttype=ticketrequest", "application/mikey", "4") "AQYA",
     "HTTP/1.1 400 "},
    {"later-http", "GET /healthz HTTP/3.7\r\nHost: x\r\n\r\n", "HTTP/1.1 505 "},
};

static void
on_any_decision(const ClvKmsDecision *decision, const char *peer, void *user)
{
    g_atomic_int_inc((gint *)user);
}

static void
test_manner(gconstpointer data)
{
    const Manner *row = data;
    gint logged = 0;
    ClvKmsServerConfig config = {
        .listen = "127.0.0.1:0", .log = on_any_decision, .log_user = &logged};
    g_autoptr(ClvKmsService) service = parties_service(NULL);
    g_autoptr(ClvKmsServer) server = clv_kms_server_new(&config, service, NULL);
    g_autofree char *answer = talk(clv_kms_server_url(server), row->request, strlen(row->request));

    if (!g_str_has_prefix(answer, row->answer))
        g_error("found '%s', expected '%s'", answer, row->answer);
    g_clear_pointer(&server, clv_kms_server_free);
    /* each refusal is one line, but for what libmicrohttpd refuses by itself */
    g_assert_cmpint(logged, ==,
                    strcmp(row->name, "healthz") == 0 || strcmp(row->name, "later-http") == 0 ? 0
                                                                                              : 1);
}

static void
test_endless_chunks(void)
{
    g_auto(Kms) kms = {0};
    g_autoptr(GString) request =
        g_string_new("POST /keymanagement?requesttype=ticketrequest HTTP/1.1\r\nHost: x\r\n"
                     "Content-Type: application/mikey\r\nTransfer-Encoding: chunked\r\n\r\n");
    g_autofree char *piece = g_strnfill(0x1000, 'A');
    g_autofree char *answer = NULL;
    g_autoptr(ClvKmsClient) client = NULL;
    g_autoptr(ClvKmsReply) reply = NULL;

    for (guint i = 0; i < 100; i++)
        g_string_append_printf(request, "1000\r\n%s\r\n", piece);
    kms_listen(&kms, "127.0.0.1:0", NULL, NULL);
    answer = talk(clv_kms_server_url(kms.server), request->str, request->len);
    g_assert_cmpstr(answer, ==, ""); /* hung up */
    client = client_for(clv_kms_server_url(kms.server), PATIENCE_MS);
    reply = ask_for_ticket(client, 1);
    assert_is_ticket(reply);
}

/* ---- TLS ---- */

typedef struct Pki {
    char *folder;
    char *ca, *other_ca, *cert, *key, *foreign_cert;
} Pki;

static X509 *
make_cert(EVP_PKEY *key, X509 *issuer, EVP_PKEY *issuer_key, const char *name, const char *san)
{
    X509 *cert = X509_new();
    X509_NAME *subject = X509_get_subject_name(cert);
    X509V3_CTX context;
    X509_EXTENSION *extension;

    X509_set_version(cert, X509_VERSION_3);
    ASN1_INTEGER_set(X509_get_serialNumber(cert), g_random_int_range(1, G_MAXINT32));
    X509_gmtime_adj(X509_getm_notBefore(cert), -3600);
    X509_gmtime_adj(X509_getm_notAfter(cert), 3600);
    X509_set_pubkey(cert, key);
    X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC, (const guchar *)name, -1, -1, 0);
    X509_set_issuer_name(cert, issuer != NULL ? X509_get_subject_name(issuer) : subject);
    X509V3_set_ctx(&context, issuer != NULL ? issuer : cert, cert, NULL, NULL, 0);
    extension = X509V3_EXT_conf_nid(NULL, &context,
                                    san != NULL ? NID_subject_alt_name : NID_basic_constraints,
                                    san != NULL ? san : "critical,CA:TRUE");
    g_assert_nonnull(extension);
    X509_add_ext(cert, extension, -1);
    X509_EXTENSION_free(extension);
    g_assert_cmpint(X509_sign(cert, issuer_key, EVP_sha256()), >, 0);
    return cert;
}

static char *
write_cert(const Pki *pki, const char *name, X509 *cert)
{
    char *path = g_build_filename(pki->folder, name, NULL);
    FILE *file = fopen(path, "w");

    g_assert_cmpint(PEM_write_X509(file, cert), ==, 1);
    fclose(file);
    return path;
}

static void
pki_open(Pki *pki, gconstpointer unused)
{
    EVP_PKEY *ca_key = EVP_EC_gen("P-256"), *key = EVP_EC_gen("P-256");
    X509 *ca = make_cert(ca_key, NULL, ca_key, "Test CA", NULL);
    X509 *other_ca = make_cert(key, NULL, key, "Other CA", NULL);
    X509 *cert = make_cert(key, ca, ca_key, "kms", "IP:127.0.0.1");
    X509 *foreign = make_cert(key, ca, ca_key, "kms", "DNS:kms.example.net");
    FILE *file;

    pki->folder = g_dir_make_tmp("test-kms-XXXXXX", NULL);
    pki->ca = write_cert(pki, "ca.pem", ca);
    pki->other_ca = write_cert(pki, "other-ca.pem", other_ca);
    pki->cert = write_cert(pki, "cert.pem", cert);
    pki->foreign_cert = write_cert(pki, "foreign.pem", foreign);
    pki->key = g_build_filename(pki->folder, "key.pem", NULL);
    file = fopen(pki->key, "w");
    g_assert_cmpint(PEM_write_PrivateKey(file, key, NULL, NULL, 0, NULL, NULL), ==, 1);
    fclose(file);
    g_assert_cmpint(g_chmod(pki->key, 0600), ==, 0);
    X509_free(ca);
    X509_free(other_ca);
    X509_free(cert);
    X509_free(foreign);
    EVP_PKEY_free(ca_key);
    EVP_PKEY_free(key);
}

static void
pki_close(Pki *pki, gconstpointer unused)
{
    char *files[] = {pki->ca, pki->other_ca, pki->cert, pki->foreign_cert, pki->key};

    for (guint i = 0; i < G_N_ELEMENTS(files); i++) {
        g_unlink(files[i]);
        g_free(files[i]);
    }
    g_rmdir(pki->folder);
    g_free(pki->folder);
}

static ClvCode
ask_over_tls(const char *url, const Pki *pki, const char *ca, gboolean with_cert, char **out_detail)
{
    ClvKmsClientConfig config = {
        .url = url,
        .ca_file = ca,
        .cert_file = with_cert ? pki->cert : NULL,
        .key_file = with_cert ? pki->key : NULL,
        .connections = 1,
        .timeout_ms = PATIENCE_MS,
    };
    g_autoptr(GError) error = NULL;
    g_autoptr(ClvKmsClient) client = clv_kms_client_new(&config, &error);
    g_autoptr(ClvKmsReply) reply = NULL;

    g_assert_no_error(error);
    reply = ask_for_ticket(client, 1);
    *out_detail = g_strdup(reply->detail);
    return reply->code;
}

static void
test_tls(Pki *pki, gconstpointer unused)
{
    g_auto(Kms) kms = {0};
    g_autofree char *good = NULL, *bad = NULL;

    kms_listen(&kms, "127.0.0.1:0", pki->cert, pki->key);
    g_assert_true(g_str_has_prefix(clv_kms_server_url(kms.server), "https://127.0.0.1:"));
    g_assert_cmpint(ask_over_tls(clv_kms_server_url(kms.server), pki, pki->ca, FALSE, &good), ==,
                    CLV_CODE_OK);
    g_assert_cmpint(ask_over_tls(clv_kms_server_url(kms.server), pki, pki->other_ca, FALSE, &bad),
                    ==, CLV_CODE_KMS_TIMEOUT);
    g_assert_nonnull(strstr(bad, "certificate"));
    g_assert_cmpint(g_atomic_int_get(&kms.logged), ==, 1); /* nothing was sent to a stranger */
}

static void
test_tls_name_must_fit(Pki *pki, gconstpointer unused)
{
    g_auto(Kms) kms = {0};
    g_autofree char *detail = NULL;

    kms_listen(&kms, "127.0.0.1:0", pki->foreign_cert, pki->key);
    g_assert_cmpint(ask_over_tls(clv_kms_server_url(kms.server), pki, pki->ca, FALSE, &detail), ==,
                    CLV_CODE_KMS_TIMEOUT);
    g_assert_cmpint(g_atomic_int_get(&kms.logged), ==, 0);
}

static void
test_tls_key_must_fit(Pki *pki, gconstpointer unused)
{
    ClvKmsServerConfig config = {
        .listen = "127.0.0.1:0", .cert_file = pki->ca, .key_file = pki->key};
    g_autoptr(ClvKmsService) service = parties_service(NULL);
    g_autoptr(GError) error = NULL;

    g_assert_null(clv_kms_server_new(&config, service, &error));
    g_assert_nonnull(error);
    g_assert_nonnull(strstr(error->message, "found a key that is not that of the first certificate"));
}

static void
test_tls_key_is_private(Pki *pki, gconstpointer unused)
{
    ClvKmsServerConfig config = {
        .listen = "127.0.0.1:0", .cert_file = pki->cert, .key_file = pki->key};
    g_autoptr(ClvKmsService) service = parties_service(NULL);
    g_autoptr(GError) error = NULL;

    g_assert_cmpint(g_chmod(pki->key, 0644), ==, 0);
    g_assert_null(clv_kms_server_new(&config, service, &error));
    g_assert_nonnull(strstr(error->message, "found mode 0644"));
    g_clear_error(&error);
    g_assert_cmpint(g_chmod(pki->key, 0600), ==, 0);
    config.key_file = pki->cert; /* no key in there */
    g_assert_cmpint(g_chmod(pki->cert, 0600), ==, 0);
    g_assert_null(clv_kms_server_new(&config, service, &error));
    g_assert_nonnull(strstr(error->message, "found no private key"));
}

static SSL_CTX *
tls_context(const Pki *pki)
{
    SSL_CTX *tls = SSL_CTX_new(TLS_server_method());

    g_assert_cmpint(SSL_CTX_use_certificate_file(tls, pki->cert, SSL_FILETYPE_PEM), ==, 1);
    g_assert_cmpint(SSL_CTX_use_PrivateKey_file(tls, pki->key, SSL_FILETYPE_PEM), ==, 1);
    return tls;
}

static void
test_client_certificate(Pki *pki, gconstpointer unused)
{
    Fake fake = {.answer = GOOD_ANSWER, .tls = tls_context(pki)};
    g_autofree char *url = NULL, *with = NULL, *without = NULL;

    SSL_CTX_load_verify_locations(fake.tls, pki->ca, NULL);
    SSL_CTX_set_verify(fake.tls, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
    fake_start(&fake);
    url = fake_url(&fake);
    g_assert_cmpint(ask_over_tls(url, pki, pki->ca, TRUE, &with), ==, CLV_CODE_OK);
    g_assert_cmpint(ask_over_tls(url, pki, pki->ca, FALSE, &without), ==, CLV_CODE_KMS_TIMEOUT);
    fake_stop(&fake);
    SSL_CTX_free(fake.tls);
}

static void
test_old_tls_is_refused(Pki *pki, gconstpointer unused)
{
    Fake fake = {.answer = GOOD_ANSWER, .tls = tls_context(pki)};
    g_autofree char *url = NULL, *detail = NULL;

    SSL_CTX_set_security_level(fake.tls, 0);
    SSL_CTX_set_min_proto_version(fake.tls, TLS1_VERSION);
    SSL_CTX_set_max_proto_version(fake.tls, TLS1_1_VERSION);
    fake_start(&fake);
    url = fake_url(&fake);
    g_assert_cmpint(ask_over_tls(url, pki, pki->ca, FALSE, &detail), ==, CLV_CODE_KMS_TIMEOUT);
    g_assert_cmpint(g_atomic_int_get(&fake.requests), ==, 0);
    fake_stop(&fake);
    SSL_CTX_free(fake.tls);
}

/* Returns: whether a client that speaks TLS of @version alone comes to terms with @url */
static gboolean
handshakes(const char *url, int version)
{
    const char *port = strrchr(url, ':') + 1;
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_port = htons((guint16)atoi(port)),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    const struct timeval patience = {.tv_sec = 10};
    SSL_CTX *tls = SSL_CTX_new(TLS_client_method());
    SSL *ssl;
    gboolean done;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    SSL_CTX_set_security_level(tls, 0);
    SSL_CTX_set_min_proto_version(tls, version);
    SSL_CTX_set_max_proto_version(tls, version);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    g_assert_cmpint(connect(fd, (struct sockaddr *)&to, sizeof to), ==, 0);
    ssl = SSL_new(tls);
    SSL_set_fd(ssl, fd);
    done = SSL_connect(ssl) == 1;
    g_assert_true(!done || SSL_version(ssl) == version);
    SSL_free(ssl);
    SSL_CTX_free(tls);
    close(fd);
    return done;
}

static void
test_server_takes_no_old_tls(Pki *pki, gconstpointer unused)
{
    g_auto(Kms) kms = {0};
    Fake old = {.answer = GOOD_ANSWER, .tls = tls_context(pki)};
    g_autofree char *old_url = NULL;
    const char *url;

    SSL_CTX_set_security_level(old.tls, 0);
    SSL_CTX_set_min_proto_version(old.tls, TLS1_VERSION);
    fake_start(&old);
    old_url = fake_url(&old);
    kms_listen(&kms, "127.0.0.1:0", pki->cert, pki->key);
    url = clv_kms_server_url(kms.server);
    for (int version = TLS1_VERSION; version <= TLS1_3_VERSION; version++) {
        g_assert_true(handshakes(old_url, version)); /* such a client is there */
        g_assert_cmpint(handshakes(url, version), ==, version >= TLS1_2_VERSION);
    }
    fake_stop(&old);
    SSL_CTX_free(old.tls);
}

/* ---- terminals ---- */

static ClvTerminal *
terminal_for(const char *url, const char *user, const char *identity)
{
    MikeyKey psk = party_psk(user);
    ClvTerminalConfig config = {
        .http = {.url = url},
        .kms_uri = KMS_URI,
        .identity = identity,
        .user = user,
        .psk = psk.bytes,
        .psk_len = psk.len,
    };
    g_autoptr(GError) error = NULL;
    ClvTerminal *terminal = clv_terminal_new(&config, &error);

    g_assert_no_error(error);
    return terminal;
}

static void
test_terminals_call_each_other(void)
{
    static const char *const bob_alone[] = {BOB, NULL};
    static const char *const join[] = {"conclave:join", NULL};
    g_auto(Kms) kms = {0};
    g_autoptr(ClvTerminal) alice = NULL, bob = NULL;
    g_autoptr(MikeyGrant) grant = NULL;
    g_autoptr(MikeyTransfer) transfer = NULL;
    g_autoptr(MikeyOffer) offer = NULL;
    g_autoptr(MikeyResolution) resolution = NULL;
    g_autoptr(GError) error = NULL;
    ClvTicketWish wish = {
        .responders = bob_alone, .purposes = join, .lifetime_s = 600, .reusable = TRUE};
    gint64 now_us = g_get_real_time();
    const MikeyPolicy *policy;
    MikeyPeerError refusal;

    kms_listen(&kms, "127.0.0.1:0", NULL, NULL);
    alice = terminal_for(clv_kms_server_url(kms.server), "alice", ALICE);
    bob = terminal_for(clv_kms_server_url(kms.server), "bob", BOB);
    grant = clv_terminal_request(alice, &wish, now_us, &refusal, &error);
    g_assert_no_error(error);
    g_assert_cmpuint(refusal.number, ==, 255);
    policy = mikey_grant_policy(grant);
    g_assert_cmpint(policy->end_unix, ==, now_us / G_USEC_PER_SEC + 600);
    g_assert_true((policy->flags & MIKEY_FLAG_J) != 0);
    g_assert_cmpuint(policy->n_applications, ==, 1);

    transfer = party_call(grant, BOB, now_us);
    offer = party_offer(mikey_transfer_octets(transfer), now_us);
    resolution = clv_terminal_resolve(bob, offer, now_us, &refusal, &error);
    g_assert_no_error(error);
    g_assert_cmpint(mikey_offer_verify(offer, resolution), ==, MIKEY_OK);
}

static void
test_terminal_is_refused(void)
{
    static const char *const factory[] = {FACTORY1, NULL};
    static const char *const create[] = {"conclave:create", NULL};
    g_auto(Kms) kms = {0};
    g_autoptr(ClvTerminal) bob = NULL, stranger = NULL;
    g_autoptr(GError) refused = NULL, unknown = NULL;
    ClvTicketWish wish = {.responders = factory, .purposes = create};
    MikeyPeerError refusal;

    kms_listen(&kms, "127.0.0.1:0", NULL, NULL);
    bob = terminal_for(clv_kms_server_url(kms.server), "bob", BOB);
    stranger = terminal_for(clv_kms_server_url(kms.server), "mallory", ALICE);
    g_assert_null(clv_terminal_request(bob, &wish, g_get_real_time(), &refusal, &refused));
    g_assert_error(refused, clv_kms_error_quark(), CLV_CODE_FORBIDDEN);
    g_assert_cmpuint(refusal.number, ==, 7);
    g_assert_true(refusal.authentic);
    g_assert_null(clv_terminal_request(stranger, &wish, g_get_real_time(), &refusal, &unknown));
    g_assert_error(unknown, clv_kms_error_quark(), CLV_CODE_FORBIDDEN);
    g_assert_cmpuint(refusal.number, ==, 0);
    g_assert_false(refusal.authentic);
}

static void
test_terminal_without_kms(void)
{
    static const char *const bob_alone[] = {BOB, NULL};
    ClvTicketWish wish = {.responders = bob_alone};
    g_autoptr(ClvTerminal) alice = NULL;
    g_autoptr(GError) error = NULL;
    g_autofree char *url = NULL;
    guint16 port = 0;
    int fd = listen_on_loopback(&port);

    close(fd); /* a port where nobody listens */
    url = g_strdup_printf("http://127.0.0.1:%u/keymanagement", port);
    alice = terminal_for(url, "alice", ALICE);
    g_assert_null(clv_terminal_request(alice, &wish, g_get_real_time(), NULL, &error));
    g_assert_error(error, clv_kms_error_quark(), CLV_CODE_KMS_TIMEOUT);
}

/* ---- the program ---- */

typedef struct Program {
    char *folder, *keys, *binary;
    GPid pid; /* 0: not running */
    FILE *out, *err;
    GString *log; /* all of standard error */
    char *url;
} Program;

static void
program_open(Program *program, gconstpointer unused)
{
    program->folder = g_dir_make_tmp("test-kms-XXXXXX", NULL);
    program->keys = g_build_filename(program->folder, "keys.conf", NULL);
    program->binary = g_test_build_filename(G_TEST_BUILT, "conclave-kms", NULL);
    program->log = g_string_new(NULL);
}

/* Returns: its exit status; what it printed goes to @out_text */
static int
program_run(Program *program, char **out_text, const char *words, ...)
{
    g_autoptr(GPtrArray) argv = g_ptr_array_new();
    g_autofree char *out = NULL, *err = NULL;
    g_autoptr(GError) error = NULL;
    int status = 0;
    va_list args;

    g_ptr_array_add(argv, program->binary);
    g_ptr_array_add(argv, (char *)"--keys");
    g_ptr_array_add(argv, program->keys);
    va_start(args, words);
    for (const char *word = words; word != NULL; word = va_arg(args, const char *))
        g_ptr_array_add(argv, (char *)word);
    va_end(args);
    g_ptr_array_add(argv, NULL);
    g_spawn_sync(NULL, (char **)argv->pdata, NULL, G_SPAWN_DEFAULT, NULL, NULL, &out, &err, &status,
                 &error);
    g_assert_no_error(error);
    g_assert_true(WIFEXITED(status));
    *out_text = g_strconcat(out, err, NULL);
    return WEXITSTATUS(status);
}

/* Returns: (transfer full) (nullable): the next line without its end */
static char *
read_line(FILE *file)
{
    char *line = NULL, *copy = NULL;
    size_t room = 0;

    if (getline(&line, &room, file) >= 0)
        copy = g_strdup(g_strchomp(line));
    free(line);
    return copy;
}

static void
program_start(Program *program)
{
    static const char ready[] = "conclave-kms ready at ";
    char *argv[] = {
        program->binary,       (char *)"--keys",      program->keys,   (char *)"--listen",
        (char *)"127.0.0.1:0", (char *)"--log-level", (char *)"debug", NULL};
    g_autoptr(GError) error = NULL;
    g_autofree char *line = NULL;
    int out, err;

    g_spawn_async_with_pipes(NULL, argv, NULL, G_SPAWN_DO_NOT_REAP_CHILD, NULL, NULL, &program->pid,
                             NULL, &out, &err, &error);
    g_assert_no_error(error);
    program->out = fdopen(out, "r");
    program->err = fdopen(err, "r");
    line = read_line(program->out);
    g_assert_nonnull(line);
    g_assert_true(g_str_has_prefix(line, ready));
    program->url = g_strdup(line + strlen(ready));
}

/* Returns: FALSE at the end of the log */
static gboolean
program_read_log(Program *program, const char *piece, gboolean *out_found)
{
    g_autofree char *line = read_line(program->err);

    if (line == NULL)
        return FALSE;
    g_string_append_printf(program->log, "%s\n", line);
    *out_found = piece != NULL && strstr(line, piece) != NULL;
    return TRUE;
}

static void
program_wait_for_log(Program *program, const char *piece)
{
    gboolean found = FALSE;

    while (!found)
        if (!program_read_log(program, piece, &found))
            g_error("the log ended without '%s'", piece);
}

static void
program_stop(Program *program, int signal_number)
{
    gboolean found;
    int status = 0;

    kill(program->pid, signal_number);
    while (program_read_log(program, NULL, &found))
        continue;
    g_assert_cmpint(waitpid(program->pid, &status, 0), ==, program->pid);
    program->pid = 0;
    g_assert_true(WIFEXITED(status));
    g_assert_cmpint(WEXITSTATUS(status), ==, 0);
}

static void
remove_folder(const char *folder)
{
    g_autoptr(GDir) dir = g_dir_open(folder, 0, NULL);
    const char *name;

    while (dir != NULL && (name = g_dir_read_name(dir)) != NULL) {
        g_autofree char *path = g_build_filename(folder, name, NULL);

        g_unlink(path);
    }
    g_rmdir(folder);
}

static void
program_close(Program *program, gconstpointer unused)
{
    g_autofree char *state = g_build_filename(program->folder, "state", NULL);

    if (program->pid > 0) {
        kill(program->pid, SIGKILL);
        waitpid(program->pid, NULL, 0);
    }
    remove_folder(state);
    remove_folder(program->folder);
    g_clear_pointer(&program->out, fclose);
    g_clear_pointer(&program->err, fclose);
    g_string_free(program->log, TRUE);
    g_free(program->url);
    g_free(program->folder);
    g_free(program->keys);
    g_free(program->binary);
}

static ClvSecret *
read_psk(const Program *program, const char *user, char **out_text)
{
    g_autofree char *name = g_strdup_printf("%s.psk", user);
    g_autofree char *path = g_build_filename(program->folder, name, NULL);
    g_autoptr(GError) error = NULL;
    ClvSecret *psk = clv_secret_read_file(path, &error);

    g_assert_no_error(error);
    g_assert_true(g_file_get_contents(path, out_text, NULL, NULL));
    g_strstrip(*out_text);
    return psk;
}

/* @user asks the running program for a ticket with the key from his file. */
static gboolean
program_asks(const Program *program, const char *user, char **out_psk)
{
    static const char *const carol[] = {CAROL, NULL};
    g_autofree char *identity = g_strdup_printf("sip:%s@example.org", user);
    g_autoptr(ClvSecret) psk = read_psk(program, user, out_psk);
    g_autoptr(ClvTerminal) terminal = NULL;
    g_autoptr(MikeyGrant) grant = NULL;
    ClvTicketWish wish = {.responders = carol};
    ClvTerminalConfig config = {
        .http = {.url = program->url}, .kms_uri = KMS_URI, .identity = identity, .user = user};

    config.psk = clv_secret_bytes(psk, &config.psk_len);
    terminal = clv_terminal_new(&config, NULL);
    grant = clv_terminal_request(terminal, &wish, g_get_real_time(), NULL, NULL);
    return grant != NULL;
}

static void
program_add_user(Program *program, const char *user)
{
    g_autofree char *identity = g_strdup_printf("sip:%s@example.org", user);
    g_autofree char *name = g_strdup_printf("%s.psk", user);
    g_autofree char *path = g_build_filename(program->folder, name, NULL);
    g_autofree char *text = NULL;

    g_assert_cmpint(program_run(program, &text, "user", "add", user, "--identity", identity,
                                "--write-psk", path, NULL),
                    ==, 0);
}

static void
test_program(Program *program, gconstpointer unused)
{
    g_autofree char *text = NULL, *alice = NULL, *alice_again = NULL, *bob = NULL, *bob_now = NULL;
    g_autofree char *whole = NULL, *broken = NULL, *hex = NULL;

    g_assert_cmpint(program_run(program, &text, "init", "--uri", KMS_URI, NULL), ==, 0);
    program_add_user(program, "alice");
    program_start(program);
    g_assert_true(program_asks(program, "alice", &alice));

    program_add_user(program, "bob");
    g_assert_false(program_asks(program, "bob", &bob));
    kill(program->pid, SIGHUP);
    program_wait_for_log(program, "key file read again: 2 users");
    g_assert_true(program_asks(program, "bob", &bob_now));

    /* a file with an error changes nothing */
    g_assert_true(g_file_get_contents(program->keys, &whole, NULL, NULL));
    broken = g_strconcat(whole, "[user carol]\npsk = nonsense\n", NULL);
    g_assert_true(
        g_file_set_contents_full(program->keys, broken, -1, G_FILE_SET_CONTENTS_NONE, 0600, NULL));
    kill(program->pid, SIGHUP);
    program_wait_for_log(program, "the old one stays");
    g_assert_true(program_asks(program, "alice", &alice_again));
    program_stop(program, SIGTERM);

    g_assert_nonnull(strstr(program->log->str, "sip:alice@example.org -> " CAROL));
    g_assert_nonnull(strstr(program->log->str, "keys.conf:"));
    g_assert_null(strstr(program->log->str, alice + strlen("base64:")));
    g_assert_null(strstr(program->log->str, bob + strlen("base64:")));
}

/* A dump of its memory would hold everybody's keys. */
static void
program_kill(Program *program)
{
    kill(program->pid, SIGKILL);
    waitpid(program->pid, NULL, 0);
    program->pid = 0;
    g_clear_pointer(&program->out, fclose);
    g_clear_pointer(&program->err, fclose);
    g_clear_pointer(&program->url, g_free);
}

static void
program_set_state_dir(const Program *program)
{
    g_autofree char *text = NULL, *changed = NULL;
    g_auto(GStrv) parts = NULL;

    g_assert_true(g_file_get_contents(program->keys, &text, NULL, NULL));
    parts = g_strsplit(text, "#state-dir = state\n", 2);
    g_assert_cmpuint(g_strv_length(parts), ==, 2);
    changed = g_strjoinv("state-dir = state\n", parts);
    g_assert_true(
        g_file_set_contents_full(program->keys, changed, -1, G_FILE_SET_CONTENTS_NONE, 0600, NULL));
}

/* Killed without warning it starts again; a damaged journal it does not start with, and says what
 * to do, which works. */
static void
test_program_state(Program *program, gconstpointer unused)
{
    g_autofree char *journal = g_build_filename(program->folder, "state", "replay", NULL);
    g_autofree char *said = NULL, *reset = NULL, *psk[3] = {NULL};
    FILE *file;

    g_assert_cmpint(program_run(program, &said, "init", "--uri", KMS_URI, NULL), ==, 0);
    program_add_user(program, "alice");
    program_set_state_dir(program);
    program_start(program);
    g_assert_true(program_asks(program, "alice", &psk[0]));
    program_kill(program);
    program_start(program);
    g_assert_true(program_asks(program, "alice", &psk[1]));
    g_clear_pointer(&said, g_free);
    g_assert_cmpint(program_run(program, &said, "user", "revoke", "alice", NULL), ==, 0);
    kill(program->pid, SIGHUP);
    program_wait_for_log(program, "key file read again");
    g_assert_false(program_asks(program, "alice", &psk[2]));
    program_kill(program);

    file = fopen(journal, "r+b");
    fseek(file, 40, SEEK_SET);
    fputs("damage", file);
    fclose(file);
    g_clear_pointer(&said, g_free);
    g_assert_cmpint(program_run(program, &said, "--listen", "127.0.0.1:0", NULL), ==, 1);
    g_assert_nonnull(strstr(said, "'conclave-kms state reset replay'"));
    g_assert_cmpint(program_run(program, &reset, "state", "reset", "replay", NULL), ==, 0);
    program_start(program);
    program_stop(program, SIGTERM);
    for (guint i = 0; i < G_N_ELEMENTS(psk); i++)
        g_free(g_steal_pointer(&psk[i]));
}

static void
test_program_leaves_no_core(Program *program, gconstpointer unused)
{
    g_autofree char *text = NULL, *limits = NULL, *path = NULL;
    const char *line;

    g_assert_cmpint(program_run(program, &text, "init", "--uri", KMS_URI, NULL), ==, 0);
    program_start(program);
    path = g_strdup_printf("/proc/%d/limits", (int)program->pid);
    g_assert_true(g_file_get_contents(path, &limits, NULL, NULL));
    line = strstr(limits, "Max core file size");
    g_assert_nonnull(line);
    g_assert_true(g_pattern_match_simple("Max core file size * 0 * 0 *", line));
    program_stop(program, SIGTERM);
}

static void
test_program_ends_on_interrupt(Program *program, gconstpointer unused)
{
    g_autofree char *text = NULL;

    g_assert_cmpint(program_run(program, &text, "init", "--uri", KMS_URI, NULL), ==, 0);
    program_start(program);
    program_stop(program, SIGINT);
}

#define BOARD "sip:board@example.org"

static void
test_program_verbs(Program *program, gconstpointer unused)
{
    g_autofree char *given = g_build_filename(program->folder, "given.psk", NULL);
    g_autofree char *open = g_build_filename(program->folder, "open.psk", NULL);
    static const struct {
        const char *words[8];
        int status;
        const char *says;
    } rows[] = {
        {{"--check"}, 1, "No such file"},
        {{"init"}, 2, "init needs --uri"},
        {{"init", "--uri", "kms"}, 1, "found 'kms', expected a SIP URI"},
        {{"init", "--uri", KMS_URI}, 0, "made"},
        {{"init", "--uri", KMS_URI}, 1, "File exists"},
        {{"user", "add", "alice", "--identity", ALICE, "--show-psk"}, 0, "base64:"},
        {{"user", "add", "alice"}, 1, "already"},
        {{"user", "add", "eve", "--identity", ALICE}, 1, "left as it is"},
        {{"user", "add", "conf1", "--psk-file", "GIVEN"}, 0, "user conf1 added"},
        {{"user", "add", "conf2", "--psk-file", "OPEN"}, 1, "mode"},
        {{"user", "add", "conf2", "--write-psk", "GIVEN"}, 1, "File exists"},
        {{"user", "list"}, 0, "alice\tsip:alice@example.org\tsecure-conference=no"},
        {{"service", "add", "conf1"}, 2, "--user and --host"},
        {{"service", "add", "conf1", "--user", "conf1", "--host", "example.org"}, 0, "added"},
        {{"service", "list"}, 0, "conf1\tsip:factory.conf1@example.org\tuser=conf1"},
        {{"--check"}, 0, "2 users, 1 services, no errors"},
        {{"user", "remove", "conf1"}, 1, "left as it is"},
        {{"service", "remove", "conf1"}, 0, "removed"},
        {{"user", "remove", "conf1"}, 0, "removed"},
        {{"user", "remove", "conf1"}, 1, "there is no user 'conf1'"},
        {{"user", "revoke", "nobody"}, 1, "there is no user 'nobody'"},
        {{"user", "revoke", "alice"}, 0, "user alice revoked"},
        {{"user", "list"}, 0, "secure-conference=no\trevoked\n"},
        {{"user", "restore", "alice"}, 0, "user alice restored"},
        {{"state", "reset", "replay"}, 1, "no state-dir"},
        {{"group", "add", "board"}, 2, "--uri and an --identity"},
        {{"group", "add", "board", "--uri", ALICE, "--identity", BOB}, 1, "left as it is"},
        {{"group", "add", "board", "--uri", BOARD, "--identity", ALICE}, 0, "added"},
        {{"group", "add", "board", "--uri", BOARD, "--identity", ALICE}, 1, "already"},
        {{"group", "list"}, 0, "board\t" BOARD "\t" ALICE},
        {{"group", "remove", "board"}, 0, "removed"},
        {{"peer", "remove", "net"}, 1, "there is no peer 'net'"},
        {{"peer", "list"}, 0, ""},
        {{"user", "paint", "alice"}, 2, "no verb"},
        {{"user"}, 2, "no verb"},
        {{"--color"}, 2, "--color"},
        {{"--log-level", "loud"}, 2, "log level"},
        {{"--listen", "0.0.0.0:0"}, 1, "plain HTTP beyond loopback"},
        {{"--version"}, 0, PACKAGE_STRING},
    };

    g_assert_true(g_file_set_contents_full(given, "000102030405060708090a0b0c0d0e0f\n", -1,
                                           G_FILE_SET_CONTENTS_NONE, 0600, NULL));
    g_assert_true(g_file_set_contents_full(open, "000102030405060708090a0b0c0d0e0f\n", -1,
                                           G_FILE_SET_CONTENTS_NONE, 0644, NULL));
    for (guint i = 0; i < G_N_ELEMENTS(rows); i++) {
        const char *words[8];
        g_autofree char *text = NULL;
        int status;

        for (guint n = 0; n < 8; n++) {
            words[n] = rows[i].words[n];
            if (g_strcmp0(words[n], "GIVEN") == 0)
                words[n] = given;
            if (g_strcmp0(words[n], "OPEN") == 0)
                words[n] = open;
        }
        status = program_run(program, &text, words[0], words[1], words[2], words[3], words[4],
                             words[5], words[6], NULL);
        if (status != rows[i].status || strstr(text, rows[i].says) == NULL)
            g_error("row %u: status %d and '%s', expected %d and '%s'", i, status, text,
                    rows[i].status, rows[i].says);
        g_assert_null(strstr(text, "0102030405060708"));
    }
}

/* ---- how fast? ---- */

static void
measure(const char *what, const char *url, const char *ca)
{
    const guint n = 4000;
    g_autofree MikeyRequest **requests = g_new0(MikeyRequest *, n);
    ClvKmsClientConfig config = {.url = url, .ca_file = ca, .max_outstanding = 64};
    g_autoptr(ClvKmsClient) client = clv_kms_client_new(&config, NULL);
    g_autoptr(Wanted) wanted = wanted_new(BOB);
    guint posted = 0;

    for (guint i = 0; i < n; i++)
        requests[i] = party_request("alice", ALICE, wanted, g_get_real_time());
    g_test_timer_start();
    for (guint done = 0; done < n; done++) {
        g_autoptr(ClvKmsReply) reply = NULL;

        while (posted < n) {
            MikeyBytes octets = mikey_request_octets(requests[posted]);

            if (clv_kms_client_post(client, CLV_KMS_TICKET_REQUEST, octets.data, octets.len, posted,
                                    0) != CLV_CODE_OK)
                break;
            posted++;
        }
        reply = wait_for_reply(client);
        assert_is_ticket(reply);
    }
    g_test_message("%s: %.0f requests/s, client and server together", what,
                   n / g_test_timer_elapsed());
    for (guint i = 0; i < n; i++)
        mikey_request_free(requests[i]);
}

static void
test_speed(Pki *pki, gconstpointer unused)
{
    g_auto(Kms) plain = {0};
    g_auto(Kms) tls = {0};

    kms_listen(&plain, "127.0.0.1:0", NULL, NULL);
    kms_listen(&tls, "127.0.0.1:0", pki->cert, pki->key);
    measure("HTTP", clv_kms_server_url(plain.server), NULL);
    measure("HTTPS", clv_kms_server_url(tls.server), pki->ca);
}

#define ADD_PKI_TEST(name, function)                                                               \
    g_test_add("/kms/" name, Pki, NULL, pki_open, function, pki_close)
#define ADD_PROGRAM_TEST(name, function)                                                           \
    g_test_add("/kms/" name, Program, NULL, program_open, function, program_close)

static void
add_tables(void)
{
    for (guint i = 0; i < G_N_ELEMENTS(nonsense); i++) {
        g_autofree char *name = g_strconcat("/kms/answer/", nonsense[i].name, NULL);

        g_test_add_data_func(name, &nonsense[i], test_nonsense);
    }
    for (guint i = 0; i < G_N_ELEMENTS(manners); i++) {
        g_autofree char *name = g_strconcat("/kms/request/", manners[i].name, NULL);

        g_test_add_data_func(name, &manners[i], test_manner);
    }
}

int
main(int argc, char **argv)
{
    signal(SIGPIPE, SIG_IGN);
    g_test_init(&argc, &argv, NULL);
    g_test_add_data_func("/kms/ticket-over-http", NULL, test_ticket_over_http);
    g_test_add_data_func("/kms/ticket-over-http-in-raw-octets", "binary", test_ticket_over_http);
    g_test_add_func("/kms/ipv6", test_ipv6);
    g_test_add_func("/kms/64-at-once", test_64_at_once);
    g_test_add_func("/kms/connection-is-kept", test_connection_is_kept);
    g_test_add_func("/kms/slow-server", test_slow_server);
    add_tables();
    g_test_add_func("/kms/answer/endless", test_endless_answer);
    g_test_add_func("/kms/reset-is-tried-once-more", test_reset_is_tried_once_more);
    g_test_add_func("/kms/breaker", test_breaker);
    g_test_add_func("/kms/one-probe-at-a-time", test_one_probe_at_a_time);
    g_test_add_func("/kms/refusals-leave-the-breaker-shut", test_refusals_leave_the_breaker_shut);
    g_test_add_func("/kms/server-killed-and-back", test_server_killed_and_back);
    g_test_add_func("/kms/too-many-outstanding", test_too_many_outstanding);
    g_test_add_func("/kms/deadline-counts-waiting", test_deadline_counts_waiting);
    g_test_add_func("/kms/free-does-not-wait", test_free_does_not_wait);
    g_test_add_func("/kms/client-refused", test_client_refused);
    g_test_add_func("/kms/client-allowed", test_client_allowed);
    g_test_add_func("/kms/server-refused", test_server_refused);
    g_test_add_func("/kms/request/endless-chunks", test_endless_chunks);
    ADD_PKI_TEST("tls", test_tls);
    ADD_PKI_TEST("tls-name-must-fit", test_tls_name_must_fit);
    ADD_PKI_TEST("tls-key-must-fit", test_tls_key_must_fit);
    ADD_PKI_TEST("tls-key-is-private", test_tls_key_is_private);
    ADD_PKI_TEST("client-certificate", test_client_certificate);
    ADD_PKI_TEST("old-tls-is-refused", test_old_tls_is_refused);
    ADD_PKI_TEST("server-takes-no-old-tls", test_server_takes_no_old_tls);
    g_test_add_func("/kms/terminals-call-each-other", test_terminals_call_each_other);
    g_test_add_func("/kms/terminal-is-refused", test_terminal_is_refused);
    g_test_add_func("/kms/terminal-without-kms", test_terminal_without_kms);
    ADD_PROGRAM_TEST("program-state", test_program_state);
    ADD_PROGRAM_TEST("program", test_program);
    ADD_PROGRAM_TEST("program-leaves-no-core", test_program_leaves_no_core);
    ADD_PROGRAM_TEST("program-ends-on-interrupt", test_program_ends_on_interrupt);
    ADD_PROGRAM_TEST("program-verbs", test_program_verbs);
    if (g_test_perf())
        ADD_PKI_TEST("speed", test_speed);
    return g_test_run();
}
