/* SPDX-License-Identifier: Apache-2.0 */
/* base/identity.c - canonical identities and patterns, read through a small text cursor
 *
 * RFC 3261 section 19.1 and RFC 3966 cut down to what a comparison needs. Whatever could make two
 * readers disagree about who is meant (a password, an extension, a temporary GRUU, a broken escape)
 * is no identity at all. Pure.
 */
#include "config.h"

#include "base/identity.h"

#include <arpa/inet.h>
#include <string.h>

G_DEFINE_QUARK(clv_identity_error, clv_identity_error)

#define MAX_DIGITS 31

/* A part of a text that is not NUL-terminated. */
typedef struct Span {
    const char *at;
    gsize len;
} Span;

static gboolean
span_is(Span span, const char *word)
{
    return span.len == strlen(word) && g_ascii_strncasecmp(span.at, word, span.len) == 0;
}

/* Cuts @span at the first octet that is in @stops and returns what follows it. */
static gboolean
span_cut(Span *span, const char *stops, Span *out_rest)
{
    for (gsize i = 0; i < span->len; i++) {
        if (span->at[i] != '\0' && strchr(stops, span->at[i]) != NULL) {
            out_rest->at = span->at + i + 1;
            out_rest->len = span->len - i - 1;
            span->len = i;
            return TRUE;
        }
    }
    return FALSE;
}

static Span
strip(Span span)
{
    while (span.len > 0 && g_ascii_isspace(span.at[0])) {
        span.at++;
        span.len--;
    }
    while (span.len > 0 && g_ascii_isspace(span.at[span.len - 1]))
        span.len--;
    return span;
}

static gboolean
is_unreserved(char c)
{
    return g_ascii_isalnum(c) || (c != '\0' && strchr("-_.!~*'()", c) != NULL);
}

/* ---- users, numbers, hosts: each appends its canonical form to @out ---- */

static gboolean
write_user(Span user, GString *out)
{
    static const char user_unreserved[] = "&=+$,;?/";

    for (gsize i = 0; i < user.len; i++) {
        char c = user.at[i];

        if (c == '%') {
            int high = i + 2 < user.len ? g_ascii_xdigit_value(user.at[i + 1]) : -1;
            int low = high >= 0 ? g_ascii_xdigit_value(user.at[i + 2]) : -1;

            if (low < 0 || (high == 0 && low == 0))
                return FALSE;
            c = (char)(high << 4 | low);
            if (is_unreserved(c))
                g_string_append_c(out, c);
            else
                g_string_append_printf(out, "%%%02X", (guint)(guchar)c);
            i += 2;
        } else if (is_unreserved(c) || (c != '\0' && strchr(user_unreserved, c) != NULL)) {
            g_string_append_c(out, c);
        } else {
            return FALSE;
        }
    }
    return user.len > 0;
}

/* A global number with its visual separators; parameters that change who is called are refused. */
static gboolean
write_number(Span number, GString *out)
{
    static const char *const meaningful[] = {"ext", "isub", "phone-context"};
    Span rest = {NULL, 0};
    guint digits = 0;

    span_cut(&number, ";", &rest);
    while (rest.len > 0) {
        Span param = rest, value;

        if (!span_cut(&param, ";", &rest))
            rest.len = 0;
        span_cut(&param, "=", &value);
        for (guint i = 0; i < G_N_ELEMENTS(meaningful); i++)
            if (span_is(param, meaningful[i]))
                return FALSE;
    }

    if (number.len == 0 || number.at[0] != '+')
        return FALSE;
    g_string_append(out, "tel:+");
    for (gsize i = 1; i < number.len; i++) {
        char c = number.at[i];

        if (g_ascii_isdigit(c)) {
            g_string_append_c(out, c);
            digits++;
        } else if (c == '\0' || strchr("-.()", c) == NULL) {
            return FALSE;
        }
    }
    return digits > 0 && digits <= MAX_DIGITS;
}

static gboolean
write_ipv6(Span host, GString *out)
{
    char text[INET6_ADDRSTRLEN];
    struct in6_addr address;

    if (host.len >= sizeof(text))
        return FALSE;
    memcpy(text, host.at, host.len);
    text[host.len] = '\0';
    if (strlen(text) != host.len || inet_pton(AF_INET6, text, &address) != 1 ||
        inet_ntop(AF_INET6, &address, text, sizeof(text)) == NULL)
        return FALSE;
    g_string_append_printf(out, "[%s]", text);
    return TRUE;
}

static gboolean
write_hostname(Span host, GString *out)
{
    gsize label = 0;

    if (host.len > 0 && host.at[host.len - 1] == '.')
        host.len--;
    if (host.len == 0 || host.len > 253)
        return FALSE;
    for (gsize i = 0; i < host.len; i++) {
        char c = host.at[i];

        if (c == '.') {
            if (label == 0)
                return FALSE;
            label = 0;
        } else if ((g_ascii_isalnum(c) || c == '-' || c == '_') && label < 63) {
            label++;
        } else {
            return FALSE;
        }
        g_string_append_c(out, g_ascii_tolower(c));
    }
    return label > 0;
}

/* host [":" port]; the port is checked and dropped. */
static gboolean
write_host(Span hostport, GString *out)
{
    Span port = {NULL, 0};
    gboolean has_port = FALSE, ok;

    if (hostport.len > 0 && hostport.at[0] == '[') {
        Span host = {hostport.at + 1, hostport.len - 1};
        Span tail;

        if (!span_cut(&host, "]", &tail) || (tail.len > 0 && tail.at[0] != ':'))
            return FALSE;
        has_port = tail.len > 0;
        port = has_port ? (Span){tail.at + 1, tail.len - 1} : tail;
        ok = write_ipv6(host, out);
    } else {
        has_port = span_cut(&hostport, ":", &port);
        ok = write_hostname(hostport, out);
    }
    if (has_port && (port.len == 0 || port.len > 5))
        return FALSE;
    for (gsize i = 0; i < port.len && has_port; i++)
        if (!g_ascii_isdigit(port.at[i]))
            return FALSE;
    return ok;
}

/* Looks for the two parameters that change the meaning of a SIP URI. */
static void
read_uri_params(Span params, gboolean *out_phone, gboolean *out_temporary)
{
    while (params.len > 0) {
        Span name = params, value = {NULL, 0};

        if (!span_cut(&name, ";", &params))
            params.len = 0;
        span_cut(&name, "=", &value);
        if (span_is(name, "user") && span_is(value, "phone"))
            *out_phone = TRUE;
        if (span_is(name, "gr") && value.len == 0)
            *out_temporary = TRUE;
    }
}

static gboolean
write_sip(Span body, GString *out)
{
    Span user = body, hostport, params = {NULL, 0}, headers;
    gboolean phone = FALSE, temporary = FALSE;

    if (!span_cut(&user, "@", &hostport))
        return FALSE;
    span_cut(&hostport, "?", &headers);
    span_cut(&hostport, ";", &params);
    read_uri_params(params, &phone, &temporary);
    if (temporary)
        return FALSE;

    if (phone) {
        g_autoptr(GString) ignored = g_string_new(NULL);

        return write_host(hostport, ignored) && write_number(user, out);
    }
    g_string_append(out, "sip:");
    if (!write_user(user, out))
        return FALSE;
    g_string_append_c(out, '@');
    return write_host(hostport, out);
}

char *
clv_identity_canonical(const char *uri, gssize len)
{
    Span span = {uri, len < 0 ? strlen(uri) : (gsize)len};
    Span body;
    g_autoptr(GString) out = NULL;
    gboolean ok = FALSE;

    span = strip(span);
    if (span.len >= 2 && span.at[0] == '<' && span.at[span.len - 1] == '>')
        span = (Span){span.at + 1, span.len - 2};
    if (span.len > CLV_IDENTITY_MAX_BYTES || !span_cut(&span, ":", &body))
        return NULL;

    out = g_string_new(NULL);
    if (span_is(span, "sip") || span_is(span, "sips"))
        ok = write_sip(body, out);
    else if (span_is(span, "tel"))
        ok = write_number(body, out);
    return ok ? g_string_free(g_steal_pointer(&out), FALSE) : NULL;
}

/* Returns: (nullable): the host of a canonical SIP identity */
static const char *
host_of(const char *canonical)
{
    const char *at;

    if (!g_str_has_prefix(canonical, "sip:"))
        return NULL;
    at = strrchr(canonical, '@');
    return at == NULL ? NULL : at + 1;
}

gboolean
clv_identity_is_anonymous(const char *canonical)
{
    const char *host = host_of(canonical);

    return host != NULL && (strcmp(host, "invalid") == 0 || g_str_has_suffix(host, ".invalid"));
}

/* ---- patterns ---- */

/* "tel:+49*": the digits may be written with separators. */
static gboolean
write_number_pattern(const char *pattern, GString *out)
{
    Span number = {pattern + strlen("tel:"), strlen(pattern) - strlen("tel:") - 1};

    /* "+" alone stands for every number; it has no digits to check. */
    if (number.len == 1 && number.at[0] == '+')
        g_string_append(out, "tel:+");
    else if (memchr(number.at, ';', number.len) != NULL || !write_number(number, out))
        return FALSE;
    g_string_append_c(out, '*');
    return TRUE;
}

static gboolean
write_domain_pattern(const char *pattern, GString *out)
{
    gboolean subdomains = g_str_has_prefix(pattern, "*@*.");
    const char *domain = pattern + (subdomains ? strlen("*@*.") : strlen("*@"));
    Span span = {domain, strlen(domain)};

    g_string_append(out, subdomains ? "*@*." : "*@");
    if (domain[0] == '[')
        return !subdomains && domain[span.len - 1] == ']' && write_host(span, out);
    return write_hostname(span, out);
}

char *
clv_identity_pattern_canonical(const char *pattern, GError **error)
{
    g_autoptr(GString) out = g_string_new(NULL);
    gboolean ok = FALSE;

    if (strlen(pattern) > CLV_IDENTITY_MAX_BYTES) {
        g_set_error(error, CLV_IDENTITY_ERROR, 0, "found a pattern of more than %d octets",
                    CLV_IDENTITY_MAX_BYTES);
        return NULL;
    }
    if (g_str_has_prefix(pattern, "*@"))
        ok = write_domain_pattern(pattern, out);
    else if (g_ascii_strncasecmp(pattern, "tel:", 4) == 0 && g_str_has_suffix(pattern, "*"))
        ok = write_number_pattern(pattern, out);
    else if (strchr(pattern, '*') == NULL) {
        g_autofree char *exact = clv_identity_canonical(pattern, -1);

        /* "%2A" would turn into a '*' that the next reader takes for a wildcard. */
        if (exact != NULL && strchr(exact, '*') == NULL)
            return g_steal_pointer(&exact);
    }
    if (ok)
        return g_string_free(g_steal_pointer(&out), FALSE);

    g_set_error(error, CLV_IDENTITY_ERROR, 0,
                "found '%s', expected sip:user@host, tel:+digits, *@domain, *@*.domain or "
                "tel:+prefix*",
                pattern);
    return NULL;
}

gboolean
clv_identity_pattern_check(const char *pattern, GError **error)
{
    g_autofree char *canonical = clv_identity_pattern_canonical(pattern, error);

    return canonical != NULL;
}

static gboolean
match_canonical(const char *pattern, const char *identity)
{
    gsize len = strlen(pattern);
    const char *host;

    if (pattern[0] == '*') {
        host = host_of(identity);
        if (host == NULL)
            return FALSE;
        if (!g_str_has_prefix(pattern, "*@*."))
            return strcmp(host, pattern + strlen("*@")) == 0;
        /* ".domain" at the end, and something before it */
        pattern += strlen("*@*");
        return strlen(host) > strlen(pattern) && g_str_has_suffix(host, pattern);
    }
    if (g_str_has_prefix(pattern, "tel:") && pattern[len - 1] == '*')
        return strncmp(identity, pattern, len - 1) == 0;
    return strcmp(pattern, identity) == 0;
}

gboolean
clv_identity_match(const char *pattern, const char *canonical)
{
    g_autofree char *own = NULL;

    if (strcmp(pattern, canonical) == 0)
        return TRUE;
    own = clv_identity_pattern_canonical(pattern, NULL);
    return own != NULL && match_canonical(own, canonical);
}
