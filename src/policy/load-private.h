/* SPDX-License-Identifier: Apache-2.0 */
/* policy/load-private.h - what the loader knows while it reads; inside the policy room only */
#pragma once

#include "base/option.h"
#include "policy/policy-private.h"

#define MAX_DEPTH 8 /* of templates, and of lists in lists */

typedef enum GroupKind {
    GROUP_POLICY,
    GROUP_DEFAULT,
    GROUP_TEMPLATE,
    GROUP_FACTORY,
    GROUP_CONFERENCE,
    GROUP_LIST,
    N_GROUP_KINDS
} GroupKind;

typedef struct GroupKindInfo {
    const char *word;
    gboolean named;
    gboolean holds_values; /* policy keys may stand here */
    const char *const *keys;
} GroupKindInfo;
extern const GroupKindInfo clv_policy_group_kinds[N_GROUP_KINDS];

typedef struct Entry {
    char *key;
    char *value;
    const char *file; /* interned */
    guint line;
} Entry;

typedef struct Group Group;
struct Group {
    GroupKind kind;   /* N_GROUP_KINDS: unknown */
    char *title;      /* "factory adhoc" */
    const char *name; /* "adhoc", inside the title */
    const char *file; /* where its first header stands; interned */
    guint line;
    GHashTable *entries; /* key -> Entry that counts */
    GPtrArray *order;    /* all entries */

    Rule *rules[N_KEYS]; /* (nullable) own values */
    gboolean final[N_KEYS];
    const Group *parent; /* (nullable) template= or inherit= */
    gboolean broken;     /* inherits from itself, or too deep */
    gboolean reading;    /* [list]: being read */
    IdList *ids;         /* [list] */
    char **uris;         /* canonical; factory: and aliases */
    char *match;         /* (nullable) host in lower case, as in the URIs that it is held against */
    const Group *factory; /* (nullable) */
};

typedef struct FactoryEntry {
    char *name, **uris, *service, *host;
    ClvPolicyFactory public;
} FactoryEntry;

typedef struct ConferenceEntry {
    char *name, *uri, *factory;
    ClvPolicyConference public;
} ConferenceEntry;

typedef struct Loader {
    const char *main_name;
    GPtrArray *errors, *warnings; /* utf8 */
    GHashTable *said;             /* what they hold, to say nothing twice */
    ClvPolicy *policy;            /* being made */
    GPtrArray *groups;            /* Group, in file order */
    GPtrArray *matches;           /* Group with match= */
    GHashTable *by_title;         /* Group */
    GHashTable *by_uri;           /* canonical URI -> Group */
    Rule *builtin[N_KEYS];
    IdContext id_context;
    guint list_depth;
    gboolean strict, too_many;
} Loader;

/* "file:line: [group] key: ..."; key (nullable). */
void clv_policy_fail(Loader *loader, const Group *group, const char *key, const char *format, ...)
    G_GNUC_PRINTF(4, 5);
void clv_policy_warn(Loader *loader, const Group *group, const char *key, const char *format, ...)
    G_GNUC_PRINTF(4, 5);

/* Where the rule was written, or, of a built-in one, at the group that lives by it. */
void clv_policy_fail_rule(Loader *loader, const Group *group, const Rule *rule, const char *format,
                          ...) G_GNUC_PRINTF(4, 5);

void clv_policy_warn_rule(Loader *loader, const Group *group, const Rule *rule, const char *format,
                          ...) G_GNUC_PRINTF(4, 5);

/* ---- the passes ---- */

/* groups.c */
void clv_policy_collect(Loader *loader, const ClvIni *ini);
Group *clv_policy_find_group(const Loader *loader, GroupKind kind, const char *name);
const char *clv_policy_value_of(const Group *group, const char *key); /* (nullable) */
void clv_policy_group_free(gpointer group);
/* tie.c */
void clv_policy_tie_templates(Loader *loader);
void clv_policy_tie_groups(Loader *loader);
/* The [conference match=] for this URI; (nullable). */
const Group *clv_policy_best_match(const Loader *loader, const char *uri);
/* effective.c */
void clv_policy_compute(Loader *loader);
void clv_policy_effective_free(gpointer effective);
/* meet.c: can they name the same person? @budget: comparisons left; without any the answer is yes
 */
gboolean clv_policy_pattern_meets(const Pattern *pattern, const IdList *ids, guint *budget);
gboolean clv_policy_ids_meet(const IdList *a, const IdList *b, guint *budget);
gboolean clv_policy_ids_name_somebody(const IdList *ids, guint *budget);
/* lint.c */
void clv_policy_lint(Loader *loader);

/* The consistency rules that concern values (check.c). */
void clv_policy_check_rules(Loader *loader, const Group *group, const Effective *effective);

/* @files: main file first. */
ClvPolicy *clv_policy_build(const char *main_name, const ClvIni *const *files, guint n_files,
                            GPtrArray *errors);
