/* SPDX-License-Identifier: Apache-2.0 */
/* libmikey/cursor.c - the only place where octets of a message are counted */
#include <libmikey/private.h>

#include <string.h>

MikeyReader
mikey_reader(MikeyBytes octets)
{
    MikeyReader r = {octets.data, octets.len, false};

    return r;
}

MikeyBytes
mikey_read_bytes(MikeyReader *r, size_t len)
{
    MikeyBytes bytes;

    if (r->bad || len > r->left) {
        r->bad = true;
        r->left = 0;
        return mikey_bytes(NULL, 0);
    }
    bytes = mikey_bytes(r->next, len);
    if (len > 0)
        r->next += len;
    r->left -= len;
    return bytes;
}

static uint64_t
read_number(MikeyReader *r, size_t len)
{
    MikeyBytes bytes = mikey_read_bytes(r, len);
    uint64_t value = 0;

    for (size_t i = 0; i < bytes.len; i++)
        value = value << 8 | bytes.data[i];
    return value;
}

uint8_t
mikey_read_u8(MikeyReader *r)
{
    return (uint8_t)read_number(r, 1);
}

uint16_t
mikey_read_u16(MikeyReader *r)
{
    return (uint16_t)read_number(r, 2);
}

uint32_t
mikey_read_u32(MikeyReader *r)
{
    return (uint32_t)read_number(r, 4);
}

uint64_t
mikey_read_u64(MikeyReader *r)
{
    return read_number(r, 8);
}

MikeyBytes
mikey_read_lv8(MikeyReader *r)
{
    size_t len = mikey_read_u8(r);

    return mikey_read_bytes(r, len);
}

MikeyBytes
mikey_read_lv16(MikeyReader *r)
{
    size_t len = mikey_read_u16(r);

    return mikey_read_bytes(r, len);
}

MikeyReader
mikey_read_sub(MikeyReader *r, size_t len)
{
    MikeyReader sub = mikey_reader(mikey_read_bytes(r, len));

    sub.bad = r->bad;
    return sub;
}

static void
spoil(MikeyWriter *w, MikeyStatus why)
{
    if (w->bad == MIKEY_OK)
        w->bad = why;
}

/* Makes room for @len more octets */
static bool
reserve(MikeyWriter *w, size_t len)
{
    size_t room = w->room > 0 ? w->room : 512;
    uint8_t *data;

    if (w->bad != MIKEY_OK)
        return false;
    if (len > MIKEY_MAX_MESSAGE || w->len > MIKEY_MAX_MESSAGE - len) {
        spoil(w, MIKEY_TOO_LARGE);
        return false;
    }
    if (w->len + len <= w->room)
        return true;

    while (room < w->len + len)
        room *= 2;
    data = mikey_alloc(room);
    if (data == NULL) {
        spoil(w, MIKEY_NO_MEMORY);
        return false;
    }
    if (w->len > 0)
        memcpy(data, w->data, w->len);
    mikey_release_secret(w->data, w->room);
    w->data = data;
    w->room = room;
    return true;
}

void
mikey_write_bytes(MikeyWriter *w, MikeyBytes octets)
{
    if (octets.len == 0 || !reserve(w, octets.len))
        return;
    memcpy(w->data + w->len, octets.data, octets.len);
    w->len += octets.len;
}

static void
write_number(MikeyWriter *w, uint64_t value, size_t len)
{
    uint8_t octets[8];

    for (size_t i = 0; i < len; i++)
        octets[i] = (uint8_t)(value >> (8 * (len - 1 - i)));
    mikey_write_bytes(w, mikey_bytes(octets, len));
}

void
mikey_write_u8(MikeyWriter *w, uint8_t value)
{
    write_number(w, value, 1);
}

void
mikey_write_u16(MikeyWriter *w, uint16_t value)
{
    write_number(w, value, 2);
}

void
mikey_write_u32(MikeyWriter *w, uint32_t value)
{
    write_number(w, value, 4);
}

void
mikey_write_u64(MikeyWriter *w, uint64_t value)
{
    write_number(w, value, 8);
}

void
mikey_write_lv8(MikeyWriter *w, MikeyBytes octets)
{
    if (octets.len > UINT8_MAX) {
        spoil(w, MIKEY_ARGUMENT);
        return;
    }
    mikey_write_u8(w, (uint8_t)octets.len);
    mikey_write_bytes(w, octets);
}

void
mikey_write_lv16(MikeyWriter *w, MikeyBytes octets)
{
    if (octets.len > UINT16_MAX) {
        spoil(w, MIKEY_ARGUMENT);
        return;
    }
    mikey_write_u16(w, (uint16_t)octets.len);
    mikey_write_bytes(w, octets);
}

void
mikey_write_u8_at(MikeyWriter *w, size_t at, uint8_t value)
{
    if (w->bad != MIKEY_OK)
        return;
    if (at >= w->len) {
        spoil(w, MIKEY_ARGUMENT);
        return;
    }
    w->data[at] = value;
}

void
mikey_write_u16_at(MikeyWriter *w, size_t at, uint16_t value)
{
    mikey_write_u8_at(w, at, (uint8_t)(value >> 8));
    mikey_write_u8_at(w, at + 1, (uint8_t)value);
}

MikeyBytes
mikey_writer_octets(const MikeyWriter *w)
{
    return mikey_bytes(w->data, w->bad == MIKEY_OK ? w->len : 0);
}

MikeyStatus
mikey_writer_finish(MikeyWriter *w, MikeyBuffer *out)
{
    MikeyStatus status = w->bad;

    if (status == MIKEY_OK) {
        out->data = w->data;
        out->len = w->len;
        w->data = NULL;
        w->room = 0;
    }
    mikey_writer_clear(w);
    return status;
}

void
mikey_writer_clear(MikeyWriter *w)
{
    mikey_release_secret(w->data, w->room);
    w->data = NULL;
    w->len = 0;
    w->room = 0;
    w->bad = MIKEY_OK;
}
