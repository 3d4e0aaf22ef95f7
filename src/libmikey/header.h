/* SPDX-License-Identifier: Apache-2.0 */
/* libmikey/header.h - common header and crypto session maps (RFC 3830 section 6.1, RFC 6043 6.1) */
#pragma once

#include <libmikey/cursor.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef enum MikeyDataType {
    MIKEY_PSK_INIT = 0,
    MIKEY_PSK_RESP = 1,
    MIKEY_PK_INIT = 2,
    MIKEY_PK_RESP = 3,
    MIKEY_DH_INIT = 4,
    MIKEY_DH_RESP = 5,
    MIKEY_ERROR = 6,
    MIKEY_REQUEST_INIT_PSK = 11,
    MIKEY_REQUEST_INIT_PK = 12,
    MIKEY_REQUEST_RESP = 13,
    MIKEY_TRANSFER_INIT = 14,
    MIKEY_TRANSFER_RESP = 15,
    MIKEY_RESOLVE_INIT_PSK = 16,
    MIKEY_RESOLVE_INIT_PK = 17,
    MIKEY_RESOLVE_RESP = 18,
} MikeyDataType;

/* PRF function; it also names the suite, since algorithms of 256 bits are not mixed with others */
typedef enum MikeyPrf {
    MIKEY_PRF_MIKEY_1 = 0,      /* HMAC-SHA-1; with AES-CM-128 and HMAC-SHA-1-160 */
    MIKEY_PRF_HMAC_SHA_256 = 1, /* with AES-CM-256 and HMAC-SHA-256-256 */
} MikeyPrf;

typedef enum MikeyMapType {
    MIKEY_MAP_SRTP_ID = 0,
    MIKEY_MAP_EMPTY = 1,
    MIKEY_MAP_GENERIC_ID = 2,
} MikeyMapType;

#define MIKEY_PROT_SRTP 0
#define MIKEY_MAX_CS 255u
#define MIKEY_MAX_CS_POLICIES 127u
#define MIKEY_MAX_SPI 255u

/**
 * MikeyCs:
 * @id: CS ID; position from 1 in an SRTP-ID map
 * @prot: security protocol, MIKEY_PROT_SRTP
 * @policies: policy numbers: a choice in an offer, one in an answer
 * @has_ssrc: session data is there
 * @has_roc: @roc (and in a GENERIC-ID map @seq) is there too: the S flag
 * @spi: names the session key
 * @session_data: as read; written as it is when @prot is not SRTP
 *
 * One crypto session of the map: one direction of one stream.
 */
typedef struct MikeyCs {
    uint8_t id;
    uint8_t prot;
    uint8_t n_policies;
    uint8_t policies[MIKEY_MAX_CS_POLICIES];
    bool has_ssrc;
    bool has_roc;
    uint32_t ssrc;
    uint32_t roc;
    uint16_t seq;
    uint8_t spi_len;
    uint8_t spi[MIKEY_MAX_SPI];
    MikeyBytes session_data;
} MikeyCs;

typedef struct MikeyHeader {
    uint8_t version;
    uint8_t type; /* a MikeyDataType */
    uint8_t next;
    bool v;      /* response wanted */
    uint8_t prf; /* a MikeyPrf */
    uint32_t csb_id;
    uint8_t map_type; /* a MikeyMapType */
    uint8_t n_cs;
    const MikeyCs *cs; /* (array length=n_cs) */
} MikeyHeader;

/* @cs_room: room for MIKEY_MAX_CS sessions, which @out_header->cs then points to */
MikeyStatus mikey_header_read(MikeyReader *r, MikeyCs *cs_room, MikeyHeader *out_header);
void mikey_header_write(MikeyWriter *w, const MikeyHeader *header);

/* Returns: "REQUEST_INIT_PSK" and so on, or "unknown" */
const char *mikey_data_type_string(uint8_t type);

/*
 * Crypto sessions in pairs: line k of the SDP (from 1, every m-line counts) owns two CS IDs, the
 * odd one for what the offerer sends, the even one for what the answerer sends.
 */
#define MIKEY_MAX_LINES 31u
#define MIKEY_CS_OFFERER(line) ((uint8_t)(2u * (line)-1u))
#define MIKEY_CS_ANSWERER(line) ((uint8_t)(2u * (line)))
#define MIKEY_CS_FURTHER 0x40u /* from here on: sessions that belong to no m-line */

/**
 * MikeyLine:
 * @keyed: this m-line is keyed by the message; the other fields mean nothing otherwise
 * @single: one key for both directions (TLS and the like): the odd CS ID alone
 * @ssrc: what we send with on this line
 * @spi_offerer: SPI of the key for the offerer's direction; empty: the first session key
 * @spi_answerer: the same for the answerer's direction
 *
 * What one side says about one m-line.
 */
typedef struct MikeyLine {
    bool keyed;
    bool single;
    uint32_t ssrc;
    MikeyBytes spi_offerer;
    MikeyBytes spi_answerer;
} MikeyLine;

/* Returns: crypto session with that id or NULL */
const MikeyCs *mikey_header_cs(const MikeyHeader *header, uint8_t id);

#ifdef __cplusplus
}
#endif
