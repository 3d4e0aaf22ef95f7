/* SPDX-License-Identifier: Apache-2.0 */
/* ua/phone.h - one SIP dialog, as caller or as called
 *
 * Transactions by Sofia's nta, everything above them here: digest, session timers, re-INVITE,
 * UPDATE, CANCEL, BYE, REFER in both directions. SDP passes through as text. No Sofia type leaves
 * these files' code.
 */
#pragma once

#include "sip/loop.h"
#include "ua/options.h"

#define CLV_UA_PHONE_ERROR (clv_ua_phone_error_quark())
GQuark clv_ua_phone_error_quark(void);

typedef struct ClvUaPhone ClvUaPhone;

typedef enum ClvUaPhoneEventKind {
    CLV_UA_PHONE_PROGRESS,       /* provisional answer to our INVITE */
    CLV_UA_PHONE_EARLY,          /* our PRACK was answered: there may be an UPDATE */
    CLV_UA_PHONE_ACCEPTED,       /* 2xx to our INVITE; it has been ACKed */
    CLV_UA_PHONE_REFUSED,        /* final answer of 300 and up to our first INVITE */
    CLV_UA_PHONE_INVITED,        /* somebody calls: clv_ua_phone_answer() */
    CLV_UA_PHONE_CONFIRMED,      /* ACK for our 2xx */
    CLV_UA_PHONE_REOFFERED,      /* re-INVITE or UPDATE of the peer: clv_ua_phone_answer() */
    CLV_UA_PHONE_PRACKED,        /* our reliable answer has arrived */
    CLV_UA_PHONE_UNPRACKED,      /* or nobody says so */
    CLV_UA_PHONE_RECONFIRMED,    /* ACK for our 2xx to a re-INVITE */
    CLV_UA_PHONE_REACCEPTED,     /* our re-INVITE or UPDATE was accepted */
    CLV_UA_PHONE_REREFUSED,      /* or refused; the call goes on as it was */
    CLV_UA_PHONE_REFRESHED,      /* our session timer's request was answered; cause is its method */
    CLV_UA_PHONE_ENDED,          /* cause says how: "bye", "cancel", "timer", "no-ack", "local" */
    CLV_UA_PHONE_REFER_ANSWERED, /* our REFER: .refer .status; .last: no NOTIFY will come */
    CLV_UA_PHONE_REFER_NOTIFIED, /* .refer, .status and .phrase of the sipfrag, .last */
    CLV_UA_PHONE_REGISTERED,     /* or not: .status; cause is "there" or "gone" */
    CLV_UA_PHONE_REFERRED,       /* we are asked: clv_ua_phone_refer_answer() */
} ClvUaPhoneEventKind;

/* Members that do not apply are NULL or 0. */
typedef struct ClvUaPhoneEvent {
    ClvUaPhoneEventKind kind;
    int status;
    const char *phrase;
    const char *warning; /* "399 host text" */
    const char *reason;  /* value of a Reason header */
    int retry_after_s;   /* -1: not said */
    const char *contact; /* URI */
    gboolean isfocus;
    const char *sdp; /* body, when it is application/sdp */
    gsize sdp_len;
    const char *from, *to; /* URIs */
    const char *call_id;
    const char *cause;
    gboolean local;       /* the status was made here: time-out, no connection */
    const char *dialog;   /* "callid;local-tag=...;remote-tag=...", as the other side sees it */
    const char *asserted; /* URI of P-Asserted-Identity */
    gboolean reliable;    /* PROGRESS: has been PRACKed */
    /* of REFER */
    guint refer;                         /* its number */
    gboolean last;                       /* nothing more will come about it */
    gboolean no_notify;                  /* REFERRED: Refer-Sub: false */
    const char *refer_to, *refer_method; /* URI with its parameters; INVITE when it says nothing */
    const char *referred_by;
    const char *body_type, *body; /* a NUL stands behind it */
    gsize body_len;
} ClvUaPhoneEvent;

typedef void (*ClvUaPhoneFunc)(const ClvUaPhoneEvent *event, void *user);

typedef struct ClvUaPhoneConfig {
    ClvLoop *loop;
    const ClvUaOptions *options;
    const char *local_host; /* address to bind */
    guint16 local_port;     /* 0: any */
    ClvUaTransport transport;
    const char *password; /* (nullable) */
    ClvUaPhoneFunc event;
    void *user;
} ClvUaPhoneConfig;

ClvUaPhone *clv_ua_phone_new(const ClvUaPhoneConfig *config, GError **error);
void clv_ua_phone_free(ClvUaPhone *phone); /* NULL allowed */
/* Our own contact URI, where others can call us. */
const char *clv_ua_phone_contact(const ClvUaPhone *phone);

/* @sdp: (nullable) */
gboolean clv_ua_phone_call(ClvUaPhone *phone, const char *uri, const char *sdp, gsize sdp_len,
                           GError **error);
/* Another offer in the call, by re-INVITE or UPDATE. */
gboolean clv_ua_phone_reoffer(ClvUaPhone *phone, gboolean by_update, const char *sdp, gsize sdp_len,
                              GError **error);
/* An UPDATE with an offer before the call is answered, in the early dialog of a reliable answer;
 * REACCEPTED or REREFUSED follows. */
gboolean clv_ua_phone_update_early(ClvUaPhone *phone, const char *sdp, gsize sdp_len,
                                   GError **error);
/* UPDATE that says who we are now (RFC 4916); REFRESHED follows. */
gboolean clv_ua_phone_change_identity(ClvUaPhone *phone, const char *uri, GError **error);
/* To INVITED (also provisional) and REOFFERED. @sdp: (nullable) */
void clv_ua_phone_answer(ClvUaPhone *phone, int status, const char *sdp);
/* A provisional answer that is sent until PRACK comes (RFC 3262): PRACKED or UNPRACKED follows. */
gboolean clv_ua_phone_takes_reliable(const ClvUaPhone *phone);
gboolean clv_ua_phone_answer_reliably(ClvUaPhone *phone, int status, const char *sdp);
/* CANCEL, BYE, or a refusal: whatever ends it now. ENDED or REFUSED follows. */
void clv_ua_phone_hang_up(ClvUaPhone *phone);
gboolean clv_ua_phone_is_idle(const ClvUaPhone *phone);

typedef struct ClvUaRefer {
    const char *whom;     /* URI that is asked; NULL: the other side of the call, in its dialog */
    const char *refer_to; /* URI, with its parameters and headers */
    const char *type;     /* (nullable) of the body */
    const char *body;
    const char *target_dialog; /* (nullable) value of Target-Dialog */
    const char *referred_by;   /* (nullable) URI */
    gboolean no_notify;        /* ask for no NOTIFYs (RFC 4488) */
} ClvUaRefer;
/* Returns: the number that its events have; 0: it was not sent */
guint clv_ua_phone_refer(ClvUaPhone *phone, const ClvUaRefer *refer, GError **error);
/* To REFERRED. After a 2xx NOTIFYs follow, unless none are wanted. */
void clv_ua_phone_refer_answer(ClvUaPhone *phone, guint refer, int status);
void clv_ua_phone_refer_notify(ClvUaPhone *phone, guint refer, int status, const char *phrase,
                               gboolean last);
/* REGISTER our contact at the proxy, or take it back; REGISTERED follows. */
gboolean clv_ua_phone_register(ClvUaPhone *phone, gboolean there, GError **error);
/* Are all NOTIFYs of ours answered? */
gboolean clv_ua_phone_refers_are_done(const ClvUaPhone *phone);

/* The transport that a URI names, -1: none. "sips:" is TLS */
int clv_ua_uri_transport(const char *uri);
/* Local address towards a SIP URI, by the routing table; names are not looked up.
 * Returns: (transfer full) (nullable) */
char *clv_ua_local_host(const char *uri);
