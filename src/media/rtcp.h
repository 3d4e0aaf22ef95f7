/* SPDX-License-Identifier: Apache-2.0 */
/* media/rtcp.h - reports about streams (RFC 3550 section 6, A.3, A.8): read, write, reckon
 *
 * Pure: the time is a parameter. NTP times are 32.32 bits since 1900, report times their middle 32.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CLV_RTCP_MAX_BLOCKS 4 /* of one packet: more than a peer of ours ever has to say */
#define CLV_RTCP_MAX_CNAME 255
#define CLV_RTCP_MAX_PACKET 1200 /* any compound we write is shorter */
#define CLV_RTCP_MAX_NAMES 15   /* sources told of in one compound: as many as a CSRC list holds */

/* ---- what was received: sequence numbers and arrival times -------------------------------- */

typedef struct ClvRtcpSource {
    bool started, timed;
    uint32_t ssrc;
    uint32_t base_seq;
    uint32_t highest_seq; /* extended */
    uint32_t received;
    uint32_t expected_prior, received_prior;
    int64_t transit;   /* in timestamp units */
    uint32_t jitter16; /* sixteenfold, as A.8 keeps it */
    uint32_t last_sr;  /* middle 32 bits of its NTP time; 0: none */
    int64_t last_sr_ns;
} ClvRtcpSource;

void clv_rtcp_source_init(ClvRtcpSource *source, uint32_t ssrc);
/* arrival in timestamp units of a free-running clock */
void clv_rtcp_source_note(ClvRtcpSource *source, uint16_t seq, uint32_t timestamp,
                          uint32_t arrival);
/* One whose timestamp tells nothing of when it was sent, such as a telephone event. */
void clv_rtcp_source_count(ClvRtcpSource *source, uint16_t seq);
/* Packets that should have come and did not; negative when there were repeats. */
int64_t clv_rtcp_source_lost(const ClvRtcpSource *source);

/* ---- wire --------------------------------------------------------------------------------- */

typedef struct ClvRtcpBlock {
    uint32_t ssrc;
    uint8_t fraction_lost; /* of 256 */
    int32_t lost;          /* 24 bits, signed */
    uint32_t highest_seq;
    uint32_t jitter;
    uint32_t lsr, dlsr;
} ClvRtcpBlock;

/* The block about a source; starts a new interval for the fraction lost (A.3). */
void clv_rtcp_source_report(ClvRtcpSource *source, int64_t now_ns, ClvRtcpBlock *out);

typedef struct ClvRtcpSenderInfo {
    uint64_t ntp;
    uint32_t timestamp;
    uint32_t packets, octets;
} ClvRtcpSenderInfo;

/* What a compound packet says, as far as a mixer minds. */
typedef struct ClvRtcpCompound {
    uint32_t ssrc; /* of its first report */
    bool has_sender_info;
    ClvRtcpSenderInfo sender;
    unsigned n_blocks;
    ClvRtcpBlock blocks[CLV_RTCP_MAX_BLOCKS];
    unsigned n_byes;
    uint32_t byes[CLV_RTCP_MAX_BLOCKS];
    char cname[CLV_RTCP_MAX_CNAME + 1]; /* of the first chunk; "" when there is none */
} ClvRtcpCompound;

/* False when a length does not fit or the first packet is no report (A.2). Unknown types are
 * stepped over. */
bool clv_rtcp_read(const uint8_t *bytes, size_t len, ClvRtcpCompound *out);

/* SR (with sender) or RR, then SDES CNAME, then BYE when asked for. 0 when there is no room. */
size_t clv_rtcp_write(uint32_t ssrc, const ClvRtcpSenderInfo *sender, const ClvRtcpBlock *block,
                      const char *cname, bool bye, uint8_t *out, size_t room);

typedef struct ClvRtcpName {
    uint32_t ssrc;
    const char *cname;
} ClvRtcpName;

/* Adds an SDES packet about other sources to the compound of @len octets, so that what stands in
 * CSRC lists has a name (RFC 3550 section 7.3). Returns the new length; without room, or names to
 * tell, the old one. */
size_t clv_rtcp_add_names(const ClvRtcpName *names, unsigned n, uint8_t *packet, size_t len,
                          size_t room);

uint64_t clv_rtcp_ntp(int64_t unix_ns);
