/* SPDX-License-Identifier: Apache-2.0 */
/* kms/keeper.c - what the KMS must not forget when it stops
 *
 *   lock     held by the one process that uses the folder
 *   running  which boot of the machine it was, or that the last process stopped in order
 *   tpks     text: a line for each key, and a checksum in the last one
 *   replay   head, then records of one length: digest, end, checksum
 *
 * A record is written before its message is answered, so a process that dies forgets nothing. The
 * disk is told once a second: after a power failure, messages from before the boot are refused as
 * if they had been seen, until the time check refuses them anyway.
 */
#include "config.h"

#include "kms/keeper.h"

#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <libmikey/mikey.h>
#include <openssl/crypto.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "kms/keyfile.h"

#define MAGIC "conclave-replay1"
#define CHECK_LEN 8u
#define HEAD_LEN (16u + 8u + CHECK_LEN)
#define DIGEST_LEN 32u
#define RECORD_LEN (DIGEST_LEN + 8u + CHECK_LEN)
#define READ_RECORDS 1024u
#define MIN_TO_SHORTEN (1u << 20) /* a journal below this is left alone */
#define MAX_TPKS_FILE (1u << 20)
#define TPK_LINE_LEN 160u

struct ClvKmsKeeper {
    char *folder;
    int lock_fd;
    gint64 not_before_us;
    ClvKmsTpks *tpks;

    pthread_mutex_t lock; /* of all below */
    int fd;               /* the journal */
    gint64 size;
    gint64 size_after_shortening;
    gboolean torn; /* half a record is at the end and could not be taken away */
    gboolean unsynced;
};

static gboolean fail(GError **error, const char *format, ...) G_GNUC_PRINTF(2, 3);

static gboolean
fail(GError **error, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    g_propagate_error(error, g_error_new_valist(CLV_KMS_ERROR, CLV_CODE_INTERNAL, format, args));
    va_end(args);
    return FALSE;
}

static char *
path_of(const char *folder, const char *name)
{
    return g_build_filename(folder, name, NULL);
}

/* ---- octets ---- */

static void
put_u64(guint8 *out, guint64 value)
{
    guint64 wire = GUINT64_TO_BE(value);

    memcpy(out, &wire, sizeof wire);
}

static guint64
get_u64(const guint8 *in)
{
    guint64 wire;

    memcpy(&wire, in, sizeof wire);
    return GUINT64_FROM_BE(wire);
}

static void
put_check(guint8 *octets, gsize len)
{
    guint8 digest[MIKEY_DIGEST_LEN] = {0};

    mikey_digest(mikey_bytes(octets, len), digest);
    memcpy(octets + len, digest, CHECK_LEN);
}

static gboolean
check_fits(const guint8 *octets, gsize len)
{
    guint8 digest[MIKEY_DIGEST_LEN];

    return mikey_digest(mikey_bytes(octets, len), digest) == MIKEY_OK &&
           memcmp(octets + len, digest, CHECK_LEN) == 0;
}

/* ---- files ---- */

static gboolean
write_all(int fd, const void *data, gsize len)
{
    const guint8 *next = data;

    while (len > 0) {
        ssize_t n = write(fd, next, len);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return FALSE;
        next += n;
        len -= (gsize)n;
    }
    return TRUE;
}

/* Returns: octets read, fewer at the end of the file; -1 for an error */
static gssize
read_at(int fd, void *out, gsize len, gint64 at)
{
    gsize done = 0;

    while (done < len) {
        ssize_t n = pread(fd, (guint8 *)out + done, len - done, (off_t)(at + (gint64)done));

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -1;
        if (n == 0)
            break;
        done += (gsize)n;
    }
    return (gssize)done;
}

static gboolean
sync_folder(const char *folder)
{
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    gboolean good = fd >= 0 && fsync(fd) == 0;

    if (fd >= 0)
        close(fd);
    return good;
}

/* Who looks sees the old file or the new one, whole. */
static gboolean
replace_file(const char *folder, const char *name, const void *data, gsize len, GError **error)
{
    g_autofree char *path = path_of(folder, name);
    g_autofree char *beside = g_strconcat(path, ".new", NULL);
    int fd = open(beside, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    gboolean good = fd >= 0 && write_all(fd, data, len) && fsync(fd) == 0;
    int why = errno;

    if (fd >= 0)
        close(fd);
    if (good && g_rename(beside, path) == 0 && sync_folder(folder))
        return TRUE;
    why = good ? errno : why;
    g_unlink(beside);
    return fail(error, "%s: cannot be written: %s", path, g_strerror(why));
}

static gboolean
is_there(const char *folder, const char *name)
{
    g_autofree char *path = path_of(folder, name);

    return g_file_test(path, G_FILE_TEST_EXISTS);
}

/* ---- the folder ---- */

static gboolean
make_folder(const char *folder, GError **error)
{
    struct stat info;

    if (g_mkdir_with_parents(folder, 0700) != 0 || stat(folder, &info) != 0)
        return fail(error, "state-dir %s: %s", folder, g_strerror(errno));
    if (!S_ISDIR(info.st_mode) || info.st_uid != geteuid() || (info.st_mode & 077) != 0)
        return fail(error,
                    "state-dir %s: found mode %04o of user %u, expected a folder of the user that "
                    "the KMS runs as, mode 0700",
                    folder, (guint)info.st_mode & 07777, (guint)info.st_uid);
    return TRUE;
}

/* Returns: descriptor that holds the lock, or -1 */
static int
lock_folder(const char *folder, GError **error)
{
    g_autofree char *path = path_of(folder, "lock");
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);

    if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) == 0)
        return fd;
    if (fd >= 0 && errno == EWOULDBLOCK)
        fail(error, "state-dir %s: another conclave-kms uses it", folder);
    else
        fail(error, "%s: %s", path, g_strerror(errno));
    if (fd >= 0)
        close(fd);
    return -1;
}

/* ---- after a power failure ---- */

static char *
this_boot(void)
{
    char *id = NULL;

    if (!g_file_get_contents("/proc/sys/kernel/random/boot_id", &id, NULL, NULL))
        return g_strdup("unknown");
    return g_strstrip(id);
}

static gint64
boot_time_us(gint64 now_us)
{
    struct timespec up = {0, 0};

    if (clock_gettime(CLOCK_BOOTTIME, &up) != 0)
        return now_us;
    return now_us - (gint64)up.tv_sec * G_USEC_PER_SEC - up.tv_nsec / 1000;
}

#define STOPPED "stopped"

static gboolean
write_running(const ClvKmsKeeper *keeper, const char *word, GError **error)
{
    g_autofree char *text =
        g_strdup_printf("%s %" G_GINT64_FORMAT "\n", word, keeper->not_before_us);

    return replace_file(keeper->folder, "running", text, strlen(text), error);
}

/* Was the machine switched off under the last process? Then its last second may be missing. */
static gboolean
note_running(ClvKmsKeeper *keeper, gint64 skew_s, gint64 now_us, GError **error)
{
    g_autofree char *path = path_of(keeper->folder, "running");
    g_autofree char *boot = this_boot();
    g_autofree char *before = NULL;

    if (g_file_get_contents(path, &before, NULL, NULL)) {
        const char *number = strchr(before, ' ');
        gint64 bar_us = number != NULL ? g_ascii_strtoll(number, NULL, 10) : 0;

        if (!g_str_has_prefix(before, boot) && !g_str_has_prefix(before, STOPPED))
            bar_us = MAX(bar_us, boot_time_us(now_us) + skew_s * G_USEC_PER_SEC);
        keeper->not_before_us = MAX(keeper->not_before_us, bar_us);
    }
    return write_running(keeper, boot, error);
}

/* ---- ticket protection keys ---- */

static const char tpks_head[] =
    "# Ticket protection keys of conclave-kms, newest first; written by the program. Secret.\n";

/* Returns: (transfer full): text with its checksum; cleanse it */
static GString *
write_tpks(const ClvKmsTpks *tpks)
{
    guint n = clv_kms_tpks_n(tpks);
    GString *text = g_string_sized_new(sizeof tpks_head + (n + 2) * TPK_LINE_LEN);
    guint8 digest[MIKEY_DIGEST_LEN] = {0};

    g_string_append(text, tpks_head);
    for (guint i = 0; i < n; i++) {
        const ClvKmsTpk *tpk = clv_kms_tpks_at(tpks, i);
        gsize len = 0;
        const guint8 *bytes = clv_secret_bytes(tpk->secret, &len);

        g_string_append(text, "tpk ");
        for (gsize k = 0; k < len; k++)
            g_string_append_printf(text, "%02x", bytes[k]);
        g_string_append_printf(text,
                               " %" G_GINT64_FORMAT " %" G_GINT64_FORMAT " %" G_GINT64_FORMAT "\n",
                               tpk->made_s, tpk->retired_s, tpk->longest_s);
    }
    mikey_digest(mikey_bytes(text->str, text->len), digest);
    g_string_append(text, "end ");
    for (gsize k = 0; k < sizeof digest; k++)
        g_string_append_printf(text, "%02x", digest[k]);
    g_string_append_c(text, '\n');
    return text;
}

static gboolean
save_tpks(const char *folder, const ClvKmsTpks *tpks, GError **error)
{
    GString *text = write_tpks(tpks);
    gboolean good = replace_file(folder, "tpks", text->str, text->len, error);

    OPENSSL_cleanse(text->str, text->allocated_len);
    g_string_free(text, TRUE);
    return good;
}

gboolean
clv_kms_keeper_save_tpks(ClvKmsKeeper *keeper, const ClvKmsTpks *tpks, GError **error)
{
    return save_tpks(keeper->folder, tpks, error);
}

static gboolean
read_tpk_line(ClvKmsTpks *tpks, const char *line)
{
    ClvKmsTpk like = {.made_s = 0};
    guint8 bytes[CLV_KMS_TPK_LEN];
    gboolean good = strlen(line) < TPK_LINE_LEN && g_str_has_prefix(line, "tpk ");

    line += 4;
    for (gsize i = 0; i < sizeof bytes && good; i++) {
        good = g_ascii_isxdigit(line[2 * i]) && g_ascii_isxdigit(line[2 * i + 1]);
        if (good)
            bytes[i] = (guint8)(g_ascii_xdigit_value(line[2 * i]) << 4 |
                                g_ascii_xdigit_value(line[2 * i + 1]));
    }
    good = good && sscanf(line + 2 * sizeof bytes,
                          " %" G_GINT64_FORMAT " %" G_GINT64_FORMAT " %" G_GINT64_FORMAT,
                          &like.made_s, &like.retired_s, &like.longest_s) == 3;
    if (good)
        clv_kms_tpks_append(tpks, &like, bytes);
    OPENSSL_cleanse(bytes, sizeof bytes);
    return good;
}

/* Is the last line the checksum of all before it? Cuts it off. */
static gboolean
take_end_line(char *text, gsize len)
{
    const gsize end_len = 4 + 2 * MIKEY_DIGEST_LEN + 1;
    guint8 digest[MIKEY_DIGEST_LEN];
    char *end = text + len - end_len;

    if (len < end_len || strlen(text) != len || strncmp(end, "end ", 4) != 0 ||
        text[len - 1] != '\n' || mikey_digest(mikey_bytes(text, len - end_len), digest) != MIKEY_OK)
        return FALSE;
    for (gsize i = 0; i < sizeof digest; i++) {
        char pair[3];

        g_snprintf(pair, sizeof pair, "%02x", digest[i]);
        if (strncmp(end + 4 + 2 * i, pair, 2) != 0)
            return FALSE;
    }
    *end = '\0';
    return TRUE;
}

static gboolean
parse_tpks(ClvKmsTpks *tpks, char *text, gsize len)
{
    char *line = text;

    if (!take_end_line(text, len))
        return FALSE;
    while (*line != '\0') {
        char *end = strchr(line, '\n');

        if (end == NULL)
            return FALSE;
        *end = '\0';
        if (line[0] != '#' && !read_tpk_line(tpks, line))
            return FALSE;
        line = end + 1;
    }
    return TRUE;
}

/* Returns: descriptor of a private file, or -1 */
static int
open_private(const char *path, int flags, GError **error)
{
    int fd = open(path, flags | O_CLOEXEC | O_NOFOLLOW);

    if (fd < 0) {
        fail(error, "%s: %s", path, g_strerror(errno));
        return -1;
    }
    if (clv_secret_check_mode(fd, path, error))
        return fd;
    close(fd);
    return -1;
}

static gboolean
load_tpks(ClvKmsKeeper *keeper, GError **error)
{
    g_autofree char *path = path_of(keeper->folder, "tpks");
    int fd = open_private(path, O_RDONLY, error);
    char *text;
    gssize len;
    gboolean good;

    if (fd < 0)
        return FALSE;
    text = g_malloc0(MAX_TPKS_FILE + 1);
    len = read_at(fd, text, MAX_TPKS_FILE, 0);
    close(fd);
    good = len >= 0 && parse_tpks(keeper->tpks, text, (gsize)len);
    OPENSSL_cleanse(text, MAX_TPKS_FILE);
    g_free(text);
    if (good)
        return TRUE;
    return fail(error,
                "%s: damaged. Put back a copy, or give it up with 'conclave-kms state reset tpks': "
                "tickets that are out end then",
                path);
}

/* ---- the journal ---- */

static void
make_head(guint8 head[HEAD_LEN], gint64 not_before_us)
{
    memcpy(head, MAGIC, 16);
    put_u64(head + 16, (guint64)not_before_us);
    put_check(head, HEAD_LEN - CHECK_LEN);
}

static gboolean
new_journal(const char *folder, gint64 not_before_us, GError **error)
{
    guint8 head[HEAD_LEN];

    make_head(head, not_before_us);
    return replace_file(folder, "replay", head, sizeof head, error);
}

static gboolean
damaged(const ClvKmsKeeper *keeper, gint64 at, GError **error)
{
    return fail(error,
                "%s/replay: damaged at octet %" G_GINT64_FORMAT
                ": messages taken before are not known any more. Put nothing in its place by hand; "
                "'conclave-kms state reset replay' begins anew and refuses what could have been "
                "taken before",
                keeper->folder, at);
}

static gboolean
open_journal(ClvKmsKeeper *keeper, GError **error)
{
    g_autofree char *path = path_of(keeper->folder, "replay");
    guint8 head[HEAD_LEN];
    struct stat info;
    gint64 rest;

    keeper->fd = open_private(path, O_RDWR | O_APPEND, error);
    if (keeper->fd < 0)
        return FALSE;
    if (fstat(keeper->fd, &info) != 0)
        return fail(error, "%s: %s", path, g_strerror(errno));
    if (read_at(keeper->fd, head, sizeof head, 0) != (gssize)sizeof head ||
        memcmp(head, MAGIC, 16) != 0 || !check_fits(head, HEAD_LEN - CHECK_LEN))
        return damaged(keeper, 0, error);
    keeper->not_before_us = (gint64)get_u64(head + 16);
    keeper->size = info.st_size;
    keeper->size_after_shortening = info.st_size;
    /* half a record: the process died in it, and its message was never answered */
    rest = (keeper->size - HEAD_LEN) % RECORD_LEN;
    if (rest == 0)
        return TRUE;
    keeper->size -= rest;
    if (ftruncate(keeper->fd, (off_t)keeper->size) != 0)
        return fail(error, "%s: %s", path, g_strerror(errno));
    return TRUE;
}

typedef struct Records {
    guint8 octets[READ_RECORDS * RECORD_LEN];
    gsize n;
    gint64 at;
} Records;

/* Returns: FALSE with an error when a record is damaged; none at the end */
static gboolean
next_records(ClvKmsKeeper *keeper, Records *records, gint64 end, GError **error)
{
    gsize want = (gsize)MIN((gint64)sizeof records->octets, end - records->at);

    if (read_at(keeper->fd, records->octets, want, records->at) != (gssize)want)
        return fail(error, "%s/replay: cannot be read: %s", keeper->folder, g_strerror(errno));
    records->n = want / RECORD_LEN;
    for (gsize i = 0; i < records->n; i++)
        if (!check_fits(records->octets + i * RECORD_LEN, RECORD_LEN - CHECK_LEN))
            return damaged(keeper, records->at + (gint64)(i * RECORD_LEN), error);
    records->at += (gint64)want;
    return TRUE;
}

gboolean
clv_kms_keeper_recall(ClvKmsKeeper *keeper, gint64 now_us,
                      void (*each)(const guint8 *digest, gint64 expires_us, void *user), void *user,
                      GError **error)
{
    g_autofree Records *records = g_new0(Records, 1);

    records->at = HEAD_LEN;
    do {
        if (!next_records(keeper, records, keeper->size, error))
            return FALSE;
        for (gsize i = 0; i < records->n; i++) {
            const guint8 *record = records->octets + i * RECORD_LEN;
            gint64 expires_us = (gint64)get_u64(record + DIGEST_LEN);

            if (expires_us >= now_us)
                each(record, expires_us, user);
        }
    } while (records->n > 0);
    return TRUE;
}

/* With the lock held: what went in of a record that did not fit is taken out again. */
static gboolean
cut(ClvKmsKeeper *keeper)
{
    keeper->torn = ftruncate(keeper->fd, (off_t)keeper->size) != 0;
    return !keeper->torn;
}

gboolean
clv_kms_keeper_remember(ClvKmsKeeper *keeper, const guint8 *digest, gint64 expires_us,
                        GError **error)
{
    guint8 record[RECORD_LEN];
    gboolean good;
    int why = EIO;

    memcpy(record, digest, DIGEST_LEN);
    put_u64(record + DIGEST_LEN, (guint64)expires_us);
    put_check(record, RECORD_LEN - CHECK_LEN);
    pthread_mutex_lock(&keeper->lock);
    good = !keeper->torn || cut(keeper);
    if (good && !write_all(keeper->fd, record, sizeof record)) {
        why = errno;
        good = FALSE;
        cut(keeper);
    }
    if (good) {
        keeper->size += RECORD_LEN;
        keeper->unsynced = TRUE;
    }
    pthread_mutex_unlock(&keeper->lock);
    if (good)
        return TRUE;
    return fail(error, "%s/replay: %s", keeper->folder, g_strerror(why));
}

/* ---- a shorter journal ---- */

static gboolean
copy_live(ClvKmsKeeper *keeper, int out, Records *records, gint64 end, gint64 now_us,
          gint64 *out_size, GError **error)
{
    do {
        gsize kept = 0;

        if (!next_records(keeper, records, end, error))
            return FALSE;
        for (gsize i = 0; i < records->n; i++) {
            guint8 *record = records->octets + i * RECORD_LEN;

            if ((gint64)get_u64(record + DIGEST_LEN) >= now_us)
                memmove(records->octets + kept++ * RECORD_LEN, record, RECORD_LEN);
        }
        if (!write_all(out, records->octets, kept * RECORD_LEN))
            return fail(error, "%s/replay.new: %s", keeper->folder, g_strerror(errno));
        *out_size += (gint64)(kept * RECORD_LEN);
    } while (records->n > 0);
    return TRUE;
}

/* Most is copied while requests go on; only the rest of it with the lock held. */
static gboolean
shorten_into(ClvKmsKeeper *keeper, int out, const char *beside, gint64 now_us, GError **error)
{
    g_autofree Records *records = g_new0(Records, 1);
    g_autofree char *path = path_of(keeper->folder, "replay");
    guint8 head[HEAD_LEN];
    gint64 size = HEAD_LEN;
    gint64 end;
    gboolean good;

    pthread_mutex_lock(&keeper->lock);
    end = keeper->size;
    pthread_mutex_unlock(&keeper->lock);
    make_head(head, keeper->not_before_us);
    records->at = HEAD_LEN;
    if (!write_all(out, head, sizeof head))
        return fail(error, "%s: %s", beside, g_strerror(errno));
    if (!copy_live(keeper, out, records, end, now_us, &size, error))
        return FALSE;

    pthread_mutex_lock(&keeper->lock);
    good = copy_live(keeper, out, records, keeper->size, now_us, &size, error);
    if (good && (fsync(out) != 0 || g_rename(beside, path) != 0))
        good = fail(error, "%s: %s", beside, g_strerror(errno));
    if (good) {
        close(keeper->fd);
        keeper->fd = out;
        keeper->size = size;
        keeper->size_after_shortening = size;
        keeper->torn = FALSE;
        keeper->unsynced = FALSE;
    }
    pthread_mutex_unlock(&keeper->lock);
    return good;
}

static gboolean
shorten(ClvKmsKeeper *keeper, gint64 now_us, GError **error)
{
    g_autofree char *beside = path_of(keeper->folder, "replay.new");
    int out = open(beside, O_RDWR | O_APPEND | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);

    if (out < 0)
        return fail(error, "%s: %s", beside, g_strerror(errno));
    if (shorten_into(keeper, out, beside, now_us, error)) {
        sync_folder(keeper->folder);
        return TRUE;
    }
    close(out);
    g_unlink(beside);
    keeper->size_after_shortening = keeper->size; /* not again every second */
    return FALSE;
}

gboolean
clv_kms_keeper_tend(ClvKmsKeeper *keeper, gint64 now_us, GError **error)
{
    gboolean unsynced, long_enough;
    int fd;

    pthread_mutex_lock(&keeper->lock);
    unsynced = keeper->unsynced;
    keeper->unsynced = FALSE;
    fd = keeper->fd; /* only this function ever closes it */
    long_enough =
        keeper->size >= MIN_TO_SHORTEN && keeper->size >= 2 * keeper->size_after_shortening;
    pthread_mutex_unlock(&keeper->lock);
    if (unsynced && fdatasync(fd) != 0)
        return fail(error, "%s/replay: %s", keeper->folder, g_strerror(errno));
    return !long_enough || shorten(keeper, now_us, error);
}

/* ---- opening, closing ---- */

/* Both files or none: one alone means that somebody took the other away. */
static gboolean
check_whole(const char *folder, GError **error)
{
    gboolean tpks = is_there(folder, "tpks");
    gboolean replay = is_there(folder, "replay");
    ClvKmsTpks *none;
    gboolean good;

    if (tpks && !replay)
        return fail(error,
                    "%s/replay: missing: messages taken before are not known any more. "
                    "'conclave-kms state reset replay' begins anew and refuses what could have "
                    "been taken before",
                    folder);
    if (replay && !tpks)
        return fail(error,
                    "%s/tpks: missing. Put back a copy, or give it up with 'conclave-kms state "
                    "reset tpks': tickets that are out end then",
                    folder);
    if (tpks)
        return TRUE;
    /* the keys first: a start that ends here is told to begin anew, and loses nothing by it */
    none = clv_kms_tpks_new();
    good = save_tpks(folder, none, error) && new_journal(folder, 0, error);
    clv_kms_tpks_free(none);
    return good;
}

ClvKmsKeeper *
clv_kms_keeper_open(const char *folder, gint64 skew_s, gint64 now_us, GError **error)
{
    g_autoptr(ClvKmsKeeper) keeper = g_new0(ClvKmsKeeper, 1);

    keeper->fd = -1;
    keeper->folder = g_strdup(folder);
    keeper->tpks = clv_kms_tpks_new();
    pthread_mutex_init(&keeper->lock, NULL);
    keeper->lock_fd = -1;
    if (!make_folder(folder, error))
        return NULL;
    keeper->lock_fd = lock_folder(folder, error);
    if (keeper->lock_fd < 0 || !check_whole(folder, error) || !load_tpks(keeper, error) ||
        !open_journal(keeper, error) || !note_running(keeper, skew_s, now_us, error)) {
        g_clear_pointer(&keeper->folder, g_free); /* "running" stays as it is */
        return NULL;
    }
    return g_steal_pointer(&keeper);
}

static void
note_stopped(const ClvKmsKeeper *keeper)
{
    if (fdatasync(keeper->fd) == 0 && !keeper->torn)
        write_running(keeper, STOPPED, NULL);
}

void
clv_kms_keeper_close(ClvKmsKeeper *keeper)
{
    if (keeper == NULL)
        return;
    if (keeper->folder != NULL && keeper->fd >= 0)
        note_stopped(keeper);
    if (keeper->fd >= 0)
        close(keeper->fd);
    if (keeper->lock_fd >= 0)
        close(keeper->lock_fd);
    clv_kms_tpks_free(keeper->tpks);
    pthread_mutex_destroy(&keeper->lock);
    g_free(keeper->folder);
    g_free(keeper);
}

const ClvKmsTpks *
clv_kms_keeper_tpks(const ClvKmsKeeper *keeper)
{
    return keeper->tpks;
}

gint64
clv_kms_keeper_not_before_us(const ClvKmsKeeper *keeper)
{
    return keeper->not_before_us;
}

static gboolean
reset_locked(const char *folder, const char *what, gint64 not_before_us, GError **error)
{
    g_autofree char *path = path_of(folder, what);
    g_autofree char *aside = g_strconcat(path, ".damaged", NULL);
    g_autoptr(ClvKmsTpks) none = clv_kms_tpks_new();

    if (g_rename(path, aside) != 0 && errno != ENOENT)
        return fail(error, "%s: %s", path, g_strerror(errno));
    if (strcmp(what, "conferences") == 0)
        return TRUE; /* the roster begins a new one */
    if (strcmp(what, "replay") == 0)
        return new_journal(folder, not_before_us, error);
    return save_tpks(folder, none, error);
}

gboolean
clv_kms_keeper_reset(const char *folder, const char *what, gint64 skew_s, gint64 now_us,
                     GError **error)
{
    gboolean good;
    int fd;

    if (strcmp(what, "replay") != 0 && strcmp(what, "tpks") != 0 &&
        strcmp(what, "conferences") != 0)
        return fail(error, "found '%s', expected replay, tpks or conferences", what);
    if (!make_folder(folder, error))
        return FALSE;
    fd = lock_folder(folder, error);
    if (fd < 0)
        return FALSE;
    good = reset_locked(folder, what, now_us + skew_s * G_USEC_PER_SEC, error);
    close(fd);
    return good;
}

gboolean
clv_kms_state_reset(const ClvKmsKeyFile *keys, const char *what, gint64 now_us, GError **error)
{
    if (keys->state_dir == NULL)
        return fail(error, "the key file has no state-dir");
    return clv_kms_keeper_reset(keys->state_dir, what, keys->skew_s, now_us, error);
}
