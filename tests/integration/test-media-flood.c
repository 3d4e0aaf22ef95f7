/* SPDX-License-Identifier: Apache-2.0 */
/* Packets at line rate to one participant, or to many: what a tick spends on them is bounded, and
 * the others go on talking. */
#include "media-stage.h"

#include "media/leg.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define SUITE CLV_SRTP_AES_CM_128_HMAC_SHA1_80
#define FLOOD_FRAMES 60      /* a bit more than a second */
#define FLOOD_PACKETS 600000 /* the end of it in any case */

/* What a tick may take, as in leg.c and loop.c. */
#define MAX_PER_TICK 256
#define MAX_AUTHENTIC 32
#define DUE_PER_TICK 3
#define RTP_BUDGET 4096
#define REPORTS_BUDGET 512
#define SLACK_TICKS 5 /* threads do not tick at the same moment, nor do we look then */

/* ---- a stranger who sends as fast as he can -------------------------------------------------- */

typedef struct Flood {
    GThread *thread;
    const guint16 *ports;
    guint n_ports;
    guint8 second; /* octet of the packets: payload type, or that of RTCP */
    atomic_bool stop;
    guint sent;
} Flood;

static gpointer
run_flood(gpointer data)
{
    Flood *flood = data;
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    guint8 packet[182] = {0x80, flood->second, 0, 0};
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    memset(packet + 4, 0x5a, sizeof packet - 4);
    while (!atomic_load(&flood->stop) && flood->sent < FLOOD_PACKETS) {
        to.sin_port = htons(flood->ports[flood->sent % flood->n_ports]);
        packet[3] = (guint8)flood->sent;
        packet[2] = (guint8)(flood->sent >> 8);
        flood->sent += sendto(fd, packet, sizeof packet, 0, (struct sockaddr *)&to, sizeof to) > 0;
    }
    close(fd);
    return NULL;
}

static guint64
ticks(Stage *stage)
{
    ClvMediaTotals totals;

    clv_media_totals(stage->media, &totals);
    return totals.ticks;
}

/* Returns how many ticks there were meanwhile, at most. */
static guint64
flood(Stage *stage, const guint16 *ports, guint n_ports, guint8 second)
{
    Flood f = {.ports = ports, .n_ports = n_ports, .second = second};
    guint64 before = ticks(stage);

    f.thread = g_thread_new("flood", run_flood, &f);
    stage_play(stage, FLOOD_FRAMES);
    atomic_store(&f.stop, true);
    (void)g_thread_join(f.thread);
    stage_play(stage, 5); /* what lies in sockets still */
    g_assert_cmpuint(f.sent, >, 3000);
    return ticks(stage) - before + SLACK_TICKS;
}

/* The first two hear each other as ever. */
static void
assert_undisturbed(Stage *stage)
{
    stage_play(stage, 100 - FLOOD_FRAMES); /* the ear wants more than a second */
    for (guint i = 0; i < 2; i++) {
        g_assert_cmpuint(stage->peers[i].seq_gaps, ==, 0);
        g_assert_cmpuint(stage->peers[i].got, >, 80);
        assert_hears(&stage->peers[i], &stage->peers[1 - i], TRUE);
    }
}

/* ---- tests ------------------------------------------------------------------------------------
 */

static void
test_a_forged_flood_costs_no_more_than_its_share(void)
{
    Stage stage;
    ClvMediaStats stats;
    guint64 n;

    stage_fill(&stage, 3, SUITE);
    stage_play(&stage, 20);
    stage_forget_heard(&stage);
    n = flood(&stage, &stage.peers[2].mixer_port, 1, 0);
    stats = stage_stats(&stage, 2);
    g_test_message("%" G_GUINT64_FORMAT " forged packets looked at in %" G_GUINT64_FORMAT " ticks",
                   stats.rx_auth_failed, n);
    g_assert_cmpuint(stats.rx_auth_failed, >, 1000);
    g_assert_cmpuint(stats.rx_auth_failed, <=, MAX_PER_TICK * n);
    assert_undisturbed(&stage);
    stage_close(&stage);
}

/* One leg alone, without a thread: a hundred forged packets wait for it. */
static void
test_a_leg_takes_its_due_and_then_from_the_budget(void)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    static const unsigned budgets[] = {0, 10, 1000};
    static const unsigned taken[] = {DUE_PER_TICK, DUE_PER_TICK + 10, 100};
    static const guint8 packet[182] = {0x80};
    const ClvNow now = {.monotonic_ns = 1};
    socklen_t len = sizeof at;
    Peer peer;

    peer_init(&peer, 1, 1, SUITE, CLV_G711_ULAW, 0);
    for (guint i = 0; i < G_N_ELEMENTS(budgets); i++) {
        g_autofree ClvMediaLeg *leg = g_new0(ClvMediaLeg, 1);
        unsigned budget = budgets[i];

        at.sin_port = 0;
        leg->rx = peer.receive;
        leg->rtp_fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        g_assert_cmpint(bind(leg->rtp_fd, (struct sockaddr *)&at, sizeof at), ==, 0);
        g_assert_cmpint(getsockname(leg->rtp_fd, (struct sockaddr *)&at, &len), ==, 0);
        peer.mixer_port = ntohs(at.sin_port);
        for (guint n = 0; n < 100; n++)
            peer_send(&peer, packet, sizeof packet);
        clv_leg_receive(leg, &now, &budget);
        g_assert_cmpuint(clv_leg_count(leg, CLV_LEG_AUTH_FAILED), ==, taken[i]);
        g_assert_cmpuint(budget, ==, budgets[i] - (taken[i] - DUE_PER_TICK));
        close(leg->rtp_fd);
    }
    peer_clear(&peer);
}

static void
test_forged_floods_on_many_legs_share_one_budget(void)
{
    enum { VICTIMS = 14, N = 2 + VICTIMS };
    Stage stage;
    guint16 ports[VICTIMS];
    guint64 looked_at = 0, n;

    stage_open(&stage, N, FALSE);
    for (guint i = 0; i < N; i++) {
        peer_init(&stage.peers[i], i + 1, 1, SUITE, CLV_G711_ULAW, i == 0 ? 300 : 450);
        peer_join(&stage.peers[i], stage.media);
        if (i >= 2) {
            stage.peers[i].amplitude = 0;
            ports[i - 2] = stage.peers[i].mixer_port;
        }
    }
    stage_publish(&stage, 1, 3, 3);
    stage_play(&stage, 20);
    stage_forget_heard(&stage);
    n = flood(&stage, ports, VICTIMS, 0);
    for (guint i = 2; i < N; i++)
        looked_at += stage_stats(&stage, i).rx_auth_failed;
    g_test_message("%" G_GUINT64_FORMAT " forged packets looked at in %" G_GUINT64_FORMAT " ticks",
                   looked_at, n);
    g_assert_cmpuint(looked_at, >, 1000);
    g_assert_cmpuint(looked_at, <=, (RTP_BUDGET + VICTIMS * DUE_PER_TICK) * n);
    assert_undisturbed(&stage);
    stage_close(&stage);
}

static void
test_forged_reports_wait_for_the_tick(void)
{
    Stage stage;
    ClvMediaStats stats;
    guint16 port;
    guint64 n;

    stage_fill(&stage, 3, SUITE);
    stage_play(&stage, 20);
    stage_forget_heard(&stage);
    port = (guint16)(stage.peers[2].mixer_port + 1);
    n = flood(&stage, &port, 1, 200);
    stats = stage_stats(&stage, 2);
    g_test_message("%" G_GUINT64_FORMAT " forged reports looked at in %" G_GUINT64_FORMAT " ticks",
                   stats.rx_auth_failed + stats.rx_clear, n);
    g_assert_cmpuint(stats.rx_auth_failed + stats.rx_clear, >, 1000);
    g_assert_cmpuint(stats.rx_auth_failed + stats.rx_clear, <=, REPORTS_BUDGET * n);
    assert_undisturbed(&stage);
    stage_close(&stage);
}

/* A participant with good keys and bad manners: 10,000 packets a second. */
static void
test_an_authentic_flood_overflows_alone(void)
{
    Stage stage;
    ClvMediaStats stats;
    guint64 before, n;
    Peer *rude;

    stage_fill(&stage, 3, SUITE);
    stage_play(&stage, 20);
    stage_forget_heard(&stage);
    rude = &stage.peers[2];
    rude->amplitude = 0;
    before = ticks(&stage);
    for (guint frame = 0; frame < FLOOD_FRAMES; frame++) {
        for (guint i = 0; i < 200; i++) {
            guint8 bytes[256];

            peer_send(rude, bytes, peer_make(rude, bytes, sizeof bytes));
        }
        stage_play(&stage, 1);
    }
    stage_play(&stage, 5);
    n = ticks(&stage) - before + SLACK_TICKS;
    stats = stage_stats(&stage, 2);
    g_test_message("%" G_GUINT64_FORMAT " authentic packets taken in %" G_GUINT64_FORMAT " ticks",
                   stats.rx_packets, n);
    g_assert_cmpuint(stats.rx_packets, >, 1000);
    g_assert_cmpuint(stats.rx_packets, <=, MAX_AUTHENTIC * n + 40);
    assert_undisturbed(&stage);
    stage_close(&stage);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/media-flood/a-forged-flood-costs-no-more-than-its-share",
                    test_a_forged_flood_costs_no_more_than_its_share);
    g_test_add_func("/media-flood/a-leg-takes-its-due-and-then-from-the-budget",
                    test_a_leg_takes_its_due_and_then_from_the_budget);
    g_test_add_func("/media-flood/forged-floods-on-many-legs-share-one-budget",
                    test_forged_floods_on_many_legs_share_one_budget);
    g_test_add_func("/media-flood/forged-reports-wait-for-the-tick",
                    test_forged_reports_wait_for_the_tick);
    g_test_add_func("/media-flood/an-authentic-flood-overflows-alone",
                    test_an_authentic_flood_overflows_alone);
    return g_test_run();
}
