/* SPDX-License-Identifier: Apache-2.0 */
/* daemon/hub.c - event -> step -> actions, the one switch */
#include "daemon/hub-private.h"

#include <stdarg.h>
#include <string.h>

#define PROBE_PAUSE_US (2 * G_USEC_PER_SEC)

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

/* ---- events into a conference ---- */

typedef struct Queued {
    ClvConferenceId room;
    ClvEvent event;
    char *cause, *who;
} Queued;

/* What an event points to belongs to a leg or to a REFER; who is gone has nothing to say. */
static gboolean
is_stale(ClvHub *hub, const ClvEvent *event)
{
    switch (event->kind) {
    case CLV_EV_JOIN:
    case CLV_EV_KEYS:
    case CLV_EV_REOFFER_KEYS:
    case CLV_EV_MEDIA_ADDED:
    case CLV_EV_DIAL_RINGING:
    case CLV_EV_DIAL_ANSWERED:
    case CLV_EV_IDENTITY:
        return hub_leg(hub, event->leg) == NULL;
    case CLV_EV_REFER:
        return !refer_is_live(hub, event->refer->refer);
    case CLV_EV_REFER_KEYS:
        return !refer_is_live(hub, event->refer_id);
    default:
        return FALSE;
    }
}

static void
step_one(ClvHub *hub, Queued *queued)
{
    g_autoptr(GArray) actions = clv_actions_new();
    Room *room = hub_room(hub, queued->room);

    if (room == NULL || is_stale(hub, &queued->event)) {
        if (queued->event.view != NULL)
            clv_policy_view_free(queued->event.view);
        return;
    }
    queued->event.now_us = hub_now();
    queued->event.wall_us = hub_wall();
    clv_conference_step(room->conference, &queued->event, actions);
    hub_obey(hub, room, actions);
    if (queued->event.kind != CLV_EV_TALKING && clv_policy_persist(clv_conference_policy(room->conference)))
        store_touch(hub);
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
act_queue(ClvHub *hub, Room *room, Leg *leg, ClvAction *action)
{
    clv_sip_progress(hub->sip, leg->id, 182, clv_conference_uri(room->conference));
}

static void
act_redirect(ClvHub *hub, Room *room, Leg *leg, ClvAction *action)
{
    call_redirect(leg, room);
    hub_leg_release(leg);
}

static void
act_reoffer_accept(ClvHub *hub, Room *room, Leg *leg, ClvAction *action)
{
    call_accept_reoffer(leg, room);
}

static void
act_reoffer_refuse(ClvHub *hub, Room *room, Leg *leg, ClvAction *action)
{
    call_refuse(leg, action->code, action->retry_after_s);
}

static void
act_refer_accept(ClvHub *hub, Room *room, Leg *leg, ClvAction *action)
{
    refer_reply(hub, action->refer, CLV_CODE_OK, action->flag);
}

static void
act_refer_refuse(ClvHub *hub, Room *room, Leg *leg, ClvAction *action)
{
    refer_reply(hub, action->refer, action->code, FALSE);
}

static void
act_refer_keys(ClvHub *hub, Room *room, Leg *leg, ClvAction *action)
{
    refer_open_keys(hub, room, action->refer);
}

static void
act_refer_notify(ClvHub *hub, Room *room, Leg *leg, ClvAction *action)
{
    refer_notify(hub, action->refer, action->status, action->flag);
}

static void
act_dial(ClvHub *hub, Room *room, Leg *leg, ClvAction *action)
{
    dial_start(hub, room, g_steal_pointer(&action->order));
}

static void
act_dial_end(ClvHub *hub, Room *room, Leg *leg, ClvAction *action)
{
    dial_end(hub, room, action->dial, action->text);
}

static void
act_confirm(ClvHub *hub, Room *room, Leg *leg, ClvAction *action)
{
    dial_confirm(leg, room);
}

static void
act_prompt(ClvHub *hub, Room *room, Leg *leg, ClvAction *action)
{
    if (leg->media_open)
        clv_media_prompt(hub->media, leg->id, action->prompt);
}

static void
act_check_pin(ClvHub *hub, Room *room, Leg *leg, ClvAction *action)
{
    pin_check(leg, clv_policy_pin_hash(clv_conference_policy(room->conference)), action->text);
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
    [CLV_ACT_QUEUE] = {act_queue, TRUE},
    [CLV_ACT_REDIRECT] = {act_redirect, TRUE},
    [CLV_ACT_REOFFER_ACCEPT] = {act_reoffer_accept, TRUE},
    [CLV_ACT_REOFFER_REFUSE] = {act_reoffer_refuse, TRUE},
    [CLV_ACT_REFER_ACCEPT] = {act_refer_accept, FALSE},
    [CLV_ACT_REFER_REFUSE] = {act_refer_refuse, FALSE},
    [CLV_ACT_REFER_KEYS] = {act_refer_keys, FALSE},
    [CLV_ACT_REFER_NOTIFY] = {act_refer_notify, FALSE},
    [CLV_ACT_DIAL] = {act_dial, FALSE},
    [CLV_ACT_DIAL_END] = {act_dial_end, FALSE},
    [CLV_ACT_CONFIRM] = {act_confirm, TRUE},
    [CLV_ACT_PROMPT] = {act_prompt, TRUE},
    [CLV_ACT_CHECK_PIN] = {act_check_pin, TRUE},
    [CLV_ACT_ENDED] = {act_ended, FALSE},
};

void
hub_obey(ClvHub *hub, Room *room, GArray *actions)
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
    if (leg->dial != NULL) {
        dial_sip_event(leg, &(ClvSipEvent){.kind = CLV_SIP_FAILED, .leg = leg->id});
        return;
    }
    call_forget_keys(leg);
    hub_feed(hub, leg->room, &event);
    leg = hub_leg(hub, event.leg);
    if (leg != NULL)
        hub_leg_release(leg);
}

static void
sip_reoffer(ClvHub *hub, Leg *leg, const ClvSipEvent *event)
{
    Room *room = hub_room(hub, leg->room);

    if (room == NULL)
        clv_sip_refuse(hub->sip, leg->id, CLV_CODE_NO_DIALOG, 0, NULL);
    else
        call_reoffer(leg, room, event);
}

static guint64
n_heard(ClvHub *hub, const Leg *leg)
{
    ClvMediaStats stats;

    return clv_media_stats(hub->media, leg->id, &stats) ? stats.rx_packets : 0;
}

/* He may have spoken while the OPTIONS was under way. A 481 is the end all the same. */
static gboolean
is_lost(ClvHub *hub, const Leg *leg, const ClvSipEvent *event)
{
    return event->lost && (event->status == 481 || n_heard(hub, leg) == leg->n_heard);
}

/* Nothing is heard of him; now it is known whether he is there at all (5.8). */
static void
sip_probed(ClvHub *hub, Leg *leg, const ClvSipEvent *event)
{
    ClvEvent lost = {.kind = CLV_EV_MEDIA_FAILED,
                     .leg = leg->id,
                     .code = CLV_CODE_INTERNAL,
                     .cause = "silence"}; /* not a removal: he may call again */

    if (!is_lost(hub, leg, event)) {
        hub_log(hub, CLV_LOG_DEBUG, leg, NULL, "media", "was silent, but is there: OPTIONS got %u",
                event->status);
        return;
    }
    hub_log(hub, CLV_LOG_NOTICE, leg, NULL, "media-lost", "dropped: silent, and OPTIONS got %u",
            event->status);
    hub_feed(hub, leg->room, &lost);
}

static void
sip_leg_event(ClvHub *hub, Leg *leg, const ClvSipEvent *event)
{
    ClvEvent confirmed = {.kind = CLV_EV_CONFIRMED, .leg = event->leg};

    switch (event->kind) {
    case CLV_SIP_INVITE:
        sip_invite(hub, event->invite);
        return;
    case CLV_SIP_REOFFER:
        sip_reoffer(hub, leg, event);
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
    case CLV_SIP_PROBED:
        sip_probed(hub, leg, event);
        return;
    case CLV_SIP_ENDED:
        sip_ended(hub, leg, event->cause);
        return;
    default:
        dial_sip_event(leg, event);
        return;
    }
}

static void
sip_event(void *user, const ClvSipEvent *event)
{
    ClvHub *hub = user;
    Leg *leg;

    if (event->kind == CLV_SIP_REFER) {
        refer_take(hub, event->refer);
        return;
    }
    if (event->kind == CLV_SIP_REFER_STATUS) {
        dial_refer_status(hub, event);
        return;
    }
    leg = hub_leg(hub, event->leg);
    if (leg != NULL)
        sip_leg_event(hub, leg, event);
}

const ClvSipHandlers hub_sip_handlers = {
    .classify = sip_classify,
    .new_leg = sip_new_leg,
    .event = sip_event,
};

/* ---- from media ---- */

/* He may be muted, or gone: ask him, but not all the time. */
static void
media_silent(ClvHub *hub, Leg *leg)
{
    gint64 now = hub_now();

    if (leg->probed_us != 0 && now - leg->probed_us < PROBE_PAUSE_US)
        return;
    leg->probed_us = now;
    leg->n_heard = n_heard(hub, leg);
    clv_sip_probe(hub->sip, leg->id);
}

static void
media_event(ClvMediaEventKind kind, ClvLegId id, guint32 value, void *user)
{
    ClvHub *hub = user;
    Leg *leg = hub_leg(hub, id);
    ClvEvent talking = {.kind = CLV_EV_TALKING, .leg = id, .flag = value != 0};
    ClvEvent dtmf = {.kind = CLV_EV_DTMF, .leg = id, .digit = (char)value};
    ClvEvent prompted = {.kind = CLV_EV_PROMPTED, .leg = id, .prompt = (ClvPrompt)value};

    if (leg == NULL)
        return;
    switch (kind) {
    case CLV_MEDIA_CLOSED:
        leg->media_open = FALSE;
        hub_leg_release(leg);
        return;
    case CLV_MEDIA_SILENT:
        media_silent(hub, leg);
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
        hub_feed(hub, leg->room, &dtmf);
        return;
    case CLV_MEDIA_PROMPTED:
        hub_feed(hub, leg->room, &prompted);
        return;
    }
}

void
hub_media_ready(void *user)
{
    ClvHub *hub = user;

    clv_media_dispatch(hub->media, media_event, hub);
}
