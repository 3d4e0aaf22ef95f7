/* SPDX-License-Identifier: Apache-2.0 */
/* sip/digest.h - is this softphone's user who he says? (RFC 3261 section 22, RFC 7616, RFC 8760)
 *
 * MD5 and SHA-256, qop=auth alone. Nonces are sealed with a key of this process and carry their own
 * age; how often a nonce was used is remembered, so that a recorded request opens nothing. Pure but
 * for reading the users file; the time is passed in.
 */
#pragma once

#include <glib.h>

typedef struct ClvDigest ClvDigest;

#define CLV_DIGEST_NONCE_LIFE_US (300 * G_TIME_SPAN_SECOND)
#define CLV_DIGEST_MAX_NONCES 65536    /* live nonces whose count is remembered */
#define CLV_DIGEST_MAX_FILE (4u << 20) /* octets of a users file */

typedef enum ClvDigestVerdict {
    CLV_DIGEST_BAD,   /* wrong, unknown, malformed: all the same to the outside */
    CLV_DIGEST_STALE, /* the response is right, the nonce is old or was used before */
    CLV_DIGEST_OK,
} ClvDigestVerdict;

ClvDigest *clv_digest_new(const char *realm);
void clv_digest_free(ClvDigest *digest); /* NULL allowed */

/**
 * clv_digest_load:
 * @path: INI text: [user bob] with password= or ha1= and/or ha1-sha256=, and identity=
 * @errors: (element-type utf8): one "file:line: ..." sentence each
 *
 * On any error the users stay what they were.
 */
gboolean clv_digest_load(ClvDigest *digest, const char *path, GPtrArray *errors);
gboolean clv_digest_parse(ClvDigest *digest, const char *name, const char *text, gsize len,
                          GPtrArray *errors);
guint clv_digest_n_users(const ClvDigest *digest);

/* Values of the WWW-Authenticate headers, most widely understood first. (transfer full) */
char **clv_digest_challenges(ClvDigest *digest, gint64 now_us, gboolean stale);

/**
 * clv_digest_check:
 * @params: NULL-terminated "name=value" parameters of an Authorization: Digest header
 * @uri: the Request-URI
 * @now_us: monotonic, the clock of clv_digest_challenges()
 * @out_identity: (transfer none): of the user, until the users are loaded again
 */
ClvDigestVerdict clv_digest_check(ClvDigest *digest, const char *const *params, const char *method,
                                  const char *uri, gint64 now_us, const char **out_identity);

/* Is one of the parameters our realm? Others' credentials are not our business. */
gboolean clv_digest_is_ours(const ClvDigest *digest, const char *const *params);

/* Lines for a users file, without the password itself: (transfer full), free with
 * clv_secret_free_string(). NULL with a sentence for names that cannot stand there. */
char *clv_digest_make_user(const char *user, const char *realm, const char *password,
                           const char *identity, GError **error);
