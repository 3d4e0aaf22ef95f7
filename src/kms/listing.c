/* SPDX-License-Identifier: Apache-2.0 */
/* kms/listing.c - the octets by which a conference system announces a conference
 *
 * The key of the MAC is derived, so that nothing made with it can be mistaken for MIKEY.
 */
#include "config.h"

#include "kms/listing.h"

#include <openssl/crypto.h>
#include <openssl/hmac.h>
#include <string.h>

#include "base/secret.h"

#define NONCE_LEN 16u
#define MAX_WORD 1024u
#define FIRST_LINE "conclave-conference-list 1"
static const char coverage[] = "POST " CLV_KMS_LIST_REQUEST "\n";

void
clv_kms_list_clear(ClvKmsList *list)
{
    g_free(list->user);
    g_free(list->kms);
    g_free(list->conference);
    memset(list, 0, sizeof *list);
}

/* ---- the MAC ---- */

static gboolean
make_mac(const guint8 *psk, gsize psk_len, const guint8 *text, gsize len,
         guint8 out[CLV_KMS_LIST_MAC_LEN])
{
    g_autofree guint8 *all = g_malloc(sizeof coverage - 1 + len);
    guint8 key[CLV_KMS_LIST_MAC_LEN];
    gboolean good;

    memcpy(all, coverage, sizeof coverage - 1);
    memcpy(all + sizeof coverage - 1, text, len);
    good = HMAC(EVP_sha256(), psk, (int)psk_len, (const guint8 *)FIRST_LINE, strlen(FIRST_LINE),
                key, NULL) != NULL &&
           HMAC(EVP_sha256(), key, sizeof key, all, sizeof coverage - 1 + len, out, NULL) != NULL;
    OPENSSL_cleanse(key, sizeof key);
    return good;
}

gboolean
clv_kms_list_verify(const ClvKmsList *list, const guint8 *octets, const guint8 *psk, gsize psk_len)
{
    guint8 mac[CLV_KMS_LIST_MAC_LEN];

    return list->has_mac && make_mac(psk, psk_len, octets, list->covered, mac) &&
           CRYPTO_memcmp(mac, list->mac, sizeof mac) == 0;
}

/* ---- reading ---- */

typedef struct Lines {
    const char *at, *end;
    gboolean bad;
} Lines;

/* The value of the next line, which has to be "@name VALUE"; printable, no space.
 * Returns: (transfer full) (nullable) */
static char *
take(Lines *lines, const char *name)
{
    gsize left = (gsize)(lines->end - lines->at), skip = strlen(name) + 1, len;
    const char *stop = left > 0 ? memchr(lines->at, '\n', left) : NULL;
    const char *value = lines->at + skip;

    if (lines->bad || stop == NULL || (gsize)(stop - lines->at) <= skip ||
        memcmp(lines->at, name, skip - 1) != 0 || lines->at[skip - 1] != ' ')
        goto bad;
    len = (gsize)(stop - value);
    if (len > MAX_WORD)
        goto bad;
    for (gsize i = 0; i < len; i++)
        if (!g_ascii_isgraph(value[i]))
            goto bad;
    lines->at = stop + 1;
    return g_strndup(value, len);
bad:
    lines->bad = TRUE;
    return NULL;
}

static gint64
take_number(Lines *lines, const char *name, gint64 max)
{
    g_autofree char *text = take(lines, name);
    gint64 number = 0;

    if (text == NULL || !g_ascii_isdigit(text[0]) ||
        !g_ascii_string_to_signed(text, 10, 0, max, &number, NULL))
        lines->bad = TRUE;
    return number;
}

static void
take_hex(Lines *lines, const char *name, guint8 *out, gsize len)
{
    g_autofree char *text = take(lines, name);

    if (text == NULL || strlen(text) != 2 * len) {
        lines->bad = TRUE;
        return;
    }
    for (gsize i = 0; i < len; i++) {
        int high = g_ascii_xdigit_value(text[2 * i]), low = g_ascii_xdigit_value(text[2 * i + 1]);

        if (high < 0 || low < 0) {
            lines->bad = TRUE;
            return;
        }
        out[i] = (guint8)(high << 4 | low);
    }
}

static void
take_action(Lines *lines, ClvKmsList *out)
{
    g_autofree char *action = take(lines, "action");

    out->withdraw = g_strcmp0(action, "withdraw") == 0;
    if (!out->withdraw && g_strcmp0(action, "announce") != 0)
        lines->bad = TRUE;
}

gboolean
clv_kms_list_parse(const guint8 *octets, gsize len, ClvKmsList *out)
{
    const char *text = (const char *)octets;
    guint8 nonce[NONCE_LEN];
    g_autofree char *version = NULL;
    Lines lines;

    memset(out, 0, sizeof *out);
    if (len == 0 || len > CLV_KMS_LIST_MAX)
        return FALSE;
    lines = (Lines){text, text + len, FALSE};
    version = take(&lines, "conclave-conference-list");
    lines.bad = lines.bad || strcmp(version, "1") != 0;
    take_action(&lines, out);
    out->user = take(&lines, "user");
    out->kms = take(&lines, "kms");
    out->conference = take(&lines, "conference");
    out->lifetime_s = take_number(&lines, "lifetime", 365 * 86400);
    out->made_us = take_number(&lines, "time", G_MAXINT64 / 4);
    take_hex(&lines, "nonce", nonce, sizeof nonce);
    out->covered = (gsize)(lines.at - text);
    if (!lines.bad && lines.at < lines.end) {
        take_hex(&lines, "mac", out->mac, sizeof out->mac);
        out->has_mac = TRUE;
    }
    if (!lines.bad && lines.at == lines.end)
        return TRUE;
    clv_kms_list_clear(out);
    return FALSE;
}

/* ---- writing ---- */

static void
append_hex(GString *text, const guint8 *octets, gsize len)
{
    for (gsize i = 0; i < len; i++)
        g_string_append_printf(text, "%02x", octets[i]);
    g_string_append_c(text, '\n');
}

GByteArray *
clv_kms_list_write(const ClvKmsListing *listing, gboolean withdraw, gint64 now_us)
{
    g_autoptr(GString) text = g_string_new(NULL);
    guint8 nonce[NONCE_LEN], mac[CLV_KMS_LIST_MAC_LEN];
    ClvKmsList check;

    if (!clv_random(NULL, nonce, sizeof nonce))
        return NULL;
    g_string_printf(text,
                    FIRST_LINE "\naction %s\nuser %s\nkms %s\nconference %s\n"
                               "lifetime %" G_GINT64_FORMAT "\ntime %" G_GINT64_FORMAT "\nnonce ",
                    withdraw ? "withdraw" : "announce", listing->user, listing->kms_uri,
                    listing->conference, listing->lifetime_s, now_us);
    append_hex(text, nonce, sizeof nonce);
    if (!make_mac(listing->psk, listing->psk_len, (const guint8 *)text->str, text->len, mac))
        return NULL;
    g_string_append(text, "mac ");
    append_hex(text, mac, sizeof mac);
    /* a name with a line end in it would say something else */
    if (!clv_kms_list_parse((const guint8 *)text->str, text->len, &check))
        return NULL;
    clv_kms_list_clear(&check);
    return g_byte_array_append(g_byte_array_new(), (const guint8 *)text->str, (guint)text->len);
}
