/* SPDX-License-Identifier: Apache-2.0 */
/* daemon/keys.c - the KMS as this process sees it: client, credentials, and the embedded service */
#include <openssl/crypto.h>
#include <string.h>

#include "base/secret.h"
#include "daemon/check.h"
#include "daemon/hub-private.h"
#include "daemon/papers.h"

/* RFC 6043: 128 bits at least; libmikey takes keys up to 64 octets */
#define KMS_MIN_PSK 16
#define KMS_MAX_PSK 64
/* Two for each call with a ticket, kept until twice the skew is over: 800 calls a second with the
 * usual 300 s. Room is taken as it is needed, some 90 octets each. When it is full calls get 503.
 */
#define REPLAY_ENTRIES 1000000

static void
log_decision(const ClvKmsDecision *d, const char *peer, void *user)
{
    clv_log(CLV_LOG_INFO, NULL, "kms-decision", "KMS: %s %s of user '%s' for %s from %s: %s",
            d->granted ? "granted" : "refused", d->request, d->user, d->subject, peer, d->rule);
}

static ClvKmsKeyFile *
load_key_file(const ClvConfig *config, GError **error)
{
    g_autoptr(GPtrArray) errors = g_ptr_array_new_with_free_func(g_free);
    ClvKmsKeyFile *keys = clv_kms_keyfile_load(config->embedded_keys, errors);
    g_autofree char *text = NULL;

    if (keys != NULL && clv_config_check_embedded(config, keys, errors))
        return keys;
    clv_kms_keyfile_free(keys);
    g_ptr_array_add(errors, NULL);
    text = g_strjoinv("\n", (char **)errors->pdata);
    g_set_error_literal(error, CLV_KMS_ERROR, 0, text);
    return NULL;
}

/* In place: exchanges under way point to it. */
static gboolean
take_psk(Kms *kms, const guint8 *bytes, gsize len, GError **error)
{
    if (len < KMS_MIN_PSK || len > KMS_MAX_PSK) {
        g_set_error(error, CLV_KMS_ERROR, 0,
                    "the key shared with the KMS has %zu octets, expected %d to %d", len,
                    KMS_MIN_PSK, KMS_MAX_PSK);
        return FALSE;
    }
    OPENSSL_cleanse(kms->psk, KMS_MAX_PSK);
    memcpy(kms->psk, bytes, len);
    kms->keymgmt.psk_len = len;
    return TRUE;
}

static gboolean
read_psk(Kms *kms, const ClvConfig *config, const ClvKmsKeyFile *keys, GError **error)
{
    g_autoptr(ClvSecret) secret = NULL;
    const guint8 *bytes;
    gsize len = 0;

    if (config->mikey_cert != NULL)
        return TRUE;
    if (config->kms_psk_file != NULL) {
        secret = clv_secret_read_file(config->kms_psk_file, error);
        if (secret == NULL)
            return FALSE;
        bytes = clv_secret_bytes(secret, &len);
        return take_psk(kms, bytes, len, error);
    }
    bytes = clv_kms_keyfile_psk(keys, config->kms_user, &len); /* load_key_file() has found him */
    return take_psk(kms, bytes, len, error);
}

static gboolean
open_embedded(Kms *kms, const ClvConfig *config, GError **error)
{
    ClvKmsServerConfig server = {
        .listen = config->embedded_listen,
        .log = log_decision,
    };
    ClvKmsKeyFile *keys;

    if (config->embedded_keys == NULL)
        return read_psk(kms, config, NULL, error);
    keys = load_key_file(config, error);
    if (keys == NULL)
        return FALSE;
    if (!read_psk(kms, config, keys, error)) {
        clv_kms_keyfile_free(keys);
        return FALSE;
    }
    kms->service = clv_kms_service_new(keys, NULL, NULL);
    if (!clv_kms_service_open_state(kms->service, g_get_real_time(), error))
        return FALSE;
    kms->server = clv_kms_server_new(&server, kms->service, error);
    if (kms->server == NULL)
        g_prefix_error(error, "embedded KMS: ");
    return kms->server != NULL;
}

static gboolean
open_client(Kms *kms, const ClvConfig *config, GError **error)
{
    ClvKmsClientConfig client = {
        .url = kms->url,
        .urls = (const char *const *)config->kms_urls,
        .ca_file = config->kms_ca,
        .cert_file = config->kms_cert,
        .key_file = config->kms_key,
        .allow_insecure = config->kms_insecure,
        .timeout_ms = config->kms_timeout_ms,
        .connect_ms = config->kms_connect_ms,
        .connections = (guint)config->kms_connections,
        .max_outstanding = (guint)config->kms_outstanding,
        .breaker_failures = (guint)config->kms_breaker_failures,
        .breaker_open_ms = config->kms_breaker_ms,
        .binary_body = config->kms_binary,
    };

    kms->client = clv_kms_client_new(&client, error);
    return kms->client != NULL;
}

gboolean
kms_open(Kms *kms, const ClvConfig *config, GError **error)
{
    kms->psk = OPENSSL_secure_zalloc(KMS_MAX_PSK);
    if (config->mikey_cert != NULL) {
        kms->papers = kms_papers_load(config, g_get_real_time(), error);
        if (kms->papers == NULL)
            return FALSE;
    }
    if (!open_embedded(kms, config, error))
        return FALSE;
    kms->url = config->kms_urls != NULL ? g_strjoinv(";", config->kms_urls)
                                        : g_strdup(clv_kms_server_url(kms->server));
    kms->replay = clv_replay_new(REPLAY_ENTRIES);
    kms->keymgmt = (ClvKeymgmtConfig){
        .kms_uri = config->kms_uri,
        .psk_id = (const guint8 *)config->kms_user,
        .psk_id_len = config->kms_user != NULL ? strlen(config->kms_user) : 0,
        .psk = kms->psk,
        .papers = kms->papers,
        .psk_len = kms->keymgmt.psk_len,
        .skew_s = config->kms_skew_ms / 1000,
        .allow_128 = config->kms_allow_128,
        .replay = kms->replay,
        .random = clv_random,
    };
    return open_client(kms, config, error);
}

/* Half open is on the way from one to the other and not worth a line. */
static void
note_breaker(ClvKmsBreaker *last, const ClvKmsUrlState *now)
{
    if (now->breaker == *last || now->breaker == CLV_KMS_BREAKER_HALF_OPEN)
        return;
    *last = now->breaker;
    if (now->breaker == CLV_KMS_BREAKER_OPEN)
        clv_log(CLV_LOG_ERROR, NULL, "kms-left-alone",
                "KMS %s is left alone after %u failures in a row; the last: %s", now->url,
                now->failures_in_row, now->last_error);
    else
        clv_log(CLV_LOG_NOTICE, NULL, "kms-asked-again", "KMS %s works and is asked again",
                now->url);
}

void
kms_note(Kms *kms, const ClvKmsReply *reply)
{
    if (reply->trouble != NULL)
        clv_log(CLV_LOG_WARNING, NULL, "kms-failover", "%s; %s answered instead", reply->trouble,
                reply->url);
    for (guint i = 0; i < clv_kms_client_n_urls(kms->client); i++) {
        ClvKmsUrlState state;

        clv_kms_client_url_state(kms->client, i, &state);
        note_breaker(&kms->breakers[i], &state);
    }
}

void
kms_close(Kms *kms)
{
    clv_kms_client_free(kms->client);
    clv_kms_server_free(kms->server);
    clv_kms_service_free(kms->service);
    clv_replay_free(kms->replay);
    OPENSSL_secure_clear_free(kms->psk, KMS_MAX_PSK);
    clv_papers_free(kms->papers);
    if (kms->old_papers != NULL)
        g_ptr_array_unref(kms->old_papers);
    g_free(kms->url);
    memset(kms, 0, sizeof *kms);
}

/* New papers for new calls; exchanges under way may still point to the old ones. */
static gboolean
renew_papers(Kms *kms, const ClvConfig *config, GError **error)
{
    ClvPapers *papers;

    if (config->mikey_cert == NULL)
        return TRUE;
    papers = kms_papers_load(config, g_get_real_time(), error);
    if (papers == NULL)
        return FALSE;
    if (kms->old_papers == NULL)
        kms->old_papers = g_ptr_array_new_with_free_func((GDestroyNotify)clv_papers_free);
    g_ptr_array_add(kms->old_papers, kms->papers);
    kms->keymgmt.papers = kms->papers = papers;
    return TRUE;
}

gboolean
kms_reload(Kms *kms, const ClvConfig *config, GPtrArray *errors)
{
    ClvKmsKeyFile *keys = NULL;
    g_autoptr(GError) error = NULL;

    if (kms->service != NULL) {
        keys = clv_kms_keyfile_load(config->embedded_keys, errors);
        if (keys == NULL)
            return FALSE;
        if (!clv_config_check_embedded(config, keys, errors)) {
            clv_kms_keyfile_free(keys);
            return FALSE;
        }
    }
    if (!read_psk(kms, config, keys, &error) || !renew_papers(kms, config, &error)) {
        g_ptr_array_add(errors, g_strdup(error->message));
        clv_kms_keyfile_free(keys);
        return FALSE;
    }
    if (keys != NULL)
        clv_kms_service_reload(kms->service, keys);
    return TRUE;
}
