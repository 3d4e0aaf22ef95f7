/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/test-policy.c - policies: what a file may say, and what follows from it */
#include "policy/policy-private.h"

#include <glib/gstdio.h>
#include <locale.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define ALICE "sip:alice@example.org"
#define BOB "sip:bob@example.org"
#define CAROL "sip:carol@example.org"
#define DAVE "sip:dave@elsewhere.example"
#define NOBODY "sip:anonymous@anonymous.invalid"
#define HOUR_US (3600 * (gint64)G_USEC_PER_SEC)
#define NOON_US (G_GINT64_CONSTANT(1893499200) * G_USEC_PER_SEC) /* 2030-01-01T12:00:00Z */

static const char head[] = "[policy]\n"
                           "format=1\n"
                           "[factory f]\n"
                           "uri=sip:factory.conf1@example.org\n"
                           "create-allow=*@example.org\n";

static ClvPolicy *
parse(const char *text)
{
    g_autoptr(GPtrArray) errors = g_ptr_array_new_with_free_func(g_free);
    ClvPolicy *policy = clv_policy_parse("test", text, strlen(text), errors);

    if (policy == NULL)
        g_error("%s", (const char *)errors->pdata[0]);
    g_assert_cmpuint(errors->len, ==, 0);
    return policy;
}

static ClvPolicyView *
view_with(const char *lines)
{
    g_autofree char *text = g_strconcat(head, lines, NULL);
    g_autoptr(ClvPolicy) policy = parse(text);

    return clv_policy_view_factory(policy, "f");
}

/* ---- decisions, one row each ---- */

static const char *const bob_and_carol[] = {BOB, CAROL, NULL};
static const char *const with_dave[] = {BOB, DAVE, NULL};
static const char *const only_alice[] = {ALICE, NULL};
static const char *const no_names[] = {NULL};

#define TICKET .proof = CLV_PROOF_TICKET, .tls = TRUE
#define DIGEST .proof = CLV_PROOF_DIGEST, .tls = TRUE
#define ASSERTED .proof = CLV_PROOF_ASSERTED, .tls = TRUE
#define ROOM .creator = ALICE, .creator_present = TRUE, .ticket_names = bob_and_carol

#define ALLOWED 1
#define UNDECIDED 2

/* A row is a sentence. */
/* clang-format off */
static const struct {
    const char *lines; /* after [factory f]; the first is line 6 */
    ClvPolicyOp op;
    ClvPolicyFacts facts;
    int expected; /* ALLOWED, UNDECIDED, or 0 and the code */
    ClvCode code;
    const char *reason;
    const char *rule;
} rows[] = {
    /* create-allow, create-deny */
    {"", CLV_OP_CREATE, {ALICE, TICKET, .ticket_names = bob_and_carol}, ALLOWED, CLV_CODE_OK,
     "may-create", "test:5 [factory f] create-allow"},
    {"", CLV_OP_CREATE, {DAVE, TICKET, .ticket_names = bob_and_carol}, 0, CLV_CODE_FORBIDDEN,
     "not-in-create-allow", "test:5 [factory f] create-allow"},
    {"create-allow=nobody\n", CLV_OP_CREATE, {ALICE, TICKET, .ticket_names = bob_and_carol}, 0,
     CLV_CODE_FORBIDDEN, "not-in-create-allow", "test:6 [factory f] create-allow"},
    {"create-allow=any\n", CLV_OP_CREATE, {DAVE, TICKET, .ticket_names = bob_and_carol}, ALLOWED,
     CLV_CODE_OK, "may-create", "test:6 [factory f] create-allow"},
    {"create-allow=any\n", CLV_OP_CREATE, {NOBODY, TICKET, .ticket_names = bob_and_carol}, 0,
     CLV_CODE_ANONYMITY, "anonymous", "built-in anonymity=hide"},
    {"create-deny=sip:alice@example.org\n", CLV_OP_CREATE,
     {ALICE, TICKET, .ticket_names = bob_and_carol}, 0, CLV_CODE_FORBIDDEN, "denied",
     "test:6 [factory f] create-deny"},
    {"create-allow=*@example.org;!sip:alice@example.org\n", CLV_OP_CREATE,
     {ALICE, TICKET, .ticket_names = bob_and_carol}, 0, CLV_CODE_FORBIDDEN,
     "not-in-create-allow", "test:6 [factory f] create-allow"},
    {"create-allow=!sip:alice@example.org;*@example.org\n", CLV_OP_CREATE,
     {ALICE, TICKET, .ticket_names = bob_and_carol}, 0, CLV_CODE_FORBIDDEN,
     "not-in-create-allow", "test:6 [factory f] create-allow"},
    {"", CLV_OP_CREATE, {NULL, .ticket_offered = TRUE, .tls = TRUE}, UNDECIDED, CLV_CODE_OK,
     "undecided", "built-in auth=ticket"},
    {"", CLV_OP_CREATE, {DAVE, ASSERTED, .ticket_offered = TRUE}, 0, CLV_CODE_FORBIDDEN,
     "not-in-create-allow", "test:5 [factory f] create-allow"},
    /* create-max-per-user, create-max-total */
    {"", CLV_OP_CREATE, {ALICE, TICKET, .ticket_names = bob_and_carol, .n_by_creator = 4}, ALLOWED,
     CLV_CODE_OK, "may-create", NULL},
    {"", CLV_OP_CREATE, {ALICE, TICKET, .ticket_names = bob_and_carol, .n_by_creator = 5}, 0,
     CLV_CODE_FORBIDDEN, "too-many", "built-in create-max-per-user=5"},
    {"create-max-per-user=1\n", CLV_OP_CREATE,
     {ALICE, TICKET, .ticket_names = bob_and_carol, .n_by_creator = 1}, 0, CLV_CODE_FORBIDDEN,
     "too-many", "test:6 [factory f] create-max-per-user"},
    {"create-max-total=7\n", CLV_OP_CREATE,
     {ALICE, TICKET, .ticket_names = bob_and_carol, .n_total = 7}, 0, CLV_CODE_OVERLOAD,
     "too-many", "test:6 [factory f] create-max-total"},
    {"create-max-total=7\n", CLV_OP_CREATE,
     {ALICE, TICKET, .ticket_names = bob_and_carol, .n_total = 6}, ALLOWED, CLV_CODE_OK,
     "may-create", NULL},
    /* create-empty */
    {"", CLV_OP_CREATE, {ALICE, TICKET}, 0, CLV_CODE_FORBIDDEN, "empty-set",
     "built-in create-empty=no"},
    {"", CLV_OP_CREATE, {ALICE, TICKET, .ticket_names = only_alice}, 0, CLV_CODE_FORBIDDEN,
     "empty-set", "built-in create-empty=no"},
    {"create-empty=yes\n", CLV_OP_CREATE, {ALICE, TICKET, .ticket_names = no_names}, ALLOWED,
     CLV_CODE_OK, "may-create", NULL},
    {"deny=sip:bob@example.org;sip:carol@example.org\n", CLV_OP_CREATE,
     {ALICE, TICKET, .ticket_names = bob_and_carol}, 0, CLV_CODE_FORBIDDEN, "empty-set", NULL},
    {"no-ticket-list=policy\nallow=any\n", CLV_OP_CREATE, {ALICE, TICKET}, ALLOWED, CLV_CODE_OK,
     "may-create", NULL},
    {"no-ticket-list=policy\nallow=creator;ticket\n", CLV_OP_CREATE, {ALICE, TICKET}, 0,
     CLV_CODE_FORBIDDEN, "empty-set", NULL},
    {"no-ticket-list=policy\nallow=sip:alice@example.org\n", CLV_OP_CREATE, {ALICE, TICKET}, 0,
     CLV_CODE_FORBIDDEN, "empty-set", NULL},
    {"ticket-authority=extend\nallow=@staff\n[list staff]\nmembers=sip:bob@example.org\n",
     CLV_OP_CREATE, {ALICE, TICKET}, ALLOWED, CLV_CODE_OK, "may-create", NULL},
    {"ticket-authority=extend\nallow=owners\nowners=sip:bob@example.org\n", CLV_OP_CREATE,
     {ALICE, TICKET}, ALLOWED, CLV_CODE_OK, "may-create", NULL},
    /* deny also keeps the creator from creating */
    {"deny=sip:alice@example.org\n", CLV_OP_CREATE, {ALICE, TICKET, .ticket_names = bob_and_carol},
     0, CLV_CODE_FORBIDDEN, "denied", "test:6 [factory f] deny"},
    /* allow, deny, ticket-authority, no-ticket-list: the table of 4.2 */
    {"", CLV_OP_JOIN, {BOB, TICKET, ROOM}, ALLOWED, CLV_CODE_OK, "in-allowed-set",
     "built-in allow=ticket"},
    {"", CLV_OP_JOIN, {DAVE, TICKET, ROOM}, 0, CLV_CODE_FORBIDDEN, "not-in-allowed-set",
     "built-in ticket-authority=narrow"},
    {"", CLV_OP_JOIN, {ALICE, TICKET, ROOM}, ALLOWED, CLV_CODE_OK, "creator", "creation"},
    {"deny=@blocked\n[list blocked]\nmembers=sip:bob@example.org\n", CLV_OP_JOIN,
     {BOB, TICKET, ROOM}, 0, CLV_CODE_FORBIDDEN, "denied", "test:6 [factory f] deny"},
    {"allow=*@example.org\n", CLV_OP_JOIN,
     {DAVE, TICKET, .creator = ALICE, .creator_present = TRUE, .ticket_names = with_dave}, 0,
     CLV_CODE_FORBIDDEN, "not-in-allowed-set", "test:6 [factory f] allow"},
    {"allow=*@example.org\n", CLV_OP_JOIN,
     {CAROL, TICKET, .creator = ALICE, .creator_present = TRUE, .ticket_names = with_dave}, 0,
     CLV_CODE_FORBIDDEN, "not-in-allowed-set", "built-in ticket-authority=narrow"},
    {"allow=*@example.org\n", CLV_OP_JOIN,
     {BOB, TICKET, .creator = ALICE, .creator_present = TRUE, .ticket_names = with_dave}, ALLOWED,
     CLV_CODE_OK, "in-allowed-set", "test:6 [factory f] allow"},
    {"allow=*@example.org\nticket-authority=replace\n", CLV_OP_JOIN,
     {DAVE, TICKET, .creator = ALICE, .creator_present = TRUE, .ticket_names = with_dave}, ALLOWED,
     CLV_CODE_OK, "in-allowed-set", "test:7 [factory f] ticket-authority"},
    {"allow=*@example.org\nticket-authority=replace\n", CLV_OP_JOIN,
     {CAROL, TICKET, .creator = ALICE, .creator_present = TRUE, .ticket_names = with_dave}, 0,
     CLV_CODE_FORBIDDEN, "not-in-allowed-set", "test:7 [factory f] ticket-authority"},
    {"allow=*@example.org\nticket-authority=extend\n", CLV_OP_JOIN,
     {CAROL, TICKET, .creator = ALICE, .creator_present = TRUE, .ticket_names = with_dave},
     ALLOWED, CLV_CODE_OK, "in-allowed-set", "test:6 [factory f] allow"},
    {"allow=*@example.org\nticket-authority=extend\n", CLV_OP_JOIN,
     {DAVE, TICKET, .creator = ALICE, .creator_present = TRUE, .ticket_names = with_dave}, ALLOWED,
     CLV_CODE_OK, "in-allowed-set", "test:7 [factory f] ticket-authority"},
    {"allow=*@example.org\n", CLV_OP_JOIN, {BOB, TICKET, .creator = ALICE}, 0, CLV_CODE_FORBIDDEN,
     "not-in-allowed-set", "built-in no-ticket-list=creator-only"},
    {"allow=*@example.org\nno-ticket-list=policy\n", CLV_OP_JOIN,
     {BOB, TICKET, .creator = ALICE, .creator_present = TRUE}, ALLOWED, CLV_CODE_OK,
     "in-allowed-set", "test:6 [factory f] allow"},
    {"allow=*@example.org\nno-ticket-list=policy\n", CLV_OP_JOIN,
     {DAVE, TICKET, .creator = ALICE, .creator_present = TRUE}, 0, CLV_CODE_FORBIDDEN,
     "not-in-allowed-set", "test:6 [factory f] allow"},
    {"allow=*@example.org\nticket-authority=extend\n", CLV_OP_JOIN,
     {BOB, TICKET, .creator = ALICE, .creator_present = TRUE}, ALLOWED, CLV_CODE_OK,
     "in-allowed-set", "test:6 [factory f] allow"},
    {"allow=\nno-ticket-list=policy\n", CLV_OP_JOIN, {BOB, TICKET, ROOM}, 0, CLV_CODE_FORBIDDEN,
     "not-in-allowed-set", "test:6 [factory f] allow"},
    /* words and patterns */
    {"allow=moderators\nmoderators=sip:bob@example.org\nno-ticket-list=policy\n", CLV_OP_JOIN,
     {BOB, TICKET, .creator = ALICE}, ALLOWED, CLV_CODE_OK, "in-allowed-set", NULL},
    {"allow=participants\nno-ticket-list=policy\n", CLV_OP_JOIN, {BOB, TICKET, .creator = ALICE},
     0, CLV_CODE_FORBIDDEN, "not-in-allowed-set", NULL},
    {"allow=participants\nno-ticket-list=policy\n", CLV_OP_JOIN,
     {BOB, TICKET, .creator = ALICE, .n_endpoints = 1}, ALLOWED, CLV_CODE_OK, "in-allowed-set",
     NULL},
    {"allow=*@*.example.org\nno-ticket-list=policy\n", CLV_OP_JOIN,
     {"sip:bob@eng.example.org", TICKET, .creator = ALICE}, ALLOWED, CLV_CODE_OK, "in-allowed-set",
     NULL},
    {"allow=*@*.example.org\nno-ticket-list=policy\n", CLV_OP_JOIN,
     {BOB, TICKET, .creator = ALICE}, 0, CLV_CODE_FORBIDDEN, "not-in-allowed-set", NULL},
    {"allow=tel:+4930*\nno-ticket-list=policy\n", CLV_OP_JOIN,
     {"tel:+493012345", TICKET, .creator = ALICE}, ALLOWED, CLV_CODE_OK, "in-allowed-set", NULL},
    {"allow=sip:BOB@EXAMPLE.ORG:5070\\;transport=tls\nno-ticket-list=policy\n", CLV_OP_JOIN,
     {"sip:BOB@example.org", TICKET, .creator = ALICE}, ALLOWED, CLV_CODE_OK, "in-allowed-set",
     NULL},
    {"allow=any;!@guests\nno-ticket-list=policy\n[list guests]\nmembers=@more\n[list more]\n"
     "members=sip:bob@example.org;\n", CLV_OP_JOIN, {BOB, TICKET, .creator = ALICE}, 0,
     CLV_CODE_FORBIDDEN, "not-in-allowed-set", "test:6 [factory f] allow"},
    /* auth: from digest over asserted and either to ticket */
    {"", CLV_OP_JOIN, {BOB, DIGEST, ROOM}, 0, CLV_CODE_KEYMGMT_UNACCEPTABLE, "no-ticket",
     "built-in auth=ticket"},
    {"", CLV_OP_JOIN, {BOB, ASSERTED, ROOM}, 0, CLV_CODE_KEYMGMT_UNACCEPTABLE, "no-ticket", NULL},
    {"", CLV_OP_JOIN, {NULL, .tls = TRUE, ROOM}, 0, CLV_CODE_KEYMGMT_UNACCEPTABLE, "no-ticket",
     NULL},
    {"", CLV_OP_JOIN, {NULL, .tls = TRUE, .ticket_offered = TRUE, ROOM}, UNDECIDED, CLV_CODE_OK,
     "undecided", NULL},
    {"", CLV_OP_JOIN, {BOB, DIGEST, .ticket_offered = TRUE, ROOM}, UNDECIDED, CLV_CODE_OK,
     "undecided", NULL},
    {"auth=digest\n", CLV_OP_JOIN, {BOB, DIGEST, ROOM}, ALLOWED, CLV_CODE_OK, "in-allowed-set",
     NULL},
    {"auth=digest\n", CLV_OP_JOIN, {BOB, TICKET, ROOM}, ALLOWED, CLV_CODE_OK, "in-allowed-set",
     NULL},
    {"auth=digest\n", CLV_OP_JOIN, {BOB, ASSERTED, ROOM}, ALLOWED, CLV_CODE_OK, "in-allowed-set",
     NULL},
    {"auth=digest\n", CLV_OP_JOIN, {NULL, .tls = TRUE, ROOM}, 0, CLV_CODE_UNAUTHENTICATED,
     "unauthenticated", "test:6 [factory f] auth"},
    {"auth=digest\n", CLV_OP_CREATE, {NULL, .tls = TRUE}, 0, CLV_CODE_UNAUTHENTICATED,
     "unauthenticated", "test:6 [factory f] auth"},
    {"auth=asserted\n", CLV_OP_JOIN, {BOB, DIGEST, ROOM}, 0, CLV_CODE_FORBIDDEN, "not-asserted",
     "test:6 [factory f] auth"},
    {"auth=asserted\n", CLV_OP_JOIN, {BOB, ASSERTED, ROOM}, ALLOWED, CLV_CODE_OK, "in-allowed-set",
     NULL},
    {"auth=either\n", CLV_OP_JOIN, {BOB, ASSERTED, ROOM}, ALLOWED, CLV_CODE_OK, "in-allowed-set",
     NULL},
    {"auth=either\n", CLV_OP_JOIN, {BOB, TICKET, ROOM}, ALLOWED, CLV_CODE_OK, "in-allowed-set",
     NULL},
    {"auth=either\n", CLV_OP_JOIN, {BOB, DIGEST, ROOM}, 0, CLV_CODE_FORBIDDEN, "not-asserted",
     NULL},
    {"auth=either\n", CLV_OP_JOIN, {NULL, .tls = TRUE, ROOM}, 0, CLV_CODE_ANONYMITY, "anonymous",
     "built-in anonymity=hide"},
    /* anonymity */
    {"", CLV_OP_JOIN, {BOB, TICKET, .anonymous = TRUE, ROOM}, ALLOWED, CLV_CODE_OK,
     "in-allowed-set", NULL},
    {"anonymity=reject\n", CLV_OP_JOIN, {BOB, TICKET, .anonymous = TRUE, ROOM}, 0,
     CLV_CODE_ANONYMITY, "anonymous", "test:6 [factory f] anonymity"},
    {"anonymity=reject\n", CLV_OP_JOIN, {BOB, TICKET, ROOM}, ALLOWED, CLV_CODE_OK,
     "in-allowed-set", NULL},
    {"", CLV_OP_JOIN, {NOBODY, TICKET, ROOM}, 0, CLV_CODE_ANONYMITY, "anonymous", NULL},
    /* diverted-dial-in */
    {"", CLV_OP_JOIN, {BOB, TICKET, .diverted = TRUE, ROOM}, ALLOWED, CLV_CODE_OK,
     "in-allowed-set", NULL},
    {"diverted-dial-in=reject\n", CLV_OP_JOIN, {BOB, TICKET, .diverted = TRUE, ROOM}, 0,
     CLV_CODE_FORBIDDEN, "diverted", "test:6 [factory f] diverted-dial-in"},
    /* dial-in */
    {"dial-in=no\n", CLV_OP_JOIN, {BOB, TICKET, ROOM}, 0, CLV_CODE_FORBIDDEN, "dial-in-off",
     "test:6 [factory f] dial-in"},
    {"dial-in=no\n", CLV_OP_JOIN, {ALICE, TICKET, ROOM}, ALLOWED, CLV_CODE_OK, "creator", NULL},
    {"dial-in=no\n", CLV_OP_JOIN, {NULL, .tls = TRUE, .ticket_offered = TRUE, ROOM}, UNDECIDED,
     CLV_CODE_OK, "undecided", NULL},
    {"dial-in=no\n", CLV_OP_STAY, {BOB, TICKET, ROOM}, ALLOWED, CLV_CODE_OK, "in-allowed-set",
     NULL},
    /* locked */
    {"", CLV_OP_JOIN, {BOB, TICKET, .locked = TRUE, ROOM}, 0, CLV_CODE_FORBIDDEN, "locked",
     "order"},
    {"locked=yes\n", CLV_OP_JOIN, {BOB, TICKET, .locked = TRUE, ROOM}, 0, CLV_CODE_FORBIDDEN,
     "locked", "test:6 [factory f] locked"},
    {"", CLV_OP_JOIN, {BOB, TICKET, .locked = TRUE, .n_endpoints = 1, ROOM}, ALLOWED, CLV_CODE_OK,
     "in-allowed-set", NULL},
    {"", CLV_OP_JOIN, {ALICE, TICKET, .locked = TRUE, ROOM}, ALLOWED, CLV_CODE_OK, "creator",
     NULL},
    {"owners=sip:bob@example.org\n", CLV_OP_JOIN, {BOB, TICKET, .locked = TRUE, ROOM}, ALLOWED,
     CLV_CODE_OK, "in-allowed-set", NULL},
    {"", CLV_OP_STAY, {BOB, TICKET, .locked = TRUE, ROOM}, ALLOWED, CLV_CODE_OK, "in-allowed-set",
     NULL},
    /* join-before-creator */
    {"join-before-creator=no\n", CLV_OP_JOIN,
     {BOB, TICKET, .creator = ALICE, .ticket_names = bob_and_carol}, 0, CLV_CODE_UNAVAILABLE,
     "creator-absent", "test:6 [factory f] join-before-creator"},
    {"join-before-creator=no\n", CLV_OP_JOIN, {BOB, TICKET, ROOM}, ALLOWED, CLV_CODE_OK,
     "in-allowed-set", NULL},
    {"join-before-creator=no\n", CLV_OP_JOIN,
     {ALICE, TICKET, .creator = ALICE, .ticket_names = bob_and_carol}, ALLOWED, CLV_CODE_OK,
     "creator", NULL},
    /* max-endpoints-per-user, max-participants, full-status */
    {"", CLV_OP_JOIN, {BOB, TICKET, .n_endpoints = 2, ROOM}, 0, CLV_CODE_FULL, "too-many",
     "built-in max-endpoints-per-user=2"},
    {"max-endpoints-per-user=3\n", CLV_OP_JOIN, {BOB, TICKET, .n_endpoints = 2, ROOM}, ALLOWED,
     CLV_CODE_OK, "in-allowed-set", NULL},
    {"", CLV_OP_JOIN, {BOB, TICKET, .n_participants = 99, ROOM}, ALLOWED, CLV_CODE_OK,
     "in-allowed-set", NULL},
    {"", CLV_OP_JOIN, {BOB, TICKET, .n_participants = 100, ROOM}, 0, CLV_CODE_FULL, "full",
     "built-in max-participants=100"},
    {"max-participants=2\nfull-status=480\n", CLV_OP_JOIN,
     {BOB, TICKET, .n_participants = 2, ROOM}, 0, CLV_CODE_UNAVAILABLE, "full",
     "test:6 [factory f] max-participants"},
    {"max-participants=2\n", CLV_OP_JOIN,
     {BOB, TICKET, .n_participants = 2, .n_endpoints = 1, ROOM}, ALLOWED, CLV_CODE_OK,
     "in-allowed-set", NULL},
    {"max-participants=2\n", CLV_OP_STAY, {BOB, TICKET, .n_participants = 9, ROOM}, ALLOWED,
     CLV_CODE_OK, "in-allowed-set", NULL},
    /* signalling */
    {"", CLV_OP_JOIN, {BOB, .proof = CLV_PROOF_TICKET, .secured = TRUE, ROOM}, ALLOWED,
     CLV_CODE_OK, "in-allowed-set", NULL},
    {"", CLV_OP_JOIN, {BOB, .proof = CLV_PROOF_TICKET, ROOM}, 0, CLV_CODE_FORBIDDEN, "signalling",
     "built-in signalling=trusted"},
    {"signalling=any\n", CLV_OP_JOIN, {BOB, .proof = CLV_PROOF_TICKET, ROOM}, ALLOWED,
     CLV_CODE_OK, "in-allowed-set", NULL},
    {"signalling=tls\n", CLV_OP_JOIN, {BOB, .proof = CLV_PROOF_TICKET, .secured = TRUE, ROOM}, 0,
     CLV_CODE_FORBIDDEN, "signalling", "test:6 [factory f] signalling"},
    {"signalling=tls\n", CLV_OP_CREATE,
     {ALICE, .proof = CLV_PROOF_TICKET, .secured = TRUE, .ticket_names = bob_and_carol}, 0,
     CLV_CODE_FORBIDDEN, "signalling", "test:6 [factory f] signalling"},
    /* key-mgmt-allow, srtp-suites */
    {"", CLV_OP_JOIN, {BOB, TICKET, .scheme = CLV_SCHEME_MIKEY_TICKET, ROOM}, ALLOWED,
     CLV_CODE_OK, "in-allowed-set", NULL},
    {"", CLV_OP_JOIN, {BOB, TICKET, .scheme = CLV_SCHEME_SDES, ROOM}, 0,
     CLV_CODE_KEYMGMT_UNACCEPTABLE, "unsecured-media", "built-in key-mgmt-allow=mikey-ticket"},
    {"key-mgmt-allow=mikey-ticket;sdes\nsignalling=tls\n", CLV_OP_JOIN,
     {BOB, TICKET, .scheme = CLV_SCHEME_SDES, ROOM}, ALLOWED, CLV_CODE_OK, "in-allowed-set", NULL},
    {"", CLV_OP_JOIN,
     {BOB, TICKET, .scheme = CLV_SCHEME_MIKEY_TICKET, .suite = CLV_SRTP_AEAD_AES_256_GCM, ROOM},
     ALLOWED, CLV_CODE_OK, "in-allowed-set", NULL},
    {"", CLV_OP_JOIN,
     {BOB, TICKET, .scheme = CLV_SCHEME_MIKEY_TICKET, .suite = CLV_SRTP_AES_CM_128_HMAC_SHA1_32,
      ROOM},
     0, CLV_CODE_KEYMGMT_UNACCEPTABLE, "unsecured-media", "built-in srtp-suites"},
    {"srtp-suites=AES_CM_128_HMAC_SHA1_32\n", CLV_OP_JOIN,
     {BOB, TICKET, .scheme = CLV_SCHEME_MIKEY_TICKET, .suite = CLV_SRTP_AES_CM_128_HMAC_SHA1_32,
      ROOM},
     ALLOWED, CLV_CODE_OK, "in-allowed-set", NULL},
    /* max-ticket-lifetime, with five minutes of clock skew */
    {"", CLV_OP_JOIN, {BOB, TICKET, .wall_us = NOON_US, .expires_us = NOON_US + 24 * HOUR_US, ROOM},
     ALLOWED, CLV_CODE_OK, "in-allowed-set", NULL},
    {"", CLV_OP_JOIN, {BOB, TICKET, .wall_us = NOON_US, .expires_us = NOON_US + 25 * HOUR_US, ROOM},
     0, CLV_CODE_TICKET_REFUSED, "ticket-lifetime", "built-in max-ticket-lifetime=24h"},
    {"max-ticket-lifetime=1h\n", CLV_OP_CREATE,
     {ALICE, TICKET, .wall_us = NOON_US, .expires_us = NOON_US + 2 * HOUR_US,
      .ticket_names = bob_and_carol},
     0, CLV_CODE_TICKET_REFUSED, "ticket-lifetime", "test:6 [factory f] max-ticket-lifetime"},
    /* not-before, not-after */
    {"not-before=2030-01-01T12:00:00Z\n", CLV_OP_JOIN, {BOB, TICKET, .wall_us = NOON_US, ROOM},
     ALLOWED, CLV_CODE_OK, "in-allowed-set", NULL},
    {"not-before=2030-01-01T12:00:00Z\n", CLV_OP_JOIN, {BOB, TICKET, .wall_us = NOON_US - 1, ROOM},
     0, CLV_CODE_UNAVAILABLE, "not-yet", "test:6 [factory f] not-before"},
    {"not-after=2030-01-01T12:00:00Z\n", CLV_OP_JOIN, {BOB, TICKET, .wall_us = NOON_US - 1, ROOM},
     ALLOWED, CLV_CODE_OK, "in-allowed-set", NULL},
    {"not-after=2030-01-01T12:00:00Z\n", CLV_OP_CREATE,
     {ALICE, TICKET, .wall_us = NOON_US, .ticket_names = bob_and_carol}, 0, CLV_CODE_NOT_FOUND,
     "expired", "test:6 [factory f] not-after"},
    /* the order of the checks: the earlier one speaks */
    {"deny=sip:bob@example.org\ndial-in=no\nmax-participants=2\n", CLV_OP_JOIN,
     {BOB, TICKET, .locked = TRUE, .n_participants = 50, ROOM}, 0, CLV_CODE_FORBIDDEN, "denied",
     NULL},
    {"dial-in=no\n", CLV_OP_JOIN, {DAVE, DIGEST, .locked = TRUE, ROOM}, 0, CLV_CODE_FORBIDDEN,
     "dial-in-off", NULL},
    {"", CLV_OP_JOIN, {DAVE, DIGEST, .locked = TRUE, ROOM}, 0, CLV_CODE_FORBIDDEN, "locked", NULL},
    {"", CLV_OP_JOIN, {DAVE, DIGEST, ROOM}, 0, CLV_CODE_KEYMGMT_UNACCEPTABLE, "no-ticket", NULL},
    {"", CLV_OP_JOIN, {DAVE, TICKET, .n_endpoints = 9, ROOM}, 0, CLV_CODE_FORBIDDEN,
     "not-in-allowed-set", NULL},
    /* remove, end, change of the allowed set */
    {"", CLV_OP_REMOVE, {ALICE, TICKET, ROOM}, ALLOWED, CLV_CODE_OK, "moderator",
     "built-in moderators=creator"},
    {"", CLV_OP_REMOVE, {BOB, TICKET, ROOM}, 0, CLV_CODE_FORBIDDEN, "not-owner",
     "built-in owners=creator"},
    {"moderators=sip:bob@example.org\n", CLV_OP_REMOVE, {BOB, TICKET, ROOM}, ALLOWED, CLV_CODE_OK,
     "moderator", "test:6 [factory f] moderators"},
    {"moderators=nobody\n", CLV_OP_REMOVE, {ALICE, TICKET, ROOM}, ALLOWED, CLV_CODE_OK, "owner",
     NULL},
    {"moderators=sip:bob@example.org\n", CLV_OP_END, {BOB, TICKET, ROOM}, 0, CLV_CODE_FORBIDDEN,
     "not-owner", NULL},
    {"owners=creator;sip:bob@example.org\n", CLV_OP_END, {BOB, TICKET, ROOM}, ALLOWED, CLV_CODE_OK,
     "owner", "test:6 [factory f] owners"},
    {"", CLV_OP_ALLOW_CHANGE, {ALICE, TICKET, ROOM}, ALLOWED, CLV_CODE_OK, "owner", NULL},
    {"", CLV_OP_ALLOW_CHANGE, {BOB, TICKET, ROOM}, 0, CLV_CODE_FORBIDDEN, "not-owner", NULL},
    {"", CLV_OP_END, {ALICE, DIGEST, ROOM}, 0, CLV_CODE_KEYMGMT_UNACCEPTABLE, "no-ticket", NULL},
};
/* clang-format on */

static void
test_decide(void)
{
    for (guint i = 0; i < G_N_ELEMENTS(rows); i++) {
        g_autoptr(ClvPolicyView) view = view_with(rows[i].lines);
        ClvPolicyVerdict v = clv_policy_decide(view, rows[i].op, &rows[i].facts);

        g_test_message("row %u: %s -> %s by %s", i,
                       rows[i].facts.identity != NULL ? rows[i].facts.identity : "-", v.reason,
                       v.rule);
        g_assert_cmpstr(v.reason, ==, rows[i].reason);
        g_assert_cmpint(v.allow, ==, rows[i].expected == ALLOWED);
        g_assert_cmpint(v.undecided, ==, rows[i].expected == UNDECIDED);
        g_assert_cmpint(v.code, ==, rows[i].code);
        g_assert_cmpstr(v.rule, !=, "");
        if (rows[i].rule != NULL)
            g_assert_cmpstr(v.rule, ==, rows[i].rule);
    }
}

static void
test_retry_after(void)
{
    g_autoptr(ClvPolicyView) view = view_with("not-before=2030-01-01T12:00:00Z\n");
    ClvPolicyFacts facts = {BOB, TICKET, ROOM};

    facts.wall_us = NOON_US - 90 * G_USEC_PER_SEC;
    g_assert_cmpuint(clv_policy_decide(view, CLV_OP_JOIN, &facts).retry_after_s, ==, 90);
    facts.wall_us = NOON_US - 48 * HOUR_US;
    g_assert_cmpuint(clv_policy_decide(view, CLV_OP_JOIN, &facts).retry_after_s, ==, 3600);
}

/* ---- everything that is wrong with a file ---- */

#define P "[policy]\nformat=1\n"
#define F P "[factory f]\nuri=sip:factory.conf1@example.org\n"

/* clang-format off */
static const struct {
    const char *text;
    const char *error;
} wrong[] = {
    {"", "test:1: [policy] format: found nothing, expected format=1 in the main file"},
    {"[policy]\n", "test:1: [policy] format: found nothing, expected 1"},
    {"[policy]\nformat=2\n", "test:2: [policy] format: found '2', expected 1"},
    {P "strict=perhaps\n", "test:3: [policy] strict: found 'perhaps', expected yes or no"},
    {P "reload-running=loosen\n",
     "test:3: [policy] reload-running: found 'loosen', expected none, tighten or all"},
    {P "[factry f]\n",
     "test:3: [factry f]: found group 'factry f', expected [policy], [default], [template NAME], "
     "[factory NAME], [conference NAME] or [list NAME] - did you mean 'factory'?"},
    {P "[factory]\n", "test:3: [factory]: found group 'factory', expected [policy], [default], "
                      "[template NAME], [factory NAME], [conference NAME] or [list NAME]"},
    {P "[default]\nmax-participant=5\n",
     "test:4: [default] max-participant: found an unknown key, expected a key of [default] - did "
     "you mean 'max-participants'?"},
    {P "[default]\nalow=any\n", "test:4: [default] alow: found an unknown key, expected a key of "
                                "[default] - did you mean 'allow'?"},
    {F "templat=x\n", "test:5: [factory f] templat: found an unknown key, expected a key of "
                      "[factory NAME] - did you mean 'template'?"},
    {P "[default]\nxyzzy=any\n",
     "test:4: [default] xyzzy: found an unknown key, expected a key of [default]"},
    {P "[list a]\nmembers=any\nallow=any\n",
     "test:5: [list a] allow: found a key of conferences, expected it in [default], [template], "
     "[factory] or [conference]"},
    {P "[default]\nkey-mode=group\n",
     "test:4: [default] key-mode: found a key that is not supported in this version, expected it "
     "to be left out"},
    {P "[default]\nfloor=optional\n", "test:4: [default] floor: found a key that is not supported in "
                                      "this version, expected it to be left out"},
    /* values */
    {P "[default]\ndial-in=no  # never\n",
     "test:4: [default] dial-in: found 'no  # never', expected yes or no; a comment needs a line of "
     "its own"},
    {P "[default]\nmax-participants=1\n",
     "test:4: [default] max-participants: found '1', expected a number from 2 to 10000"},
    {P "[default]\nmax-participants=many\n",
     "test:4: [default] max-participants: found 'many', expected a number from 2 to 10000"},
    {P "[default]\nempty-timeout=none\n",
     "test:4: [default] empty-timeout: found 'none', expected a time from 0 to 1d, such as 90s, 5m "
     "or 12h"},
    {P "[default]\nmax-duration=31d\n",
     "test:4: [default] max-duration: found '31d', expected a time from 1s to 30d, such as 90s, 5m "
     "or 12h, or none"},
    {P "[default]\nfull-status=503\n",
     "test:4: [default] full-status: found '503', expected 486 or 480"},
    {P "[default]\nauth=password\n",
     "test:4: [default] auth: found 'password', expected digest, asserted, either or ticket"},
    {P "[default]\nsecure=preferred\n",
     "test:4: [default] secure: found 'preferred', expected required: this version serves secured "
     "media alone"},
    {P "[default]\nkey-mgmt-allow=mikey-ticket;or-kms\n",
     "test:4: [default] key-mgmt-allow: found 'or-kms', expected mikey-ticket or sdes: this "
     "version has no other scheme"},
    {P "[default]\nkey-mgmt-allow=zrtp\n",
     "test:4: [default] key-mgmt-allow: found 'zrtp', expected mikey-ticket or sdes"},
    {P "[default]\nsecure=requird\n",
     "test:4: [default] secure: found 'requird', expected required"},
    {P "[default]\nkey-mgmt-allow=mikey-ticket;mikey-ticket\n",
     "test:4: [default] key-mgmt-allow: found 'mikey-ticket', expected each word once"},
    {P "[default]\nnot-before=tomorrow\n",
     "test:4: [default] not-before: found 'tomorrow', expected a time in UTC such as "
     "2030-05-01T12:00:00Z"},
    {P "[default]\nnot-before=2030-02-30T12:00:00Z\n",
     "test:4: [default] not-before: found '2030-02-30T12:00:00Z', expected a time in UTC such as "
     "2030-05-01T12:00:00Z"},
    /* identity patterns */
    {P "[default]\nallow=a*@example.org\n",
     "test:4: [default] allow: found 'a*@example.org', expected an identity, *@domain, *@*.domain, "
     "tel:+digits*, @list or a word such as 'any'"},
    {P "[default]\nallow=*\n", "test:4: [default] allow: found '*', expected an identity, *@domain, "
                               "*@*.domain, tel:+digits*, @list or a word such as 'any'"},
    {P "[default]\nallow=" BOB "," CAROL "\n",
     "test:4: [default] allow: found '" BOB "," CAROL "', expected an identity, *@domain, *@*.domain, "
     "tel:+digits*, @list or a word such as 'any'; members are separated by ';'"},
    {P "[default]\nallow=" BOB " # and nobody else\n",
     "test:4: [default] allow: found '" BOB " # and nobody else', expected an identity, *@domain, "
     "*@*.domain, tel:+digits*, @list or a word such as 'any'; a comment needs a line of its own"},
    {P "[default]\nallow=alice\n",
     "test:4: [default] allow: found 'alice', expected an identity, *@domain, *@*.domain, "
     "tel:+digits*, @list or a word such as 'any'"},
    {P "[default]\nallow=any;;any\n",
     "test:4: [default] allow: found '', expected an identity, *@domain, *@*.domain, tel:+digits*, "
     "@list or a word such as 'any'"},
    {P "[default]\nallow=@staff\n",
     "test:4: [default] allow: found '@staff', expected the name of a [list] that exists"},
    {P "[default]\nallow=!sip:bob@example.org\n",
     "test:4: [default] allow: found '!sip:bob@example.org', expected something to exclude from, "
     "such as 'any', besides exclusions"},
    {P "[default]\nowners=moderators\n",
     "test:4: [default] owners: found 'moderators', expected an identity: this word has no meaning "
     "here"},
    {P "[default]\ncreate-allow=creator\n",
     "test:4: [default] create-allow: found 'creator', expected an identity: this word has no "
     "meaning here"},
    {P "[list a]\nmembers=ticket\n",
     "test:4: [list a] members: found 'ticket', expected an identity: this word has no meaning "
     "here"},
    {P "[list a]\n", "test:3: [list a] members: found nothing, expected a list of identities"},
    /* 2: secure=required */
    {P "[default]\nkey-mgmt-allow=\n",
     "test:4: [default] key-mgmt-allow: found no scheme, expected one at least with "
     "secure=required"},
    {P "[default]\nsrtp-suites=\n", "test:4: [default] srtp-suites: found no suite, expected one at "
                                    "least with secure=required"},
    {P "[default]\nanonymity=allow\n",
     "test:4: [default] anonymity: found 'allow', expected hide or reject with secure=required"},
    /* 3: auth=ticket needs tickets */
    {P "[default]\nsignalling=tls\nkey-mgmt-allow=sdes\n",
     "test:5: [default] key-mgmt-allow: found no scheme with tickets, expected mikey-ticket among "
     "them with auth=ticket"},
    /* 8: sdes needs TLS */
    {P "[default]\nkey-mgmt-allow=mikey-ticket;sdes\n",
     "test:4: [default] key-mgmt-allow: found 'sdes', whose keys stand readable in the signalling, "
     "expected it together with signalling=tls alone"},
    /* 10: uri and match of conferences */
    {F "[conference c]\nscheduled=yes\n",
     "test:5: [conference c] uri: found neither uri= nor match=, expected one of uri= and match="},
    {F "[conference c]\nuri=sip:c.conf1@example.org\nmatch=sip:*.conf1@example.org\n",
     "test:7: [conference c] match: found both uri= and match=, expected one of uri= and match="},
    {F "[conference c]\nuri=sip:c.conf1@example.org\n[conference d]\nuri=sip:c.conf1@Example.ORG\n",
     "test:8: [conference d] uri: found 'sip:c.conf1@example.org', which [conference c] of test:5 "
     "has, expected a URI of its own"},
    {F "[conference c]\nuri=sip:factory.conf1@example.org\n",
     "test:6: [conference c] uri: found 'sip:factory.conf1@example.org', which [factory f] of test:3 "
     "has, expected a URI of its own"},
    {F "[conference c]\nmatch=sip:a*@example.org\n[conference d]\nmatch=sip:*b@example.org\n",
     "test:8: [conference d] match: found 'sip:*b@example.org', which overlaps "
     "'sip:a*@example.org' of [conference c] and is as long, expected one of them to say more"},
    {F "[conference c]\nmatch=sip:everything@example.org\n",
     "test:6: [conference c] match: found 'sip:everything@example.org', expected a SIP URI with "
     "'*', such as sip:*.hall@example.org"},
    {F "[conference c]\nmatch=sip:*.conf1@example.org\nfactory=f\n",
     "test:7: [conference c] factory: found together with match=, expected it with uri= alone"},
    {F "[conference c]\nuri=c\n", "test:6: [conference c] uri: found 'c', expected a SIP URI"},
    /* 11: inheritance and lists */
    {F "template=t\n", "test:5: [factory f] template: found 't', expected the name of a [template]"},
    {P "[template a]\ninherit=b\n[template b]\ninherit=a\n",
     "test:4: [template a] inherit: found 'b', expected a template that does not inherit from this "
     "one"},
    {P "[template a]\ninherit=a\n",
     "test:4: [template a] inherit: found 'a', expected a template that does not inherit from this "
     "one"},
    {P "[template a]\n[template b]\ninherit=a\n[template c]\ninherit=b\n[template d]\ninherit=c\n"
     "[template e]\ninherit=d\n[template f]\ninherit=e\n[template g]\ninherit=f\n[template h]\n"
     "inherit=g\n[template i]\ninherit=h\n[template j]\ninherit=i\n",
     "test:21: [template j] inherit: found 'i', expected templates at most 8 deep"},
    {P "[list a]\nmembers=@b\n[list b]\nmembers=@a\n",
     "test:6: [list b] members: found '@a', expected lists that do not name themselves"},
    {P "[list a]\nmembers=@b\n[list b]\nmembers=@c\n[list c]\nmembers=@d\n[list d]\nmembers=@e\n"
     "[list e]\nmembers=@f\n[list f]\nmembers=@g\n[list g]\nmembers=@h\n[list h]\nmembers=@i\n"
     "[list i]\nmembers=any\n",
     "test:18: [list h] members: found '@i', expected lists at most 8 deep"},
    /* 12: naming rule */
    {P "[factory f]\n",
     "test:3: [factory f] uri: found nothing, expected sip:factory.SERVICE@HOST"},
    {P "[factory f]\nuri=sip:conf@example.org\n",
     "test:4: [factory f] uri: found 'sip:conf@example.org', expected sip:factory.SERVICE@HOST"},
    {P "[factory f]\nuri=tel:+4930\n",
     "test:4: [factory f] uri: found 'tel:+4930', expected a SIP URI"},
    {F "[factory g]\nuri=sip:factory.conf1@example.org\n",
     "test:6: [factory g] uri: found 'sip:factory.conf1@example.org', which [factory f] of test:3 "
     "has, expected a URI of its own"},
    {F "[conference c]\nfactory=g\nuri=sip:c.conf1@example.org\n",
     "test:6: [conference c] factory: found 'g', expected the name of a [factory]"},
    {F "[conference c]\nfactory=f\nuri=sip:c.conf2@example.org\n",
     "test:7: [conference c] uri: found 'sip:c.conf2@example.org', expected sip:NAME.SERVICE@HOST "
     "with the service and host of [factory f]"},
    {F "[conference c]\nscheduled=yes\nuri=sip:c@example.org\n",
     "test:7: [conference c] uri: found 'sip:c@example.org', which belongs to no factory, expected "
     "sip:NAME.SERVICE@HOST with the service and host of a [factory], for tickets to be resolved"},
    /* final, scheduled, dates */
    {P "[default]\nfinal=subject\n",
     "test:4: [default] final: found 'subject', which has no stricter value, expected a key that "
     "has one"},
    {P "[default]\nfinal=colour\n",
     "test:4: [default] final: found 'colour', expected names of keys"},
    {P "[default]\nfinal=rekey-on\n",
     "test:4: [default] final: found 'rekey-on', which is not supported in this version, expected "
     "it to be left out"},
    {F "scheduled=yes\n", "test:5: [factory f] scheduled: found in [factory f], expected in "
                          "[conference] alone"},
    {P "[default]\nnot-before=2030-01-02T00:00:00Z\nnot-after=2030-01-01T00:00:00Z\n",
     "test:5: [default] not-after: found a time that is not later than not-before, expected a "
     "later one"},
    /* final makes what a higher level says contradict */
    {P "[default]\nauth=ticket\nsignalling=tls\nfinal=auth\n[factory f]\n"
     "uri=sip:factory.conf1@example.org\nauth=digest\nkey-mgmt-allow=sdes\n",
     "test:10: [factory f] key-mgmt-allow: found no scheme with tickets, expected mikey-ticket "
     "among them with auth=ticket"},
};
/* clang-format on */

static void
test_wrong(void)
{
    for (guint i = 0; i < G_N_ELEMENTS(wrong); i++) {
        g_autoptr(GPtrArray) errors = g_ptr_array_new_with_free_func(g_free);
        ClvPolicy *policy = clv_policy_parse("test", wrong[i].text, strlen(wrong[i].text), errors);

        g_assert_null(policy);
        g_assert_cmpuint(errors->len, >=, 1);
        g_assert_cmpstr(errors->pdata[0], ==, wrong[i].error);
    }
}

static void
test_all_errors_at_once(void)
{
    static const char text[] = P "[default]\ndial-in=maybe\nmax-participants=0\nfloor=off\n"
                                 "[factory f]\nuri=nowhere\ntemplate=t\n";
    static const char *const expected[] = {
        "test:4: [default] dial-in: ", "test:5: [default] max-participants: ",
        "test:6: [default] floor: ", "test:9: [factory f] template: ", "test:8: [factory f] uri: "};
    g_autoptr(GPtrArray) errors = g_ptr_array_new_with_free_func(g_free);

    g_assert_null(clv_policy_parse("test", text, strlen(text), errors));
    g_assert_cmpuint(errors->len, ==, G_N_ELEMENTS(expected));
    for (guint i = 0; i < errors->len; i++)
        g_assert_true(g_str_has_prefix(errors->pdata[i], expected[i]));
}

/* ---- what is odd and no error ---- */

static const struct {
    const char *text;
    const char *warning;
} odd[] = {
    {"[policy]\nformat=1\nstrict=no\n[default]\ncolour=red\n",
     "test:5: [default] colour: found an unknown key, expected a key of [default]; ignored"},
    {F "dial-in=no\ndiversion=off\n",
     "test:6: [factory f] diversion: found 'off' with dial-in=no: whoever answers a call is taken "
     "for who was called"},
    {F "[conference c]\nuri=sip:c.conf1@example.org\n",
     "test:5: [conference c] scheduled: found no scheduled=yes: this conference does not exist"},
    {F "[conference c]\nuri=sip:c.conf1@example.org\nscheduled=yes\n",
     "test:5: [conference c] no-ticket-list: found 'creator-only' in a scheduled conference, which "
     "has no creator: nobody can join before an owner's ticket names people"},
    {P "[default]\nlocked=yes\n[default]\nlocked=no\n", NULL}, /* the words are the reader's */
    {P "[default]\nlocked=yes\nlocked=no\n", NULL},
};

static void
test_odd(void)
{
    for (guint i = 0; i < G_N_ELEMENTS(odd); i++) {
        g_autoptr(ClvPolicy) policy = parse(odd[i].text);
        const char *const *warnings = clv_policy_warnings(policy);

        g_assert_nonnull(warnings[0]);
        if (odd[i].warning != NULL)
            g_assert_true(g_strv_contains(warnings, odd[i].warning));
    }
}

static void
test_ignored_keys(void)
{
    g_autoptr(ClvPolicy) policy = parse(F "create-allow=any\nx-colour=red\n");

    g_assert_null(clv_policy_warnings(policy)[0]);
}

/* ---- what exists ---- */

static void
test_factories_and_conferences(void)
{
    g_autoptr(ClvPolicy) policy =
        parse(P "[factory adhoc]\nuri=sip:factory.conf1@Example.org;sip:mmtel@conf-factory.org;\n"
                "[factory lab]\nuri=sips:factory.lab@example.org\n"
                "[conference town]\nuri=sip:town.lab@example.org\nscheduled=yes\n"
                "no-ticket-list=policy\n"
                "[conference off]\nuri=sip:off.lab@example.org\n"
                "[conference named]\nfactory=adhoc\nuri=sip:n.conf1@example.org\nscheduled=yes\n");
    const ClvPolicyFactory *factory = clv_policy_factory(policy, 0);
    const ClvPolicyConference *conference = clv_policy_conference(policy, 0);

    g_assert_cmpuint(clv_policy_n_factories(policy), ==, 2);
    g_assert_cmpstr(factory->name, ==, "adhoc");
    g_assert_cmpstr(factory->uris[0], ==, "sip:factory.conf1@example.org");
    g_assert_cmpstr(factory->uris[1], ==, "sip:mmtel@conf-factory.org");
    g_assert_null(factory->uris[2]);
    g_assert_cmpstr(factory->service, ==, "conf1");
    g_assert_cmpstr(factory->host, ==, "example.org");
    g_assert_true(clv_policy_find_factory(policy, "sip:mmtel@conf-factory.org") == factory);
    g_assert_null(clv_policy_find_factory(policy, "sip:town.lab@example.org"));

    g_assert_cmpuint(clv_policy_n_conferences(policy), ==, 2);
    g_assert_cmpstr(conference->uri, ==, "sip:town.lab@example.org");
    g_assert_cmpstr(conference->factory, ==, "lab"); /* by the naming rule */
    g_assert_cmpstr(clv_policy_conference(policy, 1)->factory, ==, "adhoc");
    g_assert_true(clv_policy_find_conference(policy, "sip:town.lab@example.org") == conference);
    g_assert_null(clv_policy_find_conference(policy, "sip:off.lab@example.org"));

    g_assert_null(clv_policy_view_factory(policy, "none"));
    g_assert_null(clv_policy_view_conference(policy, "none"));
}

static void
test_plain_values(void)
{
    g_autoptr(ClvPolicyView) built_in = view_with("");
    g_autoptr(ClvPolicyView) view = view_with(
        "empty-timeout=1500ms\nfirst-join-timeout=10\nmax-duration=none\nmax-participants=7\n"
        "end-when-creator-leaves=on\ncreator-grace=1m\nmax-ticket-lifetime=2h\nlocked=1\n"
        "subject=Weekly\nban-on-removal=off\non-disallow=keep\nauth=digest\n"
        "key-mgmt-allow=sdes;mikey-ticket\nsignalling=tls\n"
        "srtp-suites=AES_CM_128_HMAC_SHA1_32;AEAD_AES_128_GCM;\n");

    g_assert_cmpint(clv_policy_empty_timeout_ms(built_in), ==, 60000);
    g_assert_cmpint(clv_policy_first_join_timeout_ms(built_in), ==, 300000);
    g_assert_cmpint(clv_policy_max_duration_ms(built_in), ==, 12 * 3600000);
    g_assert_cmpint(clv_policy_max_ticket_lifetime_s(built_in), ==, 86400);
    g_assert_cmpint(clv_policy_schemes(built_in)[0], ==, CLV_SCHEME_MIKEY_TICKET);
    g_assert_cmpint(clv_policy_schemes(built_in)[1], ==, CLV_SCHEME_NONE);
    g_assert_cmpint(clv_policy_suites(built_in)[0], ==, CLV_SRTP_AEAD_AES_256_GCM);
    g_assert_cmpint(clv_policy_suites(built_in)[3], ==, CLV_SRTP_AES_CM_128_HMAC_SHA1_80);
    g_assert_cmpint(clv_policy_suites(built_in)[4], ==, CLV_SRTP_NONE);
    g_assert_cmpint(clv_policy_min_proof(built_in), ==, CLV_PROOF_TICKET);
    g_assert_true(clv_policy_ban_on_removal(built_in));
    g_assert_true(clv_policy_removes_on_disallow(built_in));
    g_assert_cmpstr(clv_policy_subject(built_in), ==, "");

    g_assert_cmpstr(clv_policy_view_name(view), ==, "factory f");
    g_assert_cmpint(clv_policy_empty_timeout_ms(view), ==, 1500);
    g_assert_cmpint(clv_policy_first_join_timeout_ms(view), ==, 10000);
    g_assert_cmpint(clv_policy_max_duration_ms(view), ==, 0);
    g_assert_cmpuint(clv_policy_max_participants(view), ==, 7);
    g_assert_true(clv_policy_end_when_creator_leaves(view));
    g_assert_cmpint(clv_policy_creator_grace_ms(view), ==, 60000);
    g_assert_cmpint(clv_policy_max_ticket_lifetime_s(view), ==, 7200);
    g_assert_true(clv_policy_locked(view));
    g_assert_cmpstr(clv_policy_subject(view), ==, "Weekly");
    g_assert_false(clv_policy_ban_on_removal(view));
    g_assert_false(clv_policy_removes_on_disallow(view));
    g_assert_cmpint(clv_policy_min_proof(view), ==, CLV_PROOF_DIGEST);
    g_assert_cmpint(clv_policy_schemes(view)[0], ==, CLV_SCHEME_SDES);
    g_assert_cmpint(clv_policy_schemes(view)[1], ==, CLV_SCHEME_MIKEY_TICKET);
    g_assert_cmpint(clv_policy_suites(view)[0], ==, CLV_SRTP_AES_CM_128_HMAC_SHA1_32);
    g_assert_cmpint(clv_policy_suites(view)[1], ==, CLV_SRTP_AEAD_AES_128_GCM);
    g_assert_cmpint(clv_policy_suites(view)[2], ==, CLV_SRTP_NONE);
}

static void
test_owner(void)
{
    g_autoptr(ClvPolicyView) built_in = view_with("");
    g_autoptr(ClvPolicyView) board = view_with("owners=@board\n[list board]\nmembers=" BOB "\n");

    g_assert_true(clv_policy_is_owner(built_in, ALICE, ALICE));
    g_assert_false(clv_policy_is_owner(built_in, BOB, ALICE));
    g_assert_false(clv_policy_is_owner(built_in, BOB, NULL));
    g_assert_true(clv_policy_is_owner(board, BOB, ALICE));
    g_assert_false(clv_policy_is_owner(board, ALICE, ALICE));
}

/* ---- levels ---- */

static void
test_levels_replace(void)
{
    g_autoptr(ClvPolicy) policy =
        parse(P "[default]\nmax-participants=10\nempty-timeout=10s\ncreator-grace=10s\n"
                "[template root]\nempty-timeout=20s\ncreator-grace=20s\nlocked=yes\n"
                "[template leaf]\ninherit=root\ncreator-grace=30s\n"
                "[factory f]\nuri=sip:factory.conf1@example.org\ntemplate=leaf\nlocked=no\n");
    g_autoptr(ClvPolicyView) view = clv_policy_view_factory(policy, "f");

    g_assert_cmpuint(clv_policy_max_participants(view), ==, 10);
    g_assert_cmpint(clv_policy_empty_timeout_ms(view), ==, 20000);
    g_assert_cmpint(clv_policy_creator_grace_ms(view), ==, 30000);
    g_assert_false(clv_policy_locked(view));
}

static void
test_final_narrows(void)
{
    g_autoptr(ClvPolicy) policy = parse(
        P "[default]\nfinal=max-participants;auth;max-duration;srtp-suites;dial-in;locked;allow\n"
          "max-participants=50\nauth=either\nmax-duration=none\ndial-in=no\nlocked=yes\n"
          "srtp-suites=AEAD_AES_256_GCM;AEAD_AES_128_GCM\nallow=*@example.org\n"
          "[factory loose]\nuri=sip:factory.a@example.org\nmax-participants=500\nauth=digest\n"
          "max-duration=1h\ndial-in=yes\nlocked=no\n"
          "srtp-suites=AES_CM_128_HMAC_SHA1_80;AEAD_AES_128_GCM\nallow=any\n"
          "no-ticket-list=policy\n"
          "[factory tight]\nuri=sip:factory.b@example.org\nmax-participants=5\nauth=ticket\n"
          "allow=sip:bob@example.org;sip:dave@elsewhere.example\nno-ticket-list=policy\n");
    g_autoptr(ClvPolicyView) loose = clv_policy_view_factory(policy, "loose");
    g_autoptr(ClvPolicyView) tight = clv_policy_view_factory(policy, "tight");
    ClvPolicyFacts facts = {DAVE, TICKET, .creator = ALICE, .n_endpoints = 1};

    g_assert_cmpuint(clv_policy_max_participants(loose), ==, 50);
    g_assert_cmpint(clv_policy_min_proof(loose), ==, CLV_PROOF_ASSERTED);
    g_assert_cmpint(clv_policy_max_duration_ms(loose), ==, 3600000);
    g_assert_true(clv_policy_locked(loose));
    g_assert_cmpint(clv_policy_suites(loose)[0], ==, CLV_SRTP_AEAD_AES_128_GCM);
    g_assert_cmpint(clv_policy_suites(loose)[1], ==, CLV_SRTP_NONE);
    g_assert_cmpuint(clv_policy_max_participants(tight), ==, 5);
    g_assert_cmpint(clv_policy_min_proof(tight), ==, CLV_PROOF_TICKET);

    /* Both lists must hold, and the verdict names the one that objects. */
    g_assert_cmpstr(clv_policy_decide(tight, CLV_OP_STAY, &facts).rule, ==,
                    "test:11 [default] allow");
    facts.identity = CAROL;
    g_assert_cmpstr(clv_policy_decide(tight, CLV_OP_STAY, &facts).rule, ==,
                    "test:26 [factory tight] allow");
    facts.identity = BOB;
    g_assert_true(clv_policy_decide(tight, CLV_OP_STAY, &facts).allow);
}

/* deny is the union of all levels, whatever is final. */
static void
test_denials_unite(void)
{
    g_autoptr(ClvPolicy) policy =
        parse(P "[default]\ndeny=sip:bob@example.org\ncreate-deny=sip:carol@example.org\n"
                "[template t]\ndeny=sip:carol@example.org\n"
                "[factory f]\nuri=sip:factory.conf1@example.org\ntemplate=t\ndeny=\n"
                "create-deny=sip:alice@example.org\ncreate-allow=any\n");
    g_autoptr(ClvPolicyView) view = clv_policy_view_factory(policy, "f");
    ClvPolicyFacts facts = {BOB, TICKET, ROOM};

    g_assert_cmpstr(clv_policy_decide(view, CLV_OP_JOIN, &facts).rule, ==, "test:4 [default] deny");
    facts.identity = CAROL;
    g_assert_cmpstr(clv_policy_decide(view, CLV_OP_JOIN, &facts).rule, ==,
                    "test:7 [template t] deny");
    g_assert_cmpstr(clv_policy_decide(view, CLV_OP_CREATE, &facts).rule, ==,
                    "test:5 [default] create-deny");
    facts.identity = ALICE;
    g_assert_cmpstr(clv_policy_decide(view, CLV_OP_CREATE, &facts).rule, ==,
                    "test:12 [factory f] create-deny");
}

static void
test_longest_match_counts(void)
{
    g_autoptr(ClvPolicy) policy =
        parse(F "[template t]\ncreator-grace=7s\n"
                "[conference wide]\nmatch=sip:*@example.org\nmax-participants=20\nscheduled=yes\n"
                "no-ticket-list=policy\n"
                "[conference narrow]\nmatch=sip:*.conf1@example.org\nmax-participants=30\n"
                "scheduled=yes\nno-ticket-list=policy\ntemplate=t\n"
                "[conference exact]\nuri=sip:exact.conf1@example.org\nempty-timeout=9s\n");
    g_autoptr(ClvPolicyView) view = clv_policy_view_conference(policy, "exact");

    g_assert_cmpuint(clv_policy_n_conferences(policy), ==, 1);
    g_assert_cmpuint(clv_policy_max_participants(view), ==, 30);
    g_assert_cmpint(clv_policy_empty_timeout_ms(view), ==, 9000);
    g_assert_cmpint(clv_policy_creator_grace_ms(view), ==, 7000);
    g_assert_true(clv_policy_scheduled(view));
}

/* URIs are canonical, and nobody writes a pattern for its capitals. */
static void
test_match_ignores_case_of_hosts(void)
{
    g_autoptr(ClvPolicy) policy =
        parse(F "[conference wide]\nmatch=sip:*.conf1@Example.ORG\nmax-participants=20\n"
                "[conference exact]\nuri=sip:exact.conf1@EXAMPLE.org\n"
                "scheduled=yes\nno-ticket-list=policy\n");
    g_autoptr(ClvPolicyView) view = clv_policy_view_conference(policy, "exact");

    g_assert_cmpuint(clv_policy_max_participants(view), ==, 20);
}

/* ---- reload ---- */

static const struct {
    const char *before, *after; /* lines of [factory f] */
    const char *mode;
    const char *changed;
} reloads[] = {
    {"", "max-participants=50\n", "tighten", "max-participants"},
    {"max-participants=50\n", "", "tighten", ""},
    {"max-participants=50\n", "", "all", "max-participants"},
    {"max-participants=50\n", "max-participants=20\n", "none", ""},
    {"", "deny=" BOB "\n", "tighten", "deny"},
    {"deny=" BOB "\n", "", "tighten", ""},
    {"deny=" BOB "\n", "", "all", "deny"},
    {"allow=any\n", "allow=" BOB "\n", "tighten", "allow"},
    /* two lists that both must hold from then on: a change, though it may keep nobody out */
    {"allow=" BOB "\n", "allow=any\n", "tighten", "allow"},
    {"auth=digest\n", "auth=ticket\n", "all", ""}, /* for new conferences alone */
    {"", "srtp-suites=AEAD_AES_256_GCM\n", "all", ""},
    {"", "ticket-authority=extend\n", "all", ""},
    {"", "create-empty=yes\n", "all", ""},
    {"", "owners=" BOB "\n", "tighten", ""}, /* no order: nothing is stricter */
    {"", "owners=" BOB "\n", "all", "owners"},
    {"", "full-status=480\n", "tighten", "full-status"}, /* no order, any change */
    {"", "subject=Weekly\n", "tighten", "subject"},
    {"", "max-duration=none\n", "tighten", ""},
    {"max-duration=none\n", "", "tighten", "max-duration"},
    {"", "locked=yes\ndial-in=no\njoin-before-creator=no\n", "tighten",
     "dial-in;locked;join-before-creator"},
    {"locked=yes\ndial-in=no\n", "", "tighten", ""},
    {"", "anonymity=reject\nsignalling=any\n", "tighten", "anonymity"},
    {"", "ban-on-removal=no\n", "tighten", ""},
    {"", "ban-on-removal=no\n", "all", "ban-on-removal"},
    {"", "not-before=2030-01-01T00:00:00Z\nnot-after=2031-01-01T00:00:00Z\n", "tighten",
     "not-before;not-after"},
    {"not-after=2031-01-01T00:00:00Z\n", "", "tighten", ""},
    {"not-after=2031-01-01T00:00:00Z\n", "not-after=2032-01-01T00:00:00Z\n", "tighten", ""},
    {"not-after=2031-01-01T00:00:00Z\n", "not-after=2030-06-01T00:00:00Z\n", "tighten",
     "not-after"},
};

static void
test_reload(void)
{
    for (guint i = 0; i < G_N_ELEMENTS(reloads); i++) {
        g_autofree char *mode =
            g_strconcat(reloads[i].after, "[policy]\nreload-running=", reloads[i].mode, "\n", NULL);
        g_autoptr(ClvPolicyView) running = view_with(reloads[i].before);
        g_autoptr(ClvPolicyView) fresh = view_with(mode);
        g_autofree char *changed = NULL, *again = NULL;
        g_autoptr(ClvPolicyView) merged = clv_policy_view_merge(running, fresh, &changed);
        g_autoptr(ClvPolicyView) twice = clv_policy_view_merge(merged, fresh, &again);

        g_test_message("row %u", i);
        g_assert_cmpstr(changed, ==, reloads[i].changed);
        g_assert_nonnull(twice);
        g_assert_cmpstr(again, ==, ""); /* the same file a second time changes nothing */
    }
}

/* A view lives on when its snapshot is gone, and when it was merged from views that are gone. */
static void
test_merged_view_stands_alone(void)
{
    ClvPolicyView *running = view_with("allow=*@example.org\nno-ticket-list=policy\n");
    ClvPolicyView *fresh = view_with("allow=" BOB ";" DAVE "\nno-ticket-list=policy\n");
    g_autoptr(ClvPolicyView) merged = clv_policy_view_merge(running, fresh, NULL);
    ClvPolicyFacts facts = {BOB, TICKET, .creator = ALICE};

    clv_policy_view_free(running);
    clv_policy_view_free(fresh);
    g_assert_true(clv_policy_decide(merged, CLV_OP_STAY, &facts).allow);
    facts.identity = CAROL;
    g_assert_false(clv_policy_decide(merged, CLV_OP_STAY, &facts).allow);
    facts.identity = DAVE;
    g_assert_false(clv_policy_decide(merged, CLV_OP_STAY, &facts).allow);
}

/* ---- properties ---- */

static const char *const people[] = {ALICE, BOB, CAROL, DAVE, NOBODY, "tel:+493012345"};

/* Values of one key from which the random policies choose. */
static const struct {
    const char *key;
    const char *values[6];
} choices[] = {
    {"create-allow", {"any", "*@example.org", ALICE ";" BOB, "nobody"}},
    {"create-deny", {"", BOB, "*@elsewhere.example"}},
    {"create-max-per-user", {"1", "3", "5"}},
    {"create-max-total", {"2", "100"}},
    {"allow", {"ticket", "any", "*@example.org", BOB ";" DAVE ";tel:+4930*", "any;!" CAROL}},
    {"deny", {"", BOB, CAROL ";" DAVE, "*@elsewhere.example"}},
    {"ticket-authority", {"extend", "replace", "narrow"}},
    {"no-ticket-list", {"policy", "creator-only"}},
    {"auth", {"digest", "asserted", "either", "ticket"}},
    {"dial-in", {"yes", "no"}},
    {"max-participants", {"2", "5", "100"}},
    {"max-endpoints-per-user", {"1", "2", "4"}},
    {"join-before-creator", {"yes", "no"}},
    {"anonymity", {"hide", "reject"}},
    {"diverted-dial-in", {"check", "reject"}},
    {"signalling", {"any", "trusted", "tls"}},
    {"srtp-suites", {"AEAD_AES_256_GCM;AES_CM_128_HMAC_SHA1_80", "AEAD_AES_256_GCM"}},
    {"max-ticket-lifetime", {"1h", "24h"}},
    {"not-before", {"", "2030-01-01T12:00:00Z"}},
    {"not-after", {"", "2030-01-01T13:00:00Z"}},
};

static char *
random_lines(GRand *rand)
{
    GString *lines = g_string_new("create-empty=yes\n");

    for (guint i = 0; i < G_N_ELEMENTS(choices); i++) {
        guint n = 0;

        while (n < 6 && choices[i].values[n] != NULL)
            n++;
        if (g_rand_boolean(rand))
            g_string_append_printf(lines, "%s=%s\n", choices[i].key,
                                   choices[i].values[g_rand_int_range(rand, 0, (gint32)n)]);
    }
    return g_string_free(lines, FALSE);
}

static ClvPolicyFacts
random_facts(GRand *rand)
{
    static const char *const lists[][3] = {{NULL}, {BOB, NULL}, {CAROL, DAVE, NULL}};
    ClvPolicyFacts facts = {
        .proof = (ClvProof)g_rand_int_range(rand, 0, 4),
        .ticket_offered = g_rand_int_range(rand, 0, 4) == 0,
        .anonymous = g_rand_int_range(rand, 0, 4) == 0,
        .diverted = g_rand_int_range(rand, 0, 4) == 0,
        .secured = g_rand_boolean(rand),
        .tls = g_rand_boolean(rand),
        .creator = g_rand_boolean(rand) ? ALICE : NULL,
        .creator_present = g_rand_boolean(rand),
        .ticket_names = lists[g_rand_int_range(rand, 0, 3)],
        .n_participants = (guint)g_rand_int_range(rand, 0, 8),
        .n_endpoints = (guint)g_rand_int_range(rand, 0, 4),
        .n_by_creator = (guint)g_rand_int_range(rand, 0, 6),
        .n_total = (guint)g_rand_int_range(rand, 0, 5),
        .wall_us = NOON_US + g_rand_int_range(rand, -1, 3) * (HOUR_US / 2),
        .suite = g_rand_boolean(rand) ? CLV_SRTP_AES_CM_128_HMAC_SHA1_80 : CLV_SRTP_NONE,
        .expires_us = g_rand_boolean(rand) ? NOON_US + 5 * HOUR_US : 0,
    };

    if (facts.proof != CLV_PROOF_NONE)
        facts.identity = people[g_rand_int_range(rand, 0, G_N_ELEMENTS(people))];
    facts.locked = g_rand_int_range(rand, 0, 6) == 0;
    return facts;
}

static gboolean
refuses(const ClvPolicyView *view, ClvPolicyOp op, const ClvPolicyFacts *facts)
{
    ClvPolicyVerdict v = clv_policy_decide(view, op, facts);

    g_assert_false(v.allow && v.undecided);
    g_assert_cmpstr(v.rule, !=, "");
    g_assert_true(v.allow || v.undecided ? v.code == CLV_CODE_OK : v.code != CLV_CODE_OK);
    return !v.allow && !v.undecided;
}

static char *
all_keys(void)
{
    GString *keys = g_string_new("final=");

    for (guint i = 0; i < G_N_ELEMENTS(choices); i++)
        g_string_append_printf(keys, "%s;", choices[i].key);
    g_string_append_c(keys, '\n');
    return g_string_free(keys, FALSE);
}

/* What two values make together keeps out whom either keeps out: by final, and by reload. */
static void
test_tightening_never_admits(void)
{
    static const ClvPolicyOp ops[] = {CLV_OP_CREATE, CLV_OP_JOIN, CLV_OP_STAY};
    g_autofree char *final = all_keys();
    GRand *rand = g_rand_new_with_seed(11);
    guint refused = 0, admitted = 0;

    for (guint i = 0; i < 400; i++) {
        g_autofree char *a = random_lines(rand);
        g_autofree char *b = random_lines(rand);
        g_autofree char *both = g_strconcat(
            P "[default]\n", final, a, "[factory f]\nuri=sip:factory.conf1@example.org\n", b, NULL);
        g_autofree char *a_text = g_strconcat(
            P "[default]\n", a, "[factory f]\nuri=sip:factory.conf1@example.org\n", NULL);
        g_autofree char *b_text = g_strconcat(F, b, NULL);
        g_autoptr(ClvPolicy) pa = parse(a_text);
        g_autoptr(ClvPolicy) pb = parse(b_text);
        g_autoptr(ClvPolicy) pboth = parse(both);
        g_autoptr(ClvPolicyView) va = clv_policy_view_factory(pa, "f");
        g_autoptr(ClvPolicyView) vb = clv_policy_view_factory(pb, "f");
        g_autoptr(ClvPolicyView) vboth = clv_policy_view_factory(pboth, "f");
        g_autoptr(ClvPolicyView) merged = clv_policy_view_merge(va, vb, NULL);

        for (guint j = 0; j < 60; j++) {
            ClvPolicyFacts facts = random_facts(rand);
            ClvPolicyOp op = ops[g_rand_int_range(rand, 0, G_N_ELEMENTS(ops))];

            if (refuses(va, op, &facts)) {
                refused++;
                g_assert_true(refuses(vboth, op, &facts));
                g_assert_true(refuses(merged, op, &facts));
            } else {
                admitted += !refuses(vboth, op, &facts);
            }
        }
    }
    g_test_message("%u refusals held, %u admissions remained", refused, admitted);
    g_assert_cmpuint(refused, >, 1000);
    g_assert_cmpuint(admitted, >, 100); /* else the property would hold for nothing */
    g_rand_free(rand);
}

/* narrow: a ticket lets in nobody whom the file, asked alone, keeps out. */
static void
test_ticket_never_widens(void)
{
    static const char *const lists[][4] = {
        {BOB, NULL}, {CAROL, DAVE, NULL}, {BOB, CAROL, DAVE, NULL}};
    GRand *rand = g_rand_new_with_seed(12);
    guint kept_out = 0;

    for (guint i = 0; i < 300; i++) {
        g_autofree char *lines = random_lines(rand);
        g_autofree char *narrow =
            g_strconcat(lines, "ticket-authority=narrow\nno-ticket-list=policy\nallow=",
                        choices[4].values[g_rand_int_range(rand, 1, 5)], "\n", NULL);
        g_autoptr(ClvPolicyView) view = view_with(narrow);

        for (guint j = 0; j < 50; j++) {
            ClvPolicyFacts facts = random_facts(rand);

            facts.ticket_names = NULL;
            if (!refuses(view, CLV_OP_JOIN, &facts))
                continue;
            facts.ticket_names = lists[g_rand_int_range(rand, 0, 3)];
            g_assert_true(refuses(view, CLV_OP_JOIN, &facts));
            kept_out++;
        }
    }
    g_assert_cmpuint(kept_out, >, 1000);
    g_rand_free(rand);
}

static void
test_order_of_members_is_irrelevant(void)
{
    static const char *const members[] = {
        "*@example.org", ("!" CAROL), "!*@elsewhere.example", DAVE, "tel:+4930*", "@more"};
    GRand *rand = g_rand_new_with_seed(13);

    for (guint i = 0; i < 100; i++) {
        const char *forth[G_N_ELEMENTS(members)];
        g_autoptr(GString) one = g_string_new("no-ticket-list=policy\nallow=any;");
        g_autoptr(GString) two = g_string_new("no-ticket-list=policy\nallow=");
        guint n = 0;

        for (guint j = 0; j < G_N_ELEMENTS(members); j++) {
            if (g_rand_boolean(rand))
                forth[n++] = members[j];
        }
        for (guint j = 0; j < n; j++)
            g_string_append_printf(one, "%s;", forth[j]);
        for (guint j = n; j > 0; j--)
            g_string_append_printf(two, "%s;", forth[j - 1]);
        g_string_append(two, "any");
        g_string_append(one, "\n[list more]\nmembers=" BOB "\n");
        g_string_append(two, "\n[list more]\nmembers=" BOB "\n");
        {
            g_autoptr(ClvPolicyView) a = view_with(one->str);
            g_autoptr(ClvPolicyView) b = view_with(two->str);

            for (guint j = 0; j < G_N_ELEMENTS(people); j++) {
                ClvPolicyFacts facts = {people[j], TICKET, .creator = ALICE};

                g_assert_cmpint(clv_policy_decide(a, CLV_OP_JOIN, &facts).allow, ==,
                                clv_policy_decide(b, CLV_OP_JOIN, &facts).allow);
            }
        }
    }
    g_rand_free(rand);
}

/* ---- sizes and files ---- */

static void
test_ten_thousand_groups(void)
{
    g_autoptr(GString) text = g_string_new(F);
    g_autoptr(GPtrArray) errors = g_ptr_array_new_with_free_func(g_free);
    g_autoptr(ClvPolicy) policy = NULL;

    for (guint i = 2; i < 10000; i++)
        g_string_append_printf(text, "[template t%u]\nlocked=no\n", i);
    policy = clv_policy_parse("test", text->str, text->len, errors);
    g_assert_cmpuint(errors->len, ==, 0);
    g_assert_nonnull(policy);

    g_string_append(text, "[template one-more]\n");
    g_assert_null(clv_policy_parse("test", text->str, text->len, errors));
    g_assert_cmpuint(errors->len, >=, 1);
}

static void
test_too_large(void)
{
    g_autoptr(GString) text = g_string_new(F);
    g_autoptr(GPtrArray) errors = g_ptr_array_new_with_free_func(g_free);

    while (text->len <= CLV_POLICY_MAX_BYTES)
        g_string_append(text, "# and so on, and so on, and so on\n");
    g_assert_null(clv_policy_parse("test", text->str, text->len, errors));
    g_assert_cmpuint(errors->len, ==, 1);
    g_assert_nonnull(strstr(errors->pdata[0], "expected at most 1048576"));
}

/* Lists of lists of lists: what they come to is bounded, not only how deep they are. */
static void
test_lists_that_grow(void)
{
    g_autoptr(GString) text = g_string_new(P);
    g_autoptr(GPtrArray) errors = g_ptr_array_new_with_free_func(g_free);

    for (guint level = 0; level < 6; level++) {
        g_string_append_printf(text, "[list l%u]\nmembers=", level);
        for (guint i = 0; i < 20; i++)
            g_string_append(text, level == 5 ? "any;" : "");
        for (guint i = 0; i < 20 && level < 5; i++)
            g_string_append_printf(text, "@l%u;", level + 1);
        g_string_append_c(text, '\n');
    }
    g_assert_null(clv_policy_parse("test", text->str, text->len, errors));
    g_assert_nonnull(strstr(errors->pdata[0], "at most 100000 members"));
}

/* Every truncation of a file is read or refused, never worse. */
static void
test_truncations(void)
{
    g_autofree char *text =
        g_strconcat(P "strict=yes\n[default]\nsecure=required\nfinal=secure;auth\n"
                      "[list board]\nmembers=" ALICE ";" BOB ";\n"
                      "[template t]\nallow=@board\ncreator-grace=30s\n"
                      "[factory f]\nuri=sip:factory.conf1@example.org\ntemplate=t\n"
                      "[conference c]\nuri=sip:c.conf1@example.org\nscheduled=yes\n"
                      "not-before=2030-05-01T12:00:00Z\n",
                    NULL);

    for (gsize len = 0; len <= strlen(text); len++) {
        g_autoptr(GPtrArray) errors = g_ptr_array_new_with_free_func(g_free);
        g_autoptr(ClvPolicy) policy = clv_policy_parse("test", text, len, errors);

        g_assert_true((policy != NULL) == (errors->len == 0));
    }
}

typedef struct Folder {
    char *path, *main, *dropins;
} Folder;

static void
folder_init(Folder *folder)
{
    folder->path = g_dir_make_tmp("policy-XXXXXX", NULL);
    g_assert_nonnull(folder->path);
    folder->main = g_build_filename(folder->path, "policy.conf", NULL);
    folder->dropins = g_build_filename(folder->path, "policy.d", NULL);
    g_assert_cmpint(g_mkdir(folder->dropins, 0700), ==, 0);
}

static void
folder_write(const Folder *folder, const char *name, const char *text, int mode)
{
    g_autofree char *path = g_build_filename(folder->path, name, NULL);

    g_assert_true(g_file_set_contents(path, text, -1, NULL));
    g_assert_cmpint(g_chmod(path, mode), ==, 0);
}

static void
folder_clear(Folder *folder)
{
    const char *const folders[] = {folder->dropins, folder->path};

    for (guint i = 0; i < G_N_ELEMENTS(folders); i++) {
        GDir *dir = g_dir_open(folders[i], 0, NULL);
        const char *name;

        while ((name = g_dir_read_name(dir)) != NULL) {
            g_autofree char *path = g_build_filename(folders[i], name, NULL);

            g_unlink(path);
        }
        g_dir_close(dir);
        g_assert_cmpint(g_rmdir(folders[i]), ==, 0);
    }
    g_free(folder->path);
    g_free(folder->main);
    g_free(folder->dropins);
}

/* Drop-ins follow in the order of their names; of a key the last file counts. */
static void
test_dropins(void)
{
    g_autoptr(GPtrArray) errors = g_ptr_array_new_with_free_func(g_free);
    g_autoptr(ClvPolicy) policy = NULL;
    g_autoptr(ClvPolicyView) view = NULL;
    ClvPolicyFacts facts = {BOB, TICKET, ROOM};
    Folder folder;

    folder_init(&folder);
    folder_write(&folder, "policy.conf", F "max-participants=10\ndeny=" BOB "\n", 0640);
    folder_write(&folder, "policy.d/20-b.conf", "[factory f]\nmax-participants=20\n", 0644);
    folder_write(&folder, "policy.d/10-a.conf", "[factory f]\nmax-participants=30\nlocked=yes\n",
                 0600);
    folder_write(&folder, "policy.d/30-c.conf~", "nonsense", 0600);
    folder_write(&folder, "policy.d/.40-d.conf", "nonsense", 0600);
    policy = clv_policy_load(folder.main, folder.dropins, errors);
    g_assert_cmpuint(errors->len, ==, 0);
    view = clv_policy_view_factory(policy, "f");
    g_assert_cmpuint(clv_policy_max_participants(view), ==, 20);
    g_assert_true(clv_policy_locked(view));
    g_assert_cmpstr(clv_policy_decide(view, CLV_OP_JOIN, &facts).rule, ==,
                    "policy.conf:6 [factory f] deny");
    folder_clear(&folder);
}

static void
test_dropin_error_names_its_file(void)
{
    g_autoptr(GPtrArray) errors = g_ptr_array_new_with_free_func(g_free);
    g_autofree char *expected = NULL;
    Folder folder;

    folder_init(&folder);
    folder_write(&folder, "policy.conf", F, 0640);
    folder_write(&folder, "policy.d/10-a.conf", "\n[factory f]\nlocked=often\n", 0600);
    expected = g_strdup_printf("%s/10-a.conf:3: [factory f] locked: found 'often', expected yes or "
                               "no",
                               folder.dropins);
    g_assert_null(clv_policy_load(folder.main, folder.dropins, errors));
    g_assert_cmpuint(errors->len, ==, 1);
    g_assert_cmpstr(errors->pdata[0], ==, expected);
    folder_clear(&folder);
}

static void
test_file_modes(void)
{
    g_autoptr(GPtrArray) errors = g_ptr_array_new_with_free_func(g_free);
    Folder folder;

    folder_init(&folder);
    g_assert_null(clv_policy_load(folder.main, NULL, errors)); /* not there */
    folder_write(&folder, "policy.conf", F, 0646);
    g_assert_null(clv_policy_load(folder.main, NULL, errors));
    g_assert_null(clv_policy_load(folder.path, NULL, errors)); /* a folder */
    g_assert_cmpuint(errors->len, ==, 3);
    g_assert_nonnull(strstr(errors->pdata[0], "cannot be opened"));
    g_assert_nonnull(strstr(errors->pdata[1], "found mode 0646, expected a file that others cannot "
                                              "write (chmod o-w)"));
    g_assert_nonnull(strstr(errors->pdata[2], "expected a file"));
    folder_clear(&folder);
}

/* The samples that are shipped must load, and without a warning. */
static void
test_samples(void)
{
    static const char *const samples[] = {"etc/policy.conf", "etc/policies/lab.conf"};

    for (guint i = 0; i < G_N_ELEMENTS(samples); i++) {
        g_autofree char *path = g_test_build_filename(G_TEST_DIST, samples[i], NULL);
        g_autoptr(GPtrArray) errors = g_ptr_array_new_with_free_func(g_free);
        g_autofree char *text = NULL;
        gsize len = 0;
        g_autoptr(ClvPolicy) policy = NULL;

        g_assert_true(g_file_get_contents(path, &text, &len, NULL));
        policy = clv_policy_parse(samples[i], text, len, errors);
        g_assert_cmpstr(errors->len > 0 ? errors->pdata[0] : NULL, ==, NULL);
        g_assert_null(clv_policy_warnings(policy)[0]);
        g_assert_cmpuint(clv_policy_n_factories(policy), >=, 1);
    }
}

/* Every key that the loader knows has its paragraph in the manual page, with its right default. */
int
main(int argc, char **argv)
{
    setlocale(LC_ALL, "C");
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/policy/decide/every-key-with-its-values", test_decide);
    g_test_add_func("/policy/decide/not-yet-says-when-to-come-back", test_retry_after);
    g_test_add_func("/policy/load/each-rule-violated-names-its-line", test_wrong);
    g_test_add_func("/policy/load/all-errors-at-once", test_all_errors_at_once);
    g_test_add_func("/policy/load/odd-things-are-warned-of", test_odd);
    g_test_add_func("/policy/load/x-keys-are-ignored", test_ignored_keys);
    g_test_add_func("/policy/load/factories-and-conferences", test_factories_and_conferences);
    g_test_add_func("/policy/load/ten-thousand-groups", test_ten_thousand_groups);
    g_test_add_func("/policy/load/too-large", test_too_large);
    g_test_add_func("/policy/load/lists-that-grow-are-refused", test_lists_that_grow);
    g_test_add_func("/policy/load/truncated-files-are-read-or-refused", test_truncations);
    g_test_add_func("/policy/load/samples", test_samples);
    g_test_add_func("/policy/files/dropins-follow-by-name", test_dropins);
    g_test_add_func("/policy/files/error-names-the-dropin", test_dropin_error_names_its_file);
    g_test_add_func("/policy/files/others-may-not-write", test_file_modes);
    g_test_add_func("/policy/view/plain-values", test_plain_values);
    g_test_add_func("/policy/view/owners", test_owner);
    g_test_add_func("/policy/view/higher-levels-replace", test_levels_replace);
    g_test_add_func("/policy/view/final-narrows", test_final_narrows);
    g_test_add_func("/policy/view/denials-unite", test_denials_unite);
    g_test_add_func("/policy/view/longest-match-counts", test_longest_match_counts);
    g_test_add_func("/policy/view/hosts-of-patterns-have-no-case",
                    test_match_ignores_case_of_hosts);
    g_test_add_func("/policy/reload/by-live-class-and-mode", test_reload);
    g_test_add_func("/policy/reload/merged-view-stands-alone", test_merged_view_stands_alone);
    g_test_add_func("/policy/property/tightening-never-admits", test_tightening_never_admits);
    g_test_add_func("/policy/property/ticket-never-widens", test_ticket_never_widens);
    g_test_add_func("/policy/property/order-is-irrelevant", test_order_of_members_is_irrelevant);
    return g_test_run();
}
