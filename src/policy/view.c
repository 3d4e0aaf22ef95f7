/* SPDX-License-Identifier: Apache-2.0 */
/* policy/view.c - which values hold for this conference, now and after a reload? */
#include "policy/load-private.h"

#include <string.h>

/* ---- what exists ---- */

const char *const *
clv_policy_warnings(const ClvPolicy *policy)
{
    return (const char *const *)policy->warnings;
}

guint
clv_policy_n_factories(const ClvPolicy *policy)
{
    return policy->factories->len;
}

const ClvPolicyFactory *
clv_policy_factory(const ClvPolicy *policy, guint i)
{
    g_return_val_if_fail(i < policy->factories->len, NULL);

    return &((const FactoryEntry *)policy->factories->pdata[i])->public;
}

guint
clv_policy_n_conferences(const ClvPolicy *policy)
{
    return policy->conferences->len;
}

const ClvPolicyConference *
clv_policy_conference(const ClvPolicy *policy, guint i)
{
    g_return_val_if_fail(i < policy->conferences->len, NULL);

    return &((const ConferenceEntry *)policy->conferences->pdata[i])->public;
}

const ClvPolicyFactory *
clv_policy_find_factory(const ClvPolicy *policy, const char *uri)
{
    for (guint i = 0; i < policy->factories->len; i++) {
        const ClvPolicyFactory *factory = clv_policy_factory(policy, i);

        if (g_strv_contains(factory->uris, uri))
            return factory;
    }
    return NULL;
}

const ClvPolicyConference *
clv_policy_find_conference(const ClvPolicy *policy, const char *uri)
{
    for (guint i = 0; i < policy->conferences->len; i++) {
        const ClvPolicyConference *conference = clv_policy_conference(policy, i);

        if (strcmp(conference->uri, uri) == 0)
            return conference;
    }
    return NULL;
}

/* ---- views ---- */

/* The words of key-mgmt-allow stand in the order of ClvScheme, without NONE; suites alike. */
static void
fill_sets(ClvPolicyView *view)
{
    const GArray *schemes = view->rules[KEY_KEY_MGMT_ALLOW]->set;
    const GArray *suites = view->rules[KEY_SRTP_SUITES]->set;

    for (guint i = 0; i < schemes->len; i++)
        view->schemes[i] = (ClvScheme)(g_array_index(schemes, guint8, i) + 1);
    for (guint i = 0; i < suites->len; i++)
        view->suites[i] = (ClvSrtpSuite)(g_array_index(suites, guint8, i) + 1);
}

static ClvPolicyView *
view_new(const char *title, Reload reload, Rule *const rules[N_KEYS])
{
    ClvPolicyView *view = g_new0(ClvPolicyView, 1);

    view->title = g_strdup(title);
    view->reload = reload;
    for (guint i = 0; i < N_KEYS; i++)
        view->rules[i] = clv_policy_rule_ref(rules[i]);
    fill_sets(view);
    return view;
}

static ClvPolicyView *
view_of(ClvPolicy *policy, const char *kind, const char *name)
{
    g_autofree char *title = g_strdup_printf("%s %s", kind, name);
    const Effective *effective = g_hash_table_lookup(policy->effective, title);

    return effective != NULL ? view_new(title, policy->reload, effective->rules) : NULL;
}

ClvPolicyView *
clv_policy_view_factory(ClvPolicy *policy, const char *factory)
{
    return view_of(policy, "factory", factory);
}

ClvPolicyView *
clv_policy_view_conference(ClvPolicy *policy, const char *name)
{
    return view_of(policy, "conference", name);
}

void
clv_policy_view_free(ClvPolicyView *view)
{
    if (view == NULL)
        return;
    for (guint i = 0; i < N_KEYS; i++)
        clv_policy_rule_unref(view->rules[i]);
    g_free(view->title);
    g_free(view);
}

const char *
clv_policy_view_name(const ClvPolicyView *view)
{
    return view->title;
}

/* ---- reload ---- */

/* (transfer full) What a running conference takes over of one key. */
static Rule *
merge_rule(Rule *running, Rule *fresh, Reload reload)
{
    Live live = running->key->live;

    if (live == LIVE_NEW || reload == RELOAD_NONE)
        return clv_policy_rule_ref(running);
    if (reload == RELOAD_ALL)
        return clv_policy_rule_ref(fresh);
    if (running->key->narrow == NARROW_NO)
        return clv_policy_rule_ref(live == LIVE_ANY ? fresh : running);
    return clv_policy_rule_narrow(running, fresh);
}

ClvPolicyView *
clv_policy_view_merge(const ClvPolicyView *running, const ClvPolicyView *fresh, char **out_changed)
{
    ClvPolicyView *view = g_new0(ClvPolicyView, 1);
    g_autoptr(GString) changed = g_string_new(NULL);

    view->title = g_strdup(running->title);
    view->reload = fresh->reload;
    for (guint i = 0; i < N_KEYS; i++) {
        view->rules[i] = merge_rule(running->rules[i], fresh->rules[i], fresh->reload);
        if (!clv_policy_rule_equal(view->rules[i], running->rules[i]))
            g_string_append_printf(changed, "%s%s", changed->len > 0 ? ";" : "",
                                   clv_policy_keys[i].name);
    }
    fill_sets(view);
    if (out_changed != NULL)
        *out_changed = g_strdup(changed->str);
    return view;
}
