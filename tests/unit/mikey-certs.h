/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/mikey-certs.h - keys and certificates made on the spot, valid around WORLD_NOW */
#pragma once

#include <libmikey/mikey.h>

#include <glib.h>
#include <openssl/x509.h>

typedef struct Party {
    EVP_PKEY *key;
    X509 *certificate;
} Party;

typedef struct PartySpec {
    const char *name;      /* common name */
    const char *uri;       /* (nullable): subject alternative name, "URI:..." or "email:..." */
    const char *key_usage; /* (nullable) */
    bool ca;
    int from_h, to_h;    /* validity in hours from WORLD_UNIX; 0, 0: a day around */
    EVP_PKEY *key;       /* (nullable): made anew, RSA */
    const Party *issuer; /* (nullable): self-signed */
} PartySpec;

EVP_PKEY *cert_rsa(unsigned bits);
EVP_PKEY *cert_ec(const char *curve);
/* Takes over spec->key */
Party cert_make(const PartySpec *spec);
/* A list that revokes @revoked (or nobody), signed by @issuer */
X509_CRL *cert_crl(const Party *issuer, const Party *revoked);
void cert_clear(Party *party);
