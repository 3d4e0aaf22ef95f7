/* SPDX-License-Identifier: Apache-2.0 */
/* kms/keyrules.c - whose name is this, and what may he ask for?
 *
 * Questions to a key file that has been read. Pure.
 */
#include "config.h"

#include <string.h>

#include "base/identity.h"
#include "kms/keyfile.h"

const ClvKmsUser *
clv_kms_keyfile_user(const ClvKmsKeyFile *keys, const char *name, gsize len)
{
    char text[CLV_KMS_MAX_NAME];

    if (len == 0 || len >= sizeof text || memchr(name, '\0', len) != NULL)
        return NULL;
    memcpy(text, name, len);
    text[len] = '\0';
    return g_hash_table_lookup(keys->users_by_name, text);
}

const ClvKmsSystem *
clv_kms_keyfile_factory(const ClvKmsKeyFile *keys, const char *identity)
{
    return g_hash_table_lookup(keys->systems_by_factory, identity);
}

/* One label, not empty, before the suffix */
static gboolean
rule_matches(const char *suffix, const char *identity)
{
    const char *user = identity + strlen("sip:");
    gsize label;

    if (!g_str_has_prefix(identity, "sip:"))
        return FALSE;
    label = strcspn(user, ".@");
    return label > 0 && strcmp(user + label, suffix) == 0;
}

static gboolean
system_has_focus(const ClvKmsSystem *system, const char *identity)
{
    for (guint i = 0; i < system->rules->len; i++)
        if (rule_matches(system->rules->pdata[i], identity))
            return TRUE;
    return g_ptr_array_find_with_equal_func(system->conferences, identity, g_str_equal, NULL);
}

const ClvKmsSystem *
clv_kms_keyfile_focus(const ClvKmsKeyFile *keys, const char *identity)
{
    if (clv_kms_keyfile_factory(keys, identity) != NULL)
        return NULL; /* "factory.conf1" looks like a conference of "*.conf1" */
    for (guint i = 0; i < keys->systems->len; i++)
        if (system_has_focus(keys->systems->pdata[i], identity))
            return keys->systems->pdata[i];
    return NULL;
}

const ClvKmsGroup *
clv_kms_keyfile_group(const ClvKmsKeyFile *keys, const char *identity)
{
    return g_hash_table_lookup(keys->groups_by_uri, identity);
}

gboolean
clv_kms_group_has(const ClvKmsGroup *group, const char *identity)
{
    return g_ptr_array_find_with_equal_func(group->members, identity, g_str_equal, NULL);
}

const ClvKmsPeer *
clv_kms_keyfile_peer(const ClvKmsKeyFile *keys, const char *uri)
{
    for (guint i = 0; i < keys->peers->len; i++)
        if (strcmp(((const ClvKmsPeer *)keys->peers->pdata[i])->uri, uri) == 0)
            return keys->peers->pdata[i];
    return NULL;
}

/* Whatever the file says of the peer, our own names are not its. */
gboolean
clv_kms_peer_has(const ClvKmsKeyFile *keys, const ClvKmsPeer *peer, const char *identity)
{
    return clv_kms_keyfile_owner(keys, identity) == NULL &&
           clv_kms_keyfile_group(keys, identity) == NULL && !clv_kms_is_wildcard(identity) &&
           clv_kms_user_may_request(keys, peer->user, identity);
}

gboolean
clv_kms_is_wildcard(const char *identity)
{
    return strchr(identity, '*') != NULL;
}

gboolean
clv_kms_wildcard_holds(const ClvKmsKeyFile *keys, const char *wildcard, const char *identity)
{
    if (clv_kms_keyfile_factory(keys, identity) != NULL ||
        clv_kms_keyfile_focus(keys, identity) != NULL ||
        clv_kms_keyfile_group(keys, identity) != NULL)
        return FALSE;
    return g_str_has_prefix(wildcard, "sip:*@") &&
           clv_identity_match(wildcard + strlen("sip:"), identity);
}

const ClvKmsUser *
clv_kms_keyfile_owner(const ClvKmsKeyFile *keys, const char *identity)
{
    const ClvKmsUser *user = g_hash_table_lookup(keys->users_by_identity, identity);
    const ClvKmsSystem *system;

    if (user != NULL)
        return user;
    system = clv_kms_keyfile_factory(keys, identity);
    if (system == NULL)
        system = clv_kms_keyfile_focus(keys, identity);
    return system != NULL ? system->user : NULL;
}

gint64
clv_kms_keyfile_longest_s(const ClvKmsKeyFile *keys)
{
    gint64 longest_s = keys->max_lifetime_s;

    for (guint i = 0; i < keys->users->len; i++)
        longest_s = MAX(longest_s, ((const ClvKmsUser *)keys->users->pdata[i])->max_lifetime_s);
    return longest_s;
}

static gboolean
scope_holds(const ClvKmsKeyFile *keys, const ClvKmsScope *scope, const char *identity)
{
    switch (scope->kind) {
    case CLV_KMS_SCOPE_ANY:
        return TRUE;
    case CLV_KMS_SCOPE_USERS:
        return g_hash_table_contains(keys->users_by_identity, identity);
    case CLV_KMS_SCOPE_SERVICES:
        return clv_kms_keyfile_factory(keys, identity) != NULL ||
               clv_kms_keyfile_focus(keys, identity) != NULL;
    case CLV_KMS_SCOPE_GROUPS:
        return clv_kms_keyfile_group(keys, identity) != NULL;
    case CLV_KMS_SCOPE_PATTERN:
        return clv_identity_match(scope->pattern, identity);
    case CLV_KMS_SCOPE_NOBODY:
        break;
    }
    return FALSE;
}

gboolean
clv_kms_user_may_request(const ClvKmsKeyFile *keys, const ClvKmsUser *user, const char *identity)
{
    gboolean allowed = FALSE;

    for (guint i = 0; i < user->may_request->len; i++) {
        const ClvKmsScope *scope = &g_array_index(user->may_request, ClvKmsScope, i);

        if (!scope_holds(keys, scope, identity))
            continue;
        if (scope->exclude)
            return FALSE;
        allowed = TRUE;
    }
    return allowed;
}

gboolean
clv_kms_user_has_purpose(const ClvKmsUser *user, const guint8 *purpose, gsize len)
{
    if (user->purposes == NULL)
        return TRUE;
    for (guint i = 0; i < user->purposes->len; i++) {
        const char *known = user->purposes->pdata[i];

        if (strlen(known) == len && memcmp(known, purpose, len) == 0)
            return TRUE;
    }
    return FALSE;
}
