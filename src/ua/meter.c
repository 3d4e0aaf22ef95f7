/* SPDX-License-Identifier: Apache-2.0 */
/* ua/meter.c - Goertzel for the tones we know, a Fourier transform for those we do not */
#include "ua/meter.h"

#include <complex.h>
#include <math.h>
#include <string.h>

#define N CLV_UA_METER_BLOCK
#define PEAK_FLOOR_DB (-60.0)
#define PEAK_APART 3u /* bins: a Hann window smears a tone over four */

struct ClvUaMeter {
    guint rate_hz;
    double *hz;
    GArray **levels; /* one array of float dBFS for each hz, one entry a block */
    guint n_hz;
    gint16 block[N];
    gsize n_block;
    guint n_blocks;
    double power[N / 2]; /* sum over the blocks of squared amplitudes of sines */
    double square_sum;   /* of all samples */
};

static double
db_of_amplitude(double amplitude)
{
    return amplitude > 1e-6 ? 20.0 * log10(amplitude) : CLV_UA_METER_FLOOR;
}

static double
hann(gsize i, gsize n)
{
    return 0.5 - 0.5 * cos(2.0 * G_PI * (double)i / (double)n);
}

double
clv_ua_goertzel_db(const gint16 *samples, gsize n, guint rate_hz, double hz)
{
    double w = 2.0 * G_PI * hz / rate_hz;
    double coefficient = 2.0 * cos(w);
    double s1 = 0.0, s2 = 0.0, power;

    for (gsize i = 0; i < n; i++) {
        double s0 = samples[i] * hann(i, n) + coefficient * s1 - s2;

        s2 = s1;
        s1 = s0;
    }
    power = s1 * s1 + s2 * s2 - coefficient * s1 * s2;
    /* the window halves the amplitude, and a real sine has half of its in each of two lines */
    return db_of_amplitude(4.0 * sqrt(MAX(power, 0.0)) / (double)n / 32768.0);
}

/* In place, decimation in time; @n is a power of two. */
static void
transform(double complex *x, gsize n)
{
    for (gsize i = 1, j = 0; i < n; i++) {
        gsize bit = n >> 1;

        for (; j & bit; bit >>= 1)
            j ^= bit;
        j ^= bit;
        if (i < j) {
            double complex t = x[i];

            x[i] = x[j];
            x[j] = t;
        }
    }
    for (gsize len = 2; len <= n; len <<= 1) {
        double complex root = cexp(-2.0 * G_PI * I / (double)len);

        for (gsize i = 0; i < n; i += len) {
            double complex w = 1.0;

            for (gsize k = 0; k < len / 2; k++) {
                double complex odd = x[i + k + len / 2] * w;

                x[i + k + len / 2] = x[i + k] - odd;
                x[i + k] += odd;
                w *= root;
            }
        }
    }
}

ClvUaMeter *
clv_ua_meter_new(guint rate_hz, const double *hz, guint n_hz)
{
    ClvUaMeter *meter = g_new0(ClvUaMeter, 1);

    meter->rate_hz = rate_hz;
    meter->n_hz = n_hz;
    meter->hz = g_new0(double, n_hz);
    meter->levels = g_new0(GArray *, n_hz);
    for (guint i = 0; i < n_hz; i++) {
        meter->hz[i] = hz[i];
        meter->levels[i] = g_array_new(FALSE, FALSE, sizeof(float));
    }
    return meter;
}

void
clv_ua_meter_free(ClvUaMeter *meter)
{
    if (meter == NULL)
        return;
    for (guint i = 0; i < meter->n_hz; i++)
        g_array_unref(meter->levels[i]);
    g_free(meter->levels);
    g_free(meter->hz);
    g_free(meter);
}

static void
measure_block(ClvUaMeter *meter)
{
    double complex spectrum[N];

    for (guint i = 0; i < meter->n_hz; i++) {
        float db = (float)clv_ua_goertzel_db(meter->block, N, meter->rate_hz, meter->hz[i]);

        g_array_append_val(meter->levels[i], db);
    }
    for (gsize i = 0; i < N; i++) {
        spectrum[i] = meter->block[i] * hann(i, N);
        meter->square_sum += (double)meter->block[i] * meter->block[i];
    }
    transform(spectrum, N);
    for (gsize i = 0; i < N / 2; i++) {
        double amplitude = 4.0 * cabs(spectrum[i]) / N / 32768.0;

        meter->power[i] += amplitude * amplitude;
    }
    meter->n_blocks++;
}

void
clv_ua_meter_feed(ClvUaMeter *meter, const gint16 *samples, gsize n)
{
    while (n > 0) {
        gsize part = MIN(n, N - meter->n_block);

        memcpy(meter->block + meter->n_block, samples, part * sizeof *samples);
        meter->n_block += part;
        samples += part;
        n -= part;
        if (meter->n_block == N) {
            measure_block(meter);
            meter->n_block = 0;
        }
    }
}

void
clv_ua_meter_reset(ClvUaMeter *meter)
{
    for (guint i = 0; i < meter->n_hz; i++)
        g_array_set_size(meter->levels[i], 0);
    memset(meter->power, 0, sizeof meter->power);
    meter->square_sum = 0.0;
    meter->n_block = 0;
    meter->n_blocks = 0;
}

guint
clv_ua_meter_n_blocks(const ClvUaMeter *meter)
{
    return meter->n_blocks;
}

guint
clv_ua_meter_n_levels(const ClvUaMeter *meter)
{
    return meter->n_hz;
}

static int
compare_levels(const void *a, const void *b)
{
    float x = *(const float *)a, y = *(const float *)b;

    return (x > y) - (x < y);
}

ClvUaLevel
clv_ua_meter_level(const ClvUaMeter *meter, guint i)
{
    ClvUaLevel level = {meter->hz[i], CLV_UA_METER_FLOOR, CLV_UA_METER_FLOOR, CLV_UA_METER_FLOOR,
                        CLV_UA_METER_FLOOR};
    g_autoptr(GArray) sorted = g_array_copy(meter->levels[i]);
    guint n = sorted->len;

    if (n == 0)
        return level;

    level.last_db = (double)g_array_index(sorted, float, n - 1);
    g_array_sort(sorted, compare_levels);
    level.median_db = (double)g_array_index(sorted, float, (n - 1) / 2);
    level.p90_db = (double)g_array_index(sorted, float, n - 1 - (n - 1) / 10);
    level.max_db = (double)g_array_index(sorted, float, n - 1);
    return level;
}

static double
bin_db(const ClvUaMeter *meter, guint bin)
{
    return db_of_amplitude(sqrt(meter->power[bin] / MAX(meter->n_blocks, 1u)));
}

/* The top of a parabola through three bins is within a few hundredths of a bin of the tone. */
static ClvUaPeak
refine(const ClvUaMeter *meter, guint bin)
{
    double left = bin_db(meter, bin - 1), top = bin_db(meter, bin), right = bin_db(meter, bin + 1);
    double bend = left - 2.0 * top + right;
    double shift = bend < -1e-9 ? 0.5 * (left - right) / bend : 0.0;

    return (ClvUaPeak){(bin + shift) * meter->rate_hz / N, top - 0.25 * (left - right) * shift};
}

static int
compare_peaks(const void *a, const void *b)
{
    const ClvUaPeak *x = a, *y = b;

    return (x->db < y->db) - (x->db > y->db);
}

guint
clv_ua_meter_peaks(const ClvUaMeter *meter, ClvUaPeak *out, guint room)
{
    g_autoptr(GArray) peaks = g_array_new(FALSE, FALSE, sizeof(ClvUaPeak));
    guint n;

    for (guint bin = PEAK_APART; bin + PEAK_APART < N / 2; bin++) {
        gboolean highest = bin_db(meter, bin) > PEAK_FLOOR_DB;

        for (guint d = 1; d <= PEAK_APART && highest; d++)
            highest = meter->power[bin] > meter->power[bin - d] &&
                      meter->power[bin] >= meter->power[bin + d];
        if (highest) {
            ClvUaPeak peak = refine(meter, bin);

            g_array_append_val(peaks, peak);
        }
    }
    g_array_sort(peaks, compare_peaks);
    n = MIN(peaks->len, room);
    for (guint i = 0; i < n; i++)
        out[i] = g_array_index(peaks, ClvUaPeak, i);
    return n;
}

double
clv_ua_meter_total_db(const ClvUaMeter *meter)
{
    double n = (double)meter->n_blocks * N;

    return n > 0.0 ? db_of_amplitude(sqrt(2.0 * meter->square_sum / n) / 32768.0)
                   : CLV_UA_METER_FLOOR;
}
