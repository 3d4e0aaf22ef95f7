/* SPDX-License-Identifier: Apache-2.0 */
/* sdes/plugin.c - security descriptions: keys in the SDP itself (RFC 4568)
 *
 * One step and done: the peer's key is in his a=crypto line, ours goes back in the answer
 * (offerer.c: the other way about). It proves nothing about anybody, and is as secret as the
 * signalling that carried it.
 */
#include "config.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <string.h>

#include "base/secret.h"
#include "crypto-line.h"
#include "keymgmt/schemes.h"
#include "sdes-private.h"

typedef struct Answerer {
    ClvKeymgmtState base;
    ClvKeymgmtConfig config;
    SdesLine chosen; /* holds the peer's key */
    GError *refusal; /* (nullable) what is wrong with the offer */
} Answerer;

static const ClvSdpMedia *
media_of(const ClvSdp *offer, guint media_index)
{
    return media_index < offer->n_media ? &offer->media[media_index] : NULL;
}

static gboolean
offered(const ClvSdp *offer, guint media_index)
{
    const ClvSdpMedia *media = media_of(offer, media_index);

    return media != NULL && media->n_crypto > 0;
}

static char *
offer_id(const ClvSdp *offer, guint media_index)
{
    const ClvSdpMedia *media = media_of(offer, media_index);
    guint8 digest[EVP_MAX_MD_SIZE];
    EVP_MD_CTX *hash;
    GString *id;

    if (media == NULL || media->n_crypto == 0)
        return NULL;

    hash = EVP_MD_CTX_new();
    if (hash == NULL || !EVP_DigestInit_ex(hash, EVP_sha256(), NULL))
        g_error("libcrypto has no SHA-256");
    for (guint i = 0; i < media->n_crypto; i++)
        EVP_DigestUpdate(hash, media->crypto[i], strlen(media->crypto[i]) + 1);
    EVP_DigestFinal_ex(hash, digest, NULL);
    EVP_MD_CTX_free(hash);

    id = g_string_new("sdes:");
    for (guint i = 0; i < 32; i++)
        g_string_append_printf(id, "%02x", digest[i]);
    return g_string_free(id, FALSE);
}

/* ---- choice of a line ---- */

/* Tags name lines in the answer, so each must be there once (section 4.1). */
static gboolean
tags_are_unique(const ClvSdpMedia *media, GError **error)
{
    guint32 tags[CLV_SDP_MAX_KEYLINES];
    guint n_tags = 0;

    for (guint i = 0; i < media->n_crypto; i++) {
        guint32 tag;

        if (!clv_sdes_line_tag(media->crypto[i], &tag))
            continue;
        for (guint k = 0; k < n_tags; k++) {
            if (tags[k] == tag) {
                g_set_error(error, CLV_KEYMGMT_ERROR, CLV_CODE_KEYMGMT_FAILED,
                            "two a=crypto lines have the tag %u", tag);
                return FALSE;
            }
        }
        tags[n_tags++] = tag;
    }
    return TRUE;
}

static gint
rank_of(ClvSrtpSuite suite, const ClvSrtpSuite *suites)
{
    for (gint rank = 0; suites[rank] != CLV_SRTP_NONE; rank++) {
        if (suites[rank] == suite)
            return rank;
    }
    return -1;
}

/* Our order of suites decides, then the offerer's order of lines. */
static gboolean
choose_line(const ClvSdpMedia *media, const ClvSrtpSuite *suites, SdesLine *out_line,
            GError **error)
{
    g_autoptr(GString) reasons = g_string_new(NULL);
    gint best = G_MAXINT;

    for (guint i = 0; i < media->n_crypto; i++) {
        g_autoptr(GError) reason = NULL;
        SdesLine line = {0};
        gint rank = -1;

        if (clv_sdes_line_parse(media->crypto[i], &line, &reason)) {
            rank = rank_of(line.keys.suite, suites);
            if (rank < 0)
                g_string_append_printf(reasons, "; line %u: suite %s is not accepted here", i + 1,
                                       line.suite_name);
        } else {
            g_string_append_printf(reasons, "; line %u: %s", i + 1, reason->message);
        }

        if (rank >= 0 && rank < best) {
            best = rank;
            clv_srtp_keys_clear(&out_line->keys);
            *out_line = line;
        }
        clv_srtp_keys_clear(&line.keys);
    }

    if (best == G_MAXINT) {
        g_set_error(error, CLV_KEYMGMT_ERROR, CLV_CODE_KEYMGMT_UNACCEPTABLE,
                    "no usable a=crypto line%s", reasons->str);
        return FALSE;
    }
    return TRUE;
}

/* ---- the one step ---- */

static gboolean
make_tx(const ClvKeymgmtConfig *config, const ClvSrtpKeys *rx, ClvSrtpKeys *out_tx, GError **error)
{
    if (!clv_sdes_make_key(config, rx->suite, out_tx, error))
        return FALSE;
    out_tx->mki_len = rx->mki_len; /* an MKI only if the offer has one */
    memcpy(out_tx->mki, rx->mki, sizeof(out_tx->mki));
    return TRUE;
}

static ClvKeymgmtNext
answerer_step(ClvKeymgmtState *base, const ClvKeymgmtInput *in, ClvKeymgmtOutput *out,
              GError **error)
{
    Answerer *state = (Answerer *)base;
    char line[SDES_MAX_LINE];

    clv_keymgmt_output_clear(out);
    if (state->refusal != NULL) {
        g_propagate_error(error, g_error_copy(state->refusal));
        return CLV_KEYMGMT_FAILED;
    }
    if (!make_tx(&state->config, &state->chosen.keys, &out->tx, error))
        return CLV_KEYMGMT_FAILED;

    out->rx = state->chosen.keys;
    out->has_media = TRUE;
    out->proof = CLV_PROOF_NONE;
    out->answer_is_crypto = TRUE;
    clv_sdes_line_format(&state->chosen, &out->tx, line);
    out->answer_line = g_strdup(line);
    OPENSSL_cleanse(line, sizeof(line));
    return CLV_KEYMGMT_DONE;
}

static void
answerer_close(ClvKeymgmtState *base)
{
    Answerer *state = (Answerer *)base;

    clv_srtp_keys_clear(&state->chosen.keys);
    g_clear_error(&state->refusal);
    g_free(state);
}

static ClvKeymgmtState *
sdes_open(const ClvKeymgmtSetup *setup, GError **error)
{
    const ClvSdpMedia *media = media_of(setup->offer, setup->media_index);
    Answerer *state;

    if (media == NULL || media->n_crypto == 0) {
        g_set_error_literal(error, CLV_KEYMGMT_ERROR, CLV_CODE_KEYMGMT_UNACCEPTABLE,
                            "no a=crypto line is offered");
        return NULL;
    }

    state = g_new0(Answerer, 1);
    state->base = (ClvKeymgmtState){answerer_step, answerer_close};
    state->config = *setup->config;
    if (tags_are_unique(media, &state->refusal))
        choose_line(media, setup->suites, &state->chosen, &state->refusal);
    return &state->base;
}

/* ---- the door ---- */

static ClvKeymgmtNext
sdes_step(ClvKeymgmtState *state, const ClvKeymgmtInput *in, ClvKeymgmtOutput *out, GError **error)
{
    return state->step(state, in, out, error);
}

static void
sdes_close(ClvKeymgmtState *state)
{
    if (state != NULL)
        state->close(state);
}

/* ---- self test: the example of RFC 4568 section 4.1, read and written ---- */

static gboolean
self_test(GError **error)
{
    static const char value[] = "1 AES_CM_128_HMAC_SHA1_80 "
                                "inline:WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz|2^20|1:4";
    static const char written[] = "1 AES_CM_128_HMAC_SHA1_80 "
                                  "inline:WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz|1:4";
    static const char octets[] = "YS___semctl () {\t220;}\n}\nunles";
    static const guint8 mki[] = {0, 0, 0, 1};
    char again[SDES_MAX_LINE];
    SdesLine line;

    if (!clv_sdes_line_parse(value, &line, error))
        return FALSE;

    clv_sdes_line_format(&line, &line.keys, again);
    if (line.tag != 1 || line.keys.suite != CLV_SRTP_AES_CM_128_HMAC_SHA1_80 ||
        memcmp(line.keys.key, octets, 16) != 0 || memcmp(line.keys.salt, octets + 16, 14) != 0 ||
        line.keys.mki_len != 4 || memcmp(line.keys.mki, mki, 4) != 0 ||
        strcmp(again, written) != 0) {
        g_set_error_literal(error, CLV_KEYMGMT_ERROR, CLV_CODE_INTERNAL,
                            "vector of RFC 4568 section 4.1 is read or written otherwise");
        return FALSE;
    }
    return TRUE;
}

const ClvKeymgmtOps clv_sdes_ops = {
    .scheme = CLV_SCHEME_SDES,
    .name = "sdes",
    .gives = CLV_PROOF_NONE,
    .needs_tls = TRUE,
    .offered = offered,
    .offer_id = offer_id,
    .open = sdes_open,
    .call = clv_sdes_call,
    .step = sdes_step,
    .close = sdes_close,
    .self_test = self_test,
};
