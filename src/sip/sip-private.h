/* SPDX-License-Identifier: Apache-2.0 */
/* sip/sip-private.h - what agent, dialog and session timer share inside the room */
#pragma once

#include "sip/sofia.h"

#include "sip/connections.h"
#include "sip/digest.h"
#include "sip/sdp.h"
#include "sip/sip.h"

#define CLV_SIP_ALLOW                                                                              \
    "INVITE, ACK, CANCEL, BYE, OPTIONS, PRACK, UPDATE, REFER, SUBSCRIBE, NOTIFY"
/* Preconditions are met as who is called: whom we call shall not wait for our UPDATE (RFC 3312). */
#define CLV_SIP_SUPPORTED_CALLING                                                                  \
    "timer, 100rel, replaces, join, norefersub, tdialog, histinfo, from-change, "                  \
    "recipient-list-invite"
#define CLV_SIP_SUPPORTED CLV_SIP_SUPPORTED_CALLING ", precondition"
/* What bodies are read: of any request (4.1; conference-info is for those who subscribe), of an INVITE,
 * an UPDATE, a REFER. RFC 3261 21.4.13: a 415 lists those of the request that it answers. */
#define CLV_SIP_ACCEPT                                                                             \
    "application/sdp, message/sipfrag, application/resource-lists+xml, application/mikey, "        \
    "multipart/mixed"
#define CLV_SIP_ACCEPT_INVITE "application/sdp, application/resource-lists+xml, multipart/mixed"
#define CLV_SIP_ACCEPT_UPDATE "application/sdp, multipart/mixed"
#define CLV_SIP_ACCEPT_REFER "application/mikey, application/sdp, multipart/mixed"
#define CLV_SIP_EVENTS "refer"

typedef struct ClvUnacked ClvUnacked;
typedef struct CallOut CallOut;
typedef struct ClvReferrals ClvReferrals;

struct ClvSip {
    ClvLoop *loop;
    ClvSipHandlers handlers;
    void *user;

    /* of the configuration */
    char **trusted_peers;
    char *users_file;
    gint64 session_expires_s, min_se_s, t1_ms;
    guint max_calls, max_invites_per_s;
    gboolean digest_sha256, ims;
    char *outbound; /* (nullable) */

    su_home_t *home;
    nta_agent_t *agent;
    ClvUnacked *unacked;
    sip_supported_t *supported;
    char **listening;
    ClvConnections *connections;
    ClvDigest *digest;

    ClvReferrals *referrals;
    GHashTable *asked; /* REFERs of ours (refer-out.c) */
    GHashTable *dialogs; /* ClvLegId -> Dialog, holds a reference */
    GHashTable *dialogs_by_tag; /* our tag -> Dialog, borrowed; a part of them */
    GHashTable
        *lingering; /* Dialogs that nobody asks for: BYE or ACK outstanding; holds a reference */
    gboolean refuse_new;
    gint64 window_us; /* start of the second in which invites_in_window came */
    guint invites_in_window;
    ClvSipTotals totals;
};

typedef enum DialogState {
    DIALOG_OPENING,    /* first INVITE unanswered */
    DIALOG_CALLING,    /* our INVITE has no final answer */
    DIALOG_ANSWERED,   /* it has a 2xx, which waits for the hub's word and our ACK */
    DIALOG_CANCELLING, /* as CALLING, but over for the hub: CANCEL is out, or waits for a 1xx */
    DIALOG_ACCEPTED, /* 200 sent, no ACK yet */
    DIALOG_LIVE,
    DIALOG_UNWANTED, /* as ACCEPTED, but over for the hub: BYE as soon as the ACK is in */
    DIALOG_CLOSING,  /* BYE sent */
    DIALOG_BURIED,   /* no Sofia object left */
} DialogState;

struct Dialog {
    guint refs;
    ClvSip *sip;
    ClvLegId id;
    DialogState state;
    nta_leg_t *leg;
    tport_t *tport;         /* (nullable) the connection the INVITE came by */
    nta_incoming_t *invite; /* (nullable) unanswered or unacknowledged INVITE, first or later */
    gboolean invite_answered;
    gboolean wants_reliable; /* the first INVITE requires 100rel */
    gboolean knows_reliable, knows_preconditions;
    nta_reliable_t *ringing; /* (nullable) 18x whose PRACK is out */
    gboolean answer_waits;   /* accepted meanwhile, with .sdp */
    gboolean answer_early;   /* the answer goes out in a reliable 183 */
    gboolean answer_sent, answer_known; /* it has been, and its PRACK has come */
    gboolean peer_reserves;  /* preconditions of the peer are not met (RFC 3312) */
    gboolean update_reserves; /* nor are they in the offer of update */
    gboolean we_offered;     /* the 200 to invite carries our offer; the answer is in the ACK */
    nta_incoming_t *update;  /* (nullable) UPDATE with an offer, unanswered */
    nta_outgoing_t *request; /* (nullable) our BYE or session refresh */
    gboolean request_offers; /* the refresh carries an offer */
    nta_outgoing_t *probe;   /* (nullable) our OPTIONS */
    gboolean we_called;
    CallOut *call; /* (nullable) CALLING to ANSWERED, CANCELLING */
    char *asserted, *claimed; /* (nullable) who answered, as last told */
    ClvProof proof;           /* of the first INVITE */
    char *identity;           /* (nullable) */
    guint n_refers;           /* that came in this dialog */
    guint n_unacked;          /* INVITEs refused in this dialog, their ACKs still out */
    char *call_id;
    char *tag;            /* (nullable) ours, as the table has it */
    char *request_target; /* "host:port" of the first Request-URI, when it named a port */
    char *contact;        /* (nullable) value of our Contact header */
    char *contact_uri;    /* (nullable) as the hub gave it */
    char *sdp;            /* (nullable) what we sent last; may hold keys */
    char *reason;         /* (nullable) of the BYE */
    gboolean tls, trusted; /* how the INVITE came, and what comes later must not come worse */
    ClvTimer *ack_timer; /* when even the transaction is lost */
    guint progress;      /* the 18x that is repeated; 0: none */
    ClvTimer *progress_timer;

    /* session timer (RFC 4028) */
    gboolean peer_has_timer, peer_has_update;
    gboolean we_refresh;
    gint64 interval_s;  /* 0: no session timer */
    gint64 asked_s;     /* Session-Expires of the request being answered; 0: none */
    gint64 asked_min_s; /* Min-SE of it; 0: none */
    gboolean asked_uas; /* refresher=uas in it */
    gboolean asked_uac;
    ClvTimer *session_timer;
    gint64 expires_us; /* monotonic */
};

/* ---- reply.c ---- */
void clv_sip_count_refusal(ClvSip *sip, guint status);
/* The answer of the status table; retry_after_s 0: the table's. Counts refusals. */
void clv_sip_reply_code(ClvSip *sip, nta_incoming_t *irq, ClvCode code, guint retry_after_s,
                        const char *body);
/* A refusal whose status stands in no table. */
void clv_sip_reply_odd(ClvSip *sip, nta_incoming_t *irq, guint status);
void clv_sip_challenge(ClvSip *sip, nta_incoming_t *irq, gboolean stale);
/* 405 for methods that we know and do not do here, 501 for unknown ones. Returns the status. */
int clv_sip_reply_method(nta_incoming_t *irq, const sip_t *msg);
int clv_sip_reply_options(nta_incoming_t *irq, const char *contact);

/* ---- check.c: what nta does not check. TRUE: refused and answered ---- */
gboolean clv_sip_check_basics(ClvSip *sip, nta_incoming_t *irq, const sip_t *msg);
gboolean clv_sip_check_extensions(ClvSip *sip, nta_incoming_t *irq, const sip_t *msg);
gboolean clv_sip_check_content(ClvSip *sip, nta_incoming_t *irq, const sip_t *msg);
gboolean clv_sip_check_contact(ClvSip *sip, nta_incoming_t *irq, const sip_t *msg, gboolean needed);
gboolean clv_sip_check_session(ClvSip *sip, nta_incoming_t *irq, const sip_t *msg);
/* ---- invite-body.c: SDP alone, or SDP and a list of who shall be called ---- */
/* Is the body of a type that we read? Encoded ones are not. */
gboolean clv_body_is_ours(const sip_t *msg);
gboolean clv_body_is_encoded(const sip_t *msg);
/* The list of an INVITE (RFC 5366). FALSE: refused and answered. *out_list may be NULL: none. */
gboolean clv_body_read_list(ClvSip *sip, nta_incoming_t *irq, const sip_t *msg,
                            GPtrArray **out_list);
gboolean clv_body_has_list(const sip_t *msg);
/* The SDP; FALSE: the body is malformed. *out may be NULL: none */
gboolean clv_body_find_sdp(const sip_t *msg, const char **out, gsize *out_len);

/* FALSE: answered 400. *out_offer may be NULL: no body. */
gboolean clv_sip_read_offer(ClvSip *sip, nta_incoming_t *irq, const sip_t *msg, ClvSdp **out_offer);

/* ---- peer.c: who sent it ---- */
typedef struct Peer {
    char text[80];       /* "udp:192.0.2.1:5060" */
    char host[64];       /* source address */
    char local_host[64]; /* where it came to */
    char local_port[8];
    gboolean tls, trusted;
    char name[256]; /* the trusted TLS name, else .host */
    tport_t *tport; /* (transfer none) (nullable) */
} Peer;
void clv_sip_peer(ClvSip *sip, nta_incoming_t *irq, Peer *out);
/* Of a response, inside the callback that it is handed to. */
void clv_sip_peer_of_response(ClvSip *sip, nta_outgoing_t *orq, Peer *out);
/* Canonical, or NULL. */
char *clv_sip_canonical_url(const url_t *url);
char *clv_sip_clean_display(const char *text);
/* Is the address one of the entries, or inside one of the prefixes? */
gboolean clv_sip_is_trusted_address(char *const *peers, const char *host);

/* ---- request.c: one request on its way through the checks ---- */
typedef struct Request {
    ClvSip *sip;
    nta_incoming_t *irq;
    const sip_t *msg;
    Peer peer;
    char *uri;      /* canonical Request-URI */
    char *from;     /* (nullable) canonical */
    char *display;  /* (nullable) */
    char *identity; /* (nullable) canonical */
    GPtrArray *identities; /* (nullable) all that was asserted, NULL-terminated */
    ClvProof proof;
    ClvSdp *offer; /* (nullable) */
    GPtrArray *list; /* (nullable) ClvUriEntry */
    ClvLegId replaces, joins;
} Request;
void clv_request_clear(Request *rq);
/* Refuses by the status table; TRUE, so that it can be returned. */
gboolean clv_request_refuse(Request *rq, ClvCode code);
/* Who is it? Assertions of trusted peers, else digest. TRUE: challenged. */
gboolean clv_request_is_unproven(Request *rq);
gboolean clv_request_wants_privacy(const sip_t *msg);
/* Value of an unknown header, the first; (nullable) */
const char *clv_request_header(const sip_t *msg, const char *name);

/* ---- refer.c ---- */
ClvReferrals *clv_referrals_new(void);
void clv_referrals_free(ClvReferrals *referrals);
guint clv_referrals_count(const ClvReferrals *referrals);
/* REFER outside a dialog; a status, or 0: not answered yet. */
int clv_refer_outside(Request *rq);
int clv_refer_inside(Dialog *d, nta_incoming_t *irq, const sip_t *msg);
int clv_refer_subscribe_inside(Dialog *d, nta_incoming_t *irq, const sip_t *msg);
void clv_refer_hurry(Dialog *d);

/* ---- refer-out.c ---- */
GHashTable *clv_refers_out_new(void);

/* ---- unacked.c: refusals whose ACK is still out ---- */
ClvUnacked *clv_unacked_new(void);
void clv_unacked_free(ClvUnacked *unacked);
/* Lets go of an answered transaction, like nta_incoming_destroy(), and counts it until its ACK. */
void clv_unacked_take(ClvSip *sip, Dialog *d, nta_incoming_t *irq); /* d: (nullable) its dialog */
/* Does the sender owe so many ACKs that he is not worth a transaction? forgeable: it came by UDP */
gboolean clv_unacked_is_debtor(const ClvSip *sip, msg_t *msg, gboolean forgeable);

/* ---- dialog.c ---- */
Dialog *clv_dialog_find(const ClvSip *sip, ClvLegId leg); /* (nullable) */
/* The live dialog with this Call-ID and these two tags, whichever of them is ours; (nullable) */
Dialog *clv_dialog_find_by_tags(const ClvSip *sip, const char *call_id, const char *tag,
                                const char *other_tag);
/* One that is in the table has its Sofia leg, too: others may name it by its tags. */
void clv_dialog_enter_tag(Dialog *d);
/* A dialog that we open: in the table, without a Sofia leg. (transfer none) */
Dialog *clv_dialog_new_out(ClvSip *sip, ClvLegId leg);
gboolean clv_dialog_is_known(const Dialog *d);
void clv_dialog_leave(Dialog *d);  /* out of the hub's sight */
void clv_dialog_linger(Dialog *d); /* something is still to be said to the peer */
void clv_dialog_emit(Dialog *d, ClvSipEvent *event);
nta_request_f clv_dialog_request;
void clv_dialog_set_contact(Dialog *d, const char *uri, const char *transport);
void clv_dialog_set_sdp(Dialog *d, const char *sdp);
gboolean clv_dialog_is_sane_url(const url_t *url);
/* Did it come by a worse way than the dialog's first message? */
gboolean clv_dialog_is_worse(const Dialog *d, const Peer *peer);
/* Takes over irq; emits INVITE. info.leg is filled here. */
void clv_dialog_open(ClvSip *sip, nta_incoming_t *irq, const sip_t *msg, const Peer *peer,
                     ClvSipInvite *info);
Dialog *clv_dialog_ref(Dialog *d);
void clv_dialog_unref(Dialog *d);
void clv_dialog_bury(Dialog *d);
void clv_dialog_bye(Dialog *d);
/* The dialog is over by itself: tells the hub. */
void clv_dialog_ended(Dialog *d, const char *cause);
/* The same, and says BYE to the peer. */
void clv_dialog_fail(Dialog *d, const char *cause);
/* (nullable): the connection for requests to the peer, while it lives */
tport_t *clv_dialog_connection(const Dialog *d);
/* "host:port" by which this peer reaches us again; (nullable): as the URI says */
char *clv_dialog_read_target(const sip_t *msg, const Peer *peer);
/* d: .sip and .request_target are looked at */
char *clv_dialog_make_contact(const Dialog *d, const char *uri, const char *transport);
void clv_dialog_strip_contact(char *contact); /* no focus, no service: the URI alone */

/* The hub has accepted d->invite: at once, early, or when a PRACK has come. */
void clv_dialog_accept(Dialog *d, const char *sdp);
void clv_dialog_answer(Dialog *d, const char *sdp); /* the 200 itself; sdp nullable */
/* What the hub calls us, with the transport of this dialog. */
void clv_dialog_name_contact(Dialog *d, const char *uri);
/* P-Asserted-Identity: who we are, for those whom we trust. (nullable) */
char *clv_dialog_own_assertion(const Dialog *d);

/* ---- early.c: before the INVITE has its final answer ---- */
gboolean clv_early_may_progress(const Dialog *d);
void clv_early_answer(Dialog *d, const char *sdp); /* in a reliable 183 */
void clv_early_finish(Dialog *d); /* if nothing is waited for any more: the 200 */
void clv_early_drop(Dialog *d);   /* the reliable 18x that is out */

/* ---- probe.c ---- */
void clv_probe_drop(Dialog *d);

/* ---- call-out.c: calls of ours ---- */
void clv_call_free(CallOut *call);             /* NULL allowed */
void clv_call_acknowledge(Dialog *d);          /* ACK of the 2xx, and the call is a dialog */
void clv_call_cancel(Dialog *d);               /* the hub wants it no more; from CALLING */
/* RFC 4916: does a request in a dialog that we opened come from somebody else than before? */
void clv_call_heed_identity(Dialog *d, nta_incoming_t *irq, const sip_t *msg);

/* ---- answerer.c: who answers a call of ours? Pure ---- */
/* Has a History-Info value more in it than the entry we sent? At most 8 kB are read; longer: TRUE. */
gboolean clv_history_is_diverted(const char *value);

/* ---- session-timer.c ---- */
/* Reads what the peer of an INVITE or UPDATE wants. */
void clv_session_asked(Dialog *d, const sip_t *msg);
/* Decides interval and refresher for our 2xx; value of Session-Expires, or NULL. */
char *clv_session_answer(Dialog *d, gboolean *out_require);
void clv_session_start(Dialog *d);
/* The 2xx of our own INVITE. */
void clv_session_agreed(Dialog *d, const sip_t *msg);
void clv_session_stop(Dialog *d);
