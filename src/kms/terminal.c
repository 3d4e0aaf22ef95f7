/* SPDX-License-Identifier: Apache-2.0 */
/* kms/terminal.c - a user's own talk with his KMS: get a ticket, have one resolved; blocking */
#include "config.h"

#include "kms/terminal.h"

#include <string.h>

#include "kms/http.h"

#define DEFAULT_TIMEOUT_MS 3000
#define NO_REFUSAL 255

struct ClvTerminal {
    ClvKmsHttp *http;
    gint64 timeout_us;
    char *kms_uri, *identity, *user;
    MikeyKey psk;
    MikeyAccount account; /* points into the members above */
};

static gboolean fail(GError **error, ClvCode code, const char *format, ...) G_GNUC_PRINTF(3, 4);

static gboolean
fail(GError **error, ClvCode code, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    g_propagate_error(error, g_error_new_valist(CLV_KMS_ERROR, (int)code, format, args));
    va_end(args);
    return FALSE;
}

static gboolean
check_account(const ClvTerminalConfig *config, GError **error)
{
    if (config->kms_uri == NULL || config->identity == NULL || config->user == NULL)
        return fail(error, CLV_CODE_INTERNAL, "KMS URI, identity or user name is not given");
    if (config->psk_len < 16 || config->psk_len > MIKEY_MAX_KEY)
        return fail(error, CLV_CODE_INTERNAL,
                    "key shared with the KMS: found %" G_GSIZE_FORMAT " octets, expected 16 to %u",
                    config->psk_len, MIKEY_MAX_KEY);
    return TRUE;
}

ClvTerminal *
clv_terminal_new(const ClvTerminalConfig *config, GError **error)
{
    g_autoptr(ClvTerminal) terminal = NULL;
    gint64 timeout_ms;

    g_return_val_if_fail(config != NULL, NULL);
    if (!check_account(config, error))
        return NULL;

    timeout_ms = config->http.timeout_ms > 0 ? config->http.timeout_ms : DEFAULT_TIMEOUT_MS;
    terminal = g_new0(ClvTerminal, 1);
    terminal->timeout_us = 1000 * timeout_ms;
    terminal->kms_uri = g_strdup(config->kms_uri);
    terminal->identity = g_strdup(config->identity);
    terminal->user = g_strdup(config->user);
    mikey_key_set(&terminal->psk, config->psk, config->psk_len);
    terminal->account = (MikeyAccount){
        .psk = &terminal->psk,
        .psk_id = mikey_identity_bytes(mikey_bytes_str(terminal->user)),
        .self = mikey_identity_uri(terminal->identity),
        .kms = mikey_identity_uri(terminal->kms_uri),
        .prf = config->suite_128 ? MIKEY_PRF_MIKEY_1 : MIKEY_PRF_HMAC_SHA_256,
    };
    terminal->http = clv_kms_http_new(&config->http, error);
    if (terminal->http == NULL)
        return NULL;
    return g_steal_pointer(&terminal);
}

void
clv_terminal_free(ClvTerminal *terminal)
{
    if (terminal == NULL)
        return;
    clv_kms_http_free(terminal->http);
    mikey_key_clear(&terminal->psk);
    g_free(terminal->kms_uri);
    g_free(terminal->identity);
    g_free(terminal->user);
    g_free(terminal);
}

GByteArray *
clv_terminal_exchange(ClvTerminal *terminal, ClvKmsRequest request, const guint8 *bytes, gsize len,
                      GError **error)
{
    g_autofree char *detail = NULL;
    GByteArray *answer = NULL;
    ClvCode code =
        clv_kms_http_post(terminal->http, request, bytes, len,
                          g_get_monotonic_time() + terminal->timeout_us, &answer, &detail);

    if (code != CLV_CODE_OK)
        fail(error, code, "%s", detail);
    return answer;
}

static MikeyEnv
env_at(const ClvTerminal *terminal, gint64 now_us)
{
    return (MikeyEnv){
        .now = mikey_ntp_from_unix_us(now_us),
        .allow_128 = terminal->account.prf == MIKEY_PRF_MIKEY_1,
        .random = mikey_random_openssl,
    };
}

/* What the library makes of an answer, as an error. */
static void
explain(MikeyStatus status, const MikeyPeerError *peer, const char *what,
        MikeyPeerError *out_refusal, GError **error)
{
    if (status != MIKEY_PEER_ERROR) {
        fail(error, CLV_CODE_KEYMGMT_FAILED, "%s: %s", what, mikey_status_string(status));
        return;
    }
    if (out_refusal != NULL)
        *out_refusal = *peer;
    fail(error, CLV_CODE_FORBIDDEN, "%s: the KMS refuses: %s (error %u%s)", what,
         mikey_error_string(peer->number), peer->number,
         peer->authentic ? "" : ", not authenticated");
}

static MikeyIdentity *
identities(const char *const *texts, gboolean uris, gsize *out_n)
{
    gsize n = texts == NULL ? 0 : g_strv_length((char **)texts);
    MikeyIdentity *list = g_new0(MikeyIdentity, n + 1);

    for (gsize i = 0; i < n; i++)
        list[i] =
            uris ? mikey_identity_uri(texts[i]) : mikey_identity_bytes(mikey_bytes_str(texts[i]));
    *out_n = n;
    return list;
}

static MikeyStatus
make_request(const ClvTerminal *terminal, const ClvTicketWish *wish, gint64 now_us,
             const MikeyEnv *env, MikeyRequest **out_request)
{
    MikeyPolicy policy = mikey_policy_default();
    g_autofree MikeyIdentity *responders = identities(wish->responders, TRUE, &policy.n_responders);
    g_autofree MikeyIdentity *purposes = identities(wish->purposes, FALSE, &policy.n_applications);

    policy.prf = terminal->account.prf;
    policy.flags |= wish->more_flags | (wish->reusable ? MIKEY_FLAG_J : 0);
    policy.responders = responders;
    policy.applications = purposes;
    policy.has_end = wish->lifetime_s > 0;
    policy.end_unix = now_us / G_USEC_PER_SEC + wish->lifetime_s;
    return mikey_request_new(&terminal->account, &policy, env, out_request);
}

MikeyGrant *
clv_terminal_request(ClvTerminal *terminal, const ClvTicketWish *wish, gint64 now_us,
                     MikeyPeerError *out_refusal, GError **error)
{
    MikeyEnv env = env_at(terminal, now_us);
    MikeyPeerError peer = {NO_REFUSAL, FALSE};
    MikeyRequest *request = NULL;
    MikeyGrant *grant = NULL;
    g_autoptr(GByteArray) answer = NULL;
    MikeyStatus status;
    MikeyBytes octets;

    if (out_refusal != NULL)
        *out_refusal = peer;
    status = make_request(terminal, wish, now_us, &env, &request);
    if (status != MIKEY_OK) {
        explain(status, &peer, "making a ticket request", NULL, error);
        return NULL;
    }
    octets = mikey_request_octets(request);
    answer =
        clv_terminal_exchange(terminal, CLV_KMS_TICKET_REQUEST, octets.data, octets.len, error);
    if (answer != NULL) {
        status = mikey_request_finish(request, mikey_bytes(answer->data, answer->len), &env, &grant,
                                      &peer);
        if (status != MIKEY_OK)
            explain(status, &peer, "ticket request", out_refusal, error);
    }
    mikey_request_free(request);
    return grant;
}

MikeyResolution *
clv_terminal_resolve(ClvTerminal *terminal, const MikeyOffer *offer, gint64 now_us,
                     MikeyPeerError *out_refusal, GError **error)
{
    MikeyEnv env = env_at(terminal, now_us);
    MikeyPeerError peer = {NO_REFUSAL, FALSE};
    MikeyResolve *resolve = NULL;
    MikeyResolution *resolution = NULL;
    g_autoptr(GByteArray) answer = NULL;
    MikeyStatus status;
    MikeyBytes octets;

    if (out_refusal != NULL)
        *out_refusal = peer;
    status = mikey_resolve_new(offer, &terminal->account, &env, &resolve);
    if (status != MIKEY_OK) {
        explain(status, &peer, "making a ticket resolve", NULL, error);
        return NULL;
    }
    octets = mikey_resolve_octets(resolve);
    answer =
        clv_terminal_exchange(terminal, CLV_KMS_TICKET_RESOLVE, octets.data, octets.len, error);
    if (answer != NULL) {
        status = mikey_resolve_finish(resolve, mikey_bytes(answer->data, answer->len), &env,
                                      &resolution, &peer);
        if (status != MIKEY_OK)
            explain(status, &peer, "ticket resolve", out_refusal, error);
    }
    mikey_resolve_free(resolve);
    return resolution;
}
