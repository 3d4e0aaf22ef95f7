/* SPDX-License-Identifier: Apache-2.0 */
/* policy/format.c - what does a value look like in a file? */
#include "policy/policy-private.h"

#include "base/option.h"

#include <string.h>

static char *
format_bool(const Rule *rule)
{
    return g_strdup(rule->number ? "yes" : "no");
}

static char *
format_int(const Rule *rule)
{
    return g_strdup_printf("%" G_GINT64_FORMAT, rule->number);
}

static char *
format_time(const Rule *rule)
{
    if (rule->number == 0 && rule->key->none_allowed)
        return g_strdup("none");
    return clv_policy_format_time(rule->number);
}

static char *
format_word(const Rule *rule)
{
    return g_strdup(rule->key->words[rule->number]);
}

static char *
format_set(const Rule *rule)
{
    GString *text = g_string_new(NULL);

    for (guint i = 0; i < rule->set->len; i++)
        g_string_append_printf(text, "%s%s", i > 0 ? ";" : "",
                               rule->key->words[g_array_index(rule->set, guint8, i)]);
    return g_string_free(text, FALSE);
}

static void
append_pattern(GString *text, const Pattern *pattern)
{
    if (pattern->exclude)
        g_string_append_c(text, '!');
    if (pattern->kind == PATTERN_LIST)
        g_string_append_c(text, '@');
    g_string_append(text, pattern->kind == PATTERN_WORD ? clv_policy_id_words[pattern->word]
                                                        : pattern->text);
}

char *
clv_policy_pattern_format(const Pattern *pattern)
{
    GString *text = g_string_new(NULL);

    append_pattern(text, pattern);
    return g_string_free(text, FALSE);
}

/* Lists that all must hold stand with " and " between, which no file can say in one line. */
static char *
format_ids(const Rule *rule)
{
    const char *between = rule->key->narrow == NARROW_AND ? " and " : ";";
    GString *text = g_string_new(NULL);

    for (guint i = 0; i < rule->clauses->len; i++) {
        const IdList *ids = g_array_index(rule->clauses, Clause, i).ids;

        for (guint j = 0; j < ids->n_patterns; j++) {
            if (text->len > 0)
                g_string_append(text, j > 0 ? ";" : between);
            append_pattern(text, &ids->patterns[j]);
        }
    }
    return g_string_free(text, FALSE);
}

static char *
format_date(const Rule *rule)
{
    g_autoptr(GDateTime) date = NULL;

    if (rule->number == 0)
        return g_strdup("");
    date = g_date_time_new_from_unix_utc(rule->number / G_USEC_PER_SEC);
    return date != NULL ? g_date_time_format(date, "%Y-%m-%dT%H:%M:%SZ") : g_strdup("?");
}

static char *
format_text(const Rule *rule)
{
    return g_strdup(rule->text);
}

/* Four digits are guessed from their hash in no time: salt and hash stay in the file. */
static char *
format_hash(const Rule *rule)
{
    const char *iterations = strchr(rule->text, '$');
    const char *salt = iterations != NULL ? strchr(iterations + 1, '$') : NULL;

    return salt != NULL ? g_strdup_printf("%.*s$...", (int)(salt - rule->text), rule->text)
                        : g_strdup("");
}

static char *
format_peers(const Rule *rule)
{
    GString *text = g_string_new(NULL);

    for (guint i = 0; i < rule->peers->len; i++) {
        g_autofree char *list = clv_ini_join_list(rule->peers->pdata[i]);

        g_string_append_printf(text, "%s%s", i > 0 ? " and " : "", list);
    }
    return g_string_free(text, FALSE);
}

static char *(*const formats[])(const Rule *) = {
    [KIND_BOOL] = format_bool,   [KIND_INT] = format_int,   [KIND_TIME] = format_time,
    [KIND_ENUM] = format_word,   [KIND_SET] = format_set,   [KIND_IDS] = format_ids,
    [KIND_DATE] = format_date,   [KIND_TEXT] = format_text, [KIND_HASH] = format_hash,
    [KIND_PEERS] = format_peers,
};

char *
clv_policy_rule_format(const Rule *rule)
{
    return formats[rule->key->kind](rule);
}

/* ---- all of a view ---- */

/* Each line that had a part in it, in the order of the levels. */
static char *
origins_of(const Rule *rule)
{
    GString *text = g_string_new(NULL);

    for (guint i = 0; rule->clauses != NULL && i < rule->clauses->len; i++) {
        const Clause *clause = &g_array_index(rule->clauses, Clause, i);

        g_string_append_printf(text, "%s%s", i > 0 ? ", " : "",
                               g_str_has_prefix(clause->origin, "built-in") ? "built-in"
                                                                            : clause->origin);
    }
    if (text->len == 0)
        g_string_append(text,
                        g_str_has_prefix(rule->origin, "built-in") ? "built-in" : rule->origin);
    return g_string_free(text, FALSE);
}

void
clv_policy_view_each(const ClvPolicyView *view,
                     void (*func)(const char *key, const char *value, const char *origin,
                                  void *user),
                     void *user)
{
    for (guint i = 0; i < N_KEYS; i++) {
        g_autofree char *value = clv_policy_rule_format(view->rules[i]);
        g_autofree char *origin = origins_of(view->rules[i]);

        func(clv_policy_keys[i].name, value, origin, user);
    }
}
