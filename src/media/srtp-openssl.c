/* SPDX-License-Identifier: Apache-2.0 */
/* media/srtp-openssl.c - our own transform for packets (RFC 3711, 6188, 7714) on kept contexts
 *
 * Ciphers are keyed once and only told a new IV per packet. HMAC-SHA1 keeps the states after the
 * two padded keys and copies them, because OpenSSL 3.0's EVP_MAC and HMAC duplicate a digest
 * context on the heap for every message; that is why this file uses the low-level SHA1 calls.
 */
#define OPENSSL_SUPPRESS_DEPRECATED
#include "media/srtp-private.h"

#include "media/media.h"
#include "media/wire.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/sha.h>

#define SALT_LEN 14
#define GCM_IV_LEN 12
#define GCM_TAG_LEN 16
#define AUTH_KEY_LEN CLV_SRTP_AUTH_KEY
#define RTCP_FIXED 8
#define INDEX_LEN 4
#define E_BIT 0x80000000u
#define LAST_RTP_INDEX ((UINT64_C(1) << 48) - 1)
#define LAST_RTCP_INDEX 0x7fffffffu

/* Which of the last packets were seen: bit k of word w stands for newest - 64 w - k. */
typedef struct Window {
    uint64_t newest;
    uint64_t seen[CLV_SRTP_REPLAY_WINDOW / 64];
    bool started;
} Window;

typedef struct Stream {
    uint32_t ssrc;
    bool used;
    bool roc_given; /* the next packet is at rollover counter roc, whatever came before */
    uint32_t roc;
    Window rtp, rtcp;
} Stream;

typedef struct Mac {
    SHA_CTX inner, outer;
} Mac;

/* One protocol's session keys, ready for use. */
typedef struct Session {
    EVP_CIPHER_CTX *cipher;
    uint8_t salt[SALT_LEN];
    Mac mac;
    uint8_t tag_len;
} Session;

typedef struct Context {
    ClvSrtp base;
    Session rtp, rtcp;
    Stream streams[CLV_SRTP_MAX_SSRCS];
} Context;

/* ---- replay ------------------------------------------------------------------------------- */

static ClvSrtpVerdict
window_judge(const Window *w, uint64_t index)
{
    uint64_t back;

    if (!w->started || index > w->newest)
        return CLV_SRTP_OK;
    back = w->newest - index;
    if (back >= CLV_SRTP_REPLAY_WINDOW)
        return CLV_SRTP_TOO_OLD;
    return (w->seen[back / 64] >> (back % 64) & 1) != 0 ? CLV_SRTP_REPLAYED : CLV_SRTP_OK;
}

static void
window_restart(Window *w, uint64_t index)
{
    *w = (Window){.newest = index, .seen = {1}, .started = true};
}

static void
window_note(Window *w, uint64_t index)
{
    uint64_t ahead;

    if (!w->started) {
        window_restart(w, index);
        return;
    }
    if (index <= w->newest) {
        uint64_t back = w->newest - index;

        w->seen[back / 64] |= UINT64_C(1) << (back % 64);
        return;
    }
    ahead = index - w->newest;
    if (ahead >= CLV_SRTP_REPLAY_WINDOW) {
        window_restart(w, index);
        return;
    }
    if (ahead >= 64) {
        w->seen[1] = w->seen[0] << (ahead - 64);
        w->seen[0] = 0;
    } else {
        w->seen[1] = w->seen[1] << ahead | w->seen[0] >> (64 - ahead);
        w->seen[0] <<= ahead;
    }
    w->seen[0] |= 1;
    w->newest = index;
}

/* ---- streams ------------------------------------------------------------------------------ */

static Stream *
stream_find(Context *c, uint32_t ssrc)
{
    for (size_t i = 0; i < CLV_SRTP_MAX_SSRCS; i++) {
        if (c->streams[i].used && c->streams[i].ssrc == ssrc)
            return &c->streams[i];
    }
    return NULL;
}

/* A free stream, not yet taken: it becomes the SSRC's only when a packet proves authentic. */
static Stream *
stream_vacant(Context *c)
{
    for (size_t i = 0; i < CLV_SRTP_MAX_SSRCS; i++) {
        if (!c->streams[i].used)
            return &c->streams[i];
    }
    return NULL;
}

static Stream *
stream_for(Context *c, uint32_t ssrc)
{
    Stream *stream = stream_find(c, ssrc);

    return stream != NULL ? stream : stream_vacant(c);
}

static void
stream_take(Stream *stream, uint32_t ssrc)
{
    if (!stream->used)
        *stream = (Stream){.ssrc = ssrc, .used = true};
}

static uint64_t
stream_guess(const Stream *stream, uint16_t seq)
{
    if (!stream->used)
        return seq;
    if (stream->roc_given)
        return (uint64_t)stream->roc << 16 | seq;
    return stream->rtp.started ? clv_srtp_guess_index(stream->rtp.newest, seq) : seq;
}

/* A given rollover counter that leads far away makes the old window meaningless. */
static bool
stream_leaps(const Stream *stream, uint64_t index)
{
    uint64_t newest = stream->rtp.newest;

    if (!stream->used || !stream->roc_given || !stream->rtp.started)
        return false;
    return index > newest ? index - newest > 0x8000 : newest - index > 0x8000;
}

static ClvSrtpVerdict
stream_judge(const Stream *stream, uint64_t index)
{
    if (index > LAST_RTP_INDEX)
        return CLV_SRTP_EXPIRED;
    if (!stream->used || stream_leaps(stream, index))
        return CLV_SRTP_OK;
    return window_judge(&stream->rtp, index);
}

static void
stream_note(Stream *stream, uint32_t ssrc, uint64_t index)
{
    bool leaps = stream_leaps(stream, index);

    stream_take(stream, ssrc);
    stream->roc_given = false;
    if (leaps)
        window_restart(&stream->rtp, index);
    else
        window_note(&stream->rtp, index);
}

/* ---- authentication ----------------------------------------------------------------------- */

static void
mac_init(Mac *mac, const uint8_t *key)
{
    uint8_t block[SHA_CBLOCK] = {0};

    memcpy(block, key, AUTH_KEY_LEN);
    for (size_t i = 0; i < sizeof block; i++)
        block[i] ^= 0x36;
    SHA1_Init(&mac->inner);
    SHA1_Update(&mac->inner, block, sizeof block);
    for (size_t i = 0; i < sizeof block; i++)
        block[i] ^= 0x36 ^ 0x5c;
    SHA1_Init(&mac->outer);
    SHA1_Update(&mac->outer, block, sizeof block);
    OPENSSL_cleanse(block, sizeof block);
}

/* HMAC-SHA1 over the packet and, for RTP, the rollover counter behind it. */
static void
mac_compute(const Mac *mac, const uint8_t *packet, size_t len, const uint8_t *roc,
            uint8_t out[SHA_DIGEST_LENGTH])
{
    SHA_CTX sha = mac->inner;

    SHA1_Update(&sha, packet, len);
    if (roc != NULL)
        SHA1_Update(&sha, roc, 4);
    SHA1_Final(out, &sha);
    sha = mac->outer;
    SHA1_Update(&sha, out, SHA_DIGEST_LENGTH);
    SHA1_Final(out, &sha);
}

/* ---- encryption --------------------------------------------------------------------------- */

/* RFC 3711 section 4.1.1: salt * 2^16 XOR ssrc * 2^64 XOR index * 2^16. */
static void
counter_iv(const Session *s, uint32_t ssrc, uint64_t index, uint8_t iv[16])
{
    memcpy(iv, s->salt, SALT_LEN);
    iv[14] = iv[15] = 0;
    clv_store_u32(iv + 4, clv_load_u32(iv + 4) ^ ssrc);
    clv_store_u16(iv + 8, (uint16_t)(clv_load_u16(iv + 8) ^ (uint16_t)(index >> 32)));
    clv_store_u32(iv + 10, clv_load_u32(iv + 10) ^ (uint32_t)index);
}

static bool
counter_crypt(Session *s, uint32_t ssrc, uint64_t index, uint8_t *bytes, size_t len)
{
    uint8_t iv[16];
    int n = 0;

    counter_iv(s, ssrc, index, iv);
    return EVP_EncryptInit_ex(s->cipher, NULL, NULL, NULL, iv) == 1 &&
           EVP_EncryptUpdate(s->cipher, bytes, &n, bytes, (int)len) == 1;
}

/* RFC 7714 section 8.1 and 9.1: both put 48 bits of index behind the SSRC. */
static void
gcm_iv(const Session *s, uint32_t ssrc, uint64_t index, uint8_t iv[GCM_IV_LEN])
{
    memcpy(iv, s->salt, GCM_IV_LEN);
    clv_store_u32(iv + 2, clv_load_u32(iv + 2) ^ ssrc);
    clv_store_u16(iv + 6, (uint16_t)(clv_load_u16(iv + 6) ^ (uint16_t)(index >> 32)));
    clv_store_u32(iv + 8, clv_load_u32(iv + 8) ^ (uint32_t)index);
}

/* What is authenticated but not encrypted: a head, and for SRTCP the index word. */
typedef struct Aad {
    const uint8_t *head;
    size_t head_len;
    const uint8_t *word; /* (nullable) four octets */
} Aad;

static bool
gcm_aad(EVP_CIPHER_CTX *cipher, const Aad *aad)
{
    int n = 0;

    return EVP_CipherUpdate(cipher, NULL, &n, aad->head, (int)aad->head_len) == 1 &&
           (aad->word == NULL || EVP_CipherUpdate(cipher, NULL, &n, aad->word, INDEX_LEN) == 1);
}

static bool
gcm_seal(Session *s, const uint8_t iv[GCM_IV_LEN], const Aad *aad, uint8_t *bytes, size_t len)
{
    int n = 0;

    return EVP_EncryptInit_ex(s->cipher, NULL, NULL, NULL, iv) == 1 && gcm_aad(s->cipher, aad) &&
           (len == 0 || EVP_EncryptUpdate(s->cipher, bytes, &n, bytes, (int)len) == 1) &&
           EVP_EncryptFinal_ex(s->cipher, bytes + len, &n) == 1 &&
           EVP_CIPHER_CTX_ctrl(s->cipher, EVP_CTRL_AEAD_GET_TAG, GCM_TAG_LEN, bytes + len) == 1;
}

static bool
gcm_open(Session *s, const uint8_t iv[GCM_IV_LEN], const Aad *aad, uint8_t *bytes, size_t len)
{
    int n = 0;

    return EVP_DecryptInit_ex(s->cipher, NULL, NULL, NULL, iv) == 1 &&
           EVP_CIPHER_CTX_ctrl(s->cipher, EVP_CTRL_AEAD_SET_TAG, GCM_TAG_LEN, bytes + len) == 1 &&
           gcm_aad(s->cipher, aad) &&
           (len == 0 || EVP_DecryptUpdate(s->cipher, bytes, &n, bytes, (int)len) == 1) &&
           EVP_DecryptFinal_ex(s->cipher, bytes + len, &n) == 1;
}

static bool
mki_matches(const ClvSrtp *srtp, const uint8_t *at)
{
    return memcmp(srtp->mki, at, srtp->mki_len) == 0; /* an MKI is no secret */
}

/* ---- RTP ---------------------------------------------------------------------------------- */

static ClvSrtpVerdict
protect_rtp(ClvSrtp *srtp, uint8_t *packet, size_t *len)
{
    Context *c = (Context *)srtp;
    Session *s = &c->rtp;
    uint32_t ssrc = clv_load_u32(packet + 8);
    size_t head = clv_srtp_rtp_header_len(packet, *len);
    uint8_t *end = packet + *len;
    Stream *stream = stream_for(c, ssrc);
    ClvSrtpVerdict verdict;
    uint64_t index;

    if (stream == NULL)
        return CLV_SRTP_TOO_MANY_SSRCS;
    index = stream_guess(stream, clv_load_u16(packet + 2));
    verdict = stream_judge(stream, index); /* the same index twice would give away the plain text */
    if (verdict != CLV_SRTP_OK)
        return verdict;

    if (srtp->profile->aead) {
        uint8_t iv[GCM_IV_LEN];
        Aad aad = {.head = packet, .head_len = head};

        gcm_iv(s, ssrc, index, iv);
        if (!gcm_seal(s, iv, &aad, packet + head, *len - head))
            return CLV_SRTP_BROKEN;
        memcpy(end + GCM_TAG_LEN, srtp->mki, srtp->mki_len);
    } else {
        uint8_t roc[4], tag[SHA_DIGEST_LENGTH];

        if (!counter_crypt(s, ssrc, index, packet + head, *len - head))
            return CLV_SRTP_BROKEN;
        clv_store_u32(roc, (uint32_t)(index >> 16));
        mac_compute(&s->mac, packet, *len, roc, tag);
        memcpy(end, srtp->mki, srtp->mki_len);
        memcpy(end + srtp->mki_len, tag, s->tag_len);
    }
    stream_note(stream, ssrc, index);
    *len += (size_t)s->tag_len + srtp->mki_len;
    return CLV_SRTP_OK;
}

/* Opens what is left of a packet once the index is known; len is without tag and MKI. */
static ClvSrtpVerdict
open_rtp(Context *c, uint8_t *packet, size_t len, uint32_t ssrc, uint64_t index)
{
    Session *s = &c->rtp;
    size_t head = clv_srtp_rtp_header_len(packet, len);

    if (c->base.profile->aead) {
        uint8_t iv[GCM_IV_LEN];
        Aad aad = {.head = packet, .head_len = head};

        if (!mki_matches(&c->base, packet + len + s->tag_len))
            return CLV_SRTP_UNKNOWN_MKI;
        gcm_iv(s, ssrc, index, iv);
        return gcm_open(s, iv, &aad, packet + head, len - head) ? CLV_SRTP_OK
                                                                : CLV_SRTP_AUTH_FAILED;
    } else {
        uint8_t roc[4], tag[SHA_DIGEST_LENGTH];

        if (!mki_matches(&c->base, packet + len))
            return CLV_SRTP_UNKNOWN_MKI;
        clv_store_u32(roc, (uint32_t)(index >> 16));
        mac_compute(&s->mac, packet, len, roc, tag);
        if (CRYPTO_memcmp(tag, packet + len + c->base.mki_len, s->tag_len) != 0)
            return CLV_SRTP_AUTH_FAILED;
        return counter_crypt(s, ssrc, index, packet + head, len - head) ? CLV_SRTP_OK
                                                                        : CLV_SRTP_BROKEN;
    }
}

static ClvSrtpVerdict
unprotect_rtp(ClvSrtp *srtp, uint8_t *packet, size_t *len)
{
    Context *c = (Context *)srtp;
    uint32_t ssrc = clv_load_u32(packet + 8);
    size_t plain = *len - c->rtp.tag_len - srtp->mki_len;
    Stream *stream = stream_for(c, ssrc);
    ClvSrtpVerdict verdict;
    uint64_t index;

    if (stream == NULL)
        return CLV_SRTP_TOO_MANY_SSRCS;
    index = stream_guess(stream, clv_load_u16(packet + 2));
    verdict = stream_judge(stream, index);
    if (verdict == CLV_SRTP_OK)
        verdict = open_rtp(c, packet, plain, ssrc, index);
    if (verdict != CLV_SRTP_OK)
        return verdict;

    stream_note(stream, ssrc, index);
    *len = plain;
    return CLV_SRTP_OK;
}

/* ---- RTCP --------------------------------------------------------------------------------- */

static ClvSrtpVerdict
protect_rtcp(ClvSrtp *srtp, uint8_t *packet, size_t *len)
{
    Context *c = (Context *)srtp;
    Session *s = &c->rtcp;
    uint32_t ssrc = clv_load_u32(packet + 4);
    uint8_t *end = packet + *len;
    Stream *stream = stream_for(c, ssrc);
    uint8_t word[INDEX_LEN];
    uint64_t index;

    if (stream == NULL)
        return CLV_SRTP_TOO_MANY_SSRCS;
    index = stream->used && stream->rtcp.started ? stream->rtcp.newest + 1 : 0;
    if (index > LAST_RTCP_INDEX)
        return CLV_SRTP_EXPIRED;
    clv_store_u32(word, E_BIT | (uint32_t)index);

    if (srtp->profile->aead) {
        uint8_t iv[GCM_IV_LEN];
        Aad aad = {.head = packet, .head_len = RTCP_FIXED, .word = word};

        gcm_iv(s, ssrc, index, iv);
        if (!gcm_seal(s, iv, &aad, packet + RTCP_FIXED, *len - RTCP_FIXED))
            return CLV_SRTP_BROKEN;
        memcpy(end + GCM_TAG_LEN, word, INDEX_LEN);
        memcpy(end + GCM_TAG_LEN + INDEX_LEN, srtp->mki, srtp->mki_len);
    } else {
        uint8_t tag[SHA_DIGEST_LENGTH];

        if (!counter_crypt(s, ssrc, index, packet + RTCP_FIXED, *len - RTCP_FIXED))
            return CLV_SRTP_BROKEN;
        memcpy(end, word, INDEX_LEN);
        mac_compute(&s->mac, packet, *len + INDEX_LEN, NULL, tag);
        memcpy(end + INDEX_LEN, srtp->mki, srtp->mki_len);
        memcpy(end + INDEX_LEN + srtp->mki_len, tag, s->tag_len);
    }
    stream_take(stream, ssrc);
    window_note(&stream->rtcp, index);
    *len += (size_t)s->tag_len + srtp->mki_len + INDEX_LEN;
    return CLV_SRTP_OK;
}

/* Authenticates and decrypts; len is without index, tag and MKI. */
static ClvSrtpVerdict
open_rtcp(Context *c, uint8_t *packet, size_t len, const uint8_t *word, uint32_t ssrc,
          uint32_t index)
{
    Session *s = &c->rtcp;

    if (c->base.profile->aead) {
        uint8_t iv[GCM_IV_LEN];
        Aad aad = {.head = packet, .head_len = RTCP_FIXED, .word = word};

        if (!mki_matches(&c->base, word + INDEX_LEN))
            return CLV_SRTP_UNKNOWN_MKI;
        gcm_iv(s, ssrc, index, iv);
        return gcm_open(s, iv, &aad, packet + RTCP_FIXED, len - RTCP_FIXED) ? CLV_SRTP_OK
                                                                            : CLV_SRTP_AUTH_FAILED;
    } else {
        uint8_t tag[SHA_DIGEST_LENGTH];

        if (!mki_matches(&c->base, word + INDEX_LEN))
            return CLV_SRTP_UNKNOWN_MKI;
        mac_compute(&s->mac, packet, len + INDEX_LEN, NULL, tag);
        if (CRYPTO_memcmp(tag, word + INDEX_LEN + c->base.mki_len, s->tag_len) != 0)
            return CLV_SRTP_AUTH_FAILED;
        return counter_crypt(s, ssrc, index, packet + RTCP_FIXED, len - RTCP_FIXED)
                   ? CLV_SRTP_OK
                   : CLV_SRTP_BROKEN;
    }
}

static ClvSrtpVerdict
unprotect_rtcp(ClvSrtp *srtp, uint8_t *packet, size_t *len)
{
    Context *c = (Context *)srtp;
    uint32_t ssrc = clv_load_u32(packet + 4);
    size_t plain = *len - c->rtcp.tag_len - srtp->mki_len - INDEX_LEN;
    const uint8_t *word = packet + plain + (srtp->profile->aead ? c->rtcp.tag_len : 0);
    uint32_t index = clv_load_u32(word) & ~E_BIT;
    Stream *stream = stream_for(c, ssrc);
    ClvSrtpVerdict verdict = CLV_SRTP_OK;

    if ((clv_load_u32(word) & E_BIT) == 0)
        return CLV_SRTP_CLEAR;
    if (stream == NULL)
        return CLV_SRTP_TOO_MANY_SSRCS;
    if (stream->used)
        verdict = window_judge(&stream->rtcp, index);
    if (verdict == CLV_SRTP_OK)
        verdict = open_rtcp(c, packet, plain, word, ssrc, index);
    if (verdict != CLV_SRTP_OK)
        return verdict;

    stream_take(stream, ssrc);
    window_note(&stream->rtcp, index);
    *len = plain;
    return CLV_SRTP_OK;
}

/* ---- rollover counters -------------------------------------------------------------------- */

static bool
get_roc(const ClvSrtp *srtp, uint32_t ssrc, uint32_t *out_roc)
{
    const Stream *stream = stream_find((Context *)srtp, ssrc);

    if (stream == NULL)
        return false;
    *out_roc = stream->roc_given ? stream->roc : (uint32_t)(stream->rtp.newest >> 16);
    return true;
}

static bool
set_roc(ClvSrtp *srtp, uint32_t ssrc, uint32_t roc)
{
    Stream *stream = stream_for((Context *)srtp, ssrc);

    if (stream == NULL)
        return false;
    stream_take(stream, ssrc);
    stream->roc_given = true;
    stream->roc = roc;
    return true;
}

/* What was sent under other keys may be heard again under new ones, so a receive window starts
 * anew; a sender's stays, for it is only there to never use an index twice. */
static void
carry(ClvSrtp *fresh, const ClvSrtp *old)
{
    Context *to = (Context *)fresh;
    const Context *from = (const Context *)old;
    bool same = CRYPTO_memcmp(to->rtp.salt, from->rtp.salt, SALT_LEN) == 0 &&
                CRYPTO_memcmp(to->rtcp.salt, from->rtcp.salt, SALT_LEN) == 0;

    for (size_t i = 0; i < CLV_SRTP_MAX_SSRCS; i++) {
        const Stream *stream = &from->streams[i];
        Stream *mine = stream->used ? stream_for(to, stream->ssrc) : NULL;
        bool given = mine != NULL && mine->used && mine->roc_given && mine->roc != 0;

        if (mine == NULL || (given && !same))
            continue; /* the key management said better */
        *mine = *stream;
        if (same || fresh->side == CLV_SRTP_SEND)
            continue;
        mine->rtp.seen[0] = mine->rtp.seen[1] = 0;
        mine->rtcp = (Window){0};
    }
}

/* ---- making ------------------------------------------------------------------------------- */

static const EVP_CIPHER *
cipher_for(bool aead, size_t key_len)
{
    if (aead)
        return key_len == 32 ? EVP_aes_256_gcm() : EVP_aes_128_gcm();
    return key_len == 32 ? EVP_aes_256_ctr() : EVP_aes_128_ctr();
}

bool
clv_srtp_derive(const uint8_t *key, size_t key_len, const uint8_t *salt, size_t salt_len,
                uint8_t label, uint8_t *out, size_t out_len)
{
    EVP_CIPHER_CTX *cipher = EVP_CIPHER_CTX_new();
    uint8_t iv[16] = {0};
    int n = 0;
    bool ok;

    memcpy(iv, salt, salt_len);
    iv[7] ^= label;
    memset(out, 0, out_len);
    ok = cipher != NULL &&
         EVP_EncryptInit_ex(cipher, cipher_for(false, key_len), NULL, key, iv) == 1 &&
         EVP_EncryptUpdate(cipher, out, &n, out, (int)out_len) == 1;
    EVP_CIPHER_CTX_free(cipher);
    return ok;
}

static bool
session_init(Session *s, const ClvSrtpProfile *profile, const ClvSrtpSessionKeys *keys,
             ClvSrtpSide side)
{
    const EVP_CIPHER *cipher = cipher_for(profile->aead, profile->key_len);
    int encrypt = profile->aead && side == CLV_SRTP_RECEIVE ? 0 : 1;

    s->cipher = EVP_CIPHER_CTX_new();
    if (s->cipher == NULL ||
        EVP_CipherInit_ex(s->cipher, cipher, NULL, keys->key, NULL, encrypt) != 1)
        return false;
    memcpy(s->salt, keys->salt, sizeof s->salt);
    if (!profile->aead)
        mac_init(&s->mac, keys->auth);
    return true;
}

/* The three labels of RTP start at 0, those of RTCP at 3: key, authentication, salt. */
static bool
session_derive(ClvSrtpSessionKeys *out, const ClvSrtpKeys *keys, uint8_t labels)
{
    *out = (ClvSrtpSessionKeys){0};
    return clv_srtp_derive(keys->key, keys->key_len, keys->salt, keys->salt_len, labels, out->key,
                           keys->key_len) &&
           clv_srtp_derive(keys->key, keys->key_len, keys->salt, keys->salt_len,
                           (uint8_t)(labels + 1), out->auth, sizeof out->auth) &&
           clv_srtp_derive(keys->key, keys->key_len, keys->salt, keys->salt_len,
                           (uint8_t)(labels + 2), out->salt, keys->salt_len);
}

static void
destroy(ClvSrtp *srtp)
{
    Context *c = (Context *)srtp;

    EVP_CIPHER_CTX_free(c->rtp.cipher);
    EVP_CIPHER_CTX_free(c->rtcp.cipher);
    OPENSSL_clear_free(c, sizeof *c);
}

static Context *
context_new(const ClvSrtpProfile *profile, ClvSrtpSide side, const ClvSrtpSessionKeys *rtp,
            const ClvSrtpSessionKeys *rtcp)
{
    Context *c = OPENSSL_zalloc(sizeof *c);

    if (c == NULL)
        return NULL;
    if (!session_init(&c->rtp, profile, rtp, side) ||
        !session_init(&c->rtcp, profile, rtcp, side)) {
        destroy(&c->base);
        return NULL;
    }
    c->rtp.tag_len = profile->rtp_tag_len;
    c->rtcp.tag_len = profile->rtcp_tag_len;
    return c;
}

ClvSrtp *
clv_srtp_new_from_session(ClvSrtpSuite suite, ClvSrtpSide side, const ClvSrtpSessionKeys *rtp,
                          const ClvSrtpSessionKeys *rtcp)
{
    Context *c = context_new(clv_srtp_profile(suite), side, rtp, rtcp);

    if (c == NULL)
        return NULL;
    c->base.ops = &clv_srtp_openssl_ops;
    c->base.profile = clv_srtp_profile(suite);
    c->base.side = side;
    return &c->base;
}

static ClvSrtp *
make(const ClvSrtpKeys *keys, ClvSrtpSide side, GError **error)
{
    ClvSrtpSessionKeys rtp, rtcp;
    Context *c = NULL;

    if (session_derive(&rtp, keys, CLV_SRTP_LABEL_RTP_KEY) &&
        session_derive(&rtcp, keys, CLV_SRTP_LABEL_RTCP_KEY))
        c = context_new(clv_srtp_profile(keys->suite), side, &rtp, &rtcp);
    OPENSSL_cleanse(&rtp, sizeof rtp);
    OPENSSL_cleanse(&rtcp, sizeof rtcp);
    if (c == NULL) {
        g_set_error(error, CLV_MEDIA_ERROR, CLV_MEDIA_ERROR_SRTP, "OpenSSL cannot set up %s",
                    clv_srtp_profile(keys->suite)->name);
        return NULL;
    }
    return &c->base;
}

const ClvSrtpOps clv_srtp_openssl_ops = {
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
