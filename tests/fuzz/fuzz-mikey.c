/* SPDX-License-Identifier: Apache-2.0 */
/* tests/fuzz/fuzz-mikey.c - MIKEY messages: read, print, write again, verify with keys that do not
 * fit
 *
 * What was read and is written again must be the same octets; nothing may be accepted by keys that
 * were never agreed on. Base64 text goes through the SDP reader first.
 */
#include "tests/unit/mikey-world.h"

#include <openssl/x509.h>
#include <openssl/x509_vfy.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool
constant(uint8_t *out, size_t len, void *data)
{
    (void)data;
    memset(out, 0x5a, len);
    return true;
}

static void
must(bool condition)
{
    if (!condition)
        abort();
}

static void
look_at(const char *line, void *data)
{
    *(size_t *)data += strlen(line);
}

/* Time of the message itself, so that it is never too late */
static MikeyEnv
env_of(const MikeyMessage *message)
{
    const MikeyPayload *t = mikey_message_find(message, MIKEY_T, 0);
    MikeyEnv env = {.allow_128 = true, .random = constant, .allow = ~0u};

    if (t != NULL)
        env.now = mikey_timestamp_iv(&t->u.timestamp);
    return env;
}

static void
write_again(const MikeyMessage *message)
{
    MikeyBytes octets = mikey_message_octets(message);
    MikeyWriter w = MIKEY_WRITER_INIT;
    size_t at = 0;

    mikey_header_write(&w, mikey_message_header(message));
    for (size_t i = 0; i < mikey_message_n_payloads(message); i++) {
        const MikeyPayload *p = mikey_message_payload(message, i);

        mikey_payload_write(&w, p->next, p);
    }
    must(w.bad == MIKEY_OK);
    must(mikey_bytes_equal(mikey_writer_octets(&w), octets));
    mikey_writer_clear(&w);
    mikey_print(message, look_at, &at);
    must(at > 0);
}

static void
as_offer(MikeyBytes octets, const MikeyEnv *env)
{
    static const MikeyKey psk = {{1, 2, 3}, 32};
    MikeyAccount account = {.psk = &psk, .prf = MIKEY_PRF_HMAC_SHA_256};
    MikeyBuffer error = MIKEY_BUFFER_INIT;
    MikeyOffer *offer = NULL;
    MikeyResolve *resolve = NULL;
    MikeyResolution *resolution = NULL;

    if (mikey_offer_open(octets, env, &offer) != MIKEY_OK)
        return;
    account.self = mikey_offer_responder(offer);
    account.kms = mikey_identity_uri("sip:kms@operator.example");
    if (mikey_resolve_new(offer, &account, env, &resolve) == MIKEY_OK)
        must(mikey_resolve_finish(resolve, octets, env, &resolution, NULL) != MIKEY_OK);
    must(mikey_offer_open_ticket(offer, &psk, env, &resolution) != MIKEY_OK);
    must(mikey_offer_error(offer, MIKEY_BAD_MAC, NULL, 0, env, &error) == MIKEY_OK);
    mikey_buffer_clear(&error);
    mikey_resolve_free(resolve);
    mikey_offer_free(offer);
}

static void
as_query(MikeyBytes octets, const MikeyEnv *env)
{
    static const MikeyKey psk = {{4, 5, 6}, 32};
    MikeyBuffer error = MIKEY_BUFFER_INIT;
    MikeyPkVerifier verifier = {.ecdsa_type = 3};
    MikeyQuery *query = NULL;

    if (mikey_query_open(octets, env, &query) != MIKEY_OK)
        return;
    verifier.store = X509_STORE_new();
    must(mikey_query_authenticate(query, &psk) != MIKEY_OK);
    must(mikey_query_authenticate_pk(query, &verifier, env, NULL) != MIKEY_OK);
    X509_STORE_free(verifier.store);
    mikey_query_tpk_id(query);
    must(mikey_query_error(query, MIKEY_BAD_MAC, env, &error) == MIKEY_OK);
    mikey_buffer_clear(&error);
    mikey_query_free(query);
}

static void
as_answer(MikeyBytes octets, const MikeyEnv *env)
{
    static const MikeyKey psk = {{7, 8, 9}, 32};
    MikeyAccount account = {.psk = &psk, .prf = MIKEY_PRF_HMAC_SHA_256};
    MikeyPolicy policy = mikey_policy_default();
    MikeyIdentity bob = mikey_identity_uri("sip:bob@operator.example");
    MikeyRequest *request = NULL;
    MikeyGrant *grant = NULL;
    MikeyPeerError error;

    account.self = mikey_identity_uri("sip:alice@operator.example");
    account.kms = mikey_identity_uri("sip:kms@operator.example");
    policy.responders = &bob;
    policy.n_responders = 1;
    if (mikey_request_new(&account, &policy, env, &request) != MIKEY_OK)
        return;
    must(mikey_request_finish(request, octets, env, &grant, &error) != MIKEY_OK);
    mikey_request_free(request);
}

/* Into a bundle that is up, with the CSB ID and PRF of that bundle */
static void
as_update(MikeyBytes octets, const MikeyEnv *env)
{
    static World world;
    static MikeyUpdate *pending;
    MikeyUpdateSetup setup = {.lines = world.alice_lines, .want_answer = true};
    MikeyUpdate *update = NULL;
    uint8_t *copy = malloc(octets.len + 1);
    uint32_t csb_id;
    MikeyEnv then = *env;

    if (copy == NULL)
        return;
    if (world.alice == NULL) {
        world_init(&world);
        world.counter = 1u << 20;
        world.tpk.bytes[0] ^= 0x55;
        world.alice_psk.bytes[0] ^= 0x55;
        must(world_run(&world) == MIKEY_OK);
        must(mikey_update_new(world.alice, &setup, &world.env, &pending) == MIKEY_OK);
    }
    csb_id = mikey_bundle_csb_id(world.bob);
    memcpy(copy, octets.data, octets.len);
    if (octets.len >= 8) {
        copy[3] = (uint8_t)((copy[3] & 0x80u) | MIKEY_PRF_HMAC_SHA_256);
        for (size_t i = 0; i < 4; i++)
            copy[4 + i] = (uint8_t)(csb_id >> (8 * (3 - i)));
    }
    mikey_update_peek(octets, &csb_id);
    must(mikey_update_open(world.bob, mikey_bytes(copy, octets.len), &then, &update) != MIKEY_OK);
    must(mikey_update_finish(pending, world.alice, mikey_bytes(copy, octets.len), &then, NULL) !=
         MIKEY_OK);
    free(copy);
}

static void
try_ticket(const MikeyMessage *message)
{
    static const MikeyKey tpk = {{10, 11, 12}, 32};
    const MikeyTicket *ticket = mikey_message_ticket(message);
    MikeyTicketSecrets *secrets;
    MikeyTicket *copy = NULL;

    if (ticket == NULL)
        return;
    must(mikey_ticket_copy(ticket, &copy) == MIKEY_OK);
    must(mikey_bytes_equal(mikey_ticket_octets(copy), mikey_ticket_octets(ticket)));
    mikey_ticket_free(copy);
    secrets = malloc(sizeof(*secrets));
    if (secrets != NULL)
        must(mikey_ticket_open(ticket, &tpk, secrets) != MIKEY_OK);
    free(secrets);
    mikey_ticket_verify_initiator(ticket, &tpk);
}

static void
try_message(MikeyBytes octets)
{
    MikeyMessage *message = NULL;
    MikeyBytes ids[] = {mikey_bytes_str("mikey")};
    MikeyEnv env;

    if (mikey_message_parse(octets, &message) != MIKEY_OK)
        return;
    env = env_of(message);
    write_again(message);
    try_ticket(message);
    mikey_sdp_ids_check(message, ids, 1);
    as_offer(octets, &env);
    as_query(octets, &env);
    as_answer(octets, &env);
    as_update(octets, &env);
    mikey_message_free(message);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    MikeyBytes octets = mikey_bytes(data, size);
    MikeyBuffer decoded = MIKEY_BUFFER_INIT;
    MikeyKeyData keys[MIKEY_MAX_KEYS];
    size_t n_keys = 0;

    try_message(octets);
    if (mikey_sdp_decode(octets, &decoded) == MIKEY_OK)
        try_message(mikey_bytes(decoded.data, decoded.len));
    mikey_buffer_clear(&decoded);
    if (mikey_key_chain_read(octets, keys, &n_keys) == MIKEY_OK) {
        MikeyWriter w = MIKEY_WRITER_INIT;

        mikey_key_chain_write(&w, keys, n_keys);
        must(mikey_bytes_equal(mikey_writer_octets(&w), octets));
        mikey_writer_clear(&w);
    }
    return 0;
}
