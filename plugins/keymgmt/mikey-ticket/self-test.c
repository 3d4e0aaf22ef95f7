/* SPDX-License-Identifier: Apache-2.0 */
/* mikey-ticket/self-test.c - does a known call still come out as it must?
 *
 * A call whose every octet was made by another implementation runs through the scheme with the
 * clock and the randomness of that day: what we ask the KMS and the SRTP keys must be the same, and
 * with one octet of the KMS's answer changed there must be no keys at all.
 */
#include "config.h"

#include <openssl/crypto.h>
#include <string.h>

#include "base/replay.h"
#include "base/secret.h"
#include "keymgmt/schemes.h"
#include "ticket-private.h"
#include "vectors.h"

#define NEW_YEAR_2030_US (G_GINT64_CONSTANT(1893456000) * G_USEC_PER_SEC)
#define ASKED_US (NEW_YEAR_2030_US + 4000000)    /* T of the RESOLVE_INIT */
#define ANSWERED_US (NEW_YEAR_2030_US + 5750000) /* T of the TRANSFER_RESP */

/* The randomness of that day: 4 octets are a CSB ID, 32 a RANDR, first the one for the KMS. */
typedef struct Script {
    guint n_rands;
} Script;

static gsize
unhex(const char *hex, guint8 *out, gsize room)
{
    gsize len = strlen(hex) / 2;

    g_assert(len <= room);
    for (gsize i = 0; i < len; i++)
        out[i] =
            (guint8)(g_ascii_xdigit_value(hex[2 * i]) << 4 | g_ascii_xdigit_value(hex[2 * i + 1]));
    return len;
}

static gboolean
scripted(void *user, guint8 *out, gsize len)
{
    Script *script = user;
    const char *hex = vector_resolve_csb_id;

    if (len != 4)
        hex = script->n_rands++ == 0 ? vector_resolve_rand : vector_transfer_rand;
    return strlen(hex) == 2 * len && unhex(hex, out, len) == len;
}

static gboolean
differs(GError **error, const char *what)
{
    g_set_error(error, CLV_KEYMGMT_ERROR, CLV_CODE_INTERNAL, "vector transfer/256-fork-public: %s",
                what);
    return FALSE;
}

static gboolean
hex_is(const char *hex, const guint8 *octets, gsize len)
{
    guint8 wanted[64];

    return unhex(hex, wanted, sizeof(wanted)) == len && CRYPTO_memcmp(wanted, octets, len) == 0;
}

static gboolean
check_question(const ClvKeymgmtOutput *out, GError **error)
{
    guint8 digest[MIKEY_DIGEST_LEN];

    if (mikey_digest(mikey_bytes(out->bytes->data, out->bytes->len), digest) != MIKEY_OK ||
        !hex_is(vector_resolve_init_sha256, digest, sizeof(digest)))
        return differs(error, "another RESOLVE_INIT");
    return TRUE;
}

static gboolean
check_keys(const ClvSrtpKeys *keys, const char *key, const char *salt, guint32 ssrc)
{
    return keys->suite == CLV_SRTP_AEAD_AES_128_GCM && hex_is(key, keys->key, keys->key_len) &&
           hex_is(salt, keys->salt, keys->salt_len) &&
           hex_is(vector_mki, keys->mki, keys->mki_len) && keys->has_ssrc && keys->ssrc == ssrc;
}

static gboolean
check_result(const ClvKeymgmtOutput *out, GError **error)
{
    if (!check_keys(&out->rx, vector_rx_key, vector_rx_salt, 0x10203040) ||
        !check_keys(&out->tx, vector_tx_key, vector_tx_salt, 0x50607080))
        return differs(error, "other SRTP keys");
    if (g_strcmp0(out->identity, "sip:alice@operator.example") != 0 ||
        !g_str_has_prefix(out->answer_line, "mikey AQ8F"))
        return differs(error, "another identity or answer");
    return TRUE;
}

/* Both steps. With @flip the answer of the KMS is damaged and must be refused. */
static gboolean
run(ClvKeymgmtState *state, gboolean flip, GError **error)
{
    guint8 resp[512];
    gsize len = unhex(vector_resolve_resp, resp, sizeof(resp));
    ClvKeymgmtInput first = {.now_us = ASKED_US};
    ClvKeymgmtInput second = {.now_us = ANSWERED_US, .bytes = resp, .len = len};
    ClvKeymgmtOutput out = {0};
    gboolean sound;

    if (state->step(state, &first, &out, error) != CLV_KEYMGMT_WANT_KMS)
        return FALSE;
    sound = check_question(&out, error);
    clv_keymgmt_output_clear(&out);
    if (!sound)
        return FALSE;

    resp[len / 2] ^= flip ? 0x01 : 0x00;
    if (flip) {
        sound = state->step(state, &second, &out, NULL) == CLV_KEYMGMT_FAILED ||
                differs(error, "a damaged answer of the KMS is taken");
    } else {
        sound = state->step(state, &second, &out, error) == CLV_KEYMGMT_DONE &&
                check_result(&out, error);
    }
    clv_keymgmt_output_clear(&out);
    return sound;
}

static gboolean
run_with(const ClvKeymgmtSetup *setup, gboolean flip, GError **error)
{
    ClvKeymgmtState *state = clv_ticket_answerer_new(setup);
    gboolean sound = run(state, flip, error);

    state->close(state);
    return sound;
}

gboolean
clv_ticket_self_test(GError **error)
{
    static const ClvSrtpSuite suites[] = {CLV_SRTP_AEAD_AES_128_GCM, CLV_SRTP_NONE};
    Script script = {0};
    guint8 psk[32];
    ClvReplay *replay = clv_replay_new(8);
    g_autofree ClvSdp *offer = g_new0(ClvSdp, 1);
    ClvKeymgmtConfig config = {
        .kms_uri = "sip:kms@operator.example",
        .psk_id = (const guint8 *)"bob",
        .psk_id_len = 3,
        .psk = psk,
        .psk_len = unhex(vector_psk, psk, sizeof(psk)),
        .skew_s = 300,
        .max_ticket_lifetime_s = 3600,
        .max_responders = 2,
        .replay = replay,
        .random = scripted,
        .random_user = &script,
    };
    ClvKeymgmtSetup setup = {
        .config = &config,
        .purpose = CLV_PURPOSE_JOIN,
        .offer = offer,
        .focus_uri = "sip:bob@operator.example",
        .request_uri = "sip:bob@operator.example",
        .suites = suites,
        .local_ssrc = 0x50607080,
        .now_us = ASKED_US,
    };
    gboolean sound;

    offer->keymgmt[0] = (char *)vector_offer;
    offer->n_keymgmt = 1;
    offer->n_media = 2;

    sound = run_with(&setup, TRUE, error);
    script.n_rands = 0;
    sound = sound && run_with(&setup, FALSE, error);

    clv_replay_free(replay);
    OPENSSL_cleanse(psk, sizeof(psk));
    return sound;
}
