/* SPDX-License-Identifier: Apache-2.0 */
/* base/replay.h - has this message been seen within the clock skew?
 *
 * A bounded memory of digests (RFC 3830 section 5.4, RFC 6043 section 5.1). When it is full, new
 * messages are refused rather than old ones forgotten. No clock of its own; one owner thread.
 */
#pragma once

#include <glib.h>

typedef struct ClvReplay ClvReplay;

/* max_entries: at most this many live digests. */
ClvReplay *clv_replay_new(guint max_entries);
void clv_replay_free(ClvReplay *replay);

typedef enum ClvReplayVerdict { CLV_REPLAY_FRESH, CLV_REPLAY_SEEN, CLV_REPLAY_FULL } ClvReplayVerdict;

/* Looks up and, when fresh, inserts; the entry lives until expires_us (same clock as now_us). */
ClvReplayVerdict clv_replay_check(ClvReplay *replay, const guint8 digest[32], gint64 now_us,
                                  gint64 expires_us);
/* Looks up only: for refusing early what is inserted once it has been verified. */
gboolean clv_replay_contains(const ClvReplay *replay, const guint8 digest[32], gint64 now_us);
guint clv_replay_size(const ClvReplay *replay);
