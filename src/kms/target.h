/* SPDX-License-Identifier: Apache-2.0 */
/* kms/target.h - one address of the KMS: may it be asked now, and how has it done so far?
 *
 * A circuit breaker and counters. Inside of the room; pure: the time is passed in. The client keeps
 * its targets behind its own lock.
 */
#pragma once

#include "kms/kms.h"

typedef struct ClvKmsTarget {
    char *url;
    guint limit;        /* failures in a row that open the breaker */
    gint64 open_us;     /* how long it stays open */
    gint64 probe_at_us; /* 0: closed */
    gboolean probing;   /* half open, and the one request that looks is under way */
    ClvKmsUrlState state;
} ClvKmsTarget;

void clv_kms_target_init(ClvKmsTarget *target, const char *url, guint limit, gint64 open_us);
void clv_kms_target_clear(ClvKmsTarget *target);

static inline gboolean
clv_kms_target_closed(const ClvKmsTarget *target)
{
    return target->probe_at_us == 0;
}

/* Open for long enough: takes the right to look, which clv_kms_target_report() or
 * clv_kms_target_give_back() returns. */
gboolean clv_kms_target_take_probe(ClvKmsTarget *target, gint64 now_us);
void clv_kms_target_give_back(ClvKmsTarget *target);

/* Is this how an outage looks, or did a KMS that works say something we do not like? */
gboolean clv_kms_code_is_outage(ClvCode code);

/* What came of one request. @detail: (nullable) */
void clv_kms_target_report(ClvKmsTarget *target, ClvCode code, const char *detail, gboolean probe,
                           gint64 latency_us, gint64 now_us);
void clv_kms_target_state(const ClvKmsTarget *target, gint64 now_us, ClvKmsUrlState *out);
