/* SPDX-License-Identifier: Apache-2.0 */
/* libmikey/seal.c - HMAC, counter mode, and keys in and out of a KEMAC */
#include <libmikey/private.h>

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <stdatomic.h>
#include <string.h>

#define SALT_LEN 14u
#define MAX_MAC 32u

/* Looking up HMAC and its hash takes longer than computing it, so each is looked up once for the
 * process: contexts with a hash and without a key, never changed after that. */
static EVP_MAC_CTX *
blank_hmac(uint8_t alg)
{
    static _Atomic(EVP_MAC_CTX *) kept[2];
    char sha_1[] = "SHA1", sha_256[] = "SHA256";
    bool is_sha_1 = alg == MIKEY_MAC_HMAC_SHA_1_160;
    _Atomic(EVP_MAC_CTX *) *place = &kept[is_sha_1 ? 0 : 1];
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, is_sha_1 ? sha_1 : sha_256, 0),
        OSSL_PARAM_construct_end(),
    };
    EVP_MAC_CTX *there = atomic_load_explicit(place, memory_order_acquire);
    EVP_MAC_CTX *ctx;
    EVP_MAC *hmac;

    if (there != NULL)
        return there;
    hmac = EVP_MAC_fetch(NULL, "HMAC", NULL);
    ctx = hmac != NULL ? EVP_MAC_CTX_new(hmac) : NULL;
    EVP_MAC_free(hmac);
    if (ctx == NULL || EVP_MAC_CTX_set_params(ctx, params) != 1 ||
        !atomic_compare_exchange_strong(place, &there, ctx)) {
        EVP_MAC_CTX_free(ctx); /* failed, or another thread was faster */
        return there;
    }
    return ctx;
}

MikeyStatus
mikey_hmac_open(MikeyHmac *hmac, uint8_t alg, MikeyBytes key)
{
    const EVP_MAC_CTX *blank;

    memset(hmac, 0, sizeof(*hmac));
    hmac->len = mikey_mac_len(alg);
    if (hmac->len == 0)
        return MIKEY_BAD_MAC_ALG;
    blank = blank_hmac(alg);
    hmac->ctx = blank != NULL ? EVP_MAC_CTX_dup(blank) : NULL;
    if (hmac->ctx == NULL || EVP_MAC_init(hmac->ctx, key.data, key.len, NULL) != 1)
        return MIKEY_CRYPTO;
    hmac->ready = true;
    return MIKEY_OK;
}

void
mikey_hmac_close(MikeyHmac *hmac)
{
    EVP_MAC_CTX_free(hmac->ctx); /* wipes the key */
    hmac->ctx = NULL;
}

static bool
hmac_run(MikeyHmac *hmac, const MikeyBytes *parts, size_t n_parts, uint8_t mac[EVP_MAX_MD_SIZE])
{
    size_t written = 0;

    /* without a key: as it was after the key */
    if (!hmac->ready && EVP_MAC_init(hmac->ctx, NULL, 0, NULL) != 1)
        return false;
    hmac->ready = false;
    for (size_t i = 0; i < n_parts; i++) {
        if (parts[i].len > 0 && EVP_MAC_update(hmac->ctx, parts[i].data, parts[i].len) != 1)
            return false;
    }
    return EVP_MAC_final(hmac->ctx, mac, &written, EVP_MAX_MD_SIZE) == 1 && written == hmac->len;
}

MikeyStatus
mikey_hmac_next(MikeyHmac *hmac, const MikeyBytes *parts, size_t n_parts, uint8_t *out)
{
    uint8_t mac[EVP_MAX_MD_SIZE];
    bool done = hmac_run(hmac, parts, n_parts, mac);

    if (done)
        memcpy(out, mac, hmac->len);
    OPENSSL_cleanse(mac, sizeof(mac));
    return done ? MIKEY_OK : MIKEY_CRYPTO;
}

MikeyStatus
mikey_hmac(uint8_t alg, MikeyBytes key, const MikeyBytes *parts, size_t n_parts, uint8_t *out)
{
    MikeyHmac hmac;
    MikeyStatus status = mikey_hmac_open(&hmac, alg, key);

    if (status == MIKEY_OK)
        status = mikey_hmac_next(&hmac, parts, n_parts, out);
    mikey_hmac_close(&hmac);
    return status;
}

MikeyStatus
mikey_mac(uint8_t alg, const MikeyKey *auth, const MikeyBytes *parts, size_t n_parts, uint8_t *out,
          size_t *out_len)
{
    MikeyStatus status;

    if (auth->len == 0)
        return MIKEY_ARGUMENT;
    status = mikey_hmac(alg, mikey_bytes(auth->bytes, auth->len), parts, n_parts, out);
    if (status == MIKEY_OK)
        *out_len = mikey_mac_len(alg);
    return status;
}

MikeyStatus
mikey_mac_verify(const MikeyV *v, const MikeyKey *auth, const MikeyBytes *parts, size_t n_parts)
{
    uint8_t mac[MAX_MAC];
    size_t len = 0;
    MikeyStatus status = mikey_mac(v->alg, auth, parts, n_parts, mac, &len);

    if (status != MIKEY_OK)
        return status;
    if (v->mac.len != len || CRYPTO_memcmp(mac, v->mac.data, len) != 0)
        status = MIKEY_BAD_MAC;
    OPENSSL_cleanse(mac, sizeof(mac));
    return status;
}

uint64_t
mikey_timestamp_iv(const MikeyTimestamp *t)
{
    return t->type == MIKEY_TS_NTP_UTC_32 ? t->value << 32 : t->value;
}

MikeyStatus
mikey_iv(const MikeyKey *salt, uint32_t csb_id, const MikeyTimestamp *t,
         uint8_t out_iv[MIKEY_IV_LEN])
{
    uint64_t time = mikey_timestamp_iv(t);
    uint8_t iv[MIKEY_IV_LEN] = {0};

    if (salt->len != SALT_LEN)
        return MIKEY_ARGUMENT;
    memcpy(iv, salt->bytes, SALT_LEN);
    for (size_t i = 0; i < 4; i++)
        iv[2 + i] ^= (uint8_t)(csb_id >> (8 * (3 - i)));
    for (size_t i = 0; i < 8; i++)
        iv[6 + i] ^= (uint8_t)(time >> (8 * (7 - i)));
    memcpy(out_iv, iv, sizeof(iv));
    OPENSSL_cleanse(iv, sizeof(iv));
    return MIKEY_OK;
}

MikeyStatus
mikey_cipher(uint8_t encr_alg, const MikeyKey *encr, const uint8_t iv[MIKEY_IV_LEN], MikeyBytes in,
             uint8_t *out)
{
    const EVP_CIPHER *cipher;
    EVP_CIPHER_CTX *ctx;
    size_t key_len;
    int len = 0;
    bool done;

    if (encr_alg != MIKEY_ENCR_AES_CM_128 && encr_alg != MIKEY_ENCR_AES_CM_256)
        return MIKEY_BAD_ENCR_ALG;
    key_len = encr_alg == MIKEY_ENCR_AES_CM_128 ? 16 : 32;
    cipher = encr_alg == MIKEY_ENCR_AES_CM_128 ? EVP_aes_128_ctr() : EVP_aes_256_ctr();
    if (encr->len != key_len)
        return MIKEY_ARGUMENT;
    if (in.len > MIKEY_MAX_ENCRYPTED)
        return MIKEY_TOO_LARGE;
    if (in.len == 0)
        return MIKEY_OK;

    ctx = EVP_CIPHER_CTX_new();
    done = ctx != NULL && EVP_EncryptInit_ex(ctx, cipher, NULL, encr->bytes, iv) == 1 &&
           EVP_EncryptUpdate(ctx, out, &len, in.data, (int)in.len) == 1 && len == (int)in.len;
    EVP_CIPHER_CTX_free(ctx);
    return done ? MIKEY_OK : MIKEY_CRYPTO;
}

MikeyStatus
mikey_keys_seal(uint8_t encr_alg, const MikeyMessageKeys *keys, uint32_t csb_id,
                const MikeyTimestamp *t, const MikeyKeyData *data, size_t n_data, MikeyBuffer *out)
{
    MikeyWriter w = MIKEY_WRITER_INIT;
    MikeyBuffer sealed = MIKEY_BUFFER_INIT;
    uint8_t iv[MIKEY_IV_LEN];
    MikeyStatus status = mikey_iv(&keys->salt, csb_id, t, iv);

    if (status != MIKEY_OK)
        return status;
    if (n_data > MIKEY_MAX_KEYS)
        return MIKEY_TOO_LARGE;
    mikey_key_chain_write(&w, data, n_data);
    status = mikey_writer_finish(&w, &sealed);
    if (status != MIKEY_OK)
        return status;
    status = mikey_cipher(encr_alg, &keys->encr, iv, mikey_buffer_bytes(&sealed), sealed.data);
    if (status != MIKEY_OK) {
        mikey_buffer_clear(&sealed);
        return status;
    }
    *out = sealed;
    return MIKEY_OK;
}

MikeyStatus
mikey_keys_open(const MikeyKemac *kemac, const MikeyMessageKeys *keys, uint32_t csb_id,
                const MikeyTimestamp *t, MikeyKeyData *out_data, size_t *out_n_data)
{
    uint8_t iv[MIKEY_IV_LEN];
    uint8_t *clear;
    MikeyStatus status = mikey_iv(&keys->salt, csb_id, t, iv);

    if (status != MIKEY_OK)
        return status;
    clear = mikey_alloc(kemac->encr_data.len);
    if (clear == NULL)
        return MIKEY_NO_MEMORY;
    status = mikey_cipher(kemac->encr_alg, &keys->encr, iv, kemac->encr_data, clear);
    if (status == MIKEY_OK)
        status =
            mikey_key_chain_read(mikey_bytes(clear, kemac->encr_data.len), out_data, out_n_data);
    mikey_release_secret(clear, kemac->encr_data.len);
    return status;
}
