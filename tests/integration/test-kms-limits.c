/* SPDX-License-Identifier: Apache-2.0 */
/* Does the KMS keep its limits and its records, and does it stop without losing a request?
 *
 * Over real sockets on loopback, with libcurl as the other side.
 */
#include "config.h"

#include <arpa/inet.h>
#include <curl/curl.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <glib/gstdio.h>

#include "kms/audit.h"
#include "kms/crowd.h"
#include "kms/keyfile.h"
#include "kms/rate.h"
#include "unit/kms-parties.h"

#define PATIENCE_S 10L

/* ---- a KMS on a port of its own ---- */

typedef struct Kms {
    char *folder;
    ClvKmsService *service;
    ClvKmsServer *server;
    char *url;
    CURL *curl; /* keeps its connection */
} Kms;

static void
kms_start(Kms *kms, const char *extra, guint max_connections)
{
    g_autofree char *text = parties_key_file(extra);
    g_autoptr(GPtrArray) errors = g_ptr_array_new_with_free_func(g_free);
    ClvKmsServerConfig config = {.listen = "127.0.0.1:0", .max_connections = max_connections};
    g_autoptr(GError) error = NULL;
    ClvKmsKeyFile *keys;

    kms->folder = g_dir_make_tmp("kms-limits-XXXXXX", NULL);
    keys = clv_kms_keyfile_parse_in("parties", kms->folder, text, strlen(text), errors);
    if (errors->len > 0)
        g_error("%s", (const char *)errors->pdata[0]);
    kms->service = clv_kms_service_new(keys, NULL, NULL);
    kms->server = clv_kms_server_new(&config, kms->service, &error);
    g_assert_no_error(error);
    kms->url = g_strdup(clv_kms_server_url(kms->server));
    kms->curl = curl_easy_init();
}

static void
kms_clear(Kms *kms)
{
    g_autoptr(GDir) dir = g_dir_open(kms->folder, 0, NULL);
    const char *name;

    curl_easy_cleanup(kms->curl);
    clv_kms_server_free(kms->server);
    clv_kms_service_free(kms->service);
    while ((name = g_dir_read_name(dir)) != NULL) {
        g_autofree char *path = g_build_filename(kms->folder, name, NULL);

        g_unlink(path);
    }
    g_rmdir(kms->folder);
    g_free(kms->folder);
    g_free(kms->url);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Kms, kms_clear)

/* ---- HTTP ---- */

static size_t
take(char *data, size_t size, size_t n, void *user)
{
    g_string_append_len(user, data, (gssize)(size * n));
    return size * n;
}

static long
perform(Kms *kms, const char *url, GString *body)
{
    long status = 0;

    curl_easy_setopt(kms->curl, CURLOPT_URL, url);
    curl_easy_setopt(kms->curl, CURLOPT_WRITEFUNCTION, take);
    curl_easy_setopt(kms->curl, CURLOPT_WRITEDATA, body);
    curl_easy_setopt(kms->curl, CURLOPT_TIMEOUT, PATIENCE_S);
    g_assert_cmpint(curl_easy_perform(kms->curl), ==, CURLE_OK);
    curl_easy_getinfo(kms->curl, CURLINFO_RESPONSE_CODE, &status);
    return status;
}

static char *
get(Kms *kms, const char *path)
{
    g_autofree char *root = g_strndup(kms->url, strlen(kms->url) - strlen("/keymanagement"));
    g_autofree char *url = g_strconcat(root, path, NULL);
    GString *body = g_string_new(NULL);

    curl_easy_setopt(kms->curl, CURLOPT_HTTPGET, 1L);
    g_assert_cmpint(perform(kms, url, body), ==, 200);
    return g_string_free(body, FALSE);
}

/* @user asks for a ticket to bob. Returns: HTTP status; the first octets of the answer in @out */
static long
ask(Kms *kms, const char *user, const char *identity, guint8 out[2])
{
    g_autoptr(Wanted) wanted = wanted_new(BOB);
    g_autoptr(MikeyRequest) request = party_request(user, identity, wanted, g_get_real_time());
    MikeyBytes octets = mikey_request_octets(request);
    struct curl_slist *headers = curl_slist_append(NULL, "Content-Type: application/mikey");
    g_autofree char *url = g_strconcat(kms->url, "?requesttype=ticketrequest", NULL);
    g_autoptr(GString) body = g_string_new(NULL);
    long status;

    curl_easy_setopt(kms->curl, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(kms->curl, CURLOPT_POSTFIELDSIZE, (long)octets.len);
    curl_easy_setopt(kms->curl, CURLOPT_COPYPOSTFIELDS, octets.data);
    status = perform(kms, url, body);
    curl_easy_setopt(kms->curl, CURLOPT_HTTPHEADER, NULL);
    curl_slist_free_all(headers);
    out[0] = body->len > 0 ? (guint8)body->str[0] : 0;
    out[1] = body->len > 1 ? (guint8)body->str[1] : 0;
    return status;
}

static void
assert_ticket(Kms *kms, const char *user, const char *identity)
{
    guint8 first[2];

    g_assert_cmpint(ask(kms, user, identity, first), ==, 200);
    g_assert_cmpuint(first[1], ==, MIKEY_REQUEST_RESP);
}

/* ---- rates ---- */

static void
test_bucket(void)
{
    ClvKmsRates *rates = clv_kms_rates_new();
    gint64 now_us = NOW_US;

    for (guint i = 0; i < 1000; i++)
        g_assert_true(clv_kms_rates_take(rates, "free", 0, now_us));
    for (guint i = 0; i < 20; i++)
        g_assert_true(clv_kms_rates_take(rates, "a", 10, now_us));
    g_assert_false(clv_kms_rates_take(rates, "a", 10, now_us));
    g_assert_true(clv_kms_rates_take(rates, "b", 10, now_us)); /* not a's fault */
    g_assert_false(clv_kms_rates_take(rates, "a", 10, now_us + 99000));
    g_assert_true(clv_kms_rates_take(rates, "a", 10, now_us + 101000));
    g_assert_false(clv_kms_rates_take(rates, "a", 10, now_us + 101000));
    g_assert_false(clv_kms_rates_take(rates, "a", 10, now_us - MINUTES(60))); /* clock set back */
    for (guint i = 0; i < 20; i++) /* never more than full */
        g_assert_true(clv_kms_rates_take(rates, "a", 10, now_us + MINUTES(60)));
    g_assert_false(clv_kms_rates_take(rates, "a", 10, now_us + MINUTES(60)));
    clv_kms_rates_clear(rates);
    g_assert_true(clv_kms_rates_take(rates, "a", 10, now_us + MINUTES(60)));
    clv_kms_rates_free(rates);
}

/* carol has spent hers, alice has not; forged messages in alice's name cost her nothing. */
static void
test_user_rate(void)
{
    g_auto(Kms) kms = {0};
    guint8 first[2];

    kms_start(&kms, "user-rate = 1", 0);
    assert_ticket(&kms, "carol", CAROL);
    assert_ticket(&kms, "carol", CAROL);
    g_assert_cmpint(ask(&kms, "carol", CAROL, first), ==, 429);
    g_assert_cmpuint(first[0], ==, 1);
    g_assert_cmpuint(first[1], ==, MIKEY_ERROR);
    assert_ticket(&kms, "alice", ALICE);
}

static void
test_global_rate(void)
{
    g_auto(Kms) kms = {0};
    g_autofree char *metrics = NULL;
    guint8 first[2];

    kms_start(&kms, "rate = 1", 0);
    assert_ticket(&kms, "alice", ALICE);
    assert_ticket(&kms, "bob", "sip:bob@example.org");
    g_assert_cmpint(ask(&kms, "alice", ALICE, first), ==, 429);
    metrics = get(&kms, "/metrics");
    g_assert_nonnull(strstr(metrics, "conclave_kms_rate_limited_total 1\n"));
}

/* ---- metrics, audit ---- */

static void
test_metrics(void)
{
    g_auto(Kms) kms = {0};
    g_autofree char *metrics = NULL;
    guint8 first[2];

    kms_start(&kms, NULL, 0);
    assert_ticket(&kms, "alice", ALICE);
    g_assert_cmpint(ask(&kms, "alice", CAROL, first), ==, 200);
    g_assert_cmpuint(first[1], ==, MIKEY_ERROR);
    metrics = get(&kms, "/metrics");
    g_assert_nonnull(
        strstr(metrics, "conclave_kms_messages_total{kind=\"request\",verdict=\"granted\"} 1\n"));
    g_assert_nonnull(
        strstr(metrics, "conclave_kms_messages_total{kind=\"request\",verdict=\"refused\"} 1\n"));
    g_assert_nonnull(strstr(metrics, "conclave_kms_errors_total{number=\"7\"} 1\n"));
    g_assert_nonnull(strstr(metrics, "conclave_kms_seconds_bucket{le=\"+Inf\"} 2\n"));
    g_assert_nonnull(strstr(metrics, "conclave_kms_seconds_count 2\n"));
    g_assert_nonnull(strstr(metrics, "conclave_kms_replay_entries 2\n"));
    g_assert_nonnull(strstr(metrics, "conclave_kms_users 5\n"));
    g_assert_nonnull(strstr(metrics, "conclave_kms_connections 1\n"));
}

static void
test_audit(void)
{
    g_auto(Kms) kms = {0};
    g_autofree char *text = NULL, *path = NULL, *hex = NULL;
    g_auto(GStrv) lines = NULL;
    MikeyKey psk = party_psk("alice");
    guint8 first[2];
    struct stat info;

    kms_start(&kms, "audit-file = audit", 0);
    assert_ticket(&kms, "alice", ALICE);
    ask(&kms, "alice", CAROL, first);
    path = g_build_filename(kms.folder, "audit", NULL);
    g_assert_cmpint(stat(path, &info), ==, 0);
    g_assert_cmpuint(info.st_mode & 0777, ==, 0600);
    g_assert_true(g_file_get_contents(path, &text, NULL, NULL));
    lines = g_strsplit(text, "\n", -1);
    g_assert_cmpuint(g_strv_length(lines), ==, 3);
    g_assert_true(g_pattern_match_simple(
        "{\"time\":\"20*-*-*T*:*:*.*Z\",\"user\":\"alice\",\"from\":\"127.0.0.1 port "
        "*\",\"asked\":\"request\",\"subject\":\"sip:alice@example.org -> sip:bob@example.org\","
        "\"verdict\":\"granted\",\"rule\":\"granted for 7200 s\",\"authenticated\":true}",
        lines[0]));
    g_assert_true(g_pattern_match_simple("*\"verdict\":\"refused\",\"rule\":\"" CAROL
                                         " is no identity of this user\",\"authenticated\":true,"
                                         "\"error\":7}",
                                         lines[1]));
    hex = g_base64_encode(psk.bytes, psk.len);
    g_assert_null(strstr(text, hex));
}

/* Strange octets stay in their string; a file that is moved away is followed by a new one. */
static void
test_audit_file(void)
{
    g_autofree char *folder = g_dir_make_tmp("kms-audit-XXXXXX", NULL);
    g_autofree char *path = g_build_filename(folder, "audit", NULL);
    g_autofree char *moved = g_build_filename(folder, "audit.1", NULL);
    g_autofree char *first = NULL, *second = NULL;
    g_autoptr(GError) error = NULL;
    g_autoptr(ClvKmsAudit) audit = clv_kms_audit_open(path, &error);
    ClvKmsDecision decision = {.user = "a\"\\\n\x80", .request = "http", .subject = "-"};

    g_assert_true(clv_kms_audit_write(audit, &decision, "x", NOW_US, &error));
    g_assert_true(clv_kms_audit_follow(audit, &error));
    g_assert_cmpint(g_rename(path, moved), ==, 0);
    g_assert_true(clv_kms_audit_follow(audit, &error));
    g_assert_true(clv_kms_audit_write(audit, &decision, "y", NOW_US, &error));
    g_assert_true(g_file_get_contents(moved, &first, NULL, NULL));
    g_assert_true(g_file_get_contents(path, &second, NULL, NULL));
    g_assert_nonnull(strstr(first, "\"user\":\"a\\\"\\\\\\u000a\\u0080\",\"from\":\"x\""));
    g_assert_nonnull(strstr(second, "\"from\":\"y\""));
    g_unlink(path);
    g_unlink(moved);
    g_rmdir(folder);
}

/* ---- silent connections ---- */

static int
connect_to(const Kms *kms)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    const char *port = strrchr(kms->url, ':') + 1;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons((guint16)g_ascii_strtoull(port, NULL, 10));
    g_assert_cmpint(connect(fd, (struct sockaddr *)&address, sizeof address), ==, 0);
    return fd;
}

/* More than there are places, some with half a request: the KMS goes on answering. */
static void
test_silent_connections(void)
{
    static const char half[] = "POST /keymanagement?requesttype=ticketrequest HTTP/1.1\r\nHo";
    g_auto(Kms) kms = {0};
    int fds[200];

    kms_start(&kms, NULL, 32);
    for (guint i = 0; i < G_N_ELEMENTS(fds); i++) {
        fds[i] = connect_to(&kms);
        if (i % 2 == 0 && send(fds[i], half, sizeof half - 1, MSG_NOSIGNAL) < 0)
            continue; /* cut already */
    }
    assert_ticket(&kms, "alice", ALICE);
    for (guint i = 0; i < G_N_ELEMENTS(fds); i++)
        close(fds[i]);
}

/* ---- stopping ---- */

static gpointer
stop(gpointer data)
{
    Kms *kms = data;

    clv_kms_server_free(g_steal_pointer(&kms->server));
    return NULL;
}

/* Half of a request is there when the stop begins; the other half comes, and the answer. */
static void
test_stop_answers_what_is_under_way(void)
{
    g_auto(Kms) kms = {0};
    g_autoptr(Wanted) wanted = wanted_new(BOB);
    g_autoptr(MikeyRequest) request = NULL;
    g_autofree char *head = NULL;
    MikeyBytes octets;
    GThread *thread;
    char answer[64] = "";
    ClvKmsServiceState state;
    int fd, fresh;

    kms_start(&kms, NULL, 0);
    request = party_request("alice", ALICE, wanted, g_get_real_time());
    octets = mikey_request_octets(request);
    head = g_strdup_printf("POST /keymanagement?requesttype=ticketrequest HTTP/1.1\r\nHost: x\r\n"
                           "Content-Type: application/mikey\r\nExpect: 100-continue\r\n"
                           "Content-Length: %" G_GSIZE_FORMAT "\r\n\r\n",
                           octets.len);
    fd = connect_to(&kms);
    g_assert_cmpint(send(fd, head, strlen(head), 0), ==, (gssize)strlen(head));
    g_assert_cmpint(recv(fd, answer, sizeof answer - 1, 0), >, 0); /* 100: it is under way */
    g_assert_true(g_str_has_prefix(answer, "HTTP/1.1 100"));
    thread = g_thread_new("stop", stop, &kms);
    do { /* until nobody is let in any more */
        struct sockaddr_in address = {.sin_family = AF_INET};

        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        address.sin_port = htons((guint16)g_ascii_strtoull(strrchr(kms.url, ':') + 1, NULL, 10));
        fresh = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (connect(fresh, (struct sockaddr *)&address, sizeof address) == 0) {
            close(fresh);
            fresh = -1;
        }
    } while (fresh < 0);
    close(fresh);
    g_assert_cmpint(send(fd, octets.data, octets.len, 0), ==, (gssize)octets.len);
    g_assert_cmpint(recv(fd, answer, sizeof answer - 1, 0), >, 0);
    g_assert_true(g_str_has_prefix(answer, "HTTP/1.1 200"));
    g_thread_join(thread);
    clv_kms_service_state(kms.service, &state);
    g_assert_cmpuint(state.granted, ==, 1);
    close(fd);
}

int
main(int argc, char **argv)
{
    curl_global_init(CURL_GLOBAL_ALL);
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/kms-limits/bucket", test_bucket);
    g_test_add_func("/kms-limits/user-rate", test_user_rate);
    g_test_add_func("/kms-limits/global-rate", test_global_rate);
    g_test_add_func("/kms-limits/metrics", test_metrics);
    g_test_add_func("/kms-limits/audit", test_audit);
    g_test_add_func("/kms-limits/audit-file", test_audit_file);
    g_test_add_func("/kms-limits/silent-connections", test_silent_connections);
    g_test_add_func("/kms-limits/stop-answers-what-is-under-way",
                    test_stop_answers_what_is_under_way);
    return g_test_run();
}
