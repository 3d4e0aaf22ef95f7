/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/test-mikey-modes.c - who makes a ticket and who opens it; keys of every type in it;
 * content that is encrypted already; groups */
#include "tests/unit/mikey-draft.h"
#include "tests/unit/mikey-world.h"

#include <string.h>

#define BY_KMS                                                                                     \
    (MIKEY_FLAG_D | MIKEY_FLAG_F | MIKEY_FLAG_G | MIKEY_FLAG_H | MIKEY_FLAG_N | MIKEY_FLAG_O)
#define BY_CALLER ((BY_KMS & ~MIKEY_FLAG_D) | MIKEY_FLAG_L)

static MikeyKeyWish
wish(MikeyKeyType type, guint8 spi)
{
    return (MikeyKeyWish){.type = type,
                          .key_len = 32,
                          .salt_len = type == MIKEY_KEY_TEK_SALT || type == MIKEY_KEY_TGK_SALT ||
                                              type == MIKEY_KEY_GTGK_SALT
                                          ? 12
                                          : 0,
                          .spi_len = 1,
                          .spi = {spi}};
}

static MikeyStatus
grant_by_kms(World *w)
{
    MikeyStatus status = world_request(w);

    if (status == MIKEY_OK)
        status = world_kms_grant(w, world_octets(w, WORLD_REQUEST_INIT),
                                 &w->messages[WORLD_REQUEST_RESP]);
    return status == MIKEY_OK ? world_grant(w, world_octets(w, WORLD_REQUEST_RESP), &w->grant)
                              : status;
}

static MikeyStatus
grant_by_caller(World *w)
{
    MikeyPolicy policy = w->policy;

    policy.initiator = mikey_identity_uri(WORLD_ALICE);
    return mikey_grant_make(&policy, &w->tpk, mikey_bytes_str("tpk-1"), &w->env, &w->grant);
}

static MikeyStatus
resolve_by_kms(World *w)
{
    MikeyStatus status = world_resolve(w);

    if (status == MIKEY_OK)
        status = world_kms_resolve(w, world_octets(w, WORLD_RESOLVE_INIT),
                                   &w->messages[WORLD_RESOLVE_RESP]);
    return status == MIKEY_OK
               ? world_resolved(w, world_octets(w, WORLD_RESOLVE_RESP), &w->resolution)
               : status;
}

static MikeyStatus
resolve_by_responder(World *w)
{
    g_assert_true(mikey_bytes_equal(mikey_ticket_tpk_id(mikey_offer_ticket(w->offer)),
                                    mikey_bytes_str("tpk-1")));
    return mikey_offer_open_ticket(w->offer, &w->tpk, &w->env, &w->resolution);
}

/* A call in one of the four modes, up to the step that fails */
static MikeyStatus
call(World *w, unsigned mode)
{
    MikeyBuffer *resp = &w->messages[WORLD_TRANSFER_RESP];
    MikeyStatus status = mode <= 2 ? grant_by_kms(w) : grant_by_caller(w);

    if (status == MIKEY_OK)
        status = world_transfer(w);
    if (status == MIKEY_OK)
        status = world_open(w, world_octets(w, WORLD_TRANSFER_INIT), &w->offer);
    if (status == MIKEY_OK)
        status = mode % 2 == 1 ? resolve_by_kms(w) : resolve_by_responder(w);
    if (status == MIKEY_OK)
        status = mikey_offer_verify(w->offer, w->resolution);
    if (status == MIKEY_OK)
        status = world_answer(w, w->offer, resp, &w->bob);
    if (status == MIKEY_OK)
        status = mikey_transfer_finish(w->transfer, mikey_bytes(resp->data, resp->len), &w->env,
                                       &w->alice, NULL);
    return status;
}

static void
assert_agree(World *w, guint8 id)
{
    MikeySrtp a, b;

    assert_status(mikey_bundle_srtp(w->alice, id, &a), MIKEY_OK);
    assert_status(mikey_bundle_srtp(w->bob, id, &b), MIKEY_OK);
    g_assert_true(mikey_key_equal(&a.master_key, &b.master_key));
    g_assert_true(mikey_key_equal(&a.master_salt, &b.master_salt));
}

static const struct {
    unsigned mode;
    guint32 flags;
    guint32 allow; /* without it the call fails as @refusal says */
    MikeyStatus refusal;
} modes[] = {
    {1, MIKEY_FLAGS_PROFILE, 0, MIKEY_OK},
    {2, BY_KMS, MIKEY_ALLOW_MODE_2, MIKEY_BAD_POLICY},
    {3, (MIKEY_FLAGS_PROFILE & ~MIKEY_FLAG_D) | MIKEY_FLAG_L, MIKEY_ALLOW_MODE_3, MIKEY_BAD_POLICY},
    {3, BY_CALLER | MIKEY_FLAG_E, MIKEY_ALLOW_MODE_3, MIKEY_BAD_POLICY},
    {3, BY_CALLER, MIKEY_ALLOW_MODE_3, MIKEY_BAD_POLICY},
    {4, BY_CALLER, MIKEY_ALLOW_MODE_4, MIKEY_BAD_POLICY},
};

static void
every_mode_works_when_it_is_allowed(void)
{
    for (gsize i = 0; i < G_N_ELEMENTS(modes); i++) {
        for (guint32 allow = 0; allow < 16; allow += 2) {
            bool may = (modes[i].allow & ~allow) == 0;
            World w;

            world_init(&w);
            w.env.allow = allow;
            w.policy.flags = modes[i].flags;
            assert_status(call(&w, modes[i].mode), may ? MIKEY_OK : modes[i].refusal);
            if (may)
                assert_agree(&w, 1);
            world_clear(&w);
        }
    }
}

/* What the caller allows himself does not bind the others */
static void
each_party_decides_by_itself(void)
{
    World w;

    world_init(&w);
    w.env.allow = MIKEY_ALLOW_MODE_3;
    w.policy.flags = (MIKEY_FLAGS_PROFILE & ~MIKEY_FLAG_D) | MIKEY_FLAG_L;
    assert_status(grant_by_caller(&w), MIKEY_OK);
    assert_status(world_transfer(&w), MIKEY_OK);
    w.env.allow = MIKEY_ALLOW_MODE_4 | MIKEY_ALLOW_MODE_2;
    assert_status(world_open(&w, world_octets(&w, WORLD_TRANSFER_INIT), &w.offer), MIKEY_OK);
    assert_status(world_resolve(&w), MIKEY_BAD_POLICY);
    w.env.allow = MIKEY_ALLOW_MODE_3;
    assert_status(world_resolve(&w), MIKEY_OK);
    w.env.allow = 0;
    assert_status(world_kms_resolve(&w, world_octets(&w, WORLD_RESOLVE_INIT),
                                    &w.messages[WORLD_RESOLVE_RESP]),
                  MIKEY_BAD_POLICY);
    /* E is set: not for the responder to open, whatever is allowed */
    w.env.allow = ~0u;
    assert_status(resolve_by_responder(&w), MIKEY_POLICY_VIOLATED);
    world_clear(&w);
}

static void
a_ticket_of_ones_own_must_say_so(void)
{
    World w;

    world_init(&w);
    w.env.allow = ~0u;
    assert_status(grant_by_caller(&w), MIKEY_ARGUMENT); /* D */
    w.policy.flags = BY_CALLER & ~MIKEY_FLAG_L;
    assert_status(grant_by_caller(&w), MIKEY_BAD_FLAGS);
    w.policy.flags = BY_CALLER | MIKEY_FLAG_I;
    assert_status(grant_by_caller(&w), MIKEY_BAD_FLAGS);
    w.policy.flags = BY_CALLER;
    w.policy.end_unix = WORLD_UNIX - 3600;
    assert_status(grant_by_caller(&w), MIKEY_NOT_VALID);
    w.policy.end_unix = WORLD_UNIX + 3600;
    w.tpk.len = 8;
    assert_status(grant_by_caller(&w), MIKEY_ARGUMENT);
    world_clear(&w);
}

static void
a_wrong_ticket_key_opens_nothing(void)
{
    World w;

    world_init(&w);
    w.env.allow = ~0u;
    w.policy.flags = BY_CALLER;
    assert_status(grant_by_caller(&w), MIKEY_OK);
    assert_status(world_transfer(&w), MIKEY_OK);
    assert_status(world_open(&w, world_octets(&w, WORLD_TRANSFER_INIT), &w.offer), MIKEY_OK);
    w.tpk.bytes[0] ^= 1;
    assert_status(resolve_by_responder(&w), MIKEY_BAD_TICKET_MAC);
    w.tpk.bytes[0] ^= 1;
    assert_status(resolve_by_responder(&w), MIKEY_OK);
    assert_status(mikey_offer_verify(w.offer, w.resolution), MIKEY_OK);
    world_clear(&w);
}

/* In the ticket, in every mode */
static void
keys_of_every_type_come_in_tickets(void)
{
    for (gsize i = 0; i < G_N_ELEMENTS(modes); i++) {
        const MikeyKeyWish wishes[] = {wish(MIKEY_KEY_TGK, 1), wish(MIKEY_KEY_TGK_SALT, 2),
                                       wish(MIKEY_KEY_TEK_SALT, 3), wish(MIKEY_KEY_GTGK, 4),
                                       wish(MIKEY_KEY_GTGK_SALT, 5)};
        World w;
        MikeySrtp srtp;

        world_init(&w);
        w.env.allow = ~0u;
        w.policy.flags = modes[i].flags;
        w.policy.has_wishes = true;
        w.policy.wishes = wishes;
        w.policy.n_wishes = G_N_ELEMENTS(wishes);
        w.n_lines = 3;
        w.alice_lines[0].spi_answerer = mikey_bytes(wishes[1].spi, 1);
        w.alice_lines[1].spi_offerer = mikey_bytes(wishes[2].spi, 1);
        w.alice_lines[1].spi_answerer = mikey_bytes(wishes[3].spi, 1);
        w.alice_lines[2].spi_offerer = mikey_bytes(wishes[4].spi, 1);
        assert_status(call(&w, modes[i].mode), MIKEY_OK);
        g_assert_cmpuint(mikey_grant_n_keys(w.grant), ==, 5);
        for (guint8 id = 1; id <= 6; id++)
            assert_agree(&w, id);
        assert_status(mikey_bundle_srtp(w.alice, 3, &srtp), MIKEY_OK);
        g_assert_true(mikey_key_equal(&srtp.master_key, &mikey_grant_key(w.grant, 2)->key));
        g_assert_true(mikey_key_equal(&srtp.master_salt, &mikey_grant_key(w.grant, 2)->salt));
        assert_status(mikey_bundle_srtp(w.bob, 2, &srtp), MIKEY_OK);
        g_assert_true(mikey_key_equal(&srtp.master_salt, &mikey_grant_key(w.grant, 1)->salt));
        world_clear(&w);
    }
}

/* RFC 6043 section 6.2.1 wants an SPI for each key, so there is no room for an interval */
static void
keys_valid_for_an_interval_are_refused(void)
{
    World w;
    MikeyKeyData key = {.type = MIKEY_KEY_GTGK, .kv = MIKEY_KV_INTERVAL, .spi_len = 6, .to_len = 6};
    MikeyKeyData back[MIKEY_MAX_KEYS];
    MikeyWriter out = MIKEY_WRITER_INIT;
    gsize n = 0;

    key.key.len = 32;
    key.to[5] = 9;
    mikey_key_chain_write(&out, &key, 1);
    assert_status(mikey_key_chain_read(mikey_writer_octets(&out), back, &n), MIKEY_OK);
    g_assert_cmpint(back[0].kv, ==, MIKEY_KV_INTERVAL);
    g_assert_cmpmem(back[0].to, back[0].to_len, key.to, 6);
    mikey_writer_clear(&out);
    world_init(&w);
    w.policy.flags |= MIKEY_FLAG_L;
    w.alice_key = key;
    assert_status(call(&w, 1), MIKEY_BAD_KEYS);
    world_clear(&w);
}

/* Nor can one be asked for */
static void
keys_valid_for_an_interval_are_not_granted(void)
{
    MikeyKeyData key = {.type = MIKEY_KEY_TGK, .kv = MIKEY_KV_INTERVAL, .spi_len = 6, .to_len = 6};
    MikeyPolicy policy = mikey_policy_default();
    MikeyIdentity bob = mikey_identity_uri("sip:bob@operator.example");
    MikeyKeyWish wish = {.type = MIKEY_KEY_TGK, .key_len = 32};
    MikeyAccount account = {.kms = mikey_identity_uri("sip:kms@operator.example"),
                            .self = mikey_identity_uri("sip:alice@operator.example"),
                            .prf = MIKEY_PRF_HMAC_SHA_256};
    MikeyKey psk = {.len = 32};
    MikeyWriter wanted = MIKEY_WRITER_INIT;
    MikeyRequest *request = NULL;
    MikeyMessage *message = NULL;
    g_autoptr(GByteArray) octets = g_byte_array_new();
    MikeyBytes made;
    gsize at = 0;
    World w;

    world_init(&w);
    account.psk = &psk;
    policy.responders = &bob;
    policy.n_responders = 1;
    policy.has_wishes = true;
    policy.wishes = &wish;
    policy.n_wishes = 1;
    wish.spi_len = 13; /* as long as the interval */
    assert_status(mikey_request_new(&account, &policy, &w.env, &request), MIKEY_OK);
    made = mikey_request_octets(request);
    g_byte_array_append(octets, made.data, (guint)made.len);
    assert_status(mikey_message_parse(mikey_bytes(octets->data, octets->len), &message), MIKEY_OK);
    mikey_message_free(message);

    /* KV 1 and 0d <13 octets> become KV 2 and 06 <6 octets> 06 <6 octets> */
    key.key.len = 32;
    mikey_key_chain_write(&wanted, &key, 1);
    while (at + wanted.len <= octets->len && octets->data[at + 36] != 13)
        at++;
    g_assert_cmpuint(at + wanted.len, <=, octets->len);
    g_assert_cmphex(octets->data[at + 1], ==, MIKEY_KEY_TGK << 4 | MIKEY_KV_SPI);
    memcpy(octets->data + at, wanted.data, wanted.len);
    assert_status(mikey_message_parse(mikey_bytes(octets->data, octets->len), &message),
                  MIKEY_BAD_POLICY);
    mikey_writer_clear(&wanted);
    mikey_request_free(request);
    world_clear(&w);
}

/* A ticket without session keys; who has the content sends the key that it is encrypted with */
static void
content_may_be_encrypted_already(gconstpointer data)
{
    bool by_caller = GPOINTER_TO_INT(data) == 1;
    World w;
    MikeyKeyData *key = by_caller ? &w.alice_key : &w.bob_key;
    guint8 id = by_caller ? 1 : 2;
    MikeySrtp a, b;

    world_init(&w);
    w.policy.has_wishes = true;
    w.policy.flags |= by_caller ? MIKEY_FLAG_L : MIKEY_FLAG_M;
    w.n_lines = 1;
    key->type = MIKEY_KEY_TEK_SALT;
    key->kv = MIKEY_KV_SPI;
    key->spi_len = 4;
    memset(key->spi, 0x33, 4);
    key->key.len = 32;
    key->salt.len = 12;
    memset(key->key.bytes, 0x5a, 32);
    memset(key->salt.bytes, 0xa5, 12);
    assert_status(call(&w, 1), MIKEY_OK);
    g_assert_cmpuint(mikey_grant_n_keys(w.grant), ==, 0);
    assert_status(mikey_bundle_srtp(w.alice, id, &a), MIKEY_OK);
    assert_status(mikey_bundle_srtp(w.bob, id, &b), MIKEY_OK);
    g_assert_true(mikey_key_equal(&a.master_key, &key->key));
    g_assert_true(mikey_key_equal(&b.master_key, &key->key));
    g_assert_true(mikey_key_equal(&a.master_salt, &key->salt));
    g_assert_true(mikey_key_equal(&b.master_salt, &key->salt));
    world_clear(&w);
}

/* One ticket, one RANDRi, one CSB ID: the GTGK gives every member the same keys, a TGK does not */
static void
a_group_has_the_same_keys(void)
{
    static const guint8 rand[32] = {1, 2, 3};
    const MikeyKeyWish wishes[] = {wish(MIKEY_KEY_GTGK, 1), wish(MIKEY_KEY_TGK, 2)};
    MikeySrtp got[2][2];
    World w;

    world_init(&w);
    w.policy.flags = (MIKEY_FLAGS_PROFILE & ~MIKEY_FLAG_G) | MIKEY_FLAG_J;
    w.policy.has_wishes = true;
    w.policy.wishes = wishes;
    w.policy.n_wishes = 2;
    w.alice_lines[1].spi_offerer = mikey_bytes(wishes[1].spi, 1);
    assert_status(grant_by_kms(&w), MIKEY_OK);
    for (guint i = 0; i < 2; i++) {
        MikeyTransferSetup setup = {.responder = mikey_identity_uri(WORLD_BOB),
                                    .csb_id = 77,
                                    .lines = w.alice_lines,
                                    .n_lines = 2,
                                    .profiles = w.alice_profiles,
                                    .n_profiles = 1,
                                    .sdp_ids = mikey_bytes_str("mikey"),
                                    .rand_i = {rand, sizeof(rand)}};
        MikeyBuffer *resp = &w.messages[WORLD_TRANSFER_RESP];

        assert_status(mikey_transfer_new(w.grant, &setup, &w.env, &w.transfer), MIKEY_OK);
        assert_status(world_open(&w, world_octets(&w, WORLD_TRANSFER_INIT), &w.offer), MIKEY_OK);
        assert_status(resolve_by_kms(&w), MIKEY_OK);
        assert_status(mikey_offer_verify(w.offer, w.resolution), MIKEY_OK);
        assert_status(world_answer(&w, w.offer, resp, &w.bob), MIKEY_OK);
        assert_status(mikey_bundle_srtp(w.bob, 1, &got[i][0]), MIKEY_OK);
        assert_status(mikey_bundle_srtp(w.bob, 3, &got[i][1]), MIKEY_OK);
        mikey_transfer_free(w.transfer);
        mikey_offer_free(w.offer);
        mikey_resolve_free(w.resolve);
        mikey_resolution_free(w.resolution);
        mikey_bundle_free(w.bob);
        mikey_buffer_clear(resp);
        mikey_buffer_clear(&w.messages[WORLD_RESOLVE_RESP]);
        w.transfer = NULL;
        w.offer = NULL;
        w.resolve = NULL;
        w.resolution = NULL;
        w.bob = NULL;
        w.env.now += 1;
    }
    g_assert_true(mikey_key_equal(&got[0][0].master_key, &got[1][0].master_key));
    g_assert_false(mikey_key_equal(&got[0][1].master_key, &got[1][1].master_key));
    world_clear(&w);
}

static void
a_rand_for_a_group_needs_a_ticket_for_groups(void)
{
    static const guint8 rand[32] = {1};
    World w;
    MikeyTransferSetup setup = {.csb_id = 1, .rand_i = {rand, sizeof(rand)}};

    world_init(&w);
    setup.responder = mikey_identity_uri(WORLD_BOB);
    assert_status(grant_by_kms(&w), MIKEY_OK);
    assert_status(mikey_transfer_new(w.grant, &setup, &w.env, &w.transfer), MIKEY_ARGUMENT);
    world_clear(&w);
}

static void
what_may_be_kept_and_how_long(void)
{
    World w;
    gint64 until = 0;

    world_init(&w);
    g_assert_false(mikey_policy_may_keep(&w.policy, &w.env, &until));
    w.policy.flags |= MIKEY_FLAG_J;
    g_assert_true(mikey_policy_may_keep(&w.policy, &w.env, &until));
    g_assert_cmpint(until, ==, w.policy.end_unix);
    w.policy.has_end = false;
    g_assert_true(mikey_policy_may_keep(&w.policy, &w.env, &until));
    g_assert_cmpint(until, ==, G_MAXINT64);
    w.responders[1] = mikey_identity_uri("sip:carol@operator.example");
    w.policy.n_responders = 2;
    g_assert_false(mikey_policy_may_keep(&w.policy, &w.env, &until));
    w.policy.n_responders = 1;
    w.policy.has_end = true;
    w.policy.end_unix = WORLD_UNIX - 3600;
    g_assert_false(mikey_policy_may_keep(&w.policy, &w.env, &until));
    world_clear(&w);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
#define ADD(path, func) g_test_add_func("/mikey/modes/" path, func)
    ADD("every-mode-works-when-it-is-allowed", every_mode_works_when_it_is_allowed);
    ADD("each-party-decides-by-itself", each_party_decides_by_itself);
    ADD("a-ticket-of-ones-own-must-say-so", a_ticket_of_ones_own_must_say_so);
    ADD("a-wrong-ticket-key-opens-nothing", a_wrong_ticket_key_opens_nothing);
    ADD("keys-of-every-type-come-in-tickets", keys_of_every_type_come_in_tickets);
    ADD("keys-valid-for-an-interval-are-refused", keys_valid_for_an_interval_are_refused);
    ADD("keys-valid-for-an-interval-are-not-granted", keys_valid_for_an_interval_are_not_granted);
    g_test_add_data_func("/mikey/modes/content-may-be-encrypted-already/by-the-called",
                         GINT_TO_POINTER(0), content_may_be_encrypted_already);
    g_test_add_data_func("/mikey/modes/content-may-be-encrypted-already/by-the-caller",
                         GINT_TO_POINTER(1), content_may_be_encrypted_already);
    ADD("a-group-has-the-same-keys", a_group_has_the_same_keys);
    ADD("a-rand-for-a-group-needs-a-ticket-for-groups",
        a_rand_for_a_group_needs_a_ticket_for_groups);
    ADD("what-may-be-kept-and-how-long", what_may_be_kept_and_how_long);
    return g_test_run();
}
