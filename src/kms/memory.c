/* SPDX-License-Identifier: Apache-2.0 */
/* kms/memory.c - has this message been answered before, and how?
 *
 * Entries hang in a ring of one-second buckets by the time of their end, so that forgetting costs
 * as much as remembering, and in a queue by age while they still have an answer to repeat.
 */
#include "config.h"

#include "kms/memory.h"

#include <pthread.h>
#include <string.h>

#define N_BUCKETS 8192 /* a power of two above CLV_KMS_MEMORY_MAX_LIFE_S */
#define KEEP_ANSWER_US (16 * G_USEC_PER_SEC)
#define MAX_ANSWER_BYTES (64u << 20)

typedef struct Owner {
    char *name;
    gsize n; /* entries */
} Owner;

typedef struct Entry Entry;
struct Entry {
    guint8 digest[CLV_KMS_MEMORY_DIGEST]; /* first: the table looks at it */
    Entry *next_in_bucket;
    Owner *owner; /* (nullable) */
    gboolean pending;
    gboolean parked;
    GByteArray *answer; /* (nullable) */
    gint64 answered_us;
    GList age; /* in the queue while there is an answer; data is the entry */
};

struct ClvKmsMemory {
    pthread_mutex_t lock; /* of all below */
    pthread_cond_t settled;
    gsize max_entries;
    GHashTable *entries;
    GHashTable *owners; /* name -> Owner, while there are entries of his */
    Entry *buckets[N_BUCKETS];
    gint64 swept_s; /* buckets up to this second are empty */
    GQueue answered;
    gsize answer_bytes;
};

G_STATIC_ASSERT(N_BUCKETS > CLV_KMS_MEMORY_MAX_LIFE_S + 1);

static guint
hash_digest(gconstpointer digest)
{
    guint hash;

    memcpy(&hash, digest, sizeof hash);
    return hash;
}

static gboolean
equal_digest(gconstpointer a, gconstpointer b)
{
    return memcmp(a, b, CLV_KMS_MEMORY_DIGEST) == 0;
}

static void
owner_free(gpointer data)
{
    Owner *owner = data;

    g_free(owner->name);
    g_free(owner);
}

ClvKmsMemory *
clv_kms_memory_new(gsize max_entries)
{
    ClvKmsMemory *memory = g_new0(ClvKmsMemory, 1);

    pthread_mutex_init(&memory->lock, NULL);
    pthread_cond_init(&memory->settled, NULL);
    memory->max_entries = max_entries;
    memory->entries = g_hash_table_new(hash_digest, equal_digest);
    memory->owners = g_hash_table_new_full(g_str_hash, g_str_equal, NULL, owner_free);
    return memory;
}

static void
drop_answer(ClvKmsMemory *memory, Entry *entry)
{
    if (entry->answer == NULL)
        return;
    memory->answer_bytes -= entry->answer->len;
    g_queue_unlink(&memory->answered, &entry->age);
    g_clear_pointer(&entry->answer, g_byte_array_unref);
}

/* With the lock held. */
static gsize
count_of(const ClvKmsMemory *memory, const char *name)
{
    const Owner *owner = g_hash_table_lookup(memory->owners, name);

    return owner != NULL ? owner->n : 0;
}

static void
own(ClvKmsMemory *memory, Entry *entry, const char *name)
{
    entry->owner = g_hash_table_lookup(memory->owners, name);
    if (entry->owner == NULL) {
        entry->owner = g_new0(Owner, 1);
        entry->owner->name = g_strdup(name);
        g_hash_table_insert(memory->owners, entry->owner->name, entry->owner);
    }
    entry->owner->n++;
}

static void
disown(ClvKmsMemory *memory, Entry *entry)
{
    if (entry->owner != NULL && --entry->owner->n == 0)
        g_hash_table_remove(memory->owners, entry->owner->name);
    entry->owner = NULL;
}

static void
empty_bucket(ClvKmsMemory *memory, guint i)
{
    Entry *entry = memory->buckets[i];

    memory->buckets[i] = NULL;
    while (entry != NULL) {
        Entry *next = entry->next_in_bucket;

        drop_answer(memory, entry);
        disown(memory, entry);
        g_hash_table_remove(memory->entries, entry->digest);
        g_free(entry);
        entry = next;
    }
}

void
clv_kms_memory_free(ClvKmsMemory *memory)
{
    if (memory == NULL)
        return;
    for (guint i = 0; i < N_BUCKETS; i++)
        empty_bucket(memory, i);
    g_hash_table_unref(memory->entries);
    g_hash_table_unref(memory->owners);
    pthread_cond_destroy(&memory->settled);
    pthread_mutex_destroy(&memory->lock);
    g_free(memory);
}

void
clv_kms_memory_set_max(ClvKmsMemory *memory, gsize max_entries)
{
    pthread_mutex_lock(&memory->lock);
    memory->max_entries = max_entries;
    pthread_mutex_unlock(&memory->lock);
}

/* An entry ends in the bucket of the second after its time, which is swept when that is past. */
static void
forget_old(ClvKmsMemory *memory, gint64 now_us)
{
    gint64 now_s = now_us / G_USEC_PER_SEC;
    GList *oldest;

    if (now_s - memory->swept_s > N_BUCKETS)
        memory->swept_s = now_s - N_BUCKETS;
    while (memory->swept_s < now_s) {
        memory->swept_s++;
        empty_bucket(memory, (guint)(memory->swept_s % N_BUCKETS));
    }
    while ((oldest = memory->answered.head) != NULL &&
           (((Entry *)oldest->data)->answered_us + KEEP_ANSWER_US <= now_us ||
            memory->answer_bytes > MAX_ANSWER_BYTES))
        drop_answer(memory, oldest->data);
}

static Entry *
insert(ClvKmsMemory *memory, const guint8 *digest, gint64 now_us, gint64 expires_us)
{
    Entry *entry = g_new0(Entry, 1);
    gint64 end_s = expires_us / G_USEC_PER_SEC + 1;
    guint bucket;

    end_s = CLAMP(end_s, memory->swept_s + 1, now_us / G_USEC_PER_SEC + CLV_KMS_MEMORY_MAX_LIFE_S);
    bucket = (guint)(end_s % N_BUCKETS);
    memcpy(entry->digest, digest, sizeof entry->digest);
    entry->pending = TRUE;
    entry->age.data = entry;
    entry->next_in_bucket = memory->buckets[bucket];
    memory->buckets[bucket] = entry;
    g_hash_table_add(memory->entries, entry);
    return entry;
}

void
clv_kms_memory_recall(ClvKmsMemory *memory, const guint8 *digest, gint64 now_us, gint64 expires_us)
{
    pthread_mutex_lock(&memory->lock);
    forget_old(memory, now_us);
    if (!g_hash_table_contains(memory->entries, digest))
        insert(memory, digest, now_us, expires_us)->pending = FALSE;
    pthread_mutex_unlock(&memory->lock);
}

/* With the lock held. */
static Entry *
find_settled(ClvKmsMemory *memory, const guint8 *digest)
{
    Entry *entry;

    while ((entry = g_hash_table_lookup(memory->entries, digest)) != NULL && entry->pending)
        pthread_cond_wait(&memory->settled, &memory->lock);
    return entry;
}

static ClvKmsMemoryVerdict
enter(ClvKmsMemory *memory, const char *owner, guint parts, const guint8 *digest, gint64 now_us,
      gint64 expires_us, GByteArray **out_answer)
{
    const Entry *entry;

    forget_old(memory, now_us);
    entry = find_settled(memory, digest);
    if (entry != NULL && entry->answer == NULL)
        return CLV_KMS_MEMORY_REPLAYED;
    if (entry != NULL) {
        *out_answer = g_byte_array_append(g_byte_array_sized_new(entry->answer->len),
                                          entry->answer->data, entry->answer->len);
        return CLV_KMS_MEMORY_ANSWERED;
    }
    if (g_hash_table_size(memory->entries) >= memory->max_entries ||
        count_of(memory, owner) >= MAX(memory->max_entries / parts, 1))
        return CLV_KMS_MEMORY_FULL;
    own(memory, insert(memory, digest, now_us, expires_us), owner);
    return CLV_KMS_MEMORY_FRESH;
}

ClvKmsMemoryVerdict
clv_kms_memory_enter(ClvKmsMemory *memory, const char *owner, guint parts, const guint8 *digest,
                     gint64 now_us, gint64 expires_us, GByteArray **out_answer)
{
    ClvKmsMemoryVerdict verdict;

    pthread_mutex_lock(&memory->lock);
    verdict = enter(memory, owner, parts, digest, now_us, expires_us, out_answer);
    pthread_mutex_unlock(&memory->lock);
    return verdict;
}

void
clv_kms_memory_settle(ClvKmsMemory *memory, const guint8 *digest, const guint8 *answer, gsize len,
                      gint64 now_us)
{
    Entry *entry;

    pthread_mutex_lock(&memory->lock);
    entry = g_hash_table_lookup(memory->entries, digest);
    if (entry != NULL && (entry->pending || entry->parked)) {
        entry->pending = FALSE;
        entry->parked = FALSE;
        if (answer != NULL) {
            entry->answer =
                g_byte_array_append(g_byte_array_sized_new((guint)len), answer, (guint)len);
            entry->answered_us = now_us;
            memory->answer_bytes += len;
            g_queue_push_tail_link(&memory->answered, &entry->age);
        }
    }
    pthread_cond_broadcast(&memory->settled);
    pthread_mutex_unlock(&memory->lock);
}

void
clv_kms_memory_park(ClvKmsMemory *memory, const guint8 *digest)
{
    Entry *entry;

    pthread_mutex_lock(&memory->lock);
    entry = g_hash_table_lookup(memory->entries, digest);
    if (entry != NULL && entry->pending) {
        entry->pending = FALSE;
        entry->parked = TRUE;
    }
    pthread_cond_broadcast(&memory->settled);
    pthread_mutex_unlock(&memory->lock);
}

guint
clv_kms_memory_size(ClvKmsMemory *memory)
{
    guint size;

    pthread_mutex_lock(&memory->lock);
    size = g_hash_table_size(memory->entries);
    pthread_mutex_unlock(&memory->lock);
    return size;
}
