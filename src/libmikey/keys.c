/* SPDX-License-Identifier: Apache-2.0 */
/* libmikey/keys.c - sets of keys: what a KMS sends, what may be used together, forking */
#include <libmikey/private.h>

#include <string.h>

#define MIN_KEY 16u

static bool
same_spi(const MikeyKeyData *a, const MikeyKeyData *b)
{
    return a->spi_len == b->spi_len && memcmp(a->spi, b->spi, a->spi_len) == 0;
}

static bool
key_fits(const MikeyKeyData *key, uint8_t prf)
{
    size_t suite_len = mikey_suite_key_len(prf);

    if (key->kv != MIKEY_KV_SPI || key->spi_len == 0)
        return false;
    switch (key->type) {
    case MIKEY_KEY_TGK:
    case MIKEY_KEY_TGK_SALT:
    case MIKEY_KEY_GTGK:
    case MIKEY_KEY_GTGK_SALT:
        return key->key.len == suite_len;
    case MIKEY_KEY_TEK:
    case MIKEY_KEY_TEK_SALT:
        return key->key.len >= MIN_KEY && key->key.len <= suite_len;
    default:
        return false;
    }
}

MikeyStatus
mikey_session_keys_check(const MikeyKeyData *keys, size_t n_keys, uint8_t prf)
{
    for (size_t i = 0; i < n_keys; i++) {
        if (!key_fits(&keys[i], prf))
            return MIKEY_BAD_KEYS;
        for (size_t j = 0; j < i; j++) {
            if (same_spi(&keys[i], &keys[j]))
                return MIKEY_BAD_KEYS;
        }
    }
    return MIKEY_OK;
}

MikeyStatus
mikey_keys_copy(const MikeyKeyData *keys, size_t n_keys, MikeyKeyData **out_keys)
{
    MikeyKeyData *copy = mikey_alloc(n_keys * sizeof(*copy));

    if (copy == NULL)
        return MIKEY_NO_MEMORY;
    if (n_keys > 0)
        memcpy(copy, keys, n_keys * sizeof(*copy));
    *out_keys = copy;
    return MIKEY_OK;
}

void
mikey_keys_free(MikeyKeyData *keys, size_t n_keys)
{
    mikey_release_secret(keys, n_keys * sizeof(*keys));
}

MikeyStatus
mikey_keys_fork(uint8_t prf, const MikeyKeyData *keys, size_t n_keys, MikeyBytes id,
                MikeyBytes rand_kms, MikeyKeyData **out_keys)
{
    MikeyKeyData *forked = NULL;
    MikeyStatus status = mikey_keys_copy(keys, n_keys, &forked);

    for (size_t i = 0; i < n_keys && status == MIKEY_OK; i++) {
        /* TEK and GTGK are the same for everybody, and a salt stays what it was */
        if (keys[i].type == MIKEY_KEY_TGK || keys[i].type == MIKEY_KEY_TGK_SALT)
            status = mikey_fork(prf, MIKEY_C_FORK_TGK, &keys[i].key, id, rand_kms, &forked[i].key);
    }
    if (status != MIKEY_OK) {
        mikey_keys_free(forked, n_keys);
        return status;
    }
    *out_keys = forked;
    return MIKEY_OK;
}

void
mikey_kms_keys_clear(MikeyKmsKeys *keys)
{
    mikey_keys_free(keys->keys, keys->n_keys);
    mikey_key_clear(&keys->mpki);
    mikey_key_clear(&keys->mpkr);
    keys->keys = NULL;
    keys->n_keys = 0;
}

static bool
has_tgk(const MikeyKeyData *keys, size_t n_keys)
{
    for (size_t i = 0; i < n_keys; i++) {
        if (keys[i].type == MIKEY_KEY_TGK || keys[i].type == MIKEY_KEY_TGK_SALT)
            return true;
    }
    return false;
}

/* MPKi, with forking MPKr, then session keys; told apart by their place */
static MikeyStatus
kms_keys_sort(const MikeyKeyData *all, size_t n_all, const MikeyPolicy *policy,
              uint8_t transport_prf, MikeyKmsKeys *out)
{
    bool forked = (policy->flags & MIKEY_FLAG_I) != 0;
    size_t n_mpk = forked ? 2 : 1;
    size_t len = mikey_suite_key_len(policy->prf);
    MikeyStatus status;

    /* long keys do not travel under short ones */
    if (n_all < n_mpk || len > mikey_suite_key_len(transport_prf))
        return MIKEY_BAD_KEYS;
    for (size_t i = 0; i < n_mpk; i++) {
        if (all[i].type != MIKEY_KEY_MPK || all[i].key.len != len)
            return MIKEY_BAD_KEYS;
    }
    status = mikey_session_keys_check(all + n_mpk, n_all - n_mpk, policy->prf);
    if (status != MIKEY_OK)
        return status;
    if (forked && (policy->flags & MIKEY_FLAG_F) == 0 && has_tgk(all + n_mpk, n_all - n_mpk))
        return MIKEY_BAD_FLAGS;
    status = mikey_keys_copy(all + n_mpk, n_all - n_mpk, &out->keys);
    if (status != MIKEY_OK)
        return status;
    out->n_keys = n_all - n_mpk;
    out->mpki = all[0].key;
    if (forked)
        out->mpkr = all[1].key;
    return MIKEY_OK;
}

MikeyStatus
mikey_kms_keys_open(const MikeyMessage *answer, const MikeyMessageKeys *resp,
                    const MikeyPolicy *policy, MikeyKmsKeys *out_keys)
{
    const size_t size = MIKEY_MAX_KEYS * sizeof(MikeyKeyData);
    MikeyKeyData *all = mikey_alloc(size);
    size_t n_all = 0;
    MikeyStatus status;

    if (all == NULL)
        return MIKEY_NO_MEMORY;
    status = mikey_keys_open(mikey_message_kemac(answer), resp, answer->header.csb_id,
                             mikey_message_t(answer), all, &n_all);
    if (status == MIKEY_OK)
        status = kms_keys_sort(all, n_all, policy, answer->header.prf, out_keys);
    mikey_release_secret(all, size);
    return status;
}
