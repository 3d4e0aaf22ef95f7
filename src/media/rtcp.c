/* SPDX-License-Identifier: Apache-2.0 */
/* media/rtcp.c - RTCP compounds and the bookkeeping behind report blocks */
#include "media/rtcp.h"

#include "media/wire.h"

enum { SR = 200, RR = 201, SDES = 202, BYE = 203 };
enum { SDES_END = 0, SDES_CNAME = 1 };

#define NS_PER_S INT64_C(1000000000)
#define NTP_UNIX 2208988800u /* seconds from 1900 to 1970 */
#define LOST_MAX 0x7fffff
#define LOST_MIN (-0x800000)

/* ---- bookkeeping -------------------------------------------------------------------------- */

void
clv_rtcp_source_init(ClvRtcpSource *source, uint32_t ssrc)
{
    *source = (ClvRtcpSource){.ssrc = ssrc};
}

static void
note_jitter(ClvRtcpSource *s, uint32_t timestamp, uint32_t arrival)
{
    int64_t transit = (int32_t)(arrival - timestamp);
    int64_t d = s->timed ? transit - s->transit : 0;

    s->timed = true;
    s->transit = transit;
    if (d < 0)
        d = -d;
    if (d > 8000 * 2)
        return; /* the clock of the peer leapt: no jitter */
    s->jitter16 = (uint32_t)((int64_t)s->jitter16 + d - ((s->jitter16 + 8) >> 4));
}

void
clv_rtcp_source_count(ClvRtcpSource *s, uint16_t seq)
{
    uint16_t ahead;

    if (!s->started)
        s->base_seq = s->highest_seq = seq;
    s->started = true;
    ahead = (uint16_t)(seq - (uint16_t)s->highest_seq);
    if (ahead < 0x8000)
        s->highest_seq += ahead;
    s->received++;
}

void
clv_rtcp_source_note(ClvRtcpSource *s, uint16_t seq, uint32_t timestamp, uint32_t arrival)
{
    clv_rtcp_source_count(s, seq);
    note_jitter(s, timestamp, arrival);
}

static uint32_t
expected(const ClvRtcpSource *s)
{
    return s->started ? s->highest_seq - s->base_seq + 1 : 0;
}

int64_t
clv_rtcp_source_lost(const ClvRtcpSource *s)
{
    return (int64_t)expected(s) - (int64_t)s->received;
}

/* Of 256; more packets than expected count as none lost. */
static uint8_t
fraction(int64_t lost, int64_t of)
{
    int64_t part = of > 0 && lost > 0 ? lost * 256 / of : 0;

    if (part > 255)
        part = 255;
    return (uint8_t)part;
}

void
clv_rtcp_source_report(ClvRtcpSource *s, int64_t now_ns, ClvRtcpBlock *out)
{
    uint32_t expected_now = expected(s);
    int64_t in_interval = (int64_t)(expected_now - s->expected_prior);
    int64_t lost_here = in_interval - (int64_t)(s->received - s->received_prior);
    int64_t lost = clv_rtcp_source_lost(s);

    s->expected_prior = expected_now;
    s->received_prior = s->received;
    if (lost > LOST_MAX)
        lost = LOST_MAX;
    if (lost < LOST_MIN)
        lost = LOST_MIN;
    *out = (ClvRtcpBlock){
        .ssrc = s->ssrc,
        .fraction_lost = fraction(lost_here, in_interval),
        .lost = (int32_t)lost,
        .highest_seq = s->highest_seq,
        .jitter = s->jitter16 >> 4,
        .lsr = s->last_sr,
        .dlsr =
            s->last_sr != 0 ? (uint32_t)(((uint64_t)(now_ns - s->last_sr_ns) << 16) / NS_PER_S) : 0,
    };
}

uint64_t
clv_rtcp_ntp(int64_t unix_ns)
{
    uint64_t seconds = (uint64_t)(unix_ns / NS_PER_S) + NTP_UNIX;
    uint64_t fraction = ((uint64_t)(unix_ns % NS_PER_S) << 32) / NS_PER_S;

    return seconds << 32 | fraction;
}

/* ---- reading ------------------------------------------------------------------------------ */

static void
read_block(ClvReader *r, ClvRtcpCompound *out)
{
    ClvRtcpBlock block = {.ssrc = clv_read_u32(r)};
    uint32_t word = clv_read_u32(r);

    block.fraction_lost = (uint8_t)(word >> 24);
    block.lost = (int32_t)(word << 8) >> 8;
    block.highest_seq = clv_read_u32(r);
    block.jitter = clv_read_u32(r);
    block.lsr = clv_read_u32(r);
    block.dlsr = clv_read_u32(r);
    if (!r->bad && out->n_blocks < CLV_RTCP_MAX_BLOCKS)
        out->blocks[out->n_blocks++] = block;
}

static void
read_report(ClvReader *r, uint8_t type, uint8_t count, ClvRtcpCompound *out)
{
    uint32_t ssrc = clv_read_u32(r);

    if (type == SR) {
        uint64_t high = clv_read_u32(r);

        out->sender.ntp = high << 32 | clv_read_u32(r);
        out->sender.timestamp = clv_read_u32(r);
        out->sender.packets = clv_read_u32(r);
        out->sender.octets = clv_read_u32(r);
        out->has_sender_info = true;
    }
    if (out->ssrc == 0)
        out->ssrc = ssrc;
    for (uint8_t i = 0; i < count; i++)
        read_block(r, out);
}

/* The first CNAME is all we want; whatever follows needs no reading. */
static void
read_sdes(ClvReader *r, uint8_t count, ClvRtcpCompound *out)
{
    if (count == 0 || out->cname[0] != '\0')
        return;
    (void)clv_read_u32(r);
    while (!r->bad && r->left > 0) {
        uint8_t item = clv_read_u8(r);
        uint8_t len;
        const uint8_t *text;

        if (item == SDES_END)
            return;
        len = clv_read_u8(r);
        text = clv_read_bytes(r, len);
        if (item != SDES_CNAME || text == NULL)
            continue;
        memcpy(out->cname, text, len);
        out->cname[len] = '\0';
        return;
    }
}

static void
read_bye(ClvReader *r, uint8_t count, ClvRtcpCompound *out)
{
    for (uint8_t i = 0; i < count; i++) {
        uint32_t ssrc = clv_read_u32(r);

        if (!r->bad && out->n_byes < CLV_RTCP_MAX_BLOCKS)
            out->byes[out->n_byes++] = ssrc;
    }
}

bool
clv_rtcp_read(const uint8_t *bytes, size_t len, ClvRtcpCompound *out)
{
    ClvReader r = {.next = bytes, .left = len};
    ClvRtcpCompound compound = {0};
    bool first = true;

    while (r.left > 0) {
        uint8_t head = clv_read_u8(&r);
        uint8_t type = clv_read_u8(&r);
        ClvReader body = clv_read_sub(&r, 4u * (size_t)clv_read_u16(&r));
        uint8_t count = head & 0x1f;

        if (r.bad || head >> 6 != 2 || (first && type != SR && type != RR))
            return false;
        if (type == SR || type == RR)
            read_report(&body, type, count, &compound);
        else if (type == SDES)
            read_sdes(&body, count, &compound);
        else if (type == BYE)
            read_bye(&body, count, &compound);
        if (body.bad)
            return false;
        first = false;
    }
    if (first)
        return false;
    *out = compound;
    return true;
}

/* ---- writing ------------------------------------------------------------------------------ */

static void
write_head(ClvWriter *w, unsigned count, uint8_t type, size_t body_len)
{
    clv_write_u8(w, (uint8_t)(2u << 6 | count));
    clv_write_u8(w, type);
    clv_write_u16(w, (uint16_t)(body_len / 4));
}

static void
write_block(ClvWriter *w, const ClvRtcpBlock *block)
{
    clv_write_u32(w, block->ssrc);
    clv_write_u32(w, (uint32_t)block->fraction_lost << 24 | ((uint32_t)block->lost & 0xffffff));
    clv_write_u32(w, block->highest_seq);
    clv_write_u32(w, block->jitter);
    clv_write_u32(w, block->lsr);
    clv_write_u32(w, block->dlsr);
}

static size_t
cname_len(const char *cname)
{
    size_t len = strlen(cname);

    return len > CLV_RTCP_MAX_CNAME ? CLV_RTCP_MAX_CNAME : len;
}

/* SSRC, CNAME, and one to four zeros: the list of a source ends in one and fills its last word. */
static size_t
chunk_len(const char *cname)
{
    size_t len = cname_len(cname);

    return 4 + 2 + len + (4 - (2 + len) % 4);
}

static void
write_chunk(ClvWriter *w, uint32_t ssrc, const char *cname)
{
    static const uint8_t zeros[4];
    size_t len = cname_len(cname);

    clv_write_u32(w, ssrc);
    clv_write_u8(w, SDES_CNAME);
    clv_write_u8(w, (uint8_t)len);
    clv_write_bytes(w, cname, len);
    clv_write_bytes(w, zeros, chunk_len(cname) - 4 - 2 - len);
}

static void
write_cname(ClvWriter *w, uint32_t ssrc, const char *cname)
{
    write_head(w, 1, SDES, chunk_len(cname));
    write_chunk(w, ssrc, cname);
}

size_t
clv_rtcp_write(uint32_t ssrc, const ClvRtcpSenderInfo *sender, const ClvRtcpBlock *block,
               const char *cname, bool bye, uint8_t *out, size_t room)
{
    ClvWriter w = {.next = out, .left = room};
    size_t body = 4 + (sender != NULL ? 20u : 0u) + (block != NULL ? 24u : 0u);

    write_head(&w, block != NULL ? 1 : 0, sender != NULL ? SR : RR, body);
    clv_write_u32(&w, ssrc);
    if (sender != NULL) {
        clv_write_u32(&w, (uint32_t)(sender->ntp >> 32));
        clv_write_u32(&w, (uint32_t)sender->ntp);
        clv_write_u32(&w, sender->timestamp);
        clv_write_u32(&w, sender->packets);
        clv_write_u32(&w, sender->octets);
    }
    if (block != NULL)
        write_block(&w, block);
    write_cname(&w, ssrc, cname);
    if (bye) {
        write_head(&w, 1, BYE, 4);
        clv_write_u32(&w, ssrc);
    }
    return w.bad ? 0 : room - w.left;
}

size_t
clv_rtcp_add_names(const ClvRtcpName *names, unsigned n, uint8_t *packet, size_t len, size_t room)
{
    ClvWriter w = {.next = packet + len, .left = room - len};
    size_t body = 0;

    if (n == 0 || n > CLV_RTCP_MAX_NAMES)
        return len;
    for (unsigned i = 0; i < n; i++)
        body += chunk_len(names[i].cname);
    write_head(&w, n, SDES, body);
    for (unsigned i = 0; i < n; i++)
        write_chunk(&w, names[i].ssrc, names[i].cname);
    return w.bad ? len : room - w.left;
}
