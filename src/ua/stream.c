/* SPDX-License-Identifier: Apache-2.0 */
/* ua/stream.c - two sockets, a clock, and counters (RFC 3550) */
#include "ua/stream.h"

#include "base/secret.h"
#include "ua/crypt.h"
#include "ua/g711.h"
#include "ua/playout.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <unistd.h>

#define FRAME 160u /* samples of 20 ms */
#define FRAME_MS 20
#define MAX_PACKET 2048
#define PORT_TRIES 64
#define RTCP_FIRST_MS 1200
#define RTCP_EVERY_MS 5000
#define NTP_OF_1970 2208988800u
#define RESTART_AFTER_MS 1000 /* a stream that was silent for so long begins anew */
#define OLD_KEYS_US (2 * G_USEC_PER_SEC)
#define EVENT_FRAMES 6u  /* of a digit, and of the pause behind it */
#define EVENT_VOLUME 10u /* dBm0 below 0 */

enum { RTCP_SR = 200, RTCP_RR = 201, RTCP_SDES = 202, RTCP_BYE = 203 };

G_DEFINE_QUARK(clv_ua_stream_error, clv_ua_stream_error)

struct ClvUaStream {
    ClvLoop *loop;
    int rtp_fd, rtcp_fd, clock_fd;
    int rtp_watch, rtcp_watch, clock_watch;
    guint16 port;
    ClvUaSource *source;
    ClvUaMeter *meter;
    ClvUaWavWriter *record;
    ClvUaPlayout *playout;
    gint64 measure_from_ms, measure_for_ms;

    gboolean running, sending;
    struct sockaddr_storage rtp_to, rtcp_to;
    socklen_t address_len;
    guint8 pt;
    gboolean alaw;
    ClvUaCrypt *tx, *rx;
    ClvUaCrypt *next_tx; /* (nullable) waits for the other side */
    ClvUaCrypt *old_rx;  /* (nullable) what was in force before, for a while */
    gint64 old_until_us;
    GString *digits; /* still to be sent; the first one is under way */
    guint8 event_pt;
    guint event_frames, event_pause;
    guint32 event_timestamp;
    int peer_event_pt; /* -1: none */
    guint32 heard_event;

    gint64 start_us;
    guint16 seq;
    guint32 timestamp;
    gboolean mark; /* the next packet begins a talkspurt */
    gint64 rtcp_due_us;
    gint64 heard_ms; /* of sound played since the first packet */

    /* reception, RFC 3550 appendix A */
    guint16 max_seq;
    guint32 cycles, base_seq;
    guint64 stream_received; /* of this SSRC */
    guint64 lost_before;     /* on SSRCs that are over */
    guint32 expected_prior;
    guint64 received_prior;
    gint32 transit;
    double jitter; /* samples */
    gint64 last_rx_us;
    guint32 last_sr; /* middle of its NTP time */
    gint64 last_sr_us;
    ClvUaStreamStats stats;
};

/* ---- octets ------------------------------------------------------------------------------ */

static guint16
get16(const guint8 *p)
{
    return (guint16)(p[0] << 8 | p[1]);
}

static guint32
get32(const guint8 *p)
{
    return (guint32)get16(p) << 16 | get16(p + 2);
}

static void
put16(guint8 *p, guint16 value)
{
    p[0] = (guint8)(value >> 8);
    p[1] = (guint8)value;
}

static void
put32(guint8 *p, guint32 value)
{
    put16(p, (guint16)(value >> 16));
    put16(p + 2, (guint16)value);
}

/* ---- sockets ----------------------------------------------------------------------------- */

static gboolean
to_sockaddr(const char *host, guint16 port, struct sockaddr_storage *out, socklen_t *out_len)
{
    struct sockaddr_in in4 = {.sin_family = AF_INET, .sin_port = htons(port)};
    struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_port = htons(port)};

    memset(out, 0, sizeof *out);
    if (inet_pton(AF_INET, host, &in4.sin_addr) == 1) {
        memcpy(out, &in4, sizeof in4);
        *out_len = sizeof in4;
        return TRUE;
    }
    if (inet_pton(AF_INET6, host, &in6.sin6_addr) == 1) {
        memcpy(out, &in6, sizeof in6);
        *out_len = sizeof in6;
        return TRUE;
    }
    return FALSE;
}

static int
bind_socket(const char *host, guint16 port)
{
    struct sockaddr_storage address;
    socklen_t len = 0;
    int fd;

    if (!to_sockaddr(host, port, &address, &len)) {
        errno = EINVAL;
        return -1;
    }
    fd = socket(address.ss_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd >= 0 && bind(fd, (struct sockaddr *)&address, len) < 0) {
        int failed = errno;

        close(fd);
        errno = failed;
        return -1;
    }
    return fd;
}

static gboolean
bind_pair(ClvUaStream *stream, const char *host, guint16 port)
{
    stream->rtp_fd = bind_socket(host, port);
    if (stream->rtp_fd < 0)
        return FALSE;
    stream->rtcp_fd = bind_socket(host, (guint16)(port + 1));
    if (stream->rtcp_fd < 0) {
        int failed = errno;

        close(stream->rtp_fd);
        stream->rtp_fd = -1;
        errno = failed;
        return FALSE;
    }
    stream->port = port;
    return TRUE;
}

static gboolean
bind_some_pair(ClvUaStream *stream, const char *host, guint16 port)
{
    if (port != 0)
        return bind_pair(stream, host, port);
    for (guint i = 0; i < PORT_TRIES; i++)
        if (bind_pair(stream, host, (guint16)(g_random_int_range(8192, 30000) * 2)))
            return TRUE;
    return FALSE;
}

/* ---- sending ----------------------------------------------------------------------------- */

static void
send_packet(int fd, const guint8 *packet, gsize len, const struct sockaddr_storage *to,
            socklen_t to_len)
{
    /* what the network does not take is lost, as it would be further on */
    (void)sendto(fd, packet, len, 0, (const struct sockaddr *)to, to_len);
}

/* @packet has the payload behind the header, and room for the trailer */
static void
send_rtp(ClvUaStream *stream, guint8 *packet, gsize len, guint8 pt, gboolean mark,
         guint32 timestamp)
{
    gsize payload = len - 12;

    packet[0] = 0x80;
    packet[1] = (guint8)(pt | (mark ? 0x80 : 0));
    put16(packet + 2, stream->seq);
    put32(packet + 4, timestamp);
    put32(packet + 8, stream->stats.tx_ssrc);
    if (!clv_ua_crypt_protect(stream->tx, packet, &len, FALSE))
        return;
    send_packet(stream->rtp_fd, packet, len, &stream->rtp_to, stream->address_len);
    stream->seq++;
    stream->stats.sent++;
    stream->stats.sent_octets += payload;
}

static void
send_frame(ClvUaStream *stream)
{
    _Alignas(8) guint8 packet[12 + FRAME + CLV_UA_CRYPT_TRAILER];
    gint16 samples[FRAME];

    clv_ua_source_read(stream->source, samples, FRAME);
    for (guint i = 0; i < FRAME; i++)
        packet[12 + i] =
            stream->alaw ? clv_ua_alaw_encode(samples[i]) : clv_ua_ulaw_encode(samples[i]);
    send_rtp(stream, packet, sizeof packet - CLV_UA_CRYPT_TRAILER, stream->pt, stream->mark,
             stream->timestamp);
    stream->mark = FALSE;
}

/* ---- digits (RFC 4733) -------------------------------------------------------------------- */

static const char events[] = "0123456789*#ABCD"; /* by event code */

gboolean
clv_ua_stream_dtmf(ClvUaStream *stream, guint8 pt, const char *digits)
{
    for (const char *p = digits; *p != '\0'; p++)
        if (strchr(events, g_ascii_toupper(*p)) == NULL)
            return FALSE;
    stream->event_pt = pt;
    for (; *digits != '\0'; digits++)
        g_string_append_c(stream->digits, g_ascii_toupper(*digits));
    return TRUE;
}

static void
send_event(ClvUaStream *stream, gboolean first, gboolean end)
{
    _Alignas(8) guint8 packet[12 + 4 + CLV_UA_CRYPT_TRAILER];
    const char *code = strchr(events, stream->digits->str[0]);

    packet[12] = (guint8)(code - events);
    packet[13] = (guint8)((end ? 0x80 : 0) | EVENT_VOLUME);
    put16(packet + 14, (guint16)MIN(stream->event_frames * FRAME, 0xffff));
    send_rtp(stream, packet, 16, stream->event_pt, first, stream->event_timestamp);
}

/* Returns: TRUE when a digit is being sent, so that there is no sound in this frame */
static gboolean
press_digit(ClvUaStream *stream)
{
    gboolean first = stream->event_frames == 0;

    if (stream->event_pause > 0) {
        stream->event_pause--;
        return FALSE;
    }
    if (stream->digits->len == 0)
        return FALSE;
    if (first)
        stream->event_timestamp = stream->timestamp;
    stream->event_frames++;
    if (stream->event_frames < EVENT_FRAMES) {
        send_event(stream, first, FALSE);
        return TRUE;
    }
    /* the end is said three times, since it must not be lost */
    for (guint i = 0; i < 3; i++)
        send_event(stream, FALSE, TRUE);
    g_string_erase(stream->digits, 0, 1);
    stream->stats.digits++;
    stream->event_frames = 0;
    stream->event_pause = EVENT_FRAMES;
    return TRUE;
}

/* ---- RTCP -------------------------------------------------------------------------------- */

static guint32
extended_max(const ClvUaStream *stream)
{
    return stream->cycles + stream->max_seq;
}

/* Expected less received on this SSRC; negative when there were duplicates. */
static gint64
lost_now(const ClvUaStream *stream)
{
    if (!stream->stats.has_rx)
        return 0;
    return (gint64)extended_max(stream) - stream->base_seq + 1 - (gint64)stream->stream_received;
}

static void
write_report_block(ClvUaStream *stream, guint8 *block)
{
    guint32 expected = extended_max(stream) - stream->base_seq + 1;
    gint64 expected_part = (gint64)expected - stream->expected_prior;
    gint64 lost_part = expected_part - (gint64)(stream->stream_received - stream->received_prior);
    gint64 lost = CLAMP(lost_now(stream), -0x800000, 0x7fffff);
    guint8 fraction =
        expected_part > 0 && lost_part > 0 ? (guint8)MIN(lost_part * 256 / expected_part, 255) : 0;
    gint64 since = g_get_monotonic_time() - stream->last_sr_us;

    stream->expected_prior = expected;
    stream->received_prior = stream->stream_received;
    put32(block, stream->stats.rx_ssrc);
    put32(block + 4, (guint32)fraction << 24 | ((guint32)lost & 0xffffffu));
    put32(block + 8, extended_max(stream));
    put32(block + 12, (guint32)stream->jitter);
    put32(block + 16, stream->last_sr);
    put32(block + 20, stream->last_sr != 0 ? (guint32)(since * 65536 / G_USEC_PER_SEC) : 0);
}

static gsize
write_cname(ClvUaStream *stream, guint8 *packet)
{
    static const char cname[] = "conclave-ua";
    gsize text = sizeof cname - 1;
    gsize len = (8 + 2 + text + 1 + 3) & ~(gsize)3;

    memset(packet, 0, len);
    packet[0] = 0x81;
    packet[1] = RTCP_SDES;
    put16(packet + 2, (guint16)(len / 4 - 1));
    put32(packet + 4, stream->stats.tx_ssrc);
    packet[8] = 1; /* CNAME */
    packet[9] = (guint8)text;
    memcpy(packet + 10, cname, text);
    return len;
}

static gsize
write_report(ClvUaStream *stream, guint8 *packet)
{
    gboolean sender = stream->stats.sent > 0;
    gboolean block = stream->stats.has_rx;
    gint64 now_us = g_get_real_time();
    gsize at = 8;

    packet[0] = (guint8)(0x80 | (block ? 1 : 0));
    packet[1] = sender ? RTCP_SR : RTCP_RR;
    put32(packet + 4, stream->stats.tx_ssrc);
    if (sender) {
        put32(packet + 8, (guint32)(now_us / G_USEC_PER_SEC + NTP_OF_1970));
        put32(packet + 12, (guint32)((guint64)(now_us % G_USEC_PER_SEC) * 4294967296u / 1000000u));
        put32(packet + 16, stream->timestamp);
        put32(packet + 20, (guint32)stream->stats.sent);
        put32(packet + 24, (guint32)stream->stats.sent_octets);
        at = 28;
    }
    if (block) {
        write_report_block(stream, packet + at);
        at += 24;
    }
    put16(packet + 2, (guint16)(at / 4 - 1));
    return at;
}

static void
send_rtcp(ClvUaStream *stream, gboolean bye)
{
    _Alignas(8) guint8 packet[256 + CLV_UA_CRYPT_TRAILER];
    gsize len = write_report(stream, packet);

    len += write_cname(stream, packet + len);
    if (bye) {
        packet[len] = 0x81;
        packet[len + 1] = RTCP_BYE;
        put16(packet + len + 2, 1);
        put32(packet + len + 4, stream->stats.tx_ssrc);
        len += 8;
    }
    if (!clv_ua_crypt_protect(stream->tx, packet, &len, TRUE))
        return;
    send_packet(stream->rtcp_fd, packet, len, &stream->rtcp_to, stream->address_len);
    stream->stats.rtcp_sent++;
}

static void
read_report_block(ClvUaStream *stream, const guint8 *block)
{
    if (get32(block) != stream->stats.tx_ssrc)
        return;
    stream->stats.has_report = TRUE;
    stream->stats.reported_fraction_lost = block[4];
    stream->stats.reported_lost = (gint32)(get32(block + 4) << 8) >> 8;
}

/* Chunks of items; the first CNAME is kept, unless it is that of somebody else behind the mixer. */
static void
read_sdes(ClvUaStream *stream, const guint8 *body, gsize len)
{
    gsize at = 4; /* after the SSRC of the first chunk */

    if (len < 4 || (stream->stats.cname[0] != '\0' && get32(body) != stream->stats.rx_ssrc))
        return;
    while (at + 2 <= len && body[at] != 0) {
        gsize text = body[at + 1];

        if (at + 2 + text > len)
            return;
        if (body[at] == 1) {
            gsize room = MIN(text, sizeof stream->stats.cname - 1);

            memcpy(stream->stats.cname, body + at + 2, room);
            stream->stats.cname[room] = '\0';
            return;
        }
        at += 2 + text;
    }
}

static void
read_rtcp_part(ClvUaStream *stream, guint8 type, guint count, const guint8 *body, gsize len)
{
    gsize fixed = type == RTCP_SR ? 24 : 4; /* SSRC, and for a sender what it sent */

    switch (type) {
    case RTCP_SR:
    case RTCP_RR:
        if (len < fixed + 24 * (gsize)count) {
            stream->stats.rtcp_bad++;
            return;
        }
        if (type == RTCP_SR) {
            stream->stats.sr++;
            stream->last_sr = get32(body + 6);
            stream->last_sr_us = g_get_monotonic_time();
        } else {
            stream->stats.rr++;
        }
        for (guint i = 0; i < count; i++)
            read_report_block(stream, body + fixed + 24 * i);
        return;
    case RTCP_SDES:
        read_sdes(stream, body, len);
        return;
    case RTCP_BYE:
        stream->stats.rtcp_bye++;
        return;
    default:
        return;
    }
}

static void
read_rtcp(ClvUaStream *stream, const guint8 *packet, gsize len)
{
    gsize at = 0;

    while (len - at >= 4) {
        gsize part = 4 * ((gsize)get16(packet + at + 2) + 1);

        if (packet[at] >> 6 != 2 || part > len - at) {
            stream->stats.rtcp_bad++;
            return;
        }
        read_rtcp_part(stream, packet[at + 1], packet[at] & 0x1f, packet + at + 4, part - 4);
        at += part;
    }
}

/* By the keys in force; for a while also by those before. A failure may leave the packet spoiled.
 */
static ClvUaVerdict
unprotect(ClvUaStream *stream, guint8 *packet, gsize *len, gboolean rtcp)
{
    _Alignas(8) guint8 copy[MAX_PACKET];
    gsize copy_len = *len;
    ClvUaVerdict verdict;

    if (stream->old_rx != NULL && g_get_monotonic_time() > stream->old_until_us)
        g_clear_pointer(&stream->old_rx, clv_ua_crypt_free);
    if (stream->old_rx != NULL)
        memcpy(copy, packet, copy_len);
    verdict = clv_ua_crypt_unprotect(stream->rx, packet, len, rtcp);
    if (verdict == CLV_UA_GOOD || stream->old_rx == NULL ||
        clv_ua_crypt_unprotect(stream->old_rx, copy, &copy_len, rtcp) != CLV_UA_GOOD)
        return verdict;
    memcpy(packet, copy, copy_len);
    *len = copy_len;
    stream->stats.under_old_keys++;
    return CLV_UA_GOOD;
}

static void
on_rtcp(void *user)
{
    ClvUaStream *stream = user;
    _Alignas(8) guint8 packet[MAX_PACKET];
    gssize n;

    while ((n = recv(stream->rtcp_fd, packet, sizeof packet, 0)) > 0) {
        gsize len = (gsize)n;

        if (!stream->running)
            continue;
        if (len < 8 || unprotect(stream, packet, &len, TRUE) != CLV_UA_GOOD)
            stream->stats.rtcp_bad++;
        else
            read_rtcp(stream, packet, len);
    }
}

/* ---- receiving --------------------------------------------------------------------------- */

static void
begin_source(ClvUaStream *stream, guint32 ssrc, guint16 seq)
{
    if (stream->stats.has_rx) {
        stream->lost_before += (guint64)MAX(lost_now(stream), 0);
        stream->stats.ssrc_changes++;
    }
    stream->stats.has_rx = TRUE;
    stream->stats.rx_ssrc = ssrc;
    stream->max_seq = seq;
    stream->base_seq = seq;
    stream->cycles = 0;
    stream->stream_received = 0;
    stream->expected_prior = 0;
    stream->received_prior = 0;
    stream->transit = 0;
    stream->last_sr = 0;
}

static void
count_sequence(ClvUaStream *stream, guint16 seq)
{
    guint16 ahead = (guint16)(seq - stream->max_seq);

    if (stream->stream_received > 0 && ahead == 0) {
        stream->stats.duplicates++;
    } else if (ahead < 0x8000) {
        if (seq < stream->max_seq)
            stream->cycles += 0x10000;
        stream->max_seq = seq;
    }
    stream->stream_received++;
    stream->stats.lost = stream->lost_before + (guint64)MAX(lost_now(stream), 0);
}

static void
count_jitter(ClvUaStream *stream, guint32 timestamp, gint64 now_us)
{
    gint32 arrival = (gint32)(guint32)(now_us * CLV_UA_RATE_HZ / G_USEC_PER_SEC);
    gint32 transit = (gint32)((guint32)arrival - timestamp);

    if (stream->stream_received > 1) {
        double d = ABS((double)(gint32)((guint32)transit - (guint32)stream->transit));

        stream->jitter += (d - stream->jitter) / 16.0;
        stream->stats.jitter_ms = stream->jitter * 1000.0 / CLV_UA_RATE_HZ;
    }
    stream->transit = transit;
}

/* Returns: octets of the header, 0 when it does not fit the packet */
static gsize
rtp_header_len(const guint8 *packet, gsize *len)
{
    gsize header;

    if (*len < 12 || packet[0] >> 6 != 2)
        return 0;
    header = 12 + 4 * (gsize)(packet[0] & 0x0f);
    if (packet[0] & 0x10) {
        if (*len < header + 4)
            return 0;
        header += 4 + 4 * (gsize)get16(packet + header + 2);
    }
    if (header > *len)
        return 0;
    if (packet[0] & 0x20) {
        gsize padding = packet[*len - 1];

        if (padding == 0 || padding > *len - header)
            return 0;
        *len -= padding;
    }
    return header;
}

/* Each event once, however often its end is said. */
static void
hear_event(ClvUaStream *stream, const guint8 *payload, gsize len, guint32 timestamp)
{
    gsize at = strlen(stream->stats.heard_digits);

    if (len < 4 || payload[0] >= sizeof events - 1 || (payload[1] & 0x80) == 0)
        return;
    if (at > 0 && timestamp == stream->heard_event)
        return;
    stream->heard_event = timestamp;
    if (at < sizeof stream->stats.heard_digits - 1)
        stream->stats.heard_digits[at] = events[payload[0]];
}

static void
hear(ClvUaStream *stream, const guint8 *packet, gsize len, gsize header, gint64 now_us)
{
    gint16 samples[MAX_PACKET];
    gsize n = len - header;
    guint32 ssrc = get32(packet + 8), timestamp = get32(packet + 4);
    gboolean fresh = !stream->stats.has_rx || ssrc != stream->stats.rx_ssrc;
    gint64 gap_ms = stream->last_rx_us != 0 ? (now_us - stream->last_rx_us) / 1000 : 0;

    if (!stream->stats.has_rx)
        stream->stats.first_packet_ms = (guint32)((now_us - stream->start_us) / 1000);
    if (fresh)
        begin_source(stream, ssrc, get16(packet + 2));
    stream->last_rx_us = now_us;
    stream->stats.longest_gap_ms = MAX(stream->stats.longest_gap_ms, gap_ms);
    stream->stats.received++;
    stream->stats.received_octets += n;
    count_sequence(stream, get16(packet + 2));
    count_jitter(stream, timestamp, now_us);
    if ((packet[1] & 0x7f) == stream->peer_event_pt)
        hear_event(stream, packet + header, n, timestamp);
    if ((packet[1] & 0x7f) != stream->pt)
        return; /* comfort noise, events: counted, not heard */

    for (gsize i = 0; i < n; i++)
        samples[i] = stream->alaw ? clv_ua_alaw_decode(packet[header + i])
                                  : clv_ua_ulaw_decode(packet[header + i]);
    if (!clv_ua_playout_put(stream->playout, timestamp, fresh || gap_ms > RESTART_AFTER_MS, samples,
                            n))
        stream->stats.late++;
}

static void
on_rtp(void *user)
{
    ClvUaStream *stream = user;
    _Alignas(8) guint8 packet[MAX_PACKET];
    gssize n;

    while ((n = recv(stream->rtp_fd, packet, sizeof packet, 0)) >= 0) {
        gsize len = (gsize)n;
        gsize header;
        ClvUaVerdict verdict;

        if (!stream->running)
            continue;
        verdict = len < 12 ? CLV_UA_MALFORMED : unprotect(stream, packet, &len, FALSE);
        header = verdict == CLV_UA_GOOD ? rtp_header_len(packet, &len) : 0;
        if (verdict == CLV_UA_BAD_AUTH)
            stream->stats.bad_auth++;
        else if (verdict == CLV_UA_REPLAYED)
            stream->stats.replayed++;
        else if (header == 0)
            stream->stats.malformed++;
        else
            hear(stream, packet, len, header, g_get_monotonic_time());
    }
}

/* ---- the pace ---------------------------------------------------------------------------- */

static void
play_frame(ClvUaStream *stream)
{
    gint16 samples[FRAME];
    gsize missing = clv_ua_playout_take(stream->playout, samples, FRAME);
    gint64 end_ms =
        stream->measure_for_ms < 0 ? G_MAXINT64 : stream->measure_from_ms + stream->measure_for_ms;

    stream->stats.silence_ms += (gint64)(missing * 1000 / CLV_UA_RATE_HZ);
    if (stream->record != NULL)
        clv_ua_wav_write(stream->record, samples, FRAME);
    if (!clv_ua_playout_has_begun(stream->playout))
        return;
    if (stream->heard_ms >= stream->measure_from_ms && stream->heard_ms < end_ms)
        clv_ua_meter_feed(stream->meter, samples, FRAME);
    stream->heard_ms += FRAME_MS;
}

static void
on_clock(void *user)
{
    ClvUaStream *stream = user;
    guint64 ticks = 0;

    if (read(stream->clock_fd, &ticks, sizeof ticks) != sizeof ticks)
        return;
    for (; ticks > 0; ticks--) {
        if (stream->sending && !press_digit(stream))
            send_frame(stream);
        stream->timestamp += FRAME;
        play_frame(stream);
    }
    if (g_get_monotonic_time() >= stream->rtcp_due_us) {
        send_rtcp(stream, FALSE);
        stream->rtcp_due_us += (gint64)(RTCP_EVERY_MS * 1000 * g_random_double_range(0.5, 1.5));
    }
}

static gboolean
start_clock(ClvUaStream *stream)
{
    struct itimerspec every = {{0, FRAME_MS * 1000000}, {0, FRAME_MS * 1000000}};

    stream->clock_fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    if (stream->clock_fd < 0 || timerfd_settime(stream->clock_fd, 0, &every, NULL) < 0)
        return FALSE;
    stream->clock_watch = clv_loop_watch(stream->loop, stream->clock_fd, on_clock, stream);
    return TRUE;
}

/* ---- life -------------------------------------------------------------------------------- */

ClvUaStream *
clv_ua_stream_open(const ClvUaStreamSetup *setup, GError **error)
{
    ClvUaStream *stream = g_new0(ClvUaStream, 1);

    stream->loop = setup->loop;
    stream->source = setup->source;
    stream->meter = setup->meter;
    stream->record = setup->record;
    stream->measure_from_ms = setup->measure_from_ms;
    stream->measure_for_ms = setup->measure_for_ms;
    stream->playout = clv_ua_playout_new();
    stream->digits = g_string_new(NULL);
    stream->rtp_fd = stream->rtcp_fd = stream->clock_fd = -1;
    stream->stats.tx_ssrc = g_random_int();
    stream->seq = (guint16)g_random_int_range(0, 0x8000);
    stream->timestamp = g_random_int();
    if (!bind_some_pair(stream, setup->local_host, setup->rtp_port)) {
        g_set_error(error, CLV_UA_STREAM_ERROR, errno, "no port for media on %s: %s",
                    setup->local_host, g_strerror(errno));
        clv_ua_stream_free(stream);
        return NULL;
    }
    stream->rtp_watch = clv_loop_watch(stream->loop, stream->rtp_fd, on_rtp, stream);
    stream->rtcp_watch = clv_loop_watch(stream->loop, stream->rtcp_fd, on_rtcp, stream);
    return stream;
}

static void
drop_old_keys(ClvUaStream *stream)
{
    g_clear_pointer(&stream->old_rx, clv_ua_crypt_free);
    g_clear_pointer(&stream->next_tx, clv_ua_crypt_free);
}

static void
close_watched(ClvUaStream *stream, int *fd, int *watch)
{
    if (*watch > 0)
        clv_loop_unwatch(stream->loop, *watch);
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
    *watch = 0;
}

void
clv_ua_stream_free(ClvUaStream *stream)
{
    if (stream == NULL)
        return;
    clv_ua_stream_stop(stream);
    close_watched(stream, &stream->rtp_fd, &stream->rtp_watch);
    close_watched(stream, &stream->rtcp_fd, &stream->rtcp_watch);
    drop_old_keys(stream);
    clv_ua_crypt_free(stream->tx);
    clv_ua_crypt_free(stream->rx);
    clv_ua_playout_free(stream->playout);
    g_string_free(stream->digits, TRUE);
    clv_ua_source_free(stream->source);
    clv_ua_meter_free(stream->meter);
    g_free(stream);
}

guint16
clv_ua_stream_port(const ClvUaStream *stream)
{
    return stream->port;
}

guint32
clv_ua_stream_ssrc(const ClvUaStream *stream)
{
    return stream->stats.tx_ssrc;
}

void
clv_ua_stream_switch_tx(ClvUaStream *stream)
{
    if (stream->next_tx == NULL)
        return;
    clv_ua_crypt_free(stream->tx);
    stream->tx = g_steal_pointer(&stream->next_tx);
}

static gboolean
take_keys(ClvUaStream *stream, const ClvUaStreamPeer *peer, GError **error)
{
    ClvUaCrypt *tx = clv_ua_crypt_new(&peer->tx, FALSE, error);
    ClvUaCrypt *rx = tx != NULL ? clv_ua_crypt_new(&peer->rx, TRUE, error) : NULL;

    if (rx == NULL) {
        clv_ua_crypt_free(tx);
        return FALSE;
    }
    drop_old_keys(stream);
    stream->old_rx = stream->rx;
    stream->old_until_us = g_get_monotonic_time() + OLD_KEYS_US;
    stream->stats.key_changes += stream->rx != NULL ? 1 : 0;
    stream->rx = rx;
    stream->next_tx = tx;
    if (stream->tx == NULL || !peer->tx_later)
        clv_ua_stream_switch_tx(stream);
    return TRUE;
}

gboolean
clv_ua_stream_start(ClvUaStream *stream, const ClvUaStreamPeer *peer, GError **error)
{
    socklen_t rtcp_len = 0;

    if (!to_sockaddr(peer->rtp.host, peer->rtp.port, &stream->rtp_to, &stream->address_len) ||
        !to_sockaddr(peer->rtcp.host, peer->rtcp.port, &stream->rtcp_to, &rtcp_len) ||
        rtcp_len != stream->address_len) {
        g_set_error(error, CLV_UA_STREAM_ERROR, 0, "'%s' is no address for media", peer->rtp.host);
        return FALSE;
    }
    if ((!peer->keep_keys || stream->tx == NULL) && !take_keys(stream, peer, error))
        return FALSE;
    stream->pt = peer->pt;
    stream->alaw = peer->alaw;
    stream->peer_event_pt = peer->event_pt;
    if (stream->running)
        return TRUE;

    stream->start_us = g_get_monotonic_time();
    stream->rtcp_due_us = stream->start_us + RTCP_FIRST_MS * 1000;
    stream->running = TRUE;
    stream->mark = TRUE;
    if (!start_clock(stream)) {
        g_set_error(error, CLV_UA_STREAM_ERROR, errno, "no timer: %s", g_strerror(errno));
        return FALSE;
    }
    return TRUE;
}

void
clv_ua_stream_set_sending(ClvUaStream *stream, gboolean sending)
{
    stream->mark = sending && !stream->sending;
    stream->sending = sending;
}

void
clv_ua_stream_stop(ClvUaStream *stream)
{
    if (!stream->running)
        return;
    send_rtcp(stream, TRUE);
    stream->running = FALSE;
    close_watched(stream, &stream->clock_fd, &stream->clock_watch);
}

const ClvUaStreamStats *
clv_ua_stream_stats(const ClvUaStream *stream)
{
    return &stream->stats;
}

ClvUaMeter *
clv_ua_stream_meter(ClvUaStream *stream)
{
    return stream->meter;
}
