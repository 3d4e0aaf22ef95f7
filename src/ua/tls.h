/* SPDX-License-Identifier: Apache-2.0 */
/* ua/tls.h - is the TLS server the one that was meant?
 *
 * Sofia's TLS transport cannot match addresses and says nothing for half a minute when a
 * certificate is bad. So its handshakes pass through here: chain, name or address are checked by
 * OpenSSL with the certificates of --ca, and a failure is told at once.
 */
#pragma once

#include <glib.h>

#define CLV_UA_TLS_ERROR (clv_ua_tls_error_quark())
GQuark clv_ua_tls_error_quark(void);

typedef void (*ClvUaTlsFailed)(const char *why, void *user);

/**
 * clv_ua_tls_begin:
 * @host: (nullable): whom we are going to call, name or address; NULL: only others call us
 * @ca_file: (nullable): NULL with @insecure
 * @cert_file: (nullable): our certificate and key; one is made up when NULL
 * @failed: called from within a handshake
 *
 * Returns: (transfer full) (nullable): the directory that Sofia wants to be given; it is removed
 *   by clv_ua_tls_end()
 */
char *clv_ua_tls_begin(const char *host, const char *ca_file, const char *cert_file,
                       gboolean insecure, ClvUaTlsFailed failed, void *user, GError **error);
/* Contexts made from here to there are Sofia's. */
void clv_ua_tls_mark(gboolean on);
void clv_ua_tls_end(void);
