/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/test-policy-calls.c - REFERs, calls of the conference, who answers, lobby, PIN, trust */
#include "policy/policy.h"

#include <string.h>

#define ALICE "sip:alice@example.org"
#define BOB "sip:bob@example.org"
#define CAROL "sip:carol@example.org"
#define DAVE "sip:dave@elsewhere.example"
#define PHONE "tel:+493012345"
#define NOBODY "sip:anonymous@anonymous.invalid"

static ClvPolicyView *
view_with(const char *lines)
{
    g_autofree char *text = g_strconcat("[policy]\nformat=1\n[factory f]\n"
                                        "uri=sip:factory.conf1@example.org\n"
                                        "create-allow=*@example.org\n",
                                        lines, NULL);
    g_autoptr(GPtrArray) errors = g_ptr_array_new_with_free_func(g_free);
    g_autoptr(ClvPolicy) policy = clv_policy_parse("test", text, strlen(text), errors);

    g_assert_cmpstr(errors->len > 0 ? errors->pdata[0] : NULL, ==, NULL);
    return clv_policy_view_factory(policy, "f");
}

static const char *const bob_and_carol[] = {BOB, CAROL, NULL};
static const char *const only_bob[] = {BOB, NULL};
static const char *const example_org[] = {"sip:*@example.org", NULL};
static const char *const bobs_names[] = {BOB, PHONE, NULL};
static const char *const phone_first[] = {PHONE, BOB, NULL};

#define TICKET .proof = CLV_PROOF_TICKET, .tls = TRUE
#define ASSERTED .proof = CLV_PROOF_ASSERTED, .tls = TRUE
#define ROOM .creator = ALICE, .creator_present = TRUE, .ticket_names = bob_and_carol

#define ALLOWED 1
#define UNDECIDED 2
#define WAITS 3
#define PIN 4

typedef struct Row {
    const char *lines; /* after [factory f]; the first is line 6 */
    ClvPolicyOp op;
    ClvPolicyFacts facts;
    int expected; /* one of the above, or 0 and the code */
    ClvCode code;
    const char *reason;
    const char *rule; /* (nullable) */
} Row;

static void
check_row(const Row *row, guint i)
{
    g_autoptr(ClvPolicyView) view = view_with(row->lines);
    ClvPolicyVerdict v = clv_policy_decide(view, row->op, &row->facts);

    g_test_message("row %u: %s by %s", i, v.reason, v.rule);
    g_assert_cmpstr(v.reason, ==, row->reason);
    g_assert_cmpint(v.allow, ==,
                    row->expected == ALLOWED || row->expected == WAITS || row->expected == PIN);
    g_assert_cmpint(v.undecided, ==, row->expected == UNDECIDED);
    g_assert_cmpint(v.waits, ==, row->expected == WAITS);
    g_assert_cmpint(v.needs_pin, ==, row->expected == PIN);
    g_assert_cmpint(v.code, ==, row->code);
    g_assert_cmpstr(v.rule, !=, "");
    if (row->rule != NULL)
        g_assert_cmpstr(v.rule, ==, row->rule);
}

#define CHECK_ROWS(rows)                                                                           \
    for (guint i = 0; i < G_N_ELEMENTS(rows); i++)                                                 \
    check_row(&rows[i], i)

#define FORBIDDEN CLV_CODE_FORBIDDEN
#define FINE CLV_CODE_OK

/* clang-format off */

/* ---- REFER: R109, R124, R130 ---- */

static const Row refer_rows[] = {
    {"", CLV_OP_REFER_ADD, {ALICE, TICKET, ROOM, .target = BOB}, ALLOWED, FINE, "may-refer",
     "built-in refer-allow=owners;moderators"},
    {"", CLV_OP_REFER_ADD, {BOB, TICKET, ROOM, .target = CAROL}, 0, FORBIDDEN,
     "not-in-refer-allow", "built-in refer-allow=owners;moderators"},
    {"refer-allow=participants\n", CLV_OP_REFER_ADD,
     {BOB, TICKET, ROOM, .target = CAROL, .n_endpoints = 1}, ALLOWED, FINE, "may-refer",
     "test:6 [factory f] refer-allow"},
    {"refer-allow=participants\n", CLV_OP_REFER_ADD, {BOB, TICKET, ROOM, .target = CAROL}, 0,
     FORBIDDEN, "not-in-refer-allow", NULL},
    {"refer-allow=any\n", CLV_OP_REFER_ADD, {DAVE, TICKET, ROOM, .target = BOB}, 0, FORBIDDEN,
     "not-in-allowed-set", NULL}, /* the referrer himself must be in the set */
    {"refer-allow=nobody\n", CLV_OP_REFER_ADD, {ALICE, TICKET, ROOM, .target = BOB}, 0, FORBIDDEN,
     "not-in-refer-allow", "test:6 [factory f] refer-allow"},
    {"deny=sip:alice@example.org\n", CLV_OP_REFER_ADD, {ALICE, TICKET, ROOM}, 0, FORBIDDEN,
     "denied", NULL},
    {"dial-out=no\n", CLV_OP_REFER_ADD, {ALICE, TICKET, ROOM, .target = BOB}, 0, FORBIDDEN,
     "dial-out-off", "test:6 [factory f] dial-out"},
    {"", CLV_OP_REFER_ADD, {ALICE, .proof = CLV_PROOF_TICKET, ROOM}, 0, FORBIDDEN, "signalling",
     NULL},
    /* refer-ticket */
    {"", CLV_OP_REFER_ADD, {ALICE, ASSERTED, ROOM}, 0, FORBIDDEN, "no-ticket",
     "built-in refer-ticket=required"},
    {"", CLV_OP_REFER_ADD, {ALICE, ASSERTED, ROOM, .ticket_offered = TRUE}, UNDECIDED, FINE,
     "undecided", "built-in refer-ticket=required"},
    {"", CLV_OP_REFER_ADD, {NULL, ROOM, .tls = TRUE, .ticket_offered = TRUE}, UNDECIDED, FINE,
     "undecided", NULL},
    {"auth=asserted\n", CLV_OP_REFER_ADD, {ALICE, ASSERTED, ROOM}, 0, FORBIDDEN, "no-ticket", NULL},
    {"auth=asserted\nrefer-ticket=optional\n", CLV_OP_REFER_ADD, {ALICE, ASSERTED, ROOM}, ALLOWED,
     FINE, "may-refer", NULL},
    {"refer-ticket=optional\n", CLV_OP_REFER_ADD, {ALICE, ASSERTED, ROOM}, 0,
     CLV_CODE_KEYMGMT_UNACCEPTABLE, "no-ticket", "built-in auth=ticket"},
    /* removal: creator, moderators, owners, oneself */
    {"", CLV_OP_REFER_REMOVE, {ALICE, TICKET, ROOM, .target = BOB}, ALLOWED, FINE, "creator",
     "creation"},
    {"moderators=nobody\nowners=nobody\n", CLV_OP_REFER_REMOVE,
     {ALICE, TICKET, ROOM, .target = BOB}, ALLOWED, FINE, "creator", "creation"},
    {"moderators=sip:carol@example.org\n", CLV_OP_REFER_REMOVE,
     {CAROL, TICKET, ROOM, .target = BOB}, ALLOWED, FINE, "moderator",
     "test:6 [factory f] moderators"},
    {"owners=sip:carol@example.org\n", CLV_OP_REFER_REMOVE, {CAROL, TICKET, ROOM, .target = BOB},
     ALLOWED, FINE, "owner", "test:6 [factory f] owners"},
    {"", CLV_OP_REFER_REMOVE, {BOB, TICKET, ROOM, .target = BOB}, ALLOWED, FINE, "oneself", NULL},
    {"", CLV_OP_REFER_REMOVE, {BOB, TICKET, ROOM, .target = CAROL}, 0, FORBIDDEN, "not-owner",
     NULL},
    {"", CLV_OP_REFER_REMOVE, {BOB, TICKET, ROOM}, 0, FORBIDDEN, "not-owner", NULL},
    {"", CLV_OP_REFER_REMOVE, {BOB, ASSERTED, ROOM, .target = BOB}, 0, FORBIDDEN, "no-ticket",
     NULL},
    {"dial-out=no\n", CLV_OP_REFER_REMOVE, {ALICE, TICKET, ROOM, .target = BOB}, ALLOWED, FINE,
     "creator", NULL}, /* removing is no dial-out */
    /* lock */
    {"", CLV_OP_LOCK, {ALICE, TICKET, ROOM}, ALLOWED, FINE, "moderator", NULL},
    {"", CLV_OP_LOCK, {BOB, TICKET, ROOM}, 0, FORBIDDEN, "not-owner", NULL},
    {"moderators=sip:bob@example.org\n", CLV_OP_LOCK, {BOB, TICKET, ROOM}, ALLOWED, FINE,
     "moderator", "test:6 [factory f] moderators"},
    {"moderators=sip:bob@example.org\n", CLV_OP_LOCK, {ALICE, TICKET, ROOM}, ALLOWED, FINE, "owner",
     NULL},
    {"moderators=sip:bob@example.org\n", CLV_OP_LOCK, {BOB, ASSERTED, ROOM}, 0,
     CLV_CODE_KEYMGMT_UNACCEPTABLE, "no-ticket", NULL},
};

static void
test_refer(void)
{
    CHECK_ROWS(refer_rows);
}

/* ---- calling somebody: R057, R102 ---- */

static const Row dial_rows[] = {
    {"", CLV_OP_DIAL, {BOB, ROOM}, ALLOWED, FINE, "in-allowed-set", "built-in allow=ticket"},
    {"dial-in=no\n", CLV_OP_DIAL, {BOB, ROOM}, ALLOWED, FINE, "in-allowed-set", NULL},
    {"dial-in=no\n", CLV_OP_JOIN, {BOB, TICKET, ROOM}, 0, FORBIDDEN, "dial-in-off", NULL},
    {"dial-out=no\n", CLV_OP_DIAL, {BOB, ROOM}, 0, FORBIDDEN, "dial-out-off",
     "test:6 [factory f] dial-out"},
    {"", CLV_OP_DIAL, {DAVE, ROOM}, 0, FORBIDDEN, "not-in-allowed-set",
     "built-in ticket-authority=narrow"},
    {"deny=sip:bob@example.org\n", CLV_OP_DIAL, {BOB, ROOM}, 0, FORBIDDEN, "denied",
     "test:6 [factory f] deny"},
    {"allow=*@elsewhere.example\n", CLV_OP_DIAL, {BOB, ROOM}, 0, FORBIDDEN, "not-in-allowed-set",
     "test:6 [factory f] allow"},
    {"", CLV_OP_DIAL, {BOB, ROOM, .locked = TRUE}, 0, FORBIDDEN, "locked", NULL},
    {"", CLV_OP_DIAL, {ALICE, ROOM, .locked = TRUE}, ALLOWED, FINE, "creator", NULL},
    {"max-participants=3\n", CLV_OP_DIAL, {BOB, ROOM, .n_participants = 3}, 0, CLV_CODE_FULL,
     "full", "test:6 [factory f] max-participants"},
    {"max-participants=3\n", CLV_OP_DIAL, {BOB, ROOM, .n_participants = 2}, ALLOWED, FINE,
     "in-allowed-set", NULL},
    {"", CLV_OP_DIAL, {BOB, ROOM, .n_endpoints = 2}, 0, CLV_CODE_FULL, "too-many",
     "built-in max-endpoints-per-user=2"},
    {"", CLV_OP_DIAL, {BOB, ROOM, .banned = TRUE}, 0, FORBIDDEN, "removed",
     "built-in ban-on-removal=yes"},
    {"", CLV_OP_JOIN, {BOB, TICKET, ROOM, .banned = TRUE}, 0, FORBIDDEN, "removed", NULL},
    {"not-after=2030-01-01T00:00:00Z\n", CLV_OP_DIAL,
     {BOB, ROOM, .wall_us = G_GINT64_CONSTANT(1893456000000000)}, 0, CLV_CODE_NOT_FOUND, "expired",
     NULL},
    {"lobby=yes\npin=additional\npin-hash=pbkdf2-sha256$100000$c2FsdHNhbHQ=$"
     "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n",
     CLV_OP_DIAL, {BOB, ROOM}, ALLOWED, FINE, "in-allowed-set", NULL},
};

static void
test_dial(void)
{
    CHECK_ROWS(dial_rows);
}

/* ---- who answers: the table of 5.13, R058 to R060 ---- */

static const ClvAnswerer silent = {0};
static const ClvAnswerer forwarded = {.forwarded = TRUE};
static const ClvAnswerer history = {.diverted = TRUE};
static const ClvAnswerer is_bob = {.asserted = BOB};
static const ClvAnswerer back_to_bob = {.forwarded = TRUE, .diverted = TRUE, .asserted = BOB};
static const ClvAnswerer is_carol = {.diverted = TRUE, .asserted = CAROL};
static const ClvAnswerer is_dave = {.forwarded = TRUE, .asserted = DAVE};
static const ClvAnswerer is_hidden = {.asserted = NOBODY};
static const ClvAnswerer says_bob = {.claimed = BOB};
static const ClvAnswerer says_carol = {.asserted = BOB, .claimed = CAROL};
static const ClvAnswerer says_dave = {.asserted = BOB, .claimed = DAVE};
static const ClvAnswerer is_phone = {.asserted = PHONE};

#define CALLED BOB, ROOM
#define FROM_PEER .peer_name = "192.0.2.1"
#define SET "diversion=allowed-set\n"
#define OFF "diversion=off\n"
#define SDES_TOO "key-mgmt-allow=mikey-ticket;sdes\nsignalling=tls\n"
#define BY_PAI "auth=asserted\n"

static const Row answer_rows[] = {
    /* row 1: no identity at all by the answer */
    {BY_PAI, CLV_OP_ANSWER, {CALLED, .answerer = &silent}, 0, FORBIDDEN, "unidentified",
     "built-in diversion=strict"},
    {BY_PAI SET, CLV_OP_ANSWER, {CALLED, .answerer = &silent}, 0, FORBIDDEN, "unidentified",
     "test:7 [factory f] diversion"},
    {BY_PAI OFF, CLV_OP_ANSWER, {CALLED, .answerer = &silent}, 0, FORBIDDEN, "unidentified",
     "test:6 [factory f] auth"},
    {"auth=digest\n" OFF, CLV_OP_ANSWER, {CALLED, .answerer = &silent}, ALLOWED, FINE, "answered",
     NULL},
    {"auth=digest\n", CLV_OP_ANSWER, {CALLED, .answerer = &silent}, 0, FORBIDDEN, "unidentified",
     NULL},
    {BY_PAI, CLV_OP_ANSWER, {CALLED, .answerer = &says_bob}, 0, FORBIDDEN, "unidentified", NULL},
    {BY_PAI, CLV_OP_ANSWER, {CALLED, .answerer = &is_hidden}, 0, FORBIDDEN, "unidentified", NULL},
    {BY_PAI, CLV_OP_ANSWER, {CALLED}, 0, FORBIDDEN, "unidentified", NULL},
    {BY_PAI, CLV_OP_ANSWER, {CALLED, .answerer = &silent, .answer_early = TRUE}, UNDECIDED, FINE,
     "undecided", "built-in diversion=strict"},
    {BY_PAI SET, CLV_OP_ANSWER, {CALLED, .answerer = &silent, .answer_early = TRUE}, UNDECIDED,
     FINE, "undecided", "test:7 [factory f] diversion"},
    /* row 2: it is who was called */
    {BY_PAI, CLV_OP_ANSWER, {CALLED, .answerer = &is_bob}, ALLOWED, FINE, "answered",
     "built-in allow=ticket"},
    {BY_PAI SET, CLV_OP_ANSWER, {CALLED, .answerer = &is_bob}, ALLOWED, FINE, "answered", NULL},
    {"", CLV_OP_ANSWER, {CALLED, .answerer = &silent, .answered_identity = BOB}, ALLOWED, FINE,
     "answered", NULL},
    {"", CLV_OP_ANSWER, {CALLED, .answerer = &is_bob}, 0, FORBIDDEN, "no-ticket",
     "built-in auth=ticket"},
    {"", CLV_OP_ANSWER, {CALLED, .answerer = &is_bob, .answer_early = TRUE}, UNDECIDED, FINE,
     "undecided", NULL},
    {BY_PAI, CLV_OP_ANSWER, {CALLED, .answerer = &back_to_bob}, ALLOWED, FINE, "answered", NULL},
    {BY_PAI, CLV_OP_ANSWER, {CALLED, .answerer = &is_phone, .identities = phone_first}, ALLOWED,
     FINE, "answered", NULL}, /* one of his names is who was called */
    {BY_PAI, CLV_OP_ANSWER, {CALLED, .answerer = &is_phone}, 0, FORBIDDEN, "diverted", NULL},
    /* what the keys prove counts before what is asserted */
    {"", CLV_OP_ANSWER, {CALLED, .answerer = &is_bob, .answered_identity = DAVE}, 0, FORBIDDEN,
     "diverted", NULL},
    {"", CLV_OP_ANSWER, {CALLED, .answerer = &is_phone, .answered_identity = BOB}, ALLOWED, FINE,
     "answered", NULL},
    /* row 3: somebody else, in the set */
    {BY_PAI, CLV_OP_ANSWER, {CALLED, .answerer = &is_carol}, 0, FORBIDDEN, "diverted",
     "built-in diversion=strict"},
    {BY_PAI, CLV_OP_ANSWER, {CALLED, .answerer = &is_carol, .answer_early = TRUE}, 0, FORBIDDEN,
     "diverted", NULL},
    {BY_PAI SET, CLV_OP_ANSWER, {CALLED, .answerer = &is_carol}, ALLOWED, FINE, "answered", NULL},
    {SET, CLV_OP_ANSWER, {CALLED, .answerer = &silent, .answered_identity = CAROL}, ALLOWED, FINE,
     "answered", NULL},
    {BY_PAI OFF, CLV_OP_ANSWER, {CALLED, .answerer = &is_carol}, ALLOWED, FINE, "answered", NULL},
    /* row 4: somebody else, not in the set */
    {BY_PAI, CLV_OP_ANSWER, {CALLED, .answerer = &is_dave}, 0, FORBIDDEN, "diverted", NULL},
    {BY_PAI SET, CLV_OP_ANSWER, {CALLED, .answerer = &is_dave}, 0, FORBIDDEN, "not-in-allowed-set",
     NULL},
    {BY_PAI SET, CLV_OP_ANSWER, {CALLED, .answerer = &is_dave, .answer_early = TRUE}, 0, FORBIDDEN,
     "not-in-allowed-set", NULL},
    {BY_PAI OFF, CLV_OP_ANSWER, {CALLED, .answerer = &is_dave}, 0, FORBIDDEN, "not-in-allowed-set",
     NULL},
    {SET, CLV_OP_ANSWER, {CALLED, .answerer = &silent, .answered_identity = DAVE}, 0, FORBIDDEN,
     "not-in-allowed-set", NULL},
    /* row 5: 181 or History-Info, nobody known yet */
    {BY_PAI, CLV_OP_ANSWER, {CALLED, .answerer = &forwarded, .answer_early = TRUE}, 0, FORBIDDEN,
     "diverted", "built-in diversion=strict"},
    {BY_PAI, CLV_OP_ANSWER, {CALLED, .answerer = &history, .answer_early = TRUE}, 0, FORBIDDEN,
     "diverted", NULL},
    {"", CLV_OP_ANSWER, {CALLED, .answerer = &forwarded, .answer_early = TRUE}, 0, FORBIDDEN,
     "diverted", NULL},
    {BY_PAI SET, CLV_OP_ANSWER, {CALLED, .answerer = &forwarded, .answer_early = TRUE}, UNDECIDED,
     FINE, "undecided", NULL},
    {BY_PAI SET, CLV_OP_ANSWER, {CALLED, .answerer = &forwarded}, 0, FORBIDDEN, "unidentified",
     NULL},
    /* row 6: a ticket went out and did not come back */
    {SDES_TOO, CLV_OP_ANSWER, {CALLED, .answerer = &is_bob, .scheme = CLV_SCHEME_SDES}, 0,
     FORBIDDEN, "no-ticket", "built-in auth=ticket"},
    {SDES_TOO SET, CLV_OP_ANSWER, {CALLED, .answerer = &is_bob, .scheme = CLV_SCHEME_SDES}, 0,
     FORBIDDEN, "no-ticket", "built-in auth=ticket"},
    {SDES_TOO BY_PAI, CLV_OP_ANSWER, {CALLED, .answerer = &is_bob, .scheme = CLV_SCHEME_SDES},
     ALLOWED, FINE, "answered", NULL},
    {BY_PAI, CLV_OP_ANSWER, {CALLED, .answerer = &is_bob, .scheme = CLV_SCHEME_SDES}, 0,
     CLV_CODE_KEYMGMT_UNACCEPTABLE, "unsecured-media", NULL},
    /* a changed From speaks against him, never for him */
    {BY_PAI, CLV_OP_ANSWER, {CALLED, .answerer = &says_carol}, 0, FORBIDDEN, "diverted", NULL},
    {BY_PAI SET, CLV_OP_ANSWER, {CALLED, .answerer = &says_carol}, ALLOWED, FINE, "answered", NULL},
    {BY_PAI SET, CLV_OP_ANSWER, {CALLED, .answerer = &says_dave}, 0, FORBIDDEN,
     "not-in-allowed-set", NULL},
    {BY_PAI OFF "deny=sip:dave@elsewhere.example\n", CLV_OP_ANSWER,
     {CALLED, .answerer = &says_dave}, 0, FORBIDDEN, "denied", NULL},
    /* deny, trust, and what changed while it rang */
    {BY_PAI SET "deny=sip:carol@example.org\n", CLV_OP_ANSWER, {CALLED, .answerer = &is_carol}, 0,
     FORBIDDEN, "denied", "test:8 [factory f] deny"},
    {BY_PAI "trust=192.0.2.0/24\n", CLV_OP_ANSWER, {CALLED, .answerer = &is_bob, FROM_PEER},
     ALLOWED, FINE, "answered", NULL},
    {BY_PAI "trust=198.51.100.0/24\n", CLV_OP_ANSWER, {CALLED, .answerer = &is_bob, FROM_PEER}, 0,
     FORBIDDEN, "unidentified", NULL},
    {BY_PAI, CLV_OP_ANSWER, {CALLED, .answerer = &is_bob, .locked = TRUE}, 0, FORBIDDEN, "locked",
     NULL},
    {BY_PAI, CLV_OP_ANSWER,
     {BOB, .creator = ALICE, .ticket_names = example_org, .answerer = &is_bob}, 0, FORBIDDEN,
     "not-in-allowed-set", NULL},
    {"max-participants=2\n" BY_PAI, CLV_OP_ANSWER,
     {CALLED, .answerer = &is_bob, .n_participants = 2}, 0, CLV_CODE_FULL, "full", NULL},
};

static void
test_answer(void)
{
    CHECK_ROWS(answer_rows);
}

/* ---- lobby and PIN ---- */

#define HASH                                                                                       \
    "pin=additional\npin-hash=pbkdf2-sha256$100000$c2FsdHNhbHQ=$"                                  \
    "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n"

static const Row lobby_rows[] = {
    {"", CLV_OP_JOIN, {BOB, TICKET, ROOM}, ALLOWED, FINE, "in-allowed-set", NULL},
    {"lobby=yes\n", CLV_OP_JOIN, {BOB, TICKET, ROOM}, WAITS, FINE, "in-allowed-set", NULL},
    {"lobby=yes\n", CLV_OP_JOIN, {BOB, TICKET, ROOM, .admitted = TRUE}, ALLOWED, FINE,
     "in-allowed-set", NULL},
    {"lobby=yes\n", CLV_OP_JOIN, {BOB, TICKET, ROOM, .n_endpoints = 1}, ALLOWED, FINE,
     "in-allowed-set", NULL},
    {"lobby=yes\n", CLV_OP_JOIN, {ALICE, TICKET, ROOM}, ALLOWED, FINE, "creator", NULL},
    {"lobby=yes\nowners=sip:bob@example.org\n", CLV_OP_JOIN, {BOB, TICKET, ROOM}, ALLOWED, FINE,
     "in-allowed-set", NULL},
    {"lobby=yes\nmoderators=sip:bob@example.org\n", CLV_OP_JOIN, {BOB, TICKET, ROOM}, ALLOWED,
     FINE, "in-allowed-set", NULL},
    {"lobby=yes\n", CLV_OP_JOIN, {DAVE, TICKET, ROOM}, 0, FORBIDDEN, "not-in-allowed-set", NULL},
    {"lobby=yes\n", CLV_OP_JOIN, {BOB, TICKET, ROOM, .locked = TRUE}, 0, FORBIDDEN, "locked", NULL},
    {"lobby=yes\njoin-before-creator=no\n", CLV_OP_JOIN, {BOB, TICKET, .creator = ALICE,
     .ticket_names = bob_and_carol}, WAITS, FINE, "in-allowed-set", NULL},
    {"lobby=yes\njoin-before-creator=no\n", CLV_OP_JOIN, {DAVE, TICKET, .creator = ALICE,
     .ticket_names = bob_and_carol}, 0, FORBIDDEN, "not-in-allowed-set", NULL},
    {"lobby=yes\njoin-before-creator=no\n", CLV_OP_JOIN, {BOB, TICKET, .creator = ALICE,
     .ticket_names = bob_and_carol, .admitted = TRUE}, ALLOWED, FINE, "in-allowed-set", NULL},
    {"lobby=yes\njoin-before-creator=no\nmoderators=sip:bob@example.org\n", CLV_OP_JOIN,
     {BOB, TICKET, .creator = ALICE, .ticket_names = bob_and_carol}, WAITS, FINE,
     "in-allowed-set", NULL},
    {"lobby=yes\njoin-before-creator=no\nowners=sip:bob@example.org\n", CLV_OP_JOIN,
     {BOB, TICKET, .creator = ALICE, .ticket_names = bob_and_carol}, ALLOWED, FINE,
     "in-allowed-set", NULL},
    {"join-before-creator=no\n", CLV_OP_JOIN, {BOB, TICKET, .creator = ALICE,
     .ticket_names = bob_and_carol}, 0, CLV_CODE_UNAVAILABLE, "creator-absent", NULL},
    {"lobby=yes\n", CLV_OP_JOIN, {NULL, ROOM, .tls = TRUE, .ticket_offered = TRUE}, UNDECIDED, FINE,
     "undecided", NULL},
    {"lobby=yes\n", CLV_OP_STAY, {BOB, TICKET, ROOM}, ALLOWED, FINE, "in-allowed-set", NULL},
    {HASH, CLV_OP_JOIN, {BOB, TICKET, ROOM}, PIN, FINE, "in-allowed-set", NULL},
    {HASH, CLV_OP_JOIN, {ALICE, TICKET, ROOM}, PIN, FINE, "creator", NULL},
    {HASH "create-allow=*@example.org\n", CLV_OP_CREATE, {ALICE, TICKET, .creator = ALICE,
     .ticket_names = bob_and_carol}, PIN, FINE, "may-create", NULL},
    {HASH, CLV_OP_JOIN, {DAVE, TICKET, ROOM}, 0, FORBIDDEN, "not-in-allowed-set", NULL},
    {HASH, CLV_OP_STAY, {BOB, TICKET, ROOM}, ALLOWED, FINE, "in-allowed-set", NULL},
    {HASH, CLV_OP_ANSWER, {CALLED, .answered_identity = BOB}, PIN, FINE, "answered", NULL},
};

static void
test_lobby(void)
{
    CHECK_ROWS(lobby_rows);
}

/* ---- whose word counts, and several names of one person ---- */

#define BY_FRIEND "auth=asserted\ntrust=192.0.2.0/24;proxy.example.org;*.ims.example.org\n"

static const Row trust_rows[] = {
    {BY_FRIEND, CLV_OP_JOIN, {BOB, ASSERTED, ROOM, .peer_name = "192.0.2.77"}, ALLOWED, FINE,
     "in-allowed-set", NULL},
    {BY_FRIEND, CLV_OP_JOIN, {BOB, ASSERTED, ROOM, .peer_name = "Proxy.Example.Org"}, ALLOWED, FINE,
     "in-allowed-set", NULL},
    {BY_FRIEND, CLV_OP_JOIN, {BOB, ASSERTED, ROOM, .peer_name = "a.ims.example.org"}, ALLOWED, FINE,
     "in-allowed-set", NULL},
    {BY_FRIEND, CLV_OP_JOIN, {BOB, ASSERTED, ROOM, .peer_name = "ims.example.org"}, 0, FORBIDDEN,
     "not-asserted", NULL},
    {BY_FRIEND, CLV_OP_JOIN, {BOB, ASSERTED, ROOM, .peer_name = "a.b.ims.example.org"}, 0,
     FORBIDDEN, "not-asserted", NULL},
    {BY_FRIEND, CLV_OP_JOIN, {BOB, ASSERTED, ROOM, .peer_name = "192.0.3.1"}, 0, FORBIDDEN,
     "not-asserted", NULL},
    {BY_FRIEND, CLV_OP_JOIN, {BOB, ASSERTED, ROOM}, 0, FORBIDDEN, "not-asserted", NULL},
    {BY_FRIEND, CLV_OP_JOIN, {BOB, TICKET, ROOM}, ALLOWED, FINE, "in-allowed-set", NULL},
    {BY_FRIEND, CLV_OP_JOIN, {BOB, ASSERTED, ROOM, .ticket_offered = TRUE}, UNDECIDED, FINE,
     "undecided", NULL},
    {BY_FRIEND, CLV_OP_END, {ALICE, ASSERTED, ROOM}, 0, FORBIDDEN, "not-asserted", NULL},
    {"auth=asserted\n", CLV_OP_JOIN, {BOB, ASSERTED, ROOM}, ALLOWED, FINE, "in-allowed-set", NULL},
    {"auth=asserted\n", CLV_OP_JOIN, {PHONE, ASSERTED, ROOM}, 0, FORBIDDEN, "not-in-allowed-set",
     NULL},
    {"auth=asserted\n", CLV_OP_JOIN, {PHONE, ASSERTED, ROOM, .identities = phone_first}, ALLOWED,
     FINE, "in-allowed-set", NULL},
    {"auth=asserted\ndeny=tel:+49*\n", CLV_OP_JOIN, {BOB, ASSERTED, ROOM, .identities = bobs_names},
     0, FORBIDDEN, "denied", "test:7 [factory f] deny"},
    {"auth=asserted\ncreate-deny=tel:+49*\n", CLV_OP_CREATE,
     {BOB, ASSERTED, .ticket_names = bob_and_carol, .identities = bobs_names}, 0, FORBIDDEN,
     "denied", NULL},
    /* a ticket names one: the others do not help */
    {"", CLV_OP_JOIN, {PHONE, TICKET, ROOM, .identities = phone_first}, 0, FORBIDDEN,
     "not-in-allowed-set", NULL},
    /* ticket-wildcards */
    {"", CLV_OP_JOIN, {CAROL, TICKET, .creator = ALICE, .ticket_names = example_org}, 0, FORBIDDEN,
     "not-in-allowed-set", NULL},
    {"ticket-wildcards=yes\n", CLV_OP_JOIN,
     {CAROL, TICKET, .creator = ALICE, .ticket_names = example_org}, ALLOWED, FINE,
     "in-allowed-set", NULL},
    {"ticket-wildcards=yes\n", CLV_OP_JOIN,
     {DAVE, TICKET, .creator = ALICE, .ticket_names = example_org}, 0, FORBIDDEN,
     "not-in-allowed-set", NULL},
    {"ticket-wildcards=yes\nallow=sip:bob@example.org\n", CLV_OP_JOIN,
     {CAROL, TICKET, .creator = ALICE, .ticket_names = example_org}, 0, FORBIDDEN,
     "not-in-allowed-set", "test:7 [factory f] allow"},
    {"ticket-wildcards=yes\n", CLV_OP_JOIN,
     {CAROL, TICKET, .creator = ALICE, .ticket_names = only_bob}, 0, FORBIDDEN,
     "not-in-allowed-set", NULL},
};
/* clang-format on */

static void
test_trust(void)
{
    CHECK_ROWS(trust_rows);
}

static void
test_which_identity(void)
{
    g_autoptr(ClvPolicyView) view = view_with("auth=asserted\n");
    ClvPolicyFacts facts = {PHONE, ASSERTED, ROOM, .identities = phone_first};

    g_assert_cmpstr(clv_policy_decide(view, CLV_OP_JOIN, &facts).identity, ==, BOB);
    facts.identities = NULL;
    g_assert_cmpstr(clv_policy_decide(view, CLV_OP_JOIN, &facts).identity, ==, PHONE);
}

/* ---- the table of 5.12: R061 ---- */

enum { R433, IN, ASK };

static const struct {
    const char *what;
    ClvPolicyFacts facts;
    int reject, hide;
} anonymity_rows[] = {
    {"no assertion, no ticket", {NULL, .tls = TRUE, ROOM}, R433, R433},
    {"no assertion, a ticket", {NULL, .tls = TRUE, ROOM, .ticket_offered = TRUE}, ASK, ASK},
    {"the ticket resolved", {BOB, TICKET, ROOM}, IN, IN},
    {"asserted, Privacy", {BOB, ASSERTED, ROOM, .anonymous = TRUE}, R433, IN},
    {"From anonymous, asserted, no Privacy", {BOB, ASSERTED, ROOM}, IN, IN},
    {"the ticket names anonymous.invalid", {NOBODY, TICKET, ROOM}, R433, R433},
};

/* With auth=ticket who brings none hears what is missing; who hides hears that it is the name. */
static void
test_anonymity_without_ticket(void)
{
    static const struct {
        const char *lines;
        ClvPolicyFacts facts;
        ClvCode code;
    } cases[] = {
        {"auth=ticket\n", {NULL, .tls = TRUE, ROOM}, CLV_CODE_KEYMGMT_UNACCEPTABLE},
        {"auth=ticket\n", {NULL, .tls = TRUE, ROOM, .anonymous = TRUE}, CLV_CODE_ANONYMITY},
        {"auth=ticket\n",
         {NULL, .tls = TRUE, ROOM, .anonymous = TRUE, .ticket_offered = TRUE},
         CLV_CODE_OK},
        {"auth=digest\n", {NULL, .tls = TRUE, ROOM, .anonymous = TRUE}, CLV_CODE_UNAUTHENTICATED},
    };

    for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(ClvPolicyView) view = view_with(cases[i].lines);

        g_assert_cmpint(clv_policy_decide(view, CLV_OP_JOIN, &cases[i].facts).code, ==,
                        cases[i].code);
    }
}

static void
test_anonymity(void)
{
    g_autoptr(ClvPolicyView) reject = view_with("auth=either\nanonymity=reject\n");
    g_autoptr(ClvPolicyView) hide = view_with("auth=either\nanonymity=hide\n");

    for (guint i = 0; i < G_N_ELEMENTS(anonymity_rows); i++) {
        const int expected[] = {anonymity_rows[i].reject, anonymity_rows[i].hide};
        const ClvPolicyView *views[] = {reject, hide};

        for (guint j = 0; j < 2; j++) {
            ClvPolicyVerdict v = clv_policy_decide(views[j], CLV_OP_JOIN, &anonymity_rows[i].facts);

            g_test_message("%s: %s", anonymity_rows[i].what, v.reason);
            g_assert_cmpint(v.allow, ==, expected[j] == IN);
            g_assert_cmpint(v.undecided, ==, expected[j] == ASK);
            g_assert_cmpint(v.code == CLV_CODE_ANONYMITY, ==, expected[j] == R433);
        }
    }
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/policy/refer/R109-R124-who-may-ask-for-what", test_refer);
    g_test_add_func("/policy/dial/R057-R102-whom-the-conference-may-call", test_dial);
    g_test_add_func("/policy/answer/R058-R059-R060-who-answers-in-the-place-of-whom", test_answer);
    g_test_add_func("/policy/lobby/who-waits-and-who-needs-the-pin", test_lobby);
    g_test_add_func("/policy/trust/whose-word-counts-for-which-name", test_trust);
    g_test_add_func("/policy/trust/the-verdict-names-who-was-judged", test_which_identity);
    g_test_add_func("/policy/anonymity/R061-each-row-of-the-table", test_anonymity);
    g_test_add_func("/policy/anonymity/who-hides-and-brings-no-ticket", test_anonymity_without_ticket);
    return g_test_run();
}
