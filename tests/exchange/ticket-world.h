/* SPDX-License-Identifier: Apache-2.0 */
/* exchange/ticket-world.h - callers, the scheme and a KMS in one process, for test programs
 *
 * The clock and the randomness are the test's own, so that every run is the same. The KMS here is
 * libmikey's side of one with no rules but the naming rule of conference URIs, and with bad habits
 * that can be switched on; a real one can take its place (World.kms).
 */
#pragma once

#pragma GCC diagnostic ignored "-Wunused-function" /* no program needs them all */

#include <libmikey/mikey.h>
#include <string.h>

#include "base/replay.h"
#include "base/secret.h"
#include "keymgmt/schemes.h"

#define KMS "sip:kms@operator.example"
#define FACTORY "sip:factory.conf1@operator.example"
#define ALIAS "sip:mmtel@conf-factory.operator.example"
#define FOCUS "sip:c7h2kq4x.conf1@operator.example"
#define FOCUS2 "sip:zz9abc5d.conf1@operator.example"
#define ALICE "sip:alice@operator.example"
#define BOB "sip:bob@operator.example"
#define CAROL "sip:carol@operator.example"

#define START_S G_GINT64_CONSTANT(1893456000) /* 2030-01-01 */
#define START_US (START_S * G_USEC_PER_SEC)
#define OUR_SSRC 0x50607080u
#define THEIR_SSRC 0x10203040u

/* ---- the world: time, randomness, the server's configuration, the KMS ---- */

typedef struct World World;
struct World {
    gint64 now_us;
    guint64 random;
    gboolean dry; /* no randomness is to be had */
    ClvReplay *replay;
    ClvKeymgmtConfig config;
    guint8 server_psk[32];

    /* Takes a question, gives an answer. */
    GByteArray *(*kms)(World *world, ClvKmsRequest request, MikeyBytes question);
    void *kms_user;
    guint n_resolved; /* times it was asked to resolve */

    /* habits of the KMS of this file */
    const char *kms_responder; /* (nullable) resolves for this name whatever was asked */
    MikeyStatus kms_refuses;   /* Error for those who want to resolve, once it knows them */
    gboolean kms_forgot_psk;   /* of the server */
};

static gboolean
world_random(void *user, guint8 *out, gsize len)
{
    World *world = user;

    for (gsize i = 0; i < len; i++) {
        world->random = world->random * G_GUINT64_CONSTANT(6364136223846793005) +
                        G_GUINT64_CONSTANT(1442695040888963407);
        out[i] = (guint8)(world->random >> 56);
    }
    return !world->dry;
}

static bool
mikey_random(uint8_t *out, size_t len, void *data)
{
    return world_random(data, out, len);
}

/* Callers and KMS do not mind N = 0 or O = 0, so that such tickets can be made. */
static MikeyEnv
env_of(World *world)
{
    static const uint16_t base_type[] = {MIKEY_TICKET_BASE};

    return (MikeyEnv){
        .now = mikey_ntp_from_unix_us(world->now_us),
        .allow_128 = true,
        .known_types = base_type,
        .n_known_types = 1,
        .random = mikey_random,
        .random_data = world,
    };
}

/* Everybody's key is his name, again and again. */
static MikeyKey
psk_of(const char *name, gsize len)
{
    MikeyKey key = {.len = 32};

    for (gsize i = 0; i < key.len; i++)
        key.bytes[i] = (uint8_t)name[i % len];
    return key;
}

/* ---- a KMS ---- */

/* Those whom the ticket names, and conferences of a factory that it names. */
static gboolean
may_resolve(const MikeyPolicy *policy, const MikeyIdentity *who)
{
    MikeyIdentity factory = mikey_identity_uri(FACTORY);
    MikeyIdentity alias = mikey_identity_uri(ALIAS);
    g_autofree char *name = g_strndup((const char *)who->data.data, who->data.len);

    return mikey_policy_names_responder(policy, who) ||
           (g_str_has_suffix(name, ".conf1@operator.example") &&
            (mikey_policy_names_responder(policy, &factory) ||
             mikey_policy_names_responder(policy, &alias)));
}

static MikeyStatus
kms_decide(World *world, MikeyQuery *query, MikeyBuffer *answer)
{
    static const MikeyKey tpk = {.bytes = "0123456789abcdef0123456789abcde", .len = 32};
    MikeyEnv env = env_of(world);
    MikeyIdentity id = mikey_query_psk_id(query);
    MikeyIdentity who = mikey_query_identity(query);
    MikeyGrantSetup grant = {.tpk = &tpk};
    MikeyKey psk = psk_of((const char *)id.data.data, id.data.len);
    gboolean resolve = mikey_query_is_resolve(query);
    MikeyStatus status;

    if (world->kms_forgot_psk && resolve)
        psk.bytes[0] ^= 1;
    status = mikey_query_authenticate(query, &psk);
    if (status != MIKEY_OK)
        return status;
    if (!resolve)
        return mikey_query_grant(query, &grant, &env, answer);
    if (world->kms_refuses != MIKEY_OK)
        return world->kms_refuses;

    status = mikey_query_open_ticket(query, &tpk, &env);
    if (status != MIKEY_OK)
        return status;
    if (!may_resolve(mikey_query_policy(query), &who))
        return MIKEY_BAD_IDENTITY;
    if (world->kms_responder != NULL)
        who = mikey_identity_uri(world->kms_responder);
    return mikey_query_resolve(query, &who, &env, answer);
}

static GByteArray *
plain_kms(World *world, ClvKmsRequest request, MikeyBytes question)
{
    MikeyEnv env = env_of(world);
    MikeyBuffer answer = MIKEY_BUFFER_INIT;
    MikeyQuery *query = NULL;
    GByteArray *octets;
    MikeyStatus status = mikey_query_open(question, &env, &query);

    g_assert_cmpint(status, ==, MIKEY_OK);
    g_assert_cmpint(mikey_query_is_resolve(query), ==, request == CLV_KMS_TICKET_RESOLVE);
    status = kms_decide(world, query, &answer);
    if (status != MIKEY_OK)
        status = mikey_query_error(query, status, &env, &answer);
    g_assert_cmpint(status, ==, MIKEY_OK);
    octets = g_byte_array_append(g_byte_array_new(), answer.data, (guint)answer.len);
    mikey_buffer_clear(&answer);
    mikey_query_free(query);
    return octets;
}

static GByteArray *
ask_kms(World *world, ClvKmsRequest request, MikeyBytes question)
{
    world->n_resolved += request == CLV_KMS_TICKET_RESOLVE ? 1 : 0;
    return world->kms(world, request, question);
}

static World *
world_new(void)
{
    World *world = g_new0(World, 1);
    MikeyKey psk = psk_of("conf1", 5);

    world->now_us = START_US;
    world->random = 1;
    world->replay = clv_replay_new(1000);
    world->kms = plain_kms;
    memcpy(world->server_psk, psk.bytes, psk.len);
    world->config = (ClvKeymgmtConfig){
        .kms_uri = KMS,
        .psk_id = (const guint8 *)"conf1",
        .psk_id_len = 5,
        .psk = world->server_psk,
        .psk_len = psk.len,
        .skew_s = 300,
        .max_ticket_lifetime_s = 86400,
        .max_responders = 20,
        .replay = world->replay,
        .random = world_random,
        .random_user = world,
    };
    return world;
}

static void
world_free(World *world)
{
    clv_replay_free(world->replay);
    g_free(world);
}

static void
let_pass(World *world, gint64 seconds)
{
    world->now_us += seconds * G_USEC_PER_SEC;
}

/* ---- a caller ---- */

#define MAX_RESPONDERS 8

/* What somebody wants, what he gets, and what he sends. */
typedef struct Caller {
    World *world;
    const char *name; /* to the KMS */
    const char *uri;
    MikeyPolicy policy;
    MikeyIdentity responders[MAX_RESPONDERS];
    MikeyIdentity application;
    MikeyKeyWish wish;
    MikeyTransferSetup setup;
    MikeyLine lines[3];
    MikeySrtpProfile profiles[6];

    MikeyGrant *grant;
    MikeyTransfer *transfer;
} Caller;

static void
add_responder(Caller *caller, const char *uri)
{
    g_assert_cmpuint(caller->policy.n_responders, <, MAX_RESPONDERS);
    caller->responders[caller->policy.n_responders++] = mikey_identity_uri(uri);
}

/* Somebody who wants a ticket for @called alone, and to call it on one m-line. */
static Caller *
caller_new(World *world, const char *name, const char *uri, const char *called)
{
    Caller *caller = g_new0(Caller, 1);
    guint32 csb_id;

    caller->world = world;
    caller->name = name;
    caller->uri = uri;
    caller->policy = mikey_policy_default();
    caller->policy.kms = mikey_identity_uri(KMS);
    caller->policy.initiator = mikey_identity_uri(uri);
    caller->policy.has_end = true;
    caller->policy.end_unix = world->now_us / G_USEC_PER_SEC + 3600;
    caller->policy.responders = caller->responders;
    add_responder(caller, called);

    world_random(world, (guint8 *)&csb_id, sizeof(csb_id));
    caller->lines[0] = (MikeyLine){.keyed = true, .ssrc = THEIR_SSRC};
    caller->profiles[0] = MIKEY_SRTP_AES_CM_128_HMAC_SHA1_80;
    caller->profiles[1] = MIKEY_SRTP_AEAD_AES_256_GCM;
    caller->setup = (MikeyTransferSetup){
        .responder = mikey_identity_uri(called),
        .csb_id = csb_id,
        .lines = caller->lines,
        .n_lines = 1,
        .profiles = caller->profiles,
        .n_profiles = 2,
        .sdp_ids = mikey_bytes_str("mikey"),
    };
    return caller;
}

static void
caller_free(Caller *caller)
{
    mikey_transfer_free(caller->transfer);
    mikey_grant_free(caller->grant);
    g_free(caller);
}

/* One key of that type in place of the usual TGK. */
static void
wish_for(Caller *caller, MikeyKeyType type, guint16 key_len, guint16 salt_len)
{
    caller->wish = (MikeyKeyWish){.type = type, .key_len = key_len, .salt_len = salt_len};
    caller->policy.has_wishes = true;
    caller->policy.wishes = &caller->wish;
    caller->policy.n_wishes = 1;
}

static void
good_for(Caller *caller, const char *purpose)
{
    caller->application = mikey_identity_bytes(mikey_bytes_str(purpose));
    caller->policy.applications = &caller->application;
    caller->policy.n_applications = 1;
}

static MikeyStatus
try_ticket(Caller *caller)
{
    MikeyEnv env = env_of(caller->world);
    MikeyKey psk = psk_of(caller->name, strlen(caller->name));
    MikeyAccount account = {
        .psk = &psk,
        .psk_id = mikey_identity_bytes(mikey_bytes_str(caller->name)),
        .self = mikey_identity_uri(caller->uri),
        .kms = mikey_identity_uri(KMS),
        .prf = MIKEY_PRF_HMAC_SHA_256,
    };
    g_autoptr(GByteArray) answer = NULL;
    MikeyRequest *request = NULL;
    MikeyPeerError peer;
    MikeyStatus status = mikey_request_new(&account, &caller->policy, &env, &request);

    g_assert_cmpint(status, ==, MIKEY_OK);
    answer = ask_kms(caller->world, CLV_KMS_TICKET_REQUEST, mikey_request_octets(request));
    status = mikey_request_finish(request, mikey_bytes(answer->data, answer->len), &env,
                                  &caller->grant, &peer);
    mikey_request_free(request);
    return status;
}

/* A ticket that no KMS has made, whatever its D flag says. */
static void
seal_own_ticket(Caller *caller)
{
    MikeyEnv env = env_of(caller->world);
    MikeyKey tpk = psk_of("tpk", 3);
    MikeyTicketSecrets *secrets = g_new0(MikeyTicketSecrets, 1);
    MikeyTicket *ticket = NULL;

    secrets->mpk = psk_of("mpk", 3);
    secrets->n_keys = 1;
    secrets->keys[0].type = MIKEY_KEY_TGK;
    secrets->keys[0].key = psk_of("tgk", 3);
    secrets->keys[0].kv = MIKEY_KV_SPI;
    secrets->keys[0].spi_len = 4;
    g_assert_cmpint(
        mikey_ticket_seal(&caller->policy, secrets, &tpk, mikey_bytes_str("own"), &env, &ticket),
        ==, MIKEY_OK);
    g_assert_cmpint(
        mikey_grant_new(ticket, &secrets->mpki, &secrets->mpkr, secrets->keys, 1, &caller->grant),
        ==, MIKEY_OK);
    mikey_ticket_free(ticket);
    g_free(secrets);
}

/* A new TRANSFER_INIT; the ticket is got at the first time. */
static void
make_transfer(Caller *caller)
{
    MikeyEnv env = env_of(caller->world);

    if (caller->grant == NULL && (caller->policy.flags & MIKEY_FLAG_D) == 0)
        seal_own_ticket(caller);
    if (caller->grant == NULL)
        g_assert_cmpint(try_ticket(caller), ==, MIKEY_OK);
    mikey_transfer_free(caller->transfer);
    caller->transfer = NULL;
    g_assert_cmpint(mikey_transfer_new(caller->grant, &caller->setup, &env, &caller->transfer), ==,
                    MIKEY_OK);
}

static MikeyBytes
transfer_of(const Caller *caller)
{
    return mikey_transfer_octets(caller->transfer);
}

/* ---- SDP ---- */

static ClvSdp *
sdp_new(guint n_media)
{
    ClvSdp *sdp = g_new0(ClvSdp, 1);

    sdp->n_media = n_media;
    for (guint i = 0; i < n_media; i++) {
        g_strlcpy(sdp->media[i].type, "audio", sizeof(sdp->media[i].type));
        g_strlcpy(sdp->media[i].proto, "RTP/SAVP", sizeof(sdp->media[i].proto));
        sdp->media[i].port = (guint16)(4000 + 2 * i);
    }
    return sdp;
}

static void
sdp_free(ClvSdp *sdp)
{
    for (guint i = 0; i < sdp->n_keymgmt; i++)
        g_free(sdp->keymgmt[i]);
    for (guint k = 0; k < sdp->n_media; k++) {
        for (guint i = 0; i < sdp->media[k].n_keymgmt; i++)
            g_free(sdp->media[k].keymgmt[i]);
    }
    g_free(sdp);
}

static char *
line_of(MikeyBytes message)
{
    MikeyBuffer value = MIKEY_BUFFER_INIT;
    char *line;

    g_assert_cmpint(mikey_sdp_encode(message, &value), ==, MIKEY_OK);
    line = g_strndup((const char *)value.data, value.len);
    mikey_buffer_clear(&value);
    return line;
}

/* (transfer full) @line */
static void
add_session_line(ClvSdp *sdp, char *line)
{
    sdp->keymgmt[sdp->n_keymgmt++] = line;
}

/* (transfer full) @line */
static void
add_media_line(ClvSdp *sdp, guint index, char *line)
{
    sdp->media[index].keymgmt[sdp->media[index].n_keymgmt++] = line;
}

/* The usual offer: one m-line, the message at session level. */
static ClvSdp *
sdp_with(MikeyBytes message)
{
    ClvSdp *sdp = sdp_new(1);

    add_session_line(sdp, line_of(message));
    return sdp;
}

/* ---- the server ---- */

typedef struct Server {
    World *world;
    ClvKeymgmtSetup setup;
    ClvKeymgmtState *state;
    ClvKeymgmtOutput out;
    GError *error;
} Server;

static const ClvSrtpSuite default_suites[] = {
    CLV_SRTP_AEAD_AES_256_GCM,
    CLV_SRTP_AEAD_AES_128_GCM,
    CLV_SRTP_AES_256_CM_HMAC_SHA1_80,
    CLV_SRTP_AES_CM_128_HMAC_SHA1_80,
    CLV_SRTP_NONE,
};

static const char *const factories[] = {FACTORY, ALIAS, NULL};

static Server *
server_new(World *world, ClvPurpose purpose, const ClvSdp *sdp)
{
    Server *server = g_new0(Server, 1);

    server->world = world;
    server->setup = (ClvKeymgmtSetup){
        .config = &world->config,
        .purpose = purpose,
        .offer = sdp,
        .media_index = sdp->n_media == 0 ? G_MAXUINT : 0,
        .focus_uri = FOCUS,
        .factory_uris = factories,
        .request_uri = purpose == CLV_PURPOSE_CREATE ? FACTORY : FOCUS,
        .suites = default_suites,
        .local_ssrc = OUR_SSRC,
        .now_us = world->now_us,
    };
    return server;
}

static void
server_free(Server *server)
{
    clv_mikey_ticket_ops.close(server->state);
    clv_keymgmt_output_clear(&server->out);
    g_clear_error(&server->error);
    g_free(server);
}

static ClvKeymgmtNext
step(Server *server, const guint8 *answer, gsize len)
{
    ClvKeymgmtInput in = {.now_us = server->world->now_us, .bytes = answer, .len = len};

    return clv_mikey_ticket_ops.step(server->state, &in, &server->out, &server->error);
}

/* Opens and takes the first step; what is to be asked is in server->out then. */
static ClvKeymgmtNext
open_and_ask(Server *server)
{
    ClvKeymgmtConfig config = *server->setup.config; /* as a caller's own, gone after open() */

    server->setup.config = &config;
    server->state = clv_mikey_ticket_ops.open(&server->setup, &server->error);
    server->setup.config = NULL;
    memset(&config, 0x7f, sizeof(config));
    g_assert_no_error(server->error);
    return step(server, NULL, 0);
}

static GByteArray *
kms_answer_to(Server *server)
{
    g_assert_cmpint(server->out.kms_request, ==, CLV_KMS_TICKET_RESOLVE);
    return ask_kms(server->world, CLV_KMS_TICKET_RESOLVE,
                   mikey_bytes(server->out.bytes->data, server->out.bytes->len));
}

/* All steps. */
static ClvKeymgmtNext
run(Server *server)
{
    g_autoptr(GByteArray) answer = NULL;
    ClvKeymgmtNext next = open_and_ask(server);

    if (next != CLV_KEYMGMT_WANT_KMS)
        return next;
    answer = kms_answer_to(server);
    return step(server, answer->data, answer->len);
}

/* ---- what must hold ---- */

static void
assert_same_keys(const ClvSrtpKeys *ours, const MikeyBundle *bundle, guint8 cs_id, guint32 ssrc)
{
    MikeySrtp theirs;

    g_assert_cmpint(mikey_bundle_srtp(bundle, cs_id, &theirs), ==, MIKEY_OK);
    g_assert_cmpint((int)ours->suite, ==, (int)theirs.profile); /* both name the same six */
    g_assert_cmpuint(ours->key_len, >, 0);
    g_assert_cmpmem(ours->key, ours->key_len, theirs.master_key.bytes, theirs.master_key.len);
    g_assert_cmpmem(ours->salt, ours->salt_len, theirs.master_salt.bytes, theirs.master_salt.len);
    g_assert_cmpmem(ours->mki, ours->mki_len, theirs.mki, theirs.mki_len);
    g_assert_true(ours->has_ssrc);
    g_assert_cmpuint(ours->ssrc, ==, ssrc);
    g_assert_cmpuint(theirs.ssrc, ==, ssrc);
    mikey_srtp_clear(&theirs);
}

/* The caller takes the answer, which must come from the conference; what he has then. */
static MikeyBundle *
take_answer(Caller *caller, const Server *server)
{
    MikeyEnv env = env_of(caller->world);
    MikeyBuffer octets = MIKEY_BUFFER_INIT;
    MikeyIdentity wanted = mikey_identity_uri(server->setup.focus_uri);
    MikeyIdentity peer;
    MikeyBundle *bundle = NULL;
    MikeyPeerError error;
    MikeyStatus status;

    g_assert_cmpint(mikey_sdp_decode(mikey_bytes_str(server->out.answer_line), &octets), ==,
                    MIKEY_OK);
    status = mikey_transfer_finish(caller->transfer, mikey_bytes(octets.data, octets.len), &env,
                                   &bundle, &error);
    g_assert_cmpint(status, ==, MIKEY_OK);
    peer = mikey_bundle_peer(bundle);
    g_assert_true(mikey_identity_equal(&peer, &wanted));
    mikey_buffer_clear(&octets);
    return bundle;
}

/* The call works: both ends have the keys of m-line @line (by the caller's count). */
static void
assert_works(Caller *caller, Server *server, guint line)
{
    ClvKeymgmtNext next = run(server);
    MikeyBundle *bundle;

    g_assert_no_error(server->error);
    g_assert_cmpint(next, ==, CLV_KEYMGMT_DONE);
    g_assert_true(server->out.has_media);
    g_assert_false(server->out.answer_is_crypto);
    g_assert_cmpint(server->out.proof, ==, CLV_PROOF_TICKET);
    g_assert_cmpstr(server->out.identity, ==, caller->uri);
    g_assert_cmpint(server->out.expires_us, ==, caller->policy.end_unix * G_USEC_PER_SEC);
    g_assert_cmpuint(strlen(server->out.ticket_hash), ==, 64);

    bundle = take_answer(caller, server);
    assert_same_keys(&server->out.rx, bundle, MIKEY_CS_OFFERER(line), caller->lines[line - 1].ssrc);
    assert_same_keys(&server->out.tx, bundle, MIKEY_CS_ANSWERER(line), OUR_SSRC);
    g_assert_cmpint(memcmp(server->out.rx.key, server->out.tx.key, 16), !=, 0);
    mikey_bundle_free(bundle);
}

/* A whole call that works, with the usual offer. */
static void
assert_call_works(Caller *caller, ClvPurpose purpose)
{
    ClvSdp *sdp = sdp_with(transfer_of(caller));
    Server *server = server_new(caller->world, purpose, sdp);

    assert_works(caller, server, 1);
    server_free(server);
    sdp_free(sdp);
}

/* Error number in an error line, -1 when there is none; its form is checked on the way. */
static gint
error_number(const Server *server, gboolean *out_has_mac)
{
    MikeyBuffer octets = MIKEY_BUFFER_INIT;
    MikeyMessage *message = NULL;
    gint number;

    *out_has_mac = FALSE;
    if (server->out.error_line == NULL)
        return -1;
    g_assert_cmpint(mikey_sdp_decode(mikey_bytes_str(server->out.error_line), &octets), ==,
                    MIKEY_OK);
    g_assert_cmpint(mikey_message_parse(mikey_bytes(octets.data, octets.len), &message), ==,
                    MIKEY_OK);
    g_assert_cmpint(mikey_message_header(message)->type, ==, MIKEY_ERROR);
    number = mikey_message_find(message, MIKEY_ERR, 0)->u.err.number;
    *out_has_mac = mikey_message_find(message, MIKEY_V, 0) != NULL;
    mikey_message_free(message);
    mikey_buffer_clear(&octets);
    return number;
}

/* What a refusal must look like; @number -1: no Error message. */
typedef struct Refusal {
    ClvCode code;
    gint number;
    const char *pattern;
} Refusal;

/* @next was FAILED like this, and it stays over. Frees the server. */
static G_GNUC_UNUSED gboolean last_was_forged; /* what was refused last */

static void
assert_refused(Server *server, ClvKeymgmtNext next, ClvCode code, gint number, const char *pattern)
{
    gboolean has_mac;

    g_assert_cmpint(next, ==, CLV_KEYMGMT_FAILED);
    g_assert_nonnull(server->error);
    if (!g_pattern_match_simple(pattern, server->error->message))
        g_error("\"%s\" is not like \"%s\"", server->error->message, pattern);
    g_assert_error(server->error, CLV_KEYMGMT_ERROR, (gint)code);
    g_assert_cmpint(error_number(server, &has_mac), ==, number);
    g_assert_null(server->out.answer_line);
    g_assert_null(server->out.bytes);
    g_assert_null(server->out.identity);
    g_assert_cmpint(server->out.proof, ==, CLV_PROOF_NONE);
    g_assert_cmpuint(server->out.rx.key_len, ==, 0);
    g_assert_cmpuint(server->out.tx.key_len, ==, 0);
    last_was_forged = server->out.forged;

    g_clear_error(&server->error);
    g_assert_cmpint(step(server, NULL, 0), ==, CLV_KEYMGMT_FAILED);
    g_assert_nonnull(server->error);
    server_free(server);
}

/* Refused before the KMS is asked. Frees the SDP. */
static void
assert_refused_early(World *world, ClvPurpose purpose, ClvSdp *sdp, ClvCode code, gint number,
                     const char *pattern)
{
    Server *server = server_new(world, purpose, sdp);
    guint before = world->n_resolved;
    guint remembered = clv_replay_size(world->replay);

    assert_refused(server, open_and_ask(server), code, number, pattern);
    g_assert_cmpuint(world->n_resolved, ==, before);
    g_assert_cmpuint(clv_replay_size(world->replay), ==, remembered);
    sdp_free(sdp);
}

/* Refused after the KMS was asked. Frees the SDP. */
static void
assert_refused_late(World *world, ClvPurpose purpose, ClvSdp *sdp, ClvCode code, gint number,
                    const char *pattern)
{
    Server *server = server_new(world, purpose, sdp);
    guint before = world->n_resolved;
    ClvKeymgmtNext next = run(server);

    g_assert_cmpuint(world->n_resolved, ==, before + 1);
    assert_refused(server, next, code, number, pattern);
    sdp_free(sdp);
}
