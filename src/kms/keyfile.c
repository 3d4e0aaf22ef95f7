/* SPDX-License-Identifier: Apache-2.0 */
/* kms/keyfile.c - the key file: text to users, services and rules, every mistake with its line
 *
 * Sections here; keyset.c has the keys, and keycheck.c looks at the whole when all has been read.
 */
#include "config.h"

#include "kms/keyload.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/crypto.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/identity.h"
#include "base/option.h"

#define DEFAULT_SKEW_S 300
#define DEFAULT_LIFETIME_S (24 * 3600)
#define DEFAULT_RESPONDERS 500
#define DEFAULT_REPLAY_ENTRIES 1000000

/* ---- birth and death ---- */

static void
scope_clear(gpointer data)
{
    g_free(((ClvKmsScope *)data)->pattern);
}

static ClvKmsUser *
user_new(const char *name, guint line)
{
    ClvKmsUser *user = g_new0(ClvKmsUser, 1);

    user->name = g_strdup(name);
    user->line = line;
    user->identities = g_ptr_array_new_with_free_func(g_free);
    user->may_request = g_array_new(FALSE, TRUE, sizeof(ClvKmsScope));
    g_array_set_clear_func(user->may_request, scope_clear);
    user->certificates = g_ptr_array_new_with_free_func(g_free);
    user->reuse = TRUE;
    return user;
}

static void
user_free(gpointer data)
{
    ClvKmsUser *user = data;

    clv_secret_free(user->psk);
    clv_secret_free(user->ticket_key);
    g_ptr_array_unref(user->identities);
    g_ptr_array_unref(user->certificates);
    g_array_unref(user->may_request);
    g_clear_pointer(&user->purposes, g_ptr_array_unref);
    g_free(user->name);
    g_free(user);
}

static ClvKmsSystem *
system_new(const char *name, guint line)
{
    ClvKmsSystem *system = g_new0(ClvKmsSystem, 1);

    system->name = g_strdup(name);
    system->line = line;
    system->factories = g_ptr_array_new_with_free_func(g_free);
    system->rules = g_ptr_array_new_with_free_func(g_free);
    system->conferences = g_ptr_array_new_with_free_func(g_free);
    system->list_lifetime_s = DEFAULT_LIFETIME_S;
    return system;
}

static void
system_free(gpointer data)
{
    ClvKmsSystem *system = data;

    g_ptr_array_unref(system->factories);
    g_ptr_array_unref(system->rules);
    g_ptr_array_unref(system->conferences);
    g_free(system->user_name);
    g_free(system->host);
    g_free(system->name);
    g_free(system);
}

static ClvKmsGroup *
group_new(const char *name, guint line)
{
    ClvKmsGroup *group = g_new0(ClvKmsGroup, 1);

    group->name = g_strdup(name);
    group->line = line;
    group->members = g_ptr_array_new_with_free_func(g_free);
    return group;
}

static void
group_free(gpointer data)
{
    ClvKmsGroup *group = data;

    g_ptr_array_unref(group->members);
    g_free(group->uri);
    g_free(group->name);
    g_free(group);
}

static ClvKmsPeer *
peer_new(const char *name, guint line)
{
    ClvKmsPeer *peer = g_new0(ClvKmsPeer, 1);
    g_autofree char *user = g_strconcat("peer ", name, NULL);

    peer->user = user_new(user, line);
    peer->urls = g_ptr_array_new_with_free_func(g_free);
    peer->server_names = g_ptr_array_new_with_free_func(g_free);
    peer->timeout_s = 2;
    return peer;
}

static void
peer_free(gpointer data)
{
    ClvKmsPeer *peer = data;

    user_free(peer->user);
    g_ptr_array_unref(peer->urls);
    g_ptr_array_unref(peer->server_names);
    g_free(peer->uri);
    g_free(peer->ca);
    g_free(peer->cert);
    g_free(peer->key);
    g_free(peer);
}

static ClvKmsKeyFile *
keyfile_new(void)
{
    ClvKmsKeyFile *keys = g_new0(ClvKmsKeyFile, 1);

    keys->refs = 1;
    keys->skew_s = DEFAULT_SKEW_S;
    keys->max_lifetime_s = DEFAULT_LIFETIME_S;
    keys->max_responders = DEFAULT_RESPONDERS;
    keys->replay_entries = DEFAULT_REPLAY_ENTRIES;
    keys->tpks = g_ptr_array_new_with_free_func((GDestroyNotify)clv_secret_free);
    keys->users = g_ptr_array_new_with_free_func(user_free);
    keys->systems = g_ptr_array_new_with_free_func(system_free);
    keys->groups = g_ptr_array_new_with_free_func(group_free);
    keys->groups_by_uri = g_hash_table_new(g_str_hash, g_str_equal);
    keys->peers = g_ptr_array_new_with_free_func(peer_free);
    keys->users_by_name = g_hash_table_new(g_str_hash, g_str_equal);
    keys->users_by_identity = g_hash_table_new(g_str_hash, g_str_equal);
    keys->users_by_certificate = g_hash_table_new(g_str_hash, g_str_equal);
    keys->systems_by_factory = g_hash_table_new(g_str_hash, g_str_equal);
    return keys;
}

ClvKmsKeyFile *
clv_kms_keyfile_ref(ClvKmsKeyFile *keys)
{
    g_atomic_int_inc(&keys->refs);
    return keys;
}

void
clv_kms_keyfile_free(ClvKmsKeyFile *keys)
{
    if (keys == NULL || !g_atomic_int_dec_and_test(&keys->refs))
        return;
    g_hash_table_unref(keys->users_by_name);
    g_hash_table_unref(keys->users_by_identity);
    g_hash_table_unref(keys->users_by_certificate);
    g_hash_table_unref(keys->systems_by_factory);
    g_ptr_array_unref(keys->users);
    g_ptr_array_unref(keys->systems);
    g_hash_table_unref(keys->groups_by_uri);
    g_ptr_array_unref(keys->groups);
    g_ptr_array_unref(keys->peers);
    g_ptr_array_unref(keys->tpks);
    g_free(keys->uri);
    g_free(keys->canonical_uri);
    g_free(keys->state_dir);
    g_free(keys->audit_file);
    g_free(keys->http_host);
    g_free(keys->client_ca);
    g_free(keys->mikey_cert);
    g_free(keys->mikey_key);
    g_free(keys->mikey_ca);
    g_free(keys->mikey_crl);
    clv_papers_free(keys->papers);
    g_free(keys);
}

/* ---- groups ---- */

gboolean
clv_kms_name_check(const char *name, GError **error)
{
    gsize len = strlen(name);

    for (gsize i = 0; i < len; i++)
        if (!g_ascii_isgraph(name[i]) || strchr("[];#\"\\", name[i]) != NULL)
            len = 0;
    if (len > 0 && len < CLV_KMS_MAX_NAME)
        return TRUE;
    g_set_error(error, CLV_KMS_ERROR, CLV_CODE_INTERNAL,
                "found the name '%s', expected 1 to %u letters, digits and signs other than "
                "[ ] ; # \" \\ and space",
                name, CLV_KMS_MAX_NAME - 1);
    return FALSE;
}

static gboolean
is_kind(const char *group)
{
    return g_str_has_prefix(group, "user ") || g_str_has_prefix(group, "service ") ||
           g_str_has_prefix(group, "group ") || g_str_has_prefix(group, "peer ");
}

static gpointer
add_to(GPtrArray *list, gpointer target)
{
    g_ptr_array_add(list, target);
    return target;
}

static gpointer
add_target(ClvKmsKeyFile *keys, const char *group, const char *name, guint line)
{
    if (g_str_has_prefix(group, "user "))
        return add_to(keys->users, user_new(name, line));
    if (g_str_has_prefix(group, "service "))
        return add_to(keys->systems, system_new(name, line));
    if (g_str_has_prefix(group, "peer "))
        return add_to(keys->peers, peer_new(name, line));
    return add_to(keys->groups, group_new(name, line));
}

/* Returns: (transfer none) (nullable): what the keys of the group are set in */
static gpointer
open_group(const Loader *loader, const char *group, guint line)
{
    const char *name = group[clv_kms_keys_kind_len(group)] == ' '
                           ? group + clv_kms_keys_kind_len(group) + 1
                           : NULL;
    GError *error = NULL;

    if (strcmp(group, "kms") == 0)
        return loader->keys;
    if (name == NULL || !is_kind(group)) {
        clv_kms_complain(
            loader, line,
            "found [%s], expected [kms], [user NAME], [service NAME], [group NAME] or [peer NAME]",
            group);
        return NULL;
    }
    if (!clv_kms_name_check(name, &error)) {
        clv_kms_complain(loader, line, "%s", error->message);
        g_error_free(error);
        return NULL;
    }
    return add_target(loader->keys, group, name, line);
}

static void
read_groups(const Loader *loader, const ClvIni *ini)
{
    for (guint i = 0; i < clv_ini_n_groups(ini); i++) {
        guint line = 0;
        const char *group = clv_ini_group(ini, i, &line);

        if (strcmp(group, "kms") == 0)
            loader->keys->line = line;
        g_hash_table_insert(loader->targets, g_strdup(group), open_group(loader, group, line));
    }
}

/* A group or key that stands there twice: elsewhere a matter of taste, here somebody's rights. */
static void
refuse_repetitions(const Loader *loader, const ClvIni *ini)
{
    for (guint i = 0; i < clv_ini_n_warnings(ini); i++) {
        const char *warning = clv_ini_warning(ini, i);
        const char *mild = strrchr(warning, ';'); /* "; both are taken together": not here */

        g_ptr_array_add(loader->errors,
                        g_strdup_printf("%.*s, expected it once",
                                        mild != NULL ? (int)(mild - warning) : (int)strlen(warning),
                                        warning));
    }
}

static void
read_entries(const Loader *loader, const ClvIni *ini)
{
    for (guint i = 0; i < clv_ini_n_entries(ini); i++) {
        const ClvIniEntry *entry = clv_ini_entry(ini, i);
        gpointer target = g_hash_table_lookup(loader->targets, entry->group);

        if (target != NULL)
            clv_kms_keys_apply_entry(loader, target, entry);
    }
}

/* ---- the doors ---- */

ClvKmsKeyFile *
clv_kms_keyfile_parse_in(const char *name, const char *folder, const char *text, gsize len,
                         GPtrArray *errors)
{
    g_autoptr(GHashTable) targets = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    g_autoptr(ClvKmsKeyFile) keys = NULL;
    g_autoptr(ClvIni) ini = NULL;
    guint n_before = errors->len;

    ini = clv_ini_parse(name, text, len, errors);
    if (ini == NULL)
        return NULL;

    keys = keyfile_new();
    Loader loader = {name, folder, errors, keys, targets};
    refuse_repetitions(&loader, ini);
    read_groups(&loader, ini);
    read_entries(&loader, ini);
    clv_kms_keys_check_whole(&loader);
    return errors->len == n_before ? g_steal_pointer(&keys) : NULL;
}

gboolean
clv_kms_keyfile_serves(const ClvKmsKeyFile *keys, const char *user, const char *factory)
{
    const ClvKmsSystem *system = g_hash_table_lookup(keys->systems_by_factory, factory);

    return system != NULL && (user == NULL || strcmp(system->user->name, user) == 0);
}

ClvKmsKeyFile *
clv_kms_keyfile_parse(const char *name, const char *text, gsize len, GPtrArray *errors)
{
    g_return_val_if_fail(name != NULL && text != NULL && errors != NULL, NULL);
    return clv_kms_keyfile_parse_in(name, NULL, text, len, errors);
}

static gboolean
check_file(int fd, const char *path, gsize *out_len, GError **error)
{
    struct stat info;

    if (!clv_secret_check_mode(fd, path, error))
        return FALSE;
    if (fstat(fd, &info) != 0 || info.st_size > CLV_KMS_KEYFILE_MAX_BYTES) {
        g_set_error(error, CLV_KMS_ERROR, CLV_CODE_INTERNAL,
                    "%s: found %" G_GINT64_FORMAT " octets, expected at most %u", path,
                    (gint64)info.st_size, CLV_KMS_KEYFILE_MAX_BYTES);
        return FALSE;
    }
    *out_len = (gsize)info.st_size;
    return TRUE;
}

/* Returns: (transfer full) (nullable): text with a zero behind it; cleanse it */
static char *
read_open_file(int fd, const char *path, gsize *out_len, GError **error)
{
    gsize room = 0;
    gsize len = 0;
    ssize_t n = 0;
    char *text;

    if (!check_file(fd, path, &room, error))
        return NULL;
    text = g_malloc0(room + 1);
    while (len < room && (n = read(fd, text + len, room - len)) != 0) {
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            break;
        len += (gsize)n;
    }
    if (n < 0) {
        g_set_error(error, CLV_KMS_ERROR, CLV_CODE_INTERNAL, "%s: %s", path, g_strerror(errno));
        OPENSSL_cleanse(text, room);
        g_clear_pointer(&text, g_free);
    }
    *out_len = len;
    return text;
}

static char *
read_file(const char *path, gsize *out_len, GError **error)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    char *text;

    if (fd < 0) {
        g_set_error(error, CLV_KMS_ERROR, CLV_CODE_INTERNAL, "%s: %s", path, g_strerror(errno));
        return NULL;
    }
    text = read_open_file(fd, path, out_len, error);
    close(fd);
    return text;
}

ClvKmsKeyFile *
clv_kms_keyfile_load(const char *path, GPtrArray *errors)
{
    g_autofree char *folder = NULL;
    g_autoptr(GError) error = NULL;
    ClvKmsKeyFile *keys;
    gsize len = 0;
    char *text;

    g_return_val_if_fail(path != NULL && errors != NULL, NULL);
    text = read_file(path, &len, &error);
    if (text == NULL) {
        g_ptr_array_add(errors, g_strdup(error->message));
        return NULL;
    }
    folder = g_path_get_dirname(path);
    keys = clv_kms_keyfile_parse_in(path, folder, text, len, errors);
    OPENSSL_cleanse(text, len);
    g_free(text);
    return keys;
}

const guint8 *
clv_kms_keyfile_psk(const ClvKmsKeyFile *keys, const char *user, gsize *out_len)
{
    const ClvKmsUser *found = g_hash_table_lookup(keys->users_by_name, user);

    return found == NULL ? NULL : clv_secret_bytes(found->psk, out_len);
}

guint
clv_kms_keyfile_n_users(const ClvKmsKeyFile *keys)
{
    return keys->users->len;
}

guint
clv_kms_keyfile_n_services(const ClvKmsKeyFile *keys)
{
    return keys->systems->len;
}

const char *
clv_kms_keyfile_uri(const ClvKmsKeyFile *keys)
{
    return keys->uri;
}
