/* SPDX-License-Identifier: Apache-2.0 */
/* Is any Authorization header read within its bounds, and never right without the password? */
#include "config.h"

#include <stdint.h>
#include <string.h>

#include "kms/digest.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const guint8 seed[CLV_KMS_DIGEST_SEED] = {1};
    g_autofree char *header = g_strndup((const char *)data, size);
    char response[CLV_KMS_DIGEST_HEX + 1];
    ClvKmsDigest *digest;
    ClvKmsClaim claim;

    if (!clv_kms_claim_parse(header, &claim))
        return 0;
    digest = clv_kms_digest_new(seed);
    g_assert_cmpuint(strlen(claim.nc), ==, 8);
    g_assert_cmpint(clv_kms_digest_check(digest, &claim, "POST", "not this one", 1), ==,
                    CLV_KMS_DIGEST_WRONG);
    clv_kms_digest_response(&claim, "POST", "secret", response);
    g_free(claim.response);
    claim.response = g_strdup(response); /* right, but for a nonce of nobody */
    g_assert_cmpint(clv_kms_digest_check(digest, &claim, "POST", "secret", 1), ==,
                    CLV_KMS_DIGEST_STALE);
    clv_kms_claim_clear(&claim);
    clv_kms_digest_free(digest);
    return 0;
}
