/* SPDX-License-Identifier: Apache-2.0 */
/* The media threads over loopback sockets: tones in, and an ear on what comes out. */
#include "media-stage.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* ---- who hears whom ----------------------------------------------------------------------- */

static void
test_all_hear_all_but_themselves(gconstpointer use_libsrtp)
{
    static const double tones[] = {300, 450, 700, 850, 1150, 1250, 1600, 1950};
    enum { N = 8 };
    Stage stage;

    stage_open(&stage, N, GPOINTER_TO_INT(use_libsrtp));
    for (guint i = 0; i < N; i++) /* five in one conference, three in another; all suites */
        peer_init(&stage.peers[i], i + 1, i < 5 ? 1 : 2,
                  (ClvSrtpSuite)(1 + i % (CLV_N_SRTP_SUITES - 1)),
                  i % 2 == 0 ? CLV_G711_ULAW : CLV_G711_ALAW, tones[i]);
    stage_publish(&stage, 2, ~0u, ~0u); /* a plan may name legs that open later */
    for (guint i = 0; i < N; i++)
        peer_join(&stage.peers[i], stage.media);
    stage_publish(&stage, 1, ~0u, ~0u);
    stage_play(&stage, 150);
    for (guint i = 0; i < N; i++) {
        Peer *ear = &stage.peers[i];
        ClvMediaStats stats = stage_stats(&stage, i);

        g_assert_cmpuint(ear->bad, ==, 0);
        g_assert_cmpuint(ear->seq_gaps, ==, 0);
        g_assert_cmpuint(ear->got, >, 100);
        for (guint k = 0; k < N; k++)
            assert_hears(ear, &stage.peers[k],
                         k != i && stage.peers[k].conference == ear->conference);
        g_assert_cmpuint(ear->last_csrcs, ==, i < 5 ? 4 : 2);
        for (guint c = 0; c < ear->last_csrcs; c++)
            g_assert_cmphex(ear->csrcs[c], !=, ear->ssrc);
        g_assert_cmphex(stats.rx_ssrc, ==, ear->ssrc);
        g_assert_cmphex(stats.tx_ssrc, ==, ear->mixer_ssrc);
        g_assert_cmpuint(stats.rx_packets, >, 120);
        g_assert_cmpuint(stats.rx_auth_failed + stats.rx_clear + stats.rx_malformed, ==, 0);
        for (guint turn = 0; turn < 100 && stats.level_dbov < -28; turn++) {
            stage_play(&stage, 1); /* the last frame may have been late */
            stats = stage_stats(&stage, i);
        }
        g_assert_cmpint(stats.level_dbov, >=, -28); /* a tone of 3000 has -24 dBov */
        g_assert_cmpint(stats.level_dbov, <, -20);
    }
    g_assert_cmpuint(stage.events[CLV_MEDIA_FIRST_PACKET], ==, N);
    g_assert_cmpuint(stage.events[CLV_MEDIA_TALKING], ==, N);
    g_assert_cmpuint(stage.value[CLV_MEDIA_TALKING], ==, 1);
    stage_close(&stage);
}

static void
test_the_plan_says_who_talks_and_who_hears(void)
{
    Stage stage;

    stage_fill(&stage, 4, CLV_SRTP_AES_CM_128_HMAC_SHA1_80);
    stage_publish(&stage, 1, 0x3, 0xd); /* 0 both, 1 talks only, 2 and 3 hear only */
    stage_play(&stage, 120);
    assert_hears(&stage.peers[0], &stage.peers[1], TRUE);
    assert_hears(&stage.peers[0], &stage.peers[0], FALSE);
    assert_hears(&stage.peers[0], &stage.peers[2], FALSE);
    g_assert_cmpuint(stage.peers[1].got, <=, 2); /* from before the second plan */
    for (guint i = 2; i < 4; i++) {
        assert_hears(&stage.peers[i], &stage.peers[0], TRUE);
        assert_hears(&stage.peers[i], &stage.peers[1], TRUE);
        assert_hears(&stage.peers[i], &stage.peers[5 - i], FALSE);
    }
    g_assert_cmpuint(stage_stats(&stage, 3).rx_packets, >, 100); /* received, yet not heard */
    stage_close(&stage);
}

static void
test_silence_is_sent_as_well(void)
{
    Stage stage;

    stage_open(&stage, 2, FALSE);
    for (guint i = 0; i < 2; i++) {
        peer_init(&stage.peers[i], i + 1, 1, CLV_SRTP_AEAD_AES_128_GCM, CLV_G711_ALAW, 0);
        peer_join(&stage.peers[i], stage.media);
    }
    stage_publish(&stage, 1, ~0u, ~0u);
    stage_play(&stage, 60);
    for (guint i = 0; i < 2; i++) {
        g_assert_cmpuint(stage.peers[i].got, >=, 40);
        for (guint s = 0; s < stage.peers[i].n_heard; s++)
            g_assert_cmpint(ABS(stage.peers[i].heard[s]), <=, 8);
    }
    stage_close(&stage);
}

static void
test_hold_stops_and_resume_goes_on(void)
{
    Stage stage;
    GError *error = NULL;

    stage_fill(&stage, 2, CLV_SRTP_AES_CM_128_HMAC_SHA1_80);
    stage_play(&stage, 30);
    g_assert_true(
        clv_media_change(stage.media, 1, CLV_DIR_INACTIVE, NULL, NULL, 0, "PCMU", &error));
    stage_play(&stage, 10);
    stage_forget_heard(&stage);
    stage_play(&stage, 70);
    g_assert_cmpuint(stage.peers[0].got, ==, 0);
    assert_hears(&stage.peers[1], &stage.peers[0], FALSE);
    g_assert_true(
        clv_media_change(stage.media, 1, CLV_DIR_SENDRECV, NULL, NULL, 0, "PCMU", &error));
    stage_forget_heard(&stage);
    stage_play(&stage, 110);
    assert_hears(&stage.peers[0], &stage.peers[1], TRUE);
    assert_hears(&stage.peers[1], &stage.peers[0], TRUE);
    g_assert_cmpuint(stage.peers[0].markers, ==, 2);
    stage_close(&stage);
}

/* From the first packet on, as after a re-offer: what we may not send is not sent, what we may not
 * receive is not heard, and reports go all the same. */
static void
test_directions_hold_from_the_start(gconstpointer data)
{
    ClvDirection direction = (ClvDirection)GPOINTER_TO_INT(data);
    Stage stage;
    Peer *held;

    stage_open(&stage, 2, FALSE);
    for (guint i = 0; i < 2; i++) {
        peer_init(&stage.peers[i], i + 1, 1, CLV_SRTP_AES_CM_128_HMAC_SHA1_80, CLV_G711_ULAW,
                  i == 0 ? 300 : 450);
        stage.peers[i].direction = i == 0 ? direction : CLV_DIR_SENDRECV;
        peer_join(&stage.peers[i], stage.media);
    }
    held = &stage.peers[0];
    stage_publish(&stage, 1, ~0u, ~0u);
    stage_play(&stage, 130);
    if ((direction & CLV_DIR_SENDONLY) != 0)
        assert_hears(held, &stage.peers[1], TRUE);
    else
        g_assert_cmpuint(held->got, ==, 0);
    assert_hears(&stage.peers[1], held, (direction & CLV_DIR_RECVONLY) != 0);
    for (guint turn = 0; turn < 40 && held->reports == 0; turn++)
        stage_play(&stage, 10);
    g_assert_cmpuint(held->reports, >, 0);
    g_assert_cmpuint(held->bad, ==, 0);
    g_assert_cmpuint(stage_stats(&stage, 0).rx_packets, >,
                     100); /* authentic, whatever becomes of it */
    stage_close(&stage);
}

/* Who waits for a plan may find his way through a NAT meanwhile. */
static void
test_packets_before_the_plan_latch_and_are_not_heard(void)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    Stage stage;
    int signalled;

    stage_open(&stage, 2, FALSE);
    for (guint i = 0; i < 2; i++) {
        peer_init(&stage.peers[i], i + 1, 1, CLV_SRTP_AES_CM_128_HMAC_SHA1_80, CLV_G711_ULAW,
                  i == 0 ? 300 : 450);
        peer_join(&stage.peers[i], stage.media);
    }
    signalled = stage.peers[0].fd; /* but he sends from elsewhere */
    stage.peers[0].fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    g_assert_cmpint(bind(stage.peers[0].fd, (struct sockaddr *)&at, sizeof at), ==, 0);
    stage_publish(&stage, 1, 2, 2);
    stage_play(&stage, 80);
    g_assert_cmpuint(stage.events[CLV_MEDIA_FIRST_PACKET], ==, 2);
    g_assert_cmpuint(stage_stats(&stage, 0).rx_packets, >, 60);
    g_assert_cmpuint(stage.peers[0].got, ==, 0);
    assert_hears(&stage.peers[1], &stage.peers[0], FALSE);
    stage_forget_heard(&stage);
    stage_publish(&stage, 1, 3, 3);
    stage_play(&stage, 120);
    assert_hears(&stage.peers[0], &stage.peers[1], TRUE); /* at the latched address */
    assert_hears(&stage.peers[1], &stage.peers[0], TRUE);
    close(signalled);
    stage_close(&stage);
}

/* ---- a bad network ------------------------------------------------------------------------ */

static void
test_loss_and_reordering_leave_the_tone_standing(void)
{
    Stage stage;

    stage_fill(&stage, 3, CLV_SRTP_AES_CM_128_HMAC_SHA1_80);
    stage.loss_percent = 5;
    stage.swap_percent = 5;
    stage_play(&stage, 300);
    for (guint i = 0; i < 3; i++) {
        ClvMediaStats stats = stage_stats(&stage, i);

        g_assert_cmpuint(stats.rx_lost, >, 3);
        g_assert_cmpuint(stats.rx_lost, <, 40);
        g_assert_cmpuint(stats.concealed, >, 3);
        g_assert_cmpuint(stats.rx_replayed, ==, 0);
        for (guint k = 0; k < 3; k++) {
            double amplitude = peer_hears(&stage.peers[i], stage.peers[k].hz, SETTLED);

            if (k == i)
                g_assert_cmpfloat(amplitude, <, ABSENT);
            else
                g_assert_cmpfloat(amplitude, >, 0.55 * stage.peers[k].amplitude);
        }
    }
    stage_close(&stage);
}

/* ---- hostile packets ---------------------------------------------------------------------- */

static void
test_forged_replayed_and_clear_packets_are_counted_and_dropped(void)
{
    static const guint8 stun[20] = {0x00, 0x01}, dtls[30] = {22, 0xfe, 0xfd};
    static const guint8 app[20] = {0x80, 204, 0, 4};
    guint8 bytes[2048], clear[172] = {0x80, 0x00, 0x12, 0x34};
    Stage stage;
    Peer stranger;
    ClvMediaStats stats;
    gsize len;

    stage_fill(&stage, 2, CLV_SRTP_AES_CM_128_HMAC_SHA1_80);
    stage_play(&stage, 60);
    peer_init(&stranger, 99, 1, CLV_SRTP_AES_CM_128_HMAC_SHA1_80, CLV_G711_ULAW, 2500);
    stranger.mixer_port = stage.peers[0].mixer_port;
    stage_forget_heard(&stage);
    for (guint i = 0; i < 60; i++) {
        len = peer_make(&stranger, bytes, sizeof bytes); /* under keys of his own */
        peer_send(&stranger, bytes, len);
        memset(clear + 12, 0x12, 160);
        clear[3]++;
        peer_send(&stranger, clear, sizeof clear);
        peer_send(&stranger, stun, sizeof stun);
        peer_send(&stranger, dtls, sizeof dtls);
        peer_send(&stranger, app, sizeof app);
        len = peer_make(&stage.peers[0], bytes, sizeof bytes); /* the true one, */
        peer_send(&stage.peers[0], bytes, len);
        peer_send(&stranger, bytes, len); /* and again from elsewhere */
        stage_play(&stage, 1);
    }
    stage_play(&stage, 60);
    stats = stage_stats(&stage, 0);
    g_assert_cmpuint(stats.rx_auth_failed, >=, 60);
    g_assert_cmpuint(stats.rx_clear, >=, 180);
    g_assert_cmpuint(stats.rx_replayed, >=, 60);
    g_assert_cmpuint(stats.rx_wrong_source, >=, 120);
    assert_hears(&stage.peers[1], &stranger, FALSE);
    g_assert_cmpuint(stage.peers[0].got, >, 80); /* still at the old address */
    peer_receive(&stranger);
    g_assert_cmpuint(stranger.got + stranger.bad, ==, 0);
    peer_clear(&stranger);
    stage_close(&stage);
}

static void
test_the_address_follows_authentic_packets(void)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    Stage stage;

    stage_fill(&stage, 2, CLV_SRTP_AES_CM_128_HMAC_SHA1_80);
    stage_play(&stage, 50);
    close(stage.peers[0].fd); /* the binding of his NAT has gone; a new one */
    stage.peers[0].fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    g_assert_cmpint(bind(stage.peers[0].fd, (struct sockaddr *)&at, sizeof at), ==, 0);
    stage_forget_heard(&stage);
    stage_play(&stage, 120);
    g_assert_cmpuint(stage.peers[0].got, >, 90);
    assert_hears(&stage.peers[0], &stage.peers[1], TRUE);
    assert_hears(&stage.peers[1], &stage.peers[0], TRUE);
    stage_close(&stage);
}

static void
test_an_ssrc_belongs_to_who_came_first(void)
{
    Stage stage;

    stage_fill(&stage, 3, CLV_SRTP_AES_CM_128_HMAC_SHA1_80);
    stage.peers[2].amplitude = 0; /* not yet */
    stage_play(&stage, 30);
    stage.peers[2].ssrc = stage.peers[0].ssrc;
    stage.peers[2].amplitude = 3000;
    stage_forget_heard(&stage);
    stage_play(&stage, 120);
    g_assert_cmpuint(stage.events[CLV_MEDIA_COLLISION], >=, 1);
    g_assert_cmpuint(stage.last[CLV_MEDIA_COLLISION], ==, 3);
    assert_hears(&stage.peers[1], &stage.peers[0], TRUE);
    assert_hears(&stage.peers[1], &stage.peers[2], FALSE);
    stage.peers[2].ssrc ^= 0x1234; /* he resolves it */
    stage_forget_heard(&stage);
    stage_play(&stage, 120);
    assert_hears(&stage.peers[1], &stage.peers[2], TRUE);
    stage_close(&stage);
}

/* The SSRC of who joins stands in his offer, where others may read it; they do not get it before he
 * has said a word. */
static void
test_an_ssrc_belongs_to_who_said_so(void)
{
    Stage stage;
    Peer *victim, *thief;
    GError *error = NULL;

    stage_fill(&stage, 3, CLV_SRTP_AES_CM_128_HMAC_SHA1_80);
    victim = &stage.peers[0];
    thief = &stage.peers[2];
    victim->mute = TRUE;
    victim->to_mixer.has_ssrc = TRUE;
    victim->to_mixer.ssrc = victim->ssrc;
    g_assert_true(clv_media_rekey(stage.media, victim->leg, &victim->to_mixer, &victim->from_mixer,
                                  &error));
    thief->to_mixer.has_ssrc = TRUE; /* to say so later is of no use */
    thief->to_mixer.ssrc = victim->ssrc;
    thief->ssrc = victim->ssrc;
    stage_play(&stage, 5);
    g_assert_true(
        clv_media_rekey(stage.media, thief->leg, &thief->to_mixer, &thief->from_mixer, &error));
    stage_play(&stage, 50);
    g_assert_cmpuint(stage.events[CLV_MEDIA_COLLISION], ==, 1); /* and not one for each packet */
    g_assert_cmpuint(stage.last[CLV_MEDIA_COLLISION], ==, thief->leg);
    g_assert_cmphex(stage.value[CLV_MEDIA_COLLISION], ==, victim->ssrc);
    victim->mute = FALSE;
    stage_forget_heard(&stage);
    stage_play(&stage, 120);
    assert_hears(&stage.peers[1], victim, TRUE);
    assert_hears(&stage.peers[1], thief, FALSE);
    stage_close(&stage);
}

/* Nothing is left of the keys, as LeakSanitizer sees, when all ends amid a change of them. */
static void
test_the_end_amid_a_change_of_keys(void)
{
    Stage stage;
    GError *error = NULL;
    Peer fresh;

    stage_fill(&stage, 1, CLV_SRTP_AES_CM_128_HMAC_SHA1_80);
    peer_init(&fresh, 50, 1, CLV_SRTP_AEAD_AES_256_GCM, CLV_G711_ULAW, 0);
    g_assert_true(clv_media_rekey(stage.media, 1, &fresh.to_mixer, &fresh.from_mixer, &error));
    stage_play(&stage, 5);
    stage_close(&stage);
    peer_clear(&fresh);
}

static void
test_one_key_for_both_ways_is_refused(void)
{
    Stage stage;
    GError *error = NULL;
    ClvSrtpKeys *keys;

    stage_fill(&stage, 1, CLV_SRTP_AES_CM_128_HMAC_SHA1_80);
    keys = &stage.peers[0].to_mixer;
    g_assert_false(clv_media_rekey(stage.media, 1, keys, keys, &error));
    g_assert_error(error, CLV_MEDIA_ERROR, CLV_MEDIA_ERROR_SRTP);
    g_clear_error(&error);
    stage_close(&stage);
}

/* ---- keys, reports, ends ------------------------------------------------------------------ */

static void
test_rekeying_loses_nothing(void)
{
    Stage stage;
    GError *error = NULL;
    Peer *peer;
    Peer fresh;

    stage_fill(&stage, 2, CLV_SRTP_AES_CM_128_HMAC_SHA1_80);
    stage_play(&stage, 40);
    peer = &stage.peers[0];
    peer_init(&fresh, 50, 1, CLV_SRTP_AEAD_AES_256_GCM, CLV_G711_ULAW, 0);
    g_assert_true(clv_media_rekey(stage.media, 1, &fresh.to_mixer, &fresh.from_mixer, &error));
    stage_play(&stage, 10); /* the peer has no answer yet: old keys both ways */
    g_assert_cmpuint(peer->bad, ==, 0);
    clv_media_rekeyed(stage.media, 1);
    stage_play(&stage, 5); /* he has it now, and cannot read what comes under the new ones yet */
    g_assert_cmpuint(peer->bad, >, 0);
    clv_srtp_carry(fresh.send, peer->send);
    clv_srtp_carry(fresh.receive, peer->receive);
    clv_srtp_free(peer->send);
    clv_srtp_free(peer->receive);
    peer->send = g_steal_pointer(&fresh.send);
    peer->receive = g_steal_pointer(&fresh.receive);
    peer->bad = 0;
    stage_forget_heard(&stage);
    stage_play(&stage, 140);
    g_assert_cmpuint(peer->bad, ==, 0);
    g_assert_cmpuint(stage_stats(&stage, 0).rx_auth_failed, ==, 0);
    g_assert_cmpuint(stage_stats(&stage, 0).rx_lost, ==, 0);
    assert_hears(peer, &stage.peers[1], TRUE);
    assert_hears(&stage.peers[1], peer, TRUE);
    close(fresh.fd);
    stage_close(&stage);
}

/* Without a word from signalling: the first packet under the new keys says that the answer is there. */
static void
test_who_sends_by_new_keys_gets_them(void)
{
    Stage stage;
    GError *error = NULL;
    Peer *peer;
    Peer fresh;

    stage_fill(&stage, 1, CLV_SRTP_AES_CM_128_HMAC_SHA1_80);
    stage_play(&stage, 20);
    peer = &stage.peers[0];
    peer_init(&fresh, 50, 1, CLV_SRTP_AEAD_AES_256_GCM, CLV_G711_ULAW, 0);
    g_assert_true(clv_media_rekey(stage.media, 1, &fresh.to_mixer, &fresh.from_mixer, &error));
    stage_play(&stage, 10);
    g_assert_cmpuint(peer->bad, ==, 0);
    clv_srtp_carry(fresh.send, peer->send);
    clv_srtp_free(peer->send);
    peer->send = g_steal_pointer(&fresh.send);
    stage_play(&stage, 10); /* he sends by the new ones, and still listens by the old ones */
    g_assert_cmpuint(peer->bad, >, 0);
    g_assert_cmpuint(stage_stats(&stage, 0).rx_auth_failed, ==, 0);
    peer_clear(&fresh);
    stage_close(&stage);
}

static void
test_reports_come_and_byes_are_told(void)
{
    Stage stage;

    stage_open(&stage, 2, FALSE);
    for (guint i = 0; i < 2; i++) {
        peer_init(&stage.peers[i], i + 1, 1, CLV_SRTP_AES_CM_128_HMAC_SHA1_32, CLV_G711_ULAW, 400);
        stage.peers[i].mux = i == 0;
        peer_join(&stage.peers[i], stage.media);
    }
    stage_publish(&stage, 1, ~0u, ~0u);
    for (guint turn = 0; turn < 40 && (stage.peers[0].reports == 0 || stage.peers[1].reports == 0);
         turn++)
        stage_play(&stage, 10);
    g_assert_cmpuint(stage.peers[0].reports, >, 0);
    g_assert_cmpuint(stage.peers[1].reports, >, 0);
    for (guint i = 0; i < 2; i++) {
        peer_send_report(&stage.peers[i], FALSE);
        stage_play(&stage, 3);
        g_assert_cmpuint(stage.events[CLV_MEDIA_BYE], ==, i);
        peer_send_report(&stage.peers[i], TRUE);
        stage_play(&stage, 3);
        g_assert_cmpuint(stage.events[CLV_MEDIA_BYE], ==, i + 1);
        g_assert_cmpuint(stage.last[CLV_MEDIA_BYE], ==, i + 1);
    }
    for (guint i = 0; i < 2; i++)
        clv_media_close(stage.media, i + 1);
    stage_play(&stage, 5);
    g_assert_cmpuint(stage.events[CLV_MEDIA_CLOSED], ==, 2);
    g_assert_cmpuint(stage.peers[0].byes, ==, 1);
    g_assert_cmpuint(stage.peers[1].byes, ==, 1);
    g_assert_cmpuint(stage.peers[0].bad + stage.peers[1].bad, ==, 0);
    stage_close(&stage);
}

/* A mixer has a name in each conference; its sources have names that are not their own. */
static void
test_sources_are_named_by_aliases(void)
{
    Stage stage;
    char first[64];

    stage_open(&stage, 3, FALSE);
    for (guint i = 0; i < 3; i++) {
        peer_init(&stage.peers[i], i + 1, i < 2 ? 1 : 2, CLV_SRTP_AES_CM_128_HMAC_SHA1_80,
                  CLV_G711_ALAW, 400);
        stage.peers[i].cname = i < 2 ? "one@test" : "two@test";
        peer_join(&stage.peers[i], stage.media);
    }
    stage_publish(&stage, 1, 3u, 3u);
    stage_publish(&stage, 2, 4u, 4u);
    for (guint turn = 0; turn < 100 && (stage.peers[0].named == 0 || stage.peers[1].named == 0 ||
                                        stage.peers[2].reports == 0);
         turn++)
        stage_play(&stage, 10);
    for (guint i = 0; i < 2; i++) {
        g_assert_cmphex(stage.peers[i].named, ==, stage.peers[1 - i].ssrc);
        g_assert_cmpuint(strlen(stage.peers[i].name), ==, 24);
    }
    g_assert_cmpstr(stage.peers[0].name, !=, stage.peers[1].name);
    g_assert_cmpuint(stage.peers[2].reports, >, 0);
    g_assert_cmphex(stage.peers[2].named, ==, 0); /* he is alone */
    g_strlcpy(first, stage.peers[0].name, sizeof first);
    stage.peers[0].named = 0;
    for (guint turn = 0; turn < 100 && stage.peers[0].named == 0; turn++)
        stage_play(&stage, 10);
    g_assert_cmpstr(stage.peers[0].name, ==, first); /* and keeps it */
    g_assert_cmpuint(stage.peers[0].bad + stage.peers[1].bad, ==, 0);
    stage_close(&stage);
}

static void
test_silence_is_told_again_while_it_lasts(void)
{
    Stage stage;

    stage_fill(&stage, 2, CLV_SRTP_AES_CM_128_HMAC_SHA1_80);
    stage_play(&stage, 30);
    g_assert_cmpuint(stage.events[CLV_MEDIA_SILENT], ==, 0);
    stage.peers[1].amplitude = 0; /* sends no more */
    stage_play(&stage, 45);
    g_assert_cmpuint(stage.events[CLV_MEDIA_SILENT], ==, 1);
    g_assert_cmpuint(stage.last[CLV_MEDIA_SILENT], ==, 2);
    stage_play(&stage, 30);
    g_assert_cmpuint(stage.events[CLV_MEDIA_SILENT], ==, 2);
    g_assert_cmpuint(stage.last[CLV_MEDIA_TALKING], ==, 2);
    g_assert_cmpuint(stage.value[CLV_MEDIA_TALKING], ==, 0);
    stage_close(&stage);
}

/* Legs come and go by the hundred in the middle of two who talk. */
static void
test_churn_disturbs_nobody(void)
{
    enum { TURNS = 12, BATCH = 25 };
    Stage stage;
    ClvMediaTotals totals;
    guint opened = 0;

    stage_fill(&stage, 2, CLV_SRTP_AES_CM_128_HMAC_SHA1_80);
    stage_play(&stage, 40);
    stage_forget_heard(&stage);
    for (guint turn = 0; turn < TURNS; turn++) {
        Peer guests[BATCH];

        for (guint i = 0; i < BATCH; i++) {
            peer_init(&guests[i], 1000 + opened++, 1 + i % 5, CLV_SRTP_AEAD_AES_128_GCM,
                      CLV_G711_ULAW, 2000);
            peer_join(&guests[i], stage.media);
        }
        stage_play(&stage, 3);
        for (guint i = 0; i < BATCH; i++) {
            clv_media_close(stage.media, guests[i].leg);
            peer_clear(&guests[i]);
        }
        for (ClvConferenceId c = 2; c <= 5; c++)
            clv_media_end(stage.media, c);
    }
    stage_play(&stage, 60);
    g_assert_cmpuint(stage.events[CLV_MEDIA_CLOSED], ==, TURNS * BATCH);
    clv_media_totals(stage.media, &totals);
    g_assert_cmpuint(totals.legs, ==, 2);
    g_assert_cmpuint(totals.conferences, ==, 1);
    g_assert_cmpuint(stage.peers[0].seq_gaps + stage.peers[1].seq_gaps, ==, 0);
    stage.peers[0].n_heard = MIN(stage.peers[0].n_heard, G_N_ELEMENTS(stage.peers[0].heard));
    assert_hears(&stage.peers[0], &stage.peers[1], TRUE);
    assert_hears(&stage.peers[1], &stage.peers[0], TRUE);
    stage_close(&stage);
}

static void
test_errors_are_sentences(void)
{
    Stage stage;
    GError *error = NULL;
    ClvMediaStats stats;
    ClvMediaPorts *ports;

    stage_fill(&stage, 1, CLV_SRTP_AES_CM_128_HMAC_SHA1_80);
    g_assert_null(clv_media_ports_open(stage.media, "not an address", &error));
    g_assert_error(error, CLV_MEDIA_ERROR, CLV_MEDIA_ERROR_ADDRESS);
    g_clear_error(&error);
    g_assert_false(
        clv_media_change(stage.media, 77, CLV_DIR_SENDRECV, NULL, NULL, 0, "PCMU", &error));
    g_assert_error(error, CLV_MEDIA_ERROR, CLV_MEDIA_ERROR_LEG);
    g_clear_error(&error);
    g_assert_false(
        clv_media_change(stage.media, 1, CLV_DIR_SENDRECV, NULL, NULL, 96, "opus", &error));
    g_assert_error(error, CLV_MEDIA_ERROR, CLV_MEDIA_ERROR_CODEC);
    g_clear_error(&error);
    g_assert_false(clv_media_stats(stage.media, 77, &stats));
    ports = clv_media_ports_open(stage.media, "::1", &error);
    g_assert_no_error(error);
    g_assert_cmpuint(clv_media_ports_rtp(ports) % 2, ==, 0);
    clv_media_ports_close(ports);
    clv_media_close(stage.media, 77);
    stage_close(&stage);
}

static void
test_ssrcs_are_never_given_twice(void)
{
    g_autoptr(GHashTable) seen = g_hash_table_new(g_direct_hash, g_direct_equal);
    Stage stage;

    stage_open(&stage, 0, FALSE);
    for (guint i = 0; i < 5000; i++)
        g_assert_true(g_hash_table_add(seen, GUINT_TO_POINTER(clv_media_new_ssrc(stage.media, 1))));
    stage_close(&stage);
}

/* With keys of their own nobody needs the numbers of the others. That two begin with the same number
 * may happen once in 65,536 times, that four do never. */
static void
test_streams_have_numbers_of_their_own(void)
{
    gboolean seqs_differ = FALSE, times_differ = FALSE;
    Stage stage;

    stage_fill(&stage, 4, CLV_SRTP_AES_CM_128_HMAC_SHA1_80);
    stage_publish(&stage, 1, 0xf, 0xf);
    stage_play(&stage, 15);
    for (guint i = 0; i < 4; i++) {
        const Peer *peer = &stage.peers[i];

        g_assert_cmpuint(peer->got, >, 0);
        for (guint j = 0; j < i; j++)
            g_assert_cmpuint(peer->mixer_ssrc, !=, stage.peers[j].mixer_ssrc);
        /* all hear as many packets, give or take one that is under way */
        seqs_differ |= ABS((gint16)(peer->last_seq - stage.peers[0].last_seq)) > 2;
        times_differ |= ABS((gint32)(peer->last_timestamp - stage.peers[0].last_timestamp)) > 480;
    }
    g_assert_true(seqs_differ);
    g_assert_true(times_differ);
    stage_close(&stage);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_data_func("/media/all-hear-all-but-themselves", GINT_TO_POINTER(FALSE),
                         test_all_hear_all_but_themselves);
    g_test_add_data_func("/media/all-hear-all-but-themselves-by-libsrtp", GINT_TO_POINTER(TRUE),
                         test_all_hear_all_but_themselves);
    g_test_add_func("/media/the-plan-says-who-talks-and-who-hears",
                    test_the_plan_says_who_talks_and_who_hears);
    g_test_add_func("/media/silence-is-sent-as-well", test_silence_is_sent_as_well);
    g_test_add_func("/media/hold-stops-and-resume-goes-on", test_hold_stops_and_resume_goes_on);
    g_test_add_data_func("/media/directions-hold-from-the-start-inactive",
                         GINT_TO_POINTER(CLV_DIR_INACTIVE), test_directions_hold_from_the_start);
    g_test_add_data_func("/media/directions-hold-from-the-start-sendonly",
                         GINT_TO_POINTER(CLV_DIR_SENDONLY), test_directions_hold_from_the_start);
    g_test_add_data_func("/media/directions-hold-from-the-start-recvonly",
                         GINT_TO_POINTER(CLV_DIR_RECVONLY), test_directions_hold_from_the_start);
    g_test_add_func("/media/packets-before-the-plan-latch-and-are-not-heard",
                    test_packets_before_the_plan_latch_and_are_not_heard);
    g_test_add_func("/media/loss-and-reordering-leave-the-tone-standing",
                    test_loss_and_reordering_leave_the_tone_standing);
    g_test_add_func("/media/forged-replayed-and-clear-packets-are-counted-and-dropped",
                    test_forged_replayed_and_clear_packets_are_counted_and_dropped);
    g_test_add_func("/media/the-address-follows-authentic-packets",
                    test_the_address_follows_authentic_packets);
    g_test_add_func("/media/R084-R128-an-ssrc-belongs-to-who-came-first",
                    test_an_ssrc_belongs_to_who_came_first);
    g_test_add_func("/media/one-key-for-both-ways-is-refused",
                    test_one_key_for_both_ways_is_refused);
    g_test_add_func("/media/an-ssrc-belongs-to-who-said-so", test_an_ssrc_belongs_to_who_said_so);
    g_test_add_func("/media/the-end-amid-a-change-of-keys", test_the_end_amid_a_change_of_keys);
    g_test_add_func("/media/rekeying-loses-nothing", test_rekeying_loses_nothing);
    g_test_add_func("/media/who-sends-by-new-keys-gets-them",
                    test_who_sends_by_new_keys_gets_them);
    g_test_add_func("/media/reports-come-and-byes-are-told", test_reports_come_and_byes_are_told);
    g_test_add_func("/media/sources-are-named-by-aliases", test_sources_are_named_by_aliases);
    g_test_add_func("/media/silence-is-told-again-while-it-lasts",
                    test_silence_is_told_again_while_it_lasts);
    g_test_add_func("/media/churn-disturbs-nobody", test_churn_disturbs_nobody);
    g_test_add_func("/media/errors-are-sentences", test_errors_are_sentences);
    g_test_add_func("/media/R076-streams-have-numbers-of-their-own",
                    test_streams_have_numbers_of_their_own);
    g_test_add_func("/media/ssrcs-are-never-given-twice", test_ssrcs_are_never_given_twice);
    return g_test_run();
}
