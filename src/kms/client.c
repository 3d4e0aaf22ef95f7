/* SPDX-License-Identifier: Apache-2.0 */
/* kms/client.c - workers that ask the KMS, one HTTP request each
 *
 * The KMS may have several addresses, the targets. A request goes to the first whose breaker is
 * closed; when that is an outage, to the next, all under one deadline. A target whose breaker has
 * been open for long enough is looked at with a copy of a request, for which nobody waits; only
 * when all are open does a caller's own request do that.
 *
 * Everything shared lies behind one lock: the jobs, the replies, the targets, the counters. A
 * worker owns its connections and keeps them open.
 */
#include "config.h"

#include "kms/kms.h"

#include <libmikey/mikey.h>
#include <pthread.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "kms/http.h"
#include "kms/listing.h"
#include "kms/target.h"

#define DEFAULT_TIMEOUT_MS 3000
#define DEFAULT_CONNECTIONS 8
#define DEFAULT_OUTSTANDING 256
#define DEFAULT_BREAKER_FAILURES 5
#define DEFAULT_BREAKER_OPEN_MS 10000
#define BIT(i) (1u << (i))

/* ---- jobs ---- */

typedef struct Job {
    ClvKmsRequest request;
    gboolean listing; /* an announcement instead of a MIKEY message */
    guint64 token;
    guint64 generation;
    gint64 posted_us;
    gint64 deadline_us;
    guint probes;    /* bits by target: may be asked although its breaker is open */
    guint tried;     /* bits by target */
    gboolean shadow; /* a copy that looks whether its target is back; nobody waits for it */
    GByteArray *bytes;
} Job;

typedef struct Worker {
    ClvKmsClient *client;
    ClvKmsHttp *https[CLV_KMS_MAX_URLS]; /* one for each target: each keeps its connection */
    GThread *thread;
} Worker;

struct ClvKmsClient {
    gint64 timeout_us;
    guint max_outstanding;
    guint n_targets;
    guint n_workers;
    Worker *workers;
    int event_fd;

    pthread_mutex_t lock; /* of all below */
    pthread_cond_t work;
    gboolean stopping;
    GQueue jobs;
    GQueue replies;
    ClvKmsTarget targets[CLV_KMS_MAX_URLS]; /* in order of preference */
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
    g_free(reply->trouble);
    g_free(reply);
}

/* ---- which target is next ---- */

/* With the lock held. */
static gboolean
may_ask(const ClvKmsClient *client, const Job *job, guint i)
{
    if (job->tried & BIT(i))
        return FALSE;
    return (job->probes & BIT(i)) || (!job->shadow && clv_kms_target_closed(&client->targets[i]));
}

/* The first that may be asked, and until when: a fair share of what is left, so that one that hangs
 * leaves time for those behind it, and the last one has all the rest. */
static gboolean
next_target(ClvKmsClient *client, Job *job, guint *out_target, gint64 *out_until_us)
{
    gint64 now_us = g_get_monotonic_time();
    guint first = 0, n = 0;

    pthread_mutex_lock(&client->lock);
    for (guint i = client->n_targets; i-- > 0;) {
        if (may_ask(client, job, i)) {
            first = i;
            n++;
        }
    }
    pthread_mutex_unlock(&client->lock);
    if (n == 0 || now_us >= job->deadline_us)
        return FALSE;

    job->tried |= BIT(first);
    *out_target = first;
    *out_until_us = now_us + (job->deadline_us - now_us) / n;
    return TRUE;
}

/* ---- one job ---- */

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
wait_for_job(ClvKmsClient *client)
{
    Job *job = NULL;

    pthread_mutex_lock(&client->lock);
    while (!client->stopping && g_queue_is_empty(&client->jobs))
        pthread_cond_wait(&client->work, &client->lock);
    if (!client->stopping)
        job = g_queue_pop_head(&client->jobs);
    pthread_mutex_unlock(&client->lock);
    return job;
}

static ClvKmsReply *
reply_for(const Job *job)
{
    ClvKmsReply *reply = g_new0(ClvKmsReply, 1);

    reply->token = job->token;
    reply->generation = job->generation;
    reply->listing = job->listing;
    return reply;
}

/* What the one before said is trouble, if another one answers. */
static void
turn_to(ClvKmsReply *reply, const char *url)
{
    if (reply->detail != NULL) {
        g_free(reply->trouble);
        reply->trouble = g_steal_pointer(&reply->detail);
    }
    reply->url = url;
}

static void
name_the_url(ClvKmsReply *reply)
{
    g_autofree char *plain = g_steal_pointer(&reply->detail);

    if (plain != NULL)
        reply->detail = g_strdup_printf("%s: %s", reply->url, plain);
}

/* The same octets go to each: whoever saw them before answers as he did before, and whoever did
 * not has no reason to refuse them. */
static void
ask_target(Worker *worker, const Job *job, guint i, gint64 until_us, ClvKmsReply *reply)
{
    ClvKmsClient *client = worker->client;
    ClvKmsTarget *target = &client->targets[i];
    gint64 start_us = g_get_monotonic_time(), now_us;

    turn_to(reply, target->url);
    reply->code = job->listing
                      ? clv_kms_http_list(worker->https[i], job->bytes->data, job->bytes->len,
                                          until_us, &reply->detail)
                      : clv_kms_http_post(worker->https[i], job->request, job->bytes->data,
                                          job->bytes->len, until_us, &reply->body, &reply->detail);
    now_us = g_get_monotonic_time();
    pthread_mutex_lock(&client->lock);
    clv_kms_target_report(target, reply->code, reply->detail, (job->probes & BIT(i)) != 0,
                          now_us - start_us, now_us);
    pthread_mutex_unlock(&client->lock);
    if (client->n_targets > 1)
        name_the_url(reply);
}

static void
ask_in_order(Worker *worker, Job *job, ClvKmsReply *reply)
{
    gint64 until_us;
    guint i;

    reply->code = CLV_CODE_KMS_DOWN;
    while (clv_kms_code_is_outage(reply->code) && next_target(worker->client, job, &i, &until_us))
        ask_target(worker, job, i, until_us, reply);

    if (job->tried != 0)
        return;
    if (g_get_monotonic_time() >= job->deadline_us) {
        reply->code = CLV_CODE_KMS_TIMEOUT;
        reply->detail = g_strdup("no connection to the KMS became free in time");
    } else { /* the breaker opened while the job stood in the queue */
        reply->detail = g_strdup("the KMS failed too often; it is left alone for a while");
    }
}

/* With the lock held. */
static void
count_result(ClvKmsClient *client, const Job *job, const ClvKmsReply *reply)
{
    client->state.outstanding--;
    client->state.last_latency_us = g_get_monotonic_time() - job->posted_us;
    if (reply->code != CLV_CODE_OK) {
        client->state.failures++;
        g_strlcpy(client->state.last_error, reply->detail, sizeof client->state.last_error);
    }
    if (reply->code == CLV_CODE_KMS_TIMEOUT)
        client->state.timeouts++;
}

/* With the lock held. Those that it did not come to. */
static void
give_back_probes(ClvKmsClient *client, const Job *job)
{
    for (guint i = 0; i < client->n_targets; i++) {
        if (job->probes & ~job->tried & BIT(i))
            clv_kms_target_give_back(&client->targets[i]);
    }
}

static void
do_job(Worker *worker, Job *job)
{
    ClvKmsClient *client = worker->client;
    g_autoptr(ClvKmsReply) reply = reply_for(job);

    ask_in_order(worker, job, reply);
    if (reply->code != CLV_CODE_OK)
        g_clear_pointer(&reply->trouble, g_free);
    pthread_mutex_lock(&client->lock);
    give_back_probes(client, job);
    if (!job->shadow) {
        count_result(client, job, reply);
        push_reply(client, g_steal_pointer(&reply));
    }
    pthread_mutex_unlock(&client->lock);
}

static gpointer
work(gpointer data)
{
    Worker *worker = data;
    Job *job;

    while ((job = wait_for_job(worker->client)) != NULL) {
        do_job(worker, job);
        job_free(job);
    }
    return NULL;
}

/* ---- the door ---- */

static gboolean
open_connections(Worker *worker, const ClvKmsClientConfig *config, GError **error)
{
    ClvKmsClientConfig one = *config;

    for (guint i = 0; i < worker->client->n_targets; i++) {
        one.url = worker->client->targets[i].url;
        worker->https[i] = clv_kms_http_new(&one, error);
        if (worker->https[i] == NULL)
            return FALSE;
    }
    return TRUE;
}

static gboolean
start_workers(ClvKmsClient *client, const ClvKmsClientConfig *config, GError **error)
{
    guint n = config->connections != 0 ? config->connections : DEFAULT_CONNECTIONS;

    client->workers = g_new0(Worker, n);
    for (guint i = 0; i < n; i++) {
        Worker *worker = &client->workers[i];

        worker->client = client;
        client->n_workers++;
        if (!open_connections(worker, config, error))
            return FALSE;
        worker->thread = g_thread_try_new("kms-client", work, worker, error);
        if (worker->thread == NULL)
            return FALSE;
    }
    return TRUE;
}

static gboolean
is_among(const ClvKmsClient *client, const char *url)
{
    for (guint i = 0; i < client->n_targets; i++) {
        if (strcmp(client->targets[i].url, url) == 0)
            return TRUE;
    }
    return FALSE;
}

static gboolean
add_targets(ClvKmsClient *client, const ClvKmsClientConfig *config, GError **error)
{
    const char *const single[] = {config->url != NULL ? config->url : "", NULL};
    const char *const *urls = config->urls != NULL && *config->urls != NULL ? config->urls : single;
    guint limit =
        config->breaker_failures != 0 ? config->breaker_failures : DEFAULT_BREAKER_FAILURES;
    gint64 open_ms =
        config->breaker_open_ms > 0 ? config->breaker_open_ms : DEFAULT_BREAKER_OPEN_MS;

    for (; *urls != NULL; urls++) {
        if (client->n_targets == CLV_KMS_MAX_URLS || is_among(client, *urls)) {
            g_set_error(error, CLV_KMS_ERROR, CLV_CODE_INTERNAL, "KMS URL '%s': %s", *urls,
                        is_among(client, *urls) ? "found twice"
                                                : "found too many, expected 8 at most");
            return FALSE;
        }
        clv_kms_target_init(&client->targets[client->n_targets++], *urls, limit, 1000 * open_ms);
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
    client->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (client->event_fd < 0) {
        g_set_error(error, CLV_KMS_ERROR, CLV_CODE_INTERNAL, "KMS client: eventfd: %s",
                    g_strerror(errno));
        return NULL;
    }
    if (!add_targets(client, config, error) || !start_workers(client, config, error))
        return NULL;
    return g_steal_pointer(&client);
}

static void
abort_worker(const ClvKmsClient *client, const Worker *worker)
{
    for (guint i = 0; i < client->n_targets; i++) {
        if (worker->https[i] != NULL)
            clv_kms_http_abort(worker->https[i]);
    }
}

static void
stop_workers(ClvKmsClient *client)
{
    pthread_mutex_lock(&client->lock);
    client->stopping = TRUE;
    pthread_cond_broadcast(&client->work);
    pthread_mutex_unlock(&client->lock);
    for (guint i = 0; i < client->n_workers; i++)
        abort_worker(client, &client->workers[i]);
    for (guint i = 0; i < client->n_workers; i++) {
        if (client->workers[i].thread != NULL)
            g_thread_join(client->workers[i].thread);
        for (guint t = 0; t < client->n_targets; t++)
            clv_kms_http_free(client->workers[i].https[t]);
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
    for (guint i = 0; i < client->n_targets; i++)
        clv_kms_target_clear(&client->targets[i]);
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

/* ---- posting ---- */

/* With the lock held. The first target that is asked in the usual way. */
static guint
first_closed(const ClvKmsClient *client)
{
    guint i = 0;

    while (i < client->n_targets && !clv_kms_target_closed(&client->targets[i]))
        i++;
    return i;
}

/* With the lock held. Returns: bits of the targets that it is time to look at */
static guint
take_probes(ClvKmsClient *client, gint64 now_us)
{
    guint bits = 0;

    for (guint i = 0; i < client->n_targets; i++) {
        if (clv_kms_target_take_probe(&client->targets[i], now_us))
            bits |= BIT(i);
    }
    return bits;
}

/* With the lock held. */
static void
enqueue(ClvKmsClient *client, Job *job)
{
    g_queue_push_tail(&client->jobs, job);
    pthread_cond_signal(&client->work);
}

/* With the lock held. */
static void
enqueue_shadow(ClvKmsClient *client, const Job *job, guint probe)
{
    Job *shadow = g_new(Job, 1);

    *shadow = *job;
    shadow->probes = probe;
    shadow->shadow = TRUE;
    shadow->bytes = g_byte_array_ref(job->bytes);
    enqueue(client, shadow);
}

/* With the lock held. @job: (transfer full) when the result is OK */
static ClvCode
admit(ClvKmsClient *client, Job *job)
{
    gboolean any_closed = first_closed(client) < client->n_targets;
    guint probes;

    if (client->state.outstanding >= client->max_outstanding)
        return CLV_CODE_OVERLOAD;
    probes = take_probes(client, job->posted_us);
    if (!any_closed && probes == 0)
        return CLV_CODE_KMS_DOWN;
    if (!any_closed)
        job->probes = probes;
    client->state.requests++;
    client->state.outstanding++;
    enqueue(client, job);
    for (guint i = 0; any_closed && i < client->n_targets; i++) {
        if (probes & BIT(i))
            enqueue_shadow(client, job, BIT(i));
    }
    return CLV_CODE_OK;
}

static Job *
job_new(const ClvKmsClient *client, GByteArray *bytes, guint64 token, guint64 generation)
{
    Job *job = g_new0(Job, 1);

    job->token = token;
    job->generation = generation;
    job->posted_us = g_get_monotonic_time();
    job->deadline_us = job->posted_us + client->timeout_us;
    job->bytes = bytes;
    return job;
}

static ClvCode
post(ClvKmsClient *client, Job *job)
{
    ClvCode code;

    pthread_mutex_lock(&client->lock);
    code = admit(client, job);
    pthread_mutex_unlock(&client->lock);
    if (code != CLV_CODE_OK)
        job_free(job);
    return code;
}

ClvCode
clv_kms_client_post(ClvKmsClient *client, ClvKmsRequest request, const guint8 *bytes, gsize len,
                    guint64 token, guint64 generation)
{
    Job *job;

    g_return_val_if_fail(len > 0 && len <= MIKEY_MAX_MESSAGE, CLV_CODE_INTERNAL);
    job = job_new(client,
                  g_byte_array_append(g_byte_array_sized_new((guint)len), bytes, (guint)len), token,
                  generation);
    job->request = request;
    return post(client, job);
}

static ClvCode
post_listing(ClvKmsClient *client, const ClvKmsListing *listing, gboolean withdraw, gint64 now_us,
             guint64 token, guint64 generation)
{
    GByteArray *text = clv_kms_list_write(listing, withdraw, now_us);
    Job *job;

    if (text == NULL)
        return CLV_CODE_INTERNAL;
    job = job_new(client, text, token, generation);
    job->listing = TRUE;
    return post(client, job);
}

ClvCode
clv_kms_client_announce(ClvKmsClient *client, const ClvKmsListing *listing, gint64 now_us,
                        guint64 token, guint64 generation)
{
    return post_listing(client, listing, FALSE, now_us, token, generation);
}

ClvCode
clv_kms_client_withdraw(ClvKmsClient *client, const ClvKmsListing *listing, gint64 now_us,
                        guint64 token, guint64 generation)
{
    return post_listing(client, listing, TRUE, now_us, token, generation);
}

/* ---- looking ---- */

void
clv_kms_client_state(ClvKmsClient *client, ClvKmsClientState *out)
{
    pthread_mutex_lock(&client->lock);
    *out = client->state;
    out->breaker_open = first_closed(client) == client->n_targets;
    pthread_mutex_unlock(&client->lock);
}

guint
clv_kms_client_n_urls(const ClvKmsClient *client)
{
    return client->n_targets;
}

void
clv_kms_client_url_state(ClvKmsClient *client, guint i, ClvKmsUrlState *out)
{
    g_return_if_fail(i < client->n_targets);

    pthread_mutex_lock(&client->lock);
    clv_kms_target_state(&client->targets[i], g_get_monotonic_time(), out);
    out->preferred = i == first_closed(client);
    pthread_mutex_unlock(&client->lock);
}
