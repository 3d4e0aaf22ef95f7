/* SPDX-License-Identifier: Apache-2.0 */
/* policy/groups.c - which groups do the files have, and what stands in them?
 *
 * The first pass of the loader: groups of all files merged, of a key the last one kept.
 */
#include "policy/load-private.h"

#include <stdarg.h>
#include <string.h>

#define MAX_GROUPS 10000

/* ---- what may stand in which group ---- */

static const char *const policy_keys[] = {"format", "strict", "reload-running", NULL};
static const char *const default_keys[] = {"final", NULL};
static const char *const template_keys[] = {"inherit", "final", NULL};
static const char *const factory_keys[] = {"uri", "template", "final", NULL};
static const char *const conference_keys[] = {"uri", "match", "template", "factory", "final", NULL};
static const char *const list_keys[] = {"members", NULL};

const GroupKindInfo clv_policy_group_kinds[N_GROUP_KINDS] = {
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

void
clv_policy_warn_rule(Loader *loader, const Group *group, const Rule *rule, const char *format, ...)
{
    g_autofree char *text = NULL;
    va_list args;

    va_start(args, format);
    text = g_strdup_vprintf(format, args);
    va_end(args);
    if (rule->place == NULL)
        clv_policy_warn(loader, group, rule->key->name, "%s", text);
    else
        say(loader->warnings, loader->said, g_strdup_printf("%s: %s", rule->place, text));
}

/* ---- groups of all files ---- */

static void
entry_free(gpointer data)
{
    Entry *entry = data;

    g_free(entry->key);
    g_free(entry->value);
    g_free(entry);
}

void
clv_policy_group_free(gpointer data)
{
    Group *group = data;

    g_free(group->title);
    g_hash_table_unref(group->entries);
    g_ptr_array_unref(group->order);
    g_strfreev(group->uris);
    g_free(group->match);
    clv_policy_ids_unref(group->ids);
    for (guint i = 0; i < N_KEYS; i++)
        clv_policy_rule_unref(group->rules[i]);
    g_free(group);
}

static GroupKind
group_kind(const char *title, const char **out_name)
{
    for (guint i = 0; i < N_GROUP_KINDS; i++) {
        gsize len = strlen(clv_policy_group_kinds[i].word);

        if (strncmp(title, clv_policy_group_kinds[i].word, len) != 0)
            continue;
        if (!clv_policy_group_kinds[i].named && title[len] == '\0') {
            *out_name = "";
            return (GroupKind)i;
        }
        if (clv_policy_group_kinds[i].named && title[len] == ' ' && title[len + 1] != '\0') {
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

Group *
clv_policy_find_group(const Loader *loader, GroupKind kind, const char *name)
{
    g_autofree char *title = g_strdup_printf("%s %s", clv_policy_group_kinds[kind].word, name);

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

void
clv_policy_collect(Loader *loader, const ClvIni *ini)
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
            clv_policy_warn(loader, group, NULL,
                            "found a second time (line %u), expected once; both are "
                            "merged",
                            line);
    }
    for (guint i = 0; i < clv_ini_n_entries(ini); i++) {
        const ClvIniEntry *entry = clv_ini_entry(ini, i);

        set_entry(group_at(loader, entry->group, file, entry->line), entry, file);
    }
}

const char *
clv_policy_value_of(const Group *group, const char *key)
{
    const Entry *entry = g_hash_table_lookup(group->entries, key);

    return entry != NULL ? entry->value : NULL;
}
