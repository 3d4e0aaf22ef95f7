/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/test-mikey-update.c - bundles get new keys and sessions, and nobody else's */
#include "tests/unit/mikey-draft.h"
#include "tests/unit/mikey-world.h"

#include <string.h>

#define LM (MIKEY_FLAG_L | MIKEY_FLAG_M)

static MikeyKeyData
key_of(MikeyKeyType type, gsize len, guint8 spi)
{
    MikeyKeyData key = {.type = type, .kv = MIKEY_KV_SPI, .spi_len = 4, .spi = {0xe0, 0, 0, spi}};

    key.key.len = len;
    memset(key.key.bytes, 0x40 + spi, len);
    if (type == MIKEY_KEY_TEK_SALT || type == MIKEY_KEY_TGK_SALT || type == MIKEY_KEY_GTGK_SALT) {
        key.salt.len = 12;
        memset(key.salt.bytes, 0x60 + spi, 12);
    }
    return key;
}

#define N_LINES 2

static const MikeySrtpProfile profiles[] = {MIKEY_SRTP_AEAD_AES_256_GCM,
                                            MIKEY_SRTP_AES_CM_128_HMAC_SHA1_80};

/* One side of a call that is up */
typedef struct Side {
    World *w;
    bool alice;
} Side;

static MikeyBundle *
bundle_of(Side side)
{
    return side.alice ? side.w->alice : side.w->bob;
}

static Side
other(Side side)
{
    return (Side){side.w, !side.alice};
}

static void
call_up(World *w, guint32 more_flags)
{
    world_init(w);
    w->policy.flags |= more_flags;
    assert_status(world_run(w), MIKEY_OK);
    w->env.now += (guint64)10 << 32;
}

static MikeyUpdateSetup
update_setup(Side side, const MikeyKeyData *key)
{
    World *w = side.w;

    return (MikeyUpdateSetup){.lines = side.alice ? w->alice_lines : w->bob_lines,
                              .n_lines = N_LINES,
                              .profiles = profiles,
                              .n_profiles = 1,
                              .keys = key,
                              .n_keys = key != NULL,
                              .want_answer = true};
}

static MikeyAnswerSetup
answer_setup(Side side, const MikeyKeyData *key)
{
    World *w = side.w;

    return (MikeyAnswerSetup){.lines = side.alice ? w->alice_lines : w->bob_lines,
                              .n_lines = G_N_ELEMENTS(w->bob_lines),
                              .profiles = profiles,
                              .n_profiles = G_N_ELEMENTS(profiles),
                              .keys = key,
                              .n_keys = key != NULL};
}

static MikeyUpdate *
sent(Side side, const MikeyUpdateSetup *setup)
{
    MikeyUpdate *update = NULL;

    assert_status(mikey_update_new(bundle_of(side), setup, &side.w->env, &update), MIKEY_OK);
    return update;
}

static MikeyStatus
open_at(Side side, MikeyBytes octets, MikeyUpdate **out)
{
    return mikey_update_open(bundle_of(side), octets, &side.w->env, out);
}

/* A whole update from @side; the status of whatever step fails first */
static MikeyStatus
update(Side side, const MikeyUpdateSetup *setup, const MikeyKeyData *answer_key)
{
    MikeyAnswerSetup answering = answer_setup(other(side), answer_key);
    MikeyUpdate *out = NULL, *in = NULL;
    MikeyBuffer answer = MIKEY_BUFFER_INIT;
    MikeyStatus status = mikey_update_new(bundle_of(side), setup, &side.w->env, &out);

    if (status == MIKEY_OK)
        status = open_at(other(side), mikey_update_octets(out), &in);
    if (status == MIKEY_OK)
        status = mikey_update_answer(in, bundle_of(other(side)), &answering, &side.w->env, &answer);
    if (status == MIKEY_OK) {
        g_assert_cmpint(answer.len > 0, ==, setup->want_answer);
        status = mikey_update_finish(out, bundle_of(side), mikey_bytes(answer.data, answer.len),
                                     &side.w->env, NULL);
    }
    mikey_buffer_clear(&answer);
    mikey_update_free(in);
    mikey_update_free(out);
    return status;
}

static void
assert_agree(World *w, guint8 id, const MikeyKeyData *key)
{
    MikeySrtp a, b;

    assert_status(mikey_bundle_srtp(w->alice, id, &a), MIKEY_OK);
    assert_status(mikey_bundle_srtp(w->bob, id, &b), MIKEY_OK);
    g_assert_true(mikey_key_equal(&a.master_key, &b.master_key));
    g_assert_true(mikey_key_equal(&a.master_salt, &b.master_salt));
    g_assert_cmpuint(a.ssrc, ==, b.ssrc);
    g_assert_cmpmem(a.mki, a.mki_len, b.mki, b.mki_len);
    if (key != NULL)
        g_assert_cmpmem(a.mki, a.mki_len, key->spi, key->spi_len);
}

static const MikeyKeyType types[] = {MIKEY_KEY_TGK, MIKEY_KEY_TGK_SALT, MIKEY_KEY_TEK_SALT,
                                     MIKEY_KEY_GTGK, MIKEY_KEY_GTGK_SALT};
static const guint32 kinds[] = {
    MIKEY_FLAGS_PROFILE | LM, (MIKEY_FLAGS_PROFILE & ~MIKEY_FLAG_I) | LM,
    (MIKEY_FLAGS_PROFILE & ~MIKEY_FLAG_G) | LM, (MIKEY_FLAGS_PROFILE & ~MIKEY_FLAG_H) | LM};

static void
either_side_brings_keys_of_every_type(void)
{
    for (gsize kind = 0; kind < G_N_ELEMENTS(kinds); kind++) {
        for (gsize i = 0; i < 2 * G_N_ELEMENTS(types); i++) {
            World w;
            Side side = {&w, i % 2 == 0};
            MikeyKeyData key = key_of(types[i / 2], 32, (guint8)i);
            MikeyUpdateSetup setup = update_setup(side, &key);
            MikeySrtp before, after;

            world_init(&w);
            w.policy.flags = kinds[kind];
            assert_status(world_run(&w), MIKEY_OK);
            assert_status(mikey_bundle_srtp(w.alice, 1, &before), MIKEY_OK);
            w.env.now += (guint64)10 << 32;
            assert_status(update(side, &setup, NULL), MIKEY_OK);
            for (guint8 id = 1; id <= 4; id++)
                assert_agree(&w, id, &key);
            assert_status(mikey_bundle_srtp(w.alice, 1, &after), MIKEY_OK);
            g_assert_false(mikey_key_equal(&before.master_key, &after.master_key));
            g_assert_cmpuint(before.ssrc, ==, after.ssrc);
            if (types[i / 2] == MIKEY_KEY_TEK_SALT)
                g_assert_true(mikey_key_equal(&after.master_key, &key.key));
            world_clear(&w);
        }
    }
}

/* Octets of a RANDR, in the message of the first exchange that has it */
static MikeyBytes
rand_of(World *w, WorldMessage which, guint8 role, MikeyMessage **out)
{
    assert_status(mikey_message_parse(world_octets(w, which), out), MIKEY_OK);
    return mikey_message_find(*out, MIKEY_RANDR, role)->u.rand.rand;
}

/* The key itself, not its fork, and the RANDs of the first exchange */
static void
a_late_tgk_is_not_forked(void)
{
    World w;
    Side bob = {&w, false};
    MikeyKeyData key = key_of(MIKEY_KEY_TGK, 32, 1);
    MikeyUpdateSetup setup = update_setup(bob, &key);
    MikeyMessage *init = NULL, *resp = NULL;
    MikeySrtp expected, got;
    MikeyBytes rand_i, rand_r;

    call_up(&w, LM);
    assert_status(update(bob, &setup, NULL), MIKEY_OK);
    rand_i = rand_of(&w, WORLD_TRANSFER_INIT, MIKEY_RANDR_INITIATOR, &init);
    rand_r = rand_of(&w, WORLD_TRANSFER_RESP, MIKEY_RANDR_RESPONDER, &resp);
    assert_status(mikey_bundle_srtp(w.alice, 2, &got), MIKEY_OK);
    assert_status(mikey_srtp_derive(MIKEY_PRF_HMAC_SHA_256, &key,
                                    mikey_header_cs(mikey_bundle_header(w.alice), 2),
                                    mikey_bundle_profile(w.alice, 2), rand_i, rand_r, &expected),
                  MIKEY_OK);
    g_assert_true(mikey_key_equal(&expected.master_key, &got.master_key));
    mikey_message_free(init);
    mikey_message_free(resp);
    world_clear(&w);
}

static void
the_answerer_may_bring_the_key(void)
{
    World w;
    Side alice = {&w, true};
    MikeyKeyData one = key_of(MIKEY_KEY_GTGK, 32, 1), two = key_of(MIKEY_KEY_TEK_SALT, 32, 2);
    MikeyUpdateSetup setup = update_setup(alice, NULL);
    MikeyBytes spi = mikey_bytes(two.spi, two.spi_len);

    call_up(&w, LM);
    w.bob_lines[0].spi_answerer = spi;
    assert_status(update(alice, &setup, &two), MIKEY_OK);
    assert_agree(&w, 2, &two);
    assert_agree(&w, 1, NULL);
    setup.keys = &one;
    setup.n_keys = 1;
    w.bob_lines[0].spi_answerer = mikey_bytes(NULL, 0);
    assert_status(update(alice, &setup, NULL), MIKEY_OK);
    assert_agree(&w, 1, &one);
    assert_agree(&w, 2, &one);
    world_clear(&w);
}

static void
keys_need_the_flag_of_their_bringer(void)
{
    static const struct {
        guint32 flags;
        bool alice_may, bob_may;
    } cases[] = {{0, false, false},
                 {MIKEY_FLAG_L, true, false},
                 {MIKEY_FLAG_M, false, true},
                 {LM, true, true}};

    for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
        World w;
        Side alice = {&w, true}, bob = {&w, false};
        MikeyKeyData one = key_of(MIKEY_KEY_GTGK, 32, 1), two = key_of(MIKEY_KEY_GTGK, 32, 2);
        MikeyKeyData three = key_of(MIKEY_KEY_GTGK, 32, 3);
        MikeyUpdateSetup of_alice = update_setup(alice, &one), of_bob = update_setup(bob, &two);
        MikeyUpdateSetup plain = update_setup(alice, NULL);

        call_up(&w, cases[i].flags);
        assert_status(update(alice, &of_alice, NULL),
                      cases[i].alice_may ? MIKEY_OK : MIKEY_POLICY_VIOLATED);
        assert_status(update(bob, &of_bob, NULL),
                      cases[i].bob_may ? MIKEY_OK : MIKEY_POLICY_VIOLATED);
        assert_status(update(alice, &plain, &three),
                      cases[i].bob_may ? MIKEY_OK : MIKEY_POLICY_VIOLATED);
        world_clear(&w);
    }
}

/* V = 0: what is not answered must be complete, and is in force at once on both sides */
static void
an_update_need_not_be_answered(void)
{
    World w;
    Side bob = {&w, false};
    MikeyKeyData key = key_of(MIKEY_KEY_TEK_SALT, 32, 1);
    MikeyUpdateSetup setup = update_setup(bob, &key);
    MikeyUpdate *none = NULL;

    setup.want_answer = false;
    call_up(&w, LM);
    assert_status(update(bob, &setup, NULL), MIKEY_OK);
    assert_agree(&w, 1, &key);
    assert_agree(&w, 4, &key);
    /* two policies would leave a choice, a new line has an SSRC that bob cannot know */
    setup.keys = NULL;
    setup.n_keys = 0;
    setup.n_profiles = 2;
    assert_status(mikey_update_new(w.bob, &setup, &w.env, &none), MIKEY_ARGUMENT);
    setup.n_profiles = 1;
    setup.n_lines = 3;
    assert_status(mikey_update_new(w.bob, &setup, &w.env, &none), MIKEY_ARGUMENT);
    g_assert_null(none);
    world_clear(&w);
}

/* F = 0: the first exchange had no answer, so the keys of the offer go on */
static void
a_bundle_without_answer_is_updated_under_the_keys_of_the_offer(void)
{
    World w;
    MikeyKeyData key = key_of(MIKEY_KEY_GTGK, 32, 1);
    MikeyUpdateSetup setup = update_setup((Side){&w, true}, &key);

    world_init(&w);
    w.policy.flags =
        (MIKEY_FLAG_D | MIKEY_FLAG_E | MIKEY_FLAG_H | MIKEY_FLAG_N | MIKEY_FLAG_O | MIKEY_FLAG_L);
    w.n_alice_profiles = 1;
    assert_status(world_run(&w), MIKEY_OK);
    g_assert_cmpuint(w.messages[WORLD_TRANSFER_RESP].len, ==, 0);
    setup.profiles = w.alice_profiles;
    w.env.now += 1;
    assert_status(update((Side){&w, true}, &setup, NULL), MIKEY_OK);
    assert_agree(&w, 1, &key);
    assert_agree(&w, 2, &key);
    world_clear(&w);
}

static void
sessions_come_and_go(void)
{
    World w;
    Side alice = {&w, true}, bob = {&w, false};
    MikeyUpdateSetup of_alice = update_setup(alice, NULL), of_bob = update_setup(bob, NULL);
    MikeySrtp srtp;

    call_up(&w, 0);
    of_alice.n_lines = 4;
    assert_status(update(alice, &of_alice, NULL), MIKEY_OK);
    for (guint8 id = 1; id <= 8; id++)
        assert_agree(&w, id, NULL);
    assert_status(mikey_bundle_srtp(w.bob, 8, &srtp), MIKEY_OK);
    g_assert_cmpuint(srtp.ssrc, ==, w.bob_lines[3].ssrc);
    /* bob drops the first line */
    w.bob_lines[0].keyed = false;
    of_bob.n_lines = 4;
    assert_status(update(bob, &of_bob, NULL), MIKEY_OK);
    assert_status(mikey_bundle_srtp(w.alice, 1, &srtp), MIKEY_BAD_SESSIONS);
    assert_status(mikey_bundle_srtp(w.alice, 2, &srtp), MIKEY_BAD_SESSIONS);
    for (guint8 id = 3; id <= 8; id++)
        assert_agree(&w, id, NULL);
    world_clear(&w);
}

/* A stream for everybody, which runs already: SSRC, ROC and SEQ arrive as they were given */
static void
sessions_outside_of_lines_pass_unchanged(void)
{
    World w;
    Side bob = {&w, false};
    MikeyKeyData key = key_of(MIKEY_KEY_TEK_SALT, 32, 1);
    MikeyUpdateSetup setup = update_setup(bob, &key);
    MikeyCs stream = {.id = MIKEY_CS_FURTHER,
                      .n_policies = 1,
                      .has_ssrc = true,
                      .has_roc = true,
                      .ssrc = 0xabcdef01,
                      .roc = 7,
                      .seq = 0x1234,
                      .spi_len = 4,
                      .spi = {0xe0, 0, 0, 1}};
    MikeyUpdate *none = NULL;
    MikeySrtp srtp;

    call_up(&w, LM);
    setup.sessions = &stream;
    setup.n_sessions = 1;
    assert_status(update(bob, &setup, NULL), MIKEY_OK);
    assert_agree(&w, MIKEY_CS_FURTHER, &key);
    assert_status(mikey_bundle_srtp(w.alice, MIKEY_CS_FURTHER, &srtp), MIKEY_OK);
    g_assert_true(srtp.has_roc);
    g_assert_cmpuint(srtp.ssrc, ==, 0xabcdef01);
    g_assert_cmpuint(srtp.roc, ==, 7);
    g_assert_cmpuint(srtp.seq, ==, 0x1234);
    stream.id = 3;
    setup.n_keys = 0;
    assert_status(mikey_update_new(w.bob, &setup, &w.env, &none), MIKEY_ARGUMENT);
    world_clear(&w);
}

static MikeyNtp
t_of(MikeyBytes octets)
{
    MikeyMessage *message = NULL;
    MikeyNtp t;

    assert_status(mikey_message_parse(octets, &message), MIKEY_OK);
    t = mikey_timestamp_iv(&mikey_message_find(message, MIKEY_T, 0)->u.timestamp);
    mikey_message_free(message);
    return t;
}

/* With a clock that stands still, and one that is behind */
static void
no_timestamp_is_used_twice(void)
{
    World w;
    Side alice = {&w, true}, bob = {&w, false};
    MikeyUpdateSetup of_alice = update_setup(alice, NULL), of_bob = update_setup(bob, NULL);
    MikeyAnswerSetup answering = answer_setup(bob, NULL);
    MikeyUpdate *out, *in = NULL, *none = NULL;
    MikeyBuffer answer = MIKEY_BUFFER_INIT;
    MikeyNtp first, second;

    call_up(&w, 0);
    out = sent(alice, &of_alice);
    first = t_of(mikey_update_octets(out));
    w.env.now -= (guint64)20 << 32;
    assert_status(open_at(bob, mikey_update_octets(out), &in), MIKEY_OK);
    assert_status(mikey_update_answer(in, w.bob, &answering, &w.env, &answer), MIKEY_OK);
    second = t_of(mikey_bytes(answer.data, answer.len));
    g_assert_cmpuint(second, ==, first + 1);
    assert_status(
        mikey_update_finish(out, w.alice, mikey_bytes(answer.data, answer.len), &w.env, NULL),
        MIKEY_OK);
    mikey_update_free(out);
    mikey_update_free(in);
    mikey_buffer_clear(&answer);
    out = sent(bob, &of_bob);
    g_assert_cmpuint(t_of(mikey_update_octets(out)), ==, second + 1);
    mikey_update_free(out);
    /* an hour behind: the T that would be needed is nobody's now */
    w.env.now -= (guint64)3600 << 32;
    assert_status(mikey_update_new(w.alice, &of_alice, &w.env, &none), MIKEY_BAD_TIME);
    world_clear(&w);
}

static void
an_update_works_once_and_for_one_side(void)
{
    World w;
    Side alice = {&w, true}, bob = {&w, false};
    MikeyUpdateSetup setup = update_setup(alice, NULL);
    MikeyAnswerSetup answering = answer_setup(bob, NULL);
    MikeyUpdate *out, *in = NULL, *again = NULL;
    MikeyBuffer answer = MIKEY_BUFFER_INIT, none = MIKEY_BUFFER_INIT;

    call_up(&w, 0);
    out = sent(alice, &setup);
    assert_status(open_at(alice, mikey_update_octets(out), &again), MIKEY_BAD_TIME);
    assert_status(open_at(bob, mikey_update_octets(out), &in), MIKEY_OK);
    assert_status(open_at(bob, mikey_update_octets(out), &again), MIKEY_BAD_TIME);
    assert_status(mikey_update_answer(out, w.alice, &answering, &w.env, &none), MIKEY_ORDER);
    assert_status(mikey_update_answer(in, w.bob, &answering, &w.env, &answer), MIKEY_OK);
    assert_status(mikey_update_answer(in, w.bob, &answering, &w.env, &none), MIKEY_ORDER);
    assert_status(
        mikey_update_finish(in, w.bob, mikey_bytes(answer.data, answer.len), &w.env, NULL),
        MIKEY_ORDER);
    assert_status(mikey_update_finish(out, w.alice, mikey_bytes(NULL, 0), &w.env, NULL),
                  MIKEY_TRUNCATED);
    assert_status(
        mikey_update_finish(out, w.alice, mikey_bytes(answer.data, answer.len), &w.env, NULL),
        MIKEY_OK);
    assert_status(
        mikey_update_finish(out, w.alice, mikey_bytes(answer.data, answer.len), &w.env, NULL),
        MIKEY_ORDER);
    g_assert_null(again);
    mikey_update_free(out);
    mikey_update_free(in);
    mikey_buffer_clear(&answer);
    world_clear(&w);
}

/* Both at once: the younger T wins, the other side may try again */
static void
of_two_updates_at_once_one_gets_through(void)
{
    World w;
    Side alice = {&w, true}, bob = {&w, false};
    MikeyUpdateSetup of_alice = update_setup(alice, NULL), of_bob = update_setup(bob, NULL);
    MikeyAnswerSetup answering = answer_setup(alice, NULL);
    MikeyUpdate *from_alice, *from_bob, *in = NULL;
    MikeyBuffer answer = MIKEY_BUFFER_INIT, error = MIKEY_BUFFER_INIT;
    MikeyPeerError told = {0, true};

    call_up(&w, 0);
    from_alice = sent(alice, &of_alice);
    w.env.now += 1000;
    from_bob = sent(bob, &of_bob);
    assert_status(open_at(bob, mikey_update_octets(from_alice), &in), MIKEY_BAD_TIME);
    assert_status(mikey_error_new(mikey_update_octets(from_alice), MIKEY_BAD_TIME, &w.env, &error),
                  MIKEY_OK);
    assert_status(
        mikey_update_finish(from_alice, w.alice, mikey_bytes(error.data, error.len), &w.env, &told),
        MIKEY_PEER_ERROR);
    g_assert_cmpuint(told.number, ==, 1);
    g_assert_false(told.authentic);
    assert_status(open_at(alice, mikey_update_octets(from_bob), &in), MIKEY_OK);
    assert_status(mikey_update_answer(in, w.alice, &answering, &w.env, &answer), MIKEY_OK);
    assert_status(
        mikey_update_finish(from_bob, w.bob, mikey_bytes(answer.data, answer.len), &w.env, NULL),
        MIKEY_OK);
    assert_status(
        mikey_update_finish(from_alice, w.alice, mikey_bytes(error.data, error.len), &w.env, &told),
        MIKEY_ORDER);
    mikey_update_free(from_alice);
    mikey_update_free(from_bob);
    mikey_update_free(in);
    mikey_buffer_clear(&answer);
    mikey_buffer_clear(&error);
    assert_status(update(alice, &of_alice, NULL), MIKEY_OK);
    world_clear(&w);
}

static void
a_refusal_is_authentic_and_changes_nothing(void)
{
    World w;
    Side alice = {&w, true}, bob = {&w, false};
    MikeyKeyData key = key_of(MIKEY_KEY_GTGK, 32, 1);
    MikeyUpdateSetup setup = update_setup(alice, &key);
    MikeyUpdate *out, *in = NULL;
    MikeyBuffer error = MIKEY_BUFFER_INIT;
    MikeyPeerError told = {0, false};
    MikeySrtp before, after;

    call_up(&w, LM);
    assert_status(mikey_bundle_srtp(w.alice, 1, &before), MIKEY_OK);
    out = sent(alice, &setup);
    assert_status(open_at(bob, mikey_update_octets(out), &in), MIKEY_OK);
    g_assert_cmpuint(mikey_update_n_keys(in), ==, 1);
    g_assert_true(mikey_key_equal(&mikey_update_key(in, 0)->key, &key.key));
    g_assert_null(mikey_update_key(in, 1));
    assert_status(
        mikey_update_error(in, w.bob, MIKEY_BAD_PARAMETERS, w.bob_profiles, 2, &w.env, &error),
        MIKEY_OK);
    assert_status(mikey_update_error(out, w.alice, MIKEY_BAD_MAC, NULL, 0, &w.env, &error),
                  MIKEY_ORDER);
    assert_status(
        mikey_update_finish(out, w.alice, mikey_bytes(error.data, error.len), &w.env, &told),
        MIKEY_PEER_ERROR);
    g_assert_cmpuint(told.number, ==, 10);
    g_assert_true(told.authentic);
    assert_status(mikey_bundle_srtp(w.alice, 1, &after), MIKEY_OK);
    g_assert_true(mikey_key_equal(&before.master_key, &after.master_key));
    assert_status(mikey_bundle_srtp(w.bob, 1, &after), MIKEY_OK);
    g_assert_true(mikey_key_equal(&before.master_key, &after.master_key));
    mikey_update_free(out);
    mikey_update_free(in);
    mikey_buffer_clear(&error);
    world_clear(&w);
}

static void
an_update_of_another_bundle_is_refused(void)
{
    World w, v;
    MikeyUpdateSetup setup = update_setup((Side){&w, true}, NULL);
    MikeyUpdate *out, *in = NULL;
    guint32 csb_id = 0;

    call_up(&w, 0);
    world_init(&v);
    v.counter = 99;
    v.env.random_data = &v;
    assert_status(world_run(&v), MIKEY_OK);
    out = sent((Side){&w, true}, &setup);
    assert_status(mikey_update_peek(mikey_update_octets(out), &csb_id), MIKEY_OK);
    g_assert_cmphex(csb_id, ==, mikey_bundle_csb_id(w.alice));
    /* same CSB ID, other keys */
    assert_status(mikey_update_open(v.bob, mikey_update_octets(out), &w.env, &in), MIKEY_BAD_MAC);
    assert_status(mikey_update_peek(world_octets(&w, WORLD_TRANSFER_INIT), &csb_id),
                  MIKEY_BAD_DATA_TYPE);
    assert_status(open_at((Side){&w, false}, world_octets(&w, WORLD_TRANSFER_INIT), &in),
                  MIKEY_POLICY_VIOLATED);
    assert_status(open_at((Side){&w, false}, world_octets(&w, WORLD_TRANSFER_RESP), &in),
                  MIKEY_BAD_DATA_TYPE);
    mikey_update_free(out);
    world_clear(&w);
    world_clear(&v);
}

/* ---- under the right MAC, and wrong all the same ---- */

/* Keys of the answer of the first exchange, which go on protecting the bundle */
static MikeyMessageKeys
keys_in_force(World *w)
{
    MikeyMessage *init = NULL, *resp = NULL;
    MikeyLabel label = {.tag = MIKEY_TAG_RESP, .csb_id = mikey_bundle_csb_id(w->alice)};
    MikeyMessageKeys keys;
    MikeyKey mpkr;

    label.rand_i = rand_of(w, WORLD_TRANSFER_INIT, MIKEY_RANDR_INITIATOR, &init);
    label.rand_r = rand_of(w, WORLD_TRANSFER_RESP, MIKEY_RANDR_RESPONDER, &resp);
    assert_status(mikey_fork(MIKEY_PRF_HMAC_SHA_256, MIKEY_C_FORK_MPKR, mikey_grant_mpkr(w->grant),
                             mikey_message_find(resp, MIKEY_IDR, MIKEY_IDR_RESPONDER)->u.id.data,
                             mikey_message_find(resp, MIKEY_RANDR, MIKEY_RANDR_KMS)->u.rand.rand,
                             &mpkr),
                  MIKEY_OK);
    assert_status(mikey_message_keys(MIKEY_PRF_HMAC_SHA_256, &mpkr, &label, &keys), MIKEY_OK);
    mikey_message_free(init);
    mikey_message_free(resp);
    return keys;
}

typedef void (*Spoil)(World *w, Draft *d);

static void
no_harm(World *w, Draft *d)
{
    (void)w;
    (void)d;
}

static void
new_rand(World *w, Draft *d)
{
    static const guint8 rand[32] = {1};
    MikeyPayload p = {.number = MIKEY_RANDR,
                      .u.rand = {MIKEY_RANDR_INITIATOR, {rand, sizeof(rand)}}};

    (void)w;
    draft_add(d, &p);
}

static void
other_initiator(World *w, Draft *d)
{
    (void)w;
    for (gsize i = 0; i < d->n; i++) {
        if (d->payloads[i].number == MIKEY_IDR && d->payloads[i].u.id.role == MIKEY_IDR_INITIATOR)
            d->payloads[i].u.id.data = mikey_bytes_str("sip:eve@operator.example");
    }
}

static void
other_responder(World *w, Draft *d)
{
    (void)w;
    for (gsize i = 0; i < d->n; i++) {
        if (d->payloads[i].number == MIKEY_IDR && d->payloads[i].u.id.role == MIKEY_IDR_RESPONDER)
            d->payloads[i].u.id.data = mikey_bytes_str("sip:eve@operator.example");
    }
}

static void
without_identities(World *w, Draft *d)
{
    (void)w;
    draft_drop(d, MIKEY_IDR);
    draft_drop(d, MIKEY_IDR);
}

static void
old_t(World *w, Draft *d)
{
    (void)w;
    draft_find(d, MIKEY_T)->u.timestamp.value = WORLD_NOW;
}

static void
far_t(World *w, Draft *d)
{
    (void)w;
    draft_find(d, MIKEY_T)->u.timestamp.value += (guint64)400 << 32;
}

static void
counter_t(World *w, Draft *d)
{
    (void)w;
    draft_find(d, MIKEY_T)->u.timestamp.type = MIKEY_TS_COUNTER;
    draft_find(d, MIKEY_T)->u.timestamp.value = 0xffffffff;
}

static void
other_prf(World *w, Draft *d)
{
    (void)w;
    d->header.prf = 0;
}

static void
other_csb(World *w, Draft *d)
{
    (void)w;
    d->header.csb_id ^= 1;
}

static void
unknown_policy(World *w, Draft *d)
{
    (void)w;
    d->cs[0].policies[0] = 77;
}

static void
policy_of_the_first_exchange(World *w, Draft *d)
{
    (void)w;
    draft_drop(d, MIKEY_SP);
    for (guint i = 0; i < d->header.n_cs; i++)
        d->cs[i].policies[0] = 1;
}

static void
clear_kemac(World *w, Draft *d)
{
    MikeyPayload p = {.number = MIKEY_KEMAC,
                      .u.kemac = {MIKEY_ENCR_NULL, mikey_bytes(NULL, 0), 0, mikey_bytes(NULL, 0)}};

    (void)w;
    draft_add(d, &p);
}

static void
kemac_without_leave(World *w, Draft *d)
{
    MikeyPayload p = {
        .number = MIKEY_KEMAC,
        .u.kemac = {MIKEY_ENCR_AES_CM_256, mikey_bytes(NULL, 0), 0, mikey_bytes(NULL, 0)}};

    (void)w;
    draft_add(d, &p);
}

/* The SPI of the ticket's own key, for another one */
static void
key_with_a_known_spi(World *w, Draft *d)
{
    static MikeyBuffer sealed;
    MikeyKeyData key = *mikey_grant_key(w->grant, 0);
    MikeyMessageKeys keys = keys_in_force(w);
    MikeyPayload p = {.number = MIKEY_KEMAC, .u.kemac = {.encr_alg = MIKEY_ENCR_AES_CM_256}};

    key.type = MIKEY_KEY_GTGK;
    mikey_buffer_clear(&sealed);
    assert_status(mikey_keys_seal(MIKEY_ENCR_AES_CM_256, &keys, d->header.csb_id,
                                  &draft_find(d, MIKEY_T)->u.timestamp, &key, 1, &sealed),
                  MIKEY_OK);
    p.u.kemac.encr_data = mikey_bytes(sealed.data, sealed.len);
    draft_add(d, &p);
}

static void
open_and_incomplete(World *w, Draft *d)
{
    (void)w;
    d->header.v = false;
    d->cs[1].spi_len = 0;
}

static void
open_and_undecided(World *w, Draft *d)
{
    (void)w;
    d->header.v = false;
    d->cs[1].n_policies = 0;
}

static const struct {
    const char *name;
    Spoil spoil;
    guint32 flags;
    MikeyStatus opened;
    MikeyStatus answered;
} odd[] = {
    {"nothing", no_harm, 0, MIKEY_OK, MIKEY_OK},
    {"without-identities", without_identities, 0, MIKEY_OK, MIKEY_OK},
    {"policy-of-the-first-exchange", policy_of_the_first_exchange, 0, MIKEY_OK, MIKEY_OK},
    {"new-rand", new_rand, 0, MIKEY_POLICY_VIOLATED, MIKEY_OK},
    {"other-initiator", other_initiator, 0, MIKEY_BAD_IDENTITY, MIKEY_OK},
    {"other-responder", other_responder, 0, MIKEY_BAD_IDENTITY, MIKEY_OK},
    {"old-t", old_t, 0, MIKEY_BAD_TIME, MIKEY_OK},
    {"far-t", far_t, 0, MIKEY_BAD_TIME, MIKEY_OK},
    {"counter-t", counter_t, 0, MIKEY_BAD_TIME, MIKEY_OK},
    {"other-prf", other_prf, 0, MIKEY_MISMATCH, MIKEY_OK},
    {"other-csb", other_csb, 0, MIKEY_MISMATCH, MIKEY_OK},
    {"unknown-policy", unknown_policy, 0, MIKEY_BAD_SESSIONS, MIKEY_OK},
    {"clear-kemac", clear_kemac, LM, MIKEY_BAD_ENCR_ALG, MIKEY_OK},
    {"kemac-without-leave", kemac_without_leave, 0, MIKEY_POLICY_VIOLATED, MIKEY_OK},
    {"key-with-a-known-spi", key_with_a_known_spi, LM, MIKEY_BAD_KEYS, MIKEY_OK},
    {"session-without-key", open_and_incomplete, 0, MIKEY_OK, MIKEY_BAD_SESSIONS},
    {"session-without-policy", open_and_undecided, 0, MIKEY_OK, MIKEY_BAD_SESSIONS},
};

/* What V covers after the message */
static MikeyBuffer
tail_of(World *w, const Draft *d)
{
    MikeyWriter out = MIKEY_WRITER_INIT;
    MikeyBuffer tail = MIKEY_BUFFER_INIT;

    (void)w;
    for (guint8 role = MIKEY_IDR_INITIATOR; role <= MIKEY_IDR_RESPONDER; role++) {
        MikeyBytes id = mikey_bytes_str(role == MIKEY_IDR_INITIATOR ? WORLD_ALICE : WORLD_BOB);

        for (gsize i = 0; i < d->n; i++) {
            if (d->payloads[i].number == MIKEY_IDR && d->payloads[i].u.id.role == role)
                id = d->payloads[i].u.id.data;
        }
        mikey_write_bytes(&out, id);
    }
    assert_status(mikey_writer_finish(&out, &tail), MIKEY_OK);
    return tail;
}

static void
an_odd_update_is_refused(gconstpointer data)
{
    gsize i = GPOINTER_TO_SIZE(data);
    World w;
    Side alice = {&w, true}, bob = {&w, false};
    MikeyUpdateSetup setup = update_setup(alice, NULL);
    MikeyAnswerSetup answering = answer_setup(bob, NULL);
    MikeyBuffer octets, tail, answer = MIKEY_BUFFER_INIT;
    MikeyUpdate *out, *in = NULL;
    MikeyMessageKeys keys;
    Draft d;

    call_up(&w, odd[i].flags);
    w.env.allow_128 = true;
    keys = keys_in_force(&w);
    out = sent(alice, &setup);
    draft_open(&d, mikey_update_octets(out));
    odd[i].spoil(&w, &d);
    tail = tail_of(&w, &d);
    octets = draft_close(&d, &keys.auth, mikey_bytes(tail.data, tail.len));
    assert_status(open_at(bob, mikey_bytes(octets.data, octets.len), &in), odd[i].opened);
    if (odd[i].opened == MIKEY_OK)
        assert_status(mikey_update_answer(in, w.bob, &answering, &w.env, &answer), odd[i].answered);
    assert_agree(&w, 1, NULL);
    mikey_update_free(in);
    mikey_update_free(out);
    mikey_buffer_clear(&octets);
    mikey_buffer_clear(&tail);
    mikey_buffer_clear(&answer);
    world_clear(&w);
}

static void
changed_ssrc(World *w, Draft *d)
{
    (void)w;
    d->cs[0].ssrc ^= 1;
}

static void
missing_session(World *w, Draft *d)
{
    (void)w;
    d->header.n_cs--;
}

static void
two_policies(World *w, Draft *d)
{
    (void)w;
    d->cs[0].n_policies = 2;
}

static void
unknown_spi(World *w, Draft *d)
{
    (void)w;
    d->cs[1].spi[0] ^= 1;
}

static const struct {
    const char *name;
    Spoil spoil;
    MikeyStatus finished;
} odd_answers[] = {
    {"nothing", no_harm, MIKEY_OK},
    {"new-rand", new_rand, MIKEY_POLICY_VIOLATED},
    {"other-responder", other_responder, MIKEY_BAD_IDENTITY},
    {"old-t", old_t, MIKEY_BAD_TIME},
    {"other-csb", other_csb, MIKEY_MISMATCH},
    {"kemac-without-leave", kemac_without_leave, MIKEY_POLICY_VIOLATED},
    {"clear-kemac", clear_kemac, MIKEY_BAD_ENCR_ALG},
    {"changed-ssrc", changed_ssrc, MIKEY_BAD_SESSIONS},
    {"missing-session", missing_session, MIKEY_BAD_SESSIONS},
    {"two-policies", two_policies, MIKEY_BAD_SESSIONS},
    {"unknown-spi", unknown_spi, MIKEY_BAD_KEYS},
    {"unknown-policy", unknown_policy, MIKEY_BAD_SESSIONS},
};

static void
an_odd_answer_is_refused(gconstpointer data)
{
    gsize i = GPOINTER_TO_SIZE(data);
    World w;
    Side alice = {&w, true}, bob = {&w, false};
    MikeyUpdateSetup setup = update_setup(alice, NULL);
    MikeyAnswerSetup answering = answer_setup(bob, NULL);
    MikeyBuffer octets, answer = MIKEY_BUFFER_INIT;
    MikeyUpdate *out, *in = NULL;
    MikeyMessageKeys keys;
    Draft d;

    call_up(&w, 0);
    keys = keys_in_force(&w);
    out = sent(alice, &setup);
    assert_status(open_at(bob, mikey_update_octets(out), &in), MIKEY_OK);
    assert_status(mikey_update_answer(in, w.bob, &answering, &w.env, &answer), MIKEY_OK);
    draft_open(&d, mikey_bytes(answer.data, answer.len));
    odd_answers[i].spoil(&w, &d);
    octets = draft_close(&d, &keys.auth, mikey_update_octets(out));
    assert_status(
        mikey_update_finish(out, w.alice, mikey_bytes(octets.data, octets.len), &w.env, NULL),
        odd_answers[i].finished);
    /* what was refused does not stand in the way of the right one */
    if (odd_answers[i].finished != MIKEY_OK)
        assert_status(
            mikey_update_finish(out, w.alice, mikey_bytes(answer.data, answer.len), &w.env, NULL),
            MIKEY_OK);
    mikey_update_free(in);
    mikey_update_free(out);
    mikey_buffer_clear(&octets);
    mikey_buffer_clear(&answer);
    world_clear(&w);
}

/* A conference that changes its key for days: the bundle does not grow */
static void
old_keys_make_room_for_new_ones(void)
{
    World w;
    Side bob = {&w, false};

    call_up(&w, LM);
    for (guint i = 0; i < 300; i++) {
        MikeyKeyData key = key_of(MIKEY_KEY_TEK_SALT, 32, (guint8)i);
        MikeyUpdateSetup setup = update_setup(bob, &key);

        key.spi[1] = (guint8)(i >> 8);
        assert_status(update(bob, &setup, NULL), MIKEY_OK);
        assert_agree(&w, 1, &key);
    }
    world_clear(&w);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
#define ADD(path, func) g_test_add_func("/mikey/update/" path, func)
    ADD("either-side-brings-keys-of-every-type", either_side_brings_keys_of_every_type);
    ADD("a-late-tgk-is-not-forked", a_late_tgk_is_not_forked);
    ADD("the-answerer-may-bring-the-key", the_answerer_may_bring_the_key);
    ADD("keys-need-the-flag-of-their-bringer", keys_need_the_flag_of_their_bringer);
    ADD("an-update-need-not-be-answered", an_update_need_not_be_answered);
    ADD("a-bundle-without-answer-is-updated-under-the-keys-of-the-offer",
        a_bundle_without_answer_is_updated_under_the_keys_of_the_offer);
    ADD("sessions-come-and-go", sessions_come_and_go);
    ADD("sessions-outside-of-lines-pass-unchanged", sessions_outside_of_lines_pass_unchanged);
    ADD("no-timestamp-is-used-twice", no_timestamp_is_used_twice);
    ADD("an-update-works-once-and-for-one-side", an_update_works_once_and_for_one_side);
    ADD("of-two-updates-at-once-one-gets-through", of_two_updates_at_once_one_gets_through);
    ADD("a-refusal-is-authentic-and-changes-nothing", a_refusal_is_authentic_and_changes_nothing);
    ADD("an-update-of-another-bundle-is-refused", an_update_of_another_bundle_is_refused);
    ADD("old-keys-make-room-for-new-ones", old_keys_make_room_for_new_ones);
    for (gsize i = 0; i < G_N_ELEMENTS(odd); i++) {
        g_autofree char *path = g_strdup_printf("/mikey/update/odd/%s", odd[i].name);

        g_test_add_data_func(path, GSIZE_TO_POINTER(i), an_odd_update_is_refused);
    }
    for (gsize i = 0; i < G_N_ELEMENTS(odd_answers); i++) {
        g_autofree char *path = g_strdup_printf("/mikey/update/odd-answer/%s", odd_answers[i].name);

        g_test_add_data_func(path, GSIZE_TO_POINTER(i), an_odd_answer_is_refused);
    }
    return g_test_run();
}
