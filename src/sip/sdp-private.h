/* SPDX-License-Identifier: Apache-2.0 */
/* sip/sdp-private.h - what the reader, the writer and the answerer of SDP share */
#pragma once

#include "sip/sdp.h"

/* Port of RTCP when nobody says one; 0 when there is none. */
guint16 clv_sdp_default_rtcp(guint16 rtp_port);
gboolean clv_sdp_is_rtp(const char *proto);
const char *clv_sdp_direction_name(ClvDirection direction);
