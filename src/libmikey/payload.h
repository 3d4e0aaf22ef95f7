/* SPDX-License-Identifier: Apache-2.0 */
/* libmikey/payload.h - every payload, one read and one write each
 *
 * RFC 3830 section 6.2 to 6.15, RFC 6043 section 6. A read starts at the Next payload octet and
 * touches its outputs only on success. What it yields are views of the octets read.
 */
#pragma once

#include <libmikey/header.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef enum MikeyPayloadNumber {
    MIKEY_LAST = 0,
    MIKEY_KEMAC = 1,
    MIKEY_PKE = 2,
    MIKEY_DH = 3,
    MIKEY_SIGN = 4,
    MIKEY_T = 5,
    MIKEY_ID = 6,
    MIKEY_CERT = 7,
    MIKEY_CHASH = 8,
    MIKEY_V = 9,
    MIKEY_SP = 10,
    MIKEY_RAND = 11,
    MIKEY_ERR = 12,
    MIKEY_TR = 13,
    MIKEY_IDR = 14,
    MIKEY_RANDR = 15,
    MIKEY_TP = 16,
    MIKEY_TICKET = 17,
    MIKEY_KEY_DATA = 20,
    MIKEY_GENERAL_EXT = 21,
} MikeyPayloadNumber;

typedef enum MikeyEncrAlg {
    MIKEY_ENCR_NULL = 0,
    MIKEY_ENCR_AES_CM_128 = 1,
    MIKEY_ENCR_AES_KW_128 = 2,
    MIKEY_ENCR_AES_CM_256 = 3,
} MikeyEncrAlg;

typedef enum MikeyMacAlg {
    MIKEY_MAC_NULL = 0,
    MIKEY_MAC_HMAC_SHA_1_160 = 1,
    MIKEY_MAC_HMAC_SHA_256_256 = 2,
} MikeyMacAlg;

typedef enum MikeyTsType {
    MIKEY_TS_NTP_UTC = 0,
    MIKEY_TS_NTP = 1,
    MIKEY_TS_COUNTER = 2,
    MIKEY_TS_NTP_UTC_32 = 3,
} MikeyTsType;

typedef enum MikeyTsRole {
    MIKEY_TR_ISSUE = 1,
    MIKEY_TR_START = 2,
    MIKEY_TR_END = 3,
    MIKEY_TR_REKEY = 4,
} MikeyTsRole;

typedef enum MikeyIdType {
    MIKEY_ID_NAI = 0,
    MIKEY_ID_URI = 1,
    MIKEY_ID_BYTES = 2,
} MikeyIdType;

typedef enum MikeyIdRole {
    MIKEY_IDR_INITIATOR = 1,
    MIKEY_IDR_RESPONDER = 2,
    MIKEY_IDR_KMS = 3,
    MIKEY_IDR_PSK = 4,
    MIKEY_IDR_APPLICATION = 5,
    MIKEY_IDR_KMS_INITIATOR = 6,
    MIKEY_IDR_KMS_RESPONDER = 7,
} MikeyIdRole;

typedef enum MikeyRandRole {
    MIKEY_RANDR_INITIATOR = 1,
    MIKEY_RANDR_RESPONDER = 2,
    MIKEY_RANDR_KMS = 3,
} MikeyRandRole;

typedef enum MikeyKeyType {
    MIKEY_KEY_TGK = 0,
    MIKEY_KEY_TGK_SALT = 1,
    MIKEY_KEY_TEK = 2,
    MIKEY_KEY_TEK_SALT = 3,
    MIKEY_KEY_GTGK = 4,
    MIKEY_KEY_GTGK_SALT = 5,
    MIKEY_KEY_MPK = 6,
} MikeyKeyType;

typedef enum MikeyKv {
    MIKEY_KV_NONE = 0,
    MIKEY_KV_SPI = 1,
    MIKEY_KV_INTERVAL = 2,
} MikeyKv;

typedef enum MikeyExtType {
    MIKEY_EXT_VENDOR_ID = 0,
    MIKEY_EXT_SDP_IDS = 1,
    MIKEY_EXT_TESLA_I_KEY = 2,
    MIKEY_EXT_KEY_ID = 3,
    MIKEY_EXT_CSB_ID = 4,
} MikeyExtType;

typedef struct MikeyKemac {
    uint8_t encr_alg;
    MikeyBytes encr_data;
    uint8_t mac_alg;
    MikeyBytes mac;
} MikeyKemac;

typedef struct MikeyPke {
    uint8_t cache; /* 2 bits */
    MikeyBytes data;
} MikeyPke;

typedef struct MikeyDh {
    uint8_t group;
    MikeyBytes value;
    uint8_t reserved;                /* 4 bits */
    uint8_t kv;                      /* a MikeyKv */
    MikeyBytes spi;                  /* with MIKEY_KV_SPI */
    MikeyBytes valid_from, valid_to; /* with MIKEY_KV_INTERVAL */
} MikeyDh;

typedef struct MikeySign {
    uint8_t type; /* 4 bits */
    MikeyBytes signature;
} MikeySign;

/* T and TR; @role is 0 in a T */
typedef struct MikeyTimestamp {
    uint8_t role;
    uint8_t type;   /* a MikeyTsType */
    uint64_t value; /* 64 bits for NTP, 32 for the others */
} MikeyTimestamp;

/* ID and IDR; @role is 0 in an ID */
typedef struct MikeyId {
    uint8_t role;
    uint8_t type;
    MikeyBytes data;
} MikeyId;

typedef struct MikeyCert {
    uint8_t type;
    MikeyBytes data;
} MikeyCert;

typedef struct MikeyChash {
    uint8_t func;
    MikeyBytes hash;
} MikeyChash;

typedef struct MikeyV {
    uint8_t alg; /* a MikeyMacAlg */
    MikeyBytes mac;
} MikeyV;

typedef struct MikeySp {
    uint8_t policy_no;
    uint8_t prot;
    MikeyBytes params; /* type, length, value again and again; checked to fit */
} MikeySp;

/* RAND and RANDR; @role is 0 in a RAND */
typedef struct MikeyRand {
    uint8_t role;
    MikeyBytes rand;
} MikeyRand;

typedef struct MikeyErr {
    uint8_t number;
    uint16_t reserved;
} MikeyErr;

typedef struct MikeyExt {
    uint8_t type;
    MikeyBytes data;
} MikeyExt;

/* TP and TICKET as they are on the wire; ticket.h has the meaning */
typedef struct MikeyTicketPayload {
    uint16_t ticket_type;
    uint8_t subtype;
    uint8_t version;
    uint8_t prf;
    uint32_t flags;   /* MIKEY_FLAG_... */
    uint8_t reserved; /* 5 bits */
    MikeyBytes tp_data;
    MikeyBytes ticket_data; /* TICKET alone, as the next */
    MikeyBytes initiator_data;
} MikeyTicketPayload;

/* Flags of a ticket policy: octets 5 to 7 of the payload as one number */
#define MIKEY_FLAG_D 0x010000u /* made by the KMS */
#define MIKEY_FLAG_E 0x008000u /* must be resolved */
#define MIKEY_FLAG_F 0x004000u /* TRANSFER_RESP is sent */
#define MIKEY_FLAG_G 0x002000u /* responder adds RANDRr */
#define MIKEY_FLAG_H 0x001000u /* RANDRi enters the TEKs */
#define MIKEY_FLAG_I 0x000800u /* key forking */
#define MIKEY_FLAG_J 0x000400u /* may be reused */
#define MIKEY_FLAG_K 0x000200u /* KMS changed what was asked */
#define MIKEY_FLAG_L 0x000100u /* initiator may supply session keys */
#define MIKEY_FLAG_M 0x000080u /* responder may supply session keys */
#define MIKEY_FLAG_N 0x000040u /* RFC 6043 suffices for the initiator */
#define MIKEY_FLAG_O 0x000020u /* RFC 6043 suffices for the responder */
#define MIKEY_FLAGS_ALL 0x01ffe0u
/* what a ticket for forked keys has: D E F G H I N O */
#define MIKEY_FLAGS_PROFILE 0x01f860u

/**
 * MikeyKeyData:
 *
 * A key out of a KEMAC. Clear it when done.
 *
 * RFC 6043 section 6.2.1 demands an SPI for each key, and KV is one field, so that a key with an
 * interval has none: intervals are read and written here, as RFC 3830 lays them out, and refused
 * wherever a key is used or asked for (MIKEY_BAD_KEYS, MIKEY_BAD_POLICY). None is ever sent.
 */
typedef struct MikeyKeyData {
    MikeyKeyType type;
    MikeyKey key;
    MikeyKey salt; /* with the _SALT types */
    MikeyKv kv;
    uint8_t spi_len; /* SPI, or start of the interval */
    uint8_t spi[MIKEY_MAX_SPI];
    uint8_t to_len; /* end of the interval */
    uint8_t to[MIKEY_MAX_SPI];
} MikeyKeyData;

void mikey_key_data_clear(MikeyKeyData *key);
/* Returns: "TGK", "TEK+SALT" and so on */
const char *mikey_key_type_string(MikeyKeyType type);

/**
 * MikeyPayload:
 * @number: a MikeyPayloadNumber, says which member of the union holds
 * @octets: the whole payload, Next payload octet included
 */
typedef struct MikeyPayload {
    uint8_t number;
    uint8_t next;
    MikeyBytes octets;
    union {
        MikeyKemac kemac;
        MikeyPke pke;
        MikeyDh dh;
        MikeySign sign;
        MikeyTimestamp timestamp; /* T, TR */
        MikeyId id;               /* ID, IDR */
        MikeyCert cert;
        MikeyChash chash;
        MikeyV v;
        MikeySp sp;
        MikeyRand rand; /* RAND, RANDR */
        MikeyErr err;
        MikeyTicketPayload ticket; /* TP, TICKET */
        MikeyExt ext;
    } u;
} MikeyPayload;

MikeyStatus mikey_kemac_read(MikeyReader *r, uint8_t *out_next, MikeyKemac *out);
MikeyStatus mikey_pke_read(MikeyReader *r, uint8_t *out_next, MikeyPke *out);
MikeyStatus mikey_dh_read(MikeyReader *r, uint8_t *out_next, MikeyDh *out);
MikeyStatus mikey_sign_read(MikeyReader *r, MikeySign *out);
MikeyStatus mikey_t_read(MikeyReader *r, uint8_t *out_next, MikeyTimestamp *out);
MikeyStatus mikey_tr_read(MikeyReader *r, uint8_t *out_next, MikeyTimestamp *out);
MikeyStatus mikey_id_read(MikeyReader *r, uint8_t *out_next, MikeyId *out);
MikeyStatus mikey_idr_read(MikeyReader *r, uint8_t *out_next, MikeyId *out);
MikeyStatus mikey_cert_read(MikeyReader *r, uint8_t *out_next, MikeyCert *out);
MikeyStatus mikey_chash_read(MikeyReader *r, uint8_t *out_next, MikeyChash *out);
MikeyStatus mikey_v_read(MikeyReader *r, uint8_t *out_next, MikeyV *out);
MikeyStatus mikey_sp_read(MikeyReader *r, uint8_t *out_next, MikeySp *out);
MikeyStatus mikey_rand_read(MikeyReader *r, uint8_t *out_next, MikeyRand *out);
MikeyStatus mikey_randr_read(MikeyReader *r, uint8_t *out_next, MikeyRand *out);
MikeyStatus mikey_err_read(MikeyReader *r, uint8_t *out_next, MikeyErr *out);
MikeyStatus mikey_tp_read(MikeyReader *r, uint8_t *out_next, MikeyTicketPayload *out);
MikeyStatus mikey_ticket_read(MikeyReader *r, uint8_t *out_next, MikeyTicketPayload *out);
MikeyStatus mikey_ext_read(MikeyReader *r, uint8_t *out_next, MikeyExt *out);
/* Copies the key; clear @out even when you only looked at it */
MikeyStatus mikey_key_data_read(MikeyReader *r, uint8_t *out_next, MikeyKeyData *out);

void mikey_kemac_write(MikeyWriter *w, uint8_t next, const MikeyKemac *kemac);
void mikey_pke_write(MikeyWriter *w, uint8_t next, const MikeyPke *pke);
void mikey_dh_write(MikeyWriter *w, uint8_t next, const MikeyDh *dh);
void mikey_sign_write(MikeyWriter *w, const MikeySign *sign);
void mikey_t_write(MikeyWriter *w, uint8_t next, const MikeyTimestamp *t);
void mikey_tr_write(MikeyWriter *w, uint8_t next, const MikeyTimestamp *tr);
void mikey_id_write(MikeyWriter *w, uint8_t next, const MikeyId *id);
void mikey_idr_write(MikeyWriter *w, uint8_t next, const MikeyId *idr);
void mikey_cert_write(MikeyWriter *w, uint8_t next, const MikeyCert *cert);
void mikey_chash_write(MikeyWriter *w, uint8_t next, const MikeyChash *chash);
void mikey_v_write(MikeyWriter *w, uint8_t next, const MikeyV *v);
void mikey_sp_write(MikeyWriter *w, uint8_t next, const MikeySp *sp);
void mikey_rand_write(MikeyWriter *w, uint8_t next, const MikeyRand *rand);
void mikey_randr_write(MikeyWriter *w, uint8_t next, const MikeyRand *rand);
void mikey_err_write(MikeyWriter *w, uint8_t next, const MikeyErr *err);
void mikey_tp_write(MikeyWriter *w, uint8_t next, const MikeyTicketPayload *tp);
void mikey_ticket_write(MikeyWriter *w, uint8_t next, const MikeyTicketPayload *ticket);
void mikey_ext_write(MikeyWriter *w, uint8_t next, const MikeyExt *ext);
void mikey_key_data_write(MikeyWriter *w, uint8_t next, const MikeyKeyData *key);

/* Any payload by its number; MIKEY_UNKNOWN_PAYLOAD when the number has no known layout.
 * Consumes at least one octet when it succeeds. */
MikeyStatus mikey_payload_read(MikeyReader *r, uint8_t number, MikeyPayload *out);
void mikey_payload_write(MikeyWriter *w, uint8_t next, const MikeyPayload *payload);
/* Returns: "KEMAC", "TICKET" and so on, or "unknown" */
const char *mikey_payload_string(uint8_t number);

/**
 * MikeyChain:
 *
 * Walks a chain of payloads: set up with mikey_chain(), then call mikey_chain_next() until it
 * gives false; then @status says how it ended. MIKEY_OK means that the chain ended where its
 * container does.
 */
typedef struct MikeyChain {
    MikeyReader reader;
    uint8_t number;
    size_t room; /* payloads still allowed */
    MikeyStatus status;
} MikeyChain;

MikeyChain mikey_chain(MikeyReader reader, uint8_t first, size_t limit);
bool mikey_chain_next(MikeyChain *chain, MikeyPayload *out);

/* Key data chain of a KEMAC in the clear. @out_keys has room for MIKEY_MAX_KEYS; on failure it
 * holds no key. */
MikeyStatus mikey_key_chain_read(MikeyBytes clear, MikeyKeyData *out_keys, size_t *out_n_keys);
void mikey_key_chain_write(MikeyWriter *w, const MikeyKeyData *keys, size_t n_keys);

/**
 * MikeyMessage:
 *
 * A message as received, with its octets kept and its fields laid open. Nothing in it has been
 * verified. Reading it also checks what needs no key: order of V, duplicates, the payloads each
 * message type must have, and the rules between policy flags.
 */
typedef struct MikeyMessage MikeyMessage;

MikeyStatus mikey_message_parse(MikeyBytes octets, MikeyMessage **out_message);
void mikey_message_free(MikeyMessage *message);
MikeyBytes mikey_message_octets(const MikeyMessage *message);
const MikeyHeader *mikey_message_header(const MikeyMessage *message);
size_t mikey_message_n_payloads(const MikeyMessage *message);
const MikeyPayload *mikey_message_payload(const MikeyMessage *message, size_t i);
/* Returns: (nullable): first payload with @number and, unless 0, @role */
const MikeyPayload *mikey_message_find(const MikeyMessage *message, uint8_t number, uint8_t role);

/* Gets one line of text, without line end */
typedef void (*MikeyPrintFunc)(const char *line, void *data);
/* Describes the message for people, payload by payload. No key is ever shown: an encrypted KEMAC
 * by its length, a clear one by the types of its keys. */
void mikey_print(const MikeyMessage *message, MikeyPrintFunc print, void *data);

#ifdef __cplusplus
}
#endif
