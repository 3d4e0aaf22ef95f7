/* SPDX-License-Identifier: Apache-2.0 */
/* conference/step.c - (state, event) to actions: the events of legs, and the door
 *
 * A leg that an event names and nobody knows has hung up meanwhile: nothing happens.
 */
#include "conference/conference-private.h"

#include <string.h>

/* ---- events: a leg on its way in ---- */

/* Why this JOIN is nonsense, whatever the policy says. */
static gboolean
is_misplaced(const ClvConference *c, const Member *member, ClvPolicyVerdict *verdict)
{
    guint limit = clv_policy_max_uri_list(c->view);

    if (c->goodbye != NULL)
        *verdict = (ClvPolicyVerdict){.code = CLV_CODE_NOT_FOUND, .reason = "ending"};
    else if (member->creates && (c->creator != NULL || c->roster.members->len > 1))
        *verdict = (ClvPolicyVerdict){.code = CLV_CODE_INTERNAL, .reason = "exists already"};
    else if (!member->creates && !member->has_media)
        *verdict = (ClvPolicyVerdict){.code = CLV_CODE_NO_COMMON_MEDIA, .reason = "no-media"};
    else if (member->list != NULL && (member->list->len > limit || limit == 0))
        *verdict = (ClvPolicyVerdict){
            .code = CLV_CODE_FORBIDDEN, .reason = "too-many", .rule = "max-uri-list"};
    else
        return FALSE;
    return TRUE;
}

/* A seat is taken over by its own user alone (RFC 3891, 5.19). */
static gboolean
takes_wrong_seat(const ClvConference *c, const Member *member, ClvPolicyVerdict *verdict)
{
    const Member *old;

    if (member->replaces == 0)
        return FALSE;
    old = clv_roster_find(&c->roster, member->replaces);
    if (old == NULL || old == member) {
        *verdict = (ClvPolicyVerdict){.code = CLV_CODE_NO_DIALOG, .reason = "no-dialog"};
        return TRUE;
    }
    if ((member->identity == NULL && member->ticket_offered) ||
        (member->identity != NULL && g_strcmp0(member->identity, old->identity) == 0))
        return FALSE;
    *verdict = (ClvPolicyVerdict){.code = CLV_CODE_FORBIDDEN, .reason = "identity-mismatch"};
    g_snprintf(verdict->rule, sizeof verdict->rule, "Replaces, which names a dialog of %s",
               clv_member_name(old));
    return TRUE;
}

/* Of several asserted identities the one that is let in counts (5.20). */
static ClvPolicyVerdict
judge_newcomer(const ClvConference *c, Member *member)
{
    ClvPolicyVerdict verdict =
        clv_judge_member(c, member, member->creates ? CLV_OP_CREATE : CLV_OP_JOIN, NULL);
    g_autofree char *identity = g_strdup(verdict.identity);

    if (identity != NULL && g_strcmp0(identity, member->identity) != 0) {
        g_free(member->identity);
        member->identity = g_strdup(identity);
        g_free(member->sip_identity);
        member->sip_identity = g_steal_pointer(&identity);
    }
    return verdict;
}

/* Referred-By proves nothing; it is shown when the roster knows whom it names. */
static void
take_referrer(const ClvConference *c, Member *member, const char *referred_by)
{
    for (guint i = 0; referred_by != NULL && i < c->roster.members->len; i++) {
        const Member *other = c->roster.members->pdata[i];

        if (other->told && g_strcmp0(other->identity, referred_by) == 0) {
            member->referred_by = g_strdup(referred_by);
            return;
        }
    }
}

/* Made; now it is as if the creator had been answered, but he comes again (5.1, variant C). */
static void
redirect(ClvConference *c, Member *member)
{
    c->redirected = TRUE;
    clv_say_on(c, CLV_ACT_REDIRECT, member->leg);
    clv_member_free(clv_roster_take(&c->roster, member));
    clv_life_look_around(c);
}

static void
found_conference(ClvConference *c, Member *member)
{
    c->creator = g_strdup(member->identity);
    c->list = g_steal_pointer(&member->list);
}

static void
on_join(ClvConference *c, const ClvEvent *event)
{
    const ClvEvJoin *join = event->join;
    ClvPolicyVerdict verdict;
    Member *member;

    if (clv_roster_find(&c->roster, event->leg) != NULL)
        return;
    member = clv_roster_add(&c->roster, event->leg, join);
    if (is_misplaced(c, member, &verdict)) {
        /* its failure must not end what others have */
        member->creates = join->creates && c->creator == NULL && c->roster.members->len == 1;
        clv_leave_turn_away(c, member, &verdict);
        return;
    }
    verdict = judge_newcomer(c, member);
    if ((!verdict.allow && !verdict.undecided) || takes_wrong_seat(c, member, &verdict)) {
        clv_leave_turn_away(c, member, &verdict);
        return;
    }
    take_referrer(c, member, join->referred_by);
    if (join->has_media || join->ticket_offered) {
        clv_say_on(c, CLV_ACT_KEYMGMT_OPEN, event->leg);
        return;
    }
    /* Creation only, by digest or assertion: nothing to key, nothing more to prove. */
    found_conference(c, member);
    clv_step_note_allowed(c, member, &verdict);
    if (clv_policy_creation_redirects(c->view)) {
        redirect(c, member);
        return;
    }
    member->state = MEMBER_ANSWERED;
    clv_say_on(c, CLV_ACT_ACCEPT, event->leg);
}

static void
take_proof(Member *member, const ClvEvKeys *keys)
{
    member->scheme = keys->scheme;
    member->suite = keys->suite;
    member->expires_us = keys->expires_us;
    member->ticket_offered = FALSE;
    if (keys->proof != CLV_PROOF_NONE && keys->identity != NULL) {
        g_free(member->identity);
        member->identity = g_strdup(keys->identity);
        member->proof = MAX(keys->proof, member->sip_proof);
    }
    if (member->creates && keys->identity != NULL) {
        member->n_by_creator = keys->n_by_creator;
        member->n_total = keys->n_total;
    }
}

void
clv_step_seat(ClvConference *c, Member *member)
{
    member->deadline_us = 0;
    member->state = member->has_media ? MEMBER_SEATED : MEMBER_ANSWERED;
    clv_say_on(c, member->has_media ? CLV_ACT_MEDIA_OPEN : CLV_ACT_ACCEPT, member->leg);
}

/* Who takes over a seat has given the PIN there. */
static gboolean
must_give_pin(const ClvConference *c, const Member *member, const ClvPolicyVerdict *verdict)
{
    const Member *old =
        member->replaces != 0 ? clv_roster_find(&c->roster, member->replaces) : NULL;

    return verdict->needs_pin && member->has_media && (old == NULL || !clv_member_is_in(old));
}

/* An owner who dials in with a ticket of his own names may set the set with it (5.2). */
static void
perhaps_replace_set(ClvConference *c, const Member *member, const ClvEvKeys *keys)
{
    if (clv_allowed_is_set_by(c, keys) &&
        clv_judge_member(c, member, CLV_OP_ALLOW_CHANGE, NULL).allow)
        clv_allowed_replace(c, member, keys);
}

static void
admit(ClvConference *c, Member *member, const ClvEvKeys *keys, const ClvPolicyVerdict *verdict)
{
    ClvLegId leg = member->leg;

    member->needs_pin = must_give_pin(c, member, verdict);
    if (member->creates) {
        found_conference(c, member);
        clv_allowed_create(c, keys);
        if (clv_policy_creation_redirects(c->view)) {
            redirect(c, member);
            return;
        }
    } else if (!verdict->waits && !member->needs_pin) { /* in front of the PIN nobody changes it */
        perhaps_replace_set(c, member, keys);
        member = clv_roster_find(&c->roster, leg); /* he may have named himself out */
        if (c->over || member == NULL)
            return;
    }
    if (verdict->waits && !member->creates)
        clv_wait_queue(c, member);
    else
        clv_step_seat(c, member);
}

/* A list is for who creates, and afterwards for creator and owners; others may use REFER (5.7). */
static gboolean
brings_list(const ClvConference *c, const Member *member, ClvPolicyVerdict *verdict)
{
    ClvPolicyVerdict may;

    if (member->list == NULL || member->creates)
        return FALSE;
    may = clv_judge_member(c, member, CLV_OP_ALLOW_CHANGE, NULL);
    if (may.allow)
        return FALSE;
    *verdict = (ClvPolicyVerdict){.code = CLV_CODE_FORBIDDEN, .reason = "uri-list"};
    g_strlcpy(verdict->rule, may.rule, sizeof verdict->rule);
    return TRUE;
}

static void
on_keys(ClvConference *c, const ClvEvent *event)
{
    const ClvEvKeys *keys = event->keys;
    Member *member = clv_roster_find(&c->roster, event->leg);
    ClvPolicyVerdict verdict;

    if (member == NULL || member->state != MEMBER_PROVING)
        return;
    if (!clv_judge_agree(member->sip_identity, (const char *const *)member->identities,
                         keys->identity)) {
        verdict = (ClvPolicyVerdict){.code = CLV_CODE_FORBIDDEN, .reason = "identity-mismatch"};
        g_snprintf(verdict.rule, sizeof verdict.rule, "the ticket, which proves %s",
                   keys->identity);
        clv_leave_turn_away(c, member, &verdict);
        return;
    }
    take_proof(member, keys);
    verdict = clv_judge_member(c, member, member->creates ? CLV_OP_CREATE : CLV_OP_JOIN,
                               keys->ticket_names);
    if (!verdict.allow || takes_wrong_seat(c, member, &verdict) ||
        brings_list(c, member, &verdict)) {
        clv_leave_turn_away(c, member, &verdict);
        return;
    }
    clv_step_note_allowed(c, member, &verdict);
    admit(c, member, keys, &verdict);
}

static void
on_keys_failed(ClvConference *c, const ClvEvent *event)
{
    Member *member = clv_roster_find(&c->roster, event->leg);
    ClvPolicyVerdict verdict = {.code = event->code, .reason = "key management failed"};

    if (member == NULL || member->state != MEMBER_PROVING)
        return;
    if (event->cause != NULL)
        g_snprintf(verdict.rule, sizeof verdict.rule, "the scheme: %s", event->cause);
    clv_leave_turn_away(c, member, &verdict);
}

/* The last thing before a call of ours is in: our ACK. */
static void
on_media_ready(ClvConference *c, const ClvEvent *event)
{
    Member *member = clv_roster_find(&c->roster, event->leg);

    if (member == NULL || member->state != MEMBER_SEATED)
        return;
    if (member->dialed != NULL) {
        clv_say_on(c, CLV_ACT_CONFIRM, event->leg);
        clv_step_connect(c, member);
        return;
    }
    member->state = MEMBER_ANSWERED;
    clv_say_on(c, CLV_ACT_ACCEPT, event->leg);
}

/* He hears it until somebody else is there. */
static void
tell_first(ClvConference *c, Member *member)
{
    if (clv_roster_n_connected(&c->roster) == 1) {
        clv_say_prompt(c, member, CLV_PROMPT_ALONE);
        return;
    }
    for (guint i = 0; i < c->roster.members->len; i++) {
        Member *other = c->roster.members->pdata[i];

        if (other->prompt == CLV_PROMPT_ALONE)
            clv_say_prompt(c, other, CLV_PROMPT_NONE);
    }
}

/* The old end of a seat goes in the very step in which the new one is there. */
static void
take_over(ClvConference *c, Member *member)
{
    Member *old = member->replaces != 0 ? clv_roster_find(&c->roster, member->replaces) : NULL;
    Removal removal;

    member->replaces = 0;
    if (old == NULL || g_strcmp0(old->identity, member->identity) != 0) {
        clv_say_plan(c);
        return;
    }
    removal = clv_removal_new(CLV_CODE_CANCELLED, REASON_REPLACED, 487);
    removal.replan = TRUE;
    clv_removal_add(&removal, old, "%s goes on at another end", clv_member_name(old));
    clv_removal_do(c, &removal);
}

void
clv_step_let_in(ClvConference *c, Member *member)
{
    ClvLegId leg = member->leg;

    clv_say_note(c, leg, member->identity, "%s joined%s", clv_member_name(member),
                 member->has_media ? "" : " without media");
    if (member->has_media)
        take_over(c, member);
    clv_say_roster(c, member, "joined");
    member->told = TRUE;
    if (member->has_media)
        tell_first(c, member);
    clv_dial_fulfil(c, member);
    clv_life_look_around(c); /* which may be the end of it, and of him */
    clv_wait_come_in(c, leg);
}

/* Between his keys and his coming in a new policy may have made a guest of him. */
static GPtrArray *
take_list(ClvConference *c, Member *member)
{
    g_autoptr(GPtrArray) list = g_steal_pointer(&member->list);
    ClvPolicyVerdict may;

    if (list == NULL)
        return NULL;
    may = clv_judge_member(c, member, CLV_OP_ALLOW_CHANGE, NULL);
    if (may.allow)
        return g_steal_pointer(&list);
    clv_say_note(c, member->leg, member->identity, "nobody on the list of %s is called: %s by %s",
                 clv_member_name(member), may.reason, may.rule);
    return NULL;
}

/* A control dialog is asked for no PIN, but who calls others has given it. */
static gboolean
has_given_pin(const ClvConference *c, const Member *member)
{
    return clv_policy_pin_hash(c->view)[0] == '\0' || clv_member_is_in(member);
}

/* That of the creation when the creator is in, and the one that he brings himself. */
static void
start_lists(ClvConference *c, ClvLegId leg)
{
    Member *member = clv_roster_find(&c->roster, leg); /* he may be gone by now */
    GPtrArray *own;

    if (c->over || member == NULL || !has_given_pin(c, member))
        return;
    own = take_list(c, member);
    if (c->confirmed && clv_judge_is_creator(c, member->identity))
        clv_dial_start_list(c, g_steal_pointer(&c->list));
    clv_dial_start_list(c, own);
}

void
clv_step_connect(ClvConference *c, Member *member)
{
    gboolean creator = clv_judge_is_creator(c, member->identity);
    gboolean asked = member->needs_pin;
    ClvLegId leg = member->leg;

    member->state = MEMBER_CONNECTED;
    member->joined_us = c->wall_us;
    c->creator_came |= creator;
    /* Not by another dialog of his: the creation may still be cancelled. */
    c->confirmed |= creator && (member->creates || c->redirected);
    if (asked)
        clv_wait_ask_pin(c, member);
    else
        clv_step_let_in(c, member);
    if (!asked)
        start_lists(c, leg);
}

/* In front of the PIN nobody has others called. */
void
clv_step_pin_given(ClvConference *c, Member *member)
{
    ClvLegId leg = member->leg;

    clv_step_let_in(c, member);
    start_lists(c, leg);
}

static void
on_confirmed(ClvConference *c, const ClvEvent *event)
{
    Member *member = clv_roster_find(&c->roster, event->leg);

    if (member != NULL && member->state == MEMBER_ANSWERED)
        clv_step_connect(c, member);
}

/* ---- events: a leg that is in ---- */

static void
on_direction(ClvConference *c, const ClvEvent *event)
{
    Member *member = clv_roster_find(&c->roster, event->leg);
    gboolean was_held;

    if (member == NULL || member->direction == event->direction)
        return;
    was_held = clv_member_is_held(member);
    member->direction = event->direction;
    if (!clv_member_is_in(member))
        return;
    clv_say_plan(c);
    if (was_held == clv_member_is_held(member))
        clv_say_roster(c, member, "direction");
    else
        clv_say_roster(c, member, was_held ? "resumed" : "held");
}

/* Creation only, and now its creator joins in the same dialog (variant B of 5.1). */
static void
on_media_added(ClvConference *c, const ClvEvent *event)
{
    Member *member = clv_roster_find(&c->roster, event->leg);

    if (member == NULL || member->state != MEMBER_CONNECTED || member->has_media)
        return;
    member->has_media = TRUE;
    member->direction = event->direction;
    member->scheme = event->keys->scheme;
    member->suite = event->keys->suite;
    clv_say_note(c, event->leg, member->identity, "%s has media now", clv_member_name(member));
    if (clv_policy_pin_hash(c->view)[0] != '\0') { /* he is to be heard: not before the PIN */
        clv_say_roster(c, member, "left");
        member->told = FALSE;
        member->needs_pin = TRUE;
        clv_wait_ask_pin(c, member);
        return;
    }
    clv_say_plan(c);
    clv_say_roster(c, member, clv_member_is_held(member) ? "held" : "resumed");
    tell_first(c, member);
    clv_life_look_around(c);
    clv_wait_come_in(c, event->leg);
}

static void
on_talking(ClvConference *c, const ClvEvent *event)
{
    Member *member = clv_roster_find(&c->roster, event->leg);
    gboolean talking = event->flag != FALSE;

    if (member == NULL || !clv_member_is_in(member) || member->talking == talking)
        return;
    member->talking = talking;
    clv_say_roster(c, member, talking ? "talking" : "silent");
}

/* ---- the door ---- */

ClvConference *
clv_conference_new(ClvConferenceId id, const char *uri, ClvPolicyView *view, gint64 now_us,
                   GArray *out)
{
    ClvConference *c = g_new0(ClvConference, 1);

    c->id = id;
    c->uri = g_strdup(uri);
    c->view = view;
    c->scheduled = clv_policy_scheduled(view);
    c->life_us = c->scheduled ? 0 : now_us;
    c->now_us = now_us;
    c->locked = clv_policy_locked(view);
    clv_roster_init(&c->roster);
    c->tries = clv_pin_tries_new();
    c->dials = g_ptr_array_new_with_free_func(clv_dial_free);
    c->refers = g_ptr_array_new_with_free_func(clv_refer_free);
    c->out = out;
    clv_life_begin(c);
    c->out = NULL;
    return c;
}

void
clv_conference_free(ClvConference *c)
{
    if (c == NULL)
        return;
    clv_roster_clear(&c->roster);
    clv_pin_tries_unref(c->tries);
    g_ptr_array_unref(c->dials);
    g_ptr_array_unref(c->refers);
    g_clear_pointer(&c->list, g_ptr_array_unref);
    clv_policy_view_free(c->view);
    g_strfreev(c->ticket_names);
    g_free(c->creation_ticket);
    g_free(c->goodbye);
    g_free(c->creator);
    g_free(c->uri);
    g_free(c);
}

typedef void (*Handler)(ClvConference *c, const ClvEvent *event);

static const Handler handlers[] = {
    [CLV_EV_JOIN] = on_join,
    [CLV_EV_KEYS] = on_keys,
    [CLV_EV_KEYS_FAILED] = on_keys_failed,
    [CLV_EV_MEDIA_READY] = on_media_ready,
    [CLV_EV_MEDIA_FAILED] = clv_on_media_failed,
    [CLV_EV_CONFIRMED] = on_confirmed,
    [CLV_EV_DIRECTION] = on_direction,
    [CLV_EV_MEDIA_ADDED] = on_media_added,
    [CLV_EV_GONE] = clv_on_gone,
    [CLV_EV_TALKING] = on_talking,
    [CLV_EV_KICK] = clv_on_kick,
    [CLV_EV_END] = clv_on_end,
    [CLV_EV_REOFFER_KEYS] = clv_on_reoffer_keys,
    [CLV_EV_REFER] = clv_on_refer,
    [CLV_EV_REFER_KEYS] = clv_on_refer_keys,
    [CLV_EV_REFER_FAILED] = clv_on_refer_failed,
    [CLV_EV_DIAL_RINGING] = clv_on_dial_ringing,
    [CLV_EV_DIAL_ANSWERED] = clv_on_dial_answered,
    [CLV_EV_DIAL_FAILED] = clv_on_dial_failed,
    [CLV_EV_IDENTITY] = clv_on_identity,
    [CLV_EV_DTMF] = clv_on_dtmf,
    [CLV_EV_PIN] = clv_on_pin,
    [CLV_EV_PROMPTED] = clv_on_prompted,
    [CLV_EV_LOCK] = clv_on_lock,
    [CLV_EV_ADMIT] = clv_on_admit,
    [CLV_EV_POLICY] = clv_on_policy,
    [CLV_EV_TIMER] = clv_on_timer,
};

/* Too late: an INVITE and a REFER still get their answer, everything else was answered by the end.
 */
static void
step_after_end(ClvConference *c, const ClvEvent *event)
{
    if (event->kind == CLV_EV_JOIN)
        clv_say(c,
                (ClvAction){.kind = CLV_ACT_REFUSE, .leg = event->leg, .code = CLV_CODE_NOT_FOUND});
    if (event->kind == CLV_EV_REFER)
        clv_say(c, (ClvAction){.kind = CLV_ACT_REFER_REFUSE,
                               .refer = event->refer->refer,
                               .code = CLV_CODE_NOT_FOUND});
    if (event->kind == CLV_EV_POLICY && event->view != NULL)
        clv_policy_view_free(event->view);
}

void
clv_conference_step(ClvConference *c, const ClvEvent *event, GArray *out)
{
    g_return_if_fail((guint)event->kind < G_N_ELEMENTS(handlers));

    c->now_us = event->now_us;
    c->wall_us = event->wall_us;
    c->out = out;
    if (!c->over && !c->dated && event->wall_us != 0) {
        c->dated = TRUE;
        if (clv_policy_not_after_us(c->view) != 0 || c->expires_us != 0)
            clv_life_arm_end(c);
    }
    if (c->over)
        step_after_end(c, event);
    else
        handlers[event->kind](c, event);
    if (!c->over)
        clv_life_arm_waiting(c);
    c->out = NULL;
}
