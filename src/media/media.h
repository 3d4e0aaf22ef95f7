/* SPDX-License-Identifier: Apache-2.0 */
/* media/media.h - packets to mixed packets; the door of the media room
 *
 * Signalling makes finished legs, lends them to a media thread by command and gets them back by
 * event. Every function here is for the signalling thread; media threads never allocate or free
 * and take no lock. A conference lives on one media thread from birth to end.
 */
#pragma once

#include "conference/vocabulary.h"

typedef struct ClvMedia ClvMedia;
typedef struct ClvMediaLeg ClvMediaLeg; /* opaque; owned by the media room once opened */

#define CLV_MEDIA_ERROR (clv_media_error_quark())
typedef enum ClvMediaError {
    CLV_MEDIA_ERROR_SRTP,    /* keys that do not fit their suite, or a library that fails */
    CLV_MEDIA_ERROR_PORTS,   /* no free port pair in the range */
    CLV_MEDIA_ERROR_ADDRESS, /* an address that cannot be used */
    CLV_MEDIA_ERROR_CODEC,   /* neither PCMU nor PCMA */
    CLV_MEDIA_ERROR_LEG,     /* no such leg, or one that is there already */
    CLV_MEDIA_ERROR_FULL,    /* max_legs are open */
    CLV_MEDIA_ERROR_SYSTEM,  /* the kernel said no; the message says what to */
} ClvMediaError;
GQuark clv_media_error_quark(void);

typedef struct ClvMediaConfig {
    guint threads;          /* media threads, 0: one per core */
    guint16 port_first, port_last; /* RTP/RTCP port range, inclusive */
    guint max_legs;         /* sizes rings and pools */
    gboolean use_libsrtp;   /* libsrtp2 behind the seam instead of our own transform */
    gint64 silence_ms;      /* no authentic packet for so long: event SILENT; 0: never */
    const char *cname;      /* RTCP SDES CNAME of a mixer whose conference has none of its own */
    const char *prompts_dir; /* (nullable) the prompt set: WAV, 8000 Hz, 16 bit, mono; NULL: tones only */
    gboolean realtime;      /* SCHED_RR where the kernel permits; silently without where not */
} ClvMediaConfig;

ClvMedia *clv_media_new(const ClvMediaConfig *config, GError **error);
/* Joins the threads; every leg must have been closed. */
void clv_media_free(ClvMedia *media);

/* Readable when events wait; register it with the loop and call clv_media_dispatch(). */
int clv_media_event_fd(const ClvMedia *media);

typedef enum ClvMediaEventKind {
    CLV_MEDIA_FIRST_PACKET, /* first authentic packet: the peer's address is latched */
    CLV_MEDIA_SILENT,       /* no authentic packet for silence_ms, and for that long again */
    CLV_MEDIA_BYE,          /* RTCP BYE for the last live SSRC */
    CLV_MEDIA_COLLISION,    /* the peer uses an SSRC that somebody else in the conference has, or has
                               said to be his: value; told every 10 s at most */
    CLV_MEDIA_TALKING,      /* started or stopped talking (value 1 or 0); at most 2 a second and leg */
    CLV_MEDIA_DTMF,         /* a key was pressed (RFC 4733, in the secured stream): value is '0'-'9',
                               '*', '#', 'A'-'D'; once a key press, however often it was sent */
    CLV_MEDIA_PROMPTED,     /* the prompt is over: value is the ClvPrompt */
    CLV_MEDIA_CLOSED,       /* the leg came home; the id is dead from here on */
} ClvMediaEventKind;

typedef void (*ClvMediaHandler)(ClvMediaEventKind kind, ClvLegId leg, guint32 value, void *user);
void clv_media_dispatch(ClvMedia *media, ClvMediaHandler handler, void *user);

/* Everything needed to make one leg (copied; the caller cleanses his own keys). */
typedef struct ClvMediaSetup {
    ClvLegId leg;
    ClvConferenceId conference;
    const char *local_host;  /* address to bind; family follows it */
    ClvAddress remote_rtp;   /* where to send until an authentic packet latches another */
    ClvAddress remote_rtcp;
    gboolean rtcp_mux;
    guint8 pt;               /* payload type both ways */
    const char *codec;       /* "PCMU" or "PCMA" */
    gint dtmf_pt;            /* telephone-event, -1: none */
    guint ptime_ms;          /* 20 */
    ClvDirection direction;  /* ours: what we may do */
    ClvSrtpKeys rx, tx;      /* tx.ssrc is ours when has_ssrc */
    gboolean has_local_ssrc;
    guint32 local_ssrc;      /* taken from clv_media_new_ssrc() */
    const char *cname;       /* (nullable) of the mixer in this conference; the first one counts */
} ClvMediaSetup;

/* Reserves a port pair (RTP even, RTCP odd) before the answer is known. */
typedef struct ClvMediaPorts ClvMediaPorts;
ClvMediaPorts *clv_media_ports_open(ClvMedia *media, const char *local_host, GError **error);
void clv_media_ports_close(ClvMediaPorts *ports); /* unused ones; NULL allowed */
guint16 clv_media_ports_rtp(const ClvMediaPorts *ports);
guint16 clv_media_ports_rtcp(const ClvMediaPorts *ports);

/* A random SSRC that nobody in this conference uses (RFC 3550, 6.3 of the conference digest). */
guint32 clv_media_new_ssrc(ClvMedia *media, ClvConferenceId conference);
/* Its leg is gone, or never came to be: others may have it. */
void clv_media_drop_ssrc(ClvMedia *media, ClvConferenceId conference, guint32 ssrc);

/**
 * clv_media_open:
 * @ports: (transfer full): taken also on failure
 *
 * Makes the leg and lends it to the conference's thread. It receives at once, and is heard and
 * hears only when a plan names it.
 */
gboolean clv_media_open(ClvMedia *media, const ClvMediaSetup *setup, ClvMediaPorts *ports,
                        GError **error);
/* New direction, address or codec after a re-offer. */
gboolean clv_media_change(ClvMedia *media, ClvLegId leg, ClvDirection direction,
                          const ClvAddress *remote_rtp, const ClvAddress *remote_rtcp, guint8 pt,
                          const char *codec, GError **error);
/* New keys, both directions. We receive by them at once, and by the old ones for two seconds more; we
 * send by them after clv_media_rekeyed(), or when the peer does, or after those two seconds. */
gboolean clv_media_rekey(ClvMedia *media, ClvLegId leg, const ClvSrtpKeys *rx,
                         const ClvSrtpKeys *tx, GError **error);
/* The peer has our answer, and so the new keys (5.3 step 5 of the conference digest). */
void clv_media_rekeyed(ClvMedia *media, ClvLegId leg);
/* Another payload type of telephone-event (-1: none) after a re-offer; goes with clv_media_change(). */
gboolean clv_media_dtmf(ClvMedia *media, ClvLegId leg, gint dtmf_pt, GError **error);
/* Plays a prompt to this leg alone; it hears the mix again when it is over. PROMPTED follows, unless
 * another prompt or the end comes first; at once when the leg's direction forbids sending. NONE stops
 * it, and nothing follows. Needs no plan: who waits can be spoken to. */
void clv_media_prompt(ClvMedia *media, ClvLegId leg, ClvPrompt prompt);
/* Out of the mix at the next wake, RTCP BYE sent, keys cleansed; CLOSED follows. */
void clv_media_close(ClvMedia *media, ClvLegId leg);

/* @plan: (transfer full): replaces the conference's plan between two ticks. */
void clv_media_publish(ClvMedia *media, ClvMixPlan *plan);
/* The conference is over: its state on the thread goes. All legs have been closed. */
void clv_media_end(ClvMedia *media, ClvConferenceId conference);

/* Counters of one leg; relaxed reads, may lag a tick. */
typedef struct ClvMediaStats {
    guint64 rx_packets, rx_bytes;   /* authentic RTP */
    guint64 tx_packets, tx_bytes;
    guint64 rx_lost;                /* by sequence numbers, RFC 3550 A.3 */
    guint64 rx_auth_failed, rx_replayed, rx_clear, rx_malformed, rx_late, rx_duplicate,
        rx_wrong_source, concealed;
    guint32 jitter_us;
    guint32 rx_ssrc, tx_ssrc;
    guint32 peer_lost_fraction;     /* of 256, from the peer's last report block */
    gint level_dbov;                /* of what was last received, 0..-127 */
    ClvSrtpSuite suite;
} ClvMediaStats;
gboolean clv_media_stats(ClvMedia *media, ClvLegId leg, ClvMediaStats *out);

/* Has every thread ticked since this was asked last? */
gboolean clv_media_alive(ClvMedia *media);

/* Sums over all threads, and the worst tick of the last minute in microseconds. */
typedef struct ClvMediaTotals {
    guint legs, conferences;
    guint64 rx_packets, tx_packets, dropped;
    /* as in ClvMediaStats, over all legs there ever were */
    guint64 rx_bytes, tx_bytes, rx_lost, rx_auth_failed, rx_replayed, rx_clear, rx_malformed,
        rx_late, rx_duplicate, rx_wrong_source, concealed;
    guint32 tick_worst_us, tick_mean_us; /* of the slowest thread */
    guint64 ticks;      /* of the thread that has ticked least: grows while all are alive */
    guint64 ticks_late; /* ticks that were due while one was still running */
    guint64 busy_ns;    /* spent in ticks */
} ClvMediaTotals;
void clv_media_totals(ClvMedia *media, ClvMediaTotals *out);
