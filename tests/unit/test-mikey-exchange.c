/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/test-mikey-exchange.c - do calls work, and do wrong ones fail for the right reason? */
#include "tests/unit/mikey-draft.h"
#include "tests/unit/mikey-world.h"

#include <glib.h>
#include <string.h>

static void
run_well(World *w)
{
    assert_status(world_run(w), MIKEY_OK);
}

static MikeySrtp
srtp_of(const MikeyBundle *bundle, guint8 cs_id)
{
    MikeySrtp srtp;

    assert_status(mikey_bundle_srtp(bundle, cs_id, &srtp), MIKEY_OK);
    return srtp;
}

static void
assert_same_srtp(const World *w, guint8 cs_id)
{
    MikeySrtp a = srtp_of(w->alice, cs_id), b = srtp_of(w->bob, cs_id);

    g_assert_true(mikey_key_equal(&a.master_key, &b.master_key));
    g_assert_true(mikey_key_equal(&a.master_salt, &b.master_salt));
    g_assert_cmpint(a.profile, ==, b.profile);
    g_assert_cmpuint(a.ssrc, ==, b.ssrc);
    g_assert_cmpmem(a.mki, a.mki_len, b.mki, b.mki_len);
    g_assert_cmpuint(a.master_key.len, ==, mikey_srtp_key_len(a.profile));
    g_assert_cmpuint(a.master_salt.len, ==, mikey_srtp_salt_len(a.profile));
}

static void
both_sides_have_the_same_keys(void)
{
    World w;
    MikeySrtp one, two;

    world_init(&w);
    run_well(&w);
    for (guint8 id = 1; id <= 4; id++)
        assert_same_srtp(&w, id);
    one = srtp_of(w.alice, 1);
    two = srtp_of(w.alice, 2);
    g_assert_false(mikey_key_equal(&one.master_key, &two.master_key));
    g_assert_cmpuint(one.ssrc, ==, w.alice_lines[0].ssrc);
    g_assert_cmpuint(two.ssrc, ==, w.bob_lines[0].ssrc);
    g_assert_cmpint(one.profile, ==, MIKEY_SRTP_AEAD_AES_256_GCM);
    assert_status(mikey_bundle_srtp(w.alice, 5, &one), MIKEY_BAD_SESSIONS);
    world_clear(&w);
}

static void
peers_are_who_the_ticket_says(void)
{
    World w;
    MikeyIdentity bob = mikey_identity_uri(WORLD_BOB), alice = mikey_identity_uri(WORLD_ALICE);
    MikeyIdentity got;

    world_init(&w);
    run_well(&w);
    got = mikey_bundle_peer(w.alice);
    g_assert_true(mikey_identity_equal(&got, &bob));
    got = mikey_bundle_peer(w.bob);
    g_assert_true(mikey_identity_equal(&got, &alice));
    world_clear(&w);
}

static const struct {
    const char *name;
    MikeyPrf prf;
    guint32 flags;
} kinds[] = {
    {"forked", 1, MIKEY_FLAGS_PROFILE},
    {"forked-reusable", 1, MIKEY_FLAGS_PROFILE | MIKEY_FLAG_J},
    {"not-forked", 1, MIKEY_FLAGS_PROFILE & ~MIKEY_FLAG_I},
    {"without-rand-r", 1, MIKEY_FLAGS_PROFILE & ~MIKEY_FLAG_G},
    {"without-rand-i", 1, MIKEY_FLAGS_PROFILE & ~MIKEY_FLAG_H},
    {"resolving-optional", 1,
     MIKEY_FLAG_D | MIKEY_FLAG_F | MIKEY_FLAG_H | MIKEY_FLAG_N | MIKEY_FLAG_O},
    {"128-bit", 0, MIKEY_FLAGS_PROFILE},
    {"128-bit-not-forked", 0, MIKEY_FLAGS_PROFILE & ~MIKEY_FLAG_I},
};

static void
every_kind_of_ticket_works(gconstpointer data)
{
    gsize i = GPOINTER_TO_SIZE(data);
    World w;

    world_init(&w);
    w.policy.prf = (guint8)kinds[i].prf;
    w.policy.flags = kinds[i].flags;
    w.env.allow_128 = kinds[i].prf == MIKEY_PRF_MIKEY_1;
    if (w.env.allow_128)
        w.bob_profiles[0] = MIKEY_SRTP_AEAD_AES_128_GCM;
    run_well(&w);
    assert_same_srtp(&w, 1);
    assert_same_srtp(&w, 2);
    g_assert_cmphex(mikey_grant_policy(w.grant)->flags & ~MIKEY_FLAG_K, ==, kinds[i].flags);
    world_clear(&w);
}

/* F = 0: both sides go on from the offer alone */
static void
a_transfer_without_answer_works(void)
{
    World w;
    MikeyBuffer none = MIKEY_BUFFER_INIT;
    MikeyBundle *alice = NULL;
    MikeySrtp a, b;

    world_init(&w);
    w.policy.flags = MIKEY_FLAG_D | MIKEY_FLAG_E | MIKEY_FLAG_H | MIKEY_FLAG_N | MIKEY_FLAG_O;
    w.n_alice_profiles = 1;
    assert_status(world_run(&w), MIKEY_OK);
    g_assert_cmpuint(w.messages[WORLD_TRANSFER_RESP].len, ==, 0);
    a = srtp_of(w.alice, 1);
    b = srtp_of(w.bob, 1);
    g_assert_true(mikey_key_equal(&a.master_key, &b.master_key));
    g_assert_false(mikey_message_header(mikey_offer_message(w.offer))->v);
    assert_status(mikey_transfer_finish(w.transfer, mikey_bytes("x", 1), &w.env, &alice, NULL),
                  MIKEY_TRUNCATED);
    mikey_buffer_clear(&none);
    world_clear(&w);
}

static void
own_keys_need_the_flags(void)
{
    World w;

    world_init(&w);
    w.bob_key.type = MIKEY_KEY_TEK_SALT;
    w.bob_key.key.len = 32;
    w.bob_key.salt.len = 12;
    w.bob_key.kv = MIKEY_KV_SPI;
    w.bob_key.spi_len = 4;
    memset(w.bob_key.spi, 0xab, 4);
    assert_status(world_run(&w), MIKEY_POLICY_VIOLATED);
    world_clear(&w);
}

/* A group key: TEK+SALT from the answerer, used for what he sends */
static void
a_group_key_reaches_the_caller(void)
{
    World w;
    MikeySrtp a, b, other;
    MikeyBytes spi;

    world_init(&w);
    w.policy.flags |= MIKEY_FLAG_M;
    w.bob_key.type = MIKEY_KEY_TEK_SALT;
    w.bob_key.key.len = 32;
    w.bob_key.salt.len = 12;
    w.bob_key.kv = MIKEY_KV_SPI;
    w.bob_key.spi_len = 4;
    memset(w.bob_key.key.bytes, 0x77, 32);
    memset(w.bob_key.spi, 0xab, 4);
    spi = mikey_bytes(w.bob_key.spi, 4);
    w.bob_lines[0].spi_answerer = spi;
    run_well(&w);
    a = srtp_of(w.alice, 2);
    b = srtp_of(w.bob, 2);
    g_assert_true(mikey_key_equal(&a.master_key, &b.master_key));
    g_assert_cmpmem(a.master_key.bytes, a.master_key.len, w.bob_key.key.bytes, 32);
    g_assert_cmpmem(a.mki, a.mki_len, w.bob_key.spi, 4);
    other = srtp_of(w.alice, 1);
    g_assert_false(mikey_key_equal(&a.master_key, &other.master_key));
    world_clear(&w);
}

/* The salt of a TEK cannot be derived */
static void
a_tek_without_salt_gives_no_srtp(void)
{
    World w;
    MikeySrtp srtp;

    world_init(&w);
    w.policy.flags |= MIKEY_FLAG_M;
    w.bob_key.type = MIKEY_KEY_TEK;
    w.bob_key.key.len = 32;
    w.bob_key.kv = MIKEY_KV_SPI;
    w.bob_key.spi_len = 1;
    w.bob_lines[0].spi_answerer = mikey_bytes(w.bob_key.spi, 1);
    run_well(&w);
    assert_status(mikey_bundle_srtp(w.bob, 2, &srtp), MIKEY_BAD_KEYS);
    world_clear(&w);
}

static void
two_keys_with_one_spi_are_refused(void)
{
    World w;

    world_init(&w);
    w.policy.flags |= MIKEY_FLAG_M | MIKEY_FLAG_L;
    w.bob_key.type = MIKEY_KEY_GTGK;
    w.bob_key.key.len = 32;
    w.bob_key.kv = MIKEY_KV_SPI;
    w.bob_key.spi_len = 4;
    w.alice_key = w.bob_key;
    assert_status(world_run(&w), MIKEY_BAD_KEYS);
    world_clear(&w);
}

/* ---- forking ---- */

/* Bob and carol both resolve the ticket: MPKi is the same, everything else is not */
static void
responders_do_not_share_keys(void)
{
    World w;
    MikeyAccount carol;
    MikeyResolve *resolve = NULL;
    MikeyResolution *resolution = NULL;
    MikeyBuffer told = MIKEY_BUFFER_INIT;

    world_init(&w);
    w.responders[1] = mikey_identity_uri("sip:carol@operator.example");
    w.policy.n_responders = 2;
    run_well(&w);
    carol = world_account(&w, WORLD_BOB);
    carol.self = w.responders[1];
    assert_status(mikey_resolve_new(w.offer, &carol, &w.env, &resolve), MIKEY_OK);
    assert_status(world_kms_resolve(&w, mikey_resolve_octets(resolve), &told), MIKEY_OK);
    assert_status(
        mikey_resolve_finish(resolve, mikey_bytes(told.data, told.len), &w.env, &resolution, NULL),
        MIKEY_OK);
    g_assert_cmpuint(mikey_resolution_n_keys(resolution), ==, 1);
    g_assert_false(mikey_key_equal(&mikey_resolution_key(resolution, 0)->key,
                                   &mikey_resolution_key(w.resolution, 0)->key));
    g_assert_false(mikey_key_equal(&mikey_resolution_key(resolution, 0)->key,
                                   &mikey_grant_key(w.grant, 0)->key));
    mikey_buffer_clear(&told);
    mikey_resolution_free(resolution);
    mikey_resolve_free(resolve);
    world_clear(&w);
}

static MikeyKeyWish
wish(MikeyKeyType type, guint8 spi)
{
    MikeyKeyWish w = {.type = type, .key_len = 32, .spi_len = 1, .spi = {spi}};

    return w;
}

static void
tek_and_gtgk_are_not_forked_and_salts_neither(void)
{
    World w;
    MikeyKeyWish wishes[4] = {wish(MIKEY_KEY_GTGK, 1), wish(MIKEY_KEY_TEK_SALT, 2),
                              wish(MIKEY_KEY_TGK_SALT, 3), wish(MIKEY_KEY_TGK, 4)};

    wishes[1].salt_len = 12;
    wishes[2].salt_len = 12;
    world_init(&w);
    w.policy.has_wishes = true;
    w.policy.wishes = wishes;
    w.policy.n_wishes = 4;
    run_well(&w);
    g_assert_cmpuint(mikey_resolution_n_keys(w.resolution), ==, 4);
    for (size_t i = 0; i < 4; i++) {
        const MikeyKeyData *ours = mikey_grant_key(w.grant, i);
        const MikeyKeyData *bobs = mikey_resolution_key(w.resolution, i);
        bool forked = ours->type == MIKEY_KEY_TGK || ours->type == MIKEY_KEY_TGK_SALT;

        g_assert_cmpint(ours->type, ==, wishes[i].type);
        g_assert_cmpint(bobs->type, ==, wishes[i].type);
        g_assert_cmpint(mikey_key_equal(&ours->key, &bobs->key), ==, !forked);
        g_assert_true(mikey_key_equal(&ours->salt, &bobs->salt));
        g_assert_cmpint(ours->spi[0], ==, i + 1);
    }
    /* an empty list of wishes means no key, which is not the same as no wish */
    g_assert_cmphex(mikey_grant_policy(w.grant)->flags & MIKEY_FLAG_K, ==, 0);
    world_clear(&w);
}

static void
a_ticket_without_session_keys_is_possible(void)
{
    World w;

    world_init(&w);
    w.policy.has_wishes = true;
    w.policy.flags |= MIKEY_FLAG_M;
    w.bob_key.type = MIKEY_KEY_TEK_SALT;
    w.bob_key.key.len = 32;
    w.bob_key.salt.len = 12;
    w.bob_key.kv = MIKEY_KV_SPI;
    w.bob_key.spi_len = 2;
    run_well(&w);
    g_assert_cmpuint(mikey_grant_n_keys(w.grant), ==, 0);
    assert_same_srtp(&w, 1);
    world_clear(&w);
}

/* ---- impostors ---- */

/* Mallory may resolve the ticket, so he knows MPKi; he must not be able to call with it */
static void
a_responder_cannot_call_with_the_ticket(void)
{
    World w;
    MikeyTransferSetup setup = {.responder = mikey_identity_uri(WORLD_BOB), .csb_id = 99};
    MikeySrtpProfile profile = MIKEY_SRTP_AEAD_AES_256_GCM;
    MikeyLine line = {.keyed = true, .ssrc = 1};
    MikeyTicketSecrets *secrets = g_new0(MikeyTicketSecrets, 1);
    MikeyGrant *stolen = NULL;
    MikeyTransfer *forged = NULL;

    world_init(&w);
    run_well(&w);
    assert_status(mikey_ticket_open(mikey_grant_ticket(w.grant), &w.tpk, secrets), MIKEY_OK);
    /* MPKi is right, MPKr is one he made up */
    memset(secrets->mpkr.bytes, 1, 32);
    assert_status(mikey_grant_new(mikey_grant_ticket(w.grant), &secrets->mpki, &secrets->mpkr,
                                  secrets->keys, secrets->n_keys, &stolen),
                  MIKEY_OK);
    setup.lines = &line;
    setup.n_lines = 1;
    setup.profiles = &profile;
    setup.n_profiles = 1;
    assert_status(mikey_transfer_new(stolen, &setup, &w.env, &forged), MIKEY_OK);
    assert_status(world_receive_transfer(&w, mikey_transfer_octets(forged)),
                  MIKEY_BAD_INITIATOR_DATA);
    mikey_transfer_free(forged);
    mikey_grant_free(stolen);
    mikey_ticket_secrets_clear(secrets);
    g_free(secrets);
    world_clear(&w);
}

/* The same with Initiator Data out of a genuine call: V is right, Vr is right, Vi is not V */
static void
borrowed_initiator_data_is_noticed(void)
{
    World w;
    MikeyTransferSetup setup = {.responder = mikey_identity_uri(WORLD_BOB), .csb_id = 99};
    MikeyTicketSecrets *secrets = g_new0(MikeyTicketSecrets, 1);
    MikeyBytes genuine, forged_data;
    MikeyGrant *stolen = NULL;
    MikeyTransfer *forged = NULL;
    MikeyMessage *message = NULL;
    g_autofree guint8 *octets = NULL;
    MikeyBytes view;

    world_init(&w);
    run_well(&w);
    assert_status(mikey_ticket_open(mikey_grant_ticket(w.grant), &w.tpk, secrets), MIKEY_OK);
    memset(secrets->mpkr.bytes, 1, 32);
    assert_status(mikey_grant_new(mikey_grant_ticket(w.grant), &secrets->mpki, &secrets->mpkr,
                                  secrets->keys, secrets->n_keys, &stolen),
                  MIKEY_OK);
    assert_status(mikey_transfer_new(stolen, &setup, &w.env, &forged), MIKEY_OK);
    view = mikey_transfer_octets(forged);
    octets = g_memdup2(view.data, view.len);
    assert_status(mikey_message_parse(mikey_bytes(octets, view.len), &message), MIKEY_OK);
    forged_data = mikey_ticket_payload(mikey_message_ticket(message))->initiator_data;
    genuine = mikey_ticket_payload(mikey_offer_ticket(w.offer))->initiator_data;
    for (size_t i = 0; i + forged_data.len <= view.len; i++) {
        if (memcmp(octets + i, forged_data.data, forged_data.len) == 0)
            memcpy(octets + i, genuine.data, genuine.len);
    }
    assert_status(world_receive_transfer(&w, mikey_bytes(octets, view.len)),
                  MIKEY_BAD_INITIATOR_DATA);
    mikey_message_free(message);
    mikey_transfer_free(forged);
    mikey_grant_free(stolen);
    mikey_ticket_secrets_clear(secrets);
    g_free(secrets);
    world_clear(&w);
}

static void
a_wrong_psk_is_refused(void)
{
    World w;
    MikeyBuffer answer = MIKEY_BUFFER_INIT;

    world_init(&w);
    assert_status(world_request(&w), MIKEY_OK);
    w.alice_psk.bytes[31] ^= 1;
    assert_status(world_kms_grant(&w, world_octets(&w, WORLD_REQUEST_INIT), &answer),
                  MIKEY_BAD_MAC);
    world_clear(&w);
}

static void
a_ticket_under_another_tpk_is_refused(void)
{
    World w;

    world_init(&w);
    run_well(&w);
    w.tpk.bytes[0] ^= 1;
    assert_status(world_receive_transfer(&w, world_octets(&w, WORLD_TRANSFER_INIT)),
                  MIKEY_BAD_TICKET_MAC);
    world_clear(&w);
}

/* An answer of one exchange is no answer to another */
static void
answers_of_other_exchanges_are_refused(void)
{
    World w;
    MikeyGrant *grant = NULL;
    MikeyRequest *first;
    MikeyResolution *resolution = NULL;

    world_init(&w);
    run_well(&w);
    first = w.request;
    w.request = NULL;
    assert_status(world_request(&w), MIKEY_OK);
    assert_status(world_grant(&w, world_octets(&w, WORLD_REQUEST_RESP), &grant), MIKEY_MISMATCH);
    assert_status(world_grant(&w, world_octets(&w, WORLD_RESOLVE_RESP), &grant),
                  MIKEY_BAD_DATA_TYPE);
    assert_status(world_resolved(&w, world_octets(&w, WORLD_TRANSFER_RESP), &resolution),
                  MIKEY_BAD_DATA_TYPE);
    g_assert_null(grant);
    g_assert_null(resolution);
    mikey_request_free(first);
    world_clear(&w);
}

/* ---- messages that a peer with the right keys, or none, gets wrong ---- */

static World *crafted_world;

static void
assert_offer(Draft *d, MikeyStatus expected)
{
    MikeyBuffer octets = draft_close(d, NULL, mikey_bytes(NULL, 0));
    MikeyOffer *offer = NULL;

    assert_status(world_open(crafted_world, mikey_bytes(octets.data, octets.len), &offer),
                  expected);
    mikey_offer_free(offer);
    mikey_buffer_clear(&octets);
    draft_open(d, world_octets(crafted_world, WORLD_TRANSFER_INIT));
}

static void
odd_offers_are_refused_before_the_kms_is_asked(void)
{
    static const guint8 short_mac[20] = {0};
    World w;
    Draft d;

    world_init(&w);
    w.policy.flags |= MIKEY_FLAG_L;
    w.alice_key.type = MIKEY_KEY_GTGK;
    w.alice_key.key.len = 32;
    w.alice_key.kv = MIKEY_KV_SPI;
    w.alice_key.spi_len = 3;
    run_well(&w);
    crafted_world = &w;
    draft_open(&d, world_octets(&w, WORLD_TRANSFER_INIT));
    assert_offer(&d, MIKEY_OK);
    draft_find(&d, MIKEY_RANDR)->u.rand.rand.len = 15;
    assert_offer(&d, MIKEY_SHORT_RAND);
    draft_find(&d, MIKEY_KEMAC)->u.kemac.encr_alg = MIKEY_ENCR_AES_CM_128;
    assert_offer(&d, MIKEY_BAD_ENCR_ALG);
    draft_find(&d, MIKEY_KEMAC)->u.kemac.mac_alg = MIKEY_MAC_HMAC_SHA_1_160;
    draft_find(&d, MIKEY_KEMAC)->u.kemac.mac = mikey_bytes(short_mac, 20);
    assert_offer(&d, MIKEY_BAD_MAC_ALG);
    draft_find(&d, MIKEY_V)->u.v.alg = MIKEY_MAC_HMAC_SHA_1_160;
    draft_find(&d, MIKEY_V)->u.v.mac.len = 20;
    assert_offer(&d, MIKEY_BAD_MAC_ALG);
    draft_find(&d, MIKEY_V)->u.v.alg = MIKEY_MAC_NULL;
    draft_find(&d, MIKEY_V)->u.v.mac.len = 0;
    assert_offer(&d, MIKEY_BAD_MAC_ALG);
    d.header.prf = 2;
    assert_offer(&d, MIKEY_BAD_PRF);
    draft_find(&d, MIKEY_TICKET)->u.ticket.flags &= ~MIKEY_FLAG_L;
    assert_offer(&d, MIKEY_POLICY_VIOLATED);
    draft_find(&d, MIKEY_TICKET)->u.ticket.flags &= ~MIKEY_FLAG_I;
    assert_offer(&d, MIKEY_POLICY_VIOLATED);
    draft_find(&d, MIKEY_TICKET)->u.ticket.initiator_data.len = 0;
    assert_offer(&d, MIKEY_POLICY_VIOLATED);
    draft_find(&d, MIKEY_TICKET)->u.ticket.initiator_data.len -= 1;
    assert_offer(&d, MIKEY_TRUNCATED);
    draft_find(&d, MIKEY_TICKET)->u.ticket.prf = 0;
    assert_offer(&d, MIKEY_BAD_PRF);
    draft_find(&d, MIKEY_TICKET)->u.ticket.ticket_type = 7;
    assert_offer(&d, MIKEY_BAD_TICKET);
    draft_find(&d, MIKEY_TICKET)->u.ticket.flags &= ~MIKEY_FLAG_F;
    assert_offer(&d, MIKEY_BAD_FLAGS);
    draft_find(&d, MIKEY_IDR)->u.id.data = mikey_bytes_str("sip:mallory@operator.example");
    assert_offer(&d, MIKEY_BAD_IDENTITY);
    draft_find(&d, MIKEY_T)->u.timestamp.type = MIKEY_TS_COUNTER;
    draft_find(&d, MIKEY_T)->u.timestamp.value = 1;
    assert_offer(&d, MIKEY_BAD_TIME);
    d.cs[1].policies[0] = 77;
    assert_offer(&d, MIKEY_BAD_SESSIONS);
    d.cs[1].id = 1;
    assert_offer(&d, MIKEY_BAD_SESSIONS);
    d.header.map_type = MIKEY_MAP_EMPTY;
    d.header.n_cs = 0;
    assert_offer(&d, MIKEY_BAD_SESSIONS);
    d.header.map_type = MIKEY_MAP_SRTP_ID;
    assert_offer(&d, MIKEY_BAD_SESSIONS);
    d.header.type = MIKEY_TRANSFER_RESP;
    assert_offer(&d, MIKEY_BAD_DATA_TYPE);
    d.payloads[d.n++] = *draft_find(&d, MIKEY_V);
    assert_offer(&d, MIKEY_MALFORMED);
    d.payloads[d.n] = d.payloads[d.n - 1];
    d.payloads[d.n - 1] = *draft_find(&d, MIKEY_RANDR);
    d.n++;
    assert_offer(&d, MIKEY_DUPLICATE);
    mikey_message_free(d.message);
    world_clear(&w);
}

/* Key that bob signs his answer with; the KMS could tell it as well */
static MikeyKey
answer_auth(World *w, const MikeyMessage *answer)
{
    MikeyTicketSecrets *secrets = g_new0(MikeyTicketSecrets, 1);
    MikeyLabel label = {.tag = MIKEY_TAG_RESP, .csb_id = mikey_offer_csb_id(w->offer)};
    const MikeyMessage *offer = mikey_offer_message(w->offer);
    MikeyMessageKeys keys;
    MikeyKey mpkr;

    label.rand_i = mikey_message_find(offer, MIKEY_RANDR, MIKEY_RANDR_INITIATOR)->u.rand.rand;
    label.rand_r = mikey_message_find(answer, MIKEY_RANDR, MIKEY_RANDR_RESPONDER)->u.rand.rand;
    assert_status(mikey_ticket_open(mikey_grant_ticket(w->grant), &w->tpk, secrets), MIKEY_OK);
    assert_status(mikey_fork(MIKEY_PRF_HMAC_SHA_256, MIKEY_C_FORK_MPKR, &secrets->mpkr,
                             mikey_message_find(answer, MIKEY_IDR, MIKEY_IDR_RESPONDER)->u.id.data,
                             mikey_message_find(answer, MIKEY_RANDR, MIKEY_RANDR_KMS)->u.rand.rand,
                             &mpkr),
                  MIKEY_OK);
    assert_status(mikey_message_keys(MIKEY_PRF_HMAC_SHA_256, &mpkr, &label, &keys), MIKEY_OK);
    mikey_ticket_secrets_clear(secrets);
    g_free(secrets);
    return keys.auth;
}

static void
assert_answer(Draft *d, MikeyStatus expected)
{
    World *w = crafted_world;
    MikeyKey auth = answer_auth(w, d->message);
    MikeyBuffer octets = draft_close(d, &auth, world_octets(w, WORLD_TRANSFER_INIT));
    MikeyBundle *bundle = NULL;

    assert_status(mikey_transfer_finish(w->transfer, mikey_bytes(octets.data, octets.len), &w->env,
                                        &bundle, NULL),
                  expected);
    mikey_bundle_free(bundle);
    mikey_buffer_clear(&octets);
    draft_open(d, world_octets(w, WORLD_TRANSFER_RESP));
}

/* Even from the right responder, under the right MAC */
static void
odd_answers_are_refused(void)
{
    World w;
    Draft d;

    world_init(&w);
    run_well(&w);
    crafted_world = &w;
    draft_open(&d, world_octets(&w, WORLD_TRANSFER_RESP));
    assert_answer(&d, MIKEY_OK);
    d.cs[0].ssrc ^= 1;
    assert_answer(&d, MIKEY_BAD_SESSIONS);
    d.cs[1].has_ssrc = false;
    assert_answer(&d, MIKEY_BAD_SESSIONS);
    d.cs[1].spi_len = 0;
    assert_answer(&d, MIKEY_BAD_SESSIONS);
    d.cs[1].spi[0] ^= 1;
    assert_answer(&d, MIKEY_BAD_KEYS);
    d.cs[2].n_policies = 2;
    assert_answer(&d, MIKEY_BAD_SESSIONS);
    d.cs[2].n_policies = 0;
    assert_answer(&d, MIKEY_BAD_SESSIONS);
    d.cs[2].policies[0] = 9;
    assert_answer(&d, MIKEY_BAD_SESSIONS);
    d.cs[2].prot = 1;
    assert_answer(&d, MIKEY_BAD_SESSIONS);
    d.header.n_cs = 3;
    assert_answer(&d, MIKEY_BAD_SESSIONS);
    d.cs[3].id = 5;
    assert_answer(&d, MIKEY_BAD_SESSIONS);
    d.header.csb_id ^= 1;
    assert_answer(&d, MIKEY_MISMATCH);
    mikey_message_free(d.message);
    world_clear(&w);
}

/* A KMS that gives out a ticket which somebody has called with already */
static void
a_granted_ticket_has_no_initiator_data(void)
{
    World w;
    Draft d;
    MikeyLabel label = {.tag = MIKEY_TAG_RESP};
    MikeyMessage *init = NULL;
    MikeyMessageKeys keys;
    MikeyBuffer octets;
    MikeyGrant *grant = NULL;

    world_init(&w);
    run_well(&w);
    assert_status(mikey_message_parse(world_octets(&w, WORLD_REQUEST_INIT), &init), MIKEY_OK);
    label.csb_id = mikey_message_header(init)->csb_id;
    label.rand_i = mikey_message_find(init, MIKEY_RANDR, 0)->u.rand.rand;
    assert_status(mikey_message_keys(MIKEY_PRF_HMAC_SHA_256, &w.alice_psk, &label, &keys),
                  MIKEY_OK);
    draft_open(&d, world_octets(&w, WORLD_REQUEST_RESP));
    draft_find(&d, MIKEY_TICKET)->u.ticket.initiator_data =
        mikey_ticket_payload(mikey_offer_ticket(w.offer))->initiator_data;
    octets = draft_close(&d, &keys.auth, world_octets(&w, WORLD_REQUEST_INIT));
    assert_status(world_grant(&w, mikey_bytes(octets.data, octets.len), &grant),
                  MIKEY_POLICY_VIOLATED);
    g_assert_null(grant);
    mikey_buffer_clear(&octets);
    mikey_message_free(init);
    world_clear(&w);
}

/* ---- order of checks ---- */

static void
nothing_is_answered_before_it_is_verified(void)
{
    World w;
    MikeyOffer *offer = NULL;
    MikeyBuffer answer = MIKEY_BUFFER_INIT;
    MikeyBundle *bundle = NULL;
    MikeyQuery *query = NULL;
    MikeyGrantSetup setup = {.tpk = NULL};
    MikeyIdentity bob = mikey_identity_uri(WORLD_BOB);

    world_init(&w);
    run_well(&w);
    assert_status(world_open(&w, world_octets(&w, WORLD_TRANSFER_INIT), &offer), MIKEY_OK);
    g_assert_false(mikey_offer_is_verified(offer));
    assert_status(world_answer(&w, offer, &answer, &bundle), MIKEY_ORDER);
    assert_status(mikey_offer_verify(offer, w.resolution), MIKEY_OK);
    g_assert_true(mikey_offer_is_verified(offer));
    assert_status(mikey_offer_verify(offer, w.resolution), MIKEY_ORDER);

    assert_status(mikey_query_open(world_octets(&w, WORLD_REQUEST_INIT), &w.env, &query), MIKEY_OK);
    assert_status(mikey_query_grant(query, &setup, &w.env, &answer), MIKEY_ORDER);
    mikey_query_free(query);
    assert_status(mikey_query_open(world_octets(&w, WORLD_RESOLVE_INIT), &w.env, &query), MIKEY_OK);
    assert_status(mikey_query_open_ticket(query, &w.tpk, &w.env), MIKEY_ORDER);
    assert_status(mikey_query_authenticate(query, &w.bob_psk), MIKEY_OK);
    assert_status(mikey_query_resolve(query, &bob, &w.env, &answer), MIKEY_ORDER);
    assert_status(mikey_query_grant(query, &setup, &w.env, &answer), MIKEY_ORDER);
    assert_status(mikey_query_open_ticket(query, &w.tpk, &w.env), MIKEY_OK);
    assert_status(mikey_query_open_ticket(query, &w.tpk, &w.env), MIKEY_ORDER);
    mikey_query_free(query);
    mikey_offer_free(offer);
    g_assert_null(bundle);
    world_clear(&w);
}

static void
outputs_are_untouched_on_failure(void)
{
    World w;
    MikeyGrant *grant = (MikeyGrant *)&w;
    MikeyBundle *bundle = (MikeyBundle *)&w;
    MikeyMessage *message = (MikeyMessage *)&w;
    MikeyBuffer buffer = {(guint8 *)&w, 7};

    world_init(&w);
    run_well(&w);
    assert_status(world_grant(&w, mikey_bytes("x", 1), &grant), MIKEY_TRUNCATED);
    assert_status(mikey_transfer_finish(w.transfer, mikey_bytes("x", 1), &w.env, &bundle, NULL),
                  MIKEY_TRUNCATED);
    assert_status(mikey_message_parse(mikey_bytes("x", 1), &message), MIKEY_TRUNCATED);
    assert_status(mikey_base64_decode(mikey_bytes_str("A==="), &buffer), MIKEY_MALFORMED);
    assert_status(mikey_error_new(mikey_bytes("x", 1), MIKEY_REFUSED, &w.env, &buffer),
                  MIKEY_MALFORMED);
    g_assert_true((void *)grant == &w && (void *)bundle == &w && (void *)message == &w);
    g_assert_true((void *)buffer.data == &w && buffer.len == 7);
    world_clear(&w);
}

/* ---- time ---- */

static void
clocks_may_differ_by_the_skew_and_no_more(void)
{
    World w;
    MikeyOffer *offer = NULL;
    const guint64 second = (guint64)1 << 32;

    world_init(&w);
    run_well(&w);
    w.env.now = WORLD_NOW + 300 * second;
    assert_status(world_receive_transfer(&w, world_octets(&w, WORLD_TRANSFER_INIT)), MIKEY_OK);
    w.env.now = WORLD_NOW - 300 * second;
    assert_status(world_receive_transfer(&w, world_octets(&w, WORLD_TRANSFER_INIT)), MIKEY_OK);
    w.env.now = WORLD_NOW + 301 * second;
    assert_status(world_open(&w, world_octets(&w, WORLD_TRANSFER_INIT), &offer), MIKEY_BAD_TIME);
    w.env.now = WORLD_NOW - 301 * second;
    assert_status(world_open(&w, world_octets(&w, WORLD_TRANSFER_INIT), &offer), MIKEY_BAD_TIME);
    w.env.skew_s = 400;
    assert_status(world_receive_transfer(&w, world_octets(&w, WORLD_TRANSFER_INIT)), MIKEY_OK);
    world_clear(&w);
}

static void
tickets_end_and_begin(void)
{
    World w;
    MikeyPolicy policy;

    world_init(&w);
    policy = w.policy;
    policy.has_start = true;
    policy.start_unix = WORLD_UNIX - 10;
    assert_status(mikey_policy_check(&policy, true, &w.env), MIKEY_OK);
    policy.start_unix = WORLD_UNIX + 301;
    assert_status(mikey_policy_check(&policy, true, &w.env), MIKEY_NOT_VALID);
    policy.start_unix = WORLD_UNIX - 3000;
    policy.end_unix = WORLD_UNIX - 301;
    assert_status(mikey_policy_check(&policy, true, &w.env), MIKEY_NOT_VALID);
    policy.end_unix = WORLD_UNIX - 300;
    assert_status(mikey_policy_check(&policy, true, &w.env), MIKEY_OK);
    policy.start_unix = WORLD_UNIX + 100;
    policy.end_unix = WORLD_UNIX + 50;
    assert_status(mikey_policy_check(&policy, true, &w.env), MIKEY_NOT_VALID);
    world_clear(&w);
}

static void
times_after_2036_are_not_in_1900(void)
{
    const gint64 moments[] = {0, 2085978495, 2085978496, 2085978497, 4000000000};

    for (size_t i = 0; i < G_N_ELEMENTS(moments); i++) {
        g_assert_cmpint(mikey_ntp32_to_unix(mikey_ntp32_from_unix(moments[i])), ==, moments[i]);
        for (gint64 us = 0; us < 1000000; us += 99991) {
            gint64 moment = moments[i] * 1000000 + us;

            g_assert_cmpint(mikey_ntp_to_unix_us(mikey_ntp_from_unix_us(moment)), ==, moment);
        }
    }
    g_assert_cmphex(mikey_ntp32_from_unix(2085978496), ==, 0);
    g_assert_cmphex(mikey_ntp32_from_unix(0), ==, 2208988800u);
    g_assert_true(mikey_ntp_within(mikey_ntp_from_unix_us(2085978495000000),
                                   mikey_ntp_from_unix_us(2085978497000000), 2));
    g_assert_false(mikey_ntp_within(mikey_ntp_from_unix_us(2085978495000000),
                                    mikey_ntp_from_unix_us(2085978497000001), 2));
}

/* ---- policies ---- */

static void
flags_that_contradict_each_other_are_refused(void)
{
    const guint32 good = MIKEY_FLAGS_PROFILE;

    assert_status(mikey_flags_check(good), MIKEY_OK);
    assert_status(mikey_flags_check(good & ~MIKEY_FLAG_D), MIKEY_BAD_FLAGS);
    assert_status(mikey_flags_check((good & ~MIKEY_FLAG_D) | MIKEY_FLAG_L), MIKEY_OK);
    assert_status(mikey_flags_check(good & ~MIKEY_FLAG_F), MIKEY_BAD_FLAGS);
    assert_status(mikey_flags_check(good & ~MIKEY_FLAG_G), MIKEY_OK);
    assert_status(mikey_flags_check(good & ~(MIKEY_FLAG_G | MIKEY_FLAG_H)), MIKEY_BAD_FLAGS);
    assert_status(mikey_flags_check(good & ~MIKEY_FLAG_E), MIKEY_BAD_FLAGS);
    assert_status(mikey_flags_check((good & ~MIKEY_FLAG_D) | MIKEY_FLAG_L | MIKEY_FLAG_K),
                  MIKEY_BAD_FLAGS);
    assert_status(mikey_flags_check((good & ~(MIKEY_FLAG_F | MIKEY_FLAG_G)) | MIKEY_FLAG_M),
                  MIKEY_BAD_FLAGS);
}

/* Forked TGKs cannot be used without an answer to name the responder */
static void
a_forked_tgk_needs_an_answer(void)
{
    World w;

    world_init(&w);
    w.policy.flags &= ~(MIKEY_FLAG_F | MIKEY_FLAG_G);
    assert_status(world_run(&w), MIKEY_BAD_FLAGS);
    world_clear(&w);
}

static void
foreign_tickets_need_to_be_known(void)
{
    World w;
    const guint16 known[] = {61440};
    MikeyPolicy policy;

    world_init(&w);
    policy = w.policy;
    policy.flags &= ~MIKEY_FLAG_O;
    assert_status(mikey_policy_check(&policy, true, &w.env), MIKEY_BAD_TICKET);
    policy = w.policy;
    policy.version = 2;
    assert_status(mikey_policy_check(&policy, true, &w.env), MIKEY_BAD_TICKET);
    policy = w.policy;
    policy.ticket_type = 61440;
    assert_status(mikey_policy_check(&policy, true, &w.env), MIKEY_BAD_TICKET);
    w.env.known_types = known;
    w.env.n_known_types = 1;
    assert_status(mikey_policy_check(&policy, true, &w.env), MIKEY_OK);
    policy.ticket_type = MIKEY_TICKET_3GPP;
    assert_status(mikey_policy_check(&policy, true, &w.env), MIKEY_OK);
    world_clear(&w);
}

static void
the_128_bit_suite_is_off_by_itself(void)
{
    World w;

    world_init(&w);
    w.policy.prf = MIKEY_PRF_MIKEY_1;
    assert_status(world_run(&w), MIKEY_BAD_PRF);
    world_clear(&w);
}

static void
a_policy_says_who_and_for_what(void)
{
    World w;
    MikeyIdentity apps[] = {mikey_identity_bytes(mikey_bytes_str("conclave:join"))};
    MikeyIdentity stranger = mikey_identity_uri("sip:mallory@operator.example");
    const MikeyPolicy *policy;

    world_init(&w);
    w.policy.applications = apps;
    w.policy.n_applications = 1;
    w.policy.rekey_s = 600;
    w.policy.has_start = true;
    w.policy.start_unix = WORLD_UNIX - 5;
    run_well(&w);
    policy = mikey_offer_policy(w.offer);
    g_assert_true(mikey_policy_names_responder(policy, &w.responders[0]));
    g_assert_false(mikey_policy_names_responder(policy, &stranger));
    g_assert_true(mikey_policy_allows_application(policy, mikey_bytes_str("conclave:join")));
    g_assert_false(mikey_policy_allows_application(policy, mikey_bytes_str("conclave:create")));
    g_assert_cmpuint(policy->rekey_s, ==, 600);
    g_assert_cmpint(policy->start_unix, ==, WORLD_UNIX - 5);
    g_assert_cmpint(policy->end_unix, ==, WORLD_UNIX + 3600);
    g_assert_true(mikey_bytes_equal(policy->initiator.data, mikey_bytes_str(WORLD_ALICE)));
    g_assert_true(mikey_bytes_equal(policy->kms.data, mikey_bytes_str(WORLD_KMS)));
    world_clear(&w);
}

/* K tells the user that he did not get what he asked for */
static void
the_kms_says_when_it_changed_the_policy(void)
{
    World w;
    MikeyQuery *query = NULL;
    MikeyPolicy other;
    MikeyGrantSetup setup = {.policy = &other};
    MikeyBuffer answer = MIKEY_BUFFER_INIT;
    MikeyGrant *grant = NULL;

    world_init(&w);
    assert_status(world_request(&w), MIKEY_OK);
    assert_status(mikey_query_open(world_octets(&w, WORLD_REQUEST_INIT), &w.env, &query), MIKEY_OK);
    assert_status(mikey_query_authenticate(query, &w.alice_psk), MIKEY_OK);
    other = *mikey_query_policy(query);
    other.end_unix -= 60;
    setup.tpk = &w.tpk;
    assert_status(mikey_query_grant(query, &setup, &w.env, &answer), MIKEY_OK);
    assert_status(world_grant(&w, mikey_bytes(answer.data, answer.len), &grant), MIKEY_OK);
    g_assert_cmphex(mikey_grant_policy(grant)->flags & MIKEY_FLAG_K, !=, 0);
    g_assert_cmpint(mikey_grant_policy(grant)->end_unix, ==, WORLD_UNIX + 3540);
    mikey_grant_free(grant);
    mikey_buffer_clear(&answer);
    mikey_query_free(query);
    world_clear(&w);
}

/* ---- reuse ---- */

/* Opens a second call with the same ticket and verifies it with what is kept of the first */
static MikeyStatus
call_again(World *w)
{
    MikeyOffer *offer = NULL;
    MikeyStatus status;

    mikey_transfer_free(w->transfer);
    w->transfer = NULL;
    w->env.now += (guint64)1 << 32;
    assert_status(world_transfer(w), MIKEY_OK);
    assert_status(world_open(w, world_octets(w, WORLD_TRANSFER_INIT), &offer), MIKEY_OK);
    status = mikey_offer_verify(offer, w->resolution);
    mikey_offer_free(offer);
    return status;
}

static void
kept_keys_serve_a_reusable_ticket_for_one_responder(void)
{
    World w;

    world_init(&w);
    w.policy.flags |= MIKEY_FLAG_J;
    run_well(&w);
    assert_status(call_again(&w), MIKEY_OK);
    world_clear(&w);

    world_init(&w);
    run_well(&w);
    assert_status(call_again(&w), MIKEY_NOT_REUSABLE);
    world_clear(&w);

    world_init(&w);
    w.policy.flags |= MIKEY_FLAG_J;
    w.responders[1] = mikey_identity_uri("sip:carol@operator.example");
    w.policy.n_responders = 2;
    run_well(&w);
    assert_status(call_again(&w), MIKEY_NOT_REUSABLE);
    world_clear(&w);
}

static void
the_digest_of_a_ticket_does_not_depend_on_the_call(void)
{
    World w;
    guint8 a[MIKEY_DIGEST_LEN], b[MIKEY_DIGEST_LEN];

    world_init(&w);
    run_well(&w);
    assert_status(mikey_ticket_digest(mikey_grant_ticket(w.grant), a), MIKEY_OK);
    assert_status(mikey_ticket_digest(mikey_offer_ticket(w.offer), b), MIKEY_OK);
    g_assert_cmpmem(a, sizeof(a), b, sizeof(b));
    world_clear(&w);
}

/* ---- sessions ---- */

static void
unusable_policies_are_passed_over(void)
{
    World w;

    world_init(&w);
    w.bob_profiles[0] = MIKEY_SRTP_AES_256_CM_HMAC_SHA1_80;
    run_well(&w);
    g_assert_cmpint(mikey_bundle_profile(w.alice, 1), ==, MIKEY_SRTP_AES_CM_128_HMAC_SHA1_80);
    world_clear(&w);

    world_init(&w);
    w.bob_profiles[0] = MIKEY_SRTP_AES_256_CM_HMAC_SHA1_80;
    w.n_bob_profiles = 1;
    assert_status(world_run(&w), MIKEY_BAD_PARAMETERS);
    world_clear(&w);
}

static void
the_offerer_may_come_first(void)
{
    World w;

    world_init(&w);
    w.offerer_first = true;
    run_well(&w);
    g_assert_cmpint(mikey_bundle_profile(w.bob, 3), ==, MIKEY_SRTP_AES_CM_128_HMAC_SHA1_80);
    world_clear(&w);
}

/* No policy in the offer: the responder brings one, which the caller must still like */
static void
the_responder_may_bring_the_policy(void)
{
    World w;

    world_init(&w);
    w.n_alice_profiles = 0;
    assert_status(world_run(&w), MIKEY_BAD_PARAMETERS);
    g_assert_cmpint(mikey_bundle_profile(w.bob, 1), ==, MIKEY_SRTP_AEAD_AES_256_GCM);
    world_clear(&w);
}

static void
lines_keep_their_numbers(void)
{
    World w;

    world_init(&w);
    w.n_lines = 3;
    w.alice_lines[0].keyed = false;
    w.bob_lines[2].keyed = false;
    run_well(&w);
    g_assert_null(mikey_header_cs(mikey_bundle_header(w.alice), 1));
    g_assert_nonnull(mikey_header_cs(mikey_bundle_header(w.alice), 3));
    g_assert_cmpuint(srtp_of(w.bob, MIKEY_CS_ANSWERER(2)).ssrc, ==, w.bob_lines[1].ssrc);
    /* a line that was refused stays in the map, without a stream of ours */
    g_assert_cmpuint(srtp_of(w.alice, MIKEY_CS_ANSWERER(3)).ssrc, ==, 0);
    world_clear(&w);
}

/* One CS for both directions cannot name two SSRCs */
static void
each_direction_has_a_session_of_its_own(void)
{
    World w;

    world_init(&w);
    run_well(&w);
    g_assert_cmpuint(mikey_message_header(mikey_offer_message(w.offer))->n_cs, ==, 4);
    for (guint8 id = 2; id <= 4; id += 2)
        g_assert_false(
            mikey_header_cs(mikey_message_header(mikey_offer_message(w.offer)), id)->has_ssrc);
    world_clear(&w);
}

/* ---- errors ---- */

static void
errors_are_hints_until_they_are_authentic(void)
{
    World w;
    MikeyBuffer error = MIKEY_BUFFER_INIT, again = MIKEY_BUFFER_INIT;
    MikeyPeerError told = {0, true};
    MikeyGrant *grant = NULL;
    MikeyQuery *query = NULL;

    world_init(&w);
    assert_status(world_request(&w), MIKEY_OK);
    assert_status(
        mikey_error_new(world_octets(&w, WORLD_REQUEST_INIT), MIKEY_UNKNOWN_USER, &w.env, &error),
        MIKEY_OK);
    assert_status(
        mikey_request_finish(w.request, mikey_bytes(error.data, error.len), &w.env, &grant, &told),
        MIKEY_PEER_ERROR);
    g_assert_false(told.authentic);
    g_assert_cmpuint(told.number, ==, 0);
    /* nobody answers an error */
    assert_status(
        mikey_error_new(mikey_bytes(error.data, error.len), MIKEY_REFUSED, &w.env, &again),
        MIKEY_MALFORMED);
    mikey_buffer_clear(&error);

    assert_status(mikey_query_open(world_octets(&w, WORLD_REQUEST_INIT), &w.env, &query), MIKEY_OK);
    assert_status(mikey_query_authenticate(query, &w.alice_psk), MIKEY_OK);
    assert_status(mikey_query_error(query, MIKEY_BAD_POLICY, &w.env, &error), MIKEY_OK);
    assert_status(
        mikey_request_finish(w.request, mikey_bytes(error.data, error.len), &w.env, &grant, &told),
        MIKEY_PEER_ERROR);
    g_assert_true(told.authentic);
    g_assert_cmpuint(told.number, ==, 15);
    g_assert_null(grant);
    mikey_buffer_clear(&error);
    mikey_query_free(query);
    world_clear(&w);
}

static void
an_error_lists_what_would_do(void)
{
    World w;
    MikeyBuffer error = MIKEY_BUFFER_INIT;
    MikeyMessage *message = NULL;
    MikeySrtpProfile profile = MIKEY_SRTP_NONE;

    world_init(&w);
    run_well(&w);
    assert_status(
        mikey_offer_error(w.offer, MIKEY_BAD_PARAMETERS, w.bob_profiles, 2, &w.env, &error),
        MIKEY_OK);
    assert_status(mikey_message_parse(mikey_bytes(error.data, error.len), &message), MIKEY_OK);
    g_assert_cmpuint(mikey_message_header(message)->map_type, ==, MIKEY_MAP_GENERIC_ID);
    g_assert_cmpuint(mikey_message_find(message, MIKEY_ERR, 0)->u.err.number, ==, 10);
    assert_status(mikey_sp_profile(&mikey_message_find(message, MIKEY_SP, 0)->u.sp, &profile),
                  MIKEY_OK);
    g_assert_cmpint(profile, ==, w.bob_profiles[0]);
    mikey_message_free(message);
    mikey_buffer_clear(&error);
    world_clear(&w);
}

static void
every_status_has_words_and_a_number(void)
{
    for (int i = 0; i < MIKEY_N_STATUS; i++) {
        g_assert_nonnull(mikey_status_string((MikeyStatus)i));
        g_assert_cmpuint(mikey_status_error((MikeyStatus)i), <=, 15);
    }
    g_assert_nonnull(mikey_status_string((MikeyStatus)999));
    for (guint i = 0; i < 256; i++)
        g_assert_nonnull(mikey_error_string((guint8)i));
}

/* ---- SDP ---- */

static void
the_list_of_protocols_must_be_the_same(void)
{
    World w;
    const MikeyBytes mikey[] = {mikey_bytes_str("mikey")};
    const MikeyBytes two[] = {mikey_bytes_str("mikey"), mikey_bytes_str("keyp1")};

    world_init(&w);
    run_well(&w);
    assert_status(mikey_sdp_ids_check(mikey_offer_message(w.offer), mikey, 1), MIKEY_OK);
    assert_status(mikey_sdp_ids_check(mikey_offer_message(w.offer), two, 2), MIKEY_SDP_IDS_DIFFER);
    assert_status(mikey_sdp_ids_check(mikey_offer_message(w.offer), mikey, 0),
                  MIKEY_SDP_IDS_DIFFER);
    world_clear(&w);
}

static void
base64_has_one_spelling(void)
{
    static const struct {
        const char *text;
        MikeyStatus status;
        size_t len;
    } texts[] = {
        {"", MIKEY_OK, 0},
        {"AA==", MIKEY_OK, 1},
        {"AAA=", MIKEY_OK, 2},
        {"AAAA", MIKEY_OK, 3},
        {"+/+/", MIKEY_OK, 3},
        {"AB==", MIKEY_MALFORMED, 0},
        {"AAB=", MIKEY_MALFORMED, 0},
        {"A===", MIKEY_MALFORMED, 0},
        {"====", MIKEY_MALFORMED, 0},
        {"AA=A", MIKEY_MALFORMED, 0},
        {"AA==AAAA", MIKEY_MALFORMED, 0},
        {"AAA", MIKEY_MALFORMED, 0},
        {"AAA ", MIKEY_MALFORMED, 0},
        {"A\nAA", MIKEY_MALFORMED, 0},
        {"-_-_", MIKEY_MALFORMED, 0},
    };

    for (size_t i = 0; i < G_N_ELEMENTS(texts); i++) {
        MikeyBuffer octets = MIKEY_BUFFER_INIT, text = MIKEY_BUFFER_INIT;

        assert_status(mikey_base64_decode(mikey_bytes_str(texts[i].text), &octets),
                      texts[i].status);
        g_assert_cmpuint(octets.len, ==, texts[i].len);
        if (texts[i].status == MIKEY_OK) {
            assert_status(mikey_base64_encode(mikey_bytes(octets.data, octets.len), &text),
                          MIKEY_OK);
            g_assert_cmpstr((char *)text.data, ==, texts[i].text);
        }
        mikey_buffer_clear(&octets);
        mikey_buffer_clear(&text);
    }
}

static void
only_mikey_is_taken_from_sdp(void)
{
    MikeyBuffer octets = MIKEY_BUFFER_INIT;

    assert_status(mikey_sdp_decode(mikey_bytes_str("mikey AAAA"), &octets), MIKEY_OK);
    mikey_buffer_clear(&octets);
    assert_status(mikey_sdp_decode(mikey_bytes_str(" mikey AAAA"), &octets), MIKEY_OK);
    mikey_buffer_clear(&octets);
    assert_status(mikey_sdp_decode(mikey_bytes_str("MIKEY AAAA"), &octets), MIKEY_BAD_PROTOCOL);
    assert_status(mikey_sdp_decode(mikey_bytes_str("mikeyAAAA"), &octets), MIKEY_BAD_PROTOCOL);
    assert_status(mikey_sdp_decode(mikey_bytes_str("mike"), &octets), MIKEY_BAD_PROTOCOL);
    assert_status(mikey_sdp_decode(mikey_bytes_str(""), &octets), MIKEY_BAD_PROTOCOL);
    assert_status(mikey_sdp_decode(mikey_bytes_str("mikey  AAAA"), &octets), MIKEY_MALFORMED);
}

/* ---- SP ---- */

static MikeyStatus
profile_of(const char *params, size_t len, guint8 prot, MikeySrtpProfile *out)
{
    MikeySp sp = {.prot = prot, .params = {(const guint8 *)params, len}};

    return mikey_sp_profile(&sp, out);
}

#define PROFILE(text, out) profile_of(text, sizeof(text) - 1, 0, out)

static void
policies_are_read_with_their_defaults(void)
{
    MikeySrtpProfile p = MIKEY_SRTP_NONE;

    for (int i = 1; i < MIKEY_SRTP_N_PROFILES; i++) {
        MikeySp sp = {.params = mikey_srtp_profile_params((MikeySrtpProfile)i)};

        assert_status(mikey_sp_profile(&sp, &p), MIKEY_OK);
        g_assert_cmpint(p, ==, i);
        g_assert_cmpint(mikey_srtp_profile_from_string(mikey_srtp_profile_string(p)), ==, i);
    }
    assert_status(PROFILE("", &p), MIKEY_OK);
    g_assert_cmpint(p, ==, MIKEY_SRTP_AES_CM_128_HMAC_SHA1_80);
    assert_status(PROFILE("\1\4\0\0\0\40", &p), MIKEY_OK);
    g_assert_cmpint(p, ==, MIKEY_SRTP_AES_256_CM_HMAC_SHA1_80);
    assert_status(PROFILE("\0\1\6", &p), MIKEY_OK);
    g_assert_cmpint(p, ==, MIKEY_SRTP_AEAD_AES_128_GCM);
    assert_status(PROFILE("\0\1\1\0\1\1", &p), MIKEY_BAD_PARAMETERS);   /* twice */
    assert_status(PROFILE("\15\1\0", &p), MIKEY_BAD_PARAMETERS);        /* RFC 4771 */
    assert_status(PROFILE("\0\0", &p), MIKEY_BAD_PARAMETERS);           /* no value */
    assert_status(PROFILE("\0\5\0\0\0\0\1", &p), MIKEY_BAD_PARAMETERS); /* too wide */
    assert_status(PROFILE("\7\1\0", &p), MIKEY_BAD_PARAMETERS);         /* no encryption */
    assert_status(PROFILE("\12\1\0", &p), MIKEY_BAD_PARAMETERS);        /* no authentication */
    assert_status(PROFILE("\1\1\30", &p), MIKEY_BAD_PARAMETERS);        /* 192 bits */
    assert_status(PROFILE("\13\1\17", &p), MIKEY_BAD_PARAMETERS);       /* odd tag */
    assert_status(profile_of("", 0, 1, &p), MIKEY_BAD_PROTOCOL);
}

/* ---- printing ---- */

static void
collect(const char *line, void *data)
{
    g_string_append_printf(data, "%s\n", line);
}

static void
printing_shows_payloads_but_no_key(void)
{
    World w;
    g_autoptr(GString) text = g_string_new(NULL);
    static const WorldMessage all[] = {WORLD_REQUEST_INIT, WORLD_REQUEST_RESP, WORLD_TRANSFER_INIT,
                                       WORLD_RESOLVE_RESP};
    MikeyKeyWish wishes[1] = {wish(MIKEY_KEY_TGK, 5)};

    world_init(&w);
    w.policy.has_wishes = true;
    w.policy.wishes = wishes;
    w.policy.n_wishes = 1;
    run_well(&w);
    for (size_t i = 0; i < G_N_ELEMENTS(all); i++) {
        MikeyMessage *message = NULL;

        assert_status(mikey_message_parse(world_octets(&w, all[i]), &message), MIKEY_OK);
        mikey_print(message, collect, text);
        mikey_message_free(message);
    }
    g_test_message("%s", text->str);
    g_assert_nonnull(strstr(text->str, "HDR: TRANSFER_INIT (14), CSB ID 4a5769bf"));
    g_assert_nonnull(strstr(text->str, "IDR of initiator: URI, " WORLD_ALICE));
    g_assert_nonnull(strstr(text->str, "flags: DEFGHINO"));
    g_assert_nonnull(strstr(text->str, "T: NTP-UTC, 2030-01-01T00:00:00Z"));
    g_assert_nonnull(strstr(text->str, "octets, encrypted (AES-CM-256)"));
    g_assert_nonnull(strstr(text->str, "TGK, 32 octets, SPI 05"));
    g_assert_nonnull(strstr(text->str, "General Extension: SDP IDs, 5 octets: mikey"));
    for (guint at = 0; at + 8 <= 32; at += 8) {
        g_autoptr(GString) hex = g_string_new(NULL);

        for (guint i = 0; i < 8; i++)
            g_string_append_printf(hex, "%02x", mikey_grant_key(w.grant, 0)->key.bytes[at + i]);
        g_assert_null(strstr(text->str, hex->str));
    }
    world_clear(&w);
}

/* ---- the door ---- */

static void
cleared_keys_are_zero(void)
{
    MikeyKey key = {.len = 0};
    const MikeyKey zero = {.len = 0};
    guint8 long_key[MIKEY_MAX_KEY + 1] = {1};

    assert_status(mikey_key_set(&key, long_key, MIKEY_MAX_KEY), MIKEY_OK);
    assert_status(mikey_key_set(&key, long_key, sizeof(long_key)), MIKEY_BAD_KEYS);
    g_assert_cmpuint(key.len, ==, MIKEY_MAX_KEY);
    mikey_key_clear(&key);
    g_assert_cmpmem(&key, sizeof(key), &zero, sizeof(zero));
}

static void
a_lack_of_randomness_is_told(void)
{
    World w;

    world_init(&w);
    w.env.random = NULL;
    assert_status(world_request(&w), MIKEY_NO_RANDOM);
    world_clear(&w);
    g_assert_true(mikey_random_openssl((guint8 *)&w, 16, NULL));
}

static const struct {
    const char *name;
    void (*test)(void);
} tests[] = {
#define TEST(name)                                                                                 \
    {                                                                                              \
#name, name                                                                                \
    }
    TEST(both_sides_have_the_same_keys),
    TEST(peers_are_who_the_ticket_says),
    TEST(a_transfer_without_answer_works),
    TEST(own_keys_need_the_flags),
    TEST(a_group_key_reaches_the_caller),
    TEST(a_tek_without_salt_gives_no_srtp),
    TEST(two_keys_with_one_spi_are_refused),
    TEST(responders_do_not_share_keys),
    TEST(tek_and_gtgk_are_not_forked_and_salts_neither),
    TEST(a_ticket_without_session_keys_is_possible),
    TEST(a_responder_cannot_call_with_the_ticket),
    TEST(borrowed_initiator_data_is_noticed),
    TEST(a_wrong_psk_is_refused),
    TEST(a_ticket_under_another_tpk_is_refused),
    TEST(answers_of_other_exchanges_are_refused),
    TEST(odd_offers_are_refused_before_the_kms_is_asked),
    TEST(odd_answers_are_refused),
    TEST(a_granted_ticket_has_no_initiator_data),
    TEST(nothing_is_answered_before_it_is_verified),
    TEST(outputs_are_untouched_on_failure),
    TEST(clocks_may_differ_by_the_skew_and_no_more),
    TEST(tickets_end_and_begin),
    TEST(times_after_2036_are_not_in_1900),
    TEST(flags_that_contradict_each_other_are_refused),
    TEST(a_forked_tgk_needs_an_answer),
    TEST(foreign_tickets_need_to_be_known),
    TEST(the_128_bit_suite_is_off_by_itself),
    TEST(a_policy_says_who_and_for_what),
    TEST(the_kms_says_when_it_changed_the_policy),
    TEST(kept_keys_serve_a_reusable_ticket_for_one_responder),
    TEST(the_digest_of_a_ticket_does_not_depend_on_the_call),
    TEST(unusable_policies_are_passed_over),
    TEST(the_offerer_may_come_first),
    TEST(the_responder_may_bring_the_policy),
    TEST(lines_keep_their_numbers),
    TEST(each_direction_has_a_session_of_its_own),
    TEST(errors_are_hints_until_they_are_authentic),
    TEST(an_error_lists_what_would_do),
    TEST(every_status_has_words_and_a_number),
    TEST(the_list_of_protocols_must_be_the_same),
    TEST(base64_has_one_spelling),
    TEST(only_mikey_is_taken_from_sdp),
    TEST(policies_are_read_with_their_defaults),
    TEST(printing_shows_payloads_but_no_key),
    TEST(cleared_keys_are_zero),
    TEST(a_lack_of_randomness_is_told),
#undef TEST
};

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    for (size_t i = 0; i < G_N_ELEMENTS(tests); i++) {
        g_autofree char *name = g_strdup_printf("/mikey/exchange/%s", tests[i].name);

        g_test_add_func(g_strdelimit(name, "_", '-'), tests[i].test);
    }
    for (gsize i = 0; i < G_N_ELEMENTS(kinds); i++) {
        g_autofree char *name = g_strdup_printf("/mikey/exchange/ticket-works/%s", kinds[i].name);

        g_test_add_data_func(name, GSIZE_TO_POINTER(i), every_kind_of_ticket_works);
    }
    return g_test_run();
}
