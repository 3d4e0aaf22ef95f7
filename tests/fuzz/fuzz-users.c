/* SPDX-License-Identifier: Apache-2.0 */
/* Fuzz target: a users file, and the parameters of an Authorization header
 *
 * Up to the first NUL the input is a users file; after it come parameters, one per line. Nothing
 * that does not know a password may be let in: the response is never right by chance.
 */
#include "config.h"

#include "sip/digest.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *text = (const char *)data;
    const char *end = size > 0 ? memchr(text, '\0', size) : NULL;
    size_t len = end != NULL ? (size_t)(end - text) : size;
    g_autofree char *rest = end != NULL ? g_strndup(end + 1, size - len - 1) : g_strdup("");
    g_auto(GStrv) params = g_strsplit(rest, "\n", 32);
    GPtrArray *errors = g_ptr_array_new_with_free_func(g_free);
    ClvDigest *digest = clv_digest_new("conclave");
    const char *identity = NULL;
    gboolean ok = clv_digest_parse(digest, "users", size > 0 ? text : "", len, errors);

    if (ok != (errors->len == 0) || (!ok && clv_digest_n_users(digest) != 0))
        abort();
    clv_digest_is_ours(digest, (const char *const *)params);
    if (clv_digest_check(digest, (const char *const *)params, "INVITE", "sip:a@b", 1, &identity) ==
        CLV_DIGEST_OK)
        abort(); /* our nonces are sealed: none can stand in the input */
    clv_digest_free(digest);
    g_ptr_array_unref(errors);
    return 0;
}
