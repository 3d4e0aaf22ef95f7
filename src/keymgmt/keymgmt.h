/* SPDX-License-Identifier: Apache-2.0 */
/* keymgmt/keymgmt.h - which scheme speaks this offer, and what does it want next?
 *
 * The contract between the hub and the key management schemes (plugins/keymgmt). A scheme does
 * no I/O and reads no clock: it is opened on an offer, stepped with whatever it asked for, and in
 * the end says DONE (keys, identity, answer) or FAILED. Owned and used by the signalling thread.
 */
#pragma once

#include "base/papers.h"
#include "conference/vocabulary.h"

#define CLV_KEYMGMT_ERROR (clv_keymgmt_error_quark())
GQuark clv_keymgmt_error_quark(void); /* error codes of this domain are ClvCode values */

typedef enum ClvKeymgmtNext {
    CLV_KEYMGMT_WANT_KMS,  /* send out->bytes to the KMS, step again with its answer */
    CLV_KEYMGMT_WANT_PEER, /* offerer: out->answer_line belongs into the offer, step with the answer */
    CLV_KEYMGMT_DONE,      /* all of the output is set */
    CLV_KEYMGMT_FAILED,    /* error is set; of the output only error_line may be */
} ClvKeymgmtNext;

typedef enum ClvKmsRequest { CLV_KMS_TICKET_REQUEST, CLV_KMS_TICKET_RESOLVE } ClvKmsRequest;

/* What the ticket is wanted for (ims-conferencing: purpose by IDRapp). */
typedef enum ClvPurpose {
    CLV_PURPOSE_CREATE,
    CLV_PURPOSE_JOIN,
    CLV_PURPOSE_ALLOW,
    CLV_PURPOSE_REFER, /* REFER to the focus: the names are the focus and at most one user */
} ClvPurpose;

typedef gboolean (*ClvRandom)(void *user, guint8 *out, gsize len);

/* Seen-message memory of one scheme (base/replay.h). */
typedef struct ClvReplay ClvReplay;

/* The server's own credentials and limits. open() copies the structure; what it points to outlives
 * all states. */
typedef struct ClvKeymgmtConfig {
    const char *kms_uri;     /* IDRkms, "sip:kms@operator.example" */
    const guint8 *psk_id;    /* IDRpsk (byte string) */
    gsize psk_id_len;
    const guint8 *psk;       /* key shared with the KMS; owned by the configuration */
    gsize psk_len;           /* octets, 16..64 */
    const ClvPapers *papers; /* (nullable) in place of psk_id and psk: our certificate with its key,
                                that of the KMS as peer, and whom to trust for it */
    gint64 skew_s;           /* 300 */
    gint64 max_ticket_lifetime_s;
    gboolean allow_128;      /* suite "128" beside "256" */
    guint max_responders;    /* IDRr payloads in one ticket */
    gboolean foreign_kms;    /* tickets of another KMS are put to ours, which may relay; else refused */
    ClvReplay *replay;
    ClvRandom random;
    void *random_user;
} ClvKeymgmtConfig;

typedef struct ClvKeymgmtSetup {
    const ClvKeymgmtConfig *config;
    ClvPurpose purpose;
    const ClvSdp *offer;     /* the peer's; need not outlive open() */
    guint media_index;       /* which m-line carries the audio; G_MAXUINT: none (creation only) */
    const char *focus_uri;   /* this conference's URI, canonical: IDRr of RESOLVE_INIT */
    const char *const *factory_uris; /* (nullable) NULL-terminated, canonical; for CREATE */
    const char *request_uri; /* whom the peer called, canonical */
    const char *creation_ticket; /* (nullable) hex SHA-256 of the ticket that set the allowed set */
    const ClvSrtpSuite *suites; /* acceptable, best first, ended by CLV_SRTP_NONE */
    guint32 local_ssrc;      /* SSRC we send with on this m-line */
    gint64 now_us;           /* Unix time, microseconds */
    struct ClvKeymgmtSession *session; /* (nullable) what the exchange in force left behind: a re-offer
                                          may update it (RFC 6043 5.2); outlives the state */
} ClvKeymgmtSetup;

/* A call of ours. */
typedef struct ClvKeymgmtCall {
    const ClvKeymgmtConfig *config;
    const char *focus_uri; /* who calls, canonical: IDRi */
    const char *target;    /* whom, canonical: IDRr of the TRANSFER_INIT */
    const char *const *ticket_for; /* (nullable) NULL-terminated: IDRr list of the ticket; NULL: target */
    gint64 ticket_lifetime_s;      /* 120 */
    ClvPurpose purpose;    /* JOIN; REFER for the ticket of a REFER of ours */
    guint media_index;     /* the m-line of the offer that is keyed; G_MAXUINT: none */
    const ClvSrtpSuite *suites; /* best first, ended by CLV_SRTP_NONE */
    guint32 local_ssrc;
    gint64 now_us;
} ClvKeymgmtCall;

typedef struct ClvKeymgmtInput {
    gint64 now_us;
    const guint8 *bytes; /* (nullable) the KMS's answer */
    gsize len;
    const ClvSdp *answer; /* (nullable) offerer: the peer's answer; its m-line is media_index */
} ClvKeymgmtInput;

/* What an exchange leaves behind; those of the schemes begin with this. */
typedef struct ClvKeymgmtSession {
    void (*free)(struct ClvKeymgmtSession *session); /* what ops->session_free() calls */
} ClvKeymgmtSession;

/* Zeroed before the first step; each step clears what the one before has left and fills it anew.
 * Clear with clv_keymgmt_output_clear() (cleanses the keys). */
typedef struct ClvKeymgmtOutput {
    /* WANT_KMS */
    ClvKmsRequest kms_request;
    GByteArray *bytes; /* (nullable) raw MIKEY octets for the KMS */
    char *claimed;     /* (nullable) canonical; who the peer says he is, which nothing proves yet */
    /* DONE */
    ClvSrtpKeys rx; /* peer to us */
    ClvSrtpKeys tx; /* us to peer */
    gboolean has_media; /* rx and tx are set; FALSE for creation without m-line */
    ClvProof proof;     /* NONE for sdes */
    char *identity;     /* (nullable) canonical; what the ticket proves */
    char **ticket_names; /* (nullable) canonical IDRr list of the ticket without factory and focus */
    char *ticket_hash;   /* (nullable) hex SHA-256 of the ticket without its initiator data */
    gboolean sets_allowed; /* it may replace the allowed set of the conference that is joined */
    gint64 expires_us;   /* 0: no end */
    char *answer_line;   /* value for a=key-mgmt or a=crypto of the answer; WANT_PEER: of the offer,
                            and for a=crypto several values, best first, with "\n" between them:
                            an a=crypto line for each */
    gboolean answer_is_crypto; /* answer_line is an a=crypto value */
    gboolean answer_at_session; /* same level as in the offer */
    struct ClvKeymgmtSession *session; /* (nullable) (transfer full) for ClvKeymgmtSetup.session of
                                          re-offers; ops->session_free() */
    gboolean updates_session; /* DONE: the message was an update within the session in force: same
                                 ticket, same names, new keys or none; session is NULL then, and
                                 answer_line when the update wants no answer */
    /* FAILED */
    gboolean forged;  /* somebody sent what its keys do not bear out: an event for the operator */
    char *error_line; /* (nullable) "mikey <base64 of an Error message>" for the body of the 488 */
} ClvKeymgmtOutput;
void clv_keymgmt_output_clear(ClvKeymgmtOutput *out);

typedef struct ClvKeymgmtState ClvKeymgmtState;

/* One scheme. No step blocks; a state is used by one call and closed with it. */
typedef struct ClvKeymgmtOps {
    ClvScheme scheme;
    const char *name;      /* "mikey-ticket", "sdes" */
    ClvProof gives;        /* what a successful run proves */
    gboolean needs_tls;    /* acceptable only over secured signalling */
    /* Does this m-line (or the session level for media_index G_MAXUINT) offer the scheme? */
    gboolean (*offered)(const ClvSdp *offer, guint media_index);
    /* Names the key data of such an offer: equal ids, equal octets; never the keys themselves. A
     * re-INVITE or UPDATE in the same dialog that brings the id of the exchange in force is a
     * retransmission or a refresh: give the same answer_line again and leave the keys alone.
     * (transfer full) (nullable): NULL when the scheme is not offered */
    char *(*offer_id)(const ClvSdp *offer, guint media_index);
    /* Copies what it needs. What is wrong with the offer comes out of the first step, so that the
     * refusal can have an error_line. */
    ClvKeymgmtState *(*open)(const ClvKeymgmtSetup *setup, GError **error);
    /* (nullable) The offering side. The first step may want the KMS; WANT_PEER gives the line for the
     * offer; then each step with an answer says DONE or FAILED, and another answer (of another early
     * dialog, RFC 6043 4.2.3) may be tried after either: each has keys of its own. identity: who
     * answered, proven. */
    ClvKeymgmtState *(*call)(const ClvKeymgmtCall *call, GError **error);
    ClvKeymgmtNext (*step)(ClvKeymgmtState *state, const ClvKeymgmtInput *in, ClvKeymgmtOutput *out,
                           GError **error);
    void (*close)(ClvKeymgmtState *state);
    void (*session_free)(struct ClvKeymgmtSession *session); /* (nullable) cleanses; takes NULL */
    gboolean (*self_test)(GError **error); /* golden vectors, run once at start */
} ClvKeymgmtOps;

/* ---- registry and choice ------------------------------------------------------------------- */

/* NULL-terminated table of the schemes that are built in. */
const ClvKeymgmtOps *const *clv_keymgmt_all(void);
const ClvKeymgmtOps *clv_keymgmt_find(ClvScheme scheme);
/* Runs every self test; FALSE and an error that names the failed vector on the first failure. */
gboolean clv_keymgmt_self_test(GError **error);

/**
 * clv_keymgmt_choose:
 * @allowed: schemes that the policy accepts, in its order of preference, ended by CLV_SCHEME_NONE
 * @secured_signalling: the offer came over TLS or a trusted hop
 * @out_code: why nothing was chosen
 *
 * Returns: (nullable): the first allowed scheme that the m-line offers.
 */
const ClvKeymgmtOps *clv_keymgmt_choose(const ClvSdp *offer, guint media_index,
                                        const ClvScheme *allowed, gboolean secured_signalling,
                                        ClvCode *out_code);
