/* SPDX-License-Identifier: Apache-2.0 */
/* ua/options.h - what the command line asks for
 *
 * One table names every option, its verbs, its kind and its sentence; parsing, checking and
 * --help come from it. Pure.
 */
#pragma once

#include "conference/vocabulary.h"
#include "ua/source.h"

#define CLV_UA_OPTIONS_ERROR (clv_ua_options_error_quark())
GQuark clv_ua_options_error_quark(void);

typedef enum ClvUaVerb {
    CLV_UA_CREATE,
    CLV_UA_JOIN,
    CLV_UA_CALL,
    CLV_UA_ANSWER,
    CLV_UA_REFER,
    CLV_UA_TICKET,
    CLV_UA_DECODE,
    CLV_UA_HELP,
    CLV_UA_VERSION,
} ClvUaVerb;

typedef enum ClvUaKeymgmt { CLV_UA_MIKEY, CLV_UA_SDES, CLV_UA_CLEAR } ClvUaKeymgmt;
typedef enum ClvUaTransport { CLV_UA_UDP, CLV_UA_TCP, CLV_UA_TLS } ClvUaTransport;
typedef enum ClvUaHold { CLV_UA_HOLD_SENDONLY, CLV_UA_HOLD_INACTIVE } ClvUaHold;

typedef enum ClvUaReferBody {
    CLV_UA_REFER_MIKEY,
    CLV_UA_REFER_SDP,
    CLV_UA_REFER_NONE
} ClvUaReferBody;

/* Something to do in a call, so long after its beginning */
typedef struct ClvUaStep {
    gint64 at_ms;
    const char *command; /* as on standard input (static) */
    char *argument;      /* "" when there is none */
} ClvUaStep;

typedef enum ClvUaForge {
    CLV_UA_FORGE_NONE,
    CLV_UA_FORGE_BAD_MAC,       /* one bit of V is wrong */
    CLV_UA_FORGE_BAD_VI,        /* one bit of Vi is wrong: Initiator Data is somebody else's */
    CLV_UA_FORGE_STOLEN_TICKET, /* a real ticket, without the keys that go with it */
    CLV_UA_FORGE_REPLAY,        /* a message that was sent before */
    CLV_UA_FORGE_EXPIRED,       /* made two hours ago by its timestamp */
    CLV_UA_FORGE_NO_SDP_IDS,    /* without the list of key management protocols */
} ClvUaForge;

/* Exit statuses */
typedef enum ClvUaExit {
    CLV_UA_EXIT_OK = 0,
    CLV_UA_EXIT_FAILED = 1, /* no network, file not there, and the like */
    CLV_UA_EXIT_USAGE = 2,
    CLV_UA_EXIT_REFUSED = 3, /* a SIP status of 300 and up */
    CLV_UA_EXIT_MEDIA = 4,   /* --expect-... does not hold */
    CLV_UA_EXIT_KEYS = 5,    /* no ticket, or the other side has not proven who it is */
} ClvUaExit;

typedef struct ClvUaExpect {
    double hz;
    double db;
} ClvUaExpect;

typedef struct ClvUaOptions {
    ClvUaVerb verb;
    char *operand; /* (nullable) URI to call, or what to decode */

    /* whom and through whom */
    char *factory;
    GPtrArray *invite;                    /* of char * */
    GPtrArray *dial, *dial_cc, *dial_bcc; /* of char *: whom the focus shall call */
    gboolean anonymize;
    gboolean dial_unnamed;
    GPtrArray *headers; /* of char *, "Name: value" */
    char *privacy;
    char *replaces;
    char *join;
    gboolean require_100rel;
    gboolean preconditions;
    gboolean registers;
    char *proxy;
    char *identity;
    char *display_name;
    char *listen;
    int transport; /* a ClvUaTransport; -1: that of the URI */
    char *ca;
    char *cert;
    gboolean insecure;
    char *user;
    char *password_file;
    gint64 session_expires_s;
    gint64 answer_timeout_ms;
    gint64 cancel_after_ms; /* -1: never */
    gint64 answer_after_ms;
    gint64 answer_status;
    gboolean no_media;

    /* REFER, and what else happens in a call */
    char *refer_to;
    int refer_method; /* 0: INVITE, 1: BYE */
    int refer_body;   /* a ClvUaReferBody */
    char *target_dialog;
    gboolean no_refer_sub;
    gint64 refer_timeout_ms;
    gboolean follow_refer;
    GPtrArray *steps; /* of ClvUaStep */
    int allow_method; /* 0: re-INVITE, 1: UPDATE */
    gboolean supply_keys;

    /* how to be called, also badly */
    gboolean busy;
    gboolean send_181;
    gboolean reliable;
    gboolean no_transfer_resp;
    gboolean answer_plain;
    char *history_info;
    char *assert_identity;

    /* keys */
    int keymgmt;    /* a ClvUaKeymgmt */
    GArray *suites; /* of ClvSrtpSuite */
    char *kms;
    char *kms_uri;
    char *kms_ca;
    gboolean kms_insecure;
    char *kms_user;
    char *kms_password_file;
    char *kms_cert;
    char *psk_id;
    char *psk_file;
    char *ticket_file;
    GPtrArray *ticket_for;
    GPtrArray *purposes;
    gint64 valid_for_s;
    gboolean reusable;
    int forge; /* a ClvUaForge */
    char *save_message;
    char *message_file;
    char *raw_sdp;

    /* media */
    GPtrArray *codecs;
    GArray *tones; /* of ClvUaTone */
    double level_db;
    char *play;
    char *record;
    gint64 rtp_port;
    gint64 duration_ms; /* -1: until the other side or a signal ends it */
    gint64 hold_after_ms;
    gint64 resume_after_ms;
    int hold; /* a ClvUaHold */

    /* judging and telling */
    GArray *listen_for;  /* of double */
    GArray *expect_hear; /* of ClvUaExpect */
    GArray *expect_silent;
    gint64 measure_from_ms;
    gint64 measure_for_ms;  /* -1: to the end */
    gint64 report_every_ms; /* 0: never */
    gboolean json;
    gboolean quiet;
    gboolean interactive;
} ClvUaOptions;

/* Returns: (transfer full) (nullable) */
ClvUaOptions *clv_ua_options_parse(int argc, const char *const *argv, GError **error);
void clv_ua_options_free(ClvUaOptions *options); /* NULL allowed */
/* Returns: (transfer full): text of --help, made of the table */
char *clv_ua_options_help(void);
