/* SPDX-License-Identifier: Apache-2.0 */
/* conference/leave.c - how does somebody get out again, and the whole conference to its end?
 *
 * Whatever happens at once happens in this order: legs are cut, lines are logged, dialogs are
 * ended, the plan follows, the roster tells.
 */
#include "conference/conference-private.h"

#include <string.h>

Removal
clv_removal_new(ClvCode code, const char *reason, guint status)
{
    return (Removal){
        .members = g_ptr_array_new(),
        .notes = g_ptr_array_new_with_free_func(g_free),
        .code = code,
        .reason = reason,
        .status = status,
    };
}

void
clv_removal_add(Removal *removal, Member *member, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    g_ptr_array_add(removal->members, member);
    g_ptr_array_add(removal->notes, g_strdup_vprintf(format, args));
    va_end(args);
}

static void
cut(ClvConference *c, const Member *member)
{
    if (member->state >= MEMBER_SEATED && member->has_media)
        clv_say_on(c, CLV_ACT_CUT, member->leg);
}

/* Who was called by us has a dialog already, with or without our ACK. */
static gboolean
has_dialog(const Member *member)
{
    return member->state >= MEMBER_ANSWERED || member->dialed != NULL;
}

static void
end_dialog(ClvConference *c, const Member *member, const Removal *removal)
{
    if (member->state == MEMBER_PROVING && !removal->keys_over)
        clv_say_on(c, CLV_ACT_KEYMGMT_CLOSE, member->leg);
    if (removal->dialog_over)
        return;
    if (has_dialog(member))
        clv_say(c, (ClvAction){
                       .kind = CLV_ACT_BYE, .leg = member->leg, .text = g_strdup(removal->reason)});
    else
        clv_say(c, (ClvAction){.kind = CLV_ACT_REFUSE,
                               .leg = member->leg,
                               .code = removal->code,
                               .retry_after_s = removal->retry_after_s});
}

static void
fail_dial(ClvConference *c, const Member *member, guint status)
{
    Dial *dial = member->dial != 0 ? clv_dial_find(c, member->dial) : NULL;

    if (dial != NULL)
        clv_dial_over(c, dial, status);
}

gboolean
clv_removal_do(ClvConference *c, Removal *removal)
{
    gboolean creation = FALSE, replan = removal->replan;

    for (guint i = 0; i < removal->members->len; i++)
        cut(c, removal->members->pdata[i]);
    for (guint i = 0; i < removal->members->len; i++) {
        const Member *member = removal->members->pdata[i];

        clv_say_note(c, member->leg, member->identity, "%s",
                     (const char *)removal->notes->pdata[i]);
    }
    if (removal->refer != 0)
        clv_refer_notify(c, removal->refer, 200);
    for (guint i = 0; i < removal->members->len; i++) {
        Member *member = removal->members->pdata[i];

        end_dialog(c, member, removal);
        creation |= member->creates && member->state < MEMBER_CONNECTED;
        replan |= clv_member_is_in(member);
        clv_roster_take(&c->roster, member);
    }
    if (replan && !removal->ending)
        clv_say_plan(c);
    for (guint i = 0; i < removal->members->len; i++) {
        Member *member = removal->members->pdata[i];

        if (member->told)
            clv_say_roster(c, member, "left");
        fail_dial(c, member, removal->status);
        clv_member_free(member);
    }
    g_ptr_array_unref(removal->members);
    g_ptr_array_unref(removal->notes);
    return creation;
}

/* Without its creation a conference is nothing, unless somebody else is on the way in already. */
static void
conclude(ClvConference *c, gboolean creation)
{
    if (creation && (c->creator == NULL || c->roster.members->len == 0)) {
        clv_leave_end(c, "its creation failed");
        return;
    }
    clv_dial_pump(c);
    clv_life_look_around(c);
}

void
clv_removal_finish(ClvConference *c, Removal *removal)
{
    gboolean creation = clv_removal_do(c, removal);

    conclude(c, creation);
}

void
clv_leave_end(ClvConference *c, const char *why)
{
    Removal removal = clv_removal_new(CLV_CODE_NOT_FOUND, REASON_ENDED, 487);

    if (c->over)
        return;
    c->over = TRUE;
    for (guint i = 0; i < CLV_N_TIMERS; i++)
        clv_life_disarm(c, (ClvTimerKind)i);
    removal.ending = TRUE;
    for (guint i = 0; i < c->roster.members->len; i++) {
        Member *member = c->roster.members->pdata[i];

        clv_removal_add(&removal, member, "%s leaves: the conference ends",
                        clv_member_name(member));
    }
    clv_removal_do(c, &removal);
    clv_dial_cancel_all(c, NULL, REASON_ENDED, 487);
    clv_refer_end_all(c, 487);
    clv_say_note(c, 0, c->creator, "conference ended: %s", why);
    clv_say_on(c, CLV_ACT_ENDED, 0);
}

static const char *
request_name(const Member *member)
{
    return member->creates ? "creation" : "join";
}

static const char *
peer_of(const Member *member)
{
    return member->peer != NULL ? member->peer : "-";
}

/* Final answer to an INVITE that has none yet. To be asked for a password is not to be refused. */
void
clv_leave_turn_away(ClvConference *c, Member *member, const ClvPolicyVerdict *verdict)
{
    Removal removal = clv_removal_new(verdict->code, NULL, 403);
    gboolean challenged = verdict->code == CLV_CODE_UNAUTHENTICATED;

    removal.retry_after_s = verdict->retry_after_s;
    removal.keys_over = TRUE;
    clv_removal_add(&removal, member, "%s %s: %s (%s), %s%s%s", request_name(member),
                    challenged ? "challenged" : "refused", clv_member_name(member), peer_of(member),
                    verdict->reason, verdict->rule[0] != '\0' ? " by " : "", verdict->rule);
    clv_removal_finish(c, &removal);
}

void
clv_step_note_allowed(ClvConference *c, const Member *member, const ClvPolicyVerdict *verdict)
{
    clv_say_note(c, member->leg, member->identity, "%s allowed: %s (%s), %s by %s",
                 request_name(member), clv_member_name(member), peer_of(member), verdict->reason,
                 verdict->rule);
}

/* ---- events ---- */

void
clv_on_media_failed(ClvConference *c, const ClvEvent *event)
{
    Member *member = clv_roster_find(&c->roster, event->leg);
    const char *reason = event->code == CLV_CODE_UNSECURED ? REASON_UNSECURED : REASON_MEDIA;
    Removal removal;

    if (member == NULL || member->state < MEMBER_SEATED || !member->has_media)
        return;
    removal = clv_removal_new(event->code, reason, clv_dial_status_of(event->code));
    clv_removal_add(&removal, member, "%s leaves: media failed%s%s", clv_member_name(member),
                    event->cause != NULL ? ", " : "", event->cause != NULL ? event->cause : "");
    clv_removal_finish(c, &removal);
}

void
clv_on_gone(ClvConference *c, const ClvEvent *event)
{
    Member *member = clv_roster_find(&c->roster, event->leg);
    Removal removal;

    if (member == NULL)
        return;
    removal = clv_removal_new(CLV_CODE_OK, NULL, 480);
    removal.dialog_over = TRUE;
    clv_removal_add(&removal, member, "%s left: %s", clv_member_name(member),
                    event->cause != NULL ? event->cause : "gone");
    clv_removal_finish(c, &removal);
}

/* ---- removal (5.8) ---- */

/* Does this leg belong to @who, as far as is proven or said? */
static gboolean
is_user(const Member *member, const char *who)
{
    return g_strcmp0(member->identity, who) == 0;
}

/* Who removes himself may come back. Returns what to say of it. */
static const char *
ban(ClvConference *c, const char *who, gboolean by_himself)
{
    if (by_himself || !clv_policy_ban_on_removal(c->view))
        return "";
    g_hash_table_add(c->roster.banned, g_strdup(who));
    return ", and refused from now on (ban-on-removal)";
}

void
clv_leave_kick_user(ClvConference *c, const char *who, gboolean by_himself, ClvReferId refer)
{
    Removal removal = clv_removal_new(CLV_CODE_FORBIDDEN, REASON_REMOVED, 487);
    const char *banned = ban(c, who, by_himself);
    gboolean creation;

    removal.refer = refer;
    for (guint i = 0; i < c->roster.members->len; i++) {
        Member *member = c->roster.members->pdata[i];

        if (is_user(member, who))
            clv_removal_add(&removal, member, "%s removed by order%s", who, banned);
    }
    if (removal.members->len == 0 && clv_dial_find_target(c, who) == NULL)
        clv_say_note(c, 0, who, "%s is not here to be removed%s", who, banned);
    creation = clv_removal_do(c, &removal);
    clv_dial_cancel_all(c, who, REASON_REMOVED, 487);
    conclude(c, creation);
}

/* One endpoint; the user is removed, and so refused from now on, when it was the last. */
void
clv_leave_kick_leg(ClvConference *c, Member *member, gboolean by_himself, ClvReferId refer)
{
    Removal removal = clv_removal_new(CLV_CODE_FORBIDDEN, REASON_REMOVED, 487);
    gboolean last = member->identity != NULL &&
                    clv_roster_n_endpoints(&c->roster, member->identity, member) == 0;

    removal.refer = refer;
    clv_removal_add(&removal, member, "%s removed by order%s", clv_member_name(member),
                    last ? ban(c, member->identity, by_himself) : "");
    clv_removal_finish(c, &removal);
}

void
clv_on_kick(ClvConference *c, const ClvEvent *event)
{
    Member *member = clv_roster_find(&c->roster, event->leg);

    if (event->who != NULL)
        clv_leave_kick_user(c, event->who, FALSE, 0);
    else if (member != NULL)
        clv_leave_kick_leg(c, member, FALSE, 0);
}

void
clv_on_end(ClvConference *c, const ClvEvent *event)
{
    clv_leave_end(c, event->cause != NULL ? event->cause : "by order");
}
