/* SPDX-License-Identifier: Apache-2.0 */
/* base/secret.h - key bytes that are locked, wiped and compared in constant time
 *
 * The only place where a key lives on the heap. No formatter on purpose: to compare two sides an
 * operator gets clv_secret_fingerprint().
 */
#pragma once

#include "conference/vocabulary.h"

typedef struct ClvSecret ClvSecret;

#define CLV_SECRET_MAX_BYTES 1024

#define CLV_SECRET_ERROR (clv_secret_error_quark())
typedef enum ClvSecretError {
    CLV_SECRET_ERROR_LOCK,   /* memory cannot be locked, or core dumps not forbidden */
    CLV_SECRET_ERROR_FILE,   /* cannot be opened or read */
    CLV_SECRET_ERROR_MODE,   /* others than the owner could read or change it */
    CLV_SECRET_ERROR_FORMAT, /* neither hex nor base64 */
} ClvSecretError;
GQuark clv_secret_error_quark(void);

/* Sets up OpenSSL's secure heap (bytes, a power of two) and forbids core dumps and ptrace by
 * others. Returns FALSE with an error when memory cannot be locked: worth a warning, not fatal. */
gboolean clv_secret_init(gsize heap_bytes, GError **error);

/* Copies; the caller cleanses his own copy. Never NULL (aborts like g_malloc when out of memory). */
ClvSecret *clv_secret_new(const guint8 *bytes, gsize len);
void clv_secret_free(ClvSecret *secret); /* cleanses; NULL allowed */
const guint8 *clv_secret_bytes(const ClvSecret *secret, gsize *out_len);
gboolean clv_secret_equal(const ClvSecret *a, const ClvSecret *b);
/* 32 bits of a hash salted per process: equal secrets show equal numbers within one process. */
guint32 clv_secret_fingerprint(const ClvSecret *secret);

/* Reads a key file (hex, or base64 with a "base64:" prefix, one line). Refused when others than
 * the owner (and root's group) may read it. */
ClvSecret *clv_secret_read_file(const char *path, GError **error);
/* The same two forms from a text. The error never quotes the text. */
ClvSecret *clv_secret_parse(const char *text, GError **error);
/* Is this open file private enough to hold secrets? A regular file, not readable by others, not
 * writable by group or others; readable by the group only when that is root's. */
gboolean clv_secret_check_mode(int fd, const char *path, GError **error);

/* Cleanses and frees a string that may hold key material; NULL allowed. */
void clv_secret_free_string(char *text);
void clv_srtp_keys_clear(ClvSrtpKeys *keys);
/* RAND_priv_bytes, checked; matches ClvRandom. */
gboolean clv_random(void *unused, guint8 *out, gsize len);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(ClvSecret, clv_secret_free)
