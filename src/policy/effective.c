/* SPDX-License-Identifier: Apache-2.0 */
/* policy/effective.c - which value of each key holds for a factory or a conference?
 *
 * The last pass of the loader: levels laid upon each other (4.1 of the policy model).
 */
#include "policy/load-private.h"

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
                             ? clv_policy_best_match(loader, group->uris[0])
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

void
clv_policy_effective_free(gpointer data)
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
        clv_policy_effective_free(effective);
}

void
clv_policy_compute(Loader *loader)
{
    for (guint i = 0; i < loader->groups->len; i++) {
        Group *group = loader->groups->pdata[i];

        if (group->kind == GROUP_FACTORY || group->kind == GROUP_DEFAULT ||
            (group->kind == GROUP_CONFERENCE && group->match == NULL))
            compute(loader, group);
    }
}
