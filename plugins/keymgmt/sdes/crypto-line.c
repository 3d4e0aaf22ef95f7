/* SPDX-License-Identifier: Apache-2.0 */
/* sdes/crypto-line.c - what does this a=crypto value say, and can we do it?
 *
 * Grammar of RFC 4568 section 9.1 and 9.2:
 *   tag SP suite SP "inline:" key||salt ["|" lifetime] ["|" MKI ":" length] {";" ...} {SP
 * parameter}
 */
#include "config.h"

#include "crypto-line.h"

#include <openssl/crypto.h>
#include <string.h>

#include "base/secret.h"

#define MAX_KEYS 8 /* alternatives within one line */

/* A piece of the value; not terminated. */
typedef struct Span {
    const char *text;
    gsize len;
} Span;

/* RFC 4568 section 6.2, RFC 6188, RFC 7714. The last two are what some telephones write. */
static const struct {
    const char *name;
    ClvSrtpSuite suite;
} suites[] = {
    {"AES_CM_128_HMAC_SHA1_80", CLV_SRTP_AES_CM_128_HMAC_SHA1_80},
    {"AES_CM_128_HMAC_SHA1_32", CLV_SRTP_AES_CM_128_HMAC_SHA1_32},
    {"AES_256_CM_HMAC_SHA1_80", CLV_SRTP_AES_256_CM_HMAC_SHA1_80},
    {"AES_256_CM_HMAC_SHA1_32", CLV_SRTP_AES_256_CM_HMAC_SHA1_32},
    {"AEAD_AES_128_GCM", CLV_SRTP_AEAD_AES_128_GCM},
    {"AEAD_AES_256_GCM", CLV_SRTP_AEAD_AES_256_GCM},
    {"AES_CM_256_HMAC_SHA1_80", CLV_SRTP_AES_256_CM_HMAC_SHA1_80},
    {"AES_CM_256_HMAC_SHA1_32", CLV_SRTP_AES_256_CM_HMAC_SHA1_32},
};

static const struct {
    guint8 key;
    guint8 salt;
} lengths[CLV_N_SRTP_SUITES] = {
    [CLV_SRTP_AES_CM_128_HMAC_SHA1_80] = {16, 14}, [CLV_SRTP_AES_CM_128_HMAC_SHA1_32] = {16, 14},
    [CLV_SRTP_AES_256_CM_HMAC_SHA1_80] = {32, 14}, [CLV_SRTP_AES_256_CM_HMAC_SHA1_32] = {32, 14},
    [CLV_SRTP_AEAD_AES_128_GCM] = {16, 12},        [CLV_SRTP_AEAD_AES_256_GCM] = {32, 12},
};

gsize
clv_sdes_key_len(ClvSrtpSuite suite)
{
    return lengths[suite].key;
}

gsize
clv_sdes_salt_len(ClvSrtpSuite suite)
{
    return lengths[suite].salt;
}

const char *
clv_sdes_suite_name(ClvSrtpSuite suite)
{
    for (gsize i = 0; i < G_N_ELEMENTS(suites); i++) {
        if (suites[i].suite == suite)
            return suites[i].name;
    }
    g_return_val_if_reached("");
}

/* ---- pieces of text ---- */

static gboolean
pass_over(GError **error, const char *why)
{
    g_set_error_literal(error, CLV_KEYMGMT_ERROR, CLV_CODE_KEYMGMT_UNACCEPTABLE, why);
    return FALSE;
}

static gboolean
span_is(Span span, const char *word)
{
    return span.len == strlen(word) && g_ascii_strncasecmp(span.text, word, span.len) == 0;
}

static gboolean
span_skip(Span *span, const char *prefix)
{
    gsize len = strlen(prefix);

    if (span->len < len || g_ascii_strncasecmp(span->text, prefix, len) != 0)
        return FALSE;

    span->text += len;
    span->len -= len;
    return TRUE;
}

/* The part before @separator, which is consumed with it; all that is left when there is none. */
static Span
take_until(Span *rest, char separator)
{
    const char *end = rest->len > 0 ? memchr(rest->text, separator, rest->len) : NULL;
    Span part = {rest->text, end != NULL ? (gsize)(end - rest->text) : rest->len};
    gsize used = part.len + (end != NULL ? 1 : 0);

    rest->text += used;
    rest->len -= used;
    return part;
}

static gboolean
is_space(char c)
{
    return c == ' ' || c == '\t';
}

/* The next word, empty at the end. */
static Span
take_word(Span *rest)
{
    Span word;

    while (rest->len > 0 && is_space(*rest->text)) {
        rest->text++;
        rest->len--;
    }
    word = (Span){rest->text, 0};
    while (word.len < rest->len && !is_space(word.text[word.len]))
        word.len++;
    rest->text += word.len;
    rest->len -= word.len;
    return word;
}

/* A decimal number of 1 to @max_digits (at most 18) digits. */
static gboolean
read_number(Span span, gsize max_digits, guint64 *out)
{
    guint64 value = 0;

    if (span.len == 0 || span.len > max_digits)
        return FALSE;
    for (gsize i = 0; i < span.len; i++) {
        if (!g_ascii_isdigit(span.text[i]))
            return FALSE;
        value = value * 10 + (guint64)(span.text[i] - '0');
    }

    *out = value;
    return TRUE;
}

/* ---- base64 (RFC 4648), in place of GLib's because that one is lax and leaves copies ---- */

static const char base64_digits[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

static int
base64_value(char c)
{
    const char *at = c != '\0' ? strchr(base64_digits, c) : NULL;

    return at != NULL ? (int)(at - base64_digits) : -1;
}

/* Exactly @len octets, padded or not at all; bits that are left over must be zero. */
static gboolean
base64_read(Span text, guint8 *out, gsize len, gboolean *out_padded)
{
    gsize digits = (len * 8 + 5) / 6;
    gsize padding = (4 - digits % 4) % 4;
    guint32 bits = 0;
    guint n_bits = 0;

    if (text.len != digits && text.len != digits + padding)
        return FALSE;
    for (gsize i = digits; i < text.len; i++) {
        if (text.text[i] != '=')
            return FALSE;
    }

    for (gsize i = 0, n = 0; i < digits; i++) {
        int value = base64_value(text.text[i]);

        if (value < 0)
            return FALSE;
        bits = (bits << 6 | (guint32)value) & 0x3fff;
        n_bits += 6;
        if (n_bits >= 8 && n < len) {
            n_bits -= 8;
            out[n++] = (guint8)(bits >> n_bits);
        }
    }
    if ((bits & ((1u << n_bits) - 1)) != 0)
        return FALSE;

    *out_padded = text.len == digits + padding;
    return TRUE;
}

/* Returns: what follows the text */
static char *
base64_write(char *to, const guint8 *octets, gsize len, gboolean padded)
{
    guint32 bits = 0;
    guint n_bits = 0;

    for (gsize i = 0; i < len; i++) {
        bits = bits << 8 | octets[i];
        n_bits += 8;
        while (n_bits >= 6) {
            n_bits -= 6;
            *to++ = base64_digits[bits >> n_bits & 63];
        }
        bits &= 63;
    }
    if (n_bits > 0)
        *to++ = base64_digits[bits << (6 - n_bits) & 63];
    for (gsize i = len; padded && i % 3 != 0; i++)
        *to++ = '=';
    return to;
}

/* ---- the parts of a value ---- */

static gboolean
read_suite(Span name, SdesLine *line)
{
    for (gsize i = 0; i < G_N_ELEMENTS(suites); i++) {
        if (!span_is(name, suites[i].name))
            continue;
        line->suite_name = suites[i].name;
        line->keys.suite = suites[i].suite;
        line->keys.key_len = lengths[suites[i].suite].key;
        line->keys.salt_len = lengths[suites[i].suite].salt;
        return TRUE;
    }
    return FALSE;
}

/* "2^20" or "1048576" packets, up to 2^48. We send far less and let the peer keep his own count,
 * so the value is checked and not kept. */
static gboolean
lifetime_is_sound(Span text)
{
    guint64 value;

    if (span_skip(&text, "2^"))
        return read_number(text, 2, &value) && value <= 48;
    return read_number(text, 15, &value) && value > 0 && value <= G_GUINT64_CONSTANT(1) << 48;
}

/* "1:4": the value as a big-endian integer of that many octets */
static gboolean
read_mki(Span text, ClvSrtpKeys *keys)
{
    Span value_text = take_until(&text, ':');
    guint64 value, len;

    if (!read_number(value_text, 18, &value) || !read_number(text, 3, &len))
        return FALSE;
    if (value == 0 || len == 0 || len > CLV_SRTP_MAX_MKI)
        return FALSE;
    if (len < 8 && value >> (8 * len) != 0)
        return FALSE;

    for (gsize i = 0; i < len; i++)
        keys->mki[i] = (guint8)(value >> (8 * (len - 1 - i)));
    keys->mki_len = (guint8)len;
    return TRUE;
}

static gboolean
read_key(Span info, ClvSrtpKeys *keys, gboolean *out_padded, GError **error)
{
    guint8 both[CLV_SRTP_MAX_KEY + CLV_SRTP_MAX_SALT];
    Span text, field;
    gboolean sound;

    if (!span_skip(&info, "inline:"))
        return pass_over(error, "key method is not inline");

    text = take_until(&info, '|');
    sound = base64_read(text, both, (gsize)keys->key_len + keys->salt_len, out_padded);
    if (sound) {
        memcpy(keys->key, both, keys->key_len);
        memcpy(keys->salt, both + keys->key_len, keys->salt_len);
    }
    OPENSSL_cleanse(both, sizeof(both));
    if (!sound)
        return pass_over(error, "key and salt are not base64 of the length that the suite wants");

    if (info.len == 0)
        return TRUE;
    field = take_until(&info, '|');
    if (memchr(field.text, ':', field.len) == NULL) {
        if (!lifetime_is_sound(field))
            return pass_over(error, "lifetime is not 1 to 2^48");
        if (info.len == 0)
            return TRUE;
        field = info;
        info.len = 0;
    }
    if (info.len > 0 || !read_mki(field, keys))
        return pass_over(error, "MKI is malformed, or longer than 8 octets");
    return TRUE;
}

/* A further key of the line: it must be sound, and its MKI must tell it from the first. */
static gboolean
check_further_key(Span info, const ClvSrtpKeys *first, guint8 seen[][CLV_SRTP_MAX_MKI], guint n,
                  GError **error)
{
    ClvSrtpKeys other = {
        .suite = first->suite, .key_len = first->key_len, .salt_len = first->salt_len};
    gboolean padded, sound;

    sound = read_key(info, &other, &padded, error);
    memcpy(seen[n], other.mki, sizeof(seen[n]));
    if (sound && (first->mki_len == 0 || other.mki_len != first->mki_len))
        sound = pass_over(error, "several keys without an MKI of one length for each");
    clv_srtp_keys_clear(&other);
    if (!sound)
        return FALSE;

    for (guint i = 0; i < n; i++) {
        if (memcmp(seen[i], seen[n], sizeof(seen[n])) == 0)
            return pass_over(error, "two keys have the same MKI");
    }
    return TRUE;
}

static gboolean
read_keys(Span params, SdesLine *line, GError **error)
{
    guint8 seen[MAX_KEYS][CLV_SRTP_MAX_MKI];

    if (!read_key(take_until(&params, ';'), &line->keys, &line->padded, error))
        return FALSE;

    memcpy(seen[0], line->keys.mki, sizeof(seen[0]));
    for (guint n = 1; params.len > 0; n++) {
        if (n == MAX_KEYS)
            return pass_over(error, "more than 8 keys in one line");
        if (!check_further_key(take_until(&params, ';'), &line->keys, seen, n, error))
            return FALSE;
    }
    return TRUE;
}

/* Session parameters are mandatory to understand unless a "-" stands in front (section 6.3.7). */
static gboolean
parameter_is_harmless(Span parameter, GError **error)
{
    static const struct {
        const char *name;
        const char *why;
    } refused[] = {
        {"UNENCRYPTED_SRTP", "UNENCRYPTED_SRTP is not acceptable"},
        {"UNENCRYPTED_SRTCP", "UNENCRYPTED_SRTCP is not acceptable"},
        {"UNAUTHENTICATED_SRTP", "UNAUTHENTICATED_SRTP is not acceptable"},
        {"FEC_ORDER", "forward error correction is not supported"},
        {"FEC_KEY", "forward error correction is not supported"},
    };
    Span value = parameter;
    Span name = take_until(&value, '=');
    guint64 number;

    if (*parameter.text == '-')
        return TRUE;
    if (span_is(name, "KDR")) {
        return (read_number(value, 2, &number) && number == 0) ||
               pass_over(error, "a key derivation rate is not supported");
    }
    if (span_is(name, "WSH")) {
        return (read_number(value, 9, &number) && number >= 64) ||
               pass_over(error, "window size hint below 64");
    }
    for (gsize i = 0; i < G_N_ELEMENTS(refused); i++) {
        if (span_is(name, refused[i].name))
            return pass_over(error, refused[i].why);
    }
    return pass_over(error, "unknown session parameter");
}

/* ---- the door ---- */

gboolean
clv_sdes_line_tag(const char *value, guint32 *out_tag)
{
    Span rest = {value, strlen(value)};
    guint64 tag;

    if (!read_number(take_word(&rest), 9, &tag))
        return FALSE;

    *out_tag = (guint32)tag;
    return TRUE;
}

static gboolean
read_line(Span rest, SdesLine *line, GError **error)
{
    guint64 tag;
    Span word;

    if (!read_number(take_word(&rest), 9, &tag))
        return pass_over(error, "no tag of 1 to 9 digits");
    line->tag = (guint32)tag;

    if (!read_suite(take_word(&rest), line))
        return pass_over(error, "unknown suite");
    if (!read_keys(take_word(&rest), line, error))
        return FALSE;

    for (word = take_word(&rest); word.len > 0; word = take_word(&rest)) {
        if (!parameter_is_harmless(word, error))
            return FALSE;
    }
    return TRUE;
}

gboolean
clv_sdes_line_parse(const char *value, SdesLine *out_line, GError **error)
{
    SdesLine line = {0};
    gboolean sound = read_line((Span){value, strlen(value)}, &line, error);

    if (sound)
        *out_line = line;
    clv_srtp_keys_clear(&line.keys);
    return sound;
}

void
clv_sdes_line_format(const SdesLine *line, const ClvSrtpKeys *tx, char out[SDES_MAX_LINE])
{
    guint8 both[CLV_SRTP_MAX_KEY + CLV_SRTP_MAX_SALT];
    int len = g_snprintf(out, SDES_MAX_LINE, "%u %s inline:", line->tag, line->suite_name);
    char *to = out + len;

    memcpy(both, tx->key, tx->key_len);
    memcpy(both + tx->key_len, tx->salt, tx->salt_len);
    to = base64_write(to, both, (gsize)tx->key_len + tx->salt_len, line->padded);
    OPENSSL_cleanse(both, sizeof(both));
    *to = '\0';

    if (tx->mki_len > 0) {
        guint64 mki = 0;

        for (gsize i = 0; i < tx->mki_len; i++)
            mki = mki << 8 | tx->mki[i];
        g_snprintf(to, (gulong)(out + SDES_MAX_LINE - to), "|%" G_GUINT64_FORMAT ":%u", mki,
                   tx->mki_len);
    }
}
