/* SPDX-License-Identifier: Apache-2.0 */
/* media/rtp.h - what do these octets say as an RTP packet (RFC 3550 section 5.1), and the reverse
 *
 * Pure. Read only what SRTP has authenticated.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CLV_RTP_MAX_CSRCS 15
#define CLV_RTP_MAX_HEADER (12 + 4 * CLV_RTP_MAX_CSRCS)

typedef struct ClvRtpPacket {
    bool marker;
    uint8_t pt;
    uint16_t seq;
    uint32_t timestamp;
    uint32_t ssrc;
    uint8_t n_csrcs;
    uint32_t csrcs[CLV_RTP_MAX_CSRCS];
    bool has_extension;
    uint16_t extension_profile;
    const uint8_t *extension; /* points into the packet */
    size_t extension_len;
    const uint8_t *payload; /* points into the packet; padding is gone */
    size_t payload_len;
} ClvRtpPacket;

typedef enum ClvRtpKind { /* the first octet tells, RFC 7983; RFC 5761 tells the last two apart */
                          CLV_RTP_KIND_RTP,
                          CLV_RTP_KIND_RTCP,
                          CLV_RTP_KIND_STUN,
                          CLV_RTP_KIND_DTLS,
                          CLV_RTP_KIND_JUNK,
} ClvRtpKind;
ClvRtpKind clv_rtp_kind(const uint8_t *bytes, size_t len);

/* False, and nothing written, when the octets are not one whole RTP packet. */
bool clv_rtp_read(const uint8_t *bytes, size_t len, ClvRtpPacket *out);
/* Header only (no extension, no padding); returns its length, 0 when there is no room. */
size_t clv_rtp_write_header(const ClvRtpPacket *packet, uint8_t *out, size_t room);
