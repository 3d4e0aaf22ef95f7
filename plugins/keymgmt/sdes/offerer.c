/* SPDX-License-Identifier: Apache-2.0 */
/* sdes/offerer.c - which keys do we offer, and which of them has the peer taken?
 *
 * One line for each suite, each with a tag and a key of its own (RFC 4568 section 5.1.1). The
 * answer names one of them by its tag and brings the peer's key. When the call forks, everybody who
 * is called has seen the same keys of ours: that is how it is with this scheme (section 6.2 of RFC
 * 4568 leaves no way to tell), so whoever wants more takes another scheme.
 */
#include "config.h"

#include <openssl/crypto.h>
#include <string.h>

#include "base/secret.h"
#include "sdes-private.h"

typedef struct Offerer {
    ClvKeymgmtState base;
    ClvKeymgmtConfig config;
    guint media_index;
    gboolean offered;
    SdesLine lines[CLV_N_SRTP_SUITES]; /* tag i+1; its key is ours */
    guint n_lines;
} Offerer;

gboolean
clv_sdes_make_key(const ClvKeymgmtConfig *config, ClvSrtpSuite suite, ClvSrtpKeys *out_keys,
                  GError **error)
{
    ClvSrtpKeys keys = {
        .suite = suite,
        .key_len = (guint8)clv_sdes_key_len(suite),
        .salt_len = (guint8)clv_sdes_salt_len(suite),
    };
    gboolean made = config->random(config->random_user, keys.key, keys.key_len) &&
                    config->random(config->random_user, keys.salt, keys.salt_len);

    if (made)
        *out_keys = keys;
    else
        g_set_error_literal(error, CLV_KEYMGMT_ERROR, CLV_CODE_INTERNAL,
                            "no random octets for a key");
    clv_srtp_keys_clear(&keys);
    return made;
}

/* ---- the offer ---- */

static gboolean
make_offer(Offerer *o, ClvKeymgmtOutput *out, GError **error)
{
    char text[CLV_N_SRTP_SUITES * SDES_MAX_LINE];
    gsize used = 0;

    for (guint i = 0; i < o->n_lines; i++) {
        char line[SDES_MAX_LINE];

        if (!clv_sdes_make_key(&o->config, o->lines[i].keys.suite, &o->lines[i].keys, error)) {
            OPENSSL_cleanse(text, sizeof(text));
            return FALSE;
        }
        clv_sdes_line_format(&o->lines[i], &o->lines[i].keys, line);
        if (i > 0)
            text[used++] = '\n';
        used += g_strlcpy(text + used, line, sizeof(text) - used);
        OPENSSL_cleanse(line, sizeof(line));
    }
    out->answer_line = g_strdup(text);
    out->answer_is_crypto = TRUE;
    OPENSSL_cleanse(text, sizeof(text));
    return TRUE;
}

/* ---- answers ---- */

static gboolean
refuse(GError **error, const char *why)
{
    g_set_error(error, CLV_KEYMGMT_ERROR, CLV_CODE_KEYMGMT_FAILED, "the answer's a=crypto: %s",
                why);
    return FALSE;
}

/* A key of ours that comes back would make one key stream of both directions. */
static gboolean
is_our_own(const Offerer *o, const ClvSrtpKeys *theirs)
{
    for (guint i = 0; i < o->n_lines; i++) {
        const ClvSrtpKeys *ours = &o->lines[i].keys;

        if (ours->key_len == theirs->key_len &&
            CRYPTO_memcmp(ours->key, theirs->key, theirs->key_len) == 0)
            return TRUE;
    }
    return FALSE;
}

static gboolean
match_line(const Offerer *o, const SdesLine *theirs, ClvKeymgmtOutput *out, GError **error)
{
    const SdesLine *ours;

    if (theirs->tag < 1 || theirs->tag > o->n_lines)
        return refuse(error, "a tag that we have not offered");
    ours = &o->lines[theirs->tag - 1];
    if (ours->keys.suite != theirs->keys.suite)
        return refuse(error, "not the suite that we have offered with this tag");
    if (theirs->keys.mki_len > 0)
        return refuse(error, "an MKI, where the offer had none");
    if (is_our_own(o, &theirs->keys))
        return refuse(error, "a key that is ours");

    out->rx = theirs->keys;
    out->tx = ours->keys;
    out->has_media = TRUE;
    out->proof = CLV_PROOF_NONE;
    out->answer_is_crypto = TRUE;
    return TRUE;
}

static gboolean
take_answer(const Offerer *o, const ClvSdp *answer, ClvKeymgmtOutput *out, GError **error)
{
    const ClvSdpMedia *media;
    g_autoptr(GError) reason = NULL;
    SdesLine line = {0};
    gboolean taken;

    if (answer == NULL || o->media_index >= answer->n_media)
        return refuse(error, "there is no such m-line");
    media = &answer->media[o->media_index];
    if (media->n_crypto != 1)
        return refuse(error, media->n_crypto == 0 ? "there is none" : "more than one");
    if (!clv_sdes_line_parse(media->crypto[0], &line, &reason))
        return refuse(error, reason->message);

    taken = match_line(o, &line, out, error);
    clv_srtp_keys_clear(&line.keys);
    return taken;
}

/* ---- the door ---- */

static ClvKeymgmtNext
offerer_step(ClvKeymgmtState *base, const ClvKeymgmtInput *in, ClvKeymgmtOutput *out,
             GError **error)
{
    Offerer *o = (Offerer *)base;

    clv_keymgmt_output_clear(out);
    if (o->offered)
        return take_answer(o, in->answer, out, error) ? CLV_KEYMGMT_DONE : CLV_KEYMGMT_FAILED;
    if (!make_offer(o, out, error))
        return CLV_KEYMGMT_FAILED;
    o->offered = TRUE;
    return CLV_KEYMGMT_WANT_PEER;
}

static void
offerer_close(ClvKeymgmtState *base)
{
    Offerer *o = (Offerer *)base;

    for (guint i = 0; i < o->n_lines; i++)
        clv_srtp_keys_clear(&o->lines[i].keys);
    g_free(o);
}

ClvKeymgmtState *
clv_sdes_call(const ClvKeymgmtCall *call, GError **error)
{
    Offerer *o;

    if (call->media_index >= CLV_SDP_MAX_MEDIA || call->suites[0] == CLV_SRTP_NONE) {
        g_set_error_literal(error, CLV_KEYMGMT_ERROR, CLV_CODE_INTERNAL,
                            "sdes: an offer without such an m-line or without a suite");
        return NULL;
    }

    o = g_new0(Offerer, 1);
    o->base = (ClvKeymgmtState){offerer_step, offerer_close};
    o->config = *call->config;
    o->media_index = call->media_index;
    for (; call->suites[o->n_lines] != CLV_SRTP_NONE; o->n_lines++) {
        SdesLine *line = &o->lines[o->n_lines];

        if (o->n_lines == G_N_ELEMENTS(o->lines))
            break;
        line->tag = o->n_lines + 1;
        line->keys.suite = call->suites[o->n_lines];
        line->suite_name = clv_sdes_suite_name(call->suites[o->n_lines]);
        line->padded = TRUE;
    }
    return &o->base;
}
