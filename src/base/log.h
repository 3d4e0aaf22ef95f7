/* SPDX-License-Identifier: Apache-2.0 */
/* base/log.h - one line per decision, for people and for machines
 *
 * Structured logging to stderr or the journal. No function here takes a key.
 */
#pragma once

#include <glib.h>

typedef enum ClvLogLevel {
    CLV_LOG_ERROR,
    CLV_LOG_WARNING,
    CLV_LOG_NOTICE,
    CLV_LOG_INFO,
    CLV_LOG_DEBUG,
} ClvLogLevel;

/* What a line is about; every member may be NULL. */
typedef struct ClvLogScope {
    const char *conference;
    const char *call_id;
    const char *identity;
} ClvLogScope;

/* privacy: identities are shown as a salted short hash. to_journal: structured fields to systemd. */
void clv_log_init(ClvLogLevel level, gboolean privacy, gboolean to_journal);
/* Also written to this file descriptor (tests, --log-file); -1: none. */
void clv_log_to_fd(int fd);
void clv_log(ClvLogLevel level, const ClvLogScope *scope, const char *message_id,
             const char *format, ...) G_GNUC_PRINTF(4, 5);
/* An identity or address for the text of a line: itself, or with privacy its salted short hash.
 * Returns: (transfer full) */
char *clv_pii(const char *text);
gboolean clv_log_enabled(ClvLogLevel level);
gboolean clv_log_level_parse(const char *text, ClvLogLevel *out_level);
