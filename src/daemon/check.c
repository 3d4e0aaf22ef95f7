/* SPDX-License-Identifier: Apache-2.0 */
/* daemon/check.c - would the server start with this configuration and the files that it names? */
#include <errno.h>
#include <grp.h>
#include <unistd.h>

#include "base/identity.h"
#include "base/option.h"
#include "base/secret.h"
#include "daemon/check.h"
#include "daemon/papers.h"
#include "kms/kms.h"
#include "media/prompts.h"
#include "policy/policy.h"
#include "sip/settings.h"

/* Groups and keys that stand twice. */
static void
check_repetitions(const ClvIni *ini, GPtrArray *warnings)
{
    for (guint i = 0; i < clv_ini_n_warnings(ini); i++)
        g_ptr_array_add(warnings, g_strdup(clv_ini_warning(ini, i)));
}

/* The rooms know their settings as "[section] key: ..."; an operator wants the line, too. */
static void
add_line(const ClvIni *ini, char **sentence)
{
    g_auto(GStrv) words = g_strsplit_set(*sentence, "[] :", 5); /* "", section, "", key, rest */
    const ClvIniEntry *entry = NULL;
    char *whole;

    if ((*sentence)[0] == '[' && g_strv_length(words) == 5)
        entry = clv_ini_find(ini, words[1], words[3]);
    if (entry == NULL)
        return;
    whole = g_strdup_printf("%s:%u: %s", clv_ini_name(ini), entry->line, *sentence);
    g_free(*sentence);
    *sentence = whole;
}

static void
add_lines(const ClvIni *ini, GPtrArray *sentences)
{
    for (guint i = 0; i < sentences->len; i++)
        add_line(ini, (char **)&g_ptr_array_index(sentences, i));
}

char *
clv_config_with_lines(const char *path, const char *text)
{
    g_autoptr(GPtrArray) ignored = g_ptr_array_new_with_free_func(g_free);
    g_autoptr(ClvIni) ini = clv_ini_read(path, CLV_INI_MAX_BYTES, ignored);
    g_auto(GStrv) sentences = g_strsplit(text, "\n", -1);

    for (char **sentence = sentences; ini != NULL && *sentence != NULL; sentence++)
        add_line(ini, sentence);
    return g_strjoinv("\n", sentences);
}

static void
check_readable(const char *path, GPtrArray *errors)
{
    if (path != NULL && access(path, R_OK) != 0)
        g_ptr_array_add(errors, g_strdup_printf("%s: %s", path, g_strerror(errno)));
}

static void
check_sip(const ClvConfig *c, GPtrArray *errors, GPtrArray *warnings)
{
    ClvSipConfig sip = {
        .listen = c->listen,
        .tls_dir = c->tls_dir,
        .trusted_peers = c->trusted_peers,
        .realm = c->realm,
        .users_file = c->users_file,
        .outbound = c->outbound,
    };

    clv_sip_check_settings(&sip, errors, warnings);
    clv_sip_check_users(&sip, errors);
    check_readable(c->resolv_conf, errors);
}

static void
check_control(const ClvConfig *c, GPtrArray *errors)
{
    if (c->control_group != NULL && getgrnam(c->control_group) == NULL)
        g_ptr_array_add(errors, g_strdup_printf("[control] group: found '%s', expected the name of "
                                                "a system group",
                                                c->control_group));
}

/* It is written beside itself and renamed; that it cannot be stops no start. */
static void
check_state(const ClvConfig *c, GPtrArray *warnings)
{
    g_autofree char *folder = c->state_file != NULL ? g_path_get_dirname(c->state_file) : NULL;

    if (folder == NULL)
        return;
    if (g_file_test(c->state_file, G_FILE_TEST_IS_DIR))
        g_ptr_array_add(warnings, g_strdup_printf("[policy] state-file: found the folder '%s', "
                                                  "expected the name of a file",
                                                  c->state_file));
    else if (access(folder, W_OK | X_OK) != 0)
        g_ptr_array_add(warnings,
                        g_strdup_printf("[policy] state-file: found '%s', expected a file in a "
                                        "folder that the server can write (%s: %s)",
                                        c->state_file, folder, g_strerror(errno)));
}

/* The rooms of a factory whose tickets the embedded KMS would refuse to resolve for us. */
static void
check_factories(const ClvConfig *c, ClvPolicy *policy, const ClvKmsKeyFile *keys,
                GPtrArray *warnings)
{
    for (guint i = 0; i < clv_policy_n_factories(policy); i++) {
        const ClvPolicyFactory *factory = clv_policy_factory(policy, i);
        g_autoptr(ClvPolicyView) view = clv_policy_view_factory(policy, factory->name);
        const ClvScheme *scheme = clv_policy_schemes(view);

        while (*scheme != CLV_SCHEME_NONE && *scheme != CLV_SCHEME_MIKEY_TICKET)
            scheme++;
        if (*scheme != CLV_SCHEME_NONE &&
            !clv_kms_keyfile_serves(keys, c->kms_user, factory->uris[0]))
            g_ptr_array_add(
                warnings,
                g_strdup_printf("%s: [factory %s] uri: found '%s', expected the factory "
                                "of a [service] of user '%s' in %s, or no ticket for it "
                                "can be resolved",
                                c->policy_file, factory->name, factory->uris[0],
                                c->kms_user != NULL ? c->kms_user : "(any)", c->embedded_keys));
    }
}

/* keys: (nullable): of the KMS, when it is the embedded one that is asked */
static void
check_policy(const ClvConfig *c, const ClvKmsKeyFile *keys, GPtrArray *errors, GPtrArray *warnings)
{
    g_autoptr(ClvPolicy) policy = clv_policy_load(c->policy_file, c->policy_dir, errors);

    if (policy != NULL && keys != NULL)
        check_factories(c, policy, keys, warnings);

    for (const char *const *w = policy != NULL ? clv_policy_warnings(policy) : NULL;
         w != NULL && *w != NULL; w++)
        g_ptr_array_add(warnings, g_strdup(*w));
}

/* Readable, fitting each other, and good at this moment. */
static void
check_papers(const ClvConfig *c, GPtrArray *errors)
{
    g_autoptr(GError) error = NULL;

    clv_papers_free(kms_papers_load(c, g_get_real_time(), &error));
    if (error != NULL)
        g_ptr_array_add(errors, g_strdup_printf("[kms] %s", error->message));
}

static gboolean
same_identity(const char *a, const char *b)
{
    g_autofree char *one = clv_identity_canonical(a, -1), *other = clv_identity_canonical(b, -1);

    return g_strcmp0(one, other) == 0;
}

gboolean
clv_config_check_embedded(const ClvConfig *config, const ClvKmsKeyFile *keys, GPtrArray *errors)
{
    guint before = errors->len;
    gsize len;

    if (config->mikey_cert == NULL && config->kms_psk_file == NULL &&
        clv_kms_keyfile_psk(keys, config->kms_user, &len) == NULL)
        g_ptr_array_add(errors,
                        g_strdup_printf("%s: found no user '%s', expected the one that [kms] user= "
                                        "names",
                                        config->embedded_keys, config->kms_user));
    if (config->kms_urls == NULL && !same_identity(config->kms_uri, clv_kms_keyfile_uri(keys)))
        g_ptr_array_add(errors,
                        g_strdup_printf("[kms] uri: found '%s', expected '%s' as in [kms] of %s",
                                        config->kms_uri, clv_kms_keyfile_uri(keys),
                                        config->embedded_keys));
    return errors->len == before;
}

/* The key comes from a file of its own, or is that of a user of the embedded KMS. */
static void
check_psk(const ClvConfig *c, const ClvKmsKeyFile *keys, GPtrArray *errors)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(ClvSecret) psk = NULL;

    if (c->mikey_cert != NULL) {
        check_papers(c, errors);
    } else if (c->kms_psk_file != NULL) {
        psk = clv_secret_read_file(c->kms_psk_file, &error);
        if (psk == NULL)
            g_ptr_array_add(errors, g_strdup(error->message));
    }
    if (keys != NULL)
        clv_config_check_embedded(c, keys, errors);
}

/* A client that asks nobody: does it like its settings? */
static void
check_client(const ClvConfig *c, GPtrArray *errors)
{
    ClvKmsClientConfig config = {
        .urls = (const char *const *)c->kms_urls,
        .ca_file = c->kms_ca,
        .cert_file = c->kms_cert,
        .key_file = c->kms_key,
        .allow_insecure = c->kms_insecure,
        .connections = 1,
    };
    g_autoptr(GError) error = NULL;

    if (c->kms_urls == NULL)
        return;
    clv_kms_client_free(clv_kms_client_new(&config, &error));
    if (error != NULL)
        g_ptr_array_add(errors, g_strdup_printf("[kms] url: %s", error->message));
}

static void
check_embedded_listen(const ClvConfig *c, GPtrArray *errors)
{
    ClvKmsServerConfig server = {.listen = c->embedded_listen};
    g_autoptr(GError) error = NULL;

    if (c->embedded_keys != NULL && !clv_kms_server_check(&server, &error))
        g_ptr_array_add(errors, g_strdup_printf("[embedded-kms] listen: %s", error->message));
}

static void
check_kms(const ClvConfig *c, const ClvKmsKeyFile *keys, GPtrArray *errors)
{
    check_psk(c, keys, errors);
    check_embedded_listen(c, errors);
    check_client(c, errors);
    check_readable(c->kms_ca, errors);
    check_readable(c->kms_cert, errors);
    check_readable(c->kms_key, errors);
}

static void
check_files(const ClvConfig *config, const char *path, GPtrArray *errors, GPtrArray *warnings)
{
    g_autoptr(ClvIni) ini = clv_ini_read(path, CLV_INI_MAX_BYTES, errors);
    g_autoptr(ClvKmsKeyFile) keys = NULL;

    if (ini == NULL)
        return;
    check_repetitions(ini, warnings);
    check_control(config, errors);
    check_sip(config, errors, warnings);
    if (config->embedded_keys != NULL)
        keys = clv_kms_keyfile_load(config->embedded_keys, errors);
    check_policy(config, config->kms_urls == NULL ? keys : NULL, errors, warnings);
    check_state(config, warnings);
    check_kms(config, keys, errors);
    clv_prompts_check(config->prompts, warnings);
    add_lines(ini, errors);
    add_lines(ini, warnings);
}

gboolean
clv_config_check(const char *path, GPtrArray *errors, GPtrArray *warnings)
{
    ClvConfig config;
    guint before = errors->len;

    if (clv_config_load(&config, path, errors))
        check_files(&config, path, errors, warnings);
    clv_config_clear(&config);
    return errors->len == before;
}
