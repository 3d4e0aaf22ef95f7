/* SPDX-License-Identifier: Apache-2.0 */
/* libmikey/base.h - what every other header of the library needs: statuses, octets, keys, time
 *
 * Pure: no I/O, no clock, no logging. The library keeps no state but the allocator hooks, so
 * different threads may use different objects at the same time.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define MIKEY_MAX_MESSAGE 65535u /* octets of a message */
#define MIKEY_MAX_PAYLOADS 128u  /* payloads of a message */
#define MIKEY_MAX_POLICY_CHAIN                                                                     \
    1024u                  /* payloads of TP data: a ticket may name a large conference            \
                            */
#define MIKEY_MAX_KEYS 32u /* key data sub-payloads of one KEMAC */
#define MIKEY_MAX_KEY 64u  /* octets of one key */
#define MIKEY_MAX_ENCRYPTED (1u << 20) /* octets under one counter-mode key and IV */
#define MIKEY_DEFAULT_SKEW_S 300u
#define MIKEY_DIGEST_LEN 32u

/**
 * MikeyStatus:
 *
 * What happened. Every one but the last group has a number in MIKEY's own error payload, see
 * mikey_status_error().
 */
typedef enum MikeyStatus {
    MIKEY_OK = 0,

    /* the octets cannot be read (error 13) */
    MIKEY_TRUNCATED,       /* a field or length runs past the end of its container */
    MIKEY_TRAILING,        /* octets after the last payload */
    MIKEY_TOO_LARGE,       /* message, chain or key above the library's limits */
    MIKEY_VERSION,         /* version is not 1 */
    MIKEY_UNKNOWN_PAYLOAD, /* a payload number without a known layout cannot be skipped */
    MIKEY_DUPLICATE,       /* a payload that may come once came twice */
    MIKEY_MISSING,         /* a mandatory payload is not there */
    MIKEY_MALFORMED,       /* a value that breaks the layout itself */
    MIKEY_BAD_SESSIONS,    /* crypto session map: wrong type, CS ID twice, policy or SPI missing */

    /* authentication (error 0) */
    MIKEY_BAD_MAC,            /* V does not fit the key and the octets */
    MIKEY_BAD_INITIATOR_DATA, /* Vi is not V, or Vr does not fit */
    MIKEY_BAD_TICKET_MAC,     /* V inside the ticket does not fit the TPK */
    MIKEY_UNKNOWN_USER,       /* for callers: no key for that identity */
    MIKEY_SDP_IDS_DIFFER,     /* list of key management protocols: missing or another one */

    /* time (error 1) */
    MIKEY_BAD_TIME, /* T outside the allowed skew, or of an unusable type */
    MIKEY_REPLAYED, /* for callers: seen before */

    /* algorithms (errors 2, 3, 4) */
    MIKEY_BAD_PRF,
    MIKEY_BAD_MAC_ALG,
    MIKEY_BAD_ENCR_ALG,

    MIKEY_BAD_HASH,        /* error 5: function of a CHASH */
    MIKEY_BAD_DH_GROUP,    /* error 6 */
    MIKEY_BAD_IDENTITY,    /* error 7: unknown here, not the user's, not authorised */
    MIKEY_BAD_CERTIFICATE, /* error 8: chain, validity, revocation, use, kind of key or signature */
    MIKEY_BAD_PROTOCOL,    /* error 9: security protocol of a crypto session not supported */
    MIKEY_BAD_PARAMETERS,  /* error 10: no acceptable security policy for a crypto session */
    MIKEY_BAD_DATA_TYPE,   /* error 11: message type not supported, or not the one expected */
    MIKEY_SHORT_RAND,      /* error 12: RAND shorter than the rules allow */
    MIKEY_BAD_KEYS,        /* error 12: number, length, SPI or type of the keys */
    MIKEY_REFUSED,         /* error 12: unspecified */

    /* ticket (errors 14 and 15) */
    MIKEY_BAD_TICKET,      /* type, subtype, version, N or O flag, or somebody else's ticket */
    MIKEY_NOT_REUSABLE,    /* a kept resolution does not fit this ticket or may not be reused */
    MIKEY_BAD_FLAGS,       /* policy flags contradict each other */
    MIKEY_NOT_VALID,       /* now is not within TRs..TRe */
    MIKEY_POLICY_VIOLATED, /* KEMAC against L or M, Initiator Data against I, and the like */
    MIKEY_BAD_POLICY,      /* policy asked for or granted is not acceptable */

    /* nothing that a peer is told as such (error 12) */
    MIKEY_MISMATCH,   /* answer does not belong to what was sent: CSB ID or PRF */
    MIKEY_PEER_ERROR, /* the peer answered with an Error message, see MikeyPeerError */
    MIKEY_NO_MEMORY,
    MIKEY_NO_RANDOM,
    MIKEY_CRYPTO,   /* libcrypto failed */
    MIKEY_ARGUMENT, /* the caller's own input is impossible */
    MIKEY_ORDER,    /* step called before the check that must come first */

    MIKEY_N_STATUS
} MikeyStatus;

/* Returns: a short English phrase, never NULL */
const char *mikey_status_string(MikeyStatus status);

/* Returns: number for an ERR payload, 0 to 15; MIKEY_OK has none and gives 12 */
uint8_t mikey_status_error(MikeyStatus status);

/* Returns: registered meaning of an ERR number, never NULL */
const char *mikey_error_string(uint8_t number);

/**
 * MikeyBytes:
 *
 * A view of octets somebody else owns. Empty is { NULL or anything, 0 }.
 */
typedef struct MikeyBytes {
    const uint8_t *data;
    size_t len;
} MikeyBytes;

MikeyBytes mikey_bytes(const void *data, size_t len);
MikeyBytes mikey_bytes_str(const char *text);
/* Not constant time: for identities and other public octets */
bool mikey_bytes_equal(MikeyBytes a, MikeyBytes b);

/**
 * MikeyBuffer:
 *
 * Octets that the holder owns. Start with MIKEY_BUFFER_INIT, end with mikey_buffer_clear().
 */
typedef struct MikeyBuffer {
    uint8_t *data;
    size_t len;
} MikeyBuffer;

#define MIKEY_BUFFER_INIT                                                                          \
    {                                                                                              \
        NULL, 0                                                                                    \
    }
/* Cleanses and frees; a buffer may be cleared any number of times */
void mikey_buffer_clear(MikeyBuffer *buffer);

/**
 * MikeyKey:
 *
 * The only form in which the library keeps a key.
 */
typedef struct MikeyKey {
    uint8_t bytes[MIKEY_MAX_KEY];
    size_t len;
} MikeyKey;

/* Fails with MIKEY_BAD_KEYS when @len is more than MIKEY_MAX_KEY; @key is untouched then */
MikeyStatus mikey_key_set(MikeyKey *key, const uint8_t *bytes, size_t len);
/* Overwrites the key in a way the compiler keeps */
void mikey_key_clear(MikeyKey *key);
/* Constant time for keys of one length */
bool mikey_key_equal(const MikeyKey *a, const MikeyKey *b);

/**
 * MikeyAllocator:
 *
 * Replaces malloc and free for everything the library allocates itself. Set it before the first
 * use, while one thread runs; NULL goes back to libc. A failing @alloc leads to MIKEY_NO_MEMORY.
 */
typedef struct MikeyAllocator {
    void *(*alloc)(size_t size, void *data);
    void (*release)(void *block, void *data);
    void *data;
} MikeyAllocator;

void mikey_set_allocator(const MikeyAllocator *allocator);

/* Fills @out with @len random octets; false when there are none to be had */
typedef bool (*MikeyRandomFunc)(uint8_t *out, size_t len, void *data);
/* One that asks libcrypto's private generator; @data is not used */
bool mikey_random_openssl(uint8_t *out, size_t len, void *data);

/*
 * Time. A MikeyNtp is an NTP-UTC timestamp: 32 bits of seconds, 32 bits of fraction. The top bit
 * of the seconds set means 1968 to 2036, clear means 2036 to 2104 (RFC 4330 section 3).
 */
typedef uint64_t MikeyNtp;

/* @unix_us: microseconds since 1970, as g_get_real_time() gives them */
MikeyNtp mikey_ntp_from_unix_us(int64_t unix_us);
int64_t mikey_ntp_to_unix_us(MikeyNtp ntp);
/* seconds half alone, as NTP-UTC-32 carries it */
uint32_t mikey_ntp32_from_unix(int64_t unix_s);
int64_t mikey_ntp32_to_unix(uint32_t ntp32);
/* Returns: true when the two are at most @skew_s seconds apart */
bool mikey_ntp_within(MikeyNtp a, MikeyNtp b, uint32_t skew_s);

/* Mode 1 with pre-shared keys is always allowed: the KMS makes tickets and resolves them */
#define MIKEY_ALLOW_PK 1u     /* KMS: users with certificates (pk.h) */
#define MIKEY_ALLOW_MODE_2 2u /* the responder opens tickets that the KMS made */
#define MIKEY_ALLOW_MODE_3 4u /* the KMS resolves tickets that the initiator made */
#define MIKEY_ALLOW_MODE_4 8u /* the responder opens tickets that the initiator made */

/**
 * MikeyEnv:
 * @now: the time
 * @skew_s: allowed difference of clocks in seconds; 0 means MIKEY_DEFAULT_SKEW_S
 * @allow_128: accept the suite of SHA-1 and AES-128 as well
 * @known_types: (array length=n_known_types): ticket types that are fine with N or O clear
 * @random: where random octets come from
 * @allow: MIKEY_ALLOW_...: what is refused otherwise
 *
 * What the world outside looks like at the moment of a call.
 */
typedef struct MikeyEnv {
    MikeyNtp now;
    uint32_t skew_s;
    bool allow_128;
    const uint16_t *known_types;
    size_t n_known_types;
    MikeyRandomFunc random;
    void *random_data;
    uint32_t allow;
} MikeyEnv;

/* SHA-256, for replay caches and for cache keys */
MikeyStatus mikey_digest(MikeyBytes octets, uint8_t out_digest[MIKEY_DIGEST_LEN]);

#ifdef __cplusplus
}
#endif
