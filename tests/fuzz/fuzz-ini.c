/* SPDX-License-Identifier: Apache-2.0 */
/* Is any text an INI file with consistent entries, or an error? Also drives the value parsers and
 * identities, which read the same operators' text. */
#include "config.h"

#include "base/identity.h"
#include "base/option.h"

#include <stdint.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check_identity(const char *text)
{
    g_autofree char *canonical = clv_identity_canonical(text, -1);
    g_autofree char *pattern = clv_identity_pattern_canonical(text, NULL);

    if (canonical != NULL) {
        g_autofree char *again = clv_identity_canonical(canonical, -1);

        g_assert_cmpstr(again, ==, canonical);
        g_assert_true(clv_identity_match(canonical, canonical) || strchr(canonical, '*') != NULL);
        clv_identity_is_anonymous(canonical);
    }
    if (pattern != NULL) {
        g_autofree char *again = clv_identity_pattern_canonical(pattern, NULL);

        g_assert_cmpstr(again, ==, pattern);
    }
}

static void
check_value(const char *value)
{
    g_auto(GStrv) parts = clv_ini_split_list(value), again = NULL;
    g_autofree char *joined = clv_ini_join_list((const char *const *)parts);
    gboolean flag;
    gint64 number;

    again = clv_ini_split_list(joined);
    g_assert_true(g_strv_equal((const char *const *)parts, (const char *const *)again));
    clv_parse_bool(value, &flag, NULL);
    if (clv_parse_int(value, -5, 1000, &number, NULL))
        g_assert_true(number >= -5 && number <= 1000);
    if (clv_parse_time_ms(value, &number, NULL))
        g_assert_cmpint(number, >=, 0);
    for (guint i = 0; parts[i] != NULL; i++)
        check_identity(parts[i]);
}

/* Every entry belongs to exactly one group, and the groups follow each other. */
static void
check_groups(const ClvIni *ini)
{
    guint seen = 0;

    for (guint i = 0; ini != NULL && i < clv_ini_n_groups(ini); i++) {
        guint n;
        const ClvIniEntry *entries = clv_ini_group_entries(ini, i, &n);

        for (guint k = 0; k < n; k++) {
            g_assert_cmpstr(entries[k].group, ==, clv_ini_group(ini, i, NULL));
            g_assert_true(clv_ini_entry(ini, seen + k) == &entries[k]);
        }
        seen += n;
    }
    g_assert_true(ini == NULL || seen == clv_ini_n_entries(ini));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    g_autoptr(GPtrArray) errors = g_ptr_array_new_with_free_func(g_free);
    g_autoptr(ClvIni) ini = clv_ini_parse("fuzz", (const char *)data, size, errors);

    g_assert_true((ini == NULL) == (errors->len > 0));
    check_groups(ini);
    for (guint i = 0; ini != NULL && i < clv_ini_n_entries(ini); i++) {
        const ClvIniEntry *entry = clv_ini_entry(ini, i);

        g_assert_true(clv_ini_find(ini, entry->group, entry->key) == entry);
        check_value(entry->value);
    }
    return 0;
}
