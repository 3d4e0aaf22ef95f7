/* SPDX-License-Identifier: Apache-2.0 */
/* sip/sip.h - SIP to events and back; the door of the sip room
 *
 * Transports, transactions (nta), dialogs, digest, session timers. No Sofia type leaves this room.
 * All of it runs on the signalling thread, inside the loop of sip/loop.h.
 */
#pragma once

#include "conference/vocabulary.h"
#include "sip/loop.h"

typedef struct ClvSip ClvSip;

#define CLV_SIP_ERROR (clv_sip_error_quark())
GQuark clv_sip_error_quark(void);

typedef struct ClvSipConfig {
    char **listen;           /* "udp:127.0.0.1:5060" "tcp:[::1]:5060" "tls:0.0.0.0:5061" */
    const char *tls_dir;     /* (nullable) agent.pem and cafile.pem; needed for tls: */
    const char *tls_ciphers; /* (nullable) */
    gboolean tls_ask_client_cert;
    char *
        *trusted_peers; /* addresses, prefixes ("10.0.0.0/8") or TLS names whose assertions count */
    const char *realm;  /* of digest challenges */
    const char *users_file; /* (nullable) digest users */
    gboolean
        digest_sha256; /* challenge for SHA-256 beside MD5: baresip 1.0 gives up when it sees it */
    const char *resolv_conf;  /* (nullable) */
    gint64 session_expires_s; /* offered and accepted, 1800 */
    gint64 min_se_s;          /* 90 */
    guint max_message_bytes;  /* 65536 */
    guint max_calls;          /* live dialogs; beyond: 503 */
    guint max_invites_per_s;  /* 0: no limit */
    gint64 idle_ms;           /* silent connections are closed after so long */
    guint max_connections;    /* TCP and TLS together */
    gint64 t1_ms;             /* RFC 3261 T1; 0: 500. Tests make it short */
} ClvSipConfig;

/* What a canonical request URI is to us. */
typedef enum ClvSipTarget {
    CLV_TARGET_NONE, /* 404 */
    CLV_TARGET_FACTORY,
    CLV_TARGET_CONFERENCE,
    CLV_TARGET_DISABLED, /* 480 */
    CLV_TARGET_GONE,     /* 404 (410 allowed) */
} ClvSipTarget;

/* An INVITE that made a dialog and passed the checks that need no conference. */
typedef struct ClvSipInvite {
    ClvLegId leg; /* chosen by the handler table's new_leg() */
    ClvSipTarget target;
    const char *request_uri; /* canonical */
    const char *call_id;
    const char *from_uri;     /* (nullable) canonical; proves nothing */
    const char *display_name; /* (nullable) of the From header, cleaned to printable UTF-8 */
    ClvProof proof;           /* NONE, DIGEST or ASSERTED */
    const char *identity;     /* (nullable) canonical; set with DIGEST and ASSERTED */
    gboolean privacy_id;      /* Privacy: id, user or header */
    gboolean diverted;        /* History-Info with a cause, or Diversion */
    gboolean secured;         /* TLS, or a trusted peer */
    gboolean tls;
    const char *peer;       /* "udp:192.0.2.1:5060", for logs */
    const char *local_host; /* the local address it came to: default for media */
    const ClvSdp *offer;    /* (nullable) NULL: no offer in the INVITE */
} ClvSipInvite;

typedef enum ClvSipEventKind {
    CLV_SIP_INVITE,    /* data: ClvSipInvite */
    CLV_SIP_REOFFER,   /* data: ClvSdp (nullable: re-INVITE without offer); answer or refuse it */
    CLV_SIP_CONFIRMED, /* ACK of the first 200 */
    CLV_SIP_REOFFER_DONE, /* ACK of a re-INVITE's 200, or UPDATE answered */
    CLV_SIP_REOFFER_CANCELLED, /* a REOFFER that has no answer yet wants none any more */
    CLV_SIP_ENDED, /* dialog is over (BYE, CANCEL, no ACK, session timer, transport): text = cause
                    */
} ClvSipEventKind;

typedef struct ClvSipEvent {
    ClvSipEventKind kind;
    ClvLegId leg;
    const ClvSipInvite *invite;
    const ClvSdp *offer; /* REOFFER; with REOFFER_DONE the answer to our offer, or NULL */
    const char *cause;   /* ENDED: "bye", "cancel", "no-ack", "timer", "transport", "error" */
} ClvSipEvent;

typedef struct ClvSipHandlers {
    /* Total and cheap; uri is canonical. */
    ClvSipTarget (*classify)(void *user, const char *uri);
    /* A new dialog wants an id; 0: no room, answer 503. */
    ClvLegId (*new_leg)(void *user);
    void (*event)(void *user, const ClvSipEvent *event);
} ClvSipHandlers;

ClvSip *clv_sip_new(ClvLoop *loop, const ClvSipConfig *config, const ClvSipHandlers *handlers,
                    void *user, GError **error);
/* New dialogs get 503 from here on. */
void clv_sip_refuse_new(ClvSip *sip);
void clv_sip_free(ClvSip *sip);
/* Reads the users file again; on error the old users stay. */
gboolean clv_sip_reload_users(ClvSip *sip, GPtrArray *errors);
/* "udp:127.0.0.1:5060" strings of what is really bound (port 0 was replaced), NULL-terminated. */
const char *const *clv_sip_listening(const ClvSip *sip);

/* 180 or 183 without SDP; contact is the conference URI. */
void clv_sip_progress(ClvSip *sip, ClvLegId leg, guint status, const char *contact_uri);
/* Final refusal of an INVITE or re-offer. The dialog of a first INVITE ends here, without ENDED.
 * retry_after_s 0: the table's default. body: (nullable) application/sdp of a 488. */
void clv_sip_refuse(ClvSip *sip, ClvLegId leg, ClvCode code, guint retry_after_s, const char *body);
/* 200 to an INVITE or re-offer, with Contact: <contact_uri>;isfocus and the SDP text (nullable:
 * re-INVITE without offer gets our offer as text). */
void clv_sip_accept(ClvSip *sip, ClvLegId leg, const char *contact_uri, const char *sdp);
/* Ends the dialog in whatever state it is (487, BYE, ACK+BYE); no ENDED event follows.
 * reason: (nullable) value of a Reason header. */
void clv_sip_end(ClvSip *sip, ClvLegId leg, const char *reason);

typedef struct ClvSipTotals {
    guint dialogs, connections;
    guint64 invites, refused, retransmitted, malformed;
    guint64 refused_by[300]; /* by status, from 400 */
} ClvSipTotals;
void clv_sip_totals(const ClvSip *sip, ClvSipTotals *out);
/* Call-ID of a live leg, for logs; (nullable). */
const char *clv_sip_call_id(const ClvSip *sip, ClvLegId leg);

/* ---- status table (sip/status.c) ---- */
typedef struct ClvSipStatus {
    guint status;
    const char *phrase;
    guint warning; /* 0: none */
    const char *warning_text;
    guint retry_after_s; /* 0: none */
    guint also;          /* second warning; 0: none */
    const char *also_text;
} ClvSipStatus;
const ClvSipStatus *clv_sip_status(ClvCode code);
