/* SPDX-License-Identifier: Apache-2.0 */
/* kms/keycheck.c - does a key file that has been read hold together?
 *
 * What concerns more than one line: names that do not exist, identities claimed twice.
 */
#include "config.h"

#include "kms/keyload.h"

#include <libmikey/mikey.h>
#include <string.h>

#include "base/identity.h"

/* Returns: (transfer none) (nullable): whose key it is already; else it is @user's from now on */
static const ClvKmsUser *
twin_of(GHashTable *digests, const ClvSecret *secret, const ClvKmsUser *user)
{
    guint8 digest[MIKEY_DIGEST_LEN];
    g_autoptr(GBytes) handle = NULL;
    const ClvKmsUser *twin;
    const guint8 *bytes;
    gsize len = 0;

    if (secret == NULL)
        return NULL;
    bytes = clv_secret_bytes(secret, &len);
    if (mikey_digest(mikey_bytes(bytes, len), digest) != MIKEY_OK)
        return NULL;
    handle = g_bytes_new(digest, sizeof digest);
    twin = g_hash_table_lookup(digests, handle);
    if (twin == NULL)
        g_hash_table_insert(digests, g_steal_pointer(&handle), (gpointer)user);
    return twin;
}

static void
check_user(const Loader *loader, const ClvKmsUser *user, GHashTable *digests)
{
    const ClvKmsUser *twin = twin_of(digests, user->psk, user);

    if (user->psk == NULL && !user->psk_refused)
        clv_kms_complain(loader, user->line,
                         "[user %s]: found no key, expected psk= or psk-file=", user->name);
    if (twin != NULL)
        clv_kms_complain(loader, user->line,
                         "[user %s]: found the key of user '%s' again, expected one of his own",
                         user->name, twin->name);
}

static void
index_users(const Loader *loader, GHashTable *digests)
{
    ClvKmsKeyFile *keys = loader->keys;

    for (guint i = 0; i < keys->users->len; i++) {
        ClvKmsUser *user = keys->users->pdata[i];

        check_user(loader, user, digests);
        g_hash_table_insert(keys->users_by_name, user->name, user);
        for (guint n = 0; n < user->identities->len; n++) {
            const char *identity = user->identities->pdata[n];
            const ClvKmsUser *other = g_hash_table_lookup(keys->users_by_identity, identity);

            if (other != NULL)
                clv_kms_complain(
                    loader, user->line,
                    "[user %s]: found the identity %s of user '%s' again, expected each "
                    "identity once",
                    user->name, identity, other->name);
            else
                g_hash_table_insert(keys->users_by_identity, (gpointer)identity, user);
        }
    }
}

static void
check_system_names(const Loader *loader, const ClvKmsSystem *system, const GPtrArray *names)
{
    for (guint i = 0; i < names->len; i++) {
        const char *name = names->pdata[i];
        const ClvKmsUser *owner = g_hash_table_lookup(loader->keys->users_by_identity, name);

        if (owner != NULL && owner != system->user)
            clv_kms_complain(
                loader, system->line,
                "[service %s]: found %s, which is an identity of user '%s', expected one "
                "that nobody else has",
                system->name, name, owner->name);
    }
}

static void
index_factories(const Loader *loader, ClvKmsSystem *system)
{
    GHashTable *table = loader->keys->systems_by_factory;

    for (guint i = 0; i < system->factories->len; i++) {
        const char *factory = system->factories->pdata[i];
        const ClvKmsSystem *other = g_hash_table_lookup(table, factory);

        if (other != NULL)
            clv_kms_complain(
                loader, system->line,
                "[service %s]: found the factory %s of service '%s' again, expected each "
                "factory once",
                system->name, factory, other->name);
        else
            g_hash_table_insert(table, (gpointer)factory, system);
    }
}

static void
index_systems(const Loader *loader)
{
    ClvKmsKeyFile *keys = loader->keys;

    for (guint i = 0; i < keys->systems->len; i++) {
        ClvKmsSystem *system = keys->systems->pdata[i];

        if (system->user_name == NULL)
            clv_kms_complain(loader, system->line,
                             "[service %s]: found no user=, expected the user whose "
                             "key the conference system has",
                             system->name);
        else
            system->user = g_hash_table_lookup(keys->users_by_name, system->user_name);
        if (system->user_name != NULL && system->user == NULL)
            clv_kms_complain(loader, system->line,
                             "[service %s]: found user=%s, expected the name of a [user ...] group",
                             system->name, system->user_name);
        if (system->factories->len == 0)
            clv_kms_complain(
                loader, system->line,
                "[service %s]: found no factory, expected host= or factory=", system->name);
        if (system->rules->len == 0 && system->conferences->len == 0)
            clv_kms_complain(
                loader, system->line,
                "[service %s]: found no conferences, expected host=, conference-rule= or "
                "conferences=",
                system->name);
        if (system->list && system->rules->len == 0)
            clv_kms_complain(
                loader, system->line,
                "[service %s]: found conferences=list without a rule, expected host= or "
                "conference-rule= to say which may be announced",
                system->name);
        index_factories(loader, system);
        check_system_names(loader, system, system->factories);
        check_system_names(loader, system, system->conferences);
    }
}

/* No conference may belong to two services, nor to a service and to a person. */
static void
check_rules(const Loader *loader)
{
    const ClvKmsKeyFile *keys = loader->keys;
    GHashTableIter iter;
    gpointer identity, user;

    for (guint i = 0; i < keys->systems->len; i++) {
        const ClvKmsSystem *a = keys->systems->pdata[i];

        for (guint k = 0; k < i; k++) {
            const ClvKmsSystem *b = keys->systems->pdata[k];

            for (guint n = 0; n < a->rules->len; n++)
                for (guint m = 0; m < b->rules->len; m++)
                    if (strcmp(a->rules->pdata[n], b->rules->pdata[m]) == 0)
                        clv_kms_complain(
                            loader, a->line,
                            "[service %s]: found a conference rule that service '%s' has "
                            "too, expected conferences of its own",
                            a->name, b->name);
        }
    }
    g_hash_table_iter_init(&iter, keys->users_by_identity);
    while (g_hash_table_iter_next(&iter, &identity, &user)) {
        const ClvKmsSystem *system = clv_kms_keyfile_focus(keys, identity);

        if (system != NULL && system->user != user)
            clv_kms_complain(
                loader, ((const ClvKmsUser *)user)->line,
                "[user %s]: found the identity %s, which is a conference of service '%s'",
                ((const ClvKmsUser *)user)->name, (const char *)identity, system->name);
    }
}

/* A group is nobody's own name, or one would resolve what is for all, and no group of groups. */
static void
index_groups(const Loader *loader)
{
    ClvKmsKeyFile *keys = loader->keys;

    for (guint i = 0; i < keys->groups->len; i++) {
        const ClvKmsGroup *group = keys->groups->pdata[i];

        if (group->uri == NULL || group->members->len == 0) {
            clv_kms_complain(loader, group->line, "[group %s]: found no %s=, expected one",
                             group->name, group->uri == NULL ? "uri" : "members");
            continue;
        }
        if (clv_kms_keyfile_owner(keys, group->uri) != NULL ||
            clv_kms_keyfile_group(keys, group->uri) != NULL)
            clv_kms_complain(
                loader, group->line,
                "[group %s]: found %s, which is somebody's already, expected a URI of its own",
                group->name, group->uri);
        g_hash_table_insert(keys->groups_by_uri, group->uri, (gpointer)group);
    }
    for (guint i = 0; i < keys->groups->len; i++) {
        const ClvKmsGroup *group = keys->groups->pdata[i];

        for (guint n = 0; n < group->members->len; n++)
            if (clv_kms_keyfile_group(keys, group->members->pdata[n]) != NULL ||
                clv_kms_is_wildcard(group->members->pdata[n]))
                clv_kms_complain(
                    loader, group->line,
                    "[group %s]: found the member %s, expected the identity of one user",
                    group->name, (const char *)group->members->pdata[n]);
    }
}

static void
index_certificates(const Loader *loader)
{
    GHashTable *table = loader->keys->users_by_certificate;

    for (guint i = 0; i < loader->keys->users->len; i++) {
        ClvKmsUser *user = loader->keys->users->pdata[i];

        for (guint n = 0; n < user->certificates->len; n++) {
            const char *name = user->certificates->pdata[n];
            const ClvKmsUser *other = g_hash_table_lookup(table, name);

            if (other != NULL)
                clv_kms_complain(
                    loader, user->line,
                    "[user %s]: found the certificate %s of user '%s' again, expected each "
                    "once",
                    user->name, name, other->name);
            g_hash_table_insert(table, (gpointer)name, user);
        }
    }
}

/* Whoever has that of somebody else makes tickets in his name, or opens his. */
static void
check_ticket_keys(const Loader *loader, GHashTable *digests)
{
    for (guint i = 0; i < loader->keys->users->len; i++) {
        const ClvKmsUser *user = loader->keys->users->pdata[i];
        const ClvKmsUser *twin = twin_of(digests, user->ticket_key, user);

        if (twin != NULL)
            clv_kms_complain(
                loader, user->line,
                "[user %s]: found the ticket-key to be a key of user '%s', expected one "
                "for this alone",
                user->name, twin->name);
    }
}

/* Whoever has the key of somebody else could speak for him. */
static void
check_peer_key(const Loader *loader, const ClvKmsPeer *peer, GHashTable *digests)
{
    const ClvKmsUser *twin = twin_of(digests, peer->user->psk, peer->user);

    if (twin != NULL)
        clv_kms_complain(loader, peer->user->line,
                         "[%s]: found the key of user '%s' again, expected one of its own",
                         peer->user->name, twin->name);
}

/* A peer needs all that makes it one: a name, a key, and certificates in each direction used. */
static void
check_peers(const Loader *loader, GHashTable *digests)
{
    ClvKmsKeyFile *keys = loader->keys;

    for (guint i = 0; i < keys->peers->len; i++) {
        const ClvKmsPeer *peer = keys->peers->pdata[i];
        const char *missing = peer->uri == NULL                                     ? "uri"
                              : peer->user->psk == NULL && !peer->user->psk_refused ? "psk"
                              : peer->user->may_request->len == 0                   ? "identities"
                              : peer->urls->len > 0 && peer->ca == NULL             ? "ca"
                              : peer->urls->len > 0 && peer->cert == NULL           ? "client-cert"
                                                                                    : NULL;

        if (missing != NULL) {
            clv_kms_complain(loader, peer->user->line, "[%s]: found no %s=, expected one",
                             peer->user->name, missing);
            peer = NULL;
            continue;
        }
        check_peer_key(loader, peer, digests);
        if (peer->user->certificates->len > 0 && keys->client_ca == NULL)
            clv_kms_complain(
                loader, peer->user->line,
                "[%s]: found certificate= and no client-ca in [kms], expected the file of those "
                "who sign it",
                peer->user->name);
        if (g_strcmp0(peer->uri, keys->canonical_uri) == 0 ||
            g_hash_table_contains(keys->users_by_name, peer->uri) ||
            clv_kms_keyfile_owner(keys, peer->uri) != NULL)
            clv_kms_complain(loader, peer->user->line,
                             "[%s]: found uri %s, which is somebody's already", peer->user->name,
                             peer->uri);
        for (guint k = 0; k < i; k++)
            if (g_strcmp0(((const ClvKmsPeer *)keys->peers->pdata[k])->uri, peer->uri) == 0)
                clv_kms_complain(loader, peer->user->line, "[%s]: found uri %s twice",
                                 peer->user->name, peer->uri);
        for (guint n = 0; n < peer->user->certificates->len; n++)
            if (!g_hash_table_insert(keys->users_by_certificate, peer->user->certificates->pdata[n],
                                     peer->user))
                clv_kms_complain(loader, peer->user->line,
                                 "[%s]: found a certificate of somebody else", peer->user->name);
    }
}

static void
check_http_auth(const Loader *loader)
{
    const ClvKmsKeyFile *keys = loader->keys;

    if ((keys->http_auth == CLV_KMS_HTTP_AUTH_CERTIFICATE ||
         keys->http_auth == CLV_KMS_HTTP_AUTH_EITHER) &&
        keys->client_ca == NULL)
        clv_kms_complain(
            loader, loader->keys->line,
            "[kms]: found http-auth with certificates and no client-ca, expected the file of "
            "those who sign them");
}

/* Messages with certificates (REQUEST_INIT_PK, RESOLVE_INIT_PK): all three files or none. */
static void
load_papers(const Loader *loader)
{
    ClvKmsKeyFile *keys = loader->keys;
    ClvPaperFiles files = {.cert = keys->mikey_cert,
                           .key = keys->mikey_key,
                           .ca = keys->mikey_ca,
                           .crl = keys->mikey_crl};
    guint n = (files.cert != NULL) + (files.key != NULL) + (files.ca != NULL);
    g_autoptr(GError) error = NULL;

    if (n == 0 && files.crl == NULL)
        return;
    if (n != 3) {
        clv_kms_complain(
            loader, loader->keys->line,
            "[kms]: found some of mikey-cert-file, mikey-key-file and mikey-ca-file, expected "
            "all of them");
        return;
    }
    keys->papers = clv_papers_load(&files, &error);
    if (keys->papers == NULL)
        clv_kms_complain(loader, loader->keys->line, "[kms]: %s", error->message);
}

static void
check_rotation(const Loader *loader)
{
    const ClvKmsKeyFile *keys = loader->keys;
    gint64 least_s = 2 * clv_kms_keyfile_longest_s(keys) / (CLV_KMS_MAX_TPKS / 2);

    if (keys->tpk_rotate_s == 0)
        return;
    if (keys->tpk_rotate_s < least_s)
        clv_kms_complain(loader, loader->keys->line,
                         "[kms]: found a tpk-rotate of %" G_GINT64_FORMAT
                         "s, expected at least %" G_GINT64_FORMAT
                         "s, or too many keys have to be kept for the longest max-lifetime",
                         keys->tpk_rotate_s, least_s);
    if (keys->tpks->len > 0)
        clv_kms_complain(loader, loader->keys->line,
                         "[kms]: found tpk-file and tpk-rotate, expected one of them");
    if (keys->state_dir == NULL)
        clv_kms_complain(loader, loader->keys->line,
                         "[kms]: found tpk-rotate without state-dir, expected a folder where "
                         "the keys are kept");
}

void
clv_kms_keys_check_whole(const Loader *loader)
{
    g_autoptr(GHashTable) digests =
        g_hash_table_new_full(g_bytes_hash, g_bytes_equal, (GDestroyNotify)g_bytes_unref, NULL);

    if (loader->keys->uri == NULL)
        clv_kms_complain(loader, loader->keys->line,
                         "found no uri= in [kms], expected the name of this KMS, such as "
                         "sip:kms@example.org");
    index_users(loader, digests);
    index_systems(loader);
    check_rules(loader);
    check_rotation(loader);
    index_groups(loader);
    index_certificates(loader);
    check_ticket_keys(loader, digests);
    check_peers(loader, digests);
    check_http_auth(loader);
    load_papers(loader);
}
