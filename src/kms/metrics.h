/* SPDX-License-Identifier: Apache-2.0 */
/* kms/metrics.h - what the KMS does, in numbers for Prometheus; inside of the room
 *
 * Counted with atomics by any thread.
 */
#pragma once

#include "kms/kms.h"
#include "kms/relay.h"

#define CLV_KMS_N_SERVED 10

typedef struct ClvKmsMetrics {
    gint64 latency[CLV_KMS_N_SERVED]; /* the last one holds all that took longer */
    gint64 latency_sum_us;
    gint64 http_refused; /* before the logic saw them */
    gint64 limited;      /* by rate= */
    gint64 cut;          /* connections that made room for others */
    gint64 connections;
    gint64 audit_failures;
    gint64 untold; /* refusals of strangers without a line of their own */
} ClvKmsMetrics;

void clv_kms_metrics_add(gint64 *counter, gint64 n);
void clv_kms_metrics_took(ClvKmsMetrics *metrics, gint64 us);
/* Returns: (transfer full): the text format of Prometheus */
char *clv_kms_metrics_text(const ClvKmsMetrics *metrics, const ClvKmsServiceState *state,
                           ClvKmsRelays *relays, gint64 now_us);
