/* SPDX-License-Identifier: Apache-2.0 */
/* ua/crypt.c - libsrtp2 with one policy for one direction */
#include "ua/crypt.h"

#include <openssl/crypto.h>
#include <srtp2/srtp.h>
#include <string.h>

G_DEFINE_QUARK(clv_ua_crypt_error, clv_ua_crypt_error)

struct ClvUaCrypt {
    srtp_t session; /* NULL: in the clear */
    gboolean mki;
};

typedef void (*PolicyFunc)(srtp_crypto_policy_t *policy);

/* Control packets keep the long tag also where media packets have the short one. */
static const struct {
    PolicyFunc rtp, rtcp;
} policies[CLV_N_SRTP_SUITES] = {
    [CLV_SRTP_AES_CM_128_HMAC_SHA1_80] = {srtp_crypto_policy_set_rtp_default,
                                          srtp_crypto_policy_set_rtcp_default},
    [CLV_SRTP_AES_CM_128_HMAC_SHA1_32] = {srtp_crypto_policy_set_aes_cm_128_hmac_sha1_32,
                                          srtp_crypto_policy_set_rtcp_default},
    [CLV_SRTP_AES_256_CM_HMAC_SHA1_80] = {srtp_crypto_policy_set_aes_cm_256_hmac_sha1_80,
                                          srtp_crypto_policy_set_aes_cm_256_hmac_sha1_80},
    [CLV_SRTP_AES_256_CM_HMAC_SHA1_32] = {srtp_crypto_policy_set_aes_cm_256_hmac_sha1_32,
                                          srtp_crypto_policy_set_aes_cm_256_hmac_sha1_80},
    [CLV_SRTP_AEAD_AES_128_GCM] = {srtp_crypto_policy_set_aes_gcm_128_16_auth,
                                   srtp_crypto_policy_set_aes_gcm_128_16_auth},
    [CLV_SRTP_AEAD_AES_256_GCM] = {srtp_crypto_policy_set_aes_gcm_256_16_auth,
                                   srtp_crypto_policy_set_aes_gcm_256_16_auth},
};

gboolean
clv_ua_crypt_start(void)
{
    static gsize state; /* 1: works, 2: does not */

    if (g_once_init_enter(&state))
        g_once_init_leave(&state, srtp_init() == srtp_err_status_ok ? 1 : 2);
    return state == 1;
}

ClvUaCrypt *
clv_ua_crypt_new(const ClvSrtpKeys *keys, gboolean inbound, GError **error)
{
    guint8 key[CLV_SRTP_MAX_KEY + CLV_SRTP_MAX_SALT];
    guint8 mki[CLV_SRTP_MAX_MKI];
    srtp_master_key_t master = {.key = key, .mki_id = mki, .mki_size = keys->mki_len};
    srtp_master_key_t *masters[] = {&master};
    srtp_policy_t policy = {.window_size = 1024};
    ClvUaCrypt *crypt = g_new0(ClvUaCrypt, 1);
    srtp_err_status_t status;

    if (keys->suite == CLV_SRTP_NONE)
        return crypt;

    policies[keys->suite].rtp(&policy.rtp);
    policies[keys->suite].rtcp(&policy.rtcp);
    policy.ssrc.type = inbound ? ssrc_any_inbound : ssrc_any_outbound;
    memcpy(key, keys->key, keys->key_len);
    memcpy(key + keys->key_len, keys->salt, keys->salt_len);
    memcpy(mki, keys->mki, sizeof mki);
    if (keys->mki_len > 0) {
        policy.keys = masters;
        policy.num_master_keys = 1;
    } else {
        policy.key = key;
    }
    status =
        clv_ua_crypt_start() ? srtp_create(&crypt->session, &policy) : srtp_err_status_init_fail;
    OPENSSL_cleanse(key, sizeof key);
    if (status != srtp_err_status_ok) {
        g_set_error(error, CLV_UA_CRYPT_ERROR, (int)status, "libsrtp2 refuses the keys (status %d)",
                    (int)status);
        g_free(crypt);
        return NULL;
    }
    crypt->mki = keys->mki_len > 0;
    return crypt;
}

void
clv_ua_crypt_free(ClvUaCrypt *crypt)
{
    if (crypt == NULL)
        return;
    if (crypt->session != NULL)
        srtp_dealloc(crypt->session);
    g_free(crypt);
}

gboolean
clv_ua_crypt_protect(ClvUaCrypt *crypt, guint8 *packet, gsize *len, gboolean rtcp)
{
    int n = (int)*len;
    srtp_err_status_t status;

    if (crypt->session == NULL)
        return TRUE;
    status = rtcp ? srtp_protect_rtcp_mki(crypt->session, packet, &n, crypt->mki, 0)
                  : srtp_protect_mki(crypt->session, packet, &n, crypt->mki, 0);
    if (status != srtp_err_status_ok)
        return FALSE;
    *len = (gsize)n;
    return TRUE;
}

ClvUaVerdict
clv_ua_crypt_unprotect(ClvUaCrypt *crypt, guint8 *packet, gsize *len, gboolean rtcp)
{
    int n = (int)*len;
    srtp_err_status_t status;

    if (crypt->session == NULL)
        return CLV_UA_GOOD;
    status = rtcp ? srtp_unprotect_rtcp_mki(crypt->session, packet, &n, crypt->mki)
                  : srtp_unprotect_mki(crypt->session, packet, &n, crypt->mki);
    switch (status) {
    case srtp_err_status_ok:
        *len = (gsize)n;
        return CLV_UA_GOOD;
    case srtp_err_status_auth_fail:
    case srtp_err_status_bad_mki:
        return CLV_UA_BAD_AUTH;
    case srtp_err_status_replay_fail:
    case srtp_err_status_replay_old:
        return CLV_UA_REPLAYED;
    default:
        return CLV_UA_MALFORMED;
    }
}
