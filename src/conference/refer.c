/* SPDX-License-Identifier: Apache-2.0 */
/* conference/refer.c - somebody asks to have somebody else called, or removed: may he? (5.5, 5.8)
 *
 * Nothing is sent to anybody and no ticket is asked for before the referrer has proven himself. A
 * REFER gets one answer, and, when that accepts, one last NOTIFY: whatever becomes of the rest.
 */
#include "conference/conference-private.h"

#include <string.h>

/* Those that nobody has had a last NOTIFY for; each may cost an exchange with the KMS. */
#define MAX_REFERS 100

void
clv_refer_free(gpointer data)
{
    Refer *refer = data;

    g_free(refer->sip_identity);
    g_strfreev(refer->identities);
    g_free(refer->identity);
    g_free(refer->peer);
    g_free(refer->peer_name);
    g_free(refer->target);
    g_free(refer->referred_by);
    g_free(refer->replaces);
    g_free(refer);
}

static Refer *
find(const ClvConference *c, ClvReferId id)
{
    for (guint i = 0; i < c->refers->len; i++) {
        Refer *refer = c->refers->pdata[i];

        if (refer->id == id)
            return refer;
    }
    return NULL;
}

/* ---- what the referrer hears ---- */

static void
notify(ClvConference *c, ClvReferId id, guint status, gboolean last)
{
    clv_say(c,
            (ClvAction){.kind = CLV_ACT_REFER_NOTIFY, .refer = id, .status = status, .flag = last});
}

void
clv_refer_notify(ClvConference *c, ClvReferId id, guint status)
{
    Refer *refer = find(c, id);

    if (refer == NULL)
        return;
    notify(c, id, status, TRUE);
    g_ptr_array_remove(c->refers, refer);
}

void
clv_refer_tell(ClvConference *c, guint dial, guint status, gboolean last)
{
    for (guint i = 0; i < c->refers->len;) {
        const Refer *refer = c->refers->pdata[i];

        if (refer->dial != dial) {
            i++;
        } else if (last) {
            clv_refer_notify(c, refer->id, status);
        } else {
            notify(c, refer->id, status, FALSE);
            i++;
        }
    }
}

void
clv_refer_end_all(ClvConference *c, guint status)
{
    while (c->refers->len > 0)
        clv_refer_notify(c, ((const Refer *)c->refers->pdata[0])->id, status);
}

static const char *
name_of(const Refer *refer)
{
    return refer->identity != NULL ? refer->identity : "somebody unproven";
}

static const char *
verb_of(const Refer *refer)
{
    return refer->removes ? "remove" : "invite";
}

static void
note_refusal(ClvConference *c, const Refer *refer, const ClvPolicyVerdict *verdict)
{
    clv_say_note(c, refer->leg, refer->identity, "REFER of %s to %s %s refused: %s%s%s",
                 name_of(refer), verb_of(refer), refer->target, verdict->reason,
                 verdict->rule[0] != '\0' ? " by " : "", verdict->rule);
}

/* Before the answer. */
static void
refuse(ClvConference *c, Refer *refer, const ClvPolicyVerdict *verdict)
{
    note_refusal(c, refer, verdict);
    clv_say(c,
            (ClvAction){.kind = CLV_ACT_REFER_REFUSE,
                        .refer = refer->id,
                        .code = verdict->code != CLV_CODE_OK ? verdict->code : CLV_CODE_FORBIDDEN});
    g_ptr_array_remove(c->refers, refer);
}

/* After it. */
static void
fail(ClvConference *c, Refer *refer, const ClvPolicyVerdict *verdict)
{
    note_refusal(c, refer, verdict);
    clv_refer_notify(
        c, refer->id,
        clv_dial_status_of(verdict->code != CLV_CODE_OK ? verdict->code : CLV_CODE_FORBIDDEN));
}

static void
accept(ClvConference *c, const Refer *refer)
{
    clv_say(c, (ClvAction){.kind = CLV_ACT_REFER_ACCEPT,
                           .refer = refer->id,
                           .flag = clv_policy_refer_plain_200(c->view)});
}

/* ---- who asks, and for what? ---- */

/* Inside a dialog its member asks, who has proven himself when he came. Who only names a dialog may have
 * seen it somewhere. */
static gboolean
take_member(const ClvConference *c, Refer *refer, gboolean is_named)
{
    const Member *member = refer->leg != 0 ? clv_roster_find(&c->roster, refer->leg) : NULL;

    if (member == NULL || member->identity == NULL || member->state < MEMBER_ANSWERED)
        return TRUE;
    if (!clv_judge_agree(refer->identity, (const char *const *)refer->identities, member->identity))
        return FALSE;
    if (is_named)
        return TRUE;
    g_free(refer->identity);
    refer->identity = g_strdup(member->identity);
    refer->proof = MAX(refer->proof, member->proof);
    return TRUE;
}

static Refer *
add(ClvConference *c, const ClvEvRefer *event)
{
    Refer *refer = g_new0(Refer, 1);

    refer->id = event->refer;
    refer->leg = event->leg;
    if (event->proof != CLV_PROOF_NONE && event->identity != NULL) {
        refer->sip_identity = g_strdup(event->identity);
        refer->sip_proof = event->proof;
        refer->identities = g_strdupv((char **)event->identities);
        refer->identity = g_strdup(event->identity);
        refer->proof = event->proof;
    }
    refer->peer = g_strdup(event->peer);
    refer->peer_name = g_strdup(event->peer_name);
    refer->ticket_offered = event->ticket_offered;
    refer->anonymous = event->anonymous;
    refer->secured = event->secured;
    refer->tls = event->tls;
    refer->target = g_strdup(event->target);
    refer->removes = event->removes;
    refer->names_dialog = event->names_dialog;
    refer->target_leg = event->target_leg;
    refer->referred_by = g_strdup(event->referred_by);
    refer->replaces = g_strdup(event->replaces);
    g_ptr_array_add(c->refers, refer);
    return refer;
}

static gboolean
names_focus(const ClvConference *c, const Refer *refer)
{
    return strcmp(refer->target, c->uri) == 0;
}

static gboolean
ends_conference(const ClvConference *c, const Refer *refer)
{
    return refer->removes && !refer->names_dialog && names_focus(c, refer);
}

/* Whose dialog it is that goes; (nullable) for none. */
static const Member *
endpoint_of(const ClvConference *c, const Refer *refer)
{
    return refer->target_leg != 0 ? clv_roster_find(&c->roster, refer->target_leg) : NULL;
}

static const char *
target_of(const ClvConference *c, const Refer *refer)
{
    const Member *member = refer->names_dialog ? endpoint_of(c, refer) : NULL;

    return member != NULL && member->identity != NULL ? member->identity : refer->target;
}

static ClvPolicyVerdict
judge(const ClvConference *c, const Refer *refer)
{
    ClvPolicyOp op = ends_conference(c, refer) ? CLV_OP_END
                     : refer->removes          ? CLV_OP_REFER_REMOVE
                                               : CLV_OP_REFER_ADD;
    ClvPolicyFacts facts = clv_judge_facts(c, refer->identity, NULL);

    facts.proof = refer->proof;
    facts.ticket_offered = refer->ticket_offered;
    facts.anonymous = refer->anonymous && refer->sip_identity != NULL;
    facts.secured = refer->secured;
    facts.tls = refer->tls;
    facts.peer_name = refer->peer_name;
    facts.identities = (const char *const *)refer->identities;
    facts.target = target_of(c, refer);
    return clv_judge_facts_of(c, op, &facts);
}

static gboolean
is_owner(const ClvConference *c, const Refer *refer)
{
    return clv_judge_is_creator(c, refer->identity) ||
           clv_policy_is_owner(c->view, refer->identity, c->creator);
}

/* ---- inviting ---- */

static gboolean
is_here(const ClvConference *c, const char *target)
{
    return clv_roster_n_endpoints(&c->roster, target, NULL) > 0;
}

static gboolean
waits_in_lobby(const ClvConference *c, const char *target)
{
    for (guint i = 0; i < c->roster.members->len; i++) {
        const Member *member = c->roster.members->pdata[i];

        if (member->state == MEMBER_LOBBY && g_strcmp0(member->identity, target) == 0)
            return TRUE;
    }
    return FALSE;
}

/* Already in, or being called: how it goes with him is what the referrer wants to know. */
static void
follow(ClvConference *c, Refer *refer)
{
    const Dial *dial = clv_dial_find_target(c, refer->target);

    if (dial == NULL) {
        clv_refer_notify(c, refer->id, 200);
        return;
    }
    refer->dial = dial->id;
    if (dial->state == DIAL_RINGING)
        notify(c, refer->id, 180, FALSE);
}

static gboolean
is_duplicate(const ClvConference *c, const Refer *refer)
{
    return !refer->removes &&
           (is_here(c, refer->target) || clv_dial_find_target(c, refer->target) != NULL);
}

static ClvPolicyVerdict
duplicate(void)
{
    return (ClvPolicyVerdict){
        .code = CLV_CODE_FORBIDDEN, .reason = "duplicate", .rule = "refer-duplicate"};
}

/* An owner opens the door to who waits in front of it. */
static gboolean
admits_from_lobby(ClvConference *c, Refer *refer)
{
    ClvPolicyFacts facts = clv_judge_facts(c, refer->identity, NULL);
    g_autofree char *target = NULL;

    if (!waits_in_lobby(c, refer->target))
        return FALSE;
    facts.proof = refer->proof;
    facts.secured = refer->secured;
    facts.tls = refer->tls;
    facts.peer_name = refer->peer_name;
    if (!clv_judge_facts_of(c, CLV_OP_LOCK, &facts).allow)
        return FALSE;
    target = g_strdup(refer->target);
    clv_refer_notify(c, refer->id, 200);
    clv_wait_admit(c, target);
    return TRUE;
}

static gboolean
extends_set(ClvConference *c, const Refer *refer, const ClvPolicyVerdict *verdict)
{
    if (!clv_policy_refer_extends(c->view) || !is_owner(c, refer) ||
        (strcmp(verdict->reason, "not-in-allowed-set") != 0 &&
         strcmp(verdict->reason, "removed") != 0))
        return FALSE;
    clv_allowed_extend(c, refer->target);
    clv_say_note(c, refer->leg, refer->identity, "%s added to the allowed set by the REFER of %s",
                 refer->target, name_of(refer));
    return TRUE;
}

static void
invite(ClvConference *c, Refer *refer)
{
    ClvPolicyVerdict verdict;
    Dial *dial;

    if (is_duplicate(c, refer)) {
        verdict = duplicate();
        if (clv_policy_refer_rejects_duplicate(c->view))
            fail(c, refer, &verdict);
        else
            follow(c, refer);
        return;
    }
    if (admits_from_lobby(c, refer))
        return;
    verdict = clv_dial_judge(c, refer->target);
    if (!verdict.allow && extends_set(c, refer, &verdict))
        verdict = clv_dial_judge(c, refer->target);
    if (!verdict.allow) {
        fail(c, refer, &verdict);
        return;
    }
    dial = clv_dial_add(c, refer->target, refer->identity);
    dial->referred_by = g_strdup(refer->referred_by);
    dial->replaces = g_strdup(refer->replaces);
    refer->dial = dial->id;
    clv_dial_pump(c);
}

/* ---- removing ---- */

static void
remove_endpoint(ClvConference *c, Refer *refer)
{
    Member *member = clv_roster_find(&c->roster, refer->target_leg);

    if (refer->target_leg == 0 || member == NULL) {
        clv_refer_notify(c, refer->id, 404);
        return;
    }
    clv_leave_kick_leg(c, member, g_strcmp0(refer->identity, member->identity) == 0, refer->id);
}

static void
remove_user(ClvConference *c, Refer *refer)
{
    g_autofree char *target = g_strdup(refer->target);
    gboolean here = clv_dial_find_target(c, target) != NULL;

    for (guint i = 0; i < c->roster.members->len; i++) {
        const Member *member = c->roster.members->pdata[i];

        here |= g_strcmp0(member->identity, target) == 0;
    }
    if (here)
        clv_leave_kick_user(c, target, g_strcmp0(refer->identity, target) == 0, refer->id);
    else
        clv_refer_notify(c, refer->id, 404);
}

static void
end_conference(ClvConference *c, Refer *refer)
{
    g_autofree char *why = g_strdup_printf("by REFER of %s", name_of(refer));

    clv_refer_notify(c, refer->id, 200);
    clv_life_say_goodbye(c, why);
}

/* ---- the way of a REFER ---- */

/* Accepted, and its referrer proven. */
static void
carry_out(ClvConference *c, Refer *refer)
{
    if (ends_conference(c, refer))
        end_conference(c, refer);
    else if (refer->names_dialog && refer->removes)
        remove_endpoint(c, refer);
    else if (refer->removes)
        remove_user(c, refer);
    else
        invite(c, refer);
}

/* What no ticket can mend. */
static gboolean
is_hopeless(const ClvConference *c, const Refer *refer, ClvPolicyVerdict *verdict)
{
    if (c->goodbye != NULL)
        *verdict = (ClvPolicyVerdict){.code = CLV_CODE_NOT_FOUND, .reason = "ending"};
    else if (c->refers->len > MAX_REFERS)
        *verdict = (ClvPolicyVerdict){.code = CLV_CODE_OVERLOAD, .reason = "too-many"};
    else if (!refer->removes && names_focus(c, refer))
        *verdict = (ClvPolicyVerdict){.code = CLV_CODE_FORBIDDEN, .reason = "focus"};
    else
        return FALSE;
    return TRUE;
}

static gboolean
is_he(const Refer *refer, const Member *member)
{
    return refer->identity != NULL && member->identity != NULL &&
           clv_judge_agree(refer->identity, (const char *const *)refer->identities,
                           member->identity);
}

/* In front of the PIN nobody asks for anything, by whatever way his REFER comes: who asks has given it
 * in a call that is up. */
static gboolean
lacks_pin(const ClvConference *c, const Refer *refer)
{
    const Member *own = refer->leg != 0 ? clv_roster_find(&c->roster, refer->leg) : NULL;

    if (clv_policy_pin_hash(c->view)[0] == '\0')
        return FALSE;
    for (guint i = 0; (own == NULL || !own->needs_pin) && i < c->roster.members->len; i++) {
        const Member *member = c->roster.members->pdata[i];

        if (clv_member_is_in(member) && member->proof != CLV_PROOF_NONE && is_he(refer, member))
            return FALSE;
    }
    return TRUE;
}

static ClvPolicyVerdict
no_pin(void)
{
    return (ClvPolicyVerdict){.code = CLV_CODE_FORBIDDEN, .reason = "pin", .rule = "pin"};
}

/* Refused for what is known without the KMS, or entitled so far. */
static ClvPolicyVerdict
judge_early(ClvConference *c, Refer *refer, const ClvEvRefer *event)
{
    ClvPolicyVerdict verdict;

    if (!take_member(c, refer, event->leg_is_named))
        return (ClvPolicyVerdict){.code = CLV_CODE_FORBIDDEN,
                                  .reason = "identity-mismatch",
                                  .rule = "the dialog of the REFER"};
    if ((refer->identity != NULL || !refer->ticket_offered) && lacks_pin(c, refer))
        return no_pin();
    if (is_hopeless(c, refer, &verdict))
        return verdict;
    if (event->target_is_ours && !refer->removes)
        return (ClvPolicyVerdict){.code = CLV_CODE_FORBIDDEN, .reason = "loop"};
    if (!refer->ticket_offered && clv_policy_refer_needs_ticket(c->view))
        return (ClvPolicyVerdict){
            .code = CLV_CODE_FORBIDDEN, .reason = "no-ticket", .rule = "refer-ticket"};
    verdict = judge(c, refer);
    verdict.undecided &= refer->ticket_offered;
    return verdict;
}

void
clv_on_refer(ClvConference *c, const ClvEvent *event)
{
    ClvPolicyVerdict verdict;
    Refer *refer;

    if (event->refer->target == NULL || find(c, event->refer->refer) != NULL)
        return;
    refer = add(c, event->refer);
    verdict = judge_early(c, refer, event->refer);
    if (!verdict.allow && !verdict.undecided) {
        refuse(c, refer, &verdict);
        return;
    }
    /* A stranger learns who is in when his ticket has been resolved. */
    if (refer->identity != NULL && is_duplicate(c, refer)) {
        verdict = duplicate();
        if (clv_policy_refer_rejects_duplicate(c->view)) {
            refuse(c, refer, &verdict);
        } else {
            accept(c, refer);
            follow(c, refer);
        }
        return;
    }
    if (refer->ticket_offered) {
        refer->proving = TRUE;
        clv_say(c, (ClvAction){.kind = CLV_ACT_REFER_KEYS, .refer = refer->id});
        accept(c, refer);
    } else {
        accept(c, refer);
        carry_out(c, refer);
    }
}

/* The ticket is for this very wish: the focus and whom to call, or whom to remove (5.5.2, 5.8.2).
 */
static gboolean
ticket_fits(const ClvConference *c, const Refer *refer, const ClvEvKeys *keys)
{
    const char *const *names = keys->ticket_names;
    guint n = names != NULL ? g_strv_length((char **)names) : 0;

    if (n == 0)
        return refer->removes;
    return n == 1 && (strcmp(names[0], refer->target) == 0 ||
                      (refer->removes && strcmp(names[0], target_of(c, refer)) == 0));
}

/* Returns a refusal, or what the policy says of who has proven himself. */
static ClvPolicyVerdict
judge_proven(const ClvConference *c, Refer *refer, const ClvEvKeys *keys)
{
    if (keys->identity == NULL || keys->proof != CLV_PROOF_TICKET)
        return (ClvPolicyVerdict){.code = CLV_CODE_FORBIDDEN, .reason = "no-ticket"};
    if (!clv_judge_agree(refer->identity, (const char *const *)refer->identities, keys->identity))
        return (ClvPolicyVerdict){
            .code = CLV_CODE_FORBIDDEN, .reason = "identity-mismatch", .rule = "the ticket"};
    g_free(refer->identity);
    refer->identity = g_strdup(keys->identity);
    refer->proof = CLV_PROOF_TICKET;
    refer->ticket_offered = FALSE;
    if (lacks_pin(c, refer))
        return no_pin();
    if (!ticket_fits(c, refer, keys))
        return (ClvPolicyVerdict){
            .code = CLV_CODE_TICKET_REFUSED, .reason = "ticket-purpose", .rule = "its names"};
    return judge(c, refer);
}

void
clv_on_refer_keys(ClvConference *c, const ClvEvent *event)
{
    Refer *refer = find(c, event->refer_id);
    ClvPolicyVerdict verdict;

    if (refer == NULL || !refer->proving)
        return;
    refer->proving = FALSE;
    verdict = judge_proven(c, refer, event->keys);
    if (!verdict.allow) {
        fail(c, refer, &verdict);
        return;
    }
    clv_say_note(c, refer->leg, refer->identity, "REFER of %s to %s %s allowed: %s by %s",
                 name_of(refer), verb_of(refer), refer->target, verdict.reason, verdict.rule);
    carry_out(c, refer);
}

void
clv_on_refer_failed(ClvConference *c, const ClvEvent *event)
{
    Refer *refer = find(c, event->refer_id);
    ClvPolicyVerdict verdict = {.code = event->code, .reason = "key management failed"};

    if (refer == NULL || !refer->proving)
        return;
    if (event->cause != NULL)
        g_snprintf(verdict.rule, sizeof verdict.rule, "the scheme: %s", event->cause);
    fail(c, refer, &verdict);
}
