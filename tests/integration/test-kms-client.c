/* SPDX-License-Identifier: Apache-2.0 */
/* Does the client find an address of the KMS that works, in time, and come back to the first one?
 *
 * Each address is a small server of the test's own, which can be told to hang, to talk nonsense, to
 * be gone and to come back.
 */
#include "config.h"

#include <arpa/inet.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "kms/kms.h"
#include "kms/target.h"

#define PATIENCE_MS 10000 /* only a broken program makes a test wait this long */
#define MAX_PEERS 32

/* ---- an address of the KMS ---- */

typedef struct Site {
    const char *answer; /* atomic, (nullable): NULL hangs */
    gint requests;      /* atomic */
    int fd, wake;
    guint16 port;
    char *url;
    GThread *thread;
    GString *last; /* the last request whole; read it when no request is under way */
} Site;

typedef struct Peer {
    int fd;
    GString *text;
} Peer;

#define HTTP_HEAD(status, type, length)                                                            \
    "HTTP/1.1 " status "\r\nContent-Type: " type "\r\nContent-Length: " length                     \
    "\r\nConnection: keep-alive\r\n\r\n"
/* "AQYA" is 01 06 00: the client looks at the first octet alone */
#define GOOD HTTP_HEAD("200 OK", "application/mikey", "4") "AQYA"
#define BROKEN HTTP_HEAD("500 Oops", "text/plain", "2") "no"
#define BUSY HTTP_HEAD("503 Busy", "text/plain", "2") "no"
#define RESET ""

static gboolean
is_whole(const GString *text)
{
    const char *end = strstr(text->str, "\r\n\r\n");
    const char *length = strstr(text->str, "Content-Length: ");

    return end != NULL && length != NULL &&
           text->len >= (gsize)(end + 4 - text->str) + g_ascii_strtoull(length + 16, NULL, 10);
}

static gboolean
peer_ready(Site *site, Peer *peer)
{
    const char *answer;
    char buffer[4096];
    gssize n = read(peer->fd, buffer, sizeof buffer);

    if (n <= 0)
        return FALSE;
    g_string_append_len(peer->text, buffer, n);
    if (!is_whole(peer->text))
        return TRUE;
    g_string_assign(site->last, peer->text->str);
    g_string_set_size(peer->text, 0);
    answer = g_atomic_pointer_get(&site->answer);
    g_atomic_int_inc(&site->requests);
    return answer == NULL || (answer[0] != '\0' && send(peer->fd, answer, strlen(answer), 0) > 0);
}

static void
peer_close(Peer *peer)
{
    close(peer->fd);
    g_string_free(peer->text, TRUE);
}

static gpointer
site_run(gpointer data)
{
    Site *site = data;
    Peer peers[MAX_PEERS];
    nfds_t n = 0;

    for (;;) {
        struct pollfd fds[MAX_PEERS + 2] = {{.fd = site->wake, .events = POLLIN},
                                            {.fd = site->fd, .events = POLLIN}};

        for (nfds_t i = 0; i < n; i++)
            fds[i + 2] = (struct pollfd){.fd = peers[i].fd, .events = POLLIN};
        poll(fds, n + 2, -1);
        if (fds[0].revents != 0)
            break;
        for (nfds_t i = n; i-- > 0;) {
            if (fds[i + 2].revents != 0 && !peer_ready(site, &peers[i])) {
                peer_close(&peers[i]);
                peers[i] = peers[--n];
            }
        }
        if (fds[1].revents != 0 && n < MAX_PEERS)
            peers[n++] = (Peer){accept(site->fd, NULL, NULL), g_string_new(NULL)};
    }
    while (n > 0)
        peer_close(&peers[--n]);
    return NULL;
}

static int
listen_on_loopback(guint16 *port, int backlog)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(*port)};
    socklen_t len = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int on = 1;

    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    g_assert_cmpint(bind(fd, (struct sockaddr *)&address, sizeof address), ==, 0);
    g_assert_cmpint(listen(fd, backlog), ==, 0);
    g_assert_cmpint(getsockname(fd, (struct sockaddr *)&address, &len), ==, 0);
    *port = ntohs(address.sin_port);
    return fd;
}

static void
site_open(Site *site, const char *answer)
{
    g_atomic_pointer_set(&site->answer, answer);
    site->fd = listen_on_loopback(&site->port, 64);
    site->wake = eventfd(0, EFD_CLOEXEC);
    g_free(site->url);
    site->url = g_strdup_printf("http://127.0.0.1:%u/keymanagement", site->port);
    if (site->last == NULL)
        site->last = g_string_new(NULL);
    site->thread = g_thread_new("site", site_run, site);
}

/* Gone: connections are refused. site_open() brings it back. */
static void
site_close(Site *site)
{
    guint64 one = 1;

    g_assert_cmpint(write(site->wake, &one, sizeof one), ==, sizeof one);
    g_thread_join(g_steal_pointer(&site->thread));
    close(site->wake);
    close(site->fd);
}

static void
site_clear(Site *site)
{
    if (site->thread != NULL)
        site_close(site);
    g_free(site->url);
    g_string_free(site->last, TRUE);
}

static guint
site_requests(Site *site)
{
    return (guint)g_atomic_int_get(&site->requests);
}

/* ---- a client of three of them ---- */

typedef struct World {
    Site sites[3];
    ClvKmsClient *client;
} World;

static void
set_up(World *w, gconstpointer unused)
{
    for (guint i = 0; i < G_N_ELEMENTS(w->sites); i++)
        site_open(&w->sites[i], GOOD);
}

static void
tear_down(World *w, gconstpointer unused)
{
    clv_kms_client_free(w->client);
    for (guint i = 0; i < G_N_ELEMENTS(w->sites); i++)
        site_clear(&w->sites[i]);
}

/* @n of the sites. Zeros in config get a default that suits tests. */
static void
start_client(World *w, guint n, ClvKmsClientConfig config)
{
    const char *urls[G_N_ELEMENTS(w->sites) + 1] = {0};
    g_autoptr(GError) error = NULL;

    for (guint i = 0; i < n; i++)
        urls[i] = w->sites[i].url;
    config.urls = urls;
    config.timeout_ms = config.timeout_ms != 0 ? config.timeout_ms : PATIENCE_MS;
    config.connections = config.connections != 0 ? config.connections : 2;
    w->client = clv_kms_client_new(&config, &error);
    g_assert_no_error(error);
}

static const guint8 octets[] = {1, 11, 0, 77};

static ClvCode
post(World *w)
{
    return clv_kms_client_post(w->client, CLV_KMS_TICKET_RESOLVE, octets, sizeof octets, 7, 8);
}

static ClvKmsReply *
wait_for_reply(World *w)
{
    struct pollfd fd = {.fd = clv_kms_client_event_fd(w->client), .events = POLLIN};
    ClvKmsReply *reply;

    g_assert_cmpint(poll(&fd, 1, PATIENCE_MS), ==, 1);
    reply = clv_kms_client_take(w->client);
    g_assert_nonnull(reply);
    g_assert_cmpuint(reply->token, ==, 7);
    g_assert_cmpuint(reply->generation, ==, 8);
    return reply;
}

/* Asks once; @by: index of the site that has the last word */
static void
expect(World *w, ClvCode code, guint by)
{
    g_autoptr(ClvKmsReply) reply = NULL;

    g_assert_cmpint(post(w), ==, CLV_CODE_OK);
    reply = wait_for_reply(w);
    if (reply->code != code || g_strcmp0(reply->url, w->sites[by].url) != 0)
        g_error("found code %d by %s (%s), expected %d by %s", reply->code, reply->url,
                reply->detail, code, w->sites[by].url);
    g_assert_cmpint(reply->body != NULL, ==, code == CLV_CODE_OK);
    g_assert_cmpint(reply->detail != NULL, ==, code != CLV_CODE_OK);
}

static ClvKmsUrlState
state_of(World *w, guint i)
{
    ClvKmsUrlState state;

    clv_kms_client_url_state(w->client, i, &state);
    g_assert_cmpstr(state.url, ==, w->sites[i].url);
    return state;
}

/* Nothing else tells when a breaker has been open for long enough, or a copy has been answered. */
static void
wait_for_breaker(World *w, guint i, ClvKmsBreaker breaker)
{
    gint64 end_us = g_get_monotonic_time() + PATIENCE_MS * 1000;

    while (state_of(w, i).breaker != breaker && g_get_monotonic_time() < end_us)
        g_usleep(1000);
    g_assert_cmpint(state_of(w, i).breaker, ==, breaker);
}

/* ---- the first that is up ---- */

static void
test_first_is_enough(World *w, gconstpointer unused)
{
    start_client(w, 3, (ClvKmsClientConfig){0});
    for (guint i = 0; i < 4; i++)
        expect(w, CLV_CODE_OK, 0);
    g_assert_cmpuint(site_requests(&w->sites[0]), ==, 4);
    g_assert_cmpuint(site_requests(&w->sites[1]) + site_requests(&w->sites[2]), ==, 0);
    g_assert_true(state_of(w, 0).preferred);
    g_assert_false(state_of(w, 1).preferred);
}

static void
test_dead_first(World *w, gconstpointer unused)
{
    g_autoptr(ClvKmsReply) reply = NULL;
    gint64 start_us = g_get_monotonic_time();

    site_close(&w->sites[0]);
    start_client(w, 2, (ClvKmsClientConfig){0});
    g_assert_cmpint(post(w), ==, CLV_CODE_OK);
    reply = wait_for_reply(w);
    g_assert_cmpint(reply->code, ==, CLV_CODE_OK);
    g_assert_cmpstr(reply->url, ==, w->sites[1].url);
    g_assert_nonnull(reply->trouble);
    g_assert_true(g_str_has_prefix(reply->trouble, w->sites[0].url));
    g_assert_cmpint(g_get_monotonic_time() - start_us, <, 2 * G_USEC_PER_SEC);
}

typedef struct Answer {
    const char *name;
    const char *text; /* (nullable): hangs */
    gboolean outage;  /* the next one is asked */
    ClvCode code;     /* of the first one's own answer */
} Answer;

static const Answer answers[] = {
    {"hangs", NULL, TRUE, CLV_CODE_KMS_TIMEOUT},
    {"resets", RESET, TRUE, CLV_CODE_KMS_TIMEOUT},
    {"says-500", BROKEN, TRUE, CLV_CODE_KMS_TIMEOUT},
    {"says-503", BUSY, TRUE, CLV_CODE_KMS_DOWN},
    {"says-429", HTTP_HEAD("429 Slowly", "text/plain", "2") "no", TRUE, CLV_CODE_KMS_DOWN},
    {"says-html", HTTP_HEAD("200 OK", "text/html", "4") "<br>", TRUE, CLV_CODE_KMS_TIMEOUT},
    {"no-base64", HTTP_HEAD("200 OK", "application/mikey", "4") "????", TRUE, CLV_CODE_KMS_TIMEOUT},
    {"no-http", "SSH-2.0-OpenSSH_9.2\r\n", TRUE, CLV_CODE_KMS_TIMEOUT},
    /* an answer, though not the one we hoped for: nobody else is asked */
    {"says-403", HTTP_HEAD("403 No", "text/plain", "2") "no", FALSE, CLV_CODE_FORBIDDEN},
    {"says-401", HTTP_HEAD("401 Who", "text/plain", "2") "no", FALSE, CLV_CODE_INTERNAL},
    {"says-500-in-mikey", HTTP_HEAD("500 No", "application/mikey", "4") "AQYA", FALSE, CLV_CODE_OK},
};

static void
test_answer(World *w, gconstpointer data)
{
    const Answer *row = data;

    g_atomic_pointer_set(&w->sites[0].answer, row->text);
    start_client(w, 2, (ClvKmsClientConfig){.timeout_ms = 1000});
    expect(w, row->outage ? CLV_CODE_OK : row->code, row->outage ? 1 : 0);
    g_assert_cmpuint(site_requests(&w->sites[1]), ==, row->outage ? 1 : 0);
    g_assert_cmpuint(state_of(w, 0).failures, ==, row->code != CLV_CODE_OK ? 1 : 0);
    g_assert_cmpuint(state_of(w, 0).failures_in_row, ==, row->outage ? 1 : 0);
    g_assert_cmpuint(state_of(w, 1).failures, ==, 0);

    /* and the same from both: what the last one says */
    g_atomic_pointer_set(&w->sites[1].answer, row->text);
    expect(w, row->code, row->outage ? 1 : 0);
}

static void
test_same_octets_for_all(World *w, gconstpointer unused)
{
    const char *mine, *other;

    g_atomic_pointer_set(&w->sites[0].answer, BROKEN);
    start_client(w, 2, (ClvKmsClientConfig){0});
    expect(w, CLV_CODE_OK, 1);
    mine = strstr(w->sites[0].last->str, "\r\n\r\n");
    other = strstr(w->sites[1].last->str, "\r\n\r\n");
    g_assert_cmpstr(mine, ==, "\r\n\r\nAQsATQ==");
    g_assert_cmpstr(mine, ==, other);
    g_assert_nonnull(strstr(w->sites[1].last->str, "requesttype=ticketresolve"));
}

/* ---- one deadline ---- */

static void
test_hanging_first_leaves_time(World *w, gconstpointer unused)
{
    gint64 start_us = g_get_monotonic_time();

    g_atomic_pointer_set(&w->sites[0].answer, NULL);
    start_client(w, 2, (ClvKmsClientConfig){.timeout_ms = 1000});
    expect(w, CLV_CODE_OK, 1);
    g_assert_cmpint(g_get_monotonic_time() - start_us, >=, 450000);
    g_assert_cmpint(g_get_monotonic_time() - start_us, <, 1000000);
}

static void
test_deadline_over_all(World *w, gconstpointer unused)
{
    gint64 start_us = g_get_monotonic_time();

    for (guint i = 0; i < 3; i++)
        g_atomic_pointer_set(&w->sites[i].answer, NULL);
    start_client(w, 3, (ClvKmsClientConfig){.timeout_ms = 900});
    expect(w, CLV_CODE_KMS_TIMEOUT, 2);
    g_assert_cmpint(g_get_monotonic_time() - start_us, >=, 850000);
    g_assert_cmpint(g_get_monotonic_time() - start_us, <, 1800000);
    for (guint i = 0; i < 3; i++) {
        g_assert_cmpuint(site_requests(&w->sites[i]), ==, 1);
        g_assert_cmpint(state_of(w, i).last_latency_us, >, 200000);
        g_assert_cmpint(state_of(w, i).last_latency_us, <, 700000);
    }
}

/* One that is left alone takes nothing of the deadline: the other has all of it. */
static void
test_open_one_has_no_share(World *w, gconstpointer unused)
{
    gint64 start_us;

    g_atomic_pointer_set(&w->sites[0].answer, BROKEN);
    start_client(
        w, 2,
        (ClvKmsClientConfig){.timeout_ms = 800, .breaker_failures = 1, .breaker_open_ms = 60000});
    expect(w, CLV_CODE_OK, 1);
    g_atomic_pointer_set(&w->sites[1].answer, NULL);
    start_us = g_get_monotonic_time();
    expect(w, CLV_CODE_KMS_TIMEOUT, 1);
    g_assert_cmpint(g_get_monotonic_time() - start_us, >=, 750000);
    g_assert_cmpuint(site_requests(&w->sites[0]), ==, 1);
}

/* A port whose queue is full: what knocks there hears nothing at all. */
static void
test_connecting_is_limited(World *w, gconstpointer unused)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    int knocks[4];
    int fd;
    gint64 start_us;

    site_close(&w->sites[0]);
    fd = listen_on_loopback(&w->sites[0].port, 0);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(w->sites[0].port);
    for (guint i = 0; i < G_N_ELEMENTS(knocks); i++) {
        knocks[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        (void)!connect(knocks[i], (struct sockaddr *)&address, sizeof address);
    }
    start_client(w, 2, (ClvKmsClientConfig){.timeout_ms = 8000, .connect_ms = 100});
    start_us = g_get_monotonic_time();
    expect(w, CLV_CODE_OK, 1);
    g_assert_cmpint(g_get_monotonic_time() - start_us, >=, 90000);
    g_assert_cmpint(g_get_monotonic_time() - start_us, <, 2000000);
    g_assert_cmpuint(state_of(w, 0).timeouts, ==, 1);
    for (guint i = 0; i < G_N_ELEMENTS(knocks); i++)
        close(knocks[i]);
    close(fd);
}

/* ---- a breaker for each ---- */

static void
test_breaker_of_its_own(World *w, gconstpointer unused)
{
    ClvKmsClientState all;

    g_atomic_pointer_set(&w->sites[0].answer, BROKEN);
    start_client(w, 2, (ClvKmsClientConfig){.breaker_open_ms = 60000});
    for (guint i = 0; i < 5; i++) {
        g_assert_cmpint(state_of(w, 0).breaker, ==, CLV_KMS_BREAKER_CLOSED);
        expect(w, CLV_CODE_OK, 1);
    }
    g_assert_cmpint(state_of(w, 0).breaker, ==, CLV_KMS_BREAKER_OPEN);
    g_assert_cmpint(state_of(w, 0).retry_in_ms, >, 1000);
    g_assert_false(state_of(w, 0).preferred);
    g_assert_true(state_of(w, 1).preferred);
    for (guint i = 0; i < 5; i++)
        expect(w, CLV_CODE_OK, 1);
    g_assert_cmpuint(site_requests(&w->sites[0]), ==, 5); /* left alone */
    g_assert_cmpuint(site_requests(&w->sites[1]), ==, 10);
    clv_kms_client_state(w->client, &all);
    g_assert_false(all.breaker_open);
    g_assert_cmpuint(all.requests, ==, 10);
    g_assert_cmpuint(all.failures, ==, 0);
}

static void
test_back_to_the_first(World *w, gconstpointer unused)
{
    g_atomic_pointer_set(&w->sites[0].answer, BROKEN);
    start_client(w, 2, (ClvKmsClientConfig){.breaker_failures = 2, .breaker_open_ms = 50});
    expect(w, CLV_CODE_OK, 1);
    expect(w, CLV_CODE_OK, 1);
    g_assert_cmpint(state_of(w, 0).breaker, ==, CLV_KMS_BREAKER_OPEN);

    /* a copy looks, and finds it as it was: open for another while */
    wait_for_breaker(w, 0, CLV_KMS_BREAKER_HALF_OPEN);
    expect(w, CLV_CODE_OK, 1);
    while (state_of(w, 0).failures < 3)
        g_usleep(1000);
    g_assert_cmpint(state_of(w, 0).breaker, !=, CLV_KMS_BREAKER_CLOSED);
    g_assert_cmpuint(site_requests(&w->sites[0]), ==, 3);

    /* and now it is back */
    g_atomic_pointer_set(&w->sites[0].answer, GOOD);
    wait_for_breaker(w, 0, CLV_KMS_BREAKER_HALF_OPEN);
    expect(w, CLV_CODE_OK, 1);
    wait_for_breaker(w, 0, CLV_KMS_BREAKER_CLOSED);
    expect(w, CLV_CODE_OK, 0);
    g_assert_true(state_of(w, 0).preferred);
    g_assert_cmpuint(site_requests(&w->sites[0]), ==, 5);
    g_assert_cmpuint(site_requests(&w->sites[1]), ==, 4);
}

/* Nobody waits for the copy that looks, not even when the first still hangs. */
static void
test_looking_delays_nobody(World *w, gconstpointer unused)
{
    gint64 start_us;

    g_atomic_pointer_set(&w->sites[0].answer, BROKEN);
    start_client(
        w, 2,
        (ClvKmsClientConfig){.timeout_ms = 8000, .breaker_failures = 1, .breaker_open_ms = 20});
    expect(w, CLV_CODE_OK, 1);
    g_atomic_pointer_set(&w->sites[0].answer, NULL);
    wait_for_breaker(w, 0, CLV_KMS_BREAKER_HALF_OPEN);
    start_us = g_get_monotonic_time();
    for (guint i = 0; i < 5; i++)
        expect(w, CLV_CODE_OK, 1);
    g_assert_cmpint(g_get_monotonic_time() - start_us, <, 2000000);
    while (site_requests(&w->sites[0]) < 2)
        g_usleep(1000);
    g_assert_cmpuint(site_requests(&w->sites[0]), ==, 2); /* one looks at a time */
}

static void
test_all_left_alone(World *w, gconstpointer unused)
{
    ClvKmsClientState all;

    g_atomic_pointer_set(&w->sites[0].answer, BROKEN);
    g_atomic_pointer_set(&w->sites[1].answer, BUSY);
    start_client(w, 2, (ClvKmsClientConfig){.breaker_failures = 1, .breaker_open_ms = 1000});
    expect(w, CLV_CODE_KMS_DOWN, 1);
    clv_kms_client_state(w->client, &all);
    g_assert_true(all.breaker_open);
    g_assert_cmpint(post(w), ==, CLV_CODE_KMS_DOWN);
    g_assert_cmpuint(site_requests(&w->sites[0]) + site_requests(&w->sites[1]), ==, 2);

    /* with nobody to ask meanwhile, a caller's own request looks, at every one that is due */
    g_atomic_pointer_set(&w->sites[1].answer, GOOD);
    wait_for_breaker(w, 0, CLV_KMS_BREAKER_HALF_OPEN);
    wait_for_breaker(w, 1, CLV_KMS_BREAKER_HALF_OPEN);
    expect(w, CLV_CODE_OK, 1);
    g_assert_cmpint(state_of(w, 0).breaker, ==, CLV_KMS_BREAKER_OPEN);
    g_assert_cmpint(state_of(w, 1).breaker, ==, CLV_KMS_BREAKER_CLOSED);
}

static void
test_killed_in_between(World *w, gconstpointer unused)
{
    start_client(w, 2, (ClvKmsClientConfig){.breaker_failures = 2, .breaker_open_ms = 50});
    expect(w, CLV_CODE_OK, 0);
    site_close(&w->sites[0]);
    for (guint i = 0; i < 4; i++)
        expect(w, CLV_CODE_OK, 1);
    site_open(&w->sites[0], GOOD);
    wait_for_breaker(w, 0, CLV_KMS_BREAKER_HALF_OPEN);
    expect(w, CLV_CODE_OK, 1);
    wait_for_breaker(w, 0, CLV_KMS_BREAKER_CLOSED);
    expect(w, CLV_CODE_OK, 0);
}

/* ---- the rest ---- */

static void
test_free_does_not_wait(World *w, gconstpointer unused)
{
    gint64 start_us;

    for (guint i = 0; i < 3; i++)
        g_atomic_pointer_set(&w->sites[i].answer, NULL);
    start_client(w, 3, (ClvKmsClientConfig){.timeout_ms = 60000, .connections = 4});
    for (guint i = 0; i < 16; i++)
        g_assert_cmpint(post(w), ==, CLV_CODE_OK);
    while (site_requests(&w->sites[0]) < 4)
        g_thread_yield();
    start_us = g_get_monotonic_time();
    g_clear_pointer(&w->client, clv_kms_client_free);
    g_assert_cmpint(g_get_monotonic_time() - start_us, <, 10000000);
}

static void
test_counters(World *w, gconstpointer unused)
{
    ClvKmsUrlState state;
    guint64 n = 0;

    start_client(w, 1, (ClvKmsClientConfig){0});
    for (guint i = 0; i < 6; i++)
        expect(w, CLV_CODE_OK, 0);
    state = state_of(w, 0);
    for (guint i = 0; i < CLV_KMS_N_LATENCIES; i++)
        n += state.latencies[i];
    g_assert_cmpuint(n, ==, 6);
    g_assert_cmpuint(state.requests, ==, 6);
    g_assert_cmpuint(state.latency_sum_us, >, 0);
    g_assert_cmpint(state.last_latency_us, <=, (gint64)state.latency_sum_us);
    g_assert_cmpuint(clv_kms_client_n_urls(w->client), ==, 1);
}

static void
test_lists_that_are_refused(void)
{
    static const char *const twice[] = {"http://127.0.0.1:1/k", "http://127.0.0.1:1/k", NULL};
    static const char *const second_bad[] = {"http://127.0.0.1:1/k", "ftp://127.0.0.1/", NULL};
    static const char *const many[] = {
        "http://127.0.0.1:1/", "http://127.0.0.1:2/",
        "http://127.0.0.1:3/", "http://127.0.0.1:4/",
        "http://127.0.0.1:5/", "http://127.0.0.1:6/",
        "http://127.0.0.1:7/", "http://127.0.0.1:8/",
        "http://127.0.0.1:9/", NULL,
    };
    static const struct {
        const char *const *urls;
        const char *says;
    } rows[] = {{twice, "twice"}, {second_bad, "ftp"}, {many, "at most"}};

    for (guint i = 0; i < G_N_ELEMENTS(rows); i++) {
        ClvKmsClientConfig config = {.urls = rows[i].urls};
        g_autoptr(GError) error = NULL;

        g_assert_null(clv_kms_client_new(&config, &error));
        g_assert_nonnull(error);
        g_assert_nonnull(strstr(error->message, rows[i].says));
    }
}

/* The breaker by itself, at times of our choice. */
static void
test_breaker_step_by_step(void)
{
    ClvKmsTarget t;
    ClvKmsUrlState state;

    clv_kms_target_init(&t, "http://127.0.0.1:1/", 2, 100);
    clv_kms_target_report(&t, CLV_CODE_KMS_TIMEOUT, "x", FALSE, 1, 1000);
    clv_kms_target_report(&t, CLV_CODE_FORBIDDEN, "x", FALSE, 1, 1000); /* an answer */
    clv_kms_target_report(&t, CLV_CODE_KMS_DOWN, "x", FALSE, 1, 1000);
    g_assert_true(clv_kms_target_closed(&t));
    clv_kms_target_report(&t, CLV_CODE_KMS_TIMEOUT, "x", FALSE, 1, 1000);
    g_assert_false(clv_kms_target_closed(&t));
    /* one that was under way: does not prolong it */
    clv_kms_target_report(&t, CLV_CODE_KMS_TIMEOUT, "x", FALSE, 1, 1050);
    clv_kms_target_state(&t, 1050, &state);
    g_assert_cmpint(state.breaker, ==, CLV_KMS_BREAKER_OPEN);
    g_assert_cmpuint(state.failures_in_row, ==, 3);
    g_assert_cmpuint(state.failures, ==, 5);

    g_assert_false(clv_kms_target_take_probe(&t, 1099));
    g_assert_true(clv_kms_target_take_probe(&t, 1100));
    g_assert_false(clv_kms_target_take_probe(&t, 1100));
    clv_kms_target_give_back(&t);
    g_assert_true(clv_kms_target_take_probe(&t, 1100));
    clv_kms_target_report(&t, CLV_CODE_KMS_TIMEOUT, "x", TRUE, 1, 1200);
    g_assert_false(clv_kms_target_take_probe(&t, 1299));
    g_assert_true(clv_kms_target_take_probe(&t, 1300));
    clv_kms_target_state(&t, 1300, &state);
    g_assert_cmpint(state.breaker, ==, CLV_KMS_BREAKER_HALF_OPEN);
    clv_kms_target_report(&t, CLV_CODE_OK, NULL, TRUE, 3000000, 1300);
    clv_kms_target_state(&t, 1300, &state);
    g_assert_cmpint(state.breaker, ==, CLV_KMS_BREAKER_CLOSED);
    g_assert_cmpuint(state.failures_in_row, ==, 0);
    g_assert_cmpuint(state.latencies[0], ==, 6);
    g_assert_cmpuint(state.latencies[11], ==, 1); /* 2.5 s to 5 s */
    clv_kms_target_clear(&t);
}

#define ADD(name, function)                                                                        \
    g_test_add("/kms-client/" name, World, NULL, set_up, function, tear_down)

int
main(int argc, char **argv)
{
    signal(SIGPIPE, SIG_IGN);
    g_test_init(&argc, &argv, NULL);
    ADD("first-is-enough", test_first_is_enough);
    ADD("dead-first", test_dead_first);
    for (guint i = 0; i < G_N_ELEMENTS(answers); i++) {
        g_autofree char *name = g_strconcat("/kms-client/first/", answers[i].name, NULL);

        g_test_add(name, World, &answers[i], set_up, test_answer, tear_down);
    }
    ADD("same-octets-for-all", test_same_octets_for_all);
    ADD("hanging-first-leaves-time", test_hanging_first_leaves_time);
    ADD("deadline-over-all", test_deadline_over_all);
    ADD("open-one-has-no-share", test_open_one_has_no_share);
    ADD("connecting-is-limited", test_connecting_is_limited);
    ADD("breaker-of-its-own", test_breaker_of_its_own);
    ADD("back-to-the-first", test_back_to_the_first);
    ADD("looking-delays-nobody", test_looking_delays_nobody);
    ADD("all-left-alone", test_all_left_alone);
    ADD("killed-in-between", test_killed_in_between);
    ADD("free-does-not-wait", test_free_does_not_wait);
    ADD("counters", test_counters);
    g_test_add_func("/kms-client/lists-that-are-refused", test_lists_that_are_refused);
    g_test_add_func("/kms-client/breaker-step-by-step", test_breaker_step_by_step);
    return g_test_run();
}
