/* SPDX-License-Identifier: Apache-2.0 */
/* policy/set.c - whom do the lists name, and who is in the allowed set? */
#include "policy/decide-private.h"

#include "base/identity.h"

#include <string.h>

/* ---- identity lists ---- */

static gboolean ids_match(const Case *in, const IdList *ids, const char *identity);

static gboolean
in_strv(const char *const *names, const char *identity)
{
    return names != NULL && g_strv_contains(names, identity);
}

/* Any of the clauses; out_origin: (nullable) which. */
gboolean
clv_policy_any_clause(const Case *in, KeyId id, const char *identity, const char **out_origin)
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
gboolean
clv_policy_all_clauses(const Case *in, KeyId id, const char *identity, const char **out_origin)
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

gboolean
clv_policy_is_creator(const Case *in, const char *identity)
{
    return g_strcmp0(in->facts->creator, identity) == 0;
}

static gboolean
is_owner(const Case *in, const char *identity)
{
    return clv_policy_any_clause(in, KEY_OWNERS, identity, NULL);
}

static gboolean
is_moderator(const Case *in, const char *identity)
{
    return clv_policy_any_clause(in, KEY_MODERATORS, identity, NULL);
}

/* "sip:*@example.org" as a name in a ticket, where patterns count. */
static gboolean
wildcard_names(const char *name, const char *identity)
{
    return g_str_has_prefix(name, "sip:*@") && clv_identity_match(name + strlen("sip:"), identity);
}

static gboolean
is_in_ticket(const Case *in, const char *identity)
{
    const char *const *name = in->facts->ticket_names;

    if (in_strv(name, identity))
        return TRUE;
    if (!view_number(in->view, KEY_TICKET_WILDCARDS))
        return FALSE;
    for (; name != NULL && *name != NULL; name++) {
        if (wildcard_names(*name, identity))
            return TRUE;
    }
    return FALSE;
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
    [WORD_CREATOR] = clv_policy_is_creator,
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
        return clv_policy_all_clauses(in, KEY_ALLOW, identity, out_origin);
    *out_origin = in->view->rules[KEY_TICKET_AUTHORITY]->origin;
    return TRUE;
}

gboolean
clv_policy_set_admits(const Case *in, const char *identity, const char **out_origin)
{
    if (clv_policy_is_creator(in, identity)) {
        *out_origin = "creation";
        return TRUE;
    }
    if (file_decides(in) && clv_policy_all_clauses(in, KEY_ALLOW, identity, out_origin))
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

gboolean
clv_policy_set_has_others(const Case *in, const char *creator)
{
    const char *origin = NULL;

    for (const char *const *name = in->facts->ticket_names; name != NULL && *name != NULL; name++) {
        if (strcmp(*name, creator) != 0 && !clv_policy_any_clause(in, KEY_DENY, *name, NULL) &&
            clv_policy_set_admits(in, *name, &origin))
            return TRUE;
    }
    return file_decides(in) && file_has_others(in, creator);
}
