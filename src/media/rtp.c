/* SPDX-License-Identifier: Apache-2.0 */
/* media/rtp.c - RTP headers through a cursor */
#include "media/rtp.h"

#include "media/wire.h"

#define VERSION 2

ClvRtpKind
clv_rtp_kind(const uint8_t *bytes, size_t len)
{
    if (len == 0)
        return CLV_RTP_KIND_JUNK;
    if (bytes[0] <= 3)
        return CLV_RTP_KIND_STUN;
    if (bytes[0] >= 20 && bytes[0] <= 63)
        return CLV_RTP_KIND_DTLS;
    if (bytes[0] >> 6 != VERSION || len < 2)
        return CLV_RTP_KIND_JUNK;
    return bytes[1] >= 192 && bytes[1] <= 223 ? CLV_RTP_KIND_RTCP : CLV_RTP_KIND_RTP;
}

static void
read_extension(ClvReader *r, ClvRtpPacket *packet)
{
    packet->has_extension = true;
    packet->extension_profile = clv_read_u16(r);
    packet->extension_len = 4u * (size_t)clv_read_u16(r);
    packet->extension = clv_read_bytes(r, packet->extension_len);
}

bool
clv_rtp_read(const uint8_t *bytes, size_t len, ClvRtpPacket *out)
{
    ClvReader r = {.next = bytes, .left = len};
    ClvRtpPacket packet = {0};
    uint8_t first = clv_read_u8(&r);
    uint8_t second = clv_read_u8(&r);
    uint8_t padding = 0;

    packet.seq = clv_read_u16(&r);
    packet.timestamp = clv_read_u32(&r);
    packet.ssrc = clv_read_u32(&r);
    packet.n_csrcs = first & 0x0f;
    for (uint8_t i = 0; i < packet.n_csrcs; i++)
        packet.csrcs[i] = clv_read_u32(&r);
    if ((first & 0x10) != 0)
        read_extension(&r, &packet);
    if (r.bad || first >> 6 != VERSION)
        return false;

    packet.payload = r.next;
    packet.payload_len = r.left;
    if ((first & 0x20) != 0) {
        if (packet.payload_len == 0)
            return false;
        padding = packet.payload[packet.payload_len - 1];
        if (padding == 0 || padding > packet.payload_len)
            return false;
        packet.payload_len -= padding;
    }
    packet.marker = (second & 0x80) != 0;
    packet.pt = second & 0x7f;
    *out = packet;
    return true;
}

size_t
clv_rtp_write_header(const ClvRtpPacket *packet, uint8_t *out, size_t room)
{
    ClvWriter w = {.next = out, .left = room};

    if (packet->n_csrcs > CLV_RTP_MAX_CSRCS)
        return 0;
    clv_write_u8(&w, (uint8_t)(VERSION << 6 | packet->n_csrcs));
    clv_write_u8(&w, (uint8_t)((packet->marker ? 0x80 : 0) | (packet->pt & 0x7f)));
    clv_write_u16(&w, packet->seq);
    clv_write_u32(&w, packet->timestamp);
    clv_write_u32(&w, packet->ssrc);
    for (uint8_t i = 0; i < packet->n_csrcs; i++)
        clv_write_u32(&w, packet->csrcs[i]);
    return w.bad ? 0 : room - w.left;
}
