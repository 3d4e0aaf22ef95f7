/* SPDX-License-Identifier: Apache-2.0 */
/* Which ticket may come with a REFER to the conference, and whom does it name? (5.5, 5.8 of the
 * conference digest)
 */
#include "config.h"

#include "ticket-world.h"

/* alice, with a ticket that names the conference, and a message without media. */
static Caller *
referrer_new(World *world)
{
    Caller *alice = caller_new(world, "alice", ALICE, FOCUS);

    alice->setup.n_lines = 0;
    alice->setup.n_profiles = 0;
    return alice;
}

static ClvSdp *
body_of(Caller *alice)
{
    ClvSdp *body = sdp_new(0);

    make_transfer(alice);
    add_session_line(body, line_of(transfer_of(alice)));
    return body;
}

/* Taken; @name is whom it names, NULL: nobody. Frees the caller. */
static void
assert_taken(Caller *alice, const char *name)
{
    ClvSdp *body = body_of(alice);
    Server *server = server_new(alice->world, CLV_PURPOSE_REFER, body);

    g_assert_cmpint(run(server), ==, CLV_KEYMGMT_DONE);
    g_assert_no_error(server->error);
    g_assert_cmpstr(server->out.identity, ==, ALICE);
    g_assert_cmpint(server->out.proof, ==, CLV_PROOF_TICKET);
    g_assert_false(server->out.has_media);
    g_assert_false(server->out.sets_allowed);
    g_assert_cmpuint(g_strv_length(server->out.ticket_names), ==, name != NULL ? 1 : 0);
    g_assert_cmpstr(server->out.ticket_names[0], ==, name);
    server_free(server);
    sdp_free(body);
    caller_free(alice);
}

static void
assert_not_taken(Caller *alice, ClvPurpose purpose, ClvCode code, gint number, const char *pattern)
{
    assert_refused_early(alice->world, purpose, body_of(alice), code, number, pattern);
    caller_free(alice);
}

static void
test_one_user(void)
{
    World *world = world_new();
    Caller *alice = referrer_new(world);

    add_responder(alice, CAROL);
    good_for(alice, "conclave:refer");
    assert_taken(alice, CAROL);
    alice = referrer_new(world);
    add_responder(alice, CAROL);
    assert_taken(alice, CAROL); /* good for anything */
    world_free(world);
}

static void
test_nobody_else(void)
{
    World *world = world_new();
    Caller *alice = referrer_new(world);

    good_for(alice, "conclave:refer");
    assert_taken(alice, NULL);
    world_free(world);
}

/* As application/mikey it stood in no SDP; one that has a list must have the right one. */
static void
test_list_of_protocols(void)
{
    World *world = world_new();
    Caller *alice = referrer_new(world);

    alice->setup.sdp_ids = mikey_bytes(NULL, 0);
    assert_taken(alice, NULL);
    alice = referrer_new(world);
    alice->setup.sdp_ids = mikey_bytes_str("mikey;keyp1");
    assert_not_taken(alice, CLV_PURPOSE_REFER, CLV_CODE_KEYMGMT_FAILED, 0, "*");
    world_free(world);
}

static void
test_too_many(void)
{
    World *world = world_new();
    Caller *alice = referrer_new(world);

    add_responder(alice, BOB);
    add_responder(alice, CAROL);
    assert_not_taken(alice, CLV_PURPOSE_REFER, CLV_CODE_TICKET_REFUSED, 15, "*names 3 responders*");
    world_free(world);
}

/* The user alone, or another conference, is not enough. */
static void
test_not_this_conference(void)
{
    World *world = world_new();
    Caller *alice = referrer_new(world);

    alice->responders[0] = mikey_identity_uri(CAROL);
    assert_not_taken(alice, CLV_PURPOSE_REFER, CLV_CODE_TICKET_REFUSED, 7, "*does not name*");
    alice = referrer_new(world);
    alice->responders[0] = mikey_identity_uri(FOCUS2);
    assert_not_taken(alice, CLV_PURPOSE_REFER, CLV_CODE_TICKET_REFUSED, 7, "*does not name*");
    alice = referrer_new(world);
    alice->responders[0] = mikey_identity_uri(FACTORY);
    assert_not_taken(alice, CLV_PURPOSE_REFER, CLV_CODE_TICKET_REFUSED, 7, "*does not name*");
    world_free(world);
}

static void
test_other_purposes(void)
{
    static const char *const purposes[] = {"conclave:join", "conclave:create", "conclave:allow",
                                           "conclave:subscribe", "conclave:refer2"};
    World *world = world_new();

    for (guint i = 0; i < G_N_ELEMENTS(purposes); i++) {
        Caller *alice = referrer_new(world);

        add_responder(alice, CAROL);
        good_for(alice, purposes[i]);
        assert_not_taken(alice, CLV_PURPOSE_REFER, CLV_CODE_TICKET_REFUSED, 15,
                         "*\"conclave:refer\"*");
    }
    world_free(world);
}

/* And what is for a REFER opens no other door. */
static void
test_good_for_nothing_else(void)
{
    static const ClvPurpose purposes[] = {CLV_PURPOSE_JOIN, CLV_PURPOSE_ALLOW};
    World *world = world_new();
    Caller *alice;

    for (guint i = 0; i < G_N_ELEMENTS(purposes); i++) {
        alice = referrer_new(world);
        good_for(alice, "conclave:refer");
        assert_not_taken(alice, purposes[i], CLV_CODE_TICKET_REFUSED, 15, "*is not good for*");
    }
    alice = referrer_new(world);
    alice->setup.responder = mikey_identity_uri(FACTORY);
    alice->responders[0] = mikey_identity_uri(FACTORY);
    good_for(alice, "conclave:refer");
    assert_not_taken(alice, CLV_PURPOSE_CREATE, CLV_CODE_TICKET_REFUSED, 15, "*is not good for*");
    world_free(world);
}

/* The creation ticket, which may be used again to join, is no ticket for a REFER. */
static void
test_creation_ticket(void)
{
    World *world = world_new();
    Caller *alice = referrer_new(world);
    ClvSdp *body;
    Server *server;
    g_autofree char *hash = NULL;

    alice->responders[0] = mikey_identity_uri(FACTORY);
    alice->setup.responder = mikey_identity_uri(FACTORY);
    alice->policy.flags |= MIKEY_FLAG_J;
    body = body_of(alice);
    server = server_new(world, CLV_PURPOSE_CREATE, body);
    g_assert_cmpint(run(server), ==, CLV_KEYMGMT_DONE);
    hash = g_strdup(server->out.ticket_hash);
    server_free(server);
    sdp_free(body);

    alice->setup.csb_id++;
    alice->setup.responder = mikey_identity_uri(FOCUS);
    body = body_of(alice);
    server = server_new(world, CLV_PURPOSE_REFER, body);
    server->setup.creation_ticket = hash;
    assert_refused(server, open_and_ask(server), CLV_CODE_TICKET_REFUSED, 7, "*does not name*");
    sdp_free(body);
    caller_free(alice);
    world_free(world);
}

static void
test_with_media(void)
{
    World *world = world_new();
    Caller *alice = caller_new(world, "alice", ALICE, FOCUS);

    make_transfer(alice);
    assert_refused_early(world, CLV_PURPOSE_REFER, sdp_with(transfer_of(alice)),
                         CLV_CODE_KEYMGMT_FAILED, 13, "*keys no m-line*");
    caller_free(alice);
    world_free(world);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/ticket-refer/names-the-conference-and-one-user", test_one_user);
    g_test_add_func("/ticket-refer/names-the-conference-alone", test_nobody_else);
    g_test_add_func("/ticket-refer/the-list-of-protocols-may-be-missing", test_list_of_protocols);
    g_test_add_func("/ticket-refer/more-names-are-refused", test_too_many);
    g_test_add_func("/ticket-refer/the-conference-must-be-named", test_not_this_conference);
    g_test_add_func("/ticket-refer/other-purposes-are-refused", test_other_purposes);
    g_test_add_func("/ticket-refer/is-good-for-nothing-else", test_good_for_nothing_else);
    g_test_add_func("/ticket-refer/the-creation-ticket-is-none", test_creation_ticket);
    g_test_add_func("/ticket-refer/keys-no-media", test_with_media);
    return g_test_run();
}
