/* SPDX-License-Identifier: Apache-2.0 */
/* Do scheme and KMS agree about who may do what?
 *
 * Callers and scheme as in test-mikey-ticket, with the ticket service of the kms room in place of
 * a plain KMS: its key file, its rules, its memory.
 */
#include "config.h"

#include "ticket-town.h"

/* alice with a ticket for a conference with bob and carol, on the phone to the factory */
static Caller *
alice_creates(Town *town)
{
    Caller *alice = caller_new(town->world, "alice", ALICE, FACTORY);

    add_responder(alice, BOB);
    add_responder(alice, CAROL);
    good_for(alice, "conclave:create");
    alice->policy.flags |= MIKEY_FLAG_J;
    make_transfer(alice);
    return alice;
}

static void
test_conference(void)
{
    Town *town = town_new();
    Caller *alice = alice_creates(town);
    Caller *bob = caller_new(town->world, "bob", BOB, FOCUS);

    assert_call_works(alice, CLV_PURPOSE_CREATE);
    g_assert_true(town->decision.granted);
    good_for(bob, "conclave:join");
    make_transfer(bob);
    assert_call_works(bob, CLV_PURPOSE_JOIN);
    caller_free(bob);
    caller_free(alice);
    town_free(town);
}

static void
test_alias(void)
{
    Town *town = town_new();
    Caller *alice = caller_new(town->world, "alice", ALICE, ALIAS);

    good_for(alice, "conclave:create");
    make_transfer(alice);
    assert_call_works(alice, CLV_PURPOSE_CREATE);
    caller_free(alice);
    town_free(town);
}

static void
test_creation_ticket_again(void)
{
    Town *town = town_new();
    Caller *alice = alice_creates(town);
    g_autofree char *hash = NULL;
    ClvSdp *sdp = sdp_with(transfer_of(alice));
    Server *server = server_new(town->world, CLV_PURPOSE_CREATE, sdp);

    assert_works(alice, server, 1);
    hash = g_strdup(server->out.ticket_hash);
    server_free(server);
    sdp_free(sdp);

    alice->setup.csb_id++;
    alice->setup.responder = mikey_identity_uri(FOCUS);
    make_transfer(alice);
    sdp = sdp_with(transfer_of(alice));
    server = server_new(town->world, CLV_PURPOSE_JOIN, sdp);
    server->setup.creation_ticket = hash;
    assert_works(alice, server, 1);
    server_free(server);
    sdp_free(sdp);
    caller_free(alice);
    town_free(town);
}

/* The right to set up conferences, or the whole user, is gone since the ticket was made. */
static void
test_rights_lost(void)
{
    static const char *const now[] = {"secure-conference = no\n", NULL};

    for (guint i = 0; i < G_N_ELEMENTS(now); i++) {
        Town *town = town_new();
        Caller *alice = alice_creates(town);

        clv_kms_service_reload(town->service, key_file(now[i], "may-request = any\n"));
        assert_refused_late(town->world, CLV_PURPOSE_CREATE, sdp_with(transfer_of(alice)),
                            CLV_CODE_FORBIDDEN, -1, "*entitle*authentic*");
        caller_free(alice);
        town_free(town);
    }
}

/* conf1's key does not open conferences of conf2. */
static void
test_another_service(void)
{
    static const char conf2_focus[] = "sip:c7h2kq4x.conf2@operator.example";
    Town *town = town_new();
    Caller *bob = caller_new(town->world, "bob", BOB, conf2_focus);
    ClvSdp *sdp;
    Server *server;

    make_transfer(bob);
    sdp = sdp_with(transfer_of(bob));
    server = server_new(town->world, CLV_PURPOSE_JOIN, sdp);
    server->setup.focus_uri = conf2_focus;
    assert_refused(server, run(server), CLV_CODE_FORBIDDEN, -1, "*error 7*");
    sdp_free(sdp);
    caller_free(bob);
    town_free(town);
}

static void
test_wrong_key_of_ours(void)
{
    Town *town = town_new();
    Caller *bob = caller_new(town->world, "bob", BOB, FOCUS);

    make_transfer(bob);
    town->world->server_psk[0] ^= 1;
    assert_refused_late(town->world, CLV_PURPOSE_JOIN, sdp_with(transfer_of(bob)),
                        CLV_CODE_INTERNAL, -1, "ALARM*credentials*");
    g_assert_false(town->decision.authenticated);
    caller_free(bob);
    town_free(town);
}

static void
test_clocks(void)
{
    Town *town = town_new();
    Caller *bob = caller_new(town->world, "bob", BOB, FOCUS);

    make_transfer(bob);
    town->kms_ahead_us = 301 * G_USEC_PER_SEC;
    assert_refused_late(town->world, CLV_PURPOSE_JOIN, sdp_with(transfer_of(bob)),
                        CLV_CODE_KEYMGMT_FAILED, 1, "*clocks*");
    town->kms_ahead_us = 299 * G_USEC_PER_SEC;
    assert_call_works(bob, CLV_PURPOSE_JOIN);
    caller_free(bob);
    town_free(town);
}

/* A question that is sent again, after a broken connection, has the answer of the first time. */
static void
test_question_again(void)
{
    Town *town = town_new();
    Caller *bob = caller_new(town->world, "bob", BOB, FOCUS);
    ClvSdp *sdp;
    Server *server;
    g_autoptr(GByteArray) lost = NULL;
    g_autoptr(GByteArray) answer = NULL;

    make_transfer(bob);
    sdp = sdp_with(transfer_of(bob));
    server = server_new(town->world, CLV_PURPOSE_JOIN, sdp);
    g_assert_cmpint(open_and_ask(server), ==, CLV_KEYMGMT_WANT_KMS);
    lost = kms_answer_to(server);
    answer = kms_answer_to(server);
    g_assert_true(town->decision.repeated);
    g_assert_cmpmem(answer->data, answer->len, lost->data, lost->len);
    g_assert_cmpint(step(server, answer->data, answer->len), ==, CLV_KEYMGMT_DONE);
    server_free(server);
    sdp_free(sdp);
    caller_free(bob);
    town_free(town);
}

/* carol, who is named in alice's ticket, poses as alice. */
static void
test_forger(void)
{
    Town *town = town_new();
    Caller *alice = alice_creates(town);
    Caller *carol = caller_new(town->world, "carol", ALICE, FACTORY);
    MikeyKey guessed = {.len = 32};

    g_assert_cmpint(mikey_grant_new(mikey_grant_ticket(alice->grant),
                                    mikey_grant_mpki(alice->grant), &guessed,
                                    mikey_grant_key(alice->grant, 0), 1, &carol->grant),
                    ==, MIKEY_OK);
    make_transfer(carol);
    assert_refused_late(town->world, CLV_PURPOSE_CREATE, sdp_with(transfer_of(carol)),
                        CLV_CODE_KEYMGMT_FAILED, 0, "*forged*");
    g_assert_true(town->decision.authenticated); /* it was not our credentials */
    caller_free(carol);
    caller_free(alice);
    town_free(town);
}

/* The service itself does not make tickets with one key for many. */
static void
test_shared_keys(void)
{
    Town *town = town_new();
    Caller *alice = caller_new(town->world, "alice", ALICE, FACTORY);

    add_responder(alice, BOB);
    wish_for(alice, MIKEY_KEY_TEK_SALT, 16, 14);
    g_assert_cmpint(try_ticket(alice), ==, MIKEY_PEER_ERROR);
    g_assert_false(town->decision.granted);
    caller_free(alice);
    town_free(town);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/ticket-kms/a-conference-is-created-and-joined", test_conference);
    g_test_add_func("/ticket-kms/created-by-an-alias-of-the-factory", test_alias);
    g_test_add_func("/ticket-kms/the-creator-joins-again", test_creation_ticket_again);
    g_test_add_func("/ticket-kms/lost-rights-are-forbidden", test_rights_lost);
    g_test_add_func("/ticket-kms/conferences-of-another-service", test_another_service);
    g_test_add_func("/ticket-kms/our-own-key-is-wrong", test_wrong_key_of_ours);
    g_test_add_func("/ticket-kms/clocks-that-differ", test_clocks);
    g_test_add_func("/ticket-kms/a-question-sent-again", test_question_again);
    g_test_add_func("/ticket-kms/a-responder-poses-as-the-owner", test_forger);
    g_test_add_func("/ticket-kms/no-shared-keys-for-many", test_shared_keys);
    return g_test_run();
}
