/* SPDX-License-Identifier: Apache-2.0 */
/* base/log.c - text for people, fields for machines, one write per line
 *
 * Every thread may log. What peers send can stand in a message, so control characters never reach
 * the terminal or begin a forged line.
 */
#include "config.h"

#include "base/log.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <unistd.h>

#include <openssl/evp.h>
#include <openssl/rand.h>

#define MAX_TEXT 2000

typedef struct LevelName {
    const char *name;
    const char *priority; /* syslog(3), for the journal */
} LevelName;

static const LevelName levels[] = {
    [CLV_LOG_ERROR] = {"error", "3"},   [CLV_LOG_WARNING] = {"warning", "4"},
    [CLV_LOG_NOTICE] = {"notice", "5"}, [CLV_LOG_INFO] = {"info", "6"},
    [CLV_LOG_DEBUG] = {"debug", "7"},
};

static struct {
    pthread_mutex_t lock; /* keeps lines whole */
    ClvLogLevel level;
    gboolean privacy;
    gboolean to_journal;
    int fd;
    guint8 salt[16];
} state = {.lock = PTHREAD_MUTEX_INITIALIZER, .level = CLV_LOG_NOTICE, .fd = -1};

void
clv_log_init(ClvLogLevel level, gboolean privacy, gboolean to_journal)
{
    state.level = level;
    state.privacy = privacy;
    state.to_journal = to_journal;
    if (RAND_bytes(state.salt, sizeof(state.salt)) != 1)
        g_error("no randomness for the privacy salt");
}

void
clv_log_to_fd(int fd)
{
    state.fd = fd;
}

gboolean
clv_log_enabled(ClvLogLevel level)
{
    return level <= state.level;
}

gboolean
clv_log_level_parse(const char *text, ClvLogLevel *out_level)
{
    for (guint i = 0; i < G_N_ELEMENTS(levels); i++) {
        if (strcmp(text, levels[i].name) == 0) {
            *out_level = (ClvLogLevel)i;
            return TRUE;
        }
    }
    return FALSE;
}

char *
clv_pii(const char *text)
{
    guint8 hash[EVP_MAX_MD_SIZE];
    EVP_MD_CTX *ctx;

    if (!state.privacy)
        return g_strdup(text);

    ctx = EVP_MD_CTX_new();
    if (ctx == NULL || !EVP_DigestInit_ex(ctx, EVP_sha256(), NULL) ||
        !EVP_DigestUpdate(ctx, state.salt, sizeof(state.salt)) ||
        !EVP_DigestUpdate(ctx, text, strlen(text)) || !EVP_DigestFinal_ex(ctx, hash, NULL))
        g_error("SHA-256 is not available");
    EVP_MD_CTX_free(ctx);
    return g_strdup_printf("~%02x%02x%02x%02x", hash[0], hash[1], hash[2], hash[3]);
}

/* Valid UTF-8 of bounded length without control characters. */
static char *
make_printable(const char *text)
{
    g_autofree char *valid = g_utf8_make_valid(text, (gssize)strnlen(text, MAX_TEXT));
    GString *out = g_string_sized_new(strlen(valid));

    for (const char *at = valid; *at != '\0'; at = g_utf8_next_char(at)) {
        gunichar c = g_utf8_get_char(at);

        if (g_unichar_iscntrl(c) || g_unichar_type(c) == G_UNICODE_FORMAT || c == 0x2028 ||
            c == 0x2029)
            g_string_append_printf(out, "\\u%04x", c);
        else
            g_string_append_unichar(out, c);
    }
    if (strlen(text) > MAX_TEXT)
        g_string_append(out, "...");
    return g_string_free(out, FALSE);
}

static void
write_fully(int fd, const char *text, gsize len)
{
    while (len > 0) {
        ssize_t n = write(fd, text, len);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return; /* nobody left to tell */
        text += n;
        len -= (gsize)n;
    }
}

typedef struct Line {
    ClvLogLevel level;
    const char *message_id;
    char *message, *conference, *call_id, *identity; /* printable; the last three may be NULL */
} Line;

static gboolean
send_to_journal(const Line *line)
{
    GLogField fields[7];
    gsize n = 0;

    fields[n++] = (GLogField){"MESSAGE", line->message, -1};
    fields[n++] = (GLogField){"PRIORITY", levels[line->level].priority, -1};
    fields[n++] = (GLogField){"SYSLOG_IDENTIFIER", "conclave", -1};
    if (line->message_id != NULL)
        fields[n++] = (GLogField){"CLV_EVENT", line->message_id, -1};
    if (line->conference != NULL)
        fields[n++] = (GLogField){"CLV_CONFERENCE", line->conference, -1};
    if (line->call_id != NULL)
        fields[n++] = (GLogField){"CLV_CALL_ID", line->call_id, -1};
    if (line->identity != NULL)
        fields[n++] = (GLogField){"CLV_IDENTITY", line->identity, -1};
    return g_log_writer_journald(G_LOG_LEVEL_MESSAGE, fields, n, NULL) == G_LOG_WRITER_HANDLED;
}

static GString *
format_line(const Line *line)
{
    g_autoptr(GDateTime) now = g_date_time_new_now_utc();
    GString *out = g_string_new(NULL);
    const struct {
        const char *name, *value;
    } tail[] = {
        {"conference", line->conference},
        {"call", line->call_id},
        {"identity", line->identity},
        {"event", line->message_id},
    };

    g_string_append_printf(
        out, "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ %-7s %s", g_date_time_get_year(now),
        g_date_time_get_month(now), g_date_time_get_day_of_month(now), g_date_time_get_hour(now),
        g_date_time_get_minute(now), g_date_time_get_second(now),
        g_date_time_get_microsecond(now) / 1000, levels[line->level].name, line->message);
    for (guint i = 0; i < G_N_ELEMENTS(tail); i++)
        if (tail[i].value != NULL)
            g_string_append_printf(out, " %s=%s", tail[i].name, tail[i].value);
    g_string_append_c(out, '\n');
    return out;
}

static void
emit(const Line *line)
{
    g_autoptr(GString) text = format_line(line);

    pthread_mutex_lock(&state.lock);
    if (!state.to_journal || !send_to_journal(line))
        write_fully(STDERR_FILENO, text->str, text->len);
    if (state.fd >= 0)
        write_fully(state.fd, text->str, text->len);
    pthread_mutex_unlock(&state.lock);
}

static char *
printable_or_null(const char *text)
{
    return text == NULL ? NULL : make_printable(text);
}

void
clv_log(ClvLogLevel level, const ClvLogScope *scope, const char *message_id, const char *format,
        ...)
{
    static const ClvLogScope nothing;
    g_autofree char *message = NULL, *identity = NULL;
    Line line = {.level = level, .message_id = message_id};
    va_list args;

    if (!clv_log_enabled(level))
        return;
    if (scope == NULL)
        scope = &nothing;

    va_start(args, format);
    message = g_strdup_vprintf(format, args);
    va_end(args);
    identity = scope->identity == NULL ? NULL : clv_pii(scope->identity);
    line.message = make_printable(message);
    line.conference = printable_or_null(scope->conference);
    line.call_id = printable_or_null(scope->call_id);
    line.identity = printable_or_null(identity);
    emit(&line);

    g_free(line.message);
    g_free(line.conference);
    g_free(line.call_id);
    g_free(line.identity);
}
