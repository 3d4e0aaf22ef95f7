/* SPDX-License-Identifier: Apache-2.0 */
/* daemon/explain.c - the policy in the operator's words */
#include "daemon/explain.h"

#include <string.h>

#include "base/identity.h"

/* ---- which view? ---- */

/* "sip:TOKEN.SERVICE@HOST" of a factory's service. */
static const ClvPolicyFactory *
factory_behind(const ClvPolicy *policy, const char *uri)
{
    for (guint i = 0; i < clv_policy_n_factories(policy); i++) {
        const ClvPolicyFactory *factory = clv_policy_factory(policy, i);
        g_autofree char *end = g_strdup_printf(".%s@%s", factory->service, factory->host);

        if (g_str_has_suffix(uri, end))
            return factory;
    }
    return NULL;
}

static ClvPolicyView *
find_by_uri(ClvPolicy *policy, const char *uri, gboolean *out_creates)
{
    const ClvPolicyConference *conference = clv_policy_find_conference(policy, uri);
    const ClvPolicyFactory *factory = clv_policy_find_factory(policy, uri);

    *out_creates = conference == NULL && factory != NULL;
    if (conference != NULL)
        return clv_policy_view_conference(policy, conference->name);
    if (factory == NULL)
        factory = factory_behind(policy, uri);
    return factory != NULL ? clv_policy_view_factory(policy, factory->name) : NULL;
}

ClvPolicyView *
clv_explain_find(ClvPolicy *policy, const char *target, gboolean *out_creates)
{
    g_autofree char *uri = clv_identity_canonical(target, -1);
    ClvPolicyView *view;

    if (uri != NULL)
        return find_by_uri(policy, uri, out_creates);
    *out_creates = FALSE;
    view = clv_policy_view_conference(policy, target);
    if (view != NULL)
        return view;
    *out_creates = TRUE;
    return clv_policy_view_factory(policy, target);
}

/* ---- the verdict ---- */

static const struct {
    const char *word;
    ClvPolicyOp op;
} ops[] = {
    {"create", CLV_OP_CREATE},       {"join", CLV_OP_JOIN}, {"refer", CLV_OP_REFER_ADD},
    {"remove", CLV_OP_REFER_REMOVE}, {"dial", CLV_OP_DIAL},
};

gboolean
clv_explain_op(const char *word, gboolean creates, ClvPolicyOp *out)
{
    if (word == NULL) {
        *out = creates ? CLV_OP_CREATE : CLV_OP_JOIN;
        return TRUE;
    }
    for (guint i = 0; i < G_N_ELEMENTS(ops); i++) {
        if (strcmp(ops[i].word, word) == 0) {
            *out = ops[i].op;
            return TRUE;
        }
    }
    return FALSE;
}

static const char *
word_of(ClvPolicyOp op)
{
    for (guint i = 0; i < G_N_ELEMENTS(ops); i++) {
        if (ops[i].op == op)
            return ops[i].word;
    }
    return "?";
}

ClvPolicyFacts
clv_explain_facts(const char *identity, gint64 wall_us)
{
    return (ClvPolicyFacts){
        .identity = identity,
        .proof = CLV_PROOF_TICKET,
        .secured = TRUE,
        .tls = TRUE,
        .creator_present = TRUE,
        .wall_us = wall_us,
    };
}

static const char *
verdict_word(const ClvPolicyVerdict *verdict)
{
    if (!verdict->allow)
        return "refused";
    return verdict->waits       ? "waits in the lobby"
           : verdict->needs_pin ? "allowed, with the PIN"
                                : "allowed";
}

void
clv_explain_verdict(const ClvPolicyView *view, ClvPolicyOp op, const ClvPolicyFacts *facts,
                    ClvReport *report)
{
    ClvPolicyFacts supposed = *facts;
    ClvPolicyVerdict verdict;

    /* Whom a ticket will name is not known before it is there. */
    if (op == CLV_OP_CREATE && facts->ticket_names == NULL)
        supposed.ticket_offered = TRUE;
    verdict = clv_policy_decide(view, op, &supposed);
    clv_report_text(report, "who", facts->identity);
    clv_report_text(report, "what", word_of(op));
    clv_report_text(report, "where", clv_policy_view_name(view));
    clv_report_text(report, "verdict", verdict_word(&verdict));
    clv_report_text(report, "reason", verdict.reason);
    clv_report_text(report, "rule", verdict.rule);
    if (verdict.retry_after_s > 0)
        clv_report_int(report, "retry-after-s", verdict.retry_after_s);
    clv_report_text(report, "supposed", "a ticket proves who it is, over TLS");
}

/* ---- the values ---- */

static void
add_value(const char *key, const char *value, const char *origin, void *user)
{
    clv_report_cell(user, key);
    clv_report_cell(user, value);
    clv_report_cell(user, origin);
}

void
clv_explain_view(const ClvPolicyView *view, ClvReport *report)
{
    static const char *const columns[] = {"key", "value", "from", NULL};

    clv_report_text(report, "policy", clv_policy_view_name(view));
    clv_report_table(report, "values", columns);
    clv_policy_view_each(view, add_value, report);
}
