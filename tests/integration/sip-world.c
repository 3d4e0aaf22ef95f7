/* SPDX-License-Identifier: Apache-2.0 */
/* sip-world.c - see sip-world.h */
#include "config.h"

#include "sip-world.h"

static void
start(World *w)
{
    char *listen[] = {"udp:127.0.0.1:0", "tcp:127.0.0.1:0", NULL};
    g_autoptr(GError) error = NULL;

    w->config.listen = listen;
    w->hub.sip = clv_sip_new(w->loop, &w->config, &hub_handlers, &w->hub, &error);
    g_assert_no_error(error);
    for (const char *const *l = clv_sip_listening(w->hub.sip); *l != NULL; l++) {
        char **slot = (*l)[0] == 'u' ? &w->udp : &w->tcp;

        g_free(*slot);
        *slot = g_strdup(*l);
    }
    if (w->bob != NULL)
        raw_peer_free(w->bob);
    g_free(w->bob_uri);
    w->bob = raw_peer_new(w->loop, w->udp, NULL);
    w->bob_uri = g_strdup_printf("sip:bob@%s", raw_peer_address(w->bob));
}

void
world_setup(World *w, gconstpointer unused)
{
    w->loop = clv_loop_new(NULL);
    hub_init(&w->hub);
    w->config = (ClvSipConfig){
        .realm = "conclave",
        .session_expires_s = 1800,
        .min_se_s = 90,
        .max_message_bytes = 65536,
        .idle_ms = 5000,
        .max_connections = 1000,
        .t1_ms = WORLD_T1_MS,
    };
    start(w);
}

void
world_restart(World *w)
{
    clv_sip_free(w->hub.sip);
    start(w);
}

void
world_teardown(World *w, gconstpointer unused)
{
    clv_sip_free(w->hub.sip);
    hub_clear(&w->hub);
    raw_peer_free(w->bob);
    g_free(w->bob_uri);
    g_free(w->udp);
    g_free(w->tcp);
    clv_loop_free(w->loop);
}

typedef struct Wanted {
    World *w;
    const char *events;
} Wanted;

static gboolean
has_events(void *user)
{
    const Wanted *wanted = user;

    return strcmp(wanted->w->hub.events->str, wanted->events) == 0;
}

void
world_expect(World *w, const char *events)
{
    Wanted wanted = {w, events};

    if (!raw_run_until(w->loop, has_events, &wanted, 5000))
        g_error("events are '%s', expected '%s'", w->hub.events->str, events);
}

void
world_forget(World *w)
{
    g_string_truncate(w->hub.events, 0);
}

void
world_expect_silence(RawPeer *peer, gint64 ms)
{
    g_autofree char *message = raw_peer_receive(peer, ms);

    if (message != NULL)
        g_error("unexpected\n%s", message);
}

guint
world_dialogs(World *w)
{
    ClvSipTotals totals;

    clv_sip_totals(w->hub.sip, &totals);
    return totals.dialogs;
}

static gboolean
is_empty(void *user)
{
    World *w = user;
    ClvSipTotals totals;

    clv_sip_totals(w->hub.sip, &totals);
    return totals.dialogs == 0 && totals.lingering == 0 && totals.referrals == 0;
}

void
world_expect_empty(World *w)
{
    ClvSipTotals totals;

    if (raw_run_until(w->loop, is_empty, w, 6000))
        return;
    clv_sip_totals(w->hub.sip, &totals);
    g_error("left behind: %u dialogs, %u lingering, %u referrals", totals.dialogs, totals.lingering,
            totals.referrals);
}

char *
world_next(World *w, RawPeer *peer, const char *method)
{
    gint64 deadline_us = g_get_monotonic_time() + 5 * G_USEC_PER_SEC;

    while (g_get_monotonic_time() < deadline_us) {
        char *message = raw_peer_receive(peer, 4000);

        if (message != NULL && g_str_has_prefix(message, method))
            return message;
        g_free(message);
    }
    g_error("no %s came", method);
}

char *
world_uri(World *w, const char *user)
{
    return g_strdup_printf("sip:%s@%s", user, strchr(w->udp, ':') + 1);
}

void
world_establish(World *w, RawCall *call, RawPeer *peer, const char *extra)
{
    g_autofree char *uri = world_uri(w, "abc.conf");

    raw_call_init(call, peer, uri);
    raw_call_send(call, "INVITE", extra, WORLD_OFFER);
    g_free(raw_call_expect(call, 180));
    g_free(raw_call_expect(call, 200));
    raw_call_ack(call, NULL);
    world_expect(w, "invite confirmed");
    world_forget(w);
}
