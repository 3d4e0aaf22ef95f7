/* SPDX-License-Identifier: Apache-2.0 */
/* daemon/main.c - conclaved: start, signals, stop in reverse */
#include <config.h>

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <unistd.h>
#ifdef HAVE_SYSTEMD
#include <systemd/sd-daemon.h>
#endif

#include "base/log.h"
#include "base/secret.h"
#include "daemon/check.h"
#include "daemon/hub.h"

#define SECURE_HEAP_BYTES (1u << 20)

static char *option_config = (char *)CLV_SYSCONFDIR "/conclave.conf";
static gboolean option_check, option_version;

static const GOptionEntry entries[] = {
    {"config", 'c', 0, G_OPTION_ARG_FILENAME, &option_config,
     "configuration file [" CLV_SYSCONFDIR "/conclave.conf]", "FILE"},
    {"check-config", 0, 0, G_OPTION_ARG_NONE, &option_check, "check the configuration and its files, and exit",
     NULL},
    {"version", 0, 0, G_OPTION_ARG_NONE, &option_version, "print the version and exit", NULL},
    G_OPTION_ENTRY_NULL,
};

typedef struct Process {
    ClvLoop *loop;
    ClvHub *hub;
    int signals;
    gint64 watchdog_ms; /* 0: nobody watches */
    gboolean starving;  /* the watchdog was not fed the last time */
    ClvTimer *watchdog;
} Process;

/* ---- signals ---- */

static int
open_signals(void)
{
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGHUP);
    sigprocmask(SIG_BLOCK, &set, NULL);
    signal(SIGPIPE, SIG_IGN);
    return signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
}

static void
notify_systemd(const char *state)
{
#ifdef HAVE_SYSTEMD
    sd_notify(0, state);
#endif
}

/* ---- watchdog ---- */

/* How often to feed it: three times in the time that the service manager waits. */
static gint64
watchdog_interval_ms(void)
{
#ifdef HAVE_SYSTEMD
    uint64_t us = 0;

    if (sd_watchdog_enabled(0, &us) > 0)
        return MAX((gint64)(us / 3000), 50);
#endif
    return 0;
}

/* This timer proves that signalling goes on; the ticks prove that each media thread does. */
static void
watchdog_due(void *user)
{
    Process *process = user;
    gboolean alive = clv_hub_media_alive(process->hub);

    if (alive)
        notify_systemd("WATCHDOG=1");
    if (alive == process->starving)
        clv_log(alive ? CLV_LOG_NOTICE : CLV_LOG_ERROR, NULL, "watchdog",
                alive ? "all media threads tick again"
                      : "a media thread has stopped ticking; the watchdog is not fed");
    process->starving = !alive;
    process->watchdog = clv_loop_timer(process->loop, process->watchdog_ms, watchdog_due, process);
}

static void
start_watchdog(Process *process)
{
    process->watchdog_ms = watchdog_interval_ms();
    if (process->watchdog_ms > 0)
        process->watchdog =
            clv_loop_timer(process->loop, process->watchdog_ms, watchdog_due, process);
}

static void
signal_ready(void *user)
{
    Process *process = user;
    struct signalfd_siginfo info;

    while (read(process->signals, &info, sizeof info) == sizeof info) {
        if (info.ssi_signo == SIGHUP) {
            clv_hub_reload(process->hub, NULL);
            continue;
        }
        clv_log(CLV_LOG_NOTICE, NULL, "stopping", "stopping: no new calls, ending conferences");
        notify_systemd("STOPPING=1");
        clv_hub_shutdown(process->hub);
    }
}

/* ---- start ---- */

/* Each participant costs two sockets. */
static void
raise_file_limit(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
}

static int
print_errors(GPtrArray *errors)
{
    for (guint i = 0; i < errors->len; i++)
        fprintf(stderr, "%s\n", (const char *)g_ptr_array_index(errors, i));
    return EXIT_FAILURE;
}

static void
log_ready(const ClvHub *hub)
{
    for (const char *const *l = clv_hub_listening(hub); *l != NULL; l++)
        clv_log(CLV_LOG_NOTICE, NULL, "listening", "listening on %s", *l);
    clv_log(CLV_LOG_NOTICE, NULL, "ready", "ready: factory %s, KMS %s",
            clv_hub_factory_uri(hub) != NULL ? clv_hub_factory_uri(hub) : "(none)",
            clv_hub_kms_url(hub));
}

/* One line on stdout for whoever waits for us: a script, a test. */
static void
print_ready(const ClvHub *hub)
{
    printf("ready");
    for (const char *const *l = clv_hub_listening(hub); *l != NULL; l++)
        printf(" %s", *l);
    printf(" kms:%s\n", clv_hub_kms_url(hub));
    fflush(stdout);
    notify_systemd("READY=1");
}

static int
check_config(const char *path)
{
    g_autoptr(GPtrArray) errors = g_ptr_array_new_with_free_func(g_free);
    g_autoptr(GPtrArray) warnings = g_ptr_array_new_with_free_func(g_free);
    gboolean good = clv_config_check(path, errors, warnings);

    for (guint i = 0; i < warnings->len; i++)
        fprintf(stderr, "warning: %s\n", (const char *)g_ptr_array_index(warnings, i));
    return good ? EXIT_SUCCESS : print_errors(errors);
}

static int
serve(Process *process)
{
    int watch;

    log_ready(process->hub);
    watch = clv_loop_watch(process->loop, process->signals, signal_ready, process);
    print_ready(process->hub);
    start_watchdog(process);
    clv_loop_run(process->loop);
    clv_timer_cancel(process->watchdog);
    clv_loop_unwatch(process->loop, watch);
    clv_log(CLV_LOG_NOTICE, NULL, "stopped", "stopped");
    return EXIT_SUCCESS;
}

static void
say_why(const char *message)
{
    g_autofree char *text = clv_config_with_lines(option_config, message);

    fprintf(stderr, "conclaved: cannot start:\n%s\n", text);
}

static int
run(const ClvConfig *config)
{
    g_autoptr(GError) error = NULL;
    Process process = {.signals = open_signals()};
    int status = EXIT_FAILURE;

    if (!clv_secret_init(SECURE_HEAP_BYTES, &error)) {
        clv_log(CLV_LOG_WARNING, NULL, "secure-heap", "%s", error->message);
        g_clear_error(&error);
    }
    process.loop = clv_loop_new(&error);
    if (process.loop != NULL)
        process.hub = clv_hub_new(process.loop, config, &error);
    if (process.hub != NULL)
        status = serve(&process);
    else
        say_why(error->message);
    clv_hub_free(process.hub);
    clv_loop_free(process.loop);
    close(process.signals);
    return status;
}

int
main(int argc, char **argv)
{
    g_autoptr(GOptionContext) context = g_option_context_new("- secure SIP conference server");
    g_autoptr(GPtrArray) errors = g_ptr_array_new_with_free_func(g_free);
    g_autoptr(GError) error = NULL;
    ClvConfig config;
    int status;

    g_option_context_add_main_entries(context, entries, NULL);
    if (!g_option_context_parse(context, &argc, &argv, &error)) {
        fprintf(stderr, "conclaved: %s\n", error->message);
        return 2;
    }
    if (argc > 1) {
        fprintf(stderr, "conclaved: found '%s', expected options alone, see --help\n", argv[1]);
        return 2;
    }
    if (option_version) {
        printf("conclaved %s\n", PACKAGE_VERSION);
        return EXIT_SUCCESS;
    }
    if (option_check)
        return check_config(option_config);
    if (!clv_config_load(&config, option_config, errors))
        return print_errors(errors);
    raise_file_limit();
    clv_log_init((ClvLogLevel)config.log_level, config.log_privacy, config.log_journal);
    status = run(&config);
    clv_config_clear(&config);
    return status;
}
