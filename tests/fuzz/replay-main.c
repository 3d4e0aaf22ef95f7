/* SPDX-License-Identifier: Apache-2.0 */
/* Does a fuzz target still live through its whole corpus?
 *
 * Stands in for libFuzzer in ordinary builds: each file of the corpus is given to the target as it
 * is and cut off at many lengths, from a heap copy of exactly its size so that the address
 * sanitizer sees every overread. Speaks TAP, one line per file. A target that spins is killed by
 * SIGALRM.
 *
 * usage: replay-X [FILE-OR-FOLDER...]     (default: tests/fuzz/corpus/X)
 */
#include "config.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <glib.h>

#define SECONDS_PER_FILE 60
#define MAX_CUTS 256

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
give(const char *data, gsize size)
{
    uint8_t *copy = malloc(size > 0 ? size : 1);

    g_assert_nonnull(copy);
    if (size > 0)
        memcpy(copy, data, size);
    LLVMFuzzerTestOneInput(copy, size);
    free(copy);
}

static gboolean
replay(const char *path, GError **error)
{
    g_autofree char *data = NULL;
    gsize size, step;

    if (!g_file_get_contents(path, &data, &size, error))
        return FALSE;
    alarm(SECONDS_PER_FILE);
    give(data, size);
    step = size / MAX_CUTS + 1;
    for (gsize cut = 0; cut < size; cut += step)
        give(data, cut);
    alarm(0);
    return TRUE;
}

static int
compare_paths(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Adds the file, or the files of the folder in byte order of their names. */
static void
collect(GPtrArray *paths, const char *path)
{
    g_autoptr(GDir) dir = g_dir_open(path, 0, NULL);
    guint from = paths->len;
    const char *name;

    if (dir == NULL) {
        g_ptr_array_add(paths, g_strdup(path));
        return;
    }
    while ((name = g_dir_read_name(dir)) != NULL)
        g_ptr_array_add(paths, g_build_filename(path, name, NULL));
    if (paths->len > from)
        qsort(paths->pdata + from, paths->len - from, sizeof(gpointer), compare_paths);
}

/* tests/fuzz/corpus/X of the source tree, when this program is called replay-X. */
static char *
own_corpus(const char *program)
{
    g_autofree char *base = g_path_get_basename(program);
    const char *name = g_str_has_prefix(base, "lt-") ? base + 3 : base;
    const char *top = g_getenv("G_TEST_SRCDIR");

    if (!g_str_has_prefix(name, "replay-"))
        g_error("called as '%s', expected replay-X", name);
    return g_build_filename(top == NULL ? "." : top, "tests", "fuzz", "corpus",
                            name + strlen("replay-"), NULL);
}

int
main(int argc, char **argv)
{
    g_autoptr(GPtrArray) paths = g_ptr_array_new_with_free_func(g_free);
    int failed = 0;

    for (int i = 1; i < argc; i++)
        collect(paths, argv[i]);
    if (argc == 1) {
        g_autofree char *corpus = own_corpus(argv[0]);

        collect(paths, corpus);
    }
    printf("1..%u\n", paths->len + 1);
    printf("%sok 1 - there is a corpus\n", paths->len > 0 ? "" : "not ");

    for (guint i = 0; i < paths->len; i++) {
        g_autoptr(GError) error = NULL;
        g_autofree char *name = g_path_get_basename(paths->pdata[i]);

        printf("# %s\n", name);
        fflush(stdout);
        if (replay(paths->pdata[i], &error)) {
            printf("ok %u - %s\n", i + 2, name);
        } else {
            printf("not ok %u - %s\n", i + 2, error->message);
            failed++;
        }
    }
    return failed > 0 || paths->len == 0;
}
