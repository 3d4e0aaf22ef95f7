/* SPDX-License-Identifier: Apache-2.0 */
/* libmikey/pk.h - asking the KMS with a certificate instead of a shared key (REQUEST_INIT_PK,
 * RESOLVE_INIT_PK; RFC 6043 sections 4.2.1.3 and 4.2.3.3, RFC 3830 sections 3.2 and 4.2)
 *
 * A fresh envelope key travels under the RSA key of the KMS and takes the place of the PSK; the
 * message is signed by the user. Certificates, keys and stores are OpenSSL's and stay the caller's.
 *
 * Hash of signatures: SHA-256 in the 256-bit suite, SHA-1 (as RFC 3830 has it) in the other.
 * Registered signatures are RSA PKCS#1 v1.5, RSA-PSS and ECCSI; there is none for ECDSA. Both sides
 * may agree on one of the free numbers for it, then the signature is r and s, each as long as the
 * order of the curve. ECCSI is not supported.
 */
#pragma once

#include <libmikey/exchange.h>
#include <libmikey/kms.h>

#include <openssl/types.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef enum MikeySignType {
    MIKEY_SIGN_RSA_PKCS1 = 0,
    MIKEY_SIGN_RSA_PSS = 1,
    MIKEY_SIGN_ECCSI = 2,
} MikeySignType;

#define MIKEY_SIGN_FIRST_FREE 3u /* numbers that nothing is registered for: 3 to 15 */
#define MIKEY_MIN_RSA_BITS 2048

typedef enum MikeyCertType {
    MIKEY_CERT_X509 = 0,
    MIKEY_CERT_URL = 1,
    MIKEY_CERT_SIGN = 2,
    MIKEY_CERT_ENCRYPT = 3,
} MikeyCertType;

typedef enum MikeyHashFunc {
    MIKEY_HASH_SHA_1 = 0,
    MIKEY_HASH_MD5 = 1,
    MIKEY_HASH_SHA_256 = 2,
} MikeyHashFunc;

/**
 * MikeyPkAccount:
 * @key: of the user, for signing
 * @chain: (array length=n_chain): his certificate, then each that certifies the one before; none:
 * the KMS is known to have it
 * @sign_type: MIKEY_SIGN_RSA_PKCS1 or MIKEY_SIGN_RSA_PSS for an RSA key; a free number for an EC
 * key
 * @kms_certificate: whose key takes the envelope key; see mikey_certificate_verify()
 * @oaep: RSA-OAEP instead of PKCS#1 v1.5, which every KMS must know
 * @name_certificate: tell by a CHASH which key of the KMS it is
 * @self, @kms, @prf: as in MikeyAccount
 *
 * How a user is known to his KMS by certificate.
 */
typedef struct MikeyPkAccount {
    EVP_PKEY *key;
    X509 *const *chain;
    size_t n_chain;
    uint8_t sign_type;
    X509 *kms_certificate;
    bool oaep;
    bool name_certificate;
    MikeyIdentity self;
    MikeyIdentity kms;
    uint8_t prf;
} MikeyPkAccount;

/* As mikey_request_new() and mikey_resolve_new(); everything after them is the same */
MikeyStatus mikey_request_new_pk(const MikeyPkAccount *account, const MikeyPolicy *policy,
                                 const MikeyEnv *env, MikeyRequest **out_request);
MikeyStatus mikey_resolve_new_pk(const MikeyOffer *offer, const MikeyPkAccount *account,
                                 const MikeyEnv *env, MikeyResolve **out_resolve);

/* What a certificate is to be used for; looked at when it has the key usage extension */
typedef enum MikeyCertUse {
    MIKEY_USE_SIGN,
    MIKEY_USE_ENVELOPE,
} MikeyCertUse;

/* Chain up to @store, validity at env->now, and the identity: one of the subject alternative names
 * (URI, or for a NAI the mail address) is @identity, octet for octet. Revocation lists: put them
 * into @store and set X509_V_FLAG_CRL_CHECK there. MIKEY_BAD_CERTIFICATE or MIKEY_BAD_IDENTITY;
 * @out_x509_error: (nullable): OpenSSL's X509_V_ERR_ number in the first case, 0 when it has none
 */
MikeyStatus mikey_certificate_verify(X509_STORE *store, X509 *certificate, X509 *const *more,
                                     size_t n_more, const MikeyIdentity *identity, MikeyCertUse use,
                                     const MikeyEnv *env, int *out_x509_error);

/* One RSA key of the KMS; @certificate: (nullable): what a CHASH may name it by */
typedef struct MikeyKmsKeyPair {
    EVP_PKEY *key;
    X509 *certificate;
} MikeyKmsKeyPair;

/**
 * MikeyPkVerifier:
 * @store: whom the KMS trusts
 * @certificate: (nullable): of the user, for a message without certificates
 * @pairs: (array length=n_pairs): keys of the KMS; the first one is meant when there is no CHASH
 * @oaep: envelope keys are under RSA-OAEP; otherwise under PKCS#1 v1.5. The message does not say.
 * @ecdsa_type: free number agreed on for ECDSA; 0: ECDSA is refused
 * @owner_names: (array length=n_owner_names): names of whom the identity belongs to, one of which the
 *   certificate must have; none: the identity itself. A conference has no certificate of its own,
 *   its service has.
 */
typedef struct MikeyPkVerifier {
    X509_STORE *store;
    X509 *certificate;
    const MikeyKmsKeyPair *pairs;
    size_t n_pairs;
    bool oaep;
    uint8_t ecdsa_type;
    const MikeyIdentity *owner_names;
    size_t n_owner_names;
} MikeyPkVerifier;

/* Is the query of a public-key variant? mikey_query_open() takes them only with MIKEY_ALLOW_PK.
 * mikey_query_psk_id() is empty then. */
bool mikey_query_is_pk(const MikeyQuery *query);
/* In the place of mikey_query_authenticate(): certificate, identity, signature, then the envelope
 * key. One that cannot be opened becomes a random one, so that nobody learns why: the answer is
 * then unreadable. */
MikeyStatus mikey_query_authenticate_pk(MikeyQuery *query, const MikeyPkVerifier *verifier,
                                        const MikeyEnv *env, int *out_x509_error);

#ifdef __cplusplus
}
#endif
