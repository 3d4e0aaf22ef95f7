/* SPDX-License-Identifier: Apache-2.0 */
/* kms/target.c - one address of the KMS: its breaker and its counters
 *
 * After so many failures in a row nobody is sent for a while, then one to look; that one closes the
 * breaker or leaves it open for another while.
 */
#include "config.h"

#include "kms/target.h"

/* Upper limits of all but the last bucket, which takes the rest. */
const gint64 clv_kms_latency_limits_us[CLV_KMS_N_LATENCIES - 1] = {
    1000, 2500, 5000, 10000, 25000, 50000, 100000, 250000, 500000, 1000000, 2500000, 5000000,
};

void
clv_kms_target_init(ClvKmsTarget *target, const char *url, guint limit, gint64 open_us)
{
    *target = (ClvKmsTarget){.url = g_strdup(url), .limit = limit, .open_us = open_us};
    target->state.url = target->url;
}

void
clv_kms_target_clear(ClvKmsTarget *target)
{
    g_clear_pointer(&target->url, g_free);
}

gboolean
clv_kms_target_take_probe(ClvKmsTarget *target, gint64 now_us)
{
    if (clv_kms_target_closed(target) || target->probing || now_us < target->probe_at_us)
        return FALSE;
    target->probing = TRUE;
    return TRUE;
}

void
clv_kms_target_give_back(ClvKmsTarget *target)
{
    target->probing = FALSE;
}

gboolean
clv_kms_code_is_outage(ClvCode code)
{
    return code == CLV_CODE_KMS_TIMEOUT || code == CLV_CODE_KMS_DOWN;
}

static void
move_breaker(ClvKmsTarget *target, gboolean good, gboolean probe, gint64 now_us)
{
    if (probe)
        target->probing = FALSE;
    if (good) {
        target->state.failures_in_row = 0;
        target->probe_at_us = 0;
        return;
    }
    target->state.failures_in_row++;
    /* those that were under way when it opened do not prolong it */
    if (probe || (clv_kms_target_closed(target) && target->state.failures_in_row >= target->limit))
        target->probe_at_us = now_us + target->open_us;
}

static void
count_latency(ClvKmsUrlState *state, gint64 latency_us)
{
    guint bucket = 0;

    while (bucket < CLV_KMS_N_LATENCIES - 1 && latency_us > clv_kms_latency_limits_us[bucket])
        bucket++;
    state->latencies[bucket]++;
    state->latency_sum_us += (guint64)MAX(latency_us, 0);
    state->last_latency_us = latency_us;
}

void
clv_kms_target_report(ClvKmsTarget *target, ClvCode code, const char *detail, gboolean probe,
                      gint64 latency_us, gint64 now_us)
{
    ClvKmsUrlState *state = &target->state;

    state->requests++;
    if (code != CLV_CODE_OK) {
        state->failures++;
        g_strlcpy(state->last_error, detail != NULL ? detail : "", sizeof state->last_error);
    }
    if (code == CLV_CODE_KMS_TIMEOUT)
        state->timeouts++;
    count_latency(state, latency_us);
    move_breaker(target, !clv_kms_code_is_outage(code), probe, now_us);
}

void
clv_kms_target_state(const ClvKmsTarget *target, gint64 now_us, ClvKmsUrlState *out)
{
    *out = target->state;
    if (clv_kms_target_closed(target))
        out->breaker = CLV_KMS_BREAKER_CLOSED;
    else if (target->probing || now_us >= target->probe_at_us)
        out->breaker = CLV_KMS_BREAKER_HALF_OPEN;
    else
        out->breaker = CLV_KMS_BREAKER_OPEN;
    if (out->breaker == CLV_KMS_BREAKER_OPEN)
        out->retry_in_ms = (target->probe_at_us - now_us + 999) / 1000;
}
