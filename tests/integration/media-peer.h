/* SPDX-License-Identifier: Apache-2.0 */
/* A participant for tests: a socket, SRTP both ways, a tone out, and an ear for frequencies. */
#pragma once

#include "media/g711.h"
#include "media/media.h"
#include "media/rtcp.h"
#include "media/rtp.h"
#include "media/srtp.h"

#define PEER_SECONDS 12
#define PEER_FRAME 160
#define PEER_EVENTS 101 /* payload type */

typedef struct Peer {
    ClvLegId leg;
    ClvConferenceId conference;
    int fd;
    guint16 port;       /* ours */
    guint16 mixer_port; /* RTP; RTCP is one above */
    ClvSrtpKeys to_mixer, from_mixer;
    ClvSrtp *send, *receive;
    ClvG711Law law;
    gboolean mux;
    gboolean mute;          /* sends nothing at all */
    ClvDirection direction; /* the mixer's */
    double hz;              /* 0: says nothing but the idle code */
    double amplitude;
    guint32 ssrc, timestamp;
    guint16 seq;
    guint64 sample; /* of the tone */
    guint sent, got, bad, reports, byes, markers;
    const char *cname; /* (nullable) of his conference */
    guint32 last_timestamp;
    guint32 named; /* the last source that the mixer told the name of, and the name */
    char name[64];
    guint16 last_seq;
    guint seq_gaps;
    guint32 mixer_ssrc;
    guint8 last_csrcs;
    guint32 csrcs[CLV_RTP_MAX_CSRCS];
    gint16 heard[PEER_SECONDS * 8000];
    guint n_heard;
} Peer;

void peer_init(Peer *peer, ClvLegId leg, ClvConferenceId conference, ClvSrtpSuite suite,
               ClvG711Law law, double hz);
void peer_clear(Peer *peer);
/* Opens the mixer's side. */
void peer_join(Peer *peer, ClvMedia *media);
/* The next packet of the tone, protected. */
gsize peer_make(Peer *peer, guint8 *out, gsize room);
/* A telephone event; it takes the next sequence number, and no time. */
gsize peer_make_event(Peer *peer, guint8 code, gboolean marker, gboolean end, guint32 timestamp,
                      guint16 duration, guint8 *out, gsize room);
void peer_send(Peer *peer, const guint8 *bytes, gsize len);
void peer_send_report(Peer *peer, gboolean bye);
void peer_receive(Peer *peer); /* all that waits */
/* Amplitude of a frequency in what was heard since the sample from. */
double peer_hears(const Peer *peer, double hz, guint from);
