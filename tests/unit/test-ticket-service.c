/* SPDX-License-Identifier: Apache-2.0 */
/* Does the KMS grant and resolve what its key file allows, and refuse all else by the right number?
 *
 * Everything goes through the octets that a peer would send, with a chosen clock and no socket.
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "unit/kms-parties.h"

/* ---- what an answer says ---- */

static GByteArray *
ask_request(ClvKmsService *service, const MikeyRequest *request, gint64 now_us,
            ClvKmsDecision *out_decision)
{
    return service_ask(service, CLV_KMS_TICKET_REQUEST, mikey_request_octets(request), now_us,
                       out_decision);
}

static GByteArray *
ask_resolve(ClvKmsService *service, const MikeyResolve *resolve, gint64 now_us,
            ClvKmsDecision *out_decision)
{
    return service_ask(service, CLV_KMS_TICKET_RESOLVE, mikey_resolve_octets(resolve), now_us,
                       out_decision);
}

/* An Error message with this number; has_mac is about the octets, not about our belief. */
static void
assert_error(const GByteArray *answer, const ClvKmsDecision *decision, guint number,
             gboolean has_mac)
{
    g_autoptr(MikeyMessage) message = NULL;
    const MikeyPayload *err;

    g_assert_false(decision->granted);
    g_assert_cmpuint(decision->error, ==, number);
    g_assert_cmpint(decision->authenticated, ==, has_mac);
    g_assert_cmpstr(decision->rule, !=, "");
    g_assert_nonnull(answer);
    g_assert_cmpint(mikey_message_parse(mikey_bytes(answer->data, answer->len), &message), ==,
                    MIKEY_OK);
    g_assert_cmpuint(mikey_message_header(message)->type, ==, MIKEY_ERROR);
    err = mikey_message_find(message, MIKEY_ERR, 0);
    g_assert_nonnull(err);
    g_assert_cmpuint(err->u.err.number, ==, number);
    g_assert_cmpint(mikey_message_find(message, MIKEY_V, 0) != NULL, ==, has_mac);
}

/* The one who asked believes the Error exactly when it has a MAC. */
static void
assert_request_refused(ClvKmsService *service, const MikeyRequest *request, gint64 now_us,
                       guint number, gboolean has_mac)
{
    ClvKmsDecision decision;
    g_autoptr(GByteArray) answer = ask_request(service, request, now_us, &decision);
    MikeyPeerError peer = {255, false};
    MikeyEnv env = party_env(now_us);
    MikeyGrant *grant = NULL;

    assert_error(answer, &decision, number, has_mac);
    g_assert_cmpint(
        mikey_request_finish(request, mikey_bytes(answer->data, answer->len), &env, &grant, &peer),
        ==, MIKEY_PEER_ERROR);
    g_assert_cmpuint(peer.number, ==, number);
    g_assert_cmpint(peer.authentic, ==, has_mac);
}

static void
assert_resolve_refused(ClvKmsService *service, const MikeyResolve *resolve, gint64 now_us,
                       guint number, gboolean has_mac)
{
    ClvKmsDecision decision;
    g_autoptr(GByteArray) answer = ask_resolve(service, resolve, now_us, &decision);
    MikeyPeerError peer = {255, false};
    MikeyEnv env = party_env(now_us);
    MikeyResolution *resolution = NULL;

    assert_error(answer, &decision, number, has_mac);
    g_assert_cmpint(mikey_resolve_finish(resolve, mikey_bytes(answer->data, answer->len), &env,
                                         &resolution, &peer),
                    ==, MIKEY_PEER_ERROR);
    g_assert_cmpuint(peer.number, ==, number);
    g_assert_cmpint(peer.authentic, ==, has_mac);
}

static MikeyResolution *
resolve_granted(ClvKmsService *service, const MikeyOffer *offer, const char *user,
                const char *identity, gint64 now_us)
{
    g_autoptr(MikeyResolve) resolve = party_resolve(offer, user, identity, now_us);
    ClvKmsDecision decision;
    g_autoptr(GByteArray) answer = ask_resolve(service, resolve, now_us, &decision);
    MikeyEnv env = party_env(now_us);
    MikeyResolution *resolution = NULL;

    if (!decision.granted)
        g_error("not resolved: %s", decision.rule);
    g_assert_true(decision.authenticated);
    g_assert_cmpint(mikey_resolve_finish(resolve, mikey_bytes(answer->data, answer->len), &env,
                                         &resolution, NULL),
                    ==, MIKEY_OK);
    return resolution;
}

/* ---- granting ---- */

static void
test_granted_as_asked(void)
{
    g_autoptr(ClvKmsService) service = parties_service(NULL);
    g_autoptr(Wanted) wanted = wanted_new(BOB);
    g_autoptr(MikeyGrant) grant = NULL;
    const MikeyPolicy *policy;
    ClvKmsServiceState state;

    wanted->policy.has_end = true;
    wanted->policy.end_unix = NOW_US / G_USEC_PER_SEC + 3600;
    wanted->policy.kms = mikey_identity_uri(KMS_URI);
    wanted->policy.initiator = mikey_identity_uri(ALICE);
    grant = party_grant(service, "alice", ALICE, wanted, NOW_US);
    policy = mikey_grant_policy(grant);
    g_assert_cmpuint(policy->flags, ==, MIKEY_FLAGS_PROFILE); /* no K: nothing changed */
    g_assert_cmpint(policy->end_unix, ==, NOW_US / G_USEC_PER_SEC + 3600);
    g_assert_cmpuint(mikey_grant_n_keys(grant), ==, 1);
    g_assert_cmpint(mikey_grant_key(grant, 0)->type, ==, MIKEY_KEY_TGK);
    g_assert_nonnull(mikey_grant_mpkr(grant));
    clv_kms_service_state(service, &state);
    g_assert_cmpuint(state.granted, ==, 1);
    g_assert_cmpuint(state.refused, ==, 0);
    g_assert_cmpuint(state.users, ==, 5);
    g_assert_cmpuint(state.services, ==, 2);
}

static void
test_names_and_end_are_filled_in(void)
{
    g_autoptr(ClvKmsService) service = parties_service(NULL);
    g_autoptr(Wanted) wanted = wanted_new(BOB);
    g_autoptr(MikeyGrant) grant = party_grant(service, "alice", ALICE, wanted, NOW_US);
    const MikeyPolicy *policy = mikey_grant_policy(grant);
    MikeyIdentity alice = mikey_identity_uri(ALICE), kms = mikey_identity_uri(KMS_URI);

    g_assert_true(mikey_identity_equal(&policy->initiator, &alice));
    g_assert_true(mikey_identity_equal(&policy->kms, &kms));
    g_assert_true(policy->has_end);
    g_assert_cmpint(policy->end_unix, ==, NOW_US / G_USEC_PER_SEC + 7200);
    g_assert_true((policy->flags & MIKEY_FLAG_K) != 0);
}

static void
test_user_without_psk_id_is_found_by_name(void)
{
    g_autoptr(ClvKmsService) service = parties_service(NULL);
    g_autoptr(Wanted) wanted = wanted_new(BOB);
    g_autoptr(MikeyRequest) request = NULL;
    g_autoptr(GByteArray) answer = NULL;
    MikeyKey psk = party_psk("alice");
    MikeyAccount account = {
        .psk = &psk,
        .self = mikey_identity_uri("sips:alice@EXAMPLE.org:5061"),
        .kms = mikey_identity_uri(KMS_URI),
        .prf = MIKEY_PRF_HMAC_SHA_256,
    };
    MikeyEnv env = party_env(NOW_US);
    MikeyRequest *made = NULL;
    ClvKmsDecision decision;

    g_assert_cmpint(mikey_request_new(&account, &wanted->policy, &env, &made), ==, MIKEY_OK);
    request = made;
    answer = ask_request(service, request, NOW_US, &decision);
    g_assert_true(decision.granted);
    g_assert_cmpstr(decision.user, ==, "alice");
}

static void
test_lifetime_is_cut(void)
{
    g_autoptr(ClvKmsService) service = parties_service(NULL);
    g_autoptr(Wanted) wanted = wanted_new(BOB);
    g_autoptr(MikeyGrant) grant = NULL;
    const MikeyPolicy *policy;

    wanted->policy.has_end = true;
    wanted->policy.end_unix = NOW_US / G_USEC_PER_SEC + 86400;
    grant = party_grant(service, "carol", CAROL, wanted, NOW_US);
    policy = mikey_grant_policy(grant);
    g_assert_cmpint(policy->end_unix, ==, NOW_US / G_USEC_PER_SEC + 600);
    g_assert_true((policy->flags & MIKEY_FLAG_K) != 0);
}

static void
test_purposes_and_reuse_are_narrowed(void)
{
    g_autoptr(ClvKmsService) service = parties_service(NULL);
    g_autoptr(Wanted) wanted = wanted_new(BOB);
    g_autoptr(MikeyGrant) grant = NULL;
    const MikeyPolicy *policy;

    wanted->policy.flags |= MIKEY_FLAG_J;
    grant = party_grant(service, "carol", CAROL, wanted, NOW_US);
    policy = mikey_grant_policy(grant);
    g_assert_cmpuint(policy->n_applications, ==, 1);
    g_assert_true(mikey_policy_allows_application(policy, mikey_bytes_str("conclave:join")));
    g_assert_false(mikey_policy_allows_application(policy, mikey_bytes_str("conclave:create")));
    g_assert_true((policy->flags & MIKEY_FLAG_J) == 0);
    g_assert_true((policy->flags & MIKEY_FLAG_K) != 0);
}

static void
test_suite_128_when_allowed(void)
{
    g_autoptr(ClvKmsService) service = parties_service("allow-128 = yes");
    g_autoptr(Wanted) wanted = wanted_new(BOB);
    g_autoptr(MikeyGrant) grant = NULL;

    wanted->policy.prf = MIKEY_PRF_MIKEY_1;
    grant = party_grant(service, "alice", ALICE, wanted, NOW_US);
    g_assert_cmpuint(mikey_grant_mpki(grant)->len, ==, 16);
}

/* ---- refusing requests: one row each ---- */

typedef struct RequestCase {
    const char *name;
    const char *user, *identity, *responder;
    void (*change)(Wanted *wanted);
    guint error;
    gboolean has_mac;
} RequestCase;

static void
want_no_forking(Wanted *wanted)
{
    wanted->policy.flags &= ~MIKEY_FLAG_I;
}

static void
want_second_type(Wanted *wanted)
{
    wanted->policy.ticket_type = MIKEY_TICKET_3GPP;
}

static void
want_create(Wanted *wanted)
{
    wanted_purpose(wanted, "conclave:create");
}

static void
want_join_and_other(Wanted *wanted)
{
    wanted_purpose(wanted, "conclave:join");
    wanted_purpose(wanted, "conclave:refer");
}

static void
want_bob_twice(Wanted *wanted)
{
    wanted_name(wanted, "sips:bob@EXAMPLE.ORG:5061");
}

static void
want_tek_for_two(Wanted *wanted)
{
    wanted_name(wanted, CAROL);
    wanted->policy.has_wishes = true;
    wanted->policy.n_wishes = 1;
    wanted->wishes[0] = (MikeyKeyWish){.type = MIKEY_KEY_TEK_SALT, .key_len = 16, .salt_len = 14};
}

static void
want_other_kms(Wanted *wanted)
{
    wanted->policy.kms = mikey_identity_uri("sip:kms@example.net");
}

static void
want_for_bob(Wanted *wanted)
{
    wanted->policy.initiator = mikey_identity_uri(BOB);
}

static void
want_past(Wanted *wanted)
{
    wanted->policy.has_end = true;
    wanted->policy.end_unix = NOW_US / G_USEC_PER_SEC - 1;
}

static void
want_later_start(Wanted *wanted)
{
    wanted->policy.has_start = true;
    wanted->policy.start_unix = NOW_US / G_USEC_PER_SEC + 200;
}

static void
want_suite_128(Wanted *wanted)
{
    wanted->policy.prf = MIKEY_PRF_MIKEY_1;
}

static void
want_nothing_known(Wanted *wanted)
{
    wanted->responders[0] = mikey_identity_uri("im:bob@example.org");
}

static const RequestCase request_cases[] = {
    {"unknown-user", "mallory", ALICE, BOB, NULL, 0, FALSE},
    {"suite-128-not-allowed", "alice", ALICE, BOB, want_suite_128, 2, FALSE},
    {"identity-of-another-user", "alice", BOB, BOB, NULL, 7, TRUE},
    {"identity-of-nobody", "alice", "sip:dave@example.org", BOB, NULL, 7, TRUE},
    {"focus-of-another-user", "alice", FOCUS1, BOB, NULL, 7, TRUE},
    {"policy-of-another-kms", "alice", ALICE, BOB, want_other_kms, 7, TRUE},
    {"policy-for-another-initiator", "alice", ALICE, BOB, want_for_bob, 7, TRUE},
    {"responder-excluded", "bob", BOB, CAROL, NULL, 7, TRUE},
    {"responder-not-listed", "carol", CAROL, "sip:dave@example.org", NULL, 7, TRUE},
    {"responder-twice", "alice", ALICE, BOB, want_bob_twice, 7, TRUE},
    {"responder-no-sip-uri", "alice", ALICE, BOB, want_nothing_known, 7, TRUE},
    {"creation-without-the-right", "bob", BOB, FACTORY1, want_create, 7, TRUE},
    {"purpose-not-allowed", "carol", CAROL, BOB, want_join_and_other, 15, TRUE},
    {"flags-without-forking", "alice", ALICE, BOB, want_no_forking, 15, TRUE},
    {"group-key-for-several", "alice", ALICE, BOB, want_tek_for_two, 15, TRUE},
    {"validity-over", "alice", ALICE, BOB, want_past, 15, TRUE},
    {"validity-too-far-ahead", "conf2", FOCUS2, BOB, want_later_start, 15, TRUE},
    {"foreign-ticket-type", "alice", ALICE, BOB, want_second_type, 14, TRUE},
};

static void
test_request_refused(gconstpointer data)
{
    const RequestCase *row = data;
    g_autoptr(ClvKmsService) service = parties_service(NULL);
    g_autoptr(Wanted) wanted = wanted_new(row->responder);
    g_autoptr(MikeyRequest) request = NULL;

    if (row->change != NULL)
        row->change(wanted);
    request = party_request(row->user, row->identity, wanted, NOW_US);
    assert_request_refused(service, request, NOW_US, row->error, row->has_mac);
}

static void
test_wrong_key(void)
{
    g_autoptr(ClvKmsService) service = parties_service(NULL);
    g_autoptr(Wanted) wanted = wanted_new(BOB);
    g_autoptr(MikeyRequest) request = NULL;
    MikeyKey psk = party_psk("bob");
    MikeyAccount account = {
        .psk = &psk,
        .psk_id = mikey_identity_bytes(mikey_bytes_str("alice")),
        .self = mikey_identity_uri(ALICE),
        .kms = mikey_identity_uri(KMS_URI),
        .prf = MIKEY_PRF_HMAC_SHA_256,
    };
    MikeyEnv env = party_env(NOW_US);
    MikeyRequest *made = NULL;

    g_assert_cmpint(mikey_request_new(&account, &wanted->policy, &env, &made), ==, MIKEY_OK);
    request = made;
    assert_request_refused(service, request, NOW_US, 0, FALSE);
}

static void
test_message_for_another_kms(void)
{
    g_autoptr(ClvKmsService) service = parties_service(NULL);
    g_autoptr(Wanted) wanted = wanted_new(BOB);
    g_autoptr(MikeyRequest) request = NULL;
    MikeyKey psk = party_psk("alice");
    MikeyAccount account = {
        .psk = &psk,
        .psk_id = mikey_identity_bytes(mikey_bytes_str("alice")),
        .self = mikey_identity_uri(ALICE),
        .kms = mikey_identity_uri("sip:kms@example.net"),
        .prf = MIKEY_PRF_HMAC_SHA_256,
    };
    MikeyEnv env = party_env(NOW_US);
    MikeyRequest *made = NULL;

    g_assert_cmpint(mikey_request_new(&account, &wanted->policy, &env, &made), ==, MIKEY_OK);
    request = made;
    assert_request_refused(service, request, NOW_US, 7, TRUE);
}

static void
test_clock_skew(void)
{
    static const struct {
        gint64 seconds;
        gboolean accepted;
    } rows[] = {{0, TRUE},    {299, TRUE},   {300, TRUE},  {301, FALSE},
                {-300, TRUE}, {-301, FALSE}, {9999, FALSE}};

    for (guint i = 0; i < G_N_ELEMENTS(rows); i++) {
        g_autoptr(ClvKmsService) service = parties_service(NULL);
        g_autoptr(Wanted) wanted = wanted_new(BOB);
        g_autoptr(MikeyRequest) request = party_request("alice", ALICE, wanted, NOW_US);
        gint64 now_us = NOW_US + rows[i].seconds * G_USEC_PER_SEC;
        ClvKmsDecision decision;
        g_autoptr(GByteArray) answer = ask_request(service, request, now_us, &decision);

        if (rows[i].accepted)
            g_assert_true(decision.granted);
        else
            assert_error(answer, &decision, 1, FALSE);
    }
}

/* ---- what is no message for this place ---- */

static void
test_wrong_kind_of_message(void)
{
    g_autoptr(ClvKmsService) service = parties_service(NULL);
    g_autoptr(Wanted) wanted = wanted_new(BOB);
    g_autoptr(MikeyRequest) request = party_request("alice", ALICE, wanted, NOW_US);
    g_autoptr(MikeyGrant) grant = party_grant(service, "alice", ALICE, wanted, NOW_US);
    g_autoptr(MikeyTransfer) transfer = party_call(grant, BOB, NOW_US);
    g_autoptr(GByteArray) crossed = NULL, call = NULL;
    ClvKmsDecision decision;

    crossed = service_ask(service, CLV_KMS_TICKET_RESOLVE, mikey_request_octets(request), NOW_US,
                          &decision);
    assert_error(crossed, &decision, 11, FALSE);
    call = service_ask(service, CLV_KMS_TICKET_REQUEST, mikey_transfer_octets(transfer), NOW_US,
                       &decision);
    assert_error(call, &decision, 11, FALSE);
}

static void
test_error_is_never_answered(void)
{
    g_autoptr(ClvKmsService) service = parties_service(NULL);
    g_autoptr(Wanted) wanted = wanted_new(BOB);
    g_autoptr(MikeyRequest) request = party_request("alice", BOB, wanted, NOW_US);
    ClvKmsDecision decision;
    g_autoptr(GByteArray) error = ask_request(service, request, NOW_US, &decision);
    g_autoptr(GByteArray) answer = NULL;

    assert_error(error, &decision, 7, TRUE);
    answer = service_ask(service, CLV_KMS_TICKET_REQUEST, mikey_bytes(error->data, error->len),
                         NOW_US, &decision);
    g_assert_null(answer);
    g_assert_false(decision.granted);
}

static void
test_every_truncation_is_refused(void)
{
    g_autoptr(ClvKmsService) service = parties_service(NULL);
    g_autoptr(Wanted) wanted = wanted_new(BOB);
    g_autoptr(MikeyRequest) request = party_request("alice", ALICE, wanted, NOW_US);
    MikeyBytes octets = mikey_request_octets(request);

    for (gsize len = 0; len < octets.len; len++) {
        /* a copy of its own, so that reading past it is seen */
        g_autofree guint8 *cut = g_memdup2(octets.data, MAX(len, 1));
        ClvKmsDecision decision;
        g_autoptr(GByteArray) answer =
            service_ask(service, CLV_KMS_TICKET_REQUEST, mikey_bytes(cut, len), NOW_US, &decision);

        g_assert_false(decision.granted);
        g_assert_false(decision.authenticated);
        g_assert_cmpuint(decision.error, ==, 13);
        if (answer != NULL)
            assert_error(answer, &decision, 13, FALSE);
    }
}

static void
test_every_flipped_bit_is_refused(void)
{
    g_autoptr(ClvKmsService) service = parties_service(NULL);
    g_autoptr(Wanted) wanted = wanted_new(BOB);
    g_autoptr(MikeyRequest) request = party_request("alice", ALICE, wanted, NOW_US);
    MikeyBytes octets = mikey_request_octets(request);
    g_autofree guint8 *copy = g_memdup2(octets.data, octets.len);

    for (gsize bit = 0; bit < 8 * octets.len; bit++) {
        ClvKmsDecision decision;
        g_autoptr(GByteArray) answer = NULL;

        copy[bit / 8] ^= (guint8)(1 << bit % 8);
        answer = service_ask(service, CLV_KMS_TICKET_REQUEST, mikey_bytes(copy, octets.len), NOW_US,
                             &decision);
        copy[bit / 8] ^= (guint8)(1 << bit % 8);
        g_assert_false(decision.granted);
        g_assert_false(decision.authenticated);
        if (answer != NULL)
            assert_error(answer, &decision, decision.error, FALSE);
    }
}

/* ---- seen before ---- */

static void
assert_same(const GByteArray *a, const GByteArray *b)
{
    g_assert_cmpmem(a->data, a->len, b->data, b->len);
}

static void
test_retransmission_gets_the_same_answer(void)
{
    g_autoptr(ClvKmsService) service = parties_service(NULL);
    g_autoptr(Wanted) wanted = wanted_new(BOB);
    g_autoptr(MikeyRequest) request = party_request("alice", ALICE, wanted, NOW_US);
    ClvKmsDecision decision;
    g_autoptr(GByteArray) first = ask_request(service, request, NOW_US, &decision);
    g_autoptr(GByteArray) again = NULL, late = NULL, dead = NULL;
    ClvKmsServiceState state;

    g_assert_false(decision.repeated);
    again = ask_request(service, request, NOW_US + 5 * G_USEC_PER_SEC, &decision);
    g_assert_true(decision.repeated);
    g_assert_true(decision.granted);
    assert_same(first, again);
    clv_kms_service_state(service, &state);
    g_assert_cmpuint(state.granted, ==, 1);
    g_assert_cmpuint(state.repeated, ==, 1);
    g_assert_cmpuint(state.replay_entries, ==, 1);

    late = ask_request(service, request, NOW_US + MINUTES(1), &decision);
    assert_error(late, &decision, 1, TRUE);
    g_assert_cmpstr(decision.rule, ==, "seen before");
    dead = ask_request(service, request, NOW_US + MINUTES(6), &decision);
    assert_error(dead, &decision, 1, FALSE);
}

static void
test_refusal_is_repeated_as_well(void)
{
    g_autoptr(ClvKmsService) service = parties_service(NULL);
    g_autoptr(Wanted) wanted = wanted_new(CAROL);
    g_autoptr(MikeyRequest) request = party_request("bob", BOB, wanted, NOW_US);
    ClvKmsDecision decision;
    g_autoptr(GByteArray) first = ask_request(service, request, NOW_US, &decision);
    g_autoptr(GByteArray) again = ask_request(service, request, NOW_US + 1, &decision);

    g_assert_true(decision.repeated);
    g_assert_false(decision.granted);
    assert_same(first, again);
}

/* What has not been authenticated must not fill the memory. */
static void
test_memory_takes_authentic_messages_alone(void)
{
    g_autoptr(ClvKmsService) service = parties_service(NULL);
    g_autoptr(Wanted) wanted = wanted_new(BOB);
    g_autoptr(MikeyRequest) stranger = party_request("mallory", ALICE, wanted, NOW_US);
    ClvKmsDecision decision;
    g_autoptr(GByteArray) answer = ask_request(service, stranger, NOW_US, &decision);
    ClvKmsServiceState state;

    clv_kms_service_state(service, &state);
    g_assert_cmpuint(state.replay_entries, ==, 0);
    g_assert_cmpuint(state.refused, ==, 1);
}

/* Nobody alone keeps all others out: a user has one eighth, a conference system one half. */
static void
test_full_memory_refuses_and_recovers(void)
{
    static const struct {
        const char *user, *identity;
        guint n;
    } fillers[] = {
        {"alice", ALICE, 4}, {"bob", BOB, 4}, {"carol", CAROL, 4}, {"conf1", FOCUS1, 16}};
    g_autoptr(ClvKmsService) service = parties_service("replay-entries = 32");
    g_autoptr(Wanted) wanted = wanted_new(BOB);
    g_autoptr(MikeyRequest) last = NULL, later = NULL;
    ClvKmsServiceState state;

    for (guint i = 0; i < G_N_ELEMENTS(fillers); i++) {
        g_autoptr(MikeyRequest) more =
            party_request(fillers[i].user, fillers[i].identity, wanted, NOW_US);

        for (guint n = 0; n < fillers[i].n; n++) {
            ClvKmsDecision decision;
            g_autoptr(MikeyRequest) request =
                party_request(fillers[i].user, fillers[i].identity, wanted, NOW_US);
            g_autoptr(GByteArray) answer = ask_request(service, request, NOW_US, &decision);

            g_assert_cmpstr(decision.user, ==, fillers[i].user);
            g_assert_null(strstr(decision.rule, "is full"));
        }
        assert_request_refused(service, more, NOW_US, 12, TRUE);
    }
    clv_kms_service_state(service, &state);
    g_assert_cmpuint(state.replay_entries, ==, 28);
    clv_kms_service_reload(service, parties_keys("replay-entries = 28"));
    last = party_request("conf2", FOCUS2, wanted, NOW_US);
    assert_request_refused(service, last, NOW_US, 12, TRUE);

    later = party_request("alice", ALICE, wanted, NOW_US + MINUTES(6));
    {
        ClvKmsDecision decision;
        g_autoptr(GByteArray) answer = ask_request(service, later, NOW_US + MINUTES(6), &decision);

        g_assert_true(decision.granted);
    }
    clv_kms_service_state(service, &state);
    g_assert_cmpuint(state.replay_entries, ==, 1);
}

/* ---- resolving ---- */

typedef struct Call {
    ClvKmsService *service;
    MikeyGrant *grant;
    MikeyTransfer *transfer;
    MikeyOffer *offer;
} Call;

/* @user calls @responder with a ticket that names @named */
static Call
call_new(ClvKmsService *service, const char *user, const char *identity, const Wanted *wanted,
         const char *responder)
{
    Call call = {.service = service};

    call.grant = party_grant(service, user, identity, wanted, NOW_US);
    call.transfer = party_call(call.grant, responder, NOW_US);
    call.offer = party_offer(mikey_transfer_octets(call.transfer), NOW_US);
    return call;
}

static void
call_clear(Call *call)
{
    mikey_offer_free(call->offer);
    mikey_transfer_free(call->transfer);
    mikey_grant_free(call->grant);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Call, call_clear)

/* Both sides end up with the same keys, and the caller is who he says. */
static void
assert_call_works(Call *call, const char *user, const char *identity, const char *caller)
{
    static const MikeySrtpProfile profiles[] = {MIKEY_SRTP_AES_CM_128_HMAC_SHA1_80};
    g_autoptr(MikeyResolution) resolution =
        resolve_granted(call->service, call->offer, user, identity, NOW_US);
    g_autoptr(MikeyBundle) theirs = NULL, ours = NULL;
    MikeyLine line = {.keyed = true, .ssrc = 0x55667788};
    MikeyAnswerSetup setup = {.lines = &line, .n_lines = 1, .profiles = profiles, .n_profiles = 1};
    MikeyEnv env = party_env(NOW_US);
    MikeyIdentity expected_caller = mikey_identity_uri(caller);
    MikeyIdentity expected_callee = mikey_identity_uri(identity);
    MikeyIdentity found;
    MikeyBuffer answer = MIKEY_BUFFER_INIT;
    MikeyBundle *bundle = NULL;
    MikeySrtp a, b;

    g_assert_cmpint(mikey_offer_verify(call->offer, resolution), ==, MIKEY_OK);
    g_assert_cmpint(mikey_offer_answer(call->offer, &setup, &env, &answer, &bundle), ==, MIKEY_OK);
    theirs = bundle;
    g_assert_cmpint(mikey_transfer_finish(call->transfer, mikey_bytes(answer.data, answer.len),
                                          &env, &bundle, NULL),
                    ==, MIKEY_OK);
    ours = bundle;
    found = mikey_bundle_peer(theirs);
    g_assert_true(mikey_identity_equal(&found, &expected_caller));
    found = mikey_bundle_peer(ours);
    g_assert_true(mikey_identity_equal(&found, &expected_callee));
    g_assert_cmpint(mikey_bundle_srtp(theirs, MIKEY_CS_OFFERER(1), &a), ==, MIKEY_OK);
    g_assert_cmpint(mikey_bundle_srtp(ours, MIKEY_CS_OFFERER(1), &b), ==, MIKEY_OK);
    g_assert_true(mikey_key_equal(&a.master_key, &b.master_key));
    mikey_srtp_clear(&a);
    mikey_srtp_clear(&b);
    mikey_buffer_clear(&answer);
}

static void
test_named_responder_resolves(void)
{
    g_autoptr(ClvKmsService) service = parties_service(NULL);
    g_autoptr(Wanted) wanted = wanted_new(BOB);
    g_auto(Call) call = call_new(service, "alice", ALICE, wanted, BOB);

    assert_call_works(&call, "bob", BOB, ALICE);
}

static void
test_factory_ticket_opens_a_new_conference(void)
{
    g_autoptr(ClvKmsService) service = parties_service(NULL);
    g_autoptr(Wanted) wanted = wanted_new(FACTORY1);
    g_auto(Call) call = {0};

    wanted_name(wanted, BOB);
    wanted_name(wanted, CAROL);
    wanted_purpose(wanted, "conclave:create");
    call = call_new(service, "alice", ALICE, wanted, FACTORY1);
    assert_call_works(&call, "conf1", FOCUS1, ALICE);
}

static void
test_factory_alias_and_factory_itself(void)
{
    g_autoptr(ClvKmsService) service = parties_service(NULL);
    g_autoptr(Wanted) alias = wanted_new(FACTORY1_ALIAS);
    g_autoptr(Wanted) factory = wanted_new(FACTORY1);
    g_auto(Call) by_alias = call_new(service, "alice", ALICE, alias, FACTORY1_ALIAS);
    g_auto(Call) by_name = call_new(service, "alice", ALICE, factory, FACTORY1);

    assert_call_works(&by_alias, "conf1", FOCUS1, ALICE);
    assert_call_works(&by_name, "conf1", FACTORY1, ALICE);
}

static void
test_conference_system_calls_out(void)
{
    g_autoptr(ClvKmsService) service = parties_service(NULL);
    g_autoptr(Wanted) wanted = wanted_new(BOB);
    g_auto(Call) call = call_new(service, "conf1", FOCUS1, wanted, BOB);

    assert_call_works(&call, "bob", BOB, FOCUS1);
}

static void
test_each_responder_gets_keys_of_his_own(void)
{
    g_autoptr(ClvKmsService) service = parties_service(NULL);
    g_autoptr(Wanted) wanted = wanted_new(BOB);
    g_auto(Call) call = {0};
    g_autoptr(MikeyResolution) bob = NULL, carol = NULL, again = NULL;

    wanted_name(wanted, CAROL);
    call = call_new(service, "alice", ALICE, wanted, BOB);
    bob = resolve_granted(service, call.offer, "bob", BOB, NOW_US);
    carol = resolve_granted(service, call.offer, "carol", CAROL, NOW_US);
    again = resolve_granted(service, call.offer, "bob", BOB, NOW_US);
    /* forked for the name, and for a RANDRkms that is new each time */
    g_assert_false(
        mikey_key_equal(&mikey_resolution_key(bob, 0)->key, &mikey_resolution_key(carol, 0)->key));
    g_assert_false(
        mikey_key_equal(&mikey_resolution_key(bob, 0)->key, &mikey_resolution_key(again, 0)->key));
    g_assert_false(
        mikey_key_equal(&mikey_resolution_key(bob, 0)->key, &mikey_grant_key(call.grant, 0)->key));
}

/* ---- refusing to resolve: one row each ---- */

typedef struct ResolveCase {
    const char *name;
    const char *initiator, *initiator_identity;
    const char *named, *also_named;
    const char *purpose;
    const char *user, *identity;
    guint error;
} ResolveCase;

static const ResolveCase resolve_cases[] = {
    {"responder-not-named", "alice", ALICE, BOB, NULL, NULL, "carol", CAROL, 7},
    {"identity-of-another-user", "alice", ALICE, BOB, NULL, NULL, "carol", BOB, 7},
    {"conference-of-another-user", "alice", ALICE, FACTORY1, NULL, NULL, "bob", FOCUS1, 7},
    {"conference-of-another-service", "alice", ALICE, FACTORY1, NULL, NULL, "conf2", FOCUS2, 7},
    {"from-focus-to-focus", "alice", ALICE, FOCUS1, NULL, NULL, "conf1", FOCUS1_OTHER, 7},
    {"from-focus-to-factory", "alice", ALICE, FOCUS1, NULL, NULL, "conf1", FACTORY1, 7},
    {"factory-and-focus-named", "alice", ALICE, FACTORY1, FOCUS1, NULL, "conf1", FOCUS1_OTHER, 7},
    {"ticket-not-for-creating", "alice", ALICE, FACTORY1, NULL, "conclave:join", "conf1", FOCUS1,
     7},
    {"creator-without-the-right", "bob", BOB, FACTORY1, NULL, NULL, "conf1", FOCUS1, 7},
};

static void
test_resolve_refused(gconstpointer data)
{
    const ResolveCase *row = data;
    g_autoptr(ClvKmsService) service = parties_service(NULL);
    g_autoptr(Wanted) wanted = wanted_new(row->named);
    g_autoptr(MikeyResolve) resolve = NULL;
    g_auto(Call) call = {0};

    if (row->also_named != NULL)
        wanted_name(wanted, row->also_named);
    if (row->purpose != NULL)
        wanted_purpose(wanted, row->purpose);
    call = call_new(service, row->initiator, row->initiator_identity, wanted, row->named);
    resolve = party_resolve(call.offer, row->user, row->identity, NOW_US);
    assert_resolve_refused(service, resolve, NOW_US, row->error, TRUE);
}

static void
test_ticket_of_another_kms(void)
{
    g_autoptr(ClvKmsService) service = parties_service(NULL);
    g_autoptr(ClvKmsService) other = parties_service(NULL);
    g_autoptr(Wanted) wanted = wanted_new(BOB);
    g_auto(Call) call = call_new(other, "alice", ALICE, wanted, BOB);
    g_autoptr(MikeyResolve) resolve = party_resolve(call.offer, "bob", BOB, NOW_US);

    assert_resolve_refused(service, resolve, NOW_US, 14, TRUE);
}

static void
test_expired_ticket(void)
{
    g_autoptr(ClvKmsService) service = parties_service(NULL);
    g_autoptr(Wanted) wanted = wanted_new(BOB);
    g_auto(Call) call = call_new(service, "carol", CAROL, wanted, BOB);
    gint64 before_us = NOW_US + MINUTES(9);
    gint64 after_us = NOW_US + MINUTES(16); /* ten minutes, and the skew */
    g_autoptr(MikeyResolution) good = resolve_granted(service, call.offer, "bob", BOB, before_us);
    g_autoptr(MikeyResolve) resolve = party_resolve(call.offer, "bob", BOB, after_us);

    assert_resolve_refused(service, resolve, after_us, 15, TRUE);
}

/* Whoever resolved a ticket knows MPKi and could make a TRANSFER_INIT; but not its Vr. */
static void
test_forged_initiator_data(void)
{
    g_autoptr(ClvKmsService) service = parties_service(NULL);
    g_autoptr(Wanted) wanted = wanted_new(BOB);
    g_auto(Call) call = {0};
    g_autoptr(MikeyGrant) forged = NULL;
    g_autoptr(MikeyTransfer) transfer = NULL;
    g_autoptr(MikeyOffer) offer = NULL;
    g_autoptr(MikeyResolve) resolve = NULL;
    MikeyKey wrong;
    MikeyGrant *made = NULL;

    wanted_name(wanted, CAROL);
    call = call_new(service, "alice", ALICE, wanted, BOB);
    wrong = *mikey_grant_mpkr(call.grant);
    wrong.bytes[0] ^= 1;
    g_assert_cmpint(mikey_grant_new(mikey_grant_ticket(call.grant), mikey_grant_mpki(call.grant),
                                    &wrong, mikey_grant_key(call.grant, 0), 1, &made),
                    ==, MIKEY_OK);
    forged = made;
    transfer = party_call(forged, BOB, NOW_US);
    offer = party_offer(mikey_transfer_octets(transfer), NOW_US);
    resolve = party_resolve(offer, "bob", BOB, NOW_US);
    assert_resolve_refused(service, resolve, NOW_US, 0, TRUE);
}

/* Each bit of the ticket, sent by a responder who is authentic himself. */
static void
test_tampered_ticket(void)
{
    g_autoptr(ClvKmsService) service = parties_service(NULL);
    g_autoptr(Wanted) wanted = wanted_new(BOB);
    g_auto(Call) call = call_new(service, "alice", ALICE, wanted, BOB);
    MikeyBytes octets = mikey_transfer_octets(call.transfer);
    const MikeyPayload *ticket =
        mikey_message_find(mikey_offer_message(call.offer), MIKEY_TICKET, 0);
    gsize start =
        (gsize)(ticket->octets.data - mikey_message_octets(mikey_offer_message(call.offer)).data);
    g_autofree guint8 *copy = g_memdup2(octets.data, octets.len);
    MikeyEnv env = party_env(NOW_US);
    guint n_reached = 0;

    /* its first octet names the next payload and is no part of the ticket */
    for (gsize bit = 8 * (start + 1); bit < 8 * (start + ticket->octets.len); bit++) {
        MikeyOffer *made = NULL;

        copy[bit / 8] ^= (guint8)(1 << bit % 8);
        if (mikey_offer_open(mikey_bytes(copy, octets.len), &env, &made) == MIKEY_OK) {
            g_autoptr(MikeyOffer) offer = made;
            g_autoptr(MikeyResolve) resolve = party_resolve(offer, "bob", BOB, NOW_US);
            ClvKmsDecision decision;
            g_autoptr(GByteArray) answer = ask_resolve(service, resolve, NOW_US, &decision);

            if (decision.granted)
                g_error("bit %" G_GSIZE_FORMAT " of the ticket does not matter", bit - 8 * start);
            assert_error(answer, &decision, decision.error, TRUE);
            n_reached++;
        }
        copy[bit / 8] ^= (guint8)(1 << bit % 8);
    }
    g_assert_cmpuint(n_reached, >, 1000);
}

static void
test_every_flipped_bit_of_a_resolve_is_refused(void)
{
    g_autoptr(ClvKmsService) service = parties_service(NULL);
    g_autoptr(Wanted) wanted = wanted_new(BOB);
    g_auto(Call) call = call_new(service, "alice", ALICE, wanted, BOB);
    g_autoptr(MikeyResolve) resolve = party_resolve(call.offer, "bob", BOB, NOW_US);
    MikeyBytes octets = mikey_resolve_octets(resolve);
    g_autofree guint8 *copy = g_memdup2(octets.data, octets.len);

    for (gsize bit = 0; bit < 8 * octets.len; bit++) {
        ClvKmsDecision decision;
        g_autoptr(GByteArray) answer = NULL;

        copy[bit / 8] ^= (guint8)(1 << bit % 8);
        answer = service_ask(service, CLV_KMS_TICKET_RESOLVE, mikey_bytes(copy, octets.len), NOW_US,
                             &decision);
        copy[bit / 8] ^= (guint8)(1 << bit % 8);
        g_assert_false(decision.granted);
        g_assert_false(decision.authenticated);
    }
}

/* ---- reload ---- */

static char *
without(const char *text, const char *piece, const char *replacement)
{
    g_auto(GStrv) parts = g_strsplit(text, piece, 2);

    g_assert_nonnull(parts[0]);
    g_assert_nonnull(parts[1]);
    return g_strconcat(parts[0], replacement, parts[1], NULL);
}

static ClvKmsKeyFile *
parse_keys(const char *text)
{
    g_autoptr(GPtrArray) errors = g_ptr_array_new_with_free_func(g_free);
    ClvKmsKeyFile *keys = clv_kms_keyfile_parse("changed", text, strlen(text), errors);

    if (keys == NULL)
        g_error("%s", (const char *)errors->pdata[0]);
    return keys;
}

static void
test_tickets_survive_a_reload(void)
{
    g_autoptr(ClvKmsService) service = parties_service(NULL);
    g_autoptr(Wanted) wanted = wanted_new(BOB);
    g_auto(Call) call = call_new(service, "alice", ALICE, wanted, BOB);
    g_autoptr(MikeyRequest) request = party_request("alice", ALICE, wanted, NOW_US);
    ClvKmsDecision decision;
    g_autoptr(GByteArray) first = ask_request(service, request, NOW_US, &decision);
    g_autoptr(GByteArray) again = NULL;

    clv_kms_service_reload(service, parties_keys("skew = 200s"));
    assert_call_works(&call, "bob", BOB, ALICE);
    again = ask_request(service, request, NOW_US, &decision); /* the memory stays */
    g_assert_true(decision.repeated);
}

static void
test_right_withdrawn_by_reload(void)
{
    g_autoptr(ClvKmsService) service = parties_service(NULL);
    g_autoptr(Wanted) wanted = wanted_new(FACTORY1);
    g_auto(Call) call = call_new(service, "alice", ALICE, wanted, FACTORY1);
    g_autoptr(MikeyResolve) resolve = party_resolve(call.offer, "conf1", FOCUS1, NOW_US);
    g_autofree char *text = parties_key_file(NULL);
    g_autofree char *changed = without(text, "secure-conference = yes", "secure-conference = no");

    clv_kms_service_reload(service, parse_keys(changed));
    assert_resolve_refused(service, resolve, NOW_US, 7, TRUE);
}

static void
test_tickets_of_a_removed_user(void)
{
    g_autoptr(ClvKmsService) service = parties_service(NULL);
    g_autoptr(Wanted) wanted = wanted_new(BOB);
    g_auto(Call) call = call_new(service, "alice", ALICE, wanted, BOB);
    g_autoptr(MikeyResolve) resolve = party_resolve(call.offer, "bob", BOB, NOW_US);
    g_autoptr(MikeyRequest) request = party_request("alice", ALICE, wanted, NOW_US);
    g_autofree char *text = parties_key_file(NULL);
    g_autofree char *renamed = without(text, "[user alice]", "[user alicia]");
    g_autofree char *changed = without(renamed, ALICE ";", "sip:alicia@example.org;");

    clv_kms_service_reload(service, parse_keys(changed));
    assert_resolve_refused(service, resolve, NOW_US, 7, TRUE);
    assert_request_refused(service, request, NOW_US, 0, FALSE);
}

/* ---- the log line ---- */

static void
assert_no_key_in(const char *text)
{
    static const char *const users[] = {"alice", "bob", "carol", "conf1", "conf2"};

    for (guint i = 0; i < G_N_ELEMENTS(users); i++) {
        MikeyKey psk = party_psk(users[i]);
        g_autofree char *base64 = g_base64_encode(psk.bytes, psk.len);
        g_autoptr(GString) hex = g_string_new(NULL);

        for (gsize n = 0; n < psk.len; n++)
            g_string_append_printf(hex, "%02x", psk.bytes[n]);
        g_assert_null(strstr(text, hex->str));
        g_assert_null(strstr(text, base64));
    }
}

static void
test_decision_says_who_and_why(void)
{
    g_autoptr(ClvKmsService) service = parties_service(NULL);
    g_autoptr(Wanted) wanted = wanted_new(FACTORY1);
    g_auto(Call) call = call_new(service, "alice", ALICE, wanted, FACTORY1);
    g_autoptr(MikeyResolve) resolve = party_resolve(call.offer, "conf1", FOCUS1, NOW_US);
    ClvKmsDecision decision;
    g_autoptr(GByteArray) answer = ask_resolve(service, resolve, NOW_US, &decision);
    g_autofree char *line =
        g_strjoin(" ", decision.user, decision.request, decision.subject, decision.rule, NULL);

    g_assert_cmpstr(line, ==,
                    "conf1 resolve " ALICE " -> " FOCUS1
                    " conference of service 'conf1', whose factory the ticket names");
    assert_no_key_in(line);
}

static void
test_decision_is_one_clean_line(void)
{
    g_autoptr(ClvKmsService) service = parties_service(NULL);
    g_autoptr(Wanted) wanted = wanted_new("sip:\n\x1b[2Jbob@example.org");
    g_autoptr(MikeyRequest) request =
        party_request("ali\nce", "sip:\r\nx@example.org", wanted, NOW_US);
    ClvKmsDecision decision;
    g_autoptr(GByteArray) answer = ask_request(service, request, NOW_US, &decision);

    assert_error(answer, &decision, 0, FALSE);
    g_assert_cmpstr(decision.user, ==, "ali?ce");
    g_assert_cmpstr(decision.subject, ==, "sip:??x@example.org -> sip:??[2Jbob@example.org");
}

/* ---- many at once ---- */

typedef struct Racer {
    ClvKmsService *service;
    const MikeyRequest *request;
    GByteArray *answer;
} Racer;

static gpointer
race(gpointer data)
{
    Racer *racer = data;
    ClvKmsDecision decision;

    racer->answer = ask_request(racer->service, racer->request, NOW_US, &decision);
    g_assert_true(decision.granted);
    return NULL;
}

/* The same octets from several threads at the same moment: one ticket, the same for all. */
static void
test_same_octets_at_once(void)
{
    g_autoptr(ClvKmsService) service = parties_service(NULL);
    g_autoptr(Wanted) wanted = wanted_new(BOB);
    ClvKmsServiceState state;

    for (guint round = 0; round < 50; round++) {
        g_autoptr(MikeyRequest) request = party_request("alice", ALICE, wanted, NOW_US);
        Racer racers[4];
        GThread *threads[4];

        for (guint i = 0; i < G_N_ELEMENTS(racers); i++) {
            racers[i] = (Racer){service, request, NULL};
            threads[i] = g_thread_new("racer", race, &racers[i]);
        }
        for (guint i = 0; i < G_N_ELEMENTS(racers); i++) {
            g_thread_join(threads[i]);
            assert_same(racers[0].answer, racers[i].answer);
        }
        for (guint i = 0; i < G_N_ELEMENTS(racers); i++)
            g_byte_array_unref(racers[i].answer);
    }
    clv_kms_service_state(service, &state);
    g_assert_cmpuint(state.granted, ==, 50);
    g_assert_cmpuint(state.repeated, ==, 150);
}

typedef struct Asker {
    ClvKmsService *service;
    const Call *call;
    gint *stop; /* atomic */
    guint n_granted;
} Asker;

static gpointer
ask_until_stopped(gpointer data)
{
    Asker *asker = data;
    g_autoptr(Wanted) wanted = wanted_new(BOB);

    do {
        MikeyGrant *grant = party_grant(asker->service, "alice", ALICE, wanted, NOW_US);
        MikeyResolution *resolution =
            resolve_granted(asker->service, asker->call->offer, "bob", BOB, NOW_US);

        mikey_grant_free(grant);
        mikey_resolution_free(resolution);
        asker->n_granted++;
    } while (!g_atomic_int_get(asker->stop));
    return NULL;
}

/* No request is lost or judged by half a file, and old tickets go on resolving. */
static void
test_reload_under_load(void)
{
    g_autoptr(ClvKmsService) service = parties_service(NULL);
    g_autoptr(Wanted) wanted = wanted_new(BOB);
    g_auto(Call) call = call_new(service, "alice", ALICE, wanted, BOB);
    gint stop = 0;
    Asker askers[3];
    GThread *threads[G_N_ELEMENTS(askers)];

    for (guint i = 0; i < G_N_ELEMENTS(askers); i++) {
        askers[i] = (Asker){service, &call, &stop, 0};
        threads[i] = g_thread_new("asker", ask_until_stopped, &askers[i]);
    }
    for (guint i = 0; i < 100; i++)
        clv_kms_service_reload(service, parties_keys(i % 2 == 0 ? "skew = 299s" : NULL));
    g_atomic_int_set(&stop, 1);
    for (guint i = 0; i < G_N_ELEMENTS(askers); i++) {
        g_thread_join(threads[i]);
        g_assert_cmpuint(askers[i].n_granted, >, 0);
    }
}

/* ---- how fast? ---- */

static void
test_speed(void)
{
    g_autoptr(ClvKmsService) service = parties_service(NULL);
    g_autoptr(Wanted) wanted = wanted_new(BOB);
    g_auto(Call) call = call_new(service, "alice", ALICE, wanted, BOB);
    const guint n = 5000;
    g_autofree MikeyResolve **resolves = g_new0(MikeyResolve *, n);
    g_autofree MikeyRequest **requests = g_new0(MikeyRequest *, n);
    ClvKmsDecision decision;
    gdouble request_s, resolve_s;

    for (guint i = 0; i < n; i++) {
        resolves[i] = party_resolve(call.offer, "bob", BOB, NOW_US);
        requests[i] = party_request("alice", ALICE, wanted, NOW_US);
    }
    g_test_timer_start();
    for (guint i = 0; i < n; i++) {
        g_byte_array_unref(ask_request(service, requests[i], NOW_US, &decision));
        g_assert_true(decision.granted);
    }
    request_s = g_test_timer_elapsed();
    g_test_timer_start();
    for (guint i = 0; i < n; i++) {
        g_byte_array_unref(ask_resolve(service, resolves[i], NOW_US, &decision));
        g_assert_true(decision.granted);
    }
    resolve_s = g_test_timer_elapsed();
    g_test_message("%.0f requests/s, %.0f resolves/s on one core", n / request_s, n / resolve_s);
    for (guint i = 0; i < n; i++) {
        mikey_resolve_free(resolves[i]);
        mikey_request_free(requests[i]);
    }
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/ticket-service/granted-as-asked", test_granted_as_asked);
    g_test_add_func("/ticket-service/names-and-end-are-filled-in",
                    test_names_and_end_are_filled_in);
    g_test_add_func("/ticket-service/user-without-psk-id-is-found-by-name",
                    test_user_without_psk_id_is_found_by_name);
    g_test_add_func("/ticket-service/lifetime-is-cut", test_lifetime_is_cut);
    g_test_add_func("/ticket-service/purposes-and-reuse-are-narrowed",
                    test_purposes_and_reuse_are_narrowed);
    g_test_add_func("/ticket-service/suite-128-when-allowed", test_suite_128_when_allowed);
    for (guint i = 0; i < G_N_ELEMENTS(request_cases); i++) {
        g_autofree char *name =
            g_strconcat("/ticket-service/request-refused/", request_cases[i].name, NULL);

        g_test_add_data_func(name, &request_cases[i], test_request_refused);
    }
    g_test_add_func("/ticket-service/request-refused/wrong-key", test_wrong_key);
    g_test_add_func("/ticket-service/request-refused/message-for-another-kms",
                    test_message_for_another_kms);
    g_test_add_func("/ticket-service/clock-skew", test_clock_skew);
    g_test_add_func("/ticket-service/wrong-kind-of-message", test_wrong_kind_of_message);
    g_test_add_func("/ticket-service/error-is-never-answered", test_error_is_never_answered);
    g_test_add_func("/ticket-service/every-truncation-is-refused",
                    test_every_truncation_is_refused);
    g_test_add_func("/ticket-service/every-flipped-bit-is-refused",
                    test_every_flipped_bit_is_refused);
    g_test_add_func("/ticket-service/retransmission-gets-the-same-answer",
                    test_retransmission_gets_the_same_answer);
    g_test_add_func("/ticket-service/refusal-is-repeated-as-well",
                    test_refusal_is_repeated_as_well);
    g_test_add_func("/ticket-service/memory-takes-authentic-messages-alone",
                    test_memory_takes_authentic_messages_alone);
    g_test_add_func("/ticket-service/full-memory-refuses-and-recovers",
                    test_full_memory_refuses_and_recovers);
    g_test_add_func("/ticket-service/named-responder-resolves", test_named_responder_resolves);
    g_test_add_func("/ticket-service/factory-ticket-opens-a-new-conference",
                    test_factory_ticket_opens_a_new_conference);
    g_test_add_func("/ticket-service/R112-R136-factory-alias-and-factory-itself",
                    test_factory_alias_and_factory_itself);
    g_test_add_func("/ticket-service/conference-system-calls-out",
                    test_conference_system_calls_out);
    g_test_add_func("/ticket-service/each-responder-gets-keys-of-his-own",
                    test_each_responder_gets_keys_of_his_own);
    for (guint i = 0; i < G_N_ELEMENTS(resolve_cases); i++) {
        g_autofree char *name =
            g_strconcat("/ticket-service/resolve-refused/", resolve_cases[i].name, NULL);

        g_test_add_data_func(name, &resolve_cases[i], test_resolve_refused);
    }
    g_test_add_func("/ticket-service/resolve-refused/ticket-of-another-kms",
                    test_ticket_of_another_kms);
    g_test_add_func("/ticket-service/resolve-refused/expired-ticket", test_expired_ticket);
    g_test_add_func("/ticket-service/resolve-refused/forged-initiator-data",
                    test_forged_initiator_data);
    g_test_add_func("/ticket-service/resolve-refused/tampered-ticket", test_tampered_ticket);
    g_test_add_func("/ticket-service/resolve-refused/every-flipped-bit",
                    test_every_flipped_bit_of_a_resolve_is_refused);
    g_test_add_func("/ticket-service/tickets-survive-a-reload", test_tickets_survive_a_reload);
    g_test_add_func("/ticket-service/right-withdrawn-by-reload", test_right_withdrawn_by_reload);
    g_test_add_func("/ticket-service/tickets-of-a-removed-user", test_tickets_of_a_removed_user);
    g_test_add_func("/ticket-service/decision-says-who-and-why", test_decision_says_who_and_why);
    g_test_add_func("/ticket-service/decision-is-one-clean-line", test_decision_is_one_clean_line);
    g_test_add_func("/ticket-service/same-octets-at-once", test_same_octets_at_once);
    g_test_add_func("/ticket-service/reload-under-load", test_reload_under_load);
    if (g_test_perf())
        g_test_add_func("/ticket-service/speed", test_speed);
    return g_test_run();
}
