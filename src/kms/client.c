/* SPDX-License-Identifier: Apache-2.0 */
/* kms/client.c - workers that ask the KMS, one HTTP request each, and the breaker before them
 *
 * Everything shared lies behind one lock: the jobs, the replies, the breaker, the counters. A
 * worker owns its connection and keeps it open.
 */
#include "config.h"

#include "kms/kms.h"

#include <libmikey/mikey.h>
#include <pthread.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "kms/http.h"

#define DEFAULT_TIMEOUT_MS 3000
#define DEFAULT_CONNECTIONS 8
#define DEFAULT_OUTSTANDING 256
#define DEFAULT_BREAKER_FAILURES 5
#define DEFAULT_BREAKER_OPEN_MS 10000

/* ---- breaker: after so many failures in a row nobody is sent for a while, then one to look ----
 */

typedef struct Breaker {
    guint limit;
    gint64 open_us;
    guint failures;     /* in a row */
    gint64 probe_at_us; /* 0: closed */
    gboolean probing;
} Breaker;

typedef enum BreakerPass { BREAKER_PASS, BREAKER_PROBE, BREAKER_SHUT } BreakerPass;

static BreakerPass
breaker_ask(Breaker *breaker, gint64 now_us)
{
    if (breaker->probe_at_us == 0)
        return BREAKER_PASS;
    if (breaker->probing || now_us < breaker->probe_at_us)
        return BREAKER_SHUT;
    breaker->probing = TRUE;
    return BREAKER_PROBE;
}

static void
breaker_report(Breaker *breaker, gboolean good, gboolean probe, gint64 now_us)
{
    if (probe)
        breaker->probing = FALSE;
    if (good) {
        breaker->failures = 0;
        breaker->probe_at_us = 0;
        return;
    }
    breaker->failures++;
    /* those that were under way when it opened do not prolong it */
    if (probe || (breaker->probe_at_us == 0 && breaker->failures >= breaker->limit))
        breaker->probe_at_us = now_us + breaker->open_us;
}

/* ---- jobs ---- */

typedef struct Job {
    ClvKmsRequest request;
    guint64 token;
    guint64 generation;
    gint64 posted_us;
    gint64 deadline_us;
    gboolean probe;
    GByteArray *bytes;
} Job;

typedef struct Worker {
    ClvKmsClient *client;
    ClvKmsHttp *http;
    GThread *thread;
} Worker;

struct ClvKmsClient {
    gint64 timeout_us;
    guint max_outstanding;
    guint n_workers;
    Worker *workers;
    int event_fd;

    pthread_mutex_t lock; /* of all below */
    pthread_cond_t work;
    gboolean stopping;
    GQueue jobs;
    GQueue replies;
    Breaker breaker;
    ClvKmsClientState state;
};

static void
job_free(Job *job)
{
    g_byte_array_unref(job->bytes);
    g_free(job);
}

void
clv_kms_reply_free(ClvKmsReply *reply)
{
    if (reply == NULL)
        return;
    if (reply->body != NULL)
        g_byte_array_unref(reply->body);
    g_free(reply->detail);
    g_free(reply);
}

/* Is this how an outage looks, or did a KMS that works say something we do not like? */
static gboolean
code_is_outage(ClvCode code)
{
    return code == CLV_CODE_KMS_TIMEOUT || code == CLV_CODE_KMS_DOWN;
}

/* With the lock held. */
static void
count_result(ClvKmsClient *client, const Job *job, const ClvKmsReply *reply, gint64 now_us)
{
    gboolean outage = code_is_outage(reply->code);

    client->state.outstanding--;
    client->state.last_latency_us = now_us - job->posted_us;
    if (reply->code != CLV_CODE_OK) {
        client->state.failures++;
        g_strlcpy(client->state.last_error, reply->detail, sizeof client->state.last_error);
    }
    if (reply->code == CLV_CODE_KMS_TIMEOUT)
        client->state.timeouts++;
    breaker_report(&client->breaker, !outage, job->probe, now_us);
}

/* With the lock held. */
static void
push_reply(ClvKmsClient *client, ClvKmsReply *reply)
{
    guint64 one = 1;

    g_queue_push_tail(&client->replies, reply);
    if (write(client->event_fd, &one, sizeof one) != sizeof one)
        return; /* the counter is at its limit: then it is readable anyway */
}

/* Returns: (transfer full) (nullable): NULL when it is time to stop */
static Job *
wait_for_job(ClvKmsClient *client, gboolean *out_shut)
{
    Job *job = NULL;

    pthread_mutex_lock(&client->lock);
    while (!client->stopping && g_queue_is_empty(&client->jobs))
        pthread_cond_wait(&client->work, &client->lock);
    if (!client->stopping) {
        job = g_queue_pop_head(&client->jobs);
        /* it opened while the job stood in the queue */
        *out_shut = client->breaker.probe_at_us != 0 && !job->probe;
    }
    pthread_mutex_unlock(&client->lock);
    return job;
}

static ClvKmsReply *
reply_for(const Job *job)
{
    ClvKmsReply *reply = g_new0(ClvKmsReply, 1);

    reply->token = job->token;
    reply->generation = job->generation;
    return reply;
}

static void
refuse_job(ClvKmsClient *client, Job *job)
{
    ClvKmsReply *reply = reply_for(job);

    reply->code = CLV_CODE_KMS_DOWN;
    reply->detail = g_strdup("the KMS failed too often; it is left alone for a while");
    pthread_mutex_lock(&client->lock);
    client->state.outstanding--;
    client->state.failures++;
    push_reply(client, reply);
    pthread_mutex_unlock(&client->lock);
}

static void
do_job(Worker *worker, Job *job)
{
    ClvKmsClient *client = worker->client;
    ClvKmsReply *reply = reply_for(job);

    reply->code = clv_kms_http_post(worker->http, job->request, job->bytes->data, job->bytes->len,
                                    job->deadline_us, &reply->body, &reply->detail);
    pthread_mutex_lock(&client->lock);
    count_result(client, job, reply, g_get_monotonic_time());
    push_reply(client, reply);
    pthread_mutex_unlock(&client->lock);
}

static gpointer
work(gpointer data)
{
    Worker *worker = data;
    gboolean shut = FALSE;
    Job *job;

    while ((job = wait_for_job(worker->client, &shut)) != NULL) {
        if (shut)
            refuse_job(worker->client, job);
        else
            do_job(worker, job);
        job_free(job);
    }
    return NULL;
}

/* ---- the door ---- */

static gboolean
start_workers(ClvKmsClient *client, const ClvKmsClientConfig *config, GError **error)
{
    guint n = config->connections != 0 ? config->connections : DEFAULT_CONNECTIONS;

    client->workers = g_new0(Worker, n);
    for (guint i = 0; i < n; i++) {
        Worker *worker = &client->workers[i];

        worker->client = client;
        worker->http = clv_kms_http_new(config, error);
        if (worker->http == NULL)
            return FALSE;
        client->n_workers++;
        worker->thread = g_thread_try_new("kms-client", work, worker, error);
        if (worker->thread == NULL)
            return FALSE;
    }
    return TRUE;
}

ClvKmsClient *
clv_kms_client_new(const ClvKmsClientConfig *config, GError **error)
{
    g_autoptr(ClvKmsClient) client = NULL;

    g_return_val_if_fail(config != NULL, NULL);
    client = g_new0(ClvKmsClient, 1);
    pthread_mutex_init(&client->lock, NULL);
    pthread_cond_init(&client->work, NULL);
    client->timeout_us = 1000 * (config->timeout_ms > 0 ? config->timeout_ms : DEFAULT_TIMEOUT_MS);
    client->max_outstanding =
        config->max_outstanding != 0 ? config->max_outstanding : DEFAULT_OUTSTANDING;
    client->breaker.limit =
        config->breaker_failures != 0 ? config->breaker_failures : DEFAULT_BREAKER_FAILURES;
    client->breaker.open_us =
        1000 * (config->breaker_open_ms > 0 ? config->breaker_open_ms : DEFAULT_BREAKER_OPEN_MS);
    client->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (client->event_fd < 0) {
        g_set_error(error, CLV_KMS_ERROR, CLV_CODE_INTERNAL, "KMS client: eventfd: %s",
                    g_strerror(errno));
        return NULL;
    }
    if (!start_workers(client, config, error))
        return NULL;
    return g_steal_pointer(&client);
}

static void
stop_workers(ClvKmsClient *client)
{
    pthread_mutex_lock(&client->lock);
    client->stopping = TRUE;
    pthread_cond_broadcast(&client->work);
    pthread_mutex_unlock(&client->lock);
    for (guint i = 0; i < client->n_workers; i++)
        clv_kms_http_abort(client->workers[i].http);
    for (guint i = 0; i < client->n_workers; i++) {
        if (client->workers[i].thread != NULL)
            g_thread_join(client->workers[i].thread);
        clv_kms_http_free(client->workers[i].http);
    }
    g_free(client->workers);
}

void
clv_kms_client_free(ClvKmsClient *client)
{
    if (client == NULL)
        return;
    stop_workers(client);
    g_queue_clear_full(&client->jobs, (GDestroyNotify)job_free);
    g_queue_clear_full(&client->replies, (GDestroyNotify)clv_kms_reply_free);
    if (client->event_fd >= 0)
        close(client->event_fd);
    pthread_cond_destroy(&client->work);
    pthread_mutex_destroy(&client->lock);
    g_free(client);
}

int
clv_kms_client_event_fd(const ClvKmsClient *client)
{
    return client->event_fd;
}

ClvKmsReply *
clv_kms_client_take(ClvKmsClient *client)
{
    ClvKmsReply *reply;
    guint64 counter;

    pthread_mutex_lock(&client->lock);
    reply = g_queue_pop_head(&client->replies);
    if (g_queue_is_empty(&client->replies) &&
        read(client->event_fd, &counter, sizeof counter) < 0 && errno != EAGAIN)
        g_warning("KMS client: eventfd: %s", g_strerror(errno));
    pthread_mutex_unlock(&client->lock);
    return reply;
}

/* With the lock held. */
static ClvCode
admit(ClvKmsClient *client, Job *job)
{
    BreakerPass pass;

    if (client->state.outstanding >= client->max_outstanding)
        return CLV_CODE_OVERLOAD;
    pass = breaker_ask(&client->breaker, job->posted_us);
    if (pass == BREAKER_SHUT)
        return CLV_CODE_KMS_DOWN;
    job->probe = pass == BREAKER_PROBE;
    return CLV_CODE_OK;
}

ClvCode
clv_kms_client_post(ClvKmsClient *client, ClvKmsRequest request, const guint8 *bytes, gsize len,
                    guint64 token, guint64 generation)
{
    Job *job;
    ClvCode code;

    g_return_val_if_fail(len > 0 && len <= MIKEY_MAX_MESSAGE, CLV_CODE_INTERNAL);
    job = g_new0(Job, 1);
    job->request = request;
    job->token = token;
    job->generation = generation;
    job->posted_us = g_get_monotonic_time();
    job->deadline_us = job->posted_us + client->timeout_us;
    job->bytes = g_byte_array_append(g_byte_array_sized_new((guint)len), bytes, (guint)len);

    pthread_mutex_lock(&client->lock);
    code = admit(client, job);
    if (code == CLV_CODE_OK) {
        client->state.requests++;
        client->state.outstanding++;
        g_queue_push_tail(&client->jobs, g_steal_pointer(&job));
        pthread_cond_signal(&client->work);
    }
    pthread_mutex_unlock(&client->lock);
    if (job != NULL)
        job_free(job);
    return code;
}

void
clv_kms_client_state(ClvKmsClient *client, ClvKmsClientState *out)
{
    pthread_mutex_lock(&client->lock);
    *out = client->state;
    out->breaker_open = client->breaker.probe_at_us != 0;
    pthread_mutex_unlock(&client->lock);
}
