/* SPDX-License-Identifier: Apache-2.0 */
/* policy/load-private.h - what the loader knows while it reads; inside the policy room only */
#pragma once

#include "base/option.h"
#include "policy/policy-private.h"

typedef enum GroupKind {
    GROUP_POLICY,
    GROUP_DEFAULT,
    GROUP_TEMPLATE,
    GROUP_FACTORY,
    GROUP_CONFERENCE,
    GROUP_LIST,
    N_GROUP_KINDS
} GroupKind;

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

    Rule *rules[N_KEYS];  /* (nullable) own values */
    gboolean final[N_KEYS];
    const Group *parent;  /* (nullable) template= or inherit= */
    gboolean broken;      /* inherits from itself, or too deep */
    gboolean reading;     /* [list]: being read */
    IdList *ids;          /* [list] */
    char **uris;          /* canonical; factory: and aliases */
    const char *match;    /* (nullable) */
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

/* The consistency rules that concern values (check.c). */
void clv_policy_check_rules(Loader *loader, const Group *group, const Effective *effective);

/* @files: main file first. */
ClvPolicy *clv_policy_build(const char *main_name, const ClvIni *const *files, guint n_files,
                            GPtrArray *errors);
