/* SPDX-License-Identifier: Apache-2.0 */
/* media/leg.c - one participant on the media thread: packets in, frame out; mix in, packet out
 *
 * Nothing here allocates, locks, logs or calls GLib. Each packet costs one system call. A socket
 * is read once per tick instead of at each arrival: nothing can be played before the tick anyway.
 */
#include "media/leg.h"

#include "media/rtp.h"
#include "media/stage.h"

#include <string.h>
#include <time.h>

#define NS_PER_MS INT64_C(1000000)
#define NS_PER_S INT64_C(1000000000)
#define TICK_NS (20 * NS_PER_MS)
#define PACKET_ROOM 2048
#define DUE_PER_TICK 3               /* packets of a leg, whatever the others get */
#define MAX_PER_TICK 256             /* of one leg, about what its socket holds; a flood is weeded out, */
#define MAX_AUTHENTIC 32             /* or, when it is his own, waits and overflows alone */
#define MAX_REPORTS 8                /* at a time */
#define GRACE_NS (2 * NS_PER_S)      /* old receive keys after a re-key */
#define TALK_PAUSE_NS (NS_PER_S / 2) /* between two events about talking */
#define COLLISION_PAUSE_NS (10 * NS_PER_S)
#define REPORT_NS (5 * NS_PER_S)
#define QUIET_POWER 3000 /* about -53 dBov: a frame that nobody misses */
#define UNVOICED_MARK 10 /* ticks of silence after which speech gets a marker */
#define RTP_HEADER 12

static void
set(ClvMediaLeg *leg, ClvLegCounter which, uint64_t value)
{
    atomic_store_explicit(&leg->counters[which], value, memory_order_relaxed);
}

/* One writer: no need for a locked instruction. */
static void
add(ClvMediaLeg *leg, ClvLegCounter which, uint64_t n)
{
    set(leg, which, clv_leg_count(leg, which) + n);
}

static void
drop(ClvMediaLeg *leg, ClvLegCounter why)
{
    add(leg, why, 1);
    add(leg, CLV_LEG_DROPPED, 1);
}

/* ---- sockets ------------------------------------------------------------------------------ */

typedef struct Incoming {
    uint8_t bytes[PACKET_ROOM];
    size_t len;
    ClvPeer from;
    int64_t unix_ns; /* when the kernel got it; 0: it does not say */
} Incoming;

static int64_t
stamp_of(struct msghdr *message)
{
    for (struct cmsghdr *c = CMSG_FIRSTHDR(message); c != NULL; c = CMSG_NXTHDR(message, c)) {
        struct timespec t;

        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_TIMESTAMPNS)
            continue;
        memcpy(&t, CMSG_DATA(c), sizeof t);
        return t.tv_sec * NS_PER_S + t.tv_nsec;
    }
    return 0;
}

/* False: nothing is waiting. */
static bool
take(int fd, Incoming *in)
{
    char control[64];
    struct iovec iov = {.iov_base = in->bytes, .iov_len = sizeof in->bytes};
    struct msghdr message = {
        .msg_name = &in->from.address,
        .msg_namelen = sizeof in->from.address,
        .msg_iov = &iov,
        .msg_iovlen = 1,
        .msg_control = control,
        .msg_controllen = sizeof control,
    };
    ssize_t n = recvmsg(fd, &message, MSG_DONTWAIT);

    if (n < 0)
        return false;
    in->len = (message.msg_flags & MSG_TRUNC) != 0 ? 0 : (size_t)n; /* none of ours is that long */
    in->from.len = message.msg_namelen;
    in->unix_ns = stamp_of(&message);
    return true;
}

static bool
same_peer(const ClvPeer *a, const ClvPeer *b)
{
    if (a->address.ss_family != b->address.ss_family)
        return false;
    if (a->address.ss_family == AF_INET) {
        const struct sockaddr_in *x = (const void *)&a->address, *y = (const void *)&b->address;

        return x->sin_port == y->sin_port && x->sin_addr.s_addr == y->sin_addr.s_addr;
    } else {
        const struct sockaddr_in6 *x = (const void *)&a->address, *y = (const void *)&b->address;

        return x->sin6_port == y->sin6_port &&
               memcmp(&x->sin6_addr, &y->sin6_addr, sizeof x->sin6_addr) == 0;
    }
}

/* How long the packet lay in the socket; a clock that was set meanwhile must not matter. */
static int64_t
age_of(const Incoming *in, const ClvNow *now)
{
    int64_t age = now->unix_ns - in->unix_ns;

    if (in->unix_ns == 0 || age < 0 || age > NS_PER_S)
        return 0;
    return age;
}

/* ---- SRTP --------------------------------------------------------------------------------- */

typedef ClvSrtpVerdict (*Unprotect)(ClvSrtp *srtp, uint8_t *packet, size_t *len);

/* With the keys of now, and for a while with those before. */
static ClvSrtpVerdict
open_packet(ClvMediaLeg *leg, Incoming *in, Unprotect unprotect)
{
    uint8_t copy[PACKET_ROOM];
    ClvSrtpVerdict verdict;

    if (leg->rx_old == NULL)
        return unprotect(leg->rx, in->bytes, &in->len);
    memcpy(copy, in->bytes, in->len);
    verdict = unprotect(leg->rx, in->bytes, &in->len);
    if (verdict == CLV_SRTP_OK)
        clv_leg_send_new(leg); /* who sends by the new keys has our answer */
    if (verdict != CLV_SRTP_AUTH_FAILED && verdict != CLV_SRTP_UNKNOWN_MKI)
        return verdict;
    memcpy(in->bytes, copy, in->len);
    return unprotect(leg->rx_old, in->bytes, &in->len) == CLV_SRTP_OK ? CLV_SRTP_OK : verdict;
}

static const ClvLegCounter refusals[CLV_N_SRTP_VERDICTS] = {
    [CLV_SRTP_MALFORMED] = CLV_LEG_MALFORMED,      [CLV_SRTP_CLEAR] = CLV_LEG_CLEAR,
    [CLV_SRTP_UNKNOWN_MKI] = CLV_LEG_AUTH_FAILED,  [CLV_SRTP_AUTH_FAILED] = CLV_LEG_AUTH_FAILED,
    [CLV_SRTP_REPLAYED] = CLV_LEG_REPLAYED,        [CLV_SRTP_TOO_OLD] = CLV_LEG_REPLAYED,
    [CLV_SRTP_TOO_MANY_SSRCS] = CLV_LEG_MALFORMED, [CLV_SRTP_EXPIRED] = CLV_LEG_AUTH_FAILED,
    [CLV_SRTP_NO_ROOM] = CLV_LEG_MALFORMED,        [CLV_SRTP_BROKEN] = CLV_LEG_AUTH_FAILED,
};

/* A whole number of 10 ms and no room for a tag: somebody who was not told of SRTP. */
static bool
looks_clear(const Incoming *in)
{
    return in->len > RTP_HEADER && (in->len - RTP_HEADER) % 80 == 0;
}

static void
refuse_rtp(ClvMediaLeg *leg, const Incoming *in, ClvSrtpVerdict verdict)
{
    bool unkeyed = verdict == CLV_SRTP_AUTH_FAILED || verdict == CLV_SRTP_UNKNOWN_MKI;

    drop(leg, unkeyed && looks_clear(in) ? CLV_LEG_CLEAR : refusals[verdict]);
}

/* The address follows authentic packets, and only those. */
static void
latch(ClvMediaLeg *leg, ClvPeer *to, bool *latched, const ClvPeer *from)
{
    if (*latched && same_peer(to, from))
        return;
    *to = *from;
    *latched = true;
}

/* ---- RTP in ------------------------------------------------------------------------------- */

static bool
may_hear(const ClvMediaLeg *leg)
{
    return (leg->terms.direction & CLV_DIR_RECVONLY) != 0;
}

static bool
may_send(const ClvMediaLeg *leg)
{
    return (leg->terms.direction & CLV_DIR_SENDONLY) != 0;
}

static void
forget_audio(ClvMediaLeg *leg)
{
    clv_jitter_init(&leg->jitter);
    clv_plc_init(&leg->plc);
}

void
clv_leg_said_ssrc(ClvMediaLeg *leg, uint32_t ssrc)
{
    leg->said_ssrc = clv_room_has_ssrc(leg->room, leg, ssrc) ? 0 : ssrc;
}

/* He may send a packet each 20 ms, and each would be a line in the log. */
static void
tell_collision(ClvMediaLeg *leg, uint32_t ssrc, const ClvNow *now)
{
    const uint32_t told = 1u << CLV_MEDIA_COLLISION;

    if ((leg->collision_told_ns != 0 &&
         now->monotonic_ns - leg->collision_told_ns < COLLISION_PAUSE_NS) ||
        (atomic_load_explicit(&leg->pending, memory_order_acquire) & told) != 0)
        return;
    leg->collision_told_ns = now->monotonic_ns;
    set(leg, CLV_LEG_COLLISION, ssrc);
    clv_loop_tell(leg, CLV_MEDIA_COLLISION);
}

/* False when somebody else in the conference has that SSRC: the later one loses. Where offers go in
 * the clear, everybody can know whose SSRC will be which; to have said it counts as having come. */
static bool
adopt_ssrc(ClvMediaLeg *leg, uint32_t ssrc, const ClvNow *now)
{
    if (leg->has_rx_ssrc && leg->rx_ssrc == ssrc)
        return true;
    if (ssrc == leg->tx_ssrc || clv_room_has_ssrc(leg->room, leg, ssrc)) {
        tell_collision(leg, ssrc, now);
        return false;
    }
    if (clv_rtcp_source_lost(&leg->source) > 0)
        leg->lost_before += (uint64_t)clv_rtcp_source_lost(&leg->source);
    leg->has_rx_ssrc = true;
    leg->rx_gone = false;
    leg->rx_ssrc = ssrc;
    set(leg, CLV_LEG_RX_SSRC, ssrc);
    clv_rtcp_source_init(&leg->source, ssrc);
    clv_dtmf_init(&leg->dtmf);
    forget_audio(leg);
    return true;
}

static bool
is_event(const ClvMediaLeg *leg, const ClvRtpPacket *packet)
{
    return packet->pt == leg->dtmf_pt && packet->pt != leg->terms.pt;
}

static void
note_arrival(ClvMediaLeg *leg, const ClvRtpPacket *packet, size_t octets, int64_t arrival_ns)
{
    int64_t lost;

    if (is_event(leg, packet))
        clv_rtcp_source_count(&leg->source, packet->seq); /* its timestamp is that of the press */
    else
        clv_rtcp_source_note(&leg->source, packet->seq, packet->timestamp,
                             (uint32_t)(arrival_ns / 125000));
    lost = clv_rtcp_source_lost(&leg->source);
    set(leg, CLV_LEG_LOST, leg->lost_before + (lost > 0 ? (uint64_t)lost : 0));
    set(leg, CLV_LEG_JITTER_US, (uint64_t)(leg->source.jitter16 >> 4) * 125);
    add(leg, CLV_LEG_RX_PACKETS, 1);
    add(leg, CLV_LEG_RX_BYTES, octets);
    leg->heard_ns = arrival_ns;
}

static void
store(ClvMediaLeg *leg, const ClvRtpPacket *packet)
{
    switch (clv_jitter_put(&leg->jitter, packet->seq, packet->timestamp, packet->marker,
                           packet->payload, packet->payload_len)) {
    case CLV_JITTER_LATE:
        add(leg, CLV_LEG_LATE, 1);
        break;
    case CLV_JITTER_DUPLICATE:
        add(leg, CLV_LEG_DUPLICATE, 1);
        break;
    case CLV_JITTER_UNFIT:
        add(leg, CLV_LEG_MALFORMED, 1);
        break;
    case CLV_JITTER_FRESH:
    case CLV_JITTER_RESTARTED:
        break;
    }
}

/* ---- keys --------------------------------------------------------------------------------- */

static void
take_keys(ClvMediaLeg *leg, const ClvRtpPacket *packet)
{
    ClvDtmfTaken taken;

    clv_dtmf_take(&leg->dtmf, packet->timestamp, packet->marker, packet->payload,
                  packet->payload_len, &taken);
    if (taken.malformed)
        add(leg, CLV_LEG_MALFORMED, 1);
    for (unsigned i = 0; i < taken.n; i++) {
        if (leg->n_keys < CLV_LEG_KEYS)
            leg->keys[leg->n_keys++] = taken.keys[i];
        else
            add(leg, CLV_LEG_DROPPED, 1); /* no finger is that fast */
    }
}

/* One a tick, in their order, and the next when the one before has been heard of. */
static void
tell_key(ClvMediaLeg *leg)
{
    const uint32_t told = 1u << CLV_MEDIA_DTMF;

    if (leg->n_keys == 0 ||
        (atomic_load_explicit(&leg->pending, memory_order_acquire) & told) != 0)
        return;
    set(leg, CLV_LEG_KEY, (uint64_t)leg->keys[0]);
    leg->n_keys--;
    memmove(leg->keys, leg->keys + 1, leg->n_keys);
    clv_loop_tell(leg, CLV_MEDIA_DTMF);
}

/* ---- RTP in: a packet --------------------------------------------------------------------- */

static void
receive_rtp(ClvMediaLeg *leg, Incoming *in, const ClvNow *now)
{
    size_t octets = in->len;
    ClvRtpPacket packet;
    ClvSrtpVerdict verdict;

    clv_stage(CLV_STAGE_UNPROTECT);
    verdict = open_packet(leg, in, clv_srtp_unprotect_rtp);
    clv_stage(CLV_STAGE_JITTER);
    if (leg->rtp_latched && !same_peer(&leg->rtp_to, &in->from))
        add(leg, CLV_LEG_WRONG_SOURCE, 1);
    if (verdict != CLV_SRTP_OK) {
        refuse_rtp(leg, in, verdict);
        return;
    }
    if (!clv_rtp_read(in->bytes, in->len, &packet)) {
        drop(leg, CLV_LEG_MALFORMED);
        return;
    }
    if (!adopt_ssrc(leg, packet.ssrc, now)) {
        add(leg, CLV_LEG_DROPPED, 1);
        return;
    }
    if (!leg->first_told)
        clv_loop_tell(leg, CLV_MEDIA_FIRST_PACKET);
    leg->first_told = true;
    latch(leg, &leg->rtp_to, &leg->rtp_latched, &in->from);
    note_arrival(leg, &packet, octets, now->monotonic_ns - age_of(in, now));
    if (!may_hear(leg))
        return;
    if (packet.pt == leg->terms.pt)
        store(leg, &packet);
    else if (is_event(leg, &packet))
        take_keys(leg, &packet); /* and comfort noise is heard out, not mixed */
}

/* ---- RTCP in ------------------------------------------------------------------------------ */

static void
note_sender_info(ClvMediaLeg *leg, const ClvRtcpCompound *compound, const ClvNow *now)
{
    if (!compound->has_sender_info || !leg->has_rx_ssrc || compound->ssrc != leg->rx_ssrc)
        return;
    leg->source.last_sr = (uint32_t)(compound->sender.ntp >> 16);
    leg->source.last_sr_ns = now->monotonic_ns;
}

static void
note_blocks(ClvMediaLeg *leg, const ClvRtcpCompound *compound)
{
    for (unsigned i = 0; i < compound->n_blocks; i++) {
        if (compound->blocks[i].ssrc == leg->tx_ssrc)
            set(leg, CLV_LEG_PEER_FRACTION, compound->blocks[i].fraction_lost);
    }
}

static void
note_byes(ClvMediaLeg *leg, const ClvRtcpCompound *compound)
{
    for (unsigned i = 0; i < compound->n_byes; i++) {
        if (!leg->has_rx_ssrc || compound->byes[i] != leg->rx_ssrc || leg->rx_gone)
            continue;
        leg->rx_gone = true;
        clv_loop_tell(leg, CLV_MEDIA_BYE);
    }
}

static void
receive_rtcp(ClvMediaLeg *leg, Incoming *in, const ClvNow *now, bool muxed)
{
    ClvRtcpCompound compound;
    ClvSrtpVerdict verdict = open_packet(leg, in, clv_srtp_unprotect_rtcp);

    if (verdict != CLV_SRTP_OK) {
        drop(leg, refusals[verdict]);
        return;
    }
    if (!clv_rtcp_read(in->bytes, in->len, &compound)) {
        drop(leg, CLV_LEG_MALFORMED);
        return;
    }
    if (muxed)
        latch(leg, &leg->rtp_to, &leg->rtp_latched, &in->from);
    else
        latch(leg, &leg->rtcp_to, &leg->rtcp_latched, &in->from);
    leg->heard_ns = now->monotonic_ns;
    note_sender_info(leg, &compound, now);
    note_blocks(leg, &compound);
    note_byes(leg, &compound);
}

/* RFC 7983: what it is, by its first octets; only RTP and RTCP have any business here. */
static void
receive_any(ClvMediaLeg *leg, Incoming *in, const ClvNow *now)
{
    switch (clv_rtp_kind(in->bytes, in->len)) {
    case CLV_RTP_KIND_RTP:
        receive_rtp(leg, in, now);
        break;
    case CLV_RTP_KIND_RTCP:
        receive_rtcp(leg, in, now, true);
        break;
    case CLV_RTP_KIND_STUN:
    case CLV_RTP_KIND_DTLS:
        drop(leg, CLV_LEG_CLEAR);
        break;
    case CLV_RTP_KIND_JUNK:
        drop(leg, CLV_LEG_MALFORMED);
        break;
    }
}

/* One packet a tick is the rule, and looking for a second costs as much as having found it. When
 * the first has not lain there for a whole tick, and there is something to play, a second one may
 * as well wait: it makes itself known by its age. */
static bool
may_be_all(const ClvMediaLeg *leg, const Incoming *in, const ClvNow *now)
{
    return leg->taken_last == 1 && in->unix_ns != 0 && now->unix_ns >= in->unix_ns &&
           now->unix_ns - in->unix_ns < TICK_NS &&
           clv_jitter_depth_ms(&leg->jitter) >= 2 * CLV_JITTER_FRAME / 8;
}

void
clv_leg_receive(ClvMediaLeg *leg, const ClvNow *now, unsigned *budget)
{
    uint64_t enough = clv_leg_count(leg, CLV_LEG_RX_PACKETS) + MAX_AUTHENTIC;
    unsigned n = 0;
    Incoming in;

    if (leg->rx_old != NULL && now->monotonic_ns > leg->rx_old_until_ns) {
        leg->rx_old = NULL;
        clv_leg_send_new(leg);
    }
    clv_stage(CLV_STAGE_RECEIVE);
    while (n < MAX_PER_TICK && (n < DUE_PER_TICK || *budget > 0) &&
           clv_leg_count(leg, CLV_LEG_RX_PACKETS) < enough && take(leg->rtp_fd, &in)) {
        *budget -= n++ >= DUE_PER_TICK;
        receive_any(leg, &in, now);
        if (n == 1 && may_be_all(leg, &in, now))
            break;
        clv_stage(CLV_STAGE_RECEIVE);
    }
    clv_stage(CLV_STAGE_OTHER);
    leg->taken_last = n;
    tell_key(leg);
}

void
clv_leg_receive_rtcp(ClvMediaLeg *leg, const ClvNow *now, unsigned *budget)
{
    Incoming in;

    for (unsigned n = 0; n < MAX_REPORTS && *budget > 0 && take(leg->rtcp_fd, &in); n++) {
        --*budget;
        if (clv_rtp_kind(in.bytes, in.len) == CLV_RTP_KIND_RTCP)
            receive_rtcp(leg, &in, now, false);
        else
            drop(leg, CLV_LEG_MALFORMED);
    }
}

/* ---- playing ------------------------------------------------------------------------------ */

static void
tell_silence(ClvMediaLeg *leg, const ClvNow *now)
{
    int64_t limit = clv_loop_silence_ns(leg->shard);

    if (limit == 0 || !may_hear(leg) || now->monotonic_ns - leg->heard_ns < limit ||
        now->monotonic_ns - leg->silent_told_ns < limit)
        return;
    leg->silent_told_ns = now->monotonic_ns;
    clv_loop_tell(leg, CLV_MEDIA_SILENT);
}

static void
tell_talk(ClvMediaLeg *leg, const ClvNow *now)
{
    (void)clv_talk_step(&leg->talk, leg->power);
    if (leg->talk.talking == leg->talk_told ||
        now->monotonic_ns - leg->talk_told_ns < TALK_PAUSE_NS)
        return;
    leg->talk_told = leg->talk.talking;
    leg->talk_told_ns = now->monotonic_ns;
    set(leg, CLV_LEG_TALKING, leg->talk_told);
    clv_loop_tell(leg, CLV_MEDIA_TALKING);
}

void
clv_leg_play(ClvMediaLeg *leg, const ClvNow *now, int16_t out[CLV_MIX_SAMPLES])
{
    uint8_t code[CLV_JITTER_FRAME];
    size_t n = clv_jitter_get(&leg->jitter, leg->power < QUIET_POWER, code);

    if (n > 0) {
        clv_g711_decode(leg->terms.law, code, out, n);
        clv_plc_good(&leg->plc, out, n);
    }
    if (n < CLV_MIX_SAMPLES && clv_plc_conceal(&leg->plc, out + n, CLV_MIX_SAMPLES - n))
        add(leg, CLV_LEG_CONCEALED, 1);
    leg->power = clv_mix_power(out);
    set(leg, CLV_LEG_POWER, leg->power);
    tell_talk(leg, now);
    tell_silence(leg, now);
}

/* ---- RTP out ------------------------------------------------------------------------------ */

static void
give(int fd, const ClvPeer *to, const uint8_t *bytes, size_t len)
{
    if (to->len > 0)
        (void)sendto(fd, bytes, len, MSG_DONTWAIT | MSG_NOSIGNAL,
                     (const struct sockaddr *)&to->address, to->len);
}

static bool
starts_spurt(ClvMediaLeg *leg, bool voiced)
{
    bool starts = voiced && leg->unvoiced >= UNVOICED_MARK;

    leg->unvoiced = voiced ? 0 : leg->unvoiced + (leg->unvoiced < UINT32_MAX);
    return starts;
}

/* Marker, sources and code are the caller's affair, all else is the leg's. */
static void
send_frame(ClvMediaLeg *leg, ClvRtpPacket *header, const uint8_t code[CLV_MIX_SAMPLES])
{
    uint8_t packet[CLV_RTP_MAX_HEADER + CLV_MIX_SAMPLES + CLV_SRTP_MAX_TRAILER];
    size_t len;

    header->pt = leg->terms.pt;
    header->seq = leg->tx_seq++;
    header->timestamp = leg->tx_timestamp;
    header->ssrc = leg->tx_ssrc;
    len = clv_rtp_write_header(header, packet, sizeof packet);
    memcpy(packet + len, code, CLV_MIX_SAMPLES);
    len += CLV_MIX_SAMPLES;
    leg->tx_timestamp += CLV_MIX_SAMPLES;

    clv_stage(CLV_STAGE_PROTECT);
    if (clv_srtp_protect_rtp(leg->tx, packet, &len, sizeof packet) != CLV_SRTP_OK) {
        add(leg, CLV_LEG_DROPPED, 1);
        return;
    }
    clv_stage(CLV_STAGE_SEND);
    give(leg->rtp_fd, &leg->rtp_to, packet, len);
    clv_stage(CLV_STAGE_OTHER);
    leg->tx_packets++;
    leg->tx_octets += CLV_MIX_SAMPLES;
    add(leg, CLV_LEG_TX_PACKETS, 1);
    add(leg, CLV_LEG_TX_BYTES, len);
}

void
clv_leg_send(ClvMediaLeg *leg, ClvMix *mix)
{
    uint8_t room[CLV_MIX_SAMPLES];
    bool voiced = mix->n_parts > (leg->own != NULL ? 1u : 0u);
    ClvRtpPacket header = {0};

    clv_stage(CLV_STAGE_MIX);
    header.marker = starts_spurt(leg, voiced);
    header.n_csrcs = (uint8_t)clv_mix_csrcs(mix, leg->rx_ssrc, header.csrcs);
    send_frame(leg, &header, clv_mix_encode(mix, leg->own, leg->terms.law, room));
}

/* ---- prompts ------------------------------------------------------------------------------ */

static void
end_prompt(ClvMediaLeg *leg)
{
    set(leg, CLV_LEG_PROMPT_OVER, (uint64_t)leg->prompt_serial << 32 | leg->prompt->id);
    leg->prompt = NULL;
    clv_loop_tell(leg, CLV_MEDIA_PROMPTED);
}

void
clv_leg_prompt(ClvMediaLeg *leg, const ClvPromptSound *sound, uint32_t serial)
{
    leg->prompt = sound->n_frames > 0 ? sound : NULL;
    leg->prompt_at = 0;
    leg->prompt_serial = serial;
    if (leg->prompt != NULL && !may_send(leg))
        end_prompt(leg);
}

void
clv_leg_send_prompt(ClvMediaLeg *leg)
{
    const uint8_t *code = leg->prompt->code[leg->terms.law];
    ClvRtpPacket header = {.marker = leg->prompt_at == 0};

    clv_stage(CLV_STAGE_MIX);
    send_frame(leg, &header, code + (size_t)leg->prompt_at * CLV_PROMPT_FRAME);
    leg->unvoiced = UNVOICED_MARK; /* the mix that follows begins anew */
    if (++leg->prompt_at == leg->prompt->n_frames)
        end_prompt(leg);
}

void
clv_leg_skip(ClvMediaLeg *leg, unsigned frames)
{
    leg->tx_timestamp += frames * CLV_MIX_SAMPLES;
    clv_jitter_skip(&leg->jitter, frames);
}

/* ---- RTCP out ----------------------------------------------------------------------------- */

/* A random half to three halves of the interval, so that reports do not march in step. */
static void
plan_report(ClvMediaLeg *leg, const ClvNow *now)
{
    uint32_t dice = clv_loop_random(leg->shard);

    leg->report_ns = now->monotonic_ns + REPORT_NS / 2 + (int64_t)((REPORT_NS * (dice >> 8)) >> 24);
}

void
clv_leg_report(ClvMediaLeg *leg, const ClvNow *now, bool bye)
{
    uint8_t packet[CLV_RTCP_MAX_PACKET + CLV_SRTP_MAX_TRAILER];
    ClvRtcpSenderInfo info = {.ntp = clv_rtcp_ntp(now->unix_ns),
                              .timestamp = leg->tx_timestamp,
                              .packets = leg->tx_packets,
                              .octets = leg->tx_octets};
    ClvRtcpName names[CLV_RTCP_MAX_NAMES];
    unsigned n_names = bye ? 0 : clv_room_names(leg, leg->names_told, names);
    ClvRtcpBlock block;
    size_t len;

    plan_report(leg, now);
    leg->names_told += n_names;
    if (leg->has_rx_ssrc)
        clv_rtcp_source_report(&leg->source, now->monotonic_ns, &block);
    len = clv_rtcp_write(leg->tx_ssrc, leg->tx_packets > 0 ? &info : NULL,
                         leg->has_rx_ssrc ? &block : NULL, clv_loop_cname(leg), bye, packet,
                         CLV_RTCP_MAX_PACKET);
    if (len > 0)
        len = clv_rtcp_add_names(names, n_names, packet, len, CLV_RTCP_MAX_PACKET);
    if (len == 0 || clv_srtp_protect_rtcp(leg->tx, packet, &len, sizeof packet) != CLV_SRTP_OK)
        return;
    if (leg->rtcp_mux)
        give(leg->rtp_fd, &leg->rtp_to, packet, len);
    else
        give(leg->rtcp_fd, &leg->rtcp_to, packet, len);
}

/* ---- commands ----------------------------------------------------------------------------- */

void
clv_leg_start(ClvMediaLeg *leg, const ClvNow *now)
{
    leg->heard_ns = now->monotonic_ns;
    leg->unvoiced = UNVOICED_MARK;
    forget_audio(leg);
    clv_talk_init(&leg->talk);
    plan_report(leg, now);
}

void
clv_leg_change(ClvMediaLeg *leg, const ClvLegTerms *terms)
{
    bool new_codec = terms->law != leg->terms.law || terms->pt != leg->terms.pt;
    bool resumes = (terms->direction & ~leg->terms.direction) != 0;

    if (terms->rtp.len > 0 && !same_peer(&terms->rtp, &leg->terms.rtp)) {
        leg->rtp_to = leg->terms.rtp = terms->rtp;
        leg->rtp_latched = false;
    }
    if (terms->rtcp.len > 0 && !same_peer(&terms->rtcp, &leg->terms.rtcp)) {
        leg->rtcp_to = leg->terms.rtcp = terms->rtcp;
        leg->rtcp_latched = false;
    }
    leg->terms.direction = terms->direction;
    leg->terms.law = terms->law;
    leg->terms.pt = terms->pt;
    if (new_codec || resumes || !may_hear(leg))
        forget_audio(leg); /* on hold nothing that came before is heard any more */
    if (leg->prompt != NULL && !may_send(leg))
        end_prompt(leg);
    if (resumes)
        leg->unvoiced = UNVOICED_MARK;
}

/* Receiving by the new keys begins at once, sending by them when the peer can have them. */
void
clv_leg_rekey(ClvMediaLeg *leg, ClvSrtp **rx, ClvSrtp **tx, const ClvNow *now)
{
    ClvSrtp *old_rx = leg->rx;

    clv_srtp_carry(*rx, old_rx);
    leg->rx = *rx;
    *rx = leg->rx_old = old_rx;
    leg->tx_next = tx;
    leg->rx_old_until_ns = now->monotonic_ns + GRACE_NS;
}

void
clv_leg_send_new(ClvMediaLeg *leg)
{
    ClvSrtp *old_tx = leg->tx;

    if (leg->tx_next == NULL)
        return;
    clv_srtp_carry(*leg->tx_next, old_tx);
    leg->tx = *leg->tx_next;
    *leg->tx_next = old_tx;
    leg->tx_next = NULL;
}
