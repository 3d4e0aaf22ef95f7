/* SPDX-License-Identifier: Apache-2.0 */
/* kms/tpk.c - the keys that protect the inside of tickets: which is new, which are still needed? */
#include "config.h"

#include "kms/tpk.h"

#include <libmikey/mikey.h>
#include <openssl/crypto.h>
#include <string.h>

#define GRACE_S 3600 /* clocks that were set back */

struct ClvKmsTpks {
    GPtrArray *list; /* (element-type ClvKmsTpk) newest first */
    GHashTable *by_name;
};

static void
tpk_free(gpointer data)
{
    ClvKmsTpk *tpk = data;

    clv_secret_free(tpk->secret);
    g_free(tpk);
}

static ClvKmsTpk *
tpk_new(const guint8 *bytes)
{
    static const char salt[] = "name of a ticket protection key";
    guint8 text[sizeof salt + CLV_KMS_TPK_LEN];
    guint8 digest[MIKEY_DIGEST_LEN];
    ClvKmsTpk *tpk = g_new0(ClvKmsTpk, 1);

    memcpy(text, salt, sizeof salt);
    memcpy(text + sizeof salt, bytes, CLV_KMS_TPK_LEN);
    if (mikey_digest(mikey_bytes(text, sizeof text), digest) != MIKEY_OK)
        memset(digest, 0, sizeof digest);
    OPENSSL_cleanse(text, sizeof text);
    g_strlcpy(tpk->name, "tpk-", sizeof tpk->name);
    for (guint i = 0; i < 8; i++)
        g_snprintf(tpk->name + 4 + 2 * i, 3, "%02x", digest[i]);
    tpk->secret = clv_secret_new(bytes, CLV_KMS_TPK_LEN);
    return tpk;
}

ClvKmsTpks *
clv_kms_tpks_new(void)
{
    ClvKmsTpks *tpks = g_new0(ClvKmsTpks, 1);

    tpks->list = g_ptr_array_new_with_free_func(tpk_free);
    tpks->by_name = g_hash_table_new(g_str_hash, g_str_equal);
    return tpks;
}

void
clv_kms_tpks_free(ClvKmsTpks *tpks)
{
    if (tpks == NULL)
        return;
    g_hash_table_unref(tpks->by_name);
    g_ptr_array_unref(tpks->list);
    g_free(tpks);
}

guint
clv_kms_tpks_n(const ClvKmsTpks *tpks)
{
    return tpks->list->len;
}

const ClvKmsTpk *
clv_kms_tpks_at(const ClvKmsTpks *tpks, guint i)
{
    return i < tpks->list->len ? tpks->list->pdata[i] : NULL;
}

const ClvKmsTpk *
clv_kms_tpks_find(const ClvKmsTpks *tpks, const guint8 *name, gsize len)
{
    char text[CLV_KMS_TPK_NAME_LEN + 1];

    if (len != CLV_KMS_TPK_NAME_LEN)
        return NULL;
    memcpy(text, name, len);
    text[len] = '\0';
    return g_hash_table_lookup(tpks->by_name, text);
}

static void
drop(ClvKmsTpks *tpks, ClvKmsTpk *tpk)
{
    g_hash_table_remove(tpks->by_name, tpk->name);
    g_ptr_array_remove(tpks->list, tpk);
}

/* Takes @tpk; an older one of the same name makes way. */
static void
insert(ClvKmsTpks *tpks, gint at, ClvKmsTpk *tpk)
{
    ClvKmsTpk *same = g_hash_table_lookup(tpks->by_name, tpk->name);

    if (same != NULL)
        drop(tpks, same);
    g_ptr_array_insert(tpks->list, at, tpk);
    g_hash_table_insert(tpks->by_name, tpk->name, tpk);
    while (tpks->list->len > CLV_KMS_MAX_TPKS)
        drop(tpks, tpks->list->pdata[tpks->list->len - 1]);
}

void
clv_kms_tpks_put_first(ClvKmsTpks *tpks, const guint8 *bytes, gint64 now_s)
{
    ClvKmsTpk *tpk = tpk_new(bytes);

    tpk->made_s = now_s;
    insert(tpks, 0, tpk);
}

void
clv_kms_tpks_append(ClvKmsTpks *tpks, const ClvKmsTpk *like, const guint8 *bytes)
{
    ClvKmsTpk *tpk = tpk_new(bytes);

    tpk->made_s = like->made_s;
    tpk->retired_s = like->retired_s;
    tpk->longest_s = like->longest_s;
    insert(tpks, -1, tpk);
}

ClvKmsTpks *
clv_kms_tpks_copy(const ClvKmsTpks *tpks)
{
    ClvKmsTpks *copy = clv_kms_tpks_new();

    for (guint i = 0; i < tpks->list->len; i++) {
        const ClvKmsTpk *tpk = tpks->list->pdata[i];
        gsize len = 0;

        clv_kms_tpks_append(copy, tpk, clv_secret_bytes(tpk->secret, &len));
    }
    return copy;
}

void
clv_kms_tpks_rotate(ClvKmsTpks *tpks, const guint8 *bytes, gint64 now_s)
{
    gint64 longest_s = 0;

    if (tpks->list->len > 0) {
        ClvKmsTpk *first = tpks->list->pdata[0];

        first->retired_s = now_s;
        longest_s = first->longest_s;
    }
    clv_kms_tpks_put_first(tpks, bytes, now_s);
    clv_kms_tpks_note_longest(tpks, longest_s);
}

gboolean
clv_kms_tpks_note_longest(ClvKmsTpks *tpks, gint64 longest_s)
{
    ClvKmsTpk *first = tpks->list->len > 0 ? tpks->list->pdata[0] : NULL;

    if (first == NULL || first->longest_s >= longest_s)
        return FALSE;
    first->longest_s = longest_s;
    return TRUE;
}

/* A ticket may start as late as its lifetime from now, and lasts as long again. */
static gboolean
is_over(const ClvKmsTpk *tpk, gint64 now_s)
{
    return tpk->retired_s > 0 && tpk->longest_s > 0 &&
           tpk->retired_s + 2 * tpk->longest_s + GRACE_S < now_s;
}

gboolean
clv_kms_tpks_forget(ClvKmsTpks *tpks, gint64 now_s)
{
    guint before = tpks->list->len;

    for (guint i = tpks->list->len; i > 1; i--)
        if (is_over(tpks->list->pdata[i - 1], now_s))
            drop(tpks, tpks->list->pdata[i - 1]);
    return tpks->list->len != before;
}
