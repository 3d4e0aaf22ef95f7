/* SPDX-License-Identifier: Apache-2.0 */
/* policy/parse.c - text to an immutable snapshot, or everything that is wrong with it
 *
 * Four passes: collect the groups of all files, read what each group says, tie groups together
 * (lists, templates, factories, conferences), then compute the effective values of every factory
 * and conference and look for contradictions. Errors never stop a pass.
 */
#include "policy/load-private.h"

#include "base/identity.h"

#include <stdarg.h>
#include <string.h>

#define MAX_GROUPS 10000
#define MAX_DEPTH 8

/* ---- what may stand in which group ---- */

static const char *const policy_keys[] = {"format", "strict", "reload-running", NULL};
static const char *const default_keys[] = {"final", NULL};
static const char *const template_keys[] = {"inherit", "final", NULL};
static const char *const factory_keys[] = {"uri", "template", "final", NULL};
static const char *const conference_keys[] = {"uri", "match", "template", "factory", "final", NULL};
static const char *const list_keys[] = {"members", NULL};

static const struct {
    const char *word;
    gboolean named;
    gboolean holds_values; /* policy keys may stand here */
    const char *const *keys;
} group_kinds[N_GROUP_KINDS] = {
    [GROUP_POLICY] = {"policy", FALSE, FALSE, policy_keys},
    [GROUP_DEFAULT] = {"default", FALSE, TRUE, default_keys},
    [GROUP_TEMPLATE] = {"template", TRUE, TRUE, template_keys},
    [GROUP_FACTORY] = {"factory", TRUE, TRUE, factory_keys},
    [GROUP_CONFERENCE] = {"conference", TRUE, TRUE, conference_keys},
    [GROUP_LIST] = {"list", TRUE, FALSE, list_keys},
};

/* ---- saying what is wrong ---- */

static void
say(GPtrArray *sentences, GHashTable *said, char *sentence)
{
    if (g_hash_table_add(said, sentence))
        g_ptr_array_add(sentences, g_strdup(sentence));
}

static char *
sentence_at(const Group *group, const Entry *entry, const char *key, const char *text)
{
    const char *file = entry != NULL ? entry->file : group->file;
    guint line = entry != NULL ? entry->line : group->line;

    if (key == NULL)
        return g_strdup_printf("%s:%u: [%s]: %s", file, line, group->title, text);
    return g_strdup_printf("%s:%u: [%s] %s: %s", file, line, group->title, key, text);
}

void
clv_policy_fail(Loader *loader, const Group *group, const char *key, const char *format, ...)
{
    g_autofree char *text = NULL;
    const Entry *entry = key != NULL ? g_hash_table_lookup(group->entries, key) : NULL;
    va_list args;

    va_start(args, format);
    text = g_strdup_vprintf(format, args);
    va_end(args);
    say(loader->errors, loader->said, sentence_at(group, entry, key, text));
}

void
clv_policy_fail_rule(Loader *loader, const Group *group, const Rule *rule, const char *format, ...)
{
    g_autofree char *text = NULL;
    va_list args;

    va_start(args, format);
    text = g_strdup_vprintf(format, args);
    va_end(args);
    if (rule->place == NULL)
        clv_policy_fail(loader, group, rule->key->name, "%s", text);
    else
        say(loader->errors, loader->said, g_strdup_printf("%s: %s", rule->place, text));
}

void
clv_policy_warn(Loader *loader, const Group *group, const char *key, const char *format, ...)
{
    g_autofree char *text = NULL;
    const Entry *entry = key != NULL ? g_hash_table_lookup(group->entries, key) : NULL;
    va_list args;

    va_start(args, format);
    text = g_strdup_vprintf(format, args);
    va_end(args);
    say(loader->warnings, loader->said, sentence_at(group, entry, key, text));
}

#define fail clv_policy_fail
#define warn clv_policy_warn

/* Errors in a strict file, warnings else. */
static void
complain(Loader *loader, const Group *group, const char *key, const char *found,
         const char *expected, const char *nearest)
{
    g_autofree char *hint =
        nearest != NULL ? g_strdup_printf(" - did you mean '%s'?", nearest) : g_strdup("");

    if (loader->strict)
        fail(loader, group, key, "found %s, expected %s%s", found, expected, hint);
    else
        warn(loader, group, key, "found %s, expected %s%s; ignored", found, expected, hint);
}

/* ---- pass 1: groups of all files ---- */

static void
entry_free(gpointer data)
{
    Entry *entry = data;

    g_free(entry->key);
    g_free(entry->value);
    g_free(entry);
}

static void
group_free(gpointer data)
{
    Group *group = data;

    g_free(group->title);
    g_hash_table_unref(group->entries);
    g_ptr_array_unref(group->order);
    g_strfreev(group->uris);
    clv_policy_ids_unref(group->ids);
    for (guint i = 0; i < N_KEYS; i++)
        clv_policy_rule_unref(group->rules[i]);
    g_free(group);
}

static GroupKind
group_kind(const char *title, const char **out_name)
{
    for (guint i = 0; i < N_GROUP_KINDS; i++) {
        gsize len = strlen(group_kinds[i].word);

        if (strncmp(title, group_kinds[i].word, len) != 0)
            continue;
        if (!group_kinds[i].named && title[len] == '\0') {
            *out_name = "";
            return (GroupKind)i;
        }
        if (group_kinds[i].named && title[len] == ' ' && title[len + 1] != '\0') {
            *out_name = title + len + 1;
            return (GroupKind)i;
        }
    }
    *out_name = "";
    return N_GROUP_KINDS;
}

/* "factory  adhoc" and "factory adhoc" are the same group. */
static char *
tidy_title(const char *raw)
{
    GString *title = g_string_new(NULL);

    for (const char *p = raw; *p != '\0'; p++) {
        if (!g_ascii_isspace(*p))
            g_string_append_c(title, *p);
        else if (title->len > 0 && title->str[title->len - 1] != ' ')
            g_string_append_c(title, ' ');
    }
    if (title->len > 0 && title->str[title->len - 1] == ' ')
        g_string_truncate(title, title->len - 1);
    return g_string_free(title, FALSE);
}

static Group *
find_group(const Loader *loader, GroupKind kind, const char *name)
{
    g_autofree char *title = g_strdup_printf("%s %s", group_kinds[kind].word, name);

    return g_hash_table_lookup(loader->by_title, title);
}

static Group *
group_at(Loader *loader, const char *raw_title, const char *file, guint line)
{
    g_autofree char *title = tidy_title(raw_title);
    Group *group = g_hash_table_lookup(loader->by_title, title);

    if (group != NULL)
        return group;
    group = g_new0(Group, 1);
    group->title = g_steal_pointer(&title);
    group->kind = group_kind(group->title, &group->name);
    group->file = file;
    group->line = line;
    group->entries = g_hash_table_new(g_str_hash, g_str_equal);
    group->order = g_ptr_array_new_with_free_func(entry_free);
    g_ptr_array_add(loader->groups, group);
    g_hash_table_insert(loader->by_title, group->title, group);
    return group;
}

static void
set_entry(Group *group, const ClvIniEntry *ini, const char *file)
{
    Entry *entry = g_new0(Entry, 1);

    entry->key = g_strdup(ini->key);
    entry->value = g_strdup(ini->value);
    entry->file = file;
    entry->line = ini->line;
    g_ptr_array_add(group->order, entry);
    g_hash_table_replace(group->entries, entry->key, entry);
}

static void
collect(Loader *loader, const ClvIni *ini)
{
    const char *file = g_intern_string(clv_ini_name(ini));
    g_autoptr(GHashTable) seen = g_hash_table_new(g_direct_hash, g_direct_equal);

    for (guint i = 0; i < clv_ini_n_warnings(ini); i++)
        g_ptr_array_add(loader->warnings, g_strdup(clv_ini_warning(ini, i)));
    for (guint i = 0; i < clv_ini_n_groups(ini); i++) {
        guint line = 0;
        const char *title = clv_ini_group(ini, i, &line);
        Group *group;

        if (loader->groups->len >= MAX_GROUPS && !loader->too_many) {
            loader->too_many = TRUE;
            g_ptr_array_add(loader->errors,
                            g_strdup_printf("%s:%u: [%s]: found more than %d groups in all files, "
                                            "expected at most as many",
                                            file, line, title, MAX_GROUPS));
        }
        if (loader->too_many)
            return;
        group = group_at(loader, title, file, line);
        if (!g_hash_table_add(seen, group))
            warn(loader, group, NULL,
                 "found a second time (line %u), expected once; both are "
                 "merged",
                 line);
    }
    for (guint i = 0; i < clv_ini_n_entries(ini); i++) {
        const ClvIniEntry *entry = clv_ini_entry(ini, i);

        set_entry(group_at(loader, entry->group, file, entry->line), entry, file);
    }
}

/* ---- pass 2: what each group says ---- */

static const char *
value_of(const Group *group, const char *key)
{
    const Entry *entry = g_hash_table_lookup(group->entries, key);

    return entry != NULL ? entry->value : NULL;
}

static void
read_policy_group(Loader *loader)
{
    Group *group = g_hash_table_lookup(loader->by_title, "policy");
    const char *value;

    if (group == NULL) {
        g_ptr_array_add(loader->errors,
                        g_strdup_printf("%s:1: [policy] format: found nothing, expected format=1 "
                                        "in the main file",
                                        loader->main_name));
        return;
    }
    value = value_of(group, "format");
    if (value == NULL || strcmp(value, "1") != 0)
        fail(loader, group, "format", "found %s%s%s, expected 1", value != NULL ? "'" : "",
             value != NULL ? value : "nothing", value != NULL ? "'" : "");
    value = value_of(group, "strict");
    if (value != NULL && !clv_parse_bool(value, &loader->strict, NULL))
        fail(loader, group, "strict", "found '%s', expected yes or no", value);
    value = value_of(group, "reload-running");
    if (value != NULL) {
        guint i = 0;

        while (clv_policy_reload_words[i] != NULL && strcmp(clv_policy_reload_words[i], value) != 0)
            i++;
        if (clv_policy_reload_words[i] == NULL)
            fail(loader, group, "reload-running", "found '%s', expected none, tighten or all",
                 value);
        else
            loader->policy->reload = (Reload)i;
    }
}

static void
unknown_group(Loader *loader, const Group *group)
{
    static const char *const words[] = {"policy",     "default", "template", "factory",
                                        "conference", "list",    NULL};
    g_autofree char *first = g_strndup(group->title, strcspn(group->title, " "));
    g_autofree char *found = g_strdup_printf("group '%s'", group->title);
    const char *nearest = g_strv_contains(words, first) ? NULL : clv_policy_nearest(first, words);

    complain(loader, group, NULL, found,
             "[policy], [default], [template NAME], [factory NAME], [conference NAME] or "
             "[list NAME]",
             nearest);
}

static const char *
nearest_key(const Group *group, const char *name)
{
    const char *nearest = NULL;

    if (group_kinds[group->kind].holds_values)
        nearest = clv_policy_key_nearest(name);
    return nearest != NULL ? nearest : clv_policy_nearest(name, group_kinds[group->kind].keys);
}

static void
unknown_key(Loader *loader, const Group *group, const char *name)
{
    g_autofree char *expected = g_strdup_printf("a key of [%s%s]", group_kinds[group->kind].word,
                                                group_kinds[group->kind].named ? " NAME" : "");

    if (group_kinds[group->kind].holds_values && clv_policy_key_is_planned(name)) {
        fail(loader, group, name,
             "found a key that is not supported in this version, expected it "
             "to be left out");
        return;
    }
    if (clv_policy_key_find(name) != N_KEYS) {
        complain(loader, group, name, "a key of conferences",
                 "it in [default], [template], [factory] or [conference]", NULL);
        return;
    }
    complain(loader, group, name, "an unknown key", expected, nearest_key(group, name));
}

static char *
origin_of(const Group *group, const Entry *entry)
{
    g_autofree char *base = g_path_get_basename(entry->file);

    return g_strdup_printf("%s:%u [%s] %s", base, entry->line, group->title, entry->key);
}

static void
read_value(Loader *loader, Group *group, KeyId id, const Entry *entry)
{
    g_autofree char *origin = origin_of(group, entry);
    g_autoptr(GPtrArray) problems = g_ptr_array_new_with_free_func(g_free);

    if (id == KEY_SCHEDULED && group->kind != GROUP_CONFERENCE) {
        fail(loader, group, entry->key, "found in [%s], expected in [conference] alone",
             group->title);
        return;
    }
    group->rules[id] =
        clv_policy_rule_parse(id, entry->value, origin, &loader->id_context, problems);
    group->rules[id]->place =
        g_strdup_printf("%s:%u: [%s] %s", entry->file, entry->line, group->title, entry->key);
    for (guint i = 0; i < problems->len; i++)
        fail(loader, group, entry->key, "%s", (const char *)problems->pdata[i]);
}

static void
read_final(Loader *loader, Group *group)
{
    const char *value = value_of(group, "final");
    g_auto(GStrv) names = clv_ini_split_list(value != NULL ? value : "");

    for (char **name = names; *name != NULL; name++) {
        KeyId id = clv_policy_key_find(*name);

        if (id == N_KEYS && clv_policy_key_is_planned(*name))
            fail(loader, group, "final",
                 "found '%s', which is not supported in this version, "
                 "expected it to be left out",
                 *name);
        else if (id == N_KEYS)
            fail(loader, group, "final", "found '%s', expected names of keys", *name);
        else if (clv_policy_keys[id].narrow == NARROW_NO)
            fail(loader, group, "final",
                 "found '%s', which has no stricter value, expected a key "
                 "that has one",
                 *name);
        else
            group->final[id] = TRUE;
    }
}

static void
read_entry(Loader *loader, Group *group, const Entry *entry)
{
    KeyId id;

    if (g_str_has_prefix(entry->key, "x-") ||
        g_strv_contains(group_kinds[group->kind].keys, entry->key))
        return;
    id = clv_policy_key_find(entry->key);
    if (id == N_KEYS || !group_kinds[group->kind].holds_values)
        unknown_key(loader, group, entry->key);
    else
        read_value(loader, group, id, entry);
}

static void
read_group(Loader *loader, Group *group)
{
    if (group->kind == N_GROUP_KINDS) {
        unknown_group(loader, group);
        return;
    }
    for (guint i = 0; i < group->order->len; i++) {
        const Entry *entry = group->order->pdata[i];

        if (g_hash_table_lookup(group->entries, entry->key) == entry)
            read_entry(loader, group, entry);
    }
    read_final(loader, group);
}

/* ---- lists: read when they are first named, so that a cycle shows ---- */

static IdList *
read_list(Loader *loader, Group *group, GPtrArray *problems)
{
    static const guint list_words = (1u << WORD_ANY) | (1u << WORD_NOBODY);
    g_autoptr(GPtrArray) own = g_ptr_array_new_with_free_func(g_free);
    const char *value = value_of(group, "members");

    if (group->ids != NULL)
        return group->ids;
    if (group->reading || loader->list_depth >= MAX_DEPTH) {
        g_ptr_array_add(problems, g_strdup_printf("found '@%s', expected lists %s", group->name,
                                                  group->reading ? "that do not name themselves"
                                                                 : "at most 8 deep"));
        return NULL;
    }
    group->reading = TRUE;
    loader->list_depth++;
    if (value == NULL)
        fail(loader, group, "members", "found nothing, expected a list of identities");
    group->ids =
        clv_policy_ids_parse(value != NULL ? value : "", list_words, &loader->id_context, own);
    for (guint i = 0; i < own->len; i++)
        fail(loader, group, "members", "%s", (const char *)own->pdata[i]);
    loader->list_depth--;
    group->reading = FALSE;
    return group->ids;
}

static IdList *
find_list(void *user, const char *name, GPtrArray *problems)
{
    Loader *loader = user;
    Group *group = find_group(loader, GROUP_LIST, name);
    IdList *ids = group != NULL ? read_list(loader, group, problems) : NULL;

    return ids != NULL ? clv_policy_ids_ref(ids) : NULL;
}

static void
read_lists(Loader *loader)
{
    g_autoptr(GPtrArray) problems = g_ptr_array_new_with_free_func(g_free);

    for (guint i = 0; i < loader->groups->len; i++) {
        Group *group = loader->groups->pdata[i];

        if (group->kind == GROUP_LIST)
            read_list(loader, group, problems);
    }
}

/* ---- pass 3: templates, factories, conferences ---- */

static void
tie_template(Loader *loader, Group *group, const char *key)
{
    const char *name = value_of(group, key);

    if (name == NULL)
        return;
    group->parent = find_group(loader, GROUP_TEMPLATE, name);
    if (group->parent == NULL)
        fail(loader, group, key, "found '%s', expected the name of a [template]", name);
}

static void
check_depth(Loader *loader, Group *group)
{
    const Group *ancestor = group->parent;
    guint depth = 1;

    for (; ancestor != NULL; ancestor = ancestor->parent, depth++) {
        if (ancestor == group || depth > MAX_DEPTH) {
            fail(loader, group, "inherit", "found '%s', expected %s", value_of(group, "inherit"),
                 ancestor == group ? "a template that does not inherit from this one"
                                   : "templates at most 8 deep");
            group->broken = TRUE;
            return;
        }
    }
}

/* Cycles are cut only after all of them have been named. */
static void
tie_templates(Loader *loader)
{
    for (guint i = 0; i < loader->groups->len; i++) {
        Group *group = loader->groups->pdata[i];

        if (group->kind == GROUP_TEMPLATE)
            tie_template(loader, group, "inherit");
        else if (group->kind == GROUP_FACTORY || group->kind == GROUP_CONFERENCE)
            tie_template(loader, group, "template");
    }
    for (guint i = 0; i < loader->groups->len; i++) {
        Group *group = loader->groups->pdata[i];

        if (group->kind == GROUP_TEMPLATE)
            check_depth(loader, group);
    }
    for (guint i = 0; i < loader->groups->len; i++) {
        Group *group = loader->groups->pdata[i];

        if (group->broken)
            group->parent = NULL;
    }
}

/* "sip:factory.conf1@host": the part between the first dot and the at sign, and the host. */
static gboolean
split_service(const char *uri, char **out_first, char **out_service, char **out_host)
{
    const char *user, *dot, *at;

    if (!g_str_has_prefix(uri, "sip:"))
        return FALSE;
    user = uri + strlen("sip:");
    at = strchr(user, '@');
    dot = strchr(user, '.');
    if (at == NULL || dot == NULL || dot > at || dot == user || dot + 1 == at || at[1] == '\0')
        return FALSE;
    *out_first = g_strndup(user, (gsize)(dot - user));
    *out_service = g_strndup(dot + 1, (gsize)(at - dot - 1));
    *out_host = g_strdup(at + 1);
    return TRUE;
}

static gboolean
claim_uri(Loader *loader, Group *group, const char *key, const char *uri)
{
    const Group *owner = g_hash_table_lookup(loader->by_uri, uri);

    if (owner != NULL) {
        fail(loader, group, key, "found '%s', which [%s] has in line %u, expected a URI of its own",
             uri, owner->title, owner->line);
        return FALSE;
    }
    g_hash_table_insert(loader->by_uri, g_strdup(uri), group);
    return TRUE;
}

static void
read_factory_uris(Loader *loader, Group *group)
{
    const char *value = value_of(group, "uri");
    g_auto(GStrv) texts = clv_ini_split_list(value != NULL ? value : "");
    g_autoptr(GStrvBuilder) uris = g_strv_builder_new();

    if (texts[0] == NULL)
        fail(loader, group, "uri", "found nothing, expected sip:factory.SERVICE@HOST");
    for (char **text = texts; *text != NULL; text++) {
        g_autofree char *uri = clv_identity_canonical(*text, -1);

        if (uri == NULL || !g_str_has_prefix(uri, "sip:"))
            fail(loader, group, "uri", "found '%s', expected a SIP URI", *text);
        else if (claim_uri(loader, group, "uri", uri))
            g_strv_builder_add(uris, uri);
    }
    group->uris = g_strv_builder_end(uris);
}

static const Group *
same_service(const Loader *loader, const char *service, const char *host)
{
    g_autofree char *uri = g_strdup_printf("sip:factory.%s@%s", service, host);
    const Group *group = g_hash_table_lookup(loader->by_uri, uri);

    return group != NULL && group->kind == GROUP_FACTORY ? group : NULL;
}

static void
tie_factory(Loader *loader, Group *group)
{
    g_autofree char *first = NULL, *service = NULL, *host = NULL;
    FactoryEntry *entry;

    read_factory_uris(loader, group);
    if (group->uris[0] == NULL)
        return;
    if (!split_service(group->uris[0], &first, &service, &host) || strcmp(first, "factory") != 0) {
        fail(loader, group, "uri", "found '%s', expected sip:factory.SERVICE@HOST", group->uris[0]);
        return;
    }
    entry = g_new0(FactoryEntry, 1);
    entry->name = g_strdup(group->name);
    entry->uris = g_strdupv(group->uris);
    entry->service = g_steal_pointer(&service);
    entry->host = g_steal_pointer(&host);
    entry->public = (ClvPolicyFactory){entry->name, (const char *const *)entry->uris,
                                       entry->service, entry->host};
    g_ptr_array_add(loader->policy->factories, entry);
}

/* The factory whose KMS service this URI belongs to; named, or found by the naming rule. */
static const Group *
factory_of(Loader *loader, Group *group, const char *uri)
{
    g_autofree char *first = NULL, *service = NULL, *host = NULL;
    const char *name = value_of(group, "factory");
    gboolean ruled = split_service(uri, &first, &service, &host);
    const Group *found = ruled ? same_service(loader, service, host) : NULL;
    const Group *named = name != NULL ? find_group(loader, GROUP_FACTORY, name) : found;

    if (name != NULL && named == NULL)
        fail(loader, group, "factory", "found '%s', expected the name of a [factory]", name);
    else if (named != found)
        fail(loader, group, "uri",
             "found '%s', expected sip:NAME.SERVICE@HOST with the service "
             "and host of [%s]",
             uri, named->title);
    return named;
}

static void
tie_exact(Loader *loader, Group *group, const char *text)
{
    g_autofree char *uri = clv_identity_canonical(text, -1);
    const Group *factory;

    if (uri == NULL || !g_str_has_prefix(uri, "sip:")) {
        fail(loader, group, "uri", "found '%s', expected a SIP URI", text);
        return;
    }
    if (!claim_uri(loader, group, "uri", uri))
        return;
    factory = factory_of(loader, group, uri);
    group->factory = factory;
    group->uris = g_new0(char *, 2);
    group->uris[0] = g_steal_pointer(&uri);
}

static void
tie_match(Loader *loader, Group *group, const char *text)
{
    if (!g_str_has_prefix(text, "sip:") || strchr(text, '@') == NULL || strchr(text, '*') == NULL)
        fail(loader, group, "match",
             "found '%s', expected a SIP URI with '*', such as "
             "sip:*.hall@example.org",
             text);
    if (g_hash_table_contains(group->entries, "factory"))
        fail(loader, group, "factory", "found together with match=, expected it with uri= alone");
    group->match = text;
    g_ptr_array_add(loader->matches, group);
}

static void
tie_conference(Loader *loader, Group *group)
{
    const char *uri = value_of(group, "uri");
    const char *match = value_of(group, "match");

    if ((uri == NULL) == (match == NULL))
        fail(loader, group, uri != NULL ? "match" : "uri",
             "found %s, expected one of uri= and match=",
             uri != NULL ? "both uri= and match=" : "neither uri= nor match=");
    else if (uri != NULL)
        tie_exact(loader, group, uri);
    else
        tie_match(loader, group, match);
}

/* Can one text match both? '*' stands for any run of characters. */
static gboolean
globs_meet(const char *a, const char *b)
{
    gsize n = strlen(a), m = strlen(b);
    g_autofree guint8 *meets = g_malloc0((n + 1) * (m + 1));

#define MEETS(i, j) meets[(i) * (m + 1) + (j)]
    for (gsize i = n + 1; i-- > 0;) {
        for (gsize j = m + 1; j-- > 0;) {
            if (i == n && j == m)
                MEETS(i, j) = 1;
            else if ((i < n && a[i] == '*') || (j < m && b[j] == '*'))
                MEETS(i, j) = (i < n && a[i] == '*' && MEETS(i + 1, j)) ||
                              (j < m && b[j] == '*' && MEETS(i, j + 1)) ||
                              (i < n && j < m && a[i] == '*' && MEETS(i, j + 1)) ||
                              (i < n && j < m && b[j] == '*' && MEETS(i + 1, j));
            else
                MEETS(i, j) = i < n && j < m && a[i] == b[j] && MEETS(i + 1, j + 1);
        }
    }
    return MEETS(0, 0);
#undef MEETS
}

static gsize
literal_len(const char *glob)
{
    gsize len = 0;

    for (; *glob != '\0'; glob++)
        len += *glob != '*';
    return len;
}

#define MAX_MATCHES 200
#define MAX_GLOB 256

static void
check_matches(Loader *loader)
{
    if (loader->matches->len > MAX_MATCHES) {
        fail(loader, loader->matches->pdata[MAX_MATCHES], "match",
             "found more than %d groups with match=, expected at most as many", MAX_MATCHES);
        g_ptr_array_set_size(loader->matches, 0);
    }
    for (guint i = 0; i < loader->matches->len; i++) {
        const Group *group = loader->matches->pdata[i];

        if (strlen(group->match) > MAX_GLOB) {
            fail(loader, group, "match",
                 "found a pattern of more than %d octets, expected at most "
                 "as many",
                 MAX_GLOB);
            g_ptr_array_set_size(loader->matches, 0);
            return;
        }
    }
    for (guint i = 0; i < loader->matches->len; i++) {
        for (guint j = 0; j < i; j++) {
            const Group *a = loader->matches->pdata[i], *b = loader->matches->pdata[j];

            if (literal_len(a->match) == literal_len(b->match) && globs_meet(a->match, b->match))
                fail(loader, a, "match",
                     "found '%s', which overlaps '%s' of [%s] and is as long, "
                     "expected one of them to say more",
                     a->match, b->match, b->title);
        }
    }
}

static const Group *
best_match(const Loader *loader, const char *uri)
{
    const Group *best = NULL;

    for (guint i = 0; i < loader->matches->len; i++) {
        const Group *group = loader->matches->pdata[i];

        if (globs_meet(group->match, uri) &&
            (best == NULL || literal_len(group->match) > literal_len(best->match)))
            best = group;
    }
    return best;
}

static void
tie_groups(Loader *loader)
{
    for (guint i = 0; i < loader->groups->len; i++) {
        Group *group = loader->groups->pdata[i];

        if (group->kind == GROUP_FACTORY)
            tie_factory(loader, group);
    }
    for (guint i = 0; i < loader->groups->len; i++) {
        Group *group = loader->groups->pdata[i];

        if (group->kind == GROUP_CONFERENCE)
            tie_conference(loader, group);
    }
    check_matches(loader);
}

/* ---- pass 4: effective values ---- */

static void
apply_level(Rule *rules[N_KEYS], gboolean final[N_KEYS], const Group *level)
{
    for (guint i = 0; level != NULL && i < N_KEYS; i++) {
        gboolean unites = i == KEY_DENY || i == KEY_CREATE_DENY;
        Rule *former = rules[i];

        if (level->rules[i] == NULL)
            continue;
        if (unites || final[i])
            rules[i] = clv_policy_rule_narrow(former, level->rules[i]);
        else
            rules[i] = clv_policy_rule_ref(level->rules[i]);
        clv_policy_rule_unref(former);
    }
    for (guint i = 0; level != NULL && i < N_KEYS; i++)
        final[i] = final[i] || level->final[i];
}

static void
apply_chain(Rule *rules[N_KEYS], gboolean final[N_KEYS], const Group *template)
{
    if (template == NULL)
        return;
    apply_chain(rules, final, template->parent);
    apply_level(rules, final, template);
}

static Effective *
effective_new(const Loader *loader, const Group *group)
{
    Effective *effective = g_new0(Effective, 1);
    const Group *match = group->kind == GROUP_CONFERENCE && group->uris != NULL
                             ? best_match(loader, group->uris[0])
                             : NULL;
    const Group *template = group->parent;
    gboolean final[N_KEYS] = {FALSE};

    if (template == NULL && match != NULL)
        template = match->parent;
    effective->title = g_strdup(group->title);
    for (guint i = 0; i < N_KEYS; i++)
        effective->rules[i] = clv_policy_rule_ref(loader->builtin[i]);
    apply_level(effective->rules, final, g_hash_table_lookup(loader->by_title, "default"));
    apply_chain(effective->rules, final, template);
    apply_level(effective->rules, final, match);
    if (group->kind != GROUP_DEFAULT)
        apply_level(effective->rules, final, group);
    return effective;
}

static void
effective_free(gpointer data)
{
    Effective *effective = data;

    for (guint i = 0; i < N_KEYS; i++)
        clv_policy_rule_unref(effective->rules[i]);
    g_free(effective->title);
    g_free(effective);
}

static void
add_conference(Loader *loader, const Group *group)
{
    ConferenceEntry *entry = g_new0(ConferenceEntry, 1);

    entry->name = g_strdup(group->name);
    entry->uri = g_strdup(group->uris[0]);
    entry->factory = group->factory != NULL ? g_strdup(group->factory->name) : NULL;
    entry->public = (ClvPolicyConference){entry->name, entry->uri, entry->factory};
    g_ptr_array_add(loader->policy->conferences, entry);
}

static void
compute(Loader *loader, Group *group)
{
    Effective *effective = effective_new(loader, group);

    clv_policy_check_rules(loader, group, effective);
    if (group->kind == GROUP_CONFERENCE && group->uris != NULL &&
        effective->rules[KEY_SCHEDULED]->number)
        add_conference(loader, group);
    if (group->kind != GROUP_DEFAULT)
        g_hash_table_replace(loader->policy->effective, effective->title, effective);
    else
        effective_free(effective);
}

static void
compute_all(Loader *loader)
{
    for (guint i = 0; i < loader->groups->len; i++) {
        Group *group = loader->groups->pdata[i];

        if (group->kind == GROUP_FACTORY || group->kind == GROUP_DEFAULT ||
            (group->kind == GROUP_CONFERENCE && group->match == NULL))
            compute(loader, group);
    }
}

/* ---- the door ---- */

static void
factory_entry_free(gpointer data)
{
    FactoryEntry *entry = data;

    g_free(entry->name);
    g_strfreev(entry->uris);
    g_free(entry->service);
    g_free(entry->host);
    g_free(entry);
}

static void
conference_entry_free(gpointer data)
{
    ConferenceEntry *entry = data;

    g_free(entry->name);
    g_free(entry->uri);
    g_free(entry->factory);
    g_free(entry);
}

static ClvPolicy *
policy_new(void)
{
    ClvPolicy *policy = g_new0(ClvPolicy, 1);

    g_atomic_ref_count_init(&policy->refs);
    policy->reload = RELOAD_TIGHTEN;
    policy->factories = g_ptr_array_new_with_free_func(factory_entry_free);
    policy->conferences = g_ptr_array_new_with_free_func(conference_entry_free);
    policy->effective = g_hash_table_new_full(g_str_hash, g_str_equal, NULL, effective_free);
    return policy;
}

static void
loader_init(Loader *loader, const char *main_name)
{
    memset(loader, 0, sizeof *loader);
    loader->main_name = main_name;
    loader->strict = TRUE;
    loader->errors = g_ptr_array_new_with_free_func(g_free);
    loader->warnings = g_ptr_array_new_with_free_func(g_free);
    loader->said = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    loader->policy = policy_new();
    loader->groups = g_ptr_array_new_with_free_func(group_free);
    loader->matches = g_ptr_array_new();
    loader->by_title = g_hash_table_new(g_str_hash, g_str_equal);
    loader->by_uri = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    loader->id_context = (IdContext){find_list, loader};
    for (guint i = 0; i < N_KEYS; i++)
        loader->builtin[i] = clv_policy_rule_builtin((KeyId)i);
}

static void
loader_clear(Loader *loader)
{
    for (guint i = 0; i < N_KEYS; i++)
        clv_policy_rule_unref(loader->builtin[i]);
    g_hash_table_unref(loader->by_uri);
    g_hash_table_unref(loader->by_title);
    g_ptr_array_unref(loader->matches);
    g_ptr_array_unref(loader->groups);
    g_hash_table_unref(loader->said);
    g_ptr_array_unref(loader->warnings);
    g_ptr_array_unref(loader->errors);
    clv_policy_unref(loader->policy);
}

static char **
take_strings(GPtrArray *strings)
{
    GStrvBuilder *builder = g_strv_builder_new();
    char **taken;

    for (guint i = 0; i < strings->len; i++)
        g_strv_builder_add(builder, strings->pdata[i]);
    taken = g_strv_builder_end(builder);
    g_strv_builder_unref(builder);
    return taken;
}

ClvPolicy *
clv_policy_build(const char *main_name, const ClvIni *const *files, guint n_files,
                 GPtrArray *errors)
{
    Loader loader;
    ClvPolicy *policy = NULL;
    guint before = errors->len;

    loader_init(&loader, main_name);
    for (guint i = 0; i < n_files; i++)
        collect(&loader, files[i]);
    read_policy_group(&loader);
    read_lists(&loader);
    for (guint i = 0; i < loader.groups->len; i++)
        read_group(&loader, loader.groups->pdata[i]);
    tie_templates(&loader);
    tie_groups(&loader);
    compute_all(&loader);

    for (guint i = 0; i < loader.errors->len; i++)
        g_ptr_array_add(errors, g_strdup(loader.errors->pdata[i]));
    if (errors->len == before) {
        loader.policy->warnings = take_strings(loader.warnings);
        policy = g_steal_pointer(&loader.policy);
    }
    loader_clear(&loader);
    return policy;
}

ClvPolicy *
clv_policy_parse(const char *name, const char *text, gsize len, GPtrArray *errors)
{
    g_autoptr(ClvIni) ini = NULL;
    const ClvIni *files[1];

    if (len > CLV_POLICY_MAX_BYTES) {
        g_ptr_array_add(errors, g_strdup_printf("%s: found %" G_GSIZE_FORMAT " octets, expected at "
                                                "most %u",
                                                name, len, CLV_POLICY_MAX_BYTES));
        return NULL;
    }
    ini = clv_ini_parse(name, text, len, errors);
    if (ini == NULL)
        return NULL;
    files[0] = ini;
    return clv_policy_build(name, files, 1, errors);
}

ClvPolicy *
clv_policy_ref(ClvPolicy *policy)
{
    g_atomic_ref_count_inc(&policy->refs);
    return policy;
}

void
clv_policy_unref(ClvPolicy *policy)
{
    if (policy == NULL || !g_atomic_ref_count_dec(&policy->refs))
        return;
    g_ptr_array_unref(policy->factories);
    g_ptr_array_unref(policy->conferences);
    g_hash_table_unref(policy->effective);
    g_strfreev(policy->warnings);
    g_free(policy);
}
