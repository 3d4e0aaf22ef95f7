/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/test-policy-property.c - what holds for every key and every pair of policies
 *
 * The keys come from the table of the policy room, so that a new one is asked at once.
 */
#include "policy/policy-private.h"

#include <string.h>

#define ALICE "sip:alice@example.org"
#define BOB "sip:bob@example.org"
#define CAROL "sip:carol@example.org"
#define DAVE "sip:dave@elsewhere.example"
#define PHONE "tel:+493012345"
#define NOON_US (G_GINT64_CONSTANT(1893499200) * G_USEC_PER_SEC) /* 2030-01-01T12:00:00Z */
#define HASH "pbkdf2-sha256$100000$c2FsdHNhbHQ=$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="

static ClvPolicy *
try_parse(const char *mode, const char *lines)
{
    g_autofree char *text =
        g_strconcat("[policy]\nformat=1\nreload-running=", mode,
                    "\n[factory f]\nuri=sip:factory.conf1@example.org\n", lines, NULL);
    g_autoptr(GPtrArray) errors = g_ptr_array_new_with_free_func(g_free);

    return clv_policy_parse("test", text, strlen(text), errors);
}

static ClvPolicyView *
view_with(const char *mode, const char *lines)
{
    g_autoptr(ClvPolicy) policy = try_parse(mode, lines);

    if (policy == NULL)
        g_error("refused: %s", lines);
    return clv_policy_view_factory(policy, "f");
}

/* ---- reload: each key by its column ---- */

/* A looser and a stricter value of this key; where there is no order, two values. */
static void
two_values(const Key *key, char **out_loose, char **out_strict)
{
    guint last = 0;

    switch (key->kind) {
    case KIND_BOOL:
        *out_loose = g_strdup(key->narrow == NARROW_AND ? "yes" : "no");
        *out_strict = g_strdup(key->narrow == NARROW_AND ? "no" : "yes");
        return;
    case KIND_INT:
        *out_loose = g_strdup_printf("%" G_GINT64_FORMAT, key->max);
        *out_strict = g_strdup_printf("%" G_GINT64_FORMAT, key->max - 1);
        return;
    case KIND_TIME:
        *out_loose = g_strdup_printf("%" G_GINT64_FORMAT "ms", key->max);
        *out_strict = g_strdup_printf("%" G_GINT64_FORMAT "ms", key->max - 1);
        return;
    case KIND_ENUM:
        while (key->words[last + 1] != NULL)
            last++;
        *out_loose = g_strdup(key->words[last - 1]);
        *out_strict = g_strdup(key->words[last]);
        return;
    case KIND_SET:
        *out_loose = g_strdup_printf("%s;%s", key->words[0], key->words[3]);
        *out_strict = g_strdup(key->words[0]);
        return;
    case KIND_IDS:
        *out_loose = g_strdup(key->narrow == NARROW_MAX ? "" : "any");
        *out_strict = g_strdup(BOB);
        return;
    case KIND_DATE:
        *out_loose = g_strdup("");
        *out_strict = g_strdup("2030-01-01T12:00:00Z");
        return;
    case KIND_PEERS:
        *out_loose = g_strdup("");
        *out_strict = g_strdup("192.0.2.1");
        return;
    case KIND_TEXT:
        *out_loose = g_strdup("one");
        *out_strict = g_strdup("two");
        return;
    case KIND_HASH:
        *out_loose = g_strdup("");
        *out_strict = g_strdup(HASH);
        return;
    }
}

/* Values that some key needs beside it. */
static const char *
company_of(KeyId id)
{
    switch (id) {
    case KEY_KEY_MGMT_ALLOW:
        return "signalling=tls\n";
    case KEY_PIN:
        return "pin-hash=" HASH "\n";
    default:
        return "";
    }
}

static gboolean
merged_takes(KeyId id, const char *mode, const char *before, const char *after)
{
    const char *name = clv_policy_keys[id].name;
    g_autofree char *old = g_strdup_printf("%s%s=%s\n", company_of(id), name, before);
    g_autofree char *new = g_strdup_printf("%s%s=%s\n", company_of(id), name, after);
    g_autoptr(ClvPolicyView) running = view_with("all", old);
    g_autoptr(ClvPolicyView) fresh = view_with(mode, new);
    g_autofree char *changed = NULL;
    g_autoptr(ClvPolicyView) merged = clv_policy_view_merge(running, fresh, &changed);

    g_assert_true(strcmp(changed, "") == 0 || strcmp(changed, name) == 0);
    return strcmp(changed, "") != 0;
}

static gboolean
has_order(const Key *key)
{
    return key->narrow != NARROW_NO;
}

static void
test_live(void)
{
    for (KeyId id = 0; id < N_KEYS; id++) {
        const Key *key = &clv_policy_keys[id];
        g_autofree char *loose = NULL, *strict = NULL;

        if (id == KEY_SCHEDULED || key->served != 0) /* in [conference] alone; one word served */
            continue;
        two_values(key, &loose, &strict);
        g_test_message("%s: %s, then %s", key->name, loose, strict);
        g_assert_false(merged_takes(id, "none", loose, strict));
        g_assert_cmpint(merged_takes(id, "all", loose, strict), ==, key->live != LIVE_NEW);
        g_assert_cmpint(merged_takes(id, "all", strict, loose), ==, key->live != LIVE_NEW);
        g_assert_cmpint(merged_takes(id, "tighten", loose, strict), ==,
                        key->live == LIVE_ANY || (key->live == LIVE_TIGHTEN && has_order(key)));
        if (key->kind == KIND_IDS && key->narrow == NARROW_AND)
            continue; /* both lists hold from then on, see the property below */
        g_assert_cmpint(merged_takes(id, "tighten", strict, loose), ==,
                        key->live == LIVE_ANY && !has_order(key));
    }
}

/* ---- tightening never admits ---- */

static const struct {
    const char *key;
    const char *values[6];
} choices[] = {
    {"create-allow", {"any", "*@example.org", ALICE ";" BOB, "nobody"}},
    {"create-deny", {"", BOB, "*@elsewhere.example"}},
    {"allow", {"ticket", "any", "*@example.org", BOB ";" DAVE ";tel:+4930*", "any;!" CAROL}},
    {"deny", {"", BOB, CAROL ";" DAVE, "*@elsewhere.example"}},
    {"ticket-authority", {"extend", "replace", "narrow"}},
    {"no-ticket-list", {"policy", "creator-only"}},
    {"ticket-wildcards", {"yes", "no"}},
    {"auth", {"digest", "asserted", "either", "ticket"}},
    {"dial-in", {"yes", "no"}},
    {"dial-out", {"yes", "no"}},
    {"refer-allow", {"any", "owners;moderators", "participants", BOB, "nobody"}},
    {"refer-ticket", {"optional", "required"}},
    {"max-participants", {"2", "5", "100"}},
    {"max-endpoints-per-user", {"1", "2", "4"}},
    {"join-before-creator", {"yes", "no"}},
    {"lobby", {"no", "yes"}},
    {"anonymity", {"hide", "reject"}},
    {"diversion", {"off", "allowed-set", "strict"}},
    {"diverted-dial-in", {"check", "reject"}},
    {"trust", {"", "192.0.2.0/24", "192.0.2.1;a.example.org"}},
    {"signalling", {"any", "trusted", "tls"}},
    {"create-max-per-user", {"1", "3", "1000"}},
    {"create-max-total", {"2", "5", "1000"}},
    {"max-ticket-lifetime", {"1m", "1h", "24h", "30d"}},
    {"not-before", {"", "2029-01-01T00:00:00Z", "2030-06-01T00:00:00Z"}},
    {"not-after", {"", "2031-01-01T00:00:00Z", "2035-01-01T00:00:00Z"}},
};

static char *
random_lines(GRand *rand)
{
    GString *lines = g_string_new("create-empty=yes\n");
    gboolean no_dial_in = FALSE;

    for (guint i = 0; i < G_N_ELEMENTS(choices); i++) {
        const char *value;
        guint n = 0;

        while (n < 6 && choices[i].values[n] != NULL)
            n++;
        value = choices[i].values[g_rand_int_range(rand, 0, (gint32)n)];
        if (g_rand_boolean(rand))
            continue;
        if (strcmp(choices[i].key, "dial-in") == 0)
            no_dial_in = strcmp(value, "no") == 0;
        if (strcmp(choices[i].key, "dial-out") == 0 && no_dial_in)
            continue;
        g_string_append_printf(lines, "%s=%s\n", choices[i].key, value);
    }
    return g_string_free(lines, FALSE);
}

static const char *const people[] = {ALICE, BOB,   CAROL,
                                     DAVE,  PHONE, "sip:anonymous@anonymous.invalid"};

static const char *
somebody(GRand *rand)
{
    return people[g_rand_int_range(rand, 0, G_N_ELEMENTS(people))];
}

static ClvPolicyFacts
random_facts(GRand *rand, ClvAnswerer *answerer)
{
    static const char *const lists[][3] = {
        {NULL}, {BOB, NULL}, {CAROL, DAVE, NULL}, {"sip:*@example.org", NULL}};
    static const char *const names[][3] = {{BOB, PHONE, NULL}, {PHONE, CAROL, NULL}};
    static const char *const peers[] = {NULL, "192.0.2.1", "192.0.2.9", "a.example.org"};
    ClvPolicyFacts facts = {
        .identity = somebody(rand),
        .proof = (ClvProof)g_rand_int_range(rand, 0, 4),
        .ticket_offered = g_rand_int_range(rand, 0, 4) == 0,
        .anonymous = g_rand_int_range(rand, 0, 4) == 0,
        .diverted = g_rand_int_range(rand, 0, 4) == 0,
        .secured = g_rand_boolean(rand),
        .tls = g_rand_boolean(rand),
        .creator = g_rand_boolean(rand) ? ALICE : NULL,
        .creator_present = g_rand_boolean(rand),
        .ticket_names = lists[g_rand_int_range(rand, 0, 4)],
        .n_participants = (guint)g_rand_int_range(rand, 0, 8),
        .n_endpoints = (guint)g_rand_int_range(rand, 0, 4),
        .wall_us = NOON_US,
        .target = somebody(rand),
        .answerer = answerer,
        .answered_identity = g_rand_boolean(rand) ? somebody(rand) : NULL,
        .answer_early = g_rand_int_range(rand, 0, 3) == 0,
        .peer_name = peers[g_rand_int_range(rand, 0, 4)],
        .admitted = g_rand_boolean(rand),
        .locked = g_rand_int_range(rand, 0, 6) == 0,
        .n_by_creator = (guint)g_rand_int_range(rand, 0, 5),
        .n_total = (guint)g_rand_int_range(rand, 0, 8),
        .expires_us = g_rand_boolean(rand)
                          ? NOON_US + (gint64)g_rand_int_range(rand, 0, 90000) * G_USEC_PER_SEC
                          : 0,
    };

    if (g_rand_int_range(rand, 0, 8) == 0) { /* somebody unproven */
        facts.identity = NULL;
        facts.proof = CLV_PROOF_NONE;
    }

    *answerer = (ClvAnswerer){
        .forwarded = g_rand_int_range(rand, 0, 3) == 0,
        .diverted = g_rand_int_range(rand, 0, 3) == 0,
        .asserted = g_rand_boolean(rand) ? somebody(rand) : NULL,
        .claimed = g_rand_int_range(rand, 0, 3) == 0 ? somebody(rand) : NULL,
    };
    if (facts.proof == CLV_PROOF_ASSERTED && g_rand_boolean(rand)) {
        facts.identities = names[g_rand_int_range(rand, 0, 2)];
        facts.identity = facts.identities[0];
    }
    return facts;
}

/* 0: out, 1: not before more is known, 2: in, but in the lobby, 3: in */
static guint
rank(const ClvPolicyView *view, ClvPolicyOp op, const ClvPolicyFacts *facts)
{
    ClvPolicyVerdict v = clv_policy_decide(view, op, facts);

    g_assert_false(v.allow && v.undecided);
    g_assert_cmpstr(v.rule, !=, "");
    g_assert_true(v.allow || v.undecided ? v.code == CLV_CODE_OK : v.code != CLV_CODE_OK);
    g_assert_true(v.allow || (!v.waits && !v.needs_pin));
    return v.allow ? (v.waits ? 2 : 3) : v.undecided ? 1 : 0;
}

static const ClvPolicyOp ops[] = {CLV_OP_CREATE,    CLV_OP_JOIN,         CLV_OP_STAY,
                                  CLV_OP_REFER_ADD, CLV_OP_REFER_REMOVE, CLV_OP_DIAL,
                                  CLV_OP_ANSWER,    CLV_OP_LOCK,         CLV_OP_END};

static void
test_tightening(void)
{
    GRand *rand = g_rand_new_with_seed(21);
    guint held[CLV_OP_LOCK + 1] = {0}, admitted[CLV_OP_LOCK + 1] = {0};

    for (guint i = 0; i < 600; i++) {
        g_autofree char *a = random_lines(rand), *b = random_lines(rand);
        g_autoptr(ClvPolicyView) va = view_with("all", a);
        g_autoptr(ClvPolicyView) vb = view_with("tighten", b);
        g_autoptr(ClvPolicyView) merged = clv_policy_view_merge(va, vb, NULL);

        for (guint j = 0; j < 100; j++) {
            ClvAnswerer answerer;
            ClvPolicyFacts facts = random_facts(rand, &answerer);
            ClvPolicyOp op = ops[g_rand_int_range(rand, 0, G_N_ELEMENTS(ops))];
            guint before = rank(va, op, &facts), after = rank(merged, op, &facts);

            g_test_message("%s--\n%s-- op %u %s: %u %u", a, b, op, facts.identity, before, after);
            /* an assertion that no longer counts no longer tells of somebody else either: while it
             * still rings, the answer is waited for */
            if (op == CLV_OP_ANSWER && facts.answer_early)
                g_assert_cmpuint(after, <=, MAX(before, 1));
            else
                g_assert_cmpuint(after, <=, before);
            held[op] += before == 0;
            admitted[op] += after == 3;
        }
    }
    for (guint i = 0; i < G_N_ELEMENTS(ops); i++) {
        g_test_message("operation %u: %u refusals held, %u admissions remained", ops[i],
                       held[ops[i]], admitted[ops[i]]);
        g_assert_cmpuint(held[ops[i]], >, 100);
        g_assert_cmpuint(admitted[ops[i]], >, 10);
    }
    g_rand_free(rand);
}

/* The stricter the diversion, the fewer answers are taken; deny is never answered. */
static void
test_diversions(void)
{
    g_autoptr(ClvPolicyView) off_view = view_with("all", "auth=digest\ndiversion=off\n");
    g_autoptr(ClvPolicyView) set_view = view_with("all", "auth=digest\ndiversion=allowed-set\n");
    g_autoptr(ClvPolicyView) strict_view = view_with("all", "auth=digest\ndiversion=strict\n");
    g_autoptr(ClvPolicyView) denying =
        view_with("all", "auth=digest\ndiversion=off\ndeny=" CAROL "\n");
    GRand *rand = g_rand_new_with_seed(22);
    guint differ = 0;

    for (guint i = 0; i < 50000; i++) {
        ClvAnswerer answerer;
        ClvPolicyFacts facts = random_facts(rand, &answerer);
        guint off = rank(off_view, CLV_OP_ANSWER, &facts);
        guint set = rank(set_view, CLV_OP_ANSWER, &facts);
        guint strict = rank(strict_view, CLV_OP_ANSWER, &facts);

        g_assert_cmpuint(set, <=, off);
        g_assert_cmpuint(strict, <=, set);
        differ += strict < set && set < off;
        if (g_strcmp0(facts.answered_identity, CAROL) == 0 ||
            g_strcmp0(answerer.asserted, CAROL) == 0)
            g_assert_cmpuint(rank(denying, CLV_OP_ANSWER, &facts), ==, 0);
    }
    g_assert_cmpuint(differ, >, 10);
    g_rand_free(rand);
}

/* Every value of every key alone: loads, and is shown as it was written. */
static void
test_every_value(void)
{
    for (KeyId id = 0; id < N_KEYS; id++) {
        const Key *key = &clv_policy_keys[id];
        g_autofree char *loose = NULL, *strict = NULL;
        const char *values[2];

        if (id == KEY_SCHEDULED || key->served != 0)
            continue;
        two_values(key, &loose, &strict);
        values[0] = loose;
        values[1] = strict;
        for (guint i = 0; i < 2; i++) {
            g_autofree char *line =
                g_strdup_printf("%s%s=%s\n", company_of(id), key->name, values[i]);
            g_autoptr(ClvPolicyView) view = view_with("all", line);
            g_autofree char *shown = clv_policy_rule_format(view->rules[id]);
            g_autofree char *again = g_strdup_printf("%s%s=%s\n", company_of(id), key->name, shown);

            g_test_message("%s", line);
            if (key->kind != KIND_HASH) {
                g_autoptr(ClvPolicyView) twice = view_with("all", again);

                g_assert_true(clv_policy_rule_equal(view->rules[id], twice->rules[id]));
            }
        }
        g_assert_false(g_strcmp0(values[0], values[1]) == 0);
    }
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/policy/reload/each-key-follows-its-column", test_live);
    g_test_add_func("/policy/property/tightening-never-admits-to-anything", test_tightening);
    g_test_add_func("/policy/property/stricter-diversion-takes-fewer-answers", test_diversions);
    g_test_add_func("/policy/property/what-is-written-is-shown", test_every_value);
    return g_test_run();
}
