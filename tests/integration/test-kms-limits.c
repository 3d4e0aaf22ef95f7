/* SPDX-License-Identifier: Apache-2.0 */
/* Does the KMS know who asks, keep its limits and its records, and stop without losing a request?
 *
 * Over real sockets on loopback, with libcurl as the other side.
 */
#include "config.h"

#include <arpa/inet.h>
#include <curl/curl.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <glib/gstdio.h>

#include "kms/audit.h"
#include "kms/crowd.h"
#include "kms/digest.h"
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
    const char *cert, *key; /* (nullable) PEM: HTTPS */
    CURL *curl;             /* keeps its connection */
} Kms;

static void
kms_start(Kms *kms, const char *extra, guint max_connections)
{
    g_autofree char *text = parties_key_file(extra);
    g_autoptr(GPtrArray) errors = g_ptr_array_new_with_free_func(g_free);
    ClvKmsServerConfig config = {
        .listen = "127.0.0.1:0",
        .max_connections = max_connections,
        .cert_file = kms->cert,
        .key_file = kms->key,
    };
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

/* The head of a request for a ticket has been taken. Returns: where the body goes */
static int
begin_request(const Kms *kms, gsize len)
{
    g_autofree char *head =
        g_strdup_printf("POST /keymanagement?requesttype=ticketrequest HTTP/1.1\r\nHost: x\r\n"
                        "Content-Type: application/mikey\r\nExpect: 100-continue\r\n"
                        "Content-Length: %" G_GSIZE_FORMAT "\r\n\r\n",
                        len);
    char answer[64] = "";
    int fd = connect_to(kms);

    g_assert_cmpint(send(fd, head, strlen(head), 0), ==, (gssize)strlen(head));
    g_assert_cmpint(recv(fd, answer, sizeof answer - 1, 0), >, 0); /* 100: it is under way */
    g_assert_true(g_str_has_prefix(answer, "HTTP/1.1 100"));
    return fd;
}

/* ---- HTTP Digest ---- */

static void
log_in(Kms *kms, const char *user, const char *key_of)
{
    MikeyKey psk = party_psk(key_of);
    g_autofree char *password = g_base64_encode(psk.bytes, psk.len);

    curl_easy_setopt(kms->curl, CURLOPT_HTTPAUTH, (long)CURLAUTH_DIGEST);
    curl_easy_setopt(kms->curl, CURLOPT_USERNAME, user);
    curl_easy_setopt(kms->curl, CURLOPT_PASSWORD, password);
}

static size_t
keep_challenge(char *data, size_t size, size_t n, void *user)
{
    g_autofree char *line = g_strndup(data, size * n);

    if (g_ascii_strncasecmp(line, "WWW-Authenticate:", 17) == 0)
        g_string_append(user, line);
    return size * n;
}

static void
test_digest(void)
{
    g_auto(Kms) kms = {0};
    g_autoptr(GString) challenge = g_string_new(NULL);
    guint8 first[2];

    kms_start(&kms, "http-auth = digest", 0);
    curl_easy_setopt(kms.curl, CURLOPT_HEADERFUNCTION, keep_challenge);
    curl_easy_setopt(kms.curl, CURLOPT_HEADERDATA, challenge);
    g_assert_cmpint(ask(&kms, "alice", ALICE, first), ==, 401);
    g_assert_nonnull(strstr(challenge->str, "Digest"));
    g_assert_nonnull(strstr(challenge->str, "realm=\"3GPP-bootstrapping@example.org\""));
    g_assert_nonnull(strstr(challenge->str, "qop=\"auth\""));
    curl_easy_setopt(kms.curl, CURLOPT_HEADERFUNCTION, NULL);
    curl_easy_setopt(kms.curl, CURLOPT_HEADERDATA, NULL);

    log_in(&kms, "alice", "alice");
    for (guint i = 0; i < 20; i++) /* one nonce, counted on, whichever thread serves */
        assert_ticket(&kms, "alice", ALICE);
    log_in(&kms, "alice", "bob");
    g_assert_cmpint(ask(&kms, "alice", ALICE, first), ==, 401);
    log_in(&kms, "mallory", "alice");
    g_assert_cmpint(ask(&kms, "alice", ALICE, first), ==, 401);
    log_in(&kms, "bob", "bob"); /* himself, but with alice's message */
    g_assert_cmpint(ask(&kms, "alice", ALICE, first), ==, 403);
    g_assert_cmpuint(first[1], ==, MIKEY_ERROR);
    assert_ticket(&kms, "bob", BOB);
}

/* The nonce of a challenge. (transfer full) */
static char *
nonce_of(Kms *kms)
{
    g_autoptr(GString) challenge = g_string_new(NULL);
    guint8 first[2];
    char *nonce;

    curl_easy_setopt(kms->curl, CURLOPT_HEADERFUNCTION, keep_challenge);
    curl_easy_setopt(kms->curl, CURLOPT_HEADERDATA, challenge);
    g_assert_cmpint(ask(kms, "alice", ALICE, first), ==, 401);
    curl_easy_setopt(kms->curl, CURLOPT_HEADERFUNCTION, NULL);
    curl_easy_setopt(kms->curl, CURLOPT_HEADERDATA, NULL);
    nonce = strstr(challenge->str, "nonce=\"");
    g_assert_nonnull(nonce);
    nonce += strlen("nonce=\"");
    return g_strndup(nonce, strcspn(nonce, "\""));
}

/* Otherwise answers to nonces of tomorrow could be collected today. */
static void
test_nonces_are_of_this_start(void)
{
    const guint8 seed[CLV_KMS_DIGEST_SEED] = {1}, other[CLV_KMS_DIGEST_SEED] = {2};
    ClvKmsDigest *ours = clv_kms_digest_new(seed), *theirs = clv_kms_digest_new(other);
    g_autofree char *challenge = clv_kms_digest_challenge(theirs, "r", FALSE, NOW_US);
    g_autofree char *mine = clv_kms_digest_challenge(ours, "r", FALSE, NOW_US);
    g_autofree char *again = clv_kms_digest_challenge(ours, "r", FALSE, NOW_US);

    g_assert_cmpstr(mine, !=, again);
    for (guint i = 0; i < 3; i++) {
        const char *at = strstr(i == 0 ? challenge : mine, "nonce=\"") + strlen("nonce=\"");
        g_autofree char *nonce = g_strndup(at, strcspn(at, "\""));
        char response[CLV_KMS_DIGEST_HEX + 1];
        ClvKmsClaim claim = {"u", "r", nonce, "/", "c", "00000001", response};
        gint64 late_us = i == 1 ? (CLV_KMS_DIGEST_LIFE_S + 1) * G_USEC_PER_SEC : 0;

        clv_kms_digest_response(&claim, "POST", "secret", response);
        g_assert_cmpint(clv_kms_digest_check(ours, &claim, "POST", "secret", NOW_US + late_us), ==,
                        i == 2 ? CLV_KMS_DIGEST_RIGHT : CLV_KMS_DIGEST_STALE);
    }
    clv_kms_digest_free(ours);
    clv_kms_digest_free(theirs);
}

static ClvKmsDigestVerdict
count(ClvKmsDigest *digest, const char *challenge, const char *nc)
{
    const char *at = strstr(challenge, "nonce=\"") + strlen("nonce=\"");
    g_autofree char *nonce = g_strndup(at, strcspn(at, "\""));
    char response[CLV_KMS_DIGEST_HEX + 1];
    ClvKmsClaim claim = {"u", "r", nonce, "/", "c", (char *)nc, response};

    clv_kms_digest_response(&claim, "POST", "secret", response);
    return clv_kms_digest_check(digest, &claim, "POST", "secret", NOW_US);
}

/* Over some connections counts overtake each other, and none counts twice, not even when its nonce
 * has made way for others. */
static void
test_no_count_counts_twice(void)
{
    static const struct {
        const char *nc;
        ClvKmsDigestVerdict verdict;
    } steps[] = {
        {"00000001", CLV_KMS_DIGEST_RIGHT}, {"00000001", CLV_KMS_DIGEST_STALE},
        {"00000003", CLV_KMS_DIGEST_RIGHT}, {"00000002", CLV_KMS_DIGEST_RIGHT},
        {"00000002", CLV_KMS_DIGEST_STALE}, {"00000000", CLV_KMS_DIGEST_STALE},
        {"0000004x", CLV_KMS_DIGEST_STALE}, {"00000042", CLV_KMS_DIGEST_RIGHT},
        {"00000003", CLV_KMS_DIGEST_STALE}, {"00000002", CLV_KMS_DIGEST_STALE},
        {"00000004", CLV_KMS_DIGEST_RIGHT}, {"ffffffff", CLV_KMS_DIGEST_RIGHT},
        {"00000042", CLV_KMS_DIGEST_STALE},
    };
    const guint8 seed[CLV_KMS_DIGEST_SEED] = {1};
    ClvKmsDigest *digest = clv_kms_digest_new(seed);
    g_autofree char *first = clv_kms_digest_challenge(digest, "r", FALSE, NOW_US - 2);

    for (guint i = 0; i < G_N_ELEMENTS(steps); i++) {
        g_test_message("step %u", i);
        g_assert_cmpint(count(digest, first, steps[i].nc), ==, steps[i].verdict);
    }
    for (guint i = 0; i < 5000; i++) {
        g_autofree char *other = clv_kms_digest_challenge(digest, "r", FALSE, NOW_US - 1);

        if (count(digest, other, "00000001") != CLV_KMS_DIGEST_RIGHT)
            break; /* made before one that has made way */
    }
    g_assert_cmpint(count(digest, first, "00000005"), ==, CLV_KMS_DIGEST_STALE);
    g_free(first);
    first = clv_kms_digest_challenge(digest, "r", FALSE, NOW_US);
    g_assert_cmpint(count(digest, first, "00000001"), ==, CLV_KMS_DIGEST_RIGHT);
    clv_kms_digest_free(digest);
}

/* RFC 2617 section 3.5 */
static void
test_claims_are_read(void)
{
#define MUFASA                                                                                     \
    "username=\"Mufasa\", realm=\"testrealm@host.com\", "                                          \
    "nonce=\"dcd98b7102dd2f0e8b11d0f600bfb0c093\", uri=\"/dir/index.html\", nc=00000001, "         \
    "cnonce=\"0a4f113b\", response=\"6629fae49393a05397450978507c4ef1\""
    static const char *const unreadable[] = {
        "",
        "Digest",
        "Digest ",
        "Basic dXNlcjpwYXNz",
        "Digestive " MUFASA ", qop=auth",
        "Digest " MUFASA,
        "Digest " MUFASA ", qop=auth-int",
        "Digest " MUFASA ", qop=auth, algorithm=SHA-256",
        "Digest " MUFASA ", qop=auth, username=\"Scar\"",
        "Digest " MUFASA ", qop=auth, opaque=\"no end",
        "Digest " MUFASA ", qop=auth, opaque=\"no end\\",
        "Digest " MUFASA ", qop=auth, =x",
        "Digest " MUFASA ", qop=auth, opaque \"x\"",
        "Digest username=\"Mufasa\", qop=auth",
    };
    char response[CLV_KMS_DIGEST_HEX + 1];
    g_autofree char *huge = g_strnfill(CLV_KMS_DIGEST_MAX, 'x');
    g_autofree char *too_long = g_strconcat("Digest " MUFASA ", qop=auth, opaque=", huge, NULL);
    ClvKmsClaim claim;

    g_assert_true(clv_kms_claim_parse(
        "digest  " MUFASA ",qop=auth,algorithm=\"md5\",\topaque=\"a\\\"\"", &claim));
    clv_kms_digest_response(&claim, "GET", "Circle Of Life", response);
    g_assert_cmpstr(response, ==, claim.response);
    g_assert_cmpstr(claim.user, ==, "Mufasa");
    clv_kms_claim_clear(&claim);
    for (guint i = 0; i < G_N_ELEMENTS(unreadable); i++) {
        g_test_message("%s", unreadable[i]);
        g_assert_false(clv_kms_claim_parse(unreadable[i], &claim));
    }
    g_assert_false(clv_kms_claim_parse(too_long, &claim));
}

#define REALM "3GPP-bootstrapping@example.org"

/* Asks with @claim, whose response is made here. Returns: HTTP status; 400: in, but the body is
 * none */
static long
claim_with(Kms *kms, ClvKmsClaim *claim, const char *password)
{
    char response[CLV_KMS_DIGEST_HEX + 1];
    g_autofree char *url = g_strconcat(kms->url, "?requesttype=ticketrequest", NULL);
    g_autoptr(GString) body = g_string_new(NULL);
    g_autofree char *header = NULL;
    struct curl_slist *headers = NULL;
    long status;

    clv_kms_digest_response(claim, "POST", password, response);
    header = g_strdup_printf("Authorization: Digest username=\"%s\",realm=\"%s\","
                             "nonce=\"%s\",uri=\"%s\",cnonce=\"c\",nc=00000001,qop=auth,"
                             "response=\"%s\"",
                             claim->user, claim->realm, claim->nonce, claim->uri, response);
    headers = curl_slist_append(NULL, "Content-Type: application/mikey");
    headers = curl_slist_append(headers, header);
    curl_easy_setopt(kms->curl, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(kms->curl, CURLOPT_POSTFIELDSIZE, 4L);
    curl_easy_setopt(kms->curl, CURLOPT_COPYPOSTFIELDS, "none");
    status = perform(kms, url, body);
    curl_easy_setopt(kms->curl, CURLOPT_HTTPHEADER, NULL);
    curl_slist_free_all(headers);
    return status;
}

/* What was proven for one resource is not good for another. */
static void
test_digest_is_for_its_uri(void)
{
    g_auto(Kms) kms = {0};
    g_autofree char *password = NULL;
    MikeyKey psk = party_psk("alice");
    static const struct {
        const char *uri;
        long status;
    } cases[] = {
        {"/keymanagement?requesttype=ticketrequest", 400}, /* in, and then the body is none */
        {"/keymanagement?requesttype=ticketresolve", 401},
        {"/keymanagement", 401},
        {"/other?requesttype=ticketrequest", 401},
    };

    kms_start(&kms, "http-auth = digest", 0);
    password = g_base64_encode(psk.bytes, psk.len);
    for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *nonce = nonce_of(&kms);
        ClvKmsClaim claim = {"alice", REALM, nonce, (char *)cases[i].uri, "c", "00000001", NULL};

        g_test_message("%s", cases[i].uri);
        g_assert_cmpint(claim_with(&kms, &claim, password), ==, cases[i].status);
    }
}

/* Nothing is kept for those who have no key, whatever password they think they have. */
static void
test_strangers_use_up_no_count(void)
{
    static const char *const passwords[] = {"", "nobody"};
    g_auto(Kms) kms = {0};
    g_autofree char *password = NULL, *nonce = NULL;
    MikeyKey psk = party_psk("alice");
    ClvKmsClaim claim = {"mallory", REALM,      NULL, "/keymanagement?requesttype=ticketrequest",
                         "c",       "00000001", NULL};

    kms_start(&kms, "http-auth = digest", 0);
    password = g_base64_encode(psk.bytes, psk.len);
    claim.nonce = nonce = nonce_of(&kms);
    for (guint i = 0; i < G_N_ELEMENTS(passwords); i++)
        g_assert_cmpint(claim_with(&kms, &claim, passwords[i]), ==, 401);
    claim.user = "alice";
    g_assert_cmpint(claim_with(&kms, &claim, password), ==, 400);
    g_assert_cmpint(claim_with(&kms, &claim, password), ==, 401); /* twice */
}

/* Several who begin in one second do not take each other for a replay, and strangers who ask for
 * challenges do not push out the nonces of those who have a key. */
static void
test_nonces_do_not_meet(void)
{
    static const char *const users[][2] = {{"alice", ALICE}, {"bob", BOB}};
    g_auto(Kms) kms = {0};
    Kms guests[20];
    g_autoptr(GString) seen = g_string_new(NULL);

    kms_start(&kms, "http-auth = digest", 0);
    for (guint i = 0; i < G_N_ELEMENTS(guests); i++) {
        guests[i] = (Kms){.url = kms.url, .curl = curl_easy_init()};
        log_in(&guests[i], users[i % 2][0], users[i % 2][0]);
        assert_ticket(&guests[i], users[i % 2][0], users[i % 2][1]);
    }
    for (guint i = 0; i < 64; i++)
        g_free(nonce_of(&kms));
    for (guint i = 0; i < G_N_ELEMENTS(guests); i++) {
        curl_easy_setopt(guests[i].curl, CURLOPT_HEADERFUNCTION, keep_challenge);
        curl_easy_setopt(guests[i].curl, CURLOPT_HEADERDATA, seen);
        assert_ticket(&guests[i], users[i % 2][0], users[i % 2][1]);
        curl_easy_cleanup(guests[i].curl);
    }
    g_assert_cmpstr(seen->str, ==, ""); /* nobody is challenged again */
}

static void
test_digest_ends_when_revoked(void)
{
    g_auto(Kms) kms = {0};
    g_autofree char *text = NULL, *changed = NULL;
    g_auto(GStrv) parts = NULL;
    g_autoptr(GPtrArray) errors = g_ptr_array_new_with_free_func(g_free);
    guint8 first[2];

    kms_start(&kms, "http-auth = digest\nhttp-host = kms.example.net", 0);
    log_in(&kms, "alice", "alice");
    assert_ticket(&kms, "alice", ALICE);
    text = parties_key_file("http-auth = digest");
    parts = g_strsplit(text, "[user alice]\n", 2);
    changed = g_strjoinv("[user alice]\nrevoked = yes\n", parts);
    clv_kms_service_reload(kms.service,
                           clv_kms_keyfile_parse("parties", changed, strlen(changed), errors));
    g_assert_cmpint(ask(&kms, "alice", ALICE, first), ==, 401);
}

/* ---- client certificates ---- */

typedef struct Pki {
    char *folder;
    EVP_PKEY *ca_key, *key;
    X509 *ca;
    char *ca_path, *key_path;
} Pki;

static char *
pki_write(const Pki *pki, const char *name, X509 *cert, EVP_PKEY *key)
{
    char *path = g_build_filename(pki->folder, name, NULL);
    FILE *file = fopen(path, "w");

    if (cert != NULL)
        g_assert_cmpint(PEM_write_X509(file, cert), ==, 1);
    else
        g_assert_cmpint(PEM_write_PrivateKey(file, key, NULL, NULL, 0, NULL, NULL), ==, 1);
    fclose(file);
    g_assert_cmpint(g_chmod(path, 0600), ==, 0);
    return path;
}

/* From an hour ago to @end_s from now. @names: (nullable) subject alternative names */
static X509 *
make_cert(EVP_PKEY *key, X509 *issuer, EVP_PKEY *issuer_key, const char *cn, const char *names,
          long end_s)
{
    X509 *cert = X509_new();
    X509V3_CTX context;

    X509_set_version(cert, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(cert), (long)g_random_int_range(1, G_MAXINT32));
    X509_gmtime_adj(X509_getm_notBefore(cert), -3600);
    X509_gmtime_adj(X509_getm_notAfter(cert), end_s);
    X509_NAME_add_entry_by_txt(X509_get_subject_name(cert), "CN", MBSTRING_ASC,
                               (const unsigned char *)cn, -1, -1, 0);
    X509_set_issuer_name(cert, X509_get_subject_name(issuer != NULL ? issuer : cert));
    X509_set_pubkey(cert, key);
    X509V3_set_ctx(&context, issuer != NULL ? issuer : cert, cert, NULL, NULL, 0);
    if (issuer == NULL)
        names = NULL;
    for (guint i = 0; i < 2; i++) {
        const char *value = i == 0 ? (issuer == NULL ? "CA:TRUE" : "CA:FALSE") : names;
        X509_EXTENSION *extension =
            value != NULL
                ? X509V3_EXT_conf_nid(NULL, &context,
                                      i == 0 ? NID_basic_constraints : NID_subject_alt_name, value)
                : NULL;

        if (extension != NULL)
            X509_add_ext(cert, extension, -1);
        X509_EXTENSION_free(extension);
    }
    g_assert_cmpint(X509_sign(cert, issuer_key, EVP_sha256()), >, 0);
    return cert;
}

static void
pki_open(Pki *pki, gconstpointer unused)
{
    pki->folder = g_dir_make_tmp("kms-pki-XXXXXX", NULL);
    pki->ca_key = EVP_EC_gen("P-256");
    pki->key = EVP_EC_gen("P-256");
    pki->ca = make_cert(pki->ca_key, NULL, pki->ca_key, "CA", NULL, 3600);
    pki->ca_path = pki_write(pki, "ca.pem", pki->ca, NULL);
    pki->key_path = pki_write(pki, "key.pem", NULL, pki->key);
}

static void
pki_close(Pki *pki, gconstpointer unused)
{
    g_autoptr(GDir) dir = g_dir_open(pki->folder, 0, NULL);
    const char *name;

    while ((name = g_dir_read_name(dir)) != NULL) {
        g_autofree char *path = g_build_filename(pki->folder, name, NULL);

        g_unlink(path);
    }
    g_rmdir(pki->folder);
    X509_free(pki->ca);
    EVP_PKEY_free(pki->ca_key);
    EVP_PKEY_free(pki->key);
    g_free(pki->folder);
    g_free(pki->ca_path);
    g_free(pki->key_path);
}

static char *
pki_cert(const Pki *pki, const char *file, const char *cn, const char *names, long end_s)
{
    X509 *cert = make_cert(pki->key, pki->ca, pki->ca_key, cn, names, end_s);
    char *path = pki_write(pki, file, cert, NULL);

    X509_free(cert);
    return path;
}

static void
show_cert(Kms *kms, const Pki *pki, const char *cert)
{
    curl_easy_setopt(kms->curl, CURLOPT_SSLCERT, cert);
    curl_easy_setopt(kms->curl, CURLOPT_SSLKEY, cert != NULL ? pki->key_path : NULL);
    curl_easy_setopt(kms->curl, CURLOPT_FRESH_CONNECT, 1L);
}

/* @names is in the key file for alice, as [user alice] is its first group after [kms]. */
static void
kms_start_tls(Kms *kms, const Pki *pki, const char *auth, const char *cert)
{
    g_autofree char *extra = g_strdup_printf("http-auth = %s\nclient-ca = %s", auth, pki->ca_path);
    g_autofree char *text = NULL, *changed = NULL;
    g_auto(GStrv) parts = NULL;
    g_autoptr(GPtrArray) errors = g_ptr_array_new_with_free_func(g_free);

    kms->cert = cert;
    kms->key = pki->key_path;
    kms_start(kms, extra, 0);
    text = parties_key_file(extra);
    parts = g_strsplit(text, "[user alice]\n", 2);
    changed = g_strjoinv("[user alice]\ncertificate = " ALICE ";cn:alice phone\n", parts);
    clv_kms_service_reload(kms->service, clv_kms_keyfile_parse_in("parties", pki->folder, changed,
                                                                  strlen(changed), errors));
    curl_easy_setopt(kms->curl, CURLOPT_CAINFO, pki->ca_path);
}

static void
test_certificate(Pki *pki, gconstpointer unused)
{
    g_autofree char *server = pki_cert(pki, "server.pem", "kms", "IP:127.0.0.1", 3600);
    g_autofree char *by_uri = pki_cert(pki, "uri.pem", "x", "DNS:a,URI:" ALICE, 3600);
    g_autofree char *by_cn = pki_cert(pki, "cn.pem", "alice phone", NULL, 3600);
    g_autofree char *nobody = pki_cert(pki, "nobody.pem", "nobody", "URI:" BOB, 3600);
    g_autofree char *expired = pki_cert(pki, "expired.pem", "alice phone", NULL, -60);
    g_autofree char *posing = pki_cert(pki, "posing.pem", "x", "URI:cn:alice phone", 3600);
    X509 *own = make_cert(pki->key, NULL, pki->key, "alice phone", NULL, 3600);
    g_autofree char *forged = pki_write(pki, "forged.pem", own, NULL);
    const char *const refused[] = {NULL, nobody, expired, forged, posing};
    g_auto(Kms) kms = {0};
    guint8 first[2];

    X509_free(own);
    kms_start_tls(&kms, pki, "certificate", server);
    show_cert(&kms, pki, by_uri);
    assert_ticket(&kms, "alice", ALICE);
    show_cert(&kms, pki, by_cn);
    assert_ticket(&kms, "alice", ALICE);
    g_assert_cmpint(ask(&kms, "bob", BOB, first), ==, 403); /* bob's message, alice's TLS */
    g_assert_cmpuint(first[1], ==, MIKEY_ERROR);
    for (guint i = 0; i < G_N_ELEMENTS(refused); i++) {
        show_cert(&kms, pki, refused[i]);
        g_assert_cmpint(ask(&kms, "alice", ALICE, first), ==, 403);
        g_assert_cmpuint(first[0], !=, 1); /* no MIKEY message */
    }
}

static void
test_certificate_or_digest(Pki *pki, gconstpointer unused)
{
    g_autofree char *server = pki_cert(pki, "server.pem", "kms", "IP:127.0.0.1", 3600);
    g_autofree char *by_cn = pki_cert(pki, "cn.pem", "alice phone", NULL, 3600);
    g_auto(Kms) kms = {0};
    guint8 first[2];

    kms_start_tls(&kms, pki, "either", server);
    show_cert(&kms, pki, by_cn);
    assert_ticket(&kms, "alice", ALICE);
    show_cert(&kms, pki, NULL);
    g_assert_cmpint(ask(&kms, "bob", BOB, first), ==, 401);
    log_in(&kms, "bob", "bob");
    assert_ticket(&kms, "bob", BOB);
}

static void
test_tls_below_1_2_is_refused(Pki *pki, gconstpointer unused)
{
    g_autofree char *server = pki_cert(pki, "server.pem", "kms", "IP:127.0.0.1", 3600);
    g_auto(Kms) kms = {0};

    kms_start_tls(&kms, pki, "none", server);
    curl_easy_setopt(kms.curl, CURLOPT_URL, kms.url);
    curl_easy_setopt(kms.curl, CURLOPT_SSL_CIPHER_LIST, "ALL:@SECLEVEL=0");
    curl_easy_setopt(kms.curl, CURLOPT_SSLVERSION,
                     (long)(CURL_SSLVERSION_TLSv1_0 | CURL_SSLVERSION_MAX_TLSv1_1));
    g_assert_cmpint(curl_easy_perform(kms.curl), ==, CURLE_SSL_CONNECT_ERROR);
    curl_easy_setopt(kms.curl, CURLOPT_SSLVERSION,
                     (long)(CURL_SSLVERSION_TLSv1_2 | CURL_SSLVERSION_MAX_TLSv1_2));
    assert_ticket(&kms, "alice", ALICE);
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
    g_assert_nonnull(strstr(metrics, "conclave_kms_conferences 0\n"));
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

/* Whoever has no key must not fill the disk; and what is left out is counted. */
static void
test_audit_of_strangers(void)
{
    g_auto(Kms) kms = {0};
    g_autofree char *text = NULL, *path = NULL, *root = NULL, *nowhere = NULL, *metrics = NULL;
    guint n_told = 0, n_untold = 0;
    const guint n = 1500;

    kms_start(&kms, "audit-file = audit", 0);
    root = g_strndup(kms.url, strlen(kms.url) - strlen("/keymanagement"));
    nowhere = g_strconcat(root, "/nowhere", NULL);
    curl_easy_setopt(kms.curl, CURLOPT_HTTPGET, 1L);
    for (guint i = 0; i < n; i++) {
        g_autoptr(GString) body = g_string_new(NULL);

        g_assert_cmpint(perform(&kms, nowhere, body), ==, 404);
    }
    assert_ticket(&kms, "alice", ALICE); /* she has her line, whatever they do */
    metrics = get(&kms, "/metrics");
    g_assert_null(strstr(metrics, "conclave_kms_untold_total 0\n"));
    path = g_build_filename(kms.folder, "audit", NULL);
    clv_kms_server_free(g_steal_pointer(&kms.server)); /* writes what is still untold */
    g_assert_true(g_file_get_contents(path, &text, NULL, NULL));
    for (char *line = text; *line != '\0'; line = strchr(line, '\n') + 1) {
        const char *untold = strstr(line, " refusals without a line");
        const char *end = strchr(line, '\n');

        if (untold != NULL && untold < end) {
            while (g_ascii_isdigit(untold[-1]))
                untold--;
            n_untold += (guint)g_ascii_strtoull(untold, NULL, 10);
        } else if (g_strstr_len(line, end - line, "HTTP 404") != NULL) {
            n_told++;
        }
    }
    g_assert_cmpuint(n_told + n_untold, ==, n);
    g_assert_cmpuint(n_told, <, n);
    g_assert_nonnull(strstr(text, "\"user\":\"alice\""));
}

/* A disk that gets full */
static void
limit_files(rlim_t octets)
{
    struct rlimit limit = {octets, RLIM_INFINITY};

    signal(SIGXFSZ, SIG_IGN);
    g_assert_cmpint(setrlimit(RLIMIT_FSIZE, &limit), ==, 0);
}

/* What is cut off by a full disk is not what the next line goes on with, and no line is lost. */
static void
test_audit_on_a_full_disk(void)
{
    g_autofree char *folder = g_dir_make_tmp("kms-audit-XXXXXX", NULL);
    g_autofree char *path = g_build_filename(folder, "audit", NULL);
    g_autofree char *text = NULL;
    g_auto(GStrv) lines = NULL;
    g_autoptr(GError) error = NULL;
    g_autoptr(ClvKmsAudit) audit = clv_kms_audit_open(path, &error);
    ClvKmsDecision decision = {.user = "alice", .request = "request", .subject = "-"};
    struct stat info;

    g_assert_true(clv_kms_audit_write(audit, &decision, "x", NOW_US, &error));
    g_assert_cmpint(stat(path, &info), ==, 0);
    limit_files((rlim_t)info.st_size + 20);
    g_assert_false(clv_kms_audit_write(audit, &decision, "y", NOW_US, &error));
    g_assert_nonnull(strstr(error->message, path));
    g_clear_error(&error);
    g_assert_false(clv_kms_audit_write(audit, &decision, "yy", NOW_US, NULL));
    g_assert_false(clv_kms_audit_flush(audit, NULL));
    limit_files(RLIM_INFINITY);
    g_assert_true(clv_kms_audit_write(audit, &decision, "z", NOW_US, &error));
    g_assert_true(g_file_get_contents(path, &text, NULL, NULL));
    lines = g_strsplit(text, "\n", -1);
    g_assert_cmpuint(g_strv_length(lines), ==, 6); /* whole, half, three whole, and nothing */
    g_assert_true(g_str_has_suffix(lines[0], "}"));
    g_assert_nonnull(strstr(lines[2], "\"from\":\"y\""));
    g_assert_nonnull(strstr(lines[3], "\"from\":\"yy\""));
    g_assert_nonnull(strstr(lines[4], "\"from\":\"z\""));
    for (guint i = 2; i < 5; i++)
        g_assert_true(g_str_has_prefix(lines[i], "{") && g_str_has_suffix(lines[i], "}"));
    g_unlink(path);
    g_rmdir(folder);
}

/* Strangers may fill it up; who has proven to be somebody has his line still. */
static void
test_audit_has_room_for_who_is_known(void)
{
    g_autofree char *folder = g_dir_make_tmp("kms-audit-XXXXXX", NULL);
    g_autofree char *path = g_build_filename(folder, "audit", NULL);
    g_autofree char *text = NULL;
    g_autoptr(GError) error = NULL;
    g_autoptr(ClvKmsAudit) audit = clv_kms_audit_open(path, &error);
    ClvKmsDecision stranger = {.user = "-", .request = "http", .subject = "-"};
    ClvKmsDecision alice = {.user = "alice", .request = "request", .subject = "-"};
    guint n = 0;

    limit_files(0);
    while (clv_kms_audit_has_room(audit) && ++n < 100000)
        g_assert_false(clv_kms_audit_write(audit, &stranger, "x", NOW_US, NULL));
    g_assert_cmpuint(n, <, 100000);
    g_assert_false(clv_kms_audit_write(audit, &alice, "y", NOW_US, NULL));
    limit_files(RLIM_INFINITY);
    g_assert_true(clv_kms_audit_flush(audit, &error));
    g_assert_true(g_file_get_contents(path, &text, NULL, NULL));
    g_assert_nonnull(strstr(text, "\"user\":\"alice\",\"from\":\"y\""));
    g_unlink(path);
    g_rmdir(folder);
}

/* Nothing is granted until there is room, not even to who was on his way before. */
static void
test_full_disk_grants_nothing(void)
{
    g_auto(Kms) kms = {0};
    g_autofree char *text = NULL, *path = NULL;
    struct stat info;
    guint8 first[2];

    kms_start(&kms, "audit-file = audit", 0);
    assert_ticket(&kms, "alice", ALICE);
    path = g_build_filename(kms.folder, "audit", NULL);
    g_assert_cmpint(stat(path, &info), ==, 0);
    limit_files((rlim_t)info.st_size);
    g_assert_cmpint(ask(&kms, "bob", BOB, first), ==, 503);
    g_assert_cmpint(ask(&kms, "alice", ALICE, first), ==, 503);
    g_assert_cmpint(ask(&kms, "alice", ALICE, first), ==, 503);
    limit_files(RLIM_INFINITY);
    assert_ticket(&kms, "alice", ALICE);
    g_assert_true(g_file_get_contents(path, &text, NULL, NULL));
    g_assert_nonnull(strstr(text, "\"user\":\"bob\""));
    g_assert_nonnull(strstr(text, "HTTP 503: out of order"));
}

/* Who sends his head while there is room, and the rest when there is none, is not even looked at.
 */
static void
test_full_disk_and_a_slow_body(void)
{
    g_auto(Kms) kms = {0};
    g_autoptr(Wanted) wanted = wanted_new(BOB);
    g_autoptr(MikeyRequest) request = NULL;
    MikeyBytes octets;
    ClvKmsServiceState state;
    char answer[64] = "";
    guint8 first[2];
    int fd;

    kms_start(&kms, "audit-file = audit", 0);
    request = party_request("alice", ALICE, wanted, g_get_real_time());
    octets = mikey_request_octets(request);
    fd = begin_request(&kms, octets.len);
    limit_files(0);
    g_assert_cmpint(ask(&kms, "bob", BOB, first), ==, 503);
    g_assert_cmpint(send(fd, octets.data, octets.len, 0), ==, (gssize)octets.len);
    g_assert_cmpint(recv(fd, answer, sizeof answer - 1, 0), >, 0);
    limit_files(RLIM_INFINITY);
    g_assert_true(g_str_has_prefix(answer, "HTTP/1.1 503"));
    clv_kms_service_state(kms.service, &state);
    g_assert_cmpuint(state.granted, ==, 1); /* bob's */
    close(fd);
}

/* The refusals of who asks too often cost him nothing, and must not fill the disk either. */
static void
test_audit_of_who_asks_too_often(void)
{
    g_auto(Kms) kms = {0};
    g_autofree char *text = NULL, *path = NULL;
    guint n_lines = 0;
    guint8 first[2];

    kms_start(&kms, "audit-file = audit\nuser-rate = 1", 0);
    for (guint i = 0; i < 1000; i++)
        ask(&kms, "alice", ALICE, first);
    path = g_build_filename(kms.folder, "audit", NULL);
    clv_kms_server_free(g_steal_pointer(&kms.server));
    g_assert_true(g_file_get_contents(path, &text, NULL, NULL));
    for (const char *at = text; (at = strchr(at, '\n')) != NULL; at++)
        n_lines++;
    g_assert_cmpuint(n_lines, <, 1000);
    g_assert_nonnull(strstr(text, " refusals without a line"));
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
    MikeyBytes octets;
    GThread *thread;
    char answer[64] = "";
    ClvKmsServiceState state;
    int fd, fresh;

    kms_start(&kms, NULL, 0);
    request = party_request("alice", ALICE, wanted, g_get_real_time());
    octets = mikey_request_octets(request);
    fd = begin_request(&kms, octets.len);
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
    g_test_add_func("/kms-limits/digest", test_digest);
    g_test_add_func("/kms-limits/nonces-are-of-this-start", test_nonces_are_of_this_start);
    g_test_add_func("/kms-limits/no-count-counts-twice", test_no_count_counts_twice);
    g_test_add_func("/kms-limits/claims-are-read", test_claims_are_read);
    g_test_add_func("/kms-limits/digest-is-for-its-uri", test_digest_is_for_its_uri);
    g_test_add_func("/kms-limits/strangers-use-up-no-count", test_strangers_use_up_no_count);
    g_test_add_func("/kms-limits/nonces-do-not-meet", test_nonces_do_not_meet);
    g_test_add_func("/kms-limits/digest-ends-when-revoked", test_digest_ends_when_revoked);
    g_test_add("/kms-limits/certificate", Pki, NULL, pki_open, test_certificate, pki_close);
    g_test_add("/kms-limits/certificate-or-digest", Pki, NULL, pki_open, test_certificate_or_digest,
               pki_close);
    g_test_add("/kms-limits/tls-below-1.2-is-refused", Pki, NULL, pki_open,
               test_tls_below_1_2_is_refused, pki_close);
    g_test_add_func("/kms-limits/bucket", test_bucket);
    g_test_add_func("/kms-limits/user-rate", test_user_rate);
    g_test_add_func("/kms-limits/global-rate", test_global_rate);
    g_test_add_func("/kms-limits/metrics", test_metrics);
    g_test_add_func("/kms-limits/audit", test_audit);
    g_test_add_func("/kms-limits/audit-on-a-full-disk", test_audit_on_a_full_disk);
    g_test_add_func("/kms-limits/full-disk-grants-nothing", test_full_disk_grants_nothing);
    g_test_add_func("/kms-limits/full-disk-and-a-slow-body", test_full_disk_and_a_slow_body);
    g_test_add_func("/kms-limits/audit-has-room-for-who-is-known",
                    test_audit_has_room_for_who_is_known);
    g_test_add_func("/kms-limits/audit-of-who-asks-too-often", test_audit_of_who_asks_too_often);
    g_test_add_func("/kms-limits/audit-file", test_audit_file);
    g_test_add_func("/kms-limits/audit-of-strangers", test_audit_of_strangers);
    g_test_add_func("/kms-limits/silent-connections", test_silent_connections);
    g_test_add_func("/kms-limits/stop-answers-what-is-under-way",
                    test_stop_answers_what_is_under_way);
    return g_test_run();
}
