/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/test-mikey-hostile.c - does libmikey survive damaged messages and lack of memory?
 *
 * Every truncation and every single-bit flip of a message of each type goes to whoever would
 * receive it, in a heap block of exactly its size. Then every allocation of a whole call fails in
 * turn. MIKEY_TEST_STRIDE=n takes every nth case, for slow instruments.
 */
#include "tests/unit/mikey-world.h"

#include <glib.h>
#include <stdlib.h>
#include <string.h>

static World world;
static MikeyUpdate *update_out, *update_in;
static MikeyBuffer update_answer;

static guint
stride(void)
{
    const char *text = g_getenv("MIKEY_TEST_STRIDE");
    guint n = text != NULL ? (guint)atoi(text) : 1;

    return n > 0 ? n : 1;
}

/* ---- receivers ---- */

static MikeyStatus
receive_request_init(MikeyBytes octets)
{
    MikeyBuffer answer = MIKEY_BUFFER_INIT;
    MikeyStatus status = world_kms_grant(&world, octets, &answer);

    mikey_buffer_clear(&answer);
    return status;
}

static MikeyStatus
receive_request_resp(MikeyBytes octets)
{
    MikeyGrant *grant = NULL;
    MikeyStatus status = world_grant(&world, octets, &grant);

    mikey_grant_free(grant);
    return status;
}

static MikeyStatus
receive_transfer_init(MikeyBytes octets)
{
    return world_receive_transfer(&world, octets);
}

static MikeyStatus
receive_resolve_init(MikeyBytes octets)
{
    MikeyBuffer answer = MIKEY_BUFFER_INIT;
    MikeyStatus status = world_kms_resolve(&world, octets, &answer);

    mikey_buffer_clear(&answer);
    return status;
}

static MikeyStatus
receive_resolve_resp(MikeyBytes octets)
{
    MikeyResolution *resolution = NULL;
    MikeyStatus status = world_resolved(&world, octets, &resolution);

    mikey_resolution_free(resolution);
    return status;
}

static MikeyStatus
receive_transfer_resp(MikeyBytes octets)
{
    MikeyBundle *bundle = NULL;
    MikeyStatus status = mikey_transfer_finish(world.transfer, octets, &world.env, &bundle, NULL);

    mikey_bundle_free(bundle);
    return status;
}

static void setup(void);
static void tear_down(void);

/* A good one changes the bundle, so the world begins anew after it */
static MikeyStatus
receive_update_init(MikeyBytes octets)
{
    MikeyUpdate *update = NULL;
    MikeyStatus status = mikey_update_open(world.bob, octets, &world.env, &update);

    mikey_update_free(update);
    if (status == MIKEY_OK) {
        tear_down();
        setup();
    }
    return status;
}

static MikeyStatus
answer_update(World *w, MikeyUpdate *out, MikeyUpdate **out_in, MikeyBuffer *out_answer)
{
    MikeyAnswerSetup answering = {.lines = w->bob_lines,
                                  .n_lines = w->n_lines,
                                  .profiles = w->bob_profiles,
                                  .n_profiles = w->n_bob_profiles};
    MikeyStatus status = mikey_update_open(w->bob, mikey_update_octets(out), &w->env, out_in);

    if (status == MIKEY_OK)
        status = mikey_update_answer(*out_in, w->bob, &answering, &w->env, out_answer);
    return status;
}

static MikeyStatus
receive_update_resp(MikeyBytes octets)
{
    MikeyStatus status = mikey_update_finish(update_out, world.alice, octets, &world.env, NULL);

    if (status == MIKEY_OK) {
        tear_down();
        setup();
    }
    return status;
}

/* An Error about the transfer: good only when its MAC is */
static MikeyStatus
receive_error(MikeyBytes octets)
{
    MikeyPeerError error = {0, false};
    MikeyBundle *bundle = NULL;
    MikeyStatus status = mikey_transfer_finish(world.transfer, octets, &world.env, &bundle, &error);

    g_assert_null(bundle);
    if (status != MIKEY_PEER_ERROR)
        return status;
    return error.authentic ? MIKEY_OK : MIKEY_BAD_MAC;
}

typedef struct Case {
    const char *name;
    MikeyStatus (*receive)(MikeyBytes octets);
    WorldMessage message;
} Case;

#define UPDATE_INIT (WORLD_N_MESSAGES + 1)
#define UPDATE_RESP (WORLD_N_MESSAGES + 2)

static const Case cases[] = {
    {"request-init", receive_request_init, WORLD_REQUEST_INIT},
    {"request-resp", receive_request_resp, WORLD_REQUEST_RESP},
    {"transfer-init", receive_transfer_init, WORLD_TRANSFER_INIT},
    {"resolve-init", receive_resolve_init, WORLD_RESOLVE_INIT},
    {"resolve-resp", receive_resolve_resp, WORLD_RESOLVE_RESP},
    {"transfer-resp", receive_transfer_resp, WORLD_TRANSFER_RESP},
    {"error", receive_error, WORLD_N_MESSAGES},
    {"update-init", receive_update_init, (WorldMessage)UPDATE_INIT},
    {"update-resp", receive_update_resp, (WorldMessage)UPDATE_RESP},
};

static MikeyStatus
start_update(World *w, MikeyUpdate **out)
{
    MikeyKeyData key = {.type = MIKEY_KEY_GTGK, .kv = MIKEY_KV_SPI, .spi_len = 4, .spi = {5}};
    MikeyUpdateSetup update = {.lines = w->alice_lines,
                               .n_lines = w->n_lines,
                               .profiles = w->bob_profiles,
                               .n_profiles = 1,
                               .keys = &key,
                               .n_keys = 1,
                               .want_answer = true};

    key.key.len = 32;
    w->env.now += 1000;
    return mikey_update_new(w->alice, &update, &w->env, out);
}

static void
setup(void)
{
    world_init(&world);
    world.policy.flags |= MIKEY_FLAG_M | MIKEY_FLAG_L;
    world.bob_key.type = MIKEY_KEY_TEK_SALT;
    world.bob_key.key.len = 32;
    world.bob_key.salt.len = 12;
    world.bob_key.kv = MIKEY_KV_SPI;
    world.bob_key.spi_len = 4;
    memset(world.bob_key.key.bytes, 7, 32);
    memset(world.bob_key.spi, 9, 4);
    world.alice_key = world.bob_key;
    world.alice_key.spi[0] = 8;
    g_assert_cmpint(world_run(&world), ==, MIKEY_OK);
    g_assert_cmpint(start_update(&world, &update_out), ==, MIKEY_OK);
}

static void
tear_down(void)
{
    mikey_update_free(update_out);
    mikey_update_free(update_in);
    mikey_buffer_clear(&update_answer);
    update_out = NULL;
    update_in = NULL;
    world_clear(&world);
}

/* Octets of the message of a case, in a buffer of their own */
static MikeyBuffer
message_of(const Case *c)
{
    MikeyBuffer copy = MIKEY_BUFFER_INIT;
    MikeyBytes octets;

    if (c->message == WORLD_N_MESSAGES) {
        g_assert_cmpint(mikey_offer_error(world.offer, MIKEY_BAD_PARAMETERS, world.bob_profiles, 2,
                                          &world.env, &copy),
                        ==, MIKEY_OK);
        return copy;
    }
    if ((int)c->message == UPDATE_INIT) {
        octets = mikey_update_octets(update_out);
    } else if ((int)c->message == UPDATE_RESP) {
        g_assert_cmpint(answer_update(&world, update_out, &update_in, &update_answer), ==,
                        MIKEY_OK);
        octets = mikey_bytes(update_answer.data, update_answer.len);
    } else {
        octets = world_octets(&world, c->message);
    }
    copy.data = malloc(octets.len);
    copy.len = octets.len;
    memcpy(copy.data, octets.data, octets.len);
    return copy;
}

/* Hands over a block that ends where the octets end */
static MikeyStatus
receive_exact(const Case *c, const guint8 *octets, size_t len)
{
    guint8 *exact = malloc(len > 0 ? len : 1);
    MikeyStatus status;

    if (len > 0)
        memcpy(exact, octets, len);
    status = c->receive(mikey_bytes(exact, len));
    free(exact);
    return status;
}

static void
every_truncation_is_refused(gconstpointer data)
{
    const Case *c = data;
    MikeyBuffer message;

    setup();
    message = message_of(c);
    g_assert_cmpint(receive_exact(c, message.data, message.len), ==, MIKEY_OK);
    for (size_t len = 0; len < message.len; len += stride())
        g_assert_cmpint(receive_exact(c, message.data, len), !=, MIKEY_OK);
    mikey_buffer_clear(&message);
    tear_down();
}

static void
every_bit_flip_is_refused(gconstpointer data)
{
    const Case *c = data;
    guint n = 0;
    MikeyBuffer message;

    setup();
    message = message_of(c);
    for (size_t bit = 0; bit < 8 * message.len; bit += stride()) {
        guint8 mask = (guint8)(1u << bit % 8);
        MikeyStatus status;

        message.data[bit / 8] ^= mask;
        status = receive_exact(c, message.data, message.len);
        message.data[bit / 8] ^= mask;
        if (status == MIKEY_OK)
            g_error("%s: nobody noticed bit %zu of octet %zu", c->name, bit % 8, bit / 8);
        n++;
    }
    g_test_message("%u flips", n);
    g_assert_cmpint(receive_exact(c, message.data, message.len), ==, MIKEY_OK);
    mikey_buffer_clear(&message);
    tear_down();
}

/* Without a MAC a flip cannot be noticed, but it cannot become the same message either */
static void
flips_outside_macs_give_another_message(void)
{
    MikeyBuffer error = MIKEY_BUFFER_INIT;

    setup();
    g_assert_cmpint(mikey_error_new(world_octets(&world, WORLD_TRANSFER_INIT), MIKEY_BAD_MAC,
                                    &world.env, &error),
                    ==, MIKEY_OK);
    for (size_t bit = 0; bit < 8 * error.len; bit++) {
        g_autofree guint8 *exact = g_memdup2(error.data, error.len);
        MikeyMessage *message = NULL;
        MikeyPeerError told = {0, true};
        MikeyBundle *bundle = NULL;

        exact[bit / 8] ^= (guint8)(1u << bit % 8);
        if (mikey_message_parse(mikey_bytes(exact, error.len), &message) != MIKEY_OK)
            continue;
        g_assert_cmpint(memcmp(mikey_message_octets(message).data, error.data, error.len), !=, 0);
        mikey_message_free(message);
        if (mikey_transfer_finish(world.transfer, mikey_bytes(exact, error.len), &world.env,
                                  &bundle, &told) == MIKEY_PEER_ERROR)
            g_assert_false(told.authentic);
        g_assert_null(bundle);
    }
    mikey_buffer_clear(&error);
    tear_down();
}

/* Octets without sense, of every first octet of the header that gets past the version */
static void
noise_is_refused(void)
{
    setup();
    for (guint i = 0; i < 20000; i += stride()) {
        guint8 noise[96];
        size_t len = i % sizeof(noise);
        MikeyMessage *message = NULL;

        world.env.random(noise, sizeof(noise), world.env.random_data);
        noise[0] = 1;
        noise[1] = (guint8)(i % 19);
        noise[9] = (guint8)(i % 4);
        if (mikey_message_parse(mikey_bytes(noise, len), &message) == MIKEY_OK)
            mikey_message_free(message);
    }
    tear_down();
}

/* ---- memory ---- */

typedef struct Memory {
    guint fail_at; /* 0: never */
    guint n;
    gint live;
} Memory;

static void *
counting_alloc(size_t size, void *data)
{
    Memory *memory = data;

    if (++memory->n == memory->fail_at)
        return NULL;
    memory->live++;
    return malloc(size);
}

static void
counting_release(void *block, void *data)
{
    ((Memory *)data)->live--;
    free(block);
}

/* Mode 4: made by the caller, opened by the called */
static MikeyStatus
own_ticket(World *w)
{
    MikeyPolicy policy = w->policy;
    MikeyTransferSetup call = {.responder = mikey_identity_uri(WORLD_BOB), .csb_id = 3};
    MikeyGrant *grant = NULL;
    MikeyTransfer *transfer = NULL;
    MikeyOffer *offer = NULL;
    MikeyResolution *resolution = NULL;
    MikeyStatus status;

    w->env.allow = MIKEY_ALLOW_MODE_4;
    policy.initiator = mikey_identity_uri(WORLD_ALICE);
    policy.flags = MIKEY_FLAG_L | MIKEY_FLAG_H | MIKEY_FLAG_F | MIKEY_FLAG_N | MIKEY_FLAG_O;
    status = mikey_grant_make(&policy, &w->tpk, mikey_bytes_str("tpk"), &w->env, &grant);
    if (status == MIKEY_OK)
        status = mikey_transfer_new(grant, &call, &w->env, &transfer);
    if (status == MIKEY_OK)
        status = mikey_offer_open(mikey_transfer_octets(transfer), &w->env, &offer);
    if (status == MIKEY_OK)
        status = mikey_offer_open_ticket(offer, &w->tpk, &w->env, &resolution);
    if (status == MIKEY_OK)
        status = mikey_offer_verify(offer, resolution);
    mikey_resolution_free(resolution);
    mikey_offer_free(offer);
    mikey_transfer_free(transfer);
    mikey_grant_free(grant);
    return status;
}

#define TRY(call)                                                                                  \
    if (status == MIKEY_OK)                                                                        \
    status = (call)
/* What is there to be refused is: an Error that the peer believes */
#define TRY_ERROR(call)                                                                            \
    if (status == MIKEY_OK) {                                                                      \
        status = (call);                                                                           \
        status = status == MIKEY_PEER_ERROR ? MIKEY_OK : status;                                   \
    }

/* Errors about a request, an offer and an update, with a MAC and without, made and read */
static MikeyStatus
errors(World *w)
{
    MikeyBuffer error = MIKEY_BUFFER_INIT;
    MikeyQuery *query = NULL;
    MikeyGrant *grant = NULL;
    MikeyBundle *bundle = NULL;
    MikeyUpdate *out = NULL, *in = NULL;
    MikeyStatus status = mikey_query_open(world_octets(w, WORLD_REQUEST_INIT), &w->env, &query);

    TRY(mikey_query_authenticate(query, &w->alice_psk));
    TRY(mikey_query_error(query, MIKEY_BAD_POLICY, &w->env, &error));
    TRY_ERROR(world_grant(w, mikey_bytes(error.data, error.len), &grant));
    mikey_buffer_clear(&error);
    TRY(mikey_error_new(world_octets(w, WORLD_TRANSFER_INIT), MIKEY_BAD_MAC, &w->env, &error));
    TRY_ERROR(mikey_transfer_finish(w->transfer, mikey_bytes(error.data, error.len), &w->env,
                                    &bundle, NULL));
    mikey_buffer_clear(&error);
    TRY(mikey_offer_error(w->offer, MIKEY_BAD_PARAMETERS, w->bob_profiles, 2, &w->env, &error));
    TRY_ERROR(mikey_transfer_finish(w->transfer, mikey_bytes(error.data, error.len), &w->env,
                                    &bundle, NULL));
    mikey_buffer_clear(&error);
    TRY(start_update(w, &out));
    TRY(mikey_update_open(w->bob, mikey_update_octets(out), &w->env, &in));
    TRY(mikey_update_error(in, w->bob, MIKEY_BAD_PARAMETERS, w->bob_profiles, 2, &w->env, &error));
    TRY_ERROR(
        mikey_update_finish(out, w->alice, mikey_bytes(error.data, error.len), &w->env, NULL));
    mikey_update_free(out);
    mikey_update_free(in);
    mikey_buffer_clear(&error);
    mikey_query_free(query);
    return status;
}

/* One KMS asks the other, and hands on its answer */
static MikeyStatus
relayed(World *w)
{
    MikeyAccount account = world_account(w, WORLD_BOB);
    MikeyBuffer answer = MIKEY_BUFFER_INIT, again = MIKEY_BUFFER_INIT;
    MikeyQuery *query = NULL;
    MikeyMessage *forwarded = NULL;
    MikeyResolution *resolution = NULL;
    MikeyPeerError error = {0, false};
    MikeyStatus status = mikey_query_open(world_octets(w, WORLD_RESOLVE_INIT), &w->env, &query);

    TRY(mikey_query_authenticate(query, &w->bob_psk));
    TRY(mikey_query_forward(query, &account, &w->env, &forwarded));
    TRY(world_kms_resolve(w, mikey_message_octets(forwarded), &answer));
    TRY(mikey_query_relay(query, forwarded, &w->bob_psk, mikey_bytes(answer.data, answer.len),
                          &w->env, &again, &error));
    TRY(world_resolved(w, mikey_bytes(again.data, again.len), &resolution));
    mikey_resolution_free(resolution);
    mikey_buffer_clear(&answer);
    mikey_buffer_clear(&again);
    mikey_message_free(forwarded);
    mikey_query_free(query);
    return status;
}

/* The called one has new keys */
static MikeyStatus
update_of_the_called(World *w)
{
    MikeyKeyData key = {.type = MIKEY_KEY_TGK, .kv = MIKEY_KV_SPI, .spi_len = 1, .spi = {7}};
    MikeyUpdateSetup setup = {.lines = w->bob_lines,
                              .n_lines = w->n_lines,
                              .profiles = w->bob_profiles,
                              .n_profiles = 1,
                              .keys = &key,
                              .n_keys = 1,
                              .want_answer = true};
    MikeyAnswerSetup answering = {.lines = w->alice_lines,
                                  .n_lines = w->n_lines,
                                  .profiles = w->bob_profiles,
                                  .n_profiles = w->n_bob_profiles};
    MikeyUpdate *out = NULL, *in = NULL;
    MikeyBundle *copy = NULL;
    MikeyBuffer answer = MIKEY_BUFFER_INIT;
    uint32_t csb_id;
    MikeyStatus status;

    key.key.len = 32;
    w->env.now += 1000;
    status = mikey_bundle_copy(w->bob, &copy);
    TRY(mikey_update_new(copy, &setup, &w->env, &out));
    TRY(mikey_update_peek(mikey_update_octets(out), &csb_id));
    TRY(mikey_update_open(w->alice, mikey_update_octets(out), &w->env, &in));
    TRY(mikey_update_answer(in, w->alice, &answering, &w->env, &answer));
    TRY(mikey_update_finish(out, copy, mikey_bytes(answer.data, answer.len), &w->env, NULL));
    mikey_buffer_clear(&answer);
    mikey_update_free(out);
    mikey_update_free(in);
    mikey_bundle_free(copy);
    return status;
}

static void
no_line(const char *line, void *data)
{
    (void)line;
    (void)data;
}

/* A ticket with what belongs to it, kept and taken up again; what is seen of a message */
static MikeyStatus
kept(World *w)
{
    MikeyKeyData keys[2];
    size_t n = mikey_grant_n_keys(w->grant);
    MikeyGrant *grant = NULL;
    MikeyTicket *ticket = NULL;
    MikeyMessage *message = NULL;
    MikeyStatus status =
        mikey_ticket_parse(mikey_ticket_octets(mikey_grant_ticket(w->grant)), &ticket);

    g_assert_cmpuint(n, <=, G_N_ELEMENTS(keys));
    for (size_t i = 0; i < n; i++)
        keys[i] = *mikey_grant_key(w->grant, i);
    TRY(mikey_grant_new(ticket, mikey_grant_mpki(w->grant), mikey_grant_mpkr(w->grant), keys, n,
                        &grant));
    TRY(mikey_message_parse(world_octets(w, WORLD_TRANSFER_INIT), &message));
    if (message != NULL)
        mikey_print(message, no_line, NULL);
    mikey_message_free(message);
    mikey_ticket_free(ticket);
    mikey_grant_free(grant);
    return status;
}

/* Mode 3: made by the caller, opened by the KMS; mode 2 is mode 4 but for the maker */
static MikeyStatus
own_ticket_of_the_kms(World *w)
{
    MikeyAccount account = world_account(w, WORLD_BOB);
    MikeyPolicy policy = w->policy;
    MikeyTransferSetup call = {.responder = mikey_identity_uri(WORLD_BOB), .csb_id = 4};
    MikeyBuffer answer = MIKEY_BUFFER_INIT;
    MikeyGrant *grant = NULL;
    MikeyTransfer *transfer = NULL;
    MikeyOffer *offer = NULL;
    MikeyResolve *resolve = NULL;
    MikeyResolution *resolution = NULL;
    MikeyStatus status;

    w->env.allow = MIKEY_ALLOW_MODE_3;
    policy.initiator = mikey_identity_uri(WORLD_ALICE);
    policy.flags = (policy.flags & ~MIKEY_FLAG_D) | MIKEY_FLAG_L;
    status = mikey_grant_make(&policy, &w->tpk, mikey_bytes_str("tpk-1"), &w->env, &grant);
    TRY(mikey_transfer_new(grant, &call, &w->env, &transfer));
    TRY(mikey_offer_open(mikey_transfer_octets(transfer), &w->env, &offer));
    TRY(mikey_resolve_new(offer, &account, &w->env, &resolve));
    TRY(world_kms_resolve(w, mikey_resolve_octets(resolve), &answer));
    TRY(mikey_resolve_finish(resolve, mikey_bytes(answer.data, answer.len), &w->env, &resolution,
                             NULL));
    TRY(mikey_offer_verify(offer, resolution));
    mikey_resolution_free(resolution);
    mikey_resolve_free(resolve);
    mikey_buffer_clear(&answer);
    mikey_offer_free(offer);
    mikey_transfer_free(transfer);
    mikey_grant_free(grant);
    return status;
}

static MikeyStatus
run_everything(World *w)
{
    MikeyBuffer text = MIKEY_BUFFER_INIT, octets = MIKEY_BUFFER_INIT;
    const MikeyBytes ids[] = {mikey_bytes_str("mikey")};
    MikeyBuffer answer = MIKEY_BUFFER_INIT;
    MikeyUpdate *out = NULL, *in = NULL;
    MikeySrtp srtp;
    MikeyStatus status = world_run(w);

    if (status == MIKEY_OK)
        status = mikey_bundle_srtp(w->alice, MIKEY_CS_OFFERER(1), &srtp);
    TRY(errors(w)); /* before the keys of that update are in use */
    if (status == MIKEY_OK)
        status = start_update(w, &out);
    if (status == MIKEY_OK)
        status = answer_update(w, out, &in, &answer);
    if (status == MIKEY_OK)
        status =
            mikey_update_finish(out, w->alice, mikey_bytes(answer.data, answer.len), &w->env, NULL);
    mikey_update_free(out);
    mikey_update_free(in);
    mikey_buffer_clear(&answer);
    TRY(relayed(w));
    TRY(update_of_the_called(w));
    TRY(kept(w));
    TRY(own_ticket_of_the_kms(w));
    TRY(own_ticket(w));
    if (status == MIKEY_OK)
        status = mikey_sdp_ids_check(mikey_offer_message(w->offer), ids, 1);
    if (status == MIKEY_OK)
        status = mikey_sdp_encode(world_octets(w, WORLD_TRANSFER_INIT), &text);
    if (status == MIKEY_OK)
        status = mikey_sdp_decode(mikey_bytes(text.data, text.len), &octets);
    mikey_buffer_clear(&octets);
    if (status == MIKEY_OK)
        status =
            mikey_offer_error(w->offer, MIKEY_BAD_PARAMETERS, w->bob_profiles, 2, &w->env, &octets);
    mikey_buffer_clear(&octets);
    mikey_buffer_clear(&text);
    return status;
}

static void
every_failing_allocation_is_survived(void)
{
    Memory memory = {0, 0, 0};
    MikeyAllocator allocator = {counting_alloc, counting_release, &memory};
    MikeyStatus status = MIKEY_NO_MEMORY;
    guint failed = 0;

    mikey_set_allocator(&allocator);
    for (guint at = 1; status != MIKEY_OK; at += at > 1 ? stride() : 1) {
        World w;

        memory.fail_at = at;
        memory.n = 0;
        world_init(&w);
        w.policy.flags |= MIKEY_FLAG_M | MIKEY_FLAG_L;
        w.bob_key.type = MIKEY_KEY_GTGK;
        w.bob_key.key.len = 32;
        w.bob_key.kv = MIKEY_KV_SPI;
        w.bob_key.spi_len = 1;
        status = run_everything(&w);
        if (status != MIKEY_OK)
            g_assert_cmpint(status, ==, MIKEY_NO_MEMORY);
        failed += status != MIKEY_OK;
        world_clear(&w);
        g_assert_cmpint(memory.live, ==, 0);
    }
    g_test_message("%u allocations failed in turn", failed);
    g_assert_cmpuint(failed, >, stride() > 1 ? 0 : 250);
    mikey_set_allocator(NULL);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *cut =
            g_strdup_printf("/mikey/hostile/every-truncation-is-refused/%s", cases[i].name);
        g_autofree char *flip =
            g_strdup_printf("/mikey/hostile/every-bit-flip-is-refused/%s", cases[i].name);

        g_test_add_data_func(cut, &cases[i], every_truncation_is_refused);
        g_test_add_data_func(flip, &cases[i], every_bit_flip_is_refused);
    }
    g_test_add_func("/mikey/hostile/flips-outside-macs-give-another-message",
                    flips_outside_macs_give_another_message);
    g_test_add_func("/mikey/hostile/noise-is-refused", noise_is_refused);
    g_test_add_func("/mikey/hostile/every-failing-allocation-is-survived",
                    every_failing_allocation_is_survived);
    return g_test_run();
}
