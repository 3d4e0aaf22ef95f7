/* SPDX-License-Identifier: Apache-2.0 */
/* daemon/hub.c - event -> step -> actions, the one switch */
#include "daemon/hub-private.h"

#include <stdarg.h>
#include <string.h>

#include "base/identity.h"
#include "base/secret.h"
#include "daemon/watch.h"

#define STOP_MS 2000
#define STOP_POLL_MS 20

gint64
hub_now(void)
{
    return g_get_monotonic_time();
}

gint64
hub_wall(void)
{
    return g_get_real_time();
}

Leg *
hub_leg(ClvHub *hub, ClvLegId id)
{
    return clv_id_get(hub->legs, id);
}

Room *
hub_room(ClvHub *hub, ClvConferenceId id)
{
    return clv_id_get(hub->rooms, id);
}

void
hub_log(ClvHub *hub, ClvLogLevel level, const Leg *leg, const Room *room, const char *message_id,
        const char *format, ...)
{
    ClvLogScope scope = {0};
    g_autofree char *text = NULL;
    va_list args;

    if (room == NULL && leg != NULL)
        room = hub_room(hub, leg->room);
    if (room != NULL)
        scope.conference = clv_conference_uri(room->conference);
    if (leg != NULL) {
        scope.call_id = leg->call_id;
        scope.identity = leg->identity;
    }
    va_start(args, format);
    text = g_strdup_vprintf(format, args);
    va_end(args);
    clv_log(level, &scope, message_id, "%s", text);
}

/* ---- legs ---- */

void
hub_leg_release(Leg *leg)
{
    if (leg->sip_alive || leg->media_open)
        return;
    if (leg->ssrc != 0)
        clv_media_drop_ssrc(leg->hub->media, leg->room, leg->ssrc);
    clv_id_remove(leg->hub->legs, leg->id);
    call_free(leg);
}

/* ---- rooms ---- */

static void
room_free(Room *room)
{
    for (guint i = 0; i < CLV_N_TIMERS; i++)
        clv_timer_cancel(room->timers[i]);
    clv_conference_free(room->conference);
    g_free(room->factory);
    g_free(room->scheduled);
    g_free(room);
}

static void obey(ClvHub *hub, Room *room, GArray *actions);

static Room *
room_new(ClvHub *hub, const char *uri, ClvPolicyView *view, const char *factory,
         const char *scheduled)
{
    g_autoptr(GArray) actions = clv_actions_new();
    Room *room = g_new0(Room, 1);

    room->id = clv_id_add(hub->rooms, room);
    room->factory = g_strdup(factory);
    room->scheduled = g_strdup(scheduled);
    room->conference = clv_conference_new(room->id, uri, view, hub_now(), actions);
    g_hash_table_insert(hub->rooms_by_uri, (char *)clv_conference_uri(room->conference), room);
    hub->n_conferences++;
    obey(hub, room, actions);
    return room;
}

static void
room_end(ClvHub *hub, Room *room)
{
    hub_log(hub, CLV_LOG_INFO, NULL, room, "conference-ended", "conference ended");
    clv_media_end(hub->media, room->id);
    g_hash_table_remove(hub->rooms_by_uri, clv_conference_uri(room->conference));
    clv_id_remove(hub->rooms, room->id);
    room_free(room);
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

/* ---- events into a conference ---- */

typedef struct Queued {
    ClvConferenceId room;
    ClvEvent event;
    char *cause, *who;
} Queued;

static gboolean
needs_live_leg(ClvEventKind kind)
{
    return kind == CLV_EV_JOIN || kind == CLV_EV_KEYS;
}

static void
step_one(ClvHub *hub, Queued *queued)
{
    g_autoptr(GArray) actions = clv_actions_new();
    Room *room = hub_room(hub, queued->room);

    /* the event borrows from the leg; a leg that is gone has nothing to say */
    if (room == NULL ||
        (needs_live_leg(queued->event.kind) && hub_leg(hub, queued->event.leg) == NULL)) {
        if (queued->event.view != NULL)
            clv_policy_view_free(queued->event.view);
        return;
    }
    queued->event.now_us = hub_now();
    queued->event.wall_us = hub_wall();
    clv_conference_step(room->conference, &queued->event, actions);
    obey(hub, room, actions);
    if (room->over)
        room_end(hub, room);
}

static void
drain(ClvHub *hub)
{
    Queued *queued;

    if (hub->stepping)
        return;
    hub->stepping = TRUE;
    while ((queued = g_queue_pop_head(&hub->events)) != NULL) {
        step_one(hub, queued);
        g_free(queued->cause);
        g_free(queued->who);
        g_free(queued);
    }
    hub->stepping = FALSE;
}

void
hub_feed(ClvHub *hub, ClvConferenceId room, const ClvEvent *event)
{
    Queued *queued = g_new0(Queued, 1);

    queued->room = room;
    queued->event = *event;
    queued->cause = g_strdup(event->cause);
    queued->who = g_strdup(event->who);
    queued->event.cause = queued->cause;
    queued->event.who = queued->who;
    g_queue_push_tail(&hub->events, queued);
    drain(hub);
}

/* ---- actions out of a conference ---- */

typedef void (*ActionFunc)(ClvHub *hub, Room *room, Leg *leg, ClvAction *action);

static void
act_refuse(ClvHub *hub, Room *room, Leg *leg, ClvAction *action)
{
    call_refuse(leg, action->code, action->retry_after_s);
    hub_leg_release(leg);
}

static void
act_keymgmt_open(ClvHub *hub, Room *room, Leg *leg, ClvAction *action)
{
    call_open_keys(leg, room);
}

static void
act_keymgmt_close(ClvHub *hub, Room *room, Leg *leg, ClvAction *action)
{
    call_forget_keys(leg);
}

static void
act_media_open(ClvHub *hub, Room *room, Leg *leg, ClvAction *action)
{
    call_open_media(leg, room);
}

static void
act_accept(ClvHub *hub, Room *room, Leg *leg, ClvAction *action)
{
    call_accept(leg, room);
}

static void
act_cut(ClvHub *hub, Room *room, Leg *leg, ClvAction *action)
{
    if (leg->media_open)
        clv_media_close(hub->media, leg->id);
}

static void
act_bye(ClvHub *hub, Room *room, Leg *leg, ClvAction *action)
{
    call_forget_keys(leg);
    if (leg->sip_alive)
        clv_sip_end(hub->sip, leg->id, action->text);
    leg->sip_alive = FALSE;
    hub_leg_release(leg);
}

static void
act_plan(ClvHub *hub, Room *room, Leg *leg, ClvAction *action)
{
    clv_media_publish(hub->media, g_steal_pointer(&action->plan));
}

static void
act_roster(ClvHub *hub, Room *room, Leg *leg, ClvAction *action)
{
    hub_log(hub, CLV_LOG_INFO, leg, room, "roster", "%s: %s",
            action->identity != NULL ? action->identity : "anonymous", action->text);
    if (g_strcmp0(action->text, "joined") == 0)
        hub->n_joins++;
}

static void
timer_due(void *user)
{
    struct RoomTimer *arg = user;
    Room *room = hub_room(arg->hub, arg->room);
    ClvEvent event = {.kind = CLV_EV_TIMER, .timer = arg->kind};

    room->timers[arg->kind] = NULL;
    hub_feed(arg->hub, arg->room, &event);
}

static void
act_timer(ClvHub *hub, Room *room, Leg *leg, ClvAction *action)
{
    struct RoomTimer *arg = &room->timer_args[action->timer];

    clv_timer_cancel(g_steal_pointer(&room->timers[action->timer]));
    if (action->delay_ms < 0)
        return;
    *arg = (struct RoomTimer){hub, room->id, action->timer};
    room->timers[action->timer] = clv_loop_timer(hub->loop, action->delay_ms, timer_due, arg);
}

static void
act_log(ClvHub *hub, Room *room, Leg *leg, ClvAction *action)
{
    ClvLogScope scope = {.conference = clv_conference_uri(room->conference),
                         .call_id = leg != NULL ? leg->call_id : NULL,
                         .identity = action->identity};

    clv_log(CLV_LOG_NOTICE, &scope, "decision", "%s", action->text);
}

static void
act_ended(ClvHub *hub, Room *room, Leg *leg, ClvAction *action)
{
    room->over = TRUE;
}

static const struct {
    ActionFunc run;
    gboolean needs_leg;
} action_table[] = {
    [CLV_ACT_REFUSE] = {act_refuse, TRUE},
    [CLV_ACT_KEYMGMT_OPEN] = {act_keymgmt_open, TRUE},
    [CLV_ACT_KEYMGMT_CLOSE] = {act_keymgmt_close, TRUE},
    [CLV_ACT_MEDIA_OPEN] = {act_media_open, TRUE},
    [CLV_ACT_ACCEPT] = {act_accept, TRUE},
    [CLV_ACT_CUT] = {act_cut, TRUE},
    [CLV_ACT_BYE] = {act_bye, TRUE},
    [CLV_ACT_PLAN] = {act_plan, FALSE},
    [CLV_ACT_ROSTER] = {act_roster, FALSE},
    [CLV_ACT_TIMER] = {act_timer, FALSE},
    [CLV_ACT_LOG] = {act_log, FALSE},
    [CLV_ACT_ENDED] = {act_ended, FALSE},
};

static void
obey(ClvHub *hub, Room *room, GArray *actions)
{
    for (guint i = 0; i < actions->len; i++) {
        ClvAction *action = &g_array_index(actions, ClvAction, i);
        Leg *leg = hub_leg(hub, action->leg);

        if (leg != NULL || !action_table[action->kind].needs_leg)
            action_table[action->kind].run(hub, room, leg, action);
    }
}

/* ---- from sip ---- */

static ClvSipTarget
sip_classify(void *user, const char *uri)
{
    ClvHub *hub = user;

    if (g_hash_table_contains(hub->rooms_by_uri, uri))
        return CLV_TARGET_CONFERENCE;
    return clv_policy_find_factory(hub->policy, uri) != NULL ? CLV_TARGET_FACTORY : CLV_TARGET_NONE;
}

static ClvLegId
sip_new_leg(void *user)
{
    ClvHub *hub = user;

    return hub->stopping ? 0 : call_new(hub)->id;
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

static Room *
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

static void
sip_invite(ClvHub *hub, const ClvSipInvite *invite)
{
    Leg *leg = hub_leg(hub, invite->leg);
    ClvEvent event = {.kind = CLV_EV_JOIN, .leg = invite->leg};
    Room *room = NULL;

    if (leg == NULL)
        return;
    call_take_invite(leg, invite);
    if (invite->offer != NULL) /* who offers nothing must not leave a room behind */
        room = room_for(hub, invite);
    if (room == NULL) {
        call_refuse(leg, invite->offer != NULL ? CLV_CODE_NOT_FOUND : CLV_CODE_NO_COMMON_MEDIA, 0);
        hub_leg_release(leg);
        return;
    }
    leg->room = room->id;
    event.join = &leg->join;
    if (leg->join.creates)
        hub_census(hub, room, leg->identity, &leg->join.n_by_creator, &leg->join.n_total);
    hub_feed(hub, room->id, &event);
}

static void
sip_ended(ClvHub *hub, Leg *leg, const char *cause)
{
    ClvEvent event = {.kind = CLV_EV_GONE, .leg = leg->id, .cause = cause};

    leg->sip_alive = FALSE;
    call_forget_keys(leg);
    hub_feed(hub, leg->room, &event);
    leg = hub_leg(hub, event.leg);
    if (leg != NULL)
        hub_leg_release(leg);
}

static void
sip_event(void *user, const ClvSipEvent *event)
{
    ClvHub *hub = user;
    Leg *leg = hub_leg(hub, event->leg);
    ClvEvent confirmed = {.kind = CLV_EV_CONFIRMED, .leg = event->leg};
    Room *room;

    if (leg == NULL)
        return;
    switch (event->kind) {
    case CLV_SIP_INVITE:
        sip_invite(hub, event->invite);
        return;
    case CLV_SIP_REOFFER:
        room = hub_room(hub, leg->room);
        if (room == NULL)
            clv_sip_refuse(hub->sip, leg->id, CLV_CODE_NO_DIALOG, 0, NULL);
        else
            call_reoffer(leg, room, event->offer);
        return;
    case CLV_SIP_CONFIRMED:
        hub_feed(hub, leg->room, &confirmed);
        return;
    case CLV_SIP_REOFFER_DONE:
        call_take_answer(leg, event->offer);
        return;
    case CLV_SIP_REOFFER_CANCELLED: /* what the KMS still says must not change the media */
        call_forget_keys(leg);
        return;
    case CLV_SIP_ENDED:
        sip_ended(hub, leg, event->cause);
        return;
    case CLV_SIP_RINGING:
    case CLV_SIP_ANSWERED:
    case CLV_SIP_FAILED:
    case CLV_SIP_IDENTITY:
    case CLV_SIP_REFER:
    case CLV_SIP_REFER_STATUS:
        return;
    }
}

static const ClvSipHandlers sip_handlers = {
    .classify = sip_classify,
    .new_leg = sip_new_leg,
    .event = sip_event,
};

/* ---- from media ---- */

static void
media_lost(ClvHub *hub, Leg *leg, const char *cause)
{
    ClvEvent event = {.kind = CLV_EV_KICK, .leg = leg->id, .cause = cause};

    hub_log(hub, CLV_LOG_NOTICE, leg, NULL, "media-lost", "dropped: %s", cause);
    hub_feed(hub, leg->room, &event);
}

static void
media_event(ClvMediaEventKind kind, ClvLegId id, guint32 value, void *user)
{
    ClvHub *hub = user;
    Leg *leg = hub_leg(hub, id);
    ClvEvent talking = {.kind = CLV_EV_TALKING, .leg = id, .flag = value != 0};

    if (leg == NULL)
        return;
    switch (kind) {
    case CLV_MEDIA_CLOSED:
        leg->media_open = FALSE;
        hub_leg_release(leg);
        return;
    case CLV_MEDIA_SILENT:
        media_lost(hub, leg, "silence");
        return;
    case CLV_MEDIA_TALKING:
        hub_feed(hub, leg->room, &talking);
        return;
    case CLV_MEDIA_COLLISION:
        hub_log(hub, CLV_LOG_WARNING, leg, NULL, "ssrc-collision",
                "uses SSRC %08x, which somebody else in the conference has; dropped", value);
        return;
    case CLV_MEDIA_FIRST_PACKET:
    case CLV_MEDIA_BYE:
        hub_log(hub, CLV_LOG_DEBUG, leg, NULL, "media",
                kind == CLV_MEDIA_BYE ? "RTCP BYE" : "first packet");
        return;
    case CLV_MEDIA_DTMF:
    case CLV_MEDIA_PROMPTED:
        return;
    }
}

static void
media_ready(void *user)
{
    ClvHub *hub = user;

    clv_media_dispatch(hub->media, media_event, hub);
}

/* ---- from the KMS client ---- */

static void
kms_ready(void *user)
{
    ClvHub *hub = user;
    ClvKmsReply *reply;

    while ((reply = clv_kms_client_take(hub->kms.client)) != NULL) {
        Leg *leg = hub_leg(hub, reply->token);
        Room *room = leg != NULL ? hub_room(hub, leg->room) : NULL;

        kms_note(&hub->kms, reply);
        if (room != NULL)
            call_kms_reply(leg, room, reply);
        clv_kms_reply_free(reply);
    }
}

/* ---- policies ---- */

static void
log_errors(GPtrArray *errors, guint first, const char *message_id)
{
    for (guint i = first; i < errors->len; i++)
        clv_log(CLV_LOG_ERROR, NULL, message_id, "%s", (const char *)g_ptr_array_index(errors, i));
}

static void
log_warnings(const ClvPolicy *policy)
{
    for (const char *const *w = clv_policy_warnings(policy); *w != NULL; w++)
        clv_log(CLV_LOG_WARNING, NULL, "policy-warning", "%s", *w);
}

/* Rooms that the policy wants to exist without a creator. */
static void
open_scheduled(ClvHub *hub)
{
    for (guint i = 0; i < clv_policy_n_conferences(hub->policy); i++) {
        const ClvPolicyConference *scheduled = clv_policy_conference(hub->policy, i);
        Room *room;

        if (g_hash_table_contains(hub->rooms_by_uri, scheduled->uri))
            continue;
        room =
            room_new(hub, scheduled->uri, clv_policy_view_conference(hub->policy, scheduled->name),
                     scheduled->factory, scheduled->name);
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
    log_warnings(fresh);
    clv_policy_unref(hub->policy);
    hub->policy = fresh;
    hub->policy_snapshot++;
    clv_id_foreach(hub->rooms, update_room, hub);
    open_scheduled(hub);
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
    log_errors(errors, first, "reload-failed");
    if (!good)
        clv_log(CLV_LOG_ERROR, NULL, "reload-failed", "what is wrong above stays as it was before");
    return good;
}

static void
files_changed(void *user)
{
    clv_hub_reload(user, NULL);
}

/* ---- start ---- */

static gboolean
first_policy(ClvHub *hub, GError **error)
{
    g_autoptr(GPtrArray) errors = g_ptr_array_new_with_free_func(g_free);
    g_autofree char *text = NULL;

    hub->policy = clv_policy_load(hub->config->policy_file, hub->config->policy_dir, errors);
    if (hub->policy != NULL) {
        log_warnings(hub->policy);
        hub->policy_snapshot = 1;
        return TRUE;
    }
    g_ptr_array_add(errors, NULL);
    text = g_strjoinv("\n", (char **)errors->pdata);
    g_set_error_literal(error, CLV_CONTROL_ERROR, 0, text);
    return FALSE;
}

static gboolean
open_media_room(ClvHub *hub, GError **error)
{
    const ClvConfig *c = hub->config;
    ClvMediaConfig media = {
        .threads = (guint)c->media_threads,
        .port_first = (guint16)c->port_first,
        .port_last = (guint16)c->port_last,
        .max_legs = (guint)c->max_calls,
        .use_libsrtp = c->transform == 1,
        .silence_ms = c->silence_ms,
        .realtime = c->media_realtime,
        .cname = "conclave",
    };

    hub->media = clv_media_new(&media, error);
    if (hub->media == NULL)
        return FALSE;
    hub->media_watch = clv_loop_watch(hub->loop, clv_media_event_fd(hub->media), media_ready, hub);
    return TRUE;
}

static gboolean
open_sip_room(ClvHub *hub, GError **error)
{
    const ClvConfig *c = hub->config;
    ClvSipConfig sip = {
        .listen = c->listen,
        .tls_dir = c->tls_dir,
        .tls_ciphers = c->tls_ciphers,
        .tls_ask_client_cert = c->tls_ask_client_cert,
        .trusted_peers = c->trusted_peers,
        .realm = c->realm,
        .digest_sha256 = c->digest_sha256,
        .users_file = c->users_file,
        .resolv_conf = c->resolv_conf,
        .outbound = c->outbound,
        .ims = c->ims,
        .session_expires_s = c->session_expires_ms / 1000,
        .min_se_s = c->min_se_ms / 1000,
        .max_message_bytes = (guint)c->max_message,
        .max_calls = (guint)c->max_calls,
        .max_invites_per_s = (guint)c->max_invites,
        .idle_ms = c->idle_ms,
        .max_connections = (guint)c->max_connections,
    };

    hub->sip = clv_sip_new(hub->loop, &sip, &sip_handlers, hub, error);
    return hub->sip != NULL;
}

static gboolean
open_metrics(ClvHub *hub, GError **error)
{
    const ClvConfig *c = hub->config;

    if (c->metrics_listen == NULL)
        return TRUE;
    hub->metrics = clv_metrics_port_new(hub->loop, c->metrics_listen, c->metrics_remote,
                                        figures_render, hub, error);
    if (hub->metrics == NULL)
        return FALSE;
    clv_log(CLV_LOG_NOTICE, NULL, "metrics", "metrics on %s", clv_metrics_port_url(hub->metrics));
    return TRUE;
}

static gboolean
open_engines(ClvHub *hub, GError **error)
{
    const char *files[] = {hub->config->policy_file, hub->config->policy_dir,
                           hub->config->users_file, hub->config->embedded_keys,
                           hub->config->kms_psk_file};

    if (!clv_keymgmt_self_test(error) || !first_policy(hub, error) ||
        !kms_open(&hub->kms, hub->config, error) || !open_media_room(hub, error) ||
        !open_sip_room(hub, error))
        return FALSE;
    hub->kms_watch =
        clv_loop_watch(hub->loop, clv_kms_client_event_fd(hub->kms.client), kms_ready, hub);
    hub->control = clv_control_new(hub->loop, hub->config->control_socket,
                                   hub->config->control_group, console_handle, hub, error);
    if (hub->control == NULL || !open_metrics(hub, error))
        return FALSE;
    hub->watch = clv_watch_new(hub->loop, files, G_N_ELEMENTS(files), files_changed, hub);
    return TRUE;
}

ClvHub *
clv_hub_new(ClvLoop *loop, const ClvConfig *config, GError **error)
{
    ClvHub *hub = g_new0(ClvHub, 1);

    hub->loop = loop;
    hub->config = config;
    hub->started_us = hub_now();
    hub->legs = clv_id_table_new();
    hub->rooms = clv_id_table_new();
    hub->rooms_by_uri = g_hash_table_new(g_str_hash, g_str_equal);
    g_queue_init(&hub->events);
    if (!open_engines(hub, error)) {
        clv_hub_free(hub);
        return NULL;
    }
    open_scheduled(hub);
    return hub;
}

/* ---- stop ---- */

static void
end_room(guint64 id, gpointer object, gpointer user)
{
    ClvEvent event = {.kind = CLV_EV_END, .cause = "shutdown"};

    hub_feed(user, id, &event);
}

static void
stop_poll(void *user)
{
    ClvHub *hub = user;
    ClvSipTotals totals;

    hub->stop_timer = NULL;
    clv_sip_totals(hub->sip, &totals);
    if ((totals.dialogs == 0 && clv_id_count(hub->legs) == 0) ||
        hub_now() - hub->started_us > STOP_MS * 1000) {
        clv_loop_quit(hub->loop);
        return;
    }
    hub->stop_timer = clv_loop_timer(hub->loop, STOP_POLL_MS, stop_poll, hub);
}

void
clv_hub_shutdown(ClvHub *hub)
{
    if (hub->stopping)
        return;
    hub->stopping = TRUE;
    clv_sip_refuse_new(hub->sip);
    clv_id_foreach(hub->rooms, end_room, hub);
    hub->started_us = hub_now();
    stop_poll(hub);
}

static void
free_leg(guint64 id, gpointer object, gpointer user)
{
    call_free(object);
}

static void
free_room(guint64 id, gpointer object, gpointer user)
{
    room_free(object);
}

/* The reverse of birth: control, sip, media, KMS. */
void
clv_hub_free(ClvHub *hub)
{
    if (hub == NULL)
        return;
    clv_timer_cancel(hub->stop_timer);
    clv_watch_free(hub->watch);
    clv_control_free(hub->control);
    clv_metrics_port_free(hub->metrics);
    clv_sip_free(hub->sip);
    if (hub->media != NULL) {
        clv_loop_unwatch(hub->loop, hub->media_watch);
        clv_media_free(hub->media);
    }
    if (hub->kms_watch > 0)
        clv_loop_unwatch(hub->loop, hub->kms_watch);
    clv_id_foreach(hub->legs, free_leg, NULL);
    clv_id_foreach(hub->rooms, free_room, NULL);
    kms_close(&hub->kms);
    clv_policy_unref(hub->policy);
    clv_id_table_free(hub->legs);
    clv_id_table_free(hub->rooms);
    g_hash_table_unref(hub->rooms_by_uri);
    g_free(hub);
}

const char *const *
clv_hub_listening(const ClvHub *hub)
{
    return clv_sip_listening(hub->sip);
}

const char *
clv_hub_kms_url(const ClvHub *hub)
{
    return hub->kms.url;
}

const char *
clv_hub_factory_uri(const ClvHub *hub)
{
    return clv_policy_n_factories(hub->policy) > 0 ? clv_policy_factory(hub->policy, 0)->uris[0]
                                                   : NULL;
}

gboolean
clv_hub_media_alive(ClvHub *hub)
{
    return clv_media_alive(hub->media);
}
