/* SPDX-License-Identifier: Apache-2.0 */
/* media/srtp.h - packets in, protected packets out, and back: the seam for SRTP (RFC 3711, 7714)
 *
 * Two implementations stand behind it: our own transform on kept OpenSSL contexts, and libsrtp2.
 * A context belongs to one direction of one leg and to one thread at a time. It is made and freed
 * on the signalling thread; after that ours never allocates. A forged packet changes no state.
 */
#pragma once

#include "conference/vocabulary.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A sender's worth of SSRCs in one context: what a peer may use up before it must be keyed anew. */
#define CLV_SRTP_MAX_SSRCS 4
/* Octets that protecting may add: SRTCP index, tag and MKI. */
#define CLV_SRTP_MAX_TRAILER (4 + 16 + CLV_SRTP_MAX_MKI)
/* Packets that far behind the newest one are judged by a bitmap; older ones are refused. */
#define CLV_SRTP_REPLAY_WINDOW 128

typedef struct ClvSrtp ClvSrtp;

typedef enum ClvSrtpEngine { CLV_SRTP_OPENSSL, CLV_SRTP_LIBSRTP, CLV_N_SRTP_ENGINES } ClvSrtpEngine;

typedef enum ClvSrtpSide {
    CLV_SRTP_RECEIVE,
    CLV_SRTP_SEND,
} ClvSrtpSide;

typedef enum ClvSrtpVerdict {
    CLV_SRTP_OK,
    CLV_SRTP_MALFORMED, /* too short, or its header reaches past its end */
    CLV_SRTP_CLEAR,     /* SRTCP without the E bit */
    CLV_SRTP_UNKNOWN_MKI,
    CLV_SRTP_AUTH_FAILED,
    CLV_SRTP_REPLAYED,
    CLV_SRTP_TOO_OLD, /* behind the replay window */
    CLV_SRTP_TOO_MANY_SSRCS,
    CLV_SRTP_EXPIRED, /* 2^48 packets, 2^31 reports: new keys are due */
    CLV_SRTP_NO_ROOM, /* the buffer has no room for the trailer */
    CLV_SRTP_BROKEN,  /* the library failed; never seen, never ignored */
    CLV_N_SRTP_VERDICTS
} ClvSrtpVerdict;

/* What a suite means in octets; NULL for CLV_SRTP_NONE and numbers out of range. */
typedef struct ClvSrtpProfile {
    const char *name; /* as in a=crypto */
    uint8_t key_len, salt_len;
    uint8_t rtp_tag_len, rtcp_tag_len;
    bool aead;
} ClvSrtpProfile;
const ClvSrtpProfile *clv_srtp_profile(ClvSrtpSuite suite);

/**
 * clv_srtp_new:
 * @keys: copied; with has_ssrc the stream of that SSRC starts at rollover counter roc
 * @error: set in the CLV_MEDIA_ERROR domain when %NULL is returned
 *
 * Returns: (transfer full) (nullable): a context of one direction
 */
ClvSrtp *clv_srtp_new(ClvSrtpEngine engine, const ClvSrtpKeys *keys, ClvSrtpSide side,
                      GError **error);
void clv_srtp_free(ClvSrtp *srtp); /* cleanses; NULL allowed */

/* In place; len in and out, room is what the buffer holds. On failure len is untouched, and so is
 * the packet when protecting; unprotecting may leave rubbish in the payload. */
ClvSrtpVerdict clv_srtp_protect_rtp(ClvSrtp *srtp, uint8_t *packet, size_t *len, size_t room);
ClvSrtpVerdict clv_srtp_unprotect_rtp(ClvSrtp *srtp, uint8_t *packet, size_t *len);
ClvSrtpVerdict clv_srtp_protect_rtcp(ClvSrtp *srtp, uint8_t *packet, size_t *len, size_t room);
ClvSrtpVerdict clv_srtp_unprotect_rtcp(ClvSrtp *srtp, uint8_t *packet, size_t *len);

/* The rollover counter of a stream; the next packet of ssrc is taken to be at roc. Setting makes
 * the stream when there is room for it; false: unknown SSRC, or no room. */
bool clv_srtp_get_roc(const ClvSrtp *srtp, uint32_t ssrc, uint32_t *out_roc);
bool clv_srtp_set_roc(ClvSrtp *srtp, uint32_t ssrc, uint32_t roc);

/* Re-keying: fresh goes on counting where old stands, for the same SSRCs. With the very same keys
 * the replay windows come along too. Both of the same engine and side. */
void clv_srtp_carry(ClvSrtp *fresh, const ClvSrtp *old);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(ClvSrtp, clv_srtp_free)
