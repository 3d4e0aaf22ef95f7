/* SPDX-License-Identifier: Apache-2.0 */
/* kms-pki.c - a folder with certificates of two authorities, for tests over TLS */
#include "config.h"

#include "integration/kms-pki.h"

#include <glib/gstdio.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

static EVP_PKEY *ca_key, *rogue_key;
static X509 *ca, *rogue;
static char *folder;

static void
extend(X509 *cert, X509 *issuer, int nid, const char *value)
{
    X509V3_CTX context;
    X509_EXTENSION *extension;

    X509V3_set_ctx(&context, issuer, cert, NULL, NULL, 0);
    extension = X509V3_EXT_conf_nid(NULL, &context, nid, value);
    g_assert_nonnull(extension);
    X509_add_ext(cert, extension, -1);
    X509_EXTENSION_free(extension);
}

static X509 *
make_cert(EVP_PKEY *key, X509 *issuer, EVP_PKEY *issuer_key, const char *name, const char *san)
{
    X509 *cert = X509_new();
    X509_NAME *subject = X509_get_subject_name(cert);

    X509_set_version(cert, X509_VERSION_3);
    ASN1_INTEGER_set(X509_get_serialNumber(cert), g_random_int_range(1, G_MAXINT32));
    X509_gmtime_adj(X509_getm_notBefore(cert), -3600);
    X509_gmtime_adj(X509_getm_notAfter(cert), 3600);
    X509_set_pubkey(cert, key);
    X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC, (const guchar *)name, -1, -1, 0);
    X509_set_issuer_name(cert, issuer != NULL ? X509_get_subject_name(issuer) : subject);
    extend(cert, issuer != NULL ? issuer : cert,
           san != NULL ? NID_subject_alt_name : NID_basic_constraints,
           san != NULL ? san : "critical,CA:TRUE");
    g_assert_cmpint(X509_sign(cert, issuer_key, EVP_sha256()), >, 0);
    return cert;
}

char *
pki_path(const char *name)
{
    return g_build_filename(folder, name, NULL);
}

/* The key in the same file. */
static void
write_pem(const char *name, X509 *cert, EVP_PKEY *key)
{
    g_autofree char *path = pki_path(name);
    FILE *file = fopen(path, "w");

    g_assert_cmpint(PEM_write_X509(file, cert), ==, 1);
    if (key != NULL)
        g_assert_cmpint(PEM_write_PrivateKey(file, key, NULL, NULL, 0, NULL, NULL), ==, 1);
    fclose(file);
    g_assert_cmpint(g_chmod(path, 0600), ==, 0);
}

void
pki_issue(const char *name, gboolean by_rogue, const char *san)
{
    X509 *issuer = by_rogue ? rogue : ca;
    EVP_PKEY *issuer_key = by_rogue ? rogue_key : ca_key;
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *cert = make_cert(key, issuer, issuer_key, name, san);

    write_pem(name, cert, key);
    X509_free(cert);
    EVP_PKEY_free(key);
}

void
pki_open(void)
{
    folder = g_dir_make_tmp("kms-pki-XXXXXX", NULL);
    ca_key = EVP_EC_gen("P-256");
    rogue_key = EVP_EC_gen("P-256");
    ca = make_cert(ca_key, NULL, ca_key, "Test CA", NULL);
    rogue = make_cert(rogue_key, NULL, rogue_key, "Rogue CA", NULL);
    write_pem("ca.pem", ca, NULL);
    write_pem("rogue-ca.pem", rogue, NULL);
}

void
pki_close(void)
{
    g_autoptr(GDir) dir = g_dir_open(folder, 0, NULL);
    const char *name;

    while ((name = g_dir_read_name(dir)) != NULL) {
        g_autofree char *path = pki_path(name);

        g_unlink(path);
    }
    g_rmdir(folder);
    g_free(folder);
    X509_free(ca);
    X509_free(rogue);
    EVP_PKEY_free(ca_key);
    EVP_PKEY_free(rogue_key);
}
