/* SPDX-License-Identifier: Apache-2.0 */
#include "media-stage.h"

#include <poll.h>
#include <string.h>
#include <sys/timerfd.h>
#include <unistd.h>

static void
note_event(ClvMediaEventKind kind, ClvLegId leg, guint32 value, void *user)
{
    Stage *stage = user;

    stage->events[kind]++;
    stage->last[kind] = leg;
    stage->value[kind] = value;
    if (kind == CLV_MEDIA_DTMF && stage->n_keys < STAGE_KEYS - 1)
        stage->keys[stage->n_keys++] = (char)value;
}

void
stage_open_with(Stage *stage, guint n, gboolean use_libsrtp, const char *prompts_dir)
{
    ClvMediaConfig config = {.threads = 2,
                             .max_legs = 600,
                             .cname = "mixer@test",
                             .use_libsrtp = use_libsrtp,
                             .silence_ms = 600,
                             .prompts_dir = prompts_dir};
    GError *error = NULL;

    memset(stage, 0, sizeof *stage);
    stage->media = clv_media_new(&config, &error);
    g_assert_no_error(error);
    stage->n = n;
    stage->peers = g_new0(Peer, n);
    stage->rand = g_rand_new_with_seed(7);
}

void
stage_open(Stage *stage, guint n, gboolean use_libsrtp)
{
    stage_open_with(stage, n, use_libsrtp, NULL);
}

void
stage_close(Stage *stage)
{
    for (guint i = 0; i < stage->n; i++) {
        clv_media_close(stage->media, stage->peers[i].leg);
        if (stage->peers[i].send != NULL)
            peer_clear(&stage->peers[i]);
    }
    clv_media_free(stage->media);
    g_free(stage->peers);
    g_rand_free(stage->rand);
}

void
stage_publish(Stage *stage, ClvConferenceId conference, guint32 talks, guint32 hears)
{
    ClvMixPlan *plan = g_malloc0(sizeof *plan + stage->n * sizeof plan->members[0]);

    plan->conference = conference;
    for (guint i = 0; i < stage->n; i++) {
        if (stage->peers[i].conference == conference)
            plan->members[plan->n_members++] =
                (ClvMixMember){stage->peers[i].leg, (talks >> i & 1) != 0, (hears >> i & 1) != 0};
    }
    clv_media_publish(stage->media, plan);
}

static void
send_frame(Stage *stage, Peer *peer)
{
    guint8 bytes[2048];
    gsize len = peer_make(peer, bytes, sizeof bytes);

    if ((guint)g_rand_int_range(stage->rand, 0, 100) < stage->loss_percent)
        return;
    if (stage->held_len == 0 &&
        (guint)g_rand_int_range(stage->rand, 0, 100) < stage->swap_percent) {
        memcpy(stage->held, bytes, len);
        stage->held_len = len;
        stage->held_by = peer;
        return;
    }
    peer_send(peer, bytes, len);
    if (stage->held_by == peer && stage->held_len > 0) {
        peer_send(peer, stage->held, stage->held_len);
        stage->held_len = 0;
        stage->held_by = NULL;
    }
}

/* Frames of 20 ms, in real time; events are taken as they come. */
void
stage_play(Stage *stage, guint frames)
{
    struct itimerspec every = {.it_interval = {.tv_nsec = 20000000},
                               .it_value = {.tv_nsec = 20000000}};
    int timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);

    g_assert_cmpint(timerfd_settime(timer, 0, &every, NULL), ==, 0);
    while (frames > 0) {
        struct pollfd fds[2] = {{timer, POLLIN, 0}, {clv_media_event_fd(stage->media), POLLIN, 0}};
        guint64 due = 0;

        g_assert_cmpint(poll(fds, 2, 2000), >, 0);
        if (fds[1].revents != 0)
            clv_media_dispatch(stage->media, note_event, stage);
        if (fds[0].revents == 0)
            continue;
        g_assert_cmpint(read(timer, &due, sizeof due), ==, sizeof due);
        for (; due > 0 && frames > 0; due--, frames--) {
            for (guint i = 0; i < stage->n; i++) {
                if (stage->peers[i].send != NULL && stage->peers[i].amplitude > 0)
                    send_frame(stage, &stage->peers[i]);
            }
        }
        for (guint i = 0; i < stage->n; i++) {
            if (stage->peers[i].send != NULL)
                peer_receive(&stage->peers[i]);
        }
    }
    close(timer);
}

void
stage_forget_heard(Stage *stage)
{
    for (guint i = 0; i < stage->n; i++)
        stage->peers[i].n_heard = stage->peers[i].got = stage->peers[i].seq_gaps = 0;
}

ClvMediaStats
stage_stats(Stage *stage, guint i)
{
    ClvMediaStats stats;

    g_assert_true(clv_media_stats(stage->media, stage->peers[i].leg, &stats));
    return stats;
}

/* Everybody in the one conference, each with a tone of his own. */
void
stage_fill(Stage *stage, guint n, ClvSrtpSuite suite)
{
    static const double tones[] = {300, 450, 700, 850, 1150, 1250, 1600, 1950};

    stage_open(stage, n, FALSE);
    for (guint i = 0; i < n; i++) {
        peer_init(&stage->peers[i], i + 1, 1, suite, CLV_G711_ULAW, tones[i]);
        peer_join(&stage->peers[i], stage->media);
    }
    stage_publish(stage, 1, ~0u, ~0u);
}

void
assert_hears(const Peer *ear, const Peer *mouth, gboolean heard)
{
    double amplitude = peer_hears(ear, mouth->hz, SETTLED);

    if (heard) {
        g_assert_cmpfloat(amplitude, >, 0.7 * mouth->amplitude);
        g_assert_cmpfloat(amplitude, <, 1.2 * mouth->amplitude);
    } else {
        g_assert_cmpfloat(amplitude, <, ABSENT);
    }
}
