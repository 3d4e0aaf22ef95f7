/* SPDX-License-Identifier: Apache-2.0 */
/* kms/keyfile.c - the key file: text to users, services and rules, every mistake with its line
 *
 * One table says which keys there are; each has a small setter. What concerns more than one line
 * (names that do not exist, identities claimed twice) is checked when everything has been read.
 */
#include "config.h"

#include "kms/keyfile.h"

#include <errno.h>
#include <fcntl.h>
#include <libmikey/mikey.h>
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

/* ---- loading: what the setters share ---- */

typedef struct Loader {
    const char *name;   /* of the file, for messages */
    const char *folder; /* (nullable) where other files are looked for; NULL: there are none */
    GPtrArray *errors;
    ClvKmsKeyFile *keys;
    GHashTable *targets; /* group -> what it makes */
} Loader;

static void complain(const Loader *loader, guint line, const char *format, ...) G_GNUC_PRINTF(3, 4);

static void
complain(const Loader *loader, guint line, const char *format, ...)
{
    g_autofree char *sentence = NULL;
    va_list args;

    va_start(args, format);
    sentence = g_strdup_vprintf(format, args);
    va_end(args);
    g_ptr_array_add(loader->errors, line > 0
                                        ? g_strdup_printf("%s:%u: %s", loader->name, line, sentence)
                                        : g_strdup_printf("%s: %s", loader->name, sentence));
}

static void
complain_error(const Loader *loader, const ClvIniEntry *entry, GError *error)
{
    complain(loader, entry->line, "%s: %s", entry->key, error->message);
    g_error_free(error);
}

/* Returns: (transfer full): the words between the ';', stripped, empty ones left out */
static char **
split_list(const char *value)
{
    g_auto(GStrv) words = g_strsplit(value, ";", -1);
    GStrvBuilder *builder = g_strv_builder_new();
    char **list;

    for (guint i = 0; words[i] != NULL; i++)
        if (*g_strstrip(words[i]) != '\0')
            g_strv_builder_add(builder, words[i]);
    list = g_strv_builder_end(builder);
    g_strv_builder_unref(builder);
    return list;
}

static void
add_unique(GPtrArray *list, char *text)
{
    if (g_ptr_array_find_with_equal_func(list, text, g_str_equal, NULL))
        g_free(text);
    else
        g_ptr_array_add(list, text);
}

static void
set_uris(const Loader *loader, const ClvIniEntry *entry, GPtrArray *list)
{
    g_auto(GStrv) words = split_list(entry->value);

    for (guint i = 0; words[i] != NULL; i++) {
        char *canonical = clv_identity_canonical(words[i], -1);

        if (canonical != NULL && !clv_kms_is_wildcard(canonical)) {
            add_unique(list, canonical);
            continue;
        }
        complain(loader, entry->line,
                 "%s: found '%s', expected a SIP, SIPS or global tel URI such as "
                 "sip:alice@example.org",
                 entry->key, words[i]);
        g_free(canonical);
    }
    if (words[0] == NULL)
        complain(loader, entry->line, "%s: found nothing, expected at least one URI", entry->key);
}

static void
set_int(const Loader *loader, const ClvIniEntry *entry, gint64 min, gint64 max, gint64 *out)
{
    GError *error = NULL;

    if (!clv_parse_int(entry->value, min, max, out, &error))
        complain_error(loader, entry, error);
}

static void
set_bool(const Loader *loader, const ClvIniEntry *entry, gboolean *out)
{
    GError *error = NULL;

    if (!clv_parse_bool(entry->value, out, &error))
        complain_error(loader, entry, error);
}

static void
set_seconds(const Loader *loader, const ClvIniEntry *entry, gint64 min_s, gint64 max_s,
            gint64 *out_s)
{
    GError *error = NULL;
    gint64 ms = 0;

    if (!clv_parse_time_ms(entry->value, &ms, &error))
        complain_error(loader, entry, error);
    else if (ms < 1000 * min_s || ms > 1000 * max_s)
        complain(loader, entry->line,
                 "%s: found '%s', expected a time from %" G_GINT64_FORMAT "s to %" G_GINT64_FORMAT
                 "s",
                 entry->key, entry->value, min_s, max_s);
    else
        *out_s = ms / 1000;
}

/* ---- keys ---- */

static gboolean
looks_random(const guint8 *bytes, gsize len)
{
    for (gsize i = 1; i < len; i++)
        if (bytes[i] != bytes[0])
            return TRUE;
    return FALSE;
}

/* Tells what is wrong without showing any of it. Returns: (nullable): NULL when all is well */
static const char *
judge_psk(const guint8 *bytes, gsize len)
{
    if (len < CLV_KMS_MIN_PSK || len > CLV_KMS_MAX_PSK)
        return "found a key of the wrong length, expected 16 to 64 octets";
    if (!looks_random(bytes, len))
        return "found a key that is one octet again and again, expected a random one";
    return NULL;
}

static void
take_psk(const Loader *loader, const ClvIniEntry *entry, ClvKmsUser *user, const guint8 *bytes,
         gsize len)
{
    const char *wrong = judge_psk(bytes, len);

    if (wrong != NULL)
        complain(loader, entry->line, "%s: %s", entry->key, wrong);
    else if (user->psk != NULL)
        complain(loader, entry->line,
                 "%s: found a second key, expected psk= or psk-file=", entry->key);
    else
        user->psk = clv_secret_new(bytes, len);
}

static void
take_secret(const Loader *loader, const ClvIniEntry *entry, ClvKmsUser *user,
            const ClvSecret *secret)
{
    gsize len = 0;
    const guint8 *bytes = clv_secret_bytes(secret, &len);

    take_psk(loader, entry, user, bytes, len);
}

static void
set_psk(const Loader *loader, gpointer target, const ClvIniEntry *entry)
{
    GError *error = NULL;
    g_autoptr(ClvSecret) secret = clv_secret_parse(entry->value, &error);

    if (secret == NULL)
        complain_error(loader, entry, error);
    else
        take_secret(loader, entry, target, secret);
}

/* Returns: (transfer full) (nullable): key in a file beside the key file */
static ClvSecret *
read_key_file(const Loader *loader, const ClvIniEntry *entry, const char *name)
{
    g_autofree char *path = NULL;
    GError *error = NULL;
    ClvSecret *secret;

    if (loader->folder == NULL) {
        complain(loader, entry->line, "%s: found a file name, expected none here", entry->key);
        return NULL;
    }
    path = g_path_is_absolute(name) ? g_strdup(name) : g_build_filename(loader->folder, name, NULL);
    secret = clv_secret_read_file(path, &error);
    if (secret == NULL)
        complain_error(loader, entry, error);
    return secret;
}

static void
set_psk_file(const Loader *loader, gpointer target, const ClvIniEntry *entry)
{
    g_autoptr(ClvSecret) secret = read_key_file(loader, entry, entry->value);

    if (secret != NULL)
        take_secret(loader, entry, target, secret);
}

static void
set_tpk_files(const Loader *loader, gpointer target, const ClvIniEntry *entry)
{
    ClvKmsKeyFile *keys = target;
    g_auto(GStrv) names = split_list(entry->value);

    for (guint i = 0; names[i] != NULL; i++) {
        ClvSecret *secret = read_key_file(loader, entry, names[i]);
        gsize len = 0;

        if (secret == NULL)
            continue;
        clv_secret_bytes(secret, &len);
        if (len != CLV_KMS_TPK_LEN)
            complain(loader, entry->line,
                     "%s: '%s': found %" G_GSIZE_FORMAT " octets, expected a key of %u", entry->key,
                     names[i], len, CLV_KMS_TPK_LEN);
        g_ptr_array_add(keys->tpks, secret);
    }
}

/* ---- [kms] ---- */

static void
set_uri(const Loader *loader, gpointer target, const ClvIniEntry *entry)
{
    ClvKmsKeyFile *keys = target;

    g_free(keys->canonical_uri);
    g_free(keys->uri);
    keys->canonical_uri = clv_identity_canonical(entry->value, -1);
    keys->uri = g_strdup(entry->value);
    if (keys->canonical_uri == NULL)
        complain(loader, entry->line,
                 "%s: found '%s', expected a SIP URI such as "
                 "sip:kms@example.org",
                 entry->key, entry->value);
}

static void
set_skew(const Loader *loader, gpointer target, const ClvIniEntry *entry)
{
    set_seconds(loader, entry, 1, 3600, &((ClvKmsKeyFile *)target)->skew_s);
}

static void
set_default_lifetime(const Loader *loader, gpointer target, const ClvIniEntry *entry)
{
    set_seconds(loader, entry, 10, 30 * 86400, &((ClvKmsKeyFile *)target)->max_lifetime_s);
}

static void
set_max_responders(const Loader *loader, gpointer target, const ClvIniEntry *entry)
{
    set_int(loader, entry, 1, 900, &((ClvKmsKeyFile *)target)->max_responders);
}

static void
set_replay_entries(const Loader *loader, gpointer target, const ClvIniEntry *entry)
{
    set_int(loader, entry, 16, 100000000, &((ClvKmsKeyFile *)target)->replay_entries);
}

static void
set_allow_128(const Loader *loader, gpointer target, const ClvIniEntry *entry)
{
    set_bool(loader, entry, &((ClvKmsKeyFile *)target)->allow_128);
}

/* Returns: (transfer full) (nullable): a path, relative ones to the folder of the key file */
static char *
read_path(const Loader *loader, const ClvIniEntry *entry)
{
    if (loader->folder == NULL) {
        complain(loader, entry->line, "%s: found a file name, expected none here", entry->key);
        return NULL;
    }
    if (entry->value[0] == '\0') {
        complain(loader, entry->line, "%s: found nothing, expected a path", entry->key);
        return NULL;
    }
    return g_path_is_absolute(entry->value) ? g_strdup(entry->value)
                                            : g_build_filename(loader->folder, entry->value, NULL);
}

static void
set_state_dir(const Loader *loader, gpointer target, const ClvIniEntry *entry)
{
    ClvKmsKeyFile *keys = target;

    g_free(keys->state_dir);
    g_free(keys->audit_file);
    keys->state_dir = read_path(loader, entry);
}

static void
set_audit_file(const Loader *loader, gpointer target, const ClvIniEntry *entry)
{
    ClvKmsKeyFile *keys = target;

    g_free(keys->audit_file);
    keys->audit_file = read_path(loader, entry);
}

static void
set_http_auth(const Loader *loader, gpointer target, const ClvIniEntry *entry)
{
    static const char *const words[] = {
        [CLV_KMS_HTTP_AUTH_NONE] = "none",
        [CLV_KMS_HTTP_AUTH_DIGEST] = "digest",
        [CLV_KMS_HTTP_AUTH_CERTIFICATE] = "certificate",
        [CLV_KMS_HTTP_AUTH_EITHER] = "either",
    };

    for (guint i = 0; i < G_N_ELEMENTS(words); i++) {
        if (strcmp(entry->value, words[i]) == 0) {
            ((ClvKmsKeyFile *)target)->http_auth = (ClvKmsHttpAuth)i;
            return;
        }
    }
    complain(loader, entry->line, "%s: found '%s', expected none, digest, certificate or either",
             entry->key, entry->value);
}

static void
set_http_host(const Loader *loader, gpointer target, const ClvIniEntry *entry)
{
    ClvKmsKeyFile *keys = target;

    if (entry->value[0] == '\0' || strpbrk(entry->value, "\"\\ \t@") != NULL)
        complain(loader, entry->line, "%s: found '%s', expected a host such as kms.example.org",
                 entry->key, entry->value);
    g_free(keys->http_host);
    keys->http_host = g_strdup(entry->value);
}

static void
set_client_ca(const Loader *loader, gpointer target, const ClvIniEntry *entry)
{
    ClvKmsKeyFile *keys = target;

    g_free(keys->client_ca);
    keys->client_ca = read_path(loader, entry);
}

static void
set_mikey_file(const Loader *loader, gpointer target, const ClvIniEntry *entry)
{
    ClvKmsKeyFile *keys = target;
    const struct {
        const char *key;
        char **path;
    } files[] = {
        {"mikey-cert-file", &keys->mikey_cert},
        {"mikey-key-file", &keys->mikey_key},
        {"mikey-ca-file", &keys->mikey_ca},
        {"mikey-crl-file", &keys->mikey_crl},
    };

    for (guint i = 0; i < G_N_ELEMENTS(files); i++) {
        if (strcmp(files[i].key, entry->key) != 0)
            continue;
        g_free(*files[i].path);
        *files[i].path = read_path(loader, entry);
    }
}

static void
set_rate(const Loader *loader, gpointer target, const ClvIniEntry *entry)
{
    set_int(loader, entry, 0, 1000000, &((ClvKmsKeyFile *)target)->rate);
}

static void
set_default_user_rate(const Loader *loader, gpointer target, const ClvIniEntry *entry)
{
    set_int(loader, entry, 0, 1000000, &((ClvKmsKeyFile *)target)->user_rate);
}

static void
set_tpk_rotate(const Loader *loader, gpointer target, const ClvIniEntry *entry)
{
    set_seconds(loader, entry, 60, 365 * 86400, &((ClvKmsKeyFile *)target)->tpk_rotate_s);
}

/* ---- [user NAME] ---- */

static void
set_identities(const Loader *loader, gpointer target, const ClvIniEntry *entry)
{
    set_uris(loader, entry, ((ClvKmsUser *)target)->identities);
}

static const char *const scope_words[] = {
    [CLV_KMS_SCOPE_ANY] = "any",       [CLV_KMS_SCOPE_NOBODY] = "nobody",
    [CLV_KMS_SCOPE_USERS] = "users",   [CLV_KMS_SCOPE_SERVICES] = "services",
    [CLV_KMS_SCOPE_GROUPS] = "groups",
};

static gboolean
read_scope(const char *word, ClvKmsScope *out, GError **error)
{
    ClvKmsScope scope = {CLV_KMS_SCOPE_PATTERN, word[0] == '!', NULL};

    word += scope.exclude;
    for (guint i = 0; i < G_N_ELEMENTS(scope_words); i++)
        if (strcmp(word, scope_words[i]) == 0)
            scope.kind = (ClvKmsScopeKind)i;
    if (scope.kind == CLV_KMS_SCOPE_PATTERN) {
        scope.pattern = clv_identity_pattern_canonical(word, error);
        if (scope.pattern == NULL)
            return FALSE;
    }
    *out = scope;
    return TRUE;
}

static void
set_may_request(const Loader *loader, gpointer target, const ClvIniEntry *entry)
{
    ClvKmsUser *user = target;
    g_auto(GStrv) words = split_list(entry->value);

    for (guint i = 0; words[i] != NULL; i++) {
        ClvKmsScope scope;
        GError *error = NULL;

        if (read_scope(words[i], &scope, &error)) {
            g_array_append_val(user->may_request, scope);
            continue;
        }
        complain(
            loader, entry->line,
            "%s: found '%s', expected any, users, services, groups, nobody or an identity pattern "
            "(%s)",
            entry->key, words[i], error->message);
        g_error_free(error);
    }
}

static void
set_purposes(const Loader *loader, gpointer target, const ClvIniEntry *entry)
{
    ClvKmsUser *user = target;
    g_auto(GStrv) words = split_list(entry->value);

    if (strcmp(entry->value, "any") == 0)
        return;
    user->purposes = g_ptr_array_new_with_free_func(g_free);
    for (guint i = 0; words[i] != NULL; i++)
        add_unique(user->purposes, g_strdup(words[i]));
    if (words[0] == NULL)
        complain(loader, entry->line,
                 "%s: found nothing, expected any, or purposes such as conclave:join", entry->key);
}

static void
set_lifetime(const Loader *loader, gpointer target, const ClvIniEntry *entry)
{
    set_seconds(loader, entry, 10, 30 * 86400, &((ClvKmsUser *)target)->max_lifetime_s);
}

static void
set_secure_conference(const Loader *loader, gpointer target, const ClvIniEntry *entry)
{
    set_bool(loader, entry, &((ClvKmsUser *)target)->secure_conference);
}

static void
set_reuse(const Loader *loader, gpointer target, const ClvIniEntry *entry)
{
    set_bool(loader, entry, &((ClvKmsUser *)target)->reuse);
}

static void
set_wildcards(const Loader *loader, gpointer target, const ClvIniEntry *entry)
{
    set_bool(loader, entry, &((ClvKmsUser *)target)->wildcards);
}

static void
set_certificate_names(const Loader *loader, GPtrArray *list, const ClvIniEntry *entry)
{
    g_auto(GStrv) words = split_list(entry->value);

    for (guint i = 0; words[i] != NULL; i++) {
        if (strchr(words[i], ':') == NULL || words[i][strlen(words[i]) - 1] == ':')
            complain(loader, entry->line,
                     "%s: found '%s', expected the URI of a certificate, or cn: and its common "
                     "name",
                     entry->key, words[i]);
        add_unique(list, g_strdup(words[i]));
    }
}

static void
set_certificates(const Loader *loader, gpointer target, const ClvIniEntry *entry)
{
    set_certificate_names(loader, ((ClvKmsUser *)target)->certificates, entry);
}

static void
set_user_rate(const Loader *loader, gpointer target, const ClvIniEntry *entry)
{
    set_int(loader, entry, 1, 1000000, &((ClvKmsUser *)target)->rate);
}

static void
set_revoked(const Loader *loader, gpointer target, const ClvIniEntry *entry)
{
    set_bool(loader, entry, &((ClvKmsUser *)target)->revoked);
}

static void
set_tickets_since(const Loader *loader, gpointer target, const ClvIniEntry *entry)
{
    g_autoptr(GTimeZone) utc = g_time_zone_new_utc();
    g_autoptr(GDateTime) time = g_date_time_new_from_iso8601(entry->value, utc);

    if (time == NULL)
        complain(loader, entry->line,
                 "%s: found '%s', expected a time such as 2030-01-31T12:00:00Z", entry->key,
                 entry->value);
    else
        ((ClvKmsUser *)target)->tickets_since_s = g_date_time_to_unix(time);
}

/* ---- [service NAME] ---- */

static void
set_service_user(const Loader *loader, gpointer target, const ClvIniEntry *entry)
{
    ClvKmsSystem *system = target;

    g_free(system->user_name);
    system->user_name = g_strdup(entry->value);
}

static void
add_rule(ClvKmsSystem *system, const char *canonical)
{
    add_unique(system->rules, g_strdup(strchr(canonical, '.')));
}

/* Returns: (transfer full) (nullable): "sip:LABEL.service@host" for "*.service@host" */
static char *
rule_example(const char *rule)
{
    g_autofree char *text = NULL;

    if (!g_str_has_prefix(rule, "*.") || strchr(rule, '@') == NULL || strchr(rule, '@') == rule + 2)
        return NULL;
    text = g_strconcat("sip:x", rule + 1, NULL);
    return clv_identity_canonical(text, -1);
}

static void
set_rules(const Loader *loader, gpointer target, const ClvIniEntry *entry)
{
    g_auto(GStrv) words = split_list(entry->value);

    for (guint i = 0; words[i] != NULL; i++) {
        g_autofree char *example = rule_example(words[i]);

        if (example == NULL)
            complain(loader, entry->line,
                     "%s: found '%s', expected a rule such as *.conf1@example.org", entry->key,
                     words[i]);
        else
            add_rule(target, example);
    }
}

/* host= is short for the usual factory and the usual rule */
static void
set_host(const Loader *loader, gpointer target, const ClvIniEntry *entry)
{
    ClvKmsSystem *system = target;
    g_autofree char *factory = g_strdup_printf("sip:factory.%s@%s", system->name, entry->value);
    g_autofree char *rule = g_strdup_printf("*.%s@%s", system->name, entry->value);
    g_autofree char *example = rule_example(rule);
    char *canonical = clv_identity_canonical(factory, -1);

    if (canonical == NULL || example == NULL) {
        complain(loader, entry->line,
                 "%s: found '%s', expected a host such as example.org (and a service name that "
                 "may stand in a SIP URI)",
                 entry->key, entry->value);
        g_free(canonical);
        return;
    }
    g_free(system->host);
    system->host = g_strdup(entry->value);
    add_unique(system->factories, canonical);
    add_rule(system, example);
}

static void
set_factories(const Loader *loader, gpointer target, const ClvIniEntry *entry)
{
    set_uris(loader, entry, ((ClvKmsSystem *)target)->factories);
}

static void
set_conferences(const Loader *loader, gpointer target, const ClvIniEntry *entry)
{
    ClvKmsSystem *system = target;
    g_auto(GStrv) words = split_list(entry->value);
    g_autofree char *uris = NULL;
    ClvIniEntry rest = *entry;

    for (guint i = 0; words[i] != NULL; i++) {
        if (strcmp(words[i], "list") != 0)
            continue;
        system->list = TRUE;
        words[i][0] = '\0'; /* what is left are URIs */
    }
    uris = g_strjoinv(";", words);
    rest.value = uris;
    if (!system->list || strspn(uris, ";") != strlen(uris))
        set_uris(loader, &rest, system->conferences);
}

static void
set_list_lifetime(const Loader *loader, gpointer target, const ClvIniEntry *entry)
{
    set_seconds(loader, entry, 10, 30 * 86400, &((ClvKmsSystem *)target)->list_lifetime_s);
}

/* ---- [group NAME] ---- */

static void
set_group_uri(const Loader *loader, gpointer target, const ClvIniEntry *entry)
{
    ClvKmsGroup *group = target;

    g_free(group->uri);
    group->uri = clv_identity_canonical(entry->value, -1);
    if (group->uri == NULL || clv_kms_is_wildcard(group->uri))
        complain(loader, entry->line,
                 "%s: found '%s', expected a URI such as sip:board@example.org", entry->key,
                 entry->value);
}

static void
set_members(const Loader *loader, gpointer target, const ClvIniEntry *entry)
{
    set_uris(loader, entry, ((ClvKmsGroup *)target)->members);
}

/* ---- [peer NAME] ---- */

static void
set_peer_uri(const Loader *loader, gpointer target, const ClvIniEntry *entry)
{
    ClvKmsPeer *peer = target;

    g_free(peer->uri);
    peer->uri = clv_identity_canonical(entry->value, -1);
    if (peer->uri == NULL)
        complain(loader, entry->line, "%s: found '%s', expected a URI such as sip:kms@example.net",
                 entry->key, entry->value);
}

static void
set_peer_urls(const Loader *loader, gpointer target, const ClvIniEntry *entry)
{
    g_auto(GStrv) words = split_list(entry->value);

    for (guint i = 0; words[i] != NULL; i++) {
        if (!g_str_has_prefix(words[i], "https://"))
            complain(loader, entry->line, "%s: found '%s', expected https://HOST/PATH", entry->key,
                     words[i]);
        add_unique(((ClvKmsPeer *)target)->urls, g_strdup(words[i]));
    }
}

static void
set_peer_psk(const Loader *loader, gpointer target, const ClvIniEntry *entry)
{
    set_psk(loader, ((ClvKmsPeer *)target)->user, entry);
}

static void
set_peer_psk_file(const Loader *loader, gpointer target, const ClvIniEntry *entry)
{
    set_psk_file(loader, ((ClvKmsPeer *)target)->user, entry);
}

static void
set_peer_identities(const Loader *loader, gpointer target, const ClvIniEntry *entry)
{
    set_may_request(loader, ((ClvKmsPeer *)target)->user, entry);
}

static void
set_peer_certificates(const Loader *loader, gpointer target, const ClvIniEntry *entry)
{
    set_certificates(loader, ((ClvKmsPeer *)target)->user, entry);
}

static void
set_peer_rate(const Loader *loader, gpointer target, const ClvIniEntry *entry)
{
    set_user_rate(loader, ((ClvKmsPeer *)target)->user, entry);
}

static void
set_peer_path(const Loader *loader, char **out, const ClvIniEntry *entry)
{
    g_free(*out);
    *out = read_path(loader, entry);
}

static void
set_peer_ca(const Loader *loader, gpointer target, const ClvIniEntry *entry)
{
    set_peer_path(loader, &((ClvKmsPeer *)target)->ca, entry);
}

static void
set_peer_cert(const Loader *loader, gpointer target, const ClvIniEntry *entry)
{
    set_peer_path(loader, &((ClvKmsPeer *)target)->cert, entry);
}

static void
set_peer_key(const Loader *loader, gpointer target, const ClvIniEntry *entry)
{
    set_peer_path(loader, &((ClvKmsPeer *)target)->key, entry);
}

static void
set_peer_server_names(const Loader *loader, gpointer target, const ClvIniEntry *entry)
{
    set_certificate_names(loader, ((ClvKmsPeer *)target)->server_names, entry);
}

static void
set_peer_timeout(const Loader *loader, gpointer target, const ClvIniEntry *entry)
{
    set_seconds(loader, entry, 1, 30, &((ClvKmsPeer *)target)->timeout_s);
}

static void
set_peer_maps(const Loader *loader, gpointer target, const ClvIniEntry *entry)
{
    set_bool(loader, entry, &((ClvKmsPeer *)target)->maps);
}

/* ---- the table of all keys ---- */

static const struct Key {
    const char *kind; /* first word of the group */
    const char *name;
    void (*set)(const Loader *loader, gpointer target, const ClvIniEntry *entry);
} key_table[] = {
    {"kms", "uri", set_uri},
    {"kms", "tpk-file", set_tpk_files},
    {"kms", "skew", set_skew},
    {"kms", "max-lifetime", set_default_lifetime},
    {"kms", "max-responders", set_max_responders},
    {"kms", "replay-entries", set_replay_entries},
    {"kms", "allow-128", set_allow_128},
    {"kms", "state-dir", set_state_dir},
    {"kms", "tpk-rotate", set_tpk_rotate},
    {"kms", "audit-file", set_audit_file},
    {"kms", "http-auth", set_http_auth},
    {"kms", "http-host", set_http_host},
    {"kms", "client-ca", set_client_ca},
    {"kms", "mikey-cert-file", set_mikey_file},
    {"kms", "mikey-key-file", set_mikey_file},
    {"kms", "mikey-ca-file", set_mikey_file},
    {"kms", "mikey-crl-file", set_mikey_file},
    {"kms", "rate", set_rate},
    {"kms", "user-rate", set_default_user_rate},
    {"user", "psk", set_psk},
    {"user", "psk-file", set_psk_file},
    {"user", "identities", set_identities},
    {"user", "may-request", set_may_request},
    {"user", "purposes", set_purposes},
    {"user", "max-lifetime", set_lifetime},
    {"user", "secure-conference", set_secure_conference},
    {"user", "reuse", set_reuse},
    {"user", "wildcards", set_wildcards},
    {"user", "certificate", set_certificates},
    {"user", "rate", set_user_rate},
    {"user", "revoked", set_revoked},
    {"user", "tickets-since", set_tickets_since},
    {"service", "user", set_service_user},
    {"service", "host", set_host},
    {"service", "factory", set_factories},
    {"service", "conference-rule", set_rules},
    {"service", "conferences", set_conferences},
    {"service", "list-lifetime", set_list_lifetime},
    {"peer", "uri", set_peer_uri},
    {"peer", "url", set_peer_urls},
    {"peer", "psk", set_peer_psk},
    {"peer", "psk-file", set_peer_psk_file},
    {"peer", "identities", set_peer_identities},
    {"peer", "certificate", set_peer_certificates},
    {"peer", "rate", set_peer_rate},
    {"peer", "ca", set_peer_ca},
    {"peer", "certificate-name", set_peer_server_names},
    {"peer", "client-cert", set_peer_cert},
    {"peer", "client-key", set_peer_key},
    {"peer", "timeout", set_peer_timeout},
    {"peer", "maps", set_peer_maps},
    {"group", "uri", set_group_uri},
    {"group", "members", set_members},
};

static char *
known_keys(const char *kind)
{
    GString *list = g_string_new(NULL);

    for (guint i = 0; i < G_N_ELEMENTS(key_table); i++)
        if (strcmp(key_table[i].kind, kind) == 0)
            g_string_append_printf(list, "%s%s", list->len > 0 ? ", " : "", key_table[i].name);
    return g_string_free(list, FALSE);
}

static gsize
kind_len(const char *group)
{
    return strcspn(group, " ");
}

/* A piece of a broken psk= line must not come to light as a key that nobody knows. */
static gboolean
fit_to_show(const char *key)
{
    return strlen(key) <= 20 && strspn(key, "abcdefghijklmnopqrstuvwxyz-") == strlen(key);
}

static void
apply_entry(const Loader *loader, gpointer target, const ClvIniEntry *entry)
{
    g_autofree char *kind = g_strndup(entry->group, kind_len(entry->group));
    g_autofree char *known = NULL;

    for (guint i = 0; i < G_N_ELEMENTS(key_table); i++) {
        const struct Key *key = &key_table[i];

        if (strcmp(key->kind, kind) == 0 && strcmp(key->name, entry->key) == 0) {
            key->set(loader, target, entry);
            return;
        }
    }
    known = known_keys(kind);
    complain(loader, entry->line, "found %s%s%s in [%s], expected one of: %s",
             fit_to_show(entry->key) ? "'" : "", fit_to_show(entry->key) ? entry->key : "a key",
             fit_to_show(entry->key) ? "'" : "", entry->group, known);
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
    const char *name = group[kind_len(group)] == ' ' ? group + kind_len(group) + 1 : NULL;
    GError *error = NULL;

    if (strcmp(group, "kms") == 0)
        return loader->keys;
    if (name == NULL || !is_kind(group)) {
        complain(
            loader, line,
            "found [%s], expected [kms], [user NAME], [service NAME], [group NAME] or [peer NAME]",
            group);
        return NULL;
    }
    if (!clv_kms_name_check(name, &error)) {
        complain(loader, line, "%s", error->message);
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

        g_hash_table_insert(loader->targets, g_strdup(group), open_group(loader, group, line));
    }
}

/* A group or key that stands there twice: elsewhere a matter of taste, here somebody's rights. */
static void
refuse_repetitions(const Loader *loader, const ClvIni *ini)
{
    for (guint i = 0; i < clv_ini_n_warnings(ini); i++)
        g_ptr_array_add(loader->errors, g_strdup(clv_ini_warning(ini, i)));
}

static void
read_entries(const Loader *loader, const ClvIni *ini)
{
    for (guint i = 0; i < clv_ini_n_entries(ini); i++) {
        const ClvIniEntry *entry = clv_ini_entry(ini, i);
        gpointer target = g_hash_table_lookup(loader->targets, entry->group);

        if (target != NULL)
            apply_entry(loader, target, entry);
    }
}

/* ---- what concerns more than one line ---- */

static void
check_user(const Loader *loader, ClvKmsUser *user, GHashTable *digests)
{
    guint8 digest[MIKEY_DIGEST_LEN];
    const guint8 *bytes;
    const ClvKmsUser *twin;
    gsize len = 0;

    if (user->psk == NULL) {
        complain(loader, user->line,
                 "[user %s]: found no key, expected psk= or psk-file=", user->name);
        return;
    }
    bytes = clv_secret_bytes(user->psk, &len);
    if (mikey_digest(mikey_bytes(bytes, len), digest) != MIKEY_OK)
        return;
    g_autoptr(GBytes) handle = g_bytes_new(digest, sizeof digest);
    twin = g_hash_table_lookup(digests, handle);
    if (twin != NULL)
        complain(loader, user->line,
                 "[user %s]: found the key of user '%s' again, expected one "
                 "of his own",
                 user->name, twin->name);
    else
        g_hash_table_insert(digests, g_steal_pointer(&handle), user);
}

static void
index_users(const Loader *loader)
{
    ClvKmsKeyFile *keys = loader->keys;
    g_autoptr(GHashTable) digests =
        g_hash_table_new_full(g_bytes_hash, g_bytes_equal, (GDestroyNotify)g_bytes_unref, NULL);

    for (guint i = 0; i < keys->users->len; i++) {
        ClvKmsUser *user = keys->users->pdata[i];

        check_user(loader, user, digests);
        g_hash_table_insert(keys->users_by_name, user->name, user);
        for (guint n = 0; n < user->identities->len; n++) {
            const char *identity = user->identities->pdata[n];
            const ClvKmsUser *other = g_hash_table_lookup(keys->users_by_identity, identity);

            if (other != NULL)
                complain(loader, user->line,
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
            complain(loader, system->line,
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
            complain(loader, system->line,
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
            complain(loader, system->line,
                     "[service %s]: found no user=, expected the user whose "
                     "key the conference system has",
                     system->name);
        else
            system->user = g_hash_table_lookup(keys->users_by_name, system->user_name);
        if (system->user_name != NULL && system->user == NULL)
            complain(loader, system->line,
                     "[service %s]: found user=%s, expected the name of a [user ...] group",
                     system->name, system->user_name);
        if (system->factories->len == 0)
            complain(loader, system->line,
                     "[service %s]: found no factory, expected host= or factory=", system->name);
        if (system->rules->len == 0 && system->conferences->len == 0)
            complain(loader, system->line,
                     "[service %s]: found no conferences, expected host=, conference-rule= or "
                     "conferences=",
                     system->name);
        if (system->list && system->rules->len == 0)
            complain(loader, system->line,
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
                        complain(loader, a->line,
                                 "[service %s]: found a conference rule that service '%s' has "
                                 "too, expected conferences of its own",
                                 a->name, b->name);
        }
    }
    g_hash_table_iter_init(&iter, keys->users_by_identity);
    while (g_hash_table_iter_next(&iter, &identity, &user)) {
        const ClvKmsSystem *system = clv_kms_keyfile_focus(keys, identity);

        if (system != NULL && system->user != user)
            complain(loader, ((const ClvKmsUser *)user)->line,
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
            complain(loader, group->line, "[group %s]: found no %s=, expected one", group->name,
                     group->uri == NULL ? "uri" : "members");
            continue;
        }
        if (clv_kms_keyfile_owner(keys, group->uri) != NULL ||
            clv_kms_keyfile_group(keys, group->uri) != NULL)
            complain(loader, group->line,
                     "[group %s]: found %s, which is somebody's already, expected a URI of its own",
                     group->name, group->uri);
        g_hash_table_insert(keys->groups_by_uri, group->uri, (gpointer)group);
    }
    for (guint i = 0; i < keys->groups->len; i++) {
        const ClvKmsGroup *group = keys->groups->pdata[i];

        for (guint n = 0; n < group->members->len; n++)
            if (clv_kms_keyfile_group(keys, group->members->pdata[n]) != NULL ||
                clv_kms_is_wildcard(group->members->pdata[n]))
                complain(loader, group->line,
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
                complain(loader, user->line,
                         "[user %s]: found the certificate %s of user '%s' again, expected each "
                         "once",
                         user->name, name, other->name);
            g_hash_table_insert(table, (gpointer)name, user);
        }
    }
}

/* A peer needs all that makes it one: a name, a key, and certificates in each direction used. */
static void
check_peers(const Loader *loader)
{
    ClvKmsKeyFile *keys = loader->keys;

    for (guint i = 0; i < keys->peers->len; i++) {
        const ClvKmsPeer *peer = keys->peers->pdata[i];
        const char *missing = peer->uri == NULL                           ? "uri"
                              : peer->user->psk == NULL                   ? "psk"
                              : peer->user->may_request->len == 0         ? "identities"
                              : peer->urls->len > 0 && peer->ca == NULL   ? "ca"
                              : peer->urls->len > 0 && peer->cert == NULL ? "client-cert"
                                                                          : NULL;

        if (missing != NULL) {
            complain(loader, peer->user->line, "[%s]: found no %s=, expected one", peer->user->name,
                     missing);
            peer = NULL;
            continue;
        }
        if (peer->user->certificates->len > 0 && keys->client_ca == NULL)
            complain(
                loader, peer->user->line,
                "[%s]: found certificate= and no client-ca in [kms], expected the file of those "
                "who sign it",
                peer->user->name);
        if (g_strcmp0(peer->uri, keys->canonical_uri) == 0 ||
            g_hash_table_contains(keys->users_by_name, peer->uri) ||
            clv_kms_keyfile_owner(keys, peer->uri) != NULL)
            complain(loader, peer->user->line, "[%s]: found uri %s, which is somebody's already",
                     peer->user->name, peer->uri);
        for (guint k = 0; k < i; k++)
            if (g_strcmp0(((const ClvKmsPeer *)keys->peers->pdata[k])->uri, peer->uri) == 0)
                complain(loader, peer->user->line, "[%s]: found uri %s twice", peer->user->name,
                         peer->uri);
        for (guint n = 0; n < peer->user->certificates->len; n++)
            if (!g_hash_table_insert(keys->users_by_certificate, peer->user->certificates->pdata[n],
                                     peer->user))
                complain(loader, peer->user->line, "[%s]: found a certificate of somebody else",
                         peer->user->name);
    }
}

static void
check_http_auth(const Loader *loader)
{
    const ClvKmsKeyFile *keys = loader->keys;

    if ((keys->http_auth == CLV_KMS_HTTP_AUTH_CERTIFICATE ||
         keys->http_auth == CLV_KMS_HTTP_AUTH_EITHER) &&
        keys->client_ca == NULL)
        complain(loader, 0,
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
        complain(loader, 0,
                 "[kms]: found some of mikey-cert-file, mikey-key-file and mikey-ca-file, expected "
                 "all of them");
        return;
    }
    keys->papers = clv_papers_load(&files, &error);
    if (keys->papers == NULL)
        complain(loader, 0, "[kms]: %s", error->message);
}

static void
check_rotation(const Loader *loader)
{
    const ClvKmsKeyFile *keys = loader->keys;
    gint64 least_s = 2 * clv_kms_keyfile_longest_s(keys) / (CLV_KMS_MAX_TPKS / 2);

    if (keys->tpk_rotate_s == 0)
        return;
    if (keys->tpk_rotate_s < least_s)
        complain(loader, 0,
                 "[kms]: found a tpk-rotate of %" G_GINT64_FORMAT
                 "s, expected at least %" G_GINT64_FORMAT
                 "s, or too many keys have to be kept for the longest max-lifetime",
                 keys->tpk_rotate_s, least_s);
    if (keys->tpks->len > 0)
        complain(loader, 0, "[kms]: found tpk-file and tpk-rotate, expected one of them");
    if (keys->state_dir == NULL)
        complain(loader, 0,
                 "[kms]: found tpk-rotate without state-dir, expected a folder where "
                 "the keys are kept");
}

static void
check_whole(const Loader *loader)
{
    if (loader->keys->uri == NULL)
        complain(loader, 0,
                 "found no uri= in [kms], expected the name of this KMS, such as "
                 "sip:kms@example.org");
    index_users(loader);
    index_systems(loader);
    check_rules(loader);
    check_rotation(loader);
    index_groups(loader);
    index_certificates(loader);
    check_peers(loader);
    check_http_auth(loader);
    load_papers(loader);
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
    check_whole(&loader);
    return errors->len == n_before ? g_steal_pointer(&keys) : NULL;
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

const char *
clv_kms_keyfile_state_dir(const ClvKmsKeyFile *keys)
{
    return keys->state_dir;
}
