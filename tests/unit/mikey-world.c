/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/mikey-world.h"

#include <string.h>

/* The same octets in every run; far from random, which is what a test wants */
static bool
counted(uint8_t *out, size_t len, void *data)
{
    World *world = data;

    for (size_t i = 0; i < len; i++) {
        uint64_t x = ++world->counter * 0x9e3779b97f4a7c15u;

        out[i] = (uint8_t)(x >> 56 ^ x >> 29);
    }
    return true;
}

static void
fill_key(World *world, MikeyKey *key)
{
    counted(key->bytes, 32, world);
    key->len = 32;
}

void
world_init(World *world)
{
    memset(world, 0, sizeof(*world));
    world->env.now = WORLD_NOW;
    world->env.random = counted;
    world->env.random_data = world;
    world->policy = mikey_policy_default();
    world->policy.has_end = true;
    world->policy.end_unix = WORLD_UNIX + 3600;
    world->responders[0] = mikey_identity_uri(WORLD_BOB);
    world->policy.responders = world->responders;
    world->policy.n_responders = 1;
    world->n_lines = 2;
    for (unsigned i = 0; i < 4; i++) {
        world->alice_lines[i].keyed = true;
        world->alice_lines[i].ssrc = 0x10203040u + i;
        world->bob_lines[i].keyed = true;
        world->bob_lines[i].ssrc = 0x50607080u + i;
    }
    world->alice_profiles[0] = MIKEY_SRTP_AES_CM_128_HMAC_SHA1_80;
    world->alice_profiles[1] = MIKEY_SRTP_AEAD_AES_256_GCM;
    world->n_alice_profiles = 2;
    world->bob_profiles[0] = MIKEY_SRTP_AEAD_AES_256_GCM;
    world->bob_profiles[1] = MIKEY_SRTP_AES_CM_128_HMAC_SHA1_80;
    world->n_bob_profiles = 2;
    fill_key(world, &world->alice_psk);
    fill_key(world, &world->bob_psk);
    fill_key(world, &world->tpk);
}

void
world_clear(World *world)
{
    for (size_t i = 0; i < WORLD_N_MESSAGES; i++)
        mikey_buffer_clear(&world->messages[i]);
    mikey_request_free(world->request);
    mikey_grant_free(world->grant);
    mikey_transfer_free(world->transfer);
    mikey_offer_free(world->offer);
    mikey_resolve_free(world->resolve);
    mikey_resolution_free(world->resolution);
    mikey_bundle_free(world->alice);
    mikey_bundle_free(world->bob);
    memset(world, 0, sizeof(*world));
}

MikeyBytes
world_octets(const World *world, WorldMessage message)
{
    switch (message) {
    case WORLD_REQUEST_INIT:
        return mikey_request_octets(world->request);
    case WORLD_TRANSFER_INIT:
        return mikey_transfer_octets(world->transfer);
    case WORLD_RESOLVE_INIT:
        return mikey_resolve_octets(world->resolve);
    default:
        return mikey_bytes(world->messages[message].data, world->messages[message].len);
    }
}

MikeyAccount
world_account(const World *world, const char *name)
{
    bool alice = strcmp(name, WORLD_ALICE) == 0;
    MikeyAccount account = {.psk = alice ? &world->alice_psk : &world->bob_psk,
                            .psk_id =
                                mikey_identity_bytes(mikey_bytes_str(alice ? "alice" : "bob")),
                            .self = mikey_identity_uri(name),
                            .kms = mikey_identity_uri(WORLD_KMS),
                            .prf = world->policy.prf};

    return account;
}

MikeyStatus
world_request(World *world)
{
    MikeyAccount account = world_account(world, WORLD_ALICE);

    return mikey_request_new(&account, &world->policy, &world->env, &world->request);
}

/* Opens a question and authenticates it with the key of the user it names */
static MikeyStatus
kms_open(World *world, MikeyBytes question, MikeyQuery **out_query)
{
    MikeyQuery *query = NULL;
    MikeyIdentity user;
    const MikeyKey *psk;
    MikeyStatus status = mikey_query_open(question, &world->env, &query);

    if (status != MIKEY_OK)
        return status;
    user = mikey_query_psk_id(query);
    if (mikey_bytes_equal(user.data, mikey_bytes_str("alice")))
        psk = &world->alice_psk;
    else if (mikey_bytes_equal(user.data, mikey_bytes_str("bob")))
        psk = &world->bob_psk;
    else
        psk = NULL;
    status = psk != NULL ? mikey_query_authenticate(query, psk) : MIKEY_UNKNOWN_USER;
    if (status != MIKEY_OK) {
        mikey_query_free(query);
        return status;
    }
    *out_query = query;
    return MIKEY_OK;
}

MikeyStatus
world_kms_grant(World *world, MikeyBytes question, MikeyBuffer *out_answer)
{
    MikeyGrantSetup setup = {.tpk = &world->tpk, .tpk_id = mikey_bytes_str("tpk-1")};
    MikeyQuery *query = NULL;
    MikeyStatus status = kms_open(world, question, &query);

    if (status == MIKEY_OK)
        status = mikey_query_grant(query, &setup, &world->env, out_answer);
    mikey_query_free(query);
    return status;
}

MikeyStatus
world_grant(World *world, MikeyBytes answer, MikeyGrant **out_grant)
{
    return mikey_request_finish(world->request, answer, &world->env, out_grant, NULL);
}

MikeyStatus
world_transfer(World *world)
{
    MikeyTransferSetup setup = {.responder = mikey_identity_uri(WORLD_BOB),
                                .csb_id = 0x4a5769bf,
                                .lines = world->alice_lines,
                                .n_lines = world->n_lines,
                                .profiles = world->alice_profiles,
                                .n_profiles = world->n_alice_profiles,
                                .sdp_ids = mikey_bytes_str("mikey"),
                                .keys = &world->alice_key,
                                .n_keys = world->alice_key.key.len > 0};

    return mikey_transfer_new(world->grant, &setup, &world->env, &world->transfer);
}

MikeyStatus
world_open(World *world, MikeyBytes octets, MikeyOffer **out_offer)
{
    return mikey_offer_open(octets, &world->env, out_offer);
}

MikeyStatus
world_resolve(World *world)
{
    MikeyAccount account = world_account(world, WORLD_BOB);

    return mikey_resolve_new(world->offer, &account, &world->env, &world->resolve);
}

MikeyStatus
world_kms_resolve(World *world, MikeyBytes question, MikeyBuffer *out_answer)
{
    MikeyQuery *query = NULL;
    MikeyIdentity who;
    MikeyStatus status = kms_open(world, question, &query);

    if (status != MIKEY_OK)
        return status;
    who = mikey_query_identity(query);
    if (!mikey_bytes_equal(mikey_query_tpk_id(query), mikey_bytes_str("tpk-1")))
        status = MIKEY_BAD_TICKET;
    if (status == MIKEY_OK)
        status = mikey_query_open_ticket(query, &world->tpk, &world->env);
    if (status == MIKEY_OK && !mikey_policy_names_responder(mikey_query_policy(query), &who))
        status = MIKEY_BAD_IDENTITY;
    if (status == MIKEY_OK)
        status = mikey_query_resolve(query, &who, &world->env, out_answer);
    mikey_query_free(query);
    return status;
}

MikeyStatus
world_resolved(World *world, MikeyBytes answer, MikeyResolution **out_resolution)
{
    return mikey_resolve_finish(world->resolve, answer, &world->env, out_resolution, NULL);
}

MikeyStatus
world_answer(World *world, MikeyOffer *offer, MikeyBuffer *out_answer, MikeyBundle **out_bundle)
{
    MikeyAnswerSetup setup = {.lines = world->bob_lines,
                              .n_lines = world->n_lines,
                              .profiles = world->bob_profiles,
                              .n_profiles = world->n_bob_profiles,
                              .offerer_first = world->offerer_first,
                              .keys = &world->bob_key,
                              .n_keys = world->bob_key.key.len > 0};

    return mikey_offer_answer(offer, &setup, &world->env, out_answer, out_bundle);
}

MikeyStatus
world_receive_transfer(World *world, MikeyBytes octets)
{
    MikeyAccount account = world_account(world, WORLD_BOB);
    MikeyOffer *offer = NULL;
    MikeyResolve *resolve = NULL;
    MikeyResolution *resolution = NULL;
    MikeyBuffer answer = MIKEY_BUFFER_INIT;
    MikeyStatus status = mikey_offer_open(octets, &world->env, &offer);

    if (status == MIKEY_OK)
        status = mikey_resolve_new(offer, &account, &world->env, &resolve);
    if (status == MIKEY_OK)
        status = world_kms_resolve(world, mikey_resolve_octets(resolve), &answer);
    if (status == MIKEY_OK)
        status = mikey_resolve_finish(resolve, mikey_bytes(answer.data, answer.len), &world->env,
                                      &resolution, NULL);
    if (status == MIKEY_OK)
        status = mikey_offer_verify(offer, resolution);
    mikey_resolution_free(resolution);
    mikey_buffer_clear(&answer);
    mikey_resolve_free(resolve);
    mikey_offer_free(offer);
    return status;
}

#define STEP(call)                                                                                 \
    do {                                                                                           \
        MikeyStatus status_of_step = (call);                                                       \
        if (status_of_step != MIKEY_OK)                                                            \
            return status_of_step;                                                                 \
    } while (0)

MikeyStatus
world_run(World *world)
{
    MikeyBuffer *messages = world->messages;

    STEP(world_request(world));
    STEP(world_kms_grant(world, world_octets(world, WORLD_REQUEST_INIT),
                         &messages[WORLD_REQUEST_RESP]));
    STEP(world_grant(world, world_octets(world, WORLD_REQUEST_RESP), &world->grant));
    STEP(world_transfer(world));
    STEP(world_open(world, world_octets(world, WORLD_TRANSFER_INIT), &world->offer));
    STEP(world_resolve(world));
    STEP(world_kms_resolve(world, world_octets(world, WORLD_RESOLVE_INIT),
                           &messages[WORLD_RESOLVE_RESP]));
    STEP(world_resolved(world, world_octets(world, WORLD_RESOLVE_RESP), &world->resolution));
    STEP(mikey_offer_verify(world->offer, world->resolution));
    STEP(world_answer(world, world->offer, &messages[WORLD_TRANSFER_RESP], &world->bob));
    return mikey_transfer_finish(world->transfer, world_octets(world, WORLD_TRANSFER_RESP),
                                 &world->env, &world->alice, NULL);
}
