/* SPDX-License-Identifier: Apache-2.0 */
/* policy/rule.c - what does a value mean, and which of two values is the stricter? */
#include "policy/policy-private.h"

#include "base/option.h"

#include <string.h>

/* ---- life ---- */

static void
clause_clear(gpointer data)
{
    Clause *clause = data;

    clv_policy_ids_unref(clause->ids);
    g_free(clause->origin);
}

static void
strv_free(gpointer data)
{
    g_strfreev(data);
}

static Rule *
rule_new(KeyId id, const char *origin)
{
    Rule *rule = g_rc_box_new0(Rule);

    rule->key = &clv_policy_keys[id];
    rule->origin = g_strdup(origin);
    return rule;
}

static void
rule_clear(gpointer data)
{
    Rule *rule = data;

    g_free(rule->origin);
    g_free(rule->place);
    g_free(rule->text);
    g_clear_pointer(&rule->set, g_array_unref);
    g_clear_pointer(&rule->clauses, g_array_unref);
    g_clear_pointer(&rule->peers, g_ptr_array_unref);
}

Rule *
clv_policy_rule_ref(Rule *rule)
{
    return g_rc_box_acquire(rule);
}

void
clv_policy_rule_unref(Rule *rule)
{
    if (rule != NULL)
        g_rc_box_release_full(rule, rule_clear);
}

/* ---- values ---- */

typedef struct Parsing {
    const IdContext *ids;
    GPtrArray *problems;
} Parsing;

/* What other formats take for a comment is part of the value here. */
static const char *
comment_hint(const char *value)
{
    return strstr(value, " #") != NULL || strstr(value, "\t#") != NULL
               ? "; a comment needs a line of its own"
               : "";
}

static void G_GNUC_PRINTF(3, 4)
    expected(const Parsing *parsing, const char *found, const char *format, ...)
{
    g_autofree char *sentence = NULL;
    va_list args;

    va_start(args, format);
    sentence = g_strdup_vprintf(format, args);
    va_end(args);
    g_ptr_array_add(parsing->problems, g_strdup_printf("found '%s', expected %s%s", found, sentence,
                                                       comment_hint(found)));
}

static gboolean
is_served(const Key *key, guint word)
{
    return key->served == 0 || (key->served & (1u << word)) != 0;
}

/* The words that may stand there in this version. */
static char *
alternatives(const Key *key)
{
    GString *text = g_string_new(NULL);
    const char *last = NULL;

    for (guint i = 0; key->words[i] != NULL; i++) {
        if (!is_served(key, i))
            continue;
        if (last != NULL)
            g_string_append_printf(text, "%s%s", text->len > 0 ? ", " : "", last);
        last = key->words[i];
    }
    g_string_append_printf(text, "%s%s", text->len > 0 ? " or " : "", last);
    return g_string_free(text, FALSE);
}

static gboolean
is_none(const char *value)
{
    return strcmp(value, "none") == 0 || strcmp(value, "0") == 0;
}

static void
parse_bool(Rule *rule, const char *value, const Parsing *parsing)
{
    gboolean yes = FALSE;

    if (!clv_parse_bool(value, &yes, NULL))
        expected(parsing, value, "yes or no");
    rule->number = yes;
}

static void
parse_int(Rule *rule, const char *value, const Parsing *parsing)
{
    if (!clv_parse_int(value, rule->key->min, rule->key->max, &rule->number, NULL))
        expected(parsing, value, "a number from %" G_GINT64_FORMAT " to %" G_GINT64_FORMAT,
                 rule->key->min, rule->key->max);
}

char *
clv_policy_format_time(gint64 ms)
{
    static const struct {
        gint64 ms;
        const char *unit;
    } units[] = {{86400000, "d"}, {3600000, "h"}, {60000, "m"}, {1000, "s"}};

    for (guint i = 0; i < G_N_ELEMENTS(units); i++) {
        if (ms >= units[i].ms && ms % units[i].ms == 0)
            return g_strdup_printf("%" G_GINT64_FORMAT "%s", ms / units[i].ms, units[i].unit);
    }
    return g_strdup_printf("%" G_GINT64_FORMAT "%s", ms, ms == 0 ? "" : "ms");
}

static void
parse_time(Rule *rule, const char *value, const Parsing *parsing)
{
    const Key *key = rule->key;
    g_autofree char *min = NULL, *max = NULL;

    if (is_none(value) && (key->none_allowed || (key->min == 0 && value[0] == '0')))
        return;
    if (!is_none(value) && clv_parse_time_ms(value, &rule->number, NULL) &&
        rule->number >= key->min && rule->number <= key->max)
        return;
    min = clv_policy_format_time(key->min);
    max = clv_policy_format_time(key->max);
    expected(parsing, value, "a time from %s to %s, such as 90s, 5m or 12h%s", min, max,
             key->none_allowed ? ", or none" : "");
}

static gboolean
find_word(const Key *key, const char *word, guint *out)
{
    for (guint i = 0; key->words[i] != NULL; i++) {
        if (strcmp(key->words[i], word) == 0) {
            *out = i;
            return TRUE;
        }
    }
    return FALSE;
}

static gboolean
parse_served_word(const Key *key, const char *word, guint *out, const Parsing *parsing)
{
    g_autofree char *words = NULL;

    if (!find_word(key, word, out)) {
        words = alternatives(key);
        expected(parsing, word, "%s", words);
        return FALSE;
    }
    if (!is_served(key, *out)) {
        expected(parsing, word, "%s", key->unserved);
        return FALSE;
    }
    return TRUE;
}

static void
parse_enum(Rule *rule, const char *value, const Parsing *parsing)
{
    guint word = 0;

    if (parse_served_word(rule->key, value, &word, parsing))
        rule->number = word;
}

static gboolean
set_has(const GArray *set, guint8 word)
{
    for (guint i = 0; i < set->len; i++) {
        if (g_array_index(set, guint8, i) == word)
            return TRUE;
    }
    return FALSE;
}

static void
parse_set(Rule *rule, const char *value, const Parsing *parsing)
{
    g_auto(GStrv) members = clv_ini_split_list(value);

    rule->set = g_array_new(FALSE, FALSE, sizeof(guint8));
    for (char **member = members; *member != NULL; member++) {
        guint word = 0;
        guint8 index;

        if (!parse_served_word(rule->key, *member, &word, parsing))
            continue;
        index = (guint8)word;
        if (set_has(rule->set, index))
            expected(parsing, *member, "each word once");
        else
            g_array_append_val(rule->set, index);
    }
}

static void
parse_ids(Rule *rule, const char *value, const Parsing *parsing)
{
    Clause clause = {
        .ids = clv_policy_ids_parse(value, rule->key->id_words, parsing->ids, parsing->problems),
        .origin = g_strdup(rule->origin),
    };

    rule->clauses = g_array_new(FALSE, FALSE, sizeof(Clause));
    g_array_set_clear_func(rule->clauses, clause_clear);
    g_array_append_val(rule->clauses, clause);
}

static gboolean
looks_like_utc(const char *value)
{
    static const char shape[] = "0000-00-00T00:00:00Z";

    if (strlen(value) != sizeof shape - 1)
        return FALSE;
    for (guint i = 0; shape[i] != '\0'; i++) {
        if (shape[i] == '0' ? !g_ascii_isdigit(value[i]) : value[i] != shape[i])
            return FALSE;
    }
    return TRUE;
}

static void
parse_date(Rule *rule, const char *value, const Parsing *parsing)
{
    g_autoptr(GDateTime) date = NULL;

    if (*value == '\0')
        return;
    if (looks_like_utc(value))
        date = g_date_time_new_from_iso8601(value, NULL);
    if (date == NULL)
        expected(parsing, value, "a time in UTC such as 2030-05-01T12:00:00Z");
    else
        rule->number = g_date_time_to_unix(date) * G_USEC_PER_SEC;
}

static void
parse_text(Rule *rule, const char *value, const Parsing *parsing)
{
    gboolean clean = g_utf8_validate(value, -1, NULL);

    for (const char *p = value; clean && *p != '\0'; p = g_utf8_next_char(p))
        clean = !g_unichar_iscntrl(g_utf8_get_char(p));
    if (!clean || g_utf8_strlen(value, -1) > rule->key->max)
        expected(parsing, clean ? value : "(unprintable)", "at most %d printable characters",
                 (int)rule->key->max);
    rule->text = clean ? g_strdup(value) : g_strdup("");
}

/* The text of a bad one is not repeated: it may be the PIN itself. */
static void
parse_hash(Rule *rule, const char *value, const Parsing *parsing)
{
    gboolean good = *value == '\0' || clv_policy_pin_hash_is_valid(value);

    if (!good)
        expected(parsing, "...",
                 "pbkdf2-sha256$ITERATIONS$SALT$HASH with 100000 to 10000000 iterations, salt "
                 "(8 to 64 octets) and hash (32 octets) in base64");
    rule->text = g_strdup(good ? value : "");
    rule->broken = !good;
}

static void
parse_peers(Rule *rule, const char *value, const Parsing *parsing)
{
    g_auto(GStrv) members = clv_ini_split_list(value);

    rule->peers = g_ptr_array_new_with_free_func(strv_free);
    for (char **member = members; *member != NULL; member++) {
        if (!clv_policy_peer_is_valid(*member))
            expected(parsing, *member, "an address, a prefix such as 192.0.2.0/24, or a TLS name");
    }
    if (*members != NULL)
        g_ptr_array_add(rule->peers, g_strdupv(members));
}

static void (*const parsers[])(Rule *, const char *, const Parsing *) = {
    [KIND_BOOL] = parse_bool,   [KIND_INT] = parse_int,   [KIND_TIME] = parse_time,
    [KIND_ENUM] = parse_enum,   [KIND_SET] = parse_set,   [KIND_IDS] = parse_ids,
    [KIND_DATE] = parse_date,   [KIND_TEXT] = parse_text, [KIND_HASH] = parse_hash,
    [KIND_PEERS] = parse_peers,
};

Rule *
clv_policy_rule_parse(KeyId id, const char *value, const char *origin, const IdContext *context,
                      GPtrArray *problems)
{
    Rule *rule = rule_new(id, origin);
    Parsing parsing = {context, problems};

    parsers[rule->key->kind](rule, value, &parsing);
    return rule;
}

Rule *
clv_policy_rule_builtin(KeyId id)
{
    const Key *key = &clv_policy_keys[id];
    g_autofree char *origin = strlen(key->fallback) < 40
                                  ? g_strdup_printf("built-in %s=%s", key->name, key->fallback)
                                  : g_strdup_printf("built-in %s", key->name);
    g_autoptr(GPtrArray) problems = g_ptr_array_new_with_free_func(g_free);
    Rule *rule = clv_policy_rule_parse(id, key->fallback, origin, NULL, problems);

    g_assert(problems->len == 0);
    return rule;
}

/* ---- comparing and combining ---- */

static gboolean
set_equal(const GArray *a, const GArray *b)
{
    return a->len == b->len && (a->len == 0 || memcmp(a->data, b->data, a->len) == 0);
}

static gboolean
has_clause(const GArray *clauses, const IdList *ids)
{
    for (guint i = 0; i < clauses->len; i++) {
        if (clv_policy_ids_equal(g_array_index(clauses, Clause, i).ids, ids))
            return TRUE;
    }
    return FALSE;
}

static gboolean
has_clauses(const GArray *all, const GArray *some)
{
    for (guint i = 0; i < some->len; i++) {
        if (!has_clause(all, g_array_index(some, Clause, i).ids))
            return FALSE;
    }
    return TRUE;
}

static gboolean
has_list(const GPtrArray *lists, char *const *list)
{
    for (guint i = 0; i < lists->len; i++) {
        if (g_strv_equal(lists->pdata[i], (const char *const *)list))
            return TRUE;
    }
    return FALSE;
}

static gboolean
has_lists(const GPtrArray *all, const GPtrArray *some)
{
    for (guint i = 0; i < some->len; i++) {
        if (!has_list(all, some->pdata[i]))
            return FALSE;
    }
    return TRUE;
}

gboolean
clv_policy_rule_equal(const Rule *a, const Rule *b)
{
    if (a == b)
        return TRUE;
    switch (a->key->kind) {
    case KIND_SET:
        return set_equal(a->set, b->set);
    case KIND_IDS:
        return has_clauses(a->clauses, b->clauses) && has_clauses(b->clauses, a->clauses);
    case KIND_TEXT:
    case KIND_HASH:
        return strcmp(a->text, b->text) == 0;
    case KIND_PEERS:
        return has_lists(a->peers, b->peers) && has_lists(b->peers, a->peers);
    default:
        return a->number == b->number;
    }
}

/* What both sets hold, in the order of @high. */
static Rule *
intersect_sets(Rule *low, Rule *high)
{
    Rule *both = rule_new((KeyId)(low->key - clv_policy_keys), low->origin);

    both->place = g_strdup(low->place);
    both->set = g_array_new(FALSE, FALSE, sizeof(guint8));
    for (guint i = 0; i < high->set->len; i++) {
        guint8 word = g_array_index(high->set, guint8, i);

        if (set_has(low->set, word))
            g_array_append_val(both->set, word);
    }
    if (!set_equal(both->set, high->set))
        return both;
    clv_policy_rule_unref(both);
    return clv_policy_rule_ref(high);
}

static void
append_clauses(GArray *clauses, const GArray *more)
{
    for (guint i = 0; i < more->len; i++) {
        const Clause *clause = &g_array_index(more, Clause, i);
        Clause copy;

        if (has_clause(clauses, clause->ids) || clause->ids->n_patterns == 0)
            continue;
        copy = (Clause){clv_policy_ids_ref(clause->ids), g_strdup(clause->origin)};
        g_array_append_val(clauses, copy);
    }
}

/* An empty clause adds nothing to a union, and leaves nothing of an intersection. */
static Rule *
join_clauses(Rule *low, Rule *high)
{
    gboolean all_must = low->key->narrow == NARROW_AND;
    Rule *both;

    for (guint i = 0; all_must && i < low->clauses->len; i++) {
        if (g_array_index(low->clauses, Clause, i).ids->n_patterns == 0)
            return clv_policy_rule_ref(low);
    }
    for (guint i = 0; all_must && i < high->clauses->len; i++) {
        if (g_array_index(high->clauses, Clause, i).ids->n_patterns == 0)
            return clv_policy_rule_ref(high);
    }
    if (has_clauses(high->clauses, low->clauses))
        return clv_policy_rule_ref(high);
    if (has_clauses(low->clauses, high->clauses))
        return clv_policy_rule_ref(low);

    both = rule_new((KeyId)(low->key - clv_policy_keys), high->origin);
    both->place = g_strdup(high->place);
    both->clauses = g_array_new(FALSE, FALSE, sizeof(Clause));
    g_array_set_clear_func(both->clauses, clause_clear);
    append_clauses(both->clauses, low->clauses);
    append_clauses(both->clauses, high->clauses);
    return both;
}

/* A peer must stand in the lists of both. */
static Rule *
join_peers(Rule *low, Rule *high)
{
    Rule *both;

    if (has_lists(high->peers, low->peers))
        return clv_policy_rule_ref(high);
    if (has_lists(low->peers, high->peers))
        return clv_policy_rule_ref(low);
    both = rule_new((KeyId)(low->key - clv_policy_keys), high->origin);
    both->place = g_strdup(high->place);
    both->peers = g_ptr_array_new_with_free_func(strv_free);
    for (guint i = 0; i < low->peers->len; i++)
        g_ptr_array_add(both->peers, g_strdupv(low->peers->pdata[i]));
    for (guint i = 0; i < high->peers->len; i++) {
        if (!has_list(low->peers, high->peers->pdata[i]))
            g_ptr_array_add(both->peers, g_strdupv(high->peers->pdata[i]));
    }
    return both;
}

/* In a key where smaller is stricter, 0 stands for none where none is allowed or a date not set. */
static gint64
as_limit(const Rule *rule)
{
    gboolean none = rule->key->none_allowed || rule->key->kind == KIND_DATE;

    return none && rule->number == 0 ? G_MAXINT64 : rule->number;
}

static gboolean
is_stricter(const Rule *rule, const Rule *than)
{
    switch (rule->key->narrow) {
    case NARROW_AND: /* of a bool: no */
        return rule->number < than->number;
    case NARROW_MIN:
        return as_limit(rule) < as_limit(than);
    case NARROW_MAX:
    case NARROW_STRICT:
        return rule->number > than->number;
    case NARROW_NO:
        break;
    }
    return TRUE;
}

Rule *
clv_policy_rule_narrow(Rule *low, Rule *high)
{
    if (low->key->narrow == NARROW_NO)
        return clv_policy_rule_ref(high);
    if (low->key->kind == KIND_IDS)
        return join_clauses(low, high);
    if (low->key->kind == KIND_SET)
        return intersect_sets(low, high);
    if (low->key->kind == KIND_PEERS)
        return join_peers(low, high);
    return clv_policy_rule_ref(is_stricter(low, high) ? low : high);
}
