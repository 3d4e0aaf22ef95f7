/* SPDX-License-Identifier: Apache-2.0 */
/* conference/dial.c - whom does the focus call, and is it he who answers? (5.5, 5.7, 5.13)
 *
 * A call waits until fewer than dial-out-parallel others are under way, is given up after
 * dial-out-timeout, and becomes a member when who answered is settled. From then on it is a leg.
 */
#include "conference/conference-private.h"

#include <string.h>

void
clv_dial_free(gpointer data)
{
    Dial *dial = data;

    g_free(dial->target);
    g_free(dial->referrer);
    g_free(dial->referred_by);
    g_free(dial->replaces);
    g_clear_pointer(&dial->history, g_ptr_array_unref);
    g_free(dial);
}

Dial *
clv_dial_find(const ClvConference *c, guint id)
{
    for (guint i = 0; i < c->dials->len; i++) {
        Dial *dial = c->dials->pdata[i];

        if (dial->id == id)
            return dial;
    }
    return NULL;
}

Dial *
clv_dial_find_target(const ClvConference *c, const char *target)
{
    for (guint i = 0; i < c->dials->len; i++) {
        Dial *dial = c->dials->pdata[i];

        if (strcmp(dial->target, target) == 0)
            return dial;
    }
    return NULL;
}

Dial *
clv_dial_add(ClvConference *c, const char *target, const char *referrer)
{
    Dial *dial = g_new0(Dial, 1);

    dial->id = ++c->last_dial;
    dial->target = g_strdup(target);
    dial->referrer = g_strdup(referrer);
    g_ptr_array_add(c->dials, dial);
    return dial;
}

/* What a refusal means to who asked for the call: the statuses of vocabulary.h. */
guint
clv_dial_status_of(ClvCode code)
{
    static const guint statuses[CLV_N_CODES] = {
        [CLV_CODE_OK] = 200,
        [CLV_CODE_BAD_REQUEST] = 400,
        [CLV_CODE_BAD_SDP] = 400,
        [CLV_CODE_UNAUTHENTICATED] = 401,
        [CLV_CODE_FORBIDDEN] = 403,
        [CLV_CODE_NOT_FOUND] = 404,
        [CLV_CODE_METHOD_NOT_ALLOWED] = 405,
        [CLV_CODE_UNSUPPORTED_MEDIA] = 415,
        [CLV_CODE_INTERVAL_TOO_BRIEF] = 422,
        [CLV_CODE_ANONYMITY] = 433,
        [CLV_CODE_UNAVAILABLE] = 480,
        [CLV_CODE_NO_DIALOG] = 481,
        [CLV_CODE_FULL] = 486,
        [CLV_CODE_CANCELLED] = 487,
        [CLV_CODE_UNSECURED] = 488,
        [CLV_CODE_NO_COMMON_MEDIA] = 488,
        [CLV_CODE_KEYMGMT_UNACCEPTABLE] = 488,
        [CLV_CODE_KEYMGMT_FAILED] = 488,
        [CLV_CODE_TICKET_REFUSED] = 488,
        [CLV_CODE_GLARE] = 491,
        [CLV_CODE_INTERNAL] = 500,
        [CLV_CODE_RETRY_LATER] = 500,
        [CLV_CODE_OVERLOAD] = 503,
        [CLV_CODE_KMS_TIMEOUT] = 504,
        [CLV_CODE_KMS_DOWN] = 503,
    };

    return (guint)code < CLV_N_CODES && code != CLV_CODE_OK ? statuses[code] : 500;
}

/* ---- the end of a call ---- */

void
clv_dial_over(ClvConference *c, Dial *dial, guint status)
{
    clv_refer_tell(c, dial->id, status, TRUE);
    g_ptr_array_remove(c->dials, dial);
}

void
clv_dial_cancel(ClvConference *c, Dial *dial, const char *reason, guint status)
{
    if (dial->state != DIAL_WAITING)
        clv_say(c,
                (ClvAction){.kind = CLV_ACT_DIAL_END, .dial = dial->id, .text = g_strdup(reason)});
    clv_dial_over(c, dial, status);
}

guint
clv_dial_cancel_all(ClvConference *c, const char *target, const char *reason, guint status)
{
    guint n = 0;

    for (guint i = 0; i < c->dials->len;) {
        Dial *dial = c->dials->pdata[i];

        if (dial->state == DIAL_ANSWERED || (target != NULL && strcmp(dial->target, target) != 0)) {
            i++;
            continue;
        }
        clv_say_note(c, 0, dial->target, "call to %s given up: by order", dial->target);
        clv_dial_cancel(c, dial, reason, status);
        n++;
    }
    return n;
}

/* Ended for one reason, and room for another. */
static void
go_on(ClvConference *c)
{
    clv_dial_pump(c);
    clv_life_look_around(c);
}

void
clv_dial_expire(ClvConference *c)
{
    for (guint i = 0; i < c->dials->len;) {
        Dial *dial = c->dials->pdata[i];

        if (dial->deadline_us == 0 || dial->deadline_us > c->now_us) {
            i++;
            continue;
        }
        clv_say_note(c, 0, dial->target, "call to %s given up: no answer in time", dial->target);
        clv_dial_cancel(c, dial, REASON_NO_ANSWER, dial->state == DIAL_RINGING ? 487 : 408);
    }
    go_on(c);
}

/* ---- calling ---- */

ClvPolicyVerdict
clv_dial_judge(const ClvConference *c, const char *target)
{
    ClvPolicyFacts facts = clv_judge_facts(c, target, NULL);

    return clv_judge_facts_of(c, CLV_OP_DIAL, &facts);
}

/* Focus and creator can come with the set that the ticket is for: who is diverted to is one of it.
 */
static char **
names_for_ticket(const ClvConference *c, const char *target)
{
    g_autoptr(GPtrArray) names = NULL;

    if (!clv_policy_follows_diversion(c->view))
        return NULL;
    names = g_ptr_array_new();
    g_ptr_array_add(names, g_strdup(target));
    for (char **name = c->ticket_names; name != NULL && *name != NULL; name++) {
        if (strcmp(*name, target) != 0)
            g_ptr_array_add(names, g_strdup(*name));
    }
    g_ptr_array_add(names, NULL);
    return (char **)g_ptr_array_steal(names, NULL);
}

static void
call(ClvConference *c, Dial *dial)
{
    ClvDialOrder *order = g_new0(ClvDialOrder, 1);

    dial->state = DIAL_CALLING;
    dial->by_refer = clv_policy_invite_by_refer(c->view);
    dial->deadline_us = c->now_us + clv_policy_dial_out_timeout_ms(c->view) * 1000;
    order->dial = dial->id;
    order->target = g_strdup(dial->target);
    order->ticket_for = names_for_ticket(c, dial->target);
    order->replaces = g_strdup(dial->replaces);
    order->by_refer = dial->by_refer;
    if (clv_policy_pass_referred_by(c->view))
        order->referred_by = g_strdup(dial->referred_by);
    if (dial->history != NULL)
        order->history = g_ptr_array_ref(dial->history);
    clv_say(c, (ClvAction){.kind = CLV_ACT_DIAL, .dial = dial->id, .order = order});
}

/* Things may have changed while the call was waiting. */
static void
call_or_drop(ClvConference *c, Dial *dial)
{
    ClvPolicyVerdict verdict;

    if (clv_roster_n_endpoints(&c->roster, dial->target, NULL) > 0) {
        clv_say_note(c, 0, dial->target, "%s is not called: is here already", dial->target);
        clv_dial_over(c, dial, 200);
        return;
    }
    verdict = clv_dial_judge(c, dial->target);
    if (!verdict.allow) {
        clv_say_note(c, 0, dial->target, "%s is not called: %s by %s", dial->target, verdict.reason,
                     verdict.rule);
        clv_dial_over(c, dial, clv_dial_status_of(verdict.code));
        return;
    }
    clv_say_note(c, 0, dial->target, "%s is called%s%s: %s by %s", dial->target,
                 dial->referrer != NULL ? " for " : "",
                 dial->referrer != NULL ? dial->referrer : "", verdict.reason, verdict.rule);
    call(c, dial);
}

/* (nullable) */
static Dial *
next_waiting(const ClvConference *c)
{
    guint n_under_way = 0;
    Dial *first = NULL;

    for (guint i = 0; i < c->dials->len; i++) {
        Dial *dial = c->dials->pdata[i];

        if (dial->state != DIAL_WAITING)
            n_under_way++;
        else if (first == NULL)
            first = dial;
    }
    return n_under_way < clv_policy_dial_out_parallel(c->view) ? first : NULL;
}

void
clv_dial_pump(ClvConference *c)
{
    Dial *dial;

    while (!c->over && (dial = next_waiting(c)) != NULL)
        call_or_drop(c, dial);
}

/* ---- URI lists (5.7) ---- */

/* NULL: he is to be called. */
static const char *
why_left_out(const ClvConference *c, const ClvUriEntry *entry)
{
    if (clv_judge_is_creator(c, entry->uri))
        return "the creator is in";
    if (strcmp(entry->uri, c->uri) == 0)
        return "it is this conference";
    if (clv_dial_find_target(c, entry->uri) != NULL)
        return "called already";
    if (clv_roster_n_endpoints(&c->roster, entry->uri, NULL) > 0)
        return "he is in";
    if (entry->leg != 0 && clv_roster_find(&c->roster, entry->leg) != NULL)
        return "the dialog it names is in";
    return NULL;
}

/* Nothing in the protocol tells the creator whom we leave out: the 200 says that the list was
 * understood and no more (RFC 5366 3.1). So the log does. */
void
clv_dial_start_list(ClvConference *c, GPtrArray *list)
{
    g_autoptr(GPtrArray) mine = list;
    gboolean shared = clv_policy_share_uri_list(c->view);

    for (guint i = 0; list != NULL && i < list->len; i++) {
        const ClvUriEntry *entry = list->pdata[i];
        const char *why = why_left_out(c, entry);
        Dial *dial;

        if (why != NULL) {
            clv_say_note(c, 0, entry->uri, "%s is not called: %s", entry->uri, why);
            continue;
        }
        dial = clv_dial_add(c, entry->uri, NULL);
        dial->hidden = entry->anonymize;
        if (shared)
            dial->history = g_ptr_array_ref(list);
    }
    if (list != NULL)
        go_on(c);
}

/* ---- who answers (5.13) ---- */

typedef struct Answered {
    const ClvAnswerer *who;
    const char *proven;   /* (nullable) by keys */
    const char *identity; /* (nullable) proven, or asserted by who is trusted */
} Answered;

static Answered
answered_of(const ClvEvAnswer *answer)
{
    Answered answered = {.who = answer->who};

    if (answer->keys != NULL && answer->keys->proof == CLV_PROOF_TICKET)
        answered.proven = answer->keys->identity;
    answered.identity = answered.proven;
    if (answered.identity == NULL && answer->who != NULL)
        answered.identity = answer->who->asserted;
    return answered;
}

static ClvPolicyFacts
answer_facts(const ClvConference *c, const char *target, const ClvAnswerer *who, const char *proven,
             const Member *except)
{
    ClvPolicyFacts facts = clv_judge_facts(c, target, except);

    facts.answerer = who;
    facts.answered_identity = proven;
    return facts;
}

/* A banned one does not come in by a diversion. */
static ClvPolicyVerdict
judge_answer(const ClvConference *c, const ClvPolicyFacts *facts, const char *identity)
{
    if (clv_judge_is_banned(c, identity))
        return (ClvPolicyVerdict){
            .code = CLV_CODE_FORBIDDEN, .reason = "removed", .rule = "ban-on-removal"};
    return clv_judge_facts_of(c, CLV_OP_ANSWER, facts);
}

/* Not his fault, or not he. */
static const char *
reason_of(const ClvPolicyVerdict *verdict)
{
    static const char *const ours[] = {"locked", "full", "too-many", "dial-out-off", NULL};

    return verdict->code != CLV_CODE_FORBIDDEN || g_strv_contains(ours, verdict->reason)
               ? REASON_DISALLOWED
               : REASON_DIVERTED;
}

static void
drop_answer(ClvConference *c, Dial *dial, const ClvPolicyVerdict *verdict)
{
    clv_say_note(c, 0, dial->target, "call to %s given up: %s by %s", dial->target, verdict->reason,
                 verdict->rule);
    clv_dial_cancel(
        c, dial, reason_of(verdict),
        clv_dial_status_of(verdict->code != CLV_CODE_OK ? verdict->code : CLV_CODE_FORBIDDEN));
    go_on(c);
}

static gboolean
is_under_way(const Dial *dial)
{
    return dial != NULL && (dial->state == DIAL_CALLING || dial->state == DIAL_RINGING);
}

void
clv_on_dial_ringing(ClvConference *c, const ClvEvent *event)
{
    Dial *dial = clv_dial_find(c, event->dial);
    ClvPolicyVerdict verdict;
    ClvPolicyFacts facts;

    if (!is_under_way(dial))
        return;
    facts = answer_facts(c, dial->target, event->answerer, NULL, NULL);
    facts.answer_early = TRUE;
    verdict = clv_judge_facts_of(c, CLV_OP_ANSWER, &facts);
    if (!verdict.allow && !verdict.undecided) {
        drop_answer(c, dial, &verdict);
        return;
    }
    if (dial->state == DIAL_RINGING)
        return;
    dial->state = DIAL_RINGING;
    clv_refer_tell(c, dial->id, 180, FALSE);
}

static void
seat_answerer(ClvConference *c, Dial *dial, ClvLegId leg, const ClvEvAnswer *answer,
              const Answered *answered, gboolean needs_pin)
{
    Member *member = clv_roster_add_leg(&c->roster, leg);

    member->identity = g_strdup(answered->identity != NULL ? answered->identity : dial->target);
    member->proof = answered->proven != NULL     ? CLV_PROOF_TICKET
                    : answered->identity != NULL ? CLV_PROOF_ASSERTED
                                                 : CLV_PROOF_NONE;
    if (member->proof == CLV_PROOF_ASSERTED) {
        member->sip_identity = g_strdup(answered->identity);
        member->sip_proof = CLV_PROOF_ASSERTED;
    }
    member->dialed = g_strdup(dial->target);
    member->dial = dial->id;
    member->referred_by = g_strdup(dial->referrer);
    member->anonymous = dial->hidden;
    member->display_name = g_strdup(answer->display_name);
    member->peer = g_strdup(answer->peer);
    member->peer_name = g_strdup(answer->peer_name);
    member->secured = answer->secured;
    member->tls = answer->tls;
    member->has_media = TRUE;
    member->needs_pin = needs_pin;
    member->direction = answer->peer_direction;
    if (answer->keys != NULL) {
        member->scheme = answer->keys->scheme;
        member->suite = answer->keys->suite;
        member->expires_us = answer->keys->expires_us;
    }
    dial->state = DIAL_ANSWERED;
    dial->deadline_us = 0;
    clv_step_seat(c, member);
}

void
clv_on_dial_answered(ClvConference *c, const ClvEvent *event)
{
    const ClvEvAnswer *answer = event->answer;
    Dial *dial = clv_dial_find(c, event->dial);
    Answered answered = answered_of(answer);
    ClvPolicyVerdict verdict = {.code = CLV_CODE_INTERNAL, .reason = "leg is known already"};
    ClvPolicyFacts facts;

    if (!is_under_way(dial))
        return;
    if (clv_roster_find(&c->roster, event->leg) == NULL) {
        facts = answer_facts(c, dial->target, answer->who, answered.proven, NULL);
        facts.proof = answered.proven != NULL     ? CLV_PROOF_TICKET
                      : answered.identity != NULL ? CLV_PROOF_ASSERTED
                                                  : CLV_PROOF_NONE;
        facts.secured = answer->secured;
        facts.tls = answer->tls;
        facts.peer_name = answer->peer_name;
        facts.pin_refused |= clv_tries_are_used_up(c, answered.identity);
        if (answered.identity != NULL) {
            facts.n_participants = clv_roster_n_users(&c->roster, answered.identity);
            facts.n_endpoints = clv_roster_n_endpoints(&c->roster, answered.identity, NULL);
        }
        if (answer->keys != NULL) {
            facts.scheme = answer->keys->scheme;
            facts.suite = answer->keys->suite;
            facts.expires_us = answer->keys->expires_us;
        }
        verdict = judge_answer(c, &facts, answered.identity);
    }
    if (!verdict.allow) {
        drop_answer(c, dial, &verdict);
        return;
    }
    clv_say_note(c, event->leg, answered.identity, "answer allowed: %s for %s (%s), %s by %s",
                 answered.identity != NULL ? answered.identity : "somebody unproven", dial->target,
                 answer->peer != NULL ? answer->peer : "-", verdict.reason, verdict.rule);
    seat_answerer(c, dial, event->leg, answer, &answered, verdict.needs_pin);
}

void
clv_on_dial_failed(ClvConference *c, const ClvEvent *event)
{
    Dial *dial = clv_dial_find(c, event->dial);
    guint status = event->status != 0 ? event->status : clv_dial_status_of(event->code);

    if (!is_under_way(dial))
        return;
    if (dial->by_refer && status >= 200 && status < 300) { /* he says so: 5.20 */
        clv_say_note(c, 0, dial->target, "%s has called, it is said: waiting until he is in",
                     dial->target);
        return;
    }
    clv_say_note(c, 0, dial->target, "call to %s failed: %u", dial->target, status);
    clv_dial_over(c, dial, status);
    go_on(c);
}

/* Connected: by our call, or because we asked him by REFER to call us. */
void
clv_dial_fulfil(ClvConference *c, Member *member)
{
    Dial *dial = member->dial != 0          ? clv_dial_find(c, member->dial)
                 : member->identity != NULL ? clv_dial_find_target(c, member->identity)
                                            : NULL;

    if (dial == NULL || (member->dial == 0 && !(dial->by_refer && is_under_way(dial))))
        return;
    member->dial = 0;
    if (dial->state == DIAL_ANSWERED) {
        clv_dial_over(c, dial, 200);
    } else {
        g_free(member->referred_by);
        member->referred_by = g_strdup(dial->referrer);
        clv_dial_cancel(c, dial, NULL, 200);
    }
    clv_dial_pump(c);
}

/* ---- who answered has changed, or says so now (RFC 4916) ---- */

static void
rename_member(ClvConference *c, Member *member, const char *identity)
{
    gboolean told = member->told;

    if (told)
        clv_say_roster(c, member, "left");
    clv_say_note(c, member->leg, identity, "%s is %s now", clv_member_name(member), identity);
    g_free(member->identity);
    member->identity = g_strdup(identity);
    g_free(member->sip_identity);
    member->sip_identity = g_strdup(identity);
    if (told)
        clv_say_roster(c, member, "joined");
}

void
clv_on_identity(ClvConference *c, const ClvEvent *event)
{
    Member *member = clv_roster_find(&c->roster, event->leg);
    const ClvAnswerer *who = event->answerer;
    const char *proven;
    ClvPolicyVerdict verdict;
    ClvPolicyFacts facts;
    Removal removal;

    if (member == NULL || member->dialed == NULL || who == NULL)
        return;
    proven = member->proof == CLV_PROOF_TICKET ? member->identity : NULL;
    facts = answer_facts(c, member->dialed, who, proven, member);
    facts.proof = member->proof;
    facts.secured = member->secured;
    facts.tls = member->tls;
    facts.peer_name = member->peer_name;
    facts.scheme = member->scheme;
    facts.suite = member->suite;
    facts.locked = FALSE; /* he is in */
    facts.pin_refused = FALSE;
    facts.n_participants = 0;
    facts.n_endpoints = 0;
    verdict = judge_answer(c, &facts, who->asserted);
    if (!verdict.allow) {
        removal = clv_removal_new(CLV_CODE_FORBIDDEN, REASON_DIVERTED, 403);
        clv_removal_add(&removal, member, "%s no longer allowed: %s by %s", clv_member_name(member),
                        verdict.reason, verdict.rule);
        clv_removal_finish(c, &removal);
    } else if (proven == NULL && who->asserted != NULL &&
               g_strcmp0(who->asserted, member->identity) != 0) {
        rename_member(c, member, who->asserted);
    }
}
