/* SPDX-License-Identifier: Apache-2.0 */
/* libmikey/sdp.h - a=key-mgmt in SDP and the list against bidding down (RFC 4567) */
#pragma once

#include <libmikey/payload.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Standard base64 with padding, one line; a zero octet follows that len does not count */
MikeyStatus mikey_base64_encode(MikeyBytes octets, MikeyBuffer *out_text);
/* Strict: length a multiple of four, no space, no line ends, unused bits zero */
MikeyStatus mikey_base64_decode(MikeyBytes text, MikeyBuffer *out_octets);

/* Value of the attribute, what stands after "key-mgmt:": "mikey AQsF..." */
MikeyStatus mikey_sdp_encode(MikeyBytes message, MikeyBuffer *out_value);
/* One space may stand in front. MIKEY_BAD_PROTOCOL when the protocol is not "mikey" */
MikeyStatus mikey_sdp_decode(MikeyBytes value, MikeyBuffer *out_message);

/* Protocol ids in SDP order to the text of the list: "mikey;keyp1" */
MikeyStatus mikey_sdp_ids(const MikeyBytes *ids, size_t n_ids, MikeyBuffer *out_list);
/* Compares the list in the message with what the SDP offered, @ids in its order.
 * MIKEY_SDP_IDS_DIFFER when it is missing or another one. */
MikeyStatus mikey_sdp_ids_check(const MikeyMessage *message, const MikeyBytes *ids, size_t n_ids);

#ifdef __cplusplus
}
#endif
