/* SPDX-License-Identifier: Apache-2.0 */
/* Prompts over the wire: to one leg alone, in place of the mix, and no longer than they last. */
#include "media-stage.h"

#include <glib/gstdio.h>
#include <math.h>

#define SUITE CLV_SRTP_AES_CM_128_HMAC_SHA1_80
#define PROMPT_HZ 1050 /* of pin.wav, as loud as the peers */
#define PROMPT_FRAMES 100

/* ---- a prompt that an ear knows ------------------------------------------------------------ */

static char *folder, *file;

static void
put(GByteArray *out, guint32 value, guint octets)
{
    for (; octets > 0; octets--, value >>= 8)
        g_byte_array_append(out, &(guint8){(guint8)value}, 1);
}

static void
make_prompt(void)
{
    g_autoptr(GByteArray) wav = g_byte_array_new();
    guint n = PROMPT_FRAMES * PEER_FRAME;

    g_byte_array_append(wav, (const guint8 *)"RIFF", 4);
    put(wav, 36 + 2 * n, 4);
    g_byte_array_append(wav, (const guint8 *)"WAVEfmt ", 8);
    put(wav, 16, 4);
    put(wav, 1, 2);
    put(wav, 1, 2);
    put(wav, 8000, 4);
    put(wav, 16000, 4);
    put(wav, 2, 2);
    put(wav, 16, 2);
    g_byte_array_append(wav, (const guint8 *)"data", 4);
    put(wav, 2 * n, 4);
    for (guint i = 0; i < n; i++)
        put(wav, (guint16)lrint(3000 * sin(2 * G_PI * PROMPT_HZ * i / 8000)), 2);
    folder = g_dir_make_tmp("prompts-XXXXXX", NULL);
    file = g_build_filename(folder, "pin.wav", NULL);
    g_assert_true(g_file_set_contents(file, (const char *)wav->data, wav->len, NULL));
}

static void
remove_prompt(void)
{
    g_remove(file);
    g_rmdir(folder);
    g_free(file);
    g_free(folder);
}

static void
open_stage(Stage *stage, guint n, ClvG711Law law, ClvDirection direction)
{
    static const double tones[] = {300, 450, 700};

    stage_open_with(stage, n, FALSE, folder);
    for (guint i = 0; i < n; i++) {
        peer_init(&stage->peers[i], i + 1, 1, SUITE, law, tones[i]);
        if (i == 0)
            stage->peers[i].direction = direction;
        peer_join(&stage->peers[i], stage->media);
    }
}

static double
hears_prompt(const Stage *stage, guint i)
{
    return peer_hears(&stage->peers[i], PROMPT_HZ, 0);
}

/* A busy machine may be late: the event within two seconds. */
static void
await_prompted(Stage *stage, guint n)
{
    for (guint turn = 0; turn < 100 && stage->events[CLV_MEDIA_PROMPTED] < n; turn++)
        stage_play(stage, 1);
    g_assert_cmpuint(stage->events[CLV_MEDIA_PROMPTED], ==, n);
}

static void
set_direction(Stage *stage, ClvDirection direction)
{
    GError *error = NULL;

    g_assert_true(clv_media_change(stage->media, 1, direction, NULL, NULL, 0, "PCMU", &error));
}

/* ---- who hears it -------------------------------------------------------------------------- */

static void
test_a_prompt_is_heard_by_one_in_place_of_the_mix(void)
{
    Stage stage;
    guint32 timestamp;
    guint16 seq;

    open_stage(&stage, 3, CLV_G711_ULAW, CLV_DIR_SENDRECV);
    stage_publish(&stage, 1, ~0u, ~0u);
    stage_play(&stage, 30);
    seq = stage.peers[0].last_seq;
    timestamp = stage.peers[0].last_timestamp;
    clv_media_prompt(stage.media, 1, CLV_PROMPT_PIN);
    stage_play(&stage, 5);
    stage_forget_heard(&stage);
    stage_play(&stage, 80);
    g_assert_cmpfloat(hears_prompt(&stage, 0), >, 0.9 * 3000);
    g_assert_cmpfloat(hears_prompt(&stage, 0), <, 1.1 * 3000);
    g_assert_cmpuint(stage.peers[0].last_csrcs, ==, 0);
    for (guint i = 1; i < 3; i++) {
        g_assert_cmpfloat(peer_hears(&stage.peers[0], stage.peers[i].hz, 0), <, ABSENT);
        g_assert_cmpfloat(hears_prompt(&stage, i), <, ABSENT);
        g_assert_cmpfloat(peer_hears(&stage.peers[i], stage.peers[0].hz, 0), >, 0.7 * 3000);
    }
    g_assert_cmpuint(stage.events[CLV_MEDIA_PROMPTED], ==, 0);
    await_prompted(&stage, 1);
    g_assert_cmpuint(stage.last[CLV_MEDIA_PROMPTED], ==, 1);
    g_assert_cmpuint(stage.value[CLV_MEDIA_PROMPTED], ==, CLV_PROMPT_PIN);
    stage_play(&stage, 5);
    stage_forget_heard(&stage);
    stage_play(&stage, 110);
    assert_hears(&stage.peers[0], &stage.peers[1], TRUE);
    assert_hears(&stage.peers[0], &stage.peers[2], TRUE);
    g_assert_cmpfloat(hears_prompt(&stage, 0), <, ABSENT);
    /* one stream, one clock, whatever is in it; ticks may have been skipped on a busy machine */
    g_assert_cmpuint(stage.peers[0].seq_gaps, ==, 0);
    g_assert_cmpuint((stage.peers[0].last_timestamp - timestamp) % PEER_FRAME, ==, 0);
    g_assert_cmpuint((stage.peers[0].last_timestamp - timestamp) / PEER_FRAME, >=,
                     (guint16)(stage.peers[0].last_seq - seq));
    g_assert_cmpuint(stage.events[CLV_MEDIA_PROMPTED], ==, 1);
    stage_close(&stage);
}

static void
test_who_is_in_no_plan_can_be_spoken_to(gconstpointer law)
{
    Stage stage;
    ClvMediaStats stats;

    open_stage(&stage, 2, (ClvG711Law)GPOINTER_TO_INT(law), CLV_DIR_SENDRECV);
    stage_publish(&stage, 1, 2, 2); /* but the first */
    stage_play(&stage, 30);
    g_assert_cmpuint(stage.peers[0].got, ==, 0);
    clv_media_prompt(stage.media, 1, CLV_PROMPT_PIN);
    await_prompted(&stage, 1);
    stage_play(&stage, 20);
    g_assert_cmpuint(stage.peers[0].got, ==, PROMPT_FRAMES); /* whole, and nothing after it */
    g_assert_cmpuint(stage.peers[0].markers, ==, 1);
    g_assert_cmpfloat(hears_prompt(&stage, 0), >, 0.9 * 3000);
    g_assert_cmpfloat(peer_hears(&stage.peers[0], stage.peers[1].hz, 0), <, ABSENT);
    assert_hears(&stage.peers[1], &stage.peers[0], FALSE); /* nor is he heard */
    stats = stage_stats(&stage, 0);
    g_assert_cmpuint(stats.rx_packets, >, 60); /* though his packets are authentic */
    g_assert_cmpuint(stats.tx_packets, ==, PROMPT_FRAMES);
    stage_close(&stage);
}

static void
test_every_prompt_ends_and_says_so(void)
{
    Stage stage;

    open_stage(&stage, 1, CLV_G711_ALAW, CLV_DIR_SENDRECV);
    for (guint i = CLV_PROMPT_NONE + 1; i < CLV_N_PROMPTS; i++) {
        clv_media_prompt(stage.media, 1, (ClvPrompt)i);
        await_prompted(&stage, i);
        g_assert_cmpuint(stage.value[CLV_MEDIA_PROMPTED], ==, i);
    }
    stage_close(&stage);
}

/* ---- one after the other -------------------------------------------------------------------- */

static void
test_a_later_prompt_replaces_the_one_before(void)
{
    Stage stage;

    open_stage(&stage, 1, CLV_G711_ULAW, CLV_DIR_SENDRECV);
    clv_media_prompt(stage.media, 1, CLV_PROMPT_PIN);
    stage_play(&stage, 20);
    clv_media_prompt(stage.media, 1, CLV_PROMPT_ACCEPTED);
    await_prompted(&stage, 1);
    g_assert_cmpuint(stage.value[CLV_MEDIA_PROMPTED], ==, CLV_PROMPT_ACCEPTED);
    stage_play(&stage, PROMPT_FRAMES);
    g_assert_cmpuint(stage.events[CLV_MEDIA_PROMPTED], ==, 1);
    g_assert_cmpuint(stage.peers[0].got, <, 50);
    clv_media_prompt(stage.media, 1, CLV_PROMPT_PIN);
    stage_play(&stage, 20);
    stage_forget_heard(&stage);
    clv_media_prompt(stage.media, 1, CLV_PROMPT_NONE);
    stage_play(&stage, PROMPT_FRAMES);
    g_assert_cmpuint(stage.peers[0].got, <=, 3);
    g_assert_cmpuint(stage.events[CLV_MEDIA_PROMPTED], ==, 1); /* stopped is not over */
    stage_close(&stage);
}

/* The end of the first is on its way when the second is asked for: that one's end is told alone. */
static void
test_news_of_a_prompt_do_not_survive_the_next(void)
{
    Stage stage;

    open_stage(&stage, 1, CLV_G711_ULAW, CLV_DIR_RECVONLY);
    stage_play(&stage, 5);
    for (guint turn = 0; turn < 3; turn++) {
        clv_media_prompt(stage.media, 1, CLV_PROMPT_PIN);
        g_usleep(70000); /* it is over, and nobody has dispatched that */
        clv_media_prompt(stage.media, 1, CLV_PROMPT_LEFT);
        await_prompted(&stage, turn + 1);
        stage_play(&stage, 5);
        g_assert_cmpuint(stage.events[CLV_MEDIA_PROMPTED], ==, turn + 1);
        g_assert_cmpuint(stage.value[CLV_MEDIA_PROMPTED], ==, CLV_PROMPT_LEFT);
    }
    stage_close(&stage);
}

static void
test_a_closed_leg_tells_of_no_prompt(void)
{
    Stage stage;

    open_stage(&stage, 1, CLV_G711_ULAW, CLV_DIR_SENDRECV);
    clv_media_prompt(stage.media, 1, CLV_PROMPT_ACCEPTED);
    stage_play(&stage, 3);
    clv_media_close(stage.media, 1);
    clv_media_prompt(stage.media, 1, CLV_PROMPT_ACCEPTED);
    clv_media_prompt(stage.media, 99, CLV_PROMPT_ACCEPTED);
    stage_play(&stage, 20);
    g_assert_cmpuint(stage.events[CLV_MEDIA_PROMPTED], ==, 0);
    g_assert_cmpuint(stage.events[CLV_MEDIA_CLOSED], ==, 1);
    stage_close(&stage);
}

/* ---- hold ----------------------------------------------------------------------------------- */

static void
test_prompts_obey_the_direction(void)
{
    static const struct {
        ClvDirection direction;
        gboolean sends;
    } cases[] = {{CLV_DIR_INACTIVE, FALSE},
                 {CLV_DIR_RECVONLY, FALSE},
                 {CLV_DIR_SENDONLY, TRUE},
                 {CLV_DIR_SENDRECV, TRUE}};

    for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
        Stage stage;

        open_stage(&stage, 1, CLV_G711_ULAW, cases[i].direction);
        stage_play(&stage, 5);
        clv_media_prompt(stage.media, 1, CLV_PROMPT_PIN);
        stage_play(&stage, 10);
        g_assert_cmpuint(stage.events[CLV_MEDIA_PROMPTED], ==, !cases[i].sends); /* at once */
        await_prompted(&stage, 1);
        g_assert_cmpuint(stage.value[CLV_MEDIA_PROMPTED], ==, CLV_PROMPT_PIN);
        stage_play(&stage, 5);
        g_assert_cmpuint(stage.peers[0].got, ==, cases[i].sends ? PROMPT_FRAMES : 0);
        stage_close(&stage);
    }
}

static void
test_hold_ends_a_prompt(void)
{
    Stage stage;

    open_stage(&stage, 1, CLV_G711_ULAW, CLV_DIR_SENDRECV);
    clv_media_prompt(stage.media, 1, CLV_PROMPT_PIN);
    stage_play(&stage, 20);
    set_direction(&stage, CLV_DIR_SENDONLY); /* he may still be spoken to */
    stage_play(&stage, 10);
    g_assert_cmpuint(stage.events[CLV_MEDIA_PROMPTED], ==, 0);
    g_assert_cmpuint(stage.peers[0].got, >, 20);
    set_direction(&stage, CLV_DIR_INACTIVE);
    stage_play(&stage, 5);
    g_assert_cmpuint(stage.events[CLV_MEDIA_PROMPTED], ==, 1);
    stage_forget_heard(&stage);
    set_direction(&stage, CLV_DIR_SENDRECV);
    stage_play(&stage, 20);
    g_assert_cmpuint(stage.peers[0].got, ==, 0); /* it does not come back */
    g_assert_cmpuint(stage.events[CLV_MEDIA_PROMPTED], ==, 1);
    stage_close(&stage);
}

/* Prompted, in the middle of a conference, with another law from a re-offer. */
static void
test_the_law_may_change_within_a_prompt(void)
{
    GError *error = NULL;
    Stage stage;

    open_stage(&stage, 1, CLV_G711_ULAW, CLV_DIR_SENDRECV);
    clv_media_prompt(stage.media, 1, CLV_PROMPT_PIN);
    stage_play(&stage, 20);
    g_assert_true(
        clv_media_change(stage.media, 1, CLV_DIR_SENDRECV, NULL, NULL, 8, "PCMA", &error));
    stage_play(&stage, 5);
    stage.peers[0].law = CLV_G711_ALAW;
    stage_forget_heard(&stage);
    await_prompted(&stage, 1);
    stage_play(&stage, 5);
    g_assert_cmpfloat(hears_prompt(&stage, 0), >, 0.9 * 3000);
    stage_close(&stage);
}

int
main(int argc, char **argv)
{
    int status;

    g_test_init(&argc, &argv, NULL);
    make_prompt();
    g_test_add_func("/media-prompts/a-prompt-is-heard-by-one-in-place-of-the-mix",
                    test_a_prompt_is_heard_by_one_in_place_of_the_mix);
    g_test_add_data_func("/media-prompts/who-is-in-no-plan-can-be-spoken-to-by-mu-law",
                         GINT_TO_POINTER(CLV_G711_ULAW), test_who_is_in_no_plan_can_be_spoken_to);
    g_test_add_data_func("/media-prompts/who-is-in-no-plan-can-be-spoken-to-by-a-law",
                         GINT_TO_POINTER(CLV_G711_ALAW), test_who_is_in_no_plan_can_be_spoken_to);
    g_test_add_func("/media-prompts/every-prompt-ends-and-says-so",
                    test_every_prompt_ends_and_says_so);
    g_test_add_func("/media-prompts/a-later-prompt-replaces-the-one-before",
                    test_a_later_prompt_replaces_the_one_before);
    g_test_add_func("/media-prompts/news-of-a-prompt-do-not-survive-the-next",
                    test_news_of_a_prompt_do_not_survive_the_next);
    g_test_add_func("/media-prompts/a-closed-leg-tells-of-no-prompt",
                    test_a_closed_leg_tells_of_no_prompt);
    g_test_add_func("/media-prompts/prompts-obey-the-direction", test_prompts_obey_the_direction);
    g_test_add_func("/media-prompts/hold-ends-a-prompt", test_hold_ends_a_prompt);
    g_test_add_func("/media-prompts/the-law-may-change-within-a-prompt",
                    test_the_law_may_change_within_a_prompt);
    status = g_test_run();
    remove_prompt();
    return status;
}
