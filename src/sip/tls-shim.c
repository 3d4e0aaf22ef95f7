/* SPDX-License-Identifier: Apache-2.0 */
/* sip/tls-shim.c - what the packaged TLS transport lacks, in one place, each with its reason
 *
 * Sofia-SIP's TLS transport calls OpenSSL by these names, and the dynamic linker finds ours first.
 * They act on contexts that were made while connections are adopted (connections.h) and pass all
 * others through, so that libcurl and whoever else uses TLS in this process are untouched.
 *
 * | function                     | what Sofia does, and what we make of it                        |
 * |------------------------------|----------------------------------------------------------------|
 * | SSL_CTX_new                  | no minimum version, renegotiation allowed: TLS 1.2, none | |
 * SSL_CTX_use_certificate_file | sends the first certificate alone: the whole chain              |
 * | SSL_CTX_set_cipher_list      | CBC with SHA-1 allowed: AEAD suites with forward secrecy | |
 * SSL_CTX_set_verify           | client certificates demanded or not asked for: optional. And    |
 * |                              | a callback that calls any certificate verified: without it | |
 * SSL_read, SSL_accept,        | stale errors in the queue close the connection of an innocent:  |
 * | SSL_write, SSL_connect       | the queue is cleared first; who spoke is noted for the timers |
 * | SSL_shutdown                 | called where SSL_free is missing: 47 kB lost per connection | |
 * X509V3_EXT_get, _d2i,        | the names of a client certificate are read and never freed:     |
 * | SSL_get_verify_result        | kept from the one to the other, and freed there |
 */
#include "config.h"

#include "sip/connections.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#define DEFAULT_CIPHERS                                                                            \
    "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:ECDHE-ECDSA-CHACHA20-POLY1305:"     \
    "ECDHE-RSA-CHACHA20-POLY1305:ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256"

static int mark = -1; /* ex_data index of adopted contexts */

/* Between a handshake of ours and SSL_get_verify_result() Sofia looks at the peer's names. */
static __thread struct {
    gboolean looking;
    GENERAL_NAMES *decoded;
    STACK_OF(CONF_VALUE) * listed;
} names;

static gboolean
is_ours(const SSL_CTX *ctx)
{
    return mark >= 0 && SSL_CTX_get_ex_data(ctx, mark) != NULL;
}

CLV_STANDS_BEFORE SSL_CTX *
SSL_CTX_new(const SSL_METHOD *method)
{
    SSL_CTX *(*real)(const SSL_METHOD *);
    static const char adopted[] = "adopted";
    SSL_CTX *ctx;

    CLV_FIND_REAL(real, "SSL_CTX_new");
    ctx = real(method);
    if (ctx == NULL || clv_connections_adopting() == NULL)
        return ctx;

    if (mark < 0)
        mark = SSL_CTX_get_ex_new_index(0, NULL, NULL, NULL, NULL);
    SSL_CTX_set_ex_data(ctx, mark, (void *)adopted);
    SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION);
    SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
                                 SSL_OP_CIPHER_SERVER_PREFERENCE);
    SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS); /* idle connections are cheap */
    return ctx;
}

CLV_STANDS_BEFORE int
SSL_CTX_use_certificate_file(SSL_CTX *ctx, const char *file, int type)
{
    int (*real)(SSL_CTX *, const char *, int);

    CLV_FIND_REAL(real, "SSL_CTX_use_certificate_file");
    if (is_ours(ctx) && type == SSL_FILETYPE_PEM)
        return SSL_CTX_use_certificate_chain_file(ctx, file);
    return real(ctx, file, type);
}

CLV_STANDS_BEFORE int
SSL_CTX_set_cipher_list(SSL_CTX *ctx, const char *list)
{
    int (*real)(SSL_CTX *, const char *);
    const ClvTlsWishes *wishes = clv_connections_adopting();

    CLV_FIND_REAL(real, "SSL_CTX_set_cipher_list");
    if (is_ours(ctx) && wishes != NULL)
        list = wishes->ciphers != NULL ? wishes->ciphers : DEFAULT_CIPHERS;
    return real(ctx, list);
}

/* Sofia's callback clears errors, and then tport_is_verified() says yes to any certificate, also of
 * a server that we called and that calls us back on the same connection. Without it the result is
 * what OpenSSL found; a certificate that was given and is wrong ends the handshake. */
CLV_STANDS_BEFORE void
SSL_CTX_set_verify(SSL_CTX *ctx, int mode, SSL_verify_cb callback)
{
    void (*real)(SSL_CTX *, int, SSL_verify_cb);
    const ClvTlsWishes *wishes = clv_connections_adopting();

    CLV_FIND_REAL(real, "SSL_CTX_set_verify");
    if (is_ours(ctx) && wishes != NULL)
        real(ctx, wishes->ask_client_cert ? mode | SSL_VERIFY_PEER : mode, NULL);
    else
        real(ctx, mode, callback);
}

static gboolean
is_our_connection(const SSL *ssl)
{
    return is_ours(SSL_get_SSL_CTX(ssl));
}

CLV_STANDS_BEFORE int
SSL_accept(SSL *ssl)
{
    int (*real)(SSL *);
    int result;

    CLV_FIND_REAL(real, "SSL_accept");
    if (!is_our_connection(ssl))
        return real(ssl);

    ERR_clear_error();
    clv_connections_is_tls(SSL_get_fd(ssl));
    result = real(ssl);
    names.looking = result == 1 && SSL_get0_peer_certificate(ssl) != NULL;
    return result;
}

CLV_STANDS_BEFORE int
SSL_connect(SSL *ssl)
{
    int (*real)(SSL *);
    int result;

    CLV_FIND_REAL(real, "SSL_connect");
    if (!is_our_connection(ssl))
        return real(ssl);

    ERR_clear_error();
    SSL_set_verify(ssl, SSL_VERIFY_PEER, NULL); /* whom we call must prove who he is */
    result = real(ssl);
    names.looking = result == 1 && SSL_get0_peer_certificate(ssl) != NULL;
    return result;
}

CLV_STANDS_BEFORE int
SSL_read(SSL *ssl, void *buffer, int len)
{
    int (*real)(SSL *, void *, int);
    int n;

    CLV_FIND_REAL(real, "SSL_read");
    if (!is_our_connection(ssl))
        return real(ssl, buffer, len);

    ERR_clear_error();
    n = real(ssl, buffer, len);
    if (n > 0)
        clv_connections_spoke(SSL_get_fd(ssl));
    return n;
}

CLV_STANDS_BEFORE int
SSL_write(SSL *ssl, const void *buffer, int len)
{
    int (*real)(SSL *, const void *, int);

    CLV_FIND_REAL(real, "SSL_write");
    if (is_our_connection(ssl))
        ERR_clear_error();
    return real(ssl, buffer, len);
}

/* ---- names in certificates ---- */

static void
free_names(void)
{
    GENERAL_NAMES_free(names.decoded);
    sk_CONF_VALUE_pop_free(names.listed, X509V3_conf_free);
    names.decoded = NULL;
    names.listed = NULL;
}

static X509V3_EXT_I2V list_names;

static STACK_OF(CONF_VALUE) *
    keep_list(const X509V3_EXT_METHOD *method, void *decoded, STACK_OF(CONF_VALUE) * list)
{
    names.listed = list_names(method, decoded, list);
    return names.listed;
}

CLV_STANDS_BEFORE const X509V3_EXT_METHOD *
X509V3_EXT_get(X509_EXTENSION *extension)
{
    const X509V3_EXT_METHOD *(*real)(X509_EXTENSION *);
    static X509V3_EXT_METHOD ours;
    const X509V3_EXT_METHOD *theirs;

    CLV_FIND_REAL(real, "X509V3_EXT_get");
    theirs = real(extension);
    if (!names.looking || theirs == NULL || theirs->ext_nid != NID_subject_alt_name)
        return theirs;

    list_names = theirs->i2v;
    ours = *theirs;
    ours.i2v = keep_list;
    return &ours;
}

CLV_STANDS_BEFORE void *
X509V3_EXT_d2i(X509_EXTENSION *extension)
{
    void *(*real)(X509_EXTENSION *);

    CLV_FIND_REAL(real, "X509V3_EXT_d2i");
    if (!names.looking || OBJ_obj2nid(X509_EXTENSION_get_object(extension)) != NID_subject_alt_name)
        return real(extension);

    free_names(); /* of an extension before this one */
    names.decoded = real(extension);
    return names.decoded;
}

CLV_STANDS_BEFORE long
SSL_get_verify_result(const SSL *ssl)
{
    long (*real)(const SSL *);

    CLV_FIND_REAL(real, "SSL_get_verify_result");
    if (names.looking && is_our_connection(ssl)) {
        free_names();
        names.looking = FALSE;
    }
    return real(ssl);
}

/* Sofia goes on with SSL_CTX_free() and BIO_free(), which take the references that the SSL holds:
 * they get some of their own, and the SSL is freed here. */
CLV_STANDS_BEFORE int
SSL_shutdown(SSL *ssl)
{
    int (*real)(SSL *);
    BIO *bio;

    CLV_FIND_REAL(real, "SSL_shutdown");
    if (!is_our_connection(ssl))
        return real(ssl);

    ERR_clear_error();
    if (SSL_is_init_finished(ssl))
        real(ssl);
    bio = SSL_get_rbio(ssl);
    SSL_CTX_up_ref(SSL_get_SSL_CTX(ssl));
    if (bio != NULL)
        BIO_up_ref(bio);
    SSL_free(ssl);
    ERR_clear_error();
    return 1;
}

gboolean
clv_tls_shim_in_place(void)
{
    return dlsym(RTLD_DEFAULT, "SSL_CTX_new") == (void *)SSL_CTX_new &&
           dlsym(RTLD_DEFAULT, "SSL_shutdown") == (void *)SSL_shutdown;
}
