/* SPDX-License-Identifier: Apache-2.0 */
/* mikey-ticket/ticket-private.h - what the files of this scheme share
 *
 *   plugin.c    the contract: open, step, close
 *   lines.c     a=key-mgmt lines to a TRANSFER_INIT             (RFC 4567)
 *   early.c     what is refused before the KMS is troubled
 *   answerer.c  being called with a ticket                      (RFC 6043 section 4.2.2)
 *   offerer.c   calling with a ticket of our own                (RFC 6043 section 4.2.2)
 *   session.c   updates of the bundle that an exchange has left (RFC 6043 section 5.2)
 *   asking.c    how this server asks the KMS
 *   words.c     words of libmikey and words of ours, keys above all
 *   refusal.c   what a MIKEY failure means to the call
 */
#pragma once

#include <libmikey/mikey.h>

#include "keymgmt/keymgmt.h"

/* Answerer, offerer and updater begin with this. */
struct ClvKeymgmtState {
    ClvKeymgmtNext (*step)(ClvKeymgmtState *state, const ClvKeymgmtInput *in, ClvKeymgmtOutput *out,
                           GError **error);
    void (*close)(ClvKeymgmtState *state);
};

/* ---- refusal.c ---- */

/* Why the call is refused: @error for us, with a ClvCode; @status for the peer's Error message. */
typedef struct TicketRefusal {
    MikeyStatus status;
    GError *error; /* (nullable) NULL: not refused */
} TicketRefusal;

/* Returns: always %FALSE, so that a check can end with it. */
gboolean clv_ticket_refuse(TicketRefusal *refusal, ClvCode code, MikeyStatus status,
                           const char *format, ...) G_GNUC_PRINTF(4, 5);
/* The peer's message is at fault: the code follows from @status. @what: "TRANSFER_INIT", ... */
gboolean clv_ticket_refuse_peer(TicketRefusal *refusal, MikeyStatus status, const char *what);
/* The KMS said no, or nonsense, or something of ours failed. @asked: what; @peer: its Error, for
 * MIKEY_PEER_ERROR. */
gboolean clv_ticket_refuse_kms(TicketRefusal *refusal, ClvKmsRequest asked, MikeyStatus status,
                               const MikeyPeerError *peer);
/* The same of a ticket that another KMS made: what ours says may be the word of that one. */
gboolean clv_ticket_refuse_foreign(TicketRefusal *refusal, MikeyStatus status,
                                   const MikeyPeerError *peer);
/* Is @code a refusal of the offer itself (488), so that an Error message may go with it? */
gboolean clv_ticket_code_has_error_line(ClvCode code);
/* Was a message or a ticket refused because a MAC, or Vi, did not fit? */
gboolean clv_ticket_is_forgery(const TicketRefusal *refusal);

/* ---- lines.c ---- */

/**
 * TicketLines:
 * @message: the TRANSFER_INIT that keys our m-line; after a refusal the message at fault, if any
 * @at_session: it stood at session level
 * @media_line: number of our m-line from 1; 0 when there is none
 */
typedef struct TicketLines {
    MikeyBuffer message;
    gboolean at_session;
    guint media_line;
} TicketLines;

/* Reads every line of the protocol that is in force: if one is wrong the whole offer is. */
gboolean clv_ticket_lines_read(const ClvSdp *offer, guint media_index, ClvPurpose purpose,
                               TicketLines *out_lines, TicketRefusal *refusal);
void clv_ticket_lines_clear(TicketLines *lines);
/* The message in an answer to an offer of ours that had it at session level. @media_line: the m-line
 * it keys, from 1; 0: none */
gboolean clv_ticket_answer_read(const ClvSdp *answer, guint media_line, MikeyBuffer *out_message,
                                TicketRefusal *refusal);
gboolean clv_ticket_offered(const ClvSdp *offer, guint media_index);
char *clv_ticket_offer_id(const ClvSdp *offer, guint media_index);

/* ---- words.c ---- */

/* What libmikey wants to know of the world at @now_us; @config must live as long. */
MikeyEnv clv_ticket_env(const ClvKeymgmtConfig *config, gint64 now_us);
/* (transfer full) (nullable): NULL unless it is a URI that names somebody */
char *clv_ticket_identity(const MikeyIdentity *identity);
/* hex SHA-256; the same for the same ticket in different messages */
char *clv_ticket_hash(const MikeyTicket *ticket);
/* Returns: how many */
gsize clv_ticket_profiles(const ClvSrtpSuite *suites,
                          MikeySrtpProfile out_profiles[CLV_N_SRTP_SUITES]);
gboolean clv_ticket_encode_line(MikeyBytes message, char **out_line, TicketRefusal *refusal);
/* Keys of both directions of m-line @line (0: nothing to do) into @out; @we_offered: the odd crypto
 * session is ours. One key and one SSRC for both directions are refused. */
gboolean clv_ticket_take_keys(const MikeyBundle *bundle, guint line, gboolean we_offered,
                              ClvKeymgmtOutput *out, TicketRefusal *refusal);

/* ---- asking.c ---- */

/* The question goes into @out; @self: who asks */
gboolean clv_ticket_ask_resolve(const ClvKeymgmtConfig *config, const char *self,
                                const MikeyOffer *offer, const MikeyEnv *env,
                                MikeyResolve **out_resolve, ClvKeymgmtOutput *out,
                                TicketRefusal *refusal);
gboolean clv_ticket_ask_request(const ClvKeymgmtConfig *config, const char *self,
                                const MikeyPolicy *policy, const MikeyEnv *env,
                                MikeyRequest **out_request, ClvKeymgmtOutput *out,
                                TicketRefusal *refusal);

/* ---- offerer.c ---- */

ClvKeymgmtState *clv_ticket_offerer_new(const ClvKeymgmtCall *call, GError **error);

/* ---- session.c ---- */

typedef struct TicketSession TicketSession;

/* (transfer full) @bundle; @done: whose exchange it was, and until when it holds */
ClvKeymgmtSession *clv_ticket_session_new(MikeyBundle *bundle, guint cs_line, gboolean we_offered,
                                          const ClvKeymgmtOutput *done);
void clv_ticket_session_free(ClvKeymgmtSession *session);
guint32 clv_ticket_session_csb_id(const ClvKeymgmtSession *session);
gboolean clv_ticket_is_update(const TicketLines *lines);
/* setup->session is set */
ClvKeymgmtState *clv_ticket_updater_new(const ClvKeymgmtSetup *setup);

/* ---- the answering state ---- */

/* Where an answerer stands. */
typedef enum TicketStage {
    TICKET_OPENED, /* nothing but the lines has been read */
    TICKET_ASKED,  /* the KMS has been asked */
    TICKET_OVER,   /* done or failed */
} TicketStage;

typedef struct TicketAnswerer {
    ClvKeymgmtState base;
    ClvKeymgmtConfig config;
    TicketStage stage;
    ClvPurpose purpose;
    char *focus_uri;
    char **factory_uris;                          /* (nullable) */
    char *creation_ticket;                        /* (nullable) */
    const ClvKeymgmtSession *session;             /* (nullable) the hub's: what is in force */
    MikeySrtpProfile profiles[CLV_N_SRTP_SUITES]; /* acceptable, best first */
    gsize n_profiles;
    guint32 local_ssrc;
    TicketLines lines;
    TicketRefusal refusal;
    MikeyOffer *offer;     /* (nullable) */
    MikeyResolve *resolve; /* (nullable) */
    gboolean foreign;      /* another KMS made the ticket; ours is asked all the same */
    guint cs_line;         /* number of the m-line by which our crypto sessions go; 0: none */
} TicketAnswerer;

/* ---- early.c ---- */

/* The checks of a ticket, in order; sets state->cs_line. */
gboolean clv_ticket_check_early(TicketAnswerer *state, gint64 now_us, TicketRefusal *refusal);

/* ---- answerer.c ---- */

ClvKeymgmtState *clv_ticket_answerer_new(const ClvKeymgmtSetup *setup);
/* Names of the memory of messages: the message itself, and the bundle of that initiator. */
gboolean clv_ticket_replay_names(const MikeyOffer *offer, guint8 out_message[MIKEY_DIGEST_LEN],
                                 guint8 out_bundle[MIKEY_DIGEST_LEN]);

/* ---- self-test.c ---- */

gboolean clv_ticket_self_test(GError **error);
