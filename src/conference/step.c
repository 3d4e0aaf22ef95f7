/* SPDX-License-Identifier: Apache-2.0 */
/* conference/step.c - (state, event) to actions; one function per event
 *
 * Whatever happens at once happens in this order: legs are cut, lines are logged, dialogs are
 * ended, the plan follows, the roster tells. A leg that an event names and nobody knows has hung
 * up meanwhile: nothing happens.
 */
#include "conference/conference-private.h"

#include <string.h>

#define REASON_ENDED "SIP;cause=200;text=\"conference ended\""
#define REASON_DISALLOWED "SIP;cause=403;text=\"no longer allowed\""
#define REASON_REMOVED "SIP;cause=403;text=\"removed from the conference\""
#define REASON_MEDIA "SIP;cause=500;text=\"media failed\""

struct ClvConference {
    ClvConferenceId id;
    char *uri;
    ClvPolicyView *view;
    Roster roster;
    gint64 life_us;         /* monotonic: since when max-duration counts; 0: it does not */
    gboolean scheduled;     /* exists by the file: stays when it is empty, until not-after */
    gint64 now_us, wall_us; /* of the event in hand */
    char *creator;          /* (nullable) */
    char **ticket_names;    /* (nullable) T of the allowed set */
    char *creation_ticket;  /* (nullable) */
    gboolean locked;
    gboolean joined_once;  /* somebody has been connected with media */
    gboolean creator_came; /* the creator has had a dialog */
    gboolean dated;        /* not-after has been counted in */
    gboolean over;
    gint64 deadline_us[CLV_N_TIMERS]; /* monotonic; 0: not armed */
    gint64 since_us[CLV_N_TIMERS];    /* when what the timer measures began */
    GArray *out;                      /* of the step in hand */
};

/* ---- actions ---- */

static void
action_clear(gpointer data)
{
    ClvAction *action = data;

    g_free(action->plan);
    g_free(action->text);
    g_free(action->identity);
}

GArray *
clv_actions_new(void)
{
    GArray *actions = g_array_new(FALSE, TRUE, sizeof(ClvAction));

    g_array_set_clear_func(actions, action_clear);
    return actions;
}

static void
act(ClvConference *c, ClvAction action)
{
    g_array_append_val(c->out, action);
}

static void
act_on(ClvConference *c, ClvActionKind kind, ClvLegId leg)
{
    act(c, (ClvAction){.kind = kind, .leg = leg});
}

static void
tell(ClvConference *c, const Member *member, const char *what)
{
    act(c, (ClvAction){.kind = CLV_ACT_ROSTER,
                       .leg = member->leg,
                       .text = g_strdup(what),
                       .identity = g_strdup(member->identity)});
}

static void G_GNUC_PRINTF(4, 5)
    note(ClvConference *c, ClvLegId leg, const char *identity, const char *format, ...)
{
    va_list args;
    char *text;

    va_start(args, format);
    text = g_strdup_vprintf(format, args);
    va_end(args);
    act(c,
        (ClvAction){.kind = CLV_ACT_LOG, .leg = leg, .text = text, .identity = g_strdup(identity)});
}

static void
publish(ClvConference *c)
{
    act(c, (ClvAction){.kind = CLV_ACT_PLAN, .plan = clv_plan_new(c->id, &c->roster)});
}

static const char *
name_of(const Member *member)
{
    return member->identity != NULL ? member->identity : "somebody unproven";
}

/* ---- timers ---- */

static void
arm(ClvConference *c, ClvTimerKind timer, gint64 deadline_us)
{
    gint64 delay_us = MAX(deadline_us - c->now_us, 0);

    if (c->deadline_us[timer] == deadline_us)
        return;
    c->deadline_us[timer] = deadline_us;
    act(c, (ClvAction){.kind = CLV_ACT_TIMER, .timer = timer, .delay_ms = (delay_us + 999) / 1000});
}

static void
disarm(ClvConference *c, ClvTimerKind timer)
{
    if (c->deadline_us[timer] == 0)
        return;
    c->deadline_us[timer] = 0;
    act(c, (ClvAction){.kind = CLV_ACT_TIMER, .timer = timer, .delay_ms = -1});
}

/* Starts to measure now; what is measured already goes on. */
static void
start(ClvConference *c, ClvTimerKind timer, gint64 delay_ms)
{
    if (c->deadline_us[timer] != 0)
        return;
    c->since_us[timer] = c->now_us;
    arm(c, timer, c->now_us + delay_ms * 1000);
}

/* The end of the longest life: by duration, or by not-after on the wall clock. */
static void
arm_duration(ClvConference *c)
{
    gint64 longest_ms = clv_policy_max_duration_ms(c->view);
    gint64 not_after_us = clv_policy_not_after_us(c->view);
    gint64 deadline_us = G_MAXINT64;

    if (longest_ms != 0 && c->life_us != 0)
        deadline_us = c->life_us + longest_ms * 1000;
    if (not_after_us != 0 && c->wall_us != 0)
        deadline_us = MIN(deadline_us, c->now_us + not_after_us - c->wall_us);
    if (deadline_us == G_MAXINT64)
        disarm(c, CLV_TIMER_DURATION);
    else
        arm(c, CLV_TIMER_DURATION, MAX(deadline_us, 1));
}

/* ---- presence ---- */

static gboolean
is_creator(const ClvConference *c, const Member *member)
{
    return c->creator != NULL && g_strcmp0(member->identity, c->creator) == 0;
}

/* Any dialog of the creator, the control dialog included. */
static gboolean
creator_has_dialog(const ClvConference *c)
{
    for (guint i = 0; i < c->roster.members->len; i++) {
        const Member *member = c->roster.members->pdata[i];

        if (member->state == MEMBER_CONNECTED && is_creator(c, member))
            return TRUE;
    }
    return FALSE;
}

/* Somebody who can answer for the conference is in it: its creator or an owner. */
static gboolean
host_is_in(const ClvConference *c)
{
    for (guint i = 0; i < c->roster.members->len; i++) {
        const Member *member = c->roster.members->pdata[i];

        if (member->state == MEMBER_CONNECTED && member->has_media &&
            (is_creator(c, member) || clv_policy_is_owner(c->view, member->identity, c->creator)))
            return TRUE;
    }
    return FALSE;
}

/* ---- asking the policy ---- */

static ClvPolicyFacts
facts_of(const ClvConference *c, const Member *member)
{
    return (ClvPolicyFacts){
        .identity = member->identity,
        .proof = member->proof,
        .ticket_offered = member->ticket_offered,
        .anonymous = member->anonymous && member->sip_identity != NULL,
        .diverted = member->diverted,
        .secured = member->secured,
        .tls = member->tls,
        .creator = c->creator,
        .creator_present = host_is_in(c),
        .ticket_names = (const char *const *)c->ticket_names,
        .locked = c->locked,
        .n_participants = clv_roster_n_users(&c->roster, member->identity),
        .n_endpoints = clv_roster_n_endpoints(&c->roster, member->identity, member),
        .n_by_creator = member->n_by_creator,
        .n_total = member->n_total,
        .wall_us = c->wall_us,
        .scheme = member->scheme,
        .suite = member->suite,
        .expires_us = member->expires_us,
    };
}

static gboolean
is_banned(const ClvConference *c, const Member *member)
{
    return member->identity != NULL && g_hash_table_contains(c->roster.banned, member->identity);
}

static ClvPolicyVerdict
judge(const ClvConference *c, const Member *member, ClvPolicyOp op, const char *const *ticket_names)
{
    ClvPolicyFacts facts = facts_of(c, member);

    if (is_banned(c, member))
        return (ClvPolicyVerdict){
            .code = CLV_CODE_FORBIDDEN, .reason = "removed", .rule = "ban-on-removal"};
    if (op == CLV_OP_CREATE)
        facts.ticket_names = ticket_names;
    return clv_policy_decide(c->view, op, &facts);
}

/* ---- leaving ---- */

/* Legs to remove together, so that all are cut before the first is told. */
typedef struct Removal {
    GPtrArray *members; /* Member, of the roster; in the end owned here */
    GPtrArray *notes;   /* (element-type utf8): one line for each, in the same order */
    ClvCode code;       /* final answer of those that have none yet */
    guint retry_after_s;
    const char *reason;   /* Reason of the BYEs */
    gboolean keys_over;   /* key management has ended by itself, or never began */
    gboolean dialog_over; /* the peer has ended it: neither answer nor BYE */
    gboolean ending;      /* the whole conference ends: no plan, its mix goes */
} Removal;

static Removal
removal_new(ClvCode code, const char *reason)
{
    return (Removal){
        .members = g_ptr_array_new(),
        .notes = g_ptr_array_new_with_free_func(g_free),
        .code = code,
        .reason = reason,
    };
}

static void G_GNUC_PRINTF(3, 4)
    removal_add(Removal *removal, Member *member, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    g_ptr_array_add(removal->members, member);
    g_ptr_array_add(removal->notes, g_strdup_vprintf(format, args));
    va_end(args);
}

static gboolean
is_in_plan(const Member *member)
{
    return member->state == MEMBER_CONNECTED && member->has_media;
}

static void
cut(ClvConference *c, const Member *member)
{
    if (member->state >= MEMBER_SEATED && member->has_media)
        act_on(c, CLV_ACT_CUT, member->leg);
}

static void
end_dialog(ClvConference *c, const Member *member, const Removal *removal)
{
    if (member->state == MEMBER_PROVING && !removal->keys_over)
        act_on(c, CLV_ACT_KEYMGMT_CLOSE, member->leg);
    if (removal->dialog_over)
        return;
    if (member->state >= MEMBER_ANSWERED)
        act(c, (ClvAction){
                   .kind = CLV_ACT_BYE, .leg = member->leg, .text = g_strdup(removal->reason)});
    else
        act(c, (ClvAction){.kind = CLV_ACT_REFUSE,
                           .leg = member->leg,
                           .code = removal->code,
                           .retry_after_s = removal->retry_after_s});
}

/* Cut, log, end the dialogs, publish, tell. Clears @removal. Returns TRUE when the creation was
 * among them and had not been confirmed. */
static gboolean
remove_all(ClvConference *c, Removal *removal)
{
    gboolean creation = FALSE, replan = FALSE;

    for (guint i = 0; i < removal->members->len; i++)
        cut(c, removal->members->pdata[i]);
    for (guint i = 0; i < removal->members->len; i++) {
        const Member *member = removal->members->pdata[i];

        note(c, member->leg, member->identity, "%s", (const char *)removal->notes->pdata[i]);
    }
    for (guint i = 0; i < removal->members->len; i++) {
        Member *member = removal->members->pdata[i];

        end_dialog(c, member, removal);
        creation |= member->creates && member->state < MEMBER_CONNECTED;
        replan |= is_in_plan(member);
        clv_roster_take(&c->roster, member);
    }
    if (replan && !removal->ending)
        publish(c);
    for (guint i = 0; i < removal->members->len; i++) {
        Member *member = removal->members->pdata[i];

        if (member->state == MEMBER_CONNECTED)
            tell(c, member, "left");
        clv_member_free(member);
    }
    g_ptr_array_unref(removal->members);
    g_ptr_array_unref(removal->notes);
    return creation;
}

/* Everybody out; nothing follows. */
static void
end_conference(ClvConference *c, const char *why)
{
    Removal removal = removal_new(CLV_CODE_NOT_FOUND, REASON_ENDED);

    c->over = TRUE;
    for (guint i = 0; i < CLV_N_TIMERS; i++)
        disarm(c, (ClvTimerKind)i);
    removal.ending = TRUE;
    for (guint i = 0; i < c->roster.members->len; i++) {
        Member *member = c->roster.members->pdata[i];

        removal_add(&removal, member, "%s leaves: the conference ends", name_of(member));
    }
    remove_all(c, &removal);
    note(c, 0, c->creator, "conference ended: %s", why);
    act_on(c, CLV_ACT_ENDED, 0);
}

/* A timer that waits for nothing but legs on their way in. */
static gboolean
is_overdue(const ClvConference *c, ClvTimerKind timer)
{
    return c->deadline_us[timer] != 0 && c->now_us >= c->deadline_us[timer] &&
           clv_roster_n_pending(&c->roster) == 0;
}

/* A scheduled conference goes on; who comes next begins a meeting of his own. */
static void
meeting_over(ClvConference *c)
{
    g_hash_table_remove_all(c->roster.banned);
    c->joined_once = FALSE;
    c->life_us = 0;
    disarm(c, CLV_TIMER_EMPTY);
    arm_duration(c);
}

static void
everybody_left(ClvConference *c)
{
    if (c->scheduled)
        meeting_over(c);
    else
        end_conference(c, "everybody has left");
}

/* After legs have come or gone: which clocks run now, and is the time up already? */
static void
look_around(ClvConference *c)
{
    gboolean alone = clv_roster_n_connected(&c->roster) == 0;

    if (!alone && c->life_us == 0) {
        c->life_us = c->now_us;
        arm_duration(c);
    }
    if (!alone)
        c->joined_once = TRUE;
    if (c->joined_once)
        disarm(c, CLV_TIMER_FIRST_JOIN);
    if (c->joined_once && alone)
        start(c, CLV_TIMER_EMPTY, clv_policy_empty_timeout_ms(c->view));
    else
        disarm(c, CLV_TIMER_EMPTY);
    if (c->creator_came && !creator_has_dialog(c) && clv_policy_end_when_creator_leaves(c->view))
        start(c, CLV_TIMER_CREATOR, clv_policy_creator_grace_ms(c->view));
    else
        disarm(c, CLV_TIMER_CREATOR);
    if (is_overdue(c, CLV_TIMER_FIRST_JOIN))
        end_conference(c, "nobody joined in time");
    else if (is_overdue(c, CLV_TIMER_EMPTY))
        everybody_left(c);
}

/* Without its creation a conference is nothing, unless somebody else is on the way in already. */
static void
remove_some(ClvConference *c, Removal *removal)
{
    gboolean creation = remove_all(c, removal);

    if (creation && (c->creator == NULL || c->roster.members->len == 0))
        end_conference(c, "its creation failed");
    else
        look_around(c);
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
static void
turn_away(ClvConference *c, Member *member, const ClvPolicyVerdict *verdict)
{
    Removal removal = removal_new(verdict->code, NULL);
    gboolean challenged = verdict->code == CLV_CODE_UNAUTHENTICATED;

    removal.retry_after_s = verdict->retry_after_s;
    removal.keys_over = TRUE;
    removal_add(&removal, member, "%s %s: %s (%s), %s%s%s", request_name(member),
                challenged ? "challenged" : "refused", name_of(member), peer_of(member), verdict->reason,
                verdict->rule[0] != '\0' ? " by " : "", verdict->rule);
    remove_some(c, &removal);
}

/* ---- events: a leg on its way in ---- */

static void
note_allowed(ClvConference *c, const Member *member, const ClvPolicyVerdict *verdict)
{
    note(c, member->leg, member->identity, "%s allowed: %s (%s), %s by %s", request_name(member),
         name_of(member), peer_of(member), verdict->reason, verdict->rule);
}

static void
on_join(ClvConference *c, const ClvEvent *event)
{
    static const ClvPolicyVerdict twice = {.code = CLV_CODE_INTERNAL, .reason = "exists already"};
    static const ClvPolicyVerdict mute = {.code = CLV_CODE_NO_COMMON_MEDIA, .reason = "no-media"};
    const ClvEvJoin *join = event->join;
    ClvPolicyVerdict verdict;
    Member *member;

    if (clv_roster_find(&c->roster, event->leg) != NULL)
        return;
    member = clv_roster_add(&c->roster, event->leg, join);
    if (join->creates && (c->creator != NULL || c->roster.members->len > 1)) {
        member->creates = FALSE; /* its failure must not end what others have */
        turn_away(c, member, &twice);
        return;
    }
    if (!join->creates && !join->has_media) {
        turn_away(c, member, &mute);
        return;
    }
    verdict = judge(c, member, join->creates ? CLV_OP_CREATE : CLV_OP_JOIN, NULL);
    if (!verdict.allow && !verdict.undecided) {
        turn_away(c, member, &verdict);
        return;
    }
    if (join->has_media || join->ticket_offered) {
        act_on(c, CLV_ACT_KEYMGMT_OPEN, event->leg);
        return;
    }
    /* Creation only, by digest or assertion: nothing to key, nothing more to prove. */
    c->creator = g_strdup(member->identity);
    note_allowed(c, member, &verdict);
    member->state = MEMBER_ANSWERED;
    act_on(c, CLV_ACT_ACCEPT, event->leg);
}

/* The SIP side and the ticket must mean the same person. */
static gboolean
identities_agree(const Member *member, const ClvEvKeys *keys)
{
    return member->sip_identity == NULL || keys->identity == NULL ||
           strcmp(member->sip_identity, keys->identity) == 0;
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

static void
take_allowed_set(ClvConference *c, const ClvEvKeys *keys)
{
    g_strfreev(c->ticket_names);
    c->ticket_names = g_strdupv((char **)keys->ticket_names);
    g_free(c->creation_ticket);
    c->creation_ticket = g_strdup(keys->ticket_hash);
}

/* Whom does the policy not want any more? Legs that prove themselves are asked when they have. */
static void
judge_members(ClvConference *c)
{
    Removal removal = removal_new(CLV_CODE_FORBIDDEN, REASON_DISALLOWED);

    for (guint i = 0; i < c->roster.members->len; i++) {
        Member *member = c->roster.members->pdata[i];
        ClvPolicyVerdict verdict;

        if (member->state == MEMBER_PROVING)
            continue;
        verdict = judge(c, member, CLV_OP_STAY, NULL);
        if (verdict.allow || (strcmp(verdict.reason, "not-in-allowed-set") == 0 &&
                              !clv_policy_removes_on_disallow(c->view)))
            continue;
        removal_add(&removal, member, "%s no longer allowed: %s by %s", name_of(member),
                    verdict.reason, verdict.rule);
    }
    remove_some(c, &removal);
}

/* A ticket of an owner that names others than the focus replaces the allowed set (5.2, 5.3). */
static gboolean
changes_allowed_set(const ClvConference *c, const Member *member, const ClvEvKeys *keys)
{
    return !member->creates && keys->sets_allowed && keys->ticket_names != NULL &&
           keys->ticket_names[0] != NULL && g_strcmp0(keys->ticket_hash, c->creation_ticket) != 0 &&
           judge(c, member, CLV_OP_ALLOW_CHANGE, NULL).allow;
}

static void
seat(ClvConference *c, Member *member)
{
    member->state = member->has_media ? MEMBER_SEATED : MEMBER_ANSWERED;
    act_on(c, member->has_media ? CLV_ACT_MEDIA_OPEN : CLV_ACT_ACCEPT, member->leg);
}

static void
on_keys(ClvConference *c, const ClvEvent *event)
{
    const ClvEvKeys *keys = event->keys;
    Member *member = clv_roster_find(&c->roster, event->leg);
    ClvPolicyVerdict verdict;

    if (member == NULL || member->state != MEMBER_PROVING)
        return;
    if (!identities_agree(member, keys)) {
        verdict = (ClvPolicyVerdict){.code = CLV_CODE_FORBIDDEN, .reason = "identity-mismatch"};
        g_snprintf(verdict.rule, sizeof verdict.rule, "the ticket, which proves %s",
                   keys->identity);
        turn_away(c, member, &verdict);
        return;
    }
    take_proof(member, keys);
    verdict = judge(c, member, member->creates ? CLV_OP_CREATE : CLV_OP_JOIN, keys->ticket_names);
    if (!verdict.allow) {
        turn_away(c, member, &verdict);
        return;
    }
    note_allowed(c, member, &verdict);
    if (member->creates) {
        c->creator = g_strdup(member->identity);
        take_allowed_set(c, keys);
    } else if (changes_allowed_set(c, member, keys)) {
        take_allowed_set(c, keys);
        note(c, event->leg, member->identity, "allowed set replaced by the ticket of %s",
             name_of(member));
        judge_members(c);
    }
    seat(c, member);
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
    turn_away(c, member, &verdict);
}

static void
on_media_ready(ClvConference *c, const ClvEvent *event)
{
    Member *member = clv_roster_find(&c->roster, event->leg);

    if (member == NULL || member->state != MEMBER_SEATED)
        return;
    member->state = MEMBER_ANSWERED;
    act_on(c, CLV_ACT_ACCEPT, event->leg);
}

static void
on_media_failed(ClvConference *c, const ClvEvent *event)
{
    Member *member = clv_roster_find(&c->roster, event->leg);
    Removal removal;

    if (member == NULL || member->state < MEMBER_SEATED || !member->has_media)
        return;
    removal = removal_new(event->code, REASON_MEDIA);
    removal_add(&removal, member, "%s leaves: media failed%s%s", name_of(member),
                event->cause != NULL ? ", " : "", event->cause != NULL ? event->cause : "");
    remove_some(c, &removal);
}

static void
on_confirmed(ClvConference *c, const ClvEvent *event)
{
    Member *member = clv_roster_find(&c->roster, event->leg);

    if (member == NULL || member->state != MEMBER_ANSWERED)
        return;
    member->state = MEMBER_CONNECTED;
    member->joined_us = event->wall_us;
    c->creator_came |= is_creator(c, member);
    note(c, event->leg, member->identity, "%s joined%s", name_of(member),
         member->has_media ? "" : " without media");
    if (member->has_media)
        publish(c);
    tell(c, member, "joined");
    look_around(c);
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
    if (!is_in_plan(member))
        return;
    publish(c);
    if (was_held == clv_member_is_held(member))
        tell(c, member, "direction");
    else
        tell(c, member, was_held ? "resumed" : "held");
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
    note(c, event->leg, member->identity, "%s has media now", name_of(member));
    publish(c);
    tell(c, member, clv_member_is_held(member) ? "held" : "resumed");
    look_around(c);
}

static void
on_talking(ClvConference *c, const ClvEvent *event)
{
    Member *member = clv_roster_find(&c->roster, event->leg);
    gboolean talking = event->flag != FALSE;

    if (member == NULL || !is_in_plan(member) || member->talking == talking)
        return;
    member->talking = talking;
    tell(c, member, talking ? "talking" : "silent");
}

static void
on_gone(ClvConference *c, const ClvEvent *event)
{
    Member *member = clv_roster_find(&c->roster, event->leg);
    Removal removal;

    if (member == NULL)
        return;
    removal = removal_new(CLV_CODE_OK, NULL);
    removal.dialog_over = TRUE;
    removal_add(&removal, member, "%s left: %s", name_of(member),
                event->cause != NULL ? event->cause : "gone");
    remove_some(c, &removal);
}

/* ---- events: orders from outside ---- */

/* Does this leg belong to @who, as far as is proven or said? */
static gboolean
is_user(const Member *member, const char *who)
{
    return g_strcmp0(member->identity, who) == 0;
}

/* Returns what to say of it. */
static const char *
ban(ClvConference *c, const char *who)
{
    if (!clv_policy_ban_on_removal(c->view))
        return "";
    g_hash_table_add(c->roster.banned, g_strdup(who));
    return ", and refused until the conference ends (ban-on-removal)";
}

static void
kick_user(ClvConference *c, const char *who)
{
    Removal removal = removal_new(CLV_CODE_FORBIDDEN, REASON_REMOVED);
    const char *banned = ban(c, who);

    for (guint i = 0; i < c->roster.members->len; i++) {
        Member *member = c->roster.members->pdata[i];

        if (is_user(member, who))
            removal_add(&removal, member, "%s removed by order%s", who, banned);
    }
    if (removal.members->len == 0)
        note(c, 0, who, "%s is not here to be removed%s", who, banned);
    remove_some(c, &removal);
}

/* One endpoint; the user is removed, and so refused from now on, when it was the last. */
static void
kick_leg(ClvConference *c, Member *member)
{
    Removal removal = removal_new(CLV_CODE_FORBIDDEN, REASON_REMOVED);
    gboolean last = member->identity != NULL &&
                    clv_roster_n_endpoints(&c->roster, member->identity, member) == 0;

    removal_add(&removal, member, "%s removed by order%s", name_of(member),
                last ? ban(c, member->identity) : "");
    remove_some(c, &removal);
}

static void
on_kick(ClvConference *c, const ClvEvent *event)
{
    Member *member = clv_roster_find(&c->roster, event->leg);

    if (event->who != NULL)
        kick_user(c, event->who);
    else if (member != NULL)
        kick_leg(c, member);
}

static void
on_end(ClvConference *c, const ClvEvent *event)
{
    end_conference(c, event->cause != NULL ? event->cause : "by order");
}

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
    note(c, 0, NULL, "no longer scheduled: ends when it is empty");
    arm_duration(c);
    look_around(c);
}

/* It is in the file again before it could end. */
static void
regain_schedule(ClvConference *c)
{
    if (c->scheduled || !clv_policy_scheduled(c->view))
        return;
    c->scheduled = TRUE;
    note(c, 0, NULL, "scheduled again: stays when it is empty");
    if (clv_roster_n_connected(&c->roster) == 0)
        meeting_over(c);
}

static void
on_policy(ClvConference *c, const ClvEvent *event)
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
    judge_members(c);
    if (c->over)
        return;
    measure_anew(c, CLV_TIMER_FIRST_JOIN, clv_policy_first_join_timeout_ms(c->view));
    measure_anew(c, CLV_TIMER_EMPTY, clv_policy_empty_timeout_ms(c->view));
    measure_anew(c, CLV_TIMER_CREATOR, clv_policy_creator_grace_ms(c->view));
    arm_duration(c);
    look_around(c);
}

/* Everybody out of a scheduled conference. */
static void
end_meeting(ClvConference *c)
{
    Removal removal = removal_new(CLV_CODE_UNAVAILABLE, REASON_ENDED);

    for (guint i = 0; i < c->roster.members->len; i++) {
        Member *member = c->roster.members->pdata[i];

        removal_add(&removal, member, "%s leaves: the meeting has lasted long enough",
                    name_of(member));
    }
    meeting_over(c);
    remove_some(c, &removal);
}

/* Wall clock and monotonic clock may part by a little. */
static gboolean
is_past_schedule(const ClvConference *c)
{
    gint64 not_after_us = clv_policy_not_after_us(c->view);

    return !c->scheduled || (not_after_us != 0 && c->wall_us + G_USEC_PER_SEC >= not_after_us);
}

static void
on_timer(ClvConference *c, const ClvEvent *event)
{
    ClvTimerKind timer = event->timer;

    if ((guint)timer >= CLV_N_TIMERS || c->deadline_us[timer] == 0 ||
        c->now_us < c->deadline_us[timer])
        return; /* cancelled or put off meanwhile */
    if (timer == CLV_TIMER_DURATION && is_past_schedule(c))
        end_conference(c, "its time is over");
    else if (timer == CLV_TIMER_DURATION)
        end_meeting(c);
    else if (timer == CLV_TIMER_CREATOR)
        end_conference(c, "its creator has left");
    else
        look_around(c);
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
    c->out = out;
    if (!c->scheduled)
        start(c, CLV_TIMER_FIRST_JOIN, clv_policy_first_join_timeout_ms(view));
    arm_duration(c);
    c->out = NULL;
    return c;
}

void
clv_conference_free(ClvConference *c)
{
    if (c == NULL)
        return;
    clv_roster_clear(&c->roster);
    clv_policy_view_free(c->view);
    g_strfreev(c->ticket_names);
    g_free(c->creation_ticket);
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
    [CLV_EV_MEDIA_FAILED] = on_media_failed,
    [CLV_EV_CONFIRMED] = on_confirmed,
    [CLV_EV_DIRECTION] = on_direction,
    [CLV_EV_MEDIA_ADDED] = on_media_added,
    [CLV_EV_GONE] = on_gone,
    [CLV_EV_TALKING] = on_talking,
    [CLV_EV_KICK] = on_kick,
    [CLV_EV_END] = on_end,
    [CLV_EV_POLICY] = on_policy,
    [CLV_EV_TIMER] = on_timer,
};

/* Too late: an INVITE still gets its answer, everything else was answered by the end. */
static void
step_after_end(ClvConference *c, const ClvEvent *event)
{
    if (event->kind == CLV_EV_JOIN)
        act(c, (ClvAction){.kind = CLV_ACT_REFUSE, .leg = event->leg, .code = CLV_CODE_NOT_FOUND});
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
        if (clv_policy_not_after_us(c->view) != 0)
            arm_duration(c);
    }
    if (c->over)
        step_after_end(c, event);
    else
        handlers[event->kind](c, event);
    c->out = NULL;
}

/* ---- looking at it ---- */

const char *
clv_conference_uri(const ClvConference *c)
{
    return c->uri;
}

ClvConferenceId
clv_conference_id(const ClvConference *c)
{
    return c->id;
}

const char *
clv_conference_creator(const ClvConference *c)
{
    return c->creator;
}

const char *const *
clv_conference_ticket_names(const ClvConference *c)
{
    return (const char *const *)c->ticket_names;
}

const char *
clv_conference_creation_ticket(const ClvConference *c)
{
    return c->creation_ticket;
}

const ClvPolicyView *
clv_conference_policy(const ClvConference *c)
{
    return c->view;
}

guint
clv_conference_n_members(const ClvConference *c)
{
    return c->roster.members->len;
}

void
clv_conference_member(const ClvConference *c, guint i, ClvMemberInfo *out)
{
    const Member *member;

    g_return_if_fail(i < c->roster.members->len);

    member = c->roster.members->pdata[i];
    *out = (ClvMemberInfo){
        .leg = member->leg,
        .identity = member->identity,
        .display_name = member->display_name,
        .state = clv_member_state_name(member),
        .proof = member->proof,
        .scheme = member->scheme,
        .suite = member->suite,
        .creator = is_creator(c, member),
        .talking = member->talking,
        .has_media = member->has_media,
        .anonymous = member->anonymous,
        .joined_us = member->joined_us,
    };
}

gboolean
clv_conference_is_over(const ClvConference *c)
{
    return c->over;
}
