/* SPDX-License-Identifier: Apache-2.0 */
/* base/id.c - slots with generations
 *
 * A handle is the slot's generation in the upper and its number plus one in the lower 32 bits. A
 * slot whose generations are used up is retired, so that no handle ever comes twice.
 */
#include "config.h"

#include "base/id.h"

typedef struct Slot {
    gpointer object; /* NULL: free */
    guint32 generation;
    guint32 next_free; /* slot number plus one; 0: none */
} Slot;

struct ClvIdTable {
    GArray *slots;
    guint32 first_free;
    guint count;
};

static Slot *
slot_at(const ClvIdTable *table, guint i)
{
    return &g_array_index(table->slots, Slot, i);
}

/* Returns: (nullable): the slot that the handle means, when it is the slot's present tenant */
static Slot *
find(const ClvIdTable *table, guint64 id)
{
    guint64 number = id & G_MAXUINT32;
    Slot *slot;

    if (number == 0 || number > table->slots->len)
        return NULL;
    slot = slot_at(table, (guint)number - 1);
    return slot->object != NULL && slot->generation == id >> 32 ? slot : NULL;
}

ClvIdTable *
clv_id_table_new(void)
{
    ClvIdTable *table = g_new0(ClvIdTable, 1);

    table->slots = g_array_new(FALSE, TRUE, sizeof(Slot));
    return table;
}

void
clv_id_table_free(ClvIdTable *table)
{
    if (table == NULL)
        return;
    g_array_unref(table->slots);
    g_free(table);
}

guint64
clv_id_add(ClvIdTable *table, gpointer object)
{
    guint32 number = table->first_free;
    Slot *slot;

    g_return_val_if_fail(object != NULL, 0);
    if (number == 0) {
        g_assert(table->slots->len < G_MAXUINT32 - 1);
        g_array_set_size(table->slots, table->slots->len + 1);
        number = table->slots->len;
        slot = slot_at(table, number - 1);
    } else {
        slot = slot_at(table, number - 1);
        table->first_free = slot->next_free;
    }
    slot->object = object;
    slot->next_free = 0;
    table->count++;
    return (guint64)slot->generation << 32 | number;
}

gpointer
clv_id_get(const ClvIdTable *table, guint64 id)
{
    Slot *slot = find(table, id);

    return slot == NULL ? NULL : slot->object;
}

gpointer
clv_id_remove(ClvIdTable *table, guint64 id)
{
    Slot *slot = find(table, id);
    gpointer object;

    if (slot == NULL)
        return NULL;
    object = g_steal_pointer(&slot->object);
    table->count--;
    if (slot->generation < G_MAXUINT32) {
        slot->generation++;
        slot->next_free = table->first_free;
        table->first_free = (guint32)id;
    }
    return object;
}

guint
clv_id_count(const ClvIdTable *table)
{
    return table->count;
}

void
clv_id_foreach(const ClvIdTable *table, void (*fn)(guint64 id, gpointer object, gpointer user),
               gpointer user)
{
    for (guint i = 0; i < table->slots->len; i++) {
        const Slot *slot = slot_at(table, i);

        if (slot->object != NULL)
            fn((guint64)slot->generation << 32 | (i + 1), slot->object, user);
    }
}
