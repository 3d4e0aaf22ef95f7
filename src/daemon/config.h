/* SPDX-License-Identifier: Apache-2.0 */
/* daemon/config.h - conclave.conf: every room's options, read once
 *
 * One struct for the whole daemon; the tables behind it make the parser, conclavectl check-config,
 * the sample file and the list in conclave.conf(5).
 */
#pragma once

#include <glib.h>

typedef struct ClvConfig {
    /* [log] */
    int log_level; /* ClvLogLevel */
    gboolean log_privacy, log_journal;
    /* [control] */
    char *control_socket;
    char *control_group;
    /* [sip] */
    char **listen;
    char *tls_dir, *tls_ciphers;
    gboolean tls_ask_client_cert, digest_sha256;
    char **trusted_peers;
    char *realm, *users_file, *resolv_conf, *outbound;
    gboolean ims;
    gint64 session_expires_ms, min_se_ms, max_message, max_calls, max_invites, idle_ms,
        max_connections;
    /* [media] */
    gint64 media_threads, port_first, port_last, silence_ms;
    gboolean media_realtime;
    char *media_address, *prompts;
    int transform; /* 0 openssl, 1 libsrtp2 */
    /* [policy] */
    char *policy_file, *policy_dir, *state_file;
    /* [kms] */
    char **kms_urls;
    char *kms_uri, *kms_user, *kms_psk_file, *kms_ca, *kms_cert, *kms_key;
    char *mikey_cert, *mikey_key, *mikey_kms_cert, *mikey_ca, *mikey_crl;
    gboolean kms_insecure, kms_allow_128, kms_binary, kms_announce;
    gint64 kms_timeout_ms, kms_connect_ms, kms_connections, kms_outstanding, kms_skew_ms, kms_breaker_failures,
        kms_breaker_ms, kms_per_source, kms_per_conference;
    /* [embedded-kms] */
    char *embedded_keys, *embedded_listen;
    /* [metrics] */
    char *metrics_listen;
    gboolean metrics_remote;
} ClvConfig;

/* All errors at once, "file:line: ..." each. @path NULL: defaults alone. */
gboolean clv_config_load(ClvConfig *config, const char *path, GPtrArray *errors);
void clv_config_clear(ClvConfig *config);
/* The commented sample file. */
char *clv_config_sample(void);
