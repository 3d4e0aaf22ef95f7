/* SPDX-License-Identifier: Apache-2.0 */
/* policy/answer.c - is who answered a call of ours the one who was called, or may he stand in?
 *
 * The table of 5.13 of the conference digest. Only what the keys prove, and what a trusted peer
 * asserts, makes an identity known; what somebody claims can speak against him, never for him.
 */
#include "policy/decide-private.h"

#include "base/identity.h"

#include <string.h>

#define refuse_by clv_policy_refuse_by

typedef struct Answer {
    const char *called;   /* (nullable) */
    const char *proven;   /* (nullable) by his keys */
    const char *asserted; /* (nullable) by a peer that trust= takes */
    const char *claimed;  /* (nullable) */
    gboolean moved;       /* SIP says that the call was sent on */
} Answer;

static const char *
unless_anonymous(const char *identity)
{
    return identity != NULL && !clv_identity_is_anonymous(identity) ? identity : NULL;
}

static gboolean
peer_counts(const Case *in)
{
    return clv_policy_rule_has_peer(in->view->rules[KEY_TRUST], in->facts->peer_name);
}

/* Somebody with several asserted identities is whom we called when one of them is. */
static const char *
asserted_identity(const Case *in, const char *asserted)
{
    const char *const *identities = in->facts->identities;

    if (asserted == NULL || !peer_counts(in))
        return NULL;
    if (in->facts->identity != NULL && identities != NULL &&
        g_strv_contains(identities, in->facts->identity))
        return in->facts->identity;
    return unless_anonymous(asserted);
}

static Answer
read_answer(const Case *in)
{
    static const ClvAnswerer nothing;
    const ClvAnswerer *says = in->facts->answerer != NULL ? in->facts->answerer : &nothing;

    return (Answer){
        .called = in->facts->identity,
        .proven = unless_anonymous(in->facts->answered_identity),
        .asserted = asserted_identity(in, says->asserted),
        .claimed = says->claimed,
        .moved = says->forwarded || says->diverted,
    };
}

static const char *
known_identity(const Answer *answer)
{
    return answer->proven != NULL ? answer->proven : answer->asserted;
}

static gboolean
is_called(const Answer *answer, const char *identity)
{
    return g_strcmp0(answer->called, identity) == 0;
}

static gboolean
check_denied(const Case *in, const char *identity)
{
    const char *origin = NULL;

    if (identity != NULL && clv_policy_any_clause(in, KEY_DENY, identity, &origin))
        return clv_policy_refuse(in, CLV_CODE_FORBIDDEN, "denied", origin);
    return TRUE;
}

static gboolean
check_member(const Case *in, const char *identity)
{
    const char *origin = NULL;

    if (!clv_policy_set_admits(in, identity, &origin))
        return clv_policy_refuse(in, CLV_CODE_FORBIDDEN, "not-in-allowed-set", origin);
    clv_policy_let_in(in, "answered", origin);
    return TRUE;
}

/* diversion=strict: he who was called, or nobody. A forwarding that led back to him does no harm.
 */
static gboolean
judge_strictly(const Case *in, const Answer *answer)
{
    const char *known = known_identity(answer);

    if ((known != NULL && !is_called(answer, known)) ||
        (answer->claimed != NULL && !is_called(answer, answer->claimed)) ||
        (known == NULL && answer->moved))
        return refuse_by(in, CLV_CODE_FORBIDDEN, "diverted", KEY_DIVERSION);
    return TRUE;
}

/* diversion=allowed-set: whoever is in the set; check_answerer() asks that of who is known. */
static gboolean
judge_by_set(const Case *in, const Answer *answer)
{
    return answer->claimed == NULL || is_called(answer, answer->claimed) ||
           check_member(in, answer->claimed);
}

static gboolean
judge_nothing(const Case *in, const Answer *answer)
{
    return TRUE;
}

static gboolean (*const judges[])(const Case *, const Answer *) = {
    [DIVERSION_OFF] = judge_nothing,
    [DIVERSION_ALLOWED_SET] = judge_by_set,
    [DIVERSION_STRICT] = judge_strictly,
};

/* Is what is known now enough for auth= and diversion=? A proof may still come before the answer. A
 * ticket that went out and did not come back is no reason by itself: it matters with auth=ticket alone;
 * else a telephone may take the SDES line that stood beside it. */
static gboolean
check_known(const Case *in, const Answer *answer)
{
    ClvProof needed = clv_policy_min_proof(in->view);
    gboolean identified = view_number(in->view, KEY_DIVERSION) != DIVERSION_OFF;
    gboolean unproven = needed == CLV_PROOF_TICKET && answer->proven == NULL;
    gboolean unknown =
        (needed >= CLV_PROOF_ASSERTED || identified) && known_identity(answer) == NULL;

    if (!unproven && !unknown)
        return TRUE;
    if (in->facts->answer_early) {
        in->verdict->undecided = TRUE;
        return TRUE;
    }
    if (unproven)
        return refuse_by(in, CLV_CODE_FORBIDDEN, "no-ticket", KEY_AUTH);
    return refuse_by(in, CLV_CODE_FORBIDDEN, "unidentified", identified ? KEY_DIVERSION : KEY_AUTH);
}

/* Of all the names that he has, proven or not, none may be denied. */
static gboolean
check_names(const Case *in, const Answer *answer)
{
    const char *const *other = in->facts->identities;
    const char *asserted = in->facts->answerer != NULL ? in->facts->answerer->asserted : NULL;

    for (; other != NULL && *other != NULL; other++) {
        if (!check_denied(in, *other))
            return FALSE;
    }
    return check_denied(in, answer->called) && check_denied(in, answer->proven) &&
           check_denied(in, asserted) && check_denied(in, answer->claimed);
}

gboolean
clv_policy_check_answerer(const Case *in)
{
    Answer answer = read_answer(in);
    const char *who = known_identity(&answer) != NULL ? known_identity(&answer) : answer.called;

    return check_names(in, &answer) && judges[view_number(in->view, KEY_DIVERSION)](in, &answer) &&
           (who == NULL || check_member(in, who)) && check_known(in, &answer);
}
