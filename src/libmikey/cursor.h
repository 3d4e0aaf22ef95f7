/* SPDX-License-Identifier: Apache-2.0 */
/* libmikey/cursor.h - how octets from outside are read and octets for outside are written
 *
 * A read past the end marks the reader bad and yields zeros, so a record is read straight down
 * and asked about once. The writer likewise remembers that it ran out of memory or room.
 */
#pragma once

#include <libmikey/base.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct MikeyReader {
    const uint8_t *next;
    size_t left;
    bool bad;
} MikeyReader;

MikeyReader mikey_reader(MikeyBytes octets);
uint8_t mikey_read_u8(MikeyReader *r);
uint16_t mikey_read_u16(MikeyReader *r);
uint32_t mikey_read_u32(MikeyReader *r);
uint64_t mikey_read_u64(MikeyReader *r);
/* Returns: a view of the next @len octets, empty when there are fewer */
MikeyBytes mikey_read_bytes(MikeyReader *r, size_t len);
MikeyBytes mikey_read_lv8(MikeyReader *r);
MikeyBytes mikey_read_lv16(MikeyReader *r);
/* Returns: a reader of the next @len octets alone; bad when there are fewer */
MikeyReader mikey_read_sub(MikeyReader *r, size_t len);

typedef struct MikeyWriter {
    uint8_t *data;
    size_t len;
    size_t room;
    MikeyStatus bad; /* MIKEY_OK, or why nothing more was written: memory, size, field too small */
} MikeyWriter;

#define MIKEY_WRITER_INIT                                                                          \
    {                                                                                              \
        NULL, 0, 0, MIKEY_OK                                                                       \
    }
void mikey_write_u8(MikeyWriter *w, uint8_t value);
void mikey_write_u16(MikeyWriter *w, uint16_t value);
void mikey_write_u32(MikeyWriter *w, uint32_t value);
void mikey_write_u64(MikeyWriter *w, uint64_t value);
void mikey_write_bytes(MikeyWriter *w, MikeyBytes octets);
void mikey_write_lv8(MikeyWriter *w, MikeyBytes octets);
void mikey_write_lv16(MikeyWriter *w, MikeyBytes octets);
/* Overwrites what was written at @at before */
void mikey_write_u8_at(MikeyWriter *w, size_t at, uint8_t value);
void mikey_write_u16_at(MikeyWriter *w, size_t at, uint16_t value);
MikeyBytes mikey_writer_octets(const MikeyWriter *w);
/* Hands the octets to @out and starts anew; on failure the writer is cleared, @out untouched */
MikeyStatus mikey_writer_finish(MikeyWriter *w, MikeyBuffer *out);
/* Cleanses and frees */
void mikey_writer_clear(MikeyWriter *w);

#ifdef __cplusplus
}
#endif
