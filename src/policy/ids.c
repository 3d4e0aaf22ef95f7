/* SPDX-License-Identifier: Apache-2.0 */
/* policy/ids.c - whom does a list of identity patterns name? */
#include "policy/policy-private.h"

#include "base/identity.h"
#include "base/option.h"

#include <string.h>

const char *const clv_policy_id_words[N_ID_WORDS + 1] = {
    [WORD_CREATOR] = "creator",
    [WORD_TICKET] = "ticket",
    [WORD_OWNERS] = "owners",
    [WORD_MODERATORS] = "moderators",
    [WORD_PARTICIPANTS] = "participants",
    [WORD_ANY] = "any",
    [WORD_NOBODY] = "nobody",
    [N_ID_WORDS] = NULL,
};

#define EXPECTED_PATTERN                                                                           \
    "an identity, *@domain, *@*.domain, tel:+digits*, @list or a word such as 'any'"

static void
problem(GPtrArray *problems, const char *found, const char *expected)
{
    const char *hint = strstr(found, " #") != NULL  ? "; a comment needs a line of its own"
                       : strchr(found, ',') != NULL ? "; members are separated by ';'"
                                                    : "";

    g_ptr_array_add(problems, g_strdup_printf("found '%s', expected %s%s", found, expected, hint));
}

static gboolean
parse_list_name(const char *text, const IdContext *context, Pattern *out, GPtrArray *problems)
{
    guint before = problems->len;

    out->kind = PATTERN_LIST;
    out->list = context != NULL ? context->find_list(context->user, text + 1, problems) : NULL;
    if (out->list == NULL) {
        if (problems->len == before)
            problem(problems, text, "the name of a [list] that exists");
        return FALSE;
    }
    out->text = g_strdup(text + 1);
    return TRUE;
}

static gboolean
parse_word(const char *text, IdWord word, guint id_words, Pattern *out, GPtrArray *problems)
{
    if ((id_words & (1u << word)) == 0) {
        g_ptr_array_add(problems, g_strdup_printf("found '%s', expected an identity: this word "
                                                  "has no meaning here",
                                                  text));
        return FALSE;
    }
    out->kind = PATTERN_WORD;
    out->word = word;
    return TRUE;
}

static gboolean
parse_identity(const char *text, Pattern *out, GPtrArray *problems)
{
    if (strchr(text, '*') == NULL) {
        out->kind = PATTERN_EXACT;
        out->text = clv_identity_canonical(text, -1);
        if (out->text == NULL)
            problem(problems, text, EXPECTED_PATTERN);
        return out->text != NULL;
    }
    out->kind = PATTERN_GLOB;
    out->text = clv_identity_pattern_canonical(text, NULL);
    if (out->text == NULL)
        problem(problems, text, EXPECTED_PATTERN);
    return out->text != NULL;
}

static IdWord
find_word(const char *text)
{
    guint i = 0;

    while (i < N_ID_WORDS && strcmp(clv_policy_id_words[i], text) != 0)
        i++;
    return (IdWord)i;
}

static gboolean
parse_pattern(const char *member, guint id_words, const IdContext *context, Pattern *out,
              GPtrArray *problems)
{
    const char *text = member;
    IdWord word;

    memset(out, 0, sizeof *out);
    if (*text == '!') {
        out->exclude = TRUE;
        text++;
    }
    if (*text == '\0') {
        problem(problems, member, EXPECTED_PATTERN);
        return FALSE;
    }
    if (*text == '@')
        return parse_list_name(text, context, out, problems);
    word = find_word(text);
    if (word != N_ID_WORDS)
        return parse_word(text, word, id_words, out, problems);
    return parse_identity(text, out, problems);
}

static void
ids_clear(gpointer data)
{
    IdList *ids = data;

    for (guint i = 0; i < ids->n_patterns; i++) {
        g_free(ids->patterns[i].text);
        clv_policy_ids_unref(ids->patterns[i].list);
    }
    g_free(ids->patterns);
}

static gboolean
only_exclusions(const IdList *ids)
{
    for (guint i = 0; i < ids->n_patterns; i++) {
        if (!ids->patterns[i].exclude)
            return FALSE;
    }
    return ids->n_patterns > 0;
}

IdList *
clv_policy_ids_parse(const char *value, guint id_words, const IdContext *context,
                     GPtrArray *problems)
{
    g_auto(GStrv) members = clv_ini_split_list(value);
    IdList *ids = g_rc_box_new0(IdList);
    guint before = problems->len;

    ids->patterns = g_new0(Pattern, g_strv_length(members) + 1);
    for (char **member = members; *member != NULL; member++) {
        if (parse_pattern(*member, id_words, context, &ids->patterns[ids->n_patterns], problems))
            ids->n_patterns++;
    }
    for (guint i = 0; i < ids->n_patterns; i++) {
        const IdList *named = ids->patterns[i].list;

        ids->n_expanded += named != NULL ? named->n_expanded + 1 : 1;
        if (ids->n_expanded > MAX_EXPANDED) {
            problem(problems, *members, "at most 100000 members, those of named lists counted");
            break;
        }
    }
    if (problems->len == before && only_exclusions(ids))
        problem(problems, value, "something to exclude from, such as 'any', besides exclusions");
    return ids;
}

IdList *
clv_policy_ids_ref(IdList *ids)
{
    return g_rc_box_acquire(ids);
}

void
clv_policy_ids_unref(IdList *ids)
{
    if (ids != NULL)
        g_rc_box_release_full(ids, ids_clear);
}

static gboolean
pattern_equal(const Pattern *a, const Pattern *b)
{
    if (a->kind != b->kind || a->exclude != b->exclude || a->word != b->word)
        return FALSE;
    if (a->kind == PATTERN_LIST)
        return clv_policy_ids_equal(a->list, b->list);
    return g_strcmp0(a->text, b->text) == 0;
}

gboolean
clv_policy_ids_equal(const IdList *a, const IdList *b)
{
    if (a == b)
        return TRUE;
    if (a->n_patterns != b->n_patterns)
        return FALSE;
    for (guint i = 0; i < a->n_patterns; i++) {
        if (!pattern_equal(&a->patterns[i], &b->patterns[i]))
            return FALSE;
    }
    return TRUE;
}
