/* SPDX-License-Identifier: Apache-2.0 */
/* base/papers.c - certificates, their key, and whom to trust, out of PEM files */
#include "config.h"

#include "papers.h"

#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509_vfy.h>
#include <unistd.h>

#include "base/secret.h"

#define MAX_CHAIN 8
#define MAX_TRUSTED 256
#define MIN_RSA_BITS 2048

G_DEFINE_QUARK(clv - papers - error, clv_papers_error)

static gboolean
complain(GError **error, const char *path, const char *sentence)
{
    g_set_error(error, CLV_PAPERS_ERROR, 0, "%s: %s", path, sentence);
    return FALSE;
}

/* A password is never asked for. */
static int
no_password(char *buf, int size, int rwflag, void *user)
{
    return -1;
}

/* (element-type X509), at least one */
static GPtrArray *
read_certificates(const char *path, guint most, GError **error)
{
    GPtrArray *list = g_ptr_array_new_with_free_func((GDestroyNotify)X509_free);
    BIO *in;
    X509 *one;

    ERR_set_mark();
    in = BIO_new_file(path, "r");
    while (in != NULL && list->len <= most &&
           (one = PEM_read_bio_X509(in, NULL, no_password, NULL)) != NULL)
        g_ptr_array_add(list, one);
    ERR_pop_to_mark();
    BIO_free(in);
    if (in != NULL && list->len > 0 && list->len <= most)
        return list;

    complain(error, path,
             in == NULL       ? "cannot be opened, expected certificates in PEM"
             : list->len == 0 ? "found no certificate in PEM, expected one or more"
                              : "found more certificates than can be used");
    g_ptr_array_unref(list);
    return NULL;
}

static gboolean
is_private(const char *path, GError **error)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    gboolean sound;

    if (fd < 0)
        return complain(error, path, "cannot be opened, expected a private key in PEM");
    sound = clv_secret_check_mode(fd, path, error);
    close(fd);
    return sound;
}

static gboolean
read_own(ClvPapers *papers, const ClvPaperFiles *files, GError **error)
{
    GPtrArray *list = read_certificates(files->cert, MAX_CHAIN, error);
    BIO *in;

    if (list == NULL)
        return FALSE;
    papers->n_chain = list->len;
    g_ptr_array_set_free_func(list, NULL);
    papers->chain = (X509 **)g_ptr_array_free(list, FALSE);

    if (!is_private(files->key, error))
        return FALSE;
    ERR_set_mark();
    in = BIO_new_file(files->key, "r");
    if (in != NULL)
        papers->key = PEM_read_bio_PrivateKey(in, NULL, no_password, NULL);
    BIO_free(in);
    ERR_pop_to_mark();
    if (papers->key == NULL)
        return complain(error, files->key,
                        "found no private key in PEM without a password, expected one");
    if (!EVP_PKEY_is_a(papers->key, "RSA") || EVP_PKEY_get_bits(papers->key) < MIN_RSA_BITS)
        return complain(error, files->key,
                        "found another kind of key, expected RSA of 2048 bits or more (MIKEY has "
                        "no ECDSA)");
    ERR_set_mark();
    if (X509_check_private_key(papers->chain[0], papers->key) != 1) {
        ERR_pop_to_mark();
        return complain(error, files->key,
                        "found a key that does not belong to the first certificate, expected "
                        "its own");
    }
    ERR_pop_to_mark();
    return TRUE;
}

static gboolean
trust_certificates(ClvPapers *papers, const char *path, GError **error)
{
    GPtrArray *list = read_certificates(path, MAX_TRUSTED, error);

    if (list == NULL)
        return FALSE;
    for (guint i = 0; i < list->len; i++)
        X509_STORE_add_cert(papers->trust, list->pdata[i]);
    g_ptr_array_unref(list);
    return TRUE;
}

/* Who signs for users must have a list that is not old; those above count where they are there. */
static int
on_verify(int good, X509_STORE_CTX *ctx)
{
    if (good || X509_STORE_CTX_get_error(ctx) != X509_V_ERR_UNABLE_TO_GET_CRL ||
        X509_STORE_CTX_get_error_depth(ctx) == 0)
        return good;
    X509_STORE_CTX_set_error(ctx, X509_V_OK);
    return 1;
}

static gboolean
add_lists(ClvPapers *papers, const char *path, GError **error)
{
    guint n = 0;
    X509_CRL *crl;
    BIO *in;

    ERR_set_mark();
    in = BIO_new_file(path, "r");
    while (in != NULL && n < MAX_TRUSTED &&
           (crl = PEM_read_bio_X509_CRL(in, NULL, no_password, NULL)) != NULL) {
        X509_STORE_add_crl(papers->trust, crl);
        X509_CRL_free(crl);
        n++;
    }
    ERR_pop_to_mark();
    BIO_free(in);
    X509_STORE_set_flags(papers->trust, X509_V_FLAG_CRL_CHECK | X509_V_FLAG_CRL_CHECK_ALL);
    X509_STORE_set_verify_cb(papers->trust, on_verify);
    return n > 0 || complain(error, path, "found no revocation list in PEM, expected one or more");
}

static gboolean
read_others(ClvPapers *papers, const ClvPaperFiles *files, GError **error)
{
    papers->trust = X509_STORE_new();
    if (papers->trust == NULL)
        g_error("libcrypto has no certificate store");
    if (files->peer != NULL) {
        GPtrArray *list = read_certificates(files->peer, MAX_CHAIN, error);

        if (list == NULL)
            return FALSE;
        papers->peer = list->pdata[0];
        X509_up_ref(papers->peer);
        g_ptr_array_unref(list);
    }
    if (files->ca != NULL) {
        if (!trust_certificates(papers, files->ca, error))
            return FALSE;
    } else if (papers->peer != NULL) {
        X509_STORE_add_cert(papers->trust, papers->peer);
        X509_STORE_set_flags(papers->trust, X509_V_FLAG_PARTIAL_CHAIN);
    }
    return files->crl == NULL || add_lists(papers, files->crl, error);
}

ClvPapers *
clv_papers_load(const ClvPaperFiles *files, GError **error)
{
    ClvPapers *papers = g_new0(ClvPapers, 1);

    if (read_own(papers, files, error) && read_others(papers, files, error))
        return papers;
    clv_papers_free(papers);
    return NULL;
}

void
clv_papers_free(ClvPapers *papers)
{
    if (papers == NULL)
        return;
    EVP_PKEY_free(papers->key);
    for (gsize i = 0; i < papers->n_chain; i++)
        X509_free(papers->chain[i]);
    g_free(papers->chain);
    X509_free(papers->peer);
    X509_STORE_free(papers->trust);
    g_free(papers);
}
