/* SPDX-License-Identifier: Apache-2.0 */
/* daemon/rooms.c - conferences that exist: made by a factory, by a schedule, or known from before */
#include "daemon/hub-private.h"

#include <string.h>

#include "base/identity.h"

/* ---- rooms ---- */

void
room_free(Room *room)
{
    for (guint i = 0; i < CLV_N_TIMERS; i++)
        clv_timer_cancel(room->timers[i]);
    clv_conference_free(room->conference);
    clv_timer_cancel(room->announce_timer);
    g_hash_table_unref(room->dials);
    g_free(room->factory);
    g_free(room->scheduled);
    g_free(room);
}

static Room *
room_alloc(ClvHub *hub, const char *factory, const char *scheduled)
{
    Room *room = g_new0(Room, 1);

    room->hub = hub;
    room->id = clv_id_add(hub->rooms, room);
    room->factory = g_strdup(factory);
    room->scheduled = g_strdup(scheduled);
    room->dials = g_hash_table_new(NULL, NULL);
    return room;
}

static void
room_enter(ClvHub *hub, Room *room, GArray *actions)
{
    clv_conference_share_tries(room->conference, hub->pin_tries);
    g_hash_table_insert(hub->rooms_by_uri, (char *)clv_conference_uri(room->conference), room);
    hub->n_conferences++;
    hub_obey(hub, room, actions);
}

static Room *
room_new(ClvHub *hub, const char *uri, ClvPolicyView *view, const char *factory,
         const char *scheduled)
{
    g_autoptr(GArray) actions = clv_actions_new();
    Room *room = room_alloc(hub, factory, scheduled);

    room->conference = clv_conference_new(room->id, uri, view, hub_now(), actions);
    room_enter(hub, room, actions);
    return room;
}

/* A conference that lived before the restart (persist=yes). FALSE: its factory is gone. */
gboolean
room_restore(ClvHub *hub, const char *factory, const ClvConferenceRecord *record)
{
    ClvPolicyView *view = clv_policy_view_factory(hub->policy, factory);
    g_autoptr(GArray) actions = NULL;
    Room *room;

    if (view == NULL)
        return FALSE;
    actions = clv_actions_new();
    room = room_alloc(hub, factory, NULL);
    room->conference = clv_conference_restore(room->id, record, view, hub_now(), actions);
    room_enter(hub, room, actions);
    announce_room(hub, room, 0);
    return TRUE;
}

void
room_end(ClvHub *hub, Room *room)
{
    hub_log(hub, CLV_LOG_INFO, NULL, room, "conference-ended", "conference ended");
    announce_end(hub, room);
    clv_media_end(hub->media, room->id);
    refer_forget_room(hub, room->id);
    g_hash_table_remove(hub->rooms_by_uri, clv_conference_uri(room->conference));
    clv_id_remove(hub->rooms, room->id);
    room_free(room);
    store_touch(hub);
}

typedef struct Search {
    const char *text;
    Room *found;
    guint matches;
} Search;

static void
match_token(guint64 id, gpointer object, gpointer user)
{
    Search *search = user;
    Room *room = object;
    const char *uri = clv_conference_uri(room->conference);

    if (strncmp(uri, "sip:", 4) == 0 && g_str_has_prefix(uri + 4, search->text)) {
        search->found = room;
        search->matches++;
    }
}

Room *
hub_find_room(ClvHub *hub, const char *uri_or_token)
{
    g_autofree char *uri = clv_identity_canonical(uri_or_token, -1);
    Search search = {.text = uri_or_token};

    if (uri != NULL)
        return g_hash_table_lookup(hub->rooms_by_uri, uri);
    clv_id_foreach(hub->rooms, match_token, &search);
    return search.matches == 1 ? search.found : NULL;
}

static Room *
room_for_creation(ClvHub *hub, const char *request_uri)
{
    const ClvPolicyFactory *factory = clv_policy_find_factory(hub->policy, request_uri);
    g_autofree char *uri = NULL;
    ClvPolicyView *view;

    if (factory == NULL)
        return NULL;
    uri = clv_factory_new_uri(factory->service, factory->host, clv_random, NULL);
    view = clv_policy_view_factory(hub->policy, factory->name);
    return view != NULL ? room_new(hub, uri, view, factory->name, NULL) : NULL;
}

Room *
room_for(ClvHub *hub, const ClvSipInvite *invite)
{
    if (invite->target == CLV_TARGET_FACTORY)
        return room_for_creation(hub, invite->request_uri);
    return g_hash_table_lookup(hub->rooms_by_uri, invite->request_uri);
}

typedef struct Census {
    const Room *self;
    const char *creator;
    guint by_creator, total;
} Census;

static void
count_room(guint64 id, gpointer object, gpointer user)
{
    Room *room = object;
    Census *census = user;

    if (room == census->self || g_strcmp0(room->factory, census->self->factory) != 0)
        return;
    census->total++;
    if (census->creator != NULL &&
        g_strcmp0(clv_conference_creator(room->conference), census->creator) == 0)
        census->by_creator++;
}

void
hub_census(ClvHub *hub, const Room *room, const char *creator, guint *out_by_creator,
           guint *out_total)
{
    Census census = {.self = room, .creator = creator};

    clv_id_foreach(hub->rooms, count_room, &census);
    *out_by_creator = census.by_creator;
    *out_total = census.total;
}


/* ---- policies ---- */

void
hub_log_errors(GPtrArray *errors, guint first, const char *message_id)
{
    for (guint i = first; i < errors->len; i++)
        clv_log(CLV_LOG_ERROR, NULL, message_id, "%s", (const char *)g_ptr_array_index(errors, i));
}

void
hub_log_warnings(const ClvPolicy *policy)
{
    for (const char *const *w = clv_policy_warnings(policy); *w != NULL; w++)
        clv_log(CLV_LOG_WARNING, NULL, "policy-warning", "%s", *w);
}

/* Rooms that the policy wants to exist without a creator. */
void
rooms_open_scheduled(ClvHub *hub)
{
    for (guint i = 0; i < clv_policy_n_conferences(hub->policy); i++) {
        const ClvPolicyConference *scheduled = clv_policy_conference(hub->policy, i);
        Room *room;

        if (g_hash_table_contains(hub->rooms_by_uri, scheduled->uri))
            continue;
        room =
            room_new(hub, scheduled->uri, clv_policy_view_conference(hub->policy, scheduled->name),
                     scheduled->factory, scheduled->name);
        announce_room(hub, room, 0);
        hub_log(hub, CLV_LOG_INFO, NULL, room, "conference-open", "scheduled conference is open");
    }
}

static void
update_room(guint64 id, gpointer object, gpointer user)
{
    ClvHub *hub = user;
    Room *room = object;
    ClvEvent event = {.kind = CLV_EV_POLICY};
    g_autofree char *changed = NULL;
    ClvPolicyView *fresh;

    fresh = room->scheduled != NULL ? clv_policy_view_conference(hub->policy, room->scheduled)
                                    : clv_policy_view_factory(hub->policy, room->factory);
    if (fresh == NULL) {
        if (room->scheduled != NULL)
            hub_feed(hub, id, &event); /* without a view: it ends when it is empty */
        return; /* and without a factory it lives on under the policy it has */
    }
    event.view = clv_policy_view_merge(clv_conference_policy(room->conference), fresh, &changed);
    clv_policy_view_free(fresh);
    if (*changed != '\0')
        hub_log(hub, CLV_LOG_NOTICE, NULL, room, "policy-applied", "policy changed here: %s",
                changed);
    hub_feed(hub, id, &event);
}

static gboolean
reload_policy(ClvHub *hub, GPtrArray *errors)
{
    ClvPolicy *fresh = clv_policy_load(hub->config->policy_file, hub->config->policy_dir, errors);

    hub->policy_wrong = fresh == NULL;
    if (fresh == NULL) {
        hub->policy_failures++;
        return FALSE;
    }
    hub_log_warnings(fresh);
    clv_policy_unref(hub->policy);
    hub->policy = fresh;
    hub->policy_snapshot++;
    clv_id_foreach(hub->rooms, update_room, hub);
    rooms_open_scheduled(hub);
    clv_log(CLV_LOG_NOTICE, NULL, "policy-loaded",
            "policy is in force: %u factories, %u scheduled "
            "conferences",
            clv_policy_n_factories(fresh), clv_policy_n_conferences(fresh));
    return TRUE;
}

gboolean
clv_hub_reload(ClvHub *hub, GPtrArray *out_errors)
{
    g_autoptr(GPtrArray) errors =
        out_errors != NULL ? g_ptr_array_ref(out_errors) : g_ptr_array_new_with_free_func(g_free);
    guint first = errors->len;
    gboolean good = reload_policy(hub, errors);

    good = clv_sip_reload_users(hub->sip, errors) && good;
    good = kms_reload(&hub->kms, hub->config, errors) && good;
    hub_log_errors(errors, first, "reload-failed");
    if (!good)
        clv_log(CLV_LOG_ERROR, NULL, "reload-failed", "what is wrong above stays as it was before");
    return good;
}
