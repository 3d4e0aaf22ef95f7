/* SPDX-License-Identifier: Apache-2.0 */
/* Which a=crypto lines do we take, with which octets, and what do we answer? (RFC 4568, 6188, 7714)
 */
#include "config.h"

#include <string.h>

#include "base/secret.h"
#include "crypto-line.h"
#include "keymgmt/schemes.h"

/* Key and salt: "YS___semctl () {\t220;}\n}\nunles", from RFC 4568 section 4.1 */
#define KEY_30 "WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz"
/* 00 01 02 ... in base64, for the other lengths */
#define KEY_28 "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGw"
#define KEY_44 "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8gISIjJCUmJygpKis"
#define KEY_46 "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8gISIjJCUmJygpKissLQ"
#define SUITE_80 "AES_CM_128_HMAC_SHA1_80"

static const ClvSrtpSuite all_suites[] = {
    CLV_SRTP_AEAD_AES_256_GCM,
    CLV_SRTP_AEAD_AES_128_GCM,
    CLV_SRTP_AES_256_CM_HMAC_SHA1_80,
    CLV_SRTP_AES_CM_128_HMAC_SHA1_80,
    CLV_SRTP_AES_256_CM_HMAC_SHA1_32,
    CLV_SRTP_AES_CM_128_HMAC_SHA1_32,
    CLV_SRTP_NONE,
};

/* Octets 0x80, 0x81, ... */
static gboolean
counting(void *user, guint8 *out, gsize len)
{
    guint8 *next = user;

    for (gsize i = 0; i < len; i++)
        out[i] = (*next)++;
    return TRUE;
}

static gboolean
empty_source(void *user, guint8 *out, gsize len)
{
    return FALSE;
}

/* ---- one line ---- */

static void
test_rfc_example(void)
{
    SdesLine line;
    g_autoptr(GError) error = NULL;

    g_assert_true(clv_sdes_line_parse("1 " SUITE_80 " inline:" KEY_30 "|2^20|1:4", &line, &error));
    g_assert_no_error(error);
    g_assert_cmpuint(line.tag, ==, 1);
    g_assert_cmpint(line.keys.suite, ==, CLV_SRTP_AES_CM_128_HMAC_SHA1_80);
    g_assert_cmpmem(line.keys.key, line.keys.key_len, "YS___semctl () {", 16);
    g_assert_cmpmem(line.keys.salt, line.keys.salt_len, "\t220;}\n}\nunles", 14);
    g_assert_cmpmem(line.keys.mki, line.keys.mki_len, "\0\0\0\1", 4);
    g_assert_false(line.keys.has_ssrc);
}

static void
test_suites(void)
{
    static const struct {
        const char *name, *key;
        ClvSrtpSuite suite;
        gsize key_len, salt_len;
    } rows[] = {
        {"AES_CM_128_HMAC_SHA1_80", KEY_30, CLV_SRTP_AES_CM_128_HMAC_SHA1_80, 16, 14},
        {"AES_CM_128_HMAC_SHA1_32", KEY_30, CLV_SRTP_AES_CM_128_HMAC_SHA1_32, 16, 14},
        {"AES_256_CM_HMAC_SHA1_80", KEY_46, CLV_SRTP_AES_256_CM_HMAC_SHA1_80, 32, 14},
        {"AES_256_CM_HMAC_SHA1_80", KEY_46 "==", CLV_SRTP_AES_256_CM_HMAC_SHA1_80, 32, 14},
        {"AES_256_CM_HMAC_SHA1_32", KEY_46 "==", CLV_SRTP_AES_256_CM_HMAC_SHA1_32, 32, 14},
        {"AES_CM_256_HMAC_SHA1_80", KEY_46 "==", CLV_SRTP_AES_256_CM_HMAC_SHA1_80, 32, 14},
        {"AES_CM_256_HMAC_SHA1_32", KEY_46, CLV_SRTP_AES_256_CM_HMAC_SHA1_32, 32, 14},
        {"AEAD_AES_128_GCM", KEY_28, CLV_SRTP_AEAD_AES_128_GCM, 16, 12},
        {"AEAD_AES_128_GCM", KEY_28 "==", CLV_SRTP_AEAD_AES_128_GCM, 16, 12},
        {"AEAD_AES_256_GCM", KEY_44, CLV_SRTP_AEAD_AES_256_GCM, 32, 12},
        {"AEAD_AES_256_GCM", KEY_44 "=", CLV_SRTP_AEAD_AES_256_GCM, 32, 12},
        {"aes_cm_128_hmac_sha1_80", KEY_30, CLV_SRTP_AES_CM_128_HMAC_SHA1_80, 16, 14},
    };

    for (gsize i = 0; i < G_N_ELEMENTS(rows); i++) {
        g_autofree char *value = g_strdup_printf("7 %s inline:%s", rows[i].name, rows[i].key);
        g_autoptr(GError) error = NULL;
        SdesLine line;

        g_assert_true(clv_sdes_line_parse(value, &line, &error));
        g_assert_no_error(error);
        g_assert_cmpint(line.keys.suite, ==, rows[i].suite);
        g_assert_cmpuint(line.keys.key_len, ==, rows[i].key_len);
        g_assert_cmpuint(line.keys.salt_len, ==, rows[i].salt_len);
        if (strcmp(rows[i].key, KEY_30) != 0) {
            for (guint k = 0; k < line.keys.key_len; k++)
                g_assert_cmpuint(line.keys.key[k], ==, k);
            for (guint k = 0; k < line.keys.salt_len; k++)
                g_assert_cmpuint(line.keys.salt[k], ==, line.keys.key_len + k);
        }
    }
}

static void
test_accepted(void)
{
    static const char *const values[] = {
        "1 " SUITE_80 " inline:" KEY_30,
        "1  " SUITE_80 "\tinline:" KEY_30 " ",
        "999999999 " SUITE_80 " inline:" KEY_30,
        "0 " SUITE_80 " inline:" KEY_30,
        "1 " SUITE_80 " INLINE:" KEY_30,
        "1 " SUITE_80 " inline:" KEY_30 "|2^48",
        "1 " SUITE_80 " inline:" KEY_30 "|2^0",
        "1 " SUITE_80 " inline:" KEY_30 "|281474976710656",
        "1 " SUITE_80 " inline:" KEY_30 "|1:1",
        "1 " SUITE_80 " inline:" KEY_30 "|255:1",
        "1 " SUITE_80 " inline:" KEY_30 "|1048576|4294967295:4",
        "1 " SUITE_80 " inline:" KEY_30 "|2^20|1:8",
        "1 " SUITE_80 " inline:" KEY_30 "|2^20|1:4;inline:" KEY_30 "|2^20|2:4",
        "1 " SUITE_80 " inline:" KEY_30 " KDR=0",
        "1 " SUITE_80 " inline:" KEY_30 " WSH=64",
        "1 " SUITE_80 " inline:" KEY_30 " WSH=1024 -example=1 -",
    };

    for (gsize i = 0; i < G_N_ELEMENTS(values); i++) {
        g_autoptr(GError) error = NULL;
        SdesLine line;

        g_assert_true(clv_sdes_line_parse(values[i], &line, &error));
        g_assert_no_error(error);
        g_assert_cmpmem(line.keys.key, line.keys.key_len, "YS___semctl () {", 16);
    }
}

static void
test_passed_over(void)
{
    static const struct {
        const char *value, *why;
    } rows[] = {
        {"", "*tag*"},
        {" ", "*tag*"},
        {"x " SUITE_80 " inline:" KEY_30, "*tag*"},
        {"-1 " SUITE_80 " inline:" KEY_30, "*tag*"},
        {"1234567890 " SUITE_80 " inline:" KEY_30, "*tag*"},
        {"1", "*suite*"},
        {"1 AES_CM_128_HMAC_SHA1_8 inline:" KEY_30, "*suite*"},
        {"1 AES_CM_128_HMAC_SHA1_800 inline:" KEY_30, "*suite*"},
        {"1 F8_128_HMAC_SHA1_80 inline:" KEY_30, "*suite*"},
        {"1 NULL_HMAC_SHA1_80 inline:" KEY_30, "*suite*"},
        {"1 " SUITE_80, "*method*"},
        {"1 " SUITE_80 " " KEY_30, "*method*"},
        {"1 " SUITE_80 " uri:" KEY_30, "*method*"},
        {"1 " SUITE_80 " inline:", "*base64*"},
        {"1 " SUITE_80 " inline: " KEY_30, "*base64*"},
        {"1 " SUITE_80 " inline:" KEY_28, "*base64*"},
        {"1 " SUITE_80 " inline:" KEY_30 "AA", "*base64*"},
        {"1 " SUITE_80 " inline:" KEY_30 "==", "*base64*"},
        {"1 " SUITE_80 " inline:WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGV*", "*base64*"},
        {"1 " SUITE_80 " inline:WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubG==", "*base64*"},
        {"1 AEAD_AES_128_GCM inline:" KEY_28 "=", "*base64*"},
        {"1 AEAD_AES_128_GCM inline:" KEY_28 "=A", "*base64*"},
        /* bits that belong to no octet */
        {"1 AEAD_AES_128_GCM inline:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGx", "*base64*"},
        {"1 AEAD_AES_256_GCM inline:" KEY_28 "==", "*base64*"},
        {"1 " SUITE_80 " inline:" KEY_30 "|", NULL},
        {"1 " SUITE_80 " inline:" KEY_30 "|0", "*lifetime*"},
        {"1 " SUITE_80 " inline:" KEY_30 "|2^49", "*lifetime*"},
        {"1 " SUITE_80 " inline:" KEY_30 "|2^", "*lifetime*"},
        {"1 " SUITE_80 " inline:" KEY_30 "|281474976710657", "*lifetime*"},
        {"1 " SUITE_80 " inline:" KEY_30 "|99999999999999999999999", "*lifetime*"},
        {"1 " SUITE_80 " inline:" KEY_30 "|ten", "*lifetime*"},
        {"1 " SUITE_80 " inline:" KEY_30 "||1:4", "*lifetime*"},
        {"1 " SUITE_80 " inline:" KEY_30 "|2^20|1", "*MKI*"},
        {"1 " SUITE_80 " inline:" KEY_30 "|2^20|1:", "*MKI*"},
        {"1 " SUITE_80 " inline:" KEY_30 "|2^20|:4", "*MKI*"},
        {"1 " SUITE_80 " inline:" KEY_30 "|2^20|1:0", "*MKI*"},
        {"1 " SUITE_80 " inline:" KEY_30 "|2^20|1:9", "*MKI*"},
        {"1 " SUITE_80 " inline:" KEY_30 "|2^20|1:128", "*MKI*"},
        {"1 " SUITE_80 " inline:" KEY_30 "|2^20|0:4", "*MKI*"},
        {"1 " SUITE_80 " inline:" KEY_30 "|2^20|256:1", "*MKI*"},
        {"1 " SUITE_80 " inline:" KEY_30 "|2^20|1:4|1:4", "*MKI*"},
        {"1 " SUITE_80 " inline:" KEY_30 "|1:4|2^20", "*MKI*"},
        {"1 " SUITE_80 " inline:" KEY_30 ";inline:" KEY_30, "*several keys*"},
        {"1 " SUITE_80 " inline:" KEY_30 "|1:4;inline:" KEY_30, "*several keys*"},
        {"1 " SUITE_80 " inline:" KEY_30 "|1:4;inline:" KEY_30 "|2:2", "*several keys*"},
        {"1 " SUITE_80 " inline:" KEY_30 "|1:4;inline:" KEY_30 "|1:4", "*same MKI*"},
        {"1 " SUITE_80 " inline:" KEY_30 "|1:4;inline:" KEY_28 "|2:4", "*base64*"},
        {"1 " SUITE_80 " inline:" KEY_30 "|1:1;inline:" KEY_30 "|2:1;inline:" KEY_30
         "|3:1;inline:" KEY_30 "|4:1;inline:" KEY_30 "|5:1;inline:" KEY_30 "|6:1;inline:" KEY_30
         "|7:1;inline:" KEY_30 "|8:1;inline:" KEY_30 "|9:1",
         "*more than 8*"},
        {"1 " SUITE_80 " inline:" KEY_30 " KDR=1", "*derivation rate*"},
        {"1 " SUITE_80 " inline:" KEY_30 " KDR", "*derivation rate*"},
        {"1 " SUITE_80 " inline:" KEY_30 " UNENCRYPTED_SRTP", "*UNENCRYPTED_SRTP*"},
        {"1 " SUITE_80 " inline:" KEY_30 " WSH=128 UNENCRYPTED_SRTCP", "*UNENCRYPTED_SRTCP*"},
        {"1 " SUITE_80 " inline:" KEY_30 " UNAUTHENTICATED_SRTP", "*UNAUTHENTICATED_SRTP*"},
        {"1 " SUITE_80 " inline:" KEY_30 " FEC_ORDER=FEC_SRTP", "*error correction*"},
        {"1 " SUITE_80 " inline:" KEY_30 " FEC_KEY=inline:" KEY_30, "*error correction*"},
        {"1 " SUITE_80 " inline:" KEY_30 " WSH=63", "*window*"},
        {"1 " SUITE_80 " inline:" KEY_30 " WSH=", "*window*"},
        {"1 " SUITE_80 " inline:" KEY_30 " COLOUR=blue", "*unknown*"},
    };

    for (gsize i = 0; i < G_N_ELEMENTS(rows); i++) {
        g_autoptr(GError) error = NULL;
        SdesLine line, before;
        gboolean taken;

        memset(&line, 0x5a, sizeof(line));
        before = line;
        taken = clv_sdes_line_parse(rows[i].value, &line, &error);
        if (rows[i].why == NULL) { /* a lone "|" says nothing, and is let pass */
            g_assert_true(taken);
            continue;
        }
        if (taken)
            g_error("taken: %s", rows[i].value);
        g_assert_error(error, CLV_KEYMGMT_ERROR, CLV_CODE_KEYMGMT_UNACCEPTABLE);
        g_assert_true(g_pattern_match_simple(rows[i].why, error->message));
        g_assert_null(strstr(error->message, "WVNf")); /* no key in a sentence */
        g_assert_cmpmem(&line, sizeof(line), &before, sizeof(before));
    }
}

/* Every prefix and every single changed character of a line: refused or read, never more. */
static void
test_damage(void)
{
    static const char value[] =
        "1 " SUITE_80 " inline:" KEY_30 "|2^20|1:4;inline:" KEY_30 "|2^20|2:4 KDR=0 WSH=64";

    for (gsize cut = 0; cut < sizeof(value); cut++) {
        g_autofree char *part = g_strndup(value, cut); /* on the heap, for the sanitizers */
        SdesLine line;

        clv_sdes_line_parse(part, &line, NULL);
    }
    for (gsize at = 0; at + 1 < sizeof(value); at++) {
        for (guint c = 1; c < 256; c++) {
            g_autofree char *other = g_strdup(value);
            SdesLine line;

            other[at] = (char)c;
            if (clv_sdes_line_parse(other, &line, NULL)) {
                g_assert_cmpuint(line.keys.key_len, ==, 16);
                g_assert_cmpuint(line.keys.mki_len, <=, CLV_SRTP_MAX_MKI);
            }
        }
    }
}

static void
test_written_lines_read_alike(void)
{
    static const char *const values[] = {
        "1 " SUITE_80 " inline:" KEY_30,
        "22 AEAD_AES_128_GCM inline:" KEY_28,
        "22 AEAD_AES_128_GCM inline:" KEY_28 "==",
        "3 AEAD_AES_256_GCM inline:" KEY_44 "=",
        "4 AES_256_CM_HMAC_SHA1_80 inline:" KEY_46 "==",
        "999999999 AES_CM_256_HMAC_SHA1_32 inline:" KEY_46 "==|999999999999999999:8",
        "5 AES_256_CM_HMAC_SHA1_32 inline:" KEY_46 "|77:1",
    };

    for (gsize i = 0; i < G_N_ELEMENTS(values); i++) {
        char again[SDES_MAX_LINE];
        SdesLine line;

        g_assert_true(clv_sdes_line_parse(values[i], &line, NULL));
        clv_sdes_line_format(&line, &line.keys, again);
        g_assert_cmpstr(again, ==, values[i]);
    }
}

/* ---- offers ---- */

typedef struct Fixture {
    ClvSdp *sdp;
    guint8 next_random;
    ClvKeymgmtConfig config;
    ClvKeymgmtSetup setup;
} Fixture;

static Fixture *
fixture_new(const char *first, ...)
{
    Fixture *f = g_new0(Fixture, 1);
    ClvSdpMedia *media;
    va_list args;

    f->sdp = g_new0(ClvSdp, 1);
    f->sdp->n_media = 1;
    media = &f->sdp->media[0];
    g_strlcpy(media->proto, "RTP/SAVP", sizeof(media->proto));
    media->port = 4000;
    va_start(args, first);
    for (const char *value = first; value != NULL; value = va_arg(args, const char *))
        media->crypto[media->n_crypto++] = g_strdup(value);
    va_end(args);

    f->next_random = 0x80;
    f->config.random = counting;
    f->config.random_user = &f->next_random;
    f->setup.config = &f->config;
    f->setup.offer = f->sdp;
    f->setup.suites = all_suites;
    return f;
}

static void
fixture_free(Fixture *f)
{
    for (guint i = 0; i < f->sdp->media[0].n_crypto; i++)
        g_free(f->sdp->media[0].crypto[i]);
    g_free(f->sdp);
    g_free(f);
}

static ClvKeymgmtNext
run(Fixture *f, ClvKeymgmtOutput *out, GError **error)
{
    ClvKeymgmtInput in = {.now_us = 1};
    ClvKeymgmtState *state = clv_sdes_ops.open(&f->setup, error);
    ClvKeymgmtNext next;

    memset(out, 0, sizeof(*out));
    g_assert_nonnull(state);
    next = clv_sdes_ops.step(state, &in, out, error);
    clv_sdes_ops.close(state);
    return next;
}

static void
test_answer(void)
{
    Fixture *f = fixture_new("3 " SUITE_80 " inline:" KEY_30 "|2^20|9:2", NULL);
    g_autoptr(GError) error = NULL;
    ClvKeymgmtOutput out;

    g_assert_cmpint(run(f, &out, &error), ==, CLV_KEYMGMT_DONE);
    g_assert_no_error(error);
    g_assert_true(out.answer_is_crypto);
    g_assert_false(out.answer_at_session);
    g_assert_true(out.has_media);
    g_assert_cmpint(out.proof, ==, CLV_PROOF_NONE);
    g_assert_null(out.identity);
    g_assert_cmpstr(out.answer_line, ==,
                    "3 " SUITE_80 " inline:gIGCg4SFhoeIiYqLjI2Oj5CRkpOUlZaXmJmam5yd|9:2");
    g_assert_cmpmem(out.rx.key, 16, "YS___semctl () {", 16);
    g_assert_cmpuint(out.tx.key[0], ==, 0x80);
    g_assert_cmpuint(out.tx.salt[13], ==, 0x9d);
    g_assert_cmpmem(out.tx.mki, out.tx.mki_len, "\0\x09", 2);
    g_assert_cmpmem(out.rx.mki, out.rx.mki_len, "\0\x09", 2);
    clv_keymgmt_output_clear(&out);
    g_assert_null(out.answer_line);
    g_assert_cmpuint(out.rx.key[0], ==, 0);
    fixture_free(f);
}

static void
test_no_mki_unless_offered(void)
{
    Fixture *f = fixture_new("1 " SUITE_80 " inline:" KEY_30, NULL);
    ClvKeymgmtOutput out;

    g_assert_cmpint(run(f, &out, NULL), ==, CLV_KEYMGMT_DONE);
    g_assert_cmpuint(out.tx.mki_len, ==, 0);
    g_assert_null(strchr(out.answer_line, '|'));
    clv_keymgmt_output_clear(&out);
    fixture_free(f);
}

/* Our order of suites rules, then the order of the lines; what we cannot do is passed over. */
static void
test_preference(void)
{
    static const ClvSrtpSuite only_80[] = {CLV_SRTP_AES_CM_128_HMAC_SHA1_80, CLV_SRTP_NONE};
    Fixture *f = fixture_new(
        "1 AES_CM_128_HMAC_SHA1_32 inline:" KEY_30,
        "2 " SUITE_80 " inline:" KEY_30 " UNENCRYPTED_SRTP", "3 " SUITE_80 " inline:" KEY_30,
        "4 AEAD_AES_256_GCM_FUTURE inline:" KEY_44, "5 AEAD_AES_256_GCM inline:" KEY_44 "=",
        "6 AEAD_AES_256_GCM inline:" KEY_44 "=", NULL);
    ClvKeymgmtOutput out;

    g_assert_cmpint(run(f, &out, NULL), ==, CLV_KEYMGMT_DONE);
    g_assert_cmpint(out.rx.suite, ==, CLV_SRTP_AEAD_AES_256_GCM);
    g_assert_cmpint(out.tx.suite, ==, CLV_SRTP_AEAD_AES_256_GCM);
    g_assert_true(g_str_has_prefix(out.answer_line, "5 AEAD_AES_256_GCM inline:"));
    clv_keymgmt_output_clear(&out);

    f->setup.suites = only_80;
    g_assert_cmpint(run(f, &out, NULL), ==, CLV_KEYMGMT_DONE);
    g_assert_true(g_str_has_prefix(out.answer_line, "3 " SUITE_80 " inline:"));
    clv_keymgmt_output_clear(&out);
    fixture_free(f);
}

/* The spelling of the offer comes back. */
static void
test_old_spelling(void)
{
    Fixture *f = fixture_new("1 AES_CM_256_HMAC_SHA1_80 inline:" KEY_46, NULL);
    ClvKeymgmtOutput out;

    g_assert_cmpint(run(f, &out, NULL), ==, CLV_KEYMGMT_DONE);
    g_assert_cmpint(out.tx.suite, ==, CLV_SRTP_AES_256_CM_HMAC_SHA1_80);
    g_assert_cmpuint(out.tx.key_len, ==, 32);
    g_assert_true(g_str_has_prefix(out.answer_line, "1 AES_CM_256_HMAC_SHA1_80 inline:"));
    g_assert_null(strchr(out.answer_line, '=')); /* unpadded as offered */
    clv_keymgmt_output_clear(&out);
    fixture_free(f);
}

static void
assert_refused(Fixture *f, ClvCode code, const char *pattern)
{
    g_autoptr(GError) error = NULL;
    ClvKeymgmtOutput out;

    g_assert_cmpint(run(f, &out, &error), ==, CLV_KEYMGMT_FAILED);
    g_assert_error(error, CLV_KEYMGMT_ERROR, (gint)code);
    g_assert_true(g_pattern_match_simple(pattern, error->message));
    g_assert_null(out.answer_line);
    fixture_free(f);
}

static void
test_refused_offers(void)
{
    static const ClvSrtpSuite gcm_alone[] = {CLV_SRTP_AEAD_AES_256_GCM, CLV_SRTP_NONE};
    Fixture *f;

    assert_refused(
        fixture_new("1 " SUITE_80 " inline:" KEY_30, "1 AEAD_AES_128_GCM inline:" KEY_28, NULL),
        CLV_CODE_KEYMGMT_FAILED, "*two*tag 1*");
    /* a line that we cannot use has a tag, too */
    assert_refused(fixture_new("2 " SUITE_80 " inline:" KEY_30, "02 FUTURE inline:x", NULL),
                   CLV_CODE_KEYMGMT_FAILED, "*two*tag 2*");
    assert_refused(fixture_new("1 FUTURE inline:x", "2 " SUITE_80 " inline:" KEY_30 " KDR=3", NULL),
                   CLV_CODE_KEYMGMT_UNACCEPTABLE, "*line 1: unknown suite; line 2: *rate*");

    f = fixture_new("1 " SUITE_80 " inline:" KEY_30, NULL);
    f->setup.suites = gcm_alone;
    assert_refused(f, CLV_CODE_KEYMGMT_UNACCEPTABLE, "*" SUITE_80 "*not accepted here*");

    f = fixture_new("1 " SUITE_80 " inline:" KEY_30, NULL);
    f->config.random = empty_source;
    assert_refused(f, CLV_CODE_INTERNAL, "*random*");
}

static void
test_no_line_no_state(void)
{
    Fixture *f = fixture_new(NULL, NULL);
    g_autoptr(GError) error = NULL;

    g_assert_false(clv_sdes_ops.offered(f->sdp, 0));
    g_assert_false(clv_sdes_ops.offered(f->sdp, G_MAXUINT));
    g_assert_null(clv_sdes_ops.offer_id(f->sdp, 0));
    g_assert_null(clv_sdes_ops.open(&f->setup, &error));
    g_assert_error(error, CLV_KEYMGMT_ERROR, CLV_CODE_KEYMGMT_UNACCEPTABLE);
    clv_sdes_ops.close(NULL);
    fixture_free(f);
}

static void
test_offer_id(void)
{
    Fixture *a = fixture_new("1 " SUITE_80 " inline:" KEY_30, "2 X inline:y", NULL);
    Fixture *b = fixture_new("1 " SUITE_80 " inline:" KEY_30, "2 X inline:y", NULL);
    Fixture *c = fixture_new("1 " SUITE_80 " inline:" KEY_30, "2 X inline:z", NULL);
    g_autofree char *id_a = clv_sdes_ops.offer_id(a->sdp, 0);
    g_autofree char *id_b = clv_sdes_ops.offer_id(b->sdp, 0);
    g_autofree char *id_c = clv_sdes_ops.offer_id(c->sdp, 0);

    g_assert_cmpstr(id_a, ==, id_b);
    g_assert_cmpstr(id_a, !=, id_c);
    g_assert_null(strstr(id_a, "WVNf"));
    fixture_free(a);
    fixture_free(b);
    fixture_free(c);
}

static void
test_self_test(void)
{
    g_autoptr(GError) error = NULL;

    g_assert_true(clv_sdes_ops.self_test(&error));
    g_assert_no_error(error);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/sdes/the-example-of-the-rfc-is-read", test_rfc_example);
    g_test_add_func("/sdes/every-suite-has-its-lengths", test_suites);
    g_test_add_func("/sdes/sound-lines-are-taken", test_accepted);
    g_test_add_func("/sdes/unusable-lines-are-passed-over-with-a-reason", test_passed_over);
    g_test_add_func("/sdes/damaged-lines-do-no-harm", test_damage);
    g_test_add_func("/sdes/written-lines-read-alike", test_written_lines_read_alike);
    g_test_add_func("/sdes/the-answer-has-the-same-tag-and-a-fresh-key", test_answer);
    g_test_add_func("/sdes/no-mki-unless-offered", test_no_mki_unless_offered);
    g_test_add_func("/sdes/our-order-of-suites-decides", test_preference);
    g_test_add_func("/sdes/the-offerers-spelling-comes-back", test_old_spelling);
    g_test_add_func("/sdes/offers-that-cannot-be-taken-are-refused", test_refused_offers);
    g_test_add_func("/sdes/without-lines-there-is-nothing-to-open", test_no_line_no_state);
    g_test_add_func("/sdes/equal-offers-have-equal-ids", test_offer_id);
    g_test_add_func("/sdes/the-self-test-passes", test_self_test);
    return g_test_run();
}
