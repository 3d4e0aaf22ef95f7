/* SPDX-License-Identifier: Apache-2.0 */
/* base/id.h - handles that go stale instead of dangling
 *
 * A table of pointers; its handles carry a generation, so that a handle of a freed slot finds
 * nothing. One owner thread.
 */
#pragma once

#include <glib.h>

typedef struct ClvIdTable ClvIdTable;

ClvIdTable *clv_id_table_new(void);
void clv_id_table_free(ClvIdTable *table);
guint64 clv_id_add(ClvIdTable *table, gpointer object); /* never 0 */
gpointer clv_id_get(const ClvIdTable *table, guint64 id); /* (nullable) */
gpointer clv_id_remove(ClvIdTable *table, guint64 id);    /* (nullable) the object */
guint clv_id_count(const ClvIdTable *table);
void clv_id_foreach(const ClvIdTable *table, void (*fn)(guint64 id, gpointer object, gpointer user),
                    gpointer user); /* fn may remove the object it is given */
