/* SPDX-License-Identifier: Apache-2.0 */
/* media/loop.c - a media thread: every 20 ms commands, then room by room receive, mix, send
 *
 * The timer is the pulse; RTP sockets are read at each tick, RTCP sockets when epoll says so. A
 * room is done from its first packet in to its last packet out before the next one begins, while
 * its data is in the cache.
 */
#include "media/loop.h"

#include "media/stage.h"

#include <errno.h>
#include <openssl/rand.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#define NS_PER_S INT64_C(1000000000)
#define TICK_NS (20 * INT64_C(1000000))
#define MAX_CATCH_UP 2 /* late ticks that are made up for; more are left out */
#define MAX_EVENTS 64
#define EVENT_KINDS CLV_MEDIA_CLOSED /* but that one, which is a command that came home */
#define MINUTE_TICKS 3000
#define RTP_BUDGET 4096    /* packets a tick beyond the due of each leg: 6 ms of forged ones */
#define REPORTS_BUDGET 512 /* RTCP packets from one tick to the next */

struct ClvShard {
    GThread *thread;
    ClvRing *commands, *homecomings;
    int epoll_fd, timer_fd, event_fd;
    atomic_bool stop;
    int64_t silence_ns;
    char cname[CLV_RTCP_MAX_CNAME + 1];

    ClvRoom *rooms;
    guint max_legs;
    int16_t (*frames)[CLV_MIX_SAMPLES]; /* one for each leg of the room at hand */
    ClvMix mix;
    uint64_t dice;
    bool realtime;
    unsigned reports_left; /* until the next tick */
    bool told; /* something has been pushed since the eventfd was last written */

    /* counters; read from outside */
    _Atomic uint64_t ticks, ticks_late, busy_ns;
    _Atomic uint32_t worst_us, worst_before_us, mean_us;
};

static void
add(_Atomic uint64_t *counter, uint64_t n)
{
    atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + n,
                          memory_order_relaxed);
}

static int64_t
clock_ns(clockid_t clock)
{
    struct timespec t;

    clock_gettime(clock, &t);
    return t.tv_sec * NS_PER_S + t.tv_nsec;
}

/* ---- services to legs --------------------------------------------------------------------- */

void
clv_loop_tell(ClvMediaLeg *leg, ClvMediaEventKind kind)
{
    ClvHomecoming news = {.kind = kind, .leg = leg};
    uint32_t bit = 1u << kind;

    if ((atomic_fetch_or_explicit(&leg->pending, bit, memory_order_acq_rel) & bit) != 0)
        return; /* one of that kind is on its way already */
    (void)clv_ring_push(leg->shard->homecomings, &news); /* has room for all of them */
    leg->shard->told = true;
}

/* xorshift64*: spreads reports; nothing secret hangs on it */
uint32_t
clv_loop_random(ClvShard *shard)
{
    shard->dice ^= shard->dice >> 12;
    shard->dice ^= shard->dice << 25;
    shard->dice ^= shard->dice >> 27;
    return (uint32_t)((shard->dice * UINT64_C(0x2545f4914f6cdd1d)) >> 32);
}

const char *
clv_loop_cname(const ClvMediaLeg *leg)
{
    return leg->room->cname[0] != '\0' ? leg->room->cname : leg->shard->cname;
}

static bool
has_name_for(const ClvMediaLeg *other, const ClvMediaLeg *leg)
{
    return other != leg && other->talks && other->has_rx_ssrc;
}

unsigned
clv_room_names(const ClvMediaLeg *leg, unsigned from, ClvRtcpName out[CLV_RTCP_MAX_NAMES])
{
    unsigned n_sources = 0, skip, n = 0;

    for (const ClvMediaLeg *other = leg->room->legs; other != NULL; other = other->next)
        n_sources += has_name_for(other, leg);
    skip = n_sources > CLV_RTCP_MAX_NAMES ? from % n_sources : 0;
    for (const ClvMediaLeg *other = leg->room->legs; other != NULL && n < CLV_RTCP_MAX_NAMES;
         other = other->next) {
        if (!has_name_for(other, leg))
            continue;
        if (skip > 0)
            skip--;
        else
            out[n++] = (ClvRtcpName){other->rx_ssrc, other->alias};
    }
    return n;
}

int64_t
clv_loop_silence_ns(const ClvShard *shard)
{
    return shard->silence_ns;
}

bool
clv_room_has_ssrc(const ClvRoom *room, const ClvMediaLeg *but, uint32_t ssrc)
{
    for (const ClvMediaLeg *leg = room->legs; leg != NULL; leg = leg->next) {
        if (leg->tx_ssrc == ssrc)
            return true;
        if (leg != but && ((leg->has_rx_ssrc && leg->rx_ssrc == ssrc) ||
                           (leg->said_ssrc != 0 && leg->said_ssrc == ssrc)))
            return true;
    }
    return false;
}

/* ---- commands ----------------------------------------------------------------------------- */

static void
send_home(ClvShard *shard, ClvCommand *command)
{
    ClvHomecoming news = {.command = command};

    (void)clv_ring_push(shard->homecomings, &news); /* as many slots as commands may be out */
    shard->told = true;
}

static void
list_room(ClvShard *shard, ClvRoom *room)
{
    if (room->listed)
        return;
    room->listed = true;
    room->prev = NULL;
    room->next = shard->rooms;
    if (room->next != NULL)
        room->next->prev = room;
    shard->rooms = room;
}

static void
unlist_room(ClvShard *shard, ClvRoom *room)
{
    if (!room->listed)
        return;
    room->listed = false;
    if (room->next != NULL)
        room->next->prev = room->prev;
    if (room->prev != NULL)
        room->prev->next = room->next;
    else
        shard->rooms = room->next;
}

static void
do_open(ClvShard *shard, ClvCommand *command, const ClvNow *now)
{
    ClvMediaLeg *leg = command->leg;
    struct epoll_event want = {.events = EPOLLIN, .data.ptr = leg};

    list_room(shard, leg->room);
    leg->prev = NULL;
    leg->next = leg->room->legs;
    if (leg->next != NULL)
        leg->next->prev = leg;
    leg->room->legs = leg;
    leg->talks = command->talks;
    leg->hears = command->hears;
    clv_leg_said_ssrc(leg, command->said_ssrc);
    (void)epoll_ctl(shard->epoll_fd, EPOLL_CTL_ADD, leg->rtcp_fd, &want);
    clv_leg_start(leg, now);
    send_home(shard, command);
}

static void
end_rekeying(ClvShard *shard, ClvMediaLeg *leg)
{
    if (leg->rekeying == NULL)
        return;
    leg->rx_old = NULL;
    clv_leg_send_new(leg);
    send_home(shard, leg->rekeying);
    leg->rekeying = NULL;
}

static void
do_close(ClvShard *shard, ClvCommand *command, const ClvNow *now)
{
    ClvMediaLeg *leg = command->leg;

    clv_leg_report(leg, now, true);
    end_rekeying(shard, leg);
    (void)epoll_ctl(shard->epoll_fd, EPOLL_CTL_DEL, leg->rtcp_fd, NULL);
    if (leg->next != NULL)
        leg->next->prev = leg->prev;
    if (leg->prev != NULL)
        leg->prev->next = leg->next;
    else
        leg->room->legs = leg->next;
    send_home(shard, command);
}

static void
do_change(ClvShard *shard, ClvCommand *command, const ClvNow *now)
{
    clv_leg_change(command->leg, &command->terms);
    send_home(shard, command);
}

static void
do_rekey(ClvShard *shard, ClvCommand *command, const ClvNow *now)
{
    ClvMediaLeg *leg = command->leg;

    end_rekeying(shard, leg);
    clv_leg_rekey(leg, &command->rx, &command->tx, now);
    if (command->said_ssrc != 0)
        clv_leg_said_ssrc(leg, command->said_ssrc);
    leg->rekeying = command; /* goes home when the old keys are no longer heard */
}

static void
do_switch(ClvShard *shard, ClvCommand *command, const ClvNow *now)
{
    clv_leg_send_new(command->leg);
    send_home(shard, command);
}

static void
do_plan(ClvShard *shard, ClvCommand *command, const ClvNow *now)
{
    for (ClvMediaLeg *leg = command->room->legs; leg != NULL; leg = leg->next)
        leg->talks = leg->hears = false;
    for (guint i = 0; i < command->n_parts; i++) {
        command->parts[i].leg->talks = command->parts[i].talks;
        command->parts[i].leg->hears = command->parts[i].hears;
    }
    send_home(shard, command);
}

static void
do_end(ClvShard *shard, ClvCommand *command, const ClvNow *now)
{
    unlist_room(shard, command->room);
    send_home(shard, command);
}

static void
do_prompt(ClvShard *shard, ClvCommand *command, const ClvNow *now)
{
    clv_leg_prompt(command->leg, command->prompt, command->prompt_serial);
    send_home(shard, command);
}

static void
do_dtmf(ClvShard *shard, ClvCommand *command, const ClvNow *now)
{
    command->leg->dtmf_pt = command->dtmf_pt;
    send_home(shard, command);
}

static void (*const deeds[])(ClvShard *, ClvCommand *, const ClvNow *) = {
    [CLV_COMMAND_OPEN] = do_open,     [CLV_COMMAND_CLOSE] = do_close,
    [CLV_COMMAND_CHANGE] = do_change, [CLV_COMMAND_REKEY] = do_rekey,
    [CLV_COMMAND_SWITCH] = do_switch,
    [CLV_COMMAND_PLAN] = do_plan,     [CLV_COMMAND_END] = do_end,
    [CLV_COMMAND_PROMPT] = do_prompt, [CLV_COMMAND_DTMF] = do_dtmf,
};

static void
drain_commands(ClvShard *shard, const ClvNow *now)
{
    ClvCommand *command;

    while (clv_ring_pop(shard->commands, &command))
        deeds[command->kind](shard, command, now);
}

/* ---- a tick ------------------------------------------------------------------------------- */

static void
receive_room(ClvShard *shard, ClvRoom *room, const ClvNow *now, unsigned *budget)
{
    for (ClvMediaLeg *leg = room->legs; leg != NULL; leg = leg->next) {
        clv_leg_receive(leg, now, budget);
        if (leg->rekeying != NULL && leg->rx_old == NULL)
            end_rekeying(shard, leg);
    }
}

static void
sum_room(ClvShard *shard, ClvRoom *room, const ClvNow *now)
{
    guint at = 0;

    clv_mix_begin(&shard->mix);
    for (ClvMediaLeg *leg = room->legs; leg != NULL && at < shard->max_legs; leg = leg->next) {
        int16_t *frame = shard->frames[at++];

        clv_stage(CLV_STAGE_MIX);
        clv_leg_play(leg, now, frame);
        leg->own =
            leg->talks && clv_mix_add(&shard->mix, frame, leg->rx_ssrc, leg->power) ? frame : NULL;
    }
    clv_stage(CLV_STAGE_OTHER);
}

static void
send_room(ClvShard *shard, ClvRoom *room, const ClvNow *now)
{
    for (ClvMediaLeg *leg = room->legs; leg != NULL; leg = leg->next) {
        if (leg->prompt != NULL)
            clv_leg_send_prompt(leg);
        else if (leg->hears && (leg->terms.direction & CLV_DIR_SENDONLY) != 0)
            clv_leg_send(leg, &shard->mix);
        else
            leg->tx_timestamp += CLV_MIX_SAMPLES; /* the clock runs on */
        if (now->monotonic_ns >= leg->report_ns)
            clv_leg_report(leg, now, false);
    }
}

static void
skip_room(ClvRoom *room, unsigned frames)
{
    for (ClvMediaLeg *leg = room->legs; leg != NULL; leg = leg->next)
        clv_leg_skip(leg, frames);
}

static void
tick(ClvShard *shard, const ClvNow *now, unsigned skipped)
{
    unsigned budget = RTP_BUDGET;

    for (ClvRoom *room = shard->rooms; room != NULL; room = room->next) {
        if (skipped > 0)
            skip_room(room, skipped);
        receive_room(shard, room, now, &budget);
        sum_room(shard, room, now);
        send_room(shard, room, now);
    }
}

static void
note_tick(ClvShard *shard, int64_t took_ns)
{
    uint64_t n = atomic_load_explicit(&shard->ticks, memory_order_relaxed);
    uint32_t us = (uint32_t)(took_ns / 1000);
    uint32_t mean = atomic_load_explicit(&shard->mean_us, memory_order_relaxed);

    if (n % MINUTE_TICKS == 0) {
        atomic_store_explicit(&shard->worst_before_us,
                              atomic_load_explicit(&shard->worst_us, memory_order_relaxed),
                              memory_order_relaxed);
        atomic_store_explicit(&shard->worst_us, 0, memory_order_relaxed);
    }
    if (us > atomic_load_explicit(&shard->worst_us, memory_order_relaxed))
        atomic_store_explicit(&shard->worst_us, us, memory_order_relaxed);
    atomic_store_explicit(&shard->mean_us, n == 0 ? us : mean - mean / 16 + us / 16,
                          memory_order_relaxed);
    add(&shard->busy_ns, (uint64_t)took_ns);
    add(&shard->ticks, 1);
}

static void
announce(ClvShard *shard)
{
    uint64_t one = 1;

    if (!shard->told)
        return;
    shard->told = false;
    if (write(shard->event_fd, &one, sizeof one) < 0)
        shard->told = true; /* full: somebody has been told, and will be again */
}

static ClvNow
look_at_clocks(void)
{
    return (ClvNow){.monotonic_ns = clock_ns(CLOCK_MONOTONIC), .unix_ns = clock_ns(CLOCK_REALTIME)};
}

/* The timer has rung: commands, then the ticks that are due, as far as they can be made up for. */
static void
ring(ClvShard *shard)
{
    uint64_t due = 0;
    unsigned run, skipped;
    ClvNow now = look_at_clocks();

    if (read(shard->timer_fd, &due, sizeof due) != (ssize_t)sizeof due || due == 0)
        return;
    run = due > MAX_CATCH_UP ? 1 : (unsigned)due;
    skipped = due > MAX_CATCH_UP ? (unsigned)(due - 1 > 1000000 ? 1000000 : due - 1) : 0;
    if (due > 1)
        add(&shard->ticks_late, due - 1);
    shard->reports_left = REPORTS_BUDGET;
    drain_commands(shard, &now);
    for (; run > 0; run--, skipped = 0) {
        int64_t before = clock_ns(CLOCK_MONOTONIC);

        clv_stage(CLV_STAGE_OTHER);
        tick(shard, &now, skipped);
        clv_stage_tick();
        note_tick(shard, clock_ns(CLOCK_MONOTONIC) - before);
    }
    announce(shard);
}

static void
receive_reports(ClvShard *shard, struct epoll_event *events, int n)
{
    ClvNow now = look_at_clocks();

    for (int i = 0; i < n; i++) {
        if (events[i].data.ptr != shard)
            clv_leg_receive_rtcp(events[i].data.ptr, &now, &shard->reports_left);
    }
}

/* With so many reports as nobody sends who means well, they have to wait for the tick. */
static int
wait_for_events(ClvShard *shard, struct epoll_event events[MAX_EVENTS])
{
    struct pollfd timer = {.fd = shard->timer_fd, .events = POLLIN};

    if (shard->reports_left > 0)
        return epoll_wait(shard->epoll_fd, events, MAX_EVENTS, -1);
    events[0].data.ptr = shard;
    return poll(&timer, 1, -1);
}

static gpointer
run_shard(gpointer data)
{
    ClvShard *shard = data;
    struct epoll_event events[MAX_EVENTS];
    struct sched_param lowest = {.sched_priority = 1};

    if (shard->realtime)
        (void)pthread_setschedparam(pthread_self(), SCHED_RR, &lowest);
    while (!atomic_load_explicit(&shard->stop, memory_order_acquire)) {
        int n = wait_for_events(shard, events);
        bool rang = false;

        for (int i = 0; i < n; i++)
            rang = rang || events[i].data.ptr == shard;
        if (n > (rang ? 1 : 0))
            receive_reports(shard, events, n); /* before commands, which may end these legs */
        if (rang)
            ring(shard);
    }
    {
        ClvNow now = look_at_clocks();

        drain_commands(shard, &now); /* those who closed at the last moment still say BYE */
        announce(shard);
    }
    return NULL;
}

/* ---- birth and burial, on the signalling thread ------------------------------------------- */

static gboolean
start_timer(ClvShard *shard)
{
    struct itimerspec every = {.it_interval = {.tv_nsec = TICK_NS},
                               .it_value = {.tv_nsec = TICK_NS}};
    struct epoll_event want = {.events = EPOLLIN, .data.ptr = shard};

    shard->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    shard->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    return shard->epoll_fd >= 0 && shard->timer_fd >= 0 &&
           timerfd_settime(shard->timer_fd, 0, &every, NULL) == 0 &&
           epoll_ctl(shard->epoll_fd, EPOLL_CTL_ADD, shard->timer_fd, &want) == 0;
}

ClvShard *
clv_shard_new(const ClvShardSetup *setup, GError **error)
{
    ClvShard *shard = g_new0(ClvShard, 1);
    g_autofree char *name = g_strdup_printf("clv-media-%u", setup->number);

    shard->event_fd = setup->event_fd;
    shard->silence_ns = setup->silence_ns;
    shard->reports_left = REPORTS_BUDGET;
    shard->max_legs = setup->max_legs;
    shard->realtime = setup->realtime;
    g_strlcpy(shard->cname, setup->cname, sizeof shard->cname);
    shard->commands = clv_ring_new(setup->commands, sizeof(ClvCommand *));
    shard->homecomings =
        clv_ring_new((gsize)setup->max_legs * EVENT_KINDS + setup->commands, sizeof(ClvHomecoming));
    shard->frames = g_malloc0_n(setup->max_legs, sizeof shard->frames[0]);
    if (RAND_bytes((unsigned char *)&shard->dice, sizeof shard->dice) != 1 || shard->dice == 0)
        shard->dice = 1;
    if (start_timer(shard))
        shard->thread = g_thread_try_new(name, run_shard, shard, error);
    else
        g_set_error(error, CLV_MEDIA_ERROR, CLV_MEDIA_ERROR_SYSTEM,
                    "cannot set up the timer of a media thread: %s", g_strerror(errno));
    if (shard->thread == NULL) {
        clv_shard_free(shard);
        return NULL;
    }
    return shard;
}

void
clv_shard_stop(ClvShard *shard)
{
    if (shard->thread == NULL)
        return;
    atomic_store_explicit(&shard->stop, true, memory_order_release);
    (void)g_thread_join(shard->thread); /* it wakes within a tick */
    shard->thread = NULL;
}

void
clv_shard_free(ClvShard *shard)
{
    if (shard == NULL)
        return;
    clv_shard_stop(shard);
    clv_ring_free(shard->commands);
    clv_ring_free(shard->homecomings);
    if (shard->epoll_fd > 0)
        close(shard->epoll_fd);
    if (shard->timer_fd > 0)
        close(shard->timer_fd);
    g_free(shard->frames);
    g_free(shard);
}

bool
clv_shard_send(ClvShard *shard, ClvCommand *command)
{
    return clv_ring_push(shard->commands, &command);
}

bool
clv_shard_receive(ClvShard *shard, ClvHomecoming *out)
{
    return clv_ring_pop(shard->homecomings, out);
}

void
clv_shard_totals(const ClvShard *shard, ClvShardTotals *out)
{
    uint32_t worst = atomic_load_explicit(&shard->worst_us, memory_order_relaxed);
    uint32_t before = atomic_load_explicit(&shard->worst_before_us, memory_order_relaxed);

    *out = (ClvShardTotals){
        .ticks = atomic_load_explicit(&shard->ticks, memory_order_relaxed),
        .ticks_late = atomic_load_explicit(&shard->ticks_late, memory_order_relaxed),
        .busy_ns = atomic_load_explicit(&shard->busy_ns, memory_order_relaxed),
        .worst_us = worst > before ? worst : before,
        .mean_us = atomic_load_explicit(&shard->mean_us, memory_order_relaxed),
    };
}
