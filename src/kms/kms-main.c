/* SPDX-License-Identifier: Apache-2.0 */
/* kms/kms-main.c - conclave-kms: the KMS as a program, and the verbs that edit its key file */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <glib-unix.h>
#include <locale.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#ifdef HAVE_SYSTEMD
#include <systemd/sd-daemon.h>
#endif

#include "base/log.h"
#include "base/secret.h"
#include "kms/kms.h"

#define SECURE_HEAP_BYTES (1u << 20)
#define EXIT_USAGE 2

/* ---- command line ---- */

static struct {
    char *keys, *listen, *cert, *key, *path, *log_level;
    gboolean allow_insecure, check, version, privacy;
    int max_connections, threads;
    /* of the verbs */
    char *uri, *may_request, *purposes, *max_lifetime, *psk_file, *write_psk, *user, *host;
    char *factory;
    char **identities;
    gboolean secure_conference, show_psk;
    char **words;
} args;

static const GOptionEntry server_options[] = {
    {"keys", 'k', 0, G_OPTION_ARG_FILENAME, &args.keys,
     "Key file (" CLV_SYSCONFDIR "/kms-keys.conf)", "FILE"},
    {"listen", 'l', 0, G_OPTION_ARG_STRING, &args.listen, "Address and port (127.0.0.1:8089)",
     "ADDRESS:PORT"},
    {"cert", 0, 0, G_OPTION_ARG_FILENAME, &args.cert, "Certificate chain, PEM: serve HTTPS",
     "FILE"},
    {"key", 0, 0, G_OPTION_ARG_FILENAME, &args.key, "Key of the certificate, PEM", "FILE"},
    {"allow-insecure", 0, 0, G_OPTION_ARG_NONE, &args.allow_insecure,
     "Plain HTTP on other addresses than loopback", NULL},
    {"path", 0, 0, G_OPTION_ARG_STRING, &args.path, "URL path (/keymanagement)", "PATH"},
    {"max-connections", 0, 0, G_OPTION_ARG_INT, &args.max_connections,
     "Connections at a time (256)", "N"},
    {"threads", 0, 0, G_OPTION_ARG_INT, &args.threads, "Threads that serve (2)", "N"},
    {"check", 0, 0, G_OPTION_ARG_NONE, &args.check, "Check the key file and exit", NULL},
    {"log-level", 0, 0, G_OPTION_ARG_STRING, &args.log_level,
     "error, warning, notice, info or debug (notice)", "LEVEL"},
    {"log-privacy", 0, 0, G_OPTION_ARG_NONE, &args.privacy, "Log identities as short hashes", NULL},
    {"version", 0, 0, G_OPTION_ARG_NONE, &args.version, "Show the version and exit", NULL},
    {G_OPTION_REMAINING, 0, 0, G_OPTION_ARG_STRING_ARRAY, &args.words, NULL, NULL},
    {NULL}};

static const GOptionEntry edit_options[] = {
    {"uri", 0, 0, G_OPTION_ARG_STRING, &args.uri, "init: name of the KMS", "URI"},
    {"identity", 0, 0, G_OPTION_ARG_STRING_ARRAY, &args.identities,
     "user add: a URI of the user (again for more)", "URI"},
    {"may-request", 0, 0, G_OPTION_ARG_STRING, &args.may_request,
     "user add: whom tickets may name (any)", "LIST"},
    {"purposes", 0, 0, G_OPTION_ARG_STRING, &args.purposes,
     "user add: what tickets may be for (any)", "LIST"},
    {"max-lifetime", 0, 0, G_OPTION_ARG_STRING, &args.max_lifetime,
     "user add: longest validity of a ticket", "TIME"},
    {"secure-conference", 0, 0, G_OPTION_ARG_NONE, &args.secure_conference,
     "user add: may set up secure conferences", NULL},
    {"psk-file", 0, 0, G_OPTION_ARG_FILENAME, &args.psk_file,
     "user add: take the key from this file instead of making one", "FILE"},
    {"write-psk", 0, 0, G_OPTION_ARG_FILENAME, &args.write_psk,
     "user add: write the key to this new file, mode 0600", "FILE"},
    {"show-psk", 0, 0, G_OPTION_ARG_NONE, &args.show_psk,
     "user add: print the key on standard output", NULL},
    {"user", 0, 0, G_OPTION_ARG_STRING, &args.user,
     "service add: the user whose key the conference system has", "NAME"},
    {"host", 0, 0, G_OPTION_ARG_STRING, &args.host, "service add: domain of its URIs", "HOST"},
    {"factory", 0, 0, G_OPTION_ARG_STRING, &args.factory,
     "service add: more factory URIs, ';' between them", "LIST"},
    {NULL}};

static const char description[] =
    "Verbs that edit the key file:\n"
    "  init --uri=URI                     make a new, empty key file\n"
    "  user add NAME [--identity=URI...]  make a user and his key\n"
    "  user remove NAME | user list\n"
    "  user revoke NAME | user restore NAME\n"
    "  service add NAME --user=NAME --host=HOST\n"
    "  service remove NAME | service list\n"
    "  group add NAME --uri=URI --identity=MEMBER...\n"
    "  group remove NAME | group list | peer remove NAME | peer list\n"
    "  state reset replay|tpks|conferences  give up a damaged file of state-dir\n"
    "Without a verb the KMS runs. SIGHUP reads the key file again. See conclave-kms(8).\n";

static gboolean
parse_arguments(int argc, char **argv, GError **error)
{
    g_autoptr(GOptionContext) context = g_option_context_new("[VERB...] - key management service");
    GOptionGroup *group = g_option_group_new(
        "edit", "Options of the verbs:", "Show options of the verbs", NULL, NULL);

    g_option_context_add_main_entries(context, server_options, NULL);
    g_option_group_add_entries(group, edit_options);
    g_option_context_add_group(context, group);
    g_option_context_set_description(context, description);
    if (!g_option_context_parse(context, &argc, &argv, error))
        return FALSE;
    if (args.keys == NULL)
        args.keys = g_strdup(CLV_SYSCONFDIR "/kms-keys.conf");
    if (args.listen == NULL)
        args.listen = g_strdup("127.0.0.1:8089");
    return TRUE;
}

static int
report(const GError *error)
{
    fprintf(stderr, "conclave-kms: %s\n", error->message);
    return EXIT_FAILURE;
}

static int
report_usage(const char *sentence)
{
    fprintf(stderr, "conclave-kms: %s; see conclave-kms --help-all\n", sentence);
    return EXIT_USAGE;
}

/* ---- verbs ---- */

static char *
psk_text(const ClvSecret *psk)
{
    gsize len = 0;
    const guint8 *bytes = clv_secret_bytes(psk, &len);
    char *base64 = g_base64_encode(bytes, len);
    char *text = g_strconcat("base64:", base64, "\n", NULL);

    clv_secret_free_string(base64);
    return text;
}

static gboolean
write_psk_file(int fd, const ClvSecret *psk)
{
    char *text = psk_text(psk);
    gboolean good = write(fd, text, strlen(text)) == (ssize_t)strlen(text);

    clv_secret_free_string(text);
    return fsync(fd) == 0 && close(fd) == 0 && good;
}

static void
show_psk(const ClvSecret *psk)
{
    char *text = psk_text(psk);

    fputs(text, stdout);
    clv_secret_free_string(text);
}

/* The file for the new key is made first: a user whose key nobody has is of no use. */
static int
open_psk_file(void)
{
    int fd;

    if (args.write_psk == NULL)
        return -1;
    fd = open(args.write_psk, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
        fprintf(stderr, "conclave-kms: %s: %s\n", args.write_psk, g_strerror(errno));
    return fd;
}

static int
finish_add_user(const char *name, const ClvSecret *psk, int fd)
{
    if (fd >= 0 && !write_psk_file(fd, psk)) {
        fprintf(stderr, "conclave-kms: %s: %s\n", args.write_psk, g_strerror(errno));
        return EXIT_FAILURE;
    }
    if (args.show_psk)
        show_psk(psk);
    else
        printf("user %s added%s%s\n", name, fd >= 0 ? ", key in " : "",
               fd >= 0 ? args.write_psk : "");
    return EXIT_SUCCESS;
}

static int
add_user(const char *name)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(ClvSecret) given = NULL;
    g_autoptr(ClvSecret) psk = NULL;
    ClvKmsUserSpec spec = {
        .name = name,
        .identities = (const char *const *)args.identities,
        .may_request = args.may_request != NULL ? args.may_request : "any",
        .purposes = args.purposes,
        .max_lifetime = args.max_lifetime,
        .secure_conference = args.secure_conference,
    };
    int fd;

    if (args.psk_file != NULL) {
        given = clv_secret_read_file(args.psk_file, &error);
        if (given == NULL)
            return report(error);
        spec.psk = clv_secret_bytes(given, &spec.psk_len);
    }
    fd = open_psk_file();
    if (args.write_psk != NULL && fd < 0)
        return EXIT_FAILURE;
    if (!clv_kms_keyfile_add_user(args.keys, &spec, &psk, &error)) {
        if (fd >= 0) {
            close(fd);
            unlink(args.write_psk);
        }
        return report(error);
    }
    return finish_add_user(name, psk, fd);
}

static int
add_service(const char *name)
{
    g_autoptr(GError) error = NULL;
    ClvKmsServiceSpec spec = {name, args.user, args.host, args.factory};

    if (spec.user == NULL || spec.host == NULL)
        return report_usage("service add needs --user and --host");
    if (!clv_kms_keyfile_add_service(args.keys, &spec, &error))
        return report(error);
    printf("service %s added\n", name);
    return EXIT_SUCCESS;
}

static int
do_add(const char *kind, const char *name)
{
    return strcmp(kind, "user") == 0 ? add_user(name) : add_service(name);
}

static int
do_add_group(const char *unused, const char *name)
{
    g_autoptr(GError) error = NULL;

    if (args.uri == NULL || args.identities == NULL)
        return report_usage("group add needs --uri and an --identity for each member");
    if (!clv_kms_keyfile_add_group(args.keys, name, args.uri,
                                   (const char *const *)args.identities, &error))
        return report(error);
    printf("group %s added\n", name);
    return EXIT_SUCCESS;
}

static int
do_remove(const char *kind, const char *name)
{
    g_autoptr(GError) error = NULL;

    if (!clv_kms_keyfile_remove(args.keys, kind, name, &error))
        return report(error);
    printf("%s %s removed\n", kind, name);
    return EXIT_SUCCESS;
}

static ClvKmsKeyFile *load_keys(void);

static int
set_revoked(const char *name, gboolean revoked)
{
    g_autoptr(GError) error = NULL;

    if (!clv_kms_keyfile_revoke_user(args.keys, name, revoked, g_get_real_time(), &error))
        return report(error);
    printf("user %s %s; a running KMS has to be told (SIGHUP)\n", name,
           revoked ? "revoked" : "restored");
    return EXIT_SUCCESS;
}

static int
do_revoke(const char *unused, const char *name)
{
    return set_revoked(name, TRUE);
}

static int
do_restore(const char *unused, const char *name)
{
    return set_revoked(name, FALSE);
}

static int
do_reset(const char *unused, const char *what)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(ClvKmsKeyFile) keys = load_keys();

    if (keys == NULL)
        return EXIT_FAILURE;
    if (!clv_kms_state_reset(keys, what, g_get_real_time(), &error))
        return report(error);
    printf("%s reset\n", what);
    return EXIT_SUCCESS;
}

static ClvKmsKeyFile *
load_keys(void)
{
    g_autoptr(GPtrArray) errors = g_ptr_array_new_with_free_func(g_free);
    ClvKmsKeyFile *keys = clv_kms_keyfile_load(args.keys, errors);

    for (guint i = 0; i < errors->len; i++)
        fprintf(stderr, "conclave-kms: %s\n", (const char *)errors->pdata[i]);
    return keys;
}

static void
print_line(const char *text, void *unused)
{
    puts(text);
}

static int
do_list(const char *kind, const char *unused)
{
    g_autoptr(ClvKmsKeyFile) keys = load_keys();

    if (keys == NULL)
        return EXIT_FAILURE;
    clv_kms_keyfile_list(keys, kind, print_line, NULL);
    return EXIT_SUCCESS;
}

static int
do_init(const char *unused_kind, const char *unused_name)
{
    g_autoptr(GError) error = NULL;

    if (args.uri == NULL)
        return report_usage("init needs --uri");
    if (!clv_kms_keyfile_create(args.keys, args.uri, &error))
        return report(error);
    printf("key file %s made\n", args.keys);
    return EXIT_SUCCESS;
}

static const struct Verb {
    const char *kind, *name;
    guint n_words;
    int (*run)(const char *kind, const char *name);
} verbs[] = {
    {"init", NULL, 1, do_init},         {"user", "add", 3, do_add},
    {"user", "remove", 3, do_remove},   {"user", "list", 2, do_list},
    {"service", "add", 3, do_add},      {"service", "remove", 3, do_remove},
    {"service", "list", 2, do_list},    {"user", "revoke", 3, do_revoke},
    {"user", "restore", 3, do_restore}, {"state", "reset", 3, do_reset},
    {"group", "add", 3, do_add_group},  {"group", "remove", 3, do_remove},
    {"group", "list", 2, do_list},      {"peer", "remove", 3, do_remove},
    {"peer", "list", 2, do_list},
};

static int
run_verb(char **words)
{
    guint n_words = g_strv_length(words);

    for (guint i = 0; i < G_N_ELEMENTS(verbs); i++) {
        const struct Verb *verb = &verbs[i];

        if (verb->n_words == n_words && strcmp(verb->kind, words[0]) == 0 &&
            (verb->name == NULL || strcmp(verb->name, words[1]) == 0))
            return verb->run(verb->kind, n_words == 3 ? words[2] : NULL);
    }
    return report_usage("these words are no verb with its arguments");
}

/* ---- the server ---- */

typedef struct Program {
    GMainLoop *loop;
    ClvKmsService *service;
} Program;

static void
notify(const char *state)
{
#ifdef HAVE_SYSTEMD
    sd_notify(0, state);
#endif
}

static void
log_decision(const ClvKmsDecision *decision, const char *peer, void *unused)
{
    ClvLogScope scope = {.identity = decision->user};
    g_autofree char *subject = clv_pii(decision->subject[0] != '\0' ? decision->subject : "-");
    g_autofree char *address = clv_pii(peer);

    clv_log(CLV_LOG_NOTICE, &scope, decision->granted ? "kms-granted" : "kms-refused",
            "%s %s%s: %s (%s) from %s", decision->request,
            decision->granted ? "granted" : "refused", decision->repeated ? " again" : "", subject,
            decision->rule, address);
}

static gboolean
on_stop(gpointer data)
{
    notify("STOPPING=1");
    g_main_loop_quit(((Program *)data)->loop);
    return G_SOURCE_CONTINUE;
}

static gboolean
on_reload(gpointer data)
{
    Program *program = data;
    g_autoptr(GPtrArray) errors = g_ptr_array_new_with_free_func(g_free);
    ClvKmsKeyFile *keys = clv_kms_keyfile_load(args.keys, errors);
    guint n_users, n_services;

    for (guint i = 0; i < errors->len; i++)
        clv_log(CLV_LOG_ERROR, NULL, "kms-reload", "%s", (const char *)errors->pdata[i]);
    if (keys == NULL) {
        clv_log(CLV_LOG_ERROR, NULL, "kms-reload", "the key file has errors; the old one stays");
        return G_SOURCE_CONTINUE;
    }
    n_users = clv_kms_keyfile_n_users(keys);
    n_services = clv_kms_keyfile_n_services(keys);
    clv_kms_service_reload(program->service, keys);
    clv_log(CLV_LOG_NOTICE, NULL, "kms-reload", "key file read again: %u users, %u services",
            n_users, n_services);
    return G_SOURCE_CONTINUE;
}

static void
run_until_stopped(Program *program, const char *url)
{
    program->loop = g_main_loop_new(NULL, FALSE);
    g_unix_signal_add(SIGTERM, on_stop, program);
    g_unix_signal_add(SIGINT, on_stop, program);
    g_unix_signal_add(SIGHUP, on_reload, program);
    printf("conclave-kms ready at %s\n", url);
    fflush(stdout);
    notify("READY=1");
    g_main_loop_run(program->loop);
    g_main_loop_unref(program->loop);
}

static int
serve(ClvKmsService *service)
{
    Program program = {.service = service};
    g_autoptr(GError) error = NULL;
    g_autoptr(ClvKmsServer) server = NULL;
    ClvKmsServerConfig config = {
        .listen = args.listen,
        .cert_file = args.cert,
        .key_file = args.key,
        .allow_insecure = args.allow_insecure,
        .max_connections = (guint)MAX(args.max_connections, 0),
        .path = args.path,
        .threads = (guint)MAX(args.threads, 0),
        .log = log_decision,
    };

    server = clv_kms_server_new(&config, service, &error);
    if (server == NULL)
        return report(error);
    run_until_stopped(&program, clv_kms_server_url(server));
    return EXIT_SUCCESS;
}

static int
run_server(void)
{
    g_autoptr(ClvKmsKeyFile) keys = load_keys();
    g_autoptr(ClvKmsService) service = NULL;
    g_autoptr(GError) error = NULL;

    if (keys == NULL)
        return EXIT_FAILURE;
    if (args.check) {
        printf("%s: %u users, %u services, no errors\n", args.keys, clv_kms_keyfile_n_users(keys),
               clv_kms_keyfile_n_services(keys));
        return EXIT_SUCCESS;
    }
    service = clv_kms_service_new(g_steal_pointer(&keys), NULL, NULL);
    if (service == NULL)
        return report_usage("no random octets to be had");
    if (!clv_kms_service_open_state(service, g_get_real_time(), &error))
        return report(error);
    return serve(service);
}

static gboolean
start_log(void)
{
    ClvLogLevel level = CLV_LOG_NOTICE;

    if (args.log_level != NULL && !clv_log_level_parse(args.log_level, &level))
        return FALSE;
    clv_log_init(level, args.privacy, FALSE);
    return TRUE;
}

int
main(int argc, char **argv)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(GError) warning = NULL;

    setlocale(LC_ALL, "");
    if (!parse_arguments(argc, argv, &error))
        return report_usage(error->message);
    if (args.version) {
        puts(PACKAGE_STRING);
        return EXIT_SUCCESS;
    }
    if (!start_log())
        return report_usage("unknown log level");
    if (!clv_secret_init(SECURE_HEAP_BYTES, &warning))
        clv_log(CLV_LOG_WARNING, NULL, "kms-memory", "%s", warning->message);
    return args.words != NULL ? run_verb(args.words) : run_server();
}
