/* SPDX-License-Identifier: Apache-2.0 */
/* media/wire.h - bounded reading and writing of packets: the only pointer arithmetic on them
 *
 * A read past the end marks the cursor bad and yields zero: parse straight down, ask once.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

typedef struct ClvReader {
    const uint8_t *next;
    size_t left;
    bool bad;
} ClvReader;

typedef struct ClvWriter {
    uint8_t *next;
    size_t left;
    bool bad;
} ClvWriter;

static inline const uint8_t *
clv_read_bytes(ClvReader *r, size_t len)
{
    const uint8_t *at = r->next;

    if (r->bad || len > r->left) {
        r->bad = true;
        return NULL;
    }
    r->next += len;
    r->left -= len;
    return at;
}

static inline uint8_t
clv_read_u8(ClvReader *r)
{
    const uint8_t *at = clv_read_bytes(r, 1);

    return at != NULL ? at[0] : 0;
}

static inline uint16_t
clv_load_u16(const uint8_t *at)
{
    return (uint16_t)((at[0] << 8) | at[1]);
}

static inline uint32_t
clv_load_u32(const uint8_t *at)
{
    return ((uint32_t)at[0] << 24) | ((uint32_t)at[1] << 16) | ((uint32_t)at[2] << 8) | at[3];
}

static inline void
clv_store_u16(uint8_t *at, uint16_t value)
{
    at[0] = (uint8_t)(value >> 8);
    at[1] = (uint8_t)value;
}

static inline void
clv_store_u32(uint8_t *at, uint32_t value)
{
    clv_store_u16(at, (uint16_t)(value >> 16));
    clv_store_u16(at + 2, (uint16_t)value);
}

static inline uint16_t
clv_read_u16(ClvReader *r)
{
    const uint8_t *at = clv_read_bytes(r, 2);

    return at != NULL ? clv_load_u16(at) : 0;
}

static inline uint32_t
clv_read_u32(ClvReader *r)
{
    const uint8_t *at = clv_read_bytes(r, 4);

    return at != NULL ? clv_load_u32(at) : 0;
}

/* A cursor over the next len bytes, which the outer one skips: the inside cannot reach out. */
static inline ClvReader
clv_read_sub(ClvReader *r, size_t len)
{
    const uint8_t *at = clv_read_bytes(r, len);

    return (ClvReader){.next = at, .left = at != NULL ? len : 0, .bad = at == NULL};
}

static inline void
clv_write_bytes(ClvWriter *w, const void *bytes, size_t len)
{
    if (w->bad || len > w->left) {
        w->bad = true;
        return;
    }
    if (len > 0)
        memcpy(w->next, bytes, len);
    w->next += len;
    w->left -= len;
}

static inline void
clv_write_u8(ClvWriter *w, uint8_t value)
{
    clv_write_bytes(w, &value, 1);
}

static inline void
clv_write_u16(ClvWriter *w, uint16_t value)
{
    uint8_t bytes[2];

    clv_store_u16(bytes, value);
    clv_write_bytes(w, bytes, sizeof bytes);
}

static inline void
clv_write_u32(ClvWriter *w, uint32_t value)
{
    uint8_t bytes[4];

    clv_store_u32(bytes, value);
    clv_write_bytes(w, bytes, sizeof bytes);
}
