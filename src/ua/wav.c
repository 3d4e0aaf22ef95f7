/* SPDX-License-Identifier: Apache-2.0 */
/* ua/wav.c - RIFF/WAVE read through bounds, written with a header that is patched */
#include "ua/wav.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#define HEADER_BYTES 44u
#define SINC_HALF 16 /* zero crossings on either side */

G_DEFINE_QUARK(clv_ua_wav_error, clv_ua_wav_error)

struct ClvUaWavWriter {
    FILE *file;
    char *path;
    guint rate_hz;
    guint32 n_samples;
    guint32 n_unpatched;
    int failed; /* errno of the first failure */
};

typedef struct Format {
    guint16 tag;
    guint16 channels;
    guint32 rate_hz;
    guint16 bits;
} Format;

static guint16
le16(const guint8 *p)
{
    return (guint16)(p[0] | p[1] << 8);
}

static guint32
le32(const guint8 *p)
{
    return (guint32)p[0] | (guint32)p[1] << 8 | (guint32)p[2] << 16 | (guint32)p[3] << 24;
}

static void
put16(guint8 *p, guint16 value)
{
    p[0] = (guint8)value;
    p[1] = (guint8)(value >> 8);
}

static void
put32(guint8 *p, guint32 value)
{
    put16(p, (guint16)value);
    put16(p + 2, (guint16)(value >> 16));
}

/* Finds the two chunks that matter. A data chunk of unknown length (a recorder was killed) reaches
 * to the end of the file. */
static gboolean
find_chunks(const guint8 *data, gsize len, Format *out_format, const guint8 **out_pcm,
            gsize *out_pcm_len)
{
    gboolean have_format = FALSE;
    gsize at = 12;

    if (len < 12 || memcmp(data, "RIFF", 4) != 0 || memcmp(data + 8, "WAVE", 4) != 0)
        return FALSE;

    while (len - at >= 8) {
        const guint8 *chunk = data + at;
        gsize size = le32(chunk + 4);
        gsize left = len - at - 8;

        if (memcmp(chunk, "data", 4) == 0) {
            *out_pcm = chunk + 8;
            *out_pcm_len = size == 0 ? left : MIN(size, left);
            return have_format;
        }
        if (size > left)
            return FALSE;
        if (memcmp(chunk, "fmt ", 4) == 0 && size >= 16) {
            *out_format =
                (Format){le16(chunk + 8), le16(chunk + 10), le32(chunk + 12), le16(chunk + 22)};
            have_format = TRUE;
        }
        at += 8 + MIN(size + (size & 1), left);
    }
    return FALSE;
}

static double
sinc(double x)
{
    return fabs(x) < 1e-9 ? 1.0 : sin(G_PI * x) / (G_PI * x);
}

/* Windowed-sinc interpolation; when the rate goes down the filter widens and takes away what the
 * new rate cannot carry. */
static gint16 *
resample(const float *in, gsize n_in, double step, gsize n_out)
{
    double cut = step > 1.0 ? 1.0 / step : 1.0;
    double half = SINC_HALF / cut;
    gint16 *out = g_new(gint16, n_out);

    for (gsize i = 0; i < n_out; i++) {
        double centre = (double)i * step;
        double sum = 0.0;
        gssize first = (gssize)ceil(centre - half);
        gssize last = (gssize)floor(centre + half);

        for (gssize k = MAX(first, 0); k <= MIN(last, (gssize)n_in - 1); k++) {
            double x = (double)k - centre;
            double window = 0.5 + 0.5 * cos(G_PI * x / half);

            sum += in[k] * cut * sinc(x * cut) * window;
        }
        out[i] = (gint16)CLAMP(lrint(sum), G_MININT16, G_MAXINT16);
    }
    return out;
}

static float *
mix_down(const guint8 *pcm, gsize n_frames, guint channels)
{
    float *mono = g_new(float, n_frames);

    for (gsize i = 0; i < n_frames; i++) {
        int sum = 0;

        for (guint c = 0; c < channels; c++)
            sum += (gint16)le16(pcm + 2 * (i * channels + c));
        mono[i] = (float)sum / (float)channels;
    }
    return mono;
}

gint16 *
clv_ua_wav_read(const char *path, guint rate_hz, gsize *out_n, GError **error)
{
    g_autofree char *data = NULL;
    g_autofree float *mono = NULL;
    Format format = {0};
    const guint8 *pcm = NULL;
    gsize len = 0, pcm_len = 0, n_frames, n_out;

    if (!g_file_get_contents(path, &data, &len, error))
        return NULL;
    if (len > CLV_UA_WAV_MAX_BYTES) {
        g_set_error(error, CLV_UA_WAV_ERROR, 0, "%s: longer than %u MiB", path,
                    CLV_UA_WAV_MAX_BYTES >> 20);
        return NULL;
    }
    if (!find_chunks((const guint8 *)data, len, &format, &pcm, &pcm_len)) {
        g_set_error(error, CLV_UA_WAV_ERROR, 0, "%s: not a WAV file", path);
        return NULL;
    }
    if ((format.tag != 1 && format.tag != 0xfffe) || format.bits != 16 || format.channels < 1 ||
        format.channels > 32 || format.rate_hz < 4000 || format.rate_hz > 192000) {
        g_set_error(error, CLV_UA_WAV_ERROR, 0,
                    "%s: format %u, %u bits, %u channels, %u Hz; expected 16-bit PCM, "
                    "1 to 32 channels, 4000 to 192000 Hz",
                    path, format.tag, format.bits, format.channels, format.rate_hz);
        return NULL;
    }

    n_frames = pcm_len / (2u * format.channels);
    n_out = (gsize)((double)n_frames * rate_hz / format.rate_hz);
    if (n_out == 0) {
        g_set_error(error, CLV_UA_WAV_ERROR, 0, "%s: there is no sound in it", path);
        return NULL;
    }
    mono = mix_down(pcm, n_frames, format.channels);
    *out_n = n_out;
    return resample(mono, n_frames, (double)format.rate_hz / rate_hz, n_out);
}

static void
note_failure(ClvUaWavWriter *wav)
{
    if (wav->failed == 0)
        wav->failed = errno != 0 ? errno : EIO;
}

static void
write_header(ClvUaWavWriter *wav)
{
    guint8 header[HEADER_BYTES];
    guint32 data_bytes = wav->n_samples * 2u;

    memcpy(header, "RIFF", 4);
    put32(header + 4, data_bytes + HEADER_BYTES - 8u);
    memcpy(header + 8, "WAVEfmt ", 8);
    put32(header + 16, 16);
    put16(header + 20, 1); /* PCM */
    put16(header + 22, 1); /* mono */
    put32(header + 24, wav->rate_hz);
    put32(header + 28, wav->rate_hz * 2u);
    put16(header + 32, 2);
    put16(header + 34, 16);
    memcpy(header + 36, "data", 4);
    put32(header + 40, data_bytes);

    if (fseek(wav->file, 0, SEEK_SET) != 0 || fwrite(header, sizeof header, 1, wav->file) != 1 ||
        fseek(wav->file, 0, SEEK_END) != 0 || fflush(wav->file) != 0)
        note_failure(wav);
}

ClvUaWavWriter *
clv_ua_wav_create(const char *path, guint rate_hz, GError **error)
{
    FILE *file = fopen(path, "wbe");
    ClvUaWavWriter *wav;

    if (file == NULL) {
        g_set_error(error, CLV_UA_WAV_ERROR, errno, "%s: %s", path, g_strerror(errno));
        return NULL;
    }
    wav = g_new0(ClvUaWavWriter, 1);
    wav->file = file;
    wav->path = g_strdup(path);
    wav->rate_hz = rate_hz;
    write_header(wav);
    return wav;
}

void
clv_ua_wav_write(ClvUaWavWriter *wav, const gint16 *samples, gsize n)
{
    for (gsize i = 0; i < n; i++) {
        guint8 octets[2];

        if (wav->n_samples >= (G_MAXUINT32 - HEADER_BYTES) / 2u)
            return; /* the format ends here */
        put16(octets, (guint16)samples[i]);
        if (fwrite(octets, sizeof octets, 1, wav->file) != 1) {
            note_failure(wav);
            return;
        }
        wav->n_samples++;
        wav->n_unpatched++;
    }
    if (wav->n_unpatched >= wav->rate_hz) {
        wav->n_unpatched = 0;
        write_header(wav);
    }
}

gboolean
clv_ua_wav_close(ClvUaWavWriter *wav, GError **error)
{
    int failed;

    if (wav == NULL)
        return TRUE;

    write_header(wav);
    if (fclose(wav->file) != 0)
        note_failure(wav);
    failed = wav->failed;
    if (failed != 0)
        g_set_error(error, CLV_UA_WAV_ERROR, failed, "%s: %s", wav->path, g_strerror(failed));
    g_free(wav->path);
    g_free(wav);
    return failed == 0;
}
