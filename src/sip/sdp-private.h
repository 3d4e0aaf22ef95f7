/* SPDX-License-Identifier: Apache-2.0 */
/* sip/sdp-private.h - what the reader, the writer and the answerer of SDP share */
#pragma once

#include "sip/sdp.h"

/* Port of RTCP when nobody says one; 0 when there is none. */
guint16 clv_sdp_default_rtcp(guint16 rtp_port);
gboolean clv_sdp_is_rtp(const char *proto);
const char *clv_sdp_direction_name(ClvDirection direction);

/* ---- sdp-qos.c ---- */
/* Value of a=curr, a=des or a=conf. What cannot be read is passed over. */
void clv_sdp_qos_read(ClvQos *qos, const char *name, const char *value);
/* Ours, to an offer of theirs: we have what we need at once. */
ClvQos clv_sdp_qos_answer(const ClvQos *offered);
/* The lines, each with its end. (transfer full) */
char *clv_sdp_qos_format(const ClvQos *qos);
