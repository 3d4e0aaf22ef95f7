/* SPDX-License-Identifier: Apache-2.0 */
/* policy/pin.c - how is a PIN's hash written, and do these digits fit it? */
#include "policy/policy-private.h"

#include "base/option.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <string.h>

#define SCHEME "pbkdf2-sha256"
#define HASH_LEN 32
#define MIN_SALT 8
#define MAX_SALT 64
#define MIN_ITERATIONS 100000
#define MAX_ITERATIONS 10000000
#define MAX_DIGITS 64
#define DIGITS "0123456789"
#define MAX_BYTES 300

typedef struct PinHash {
    int iterations;
    guint8 salt[MAX_SALT];
    int salt_len;
    guint8 hash[HASH_LEN];
} PinHash;

/* Octets read, or -1: strict base64, as GLib's own reader skips what it does not know. */
static int
read_base64(const char *text, guint8 *out, gsize max)
{
    g_autofree guint8 *raw = NULL;
    g_autofree char *again = NULL;
    gsize len = 0;

    raw = g_base64_decode(text, &len);
    if (raw == NULL || len == 0 || len > max)
        return -1;
    again = g_base64_encode(raw, len);
    if (strcmp(again, text) != 0)
        return -1;
    memcpy(out, raw, len);
    return (int)len;
}

static gboolean
read_hash(const char *text, PinHash *out)
{
    g_auto(GStrv) parts = NULL;
    gint64 iterations = 0;

    if (strlen(text) > MAX_BYTES)
        return FALSE;
    parts = g_strsplit(text, "$", -1);
    if (g_strv_length(parts) != 4 || strcmp(parts[0], SCHEME) != 0 ||
        !clv_parse_int(parts[1], MIN_ITERATIONS, MAX_ITERATIONS, &iterations, NULL))
        return FALSE;
    out->iterations = (int)iterations;
    out->salt_len = read_base64(parts[2], out->salt, sizeof out->salt);
    return out->salt_len >= MIN_SALT &&
           read_base64(parts[3], out->hash, sizeof out->hash) == HASH_LEN;
}

gboolean
clv_policy_pin_hash_is_valid(const char *hash)
{
    PinHash parsed;

    return read_hash(hash, &parsed);
}

gboolean
clv_policy_pin_fits(const char *hash, const char *digits)
{
    PinHash wanted;
    guint8 got[HASH_LEN];
    gsize n_digits = strlen(digits);
    gboolean fits;

    if (n_digits == 0 || n_digits > MAX_DIGITS || !read_hash(hash, &wanted))
        return FALSE;
    fits = PKCS5_PBKDF2_HMAC(digits, (int)n_digits, wanted.salt, wanted.salt_len, wanted.iterations,
                             EVP_sha256(), HASH_LEN, got) == 1 &&
           CRYPTO_memcmp(got, wanted.hash, HASH_LEN) == 0;
    OPENSSL_cleanse(got, sizeof got);
    return fits;
}

char *
clv_policy_pin_hash_new(const char *digits, const guint8 *salt, gsize salt_len, guint iterations)
{
    gsize n_digits = strlen(digits);
    g_autofree char *salt_text = NULL, *hash_text = NULL;
    guint8 hash[HASH_LEN];

    if (n_digits == 0 || n_digits > MAX_DIGITS || strspn(digits, DIGITS) != n_digits ||
        salt_len < MIN_SALT || salt_len > MAX_SALT || iterations < MIN_ITERATIONS ||
        iterations > MAX_ITERATIONS ||
        PKCS5_PBKDF2_HMAC(digits, (int)n_digits, salt, (int)salt_len, (int)iterations, EVP_sha256(),
                          HASH_LEN, hash) != 1)
        return NULL;
    salt_text = g_base64_encode(salt, salt_len);
    hash_text = g_base64_encode(hash, HASH_LEN);
    return g_strdup_printf("%s$%u$%s$%s", SCHEME, iterations, salt_text, hash_text);
}
