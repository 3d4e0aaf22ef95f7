/* SPDX-License-Identifier: Apache-2.0 */
/* The prompt set: what is shipped can be heard, what is broken is named, and a tone is always
 * there. */
#include "media/prompts.h"
#include "media/wav.h"

#include <glib/gstdio.h>
#include <math.h>
#include <string.h>

#define SPOKEN 9 /* of which files are expected */

static GPtrArray *
new_warnings(void)
{
    return g_ptr_array_new_with_free_func(g_free);
}

static gint16 *
decode(const ClvPromptSound *sound, ClvG711Law law, gsize *n)
{
    gint16 *samples;

    *n = (gsize)sound->n_frames * CLV_PROMPT_FRAME;
    samples = g_new(gint16, *n);
    clv_g711_decode(law, sound->code[law], samples, *n);
    return samples;
}

/* RMS of what is louder than -50 dBFS, in dBFS. */
static double
level(const gint16 *samples, gsize n)
{
    double sum = 0;
    guint loud = 0;

    for (gsize i = 0; i < n; i++) {
        if (abs(samples[i]) > 104) {
            sum += (double)samples[i] * samples[i];
            loud++;
        }
    }
    return loud > 0 ? 10 * log10(sum / loud / (32768.0 * 32768.0)) : -127;
}

static int
peak(const gint16 *samples, gsize n)
{
    int most = 0;

    for (gsize i = 0; i < n; i++)
        most = MAX(most, abs(samples[i]));
    return most;
}

static gboolean
same_sound(const ClvPromptSound *a, const ClvPromptSound *b)
{
    return a->n_frames == b->n_frames &&
           memcmp(a->code[0], b->code[0], (gsize)a->n_frames * CLV_PROMPT_FRAME) == 0;
}

/* ---- files of our own making -------------------------------------------------------------- */

static void
put16(GByteArray *out, guint16 value)
{
    g_byte_array_append(out, (const guint8[]){(guint8)value, (guint8)(value >> 8)}, 2);
}

static void
put32(GByteArray *out, guint32 value)
{
    put16(out, (guint16)value);
    put16(out, (guint16)(value >> 16));
}

static void
put_tag(GByteArray *out, const char *tag)
{
    g_byte_array_append(out, (const guint8 *)tag, 4);
}

typedef struct Form {
    guint16 format, channels, bits;
    guint32 rate;
    gboolean list; /* an odd chunk before the samples */
    guint n;
} Form;

static const Form ours = {1, 1, 16, 8000, FALSE, 400};

static GByteArray *
make_wav(const Form *form)
{
    GByteArray *out = g_byte_array_new();

    put_tag(out, "RIFF");
    put32(out, 36 + 2 * form->n);
    put_tag(out, "WAVE");
    put_tag(out, "fmt ");
    put32(out, form->format == 0xfffe ? 40 : 16);
    put16(out, form->format);
    put16(out, form->channels);
    put32(out, form->rate);
    put32(out, form->rate * form->channels * form->bits / 8);
    put16(out, (guint16)(form->channels * form->bits / 8));
    put16(out, form->bits);
    if (form->format == 0xfffe) {
        static const guint8 rest[24] = {22, 0, 16, 0, 4, 0, 0, 0, 1};

        g_byte_array_append(out, rest, sizeof rest);
    }
    if (form->list) {
        put_tag(out, "LIST");
        put32(out, 3);
        g_byte_array_append(out, (const guint8 *)"abc", 4);
    }
    put_tag(out, "data");
    put32(out, 2 * form->n);
    for (guint i = 0; i < form->n; i++)
        put16(out, (guint16)(i * 10));
    return out;
}

/* A folder with one file in it; returns its path. */
static char *
make_folder(const char *name, const GByteArray *bytes)
{
    char *dir = g_dir_make_tmp("prompts-XXXXXX", NULL);
    g_autofree char *path = g_build_filename(dir, name, NULL);

    g_assert_nonnull(dir);
    g_assert_true(g_file_set_contents(path, (const char *)bytes->data, bytes->len, NULL));
    return dir;
}

static void
remove_folder(char *dir, const char *name)
{
    g_autofree char *path = g_build_filename(dir, name, NULL);

    g_assert_cmpint(g_remove(path), ==, 0);
    g_assert_cmpint(g_rmdir(dir), ==, 0);
    g_free(dir);
}

/* The warning about a file; NULL when there is none. */
static const char *
warning_about(GPtrArray *warnings, const char *name)
{
    for (guint i = 0; i < warnings->len; i++) {
        if (strstr(g_ptr_array_index(warnings, i), name) != NULL)
            return g_ptr_array_index(warnings, i);
    }
    return NULL;
}

/* ---- tones -------------------------------------------------------------------------------- */

static void
test_every_prompt_is_a_tone_without_files(void)
{
    g_autoptr(GPtrArray) warnings = new_warnings();
    ClvPrompts *prompts = clv_prompts_load(NULL, warnings);

    g_assert_cmpuint(warnings->len, ==, 0);
    g_assert_cmpuint(clv_prompts_sound(prompts, CLV_PROMPT_NONE)->n_frames, ==, 0);
    for (int i = CLV_PROMPT_NONE + 1; i < CLV_N_PROMPTS; i++) {
        const ClvPromptSound *sound = clv_prompts_sound(prompts, (ClvPrompt)i);

        g_assert_cmpint(sound->id, ==, i);
        g_assert_cmpuint(sound->n_frames, >=, 5);
        g_assert_cmpuint(sound->n_frames, <, 75);
        for (int law = 0; law < CLV_N_G711_LAWS; law++) {
            gsize n;
            g_autofree gint16 *samples = decode(sound, (ClvG711Law)law, &n);

            g_assert_cmpfloat(level(samples, n), >, -20);
            g_assert_cmpfloat(level(samples, n), <, -16);
            g_assert_cmpint(abs(samples[0]), <, 200); /* begins and ends without a click */
            g_assert_cmpint(abs(samples[n - 1]), <, 200);
        }
        for (int k = CLV_PROMPT_NONE + 1; k < i; k++)
            g_assert_false(same_sound(sound, clv_prompts_sound(prompts, (ClvPrompt)k)));
    }
    clv_prompts_free(prompts);
}

/* Zero crossings of the first and the last 100 ms. */
static void
crossings(const ClvPromptSound *sound, guint *first, guint *last)
{
    gsize n;
    g_autofree gint16 *samples = decode(sound, CLV_G711_ULAW, &n);
    gsize end = n;

    while (end > 0 && abs(samples[end - 1]) < 100)
        end--;
    *first = *last = 0;
    for (gsize i = 1; i < 800; i++) {
        *first += (samples[i] < 0) != (samples[i - 1] < 0);
        *last += (samples[end - i] < 0) != (samples[end - i - 1] < 0);
    }
}

static void
test_who_comes_rises_and_who_leaves_falls(void)
{
    g_autoptr(GPtrArray) warnings = new_warnings();
    ClvPrompts *prompts = clv_prompts_load(NULL, warnings);
    guint first, last;

    crossings(clv_prompts_sound(prompts, CLV_PROMPT_JOINED), &first, &last);
    g_assert_cmpuint(first + 10, <, last);
    crossings(clv_prompts_sound(prompts, CLV_PROMPT_LEFT), &first, &last);
    g_assert_cmpuint(first, >, last + 10);
    clv_prompts_free(prompts);
}

/* ---- the set that is shipped -------------------------------------------------------------- */

static void
test_the_set_in_the_tree_is_whole_and_at_a_good_level(void)
{
    g_autofree char *dir = g_test_build_filename(G_TEST_DIST, "data", "prompts", "en", NULL);
    g_autoptr(GPtrArray) warnings = new_warnings();
    ClvPrompts *prompts = clv_prompts_load(dir, warnings),
               *tones = clv_prompts_load(NULL, warnings);
    guint spoken = 0;
    gsize octets = 0;

    for (guint i = 0; i < warnings->len; i++)
        g_error("%s", (const char *)g_ptr_array_index(warnings, i));
    for (int i = CLV_PROMPT_NONE + 1; i < CLV_N_PROMPTS; i++) {
        const ClvPromptSound *sound = clv_prompts_sound(prompts, (ClvPrompt)i);
        gsize n;
        g_autofree gint16 *samples = decode(sound, CLV_G711_ALAW, &n);

        if (same_sound(sound, clv_prompts_sound(tones, (ClvPrompt)i)))
            continue;
        spoken++;
        octets += 2 * n;
        g_assert_cmpuint(sound->n_frames, >, 50);
        g_assert_cmpuint(sound->n_frames, <, 200);
        g_assert_cmpfloat(level(samples, n), >, -20.5);
        g_assert_cmpfloat(level(samples, n), <, -16);
        g_assert_cmpint(peak(samples, n), <, 30000);
        g_assert_cmpint(peak(samples, 800), >, 200); /* trimmed at both ends */
        g_assert_cmpint(peak(samples + n - 800, 800), >, 200);
    }
    g_assert_cmpuint(spoken, ==, SPOKEN);
    g_assert_cmpuint(octets, <, 400000);
    clv_prompts_free(prompts);
    clv_prompts_free(tones);
}

/* ---- files -------------------------------------------------------------------------------- */

static void
test_a_file_is_encoded_in_both_laws(void)
{
    static const Form forms[] = {{1, 1, 16, 8000, FALSE, 400},
                                 {1, 1, 16, 8000, TRUE, 400},
                                 {0xfffe, 1, 16, 8000, FALSE, 400}};

    for (guint f = 0; f < G_N_ELEMENTS(forms); f++) {
        g_autoptr(GPtrArray) warnings = new_warnings();
        g_autoptr(GByteArray) wav = make_wav(&forms[f]);
        char *dir = make_folder("joined.wav", wav);
        ClvPrompts *prompts = clv_prompts_load(dir, warnings);
        const ClvPromptSound *sound = clv_prompts_sound(prompts, CLV_PROMPT_JOINED);

        g_assert_cmpuint(sound->n_frames, ==, 3);
        for (int law = 0; law < CLV_N_G711_LAWS; law++) {
            gsize n;
            g_autofree gint16 *samples = decode(sound, (ClvG711Law)law, &n);

            for (gsize i = 0; i < n; i++)
                g_assert_cmpint(abs(samples[i] - (i < 400 ? (int)i * 10 : 0)), <=,
                                i < 400 ? 16 + (int)i / 2 : 8);
        }
        g_assert_null(warning_about(warnings, "joined"));
        g_assert_cmpuint(warnings->len, ==, SPOKEN); /* the others are missing */
        clv_prompts_free(prompts);
        remove_folder(dir, "joined.wav");
    }
}

static void
check_broken(const GByteArray *bytes, const char *found)
{
    g_autoptr(GPtrArray) warnings = new_warnings();
    char *dir = make_folder("pin.wav", bytes);
    g_autofree char *path = g_build_filename(dir, "pin.wav", NULL);
    ClvPrompts *prompts = clv_prompts_load(dir, warnings),
               *tones = clv_prompts_load(NULL, warnings);
    const char *warning = warning_about(warnings, path);

    g_assert_nonnull(warning);
    if (strstr(warning, found) == NULL || strstr(warning, "expected") == NULL)
        g_error("%s: expected '%s' in it", warning, found);
    g_assert_true(same_sound(clv_prompts_sound(prompts, CLV_PROMPT_PIN),
                             clv_prompts_sound(tones, CLV_PROMPT_PIN)));
    clv_prompts_free(prompts);
    clv_prompts_free(tones);
    remove_folder(dir, "pin.wav");
}

static void
test_a_broken_file_is_named_with_what_was_found_and_a_tone_is_played(void)
{
    static const struct {
        Form form;
        const char *found;
    } cases[] = {
        {{1, 1, 16, 44100, FALSE, 400}, "found format 1, 44100 Hz, 16 bit, channels: 1"},
        {{1, 2, 16, 8000, FALSE, 400}, "channels: 2"},
        {{1, 1, 8, 8000, FALSE, 400}, "8 bit"},
        {{6, 1, 16, 8000, FALSE, 400}, "found format 6"},
        {{1, 1, 16, 8000, FALSE, 0}, "no samples"},
        {{1, 1, 16, 8000, FALSE, 600000}, "found 1200044 octets"},
    };
    g_autoptr(GByteArray) wav = make_wav(&ours);
    g_autoptr(GByteArray) text = g_byte_array_new();

    for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(GByteArray) bytes = make_wav(&cases[i].form);

        check_broken(bytes, cases[i].found);
    }
    check_broken(text, "no whole WAVE file");
    g_byte_array_append(text, (const guint8 *)"Please enter the PIN", 20);
    check_broken(text, "no whole WAVE file");
    g_byte_array_set_size(wav, wav->len - 2);
    check_broken(wav, "no whole WAVE file");
    memcpy(wav->data + 12, "mft ", 4);
    g_byte_array_append(wav, (const guint8 *)"ab", 2);
    check_broken(wav, "samples without a format");
}

static void
test_every_file_that_ends_early_is_refused(void)
{
    g_autoptr(GByteArray) wav = make_wav(&(Form){1, 1, 16, 8000, TRUE, 8});

    for (guint len = 0; len <= wav->len; len++) {
        g_autofree guint8 *copy = g_memdup2(wav->data, len); /* of exactly that size */
        ClvWav out;

        g_assert_cmpint(clv_wav_read(copy, len, &out) == CLV_WAV_OK, ==, len == wav->len);
    }
}

static void
test_a_missing_file_or_folder_is_one_warning_each(void)
{
    g_autoptr(GPtrArray) warnings = new_warnings();
    char *dir = g_dir_make_tmp("prompts-XXXXXX", NULL);
    g_autofree char *none = g_build_filename(dir, "none", NULL);
    g_autofree char *folder = g_build_filename(dir, "knock.wav", NULL);

    clv_prompts_check(none, warnings);
    g_assert_cmpuint(warnings->len, ==, 1);
    g_assert_nonnull(warning_about(warnings, none));
    g_ptr_array_set_size(warnings, 0);
    clv_prompts_check(dir, warnings);
    g_assert_cmpuint(warnings->len, ==, SPOKEN);
    for (int i = CLV_PROMPT_NONE + 1; i <= CLV_PROMPT_ENDED; i++) {
        g_autofree char *file = g_strdup_printf("/%s.wav: ", clv_prompts_name((ClvPrompt)i));

        g_assert_nonnull(warning_about(warnings, file));
    }
    g_assert_cmpint(g_mkdir(folder, 0700), ==, 0);
    g_ptr_array_set_size(warnings, 0);
    clv_prompts_check(dir, warnings);
    g_assert_nonnull(strstr(warning_about(warnings, "knock.wav"), "no regular file"));
    g_rmdir(folder);
    g_rmdir(dir);
    g_free(dir);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/prompts/every-prompt-is-a-tone-without-files",
                    test_every_prompt_is_a_tone_without_files);
    g_test_add_func("/prompts/who-comes-rises-and-who-leaves-falls",
                    test_who_comes_rises_and_who_leaves_falls);
    g_test_add_func("/prompts/the-set-in-the-tree-is-whole-and-at-a-good-level",
                    test_the_set_in_the_tree_is_whole_and_at_a_good_level);
    g_test_add_func("/prompts/a-file-is-encoded-in-both-laws", test_a_file_is_encoded_in_both_laws);
    g_test_add_func("/prompts/a-broken-file-is-named-with-what-was-found-and-a-tone-is-played",
                    test_a_broken_file_is_named_with_what_was_found_and_a_tone_is_played);
    g_test_add_func("/prompts/every-file-that-ends-early-is-refused",
                    test_every_file_that_ends_early_is_refused);
    g_test_add_func("/prompts/a-missing-file-or-folder-is-one-warning-each",
                    test_a_missing_file_or_folder_is_one_warning_each);
    return g_test_run();
}
