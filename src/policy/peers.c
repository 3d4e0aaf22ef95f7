/* SPDX-License-Identifier: Apache-2.0 */
/* policy/peers.c - which next hops does a list of addresses, prefixes and TLS names hold? */
#include "policy/policy-private.h"

#include <gio/gio.h>
#include <string.h>

#define MAX_NAME 253

/* A name as certificates have it: letters, digits, '-' and '.', '*' alone in front. */
static gboolean
is_tls_name(const char *text)
{
    const char *p = g_str_has_prefix(text, "*.") ? text + 2 : text;

    if (*p == '\0' || *p == '.' || strlen(text) > MAX_NAME || strspn(p, "0123456789.") == strlen(p))
        return FALSE;
    for (; *p != '\0'; p++) {
        if (!g_ascii_isalnum(*p) && *p != '-' && (*p != '.' || p[1] == '.' || p[1] == '\0'))
            return FALSE;
    }
    return TRUE;
}

gboolean
clv_policy_peer_is_valid(const char *text)
{
    g_autoptr(GInetAddressMask) mask = g_inet_address_mask_new_from_string(text, NULL);

    return mask != NULL || is_tls_name(text);
}

/* "*.example.org" stands for one more label. */
static gboolean
name_matches(const char *pattern, const char *peer)
{
    const char *dot = strchr(peer, '.');

    if (g_str_has_prefix(pattern, "*."))
        return dot != NULL && dot != peer && g_ascii_strcasecmp(pattern + 1, dot) == 0;
    return g_ascii_strcasecmp(pattern, peer) == 0;
}

static gboolean
list_has(char *const *list, const char *peer)
{
    g_autoptr(GInetAddress) address = g_inet_address_new_from_string(peer);

    for (; *list != NULL; list++) {
        g_autoptr(GInetAddressMask) mask = g_inet_address_mask_new_from_string(*list, NULL);

        if (mask == NULL ? name_matches(*list, peer)
                         : address != NULL && g_inet_address_mask_matches(mask, address))
            return TRUE;
    }
    return FALSE;
}

gboolean
clv_policy_rule_has_peer(const Rule *rule, const char *peer)
{
    for (guint i = 0; i < rule->peers->len; i++) {
        if (peer == NULL || !list_has(rule->peers->pdata[i], peer))
            return FALSE;
    }
    return TRUE;
}
