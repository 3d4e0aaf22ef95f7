/* SPDX-License-Identifier: Apache-2.0 */
/* Do scheme and KMS agree about who may do what?
 *
 * Callers and scheme as in test-mikey-ticket, with the ticket service of the kms room in place of
 * a plain KMS: its key file, its rules, its memory.
 */
#include "config.h"

#include "kms/keyfile.h"
#include "kms/relay.h"
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

/* ---- two KMSs: callers have one, the server's own is another ---- */

#define OWN_KMS "sip:kms@visited.example"
#define KEY "psk = 8f1e2d3c4b5a69788796a5b4c3d2e1f00f1e2d3c4b5a69788796a5b4c3d2e1f0\n"
#define BETWEEN KEY "identities = any\n"

typedef struct Two {
    World *world;
    ClvKmsService *home, *own;
    gboolean home_is_down;
} Two;

static ClvKmsService *
service_of(World *world, const char *uri, const char *const *users, const char *rest)
{
    g_autoptr(GString) text = g_string_new(NULL);
    g_autoptr(GPtrArray) errors = g_ptr_array_new_with_free_func(g_free);
    ClvKmsKeyFile *keys;

    g_string_append_printf(text, "[kms]\nuri = %s\n", uri);
    for (guint i = 0; users[i] != NULL; i++) {
        MikeyKey psk = psk_of(users[i], strlen(users[i]));
        g_autofree char *base64 = g_base64_encode(psk.bytes, psk.len);

        g_string_append_printf(text, "[user %s]\npsk = base64:%s\nmay-request = any\n", users[i],
                               base64);
    }
    g_string_append(text, rest);
    keys = clv_kms_keyfile_parse("two", text->str, text->len, errors);
    if (errors->len > 0)
        g_error("%s", (const char *)errors->pdata[0]);
    for (guint i = 0; i < keys->peers->len; i++) /* files are not read from memory */
        g_ptr_array_add(((ClvKmsPeer *)keys->peers->pdata[i])->urls, g_strdup("https://x/"));
    return clv_kms_service_new(keys, world_random, world);
}

/* Callers ask at home; what the server asks its own KMS goes there by a relay. */
static GByteArray *
two_kmss(World *world, ClvKmsRequest request, MikeyBytes question)
{
    Two *two = world->kms_user;
    g_autoptr(GByteArray) between = NULL;
    ClvKmsDecision decision;
    ClvKmsRelay *relay = NULL;
    const guint8 *octets;
    GByteArray *answer;
    gsize len;

    if (request == CLV_KMS_TICKET_REQUEST)
        return clv_kms_service_handle(two->home, request, question.data, question.len,
                                      world->now_us, &decision);
    answer = clv_kms_service_begin(two->own, request, question.data, question.len, world->now_us,
                                   NULL, &decision, &relay);
    if (relay == NULL)
        return answer;
    clv_kms_relay_octets(relay, &octets, &len);
    if (!two->home_is_down)
        between = clv_kms_service_handle_from(two->home, request, octets, len, world->now_us,
                                              "peer visited", &decision);
    return clv_kms_service_finish(relay, between != NULL ? CLV_CODE_OK : CLV_CODE_KMS_TIMEOUT,
                                  between, "gone", world->now_us, &decision);
}

static Two *
two_new(const char *peers_of_own, const char *peers_of_home)
{
    static const char *const callers[] = {"bob", NULL};
    static const char *const servers[] = {"conf1", NULL};
    g_autofree char *own =
        g_strconcat("[service conf1]\nuser = conf1\nhost = operator.example\n", peers_of_own, NULL);
    Two *two = g_new0(Two, 1);

    two->world = world_new();
    two->world->kms = two_kmss;
    two->world->kms_user = two;
    two->world->config.kms_uri = OWN_KMS;
    two->world->config.foreign_kms = TRUE;
    two->home = service_of(two->world, KMS, callers, peers_of_home);
    two->own = service_of(two->world, OWN_KMS, servers, own);
    return two;
}

static void
two_free(Two *two)
{
    clv_kms_service_free(two->home);
    clv_kms_service_free(two->own);
    world_free(two->world);
    g_free(two);
}

#define BOB_IS_HERE                                                                                \
    "[service none]\nuser = bob\nfactory = sip:f@none.example\nconferences = " BOB "\n"
#define PEER_HOME "[peer home]\nuri = " KMS "\n" BETWEEN
#define PEER_OWN "[peer visited]\nuri = " OWN_KMS "\n" BETWEEN

static void
test_ticket_of_another_kms(void)
{
    static const struct {
        const char *own, *home;
        gboolean allowed, down;
        ClvCode code; /* OK: the call works */
        const char *says;
    } cases[] = {
        {PEER_HOME, BOB_IS_HERE PEER_OWN, TRUE, FALSE, CLV_CODE_OK, NULL},
        {PEER_HOME, BOB_IS_HERE PEER_OWN, FALSE, FALSE, CLV_CODE_FORBIDDEN, "*foreign KMS*"},
        {PEER_HOME, BOB_IS_HERE PEER_OWN, TRUE, TRUE, CLV_CODE_KMS_DOWN, "*no answer to ours*"},
        {PEER_HOME, BOB_IS_HERE, TRUE, FALSE, CLV_CODE_KMS_DOWN, "*no answer to ours*"},
        {"", BOB_IS_HERE PEER_OWN, TRUE, FALSE, CLV_CODE_FORBIDDEN, "*none that ours knows*"},
        {PEER_HOME, BOB_IS_HERE "[peer visited]\nuri = " OWN_KMS "\nidentities = nobody\n" KEY,
         TRUE, FALSE, CLV_CODE_FORBIDDEN, "*entitle*"},
    };

    for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
        Two *two = two_new(cases[i].own, cases[i].home);
        Caller *bob = caller_new(two->world, "bob", BOB, FOCUS);

        g_test_message("case %u", i);
        two->world->config.foreign_kms = cases[i].allowed;
        two->home_is_down = cases[i].down;
        make_transfer(bob);
        if (cases[i].code == CLV_CODE_OK)
            assert_call_works(bob, CLV_PURPOSE_JOIN);
        else if (!cases[i].allowed)
            assert_refused_early(two->world, CLV_PURPOSE_JOIN, sdp_with(transfer_of(bob)),
                                 cases[i].code, -1, cases[i].says);
        else
            assert_refused_late(two->world, CLV_PURPOSE_JOIN, sdp_with(transfer_of(bob)),
                                cases[i].code, -1, cases[i].says);
        caller_free(bob);
        two_free(two);
    }
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/ticket-kms/a-conference-is-created-and-joined", test_conference);
    g_test_add_func("/ticket-kms/created-by-an-alias-of-the-factory", test_alias);
    g_test_add_func("/ticket-kms/R097-the-creator-joins-again", test_creation_ticket_again);
    g_test_add_func("/ticket-kms/R117-lost-rights-are-forbidden", test_rights_lost);
    g_test_add_func("/ticket-kms/conferences-of-another-service", test_another_service);
    g_test_add_func("/ticket-kms/R083-R126-our-own-key-is-wrong", test_wrong_key_of_ours);
    g_test_add_func("/ticket-kms/clocks-that-differ", test_clocks);
    g_test_add_func("/ticket-kms/a-question-sent-again", test_question_again);
    g_test_add_func("/ticket-kms/R089-R133-a-responder-poses-as-the-owner", test_forger);
    g_test_add_func("/ticket-kms/R095-no-shared-keys-for-many", test_shared_keys);
    g_test_add_func("/ticket-kms/ticket-of-another-kms-by-a-relay-or-403-or-503",
                    test_ticket_of_another_kms);
    return g_test_run();
}
