/* SPDX-License-Identifier: Apache-2.0 */
/* libmikey/exchange-private.h - what request, transfer and offer have in common */
#pragma once

#include <libmikey/pk.h>
#include <libmikey/private.h>

#define MIKEY_MAX_RAND 255u
#define MIKEY_MIN_RAND 16u

struct MikeyGrant {
    MikeyTicket *ticket;
    MikeyKey mpki;
    MikeyKey mpkr;
    MikeyKeyData *keys;
    size_t n_keys;
};

/* Keys that a bundle holds at most; those of long ago go first */
#define MIKEY_MAX_BUNDLE_KEYS (4u * MIKEY_MAX_KEYS)

/* What the SPs of a bundle were, by number: updates may refer to them */
typedef struct MikeyKnownPolicy {
    bool known;
    uint8_t prot;
    MikeySrtpProfile profile;
} MikeyKnownPolicy;

struct MikeyBundle {
    MikeyHeader header;
    MikeyCs *cs;
    MikeySrtpProfile *profiles; /* one for each of the sessions */
    bool initiator;             /* we were, in the first exchange */
    uint32_t flags;             /* of the ticket policy */
    uint8_t peer_type;
    MikeyBuffer peer;
    uint8_t id_i_type, id_r_type;
    MikeyBuffer id_i;    /* parties of the first exchange */
    MikeyBuffer id_r;    /* the one who answered */
    MikeyBuffer asked_r; /* the one who was called */
    MikeyBuffer rand_i;
    MikeyBuffer rand_r;
    MikeyKeyData *keys;
    size_t n_keys;
    size_t n_first_keys;       /* of the first exchange: never dropped */
    MikeyMessageKeys in_force; /* they protected the last message of the first exchange */
    MikeyNtp last_t;           /* the newest T of this bundle, whoever sent it */
    MikeyKnownPolicy policies[256];
};

/* Random values of a new exchange */
typedef struct MikeyFresh {
    uint32_t csb_id;
    size_t len;
    uint8_t rand[MIKEY_MAX_RAND];
} MikeyFresh;

/* RAND of the suite's length, or of @at_least octets if that is more */
MikeyStatus mikey_fresh(const MikeyEnv *env, uint8_t prf, size_t at_least, MikeyFresh *out_fresh);
/* Who asks the KMS: by PSK or by certificate */
typedef struct MikeyAsker {
    const MikeyAccount *account; /* one of the two */
    const MikeyPkAccount *pk;
    MikeyIdentity self;
    MikeyIdentity kms;
    uint8_t prf;
    MikeyKey key; /* PSK, or a fresh envelope key */
} MikeyAsker;

MikeyStatus mikey_asker_psk(const MikeyAccount *account, const MikeyEnv *env,
                            MikeyAsker *out_asker);
MikeyStatus mikey_asker_pk(const MikeyPkAccount *account, const MikeyEnv *env,
                           MikeyAsker *out_asker);
/* Identity with @role, certificates, identity of the KMS */
MikeyStatus mikey_link_asker(MikeyLink *link, const MikeyAsker *asker, uint8_t role);
MikeyStatus mikey_link_certificates(MikeyLink *link, const MikeyPkAccount *account);
/* Ends a REQUEST_INIT or RESOLVE_INIT: IDRpsk and V, or CHASH, PKE and SIGN */
MikeyStatus mikey_kms_init_end(MikeyWriter *w, MikeyLink *link, const MikeyAsker *asker,
                               const MikeyLabel *label, MikeyMessage **out_init);
MikeyStatus mikey_pk_init_end(MikeyLink *link, const MikeyPkAccount *account,
                              const MikeyKey *env_key);
/* Certificate, identity and signature of a PK variant, then its envelope key */
MikeyStatus mikey_pk_init_verify(const MikeyMessage *init, const MikeyPkVerifier *verifier,
                                 const MikeyIdentity *identity, MikeyBytes kms, MikeyBytes rand,
                                 const MikeyEnv *env, MikeyKey *out_key, int *out_x509_error);
/* Verifies what a KMS answered and gives the keys of its KEMAC */
MikeyStatus mikey_kms_answer_open(const MikeyMessage *answer, const MikeyMessage *init,
                                  uint8_t type, const MikeyKey *psk, const MikeyEnv *env,
                                  MikeyMessageKeys *out_resp, MikeyPeerError *out_error);
/* A TICKET with other Initiator Data behind it; the rest octet for octet */
void mikey_link_ticket(MikeyLink *link, const MikeyTicket *ticket, MikeyBytes initiator_data);
/* SPs for @profiles, numbered from @first_no */
void mikey_link_policies(MikeyLink *link, const MikeySrtpProfile *profiles, size_t n_profiles,
                         uint8_t first_no);
/* KEMAC with session keys under @keys; writes nothing without keys */
MikeyStatus mikey_link_session_keys(MikeyLink *link, uint8_t prf, const MikeyMessageKeys *keys,
                                    uint32_t csb_id, const MikeyTimestamp *t,
                                    const MikeyKeyData *data, size_t n_data);
/* Session keys of a KEMAC that the peer sent; nothing when there is no KEMAC. (transfer full) */
MikeyStatus mikey_session_keys_open(const MikeyMessage *message, const MikeyMessageKeys *keys,
                                    MikeyKeyData **out_keys, size_t *out_n_keys);
/* Keys of a TRANSFER_RESP: from MPKr' when keys are forked, else from MPKi */
MikeyStatus mikey_transfer_resp_keys(const MikeyMessage *init, const MikeyPolicy *policy,
                                     const MikeyKey *inkey, MikeyBytes rand_r,
                                     MikeyMessageKeys *out_keys);

/* ---- answering a map of crypto sessions, in first exchanges and in updates ---- */

typedef struct MikeyAnswerMap {
    const MikeyMessage *init;
    const MikeyAnswerSetup *setup;
    const MikeyBundle *before; /* (nullable): an update of this one */
    const MikeyKeyData *first; /* (nullable): the key for sessions that name none */
    bool even;                 /* ours are the even sessions */
    MikeyCs *cs;               /* room for the sessions of @init; the answer's map */
    bool new_sp;               /* the answer brings a policy of its own, with this number */
    uint8_t new_sp_no;
} MikeyAnswerMap;

MikeyStatus mikey_answer_map(MikeyAnswerMap *map);
/* Each policy that a session of @init lists is there, or known from before */
MikeyStatus mikey_check_session_policies(const MikeyMessage *init, const MikeyBundle *before);
const MikeySp *mikey_message_sp(const MikeyMessage *message, uint8_t policy_no);
/* A session that belongs to one direction of an m-line */
bool mikey_cs_in_pairs(uint8_t cs_id);
/* Whether the party that is the initiator (or not) sends on @cs_id */
bool mikey_cs_is_of(uint8_t cs_id, bool initiator);
/* Appends sessions that belong to no m-line; room for MIKEY_MAX_CS in all */
MikeyStatus mikey_map_add(MikeyCs *cs, uint8_t *n, const MikeyCs *further, size_t n_further);
