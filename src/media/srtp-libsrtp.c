/* SPDX-License-Identifier: Apache-2.0 */
/* media/srtp-libsrtp.c - libsrtp2 behind the SRTP seam: the judge of our own transform
 *
 * One session per context, with a template for whatever SSRC comes; a stream of its own only for
 * an SSRC whose rollover counter is given. libsrtp allocates a stream for each new authentic SSRC,
 * so this engine is not for the packet path of a busy mixer.
 */
#include "media/srtp-private.h"

#include "media/media.h"
#include "media/wire.h"

#include <openssl/crypto.h>
#include <srtp2/srtp.h>

/* libsrtp knows streams only by list; we keep count of them, and of a counter that is to be. */
typedef struct Known {
    uint32_t ssrc;
    bool used;
    bool given;     /* a rollover counter waits for the first packet */
    bool continues; /* newest is where an older context stood */
    uint32_t roc;
    uint64_t newest;
} Known;

typedef struct Context {
    ClvSrtp base;
    srtp_t session;
    srtp_policy_t policy;
    srtp_master_key_t master;
    srtp_master_key_t *masters[1];
    uint8_t key[CLV_SRTP_MAX_KEY + CLV_SRTP_MAX_SALT];
    uint8_t mki[CLV_SRTP_MAX_MKI];
    Known known[CLV_SRTP_MAX_SSRCS];
} Context;

static const ClvSrtpVerdict verdicts[] = {
    [srtp_err_status_ok] = CLV_SRTP_OK,
    [srtp_err_status_bad_param] = CLV_SRTP_MALFORMED,
    [srtp_err_status_auth_fail] = CLV_SRTP_AUTH_FAILED,
    [srtp_err_status_cipher_fail] = CLV_SRTP_AUTH_FAILED,
    [srtp_err_status_replay_fail] = CLV_SRTP_REPLAYED,
    [srtp_err_status_replay_old] = CLV_SRTP_TOO_OLD,
    [srtp_err_status_cant_check] = CLV_SRTP_CLEAR,
    [srtp_err_status_key_expired] = CLV_SRTP_EXPIRED,
    [srtp_err_status_parse_err] = CLV_SRTP_MALFORMED,
    [srtp_err_status_bad_mki] = CLV_SRTP_UNKNOWN_MKI,
    [srtp_err_status_pkt_idx_old] = CLV_SRTP_TOO_OLD,
};

static ClvSrtpVerdict
verdict_of(srtp_err_status_t status)
{
    if ((size_t)status >= G_N_ELEMENTS(verdicts))
        return CLV_SRTP_BROKEN;
    if (verdicts[status] == CLV_SRTP_OK && status != srtp_err_status_ok)
        return CLV_SRTP_BROKEN;
    return verdicts[status];
}

static Known *
known_find(const Context *c, uint32_t ssrc)
{
    for (size_t i = 0; i < CLV_SRTP_MAX_SSRCS; i++) {
        if (c->known[i].used && c->known[i].ssrc == ssrc)
            return (Known *)&c->known[i];
    }
    return NULL;
}

static Known *
known_for(const Context *c, uint32_t ssrc)
{
    Known *known = known_find(c, ssrc);

    for (size_t i = 0; known == NULL && i < CLV_SRTP_MAX_SSRCS; i++) {
        if (!c->known[i].used)
            known = (Known *)&c->known[i];
    }
    return known;
}

static void
known_take(Known *known, uint32_t ssrc)
{
    if (!known->used)
        *known = (Known){.ssrc = ssrc, .used = true};
}

static ClvSrtpVerdict
before_rtp(Context *c, const uint8_t *packet, Known **out_known)
{
    uint32_t ssrc = clv_load_u32(packet + 8);
    Known *known = known_for(c, ssrc);

    if (known == NULL)
        return CLV_SRTP_TOO_MANY_SSRCS;
    *out_known = known;
    if (!known->used || !(known->given || known->continues))
        return CLV_SRTP_OK;
    if (known->continues)
        known->roc =
            (uint32_t)(clv_srtp_guess_index(known->newest, clv_load_u16(packet + 2)) >> 16);
    return verdict_of(srtp_set_stream_roc(c->session, ssrc, known->roc));
}

static void
after_rtp(Known *known, const uint8_t *packet)
{
    known_take(known, clv_load_u32(packet + 8));
    known->given = known->continues = false;
}

/* Remembers the newest index, for the context that will follow on this one. */
static void
note_rtp(Context *c, Known *known, const uint8_t *packet)
{
    uint32_t roc = 0;
    uint64_t index;

    (void)srtp_get_stream_roc(c->session, known->ssrc, &roc);
    index = (uint64_t)roc << 16 | clv_load_u16(packet + 2);
    if (index > known->newest && index - known->newest < 0x8000)
        known->newest = index;
    else if (known->newest == 0)
        known->newest = index;
}

static ClvSrtpVerdict
run_rtp(Context *c, uint8_t *packet, size_t *len, bool protect)
{
    unsigned use_mki = c->base.mki_len > 0;
    int n = (int)*len;
    Known *known = NULL;
    ClvSrtpVerdict verdict = before_rtp(c, packet, &known);

    if (verdict == CLV_SRTP_OK && protect)
        verdict = verdict_of(srtp_protect_mki(c->session, packet, &n, use_mki, 0));
    else if (verdict == CLV_SRTP_OK)
        verdict = verdict_of(srtp_unprotect_mki(c->session, packet, &n, use_mki));
    if (verdict != CLV_SRTP_OK)
        return verdict;
    after_rtp(known, packet);
    note_rtp(c, known, packet);
    *len = (size_t)n;
    return CLV_SRTP_OK;
}

static ClvSrtpVerdict
run_rtcp(Context *c, uint8_t *packet, size_t *len, bool protect)
{
    unsigned use_mki = c->base.mki_len > 0;
    uint32_t ssrc = clv_load_u32(packet + 4);
    int n = (int)*len;
    Known *known = known_for(c, ssrc);
    ClvSrtpVerdict verdict;

    if (known == NULL)
        return CLV_SRTP_TOO_MANY_SSRCS;
    if (protect)
        verdict = verdict_of(srtp_protect_rtcp_mki(c->session, packet, &n, use_mki, 0));
    else
        verdict = verdict_of(srtp_unprotect_rtcp_mki(c->session, packet, &n, use_mki));
    if (verdict != CLV_SRTP_OK)
        return verdict;
    known_take(known, ssrc);
    *len = (size_t)n;
    return CLV_SRTP_OK;
}

static ClvSrtpVerdict
protect_rtp(ClvSrtp *srtp, uint8_t *packet, size_t *len)
{
    return run_rtp((Context *)srtp, packet, len, true);
}

static ClvSrtpVerdict
unprotect_rtp(ClvSrtp *srtp, uint8_t *packet, size_t *len)
{
    return run_rtp((Context *)srtp, packet, len, false);
}

static ClvSrtpVerdict
protect_rtcp(ClvSrtp *srtp, uint8_t *packet, size_t *len)
{
    return run_rtcp((Context *)srtp, packet, len, true);
}

static ClvSrtpVerdict
unprotect_rtcp(ClvSrtp *srtp, uint8_t *packet, size_t *len)
{
    return run_rtcp((Context *)srtp, packet, len, false);
}

static bool
get_roc(const ClvSrtp *srtp, uint32_t ssrc, uint32_t *out_roc)
{
    const Context *c = (const Context *)srtp;
    const Known *known = known_find(c, ssrc);

    if (known == NULL)
        return false;
    if (known->given)
        *out_roc = known->roc;
    else if (known->continues)
        *out_roc = (uint32_t)(known->newest >> 16);
    else
        return srtp_get_stream_roc(c->session, ssrc, out_roc) == srtp_err_status_ok;
    return true;
}

/* A template makes a stream only with its first packet, and by then the counter is too late. */
static bool
ensure_stream(Context *c, uint32_t ssrc)
{
    uint32_t roc;
    srtp_policy_t policy = c->policy;

    if (srtp_get_stream_roc(c->session, ssrc, &roc) == srtp_err_status_ok)
        return true;
    policy.ssrc.type = ssrc_specific;
    policy.ssrc.value = ssrc;
    return srtp_add_stream(c->session, &policy) == srtp_err_status_ok;
}

static bool
set_roc(ClvSrtp *srtp, uint32_t ssrc, uint32_t roc)
{
    Context *c = (Context *)srtp;
    Known *known = known_for(c, ssrc);

    if (known == NULL || !ensure_stream(c, ssrc))
        return false;
    known_take(known, ssrc);
    known->given = true;
    known->continues = false;
    known->roc = roc;
    return true;
}

static void
carry(ClvSrtp *fresh, const ClvSrtp *old)
{
    Context *to = (Context *)fresh;
    const Context *from = (const Context *)old;

    for (size_t i = 0; i < CLV_SRTP_MAX_SSRCS; i++) {
        const Known *known = &from->known[i];
        Known *mine = known->used ? known_for(to, known->ssrc) : NULL;

        if (mine == NULL || (mine->used && mine->given && mine->roc != 0) ||
            !ensure_stream(to, known->ssrc))
            continue;
        *mine = *known;
        mine->continues = !known->given;
    }
}

static void
destroy(ClvSrtp *srtp)
{
    Context *c = (Context *)srtp;

    if (c->session != NULL)
        (void)srtp_dealloc(c->session);
    OPENSSL_clear_free(c, sizeof *c);
}

static void (*const rtp_policies[CLV_N_SRTP_SUITES])(srtp_crypto_policy_t *) = {
    [CLV_SRTP_AES_CM_128_HMAC_SHA1_80] = srtp_crypto_policy_set_rtp_default,
    [CLV_SRTP_AES_CM_128_HMAC_SHA1_32] = srtp_crypto_policy_set_aes_cm_128_hmac_sha1_32,
    [CLV_SRTP_AES_256_CM_HMAC_SHA1_80] = srtp_crypto_policy_set_aes_cm_256_hmac_sha1_80,
    [CLV_SRTP_AES_256_CM_HMAC_SHA1_32] = srtp_crypto_policy_set_aes_cm_256_hmac_sha1_32,
    [CLV_SRTP_AEAD_AES_128_GCM] = srtp_crypto_policy_set_aes_gcm_128_16_auth,
    [CLV_SRTP_AEAD_AES_256_GCM] = srtp_crypto_policy_set_aes_gcm_256_16_auth,
};

/* The short tag is for RTP alone; reports keep 80 bits (RFC 4568 section 6.2.2). */
static void (*const rtcp_policies[CLV_N_SRTP_SUITES])(srtp_crypto_policy_t *) = {
    [CLV_SRTP_AES_CM_128_HMAC_SHA1_80] = srtp_crypto_policy_set_rtp_default,
    [CLV_SRTP_AES_CM_128_HMAC_SHA1_32] = srtp_crypto_policy_set_rtp_default,
    [CLV_SRTP_AES_256_CM_HMAC_SHA1_80] = srtp_crypto_policy_set_aes_cm_256_hmac_sha1_80,
    [CLV_SRTP_AES_256_CM_HMAC_SHA1_32] = srtp_crypto_policy_set_aes_cm_256_hmac_sha1_80,
    [CLV_SRTP_AEAD_AES_128_GCM] = srtp_crypto_policy_set_aes_gcm_128_16_auth,
    [CLV_SRTP_AEAD_AES_256_GCM] = srtp_crypto_policy_set_aes_gcm_256_16_auth,
};

static void
fill_policy(Context *c, const ClvSrtpKeys *keys, ClvSrtpSide side)
{
    memcpy(c->key, keys->key, keys->key_len);
    memcpy(c->key + keys->key_len, keys->salt, keys->salt_len);
    memcpy(c->mki, keys->mki, keys->mki_len);
    rtp_policies[keys->suite](&c->policy.rtp);
    rtcp_policies[keys->suite](&c->policy.rtcp);
    c->policy.ssrc.type = side == CLV_SRTP_SEND ? ssrc_any_outbound : ssrc_any_inbound;
    c->policy.window_size = CLV_SRTP_REPLAY_WINDOW;
    if (keys->mki_len == 0) {
        c->policy.key = c->key;
        return;
    }
    c->master = (srtp_master_key_t){.key = c->key, .mki_id = c->mki, .mki_size = keys->mki_len};
    c->masters[0] = &c->master;
    c->policy.keys = c->masters;
    c->policy.num_master_keys = 1;
}

static ClvSrtp *
make(const ClvSrtpKeys *keys, ClvSrtpSide side, GError **error)
{
    static gsize ready;
    Context *c;

    if (g_once_init_enter(&ready))
        g_once_init_leave(&ready, srtp_init() == srtp_err_status_ok ? 1 : 2);

    c = OPENSSL_zalloc(sizeof *c);
    if (c != NULL)
        fill_policy(c, keys, side);
    if (c == NULL || ready != 1 || srtp_create(&c->session, &c->policy) != srtp_err_status_ok) {
        g_set_error(error, CLV_MEDIA_ERROR, CLV_MEDIA_ERROR_SRTP, "libsrtp2 cannot set up %s",
                    clv_srtp_profile(keys->suite)->name);
        if (c != NULL)
            destroy(&c->base);
        return NULL;
    }
    return &c->base;
}

const ClvSrtpOps clv_srtp_libsrtp_ops = {
    .make = make,
    .destroy = destroy,
    .protect_rtp = protect_rtp,
    .unprotect_rtp = unprotect_rtp,
    .protect_rtcp = protect_rtcp,
    .unprotect_rtcp = unprotect_rtcp,
    .get_roc = get_roc,
    .set_roc = set_roc,
    .carry = carry,
};
