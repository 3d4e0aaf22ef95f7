/* SPDX-License-Identifier: Apache-2.0 */
/* ua/suite.c - suites in one table, a=crypto read and written */
#include "ua/suite.h"

#include "base/secret.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <string.h>

G_DEFINE_QUARK(clv_ua_suite_error, clv_ua_suite_error)

static const struct {
    const char *name;
    guint8 key_len, salt_len;
} suites[CLV_N_SRTP_SUITES] = {
    [CLV_SRTP_NONE] = {"none", 0, 0},
    [CLV_SRTP_AES_CM_128_HMAC_SHA1_80] = {"AES_CM_128_HMAC_SHA1_80", 16, 14},
    [CLV_SRTP_AES_CM_128_HMAC_SHA1_32] = {"AES_CM_128_HMAC_SHA1_32", 16, 14},
    [CLV_SRTP_AES_256_CM_HMAC_SHA1_80] = {"AES_256_CM_HMAC_SHA1_80", 32, 14},
    [CLV_SRTP_AES_256_CM_HMAC_SHA1_32] = {"AES_256_CM_HMAC_SHA1_32", 32, 14},
    [CLV_SRTP_AEAD_AES_128_GCM] = {"AEAD_AES_128_GCM", 16, 12},
    [CLV_SRTP_AEAD_AES_256_GCM] = {"AEAD_AES_256_GCM", 32, 12},
};

const char *
clv_ua_suite_name(ClvSrtpSuite suite)
{
    return suites[suite].name;
}

ClvSrtpSuite
clv_ua_suite_parse(const char *name)
{
    for (guint i = 1; i < CLV_N_SRTP_SUITES; i++)
        if (g_ascii_strcasecmp(suites[i].name, name) == 0)
            return (ClvSrtpSuite)i;
    return CLV_SRTP_NONE;
}

gboolean
clv_ua_suite_fresh(ClvSrtpSuite suite, ClvSrtpKeys *out_keys, GError **error)
{
    ClvSrtpKeys keys = {
        .suite = suite, .key_len = suites[suite].key_len, .salt_len = suites[suite].salt_len};

    if (!clv_random(NULL, keys.key, keys.key_len) || !clv_random(NULL, keys.salt, keys.salt_len)) {
        g_set_error(error, CLV_UA_SUITE_ERROR, 0, "no random octets to be had");
        return FALSE;
    }
    *out_keys = keys;
    clv_srtp_keys_clear(&keys);
    return TRUE;
}

char *
clv_ua_crypto_format(guint tag, const ClvSrtpKeys *keys)
{
    guint8 octets[CLV_SRTP_MAX_KEY + CLV_SRTP_MAX_SALT];
    char text[4 * sizeof octets / 3 + 8];
    char *value;
    guint n = (guint)keys->key_len + keys->salt_len;

    memcpy(octets, keys->key, keys->key_len);
    memcpy(octets + keys->key_len, keys->salt, keys->salt_len);
    EVP_EncodeBlock((unsigned char *)text, octets, (int)n);
    value = g_strdup_printf("%u %s inline:%s", tag, clv_ua_suite_name(keys->suite), text);
    OPENSSL_cleanse(octets, sizeof octets);
    OPENSSL_cleanse(text, sizeof text);
    return value;
}

static gboolean
refuse(GError **error, const char *why)
{
    g_set_error(error, CLV_UA_SUITE_ERROR, 0, "a=crypto: %s", why);
    return FALSE;
}

/* "1:4": number of the key and its length in octets. */
static gboolean
read_mki(const char *text, ClvSrtpKeys *keys)
{
    char *end = NULL;
    guint64 number = g_ascii_strtoull(text, &end, 10);
    guint64 len;

    if (end == text || *end != ':')
        return FALSE;
    text = end + 1;
    len = g_ascii_strtoull(text, &end, 10);
    if (end == text || *end != '\0' || len < 1 || len > CLV_SRTP_MAX_MKI)
        return FALSE;
    if (len < 8 && number >> (8 * len) != 0)
        return FALSE;

    keys->mki_len = (guint8)len;
    for (guint i = 0; i < len; i++)
        keys->mki[i] = (guint8)(number >> (8 * (len - 1 - i)));
    return TRUE;
}

static gboolean
is_lifetime(const char *text)
{
    if (g_str_has_prefix(text, "2^"))
        text += 2;
    return *text != '\0' && strspn(text, "0123456789") == strlen(text);
}

/* "KEY[|lifetime][|MKI:length]", KEY in base64 */
static gboolean
read_inline(char *text, ClvSrtpKeys *keys, GError **error)
{
    guint8 octets[64];
    guint want = (guint)keys->key_len + keys->salt_len;
    char *more = strchr(text, '|');
    gsize len = more != NULL ? (gsize)(more - text) : strlen(text);
    gsize pad = len >= 1 && text[len - 1] == '=' ? (len >= 2 && text[len - 2] == '=' ? 2 : 1) : 0;
    gboolean good;

    if (len % 4 != 0 || len / 4 * 3 != want + pad || len / 4 * 3 > sizeof octets)
        return refuse(error, "length of the key does not fit the suite");
    good = EVP_DecodeBlock(octets, (unsigned char *)text, (int)len) == (int)(want + pad);
    if (good) {
        memcpy(keys->key, octets, keys->key_len);
        memcpy(keys->salt, octets + keys->key_len, keys->salt_len);
    }
    OPENSSL_cleanse(octets, sizeof octets);
    if (!good)
        return refuse(error, "the key is no base64");

    while (more != NULL) {
        char *part = more + 1;

        more = strchr(part, '|');
        if (more != NULL)
            *more = '\0';
        if (!is_lifetime(part) && !read_mki(part, keys))
            return refuse(error, "neither a lifetime nor an MKI after the key");
        if (more != NULL)
            *more = '|';
    }
    return TRUE;
}

static gboolean
read_words(char **words, guint *out_tag, ClvSrtpKeys *keys, GError **error)
{
    guint n = g_strv_length(words);
    gint64 tag;

    if (n < 3)
        return refuse(error, "expected tag, suite and key");
    if (!g_ascii_string_to_signed(words[0], 10, 0, 999999999, &tag, NULL))
        return refuse(error, "the tag is no number");
    keys->suite = clv_ua_suite_parse(words[1]);
    if (keys->suite == CLV_SRTP_NONE)
        return refuse(error, "unknown suite");
    keys->key_len = suites[keys->suite].key_len;
    keys->salt_len = suites[keys->suite].salt_len;
    if (!g_str_has_prefix(words[2], "inline:") || strchr(words[2], ';') != NULL)
        return refuse(error, "expected one inline key");
    for (guint i = 3; i < n; i++)
        if (!g_str_has_prefix(words[i], "WSH="))
            return refuse(error, "session parameters are not supported");

    *out_tag = (guint)tag;
    return read_inline(words[2] + strlen("inline:"), keys, error);
}

gboolean
clv_ua_crypto_parse(const char *value, guint *out_tag, ClvSrtpKeys *out_keys, GError **error)
{
    char **words = g_strsplit(value, " ", 16);
    ClvSrtpKeys keys = {0};
    gboolean good = read_words(words, out_tag, &keys, error);

    if (good)
        *out_keys = keys;
    clv_srtp_keys_clear(&keys);
    for (guint i = 0; words[i] != NULL; i++)
        clv_secret_free_string(words[i]);
    g_free(words);
    return good;
}
