/* SPDX-License-Identifier: Apache-2.0 */
/* libmikey/ticket.h - what a ticket allows, and the ticket itself (RFC 6043 section 4, appendix A)
 *
 * A ticket that was received is kept and passed on octet for octet.
 */
#pragma once

#include <libmikey/payload.h>

#ifdef __cplusplus
extern "C" {
#endif

#define MIKEY_TICKET_BASE 1u
#define MIKEY_TICKET_3GPP 2u

/* A party: type and octets; the octets compare as they are, without canonical form */
typedef struct MikeyIdentity {
    uint8_t type; /* a MikeyIdType */
    MikeyBytes data;
} MikeyIdentity;

/* Shorthands for the two kinds in use; the text must outlive the value */
MikeyIdentity mikey_identity_uri(const char *uri);
MikeyIdentity mikey_identity_bytes(MikeyBytes octets);
bool mikey_identity_equal(const MikeyIdentity *a, const MikeyIdentity *b);

/* A key asked for in a request */
typedef struct MikeyKeyWish {
    MikeyKeyType type;
    uint16_t key_len; /* octets */
    uint16_t salt_len;
    uint8_t spi_len; /* 0: the KMS chooses */
    uint8_t spi[MIKEY_MAX_SPI];
} MikeyKeyWish;

/**
 * MikeyPolicy:
 * @flags: MIKEY_FLAG_...
 * @kms, @initiator: absent when the data is empty
 * @start_unix, @end_unix: validity, seconds since 1970, when @has_start, @has_end
 * @rekey_s: longest time between rekeyings, 0 for none given
 * @applications: (array length=n_applications): what the ticket is good for; none: everything
 * @responders: (array length=n_responders): who may have it resolved
 * @has_wishes: a KEMAC is in it (requests alone); with no wishes: no session key wanted
 *
 * A ticket policy laid open; also the way to describe one to be written.
 */
typedef struct MikeyPolicy {
    uint16_t ticket_type;
    uint8_t subtype;
    uint8_t version;
    uint8_t prf; /* a MikeyPrf */
    uint32_t flags;
    MikeyIdentity kms;
    MikeyIdentity initiator;
    bool has_start;
    bool has_end;
    int64_t start_unix;
    int64_t end_unix;
    uint32_t rekey_s;
    const MikeyIdentity *applications;
    size_t n_applications;
    const MikeyIdentity *responders;
    size_t n_responders;
    bool has_wishes;
    const MikeyKeyWish *wishes;
    size_t n_wishes;
} MikeyPolicy;

/* A base ticket 1/1 with PRF-HMAC-SHA-256 and the flags D E F G H I N O, nothing else set */
MikeyPolicy mikey_policy_default(void);
/* Rules between flags: MIKEY_OK or MIKEY_BAD_FLAGS */
MikeyStatus mikey_flags_check(uint32_t flags);
/* Everything a policy must obey by itself: type and N/O, flags, PRF, validity now, responders.
 * @granted: it stands in a ticket, so it has no wishes */
MikeyStatus mikey_policy_check(const MikeyPolicy *policy, bool granted, const MikeyEnv *env);
bool mikey_policy_names_responder(const MikeyPolicy *policy, const MikeyIdentity *responder);
/* Returns: true when the policy has no IDRapp, or one of them is @application */
bool mikey_policy_allows_application(const MikeyPolicy *policy, MikeyBytes application);

/**
 * MikeyTicket:
 *
 * A ticket, with its octets and its policy. Immutable.
 */
typedef struct MikeyTicket MikeyTicket;

/* Copies; @octets is a TICKET payload from its Next payload octet on, whatever that octet is */
MikeyStatus mikey_ticket_parse(MikeyBytes octets, MikeyTicket **out_ticket);
MikeyStatus mikey_ticket_copy(const MikeyTicket *ticket, MikeyTicket **out_ticket);
void mikey_ticket_free(MikeyTicket *ticket);
/* As mikey_ticket_parse() takes them; for keeping a ticket somewhere else */
MikeyBytes mikey_ticket_octets(const MikeyTicket *ticket);
const MikeyPolicy *mikey_ticket_policy(const MikeyTicket *ticket);
const MikeyTicketPayload *mikey_ticket_payload(const MikeyTicket *ticket);
/* Same for the same ticket in different messages: without Next payload and Initiator Data */
MikeyStatus mikey_ticket_digest(const MikeyTicket *ticket, uint8_t out_digest[MIKEY_DIGEST_LEN]);

/* Returns: (nullable): ticket of a message, owned by it */
const MikeyTicket *mikey_message_ticket(const MikeyMessage *message);
/* Returns: (nullable): policy in the TP or TICKET of a message, owned by it */
const MikeyPolicy *mikey_message_policy(const MikeyMessage *message);

#ifdef __cplusplus
}
#endif
