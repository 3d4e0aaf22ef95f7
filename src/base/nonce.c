/* SPDX-License-Identifier: Apache-2.0 */
/* base/nonce.c - is this the nonce of a challenge of ours, and since when? */
#include "base/nonce.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <string.h>

#include "base/secret.h"

#define BODY 16u /* time (8), random (8) */
#define MAC 16u

G_STATIC_ASSERT(2 * (BODY + MAC) == CLV_NONCE_LEN);

void
clv_hex_write(const guint8 *octets, gsize len, char *out)
{
    static const char digits[] = "0123456789abcdef";

    for (gsize i = 0; i < len; i++) {
        out[2 * i] = digits[octets[i] >> 4];
        out[2 * i + 1] = digits[octets[i] & 15];
    }
    out[2 * len] = '\0';
}

gboolean
clv_hex_read(const char *text, guint8 *out, gsize len)
{
    if (strlen(text) != 2 * len)
        return FALSE;
    for (gsize i = 0; i < len; i++) {
        int high = g_ascii_xdigit_value(text[2 * i]), low = g_ascii_xdigit_value(text[2 * i + 1]);

        if (high < 0 || low < 0)
            return FALSE;
        out[i] = (guint8)(high << 4 | low);
    }
    return TRUE;
}

static void
seal(const guint8 key[CLV_NONCE_KEY], const guint8 body[BODY], guint8 out[MAC])
{
    guint8 mac[EVP_MAX_MD_SIZE] = {0};

    if (HMAC(EVP_sha256(), key, CLV_NONCE_KEY, body, BODY, mac, NULL) == NULL)
        g_error("HMAC is not to be had from libcrypto");
    memcpy(out, mac, MAC);
}

void
clv_nonce_make(const guint8 key[CLV_NONCE_KEY], gint64 now_us, char out[CLV_NONCE_LEN + 1])
{
    guint64 stamp = GUINT64_TO_BE((guint64)now_us);
    guint8 nonce[BODY + MAC];

    memcpy(nonce, &stamp, sizeof stamp);
    if (!clv_random(NULL, nonce + sizeof stamp, BODY - sizeof stamp))
        g_error("no random numbers");
    seal(key, nonce, nonce + BODY);
    clv_hex_write(nonce, sizeof nonce, out);
}

gboolean
clv_nonce_open(const guint8 key[CLV_NONCE_KEY], const char *text, gint64 *out_made_us)
{
    guint8 nonce[BODY + MAC], expected[MAC];
    guint64 stamp;

    if (!clv_hex_read(text, nonce, sizeof nonce))
        return FALSE;
    seal(key, nonce, expected);
    if (CRYPTO_memcmp(expected, nonce + BODY, MAC) != 0)
        return FALSE;
    memcpy(&stamp, nonce, sizeof stamp);
    *out_made_us = (gint64)GUINT64_FROM_BE(stamp);
    return TRUE;
}
