/* SPDX-License-Identifier: Apache-2.0 */
/* daemon/config.c - the option tables of conclave.conf */
#include "daemon/config.h"

#include <stddef.h>
#include <string.h>

#include "base/identity.h"
#include "base/option.h"

#define AT(member) offsetof(ClvConfig, member)
#define SECOND 1000

static const char *const log_levels[] = {"error", "warning", "notice", "info", "debug", NULL};
static const char *const transforms[] = {"openssl", "libsrtp2", NULL};

static const ClvOption options[] = {
    {"log", "level", CLV_OPTION_ENUM, AT(log_level), "info", 0, 0, log_levels, TRUE,
     "Lines of this weight and above are written."},
    {"log", "privacy", CLV_OPTION_BOOL, AT(log_privacy), "no", 0, 0, NULL, TRUE,
     "Show identities as short salted hashes."},
    {"log", "journal", CLV_OPTION_BOOL, AT(log_journal), "no", 0, 0, NULL, FALSE,
     "Write structured fields to the systemd journal instead of plain lines to stderr."},

    {"control", "socket", CLV_OPTION_PATH, AT(control_socket), CLV_RUNDIR "/control", 0, 0, NULL,
     FALSE, "Unix socket that conclavectl talks to."},
    {"control", "group", CLV_OPTION_STRING, AT(control_group), NULL, 0, 0, NULL, FALSE,
     "System group that may use the control socket beside the owner."},

    {"sip", "listen", CLV_OPTION_STRINGS, AT(listen), "udp:127.0.0.1:5060;tcp:127.0.0.1:5060", 0, 0,
     NULL, FALSE,
     "Transports: udp:, tcp: or tls:, address and port (5060, for tls: 5061); IPv6 addresses in "
     "brackets."},
    {"sip", "tls-dir", CLV_OPTION_PATH, AT(tls_dir), NULL, 0, 0, NULL, FALSE,
     "Folder with agent.pem (key and certificate) and cafile.pem; needed for tls:."},
    {"sip", "tls-ciphers", CLV_OPTION_STRING, AT(tls_ciphers), NULL, 0, 0, NULL, FALSE,
     "OpenSSL cipher list for TLS 1.2; TLS 1.3 keeps its own."},
    {"sip", "tls-ask-client-cert", CLV_OPTION_BOOL, AT(tls_ask_client_cert), "no", 0, 0, NULL,
     FALSE, "Ask TLS peers for a certificate, so that trusted-peers can name them."},
    {"sip", "trusted-peers", CLV_OPTION_STRINGS, AT(trusted_peers), NULL, 0, 0, NULL, FALSE,
     "Addresses, prefixes or TLS certificate names whose P-Asserted-Identity counts."},
    {"sip", "realm", CLV_OPTION_STRING, AT(realm), "conclave", 0, 0, NULL, FALSE,
     "Realm of digest challenges."},
    {"sip", "digest-sha256", CLV_OPTION_BOOL, AT(digest_sha256), "no", 0, 0, NULL, FALSE,
     "Offer SHA-256 beside MD5 in digest challenges; some softphones give up when they see it."},
    {"sip", "users-file", CLV_OPTION_PATH, AT(users_file), NULL, 0, 0, NULL, TRUE,
     "Softphone users for digest authentication."},
    {"sip", "resolv-conf", CLV_OPTION_PATH, AT(resolv_conf), NULL, 0, 0, NULL, FALSE,
     "Name server file to use instead of /etc/resolv.conf."},
    {"sip", "outbound", CLV_OPTION_STRING, AT(outbound), NULL, 0, 0, NULL, FALSE,
     "Proxy that calls of ours go to first, such as sip:proxy.example.org;transport=tls;lr; unset: "
     "straight to whom is called."},
    {"sip", "ims", CLV_OPTION_BOOL, AT(ims), "no", 0, 0, NULL, FALSE,
     "Calls of ours carry a fresh P-Charging-Vector, and our Contact the service (ICSI) of "
     "multimedia "
     "telephony, as an IMS core expects."},
    {"sip", "session-expires", CLV_OPTION_TIME_MS, AT(session_expires_ms), "30m", 90 * SECOND,
     86400 * SECOND, NULL, FALSE, "Session timer that is offered (RFC 4028)."},
    {"sip", "min-se", CLV_OPTION_TIME_MS, AT(min_se_ms), "90s", 90 * SECOND, 3600 * SECOND, NULL,
     FALSE, "Smallest session timer that is accepted."},
    /* Not below a TLS record of 16384 octets and some: the stack aborts on a first record that does
       not fit. */
    {"sip", "max-message", CLV_OPTION_INT, AT(max_message), "65535", 20480, 1 << 20, NULL, FALSE,
     "Largest SIP message, octets; at least 20480."},
    {"sip", "max-calls", CLV_OPTION_INT, AT(max_calls), "5000", 1, 100000, NULL, FALSE,
     "Live dialogs; beyond that callers hear 503."},
    {"sip", "max-invites-per-second", CLV_OPTION_INT, AT(max_invites), "0", 0, 100000, NULL, FALSE,
     "New calls, and REFERs outside of calls, a second; beyond that 503 is heard; 0 is no limit."},
    {"sip", "idle-timeout", CLV_OPTION_TIME_MS, AT(idle_ms), "3m", 1 * SECOND, 86400 * SECOND, NULL,
     FALSE, "Connections without a complete message for so long are closed."},
    {"sip", "max-connections", CLV_OPTION_INT, AT(max_connections), "8192", 16, 100000, NULL, FALSE,
     "TCP and TLS connections together; the oldest silent one makes room."},

    {"media", "threads", CLV_OPTION_INT, AT(media_threads), "0", 0, 256, NULL, FALSE,
     "Media threads; 0 is one for each core."},
    {"media", "port-first", CLV_OPTION_INT, AT(port_first), "20000", 1024, 65534, NULL, FALSE,
     "First UDP port for RTP and RTCP."},
    {"media", "port-last", CLV_OPTION_INT, AT(port_last), "39999", 1025, 65535, NULL, FALSE,
     "Last UDP port for RTP and RTCP."},
    {"media", "address", CLV_OPTION_STRING, AT(media_address), NULL, 0, 0, NULL, FALSE,
     "Local address of media; unset: the address that the call came to."},
    {"media", "transform", CLV_OPTION_ENUM, AT(transform), "openssl", 0, 0, transforms, FALSE,
     "Which code protects packets; libsrtp2 is slower with many streams."},
    {"media", "silence-timeout", CLV_OPTION_TIME_MS, AT(silence_ms), "60s", 0, 86400 * SECOND, NULL,
     FALSE,
     "A peer that sends no authentic packet for so long is asked by OPTIONS, and dropped when he "
     "does not answer; 0: never."},
    {"media", "prompts", CLV_OPTION_PATH, AT(prompts), CLV_DATADIR "/prompts/en", 0, 0, NULL, FALSE,
     "Folder of what is said to participants, WAV files; tones are played for what is missing."},
    {"media", "realtime", CLV_OPTION_BOOL, AT(media_realtime), "no", 0, 0, NULL, FALSE,
     "Run media threads with real-time priority, where the system permits (LimitRTPRIO=)."},

    {"policy", "file", CLV_OPTION_PATH, AT(policy_file), CLV_SYSCONFDIR "/policy.conf", 0, 0, NULL,
     FALSE, "Main policy file, see conclave-policy(5)."},
    {"policy", "directory", CLV_OPTION_PATH, AT(policy_dir), NULL, 0, 0, NULL, FALSE,
     "Folder of further *.conf policy files, read after the main one."},
    {"policy", "state-file", CLV_OPTION_PATH, AT(state_file), NULL, 0, 0, NULL, FALSE,
     "Where conferences with persist=yes are kept over a restart; unset: they are not."},

    {"kms", "url", CLV_OPTION_STRINGS, AT(kms_urls), NULL, 0, 0, NULL, FALSE,
     "Where tickets are resolved: addresses of one KMS, the best first, at most 8; unset with an "
     "embedded KMS."},
    {"kms", "uri", CLV_OPTION_STRING, AT(kms_uri), NULL, 0, 0, NULL, FALSE,
     "The KMS's identity (IDRkms) in tickets."},
    {"kms", "user", CLV_OPTION_STRING, AT(kms_user), NULL, 0, 0, NULL, FALSE,
     "This server's user name (IDRpsk) at the KMS."},
    {"kms", "psk-file", CLV_OPTION_PATH, AT(kms_psk_file), NULL, 0, 0, NULL, FALSE,
     "The key shared with the KMS; unset with an embedded KMS, whose key file has it."},
    {"kms", "mikey-cert-file", CLV_OPTION_PATH, AT(mikey_cert), NULL, 0, 0, NULL, FALSE,
     "In place of psk-file: this server's certificate, signed messages go to the KMS."},
    {"kms", "mikey-key-file", CLV_OPTION_PATH, AT(mikey_key), NULL, 0, 0, NULL, FALSE,
     "Private key of mikey-cert-file: RSA, 2048 bits or more."},
    {"kms", "mikey-kms-cert-file", CLV_OPTION_PATH, AT(mikey_kms_cert), NULL, 0, 0, NULL, FALSE,
     "Certificate of the KMS with uri= in its names; its RSA key takes the envelope keys."},
    {"kms", "mikey-ca-file", CLV_OPTION_PATH, AT(mikey_ca), NULL, 0, 0, NULL, FALSE,
     "Those who may have signed mikey-kms-cert-file; unset: that very certificate is trusted."},
    {"kms", "mikey-crl-file", CLV_OPTION_PATH, AT(mikey_crl), NULL, 0, 0, NULL, FALSE,
     "Revocation lists of those who sign; unset: none are looked at."},
    {"kms", "ca-file", CLV_OPTION_PATH, AT(kms_ca), NULL, 0, 0, NULL, FALSE,
     "Certificates that the KMS's certificate is checked against; unset: the system's."},
    {"kms", "cert-file", CLV_OPTION_PATH, AT(kms_cert), NULL, 0, 0, NULL, FALSE,
     "Client certificate for the KMS."},
    {"kms", "key-file", CLV_OPTION_PATH, AT(kms_key), NULL, 0, 0, NULL, FALSE,
     "Private key of the client certificate."},
    {"kms", "allow-insecure", CLV_OPTION_BOOL, AT(kms_insecure), "no", 0, 0, NULL, FALSE,
     "Accept plain http to a KMS on another host. For tests."},
    {"kms", "binary-body", CLV_OPTION_BOOL, AT(kms_binary), "no", 0, 0, NULL, FALSE,
     "Send raw octets instead of base64."},
    {"kms", "allow-128", CLV_OPTION_BOOL, AT(kms_allow_128), "no", 0, 0, NULL, FALSE,
     "Accept the 128-bit suite of MIKEY (HMAC-SHA-1, AES-CM-128) beside the 256-bit one."},
    {"kms", "announce", CLV_OPTION_BOOL, AT(kms_announce), "no", 0, 0, NULL, FALSE,
     "Tell the KMS which conferences there are; needed where its service has conferences=list."},
    {"kms", "timeout", CLV_OPTION_TIME_MS, AT(kms_timeout_ms), "3s", 50, 30 * SECOND, NULL, FALSE,
     "Deadline of one request, all addresses together; the caller hears 504."},
    {"kms", "connect-timeout", CLV_OPTION_TIME_MS, AT(kms_connect_ms), "1500ms", 10, 30 * SECOND,
     NULL, FALSE, "How long a connection to one address, with its TLS, may take to come about."},
    {"kms", "connections", CLV_OPTION_INT, AT(kms_connections), "8", 1, 64, NULL, FALSE,
     "Requests under way at once."},
    {"kms", "max-outstanding", CLV_OPTION_INT, AT(kms_outstanding), "256", 1, 10000, NULL, FALSE,
     "Requests waiting or under way; beyond that callers hear 503."},
    {"kms", "per-source", CLV_OPTION_INT, AT(kms_per_source), "4", 1, 10000, NULL, FALSE,
     "The same for one caller: a name that a trusted peer asserts, else an address."},
    {"kms", "per-conference", CLV_OPTION_INT, AT(kms_per_conference), "16", 1, 10000, NULL, FALSE,
     "The same for one conference. A quarter is for calls that are up and users known by SIP; half "
     "for "
     "tickets of names that may come; the last quarter for all tickets."},
    {"kms", "clock-skew", CLV_OPTION_TIME_MS, AT(kms_skew_ms), "5m", 1 * SECOND, 3600 * SECOND,
     NULL, FALSE, "How far clocks may be apart; also the memory for replays."},
    {"kms", "breaker-failures", CLV_OPTION_INT, AT(kms_breaker_failures), "5", 1, 1000, NULL, FALSE,
     "Failures in a row after which an address of the KMS is left alone for a while."},
    {"kms", "breaker-time", CLV_OPTION_TIME_MS, AT(kms_breaker_ms), "10s", 100, 600 * SECOND, NULL,
     FALSE, "How long it is left alone; if all are, callers hear 503 with Retry-After."},

    {"embedded-kms", "keys", CLV_OPTION_PATH, AT(embedded_keys), NULL, 0, 0, NULL, TRUE,
     "Key file of a KMS inside this process (development); unset: none."},
    {"embedded-kms", "listen", CLV_OPTION_STRING, AT(embedded_listen), "127.0.0.1:8089", 0, 0, NULL,
     FALSE, "Its HTTP address; loopback."},

    {"metrics", "listen", CLV_OPTION_STRING, AT(metrics_listen), NULL, 0, 0, NULL, FALSE,
     "Address and port, or a port on 127.0.0.1, of GET /metrics for Prometheus; unset: none."},
    {"metrics", "allow-remote", CLV_OPTION_BOOL, AT(metrics_remote), "no", 0, 0, NULL, FALSE,
     "Permit other addresses than loopback there; it is plain HTTP for whoever asks."},
    {0},
};

static const ClvOptionSet *
sets_for(ClvConfig *config, ClvOptionSet out[2])
{
    out[0] = (ClvOptionSet){options, config};
    out[1] = (ClvOptionSet){NULL, NULL};
    return out;
}

static void
expect(GPtrArray *errors, const char *path, gboolean holds, const char *sentence)
{
    if (!holds)
        g_ptr_array_add(errors,
                        g_strdup_printf("%s: %s", path != NULL ? path : "(defaults)", sentence));
}

static gboolean
listens_on_tls(const ClvConfig *config)
{
    for (char **l = config->listen; l != NULL && *l != NULL; l++) {
        if (g_str_has_prefix(*l, "tls:"))
            return TRUE;
    }
    return FALSE;
}

/* It names the KMS in MIKEY messages; no ticket could hold anything else. */
static void
check_kms_uri(const ClvConfig *c, const char *path, GPtrArray *errors)
{
    g_autofree char *canonical = clv_identity_canonical(c->kms_uri, -1);

    if (canonical == NULL)
        g_ptr_array_add(
            errors, g_strdup_printf("%s: [kms] uri: found '%s', expected the KMS's identity, such "
                                    "as sip:kms@operator.example",
                                    path != NULL ? path : "(defaults)", c->kms_uri));
}

/* What no single option can see. */
static void
check_together(const ClvConfig *c, const char *path, GPtrArray *errors)
{
    if (c->port_first + 1 >= c->port_last)
        g_ptr_array_add(errors,
                        g_strdup_printf("%s: [media] port-last: found %d with port-first=%d, "
                                        "expected a number larger by two or more",
                                        path != NULL ? path : "(defaults)", (int)c->port_last,
                                        (int)c->port_first));
    expect(errors, path, c->min_se_ms <= c->session_expires_ms,
           "[sip] min-se must not be larger than session-expires");
    expect(errors, path, !listens_on_tls(c) || c->tls_dir != NULL,
           "[sip] listen has tls: but tls-dir is not set");
    expect(errors, path, c->media_address == NULL || g_hostname_is_ip_address(c->media_address),
           "[media] address must be an IP address");
    expect(errors, path, (c->kms_cert == NULL) == (c->kms_key == NULL),
           "[kms] cert-file and key-file go together");
    expect(errors, path, c->kms_psk_file == NULL || c->mikey_cert == NULL,
           "[kms] psk-file and mikey-cert-file are both set: expected one of them");
    expect(errors, path,
           (c->mikey_cert == NULL) == (c->mikey_key == NULL) &&
               (c->mikey_cert == NULL) == (c->mikey_kms_cert == NULL),
           "[kms] mikey-cert-file, mikey-key-file and mikey-kms-cert-file go together");
    expect(errors, path, c->mikey_cert != NULL || (c->mikey_ca == NULL && c->mikey_crl == NULL),
           "[kms] mikey-ca-file and mikey-crl-file go with mikey-cert-file");
    if (c->kms_uri != NULL)
        check_kms_uri(c, path, errors);
    if (path == NULL)
        return;
    expect(errors, path, c->kms_urls != NULL || c->embedded_keys != NULL,
           "no KMS: expected [kms] url= or [embedded-kms] keys=");
    expect(errors, path, c->kms_uri != NULL,
           "[kms] uri= is missing: expected the KMS's identity, "
           "such as sip:kms@operator.example");
    expect(errors, path, c->kms_user != NULL || c->mikey_cert != NULL,
           "[kms] user= is missing: expected this server's user name at the KMS");
    expect(errors, path,
           c->kms_psk_file != NULL || c->mikey_cert != NULL || c->embedded_keys != NULL,
           "[kms] psk-file= is missing: expected the file with the key shared with the KMS, or "
           "mikey-cert-file=");
}

gboolean
clv_config_load(ClvConfig *config, const char *path, GPtrArray *errors)
{
    ClvOptionSet sets[2];
    guint before = errors->len;

    memset(config, 0, sizeof *config);
    if (clv_options_load(sets_for(config, sets), path, errors))
        check_together(config, path, errors);
    return errors->len == before;
}

void
clv_config_clear(ClvConfig *config)
{
    ClvOptionSet sets[2];

    clv_options_clear(sets_for(config, sets));
    memset(config, 0, sizeof *config);
}

char *
clv_config_sample(void)
{
    ClvConfig config = {0};
    ClvOptionSet sets[2];

    return clv_options_sample(sets_for(&config, sets));
}
