/* SPDX-License-Identifier: Apache-2.0 */
/* G.711: the tables agree with the recommendation's corner values and with each other. */
#include "media/g711.h"

#include <glib.h>
#include <stdlib.h>

static int16_t
decode(ClvG711Law law, uint8_t code)
{
    int16_t out;

    clv_g711_decode(law, &code, &out, 1);
    return out;
}

static uint8_t
encode(ClvG711Law law, int sample)
{
    int16_t in = (int16_t)sample;
    uint8_t out;

    clv_g711_encode(law, &in, &out, 1);
    return out;
}

static void
test_corner_values(void)
{
    static const struct {
        ClvG711Law law;
        uint8_t code;
        int sample;
    } rows[] = {
        {CLV_G711_ULAW, 0x00, -32124}, {CLV_G711_ULAW, 0x80, 32124},  {CLV_G711_ULAW, 0xff, 0},
        {CLV_G711_ULAW, 0x7f, 0},      {CLV_G711_ULAW, 0xfe, 8},      {CLV_G711_ULAW, 0xf0, 120},
        {CLV_G711_ULAW, 0xef, 132},    {CLV_G711_ALAW, 0xd5, 8},      {CLV_G711_ALAW, 0x55, -8},
        {CLV_G711_ALAW, 0xaa, 32256},  {CLV_G711_ALAW, 0x2a, -32256}, {CLV_G711_ALAW, 0xc5, 264},
        {CLV_G711_ALAW, 0xf5, 528},
    };

    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++)
        g_assert_cmpint(decode(rows[i].law, rows[i].code), ==, rows[i].sample);
}

static void
test_codes_survive_the_round_trip(void)
{
    for (int law = 0; law < CLV_N_G711_LAWS; law++) {
        for (unsigned code = 0; code < 256; code++) {
            uint8_t back = encode((ClvG711Law)law, decode((ClvG711Law)law, (uint8_t)code));

            if (law == CLV_G711_ULAW && code == 0x7f)
                g_assert_cmpuint(back, ==, 0xff); /* minus zero */
            else
                g_assert_cmpuint(back, ==, code);
        }
    }
}

/* Louder never becomes softer, and the code is the nearest, but where two step widths meet. */
static void
test_encoding_is_monotonic_and_near(void)
{
    for (int law = 0; law < CLV_N_G711_LAWS; law++) {
        int before = INT16_MIN;

        for (int s = -32768; s <= 32767; s += 7) {
            int now = decode((ClvG711Law)law, encode((ClvG711Law)law, s));
            int best = 65536;

            g_assert_cmpint(now, >=, before);
            before = now;
            for (unsigned code = 0; code < 256; code++) {
                int e = abs(decode((ClvG711Law)law, (uint8_t)code) - s);

                best = e < best ? e : best;
            }
            g_assert_cmpint(abs(now - s), <=, 2 * best + 8);
        }
    }
}

static void
test_silence_is_nearly_nothing(void)
{
    for (int law = 0; law < CLV_N_G711_LAWS; law++)
        g_assert_cmpint(abs(decode((ClvG711Law)law, clv_g711_silence((ClvG711Law)law))), <=, 8);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    clv_g711_init();
    g_test_add_func("/g711/corner-values", test_corner_values);
    g_test_add_func("/g711/codes-survive-the-round-trip", test_codes_survive_the_round_trip);
    g_test_add_func("/g711/encoding-is-monotonic-and-near", test_encoding_is_monotonic_and_near);
    g_test_add_func("/g711/silence-is-nearly-nothing", test_silence_is_nearly_nothing);
    return g_test_run();
}
