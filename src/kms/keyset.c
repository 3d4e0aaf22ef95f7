/* SPDX-License-Identifier: Apache-2.0 */
/* kms/keyset.c - which keys are there in a key file, and what does each set?
 *
 * One table; each key has a small setter.
 */
#include "config.h"

#include "kms/keyload.h"

#include <string.h>

#include "base/identity.h"

/* ---- loading: what the setters share ---- */

void
clv_kms_complain(const Loader *loader, guint line, const char *format, ...)
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
    clv_kms_complain(loader, entry->line, "%s: %s", entry->key, error->message);
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
        clv_kms_complain(loader, entry->line,
                         "%s: found '%s', expected a SIP, SIPS or global tel URI such as "
                         "sip:alice@example.org",
                         entry->key, words[i]);
        g_free(canonical);
    }
    if (words[0] == NULL)
        clv_kms_complain(loader, entry->line, "%s: found nothing, expected at least one URI",
                         entry->key);
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
        clv_kms_complain(loader, entry->line,
                         "%s: found '%s', expected a time from %" G_GINT64_FORMAT
                         "s to %" G_GINT64_FORMAT "s",
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
judge_key(const ClvSecret *secret)
{
    gsize len = 0;
    const guint8 *bytes = clv_secret_bytes(secret, &len);

    if (len < CLV_KMS_MIN_PSK || len > CLV_KMS_MAX_PSK)
        return "found a key of the wrong length, expected 16 to 64 octets";
    if (!looks_random(bytes, len))
        return "found a key that is one octet again and again, expected a random one";
    return NULL;
}

/* Returns: (transfer full) (nullable): key in a file beside the key file */
static ClvSecret *
read_key_file(const Loader *loader, const ClvIniEntry *entry, const char *name)
{
    g_autofree char *path = NULL;
    GError *error = NULL;
    ClvSecret *secret;

    if (loader->folder == NULL) {
        clv_kms_complain(loader, entry->line, "%s: found a file name, expected none here",
                         entry->key);
        return NULL;
    }
    path = g_path_is_absolute(name) ? g_strdup(name) : g_build_filename(loader->folder, name, NULL);
    secret = clv_secret_read_file(path, &error);
    if (secret == NULL)
        complain_error(loader, entry, error);
    return secret;
}

/* Of psk and psk-file, ticket-key and ticket-key-file. Returns: FALSE when there is no good one */
static gboolean
set_key(const Loader *loader, const ClvIniEntry *entry, ClvSecret **key)
{
    GError *error = NULL;
    g_autoptr(ClvSecret) secret = g_str_has_suffix(entry->key, "-file")
                                      ? read_key_file(loader, entry, entry->value)
                                      : clv_secret_parse(entry->value, &error);
    const char *wrong = secret != NULL ? judge_key(secret) : NULL;

    if (error != NULL)
        complain_error(loader, entry, error);
    if (secret != NULL && wrong == NULL && *key != NULL)
        wrong = "found a second key, expected one, here or in a file";
    if (wrong != NULL)
        clv_kms_complain(loader, entry->line, "%s: %s", entry->key, wrong);
    if (secret == NULL || wrong != NULL)
        return FALSE;
    *key = g_steal_pointer(&secret);
    return TRUE;
}

static void
set_psk(const Loader *loader, gpointer target, const ClvIniEntry *entry)
{
    ClvKmsUser *user = target;

    user->psk_refused = !set_key(loader, entry, &user->psk);
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
            clv_kms_complain(loader, entry->line,
                             "%s: '%s': found %" G_GSIZE_FORMAT " octets, expected a key of %u",
                             entry->key, names[i], len, CLV_KMS_TPK_LEN);
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
        clv_kms_complain(loader, entry->line,
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
set_modes(const Loader *loader, gpointer target, const ClvIniEntry *entry)
{
    g_auto(GStrv) words = split_list(entry->value);

    for (guint i = 0; words[i] != NULL; i++) {
        if (strlen(words[i]) != 1 || words[i][0] < '1' || words[i][0] > '3')
            clv_kms_complain(loader, entry->line, "%s: found '%s', expected 1, 2 or 3", entry->key,
                             words[i]);
        else
            ((ClvKmsKeyFile *)target)->modes |= 1u << (words[i][0] - '0');
    }
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
        clv_kms_complain(loader, entry->line, "%s: found a file name, expected none here",
                         entry->key);
        return NULL;
    }
    if (entry->value[0] == '\0') {
        clv_kms_complain(loader, entry->line, "%s: found nothing, expected a path", entry->key);
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
    clv_kms_complain(loader, entry->line,
                     "%s: found '%s', expected none, digest, certificate or either", entry->key,
                     entry->value);
}

static void
set_http_host(const Loader *loader, gpointer target, const ClvIniEntry *entry)
{
    ClvKmsKeyFile *keys = target;

    if (entry->value[0] == '\0' || strpbrk(entry->value, "\"\\ \t@") != NULL)
        clv_kms_complain(loader, entry->line,
                         "%s: found '%s', expected a host such as kms.example.org", entry->key,
                         entry->value);
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
read_scope(const char *word, ClvKmsScope *out)
{
    ClvKmsScope scope = {CLV_KMS_SCOPE_PATTERN, word[0] == '!', NULL};

    word += scope.exclude;
    for (guint i = 0; i < G_N_ELEMENTS(scope_words); i++)
        if (strcmp(word, scope_words[i]) == 0)
            scope.kind = (ClvKmsScopeKind)i;
    if (scope.kind == CLV_KMS_SCOPE_PATTERN) {
        scope.pattern = clv_identity_pattern_canonical(word, NULL);
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

        if (read_scope(words[i], &scope))
            g_array_append_val(user->may_request, scope);
        else
            clv_kms_complain(
                loader, entry->line,
                "%s: found '%s', expected any, users, services, groups, nobody or an identity "
                "pattern: sip:user@host, tel:+digits, *@domain, *@*.domain or tel:+prefix*",
                entry->key, words[i]);
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
        clv_kms_complain(loader, entry->line,
                         "%s: found nothing, expected any, or purposes such as conclave:join",
                         entry->key);
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
set_ticket_key(const Loader *loader, gpointer target, const ClvIniEntry *entry)
{
    set_key(loader, entry, &((ClvKmsUser *)target)->ticket_key);
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
            clv_kms_complain(
                loader, entry->line,
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
        clv_kms_complain(loader, entry->line,
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
            clv_kms_complain(loader, entry->line,
                             "%s: found '%s', expected a rule such as *.conf1@example.org",
                             entry->key, words[i]);
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
        clv_kms_complain(
            loader, entry->line,
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
        clv_kms_complain(loader, entry->line,
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
        clv_kms_complain(loader, entry->line,
                         "%s: found '%s', expected a URI such as sip:kms@example.net", entry->key,
                         entry->value);
}

static void
set_peer_urls(const Loader *loader, gpointer target, const ClvIniEntry *entry)
{
    g_auto(GStrv) words = split_list(entry->value);

    for (guint i = 0; words[i] != NULL; i++) {
        if (!g_str_has_prefix(words[i], "https://"))
            clv_kms_complain(loader, entry->line, "%s: found '%s', expected https://HOST/PATH",
                             entry->key, words[i]);
        add_unique(((ClvKmsPeer *)target)->urls, g_strdup(words[i]));
    }
}

static void
set_peer_psk(const Loader *loader, gpointer target, const ClvIniEntry *entry)
{
    set_psk(loader, ((ClvKmsPeer *)target)->user, entry);
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
    {"kms", "modes", set_modes},
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
    {"user", "psk-file", set_psk},
    {"user", "ticket-key", set_ticket_key},
    {"user", "ticket-key-file", set_ticket_key},
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
    {"peer", "psk-file", set_peer_psk},
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

gsize
clv_kms_keys_kind_len(const char *group)
{
    return strcspn(group, " ");
}

/* A piece of a broken psk= line must not come to light as a key that nobody knows. */
static gboolean
fit_to_show(const char *key)
{
    return strlen(key) <= 20 && strspn(key, "abcdefghijklmnopqrstuvwxyz-") == strlen(key);
}

void
clv_kms_keys_apply_entry(const Loader *loader, gpointer target, const ClvIniEntry *entry)
{
    g_autofree char *kind = g_strndup(entry->group, clv_kms_keys_kind_len(entry->group));
    g_autofree char *known = NULL;

    for (guint i = 0; i < G_N_ELEMENTS(key_table); i++) {
        const struct Key *key = &key_table[i];

        if (strcmp(key->kind, kind) == 0 && strcmp(key->name, entry->key) == 0) {
            key->set(loader, target, entry);
            return;
        }
    }
    known = known_keys(kind);
    clv_kms_complain(loader, entry->line, "found %s%s%s in [%s], expected one of: %s",
                     fit_to_show(entry->key) ? "'" : "",
                     fit_to_show(entry->key) ? entry->key : "a key",
                     fit_to_show(entry->key) ? "'" : "", entry->group, known);
}
