/* SPDX-License-Identifier: Apache-2.0 */
/* conference/life.c - how long does a conference last, and what does a new policy do to it? */
#include "conference/conference-private.h"

#include <string.h>

#define WARNING_US (60 * G_USEC_PER_SEC)

/* ---- timers ---- */

static void
arm(ClvConference *c, ClvTimerKind timer, gint64 deadline_us)
{
    gint64 delay_us = MAX(deadline_us - c->now_us, 0);

    if (c->deadline_us[timer] == deadline_us)
        return;
    c->deadline_us[timer] = deadline_us;
    clv_say(
        c, (ClvAction){.kind = CLV_ACT_TIMER, .timer = timer, .delay_ms = (delay_us + 999) / 1000});
}

void
clv_life_disarm(ClvConference *c, ClvTimerKind timer)
{
    if (c->deadline_us[timer] == 0)
        return;
    c->deadline_us[timer] = 0;
    clv_say(c, (ClvAction){.kind = CLV_ACT_TIMER, .timer = timer, .delay_ms = -1});
}

/* Starts to measure now; what is measured already goes on. */
void
clv_life_start(ClvConference *c, ClvTimerKind timer, gint64 delay_ms)
{
    if (c->deadline_us[timer] != 0)
        return;
    c->since_us[timer] = c->now_us;
    arm(c, timer, c->now_us + delay_ms * 1000);
}

static gint64
duration_deadline_us(const ClvConference *c)
{
    gint64 longest_ms = clv_policy_max_duration_ms(c->view);
    gint64 not_after_us = clv_policy_not_after_us(c->view);
    gint64 deadline_us = G_MAXINT64;

    if (longest_ms != 0 && c->life_us != 0)
        deadline_us = c->life_us + longest_ms * 1000;
    if (not_after_us != 0 && c->wall_us != 0)
        deadline_us = MIN(deadline_us, c->now_us + not_after_us - c->wall_us);
    return deadline_us == G_MAXINT64 ? deadline_us : MAX(deadline_us, 1);
}

/* Wall clock and monotonic clock part by a little at each look: what is armed stays. */
static gint64
expiry_deadline_us(const ClvConference *c)
{
    if (c->expires_us == 0 || c->wall_us == 0 || !clv_policy_end_on_expiry(c->view))
        return G_MAXINT64;
    return MAX(c->now_us + c->expires_us - c->wall_us, 1);
}

/* First the warning, a minute before the nearest end; then the ticket's end itself. */
static void
arm_expiry(ClvConference *c, gint64 duration_us)
{
    gint64 expiry_us = expiry_deadline_us(c);
    gint64 end_us = MIN(duration_us, expiry_us);

    if (end_us != G_MAXINT64 && end_us - WARNING_US > c->now_us && c->warned_us == 0)
        arm(c, CLV_TIMER_EXPIRY, end_us - WARNING_US);
    else if (expiry_us != G_MAXINT64)
        arm(c, CLV_TIMER_EXPIRY, expiry_us);
    else
        clv_life_disarm(c, CLV_TIMER_EXPIRY);
}

void
clv_life_arm_end(ClvConference *c)
{
    gint64 deadline_us = duration_deadline_us(c);

    if (c->goodbye != NULL)
        return;
    if (c->warned_us != 0 && MIN(deadline_us, expiry_deadline_us(c)) > c->warned_us + WARNING_US)
        c->warned_us = 0; /* it has been put off */
    if (deadline_us == G_MAXINT64)
        clv_life_disarm(c, CLV_TIMER_DURATION);
    else
        arm(c, CLV_TIMER_DURATION, deadline_us);
    arm_expiry(c, deadline_us);
}

static gint64
nearest(gint64 a, gint64 b)
{
    return a == 0 || (b != 0 && b < a) ? b : a;
}

void
clv_life_arm_waiting(ClvConference *c)
{
    gint64 deadline_us = 0;

    for (guint i = 0; i < c->roster.members->len; i++) {
        const Member *member = c->roster.members->pdata[i];

        deadline_us = nearest(deadline_us, member->deadline_us);
    }
    for (guint i = 0; i < c->dials->len; i++) {
        const Dial *dial = c->dials->pdata[i];

        deadline_us = nearest(deadline_us, dial->deadline_us);
    }
    deadline_us = nearest(deadline_us, c->goodbye_us);
    if (deadline_us == 0)
        clv_life_disarm(c, CLV_TIMER_WAITING);
    else
        arm(c, CLV_TIMER_WAITING, deadline_us);
}

/* ---- who is there ---- */

/* Any dialog of the creator, the control dialog included. */
static gboolean
creator_has_dialog(const ClvConference *c)
{
    for (guint i = 0; i < c->roster.members->len; i++) {
        const Member *member = c->roster.members->pdata[i];

        if (member->state == MEMBER_CONNECTED && clv_judge_is_creator(c, member->identity))
            return TRUE;
    }
    return FALSE;
}

static gboolean
is_being_told(const ClvConference *c)
{
    for (guint i = 0; i < c->roster.members->len; i++) {
        const Member *member = c->roster.members->pdata[i];

        if (clv_member_is_in(member) && member->prompt == CLV_PROMPT_ENDED)
            return TRUE;
    }
    return FALSE;
}

/* A timer that waits for nothing but legs on their way in, and those who are being called. */
static gboolean
is_overdue(const ClvConference *c, ClvTimerKind timer)
{
    return c->deadline_us[timer] != 0 && c->now_us >= c->deadline_us[timer] &&
           clv_roster_n_pending(&c->roster) == 0 && c->dials->len == 0;
}

/* A scheduled conference goes on; who comes next begins a meeting of his own. */
static void
meeting_over(ClvConference *c)
{
    g_hash_table_remove_all(c->roster.banned);
    c->joined_once = FALSE;
    c->life_us = 0;
    clv_life_disarm(c, CLV_TIMER_EMPTY);
    clv_life_arm_end(c);
}

static void
everybody_left(ClvConference *c)
{
    if (c->scheduled)
        meeting_over(c);
    else
        clv_leave_end(c, "everybody has left");
}

void
clv_life_look_around(ClvConference *c)
{
    gboolean alone = clv_roster_n_connected(&c->roster) == 0;

    if (c->over)
        return;
    if (c->goodbye != NULL) {
        if (!is_being_told(c))
            c->goodbye_us = c->now_us; /* a step of its own */
        return;
    }
    if (!alone && c->life_us == 0) {
        c->life_us = c->now_us;
        clv_life_arm_end(c);
    }
    if (!alone)
        c->joined_once = TRUE;
    if (c->joined_once)
        clv_life_disarm(c, CLV_TIMER_FIRST_JOIN);
    if (c->joined_once && alone)
        clv_life_start(c, CLV_TIMER_EMPTY, clv_policy_empty_timeout_ms(c->view));
    else
        clv_life_disarm(c, CLV_TIMER_EMPTY);
    if (c->creator_came && !creator_has_dialog(c) && clv_policy_end_when_creator_leaves(c->view))
        clv_life_start(c, CLV_TIMER_CREATOR, clv_policy_creator_grace_ms(c->view));
    else
        clv_life_disarm(c, CLV_TIMER_CREATOR);
    if (is_overdue(c, CLV_TIMER_FIRST_JOIN))
        clv_leave_end(c, "nobody joined in time");
    else if (is_overdue(c, CLV_TIMER_EMPTY))
        everybody_left(c);
}

void
clv_life_begin(ClvConference *c)
{
    if (!c->scheduled)
        clv_life_start(c, CLV_TIMER_FIRST_JOIN, clv_policy_first_join_timeout_ms(c->view));
    clv_life_arm_end(c);
}

/* ---- a new policy ---- */

/* What a running timer measures began before; only its length is new. */
static void
measure_anew(ClvConference *c, ClvTimerKind timer, gint64 length_ms)
{
    if (c->deadline_us[timer] != 0)
        arm(c, timer, c->since_us[timer] + length_ms * 1000);
}

/* The file knows this conference no more: it goes when it is empty, or has lasted long enough. */
static void
lose_schedule(ClvConference *c)
{
    if (!c->scheduled)
        return;
    c->scheduled = FALSE;
    c->joined_once = TRUE;
    if (c->life_us == 0)
        c->life_us = c->now_us;
    clv_say_note(c, 0, NULL, "no longer scheduled: ends when it is empty");
    clv_life_arm_end(c);
    clv_life_look_around(c);
}

/* It is in the file again before it could end. */
static void
regain_schedule(ClvConference *c)
{
    if (c->scheduled || !clv_policy_scheduled(c->view))
        return;
    c->scheduled = TRUE;
    clv_say_note(c, 0, NULL, "scheduled again: stays when it is empty");
    if (clv_roster_n_connected(&c->roster) == 0)
        meeting_over(c);
}

void
clv_on_policy(ClvConference *c, const ClvEvent *event)
{
    gboolean was_locked = clv_policy_locked(c->view);

    if (event->view == NULL) {
        lose_schedule(c);
        return;
    }
    clv_policy_view_free(c->view);
    c->view = event->view;
    regain_schedule(c);
    if (clv_policy_locked(c->view) != was_locked)
        c->locked = clv_policy_locked(c->view);
    clv_allowed_judge_all(c);
    if (c->over)
        return;
    measure_anew(c, CLV_TIMER_FIRST_JOIN, clv_policy_first_join_timeout_ms(c->view));
    measure_anew(c, CLV_TIMER_EMPTY, clv_policy_empty_timeout_ms(c->view));
    measure_anew(c, CLV_TIMER_CREATOR, clv_policy_creator_grace_ms(c->view));
    clv_life_arm_end(c);
    clv_wait_look_around(c);
    clv_dial_pump(c);
    clv_life_look_around(c);
}

/* ---- the time is up ---- */

/* The longest that the last words may take, also when nobody tells that they are over. */
#define GOODBYE_US (5 * G_USEC_PER_SEC)

void
clv_life_perhaps_end(ClvConference *c)
{
    if (c->over || c->goodbye == NULL || (is_being_told(c) && c->now_us < c->goodbye_us))
        return;
    clv_leave_end(c, c->goodbye);
}

/* Those on their way in turn round; calls of ours, and REFERs, are given up. */
static void
turn_everybody_away(ClvConference *c)
{
    Removal removal = clv_removal_new(CLV_CODE_NOT_FOUND, REASON_ENDED, 487);

    for (guint i = 0; i < c->roster.members->len; i++) {
        Member *member = c->roster.members->pdata[i];

        if (member->state != MEMBER_CONNECTED || member->needs_pin)
            clv_removal_add(&removal, member, "%s leaves: the conference ends",
                            clv_member_name(member));
    }
    clv_removal_do(c, &removal);
    clv_dial_cancel_all(c, NULL, REASON_ENDED, 487);
    clv_refer_end_all(c, 487);
}

void
clv_life_say_goodbye(ClvConference *c, const char *why)
{
    if (c->over || c->goodbye != NULL)
        return;
    if (clv_roster_n_connected(&c->roster) == 0) {
        clv_leave_end(c, why);
        return;
    }
    c->goodbye = g_strdup(why);
    c->goodbye_us = c->now_us + GOODBYE_US;
    for (guint i = 0; i < CLV_N_TIMERS; i++)
        clv_life_disarm(c, (ClvTimerKind)i);
    turn_everybody_away(c);
    clv_say_prompt_to_all(c, CLV_PROMPT_ENDED);
}

/* Everybody out of a scheduled conference. */
static void
end_meeting(ClvConference *c)
{
    Removal removal = clv_removal_new(CLV_CODE_UNAVAILABLE, REASON_ENDED, 487);

    for (guint i = 0; i < c->roster.members->len; i++) {
        Member *member = c->roster.members->pdata[i];

        clv_removal_add(&removal, member, "%s leaves: the meeting has lasted long enough",
                        clv_member_name(member));
    }
    meeting_over(c);
    clv_removal_do(c, &removal);
    clv_dial_cancel_all(c, NULL, REASON_ENDED, 487);
    clv_life_look_around(c);
}

/* Wall clock and monotonic clock may part by a little. */
static gboolean
is_past_schedule(const ClvConference *c)
{
    gint64 not_after_us = clv_policy_not_after_us(c->view);

    return !c->scheduled || (not_after_us != 0 && c->wall_us + G_USEC_PER_SEC >= not_after_us);
}

static void
on_duration(ClvConference *c)
{
    if (is_past_schedule(c))
        clv_life_say_goodbye(c, "its time is over");
    else
        end_meeting(c);
}

static void
on_creator(ClvConference *c)
{
    clv_life_say_goodbye(c, "its creator has left");
}

static void
on_expiry(ClvConference *c)
{
    c->deadline_us[CLV_TIMER_EXPIRY] = 0;
    if (expiry_deadline_us(c) <= c->now_us + G_USEC_PER_SEC) {
        clv_life_say_goodbye(c, "the ticket that created it has expired");
        return;
    }
    c->warned_us = c->now_us + WARNING_US;
    clv_say_prompt_to_all(c, CLV_PROMPT_ENDING);
    clv_life_arm_end(c);
}

static void
on_waiting(ClvConference *c)
{
    c->deadline_us[CLV_TIMER_WAITING] = 0;
    clv_life_perhaps_end(c);
    if (!c->over)
        clv_dial_expire(c);
    if (!c->over)
        clv_wait_expire(c);
}

void
clv_on_timer(ClvConference *c, const ClvEvent *event)
{
    static void (*const handlers[CLV_N_TIMERS])(ClvConference * c) = {
        [CLV_TIMER_FIRST_JOIN] = clv_life_look_around,
        [CLV_TIMER_EMPTY] = clv_life_look_around,
        [CLV_TIMER_DURATION] = on_duration,
        [CLV_TIMER_CREATOR] = on_creator,
        [CLV_TIMER_WAITING] = on_waiting,
        [CLV_TIMER_EXPIRY] = on_expiry,
    };
    ClvTimerKind timer = event->timer;

    if ((guint)timer >= CLV_N_TIMERS || c->deadline_us[timer] == 0 ||
        c->now_us < c->deadline_us[timer])
        return; /* cancelled or put off meanwhile */
    handlers[timer](c);
}
