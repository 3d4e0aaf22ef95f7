/* SPDX-License-Identifier: Apache-2.0 */
/* ua/stream.h - the media of one call: RTP and RTCP, said and heard, counted
 *
 * Lives in the loop's thread; a timerfd gives the pace of 20 ms.
 */
#pragma once

#include "conference/vocabulary.h"
#include "sip/loop.h"
#include "ua/meter.h"
#include "ua/source.h"
#include "ua/wav.h"

#define CLV_UA_STREAM_ERROR (clv_ua_stream_error_quark())
GQuark clv_ua_stream_error_quark(void);

#define CLV_UA_RATE_HZ 8000u

typedef struct ClvUaStream ClvUaStream;

typedef struct ClvUaStreamSetup {
    ClvLoop *loop;
    const char *local_host;
    guint16 rtp_port;       /* even, or 0 for any */
    ClvUaSource *source;    /* (transfer full) */
    ClvUaMeter *meter;      /* (transfer full) */
    ClvUaWavWriter *record; /* (nullable) not owned */
    gint64 measure_from_ms; /* after the first sound */
    gint64 measure_for_ms;  /* -1: to the end */
} ClvUaStreamSetup;

/* What the other side has agreed to. */
typedef struct ClvUaStreamPeer {
    ClvAddress rtp;
    ClvAddress rtcp;
    guint8 pt;
    gboolean alaw;      /* else mu-law */
    int event_pt;       /* of telephone events, -1: none */
    ClvSrtpKeys tx, rx; /* CLV_SRTP_NONE: in the clear */
    gboolean keep_keys; /* of a running stream: counters of SRTP go on, tx and rx are not read */
    gboolean tx_later;  /* go on with the old tx until clv_ua_stream_switch_tx() */
} ClvUaStreamPeer;

typedef struct ClvUaStreamStats {
    guint64 sent, sent_octets;
    guint64 received, received_octets;
    guint digits;       /* sent as telephone events */
    guint64 lost;       /* by sequence numbers; late ones are not lost */
    guint64 duplicates; /* same sequence number again, as far as decryption lets them through */
    guint64 late;       /* too late to be heard */
    guint64 bad_auth, replayed, malformed;
    guint64 under_old_keys; /* after a change of keys */
    guint key_changes;
    guint64 rtcp_sent, sr, rr, rtcp_bad, rtcp_bye;
    double jitter_ms;
    gint64 longest_gap_ms; /* between two packets that follow each other */
    gint64 silence_ms;     /* played because nothing was there in time */
    guint32 tx_ssrc, rx_ssrc;
    guint ssrc_changes;
    gboolean has_rx, has_report;   /* a report about what we send */
    guint8 reported_fraction_lost; /* of 256 */
    gint32 reported_lost;
    guint32 first_packet_ms; /* after the start */
    char heard_digits[64];   /* telephone events that ended */
    char cname[64];          /* of the peer */
} ClvUaStreamStats;

/* Binds the sockets. */
ClvUaStream *clv_ua_stream_open(const ClvUaStreamSetup *setup, GError **error);
void clv_ua_stream_free(ClvUaStream *stream); /* NULL allowed; sends RTCP BYE if it runs */
guint16 clv_ua_stream_port(const ClvUaStream *stream);
guint32 clv_ua_stream_ssrc(const ClvUaStream *stream);

/* Starts, or goes on with other keys and addresses. What still comes under the keys before is taken
 * for two seconds. */
gboolean clv_ua_stream_start(ClvUaStream *stream, const ClvUaStreamPeer *peer, GError **error);
/* Digits to be sent as telephone events (RFC 4733) of type @pt, in place of sound.
 * FALSE: one of them is none of 0-9, *, #, A-D */
gboolean clv_ua_stream_dtmf(ClvUaStream *stream, guint8 pt, const char *digits);
/* The other side has the answer with our new keys. */
void clv_ua_stream_switch_tx(ClvUaStream *stream);
/* The other side's keys for us are not known yet, or we are on hold: say nothing */
void clv_ua_stream_set_sending(ClvUaStream *stream, gboolean sending);
/* Says goodbye on RTCP and stops; counters and meter stay. */
void clv_ua_stream_stop(ClvUaStream *stream);
const ClvUaStreamStats *clv_ua_stream_stats(const ClvUaStream *stream);
ClvUaMeter *clv_ua_stream_meter(ClvUaStream *stream);
