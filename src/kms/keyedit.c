/* SPDX-License-Identifier: Apache-2.0 */
/* kms/keyedit.c - changing the key file without breaking it
 *
 * The file is locked, read, changed as text (so that comments stay), read again as a key file,
 * and only then put in place of the old one in a single step. Who looks at it sees the old or the
 * new one, never a half.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <openssl/crypto.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/identity.h"
#include "kms/keyfile.h"

#define NEW_PSK_LEN 32u

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

/* ---- text that holds keys ---- */

static void
cleanse_string(GString *text)
{
    if (text == NULL)
        return;
    OPENSSL_cleanse(text->str, text->allocated_len);
    g_string_free(text, TRUE);
}

/* GString moves its text when it grows; room is made beforehand so that no copy stays behind. */
static GString *
text_with_room(const char *text, gsize len, gsize more)
{
    GString *copy = g_string_sized_new(len + more + 1);

    g_string_append_len(copy, text, (gssize)len);
    return copy;
}

/* ---- the file ---- */

/* An open key file whose lock we hold */
typedef struct Edit {
    char *path; /* links followed */
    int fd;
    struct stat info;
    GString *text;
} Edit;

static void
edit_clear(Edit *edit)
{
    if (edit->fd >= 0)
        close(edit->fd); /* gives up the lock */
    cleanse_string(edit->text);
    g_free(edit->path);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Edit, edit_clear)

/* Whoever held the lock before us may have put another file in place: then once more. */
static gboolean
open_locked(Edit *edit, GError **error)
{
    for (;;) {
        struct stat there;

        edit->fd = open(edit->path, O_RDONLY | O_CLOEXEC);
        if (edit->fd < 0 || flock(edit->fd, LOCK_EX) != 0 || fstat(edit->fd, &edit->info) != 0)
            return fail(error, "%s: %s", edit->path, g_strerror(errno));
        if (stat(edit->path, &there) == 0 && there.st_ino == edit->info.st_ino &&
            there.st_dev == edit->info.st_dev)
            return TRUE;
        close(edit->fd);
        edit->fd = -1;
    }
}

static gboolean
read_text(Edit *edit, gsize more, GError **error)
{
    gsize size = (gsize)edit->info.st_size;
    ssize_t n = 0;

    if (!clv_secret_check_mode(edit->fd, edit->path, error))
        return FALSE;
    if (size > CLV_KMS_KEYFILE_MAX_BYTES)
        return fail(error, "%s: found %" G_GSIZE_FORMAT " octets, expected at most %u", edit->path,
                    size, CLV_KMS_KEYFILE_MAX_BYTES);
    edit->text = text_with_room("", 0, size + more);
    while (edit->text->len < size) {
        n = read(edit->fd, edit->text->str + edit->text->len, size - edit->text->len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            break;
        g_string_set_size(edit->text, edit->text->len + (gsize)n);
    }
    return n >= 0 ? TRUE : fail(error, "%s: %s", edit->path, g_strerror(errno));
}

static gboolean
edit_open(Edit *edit, const char *path, gsize more, GError **error)
{
    char *resolved = realpath(path, NULL);

    edit->fd = -1;
    if (resolved == NULL)
        return fail(error, "%s: %s", path, g_strerror(errno));
    edit->path = g_strdup(resolved);
    free(resolved);
    return open_locked(edit, error) && read_text(edit, more, error);
}

static gboolean
write_all(int fd, const char *text, gsize len)
{
    while (len > 0) {
        ssize_t n = write(fd, text, len);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return FALSE;
        text += n;
        len -= (gsize)n;
    }
    return TRUE;
}

static void
sync_folder(const char *path)
{
    g_autofree char *folder = g_path_get_dirname(path);
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (fd < 0)
        return;
    fsync(fd);
    close(fd);
}

/* Returns: name of a file beside @path with @text in it, mode and owner as in @like */
static char *
write_beside(const char *path, const struct stat *like, const GString *text, GError **error)
{
    g_autofree char *name = g_strdup_printf("%s.XXXXXX", path);
    int fd = g_mkstemp_full(name, O_RDWR | O_CLOEXEC, 0600);
    gboolean good;

    if (fd < 0) {
        fail(error, "%s: cannot write beside it: %s", path, g_strerror(errno));
        return NULL;
    }
    good = write_all(fd, text->str, text->len);
    if (good && like != NULL)
        good = fchmod(fd, like->st_mode & 07777) == 0 &&
               ((like->st_uid == geteuid() && like->st_gid == getegid()) ||
                fchown(fd, like->st_uid, like->st_gid) == 0);
    good = good && fsync(fd) == 0;
    if (!good) {
        fail(error, "%s: cannot write beside it: %s", path, g_strerror(errno));
        g_unlink(name);
    }
    close(fd);
    return good ? g_steal_pointer(&name) : NULL;
}

/* Would the KMS take this text? */
static gboolean
check_new(const char *path, const GString *text, GError **error)
{
    g_autoptr(GPtrArray) errors = g_ptr_array_new_with_free_func(g_free);
    g_autofree char *folder = g_path_get_dirname(path);
    g_autoptr(ClvKmsKeyFile) keys =
        clv_kms_keyfile_parse_in(path, folder, text->str, text->len, errors);

    if (keys != NULL)
        return TRUE;
    return fail(error, "the file would not be valid any more and was left as it is: %s",
                errors->len > 0 ? (const char *)errors->pdata[0] : "unknown reason");
}

static gboolean
edit_commit(Edit *edit, GError **error)
{
    g_autofree char *beside = NULL;

    if (!check_new(edit->path, edit->text, error))
        return FALSE;
    beside = write_beside(edit->path, &edit->info, edit->text, error);
    if (beside == NULL)
        return FALSE;
    if (g_rename(beside, edit->path) != 0) {
        fail(error, "%s: %s", edit->path, g_strerror(errno));
        g_unlink(beside);
        return FALSE;
    }
    sync_folder(edit->path);
    return TRUE;
}

/* ---- lines and groups ---- */

/* A group in the text: from its header to where the next one's part begins */
typedef struct Span {
    gsize start, end;
} Span;

static gsize
line_end(const GString *text, gsize at)
{
    const char *end = memchr(text->str + at, '\n', text->len - at);

    return end != NULL ? (gsize)(end - text->str) + 1 : text->len;
}

/* Comments and empty lines right before a header belong to that header. */
static gboolean
line_is_silent(const GString *text, gsize at)
{
    while (at < text->len && (text->str[at] == ' ' || text->str[at] == '\t'))
        at++;
    return at == text->len || strchr("#;\r\n", text->str[at]) != NULL;
}

static gboolean
line_is_header(const GString *text, gsize at, const char *group)
{
    g_autofree char *line = g_strndup(text->str + at, line_end(text, at) - at);
    gsize len;

    g_strstrip(line);
    len = strlen(line);
    if (len < 2 || line[0] != '[' || line[len - 1] != ']')
        return FALSE;
    line[len - 1] = '\0';
    return group == NULL || strcmp(g_strstrip(line + 1), group) == 0;
}

static gboolean
find_group(const GString *text, const char *group, Span *out)
{
    gboolean inside = FALSE;

    for (gsize at = 0; at < text->len; at = line_end(text, at)) {
        if (line_is_header(text, at, NULL)) {
            if (inside)
                return TRUE;
            inside = line_is_header(text, at, group);
            out->start = at;
            out->end = line_end(text, at);
        } else if (inside && !line_is_silent(text, at)) {
            out->end = line_end(text, at);
        }
    }
    return inside;
}

/* The empty line that was put before the group goes with it. */
static void
take_empty_line(const GString *text, Span *span)
{
    if (span->start >= 2 && text->str[span->start - 1] == '\n' &&
        text->str[span->start - 2] == '\n')
        span->start--;
}

/* ---- what is added ---- */

static gboolean
one_line(const char *what, const char *text, GError **error)
{
    if (text == NULL || (text[0] != '\0' && strpbrk(text, "\r\n") == NULL))
        return TRUE;
    return fail(error, "%s: found nothing or a line end, expected one line", what);
}

static void
add_line(GString *out, const char *key, const char *value)
{
    if (value != NULL)
        g_string_append_printf(out, "%s = %s\n", key, value);
}

static void
begin_group(GString *out, const char *kind, const char *name)
{
    if (out->len > 0 && out->str[out->len - 1] != '\n')
        g_string_append_c(out, '\n');
    g_string_append_printf(out, "\n[%s %s]\n", kind, name);
}

static void
add_psk_line(GString *out, const ClvSecret *psk)
{
    gsize len = 0;
    const guint8 *bytes = clv_secret_bytes(psk, &len);
    char *text = g_base64_encode(bytes, len);

    g_string_append(out, "psk = base64:");
    g_string_append(out, text);
    g_string_append_c(out, '\n');
    clv_secret_free_string(text);
}

static char *
time_text(gint64 time_us)
{
    g_autoptr(GDateTime) time = g_date_time_new_from_unix_utc(time_us / G_USEC_PER_SEC);

    return g_date_time_format(time, "%Y-%m-%dT%H:%M:%SZ");
}

static void
write_user(GString *out, const ClvKmsUserSpec *spec, const ClvSecret *psk)
{
    g_autofree char *identities =
        spec->identities != NULL ? g_strjoinv(";", (char **)spec->identities) : NULL;

    g_autofree char *since = time_text(g_get_real_time());

    begin_group(out, "user", spec->name);
    add_psk_line(out, psk);
    add_line(out, "identities", identities);
    add_line(out, "may-request", spec->may_request);
    add_line(out, "purposes", spec->purposes);
    add_line(out, "max-lifetime", spec->max_lifetime);
    add_line(out, "secure-conference", spec->secure_conference ? "yes" : "no");
    add_line(out, "tickets-since", since); /* not those of an earlier user of this name */
}

static gboolean
check_user_spec(const ClvKmsUserSpec *spec, GError **error)
{
    for (guint i = 0; spec->identities != NULL && spec->identities[i] != NULL; i++) {
        g_autofree char *canonical = clv_identity_canonical(spec->identities[i], -1);

        if (canonical == NULL || strpbrk(spec->identities[i], ";\r\n") != NULL)
            return fail(error, "identity: found '%s', expected a SIP, SIPS or global tel URI",
                        spec->identities[i]);
    }
    return clv_kms_name_check(spec->name, error) &&
           one_line("may-request", spec->may_request, error) &&
           one_line("purposes", spec->purposes, error) &&
           one_line("max-lifetime", spec->max_lifetime, error);
}

/* Returns: (transfer full) (nullable): the key given, or a new one */
static ClvSecret *
take_psk(const ClvKmsUserSpec *spec, GError **error)
{
    guint8 bytes[NEW_PSK_LEN];
    ClvSecret *psk;

    if (spec->psk != NULL)
        return clv_secret_new(spec->psk, spec->psk_len);
    if (!clv_random(NULL, bytes, sizeof bytes)) {
        fail(error, "no random octets for a key");
        return NULL;
    }
    psk = clv_secret_new(bytes, sizeof bytes);
    OPENSSL_cleanse(bytes, sizeof bytes);
    return psk;
}

static gsize
user_room(const ClvKmsUserSpec *spec)
{
    gsize room = 1024 + strlen(spec->name) + 2 * spec->psk_len;
    const char *const texts[] = {spec->may_request, spec->purposes, spec->max_lifetime};

    for (guint i = 0; i < G_N_ELEMENTS(texts); i++)
        room += texts[i] != NULL ? strlen(texts[i]) : 0;
    for (guint i = 0; spec->identities != NULL && spec->identities[i] != NULL; i++)
        room += strlen(spec->identities[i]) + 1;
    return room;
}

gboolean
clv_kms_keyfile_add_user(const char *path, const ClvKmsUserSpec *spec, ClvSecret **out_psk,
                         GError **error)
{
    g_auto(Edit) edit = {.fd = -1};
    g_autoptr(ClvSecret) psk = NULL;
    g_autofree char *group = g_strdup_printf("user %s", spec->name);
    Span span;

    if (!check_user_spec(spec, error) || !edit_open(&edit, path, user_room(spec), error))
        return FALSE;
    if (find_group(edit.text, group, &span))
        return fail(error, "%s: there is a user '%s' already", path, spec->name);
    psk = take_psk(spec, error);
    if (psk == NULL)
        return FALSE;
    write_user(edit.text, spec, psk);
    if (!edit_commit(&edit, error))
        return FALSE;
    if (out_psk != NULL)
        *out_psk = g_steal_pointer(&psk);
    return TRUE;
}

gboolean
clv_kms_keyfile_add_service(const char *path, const ClvKmsServiceSpec *spec, GError **error)
{
    g_auto(Edit) edit = {.fd = -1};
    g_autofree char *group = g_strdup_printf("service %s", spec->name);
    gsize room = 1024 + strlen(spec->name) + (spec->factories ? strlen(spec->factories) : 0);
    Span span;

    if (!clv_kms_name_check(spec->name, error) || !one_line("user", spec->user, error) ||
        !one_line("host", spec->host, error) || !one_line("factory", spec->factories, error) ||
        !edit_open(&edit, path, room, error))
        return FALSE;
    if (find_group(edit.text, group, &span))
        return fail(error, "%s: there is a service '%s' already", path, spec->name);
    begin_group(edit.text, "service", spec->name);
    add_line(edit.text, "user", spec->user);
    add_line(edit.text, "host", spec->host);
    add_line(edit.text, "factory", spec->factories);
    return edit_commit(&edit, error);
}

gboolean
clv_kms_keyfile_add_group(const char *path, const char *name, const char *uri,
                          const char *const *members, GError **error)
{
    g_auto(Edit) edit = {.fd = -1};
    g_autofree char *group = g_strdup_printf("group %s", name);
    g_autofree char *list = g_strjoinv(";", (char **)members);
    Span span;

    if (!clv_kms_name_check(name, error) || !one_line("uri", uri, error) ||
        !one_line("members", list, error) ||
        !edit_open(&edit, path, 1024 + strlen(name) + strlen(uri) + strlen(list), error))
        return FALSE;
    if (find_group(edit.text, group, &span))
        return fail(error, "%s: there is a group '%s' already", path, name);
    begin_group(edit.text, "group", name);
    add_line(edit.text, "uri", uri);
    add_line(edit.text, "members", list);
    return edit_commit(&edit, error);
}

/* ---- revoking ---- */

static gboolean
line_has_key(const GString *text, gsize at, const char *key)
{
    gsize len = strlen(key);

    while (at < text->len && (text->str[at] == ' ' || text->str[at] == '\t'))
        at++;
    if (at + len >= text->len || strncmp(text->str + at, key, len) != 0)
        return FALSE;
    return strchr(" \t=", text->str[at + len]) != NULL;
}

static void
drop_line(GString *text, Span *span, const char *key)
{
    gsize at = span->start;

    while (at < span->end) {
        gsize end = line_end(text, at);

        if (!line_has_key(text, at, key)) {
            at = end;
            continue;
        }
        g_string_erase(text, (gssize)at, (gssize)(end - at));
        span->end -= end - at;
    }
}

gboolean
clv_kms_keyfile_revoke_user(const char *path, const char *name, gboolean revoked, gint64 now_us,
                            GError **error)
{
    g_auto(Edit) edit = {.fd = -1};
    g_autofree char *group = g_strdup_printf("user %s", name);
    g_autofree char *time = time_text(now_us);
    g_autofree char *lines =
        g_strdup_printf("%stickets-since = %s\n", revoked ? "revoked = yes\n" : "", time);
    Span span;

    if (!edit_open(&edit, path, 256, error))
        return FALSE;
    if (!find_group(edit.text, group, &span))
        return fail(error, "%s: there is no user '%s'", path, name);
    drop_line(edit.text, &span, "revoked");
    drop_line(edit.text, &span, "tickets-since");
    if (span.end > 0 && edit.text->str[span.end - 1] != '\n')
        g_string_insert_c(edit.text, (gssize)span.end++, '\n');
    g_string_insert(edit.text, (gssize)span.end, lines);
    return edit_commit(&edit, error);
}

gboolean
clv_kms_keyfile_remove(const char *path, const char *kind, const char *name, GError **error)
{
    g_auto(Edit) edit = {.fd = -1};
    g_autofree char *group = g_strdup_printf("%s %s", kind, name);
    Span span;

    if (!edit_open(&edit, path, 0, error))
        return FALSE;
    if (!find_group(edit.text, group, &span))
        return fail(error, "%s: there is no %s '%s'", path, kind, name);
    take_empty_line(edit.text, &span);
    g_string_erase(edit.text, (gssize)span.start, (gssize)(span.end - span.start));
    return edit_commit(&edit, error);
}

/* ---- a new file ---- */

static const char new_file[] =
    "# Key file of conclave-kms: who shares a key with this KMS, and what each may do.\n"
    "# conclave-kms-keys(5) explains every key. Comments are lines of their own.\n"
    "# 'conclave-kms user add' and its sisters edit this file; SIGHUP makes the KMS read it "
    "again.\n"
    "\n"
    "[kms]\n"
    "# Name of this KMS in MIKEY messages\n"
    "uri = %s\n"
    "# Key that protects the inside of tickets; a random one is made at start without it, and\n"
    "# tickets then end with the process\n"
    "#tpk-file = tpk.key\n"
    "# Folder for what must survive a restart: ticket keys, messages seen\n"
    "#state-dir = state\n"
    "#tpk-rotate = 24h\n"
    "# Longest validity of a ticket, unless the user has one of his own\n"
    "max-lifetime = 24h\n"
    "# Allowed difference of clocks\n"
    "skew = 300s\n"
    "\n"
    "# A person:\n"
    "#[user alice]\n"
    "#psk = base64:...\n"
    "#identities = sip:alice@example.org\n"
    "#may-request = any\n"
    "#secure-conference = yes\n"
    "\n"
    "# A conference system: its factory is sip:factory.conf1@example.org, its conferences are\n"
    "# sip:TOKEN.conf1@example.org, and it has the key of user conf1\n"
    "#[service conf1]\n"
    "#user = conf1\n"
    "#host = example.org\n";

gboolean
clv_kms_keyfile_create(const char *path, const char *kms_uri, GError **error)
{
    g_autofree char *canonical = clv_identity_canonical(kms_uri, -1);
    g_autofree char *beside = NULL;
    GString *text;
    gboolean good;

    if (canonical == NULL || strpbrk(kms_uri, "\r\n") != NULL)
        return fail(error, "KMS URI: found '%s', expected a SIP URI such as sip:kms@example.org",
                    kms_uri);
    text = g_string_new(NULL);
    g_string_append_printf(text, new_file, kms_uri);
    beside = write_beside(path, NULL, text, error);
    g_string_free(text, TRUE);
    if (beside == NULL)
        return FALSE;
    good = link(beside, path) == 0; /* unlike rename, never replaces what is there */
    if (!good)
        fail(error, "%s: %s", path, g_strerror(errno));
    g_unlink(beside);
    if (good)
        sync_folder(path);
    return good;
}

/* ---- a list ---- */

static char *
join(const GPtrArray *words)
{
    GString *text = g_string_new(NULL);

    for (guint i = 0; i < words->len; i++)
        g_string_append_printf(text, "%s%s", i > 0 ? ";" : "", (const char *)words->pdata[i]);
    return g_string_free(text, FALSE);
}

static char *
user_line(gconstpointer item)
{
    const ClvKmsUser *user = item;
    g_autofree char *names = join(user->identities);

    return g_strdup_printf("%s\t%s\tsecure-conference=%s%s", user->name, names,
                           user->secure_conference ? "yes" : "no",
                           user->revoked ? "\trevoked" : "");
}

static char *
system_line(gconstpointer item)
{
    const ClvKmsSystem *system = item;
    g_autofree char *names = join(system->factories);

    return g_strdup_printf("%s\t%s\tuser=%s", system->name, names, system->user_name);
}

static char *
group_line(gconstpointer item)
{
    const ClvKmsGroup *group = item;
    g_autofree char *members = join(group->members);

    return g_strdup_printf("%s\t%s\t%s", group->name, group->uri, members);
}

/* What is open: that it may ask here, and that it is asked. */
static char *
peer_line(gconstpointer item)
{
    const ClvKmsPeer *peer = item;
    g_autofree char *urls = join(peer->urls);

    return g_strdup_printf("%s\t%s\turl=%s\tmay-ask=%s", peer->user->name + strlen("peer "),
                           peer->uri, urls, peer->user->certificates->len > 0 ? "yes" : "no");
}

void
clv_kms_keyfile_list(const ClvKmsKeyFile *keys, const char *kind,
                     void (*line)(const char *text, void *user), void *user)
{
    const struct {
        const char *kind;
        const GPtrArray *list;
        char *(*line_of)(gconstpointer item);
    } kinds[] = {
        {"user", keys->users, user_line},
        {"service", keys->systems, system_line},
        {"group", keys->groups, group_line},
        {"peer", keys->peers, peer_line},
    };

    for (guint i = 0; i < G_N_ELEMENTS(kinds); i++) {
        for (guint n = 0; strcmp(kinds[i].kind, kind) == 0 && n < kinds[i].list->len; n++) {
            g_autofree char *text = kinds[i].line_of(kinds[i].list->pdata[n]);

            line(text, user);
        }
    }
}
