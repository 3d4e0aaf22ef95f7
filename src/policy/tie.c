/* SPDX-License-Identifier: Apache-2.0 */
/* policy/tie.c - which template, factory and conference belong together?
 *
 * The third pass of the loader: inheritance, URIs and who owns them, match= and what it meets.
 */
#include "policy/load-private.h"

#include "base/identity.h"

#include <string.h>

#define fail clv_policy_fail
#define value_of clv_policy_value_of
#define find_group clv_policy_find_group

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
void
clv_policy_tie_templates(Loader *loader)
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
        fail(loader, group, key, "found '%s', which [%s] of %s:%u has, expected a URI of its own",
             uri, owner->title, owner->file, owner->line);
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
    group->match = g_strdup(text);
    for (char *p = strrchr(group->match, '@'); p != NULL && *p != '\0'; p++)
        *p = g_ascii_tolower(*p);
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

const Group *
clv_policy_best_match(const Loader *loader, const char *uri)
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

void
clv_policy_tie_groups(Loader *loader)
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
