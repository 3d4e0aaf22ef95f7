/* SPDX-License-Identifier: Apache-2.0 */
/* kms/digest.c - does this Authorization header prove that its sender has the password?
 *
 * A nonce says when it was made, and proves by a MAC that it was made here, so nothing is kept for
 * strangers. Only of nonces that somebody has proven himself with the counts are kept, so that none
 * counts twice. When there is no room the oldest is forgotten, and with it all that are older.
 */
#include "config.h"

#include "kms/digest.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <pthread.h>
#include <string.h>

#include "base/nonce.h"

#define MAX_NONCES 4096u
#define WINDOW 64u

typedef struct Use {
    char nonce[CLV_NONCE_LEN + 1]; /* first: the table looks at it */
    gint64 made_us;
    guint32 newest; /* count */
    guint64 seen;   /* bit k: count newest - k */
    GList link;     /* in the queue; data is this */
} Use;

struct ClvKmsDigest {
    guint8 seed[CLV_KMS_DIGEST_SEED];
    pthread_mutex_t lock; /* of all below */
    GHashTable *uses;     /* nonce -> Use */
    GQueue order;         /* as they came */
    gint64 forgotten_us;  /* whatever was made until then, and is not in the table, is used up */
};

ClvKmsDigest *
clv_kms_digest_new(const guint8 seed[CLV_KMS_DIGEST_SEED])
{
    ClvKmsDigest *digest = g_new0(ClvKmsDigest, 1);

    memcpy(digest->seed, seed, sizeof digest->seed);
    pthread_mutex_init(&digest->lock, NULL);
    g_queue_init(&digest->order);
    digest->uses = g_hash_table_new_full(g_str_hash, g_str_equal, NULL, g_free);
    return digest;
}

void
clv_kms_digest_free(ClvKmsDigest *digest)
{
    if (digest == NULL)
        return;
    g_hash_table_unref(digest->uses);
    pthread_mutex_destroy(&digest->lock);
    OPENSSL_cleanse(digest, sizeof *digest);
    g_free(digest);
}

/* ---- nonces ---- */

/* Made here, and not too long ago? */
static gboolean
is_ours(const ClvKmsDigest *digest, const char *nonce, gint64 now_us, gint64 *out_made_us)
{
    return clv_nonce_open(digest->seed, nonce, out_made_us) && *out_made_us <= now_us &&
           now_us - *out_made_us <= CLV_KMS_DIGEST_LIFE_S * G_USEC_PER_SEC;
}

char *
clv_kms_digest_challenge(const ClvKmsDigest *digest, const char *realm, gboolean stale,
                         gint64 now_us)
{
    char nonce[CLV_NONCE_LEN + 1];

    clv_nonce_make(digest->seed, now_us, nonce);
    return g_strdup_printf("Digest realm=\"%s\",qop=\"auth\",nonce=\"%s\",algorithm=MD5%s", realm,
                           nonce, stale ? ",stale=true" : "");
}

/* ---- counts; with the lock held ---- */

static void
forget_first(ClvKmsDigest *digest)
{
    Use *use = digest->order.head->data;

    digest->forgotten_us = MAX(digest->forgotten_us, use->made_us);
    g_queue_unlink(&digest->order, &use->link);
    g_hash_table_remove(digest->uses, use->nonce);
}

static Use *
use_of(ClvKmsDigest *digest, const char *nonce, gint64 made_us)
{
    Use *use = g_hash_table_lookup(digest->uses, nonce);

    if (use != NULL || made_us <= digest->forgotten_us)
        return use;
    if (g_hash_table_size(digest->uses) >= MAX_NONCES)
        forget_first(digest);
    use = g_new0(Use, 1);
    g_strlcpy(use->nonce, nonce, sizeof use->nonce);
    use->made_us = made_us;
    use->link.data = use;
    g_hash_table_insert(digest->uses, use->nonce, use);
    g_queue_push_tail_link(&digest->order, &use->link);
    return use;
}

/* FALSE: it was there before, or may have been. */
static gboolean
take_count(Use *use, guint32 count)
{
    guint32 ahead;

    if (count == 0)
        return FALSE;
    if (count <= use->newest) {
        guint32 back = use->newest - count;

        if (back >= WINDOW || (use->seen >> back & 1) != 0)
            return FALSE;
        use->seen |= G_GUINT64_CONSTANT(1) << back;
        return TRUE;
    }
    ahead = count - use->newest;
    use->seen = ahead < WINDOW ? use->seen << ahead : 0;
    use->seen |= 1;
    use->newest = count;
    return TRUE;
}

/* ---- the response ---- */

/* hex MD5 of the parts, a colon between each two */
static void
hash_parts(const char *const *parts, guint n, char out[CLV_KMS_DIGEST_HEX + 1])
{
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    guint8 md[EVP_MAX_MD_SIZE];
    gboolean good = ctx != NULL && EVP_DigestInit_ex(ctx, EVP_md5(), NULL) == 1;

    for (guint i = 0; i < n && good; i++)
        good = (i == 0 || EVP_DigestUpdate(ctx, ":", 1) == 1) &&
               EVP_DigestUpdate(ctx, parts[i], strlen(parts[i])) == 1;
    if (!good || EVP_DigestFinal_ex(ctx, md, NULL) != 1)
        g_error("libcrypto has no MD5");
    EVP_MD_CTX_free(ctx);
    clv_hex_write(md, CLV_KMS_DIGEST_HEX / 2, out);
    OPENSSL_cleanse(md, sizeof md);
}

void
clv_kms_digest_response(const ClvKmsClaim *claim, const char *method, const char *password,
                        char out[CLV_KMS_DIGEST_HEX + 1])
{
    char a1[CLV_KMS_DIGEST_HEX + 1], a2[CLV_KMS_DIGEST_HEX + 1];
    const char *const who[] = {claim->user, claim->realm, password};
    const char *const what[] = {method, claim->uri};
    const char *const all[] = {a1, claim->nonce, claim->nc, claim->cnonce, "auth", a2};

    hash_parts(who, G_N_ELEMENTS(who), a1);
    hash_parts(what, G_N_ELEMENTS(what), a2);
    hash_parts(all, G_N_ELEMENTS(all), out);
    OPENSSL_cleanse(a1, sizeof a1);
}

static gboolean
is_right(const ClvKmsClaim *claim, const char *method, const char *password)
{
    char right[CLV_KMS_DIGEST_HEX + 1];
    g_autofree char *given = g_ascii_strdown(claim->response, -1);
    gboolean same;

    clv_kms_digest_response(claim, method, password, right);
    same =
        strlen(given) == CLV_KMS_DIGEST_HEX && CRYPTO_memcmp(given, right, CLV_KMS_DIGEST_HEX) == 0;
    OPENSSL_cleanse(right, sizeof right);
    return same;
}

ClvKmsDigestVerdict
clv_kms_digest_check(ClvKmsDigest *digest, const ClvKmsClaim *claim, const char *method,
                     const char *password, gint64 now_us)
{
    gint64 made_us = 0;
    guint64 count = 0;
    gboolean fresh = is_ours(digest, claim->nonce, now_us, &made_us);
    Use *use;

    if (!is_right(claim, method, password != NULL ? password : "") || password == NULL)
        return CLV_KMS_DIGEST_WRONG;
    if (!fresh || !g_ascii_string_to_unsigned(claim->nc, 16, 1, G_MAXUINT32, &count, NULL))
        return CLV_KMS_DIGEST_STALE;
    pthread_mutex_lock(&digest->lock);
    use = use_of(digest, claim->nonce, made_us);
    fresh = use != NULL && take_count(use, (guint32)count);
    pthread_mutex_unlock(&digest->lock);
    return fresh ? CLV_KMS_DIGEST_RIGHT : CLV_KMS_DIGEST_STALE;
}

/* ---- reading ---- */

static void
skip_space(const char **at)
{
    while (**at == ' ' || **at == '\t')
        ++*at;
}

/* Up to a space, a comma, an equals sign or the end. Returns: (transfer full) */
static char *
take_token(const char **at)
{
    gsize len = strcspn(*at, " \t,=\"");
    char *token = g_strndup(*at, len);

    *at += len;
    return token;
}

/* Returns: (transfer full) (nullable): NULL when it does not end */
static char *
take_quoted(const char **at)
{
    g_autoptr(GString) text = g_string_new(NULL);

    for (++*at; **at != '"'; ++*at) {
        if (**at == '\\')
            ++*at;
        if (**at == '\0')
            return NULL;
        g_string_append_c(text, **at);
    }
    ++*at;
    return g_strdup(text->str);
}

/* Where a parameter belongs; twice is once too often. */
static gboolean
put(ClvKmsClaim *claim, const char *name, char **value, gboolean *out_auth, gboolean *out_md5)
{
    const struct {
        const char *name;
        char **place;
    } places[] = {
        {"username", &claim->user},     {"realm", &claim->realm},   {"nonce", &claim->nonce},
        {"uri", &claim->uri},           {"cnonce", &claim->cnonce}, {"nc", &claim->nc},
        {"response", &claim->response},
    };

    if (g_ascii_strcasecmp(name, "qop") == 0)
        *out_auth = g_ascii_strcasecmp(*value, "auth") == 0;
    if (g_ascii_strcasecmp(name, "algorithm") == 0)
        *out_md5 = g_ascii_strcasecmp(*value, "MD5") == 0;
    for (guint i = 0; i < G_N_ELEMENTS(places); i++) {
        if (g_ascii_strcasecmp(name, places[i].name) != 0)
            continue;
        if (*places[i].place != NULL)
            return FALSE;
        *places[i].place = g_steal_pointer(value);
        return TRUE;
    }
    return TRUE; /* opaque, and what is not known */
}

static gboolean
read_parameters(const char *at, ClvKmsClaim *claim)
{
    gboolean auth = FALSE, md5 = TRUE;

    for (skip_space(&at); *at != '\0'; skip_space(&at)) {
        g_autofree char *name = take_token(&at);
        g_autofree char *value = NULL;

        skip_space(&at);
        if (name[0] == '\0' || *at != '=')
            return FALSE;
        at++;
        skip_space(&at);
        value = *at == '"' ? take_quoted(&at) : take_token(&at);
        if (value == NULL || !put(claim, name, &value, &auth, &md5))
            return FALSE;
        skip_space(&at);
        if (*at != ',' && *at != '\0')
            return FALSE;
        at += *at == ',' ? 1 : 0;
    }
    return auth && md5 && claim->user != NULL && claim->realm != NULL && claim->nonce != NULL &&
           claim->uri != NULL && claim->cnonce != NULL && claim->nc != NULL &&
           strlen(claim->nc) == 8 && claim->response != NULL;
}

gboolean
clv_kms_claim_parse(const char *header, ClvKmsClaim *out)
{
    const gsize scheme = strlen("Digest");

    *out = (ClvKmsClaim){0};
    if (strlen(header) > CLV_KMS_DIGEST_MAX || g_ascii_strncasecmp(header, "Digest", scheme) != 0 ||
        (header[scheme] != ' ' && header[scheme] != '\t'))
        return FALSE;
    if (read_parameters(header + scheme, out))
        return TRUE;
    clv_kms_claim_clear(out);
    return FALSE;
}

void
clv_kms_claim_clear(ClvKmsClaim *claim)
{
    g_free(claim->user);
    g_free(claim->realm);
    g_free(claim->nonce);
    g_free(claim->uri);
    g_free(claim->cnonce);
    g_free(claim->nc);
    g_free(claim->response);
    *claim = (ClvKmsClaim){0};
}
