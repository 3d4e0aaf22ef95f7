/* SPDX-License-Identifier: Apache-2.0 */
/* libmikey/exchange.h - the exchanges from the side of a user: asking for a ticket, calling with
 * it, being called with it (RFC 6043 section 4.2)
 *
 * Each object stands for what has been proven so far, so that no check can be left out:
 *
 *   caller:  MikeyRequest --answer of the KMS--> MikeyGrant
 *            --> MikeyTransfer --answer--> MikeyBundle
 *   called:  MikeyOffer (read, nothing proven) --> MikeyResolve --answer of the KMS-->
 *            MikeyResolution --mikey_offer_verify()--> the caller is authentic
 *            --mikey_offer_answer()--> answer and MikeyBundle
 *
 * Octets of an object live as long as the object. Outputs are untouched on failure.
 */
#pragma once

#include <libmikey/srtp.h>
#include <libmikey/ticket.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * MikeyPeerError:
 * @number: first error number of an Error message
 * @authentic: its MAC was verified. If not, it is a hint and no reason to tear anything down.
 */
typedef struct MikeyPeerError {
    uint8_t number;
    bool authentic;
} MikeyPeerError;

/**
 * MikeyAccount:
 * @psk: shared with the KMS
 * @psk_id: names @psk to the KMS; absent when the data is empty
 * @self: who we are in this exchange
 * @kms: whom we ask
 * @prf: suite of the exchange
 *
 * How a user is known to his KMS.
 */
typedef struct MikeyAccount {
    const MikeyKey *psk;
    MikeyIdentity psk_id;
    MikeyIdentity self;
    MikeyIdentity kms;
    uint8_t prf;
} MikeyAccount;

/* ---- Ticket Request, the initiator's side ---- */

typedef struct MikeyRequest MikeyRequest;
typedef struct MikeyGrant MikeyGrant;

/* @policy: what is wanted; its initiator and kms are taken from @account when absent */
MikeyStatus mikey_request_new(const MikeyAccount *account, const MikeyPolicy *policy,
                              const MikeyEnv *env, MikeyRequest **out_request);
MikeyBytes mikey_request_octets(const MikeyRequest *request);
/* @out_error: (nullable): set when the result is MIKEY_PEER_ERROR */
MikeyStatus mikey_request_finish(const MikeyRequest *request, MikeyBytes answer,
                                 const MikeyEnv *env, MikeyGrant **out_grant,
                                 MikeyPeerError *out_error);
void mikey_request_free(MikeyRequest *request);

/* A granted ticket with the keys that let its owner use it. May be used again if J is set. */
const MikeyTicket *mikey_grant_ticket(const MikeyGrant *grant);
const MikeyPolicy *mikey_grant_policy(const MikeyGrant *grant);
size_t mikey_grant_n_keys(const MikeyGrant *grant); /* session keys */
const MikeyKeyData *mikey_grant_key(const MikeyGrant *grant, size_t i);
/* Keys that go with the ticket, for keeping a grant somewhere: mikey_grant_new() takes them back.
 * MPKr is NULL without forking. */
const MikeyKey *mikey_grant_mpki(const MikeyGrant *grant);
const MikeyKey *mikey_grant_mpkr(const MikeyGrant *grant);
/* Makes a grant out of what was obtained elsewhere; @mpkr is NULL without forking */
MikeyStatus mikey_grant_new(const MikeyTicket *ticket, const MikeyKey *mpki, const MikeyKey *mpkr,
                            const MikeyKeyData *keys, size_t n_keys, MikeyGrant **out_grant);
void mikey_grant_free(MikeyGrant *grant);
/* Modes 3 and 4: the initiator makes the ticket himself, under a key that he shares with the KMS or
 * with the responder. @policy: without D, with L and with its initiator; wishes say which session
 * keys are made, one TGK without any. MIKEY_BAD_POLICY unless env->allow has MIKEY_ALLOW_MODE_3, or
 * without the E flag MIKEY_ALLOW_MODE_4. */
MikeyStatus mikey_grant_make(const MikeyPolicy *policy, const MikeyKey *tpk, MikeyBytes tpk_id,
                             const MikeyEnv *env, MikeyGrant **out_grant);

/* ---- Ticket Transfer, the initiator's side ---- */

typedef struct MikeyTransfer MikeyTransfer;
typedef struct MikeyBundle MikeyBundle;

/**
 * MikeyTransferSetup:
 * @responder: whom we call
 * @csb_id: unique among the live bundles with that party; random is fine
 * @lines: (array length=n_lines): one for each m-line of the SDP
 * @profiles: (array length=n_profiles): what is offered for SRTP, the best one first
 * @sdp_ids: all key management protocols offered in the SDP, "mikey" or "mikey;other"
 * @keys: (array length=n_keys): session keys of our own, needs the L flag
 * @sessions: (array length=n_sessions): further ones that belong to no m-line, CS IDs from
 *   MIKEY_CS_FURTHER; complete, policy numbers being places in @profiles
 * @rand_i: for groups: the same for every member of one group session, as are @csb_id and the CS
 *   IDs, so that a GTGK gives all of them the same keys. Needs a ticket without G. Empty: a fresh
 * one
 */
typedef struct MikeyTransferSetup {
    MikeyIdentity responder;
    uint32_t csb_id;
    const MikeyLine *lines;
    size_t n_lines;
    const MikeySrtpProfile *profiles;
    size_t n_profiles;
    MikeyBytes sdp_ids;
    const MikeyKeyData *keys;
    size_t n_keys;
    const MikeyCs *sessions;
    size_t n_sessions;
    MikeyBytes rand_i;
} MikeyTransferSetup;

MikeyStatus mikey_transfer_new(const MikeyGrant *grant, const MikeyTransferSetup *setup,
                               const MikeyEnv *env, MikeyTransfer **out_transfer);
MikeyBytes mikey_transfer_octets(const MikeyTransfer *transfer);
/* Forks the keys, verifies the answer and only then believes who answered. When a call forks to
 * several responders call it once for each answer: every bundle has keys of its own. An empty
 * @answer is right when the ticket's F flag says that there is none. */
MikeyStatus mikey_transfer_finish(const MikeyTransfer *transfer, MikeyBytes answer,
                                  const MikeyEnv *env, MikeyBundle **out_bundle,
                                  MikeyPeerError *out_error);
void mikey_transfer_free(MikeyTransfer *transfer);

/* ---- Ticket Transfer and Resolve, the responder's side ---- */

typedef struct MikeyOffer MikeyOffer;
typedef struct MikeyResolve MikeyResolve;
typedef struct MikeyResolution MikeyResolution;

/* Reads a TRANSFER_INIT and makes every check that needs no key: layout, suite,
 * T, RANDs, ticket type, flags and validity, map. What the accessors give is a claim until
 * mikey_offer_verify(). */
MikeyStatus mikey_offer_open(MikeyBytes octets, const MikeyEnv *env, MikeyOffer **out_offer);
void mikey_offer_free(MikeyOffer *offer);
const MikeyMessage *mikey_offer_message(const MikeyOffer *offer);
const MikeyTicket *mikey_offer_ticket(const MikeyOffer *offer);
const MikeyPolicy *mikey_offer_policy(const MikeyOffer *offer);
MikeyIdentity mikey_offer_initiator(const MikeyOffer *offer);
MikeyIdentity mikey_offer_responder(const MikeyOffer *offer);
uint32_t mikey_offer_csb_id(const MikeyOffer *offer);
/* For the replay cache: keep it until T plus the skew has passed, but only once verified */
MikeyStatus mikey_offer_digest(const MikeyOffer *offer, uint8_t out_digest[MIKEY_DIGEST_LEN]);
MikeyNtp mikey_offer_timestamp(const MikeyOffer *offer);
bool mikey_offer_is_verified(const MikeyOffer *offer);

/* A ticket that the initiator made (D = 0) is not asked about without MIKEY_ALLOW_MODE_3.
 * @account->self goes out as IDRr. @offer is not needed any more afterwards */
MikeyStatus mikey_resolve_new(const MikeyOffer *offer, const MikeyAccount *account,
                              const MikeyEnv *env, MikeyResolve **out_resolve);
MikeyBytes mikey_resolve_octets(const MikeyResolve *resolve);
MikeyStatus mikey_resolve_finish(const MikeyResolve *resolve, MikeyBytes answer,
                                 const MikeyEnv *env, MikeyResolution **out_resolution,
                                 MikeyPeerError *out_error);
void mikey_resolve_free(MikeyResolve *resolve);

/* Modes 2 and 4: the responder opens the ticket himself, without a KMS. MIKEY_POLICY_VIOLATED when
 * the E flag forbids it; MIKEY_BAD_POLICY unless env->allow has MIKEY_ALLOW_MODE_2 for a ticket
 * that a KMS made, MIKEY_ALLOW_MODE_4 for one that the initiator made. mikey_ticket_tpk_id() tells
 * which key is meant; whose key it is decides whom the ticket can prove to be calling. */
MikeyStatus mikey_offer_open_ticket(const MikeyOffer *offer, const MikeyKey *tpk,
                                    const MikeyEnv *env, MikeyResolution **out_resolution);

/* What the KMS said about a ticket: keys, and with forking our name and RANDRkms */
MikeyIdentity mikey_resolution_responder(const MikeyResolution *resolution);
size_t mikey_resolution_n_keys(const MikeyResolution *resolution);
const MikeyKeyData *mikey_resolution_key(const MikeyResolution *resolution, size_t i);
void mikey_resolution_free(MikeyResolution *resolution);

/* Verifies V and Vi with the keys of @resolution; afterwards mikey_offer_initiator() is the truth.
 * A resolution that was made for another offer is taken only if the ticket is the same, has the J
 * flag, and names one responder (many share MPKi otherwise). It is copied. */
MikeyStatus mikey_offer_verify(MikeyOffer *offer, const MikeyResolution *resolution);
/* May the resolution of such a ticket be kept for further calls, under mikey_ticket_digest() and
 * until @out_until_unix (INT64_MAX when the ticket has no end)? */
bool mikey_policy_may_keep(const MikeyPolicy *policy, const MikeyEnv *env, int64_t *out_until_unix);
/* Session keys that came in the message itself, once verified */
size_t mikey_offer_n_keys(const MikeyOffer *offer);
const MikeyKeyData *mikey_offer_key(const MikeyOffer *offer, size_t i);

/**
 * MikeyAnswerSetup:
 * @lines: (array length=n_lines): our side of each m-line of the offer; a line that is not keyed
 *   here was refused: its sessions are repeated, with SSRC 0, and nothing is sent on them
 * @profiles: (array length=n_profiles): what is acceptable, the best one first
 * @offerer_first: among acceptable policies take the one that the offerer names first
 * @keys: (array length=n_keys): session keys of our own, needs the M flag
 */
typedef struct MikeyAnswerSetup {
    const MikeyLine *lines;
    size_t n_lines;
    const MikeySrtpProfile *profiles;
    size_t n_profiles;
    bool offerer_first;
    const MikeyKeyData *keys;
    size_t n_keys;
} MikeyAnswerSetup;

/* MIKEY_ORDER unless verified. @out_answer is empty when the F flag says that there is none */
MikeyStatus mikey_offer_answer(const MikeyOffer *offer, const MikeyAnswerSetup *setup,
                               const MikeyEnv *env, MikeyBuffer *out_answer,
                               MikeyBundle **out_bundle);

/* ---- what both sides have in the end ---- */

/* Who is on the other side, proven by the ticket */
MikeyIdentity mikey_bundle_peer(const MikeyBundle *bundle);
uint32_t mikey_bundle_csb_id(const MikeyBundle *bundle);
/* Header of the answer: the crypto sessions in force */
const MikeyHeader *mikey_bundle_header(const MikeyBundle *bundle);
MikeySrtpProfile mikey_bundle_profile(const MikeyBundle *bundle, uint8_t cs_id);
/* Keys of one crypto session, MIKEY_CS_OFFERER(line) or MIKEY_CS_ANSWERER(line). Clear @out_srtp.
 * MIKEY_BAD_SESSIONS when there is no such session. */
MikeyStatus mikey_bundle_srtp(const MikeyBundle *bundle, uint8_t cs_id, MikeySrtp *out_srtp);
/* For trying an update: whoever does not like what comes out keeps the one that was copied */
MikeyStatus mikey_bundle_copy(const MikeyBundle *bundle, MikeyBundle **out_bundle);
void mikey_bundle_free(MikeyBundle *bundle);

/* ---- new keys and sessions for a bundle (RFC 6043 section 5.2) ----
 *
 *   sender:   mikey_update_new() --answer--> mikey_update_finish()
 *   receiver: mikey_update_open() --> mikey_update_answer()
 *
 * Either party of the bundle may be the sender. The bundle changes in the last step of each side
 * and stays what it was when that fails. One update at a time: whatever is sent or opened later
 * makes an update that waits for its answer MIKEY_ORDER. When both sides send at once, the one
 * whose T is older is told MIKEY_BAD_TIME and may try again.
 */

typedef struct MikeyUpdate MikeyUpdate;

/**
 * MikeyUpdateSetup:
 * @lines: (array length=n_lines): every m-line that goes on, and new ones; what is not listed ends.
 *   spi_offerer and spi_answerer mean the offerer of the first exchange, as the CS IDs do. Empty:
 *   the first of @keys, else the key in use, else the first key of the bundle.
 * @profiles: (array length=n_profiles): what is offered; exactly one when no answer is wanted
 * @keys: (array length=n_keys): new session keys. Needs the L flag of who was the initiator in the
 *   first exchange, the M flag of who was the responder.
 * @sessions: (array length=n_sessions): as in MikeyTransferSetup
 * @sdp_ids: as in MikeyTransferSetup; may be empty
 * @want_answer: the V flag
 */
typedef struct MikeyUpdateSetup {
    const MikeyLine *lines;
    size_t n_lines;
    const MikeySrtpProfile *profiles;
    size_t n_profiles;
    const MikeyKeyData *keys;
    size_t n_keys;
    const MikeyCs *sessions;
    size_t n_sessions;
    MikeyBytes sdp_ids;
    bool want_answer;
} MikeyUpdateSetup;

/* Uses up a T of the bundle, also when the message is never sent. MIKEY_BAD_TIME when that T would
 * be too far from now. */
MikeyStatus mikey_update_new(MikeyBundle *bundle, const MikeyUpdateSetup *setup,
                             const MikeyEnv *env, MikeyUpdate **out_update);
MikeyBytes mikey_update_octets(const MikeyUpdate *update);
/* Puts the update in force. An empty @answer is right when none was wanted. */
MikeyStatus mikey_update_finish(MikeyUpdate *update, MikeyBundle *bundle, MikeyBytes answer,
                                const MikeyEnv *env, MikeyPeerError *out_error);

/* Is it an update, and of which bundle? MIKEY_BAD_DATA_TYPE for everything else that can be read */
MikeyStatus mikey_update_peek(MikeyBytes octets, uint32_t *out_csb_id);
/* Verifies all of it. No replay cache is needed: T must be newer than any of the bundle. */
MikeyStatus mikey_update_open(MikeyBundle *bundle, MikeyBytes octets, const MikeyEnv *env,
                              MikeyUpdate **out_update);
const MikeyMessage *mikey_update_message(const MikeyUpdate *update);
bool mikey_update_wants_answer(const MikeyUpdate *update);
/* The new keys that came, or go, in the message */
size_t mikey_update_n_keys(const MikeyUpdate *update);
const MikeyKeyData *mikey_update_key(const MikeyUpdate *update, size_t i);
/* Puts the update in force; @out_answer is empty when none is wanted. @setup->keys needs the M flag
 * of who was the responder in the first exchange, the L flag of who was the initiator. */
MikeyStatus mikey_update_answer(MikeyUpdate *update, MikeyBundle *bundle,
                                const MikeyAnswerSetup *setup, const MikeyEnv *env,
                                MikeyBuffer *out_answer);
/* An Error with a MAC about an update that was opened, instead of an answer. For one that could not
 * be opened there is mikey_error_new(). */
MikeyStatus mikey_update_error(const MikeyUpdate *update, const MikeyBundle *bundle,
                               MikeyStatus status, const MikeySrtpProfile *profiles,
                               size_t n_profiles, const MikeyEnv *env, MikeyBuffer *out_error);
void mikey_update_free(MikeyUpdate *update);

/* ---- errors ---- */

/* An Error about @at_fault, without a MAC: for peers who have proven nothing.
 * MIKEY_MALFORMED when @at_fault has no readable header or is itself an Error: stay silent then */
MikeyStatus mikey_error_new(MikeyBytes at_fault, MikeyStatus status, const MikeyEnv *env,
                            MikeyBuffer *out_error);
/* The same about an offer; has a MAC once the offer is verified. @profiles: (nullable): supported
 * policies, listed when @status is MIKEY_BAD_PARAMETERS */
MikeyStatus mikey_offer_error(const MikeyOffer *offer, MikeyStatus status,
                              const MikeySrtpProfile *profiles, size_t n_profiles,
                              const MikeyEnv *env, MikeyBuffer *out_error);

#ifdef __cplusplus
}
#endif
