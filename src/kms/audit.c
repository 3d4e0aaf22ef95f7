/* SPDX-License-Identifier: Apache-2.0 */
/* kms/audit.c - who asked for what, and which rule decided
 *
 * A line that the disk cannot take waits, and those after it: so none is lost while the disk is
 * full. The server grants nothing meanwhile, so what comes are refusals; those of strangers only
 * while there is room.
 */
#include "config.h"

#include "base/log.h"
#include "kms/audit.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAX_WAITING 1000u

struct ClvKmsAudit {
    char *path;
    pthread_mutex_t lock; /* of the next */
    int fd;
    gboolean torn;  /* the last line has no end */
    GQueue waiting; /* (element-type GString) lines that are not in the file yet */
};

static gboolean
fail(const ClvKmsAudit *audit, GError **error)
{
    g_set_error(error, CLV_KMS_ERROR, CLV_CODE_INTERNAL, "audit-file %s: %s", audit->path,
                g_strerror(errno));
    return FALSE;
}

static int
open_file(const char *path)
{
    return open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
}

ClvKmsAudit *
clv_kms_audit_open(const char *path, GError **error)
{
    g_autoptr(ClvKmsAudit) audit = g_new0(ClvKmsAudit, 1);

    pthread_mutex_init(&audit->lock, NULL);
    audit->path = g_strdup(path);
    audit->fd = open_file(path);
    if (audit->fd < 0) {
        fail(audit, error);
        return NULL;
    }
    return g_steal_pointer(&audit);
}

static void
line_free(gpointer line)
{
    g_string_free(line, TRUE);
}

void
clv_kms_audit_close(ClvKmsAudit *audit)
{
    if (audit == NULL)
        return;
    if (audit->fd >= 0 && !clv_kms_audit_flush(audit, NULL))
        clv_log(CLV_LOG_ERROR, NULL, "kms-audit", "audit-file %s: %u lines are lost", audit->path,
                audit->waiting.length);
    g_queue_clear_full(&audit->waiting, line_free);
    if (audit->fd >= 0)
        close(audit->fd);
    pthread_mutex_destroy(&audit->lock);
    g_free(audit->path);
    g_free(audit);
}

static void
add_string(GString *line, const char *name, const char *value)
{
    g_string_append_printf(line, "%s\"%s\":\"", line->str[line->len - 1] == '{' ? "" : ",", name);
    for (; *value != '\0'; value++) {
        guchar octet = (guchar)*value;

        if (octet == '"' || octet == '\\')
            g_string_append_c(line, '\\');
        if (octet < 0x20 || octet >= 0x7f)
            g_string_append_printf(line, "\\u%04x", octet);
        else
            g_string_append_c(line, (char)octet);
    }
    g_string_append_c(line, '"');
}

static GString *
make_line(const ClvKmsDecision *decision, const char *peer, gint64 now_us)
{
    g_autoptr(GDateTime) time = g_date_time_new_from_unix_utc(now_us / G_USEC_PER_SEC);
    g_autofree char *seconds = g_date_time_format(time, "%Y-%m-%dT%H:%M:%S");
    g_autofree char *stamp = g_strdup_printf("%s.%06dZ", seconds, (int)(now_us % G_USEC_PER_SEC));
    GString *line = g_string_new("{");

    add_string(line, "time", stamp);
    add_string(line, "user", decision->user);
    add_string(line, "from", peer);
    add_string(line, "asked", decision->request);
    add_string(line, "subject", decision->subject);
    add_string(line, "verdict",
               decision->repeated  ? "repeated"
               : decision->granted ? "granted"
                                   : "refused");
    add_string(line, "rule", decision->rule);
    g_string_append_printf(line, ",\"authenticated\":%s",
                           decision->authenticated ? "true" : "false");
    if (!decision->granted)
        g_string_append_printf(line, ",\"error\":%u", decision->error);
    g_string_append(line, "}\n");
    return line;
}

/* With the lock held. One write: lines of several writers never mix. */
static gboolean
append(ClvKmsAudit *audit, const GString *line)
{
    g_autofree char *text = g_strconcat(audit->torn ? "\n" : "", line->str, NULL);
    gsize len = line->len + (audit->torn ? 1 : 0);
    ssize_t n;

    do
        n = write(audit->fd, text, len);
    while (n < 0 && errno == EINTR);
    if (n == (ssize_t)len) {
        audit->torn = FALSE;
        return TRUE;
    }
    if (n >= 0)
        errno = ENOSPC;
    audit->torn = audit->torn || n > 0;
    return FALSE;
}

/* With the lock held */
static gboolean
flush(ClvKmsAudit *audit)
{
    while (audit->waiting.length > 0) {
        if (!append(audit, g_queue_peek_head(&audit->waiting)))
            return FALSE;
        line_free(g_queue_pop_head(&audit->waiting));
    }
    return TRUE;
}

gboolean
clv_kms_audit_flush(ClvKmsAudit *audit, GError **error)
{
    gboolean good;

    pthread_mutex_lock(&audit->lock);
    good = flush(audit) || fail(audit, error);
    pthread_mutex_unlock(&audit->lock);
    return good;
}

gboolean
clv_kms_audit_has_room(ClvKmsAudit *audit)
{
    gboolean has_room;

    pthread_mutex_lock(&audit->lock);
    has_room = audit->waiting.length < MAX_WAITING;
    pthread_mutex_unlock(&audit->lock);
    return has_room;
}

gboolean
clv_kms_audit_write(ClvKmsAudit *audit, const ClvKmsDecision *decision, const char *peer,
                    gint64 now_us, GError **error)
{
    GString *line = make_line(decision, peer, now_us);
    gboolean good;

    pthread_mutex_lock(&audit->lock);
    g_queue_push_tail(&audit->waiting, line);
    good = flush(audit) || fail(audit, error);
    pthread_mutex_unlock(&audit->lock);
    return good;
}

gboolean
clv_kms_audit_follow(ClvKmsAudit *audit, GError **error)
{
    struct stat there, open_one;
    int fd;

    if (fstat(audit->fd, &open_one) == 0 && stat(audit->path, &there) == 0 &&
        there.st_ino == open_one.st_ino && there.st_dev == open_one.st_dev)
        return TRUE;
    fd = open_file(audit->path);
    if (fd < 0)
        return fail(audit, error);
    pthread_mutex_lock(&audit->lock);
    close(audit->fd);
    audit->fd = fd;
    audit->torn = FALSE;
    pthread_mutex_unlock(&audit->lock);
    return TRUE;
}
