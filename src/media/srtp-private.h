/* SPDX-License-Identifier: Apache-2.0 */
/* media/srtp-private.h - what the two implementations of the SRTP seam share */
#pragma once

#include "media/srtp.h"

typedef struct ClvSrtpOps {
    ClvSrtp *(*make)(const ClvSrtpKeys *keys, ClvSrtpSide side, GError **error);
    void (*destroy)(ClvSrtp *srtp);
    ClvSrtpVerdict (*protect_rtp)(ClvSrtp *srtp, uint8_t *packet, size_t *len);
    ClvSrtpVerdict (*unprotect_rtp)(ClvSrtp *srtp, uint8_t *packet, size_t *len);
    ClvSrtpVerdict (*protect_rtcp)(ClvSrtp *srtp, uint8_t *packet, size_t *len);
    ClvSrtpVerdict (*unprotect_rtcp)(ClvSrtp *srtp, uint8_t *packet, size_t *len);
    bool (*get_roc)(const ClvSrtp *srtp, uint32_t ssrc, uint32_t *out_roc);
    bool (*set_roc)(ClvSrtp *srtp, uint32_t ssrc, uint32_t roc);
    void (*carry)(ClvSrtp *fresh, const ClvSrtp *old);
} ClvSrtpOps;

/* First member of either implementation. The callers have checked lengths, version and room. */
struct ClvSrtp {
    const ClvSrtpOps *ops;
    const ClvSrtpProfile *profile;
    ClvSrtpSide side;
    uint8_t mki[CLV_SRTP_MAX_MKI];
    uint8_t mki_len;
};

extern const ClvSrtpOps clv_srtp_openssl_ops;
extern const ClvSrtpOps clv_srtp_libsrtp_ops;

/* Labels of RFC 3711 section 4.3.1 and 4.3.2. */
enum {
    CLV_SRTP_LABEL_RTP_KEY,
    CLV_SRTP_LABEL_RTP_AUTH,
    CLV_SRTP_LABEL_RTP_SALT,
    CLV_SRTP_LABEL_RTCP_KEY,
    CLV_SRTP_LABEL_RTCP_AUTH,
    CLV_SRTP_LABEL_RTCP_SALT,
};

/* Key derivation with rate 0; a shorter salt is padded with zeros on the right (RFC 7714
 * section 11). False when the library fails. */
bool clv_srtp_derive(const uint8_t *key, size_t key_len, const uint8_t *salt, size_t salt_len,
                     uint8_t label, uint8_t *out, size_t out_len);

/* What derivation yields for one protocol; unused octets are zero. */
#define CLV_SRTP_AUTH_KEY 20
typedef struct ClvSrtpSessionKeys {
    uint8_t key[CLV_SRTP_MAX_KEY];
    uint8_t auth[CLV_SRTP_AUTH_KEY];
    uint8_t salt[CLV_SRTP_MAX_SALT];
} ClvSrtpSessionKeys;

/* Our transform with session keys given, as published vectors give them. */
ClvSrtp *clv_srtp_new_from_session(ClvSrtpSuite suite, ClvSrtpSide side,
                                   const ClvSrtpSessionKeys *rtp, const ClvSrtpSessionKeys *rtcp);

/* Length of the RTP header with CSRCs and extension, 0 when it does not fit into len or is not
 * version 2. */
size_t clv_srtp_rtp_header_len(const uint8_t *packet, size_t len);

/* RFC 3711 appendix A: the 48-bit index that a sequence number means after newest. */
uint64_t clv_srtp_guess_index(uint64_t newest, uint16_t seq);
