/* SPDX-License-Identifier: Apache-2.0 */
/* policy/files.c - which files make up a policy, and may they be trusted? */
#include "policy/load-private.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void G_GNUC_PRINTF(3, 4) fail(GPtrArray *errors, const char *path, const char *format, ...)
{
    g_autofree char *text = NULL;
    va_list args;

    va_start(args, format);
    text = g_strdup_vprintf(format, args);
    va_end(args);
    g_ptr_array_add(errors, g_strdup_printf("%s: %s", path, text));
}

static gboolean
mode_is_fit(const char *path, const struct stat *status, GPtrArray *errors)
{
    if (!S_ISREG(status->st_mode)) {
        fail(errors, path, "found something else, expected a file");
        return FALSE;
    }
    if ((status->st_mode & S_IWOTH) != 0) {
        fail(errors, path, "found mode %04o, expected a file that others cannot write (chmod o-w)",
             (guint)(status->st_mode & 07777));
        return FALSE;
    }
    if (status->st_size > (off_t)CLV_POLICY_MAX_BYTES) {
        fail(errors, path, "found %" G_GINT64_FORMAT " octets, expected at most %u",
             (gint64)status->st_size, CLV_POLICY_MAX_BYTES);
        return FALSE;
    }
    return TRUE;
}

/* Reads one octet more than allowed, so that a file growing meanwhile shows. */
static GString *
read_all(int fd, const char *path, GPtrArray *errors)
{
    g_autoptr(GString) text = g_string_sized_new(4096);
    char buffer[16384];
    ssize_t n;

    while (text->len <= CLV_POLICY_MAX_BYTES) {
        do
            n = read(fd, buffer, sizeof buffer);
        while (n < 0 && errno == EINTR);
        if (n < 0) {
            fail(errors, path, "cannot be read: %s", g_strerror(errno));
            return NULL;
        }
        if (n == 0)
            return g_steal_pointer(&text);
        g_string_append_len(text, buffer, n);
    }
    fail(errors, path, "found more than %u octets, expected at most as many", CLV_POLICY_MAX_BYTES);
    return NULL;
}

static gboolean
holds_pin(const ClvIni *ini)
{
    for (guint i = 0; i < clv_ini_n_entries(ini); i++) {
        const ClvIniEntry *entry = clv_ini_entry(ini, i);

        if (strcmp(entry->key, "pin-hash") == 0 && entry->value[0] != '\0')
            return TRUE;
    }
    return FALSE;
}

/* (nullable) A PIN's few digits are found from its hash by trying. */
static ClvIni *
unless_exposed(ClvIni *ini, const char *path, const struct stat *status, GPtrArray *errors)
{
    if (ini == NULL || (status->st_mode & S_IROTH) == 0 || !holds_pin(ini))
        return ini;
    fail(errors, path,
         "found mode %04o and a pin-hash, expected a file that others cannot read (chmod o-r)",
         (guint)(status->st_mode & 07777));
    clv_ini_free(ini);
    return NULL;
}

static ClvIni *
read_file(const char *path, GPtrArray *errors)
{
    g_autoptr(GString) text = NULL;
    struct stat status;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

    if (fd < 0 || fstat(fd, &status) < 0) {
        fail(errors, path, "cannot be opened: %s", g_strerror(errno));
        if (fd >= 0)
            close(fd);
        return NULL;
    }
    if (mode_is_fit(path, &status, errors))
        text = read_all(fd, path, errors);
    close(fd);
    if (text == NULL)
        return NULL;
    return unless_exposed(clv_ini_parse(path, text->str, text->len, errors), path, &status, errors);
}

static int
compare_names(gconstpointer a, gconstpointer b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Paths of the *.conf files, in byte order of their names. Editors' left-overs (".x", "x~") are
 * none. */
static GPtrArray *
list_dropins(const char *dropin_dir, GPtrArray *errors)
{
    GPtrArray *paths = g_ptr_array_new_with_free_func(g_free);
    g_autoptr(GError) error = NULL;
    g_autoptr(GDir) dir = g_dir_open(dropin_dir, 0, &error);
    const char *name;

    if (dir == NULL) {
        if (!g_error_matches(error, G_FILE_ERROR, G_FILE_ERROR_NOENT))
            fail(errors, dropin_dir, "cannot be listed: %s", error->message);
        return paths;
    }
    while ((name = g_dir_read_name(dir)) != NULL) {
        if (name[0] != '.' && g_str_has_suffix(name, ".conf"))
            g_ptr_array_add(paths, g_build_filename(dropin_dir, name, NULL));
    }
    g_ptr_array_sort(paths, compare_names);
    return paths;
}

static void
ini_free(gpointer data)
{
    clv_ini_free(data);
}

static void
add_file(GPtrArray *files, const char *path, GPtrArray *errors)
{
    ClvIni *ini = read_file(path, errors);

    if (ini != NULL)
        g_ptr_array_add(files, ini);
}

static void
add_dropins(GPtrArray *files, const char *dropin_dir, GPtrArray *errors)
{
    g_autoptr(GPtrArray) paths = list_dropins(dropin_dir, errors);

    for (guint i = 0; i < paths->len; i++)
        add_file(files, paths->pdata[i], errors);
}

ClvPolicy *
clv_policy_load(const char *path, const char *dropin_dir, GPtrArray *errors)
{
    g_autoptr(GPtrArray) files = g_ptr_array_new_with_free_func(ini_free);
    guint before = errors->len;

    add_file(files, path, errors);
    if (dropin_dir != NULL)
        add_dropins(files, dropin_dir, errors);
    if (errors->len > before)
        return NULL;
    return clv_policy_build(path, (const ClvIni *const *)files->pdata, files->len, errors);
}

ClvPolicy *
clv_policy_load_all(const char *const *paths, GPtrArray *errors)
{
    g_autoptr(GPtrArray) files = g_ptr_array_new_with_free_func(ini_free);
    guint before = errors->len;

    add_file(files, paths[0], errors);
    for (const char *const *path = paths + 1; *path != NULL; path++) {
        if (g_file_test(*path, G_FILE_TEST_IS_DIR))
            add_dropins(files, *path, errors);
        else
            add_file(files, *path, errors);
    }
    if (errors->len > before)
        return NULL;
    return clv_policy_build(paths[0], (const ClvIni *const *)files->pdata, files->len, errors);
}
