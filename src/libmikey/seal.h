/* SPDX-License-Identifier: Apache-2.0 */
/* libmikey/seal.h - encryption of KEMAC, MACs and their verification (RFC 6043 section 5.4) */
#pragma once

#include <libmikey/prf.h>

#ifdef __cplusplus
extern "C" {
#endif

#define MIKEY_IV_LEN 16u
#define MIKEY_TICKET_CSB_ID 0xffffffffu

size_t mikey_mac_len(uint8_t alg);
/* MAC over the concatenation of @parts; @out has room for 32 octets */
MikeyStatus mikey_mac(uint8_t alg, const MikeyKey *auth, const MikeyBytes *parts, size_t n_parts,
                      uint8_t *out, size_t *out_len);
/* Constant time; MIKEY_BAD_MAC when it differs */
MikeyStatus mikey_mac_verify(const MikeyV *v, const MikeyKey *auth, const MikeyBytes *parts,
                             size_t n_parts);

/* 64 bits that a timestamp gives to the IV */
uint64_t mikey_timestamp_iv(const MikeyTimestamp *t);
MikeyStatus mikey_iv(const MikeyKey *salt, uint32_t csb_id, const MikeyTimestamp *t,
                     uint8_t out_iv[MIKEY_IV_LEN]);
/* AES in counter mode, both ways; @out has room for in.len octets */
MikeyStatus mikey_cipher(uint8_t encr_alg, const MikeyKey *encr, const uint8_t iv[MIKEY_IV_LEN],
                         MikeyBytes in, uint8_t *out);

/* Keys into the octets of a KEMAC and back */
MikeyStatus mikey_keys_seal(uint8_t encr_alg, const MikeyMessageKeys *keys, uint32_t csb_id,
                            const MikeyTimestamp *t, const MikeyKeyData *data, size_t n_data,
                            MikeyBuffer *out);
/* @out_data has room for MIKEY_MAX_KEYS. Call it only after the MAC has been verified. */
MikeyStatus mikey_keys_open(const MikeyKemac *kemac, const MikeyMessageKeys *keys, uint32_t csb_id,
                            const MikeyTimestamp *t, MikeyKeyData *out_data, size_t *out_n_data);

#ifdef __cplusplus
}
#endif
