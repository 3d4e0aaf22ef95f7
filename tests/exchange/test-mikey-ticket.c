/* SPDX-License-Identifier: Apache-2.0 */
/* Who gets keys by a ticket, who is refused, and how?
 *
 *   caller (libmikey)        scheme (plugins/keymgmt)        KMS (libmikey's side of it)
 *     |--- REQUEST_INIT --------------------------------------->|
 *     |<-- REQUEST_RESP with ticket ----------------------------|
 *     |--- TRANSFER_INIT in SDP --->|--- RESOLVE_INIT --------->|
 *     |<-- TRANSFER_RESP in SDP ----|<-- RESOLVE_RESP ----------|
 */
#include "config.h"

#include "ticket-world.h"

/* ---- calls that work ---- */

static void
test_creation(void)
{
    World *world = world_new();
    Caller *alice = caller_new(world, "alice", ALICE, FACTORY);
    ClvSdp *sdp;
    Server *server;

    add_responder(alice, BOB);
    add_responder(alice, "tel:+49-30-123456");
    good_for(alice, "conclave:create");
    make_transfer(alice);
    sdp = sdp_with(transfer_of(alice));
    server = server_new(world, CLV_PURPOSE_CREATE, sdp);
    assert_works(alice, server, 1);
    g_assert_true(server->out.answer_at_session);
    g_assert_cmpint(server->out.rx.suite, ==, CLV_SRTP_AEAD_AES_256_GCM);
    g_assert_cmpuint(g_strv_length(server->out.ticket_names), ==, 2);
    g_assert_cmpstr(server->out.ticket_names[0], ==, BOB);
    g_assert_cmpstr(server->out.ticket_names[1], ==, "tel:+4930123456");
    g_assert_cmpuint(clv_replay_size(world->replay), ==, 2);

    server_free(server);
    sdp_free(sdp);
    caller_free(alice);
    world_free(world);
}

static void
test_creation_by_alias(void)
{
    World *world = world_new();
    Caller *alice = caller_new(world, "alice", ALICE, ALIAS);

    make_transfer(alice);
    assert_call_works(alice, CLV_PURPOSE_CREATE);
    caller_free(alice);
    world_free(world);
}

static void
test_dial_in(void)
{
    World *world = world_new();
    Caller *bob = caller_new(world, "bob", BOB, FOCUS);

    good_for(bob, "conclave:join");
    make_transfer(bob);
    assert_call_works(bob, CLV_PURPOSE_JOIN);
    caller_free(bob);
    world_free(world);
}

/* The short suite works when it is allowed, and only then. */
static void
test_suite_128(void)
{
    World *world = world_new();
    Caller *bob = caller_new(world, "bob", BOB, FOCUS);

    bob->policy.prf = MIKEY_PRF_MIKEY_1;
    make_transfer(bob);
    assert_refused_early(world, CLV_PURPOSE_JOIN, sdp_with(transfer_of(bob)),
                         CLV_CODE_KEYMGMT_FAILED, 2, "*TRANSFER_INIT*");
    world->config.allow_128 = TRUE;
    assert_call_works(bob, CLV_PURPOSE_JOIN);
    caller_free(bob);
    world_free(world);
}

static void
test_every_srtp_suite(void)
{
    for (guint suite = CLV_SRTP_NONE + 1; suite < CLV_N_SRTP_SUITES; suite++) {
        ClvSrtpSuite only[] = {(ClvSrtpSuite)suite, CLV_SRTP_NONE};
        World *world = world_new();
        Caller *bob = caller_new(world, "bob", BOB, FOCUS);
        ClvSdp *sdp;
        Server *server;

        bob->setup.n_profiles = 6;
        for (guint i = 0; i < 6; i++)
            bob->profiles[i] = (MikeySrtpProfile)(i + 1);
        make_transfer(bob);
        sdp = sdp_with(transfer_of(bob));
        server = server_new(world, CLV_PURPOSE_JOIN, sdp);
        server->setup.suites = only;
        assert_works(bob, server, 1);
        g_assert_cmpint(server->out.rx.suite, ==, (ClvSrtpSuite)suite);
        g_assert_cmpint(server->out.tx.suite, ==, (ClvSrtpSuite)suite);
        server_free(server);
        sdp_free(sdp);
        caller_free(bob);
        world_free(world);
    }
}

/* An offer that leaves the policy to us gets our best one. */
static void
test_policy_left_to_us(void)
{
    World *world = world_new();
    Caller *bob = caller_new(world, "bob", BOB, FOCUS);
    ClvSdp *sdp;
    Server *server;

    bob->setup.n_profiles = 0;
    make_transfer(bob);
    sdp = sdp_with(transfer_of(bob));
    server = server_new(world, CLV_PURPOSE_JOIN, sdp);
    g_assert_cmpint(run(server), ==, CLV_KEYMGMT_DONE);
    g_assert_cmpint(server->out.tx.suite, ==, CLV_SRTP_AEAD_AES_256_GCM);
    server_free(server);
    sdp_free(sdp);
    caller_free(bob);
    world_free(world);
}

/* Ours is the second of two m-lines; the first has keys of its own, which we leave alone. */
static void
test_two_lines(void)
{
    World *world = world_new();
    Caller *bob = caller_new(world, "bob", BOB, FOCUS);
    ClvSdp *sdp = sdp_new(2);
    Server *server;

    bob->setup.n_lines = 2;
    bob->lines[1] = (MikeyLine){.keyed = true, .ssrc = THEIR_SSRC + 1};
    make_transfer(bob);
    add_session_line(sdp, line_of(transfer_of(bob)));
    server = server_new(world, CLV_PURPOSE_JOIN, sdp);
    server->setup.media_index = 1;
    assert_works(bob, server, 2);
    server_free(server);
    sdp_free(sdp);
    caller_free(bob);
    world_free(world);
}

/* At media level, where the sessions may be counted from 1; the answer goes there, too. */
static void
test_media_level(void)
{
    World *world = world_new();
    Caller *bob = caller_new(world, "bob", BOB, FOCUS);
    ClvSdp *sdp = sdp_new(2);
    Server *server;

    make_transfer(bob);
    add_media_line(sdp, 1, line_of(transfer_of(bob)));
    g_assert_true(clv_mikey_ticket_ops.offered(sdp, 1));
    g_assert_false(clv_mikey_ticket_ops.offered(sdp, 0));
    g_assert_false(clv_mikey_ticket_ops.offered(sdp, G_MAXUINT));
    server = server_new(world, CLV_PURPOSE_JOIN, sdp);
    server->setup.media_index = 1;
    assert_works(bob, server, 1);
    g_assert_false(server->out.answer_at_session);
    server_free(server);
    sdp_free(sdp);
    caller_free(bob);
    world_free(world);
}

/* A line at media level stands in place of the one at session level. */
static void
test_media_level_wins(void)
{
    World *world = world_new();
    Caller *bob = caller_new(world, "bob", BOB, FOCUS);
    Caller *other = caller_new(world, "bob", BOB, FOCUS2);
    ClvSdp *sdp = sdp_new(1);
    Server *server;

    make_transfer(bob);
    make_transfer(other);
    add_session_line(sdp, line_of(transfer_of(other)));
    add_media_line(sdp, 0, line_of(transfer_of(bob)));
    server = server_new(world, CLV_PURPOSE_JOIN, sdp);
    assert_works(bob, server, 1);
    g_assert_false(server->out.answer_at_session);
    server_free(server);
    sdp_free(sdp);
    caller_free(other);
    caller_free(bob);
    world_free(world);
}

/* An offer without media creates a conference and keys nothing. */
static void
test_creation_alone(void)
{
    World *world = world_new();
    Caller *alice = caller_new(world, "alice", ALICE, FACTORY);
    ClvSdp *sdp = sdp_new(0);
    Server *server;

    alice->setup.n_lines = 0;
    alice->setup.n_profiles = 0;
    make_transfer(alice);
    add_session_line(sdp, line_of(transfer_of(alice)));
    server = server_new(world, CLV_PURPOSE_CREATE, sdp);
    g_assert_cmpint(run(server), ==, CLV_KEYMGMT_DONE);
    g_assert_no_error(server->error);
    g_assert_false(server->out.has_media);
    g_assert_cmpuint(server->out.rx.key_len, ==, 0);
    g_assert_cmpstr(server->out.identity, ==, ALICE);
    mikey_bundle_free(take_answer(alice, server));
    server_free(server);
    sdp_free(sdp);
    caller_free(alice);
    world_free(world);
}

/* The creation ticket may be used again to join its own conference if its J flag is set; each
 * time the KMS is asked. */
static void
check_ticket_again(guint32 j_flag)
{
    World *world = world_new();
    Caller *alice = caller_new(world, "alice", ALICE, FACTORY);
    g_autofree char *hash = NULL;
    ClvSdp *sdp;
    Server *server;

    add_responder(alice, BOB);
    good_for(alice, "conclave:create");
    alice->policy.flags |= j_flag;
    make_transfer(alice);
    sdp = sdp_with(transfer_of(alice));
    server = server_new(world, CLV_PURPOSE_CREATE, sdp);
    assert_works(alice, server, 1);
    hash = g_strdup(server->out.ticket_hash);
    server_free(server);
    sdp_free(sdp);

    alice->setup.csb_id++;
    alice->setup.responder = mikey_identity_uri(FOCUS);
    make_transfer(alice);
    sdp = sdp_with(transfer_of(alice));
    server = server_new(world, CLV_PURPOSE_JOIN, sdp);
    server->setup.creation_ticket = hash;
    if (j_flag != 0) {
        assert_works(alice, server, 1);
        g_assert_cmpuint(world->n_resolved, ==, 2);
        g_assert_cmpstr(server->out.ticket_hash, ==, hash);
        server_free(server);
    } else {
        assert_refused(server, open_and_ask(server), CLV_CODE_TICKET_REFUSED, 7, "*does not name*");
    }
    sdp_free(sdp);

    /* for a conference that was made otherwise it is no ticket */
    alice->setup.csb_id++;
    make_transfer(alice);
    sdp = sdp_with(transfer_of(alice));
    server = server_new(world, CLV_PURPOSE_JOIN, sdp);
    server->setup.creation_ticket = "00112233";
    assert_refused(server, open_and_ask(server), CLV_CODE_TICKET_REFUSED, 7, "*does not name*");
    sdp_free(sdp);
    caller_free(alice);
    world_free(world);
}

/* Whose list may replace the allowed set is for the conference to say; here: which ticket has one.
 */
static void
test_tickets_that_bring_a_list(void)
{
    static const struct {
        const char *purposes[2];
        gboolean more; /* names somebody besides the conference */
        gboolean brings;
    } cases[] = {
        {{NULL, NULL}, TRUE, TRUE}, /* good for anything */
        {{NULL, NULL}, FALSE, FALSE},
        {{"conclave:join", "conclave:allow"}, TRUE, TRUE},
        {{"conclave:join", "conclave:allow"}, FALSE, FALSE},
        {{"conclave:join", NULL}, TRUE, FALSE},
        {{"conclave:allow", NULL}, TRUE, TRUE},
        {{"conclave:allow", "conclave:create"}, TRUE, TRUE},
    };

    for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
        World *world = world_new();
        Caller *alice = caller_new(world, "alice", ALICE, FOCUS);
        MikeyIdentity purposes[2];
        Server *server;
        ClvSdp *sdp;

        alice->policy.applications = purposes;
        for (guint k = 0; k < 2 && cases[i].purposes[k] != NULL; k++)
            purposes[alice->policy.n_applications++] =
                mikey_identity_bytes(mikey_bytes_str(cases[i].purposes[k]));
        if (cases[i].more)
            add_responder(alice, BOB);
        make_transfer(alice);
        sdp = sdp_with(transfer_of(alice));
        server = server_new(world, CLV_PURPOSE_JOIN, sdp);
        assert_works(alice, server, 1);
        g_assert_cmpint(server->out.sets_allowed, ==, cases[i].brings);
        server_free(server);
        sdp_free(sdp);
        caller_free(alice);
        world_free(world);
    }
}

static void
test_creation_ticket_again(void)
{
    check_ticket_again(MIKEY_FLAG_J);
    check_ticket_again(0);
}

static void
test_several_protocols(void)
{
    World *world = world_new();
    Caller *bob = caller_new(world, "bob", BOB, FOCUS);
    ClvSdp *sdp = sdp_new(1);
    Server *server;

    bob->setup.sdp_ids = mikey_bytes_str("keyp1;mikey");
    make_transfer(bob);
    add_session_line(sdp, g_strdup("keyp1 AAAA"));
    add_session_line(sdp, line_of(transfer_of(bob)));
    server = server_new(world, CLV_PURPOSE_JOIN, sdp);
    assert_works(bob, server, 1);
    server_free(server);
    sdp_free(sdp);
    caller_free(bob);
    world_free(world);
}

/* A TEK is fine in a ticket that names this conference alone; then both directions have one key,
 * and must not have one SSRC. */
static void
test_tek_for_one(void)
{
    World *world = world_new();
    Caller *bob = caller_new(world, "bob", BOB, FOCUS);
    MikeyBundle *bundle;
    ClvSdp *sdp;
    Server *server;

    wish_for(bob, MIKEY_KEY_TEK_SALT, 16, 14);
    bob->setup.n_profiles = 1;
    make_transfer(bob);
    sdp = sdp_with(transfer_of(bob));
    server = server_new(world, CLV_PURPOSE_JOIN, sdp);
    g_assert_cmpint(run(server), ==, CLV_KEYMGMT_DONE);
    bundle = take_answer(bob, server);
    assert_same_keys(&server->out.rx, bundle, 1, THEIR_SSRC);
    assert_same_keys(&server->out.tx, bundle, 2, OUR_SSRC);
    g_assert_cmpmem(server->out.rx.key, 16, server->out.tx.key, 16);
    mikey_bundle_free(bundle);
    server_free(server);
    sdp_free(sdp);

    bob->setup.csb_id++;
    bob->lines[0].ssrc = OUR_SSRC;
    make_transfer(bob);
    assert_refused_late(world, CLV_PURPOSE_JOIN, sdp_with(transfer_of(bob)),
                        CLV_CODE_KEYMGMT_FAILED, 13, "*one SSRC for both*");
    caller_free(bob);
    world_free(world);
}

/* L and one responder: the caller may bring the key of his stream himself. */
static void
test_key_of_the_caller(void)
{
    World *world = world_new();
    Caller *bob = caller_new(world, "bob", BOB, FOCUS);
    MikeyKeyData key = {.type = MIKEY_KEY_TEK_SALT,
                        .kv = MIKEY_KV_SPI,
                        .spi_len = 4,
                        .spi = {1, 2, 3, 4},
                        .key = {.bytes = "0123456789abcdef", .len = 16},
                        .salt = {.bytes = "0123456789abcd", .len = 14}};
    ClvSdp *sdp;
    Server *server;
    MikeyBundle *bundle;

    bob->policy.flags |= MIKEY_FLAG_L;
    bob->setup.keys = &key;
    bob->setup.n_keys = 1;
    bob->setup.n_profiles = 1;
    bob->lines[0].spi_offerer = mikey_bytes(key.spi, key.spi_len);
    make_transfer(bob);
    sdp = sdp_with(transfer_of(bob));
    server = server_new(world, CLV_PURPOSE_JOIN, sdp);
    g_assert_cmpint(run(server), ==, CLV_KEYMGMT_DONE);
    g_assert_no_error(server->error);
    g_assert_cmpmem(server->out.rx.key, server->out.rx.key_len, key.key.bytes, 16);
    g_assert_cmpmem(server->out.rx.mki, server->out.rx.mki_len, key.spi, 4);
    bundle = take_answer(bob, server);
    assert_same_keys(&server->out.rx, bundle, 1, THEIR_SSRC);
    assert_same_keys(&server->out.tx, bundle, 2, OUR_SSRC);
    mikey_bundle_free(bundle);
    server_free(server);
    sdp_free(sdp);
    caller_free(bob);
    world_free(world);
}

static void
test_offer_id(void)
{
    World *world = world_new();
    Caller *bob = caller_new(world, "bob", BOB, FOCUS);
    ClvSdp *first, *again, *other, *none = sdp_new(1);
    g_autofree char *id_first = NULL;
    g_autofree char *id_again = NULL;
    g_autofree char *id_other = NULL;

    make_transfer(bob);
    first = sdp_with(transfer_of(bob));
    again = sdp_with(transfer_of(bob));
    make_transfer(bob);
    other = sdp_with(transfer_of(bob));
    id_first = clv_mikey_ticket_ops.offer_id(first, 0);
    id_again = clv_mikey_ticket_ops.offer_id(again, 0);
    id_other = clv_mikey_ticket_ops.offer_id(other, 0);
    g_assert_nonnull(id_first);
    g_assert_cmpstr(id_first, ==, id_again);
    g_assert_cmpstr(id_first, !=, id_other);
    g_assert_null(clv_mikey_ticket_ops.offer_id(none, 0));
    sdp_free(none);
    sdp_free(other);
    sdp_free(again);
    sdp_free(first);
    caller_free(bob);
    world_free(world);
}

/* ---- lines that are wrong (RFC 4567) ---- */

static void
test_bad_lines(void)
{
    static const struct {
        const char *first, *second;
        const char *pattern;
    } rows[] = {
        {"mikey !!!!", NULL, "a=key-mgmt:mikey*"},  {"mikey AQ4", NULL, "a=key-mgmt:mikey*"},
        {"mikey AQ4F", NULL, "a=key-mgmt:mikey*"},  {"mikey ", NULL, "a=key-mgmt:mikey*"},
        {" mikey AQ4F", NULL, "a=key-mgmt:mikey*"}, {"mikey AAAA", "keyp1", "*without protocol*"},
        {"mikey AAAA", "mikey AAAA", "several*"},
    };
    World *world = world_new();

    for (gsize i = 0; i < G_N_ELEMENTS(rows); i++) {
        ClvSdp *sdp = sdp_new(1);

        add_session_line(sdp, g_strdup(rows[i].first));
        if (rows[i].second != NULL)
            add_session_line(sdp, g_strdup(rows[i].second));
        g_assert_true(clv_mikey_ticket_ops.offered(sdp, 0));
        assert_refused_early(world, CLV_PURPOSE_JOIN, sdp, CLV_CODE_KEYMGMT_FAILED, -1,
                             rows[i].pattern);
    }
    world_free(world);
}

/* A message that is sound and none of those that begin a call. */
static void
test_other_messages(void)
{
    World *world = world_new();
    Caller *bob = caller_new(world, "bob", BOB, FOCUS);
    ClvSdp *sdp;
    Server *server;

    make_transfer(bob);
    sdp = sdp_with(transfer_of(bob));
    server = server_new(world, CLV_PURPOSE_JOIN, sdp);
    g_assert_cmpint(open_and_ask(server), ==, CLV_KEYMGMT_WANT_KMS);
    assert_refused_early(world, CLV_PURPOSE_JOIN,
                         sdp_with(mikey_bytes(server->out.bytes->data, server->out.bytes->len)),
                         CLV_CODE_KEYMGMT_FAILED, 11, "a=key-mgmt:mikey*");
    server_free(server);
    sdp_free(sdp);
    caller_free(bob);
    world_free(world);
}

/* Somebody on the way took a protocol out of the SDP, or put one in, or turned them round. */
static void
test_protocol_list(void)
{
    static const struct {
        const char *list, *before, *after;
    } rows[] = {
        {"mikey;keyp1", NULL, NULL},
        {"mikey", NULL, "keyp1 AAAA"},
        {"mikey;keyp1", "keyp1 AAAA", NULL},
        {"MIKEY", NULL, NULL},
        {"mikey;", NULL, NULL},
        {"", NULL, NULL},
    };
    World *world = world_new();

    for (gsize i = 0; i < G_N_ELEMENTS(rows); i++) {
        Caller *bob = caller_new(world, "bob", BOB, FOCUS);
        ClvSdp *sdp = sdp_new(1);

        bob->setup.sdp_ids = mikey_bytes_str(rows[i].list);
        make_transfer(bob);
        if (rows[i].before != NULL)
            add_session_line(sdp, g_strdup(rows[i].before));
        add_session_line(sdp, line_of(transfer_of(bob)));
        if (rows[i].after != NULL)
            add_session_line(sdp, g_strdup(rows[i].after));
        assert_refused_early(world, CLV_PURPOSE_JOIN, sdp, CLV_CODE_KEYMGMT_FAILED, 0,
                             "a=key-mgmt:mikey*");
        caller_free(bob);
    }
    world_free(world);
}

/* One bad line spoils the offer, though ours is good; on a dead or plain m-line it does not. */
static void
test_one_bad_line_spoils_all(void)
{
    World *world = world_new();
    Caller *bob = caller_new(world, "bob", BOB, FOCUS);
    Server *server;
    ClvSdp *sdp;

    make_transfer(bob);
    sdp = sdp_new(2);
    add_media_line(sdp, 0, line_of(transfer_of(bob)));
    add_media_line(sdp, 1, g_strdup("mikey AAAA"));
    assert_refused_early(world, CLV_PURPOSE_JOIN, sdp, CLV_CODE_KEYMGMT_FAILED, -1, "a=key-mgmt*");

    sdp = sdp_new(2);
    add_media_line(sdp, 0, line_of(transfer_of(bob)));
    add_session_line(sdp, g_strdup("mikey AAAA"));
    assert_refused_early(world, CLV_PURPOSE_JOIN, sdp, CLV_CODE_KEYMGMT_FAILED, -1, "a=key-mgmt*");

    sdp = sdp_new(3);
    add_media_line(sdp, 0, line_of(transfer_of(bob)));
    add_media_line(sdp, 1, g_strdup("mikey AAAA"));
    sdp->media[1].port = 0;
    add_media_line(sdp, 2, g_strdup("mikey AAAA"));
    g_strlcpy(sdp->media[2].proto, "RTP/AVP", sizeof(sdp->media[2].proto));
    server = server_new(world, CLV_PURPOSE_JOIN, sdp);
    assert_works(bob, server, 1);
    server_free(server);
    sdp_free(sdp);
    caller_free(bob);
    world_free(world);
}

/* ---- what is refused before the KMS is asked ---- */

static void
flags(Caller *caller, guint32 set, guint32 clear)
{
    caller->policy.flags = (caller->policy.flags | set) & ~clear;
}

static void
made_by_initiator(Caller *c)
{
    flags(c, MIKEY_FLAG_L, MIKEY_FLAG_D);
}

static void
need_not_be_resolved(Caller *c)
{
    flags(c, 0, MIKEY_FLAG_E | MIKEY_FLAG_I);
}

static void
without_forking(Caller *c)
{
    flags(c, 0, MIKEY_FLAG_I);
}

static void
without_answer(Caller *c)
{
    flags(c, 0, MIKEY_FLAG_F | MIKEY_FLAG_G);
    wish_for(c, MIKEY_KEY_GTGK, 32, 0);
}

static void
not_for_our_kind(Caller *c)
{
    flags(c, 0, MIKEY_FLAG_O);
}

static void
not_for_his_kind(Caller *c)
{
    flags(c, 0, MIKEY_FLAG_N);
}

static void
endless(Caller *c)
{
    c->policy.has_end = false;
}

static void
lives_long(Caller *c)
{
    c->policy.end_unix = START_S + 86401;
}

static void
lived_long(Caller *c)
{
    c->policy.has_start = true;
    c->policy.start_unix = START_S - 86000;
    c->policy.end_unix = START_S + 402;
}

static void
for_another_conference(Caller *c)
{
    c->responders[0] = mikey_identity_uri(FOCUS2);
}

static void
for_the_factory(Caller *c)
{
    c->responders[0] = mikey_identity_uri(FACTORY);
}

static void
calls_another(Caller *c)
{
    c->setup.responder = mikey_identity_uri(FOCUS2);
}

static void
calls_no_uri(Caller *c)
{
    c->setup.responder = mikey_identity_bytes(mikey_bytes_str(FOCUS));
}

static void
for_another_purpose(Caller *c)
{
    good_for(c, "conclave:subscribe");
}

static void
for_creation(Caller *c)
{
    good_for(c, "conclave:create");
}

static void
crowded(Caller *c)
{
    add_responder(c, ALICE);
    add_responder(c, BOB);
    c->world->config.max_responders = 2;
}

static void
names_one_twice(Caller *c)
{
    add_responder(c, BOB);
    add_responder(c, "sip:bob@OPERATOR.example;transport=tcp");
}

static void
names_no_user(Caller *c)
{
    add_responder(c, "urn:service:sos");
}

static void
names_octets(Caller *c)
{
    c->responders[c->policy.n_responders++] = mikey_identity_bytes(mikey_bytes_str(BOB));
}

static void
of_nobody(Caller *c)
{
    c->policy.initiator = mikey_identity_bytes(mikey_bytes_str(BOB));
    seal_own_ticket(c); /* a KMS would not */
}

static void
of_no_sip_user(Caller *c)
{
    c->policy.initiator = mikey_identity_uri("mailto:bob@operator.example");
    seal_own_ticket(c);
}

static void
from_elsewhere(Caller *c)
{
    c->world->config.kms_uri = "sip:kms@elsewhere.example";
}

static void
test_bad_tickets(void)
{
    static const struct {
        void (*spoil)(Caller *caller);
        Refusal refusal;
    } rows[] = {
        {made_by_initiator, {CLV_CODE_TICKET_REFUSED, 15, "*D = 0*"}},
        {need_not_be_resolved, {CLV_CODE_TICKET_REFUSED, 15, "*E = 0*"}},
        {without_answer, {CLV_CODE_TICKET_REFUSED, 15, "*F = 0*"}},
        {without_forking, {CLV_CODE_TICKET_REFUSED, 15, "*I = 0*"}},
        {not_for_our_kind, {CLV_CODE_TICKET_REFUSED, 14, "TRANSFER_INIT*"}},
        {not_for_his_kind, {CLV_CODE_TICKET_REFUSED, 14, "TRANSFER_INIT*"}},
        {endless, {CLV_CODE_TICKET_REFUSED, 15, "*no end*"}},
        {lives_long, {CLV_CODE_TICKET_REFUSED, 15, "*good for 86401 s*"}},
        {lived_long, {CLV_CODE_TICKET_REFUSED, 15, "*good for 86402 s*"}},
        {for_another_conference, {CLV_CODE_TICKET_REFUSED, 7, "*does not name " FOCUS}},
        {for_the_factory, {CLV_CODE_TICKET_REFUSED, 7, "*does not name " FOCUS}},
        {calls_another, {CLV_CODE_TICKET_REFUSED, 7, "*meant for " FOCUS2}},
        {calls_no_uri, {CLV_CODE_TICKET_REFUSED, 7, "*meant for nobody*"}},
        {for_another_purpose, {CLV_CODE_TICKET_REFUSED, 15, "*\"conclave:join\"*"}},
        {for_creation, {CLV_CODE_TICKET_REFUSED, 15, "*\"conclave:join\"*"}},
        {crowded, {CLV_CODE_TICKET_REFUSED, 15, "*names 3 responders, the limit is 2*"}},
        {names_one_twice, {CLV_CODE_TICKET_REFUSED, 15, "*named twice*"}},
        {names_no_user, {CLV_CODE_TICKET_REFUSED, 7, "responder 2*not a SIP or tel URI*"}},
        {names_octets, {CLV_CODE_TICKET_REFUSED, 7, "responder 2*not a SIP or tel URI*"}},
        {of_nobody, {CLV_CODE_TICKET_REFUSED, 7, "*by a URI whose*"}},
        {of_no_sip_user, {CLV_CODE_TICKET_REFUSED, 7, "*by a URI whose*"}},
        {from_elsewhere, {CLV_CODE_FORBIDDEN, -1, "*foreign KMS*"}},
    };

    for (gsize i = 0; i < G_N_ELEMENTS(rows); i++) {
        const Refusal *refusal = &rows[i].refusal;
        World *world = world_new();
        Caller *bob = caller_new(world, "bob", BOB, FOCUS);

        g_test_message("%s", refusal->pattern);
        rows[i].spoil(bob);
        make_transfer(bob);
        assert_refused_early(world, CLV_PURPOSE_JOIN, sdp_with(transfer_of(bob)), refusal->code,
                             refusal->number, refusal->pattern);
        caller_free(bob);
        world_free(world);
    }
}

static void
test_creation_needs_the_factory(void)
{
    World *world = world_new();
    Caller *alice = caller_new(world, "alice", ALICE, FACTORY);

    alice->responders[0] = mikey_identity_uri(BOB);
    make_transfer(alice);
    assert_refused_early(world, CLV_PURPOSE_CREATE, sdp_with(transfer_of(alice)),
                         CLV_CODE_TICKET_REFUSED, 7, "*does not name the factory*");
    caller_free(alice);

    alice = caller_new(world, "alice", ALICE, FACTORY);
    good_for(alice, "conclave:join");
    make_transfer(alice);
    assert_refused_early(world, CLV_PURPOSE_CREATE, sdp_with(transfer_of(alice)),
                         CLV_CODE_TICKET_REFUSED, 15, "*\"conclave:create\"*");
    caller_free(alice);
    world_free(world);
}

static void
test_time(void)
{
    World *world = world_new();
    Caller *bob = caller_new(world, "bob", BOB, FOCUS);

    /* an old message, and one of the future */
    make_transfer(bob);
    let_pass(world, 301);
    assert_refused_early(world, CLV_PURPOSE_JOIN, sdp_with(transfer_of(bob)),
                         CLV_CODE_KEYMGMT_FAILED, 1, "TRANSFER_INIT*");
    make_transfer(bob);
    let_pass(world, -301);
    assert_refused_early(world, CLV_PURPOSE_JOIN, sdp_with(transfer_of(bob)),
                         CLV_CODE_KEYMGMT_FAILED, 1, "TRANSFER_INIT*");

    /* a message of now with a ticket that is over; the caller's clock is late */
    let_pass(world, 3800);
    make_transfer(bob);
    let_pass(world, 101);
    assert_refused_early(world, CLV_PURPOSE_JOIN, sdp_with(transfer_of(bob)),
                         CLV_CODE_TICKET_REFUSED, 15, "TRANSFER_INIT*");
    caller_free(bob);
    world_free(world);

    /* a ticket of the future; the caller's clock is early */
    world = world_new();
    bob = caller_new(world, "bob", BOB, FOCUS);
    bob->policy.has_start = true;
    bob->policy.start_unix = START_S + 500;
    let_pass(world, 250);
    make_transfer(bob);
    let_pass(world, -150);
    assert_refused_early(world, CLV_PURPOSE_JOIN, sdp_with(transfer_of(bob)),
                         CLV_CODE_TICKET_REFUSED, 15, "TRANSFER_INIT*");
    caller_free(bob);
    world_free(world);
}

/* The Error says what we could do, and has no MAC: nobody is authentic yet. */
static void
test_only_unsupported_policies(void)
{
    World *world = world_new();
    Caller *bob = caller_new(world, "bob", BOB, FOCUS);
    ClvSdp *sdp;
    Server *server;
    MikeyBuffer octets = MIKEY_BUFFER_INIT;
    MikeyMessage *message = NULL;
    gboolean has_mac;
    guint n_policies = 0;

    bob->profiles[0] = MIKEY_SRTP_AES_CM_128_HMAC_SHA1_32;
    bob->profiles[1] = MIKEY_SRTP_AES_256_CM_HMAC_SHA1_32;
    make_transfer(bob);
    sdp = sdp_with(transfer_of(bob));
    server = server_new(world, CLV_PURPOSE_JOIN, sdp);
    g_assert_cmpint(open_and_ask(server), ==, CLV_KEYMGMT_FAILED);
    g_assert_error(server->error, CLV_KEYMGMT_ERROR, CLV_CODE_KEYMGMT_UNACCEPTABLE);
    g_assert_cmpint(error_number(server, &has_mac), ==, 10);
    g_assert_false(has_mac);

    mikey_sdp_decode(mikey_bytes_str(server->out.error_line), &octets);
    g_assert_cmpint(mikey_message_parse(mikey_bytes(octets.data, octets.len), &message), ==,
                    MIKEY_OK);
    for (gsize i = 0; i < mikey_message_n_payloads(message); i++)
        n_policies += mikey_message_payload(message, i)->number == MIKEY_SP ? 1 : 0;
    g_assert_cmpuint(n_policies, ==, 4);
    mikey_message_free(message);
    mikey_buffer_clear(&octets);
    server_free(server);
    sdp_free(sdp);
    caller_free(bob);
    world_free(world);
}

static void
test_missing_sessions(void)
{
    World *world = world_new();
    Caller *bob = caller_new(world, "bob", BOB, FOCUS);
    ClvSdp *sdp = sdp_new(2);
    Server *server;

    make_transfer(bob);
    add_session_line(sdp, line_of(transfer_of(bob)));
    server = server_new(world, CLV_PURPOSE_JOIN, sdp);
    server->setup.media_index = 1;
    assert_refused(server, open_and_ask(server), CLV_CODE_KEYMGMT_FAILED, 13,
                   "*no crypto session 3*");
    sdp_free(sdp);

    bob->lines[0].single = true;
    make_transfer(bob);
    assert_refused_early(world, CLV_PURPOSE_JOIN, sdp_with(transfer_of(bob)),
                         CLV_CODE_KEYMGMT_FAILED, 13, "*no crypto session 2*");
    caller_free(bob);
    world_free(world);
}

/* An SPI of nine octets is sound in MIKEY and more than our packets can carry. */
static void
test_long_mki(void)
{
    World *world = world_new();
    Caller *bob = caller_new(world, "bob", BOB, FOCUS);

    wish_for(bob, MIKEY_KEY_TGK, 32, 0);
    bob->wish.spi_len = 9;
    memset(bob->wish.spi, 7, 9);
    make_transfer(bob);
    assert_refused_early(world, CLV_PURPOSE_JOIN, sdp_with(transfer_of(bob)),
                         CLV_CODE_KEYMGMT_FAILED, 13, "*MKI of more than 8*");
    caller_free(bob);
    world_free(world);
}

/* Writes a message again with a KEMAC before its V. */
static void
with_kemac(MikeyBytes octets, MikeyBuffer *out)
{
    static const uint8_t sealed[16] = {1, 2, 3};
    MikeyPayload kemac = {
        .number = MIKEY_KEMAC,
        .u.kemac = {.encr_alg = MIKEY_ENCR_AES_CM_256, .encr_data = {sealed, sizeof(sealed)}},
    };
    MikeyMessage *message = NULL;
    MikeyWriter w = MIKEY_WRITER_INIT;
    gsize n;

    g_assert_cmpint(mikey_message_parse(octets, &message), ==, MIKEY_OK);
    n = mikey_message_n_payloads(message);
    mikey_header_write(&w, mikey_message_header(message));
    for (gsize i = 0; i + 1 < n; i++) {
        guint8 next = i + 2 < n ? mikey_message_payload(message, i + 1)->number : MIKEY_KEMAC;

        mikey_payload_write(&w, next, mikey_message_payload(message, i));
    }
    mikey_payload_write(&w, MIKEY_V, &kemac);
    mikey_payload_write(&w, MIKEY_LAST, mikey_message_payload(message, n - 1));
    g_assert_cmpint(mikey_writer_finish(&w, out), ==, MIKEY_OK);
    mikey_message_free(message);
}

static void
test_forbidden_keys(void)
{
    World *world = world_new();
    Caller *bob = caller_new(world, "bob", BOB, FOCUS);
    MikeyKeyData key = {.type = MIKEY_KEY_TEK_SALT,
                        .kv = MIKEY_KV_SPI,
                        .spi_len = 4,
                        .spi = {1, 2, 3, 4},
                        .key.len = 32,
                        .salt.len = 14};
    MikeyBuffer forged = MIKEY_BUFFER_INIT;

    make_transfer(bob);
    with_kemac(transfer_of(bob), &forged);
    assert_refused_early(world, CLV_PURPOSE_JOIN, sdp_with(mikey_bytes(forged.data, forged.len)),
                         CLV_CODE_TICKET_REFUSED, 15, "*");
    mikey_buffer_clear(&forged);
    caller_free(bob);

    /* L allows it, but alice could read them, too */
    bob = caller_new(world, "bob", BOB, FOCUS);
    bob->policy.flags |= MIKEY_FLAG_L;
    add_responder(bob, ALICE);
    bob->setup.keys = &key;
    bob->setup.n_keys = 1;
    make_transfer(bob);
    assert_refused_early(world, CLV_PURPOSE_JOIN, sdp_with(transfer_of(bob)),
                         CLV_CODE_TICKET_REFUSED, 15, "*every responder*");
    caller_free(bob);
    world_free(world);
}

/* ---- replay ---- */

static void
test_replay(void)
{
    World *world = world_new();
    Caller *bob = caller_new(world, "bob", BOB, FOCUS);
    ClvSdp *sdp;
    Server *first, *second;
    g_autoptr(GByteArray) answer_1 = NULL;
    g_autoptr(GByteArray) answer_2 = NULL;

    make_transfer(bob);
    sdp = sdp_with(transfer_of(bob));

    /* twice at the same time: both pass the first look, one gets through */
    first = server_new(world, CLV_PURPOSE_JOIN, sdp);
    second = server_new(world, CLV_PURPOSE_JOIN, sdp);
    g_assert_cmpint(open_and_ask(first), ==, CLV_KEYMGMT_WANT_KMS);
    g_assert_cmpint(open_and_ask(second), ==, CLV_KEYMGMT_WANT_KMS);
    answer_1 = kms_answer_to(first);
    answer_2 = kms_answer_to(second);
    g_assert_cmpint(step(first, answer_1->data, answer_1->len), ==, CLV_KEYMGMT_DONE);
    assert_refused(second, step(second, answer_2->data, answer_2->len), CLV_CODE_KEYMGMT_FAILED, 1,
                   "*seen before*");
    server_free(first);
    sdp_free(sdp);

    /* later at once, until it is too old anyway */
    let_pass(world, 299);
    assert_refused_early(world, CLV_PURPOSE_JOIN, sdp_with(transfer_of(bob)),
                         CLV_CODE_KEYMGMT_FAILED, 1, "*seen before*");
    let_pass(world, 1);
    assert_refused_early(world, CLV_PURPOSE_JOIN, sdp_with(transfer_of(bob)),
                         CLV_CODE_KEYMGMT_FAILED, 1, "*seen before*");
    let_pass(world, 1);
    assert_refused_early(world, CLV_PURPOSE_JOIN, sdp_with(transfer_of(bob)),
                         CLV_CODE_KEYMGMT_FAILED, 1, "TRANSFER_INIT*");
    caller_free(bob);
    world_free(world);
}

/* A second message with the CSB ID of the first; another caller may have that number. */
static void
test_csb_id_again(void)
{
    World *world = world_new();
    Caller *bob = caller_new(world, "bob", BOB, FOCUS);
    Caller *alice = caller_new(world, "alice", ALICE, FOCUS);

    make_transfer(bob);
    assert_call_works(bob, CLV_PURPOSE_JOIN);
    let_pass(world, 1);
    make_transfer(bob);
    assert_refused_early(world, CLV_PURPOSE_JOIN, sdp_with(transfer_of(bob)),
                         CLV_CODE_KEYMGMT_FAILED, 1, "CSB ID*");

    alice->setup.csb_id = bob->setup.csb_id;
    make_transfer(alice);
    assert_call_works(alice, CLV_PURPOSE_JOIN);
    caller_free(alice);
    caller_free(bob);
    world_free(world);
}

static void
test_full_memory(void)
{
    World *world = world_new();
    Caller *bob = caller_new(world, "bob", BOB, FOCUS);

    clv_replay_free(world->replay);
    world->replay = clv_replay_new(1);
    world->config.replay = world->replay;
    make_transfer(bob);
    assert_refused_late(world, CLV_PURPOSE_JOIN, sdp_with(transfer_of(bob)), CLV_CODE_OVERLOAD, -1,
                        "*full*");
    caller_free(bob);
    world_free(world);
}

/* ---- forgers ---- */

static GByteArray *
copy_of(MikeyBytes octets)
{
    return g_byte_array_append(g_byte_array_new(), octets.data, (guint)octets.len);
}

static ClvSdp *
sdp_with_array(const GByteArray *octets)
{
    return sdp_with(mikey_bytes(octets->data, octets->len));
}

/* The Initiator Data inside a TRANSFER_INIT: Vi and Vr. */
static guint8 *
initiator_data(GByteArray *transfer, gsize *out_len)
{
    MikeyMessage *message = NULL;
    MikeyBytes data;
    gsize at;

    g_assert_cmpint(mikey_message_parse(mikey_bytes(transfer->data, transfer->len), &message), ==,
                    MIKEY_OK);
    data = mikey_message_find(message, MIKEY_TICKET, 0)->u.ticket.initiator_data;
    at = (gsize)(data.data - mikey_message_octets(message).data);
    *out_len = data.len;
    mikey_message_free(message);
    return transfer->data + at;
}

static void
test_wrong_mac(void)
{
    World *world = world_new();
    Caller *bob = caller_new(world, "bob", BOB, FOCUS);
    g_autoptr(GByteArray) forged = NULL;

    make_transfer(bob);
    forged = copy_of(transfer_of(bob));
    forged->data[forged->len - 1] ^= 0x80;
    assert_refused_late(world, CLV_PURPOSE_JOIN, sdp_with_array(forged), CLV_CODE_KEYMGMT_FAILED, 0,
                        "*not made by the ticket's owner*");
    g_assert_true(last_was_forged);

    /* a forgery is not remembered, and does not shut the true one out */
    g_assert_cmpuint(clv_replay_size(world->replay), ==, 0);
    assert_call_works(bob, CLV_PURPOSE_JOIN);
    caller_free(bob);
    world_free(world);
}

/* Vi changed: the KMS finds that Vr does not fit, and says so with a MAC. So it knows this server,
 * and it is the caller who is at fault. */
static void
test_altered_vi(void)
{
    World *world = world_new();
    Caller *bob = caller_new(world, "bob", BOB, FOCUS);
    g_autoptr(GByteArray) forged = NULL;
    gsize len;

    make_transfer(bob);
    forged = copy_of(transfer_of(bob));
    initiator_data(forged, &len)[3] ^= 1;
    assert_refused_late(world, CLV_PURPOSE_JOIN, sdp_with_array(forged), CLV_CODE_KEYMGMT_FAILED, 0,
                        "*forged*");
    g_assert_true(last_was_forged);
    caller_free(bob);
    world_free(world);
}

/* Any octet of the message changed: never keys, whoever finds it out. */
static void
test_every_octet_counts(void)
{
    World *world = world_new();
    Caller *bob = caller_new(world, "bob", BOB, FOCUS);
    gsize len;

    make_transfer(bob);
    len = transfer_of(bob).len;
    for (gsize at = 0; at < len; at++) {
        g_autoptr(GByteArray) forged = copy_of(transfer_of(bob));
        ClvSdp *sdp;
        Server *server;

        forged->data[at] ^= (guint8)(1u << at % 8);
        sdp = sdp_with_array(forged);
        server = server_new(world, CLV_PURPOSE_JOIN, sdp);
        if (run(server) != CLV_KEYMGMT_FAILED)
            g_error("octet %zu does not count", at);
        g_assert_nonnull(server->error);
        g_assert_cmpuint(server->out.rx.key_len, ==, 0);
        server_free(server);
        sdp_free(sdp);
    }
    g_assert_cmpuint(clv_replay_size(world->replay), ==, 0);
    assert_call_works(bob, CLV_PURPOSE_JOIN);
    caller_free(bob);
    world_free(world);
}

/* carol is named in alice's ticket. She has it resolved, and so knows MPKi and the TGK'; she has
 * not MPKr. With that she makes a TRANSFER_INIT of her own in alice's name. */
static Caller *
carol_as_alice(Caller *alice)
{
    World *world = alice->world;
    Caller *carol = caller_new(world, "carol", ALICE, FACTORY);
    MikeyKey guessed = {.len = 32};

    g_assert_cmpint(mikey_grant_new(mikey_grant_ticket(alice->grant),
                                    mikey_grant_mpki(alice->grant), &guessed,
                                    mikey_grant_key(alice->grant, 0), 1, &carol->grant),
                    ==, MIKEY_OK);
    make_transfer(carol);
    return carol;
}

static void
test_resolved_is_not_owned(void)
{
    World *world = world_new();
    Caller *alice = caller_new(world, "alice", ALICE, FACTORY);
    Caller *carol;
    g_autoptr(GByteArray) hers = NULL;
    g_autoptr(GByteArray) mixed = NULL;
    guint8 *to, *from;
    gsize to_len, from_len;

    add_responder(alice, BOB);
    add_responder(alice, CAROL);
    alice->policy.flags |= MIKEY_FLAG_J;
    make_transfer(alice);
    assert_call_works(alice, CLV_PURPOSE_CREATE);
    carol = carol_as_alice(alice);

    /* her own Vi fits, but Vr does not: the KMS finds out */
    assert_refused_late(world, CLV_PURPOSE_CREATE, sdp_with(transfer_of(carol)),
                        CLV_CODE_KEYMGMT_FAILED, 0, "*forged*");

    /* Initiator Data of a call of alice's: the KMS is content and V is right, but Vi is not V */
    hers = copy_of(transfer_of(alice));
    mixed = copy_of(transfer_of(carol));
    from = initiator_data(hers, &from_len);
    to = initiator_data(mixed, &to_len);
    g_assert_cmpuint(to_len, ==, from_len);
    memcpy(to, from, from_len);
    assert_refused_late(world, CLV_PURPOSE_CREATE, sdp_with_array(mixed), CLV_CODE_KEYMGMT_FAILED,
                        0, "*not made by the ticket's owner*");
    g_assert_cmpuint(clv_replay_size(world->replay), ==, 2); /* alice's call alone */
    caller_free(carol);
    caller_free(alice);
    world_free(world);
}

/* A ticket of bob's in a message that says to be from alice. */
static void
test_ticket_of_another(void)
{
    World *world = world_new();
    Caller *bob = caller_new(world, "bob", BOB, FOCUS);
    g_autoptr(GByteArray) forged = NULL;
    MikeyMessage *message = NULL;
    MikeyBytes id;

    make_transfer(bob);
    forged = copy_of(transfer_of(bob));
    g_assert_cmpint(mikey_message_parse(mikey_bytes(forged->data, forged->len), &message), ==,
                    MIKEY_OK);
    id = mikey_message_find(message, MIKEY_IDR, MIKEY_IDR_INITIATOR)->u.id.data;
    forged->data[id.data - mikey_message_octets(message).data + 4] = 'r'; /* sip:rob@ */
    assert_refused_early(world, CLV_PURPOSE_JOIN, sdp_with_array(forged), CLV_CODE_TICKET_REFUSED,
                         7, "TRANSFER_INIT*");
    mikey_message_free(message);
    caller_free(bob);
    world_free(world);
}

/* ---- the KMS ---- */

/* What its Errors mean to the call. */
static void
test_kms_errors(void)
{
    static const struct {
        MikeyStatus status;
        Refusal refusal;
    } rows[] = {
        {MIKEY_BAD_TICKET_MAC, {CLV_CODE_KEYMGMT_FAILED, 0, "*forged*authentic*"}},
        {MIKEY_BAD_TIME, {CLV_CODE_KEYMGMT_FAILED, 1, "*timestamp*(error 1*"}},
        {MIKEY_BAD_PRF, {CLV_CODE_INTERNAL, -1, "*suite*(error 2*"}},
        {MIKEY_BAD_MAC_ALG, {CLV_CODE_INTERNAL, -1, "*suite*(error 3*"}},
        {MIKEY_BAD_ENCR_ALG, {CLV_CODE_INTERNAL, -1, "*suite*(error 4*"}},
        {MIKEY_BAD_IDENTITY, {CLV_CODE_FORBIDDEN, -1, "*entitle*(error 7*"}},
        {MIKEY_BAD_PROTOCOL, {CLV_CODE_KMS_DOWN, -1, "*error 9*"}},
        {MIKEY_BAD_DATA_TYPE, {CLV_CODE_INTERNAL, -1, "*(error 11*"}},
        {MIKEY_REFUSED, {CLV_CODE_KMS_DOWN, -1, "*(error 12*"}},
        {MIKEY_TRUNCATED, {CLV_CODE_INTERNAL, -1, "*(error 13*"}},
        {MIKEY_BAD_TICKET, {CLV_CODE_KEYMGMT_FAILED, 14, "*not valid*(error 14*"}},
        {MIKEY_NOT_VALID, {CLV_CODE_KEYMGMT_FAILED, 15, "*policy*(error 15*"}},
    };

    for (gsize i = 0; i < G_N_ELEMENTS(rows); i++) {
        const Refusal *refusal = &rows[i].refusal;
        World *world = world_new();
        Caller *bob = caller_new(world, "bob", BOB, FOCUS);

        world->kms_refuses = rows[i].status;
        make_transfer(bob);
        assert_refused_late(world, CLV_PURPOSE_JOIN, sdp_with(transfer_of(bob)), refusal->code,
                            refusal->number, refusal->pattern);
        caller_free(bob);
        world_free(world);
    }
}

/* The ticket is another KMS's: ours is asked where that is allowed, and what it says may be that
 * one's word. None of it is a 488 or about our own credentials. */
static void
test_foreign_kms(void)
{
    static const struct {
        MikeyStatus status;
        Refusal refusal;
    } rows[] = {
        {MIKEY_BAD_IDENTITY, {CLV_CODE_FORBIDDEN, -1, "*entitle*error 7*"}},
        {MIKEY_REFUSED, {CLV_CODE_KMS_DOWN, -1, "*made the ticket gives no answer*error 12*"}},
        {MIKEY_BAD_TICKET, {CLV_CODE_FORBIDDEN, -1, "*none that ours knows*error 14*"}},
        {MIKEY_BAD_POLICY, {CLV_CODE_FORBIDDEN, -1, "*policy*error 15*"}},
    };

    for (gsize i = 0; i < G_N_ELEMENTS(rows); i++) {
        const Refusal *refusal = &rows[i].refusal;
        World *world = world_new();
        Caller *bob = caller_new(world, "bob", BOB, FOCUS);

        world->kms_refuses = rows[i].status;
        from_elsewhere(bob);
        world->config.foreign_kms = TRUE;
        make_transfer(bob);
        assert_refused_late(world, CLV_PURPOSE_JOIN, sdp_with(transfer_of(bob)), refusal->code,
                            refusal->number, refusal->pattern);
        caller_free(bob);
        world_free(world);
    }
}

/* The KMS does not know our key: not the caller's fault. */
static void
test_kms_forgot_us(void)
{
    World *world = world_new();
    Caller *bob = caller_new(world, "bob", BOB, FOCUS);

    make_transfer(bob);
    world->kms_forgot_psk = TRUE;
    assert_refused_late(world, CLV_PURPOSE_JOIN, sdp_with(transfer_of(bob)), CLV_CODE_INTERNAL, -1,
                        "ALARM*credentials*not authenticated*");
    caller_free(bob);
    world_free(world);
}

/* Answers cut anywhere, changed anywhere, empty, or not MIKEY at all. */
static void
test_kms_nonsense(void)
{
    World *world = world_new();
    Caller *bob = caller_new(world, "bob", BOB, FOCUS);
    guint n_answers = 0;
    ClvSdp *sdp;

    make_transfer(bob);
    sdp = sdp_with(transfer_of(bob));
    for (gsize at = 0;; at++) {
        for (guint cut = 0; cut < 2; cut++) {
            Server *server = server_new(world, CLV_PURPOSE_JOIN, sdp);
            g_autoptr(GByteArray) answer = NULL;
            g_autofree guint8 *octets = NULL; /* exactly as long, for the sanitizers */
            gsize len;

            g_assert_cmpint(open_and_ask(server), ==, CLV_KEYMGMT_WANT_KMS);
            answer = kms_answer_to(server);
            if (at == answer->len) {
                server_free(server);
                goto done;
            }
            len = cut ? at : answer->len;
            octets = g_memdup2(answer->data, len);
            if (!cut)
                octets[at] ^= (guint8)(1u << at % 8);
            assert_refused(server, step(server, octets, len), CLV_CODE_KMS_DOWN, -1, "*nonsense*");
            n_answers++;
        }
    }
done:
    g_assert_cmpuint(n_answers, >, 400);
    g_assert_cmpuint(clv_replay_size(world->replay), ==, 0);
    sdp_free(sdp);
    assert_call_works(bob, CLV_PURPOSE_JOIN);
    caller_free(bob);
    world_free(world);
}

/* The answer to another question of ours, and our own question sent back. */
static void
test_kms_answers_another(void)
{
    World *world = world_new();
    Caller *bob = caller_new(world, "bob", BOB, FOCUS);
    Caller *alice = caller_new(world, "alice", ALICE, FOCUS);
    ClvSdp *sdp_1, *sdp_2;
    Server *first, *second;
    g_autoptr(GByteArray) answer = NULL;
    g_autoptr(GByteArray) question = NULL;

    make_transfer(bob);
    make_transfer(alice);
    sdp_1 = sdp_with(transfer_of(bob));
    sdp_2 = sdp_with(transfer_of(alice));
    first = server_new(world, CLV_PURPOSE_JOIN, sdp_1);
    second = server_new(world, CLV_PURPOSE_JOIN, sdp_2);
    g_assert_cmpint(open_and_ask(first), ==, CLV_KEYMGMT_WANT_KMS);
    g_assert_cmpint(open_and_ask(second), ==, CLV_KEYMGMT_WANT_KMS);
    answer = kms_answer_to(first);
    question = g_byte_array_ref(first->out.bytes);
    assert_refused(second, step(second, answer->data, answer->len), CLV_CODE_KMS_DOWN, -1,
                   "*nonsense*");
    assert_refused(first, step(first, question->data, question->len), CLV_CODE_KMS_DOWN, -1,
                   "*nonsense*");
    sdp_free(sdp_1);
    sdp_free(sdp_2);
    caller_free(alice);
    caller_free(bob);
    world_free(world);
}

/* RFC 6043 lets a KMS put the name of the ticket in place of ours: then the caller would
 * authenticate the factory, and his keys would be others. */
static void
test_kms_renames_us(void)
{
    World *world = world_new();
    Caller *alice = caller_new(world, "alice", ALICE, FACTORY);

    make_transfer(alice);
    world->kms_responder = FACTORY;
    assert_refused_late(world, CLV_PURPOSE_CREATE, sdp_with(transfer_of(alice)), CLV_CODE_INTERNAL,
                        -1, "ALARM*" FACTORY "*" FOCUS "*");
    caller_free(alice);
    world_free(world);
}

/* Keys that are not forked, in a ticket that others may resolve, too. */
static void
test_shared_keys(void)
{
    static const struct {
        MikeyKeyType type;
        guint16 len, salt_len;
    } rows[] = {
        {MIKEY_KEY_TEK_SALT, 16, 14},
        {MIKEY_KEY_GTGK, 32, 0},
        {MIKEY_KEY_GTGK_SALT, 32, 14},
    };

    for (gsize i = 0; i < G_N_ELEMENTS(rows); i++) {
        World *world = world_new();
        Caller *alice = caller_new(world, "alice", ALICE, FACTORY);

        add_responder(alice, BOB);
        wish_for(alice, rows[i].type, rows[i].len, rows[i].salt_len);
        alice->setup.n_profiles = 1;
        make_transfer(alice);
        assert_refused_late(world, CLV_PURPOSE_CREATE, sdp_with(transfer_of(alice)),
                            CLV_CODE_TICKET_REFUSED, 15, "*2 responders*can read*");
        caller_free(alice);
        world_free(world);
    }
}

/* A caller who is authentic gets an Error with a MAC, which he can verify. */
static void
test_authentic_error(void)
{
    World *world = world_new();
    Caller *bob = caller_new(world, "bob", BOB, FOCUS);
    MikeyEnv env = env_of(world);
    MikeyBuffer octets = MIKEY_BUFFER_INIT;
    MikeyBundle *bundle = NULL;
    MikeyPeerError peer = {0, false};
    ClvSdp *sdp;
    Server *server;

    wish_for(bob, MIKEY_KEY_TEK_SALT, 16, 14);
    bob->setup.n_profiles = 1;
    bob->lines[0].ssrc = OUR_SSRC;
    make_transfer(bob);
    sdp = sdp_with(transfer_of(bob));
    server = server_new(world, CLV_PURPOSE_JOIN, sdp);
    g_assert_cmpint(run(server), ==, CLV_KEYMGMT_FAILED);
    g_assert_cmpint(mikey_sdp_decode(mikey_bytes_str(server->out.error_line), &octets), ==,
                    MIKEY_OK);
    g_assert_cmpint(mikey_transfer_finish(bob->transfer, mikey_bytes(octets.data, octets.len), &env,
                                          &bundle, &peer),
                    ==, MIKEY_PEER_ERROR);
    g_assert_cmpuint(peer.number, ==, 13);
    g_assert_true(peer.authentic);
    mikey_buffer_clear(&octets);
    server_free(server);
    sdp_free(sdp);
    caller_free(bob);
    world_free(world);
}

static void
test_no_randomness(void)
{
    World *world = world_new();
    Caller *bob = caller_new(world, "bob", BOB, FOCUS);
    ClvSdp *sdp;
    Server *server;
    g_autoptr(GByteArray) answer = NULL;

    make_transfer(bob);
    sdp = sdp_with(transfer_of(bob));
    world->dry = TRUE;
    server = server_new(world, CLV_PURPOSE_JOIN, sdp);
    assert_refused(server, open_and_ask(server), CLV_CODE_INTERNAL, -1, "*random*");

    world->dry = FALSE;
    server = server_new(world, CLV_PURPOSE_JOIN, sdp);
    g_assert_cmpint(open_and_ask(server), ==, CLV_KEYMGMT_WANT_KMS);
    answer = kms_answer_to(server);
    world->dry = TRUE;
    assert_refused(server, step(server, answer->data, answer->len), CLV_CODE_INTERNAL, -1,
                   "*random*");
    sdp_free(sdp);
    caller_free(bob);
    world_free(world);
}

static void
test_closed_early(void)
{
    World *world = world_new();
    Caller *bob = caller_new(world, "bob", BOB, FOCUS);
    ClvSdp *sdp;
    Server *server;

    make_transfer(bob);
    sdp = sdp_with(transfer_of(bob));
    server = server_new(world, CLV_PURPOSE_JOIN, sdp);
    server->state = clv_mikey_ticket_ops.open(&server->setup, &server->error);
    server_free(server); /* hung up at once */
    server = server_new(world, CLV_PURPOSE_JOIN, sdp);
    g_assert_cmpint(open_and_ask(server), ==, CLV_KEYMGMT_WANT_KMS);
    server_free(server); /* hung up while the KMS was asked */
    sdp_free(sdp);

    sdp = sdp_new(1);
    server = server_new(world, CLV_PURPOSE_JOIN, sdp);
    g_assert_null(clv_mikey_ticket_ops.open(&server->setup, &server->error));
    g_assert_error(server->error, CLV_KEYMGMT_ERROR, CLV_CODE_KEYMGMT_UNACCEPTABLE);
    server_free(server);
    sdp_free(sdp);
    caller_free(bob);
    world_free(world);
}

static void
test_self_tests(void)
{
    g_autoptr(GError) error = NULL;

    g_assert_true(clv_keymgmt_self_test(&error));
    g_assert_no_error(error);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/mikey-ticket/works/R088-creation", test_creation);
    g_test_add_func("/mikey-ticket/works/creation-by-an-alias", test_creation_by_alias);
    g_test_add_func("/mikey-ticket/works/creation-without-media", test_creation_alone);
    g_test_add_func("/mikey-ticket/works/dial-in", test_dial_in);
    g_test_add_func("/mikey-ticket/works/the-128-bit-suite-if-allowed", test_suite_128);
    g_test_add_func("/mikey-ticket/works/every-srtp-suite", test_every_srtp_suite);
    g_test_add_func("/mikey-ticket/works/policy-left-to-us", test_policy_left_to_us);
    g_test_add_func("/mikey-ticket/works/second-of-two-lines", test_two_lines);
    g_test_add_func("/mikey-ticket/works/media-level", test_media_level);
    g_test_add_func("/mikey-ticket/works/media-level-before-session-level", test_media_level_wins);
    g_test_add_func("/mikey-ticket/works/tickets-that-bring-a-list",
                    test_tickets_that_bring_a_list);
    g_test_add_func("/mikey-ticket/works/R096-R137-creation-ticket-again", test_creation_ticket_again);
    g_test_add_func("/mikey-ticket/works/several-protocols", test_several_protocols);
    g_test_add_func("/mikey-ticket/works/tek-for-one-responder", test_tek_for_one);
    g_test_add_func("/mikey-ticket/works/key-of-the-caller", test_key_of_the_caller);
    g_test_add_func("/mikey-ticket/offer-ids-tell-refresh-from-rekey", test_offer_id);
    g_test_add_func("/mikey-ticket/lines/malformed", test_bad_lines);
    g_test_add_func("/mikey-ticket/lines/another-message", test_other_messages);
    g_test_add_func("/mikey-ticket/lines/protocol-list-differs", test_protocol_list);
    g_test_add_func("/mikey-ticket/lines/one-bad-line-spoils-all", test_one_bad_line_spoils_all);
    g_test_add_func("/mikey-ticket/early/R081-R082-R100-R110-R115-tickets", test_bad_tickets);
    g_test_add_func("/mikey-ticket/early/R085-R129-creation-needs-the-factory",
                    test_creation_needs_the_factory);
    g_test_add_func("/mikey-ticket/early/time", test_time);
    g_test_add_func("/mikey-ticket/early/unsupported-policies", test_only_unsupported_policies);
    g_test_add_func("/mikey-ticket/early/missing-sessions", test_missing_sessions);
    g_test_add_func("/mikey-ticket/early/long-mki", test_long_mki);
    g_test_add_func("/mikey-ticket/early/R138-forbidden-keys", test_forbidden_keys);
    g_test_add_func("/mikey-ticket/replay/same-message", test_replay);
    g_test_add_func("/mikey-ticket/replay/same-csb-id", test_csb_id_again);
    g_test_add_func("/mikey-ticket/replay/full-memory", test_full_memory);
    g_test_add_func("/mikey-ticket/forged/R045-wrong-mac", test_wrong_mac);
    g_test_add_func("/mikey-ticket/forged/R099-altered-vi", test_altered_vi);
    g_test_add_func("/mikey-ticket/forged/every-octet-counts", test_every_octet_counts);
    g_test_add_func("/mikey-ticket/forged/R089-R133-resolved-is-not-owned", test_resolved_is_not_owned);
    g_test_add_func("/mikey-ticket/forged/R125-ticket-of-another", test_ticket_of_another);
    g_test_add_func("/mikey-ticket/kms/errors", test_kms_errors);
    g_test_add_func("/mikey-ticket/kms/R132-foreign-tickets-are-put-to-ours", test_foreign_kms);
    g_test_add_func("/mikey-ticket/kms/does-not-know-us", test_kms_forgot_us);
    g_test_add_func("/mikey-ticket/kms/nonsense", test_kms_nonsense);
    g_test_add_func("/mikey-ticket/kms/answers-another-question", test_kms_answers_another);
    g_test_add_func("/mikey-ticket/kms/puts-the-factory-in-our-place", test_kms_renames_us);
    g_test_add_func("/mikey-ticket/kms/R095-shared-keys-for-many", test_shared_keys);
    g_test_add_func("/mikey-ticket/authentic-callers-get-authentic-errors", test_authentic_error);
    g_test_add_func("/mikey-ticket/no-randomness-no-keys", test_no_randomness);
    g_test_add_func("/mikey-ticket/closed-at-any-time", test_closed_early);
    g_test_add_func("/keymgmt/all-self-tests-pass", test_self_tests);
    return g_test_run();
}
