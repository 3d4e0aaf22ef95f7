/* SPDX-License-Identifier: Apache-2.0 */
/* kms/rate.c - is this one asking too often? */
#include "config.h"

#include "kms/rate.h"

#include <pthread.h>

#define BURST_S 2

typedef struct Bucket {
    double tokens;
    gint64 filled_us;
} Bucket;

struct ClvKmsRates {
    pthread_mutex_t lock; /* of the next */
    GHashTable *buckets;  /* name -> Bucket */
};

ClvKmsRates *
clv_kms_rates_new(void)
{
    ClvKmsRates *rates = g_new0(ClvKmsRates, 1);

    pthread_mutex_init(&rates->lock, NULL);
    rates->buckets = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
    return rates;
}

void
clv_kms_rates_free(ClvKmsRates *rates)
{
    if (rates == NULL)
        return;
    g_hash_table_unref(rates->buckets);
    pthread_mutex_destroy(&rates->lock);
    g_free(rates);
}

/* With the lock held. */
static Bucket *
bucket_of(ClvKmsRates *rates, const char *name, gint64 per_s, gint64 now_us)
{
    Bucket *bucket = g_hash_table_lookup(rates->buckets, name);

    if (bucket != NULL)
        return bucket;
    bucket = g_new(Bucket, 1);
    *bucket = (Bucket){(double)(per_s * BURST_S), now_us};
    g_hash_table_insert(rates->buckets, g_strdup(name), bucket);
    return bucket;
}

/* A clock that was set back fills nothing. */
static void
fill(Bucket *bucket, gint64 per_s, gint64 now_us)
{
    gint64 passed_us = MAX(now_us - bucket->filled_us, 0);

    bucket->tokens += (double)passed_us * (double)per_s / G_USEC_PER_SEC;
    bucket->tokens = MIN(bucket->tokens, (double)(per_s * BURST_S));
    bucket->filled_us = now_us;
}

gboolean
clv_kms_rates_take(ClvKmsRates *rates, const char *name, gint64 per_s, gint64 now_us)
{
    gboolean taken;
    Bucket *bucket;

    if (per_s == 0)
        return TRUE;
    pthread_mutex_lock(&rates->lock);
    bucket = bucket_of(rates, name, per_s, now_us);
    fill(bucket, per_s, now_us);
    taken = bucket->tokens >= 1;
    if (taken)
        bucket->tokens -= 1;
    pthread_mutex_unlock(&rates->lock);
    return taken;
}

void
clv_kms_rates_clear(ClvKmsRates *rates)
{
    pthread_mutex_lock(&rates->lock);
    g_hash_table_remove_all(rates->buckets);
    pthread_mutex_unlock(&rates->lock);
}
