/* SPDX-License-Identifier: Apache-2.0 */
/* libmikey/exchange-private.h - what request, transfer and offer have in common */
#pragma once

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

/* Random values of a new exchange */
typedef struct MikeyFresh {
    uint32_t csb_id;
    size_t len;
    uint8_t rand[MIKEY_MAX_RAND];
} MikeyFresh;

MikeyStatus mikey_account_check(const MikeyAccount *account, const MikeyEnv *env);
/* RAND of the suite's length, or of @at_least octets if that is more */
MikeyStatus mikey_fresh(const MikeyEnv *env, uint8_t prf, size_t at_least, MikeyFresh *out_fresh);
/* Ends a REQUEST_INIT or RESOLVE_INIT: IDRpsk and V */
MikeyStatus mikey_kms_init_end(MikeyWriter *w, MikeyLink *link, const MikeyAccount *account,
                               const MikeyLabel *label, MikeyMessage **out_init);
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
