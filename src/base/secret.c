/* SPDX-License-Identifier: Apache-2.0 */
/* base/secret.c - where do the key bytes live, and when do they die?
 *
 * OpenSSL's secure heap when there is one, its ordinary heap when that is full; both are cleansed
 * on the way out. May be used by every thread; a single secret has one owner.
 */
#include "config.h"

#include "base/secret.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/rand.h>

struct ClvSecret {
    gsize len;
    guint8 bytes[];
};

G_DEFINE_QUARK(clv_secret_error, clv_secret_error)

/* LeakSanitizer looks at the process by ptrace, which an undumpable process refuses. */
#if defined(__SANITIZE_ADDRESS__)
#define UNDER_LEAK_SANITIZER 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define UNDER_LEAK_SANITIZER 1
#endif
#endif
#ifndef UNDER_LEAK_SANITIZER
#define UNDER_LEAK_SANITIZER 0
#endif

static gboolean
forbid_core_dumps(GError **error)
{
    const struct rlimit none = {0, 0};

    if (setrlimit(RLIMIT_CORE, &none) == 0 &&
        (UNDER_LEAK_SANITIZER || prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) == 0))
        return TRUE;
    g_set_error(error, CLV_SECRET_ERROR, CLV_SECRET_ERROR_LOCK,
                "core dumps cannot be forbidden: %s", g_strerror(errno));
    return FALSE;
}

gboolean
clv_secret_init(gsize heap_bytes, GError **error)
{
    /* The smallest block holds a ClvSecret with a 16-octet key. */
    const gsize smallest_block = 32;

    if (!forbid_core_dumps(error))
        return FALSE;
    if (CRYPTO_secure_malloc_initialized())
        return TRUE;

    switch (CRYPTO_secure_malloc_init(heap_bytes, smallest_block)) {
    case 1:
        return TRUE;
    case 2:
        g_set_error(error, CLV_SECRET_ERROR, CLV_SECRET_ERROR_LOCK,
                    "key memory (%" G_GSIZE_FORMAT
                    " bytes) could not be locked or guarded completely; "
                    "raise LimitMEMLOCK or lower [security] secure-heap",
                    heap_bytes);
        return FALSE;
    default:
        g_set_error(error, CLV_SECRET_ERROR, CLV_SECRET_ERROR_LOCK,
                    "no secure heap of %" G_GSIZE_FORMAT " bytes could be made; "
                    "expected a power of two for [security] secure-heap",
                    heap_bytes);
        return FALSE;
    }
}

ClvSecret *
clv_secret_new(const guint8 *bytes, gsize len)
{
    gsize size = sizeof(ClvSecret) + len;
    ClvSecret *secret = NULL;

    g_assert(len <= G_MAXSIZE - sizeof(ClvSecret));
    if (CRYPTO_secure_malloc_initialized())
        secret = OPENSSL_secure_malloc(size);
    if (secret == NULL)
        secret = OPENSSL_malloc(size);
    if (secret == NULL)
        g_error("out of memory for %" G_GSIZE_FORMAT " key bytes", len);

    secret->len = len;
    if (len > 0)
        memcpy(secret->bytes, bytes, len);
    return secret;
}

void
clv_secret_free(ClvSecret *secret)
{
    if (secret != NULL)
        OPENSSL_secure_clear_free(secret, sizeof(ClvSecret) + secret->len);
}

const guint8 *
clv_secret_bytes(const ClvSecret *secret, gsize *out_len)
{
    if (out_len != NULL)
        *out_len = secret->len;
    return secret->bytes;
}

gboolean
clv_secret_equal(const ClvSecret *a, const ClvSecret *b)
{
    return a->len == b->len && CRYPTO_memcmp(a->bytes, b->bytes, a->len) == 0;
}

guint32
clv_secret_fingerprint(const ClvSecret *secret)
{
    static gsize once;
    static guint8 salt[32];
    guint8 hash[EVP_MAX_MD_SIZE];
    guint32 number;
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();

    if (g_once_init_enter(&once)) {
        if (!clv_random(NULL, salt, sizeof(salt)))
            g_error("no randomness for the fingerprint salt");
        g_once_init_leave(&once, 1);
    }
    if (ctx == NULL || !EVP_DigestInit_ex(ctx, EVP_sha256(), NULL) ||
        !EVP_DigestUpdate(ctx, salt, sizeof(salt)) ||
        !EVP_DigestUpdate(ctx, secret->bytes, secret->len) || !EVP_DigestFinal_ex(ctx, hash, NULL))
        g_error("SHA-256 is not available");
    EVP_MD_CTX_free(ctx);

    memcpy(&number, hash, sizeof(number));
    OPENSSL_cleanse(hash, sizeof(hash));
    return number;
}

/* ---- text forms ---- */

static gboolean
read_hex(const char *text, gsize len, guint8 *out, gsize *out_len)
{
    if (len % 2 != 0)
        return FALSE;
    for (gsize i = 0; i < len; i += 2) {
        int high = g_ascii_xdigit_value(text[i]);
        int low = g_ascii_xdigit_value(text[i + 1]);

        if (high < 0 || low < 0)
            return FALSE;
        out[i / 2] = (guint8)(high << 4 | low);
    }
    *out_len = len / 2;
    return TRUE;
}

static int
base64_value(char c)
{
    if (g_ascii_isupper(c))
        return c - 'A';
    if (g_ascii_islower(c))
        return c - 'a' + 26;
    if (g_ascii_isdigit(c))
        return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

/* Canonical base64 alone: full groups, padding at the end, no bits set behind the last octet. */
static gboolean
read_base64(const char *text, gsize len, guint8 *out, gsize *out_len)
{
    gsize n = 0, digits = len;
    guint bits = 0, held = 0;

    if (len % 4 != 0)
        return FALSE;
    for (int pad = 0; pad < 2 && digits > 0 && text[digits - 1] == '='; pad++)
        digits--;

    for (gsize i = 0; i < digits; i++) {
        int value = base64_value(text[i]);

        if (value < 0)
            return FALSE;
        bits = bits << 6 | (guint)value;
        held += 6;
        if (held >= 8) {
            held -= 8;
            out[n++] = (guint8)(bits >> held);
            bits &= (1u << held) - 1;
        }
    }
    *out_len = n;
    return bits == 0;
}

static ClvSecret *
parse(const char *text, gsize len, GError **error)
{
    static const char base64_mark[] = "base64:";
    const gsize mark_len = sizeof(base64_mark) - 1;
    guint8 bytes[CLV_SECRET_MAX_BYTES];
    gsize n = 0;
    gboolean ok;
    ClvSecret *secret = NULL;

    if (len > 2 * sizeof(bytes)) {
        g_set_error(error, CLV_SECRET_ERROR, CLV_SECRET_ERROR_FORMAT,
                    "found a key of more than %d octets", CLV_SECRET_MAX_BYTES);
        return NULL;
    }
    if (len >= mark_len && memcmp(text, base64_mark, mark_len) == 0)
        ok = (len - mark_len) / 4 * 3 <= sizeof(bytes) &&
             read_base64(text + mark_len, len - mark_len, bytes, &n);
    else
        ok = read_hex(text, len, bytes, &n);

    if (ok && n > 0)
        secret = clv_secret_new(bytes, n);
    else
        g_set_error_literal(error, CLV_SECRET_ERROR, CLV_SECRET_ERROR_FORMAT,
                            "found something else, expected a key as an even number of hex digits, "
                            "or \"base64:\" and "
                            "padded base64, on one line");
    OPENSSL_cleanse(bytes, sizeof(bytes));
    return secret;
}

ClvSecret *
clv_secret_parse(const char *text, GError **error)
{
    return parse(text, strlen(text), error);
}

/* ---- files ---- */

gboolean
clv_secret_check_mode(int fd, const char *path, GError **error)
{
    struct stat st;
    mode_t forbidden = S_IWGRP | S_IRWXO;

    if (fstat(fd, &st) != 0) {
        g_set_error(error, CLV_SECRET_ERROR, CLV_SECRET_ERROR_FILE, "%s: %s", path,
                    g_strerror(errno));
        return FALSE;
    }
    if (!S_ISREG(st.st_mode)) {
        g_set_error(error, CLV_SECRET_ERROR, CLV_SECRET_ERROR_FILE,
                    "%s: found something that is not a regular file", path);
        return FALSE;
    }
    if (st.st_gid != 0)
        forbidden |= S_IRGRP;
    if ((st.st_mode & forbidden) != 0) {
        g_set_error(error, CLV_SECRET_ERROR, CLV_SECRET_ERROR_MODE,
                    "%s: found mode %04o, expected a file that its owner alone can read: chmod 600",
                    path, (guint)(st.st_mode & 07777));
        return FALSE;
    }
    return TRUE;
}

/* Reads at most size octets; -1 and errno on failure. */
static gssize
read_all(int fd, char *buffer, gsize size)
{
    gsize have = 0;

    while (have < size) {
        ssize_t n = read(fd, buffer + have, size - have);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -1;
        if (n == 0)
            break;
        have += (gsize)n;
    }
    return (gssize)have;
}

static ClvSecret *
read_open_file(int fd, const char *path, GError **error)
{
    char text[2 * CLV_SECRET_MAX_BYTES + 16];
    gssize len;
    ClvSecret *secret = NULL;

    if (!clv_secret_check_mode(fd, path, error))
        return NULL;
    len = read_all(fd, text, sizeof(text));
    if (len < 0) {
        g_set_error(error, CLV_SECRET_ERROR, CLV_SECRET_ERROR_FILE, "%s: %s", path,
                    g_strerror(errno));
    } else {
        while (len > 0 && g_ascii_isspace(text[len - 1]))
            len--;
        secret = parse(text, (gsize)len, error);
        if (secret == NULL)
            g_prefix_error(error, "%s:1: ", path);
    }
    OPENSSL_cleanse(text, sizeof(text));
    return secret;
}

ClvSecret *
clv_secret_read_file(const char *path, GError **error)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    ClvSecret *secret;

    if (fd < 0) {
        g_set_error(error, CLV_SECRET_ERROR, CLV_SECRET_ERROR_FILE, "%s: %s", path,
                    g_strerror(errno));
        return NULL;
    }
    secret = read_open_file(fd, path, error);
    close(fd);
    return secret;
}

/* ---- small helpers ---- */

void
clv_secret_free_string(char *text)
{
    if (text == NULL)
        return;
    OPENSSL_cleanse(text, strlen(text));
    g_free(text);
}

void
clv_srtp_keys_clear(ClvSrtpKeys *keys)
{
    OPENSSL_cleanse(keys, sizeof(*keys));
}

gboolean
clv_random(void *unused, guint8 *out, gsize len)
{
    return len <= G_MAXINT && RAND_priv_bytes(out, (int)len) == 1;
}
