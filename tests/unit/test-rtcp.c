/* SPDX-License-Identifier: Apache-2.0 */
/* RTCP: compounds both ways, loss and jitter as RFC 3550 reckons them. */
#include "media/rtcp.h"

#include <glib.h>
#include <string.h>

static const ClvRtcpSenderInfo info = {
    .ntp = 0x83aa7e8012345678u, .timestamp = 7, .packets = 50, .octets = 8000};
static const ClvRtcpBlock block = {.ssrc = 9,
                                   .fraction_lost = 12,
                                   .lost = -3,
                                   .highest_seq = 0x10005,
                                   .jitter = 11,
                                   .lsr = 22,
                                   .dlsr = 33};

static void
test_compounds_read_back(void)
{
    for (unsigned shape = 0; shape < 8; shape++) {
        bool sends = shape & 1, hears = shape & 2, leaves = shape & 4;
        uint8_t bytes[CLV_RTCP_MAX_PACKET];
        ClvRtcpCompound got;
        size_t len = clv_rtcp_write(0xabcd, sends ? &info : NULL, hears ? &block : NULL,
                                    "mix@example.org", leaves, bytes, sizeof bytes);

        g_assert_cmpuint(len, >, 0);
        g_assert_cmpuint(len % 4, ==, 0);
        g_assert_true(clv_rtcp_read(bytes, len, &got));
        g_assert_cmphex(got.ssrc, ==, 0xabcd);
        g_assert_cmpstr(got.cname, ==, "mix@example.org");
        g_assert_cmpint(got.has_sender_info, ==, sends);
        g_assert_cmpuint(got.n_blocks, ==, hears ? 1 : 0);
        g_assert_cmpuint(got.n_byes, ==, leaves ? 1 : 0);
        if (sends)
            g_assert_cmpmem(&got.sender, sizeof info, &info, sizeof info);
        if (hears)
            g_assert_cmpmem(&got.blocks[0], sizeof block, &block, sizeof block);
        if (leaves)
            g_assert_cmphex(got.byes[0], ==, 0xabcd);
        for (size_t room = 0; room < len; room++)
            g_assert_cmpuint(clv_rtcp_write(0xabcd, sends ? &info : NULL, hears ? &block : NULL,
                                            "mix@example.org", leaves, bytes, room),
                             ==, 0);
    }
}

static void
test_cnames_of_every_length_are_padded(void)
{
    for (size_t n = 0; n <= 40; n++) {
        g_autofree char *cname = g_strnfill(n, 'x');
        uint8_t bytes[CLV_RTCP_MAX_PACKET];
        ClvRtcpCompound got;
        size_t len = clv_rtcp_write(1, NULL, NULL, cname, true, bytes, sizeof bytes);

        g_assert_cmpuint(len % 4, ==, 0);
        g_assert_true(clv_rtcp_read(bytes, len, &got));
        g_assert_cmpstr(got.cname, ==, cname);
        g_assert_cmpuint(got.n_byes, ==, 1);
    }
}

static void
test_truncations_and_flips_do_no_harm(void)
{
    uint8_t bytes[CLV_RTCP_MAX_PACKET];
    size_t len = clv_rtcp_write(1, &info, &block, "somebody", true, bytes, sizeof bytes);
    unsigned whole = 0;

    for (size_t n = 0; n < len; n++) {
        g_autofree uint8_t *exact = g_memdup2(bytes, n);
        ClvRtcpCompound got;

        whole += clv_rtcp_read(exact, n, &got);
    }
    g_assert_cmpuint(whole, ==, 2); /* cut between the packets: behind SR, behind SDES */
    for (size_t bit = 0; bit < 8 * len; bit++) {
        g_autofree uint8_t *bent = g_memdup2(bytes, len);
        ClvRtcpCompound got;

        bent[bit / 8] ^= (uint8_t)(1u << bit % 8);
        (void)clv_rtcp_read(bent, len, &got);
    }
}

static void
test_names_of_others_are_added(void)
{
    ClvRtcpName names[CLV_RTCP_MAX_NAMES];
    uint8_t bytes[CLV_RTCP_MAX_PACKET];
    size_t bare = clv_rtcp_write(1, &info, &block, "mixer", false, bytes, sizeof bytes);

    for (unsigned i = 0; i < CLV_RTCP_MAX_NAMES; i++)
        names[i] = (ClvRtcpName){100 + i, "0123456789abcdef01234567"};
    for (unsigned n = 1; n <= CLV_RTCP_MAX_NAMES; n++) {
        ClvRtcpCompound got;
        size_t len = clv_rtcp_add_names(names, n, bytes, bare, sizeof bytes);

        g_assert_cmpuint(len, ==, bare + 4 + n * 32);
        g_assert_cmphex(bytes[bare], ==, 0x80 | n);
        g_assert_cmpuint(bytes[bare + 1], ==, 202);
        g_assert_true(clv_rtcp_read(bytes, len, &got));
        g_assert_cmpstr(got.cname, ==, "mixer"); /* still the first */
        g_assert_cmpuint(clv_rtcp_add_names(names, n, bytes, bare, len - 1), ==, bare);
    }
    g_assert_cmpuint(clv_rtcp_add_names(names, 0, bytes, bare, sizeof bytes), ==, bare);
}

static void
test_a_compound_begins_with_a_report(void)
{
    static const uint8_t bye[] = {0x81, 203, 0, 1, 0, 0, 0, 1};
    static const uint8_t app[] = {0x80, 201, 0, 1, 0, 0, 0,   1,   0x80, 204,
                                  0,    2,   0, 0, 0, 1, 'j', 'u', 'n',  'k'};
    ClvRtcpCompound got;

    g_assert_false(clv_rtcp_read(bye, sizeof bye, &got));
    g_assert_false(clv_rtcp_read(bye, 0, &got));
    g_assert_true(clv_rtcp_read(app, sizeof app, &got)); /* APP is stepped over */
}

static void
test_loss_is_counted_over_the_wrap(void)
{
    ClvRtcpSource s;
    ClvRtcpBlock out;

    clv_rtcp_source_init(&s, 5);
    for (uint32_t i = 0; i < 1000; i++) {
        if (i % 10 != 3)
            clv_rtcp_source_note(&s, (uint16_t)(65000 + i), 160 * i, 160 * i);
    }
    g_assert_cmpint(clv_rtcp_source_lost(&s), ==, 100);
    clv_rtcp_source_report(&s, 0, &out);
    g_assert_cmpuint(out.highest_seq, ==, 65000 + 999);
    g_assert_cmpint(out.lost, ==, 100);
    g_assert_cmpuint(out.fraction_lost, ==, 25); /* 256 / 10 */
    g_assert_cmpuint(out.jitter, ==, 0);

    for (uint32_t i = 1000; i < 1100; i++) /* a good interval: the fraction is of this one alone */
        clv_rtcp_source_note(&s, (uint16_t)(65000 + i), 160 * i, 160 * i);
    clv_rtcp_source_report(&s, 0, &out);
    g_assert_cmpuint(out.fraction_lost, ==, 0);
    g_assert_cmpint(out.lost, ==, 100);
}

static void
test_reordering_loses_nothing(void)
{
    ClvRtcpSource s;

    clv_rtcp_source_init(&s, 5);
    for (uint32_t i = 0; i < 100; i++)
        clv_rtcp_source_note(&s, (uint16_t)(i ^ 1), 0, 0);
    g_assert_cmpint(clv_rtcp_source_lost(&s), <=, 1); /* the very first pair may begin with 1 */
}

static void
test_jitter_settles_where_the_rfc_says(void)
{
    ClvRtcpSource s;
    ClvRtcpBlock out;

    clv_rtcp_source_init(&s, 5);
    for (uint32_t i = 0; i < 2000; i++) /* transit alternates by 80 units */
        clv_rtcp_source_note(&s, (uint16_t)i, 160 * i, 160 * i + (i % 2) * 80);
    clv_rtcp_source_report(&s, 0, &out);
    g_assert_cmpuint(out.jitter, >=, 78);
    g_assert_cmpuint(out.jitter, <=, 80);
}

static void
test_round_trip_times_are_reported(void)
{
    ClvRtcpSource s;
    ClvRtcpBlock out;

    clv_rtcp_source_init(&s, 5);
    s.last_sr = 0x56781234;
    s.last_sr_ns = 1000;
    clv_rtcp_source_report(&s, 1000 + 2500000000, &out);
    g_assert_cmphex(out.lsr, ==, 0x56781234);
    g_assert_cmpuint(out.dlsr, ==, 65536 * 5 / 2);
    g_assert_cmphex(clv_rtcp_ntp(0), ==, 2208988800ull << 32);
    g_assert_cmphex(clv_rtcp_ntp(1500000000), ==, (2208988801ull << 32) | 0x80000000u);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/rtcp/compounds-read-back", test_compounds_read_back);
    g_test_add_func("/rtcp/cnames-of-every-length-are-padded",
                    test_cnames_of_every_length_are_padded);
    g_test_add_func("/rtcp/truncations-and-flips-do-no-harm",
                    test_truncations_and_flips_do_no_harm);
    g_test_add_func("/rtcp/names-of-others-are-added", test_names_of_others_are_added);
    g_test_add_func("/rtcp/a-compound-begins-with-a-report", test_a_compound_begins_with_a_report);
    g_test_add_func("/rtcp/loss-is-counted-over-the-wrap", test_loss_is_counted_over_the_wrap);
    g_test_add_func("/rtcp/reordering-loses-nothing", test_reordering_loses_nothing);
    g_test_add_func("/rtcp/jitter-settles-where-the-rfc-says",
                    test_jitter_settles_where_the_rfc_says);
    g_test_add_func("/rtcp/round-trip-times-are-reported", test_round_trip_times_are_reported);
    return g_test_run();
}
