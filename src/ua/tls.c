/* SPDX-License-Identifier: Apache-2.0 */
/* ua/tls.c - SSL_connect() as Sofia sees it
 *
 * The dynamic linker binds the library's calls of SSL_CTX_new(), SSL_connect() and SSL_shutdown()
 * to the ones below, which belong to the program. Only contexts that were marked are treated
 * differently.
 */
#include "ua/tls.h"

#include <dlfcn.h>
#include <errno.h>
#include <glib/gstdio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509_vfy.h>
#include <openssl/x509v3.h>
#include <string.h>

G_DEFINE_QUARK(clv_ua_tls_error, clv_ua_tls_error)

/* One phone, one process: there is one of these. */
static struct {
    char *dir;
    char *host;
    gboolean insecure;
    gboolean marking;
    SSL_CTX *marked[4];
    X509_STORE *trusted;
    ClvUaTlsFailed failed;
    void *user;
} tls;

static gboolean
is_marked(const SSL_CTX *ctx)
{
    for (guint i = 0; i < G_N_ELEMENTS(tls.marked); i++)
        if (ctx != NULL && tls.marked[i] == ctx)
            return TRUE;
    return FALSE;
}

static void
mark(SSL_CTX *ctx)
{
    for (guint i = 0; i < G_N_ELEMENTS(tls.marked); i++)
        if (tls.marked[i] == NULL) {
            SSL_CTX_up_ref(ctx);
            tls.marked[i] = ctx;
            return;
        }
}

/* What the program defines here is what libsofia-sip-ua finds. */
#define EXPORTED __attribute__((visibility("default")))

EXPORTED SSL_CTX *SSL_CTX_new(const SSL_METHOD *method);
EXPORTED int SSL_connect(SSL *ssl);
EXPORTED int SSL_shutdown(SSL *ssl);
EXPORTED X509 *SSL_get1_peer_certificate(const SSL *ssl);

EXPORTED SSL_CTX *
SSL_CTX_new(const SSL_METHOD *method)
{
    static SSL_CTX *(*real)(const SSL_METHOD *);
    SSL_CTX *ctx;

    if (real == NULL)
        *(void **)&real = dlsym(RTLD_NEXT, "SSL_CTX_new");
    ctx = real(method);
    if (ctx != NULL && tls.marking) {
        SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION);
        mark(ctx);
    }
    return ctx;
}

/* Given in so many words: without one, Sofia's own stays in force, which is content with all. */
static int
keep_verdict(int good, X509_STORE_CTX *context)
{
    return good;
}

static void
expect_server(SSL *ssl)
{
    X509_VERIFY_PARAM *param = SSL_get0_param(ssl);

    if (tls.host != NULL && !g_hostname_is_ip_address(tls.host))
        SSL_set_tlsext_host_name(ssl, tls.host);
    if (tls.insecure)
        return;
    SSL_set1_verify_cert_store(ssl, tls.trusted);
    SSL_set_verify(ssl, SSL_VERIFY_PEER, keep_verdict);
    if (tls.host == NULL)
        return;
    if (g_hostname_is_ip_address(tls.host))
        X509_VERIFY_PARAM_set1_ip_asc(param, tls.host);
    else
        X509_VERIFY_PARAM_set1_host(param, tls.host, 0);
}

static void
tell_failure(SSL *ssl)
{
    long verdict = SSL_get_verify_result(ssl);
    char text[256];

    if (verdict != X509_V_OK)
        g_snprintf(text, sizeof text, "certificate of the server: %s",
                   X509_verify_cert_error_string(verdict));
    else
        ERR_error_string_n(ERR_peek_error(), text, sizeof text);
    if (tls.failed != NULL)
        tls.failed(text, tls.user);
}

EXPORTED int
SSL_connect(SSL *ssl)
{
    static int (*real)(SSL *);
    int result;

    if (real == NULL)
        *(void **)&real = dlsym(RTLD_NEXT, "SSL_connect");
    if (!is_marked(SSL_get_SSL_CTX(ssl)))
        return real(ssl);

    if (SSL_in_before(ssl))
        expect_server(ssl);
    ERR_clear_error();
    result = real(ssl);
    if (result != 1 && SSL_get_error(ssl, result) == SSL_ERROR_SSL)
        tell_failure(ssl);
    return result;
}

/* Sofia takes the names out of the certificate and forgets to free them. It has no need of them:
 * expect_server() has compared what there is to compare. */
EXPORTED X509 *
SSL_get1_peer_certificate(const SSL *ssl)
{
    static X509 *(*real)(const SSL *);

    if (real == NULL)
        *(void **)&real = dlsym(RTLD_NEXT, "SSL_get1_peer_certificate");
    return is_marked(SSL_get_SSL_CTX(ssl)) ? NULL : real(ssl);
}

/* Sofia forgets SSL_free() after it; it goes on with SSL_CTX_free() and BIO_free(), which take the
 * references that the SSL held. */
EXPORTED int
SSL_shutdown(SSL *ssl)
{
    static int (*real)(SSL *);
    SSL_CTX *ctx = SSL_get_SSL_CTX(ssl);

    if (real == NULL)
        *(void **)&real = dlsym(RTLD_NEXT, "SSL_shutdown");
    if (!is_marked(ctx))
        return real(ssl);

    ERR_clear_error();
    if (SSL_is_init_finished(ssl))
        real(ssl);
    SSL_CTX_up_ref(ctx);
    if (SSL_get_rbio(ssl) != NULL)
        BIO_up_ref(SSL_get_rbio(ssl));
    SSL_free(ssl);
    return 1;
}

/* Others may call us by TLS: that takes a certificate, even one that proves nothing. */
static char *
make_certificate(void)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *cert = X509_new();
    BIO *out = BIO_new(BIO_s_mem());
    char *text = NULL, *pem = NULL;
    long len;

    if (key == NULL || cert == NULL || out == NULL)
        goto done;
    X509_set_version(cert, X509_VERSION_3);
    ASN1_INTEGER_set(X509_get_serialNumber(cert), 1);
    X509_gmtime_adj(X509_getm_notBefore(cert), -3600);
    X509_gmtime_adj(X509_getm_notAfter(cert), 30L * 86400);
    X509_NAME_add_entry_by_txt(X509_get_subject_name(cert), "CN", MBSTRING_ASC,
                               (const unsigned char *)"conclave-ua", -1, -1, 0);
    X509_set_issuer_name(cert, X509_get_subject_name(cert));
    X509_set_pubkey(cert, key);
    if (X509_sign(cert, key, EVP_sha256()) > 0 &&
        PEM_write_bio_PrivateKey(out, key, NULL, NULL, 0, NULL, NULL) == 1 &&
        PEM_write_bio_X509(out, cert) == 1 && (len = BIO_get_mem_data(out, &text)) > 0)
        pem = g_strndup(text, (gsize)len);
done:
    X509_free(cert);
    EVP_PKEY_free(key);
    BIO_free(out);
    return pem;
}

static gboolean
fill_directory(const char *cert_file, GError **error)
{
    g_autofree char *agent = g_build_filename(tls.dir, "agent.pem", NULL);
    g_autofree char *cafile = g_build_filename(tls.dir, "cafile.pem", NULL);
    char *pem = NULL;
    gsize len = 0;
    gboolean good;

    if (cert_file != NULL) {
        if (!g_file_get_contents(cert_file, &pem, &len, error))
            return FALSE;
    } else {
        pem = make_certificate();
        len = pem != NULL ? strlen(pem) : 0;
    }
    good =
        pem != NULL &&
        g_file_set_contents_full(agent, pem, (gssize)len, G_FILE_SET_CONTENTS_NONE, 0600, error) &&
        g_file_set_contents_full(cafile, pem, (gssize)len, G_FILE_SET_CONTENTS_NONE, 0600, error);
    if (pem != NULL)
        OPENSSL_cleanse(pem, len);
    g_free(pem);
    return good;
}

static gboolean
load_trusted(const char *ca_file, GError **error)
{
    tls.trusted = X509_STORE_new();
    if (ca_file != NULL ? X509_STORE_load_file(tls.trusted, ca_file) == 1
                        : X509_STORE_set_default_paths(tls.trusted) == 1)
        return TRUE;
    g_set_error(error, CLV_UA_TLS_ERROR, 0, "%s: no certificates in it",
                ca_file != NULL ? ca_file : "the system's certificates");
    return FALSE;
}

char *
clv_ua_tls_begin(const char *host, const char *ca_file, const char *cert_file, gboolean insecure,
                 ClvUaTlsFailed failed, void *user, GError **error)
{
    clv_ua_tls_end();
    tls.host = g_strdup(host);
    tls.insecure = insecure;
    tls.failed = failed;
    tls.user = user;
    tls.dir = g_dir_make_tmp("conclave-ua-XXXXXX", error);
    if (tls.dir == NULL || !fill_directory(cert_file, error) ||
        (!insecure && !load_trusted(ca_file, error))) {
        clv_ua_tls_end();
        return NULL;
    }
    return g_strdup(tls.dir);
}

void
clv_ua_tls_mark(gboolean on)
{
    tls.marking = on;
}

void
clv_ua_tls_end(void)
{
    static const char *const names[] = {"agent.pem", "cafile.pem"};

    if (tls.dir != NULL) {
        for (guint i = 0; i < G_N_ELEMENTS(names); i++) {
            g_autofree char *path = g_build_filename(tls.dir, names[i], NULL);

            g_unlink(path);
        }
        g_rmdir(tls.dir);
    }
    for (guint i = 0; i < G_N_ELEMENTS(tls.marked); i++)
        SSL_CTX_free(tls.marked[i]);
    X509_STORE_free(tls.trusted);
    g_free(tls.dir);
    g_free(tls.host);
    memset(&tls, 0, sizeof tls);
}
