/* SPDX-License-Identifier: Apache-2.0 */
/* kms/digest.h - HTTP Digest (RFC 7616, MD5 and qop=auth, as TS 33.222 has it); inside of the room
 *
 * libmicrohttpd has one as well, whose nonces are the same for all who come in one second, and each
 * then takes the other for a replay. Thread safe; no clock.
 */
#pragma once

#include "base/nonce.h"

#define CLV_KMS_DIGEST_SEED CLV_NONCE_KEY
#define CLV_KMS_DIGEST_LIFE_S 300 /* of a nonce */
#define CLV_KMS_DIGEST_MAX 4096u  /* octets of a header that are looked at */
#define CLV_KMS_DIGEST_HEX 32u

typedef struct ClvKmsDigest ClvKmsDigest;

ClvKmsDigest *clv_kms_digest_new(const guint8 seed[CLV_KMS_DIGEST_SEED]);
void clv_kms_digest_free(ClvKmsDigest *digest);

/* Returns: (transfer full): value of WWW-Authenticate, with a nonce of its own */
char *clv_kms_digest_challenge(const ClvKmsDigest *digest, const char *realm, gboolean stale,
                               gint64 now_us);

/* What Authorization says; nothing of it is proven. */
typedef struct ClvKmsClaim {
    char *user, *realm, *nonce, *uri, *cnonce, *nc, *response;
} ClvKmsClaim;

/* FALSE: no Digest, or not of the kind that was asked for. */
gboolean clv_kms_claim_parse(const char *header, ClvKmsClaim *out);
void clv_kms_claim_clear(ClvKmsClaim *claim);

typedef enum ClvKmsDigestVerdict {
    CLV_KMS_DIGEST_RIGHT,
    CLV_KMS_DIGEST_WRONG,
    CLV_KMS_DIGEST_STALE, /* not for long enough ours, or used before: again, with a fresh nonce */
} ClvKmsDigestVerdict;

/* That user, realm and uri are the ones meant is for the caller to look at. @password: (nullable):
 * of nobody, which is wrong and takes as long */
ClvKmsDigestVerdict clv_kms_digest_check(ClvKmsDigest *digest, const ClvKmsClaim *claim,
                                         const char *method, const char *password, gint64 now_us);
void clv_kms_digest_response(const ClvKmsClaim *claim, const char *method, const char *password,
                             char out[CLV_KMS_DIGEST_HEX + 1]);
