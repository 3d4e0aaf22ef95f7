/* SPDX-License-Identifier: Apache-2.0 */
/* libmikey/prf.c - labels and key derivation */
#include <libmikey/private.h>

#include <openssl/crypto.h>
#include <string.h>

#define BLOCK_LEN 32u /* 256 bits of the input key at a time, for both hashes */
#define SALT_LEN 14u
#define ANY_CS 0xffu
#define ANY_CSB 0xffffffffu
#define N_MESSAGE_KEYS 3u /* encr, auth, salt */

typedef struct Suite {
    uint8_t mac;  /* a MikeyMacAlg */
    uint8_t encr; /* a MikeyEncrAlg */
    size_t key_len;
    size_t hash_len;
} Suite;

static const Suite suites[] = {
    [MIKEY_PRF_MIKEY_1] = {MIKEY_MAC_HMAC_SHA_1_160, MIKEY_ENCR_AES_CM_128, 16, 20},
    [MIKEY_PRF_HMAC_SHA_256] = {MIKEY_MAC_HMAC_SHA_256_256, MIKEY_ENCR_AES_CM_256, 32, 32},
};

static const Suite *
suite_of(uint8_t prf)
{
    static const Suite none = {MIKEY_MAC_NULL, MIKEY_ENCR_NULL, 0, 0};

    return prf < sizeof(suites) / sizeof(suites[0]) ? &suites[prf] : &none;
}

MikeyEncrAlg
mikey_suite_encr(uint8_t prf)
{
    return (MikeyEncrAlg)suite_of(prf)->encr;
}

MikeyMacAlg
mikey_suite_mac(uint8_t prf)
{
    return (MikeyMacAlg)suite_of(prf)->mac;
}

size_t
mikey_suite_key_len(uint8_t prf)
{
    return suite_of(prf)->key_len;
}

size_t
mikey_suite_auth_len(uint8_t prf)
{
    return suite_of(prf)->hash_len;
}

MikeyStatus
mikey_suite_check(uint8_t prf, const MikeyEnv *env)
{
    if (prf == MIKEY_PRF_HMAC_SHA_256 || (prf == MIKEY_PRF_MIKEY_1 && env->allow_128))
        return MIKEY_OK;
    return MIKEY_BAD_PRF;
}

/* What a label of each kind has after the tag */
typedef struct LabelForm {
    bool cs;     /* CS ID instead of FF */
    bool csb;    /* CSB ID instead of FFFFFFFF */
    bool id;     /* ID data */
    bool rand;   /* the one RAND */
    bool rand_2; /* RANDRi and RANDRr */
} LabelForm;

static const LabelForm forms[] = {
    [MIKEY_TAG_FORK] = {.id = true, .rand = true},
    [MIKEY_TAG_INIT] = {.csb = true, .rand_2 = true},
    [MIKEY_TAG_RESP] = {.csb = true, .rand_2 = true},
    [MIKEY_TAG_SESSION] = {.cs = true, .rand_2 = true},
    [MIKEY_TAG_INITIATOR_DATA] = {.cs = false},
    [MIKEY_TAG_TICKET] = {.rand = true},
    [MIKEY_TAG_MPK] = {.rand = true},
};

void
mikey_label_write(MikeyWriter *w, const MikeyLabel *label)
{
    const LabelForm *form;

    if ((size_t)label->tag >= sizeof(forms) / sizeof(forms[0])) {
        w->bad = w->bad != MIKEY_OK ? w->bad : MIKEY_ARGUMENT;
        return;
    }
    form = &forms[label->tag];
    mikey_write_u32(w, (uint32_t)label->constant);
    mikey_write_u8(w, form->cs ? label->cs_id : ANY_CS);
    mikey_write_u32(w, form->csb ? label->csb_id : ANY_CSB);
    mikey_write_u8(w, (uint8_t)label->tag);
    if (form->id)
        mikey_write_lv16(w, label->id);
    if (form->rand)
        mikey_write_lv8(w, label->rand);
    if (form->rand_2) {
        mikey_write_lv8(w, label->rand_i);
        mikey_write_lv8(w, label->rand_r);
    }
}

/* P(s, label, m), xored into @out; @hmac has the key s */
static MikeyStatus
xor_p(MikeyHmac *hmac, MikeyBytes label, uint8_t *out, size_t len)
{
    uint8_t a[BLOCK_LEN], p[BLOCK_LEN];
    MikeyBytes a_label[2] = {label, label};
    MikeyStatus status = mikey_hmac_next(hmac, &label, 1, a);

    for (size_t done = 0; done < len && status == MIKEY_OK; done += hmac->len) {
        size_t n = len - done < hmac->len ? len - done : hmac->len;

        a_label[0] = mikey_bytes(a, hmac->len);
        status = mikey_hmac_next(hmac, a_label, 2, p);
        for (size_t i = 0; i < n && status == MIKEY_OK; i++)
            out[done + i] ^= p[i];
        if (status == MIKEY_OK && done + n < len)
            status = mikey_hmac_next(hmac, a_label, 1, a);
    }
    OPENSSL_cleanse(a, sizeof(a));
    OPENSSL_cleanse(p, sizeof(p));
    return status;
}

/* One key of @len octets for each label, from a key that goes into HMAC block by block */
typedef struct Derived {
    MikeyBytes label;
    size_t len;
    MikeyKey *key;
} Derived;

static MikeyStatus
derive_all(const Suite *suite, const MikeyKey *inkey, const Derived *derived, size_t n_derived)
{
    MikeyStatus status = MIKEY_OK;

    for (size_t at = 0; at < inkey->len && status == MIKEY_OK; at += BLOCK_LEN) {
        size_t n = inkey->len - at < BLOCK_LEN ? inkey->len - at : BLOCK_LEN;
        MikeyHmac hmac;

        status = mikey_hmac_open(&hmac, suite->mac, mikey_bytes(inkey->bytes + at, n));
        for (size_t i = 0; i < n_derived && status == MIKEY_OK; i++)
            status = xor_p(&hmac, derived[i].label, derived[i].key->bytes, derived[i].len);
        mikey_hmac_close(&hmac);
    }
    return status;
}

MikeyStatus
mikey_prf(uint8_t prf, const MikeyKey *inkey, MikeyBytes label, size_t len, MikeyKey *out_key)
{
    const Suite *suite = suite_of(prf);
    MikeyKey key = {.len = len};
    Derived derived = {label, len, &key};
    MikeyStatus status;

    if (suite->hash_len == 0)
        return MIKEY_BAD_PRF;
    if (len > MIKEY_MAX_KEY || inkey->len == 0 || inkey->len > MIKEY_MAX_KEY)
        return MIKEY_ARGUMENT;

    status = derive_all(suite, inkey, &derived, 1);
    if (status == MIKEY_OK)
        *out_key = key;
    mikey_key_clear(&key);
    return status;
}

MikeyStatus
mikey_derive(uint8_t prf, const MikeyKey *inkey, const MikeyLabel *label, size_t len,
             MikeyKey *out_key)
{
    MikeyWriter w = MIKEY_WRITER_INIT;
    MikeyStatus status;

    mikey_label_write(&w, label);
    status = w.bad;
    if (status == MIKEY_OK)
        status = mikey_prf(prf, inkey, mikey_writer_octets(&w), len, out_key);
    mikey_writer_clear(&w);
    return status;
}

void
mikey_message_keys_clear(MikeyMessageKeys *keys)
{
    OPENSSL_cleanse(keys, sizeof(*keys));
}

MikeyStatus
mikey_message_keys(uint8_t prf, const MikeyKey *inkey, const MikeyLabel *label,
                   MikeyMessageKeys *out_keys)
{
    static const MikeyConstant constants[N_MESSAGE_KEYS] = {MIKEY_C_ENCR, MIKEY_C_AUTH,
                                                            MIKEY_C_SALT};
    const Suite *suite = suite_of(prf);
    MikeyMessageKeys keys = {
        .encr.len = suite->key_len, .auth.len = suite->hash_len, .salt.len = SALT_LEN};
    MikeyWriter labels[N_MESSAGE_KEYS] = {MIKEY_WRITER_INIT, MIKEY_WRITER_INIT, MIKEY_WRITER_INIT};
    Derived derived[N_MESSAGE_KEYS] = {
        {.len = suite->key_len, .key = &keys.encr},
        {.len = suite->hash_len, .key = &keys.auth},
        {.len = SALT_LEN, .key = &keys.salt},
    };
    MikeyStatus status = MIKEY_OK;

    if (suite->hash_len == 0)
        return MIKEY_BAD_PRF;
    if (inkey->len == 0 || inkey->len > MIKEY_MAX_KEY)
        return MIKEY_ARGUMENT;

    for (size_t i = 0; i < N_MESSAGE_KEYS; i++) {
        MikeyLabel own = *label;

        own.constant = constants[i];
        mikey_label_write(&labels[i], &own);
        derived[i].label = mikey_writer_octets(&labels[i]);
        status = status != MIKEY_OK ? status : labels[i].bad;
    }
    if (status == MIKEY_OK)
        status = derive_all(suite, inkey, derived, N_MESSAGE_KEYS);
    for (size_t i = 0; i < N_MESSAGE_KEYS; i++)
        mikey_writer_clear(&labels[i]);
    if (status == MIKEY_OK)
        *out_keys = keys;
    mikey_message_keys_clear(&keys);
    return status;
}

MikeyStatus
mikey_fork(uint8_t prf, MikeyConstant constant, const MikeyKey *key, MikeyBytes id,
           MikeyBytes rand_kms, MikeyKey *out_key)
{
    MikeyLabel label = {.constant = constant, .tag = MIKEY_TAG_FORK, .id = id, .rand = rand_kms};

    return mikey_derive(prf, key, &label, key->len, out_key);
}
