/* SPDX-License-Identifier: Apache-2.0 */
/* libmikey/pk.c - certificates, signatures and envelope keys (RFC 3830 sections 3.2, 4.2 and 6) */
#include <libmikey/exchange-private.h>
#include <libmikey/pk.h>

#include <openssl/bn.h>
#include <openssl/crypto.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <string.h>

#define MAX_CHAIN 16u
#define AUTH_LEVEL                                                                                 \
    2 /* of OpenSSL, 112 bits: without one certificates by MD5, SHA-1 or RSA-512 will do */
#define MAX_SIGNATURE 0x0fffu
#define MAX_ENVELOPE 2048u /* octets: an RSA key of 16384 bits */

static const EVP_MD *
hash_of(uint8_t prf)
{
    return prf == MIKEY_PRF_HMAC_SHA_256 ? EVP_sha256() : EVP_sha1();
}

static bool
is_good_rsa(EVP_PKEY *key)
{
    return key != NULL && EVP_PKEY_is_a(key, "RSA") && EVP_PKEY_get_bits(key) >= MIKEY_MIN_RSA_BITS;
}

/* ---- certificates ---- */

static bool
names(const GENERAL_NAMES *list, const MikeyIdentity *identity)
{
    int type = identity->type == MIKEY_ID_NAI ? GEN_EMAIL : GEN_URI;

    for (int i = 0; i < sk_GENERAL_NAME_num(list); i++) {
        const GENERAL_NAME *name = sk_GENERAL_NAME_value(list, i);
        const ASN1_IA5STRING *text = name->d.ia5;

        if (name->type == type && mikey_bytes_equal(mikey_bytes(ASN1_STRING_get0_data(text),
                                                                (size_t)ASN1_STRING_length(text)),
                                                    identity->data))
            return true;
    }
    return false;
}

static MikeyStatus
check_name(X509 *certificate, const MikeyIdentity *identity)
{
    GENERAL_NAMES *list = X509_get_ext_d2i(certificate, NID_subject_alt_name, NULL, NULL);
    bool named = list != NULL && names(list, identity);

    GENERAL_NAMES_free(list);
    return named && (identity->type == MIKEY_ID_URI || identity->type == MIKEY_ID_NAI)
               ? MIKEY_OK
               : MIKEY_BAD_IDENTITY;
}

static bool
is_for(X509 *certificate, MikeyCertUse use)
{
    uint32_t wanted =
        use == MIKEY_USE_SIGN ? KU_DIGITAL_SIGNATURE | KU_NON_REPUDIATION : KU_KEY_ENCIPHERMENT;

    /* without the extension it is for everything */
    return (X509_get_key_usage(certificate) & wanted) != 0;
}

static MikeyStatus
check_chain(X509_STORE *store, X509 *certificate, STACK_OF(X509) * more, const MikeyEnv *env,
            int *out_x509_error)
{
    X509_STORE_CTX *ctx = X509_STORE_CTX_new();
    int error = X509_V_OK;
    bool good = ctx != NULL && X509_STORE_CTX_init(ctx, store, certificate, more) == 1;

    if (!good) {
        X509_STORE_CTX_free(ctx);
        return MIKEY_CRYPTO;
    }
    X509_STORE_CTX_set_time(ctx, 0, (time_t)(mikey_ntp_to_unix_us(env->now) / 1000000));
    X509_VERIFY_PARAM_set_auth_level(X509_STORE_CTX_get0_param(ctx), AUTH_LEVEL);
    good = X509_verify_cert(ctx) == 1;
    error = X509_STORE_CTX_get_error(ctx);
    X509_STORE_CTX_free(ctx);
    if (!good && out_x509_error != NULL)
        *out_x509_error = error;
    return good ? MIKEY_OK : MIKEY_BAD_CERTIFICATE;
}

MikeyStatus
mikey_certificate_verify(X509_STORE *store, X509 *certificate, X509 *const *more, size_t n_more,
                         const MikeyIdentity *identity, MikeyCertUse use, const MikeyEnv *env,
                         int *out_x509_error)
{
    STACK_OF(X509) *between = sk_X509_new_null();
    MikeyStatus status = between != NULL ? MIKEY_OK : MIKEY_CRYPTO;

    if (out_x509_error != NULL)
        *out_x509_error = X509_V_OK;
    for (size_t i = 0; i < n_more && status == MIKEY_OK; i++)
        status = sk_X509_push(between, more[i]) > 0 ? MIKEY_OK : MIKEY_CRYPTO;
    ERR_set_mark();
    if (status == MIKEY_OK)
        status = check_chain(store, certificate, between, env, out_x509_error);
    ERR_pop_to_mark();
    sk_X509_free(between);
    if (status == MIKEY_OK && !is_for(certificate, use))
        status = MIKEY_BAD_CERTIFICATE;
    return status == MIKEY_OK ? check_name(certificate, identity) : status;
}

/* Certificates of a message, the signer's first */
typedef struct Chain {
    X509 *certificates[MAX_CHAIN];
    size_t n;
} Chain;

static void
chain_clear(Chain *chain)
{
    for (size_t i = 0; i < chain->n; i++)
        X509_free(chain->certificates[i]);
    chain->n = 0;
}

static MikeyStatus
chain_add(Chain *chain, const MikeyCert *cert)
{
    const unsigned char *at = cert->data.data;
    X509 *certificate;

    /* one for encryption has no part in a chain that signs; nothing is fetched from a URL */
    if (cert->type == MIKEY_CERT_ENCRYPT)
        return MIKEY_OK;
    if ((cert->type != MIKEY_CERT_X509 && cert->type != MIKEY_CERT_SIGN) || chain->n == MAX_CHAIN)
        return MIKEY_BAD_CERTIFICATE;
    ERR_set_mark();
    certificate = d2i_X509(NULL, &at, (long)cert->data.len);
    ERR_pop_to_mark();
    if (certificate == NULL)
        return MIKEY_BAD_CERTIFICATE;
    chain->certificates[chain->n++] = certificate;
    if (at != cert->data.data + cert->data.len)
        return MIKEY_BAD_CERTIFICATE;
    /* each one certifies the one before */
    if (chain->n > 1 &&
        X509_check_issued(certificate, chain->certificates[chain->n - 2]) != X509_V_OK)
        return MIKEY_BAD_CERTIFICATE;
    return MIKEY_OK;
}

static MikeyStatus
chain_read(const MikeyMessage *message, Chain *chain)
{
    MikeyStatus status = MIKEY_OK;

    for (size_t i = 0; i < message->n_payloads && status == MIKEY_OK; i++) {
        if (message->payloads[i].number == MIKEY_CERT)
            status = chain_add(chain, &message->payloads[i].u.cert);
    }
    return status;
}

static MikeyStatus
link_certificate(MikeyLink *link, X509 *certificate)
{
    unsigned char *der = NULL;
    int len = i2d_X509(certificate, &der);
    MikeyPayload p = {.number = MIKEY_CERT, .u.cert = {.type = MIKEY_CERT_X509}};

    if (len <= 0)
        return MIKEY_CRYPTO;
    p.u.cert.data = mikey_bytes(der, (size_t)len);
    mikey_link_payload(link, &p);
    OPENSSL_free(der);
    return link->w->bad;
}

/* ---- signatures ---- */

/* Length of a signature; it stands in what is signed */
static size_t
signature_len(EVP_PKEY *key)
{
    if (EVP_PKEY_is_a(key, "EC"))
        return 2 * (((size_t)EVP_PKEY_get_bits(key) + 7) / 8);
    return (size_t)EVP_PKEY_get_size(key);
}

/* May @key sign, and verify, with @type? */
static bool
fits_type(EVP_PKEY *key, uint8_t type, uint8_t ecdsa_type)
{
    if (type == MIKEY_SIGN_RSA_PKCS1 || type == MIKEY_SIGN_RSA_PSS)
        return is_good_rsa(key);
    return ecdsa_type >= MIKEY_SIGN_FIRST_FREE && type == ecdsa_type && EVP_PKEY_is_a(key, "EC") &&
           EVP_PKEY_get_bits(key) >= 256;
}

static bool
set_padding(EVP_PKEY_CTX *pctx, uint8_t type, uint8_t prf, bool verify)
{
    if (type == MIKEY_SIGN_RSA_PKCS1)
        return EVP_PKEY_CTX_set_rsa_padding(pctx, RSA_PKCS1_PADDING) > 0;
    if (type != MIKEY_SIGN_RSA_PSS)
        return true;
    return EVP_PKEY_CTX_set_rsa_padding(pctx, RSA_PKCS1_PSS_PADDING) > 0 &&
           EVP_PKEY_CTX_set_rsa_mgf1_md(pctx, hash_of(prf)) > 0 &&
           EVP_PKEY_CTX_set_rsa_pss_saltlen(pctx, verify ? RSA_PSS_SALTLEN_AUTO
                                                         : RSA_PSS_SALTLEN_DIGEST) > 0;
}

/* DER of an ECDSA signature to r and s of fixed length, in place */
static bool
der_to_fixed(uint8_t *signature, size_t der_len, size_t len)
{
    const unsigned char *at = signature;
    ECDSA_SIG *sig = d2i_ECDSA_SIG(NULL, &at, (long)der_len);
    int half = (int)(len / 2);
    bool done = sig != NULL && BN_bn2binpad(ECDSA_SIG_get0_r(sig), signature, half) == half &&
                BN_bn2binpad(ECDSA_SIG_get0_s(sig), signature + half, half) == half;

    ECDSA_SIG_free(sig);
    return done;
}

static bool
fixed_to_der(MikeyBytes fixed, uint8_t *out, size_t room, size_t *out_len)
{
    int half = (int)(fixed.len / 2);
    ECDSA_SIG *sig = ECDSA_SIG_new();
    BIGNUM *r = BN_bin2bn(fixed.data, half, NULL);
    BIGNUM *s = BN_bin2bn(fixed.data + half, half, NULL);
    int len = -1;

    if (sig != NULL && r != NULL && s != NULL && ECDSA_SIG_set0(sig, r, s) == 1) {
        len = i2d_ECDSA_SIG(sig, NULL);
        if (len > 0 && (size_t)len <= room)
            len = i2d_ECDSA_SIG(sig, &out);
        else
            len = -1;
    } else {
        BN_free(r);
        BN_free(s);
    }
    ECDSA_SIG_free(sig);
    *out_len = len > 0 ? (size_t)len : 0;
    return len > 0;
}

static bool
sign_parts(EVP_MD_CTX *ctx, const MikeyPkAccount *account, const MikeyBytes *parts, size_t n_parts,
           uint8_t *out, size_t len)
{
    EVP_PKEY_CTX *pctx = NULL;
    size_t got = MAX_SIGNATURE;

    if (EVP_DigestSignInit(ctx, &pctx, hash_of(account->prf), NULL, account->key) != 1 ||
        !set_padding(pctx, account->sign_type, account->prf, false))
        return false;
    for (size_t i = 0; i < n_parts; i++) {
        if (EVP_DigestSignUpdate(ctx, parts[i].data, parts[i].len) != 1)
            return false;
    }
    if (EVP_DigestSignFinal(ctx, out, &got) != 1)
        return false;
    return EVP_PKEY_is_a(account->key, "EC") ? der_to_fixed(out, got, len) : got == len;
}

/* Ends a message with SIGN over everything written and the identities */
static MikeyStatus
end_signed(MikeyLink *link, const MikeyPkAccount *account)
{
    size_t len = signature_len(account->key);
    uint8_t signature[MAX_SIGNATURE];
    MikeyBytes parts[3];
    EVP_MD_CTX *ctx;
    bool done;

    if (len > MAX_SIGNATURE)
        return MIKEY_ARGUMENT;
    mikey_link_next(link, MIKEY_SIGN);
    mikey_write_u16(link->w, (uint16_t)((unsigned)account->sign_type << 12 | (unsigned)len));
    if (link->w->bad != MIKEY_OK)
        return link->w->bad;
    parts[0] = mikey_writer_octets(link->w);
    parts[1] = account->self.data;
    parts[2] = account->kms.data;
    ctx = EVP_MD_CTX_new();
    done = ctx != NULL && sign_parts(ctx, account, parts, 3, signature, len);
    EVP_MD_CTX_free(ctx);
    if (!done)
        return MIKEY_CRYPTO;
    mikey_write_bytes(link->w, mikey_bytes(signature, len));
    return link->w->bad;
}

static bool
verify_parts(EVP_MD_CTX *ctx, EVP_PKEY *key, uint8_t prf, const MikeySign *sign,
             const MikeyBytes *parts, size_t n_parts)
{
    uint8_t der[MAX_SIGNATURE];
    MikeyBytes signature = sign->signature;
    EVP_PKEY_CTX *pctx = NULL;

    if (signature.len != signature_len(key))
        return false;
    if (EVP_PKEY_is_a(key, "EC")) {
        size_t len = 0;

        if (!fixed_to_der(signature, der, sizeof(der), &len))
            return false;
        signature = mikey_bytes(der, len);
    }
    if (EVP_DigestVerifyInit(ctx, &pctx, hash_of(prf), NULL, key) != 1 ||
        !set_padding(pctx, sign->type, prf, true))
        return false;
    for (size_t i = 0; i < n_parts; i++) {
        if (EVP_DigestVerifyUpdate(ctx, parts[i].data, parts[i].len) != 1)
            return false;
    }
    return EVP_DigestVerifyFinal(ctx, signature.data, signature.len) == 1;
}

static MikeyStatus
verify_signature(const MikeyMessage *message, EVP_PKEY *key, uint8_t ecdsa_type,
                 const MikeyBytes tail[2])
{
    const MikeyPayload *sign = mikey_message_find(message, MIKEY_SIGN, 0);
    MikeyReader r = mikey_reader(mikey_message_octets(message));
    MikeyBytes parts[3];
    EVP_MD_CTX *ctx;
    bool good;

    if (sign == NULL)
        return MIKEY_MISSING;
    if (!fits_type(key, sign->u.sign.type, ecdsa_type))
        return MIKEY_BAD_CERTIFICATE;
    parts[0] = mikey_read_bytes(&r, r.left - sign->u.sign.signature.len);
    parts[1] = tail[0];
    parts[2] = tail[1];
    ctx = EVP_MD_CTX_new();
    if (ctx == NULL)
        return MIKEY_CRYPTO;
    ERR_set_mark();
    good = verify_parts(ctx, key, message->header.prf, &sign->u.sign, parts, 3);
    ERR_pop_to_mark();
    EVP_MD_CTX_free(ctx);
    return good ? MIKEY_OK : MIKEY_BAD_MAC;
}

/* ---- envelope keys ---- */

static bool
set_envelope_padding(EVP_PKEY_CTX *ctx, bool oaep)
{
    return EVP_PKEY_CTX_set_rsa_padding(ctx, oaep ? RSA_PKCS1_OAEP_PADDING : RSA_PKCS1_PADDING) > 0;
}

static MikeyStatus
link_envelope(MikeyLink *link, EVP_PKEY *key, bool oaep, const MikeyKey *env_key)
{
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(key, NULL);
    uint8_t sealed[MAX_ENVELOPE];
    size_t len = sizeof(sealed);
    MikeyPayload p = {.number = MIKEY_PKE};
    bool done = ctx != NULL && EVP_PKEY_encrypt_init(ctx) > 0 && set_envelope_padding(ctx, oaep) &&
                EVP_PKEY_encrypt(ctx, sealed, &len, env_key->bytes, env_key->len) > 0;

    EVP_PKEY_CTX_free(ctx);
    if (!done)
        return MIKEY_CRYPTO;
    p.u.pke.data = mikey_bytes(sealed, len);
    mikey_link_payload(link, &p);
    return link->w->bad;
}

/* Opens @sealed; gives @otherwise when that is impossible, and never says so */
static void
open_envelope(EVP_PKEY *key, bool oaep, MikeyBytes sealed, size_t max_len,
              const MikeyKey *otherwise, MikeyKey *out_key)
{
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(key, NULL);
    uint8_t clear[MAX_ENVELOPE];
    size_t len = sizeof(clear);
    bool good;

    ERR_set_mark();
    good = ctx != NULL && EVP_PKEY_decrypt_init(ctx) > 0 && set_envelope_padding(ctx, oaep) &&
           EVP_PKEY_decrypt(ctx, clear, &len, sealed.data, sealed.len) > 0;
    ERR_pop_to_mark();
    EVP_PKEY_CTX_free(ctx);
    *out_key = *otherwise;
    if (good && len >= otherwise->len && len <= MIKEY_MAX_KEY && len <= max_len)
        mikey_key_set(out_key, clear, len);
    OPENSSL_cleanse(clear, sizeof(clear));
}

static MikeyStatus
certificate_hash(X509 *certificate, uint8_t func, uint8_t *out, size_t *out_len)
{
    const EVP_MD *md = func == MIKEY_HASH_SHA_256 ? EVP_sha256() : EVP_sha1();
    unsigned int len = 0;

    if (func != MIKEY_HASH_SHA_256 && func != MIKEY_HASH_SHA_1)
        return MIKEY_BAD_HASH;
    if (X509_digest(certificate, md, out, &len) != 1)
        return MIKEY_CRYPTO;
    *out_len = len;
    return MIKEY_OK;
}

static MikeyStatus
link_certificate_hash(MikeyLink *link, X509 *certificate)
{
    uint8_t hash[EVP_MAX_MD_SIZE];
    size_t len = 0;
    MikeyPayload p = {.number = MIKEY_CHASH, .u.chash = {.func = MIKEY_HASH_SHA_256}};
    MikeyStatus status = certificate_hash(certificate, MIKEY_HASH_SHA_256, hash, &len);

    if (status != MIKEY_OK)
        return status;
    p.u.chash.hash = mikey_bytes(hash, len);
    mikey_link_payload(link, &p);
    return link->w->bad;
}

/* The key of the KMS that a message is for */
static MikeyStatus
choose_pair(const MikeyMessage *message, const MikeyPkVerifier *verifier, EVP_PKEY **out_key)
{
    const MikeyPayload *named = mikey_message_find(message, MIKEY_CHASH, 0);
    uint8_t hash[EVP_MAX_MD_SIZE];
    size_t len = 0;

    if (verifier->n_pairs == 0)
        return MIKEY_ARGUMENT;
    if (named == NULL) {
        *out_key = verifier->pairs[0].key;
        return MIKEY_OK;
    }
    for (size_t i = 0; i < verifier->n_pairs; i++) {
        MikeyStatus status;

        if (verifier->pairs[i].certificate == NULL)
            continue;
        status = certificate_hash(verifier->pairs[i].certificate, named->u.chash.func, hash, &len);
        if (status != MIKEY_OK)
            return status;
        if (mikey_bytes_equal(mikey_bytes(hash, len), named->u.chash.hash)) {
            *out_key = verifier->pairs[i].key;
            return MIKEY_OK;
        }
    }
    return MIKEY_BAD_CERTIFICATE;
}

/* ---- the user's side ---- */

MikeyStatus
mikey_asker_pk(const MikeyPkAccount *account, const MikeyEnv *env, MikeyAsker *out_asker)
{
    MikeyAsker asker = {.pk = account,
                        .self = account->self,
                        .kms = account->kms,
                        .prf = account->prf,
                        .key = {.len = mikey_suite_key_len(account->prf)}};
    MikeyStatus status = mikey_suite_check(account->prf, env);

    if (status != MIKEY_OK)
        return status;
    if (account->self.data.len == 0 || account->kms.data.len == 0 || account->key == NULL ||
        account->kms_certificate == NULL || account->n_chain > MAX_CHAIN ||
        account->sign_type > 15 || !fits_type(account->key, account->sign_type, account->sign_type))
        return MIKEY_ARGUMENT;
    if (!is_good_rsa(X509_get0_pubkey(account->kms_certificate)))
        return MIKEY_BAD_CERTIFICATE;
    status = mikey_env_random(env, asker.key.bytes, asker.key.len);
    if (status == MIKEY_OK)
        *out_asker = asker;
    mikey_key_clear(&asker.key);
    return status;
}

MikeyStatus
mikey_link_certificates(MikeyLink *link, const MikeyPkAccount *account)
{
    MikeyStatus status = MIKEY_OK;

    for (size_t i = 0; i < account->n_chain && status == MIKEY_OK; i++)
        status = link_certificate(link, account->chain[i]);
    return status;
}

MikeyStatus
mikey_pk_init_end(MikeyLink *link, const MikeyPkAccount *account, const MikeyKey *env_key)
{
    MikeyStatus status = MIKEY_OK;

    if (account->name_certificate)
        status = link_certificate_hash(link, account->kms_certificate);
    if (status == MIKEY_OK)
        status =
            link_envelope(link, X509_get0_pubkey(account->kms_certificate), account->oaep, env_key);
    return status == MIKEY_OK ? end_signed(link, account) : status;
}

/* ---- the side of the KMS ---- */

/* The certificate is @identity's, or that of one of those to whom the identity belongs */
static MikeyStatus
verify_certificate(const Chain *chain, X509 *leaf, const MikeyPkVerifier *verifier,
                   const MikeyIdentity *identity, const MikeyEnv *env, int *out_x509_error)
{
    const MikeyIdentity *names = verifier->n_owner_names > 0 ? verifier->owner_names : identity;
    size_t n = verifier->n_owner_names > 0 ? verifier->n_owner_names : 1;
    MikeyStatus status = MIKEY_BAD_IDENTITY;

    for (size_t i = 0; i < n && status == MIKEY_BAD_IDENTITY; i++)
        status = mikey_certificate_verify(verifier->store, leaf, chain->certificates + 1,
                                          chain->n > 0 ? chain->n - 1 : 0, &names[i],
                                          MIKEY_USE_SIGN, env, out_x509_error);
    return status;
}

static MikeyStatus
verify_user(const MikeyMessage *init, const MikeyPkVerifier *verifier,
            const MikeyIdentity *identity, const MikeyBytes tail[2], const MikeyEnv *env,
            int *out_x509_error)
{
    Chain chain = {.n = 0};
    MikeyStatus status = chain_read(init, &chain);
    X509 *leaf = chain.n > 0 ? chain.certificates[0] : verifier->certificate;

    if (status == MIKEY_OK && leaf == NULL)
        status = MIKEY_BAD_CERTIFICATE;
    if (status == MIKEY_OK)
        status = verify_certificate(&chain, leaf, verifier, identity, env, out_x509_error);
    if (status == MIKEY_OK)
        status = verify_signature(init, X509_get0_pubkey(leaf), verifier->ecdsa_type, tail);
    chain_clear(&chain);
    return status;
}

MikeyStatus
mikey_pk_init_verify(const MikeyMessage *init, const MikeyPkVerifier *verifier,
                     const MikeyIdentity *identity, MikeyBytes kms, MikeyBytes rand,
                     const MikeyEnv *env, MikeyKey *out_key, int *out_x509_error)
{
    const MikeyPayload *pke = mikey_message_find(init, MIKEY_PKE, 0);
    MikeyBytes tail[2] = {identity->data, kms};
    MikeyKey otherwise = {.len = mikey_suite_key_len(init->header.prf)};
    EVP_PKEY *key = NULL;
    MikeyStatus status;

    if (out_x509_error != NULL)
        *out_x509_error = X509_V_OK;
    status = verify_user(init, verifier, identity, tail, env, out_x509_error);
    if (status == MIKEY_OK && (rand.len < MIKEY_MIN_RAND || rand.len < otherwise.len))
        status = MIKEY_SHORT_RAND;
    if (status == MIKEY_OK)
        status = choose_pair(init, verifier, &key);
    if (status == MIKEY_OK)
        status = mikey_env_random(env, otherwise.bytes, otherwise.len);
    if (status == MIKEY_OK)
        open_envelope(key, verifier->oaep, pke->u.pke.data, rand.len, &otherwise, out_key);
    mikey_key_clear(&otherwise);
    return status;
}
