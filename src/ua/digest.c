/* SPDX-License-Identifier: Apache-2.0 */
/* ua/digest.c - HTTP digest as SIP uses it: MD5 and SHA-256, qop=auth or none */
#include "ua/digest.h"

#include <string.h>

static const struct {
    const char *name;
    GChecksumType type;
    guint rank;
} algorithms[] = {
    {"MD5", G_CHECKSUM_MD5, 1},
    {"SHA-256", G_CHECKSUM_SHA256, 2},
};

/* Returns: (transfer full) (nullable): value without its quotes */
static char *
param(const char *const *params, const char *name)
{
    gsize len = strlen(name);

    for (guint i = 0; params != NULL && params[i] != NULL; i++) {
        const char *value = params[i] + len + 1;

        if (g_ascii_strncasecmp(params[i], name, len) != 0 || params[i][len] != '=')
            continue;
        if (*value == '"') {
            GString *text = g_string_new(NULL);

            for (value++; *value != '\0' && *value != '"'; value++) {
                if (*value == '\\' && value[1] != '\0')
                    value++;
                g_string_append_c(text, *value);
            }
            return g_string_free(text, FALSE);
        }
        return g_strdup(value);
    }
    return NULL;
}

/* Returns: place in the table, or -1 */
static int
algorithm_of(const char *const *params)
{
    g_autofree char *name = param(params, "algorithm");

    for (guint i = 0; i < G_N_ELEMENTS(algorithms); i++)
        if (g_ascii_strcasecmp(name != NULL ? name : "MD5", algorithms[i].name) == 0)
            return (int)i;
    return -1;
}

guint
clv_ua_digest_rank(const char *const *params)
{
    int algorithm = algorithm_of(params);

    return algorithm < 0 ? 0 : algorithms[algorithm].rank;
}

gboolean
clv_ua_digest_is_stale(const char *const *params)
{
    g_autofree char *stale = param(params, "stale");

    return stale != NULL && g_ascii_strcasecmp(stale, "true") == 0;
}

static char *
hash(GChecksumType type, const char *text)
{
    return g_compute_checksum_for_string(type, text, -1);
}

static gboolean
offers_auth(const char *qop)
{
    g_auto(GStrv) words = g_strsplit(qop, ",", 8);

    for (guint i = 0; words[i] != NULL; i++)
        if (g_ascii_strcasecmp(g_strstrip(words[i]), "auth") == 0)
            return TRUE;
    return FALSE;
}

static void
append_quoted(GString *out, const char *name, const char *value)
{
    g_string_append_printf(out, "%s%s=\"", out->len > strlen("Digest ") ? ", " : "", name);
    for (; *value != '\0'; value++) {
        if (*value == '"' || *value == '\\')
            g_string_append_c(out, '\\');
        g_string_append_c(out, *value);
    }
    g_string_append_c(out, '"');
}

char *
clv_ua_digest_answer(const char *const *params, const ClvUaDigest *digest)
{
    int algorithm = algorithm_of(params);
    g_autofree char *realm = param(params, "realm");
    g_autofree char *nonce = param(params, "nonce");
    g_autofree char *opaque = param(params, "opaque");
    g_autofree char *qop = param(params, "qop");
    g_autofree char *name = param(params, "algorithm");
    GString *out;

    if (algorithm < 0 || realm == NULL || nonce == NULL || (qop != NULL && !offers_auth(qop)))
        return NULL;

    GChecksumType type = algorithms[algorithm].type;
    g_autofree char *a1 = g_strdup_printf("%s:%s:%s", digest->user, realm, digest->password);
    g_autofree char *a2 = g_strdup_printf("%s:%s", digest->method, digest->uri);
    g_autofree char *h1 = hash(type, a1);
    g_autofree char *h2 = hash(type, a2);
    g_autofree char *input = qop != NULL ? g_strdup_printf("%s:%s:%08x:%s:auth:%s", h1, nonce,
                                                           digest->nonce_count, digest->cnonce, h2)
                                         : g_strdup_printf("%s:%s:%s", h1, nonce, h2);
    g_autofree char *response = hash(type, input);

    out = g_string_new("Digest ");
    append_quoted(out, "username", digest->user);
    append_quoted(out, "realm", realm);
    append_quoted(out, "nonce", nonce);
    append_quoted(out, "uri", digest->uri);
    append_quoted(out, "response", response);
    if (name != NULL)
        g_string_append_printf(out, ", algorithm=%s", algorithms[algorithm].name);
    if (opaque != NULL)
        append_quoted(out, "opaque", opaque);
    if (qop != NULL) {
        g_string_append_printf(out, ", qop=auth, nc=%08x", digest->nonce_count);
        append_quoted(out, "cnonce", digest->cnonce);
    }
    memset(a1, 0, strlen(a1));
    return g_string_free(out, FALSE);
}
