/* SPDX-License-Identifier: Apache-2.0 */
/* kms/relay.c - resolves that another KMS has to answer: sent there, and back */
#include "config.h"

#include "kms/relay.h"

#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "kms/keyfile.h"

#define MAX_OUTPOSTS 64u
#define WORKERS 4u
#define MAX_OUTSTANDING 64u

/* A peer as it was configured; another configuration is another one. */
typedef struct Outpost {
    char *name;
    ClvKmsClient *client;
} Outpost;

typedef struct Waiting {
    ClvKmsRelay *relay;
    gpointer user;
} Waiting;

struct ClvKmsRelays {
    ClvKmsRelayDone done;
    GThread *thread;
    int wake;
    GMutex lock; /* of all below */
    gboolean stopping;
    GPtrArray *outposts; /* only ever grows, so the thread may poll what it has seen */
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

static void
settle(ClvKmsRelays *relays, Waiting *waiting, ClvCode code, const GByteArray *body,
       const char *detail)
{
    ClvKmsDecision decision;
    GByteArray *answer =
        clv_kms_service_finish(waiting->relay, code, body, detail, g_get_real_time(), &decision);

    relays->done(waiting->user, answer, &decision);
    g_free(waiting);
}

static Waiting *
take_waiting(ClvKmsRelays *relays, guint64 token)
{
    gpointer key = NULL, waiting = NULL;

    g_mutex_lock(&relays->lock);
    if (g_hash_table_steal_extended(relays->waiting, &token, &key, &waiting))
        g_free(key);
    g_mutex_unlock(&relays->lock);
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

static gpointer
run(gpointer data)
{
    ClvKmsRelays *relays = data;
    struct pollfd fds[MAX_OUTPOSTS + 1];
    ClvKmsClient *clients[MAX_OUTPOSTS];
    eventfd_t count;

    for (;;) {
        nfds_t n = 0;
        gboolean stopping;

        g_mutex_lock(&relays->lock);
        stopping = relays->stopping;
        for (guint i = 0; i < relays->outposts->len; i++) {
            clients[n] = ((Outpost *)relays->outposts->pdata[i])->client;
            fds[n] = (struct pollfd){.fd = clv_kms_client_event_fd(clients[n]), .events = POLLIN};
            n++;
        }
        g_mutex_unlock(&relays->lock);
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
    g_mutex_init(&relays->lock);
    relays->outposts = g_ptr_array_new_with_free_func(outpost_free);
    relays->waiting = g_hash_table_new_full(g_int64_hash, g_int64_equal, g_free, NULL);
    relays->thread = g_thread_new("kms-relay", run, relays);
    return relays;
}

/* With the lock held. Returns: (nullable) */
static ClvKmsClient *
client_for(ClvKmsRelays *relays, const ClvKmsPeer *peer, char **out_detail)
{
    g_autofree char *urls = NULL;
    g_autofree char *name = NULL;
    g_autoptr(GError) error = NULL;
    g_autoptr(GPtrArray) list = g_ptr_array_new();
    ClvKmsClientConfig config = {
        .ca_file = peer->ca,
        .cert_file = peer->cert,
        .key_file = peer->key,
        .timeout_ms = 1000 * peer->timeout_s,
        .connections = WORKERS,
        .max_outstanding = MAX_OUTSTANDING,
    };
    Outpost *outpost;
    ClvKmsClient *client;

    for (guint i = 0; i < peer->urls->len; i++)
        g_ptr_array_add(list, peer->urls->pdata[i]);
    g_ptr_array_add(list, NULL);
    urls = g_strjoinv("\n", (char **)list->pdata);
    name = g_strdup_printf("%s\n%s\n%s\n%s\n%" G_GINT64_FORMAT "\n%s", peer->uri, peer->ca,
                           peer->cert, peer->key, peer->timeout_s, urls);
    for (guint i = 0; i < relays->outposts->len; i++)
        if (strcmp(((Outpost *)relays->outposts->pdata[i])->name, name) == 0)
            return ((Outpost *)relays->outposts->pdata[i])->client;
    config.urls = (const char *const *)list->pdata;
    if (relays->outposts->len == MAX_OUTPOSTS) {
        *out_detail = g_strdup("too many peers since the start of this program");
        return NULL;
    }
    client = clv_kms_client_new(&config, &error);
    if (client == NULL) {
        *out_detail = g_strdup(error->message);
        return NULL;
    }
    outpost = g_new0(Outpost, 1);
    outpost->name = g_steal_pointer(&name);
    outpost->client = client;
    g_ptr_array_add(relays->outposts, outpost);
    eventfd_write(relays->wake, 1);
    return client;
}

void
clv_kms_relays_post(ClvKmsRelays *relays, ClvKmsRelay *relay, gpointer user)
{
    Waiting *waiting = g_new0(Waiting, 1);
    g_autofree char *detail = NULL;
    ClvKmsClient *client = NULL;
    ClvCode code = CLV_CODE_KMS_DOWN;
    const guint8 *octets;
    guint64 token;
    gsize len;

    waiting->relay = relay;
    waiting->user = user;
    clv_kms_relay_octets(relay, &octets, &len);
    g_mutex_lock(&relays->lock);
    if (!relays->stopping)
        client = client_for(relays, clv_kms_relay_peer(relay), &detail);
    if (client != NULL) {
        token = ++relays->last_token;
        g_hash_table_insert(relays->waiting, g_memdup2(&token, sizeof token), waiting);
        code = clv_kms_client_post(client, CLV_KMS_TICKET_RESOLVE, octets, len, token, 0);
        if (code != CLV_CODE_OK)
            g_hash_table_remove(relays->waiting, &token);
    }
    g_mutex_unlock(&relays->lock);
    if (code != CLV_CODE_OK)
        settle(relays, waiting, code, NULL, detail != NULL ? detail : "the peer is left alone");
}

void
clv_kms_relays_stop(ClvKmsRelays *relays)
{
    g_autoptr(GList) left = NULL;

    g_mutex_lock(&relays->lock);
    relays->stopping = TRUE;
    g_mutex_unlock(&relays->lock);
    eventfd_write(relays->wake, 1);
    if (relays->thread != NULL)
        g_thread_join(g_steal_pointer(&relays->thread));
    g_mutex_lock(&relays->lock);
    left = g_hash_table_get_values(relays->waiting);
    g_hash_table_remove_all(relays->waiting);
    g_mutex_unlock(&relays->lock);
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
    g_mutex_clear(&relays->lock);
    close(relays->wake);
    g_free(relays);
}
