/* SPDX-License-Identifier: Apache-2.0 */
/* kms/serve.c - the KMS's logic on the network: libmicrohttpd around it
 *
 * A few threads with an epoll each; every request is answered where it arrived, as the logic
 * never waits. What is not a POST of a short MIKEY message to the right path is refused before
 * the logic sees it.
 */
#include "config.h"

#include "kms/kms.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <gio/gio.h>
#include <microhttpd.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "base/secret.h"
#include "kms/audit.h"
#include "kms/crowd.h"
#include "kms/listing.h"
#include "kms/metrics.h"
#include "kms/proof.h"
#include "kms/rate.h"
#include "kms/relay.h"
#include "kms/wire.h"

#define DEFAULT_PATH "/keymanagement"
#define DEFAULT_CONNECTIONS 256
#define DEFAULT_THREADS 2
#define TEND_MS 1000
#define STOP_TIMEOUT_US (3 * G_USEC_PER_SEC)
#define STOP_ANSWER_US (3 * G_USEC_PER_SEC) /* for those who have waited for a peer */
#define MAX_PEM_BYTES (1u << 20)
#define IDLE_TIMEOUT_S 30u
#define UPLOAD_TIMEOUT_US (10 * G_USEC_PER_SEC) /* whole request, however slowly it drips */
#define CHEAP_PER_S 200 /* lines about those who have proven nothing, or ask too often */

struct ClvKmsServer {
    ClvKmsService *service; /* borrowed */
    struct MHD_Daemon *daemon;
    char *path;
    char *url;
    char *cert_pem, *key_pem, *ca_pem; /* (nullable) libmicrohttpd does not copy them */
    void (*log)(const ClvKmsDecision *decision, const char *peer, void *user);
    void *log_user;
    ClvKmsAudit *audit; /* (nullable) */
    ClvKmsRates *cheap;
    gint64 untold; /* atomic: refusals without a line since the last line about any */
    ClvKmsCrowd *crowd;
    ClvKmsRelays *relays;
    ClvKmsMetrics metrics;
    ClvKmsDigest *digest;
    GThread *tender;
    int tender_wake; /* eventfd: stop */
};

/* A request while it arrives. */
typedef struct Upload {
    ClvKmsGuest *guest;
    char *proven; /* (nullable) user, by HTTP or TLS */
    gint64 started_us;
    GByteArray *body;
    ClvKmsRequest request;
    gboolean binary;
    ClvKmsServer *server;              /* while another KMS is asked: */
    struct MHD_Connection *connection; /* suspended, */
    char peer[80];                     /* and whose it is */
    gboolean relayed;                  /* what it came to is here: */
    GByteArray *reply;                 /* (nullable) */
    gboolean unwritten;                /* its line waits for the disk */
    ClvKmsDecision decision;
    gboolean listing; /* an announcement instead of a MIKEY message */
} Upload;

/* ---- small answers ---- */

static enum MHD_Result
answer(struct MHD_Connection *connection, unsigned int status, const char *type, const void *body,
       size_t len)
{
    struct MHD_Response *response =
        MHD_create_response_from_buffer(len, (void *)body, MHD_RESPMEM_MUST_COPY);
    enum MHD_Result result;

    if (response == NULL)
        return MHD_NO;
    MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, type);
    MHD_add_response_header(response, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
    if (status == MHD_HTTP_METHOD_NOT_ALLOWED)
        MHD_add_response_header(response, MHD_HTTP_HEADER_ALLOW, "POST");
    if (status == MHD_HTTP_TOO_MANY_REQUESTS)
        MHD_add_response_header(response, MHD_HTTP_HEADER_RETRY_AFTER, "1");
    result = MHD_queue_response(connection, status, response);
    MHD_destroy_response(response);
    return result;
}

static void
peer_of(struct MHD_Connection *connection, char *out, gsize size)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
    char host[INET6_ADDRSTRLEN] = "?";
    guint port = 0;

    if (info != NULL && info->client_addr->sa_family == AF_INET) {
        const struct sockaddr_in *address = (const struct sockaddr_in *)info->client_addr;

        inet_ntop(AF_INET, &address->sin_addr, host, sizeof host);
        port = ntohs(address->sin_port);
    } else if (info != NULL && info->client_addr->sa_family == AF_INET6) {
        const struct sockaddr_in6 *address = (const struct sockaddr_in6 *)info->client_addr;

        inet_ntop(AF_INET6, &address->sin6_addr, host, sizeof host);
        port = ntohs(address->sin6_port);
    }
    g_snprintf(out, size, "%s port %u", host, port);
}

/* Returns: FALSE when the line has to wait for the disk */
static gboolean
write_line(ClvKmsServer *server, const ClvKmsDecision *decision, const char *peer)
{
    if (server->log != NULL)
        server->log(decision, peer, server->log_user);
    if (server->audit == NULL ||
        clv_kms_audit_write(server->audit, decision, peer, g_get_real_time(), NULL))
        return TRUE;
    clv_kms_metrics_add(&server->metrics.audit_failures, 1); /* tend() tells the log */
    return FALSE;
}

/* One line for all that got none. */
static void
tell_untold(ClvKmsServer *server)
{
    ClvKmsDecision decision = {.user = "-", .request = "-", .subject = "-"};
    gint64 n = __atomic_exchange_n(&server->untold, 0, __ATOMIC_RELAXED);

    if (n == 0)
        return;
    g_snprintf(decision.rule, sizeof decision.rule,
               "%" G_GINT64_FORMAT
               " refusals without a line, of strangers or above a user's rate; more "
               "than %d a second, or the file was not to be written",
               n, CHEAP_PER_S);
    write_line(server, &decision, "-");
}

/* It cost nothing to cause, and its line is one too many. */
static gboolean
is_to_be_counted(ClvKmsServer *server, const ClvKmsDecision *decision)
{
    if (decision->authenticated && !decision->limited)
        return FALSE;
    return !clv_kms_rates_take(server->cheap, "", CHEAP_PER_S, g_get_monotonic_time()) ||
           (server->audit != NULL && !clv_kms_audit_has_room(server->audit));
}

/* Who has proven to be a user always has his line. Returns: FALSE when it has to wait for the disk
 */
static gboolean
tell_of(ClvKmsServer *server, const ClvKmsDecision *decision, const char *peer)
{
    if (!is_to_be_counted(server, decision))
        return write_line(server, decision, peer);
    __atomic_fetch_add(&server->untold, 1, __ATOMIC_RELAXED);
    clv_kms_metrics_add(&server->metrics.untold, 1);
    return TRUE;
}

static gboolean
tell(ClvKmsServer *server, struct MHD_Connection *connection, const ClvKmsDecision *decision)
{
    char peer[80];

    peer_of(connection, peer, sizeof peer);
    return tell_of(server, decision, peer);
}

static enum MHD_Result
refuse(ClvKmsServer *server, struct MHD_Connection *connection, unsigned int status,
       const char *why)
{
    ClvKmsDecision decision = {.user = "-", .request = "http", .subject = "-"};
    g_autofree char *text = g_strdup_printf("%s\n", why);

    g_snprintf(decision.rule, sizeof decision.rule, "HTTP %u: %s", status, why);
    clv_kms_metrics_add(&server->metrics.http_refused, 1);
    tell(server, connection, &decision);
    return answer(connection, status, "text/plain", text, strlen(text));
}

/* Whom nothing can be written down about gets nothing. */
static enum MHD_Result
out_of_order(ClvKmsServer *server, struct MHD_Connection *connection)
{
    return refuse(server, connection, MHD_HTTP_SERVICE_UNAVAILABLE, "out of order");
}

/* The first one of a client is no refusal, but the next may be; each is a line. */
static enum MHD_Result
challenge(ClvKmsServer *server, const ClvKmsProofQuestion *question, gboolean stale)
{
    ClvKmsDecision decision = {.user = "-", .request = "http", .subject = "-"};

    g_strlcpy(decision.rule,
              stale ? "HTTP 401: stale nonce" : "HTTP 401: neither name nor key proven",
              sizeof decision.rule);
    clv_kms_metrics_add(&server->metrics.http_refused, 1);
    tell(server, question->connection, &decision);
    return clv_kms_proof_challenge(question, stale);
}

/* ---- the message ---- */

/* In the coding of the request. */
static enum MHD_Result
answer_message(struct MHD_Connection *connection, unsigned int status, const GByteArray *message,
               gboolean binary)
{
    g_autofree char *text = NULL;

    if (binary)
        return answer(connection, status, CLV_KMS_MIME_TYPE, message->data, message->len);
    text = g_base64_encode(message->data, message->len);
    return answer(connection, status, CLV_KMS_MIME_TYPE, text, strlen(text));
}

static unsigned int
http_status(const ClvKmsDecision *decision)
{
    if (decision->foreign)
        return MHD_HTTP_FORBIDDEN;
    return decision->limited ? MHD_HTTP_TOO_MANY_REQUESTS : MHD_HTTP_OK;
}

/* HTTP Digest says nothing about a body: without TLS somebody between may have put in another one.
 */
static gboolean
is_protected(const ClvKmsServer *server, const GByteArray *body)
{
    gboolean has_mac;
    ClvKmsList list;

    if (server->cert_pem != NULL || !clv_kms_list_parse(body->data, body->len, &list))
        return TRUE; /* or is none, and refused for that */
    has_mac = list.has_mac;
    clv_kms_list_clear(&list);
    return has_mac;
}

static enum MHD_Result
serve_listing(ClvKmsServer *server, struct MHD_Connection *connection, const Upload *upload)
{
    g_autofree char *text = NULL;
    ClvKmsDecision decision;
    guint status;

    clv_kms_crowd_begin(server->crowd, upload->guest, g_get_monotonic_time());
    if (!clv_kms_service_admit(server->service, g_get_real_time())) {
        clv_kms_metrics_add(&server->metrics.limited, 1);
        return answer(connection, MHD_HTTP_TOO_MANY_REQUESTS, "text/plain", "too many\n", 9);
    }
    if (!is_protected(server, upload->body))
        return refuse(server, connection, MHD_HTTP_FORBIDDEN,
                      "an announcement without a MAC needs TLS");
    status = clv_kms_service_list(server->service, upload->body->data, upload->body->len,
                                  g_get_real_time(), upload->proven, &decision);
    if (!tell(server, connection, &decision))
        return out_of_order(server, connection);
    /* why is for who has proven himself; others do not learn which names there are */
    text = g_strdup_printf("%s\n", status == MHD_HTTP_FORBIDDEN && !decision.authenticated
                                       ? "not proven to be a user of this KMS"
                                       : decision.rule);
    return answer(connection, status, "text/plain", text, strlen(text));
}

static enum MHD_Result
serve_message(ClvKmsServer *server, struct MHD_Connection *connection, Upload *upload)
{
    g_autoptr(GByteArray) message =
        clv_kms_body_decode(upload->body->data, upload->body->len, &upload->binary);
    ClvKmsRelay *relay = NULL;
    g_autoptr(GByteArray) reply = NULL;
    gint64 started_us = g_get_monotonic_time();
    ClvKmsDecision decision;

    clv_kms_crowd_begin(server->crowd, upload->guest, started_us);
    if (!clv_kms_service_admit(server->service, g_get_real_time())) {
        clv_kms_metrics_add(&server->metrics.limited, 1); /* a line for each would help the flood */
        return answer(connection, MHD_HTTP_TOO_MANY_REQUESTS, "text/plain", "too many\n", 9);
    }
    if (message == NULL)
        return refuse(server, connection, MHD_HTTP_BAD_REQUEST,
                      "the body is no MIKEY message, neither raw nor in base64");
    reply = clv_kms_service_begin(server->service, upload->request, message->data, message->len,
                                  g_get_real_time(), upload->proven, &decision, &relay);
    if (relay != NULL) {
        upload->server = server;
        upload->connection = connection;
        peer_of(connection, upload->peer, sizeof upload->peer);
        MHD_suspend_connection(connection);
        clv_kms_relays_post(server->relays, relay, upload);
        return MHD_YES;
    }
    if (reply == NULL)
        return refuse(server, connection, MHD_HTTP_BAD_REQUEST,
                      "the body is no MIKEY message that could be answered");
    clv_kms_metrics_took(&server->metrics, g_get_monotonic_time() - started_us);
    if (!tell(server, connection, &decision))
        return out_of_order(server, connection);
    return answer_message(connection, http_status(&decision), reply, upload->binary);
}

/* In a thread of the relays. The line is not left to the connection, which may be gone: the answer
 * is kept for a while, and who sends the same octets again gets it. */
static void
on_relayed(gpointer waiting, GByteArray *answer, const ClvKmsDecision *decision)
{
    Upload *upload = waiting;

    upload->reply = answer;
    upload->decision = *decision;
    upload->relayed = TRUE;
    if (answer != NULL)
        upload->unwritten = !tell_of(upload->server, decision, upload->peer);
    MHD_resume_connection(upload->connection);
}

static enum MHD_Result
serve_relayed(ClvKmsServer *server, struct MHD_Connection *connection, const Upload *upload)
{
    if (upload->reply == NULL)
        return refuse(server, connection, MHD_HTTP_BAD_REQUEST, "nothing that could be answered");
    if (upload->unwritten)
        return out_of_order(server, connection);
    return answer_message(connection, http_status(&upload->decision), upload->reply,
                          upload->binary);
}

/* ---- the request ---- */

static gboolean
is_listing(const char *request_type, const char *type)
{
    return g_strcmp0(request_type, CLV_KMS_LIST_REQUEST) == 0 && type != NULL &&
           g_ascii_strcasecmp(type, CLV_KMS_LIST_TYPE) == 0;
}

/* Returns: an HTTP status to refuse it with, or 0 */
static unsigned int
judge_head(const ClvKmsServer *server, struct MHD_Connection *connection, const char *url,
           const char *method, ClvKmsRequest *out_request, const char **out_why)
{
    const char *length =
        MHD_lookup_connection_value(connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_CONTENT_LENGTH);
    const char *type =
        MHD_lookup_connection_value(connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_CONTENT_TYPE);
    const char *request_type =
        MHD_lookup_connection_value(connection, MHD_GET_ARGUMENT_KIND, "requesttype");

    if (strcmp(url, server->path) != 0) {
        *out_why = "nothing is served under this path";
        return MHD_HTTP_NOT_FOUND;
    }
    if (strcmp(method, MHD_HTTP_METHOD_POST) != 0) {
        *out_why = "tickets are requested and resolved by POST";
        return MHD_HTTP_METHOD_NOT_ALLOWED;
    }
    if (is_listing(request_type, type))
        return 0;
    if (!clv_kms_type_is_mikey(type)) {
        *out_why = "expected a body of type " CLV_KMS_MIME_TYPE;
        return MHD_HTTP_UNSUPPORTED_MEDIA_TYPE;
    }
    if (!clv_kms_request_type_parse(request_type, out_request)) {
        *out_why = "expected requesttype=ticketrequest or requesttype=ticketresolve";
        return MHD_HTTP_BAD_REQUEST;
    }
    if (length != NULL && g_ascii_strtoull(length, NULL, 10) > CLV_KMS_MAX_BODY) {
        *out_why = "the body is longer than a MIKEY message can be";
        return MHD_HTTP_CONTENT_TOO_LARGE;
    }
    return 0;
}

/* MHD_NO closes the connection: for those who send for ever, or in chunks without end. */
static enum MHD_Result
take_piece(Upload *upload, const char *data, size_t *len)
{
    if (g_get_monotonic_time() - upload->started_us > UPLOAD_TIMEOUT_US ||
        *len > CLV_KMS_MAX_BODY - upload->body->len)
        return MHD_NO;
    g_byte_array_append(upload->body, (const guint8 *)data, (guint)*len);
    *len = 0;
    return MHD_YES;
}

static enum MHD_Result
answer_metrics(ClvKmsServer *server, struct MHD_Connection *connection)
{
    g_autofree char *text = NULL;
    ClvKmsServiceState state;

    clv_kms_service_state(server->service, &state);
    text = clv_kms_metrics_text(&server->metrics, &state, server->relays, g_get_real_time());
    return answer(connection, MHD_HTTP_OK, "text/plain; version=0.0.4", text, strlen(text));
}

static ClvKmsGuest *
guest_of(struct MHD_Connection *connection)
{
    return MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT)->socket_context;
}

static gboolean
can_write_down(ClvKmsServer *server)
{
    return server->audit == NULL || clv_kms_audit_flush(server->audit, NULL);
}

/* What the head says can be refused before the body is there. */
static enum MHD_Result
on_head(ClvKmsServer *server, struct MHD_Connection *connection, const char *url,
        const char *method, void **state)
{
    const ClvKmsProofQuestion question = {connection, server->service, server->digest, method, url};
    ClvKmsRequest request = CLV_KMS_TICKET_REQUEST;
    g_autofree char *proven = NULL;
    const char *why = NULL;
    unsigned int status;
    ClvKmsProof proof;
    Upload *upload;

    if (strcmp(method, MHD_HTTP_METHOD_GET) == 0 && strcmp(url, "/healthz") == 0)
        return answer(connection, MHD_HTTP_OK, "text/plain", "ok\n", 3);
    if (strcmp(method, MHD_HTTP_METHOD_GET) == 0 && strcmp(url, "/metrics") == 0)
        return answer_metrics(server, connection);
    status = judge_head(server, connection, url, method, &request, &why);
    if (status != 0)
        return refuse(server, connection, status, why);
    if (!can_write_down(server))
        return out_of_order(server, connection);
    proof = clv_kms_proof_check(&question, &proven);
    if (proof == CLV_KMS_PROOF_REFUSED)
        return refuse(server, connection, MHD_HTTP_FORBIDDEN,
                      "no client certificate of a user of this KMS");
    if (proof == CLV_KMS_PROOF_MISSING || proof == CLV_KMS_PROOF_STALE)
        return challenge(server, &question, proof == CLV_KMS_PROOF_STALE);
    upload = g_new0(Upload, 1);
    upload->started_us = g_get_monotonic_time();
    upload->body = g_byte_array_new();
    upload->request = request;
    upload->listing = is_listing(
        MHD_lookup_connection_value(connection, MHD_GET_ARGUMENT_KIND, "requesttype"),
        MHD_lookup_connection_value(connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_CONTENT_TYPE));
    upload->proven = g_steal_pointer(&proven);
    upload->guest = guest_of(connection);
    clv_kms_crowd_begin(server->crowd, upload->guest, upload->started_us);
    *state = upload;
    return MHD_YES;
}

static enum MHD_Result
on_request(void *user, struct MHD_Connection *connection, const char *url, const char *method,
           const char *version, const char *data, size_t *len, void **state)
{
    ClvKmsServer *server = user;
    Upload *upload = *state;

    if (upload == NULL)
        return on_head(server, connection, url, method, state);
    if (*len > 0)
        return take_piece(upload, data, len);
    if (upload->relayed)
        return serve_relayed(server, connection, upload);
    if (!can_write_down(server)) /* the body may have taken its time */
        return out_of_order(server, connection);
    return upload->listing ? serve_listing(server, connection, upload)
                           : serve_message(server, connection, upload);
}

static void
on_completed(void *user, struct MHD_Connection *connection, void **state,
             enum MHD_RequestTerminationCode code)
{
    ClvKmsServer *server = user;
    Upload *upload = *state;

    if (upload == NULL)
        return;
    clv_kms_crowd_end(server->crowd, upload->guest, g_get_monotonic_time());
    g_byte_array_unref(upload->body);
    g_free(upload->proven);
    if (upload->reply != NULL)
        g_byte_array_unref(upload->reply);
    g_free(upload);
    *state = NULL;
}

static void
on_connection(void *user, struct MHD_Connection *connection, void **guest,
              enum MHD_ConnectionNotificationCode code)
{
    ClvKmsServer *server = user;
    gboolean cut = FALSE;

    if (code == MHD_CONNECTION_NOTIFY_CLOSED) {
        clv_kms_crowd_leave(server->crowd, *guest);
        clv_kms_metrics_add(&server->metrics.connections, -1);
        return;
    }
    *guest = clv_kms_crowd_enter(
        server->crowd,
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd,
        g_get_monotonic_time(), &cut);
    clv_kms_metrics_add(&server->metrics.connections, 1);
    clv_kms_metrics_add(&server->metrics.cut, cut ? 1 : 0);
}

static void on_http_log(void *user, const char *format, va_list args) G_GNUC_PRINTF(2, 0);

static void
on_http_log(void *user, const char *format, va_list args)
{
    g_autofree char *text = g_strdup_vprintf(format, args);

    clv_log(CLV_LOG_DEBUG, NULL, "kms-http", "%s", g_strchomp(text));
}

/* ---- once a second ---- */

static gboolean
tend_audit(ClvKmsServer *server, GError **error)
{
    if (server->audit != NULL &&
        (!clv_kms_audit_follow(server->audit, error) || !clv_kms_audit_flush(server->audit, error)))
        return FALSE;
    tell_untold(server);
    return TRUE;
}

/* Tells a failure once, and when it is over. */
static void
tend(ClvKmsServer *server, gboolean *failing)
{
    g_autoptr(GError) error = NULL;
    gboolean good;

    clv_kms_service_keep_relays(server->service, server->relays);
    good = tend_audit(server, &error);
    if (clv_kms_service_tend(server->service, g_get_real_time(), good ? &error : NULL) && good) {
        if (*failing)
            clv_log(CLV_LOG_NOTICE, NULL, "kms-state", "the state of the KMS is kept again");
        *failing = FALSE;
        return;
    }
    if (!*failing)
        clv_log(CLV_LOG_ERROR, NULL, "kms-state", "the state of the KMS is not kept: %s",
                error->message);
    *failing = TRUE;
}

static gpointer
tend_until_stopped(gpointer data)
{
    ClvKmsServer *server = data;
    struct pollfd wake = {.fd = server->tender_wake, .events = POLLIN};
    gboolean failing = FALSE;

    while (poll(&wake, 1, TEND_MS) <= 0)
        tend(server, &failing);
    tell_untold(server);
    return NULL;
}

static void
start_tender(ClvKmsServer *server)
{
    server->tender_wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    server->tender = g_thread_new("kms-tender", tend_until_stopped, server);
}

static void
stop_tender(ClvKmsServer *server)
{
    if (server->tender == NULL)
        return;
    eventfd_write(server->tender_wake, 1);
    g_thread_join(server->tender);
    close(server->tender_wake);
}

/* ---- listening ---- */

static gboolean fail(GError **error, const char *format, ...) G_GNUC_PRINTF(2, 3);

static gboolean
fail(GError **error, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    g_propagate_error(error, g_error_new_valist(CLV_KMS_ERROR, CLV_CODE_INTERNAL, format, args));
    va_end(args);
    return FALSE;
}

/* "127.0.0.1:8089", "[::1]:0". Returns: (transfer full) (nullable) */
static GInetSocketAddress *
read_listen(const char *text, GError **error)
{
    g_autoptr(GSocketAddress) address = NULL;
    const char *colon = strrchr(text, ':');
    g_autofree char *host = NULL;
    guint64 port = 0;

    if (colon != NULL && g_ascii_string_to_unsigned(colon + 1, 10, 0, 65535, &port, NULL)) {
        if (text[0] == '[' && colon > text + 1 && colon[-1] == ']')
            host = g_strndup(text + 1, (gsize)(colon - text) - 2);
        else if (strchr(text, ':') == colon)
            host = g_strndup(text, (gsize)(colon - text));
    }
    if (host != NULL)
        address = g_inet_socket_address_new_from_string(host, (guint)port);
    if (address == NULL) {
        fail(error,
             "KMS listen address: found '%s', expected ADDRESS:PORT such as "
             "127.0.0.1:8089 or [::1]:8089",
             text);
        return NULL;
    }
    return G_INET_SOCKET_ADDRESS(g_steal_pointer(&address));
}

/* Returns: a listening socket, or -1 */
static int
open_socket(GInetSocketAddress *address, const char *text, guint16 *out_port, GError **error)
{
    struct sockaddr_storage name;
    socklen_t len = (socklen_t)g_socket_address_get_native_size(G_SOCKET_ADDRESS(address));
    int on = 1;
    int fd;

    if (!g_socket_address_to_native(G_SOCKET_ADDRESS(address), &name, sizeof name, error))
        return -1;
    fd = socket(name.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd >= 0)
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (fd >= 0 && name.ss_family == AF_INET6)
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
    if (fd < 0 || bind(fd, (struct sockaddr *)&name, len) != 0 || listen(fd, SOMAXCONN) != 0 ||
        getsockname(fd, (struct sockaddr *)&name, &len) != 0) {
        fail(error, "KMS listen address %s: %s", text, g_strerror(errno));
        if (fd >= 0)
            close(fd);
        return -1;
    }
    *out_port = ntohs(name.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&name)->sin6_port
                                                 : ((struct sockaddr_in *)&name)->sin_port);
    return fd;
}

static gboolean
read_pem(const char *what, const char *path, char **out_pem, GError **error)
{
    gsize len = 0;

    if (!g_file_get_contents(path, out_pem, &len, error)) {
        g_prefix_error(error, "%s: ", what);
        return FALSE;
    }
    if (len > 0 && len <= MAX_PEM_BYTES && strstr(*out_pem, "-----BEGIN ") != NULL)
        return TRUE;
    clv_secret_free_string(g_steal_pointer(out_pem));
    return fail(error, "%s: '%s' is no PEM file", what, path);
}

static gboolean
is_private(const char *path, GError **error)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    gboolean sound = fd >= 0 && clv_secret_check_mode(fd, path, error);

    if (fd < 0)
        return fail(error, "KMS key: %s: %s", path, g_strerror(errno));
    close(fd);
    return sound;
}

static int
no_password(char *buffer, int size, int writing, void *user)
{
    return -1;
}

/* Clients will not like it, but the operator may know why. */
static void
warn_of_dates(const char *path, const X509 *certificate)
{
    if (X509_cmp_current_time(X509_get0_notAfter(certificate)) < 0)
        clv_log(CLV_LOG_WARNING, NULL, "kms-certificate",
                "%s: found a certificate that is out of date, expected one for today", path);
    if (X509_cmp_current_time(X509_get0_notBefore(certificate)) > 0)
        clv_log(CLV_LOG_WARNING, NULL, "kms-certificate",
                "%s: found a certificate that is not valid yet, expected one for today", path);
}

/* GnuTLS would say no more than that something is wrong. */
static gboolean
check_pair(const ClvKmsServer *server, const ClvKmsServerConfig *config, GError **error)
{
    BIO *cert_in = BIO_new_mem_buf(server->cert_pem, -1);
    BIO *key_in = BIO_new_mem_buf(server->key_pem, -1);
    X509 *certificate = PEM_read_bio_X509(cert_in, NULL, no_password, NULL);
    EVP_PKEY *key = PEM_read_bio_PrivateKey(key_in, NULL, no_password, NULL);
    gboolean fits = FALSE;

    if (certificate == NULL)
        fail(error, "%s: found no certificate, expected one in PEM", config->cert_file);
    else if (key == NULL)
        fail(error, "%s: found no private key, expected one in PEM, without a password",
             config->key_file);
    else if (X509_check_private_key(certificate, key) != 1)
        fail(error,
             "%s: found a key that is not that of the first certificate in %s, expected its own",
             config->key_file, config->cert_file);
    else
        fits = TRUE;
    if (fits)
        warn_of_dates(config->cert_file, certificate);
    EVP_PKEY_free(key);
    X509_free(certificate);
    BIO_free(key_in);
    BIO_free(cert_in);
    ERR_clear_error();
    return fits;
}

static gboolean
read_certificate(ClvKmsServer *server, const ClvKmsServerConfig *config, GError **error)
{
    if (config->cert_file == NULL)
        return TRUE;
    if (config->key_file == NULL)
        return fail(error, "KMS certificate '%s' without a key", config->cert_file);
    return read_pem("KMS certificate", config->cert_file, &server->cert_pem, error) &&
           is_private(config->key_file, error) &&
           read_pem("KMS key", config->key_file, &server->key_pem, error) &&
           check_pair(server, config, error);
}

static gboolean
read_client_ca(ClvKmsServer *server, GError **error)
{
    g_autofree char *path = clv_kms_service_client_ca(server->service);

    if (path == NULL)
        return TRUE;
    if (server->cert_pem == NULL)
        return fail(error, "client-ca '%s' without a certificate of the KMS itself", path);
    return read_pem("client-ca", path, &server->ca_pem, error);
}

static gboolean
check_exposure(GInetSocketAddress *address, const ClvKmsServerConfig *config, GError **error)
{
    if (config->cert_file != NULL || config->allow_insecure ||
        g_inet_address_get_is_loopback(g_inet_socket_address_get_address(address)))
        return TRUE;
    return fail(
        error,
        "KMS listen address: found '%s', plain HTTP beyond loopback, expected a certificate, a "
        "loopback address, or the explicit permission for insecure transport",
        config->listen);
}

gboolean
clv_kms_server_check(const ClvKmsServerConfig *config, GError **error)
{
    g_autoptr(GInetSocketAddress) address = read_listen(config->listen, error);

    return address != NULL && check_exposure(address, config, error);
}

static struct MHD_Daemon *
start_daemon(ClvKmsServer *server, const ClvKmsServerConfig *config, int fd)
{
    guint connections =
        config->max_connections != 0 ? config->max_connections : DEFAULT_CONNECTIONS;
    guint threads = config->threads != 0 ? config->threads : DEFAULT_THREADS;
    /* poll, not epoll: with epoll libmicrohttpd 0.9.75 may abort in MHD_quiesce_daemon(), when one
     * of its own threads has taken the listening socket out of the set at the same moment */
    unsigned int flags =
        MHD_USE_POLL_INTERNAL_THREAD | MHD_USE_ITC | MHD_USE_ERROR_LOG | MHD_ALLOW_SUSPEND_RESUME;
    struct MHD_OptionItem tls[] = {
        {MHD_OPTION_HTTPS_MEM_CERT, 0, server->cert_pem},
        {MHD_OPTION_HTTPS_MEM_KEY, 0, server->key_pem},
        {MHD_OPTION_HTTPS_PRIORITIES, 0,
         (char *)"SECURE192:SECURE128:-VERS-ALL:+VERS-TLS1.3:"
                 "+VERS-TLS1.2"},
        {server->ca_pem != NULL ? MHD_OPTION_HTTPS_MEM_TRUST : MHD_OPTION_END, 0, server->ca_pem},
        {MHD_OPTION_END, 0, NULL},
    };
    struct MHD_OptionItem none[] = {{MHD_OPTION_END, 0, NULL}};

    if (server->cert_pem != NULL)
        flags |= MHD_USE_TLS;
    server->crowd = clv_kms_crowd_new(connections);
    server->cheap = clv_kms_rates_new();
    server->relays = clv_kms_relays_new(on_relayed);
    /* each thread has its share of the connections */
    threads = MIN(threads, connections);
    return MHD_start_daemon(
        flags, 0, NULL, NULL, on_request, server, MHD_OPTION_EXTERNAL_LOGGER, on_http_log, NULL,
        MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_NOTIFY_COMPLETED, on_completed, server,
        MHD_OPTION_NOTIFY_CONNECTION, on_connection, server, MHD_OPTION_CONNECTION_LIMIT,
        connections, MHD_OPTION_THREAD_POOL_SIZE, threads > 1 ? threads : 0u,
        MHD_OPTION_CONNECTION_TIMEOUT, IDLE_TIMEOUT_S, MHD_OPTION_ARRAY,
        server->cert_pem != NULL ? tls : none, MHD_OPTION_END);
}

static gboolean
open_server(ClvKmsServer *server, const ClvKmsServerConfig *config, GError **error)
{
    g_autoptr(GInetSocketAddress) address = read_listen(config->listen, error);
    g_autofree char *host = NULL;
    GInetAddress *ip;
    guint16 port = 0;
    int fd;

    if (address == NULL || !check_exposure(address, config, error) ||
        !read_certificate(server, config, error) || !read_client_ca(server, error))
        return FALSE;
    fd = open_socket(address, config->listen, &port, error);
    if (fd < 0)
        return FALSE;
    server->daemon = start_daemon(server, config, fd);
    if (server->daemon == NULL) {
        close(fd);
        return fail(error, "KMS server on %s: cannot start%s", config->listen,
                    server->cert_pem != NULL ? "; do certificate and key fit together?" : "");
    }
    ip = g_inet_socket_address_get_address(address);
    host = g_inet_address_to_string(ip);
    server->url = g_strdup_printf(
        g_inet_address_get_family(ip) == G_SOCKET_FAMILY_IPV6 ? "%s://[%s]:%u%s" : "%s://%s:%u%s",
        server->cert_pem != NULL ? "https" : "http", host, port, server->path);
    return TRUE;
}

static gboolean
open_audit(ClvKmsServer *server, GError **error)
{
    g_autofree char *path = clv_kms_service_audit_file(server->service);

    if (path != NULL)
        server->audit = clv_kms_audit_open(path, error);
    return path == NULL || server->audit != NULL;
}

ClvKmsServer *
clv_kms_server_new(const ClvKmsServerConfig *config, ClvKmsService *service, GError **error)
{
    g_autoptr(ClvKmsServer) server = NULL;
    guint8 seed[CLV_KMS_DIGEST_SEED];

    g_return_val_if_fail(config != NULL && config->listen != NULL && service != NULL, NULL);
    server = g_new0(ClvKmsServer, 1);
    server->service = service;
    if (!clv_random(NULL, seed, sizeof seed)) {
        fail(error, "KMS server: no random octets");
        return NULL;
    }
    server->digest = clv_kms_digest_new(seed);
    OPENSSL_cleanse(seed, sizeof seed);
    server->path = g_strdup(config->path != NULL ? config->path : DEFAULT_PATH);
    server->log = config->log;
    server->log_user = config->log_user;
    if (!open_audit(server, error) || !open_server(server, config, error))
        return NULL;
    start_tender(server);
    return g_steal_pointer(&server);
}

/* Nobody comes in any more, and those whose request is under way get their answer. */
static void
stop_daemon(ClvKmsServer *server)
{
    int fd = MHD_quiesce_daemon(server->daemon);

    if (fd >= 0)
        close(fd);
    clv_kms_crowd_settle(server->crowd, g_get_monotonic_time() + STOP_TIMEOUT_US);
    clv_kms_relays_stop(server->relays); /* nobody may be suspended when the daemon stops, */
    clv_kms_crowd_settle(server->crowd,
                         g_get_monotonic_time() + STOP_ANSWER_US); /* and each told */
    MHD_stop_daemon(server->daemon);
}

void
clv_kms_server_free(ClvKmsServer *server)
{
    if (server == NULL)
        return;
    if (server->daemon != NULL)
        stop_daemon(server);
    stop_tender(server);
    clv_kms_audit_close(server->audit);
    clv_kms_relays_free(server->relays);
    clv_kms_crowd_free(server->crowd);
    clv_kms_digest_free(server->digest);
    if (server->cheap != NULL)
        clv_kms_rates_free(server->cheap);
    clv_secret_free_string(server->cert_pem);
    clv_secret_free_string(server->key_pem);
    g_free(server->ca_pem);
    g_free(server->path);
    g_free(server->url);
    g_free(server);
}

const char *
clv_kms_server_url(const ClvKmsServer *server)
{
    return server->url;
}
