/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/test-mikey-pk.c - users with certificates get tickets, and nobody with a wrong one */
#include "tests/unit/mikey-certs.h"
#include "tests/unit/mikey-draft.h"
#include "tests/unit/mikey-world.h"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/x509_vfy.h>
#include <string.h>

#define ECDSA_TYPE 9

/* Made once: RSA keys take their time */
static struct {
    Party root, ca, alice, bob, kms, alice_ec, bob_ec, eve;
} all;

typedef struct Call {
    World w;
    X509 *chain[3];
    MikeyPkAccount account;
    MikeyKmsKeyPair pairs[2];
    MikeyPkVerifier verifier;
    int x509_error;
} Call;

static X509_STORE *
store_of(const Party *root)
{
    X509_STORE *store = X509_STORE_new();

    g_assert_cmpint(X509_STORE_add_cert(store, root->certificate), ==, 1);
    return store;
}

static void
call_init(Call *c)
{
    memset(c, 0, sizeof(*c));
    world_init(&c->w);
    c->w.env.allow = MIKEY_ALLOW_PK;
    c->chain[0] = all.alice.certificate;
    c->chain[1] = all.ca.certificate;
    c->account = (MikeyPkAccount){.key = all.alice.key,
                                  .chain = c->chain,
                                  .n_chain = 2,
                                  .kms_certificate = all.kms.certificate,
                                  .self = mikey_identity_uri(WORLD_ALICE),
                                  .kms = mikey_identity_uri(WORLD_KMS),
                                  .prf = MIKEY_PRF_HMAC_SHA_256};
    c->pairs[0] = (MikeyKmsKeyPair){all.eve.key, all.eve.certificate};
    c->pairs[1] = (MikeyKmsKeyPair){all.kms.key, all.kms.certificate};
    c->verifier = (MikeyPkVerifier){.store = store_of(&all.root),
                                    .pairs = c->pairs + 1,
                                    .n_pairs = 1,
                                    .ecdsa_type = ECDSA_TYPE};
}

static void
call_clear(Call *c)
{
    X509_STORE_free(c->verifier.store);
    world_clear(&c->w);
}

/* The KMS grants or resolves, whatever is asked */
static MikeyStatus
kms(Call *c, MikeyBytes question, MikeyBuffer *out_answer)
{
    MikeyGrantSetup setup = {.tpk = &c->w.tpk, .tpk_id = mikey_bytes_str("tpk-1")};
    MikeyQuery *query = NULL;
    MikeyIdentity who;
    MikeyStatus status = mikey_query_open(question, &c->w.env, &query);

    if (status == MIKEY_OK)
        status = mikey_query_authenticate_pk(query, &c->verifier, &c->w.env, &c->x509_error);
    if (status == MIKEY_OK && !mikey_query_is_resolve(query))
        status = mikey_query_grant(query, &setup, &c->w.env, out_answer);
    else if (status == MIKEY_OK) {
        who = mikey_query_identity(query);
        status = mikey_query_open_ticket(query, &c->w.tpk, &c->w.env);
        if (status == MIKEY_OK)
            status = mikey_query_resolve(query, &who, &c->w.env, out_answer);
    }
    mikey_query_free(query);
    return status;
}

static void
ask(Call *c)
{
    mikey_request_free(c->w.request);
    c->w.request = NULL;
    assert_status(mikey_request_new_pk(&c->account, &c->w.policy, &c->w.env, &c->w.request),
                  MIKEY_OK);
}

static MikeyStatus
granted(Call *c)
{
    MikeyBuffer answer = MIKEY_BUFFER_INIT;
    MikeyStatus status;

    ask(c);
    status = kms(c, mikey_request_octets(c->w.request), &answer);
    if (status == MIKEY_OK) {
        mikey_grant_free(c->w.grant);
        c->w.grant = NULL;
        status = world_grant(&c->w, mikey_bytes(answer.data, answer.len), &c->w.grant);
    }
    mikey_buffer_clear(&answer);
    return status;
}

/* The rest of the call; bob has a certificate as well */
static MikeyStatus
called(Call *c)
{
    World *w = &c->w;
    MikeyPkAccount account = c->account;
    X509 *chain[2] = {all.bob.certificate, all.ca.certificate};
    MikeyBuffer answer = MIKEY_BUFFER_INIT, resp = MIKEY_BUFFER_INIT;
    MikeyStatus status = world_transfer(w);

    account.key = all.bob.key;
    if (account.sign_type == ECDSA_TYPE) {
        account.key = all.bob_ec.key;
        chain[0] = all.bob_ec.certificate;
    }
    account.chain = chain;
    account.n_chain = 2;
    account.self = mikey_identity_uri(WORLD_BOB);
    if (status == MIKEY_OK)
        status = world_open(w, world_octets(w, WORLD_TRANSFER_INIT), &w->offer);
    if (status == MIKEY_OK)
        status = mikey_resolve_new_pk(w->offer, &account, &w->env, &w->resolve);
    if (status == MIKEY_OK)
        status = kms(c, mikey_resolve_octets(w->resolve), &answer);
    if (status == MIKEY_OK)
        status = world_resolved(w, mikey_bytes(answer.data, answer.len), &w->resolution);
    if (status == MIKEY_OK)
        status = mikey_offer_verify(w->offer, w->resolution);
    if (status == MIKEY_OK)
        status = world_answer(w, w->offer, &resp, &w->bob);
    if (status == MIKEY_OK)
        status = mikey_transfer_finish(w->transfer, mikey_bytes(resp.data, resp.len), &w->env,
                                       &w->alice, NULL);
    mikey_buffer_clear(&answer);
    mikey_buffer_clear(&resp);
    return status;
}

static void
every_scheme_makes_a_call(void)
{
    static const guint8 sign_types[] = {MIKEY_SIGN_RSA_PKCS1, MIKEY_SIGN_RSA_PSS, ECDSA_TYPE};

    for (guint i = 0; i < 3 * 2 * 2 * 2; i++) {
        Call c;
        guint8 prf = i / 12 % 2 == 0 ? MIKEY_PRF_HMAC_SHA_256 : MIKEY_PRF_MIKEY_1;
        MikeySrtp a, b;

        call_init(&c);
        c.account.sign_type = sign_types[i % 3];
        c.account.oaep = c.verifier.oaep = i / 3 % 2 == 1;
        c.account.name_certificate = i / 6 % 2 == 1;
        c.verifier.pairs = c.account.name_certificate ? c.pairs : c.pairs + 1;
        c.verifier.n_pairs = c.account.name_certificate ? 2 : 1;
        c.account.prf = c.w.policy.prf = prf;
        c.w.env.allow_128 = prf == MIKEY_PRF_MIKEY_1;
        c.w.bob_profiles[0] = MIKEY_SRTP_AES_CM_128_HMAC_SHA1_80;
        if (c.account.sign_type == ECDSA_TYPE) {
            c.account.key = all.alice_ec.key;
            c.chain[0] = all.alice_ec.certificate;
        }
        assert_status(granted(&c), MIKEY_OK);
        assert_status(called(&c), MIKEY_OK);
        assert_status(mikey_bundle_srtp(c.w.alice, 1, &a), MIKEY_OK);
        assert_status(mikey_bundle_srtp(c.w.bob, 1, &b), MIKEY_OK);
        g_assert_true(mikey_key_equal(&a.master_key, &b.master_key));
        call_clear(&c);
    }
}

static void
a_known_certificate_need_not_be_sent(void)
{
    Call c;

    call_init(&c);
    c.account.n_chain = 0;
    assert_status(granted(&c), MIKEY_BAD_CERTIFICATE);
    c.verifier.certificate = all.alice.certificate;
    assert_status(granted(&c), MIKEY_BAD_CERTIFICATE); /* the one between is missing */
    g_assert_cmpint(c.x509_error, ==, X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY);
    X509_STORE_add_cert(c.verifier.store, all.ca.certificate);
    assert_status(granted(&c), MIKEY_OK);
    c.verifier.certificate = all.bob.certificate;
    assert_status(granted(&c), MIKEY_BAD_IDENTITY);
    call_clear(&c);
}

/* Error 11 from a KMS that knows pre-shared keys alone */
static void
pk_is_refused_unless_allowed(void)
{
    Call c;
    MikeyQuery *query = NULL;
    MikeyPkVerifier verifier = {.store = NULL};

    call_init(&c);
    c.w.env.allow = 0;
    assert_status(granted(&c), MIKEY_BAD_DATA_TYPE);
    g_assert_cmpuint(mikey_status_error(MIKEY_BAD_DATA_TYPE), ==, 11);
    g_assert_cmpuint(mikey_status_error(MIKEY_BAD_CERTIFICATE), ==, 8);
    c.w.env.allow = MIKEY_ALLOW_PK;
    assert_status(mikey_query_open(mikey_request_octets(c.w.request), &c.w.env, &query), MIKEY_OK);
    g_assert_true(mikey_query_is_pk(query));
    g_assert_false(mikey_query_is_resolve(query));
    assert_status(mikey_query_authenticate(query, &c.w.alice_psk), MIKEY_ORDER);
    mikey_query_free(query);
    query = NULL;
    mikey_request_free(c.w.request);
    c.w.request = NULL;
    assert_status(world_request(&c.w), MIKEY_OK);
    assert_status(mikey_query_open(mikey_request_octets(c.w.request), &c.w.env, &query), MIKEY_OK);
    g_assert_false(mikey_query_is_pk(query));
    assert_status(mikey_query_authenticate_pk(query, &verifier, &c.w.env, NULL), MIKEY_ORDER);
    mikey_query_free(query);
    call_clear(&c);
}

/* ---- certificates ---- */

static MikeyStatus
granted_to(Call *c, const PartySpec *spec)
{
    PartySpec whole = *spec;
    Party party;
    MikeyStatus status;

    whole.name = "alice";
    if (whole.key == NULL) {
        EVP_PKEY_up_ref(all.alice.key);
        whole.key = all.alice.key;
    }
    if (whole.issuer == NULL)
        whole.issuer = &all.ca;
    party = cert_make(&whole);
    c->account.key = party.key;
    c->chain[0] = party.certificate;
    status = granted(c);
    cert_clear(&party);
    return status;
}

static void
certificates_must_be_in_order(void)
{
    const char *uri = "URI:" WORLD_ALICE;
    Call c;

    call_init(&c);
    assert_status(granted_to(&c, &(PartySpec){.uri = uri}), MIKEY_OK);
    assert_status(granted_to(&c, &(PartySpec){.uri = uri, .from_h = -48, .to_h = -1}),
                  MIKEY_BAD_CERTIFICATE);
    g_assert_cmpint(c.x509_error, ==, X509_V_ERR_CERT_HAS_EXPIRED);
    assert_status(granted_to(&c, &(PartySpec){.uri = uri, .from_h = 1, .to_h = 48}),
                  MIKEY_BAD_CERTIFICATE);
    g_assert_cmpint(c.x509_error, ==, X509_V_ERR_CERT_NOT_YET_VALID);
    assert_status(granted_to(&c, &(PartySpec){.uri = uri, .issuer = &all.alice}),
                  MIKEY_BAD_CERTIFICATE);
    assert_status(granted_to(&c, &(PartySpec){.uri = uri, .key_usage = "keyEncipherment"}),
                  MIKEY_BAD_CERTIFICATE);
    assert_status(granted_to(&c, &(PartySpec){.uri = uri, .key_usage = "digitalSignature"}),
                  MIKEY_OK);
    assert_status(granted_to(&c, &(PartySpec){.uri = NULL}), MIKEY_BAD_IDENTITY);
    assert_status(granted_to(&c, &(PartySpec){.uri = "URI:" WORLD_BOB}), MIKEY_BAD_IDENTITY);
    assert_status(granted_to(&c, &(PartySpec){.uri = "URI:sip:Alice@operator.example"}),
                  MIKEY_BAD_IDENTITY);
    assert_status(granted_to(&c, &(PartySpec){.uri = "email:alice@operator.example"}),
                  MIKEY_BAD_IDENTITY);
    assert_status(granted_to(&c, &(PartySpec){.uri = "URI:" WORLD_BOB ",URI:" WORLD_ALICE}),
                  MIKEY_OK);
    c.w.env.now += (guint64)(25 * 3600) << 32;
    c.w.policy.end_unix += 48 * 3600;
    assert_status(granted_to(&c, &(PartySpec){.uri = uri, .from_h = -1, .to_h = 90}),
                  MIKEY_BAD_CERTIFICATE); /* now it is the one that certifies */
    call_clear(&c);
}

/* Of a certificate by a broken hash there may be two. */
static void
a_weakly_signed_certificate_proves_nothing(void)
{
    static const struct {
        const char *hash;
        MikeyStatus status;
    } cases[] = {
        {"SHA256", MIKEY_OK}, {"SHA1", MIKEY_BAD_CERTIFICATE}, {"MD5", MIKEY_BAD_CERTIFICATE}};

    for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
        X509 *weak = X509_dup(all.alice.certificate);
        Call c;

        g_test_message("%s", cases[i].hash);
        g_assert_cmpint(X509_sign(weak, all.ca.key, EVP_get_digestbyname(cases[i].hash)), >, 0);
        call_init(&c);
        c.chain[0] = weak;
        assert_status(granted(&c), cases[i].status);
        g_assert_cmpint(c.x509_error, ==,
                        cases[i].status == MIKEY_OK ? X509_V_OK : X509_V_ERR_CA_MD_TOO_WEAK);
        call_clear(&c);
        X509_free(weak);
    }
}

/* (r, n - s) is as good as (r, s), and needs no key. */
static void
another_signature_is_the_same_message(void)
{
    MikeyQuery *query[2] = {NULL, NULL};
    guint8 digest[2][MIKEY_DIGEST_LEN];
    BIGNUM *order = BN_new(), *s;
    g_autoptr(GByteArray) octets = g_byte_array_new();
    gsize half;
    Call c;

    call_init(&c);
    c.account.sign_type = ECDSA_TYPE;
    c.account.key = all.alice_ec.key;
    c.chain[0] = all.alice_ec.certificate;
    ask(&c);
    octets = g_byte_array_append(octets, mikey_request_octets(c.w.request).data,
                                 (guint)mikey_request_octets(c.w.request).len);
    g_assert_cmpint(EVP_PKEY_get_bn_param(c.account.key, OSSL_PKEY_PARAM_EC_ORDER, &order), ==, 1);
    half = (gsize)BN_num_bytes(order);
    for (guint i = 0; i < 2; i++) {
        assert_status(mikey_query_open(mikey_bytes(octets->data, octets->len), &c.w.env, &query[i]),
                      MIKEY_OK);
        assert_status(mikey_query_authenticate_pk(query[i], &c.verifier, &c.w.env, NULL), MIKEY_OK);
        assert_status(mikey_query_digest(query[i], digest[i]), MIKEY_OK);
        s = BN_bin2bn(octets->data + octets->len - half, (int)half, NULL);
        g_assert_cmpint(BN_sub(s, order, s), ==, 1);
        g_assert_cmpint(BN_bn2binpad(s, octets->data + octets->len - half, (int)half), ==,
                        (int)half);
        BN_free(s);
        mikey_query_free(query[i]);
    }
    g_assert_cmpmem(digest[0], MIKEY_DIGEST_LEN, digest[1], MIKEY_DIGEST_LEN);
    BN_free(order);
    call_clear(&c);
}

static void
an_untrusted_root_proves_nothing(void)
{
    Call c;

    call_init(&c);
    X509_STORE_free(c.verifier.store);
    c.verifier.store = store_of(&all.eve);
    assert_status(granted(&c), MIKEY_BAD_CERTIFICATE);
    call_clear(&c);
}

static void
a_revoked_certificate_is_refused(void)
{
    Call c;
    X509_CRL *of_root = cert_crl(&all.root, NULL), *nobody = cert_crl(&all.ca, NULL);
    X509_CRL *alice = cert_crl(&all.ca, &all.alice);

    call_init(&c);
    X509_STORE_set_flags(c.verifier.store, X509_V_FLAG_CRL_CHECK | X509_V_FLAG_CRL_CHECK_ALL);
    assert_status(granted(&c), MIKEY_BAD_CERTIFICATE);
    g_assert_cmpint(c.x509_error, ==, X509_V_ERR_UNABLE_TO_GET_CRL);
    X509_STORE_add_crl(c.verifier.store, of_root);
    X509_STORE_add_crl(c.verifier.store, nobody);
    assert_status(granted(&c), MIKEY_OK);
    /* an old list says nothing, so a newer one cannot be kept away for ever */
    c.w.env.now += (guint64)(14 * 3600) << 32;
    c.w.policy.end_unix += 48 * 3600;
    assert_status(granted(&c), MIKEY_BAD_CERTIFICATE);
    g_assert_cmpint(c.x509_error, ==, X509_V_ERR_CRL_HAS_EXPIRED);
    call_clear(&c);
    call_init(&c);
    X509_STORE_set_flags(c.verifier.store, X509_V_FLAG_CRL_CHECK | X509_V_FLAG_CRL_CHECK_ALL);
    X509_STORE_add_crl(c.verifier.store, of_root);
    X509_STORE_add_crl(c.verifier.store, alice);
    assert_status(granted(&c), MIKEY_BAD_CERTIFICATE);
    g_assert_cmpint(c.x509_error, ==, X509_V_ERR_CERT_REVOKED);
    call_clear(&c);
    X509_CRL_free(of_root);
    X509_CRL_free(nobody);
    X509_CRL_free(alice);
}

static void
the_certificate_of_the_kms_can_be_checked(void)
{
    Call c;
    X509 *more[1] = {all.ca.certificate};
    MikeyIdentity is = mikey_identity_uri(WORLD_KMS), other = mikey_identity_uri(WORLD_BOB);
    MikeyIdentity mail = {MIKEY_ID_NAI, mikey_bytes_str("kms@operator.example")};
    int error = -1;

    call_init(&c);
    assert_status(mikey_certificate_verify(c.verifier.store, all.kms.certificate, more, 1, &is,
                                           MIKEY_USE_ENVELOPE, &c.w.env, &error),
                  MIKEY_OK);
    g_assert_cmpint(error, ==, 0);
    assert_status(mikey_certificate_verify(c.verifier.store, all.kms.certificate, more, 1, &mail,
                                           MIKEY_USE_ENVELOPE, &c.w.env, NULL),
                  MIKEY_OK);
    assert_status(mikey_certificate_verify(c.verifier.store, all.kms.certificate, more, 1, &other,
                                           MIKEY_USE_ENVELOPE, &c.w.env, NULL),
                  MIKEY_BAD_IDENTITY);
    assert_status(mikey_certificate_verify(c.verifier.store, all.kms.certificate, more, 1, &is,
                                           MIKEY_USE_SIGN, &c.w.env, NULL),
                  MIKEY_BAD_CERTIFICATE);
    assert_status(mikey_certificate_verify(c.verifier.store, all.kms.certificate, NULL, 0, &is,
                                           MIKEY_USE_ENVELOPE, &c.w.env, &error),
                  MIKEY_BAD_CERTIFICATE);
    g_assert_cmpint(error, !=, 0);
    call_clear(&c);
}

static void
accounts_must_make_sense(void)
{
    Call c;
    MikeyRequest *none = NULL;
    EVP_PKEY *small = cert_rsa(1024);
    Party weak = cert_make(&(PartySpec){.name = "weak", .key = small, .issuer = &all.ca});

    call_init(&c);
#define TRY(expected)                                                                              \
    assert_status(mikey_request_new_pk(&c.account, &c.w.policy, &c.w.env, &none), expected)
    c.account.sign_type = MIKEY_SIGN_ECCSI;
    TRY(MIKEY_ARGUMENT);
    c.account.sign_type = ECDSA_TYPE; /* with an RSA key */
    TRY(MIKEY_ARGUMENT);
    c.account.key = all.alice_ec.key;
    c.account.sign_type = MIKEY_SIGN_RSA_PSS;
    TRY(MIKEY_ARGUMENT);
    c.account.sign_type = 2;
    TRY(MIKEY_ARGUMENT);
    c.account.key = weak.key;
    c.account.sign_type = MIKEY_SIGN_RSA_PSS;
    TRY(MIKEY_ARGUMENT);
    c.account.key = all.alice.key;
    c.account.kms_certificate = weak.certificate;
    TRY(MIKEY_BAD_CERTIFICATE);
    c.account.kms_certificate = all.alice_ec.certificate;
    TRY(MIKEY_BAD_CERTIFICATE);
    g_assert_null(none);
    cert_clear(&weak);
    call_clear(&c);
}

/* ---- messages ---- */

typedef struct Kept {
    X509 *certificate;
    guint8 der[4096];
    gsize len;
} Kept;

static void
keep_der(Kept *kept, X509 *certificate)
{
    unsigned char *at = kept->der;
    int len = i2d_X509(certificate, NULL);

    g_assert_cmpint(len, <, (int)sizeof(kept->der) - 1);
    kept->len = (gsize)i2d_X509(certificate, &at);
}

/* Opens the request as @d says, with its signature as it was */
static MikeyStatus
drafted(Call *c, Draft *d)
{
    MikeyBuffer octets = draft_close(d, NULL, mikey_bytes(NULL, 0)), answer = MIKEY_BUFFER_INIT;
    MikeyStatus status = kms(c, mikey_bytes(octets.data, octets.len), &answer);

    mikey_buffer_clear(&octets);
    mikey_buffer_clear(&answer);
    draft_open(d, mikey_request_octets(c->w.request));
    return status;
}

static void
odd_messages_are_refused(void)
{
    static const guint8 md5[16] = {1}, sha_256[32] = {2};
    MikeyPayload p = {.number = MIKEY_CHASH};
    Call c;
    Kept kept;
    Draft d;

    call_init(&c);
    ask(&c);
    draft_open(&d, mikey_request_octets(c.w.request));
    assert_status(drafted(&c, &d), MIKEY_OK);
    draft_find(&d, MIKEY_SIGN)->u.sign.type = MIKEY_SIGN_RSA_PSS;
    assert_status(drafted(&c, &d), MIKEY_BAD_MAC);
    draft_find(&d, MIKEY_SIGN)->u.sign.type = MIKEY_SIGN_ECCSI;
    assert_status(drafted(&c, &d), MIKEY_BAD_CERTIFICATE);
    draft_find(&d, MIKEY_SIGN)->u.sign.type = ECDSA_TYPE;
    assert_status(drafted(&c, &d), MIKEY_BAD_CERTIFICATE);
    draft_find(&d, MIKEY_SIGN)->u.sign.signature.len--;
    assert_status(drafted(&c, &d), MIKEY_BAD_MAC);
    draft_find(&d, MIKEY_CERT)->u.cert.type = MIKEY_CERT_URL;
    assert_status(drafted(&c, &d), MIKEY_BAD_CERTIFICATE);
    draft_find(&d, MIKEY_CERT)->u.cert.type = 77;
    assert_status(drafted(&c, &d), MIKEY_BAD_CERTIFICATE);
    draft_find(&d, MIKEY_CERT)->u.cert.type = MIKEY_CERT_SIGN; /* fine, but not what was signed */
    assert_status(drafted(&c, &d), MIKEY_BAD_MAC);
    draft_find(&d, MIKEY_CERT)->u.cert.type = MIKEY_CERT_ENCRYPT;
    assert_status(drafted(&c, &d),
                  MIKEY_BAD_CERTIFICATE); /* leaves a CA, which may not sign this */
    draft_drop(&d, MIKEY_CERT);
    assert_status(drafted(&c, &d), MIKEY_BAD_CERTIFICATE);
    draft_find(&d, MIKEY_CERT)->u.cert.data.len--;
    assert_status(drafted(&c, &d), MIKEY_BAD_CERTIFICATE);
    keep_der(&kept, all.alice.certificate);
    draft_find(&d, MIKEY_CERT)->u.cert.data = mikey_bytes(kept.der, kept.len + 1);
    assert_status(drafted(&c, &d), MIKEY_BAD_CERTIFICATE);
    keep_der(&kept, all.ca.certificate);
    draft_find(&d, MIKEY_CERT)->u.cert.data = mikey_bytes(kept.der, kept.len);
    assert_status(drafted(&c, &d), MIKEY_BAD_CERTIFICATE);
    draft_drop(&d, MIKEY_PKE);
    assert_status(drafted(&c, &d), MIKEY_MISSING);
    draft_drop(&d, MIKEY_IDR);
    assert_status(drafted(&c, &d), MIKEY_MISSING);
    p.u.chash = (MikeyChash){MIKEY_HASH_SHA_256, mikey_bytes(sha_256, 32)};
    draft_add(&d, &p);
    assert_status(drafted(&c, &d), MIKEY_BAD_MAC); /* nothing is looked at before the signature */
    p.u.chash = (MikeyChash){MIKEY_HASH_MD5, mikey_bytes(md5, 16)};
    draft_add(&d, &p);
    assert_status(drafted(&c, &d), MIKEY_BAD_MAC);
    mikey_message_free(d.message);
    call_clear(&c);
}

/* Opens the request as @d says, with a signature that fits */
static MikeyStatus
signed_anew(Call *c, Draft *d)
{
    MikeyBuffer octets = draft_close(d, NULL, mikey_bytes(NULL, 0)), answer = MIKEY_BUFFER_INIT;
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    gsize len = (gsize)EVP_PKEY_get_size(c->account.key), at = octets.len - len;
    MikeyStatus status;

    EVP_DigestSignInit(ctx, NULL, EVP_sha256(), NULL, c->account.key);
    EVP_DigestSignUpdate(ctx, octets.data, at);
    EVP_DigestSignUpdate(ctx, WORLD_ALICE WORLD_KMS, strlen(WORLD_ALICE WORLD_KMS));
    g_assert_cmpint(EVP_DigestSignFinal(ctx, octets.data + at, &len), ==, 1);
    EVP_MD_CTX_free(ctx);
    status = kms(c, mikey_bytes(octets.data, octets.len), &answer);
    mikey_buffer_clear(&octets);
    mikey_buffer_clear(&answer);
    draft_open(d, mikey_request_octets(c->w.request));
    return status;
}

static void
signed_messages_may_be_odd_as_well(void)
{
    static const guint8 octets[32] = {1};
    MikeyPayload p = {.number = MIKEY_CHASH};
    guint8 sha_1[20];
    unsigned int len = 0;
    Call c;
    Draft d;

    call_init(&c);
    ask(&c);
    draft_open(&d, mikey_request_octets(c.w.request));
    assert_status(signed_anew(&c, &d), MIKEY_OK);
    X509_digest(all.kms.certificate, EVP_sha1(), sha_1, &len);
    p.u.chash = (MikeyChash){MIKEY_HASH_SHA_1, mikey_bytes(sha_1, 20)};
    draft_add(&d, &p);
    assert_status(signed_anew(&c, &d), MIKEY_OK);
    p.u.chash = (MikeyChash){MIKEY_HASH_MD5, mikey_bytes(octets, 16)};
    draft_add(&d, &p);
    assert_status(signed_anew(&c, &d), MIKEY_BAD_HASH);
    p.u.chash = (MikeyChash){MIKEY_HASH_SHA_256, mikey_bytes(octets, 32)};
    draft_add(&d, &p);
    assert_status(signed_anew(&c, &d), MIKEY_BAD_CERTIFICATE);
    draft_find(&d, MIKEY_RANDR)->u.rand.rand.len = 31;
    assert_status(signed_anew(&c, &d), MIKEY_SHORT_RAND);
    draft_find(&d, MIKEY_PKE)->u.pke.data.len = 0;
    assert_status(signed_anew(&c, &d), MIKEY_OK); /* for the KMS; the answer is nobody's */
    mikey_message_free(d.message);
    call_clear(&c);
}

/* A key that the KMS has not: error 8 */
static void
another_key_of_the_kms_must_be_known(void)
{
    Call c;

    call_init(&c);
    c.account.name_certificate = true;
    c.verifier.pairs = c.pairs;
    assert_status(granted(&c), MIKEY_BAD_CERTIFICATE);
    c.verifier.n_pairs = 2;
    assert_status(granted(&c), MIKEY_OK);
    c.pairs[1].certificate = NULL;
    assert_status(granted(&c), MIKEY_BAD_CERTIFICATE);
    c.verifier.n_pairs = 0;
    assert_status(granted(&c), MIKEY_ARGUMENT);
    call_clear(&c);
}

/* The KMS goes on as if nothing were, and its answer is worth nothing: no oracle */
static void
an_envelope_that_does_not_open_is_not_told(void)
{
    Call c;

    call_init(&c);
    c.verifier.pairs = c.pairs;
    assert_status(granted(&c), MIKEY_BAD_MAC);
    c.verifier.pairs = c.pairs + 1;
    c.verifier.oaep = true;
    assert_status(granted(&c), MIKEY_BAD_MAC);
    c.account.oaep = true;
    assert_status(granted(&c), MIKEY_OK);
    c.verifier.oaep = false;
    assert_status(granted(&c), MIKEY_BAD_MAC);
    call_clear(&c);
}

/* Of a REQUEST_INIT, and with @data of a RESOLVE_INIT */
static void
every_flip_and_cut_is_noticed(gconstpointer data)
{
    Call c;
    g_autofree guint8 *copy = NULL;
    MikeyBytes octets;
    const char *text = g_getenv("MIKEY_TEST_STRIDE");
    gsize stride = text != NULL ? (gsize)atoi(text) : 1;

    call_init(&c);
    c.account.sign_type = MIKEY_SIGN_RSA_PSS;
    if (data == NULL) {
        ask(&c);
        octets = mikey_request_octets(c.w.request);
    } else {
        assert_status(granted(&c), MIKEY_OK);
        assert_status(called(&c), MIKEY_OK);
        octets = mikey_resolve_octets(c.w.resolve);
    }
    copy = g_memdup2(octets.data, octets.len);
    for (gsize bit = 0; bit < 8 * octets.len; bit += 5 * stride) {
        MikeyBuffer answer = MIKEY_BUFFER_INIT;
        MikeyStatus status;

        copy[bit / 8] ^= (guint8)(1u << bit % 8);
        status = kms(&c, mikey_bytes(copy, octets.len), &answer);
        copy[bit / 8] ^= (guint8)(1u << bit % 8);
        mikey_buffer_clear(&answer);
        if (status == MIKEY_OK)
            g_error("nobody noticed bit %zu of octet %zu", bit % 8, bit / 8);
    }
    for (gsize len = 0; len < octets.len; len += stride) {
        g_autofree guint8 *exact = g_memdup2(octets.data, len > 0 ? len : 1);
        MikeyBuffer answer = MIKEY_BUFFER_INIT;

        g_assert_cmpint(kms(&c, mikey_bytes(exact, len), &answer), !=, MIKEY_OK);
    }
    call_clear(&c);
}

/* Once the user is known, an Error is under the envelope key */
static void
errors_are_authentic(void)
{
    Call c;
    MikeyQuery *query = NULL;
    MikeyBuffer error = MIKEY_BUFFER_INIT;
    MikeyPeerError told = {0, false};
    MikeyGrant *grant = NULL;

    call_init(&c);
    ask(&c);
    assert_status(mikey_query_open(mikey_request_octets(c.w.request), &c.w.env, &query), MIKEY_OK);
    assert_status(mikey_query_authenticate_pk(query, &c.verifier, &c.w.env, NULL), MIKEY_OK);
    assert_status(mikey_query_error(query, MIKEY_BAD_POLICY, &c.w.env, &error), MIKEY_OK);
    assert_status(mikey_request_finish(c.w.request, mikey_bytes(error.data, error.len), &c.w.env,
                                       &grant, &told),
                  MIKEY_PEER_ERROR);
    g_assert_true(told.authentic);
    g_assert_cmpuint(told.number, ==, 15);
    mikey_buffer_clear(&error);
    mikey_query_free(query);
    call_clear(&c);
}

/* ---- memory of the library's own; OpenSSL has its ways ---- */

typedef struct Memory {
    guint fail_at;
    guint n;
    gint live;
} Memory;

static void *
counting_alloc(size_t size, void *data)
{
    Memory *memory = data;

    if (++memory->n == memory->fail_at)
        return NULL;
    memory->live++;
    return malloc(size);
}

static void
counting_release(void *block, void *data)
{
    ((Memory *)data)->live--;
    free(block);
}

/* An Error about the request, under its envelope key, made and believed */
static MikeyStatus
try_error(Call *c)
{
    MikeyQuery *query = NULL;
    MikeyBuffer error = MIKEY_BUFFER_INIT;
    MikeyGrant *grant = NULL;
    MikeyStatus status = mikey_query_open(mikey_request_octets(c->w.request), &c->w.env, &query);

    if (status == MIKEY_OK)
        status = mikey_query_authenticate_pk(query, &c->verifier, &c->w.env, NULL);
    if (status == MIKEY_OK)
        status = mikey_query_error(query, MIKEY_BAD_POLICY, &c->w.env, &error);
    if (status == MIKEY_OK)
        status = world_grant(&c->w, mikey_bytes(error.data, error.len), &grant);
    mikey_query_free(query);
    mikey_buffer_clear(&error);
    return status == MIKEY_PEER_ERROR ? MIKEY_OK : status;
}

/* As granted(), without a word when something fails */
static MikeyStatus
try_grant(Call *c)
{
    MikeyBuffer answer = MIKEY_BUFFER_INIT;
    MikeyStatus status = mikey_request_new_pk(&c->account, &c->w.policy, &c->w.env, &c->w.request);

    if (status == MIKEY_OK)
        status = kms(c, mikey_request_octets(c->w.request), &answer);
    if (status == MIKEY_OK)
        status = world_grant(&c->w, mikey_bytes(answer.data, answer.len), &c->w.grant);
    mikey_buffer_clear(&answer);
    if (status == MIKEY_OK)
        status = called(c);
    return status == MIKEY_OK ? try_error(c) : status;
}

static void
every_failing_allocation_is_survived(void)
{
    Memory memory = {0, 0, 0};
    MikeyAllocator allocator = {counting_alloc, counting_release, &memory};
    const char *text = g_getenv("MIKEY_TEST_STRIDE");
    guint stride = text != NULL ? (guint)atoi(text) : 1, failed = 0;
    MikeyStatus status = MIKEY_NO_MEMORY;

    mikey_set_allocator(&allocator);
    for (guint at = 1; status != MIKEY_OK; at += at > 1 ? stride : 1) {
        Call c;

        memory.fail_at = at;
        memory.n = 0;
        call_init(&c);
        c.account.name_certificate = true;
        status = try_grant(&c);
        if (status != MIKEY_OK)
            g_assert_cmpint(status, ==, MIKEY_NO_MEMORY);
        failed += status != MIKEY_OK;
        call_clear(&c);
        g_assert_cmpint(memory.live, ==, 0);
    }
    mikey_set_allocator(NULL);
    g_test_message("%u allocations failed in turn", failed);
    g_assert_cmpuint(failed, >, stride > 1 ? 0 : 100);
}

static void
make_all(void)
{
    all.root =
        cert_make(&(PartySpec){.name = "root", .ca = true, .key_usage = "keyCertSign,cRLSign"});
    all.ca = cert_make(&(PartySpec){
        .name = "ca", .ca = true, .key_usage = "keyCertSign,cRLSign", .issuer = &all.root});
    all.alice =
        cert_make(&(PartySpec){.name = "alice", .uri = "URI:" WORLD_ALICE, .issuer = &all.ca});
    all.bob = cert_make(&(PartySpec){.name = "bob", .uri = "URI:" WORLD_BOB, .issuer = &all.ca});
    all.kms = cert_make(&(PartySpec){.name = "kms",
                                     .uri = "URI:" WORLD_KMS ",email:kms@operator.example",
                                     .key_usage = "keyEncipherment",
                                     .issuer = &all.ca});
    all.alice_ec = cert_make(&(PartySpec){
        .name = "alice", .uri = "URI:" WORLD_ALICE, .key = cert_ec("P-256"), .issuer = &all.ca});
    all.bob_ec = cert_make(&(PartySpec){
        .name = "bob", .uri = "URI:" WORLD_BOB, .key = cert_ec("P-256"), .issuer = &all.ca});
    all.eve = cert_make(&(PartySpec){.name = "eve", .ca = true});
}

int
main(int argc, char **argv)
{
    int result;

    g_test_init(&argc, &argv, NULL);
    make_all();
#define ADD(path, func) g_test_add_func("/mikey/pk/" path, func)
    ADD("every-scheme-makes-a-call", every_scheme_makes_a_call);
    ADD("a-known-certificate-need-not-be-sent", a_known_certificate_need_not_be_sent);
    ADD("pk-is-refused-unless-allowed", pk_is_refused_unless_allowed);
    ADD("certificates-must-be-in-order", certificates_must_be_in_order);
    ADD("a-weakly-signed-certificate-proves-nothing", a_weakly_signed_certificate_proves_nothing);
    ADD("another-signature-is-the-same-message", another_signature_is_the_same_message);
    ADD("an-untrusted-root-proves-nothing", an_untrusted_root_proves_nothing);
    ADD("a-revoked-certificate-is-refused", a_revoked_certificate_is_refused);
    ADD("the-certificate-of-the-kms-can-be-checked", the_certificate_of_the_kms_can_be_checked);
    ADD("accounts-must-make-sense", accounts_must_make_sense);
    ADD("odd-messages-are-refused", odd_messages_are_refused);
    ADD("signed-messages-may-be-odd-as-well", signed_messages_may_be_odd_as_well);
    ADD("another-key-of-the-kms-must-be-known", another_key_of_the_kms_must_be_known);
    ADD("an-envelope-that-does-not-open-is-not-told", an_envelope_that_does_not_open_is_not_told);
    g_test_add_data_func("/mikey/pk/every-flip-and-cut-is-noticed", NULL,
                         every_flip_and_cut_is_noticed);
    g_test_add_data_func("/mikey/pk/every-flip-and-cut-of-a-resolve-is-noticed", "",
                         every_flip_and_cut_is_noticed);
    ADD("errors-are-authentic", errors_are_authentic);
    ADD("every-failing-allocation-is-survived", every_failing_allocation_is_survived);
    result = g_test_run();
    cert_clear(&all.root);
    cert_clear(&all.ca);
    cert_clear(&all.alice);
    cert_clear(&all.bob);
    cert_clear(&all.kms);
    cert_clear(&all.alice_ec);
    cert_clear(&all.bob_ec);
    cert_clear(&all.eve);
    return result;
}
