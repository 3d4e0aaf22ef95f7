/* SPDX-License-Identifier: Apache-2.0 */
/* kms/proof.h - who is at the other end, by HTTP Digest or by TLS? inside of the room */
#pragma once

#include <microhttpd.h>

#include "kms/digest.h"
#include "kms/kms.h"

typedef enum ClvKmsProof {
    CLV_KMS_PROOF_NOT_WANTED,
    CLV_KMS_PROOF_GIVEN,
    CLV_KMS_PROOF_MISSING, /* 401: let him try with a challenge */
    CLV_KMS_PROOF_STALE,   /* the same, with a fresh nonce */
    CLV_KMS_PROOF_REFUSED, /* 403: no certificate, or nobody's */
} ClvKmsProof;

typedef struct ClvKmsProofQuestion {
    struct MHD_Connection *connection;
    ClvKmsService *service;
    ClvKmsDigest *digest;
    const char *method, *url;
} ClvKmsProofQuestion;

/* To be asked once for each request. @out_user: (transfer full): with GIVEN, name of the user */
ClvKmsProof clv_kms_proof_check(const ClvKmsProofQuestion *question, char **out_user);
/* 401 for MISSING and STALE */
enum MHD_Result clv_kms_proof_challenge(const ClvKmsProofQuestion *question, gboolean stale);
