/* SPDX-License-Identifier: Apache-2.0 */
/* Does a late handle find nothing instead of something else? */
#include "config.h"

#include "base/id.h"

static int things[1000];

static void
test_find(void)
{
    ClvIdTable *table = clv_id_table_new();
    guint64 a = clv_id_add(table, &things[0]), b = clv_id_add(table, &things[1]);

    g_assert_cmpuint(a, !=, 0);
    g_assert_cmpuint(a, !=, b);
    g_assert_true(clv_id_get(table, a) == &things[0]);
    g_assert_true(clv_id_get(table, b) == &things[1]);
    g_assert_cmpuint(clv_id_count(table), ==, 2);
    g_assert_null(clv_id_get(table, 0));
    g_assert_null(clv_id_get(table, G_MAXUINT64));
    g_assert_null(clv_id_get(table, a + 1000));
    clv_id_table_free(table);
    clv_id_table_free(NULL);
}

static void
test_stale(void)
{
    ClvIdTable *table = clv_id_table_new();
    guint64 old = clv_id_add(table, &things[0]), new;

    g_assert_true(clv_id_remove(table, old) == &things[0]);
    g_assert_null(clv_id_get(table, old));
    g_assert_null(clv_id_remove(table, old));
    new = clv_id_add(table, &things[1]);
    g_assert_cmpuint(new, !=, old);
    g_assert_null(clv_id_get(table, old));
    g_assert_null(clv_id_remove(table, old));
    g_assert_true(clv_id_get(table, new) == &things[1]);
    g_assert_cmpuint(clv_id_count(table), ==, 1);
    clv_id_table_free(table);
}

static void
test_unique(void)
{
    ClvIdTable *table = clv_id_table_new();
    g_autoptr(GHashTable) seen = g_hash_table_new_full(g_int64_hash, g_int64_equal, g_free, NULL);
    guint64 ids[10];

    for (guint turn = 0; turn < 1000; turn++) {
        for (guint i = 0; i < G_N_ELEMENTS(ids); i++) {
            ids[i] = clv_id_add(table, &things[i]);
            g_assert_true(g_hash_table_add(seen, g_memdup2(&ids[i], sizeof(ids[i]))));
        }
        for (guint i = 0; i < G_N_ELEMENTS(ids); i++)
            g_assert_true(clv_id_remove(table, ids[(i + turn) % 10]) == &things[(i + turn) % 10]);
    }
    g_assert_cmpuint(clv_id_count(table), ==, 0);
    clv_id_table_free(table);
}

typedef struct Walk {
    ClvIdTable *table;
    guint visits;
} Walk;

static void
remove_odd(guint64 id, gpointer object, gpointer user)
{
    Walk *walk = user;

    walk->visits++;
    g_assert_true(clv_id_get(walk->table, id) == object);
    if (((int *)object - things) % 2 == 1)
        g_assert_true(clv_id_remove(walk->table, id) == object);
}

static void
test_foreach(void)
{
    Walk walk = {clv_id_table_new(), 0};

    for (guint i = 0; i < G_N_ELEMENTS(things); i++)
        clv_id_add(walk.table, &things[i]);
    clv_id_foreach(walk.table, remove_odd, &walk);
    g_assert_cmpuint(walk.visits, ==, G_N_ELEMENTS(things));
    g_assert_cmpuint(clv_id_count(walk.table), ==, G_N_ELEMENTS(things) / 2);
    walk.visits = 0;
    clv_id_foreach(walk.table, remove_odd, &walk);
    g_assert_cmpuint(walk.visits, ==, G_N_ELEMENTS(things) / 2);
    clv_id_table_free(walk.table);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/id/a-handle-finds-its-object", test_find);
    g_test_add_func("/id/a-stale-handle-finds-nothing", test_stale);
    g_test_add_func("/id/no-handle-comes-twice", test_unique);
    g_test_add_func("/id/a-walk-may-remove-what-it-meets", test_foreach);
    return g_test_run();
}
