/* SPDX-License-Identifier: Apache-2.0 */
/* Do packets from anybody do no harm, and do both SRTP engines agree about each of them?
 *
 * The first octet chooses suite and MKI; then come records: two octets of flags and length, and as
 * many octets of packet. Flags: 0x8000 RTCP, 0x4000 protect it first (so that it gets past the
 * authentication), 0x2000 then bend one octet.
 */
#include "config.h"

#include "media/dtmf.h"
#include "media/jitter.h"
#include "media/rtp.h"
#include "media/srtp.h"
#include "media/wire.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define ROOM 2048
#define MAX_RECORDS 64

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

typedef struct Engines {
    ClvSrtp *send[CLV_N_SRTP_ENGINES], *receive[CLV_N_SRTP_ENGINES];
    gboolean judge_reads_reports;
} Engines;

static void
engines_open(Engines *engines, uint8_t choice)
{
    ClvSrtpSuite suite = (ClvSrtpSuite)(1 + (choice & 0x7f) % (CLV_N_SRTP_SUITES - 1));
    const ClvSrtpProfile *profile = clv_srtp_profile(suite);
    ClvSrtpKeys keys = {.suite = suite,
                        .key_len = profile->key_len,
                        .salt_len = profile->salt_len,
                        .mki_len = choice & 0x80 ? 4 : 0};

    memset(keys.key, 0x6b, keys.key_len);
    memset(keys.salt, 0x73, keys.salt_len);
    memset(keys.mki, 0x6d, keys.mki_len);
    for (int e = 0; e < CLV_N_SRTP_ENGINES; e++) {
        engines->send[e] = clv_srtp_new((ClvSrtpEngine)e, &keys, CLV_SRTP_SEND, NULL);
        engines->receive[e] = clv_srtp_new((ClvSrtpEngine)e, &keys, CLV_SRTP_RECEIVE, NULL);
        g_assert(engines->send[e] != NULL && engines->receive[e] != NULL);
    }
    /* libsrtp2 looks for the MKI of a report at the distance of RTP's tag */
    engines->judge_reads_reports =
        keys.mki_len == 0 || profile->rtp_tag_len == profile->rtcp_tag_len;
}

static void
engines_close(Engines *engines)
{
    for (int e = 0; e < CLV_N_SRTP_ENGINES; e++) {
        clv_srtp_free(engines->send[e]);
        clv_srtp_free(engines->receive[e]);
    }
}

/* Told anew at once, nothing is news; and no more keys than reports. */
static void
check_events(ClvDtmf *dtmf, const ClvRtpPacket *packet)
{
    ClvDtmfTaken taken, again;

    clv_dtmf_take(dtmf, packet->timestamp, packet->marker, packet->payload, packet->payload_len,
                  &taken);
    g_assert(4 * taken.n <= packet->payload_len && dtmf->n <= CLV_DTMF_MEMORY);
    for (unsigned i = 0; i < taken.n; i++)
        g_assert(taken.keys[i] != 0 && strchr("0123456789*#ABCD", taken.keys[i]) != NULL);
    if (packet->payload_len != 4)
        return;
    clv_dtmf_take(dtmf, packet->timestamp, packet->marker, packet->payload, packet->payload_len,
                  &again);
    g_assert(again.n == 0 && again.malformed == taken.malformed);
}

static void
check_plain(ClvJitter *jitter, ClvDtmf *dtmf, const uint8_t *bytes, size_t len)
{
    uint8_t frame[CLV_JITTER_FRAME], header[CLV_RTP_MAX_HEADER];
    ClvRtpPacket packet, again;
    size_t n;

    (void)clv_rtp_kind(bytes, len);
    if (!clv_rtp_read(bytes, len, &packet))
        return;
    g_assert(packet.payload >= bytes && packet.payload + packet.payload_len <= bytes + len);
    n = clv_rtp_write_header(&packet, header, sizeof header);
    g_assert(n == 12 + 4u * packet.n_csrcs && clv_rtp_read(header, n, &again));
    g_assert(again.seq == packet.seq && again.ssrc == packet.ssrc && again.pt == packet.pt);
    check_events(dtmf, &packet);
    (void)clv_jitter_put(jitter, packet.seq, packet.timestamp, packet.marker, packet.payload,
                         packet.payload_len);
    g_assert(clv_jitter_get(jitter, packet.marker, frame) <= CLV_JITTER_FRAME);
}

/* Both, on heap copies of exactly the packet's size; they must agree. */
static void
check_unprotect(Engines *engines, const uint8_t *bytes, size_t len, gboolean rtcp)
{
    uint8_t *copy[CLV_N_SRTP_ENGINES];
    size_t n[CLV_N_SRTP_ENGINES];
    ClvSrtpVerdict verdict[CLV_N_SRTP_ENGINES];

    for (int e = 0; e < CLV_N_SRTP_ENGINES; e++) {
        copy[e] = malloc(len > 0 ? len : 1);
        memcpy(copy[e], bytes, len);
        n[e] = len;
        verdict[e] = rtcp ? clv_srtp_unprotect_rtcp(engines->receive[e], copy[e], &n[e])
                          : clv_srtp_unprotect_rtp(engines->receive[e], copy[e], &n[e]);
    }
    if (!rtcp || engines->judge_reads_reports) {
        g_assert_cmpint(verdict[0] == CLV_SRTP_OK, ==, verdict[1] == CLV_SRTP_OK);
        if (verdict[0] == CLV_SRTP_OK)
            g_assert_cmpmem(copy[0], n[0], copy[1], n[1]);
    }
    for (int e = 0; e < CLV_N_SRTP_ENGINES; e++)
        free(copy[e]);
}

/* Protects with both; for reports they count from different numbers, so only ours is used. */
static size_t
check_protect(Engines *engines, const uint8_t *bytes, size_t len, gboolean rtcp, uint8_t *out)
{
    uint8_t theirs[ROOM];
    size_t n = len, m = len;
    ClvSrtpVerdict verdict;

    memcpy(out, bytes, len);
    memcpy(theirs, bytes, len);
    if (rtcp)
        return clv_srtp_protect_rtcp(engines->send[0], out, &n, ROOM) == CLV_SRTP_OK ? n : 0;
    verdict = clv_srtp_protect_rtp(engines->send[CLV_SRTP_OPENSSL], out, &n, ROOM);
    if (verdict == CLV_SRTP_TOO_MANY_SSRCS) /* ours counts them, libsrtp makes streams without end */
        return 0;
    g_assert_cmpint(verdict, ==,
                    clv_srtp_protect_rtp(engines->send[CLV_SRTP_LIBSRTP], theirs, &m, ROOM));
    if (verdict != CLV_SRTP_OK)
        return 0;
    g_assert_cmpmem(out, n, theirs, m);
    return n;
}

static void
check_record(Engines *engines, ClvJitter *jitter, ClvDtmf *dtmf, uint16_t flags,
             const uint8_t *bytes, size_t len)
{
    gboolean rtcp = (flags & 0x8000) != 0;
    uint8_t sealed[ROOM];
    size_t n;

    check_plain(jitter, dtmf, bytes, len);
    if ((flags & 0x4000) == 0) {
        check_unprotect(engines, bytes, len, rtcp);
        return;
    }
    n = check_protect(engines, bytes, len, rtcp, sealed);
    if (n > 0 && (flags & 0x2000) != 0)
        sealed[flags % n] ^= (uint8_t)(1 + flags % 255);
    if (n > 0)
        check_unprotect(engines, sealed, n, rtcp);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    ClvReader r = {.next = data, .left = size};
    static ClvJitter jitter;
    ClvDtmf dtmf;
    Engines engines;

    engines_open(&engines, clv_read_u8(&r));
    clv_jitter_init(&jitter);
    clv_dtmf_init(&dtmf);
    for (int i = 0; i < MAX_RECORDS && r.left > 2; i++) {
        uint16_t flags = clv_read_u16(&r);
        size_t len = flags & 0x03ff;
        const uint8_t *bytes;

        if (len > r.left)
            len = r.left;
        bytes = clv_read_bytes(&r, len);
        check_record(&engines, &jitter, &dtmf, flags, bytes, len);
    }
    engines_close(&engines);
    return 0;
}
