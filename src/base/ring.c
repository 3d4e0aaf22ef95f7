/* SPDX-License-Identifier: Apache-2.0 */
/* base/ring.c - single producer, single consumer, C11 atomics
 *
 * Both counters run on for ever and are masked at use; each side keeps a stale copy of the other's
 * counter and asks for the true one only when the copy says full or empty. The two sides sit on
 * cache lines of their own.
 */
#include "config.h"

#include "base/ring.h"

#include <stdalign.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <glib.h>

#define CACHE_LINE 64

struct ClvRing {
    size_t mask;
    size_t slot_bytes;
    uint8_t *slots;

    alignas(CACHE_LINE) atomic_size_t written; /* by the producer */
    size_t read_seen;                          /* producer's copy of read */

    alignas(CACHE_LINE) atomic_size_t read; /* by the consumer */
    size_t written_seen;                    /* consumer's copy of written */
};

ClvRing *
clv_ring_new(size_t slots, size_t slot_bytes)
{
    ClvRing *ring;
    size_t rounded = 1;

    g_assert(slots > 0 && slots <= SIZE_MAX / 4 && slot_bytes > 0);
    while (rounded < slots)
        rounded *= 2;

    ring = aligned_alloc(CACHE_LINE, sizeof(*ring));
    if (ring == NULL)
        g_error("out of memory for a ring");
    memset(ring, 0, sizeof(*ring));
    ring->mask = rounded - 1;
    ring->slot_bytes = slot_bytes;
    ring->slots = g_malloc0_n(rounded, slot_bytes);
    atomic_init(&ring->written, 0);
    atomic_init(&ring->read, 0);
    return ring;
}

void
clv_ring_free(ClvRing *ring)
{
    if (ring == NULL)
        return;
    g_free(ring->slots);
    free(ring);
}

bool
clv_ring_push(ClvRing *ring, const void *element)
{
    size_t at = atomic_load_explicit(&ring->written, memory_order_relaxed);

    if (at - ring->read_seen > ring->mask) {
        ring->read_seen = atomic_load_explicit(&ring->read, memory_order_acquire);
        if (at - ring->read_seen > ring->mask)
            return false;
    }
    memcpy(ring->slots + (at & ring->mask) * ring->slot_bytes, element, ring->slot_bytes);
    atomic_store_explicit(&ring->written, at + 1, memory_order_release);
    return true;
}

bool
clv_ring_pop(ClvRing *ring, void *out_element)
{
    size_t at = atomic_load_explicit(&ring->read, memory_order_relaxed);

    if (at == ring->written_seen) {
        ring->written_seen = atomic_load_explicit(&ring->written, memory_order_acquire);
        if (at == ring->written_seen)
            return false;
    }
    memcpy(out_element, ring->slots + (at & ring->mask) * ring->slot_bytes, ring->slot_bytes);
    atomic_store_explicit(&ring->read, at + 1, memory_order_release);
    return true;
}
