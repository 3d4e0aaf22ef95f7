/* SPDX-License-Identifier: Apache-2.0 */
/* media/srtp.c - the SRTP seam: suites, framing checks, and the way to an implementation */
#include "media/srtp-private.h"

#include "media/media.h"
#include "media/wire.h"

static const ClvSrtpProfile profiles[CLV_N_SRTP_SUITES] = {
    [CLV_SRTP_AES_CM_128_HMAC_SHA1_80] = {"AES_CM_128_HMAC_SHA1_80", 16, 14, 10, 10, false},
    [CLV_SRTP_AES_CM_128_HMAC_SHA1_32] = {"AES_CM_128_HMAC_SHA1_32", 16, 14, 4, 10, false},
    [CLV_SRTP_AES_256_CM_HMAC_SHA1_80] = {"AES_256_CM_HMAC_SHA1_80", 32, 14, 10, 10, false},
    [CLV_SRTP_AES_256_CM_HMAC_SHA1_32] = {"AES_256_CM_HMAC_SHA1_32", 32, 14, 4, 10, false},
    [CLV_SRTP_AEAD_AES_128_GCM] = {"AEAD_AES_128_GCM", 16, 12, 16, 16, true},
    [CLV_SRTP_AEAD_AES_256_GCM] = {"AEAD_AES_256_GCM", 32, 12, 16, 16, true},
};

static const ClvSrtpOps *const engines[CLV_N_SRTP_ENGINES] = {
    [CLV_SRTP_OPENSSL] = &clv_srtp_openssl_ops,
    [CLV_SRTP_LIBSRTP] = &clv_srtp_libsrtp_ops,
};

#define RTCP_FIXED 8 /* the part of a compound packet that stays readable */
#define SRTCP_INDEX_LEN 4

const ClvSrtpProfile *
clv_srtp_profile(ClvSrtpSuite suite)
{
    if ((unsigned)suite >= CLV_N_SRTP_SUITES || profiles[suite].name == NULL)
        return NULL;
    return &profiles[suite];
}

size_t
clv_srtp_rtp_header_len(const uint8_t *packet, size_t len)
{
    ClvReader r = {.next = packet, .left = len};
    uint8_t first = clv_read_u8(&r);

    if (first >> 6 != 2)
        return 0;
    (void)clv_read_bytes(&r, 11 + 4u * (first & 0x0f));
    if ((first & 0x10) != 0) {
        (void)clv_read_u16(&r);
        (void)clv_read_bytes(&r, 4u * clv_read_u16(&r));
    }
    return r.bad ? 0 : len - r.left;
}

uint64_t
clv_srtp_guess_index(uint64_t newest, uint16_t seq)
{
    const uint64_t turn = 1u << 16;
    uint16_t low = (uint16_t)newest;
    uint64_t guess = (newest & ~(turn - 1)) | seq;

    if (low < 0x8000 && seq - low > 0x8000 && guess >= turn)
        return guess - turn;
    if (low >= 0x8000 && low - 0x8000 > seq)
        return guess + turn;
    return guess;
}

ClvSrtp *
clv_srtp_new(ClvSrtpEngine engine, const ClvSrtpKeys *keys, ClvSrtpSide side, GError **error)
{
    const ClvSrtpProfile *profile = clv_srtp_profile(keys->suite);
    ClvSrtp *srtp;

    if (profile == NULL || (unsigned)engine >= CLV_N_SRTP_ENGINES) {
        g_set_error(error, CLV_MEDIA_ERROR, CLV_MEDIA_ERROR_SRTP,
                    "SRTP suite number %d is not known", (int)keys->suite);
        return NULL;
    }
    if (keys->key_len != profile->key_len || keys->salt_len != profile->salt_len ||
        keys->mki_len > CLV_SRTP_MAX_MKI) {
        g_set_error(error, CLV_MEDIA_ERROR, CLV_MEDIA_ERROR_SRTP,
                    "%s takes a key of %u and a salt of %u octets, got %u and %u", profile->name,
                    profile->key_len, profile->salt_len, keys->key_len, keys->salt_len);
        return NULL;
    }

    srtp = engines[engine]->make(keys, side, error);
    if (srtp == NULL)
        return NULL;
    srtp->ops = engines[engine];
    srtp->profile = profile;
    srtp->side = side;
    srtp->mki_len = keys->mki_len;
    memcpy(srtp->mki, keys->mki, keys->mki_len);
    if (keys->has_ssrc)
        (void)clv_srtp_set_roc(srtp, keys->ssrc, keys->roc);
    return srtp;
}

void
clv_srtp_free(ClvSrtp *srtp)
{
    if (srtp != NULL)
        srtp->ops->destroy(srtp);
}

ClvSrtpVerdict
clv_srtp_protect_rtp(ClvSrtp *srtp, uint8_t *packet, size_t *len, size_t room)
{
    if (clv_srtp_rtp_header_len(packet, *len) == 0)
        return CLV_SRTP_MALFORMED;
    if (room < *len || room - *len < (size_t)srtp->profile->rtp_tag_len + srtp->mki_len)
        return CLV_SRTP_NO_ROOM;
    return srtp->ops->protect_rtp(srtp, packet, len);
}

ClvSrtpVerdict
clv_srtp_unprotect_rtp(ClvSrtp *srtp, uint8_t *packet, size_t *len)
{
    size_t trailer = (size_t)srtp->profile->rtp_tag_len + srtp->mki_len;

    if (*len < trailer || clv_srtp_rtp_header_len(packet, *len - trailer) == 0)
        return CLV_SRTP_MALFORMED;
    return srtp->ops->unprotect_rtp(srtp, packet, len);
}

ClvSrtpVerdict
clv_srtp_protect_rtcp(ClvSrtp *srtp, uint8_t *packet, size_t *len, size_t room)
{
    size_t trailer = (size_t)srtp->profile->rtcp_tag_len + srtp->mki_len + SRTCP_INDEX_LEN;

    if (*len < RTCP_FIXED || packet[0] >> 6 != 2)
        return CLV_SRTP_MALFORMED;
    if (room < *len || room - *len < trailer)
        return CLV_SRTP_NO_ROOM;
    return srtp->ops->protect_rtcp(srtp, packet, len);
}

ClvSrtpVerdict
clv_srtp_unprotect_rtcp(ClvSrtp *srtp, uint8_t *packet, size_t *len)
{
    size_t trailer = (size_t)srtp->profile->rtcp_tag_len + srtp->mki_len + SRTCP_INDEX_LEN;

    if (*len < RTCP_FIXED + trailer || packet[0] >> 6 != 2)
        return CLV_SRTP_MALFORMED;
    return srtp->ops->unprotect_rtcp(srtp, packet, len);
}

bool
clv_srtp_get_roc(const ClvSrtp *srtp, uint32_t ssrc, uint32_t *out_roc)
{
    return srtp->ops->get_roc(srtp, ssrc, out_roc);
}

bool
clv_srtp_set_roc(ClvSrtp *srtp, uint32_t ssrc, uint32_t roc)
{
    return srtp->ops->set_roc(srtp, ssrc, roc);
}

void
clv_srtp_carry(ClvSrtp *fresh, const ClvSrtp *old)
{
    if (fresh->ops == old->ops && fresh->side == old->side)
        fresh->ops->carry(fresh, old);
}
