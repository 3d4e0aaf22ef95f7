/* SPDX-License-Identifier: Apache-2.0 */
/* ua/phone.h - one SIP dialog, as caller or as called
 *
 * Transactions by Sofia's nta, everything above them here: digest, session timers, re-INVITE,
 * UPDATE, CANCEL, BYE. SDP passes through as text. No Sofia type leaves this file's code.
 */
#pragma once

#include "sip/loop.h"
#include "ua/options.h"

#define CLV_UA_PHONE_ERROR (clv_ua_phone_error_quark())
GQuark clv_ua_phone_error_quark(void);

typedef struct ClvUaPhone ClvUaPhone;

typedef enum ClvUaPhoneEventKind {
    CLV_UA_PHONE_PROGRESS,   /* provisional answer to our INVITE */
    CLV_UA_PHONE_ACCEPTED,   /* 2xx to our INVITE; it has been ACKed */
    CLV_UA_PHONE_REFUSED,    /* final answer of 300 and up to our first INVITE */
    CLV_UA_PHONE_INVITED,    /* somebody calls: clv_ua_phone_answer() */
    CLV_UA_PHONE_CONFIRMED,  /* ACK for our 2xx */
    CLV_UA_PHONE_REOFFERED,  /* re-INVITE or UPDATE of the peer: clv_ua_phone_answer() */
    CLV_UA_PHONE_REACCEPTED, /* our re-INVITE was accepted */
    CLV_UA_PHONE_REREFUSED,  /* our re-INVITE was refused; the call goes on as it was */
    CLV_UA_PHONE_REFRESHED,  /* our session timer's request was answered; cause is its method */
    CLV_UA_PHONE_ENDED,      /* cause says how: "bye", "cancel", "timer", "no-ack", "local" */
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
    gboolean local; /* the status was made here: time-out, no connection */
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
gboolean clv_ua_phone_reinvite(ClvUaPhone *phone, const char *sdp, gsize sdp_len, GError **error);
/* To INVITED (also provisional) and REOFFERED. @sdp: (nullable) */
void clv_ua_phone_answer(ClvUaPhone *phone, int status, const char *sdp);
/* CANCEL, BYE, or a refusal: whatever ends it now. ENDED or REFUSED follows. */
void clv_ua_phone_hang_up(ClvUaPhone *phone);
gboolean clv_ua_phone_is_idle(const ClvUaPhone *phone);

/* The transport that a URI names, -1: none. "sips:" is TLS */
int clv_ua_uri_transport(const char *uri);
/* Local address towards a SIP URI, by the routing table; names are not looked up.
 * Returns: (transfer full) (nullable) */
char *clv_ua_local_host(const char *uri);
