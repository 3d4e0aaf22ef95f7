/* SPDX-License-Identifier: Apache-2.0 */
/* kms/http.c - one MIKEY message to a KMS by HTTP and its answer back, under a deadline
 *
 * libcurl's multi interface with a single transfer in it: it keeps the connection between posts,
 * and another thread can wake it up to give up at once.
 */
#include "config.h"

#include "kms/http.h"

#include <curl/curl.h>
#include <gio/gio.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <string.h>
#include <unistd.h>

#include "kms/listing.h"
#include "kms/wire.h"

struct ClvKmsHttp {
    CURLM *multi;
    CURL *easy;
    struct curl_slist *headers;
    struct curl_slist *list_headers;
    char *urls[2]; /* by ClvKmsRequest */
    char *list_url;
    char *ca_file, *cert_file, *key_file;
    char **server_names; /* (nullable) */
    gboolean digest;
    gboolean binary_body;
    gint64 connect_ms;
    gint aborted; /* atomic */

    GByteArray *received; /* of the post under way */
    gboolean too_long;
    char message[CURL_ERROR_SIZE];
};

GQuark
clv_kms_error_quark(void)
{
    return g_quark_from_static_string("clv-kms-error");
}

/* ---- setting up ---- */

static gpointer
init_curl(gpointer unused)
{
    return GINT_TO_POINTER(curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK);
}

static gboolean
curl_ready(void)
{
    static GOnce once = G_ONCE_INIT;

    return GPOINTER_TO_INT(g_once(&once, init_curl, NULL));
}

static gboolean refuse(GError **error, const char *format, ...) G_GNUC_PRINTF(2, 3);

static gboolean
refuse(GError **error, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    g_propagate_error(error, g_error_new_valist(CLV_KMS_ERROR, CLV_CODE_INTERNAL, format, args));
    va_end(args);
    return FALSE;
}

/* @host: as it stands in the URL, IPv6 in brackets */
static gboolean
host_is_loopback(const char *host)
{
    g_autofree char *bare = NULL;
    g_autoptr(GInetAddress) address = NULL;

    if (g_ascii_strcasecmp(host, "localhost") == 0)
        return TRUE;

    bare = host[0] == '[' ? g_strndup(host + 1, strcspn(host + 1, "]")) : g_strdup(host);
    address = g_inet_address_new_from_string(bare);
    return address != NULL && g_inet_address_get_is_loopback(address);
}

static char *
url_part(CURLU *url, CURLUPart part)
{
    char *text = NULL;
    char *copy;

    if (curl_url_get(url, part, &text, 0) != CURLUE_OK)
        return NULL;
    copy = g_strdup(text);
    curl_free(text);
    return copy;
}

static gboolean
check_url_parts(CURLU *url, const char *text, gboolean allow_insecure, GError **error)
{
    g_autofree char *scheme = url_part(url, CURLUPART_SCHEME);
    g_autofree char *host = url_part(url, CURLUPART_HOST);
    g_autofree char *user = url_part(url, CURLUPART_USER);
    g_autofree char *fragment = url_part(url, CURLUPART_FRAGMENT);

    if (scheme == NULL || host == NULL || host[0] == '\0')
        return refuse(error, "found '%s' without scheme or host, expected https://HOST/PATH", text);
    if (user != NULL || fragment != NULL)
        return refuse(error, "found '%s', expected a URL without user name, password and fragment",
                      text);
    if (strcmp(scheme, "https") == 0)
        return TRUE;
    if (strcmp(scheme, "http") != 0)
        return refuse(error, "found '%s' with scheme '%s', expected https", text, scheme);
    if (!allow_insecure && !host_is_loopback(host))
        return refuse(error,
                      "found '%s', plain http to another machine, expected https, a loopback "
                      "address, or leave for it (allow-insecure=yes)",
                      text);
    return TRUE;
}

static gboolean
check_url(const char *text, gboolean allow_insecure, GError **error)
{
    CURLU *url = curl_url();
    gboolean good;

    if (url == NULL)
        return refuse(error, "out of memory");
    if (curl_url_set(url, CURLUPART_URL, text, 0) != CURLUE_OK)
        good = refuse(error, "found '%s', expected a URL such as https://HOST/PATH", text);
    else
        good = check_url_parts(url, text, allow_insecure, error);
    curl_url_cleanup(url);
    return good;
}

static gboolean
check_file(const char *what, const char *path, GError **error)
{
    if (path == NULL || access(path, R_OK) == 0)
        return TRUE;
    return refuse(error, "%s '%s': %s", what, path, g_strerror(errno));
}

static gboolean
check_config(const ClvKmsClientConfig *config, GError **error)
{
    if (config->url == NULL || config->url[0] == '\0')
        return refuse(error, "no KMS URL configured");
    if (config->key_file != NULL && config->cert_file == NULL)
        return refuse(error, "KMS client key '%s' without a certificate", config->key_file);
    return check_url(config->url, config->allow_insecure, error) &&
           check_file("KMS CA file", config->ca_file, error) &&
           check_file("KMS client certificate", config->cert_file, error) &&
           check_file("KMS client key", config->key_file, error);
}

static size_t
on_body(char *data, size_t size, size_t n, void *user)
{
    ClvKmsHttp *http = user;
    size_t len = size * n;

    if (len > CLV_KMS_MAX_BODY - http->received->len) {
        http->too_long = TRUE;
        return 0; /* ends the transfer */
    }
    g_byte_array_append(http->received, (const guint8 *)data, (guint)len);
    return len;
}

static void
restrict_protocols(CURL *easy)
{
#if LIBCURL_VERSION_NUM >= 0x075500
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
#else
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS, (long)(CURLPROTO_HTTP | CURLPROTO_HTTPS));
#endif
#if LIBCURL_VERSION_NUM >= 0x075700
    /* do not wait for the resolver's thread when giving up */
    curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L);
#endif
}

/* ---- the certificate of the KMS ---- */

static gboolean
is_wanted(const ClvKmsHttp *http, const char *prefix, const guint8 *name, gsize len)
{
    g_autofree char *text = NULL;

    if (len == 0 || memchr(name, '\0', len) != NULL)
        return FALSE;
    text = g_strdup_printf("%s%.*s", prefix, (int)len, (const char *)name);
    if (*prefix == '\0' && g_str_has_prefix(text, "cn:"))
        return FALSE; /* a URI that would pass for a common name */
    return g_strv_contains((const char *const *)http->server_names, text);
}

static gboolean
has_wanted_uri(const ClvKmsHttp *http, X509 *certificate)
{
    GENERAL_NAMES *names = X509_get_ext_d2i(certificate, NID_subject_alt_name, NULL, NULL);
    gboolean found = FALSE;

    for (int i = 0; i < sk_GENERAL_NAME_num(names) && !found; i++) {
        const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);

        if (name->type == GEN_URI)
            found = is_wanted(http, "", ASN1_STRING_get0_data(name->d.uniformResourceIdentifier),
                              (gsize)ASN1_STRING_length(name->d.uniformResourceIdentifier));
    }
    GENERAL_NAMES_free(names);
    return found;
}

/* The last one counts, as it does where users show theirs; there is but one in a sane certificate. */
static gboolean
has_wanted_common_name(const ClvKmsHttp *http, X509 *certificate)
{
    X509_NAME *subject = X509_get_subject_name(certificate);
    int at = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);
    const ASN1_STRING *name;

    if (at < 0)
        return FALSE;
    name = X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at));
    return is_wanted(http, "cn:", ASN1_STRING_get0_data(name), (gsize)ASN1_STRING_length(name));
}

static int http_index = -1;

/* After OpenSSL's own verdict on each certificate; the first of the chain has to have a name. */
static int
on_verify(int good, X509_STORE_CTX *store)
{
    const SSL *ssl = X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx());
    const ClvKmsHttp *http = SSL_CTX_get_ex_data(SSL_get_SSL_CTX(ssl), http_index);
    X509 *certificate = X509_STORE_CTX_get_current_cert(store);

    if (!good || X509_STORE_CTX_get_error_depth(store) != 0)
        return good;
    if (http != NULL && (has_wanted_uri(http, certificate) ||
                         has_wanted_common_name(http, certificate)))
        return 1;
    X509_STORE_CTX_set_error(store, X509_V_ERR_APPLICATION_VERIFICATION);
    return 0;
}

static CURLcode
on_tls(CURL *easy, void *tls, void *user)
{
    SSL_CTX_set_ex_data(tls, http_index, user);
    SSL_CTX_set_verify(tls, SSL_VERIFY_PEER, on_verify);
    return CURLE_OK;
}

static gpointer
init_index(gpointer unused)
{
    http_index = SSL_CTX_get_ex_new_index(0, NULL, NULL, NULL, NULL);
    return GINT_TO_POINTER(http_index >= 0);
}

/* A name that cannot be looked at must not pass as one that was. */
static gboolean
pin_names(ClvKmsHttp *http, const char *const *names, GError **error)
{
    static GOnce once = G_ONCE_INIT;

    if (names == NULL)
        return TRUE;
    http->server_names = g_strdupv((char **)names);
    if (GPOINTER_TO_INT(g_once(&once, init_index, NULL)) &&
        curl_easy_setopt(http->easy, CURLOPT_SSL_CTX_FUNCTION, on_tls) == CURLE_OK &&
        curl_easy_setopt(http->easy, CURLOPT_SSL_CTX_DATA, http) == CURLE_OK)
        return TRUE;
    return refuse(error, "this libcurl cannot look at the names of a certificate");
}

static void
set_options(ClvKmsHttp *http)
{
    CURL *easy = http->easy;

    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, http->message);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, http);
    /* the product token says that we can be challenged for a B-TID (TS 24.109) */
    curl_easy_setopt(easy, CURLOPT_USERAGENT,
                     http->digest ? PACKAGE_NAME "/" PACKAGE_VERSION " 3gpp-gba"
                                  : PACKAGE_NAME "/" PACKAGE_VERSION);
    curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(easy, CURLOPT_PROXY, ""); /* the environment has no say in where keys go */
    curl_easy_setopt(easy, CURLOPT_TCP_NODELAY, 1L);
    curl_easy_setopt(easy, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, 1L);
    curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 2L);
    restrict_protocols(easy);
    if (http->ca_file != NULL)
        curl_easy_setopt(easy, CURLOPT_CAINFO, http->ca_file);
    if (http->cert_file != NULL)
        curl_easy_setopt(easy, CURLOPT_SSLCERT, http->cert_file);
    if (http->cert_file != NULL)
        curl_easy_setopt(easy, CURLOPT_SSLKEY,
                         http->key_file != NULL ? http->key_file : http->cert_file);
}

static gboolean
set_digest(CURL *easy, const ClvKmsClientConfig *config)
{
    if (config->digest_user == NULL || config->digest_password == NULL)
        return FALSE;
    /* libcurl copies and never offers the password to anything but Digest */
    curl_easy_setopt(easy, CURLOPT_HTTPAUTH, (long)CURLAUTH_DIGEST);
    curl_easy_setopt(easy, CURLOPT_USERNAME, config->digest_user);
    curl_easy_setopt(easy, CURLOPT_PASSWORD, config->digest_password);
    return TRUE;
}

ClvKmsHttp *
clv_kms_http_new(const ClvKmsClientConfig *config, GError **error)
{
    g_autoptr(ClvKmsHttp) http = NULL;

    g_return_val_if_fail(config != NULL, NULL);
    if (!curl_ready()) {
        refuse(error, "libcurl cannot be set up");
        return NULL;
    }
    if (!check_config(config, error))
        return NULL;

    http = g_new0(ClvKmsHttp, 1);
    for (guint i = 0; i < G_N_ELEMENTS(http->urls); i++)
        http->urls[i] =
            g_strdup_printf("%s%crequesttype=%s", config->url, strchr(config->url, '?') ? '&' : '?',
                            clv_kms_request_type((ClvKmsRequest)i));
    http->list_url =
        g_strdup_printf("%s%crequesttype=" CLV_KMS_LIST_REQUEST, config->url,
                        strchr(config->url, '?') ? '&' : '?');
    http->ca_file = g_strdup(config->ca_file);
    http->cert_file = g_strdup(config->cert_file);
    http->key_file = g_strdup(config->key_file);
    http->binary_body = config->binary_body;
    http->connect_ms = config->connect_ms > 0 ? config->connect_ms : G_MAXINT32;
    http->received = g_byte_array_new();
    http->headers = curl_slist_append(NULL, "Content-Type: " CLV_KMS_MIME_TYPE);
    http->headers = curl_slist_append(http->headers, "Accept: " CLV_KMS_MIME_TYPE);
    http->headers = curl_slist_append(http->headers, "Expect:");
    http->list_headers = curl_slist_append(NULL, "Content-Type: " CLV_KMS_LIST_TYPE);
    http->list_headers = curl_slist_append(http->list_headers, "Expect:");
    http->multi = curl_multi_init();
    http->easy = curl_easy_init();
    if (http->multi == NULL || http->easy == NULL || http->headers == NULL) {
        refuse(error, "libcurl is out of memory");
        return NULL;
    }
    http->digest = set_digest(http->easy, config);
    set_options(http);
    if (!pin_names(http, config->server_names, error))
        return NULL;
    return g_steal_pointer(&http);
}

void
clv_kms_http_free(ClvKmsHttp *http)
{
    if (http == NULL)
        return;
    if (http->easy != NULL)
        curl_easy_cleanup(http->easy);
    if (http->multi != NULL)
        curl_multi_cleanup(http->multi);
    curl_slist_free_all(http->headers);
    curl_slist_free_all(http->list_headers);
    g_free(http->list_url);
    for (guint i = 0; i < G_N_ELEMENTS(http->urls); i++)
        g_free(http->urls[i]);
    g_strfreev(http->server_names);
    g_free(http->ca_file);
    g_free(http->cert_file);
    g_free(http->key_file);
    g_byte_array_unref(http->received);
    g_free(http);
}

void
clv_kms_http_abort(ClvKmsHttp *http)
{
    g_atomic_int_set(&http->aborted, 1);
    curl_multi_wakeup(http->multi);
}

gboolean
clv_kms_http_aborted(const ClvKmsHttp *http)
{
    return g_atomic_int_get(&http->aborted) != 0;
}

/* ---- one exchange ---- */

static CURLcode
run(ClvKmsHttp *http)
{
    for (;;) {
        int running = 0;
        int n_left = 0;
        CURLMsg *done;

        if (clv_kms_http_aborted(http))
            return CURLE_ABORTED_BY_CALLBACK;
        if (curl_multi_perform(http->multi, &running) != CURLM_OK)
            return CURLE_FAILED_INIT;
        done = curl_multi_info_read(http->multi, &n_left);
        if (done != NULL)
            return done->data.result;
        if (curl_multi_poll(http->multi, NULL, 0, 1000, NULL) != CURLM_OK)
            return CURLE_FAILED_INIT;
    }
}

static CURLcode
run_until(ClvKmsHttp *http, gint64 deadline_us)
{
    gint64 left_ms = (deadline_us - g_get_monotonic_time() + 999) / 1000;
    CURLcode result;

    g_byte_array_set_size(http->received, 0);
    http->too_long = FALSE;
    http->message[0] = '\0';
    if (left_ms <= 0)
        return CURLE_OPERATION_TIMEDOUT;

    curl_easy_setopt(http->easy, CURLOPT_TIMEOUT_MS, (long)left_ms);
    curl_easy_setopt(http->easy, CURLOPT_CONNECTTIMEOUT_MS, (long)MIN(left_ms, http->connect_ms));
    if (curl_multi_add_handle(http->multi, http->easy) != CURLM_OK)
        return CURLE_FAILED_INIT;
    result = run(http);
    curl_multi_remove_handle(http->multi, http->easy);
    return result;
}

/* The connection was not there or went away: the same octets may be sent once more, since a KMS
 * answers a byte-identical message with the answer it gave before. */
static gboolean
is_reset(CURLcode result)
{
    return result == CURLE_COULDNT_CONNECT || result == CURLE_SEND_ERROR ||
           result == CURLE_RECV_ERROR || result == CURLE_GOT_NOTHING;
}

static CURLcode
run_with_retry(ClvKmsHttp *http, gint64 deadline_us)
{
    CURLcode result = run_until(http, deadline_us);

    if (!is_reset(result))
        return result;
    curl_easy_setopt(http->easy, CURLOPT_FRESH_CONNECT, 1L);
    result = run_until(http, deadline_us);
    curl_easy_setopt(http->easy, CURLOPT_FRESH_CONNECT, 0L);
    return result;
}

/* ---- what came back ---- */

/* HTTP statuses that say something by themselves; all others without a MIKEY body are an outage */
static const struct StatusMeaning {
    long status;
    ClvCode code;
    const char *sentence;
} status_meanings[] = {
    {401, CLV_CODE_INTERNAL, "the KMS asks for credentials (HTTP 401)"},
    {403, CLV_CODE_FORBIDDEN, "the KMS forbids it (HTTP 403)"},
    {429, CLV_CODE_KMS_DOWN, "the KMS is asked too often (HTTP 429)"},
    {503, CLV_CODE_KMS_DOWN, "the KMS is overloaded or in maintenance (HTTP 503)"},
};

static ClvCode
judge_status(long status, const char *content_type, char **out_detail)
{
    for (guint i = 0; i < G_N_ELEMENTS(status_meanings); i++) {
        if (status_meanings[i].status != status)
            continue;
        *out_detail = g_strdup(status_meanings[i].sentence);
        return status_meanings[i].code;
    }
    *out_detail = g_strdup_printf(
        "the KMS answered HTTP %ld with a body of type '%.60s', expected " CLV_KMS_MIME_TYPE,
        status, content_type != NULL ? content_type : "none");
    return CLV_CODE_KMS_TIMEOUT;
}

static ClvCode
judge_answer(ClvKmsHttp *http, GByteArray **out_body, char **out_detail)
{
    long status = 0;
    char *content_type = NULL;
    GByteArray *body;

    curl_easy_getinfo(http->easy, CURLINFO_RESPONSE_CODE, &status);
    curl_easy_getinfo(http->easy, CURLINFO_CONTENT_TYPE, &content_type);
    if (!clv_kms_type_is_mikey(content_type))
        return judge_status(status, content_type, out_detail);

    body = clv_kms_body_decode(http->received->data, http->received->len, NULL);
    if (body == NULL) {
        *out_detail = g_strdup_printf("the KMS answered HTTP %ld with %u octets that are no MIKEY "
                                      "message, neither raw nor in base64",
                                      status, http->received->len);
        return CLV_CODE_KMS_TIMEOUT;
    }
    *out_body = body;
    return CLV_CODE_OK;
}

static ClvCode
judge_failure(ClvKmsHttp *http, CURLcode result, char **out_detail)
{
    const char *why = http->message[0] != '\0' ? http->message : curl_easy_strerror(result);

    if (http->too_long)
        *out_detail =
            g_strdup_printf("the KMS answered with more than %u octets", CLV_KMS_MAX_BODY);
    else if (result == CURLE_OPERATION_TIMEDOUT)
        *out_detail = g_strdup_printf("the KMS did not answer in time: %s", why);
    else if (result == CURLE_ABORTED_BY_CALLBACK)
        *out_detail = g_strdup("the request was given up");
    else
        *out_detail = g_strdup_printf("the KMS cannot be reached: %s", why);
    return CLV_CODE_KMS_TIMEOUT;
}

ClvCode
clv_kms_http_post(ClvKmsHttp *http, ClvKmsRequest request, const guint8 *bytes, gsize len,
                  gint64 deadline_us, GByteArray **out_body, char **out_detail)
{
    g_autofree char *text = http->binary_body ? NULL : g_base64_encode(bytes, len);
    CURLcode result;

    curl_easy_setopt(http->easy, CURLOPT_HTTPHEADER, http->headers);
    curl_easy_setopt(http->easy, CURLOPT_URL, http->urls[request]);
    curl_easy_setopt(http->easy, CURLOPT_POST, 1L);
    curl_easy_setopt(http->easy, CURLOPT_POSTFIELDSIZE, (long)(text ? strlen(text) : len));
    curl_easy_setopt(http->easy, CURLOPT_POSTFIELDS, text ? text : (const char *)bytes);

    result = run_with_retry(http, deadline_us);
    if (result != CURLE_OK)
        return judge_failure(http, result, out_detail);
    return judge_answer(http, out_body, out_detail);
}

/* ---- announcements ---- */

static ClvCode
judge_listing(ClvKmsHttp *http, char **out_detail)
{
    long status = 0;

    curl_easy_getinfo(http->easy, CURLINFO_RESPONSE_CODE, &status);
    if (status == 200)
        return CLV_CODE_OK;
    for (guint i = 0; i < http->received->len; i++) /* one line of plain text for the log */
        if (!g_ascii_isprint(http->received->data[i]))
            http->received->data[i] = ' ';
    if (status == 403 || status == 409) {
        *out_detail = g_strdup_printf("the KMS refuses the announcement (HTTP %ld): %.*s", status,
                                      (int)MIN(http->received->len, 160),
                                      (const char *)http->received->data);
        return CLV_CODE_FORBIDDEN;
    }
    if (status == 400 || status == 404 || status == 415) {
        *out_detail = g_strdup_printf("the KMS knows no announcements (HTTP %ld)", status);
        return CLV_CODE_INTERNAL;
    }
    return judge_status(status, NULL, out_detail);
}

ClvCode
clv_kms_http_list(ClvKmsHttp *http, const guint8 *text, gsize len, gint64 deadline_us,
                  char **out_detail)
{
    CURLcode result;

    curl_easy_setopt(http->easy, CURLOPT_HTTPHEADER, http->list_headers);
    curl_easy_setopt(http->easy, CURLOPT_URL, http->list_url);
    curl_easy_setopt(http->easy, CURLOPT_POST, 1L);
    curl_easy_setopt(http->easy, CURLOPT_POSTFIELDSIZE, (long)len);
    curl_easy_setopt(http->easy, CURLOPT_POSTFIELDS, (const char *)text);
    result = run_with_retry(http, deadline_us);
    return result != CURLE_OK ? judge_failure(http, result, out_detail)
                              : judge_listing(http, out_detail);
}
