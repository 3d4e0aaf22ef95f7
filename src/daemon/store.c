/* SPDX-License-Identifier: Apache-2.0 */
/* daemon/store.c - conferences that outlive a restart (persist=yes)
 *
 * One file, replaced in one step, with the URI, the creator and the allowed set of each such
 * conference; never a key. It is written by a thread, a moment after something has changed. A file that
 * is damaged is kept beside the new one, and what can be read of it is restored.
 */
#include "daemon/hub-private.h"

#include <glib/gstdio.h>
#include <string.h>

#include "base/identity.h"

#define SETTLE_MS 200
#define GROUP "conference "
#define IN_GROUPS ":@;=+$,/?&!*'()" /* of URIs; the brackets of an IPv6 host may not stand there */

/* ---- writing ---- */

static void
put(GKeyFile *file, const char *group, const char *key, const char *value)
{
    if (value != NULL)
        g_key_file_set_string(file, group, key, value);
}

static void
put_list(GKeyFile *file, const char *group, const char *key, char **values)
{
    if (values != NULL)
        g_key_file_set_string_list(file, group, key, (const char *const *)values,
                                   g_strv_length(values));
}

static void
add_room(guint64 id, gpointer object, gpointer user)
{
    GKeyFile *file = user;
    Room *room = object;
    ClvConferenceRecord *record;
    g_autofree char *group = NULL, *escaped = NULL;

    if (room->factory == NULL || room->over ||
        !clv_policy_persist(clv_conference_policy(room->conference)))
        return;
    record = clv_conference_record(room->conference);
    if (record->creator != NULL) { /* until its creation is done there is nothing to keep */
        escaped = g_uri_escape_string(record->uri, IN_GROUPS, TRUE);
        group = g_strconcat(GROUP, escaped, NULL);
        put(file, group, "factory", room->factory);
        put(file, group, "creator", record->creator);
        put(file, group, "ticket", record->ticket_hash);
        put_list(file, group, "names", record->ticket_names);
        put_list(file, group, "banned", record->banned);
        g_key_file_set_int64(file, group, "expires", record->expires_us);
    }
    clv_conference_record_free(record);
}

static char *
render(ClvHub *hub)
{
    g_autoptr(GKeyFile) file = g_key_file_new();

    g_key_file_set_integer(file, "state", "format", 1);
    clv_id_foreach(hub->rooms, add_room, file);
    return g_key_file_to_data(file, NULL, NULL);
}

static void
write_file(gpointer text, gpointer path)
{
    g_autoptr(GError) error = NULL;

    if (!g_file_set_contents_full(path, text, -1, G_FILE_SET_CONTENTS_CONSISTENT | G_FILE_SET_CONTENTS_DURABLE,
                                  0600, &error))
        clv_log(CLV_LOG_ERROR, NULL, "state-not-written",
                "%s; conferences that now change would not be known after a restart",
                error->message);
    g_free(text);
}

static gboolean
changed(ClvHub *hub, char **out_text)
{
    char *text = render(hub);

    if (g_strcmp0(text, hub->stored) == 0) {
        g_free(text);
        return FALSE;
    }
    g_free(hub->stored);
    hub->stored = g_strdup(text);
    *out_text = text;
    return TRUE;
}

static void
settled(void *user)
{
    ClvHub *hub = user;
    char *text;

    hub->store_timer = NULL;
    if (changed(hub, &text))
        g_thread_pool_push(hub->store_pool, text, NULL);
}

void
store_touch(ClvHub *hub)
{
    if (hub->store_pool != NULL && hub->store_timer == NULL && !hub->stopping)
        hub->store_timer = clv_loop_timer(hub->loop, SETTLE_MS, settled, hub);
}

/* Before the end: what has just changed, a removal perhaps, is not to be lost with it. */
void
store_flush(ClvHub *hub)
{
    if (hub->store_timer == NULL)
        return;
    clv_timer_cancel(g_steal_pointer(&hub->store_timer));
    settled(hub);
}

/* ---- reading ---- */

/* FALSE: not whole. */
static gboolean
restore(ClvHub *hub, GKeyFile *file, const char *group)
{
    g_autofree char *text = g_uri_unescape_string(group + strlen(GROUP), NULL);
    g_autofree char *uri = text != NULL ? clv_identity_canonical(text, -1) : NULL;
    ClvConferenceRecord record = {
        .uri = uri,
        .creator = g_key_file_get_string(file, group, "creator", NULL),
        .ticket_hash = g_key_file_get_string(file, group, "ticket", NULL),
        .ticket_names = g_key_file_get_string_list(file, group, "names", NULL, NULL),
        .banned = g_key_file_get_string_list(file, group, "banned", NULL, NULL),
        .expires_us = g_key_file_get_int64(file, group, "expires", NULL),
    };
    g_autofree char *factory = g_key_file_get_string(file, group, "factory", NULL);
    gboolean whole = uri != NULL && record.creator != NULL && factory != NULL &&
                     !g_hash_table_contains(hub->rooms_by_uri, record.uri);

    if (whole && !room_restore(hub, factory, &record))
        clv_log(CLV_LOG_WARNING, NULL, "state-dropped",
                "%s is not restored: there is no [factory %s] any more", record.uri, factory);
    g_free(record.creator);
    g_free(record.ticket_hash);
    g_strfreev(record.ticket_names);
    g_strfreev(record.banned);
    return whole;
}

static void
keep_damaged(const char *path, const char *why)
{
    g_autofree char *kept = g_strconcat(path, ".damaged", NULL);

    if (g_rename(path, kept) != 0)
        g_free(g_steal_pointer(&kept));
    clv_log(CLV_LOG_ERROR, NULL, "state-damaged", "%s: %s; %s%s", path, why,
            kept != NULL ? "the server starts without it, it is kept as " : "it stays there",
            kept != NULL ? kept : "");
}

static void
read_file(ClvHub *hub, const char *path)
{
    g_autoptr(GKeyFile) file = g_key_file_new();
    g_autoptr(GError) error = NULL;
    g_auto(GStrv) groups = NULL;
    guint restored = 0, damaged = 0;

    if (!g_key_file_load_from_file(file, path, G_KEY_FILE_NONE, &error)) {
        if (!g_error_matches(error, G_FILE_ERROR, G_FILE_ERROR_NOENT))
            keep_damaged(path, error->message);
        return;
    }
    if (g_key_file_get_integer(file, "state", "format", NULL) != 1) {
        keep_damaged(path, "found no [state] format=1");
        return;
    }
    groups = g_key_file_get_groups(file, NULL);
    for (char **group = groups; *group != NULL; group++) {
        if (!g_str_has_prefix(*group, GROUP))
            continue;
        if (restore(hub, file, *group))
            restored++;
        else
            damaged++;
    }
    clv_log(damaged > 0 ? CLV_LOG_ERROR : CLV_LOG_NOTICE, NULL, "state-restored",
            "%s: %u conferences restored, %u could not be read", path, restored, damaged);
}

void
store_load(ClvHub *hub)
{
    const char *path = hub->config->state_file;

    if (path == NULL)
        return;
    hub->store_pool = g_thread_pool_new_full(write_file, (gpointer)path, g_free, 1, FALSE, NULL);
    read_file(hub, path);
    store_touch(hub);
}

/* At the end of the server its conferences end for those who are in them, but not for the file. */
void
store_close(ClvHub *hub)
{
    clv_timer_cancel(g_steal_pointer(&hub->store_timer));
    if (hub->store_pool != NULL)
        g_thread_pool_free(g_steal_pointer(&hub->store_pool), FALSE, TRUE);
    g_clear_pointer(&hub->stored, g_free);
}
