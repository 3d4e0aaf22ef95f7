/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/test-mikey-pitfalls.c - is what implementers get wrong refused, each mistake by
 * itself?
 *
 * Every test makes a message, or a key, as somebody would who has fallen into the pit of that
 * number, with everything else right; most have a right one beside it.
 */
#include "tests/unit/mikey-draft.h"
#include "tests/unit/mikey-world.h"

#include <glib.h>
#include <stdlib.h>
#include <string.h>

#define SUITE MIKEY_PRF_HMAC_SHA_256
#define CAROL "sip:carol@operator.example"

/* ---- octets and keys by hand ---- */

static void
add(GByteArray *to, MikeyBytes octets)
{
    if (octets.len > 0)
        g_byte_array_append(to, octets.data, (guint)octets.len);
}

static MikeyBytes
view(const GByteArray *octets)
{
    return mikey_bytes(octets->data, octets->len);
}

/* How somebody writes a label */
typedef struct Hand {
    guint32 constant;
    guint8 cs, tag;
    guint32 csb;
    const MikeyBytes *rands[2];
    gboolean absent_is_nothing;
} Hand;

static GByteArray *
label_of(const Hand *hand)
{
    GByteArray *label = g_byte_array_new();
    guint32 constant = GUINT32_TO_BE(hand->constant), csb = GUINT32_TO_BE(hand->csb);

    add(label, mikey_bytes(&constant, 4));
    add(label, mikey_bytes(&hand->cs, 1));
    add(label, mikey_bytes(&csb, 4));
    add(label, mikey_bytes(&hand->tag, 1));
    for (guint i = 0; i < 2; i++) {
        guint8 len = hand->rands[i] != NULL ? (guint8)hand->rands[i]->len : 0;

        if (len > 0 || !hand->absent_is_nothing)
            add(label, mikey_bytes(&len, 1));
        if (len > 0)
            add(label, *hand->rands[i]);
    }
    return label;
}

static MikeyKey
by_hand(const MikeyKey *inkey, const Hand *hand, gsize len)
{
    g_autoptr(GByteArray) label = label_of(hand);
    MikeyKey key = {.len = 0};

    assert_status(mikey_prf(SUITE, inkey, view(label), len, &key), MIKEY_OK);
    return key;
}

static MikeyBytes
rand_of(const Draft *d, guint8 role)
{
    return mikey_message_find(d->message, MIKEY_RANDR, role)->u.rand.rand;
}

/* Key of V in a message of @tag, derived from @inkey as it should be */
static MikeyKey
auth_key(const MikeyKey *inkey, const Draft *d, guint8 tag, const MikeyBytes *rand_i,
         const MikeyBytes *rand_r)
{
    const Hand hand = {MIKEY_C_AUTH, 0xff, tag, d->header.csb_id, {rand_i, rand_r}, FALSE};

    return by_hand(inkey, &hand, 32);
}

static MikeyBytes
of(const MikeyBuffer *buffer)
{
    return mikey_bytes(buffer->data, buffer->len);
}

/* A MAC over @parts at the end of @octets */
static void
put_mac(MikeyBuffer *octets, const MikeyKey *auth, const MikeyBytes *parts, gsize n)
{
    gsize len = 0;

    assert_status(mikey_mac(MIKEY_MAC_HMAC_SHA_256_256, auth, parts, n,
                            octets->data + octets->len - 32, &len),
                  MIKEY_OK);
}

/* The KMS gets a REQUEST_INIT with a MAC of @auth over all of it and @tail */
static MikeyStatus
requested(World *w, const MikeyKey *auth, MikeyBytes tail)
{
    MikeyBuffer octets, answer = MIKEY_BUFFER_INIT;
    MikeyStatus status;
    Draft d;

    draft_open(&d, world_octets(w, WORLD_REQUEST_INIT));
    octets = draft_close(&d, auth, tail);
    status = world_kms_grant(w, of(&octets), &answer);
    mikey_buffer_clear(&octets);
    mikey_buffer_clear(&answer);
    return status;
}

#define OF_REQUEST WORLD_ALICE WORLD_KMS

static MikeyKey
request_auth(World *w)
{
    Draft d;
    MikeyKey auth;
    MikeyBytes rand;

    draft_open(&d, world_octets(w, WORLD_REQUEST_INIT));
    rand = rand_of(&d, MIKEY_RANDR_INITIATOR);
    auth = auth_key(&w->alice_psk, &d, MIKEY_TAG_INIT, &rand, NULL);
    mikey_message_free(d.message);
    return auth;
}

static void
start(World *w)
{
    world_init(w);
    assert_status(world_run(w), MIKEY_OK);
}

/* ---- TRANSFER_INIT by hand ---- */

typedef enum Cover {
    COVER_RIGHT,
    COVER_ALL,          /* Initiator Data too */
    COVER_ITS_LENGTH,   /* its two octets of length */
    COVER_NOT_ALG,      /* not the octet before the MAC */
    COVER_ROOM_FOR_MAC, /* the MAC too, as zeros */
} Cover;

/* MAC and, with @mpkr, Initiator Data of a TRANSFER_INIT made anew */
static void
close_transfer(MikeyBuffer *octets, const MikeyKey *mpki, const MikeyKey *mpkr, Cover cover)
{
    static const guint8 zeros[32] = {0};
    const MikeyLabel own = {.constant = MIKEY_C_AUTH, .tag = MIKEY_TAG_INITIATOR_DATA};
    MikeyBytes parts[5];
    const MikeyPayload *ticket;
    MikeyKey auth, owner;
    gsize gap, gap_len, end = octets->len - 32, len = 0;
    MikeyBytes rand;
    Draft d;

    draft_open(&d, of(octets));
    ticket = mikey_message_find(d.message, MIKEY_TICKET, 0);
    gap_len = 2 + ticket->u.ticket.initiator_data.len;
    gap = (gsize)(ticket->octets.data - mikey_message_octets(d.message).data) + ticket->octets.len -
          gap_len;
    rand = rand_of(&d, MIKEY_RANDR_INITIATOR);
    auth = auth_key(mpki, &d, MIKEY_TAG_INIT, &rand, NULL);
    mikey_message_free(d.message);
    parts[0] = mikey_bytes(octets->data, gap + (cover == COVER_ITS_LENGTH ? 2 : 0));
    if (cover == COVER_ALL)
        parts[0].len = gap + gap_len;
    parts[1] = mikey_bytes(octets->data + gap + gap_len,
                           end - gap - gap_len - (cover == COVER_NOT_ALG ? 1 : 0));
    parts[2] = mikey_bytes(zeros, cover == COVER_ROOM_FOR_MAC ? 32 : 0);
    parts[3] = mikey_bytes_str(WORLD_ALICE);
    parts[4] = mikey_bytes_str(WORLD_BOB);
    put_mac(octets, &auth, parts, 5);
    if (mpkr == NULL)
        return;
    memcpy(octets->data + gap + 2 + 3, octets->data + end, 32);
    assert_status(mikey_derive(SUITE, mpkr, &own, 32, &owner), MIKEY_OK);
    parts[0] = mikey_bytes(octets->data + gap + 2, gap_len - 2 - 32);
    assert_status(mikey_mac(MIKEY_MAC_HMAC_SHA_256_256, &owner, parts, 1,
                            octets->data + gap + gap_len - 32, &len),
                  MIKEY_OK);
}

/* What bob and the KMS say to @octets; frees them */
static MikeyStatus
received(World *w, MikeyBuffer *octets)
{
    MikeyStatus status = world_receive_transfer(w, of(octets));

    mikey_buffer_clear(octets);
    return status;
}

static MikeyBuffer
transfer_copy(World *w)
{
    Draft d;

    draft_open(&d, world_octets(w, WORLD_TRANSFER_INIT));
    return draft_close(&d, NULL, mikey_bytes(NULL, 0));
}

static MikeyStatus
transferred(World *w, const MikeyKey *mpki, const MikeyKey *mpkr, Cover cover)
{
    MikeyBuffer octets = transfer_copy(w);

    close_transfer(&octets, mpki, mpkr, cover);
    return received(w, &octets);
}

/* ---- TRANSFER_RESP by hand ---- */

/* Alice gets the answer with a MAC under @inkey */
static MikeyStatus
answered(World *w, Draft *d, const MikeyKey *inkey, guint8 tag)
{
    MikeyBytes rand_i =
        mikey_message_find(mikey_offer_message(w->offer), MIKEY_RANDR, MIKEY_RANDR_INITIATOR)
            ->u.rand.rand;
    MikeyBytes rand_r = rand_of(d, MIKEY_RANDR_RESPONDER);
    MikeyKey auth = auth_key(inkey, d, tag, &rand_i, &rand_r);
    MikeyBuffer octets = draft_close(d, &auth, world_octets(w, WORLD_TRANSFER_INIT));
    MikeyBundle *bundle = NULL;
    MikeyStatus status = mikey_transfer_finish(w->transfer, of(&octets), &w->env, &bundle, NULL);

    g_assert_true((status == MIKEY_OK) == (bundle != NULL));
    mikey_bundle_free(bundle);
    mikey_buffer_clear(&octets);
    return status;
}

static MikeyKey
forked(MikeyConstant constant, const MikeyKey *key, const char *id, const Draft *resp)
{
    MikeyKey out = {.len = 0};

    assert_status(
        mikey_fork(SUITE, constant, key, mikey_bytes_str(id), rand_of(resp, MIKEY_RANDR_KMS), &out),
        MIKEY_OK);
    return out;
}

/* ---- the pits ---- */

static void
p01_next_payload_names_the_following_one(void)
{
    World w;
    MikeyBuffer octets;
    MikeyMessage *message = NULL;
    MikeyOffer *offer = NULL;
    gsize at;
    Draft d;

    start(&w);
    octets = transfer_copy(&w);
    draft_open(&d, of(&octets));
    /* each payload says what it is itself */
    for (gsize i = 0; i < d.n; i++) {
        at = (gsize)(mikey_message_payload(d.message, i)->octets.data -
                     mikey_message_octets(d.message).data);
        octets.data[at] = d.payloads[i].number;
    }
    mikey_message_free(d.message);
    g_assert_cmpuint(mikey_status_error(mikey_message_parse(of(&octets), &message)), ==, 13);
    mikey_buffer_clear(&octets);
    /* the first octet of TP Data and that of Initiator Data */
    for (guint i = 0; i < 2; i++) {
        const MikeyTicketPayload *t;

        octets = transfer_copy(&w);
        draft_open(&d, of(&octets));
        t = &mikey_message_find(d.message, MIKEY_TICKET, 0)->u.ticket;
        at = (gsize)((i == 0 ? t->tp_data : t->initiator_data).data -
                     mikey_message_octets(d.message).data);
        mikey_message_free(d.message);
        octets.data[at] = i == 0 ? MIKEY_TR : MIKEY_LAST; /* of another, or as if there were none */
        g_assert_cmpuint(mikey_status_error(mikey_offer_open(of(&octets), &w.env, &offer)), ==, 13);
        mikey_buffer_clear(&octets);
    }
    g_assert_null(message);
    g_assert_null(offer);
    world_clear(&w);
}

static void
p02_identities_are_covered_as_they_are(void)
{
    static const char lengths[] = "\0\x1a" WORLD_ALICE "\0\x18" WORLD_KMS;
    World w;
    MikeyKey auth;

    start(&w);
    auth = request_auth(&w);
    assert_status(requested(&w, &auth, mikey_bytes_str(OF_REQUEST)), MIKEY_OK);
    assert_status(requested(&w, &auth, mikey_bytes_str(WORLD_KMS WORLD_ALICE)), MIKEY_BAD_MAC);
    assert_status(requested(&w, &auth, mikey_bytes(lengths, sizeof(lengths) - 1)), MIKEY_BAD_MAC);
    assert_status(requested(&w, &auth, mikey_bytes_str("SIP:alice@operator.example" WORLD_KMS)),
                  MIKEY_BAD_MAC);
    assert_status(requested(&w, &auth, mikey_bytes(NULL, 0)), MIKEY_BAD_MAC);
    world_clear(&w);
}

static void
p03_a_mac_skips_initiator_data_with_its_length(void)
{
    World w;
    const MikeyKey *mpki, *mpkr;
    MikeyPayload ticket;
    MikeyBuffer octets;
    Draft d;

    start(&w);
    mpki = mikey_grant_mpki(w.grant);
    mpkr = mikey_grant_mpkr(w.grant);
    assert_status(transferred(&w, mpki, mpkr, COVER_RIGHT), MIKEY_OK);
    assert_status(transferred(&w, mpki, mpkr, COVER_ITS_LENGTH), MIKEY_BAD_MAC);
    assert_status(transferred(&w, mpki, mpkr, COVER_ALL), MIKEY_BAD_MAC);
    /* wherever the ticket stands */
    draft_open(&d, world_octets(&w, WORLD_TRANSFER_INIT));
    ticket = *draft_find(&d, MIKEY_TICKET);
    draft_drop(&d, MIKEY_TICKET);
    memmove(d.payloads + 2, d.payloads + 1, (d.n - 1) * sizeof(*d.payloads));
    d.payloads[1] = ticket;
    d.n++;
    octets = draft_close(&d, NULL, mikey_bytes(NULL, 0));
    close_transfer(&octets, mpki, mpkr, COVER_RIGHT);
    assert_status(received(&w, &octets), MIKEY_OK);
    world_clear(&w);
}

static void
p04_the_algorithm_of_a_mac_is_covered_and_the_mac_is_not(void)
{
    World w;
    const MikeyKey *mpki, *mpkr;

    start(&w);
    mpki = mikey_grant_mpki(w.grant);
    mpkr = mikey_grant_mpkr(w.grant);
    assert_status(transferred(&w, mpki, mpkr, COVER_NOT_ALG), MIKEY_BAD_MAC);
    assert_status(transferred(&w, mpki, mpkr, COVER_ROOM_FOR_MAC), MIKEY_BAD_MAC);
    world_clear(&w);
}

static void
p05_answers_have_keys_of_their_own_and_resolve_has_its_rand_in_the_second_place(void)
{
    World w;
    MikeyBuffer octets, answer = MIKEY_BUFFER_INIT;
    MikeyBytes init, rand;
    MikeyGrant *grant = NULL;
    MikeyKey auth;
    Draft d, of_init;

    start(&w);
    init = world_octets(&w, WORLD_REQUEST_INIT);
    draft_open(&of_init, init);
    rand = rand_of(&of_init, MIKEY_RANDR_INITIATOR);
    for (guint8 tag = MIKEY_TAG_INIT; tag <= MIKEY_TAG_RESP; tag++) {
        draft_open(&d, world_octets(&w, WORLD_REQUEST_RESP));
        auth = auth_key(&w.alice_psk, &d, tag, &rand, NULL);
        octets = draft_close(&d, &auth, init);
        assert_status(world_grant(&w, of(&octets), &grant),
                      tag == MIKEY_TAG_RESP ? MIKEY_OK : MIKEY_BAD_MAC);
        mikey_buffer_clear(&octets);
    }
    mikey_grant_free(grant);
    mikey_message_free(of_init.message);
    for (guint second = 0; second < 2; second++) {
        draft_open(&d, world_octets(&w, WORLD_RESOLVE_INIT));
        rand = rand_of(&d, MIKEY_RANDR_RESPONDER);
        auth =
            auth_key(&w.bob_psk, &d, MIKEY_TAG_INIT, second ? NULL : &rand, second ? &rand : NULL);
        octets = draft_close(&d, &auth, mikey_bytes_str(WORLD_BOB WORLD_KMS));
        assert_status(world_kms_resolve(&w, of(&octets), &answer),
                      second ? MIKEY_OK : MIKEY_BAD_MAC);
        mikey_buffer_clear(&octets);
        mikey_buffer_clear(&answer);
    }
    world_clear(&w);
}

static void
p06_an_absent_rand_is_an_octet_and_an_identity_has_two_for_its_length(void)
{
    World w;
    Draft d;
    MikeyBytes rand;
    Hand hand = {MIKEY_C_AUTH, 0xff, MIKEY_TAG_INIT, 0, {&rand, NULL}, TRUE};
    GByteArray *label = g_byte_array_new();
    MikeyKey key;

    start(&w);
    draft_open(&d, world_octets(&w, WORLD_REQUEST_INIT));
    rand = rand_of(&d, MIKEY_RANDR_INITIATOR);
    hand.csb = d.header.csb_id;
    key = by_hand(&w.alice_psk, &hand, 32);
    mikey_message_free(d.message);
    assert_status(requested(&w, &key, mikey_bytes_str(OF_REQUEST)), MIKEY_BAD_MAC);
    /* forking with one octet, and with two */
    for (guint n = 1; n <= 2; n++) {
        static const guint8 head[] = {0x2b, 0x28, 0x88, 0x56, 0xff, 0xff, 0xff, 0xff, 0xff, 0};
        const guint8 id_len[2] = {0, sizeof(WORLD_BOB) - 1};
        guint8 len;

        draft_open(&d, world_octets(&w, WORLD_TRANSFER_RESP));
        rand = rand_of(&d, MIKEY_RANDR_KMS);
        len = (guint8)rand.len;
        g_byte_array_set_size(label, 0);
        add(label, mikey_bytes(head, sizeof(head)));
        add(label, mikey_bytes(id_len + 2 - n, n));
        add(label, mikey_bytes_str(WORLD_BOB));
        add(label, mikey_bytes(&len, 1));
        add(label, rand);
        assert_status(mikey_prf(SUITE, mikey_grant_mpkr(w.grant), view(label), 32, &key), MIKEY_OK);
        assert_status(answered(&w, &d, &key, MIKEY_TAG_RESP), n == 2 ? MIKEY_OK : MIKEY_BAD_MAC);
    }
    g_byte_array_unref(label);
    world_clear(&w);
}

/* With a key of 512 bits it shows: two blocks, not one */
static void
p07_keys_go_into_the_prf_by_256_bits(void)
{
    World w;
    Draft d;
    MikeyBytes rand, parts[2];
    MikeyKey auth, wrong = {.len = 32}, a = {.len = 32};
    GByteArray *label;
    Hand hand = {MIKEY_C_AUTH, 0xff, MIKEY_TAG_INIT, 0, {&rand, NULL}, FALSE};
    gsize len = 0;

    world_init(&w);
    w.alice_psk.len = 64;
    memset(w.alice_psk.bytes + 32, 0x5a, 32);
    assert_status(world_run(&w), MIKEY_OK);
    auth = request_auth(&w);
    assert_status(requested(&w, &auth, mikey_bytes_str(OF_REQUEST)), MIKEY_OK);
    draft_open(&d, world_octets(&w, WORLD_REQUEST_INIT));
    rand = rand_of(&d, MIKEY_RANDR_INITIATOR);
    hand.csb = d.header.csb_id;
    label = label_of(&hand);
    parts[0] = view(label);
    assert_status(mikey_mac(MIKEY_MAC_HMAC_SHA_256_256, &w.alice_psk, parts, 1, a.bytes, &len),
                  MIKEY_OK);
    parts[0] = mikey_bytes(a.bytes, 32);
    parts[1] = view(label);
    assert_status(mikey_mac(MIKEY_MAC_HMAC_SHA_256_256, &w.alice_psk, parts, 2, wrong.bytes, &len),
                  MIKEY_OK);
    assert_status(requested(&w, &wrong, mikey_bytes_str(OF_REQUEST)), MIKEY_BAD_MAC);
    mikey_message_free(d.message);
    g_byte_array_unref(label);
    world_clear(&w);
}

static void
p08_message_keys_are_as_long_as_their_algorithms_want(void)
{
    World w;
    Draft d;
    MikeyBytes rand;
    MikeyKey key;
    MikeyMessageKeys keys;
    MikeyTimestamp t = {.type = MIKEY_TS_NTP_UTC, .value = WORLD_NOW};
    MikeyLabel label = {.tag = MIKEY_TAG_INIT, .csb_id = 1};
    Hand hand = {MIKEY_C_AUTH, 0xff, MIKEY_TAG_INIT, 0, {&rand, NULL}, FALSE};
    guint8 iv[MIKEY_IV_LEN];

    world_init(&w);
    w.alice_psk.len = 16;
    assert_status(world_run(&w), MIKEY_OK);
    draft_open(&d, world_octets(&w, WORLD_REQUEST_INIT));
    rand = rand_of(&d, MIKEY_RANDR_INITIATOR);
    hand.csb = d.header.csb_id;
    key = by_hand(&w.alice_psk, &hand, 16); /* as long as the PSK */
    assert_status(requested(&w, &key, mikey_bytes_str(OF_REQUEST)), MIKEY_BAD_MAC);
    key = by_hand(&w.alice_psk, &hand, 32);
    assert_status(requested(&w, &key, mikey_bytes_str(OF_REQUEST)), MIKEY_OK);
    mikey_message_free(d.message);
    for (guint8 prf = MIKEY_PRF_MIKEY_1; prf <= SUITE; prf++) {
        assert_status(mikey_message_keys(prf, &w.bob_psk, &label, &keys), MIKEY_OK);
        g_assert_cmpuint(keys.auth.len, ==, prf == SUITE ? 32 : 20);
        g_assert_cmpuint(keys.encr.len, ==, prf == SUITE ? 32 : 16);
        g_assert_cmpuint(keys.salt.len, ==, 14);
        keys.salt.len = 16;
        assert_status(mikey_iv(&keys.salt, 1, &t, iv), MIKEY_ARGUMENT);
    }
    world_clear(&w);
}

static MikeyKey
master_key(World *w, guint8 cs_id)
{
    MikeySrtp srtp;

    assert_status(mikey_bundle_srtp(w->alice, cs_id, &srtp), MIKEY_OK);
    return srtp.master_key;
}

static void
p09_a_session_key_knows_its_session_and_no_bundle(void)
{
    for (guint with_h = 0; with_h < 2; with_h++) {
        World w;
        Draft d;
        MikeyBytes rand_i, rand_r;
        MikeyKey tgk, key, got;
        Hand right, hand;

        world_init(&w);
        if (!with_h)
            w.policy.flags &= ~MIKEY_FLAG_H;
        assert_status(world_run(&w), MIKEY_OK);
        draft_open(&d, world_octets(&w, WORLD_TRANSFER_RESP));
        rand_i =
            mikey_message_find(mikey_offer_message(w.offer), MIKEY_RANDR, MIKEY_RANDR_INITIATOR)
                ->u.rand.rand;
        rand_r = rand_of(&d, MIKEY_RANDR_RESPONDER);
        tgk = forked(MIKEY_C_FORK_TGK, &mikey_grant_key(w.grant, 0)->key, WORLD_BOB, &d);
        got = master_key(&w, 2);
        right = (Hand){
            MIKEY_C_TEK, 2, MIKEY_TAG_SESSION, 0xffffffff, {with_h ? &rand_i : NULL, &rand_r},
            FALSE};
        key = by_hand(&tgk, &right, got.len);
        g_assert_true(mikey_key_equal(&key, &got));
#define WRONG(change)                                                                              \
    do {                                                                                           \
        hand = right;                                                                              \
        hand.change;                                                                               \
        key = by_hand(&tgk, &hand, got.len);                                                       \
        g_assert_false(mikey_key_equal(&key, &got));                                               \
    } while (0)
        WRONG(csb = d.header.csb_id);
        WRONG(cs = 0xff);
        WRONG(cs = 1);
        WRONG(tag = MIKEY_TAG_RESP);
        WRONG(rands[0] = with_h ? NULL : &rand_i);
#undef WRONG
        mikey_message_free(d.message);
        world_clear(&w);
    }
}

/* Bob has been called under another name than the one he answers with */
static void
p10_keys_are_forked_for_who_answers(void)
{
    World w;
    Draft d;
    MikeyKey key;

    start(&w);
    draft_open(&d, world_octets(&w, WORLD_TRANSFER_RESP));
    key = forked(MIKEY_C_FORK_MPKR, mikey_grant_mpkr(w.grant), WORLD_BOB, &d);
    assert_status(answered(&w, &d, &key, MIKEY_TAG_RESP), MIKEY_OK);
    draft_open(&d, world_octets(&w, WORLD_TRANSFER_RESP));
    for (gsize i = 0; i < d.n; i++) {
        if (d.payloads[i].number == MIKEY_IDR)
            d.payloads[i].u.id.data = mikey_bytes_str(CAROL);
    }
    assert_status(answered(&w, &d, &key, MIKEY_TAG_RESP), MIKEY_BAD_MAC);
    draft_open(&d, world_octets(&w, WORLD_TRANSFER_RESP));
    for (gsize i = 0; i < d.n; i++) {
        if (d.payloads[i].number == MIKEY_IDR)
            d.payloads[i].u.id.data = mikey_bytes_str(CAROL);
    }
    key = forked(MIKEY_C_FORK_MPKR, mikey_grant_mpkr(w.grant), CAROL, &d);
    assert_status(answered(&w, &d, &key, MIKEY_TAG_RESP), MIKEY_OK);
    world_clear(&w);
}

static void
p11_what_is_not_forked(void)
{
    const MikeyKeyWish wish = {.type = MIKEY_KEY_GTGK, .key_len = 32, .spi_len = 4, .spi = {7}};
    World w;
    Draft d;
    MikeyBytes rand_i, rand_r;
    MikeyKey key, got;
    Hand hand = {MIKEY_C_TEK, 1, MIKEY_TAG_SESSION, 0xffffffff, {&rand_i, &rand_r}, FALSE};

    world_init(&w);
    w.policy.has_wishes = true;
    w.policy.wishes = &wish;
    w.policy.n_wishes = 1;
    assert_status(world_run(&w), MIKEY_OK);
    draft_open(&d, world_octets(&w, WORLD_TRANSFER_RESP));
    rand_i = mikey_message_find(mikey_offer_message(w.offer), MIKEY_RANDR, MIKEY_RANDR_INITIATOR)
                 ->u.rand.rand;
    rand_r = rand_of(&d, MIKEY_RANDR_RESPONDER);
    got = master_key(&w, 1);
    key = by_hand(&mikey_grant_key(w.grant, 0)->key, &hand, got.len);
    g_assert_true(mikey_key_equal(&key, &got));
    key = forked(MIKEY_C_FORK_TGK, &mikey_grant_key(w.grant, 0)->key, WORLD_BOB, &d);
    key = by_hand(&key, &hand, got.len);
    g_assert_false(mikey_key_equal(&key, &got));
    /* MPKi */
    key = forked(MIKEY_C_FORK_MPKR, mikey_grant_mpki(w.grant), WORLD_BOB, &d);
    mikey_message_free(d.message);
    assert_status(transferred(&w, &key, mikey_grant_mpkr(w.grant), COVER_RIGHT), MIKEY_BAD_MAC);
    world_clear(&w);
}

static void
p12_vr_is_under_mpkr_and_the_answer_under_the_forked_one(void)
{
    World w;
    Draft d;
    MikeyKey key;

    start(&w);
    draft_open(&d, world_octets(&w, WORLD_TRANSFER_RESP));
    key = forked(MIKEY_C_FORK_MPKR, mikey_grant_mpkr(w.grant), WORLD_BOB, &d);
    assert_status(transferred(&w, mikey_grant_mpki(w.grant), &key, COVER_RIGHT),
                  MIKEY_BAD_INITIATOR_DATA);
    assert_status(answered(&w, &d, mikey_grant_mpkr(w.grant), MIKEY_TAG_RESP), MIKEY_BAD_MAC);
    world_clear(&w);
}

/* The answer of the KMS, 3 seconds later, with its keys sealed for the time @t_of_keys and with
 * @t_of_message in it */
static MikeyStatus
granted_at(World *w, MikeyNtp t_of_keys, MikeyNtp t_of_message)
{
    MikeyBytes init = world_octets(w, WORLD_REQUEST_INIT), rand;
    MikeyBuffer answer = MIKEY_BUFFER_INIT, sealed = MIKEY_BUFFER_INIT, octets;
    MikeyKeyData *data = g_new0(MikeyKeyData, MIKEY_MAX_KEYS);
    MikeyLabel label = {.tag = MIKEY_TAG_RESP};
    MikeyMessageKeys keys;
    MikeyTimestamp t;
    MikeyGrant *grant = NULL;
    MikeyStatus status;
    gsize n = 0;
    Draft asked, d;

    assert_status(world_kms_grant(w, init, &answer), MIKEY_OK);
    draft_open(&asked, init);
    rand = rand_of(&asked, MIKEY_RANDR_INITIATOR);
    label.csb_id = asked.header.csb_id;
    label.rand_i = rand;
    assert_status(mikey_message_keys(SUITE, &w->alice_psk, &label, &keys), MIKEY_OK);
    draft_open(&d, of(&answer));
    t = draft_find(&d, MIKEY_T)->u.timestamp;
    g_assert_cmphex(t.value, ==, w->env.now); /* fresh */
    assert_status(
        mikey_keys_open(&draft_find(&d, MIKEY_KEMAC)->u.kemac, &keys, label.csb_id, &t, data, &n),
        MIKEY_OK);
    t.value = t_of_keys;
    assert_status(mikey_keys_seal(MIKEY_ENCR_AES_CM_256, &keys, label.csb_id, &t, data, n, &sealed),
                  MIKEY_OK);
    draft_find(&d, MIKEY_KEMAC)->u.kemac.encr_data = of(&sealed);
    draft_find(&d, MIKEY_T)->u.timestamp.value = t_of_message;
    octets = draft_close(&d, &keys.auth, init);
    status = world_grant(w, of(&octets), &grant);
    mikey_grant_free(grant);
    mikey_message_free(asked.message);
    mikey_buffer_clear(&octets);
    mikey_buffer_clear(&sealed);
    mikey_buffer_clear(&answer);
    g_free(data);
    return status;
}

static void
p13_each_message_has_a_time_of_its_own(void)
{
    World w;

    start(&w);
    w.env.now = WORLD_NOW + ((MikeyNtp)3 << 32);
    assert_status(granted_at(&w, w.env.now, w.env.now), MIKEY_OK);
    g_assert_cmpint(granted_at(&w, WORLD_NOW, w.env.now), !=, MIKEY_OK);
    world_clear(&w);
}

static void
p14_who_has_answered_is_believed_after_the_mac(void)
{
    World w;
    Draft d;
    MikeyKey key;

    start(&w);
    draft_open(&d, world_octets(&w, WORLD_TRANSFER_RESP));
    key = forked(MIKEY_C_FORK_MPKR, mikey_grant_mpkr(w.grant), WORLD_BOB, &d);
    for (gsize i = 0; i < d.n; i++) {
        if (d.payloads[i].number == MIKEY_IDR)
            d.payloads[i].u.id.data = mikey_bytes_str(CAROL);
    }
    /* bob says that he is carol, with the only key that he has */
    assert_status(answered(&w, &d, &key, MIKEY_TAG_RESP), MIKEY_BAD_MAC);
    g_assert_true(mikey_bytes_equal(mikey_bundle_peer(w.alice).data, mikey_bytes_str(WORLD_BOB)));
    world_clear(&w);
}

/* Who may resolve a ticket has MPKi, and Initiator Data of a call that he got */
static void
p15_vi_must_be_v(void)
{
    World w;
    MikeyBuffer octets;
    Draft d;

    start(&w);
    draft_open(&d, world_octets(&w, WORLD_TRANSFER_INIT));
    d.header.csb_id ^= 1;
    octets = draft_close(&d, NULL, mikey_bytes(NULL, 0));
    close_transfer(&octets, mikey_grant_mpki(w.grant), NULL, COVER_RIGHT);
    assert_status(received(&w, &octets), MIKEY_BAD_INITIATOR_DATA);
    world_clear(&w);
}

/* Reserved bits in a ticket go to the KMS as they came: he may know what they mean */
static void
p16_a_ticket_is_passed_on_as_it_came(void)
{
    World w;
    MikeyBuffer octets, answer = MIKEY_BUFFER_INIT;
    MikeyOffer *offer = NULL;
    MikeyResolve *resolve = NULL;
    MikeyAccount account;
    MikeyMessage *sent = NULL;
    MikeyBytes came, went;
    Draft d;

    start(&w);
    draft_open(&d, world_octets(&w, WORLD_TRANSFER_INIT));
    draft_find(&d, MIKEY_TICKET)->u.ticket.reserved = 0x15;
    octets = draft_close(&d, NULL, mikey_bytes(NULL, 0));
    close_transfer(&octets, mikey_grant_mpki(w.grant), mikey_grant_mpkr(w.grant), COVER_RIGHT);
    assert_status(mikey_offer_open(of(&octets), &w.env, &offer), MIKEY_OK);
    account = world_account(&w, WORLD_BOB);
    assert_status(mikey_resolve_new(offer, &account, &w.env, &resolve), MIKEY_OK);
    assert_status(mikey_message_parse(mikey_resolve_octets(resolve), &sent), MIKEY_OK);
    came = mikey_message_find(mikey_offer_message(offer), MIKEY_TICKET, 0)->octets;
    went = mikey_message_find(sent, MIKEY_TICKET, 0)->octets;
    g_assert_cmpmem(came.data + 1, came.len - 1, went.data + 1, went.len - 1);
    g_assert_cmphex(went.data[7] & 0x1f, ==, 0x15);
    /* this KMS set none */
    assert_status(world_kms_resolve(&w, mikey_resolve_octets(resolve), &answer),
                  MIKEY_BAD_TICKET_MAC);
    mikey_message_free(sent);
    mikey_resolve_free(resolve);
    mikey_offer_free(offer);
    mikey_buffer_clear(&octets);
    world_clear(&w);
}

static void
p17_flags_stand_at_the_top_of_the_third_octet(void)
{
    static const struct {
        guint8 octets[3];
        MikeyStatus status;
    } rows[] = {
        {{0x03, 0xf8, 0x60}, MIKEY_OK},
        {{0x03, 0xf8, 0x03}, MIKEY_BAD_TICKET}, /* N and O at the bottom */
        {{0x81, 0xf8, 0x60}, MIKEY_BAD_PRF},    /* D on top, the PRF below it */
        {{0x01, 0xfc, 0x30}, MIKEY_BAD_TICKET}, /* an octet for the PRF alone, all flags after it */
    };
    World w;

    start(&w);
    for (gsize i = 0; i < G_N_ELEMENTS(rows); i++) {
        MikeyBuffer octets = transfer_copy(&w);
        MikeyOffer *offer = NULL;
        gsize at;
        Draft d;

        draft_open(&d, of(&octets));
        at = (gsize)(mikey_message_find(d.message, MIKEY_TICKET, 0)->octets.data -
                     mikey_message_octets(d.message).data);
        mikey_message_free(d.message);
        memcpy(octets.data + at + 5, rows[i].octets, 3);
        assert_status(mikey_offer_open(of(&octets), &w.env, &offer), rows[i].status);
        mikey_offer_free(offer);
        mikey_buffer_clear(&octets);
    }
    world_clear(&w);
}

static void
p18_the_type_of_a_key_is_the_high_nibble(void)
{
    static const struct {
        guint8 octets[16];
        guint8 len;
        MikeyKeyType type;
        gboolean good;
    } rows[] = {
        {{0, 0x21, 0, 2, 1, 2, 1, 9}, 8, MIKEY_KEY_TEK, TRUE},
        {{0, 0x12, 0, 2, 1, 2, 1, 9}, 8, MIKEY_KEY_TEK, FALSE},        /* nibbles changed round */
        {{0, 0x21, 0, 2, 1, 2, 0, 0, 1, 9}, 10, MIKEY_KEY_TEK, FALSE}, /* a salt where none is */
        {{0, 0x31, 0, 2, 1, 2, 0, 1, 7, 1, 9}, 11, MIKEY_KEY_TEK_SALT, TRUE},
        {{0, 0x31, 0, 2, 1, 2, 1, 9}, 8, MIKEY_KEY_TEK_SALT, FALSE}, /* none where one is */
    };

    for (gsize i = 0; i < G_N_ELEMENTS(rows); i++) {
        MikeyKeyData *keys = g_new0(MikeyKeyData, MIKEY_MAX_KEYS);
        gsize n = 0;
        MikeyStatus status =
            mikey_key_chain_read(mikey_bytes(rows[i].octets, rows[i].len), keys, &n);

        g_assert_cmpint(status == MIKEY_OK, ==, rows[i].good);
        if (rows[i].good)
            g_assert_cmpint(keys[0].type, ==, rows[i].type);
        g_free(keys);
    }
}

static void
p19_the_list_of_protocols_is_there_and_is_text(void)
{
    const MikeyBytes offered[] = {mikey_bytes_str("mikey")};
    World w;
    guint8 hash[MIKEY_DIGEST_LEN];
    Draft d;

    start(&w);
    assert_status(mikey_sdp_ids_check(mikey_offer_message(w.offer), offered, 1), MIKEY_OK);
    assert_status(mikey_digest(offered[0], hash), MIKEY_OK);
    for (guint i = 0; i < 2; i++) {
        MikeyBuffer octets;
        MikeyMessage *message = NULL;

        draft_open(&d, world_octets(&w, WORLD_TRANSFER_INIT));
        if (i == 0)
            draft_drop(&d, MIKEY_GENERAL_EXT);
        else
            draft_find(&d, MIKEY_GENERAL_EXT)->u.ext.data = mikey_bytes(hash, sizeof(hash));
        octets = draft_close(&d, NULL, mikey_bytes(NULL, 0));
        assert_status(mikey_message_parse(of(&octets), &message), MIKEY_OK);
        assert_status(mikey_sdp_ids_check(message, offered, 1), MIKEY_SDP_IDS_DIFFER);
        mikey_message_free(message);
        mikey_buffer_clear(&octets);
    }
    world_clear(&w);
}

/* The answerer finds no session of his own, so nothing would be sent to the caller */
static void
p20_each_direction_has_a_session(void)
{
    World w;
    MikeySrtp there, back;
    MikeyBuffer octets, answer = MIKEY_BUFFER_INIT;
    MikeyOffer *offer = NULL;
    MikeyBundle *bundle = NULL;
    MikeyStatus status;
    Draft d;

    start(&w);
    assert_status(mikey_bundle_srtp(w.alice, MIKEY_CS_OFFERER(1), &there), MIKEY_OK);
    assert_status(mikey_bundle_srtp(w.alice, MIKEY_CS_ANSWERER(1), &back), MIKEY_OK);
    g_assert_false(mikey_key_equal(&there.master_key, &back.master_key));
    g_assert_cmphex(there.ssrc, !=, back.ssrc);
    draft_open(&d, world_octets(&w, WORLD_TRANSFER_INIT));
    d.header.n_cs = 1;
    octets = draft_close(&d, NULL, mikey_bytes(NULL, 0));
    close_transfer(&octets, mikey_grant_mpki(w.grant), mikey_grant_mpkr(w.grant), COVER_RIGHT);
    assert_status(mikey_offer_open(of(&octets), &w.env, &offer), MIKEY_OK);
    status = mikey_offer_verify(offer, w.resolution);
    if (status == MIKEY_OK)
        status = world_answer(&w, offer, &answer, &bundle);
    g_assert_cmpint(status, !=, MIKEY_OK);
    g_assert_null(bundle);
    mikey_offer_free(offer);
    mikey_buffer_clear(&octets);
    world_clear(&w);
}

static gboolean
has_mac(const MikeyBuffer *octets)
{
    MikeyMessage *message = NULL;
    gboolean has;

    assert_status(mikey_message_parse(of(octets), &message), MIKEY_OK);
    has = mikey_message_find(message, MIKEY_V, 0) != NULL ||
          mikey_message_find(message, MIKEY_SIGN, 0) != NULL;
    mikey_message_free(message);
    return has;
}

static void
p21_who_has_proven_nothing_gets_no_mac_and_is_not_believed(void)
{
    World w;
    MikeyQuery *query = NULL;
    MikeyOffer *offer = NULL;
    MikeyBuffer error = MIKEY_BUFFER_INIT;
    MikeyPeerError told = {0, true};
    MikeyBundle *bundle = NULL;
    const MikeyKey other = {.len = 32};

    start(&w);
    assert_status(mikey_query_open(world_octets(&w, WORLD_REQUEST_INIT), &w.env, &query), MIKEY_OK);
    assert_status(mikey_query_authenticate(query, &other), MIKEY_BAD_MAC);
    assert_status(mikey_query_error(query, MIKEY_BAD_MAC, &w.env, &error), MIKEY_OK);
    g_assert_false(has_mac(&error));
    mikey_buffer_clear(&error);
    assert_status(mikey_query_authenticate(query, &w.alice_psk), MIKEY_OK);
    assert_status(mikey_query_error(query, MIKEY_BAD_POLICY, &w.env, &error), MIKEY_OK);
    g_assert_true(has_mac(&error));
    mikey_buffer_clear(&error);
    assert_status(mikey_offer_open(world_octets(&w, WORLD_TRANSFER_INIT), &w.env, &offer),
                  MIKEY_OK);
    assert_status(mikey_offer_error(offer, MIKEY_BAD_MAC, NULL, 0, &w.env, &error), MIKEY_OK);
    g_assert_false(has_mac(&error));
    assert_status(mikey_transfer_finish(w.transfer, of(&error), &w.env, &bundle, &told),
                  MIKEY_PEER_ERROR);
    g_assert_false(told.authentic);
    /* the answer that was there before, or comes after, still works */
    assert_status(mikey_transfer_finish(w.transfer, world_octets(&w, WORLD_TRANSFER_RESP), &w.env,
                                        &bundle, NULL),
                  MIKEY_OK);
    mikey_bundle_free(bundle);
    mikey_buffer_clear(&error);
    mikey_query_free(query);
    mikey_offer_free(offer);
    world_clear(&w);
}

/* ---- 22: keys in freed memory; their comparing; their printing ---- */

typedef struct Watched {
    MikeyKey keys[16];
    guint n;
    guint n_blocks;
    GHashTable *sizes;
} Watched;

static void *
watched_alloc(size_t size, void *data)
{
    void *block = malloc(size);

    g_hash_table_insert(((Watched *)data)->sizes, block, GSIZE_TO_POINTER(size));
    return block;
}

static void
watched_release(void *block, void *data)
{
    Watched *watched = data;
    gsize size = GPOINTER_TO_SIZE(g_hash_table_lookup(watched->sizes, block));

    if (block == NULL)
        return;
    watched->n_blocks++;
    for (guint i = 0; i < watched->n; i++)
        for (gsize at = 0; at + 12 <= size; at++)
            if (memcmp((guint8 *)block + at, watched->keys[i].bytes, 12) == 0)
                g_error("key %u in a freed block of %zu octets, at %zu", i, size, at);
    g_hash_table_remove(watched->sizes, block);
    free(block);
}

static void
no_key_in_it(const char *line, void *data)
{
    const Watched *watched = data;

    for (guint i = 0; i < watched->n; i++) {
        g_autoptr(GString) hex = g_string_new(NULL);

        for (guint k = 0; k < 6; k++)
            g_string_append_printf(hex, "%02x", watched->keys[i].bytes[k]);
        g_assert_null(strstr(line, hex->str));
    }
}

static void
watch(Watched *watched, const MikeyKey *key)
{
    g_assert_cmpuint(key->len, >=, 12);
    g_assert_cmpuint(watched->n, <, G_N_ELEMENTS(watched->keys));
    watched->keys[watched->n++] = *key;
}

/* The world is the same each time, so the keys are known before */
static void
p22_freed_memory_and_print_hold_no_key(void)
{
    Watched watched = {.sizes = g_hash_table_new(NULL, NULL)};
    const MikeyAllocator allocator = {watched_alloc, watched_release, &watched};
    MikeyTicketSecrets *secrets = g_new0(MikeyTicketSecrets, 1);
    MikeySrtp srtp;
    World w;
    Draft d;
    MikeyKey key;

    start(&w);
    watch(&watched, &w.alice_psk);
    watch(&watched, &w.bob_psk);
    watch(&watched, &w.tpk);
    assert_status(mikey_ticket_open(mikey_grant_ticket(w.grant), &w.tpk, secrets), MIKEY_OK);
    watch(&watched, &secrets->mpk);
    watch(&watched, &secrets->mpki);
    watch(&watched, &secrets->mpkr);
    watch(&watched, &secrets->keys[0].key);
    draft_open(&d, world_octets(&w, WORLD_TRANSFER_RESP));
    key = forked(MIKEY_C_FORK_MPKR, &secrets->mpkr, WORLD_BOB, &d);
    watch(&watched, &key);
    key = forked(MIKEY_C_FORK_TGK, &secrets->keys[0].key, WORLD_BOB, &d);
    watch(&watched, &key);
    mikey_message_free(d.message);
    for (guint8 cs = 1; cs <= 4; cs++) {
        assert_status(mikey_bundle_srtp(w.bob, cs, &srtp), MIKEY_OK);
        watch(&watched, &srtp.master_key);
    }
    for (guint i = 0; i < WORLD_N_MESSAGES; i++) {
        MikeyMessage *message = NULL;

        assert_status(mikey_message_parse(world_octets(&w, (WorldMessage)i), &message), MIKEY_OK);
        mikey_print(message, no_key_in_it, &watched);
        mikey_message_free(message);
    }
    world_clear(&w);
    mikey_set_allocator(&allocator);
    start(&w);
    assert_status(mikey_ticket_open(mikey_grant_ticket(w.grant), &w.tpk, secrets), MIKEY_OK);
    g_assert_true(mikey_key_equal(&secrets->mpk, &watched.keys[3]));
    assert_status(mikey_bundle_srtp(w.bob, 1, &srtp), MIKEY_OK);
    mikey_bundle_free(w.bob);
    w.bob = NULL;
    /* and where it fails in the end */
    w.messages[WORLD_TRANSFER_RESP].data[w.messages[WORLD_TRANSFER_RESP].len - 1] ^= 1;
    assert_status(mikey_transfer_finish(w.transfer, world_octets(&w, WORLD_TRANSFER_RESP), &w.env,
                                        &w.bob, NULL),
                  MIKEY_BAD_MAC);
    world_clear(&w);
    mikey_set_allocator(NULL);
    g_assert_cmpuint(watched.n_blocks, >, 50);
    g_assert_cmpuint(g_hash_table_size(watched.sizes), ==, 0);
    g_hash_table_unref(watched.sizes);
    mikey_ticket_secrets_clear(secrets);
    g_free(secrets);
}

static void
p23_lengths_end_where_their_container_does(void)
{
    World w;
    Draft d;
    gsize places[3], n = 0;

    start(&w);
    draft_open(&d, world_octets(&w, WORLD_TRANSFER_INIT));
    {
        const MikeyPayload *p = mikey_message_find(d.message, MIKEY_TICKET, 0);
        const guint8 *begin = mikey_message_octets(d.message).data;

        places[n++] = (gsize)(p->u.ticket.tp_data.data - begin) - 2;
        places[n++] = (gsize)(p->u.ticket.ticket_data.data - begin) - 2;
        places[n++] = (gsize)(p->u.ticket.initiator_data.data - begin) - 2;
    }
    mikey_message_free(d.message);
    for (gsize i = 0; i < n; i++) {
        static const gint changes[] = {1, -1, 2, 32, 0x100, -0x8000, 0x7fff, -1000000, 1000000};

        for (gsize k = 0; k < G_N_ELEMENTS(changes); k++) {
            MikeyBuffer octets = transfer_copy(&w);
            guint8 *at = octets.data + places[i];
            gint is = at[0] << 8 | at[1], new = CLAMP(is + changes[k], 0, 0xffff);
            g_autofree guint8 *exact = NULL;
            MikeyOffer *offer = NULL;

            at[0] = (guint8)(new >> 8);
            at[1] = (guint8) new;
            exact = g_memdup2(octets.data, octets.len); /* a block that ends with the message */
            g_assert_cmpint(mikey_offer_open(mikey_bytes(exact, octets.len), &w.env, &offer), !=,
                            MIKEY_OK);
            g_assert_null(offer);
            mikey_buffer_clear(&octets);
        }
    }
    world_clear(&w);
}

static void
p24_seconds_without_the_top_bit_are_after_2036(void)
{
    World w;
    MikeyPolicy policy = mikey_policy_default();
    MikeyIdentity bob = mikey_identity_uri(WORLD_BOB);
    MikeyBuffer octets;
    MikeyOffer *offer = NULL;
    Draft d;

    start(&w);
    draft_open(&d, world_octets(&w, WORLD_TRANSFER_INIT));
    draft_find(&d, MIKEY_T)->u.timestamp.value &= ~((MikeyNtp)1 << 63);
    octets = draft_close(&d, NULL, mikey_bytes(NULL, 0));
    assert_status(mikey_offer_open(of(&octets), &w.env, &offer), MIKEY_BAD_TIME);
    mikey_buffer_clear(&octets);
    /* a ticket that ends in 2040 has not ended in 1904, and one that begins then has not begun */
    policy.responders = &bob;
    policy.n_responders = 1;
    policy.has_end = true;
    policy.end_unix = mikey_ntp32_to_unix(0x08000000);
    assert_status(mikey_policy_check(&policy, true, &w.env), MIKEY_OK);
    policy.has_start = true;
    policy.start_unix = mikey_ntp32_to_unix(0x07000000);
    assert_status(mikey_policy_check(&policy, true, &w.env), MIKEY_NOT_VALID);
    world_clear(&w);
}

static const struct {
    const char *name;
    void (*test)(void);
} pits[] = {
#define PIT(name)                                                                                  \
    {                                                                                              \
#name, name                                                                                \
    }
    PIT(p01_next_payload_names_the_following_one),
    PIT(p02_identities_are_covered_as_they_are),
    PIT(p03_a_mac_skips_initiator_data_with_its_length),
    PIT(p04_the_algorithm_of_a_mac_is_covered_and_the_mac_is_not),
    PIT(p05_answers_have_keys_of_their_own_and_resolve_has_its_rand_in_the_second_place),
    PIT(p06_an_absent_rand_is_an_octet_and_an_identity_has_two_for_its_length),
    PIT(p07_keys_go_into_the_prf_by_256_bits),
    PIT(p08_message_keys_are_as_long_as_their_algorithms_want),
    PIT(p09_a_session_key_knows_its_session_and_no_bundle),
    PIT(p10_keys_are_forked_for_who_answers),
    PIT(p11_what_is_not_forked),
    PIT(p12_vr_is_under_mpkr_and_the_answer_under_the_forked_one),
    PIT(p13_each_message_has_a_time_of_its_own),
    PIT(p14_who_has_answered_is_believed_after_the_mac),
    PIT(p15_vi_must_be_v),
    PIT(p16_a_ticket_is_passed_on_as_it_came),
    PIT(p17_flags_stand_at_the_top_of_the_third_octet),
    PIT(p18_the_type_of_a_key_is_the_high_nibble),
    PIT(p19_the_list_of_protocols_is_there_and_is_text),
    PIT(p20_each_direction_has_a_session),
    PIT(p21_who_has_proven_nothing_gets_no_mac_and_is_not_believed),
    PIT(p22_freed_memory_and_print_hold_no_key),
    PIT(p23_lengths_end_where_their_container_does),
    PIT(p24_seconds_without_the_top_bit_are_after_2036),
#undef PIT
};

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    for (gsize i = 0; i < G_N_ELEMENTS(pits); i++) {
        g_autofree char *name = g_strdup_printf("/mikey/pitfalls/%s", pits[i].name);

        g_test_add_func(g_strdelimit(name, "_", '-'), pits[i].test);
    }
    return g_test_run();
}
