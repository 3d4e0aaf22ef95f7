/* SPDX-License-Identifier: Apache-2.0 */
/* libmikey/prf.h - key derivation (RFC 3830 section 4.1, RFC 6043 section 5.1) */
#pragma once

#include <libmikey/payload.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef enum MikeyConstant {
    MIKEY_C_TEK = 0x2ad01c64,
    MIKEY_C_TGK_AUTH = 0x1b5c7973,
    MIKEY_C_TGK_ENCR = 0x15798cef,
    MIKEY_C_TGK_SALT = 0x39a2c14b,
    MIKEY_C_ENCR = 0x150533e1,
    MIKEY_C_AUTH = 0x2d22ac75,
    MIKEY_C_SALT = 0x29b88916,
    MIKEY_C_FORK_MPKR = 0x2b288856,
    MIKEY_C_FORK_TGK = 0x1512b54a,
    MIKEY_C_MPKI = 0x220e99a2,
    MIKEY_C_MPKR = 0x1f4d675b,
} MikeyConstant;

/* What a label is for: the octet that tells labels apart (RFC 6043 section 5.1.2) */
typedef enum MikeyLabelTag {
    MIKEY_TAG_FORK = 0,
    MIKEY_TAG_INIT = 1,
    MIKEY_TAG_RESP = 2,
    MIKEY_TAG_SESSION = 3,
    MIKEY_TAG_INITIATOR_DATA = 4,
    MIKEY_TAG_TICKET = 5,
    MIKEY_TAG_MPK = 6,
} MikeyLabelTag;

/**
 * MikeyLabel:
 * @cs_id: in MIKEY_TAG_SESSION
 * @csb_id: in MIKEY_TAG_INIT and MIKEY_TAG_RESP
 * @rand_i, @rand_r: RANDRi, RANDRr of those that have them; empty: not part of it
 * @rand: RANDRkms in MIKEY_TAG_FORK, the ticket's RAND in MIKEY_TAG_TICKET and MIKEY_TAG_MPK
 * @id: ID data of IDRr in MIKEY_TAG_FORK
 */
typedef struct MikeyLabel {
    MikeyConstant constant;
    MikeyLabelTag tag;
    uint8_t cs_id;
    uint32_t csb_id;
    MikeyBytes rand_i;
    MikeyBytes rand_r;
    MikeyBytes rand;
    MikeyBytes id;
} MikeyLabel;

void mikey_label_write(MikeyWriter *w, const MikeyLabel *label);

/* PRF(inkey, label, 8 * len); @len at most MIKEY_MAX_KEY */
MikeyStatus mikey_prf(uint8_t prf, const MikeyKey *inkey, MikeyBytes label, size_t len,
                      MikeyKey *out_key);
MikeyStatus mikey_derive(uint8_t prf, const MikeyKey *inkey, const MikeyLabel *label, size_t len,
                         MikeyKey *out_key);

/* Keys that protect one message or ticket */
typedef struct MikeyMessageKeys {
    MikeyKey encr;
    MikeyKey auth;
    MikeyKey salt;
} MikeyMessageKeys;

void mikey_message_keys_clear(MikeyMessageKeys *keys);
/* @label: its constant is not looked at */
MikeyStatus mikey_message_keys(uint8_t prf, const MikeyKey *inkey, const MikeyLabel *label,
                               MikeyMessageKeys *out_keys);

/* MPKr' or TGK' of the responder whom @id and @rand_kms stand for; @constant is
 * MIKEY_C_FORK_MPKR or MIKEY_C_FORK_TGK */
MikeyStatus mikey_fork(uint8_t prf, MikeyConstant constant, const MikeyKey *key, MikeyBytes id,
                       MikeyBytes rand_kms, MikeyKey *out_key);

/* Algorithms that go with a PRF */
MikeyEncrAlg mikey_suite_encr(uint8_t prf);
MikeyMacAlg mikey_suite_mac(uint8_t prf);
size_t mikey_suite_key_len(uint8_t prf);  /* 16 or 32 */
size_t mikey_suite_auth_len(uint8_t prf); /* 20 or 32 */
/* MIKEY_BAD_PRF unless the PRF is known and allowed */
MikeyStatus mikey_suite_check(uint8_t prf, const MikeyEnv *env);

#ifdef __cplusplus
}
#endif
