/* SPDX-License-Identifier: Apache-2.0 */
/* sip/settings.h - are the settings and files of this room good, before a socket is opened?
 *
 * clv_sip_new() asks it, and so does whoever checks a configuration without a server. Sofia itself
 * listens for TLS without a certificate and tells nobody.
 */
#pragma once

#include "sip/sip.h"

/* Transports, TLS folder and trusted peers: "found, expected" sentences are added to @errors; to
 * @warnings what is legal but will disappoint peers, such as a certificate that is out of date.
 * Returns: FALSE when there were errors */
gboolean clv_sip_check_settings(const ClvSipConfig *config, GPtrArray *errors, GPtrArray *warnings);
/* The file of digest users, as a reload would read it. */
gboolean clv_sip_check_users(const ClvSipConfig *config, GPtrArray *errors);
