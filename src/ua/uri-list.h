/* SPDX-License-Identifier: Apache-2.0 */
/* ua/uri-list.h - bodies of an INVITE that names whom to call as well (RFC 5366, 4826, 5364); pure
 */
#pragma once

#include "ua/options.h"

/* The resource list of --dial, --dial-cc and --dial-bcc. Returns: (transfer full) (nullable): NULL
 * when nobody is named */
char *clv_ua_uri_list(const ClvUaOptions *options);
/**
 * clv_ua_multipart:
 * @sdp: of @sdp_len octets
 * @boundary: occurs in neither
 *
 * Returns: (transfer full): both parts; holds what the SDP holds: clv_secret_free_string()
 */
char *clv_ua_multipart(const char *sdp, gsize sdp_len, const char *list, const char *boundary);
