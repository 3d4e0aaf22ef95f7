/* SPDX-License-Identifier: Apache-2.0 */
/* libmikey/kms.h - the exchanges from the side of the KMS, and the inside of the base ticket
 * (RFC 6043 section 4.2, appendix A)
 *
 *   mikey_query_open()          read, suite, T; everything in it is a claim
 *   mikey_query_authenticate()  V under the user's PSK; then ask your replay cache
 *   request: mikey_query_grant()
 *   resolve: mikey_query_open_ticket()  V of the ticket under the TPK, then Vr
 *            mikey_query_resolve()
 *   or, at any time: mikey_query_error()
 *
 * Calls out of this order give MIKEY_ORDER.
 */
#pragma once

#include <libmikey/ticket.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct MikeyQuery MikeyQuery;

/* MIKEY_BAD_DATA_TYPE for anything but REQUEST_INIT_PSK and RESOLVE_INIT_PSK, and with
 * MIKEY_ALLOW_PK their PK variants, see pk.h */
MikeyStatus mikey_query_open(MikeyBytes octets, const MikeyEnv *env, MikeyQuery **out_query);
void mikey_query_free(MikeyQuery *query);
const MikeyMessage *mikey_query_message(const MikeyQuery *query);
bool mikey_query_is_resolve(const MikeyQuery *query);
/* IDRpsk; data is empty when the message has none: look the user up by identity then */
MikeyIdentity mikey_query_psk_id(const MikeyQuery *query);
/* IDRi of a request, IDRr of a resolve: whom the user says to be */
MikeyIdentity mikey_query_identity(const MikeyQuery *query);
MikeyIdentity mikey_query_kms(const MikeyQuery *query);
/* What is asked for, or what the ticket says (proven by mikey_query_open_ticket()) */
const MikeyPolicy *mikey_query_policy(const MikeyQuery *query);
/* For the replay cache: keep it until T plus the skew has passed, once authenticated. A signature
 * itself is not in it. */
MikeyStatus mikey_query_digest(const MikeyQuery *query, uint8_t out_digest[MIKEY_DIGEST_LEN]);
MikeyNtp mikey_query_timestamp(const MikeyQuery *query);

MikeyStatus mikey_query_authenticate(MikeyQuery *query, const MikeyKey *psk);

/**
 * MikeyGrantSetup:
 * @policy: (nullable): what is granted; NULL: as asked, with IDRkms and IDRi added when absent. The
 *   K flag is set here when it differs from what was asked.
 * @tpk: protects the ticket
 * @tpk_id: names @tpk inside the ticket; may be empty
 */
typedef struct MikeyGrantSetup {
    const MikeyPolicy *policy;
    const MikeyKey *tpk;
    MikeyBytes tpk_id;
} MikeyGrantSetup;

/* Makes MPK, session keys as wished (or one TGK), the ticket, and the REQUEST_RESP around them */
MikeyStatus mikey_query_grant(const MikeyQuery *query, const MikeyGrantSetup *setup,
                              const MikeyEnv *env, MikeyBuffer *out_answer);

/* Returns: name of the TPK of the ticket in a resolve; empty when it has none. A claim. */
MikeyBytes mikey_query_tpk_id(const MikeyQuery *query);
/* A ticket of an initiator (D = 0) is refused without MIKEY_ALLOW_MODE_3; that @tpk is a key which
 * this very initiator shares with the KMS is for the caller to know.
 * V of the ticket, then its contents, its validity, and with forking that the owner of the ticket
 * made the TRANSFER_INIT (Vr) */
MikeyStatus mikey_query_open_ticket(MikeyQuery *query, const MikeyKey *tpk, const MikeyEnv *env);
/* Types of the session keys inside, known after mikey_query_open_ticket() */
size_t mikey_query_n_keys(const MikeyQuery *query);
const MikeyKeyData *mikey_query_key(const MikeyQuery *query, size_t i);
/* @responder: the name that the keys are forked for and the responder answers with; usually
 * mikey_query_identity(). That he is authorised is for the caller to know. */
MikeyStatus mikey_query_resolve(const MikeyQuery *query, const MikeyIdentity *responder,
                                const MikeyEnv *env, MikeyBuffer *out_answer);

/* A ticket that another KMS made (RFC 6043 section 10): a RESOLVE_INIT to that one with the same
 * ticket, in the name of @account->self, which should be that of the query; and its answer again
 * under the key of the one who asked here. That he may resolve the ticket as far as we can tell,
 * and which KMS may be believed about whom, is for the caller to know. */
MikeyStatus mikey_query_forward(const MikeyQuery *query, const MikeyAccount *account,
                                const MikeyEnv *env, MikeyMessage **out_init);
MikeyStatus mikey_query_relay(const MikeyQuery *query, const MikeyMessage *forwarded,
                              const MikeyKey *psk, MikeyBytes answer, const MikeyEnv *env,
                              MikeyBuffer *out_answer, MikeyPeerError *out_error);

/* An Error; with a MAC once the query is authenticated, without one before */
MikeyStatus mikey_query_error(const MikeyQuery *query, MikeyStatus status, const MikeyEnv *env,
                              MikeyBuffer *out_error);

/* ---- the base ticket by itself ---- */

/**
 * MikeyTicketSecrets: what is inside a base ticket
 */
typedef struct MikeyTicketSecrets {
    MikeyKey mpk;
    MikeyKey mpki;
    MikeyKey mpkr;
    size_t n_keys;
    MikeyKeyData keys[MIKEY_MAX_KEYS];
} MikeyTicketSecrets;

void mikey_ticket_secrets_clear(MikeyTicketSecrets *secrets);
/* Seals @secrets->mpk and the keys; fills in @secrets->mpki and mpkr */
MikeyStatus mikey_ticket_seal(const MikeyPolicy *policy, MikeyTicketSecrets *secrets,
                              const MikeyKey *tpk, MikeyBytes tpk_id, const MikeyEnv *env,
                              MikeyTicket **out_ticket);
MikeyStatus mikey_ticket_open(const MikeyTicket *ticket, const MikeyKey *tpk,
                              MikeyTicketSecrets *out_secrets);
/* Returns: name of the TPK of a ticket; empty when it has none. A claim. */
MikeyBytes mikey_ticket_tpk_id(const MikeyTicket *ticket);
/* Vr of the Initiator Data; MIKEY_OK also when the ticket is not for forking and has none */
MikeyStatus mikey_ticket_verify_initiator(const MikeyTicket *ticket, const MikeyKey *mpkr);

#ifdef __cplusplus
}
#endif
