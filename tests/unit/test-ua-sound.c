/* SPDX-License-Identifier: Apache-2.0 */
/* Does the instrument measure what is there? Tones, levels, WAV files, G.711, playout. */
#include "config.h"

#include <fcntl.h>
#include <glib.h>
#include <glib/gstdio.h>
#include <math.h>
#include <string.h>
#include <unistd.h>

#include "ua/g711.h"
#include "ua/meter.h"
#include "ua/playout.h"
#include "ua/source.h"
#include "ua/wav.h"

#define RATE 8000u

static gint16 *
tone(double hz, double dbfs, gsize n)
{
    ClvUaTone one = {hz, dbfs};
    ClvUaSource *source = clv_ua_source_tones(&one, 1, RATE);
    gint16 *samples = g_new(gint16, n);

    clv_ua_source_read(source, samples, n);
    clv_ua_source_free(source);
    return samples;
}

static void
assert_near(double found, double wanted, double by)
{
    if (fabs(found - wanted) > by)
        g_error("%g found, %g wanted, give or take %g", found, wanted, by);
}

/* ---- levels ------------------------------------------------------------------------------ */

static void
test_a_tone_has_its_level(void)
{
    static const double hz[] = {50, 123.4, 440, 1000, 2718.28, 3400};
    static const double db[] = {0, -6, -18, -40};

    for (guint i = 0; i < G_N_ELEMENTS(hz); i++)
        for (guint k = 0; k < G_N_ELEMENTS(db); k++) {
            g_autofree gint16 *s = tone(hz[i], db[k], CLV_UA_METER_BLOCK);

            assert_near(clv_ua_goertzel_db(s, CLV_UA_METER_BLOCK, RATE, hz[i]), db[k], 0.1);
        }
}

static void
test_another_tone_is_not_heard(void)
{
    g_autofree gint16 *s = tone(440, -12, CLV_UA_METER_BLOCK);

    g_assert_cmpfloat(clv_ua_goertzel_db(s, CLV_UA_METER_BLOCK, RATE, 480), <, -75.0);
    g_assert_cmpfloat(clv_ua_goertzel_db(s, CLV_UA_METER_BLOCK, RATE, 1000), <, -75.0);
    /* and its second harmonic is what rounding makes of it */
    g_assert_cmpfloat(clv_ua_goertzel_db(s, CLV_UA_METER_BLOCK, RATE, 880), <, -75.0);
}

static void
test_two_tones_are_told_apart(void)
{
    ClvUaTone two[] = {{440, -18}, {1000, -30}};
    ClvUaSource *source = clv_ua_source_tones(two, 2, RATE);
    static const double hz[] = {440, 1000, 700};
    ClvUaMeter *meter = clv_ua_meter_new(RATE, hz, 3);
    gint16 samples[160];

    for (guint i = 0; i < 100; i++) {
        clv_ua_source_read(source, samples, G_N_ELEMENTS(samples));
        clv_ua_meter_feed(meter, samples, G_N_ELEMENTS(samples));
    }
    g_assert_cmpuint(clv_ua_meter_n_blocks(meter), ==, 16000 / CLV_UA_METER_BLOCK);
    assert_near(clv_ua_meter_level(meter, 0).median_db, -18, 0.1);
    assert_near(clv_ua_meter_level(meter, 1).median_db, -30, 0.1);
    g_assert_cmpfloat(clv_ua_meter_level(meter, 2).max_db, <, -70);
    assert_near(clv_ua_meter_total_db(meter), 10 * log10(pow(10, -1.8) + pow(10, -3.0)), 0.1);
    clv_ua_meter_free(meter);
    clv_ua_source_free(source);
}

static void
test_half_the_time_is_in_the_median(void)
{
    static const double hz[] = {440};
    ClvUaMeter *meter = clv_ua_meter_new(RATE, hz, 1);
    g_autofree gint16 *loud = tone(440, -18, CLV_UA_METER_BLOCK);
    gint16 silent[CLV_UA_METER_BLOCK] = {0};

    for (guint i = 0; i < 20; i++)
        clv_ua_meter_feed(meter, i < 6 ? loud : silent, CLV_UA_METER_BLOCK);
    g_assert_cmpfloat(clv_ua_meter_level(meter, 0).median_db, <, -100);
    /* there for three tenths of the time: silence is not what one calls it */
    assert_near(clv_ua_meter_level(meter, 0).p90_db, -18, 0.1);
    g_assert_cmpfloat(clv_ua_meter_level(meter, 0).last_db, <, -100);

    clv_ua_meter_reset(meter);
    for (guint i = 0; i < 20; i++)
        clv_ua_meter_feed(meter, i < 1 ? loud : silent, CLV_UA_METER_BLOCK);
    g_assert_cmpfloat(clv_ua_meter_level(meter, 0).p90_db, <, -100);
    assert_near(clv_ua_meter_level(meter, 0).max_db, -18, 0.1);
    clv_ua_meter_free(meter);
}

static void
test_peaks_are_found_without_being_told(void)
{
    ClvUaTone three[] = {{441.3, -18}, {1234.5, -24}, {2001, -36}};
    ClvUaSource *source = clv_ua_source_tones(three, 3, RATE);
    ClvUaMeter *meter = clv_ua_meter_new(RATE, NULL, 0);
    gint16 samples[800];
    ClvUaPeak peaks[8];

    for (guint i = 0; i < 20; i++) {
        clv_ua_source_read(source, samples, G_N_ELEMENTS(samples));
        clv_ua_meter_feed(meter, samples, G_N_ELEMENTS(samples));
    }
    g_assert_cmpuint(clv_ua_meter_peaks(meter, peaks, 8), ==, 3);
    for (guint i = 0; i < 3; i++) {
        assert_near(peaks[i].hz, three[i].hz, 0.5);
        assert_near(peaks[i].db, three[i].dbfs, 0.3);
    }
    g_assert_cmpuint(clv_ua_meter_peaks(meter, peaks, 1), ==, 1);
    clv_ua_meter_free(meter);
    clv_ua_source_free(source);
}

static void
test_nothing_is_heard_before_the_first_block(void)
{
    static const double hz[] = {440};
    ClvUaMeter *meter = clv_ua_meter_new(RATE, hz, 1);
    ClvUaPeak peak;

    g_assert_cmpuint(clv_ua_meter_n_blocks(meter), ==, 0);
    g_assert_cmpfloat(clv_ua_meter_level(meter, 0).max_db, ==, CLV_UA_METER_FLOOR);
    g_assert_cmpuint(clv_ua_meter_peaks(meter, &peak, 1), ==, 0);
    g_assert_cmpfloat(clv_ua_meter_total_db(meter), ==, CLV_UA_METER_FLOOR);
    clv_ua_meter_free(meter);
}

/* ---- G.711 ------------------------------------------------------------------------------- */

/* ITU-T G.711 tables 1a to 2b: decision values and characters at the ends and the joints */
static void
test_g711_has_the_values_of_its_tables(void)
{
    static const struct {
        gint16 sample;
        guint8 alaw;
    } alaw[] = {
        {0, 0xd5},   {15, 0xd5},  {16, 0xd4},    {-1, 0x55},     {-16, 0x55},
        {-17, 0x54}, {512, 0xf5}, {32767, 0xaa}, {-32768, 0x2a}, {1024, 0xe5},
    };
    static const struct {
        gint16 sample;
        guint8 ulaw;
    } ulaw[] = {
        {0, 0xff}, {4, 0xfe}, {-4, 0x7e}, {32767, 0x80}, {-32768, 0x00}, {124, 0xef}, {-124, 0x6f},
    };

    for (guint i = 0; i < G_N_ELEMENTS(alaw); i++)
        g_assert_cmphex(clv_ua_alaw_encode(alaw[i].sample), ==, alaw[i].alaw);
    for (guint i = 0; i < G_N_ELEMENTS(ulaw); i++)
        g_assert_cmphex(clv_ua_ulaw_encode(ulaw[i].sample), ==, ulaw[i].ulaw);
    g_assert_cmpint(clv_ua_alaw_decode(0xaa), ==, 32256);
    g_assert_cmpint(clv_ua_ulaw_decode(0x80), ==, 32124);
    g_assert_cmpint(clv_ua_ulaw_decode(0xff), ==, 0);
}

static void
test_g711_codes_survive(void)
{
    for (guint code = 0; code < 256; code++) {
        g_assert_cmphex(clv_ua_alaw_encode(clv_ua_alaw_decode((guint8)code)), ==, code);
        /* mu-law has two zeros */
        if (code != 0x7f)
            g_assert_cmphex(clv_ua_ulaw_encode(clv_ua_ulaw_decode((guint8)code)), ==, code);
    }
}

static void
test_g711_is_never_far_off(void)
{
    for (int sample = -32768; sample < 32768; sample++) {
        int a = clv_ua_alaw_decode(clv_ua_alaw_encode((gint16)sample));
        int u = clv_ua_ulaw_decode(clv_ua_ulaw_encode((gint16)sample));
        int allowed = MAX(ABS(sample) / 16, 16);

        g_assert_cmpint(ABS(a - sample), <=, allowed);
        g_assert_cmpint(ABS(u - sample), <=, MAX(allowed, ABS(sample) > 32124 ? 700 : 0));
    }
}

/* ---- playout ----------------------------------------------------------------------------- */

static void
fill(gint16 *frame, gint16 value)
{
    for (guint i = 0; i < 160; i++)
        frame[i] = value;
}

static void
test_order_does_not_matter(void)
{
    static const guint32 order[] = {0, 2, 1, 3, 3, 4};
    ClvUaPlayout *playout = clv_ua_playout_new();
    gint16 frame[160];
    guint32 base = 0xffffff00u; /* the timestamp wraps in the middle */

    for (guint i = 0; i < G_N_ELEMENTS(order); i++) {
        fill(frame, (gint16)(order[i] + 1));
        g_assert_true(clv_ua_playout_put(playout, base + 160 * order[i], FALSE, frame, 160));
    }
    for (guint i = 0; i < CLV_UA_PLAYOUT_DELAY / 160; i++)
        g_assert_cmpuint(clv_ua_playout_take(playout, frame, 160), ==, 160);
    for (gint16 i = 1; i <= 5; i++) {
        g_assert_cmpuint(clv_ua_playout_take(playout, frame, 160), ==, 0);
        g_assert_cmpint(frame[0], ==, i);
        g_assert_cmpint(frame[159], ==, i);
    }
    g_assert_cmpuint(clv_ua_playout_take(playout, frame, 160), ==, 160);
    g_assert_cmpint(frame[0], ==, 0);
    clv_ua_playout_free(playout);
}

static void
test_what_is_late_is_not_heard(void)
{
    ClvUaPlayout *playout = clv_ua_playout_new();
    gint16 frame[160];

    fill(frame, 7);
    g_assert_true(clv_ua_playout_put(playout, 1000, FALSE, frame, 160));
    for (guint i = 0; i < 5; i++)
        clv_ua_playout_take(playout, frame, 160);
    g_assert_false(clv_ua_playout_put(playout, 1160, FALSE, frame, 160));
    /* a restart makes the same timestamp good again */
    fill(frame, 9);
    g_assert_true(clv_ua_playout_put(playout, 1160, TRUE, frame, 160));
    for (guint i = 0; i < CLV_UA_PLAYOUT_DELAY / 160; i++)
        clv_ua_playout_take(playout, frame, 160);
    g_assert_cmpuint(clv_ua_playout_take(playout, frame, 160), ==, 0);
    g_assert_cmpint(frame[80], ==, 9);
    clv_ua_playout_free(playout);
}

static void
test_silence_before_the_stream_is_not_missing(void)
{
    ClvUaPlayout *playout = clv_ua_playout_new();
    gint16 frame[160];

    g_assert_cmpuint(clv_ua_playout_take(playout, frame, 160), ==, 0);
    g_assert_false(clv_ua_playout_has_begun(playout));
    clv_ua_playout_free(playout);
}

/* ---- WAV --------------------------------------------------------------------------------- */

static char *
scratch(void)
{
    char *path = NULL;
    int fd = g_file_open_tmp("ua-XXXXXX.wav", &path, NULL);

    g_assert_cmpint(fd, >=, 0);
    close(fd);
    return path;
}

static void
test_what_was_written_is_read(void)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *path = scratch();
    g_autofree gint16 *s = tone(440, -18, 12345);
    ClvUaWavWriter *wav = clv_ua_wav_create(path, RATE, &error);
    g_autofree gint16 *back = NULL;
    gsize n = 0;

    g_assert_no_error(error);
    clv_ua_wav_write(wav, s, 12345);
    g_assert_true(clv_ua_wav_close(wav, &error));
    back = clv_ua_wav_read(path, RATE, &n, &error);
    g_assert_no_error(error);
    g_assert_cmpuint(n, ==, 12345);
    g_assert_cmpmem(back, n * 2, s, n * 2);
    g_unlink(path);
}

static void
test_a_recording_is_readable_while_it_grows(void)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *path = scratch();
    g_autofree gint16 *s = tone(440, -18, RATE);
    ClvUaWavWriter *wav = clv_ua_wav_create(path, RATE, &error);
    g_autofree gint16 *back = NULL;
    gsize n = 0;

    clv_ua_wav_write(wav, s, RATE);
    back = clv_ua_wav_read(path, RATE, &n, &error);
    g_assert_no_error(error);
    g_assert_cmpuint(n, ==, RATE);
    g_assert_true(clv_ua_wav_close(wav, &error));
    g_unlink(path);
}

static void
append16(GByteArray *a, guint16 v)
{
    guint8 b[] = {(guint8)v, (guint8)(v >> 8)};

    g_byte_array_append(a, b, 2);
}

static void
append32(GByteArray *a, guint32 v)
{
    append16(a, (guint16)v);
    append16(a, (guint16)(v >> 16));
}

/* Stereo at 48 kHz with a chunk in front that nobody needs; a tone left, its opposite right. */
static GByteArray *
foreign_wav(double hz, gboolean opposite, guint32 data_size)
{
    GByteArray *a = g_byte_array_new();
    guint n = 48000;

    g_byte_array_append(a, (const guint8 *)"RIFF", 4);
    append32(a, 0);
    g_byte_array_append(a, (const guint8 *)"WAVELIST", 8);
    append32(a, 3);
    g_byte_array_append(a, (const guint8 *)"abc\0", 4);
    g_byte_array_append(a, (const guint8 *)"fmt ", 4);
    append32(a, 16);
    append16(a, 1);
    append16(a, 2);
    append32(a, 48000);
    append32(a, 192000);
    append16(a, 4);
    append16(a, 16);
    g_byte_array_append(a, (const guint8 *)"data", 4);
    append32(a, data_size);
    for (guint i = 0; i < n; i++) {
        gint16 v = (gint16)lrint(16384 * sin(2 * G_PI * hz * i / 48000));

        append16(a, (guint16)v);
        append16(a, (guint16)(opposite ? -v : v));
    }
    return a;
}

static gint16 *
read_bytes(const GByteArray *bytes, gsize *out_n, GError **error)
{
    g_autofree char *path = scratch();
    gint16 *samples;

    g_assert_true(g_file_set_contents(path, (const char *)bytes->data, bytes->len, NULL));
    samples = clv_ua_wav_read(path, RATE, out_n, error);
    g_unlink(path);
    return samples;
}

static void
test_other_rates_and_channels_are_brought_down(void)
{
    static const guint32 sizes[] = {192000, 0, 0xffffffffu}; /* header never completed */

    for (guint i = 0; i < G_N_ELEMENTS(sizes); i++) {
        g_autoptr(GError) error = NULL;
        g_autoptr(GByteArray) file = foreign_wav(1000, FALSE, sizes[i]);
        gsize n = 0;
        g_autofree gint16 *s = read_bytes(file, &n, &error);

        g_assert_no_error(error);
        g_assert_cmpuint(n, ==, RATE);
        assert_near(clv_ua_goertzel_db(s + 1000, CLV_UA_METER_BLOCK, RATE, 1000), -6.02, 0.2);
    }
}

static void
test_what_8_khz_cannot_carry_is_gone(void)
{
    g_autoptr(GByteArray) file = foreign_wav(5000, FALSE, 192000);
    gsize n = 0;
    g_autofree gint16 *s = read_bytes(file, &n, NULL);

    /* 5 kHz would come back as 3 kHz */
    g_assert_cmpfloat(clv_ua_goertzel_db(s + 1000, CLV_UA_METER_BLOCK, RATE, 3000), <, -50);
}

static void
test_no_truncation_is_read_past_its_end(void)
{
    g_autoptr(GByteArray) file = foreign_wav(1000, TRUE, 192000);

    for (guint len = 0; len < 80; len++) {
        g_autoptr(GError) error = NULL;
        g_autoptr(GByteArray) cut = g_byte_array_append(g_byte_array_new(), file->data, len);
        gsize n = 0;
        g_autofree gint16 *s = read_bytes(cut, &n, &error);

        /* the data chunk begins at octet 64; 24 frames make four samples */
        if (s == NULL)
            g_assert_nonnull(error);
        else
            g_assert_cmpuint(len, >, 64);
    }
}

static void
test_a_full_disk_is_told(void)
{
    g_autoptr(GError) error = NULL;
    ClvUaWavWriter *wav = clv_ua_wav_create("/dev/full", RATE, &error);
    g_autofree gint16 *s = tone(440, -18, 20000);

    if (wav == NULL) {
        g_test_skip("no /dev/full");
        return;
    }
    clv_ua_wav_write(wav, s, 20000);
    g_assert_false(clv_ua_wav_close(wav, &error));
    g_assert_error(error, CLV_UA_WAV_ERROR, ENOSPC);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/level/a-tone-has-its-level", test_a_tone_has_its_level);
    g_test_add_func("/level/another-tone-is-not-heard", test_another_tone_is_not_heard);
    g_test_add_func("/level/two-tones-are-told-apart", test_two_tones_are_told_apart);
    g_test_add_func("/level/half-the-time-is-in-the-median", test_half_the_time_is_in_the_median);
    g_test_add_func("/level/peaks-are-found-without-being-told",
                    test_peaks_are_found_without_being_told);
    g_test_add_func("/level/nothing-is-heard-before-the-first-block",
                    test_nothing_is_heard_before_the_first_block);
    g_test_add_func("/g711/has-the-values-of-its-tables", test_g711_has_the_values_of_its_tables);
    g_test_add_func("/g711/codes-survive", test_g711_codes_survive);
    g_test_add_func("/g711/is-never-far-off", test_g711_is_never_far_off);
    g_test_add_func("/playout/order-does-not-matter", test_order_does_not_matter);
    g_test_add_func("/playout/what-is-late-is-not-heard", test_what_is_late_is_not_heard);
    g_test_add_func("/playout/silence-before-the-stream-is-not-missing",
                    test_silence_before_the_stream_is_not_missing);
    g_test_add_func("/wav/what-was-written-is-read", test_what_was_written_is_read);
    g_test_add_func("/wav/a-recording-is-readable-while-it-grows",
                    test_a_recording_is_readable_while_it_grows);
    g_test_add_func("/wav/other-rates-and-channels-are-brought-down",
                    test_other_rates_and_channels_are_brought_down);
    g_test_add_func("/wav/what-8-khz-cannot-carry-is-gone", test_what_8_khz_cannot_carry_is_gone);
    g_test_add_func("/wav/no-truncation-is-read-past-its-end",
                    test_no_truncation_is_read_past_its_end);
    g_test_add_func("/wav/a-full-disk-is-told", test_a_full_disk_is_told);
    return g_test_run();
}
