/* SPDX-License-Identifier: Apache-2.0 */
/* base/replay.c - a set of digests that forgets by time alone
 *
 * A hash table says whether a digest is known, a heap by expiry says which ones to forget; an
 * operation costs O(log n) whatever the peers send. Pure.
 */
#include "config.h"

#include "base/replay.h"

#include <string.h>

#include <openssl/rand.h>

typedef struct Entry {
    guint8 digest[32];
    gint64 expires_us;
} Entry;

struct ClvReplay {
    guint max_entries;
    GHashTable *known; /* Entry *, a set */
    GPtrArray *heap;   /* Entry *, owned; the parent never expires after its children */
};

/* Odd multipliers chosen at random: a peer who picks digests cannot make them collide here. */
static guint64 multiplier[4];

static guint
hash_digest(gconstpointer key)
{
    guint64 words[4], sum = 0;

    memcpy(words, ((const Entry *)key)->digest, sizeof(words));
    for (guint i = 0; i < G_N_ELEMENTS(words); i++)
        sum += (words[i] ^ words[i] >> 32) * multiplier[i];
    return (guint)(sum >> 32);
}

static gboolean
equal_digest(gconstpointer a, gconstpointer b)
{
    return memcmp(((const Entry *)a)->digest, ((const Entry *)b)->digest, 32) == 0;
}

static void
choose_multipliers(void)
{
    static gsize once;

    if (!g_once_init_enter(&once))
        return;
    if (RAND_bytes((guint8 *)multiplier, sizeof(multiplier)) != 1)
        g_error("no randomness for the replay table");
    for (guint i = 0; i < G_N_ELEMENTS(multiplier); i++)
        multiplier[i] |= 1;
    g_once_init_leave(&once, 1);
}

ClvReplay *
clv_replay_new(guint max_entries)
{
    ClvReplay *replay = g_new0(ClvReplay, 1);

    choose_multipliers();
    replay->max_entries = max_entries;
    replay->known = g_hash_table_new(hash_digest, equal_digest);
    replay->heap = g_ptr_array_new_with_free_func(g_free);
    return replay;
}

void
clv_replay_free(ClvReplay *replay)
{
    if (replay == NULL)
        return;
    g_hash_table_unref(replay->known);
    g_ptr_array_unref(replay->heap);
    g_free(replay);
}

static Entry *
heap_at(const ClvReplay *replay, guint i)
{
    return replay->heap->pdata[i];
}

static void
heap_swap(ClvReplay *replay, guint i, guint j)
{
    gpointer held = replay->heap->pdata[i];

    replay->heap->pdata[i] = replay->heap->pdata[j];
    replay->heap->pdata[j] = held;
}

static void
heap_push(ClvReplay *replay, Entry *entry)
{
    guint i = replay->heap->len;

    g_ptr_array_add(replay->heap, entry);
    while (i > 0 && heap_at(replay, (i - 1) / 2)->expires_us > heap_at(replay, i)->expires_us) {
        heap_swap(replay, i, (i - 1) / 2);
        i = (i - 1) / 2;
    }
}

/* Frees the entry that expires first. */
static void
heap_pop(ClvReplay *replay)
{
    guint i = 0, first;

    g_ptr_array_remove_index_fast(replay->heap, 0);
    for (;;) {
        first = i;
        for (guint child = 2 * i + 1; child <= 2 * i + 2 && child < replay->heap->len; child++)
            if (heap_at(replay, child)->expires_us < heap_at(replay, first)->expires_us)
                first = child;
        if (first == i)
            return;
        heap_swap(replay, i, first);
        i = first;
    }
}

static void
forget_expired(ClvReplay *replay, gint64 now_us)
{
    while (replay->heap->len > 0 && heap_at(replay, 0)->expires_us < now_us) {
        g_hash_table_remove(replay->known, heap_at(replay, 0));
        heap_pop(replay);
    }
}

ClvReplayVerdict
clv_replay_check(ClvReplay *replay, const guint8 digest[32], gint64 now_us, gint64 expires_us)
{
    Entry *entry;
    Entry wanted;

    forget_expired(replay, now_us);
    memcpy(wanted.digest, digest, sizeof(wanted.digest));
    if (g_hash_table_contains(replay->known, &wanted))
        return CLV_REPLAY_SEEN;
    if (replay->heap->len >= replay->max_entries)
        return CLV_REPLAY_FULL;

    entry = g_new(Entry, 1);
    memcpy(entry->digest, digest, sizeof(entry->digest));
    entry->expires_us = expires_us;
    g_hash_table_add(replay->known, entry);
    heap_push(replay, entry);
    return CLV_REPLAY_FRESH;
}

gboolean
clv_replay_contains(const ClvReplay *replay, const guint8 digest[32], gint64 now_us)
{
    const Entry *found;
    Entry wanted;

    memcpy(wanted.digest, digest, sizeof(wanted.digest));
    found = g_hash_table_lookup(replay->known, &wanted);
    return found != NULL && found->expires_us >= now_us;
}

guint
clv_replay_size(const ClvReplay *replay)
{
    return replay->heap->len;
}
