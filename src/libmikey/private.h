/* SPDX-License-Identifier: Apache-2.0 */
/* libmikey/private.h - what the files of the library share and nobody else sees */
#pragma once

#include <libmikey/mikey.h>
#include <openssl/types.h>

/* Memory by way of the hooks: zeroed; NULL when there is none */
void *mikey_alloc(size_t size);
void mikey_release(void *block);
/* Overwrites @size octets first */
void mikey_release_secret(void *block, size_t size);
MikeyStatus mikey_buffer_set(MikeyBuffer *buffer, MikeyBytes octets);
MikeyBytes mikey_buffer_bytes(const MikeyBuffer *buffer);
MikeyStatus mikey_env_random(const MikeyEnv *env, uint8_t *out, size_t len);
uint32_t mikey_env_skew(const MikeyEnv *env);

/* HMAC over @parts with the hash of a MikeyMacAlg; @out has room for 32 octets */
MikeyStatus mikey_hmac(uint8_t alg, MikeyBytes key, const MikeyBytes *parts, size_t n_parts,
                       uint8_t *out);

/* The same for several inputs under one key, which is half of the work. Close it in any case. */
typedef struct MikeyHmac {
    EVP_MAC_CTX *ctx;
    size_t len;
    bool ready; /* nothing has gone in since the key */
} MikeyHmac;

MikeyStatus mikey_hmac_open(MikeyHmac *hmac, uint8_t alg, MikeyBytes key);
MikeyStatus mikey_hmac_next(MikeyHmac *hmac, const MikeyBytes *parts, size_t n_parts, uint8_t *out);
void mikey_hmac_close(MikeyHmac *hmac);

/*
 * Writes a chain of payloads: every payload is named by the octet before it in the chain, so the
 * place of that octet is remembered until the next payload is known.
 */
typedef struct MikeyLink {
    MikeyWriter *w;
    size_t at;
} MikeyLink;

MikeyLink mikey_link(MikeyWriter *w, size_t at);
/* Names the payload that is written next */
void mikey_link_next(MikeyLink *link, uint8_t number);
void mikey_link_payload(MikeyLink *link, const MikeyPayload *payload);
void mikey_link_t(MikeyLink *link, MikeyNtp now, MikeyTimestamp *out_t);
void mikey_link_id(MikeyLink *link, uint8_t role, const MikeyIdentity *id);
void mikey_link_rand(MikeyLink *link, uint8_t role, MikeyBytes rand);
void mikey_link_kemac(MikeyLink *link, uint8_t encr_alg, MikeyBytes encrypted);

/* A policy with the arrays it points to */
typedef struct MikeyPolicyStore {
    MikeyPolicy policy;
    MikeyIdentity *ids; /* applications, then responders */
    MikeyKeyWish *wishes;
} MikeyPolicyStore;

MikeyStatus mikey_policy_read(const MikeyTicketPayload *payload, MikeyPolicyStore *out_store);
void mikey_policy_store_clear(MikeyPolicyStore *store);
/* Writes a TP (or a TICKET up to its TP data) after the Next payload octet */
void mikey_policy_write(MikeyWriter *w, const MikeyPolicy *policy);

/* Initiator Data laid open */
typedef struct MikeyInitiatorData {
    MikeyV vi;
    MikeyV vr;
    MikeyBytes covered; /* what the MAC of Vr is over */
} MikeyInitiatorData;

MikeyStatus mikey_initiator_data_read(MikeyBytes octets, MikeyInitiatorData *out);
size_t mikey_initiator_data_len(uint8_t mac_alg);
/* Initiator Data there exactly when keys are forked, and well formed */
MikeyStatus mikey_initiator_data_check(const MikeyTicket *ticket);

struct MikeyMessage {
    MikeyBuffer octets;
    MikeyHeader header;
    MikeyCs *cs;
    size_t cs_size;
    MikeyPayload *payloads;
    size_t n_payloads;
    MikeyTicket *ticket;
    MikeyPolicyStore tp;
    bool has_tp;
};

/* Returns: data of an IDR with @role, empty when there is none */
MikeyIdentity mikey_message_identity(const MikeyMessage *message, uint8_t role);
MikeyBytes mikey_message_randr(const MikeyMessage *message, uint8_t role);
const MikeyTimestamp *mikey_message_t(const MikeyMessage *message);
const MikeyKemac *mikey_message_kemac(const MikeyMessage *message);
/* Returns: (nullable): V of the message */
const MikeyV *mikey_message_v(const MikeyMessage *message);

/* PRF known and allowed, V and KEMAC of the same suite */
MikeyStatus mikey_message_check_suite(const MikeyMessage *message, const MikeyEnv *env);
MikeyStatus mikey_message_check_time(const MikeyMessage *message, const MikeyEnv *env);
/* V over the message and @tail; TRANSFER_INIT without its Initiator Data */
MikeyStatus mikey_message_verify(const MikeyMessage *message, const MikeyKey *auth,
                                 const MikeyBytes *tail, size_t n_tail);

/* Label of the keys of @message, an initial message or an answer to it */
MikeyLabel mikey_init_label(const MikeyMessage *init);

/* Starts a message: header and T; the caller goes on with @out_link */
void mikey_message_begin(MikeyWriter *w, const MikeyHeader *header, const MikeyEnv *env,
                         MikeyLink *out_link, MikeyTimestamp *out_t);
/* Ends it with V over everything written and @tail */
MikeyStatus mikey_message_end(MikeyLink *link, uint8_t prf, const MikeyKey *auth,
                              const MikeyBytes *tail, size_t n_tail);

/*
 * Verifies an answer to @init: type, CSB ID, PRF, V under @resp over answer and initial message. An
 * Error message gives MIKEY_PEER_ERROR, checked with @init_auth.
 */
MikeyStatus mikey_answer_check(const MikeyMessage *answer, const MikeyMessage *init, uint8_t type,
                               const MikeyEnv *env, const MikeyKey *init_auth,
                               MikeyPeerError *out_error);
MikeyStatus mikey_answer_verify(const MikeyMessage *answer, const MikeyMessage *init,
                                const MikeyKey *resp_auth);

/* Session keys: kinds, lengths, SPIs */
MikeyStatus mikey_session_keys_check(const MikeyKeyData *keys, size_t n_keys, uint8_t prf);
MikeyStatus mikey_keys_copy(const MikeyKeyData *keys, size_t n_keys, MikeyKeyData **out_keys);
void mikey_keys_free(MikeyKeyData *keys, size_t n_keys);
/* MPKi, [MPKr], session keys out of the KEMAC of a KMS's answer */
typedef struct MikeyKmsKeys {
    MikeyKey mpki;
    MikeyKey mpkr;
    MikeyKeyData *keys;
    size_t n_keys;
} MikeyKmsKeys;

MikeyStatus mikey_kms_keys_open(const MikeyMessage *answer, const MikeyMessageKeys *resp,
                                const MikeyPolicy *policy, MikeyKmsKeys *out_keys);
void mikey_kms_keys_clear(MikeyKmsKeys *keys);

/* Error message about something with @prf and @csb_id; MAC when @auth is given */
MikeyStatus mikey_error_build(uint8_t prf, uint32_t csb_id, bool transfer, MikeyStatus status,
                              const MikeySrtpProfile *profiles, size_t n_profiles,
                              const MikeyEnv *env, const MikeyKey *auth, MikeyBuffer *out_error);

/* What a bundle is made of; see bundle.c */
typedef struct MikeyBundleParts {
    const MikeyMessage *init;
    const MikeyMessage *resp; /* (nullable): without one the offer is in force */
    const MikeyPolicy *policy;
    MikeyIdentity peer;
    const MikeyKeyData *keys; /* forked where they must be */
    size_t n_keys;
    const MikeyKeyData *late_keys; /* from KEMACs of the transfer */
    size_t n_late_keys;
    const MikeySrtpProfile *profiles; /* (nullable): what is acceptable; NULL: anything known */
    size_t n_profiles;
    bool initiator;                   /* we were the initiator of the first exchange */
    const MikeyMessageKeys *in_force; /* those that protected the last message */
    const MikeyBundle *before;        /* (nullable): this is an update of that one */
    bool from_initiator;              /* who sent @init; matters in an update */
} MikeyBundleParts;

MikeyStatus mikey_bundle_new(const MikeyBundleParts *parts, MikeyBundle **out_bundle);
/* Puts an update in force, or leaves everything as it was */
MikeyStatus mikey_bundle_apply(MikeyBundle *bundle, const MikeyBundleParts *parts);
/* Order of timestamps, over the end of an era too */
bool mikey_ntp_is_newer(MikeyNtp a, MikeyNtp b);
/* TGKs of @keys forked for @id and @rand_kms, the others as they are; (transfer full) */
MikeyStatus mikey_keys_fork(uint8_t prf, const MikeyKeyData *keys, size_t n_keys, MikeyBytes id,
                            MikeyBytes rand_kms, MikeyKeyData **out_keys);
