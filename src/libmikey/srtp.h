/* SPDX-License-Identifier: Apache-2.0 */
/* libmikey/srtp.h - security policies of SRTP and the keys that come out
 * (RFC 3830 section 6.10, RFC 7714) */
#pragma once

#include <libmikey/prf.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef enum MikeySrtpProfile {
    MIKEY_SRTP_NONE = 0,
    MIKEY_SRTP_AES_CM_128_HMAC_SHA1_80,
    MIKEY_SRTP_AES_CM_128_HMAC_SHA1_32,
    MIKEY_SRTP_AES_256_CM_HMAC_SHA1_80,
    MIKEY_SRTP_AES_256_CM_HMAC_SHA1_32,
    MIKEY_SRTP_AEAD_AES_128_GCM,
    MIKEY_SRTP_AEAD_AES_256_GCM,
    MIKEY_SRTP_N_PROFILES
} MikeySrtpProfile;

/* Returns: the name used in SDP, "AES_CM_128_HMAC_SHA1_80"; "none" otherwise */
const char *mikey_srtp_profile_string(MikeySrtpProfile profile);
/* Returns: MIKEY_SRTP_NONE for a name that is not known */
MikeySrtpProfile mikey_srtp_profile_from_string(const char *name);
size_t mikey_srtp_key_len(MikeySrtpProfile profile);
size_t mikey_srtp_salt_len(MikeySrtpProfile profile);

/* Parameters of an SP payload to a profile: absent ones have their defaults, values of 1 to 4
 * octets. MIKEY_BAD_PROTOCOL, or MIKEY_BAD_PARAMETERS when we cannot do it. */
MikeyStatus mikey_sp_profile(const MikeySp *sp, MikeySrtpProfile *out_profile);
/* The parameters sent for @profile; static. Empty for MIKEY_SRTP_NONE */
MikeyBytes mikey_srtp_profile_params(MikeySrtpProfile profile);

/**
 * MikeySrtp:
 * @cs_id: the crypto session, one direction of one m-line
 * @master_key, @master_salt: what the SRTP context is made from
 * @mki: goes into each packet when it is not empty
 * @has_ssrc, @ssrc: whose packets; an answer always has it
 * @has_roc: @roc and @seq are those to start from
 */
typedef struct MikeySrtp {
    uint8_t cs_id;
    MikeySrtpProfile profile;
    MikeyKey master_key;
    MikeyKey master_salt;
    uint8_t mki_len;
    uint8_t mki[MIKEY_MAX_SPI];
    bool has_ssrc;
    uint32_t ssrc;
    bool has_roc;
    uint32_t roc;
    uint16_t seq;
} MikeySrtp;

void mikey_srtp_clear(MikeySrtp *srtp);

/* From a session key (TGK' when keys are forked) to the keys of one crypto session.
 * @rand_i, @rand_r: as the G and H flags want them, otherwise empty */
MikeyStatus mikey_srtp_derive(uint8_t prf, const MikeyKeyData *key, const MikeyCs *cs,
                              MikeySrtpProfile profile, MikeyBytes rand_i, MikeyBytes rand_r,
                              MikeySrtp *out_srtp);

#ifdef __cplusplus
}
#endif
