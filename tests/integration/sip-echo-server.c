/* SPDX-License-Identifier: Apache-2.0 */
/* sip-echo-server.c - the sip room with a hub that says yes, for traffic generators and fuzzers
 *
 * usage: sip-echo-server [--tls-dir DIR] [--users FILE] [--trust PEER] [--digest] ADDRESS...
 * Prints what it listens on, and on SIGTERM or SIGINT its totals.
 */
#include "config.h"

#include "fake-hub.h"

#include <signal.h>
#include <stdio.h>
#include <sys/signalfd.h>
#include <unistd.h>

static void
on_signal(void *user)
{
    clv_loop_quit(user);
}

static int
watch_signals(ClvLoop *loop)
{
    sigset_t set;
    int fd;

    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigprocmask(SIG_BLOCK, &set, NULL);
    fd = signalfd(-1, &set, SFD_CLOEXEC);
    clv_loop_watch(loop, fd, on_signal, loop);
    return fd;
}

int
main(int argc, char **argv)
{
    g_autofree char *tls_dir = NULL, *users = NULL;
    g_auto(GStrv) trusted = NULL, listen = NULL;
    gboolean digest = FALSE;
    gint max_connections = 4096, idle_ms = 30000, session_s = 1800;
    const GOptionEntry options[] = {
        {"tls-dir", 0, 0, G_OPTION_ARG_FILENAME, &tls_dir, "", NULL},
        {"users", 0, 0, G_OPTION_ARG_FILENAME, &users, "", NULL},
        {"trust", 0, 0, G_OPTION_ARG_STRING_ARRAY, &trusted, "", NULL},
        {"digest", 0, 0, G_OPTION_ARG_NONE, &digest, "", NULL},
        {"max-connections", 0, 0, G_OPTION_ARG_INT, &max_connections, "", NULL},
        {"idle-ms", 0, 0, G_OPTION_ARG_INT, &idle_ms, "", NULL},
        {"session-s", 0, 0, G_OPTION_ARG_INT, &session_s, "", NULL},
        {G_OPTION_REMAINING, 0, 0, G_OPTION_ARG_STRING_ARRAY, &listen, NULL, NULL},
        {NULL, 0, 0, 0, NULL, NULL, NULL},
    };
    g_autoptr(GOptionContext) context = g_option_context_new("ADDRESS...");
    g_autoptr(GError) error = NULL;
    ClvSipConfig config = {0};
    ClvSipTotals totals;
    ClvLoop *loop;
    Hub hub;
    int signal_fd;

    g_option_context_add_main_entries(context, options, NULL);
    if (!g_option_context_parse(context, &argc, &argv, &error) ||
        (loop = clv_loop_new(&error)) == NULL) {
        fprintf(stderr, "%s\n", error->message);
        return 2;
    }

    hub_init(&hub);
    hub.mood = digest ? HUB_WANTS_DIGEST : HUB_ACCEPTS;
    config.listen = listen;
    config.tls_dir = tls_dir;
    config.tls_ask_client_cert = TRUE;
    config.trusted_peers = trusted;
    config.realm = "conclave";
    config.users_file = users;
    config.session_expires_s = session_s;
    config.min_se_s = 90;
    config.idle_ms = idle_ms;
    config.max_connections = (guint)max_connections;
    hub.sip = clv_sip_new(loop, &config, &hub_handlers, &hub, &error);
    if (hub.sip == NULL) {
        fprintf(stderr, "%s\n", error->message);
        return 2;
    }
    for (const char *const *l = clv_sip_listening(hub.sip); *l != NULL; l++)
        printf("listening %s\n", *l);
    fflush(stdout);

    signal_fd = watch_signals(loop);
    clv_loop_run(loop);

    clv_sip_totals(hub.sip, &totals);
    printf("invites %" G_GUINT64_FORMAT " calls %" G_GUINT64_FORMAT " alive %u dialogs %u "
           "connections %u refused %" G_GUINT64_FORMAT " malformed %" G_GUINT64_FORMAT
           " retransmitted %" G_GUINT64_FORMAT "\n",
           totals.invites, hub.n_calls, hub.n_alive, totals.dialogs, totals.connections,
           totals.refused, totals.malformed, totals.retransmitted);
    clv_sip_free(hub.sip);
    hub_clear(&hub);
    clv_loop_free(loop);
    close(signal_fd);
    return 0;
}
