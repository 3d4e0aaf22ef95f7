/* SPDX-License-Identifier: Apache-2.0 */
/* RTP headers: what is read, what is refused, and that both directions agree. */
#include "media/rtp.h"

#include <glib.h>
#include <string.h>

static const uint8_t whole[] = {
    0xb2, 0x88, 0x12, 0x34, 0,    0,    0, 160, 1, 2, 3, 4, /* P, X, two CSRCs, marker, type 8 */
    0,    0,    0,    1,    0,    0,    0, 2,               /* CSRCs */
    0xbe, 0xde, 0,    1,    0x10, 0x7f, 0, 0,               /* extension of one word */
    'a',  'u',  'd',  'i',  'o',  0,    0, 3,               /* payload, padding of three */
};

static void
test_a_full_header_is_read(void)
{
    ClvRtpPacket p;

    g_assert_true(clv_rtp_read(whole, sizeof whole, &p));
    g_assert_true(p.marker);
    g_assert_cmpuint(p.pt, ==, 8);
    g_assert_cmpuint(p.seq, ==, 0x1234);
    g_assert_cmpuint(p.timestamp, ==, 160);
    g_assert_cmphex(p.ssrc, ==, 0x01020304);
    g_assert_cmpuint(p.n_csrcs, ==, 2);
    g_assert_cmpuint(p.csrcs[1], ==, 2);
    g_assert_true(p.has_extension);
    g_assert_cmphex(p.extension_profile, ==, 0xbede);
    g_assert_cmpmem(p.extension, p.extension_len, "\x10\x7f\0\0", 4);
    g_assert_cmpmem(p.payload, p.payload_len, "audio", 5);
}

static void
test_no_truncation_reads_past_the_end(void)
{
    for (size_t len = 0; len < 28; len++) {
        g_autofree uint8_t *exact = g_memdup2(whole, len);
        ClvRtpPacket p;

        g_assert_false(clv_rtp_read(exact, len, &p));
    }
}

static void
test_padding_must_fit(void)
{
    uint8_t bytes[sizeof whole];
    ClvRtpPacket p = {.pt = 99};

    memcpy(bytes, whole, sizeof whole);
    bytes[sizeof whole - 1] = 0;
    g_assert_false(clv_rtp_read(bytes, sizeof bytes, &p));
    bytes[sizeof whole - 1] = 9; /* the payload has eight */
    g_assert_false(clv_rtp_read(bytes, sizeof bytes, &p));
    g_assert_cmpuint(p.pt, ==, 99);
    bytes[sizeof whole - 1] = 8;
    g_assert_true(clv_rtp_read(bytes, sizeof bytes, &p));
    g_assert_cmpuint(p.payload_len, ==, 0);
}

static void
test_the_extension_must_fit(void)
{
    uint8_t bytes[sizeof whole];
    ClvRtpPacket p;

    memcpy(bytes, whole, sizeof whole);
    bytes[22] = 0xff;
    g_assert_false(clv_rtp_read(bytes, sizeof bytes, &p));
}

static void
test_only_version_2_is_rtp(void)
{
    for (unsigned version = 0; version < 4; version++) {
        uint8_t bytes[12] = {(uint8_t)(version << 6)};
        ClvRtpPacket p;

        g_assert_cmpint(clv_rtp_read(bytes, sizeof bytes, &p), ==, version == 2);
    }
}

static void
test_written_headers_read_back(void)
{
    for (uint8_t n = 0; n <= CLV_RTP_MAX_CSRCS; n++) {
        ClvRtpPacket in = {.marker = n % 2 != 0,
                           .pt = n,
                           .seq = (uint16_t)(65530 + n),
                           .timestamp = 0xfffffff0u + n,
                           .ssrc = 77,
                           .n_csrcs = n};
        uint8_t bytes[CLV_RTP_MAX_HEADER];
        ClvRtpPacket out;
        size_t len;

        for (uint8_t i = 0; i < n; i++)
            in.csrcs[i] = 1000u + i;
        g_assert_cmpuint(clv_rtp_write_header(&in, bytes, 11 + 4u * n), ==, 0);
        len = clv_rtp_write_header(&in, bytes, sizeof bytes);
        g_assert_cmpuint(len, ==, 12 + 4u * n);
        g_assert_true(clv_rtp_read(bytes, len, &out));
        g_assert_cmpint(out.marker, ==, in.marker);
        g_assert_cmpuint(out.pt, ==, in.pt);
        g_assert_cmpuint(out.seq, ==, in.seq);
        g_assert_cmpuint(out.timestamp, ==, in.timestamp);
        g_assert_cmpmem(out.csrcs, sizeof out.csrcs, in.csrcs, sizeof in.csrcs);
    }
}

static void
test_the_first_octets_tell_the_protocol(void)
{
    static const struct {
        uint8_t bytes[2];
        ClvRtpKind kind;
    } rows[] = {
        {{0x00, 0x01}, CLV_RTP_KIND_STUN}, {{0x03, 0x00}, CLV_RTP_KIND_STUN},
        {{0x04, 0x00}, CLV_RTP_KIND_JUNK}, {{0x13, 0x00}, CLV_RTP_KIND_JUNK},
        {{0x14, 0xfe}, CLV_RTP_KIND_DTLS}, {{0x3f, 0x00}, CLV_RTP_KIND_DTLS},
        {{0x40, 0x00}, CLV_RTP_KIND_JUNK}, {{0x80, 0x00}, CLV_RTP_KIND_RTP},
        {{0xbf, 0x88}, CLV_RTP_KIND_RTP},  {{0x80, 191}, CLV_RTP_KIND_RTP},
        {{0x81, 200}, CLV_RTP_KIND_RTCP},  {{0x81, 192}, CLV_RTP_KIND_RTCP},
        {{0x81, 223}, CLV_RTP_KIND_RTCP},  {{0x81, 224}, CLV_RTP_KIND_RTP},
        {{0xc0, 200}, CLV_RTP_KIND_JUNK},
    };

    g_assert_cmpint(clv_rtp_kind(NULL, 0), ==, CLV_RTP_KIND_JUNK);
    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++)
        g_assert_cmpint(clv_rtp_kind(rows[i].bytes, 2), ==, rows[i].kind);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/rtp/a-full-header-is-read", test_a_full_header_is_read);
    g_test_add_func("/rtp/no-truncation-reads-past-the-end", test_no_truncation_reads_past_the_end);
    g_test_add_func("/rtp/padding-must-fit", test_padding_must_fit);
    g_test_add_func("/rtp/the-extension-must-fit", test_the_extension_must_fit);
    g_test_add_func("/rtp/only-version-2-is-rtp", test_only_version_2_is_rtp);
    g_test_add_func("/rtp/written-headers-read-back", test_written_headers_read_back);
    g_test_add_func("/rtp/the-first-octets-tell-the-protocol",
                    test_the_first_octets_tell_the_protocol);
    return g_test_run();
}
