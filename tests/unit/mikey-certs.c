/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/mikey-certs.h"
#include "tests/unit/mikey-world.h"

#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>
#include <openssl/x509v3.h>
#include <string.h>

#define HOUR 3600

EVP_PKEY *
cert_rsa(unsigned bits)
{
    EVP_PKEY *key = EVP_RSA_gen(bits);

    g_assert_nonnull(key);
    return key;
}

EVP_PKEY *
cert_ec(const char *curve)
{
    EVP_PKEY *key = EVP_EC_gen(curve);

    g_assert_nonnull(key);
    return key;
}

static void
add_extension(X509 *certificate, X509 *issuer, int nid, const char *value)
{
    X509V3_CTX ctx;
    X509_EXTENSION *ext;

    X509V3_set_ctx(&ctx, issuer, certificate, NULL, NULL, 0);
    ext = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
    g_assert_nonnull(ext);
    g_assert_cmpint(X509_add_ext(certificate, ext, -1), ==, 1);
    X509_EXTENSION_free(ext);
}

Party
cert_make(const PartySpec *spec)
{
    static long serial;
    Party party = {spec->key != NULL ? spec->key : cert_rsa(2048), X509_new()};
    X509 *c = party.certificate;
    X509 *issuer = spec->issuer != NULL ? spec->issuer->certificate : c;
    int from = spec->to_h != 0 ? spec->from_h : -24, to = spec->to_h != 0 ? spec->to_h : 24;

    X509_set_version(c, X509_VERSION_3);
    ASN1_INTEGER_set(X509_get_serialNumber(c), ++serial);
    X509_NAME_add_entry_by_txt(X509_get_subject_name(c), "CN", MBSTRING_ASC,
                               (const guint8 *)spec->name, -1, -1, 0);
    X509_set_issuer_name(c, X509_get_subject_name(issuer));
    ASN1_TIME_set(X509_getm_notBefore(c), WORLD_UNIX + from * HOUR);
    ASN1_TIME_set(X509_getm_notAfter(c), WORLD_UNIX + to * HOUR);
    X509_set_pubkey(c, party.key);
    add_extension(c, issuer, NID_basic_constraints, spec->ca ? "critical,CA:TRUE" : "CA:FALSE");
    if (spec->key_usage != NULL)
        add_extension(c, issuer, NID_key_usage, spec->key_usage);
    if (spec->uri != NULL)
        add_extension(c, issuer, NID_subject_alt_name, spec->uri);
    g_assert_cmpint(
        X509_sign(c, spec->issuer != NULL ? spec->issuer->key : party.key, EVP_sha256()), >, 0);
    return party;
}

X509_CRL *
cert_crl(const Party *issuer, const Party *revoked)
{
    X509_CRL *crl = X509_CRL_new();
    ASN1_TIME *from = ASN1_TIME_set(NULL, WORLD_UNIX - HOUR);
    ASN1_TIME *to = ASN1_TIME_set(NULL, WORLD_UNIX + HOUR);

    X509_CRL_set_version(crl, X509_CRL_VERSION_2);
    X509_CRL_set_issuer_name(crl, X509_get_subject_name(issuer->certificate));
    X509_CRL_set1_lastUpdate(crl, from);
    X509_CRL_set1_nextUpdate(crl, to);
    if (revoked != NULL) {
        X509_REVOKED *entry = X509_REVOKED_new();

        X509_REVOKED_set_serialNumber(entry, X509_get_serialNumber(revoked->certificate));
        X509_REVOKED_set_revocationDate(entry, from);
        X509_CRL_add0_revoked(crl, entry);
    }
    X509_CRL_sort(crl);
    g_assert_cmpint(X509_CRL_sign(crl, issuer->key, EVP_sha256()), >, 0);
    ASN1_TIME_free(from);
    ASN1_TIME_free(to);
    return crl;
}

void
cert_clear(Party *party)
{
    X509_free(party->certificate);
    EVP_PKEY_free(party->key);
    memset(party, 0, sizeof(*party));
}
