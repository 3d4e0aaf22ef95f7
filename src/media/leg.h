/* SPDX-License-Identifier: Apache-2.0 */
/* media/leg.h - one participant's sockets, keys, buffers and counters; private to the media room
 *
 * Made and freed on the signalling thread, used by one media thread in between. The signalling
 * thread reads the counters meanwhile, and nothing else.
 */
#pragma once

#include "media/dtmf.h"
#include "media/g711.h"
#include "media/jitter.h"
#include "media/media.h"
#include "media/mixer.h"
#include "media/plc.h"
#include "media/prompts.h"
#include "media/rtcp.h"
#include "media/srtp.h"

#include <netinet/in.h>
#include <stdatomic.h>
#include <sys/socket.h>

#define CLV_LEG_KEYS 16  /* pressed and not told yet */
#define CLV_LEG_ALIAS 12 /* random octets in a CNAME (RFC 7022) */

/* Where to, or where from. */
typedef struct ClvPeer {
    socklen_t len; /* 0: nowhere yet */
    struct sockaddr_storage address;
} ClvPeer;

/* Written by the media thread alone, read by the other at any time. */
typedef enum ClvLegCounter {
    CLV_LEG_RX_PACKETS,
    CLV_LEG_RX_BYTES,
    CLV_LEG_TX_PACKETS,
    CLV_LEG_TX_BYTES,
    CLV_LEG_LOST,
    CLV_LEG_AUTH_FAILED,
    CLV_LEG_REPLAYED,
    CLV_LEG_CLEAR,
    CLV_LEG_MALFORMED,
    CLV_LEG_LATE,
    CLV_LEG_DUPLICATE,
    CLV_LEG_WRONG_SOURCE,
    CLV_LEG_CONCEALED,
    CLV_LEG_JITTER_US,
    CLV_LEG_RX_SSRC,
    CLV_LEG_TX_SSRC,
    CLV_LEG_PEER_FRACTION,
    CLV_LEG_POWER,
    CLV_LEG_SUITE,
    CLV_LEG_DROPPED, /* all that was thrown away */
    CLV_LEG_TALKING,
    CLV_LEG_KEY,         /* the one that is being told */
    CLV_LEG_PROMPT_OVER, /* serial number << 32 | prompt, of the latest that is over */
    CLV_LEG_COLLISION,   /* the SSRC that is somebody else's */
    CLV_N_LEG_COUNTERS
} ClvLegCounter;

typedef struct ClvShard ClvShard;
typedef struct ClvRoom ClvRoom;
typedef struct ClvCommand ClvCommand;

/* What a re-offer may change. */
typedef struct ClvLegTerms {
    ClvPeer rtp, rtcp; /* len 0: as before */
    ClvDirection direction;
    ClvG711Law law;
    uint8_t pt;
} ClvLegTerms;

struct ClvMediaLeg {
    ClvLegId id;
    ClvShard *shard;
    ClvRoom *room;
    ClvMediaLeg *next, *prev;           /* in the room; the media thread's */
    bool closing;                       /* signalling: no event but CLOSED any more */
    uint32_t prompt_asked, prompt_told; /* signalling: serial numbers of prompts */

    int rtp_fd, rtcp_fd;
    bool rtcp_mux;
    int dtmf_pt;
    ClvLegTerms terms;
    ClvPeer rtp_to, rtcp_to; /* as signalled, then as an authentic packet says */
    bool rtp_latched, rtcp_latched;
    bool talks, hears; /* by the plan */

    ClvSrtp *rx, *tx;
    ClvSrtp *rx_old; /* borrowed from rekeying, for two seconds */
    ClvCommand *rekeying;
    int64_t rx_old_until_ns;
    ClvSrtp **tx_next; /* (nullable) in rekeying: we send by it once the peer has our answer */

    char alias[2 * CLV_LEG_ALIAS + 1]; /* CNAME by which others know him: random, never his own */
    unsigned names_told;
    uint32_t tx_ssrc, tx_timestamp;
    uint16_t tx_seq;
    uint32_t tx_packets, tx_octets; /* of RTCP: payload alone, and they wrap */
    uint32_t unvoiced;              /* ticks since the mix had anything in it */
    const ClvPromptSound *prompt;   /* (nullable) being played, and how far */
    uint32_t prompt_at, prompt_serial;

    bool has_rx_ssrc, rx_gone; /* a live SSRC; it said BYE */
    uint32_t rx_ssrc;
    uint32_t said_ssrc;   /* his by key management, whether he has sent yet or not; 0: none */
    uint64_t lost_before; /* by earlier SSRCs */
    unsigned taken_last;  /* packets of the last tick */
    int64_t heard_ns;     /* last authentic packet */
    int64_t silent_told_ns;
    bool first_told;
    int64_t collision_told_ns;
    ClvRtcpSource source;
    ClvJitter jitter;
    ClvPlc plc;
    ClvTalk talk;
    bool talk_told;
    int64_t talk_told_ns;
    const int16_t *own; /* this tick's part of the sum, NULL: none */
    uint32_t power;
    int64_t report_ns; /* when the next RTCP report is due */
    unsigned n_keys;   /* pressed, and not told yet */

    _Atomic uint32_t pending; /* bits of events on their way; one of each kind at most */
    _Atomic uint64_t counters[CLV_N_LEG_COUNTERS];

    /* seldom touched, and so not between what is touched at each tick */
    char keys[CLV_LEG_KEYS];
    ClvDtmf dtmf;
};

/* One moment as the media thread sees it. */
typedef struct ClvNow {
    int64_t monotonic_ns;
    int64_t unix_ns; /* may leap; only for stamps that go on the wire, and to age packets */
} ClvNow;

/* What the loop does for a leg: says what happened, rolls dice. */
void clv_loop_tell(ClvMediaLeg *leg, ClvMediaEventKind kind);
uint32_t clv_loop_random(ClvShard *shard);
const char *clv_loop_cname(const ClvMediaLeg *leg);
/* Names of those whom the leg can hear, as many as fit; @from: how many it was told before. */
unsigned clv_room_names(const ClvMediaLeg *leg, unsigned from, ClvRtcpName out[CLV_RTCP_MAX_NAMES]);
int64_t clv_loop_silence_ns(const ClvShard *shard);
/* Whether somebody else in the leg's conference uses that SSRC, or has said that he will, we
 * ourselves included. */
bool clv_room_has_ssrc(const ClvRoom *room, const ClvMediaLeg *but, uint32_t ssrc);

/* ---- on the media thread ------------------------------------------------------------------ */

void clv_leg_start(ClvMediaLeg *leg, const ClvNow *now);
/* The budget is that of all legs together: what is beyond a leg's due is taken from it. */
void clv_leg_receive(ClvMediaLeg *leg, const ClvNow *now, unsigned *budget);
void clv_leg_receive_rtcp(ClvMediaLeg *leg, const ClvNow *now, unsigned *budget);
/* The frame that is due, decoded or concealed, with its power; events about silence and talk. */
void clv_leg_play(ClvMediaLeg *leg, const ClvNow *now, int16_t out[CLV_MIX_SAMPLES]);
void clv_leg_send(ClvMediaLeg *leg, ClvMix *mix);
/* The prompt's next frame, in place of the mix. */
void clv_leg_send_prompt(ClvMediaLeg *leg);
void clv_leg_skip(ClvMediaLeg *leg, unsigned frames); /* ticks that did not take place */
void clv_leg_report(ClvMediaLeg *leg, const ClvNow *now, bool bye);
void clv_leg_change(ClvMediaLeg *leg, const ClvLegTerms *terms);
/* From the next tick on, in place of what is being played; that of CLV_PROMPT_NONE: nothing. */
void clv_leg_prompt(ClvMediaLeg *leg, const ClvPromptSound *sound, uint32_t serial);
/* Swaps in new contexts; the old ones are in *rx and *tx afterwards, and rx is still used. */
void clv_leg_rekey(ClvMediaLeg *leg, ClvSrtp **rx, ClvSrtp **tx, const ClvNow *now);
/* What key management said of his SSRC; it is his if nobody has it yet. */
void clv_leg_said_ssrc(ClvMediaLeg *leg, uint32_t ssrc);
/* The peer has the new keys; nothing when they are in use already. */
void clv_leg_send_new(ClvMediaLeg *leg);

static inline uint64_t
clv_leg_count(const ClvMediaLeg *leg, ClvLegCounter which)
{
    return atomic_load_explicit(&leg->counters[which], memory_order_relaxed);
}
