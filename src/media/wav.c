/* SPDX-License-Identifier: Apache-2.0 */
/* media/wav.c - the chunks of a RIFF WAVE file through a cursor */
#include "media/wav.h"

#include "media/wire.h"

#define LINEAR 1
#define EXTENSIBLE 0xfffe /* the format stands farther behind */
#define FMT_EXTENSIBLE 26 /* so far as it is of interest */

static uint16_t
read_le16(ClvReader *r)
{
    const uint8_t *at = clv_read_bytes(r, 2);

    if (at == NULL)
        return 0;
    return (uint16_t)(at[0] | at[1] << 8);
}

static uint32_t
read_le32(ClvReader *r)
{
    uint32_t low = read_le16(r);

    return low | (uint32_t)read_le16(r) << 16;
}

static bool
read_tag(ClvReader *r, const char *tag)
{
    const uint8_t *at = clv_read_bytes(r, 4);

    return at != NULL && memcmp(at, tag, 4) == 0;
}

static bool
read_format(ClvReader chunk, ClvWav *out)
{
    size_t len = chunk.left;

    out->format = read_le16(&chunk);
    out->channels = read_le16(&chunk);
    out->rate_hz = read_le32(&chunk);
    (void)clv_read_bytes(&chunk, 6); /* octets a second, octets a sample */
    out->bits = read_le16(&chunk);
    if (out->format == EXTENSIBLE && len >= FMT_EXTENSIBLE) {
        (void)clv_read_bytes(&chunk, 8); /* size, valid bits, speakers */
        out->format = read_le16(&chunk);
    }
    return !chunk.bad;
}

static ClvWavVerdict
judge(const ClvWav *wav)
{
    if (wav->format != LINEAR || wav->channels != 1 || wav->bits != 16 || wav->rate_hz != 8000)
        return CLV_WAV_OTHER;
    return wav->n_samples > 0 ? CLV_WAV_OK : CLV_WAV_EMPTY;
}

ClvWavVerdict
clv_wav_read(const uint8_t *bytes, size_t len, ClvWav *out)
{
    ClvReader r = {.next = bytes, .left = len};
    bool has_format = false;

    *out = (ClvWav){0};
    if (!read_tag(&r, "RIFF") || (read_le32(&r), !read_tag(&r, "WAVE")))
        return CLV_WAV_NO_WAVE;
    while (r.left > 0) {
        const uint8_t *tag = clv_read_bytes(&r, 4);
        uint32_t size = read_le32(&r);
        ClvReader chunk = clv_read_sub(&r, size);

        if (r.bad)
            return CLV_WAV_NO_WAVE;
        if (size % 2 != 0 && r.left > 0)
            (void)clv_read_u8(&r); /* chunks begin at even places */
        if (memcmp(tag, "fmt ", 4) == 0) {
            has_format = read_format(chunk, out);
        } else if (memcmp(tag, "data", 4) == 0) {
            out->samples = chunk.next;
            out->n_samples = chunk.left / 2;
            return has_format ? judge(out) : CLV_WAV_NO_FORMAT;
        }
    }
    return CLV_WAV_NO_WAVE;
}
