/* SPDX-License-Identifier: Apache-2.0 */
/* daemon/announce.c - the KMS is told which conferences there are
 *
 * Only where it keeps a list ([kms] announce): a conference is announced before the ticket that creates
 * it is resolved, again before the announcement runs out, and withdrawn when it has ended.
 */
#include "daemon/hub-private.h"

#include <string.h>

#define LIFETIME_S 3600
#define AGAIN_MS (G_GINT64_CONSTANT(1000) * LIFETIME_S / 3)
#define RETRY_MS 10000

void
announce_open(ClvHub *hub)
{
    hub->announced_late = g_hash_table_new_full(g_int64_hash, g_int64_equal, g_free, g_free);
}

void
announce_close(ClvHub *hub)
{
    g_clear_pointer(&hub->announced_late, g_hash_table_unref);
}

gboolean
announce_is_due(ClvHub *hub, const Room *room)
{
    return hub->config->kms_announce && !room->announced;
}

static ClvKmsListing
listing_of(ClvHub *hub, const char *uri)
{
    const ClvKeymgmtConfig *config = &hub->kms.keymgmt;

    return (ClvKmsListing){
        .kms_uri = config->kms_uri,
        .user = hub->config->kms_user,
        .psk = config->psk,
        .psk_len = config->psk_len,
        .conference = uri,
        .lifetime_s = LIFETIME_S,
    };
}

static void
withdrawn(ClvHub *hub, guint64 asker, guint64 ask, const ClvKmsReply *reply)
{
    hub->n_withdrawn[reply->code == CLV_CODE_OK]++;
    if (reply->code != CLV_CODE_OK)
        clv_log(CLV_LOG_WARNING, NULL, "kms-announce",
                "a conference that has ended stays in the list of the KMS for up to %d s: %s",
                LIFETIME_S, reply->detail != NULL ? reply->detail : "no reason given");
}

static void
withdraw(ClvHub *hub, ClvConferenceId room, const char *uri)
{
    ClvKmsListing listing = listing_of(hub, uri);
    Ask question = {.func = withdrawn, .room = room};
    ClvCode code;

    if (ask_listing(hub, &question, &listing, TRUE, &code) == 0)
        hub->n_withdrawn[FALSE]++;
}

static void
again(void *user)
{
    Room *room = user;

    room->announce_timer = NULL;
    announce_room(room->hub, room, 0);
}

static void
schedule(Room *room, gint64 delay_ms)
{
    clv_timer_cancel(room->announce_timer);
    room->announce_timer = clv_loop_timer(room->hub->loop, delay_ms, again, room);
}

/* Whoever makes a conference and hangs up at once must leave nothing in the list: whatever the KMS
 * said, it may have taken it. */
static void
ended_meanwhile(ClvHub *hub, ClvConferenceId room)
{
    const char *uri = g_hash_table_lookup(hub->announced_late, &room);

    if (uri != NULL)
        withdraw(hub, room, uri);
    g_hash_table_remove(hub->announced_late, &room);
}

/* asker: the room; who waits for it is the leg that creates it, if any. */
static void
replied(ClvHub *hub, guint64 asker, guint64 ask, const ClvKmsReply *reply)
{
    Room *room = hub_room(hub, asker);
    Leg *leg = room != NULL ? hub_leg(hub, room->announcing_for) : NULL;

    hub->n_announced[reply->code == CLV_CODE_OK]++;
    if (room == NULL) {
        ended_meanwhile(hub, asker);
        return;
    }
    room->announcing = FALSE;
    room->announcing_for = 0;
    room->announced = room->announced || reply->code == CLV_CODE_OK;
    room->doubtful = room->doubtful || reply->code == CLV_CODE_KMS_TIMEOUT;
    if (reply->code != CLV_CODE_OK)
        hub_log(hub, CLV_LOG_ERROR, leg, room, "kms-announce",
                "the KMS does not take this conference into its list: %s",
                reply->detail != NULL ? reply->detail : "no reason given");
    schedule(room, reply->code == CLV_CODE_OK ? AGAIN_MS : RETRY_MS);
    if (leg != NULL)
        call_announced(leg, room, reply->code);
}

ClvCode
announce_room(ClvHub *hub, Room *room, ClvLegId leg)
{
    ClvKmsListing listing = listing_of(hub, clv_conference_uri(room->conference));
    const Leg *creator = leg != 0 ? hub_leg(hub, leg) : NULL;
    Ask question = {
        .func = replied,
        .asker = room->id,
        .room = room->id,
        .source = creator != NULL ? call_source(creator) : NULL,
    };
    ClvCode code;

    if (!hub->config->kms_announce)
        return CLV_CODE_OK;
    room->announcing_for = leg;
    if (ask_listing(hub, &question, &listing, FALSE, &code) == 0) {
        hub->n_announced[FALSE]++;
        room->announcing_for = 0;
        schedule(room, RETRY_MS);
    } else {
        room->announcing = TRUE;
    }
    return code;
}

static void
count_room(guint64 id, gpointer object, gpointer user)
{
    const Room *room = object;
    guint *n = user;

    *n += room->announced ? 1 : 0;
}

guint
announce_count(ClvHub *hub)
{
    guint n = 0;

    clv_id_foreach(hub->rooms, count_room, &n);
    return n;
}

/* An announcement under way comes back to nobody: replied() takes it from there. */
void
announce_end(ClvHub *hub, Room *room)
{
    const char *uri = clv_conference_uri(room->conference);

    clv_timer_cancel(g_steal_pointer(&room->announce_timer));
    if (!hub->config->kms_announce)
        return;
    if (room->announcing)
        g_hash_table_insert(hub->announced_late, g_memdup2(&room->id, sizeof room->id),
                            g_strdup(uri));
    else if (room->announced || room->doubtful)
        withdraw(hub, room->id, uri);
}
