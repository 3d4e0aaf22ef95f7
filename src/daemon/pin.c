/* SPDX-License-Identifier: Apache-2.0 */
/* daemon/pin.c - PINs are slow to check on purpose, so a thread of their own does it
 *
 * The verdict comes back on a queue with the leg's id; who has hung up meanwhile is not found.
 */
#include "daemon/hub-private.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/secret.h"

typedef struct Check {
    ClvLegId leg;
    char *hash;
    char *digits; /* cleansed when done */
    gboolean fits;
} Check;

typedef struct PinChecker {
    GThreadPool *pool;
    GAsyncQueue *verdicts;
    int fd;
} PinChecker;

static void
check_free(gpointer data)
{
    Check *check = data;

    clv_secret_free_string(check->digits);
    g_free(check->hash);
    g_free(check);
}

static void
run(gpointer data, gpointer user)
{
    PinChecker *pins = user;
    Check *check = data;
    guint64 one = 1;

    check->fits = clv_policy_pin_fits(check->hash, check->digits);
    g_async_queue_push(pins->verdicts, check);
    if (write(pins->fd, &one, sizeof one) < 0)
        g_warning("PIN checker: eventfd: %s", g_strerror(errno));
}

static void
verdicts_ready(void *user)
{
    ClvHub *hub = user;
    guint64 counter;
    Check *check;

    if (read(hub->pins->fd, &counter, sizeof counter) < 0 && errno != EAGAIN)
        g_warning("PIN checker: eventfd: %s", g_strerror(errno));
    while ((check = g_async_queue_try_pop(hub->pins->verdicts)) != NULL) {
        ClvEvent event = {.kind = CLV_EV_PIN, .leg = check->leg, .flag = check->fits};
        Leg *leg = hub_leg(hub, check->leg);

        if (leg != NULL)
            hub_feed(hub, leg->room, &event);
        check_free(check);
    }
}

void
pin_open(ClvHub *hub)
{
    hub->pin_tries = clv_pin_tries_new();
    hub->pins = g_new0(PinChecker, 1);
    hub->pins->verdicts = g_async_queue_new_full(check_free);
    hub->pins->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    hub->pins->pool = g_thread_pool_new_full(run, hub->pins, check_free, 1, FALSE, NULL);
    hub->pin_watch = clv_loop_watch(hub->loop, hub->pins->fd, verdicts_ready, hub);
}

void
pin_close(ClvHub *hub)
{
    if (hub->pins == NULL)
        return;
    g_clear_pointer(&hub->pin_tries, clv_pin_tries_unref);
    clv_loop_unwatch(hub->loop, hub->pin_watch);
    g_thread_pool_free(hub->pins->pool, TRUE, TRUE);
    g_async_queue_unref(hub->pins->verdicts);
    close(hub->pins->fd);
    g_clear_pointer(&hub->pins, g_free);
}

void
pin_check(Leg *leg, const char *hash, char *digits)
{
    Check *check = g_new0(Check, 1);

    check->leg = leg->id;
    check->hash = g_strdup(hash);
    check->digits = g_strdup(digits);
    OPENSSL_cleanse(digits, strlen(digits));
    g_thread_pool_push(leg->hub->pins->pool, check, NULL);
}
