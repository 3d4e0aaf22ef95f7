/* SPDX-License-Identifier: Apache-2.0 */
/* ua/digest.h - the answer to a digest challenge (RFC 7616, RFC 8760); pure */
#pragma once

#include <glib.h>

typedef struct ClvUaDigest {
    const char *method;
    const char *uri;
    const char *user;
    const char *password;
    const char *cnonce;
    guint nonce_count; /* from 1 */
} ClvUaDigest;

/**
 * clv_ua_digest_answer:
 * @params: NULL-terminated "name=value" strings of the challenge, values quoted or not
 *
 * Returns: (transfer full) (nullable): value of the Authorization header; NULL when the challenge
 *   asks for what we cannot do (algorithm, qop)
 */
char *clv_ua_digest_answer(const char *const *params, const ClvUaDigest *digest);
/* Returns: how much the challenge's algorithm is worth: 0 unknown, 1 MD5, 2 SHA-256 */
guint clv_ua_digest_rank(const char *const *params);
gboolean clv_ua_digest_is_stale(const char *const *params);
