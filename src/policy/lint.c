/* SPDX-License-Identifier: Apache-2.0 */
/* policy/lint.c - what is legal in these files, but can hardly be meant?
 *
 * Some questions are put to each factory and conference alone. Others, such as whether a value is
 * of use, are put to all who live by it: only when nobody answers yes is there a warning.
 */
#include "policy/load-private.h"

#include <string.h>

/* Comparisons of patterns in all: large files go unexamined in part, never slowly. */
#define BUDGET 2000000

typedef struct Suspect { /* something of no use so far */
    const Group *group;
    const Rule *rule;
    char *sentence;
    gboolean useful;
} Suspect;

typedef struct Lint {
    Loader *loader;
    GHashTable *by_key;   /* text -> Suspect */
    GPtrArray *suspects;  /* in order */
    GHashTable *rule_of;  /* IdList of a deny -> its Rule */
    GHashTable *group_of; /* the same -> Group */
    guint budget;
} Lint;

/* A factory or conference with its values. */
typedef struct Subject {
    Lint *lint;
    const Group *group;
    const Effective *effective;
} Subject;

static const Rule *
rule_in(const Subject *s, KeyId id)
{
    return s->effective->rules[id];
}

static gint64
number_in(const Subject *s, KeyId id)
{
    return rule_in(s, id)->number;
}

static const IdList *
first_ids(const Rule *rule)
{
    return rule->clauses->len > 0 ? g_array_index(rule->clauses, Clause, 0).ids : NULL;
}

#define warn_of(subject, id, ...)                                                                  \
    clv_policy_warn_rule((subject)->lint->loader, (subject)->group, rule_in(subject, id),          \
                         __VA_ARGS__)

/* ---- what is suspected until somebody has a use for it ---- */

static void
suspect_free(gpointer data)
{
    Suspect *suspect = data;

    g_free(suspect->sentence);
    g_free(suspect);
}

static void G_GNUC_PRINTF(6, 7) examine(Lint *lint, const Group *group, const Rule *rule,
                                        const char *what, gboolean useful, const char *format, ...)
{
    char *key = g_strdup_printf("%s %s", rule->place, what);
    Suspect *suspect = g_hash_table_lookup(lint->by_key, key);
    va_list args;

    if (suspect == NULL) {
        suspect = g_new0(Suspect, 1);
        suspect->group = group;
        suspect->rule = rule;
        va_start(args, format);
        suspect->sentence = g_strdup_vprintf(format, args);
        va_end(args);
        g_ptr_array_add(lint->suspects, suspect);
        g_hash_table_insert(lint->by_key, key, suspect);
    } else {
        g_free(key);
    }
    suspect->useful = suspect->useful || useful;
}

/* ---- values that change nothing ---- */

static const struct {
    KeyId key, needs;
    gint64 idle_at; /* value of needs with which key says nothing */
    const char *needed;
} idle_keys[] = {
    {KEY_PIN_HASH, KEY_PIN, PIN_OFF, "pin=additional"},
    {KEY_PIN_TRIES, KEY_PIN, PIN_OFF, "pin=additional"},
    {KEY_PIN_TIMEOUT, KEY_PIN, PIN_OFF, "pin=additional"},
    {KEY_LOBBY_TIMEOUT, KEY_LOBBY, FALSE, "lobby=yes"},
    {KEY_CREATOR_GRACE, KEY_END_WHEN_CREATOR_LEAVES, FALSE, "end-when-creator-leaves=yes"},
    {KEY_REFER_ALLOW, KEY_DIAL_OUT, FALSE, "dial-out=yes"},
    {KEY_REFER_EXTENDS, KEY_DIAL_OUT, FALSE, "dial-out=yes"},
    {KEY_REFER_DUPLICATE, KEY_DIAL_OUT, FALSE, "dial-out=yes"},
    {KEY_INVITE_BY_REFER, KEY_DIAL_OUT, FALSE, "dial-out=yes"},
    {KEY_PASS_REFERRED_BY, KEY_DIAL_OUT, FALSE, "dial-out=yes"},
    {KEY_DIAL_OUT_TIMEOUT, KEY_DIAL_OUT, FALSE, "dial-out=yes"},
    {KEY_DIAL_OUT_PARALLEL, KEY_DIAL_OUT, FALSE, "dial-out=yes"},
    {KEY_DIVERSION, KEY_DIAL_OUT, FALSE, "dial-out=yes"},
    {KEY_SHARE_URI_LIST, KEY_MAX_URI_LIST, 0, "max-uri-list above 0"},
    {KEY_LOBBY, KEY_DIAL_IN, FALSE, "dial-in=yes"},
    {KEY_JOIN_BEFORE_CREATOR, KEY_DIAL_IN, FALSE, "dial-in=yes"},
    {KEY_DIVERTED_DIAL_IN, KEY_DIAL_IN, FALSE, "dial-in=yes"},
    {KEY_CREATE_ALLOW, KEY_SCHEDULED, TRUE, "a creator, whom a scheduled conference has not"},
    {KEY_CREATE_MAX_PER_USER, KEY_SCHEDULED, TRUE,
     "a creator, whom a scheduled conference has not"},
    {KEY_CREATE_MAX_TOTAL, KEY_SCHEDULED, TRUE, "a creator, whom a scheduled conference has not"},
    {KEY_CREATE_EMPTY, KEY_SCHEDULED, TRUE, "a creator, whom a scheduled conference has not"},
    {KEY_CREATION, KEY_SCHEDULED, TRUE, "a creator, whom a scheduled conference has not"},
    {KEY_END_WHEN_CREATOR_LEAVES, KEY_SCHEDULED, TRUE,
     "a creator, whom a scheduled conference has not"},
};

static void
lint_idle(const Subject *s)
{
    for (guint i = 0; i < G_N_ELEMENTS(idle_keys); i++) {
        const Rule *rule = rule_in(s, idle_keys[i].key);

        if (rule->place != NULL)
            examine(s->lint, s->group, rule, idle_keys[i].needed,
                    number_in(s, idle_keys[i].needs) != idle_keys[i].idle_at,
                    "found a value that nobody has a use for, expected it together with %s",
                    idle_keys[i].needed);
    }
}

/* ---- who could be in ---- */

static gboolean
is_scheduled(const Subject *s)
{
    return number_in(s, KEY_SCHEDULED) != 0;
}

/* Could the ticket or the file let in somebody of these? */
static gboolean
could_be_in(const Subject *s, const IdList *ids)
{
    const GArray *allow = rule_in(s, KEY_ALLOW)->clauses;

    if (number_in(s, KEY_TICKET_AUTHORITY) != AUTHORITY_NARROW)
        return TRUE;
    for (guint i = 0; i < allow->len; i++) {
        if (!clv_policy_ids_meet(ids, g_array_index(allow, Clause, i).ids, &s->lint->budget))
            return FALSE;
    }
    return TRUE;
}

static gboolean
could_create(const Subject *s, const IdList *ids)
{
    const IdList *creators = first_ids(rule_in(s, KEY_CREATE_ALLOW));

    return s->group->kind == GROUP_FACTORY && creators != NULL &&
           clv_policy_ids_meet(ids, creators, &s->lint->budget);
}

static void
lint_allow(const Subject *s)
{
    const GArray *allow = rule_in(s, KEY_ALLOW)->clauses;
    guint *budget = &s->lint->budget;

    if (number_in(s, KEY_TICKET_AUTHORITY) == AUTHORITY_EXTEND && allow->len == 1) {
        const IdList *ids = first_ids(rule_in(s, KEY_ALLOW));

        for (guint i = 0; i < ids->n_patterns && ids->n_patterns == 1; i++) {
            if (ids->patterns[i].kind == PATTERN_WORD && ids->patterns[i].word == WORD_ANY)
                warn_of(s, KEY_ALLOW,
                        "found 'any' with ticket-authority=extend: everybody may come, whomever a "
                        "ticket names");
        }
    }
    if (number_in(s, KEY_TICKET_AUTHORITY) != AUTHORITY_NARROW)
        return;
    for (guint i = 0; i < allow->len; i++) {
        const IdList *ids = g_array_index(allow, Clause, i).ids;

        if (!clv_policy_ids_name_somebody(ids, budget))
            warn_of(s, KEY_ALLOW, "found a list that names nobody: %s",
                    is_scheduled(s) ? "nobody can join" : "only the creator can join");
        for (guint j = 0; j < i; j++) {
            if (!clv_policy_ids_meet(ids, g_array_index(allow, Clause, j).ids, budget))
                warn_of(s, KEY_ALLOW,
                        "found two lists that both must hold, as one is final, and that have "
                        "nobody in common");
        }
    }
}

/* Each member by itself; a list that it names as a whole. */
static void
lint_deny(const Subject *s)
{
    const GArray *deny = rule_in(s, KEY_DENY)->clauses;

    for (guint i = 0; i < deny->len; i++) {
        const IdList *ids = g_array_index(deny, Clause, i).ids;
        const Rule *rule = g_hash_table_lookup(s->lint->rule_of, ids);
        const Group *group = g_hash_table_lookup(s->lint->group_of, ids);

        for (guint j = 0; rule != NULL && j < ids->n_patterns; j++) {
            Pattern *pattern = &ids->patterns[j];
            const IdList alone = {1, 1, pattern};
            g_autofree char *text = clv_policy_pattern_format(pattern);

            if (pattern->exclude || pattern->kind == PATTERN_WORD)
                continue;
            examine(s->lint, group, rule, text, could_be_in(s, &alone) || could_create(s, &alone),
                    "found '%s', whom nothing would let in: it denies nobody", text);
        }
    }
}

static void
lint_deny_any(const Subject *s)
{
    const GArray *deny = rule_in(s, KEY_DENY)->clauses;

    for (guint i = 0; i < deny->len; i++) {
        const IdList *ids = g_array_index(deny, Clause, i).ids;

        if (ids->n_patterns == 1 && ids->patterns[0].kind == PATTERN_WORD &&
            ids->patterns[0].word == WORD_ANY)
            warn_of(s, KEY_DENY, "found 'any': everybody is denied, the creator too");
    }
}

static void
lint_create(const Subject *s)
{
    const Rule *rule = rule_in(s, KEY_CREATE_ALLOW);
    const IdList *ids = first_ids(rule);

    if (s->group->kind == GROUP_FACTORY &&
        (ids == NULL || !clv_policy_ids_name_somebody(ids, &s->lint->budget)))
        warn_of(s, KEY_CREATE_ALLOW, "found %s: nobody can use this factory",
                rule->place != NULL ? "a list that names nobody" : "nothing");
}

/* People with a role that they could only play from inside. */
static void
lint_role(const Subject *s, KeyId id, const char *right)
{
    const Rule *rule = rule_in(s, id);
    const IdList *ids = first_ids(rule);

    for (guint i = 0; ids != NULL && rule->place != NULL && i < ids->n_patterns; i++) {
        Pattern *pattern = &ids->patterns[i];
        const IdList alone = {1, 1, pattern};
        g_autofree char *text = clv_policy_pattern_format(pattern);

        if (!pattern->exclude && pattern->kind != PATTERN_WORD && !could_be_in(s, &alone) &&
            !could_create(s, &alone))
            examine(s->lint, s->group, rule, text, FALSE, "found '%s', who may %s, but not join",
                    text, right);
    }
}

static void
lint_roles(const Subject *s)
{
    lint_role(s, KEY_OWNERS, "change, lock and end the conference");
    lint_role(s, KEY_MODERATORS, "remove and admit people");
    if (number_in(s, KEY_DIAL_OUT))
        lint_role(s, KEY_REFER_ALLOW, "have people called");
}

/* Whom do owners= and moderators= name where there is no creator? */
static gboolean
names_only_creator(const Rule *rule)
{
    for (guint i = 0; i < rule->clauses->len; i++) {
        const IdList *ids = g_array_index(rule->clauses, Clause, i).ids;

        for (guint j = 0; j < ids->n_patterns; j++) {
            const Pattern *pattern = &ids->patterns[j];

            if (!pattern->exclude &&
                (pattern->kind != PATTERN_WORD ||
                 (pattern->word != WORD_CREATOR && pattern->word != WORD_NOBODY)))
                return FALSE;
        }
    }
    return TRUE;
}

static gboolean
names_nobody(Lint *lint, const Rule *rule)
{
    const IdList *ids = first_ids(rule);

    return ids == NULL || !clv_policy_ids_name_somebody(ids, &lint->budget);
}

/* Nobody in charge, in a conference that waits for somebody. */
static void
lint_charge(const Subject *s)
{
    const Rule *owners = rule_in(s, KEY_OWNERS), *moderators = rule_in(s, KEY_MODERATORS);
    gboolean no_owner =
        is_scheduled(s) ? names_only_creator(owners) : names_nobody(s->lint, owners);
    gboolean no_moderator =
        is_scheduled(s) ? names_only_creator(moderators) : names_nobody(s->lint, moderators);

    if (number_in(s, KEY_LOBBY) && no_owner && no_moderator)
        warn_of(s, KEY_LOBBY,
                "found 'yes', but neither owners= nor moderators= names anybody who could let "
                "people in");
    if (is_scheduled(s) && !number_in(s, KEY_JOIN_BEFORE_CREATOR) && no_owner)
        warn_of(s, KEY_JOIN_BEFORE_CREATOR,
                "found 'no' in a scheduled conference without owners: nobody can ever join");
    if (is_scheduled(s) && !number_in(s, KEY_DIAL_IN) && no_owner && no_moderator)
        warn_of(s, KEY_DIAL_IN,
                "found 'no' in a scheduled conference without owners and moderators: nobody can "
                "have anybody called");
}

static void
lint_ways_in(const Subject *s)
{
    if (!number_in(s, KEY_DIAL_IN) && number_in(s, KEY_DIVERSION) == DIVERSION_OFF)
        warn_of(s, KEY_DIVERSION,
                "found 'off' with dial-in=no: whoever answers a call is taken for who was called");
    if (!number_in(s, KEY_DIAL_IN) && number_in(s, KEY_MAX_URI_LIST) == 0 &&
        names_nobody(s->lint, rule_in(s, KEY_REFER_ALLOW)))
        warn_of(s, KEY_REFER_ALLOW,
                "found nobody, with dial-in=no and max-uri-list=0: only the creator can be in");
    if (is_scheduled(s) && number_in(s, KEY_NO_TICKET_LIST) == NO_LIST_CREATOR_ONLY &&
        number_in(s, KEY_TICKET_AUTHORITY) != AUTHORITY_EXTEND)
        clv_policy_warn(s->lint->loader, s->group, "no-ticket-list",
                        "found 'creator-only' in a scheduled conference, which has no creator: "
                        "nobody can join before an owner's ticket names people");
    if (s->group->kind == GROUP_CONFERENCE && !is_scheduled(s))
        clv_policy_warn(s->lint->loader, s->group, "scheduled",
                        "found no scheduled=yes: this conference does not exist");
}

static void (*const lints[])(const Subject *) = {
    lint_idle,   lint_allow, lint_deny,   lint_deny_any,
    lint_create, lint_roles, lint_charge, lint_ways_in,
};

/* ---- groups that nobody builds on ---- */

static void
mark_chain(GHashTable *used, const Group *template)
{
    for (; template != NULL && g_hash_table_add(used, (gpointer) template);
         template = template->parent)
        continue;
}

static void
mark_lists(GHashTable *named, const IdList *ids)
{
    for (guint i = 0; ids != NULL && i < ids->n_patterns; i++) {
        if (ids->patterns[i].kind == PATTERN_LIST)
            g_hash_table_add(named, ids->patterns[i].text);
    }
}

static void
mark_used(const Loader *loader, const Group *group, GHashTable *used, GHashTable *named)
{
    if (group->kind == GROUP_FACTORY || group->kind == GROUP_CONFERENCE)
        mark_chain(used, group->parent);
    if (group->kind == GROUP_CONFERENCE && group->uris != NULL)
        g_hash_table_add(used, (gpointer)clv_policy_best_match(loader, group->uris[0]));
    mark_lists(named, group->ids);
    for (guint i = 0; i < N_KEYS; i++) {
        const GArray *clauses = group->rules[i] != NULL ? group->rules[i]->clauses : NULL;

        for (guint j = 0; clauses != NULL && j < clauses->len; j++)
            mark_lists(named, g_array_index(clauses, Clause, j).ids);
    }
}

static void
lint_groups(Loader *loader)
{
    g_autoptr(GHashTable) used = g_hash_table_new(NULL, NULL);
    g_autoptr(GHashTable) named = g_hash_table_new(g_str_hash, g_str_equal);

    for (guint i = 0; i < loader->groups->len; i++)
        mark_used(loader, loader->groups->pdata[i], used, named);
    for (guint i = 0; i < loader->groups->len; i++) {
        const Group *group = loader->groups->pdata[i];

        if (group->kind == GROUP_TEMPLATE && !g_hash_table_contains(used, group))
            clv_policy_warn(loader, group, NULL, "found a template that nobody uses");
        if (group->kind == GROUP_LIST && !g_hash_table_contains(named, group->name))
            clv_policy_warn(loader, group, NULL, "found a list that nobody names");
        if (group->match != NULL && !g_hash_table_contains(used, group))
            clv_policy_warn(loader, group, "match",
                            "found '%s', which no [conference uri=] needs: it says nothing",
                            group->match);
    }
}

/* ---- exclusions that exclude nobody ---- */

static void
lint_exclusions(Lint *lint, const Group *group, const IdList *ids, const char *key)
{
    for (guint i = 0; i < ids->n_patterns; i++) {
        Pattern included = ids->patterns[i];
        g_autofree char *text = clv_policy_pattern_format(&included);
        gboolean met = !included.exclude || included.kind == PATTERN_WORD;

        for (guint j = 0; !met && j < ids->n_patterns; j++) {
            const IdList alone = {1, 1, &ids->patterns[j]};

            included.exclude = FALSE;
            met = !ids->patterns[j].exclude &&
                  clv_policy_pattern_meets(&included, &alone, &lint->budget);
        }
        if (!met)
            clv_policy_warn(lint->loader, group, key,
                            "found '%s', whom nothing else in this list names", text);
    }
}

static void
lint_all_exclusions(Lint *lint)
{
    for (guint i = 0; i < lint->loader->groups->len; i++) {
        const Group *group = lint->loader->groups->pdata[i];

        if (group->ids != NULL)
            lint_exclusions(lint, group, group->ids, "members");
        for (guint j = 0; j < N_KEYS; j++) {
            const Rule *rule = group->rules[j];

            if (rule != NULL && rule->clauses != NULL)
                lint_exclusions(lint, group, first_ids(rule), rule->key->name);
        }
    }
}

/* ---- all of it ---- */

static void
note_denials(Lint *lint)
{
    for (guint i = 0; i < lint->loader->groups->len; i++) {
        const Group *group = lint->loader->groups->pdata[i];
        const Rule *rule = group->rules[KEY_DENY];

        if (rule == NULL)
            continue;
        g_hash_table_insert(lint->rule_of, (gpointer)first_ids(rule), (gpointer)rule);
        g_hash_table_insert(lint->group_of, (gpointer)first_ids(rule), (gpointer)group);
    }
}

static void
lint_subjects(Lint *lint)
{
    for (guint i = 0; i < lint->loader->groups->len; i++) {
        const Group *group = lint->loader->groups->pdata[i];
        const Subject subject = {
            lint, group, g_hash_table_lookup(lint->loader->policy->effective, group->title)};

        for (guint j = 0; subject.effective != NULL && j < G_N_ELEMENTS(lints); j++)
            lints[j](&subject);
    }
}

void
clv_policy_lint(Loader *loader)
{
    Lint lint = {
        .loader = loader,
        .by_key = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL),
        .suspects = g_ptr_array_new_with_free_func(suspect_free),
        .rule_of = g_hash_table_new(NULL, NULL),
        .group_of = g_hash_table_new(NULL, NULL),
        .budget = BUDGET,
    };

    note_denials(&lint);
    lint_subjects(&lint);
    for (guint i = 0; i < lint.suspects->len; i++) {
        const Suspect *suspect = lint.suspects->pdata[i];

        if (!suspect->useful)
            clv_policy_warn_rule(loader, suspect->group, suspect->rule, "%s", suspect->sentence);
    }
    lint_all_exclusions(&lint);
    lint_groups(loader);
    g_hash_table_unref(lint.group_of);
    g_hash_table_unref(lint.rule_of);
    g_ptr_array_unref(lint.suspects);
    g_hash_table_unref(lint.by_key);
}
