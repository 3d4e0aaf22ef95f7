/* SPDX-License-Identifier: Apache-2.0 */
/* Is any run of octets a compound of reports, or refused; and does what was read survive being
 * written again? */
#include "config.h"

#include "media/rtcp.h"

#include <glib.h>
#include <stdint.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t bytes[CLV_RTCP_MAX_PACKET];
    ClvRtcpCompound in, out;
    const ClvRtcpBlock *block;
    size_t len;

    if (!clv_rtcp_read(data, size, &in))
        return 0;
    g_assert(in.n_blocks <= CLV_RTCP_MAX_BLOCKS && in.n_byes <= CLV_RTCP_MAX_BLOCKS);
    g_assert(memchr(in.cname, 0, sizeof in.cname) != NULL);
    block = in.n_blocks > 0 ? &in.blocks[0] : NULL;
    len = clv_rtcp_write(in.ssrc, in.has_sender_info ? &in.sender : NULL, block, in.cname,
                         in.n_byes > 0, bytes, sizeof bytes);
    g_assert(len > 0 && clv_rtcp_read(bytes, len, &out));
    g_assert(out.ssrc == in.ssrc && strcmp(out.cname, in.cname) == 0);
    g_assert(out.n_blocks == (block != NULL) && out.n_byes == (in.n_byes > 0));
    g_assert(block == NULL || memcmp(block, &out.blocks[0], sizeof *block) == 0);
    g_assert(!in.has_sender_info || memcmp(&in.sender, &out.sender, sizeof in.sender) == 0);
    return 0;
}
