/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/mikey-world.h - alice, bob and a KMS in one process: every message of a call
 *
 * Time stands still and random octets come out of a counter, so a world is the same each time.
 * Every step gives a MikeyStatus, so that a test can let any of them fail.
 */
#pragma once

#include <libmikey/mikey.h>

typedef enum WorldMessage {
    WORLD_REQUEST_INIT,
    WORLD_REQUEST_RESP,
    WORLD_TRANSFER_INIT,
    WORLD_RESOLVE_INIT,
    WORLD_RESOLVE_RESP,
    WORLD_TRANSFER_RESP,
    WORLD_N_MESSAGES
} WorldMessage;

typedef struct World {
    /* what a test may set before world_run() */
    MikeyPolicy policy;
    MikeyEnv env;
    MikeyLine alice_lines[4];
    MikeyLine bob_lines[4];
    size_t n_lines;
    MikeySrtpProfile alice_profiles[4];
    size_t n_alice_profiles;
    MikeySrtpProfile bob_profiles[4];
    size_t n_bob_profiles;
    bool offerer_first;
    MikeyIdentity responders[4];
    MikeyKeyData alice_key; /* sent in TRANSFER_INIT when it has octets */
    MikeyKeyData bob_key;   /* sent in TRANSFER_RESP */

    /* what it leaves */
    MikeyBuffer messages[WORLD_N_MESSAGES];
    MikeyRequest *request;
    MikeyGrant *grant;
    MikeyTransfer *transfer;
    MikeyOffer *offer;
    MikeyResolve *resolve;
    MikeyResolution *resolution;
    MikeyBundle *alice;
    MikeyBundle *bob;
    MikeyKey alice_psk, bob_psk, tpk;
    uint64_t counter;
} World;

#define WORLD_NOW 0xf486570040000000u /* 2030-01-01T00:00:00.25Z */
#define WORLD_UNIX 1893456000
#define WORLD_ALICE "sip:alice@operator.example"
#define WORLD_BOB "sip:bob@operator.example"
#define WORLD_KMS "sip:kms@operator.example"

void world_init(World *world);
MikeyStatus world_run(World *world);
void world_clear(World *world);

MikeyAccount world_account(const World *world, const char *name);
/* Steps, each by itself. Steps of the KMS take the question and give the answer */
MikeyStatus world_request(World *world);
MikeyStatus world_kms_grant(World *world, MikeyBytes question, MikeyBuffer *out_answer);
MikeyStatus world_grant(World *world, MikeyBytes answer, MikeyGrant **out_grant);
MikeyStatus world_transfer(World *world);
MikeyStatus world_open(World *world, MikeyBytes octets, MikeyOffer **out_offer);
MikeyStatus world_resolve(World *world);
MikeyStatus world_kms_resolve(World *world, MikeyBytes question, MikeyBuffer *out_answer);
MikeyStatus world_resolved(World *world, MikeyBytes answer, MikeyResolution **out_resolution);
MikeyStatus world_answer(World *world, MikeyOffer *offer, MikeyBuffer *out_answer,
                         MikeyBundle **out_bundle);
/* Everything that happens to a TRANSFER_INIT until the caller is authentic */
MikeyStatus world_receive_transfer(World *world, MikeyBytes octets);
MikeyBytes world_octets(const World *world, WorldMessage message);
