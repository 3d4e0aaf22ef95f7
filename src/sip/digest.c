/* SPDX-License-Identifier: Apache-2.0 */
/* sip/digest.c - challenges, responses, and the users file */
#include "config.h"

#include "sip/digest.h"

#include <errno.h>
#include <fcntl.h>
#include <gio/gio.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <string.h>
#include <unistd.h>

#include "base/identity.h"
#include "base/nonce.h"
#include "base/option.h"
#include "base/secret.h"

#define MAX_HASH 32 /* octets of the longest hash we know */

typedef struct Algorithm {
    const char *name;   /* in the algorithm parameter */
    const char *option; /* in the users file */
    const EVP_MD *(*md)(void);
    gsize len;
} Algorithm;

/* In the order of the challenges: every softphone knows the first. */
static const Algorithm algorithms[] = {
    {"MD5", "ha1", EVP_md5, 16},
    {"SHA-256", "ha1-sha256", EVP_sha256, 32},
};
#define N_ALGORITHMS G_N_ELEMENTS(algorithms)

typedef struct User {
    char *name;
    char *identity; /* canonical */
    guint8 ha1[N_ALGORITHMS][MAX_HASH];
    gboolean has[N_ALGORITHMS];
    guint line; /* of its header */
} User;

typedef struct Used {
    guint32 count; /* highest nc seen */
    gint64 born_us;
} Used;

struct ClvDigest {
    char *realm;
    guint8 key[CLV_NONCE_KEY]; /* seals the nonces of this process */
    guint8 opaque[8];
    GHashTable *users; /* name -> User */
    GHashTable *used;  /* nonce -> Used */
    gint64 oldest_us;  /* nonces born before have been forgotten, and are stale */
};

/* ---- hashes ------------------------------------------------------------------------------ */

static void
hash(const Algorithm *algorithm, guint8 out[MAX_HASH], const char *const *parts)
{
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    guint len = 0;
    gboolean ok = ctx != NULL && EVP_DigestInit_ex(ctx, algorithm->md(), NULL) == 1;

    for (gsize i = 0; ok && parts[i] != NULL; i++) {
        if (i > 0)
            ok = EVP_DigestUpdate(ctx, ":", 1) == 1;
        ok = ok && EVP_DigestUpdate(ctx, parts[i], strlen(parts[i])) == 1;
    }
    ok = ok && EVP_DigestFinal_ex(ctx, out, &len) == 1 && len == algorithm->len;
    EVP_MD_CTX_free(ctx);
    if (!ok)
        g_error("%s is not to be had from libcrypto", algorithm->name);
}

/* ---- nonces, and how often they were used -------------------------------------------------- */

static gboolean
is_older(gpointer key, gpointer value, gpointer limit_us)
{
    return ((const Used *)value)->born_us < *(const gint64 *)limit_us;
}

static int
compare_births(gconstpointer a, gconstpointer b)
{
    gint64 x = *(const gint64 *)a, y = *(const gint64 *)b;

    return (x > y) - (x < y);
}

/* The older half goes, and its nonces with it: their owners are challenged once more. One user who
 * calls without end cannot keep the others out. */
static void
forget_older_half(ClvDigest *digest, gint64 now_us)
{
    g_autoptr(GArray) births = g_array_new(FALSE, FALSE, sizeof(gint64));
    GHashTableIter iter;
    gpointer used;

    g_hash_table_iter_init(&iter, digest->used);
    while (g_hash_table_iter_next(&iter, NULL, &used))
        g_array_append_val(births, ((Used *)used)->born_us);
    g_array_sort(births, compare_births);
    digest->oldest_us =
        MAX(g_array_index(births, gint64, births->len / 2) + 1, now_us - CLV_DIGEST_NONCE_LIFE_US);
    g_hash_table_foreach_remove(digest->used, is_older, &digest->oldest_us);
}

/* Only right responses come here, so strangers cannot fill the table. */
static gboolean
count_use(ClvDigest *digest, const char *nonce, guint32 count, gint64 born_us, gint64 now_us)
{
    Used *used = g_hash_table_lookup(digest->used, nonce);

    if (used != NULL) {
        if (count <= used->count)
            return FALSE;
        used->count = count;
        return TRUE;
    }
    if (g_hash_table_size(digest->used) >= CLV_DIGEST_MAX_NONCES)
        forget_older_half(digest, now_us);
    if (born_us < digest->oldest_us)
        return FALSE;

    used = g_new(Used, 1);
    used->count = count;
    used->born_us = born_us;
    g_hash_table_insert(digest->used, g_strdup(nonce), used);
    return TRUE;
}

/* ---- users ------------------------------------------------------------------------------- */

static void
user_free(gpointer data)
{
    User *user = data;

    OPENSSL_cleanse(user->ha1, sizeof(user->ha1));
    g_free(user->name);
    g_free(user->identity);
    g_free(user);
}

static GHashTable *
users_new(void)
{
    return g_hash_table_new_full(g_str_hash, g_str_equal, NULL, user_free);
}

static gboolean
is_user_name(const char *name)
{
    gsize len = strlen(name);

    for (gsize i = 0; i < len; i++) {
        if ((guchar)name[i] <= ' ' || name[i] == 0x7f || strchr("\":\\[]", name[i]) != NULL)
            return FALSE;
    }
    return len > 0 && len <= 128 && g_utf8_validate(name, -1, NULL);
}

static void G_GNUC_PRINTF(4, 5)
    complain(GPtrArray *errors, const char *name, guint line, const char *format, ...)
{
    g_autofree char *what = NULL;
    va_list args;

    va_start(args, format);
    what = g_strdup_vprintf(format, args);
    va_end(args);
    g_ptr_array_add(errors, g_strdup_printf("%s:%u: %s", name, line, what));
}

static void
set_password(const ClvDigest *digest, User *user, const char *password)
{
    const char *const parts[] = {user->name, digest->realm, password, NULL};

    for (gsize i = 0; i < N_ALGORITHMS; i++) {
        hash(&algorithms[i], user->ha1[i], parts);
        user->has[i] = TRUE;
    }
}

typedef struct Filing { /* one user of the file while it is read */
    User *user;
    gboolean has_password, has_hash;
} Filing;

static void
read_option(const ClvDigest *digest, Filing *f, const char *name, const ClvIniEntry *e,
            GPtrArray *errors)
{
    for (gsize i = 0; i < N_ALGORITHMS; i++) {
        if (strcmp(e->key, algorithms[i].option) != 0)
            continue;
        f->has_hash = TRUE;
        f->user->has[i] = clv_hex_read(e->value, f->user->ha1[i], algorithms[i].len);
        if (!f->user->has[i])
            complain(errors, name, e->line,
                     "%s: found %zu characters, expected %u hexadecimal digits", e->key,
                     strlen(e->value), (guint)(2 * algorithms[i].len));
        return;
    }
    if (strcmp(e->key, "password") == 0) {
        f->has_password = TRUE;
        if (e->value[0] == '\0')
            complain(errors, name, e->line, "password is empty");
        else
            set_password(digest, f->user, e->value);
    } else if (strcmp(e->key, "identity") == 0) {
        g_free(f->user->identity);
        f->user->identity = clv_identity_canonical(e->value, -1);
        if (f->user->identity == NULL)
            complain(errors, name, e->line, "identity: found '%s', expected a sip, sips or tel URI",
                     e->value);
    } else {
        complain(errors, name, e->line,
                 "unknown option '%s': expected password, ha1, ha1-sha256 or identity", e->key);
    }
}

static User *
read_user(const ClvDigest *digest, const ClvIni *ini, guint group_index, GPtrArray *errors)
{
    const char *name = clv_ini_name(ini);
    guint line = 0;
    const char *group = clv_ini_group(ini, group_index, &line);
    Filing f = {g_new0(User, 1), FALSE, FALSE};
    guint before = errors->len, n_entries;
    gboolean has_identity = FALSE;
    const ClvIniEntry *entries;

    f.user->line = line;
    f.user->name = g_strdup(g_str_has_prefix(group, "user ") ? group + 5 : "");
    g_strstrip(f.user->name);
    if (!is_user_name(f.user->name))
        complain(errors, name, line, "expected [user NAME], found [%s]", group);

    entries = clv_ini_group_entries(ini, group_index, &n_entries);
    for (guint i = 0; i < n_entries; i++) {
        has_identity |= strcmp(entries[i].key, "identity") == 0;
        read_option(digest, &f, name, &entries[i], errors);
    }
    if (!has_identity)
        complain(errors, name, line, "[%s] has no identity", group);
    if (f.has_password == f.has_hash)
        complain(errors, name, line, "[%s] needs either password or ha1 and ha1-sha256", group);
    if (errors->len > before)
        g_clear_pointer(&f.user, user_free);

    return f.user;
}

gboolean
clv_digest_parse(ClvDigest *digest, const char *name, const char *text, gsize len,
                 GPtrArray *errors)
{
    ClvIni *ini = clv_ini_parse(name, text, len, errors);
    GHashTable *users = users_new();
    guint before = errors->len;

    /* Two groups of one name would be merged: a name with the identity of somebody else. */
    for (guint i = 0; ini != NULL && i < clv_ini_n_warnings(ini); i++)
        g_ptr_array_add(errors, g_strdup(clv_ini_warning(ini, i)));
    for (guint i = 0; ini != NULL && i < clv_ini_n_groups(ini); i++) {
        User *user = read_user(digest, ini, i, errors);
        const User *other = user != NULL ? g_hash_table_lookup(users, user->name) : NULL;

        if (user == NULL)
            continue;
        if (other != NULL) {
            complain(errors, name, user->line, "user '%s' stands already in line %u", user->name,
                     other->line);
            user_free(user);
            continue;
        }
        g_hash_table_insert(users, user->name, user);
    }
    if (ini == NULL || errors->len > before) {
        g_hash_table_destroy(users);
        clv_ini_free(ini);
        return FALSE;
    }

    clv_ini_free(ini);
    g_hash_table_destroy(digest->users);
    digest->users = users;
    return TRUE;
}

/* Returns: (nullable): the text, free with clv_secret_free_string() */
static char *
read_private_file(const char *path, gsize *out_len, GError **error)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    char *text;
    gsize len = 0;
    gssize n = 0;

    if (fd < 0) {
        g_set_error(error, G_IO_ERROR, g_io_error_from_errno(errno), "%s: %s", path,
                    g_strerror(errno));
        return NULL;
    }
    if (!clv_secret_check_mode(fd, path, error)) {
        close(fd);
        return NULL;
    }

    text = g_malloc0(CLV_DIGEST_MAX_FILE + 1);
    while (len < CLV_DIGEST_MAX_FILE && (n = read(fd, text + len, CLV_DIGEST_MAX_FILE - len)) > 0)
        len += (gsize)n;
    close(fd);
    if (n < 0 || len == CLV_DIGEST_MAX_FILE) {
        g_set_error(error, G_IO_ERROR, G_IO_ERROR_FAILED, "%s: %s", path,
                    n < 0 ? g_strerror(errno) : "too large");
        OPENSSL_cleanse(text, len);
        g_free(text);
        return NULL;
    }

    *out_len = len;
    return text;
}

gboolean
clv_digest_load(ClvDigest *digest, const char *path, GPtrArray *errors)
{
    g_autoptr(GError) error = NULL;
    gsize len = 0;
    char *text = read_private_file(path, &len, &error);
    gboolean ok;

    if (text == NULL) {
        g_ptr_array_add(errors, g_strdup(error->message));
        return FALSE;
    }

    ok = clv_digest_parse(digest, path, text, len, errors);
    OPENSSL_cleanse(text, len);
    g_free(text);
    return ok;
}

guint
clv_digest_n_users(const ClvDigest *digest)
{
    return g_hash_table_size(digest->users);
}

char *
clv_digest_make_user(const char *user, const char *realm, const char *password,
                     const char *identity, GError **error)
{
    const char *const parts[] = {user, realm, password, NULL};
    g_autofree char *canonical = clv_identity_canonical(identity, -1);
    char hex[N_ALGORITHMS][2 * MAX_HASH + 1];
    char *text;

    if (!is_user_name(user) || password[0] == '\0') {
        g_set_error(
            error, G_IO_ERROR, G_IO_ERROR_INVALID_DATA,
            "a user needs a password and a name without blanks, quotes, colons and brackets");
        return NULL;
    }
    if (canonical == NULL) {
        g_set_error(error, G_IO_ERROR, G_IO_ERROR_INVALID_DATA,
                    "identity '%s' is no sip, sips or tel URI", identity);
        return NULL;
    }

    for (gsize i = 0; i < N_ALGORITHMS; i++) {
        guint8 ha1[MAX_HASH];

        hash(&algorithms[i], ha1, parts);
        clv_hex_write(ha1, algorithms[i].len, hex[i]);
        OPENSSL_cleanse(ha1, sizeof(ha1));
    }
    text = g_strdup_printf("[user %s]\nidentity=%s\n%s=%s\n%s=%s\n", user, canonical,
                           algorithms[0].option, hex[0], algorithms[1].option, hex[1]);
    OPENSSL_cleanse(hex, sizeof(hex));
    return text;
}

/* ---- challenge and response ----------------------------------------------------------------- */

char **
clv_digest_challenges(ClvDigest *digest, gint64 now_us, gboolean stale)
{
    char **out = g_new0(char *, N_ALGORITHMS + 1);
    char nonce[CLV_NONCE_LEN + 1];
    char opaque[2 * sizeof(digest->opaque) + 1];

    clv_hex_write(digest->opaque, sizeof(digest->opaque), opaque);
    for (gsize i = 0; i < N_ALGORITHMS; i++) {
        clv_nonce_make(digest->key, now_us, nonce);
        out[i] = g_strdup_printf("Digest realm=\"%s\", nonce=\"%s\", opaque=\"%s\", "
                                 "algorithm=%s, qop=\"auth\"%s",
                                 digest->realm, nonce, opaque, algorithms[i].name,
                                 stale ? ", stale=true" : "");
    }
    return out;
}

/* The value of a parameter, unquoted; (nullable) NULL also when it stands twice. */
static char *
param(const char *const *params, const char *name)
{
    gsize len = strlen(name);
    const char *found = NULL;
    GString *value;

    for (; params != NULL && *params != NULL; params++) {
        if (g_ascii_strncasecmp(*params, name, len) != 0 || (*params)[len] != '=')
            continue;
        if (found != NULL)
            return NULL;
        found = *params + len + 1;
    }
    if (found == NULL)
        return NULL;
    if (*found != '"')
        return g_strdup(found);

    value = g_string_new(NULL);
    for (found++; *found != '\0' && *found != '"'; found++) {
        if (*found == '\\' && found[1] != '\0')
            found++;
        g_string_append_c(value, *found);
    }
    return g_string_free(value, FALSE);
}

gboolean
clv_digest_is_ours(const ClvDigest *digest, const char *const *params)
{
    g_autofree char *realm = param(params, "realm");

    return realm != NULL && strcmp(realm, digest->realm) == 0;
}

typedef struct Response { /* the parameters of one Authorization header */
    char *user, *realm, *nonce, *uri, *response, *algorithm, *cnonce, *qop, *nc, *opaque;
} Response;

static void
response_clear(Response *r)
{
    char **members[] = {&r->user,      &r->realm,  &r->nonce, &r->uri, &r->response,
                        &r->algorithm, &r->cnonce, &r->qop,   &r->nc,  &r->opaque};

    for (gsize i = 0; i < G_N_ELEMENTS(members); i++)
        g_clear_pointer(members[i], g_free);
}

/* All that qop=auth needs is there. */
static gboolean
response_read(Response *r, const char *const *params)
{
    r->user = param(params, "username");
    r->realm = param(params, "realm");
    r->nonce = param(params, "nonce");
    r->uri = param(params, "uri");
    r->response = param(params, "response");
    r->algorithm = param(params, "algorithm");
    r->cnonce = param(params, "cnonce");
    r->qop = param(params, "qop");
    r->nc = param(params, "nc");
    r->opaque = param(params, "opaque");
    return r->user != NULL && r->realm != NULL && r->nonce != NULL && r->uri != NULL &&
           r->response != NULL && r->cnonce != NULL && r->qop != NULL && r->nc != NULL;
}

static const Algorithm *
find_algorithm(const char *name)
{
    for (gsize i = 0; i < N_ALGORITHMS; i++) {
        if (g_ascii_strcasecmp(name != NULL ? name : "MD5", algorithms[i].name) == 0)
            return &algorithms[i];
    }
    return NULL;
}

/* Clients write the URI as they like; it must mean the same. */
static gboolean
same_uri(const char *a, const char *b)
{
    g_autofree char *one = clv_identity_canonical(a, -1);
    g_autofree char *two = clv_identity_canonical(b, -1);

    return strcmp(a, b) == 0 || (one != NULL && two != NULL && strcmp(one, two) == 0);
}

/* Takes as long for names that nobody has. */
static gboolean
is_right(const Response *r, const Algorithm *algorithm, const User *user, const char *method)
{
    static const guint8 nobody[MAX_HASH];
    gsize index = (gsize)(algorithm - algorithms);
    gboolean known = user != NULL && user->has[index];
    guint8 digest2[MAX_HASH], right[MAX_HASH], given[MAX_HASH];
    char ha1[2 * MAX_HASH + 1], ha2[2 * MAX_HASH + 1];
    const char *const second[] = {method, r->uri, NULL};
    const char *const all[] = {ha1, r->nonce, r->nc, r->cnonce, r->qop, ha2, NULL};

    hash(algorithm, digest2, second);
    clv_hex_write(digest2, algorithm->len, ha2);
    clv_hex_write(known ? user->ha1[index] : nobody, algorithm->len, ha1);
    hash(algorithm, right, all);
    OPENSSL_cleanse(ha1, sizeof(ha1));

    return clv_hex_read(r->response, given, algorithm->len) &&
           CRYPTO_memcmp(given, right, algorithm->len) == 0 && known;
}

static ClvDigestVerdict
judge(ClvDigest *digest, const Response *r, const char *method, const char *uri, gint64 now_us,
      const char **out_identity)
{
    const Algorithm *algorithm = find_algorithm(r->algorithm);
    const User *user = g_hash_table_lookup(digest->users, r->user);
    char opaque[2 * sizeof(digest->opaque) + 1];
    guint8 nc[4];
    gint64 born_us;

    clv_hex_write(digest->opaque, sizeof(digest->opaque), opaque);
    if (algorithm == NULL || strcmp(r->realm, digest->realm) != 0 ||
        g_ascii_strcasecmp(r->qop, "auth") != 0 || !clv_hex_read(r->nc, nc, 4) ||
        !same_uri(r->uri, uri) || !is_right(r, algorithm, user, method))
        return CLV_DIGEST_BAD;
    /* A nonce from before a restart is as good as an old one. */
    if ((r->opaque != NULL && strcmp(r->opaque, opaque) != 0) ||
        !clv_nonce_open(digest->key, r->nonce, &born_us) || born_us > now_us ||
        now_us - born_us > CLV_DIGEST_NONCE_LIFE_US)
        return CLV_DIGEST_STALE;
    if (!count_use(digest, r->nonce,
                   (guint32)nc[0] << 24 | (guint32)nc[1] << 16 | (guint32)nc[2] << 8 | nc[3],
                   born_us, now_us))
        return CLV_DIGEST_STALE;

    *out_identity = user->identity;
    return CLV_DIGEST_OK;
}

ClvDigestVerdict
clv_digest_check(ClvDigest *digest, const char *const *params, const char *method, const char *uri,
                 gint64 now_us, const char **out_identity)
{
    Response r = {0};
    ClvDigestVerdict verdict = CLV_DIGEST_BAD;

    if (response_read(&r, params))
        verdict = judge(digest, &r, method, uri, now_us, out_identity);
    response_clear(&r);
    return verdict;
}

/* ---- life -------------------------------------------------------------------------------- */

ClvDigest *
clv_digest_new(const char *realm)
{
    ClvDigest *digest = g_new0(ClvDigest, 1);

    digest->realm = g_strdup(realm);
    if (!clv_random(NULL, digest->key, sizeof(digest->key)) ||
        !clv_random(NULL, digest->opaque, sizeof(digest->opaque)))
        g_error("no random numbers");
    digest->users = users_new();
    digest->used = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
    return digest;
}

void
clv_digest_free(ClvDigest *digest)
{
    if (digest == NULL)
        return;

    OPENSSL_cleanse(digest->key, sizeof(digest->key));
    g_hash_table_destroy(digest->users);
    g_hash_table_destroy(digest->used);
    g_free(digest->realm);
    g_free(digest);
}
