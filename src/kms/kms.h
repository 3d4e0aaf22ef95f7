/* SPDX-License-Identifier: Apache-2.0 */
/* kms/kms.h - carry a request to a KMS; and the KMS itself
 *
 * Client: worker threads, one HTTP request each under a deadline, to the first address of the KMS
 * that is up; the answer comes back on a queue with the token of the asker. Service: the KMS's own
 * logic, bytes in and bytes out, pure; and libmicrohttpd around it, in a thread of its own.
 */
#pragma once

#include "base/secret.h"
#include "conference/vocabulary.h"
#include "keymgmt/keymgmt.h"

#define CLV_KMS_ERROR (clv_kms_error_quark())
GQuark clv_kms_error_quark(void);

/* ---- client (kms/client.c) ---- */
typedef struct ClvKmsClient ClvKmsClient;

/* Zero and NULL mean the default that the comment names. Only read by clv_kms_client_new(). */
typedef struct ClvKmsClientConfig {
    const char *url;         /* "http://127.0.0.1:8089/keymanagement" */
    const char *const *urls; /* (nullable) instead of url: addresses of one KMS, the best first */
    const char *ca_file;     /* (nullable) */
    const char *cert_file;   /* (nullable) client certificate */
    const char *key_file;    /* (nullable) */
    const char *const *server_names; /* (nullable) NULL-terminated: besides the host, the KMS's
                                        certificate has one of these: a URI, or "cn:" and its
                                        common name */
    const char *digest_user; /* (nullable) B-TID: answer a challenge the way of TS 33.222 */
    const char *digest_password;
    gboolean allow_insecure; /* plain http to other hosts than loopback */
    gint64 timeout_ms;       /* 3000, for all tries of one request together */
    gint64 connect_ms;       /* for a connection and its TLS to come about; 0: as a try may take */
    guint connections;       /* workers, 8 */
    guint max_outstanding;   /* 256 */
    guint breaker_failures;  /* 5, for each URL */
    gint64 breaker_open_ms;  /* 10000 */
    gboolean binary_body;    /* raw octets instead of base64 */
} ClvKmsClientConfig;

/* What a conference system tells its KMS about a conference of its own */
typedef struct ClvKmsListing {
    const char *kms_uri; /* IDRkms: "sip:kms@example.org" */
    const char *user;    /* IDRpsk: the name of the [user] who has the [service] */
    const guint8 *psk;
    gsize psk_len;
    const char *conference;
    gint64 lifetime_s; /* of an announcement; 0: as long as list-lifetime= allows */
} ClvKmsListing;

typedef struct ClvKmsReply {
    guint64 token;
    guint64 generation;
    /* OK: body is a MIKEY message (answer or Error), whatever the HTTP status was. Else:
     * KMS_TIMEOUT: unreachable, too slow, or its answer is no MIKEY message (detail tells which);
     * KMS_DOWN: breaker open, or the KMS itself says 503 or 429; FORBIDDEN: HTTP 403;
     * INTERNAL: HTTP 401, our own credentials are wrong.
     * With several URLs, KMS_TIMEOUT and KMS_DOWN make the next one be asked; this is the last. */
    ClvCode code;
    GByteArray *body; /* (nullable) raw MIKEY octets */
    char *detail;     /* (nullable) a sentence for the log */
    char *trouble;    /* (nullable) OK all the same: what failed before another URL answered */
    const char *url;  /* (nullable) who had the last word; lives as long as the client */
    gboolean listing; /* to an announcement or a withdrawal: OK has no body, it is done */
} ClvKmsReply;
void clv_kms_reply_free(ClvKmsReply *reply);

ClvKmsClient *clv_kms_client_new(const ClvKmsClientConfig *config, GError **error);
/* Aborts what is under way, joins the workers, drops replies nobody took. No reply comes later. */
void clv_kms_client_free(ClvKmsClient *client);
/* Readable when replies wait; register it for reading, never read it yourself: take until NULL. */
int clv_kms_client_event_fd(const ClvKmsClient *client);
ClvKmsReply *clv_kms_client_take(ClvKmsClient *client); /* (transfer full) (nullable) */
/* bytes: raw MIKEY message, copied. Returns OK, or KMS_DOWN / OVERLOAD at once without a reply. */
ClvCode clv_kms_client_post(ClvKmsClient *client, ClvKmsRequest request, const guint8 *bytes,
                            gsize len, guint64 token, guint64 generation);

/* Where a service has conferences=list, a conference resolves nothing before it is announced and
 * after it is withdrawn, so: announce, wait for the reply, and only then resolve the ticket that
 * creates it; announce again before lifetime_s is over; withdraw at its end. Where the naming rule
 * alone counts, both do nothing and the reply is OK: a caller need not know which it is. Under the
 * deadline and the breakers of all requests; the reply has listing set. Nothing of @listing is kept.
 * Returns: as clv_kms_client_post(); INTERNAL when a name cannot be written */
ClvCode clv_kms_client_announce(ClvKmsClient *client, const ClvKmsListing *listing, gint64 now_us,
                                guint64 token, guint64 generation);
ClvCode clv_kms_client_withdraw(ClvKmsClient *client, const ClvKmsListing *listing, gint64 now_us,
                                guint64 token, guint64 generation);

typedef struct ClvKmsClientState {
    gboolean breaker_open; /* of every URL */
    guint outstanding;
    guint64 requests, failures, timeouts;
    gint64 last_latency_us;
    char last_error[160];
} ClvKmsClientState;
void clv_kms_client_state(ClvKmsClient *client, ClvKmsClientState *out);

/* ---- each URL by itself ---- */
#define CLV_KMS_MAX_URLS 8
#define CLV_KMS_N_LATENCIES 13

typedef enum ClvKmsBreaker {
    CLV_KMS_BREAKER_CLOSED,    /* asked */
    CLV_KMS_BREAKER_HALF_OPEN, /* one request looks whether it is back */
    CLV_KMS_BREAKER_OPEN,      /* left alone */
} ClvKmsBreaker;

typedef struct ClvKmsUrlState {
    const char *url; /* lives as long as the client */
    ClvKmsBreaker breaker;
    gboolean preferred;    /* the next request goes here first */
    guint failures_in_row; /* outages: refusals do not count */
    gint64 retry_in_ms;    /* open: after so long one request looks again */
    guint64 requests, failures, timeouts;
    gint64 last_latency_us;
    guint64 latency_sum_us;
    guint64 latencies[CLV_KMS_N_LATENCIES]; /* not cumulative; the last one has no limit */
    char last_error[160];
} ClvKmsUrlState;
extern const gint64 clv_kms_latency_limits_us[CLV_KMS_N_LATENCIES - 1];

guint clv_kms_client_n_urls(const ClvKmsClient *client);
void clv_kms_client_url_state(ClvKmsClient *client, guint i, ClvKmsUrlState *out);

/* ---- service (kms/ticket-service.c) ---- */
typedef struct ClvKmsKeyFile ClvKmsKeyFile; /* users, identities, keys, rules */
typedef struct ClvKmsService ClvKmsService;

/* Checks mode, syntax and sense; errors are "file:line: found, expected", all of them.
 * Returns: (transfer full) (nullable): NULL when there are any */
ClvKmsKeyFile *clv_kms_keyfile_load(const char *path, GPtrArray *errors);
/* The same from memory; @name is for messages. Keys in other files (psk-file=, tpk-file=) are
 * refused, so nothing outside is touched. */
ClvKmsKeyFile *clv_kms_keyfile_parse(const char *name, const char *text, gsize len,
                                     GPtrArray *errors);
void clv_kms_keyfile_free(ClvKmsKeyFile *keys);
guint clv_kms_keyfile_n_users(const ClvKmsKeyFile *keys);
guint clv_kms_keyfile_n_services(const ClvKmsKeyFile *keys);
/* Has this user a service with this factory? factory: canonical; user: (nullable): whoever it is */
gboolean clv_kms_keyfile_serves(const ClvKmsKeyFile *keys, const char *user, const char *factory);
/* IDRkms, as written in the file */
const char *clv_kms_keyfile_uri(const ClvKmsKeyFile *keys);
/* For a state folder that is damaged: see conclave-kms(8). @what: "replay", "tpks" or
 * "conferences" */
gboolean clv_kms_state_reset(const ClvKmsKeyFile *keys, const char *what, gint64 now_us,
                             GError **error);
/* The PSK of a user, for whoever is configured by reference to the key file (development set-up);
 * (transfer none) (nullable). */
const guint8 *clv_kms_keyfile_psk(const ClvKmsKeyFile *keys, const char *user, gsize *out_len);

/* ---- editing the key file (kms/keyedit.c): locked, checked, replaced in one step ---- */

/* Strings that are NULL leave their line out, so that the default holds. */
typedef struct ClvKmsUserSpec {
    const char *name;              /* also IDRpsk */
    const char *const *identities; /* (nullable) NULL-terminated URIs */
    const char *may_request;       /* "any", "*@example.org;sip:factory.conf1@example.org" */
    const char *purposes;          /* "any", "conclave:join" */
    const char *max_lifetime;      /* "1h" */
    gboolean secure_conference;    /* may set up secure conferences */
    const guint8 *psk;             /* (nullable) NULL: 32 random octets are made */
    gsize psk_len;
} ClvKmsUserSpec;

typedef struct ClvKmsServiceSpec {
    const char *name; /* the <service> of sip:factory.<service>@<host> */
    const char *user; /* whose key the conference system uses */
    const char *host;
    const char *factories; /* (nullable) more factory URIs, ';' between them */
} ClvKmsServiceSpec;

/* A commented file of mode 0600 with nobody in it; fails when there is one already. */
gboolean clv_kms_keyfile_create(const char *path, const char *kms_uri, GError **error);
/* @out_psk: (nullable) (transfer full): what was made, for handing it to the user */
gboolean clv_kms_keyfile_add_user(const char *path, const ClvKmsUserSpec *spec, ClvSecret **out_psk,
                                  GError **error);
gboolean clv_kms_keyfile_add_service(const char *path, const ClvKmsServiceSpec *spec,
                                     GError **error);
/* Revoked, he may do nothing, and tickets that he asked for or that are for him do not resolve;
 * restored, he may again, but tickets from before stay void. */
gboolean clv_kms_keyfile_revoke_user(const char *path, const char *name, gboolean revoked,
                                     gint64 now_us, GError **error);
/* @members: NULL-terminated URIs */
gboolean clv_kms_keyfile_add_group(const char *path, const char *name, const char *uri,
                                   const char *const *members, GError **error);
/* kind: "user", "service", "group" or "peer". Comments outside of the group stay. */
gboolean clv_kms_keyfile_remove(const char *path, const char *kind, const char *name,
                                GError **error);
/* One line per user, service, group or peer for people, no key in it; tab between the fields. */
void clv_kms_keyfile_list(const ClvKmsKeyFile *keys, const char *kind,
                          void (*line)(const char *text, void *user), void *user);

/* keys: (transfer full). random: (nullable): NULL takes OpenSSL's private generator. */
ClvKmsService *clv_kms_service_new(ClvKmsKeyFile *keys, ClvRandom random, void *random_user);
void clv_kms_service_free(ClvKmsService *service);
/* keys: (transfer full): swaps the key file; the replay cache stays, and tickets that were issued
 * before still resolve (unless their user is gone). Requests under way end with the old file. */
void clv_kms_service_reload(ClvKmsService *service, ClvKmsKeyFile *keys);

/* Takes the folder of state-dir=, if there is one: ticket protection keys, and messages taken
 * before a restart. To be called once, before the first message. FALSE: do not serve. */
gboolean clv_kms_service_open_state(ClvKmsService *service, gint64 now_us, GError **error);
/* What has to be done from time to time: new ticket protection keys, the disk. A server does so
 * every second. The error is a sentence for the operator; the service goes on. */
gboolean clv_kms_service_tend(ClvKmsService *service, gint64 now_us, GError **error);

/* What HTTP or TLS must prove besides the MIKEY message */
typedef enum ClvKmsHttpAuth {
    CLV_KMS_HTTP_AUTH_NONE,
    CLV_KMS_HTTP_AUTH_DIGEST,
    CLV_KMS_HTTP_AUTH_CERTIFICATE,
    CLV_KMS_HTTP_AUTH_EITHER,
} ClvKmsHttpAuth;
ClvKmsHttpAuth clv_kms_service_http_auth(ClvKmsService *service);
/* All of these: (transfer full) (nullable). Cleanse the password: clv_secret_free_string(). */
char *clv_kms_service_http_host(ClvKmsService *service);
char *clv_kms_service_client_ca(ClvKmsService *service);
char *clv_kms_service_digest_password(ClvKmsService *service, const char *user);
/* @name: URI of the certificate, or "cn:" and its common name. Returns: name of the user */
char *clv_kms_service_certificate_user(ClvKmsService *service, const char *name);

/* One decision, for the log line: no key in it. */
typedef struct ClvKmsDecision {
    gboolean granted;
    char user[64], request[24], subject[256], rule[160];
    gboolean authenticated; /* V was right: an Error carries a MAC */
    gboolean repeated;      /* a retransmission that got the answer of the first time */
    gboolean foreign;       /* HTTP or TLS proved another user: HTTP 403 */
    gboolean limited;       /* the user asks too often: HTTP 429 */
    guint8 error;           /* number in the Error message when not granted */
} ClvKmsDecision;

#define CLV_KMS_N_KINDS 2    /* request, resolve */
#define CLV_KMS_N_VERDICTS 3 /* granted, refused, repeated */
#define CLV_KMS_N_ERRORS 16

typedef struct ClvKmsServiceState {
    guint64 granted, refused, repeated;
    guint64 messages[CLV_KMS_N_KINDS][CLV_KMS_N_VERDICTS];
    guint64 errors[CLV_KMS_N_ERRORS]; /* Error messages by number */
    guint64 limited;                  /* refused for user-rate= */
    guint conferences;                /* announced */
    guint replay_entries;
    guint users, services;
    guint tpks;        /* ticket protection keys */
    gint64 tpk_made_s; /* of the newest; 0: from a file */
} ClvKmsServiceState;
void clv_kms_service_state(ClvKmsService *service, ClvKmsServiceState *out);
/* Is one more message within rate=? To be asked before clv_kms_service_handle(). */
gboolean clv_kms_service_admit(ClvKmsService *service, gint64 now_us);
/* (transfer full) (nullable): audit-file= */
char *clv_kms_service_audit_file(ClvKmsService *service);
/* Total: always yields a MIKEY message (answer or Error) or NULL when nothing may be answered.
 * Thread safe. */
GByteArray *clv_kms_service_handle(ClvKmsService *service, ClvKmsRequest request,
                                   const guint8 *bytes, gsize len, gint64 now_us,
                                   ClvKmsDecision *out_decision);

/* The same for somebody whom HTTP or TLS has proven to be @proven (nullable: nobody asked); then
 * the user of the message must be the same one. */
GByteArray *clv_kms_service_handle_from(ClvKmsService *service, ClvKmsRequest request,
                                        const guint8 *bytes, gsize len, gint64 now_us,
                                        const char *proven, ClvKmsDecision *out_decision);

/* A conference system announces or withdraws a conference (kms/listing.h). @proven: (nullable): user
 * whom HTTP or TLS proved; then the text needs no MAC. Thread safe. Returns: HTTP status: 200 done,
 * 400 no such text, 403 not allowed, 409 time or repetition, 429 too often, 503 not kept */
guint clv_kms_service_list(ClvKmsService *service, const guint8 *octets, gsize len, gint64 now_us,
                           const char *proven, ClvKmsDecision *out_decision);

/* ---- server (kms/serve.c) ---- */
typedef struct ClvKmsServer ClvKmsServer;
typedef struct ClvKmsServerConfig {
    const char *listen;    /* "127.0.0.1:8089", "[::1]:0" */
    const char *cert_file; /* (nullable) TLS when set */
    const char *key_file;
    gboolean allow_insecure; /* plain HTTP on other addresses than loopback */
    guint max_connections;   /* 256 */
    const char *path;        /* (nullable) "/keymanagement" */
    guint threads;           /* 2 */
    /* Called in the server's threads, once for each decision. */
    void (*log)(const ClvKmsDecision *decision, const char *peer, void *user);
    void *log_user;
} ClvKmsServerConfig;
/* service: (transfer none): outlives the server */
ClvKmsServer *clv_kms_server_new(const ClvKmsServerConfig *config, ClvKmsService *service,
                                 GError **error);
/* What can be said of listen= without opening a socket. */
gboolean clv_kms_server_check(const ClvKmsServerConfig *config, GError **error);
void clv_kms_server_free(ClvKmsServer *server);
const char *clv_kms_server_url(const ClvKmsServer *server); /* with the real port */

G_DEFINE_AUTOPTR_CLEANUP_FUNC(ClvKmsReply, clv_kms_reply_free)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(ClvKmsClient, clv_kms_client_free)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(ClvKmsKeyFile, clv_kms_keyfile_free)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(ClvKmsService, clv_kms_service_free)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(ClvKmsServer, clv_kms_server_free)
