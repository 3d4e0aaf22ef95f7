/* SPDX-License-Identifier: Apache-2.0 */
/* kms/relay.c - resolves that another KMS has to answer: sent there, and back */
#include "config.h"

#include "kms/relay.h"

#include <poll.h>
#include <pthread.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "kms/keyfile.h"

#define MAX_OUTPOSTS 64u
#define WORKERS 4u
#define MAX_OUTSTANDING 64u
#define MAX_OF_USER (MAX_OUTSTANDING / 4)
#define ERROR_UNSPECIFIED 12 /* that of MIKEY_REFUSED: no answer, or none that is any good */

/* A peer as it was configured; another configuration is another one. */
typedef struct Outpost {
    char *name;
    ClvKmsClient *client;
    guint waiting;    /* for it */
    gboolean retired; /* the key file has it no more: it ends when nobody waits */
} Outpost;

/* What became of the requests to one peer, over all its configurations */
typedef struct Tally {
    guint64 asked, verdicts[CLV_KMS_N_RELAY_VERDICTS];
    gint64 latency_sum_us;
} Tally;

typedef struct Waiting {
    ClvKmsRelay *relay;
    gpointer user;
    Outpost *outpost; /* (nullable) */
    gint64 posted_us;
} Waiting;

struct ClvKmsRelays {
    ClvKmsRelayDone done;
    GThread *thread;
    int wake;
    pthread_mutex_t lock; /* of all below */
    gboolean stopping;
    GPtrArray *outposts; /* only the thread removes any, so it may poll what it has seen */
    GHashTable *tallies; /* name of the peer -> Tally */
    GHashTable *waiting; /* token -> Waiting */
    guint64 last_token;
};

static void
outpost_free(gpointer data)
{
    Outpost *outpost = data;

    clv_kms_client_free(outpost->client);
    g_free(outpost->name);
    g_free(outpost);
}

static ClvKmsRelayVerdict
verdict_of(const ClvKmsDecision *decision)
{
    if (decision->granted)
        return CLV_KMS_RELAY_RESOLVED;
    return decision->error == ERROR_UNSPECIFIED ? CLV_KMS_RELAY_FAILED : CLV_KMS_RELAY_REFUSED;
}

static void
tally(ClvKmsRelays *relays, const char *peer, gint64 posted_us, ClvKmsRelayVerdict verdict)
{
    Tally *of_peer;

    pthread_mutex_lock(&relays->lock);
    of_peer = g_hash_table_lookup(relays->tallies, peer);
    if (of_peer == NULL) {
        of_peer = g_new0(Tally, 1);
        g_hash_table_insert(relays->tallies, g_strdup(peer), of_peer);
    }
    of_peer->asked++;
    of_peer->verdicts[verdict]++;
    of_peer->latency_sum_us += g_get_monotonic_time() - posted_us;
    pthread_mutex_unlock(&relays->lock);
}

static void
settle(ClvKmsRelays *relays, Waiting *waiting, ClvCode code, const GByteArray *body,
       const char *detail)
{
    g_autofree char *peer = g_strdup(clv_kms_relay_peer(waiting->relay)->user->name);
    ClvKmsDecision decision;
    GByteArray *answer =
        clv_kms_service_finish(waiting->relay, code, body, detail, g_get_real_time(), &decision);

    tally(relays, peer + strlen("peer "), waiting->posted_us, verdict_of(&decision));
    relays->done(waiting->user, answer, &decision);
    g_free(waiting);
}

static Waiting *
take_waiting(ClvKmsRelays *relays, guint64 token)
{
    gpointer key = NULL, waiting = NULL;

    pthread_mutex_lock(&relays->lock);
    if (g_hash_table_steal_extended(relays->waiting, &token, &key, &waiting)) {
        ((Waiting *)waiting)->outpost->waiting--;
        g_free(key);
    }
    pthread_mutex_unlock(&relays->lock);
    return waiting;
}

static void
take_replies(ClvKmsRelays *relays, ClvKmsClient *client)
{
    ClvKmsReply *reply;

    while ((reply = clv_kms_client_take(client)) != NULL) {
        Waiting *waiting = take_waiting(relays, reply->token);

        if (waiting != NULL)
            settle(relays, waiting, reply->code, reply->body, reply->detail);
        clv_kms_reply_free(reply);
    }
}

/* Returns: (transfer full): those that end; to be freed without the lock, as their workers are
 * joined */
static GPtrArray *
take_retired(ClvKmsRelays *relays)
{
    GPtrArray *ended = g_ptr_array_new_with_free_func(outpost_free);

    for (guint i = relays->outposts->len; i-- > 0;) {
        const Outpost *outpost = relays->outposts->pdata[i];

        if (outpost->retired && outpost->waiting == 0)
            g_ptr_array_add(ended, g_ptr_array_steal_index(relays->outposts, i));
    }
    return ended;
}

static gpointer
run(gpointer data)
{
    ClvKmsRelays *relays = data;
    struct pollfd fds[MAX_OUTPOSTS + 1];
    ClvKmsClient *clients[MAX_OUTPOSTS];
    eventfd_t count;

    for (;;) {
        g_autoptr(GPtrArray) ended = NULL;
        nfds_t n = 0;
        gboolean stopping;

        pthread_mutex_lock(&relays->lock);
        ended = take_retired(relays);
        stopping = relays->stopping;
        for (guint i = 0; i < relays->outposts->len; i++) {
            clients[n] = ((Outpost *)relays->outposts->pdata[i])->client;
            fds[n] = (struct pollfd){.fd = clv_kms_client_event_fd(clients[n]), .events = POLLIN};
            n++;
        }
        pthread_mutex_unlock(&relays->lock);
        if (stopping)
            return NULL;
        fds[n] = (struct pollfd){.fd = relays->wake, .events = POLLIN};
        if (poll(fds, n + 1, -1) < 0)
            continue;
        if (fds[n].revents != 0)
            eventfd_read(relays->wake, &count);
        for (nfds_t i = 0; i < n; i++)
            if (fds[i].revents != 0)
                take_replies(relays, clients[i]);
    }
}

ClvKmsRelays *
clv_kms_relays_new(ClvKmsRelayDone done)
{
    ClvKmsRelays *relays = g_new0(ClvKmsRelays, 1);

    relays->done = done;
    relays->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    pthread_mutex_init(&relays->lock, NULL);
    relays->outposts = g_ptr_array_new_with_free_func(outpost_free);
    relays->waiting = g_hash_table_new_full(g_int64_hash, g_int64_equal, g_free, NULL);
    relays->tallies = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
    relays->thread = g_thread_new("kms-relay", run, relays);
    return relays;
}

/* (transfer full): all that makes one configuration another */
static char *
name_of(const ClvKmsPeer *peer)
{
    GString *name = g_string_new(NULL);

    g_string_append_printf(name, "%s\n%s\n%s\n%s\n%" G_GINT64_FORMAT, peer->uri, peer->ca,
                           peer->cert, peer->key, peer->timeout_s);
    for (guint i = 0; i < peer->server_names->len; i++)
        g_string_append_printf(name, "\n%s", (const char *)peer->server_names->pdata[i]);
    for (guint i = 0; i < peer->urls->len; i++)
        g_string_append_printf(name, "\n%s", (const char *)peer->urls->pdata[i]);
    return g_string_free(name, FALSE);
}

/* With the lock held. (transfer none) (nullable) */
static Outpost *
find_outpost(const ClvKmsRelays *relays, const char *name)
{
    for (guint i = 0; i < relays->outposts->len; i++)
        if (strcmp(((Outpost *)relays->outposts->pdata[i])->name, name) == 0)
            return relays->outposts->pdata[i];
    return NULL;
}

/* (transfer full): the same words, ended by NULL; they are borrowed */
static char **
as_strv(const GPtrArray *list)
{
    char **words = g_new0(char *, list->len + 1);

    for (guint i = 0; i < list->len; i++)
        words[i] = list->pdata[i];
    return words;
}

static ClvKmsClient *
client_new(const ClvKmsPeer *peer, GError **error)
{
    g_autofree char **urls = as_strv(peer->urls);
    g_autofree char **names = as_strv(peer->server_names);
    const ClvKmsClientConfig config = {
        .urls = (const char *const *)urls,
        .ca_file = peer->ca,
        .cert_file = peer->cert,
        .key_file = peer->key,
        .server_names = peer->server_names->len > 0 ? (const char *const *)names : NULL,
        .timeout_ms = 1000 * peer->timeout_s,
        .connections = WORKERS,
        .max_outstanding = MAX_OUTSTANDING,
    };

    return clv_kms_client_new(&config, error);
}

/* With the lock held. Returns: (transfer none) (nullable) */
static Outpost *
outpost_for(ClvKmsRelays *relays, const ClvKmsPeer *peer, char **out_detail)
{
    g_autofree char *name = name_of(peer);
    g_autoptr(GError) error = NULL;
    Outpost *outpost = find_outpost(relays, name);
    ClvKmsClient *client;

    if (outpost != NULL)
        return outpost;
    if (relays->outposts->len == MAX_OUTPOSTS) {
        *out_detail = g_strdup("too many peers at once");
        return NULL;
    }
    client = client_new(peer, &error);
    if (client == NULL) {
        *out_detail = g_strdup(error->message);
        return NULL;
    }
    outpost = g_new0(Outpost, 1);
    outpost->name = g_steal_pointer(&name);
    outpost->client = client;
    g_ptr_array_add(relays->outposts, outpost);
    eventfd_write(relays->wake, 1);
    return outpost;
}

/* With the lock held. Names, as the key file may be another one since. */
static guint
n_waiting_of(const ClvKmsRelays *relays, const Outpost *outpost, const ClvKmsUser *user)
{
    GHashTableIter iter;
    gpointer value;
    guint n = 0;

    g_hash_table_iter_init(&iter, relays->waiting);
    while (g_hash_table_iter_next(&iter, NULL, &value)) {
        const Waiting *waiting = value;

        if (waiting->outpost == outpost &&
            strcmp(clv_kms_relay_user(waiting->relay)->name, user->name) == 0)
            n++;
    }
    return n;
}

/* With the lock held. The reply may be there before this returns, but is not taken. */
static ClvCode
post_to(ClvKmsRelays *relays, Outpost *outpost, Waiting *waiting)
{
    const guint8 *octets;
    ClvCode code;
    guint64 token = ++relays->last_token;
    gsize len;

    clv_kms_relay_octets(waiting->relay, &octets, &len);
    code = clv_kms_client_post(outpost->client, CLV_KMS_TICKET_RESOLVE, octets, len, token, 0);
    if (code != CLV_CODE_OK)
        return code;
    waiting->outpost = outpost;
    outpost->waiting++;
    g_hash_table_insert(relays->waiting, g_memdup2(&token, sizeof token), waiting);
    return CLV_CODE_OK;
}

void
clv_kms_relays_post(ClvKmsRelays *relays, ClvKmsRelay *relay, gpointer user)
{
    Waiting *waiting = g_new0(Waiting, 1);
    g_autofree char *detail = NULL;
    Outpost *outpost = NULL;
    ClvCode code = CLV_CODE_KMS_DOWN;

    waiting->relay = relay;
    waiting->user = user;
    waiting->posted_us = g_get_monotonic_time();
    pthread_mutex_lock(&relays->lock);
    if (!relays->stopping)
        outpost = outpost_for(relays, clv_kms_relay_peer(relay), &detail);
    if (outpost != NULL && n_waiting_of(relays, outpost, clv_kms_relay_user(relay)) >= MAX_OF_USER)
        detail = g_strdup("too many of this user's wait for it");
    else if (outpost != NULL)
        code = post_to(relays, outpost, waiting);
    pthread_mutex_unlock(&relays->lock);
    if (code != CLV_CODE_OK)
        settle(relays, waiting, code, NULL, detail != NULL ? detail : "the peer is left alone");
}

void
clv_kms_relays_keep(ClvKmsRelays *relays, const GPtrArray *peers)
{
    g_autoptr(GHashTable) names = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    gboolean any = FALSE;

    for (guint i = 0; i < peers->len; i++)
        g_hash_table_add(names, name_of(peers->pdata[i]));
    pthread_mutex_lock(&relays->lock);
    for (guint i = 0; i < relays->outposts->len; i++) {
        Outpost *outpost = relays->outposts->pdata[i];

        outpost->retired = !g_hash_table_contains(names, outpost->name);
        any = any || outpost->retired;
    }
    pthread_mutex_unlock(&relays->lock);
    if (any)
        eventfd_write(relays->wake, 1);
}

guint
clv_kms_relays_n_outposts(ClvKmsRelays *relays)
{
    guint n;

    pthread_mutex_lock(&relays->lock);
    n = relays->outposts->len;
    pthread_mutex_unlock(&relays->lock);
    return n;
}

void
clv_kms_relays_tallies(ClvKmsRelays *relays, ClvKmsTallyFunc each, gpointer user)
{
    GHashTableIter iter;
    gpointer peer, of_peer;

    pthread_mutex_lock(&relays->lock);
    g_hash_table_iter_init(&iter, relays->tallies);
    while (g_hash_table_iter_next(&iter, &peer, &of_peer)) {
        const Tally *t = of_peer;

        each(peer, t->asked, t->verdicts, t->latency_sum_us, user);
    }
    pthread_mutex_unlock(&relays->lock);
}

void
clv_kms_relays_stop(ClvKmsRelays *relays)
{
    g_autoptr(GList) left = NULL;

    pthread_mutex_lock(&relays->lock);
    relays->stopping = TRUE;
    pthread_mutex_unlock(&relays->lock);
    eventfd_write(relays->wake, 1);
    if (relays->thread != NULL)
        g_thread_join(g_steal_pointer(&relays->thread));
    pthread_mutex_lock(&relays->lock);
    left = g_hash_table_get_values(relays->waiting);
    g_hash_table_remove_all(relays->waiting);
    pthread_mutex_unlock(&relays->lock);
    for (GList *at = left; at != NULL; at = at->next)
        settle(relays, at->data, CLV_CODE_KMS_DOWN, NULL, "this KMS stops");
}

void
clv_kms_relays_free(ClvKmsRelays *relays)
{
    if (relays == NULL)
        return;
    clv_kms_relays_stop(relays);
    g_ptr_array_unref(relays->outposts);
    g_hash_table_unref(relays->waiting);
    g_hash_table_unref(relays->tallies);
    pthread_mutex_destroy(&relays->lock);
    close(relays->wake);
    g_free(relays);
}
