/* SPDX-License-Identifier: Apache-2.0 */
/* daemon/start.c - the rooms are opened in order, and closed in the reverse of it */
#include "daemon/hub-private.h"

#include "daemon/watch.h"

#define STOP_MS 2000
#define STOP_POLL_MS 20

static void
files_changed(void *user)
{
    clv_hub_reload(user, NULL);
}

/* ---- start ---- */

static gboolean
first_policy(ClvHub *hub, GError **error)
{
    g_autoptr(GPtrArray) errors = g_ptr_array_new_with_free_func(g_free);
    g_autofree char *text = NULL;

    hub->policy = clv_policy_load(hub->config->policy_file, hub->config->policy_dir, errors);
    if (hub->policy != NULL) {
        hub_log_warnings(hub->policy);
        hub->policy_snapshot = 1;
        return TRUE;
    }
    g_ptr_array_add(errors, NULL);
    text = g_strjoinv("\n", (char **)errors->pdata);
    g_set_error_literal(error, CLV_CONTROL_ERROR, 0, text);
    return FALSE;
}

static gboolean
open_media_room(ClvHub *hub, GError **error)
{
    const ClvConfig *c = hub->config;
    ClvMediaConfig media = {
        .threads = (guint)c->media_threads,
        .port_first = (guint16)c->port_first,
        .port_last = (guint16)c->port_last,
        .max_legs = (guint)c->max_calls,
        .use_libsrtp = c->transform == 1,
        .silence_ms = c->silence_ms,
        .realtime = c->media_realtime,
        .cname = "conclave",
        .prompts_dir = c->prompts,
    };

    hub->media = clv_media_new(&media, error);
    if (hub->media == NULL)
        return FALSE;
    hub->media_watch =
        clv_loop_watch(hub->loop, clv_media_event_fd(hub->media), hub_media_ready, hub);
    return TRUE;
}

static gboolean
open_sip_room(ClvHub *hub, GError **error)
{
    const ClvConfig *c = hub->config;
    ClvSipConfig sip = {
        .listen = c->listen,
        .tls_dir = c->tls_dir,
        .tls_ciphers = c->tls_ciphers,
        .tls_ask_client_cert = c->tls_ask_client_cert,
        .trusted_peers = c->trusted_peers,
        .realm = c->realm,
        .digest_sha256 = c->digest_sha256,
        .users_file = c->users_file,
        .resolv_conf = c->resolv_conf,
        .session_expires_s = c->session_expires_ms / 1000,
        .min_se_s = c->min_se_ms / 1000,
        .max_message_bytes = (guint)c->max_message,
        .max_calls = (guint)c->max_calls,
        .max_invites_per_s = (guint)c->max_invites,
        .idle_ms = c->idle_ms,
        .max_connections = (guint)c->max_connections,
        .outbound = c->outbound,
        .ims = c->ims,
    };

    hub->sip = clv_sip_new(hub->loop, &sip, &hub_sip_handlers, hub, error);
    return hub->sip != NULL;
}

static gboolean
open_metrics(ClvHub *hub, GError **error)
{
    const ClvConfig *c = hub->config;

    if (c->metrics_listen == NULL)
        return TRUE;
    hub->metrics = clv_metrics_port_new(hub->loop, c->metrics_listen, c->metrics_remote,
                                        figures_render, hub, error);
    if (hub->metrics == NULL)
        return FALSE;
    clv_log(CLV_LOG_NOTICE, NULL, "metrics", "metrics on %s", clv_metrics_port_url(hub->metrics));
    return TRUE;
}

static gboolean
open_engines(ClvHub *hub, GError **error)
{
    const char *files[] = {hub->config->policy_file, hub->config->policy_dir,
                           hub->config->users_file, hub->config->embedded_keys,
                           hub->config->kms_psk_file};

    if (!clv_keymgmt_self_test(error) || !first_policy(hub, error) ||
        !kms_open(&hub->kms, hub->config, error) || !open_media_room(hub, error) ||
        !open_sip_room(hub, error))
        return FALSE;
    hub->kms_watch =
        clv_loop_watch(hub->loop, clv_kms_client_event_fd(hub->kms.client), ask_ready, hub);
    hub->control = clv_control_new(hub->loop, hub->config->control_socket,
                                   hub->config->control_group, console_handle, hub, error);
    if (hub->control == NULL || !open_metrics(hub, error))
        return FALSE;
    hub->watch = clv_watch_new(hub->loop, files, G_N_ELEMENTS(files), files_changed, hub);
    return TRUE;
}

ClvHub *
clv_hub_new(ClvLoop *loop, const ClvConfig *config, GError **error)
{
    ClvHub *hub = g_new0(ClvHub, 1);

    hub->loop = loop;
    hub->config = config;
    hub->started_us = hub_now();
    hub->legs = clv_id_table_new();
    hub->rooms = clv_id_table_new();
    hub->rooms_by_uri = g_hash_table_new(g_str_hash, g_str_equal);
    g_queue_init(&hub->events);
    ask_open(hub);
    announce_open(hub);
    refer_open(hub);
    pin_open(hub);
    if (!open_engines(hub, error)) {
        clv_hub_free(hub);
        return NULL;
    }
    rooms_open_scheduled(hub);
    store_load(hub);
    return hub;
}

/* ---- stop ---- */

static void
end_room(guint64 id, gpointer object, gpointer user)
{
    ClvEvent event = {.kind = CLV_EV_END, .cause = "shutdown"};

    hub_feed(user, id, &event);
}

static void
stop_poll(void *user)
{
    ClvHub *hub = user;
    ClvSipTotals totals;

    hub->stop_timer = NULL;
    clv_sip_totals(hub->sip, &totals);
    if ((totals.dialogs == 0 && clv_id_count(hub->legs) == 0) ||
        hub_now() - hub->started_us > STOP_MS * 1000) {
        clv_loop_quit(hub->loop);
        return;
    }
    hub->stop_timer = clv_loop_timer(hub->loop, STOP_POLL_MS, stop_poll, hub);
}

void
clv_hub_shutdown(ClvHub *hub)
{
    if (hub->stopping)
        return;
    store_flush(hub);
    hub->stopping = TRUE;
    clv_sip_refuse_new(hub->sip);
    clv_id_foreach(hub->rooms, end_room, hub);
    hub->started_us = hub_now();
    stop_poll(hub);
}

static void
free_leg(guint64 id, gpointer object, gpointer user)
{
    call_free(object);
}

static void
free_room(guint64 id, gpointer object, gpointer user)
{
    room_free(object);
}

/* The reverse of birth: control, sip, media, KMS. */
void
clv_hub_free(ClvHub *hub)
{
    if (hub == NULL)
        return;
    clv_timer_cancel(hub->stop_timer);
    store_close(hub);
    pin_close(hub);
    clv_watch_free(hub->watch);
    clv_control_free(hub->control);
    clv_metrics_port_free(hub->metrics);
    clv_sip_free(hub->sip);
    if (hub->media != NULL) {
        clv_loop_unwatch(hub->loop, hub->media_watch);
        clv_media_free(hub->media);
    }
    if (hub->kms_watch > 0)
        clv_loop_unwatch(hub->loop, hub->kms_watch);
    refer_close(hub);
    clv_id_foreach(hub->legs, free_leg, NULL);
    clv_id_foreach(hub->rooms, free_room, NULL);
    kms_close(&hub->kms);
    ask_close(hub);
    announce_close(hub);
    clv_policy_unref(hub->policy);
    clv_id_table_free(hub->legs);
    clv_id_table_free(hub->rooms);
    g_hash_table_unref(hub->rooms_by_uri);
    g_free(hub);
}

const char *const *
clv_hub_listening(const ClvHub *hub)
{
    return clv_sip_listening(hub->sip);
}

const char *
clv_hub_kms_url(const ClvHub *hub)
{
    return hub->kms.url;
}

const char *
clv_hub_factory_uri(const ClvHub *hub)
{
    return clv_policy_n_factories(hub->policy) > 0 ? clv_policy_factory(hub->policy, 0)->uris[0]
                                                   : NULL;
}

gboolean
clv_hub_media_alive(ClvHub *hub)
{
    return clv_media_alive(hub->media);
}
