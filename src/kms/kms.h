/* SPDX-License-Identifier: Apache-2.0 */
/* kms/kms.h - carry a request to a KMS; and the KMS itself
 *
 * Client: worker threads, one HTTP request each under a deadline; the answer comes back on a
 * queue with the token of the asker. Service: the KMS's own logic, bytes in and bytes out, pure;
 * and libmicrohttpd around it, in a thread of its own.
 */
#pragma once

#include "conference/vocabulary.h"
#include "keymgmt/keymgmt.h"

#define CLV_KMS_ERROR (clv_kms_error_quark())
GQuark clv_kms_error_quark(void);

/* ---- client (kms/client.c) ---- */
typedef struct ClvKmsClient ClvKmsClient;

typedef struct ClvKmsClientConfig {
    const char *url;          /* "http://127.0.0.1:8089/keymanagement" */
    const char *ca_file;      /* (nullable) */
    const char *cert_file;    /* (nullable) client certificate */
    const char *key_file;     /* (nullable) */
    gboolean allow_insecure;  /* plain http to other hosts than loopback */
    gint64 timeout_ms;        /* 3000 */
    guint connections;        /* workers, 8 */
    guint max_outstanding;    /* 256 */
    guint breaker_failures;   /* 5 */
    gint64 breaker_open_ms;   /* 10000 */
    gboolean binary_body;     /* raw octets instead of base64 */
} ClvKmsClientConfig;

typedef struct ClvKmsReply {
    guint64 token;
    guint64 generation;
    ClvCode code;      /* OK: body is a MIKEY message (answer or Error); else KMS_TIMEOUT, KMS_DOWN... */
    GByteArray *body;  /* (nullable) raw MIKEY octets */
    char *detail;      /* (nullable) a sentence for the log */
} ClvKmsReply;
void clv_kms_reply_free(ClvKmsReply *reply);

ClvKmsClient *clv_kms_client_new(const ClvKmsClientConfig *config, GError **error);
/* Waits for the workers (their requests are aborted). */
void clv_kms_client_free(ClvKmsClient *client);
int clv_kms_client_event_fd(const ClvKmsClient *client); /* readable when replies wait */
ClvKmsReply *clv_kms_client_take(ClvKmsClient *client);  /* (transfer full) (nullable) */
/* bytes: raw MIKEY message, copied. Returns OK, or KMS_DOWN / OVERLOAD at once without a reply. */
ClvCode clv_kms_client_post(ClvKmsClient *client, ClvKmsRequest request, const guint8 *bytes,
                            gsize len, guint64 token, guint64 generation);

typedef struct ClvKmsClientState {
    gboolean breaker_open;
    guint outstanding;
    guint64 requests, failures, timeouts;
    gint64 last_latency_us;
    char last_error[160];
} ClvKmsClientState;
void clv_kms_client_state(ClvKmsClient *client, ClvKmsClientState *out);

/* ---- service (kms/ticket-service.c) ---- */
typedef struct ClvKmsKeyFile ClvKmsKeyFile; /* users, identities, keys, rules */
typedef struct ClvKmsService ClvKmsService;

/* Checks mode, syntax and sense; errors are "file:line: found, expected". */
ClvKmsKeyFile *clv_kms_keyfile_load(const char *path, GPtrArray *errors);
void clv_kms_keyfile_free(ClvKmsKeyFile *keys);
/* The PSK of a user, for whoever is configured by reference to the key file (development set-up);
 * (transfer none) (nullable). */
const guint8 *clv_kms_keyfile_psk(const ClvKmsKeyFile *keys, const char *user, gsize *out_len);

/* keys: (transfer full). */
ClvKmsService *clv_kms_service_new(ClvKmsKeyFile *keys, ClvRandom random, void *random_user);
void clv_kms_service_free(ClvKmsService *service);
/* keys: (transfer full): swaps the key file; the replay cache stays. */
void clv_kms_service_reload(ClvKmsService *service, ClvKmsKeyFile *keys);

/* One decision, for the log line: no key in it. */
typedef struct ClvKmsDecision {
    gboolean granted;
    char user[64], request[24], subject[256], rule[160];
} ClvKmsDecision;
/* Total: always yields a MIKEY message (answer or Error) or NULL when nothing may be answered.
 * Thread safe. */
GByteArray *clv_kms_service_handle(ClvKmsService *service, ClvKmsRequest request,
                                   const guint8 *bytes, gsize len, gint64 now_us,
                                   ClvKmsDecision *out_decision);

/* ---- server (kms/serve.c) ---- */
typedef struct ClvKmsServer ClvKmsServer;
typedef struct ClvKmsServerConfig {
    const char *listen;     /* "127.0.0.1:8089", "[::1]:0" */
    const char *cert_file;  /* (nullable) TLS when set */
    const char *key_file;
    gboolean allow_insecure; /* plain HTTP on other addresses than loopback */
    guint max_connections;
    void (*log)(const ClvKmsDecision *decision, const char *peer, void *user);
    void *log_user;
} ClvKmsServerConfig;
ClvKmsServer *clv_kms_server_new(const ClvKmsServerConfig *config, ClvKmsService *service,
                                 GError **error);
void clv_kms_server_free(ClvKmsServer *server);
const char *clv_kms_server_url(const ClvKmsServer *server); /* with the real port */
