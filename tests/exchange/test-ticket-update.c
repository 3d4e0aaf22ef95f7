/* SPDX-License-Identifier: Apache-2.0 */
/* What may the peer of a call change without a new ticket, and what stays as it was?
 * (RFC 6043 section 5.2)
 */
#include "config.h"

#include "ticket-world.h"

/* A call that is up, with the session that the scheme has left. */
typedef struct Up {
    World *world;
    Caller *bob;
    MikeyBundle *bundle; /* his */
    struct ClvKeymgmtSession *session;
    guint8 tx[CLV_SRTP_MAX_KEY]; /* the key we send with */
    MikeyUpdate *update;         /* (nullable) the latest that he has made */
    Server *server;              /* (nullable) what it came to */
    ClvSdp *sdp;
} Up;

static Up *
up_with(guint32 more_flags, guint32 csb_id)
{
    Up *up = g_new0(Up, 1);
    ClvSdp *sdp;
    Server *server;

    up->world = world_new();
    up->bob = caller_new(up->world, "bob", BOB, FOCUS);
    up->bob->policy.flags |= more_flags;
    up->bob->setup.csb_id = csb_id;
    make_transfer(up->bob);
    sdp = sdp_with(transfer_of(up->bob));
    server = server_new(up->world, CLV_PURPOSE_JOIN, sdp);
    g_assert_cmpint(run(server), ==, CLV_KEYMGMT_DONE);
    g_assert_false(server->out.updates_session);
    up->bundle = take_answer(up->bob, server);
    up->session = g_steal_pointer(&server->out.session);
    g_assert_nonnull(up->session);
    memcpy(up->tx, server->out.tx.key, sizeof(up->tx));
    server_free(server);
    sdp_free(sdp);
    let_pass(up->world, 10);
    return up;
}

static Up *
up_new(guint32 more_flags)
{
    return up_with(more_flags, 0xc5b1d);
}

static void
forget_update(Up *up)
{
    mikey_update_free(up->update);
    up->update = NULL;
    if (up->server != NULL)
        server_free(up->server);
    up->server = NULL;
    if (up->sdp != NULL)
        sdp_free(up->sdp);
    up->sdp = NULL;
}

static void
up_free(Up *up)
{
    forget_update(up);
    clv_mikey_ticket_ops.session_free(up->session);
    mikey_bundle_free(up->bundle);
    caller_free(up->bob);
    world_free(up->world);
    g_free(up);
}

static MikeyKeyData
late_key(guint8 number)
{
    MikeyKeyData key = {
        .type = MIKEY_KEY_TGK, .kv = MIKEY_KV_SPI, .spi_len = 4, .spi = {0xe0, 0, 0, number}};

    key.key.len = 32;
    memset(key.key.bytes, 0x40 + number, key.key.len);
    return key;
}

static MikeyUpdateSetup
setup_of(Up *up, const MikeyKeyData *key)
{
    return (MikeyUpdateSetup){.lines = up->bob->lines,
                              .n_lines = 1,
                              .profiles = up->bob->profiles,
                              .n_profiles = 2,
                              .keys = key,
                              .n_keys = key != NULL ? 1 : 0,
                              .sdp_ids = mikey_bytes_str("mikey"),
                              .want_answer = true};
}

static void
make_update(Up *up, const MikeyUpdateSetup *setup)
{
    MikeyEnv env = env_of(up->world);

    forget_update(up);
    g_assert_cmpint(mikey_update_new(up->bundle, setup, &env, &up->update), ==, MIKEY_OK);
}

/* A re-offer with @octets; the only step. */
static ClvKeymgmtNext
reoffer(Up *up, MikeyBytes octets, ClvPurpose purpose)
{
    guint asked = up->world->n_resolved;
    ClvKeymgmtNext next;

    if (up->server != NULL)
        server_free(up->server);
    if (up->sdp != NULL)
        sdp_free(up->sdp);
    up->sdp = sdp_with(octets);
    up->server = server_new(up->world, purpose, up->sdp);
    up->server->setup.session = up->session;
    next = open_and_ask(up->server);
    g_assert_cmpuint(up->world->n_resolved, ==, asked);
    return next;
}

static ClvKeymgmtNext
reoffer_update(Up *up)
{
    return reoffer(up, mikey_update_octets(up->update), CLV_PURPOSE_JOIN);
}

/* Both ends have the same keys again, and nothing but keys has changed. */
static void
assert_updated(Up *up)
{
    const ClvKeymgmtOutput *out = &up->server->out;
    MikeyEnv env = env_of(up->world);
    MikeyBuffer octets = MIKEY_BUFFER_INIT;
    MikeyPeerError error;

    g_assert_no_error(up->server->error);
    g_assert_true(out->updates_session);
    g_assert_true(out->has_media);
    g_assert_true(out->answer_at_session);
    g_assert_cmpint(out->proof, ==, CLV_PROOF_TICKET);
    g_assert_cmpstr(out->identity, ==, BOB);
    g_assert_null(out->ticket_names);
    g_assert_null(out->ticket_hash);
    g_assert_null(out->session);
    g_assert_false(out->sets_allowed);
    if (out->answer_line != NULL)
        g_assert_cmpint(mikey_sdp_decode(mikey_bytes_str(out->answer_line), &octets), ==, MIKEY_OK);
    g_assert_cmpint(mikey_update_finish(up->update, up->bundle,
                                        mikey_bytes(octets.data, octets.len), &env, &error),
                    ==, MIKEY_OK);
    mikey_buffer_clear(&octets);
    assert_same_keys(&out->rx, up->bundle, MIKEY_CS_OFFERER(1), up->bob->lines[0].ssrc);
    assert_same_keys(&out->tx, up->bundle, MIKEY_CS_ANSWERER(1), OUR_SSRC);
}

/* A whole update that works. */
static void
update(Up *up, const MikeyKeyData *key)
{
    MikeyUpdateSetup setup = setup_of(up, key);

    make_update(up, &setup);
    g_assert_cmpint(reoffer_update(up), ==, CLV_KEYMGMT_DONE);
    assert_updated(up);
}

/* Refused like this; a sound update works afterwards, so nothing has been lost. */
static void
assert_update_refused(Up *up, ClvKeymgmtNext next, ClvCode code, gint number, gboolean authentic,
                      const char *pattern)
{
    Server *server = g_steal_pointer(&up->server);
    gboolean has_mac;

    error_number(server, &has_mac);
    g_assert_cmpint(has_mac, ==, authentic);
    g_assert_false(server->out.updates_session);
    assert_refused(server, next, code, number, pattern);
    let_pass(up->world, 1);
    update(up, NULL);
}

/* ---- updates that work ---- */

static void
test_new_key(void)
{
    Up *up = up_new(MIKEY_FLAG_L);
    MikeyKeyData first = late_key(1), second = late_key(2);

    update(up, &first);
    g_assert_cmpint(memcmp(up->server->out.tx.key, up->tx, 16), !=, 0);
    g_assert_cmpmem(up->server->out.tx.mki, up->server->out.tx.mki_len, first.spi, 4);
    memcpy(up->tx, up->server->out.tx.key, sizeof(up->tx));
    let_pass(up->world, 10);
    update(up, &second);
    g_assert_cmpint(memcmp(up->server->out.tx.key, up->tx, 16), !=, 0);
    g_assert_cmpmem(up->server->out.rx.mki, up->server->out.rx.mki_len, second.spi, 4);
    up_free(up);
}

/* No key comes with it: the keys are what they were. */
static void
test_new_sender(void)
{
    Up *up = up_new(0);

    up->bob->lines[0].ssrc = THEIR_SSRC + 7;
    update(up, NULL);
    g_assert_cmpuint(up->server->out.rx.ssrc, ==, THEIR_SSRC + 7);
    g_assert_cmpmem(up->server->out.tx.key, 32, up->tx, 32);
    up_free(up);
}

static void
test_no_answer_wanted(void)
{
    Up *up = up_new(MIKEY_FLAG_L);
    MikeyKeyData key = late_key(1);
    MikeyUpdateSetup setup = setup_of(up, &key);

    setup.profiles++; /* exactly one: the one in use */
    setup.n_profiles = 1;
    setup.want_answer = false;
    make_update(up, &setup);
    g_assert_cmpint(reoffer_update(up), ==, CLV_KEYMGMT_DONE);
    g_assert_null(up->server->out.answer_line);
    assert_updated(up);
    up_free(up);
}

/* The ticket has long ended; it had to be good when the call began. */
static void
test_after_the_tickets_end(void)
{
    Up *up = up_new(MIKEY_FLAG_L);
    MikeyKeyData key = late_key(1);

    let_pass(up->world, 4000);
    update(up, &key);
    up_free(up);
}

/* Created without media; the audio comes later, under the keys of the creation. */
static void
test_audio_comes_later(void)
{
    World *world = world_new();
    Caller *alice = caller_new(world, "alice", ALICE, FACTORY);
    ClvSdp *sdp = sdp_new(0), *more;
    MikeyEnv env;
    MikeyUpdate *sent = NULL;
    MikeyUpdateSetup setup;
    MikeyBundle *bundle;
    Server *server, *again;

    alice->setup.n_lines = 0;
    alice->setup.n_profiles = 0;
    make_transfer(alice);
    add_session_line(sdp, line_of(transfer_of(alice)));
    server = server_new(world, CLV_PURPOSE_CREATE, sdp);
    g_assert_cmpint(run(server), ==, CLV_KEYMGMT_DONE);
    bundle = take_answer(alice, server);

    let_pass(world, 5);
    env = env_of(world);
    setup = (MikeyUpdateSetup){.lines = alice->lines,
                               .n_lines = 1,
                               .profiles = alice->profiles,
                               .n_profiles = 2,
                               .sdp_ids = mikey_bytes_str("mikey"),
                               .want_answer = true};
    g_assert_cmpint(mikey_update_new(bundle, &setup, &env, &sent), ==, MIKEY_OK);
    more = sdp_with(mikey_update_octets(sent));
    again = server_new(world, CLV_PURPOSE_JOIN, more);
    again->setup.session = server->out.session;
    g_assert_cmpint(open_and_ask(again), ==, CLV_KEYMGMT_DONE);
    g_assert_true(again->out.updates_session);
    g_assert_true(again->out.has_media);
    g_assert_cmpstr(again->out.identity, ==, ALICE);

    server_free(again);
    sdp_free(more);
    mikey_update_free(sent);
    mikey_bundle_free(bundle);
    server_free(server);
    sdp_free(sdp);
    caller_free(alice);
    world_free(world);
}

/* A re-offer with a ticket is a new exchange, and the KMS is asked. */
static void
test_new_ticket(void)
{
    Up *up = up_new(0);
    ClvSdp *sdp;
    Server *server;

    up->bob->setup.csb_id++;
    mikey_grant_free(g_steal_pointer(&up->bob->grant));
    make_transfer(up->bob);
    sdp = sdp_with(transfer_of(up->bob));
    server = server_new(up->world, CLV_PURPOSE_JOIN, sdp);
    server->setup.session = up->session;
    assert_works(up->bob, server, 1);
    g_assert_false(server->out.updates_session);
    g_assert_nonnull(server->out.session);
    g_assert_cmpuint(up->world->n_resolved, ==, 2);
    server_free(server);
    sdp_free(sdp);
    up_free(up);
}

/* Long after the memory of messages has forgotten it: no second bundle under the name of the one in
 * force. */
static void
test_csb_id_in_force(void)
{
    Up *up = up_new(0);
    ClvSdp *sdp;
    Server *server;
    ClvKeymgmtNext next;

    let_pass(up->world, 1000);
    mikey_grant_free(g_steal_pointer(&up->bob->grant));
    make_transfer(up->bob);
    sdp = sdp_with(transfer_of(up->bob));
    server = server_new(up->world, CLV_PURPOSE_JOIN, sdp);
    server->setup.session = up->session;
    next = open_and_ask(server);
    g_assert_cmpuint(up->world->n_resolved, ==, 1);
    assert_refused(server, next, CLV_CODE_KEYMGMT_FAILED, 1, "CSB ID *is the one in force*");
    g_assert_false(last_was_forged);
    sdp_free(sdp);
    up_free(up);
}

/* ---- updates that are refused ---- */

static void
test_replay(void)
{
    Up *up = up_new(MIKEY_FLAG_L);
    MikeyKeyData key = late_key(1);
    MikeyUpdateSetup setup = setup_of(up, &key);
    g_autoptr(GByteArray) old = g_byte_array_new();
    MikeyBytes octets;

    make_update(up, &setup);
    octets = mikey_update_octets(up->update);
    g_byte_array_append(old, octets.data, (guint)octets.len);
    g_assert_cmpint(reoffer_update(up), ==, CLV_KEYMGMT_DONE);
    assert_updated(up);
    assert_update_refused(up, reoffer(up, mikey_bytes(old->data, old->len), CLV_PURPOSE_JOIN),
                          CLV_CODE_KEYMGMT_FAILED, 1, FALSE, "update:*");
    up_free(up);
}

static void
test_forged(void)
{
    Up *up = up_new(0);
    MikeyUpdateSetup setup = setup_of(up, NULL);
    g_autoptr(GByteArray) forged = g_byte_array_new();
    MikeyBytes octets;

    make_update(up, &setup);
    octets = mikey_update_octets(up->update);
    g_byte_array_append(forged, octets.data, (guint)octets.len);
    forged->data[forged->len - 1] ^= 1;
    assert_update_refused(up, reoffer(up, mikey_bytes(forged->data, forged->len), CLV_PURPOSE_JOIN),
                          CLV_CODE_KEYMGMT_FAILED, 0, FALSE, "update:*");
    g_assert_true(last_was_forged);
    up_free(up);
}

/* Another call's update: another CSB ID. */
static void
test_of_another_bundle(void)
{
    Up *up = up_with(0, 7), *other = up_with(0, 8);
    MikeyUpdateSetup setup = setup_of(other, NULL);

    let_pass(other->world, 1);
    let_pass(up->world, 1);
    make_update(other, &setup);
    assert_update_refused(up, reoffer(up, mikey_update_octets(other->update), CLV_PURPOSE_JOIN),
                          CLV_CODE_KEYMGMT_FAILED, 12, FALSE, "update:*");
    up_free(other);
    up_free(up);
}

/* The ticket says who may bring keys. */
static void
test_keys_without_leave(void)
{
    Up *up = up_new(0);
    Up *with_leave = up_new(MIKEY_FLAG_L);
    MikeyKeyData key = late_key(1);
    MikeyUpdateSetup setup = setup_of(up, &key);
    MikeyEnv env = env_of(up->world);

    /* libmikey does not make such a message at all */
    g_assert_cmpint(mikey_update_new(up->bundle, &setup, &env, &up->update), ==,
                    MIKEY_POLICY_VIOLATED);
    update(with_leave, &key);
    up_free(with_leave);
    up_free(up);
}

static void
test_no_policy_in_common(void)
{
    static const MikeySrtpProfile short_tag[] = {MIKEY_SRTP_AES_CM_128_HMAC_SHA1_32};
    Up *up = up_new(0);
    MikeyUpdateSetup setup = setup_of(up, NULL);

    setup.profiles = short_tag;
    setup.n_profiles = 1;
    make_update(up, &setup);
    assert_update_refused(up, reoffer_update(up), CLV_CODE_KEYMGMT_UNACCEPTABLE, 10, TRUE,
                          "answering an update:*");
    up_free(up);
}

/* Our m-line is not in it: our sessions would end. */
static void
test_our_line_is_missing(void)
{
    Up *up = up_new(0);
    MikeyUpdateSetup setup = setup_of(up, NULL);

    up->bob->lines[0].keyed = false;
    up->bob->lines[1] = (MikeyLine){.keyed = true, .ssrc = THEIR_SSRC + 1};
    setup.n_lines = 2;
    make_update(up, &setup);
    up->bob->lines[0].keyed = true;
    assert_update_refused(up, reoffer_update(up), CLV_CODE_KEYMGMT_FAILED, 13, TRUE, "*");
    up_free(up);
}

/* Who may be in the conference is said by tickets alone. */
static void
test_allowed_set(void)
{
    static const ClvPurpose purposes[] = {CLV_PURPOSE_ALLOW, CLV_PURPOSE_CREATE, CLV_PURPOSE_REFER};

    for (guint i = 0; i < G_N_ELEMENTS(purposes); i++) {
        Up *up = up_new(0);
        MikeyUpdateSetup setup = setup_of(up, NULL);

        make_update(up, &setup);
        assert_update_refused(up, reoffer(up, mikey_update_octets(up->update), purposes[i]),
                              CLV_CODE_TICKET_REFUSED, 15, FALSE, "a ticket is wanted*");
        up_free(up);
    }
}

/* The list against bidding down is wanted here as well. */
static void
test_list_of_protocols(void)
{
    Up *up = up_new(0);
    MikeyUpdateSetup setup = setup_of(up, NULL);

    setup.sdp_ids = mikey_bytes(NULL, 0);
    make_update(up, &setup);
    assert_update_refused(up, reoffer_update(up), CLV_CODE_KEYMGMT_FAILED, 0, FALSE, "*");
    up_free(up);
}

/* Without a session there is nothing to update. */
static void
test_first_offer(void)
{
    Up *up = up_new(0);
    MikeyUpdateSetup setup = setup_of(up, NULL);
    struct ClvKeymgmtSession *session = g_steal_pointer(&up->session);
    ClvKeymgmtNext next;
    Server *server;

    make_update(up, &setup);
    next = reoffer_update(up);
    server = g_steal_pointer(&up->server);
    assert_refused(server, next, CLV_CODE_KEYMGMT_FAILED, 13, "TRANSFER_INIT*");
    up->session = session;
    up_free(up);
}

static void
test_no_randomness_needed(void)
{
    Up *up = up_new(MIKEY_FLAG_L);
    MikeyKeyData key = late_key(1);

    up->world->dry = TRUE;
    update(up, &key);
    up_free(up);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/ticket-update/new-keys-come-without-the-kms", test_new_key);
    g_test_add_func("/ticket-update/a-new-sender-leaves-the-keys", test_new_sender);
    g_test_add_func("/ticket-update/no-answer-when-none-is-wanted", test_no_answer_wanted);
    g_test_add_func("/ticket-update/the-end-of-the-ticket-is-no-matter",
                    test_after_the_tickets_end);
    g_test_add_func("/ticket-update/audio-may-come-later", test_audio_comes_later);
    g_test_add_func("/ticket-update/a-new-ticket-is-a-new-exchange", test_new_ticket);
    g_test_add_func("/ticket-update/a-new-ticket-wants-a-new-csb-id", test_csb_id_in_force);
    g_test_add_func("/ticket-update/an-old-update-is-refused", test_replay);
    g_test_add_func("/ticket-update/a-forged-update-is-refused", test_forged);
    g_test_add_func("/ticket-update/of-another-bundle-is-refused", test_of_another_bundle);
    g_test_add_func("/ticket-update/keys-need-leave", test_keys_without_leave);
    g_test_add_func("/ticket-update/no-policy-in-common", test_no_policy_in_common);
    g_test_add_func("/ticket-update/our-sessions-must-stay", test_our_line_is_missing);
    g_test_add_func("/ticket-update/the-allowed-set-needs-a-ticket", test_allowed_set);
    g_test_add_func("/ticket-update/the-list-of-protocols-is-wanted", test_list_of_protocols);
    g_test_add_func("/ticket-update/the-first-offer-is-no-update", test_first_offer);
    g_test_add_func("/ticket-update/no-randomness-is-needed", test_no_randomness_needed);
    return g_test_run();
}
