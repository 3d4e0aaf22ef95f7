/* SPDX-License-Identifier: Apache-2.0 */
/* ua/phone-private.h - what the files of the phone share: calls out, requests in, REFER, transport
 */
#pragma once

#include "config.h"

#include "ua/phone.h"

#define SU_ROOT_MAGIC_T struct ClvUaPhone
#define NTA_AGENT_MAGIC_T struct ClvUaPhone
#define NTA_LEG_MAGIC_T struct ClvUaPhone
#define NTA_OUTGOING_MAGIC_T struct ClvUaPhone
#define NTA_INCOMING_MAGIC_T struct ClvUaPhone
#define NTA_RELIABLE_MAGIC_T struct ClvUaPhone

#include <sofia-sip/nta.h>
#include <sofia-sip/nta_tport.h>
#include <sofia-sip/sip_extra.h>
#include <sofia-sip/sip_header.h>
#include <sofia-sip/sip_status.h>
#include <sofia-sip/sip_util.h>

#define CLV_UA_ALLOWED "INVITE, ACK, CANCEL, BYE, OPTIONS, UPDATE, PRACK, REFER, NOTIFY"
#define CLV_UA_SUPPORTED "timer, 100rel, from-change, norefersub, tdialog, histinfo"
#define CLV_UA_AGENT "conclave-ua/" PACKAGE_VERSION
#define CLV_UA_MAX_CHALLENGES 2
#define CLV_UA_MAX_REFERS 64

typedef enum Call {
    IDLE,
    CALLING,    /* our INVITE is out */
    CANCELLING, /* and we want it back */
    RINGING,    /* their INVITE is here */
    ANSWERED,   /* our 2xx is out, the ACK is not here */
    TALKING,
    LEAVING, /* our BYE is out */
} Call;

/* A challenge that was answered once is answered in advance from then on. */
typedef struct Challenge {
    char **params;
    gboolean proxy;
    guint count;
} Challenge;

struct ClvUaPhone {
    ClvUaPhoneConfig config;
    nta_agent_t *agent;
    nta_leg_t *default_leg;
    su_home_t *home;
    char *contact; /* URI */
    char *contact_header;
    char *first_hop; /* (nullable) of requests out of a dialog */
    char *route;     /* (nullable) of all requests: the proxy */

    Call call;
    nta_leg_t *leg;
    nta_outgoing_t *invite; /* INVITE or re-INVITE under way */
    nta_outgoing_t *update, *bye, *prack;
    nta_incoming_t *invited;  /* INVITE or re-INVITE to answer, or answered and not ACKed */
    nta_incoming_t *updated;  /* UPDATE with an offer to answer */
    nta_reliable_t *reliable; /* our provisional answer that wants a PRACK */
    gboolean takes_reliable;  /* the caller knows 100rel */
    guint32 last_rseq;        /* of the answers to our INVITE */
    char *target;             /* where requests of the dialog go */
    char *dialog;             /* Call-ID and tags, as Target-Dialog has them */
    char *sdp;                /* last offer we sent, for refreshing and for sending again */
    gsize sdp_len;
    char *sdp_before; /* what it was before the offer under way */
    gsize sdp_before_len;
    Challenge challenge;
    guint n_challenges;    /* in a row */
    gboolean peer_updates; /* Allow has UPDATE */
    gint64 session_s, min_se_s;
    gboolean we_refresh;
    const char *leaving;    /* cause of our BYE */
    gboolean refreshing;    /* the re-INVITE under way changes nothing */
    gboolean update_offers; /* the UPDATE under way has an offer */
    ClvTimer *session_timer, *patience, *cancel_timer;
    char *tls_failure;
    ClvTimer *tls_timer;

    nta_leg_t *reg_leg; /* of REGISTERs */
    nta_outgoing_t *reg;
    char *registrar;
    gboolean registering; /* else we take it back */
    guint n_reg_challenges;

    GPtrArray *refers_out; /* of ReferOut */
    GPtrArray *refers_in;  /* of ReferIn */
    guint last_refer;
};

/* A request of ours; what is NULL is left out. */
typedef struct ClvUaRequest {
    sip_method_t method;
    const char *name;
    const char *uri; /* NULL: the dialog's target */
    const char *type, *body;
    gsize len;
    const char *lines; /* further header lines, joined by CRLF */
    const char *from;  /* (nullable) value of From, when it is not the dialog's */
} ClvUaRequest;

/* phone.c */
void clv_ua_phone_tell(ClvUaPhone *phone, ClvUaPhoneEventKind kind, const sip_t *sip,
                       const char *cause);
/* The same for an event that is begun already */
void clv_ua_phone_tell_event(ClvUaPhone *phone, ClvUaPhoneEvent *event, const sip_t *sip);
nta_outgoing_t *clv_ua_phone_send(ClvUaPhone *phone, nta_leg_t *leg, const ClvUaRequest *request);
void clv_ua_phone_append_wanted(const ClvUaPhone *phone, GString *lines);
nta_leg_t *clv_ua_phone_new_leg(ClvUaPhone *phone, const char *uri, GError **error);
void clv_ua_phone_note_dialog(ClvUaPhone *phone, const char *call_id, const char *theirs,
                              const char *ours);
gboolean clv_ua_is_sdp(const sip_t *sip);
gboolean clv_ua_is_sip_url(const url_t *url);
void clv_ua_phone_forget_call(ClvUaPhone *phone);
void clv_ua_phone_end_call(ClvUaPhone *phone, const char *cause, const char *reason);
void clv_ua_phone_send_bye(ClvUaPhone *phone);
char *clv_ua_phone_take_session_request(ClvUaPhone *phone, const sip_t *sip);

/* phone-in.c: callbacks of legs */
int clv_ua_phone_on_request(ClvUaPhone *phone, nta_leg_t *leg, nta_incoming_t *irq,
                            const sip_t *sip);
int clv_ua_phone_on_stray(ClvUaPhone *phone, nta_leg_t *leg, nta_incoming_t *irq, const sip_t *sip);

/* phone-refer.c; the first two say whether it was theirs, on_... answer or give a status */
gboolean clv_ua_phone_refer_response(ClvUaPhone *phone, nta_outgoing_t *orq, const sip_t *sip);
int clv_ua_phone_on_notify(ClvUaPhone *phone, nta_incoming_t *irq, const sip_t *sip);
int clv_ua_phone_on_refer(ClvUaPhone *phone, nta_leg_t *leg, nta_incoming_t *irq, const sip_t *sip);
void clv_ua_phone_forget_refers(ClvUaPhone *phone);

/* phone-register.c */
gboolean clv_ua_phone_register_response(ClvUaPhone *phone, nta_outgoing_t *orq, const sip_t *sip);
void clv_ua_phone_forget_register(ClvUaPhone *phone);

/* agent.c */
void clv_ua_phone_forget_challenge(ClvUaPhone *phone);
gboolean clv_ua_phone_answer_challenge(ClvUaPhone *phone, const sip_t *sip, guint *n_in_a_row);
char *clv_ua_phone_credentials(ClvUaPhone *phone, const char *method, const char *uri);
char *clv_ua_phone_hop_of(const ClvUaPhone *phone, const char *uri);
