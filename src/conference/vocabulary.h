/* SPDX-License-Identifier: Apache-2.0 */
/* conference/vocabulary.h - the words that all rooms share: ids, SDP, keys, events, actions
 *
 * Types alone: no functions but the trivial inline ones, no Sofia, no sockets. Engines turn the
 * world into these words, logic answers in them, and the hub carries them across.
 */
#pragma once

#include <glib.h>

/* ---- ids --------------------------------------------------------------------------------- */

/* A leg is one dialog with one peer and its media; the id carries a generation (base/id.h), so a
 * late event finds nothing instead of something else. 0 is no leg. */
typedef guint64 ClvLegId;
/* A conference, the same way. 0 is none. */
typedef guint64 ClvConferenceId;

/* A REFER to a conference, the same way. 0 is none. */
typedef guint64 ClvReferId;

/* A transport address in text form: "192.0.2.1", "2001:db8::1" (no brackets); port in host order. */
typedef struct ClvAddress {
    char host[64];
    guint16 port;
} ClvAddress;

/* ---- outcome codes: one table in sip/status.c turns each into status, reason and Warning -- */

typedef enum ClvCode {
    CLV_CODE_OK,
    CLV_CODE_BAD_REQUEST,         /* 400 */
    CLV_CODE_BAD_SDP,             /* 400 "Bad SDP" */
    CLV_CODE_UNAUTHENTICATED,     /* 401 with a digest challenge */
    CLV_CODE_FORBIDDEN,           /* 403: same text whatever the cause */
    CLV_CODE_NOT_FOUND,           /* 404 */
    CLV_CODE_METHOD_NOT_ALLOWED,  /* 405 */
    CLV_CODE_UNSUPPORTED_MEDIA,   /* 415 */
    CLV_CODE_INTERVAL_TOO_BRIEF,  /* 422 (423 for subscriptions) */
    CLV_CODE_ANONYMITY,           /* 433 Anonymity Disallowed */
    CLV_CODE_UNAVAILABLE,         /* 480, Retry-After when the reply carries one */
    CLV_CODE_NO_DIALOG,           /* 481 */
    CLV_CODE_FULL,                /* 486 */
    CLV_CODE_CANCELLED,           /* 487 */
    CLV_CODE_UNSECURED,           /* 488, Warning 305 and 399 "secured media required" */
    CLV_CODE_NO_COMMON_MEDIA,     /* 488, Warning 305: no codec or address type in common */
    CLV_CODE_KEYMGMT_UNACCEPTABLE,/* 488, Warning 306: no acceptable key management offered */
    CLV_CODE_KEYMGMT_FAILED,      /* 488, Warning 306: parse or authentication failure in key management */
    CLV_CODE_TICKET_REFUSED,      /* 488, Warning 399: ticket policy unacceptable */
    CLV_CODE_GLARE,               /* 491 */
    CLV_CODE_INTERNAL,            /* 500 */
    CLV_CODE_RETRY_LATER,         /* 500 with Retry-After 0-10 s (RFC 3311) */
    CLV_CODE_OVERLOAD,            /* 503 with Retry-After */
    CLV_CODE_KMS_TIMEOUT,         /* 504 */
    CLV_CODE_KMS_DOWN,            /* 503 with Retry-After: circuit breaker open */
    CLV_N_CODES
} ClvCode;

/* ---- keys -------------------------------------------------------------------------------- */

/* SRTP protection profiles we know (RFC 3711, 6188, 7714). The order is no preference. */
typedef enum ClvSrtpSuite {
    CLV_SRTP_NONE,
    CLV_SRTP_AES_CM_128_HMAC_SHA1_80,
    CLV_SRTP_AES_CM_128_HMAC_SHA1_32,
    CLV_SRTP_AES_256_CM_HMAC_SHA1_80,
    CLV_SRTP_AES_256_CM_HMAC_SHA1_32,
    CLV_SRTP_AEAD_AES_128_GCM,
    CLV_SRTP_AEAD_AES_256_GCM,
    CLV_N_SRTP_SUITES
} ClvSrtpSuite;

#define CLV_SRTP_MAX_KEY 32
#define CLV_SRTP_MAX_SALT 14
#define CLV_SRTP_MAX_MKI 8

/* Keys of one direction of one stream. Holds key bytes: clear with clv_srtp_keys_clear()
 * (base/secret.h). Lengths in octets; mki_len 0 means no MKI in the packets. */
typedef struct ClvSrtpKeys {
    ClvSrtpSuite suite;
    guint8 key[CLV_SRTP_MAX_KEY];
    guint8 salt[CLV_SRTP_MAX_SALT];
    guint8 key_len;
    guint8 salt_len;
    guint8 mki[CLV_SRTP_MAX_MKI];
    guint8 mki_len;
    gboolean has_ssrc; /* the key management said which SSRC this is for */
    guint32 ssrc;
    guint32 roc;
} ClvSrtpKeys;

/* Key management schemes, also as bits (1u << scheme). */
typedef enum ClvScheme {
    CLV_SCHEME_NONE,
    CLV_SCHEME_MIKEY_TICKET,
    CLV_SCHEME_OR_KMS,
    CLV_SCHEME_DTLS_SRTP,
    CLV_SCHEME_SDES,
    CLV_N_SCHEMES
} ClvScheme;

/* What proves who the peer is; weakest first. */
typedef enum ClvProof {
    CLV_PROOF_NONE,
    CLV_PROOF_DIGEST,   /* SIP digest against the users file */
    CLV_PROOF_ASSERTED, /* P-Asserted-Identity from a trusted peer */
    CLV_PROOF_TICKET,   /* a resolved ticket */
} ClvProof;

/* ---- SDP (RFC 4566, 3264), the part a conference reads ------------------------------------ */

#define CLV_SDP_MAX_MEDIA 16
#define CLV_SDP_MAX_CODECS 32
#define CLV_SDP_MAX_KEYLINES 8

typedef enum ClvDirection { /* bits: 1 we send, 2 we receive, seen from the writer of the SDP */
    CLV_DIR_INACTIVE = 0,
    CLV_DIR_SENDONLY = 1,
    CLV_DIR_RECVONLY = 2,
    CLV_DIR_SENDRECV = 3,
} ClvDirection;

typedef struct ClvCodec {
    guint8 pt;       /* RTP payload type, 0-127 */
    char name[24];   /* encoding name as written; static types are filled in */
    guint32 rate_hz; /* RTP clock */
    guint8 channels;
    char fmtp[96]; /* "" when there is none or it is longer */
} ClvCodec;

/* What a stream needs before anybody is alerted (RFC 3312, 4032), seen from the writer of the SDP. */
typedef enum ClvNeed { CLV_NEED_NONE, CLV_NEED_OPTIONAL, CLV_NEED_MANDATORY } ClvNeed;
typedef struct ClvQos {
    gboolean offered; /* the lines are there */
    gboolean e2e;     /* one status for the whole way, kept as .local; else one for each end */
    gboolean foreign; /* a mandatory precondition of another type than qos */
    ClvDirection local, remote;           /* a=curr: what is reserved */
    ClvNeed need_local, need_remote;      /* a=des */
    ClvDirection wants_local, wants_remote;
    ClvDirection confirm; /* a=conf: tell me when this is reserved at your end */
} ClvQos;

/* Every text here that can hold key material (keymgmt, crypto) is cleansed by clv_sdp_free(). */
typedef struct ClvSdpMedia {
    char type[16];  /* "audio", "video", "application", ... */
    guint16 port;   /* 0: refused or disabled */
    char proto[32]; /* "RTP/SAVP", "RTP/SAVPF", "UDP/TLS/RTP/SAVPF", ... */
    char formats[128]; /* the format list as written, to echo a refused line */
    ClvCodec codecs[CLV_SDP_MAX_CODECS];
    guint n_codecs;
    ClvDirection direction; /* own, else the session's, else sendrecv; 0.0.0.0 counts as inactive */
    ClvAddress rtp;         /* from c= and m= */
    ClvAddress rtcp;        /* a=rtcp, else port + 1 */
    gboolean rtcp_mux;
    guint ptime_ms; /* 0: not said */
    char *keymgmt[CLV_SDP_MAX_KEYLINES]; /* values of a=key-mgmt at this level: "mikey AQ..." */
    guint n_keymgmt;
    char *crypto[CLV_SDP_MAX_KEYLINES]; /* values of a=crypto: "1 AES_CM... inline:..." */
    guint n_crypto;
    char *fingerprint; /* (nullable) */
    char *setup;       /* (nullable) */
    char *label;       /* (nullable) RFC 4574 */
    char *mid;         /* (nullable) */
    ClvQos qos;
} ClvSdpMedia;

typedef struct ClvSdp {
    char origin_user[64];
    guint64 session_id;
    guint64 session_version;
    ClvAddress origin; /* port unused */
    char *keymgmt[CLV_SDP_MAX_KEYLINES]; /* session level */
    guint n_keymgmt;
    ClvSdpMedia media[CLV_SDP_MAX_MEDIA];
    guint n_media;
    gboolean capneg; /* potential configurations are offered (RFC 5939), which we do not read */
} ClvSdp;

/* ---- people and lists ---------------------------------------------------------------------- */

/* How an entry of a URI list is shown to the others (RFC 5364). */
typedef enum ClvCopy { CLV_COPY_TO, CLV_COPY_CC, CLV_COPY_BCC } ClvCopy;

/* One entry of a URI list (RFC 5366). Lists are a GPtrArray of these, counted and never changed once
 * they are made; duplicates by canonical URI are gone. */
typedef struct ClvUriEntry {
    char *uri; /* canonical */
    ClvCopy copy;
    gboolean anonymize; /* others are not told who this is */
    ClvLegId leg;       /* a dialog of this server that the entry names, to be reused; 0: dial */
} ClvUriEntry;

/* What SIP tells about who really answered a call of ours (5.13 of the conference digest). */
typedef struct ClvAnswerer {
    gboolean forwarded;   /* 181 in one of the early dialogs */
    gboolean diverted;    /* History-Info: the target has changed on the way */
    const char *asserted; /* (nullable) canonical; P-Asserted-Identity by a trusted peer */
    const char *claimed;  /* (nullable) canonical; From of a later request (RFC 4916); proves nothing */
} ClvAnswerer;

/* What is played to a leg alone, in place of the mix. The order is that of the prompt set. */
typedef enum ClvPrompt {
    CLV_PROMPT_NONE,
    CLV_PROMPT_PIN,          /* "Please enter the PIN, then press hash." */
    CLV_PROMPT_PIN_WRONG,    /* "This PIN is not right. Please try again." */
    CLV_PROMPT_PIN_FAILED,   /* "The PIN was wrong too often. Good bye." */
    CLV_PROMPT_ALONE,        /* "You are the first one here." */
    CLV_PROMPT_LOCKED,       /* "The conference is locked now." */
    CLV_PROMPT_UNLOCKED,     /* "The conference is open again." */
    CLV_PROMPT_KNOCK,        /* two tones, "Somebody is waiting to come in." */
    CLV_PROMPT_ENDING,       /* "The conference ends in one minute." */
    CLV_PROMPT_ENDED,        /* "The conference has ended. Good bye." */
    CLV_PROMPT_JOINED,       /* a rising tone: somebody came */
    CLV_PROMPT_LEFT,         /* a falling tone: somebody left */
    CLV_PROMPT_ACCEPTED,     /* a short high tone: key understood */
    CLV_PROMPT_REJECTED,     /* a short low tone: key not understood, or not allowed */
    CLV_N_PROMPTS
} ClvPrompt;

/* ---- media: what a conference says about who hears whom ------------------------------------ */

/* A participant in a mix plan. */
typedef struct ClvMixMember {
    ClvLegId leg;
    gboolean talks; /* his audio goes into the sum */
    gboolean hears; /* he is sent the mix, less himself */
} ClvMixMember;

/* Immutable snapshot; made on the signalling thread, lent to one media thread, travels home. */
typedef struct ClvMixPlan {
    ClvConferenceId conference;
    guint n_members;
    ClvMixMember members[]; /* n_members */
} ClvMixPlan;
