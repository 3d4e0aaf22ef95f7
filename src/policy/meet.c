/* SPDX-License-Identifier: Apache-2.0 */
/* policy/meet.c - can two identity lists name the same person?
 *
 * Careful in one direction: whatever is not plainly impossible is possible.
 */
#include "policy/load-private.h"

#include "base/identity.h"

#include <string.h>

static gboolean
is_tel(const char *text)
{
    return g_str_has_prefix(text, "tel:");
}

/* "*@example.org" to "example.org", "*@*.example.org" to ".example.org" */
static const char *
domain_of(const char *glob)
{
    return glob + (g_str_has_prefix(glob, "*@*") ? strlen("*@*") : strlen("*@"));
}

static gboolean
domains_meet(const char *a, const char *b)
{
    if (*a != '.' && *b != '.')
        return strcmp(a, b) == 0;
    if (*a == '.' && *b == '.')
        return g_str_has_suffix(a, b) || g_str_has_suffix(b, a);
    return *a == '.' ? g_str_has_suffix(b, a) : g_str_has_suffix(a, b);
}

static gboolean
globs_meet(const char *a, const char *b)
{
    if (is_tel(a) != is_tel(b))
        return FALSE;
    if (is_tel(a))
        return strncmp(a, b, MIN(strlen(a), strlen(b)) - 1) == 0;
    return domains_meet(domain_of(a), domain_of(b));
}

static gboolean
texts_meet(const Pattern *a, const Pattern *b)
{
    if (a->kind == PATTERN_GLOB && b->kind == PATTERN_GLOB)
        return globs_meet(a->text, b->text);
    if (a->kind == PATTERN_GLOB)
        return clv_identity_match(a->text, b->text);
    if (b->kind == PATTERN_GLOB)
        return clv_identity_match(b->text, a->text);
    return strcmp(a->text, b->text) == 0;
}

static gboolean
excludes(const IdList *ids, const Pattern *pattern, guint *budget)
{
    for (guint i = 0; pattern->kind == PATTERN_EXACT && i<ids->n_patterns && * budget> 0; i++) {
        const Pattern *other = &ids->patterns[i];

        --*budget;
        if (other->exclude && (other->kind == PATTERN_EXACT || other->kind == PATTERN_GLOB) &&
            texts_meet(other, pattern))
            return TRUE;
    }
    return FALSE;
}

gboolean
clv_policy_pattern_meets(const Pattern *pattern, const IdList *ids, guint *budget)
{
    if (*budget == 0)
        return TRUE;
    --*budget;
    if (pattern->kind == PATTERN_WORD && pattern->word == WORD_NOBODY)
        return FALSE;
    if (pattern->kind == PATTERN_LIST)
        return clv_policy_ids_meet(pattern->list, ids, budget);
    if (excludes(ids, pattern, budget))
        return FALSE;
    for (guint i = 0; i < ids->n_patterns; i++) {
        const Pattern *other = &ids->patterns[i];

        if (*budget == 0)
            return TRUE;
        --*budget;
        if (other->exclude || (other->kind == PATTERN_WORD && other->word == WORD_NOBODY))
            continue;
        if (other->kind == PATTERN_WORD || pattern->kind == PATTERN_WORD)
            return TRUE;
        if (other->kind == PATTERN_LIST ? clv_policy_pattern_meets(pattern, other->list, budget)
                                        : texts_meet(pattern, other))
            return TRUE;
    }
    return FALSE;
}

gboolean
clv_policy_ids_meet(const IdList *a, const IdList *b, guint *budget)
{
    for (guint i = 0; i < a->n_patterns; i++) {
        const Pattern *pattern = &a->patterns[i];

        if (!pattern->exclude && !excludes(a, pattern, budget) &&
            clv_policy_pattern_meets(pattern, b, budget))
            return TRUE;
    }
    return FALSE;
}

gboolean
clv_policy_ids_name_somebody(const IdList *ids, guint *budget)
{
    for (guint i = 0; i < ids->n_patterns; i++) {
        const Pattern *pattern = &ids->patterns[i];

        if (pattern->exclude || (pattern->kind == PATTERN_WORD && pattern->word == WORD_NOBODY))
            continue;
        if (pattern->kind == PATTERN_LIST ? clv_policy_ids_name_somebody(pattern->list, budget)
                                          : !excludes(ids, pattern, budget))
            return TRUE;
    }
    return FALSE;
}
