/* SPDX-License-Identifier: Apache-2.0 */
/* policy/policy-private.h - keys, rules and identity lists; inside the policy room only
 *
 * A key is a line of the table in keys.c. A rule is a key with a value and the place where it was
 * written; rules are counted, because snapshots and views share them.
 */
#pragma once

#include "policy/policy.h"

/* ---- keys (keys.c) ---- */

typedef enum KeyId {
    KEY_CREATE_ALLOW,
    KEY_CREATE_DENY,
    KEY_CREATE_MAX_PER_USER,
    KEY_CREATE_MAX_TOTAL,
    KEY_CREATE_EMPTY,
    KEY_CREATION,
    KEY_OWNERS,
    KEY_MODERATORS,
    KEY_ALLOW,
    KEY_DENY,
    KEY_TICKET_AUTHORITY,
    KEY_NO_TICKET_LIST,
    KEY_TICKET_WILDCARDS,
    KEY_AUTH,
    KEY_DIAL_IN,
    KEY_DIAL_OUT,
    KEY_REFER_ALLOW,
    KEY_INVITE_BY_REFER,
    KEY_REFER_TICKET,
    KEY_REFER_EXTENDS,
    KEY_REFER_DUPLICATE,
    KEY_REFER_STATUS,
    KEY_PASS_REFERRED_BY,
    KEY_DIAL_OUT_TIMEOUT,
    KEY_DIAL_OUT_PARALLEL,
    KEY_MAX_URI_LIST,
    KEY_SHARE_URI_LIST,
    KEY_ON_DISALLOW,
    KEY_BAN_ON_REMOVAL,
    KEY_MAX_PARTICIPANTS,
    KEY_MAX_ENDPOINTS_PER_USER,
    KEY_FULL_STATUS,
    KEY_LOCKED,
    KEY_JOIN_BEFORE_CREATOR,
    KEY_LOBBY,
    KEY_LOBBY_TIMEOUT,
    KEY_PIN,
    KEY_PIN_HASH,
    KEY_PIN_TRIES,
    KEY_PIN_TIMEOUT,
    KEY_ANONYMITY,
    KEY_DIVERSION,
    KEY_DIVERTED_DIAL_IN,
    KEY_TRUST,
    KEY_SIGNALLING,
    KEY_SECURE,
    KEY_KEY_MGMT_ALLOW,
    KEY_SRTP_SUITES,
    KEY_MAX_DURATION,
    KEY_EMPTY_TIMEOUT,
    KEY_FIRST_JOIN_TIMEOUT,
    KEY_END_WHEN_CREATOR_LEAVES,
    KEY_CREATOR_GRACE,
    KEY_END_ON_EXPIRY,
    KEY_MAX_TICKET_LIFETIME,
    KEY_SCHEDULED,
    KEY_NOT_BEFORE,
    KEY_NOT_AFTER,
    KEY_PERSIST,
    KEY_KMS_TIMEOUT,
    KEY_FOREIGN_KMS,
    KEY_SUBJECT,
    KEY_DISPLAY_TEXT,
    N_KEYS
} KeyId;

typedef enum KeyKind {
    KIND_BOOL,
    KIND_INT,
    KIND_TIME, /* milliseconds; 0 is none when none_allowed */
    KIND_ENUM, /* index into words */
    KIND_SET,  /* ordered, of indices into words */
    KIND_IDS,
    KIND_DATE, /* Unix microseconds; 0 is not set */
    KIND_TEXT,
    KIND_HASH,  /* of a PIN; "" is none */
    KIND_PEERS, /* addresses, prefixes and TLS names of next hops */
} KeyKind;

/* How two values combine when both must hold. */
typedef enum Narrow {
    NARROW_NO,     /* they do not: the later one replaces */
    NARROW_AND,    /* permission by both; sets and lists intersect */
    NARROW_MIN,    /* the smaller; none is infinite */
    NARROW_MAX,    /* the larger, yes before no; lists unite */
    NARROW_STRICT, /* the later word of the table */
} Narrow;

/* What a reload may do to a running conference. */
typedef enum Live { LIVE_NEW, LIVE_TIGHTEN, LIVE_ANY } Live;

/* enum values: words of the tables in keys.c, in their order */
typedef enum TicketAuthority {
    AUTHORITY_EXTEND,
    AUTHORITY_REPLACE,
    AUTHORITY_NARROW
} TicketAuthority;
typedef enum NoTicketList { NO_LIST_POLICY, NO_LIST_CREATOR_ONLY } NoTicketList;
typedef enum Auth { AUTH_DIGEST, AUTH_ASSERTED, AUTH_EITHER, AUTH_TICKET } Auth;
typedef enum OnDisallow { DISALLOW_KEEP, DISALLOW_REMOVE } OnDisallow;
typedef enum FullStatus { FULL_486, FULL_480 } FullStatus;
typedef enum Anonymity { ANONYMITY_ALLOW, ANONYMITY_HIDE, ANONYMITY_REJECT } Anonymity;
typedef enum Creation { CREATION_JOIN, CREATION_REDIRECT } Creation;
typedef enum ReferTicket { REFER_TICKET_OPTIONAL, REFER_TICKET_REQUIRED } ReferTicket;
typedef enum ReferDuplicate { DUPLICATE_ACCEPT, DUPLICATE_REJECT } ReferDuplicate;
typedef enum ReferStatus { REFER_202, REFER_200 } ReferStatus;
typedef enum Pin { PIN_OFF, PIN_ADDITIONAL } Pin;
typedef enum Foreign { FOREIGN_RELAY, FOREIGN_REJECT } Foreign;
typedef enum Diversion { DIVERSION_OFF, DIVERSION_ALLOWED_SET, DIVERSION_STRICT } Diversion;
typedef enum Diverted { DIVERTED_CHECK, DIVERTED_REJECT } Diverted;
typedef enum Signalling { SIGNALLING_ANY, SIGNALLING_TRUSTED, SIGNALLING_TLS } Signalling;
typedef enum Secure { SECURE_OFF, SECURE_PREFERRED, SECURE_REQUIRED } Secure;
typedef enum Reload { RELOAD_NONE, RELOAD_TIGHTEN, RELOAD_ALL } Reload;

typedef struct Key {
    const char *name;
    const char *fallback; /* built-in default, in the form of the files */
    KeyKind kind;
    Narrow narrow;
    Live live;
    gint64 min, max;
    gboolean none_allowed;
    const char *const *words;
    guint served;         /* bits of the words that this version serves; 0: all of them */
    const char *unserved; /* what to say of the others */
    guint id_words;       /* IDS: bits of IdWord that may stand here */
} Key;

extern const Key clv_policy_keys[N_KEYS];
extern const char *const clv_policy_reload_words[];

/* N_KEYS when there is no such key. */
KeyId clv_policy_key_find(const char *name);
/* A key of the policy model that this version does not serve. */
gboolean clv_policy_key_is_planned(const char *name);
/* The nearest of the candidates within two typing errors; (nullable). */
const char *clv_policy_nearest(const char *word, const char *const *candidates);
/* The nearest policy key; (nullable). */
const char *clv_policy_key_nearest(const char *word);

/* ---- identity lists (ids.c) ---- */

typedef enum IdWord {
    WORD_CREATOR,
    WORD_TICKET,
    WORD_OWNERS,
    WORD_MODERATORS,
    WORD_PARTICIPANTS,
    WORD_ANY,
    WORD_NOBODY,
    N_ID_WORDS
} IdWord;
extern const char *const clv_policy_id_words[N_ID_WORDS + 1];

typedef struct IdList IdList;

typedef struct Pattern {
    enum { PATTERN_EXACT, PATTERN_GLOB, PATTERN_LIST, PATTERN_WORD } kind;
    gboolean exclude;
    IdWord word;  /* WORD */
    char *text;   /* EXACT: canonical identity; GLOB: pattern; LIST: name */
    IdList *list; /* LIST */
} Pattern;

struct IdList { /* counted; immutable once made */
    guint n_patterns;
    guint n_expanded; /* patterns here and in the lists named here, each time they are named */
    Pattern *patterns;
};

#define MAX_EXPANDED 100000

typedef struct IdContext {
    /* Finds a [list]; NULL when there is none. */
    IdList *(*find_list)(void *user, const char *name, GPtrArray *problems);
    void *user;
} IdContext;

/* @problems: (element-type utf8): "found ..., expected ..." sentences, one for each bad member.
 * Returns: (transfer full): what could be read */
IdList *clv_policy_ids_parse(const char *value, guint id_words, const IdContext *context,
                             GPtrArray *problems);
IdList *clv_policy_ids_ref(IdList *ids);
void clv_policy_ids_unref(IdList *ids);
gboolean clv_policy_ids_equal(const IdList *a, const IdList *b);

/* ---- rules (rule.c) ---- */

typedef struct Clause {
    IdList *ids;
    char *origin;
} Clause;

typedef struct Rule { /* counted; immutable once made */
    const Key *key;
    char *origin;  /* "policy.conf:12 [factory adhoc] create-allow" */
    char *place;   /* (nullable) the same for errors: "/etc/policy.conf:12: [factory adhoc] ..." */
    gint64 number; /* BOOL INT TIME ENUM DATE */
    char *text;    /* TEXT HASH */
    gboolean broken; /* HASH: something stands there that is none */
    GArray *set;     /* SET: guint8 indices */
    GArray *clauses; /* IDS: Clause; all (NARROW_AND) or any (NARROW_MAX) of them must match */
    GPtrArray
        *peers; /* PEERS: lists (char **) that all must hold a peer; none: every peer will do */
} Rule;

/* Never NULL: with problems the value is the built-in default's kind of nothing. */
Rule *clv_policy_rule_parse(KeyId id, const char *value, const char *origin,
                            const IdContext *context, GPtrArray *problems);
Rule *clv_policy_rule_builtin(KeyId id);
Rule *clv_policy_rule_ref(Rule *rule);
void clv_policy_rule_unref(Rule *rule); /* NULL allowed */
gboolean clv_policy_rule_equal(const Rule *a, const Rule *b);
char *clv_policy_pattern_format(const Pattern *pattern);
/* The value in the form of the files; of a PIN's hash no more than how it was made. */
char *clv_policy_rule_format(const Rule *rule);
char *clv_policy_format_time(gint64 ms);
/* KIND_PEERS: does this next hop stand in all lists? */
gboolean clv_policy_rule_has_peer(const Rule *rule, const char *peer);
/* An address, a prefix or a TLS name? */
gboolean clv_policy_peer_is_valid(const char *text);
/* Is this how a PIN's hash is written? */
gboolean clv_policy_pin_hash_is_valid(const char *hash);
/* Both must hold. (transfer full) Keys without an order: @high. */
Rule *clv_policy_rule_narrow(Rule *low, Rule *high);

/* ---- snapshot and views ---- */

typedef struct Effective {
    char *title; /* "factory adhoc" */
    Rule *rules[N_KEYS];
} Effective;

struct ClvPolicy {
    gatomicrefcount refs;
    Reload reload;
    GPtrArray *factories;   /* FactoryEntry */
    GPtrArray *conferences; /* ConferenceEntry */
    GHashTable *effective;  /* title -> Effective */
    char **warnings;
};

struct ClvPolicyView {
    Reload reload; /* of the snapshot it was taken from */
    char *title;
    Rule *rules[N_KEYS];
    ClvScheme schemes[CLV_N_SCHEMES + 1];
    ClvSrtpSuite suites[CLV_N_SRTP_SUITES + 1];
};

static inline gint64
view_number(const ClvPolicyView *view, KeyId id)
{
    return view->rules[id]->number;
}

G_DEFINE_AUTOPTR_CLEANUP_FUNC(IdList, clv_policy_ids_unref)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Rule, clv_policy_rule_unref)
