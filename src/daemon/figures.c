/* SPDX-License-Identifier: Apache-2.0 */
/* daemon/figures.c - what this process tells Prometheus about itself */
#include <config.h>

#include "daemon/hub-private.h"

#define SECONDS(us) ((double)(us) / G_USEC_PER_SEC)

static void
add_hub(ClvMetrics *m, ClvHub *hub)
{
    clv_metrics_family(m, "conclave_info", "gauge", "The version that runs.");
    clv_metrics_sample(m, NULL, 1, "version", PACKAGE_VERSION, NULL);
    clv_metrics_one(m, "conclave_uptime_seconds", "gauge", "Time since the start.",
                    SECONDS(hub_now() - hub->started_us));
    clv_metrics_one(m, "conclave_conferences", "gauge", "Conferences that exist.",
                    clv_id_count(hub->rooms));
    clv_metrics_one(m, "conclave_conferences_total", "counter", "Conferences there have been.",
                    (double)hub->n_conferences);
    clv_metrics_one(m, "conclave_legs", "gauge", "Calls that exist.", clv_id_count(hub->legs));
    clv_metrics_one(m, "conclave_joins_total", "counter", "Participants who came in.",
                    (double)hub->n_joins);
    clv_metrics_one(m, "conclave_calls_refused_total", "counter",
                    "Calls refused by a conference, its keys or its policy.",
                    (double)hub->n_refused);
}

static void
add_sip(ClvMetrics *m, ClvHub *hub)
{
    ClvSipTotals sip;

    clv_sip_totals(hub->sip, &sip);
    clv_metrics_one(m, "conclave_sip_dialogs", "gauge", "SIP dialogs that exist.", sip.dialogs);
    clv_metrics_one(m, "conclave_sip_connections", "gauge", "TCP and TLS connections.",
                    sip.connections);
    clv_metrics_one(m, "conclave_sip_invites_total", "counter", "INVITEs outside of dialogs.",
                    (double)sip.invites);
    clv_metrics_family(m, "conclave_sip_refusals_total", "counter",
                       "Final answers that refuse, by SIP status; 401 is a challenge.");
    for (guint i = 0; i < G_N_ELEMENTS(sip.refused_by); i++) {
        g_autofree char *status = g_strdup_printf("%u", 400 + i);

        if (sip.refused_by[i] > 0)
            clv_metrics_sample(m, NULL, (double)sip.refused_by[i], "status", status, NULL);
    }
    clv_metrics_one(m, "conclave_sip_retransmissions_total", "counter", "Requests that came again.",
                    (double)sip.retransmitted);
    clv_metrics_one(m, "conclave_sip_malformed_total", "counter", "Messages that are no SIP.",
                    (double)sip.malformed);
}

static void
add_packets(ClvMetrics *m, const ClvMediaTotals *t)
{
    const struct {
        const char *kind;
        guint64 n;
    } kinds[] = {
        {"unauthentic", t->rx_auth_failed},
        {"replayed", t->rx_replayed},
        {"clear", t->rx_clear},
        {"malformed", t->rx_malformed},
        {"late", t->rx_late},
        {"duplicate", t->rx_duplicate},
        {"wrong-source", t->rx_wrong_source},
    };

    clv_metrics_family(m, "conclave_media_packets_total", "counter",
                       "RTP packets sent, and received and authentic.");
    clv_metrics_sample(m, NULL, (double)t->rx_packets, "direction", "in", NULL);
    clv_metrics_sample(m, NULL, (double)t->tx_packets, "direction", "out", NULL);
    clv_metrics_family(m, "conclave_media_bytes_total", "counter", "Octets of these packets.");
    clv_metrics_sample(m, NULL, (double)t->rx_bytes, "direction", "in", NULL);
    clv_metrics_sample(m, NULL, (double)t->tx_bytes, "direction", "out", NULL);
    clv_metrics_one(m, "conclave_media_dropped_total", "counter",
                    "Packets that were thrown away, for whatever reason.", (double)t->dropped);
    clv_metrics_family(m, "conclave_media_refused_total", "counter",
                       "Packets that were not as they should be, by kind.");
    for (guint i = 0; i < G_N_ELEMENTS(kinds); i++)
        clv_metrics_sample(m, NULL, (double)kinds[i].n, "kind", kinds[i].kind, NULL);
    clv_metrics_one(m, "conclave_media_concealed_total", "counter",
                    "Frames made up for packets that did not come in time.", (double)t->concealed);
}

static void
add_media(ClvMetrics *m, ClvHub *hub)
{
    ClvMediaTotals t;

    clv_media_totals(hub->media, &t);
    clv_metrics_one(m, "conclave_media_legs", "gauge", "Calls with media.", t.legs);
    add_packets(m, &t);
    clv_metrics_one(m, "conclave_media_ticks_total", "counter",
                    "Ticks of 20 ms of the media thread that has ticked least.", (double)t.ticks);
    clv_metrics_one(m, "conclave_media_late_ticks_total", "counter",
                    "Ticks that were due while another one was still running.",
                    (double)t.ticks_late);
    clv_metrics_one(m, "conclave_media_busy_seconds_total", "counter",
                    "Time spent in ticks, over all media threads.", (double)t.busy_ns / 1e9);
    clv_metrics_family(m, "conclave_media_tick_seconds", "gauge",
                       "Time of one tick of the slowest media thread in the last minute.");
    clv_metrics_sample(m, NULL, SECONDS(t.tick_mean_us), "of", "mean", NULL);
    clv_metrics_sample(m, NULL, SECONDS(t.tick_worst_us), "of", "worst", NULL);
}

/* ---- KMS ---- */

typedef struct KmsFigure {
    const char *name, *type, *help;
    double (*value)(const ClvKmsUrlState *url);
} KmsFigure;

static double
requests_of(const ClvKmsUrlState *url)
{
    return (double)url->requests;
}

static double
failures_of(const ClvKmsUrlState *url)
{
    return (double)url->failures;
}

static double
timeouts_of(const ClvKmsUrlState *url)
{
    return (double)url->timeouts;
}

static double
in_row_of(const ClvKmsUrlState *url)
{
    return url->failures_in_row;
}

static double
preferred_of(const ClvKmsUrlState *url)
{
    return url->preferred;
}

static const KmsFigure kms_figures[] = {
    {"conclave_kms_requests_total", "counter", "Requests to this address.", requests_of},
    {"conclave_kms_failures_total", "counter", "Those that brought no MIKEY message.", failures_of},
    {"conclave_kms_timeouts_total", "counter",
     "Those of them that found nobody, nothing in time, or nonsense.", timeouts_of},
    {"conclave_kms_failures_in_row", "gauge", "Outages since the last answer.", in_row_of},
    {"conclave_kms_preferred", "gauge", "1: the next request goes here first.", preferred_of},
};

static void
add_breakers(ClvMetrics *m, const ClvKmsUrlState *urls, guint n)
{
    static const char *const words[] = {
        [CLV_KMS_BREAKER_CLOSED] = "closed",
        [CLV_KMS_BREAKER_HALF_OPEN] = "half-open",
        [CLV_KMS_BREAKER_OPEN] = "open",
    };

    clv_metrics_family(m, "conclave_kms_breaker", "gauge",
                       "1 for the state that the circuit breaker of this address is in.");
    for (guint i = 0; i < n; i++) {
        for (guint w = 0; w < G_N_ELEMENTS(words); w++)
            clv_metrics_sample(m, NULL, urls[i].breaker == w, "url", urls[i].url, "state", words[w],
                               NULL);
    }
}

static void
add_latency(ClvMetrics *m, const ClvKmsUrlState *url)
{
    char limit[G_ASCII_DTOSTR_BUF_SIZE];
    guint64 n = 0;

    for (guint i = 0; i < CLV_KMS_N_LATENCIES - 1; i++) {
        n += url->latencies[i];
        g_ascii_formatd(limit, sizeof limit, "%g", SECONDS(clv_kms_latency_limits_us[i]));
        clv_metrics_sample(m, "_bucket", (double)n, "url", url->url, "le", limit, NULL);
    }
    n += url->latencies[CLV_KMS_N_LATENCIES - 1];
    clv_metrics_sample(m, "_bucket", (double)n, "url", url->url, "le", "+Inf", NULL);
    clv_metrics_sample(m, "_sum", SECONDS(url->latency_sum_us), "url", url->url, NULL);
    clv_metrics_sample(m, "_count", (double)n, "url", url->url, NULL);
}

static void
add_list(ClvMetrics *m, ClvHub *hub)
{
    const struct {
        const char *name, *help;
        const guint64 *n;
    } kinds[] = {
        {"conclave_kms_announcements_total",
         "Conferences that the KMS was to take into its list, renewals too.", hub->n_announced},
        {"conclave_kms_withdrawals_total", "Conferences that the KMS was to take off its list.",
         hub->n_withdrawn},
    };

    clv_metrics_one(m, "conclave_kms_announced", "gauge",
                    "Conferences that the KMS has taken into its list.", announce_count(hub));
    for (gsize i = 0; i < G_N_ELEMENTS(kinds); i++) {
        clv_metrics_family(m, kinds[i].name, "counter", kinds[i].help);
        clv_metrics_sample(m, NULL, (double)kinds[i].n[TRUE], "result", "done", NULL);
        clv_metrics_sample(m, NULL, (double)kinds[i].n[FALSE], "result", "failed", NULL);
    }
}

static void
add_kms(ClvMetrics *m, ClvHub *hub)
{
    ClvKmsUrlState urls[CLV_KMS_MAX_URLS];
    guint n = clv_kms_client_n_urls(hub->kms.client);
    ClvKmsClientState all;

    clv_kms_client_state(hub->kms.client, &all);
    clv_metrics_one(m, "conclave_kms_outstanding", "gauge",
                    "Requests to the KMS that wait or are under way.", all.outstanding);
    for (guint i = 0; i < n; i++)
        clv_kms_client_url_state(hub->kms.client, i, &urls[i]);
    for (guint f = 0; f < G_N_ELEMENTS(kms_figures); f++) {
        clv_metrics_family(m, kms_figures[f].name, kms_figures[f].type, kms_figures[f].help);
        for (guint i = 0; i < n; i++)
            clv_metrics_sample(m, NULL, kms_figures[f].value(&urls[i]), "url", urls[i].url, NULL);
    }
    add_breakers(m, urls, n);
    clv_metrics_family(m, "conclave_kms_latency_seconds", "histogram",
                       "Time of one request to this address.");
    for (guint i = 0; i < n; i++)
        add_latency(m, &urls[i]);
    if (hub->config->kms_announce)
        add_list(m, hub);
}

static void
add_policy(ClvMetrics *m, ClvHub *hub)
{
    clv_metrics_one(m, "conclave_policy_snapshot", "gauge",
                    "Number of the policy in force: 1 at the start, one more after each reload.",
                    (double)hub->policy_snapshot);
    clv_metrics_family(m, "conclave_policy_reloads_total", "counter",
                       "Times that policy files were read again, by what came of it.");
    clv_metrics_sample(m, NULL, (double)(hub->policy_snapshot - 1), "result", "taken", NULL);
    clv_metrics_sample(m, NULL, (double)hub->policy_failures, "result", "refused", NULL);
    clv_metrics_one(m, "conclave_policy_good", "gauge",
                    "0: the files were wrong at the last reload, and an older policy is in force.",
                    !hub->policy_wrong);
    clv_metrics_one(m, "conclave_policy_factories", "gauge", "Factories of the policy in force.",
                    clv_policy_n_factories(hub->policy));
}

void
figures_render(ClvMetrics *metrics, void *user)
{
    ClvHub *hub = user;

    add_hub(metrics, hub);
    add_sip(metrics, hub);
    add_media(metrics, hub);
    add_kms(metrics, hub);
    add_policy(metrics, hub);
}
