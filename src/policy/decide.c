/* SPDX-License-Identifier: Apache-2.0 */
/* policy/decide.c - may this identity do this here, now? And which line says so?
 *
 * An operation is a row of checks in the order of the policy model; the first that objects gives
 * the verdict. A check that needs an identity passes while none is known: the offer may hold a
 * ticket, and the question is asked again when that has been resolved.
 */
#include "policy/policy-private.h"

#include "base/identity.h"

#include <string.h>

typedef struct Case {
    const ClvPolicyView *view;
    const ClvPolicyFacts *facts;
    ClvPolicyOp op;
    ClvPolicyVerdict *verdict;
} Case;

/* ---- identity lists ---- */

static gboolean ids_match(const Case *in, const IdList *ids, const char *identity);

static gboolean
in_strv(const char *const *names, const char *identity)
{
    return names != NULL && g_strv_contains(names, identity);
}

/* Any of the clauses; out_origin: (nullable) which. */
static gboolean
any_clause(const Case *in, KeyId id, const char *identity, const char **out_origin)
{
    const GArray *clauses = in->view->rules[id]->clauses;

    for (guint i = 0; i < clauses->len; i++) {
        const Clause *clause = &g_array_index(clauses, Clause, i);

        if (ids_match(in, clause->ids, identity)) {
            if (out_origin != NULL)
                *out_origin = clause->origin;
            return TRUE;
        }
    }
    return FALSE;
}

/* All of the clauses; out_origin: (nullable) the one that objects, else the last. */
static gboolean
all_clauses(const Case *in, KeyId id, const char *identity, const char **out_origin)
{
    const GArray *clauses = in->view->rules[id]->clauses;

    for (guint i = 0; i < clauses->len; i++) {
        const Clause *clause = &g_array_index(clauses, Clause, i);

        if (out_origin != NULL)
            *out_origin = clause->origin;
        if (!ids_match(in, clause->ids, identity))
            return FALSE;
    }
    return clauses->len > 0;
}

static gboolean
is_creator(const Case *in, const char *identity)
{
    return g_strcmp0(in->facts->creator, identity) == 0;
}

static gboolean
is_owner(const Case *in, const char *identity)
{
    return any_clause(in, KEY_OWNERS, identity, NULL);
}

static gboolean
is_moderator(const Case *in, const char *identity)
{
    return any_clause(in, KEY_MODERATORS, identity, NULL);
}

static gboolean
is_in_ticket(const Case *in, const char *identity)
{
    return in_strv(in->facts->ticket_names, identity);
}

static gboolean
is_participant(const Case *in, const char *identity)
{
    return in->op == CLV_OP_STAY || in->facts->n_endpoints > 0;
}

static gboolean
is_anybody(const Case *in, const char *identity)
{
    return !clv_identity_is_anonymous(identity);
}

static gboolean
is_nobody(const Case *in, const char *identity)
{
    return FALSE;
}

static gboolean (*const word_matches[N_ID_WORDS])(const Case *, const char *) = {
    [WORD_CREATOR] = is_creator,
    [WORD_TICKET] = is_in_ticket,
    [WORD_OWNERS] = is_owner,
    [WORD_MODERATORS] = is_moderator,
    [WORD_PARTICIPANTS] = is_participant,
    [WORD_ANY] = is_anybody,
    [WORD_NOBODY] = is_nobody,
};

static gboolean
pattern_matches(const Case *in, const Pattern *pattern, const char *identity)
{
    switch (pattern->kind) {
    case PATTERN_EXACT:
        return strcmp(pattern->text, identity) == 0;
    case PATTERN_GLOB:
        return clv_identity_match(pattern->text, identity);
    case PATTERN_LIST:
        return ids_match(in, pattern->list, identity);
    case PATTERN_WORD:
        return word_matches[pattern->word](in, identity);
    }
    return FALSE;
}

/* Exclusions win, whatever the order. */
static gboolean
ids_match(const Case *in, const IdList *ids, const char *identity)
{
    gboolean included = FALSE;

    for (guint i = 0; i < ids->n_patterns; i++) {
        const Pattern *pattern = &ids->patterns[i];

        if (included && !pattern->exclude)
            continue;
        if (!pattern_matches(in, pattern, identity))
            continue;
        if (pattern->exclude)
            return FALSE;
        included = TRUE;
    }
    return included;
}

/* ---- the allowed set: P, T, D and the creator (4.2 of the policy model) ---- */

static gboolean
has_ticket_list(const Case *in)
{
    return in->facts->ticket_names != NULL && in->facts->ticket_names[0] != NULL;
}

/* Does the file's side decide when the ticket names nobody? */
static gboolean
file_decides(const Case *in)
{
    return view_number(in->view, KEY_TICKET_AUTHORITY) == AUTHORITY_EXTEND ||
           (!has_ticket_list(in) && view_number(in->view, KEY_NO_TICKET_LIST) == NO_LIST_POLICY);
}

static gboolean
ticket_admits(const Case *in, const char *identity, const char **out_origin)
{
    gint64 authority = view_number(in->view, KEY_TICKET_AUTHORITY);

    if (!is_in_ticket(in, identity)) {
        *out_origin = in->view->rules[KEY_TICKET_AUTHORITY]->origin;
        return FALSE;
    }
    if (authority == AUTHORITY_NARROW)
        return all_clauses(in, KEY_ALLOW, identity, out_origin);
    *out_origin = in->view->rules[KEY_TICKET_AUTHORITY]->origin;
    return TRUE;
}

static gboolean
set_admits(const Case *in, const char *identity, const char **out_origin)
{
    if (is_creator(in, identity)) {
        *out_origin = "creation";
        return TRUE;
    }
    if (file_decides(in) && all_clauses(in, KEY_ALLOW, identity, out_origin))
        return TRUE;
    if (has_ticket_list(in))
        return ticket_admits(in, identity, out_origin);
    if (!file_decides(in))
        *out_origin = in->view->rules[KEY_NO_TICKET_LIST]->origin;
    return FALSE;
}

/* Could the file alone admit somebody besides @creator? */
static gboolean ids_have_others(const Case *in, const IdList *ids, const char *creator);

static gboolean
key_has_others(const Case *in, KeyId id, const char *creator)
{
    const GArray *clauses = in->view->rules[id]->clauses;

    for (guint i = 0; i < clauses->len; i++) {
        if (ids_have_others(in, g_array_index(clauses, Clause, i).ids, creator))
            return TRUE;
    }
    return FALSE;
}

static gboolean
word_has_others(const Case *in, IdWord word, const char *creator)
{
    if (word == WORD_OWNERS || word == WORD_MODERATORS)
        return key_has_others(in, word == WORD_OWNERS ? KEY_OWNERS : KEY_MODERATORS, creator);
    return word == WORD_ANY;
}

static gboolean
ids_have_others(const Case *in, const IdList *ids, const char *creator)
{
    for (guint i = 0; i < ids->n_patterns; i++) {
        const Pattern *pattern = &ids->patterns[i];
        gboolean has = FALSE;

        if (pattern->exclude)
            continue;
        if (pattern->kind == PATTERN_EXACT)
            has = strcmp(pattern->text, creator) != 0;
        else if (pattern->kind == PATTERN_GLOB)
            has = TRUE;
        else if (pattern->kind == PATTERN_LIST)
            has = ids_have_others(in, pattern->list, creator);
        else
            has = word_has_others(in, pattern->word, creator);
        if (has)
            return TRUE;
    }
    return FALSE;
}

static gboolean
file_has_others(const Case *in, const char *creator)
{
    const GArray *clauses = in->view->rules[KEY_ALLOW]->clauses;

    for (guint i = 0; i < clauses->len; i++) {
        if (!ids_have_others(in, g_array_index(clauses, Clause, i).ids, creator))
            return FALSE;
    }
    return clauses->len > 0;
}

static gboolean
set_has_others(const Case *in, const char *creator)
{
    const char *origin = NULL;

    for (const char *const *name = in->facts->ticket_names; name != NULL && *name != NULL; name++) {
        if (strcmp(*name, creator) != 0 && !any_clause(in, KEY_DENY, *name, NULL) &&
            set_admits(in, *name, &origin))
            return TRUE;
    }
    return file_decides(in) && file_has_others(in, creator);
}

/* ---- checks: TRUE when there is no objection ---- */

static gboolean
refuse(const Case *in, ClvCode code, const char *reason, const char *origin)
{
    in->verdict->allow = FALSE;
    in->verdict->undecided = FALSE;
    in->verdict->code = code;
    in->verdict->reason = reason;
    g_strlcpy(in->verdict->rule, origin, sizeof in->verdict->rule);
    return FALSE;
}

static gboolean
refuse_by(const Case *in, ClvCode code, const char *reason, KeyId id)
{
    return refuse(in, code, reason, in->view->rules[id]->origin);
}

static void
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

static gboolean
check_list_of_denied(const Case *in, KeyId id)
{
    const char *origin = NULL;

    if (in->facts->identity != NULL && any_clause(in, id, in->facts->identity, &origin))
        return refuse(in, CLV_CODE_FORBIDDEN, "denied", origin);
    return TRUE;
}

static gboolean
check_deny(const Case *in)
{
    return check_list_of_denied(in, KEY_DENY);
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
 * not anonymous; check_auth() asks him to. */
static gboolean
check_anonymous(const Case *in)
{
    const ClvPolicyFacts *facts = in->facts;
    gint64 anonymity = view_number(in->view, KEY_ANONYMITY);
    gboolean nameless = facts->identity == NULL && !facts->ticket_offered &&
                        clv_policy_min_proof(in->view) == CLV_PROOF_ASSERTED;
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
        is_creator(in, identity) || is_owner(in, identity))
        return TRUE;
    return refuse_by(in, CLV_CODE_FORBIDDEN, "locked", KEY_LOCKED);
}

#define CREATOR_RETRY_S 10

static gboolean
check_creator_present(const Case *in)
{
    const char *identity = in->facts->identity;

    if (view_number(in->view, KEY_JOIN_BEFORE_CREATOR) || in->facts->creator_present ||
        identity == NULL || is_creator(in, identity) || is_owner(in, identity))
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
    NULL,
};
static const Check join_checks[] = {
    check_time,      check_signalling, check_deny,     check_anonymous,
    check_diverted,  check_dial_in,    check_locked,   check_creator_present,
    check_scheme,    check_auth,       check_lifetime, check_allowed_set,
    check_endpoints, check_full,       NULL,
};
static const Check stay_checks[] = {
    check_time,     check_signalling, check_deny,        check_anonymous,
    check_diverted, check_auth,       check_allowed_set, NULL,
};
static const Check remove_checks[] = {check_deny, check_auth, check_moderator, NULL};
static const Check end_checks[] = {check_deny, check_auth, check_owner, NULL};

static const Check *const checks_of[] = {
    [CLV_OP_CREATE] = create_checks, [CLV_OP_JOIN] = join_checks,
    [CLV_OP_REMOVE] = remove_checks, [CLV_OP_END] = end_checks,
    [CLV_OP_STAY] = stay_checks,     [CLV_OP_ALLOW_CHANGE] = end_checks,
};

ClvPolicyVerdict
clv_policy_decide(const ClvPolicyView *view, ClvPolicyOp op, const ClvPolicyFacts *facts)
{
    ClvPolicyVerdict verdict = {.code = CLV_CODE_OK, .reason = "allowed"};
    const Case in = {view, facts, op, &verdict};

    g_return_val_if_fail((guint)op < G_N_ELEMENTS(checks_of), verdict);

    for (const Check *check = checks_of[op]; *check != NULL; check++) {
        if (!(*check)(&in))
            return verdict;
    }
    verdict.allow = !verdict.undecided;
    if (verdict.undecided) {
        verdict.reason = "undecided";
        g_strlcpy(verdict.rule, view->rules[KEY_AUTH]->origin, sizeof verdict.rule);
    }
    return verdict;
}

gboolean
clv_policy_is_owner(const ClvPolicyView *view, const char *identity, const char *creator)
{
    const ClvPolicyFacts facts = {.identity = identity, .creator = creator};
    const Case in = {view, &facts, CLV_OP_END, NULL};

    return is_owner(&in, identity);
}
