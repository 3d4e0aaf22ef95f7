/* SPDX-License-Identifier: Apache-2.0 */
/* The jitter buffer, in simulated time: a sender, a path, and an ear that counts glitches. */
#include "media/jitter.h"

#include <glib.h>
#include <string.h>

#define FRAME CLV_JITTER_FRAME
#define TICK_US 20000.0

/* What is sent is a running number in each frame's octets, so that the ear knows what it hears. */
typedef struct Ear {
    ClvJitter jitter;
    guint heard, missed, repeated, ticks;
    gint64 last;
} Ear;

static void
frame_of(guint32 number, guint8 *out, size_t len)
{
    memset(out, 0, len);
    memcpy(out, &number, sizeof number);
}

static void
ear_init(Ear *ear)
{
    memset(ear, 0, sizeof *ear);
    clv_jitter_init(&ear->jitter);
    ear->last = -1;
}

static void
ear_tick(Ear *ear, gboolean quiet)
{
    guint8 out[FRAME];
    guint32 number;

    ear->ticks++;
    if (clv_jitter_get(&ear->jitter, quiet, out) != FRAME) {
        ear->missed++;
        return;
    }
    memcpy(&number, out, sizeof number);
    if (number <= ear->last)
        ear->repeated++;
    ear->last = number;
    ear->heard++;
}

static ClvJitterPut
send(Ear *ear, guint32 number)
{
    guint8 payload[FRAME];

    frame_of(number, payload, FRAME);
    return clv_jitter_put(&ear->jitter, (guint16)(number + 65000), 4294960000u + number * FRAME,
                          number == 0, payload, FRAME);
}

/* Packets in flight, played out by arrival time. */
typedef struct Flight {
    double arrives_us;
    guint32 number;
} Flight;

typedef struct Path {
    double ppm;       /* the sender's clock against ours */
    double jitter_us; /* each packet is late by up to that */
    double loss, dup;
    guint32 seconds;
    guint32 quiet_every; /* one frame in that many may be cut; 0: none */
} Path;

static gint
by_arrival(gconstpointer a, gconstpointer b)
{
    const Flight *x = a, *y = b;

    return x->arrives_us < y->arrives_us ? -1 : x->arrives_us > y->arrives_us;
}

static void
run(Ear *ear, const Path *path, GRand *rand)
{
    guint32 n = path->seconds * 50;
    g_autoptr(GArray) flights = g_array_new(FALSE, FALSE, sizeof(Flight));
    guint at = 0;

    for (guint32 i = 0; i < n; i++) {
        double sent = i * TICK_US * (1 - path->ppm / 1e6) + 7000;
        Flight f = {.arrives_us = sent + g_rand_double(rand) * path->jitter_us, .number = i};

        if (g_rand_double(rand) < path->loss)
            continue;
        g_array_append_val(flights, f);
        f.arrives_us += 5000;
        if (g_rand_double(rand) < path->dup)
            g_array_append_val(flights, f);
    }
    g_array_sort(flights, by_arrival);
    ear_init(ear);
    for (guint32 tick = 0; tick < n; tick++) {
        while (at < flights->len && g_array_index(flights, Flight, at).arrives_us <= tick * TICK_US)
            (void)send(ear, g_array_index(flights, Flight, at++).number);
        ear_tick(ear, path->quiet_every != 0 && tick % path->quiet_every == 0);
    }
}

static void
test_a_steady_stream_is_played_whole(void)
{
    g_autoptr(GRand) rand = g_rand_new_with_seed(1);
    Path path = {.seconds = 3600};
    Ear ear;

    run(&ear, &path, rand);
    g_assert_cmpuint(ear.repeated, ==, 0);
    g_assert_cmpuint(ear.missed, <=, 4); /* before the first */
    g_assert_cmpuint(ear.jitter.late, ==, 0);
    g_assert_cmpuint(ear.jitter.dropped, <=, 1);
    g_assert_cmpuint(clv_jitter_depth_ms(&ear.jitter), <=, 40);
}

static void
test_drift_costs_a_frame_in_a_hundred_seconds(void)
{
    g_autoptr(GRand) rand = g_rand_new_with_seed(2);

    for (int sign = -1; sign <= 1; sign += 2) {
        Path path = {
            .ppm = 200.0 * sign, .jitter_us = 2000, .seconds = 4 * 3600, .quiet_every = 50};
        Ear ear;

        run(&ear, &path, rand); /* 144 frames of drift in four hours */
        g_assert_cmpuint(ear.missed + ear.jitter.dropped, >=, 100);
        g_assert_cmpuint(ear.missed + ear.jitter.dropped, <=, 350);
        g_assert_cmpuint(ear.repeated, ==, 0);
        g_assert_cmpuint(clv_jitter_depth_ms(&ear.jitter), <=, 80);
    }
}

static void
test_jitter_and_reordering_are_evened_out(void)
{
    g_autoptr(GRand) rand = g_rand_new_with_seed(3);
    Path path = {.jitter_us = 70000, .seconds = 600, .quiet_every = 10}; /* overtaking, too */
    Ear ear;

    run(&ear, &path, rand);
    g_assert_cmpuint(ear.heard, >, 600 * 50 * 99 / 100);
    g_assert_cmpuint(ear.repeated, <, 30);
    g_assert_cmpuint(clv_jitter_depth_ms(&ear.jitter), <=, 160);
}

static void
test_loss_and_duplicates_cost_only_what_is_lost(void)
{
    g_autoptr(GRand) rand = g_rand_new_with_seed(4);
    Path path = {.loss = 0.05, .dup = 0.05, .seconds = 600};
    Ear ear;

    run(&ear, &path, rand);
    g_assert_cmpuint(ear.missed, >, 1200);
    g_assert_cmpuint(ear.missed, <, 1800); /* 5 % of 30,000 */
    g_assert_cmpuint(ear.repeated, ==, 0);
    g_assert_cmpuint(ear.jitter.late, ==, 0);
}

static void
test_duplicates_are_told_apart_from_latecomers(void)
{
    Ear ear;

    ear_init(&ear);
    g_assert_cmpint(send(&ear, 0), ==, CLV_JITTER_FRESH);
    g_assert_cmpint(send(&ear, 0), ==, CLV_JITTER_DUPLICATE);
    g_assert_cmpint(send(&ear, 2), ==, CLV_JITTER_FRESH);
    g_assert_cmpint(send(&ear, 1), ==, CLV_JITTER_FRESH);
    g_assert_cmpint(send(&ear, 1), ==, CLV_JITTER_DUPLICATE);
    g_assert_cmpint(send(&ear, 5), ==, CLV_JITTER_FRESH);
    for (int i = 0; i < 8; i++)
        ear_tick(&ear, FALSE);
    g_assert_cmpint(send(&ear, 4), ==, CLV_JITTER_LATE);
    g_assert_cmpint(send(&ear, 2), ==, CLV_JITTER_DUPLICATE);
}

static void
test_a_delay_that_grows_is_followed_and_given_up_again(void)
{
    Ear ear;
    guint32 number = 0;

    ear_init(&ear);
    for (; number < 500; number++) {
        send(&ear, number);
        ear_tick(&ear, FALSE);
    }
    for (int i = 0; i < 10; i++) /* 200 ms of nothing, then all goes on as before, but later */
        ear_tick(&ear, FALSE);
    ear.missed = 0;
    for (; number < 1000; number++) {
        send(&ear, number);
        ear_tick(&ear, TRUE);
    }
    g_assert_cmpuint(ear.missed, <=, 3);
    for (int i = 0; i < 10; i++) /* the hold-up dissolves: ten packets at once */
        send(&ear, number++);
    g_assert_cmpuint(clv_jitter_depth_ms(&ear.jitter), >=, 200);
    for (guint32 end = number + 3000; number < end; number++) {
        send(&ear, number);
        ear_tick(&ear, TRUE);
    }
    g_assert_cmpuint(clv_jitter_depth_ms(&ear.jitter), <=, 60);
    g_assert_cmpuint(ear.missed, <=, 6);
}

static void
test_talk_spurts_come_through_whole(void)
{
    for (int clock_runs = 0; clock_runs < 2; clock_runs++) { /* through the pauses, or not */
        guint32 timestamp = 1000, number = 0;
        Ear ear;

        ear_init(&ear);
        for (int spurt = 0; spurt < 50; spurt++) {
            for (int i = 0; i < 40; i++) {
                guint8 payload[FRAME];

                frame_of(number, payload, FRAME);
                clv_jitter_put(&ear.jitter, (guint16)number, timestamp, i == 0, payload, FRAME);
                number++;
                timestamp += FRAME;
                ear_tick(&ear, FALSE);
            }
            for (int i = 0; i < 30 + spurt; i++) {
                ear_tick(&ear, TRUE);
                timestamp += clock_runs ? FRAME : 0;
            }
        }
        g_assert_cmpuint(ear.heard + ear.jitter.dropped, ==, 50 * 40);
        g_assert_cmpuint(ear.jitter.dropped, <=, 1);
        g_assert_cmpuint(ear.repeated, ==, 0);
        g_assert_cmpuint(ear.jitter.late, ==, 0);
    }
}

static void
test_leaps_start_anew(void)
{
    static const gint64 leaps[] = {1 << 30, -(1 << 30), 100000, -100000, 5000};

    for (size_t l = 0; l < G_N_ELEMENTS(leaps); l++) {
        Ear ear;
        guint32 timestamp = 0;

        ear_init(&ear);
        for (guint32 number = 0; number < 200; number++) {
            guint8 payload[FRAME];

            if (number == 100) {
                timestamp += (guint32)leaps[l];
                ear.missed = 0;
            }
            frame_of(number, payload, FRAME);
            clv_jitter_put(&ear.jitter, (guint16)number, timestamp, FALSE, payload, FRAME);
            timestamp += FRAME;
            ear_tick(&ear, FALSE);
        }
        g_assert_cmpuint(ear.missed, <=, 4);
        g_assert_cmpuint(ear.heard, >=, 190);
    }
}

static void
test_sequence_numbers_may_leap_too(void)
{
    Ear ear;

    ear_init(&ear);
    for (guint32 number = 0; number < 200; number++) {
        guint8 payload[FRAME];

        frame_of(number, payload, FRAME);
        clv_jitter_put(&ear.jitter, (guint16)(number < 100 ? number : number + 30000),
                       number * FRAME, FALSE, payload, FRAME);
        ear_tick(&ear, FALSE);
    }
    g_assert_cmpuint(ear.heard, >=, 190);
    g_assert_cmpuint(ear.repeated, ==, 0);
}

/* Packets of 10, 30, 40 and 60 ms: every octet is played once and in order. */
static void
test_other_packet_times_are_cut_to_frames(void)
{
    static const guint lens[] = {80, 240, 320, 480};

    for (size_t l = 0; l < G_N_ELEMENTS(lens); l++) {
        guint32 sent = 0;
        guint16 seq = 0;
        guint8 next = 0;
        guint heard = 0, dropped = 0;
        ClvJitter jitter;

        clv_jitter_init(&jitter);
        for (guint tick = 0; tick < 2000; tick++) {
            guint8 out[FRAME];
            size_t n;

            while (sent + lens[l] <= (tick + 1) * FRAME) {
                guint8 payload[480];

                for (guint i = 0; i < lens[l]; i++)
                    payload[i] = (guint8)(sent + i);
                clv_jitter_put(&jitter, seq++, sent, FALSE, payload, lens[l]);
                sent += lens[l];
            }
            n = clv_jitter_get(&jitter, FALSE, out);
            if (heard == 0 && n > 0)
                next = out[0];
            if (jitter.dropped != dropped) /* the delay shrank by a frame */
                next = (guint8)(next + FRAME);
            dropped = jitter.dropped;
            for (size_t i = 0; i < n; i++)
                g_assert_cmpuint(out[i], ==, next++);
            heard += (guint)n;
        }
        g_assert_cmpuint(heard, >, 1980 * FRAME);
        g_assert_cmpuint(dropped, <=, 2);
    }
}

static void
test_nonsense_does_no_harm(void)
{
    g_autoptr(GRand) rand = g_rand_new_with_seed(5);
    ClvJitter jitter;
    guint8 payload[CLV_JITTER_MAX_PAYLOAD + 1] = {0}, out[FRAME];

    clv_jitter_init(&jitter);
    g_assert_cmpint(clv_jitter_put(&jitter, 0, 0, FALSE, payload, 0), ==, CLV_JITTER_UNFIT);
    g_assert_cmpint(clv_jitter_put(&jitter, 0, 0, FALSE, payload, sizeof payload), ==,
                    CLV_JITTER_UNFIT);
    for (int i = 0; i < 300000; i++) {
        guint32 timestamp = g_rand_int(rand);
        guint16 seq = (guint16)g_rand_int(rand);

        if (i % 3 != 0) {
            seq = (guint16)(i + g_rand_int_range(rand, -40, 40));
            timestamp = (guint32)(i * 160 + g_rand_int_range(rand, -10000, 10000));
        }
        clv_jitter_put(&jitter, seq, timestamp, i % 5 == 0, payload,
                       (size_t)g_rand_int_range(rand, 0, sizeof payload));
        g_assert_cmpuint(clv_jitter_get(&jitter, i % 7 == 0, out), <=, FRAME);
    }
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/jitter/a-steady-stream-is-played-whole",
                    test_a_steady_stream_is_played_whole);
    g_test_add_func("/jitter/drift-costs-a-frame-in-a-hundred-seconds",
                    test_drift_costs_a_frame_in_a_hundred_seconds);
    g_test_add_func("/jitter/jitter-and-reordering-are-evened-out",
                    test_jitter_and_reordering_are_evened_out);
    g_test_add_func("/jitter/loss-and-duplicates-cost-only-what-is-lost",
                    test_loss_and_duplicates_cost_only_what_is_lost);
    g_test_add_func("/jitter/duplicates-are-told-apart-from-latecomers",
                    test_duplicates_are_told_apart_from_latecomers);
    g_test_add_func("/jitter/a-delay-that-grows-is-followed-and-given-up-again",
                    test_a_delay_that_grows_is_followed_and_given_up_again);
    g_test_add_func("/jitter/talk-spurts-come-through-whole", test_talk_spurts_come_through_whole);
    g_test_add_func("/jitter/leaps-start-anew", test_leaps_start_anew);
    g_test_add_func("/jitter/sequence-numbers-may-leap-too", test_sequence_numbers_may_leap_too);
    g_test_add_func("/jitter/other-packet-times-are-cut-to-frames",
                    test_other_packet_times_are_cut_to_frames);
    g_test_add_func("/jitter/nonsense-does-no-harm", test_nonsense_does_no_harm);
    return g_test_run();
}
