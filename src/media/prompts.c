/* SPDX-License-Identifier: Apache-2.0 */
/* media/prompts.c - the prompt set: WAV files, and tones where there are none */
#include "media/prompts.h"

#include "media/wav.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define RATE 8000
#define AMPLITUDE 5833.0 /* a sine of -18 dBFS */
#define FADE (RATE / 200)
#define MAX_FILE (1 << 20) /* octets: a bit more than a minute */
#define MAX_TONES 7

/* A tone that may glide; 0 Hz is a pause, 0 ms the end. */
typedef struct Tone {
    uint16_t from_hz, to_hz, ms;
} Tone;

typedef struct Figure {
    const char *name;
    gboolean spoken; /* a file is expected; else one is only welcome */
    Tone tones[MAX_TONES];
} Figure;

#define PAUSE(ms)                                                                                  \
    {                                                                                              \
        0, 0, ms                                                                                   \
    }

static const Figure figures[CLV_N_PROMPTS] = {
    [CLV_PROMPT_PIN] = {"pin", TRUE, {{660, 660, 150}, PAUSE(80), {880, 880, 150}}},
    [CLV_PROMPT_PIN_WRONG] =
        {"pin-wrong",
         TRUE,
         {{330, 330, 200}, PAUSE(80), {660, 660, 150}, PAUSE(80), {880, 880, 150}}},
    [CLV_PROMPT_PIN_FAILED] =
        {"pin-failed",
         TRUE,
         {{330, 330, 250}, PAUSE(100), {294, 294, 250}, PAUSE(100), {262, 262, 500}}},
    [CLV_PROMPT_ALONE] = {"alone", TRUE, {{523, 523, 300}}},
    [CLV_PROMPT_LOCKED] = {"locked", TRUE, {{587, 587, 120}, PAUSE(60), {392, 392, 240}}},
    [CLV_PROMPT_UNLOCKED] = {"unlocked", TRUE, {{392, 392, 120}, PAUSE(60), {587, 587, 240}}},
    [CLV_PROMPT_KNOCK] = {"knock", TRUE, {{700, 700, 120}, PAUSE(120), {700, 700, 120}}},
    [CLV_PROMPT_ENDING] =
        {"ending",
         TRUE,
         {{440, 440, 150}, PAUSE(100), {440, 440, 150}, PAUSE(100), {440, 440, 400}}},
    [CLV_PROMPT_ENDED] = {"ended", TRUE, {{523, 523, 200}, {440, 440, 200}, {349, 349, 500}}},
    [CLV_PROMPT_JOINED] = {"joined", FALSE, {{440, 660, 250}}},
    [CLV_PROMPT_LEFT] = {"left", FALSE, {{660, 440, 250}}},
    [CLV_PROMPT_ACCEPTED] = {"accepted", FALSE, {{1000, 1000, 120}}},
    [CLV_PROMPT_REJECTED] = {"rejected", FALSE, {{300, 300, 250}}},
};

struct ClvPrompts {
    ClvPromptSound sounds[CLV_N_PROMPTS];
};

/* ---- samples to frames -------------------------------------------------------------------- */

/* Whole frames of both laws; the last one is filled up with silence. */
static void
encode(ClvPromptSound *sound, const gint16 *samples, gsize n)
{
    gsize octets;

    sound->n_frames = (guint32)((n + CLV_PROMPT_FRAME - 1) / CLV_PROMPT_FRAME);
    octets = (gsize)sound->n_frames * CLV_PROMPT_FRAME;
    for (int law = 0; law < CLV_N_G711_LAWS; law++) {
        sound->code[law] = g_malloc(octets);
        memset(sound->code[law], clv_g711_silence((ClvG711Law)law), octets);
        clv_g711_encode((ClvG711Law)law, samples, sound->code[law], n);
    }
}

/* ---- tones -------------------------------------------------------------------------------- */

static double
fade(guint at, guint n)
{
    guint edge = MIN(at, n - 1 - at);

    return edge < FADE ? 0.5 - 0.5 * cos(G_PI * edge / FADE) : 1;
}

static void
add_tone(GArray *samples, const Tone *tone)
{
    guint n = tone->ms * (guint)RATE / 1000;
    double phase = 0;

    for (guint i = 0; i < n; i++) {
        double hz = tone->from_hz + ((double)tone->to_hz - tone->from_hz) * i / n;
        gint16 sample = (gint16)lrint(hz > 0 ? AMPLITUDE * fade(i, n) * sin(phase) : 0);

        phase += 2 * G_PI * hz / RATE;
        g_array_append_val(samples, sample);
    }
}

static void
compute(ClvPromptSound *sound, const Figure *figure)
{
    g_autoptr(GArray) samples = g_array_new(FALSE, FALSE, sizeof(gint16));

    for (guint i = 0; i < MAX_TONES && figure->tones[i].ms > 0; i++)
        add_tone(samples, &figure->tones[i]);
    encode(sound, (const gint16 *)(const void *)samples->data, samples->len);
}

/* ---- files -------------------------------------------------------------------------------- */

/* Returns: (transfer full) (nullable): what is wrong with the file, NULL when nothing is. */
static char *
slurp(int fd, GByteArray *out)
{
    struct stat info;
    ssize_t n;

    if (fstat(fd, &info) != 0)
        return g_strdup(g_strerror(errno));
    if (!S_ISREG(info.st_mode))
        return g_strdup("found no regular file");
    if (info.st_size > MAX_FILE)
        return g_strdup_printf("found %" G_GINT64_FORMAT " octets, expected at most %d",
                               (gint64)info.st_size, MAX_FILE);
    g_byte_array_set_size(out, (guint)info.st_size);
    n = info.st_size > 0 ? read(fd, out->data, (gsize)info.st_size) : 0;
    if (n < 0)
        return g_strdup(g_strerror(errno));
    g_byte_array_set_size(out, (guint)n);
    return NULL;
}

static char *
read_file(const char *path, GByteArray *out)
{
    int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    char *trouble;

    if (fd < 0)
        return g_strdup(g_strerror(errno));
    trouble = slurp(fd, out);
    close(fd);
    return trouble;
}

static char *
describe(ClvWavVerdict verdict, const ClvWav *wav)
{
    switch (verdict) {
    case CLV_WAV_OK:
        return NULL;
    case CLV_WAV_NO_WAVE:
        return g_strdup("found no whole WAVE file, expected " CLV_WAV_EXPECTED);
    case CLV_WAV_NO_FORMAT:
        return g_strdup("found samples without a format, expected " CLV_WAV_EXPECTED);
    case CLV_WAV_EMPTY:
        return g_strdup("found no samples, expected " CLV_WAV_EXPECTED);
    case CLV_WAV_OTHER:
        break;
    }
    return g_strdup_printf(
        "found format %u, %u Hz, %u bit, channels: %u; expected " CLV_WAV_EXPECTED, wav->format,
        wav->rate_hz, wav->bits, wav->channels);
}

static char *
read_samples(const char *path, ClvPromptSound *sound)
{
    g_autoptr(GByteArray) bytes = g_byte_array_new();
    g_autofree gint16 *samples = NULL;
    char *trouble = read_file(path, bytes);
    ClvWav wav;

    if (trouble != NULL)
        return trouble;
    trouble = describe(clv_wav_read(bytes->data, bytes->len, &wav), &wav);
    if (trouble != NULL)
        return trouble;
    samples = g_new(gint16, wav.n_samples);
    for (gsize i = 0; i < wav.n_samples; i++)
        samples[i] = clv_wav_sample(&wav, i);
    encode(sound, samples, wav.n_samples);
    return NULL;
}

/* ---- the set ------------------------------------------------------------------------------ */

static gboolean
has_folder(const char *dir, GPtrArray *warnings)
{
    if (dir == NULL)
        return FALSE;
    if (g_file_test(dir, G_FILE_TEST_IS_DIR))
        return TRUE;
    g_ptr_array_add(warnings, g_strdup_printf("%s: found no such folder, expected one with WAVE "
                                              "files of prompts; tones are played instead",
                                              dir));
    return FALSE;
}

/* False: a tone, then. */
static gboolean
load(ClvPromptSound *sound, const Figure *figure, const char *dir, GPtrArray *warnings)
{
    g_autofree char *file = g_strconcat(figure->name, ".wav", NULL);
    g_autofree char *path = g_build_filename(dir, file, NULL);
    g_autofree char *trouble = NULL;

    if (!figure->spoken && !g_file_test(path, G_FILE_TEST_EXISTS))
        return FALSE;
    trouble = read_samples(path, sound);
    if (trouble == NULL)
        return TRUE;
    g_ptr_array_add(warnings, g_strdup_printf("%s: %s; a tone is played instead", path, trouble));
    return FALSE;
}

ClvPrompts *
clv_prompts_load(const char *dir, GPtrArray *warnings)
{
    ClvPrompts *prompts = g_new0(ClvPrompts, 1);
    gboolean files = has_folder(dir, warnings);

    clv_g711_init();
    for (int i = CLV_PROMPT_NONE + 1; i < CLV_N_PROMPTS; i++) {
        ClvPromptSound *sound = &prompts->sounds[i];

        sound->id = (ClvPrompt)i;
        if (!files || !load(sound, &figures[i], dir, warnings))
            compute(sound, &figures[i]);
    }
    return prompts;
}

void
clv_prompts_check(const char *dir, GPtrArray *warnings)
{
    clv_prompts_free(clv_prompts_load(dir, warnings));
}

void
clv_prompts_free(ClvPrompts *prompts)
{
    if (prompts == NULL)
        return;
    for (int i = 0; i < CLV_N_PROMPTS; i++) {
        for (int law = 0; law < CLV_N_G711_LAWS; law++)
            g_free(prompts->sounds[i].code[law]);
    }
    g_free(prompts);
}

const ClvPromptSound *
clv_prompts_sound(const ClvPrompts *prompts, ClvPrompt prompt)
{
    g_return_val_if_fail(prompt >= 0 && prompt < CLV_N_PROMPTS, NULL);
    return &prompts->sounds[prompt];
}

const char *
clv_prompts_name(ClvPrompt prompt)
{
    return prompt > CLV_PROMPT_NONE && prompt < CLV_N_PROMPTS ? figures[prompt].name : NULL;
}
