/* SPDX-License-Identifier: Apache-2.0 */
/* conference/factory.c - what is a new conference called? */
#include "conference/conference.h"

/* 20 letters of 5 bits: 100 random bits, and no padding to think about. */
#define TOKEN_LETTERS 20

char *
clv_factory_new_uri(const char *service, const char *host,
                    gboolean (*random)(void *user, guint8 *out, gsize len), void *user)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyz234567";
    guint8 bytes[TOKEN_LETTERS];
    char token[TOKEN_LETTERS + 1];

    if (!random(user, bytes, sizeof bytes))
        return NULL;
    for (guint i = 0; i < TOKEN_LETTERS; i++)
        token[i] = letters[bytes[i] & 31];
    token[TOKEN_LETTERS] = '\0';
    return g_strdup_printf("sip:%s.%s@%s", token, service, host);
}
