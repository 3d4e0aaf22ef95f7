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
    const char *outbound;     /* (nullable) where requests outside dialogs go first: a SIP URI with ;lr */
    gboolean ims;             /* calls of ours carry a fresh P-Charging-Vector (RFC 7315) */
    gint64 session_expires_s; /* offered and accepted, 1800 */
    gint64 min_se_s;          /* 90 */
    guint max_message_bytes;  /* 65536 */
    guint max_calls;          /* live dialogs; beyond: 503 */
    guint max_invites_per_s;  /* REFERs outside of calls count as well; 0: no limit */
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
    const char *const *identities; /* (nullable) NULL-terminated: all that a trusted peer asserted */
    const char *peer_name;  /* address or TLS name of the next hop, as trusted-peers and trust= know it */
    GPtrArray *uri_list;    /* (nullable) ClvUriEntry, RFC 5366; the handler takes a reference */
    ClvLegId replaces;      /* RFC 3891: the dialog whose seat is wanted; unknown ones got 481; 0 */
    ClvLegId joins;         /* RFC 3911; 0 */
    const char *referred_by; /* (nullable) canonical; proves nothing */
} ClvSipInvite;

/* A REFER to a conference, in or outside a dialog (RFC 3515, 4488, 4538). */
typedef struct ClvSipRefer {
    ClvReferId refer;
    ClvLegId leg;            /* its dialog, or that of a verified Target-Dialog; 0: none */
    gboolean leg_is_named;   /* by Target-Dialog alone: that proves nothing */
    const char *request_uri; /* canonical URI of the conference */
    const char *call_id;
    ClvProof proof;          /* as in ClvSipInvite */
    const char *identity;    /* (nullable) canonical; inside a dialog that of the dialog, if the
                                request brought none of its own */
    const char *const *identities;
    gboolean privacy_id, secured, tls;
    const char *peer, *peer_name;
    const char *target;      /* Refer-To, canonical */
    gboolean removes;        /* method=BYE; else INVITE */
    gboolean names_dialog;   /* Refer-To has escaped Call-ID, From and To: */
    ClvLegId target_leg;     /* the dialog they name; 0: none of ours */
    const char *replaces;    /* (nullable) escaped Replaces, for our INVITE */
    const char *referred_by; /* (nullable) value of the header, checked for syntax */
    const ClvSdp *ticket;    /* (nullable) no m-line, one a=key-mgmt at session level: the
                                TRANSFER_INIT of the body, application/mikey or application/sdp */
} ClvSipRefer;

typedef enum ClvSipEventKind {
    CLV_SIP_INVITE,    /* data: ClvSipInvite */
    CLV_SIP_REOFFER,   /* data: ClvSdp (nullable: re-INVITE without offer); answer or refuse it */
    CLV_SIP_CONFIRMED, /* ACK of the first 200 */
    CLV_SIP_REOFFER_DONE, /* ACK of a re-INVITE's 200, or UPDATE answered */
    CLV_SIP_REOFFER_CANCELLED, /* a REOFFER that has no answer yet wants none any more */
    CLV_SIP_PROBED, /* of clv_sip_probe(): .status .lost */
    CLV_SIP_ENDED, /* dialog is over (BYE, CANCEL, no ACK, session timer, transport): text = cause
                    */
    /* of calls by clv_sip_call() */
    CLV_SIP_RINGING,  /* provisional answer: .status .answerer */
    CLV_SIP_ANSWERED, /* 2xx: .offer is the answer (nullable), .answerer; confirm it or end it */
    CLV_SIP_FAILED,   /* final answer of 300 and up, or none: .status; the leg is over, no ENDED */
    CLV_SIP_IDENTITY, /* later request of who answered: .answerer differs from before */
    /* of REFER */
    CLV_SIP_REFER,        /* .refer; reply by clv_sip_refer_reply() */
    CLV_SIP_REFER_STATUS, /* of clv_sip_refer(): .token .status, last_status when it is final */
} ClvSipEventKind;

typedef struct ClvSipEvent {
    ClvSipEventKind kind;
    ClvLegId leg;
    const ClvSipInvite *invite;
    const ClvSdp *offer; /* REOFFER; with REOFFER_DONE the answer to our offer, or NULL */
    gboolean hurried;    /* REOFFER: by UPDATE, whose transaction cannot wait long for its answer */
    const char *cause;   /* ENDED: "bye", "cancel", "no-ack", "timer", "transport", "error" */
    const ClvSipRefer *refer;
    const ClvAnswerer *answerer;
    guint status;          /* SIP status */
    gboolean lost;         /* PROBED: the peer does not answer, or knows of no such dialog */
    gboolean last_status;
    guint64 token;         /* as given to clv_sip_refer() */
    gboolean secured, tls; /* ANSWERED: how the answer came */
    const char *peer, *peer_name, *local_host; /* ANSWERED */
    const char *display_name; /* (nullable) ANSWERED: of P-Asserted-Identity, else To */
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

/* 180, 182 or 183 without SDP; contact is the conference URI. Repeated once a minute until there is a
 * final answer (RFC 3261 13.3.1.1). */
void clv_sip_progress(ClvSip *sip, ClvLegId leg, guint status, const char *contact_uri);
/* Final refusal of an INVITE or re-offer. The dialog of a first INVITE ends here, without ENDED.
 * retry_after_s 0: the table's default. body: (nullable) application/sdp of a 488. */
void clv_sip_refuse(ClvSip *sip, ClvLegId leg, ClvCode code, guint retry_after_s, const char *body);
/* 200 to an INVITE or re-offer, with Contact: <contact_uri>;isfocus and the SDP text (nullable:
 * re-INVITE without offer gets our offer as text). Where the peer requires 100rel the SDP goes out in
 * a reliable 183 (RFC 3262), and the 200, without SDP, when that has been acknowledged and the peer's
 * preconditions (RFC 3312) are met; an UPDATE in between is a REOFFER. */
void clv_sip_accept(ClvSip *sip, ClvLegId leg, const char *contact_uri, const char *sdp);
/* Ends the dialog in whatever state it is (487, BYE, ACK+BYE); no ENDED event follows.
 * reason: (nullable) value of a Reason header. */
void clv_sip_end(ClvSip *sip, ClvLegId leg, const char *reason);

/* Asks the peer of a live dialog whether he lives: PROBED follows, within 64*T1. One at a time. */
void clv_sip_probe(ClvSip *sip, ClvLegId leg);

/* 302 with Contact: <contact_uri>;isfocus and the MIKEY octets as body (5.1, variant C). */
void clv_sip_redirect(ClvSip *sip, ClvLegId leg, const char *contact_uri, const guint8 *mikey,
                      gsize len);

/* ---- calls of ours (sip/call-out.c) ---- */
typedef struct ClvSipCall {
    const char *target;       /* canonical URI: To and Request-URI */
    const char *focus_uri;    /* From, Contact (;isfocus), P-Asserted-Identity towards trusted hops */
    const char *display_name; /* (nullable) of From */
    const char *sdp;          /* offer; may hold keys */
    const char *referred_by;  /* (nullable) value of Referred-By */
    const char *replaces;     /* (nullable) value of Replaces */
    GPtrArray *history;       /* (nullable) ClvUriEntry for recipient-list-history (RFC 5366 5.2): bcc
                                 entries are left out, anonymised ones have no name */
} ClvSipCall;
/* Would a call to this URI go by TLS to its first hop? Trust in that hop hides no key on the way. */
gboolean clv_sip_call_is_tls(const ClvSip *sip, const char *target);
/* The address by which that hop would see us: default for media. (transfer full) (nullable) */
char *clv_sip_call_local_host(const ClvSip *sip, const char *target);
/* INVITE. FALSE: not sent (no route, nonsense URI, too many calls); nothing follows. Else RINGING
 * events, and ANSWERED, FAILED or ENDED. Forks: the first 2xx is ANSWERED, others get ACK and BYE.
 * An answer in a reliable 18x is kept for its early dialog; a 2xx without SDP brings it. */
gboolean clv_sip_call(ClvSip *sip, ClvLegId leg, const ClvSipCall *call);
/* ACK: the answer is good, the dialog lives. clv_sip_end() instead sends ACK and BYE; before an
 * answer it sends CANCEL, once a provisional answer allows that. */
void clv_sip_confirm(ClvSip *sip, ClvLegId leg);

/* ---- REFER (sip/refer.c) ---- */
/* The answer: OK means 202, or 200 when plain_200; then NOTIFY "100 Trying" follows, unless the
 * referrer wants none (norefersub). Anything else refuses, and the id is dead. */
void clv_sip_refer_reply(ClvSip *sip, ClvReferId refer, ClvCode code, gboolean plain_200);
/* The ticket of a REFER that nothing else proved is good. Until then its Contact, which may be somebody
 * else's, is sent nothing but by the connection that the REFER came by; the last word once, otherwise. */
void clv_sip_refer_proven(ClvSip *sip, ClvReferId refer);
/* NOTIFY with a sipfrag; phrase NULL: the usual one. last: the subscription ends, the id is dead. */
void clv_sip_refer_notify(ClvSip *sip, ClvReferId refer, guint status, const char *phrase,
                          gboolean last);

/* A REFER of ours: asks somebody to call the focus (5.20). */
typedef struct ClvSipReferOut {
    guint64 token;
    const char *target;    /* canonical URI of whom we ask */
    const char *focus_uri; /* Refer-To, From, Contact */
    const guint8 *mikey;   /* (nullable) TRANSFER_INIT for the body */
    gsize mikey_len;
} ClvSipReferOut;
/* REFER_STATUS events follow: the answer (202: not the last), then what NOTIFYs tell. */
gboolean clv_sip_refer(ClvSip *sip, const ClvSipReferOut *refer);
/* Nothing more of it is wanted: no event follows, and its dialog ends when a NOTIFY that may be on its
 * way has had its answer. Unknown ones: nothing. */
void clv_sip_refer_forget(ClvSip *sip, guint64 token);

typedef struct ClvSipTotals {
    guint dialogs, connections;
    guint lingering; /* dialogs that are over but for a last word to the peer */
    guint referrals; /* live REFERs, theirs and ours */
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
