/* SPDX-License-Identifier: Apache-2.0 */
/* ua/g711.c - eight segments, each twice as coarse as the one before */
#include "ua/g711.h"

#define ULAW_BIAS 33 /* of 14-bit magnitudes */
#define ULAW_MAX 8158

/* Segment of a magnitude: where its highest set bit is, counted from @lowest. */
static guint
segment_of(guint magnitude, guint lowest)
{
    guint top = g_bit_storage(magnitude) - 1;

    return top > lowest ? top - lowest : 0;
}

guint8
clv_ua_alaw_encode(gint16 sample)
{
    /* 13-bit magnitudes; the negative half begins at -1 */
    guint magnitude = (guint)(sample >= 0 ? sample : -(sample + 1)) >> 4;
    guint segment = segment_of(magnitude, 3); /* the first two are equally fine */
    guint step = (segment == 0 ? magnitude : magnitude >> (segment - 1)) & 0x0fu;
    guint code = segment << 4 | step;

    return (guint8)((sample >= 0 ? code | 0x80 : code) ^ 0x55);
}

gint16
clv_ua_alaw_decode(guint8 code)
{
    guint bits = code ^ 0x55u;
    guint segment = bits >> 4 & 7u;
    int magnitude = (int)(bits & 0x0fu) * 2 + 1;

    if (segment > 0)
        magnitude = (magnitude + 32) << (segment - 1);
    magnitude <<= 3;
    return (gint16)(bits & 0x80u ? magnitude : -magnitude);
}

guint8
clv_ua_ulaw_encode(gint16 sample)
{
    int scaled = sample >> 2; /* 14 bits */
    guint magnitude = (guint)(MIN(ABS(scaled), ULAW_MAX) + ULAW_BIAS);
    guint segment = segment_of(magnitude, 5);
    guint step = magnitude >> (segment + 1) & 0x0fu;
    guint code = segment << 4 | step;

    return (guint8) ~(sample >= 0 ? code : code | 0x80u);
}

gint16
clv_ua_ulaw_decode(guint8 code)
{
    guint bits = (guint8)~code;
    guint segment = bits >> 4 & 7u;
    int magnitude = (((int)(bits & 0x0fu) * 2 + ULAW_BIAS) << segment) - ULAW_BIAS;

    magnitude <<= 2;
    return (gint16)(bits & 0x80u ? -magnitude : magnitude);
}
