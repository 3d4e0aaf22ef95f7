/* SPDX-License-Identifier: Apache-2.0 */
#include "media-peer.h"

#include <arpa/inet.h>
#include <math.h>
#include <netinet/in.h>
#include <openssl/rand.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static void
random_keys(ClvSrtpKeys *keys, ClvSrtpSuite suite)
{
    const ClvSrtpProfile *profile = clv_srtp_profile(suite);

    *keys =
        (ClvSrtpKeys){.suite = suite, .key_len = profile->key_len, .salt_len = profile->salt_len};
    RAND_bytes(keys->key, keys->key_len);
    RAND_bytes(keys->salt, keys->salt_len);
}

void
peer_init(Peer *peer, ClvLegId leg, ClvConferenceId conference, ClvSrtpSuite suite, ClvG711Law law,
          double hz)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t len = sizeof at;

    memset(peer, 0, sizeof *peer);
    peer->leg = leg;
    peer->conference = conference;
    peer->law = law;
    peer->hz = hz;
    peer->amplitude = 3000;
    peer->mux = TRUE;
    peer->direction = CLV_DIR_SENDRECV;
    peer->fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    g_assert_cmpint(bind(peer->fd, (struct sockaddr *)&at, sizeof at), ==, 0);
    g_assert_cmpint(getsockname(peer->fd, (struct sockaddr *)&at, &len), ==, 0);
    peer->port = ntohs(at.sin_port);
    random_keys(&peer->to_mixer, suite);
    random_keys(&peer->from_mixer, suite);
    peer->send = clv_srtp_new(CLV_SRTP_OPENSSL, &peer->to_mixer, CLV_SRTP_SEND, NULL);
    peer->receive = clv_srtp_new(CLV_SRTP_OPENSSL, &peer->from_mixer, CLV_SRTP_RECEIVE, NULL);
    g_assert_nonnull(peer->send);
    g_assert_nonnull(peer->receive);
    RAND_bytes((guint8 *)&peer->ssrc, sizeof peer->ssrc);
    peer->seq = (guint16)(leg * 7919);
}

void
peer_clear(Peer *peer)
{
    close(peer->fd);
    clv_srtp_free(peer->send);
    clv_srtp_free(peer->receive);
}

void
peer_join(Peer *peer, ClvMedia *media)
{
    GError *error = NULL;
    ClvMediaPorts *ports = clv_media_ports_open(media, "127.0.0.1", &error);
    ClvMediaSetup setup = {
        .leg = peer->leg,
        .conference = peer->conference,
        .local_host = "127.0.0.1",
        .remote_rtp = {"127.0.0.1", peer->port},
        .remote_rtcp = {"127.0.0.1", peer->port},
        .rtcp_mux = peer->mux,
        .pt = peer->law == CLV_G711_ULAW ? 0 : 8,
        .codec = peer->law == CLV_G711_ULAW ? "PCMU" : "PCMA",
        .dtmf_pt = PEER_EVENTS,
        .ptime_ms = 20,
        .direction = peer->direction,
        .rx = peer->to_mixer,
        .tx = peer->from_mixer,
        .cname = peer->cname,
    };

    g_assert_no_error(error);
    peer->mixer_port = clv_media_ports_rtp(ports);
    g_assert_cmpuint(clv_media_ports_rtcp(ports), ==, peer->mixer_port + 1);
    g_assert_true(clv_media_open(media, &setup, ports, &error));
    g_assert_no_error(error);
}

gsize
peer_make(Peer *peer, guint8 *out, gsize room)
{
    ClvRtpPacket header = {.pt = peer->law == CLV_G711_ULAW ? 0 : 8,
                           .seq = peer->seq++,
                           .timestamp = peer->timestamp,
                           .ssrc = peer->ssrc,
                           .marker = peer->sent == 0};
    gsize len = clv_rtp_write_header(&header, out, room);
    gint16 tone[PEER_FRAME];

    for (guint i = 0; i < PEER_FRAME; i++)
        tone[i] = (gint16)lrint(peer->amplitude *
                                sin(2 * G_PI * peer->hz * (double)peer->sample++ / 8000));
    if (peer->hz > 0)
        clv_g711_encode(peer->law, tone, out + len, PEER_FRAME);
    else
        memset(out + len, clv_g711_silence(peer->law), PEER_FRAME);
    len += PEER_FRAME;
    peer->timestamp += PEER_FRAME;
    peer->sent++;
    g_assert_cmpint(clv_srtp_protect_rtp(peer->send, out, &len, room), ==, CLV_SRTP_OK);
    return len;
}

gsize
peer_make_event(Peer *peer, guint8 code, gboolean marker, gboolean end, guint32 timestamp,
                guint16 duration, guint8 *out, gsize room)
{
    ClvRtpPacket header = {.pt = PEER_EVENTS,
                           .seq = peer->seq++,
                           .timestamp = timestamp,
                           .ssrc = peer->ssrc,
                           .marker = marker};
    gsize len = clv_rtp_write_header(&header, out, room);
    const guint8 report[4] = {code, end ? 0x8a : 0x0a, (guint8)(duration >> 8), (guint8)duration};

    memcpy(out + len, report, sizeof report);
    len += sizeof report;
    peer->sent++;
    g_assert_cmpint(clv_srtp_protect_rtp(peer->send, out, &len, room), ==, CLV_SRTP_OK);
    return len;
}

static void
send_to(Peer *peer, guint16 port, const guint8 *bytes, gsize len)
{
    struct sockaddr_in to = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr = {htonl(INADDR_LOOPBACK)}};

    (void)sendto(peer->fd, bytes, len, 0, (struct sockaddr *)&to, sizeof to);
}

void
peer_send(Peer *peer, const guint8 *bytes, gsize len)
{
    if (!peer->mute)
        send_to(peer, peer->mixer_port, bytes, len);
}

void
peer_send_report(Peer *peer, gboolean bye)
{
    ClvRtcpSenderInfo info = {.packets = peer->sent};
    guint8 bytes[CLV_RTCP_MAX_PACKET];
    gsize len = clv_rtcp_write(peer->ssrc, &info, NULL, "peer", bye, bytes, sizeof bytes);

    g_assert_cmpint(clv_srtp_protect_rtcp(peer->send, bytes, &len, sizeof bytes), ==, CLV_SRTP_OK);
    send_to(peer, (guint16)(peer->mixer_port + (peer->mux ? 0 : 1)), bytes, len);
}

/* Chunks of the SDES packets, by hand: a mixer says its own name and those of its sources. */
static void
hear_names(Peer *peer, const guint8 *bytes, gsize len, guint32 mixer)
{
    for (gsize at = 0; at + 4 <= len;) {
        gsize end = at + 4 * (1 + (gsize)(bytes[at + 2] << 8 | bytes[at + 3]));
        gsize chunk = at + 4;

        for (guint left = bytes[at + 1] == 202 ? bytes[at] & 0x1f : 0; left > 0; left--) {
            guint32 ssrc = (guint32)bytes[chunk] << 24 | (guint32)bytes[chunk + 1] << 16 |
                           (guint32)bytes[chunk + 2] << 8 | bytes[chunk + 3];

            g_assert_cmpuint(bytes[chunk + 4], ==, 1);
            g_assert_cmpuint(chunk + 6 + bytes[chunk + 5], <, end);
            if (ssrc != mixer) {
                peer->named = ssrc;
                memset(peer->name, 0, sizeof peer->name);
                memcpy(peer->name, bytes + chunk + 6, MIN(bytes[chunk + 5], sizeof peer->name - 1));
            }
            chunk += 6 + bytes[chunk + 5];
            chunk += 4 - (chunk - at) % 4;
        }
        g_assert_true(bytes[at + 1] != 202 || chunk == end);
        at = end;
    }
}

static void
hear_report(Peer *peer, guint8 *bytes, gsize len)
{
    ClvRtcpCompound compound;

    if (clv_srtp_unprotect_rtcp(peer->receive, bytes, &len) != CLV_SRTP_OK ||
        !clv_rtcp_read(bytes, len, &compound)) {
        peer->bad++;
        return;
    }
    g_assert_cmpstr(compound.cname, ==, peer->cname != NULL ? peer->cname : "mixer@test");
    hear_names(peer, bytes, len, compound.ssrc);
    peer->reports++;
    peer->byes += compound.n_byes;
}

static void
hear(Peer *peer, guint8 *bytes, gsize len)
{
    ClvRtpPacket packet;

    if (clv_srtp_unprotect_rtp(peer->receive, bytes, &len) != CLV_SRTP_OK ||
        !clv_rtp_read(bytes, len, &packet)) {
        peer->bad++;
        return;
    }
    if (peer->got > 0 && packet.seq != (guint16)(peer->last_seq + 1))
        peer->seq_gaps++;
    peer->last_seq = packet.seq;
    peer->last_timestamp = packet.timestamp;
    peer->got++;
    peer->markers += packet.marker;
    peer->mixer_ssrc = packet.ssrc;
    peer->last_csrcs = packet.n_csrcs;
    memcpy(peer->csrcs, packet.csrcs, sizeof peer->csrcs);
    if (peer->n_heard + packet.payload_len > G_N_ELEMENTS(peer->heard))
        return;
    clv_g711_decode(peer->law, packet.payload, peer->heard + peer->n_heard, packet.payload_len);
    peer->n_heard += (guint)packet.payload_len;
}

void
peer_receive(Peer *peer)
{
    guint8 bytes[2048];
    ssize_t n;

    while ((n = recv(peer->fd, bytes, sizeof bytes, MSG_DONTWAIT)) > 0) {
        if (clv_rtp_kind(bytes, (gsize)n) == CLV_RTP_KIND_RTCP)
            hear_report(peer, bytes, (gsize)n);
        else
            hear(peer, bytes, (gsize)n);
    }
}

double
peer_hears(const Peer *peer, double hz, guint from)
{
    double re = 0, im = 0;
    guint n = peer->n_heard > from ? peer->n_heard - from : 0;

    for (guint i = from; i < peer->n_heard; i++) {
        re += peer->heard[i] * cos(2 * G_PI * hz * i / 8000);
        im += peer->heard[i] * sin(2 * G_PI * hz * i / 8000);
    }
    return n > 0 ? 2 * sqrt(re * re + im * im) / n : 0;
}
