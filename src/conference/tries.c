/* SPDX-License-Identifier: Apache-2.0 */
/* conference/tries.c - how often has somebody been wrong about a PIN, and may he try again?
 *
 * Counted by user and PIN, not by call: whoever calls again, or into another conference with the same
 * PIN, goes on where he stopped. A try counts when it is made and is taken back when it was right, so
 * nobody wins one by hanging up in between.
 */
#include "conference/conference-private.h"

#include <string.h>

/* Each pause is twice as long as the one before; a quiet day after it, all is forgotten. */
#define FIRST_PAUSE_US (G_GINT64_CONSTANT(15) * 60 * G_USEC_PER_SEC)
#define DAY_US (G_GINT64_CONSTANT(24) * 3600 * G_USEC_PER_SEC)
#define MAX_USERS 4096

typedef struct Tried {
    guint n;         /* since the last pause */
    guint n_pauses;
    gint64 until_us; /* monotonic: refused before; 0: never was */
    gint64 last_us;  /* monotonic */
} Tried;

struct ClvPinTries {
    gatomicrefcount refs;
    GHashTable *users; /* name_of() -> Tried */
};

ClvPinTries *
clv_pin_tries_new(void)
{
    ClvPinTries *tries = g_new0(ClvPinTries, 1);

    g_atomic_ref_count_init(&tries->refs);
    tries->users = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
    return tries;
}

ClvPinTries *
clv_pin_tries_ref(ClvPinTries *tries)
{
    g_atomic_ref_count_inc(&tries->refs);
    return tries;
}

void
clv_pin_tries_unref(ClvPinTries *tries)
{
    if (tries == NULL || !g_atomic_ref_count_dec(&tries->refs))
        return;
    g_hash_table_unref(tries->users);
    g_free(tries);
}

static char *
name_of(const ClvConference *c, const char *who)
{
    return g_strdup_printf("%s %s", clv_policy_pin_hash(c->view), who);
}

static gboolean
is_past(const Tried *tried, gint64 now_us)
{
    return now_us - MAX(tried->last_us, tried->until_us) >= DAY_US;
}

static gboolean
is_past_now(gpointer key, gpointer value, gpointer now_us)
{
    return is_past(value, *(const gint64 *)now_us);
}

/* Room for one more: whoever has been quiet for longest goes. */
static void
make_room(GHashTable *users, gint64 now_us)
{
    gpointer key, value, oldest = NULL;
    gint64 oldest_us = G_MAXINT64;
    GHashTableIter iter;

    if (g_hash_table_size(users) < MAX_USERS)
        return;
    g_hash_table_foreach_remove(users, is_past_now, &now_us);
    if (g_hash_table_size(users) < MAX_USERS)
        return;
    g_hash_table_iter_init(&iter, users);
    while (g_hash_table_iter_next(&iter, &key, &value)) {
        if (((const Tried *)value)->last_us < oldest_us) {
            oldest_us = ((const Tried *)value)->last_us;
            oldest = key;
        }
    }
    g_hash_table_remove(users, oldest);
}

gboolean
clv_tries_are_used_up(const ClvConference *c, const char *who)
{
    g_autofree char *name = NULL;
    const Tried *tried;

    if (who == NULL || clv_policy_pin_hash(c->view)[0] == '\0')
        return FALSE;
    name = name_of(c, who);
    tried = g_hash_table_lookup(c->tries->users, name);
    return tried != NULL && c->now_us < tried->until_us;
}

void
clv_tries_count(ClvConference *c, const char *who)
{
    g_autofree char *name = name_of(c, who);
    Tried *tried = g_hash_table_lookup(c->tries->users, name);

    if (tried == NULL) {
        make_room(c->tries->users, c->now_us);
        tried = g_new0(Tried, 1);
        g_hash_table_insert(c->tries->users, g_steal_pointer(&name), tried);
    } else if (is_past(tried, c->now_us)) {
        *tried = (Tried){0};
    }
    tried->last_us = c->now_us;
    if (++tried->n < clv_policy_pin_tries(c->view))
        return;
    tried->n = 0;
    tried->until_us = c->now_us + MIN(FIRST_PAUSE_US << MIN(tried->n_pauses, 7), DAY_US);
    tried->n_pauses++;
}

void
clv_tries_forget(ClvConference *c, const char *who)
{
    g_autofree char *name = name_of(c, who);

    g_hash_table_remove(c->tries->users, name);
}

void
clv_conference_share_tries(ClvConference *c, ClvPinTries *tries)
{
    clv_pin_tries_ref(tries);
    clv_pin_tries_unref(c->tries);
    c->tries = tries;
}
