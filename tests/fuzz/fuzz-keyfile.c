/* SPDX-License-Identifier: Apache-2.0 */
/* Does the key file reader take any text, and does what it takes hold together? */
#include "config.h"

#include <stdint.h>
#include <string.h>

#include "kms/keyfile.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check_line(const char *text, void *user)
{
    g_assert_null(strpbrk(text, "\r\n"));
}

/* Every name in the file belongs to the one who claims it, and to him alone. */
static void
check_user(const ClvKmsKeyFile *keys, const ClvKmsUser *user)
{
    gsize len = 0;

    g_assert_true(clv_kms_keyfile_user(keys, user->name, strlen(user->name)) == user);
    g_assert_nonnull(clv_kms_keyfile_psk(keys, user->name, &len));
    g_assert_cmpuint(len, >=, CLV_KMS_MIN_PSK);
    g_assert_cmpuint(len, <=, CLV_KMS_MAX_PSK);
    for (guint i = 0; i < user->identities->len; i++) {
        g_assert_true(clv_kms_keyfile_owner(keys, user->identities->pdata[i]) == user);
        clv_kms_user_may_request(keys, user, user->identities->pdata[i]);
    }
}

static void
check_system(const ClvKmsKeyFile *keys, const ClvKmsSystem *system)
{
    g_assert_nonnull(system->user);
    for (guint i = 0; i < system->factories->len; i++) {
        const char *factory = system->factories->pdata[i];

        g_assert_true(clv_kms_keyfile_factory(keys, factory) == system);
        g_assert_null(clv_kms_keyfile_focus(keys, factory));
        g_assert_true(clv_kms_keyfile_owner(keys, factory) == system->user);
    }
    for (guint i = 0; i < system->rules->len; i++) {
        g_autofree char *focus = g_strconcat("sip:q", system->rules->pdata[i], NULL);

        if (clv_kms_keyfile_factory(keys, focus) == NULL)
            g_assert_nonnull(clv_kms_keyfile_focus(keys, focus));
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    g_autoptr(GPtrArray) errors = g_ptr_array_new_with_free_func(g_free);
    g_autoptr(ClvKmsKeyFile) keys = NULL;

    if (size > 16384)
        return 0; /* longer ones are the same again */
    keys = clv_kms_keyfile_parse("fuzz", data != NULL ? (const char *)data : "", size, errors);
    g_assert_cmpint(keys == NULL, ==, errors->len > 0);
    if (keys == NULL)
        return 0;
    for (guint i = 0; i < keys->users->len; i++)
        check_user(keys, keys->users->pdata[i]);
    for (guint i = 0; i < keys->systems->len; i++)
        check_system(keys, keys->systems->pdata[i]);
    clv_kms_keyfile_list(keys, "user", check_line, NULL);
    clv_kms_keyfile_list(keys, "service", check_line, NULL);
    return 0;
}
