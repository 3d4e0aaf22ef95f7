/* SPDX-License-Identifier: Apache-2.0 */
/* tests/bench/bench-mikey.c - MIKEY messages per second on one core: built, parsed, verified
 *
 * Built is what the sender does, keys and MAC included. Verified is all that the receiver does with
 * the message: reading, MAC, keys out of it. A resolve is what the KMS does from octets to octets.
 */
#include "tests/unit/mikey-world.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define TURNS 5
#define TURN_NS 100000000u

static World world;

static void
must(MikeyStatus status)
{
    if (status == MIKEY_OK)
        return;
    fprintf(stderr, "bench-mikey: %s\n", mikey_status_string(status));
    exit(1);
}

static uint64_t
now_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* ---- building ---- */

static void
build_request(void)
{
    mikey_request_free(world.request);
    world.request = NULL;
    must(world_request(&world));
}

static void
build_transfer(void)
{
    mikey_transfer_free(world.transfer);
    world.transfer = NULL;
    must(world_transfer(&world));
}

static void
build_resolve(void)
{
    mikey_resolve_free(world.resolve);
    world.resolve = NULL;
    must(world_resolve(&world));
}

static void
build_answer(void)
{
    MikeyBuffer answer = MIKEY_BUFFER_INIT;
    MikeyBundle *bundle = NULL;

    must(world_answer(&world, world.offer, &answer, &bundle));
    mikey_buffer_clear(&answer);
    mikey_bundle_free(bundle);
}

/* ---- the KMS: question in, answer out ---- */

static void
kms_grant(void)
{
    MikeyBuffer answer = MIKEY_BUFFER_INIT;

    must(world_kms_grant(&world, world_octets(&world, WORLD_REQUEST_INIT), &answer));
    mikey_buffer_clear(&answer);
}

static void
kms_resolve(void)
{
    MikeyBuffer answer = MIKEY_BUFFER_INIT;

    must(world_kms_resolve(&world, world_octets(&world, WORLD_RESOLVE_INIT), &answer));
    mikey_buffer_clear(&answer);
}

/* ---- parsing ---- */

static void
parse(WorldMessage which)
{
    MikeyMessage *message = NULL;

    must(mikey_message_parse(world_octets(&world, which), &message));
    mikey_message_free(message);
}

static void
parse_request(void)
{
    parse(WORLD_REQUEST_INIT);
}

static void
parse_transfer(void)
{
    parse(WORLD_TRANSFER_INIT);
}

static void
parse_answer(void)
{
    parse(WORLD_TRANSFER_RESP);
}

/* ---- verifying ---- */

static void
verify_grant(void)
{
    MikeyGrant *grant = NULL;

    must(world_grant(&world, world_octets(&world, WORLD_REQUEST_RESP), &grant));
    mikey_grant_free(grant);
}

static void
verify_transfer(void)
{
    MikeyOffer *offer = NULL;

    must(world_open(&world, world_octets(&world, WORLD_TRANSFER_INIT), &offer));
    must(mikey_offer_verify(offer, world.resolution));
    mikey_offer_free(offer);
}

static void
verify_resolution(void)
{
    MikeyResolution *resolution = NULL;

    must(world_resolved(&world, world_octets(&world, WORLD_RESOLVE_RESP), &resolution));
    mikey_resolution_free(resolution);
}

static void
verify_answer(void)
{
    MikeyBundle *bundle = NULL;

    must(mikey_transfer_finish(world.transfer, world_octets(&world, WORLD_TRANSFER_RESP),
                               &world.env, &bundle, NULL));
    mikey_bundle_free(bundle);
}

/* A new key for the bundle, there and back */
static void
whole_update(void)
{
    MikeyUpdateSetup setup = {.lines = world.alice_lines,
                              .n_lines = world.n_lines,
                              .profiles = world.bob_profiles,
                              .n_profiles = 1,
                              .want_answer = true};
    MikeyAnswerSetup answering = {.lines = world.bob_lines,
                                  .n_lines = world.n_lines,
                                  .profiles = world.bob_profiles,
                                  .n_profiles = 1};
    MikeyUpdate *out = NULL, *in = NULL;
    MikeyBuffer answer = MIKEY_BUFFER_INIT;

    must(mikey_update_new(world.alice, &setup, &world.env, &out));
    must(mikey_update_open(world.bob, mikey_update_octets(out), &world.env, &in));
    must(mikey_update_answer(in, world.bob, &answering, &world.env, &answer));
    must(mikey_update_finish(out, world.alice, mikey_bytes(answer.data, answer.len), &world.env,
                             NULL));
    mikey_update_free(out);
    mikey_update_free(in);
    mikey_buffer_clear(&answer);
}

/* Verifying comes first: building makes other messages than those that were answered */
static const struct {
    const char *what;
    const char *message;
    void (*run)(void);
} rows[] = {
    {"parsed", "REQUEST_INIT_PSK", parse_request},  {"parsed", "TRANSFER_INIT", parse_transfer},
    {"parsed", "TRANSFER_RESP", parse_answer},      {"verified", "REQUEST_RESP", verify_grant},
    {"verified", "TRANSFER_INIT", verify_transfer}, {"verified", "RESOLVE_RESP", verify_resolution},
    {"verified", "TRANSFER_RESP", verify_answer},   {"granted", "REQUEST_INIT_PSK", kms_grant},
    {"resolved", "RESOLVE_INIT_PSK", kms_resolve},  {"updated", "bundle", whole_update},
    {"built", "REQUEST_INIT_PSK", build_request},   {"built", "RESOLVE_INIT_PSK", build_resolve},
    {"built", "TRANSFER_RESP", build_answer},       {"built", "TRANSFER_INIT", build_transfer},
};

static int
by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

/* Median of some turns, in operations per second */
static double
rate_of(void (*run)(void))
{
    double rates[TURNS];

    for (unsigned turn = 0; turn < TURNS; turn++) {
        uint64_t start = now_ns(), spent = 0, n = 0;

        while (spent < TURN_NS) {
            for (unsigned i = 0; i < 50; i++)
                run();
            n += 50;
            spent = now_ns() - start;
        }
        rates[turn] = (double)n * 1e9 / (double)spent;
    }
    qsort(rates, TURNS, sizeof(rates[0]), by_size);
    return rates[TURNS / 2];
}

int
main(int argc, char **argv)
{
    bool json = argc > 1 && strcmp(argv[1], "--json") == 0;
    const size_t n = sizeof(rows) / sizeof(rows[0]);

    world_init(&world);
    must(world_run(&world));
    if (json)
        printf("{\"mikey\":[");
    else
        printf("MIKEY messages per second, one core\n");
    for (size_t i = 0; i < n; i++) {
        double rate = rate_of(rows[i].run);

        if (json)
            printf("%s{\"what\":\"%s\",\"message\":\"%s\",\"per_s\":%.0f}", i > 0 ? "," : "",
                   rows[i].what, rows[i].message, rate);
        else
            printf("  %-9s %-17s %9.0f\n", rows[i].what, rows[i].message, rate);
    }
    if (json)
        printf("]}\n");
    world_clear(&world);
    return 0;
}
