/* SPDX-License-Identifier: Apache-2.0 */
/* daemon/watch.c - inotify on policies, users and keys */
#include "daemon/watch.h"

#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

#define SETTLE_MS 200
#define EVENTS (IN_CLOSE_WRITE | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE)

struct ClvWatch {
    ClvLoop *loop;
    int fd;
    int watch;
    ClvTimer *settle;
    GHashTable *names;   /* set of base names that matter, folder-wide ones excepted */
    GHashTable *folders; /* set of watch descriptors in which every *.conf matters */
    void (*changed)(void *user);
    void *user;
};

static void
settled(void *user)
{
    ClvWatch *watch = user;

    watch->settle = NULL;
    watch->changed(watch->user);
}

static gboolean
matters(const ClvWatch *watch, const struct inotify_event *event)
{
    if (event->len == 0)
        return FALSE;
    if (g_hash_table_contains(watch->folders, GINT_TO_POINTER(event->wd)))
        return g_str_has_suffix(event->name, ".conf");
    return g_hash_table_contains(watch->names, event->name);
}

static void
ready(void *user)
{
    ClvWatch *watch = user;
    char buffer[4096] __attribute__((aligned(__alignof__(struct inotify_event))));
    ssize_t n = read(watch->fd, buffer, sizeof buffer);
    gboolean any = FALSE;

    for (ssize_t at = 0; at < n;) {
        const struct inotify_event *event = (const struct inotify_event *)(buffer + at);

        any = any || matters(watch, event);
        at += (ssize_t)sizeof *event + event->len;
    }
    if (!any)
        return;
    clv_timer_cancel(watch->settle);
    watch->settle = clv_loop_timer(watch->loop, SETTLE_MS, settled, watch);
}

static void
add(ClvWatch *watch, const char *path)
{
    g_autofree char *folder = NULL;
    int wd;

    if (g_file_test(path, G_FILE_TEST_IS_DIR)) {
        wd = inotify_add_watch(watch->fd, path, EVENTS);
        if (wd >= 0)
            g_hash_table_add(watch->folders, GINT_TO_POINTER(wd));
        return;
    }
    folder = g_path_get_dirname(path);
    inotify_add_watch(watch->fd, folder, EVENTS);
    g_hash_table_add(watch->names, g_path_get_basename(path));
}

ClvWatch *
clv_watch_new(ClvLoop *loop, const char *const *files, guint n_files, void (*changed)(void *user),
              void *user)
{
    ClvWatch *watch = g_new0(ClvWatch, 1);

    watch->loop = loop;
    watch->changed = changed;
    watch->user = user;
    watch->names = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    watch->folders = g_hash_table_new(NULL, NULL);
    watch->fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    if (watch->fd < 0)
        return watch;
    for (guint i = 0; i < n_files; i++) {
        if (files[i] != NULL)
            add(watch, files[i]);
    }
    watch->watch = clv_loop_watch(loop, watch->fd, ready, watch);
    return watch;
}

void
clv_watch_free(ClvWatch *watch)
{
    if (watch == NULL)
        return;
    clv_timer_cancel(watch->settle);
    if (watch->fd >= 0) {
        clv_loop_unwatch(watch->loop, watch->watch);
        close(watch->fd);
    }
    g_hash_table_unref(watch->names);
    g_hash_table_unref(watch->folders);
    g_free(watch);
}
