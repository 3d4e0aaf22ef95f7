/* SPDX-License-Identifier: Apache-2.0 */
/* Keys pressed in the secured stream, beside audio that goes on or stops meanwhile. */
#include "media-stage.h"

#define SUITE CLV_SRTP_AES_CM_128_HMAC_SHA1_80

/* ---- pressing ----------------------------------------------------------------------------- */

/* One packet every 20 ms as phones do it, beside the audio or in its place. */
typedef struct Press {
    guint8 code;
    guint updates;
    gboolean beside;
    guint64 lose; /* bits: of the packets that are sent */
} Press;

static void
send_event(Peer *peer, guint8 code, gboolean marker, gboolean end, guint32 from, guint16 duration,
           gboolean lost)
{
    guint8 bytes[256];
    gsize len = peer_make_event(peer, code, marker, end, from, duration, bytes, sizeof bytes);

    if (!lost)
        peer_send(peer, bytes, len);
}

static void
press(Stage *stage, Peer *peer, const Press *how)
{
    guint32 from = peer->timestamp;
    double amplitude = peer->amplitude;
    guint n = how->updates + 3;

    if (!how->beside)
        peer->amplitude = 0;
    for (guint i = 0; i < n; i++) {
        gboolean end = i >= how->updates;
        guint16 duration = (guint16)(160 * MIN(i + 1, how->updates + 1));

        send_event(peer, how->code, i == 0, end, from, duration, (how->lose >> i & 1) != 0);
        if (!how->beside)
            peer->timestamp += PEER_FRAME;
        stage_play(stage, 1);
    }
    peer->amplitude = amplitude;
}

/* Events come within the tick after. */
static void
settle(Stage *stage)
{
    stage_play(stage, 4);
    stage->keys[stage->n_keys] = '\0';
}

/* ---- tests -------------------------------------------------------------------------------- */

static void
test_each_press_is_told_once(void)
{
    static const Press presses[] = {
        {1, 4, TRUE, 0},
        {1, 4, FALSE, 0},
        {2, 4, TRUE, 0x0f} /* the end alone */,
        {2, 4, TRUE, 0x70} /* no end */,
        {0, 4, FALSE, 0x3f} /* the last of all */,
        {11, 1, TRUE, 0},
        {10, 0, TRUE, 0},
        {15, 8, FALSE, 0x155},
    };
    Stage stage;

    stage_fill(&stage, 2, SUITE);
    stage_play(&stage, 20);
    for (guint i = 0; i < G_N_ELEMENTS(presses); i++) {
        press(&stage, &stage.peers[1], &presses[i]);
        stage_play(&stage, 3);
    }
    settle(&stage);
    g_assert_cmpstr(stage.keys, ==, "11220#*D");
    g_assert_cmpuint(stage.last[CLV_MEDIA_DTMF], ==, 2);
    g_assert_cmpuint(stage_stats(&stage, 1).rx_malformed, ==, 0);
    stage_close(&stage);
}

/* Who dials fast, or sends all at once after a stall, loses none, and the order stands. */
static void
test_a_burst_of_presses_keeps_its_order(void)
{
    Stage stage;
    Peer *peer;

    stage_fill(&stage, 1, SUITE);
    stage_play(&stage, 10);
    peer = &stage.peers[0];
    for (guint i = 0; i < 12; i++)
        send_event(peer, (guint8)(i % 12), TRUE, TRUE, peer->timestamp + 1600 * i, 800, FALSE);
    stage_play(&stage, 16);
    settle(&stage);
    g_assert_cmpstr(stage.keys, ==, "0123456789*#");
    stage_close(&stage);
}

/* Events carry the time of the press, and no audio: neither the others' ears nor the figures of
 * the network notice them. */
static void
test_events_leave_the_audio_alone(void)
{
    static const Press beside = {5, 22, TRUE, 0};
    Stage stage;
    ClvMediaStats stats;

    stage_fill(&stage, 2, SUITE);
    stage_play(&stage, 20);
    for (guint i = 0; i < 6; i++)
        press(&stage, &stage.peers[1], &beside);
    settle(&stage);
    stats = stage_stats(&stage, 1);
    g_assert_cmpstr(stage.keys, ==, "555555");
    assert_hears(&stage.peers[0], &stage.peers[1], TRUE);
    g_assert_cmpuint(stats.rx_lost, ==, 0);
    g_assert_cmpuint(stats.rx_late + stats.rx_duplicate, ==, 0);
    g_assert_cmpuint(stats.jitter_us, <,
                     15000); /* 25 updates of one timestamp would be half a second */
    stage_close(&stage);
}

/* No tone comes from an event, and the stream goes on in step when audio paused for it. */
static void
test_an_event_in_place_of_audio_is_not_heard(void)
{
    static const Press instead = {5, 40, FALSE, 0};
    Stage stage;

    stage_fill(&stage, 2, SUITE);
    stage_play(&stage, 30);
    press(&stage, &stage.peers[1], &instead);
    stage_forget_heard(&stage);
    stage_play(&stage, 120);
    settle(&stage);
    g_assert_cmpstr(stage.keys, ==, "5");
    assert_hears(&stage.peers[0], &stage.peers[1], TRUE);
    g_assert_cmpfloat(peer_hears(&stage.peers[0], 770, 0), <, ABSENT); /* of key 5 */
    g_assert_cmpfloat(peer_hears(&stage.peers[0], 1336, 0), <, ABSENT);
    stage_close(&stage);
}

static void
test_other_events_are_malformed(void)
{
    static const Press flash = {16, 2, TRUE, 0};
    Stage stage;

    stage_fill(&stage, 1, SUITE);
    stage_play(&stage, 10);
    press(&stage, &stage.peers[0], &flash);
    settle(&stage);
    g_assert_cmpuint(stage.n_keys, ==, 0);
    g_assert_cmpuint(stage_stats(&stage, 0).rx_malformed, ==, 5);
    stage_close(&stage);
}

/* Seen from us: what we may receive decides. */
static void
test_keys_count_only_where_the_direction_permits(void)
{
    static const struct {
        ClvDirection direction;
        const char *keys;
    } cases[] = {{CLV_DIR_INACTIVE, ""},
                 {CLV_DIR_SENDONLY, ""},
                 {CLV_DIR_RECVONLY, "3"},
                 {CLV_DIR_SENDRECV, "3"}};
    static const Press three = {3, 3, TRUE, 0};

    for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
        GError *error = NULL;
        Stage stage;

        stage_fill(&stage, 1, SUITE);
        stage_play(&stage, 5);
        g_assert_true(
            clv_media_change(stage.media, 1, cases[i].direction, NULL, NULL, 0, "PCMU", &error));
        stage_play(&stage, 3);
        press(&stage, &stage.peers[0], &three);
        settle(&stage);
        g_assert_cmpstr(stage.keys, ==, cases[i].keys);
        stage_close(&stage);
    }
}

static void
test_the_payload_type_may_change(void)
{
    static const Press three = {3, 3, TRUE, 0}, four = {4, 3, TRUE, 0};
    GError *error = NULL;
    Stage stage;

    stage_fill(&stage, 1, SUITE);
    stage_play(&stage, 5);
    g_assert_true(clv_media_dtmf(stage.media, 1, 96, &error));
    stage_play(&stage, 3);
    press(&stage, &stage.peers[0], &three);
    settle(&stage);
    g_assert_cmpuint(stage.n_keys, ==, 0);
    g_assert_true(clv_media_dtmf(stage.media, 1, PEER_EVENTS, &error));
    stage_play(&stage, 3);
    press(&stage, &stage.peers[0], &four);
    settle(&stage);
    g_assert_cmpstr(stage.keys, ==, "4");
    g_assert_false(clv_media_dtmf(stage.media, 77, 96, &error));
    g_assert_error(error, CLV_MEDIA_ERROR, CLV_MEDIA_ERROR_LEG);
    g_clear_error(&error);
    stage_close(&stage);
}

/* Who waits for admission is in no plan, and types his PIN. */
static void
test_keys_need_no_plan(void)
{
    static const Press nine = {9, 3, FALSE, 0};
    Stage stage;

    stage_open(&stage, 1, FALSE);
    peer_init(&stage.peers[0], 1, 1, SUITE, CLV_G711_ALAW, 400);
    peer_join(&stage.peers[0], stage.media);
    stage_play(&stage, 5);
    press(&stage, &stage.peers[0], &nine);
    settle(&stage);
    g_assert_cmpstr(stage.keys, ==, "9");
    g_assert_cmpuint(stage.peers[0].got, ==, 0);
    stage_close(&stage);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/media-dtmf/each-press-is-told-once", test_each_press_is_told_once);
    g_test_add_func("/media-dtmf/a-burst-of-presses-keeps-its-order",
                    test_a_burst_of_presses_keeps_its_order);
    g_test_add_func("/media-dtmf/events-leave-the-audio-alone", test_events_leave_the_audio_alone);
    g_test_add_func("/media-dtmf/an-event-in-place-of-audio-is-not-heard",
                    test_an_event_in_place_of_audio_is_not_heard);
    g_test_add_func("/media-dtmf/other-events-are-malformed", test_other_events_are_malformed);
    g_test_add_func("/media-dtmf/keys-count-only-where-the-direction-permits",
                    test_keys_count_only_where_the_direction_permits);
    g_test_add_func("/media-dtmf/the-payload-type-may-change", test_the_payload_type_may_change);
    g_test_add_func("/media-dtmf/keys-need-no-plan", test_keys_need_no_plan);
    return g_test_run();
}
