/* SPDX-License-Identifier: Apache-2.0 */
/* policy/decide.c - may this identity do this here, now? And which line says so?
 *
 * An operation is a row of checks in the order of the policy model; the first that objects gives
 * the verdict. A check that needs an identity passes while none is known: the offer may hold a
 * ticket, and the question is asked again when that has been resolved.
 */
#include "policy/decide-private.h"

#include "base/identity.h"

#include <string.h>

#define any_clause clv_policy_any_clause
#define all_clauses clv_policy_all_clauses
#define is_creator clv_policy_is_creator
#define set_admits clv_policy_set_admits
#define set_has_others clv_policy_set_has_others
#define refuse clv_policy_refuse
#define refuse_by clv_policy_refuse_by
#define let_in clv_policy_let_in

/* ---- checks: TRUE when there is no objection ---- */

gboolean
refuse(const Case *in, ClvCode code, const char *reason, const char *origin)
{
    in->verdict->allow = FALSE;
    in->verdict->undecided = FALSE;
    in->verdict->code = code;
    in->verdict->reason = reason;
    g_strlcpy(in->verdict->rule, origin, sizeof in->verdict->rule);
    return FALSE;
}

gboolean
refuse_by(const Case *in, ClvCode code, const char *reason, KeyId id)
{
    return refuse(in, code, reason, in->view->rules[id]->origin);
}

void
let_in(const Case *in, const char *reason, const char *origin)
{
    in->verdict->reason = reason;
    g_strlcpy(in->verdict->rule, origin, sizeof in->verdict->rule);
}

#define MAX_RETRY_AFTER_S 3600

static gboolean
check_time(const Case *in)
{
    gint64 before = view_number(in->view, KEY_NOT_BEFORE);
    gint64 after = view_number(in->view, KEY_NOT_AFTER);
    gint64 now = in->facts->wall_us;

    if (now == 0)
        return TRUE;
    if (before != 0 && now < before) {
        in->verdict->retry_after_s =
            (guint)MIN((before - now - 1) / G_USEC_PER_SEC + 1, MAX_RETRY_AFTER_S);
        return refuse_by(in, CLV_CODE_UNAVAILABLE, "not-yet", KEY_NOT_BEFORE);
    }
    if (after != 0 && now >= after)
        return refuse_by(in, CLV_CODE_NOT_FOUND, "expired", KEY_NOT_AFTER);
    return TRUE;
}

static gboolean
check_signalling(const Case *in)
{
    gint64 wanted = view_number(in->view, KEY_SIGNALLING);

    if ((wanted == SIGNALLING_TLS && !in->facts->tls) ||
        (wanted == SIGNALLING_TRUSTED && !in->facts->tls && !in->facts->secured))
        return refuse_by(in, CLV_CODE_FORBIDDEN, "signalling", KEY_SIGNALLING);
    return TRUE;
}

/* Of somebody with several names none may be denied. */
static gboolean
check_list_of_denied(const Case *in, KeyId id)
{
    const char *const *other = in->facts->identities;
    const char *origin = NULL;

    if (in->facts->identity != NULL && any_clause(in, id, in->facts->identity, &origin))
        return refuse(in, CLV_CODE_FORBIDDEN, "denied", origin);
    for (; other != NULL && *other != NULL; other++) {
        if (any_clause(in, id, *other, &origin))
            return refuse(in, CLV_CODE_FORBIDDEN, "denied", origin);
    }
    return TRUE;
}

static gboolean
check_deny(const Case *in)
{
    return check_list_of_denied(in, KEY_DENY);
}

static gboolean
check_banned(const Case *in)
{
    if (in->facts->banned)
        return refuse_by(in, CLV_CODE_FORBIDDEN, "removed", KEY_BAN_ON_REMOVAL);
    return TRUE;
}

static gboolean
check_pin_tries(const Case *in)
{
    if (in->facts->pin_refused)
        return refuse_by(in, CLV_CODE_FORBIDDEN, "pin-tries", KEY_PIN_TRIES);
    return TRUE;
}

static gboolean
check_create_deny(const Case *in)
{
    return check_list_of_denied(in, KEY_CREATE_DENY);
}

static gboolean
proof_suffices(const Case *in)
{
    return in->facts->identity != NULL && in->facts->proof >= clv_policy_min_proof(in->view);
}

/* The table of 5.12 of the conference digest. Who may still prove himself by digest or ticket is
 * not anonymous, unless he says so himself and brings no ticket; check_auth() asks him to. */
static gboolean
check_anonymous(const Case *in)
{
    const ClvPolicyFacts *facts = in->facts;
    gint64 anonymity = view_number(in->view, KEY_ANONYMITY);
    ClvProof needed = clv_policy_min_proof(in->view);
    gboolean nameless =
        facts->identity == NULL && !facts->ticket_offered &&
        (needed == CLV_PROOF_ASSERTED || (needed == CLV_PROOF_TICKET && facts->anonymous));
    gboolean invalid = facts->identity != NULL && clv_identity_is_anonymous(facts->identity);
    gboolean hides = facts->anonymous && facts->identity != NULL;

    if (((nameless || invalid) && anonymity != ANONYMITY_ALLOW) ||
        (hides && anonymity == ANONYMITY_REJECT))
        return refuse_by(in, CLV_CODE_ANONYMITY, "anonymous", KEY_ANONYMITY);
    return TRUE;
}

static gboolean
check_diverted(const Case *in)
{
    if (in->facts->diverted && view_number(in->view, KEY_DIVERTED_DIAL_IN) == DIVERTED_REJECT)
        return refuse_by(in, CLV_CODE_FORBIDDEN, "diverted", KEY_DIVERTED_DIAL_IN);
    return TRUE;
}

/* The creator's own dialogs are his conference, not a dial-in. */
static gboolean
check_dial_in(const Case *in)
{
    const char *identity = in->facts->identity;

    if (view_number(in->view, KEY_DIAL_IN) || identity == NULL || is_creator(in, identity))
        return TRUE;
    return refuse_by(in, CLV_CODE_FORBIDDEN, "dial-in-off", KEY_DIAL_IN);
}

/* Keeps out who is not there yet; creator and owners can always come back. */
static gboolean
check_locked(const Case *in)
{
    const char *identity = in->facts->identity;

    if (!in->facts->locked || identity == NULL || in->facts->n_endpoints > 0 ||
        is_creator(in, identity) || any_clause(in, KEY_OWNERS, identity, NULL))
        return TRUE;
    /* locked while it ran, against or without a word of the files */
    if (!view_number(in->view, KEY_LOCKED))
        return refuse(in, CLV_CODE_FORBIDDEN, "locked", "order");
    return refuse_by(in, CLV_CODE_FORBIDDEN, "locked", KEY_LOCKED);
}

#define CREATOR_RETRY_S 10

/* Nobody is in who could answer for the conference, and this one cannot either. Who was admitted
 * has been let in by somebody who may. */
static gboolean
lacks_creator(const Case *in)
{
    const char *identity = in->facts->identity;

    return !view_number(in->view, KEY_JOIN_BEFORE_CREATOR) && !in->facts->creator_present &&
           !in->facts->admitted && identity != NULL && !is_creator(in, identity) &&
           !any_clause(in, KEY_OWNERS, identity, NULL);
}

/* With a lobby he waits there. */
static gboolean
check_creator_present(const Case *in)
{
    if (!lacks_creator(in) || view_number(in->view, KEY_LOBBY))
        return TRUE;
    in->verdict->retry_after_s = CREATOR_RETRY_S;
    return refuse_by(in, CLV_CODE_UNAVAILABLE, "creator-absent", KEY_JOIN_BEFORE_CREATOR);
}

static gboolean
check_scheme(const Case *in)
{
    gboolean found = in->facts->scheme == CLV_SCHEME_NONE;

    for (const ClvScheme *s = in->view->schemes; !found && *s != CLV_SCHEME_NONE; s++)
        found = *s == in->facts->scheme;
    if (!found)
        return refuse_by(in, CLV_CODE_KEYMGMT_UNACCEPTABLE, "unsecured-media", KEY_KEY_MGMT_ALLOW);
    found = in->facts->suite == CLV_SRTP_NONE;
    for (const ClvSrtpSuite *s = in->view->suites; !found && *s != CLV_SRTP_NONE; s++)
        found = *s == in->facts->suite;
    if (!found)
        return refuse_by(in, CLV_CODE_KEYMGMT_UNACCEPTABLE, "unsecured-media", KEY_SRTP_SUITES);
    return TRUE;
}

/* A ticket's start is not known here: what is left of it must not be more than the whole may be. */
#define CLOCK_SKEW_US (300 * G_USEC_PER_SEC)

static gboolean
check_lifetime(const Case *in)
{
    gint64 longest_us = view_number(in->view, KEY_MAX_TICKET_LIFETIME) * 1000;

    if (in->facts->proof != CLV_PROOF_TICKET || in->facts->wall_us == 0 ||
        in->facts->expires_us == 0)
        return TRUE;
    if (in->facts->expires_us - in->facts->wall_us > longest_us + CLOCK_SKEW_US)
        return refuse_by(in, CLV_CODE_TICKET_REFUSED, "ticket-lifetime", KEY_MAX_TICKET_LIFETIME);
    return TRUE;
}

static gboolean
check_auth(const Case *in)
{
    ClvProof needed = clv_policy_min_proof(in->view);

    if (proof_suffices(in))
        return TRUE;
    if (in->facts->ticket_offered) {
        in->verdict->undecided = TRUE;
        return TRUE;
    }
    if (needed == CLV_PROOF_TICKET)
        return refuse_by(in, CLV_CODE_KEYMGMT_UNACCEPTABLE, "no-ticket", KEY_AUTH);
    if (needed == CLV_PROOF_DIGEST)
        return refuse_by(in, CLV_CODE_UNAUTHENTICATED, "unauthenticated", KEY_AUTH);
    return refuse_by(in, CLV_CODE_FORBIDDEN, "not-asserted", KEY_AUTH);
}

static gboolean
check_allowed_set(const Case *in)
{
    const char *identity = in->facts->identity;
    const char *origin = NULL;

    if (identity == NULL)
        return TRUE;
    if (!set_admits(in, identity, &origin))
        return refuse(in, CLV_CODE_FORBIDDEN, "not-in-allowed-set", origin);
    let_in(in, is_creator(in, identity) ? "creator" : "in-allowed-set", origin);
    return TRUE;
}

static gboolean
check_endpoints(const Case *in)
{
    if (in->facts->identity != NULL &&
        in->facts->n_endpoints >= view_number(in->view, KEY_MAX_ENDPOINTS_PER_USER))
        return refuse_by(in, CLV_CODE_FULL, "too-many", KEY_MAX_ENDPOINTS_PER_USER);
    return TRUE;
}

static gboolean
check_full(const Case *in)
{
    static const ClvCode codes[] = {[FULL_486] = CLV_CODE_FULL, [FULL_480] = CLV_CODE_UNAVAILABLE};

    if (in->facts->identity != NULL && in->facts->n_endpoints == 0 &&
        in->facts->n_participants >= view_number(in->view, KEY_MAX_PARTICIPANTS))
        return refuse_by(in, codes[view_number(in->view, KEY_FULL_STATUS)], "full",
                         KEY_MAX_PARTICIPANTS);
    return TRUE;
}

static gboolean
check_create_allow(const Case *in)
{
    const char *origin = NULL;

    if (in->facts->identity == NULL)
        return TRUE;
    if (!all_clauses(in, KEY_CREATE_ALLOW, in->facts->identity, &origin))
        return refuse(in, CLV_CODE_FORBIDDEN, "not-in-create-allow",
                      origin != NULL ? origin : in->view->rules[KEY_CREATE_ALLOW]->origin);
    let_in(in, "may-create", origin);
    return TRUE;
}

static gboolean
check_create_counts(const Case *in)
{
    if (in->facts->n_total >= view_number(in->view, KEY_CREATE_MAX_TOTAL))
        return refuse_by(in, CLV_CODE_OVERLOAD, "too-many", KEY_CREATE_MAX_TOTAL);
    if (in->facts->identity != NULL &&
        in->facts->n_by_creator >= view_number(in->view, KEY_CREATE_MAX_PER_USER))
        return refuse_by(in, CLV_CODE_FORBIDDEN, "too-many", KEY_CREATE_MAX_PER_USER);
    return TRUE;
}

/* Asked when the ticket's list is known: nobody but the creator could ever come. */
static gboolean
check_create_empty(const Case *in)
{
    if (view_number(in->view, KEY_CREATE_EMPTY) || in->verdict->undecided ||
        in->facts->ticket_offered || in->facts->identity == NULL)
        return TRUE;
    if (!set_has_others(in, in->facts->identity))
        return refuse_by(in, CLV_CODE_FORBIDDEN, "empty-set", KEY_CREATE_EMPTY);
    return TRUE;
}

static gboolean
check_owner(const Case *in)
{
    const char *origin = in->view->rules[KEY_OWNERS]->origin;

    if (in->facts->identity == NULL && in->verdict->undecided) /* a ticket may still tell */
        return TRUE;
    if (in->facts->identity == NULL || !any_clause(in, KEY_OWNERS, in->facts->identity, &origin))
        return refuse(in, CLV_CODE_FORBIDDEN, "not-owner", origin);
    let_in(in, "owner", origin);
    return TRUE;
}

static gboolean
check_moderator(const Case *in)
{
    const char *identity = in->facts->identity;
    const char *origin = NULL;

    if (identity == NULL || !any_clause(in, KEY_MODERATORS, identity, &origin))
        return check_owner(in);
    let_in(in, "moderator", origin);
    return TRUE;
}

/* ---- checks of REFERs and dial-outs ---- */

static gboolean
check_dial_out(const Case *in)
{
    if (!view_number(in->view, KEY_DIAL_OUT))
        return refuse_by(in, CLV_CODE_FORBIDDEN, "dial-out-off", KEY_DIAL_OUT);
    return TRUE;
}

/* With refer-ticket=required it is the ticket of the REFER that counts, not that of a dialog. */
static gboolean
check_refer_auth(const Case *in)
{
    if (view_number(in->view, KEY_REFER_TICKET) != REFER_TICKET_REQUIRED)
        return check_auth(in);
    if (in->facts->proof == CLV_PROOF_TICKET && in->facts->identity != NULL)
        return TRUE;
    if (!in->facts->ticket_offered)
        return refuse_by(in, CLV_CODE_FORBIDDEN, "no-ticket", KEY_REFER_TICKET);
    in->verdict->undecided = TRUE;
    return TRUE;
}

static gboolean
check_refer_allow(const Case *in)
{
    const char *identity = in->facts->identity;
    const char *origin = NULL;

    if (identity == NULL)
        return TRUE;
    if (!all_clauses(in, KEY_REFER_ALLOW, identity, &origin))
        return refuse(in, CLV_CODE_FORBIDDEN, "not-in-refer-allow", origin);
    let_in(in, "may-refer", origin);
    return TRUE;
}

/* Creator, moderators and owners may remove anybody, and everybody himself. */
static gboolean
check_remover(const Case *in)
{
    const char *identity = in->facts->identity;

    if (identity == NULL)
        return TRUE;
    if (g_strcmp0(in->facts->target, identity) == 0) {
        let_in(in, "oneself", "built-in");
        return TRUE;
    }
    if (is_creator(in, identity)) {
        let_in(in, "creator", "creation");
        return TRUE;
    }
    return check_moderator(in);
}

/* ---- operations ---- */

typedef gboolean (*Check)(const Case *in);

static const Check create_checks[] = {
    check_time,
    check_signalling,
    check_create_deny,
    check_deny,
    check_anonymous,
    check_diverted,
    check_scheme,
    check_auth,
    check_lifetime,
    check_create_allow,
    check_create_counts,
    check_create_empty,
    check_pin_tries,
    NULL,
};
static const Check join_checks[] = {
    check_time,     check_signalling, check_deny,        check_banned,          check_anonymous,
    check_diverted, check_dial_in,    check_locked,      check_creator_present, check_scheme,
    check_auth,     check_lifetime,   check_allowed_set, check_endpoints,       check_full,
    check_pin_tries, NULL,
};
static const Check stay_checks[] = {
    check_time,     check_signalling, check_deny,        check_banned, check_anonymous,
    check_diverted, check_auth,       check_allowed_set, NULL,
};
static const Check remove_checks[] = {
    check_deny,
    check_auth,
    check_moderator,
    NULL,
};
static const Check end_checks[] = {
    check_deny,
    check_auth,
    check_owner,
    NULL,
};
static const Check refer_add_checks[] = {
    check_time,     check_signalling, check_deny,     check_banned,      check_anonymous,
    check_dial_out, check_refer_auth, check_lifetime, check_allowed_set, check_refer_allow,
    NULL,
};
static const Check refer_remove_checks[] = {
    check_signalling, check_deny, check_anonymous, check_refer_auth, check_lifetime,
    check_remover,    NULL,
};
/* Nobody is called, and nobody answers, without a name to be judged by. */
static gboolean
check_named(const Case *in)
{
    return in->facts->identity != NULL ||
           refuse_by(in, CLV_CODE_FORBIDDEN, "not-in-allowed-set", KEY_ALLOW);
}

static const Check dial_checks[] = {
    check_named,       check_time,      check_deny,      check_banned, check_dial_out, check_locked,
    check_allowed_set, check_endpoints, check_full,   check_pin_tries, NULL,
};
static const Check answer_checks[] = {
    check_named,    check_time,     check_banned,    check_dial_out,
    check_locked,   check_scheme,    clv_policy_check_answerer,
    check_lifetime, check_endpoints, check_full,     check_pin_tries,
    NULL,
};

static const Check *const checks_of[] = {
    [CLV_OP_CREATE] = create_checks,       [CLV_OP_JOIN] = join_checks,
    [CLV_OP_REMOVE] = remove_checks,       [CLV_OP_END] = end_checks,
    [CLV_OP_STAY] = stay_checks,           [CLV_OP_ALLOW_CHANGE] = end_checks,
    [CLV_OP_REFER_ADD] = refer_add_checks, [CLV_OP_REFER_REMOVE] = refer_remove_checks,
    [CLV_OP_DIAL] = dial_checks,           [CLV_OP_ANSWER] = answer_checks,
    [CLV_OP_LOCK] = remove_checks,
};

/* ---- what comes with being let in ---- */

/* Whoever could let himself in does not wait, nor who is in already. */
static gboolean
opens_himself(const Case *in)
{
    const char *identity = in->facts->identity;

    return in->facts->n_endpoints > 0 || is_creator(in, identity) ||
           any_clause(in, KEY_OWNERS, identity, NULL) ||
           any_clause(in, KEY_MODERATORS, identity, NULL);
}

static gboolean
waits_in_lobby(const Case *in)
{
    return in->op == CLV_OP_JOIN && view_number(in->view, KEY_LOBBY) && !in->facts->admitted &&
           (lacks_creator(in) || !opens_himself(in));
}

static gboolean
needs_pin(const Case *in)
{
    return (in->op == CLV_OP_CREATE || in->op == CLV_OP_JOIN || in->op == CLV_OP_ANSWER) &&
           view_number(in->view, KEY_PIN) == PIN_ADDITIONAL;
}

/* Which key waits for a proof? */
static KeyId
awaited_key(const Case *in)
{
    gboolean refers = in->op == CLV_OP_REFER_ADD || in->op == CLV_OP_REFER_REMOVE;

    if (refers && view_number(in->view, KEY_REFER_TICKET) == REFER_TICKET_REQUIRED)
        return KEY_REFER_TICKET;
    return in->op == CLV_OP_ANSWER && view_number(in->view, KEY_DIVERSION) != DIVERSION_OFF
               ? KEY_DIVERSION
               : KEY_AUTH;
}

static ClvPolicyVerdict
decide_for(const ClvPolicyView *view, ClvPolicyOp op, const ClvPolicyFacts *facts)
{
    ClvPolicyVerdict verdict = {.code = CLV_CODE_OK, .reason = "allowed"};
    const Case in = {view, facts, op, &verdict};

    verdict.identity = facts->identity;
    for (const Check *check = checks_of[op]; *check != NULL; check++) {
        if (!(*check)(&in))
            return verdict;
    }
    verdict.allow = !verdict.undecided;
    verdict.waits = verdict.allow && waits_in_lobby(&in);
    verdict.needs_pin = verdict.allow && needs_pin(&in);
    if (verdict.undecided)
        let_in(&in, "undecided", view->rules[awaited_key(&in)]->origin);
    return verdict;
}

/* Better for who asks: let in, not yet known, waiting, refused. */
static guint
rank(const ClvPolicyVerdict *verdict)
{
    return verdict->allow ? (verdict->waits ? 2 : 3) : verdict->undecided ? 1 : 0;
}

/* Of several asserted identities one that is let in will do. */
static ClvPolicyVerdict
decide_for_each(const ClvPolicyView *view, ClvPolicyOp op, const ClvPolicyFacts *facts)
{
    ClvPolicyFacts one = *facts;
    ClvPolicyVerdict best = decide_for(view, op, facts);

    for (const char *const *identity = facts->identities; *identity != NULL; identity++) {
        ClvPolicyVerdict verdict;

        one.identity = *identity;
        verdict = decide_for(view, op, &one);
        if (rank(&verdict) > rank(&best))
            best = verdict;
    }
    return best;
}

/* An assertion by a peer that trust= does not name proves nothing; it can still speak against him.
 */
static gboolean
assertion_counts(const ClvPolicyView *view, const ClvPolicyFacts *facts)
{
    return facts->proof != CLV_PROOF_ASSERTED ||
           clv_policy_rule_has_peer(view->rules[KEY_TRUST], facts->peer_name);
}

ClvPolicyVerdict
clv_policy_decide(const ClvPolicyView *view, ClvPolicyOp op, const ClvPolicyFacts *facts)
{
    ClvPolicyFacts judged = *facts;

    g_return_val_if_fail((guint)op < G_N_ELEMENTS(checks_of), (ClvPolicyVerdict){0});

    if (op == CLV_OP_DIAL || op == CLV_OP_ANSWER)
        return decide_for(view, op, facts);
    if (!assertion_counts(view, facts))
        judged.proof = CLV_PROOF_NONE;
    if (judged.identities != NULL && judged.proof == CLV_PROOF_ASSERTED)
        return decide_for_each(view, op, &judged);
    return decide_for(view, op, &judged);
}

gboolean
clv_policy_is_owner(const ClvPolicyView *view, const char *identity, const char *creator)
{
    const ClvPolicyFacts facts = {.identity = identity, .creator = creator};
    const Case in = {view, &facts, CLV_OP_END, NULL};

    return any_clause(&in, KEY_OWNERS, identity, NULL);
}
