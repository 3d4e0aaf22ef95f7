/* SPDX-License-Identifier: Apache-2.0 */
/* libmikey/srtp.c - SP parameters to profiles, session keys to SRTP keys */
#include <libmikey/private.h>

#include <openssl/crypto.h>
#include <string.h>

enum {
    SP_ENCR = 0,
    SP_KEY_LEN = 1,
    SP_AUTH = 2,
    SP_AUTH_KEY_LEN = 3,
    SP_SALT_LEN = 4,
    SP_PRF = 5,
    SP_KDR = 6,
    SP_ENCRYPT = 7,
    SP_ENCRYPT_RTCP = 8,
    SP_FEC_ORDER = 9,
    SP_AUTHENTICATE = 10,
    SP_TAG_LEN = 11,
    SP_PREFIX_LEN = 12,
    SP_AEAD_TAG_LEN = 20,
    SP_N = 21
};

#define ENCR_AES_CM 1
#define ENCR_AES_GCM 6
#define MAX_VALUE 4u

typedef struct Profile {
    const char *name;
    uint8_t encr;
    uint8_t key_len;
    uint8_t salt_len;
    uint8_t tag_len;
    uint8_t n_params; /* octets */
    uint8_t params[33];
} Profile;

#define CM_PARAMS(key, tag)                                                                        \
    33,                                                                                            \
    {                                                                                              \
        0, 1, 1, 1, 1, key, 2, 1, 1, 3, 1, 20, 4, 1, 14, 5, 1, 0, 6, 1, 0, 7, 1, 1, 8, 1, 1, 10,   \
            1, 1, 11, 1, tag                                                                       \
    }
#define GCM_PARAMS(key)                                                                            \
    24,                                                                                            \
    {                                                                                              \
        0, 1, 6, 1, 1, key, 4, 1, 12, 5, 1, 0, 6, 1, 0, 7, 1, 1, 8, 1, 1, 20, 1, 16                \
    }

static const Profile profiles[MIKEY_SRTP_N_PROFILES] = {
    [MIKEY_SRTP_NONE] = {"none", 0, 0, 0, 0, 0, {0}},
    [MIKEY_SRTP_AES_CM_128_HMAC_SHA1_80] = {"AES_CM_128_HMAC_SHA1_80", ENCR_AES_CM, 16, 14, 10,
                                            CM_PARAMS(16, 10)},
    [MIKEY_SRTP_AES_CM_128_HMAC_SHA1_32] = {"AES_CM_128_HMAC_SHA1_32", ENCR_AES_CM, 16, 14, 4,
                                            CM_PARAMS(16, 4)},
    [MIKEY_SRTP_AES_256_CM_HMAC_SHA1_80] = {"AES_256_CM_HMAC_SHA1_80", ENCR_AES_CM, 32, 14, 10,
                                            CM_PARAMS(32, 10)},
    [MIKEY_SRTP_AES_256_CM_HMAC_SHA1_32] = {"AES_256_CM_HMAC_SHA1_32", ENCR_AES_CM, 32, 14, 4,
                                            CM_PARAMS(32, 4)},
    [MIKEY_SRTP_AEAD_AES_128_GCM] = {"AEAD_AES_128_GCM", ENCR_AES_GCM, 16, 12, 16, GCM_PARAMS(16)},
    [MIKEY_SRTP_AEAD_AES_256_GCM] = {"AEAD_AES_256_GCM", ENCR_AES_GCM, 32, 12, 16, GCM_PARAMS(32)},
};

static const Profile *
profile_of(MikeySrtpProfile profile)
{
    return &profiles[(unsigned)profile < MIKEY_SRTP_N_PROFILES ? profile : MIKEY_SRTP_NONE];
}

const char *
mikey_srtp_profile_string(MikeySrtpProfile profile)
{
    return profile_of(profile)->name;
}

MikeySrtpProfile
mikey_srtp_profile_from_string(const char *name)
{
    for (unsigned i = 1; i < MIKEY_SRTP_N_PROFILES; i++) {
        if (strcmp(profiles[i].name, name) == 0)
            return (MikeySrtpProfile)i;
    }
    return MIKEY_SRTP_NONE;
}

size_t
mikey_srtp_key_len(MikeySrtpProfile profile)
{
    return profile_of(profile)->key_len;
}

size_t
mikey_srtp_salt_len(MikeySrtpProfile profile)
{
    return profile_of(profile)->salt_len;
}

MikeyBytes
mikey_srtp_profile_params(MikeySrtpProfile profile)
{
    return mikey_bytes(profile_of(profile)->params, profile_of(profile)->n_params);
}

typedef struct Params {
    bool given[SP_N];
    uint32_t value[SP_N];
} Params;

static bool
param_is_known(uint8_t type)
{
    return type <= SP_PREFIX_LEN || type == SP_AEAD_TAG_LEN;
}

static MikeyStatus
params_read(MikeyBytes octets, Params *params)
{
    MikeyReader r = mikey_reader(octets);

    while (r.left > 0) {
        uint8_t type = mikey_read_u8(&r);
        MikeyBytes value = mikey_read_lv8(&r);

        if (r.bad || !param_is_known(type) || params->given[type])
            return MIKEY_BAD_PARAMETERS;
        if (value.len == 0 || value.len > MAX_VALUE)
            return MIKEY_BAD_PARAMETERS;
        params->given[type] = true;
        for (size_t i = 0; i < value.len; i++)
            params->value[type] = params->value[type] << 8 | value.data[i];
    }
    return MIKEY_OK;
}

static uint32_t
param(const Params *params, unsigned type, uint32_t otherwise)
{
    return params->given[type] ? params->value[type] : otherwise;
}

/* What every profile of ours has in common */
static bool
common_is_supported(const Params *params)
{
    return param(params, SP_PRF, 0) == 0 && param(params, SP_KDR, 0) == 0 &&
           param(params, SP_ENCRYPT, 1) == 1 && param(params, SP_ENCRYPT_RTCP, 1) == 1 &&
           param(params, SP_FEC_ORDER, 0) == 0 && param(params, SP_PREFIX_LEN, 0) == 0;
}

static bool
params_fit(const Params *params, const Profile *profile)
{
    bool gcm = profile->encr == ENCR_AES_GCM;

    if (param(params, SP_ENCR, ENCR_AES_CM) != profile->encr ||
        param(params, SP_KEY_LEN, 16) != profile->key_len ||
        param(params, SP_SALT_LEN, profile->salt_len) != profile->salt_len)
        return false;
    /* an AEAD has its own tag, and no use for what describes a MAC */
    if (gcm)
        return param(params, SP_AEAD_TAG_LEN, 16) == profile->tag_len;
    return param(params, SP_AUTH, 1) == 1 && param(params, SP_AUTH_KEY_LEN, 20) == 20 &&
           param(params, SP_AUTHENTICATE, 1) == 1 && !params->given[SP_AEAD_TAG_LEN] &&
           param(params, SP_TAG_LEN, 10) == profile->tag_len;
}

MikeyStatus
mikey_sp_profile(const MikeySp *sp, MikeySrtpProfile *out_profile)
{
    Params params = {.given = {false}};
    MikeyStatus status;

    if (sp->prot != MIKEY_PROT_SRTP)
        return MIKEY_BAD_PROTOCOL;
    status = params_read(sp->params, &params);
    if (status != MIKEY_OK)
        return status;
    if (!common_is_supported(&params))
        return MIKEY_BAD_PARAMETERS;
    for (unsigned i = 1; i < MIKEY_SRTP_N_PROFILES; i++) {
        if (params_fit(&params, &profiles[i])) {
            *out_profile = (MikeySrtpProfile)i;
            return MIKEY_OK;
        }
    }
    return MIKEY_BAD_PARAMETERS;
}

void
mikey_srtp_clear(MikeySrtp *srtp)
{
    OPENSSL_cleanse(srtp, sizeof(*srtp));
}

static bool
is_salted(const MikeyKeyData *key)
{
    return key->type == MIKEY_KEY_TGK_SALT || key->type == MIKEY_KEY_TEK_SALT ||
           key->type == MIKEY_KEY_GTGK_SALT;
}

static MikeyStatus
take_or_derive_salt(uint8_t prf, const MikeyKeyData *key, MikeyLabel *label, size_t len,
                    MikeyKey *out)
{
    if (is_salted(key))
        return key->salt.len == len ? mikey_key_set(out, key->salt.bytes, len) : MIKEY_BAD_KEYS;
    label->constant = MIKEY_C_TGK_SALT;
    return mikey_derive(prf, &key->key, label, len, out);
}

static MikeyStatus
derive(uint8_t prf, const MikeyKeyData *key, const Profile *profile, MikeyLabel *label,
       MikeySrtp *srtp)
{
    MikeyStatus status;

    /* nobody could tell the salt of a TEK that came without one */
    if (key->type == MIKEY_KEY_TEK || key->type == MIKEY_KEY_MPK)
        return MIKEY_BAD_KEYS;
    if (key->type == MIKEY_KEY_TEK_SALT) {
        if (key->key.len != profile->key_len)
            return MIKEY_BAD_KEYS;
        srtp->master_key = key->key;
    } else {
        status = mikey_derive(prf, &key->key, label, profile->key_len, &srtp->master_key);
        if (status != MIKEY_OK)
            return status;
    }
    return take_or_derive_salt(prf, key, label, profile->salt_len, &srtp->master_salt);
}

MikeyStatus
mikey_srtp_derive(uint8_t prf, const MikeyKeyData *key, const MikeyCs *cs, MikeySrtpProfile profile,
                  MikeyBytes rand_i, MikeyBytes rand_r, MikeySrtp *out_srtp)
{
    MikeyLabel label = {.constant = MIKEY_C_TEK,
                        .tag = MIKEY_TAG_SESSION,
                        .cs_id = cs->id,
                        .rand_i = rand_i,
                        .rand_r = rand_r};
    MikeySrtp srtp = {.cs_id = cs->id,
                      .profile = profile,
                      .mki_len = cs->spi_len,
                      .has_ssrc = cs->has_ssrc,
                      .ssrc = cs->ssrc,
                      .has_roc = cs->has_roc,
                      .roc = cs->roc,
                      .seq = cs->seq};
    MikeyStatus status;

    if (cs->prot != MIKEY_PROT_SRTP)
        return MIKEY_BAD_PROTOCOL;
    if (profile_of(profile)->key_len == 0)
        return MIKEY_BAD_PARAMETERS;
    memcpy(srtp.mki, cs->spi, cs->spi_len);
    status = derive(prf, key, profile_of(profile), &label, &srtp);
    if (status == MIKEY_OK)
        *out_srtp = srtp;
    mikey_srtp_clear(&srtp);
    return status;
}
