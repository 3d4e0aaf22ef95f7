/* SPDX-License-Identifier: Apache-2.0 */
/* sip/refer-to.c - a URI with a method and escaped header fields: whom to call, and how? */
#include "config.h"

#include "sip/refer-to.h"

#include <string.h>

#include "base/identity.h"

#define MAX_VALUE 512
#define MAX_FIELDS 32

/* ---- small words ---- */

/* Percent-decoded and printable, at most MAX_VALUE octets; else NULL. */
static char *
unescape(const char *text, gsize len)
{
    char out[MAX_VALUE + 1];
    gsize n = 0;

    for (gsize i = 0; i < len; i++) {
        guint c = (guchar)text[i];

        if (c == '%') {
            int high = i + 2 < len ? g_ascii_xdigit_value(text[i + 1]) : -1;
            int low = i + 2 < len ? g_ascii_xdigit_value(text[i + 2]) : -1;

            if (high < 0 || low < 0)
                return NULL;
            c = (guint)(high * 16 + low);
            i += 2;
        }
        if (c < 0x20 || c == 0x7f || n == MAX_VALUE)
            return NULL;
        out[n++] = (char)c;
    }
    out[n] = '\0';
    return g_strdup(out);
}

/* Value of ";name=value" behind a value; (nullable). Quotes are not looked into: tags are tokens.
 */
static char *
parameter(const char *text, const char *name)
{
    const char *start = strrchr(text, '>'); /* parameters inside belong to the URI */
    gsize len = strlen(name);

    for (const char *p = strchr(start != NULL ? start : text, ';'); p != NULL;
         p = strchr(p + 1, ';')) {
        const char *word = p + 1 + strspn(p + 1, " \t");

        if (g_ascii_strncasecmp(word, name, len) != 0)
            continue;
        word += len + strspn(word + len, " \t");
        if (*word != '=')
            continue;
        word++;
        word += strspn(word, " \t");
        len = strcspn(word, "; \t,>\"");
        return len > 0 && len <= 256 ? g_strndup(word, len) : NULL;
    }
    return NULL;
}

gboolean
clv_dialog_name_parse(const char *value, const char *tag_name, const char *other_name,
                      char **out_call_id, char **out_tag, char **out_other,
                      gboolean *out_early_only)
{
    gsize n = strcspn(value, "; \t,");
    char *tag, *other;

    *out_call_id = *out_tag = *out_other = NULL;
    if (n == 0 || n > 256 || strlen(value) > 1024)
        return FALSE;
    tag = parameter(value, tag_name);
    other = parameter(value, other_name);
    if (tag == NULL || other == NULL) {
        g_free(tag);
        g_free(other);
        return FALSE;
    }
    *out_call_id = g_strndup(value, n);
    *out_tag = tag;
    *out_other = other;
    if (out_early_only != NULL)
        *out_early_only = strstr(value, ";early-only") != NULL;
    return TRUE;
}

/* ---- escaped header fields ---- */

static gboolean
take_field(ClvReferTo *out, const char *name, char *value)
{
    char **slot = NULL;
    gboolean wants_tag = FALSE;

    if (g_ascii_strcasecmp(name, "Replaces") == 0)
        slot = &out->replaces;
    else if (g_ascii_strcasecmp(name, "Call-ID") == 0 || g_ascii_strcasecmp(name, "i") == 0)
        slot = &out->call_id;
    else if (g_ascii_strcasecmp(name, "From") == 0 || g_ascii_strcasecmp(name, "f") == 0)
        slot = &out->from_tag, wants_tag = TRUE;
    else if (g_ascii_strcasecmp(name, "To") == 0 || g_ascii_strcasecmp(name, "t") == 0)
        slot = &out->to_tag, wants_tag = TRUE;
    if (slot == NULL) { /* others are not copied into requests of ours */
        g_free(value);
        return TRUE;
    }
    if (*slot != NULL || value[0] == '\0') {
        g_free(value);
        return FALSE;
    }
    *slot = wants_tag ? parameter(value, "tag") : g_strdup(value);
    g_free(value);
    return *slot != NULL;
}

static gboolean
read_fields(ClvReferTo *out, const char *text)
{
    for (guint i = 0; *text != '\0'; i++) {
        gsize len = strcspn(text, "&"), n = strcspn(text, "=&");
        g_autofree char *name = unescape(text, n);
        char *value = n < len ? unescape(text + n + 1, len - n - 1) : NULL;

        if (i == MAX_FIELDS || name == NULL || value == NULL) {
            g_free(value);
            return FALSE;
        }
        if (!take_field(out, name, value))
            return FALSE;
        text += len + (text[len] == '&' ? 1 : 0);
    }
    return TRUE;
}

static gboolean
replaces_is_good(const char *value)
{
    g_autofree char *call_id = NULL, *to = NULL, *from = NULL;

    return clv_dialog_name_parse(value, "to-tag", "from-tag", &call_id, &to, &from, NULL);
}

/* ---- the URI ---- */

static ClvReferToVerdict
read_method(const char *uri, ClvReferTo *out)
{
    const char *host = strrchr(uri, '@');
    g_autofree char *method = parameter(host != NULL ? host : uri, "method");

    out->removes = method != NULL && g_ascii_strcasecmp(method, "BYE") == 0;
    return method == NULL || out->removes || g_ascii_strcasecmp(method, "INVITE") == 0
               ? CLV_REFER_TO_OK
               : CLV_REFER_TO_FOREIGN;
}

static gboolean
has_our_scheme(const char *uri)
{
    return g_ascii_strncasecmp(uri, "sip:", 4) == 0 || g_ascii_strncasecmp(uri, "sips:", 5) == 0 ||
           g_ascii_strncasecmp(uri, "tel:", 4) == 0;
}

void
clv_refer_to_clear(ClvReferTo *refer_to)
{
    g_free(refer_to->target);
    g_free(refer_to->replaces);
    g_free(refer_to->call_id);
    g_free(refer_to->from_tag);
    g_free(refer_to->to_tag);
    memset(refer_to, 0, sizeof(*refer_to));
}

ClvReferToVerdict
clv_refer_to_parse(const char *uri, ClvReferTo *out)
{
    const char *fields = strchr(uri, '?');
    g_autofree char *bare = fields != NULL ? g_strndup(uri, (gsize)(fields - uri)) : g_strdup(uri);

    memset(out, 0, sizeof(*out));
    if (strlen(uri) > CLV_REFER_TO_MAX || strchr(uri, ':') == NULL)
        return CLV_REFER_TO_MALFORMED;
    if (!has_our_scheme(uri))
        return CLV_REFER_TO_FOREIGN;
    out->target = clv_identity_canonical(bare, -1);
    if (out->target == NULL || (fields != NULL && !read_fields(out, fields + 1)) ||
        (out->replaces != NULL && !replaces_is_good(out->replaces)))
        return CLV_REFER_TO_MALFORMED;
    out->names_dialog = out->call_id != NULL && out->from_tag != NULL && out->to_tag != NULL;
    return read_method(bare, out);
}
