/* SPDX-License-Identifier: Apache-2.0 */
/* kms/roster.c - which conferences has their server announced? */
#include "config.h"

#include "kms/roster.h"

#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <pthread.h>
#include <string.h>
#include <unistd.h>

#include "kms/kms.h"

#define CHECK_LEN 16u
#define MIN_TO_SHORTEN 4096u
#define HEAD "conclave-conferences1\n"

typedef struct Entry {
    char *service;
    gint64 expires_us;
} Entry;

struct ClvKmsRoster {
    pthread_mutex_t lock; /* of all below */
    GHashTable *entries;  /* conference -> Entry */
    GHashTable *counts;   /* service -> how many */
    char *path;           /* (nullable) */
    int fd;
    guint n_lines;
};

static void
entry_free(gpointer data)
{
    Entry *entry = data;

    g_free(entry->service);
    g_free(entry);
}

ClvKmsRoster *
clv_kms_roster_new(void)
{
    ClvKmsRoster *roster = g_new0(ClvKmsRoster, 1);

    pthread_mutex_init(&roster->lock, NULL);
    roster->entries = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, entry_free);
    roster->counts = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    roster->fd = -1;
    return roster;
}

void
clv_kms_roster_free(ClvKmsRoster *roster)
{
    if (roster == NULL)
        return;
    if (roster->fd >= 0)
        close(roster->fd);
    g_hash_table_unref(roster->entries);
    g_hash_table_unref(roster->counts);
    g_free(roster->path);
    pthread_mutex_destroy(&roster->lock);
    g_free(roster);
}

/* ---- the table; with the lock held ---- */

static guint
count_of(const ClvKmsRoster *roster, const char *service)
{
    return GPOINTER_TO_UINT(g_hash_table_lookup(roster->counts, service));
}

static void
count(ClvKmsRoster *roster, const char *service, gint change)
{
    guint n = count_of(roster, service) + (guint)change;

    g_hash_table_replace(roster->counts, g_strdup(service), GUINT_TO_POINTER(n));
}

static void
drop(ClvKmsRoster *roster, const char *conference)
{
    const Entry *entry = g_hash_table_lookup(roster->entries, conference);

    if (entry == NULL)
        return;
    count(roster, entry->service, -1);
    g_hash_table_remove(roster->entries, conference);
}

static void
put(ClvKmsRoster *roster, const char *service, const char *conference, gint64 expires_us)
{
    Entry *entry = g_new0(Entry, 1);

    drop(roster, conference);
    entry->service = g_strdup(service);
    entry->expires_us = expires_us;
    g_hash_table_insert(roster->entries, g_strdup(conference), entry);
    count(roster, service, 1);
}

static void
forget_old(ClvKmsRoster *roster, gint64 now_us)
{
    GHashTableIter iter;
    gpointer value;

    g_hash_table_iter_init(&iter, roster->entries);
    while (g_hash_table_iter_next(&iter, NULL, &value)) {
        const Entry *entry = value;

        if (entry->expires_us > now_us)
            continue;
        count(roster, entry->service, -1);
        g_hash_table_iter_remove(&iter);
    }
}

/* ---- the file ---- */

/* "CHECK SIGN END SERVICE URI\n"; names and canonical URIs hold no white space */
static void
append_line(GString *out, char sign, const char *service, const char *conference, gint64 expires_us)
{
    g_autofree char *text =
        g_strdup_printf("%c %" G_GINT64_FORMAT " %s %s", sign, expires_us, service, conference);
    g_autofree char *sum = g_compute_checksum_for_string(G_CHECKSUM_SHA256, text, -1);

    g_string_append_printf(out, "%.*s %s\n", (int)CHECK_LEN, sum, text);
}

static gboolean
read_line(ClvKmsRoster *roster, const char *line)
{
    g_autofree char *sum = NULL;
    g_auto(GStrv) words = NULL;
    gint64 expires_us = 0;

    if (strlen(line) < CHECK_LEN + 2 || line[CHECK_LEN] != ' ')
        return FALSE;
    sum = g_compute_checksum_for_string(G_CHECKSUM_SHA256, line + CHECK_LEN + 1, -1);
    words = g_strsplit(line + CHECK_LEN + 1, " ", 5);
    if (strncmp(sum, line, CHECK_LEN) != 0 || g_strv_length(words) != 4 ||
        !g_ascii_string_to_signed(words[1], 10, 0, G_MAXINT64, &expires_us, NULL))
        return FALSE;
    if (words[0][0] == '+')
        put(roster, words[2], words[3], expires_us);
    else
        drop(roster, words[3]);
    return TRUE;
}

static gboolean
read_text(ClvKmsRoster *roster, char *text, gsize len, GError **error)
{
    char *line = text + strlen(HEAD);
    char *end;
    guint n = 1;

    if (!g_str_has_prefix(text, HEAD) || strlen(text) != len) { /* a zero would hide the rest */
        g_set_error(error, CLV_KMS_ERROR, CLV_CODE_INTERNAL,
                    "%s: found no list of conferences, expected one by this program; put back a "
                    "copy, or give it up with 'conclave-kms state reset conferences'",
                    roster->path);
        return FALSE;
    }
    for (; (end = strchr(line, '\n')) != NULL; line = end + 1) { /* what has no end never counted */
        *end = '\0';
        n++;
        if (read_line(roster, line))
            continue;
        g_set_error(error, CLV_KMS_ERROR, CLV_CODE_INTERNAL,
                    "%s:%u: damaged. Put back a copy, or give it up with 'conclave-kms state reset "
                    "conferences': then the conference systems have to announce again",
                    roster->path, n);
        return FALSE;
    }
    return TRUE;
}

/* With the lock held. In one step; then a new descriptor for what comes. */
static gboolean
rewrite(ClvKmsRoster *roster, GError **error)
{
    g_autoptr(GString) text = g_string_new(HEAD);
    GHashTableIter iter;
    gpointer key, value;
    int fd;

    g_hash_table_iter_init(&iter, roster->entries);
    while (g_hash_table_iter_next(&iter, &key, &value))
        append_line(text, '+', ((Entry *)value)->service, key, ((Entry *)value)->expires_us);
    if (!g_file_set_contents_full(roster->path, text->str, (gssize)text->len,
                                  G_FILE_SET_CONTENTS_CONSISTENT | G_FILE_SET_CONTENTS_DURABLE,
                                  0600, error))
        return FALSE;
    fd = open(roster->path, O_WRONLY | O_APPEND | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0) {
        g_set_error(error, CLV_KMS_ERROR, CLV_CODE_INTERNAL, "%s: %s", roster->path,
                    g_strerror(errno));
        return FALSE;
    }
    if (roster->fd >= 0)
        close(roster->fd);
    roster->fd = fd;
    roster->n_lines = g_hash_table_size(roster->entries);
    return TRUE;
}

/* With the lock held. Half a line (the disk is full) is taken away again. */
static gboolean
write_line(ClvKmsRoster *roster, char sign, const char *service, const char *conference,
           gint64 expires_us, GError **error)
{
    g_autoptr(GString) line = g_string_new(NULL);
    off_t end;
    ssize_t n;

    if (roster->path == NULL)
        return TRUE;
    append_line(line, sign, service, conference, expires_us);
    end = lseek(roster->fd, 0, SEEK_END);
    n = write(roster->fd, line->str, line->len);
    if (n == (ssize_t)line->len && fdatasync(roster->fd) == 0) {
        roster->n_lines++;
        return TRUE;
    }
    g_set_error(error, CLV_KMS_ERROR, CLV_CODE_INTERNAL, "%s: %s", roster->path,
                n < 0 ? g_strerror(errno) : "not written as a whole");
    if (n > 0 && (end < 0 || ftruncate(roster->fd, end) != 0))
        rewrite(roster, NULL);
    return FALSE;
}

/* With the lock held. */
static void
shorten(ClvKmsRoster *roster, gint64 now_us)
{
    if (roster->path == NULL ||
        roster->n_lines < MIN_TO_SHORTEN + 2 * g_hash_table_size(roster->entries))
        return;
    forget_old(roster, now_us);
    rewrite(roster, NULL); /* if not now, then later: what is there is right */
}

/* ---- the door ---- */

gboolean
clv_kms_roster_open(ClvKmsRoster *roster, const char *folder, gint64 now_us, GError **error)
{
    g_autofree char *text = NULL;
    gboolean good = TRUE;
    gsize len = 0;

    pthread_mutex_lock(&roster->lock);
    roster->path = g_build_filename(folder, "conferences", NULL);
    if (g_access(roster->path, F_OK) == 0)
        good =
            g_file_get_contents(roster->path, &text, &len, error) && read_text(roster, text, len, error);
    if (good) {
        forget_old(roster, now_us);
        good = rewrite(roster, error);
    }
    pthread_mutex_unlock(&roster->lock);
    return good;
}

/* With the lock held. */
static gboolean
has_room(ClvKmsRoster *roster, const char *service, const char *conference, gint64 now_us)
{
    if (g_hash_table_contains(roster->entries, conference) ||
        count_of(roster, service) < CLV_KMS_ROSTER_MAX)
        return TRUE;
    forget_old(roster, now_us);
    return count_of(roster, service) < CLV_KMS_ROSTER_MAX;
}

gboolean
clv_kms_roster_add(ClvKmsRoster *roster, const char *service, const char *conference, gint64 now_us,
                   gint64 expires_us, GError **error)
{
    gboolean good;

    pthread_mutex_lock(&roster->lock);
    good = has_room(roster, service, conference, now_us);
    if (!good)
        g_set_error(error, CLV_KMS_ERROR, CLV_CODE_OVERLOAD,
                    "service '%s' has %u conferences announced already", service,
                    CLV_KMS_ROSTER_MAX);
    good = good && write_line(roster, '+', service, conference, expires_us, error);
    if (good) {
        put(roster, service, conference, expires_us);
        shorten(roster, now_us);
    }
    pthread_mutex_unlock(&roster->lock);
    return good;
}

gboolean
clv_kms_roster_remove(ClvKmsRoster *roster, const char *service, const char *conference,
                      gint64 now_us, GError **error)
{
    Entry *entry;
    gboolean good = TRUE;

    pthread_mutex_lock(&roster->lock);
    entry = g_hash_table_lookup(roster->entries, conference);
    if (entry != NULL && strcmp(entry->service, service) == 0) {
        good = write_line(roster, '-', service, conference, 0, error);
        if (good)
            drop(roster, conference);
        else
            entry->expires_us = 0; /* over, but to be taken away again */
        shorten(roster, now_us);
    }
    pthread_mutex_unlock(&roster->lock);
    return good;
}

gboolean
clv_kms_roster_has(ClvKmsRoster *roster, const char *service, const char *conference, gint64 now_us)
{
    const Entry *entry;
    gboolean found;

    pthread_mutex_lock(&roster->lock);
    entry = g_hash_table_lookup(roster->entries, conference);
    found = entry != NULL && entry->expires_us > now_us && strcmp(entry->service, service) == 0;
    pthread_mutex_unlock(&roster->lock);
    return found;
}

guint
clv_kms_roster_size(ClvKmsRoster *roster)
{
    guint size;

    pthread_mutex_lock(&roster->lock);
    size = g_hash_table_size(roster->entries);
    pthread_mutex_unlock(&roster->lock);
    return size;
}
