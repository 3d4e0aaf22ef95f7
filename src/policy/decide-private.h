/* SPDX-License-Identifier: Apache-2.0 */
/* policy/decide-private.h - a question put to the policy, while it is being answered */
#pragma once

#include "policy/policy-private.h"

typedef struct Case {
    const ClvPolicyView *view;
    const ClvPolicyFacts *facts;
    ClvPolicyOp op;
    ClvPolicyVerdict *verdict;
} Case;

/* ---- whom the lists name (set.c) ---- */

/* Any of the clauses of an IDS key; out_origin: (nullable) which. */
gboolean clv_policy_any_clause(const Case *in, KeyId id, const char *identity,
                               const char **out_origin);
/* All of them; out_origin: (nullable) the one that objects, else the last. */
gboolean clv_policy_all_clauses(const Case *in, KeyId id, const char *identity,
                                const char **out_origin);
gboolean clv_policy_is_creator(const Case *in, const char *identity);

/* The allowed set, but for those denied. @out_origin: the line that says so, either way. */
gboolean clv_policy_set_admits(const Case *in, const char *identity, const char **out_origin);
/* Could anybody but @creator ever be in? */
gboolean clv_policy_set_has_others(const Case *in, const char *creator);

/* ---- verdicts (decide.c) ---- */

/* Both return FALSE. */
gboolean clv_policy_refuse(const Case *in, ClvCode code, const char *reason, const char *origin);
gboolean clv_policy_refuse_by(const Case *in, ClvCode code, const char *reason, KeyId id);
void clv_policy_let_in(const Case *in, const char *reason, const char *origin);

/* ---- who answered a call of ours (answer.c): TRUE when there is no objection ---- */
gboolean clv_policy_check_answerer(const Case *in);
