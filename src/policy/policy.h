/* SPDX-License-Identifier: Apache-2.0 */
/* policy/policy.h - who may be in a conference; the door of the policy room
 *
 * Pure: no sockets, no clock, no logging. A policy is an immutable snapshot; owned by the
 * signalling thread and counted, because running conferences keep the one they started with.
 */
#pragma once

#include "conference/vocabulary.h"

typedef struct ClvPolicy ClvPolicy;           /* one snapshot of all files */
typedef struct ClvPolicyView ClvPolicyView;   /* effective values for one factory or conference */

#define CLV_POLICY_MAX_BYTES (1u << 20)

/**
 * clv_policy_parse:
 * @name: used in messages
 * @errors: (element-type utf8): "name:line: [group] key: what was found, what was expected"; all of
 *          them, not only the first
 *
 * Returns: (transfer full) (nullable): NULL when there was an error
 */
ClvPolicy *clv_policy_parse(const char *name, const char *text, gsize len, GPtrArray *errors);
/* Main file and, when not NULL, the drop-in directory's *.conf in byte order of their names. */
ClvPolicy *clv_policy_load(const char *path, const char *dropin_dir, GPtrArray *errors);
/* The same with further files and directories in the order given; @paths: ended by NULL. */
ClvPolicy *clv_policy_load_all(const char *const *paths, GPtrArray *errors);
ClvPolicy *clv_policy_ref(ClvPolicy *policy);
void clv_policy_unref(ClvPolicy *policy); /* NULL allowed */
/* What looks wrong and is no error, same form as the errors; NULL-terminated, never NULL. */
const char *const *clv_policy_warnings(const ClvPolicy *policy);

/* ---- what exists ---- */
typedef struct ClvPolicyFactory {
    const char *name;
    const char *const *uris;    /* canonical; the first is the factory, the rest aliases */
    const char *service;        /* "conf1" of sip:factory.conf1@host: conference URIs are token.conf1@host */
    const char *host;
} ClvPolicyFactory;
typedef struct ClvPolicyConference { /* scheduled ones: they exist without a creator */
    const char *name;
    const char *uri; /* canonical */
    const char *factory; /* (nullable) name of the factory whose KMS service it belongs to */
} ClvPolicyConference;
guint clv_policy_n_factories(const ClvPolicy *policy);
const ClvPolicyFactory *clv_policy_factory(const ClvPolicy *policy, guint i);
guint clv_policy_n_conferences(const ClvPolicy *policy);
const ClvPolicyConference *clv_policy_conference(const ClvPolicy *policy, guint i);
/* Whose URI (or alias) is this? (nullable) */
const ClvPolicyFactory *clv_policy_find_factory(const ClvPolicy *policy, const char *uri);
const ClvPolicyConference *clv_policy_find_conference(const ClvPolicy *policy, const char *uri);

/* Effective values for a conference made by a factory, or for a [conference]; a view outlives its
 * snapshot. NULL when the snapshot does not know the name. */
ClvPolicyView *clv_policy_view_factory(ClvPolicy *policy, const char *factory);
ClvPolicyView *clv_policy_view_conference(ClvPolicy *policy, const char *name);
void clv_policy_view_free(ClvPolicyView *view);
/* "factory adhoc" or "conference townhall": what to ask a new snapshot for after a reload. */
const char *clv_policy_view_name(const ClvPolicyView *view);

/**
 * clv_policy_view_merge:
 * @running: what a conference lives by
 * @fresh: the same factory or conference in the new snapshot, whose reload-running= decides:
 *         none: @running; tighten: what became stricter; all: everything but what is for new
 *         conferences only
 * @out_changed: (out) (nullable) (transfer full): names of the keys that changed, ';' between; ""
 *
 * Returns: (transfer full): never NULL
 */
ClvPolicyView *clv_policy_view_merge(const ClvPolicyView *running, const ClvPolicyView *fresh,
                                     char **out_changed);

/* ---- decisions ---- */
typedef enum ClvPolicyOp {
    CLV_OP_CREATE,
    CLV_OP_JOIN,
    CLV_OP_REMOVE,
    CLV_OP_END,
    CLV_OP_STAY, /* JOIN without what only newcomers meet: lock, dial-in, creator, places */
    CLV_OP_ALLOW_CHANGE, /* replace the allowed set */
    CLV_OP_REFER_ADD,    /* have facts.target invited: is who asks entitled? */
    CLV_OP_REFER_REMOVE, /* have facts.target removed; oneself always */
    CLV_OP_DIAL,         /* may this identity be called? allowed set, deny, places, dial-out, lock */
    CLV_OP_ANSWER,       /* this identity was called and facts.answerer answered (5.13) */
    CLV_OP_LOCK,         /* lock and unlock, see and admit who waits */
} ClvPolicyOp;

/* What a decision is based on, besides the view. Unknown facts are passed as what they are now:
 * clv_policy_decide() is asked early (before the KMS) and again with the proven identity. */
typedef struct ClvPolicyFacts {
    const char *identity;   /* (nullable) canonical */
    ClvProof proof;         /* what proves it so far */
    gboolean ticket_offered; /* a ticket is there but not resolved yet; not for ANSWER */
    gboolean anonymous;     /* privacy asked for: by somebody whose SIP identity is known, or, while
                               identity is NULL, by nobody that says who he is; 5.12 */
    gboolean diverted;
    gboolean secured, tls;  /* signalling hop */
    const char *creator;    /* (nullable) canonical */
    gboolean creator_present;
    const char *const *ticket_names; /* (nullable) NULL-terminated, canonical: T of 4.2 */
    gboolean locked;
    guint n_participants;   /* users in the conference without this one */
    guint n_endpoints;      /* live endpoints of this identity */
    guint n_by_creator;     /* CREATE: live conferences of this identity */
    guint n_total;          /* CREATE: live conferences of this factory */
    gint64 wall_us;         /* Unix time; 0: not-before, not-after and lifetimes are not judged */
    ClvScheme scheme;       /* NONE: not known yet */
    ClvSrtpSuite suite;     /* NONE: not known yet, or no media */
    gint64 expires_us;      /* Unix time at which the ticket ends; 0: never or unknown */
    const char *target;     /* (nullable) canonical; REFER_ADD, REFER_REMOVE */
    const ClvAnswerer *answerer;    /* (nullable) ANSWER: what SIP says */
    const char *answered_identity;  /* (nullable) ANSWER: what his keys prove */
    gboolean answer_early;  /* ANSWER, before the final answer: undecided when more may come */
    const char *peer_name;  /* (nullable) next hop, for trust= */
    const char *const *identities; /* (nullable) all that were asserted: one that is let in will do */
    gboolean admitted;      /* an owner has let him in from the lobby */
    gboolean pin_refused;   /* has been wrong about the PIN too often */
    gboolean banned;        /* was removed, and ban-on-removal keeps him out */
} ClvPolicyFacts;

typedef struct ClvPolicyVerdict {
    gboolean allow;
    gboolean waits;     /* allowed, but in the lobby until an owner admits (lobby=yes) */
    gboolean needs_pin; /* allowed, but heard only after the PIN (pin=additional) */
    gboolean undecided; /* so far nothing speaks against it; decide again when the identity is proven */
    ClvCode code;        /* when refused */
    const char *reason;  /* stable word: "not-in-allowed-set", "denied", ... (static) */
    guint retry_after_s; /* when refused for now; 0: no hint */
    char rule[160];      /* "policy.conf:12 [factory adhoc] create-allow": the line that decides */
    const char *identity; /* (nullable) borrowed from the facts: which of them was judged */
} ClvPolicyVerdict;

ClvPolicyVerdict clv_policy_decide(const ClvPolicyView *view, ClvPolicyOp op,
                                   const ClvPolicyFacts *facts);

/* ---- for the operator ---- */
/**
 * clv_policy_view_each:
 * Each key with its effective value in the form of the files and the line that it comes from
 * ("policy.conf:12 [factory adhoc] allow", "built-in").
 */
void clv_policy_view_each(const ClvPolicyView *view,
                          void (*func)(const char *key, const char *value, const char *origin,
                                       void *user),
                          void *user);

/* ---- plain values ---- */
const ClvScheme *clv_policy_schemes(const ClvPolicyView *view);   /* ended by NONE, best first */
const ClvSrtpSuite *clv_policy_suites(const ClvPolicyView *view); /* ended by NONE, best first */
gint64 clv_policy_empty_timeout_ms(const ClvPolicyView *view);
gint64 clv_policy_first_join_timeout_ms(const ClvPolicyView *view);
gint64 clv_policy_max_duration_ms(const ClvPolicyView *view);     /* 0: none */
gint64 clv_policy_max_ticket_lifetime_s(const ClvPolicyView *view);
guint clv_policy_max_participants(const ClvPolicyView *view);
gboolean clv_policy_scheduled(const ClvPolicyView *view);
gboolean clv_policy_end_when_creator_leaves(const ClvPolicyView *view);
gint64 clv_policy_creator_grace_ms(const ClvPolicyView *view);
gboolean clv_policy_ban_on_removal(const ClvPolicyView *view);
gboolean clv_policy_removes_on_disallow(const ClvPolicyView *view);
gboolean clv_policy_locked(const ClvPolicyView *view); /* initial state */
gboolean clv_policy_creation_redirects(const ClvPolicyView *view);
gboolean clv_policy_refer_needs_ticket(const ClvPolicyView *view);
gboolean clv_policy_refer_extends(const ClvPolicyView *view);
gboolean clv_policy_refer_rejects_duplicate(const ClvPolicyView *view);
gboolean clv_policy_refer_plain_200(const ClvPolicyView *view);
gboolean clv_policy_pass_referred_by(const ClvPolicyView *view);
gboolean clv_policy_invite_by_refer(const ClvPolicyView *view);
/* signalling=tls: calls of ours go by TLS alone, too */
gboolean clv_policy_demands_tls(const ClvPolicyView *view);
gint64 clv_policy_dial_out_timeout_ms(const ClvPolicyView *view);
guint clv_policy_dial_out_parallel(const ClvPolicyView *view);
guint clv_policy_max_uri_list(const ClvPolicyView *view); /* 0: refused */
gboolean clv_policy_share_uri_list(const ClvPolicyView *view);
/* diversion=allowed-set: the ticket of a dial-out names the whole allowed set */
gboolean clv_policy_follows_diversion(const ClvPolicyView *view);
gint64 clv_policy_lobby_timeout_ms(const ClvPolicyView *view);
const char *clv_policy_pin_hash(const ClvPolicyView *view); /* "" without a PIN */
guint clv_policy_pin_tries(const ClvPolicyView *view);
gint64 clv_policy_pin_timeout_ms(const ClvPolicyView *view);
gboolean clv_policy_end_on_expiry(const ClvPolicyView *view);
gboolean clv_policy_persist(const ClvPolicyView *view);
gint64 clv_policy_kms_timeout_ms(const ClvPolicyView *view);
/* tickets of another KMS go to our own to be resolved */
gboolean clv_policy_relays_foreign_kms(const ClvPolicyView *view);
/* PBKDF2 over the digits, compared in constant time; takes tens of milliseconds: not for the
 * signalling thread. @hash: as in pin-hash */
gboolean clv_policy_pin_fits(const char *hash, const char *digits);
/* The other way: what to write behind pin-hash=. @salt: 8 to 64 random octets. (transfer full)
 * (nullable): NULL when digits are not 1 to 64 of 0-9, or salt or iterations are out of bounds */
char *clv_policy_pin_hash_new(const char *digits, const guint8 *salt, gsize salt_len,
                              guint iterations);
gint64 clv_policy_not_after_us(const ClvPolicyView *view); /* Unix time; 0: none */
const char *clv_policy_subject(const ClvPolicyView *view);      /* "" when not set */
const char *clv_policy_display_text(const ClvPolicyView *view); /* "" when not set */
/* Is this identity named by owners=? creator: (nullable). */
gboolean clv_policy_is_owner(const ClvPolicyView *view, const char *identity, const char *creator);
/* The weakest proof that auth= takes: a challenge for digest makes sense when it is DIGEST. */
ClvProof clv_policy_min_proof(const ClvPolicyView *view);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(ClvPolicy, clv_policy_unref)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(ClvPolicyView, clv_policy_view_free)
