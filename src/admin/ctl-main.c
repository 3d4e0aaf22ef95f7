/* SPDX-License-Identifier: Apache-2.0 */
/* admin/ctl-main.c - conclavectl: ask and show */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <glib.h>
#include <openssl/crypto.h>

#include "admin/control.h"
#include "admin/report.h"
#include "base/identity.h"
#include "base/option.h"
#include "daemon/check.h"
#include "daemon/explain.h"
#include "policy/policy.h"

enum { EXIT_REFUSED = 1, EXIT_USAGE = 2, EXIT_NO_SERVER = 3 };

static char *option_socket;
static char *option_config;
static gboolean option_json;
static char **option_files;
static char *option_creator;
static char *option_names;

static const GOptionEntry entries[] = {
    {"socket", 's', 0, G_OPTION_ARG_FILENAME, &option_socket,
     "control socket of the server [" CLV_RUNDIR "/control]", "PATH"},
    {"config", 'c', 0, G_OPTION_ARG_FILENAME, &option_config,
     "take the socket from this configuration", "FILE"},
    {"json", 'j', 0, G_OPTION_ARG_NONE, &option_json, "print JSON", NULL},
    {"file", 'f', 0, G_OPTION_ARG_FILENAME_ARRAY, &option_files,
     "why, policy show: ask this policy and no server; again for drop-ins", "POLICY"},
    {"creator", 0, 0, G_OPTION_ARG_STRING, &option_creator,
     "with --file: suppose that this user made the conference", "USER"},
    {"names", 0, 0, G_OPTION_ARG_STRING, &option_names,
     "with --file: suppose that the ticket names these users", "USER;USER"},
    G_OPTION_ENTRY_NULL,
};

static const char commands[] =
    "Commands:\n"
    "  status                     what the server does at the moment\n"
    "  list                       conferences\n"
    "  show CONFERENCE            participants of one (URI or its token)\n"
    "  kick CONFERENCE WHO        remove a participant (URI, or leg number of show)\n"
    "  admit CONFERENCE [WHO]     let in from the lobby: one user, or all who wait\n"
    "  lock CONFERENCE            let in nobody new\n"
    "  unlock CONFERENCE          let people in again\n"
    "  end CONFERENCE             end it for everybody\n"
    "  kms                        each address of the KMS: state, requests, failures, latency\n"
    "  reload                     read policies, users and keys again\n"
    "  policy show CONFERENCE     each value of its policy, and where it comes from\n"
    "  policy show factory NAME   the same of what a factory makes\n"
    "  why USER CONFERENCE [OP]   may he join, create, refer, remove, dial? Which line says so?\n"
    "  check-config [FILE]        check a configuration without touching the server\n"
    "  check-policy FILE...       check policy files without touching the server\n"
    "  pin-hash                   read a PIN, print what to write behind pin-hash=\n"
    "  sample-config              print a commented configuration\n";

/* ---- commands that need no server ---- */

static void
add_sentences(ClvReport *report, const char *name, const char *const *columns, GPtrArray *sentences)
{
    if (sentences->len == 0)
        return;
    clv_report_table(report, name, columns);
    for (guint i = 0; i < sentences->len; i++)
        clv_report_cell(report, g_ptr_array_index(sentences, i));
}

/* For people: mistakes to stderr, and nothing else when there are any errors. */
static int
show_check(const char *what, GPtrArray *errors, GPtrArray *warnings)
{
    g_autoptr(ClvReport) report = clv_report_new();
    g_autofree char *text = NULL;
    static const char *const error_columns[] = {"error", NULL};
    static const char *const warning_columns[] = {"warning", NULL};

    if (!option_json) {
        for (guint i = 0; i < warnings->len; i++)
            fprintf(stderr, "warning: %s\n", (const char *)g_ptr_array_index(warnings, i));
        for (guint i = 0; i < errors->len; i++)
            fprintf(stderr, "%s\n", (const char *)g_ptr_array_index(errors, i));
        if (errors->len > 0)
            return EXIT_REFUSED;
    }
    clv_report_text(report, "file", what);
    clv_report_bool(report, "good", errors->len == 0);
    if (option_json) {
        add_sentences(report, "errors", error_columns, errors);
        add_sentences(report, "warnings", warning_columns, warnings);
    }
    text = clv_report_print(report, option_json);
    fputs(text, stdout);
    return errors->len == 0 ? EXIT_SUCCESS : EXIT_REFUSED;
}

static int
check_config(const char *path)
{
    g_autoptr(GPtrArray) errors = g_ptr_array_new_with_free_func(g_free);
    g_autoptr(GPtrArray) warnings = g_ptr_array_new_with_free_func(g_free);

    clv_config_check(path, errors, warnings);
    return show_check(path, errors, warnings);
}

/* The main file first, then drop-ins and folders of them. */
static int
check_policy(const char *const *paths)
{
    g_autoptr(GPtrArray) errors = g_ptr_array_new_with_free_func(g_free);
    g_autoptr(GPtrArray) warnings = g_ptr_array_new_with_free_func(g_free);
    g_autoptr(ClvPolicy) policy = clv_policy_load_all(paths, errors);

    for (const char *const *w = policy != NULL ? clv_policy_warnings(policy) : NULL;
         w != NULL && *w != NULL; w++)
        g_ptr_array_add(warnings, g_strdup(*w));
    return show_check(paths[0], errors, warnings);
}

static int
sample_config(void)
{
    g_autofree char *text = clv_config_sample();

    fputs(text, stdout);
    return EXIT_SUCCESS;
}

#define PIN_ITERATIONS 200000

/* The PIN comes by standard input, as arguments can be seen by others. */
static int
pin_hash(void)
{
    char digits[80] = "";
    g_autofree char *hash = NULL;
    guint8 salt[16];

    if (isatty(STDIN_FILENO))
        fputs("PIN: ", stderr);
    if (fgets(digits, sizeof digits, stdin) == NULL)
        digits[0] = '\0';
    digits[strcspn(digits, "\r\n")] = '\0';
    if (getentropy(salt, sizeof salt) == 0)
        hash = clv_policy_pin_hash_new(digits, salt, sizeof salt, PIN_ITERATIONS);
    OPENSSL_cleanse(digits, sizeof digits);
    if (hash == NULL) {
        fputs("conclavectl: expected 1 to 64 digits\n", stderr);
        return EXIT_REFUSED;
    }
    puts(hash);
    return EXIT_SUCCESS;
}

/* ---- questions to policy files ---- */

static int G_GNUC_PRINTF(2, 3) complain(int status, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    fputs("conclavectl: ", stderr);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
    va_end(args);
    return status;
}

static int
print(const ClvReport *report)
{
    g_autofree char *text = clv_report_print(report, option_json);

    fputs(text, stdout);
    return EXIT_SUCCESS;
}

/* (nullable) NULL after saying what is wrong with the files. */
static ClvPolicy *
load_files(void)
{
    g_autoptr(GPtrArray) errors = g_ptr_array_new_with_free_func(g_free);
    g_autoptr(GPtrArray) none = g_ptr_array_new();
    ClvPolicy *policy = clv_policy_load_all((const char *const *)option_files, errors);

    if (policy == NULL)
        show_check(option_files[0], errors, none);
    return policy;
}

static int
show_policy(int n, char **words)
{
    g_autoptr(ClvPolicy) policy = load_files();
    g_autoptr(ClvReport) report = clv_report_new();
    g_autoptr(ClvPolicyView) view = NULL;
    gboolean creates;

    if (policy == NULL)
        return EXIT_REFUSED;
    if (n == 2 && strcmp(words[0], "factory") == 0)
        view = clv_policy_view_factory(policy, words[1]);
    else if (n == 2 && strcmp(words[0], "conference") == 0)
        view = clv_policy_view_conference(policy, words[1]);
    else if (n == 1)
        view = clv_explain_find(policy, words[0], &creates);
    else
        return complain(EXIT_USAGE,
                        "expected: policy show CONFERENCE, or policy show factory NAME");
    if (view == NULL)
        return complain(EXIT_REFUSED, "no factory and no conference '%s'", words[n - 1]);
    clv_explain_view(view, report);
    return print(report);
}

/* (nullable) all canonical; NULL after saying which is not. */
static char **
read_names(const char *text)
{
    g_auto(GStrv) names = clv_ini_split_list(text);

    for (char **name = names; *name != NULL; name++) {
        char *canonical = clv_identity_canonical(*name, -1);

        if (canonical == NULL) {
            complain(EXIT_USAGE, "found '%s', expected sip:NAME@HOST or tel:+DIGITS", *name);
            return NULL;
        }
        g_free(*name);
        *name = canonical;
    }
    return g_steal_pointer(&names);
}

static int
why(int n, char **words)
{
    g_autoptr(ClvReport) report = clv_report_new();
    g_autoptr(ClvPolicyView) view = NULL;
    g_autoptr(ClvPolicy) policy = NULL;
    g_auto(GStrv) who = n >= 2 ? read_names(words[0]) : NULL;
    g_auto(GStrv) creator = read_names(option_creator != NULL ? option_creator : "");
    g_auto(GStrv) names = read_names(option_names != NULL ? option_names : "");
    gboolean creates = FALSE;
    ClvPolicyFacts facts;
    ClvPolicyOp op;

    if (n < 2 || n > 3)
        return complain(EXIT_USAGE,
                        "expected: why USER CONFERENCE [join|create|refer|remove|dial]");
    if (who == NULL || who[0] == NULL || creator == NULL || names == NULL)
        return EXIT_USAGE;
    policy = load_files();
    view = policy != NULL ? clv_explain_find(policy, words[1], &creates) : NULL;
    if (policy == NULL)
        return EXIT_REFUSED;
    if (view == NULL)
        return complain(EXIT_REFUSED, "no factory and no conference '%s'", words[1]);
    if (!clv_explain_op(n == 3 ? words[2] : NULL, creates, &op))
        return complain(EXIT_USAGE, "found '%s', expected join, create, refer, remove or dial",
                        words[2]);
    facts = clv_explain_facts(who[0], g_get_real_time());
    facts.creator = creator[0];
    facts.ticket_names = names[0] != NULL ? (const char *const *)names : NULL;
    facts.locked = clv_policy_locked(view);
    clv_explain_verdict(view, op, &facts, report);
    return print(report);
}

/* ---- commands for the server ---- */

static char *
socket_path(void)
{
    g_autoptr(GPtrArray) errors = g_ptr_array_new_with_free_func(g_free);
    g_autoptr(GPtrArray) none = g_ptr_array_new();
    ClvConfig config;
    char *path;

    if (option_socket != NULL)
        return g_strdup(option_socket);
    if (option_config == NULL)
        return g_strdup(CLV_RUNDIR "/control");
    if (!clv_config_load(&config, option_config, errors)) {
        show_check(option_config, errors, none);
        return NULL;
    }
    path = g_strdup(config.control_socket);
    clv_config_clear(&config);
    return path;
}

static int
connect_to(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (strlen(path) >= sizeof address.sun_path) {
        fprintf(stderr, "conclavectl: %s: path too long\n", path);
        close(fd);
        return -1;
    }
    memcpy(address.sun_path, path, strlen(path));
    if (connect(fd, (struct sockaddr *)&address, sizeof address) == 0)
        return fd;
    fprintf(stderr, "conclavectl: %s: %s%s\n", path, g_strerror(errno),
            errno == EACCES ? " (are you in the group of [control] group=?)"
            : option_socket == NULL && option_config == NULL
                ? " (is the server running? --config FILE takes the socket from its configuration)"
                : " (is the server running?)");
    close(fd);
    return -1;
}

static int
ask(int fd, char **words)
{
    g_autofree char *rest = g_strjoinv(" ", words);
    g_autofree char *line = g_strdup_printf("%s%s\n", option_json ? "json " : "", rest);
    g_autoptr(GString) reply = g_string_new(NULL);
    char buffer[4096];
    ssize_t n;

    if (send(fd, line, strlen(line), MSG_NOSIGNAL) != (ssize_t)strlen(line))
        return EXIT_NO_SERVER;
    while ((n = recv(fd, buffer, sizeof buffer, 0)) > 0)
        g_string_append_len(reply, buffer, n);
    if (g_str_has_prefix(reply->str, "ok\n")) {
        fputs(reply->str + 3, stdout);
        return EXIT_SUCCESS;
    }
    if (g_str_has_prefix(reply->str, "error ")) {
        fprintf(stderr, "conclavectl: %s", reply->str + 6);
        return EXIT_REFUSED;
    }
    fprintf(stderr, "conclavectl: the server closed the connection without an answer\n");
    return EXIT_NO_SERVER;
}

/* What no server would understand needs none. */
static gboolean
is_understood(char **words)
{
    g_autofree char *line = g_strjoinv(" ", words);
    g_autoptr(GError) error = NULL;
    ClvCommand command;

    if (clv_command_parse(line, strlen(line), &command, &error)) {
        clv_command_clear(&command);
        return TRUE;
    }
    complain(EXIT_USAGE, "%s", error->message);
    return FALSE;
}

static int
ask_server(char **words)
{
    g_autofree char *path = NULL;
    int fd, status;

    if (!is_understood(words))
        return EXIT_USAGE;
    path = socket_path();
    if (path == NULL)
        return EXIT_REFUSED;
    fd = connect_to(path);
    if (fd < 0)
        return EXIT_NO_SERVER;
    status = ask(fd, words);
    close(fd);
    return status;
}

/* "policy check" and "policy reload" are other names; "policy show" is for files or the server. */
static int
run_policy(int n, char **words)
{
    static char *reload[] = {(char *)"reload", NULL};

    if (n >= 3 && strcmp(words[1], "check") == 0)
        return check_policy((const char *const *)words + 2);
    if (n == 2 && strcmp(words[1], "reload") == 0)
        return ask_server(reload);
    if (n >= 3 && strcmp(words[1], "show") == 0 && option_files != NULL)
        return show_policy(n - 2, words + 2);
    if (n < 3 || strcmp(words[1], "show") != 0)
        return complain(EXIT_USAGE, "expected: policy show CONFERENCE, policy show factory NAME, "
                                    "policy check FILE... or policy reload");
    return ask_server(words);
}

/* What is done here, but not in these words. */
static const char *const own_usages[] = {"check-config [FILE]", "check-policy FILE...", "pin-hash",
                                         "sample-config"};

static int
run_otherwise(char **words)
{
    for (guint i = 0; i < G_N_ELEMENTS(own_usages); i++) {
        gsize len = strcspn(own_usages[i], " ");

        if (strlen(words[0]) == len && strncmp(words[0], own_usages[i], len) == 0)
            return complain(EXIT_USAGE, "expected: %s", own_usages[i]);
    }
    return ask_server(words);
}

static int
run(int n, char **words)
{
    if (strcmp(words[0], "check-config") == 0 && n <= 2) {
        const char *path = n == 2 ? words[1] : option_config;

        return check_config(path != NULL ? path : CLV_SYSCONFDIR "/conclave.conf");
    }
    if (strcmp(words[0], "check-policy") == 0 && n >= 2)
        return check_policy((const char *const *)words + 1);
    if (strcmp(words[0], "policy") == 0)
        return run_policy(n, words);
    if (strcmp(words[0], "why") == 0 && option_files != NULL)
        return why(n - 1, words + 1);
    if (strcmp(words[0], "pin-hash") == 0 && n == 1)
        return pin_hash();
    if (strcmp(words[0], "sample-config") == 0 && n == 1)
        return sample_config();
    return run_otherwise(words);
}

int
main(int argc, char **argv)
{
    g_autoptr(GOptionContext) context = g_option_context_new("COMMAND [ARGUMENT...]");
    g_autoptr(GError) error = NULL;

    g_option_context_set_summary(context, "Look at and steer a running Conclave server.");
    g_option_context_set_description(context, commands);
    g_option_context_add_main_entries(context, entries, NULL);
    if (!g_option_context_parse(context, &argc, &argv, &error)) {
        fprintf(stderr, "conclavectl: %s\n", error->message);
        return EXIT_USAGE;
    }
    if (argc < 2) {
        g_autofree char *help = g_option_context_get_help(context, TRUE, NULL);

        fputs(help, stderr);
        return EXIT_USAGE;
    }
    return run(argc - 1, argv + 1);
}
