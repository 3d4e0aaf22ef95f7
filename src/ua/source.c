/* SPDX-License-Identifier: Apache-2.0 */
/* ua/source.c - samples for the encoder */
#include "ua/source.h"

#include <math.h>
#include <string.h>

typedef struct Oscillator {
    double phase; /* 0 to 2 pi */
    double step;
    double amplitude;
} Oscillator;

struct ClvUaSource {
    Oscillator *oscillators;
    guint n_oscillators;
    gint16 *samples;
    gsize n_samples;
    gsize at;
};

ClvUaSource *
clv_ua_source_tones(const ClvUaTone *tones, guint n_tones, guint rate_hz)
{
    ClvUaSource *source = g_new0(ClvUaSource, 1);

    source->oscillators = g_new0(Oscillator, n_tones);
    source->n_oscillators = n_tones;
    for (guint i = 0; i < n_tones; i++) {
        source->oscillators[i].step = 2.0 * G_PI * tones[i].hz / rate_hz;
        source->oscillators[i].amplitude = 32767.0 * pow(10.0, tones[i].dbfs / 20.0);
    }
    return source;
}

ClvUaSource *
clv_ua_source_samples(gint16 *samples, gsize n)
{
    ClvUaSource *source = g_new0(ClvUaSource, 1);

    source->samples = samples;
    source->n_samples = n;
    return source;
}

ClvUaSource *
clv_ua_source_silence(void)
{
    return g_new0(ClvUaSource, 1);
}

void
clv_ua_source_free(ClvUaSource *source)
{
    if (source == NULL)
        return;
    g_free(source->oscillators);
    g_free(source->samples);
    g_free(source);
}

static gint16
next_of_tones(ClvUaSource *source)
{
    double sum = 0.0;

    for (guint i = 0; i < source->n_oscillators; i++) {
        Oscillator *o = &source->oscillators[i];

        sum += o->amplitude * sin(o->phase);
        o->phase += o->step;
        if (o->phase >= 2.0 * G_PI)
            o->phase -= 2.0 * G_PI;
    }
    return (gint16)CLAMP(lrint(sum), G_MININT16, G_MAXINT16);
}

void
clv_ua_source_read(ClvUaSource *source, gint16 *out, gsize n)
{
    for (gsize i = 0; i < n; i++) {
        if (source->n_samples > 0) {
            out[i] = source->samples[source->at];
            source->at = (source->at + 1) % source->n_samples;
        } else {
            out[i] = next_of_tones(source);
        }
    }
}
