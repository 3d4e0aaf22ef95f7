/* SPDX-License-Identifier: Apache-2.0 */
/* media/g711.c - G.711 by table: 256 samples one way, one code for each 13 or 14 bits the other */
#include "media/g711.h"

#include <stdbool.h>

#define CODES 256
#define ULAW_SHIFT 2 /* the bits that 14-bit mu-law and 13-bit A-law do not have */
#define ALAW_SHIFT 3
#define ULAW_BIAS 33
#define ULAW_CLIP 8158

static int16_t samples[CLV_N_G711_LAWS][CODES];
static uint8_t ulaw_codes[1 << (16 - ULAW_SHIFT)];
static uint8_t alaw_codes[1 << (16 - ALAW_SHIFT)];

/* Sign, three bits of segment, four bits of step; all bits inverted on the line. */
static int
ulaw_sample(unsigned code)
{
    unsigned bits = ~code & 0xff;
    int segment = (int)(bits >> 4 & 7), step = (int)(bits & 15);
    int magnitude = (((2 * step + ULAW_BIAS) << segment) - ULAW_BIAS) << ULAW_SHIFT;

    return (bits & 0x80) != 0 ? -magnitude : magnitude;
}

/* The same with every other bit inverted, a linear first segment, and no zero. */
static int
alaw_sample(unsigned code)
{
    unsigned bits = code ^ 0x55;
    int segment = (int)(bits >> 4 & 7), step = (int)(bits & 15);
    int magnitude = segment == 0 ? 2 * step + 1 : (2 * step + 33) << (segment - 1);

    magnitude <<= ALAW_SHIFT;
    return (bits & 0x80) != 0 ? magnitude : -magnitude;
}

static int
segment_of(int value, int first)
{
    int segment = 0;

    while (value >= first << (segment + 1) && segment < 7)
        segment++;
    return segment;
}

static uint8_t
ulaw_code(int value) /* 14 bits, signed */
{
    unsigned sign = value < 0 ? 0x80 : 0;
    int magnitude = value < 0 ? -value : value;
    int segment;

    if (magnitude > ULAW_CLIP)
        magnitude = ULAW_CLIP;
    magnitude += ULAW_BIAS;
    segment = segment_of(magnitude, 32);
    return (uint8_t) ~(sign | (unsigned)segment << 4 | ((unsigned)magnitude >> (segment + 1) & 15));
}

static uint8_t
alaw_code(int value) /* 13 bits, signed */
{
    unsigned sign = value < 0 ? 0 : 0x80;
    int magnitude = value < 0 ? -value - 1 : value;
    int segment = segment_of(magnitude, 16);
    unsigned step =
        segment == 0 ? (unsigned)magnitude >> 1 & 15 : (unsigned)magnitude >> segment & 15;

    return (uint8_t)((sign | (unsigned)segment << 4 | step) ^ 0x55);
}

void
clv_g711_init(void)
{
    for (unsigned code = 0; code < CODES; code++) {
        samples[CLV_G711_ULAW][code] = (int16_t)ulaw_sample(code);
        samples[CLV_G711_ALAW][code] = (int16_t)alaw_sample(code);
    }
    for (int v = 0; v < 1 << (16 - ULAW_SHIFT); v++)
        ulaw_codes[v] = ulaw_code(v - (1 << (15 - ULAW_SHIFT)));
    for (int v = 0; v < 1 << (16 - ALAW_SHIFT); v++)
        alaw_codes[v] = alaw_code(v - (1 << (15 - ALAW_SHIFT)));
}

void
clv_g711_decode(ClvG711Law law, const uint8_t *restrict code, int16_t *restrict out, size_t n)
{
    const int16_t *table = samples[law];

    for (size_t i = 0; i < n; i++)
        out[i] = table[code[i]];
}

void
clv_g711_encode(ClvG711Law law, const int16_t *restrict in, uint8_t *restrict out, size_t n)
{
    const uint8_t *table = law == CLV_G711_ULAW ? ulaw_codes : alaw_codes;
    int shift = law == CLV_G711_ULAW ? ULAW_SHIFT : ALAW_SHIFT;

    for (size_t i = 0; i < n; i++)
        out[i] = table[(unsigned)(in[i] + 0x8000) >> shift];
}

uint8_t
clv_g711_silence(ClvG711Law law)
{
    static const uint8_t silence[CLV_N_G711_LAWS] = {0xff, 0xd5};

    return silence[law];
}
