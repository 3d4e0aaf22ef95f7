/* SPDX-License-Identifier: Apache-2.0 */
/* daemon/explain.h - what does the policy say of somebody, and which line says so?
 *
 * For conclavectl: asked of a running server, and of files alone.
 */
#pragma once

#include "admin/report.h"
#include "policy/policy.h"

/**
 * clv_explain_find:
 * @target: URI of a factory, a [conference] or a conference that a factory could have made; or the
 *          name of a [conference] or [factory]
 * @out_creates: (out): it is a factory itself that is asked about
 *
 * Returns: (transfer full) (nullable)
 */
ClvPolicyView *clv_explain_find(ClvPolicy *policy, const char *target, gboolean *out_creates);

/* "join", "create", "refer", "remove", "dial"; NULL: create for a factory, else join. */
gboolean clv_explain_op(const char *word, gboolean creates, ClvPolicyOp *out);

/* The best that somebody could bring: a ticket, TLS, nothing hidden, no other call. What is known
 * of the conference is for the caller to add. */
ClvPolicyFacts clv_explain_facts(const char *identity, gint64 wall_us);

/* Each value and where it comes from. */
void clv_explain_view(const ClvPolicyView *view, ClvReport *report);
/* The verdict and the line that decides. */
void clv_explain_verdict(const ClvPolicyView *view, ClvPolicyOp op, const ClvPolicyFacts *facts,
                         ClvReport *report);
