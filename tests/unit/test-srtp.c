/* SPDX-License-Identifier: Apache-2.0 */
/* The SRTP transform: published vectors, and our own judged octet by octet by libsrtp2. */
#include "media/media.h"
#include "media/srtp-private.h"
#include "media/wire.h"

#include <openssl/crypto.h>
#include <openssl/rand.h>
#include <stdlib.h>
#include <string.h>

#define ROOM 2048

typedef struct Packet {
    uint8_t bytes[ROOM];
    size_t len;
} Packet;

/* ---- small tools -------------------------------------------------------------------------- */

static guint64 random_state = 0x9e3779b97f4a7c15u;

static guint32
rnd(guint32 below)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return (guint32)(random_state >> 32) % below;
}

static void
fill(uint8_t *out, size_t len)
{
    for (size_t i = 0; i < len; i++)
        out[i] = (uint8_t)rnd(256);
}

static void
make_keys(ClvSrtpKeys *out, ClvSrtpSuite suite, guint8 mki_len)
{
    const ClvSrtpProfile *profile = clv_srtp_profile(suite);

    *out = (ClvSrtpKeys){.suite = suite,
                         .key_len = profile->key_len,
                         .salt_len = profile->salt_len,
                         .mki_len = mki_len};
    fill(out->key, out->key_len);
    fill(out->salt, out->salt_len);
    fill(out->mki, mki_len);
}

static void
make_rtp(Packet *out, uint32_t ssrc, uint16_t seq, size_t payload_len, guint n_csrc, gboolean ext)
{
    ClvWriter w = {.next = out->bytes, .left = ROOM};

    clv_write_u8(&w, (uint8_t)(0x80 | (ext ? 0x10 : 0) | n_csrc));
    clv_write_u8(&w, 8);
    clv_write_u16(&w, seq);
    clv_write_u32(&w, 160u * seq);
    clv_write_u32(&w, ssrc);
    for (guint i = 0; i < n_csrc; i++)
        clv_write_u32(&w, i);
    if (ext) {
        clv_write_u32(&w, 0xbede0002);
        clv_write_u32(&w, 0x10ff0000);
        clv_write_u32(&w, 0);
    }
    fill(w.next, payload_len);
    out->len = ROOM - w.left + payload_len;
}

static void
make_rtcp(Packet *out, uint32_t ssrc, size_t len)
{
    fill(out->bytes, len);
    out->bytes[0] = 0x80;
    out->bytes[1] = 201;
    clv_store_u32(out->bytes + 4, ssrc);
    out->len = len;
}

static ClvSrtp *
open_or_die(ClvSrtpEngine engine, const ClvSrtpKeys *keys, ClvSrtpSide side)
{
    GError *error = NULL;
    ClvSrtp *srtp = clv_srtp_new(engine, keys, side, &error);

    g_assert_no_error(error);
    return srtp;
}

static ClvSrtpVerdict
seal(ClvSrtp *srtp, Packet *packet, gboolean rtcp)
{
    return rtcp ? clv_srtp_protect_rtcp(srtp, packet->bytes, &packet->len, ROOM)
                : clv_srtp_protect_rtp(srtp, packet->bytes, &packet->len, ROOM);
}

static ClvSrtpVerdict
unseal(ClvSrtp *srtp, Packet *packet, gboolean rtcp)
{
    return rtcp ? clv_srtp_unprotect_rtcp(srtp, packet->bytes, &packet->len)
                : clv_srtp_unprotect_rtp(srtp, packet->bytes, &packet->len);
}

static void
assert_same(const Packet *a, const Packet *b)
{
    g_assert_cmpmem(a->bytes, a->len, b->bytes, b->len);
}

/* ---- published vectors -------------------------------------------------------------------- */

static GKeyFile *
vectors(void)
{
    g_autofree char *path = g_test_build_filename(G_TEST_DIST, "tests/vectors/srtp.ini", NULL);
    GKeyFile *file = g_key_file_new();
    GError *error = NULL;

    g_key_file_load_from_file(file, path, G_KEY_FILE_NONE, &error);
    g_assert_no_error(error);
    return file;
}

static size_t
hex(GKeyFile *file, const char *group, const char *key, uint8_t *out, size_t room)
{
    g_autofree char *text = g_key_file_get_string(file, group, key, NULL);
    size_t len;

    g_assert_nonnull(text);
    len = strlen(text) / 2;
    g_assert_cmpuint(len, <=, room);
    for (size_t i = 0; i < len; i++)
        out[i] = (uint8_t)(g_ascii_xdigit_value(text[2 * i]) << 4 |
                           g_ascii_xdigit_value(text[2 * i + 1]));
    return len;
}

static void
test_derivation_vectors(void)
{
    g_autoptr(GKeyFile) file = vectors();
    g_auto(GStrv) groups = g_key_file_get_groups(file, NULL);
    guint n = 0;

    for (char **group = groups; *group != NULL; group++) {
        uint8_t key[32], salt[14], want[128], got[128];
        size_t key_len, salt_len;

        if (!g_str_has_prefix(*group, "derive "))
            continue;
        key_len = hex(file, *group, "key", key, sizeof key);
        salt_len = hex(file, *group, "salt", salt, sizeof salt);
        for (uint8_t label = 0; label < 3; label++) {
            g_autofree char *name = g_strdup_printf("label-%u", label);
            size_t len = hex(file, *group, name, want, sizeof want);

            g_assert_true(clv_srtp_derive(key, key_len, salt, salt_len, label, got, len));
            g_assert_cmpmem(got, len, want, len);
            n++;
        }
    }
    g_assert_cmpuint(n, ==, 6);
}

static ClvSrtpSuite
suite_by_name(const char *name)
{
    for (int s = 0; s < CLV_N_SRTP_SUITES; s++) {
        const ClvSrtpProfile *profile = clv_srtp_profile((ClvSrtpSuite)s);

        if (profile != NULL && strcmp(profile->name, name) == 0)
            return (ClvSrtpSuite)s;
    }
    g_assert_not_reached();
}

static void
test_gcm_vectors(void)
{
    g_autoptr(GKeyFile) file = vectors();
    g_auto(GStrv) groups = g_key_file_get_groups(file, NULL);
    guint n = 0;

    for (char **group = groups; *group != NULL; group++) {
        gboolean rtcp = g_str_has_prefix(*group, "report ");
        ClvSrtpSessionKeys keys = {0};
        g_autofree char *name = NULL;
        g_autoptr(ClvSrtp) send = NULL, receive = NULL;
        Packet plain, sealed, work;

        if (!rtcp && !g_str_has_prefix(*group, "packet "))
            continue;
        name = g_key_file_get_string(file, *group, "suite", NULL);
        hex(file, *group, "key", keys.key, sizeof keys.key);
        hex(file, *group, "salt", keys.salt, sizeof keys.salt);
        plain.len = hex(file, *group, "plain", plain.bytes, ROOM);
        sealed.len = hex(file, *group, "sealed", sealed.bytes, ROOM);

        receive = clv_srtp_new_from_session(suite_by_name(name), CLV_SRTP_RECEIVE, &keys, &keys);
        work = sealed;
        g_assert_cmpint(unseal(receive, &work, rtcp), ==, CLV_SRTP_OK);
        assert_same(&work, &plain);
        n++;
        if (rtcp)
            continue; /* our index starts at zero, the vector's does not */
        send = clv_srtp_new_from_session(suite_by_name(name), CLV_SRTP_SEND, &keys, &keys);
        work = plain;
        g_assert_cmpint(seal(send, &work, rtcp), ==, CLV_SRTP_OK);
        assert_same(&work, &sealed);
    }
    g_assert_cmpuint(n, ==, 4);
}

/* ---- each against the other --------------------------------------------------------------- */

typedef struct Case {
    ClvSrtpSuite suite;
    guint8 mki_len;
} Case;

typedef struct Pair {
    ClvSrtpKeys keys;
    ClvSrtp *send[2], *receive[2]; /* by engine */
} Pair;

static void
pair_open(Pair *pair, const Case *c, uint32_t ssrc, uint32_t roc)
{
    make_keys(&pair->keys, c->suite, c->mki_len);
    pair->keys.has_ssrc = roc != 0;
    pair->keys.ssrc = ssrc;
    pair->keys.roc = roc;
    for (int e = 0; e < 2; e++) {
        pair->send[e] = open_or_die((ClvSrtpEngine)e, &pair->keys, CLV_SRTP_SEND);
        pair->receive[e] = open_or_die((ClvSrtpEngine)e, &pair->keys, CLV_SRTP_RECEIVE);
    }
}

static void
pair_close(Pair *pair)
{
    for (int e = 0; e < 2; e++) {
        clv_srtp_free(pair->send[e]);
        clv_srtp_free(pair->receive[e]);
    }
}

/* Both seal alike. Reports: libsrtp2 counts from 1 and we from 0, so ours sends one ahead. */
static void
seal_alike(Pair *pair, const Packet *plain, gboolean rtcp, Packet *out)
{
    Packet theirs = *plain;

    *out = *plain;
    g_assert_cmpint(seal(pair->send[CLV_SRTP_OPENSSL], out, rtcp), ==, CLV_SRTP_OK);
    g_assert_cmpint(seal(pair->send[CLV_SRTP_LIBSRTP], &theirs, rtcp), ==, CLV_SRTP_OK);
    assert_same(out, &theirs);
}

/* libsrtp2 2.5 writes the MKI of a report where RFC 3711 has it, in front of the 80-bit tag, but
 * looks for it at the distance of RTP's tag: with the short tag it cannot read its own reports. */
static gboolean
judge_misplaces_mki(const ClvSrtpKeys *keys)
{
    const ClvSrtpProfile *profile = clv_srtp_profile(keys->suite);

    return keys->mki_len > 0 && profile->rtp_tag_len != profile->rtcp_tag_len;
}

/* Both judge alike, and what they accept is the same plain text. */
static ClvSrtpVerdict
open_alike(Pair *pair, const Packet *sealed, gboolean rtcp, const Packet *plain)
{
    Packet ours = *sealed, theirs = *sealed;
    ClvSrtpVerdict verdict = unseal(pair->receive[CLV_SRTP_OPENSSL], &ours, rtcp);
    ClvSrtpVerdict judge = unseal(pair->receive[CLV_SRTP_LIBSRTP], &theirs, rtcp);

    if (rtcp && judge_misplaces_mki(&pair->keys)) {
        if (verdict == CLV_SRTP_OK && plain != NULL)
            assert_same(&ours, plain);
        return verdict;
    }
    g_assert_cmpint(verdict, ==, judge);
    if (verdict != CLV_SRTP_OK)
        return verdict;
    assert_same(&ours, &theirs);
    if (plain != NULL)
        assert_same(&ours, plain);
    return verdict;
}

static void
align_report_index(Pair *pair, uint32_t ssrc)
{
    Packet packet;

    make_rtcp(&packet, ssrc, 28);
    g_assert_cmpint(seal(pair->send[CLV_SRTP_OPENSSL], &packet, TRUE), ==, CLV_SRTP_OK);
}

static void
test_same_octets(gconstpointer data)
{
    const uint32_t ssrc = 0xcafe0001;
    Pair pair;

    pair_open(&pair, data, ssrc, 0);
    align_report_index(&pair, ssrc);
    for (guint i = 0; i < 400; i++) {
        Packet plain, sealed;

        make_rtp(&plain, ssrc, (uint16_t)i, i % 7 == 0 ? rnd(1200) : 160, i % 16, i % 5 == 0);
        seal_alike(&pair, &plain, FALSE, &sealed);
        g_assert_cmpint(open_alike(&pair, &sealed, FALSE, &plain), ==, CLV_SRTP_OK);

        make_rtcp(&plain, ssrc, 8 + 4 * (size_t)rnd(100));
        seal_alike(&pair, &plain, TRUE, &sealed);
        g_assert_cmpint(open_alike(&pair, &sealed, TRUE, &plain), ==, CLV_SRTP_OK);
    }
    pair_close(&pair);
}

/* Loss, reordering and repeats around the window's edge; the two must agree on each packet. */
static void
test_same_replay_verdicts(gconstpointer data)
{
    enum { N = 3000 };
    const uint32_t ssrc = 0x00c0ffee;
    g_autofree Packet *sent[2] = {g_new(Packet, N), g_new(Packet, N)};
    guint seen[CLV_N_SRTP_VERDICTS] = {0};
    guint at = 0;
    Pair pair;

    pair_open(&pair, data, ssrc, 0);
    align_report_index(&pair, ssrc);
    for (guint i = 0; i < N; i++) {
        Packet plain;

        make_rtp(&plain, ssrc, (uint16_t)(64000 + i), 20, 0, FALSE); /* wraps once */
        seal_alike(&pair, &plain, FALSE, &sent[0][i]);
        make_rtcp(&plain, ssrc, 28);
        seal_alike(&pair, &plain, TRUE, &sent[1][i]);
    }
    while (at < N) {
        guint back = rnd(4) == 0 ? rnd(300) : rnd(6);
        guint pick = at > back ? at - back : at;

        for (int rtcp = 0; rtcp < 2; rtcp++)
            seen[open_alike(&pair, &sent[rtcp][pick], rtcp, NULL)]++;
        at += rnd(3);
        if (rnd(200) == 0)
            at += rnd(250);
    }
    g_assert_cmpuint(seen[CLV_SRTP_OK], >, 1000);
    g_assert_cmpuint(seen[CLV_SRTP_REPLAYED], >, 100);
    g_assert_cmpuint(seen[CLV_SRTP_TOO_OLD], >, 10);
    g_assert_cmpuint(seen[CLV_SRTP_AUTH_FAILED], ==, 0);
    pair_close(&pair);
    g_free(sent[1]);
}

static void
test_same_over_rollovers(gconstpointer data)
{
    const uint32_t ssrc = 0x5eed, roc = 0xfffe;
    Pair pair;
    uint16_t seq = 100;

    pair_open(&pair, data, ssrc, roc);
    for (guint i = 0; i < 40; i++) {
        uint32_t counter[2] = {0};
        Packet plain, sealed;

        make_rtp(&plain, ssrc, seq, 40, 0, FALSE);
        seal_alike(&pair, &plain, FALSE, &sealed);
        g_assert_cmpint(open_alike(&pair, &sealed, FALSE, &plain), ==, CLV_SRTP_OK);
        for (int e = 0; e < 2; e++)
            g_assert_true(clv_srtp_get_roc(pair.receive[e], ssrc, &counter[e]));
        g_assert_cmpuint(counter[0], ==, counter[1]);
        seq = (uint16_t)(seq + 1 + rnd(30000));
    }
    pair_close(&pair);
}

/* The first packet must decide: a wrong counter authenticates nothing. */
static void
test_wrong_rollover_is_refused(gconstpointer data)
{
    Pair right, wrong;
    Packet plain, sealed;

    pair_open(&right, data, 7, 3);
    wrong = right;
    right.keys.roc = 4;
    for (int e = 0; e < 2; e++)
        wrong.receive[e] = open_or_die((ClvSrtpEngine)e, &right.keys, CLV_SRTP_RECEIVE);
    make_rtp(&plain, 7, 9000, 160, 0, FALSE);
    seal_alike(&right, &plain, FALSE, &sealed);
    g_assert_cmpint(open_alike(&wrong, &sealed, FALSE, NULL), ==, CLV_SRTP_AUTH_FAILED);
    for (int e = 0; e < 2; e++) {
        g_assert_true(clv_srtp_set_roc(wrong.receive[e], 7, 3));
        clv_srtp_free(right.receive[e]);
    }
    g_assert_cmpint(open_alike(&wrong, &sealed, FALSE, &plain), ==, CLV_SRTP_OK);
    pair_close(&wrong);
}

static void
test_every_octet_is_guarded(gconstpointer data)
{
    const uint32_t ssrc = 0x11223344;
    Pair pair;
    Packet plain, sealed[2], bad;

    pair_open(&pair, data, ssrc, 0);
    align_report_index(&pair, ssrc);
    make_rtp(&plain, ssrc, 500, 160, 3, TRUE);
    seal_alike(&pair, &plain, FALSE, &sealed[0]);
    make_rtcp(&plain, ssrc, 76);
    seal_alike(&pair, &plain, TRUE, &sealed[1]);

    for (int rtcp = 0; rtcp < 2; rtcp++) {
        for (size_t i = 0; i < sealed[rtcp].len; i++) {
            Packet ours, theirs;

            bad = sealed[rtcp];
            bad.bytes[i] ^= (uint8_t)(1u << rnd(8));
            ours = theirs = bad;
            g_assert_cmpint(unseal(pair.receive[0], &ours, rtcp), !=, CLV_SRTP_OK);
            g_assert_cmpint(unseal(pair.receive[1], &theirs, rtcp), !=, CLV_SRTP_OK);
        }
        for (size_t len = 0; len < sealed[rtcp].len; len++) {
            g_autofree uint8_t *exact = g_memdup2(sealed[rtcp].bytes, len);

            for (int e = 0; e < 2; e++) {
                size_t n = len;
                ClvSrtpVerdict verdict = rtcp ? clv_srtp_unprotect_rtcp(pair.receive[e], exact, &n)
                                              : clv_srtp_unprotect_rtp(pair.receive[e], exact, &n);

                g_assert_cmpint(verdict, !=, CLV_SRTP_OK);
                g_assert_cmpuint(n, ==, len);
                if (len > 0)
                    memcpy(exact, sealed[rtcp].bytes, len);
            }
        }
        /* nothing of this has changed any state: the true one still passes */
        g_assert_cmpint(open_alike(&pair, &sealed[rtcp], rtcp, NULL), ==, CLV_SRTP_OK);
    }
    pair_close(&pair);
}

static void
test_another_mki_is_named(gconstpointer data)
{
    Pair pair;
    Packet plain, sealed;
    const Case *c = data;

    pair_open(&pair, data, 1, 0);
    make_rtp(&plain, 1, 1, 160, 0, FALSE);
    seal_alike(&pair, &plain, FALSE, &sealed);
    if (c->mki_len > 0) {
        const ClvSrtpProfile *profile = clv_srtp_profile(c->suite);

        sealed.bytes[sealed.len - 1 - (profile->aead ? 0 : profile->rtp_tag_len)] ^= 1;
        g_assert_cmpint(open_alike(&pair, &sealed, FALSE, NULL), ==, CLV_SRTP_UNKNOWN_MKI);
    }
    pair_close(&pair);
}

/* ---- what our own promises ---------------------------------------------------------------- */

static void
test_forged_ssrcs_take_no_stream(void)
{
    Case c = {CLV_SRTP_AES_CM_128_HMAC_SHA1_80, 0};
    Pair pair;
    Packet plain, sealed;

    pair_open(&pair, &c, 0, 0);
    for (uint32_t i = 0; i < 1000; i++) {
        make_rtp(&plain, 5000 + i, 1, 170, 0, FALSE);
        g_assert_cmpint(unseal(pair.receive[0], &plain, FALSE), ==, CLV_SRTP_AUTH_FAILED);
    }
    for (uint32_t i = 0; i < CLV_SRTP_MAX_SSRCS + 2; i++) {
        ClvSrtpVerdict want = i < CLV_SRTP_MAX_SSRCS ? CLV_SRTP_OK : CLV_SRTP_TOO_MANY_SSRCS;
        g_autoptr(ClvSrtp) send = open_or_die(CLV_SRTP_OPENSSL, &pair.keys, CLV_SRTP_SEND);

        make_rtp(&plain, i, 1, 160, 0, FALSE);
        sealed = plain;
        g_assert_cmpint(seal(send, &sealed, FALSE), ==, CLV_SRTP_OK);
        g_assert_cmpint(open_alike(&pair, &sealed, FALSE, &plain), ==, want);
    }
    pair_close(&pair);
}

static void
test_an_index_is_never_sent_twice(void)
{
    Case c = {CLV_SRTP_AEAD_AES_256_GCM, 0};
    Packet first, again;
    Pair pair;

    pair_open(&pair, &c, 0, 0);
    for (int e = 0; e < 2; e++) {
        make_rtp(&first, 1, 1, 160, 0, FALSE);
        again = first;
        g_assert_cmpint(seal(pair.send[e], &first, FALSE), ==, CLV_SRTP_OK);
        g_assert_cmpint(seal(pair.send[e], &again, FALSE), ==, CLV_SRTP_REPLAYED);
    }
    pair_close(&pair);
}

static void
test_keys_expire_with_the_last_index(void)
{
    ClvSrtpKeys keys;
    g_autoptr(ClvSrtp) send = NULL;
    Packet packet;

    make_keys(&keys, CLV_SRTP_AES_CM_128_HMAC_SHA1_80, 0);
    keys.has_ssrc = TRUE;
    keys.ssrc = 1;
    keys.roc = 0xffffffff;
    send = open_or_die(CLV_SRTP_OPENSSL, &keys, CLV_SRTP_SEND);
    make_rtp(&packet, 1, 0xffff, 160, 0, FALSE);
    g_assert_cmpint(seal(send, &packet, FALSE), ==, CLV_SRTP_OK);
    make_rtp(&packet, 1, 0, 160, 0, FALSE);
    g_assert_cmpint(seal(send, &packet, FALSE), ==, CLV_SRTP_EXPIRED);
}

/* New keys with the old counters: what both ends do after a re-INVITE in mid-stream. */
static void
test_rekeying_keeps_the_counter(gconstpointer data)
{
    const Case *c = data;
    const uint32_t ssrc = 0xabcd;
    Pair old, fresh;
    Packet plain, sealed, last;

    pair_open(&old, c, ssrc, 2);
    make_rtp(&plain, ssrc, 0xfffe, 160, 0, FALSE);
    seal_alike(&old, &plain, FALSE, &last);
    g_assert_cmpint(open_alike(&old, &last, FALSE, &plain), ==, CLV_SRTP_OK);

    pair_open(&fresh, c, ssrc, 0);
    for (int e = 0; e < 2; e++) {
        clv_srtp_carry(fresh.send[e], old.send[e]);
        clv_srtp_carry(fresh.receive[e], old.receive[e]);
    }
    for (uint32_t i = 0; i < 4; i++) { /* 0xffff, then the wrap */
        uint32_t roc = 0;

        make_rtp(&plain, ssrc, (uint16_t)(0xffff + i), 160, 0, FALSE);
        seal_alike(&fresh, &plain, FALSE, &sealed);
        g_assert_cmpint(open_alike(&fresh, &sealed, FALSE, &plain), ==, CLV_SRTP_OK);
        g_assert_true(clv_srtp_get_roc(fresh.receive[0], ssrc, &roc));
        g_assert_cmpuint(roc, ==, i == 0 ? 2 : 3);
    }
    g_assert_cmpint(open_alike(&fresh, &last, FALSE, NULL), !=, CLV_SRTP_OK);
    pair_close(&old);
    pair_close(&fresh);
}

/* The same keys again: what has been heard stays heard. */
static void
test_the_same_keys_keep_the_replay_window(void)
{
    Case c = {CLV_SRTP_AES_CM_128_HMAC_SHA1_80, 0};
    Pair pair;
    Packet plain, sealed, copy;
    g_autoptr(ClvSrtp) again = NULL;

    pair_open(&pair, &c, 0, 0);
    make_rtp(&plain, 1, 77, 160, 0, FALSE);
    seal_alike(&pair, &plain, FALSE, &sealed);
    copy = sealed;
    g_assert_cmpint(unseal(pair.receive[0], &copy, FALSE), ==, CLV_SRTP_OK);
    again = open_or_die(CLV_SRTP_OPENSSL, &pair.keys, CLV_SRTP_RECEIVE);
    clv_srtp_carry(again, pair.receive[0]);
    copy = sealed;
    g_assert_cmpint(unseal(again, &copy, FALSE), ==, CLV_SRTP_REPLAYED);
    pair_close(&pair);
}

static void
test_no_room_leaves_the_packet_alone(void)
{
    ClvSrtpKeys keys;
    g_autoptr(ClvSrtp) send = NULL;
    Packet packet, before;

    make_keys(&keys, CLV_SRTP_AES_CM_128_HMAC_SHA1_80, 4);
    send = open_or_die(CLV_SRTP_OPENSSL, &keys, CLV_SRTP_SEND);
    make_rtp(&packet, 1, 1, 160, 0, FALSE);
    before = packet;
    g_assert_cmpint(clv_srtp_protect_rtp(send, packet.bytes, &packet.len, packet.len + 13), ==,
                    CLV_SRTP_NO_ROOM);
    assert_same(&packet, &before);
    g_assert_cmpint(clv_srtp_protect_rtp(send, packet.bytes, &packet.len, packet.len + 14), ==,
                    CLV_SRTP_OK);
}

static void
test_keys_must_fit_their_suite(void)
{
    ClvSrtpKeys keys;

    for (int e = 0; e < CLV_N_SRTP_ENGINES; e++) {
        g_autoptr(GError) error = NULL;

        make_keys(&keys, CLV_SRTP_AEAD_AES_256_GCM, 0);
        keys.salt_len = 14;
        g_assert_null(clv_srtp_new((ClvSrtpEngine)e, &keys, CLV_SRTP_SEND, &error));
        g_assert_error(error, CLV_MEDIA_ERROR, CLV_MEDIA_ERROR_SRTP);
        g_clear_error(&error);
        keys = (ClvSrtpKeys){.suite = CLV_SRTP_NONE};
        g_assert_null(clv_srtp_new((ClvSrtpEngine)e, &keys, CLV_SRTP_SEND, &error));
        g_assert_error(error, CLV_MEDIA_ERROR, CLV_MEDIA_ERROR_SRTP);
    }
}

static guint64 allocations;

static void *
counting_malloc(size_t len, const char *file, int line)
{
    allocations++;
    return malloc(len);
}

static void *
counting_realloc(void *old, size_t len, const char *file, int line)
{
    allocations++;
    return realloc(old, len);
}

static void
plain_free(void *old, const char *file, int line)
{
    free(old);
}

static void
test_packets_allocate_nothing(gconstpointer data)
{
    const Case *c = data;
    ClvSrtpKeys keys;
    g_autoptr(ClvSrtp) send = NULL, receive = NULL;
    guint64 before;

    make_keys(&keys, c->suite, c->mki_len);
    send = open_or_die(CLV_SRTP_OPENSSL, &keys, CLV_SRTP_SEND);
    receive = open_or_die(CLV_SRTP_OPENSSL, &keys, CLV_SRTP_RECEIVE);
    before = allocations;
    g_assert_cmpuint(before, >, 0); /* the counter counts */
    for (uint32_t i = 0; i < 200; i++) {
        gboolean rtcp = i % 10 == 0;
        Packet packet, forged;

        if (rtcp)
            make_rtcp(&packet, i % 4, 60);
        else
            make_rtp(&packet, i % 4, (uint16_t)i, 160, 0, FALSE);
        g_assert_cmpint(seal(send, &packet, rtcp), ==, CLV_SRTP_OK);
        forged = packet;
        forged.bytes[20] ^= 1;
        g_assert_cmpint(unseal(receive, &forged, rtcp), ==, CLV_SRTP_AUTH_FAILED);
        g_assert_cmpint(unseal(receive, &packet, rtcp), ==, CLV_SRTP_OK);
    }
    g_assert_cmpuint(allocations, ==, before);
}

int
main(int argc, char **argv)
{
    static const struct {
        const char *name;
        void (*test)(gconstpointer);
    } per_case[] = {
        {"same-octets", test_same_octets},
        {"same-replay-verdicts", test_same_replay_verdicts},
        {"same-over-rollovers", test_same_over_rollovers},
        {"wrong-rollover-is-refused", test_wrong_rollover_is_refused},
        {"every-octet-is-guarded", test_every_octet_is_guarded},
        {"another-mki-is-named", test_another_mki_is_named},
        {"rekeying-keeps-the-counter", test_rekeying_keeps_the_counter},
        {"packets-allocate-nothing", test_packets_allocate_nothing},
    };
    static Case cases[2 * CLV_N_SRTP_SUITES];
    guint n = 0;

    CRYPTO_set_mem_functions(counting_malloc, counting_realloc, plain_free);
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/srtp/derivation-vectors", test_derivation_vectors);
    g_test_add_func("/srtp/gcm-vectors", test_gcm_vectors);
    g_test_add_func("/srtp/forged-ssrcs-take-no-stream", test_forged_ssrcs_take_no_stream);
    g_test_add_func("/srtp/an-index-is-never-sent-twice", test_an_index_is_never_sent_twice);
    g_test_add_func("/srtp/keys-expire-with-the-last-index", test_keys_expire_with_the_last_index);
    g_test_add_func("/srtp/the-same-keys-keep-the-replay-window",
                    test_the_same_keys_keep_the_replay_window);
    g_test_add_func("/srtp/no-room-leaves-the-packet-alone", test_no_room_leaves_the_packet_alone);
    g_test_add_func("/srtp/keys-must-fit-their-suite", test_keys_must_fit_their_suite);
    for (int s = CLV_SRTP_NONE + 1; s < CLV_N_SRTP_SUITES; s++) {
        for (guint8 mki = 0; mki <= 4; mki = (guint8)(mki + 4)) {
            Case *c = &cases[n++];

            *c = (Case){(ClvSrtpSuite)s, mki};
            for (guint i = 0; i < G_N_ELEMENTS(per_case); i++) {
                g_autofree char *path =
                    g_strdup_printf("/srtp/%s%s/%s", clv_srtp_profile(c->suite)->name,
                                    mki > 0 ? "+mki" : "", per_case[i].name);

                g_test_add_data_func(path, c, per_case[i].test);
            }
        }
    }
    return g_test_run();
}
