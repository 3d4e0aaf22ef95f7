/* SPDX-License-Identifier: Apache-2.0 */
/* kms/rate.h - is this one asking too often? inside of the room
 *
 * Token buckets: so many a second in the long run, twice as many at once. One for each name; as
 * many names as the caller lets in. Thread safe; no clock.
 */
#pragma once

#include <glib.h>

typedef struct ClvKmsRates ClvKmsRates;

ClvKmsRates *clv_kms_rates_new(void);
void clv_kms_rates_free(ClvKmsRates *rates);
/* per_s: 0: no limit. Returns: whether there was a token; it is taken */
gboolean clv_kms_rates_take(ClvKmsRates *rates, const char *name, gint64 per_s, gint64 now_us);
/* Everybody begins with a full bucket again. */
void clv_kms_rates_clear(ClvKmsRates *rates);
