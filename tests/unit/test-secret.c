/* SPDX-License-Identifier: Apache-2.0 */
/* Do keys stay where they belong? */
#include "config.h"

#include "base/secret.h"

#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <glib/gstdio.h>
#include <openssl/crypto.h>

static const guint8 key16[16] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 0xff};
#define KEY16_HEX "000102030405060708090A0b0c0d0eff"
#define KEY16_BASE64 "base64:AAECAwQFBgcICQoLDA0O/w=="

static void
assert_is_key16(const ClvSecret *secret)
{
    gsize len;
    const guint8 *bytes = clv_secret_bytes(secret, &len);

    g_assert_cmpmem(bytes, len, key16, sizeof(key16));
}

static void
test_copy(void)
{
    guint8 mine[16];
    g_autoptr(ClvSecret) secret = NULL;

    memcpy(mine, key16, sizeof(mine));
    secret = clv_secret_new(mine, sizeof(mine));
    OPENSSL_cleanse(mine, sizeof(mine));
    assert_is_key16(secret);
    clv_secret_free(NULL);
}

static void
test_secure_heap(void)
{
    g_autoptr(ClvSecret) secret = clv_secret_new(key16, sizeof(key16));

    g_assert_true(CRYPTO_secure_allocated(clv_secret_bytes(secret, NULL) - sizeof(gsize)));
}

static void
test_full_heap(void)
{
    enum { N = 64 };
    static const guint8 large[1024];
    ClvSecret *secrets[N];
    gsize len;

    for (guint i = 0; i < N; i++)
        secrets[i] = clv_secret_new(large, sizeof(large));
    for (guint i = 0; i < N; i++) {
        g_assert_cmpmem(clv_secret_bytes(secrets[i], &len), sizeof(large), large, sizeof(large));
        g_assert_cmpuint(len, ==, sizeof(large));
        clv_secret_free(secrets[i]);
    }
}

static void
test_no_core(void)
{
    struct rlimit limit;

    g_assert_cmpint(getrlimit(RLIMIT_CORE, &limit), ==, 0);
    g_assert_cmpuint(limit.rlim_cur, ==, 0);
    g_assert_cmpuint(limit.rlim_max, ==, 0);
#if !defined(__SANITIZE_ADDRESS__) && !defined(__clang__)
    g_assert_cmpint(prctl(PR_GET_DUMPABLE, 0, 0, 0, 0), ==, 0);
#endif
}

static void
test_init_twice(void)
{
    g_autoptr(GError) error = NULL;

    g_assert_true(clv_secret_init(16384, &error));
    g_assert_no_error(error);
}

static void
test_equal(void)
{
    g_autoptr(ClvSecret) a = clv_secret_new(key16, 16), b = clv_secret_new(key16, 16);
    g_autoptr(ClvSecret) shorter = clv_secret_new(key16, 15), none = clv_secret_new(NULL, 0);
    guint8 changed[16];
    g_autoptr(ClvSecret) other = NULL;

    memcpy(changed, key16, 16);
    changed[15] ^= 1;
    other = clv_secret_new(changed, 16);
    g_assert_true(clv_secret_equal(a, b));
    g_assert_true(clv_secret_equal(none, none));
    g_assert_false(clv_secret_equal(a, other));
    g_assert_false(clv_secret_equal(a, shorter));
    g_assert_false(clv_secret_equal(shorter, a));
    g_assert_false(clv_secret_equal(a, none));
}

static void
test_fingerprint(void)
{
    g_autoptr(ClvSecret) a = clv_secret_new(key16, 16), b = clv_secret_new(key16, 16);
    g_autoptr(ClvSecret) other = clv_secret_new(key16, 15);

    g_assert_cmphex(clv_secret_fingerprint(a), ==, clv_secret_fingerprint(b));
    g_assert_cmphex(clv_secret_fingerprint(a), !=, clv_secret_fingerprint(other));
}

static void
test_parse(void)
{
    static const char *const bad[] = {
        "",
        "0",
        "0g",
        "base64:",
        "base64:AAE",
        "base64:AAEC=",
        "base64:A===",
        "base64:====",
        "base64:AB==", /* bits behind the last octet */
        "base64:AA EC",
        "base64:AA==AAAA",
        " 00",
        "00 ",
        "00\n00",
        "base64:AAE-",
        "Base64:AAEC",
    };
    g_autoptr(ClvSecret) hex = clv_secret_parse(KEY16_HEX, NULL);
    g_autoptr(ClvSecret) base64 = clv_secret_parse(KEY16_BASE64, NULL);

    assert_is_key16(hex);
    assert_is_key16(base64);
    for (guint i = 0; i < G_N_ELEMENTS(bad); i++) {
        g_autoptr(GError) error = NULL;

        g_assert_null(clv_secret_parse(bad[i], &error));
        g_assert_error(error, CLV_SECRET_ERROR, CLV_SECRET_ERROR_FORMAT);
    }
}

static void
test_parse_lengths(void)
{
    /* every length up to some, by both forms */
    for (gsize len = 1; len <= 70; len++) {
        guint8 bytes[70];
        g_autoptr(GString) hex = g_string_new(NULL);
        g_autofree char *text = NULL, *base64 = NULL;
        g_autoptr(ClvSecret) want = NULL, from_hex = NULL, from_base64 = NULL;

        g_assert_true(clv_random(NULL, bytes, len));
        for (gsize i = 0; i < len; i++)
            g_string_append_printf(hex, "%02x", bytes[i]);
        text = g_base64_encode(bytes, len);
        base64 = g_strconcat("base64:", text, NULL);
        want = clv_secret_new(bytes, len);
        from_hex = clv_secret_parse(hex->str, NULL);
        from_base64 = clv_secret_parse(base64, NULL);
        g_assert_nonnull(from_hex);
        g_assert_nonnull(from_base64);
        g_assert_true(clv_secret_equal(want, from_hex));
        g_assert_true(clv_secret_equal(want, from_base64));
    }
}

static void
test_parse_limit(void)
{
    g_autofree char *most = g_strnfill(2 * CLV_SECRET_MAX_BYTES, 'a');
    g_autofree char *more = g_strnfill(2 * CLV_SECRET_MAX_BYTES + 2, 'a');
    g_autofree char *base64 = g_strconcat("base64:", more, NULL);
    g_autoptr(ClvSecret) secret = clv_secret_parse(most, NULL);

    g_assert_nonnull(secret);
    g_assert_null(clv_secret_parse(more, NULL));
    g_assert_null(clv_secret_parse(base64, NULL));
}

static void
test_errors_do_not_quote(void)
{
    g_autoptr(GError) error = NULL;

    g_assert_null(clv_secret_parse("c0ffee1234c0ffee123x", &error));
    g_assert_null(strstr(error->message, "c0ffee"));
}

/* ---- files ---- */

typedef struct File {
    char *path;
} File;

static void
file_setup(File *file, gconstpointer contents)
{
    int fd = g_file_open_tmp("secret-XXXXXX", &file->path, NULL);

    g_assert_cmpint(fd, >=, 0);
    g_assert_cmpint(write(fd, contents, strlen(contents)), ==, strlen(contents));
    close(fd);
}

static void
file_teardown(File *file, gconstpointer contents)
{
    g_unlink(file->path);
    g_free(file->path);
}

static void
test_file_reads(File *file, gconstpointer contents)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(ClvSecret) secret = clv_secret_read_file(file->path, &error);

    g_assert_no_error(error);
    assert_is_key16(secret);
}

static void
test_file_bad(File *file, gconstpointer contents)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *where = g_strconcat(file->path, ":1: ", NULL);

    g_assert_null(clv_secret_read_file(file->path, &error));
    g_assert_error(error, CLV_SECRET_ERROR, CLV_SECRET_ERROR_FORMAT);
    g_assert_true(g_str_has_prefix(error->message, where));
}

static void
test_file_mode(File *file, gconstpointer contents)
{
    static const struct {
        mode_t mode;
        gboolean good;
    } cases[] = {{0600, TRUE},  {0400, TRUE},  {0604, FALSE}, {0602, FALSE}, {0601, FALSE},
                 {0620, FALSE}, {0660, FALSE}, {0644, FALSE}, {0777, FALSE}};
    struct stat st;

    for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(GError) error = NULL;
        g_autoptr(ClvSecret) secret = NULL;

        g_assert_cmpint(g_chmod(file->path, cases[i].mode), ==, 0);
        secret = clv_secret_read_file(file->path, &error);
        if (cases[i].good)
            g_assert_no_error(error);
        else
            g_assert_error(error, CLV_SECRET_ERROR, CLV_SECRET_ERROR_MODE);
    }

    /* The group may read only when it is root's. */
    g_assert_cmpint(g_chmod(file->path, 0640), ==, 0);
    g_assert_cmpint(g_stat(file->path, &st), ==, 0);
    {
        g_autoptr(ClvSecret) secret = clv_secret_read_file(file->path, NULL);

        g_assert_cmpint(secret != NULL, ==, st.st_gid == 0);
    }
    if (geteuid() == 0) {
        g_assert_cmpint(chown(file->path, 0, 1), ==, 0);
        g_assert_cmpint(g_chmod(file->path, 0640), ==, 0);
        g_assert_null(clv_secret_read_file(file->path, NULL));
    }
}

static void
test_file_odd(void)
{
    g_autoptr(GError) absent = NULL, folder = NULL;

    g_assert_null(clv_secret_read_file("/nonexistent/key", &absent));
    g_assert_error(absent, CLV_SECRET_ERROR, CLV_SECRET_ERROR_FILE);
    g_assert_null(clv_secret_read_file(g_get_tmp_dir(), &folder));
    g_assert_error(folder, CLV_SECRET_ERROR, CLV_SECRET_ERROR_FILE);
}

static void
test_fifo(void)
{
    g_autofree char *dir = g_dir_make_tmp("secret-XXXXXX", NULL);
    g_autofree char *path = g_build_filename(dir, "fifo", NULL);
    g_autoptr(GError) error = NULL;

    g_assert_cmpint(mkfifo(path, 0600), ==, 0);
    g_assert_null(clv_secret_read_file(path, &error)); /* and does not wait for a writer */
    g_assert_error(error, CLV_SECRET_ERROR, CLV_SECRET_ERROR_FILE);
    g_unlink(path);
    g_rmdir(dir);
}

static void
test_srtp_keys(void)
{
    ClvSrtpKeys keys, zero;

    memset(&keys, 0xaa, sizeof(keys));
    memset(&zero, 0, sizeof(zero));
    clv_srtp_keys_clear(&keys);
    g_assert_cmpmem(&keys, sizeof(keys), &zero, sizeof(zero));
}

static void
test_random(void)
{
    guint8 a[32] = {0}, b[32] = {0};

    g_assert_true(clv_random(NULL, a, sizeof(a)));
    g_assert_true(clv_random(NULL, b, sizeof(b)));
    g_assert_cmpint(memcmp(a, b, sizeof(a)), !=, 0);
    g_assert_false(clv_random(NULL, a, (gsize)G_MAXINT + 1));
    clv_secret_free_string(g_strdup("key"));
    clv_secret_free_string(NULL);
}

int
main(int argc, char **argv)
{
    g_autoptr(GError) error = NULL;

    g_test_init(&argc, &argv, NULL);
    /* A machine that forbids locked memory still has a heap. */
    if (!clv_secret_init(16384, &error))
        g_test_message("%s", error->message);

    g_test_add_func("/secret/a-secret-is-a-copy", test_copy);
    g_test_add_func("/secret/bytes-live-in-the-secure-heap", test_secure_heap);
    g_test_add_func("/secret/a-full-secure-heap-is-no-end", test_full_heap);
    g_test_add_func("/secret/core-dumps-are-forbidden", test_no_core);
    g_test_add_func("/secret/init-twice-is-harmless", test_init_twice);
    g_test_add_func("/secret/equal-means-same-length-and-bytes", test_equal);
    g_test_add_func("/secret/fingerprints-tell-secrets-apart", test_fingerprint);
    g_test_add_func("/secret/hex-and-base64-are-read-strictly", test_parse);
    g_test_add_func("/secret/every-length-is-read-back", test_parse_lengths);
    g_test_add_func("/secret/length-is-bounded", test_parse_limit);
    g_test_add_func("/secret/errors-never-quote-the-key", test_errors_do_not_quote);
    g_test_add("/secret/a-file-with-hex-is-read", File, KEY16_HEX "\n", file_setup, test_file_reads,
               file_teardown);
    g_test_add("/secret/a-file-with-base64-is-read", File, KEY16_BASE64 "\r\n", file_setup,
               test_file_reads, file_teardown);
    g_test_add("/secret/a-file-with-two-lines-is-refused", File, "00ff\n00ff\n", file_setup,
               test_file_bad, file_teardown);
    g_test_add("/secret/an-empty-file-is-refused", File, "\n", file_setup, test_file_bad,
               file_teardown);
    g_test_add("/secret/a-file-that-others-can-read-is-refused", File, KEY16_HEX, file_setup,
               test_file_mode, file_teardown);
    g_test_add_func("/secret/absent-files-and-folders-are-errors", test_file_odd);
    g_test_add_func("/secret/a-fifo-does-not-block", test_fifo);
    g_test_add_func("/secret/srtp-keys-are-wiped", test_srtp_keys);
    g_test_add_func("/secret/random-bytes-differ", test_random);
    return g_test_run();
}
