/* SPDX-License-Identifier: Apache-2.0 */
/* Which keys has a call of ours whose keys stand in the SDP, and which answers are not taken?
 *
 * The offering side against the answering side of the same scheme.
 */
#include "config.h"

#include <string.h>

#include "base/secret.h"
#include "keymgmt/schemes.h"

static const ClvSrtpSuite suites[] = {CLV_SRTP_AEAD_AES_256_GCM, CLV_SRTP_AES_CM_128_HMAC_SHA1_80,
                                      CLV_SRTP_AES_256_CM_HMAC_SHA1_80, CLV_SRTP_NONE};

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

typedef struct Call {
    guint8 ours, theirs; /* next octet of each side's randomness */
    ClvKeymgmtConfig config;
    ClvKeymgmtState *state;
    ClvKeymgmtOutput out;
    GError *error;
    char **lines; /* of the offer */
} Call;

static ClvKeymgmtNext
step(Call *call, const ClvSdp *answer)
{
    ClvKeymgmtInput in = {.answer = answer};

    g_clear_error(&call->error);
    return clv_sdes_ops.step(call->state, &in, &call->out, &call->error);
}

static Call *
call_open(guint media_index)
{
    Call *call = g_new0(Call, 1);
    ClvKeymgmtCall setup = {.config = &call->config,
                            .focus_uri = "sip:c7h2kq4x.conf1@example.org",
                            .target = "sip:carol@example.org",
                            .purpose = CLV_PURPOSE_JOIN,
                            .media_index = media_index,
                            .suites = suites};

    call->theirs = 0x80;
    call->config = (ClvKeymgmtConfig){.random = counting, .random_user = &call->ours};
    call->state = clv_sdes_ops.call(&setup, &call->error);
    g_assert_no_error(call->error);
    return call;
}

/* The offer is out. */
static Call *
call_new(guint media_index)
{
    Call *call = call_open(media_index);

    g_assert_cmpint(step(call, NULL), ==, CLV_KEYMGMT_WANT_PEER);
    g_assert_true(call->out.answer_is_crypto);
    g_assert_false(call->out.has_media);
    call->lines = g_strsplit(call->out.answer_line, "\n", -1);
    return call;
}

static void
call_free(Call *call)
{
    clv_sdes_ops.close(call->state);
    clv_keymgmt_output_clear(&call->out);
    g_clear_error(&call->error);
    g_strfreev(call->lines);
    g_free(call);
}

static ClvSdp *
sdp_new(guint n_media, guint index, const char *const *lines)
{
    ClvSdp *sdp = g_new0(ClvSdp, 1);

    sdp->n_media = n_media;
    for (guint i = 0; lines != NULL && lines[i] != NULL; i++)
        sdp->media[index].crypto[sdp->media[index].n_crypto++] = g_strdup(lines[i]);
    return sdp;
}

static void
sdp_free(ClvSdp *sdp)
{
    for (guint k = 0; k < sdp->n_media; k++) {
        for (guint i = 0; i < sdp->media[k].n_crypto; i++)
            g_free(sdp->media[k].crypto[i]);
    }
    g_free(sdp);
}

/* What the answering side makes of the offer, if @wanted is all that it can do. */
static void
answer(Call *call, ClvSrtpSuite wanted, ClvKeymgmtOutput *out)
{
    const ClvSrtpSuite only[] = {wanted, CLV_SRTP_NONE};
    ClvKeymgmtConfig config = {.random = counting, .random_user = &call->theirs};
    ClvSdp *offer = sdp_new(1, 0, (const char *const *)call->lines);
    ClvKeymgmtSetup setup = {.config = &config, .offer = offer, .suites = only};
    ClvKeymgmtState *state = clv_sdes_ops.open(&setup, NULL);
    ClvKeymgmtInput in = {.now_us = 0};

    g_assert_cmpint(clv_sdes_ops.step(state, &in, out, NULL), ==, CLV_KEYMGMT_DONE);
    clv_sdes_ops.close(state);
    sdp_free(offer);
}

static ClvKeymgmtNext
take(Call *call, const char *line)
{
    const char *const lines[] = {line, NULL};
    ClvSdp *sdp = sdp_new(1, 0, lines);
    ClvKeymgmtNext next = step(call, sdp);

    sdp_free(sdp);
    return next;
}

static void
assert_same(const ClvSrtpKeys *a, const ClvSrtpKeys *b)
{
    g_assert_cmpint(a->suite, ==, b->suite);
    g_assert_cmpuint(a->key_len, >, 0);
    g_assert_cmpmem(a->key, a->key_len, b->key, b->key_len);
    g_assert_cmpmem(a->salt, a->salt_len, b->salt, b->salt_len);
    g_assert_cmpuint(a->mki_len, ==, 0);
}

static void
assert_refused(Call *call, ClvKeymgmtNext next, const char *pattern)
{
    g_assert_cmpint(next, ==, CLV_KEYMGMT_FAILED);
    g_assert_error(call->error, CLV_KEYMGMT_ERROR, CLV_CODE_KEYMGMT_FAILED);
    if (!g_pattern_match_simple(pattern, call->error->message))
        g_error("\"%s\" is not like \"%s\"", call->error->message, pattern);
    g_assert_false(call->out.has_media);
    g_assert_cmpuint(call->out.tx.key_len, ==, 0);
    g_assert_cmpuint(call->out.rx.key_len, ==, 0);
}

/* ---- the offer ---- */

static void
test_offer(void)
{
    static const char *const begin[] = {
        "1 AEAD_AES_256_GCM inline:", "2 AES_CM_128_HMAC_SHA1_80 inline:",
        "3 AES_256_CM_HMAC_SHA1_80 inline:"};
    Call *call = call_new(0);

    g_assert_cmpuint(g_strv_length(call->lines), ==, 3);
    for (guint i = 0; i < 3; i++) {
        g_assert_true(g_str_has_prefix(call->lines[i], begin[i]));
        for (guint k = 0; k < i; k++)
            g_assert_cmpstr(strchr(call->lines[i], ':'), !=, strchr(call->lines[k], ':'));
    }
    call_free(call);
}

/* The peer's choice is found by its tag, whichever it is; an answer of another fork as well. */
static void
test_every_choice(void)
{
    Call *call = call_new(0);

    for (guint i = 0; suites[i] != CLV_SRTP_NONE; i++) {
        ClvKeymgmtOutput theirs = {0};

        answer(call, suites[i], &theirs);
        g_assert_cmpint(take(call, theirs.answer_line), ==, CLV_KEYMGMT_DONE);
        g_assert_true(call->out.has_media);
        g_assert_cmpint(call->out.proof, ==, CLV_PROOF_NONE);
        g_assert_null(call->out.identity);
        assert_same(&call->out.tx, &theirs.rx);
        assert_same(&call->out.rx, &theirs.tx);
        g_assert_cmpint(call->out.tx.suite, ==, suites[i]);
        clv_keymgmt_output_clear(&theirs);
    }
    call_free(call);
}

static void
test_second_line(void)
{
    Call *call = call_new(1);
    ClvKeymgmtOutput theirs = {0};
    const char *lines[] = {NULL, NULL};
    ClvSdp *right, *wrong;

    answer(call, suites[1], &theirs);
    lines[0] = theirs.answer_line;
    wrong = sdp_new(2, 0, lines);
    right = sdp_new(2, 1, lines);
    assert_refused(call, step(call, wrong), "*there is none*");
    g_assert_cmpint(step(call, right), ==, CLV_KEYMGMT_DONE);
    sdp_free(wrong);
    sdp_free(right);
    clv_keymgmt_output_clear(&theirs);
    call_free(call);
}

/* ---- what is not taken ---- */

#define KEY_30 "WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz"

static void
test_bad_answers(void)
{
    static const struct {
        const char *line;
        const char *pattern;
    } cases[] = {
        {"4 AES_CM_128_HMAC_SHA1_80 inline:" KEY_30, "*not offered*"},
        {"0 AES_CM_128_HMAC_SHA1_80 inline:" KEY_30, "*not offered*"},
        {"1 AES_CM_128_HMAC_SHA1_80 inline:" KEY_30, "*not the suite*"},
        {"2 AES_CM_128_HMAC_SHA1_32 inline:" KEY_30, "*not the suite*"},
        {"2 AES_CM_128_HMAC_SHA1_80 inline:" KEY_30 "|1:4", "*MKI*"},
        {"2 AES_CM_128_HMAC_SHA1_80 inline:AAAA", "*length*"},
        {"2 AES_CM_128_HMAC_SHA1_80 inline:" KEY_30 " UNENCRYPTED_SRTP", "*UNENCRYPTED*"},
        {"crypto", "*tag*"},
        {"", "*tag*"},
    };
    Call *call = call_new(0);
    ClvKeymgmtOutput theirs = {0};

    for (guint i = 0; i < G_N_ELEMENTS(cases); i++)
        assert_refused(call, take(call, cases[i].line), cases[i].pattern);

    answer(call, suites[1], &theirs);
    g_assert_cmpint(take(call, theirs.answer_line), ==, CLV_KEYMGMT_DONE);
    clv_keymgmt_output_clear(&theirs);
    call_free(call);
}

/* A peer that sends our own line back would make one key stream of both directions. */
static void
test_mirror(void)
{
    Call *call = call_new(0);

    for (guint i = 0; i < 3; i++)
        assert_refused(call, take(call, call->lines[i]), "*a key that is ours*");
    call_free(call);
}

static void
test_number_of_lines(void)
{
    const char *const two[] = {"2 AES_CM_128_HMAC_SHA1_80 inline:" KEY_30,
                               "2 AES_CM_128_HMAC_SHA1_80 inline:" KEY_30, NULL};
    Call *call = call_new(0);
    ClvSdp *none = sdp_new(1, 0, NULL), *many = sdp_new(1, 0, two), *no_media = sdp_new(0, 0, NULL);

    assert_refused(call, step(call, none), "*there is none*");
    assert_refused(call, step(call, many), "*more than one*");
    assert_refused(call, step(call, no_media), "*no such m-line*");
    assert_refused(call, step(call, NULL), "*no such m-line*");
    sdp_free(no_media);
    sdp_free(many);
    sdp_free(none);
    call_free(call);
}

static void
test_no_randomness(void)
{
    ClvKeymgmtConfig config = {.random = empty_source};
    ClvKeymgmtCall setup = {.config = &config, .suites = suites};
    ClvKeymgmtState *state = clv_sdes_ops.call(&setup, NULL);
    ClvKeymgmtInput in = {.now_us = 0};
    ClvKeymgmtOutput out = {0};
    g_autoptr(GError) error = NULL;

    g_assert_cmpint(clv_sdes_ops.step(state, &in, &out, &error), ==, CLV_KEYMGMT_FAILED);
    g_assert_error(error, CLV_KEYMGMT_ERROR, CLV_CODE_INTERNAL);
    g_assert_null(out.answer_line);
    clv_sdes_ops.close(state);
}

static void
test_impossible_calls(void)
{
    static const ClvSrtpSuite none[] = {CLV_SRTP_NONE};
    ClvKeymgmtConfig config = {.random = empty_source};
    ClvKeymgmtCall without_suite = {.config = &config, .suites = none};
    ClvKeymgmtCall without_media = {.config = &config, .suites = suites, .media_index = G_MAXUINT};
    g_autoptr(GError) first = NULL;
    g_autoptr(GError) second = NULL;

    g_assert_null(clv_sdes_ops.call(&without_suite, &first));
    g_assert_error(first, CLV_KEYMGMT_ERROR, CLV_CODE_INTERNAL);
    g_assert_null(clv_sdes_ops.call(&without_media, &second));
    g_assert_error(second, CLV_KEYMGMT_ERROR, CLV_CODE_INTERNAL);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/sdes-call/a-line-with-its-own-key-for-each-suite", test_offer);
    g_test_add_func("/sdes-call/the-choice-is-found-by-its-tag", test_every_choice);
    g_test_add_func("/sdes-call/the-second-m-line", test_second_line);
    g_test_add_func("/sdes-call/answers-that-are-not-taken", test_bad_answers);
    g_test_add_func("/sdes-call/our-own-key-is-not-taken-back", test_mirror);
    g_test_add_func("/sdes-call/exactly-one-line-answers", test_number_of_lines);
    g_test_add_func("/sdes-call/without-randomness-there-is-no-call", test_no_randomness);
    g_test_add_func("/sdes-call/impossible-calls-are-not-begun", test_impossible_calls);
    return g_test_run();
}
