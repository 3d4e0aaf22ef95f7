/* SPDX-License-Identifier: Apache-2.0 */
/* daemon/ask.c - requests at the KMS: how many for whom, and who waits for the answer
 *
 * What makes us ask may be forged, so nobody can make us ask without end: so many requests at once
 * for one source, for one conference, and in all (3.5 of the conference digest; the last limit is the
 * client's). Of those of a conference some are kept for whom nobody can forge, and some for names that
 * may come. Who may not is asked about all the same while there is room: that he is refused sooner would
 * tell strangers which names may. An asker that is gone is forgotten, but its request counts until the KMS has answered.
 */
#include "daemon/hub-private.h"

#include <string.h>

typedef struct Outstanding {
    ClvHub *hub;
    guint64 id;
    AskFunc func; /* (nullable) NULL: nobody waits any more */
    guint64 asker;
    ClvTimer *timer; /* (nullable) when the asker's patience ends before the client's deadline */
    const char *late; /* why it ends */
    char *source, *conference; /* (nullable) keys of asks_by_who */
    AskShare share;
} Outstanding;

void
ask_open(ClvHub *hub)
{
    hub->asks = clv_id_table_new();
    hub->asks_by_who = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
}

static void
outstanding_free(Outstanding *o)
{
    clv_timer_cancel(o->timer);
    g_free(o->source);
    g_free(o->conference);
    g_free(o);
}

static void
free_one(guint64 id, gpointer object, gpointer user)
{
    outstanding_free(object);
}

void
ask_close(ClvHub *hub)
{
    clv_id_foreach(hub->asks, free_one, NULL);
    clv_id_table_free(hub->asks);
    g_hash_table_unref(hub->asks_by_who);
}

/* ---- limits ---- */

static guint
count_of(ClvHub *hub, const char *who)
{
    return who != NULL ? GPOINTER_TO_UINT(g_hash_table_lookup(hub->asks_by_who, who)) : 0;
}

static void
count(ClvHub *hub, const char *who, gint by)
{
    guint now;

    if (who == NULL)
        return;
    now = count_of(hub, who) + (guint)by;
    if (now == 0)
        g_hash_table_remove(hub->asks_by_who, who);
    else
        g_hash_table_replace(hub->asks_by_who, g_strdup(who), GUINT_TO_POINTER(now));
}

AskShare
ask_share(ClvHub *hub, ClvConferenceId id, const char *claimed)
{
    const Room *room = hub_room(hub, id);

    return room != NULL && claimed != NULL && clv_conference_names(room->conference, claimed)
               ? ASK_CLAIMED
               : ASK_STRANGER;
}

static guint
limit_of_conference(const ClvHub *hub, AskShare share)
{
    static const guint quarters[] = {[ASK_WHOLE] = 4, [ASK_CLAIMED] = 3, [ASK_STRANGER] = 1};

    return MAX(1, (guint)hub->config->kms_per_conference * quarters[share] / 4);
}

static const char *
over_limit(ClvHub *hub, const Outstanding *o)
{
    if (count_of(hub, o->source) >= (guint)hub->config->kms_per_source)
        return "too many requests of this caller wait for the KMS (per-source)";
    if (count_of(hub, o->conference) >= limit_of_conference(hub, o->share))
        return "too many requests of this conference wait for the KMS (per-conference)";
    return NULL;
}

/* ---- asking and being answered ---- */

static void
out_of_patience(void *user)
{
    Outstanding *o = user;
    ClvKmsReply late = {
        .token = o->id,
        .code = CLV_CODE_KMS_TIMEOUT,
        .detail = (char *)o->late,
    };
    AskFunc func = o->func;

    o->timer = NULL;
    o->func = NULL; /* it still counts until the KMS has answered */
    if (func != NULL)
        func(o->hub, o->asker, o->id, &late);
}

static Outstanding *
outstanding_new(ClvHub *hub, const Ask *ask)
{
    Outstanding *o = g_new0(Outstanding, 1);

    o->hub = hub;
    o->func = ask->func;
    o->asker = ask->asker;
    o->share = ask->share;
    o->source = ask->source != NULL ? g_strdup_printf("source %s", ask->source) : NULL;
    o->conference = g_strdup_printf("conference %" G_GUINT64_FORMAT, ask->room);
    return o;
}

/* Shorter than the client's deadline, if the policy of the conference or the asker wants that. */
static gint64
patience_ms(ClvHub *hub, Outstanding *o, const Ask *ask)
{
    const Room *room = hub_room(hub, ask->room);
    gint64 policy_ms =
        room != NULL ? clv_policy_kms_timeout_ms(clv_conference_policy(room->conference)) : 0;
    gint64 patience = hub->config->kms_timeout_ms;

    if (policy_ms > 0 && policy_ms < patience) {
        patience = policy_ms;
        o->late = "the KMS took longer than kms-timeout of the policy";
    }
    if (ask->limit_ms > 0 && ask->limit_ms < patience) {
        patience = ask->limit_ms;
        o->late = "the KMS took longer than the request that waits for it may (4 s)";
    }
    return o->late != NULL ? patience : 0;
}

static guint64
sent(ClvHub *hub, Outstanding *o, const Ask *ask)
{
    gint64 patience = patience_ms(hub, o, ask);

    count(hub, o->source, 1);
    count(hub, o->conference, 1);
    if (patience > 0)
        o->timer = clv_loop_timer(hub->loop, patience, out_of_patience, o);
    return o->id;
}

static guint64
not_sent(ClvHub *hub, Outstanding *o, ClvCode code, const char **out_why)
{
    if (*out_why == NULL)
        *out_why = code == CLV_CODE_OVERLOAD ? "too many requests wait for the KMS"
                                             : "the KMS is not asked for a while after failures";
    if (o->id != 0)
        clv_id_remove(hub->asks, o->id);
    outstanding_free(o);
    return 0;
}

guint64
ask_kms(ClvHub *hub, const Ask *ask, ClvKmsRequest request, const GByteArray *bytes,
        ClvCode *out_code, const char **out_why)
{
    Outstanding *o = outstanding_new(hub, ask);

    *out_code = CLV_CODE_OVERLOAD;
    *out_why = over_limit(hub, o);
    if (*out_why != NULL)
        return not_sent(hub, o, *out_code, out_why);
    o->id = clv_id_add(hub->asks, o);
    *out_code = clv_kms_client_post(hub->kms.client, request, bytes->data, bytes->len, o->id, 0);
    return *out_code == CLV_CODE_OK ? sent(hub, o, ask) : not_sent(hub, o, *out_code, out_why);
}

guint64
ask_listing(ClvHub *hub, const Ask *ask, const ClvKmsListing *listing, gboolean withdraw,
            ClvCode *out_code)
{
    Outstanding *o = outstanding_new(hub, ask);
    const char *why = o->source != NULL ? over_limit(hub, o) : NULL;

    *out_code = CLV_CODE_OVERLOAD;
    if (why != NULL)
        return not_sent(hub, o, *out_code, &why);
    o->id = clv_id_add(hub->asks, o);
    *out_code = (withdraw ? clv_kms_client_withdraw : clv_kms_client_announce)(
        hub->kms.client, listing, hub_wall(), o->id, 0);
    return *out_code == CLV_CODE_OK ? sent(hub, o, ask) : not_sent(hub, o, *out_code, &why);
}

void
ask_forget(ClvHub *hub, guint64 ask)
{
    Outstanding *o = ask != 0 ? clv_id_get(hub->asks, ask) : NULL;

    if (o != NULL)
        o->func = NULL;
}

static void
take(ClvHub *hub, const ClvKmsReply *reply)
{
    Outstanding *o = clv_id_remove(hub->asks, reply->token);

    if (o == NULL)
        return;
    count(hub, o->source, -1);
    count(hub, o->conference, -1);
    if (o->func != NULL)
        o->func(hub, o->asker, reply->token, reply);
    outstanding_free(o);
}

void
ask_ready(void *user)
{
    ClvHub *hub = user;
    ClvKmsReply *reply;

    while ((reply = clv_kms_client_take(hub->kms.client)) != NULL) {
        kms_note(&hub->kms, reply);
        take(hub, reply);
        clv_kms_reply_free(reply);
    }
}
