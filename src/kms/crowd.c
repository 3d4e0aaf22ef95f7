/* SPDX-License-Identifier: Apache-2.0 */
/* kms/crowd.c - who is connected, and who makes room when it gets full? */
#include "config.h"

#include "kms/crowd.h"

#include <pthread.h>
#include <sys/socket.h>
#include <time.h>

#define SLOW_US G_USEC_PER_SEC /* a request that takes longer may be cut as well */

struct ClvKmsGuest {
    GList link; /* in the queue; data is the guest */
    int fd;
    gboolean busy, cut;
    gint64 active_us;
};

struct ClvKmsCrowd {
    guint places;
    pthread_mutex_t lock; /* of all below */
    pthread_cond_t settled; /* by the monotonic clock */
    GQueue guests; /* longest without activity first */
    guint n_busy, n_cut;
};

ClvKmsCrowd *
clv_kms_crowd_new(guint places)
{
    ClvKmsCrowd *crowd = g_new0(ClvKmsCrowd, 1);
    pthread_condattr_t attributes;

    crowd->places = places;
    pthread_mutex_init(&crowd->lock, NULL);
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&crowd->settled, &attributes);
    pthread_condattr_destroy(&attributes);
    return crowd;
}

void
clv_kms_crowd_free(ClvKmsCrowd *crowd)
{
    if (crowd == NULL)
        return;
    pthread_mutex_destroy(&crowd->lock);
    pthread_cond_destroy(&crowd->settled);
    g_free(crowd);
}

/* With the lock held. The descriptor is open: leaving comes before closing. The last places are
 * never filled by requests that have only begun, as nobody would enter any more, and nobody go. */
static gboolean
make_room(ClvKmsCrowd *crowd, gint64 now_us)
{
    guint n = crowd->guests.length - crowd->n_cut;
    gboolean last_places = n > MAX(crowd->places * 7 / 8, 1);

    if (n <= MAX(crowd->places * 3 / 4, 1))
        return FALSE;
    for (GList *at = crowd->guests.head; at != NULL; at = at->next) {
        ClvKmsGuest *guest = at->data;

        if (guest->cut || (guest->busy && !last_places && now_us - guest->active_us < SLOW_US))
            continue;
        guest->cut = TRUE;
        crowd->n_cut++;
        shutdown(guest->fd, SHUT_RDWR);
        return TRUE;
    }
    return FALSE;
}

ClvKmsGuest *
clv_kms_crowd_enter(ClvKmsCrowd *crowd, int fd, gint64 now_us, gboolean *out_cut)
{
    ClvKmsGuest *guest = g_new0(ClvKmsGuest, 1);

    guest->fd = fd;
    guest->active_us = now_us;
    guest->link.data = guest;
    pthread_mutex_lock(&crowd->lock);
    *out_cut = make_room(crowd, now_us);
    g_queue_push_tail_link(&crowd->guests, &guest->link);
    pthread_mutex_unlock(&crowd->lock);
    return guest;
}

/* With the lock held. */
static void
set_busy(ClvKmsCrowd *crowd, ClvKmsGuest *guest, gboolean busy)
{
    if (guest->busy == busy)
        return;
    guest->busy = busy;
    crowd->n_busy += busy ? 1 : -1u;
    if (crowd->n_busy == 0)
        pthread_cond_broadcast(&crowd->settled);
}

void
clv_kms_crowd_leave(ClvKmsCrowd *crowd, ClvKmsGuest *guest)
{
    pthread_mutex_lock(&crowd->lock);
    set_busy(crowd, guest, FALSE);
    crowd->n_cut -= guest->cut ? 1 : 0;
    g_queue_unlink(&crowd->guests, &guest->link);
    pthread_mutex_unlock(&crowd->lock);
    g_free(guest);
}

static void
note(ClvKmsCrowd *crowd, ClvKmsGuest *guest, gboolean busy, gint64 now_us)
{
    pthread_mutex_lock(&crowd->lock);
    set_busy(crowd, guest, busy);
    guest->active_us = now_us;
    g_queue_unlink(&crowd->guests, &guest->link);
    g_queue_push_tail_link(&crowd->guests, &guest->link);
    pthread_mutex_unlock(&crowd->lock);
}

void
clv_kms_crowd_begin(ClvKmsCrowd *crowd, ClvKmsGuest *guest, gint64 now_us)
{
    note(crowd, guest, TRUE, now_us);
}

void
clv_kms_crowd_end(ClvKmsCrowd *crowd, ClvKmsGuest *guest, gint64 now_us)
{
    note(crowd, guest, FALSE, now_us);
}

gboolean
clv_kms_crowd_settle(ClvKmsCrowd *crowd, gint64 deadline_us)
{
    struct timespec deadline = {.tv_sec = deadline_us / G_USEC_PER_SEC,
                                .tv_nsec = deadline_us % G_USEC_PER_SEC * 1000};
    gboolean settled;

    pthread_mutex_lock(&crowd->lock);
    while (crowd->n_busy > 0)
        if (pthread_cond_timedwait(&crowd->settled, &crowd->lock, &deadline) != 0)
            break;
    settled = crowd->n_busy == 0;
    pthread_mutex_unlock(&crowd->lock);
    return settled;
}
