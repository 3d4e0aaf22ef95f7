/* SPDX-License-Identifier: Apache-2.0 */
/* tests/fuzz/fuzz-policy.c - can a policy file do more than be right or wrong?
 *
 * The input is one policy, or a running and a new one with an octet 0x1e between them. What loads
 * is asked for a verdict on everybody, and merged; what does not must have said why.
 */
#include "policy/policy.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const guint8 *data, gsize size);

#define MAX_BYTES 65536 /* keeps a run short; the real limit has a test of its own */

static ClvPolicy *
read_policy(const guint8 *data, gsize size)
{
    g_autoptr(GPtrArray) errors = g_ptr_array_new_with_free_func(g_free);
    ClvPolicy *policy = clv_policy_parse("fuzz", (const char *)data, size, errors);

    if ((policy == NULL) != (errors->len > 0))
        abort();
    for (guint i = 0; i < errors->len; i++) {
        if (!g_str_has_prefix(errors->pdata[i], "fuzz:"))
            abort();
    }
    return policy;
}

static void
ask(const ClvPolicyView *view)
{
    static const char *const people[] = {"sip:alice@example.org", "sip:bob@eng.example.org",
                                         "tel:+493012345", "sip:x@anonymous.invalid", NULL};
    static const char *const names[] = {"sip:bob@eng.example.org", NULL};
    static const char *const both[] = {"sip:alice@example.org", "tel:+493012345", NULL};
    static const ClvAnswerer answerer = {.forwarded = TRUE, .asserted = "sip:bob@eng.example.org"};

    for (guint i = 0; i < G_N_ELEMENTS(people); i++) {
        for (guint op = CLV_OP_CREATE; op <= CLV_OP_LOCK; op++) {
            const ClvPolicyFacts facts = {
                .identity = people[i],
                .proof = people[i] != NULL ? CLV_PROOF_TICKET : CLV_PROOF_NONE,
                .ticket_offered = people[i] == NULL && op % 2 == 0,
                .creator = op != CLV_OP_CREATE ? people[0] : NULL,
                .ticket_names = i % 2 == 0 ? names : NULL,
                .tls = TRUE,
                .target = people[0],
                .answerer = i % 2 == 0 ? &answerer : NULL,
                .answer_early = op % 2 == 0,
                .identities = i == 0 ? both : NULL,
                .peer_name = i % 2 == 0 ? "192.0.2.1" : NULL,
                .wall_us = G_GINT64_CONSTANT(1893456000000000),
            };
            ClvPolicyVerdict v = clv_policy_decide(view, (ClvPolicyOp)op, &facts);

            if ((v.allow && v.undecided) || v.reason == NULL || v.rule[0] == '\0' ||
                (!v.allow && !v.undecided && v.code == CLV_CODE_OK))
                abort();
        }
    }
}

static void
look_at(const char *key, const char *value, const char *origin, void *user)
{
    if (key[0] == '\0' || value == NULL || origin[0] == '\0')
        abort();
}

static ClvPolicyView *
first_view(ClvPolicy *policy)
{
    if (policy != NULL && clv_policy_n_factories(policy) > 0)
        return clv_policy_view_factory(policy, clv_policy_factory(policy, 0)->name);
    if (policy != NULL && clv_policy_n_conferences(policy) > 0)
        return clv_policy_view_conference(policy, clv_policy_conference(policy, 0)->name);
    return NULL;
}

int
LLVMFuzzerTestOneInput(const guint8 *data, gsize size)
{
    const guint8 *cut = size > 0 ? memchr(data, 0x1e, size) : NULL;
    gsize first_size = cut != NULL ? (gsize)(cut - data) : size;
    g_autoptr(ClvPolicy) first = NULL;
    g_autoptr(ClvPolicyView) running = NULL;

    if (size > MAX_BYTES)
        return 0;
    first = read_policy(data, first_size);
    running = first_view(first);
    if (running == NULL)
        return 0;
    ask(running);
    clv_policy_view_each(running, look_at, NULL);
    if (cut != NULL) {
        g_autoptr(ClvPolicy) second = read_policy(cut + 1, size - first_size - 1);
        g_autoptr(ClvPolicyView) fresh = first_view(second);

        if (fresh != NULL) {
            g_autoptr(ClvPolicyView) merged = clv_policy_view_merge(running, fresh, NULL);

            ask(merged);
            clv_policy_view_each(merged, look_at, NULL);
        }
    }
    return 0;
}
