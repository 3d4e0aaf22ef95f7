/* SPDX-License-Identifier: Apache-2.0 */
/* When the conference calls, whom does it believe, and which keys has each who answers?
 *
 *   conference (scheme, offering)   KMS (ticket service)         carol (scheme or libmikey)
 *     |--- REQUEST_INIT --------------->|                            |
 *     |<-- REQUEST_RESP with ticket ----|                            |
 *     |--- TRANSFER_INIT in SDP ------------------------------------>|
 *     |                                 |<-- RESOLVE_INIT -----------|
 *     |                                 |--- RESOLVE_RESP ---------->|
 *     |<-- TRANSFER_RESP in SDP -------------------------------------|
 */
#include "config.h"

#include "ticket-town.h"

/* ---- the conference calls ---- */

typedef struct Dialler {
    World *world;
    ClvKeymgmtCall call;
    ClvKeymgmtState *state;
    ClvKeymgmtOutput out;
    GError *error;
    char *line; /* of the offer */
} Dialler;

static Dialler *
dialler_new(World *world, const char *target)
{
    Dialler *d = g_new0(Dialler, 1);

    d->world = world;
    d->call = (ClvKeymgmtCall){
        .config = &world->config,
        .focus_uri = FOCUS,
        .target = target,
        .ticket_lifetime_s = 120,
        .purpose = CLV_PURPOSE_JOIN,
        .media_index = 0,
        .suites = default_suites,
        .local_ssrc = OUR_SSRC,
        .now_us = world->now_us,
    };
    return d;
}

static void
dialler_free(Dialler *d)
{
    if (d == NULL)
        return;
    clv_mikey_ticket_ops.close(d->state);
    clv_keymgmt_output_clear(&d->out);
    g_clear_error(&d->error);
    g_free(d->line);
    g_free(d);
}

static ClvKeymgmtNext
dial_step(Dialler *d, const guint8 *bytes, gsize len, const ClvSdp *answer)
{
    ClvKeymgmtInput in = {.now_us = d->world->now_us, .bytes = bytes, .len = len, .answer = answer};

    g_clear_error(&d->error);
    return clv_mikey_ticket_ops.step(d->state, &in, &d->out, &d->error);
}

static ClvKeymgmtNext
dial_first(Dialler *d)
{
    ClvKeymgmtConfig config = *d->call.config; /* gone after call() */

    d->call.config = &config;
    d->state = clv_mikey_ticket_ops.call(&d->call, &d->error);
    d->call.config = NULL;
    memset(&config, 0x7f, sizeof(config));
    g_assert_no_error(d->error);
    return dial_step(d, NULL, 0, NULL);
}

/* Up to the answer of the KMS. */
static ClvKeymgmtNext
dial(Dialler *d)
{
    g_autoptr(GByteArray) answer = NULL;
    ClvKeymgmtNext next = dial_first(d);

    g_assert_no_error(d->error);
    g_assert_cmpint(next, ==, CLV_KEYMGMT_WANT_KMS);
    g_assert_cmpint(d->out.kms_request, ==, CLV_KMS_TICKET_REQUEST);
    answer = ask_kms(d->world, CLV_KMS_TICKET_REQUEST,
                     mikey_bytes(d->out.bytes->data, d->out.bytes->len));
    return dial_step(d, answer->data, answer->len, NULL);
}

/* The offer is made. */
static void
dial_out(Dialler *d)
{
    ClvKeymgmtNext next = dial(d);

    g_assert_no_error(d->error);
    g_assert_cmpint(next, ==, CLV_KEYMGMT_WANT_PEER);
    g_assert_true(d->out.answer_at_session);
    g_assert_false(d->out.answer_is_crypto);
    g_assert_false(d->out.has_media);
    g_assert_null(d->out.identity);
    d->line = g_strdup(d->out.answer_line);
}

static Dialler *
calls(World *world, const char *target)
{
    Dialler *d = dialler_new(world, target);

    dial_out(d);
    return d;
}

/* No step of the whole call had a better end. Frees the dialler. */
static void
assert_no_call(Dialler *d, ClvKeymgmtNext next, ClvCode code, const char *pattern)
{
    g_assert_cmpint(next, ==, CLV_KEYMGMT_FAILED);
    g_assert_error(d->error, CLV_KEYMGMT_ERROR, (gint)code);
    if (!g_pattern_match_simple(pattern, d->error->message))
        g_error("\"%s\" is not like \"%s\"", d->error->message, pattern);
    g_assert_null(d->out.answer_line);
    g_assert_null(d->out.error_line);
    g_assert_cmpint(dial_step(d, NULL, 0, NULL), ==, CLV_KEYMGMT_FAILED);
    dialler_free(d);
}

/* ---- who is called ---- */

/* A user agent with libmikey alone, which can answer for anybody the KMS lets it answer for. */
typedef struct Phone {
    World *world;
    const char *name; /* to the KMS */
    const char *uri;
    guint32 ssrc;
    guint n_lines;
    char *line; /* of the answer */
    MikeyBundle *bundle;
    MikeyPeerError kms_error;
} Phone;

static Phone *
phone_new(World *world, const char *name, const char *uri)
{
    Phone *phone = g_new0(Phone, 1);

    phone->world = world;
    phone->name = name;
    phone->uri = uri;
    phone->ssrc = THEIR_SSRC;
    phone->n_lines = 1;
    return phone;
}

static void
phone_free(Phone *phone)
{
    mikey_bundle_free(phone->bundle);
    g_free(phone->line);
    g_free(phone);
}

static MikeyStatus
resolve_for(Phone *phone, MikeyOffer *offer, MikeyResolution **out_resolution)
{
    MikeyEnv env = env_of(phone->world);
    MikeyKey psk = psk_of(phone->name, strlen(phone->name));
    MikeyAccount account = {
        .psk = &psk,
        .psk_id = mikey_identity_bytes(mikey_bytes_str(phone->name)),
        .self = mikey_identity_uri(phone->uri),
        .kms = mikey_identity_uri(KMS),
        .prf = MIKEY_PRF_HMAC_SHA_256,
    };
    g_autoptr(GByteArray) answer = NULL;
    MikeyResolve *resolve = NULL;
    MikeyStatus status = mikey_resolve_new(offer, &account, &env, &resolve);

    g_assert_cmpint(status, ==, MIKEY_OK);
    answer = ask_kms(phone->world, CLV_KMS_TICKET_RESOLVE, mikey_resolve_octets(resolve));
    status = mikey_resolve_finish(resolve, mikey_bytes(answer->data, answer->len), &env,
                                  out_resolution, &phone->kms_error);
    mikey_resolve_free(resolve);
    return status;
}

static void
answer_offer(Phone *phone, MikeyOffer *offer)
{
    static const MikeySrtpProfile profiles[] = {MIKEY_SRTP_AES_CM_128_HMAC_SHA1_80,
                                                MIKEY_SRTP_AEAD_AES_256_GCM};
    MikeyEnv env = env_of(phone->world);
    MikeyLine lines[4] = {{.keyed = false}};
    MikeyAnswerSetup setup = {
        .lines = lines, .n_lines = phone->n_lines, .profiles = profiles, .n_profiles = 2};
    MikeyBuffer message = MIKEY_BUFFER_INIT;

    if (phone->n_lines > 0)
        lines[phone->n_lines - 1] = (MikeyLine){.keyed = true, .ssrc = phone->ssrc};
    g_assert_cmpint(mikey_offer_answer(offer, &setup, &env, &message, &phone->bundle), ==,
                    MIKEY_OK);
    phone->line = line_of(mikey_bytes(message.data, message.len));
    mikey_buffer_clear(&message);
}

/* MIKEY_OK: phone->line is the answer. */
static MikeyStatus
ring(Phone *phone, const char *offer_line)
{
    MikeyEnv env = env_of(phone->world);
    MikeyBuffer octets = MIKEY_BUFFER_INIT;
    MikeyOffer *offer = NULL;
    MikeyResolution *resolution = NULL;
    MikeyStatus status;

    g_assert_cmpint(mikey_sdp_decode(mikey_bytes_str(offer_line), &octets), ==, MIKEY_OK);
    g_assert_cmpint(mikey_offer_open(mikey_bytes(octets.data, octets.len), &env, &offer), ==,
                    MIKEY_OK);
    status = resolve_for(phone, offer, &resolution);
    if (status == MIKEY_OK) {
        g_assert_cmpint(mikey_offer_verify(offer, resolution), ==, MIKEY_OK);
        answer_offer(phone, offer);
    }
    mikey_resolution_free(resolution);
    mikey_offer_free(offer);
    mikey_buffer_clear(&octets);
    return status;
}

static Phone *
phone_answers(Dialler *d, const char *name, const char *uri)
{
    Phone *phone = phone_new(d->world, name, uri);

    g_assert_cmpint(ring(phone, d->line), ==, MIKEY_OK);
    return phone;
}

/* ---- answers on their way back ---- */

static ClvSdp *
answer_sdp(const char *line)
{
    ClvSdp *sdp = sdp_new(1);

    if (line != NULL)
        add_session_line(sdp, g_strdup(line));
    return sdp;
}

static ClvKeymgmtNext
try_answer(Dialler *d, const char *line)
{
    ClvSdp *sdp = answer_sdp(line);
    ClvKeymgmtNext next = dial_step(d, NULL, 0, sdp);

    sdp_free(sdp);
    return next;
}

static void
assert_answer_refused(Dialler *d, ClvKeymgmtNext next, ClvCode code, const char *pattern)
{
    g_assert_cmpint(next, ==, CLV_KEYMGMT_FAILED);
    g_assert_error(d->error, CLV_KEYMGMT_ERROR, (gint)code);
    if (!g_pattern_match_simple(pattern, d->error->message))
        g_error("\"%s\" is not like \"%s\"", d->error->message, pattern);
    g_assert_null(d->out.identity);
    g_assert_false(d->out.has_media);
    g_assert_cmpuint(d->out.tx.key_len, ==, 0);
    g_assert_cmpuint(d->out.rx.key_len, ==, 0);
    g_assert_cmpint(d->out.proof, ==, CLV_PROOF_NONE);
}

/* The call works with @phone: same keys at both ends, and we know who it is. */
static void
assert_connected(Dialler *d, const Phone *phone, guint line)
{
    ClvSdp *sdp = sdp_new(line);
    ClvKeymgmtNext next;

    add_session_line(sdp, g_strdup(phone->line));
    next = dial_step(d, NULL, 0, sdp);
    g_assert_no_error(d->error);
    g_assert_cmpint(next, ==, CLV_KEYMGMT_DONE);
    g_assert_true(d->out.has_media);
    g_assert_cmpint(d->out.proof, ==, CLV_PROOF_TICKET);
    g_assert_cmpstr(d->out.identity, ==, phone->uri);
    g_assert_cmpuint(strlen(d->out.ticket_hash), ==, 64);
    g_assert_cmpint(d->out.expires_us, ==, START_US + 120 * G_USEC_PER_SEC);
    g_assert_null(d->out.ticket_names);
    g_assert_false(d->out.sets_allowed);
    assert_same_keys(&d->out.tx, phone->bundle, MIKEY_CS_OFFERER(line), OUR_SSRC);
    assert_same_keys(&d->out.rx, phone->bundle, MIKEY_CS_ANSWERER(line), phone->ssrc);
    g_assert_cmpint(memcmp(d->out.rx.key, d->out.tx.key, 16), !=, 0);
    sdp_free(sdp);
}

/* ---- calls that work ---- */

static void
test_call(void)
{
    Town *town = town_new();
    Dialler *d = calls(town->world, CAROL);
    Phone *carol = phone_answers(d, "carol", CAROL);

    assert_connected(d, carol, 1);
    phone_free(carol);
    dialler_free(d);
    town_free(town);
}

/* What the ticket allows, and what the offer holds (2.2, 3.3 of the digest). */
static void
test_what_is_sent(void)
{
    static const guint8 order[] = {MIKEY_SRTP_AEAD_AES_256_GCM, MIKEY_SRTP_AEAD_AES_128_GCM,
                                   MIKEY_SRTP_AES_256_CM_HMAC_SHA1_80,
                                   MIKEY_SRTP_AES_CM_128_HMAC_SHA1_80};
    Town *town = town_new();
    Dialler *d = calls(town->world, CAROL);
    MikeyBuffer octets = MIKEY_BUFFER_INIT;
    MikeyMessage *message = NULL;
    MikeyIdentity carol = mikey_identity_uri(CAROL), focus = mikey_identity_uri(FOCUS);
    const MikeyPolicy *policy;
    const MikeyBytes ids = mikey_bytes_str("mikey");

    g_assert_cmpint(mikey_sdp_decode(mikey_bytes_str(d->line), &octets), ==, MIKEY_OK);
    g_assert_cmpint(mikey_message_parse(mikey_bytes(octets.data, octets.len), &message), ==,
                    MIKEY_OK);
    policy = mikey_message_policy(message);
    g_assert_cmphex(policy->flags & ~MIKEY_FLAG_K, ==,
                    MIKEY_FLAG_D | MIKEY_FLAG_E | MIKEY_FLAG_F | MIKEY_FLAG_G | MIKEY_FLAG_H |
                        MIKEY_FLAG_I | MIKEY_FLAG_N | MIKEY_FLAG_O);
    g_assert_cmpint(policy->end_unix, ==, START_S + 120);
    g_assert_cmpuint(policy->n_responders, ==, 1);
    g_assert_true(mikey_identity_equal(&policy->responders[0], &carol));
    g_assert_true(mikey_identity_equal(&policy->initiator, &focus));
    g_assert_cmpuint(policy->n_applications, ==, 0);

    g_assert_true(mikey_bytes_equal(
        mikey_message_find(message, MIKEY_IDR, MIKEY_IDR_INITIATOR)->u.id.data, focus.data));
    g_assert_true(mikey_bytes_equal(
        mikey_message_find(message, MIKEY_IDR, MIKEY_IDR_RESPONDER)->u.id.data, carol.data));
    g_assert_cmpint(mikey_sdp_ids_check(message, &ids, 1), ==, MIKEY_OK);
    g_assert_true(mikey_message_header(message)->v);
    for (guint8 no = 0; no < G_N_ELEMENTS(order); no++) {
        MikeySrtpProfile profile;

        g_assert_cmpint(
            mikey_sp_profile(&mikey_message_find(message, MIKEY_SP, no)->u.sp, &profile), ==,
            MIKEY_OK);
        g_assert_cmpint((gint)profile, ==, order[no]);
    }
    g_assert_cmpuint(mikey_message_header(message)->n_cs, ==, 2);
    mikey_message_free(message);
    mikey_buffer_clear(&octets);
    dialler_free(d);
    town_free(town);
}

/* The scheme with itself: a conference that is called by another one. */
static void
test_scheme_answers(void)
{
    Town *town = town_new();
    Dialler *d = calls(town->world, CAROL);
    ClvSdp *offer = sdp_new(1);
    Server *server;
    MikeyKey psk = psk_of("carol", 5);

    add_session_line(offer, g_strdup(d->line));
    server = server_new(town->world, CLV_PURPOSE_JOIN, offer);
    town->world->config.psk = psk.bytes;
    town->world->config.psk_id = (const guint8 *)"carol";
    server->setup.focus_uri = CAROL;
    server->setup.local_ssrc = THEIR_SSRC;
    g_assert_cmpint(run(server), ==, CLV_KEYMGMT_DONE);
    g_assert_cmpstr(server->out.identity, ==, FOCUS);

    g_assert_cmpint(try_answer(d, server->out.answer_line), ==, CLV_KEYMGMT_DONE);
    g_assert_cmpstr(d->out.identity, ==, CAROL);
    g_assert_cmpmem(d->out.tx.key, d->out.tx.key_len, server->out.rx.key, server->out.rx.key_len);
    g_assert_cmpmem(d->out.tx.salt, d->out.tx.salt_len, server->out.rx.salt,
                    server->out.rx.salt_len);
    g_assert_cmpmem(d->out.rx.key, d->out.rx.key_len, server->out.tx.key, server->out.tx.key_len);
    g_assert_cmpmem(d->out.rx.mki, d->out.rx.mki_len, server->out.tx.mki, server->out.tx.mki_len);
    g_assert_cmpuint(d->out.tx.ssrc, ==, OUR_SSRC);
    g_assert_cmpuint(d->out.rx.ssrc, ==, THEIR_SSRC);
    server_free(server);
    sdp_free(offer);
    dialler_free(d);
    town_free(town);
}

static void
test_second_line(void)
{
    Town *town = town_new();
    Dialler *d = dialler_new(town->world, CAROL);
    Phone *carol = phone_new(town->world, "carol", CAROL);

    d->call.media_index = 1;
    dial_out(d);
    carol->n_lines = 2;
    g_assert_cmpint(ring(carol, d->line), ==, MIKEY_OK);
    assert_connected(d, carol, 2);
    phone_free(carol);
    dialler_free(d);
    town_free(town);
}

/* Each early dialog has keys of its own, in any order and as often as one likes. */
static void
test_forking(void)
{
    Town *town = town_new();
    Dialler *d = calls(town->world, CAROL);
    Phone *desk = phone_answers(d, "carol", CAROL);
    Phone *pocket = phone_answers(d, "carol", CAROL);
    guint8 first[CLV_SRTP_MAX_KEY];

    pocket->ssrc = desk->ssrc;
    assert_connected(d, desk, 1);
    memcpy(first, d->out.tx.key, sizeof(first));
    assert_connected(d, pocket, 1);
    g_assert_cmpint(memcmp(first, d->out.tx.key, 16), !=, 0);
    assert_connected(d, desk, 1);
    g_assert_cmpmem(first, 32, d->out.tx.key, 32);
    phone_free(pocket);
    phone_free(desk);
    dialler_free(d);
    town_free(town);
}

/* A ticket for several: whoever of them answers is known by his own name. */
static void
test_diverted_to_somebody_named(void)
{
    static const char *const set[] = {CAROL, BOB, NULL};
    Town *town = town_new();
    Dialler *d = dialler_new(town->world, CAROL);
    Phone *bob, *carol;

    d->call.ticket_for = set;
    dial_out(d);
    bob = phone_answers(d, "bob", BOB);
    carol = phone_answers(d, "carol", CAROL);
    assert_connected(d, bob, 1);
    assert_connected(d, carol, 1);
    phone_free(carol);
    phone_free(bob);
    dialler_free(d);
    town_free(town);
}

/* No media: what another conference is shown in a REFER of ours. */
static void
test_refer(void)
{
    static const char *const set[] = {CAROL, BOB, NULL};
    Town *town = town_new();
    Dialler *d = dialler_new(town->world, CAROL);
    ClvSdp *body = sdp_new(0), *answer = sdp_new(0);
    Server *server;
    MikeyKey psk = psk_of("carol", 5);

    d->call.ticket_for = set;
    d->call.purpose = CLV_PURPOSE_REFER;
    d->call.media_index = G_MAXUINT;
    dial_out(d);
    add_session_line(body, g_strdup(d->line));
    server = server_new(town->world, CLV_PURPOSE_REFER, body);
    town->world->config.psk = psk.bytes;
    town->world->config.psk_id = (const guint8 *)"carol";
    server->setup.focus_uri = CAROL;
    g_assert_cmpint(run(server), ==, CLV_KEYMGMT_DONE);
    g_assert_cmpstr(server->out.identity, ==, FOCUS);
    g_assert_cmpuint(g_strv_length(server->out.ticket_names), ==, 1);
    g_assert_cmpstr(server->out.ticket_names[0], ==, BOB);
    g_assert_false(server->out.has_media);

    add_session_line(answer, g_strdup(server->out.answer_line));
    g_assert_cmpint(dial_step(d, NULL, 0, answer), ==, CLV_KEYMGMT_DONE);
    g_assert_cmpstr(d->out.identity, ==, CAROL);
    g_assert_false(d->out.has_media);
    server_free(server);
    sdp_free(answer);
    sdp_free(body);
    dialler_free(d);
    town_free(town);
}

/* Who was called may update the call, and the odd sessions are still ours. */
static void
test_update_by_who_was_called(void)
{
    static const MikeySrtpProfile profiles[] = {MIKEY_SRTP_AES_CM_128_HMAC_SHA1_80};
    Town *town = town_new();
    Dialler *d = calls(town->world, CAROL);
    Phone *carol = phone_answers(d, "carol", CAROL);
    MikeyLine line = {.keyed = true, .ssrc = THEIR_SSRC + 3};
    MikeyUpdateSetup setup = {.lines = &line,
                              .n_lines = 1,
                              .profiles = profiles,
                              .n_profiles = 1,
                              .sdp_ids = mikey_bytes_str("mikey"),
                              .want_answer = true};
    MikeyUpdate *update = NULL;
    MikeyBuffer octets = MIKEY_BUFFER_INIT;
    MikeyPeerError error;
    MikeyEnv env;
    ClvSdp *offer;
    Server *server;

    assert_connected(d, carol, 1);
    let_pass(town->world, 5);
    env = env_of(town->world);
    g_assert_cmpint(mikey_update_new(carol->bundle, &setup, &env, &update), ==, MIKEY_OK);
    offer = sdp_with(mikey_update_octets(update));
    server = server_new(town->world, CLV_PURPOSE_JOIN, offer);
    server->setup.session = d->out.session;
    g_assert_cmpint(open_and_ask(server), ==, CLV_KEYMGMT_DONE);
    g_assert_true(server->out.updates_session);
    g_assert_cmpstr(server->out.identity, ==, CAROL);
    g_assert_cmpint(mikey_sdp_decode(mikey_bytes_str(server->out.answer_line), &octets), ==,
                    MIKEY_OK);
    g_assert_cmpint(mikey_update_finish(update, carol->bundle, mikey_bytes(octets.data, octets.len),
                                        &env, &error),
                    ==, MIKEY_OK);
    assert_same_keys(&server->out.tx, carol->bundle, MIKEY_CS_OFFERER(1), OUR_SSRC);
    assert_same_keys(&server->out.rx, carol->bundle, MIKEY_CS_ANSWERER(1), THEIR_SSRC + 3);
    mikey_buffer_clear(&octets);
    server_free(server);
    sdp_free(offer);
    mikey_update_free(update);
    phone_free(carol);
    dialler_free(d);
    town_free(town);
}

/* ---- answers that are not believed; the next one is tried all the same ---- */

/* The real KMS gives such a phone nothing. */
static void
test_diverted_to_somebody_else(void)
{
    Town *town = town_new();
    Dialler *d = calls(town->world, CAROL);
    Phone *bob = phone_new(town->world, "bob", BOB);

    g_assert_cmpint(ring(bob, d->line), ==, MIKEY_PEER_ERROR);
    g_assert_cmpuint(bob->kms_error.number, ==, 7);
    phone_free(bob);
    dialler_free(d);
    town_free(town);
}

/* A KMS that lets bob answer for carol: V is right, and he says who he is. */
static void
test_answer_by_somebody_else(void)
{
    World *world = world_new();
    Dialler *d = calls(world, CAROL);
    Phone *bob, *carol;

    world->kms_responder = BOB;
    bob = phone_answers(d, "carol", CAROL);
    assert_answer_refused(d, try_answer(d, bob->line), CLV_CODE_FORBIDDEN, BOB " has answered*");
    world->kms_responder = NULL;
    carol = phone_answers(d, "carol", CAROL);
    assert_connected(d, carol, 1);
    phone_free(carol);
    phone_free(bob);
    dialler_free(d);
    world_free(world);
}

/* The last octets of a TRANSFER_RESP are its MAC; those before are under it. */
static void
test_forged_answer(void)
{
    Town *town = town_new();
    Dialler *d = calls(town->world, CAROL);
    Phone *carol = phone_answers(d, "carol", CAROL);
    MikeyBuffer octets = MIKEY_BUFFER_INIT;

    g_assert_cmpint(mikey_sdp_decode(mikey_bytes_str(carol->line), &octets), ==, MIKEY_OK);
    for (gsize i = 4; i < octets.len; i += 7) {
        char *line;

        octets.data[i] ^= 0x04;
        line = line_of(mikey_bytes(octets.data, octets.len));
        g_assert_cmpint(try_answer(d, line), ==, CLV_KEYMGMT_FAILED);
        g_assert_null(d->out.identity);
        g_assert_cmpuint(d->out.tx.key_len, ==, 0);
        octets.data[i] ^= 0x04;
        g_free(line);
    }
    octets.data[octets.len - 1] ^= 1;
    {
        g_autofree char *line = line_of(mikey_bytes(octets.data, octets.len));

        assert_answer_refused(d, try_answer(d, line), CLV_CODE_KEYMGMT_FAILED, "TRANSFER_RESP*");
    }
    assert_connected(d, carol, 1);
    mikey_buffer_clear(&octets);
    phone_free(carol);
    dialler_free(d);
    town_free(town);
}

/* carol's answer to another call of ours. */
static void
test_answer_of_another_call(void)
{
    Town *town = town_new();
    Dialler *one = calls(town->world, CAROL);
    Dialler *two = calls(town->world, CAROL);
    Phone *carol = phone_answers(two, "carol", CAROL);

    assert_answer_refused(one, try_answer(one, carol->line), CLV_CODE_KEYMGMT_FAILED, "*");
    assert_connected(two, carol, 1);
    phone_free(carol);
    dialler_free(two);
    dialler_free(one);
    town_free(town);
}

static void
test_no_answer_in_the_answer(void)
{
    Town *town = town_new();
    Dialler *d = calls(town->world, CAROL);
    Phone *carol = phone_answers(d, "carol", CAROL);
    ClvSdp *media_level = sdp_new(1), *two = sdp_new(1), *other = sdp_new(1),
           *short_one = sdp_new(0);

    add_media_line(media_level, 0, g_strdup(carol->line));
    add_session_line(two, g_strdup(carol->line));
    add_session_line(two, g_strdup(carol->line));
    add_session_line(other, g_strdup("keyp1 AAAA"));
    add_session_line(short_one, g_strdup(carol->line));

    assert_answer_refused(d, try_answer(d, NULL), CLV_CODE_KEYMGMT_FAILED, "*no TRANSFER_RESP*");
    assert_answer_refused(d, try_answer(d, "mikey !!!!"), CLV_CODE_KEYMGMT_FAILED, "*");
    assert_answer_refused(d, try_answer(d, d->line), CLV_CODE_KEYMGMT_FAILED, "*");
    assert_answer_refused(d, dial_step(d, NULL, 0, media_level), CLV_CODE_KEYMGMT_FAILED,
                          "*at media level*");
    assert_answer_refused(d, dial_step(d, NULL, 0, two), CLV_CODE_KEYMGMT_FAILED, "several*");
    assert_answer_refused(d, dial_step(d, NULL, 0, other), CLV_CODE_KEYMGMT_FAILED,
                          "*no TRANSFER_RESP*");
    assert_answer_refused(d, dial_step(d, NULL, 0, short_one), CLV_CODE_KEYMGMT_FAILED,
                          "*no m-line 1*");
    assert_answer_refused(d, dial_step(d, NULL, 0, NULL), CLV_CODE_INTERNAL, "*");
    assert_connected(d, carol, 1);

    sdp_free(short_one);
    sdp_free(other);
    sdp_free(two);
    sdp_free(media_level);
    phone_free(carol);
    dialler_free(d);
    town_free(town);
}

static void
test_error_as_answer(void)
{
    Town *town = town_new();
    Dialler *d = calls(town->world, CAROL);
    Phone *carol = phone_answers(d, "carol", CAROL);
    MikeyEnv env = env_of(town->world);
    MikeyBuffer octets = MIKEY_BUFFER_INIT, error = MIKEY_BUFFER_INIT;
    g_autofree char *line = NULL;

    g_assert_cmpint(mikey_sdp_decode(mikey_bytes_str(d->line), &octets), ==, MIKEY_OK);
    g_assert_cmpint(
        mikey_error_new(mikey_bytes(octets.data, octets.len), MIKEY_BAD_TICKET, &env, &error), ==,
        MIKEY_OK);
    line = line_of(mikey_bytes(error.data, error.len));
    assert_answer_refused(d, try_answer(d, line), CLV_CODE_KEYMGMT_FAILED,
                          "*error 14*not authenticated*");
    assert_connected(d, carol, 1);
    mikey_buffer_clear(&octets);
    mikey_buffer_clear(&error);
    phone_free(carol);
    dialler_free(d);
    town_free(town);
}

/* ---- no ticket ---- */

static void
test_not_for_this_user(void)
{
    Town *town = town_with(key_file("", "may-request = " BOB "\n"));
    Dialler *d = dialler_new(town->world, CAROL);

    assert_no_call(d, dial(d), CLV_CODE_FORBIDDEN, "*no ticket for who is to be called*error 7*");
    d = calls(town->world, BOB);
    dialler_free(d);
    town_free(town);
}

static void
test_wrong_credentials(void)
{
    Town *town = town_new();
    Dialler *d = dialler_new(town->world, CAROL);

    town->world->server_psk[3] ^= 1;
    assert_no_call(d, dial(d), CLV_CODE_INTERNAL, "ALARM*credentials*");
    town_free(town);
}

static void
test_clocks(void)
{
    Town *town = town_new();
    Dialler *d = dialler_new(town->world, CAROL);

    town->kms_ahead_us = 301 * G_USEC_PER_SEC;
    assert_no_call(d, dial(d), CLV_CODE_INTERNAL, "ALARM*clocks*");
    town_free(town);
}

/* The purposes of the server's section do not hold what a REFER needs. */
static void
test_rules_of_the_kms(void)
{
    static const char *const set[] = {CAROL, BOB, NULL};
    Town *town = town_with(key_file("", "may-request = any\npurposes = conclave:join\n"));
    Dialler *d = dialler_new(town->world, CAROL);

    d->call.ticket_for = set;
    d->call.purpose = CLV_PURPOSE_REFER;
    d->call.media_index = G_MAXUINT;
    assert_no_call(d, dial(d), CLV_CODE_INTERNAL, "ALARM*rules*error 15*");
    town_free(town);
}

/* A shorter life is the KMS's right; the server must know the new end. */
static void
test_shorter_life(void)
{
    Town *town = town_with(key_file("", "may-request = any\nmax-lifetime = 60\n"));
    Dialler *d = calls(town->world, CAROL);

    g_assert_cmpint(d->out.expires_us, ==, START_US + 60 * G_USEC_PER_SEC);
    dialler_free(d);
    town_free(town);
}

static void
test_garbage(void)
{
    static const char *const texts[] = {"", "\x01", "Internal Server Error", "\x01\x0c\x80\x01"};
    Town *town = town_new();

    for (guint i = 0; i < G_N_ELEMENTS(texts); i++) {
        Dialler *d = dialler_new(town->world, CAROL);

        g_assert_cmpint(dial_first(d), ==, CLV_KEYMGMT_WANT_KMS);
        assert_no_call(d, dial_step(d, (const guint8 *)texts[i], strlen(texts[i]), NULL),
                       CLV_CODE_KMS_DOWN, "*nonsense*");
    }
    town_free(town);
}

/* What the KMS said to somebody else, or with one octet changed on the way. */
static void
test_damaged_grant(void)
{
    Town *town = town_new();
    Dialler *one = dialler_new(town->world, CAROL);
    Dialler *two = dialler_new(town->world, CAROL);
    g_autoptr(GByteArray) answer = NULL;

    g_assert_cmpint(dial_first(one), ==, CLV_KEYMGMT_WANT_KMS);
    g_assert_cmpint(dial_first(two), ==, CLV_KEYMGMT_WANT_KMS);
    answer = ask_kms(town->world, CLV_KMS_TICKET_REQUEST,
                     mikey_bytes(one->out.bytes->data, one->out.bytes->len));
    assert_no_call(two, dial_step(two, answer->data, answer->len, NULL), CLV_CODE_KMS_DOWN,
                   "*nonsense*");
    answer->data[answer->len / 2] ^= 1;
    assert_no_call(one, dial_step(one, answer->data, answer->len, NULL), CLV_CODE_KMS_DOWN,
                   "*nonsense*");
    town_free(town);
}

/* ---- a KMS that changes what was asked for (K flag) ---- */

typedef struct Changed {
    guint32 set, clear;
    gint64 longer_s;
    const char *more;    /* (nullable) a further name */
    const char *instead; /* (nullable) in place of all names */
    MikeyKeyType wish;
    guint16 wish_len;
} Changed;

static GByteArray *
changing_kms(World *world, ClvKmsRequest request, MikeyBytes question)
{
    static const MikeyKey tpk = {.bytes = "0123456789abcdef0123456789abcde", .len = 32};
    const Changed *c = world->kms_user;
    MikeyEnv env = env_of(world);
    MikeyBuffer answer = MIKEY_BUFFER_INIT;
    MikeyQuery *query = NULL;
    MikeyKey psk = psk_of("conf1", 5);
    MikeyKeyWish *wish;
    MikeyIdentity names[3];
    MikeyPolicy policy;
    MikeyGrantSetup setup = {.tpk = &tpk, .policy = &policy};
    GByteArray *octets;

    g_assert_cmpint(mikey_query_open(question, &env, &query), ==, MIKEY_OK);
    g_assert_cmpint(mikey_query_authenticate(query, &psk), ==, MIKEY_OK);
    policy = *mikey_query_policy(query);
    policy.initiator = mikey_query_identity(query);
    policy.flags = (policy.flags | c->set) & ~c->clear;
    policy.end_unix += c->longer_s;
    memcpy(names, policy.responders, policy.n_responders * sizeof(names[0]));
    policy.responders = names;
    if (c->more != NULL)
        names[policy.n_responders++] = mikey_identity_uri(c->more);
    if (c->instead != NULL)
        names[0] = mikey_identity_uri(c->instead);
    if (c->wish_len > 0) { /* keys are made as they were asked for, so the question is another */
        wish = (MikeyKeyWish *)mikey_query_policy(query)->wishes;
        wish->type = c->wish;
        wish->key_len = c->wish_len;
    }
    g_assert_cmpint(mikey_query_grant(query, &setup, &env, &answer), ==, MIKEY_OK);
    octets = g_byte_array_append(g_byte_array_new(), answer.data, (guint)answer.len);
    mikey_buffer_clear(&answer);
    mikey_query_free(query);
    return octets;
}

static void
test_changed_grants(void)
{
    static const struct {
        Changed change;
        const char *pattern; /* (nullable) NULL: taken */
    } cases[] = {
        {{0}, NULL},
        {{.longer_s = -30}, NULL},
        {{.set = MIKEY_FLAG_J}, NULL}, /* that we may use it again; we do not */
        {{.set = MIKEY_FLAG_M}, "ALARM*keys of his own*"},
        {{.longer_s = 1}, "ALARM*longer*"},
        {{.more = BOB}, "ALARM*more people*"},
        {{.instead = BOB}, "ALARM*somebody else*"},
        {{.clear = MIKEY_FLAG_I}, "ALARM*flags*"},
        {{.clear = MIKEY_FLAG_G}, "ALARM*flags*"},
        {{.wish = MIKEY_KEY_TEK, .wish_len = 16}, "ALARM*TGK*"},
        {{.wish = MIKEY_KEY_GTGK, .wish_len = 32}, "ALARM*TGK*"},
    };

    for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
        World *world = world_new();
        Dialler *d = dialler_new(world, CAROL);
        ClvKeymgmtNext next;

        world->kms = changing_kms;
        world->kms_user = (void *)&cases[i].change;
        next = dial(d);
        if (cases[i].pattern == NULL) {
            g_assert_cmpint(next, ==, CLV_KEYMGMT_WANT_PEER);
            dialler_free(d);
        } else {
            assert_no_call(d, next, CLV_CODE_INTERNAL, cases[i].pattern);
        }
        world_free(world);
    }
}

static void
test_no_randomness(void)
{
    World *world = world_new();
    Dialler *d = dialler_new(world, CAROL);
    g_autoptr(GByteArray) answer = NULL;

    world->dry = TRUE;
    assert_no_call(d, dial_first(d), CLV_CODE_INTERNAL, "*REQUEST_INIT*");

    world->dry = FALSE;
    d = dialler_new(world, CAROL);
    g_assert_cmpint(dial_first(d), ==, CLV_KEYMGMT_WANT_KMS);
    answer =
        ask_kms(world, CLV_KMS_TICKET_REQUEST, mikey_bytes(d->out.bytes->data, d->out.bytes->len));
    world->dry = TRUE;
    assert_no_call(d, dial_step(d, answer->data, answer->len, NULL), CLV_CODE_INTERNAL, "*CSB ID*");
    world_free(world);
}

static void
test_impossible_calls(void)
{
    static const ClvSrtpSuite none[] = {CLV_SRTP_NONE};
    World *world = world_new();
    Dialler *d = dialler_new(world, CAROL);
    g_autoptr(GError) error = NULL;

    d->call.suites = none;
    g_assert_null(clv_mikey_ticket_ops.call(&d->call, &error));
    g_assert_error(error, CLV_KEYMGMT_ERROR, CLV_CODE_INTERNAL);
    g_clear_error(&error);
    d->call.suites = default_suites;
    d->call.media_index = CLV_SDP_MAX_MEDIA;
    g_assert_null(clv_mikey_ticket_ops.call(&d->call, &error));
    g_assert_error(error, CLV_KEYMGMT_ERROR, CLV_CODE_INTERNAL);
    dialler_free(d);
    world_free(world);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/ticket-call/a-user-is-called", test_call);
    g_test_add_func("/ticket-call/R110-R111-the-ticket-says-what-it-must", test_what_is_sent);
    g_test_add_func("/ticket-call/the-scheme-answers-itself", test_scheme_answers);
    g_test_add_func("/ticket-call/the-second-m-line", test_second_line);
    g_test_add_func("/ticket-call/each-early-dialog-has-its-own-keys", test_forking);
    g_test_add_func("/ticket-call/another-one-who-is-named-answers",
                    test_diverted_to_somebody_named);
    g_test_add_func("/ticket-call/a-refer-of-ours-names-a-user", test_refer);
    g_test_add_func("/ticket-call/who-was-called-may-update", test_update_by_who_was_called);
    g_test_add_func("/ticket-call/the-kms-gives-a-stranger-nothing",
                    test_diverted_to_somebody_else);
    g_test_add_func("/ticket-call/R104-who-is-not-named-is-not-taken", test_answer_by_somebody_else);
    g_test_add_func("/ticket-call/R098-a-forged-answer-is-not-taken", test_forged_answer);
    g_test_add_func("/ticket-call/an-answer-of-another-call-is-not-taken",
                    test_answer_of_another_call);
    g_test_add_func("/ticket-call/an-answer-without-transfer-resp-is-not-taken",
                    test_no_answer_in_the_answer);
    g_test_add_func("/ticket-call/an-error-message-is-no-answer", test_error_as_answer);
    g_test_add_func("/ticket-call/the-kms-has-no-ticket-for-this-user", test_not_for_this_user);
    g_test_add_func("/ticket-call/wrong-credentials-are-an-alarm", test_wrong_credentials);
    g_test_add_func("/ticket-call/clocks-that-differ-are-an-alarm", test_clocks);
    g_test_add_func("/ticket-call/rules-of-the-kms-that-do-not-fit-are-an-alarm",
                    test_rules_of_the_kms);
    g_test_add_func("/ticket-call/a-shorter-life-is-kept", test_shorter_life);
    g_test_add_func("/ticket-call/nonsense-of-the-kms-is-no-ticket", test_garbage);
    g_test_add_func("/ticket-call/a-damaged-grant-is-no-ticket", test_damaged_grant);
    g_test_add_func("/ticket-call/a-grant-that-was-changed-is-looked-at", test_changed_grants);
    g_test_add_func("/ticket-call/without-randomness-there-is-no-call", test_no_randomness);
    g_test_add_func("/ticket-call/impossible-calls-are-not-begun", test_impossible_calls);
    return g_test_run();
}
