/* SPDX-License-Identifier: Apache-2.0 */
/* kms/metrics.c - what the KMS does, in numbers for Prometheus */
#include "config.h"

#include "kms/metrics.h"

static const gint64 limits_us[CLV_KMS_N_SERVED - 1] = {50,   100,  250,   500,   1000,
                                                       2500, 5000, 25000, 100000};
static const char *const kinds[CLV_KMS_N_KINDS] = {"request", "resolve"};
static const char *const verdicts[CLV_KMS_N_VERDICTS] = {"granted", "refused", "repeated"};

void
clv_kms_metrics_add(gint64 *counter, gint64 n)
{
    __atomic_fetch_add(counter, n, __ATOMIC_RELAXED);
}

static gint64
get(const gint64 *counter)
{
    return __atomic_load_n(counter, __ATOMIC_RELAXED);
}

void
clv_kms_metrics_took(ClvKmsMetrics *metrics, gint64 us)
{
    guint i = 0;

    while (i < G_N_ELEMENTS(limits_us) && us > limits_us[i])
        i++;
    clv_kms_metrics_add(&metrics->latency[i], 1);
    clv_kms_metrics_add(&metrics->latency_sum_us, us);
}

static void
head(GString *out, const char *name, const char *type, const char *help)
{
    g_string_append_printf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void
add_messages(GString *out, const ClvKmsServiceState *state)
{
    head(out, "conclave_kms_messages_total", "counter", "Messages by kind and verdict.");
    for (guint k = 0; k < CLV_KMS_N_KINDS; k++)
        for (guint v = 0; v < CLV_KMS_N_VERDICTS; v++)
            g_string_append_printf(
                out,
                "conclave_kms_messages_total{kind=\"%s\",verdict=\"%s\"} %" G_GUINT64_FORMAT "\n",
                kinds[k], verdicts[v], state->messages[k][v]);
    head(out, "conclave_kms_errors_total", "counter", "Error messages by their number.");
    for (guint i = 0; i < CLV_KMS_N_ERRORS; i++)
        g_string_append_printf(out,
                               "conclave_kms_errors_total{number=\"%u\"} %" G_GUINT64_FORMAT "\n",
                               i, state->errors[i]);
}

static void
add_latency(GString *out, const ClvKmsMetrics *metrics)
{
    const char *name = "conclave_kms_seconds";
    gint64 n = 0;

    head(out, name, "histogram", "Time from the last octet of a message to its answer.");
    for (guint i = 0; i < CLV_KMS_N_SERVED; i++) {
        n += get(&metrics->latency[i]);
        if (i < G_N_ELEMENTS(limits_us))
            g_string_append_printf(out, "%s_bucket{le=\"%.6f\"} %" G_GINT64_FORMAT "\n", name,
                                   (double)limits_us[i] / G_USEC_PER_SEC, n);
        else
            g_string_append_printf(out, "%s_bucket{le=\"+Inf\"} %" G_GINT64_FORMAT "\n", name, n);
    }
    g_string_append_printf(out, "%s_sum %.6f\n%s_count %" G_GINT64_FORMAT "\n", name,
                           (double)get(&metrics->latency_sum_us) / G_USEC_PER_SEC, name, n);
}

static void
add_one(GString *out, const char *name, const char *type, const char *help, gint64 value)
{
    head(out, name, type, help);
    g_string_append_printf(out, "%s %" G_GINT64_FORMAT "\n", name, value);
}

typedef struct Relayed {
    GString *asked, *answers, *sum, *count;
} Relayed;

static void
add_peer(const char *peer, guint64 asked, const guint64 *counts, gint64 latency_sum_us,
         gpointer user)
{
    static const char *const words[CLV_KMS_N_RELAY_VERDICTS] = {
        [CLV_KMS_RELAY_RESOLVED] = "resolved",
        [CLV_KMS_RELAY_REFUSED] = "refused",
        [CLV_KMS_RELAY_FAILED] = "failed",
    };
    const Relayed *r = user;

    g_string_append_printf(
        r->asked, "conclave_kms_relays_total{peer=\"%s\"} %" G_GUINT64_FORMAT "\n", peer, asked);
    for (guint v = 0; v < CLV_KMS_N_RELAY_VERDICTS; v++)
        g_string_append_printf(r->answers,
                               "conclave_kms_relay_answers_total{peer=\"%s\",verdict=\"%s\"} "
                               "%" G_GUINT64_FORMAT "\n",
                               peer, words[v], counts[v]);
    g_string_append_printf(r->sum, "conclave_kms_relay_seconds_sum{peer=\"%s\"} %.6f\n", peer,
                           (double)latency_sum_us / G_USEC_PER_SEC);
    g_string_append_printf(r->count,
                           "conclave_kms_relay_seconds_count{peer=\"%s\"} %" G_GUINT64_FORMAT "\n",
                           peer, asked);
}

/* What was sent to other KMSs; one that was never asked has no line. */
static void
add_relays(GString *out, ClvKmsRelays *relays)
{
    g_autoptr(GString) asked = g_string_new(NULL);
    g_autoptr(GString) answers = g_string_new(NULL);
    g_autoptr(GString) sum = g_string_new(NULL);
    g_autoptr(GString) count = g_string_new(NULL);
    Relayed r = {asked, answers, sum, count};

    clv_kms_relays_tallies(relays, add_peer, &r);
    head(out, "conclave_kms_relays_total", "counter", "Resolves that another KMS was asked for.");
    g_string_append(out, asked->str);
    head(out, "conclave_kms_relay_answers_total", "counter",
         "What became of them; failed: no answer, or none that is any good.");
    g_string_append(out, answers->str);
    head(out, "conclave_kms_relay_seconds", "summary", "Time until that was known.");
    g_string_append(out, sum->str);
    g_string_append(out, count->str);
}

char *
clv_kms_metrics_text(const ClvKmsMetrics *metrics, const ClvKmsServiceState *state,
                     ClvKmsRelays *relays, gint64 now_us)
{
    GString *out = g_string_new(NULL);

    add_messages(out, state);
    add_latency(out, metrics);
    add_relays(out, relays);
    add_one(out, "conclave_kms_http_refused_total", "counter",
            "HTTP requests refused before the message was looked at.", get(&metrics->http_refused));
    add_one(out, "conclave_kms_rate_limited_total", "counter", "Messages over a rate limit.",
            get(&metrics->limited) + (gint64)state->limited);
    add_one(out, "conclave_kms_connections", "gauge", "Open connections.",
            get(&metrics->connections));
    add_one(out, "conclave_kms_connections_cut_total", "counter",
            "Idle connections that made room for others.", get(&metrics->cut));
    add_one(out, "conclave_kms_audit_failures_total", "counter",
            "Decisions that the audit file could not take at once.", get(&metrics->audit_failures));
    add_one(out, "conclave_kms_untold_total", "counter",
            "Refusals of strangers, or above a user's rate, that share a line with others.",
            get(&metrics->untold));
    add_one(out, "conclave_kms_replay_entries", "gauge", "Messages remembered against replay.",
            state->replay_entries);
    add_one(out, "conclave_kms_users", "gauge", "Users in the key file.", state->users);
    add_one(out, "conclave_kms_services", "gauge", "Services in the key file.", state->services);
    add_one(out, "conclave_kms_conferences", "gauge", "Conferences that are announced.",
            state->conferences);
    add_one(out, "conclave_kms_ticket_keys", "gauge", "Ticket protection keys kept.", state->tpks);
    if (state->tpk_made_s > 0)
        add_one(out, "conclave_kms_ticket_key_age_seconds", "gauge",
                "Age of the newest ticket protection key.",
                now_us / G_USEC_PER_SEC - state->tpk_made_s);
    return g_string_free(out, FALSE);
}
