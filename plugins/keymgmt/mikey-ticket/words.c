/* SPDX-License-Identifier: Apache-2.0 */
/* mikey-ticket/words.c - how do words of libmikey become words of ours, keys above all? */
#include "config.h"

#include <openssl/crypto.h>
#include <string.h>

#include "base/identity.h"
#include "ticket-private.h"

static const MikeySrtpProfile profile_of_suite[CLV_N_SRTP_SUITES] = {
    [CLV_SRTP_AES_CM_128_HMAC_SHA1_80] = MIKEY_SRTP_AES_CM_128_HMAC_SHA1_80,
    [CLV_SRTP_AES_CM_128_HMAC_SHA1_32] = MIKEY_SRTP_AES_CM_128_HMAC_SHA1_32,
    [CLV_SRTP_AES_256_CM_HMAC_SHA1_80] = MIKEY_SRTP_AES_256_CM_HMAC_SHA1_80,
    [CLV_SRTP_AES_256_CM_HMAC_SHA1_32] = MIKEY_SRTP_AES_256_CM_HMAC_SHA1_32,
    [CLV_SRTP_AEAD_AES_128_GCM] = MIKEY_SRTP_AEAD_AES_128_GCM,
    [CLV_SRTP_AEAD_AES_256_GCM] = MIKEY_SRTP_AEAD_AES_256_GCM,
};

static ClvSrtpSuite
suite_of_profile(MikeySrtpProfile profile)
{
    for (guint suite = CLV_SRTP_NONE + 1; suite < CLV_N_SRTP_SUITES; suite++) {
        if (profile_of_suite[suite] == profile)
            return (ClvSrtpSuite)suite;
    }
    return CLV_SRTP_NONE;
}

gsize
clv_ticket_profiles(const ClvSrtpSuite *suites, MikeySrtpProfile out_profiles[CLV_N_SRTP_SUITES])
{
    gsize n = 0;

    for (; *suites != CLV_SRTP_NONE && n < CLV_N_SRTP_SUITES; suites++)
        out_profiles[n++] = profile_of_suite[*suites];
    return n;
}

static bool
random_octets(uint8_t *out, size_t len, void *data)
{
    const ClvKeymgmtConfig *config = data;

    return config->random(config->random_user, out, len);
}

MikeyEnv
clv_ticket_env(const ClvKeymgmtConfig *config, gint64 now_us)
{
    return (MikeyEnv){
        .now = mikey_ntp_from_unix_us(now_us),
        .skew_s = (uint32_t)config->skew_s,
        .allow_128 = config->allow_128,
        .random = random_octets,
        .random_data = (void *)config,
    };
}

char *
clv_ticket_identity(const MikeyIdentity *identity)
{
    if (identity->type != MIKEY_ID_URI || identity->data.len == 0 || identity->data.len > 1024)
        return NULL;
    if (memchr(identity->data.data, '\0', identity->data.len) != NULL)
        return NULL;
    return clv_identity_canonical((const char *)identity->data.data, (gssize)identity->data.len);
}

char *
clv_ticket_hash(const MikeyTicket *ticket)
{
    guint8 digest[MIKEY_DIGEST_LEN];
    GString *hex;

    if (mikey_ticket_digest(ticket, digest) != MIKEY_OK)
        return NULL;
    hex = g_string_sized_new(2 * sizeof(digest));
    for (guint i = 0; i < sizeof(digest); i++)
        g_string_append_printf(hex, "%02x", digest[i]);
    return g_string_free(hex, FALSE);
}

gboolean
clv_ticket_encode_line(MikeyBytes message, char **out_line, TicketRefusal *refusal)
{
    MikeyBuffer value = MIKEY_BUFFER_INIT;

    if (mikey_sdp_encode(message, &value) != MIKEY_OK)
        return clv_ticket_refuse(refusal, CLV_CODE_INTERNAL, MIKEY_NO_MEMORY,
                                 "encoding a MIKEY message");
    *out_line = g_strndup((const char *)value.data, value.len);
    mikey_buffer_clear(&value);
    return TRUE;
}

/* ---- keys ---- */

static gboolean
keys_of_session(const MikeyBundle *bundle, guint8 cs_id, ClvSrtpKeys *out, TicketRefusal *refusal)
{
    MikeySrtp srtp;
    MikeyStatus status = mikey_bundle_srtp(bundle, cs_id, &srtp);

    if (status != MIKEY_OK)
        return clv_ticket_refuse_peer(refusal, status, "crypto session");

    if (srtp.mki_len <= CLV_SRTP_MAX_MKI && srtp.master_key.len <= CLV_SRTP_MAX_KEY &&
        srtp.master_salt.len <= CLV_SRTP_MAX_SALT) {
        out->suite = suite_of_profile(srtp.profile);
        out->key_len = (guint8)srtp.master_key.len;
        memcpy(out->key, srtp.master_key.bytes, srtp.master_key.len);
        out->salt_len = (guint8)srtp.master_salt.len;
        memcpy(out->salt, srtp.master_salt.bytes, srtp.master_salt.len);
        out->mki_len = srtp.mki_len;
        memcpy(out->mki, srtp.mki, srtp.mki_len);
        out->has_ssrc = srtp.has_ssrc;
        out->ssrc = srtp.ssrc;
        out->roc = srtp.has_roc ? srtp.roc : 0;
    } else {
        status = MIKEY_BAD_KEYS;
    }
    mikey_srtp_clear(&srtp);

    return status == MIKEY_OK ||
           clv_ticket_refuse_peer(refusal, status, "MKI of more than 8 octets");
}

/* One key for both directions is fine, unless both send with one SSRC: then the same key stream
 * would cover different packets. */
static gboolean
check_two_time_pad(const ClvSrtpKeys *rx, const ClvSrtpKeys *tx, TicketRefusal *refusal)
{
    if (rx->ssrc != tx->ssrc || rx->key_len != tx->key_len ||
        CRYPTO_memcmp(rx->key, tx->key, sizeof(rx->key)) != 0)
        return TRUE;
    return clv_ticket_refuse(refusal, CLV_CODE_KEYMGMT_FAILED, MIKEY_BAD_SESSIONS,
                             "one key and one SSRC for both directions");
}

gboolean
clv_ticket_take_keys(const MikeyBundle *bundle, guint line, gboolean we_offered,
                     ClvKeymgmtOutput *out, TicketRefusal *refusal)
{
    ClvSrtpKeys *offerers = we_offered ? &out->tx : &out->rx;
    ClvSrtpKeys *answerers = we_offered ? &out->rx : &out->tx;

    if (line == 0)
        return TRUE;
    if (!keys_of_session(bundle, MIKEY_CS_OFFERER(line), offerers, refusal) ||
        !keys_of_session(bundle, MIKEY_CS_ANSWERER(line), answerers, refusal) ||
        !check_two_time_pad(&out->rx, &out->tx, refusal))
        return FALSE;

    out->has_media = TRUE;
    return TRUE;
}
