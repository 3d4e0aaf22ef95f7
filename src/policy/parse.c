/* SPDX-License-Identifier: Apache-2.0 */
/* policy/parse.c - text to an immutable snapshot, or everything that is wrong with it
 *
 * Four passes: collect the groups of all files (groups.c), read what each group says, tie groups
 * together (tie.c), then compute the effective values of every factory and conference (effective.c)
 * and look for contradictions (check.c) and for what can hardly be meant (lint.c). Errors never
 * stop a pass.
 */
#include "policy/load-private.h"

#include <string.h>

#define fail clv_policy_fail
#define warn clv_policy_warn
#define value_of clv_policy_value_of
#define group_kinds clv_policy_group_kinds
#define find_group clv_policy_find_group

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

/* ---- what each group says ---- */

static gboolean
stands_in_main_file(const Loader *loader, const Group *group, const char *key)
{
    for (guint i = 0; i < group->order->len; i++) {
        const Entry *entry = group->order->pdata[i];

        if (strcmp(entry->key, key) == 0 && strcmp(entry->file, loader->main_name) == 0)
            return TRUE;
    }
    return FALSE;
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
    else if (!stands_in_main_file(loader, group, "format"))
        fail(loader, group, "format", "found in a drop-in alone, expected format=1 in %s as well",
             loader->main_name);
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
    policy->effective =
        g_hash_table_new_full(g_str_hash, g_str_equal, NULL, clv_policy_effective_free);
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
    loader->groups = g_ptr_array_new_with_free_func(clv_policy_group_free);
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
        clv_policy_collect(&loader, files[i]);
    read_policy_group(&loader);
    read_lists(&loader);
    for (guint i = 0; i < loader.groups->len; i++)
        read_group(&loader, loader.groups->pdata[i]);
    clv_policy_tie_templates(&loader);
    clv_policy_tie_groups(&loader);
    clv_policy_compute(&loader);
    clv_policy_lint(&loader);

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
