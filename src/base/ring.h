/* SPDX-License-Identifier: Apache-2.0 */
/* base/ring.h - a bounded queue between exactly two threads, without locks
 *
 * Fixed-size slots, C11 atomics, one producer and one consumer. Neither side allocates.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

typedef struct ClvRing ClvRing;

/* slots: rounded up to a power of two; slot_bytes: size of one element. */
ClvRing *clv_ring_new(size_t slots, size_t slot_bytes);
void clv_ring_free(ClvRing *ring); /* both threads are done with it */
bool clv_ring_push(ClvRing *ring, const void *element); /* producer; false: full */
bool clv_ring_pop(ClvRing *ring, void *out_element);    /* consumer; false: empty */
