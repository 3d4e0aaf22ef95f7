/* SPDX-License-Identifier: Apache-2.0 */
/* policy/keys.c - which keys are there, what may stand behind them, and what do they default to? */
#include "policy/policy-private.h"

#include <string.h>

#define SECOND G_GINT64_CONSTANT(1000)
#define MINUTE (60 * SECOND)
#define HOUR (60 * MINUTE)
#define DAY (24 * HOUR)

/* Words of enums stand from loose to strict; those of sets in no order. */
static const char *const authority_words[] = {"extend", "replace", "narrow", NULL};
static const char *const no_list_words[] = {"policy", "creator-only", NULL};
static const char *const auth_words[] = {"digest", "asserted", "either", "ticket", NULL};
static const char *const disallow_words[] = {"keep", "remove", NULL};
static const char *const full_words[] = {"486", "480", NULL};
static const char *const anonymity_words[] = {"allow", "hide", "reject", NULL};
static const char *const diverted_words[] = {"check", "reject", NULL};
static const char *const signalling_words[] = {"any", "trusted", "tls", NULL};
static const char *const secure_words[] = {"off", "preferred", "required", NULL};
static const char *const creation_words[] = {"join", "redirect", NULL};
static const char *const ticket_words[] = {"optional", "required", NULL};
static const char *const duplicate_words[] = {"accept", "reject", NULL};
static const char *const refer_status_words[] = {"202", "200", NULL};
static const char *const diversion_words[] = {"off", "allowed-set", "strict", NULL};
static const char *const foreign_words[] = {"relay", "reject", NULL};
static const char *const pin_words[] = {"off", "additional", NULL};
static const char *const scheme_words[] = {"mikey-ticket", "or-kms", "dtls-srtp", "sdes", NULL};
static const char *const suite_words[] = {"AES_CM_128_HMAC_SHA1_80",
                                          "AES_CM_128_HMAC_SHA1_32",
                                          "AES_256_CM_HMAC_SHA1_80",
                                          "AES_256_CM_HMAC_SHA1_32",
                                          "AEAD_AES_128_GCM",
                                          "AEAD_AES_256_GCM",
                                          NULL};

const char *const clv_policy_reload_words[] = {"none", "tighten", "all", NULL};

#define BIT(word) (1u << (word))
#define STATIC_WORDS (BIT(WORD_ANY) | BIT(WORD_NOBODY))
#define ROLE_WORDS (STATIC_WORDS | BIT(WORD_CREATOR) | BIT(WORD_TICKET) | BIT(WORD_PARTICIPANTS))
#define MEMBER_WORDS (ROLE_WORDS | BIT(WORD_OWNERS) | BIT(WORD_MODERATORS))

#define KEY(key_name, default_text, its_kind, its_narrow, its_live)                                \
    .name = key_name, .fallback = default_text, .kind = KIND_##its_kind,                           \
    .narrow = NARROW_##its_narrow, .live = LIVE_##its_live

const Key clv_policy_keys[N_KEYS] = {
    [KEY_CREATE_ALLOW] = {KEY("create-allow", "nobody", IDS, AND, ANY), .id_words = STATIC_WORDS},
    [KEY_CREATE_DENY] = {KEY("create-deny", "", IDS, MAX, ANY), .id_words = STATIC_WORDS},
    [KEY_CREATE_MAX_PER_USER] = {KEY("create-max-per-user", "5", INT, MIN, ANY), .min = 1,
                                 .max = 1000},
    [KEY_CREATE_MAX_TOTAL] = {KEY("create-max-total", "1000", INT, MIN, ANY), .min = 1,
                              .max = 1000000},
    [KEY_CREATE_EMPTY] = {KEY("create-empty", "no", BOOL, NO, NEW)},
    [KEY_CREATION] = {KEY("creation", "join", ENUM, NO, NEW), .words = creation_words},
    [KEY_OWNERS] = {KEY("owners", "creator", IDS, NO, TIGHTEN), .id_words = ROLE_WORDS},
    [KEY_MODERATORS] = {KEY("moderators", "creator", IDS, NO, TIGHTEN), .id_words = ROLE_WORDS},
    [KEY_ALLOW] = {KEY("allow", "ticket", IDS, AND, TIGHTEN), .id_words = MEMBER_WORDS},
    [KEY_DENY] = {KEY("deny", "", IDS, MAX, TIGHTEN), .id_words = STATIC_WORDS},
    [KEY_TICKET_AUTHORITY] = {KEY("ticket-authority", "narrow", ENUM, STRICT, NEW),
                              .words = authority_words},
    [KEY_NO_TICKET_LIST] = {KEY("no-ticket-list", "creator-only", ENUM, STRICT, NEW),
                            .words = no_list_words},
    [KEY_TICKET_WILDCARDS] = {KEY("ticket-wildcards", "no", BOOL, AND, NEW)},
    [KEY_AUTH] = {KEY("auth", "ticket", ENUM, STRICT, NEW), .words = auth_words},
    [KEY_DIAL_IN] = {KEY("dial-in", "yes", BOOL, AND, TIGHTEN)},
    [KEY_DIAL_OUT] = {KEY("dial-out", "yes", BOOL, AND, TIGHTEN)},
    [KEY_REFER_ALLOW] = {KEY("refer-allow", "owners;moderators", IDS, AND, TIGHTEN),
                         .id_words = MEMBER_WORDS},
    [KEY_INVITE_BY_REFER] = {KEY("invite-by-refer", "no", BOOL, AND, ANY)},
    [KEY_REFER_TICKET] = {KEY("refer-ticket", "required", ENUM, STRICT, TIGHTEN),
                          .words = ticket_words},
    [KEY_REFER_EXTENDS] = {KEY("refer-extends", "no", BOOL, AND, TIGHTEN)},
    [KEY_REFER_DUPLICATE] = {KEY("refer-duplicate", "accept", ENUM, NO, ANY),
                             .words = duplicate_words},
    [KEY_REFER_STATUS] = {KEY("refer-status", "202", ENUM, NO, ANY), .words = refer_status_words},
    [KEY_PASS_REFERRED_BY] = {KEY("pass-referred-by", "no", BOOL, AND, ANY)},
    [KEY_DIAL_OUT_TIMEOUT] = {KEY("dial-out-timeout", "60s", TIME, MIN, ANY), .min = 5 * SECOND,
                              .max = 300 * SECOND},
    [KEY_DIAL_OUT_PARALLEL] = {KEY("dial-out-parallel", "8", INT, MIN, ANY), .min = 1, .max = 100},
    [KEY_MAX_URI_LIST] = {KEY("max-uri-list", "100", INT, MIN, NEW), .min = 0, .max = 1000},
    [KEY_SHARE_URI_LIST] = {KEY("share-uri-list", "no", BOOL, AND, NEW)},
    [KEY_ON_DISALLOW] = {KEY("on-disallow", "remove", ENUM, STRICT, ANY), .words = disallow_words},
    [KEY_BAN_ON_REMOVAL] = {KEY("ban-on-removal", "yes", BOOL, MAX, ANY)},
    [KEY_MAX_PARTICIPANTS] = {KEY("max-participants", "100", INT, MIN, TIGHTEN), .min = 2,
                              .max = 10000},
    [KEY_MAX_ENDPOINTS_PER_USER] = {KEY("max-endpoints-per-user", "2", INT, MIN, TIGHTEN), .min = 1,
                                    .max = 10},
    [KEY_FULL_STATUS] = {KEY("full-status", "486", ENUM, NO, ANY), .words = full_words},
    [KEY_LOCKED] = {KEY("locked", "no", BOOL, MAX, ANY)},
    [KEY_JOIN_BEFORE_CREATOR] = {KEY("join-before-creator", "yes", BOOL, AND, TIGHTEN)},
    [KEY_LOBBY] = {KEY("lobby", "no", BOOL, MAX, TIGHTEN)},
    [KEY_LOBBY_TIMEOUT] = {KEY("lobby-timeout", "5m", TIME, MIN, ANY), .min = 10 * SECOND,
                           .max = DAY},
    [KEY_PIN] = {KEY("pin", "off", ENUM, STRICT, NEW), .words = pin_words},
    [KEY_PIN_HASH] = {KEY("pin-hash", "", HASH, NO, NEW)},
    [KEY_PIN_TRIES] = {KEY("pin-tries", "3", INT, MIN, ANY), .min = 1, .max = 10},
    [KEY_PIN_TIMEOUT] = {KEY("pin-timeout", "30s", TIME, MIN, ANY), .min = 5 * SECOND,
                         .max = 5 * MINUTE},
    [KEY_ANONYMITY] = {KEY("anonymity", "hide", ENUM, STRICT, TIGHTEN), .words = anonymity_words},
    [KEY_DIVERSION] = {KEY("diversion", "strict", ENUM, STRICT, TIGHTEN), .words = diversion_words},
    [KEY_DIVERTED_DIAL_IN] = {KEY("diverted-dial-in", "check", ENUM, STRICT, TIGHTEN),
                              .words = diverted_words},
    [KEY_TRUST] = {KEY("trust", "", PEERS, AND, ANY)},
    [KEY_SIGNALLING] = {KEY("signalling", "trusted", ENUM, STRICT, TIGHTEN),
                        .words = signalling_words},
    [KEY_SECURE] = {KEY("secure", "required", ENUM, STRICT, NEW), .words = secure_words,
                    .served = BIT(SECURE_REQUIRED),
                    .unserved = "required: this version serves secured media alone"},
    [KEY_KEY_MGMT_ALLOW] = {KEY("key-mgmt-allow", "mikey-ticket", SET, AND, NEW),
                            .words = scheme_words, .served = BIT(0) | BIT(3),
                            .unserved = "mikey-ticket or sdes: this version has no other scheme"},
    [KEY_SRTP_SUITES] = {KEY("srtp-suites",
                             "AEAD_AES_256_GCM;AEAD_AES_128_GCM;AES_256_CM_HMAC_SHA1_80;"
                             "AES_CM_128_HMAC_SHA1_80",
                             SET, AND, NEW),
                         .words = suite_words},
    [KEY_MAX_DURATION] = {KEY("max-duration", "12h", TIME, MIN, TIGHTEN), .min = SECOND,
                          .max = 30 * DAY, .none_allowed = TRUE},
    [KEY_EMPTY_TIMEOUT] = {KEY("empty-timeout", "60s", TIME, MIN, ANY), .min = 0, .max = DAY},
    [KEY_FIRST_JOIN_TIMEOUT] = {KEY("first-join-timeout", "5m", TIME, MIN, ANY), .min = SECOND,
                                .max = DAY},
    [KEY_END_WHEN_CREATOR_LEAVES] = {KEY("end-when-creator-leaves", "no", BOOL, MAX, ANY)},
    [KEY_CREATOR_GRACE] = {KEY("creator-grace", "30s", TIME, MIN, ANY), .min = 0, .max = HOUR},
    [KEY_END_ON_EXPIRY] = {KEY("end-on-expiry", "no", BOOL, MAX, NEW)},
    [KEY_MAX_TICKET_LIFETIME] = {KEY("max-ticket-lifetime", "24h", TIME, MIN, TIGHTEN),
                                 .min = MINUTE, .max = 30 * DAY},
    [KEY_SCHEDULED] = {KEY("scheduled", "no", BOOL, NO, NEW)},
    [KEY_NOT_BEFORE] = {KEY("not-before", "", DATE, MAX, TIGHTEN)},
    [KEY_NOT_AFTER] = {KEY("not-after", "", DATE, MIN, TIGHTEN)},
    [KEY_PERSIST] = {KEY("persist", "no", BOOL, NO, NEW)},
    [KEY_KMS_TIMEOUT] = {KEY("kms-timeout", "3s", TIME, MIN, ANY), .min = 100, .max = 30 * SECOND},
    [KEY_FOREIGN_KMS] = {KEY("foreign-kms", "reject", ENUM, STRICT, ANY), .words = foreign_words},
    [KEY_SUBJECT] = {KEY("subject", "", TEXT, NO, ANY), .max = 200},
    [KEY_DISPLAY_TEXT] = {KEY("display-text", "", TEXT, NO, ANY), .max = 200},
};

/* In the policy model, not in this version. */
static const char *const planned_keys[] = {"audio-levels",
                                           "backward-secrecy",
                                           "bilateral-rekey-interval",
                                           "capneg",
                                           "event-allow",
                                           "event-max-expires",
                                           "event-min-interval",
                                           "event-protection",
                                           "events",
                                           "floor",
                                           "floor-chair",
                                           "floor-policy",
                                           "floor-security",
                                           "forward-secrecy",
                                           "group-fallback",
                                           "group-key-source",
                                           "group-media",
                                           "group-min-members",
                                           "group-new-ssrc",
                                           "join-interim",
                                           "key-mode",
                                           "kms",
                                           "leave-grace",
                                           "rekey-deadline",
                                           "rekey-grace",
                                           "rekey-interval",
                                           "rekey-method",
                                           "rekey-min-interval",
                                           "rekey-on",
                                           "rekey-packets",
                                           "rekey-parallel",
                                           "rekey-refer-timeout",
                                           "roster-privileged",
                                           "roster-self",
                                           NULL};

KeyId
clv_policy_key_find(const char *name)
{
    for (guint i = 0; i < N_KEYS; i++) {
        if (strcmp(clv_policy_keys[i].name, name) == 0)
            return (KeyId)i;
    }
    return N_KEYS;
}

gboolean
clv_policy_key_is_planned(const char *name)
{
    return g_strv_contains(planned_keys, name);
}

#define MAX_WORD 40

/* Letters to change, add, drop or swap with a neighbour to make one word of the other. */
static guint
typing_errors(const char *a, const char *b)
{
    guint d[MAX_WORD + 1][MAX_WORD + 1];
    gsize n = strlen(a), m = strlen(b);

    if (n > MAX_WORD || m > MAX_WORD)
        return G_MAXUINT;
    for (guint i = 0; i <= n; i++)
        d[i][0] = i;
    for (guint j = 0; j <= m; j++)
        d[0][j] = j;
    for (guint i = 1; i <= n; i++) {
        for (guint j = 1; j <= m; j++) {
            guint change = d[i - 1][j - 1] + (a[i - 1] != b[j - 1]);
            guint best = MIN(change, MIN(d[i - 1][j], d[i][j - 1]) + 1);

            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                best = MIN(best, d[i - 2][j - 2] + 1);
            d[i][j] = best;
        }
    }
    return d[n][m];
}

static void
keep_nearer(const char *word, const char *candidate, guint *best_errors, const char **best)
{
    guint errors = typing_errors(word, candidate);

    if (errors < *best_errors) {
        *best_errors = errors;
        *best = candidate;
    }
}

/* Two typing errors, but never half of a short word. */
static guint
patience(const char *word)
{
    return strlen(word) < 5 ? 2 : 3;
}

const char *
clv_policy_nearest(const char *word, const char *const *candidates)
{
    const char *best = NULL;
    guint best_errors = patience(word);

    for (; *candidates != NULL; candidates++)
        keep_nearer(word, *candidates, &best_errors, &best);
    return best;
}

const char *
clv_policy_key_nearest(const char *word)
{
    const char *best = NULL;
    guint best_errors = patience(word);

    for (guint i = 0; i < N_KEYS; i++)
        keep_nearer(word, clv_policy_keys[i].name, &best_errors, &best);
    return best;
}
