/* SPDX-License-Identifier: Apache-2.0 */
/* How many participants one core mixes: a real media thread, real sockets, real SRTP.
 *
 *   generator (other core) --SRTP--> N legs on one media thread --SRTP--> generator
 *
 * Everybody talks all the time, which is the worst that a room can do: no two mixes are equal. The
 * number of participants grows until ticks come late or packets are lost. Built a second time with
 * CLV_MEDIA_PROFILE it tells what a packet costs, stage by stage.
 */
#include "media/g711.h"
#include "media/media.h"
#include "media/rtp.h"
#include "media/srtp.h"
#include "media/stage.h"

#include <arpa/inet.h>
#include <errno.h>
#include <math.h>
#include <netinet/in.h>
#include <openssl/rand.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MAX_LEGS 6000
#define SOCKETS 16
#define SLICES 4 /* the generator sends a quarter of its packets every 5 ms */
#define FRAME 160
#define BATCH 64
#define PACKET 256
#define WARM_UP_S 1.0

/* ---- what the two processes share --------------------------------------------------------- */

typedef struct Line {
    guint16 port;
    guint32 ssrc;
    ClvSrtpKeys keys;
} Line;

typedef struct Shared {
    _Atomic guint active; /* lines to serve */
    atomic_bool stop;
    _Atomic guint64 sent, got;
    guint16 ports[SOCKETS];
    atomic_bool ready;
    Line lines[MAX_LEGS];
} Shared;

static double
clock_s(clockid_t clock)
{
    struct timespec t;

    clock_gettime(clock, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void
pin(int cpu)
{
    cpu_set_t set;

    CPU_ZERO(&set);
    CPU_SET(cpu, &set);
    (void)sched_setaffinity(0, sizeof set, &set);
}

/* ---- the generator ------------------------------------------------------------------------ */

typedef struct Generator {
    Shared *shared;
    int fds[SOCKETS];
    ClvSrtp *send[MAX_LEGS];
    guint n_open;
    guint16 seq[MAX_LEGS];
    guint32 ticks;
    guint8 tones[16][8][FRAME]; /* eight frames of sixteen tones */
    guint8 packets[BATCH][PACKET];
} Generator;

static void
make_tones(Generator *g)
{
    for (int tone = 0; tone < 16; tone++) {
        for (int frame = 0; frame < 8; frame++) {
            gint16 linear[FRAME];

            for (int i = 0; i < FRAME; i++)
                linear[i] = (gint16)lrint(
                    1500 * sin(2 * G_PI * (tone + 4) * 50 * (frame * FRAME + i) / 8000));
            clv_g711_encode(CLV_G711_ULAW, linear, g->tones[tone][frame], FRAME);
        }
    }
}

static void
open_sockets(Generator *g)
{
    int size = 4 << 20;

    for (int i = 0; i < SOCKETS; i++) {
        struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
        socklen_t len = sizeof at;

        g->fds[i] = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
        (void)setsockopt(g->fds[i], SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
        if (bind(g->fds[i], (struct sockaddr *)&at, sizeof at) != 0 ||
            getsockname(g->fds[i], (struct sockaddr *)&at, &len) != 0)
            g_error("bind: %s", strerror(errno));
        g->shared->ports[i] = ntohs(at.sin_port);
    }
    atomic_store(&g->shared->ready, true);
}

static size_t
make_packet(Generator *g, guint line, guint8 *out)
{
    ClvRtpPacket header = {
        .seq = g->seq[line]++, .timestamp = g->ticks * FRAME, .ssrc = g->shared->lines[line].ssrc};
    size_t len = clv_rtp_write_header(&header, out, PACKET);

    memcpy(out + len, g->tones[line % 16][g->ticks % 8], FRAME);
    len += FRAME;
    if (clv_srtp_protect_rtp(g->send[line], out, &len, PACKET) != CLV_SRTP_OK)
        g_error("the generator cannot protect a packet");
    return len;
}

/* Lines of one socket in this slice, in batches. */
static void
send_slice(Generator *g, guint socket_number, guint slice, guint n)
{
    struct mmsghdr messages[BATCH];
    struct iovec iov[BATCH];
    struct sockaddr_in to[BATCH];
    guint filled = 0;

    for (guint line = socket_number; line < n; line += SOCKETS) {
        if (line / SOCKETS % SLICES == slice) {
            iov[filled] =
                (struct iovec){g->packets[filled], make_packet(g, line, g->packets[filled])};
            to[filled] = (struct sockaddr_in){.sin_family = AF_INET,
                                              .sin_port = htons(g->shared->lines[line].port),
                                              .sin_addr = {htonl(INADDR_LOOPBACK)}};
            messages[filled] = (struct mmsghdr){.msg_hdr = {.msg_name = &to[filled],
                                                            .msg_namelen = sizeof to[filled],
                                                            .msg_iov = &iov[filled],
                                                            .msg_iovlen = 1}};
            filled++;
        }
        if (filled == BATCH || (filled > 0 && line + SOCKETS >= n)) {
            int done = sendmmsg(g->fds[socket_number], messages, filled, 0);

            atomic_fetch_add(&g->shared->sent, (guint64)(done > 0 ? done : 0));
            filled = 0;
        }
    }
}

static void
count_arrivals(Generator *g)
{
    static guint8 waste[BATCH][PACKET];
    struct mmsghdr messages[BATCH];
    struct iovec iov[BATCH];

    for (int i = 0; i < BATCH; i++) {
        iov[i] = (struct iovec){waste[i], PACKET};
        messages[i] = (struct mmsghdr){.msg_hdr = {.msg_iov = &iov[i], .msg_iovlen = 1}};
    }
    for (int s = 0; s < SOCKETS; s++) {
        int n;

        while ((n = recvmmsg(g->fds[s], messages, BATCH, MSG_DONTWAIT, NULL)) > 0) {
            guint64 rtp = 0;

            for (int i = 0; i < n; i++)
                rtp += clv_rtp_kind(waste[i], messages[i].msg_len) == CLV_RTP_KIND_RTP;
            atomic_fetch_add(&g->shared->got, rtp);
            if (n < BATCH)
                break;
        }
    }
}

static void
generate(Shared *shared)
{
    struct itimerspec every = {.it_interval = {.tv_nsec = 20000000 / SLICES},
                               .it_value = {.tv_nsec = 20000000 / SLICES}};
    Generator *g = g_new0(Generator, 1);
    int timer = timerfd_create(CLOCK_MONOTONIC, 0);
    guint slice = 0;

    g->shared = shared;
    clv_g711_init();
    make_tones(g);
    open_sockets(g);
    (void)timerfd_settime(timer, 0, &every, NULL);
    while (!atomic_load(&shared->stop)) {
        guint n = atomic_load(&shared->active);
        guint64 due;

        for (; g->n_open < n; g->n_open++)
            g->send[g->n_open] =
                clv_srtp_new(CLV_SRTP_OPENSSL, &shared->lines[g->n_open].keys, CLV_SRTP_SEND, NULL);
        if (read(timer, &due, sizeof due) != sizeof due)
            break;
        for (; due > 0; due--) {
            for (guint s = 0; s < SOCKETS; s++)
                send_slice(g, s, slice, n);
            count_arrivals(g);
            slice = (slice + 1) % SLICES;
            g->ticks += slice == 0;
        }
    }
}

/* ---- the mixer's side --------------------------------------------------------------------- */

typedef struct Bench {
    ClvMedia *media;
    Shared *shared;
    pid_t generator;
    ClvSrtpSuite suite;
    guint n, room;
    gboolean json;
} Bench;

typedef struct Figures {
    double cpu;               /* of one core */
    double pair_us;           /* of CPU time for one packet in and one out */
    double lost_in, lost_out; /* parts of what was sent */
    guint64 late, packets;
    guint32 worst_us, mean_us;
} Figures;

static void
open_leg(Bench *bench, guint i)
{
    const ClvSrtpProfile *profile = clv_srtp_profile(bench->suite);
    Line *line = &bench->shared->lines[i];
    GError *error = NULL;
    ClvMediaPorts *ports = clv_media_ports_open(bench->media, "127.0.0.1", &error);
    ClvMediaSetup setup = {
        .leg = i + 1,
        .conference = 1 + i / bench->room,
        .local_host = "127.0.0.1",
        .remote_rtp = {"127.0.0.1", bench->shared->ports[i % SOCKETS]},
        .remote_rtcp = {"127.0.0.1", bench->shared->ports[i % SOCKETS]},
        .rtcp_mux = TRUE,
        .codec = "PCMU",
        .dtmf_pt = -1,
        .ptime_ms = 20,
        .direction = CLV_DIR_SENDRECV,
    };

    if (ports == NULL)
        g_error("%s", error->message);
    setup.rx = (ClvSrtpKeys){
        .suite = bench->suite, .key_len = profile->key_len, .salt_len = profile->salt_len};
    setup.tx = setup.rx;
    RAND_bytes(setup.rx.key, setup.rx.key_len);
    RAND_bytes(setup.rx.salt, setup.rx.salt_len);
    RAND_bytes(setup.tx.key, setup.tx.key_len);
    *line = (Line){.port = clv_media_ports_rtp(ports), .ssrc = 0x10000 + i, .keys = setup.rx};
    if (!clv_media_open(bench->media, &setup, ports, &error))
        g_error("%s", error->message);
}

static void
publish_room(Bench *bench, guint first)
{
    ClvMixPlan *plan = g_malloc0(sizeof *plan + bench->room * sizeof plan->members[0]);

    plan->conference = 1 + first / bench->room;
    plan->n_members = bench->room;
    for (guint i = 0; i < bench->room; i++)
        plan->members[i] = (ClvMixMember){.leg = first + i + 1, .talks = TRUE, .hears = TRUE};
    clv_media_publish(bench->media, plan);
}

/* n whole rooms' worth. */
static void
grow(Bench *bench, guint n)
{
    while (bench->n < n) {
        guint first = bench->n;

        for (guint i = 0; i < bench->room; i++)
            open_leg(bench, bench->n++);
        publish_room(bench, first);
    }
    atomic_store(&bench->shared->active, bench->n);
}

static void
idle(Bench *bench, double seconds)
{
    double end = clock_s(CLOCK_MONOTONIC) + seconds;

    while (clock_s(CLOCK_MONOTONIC) < end) {
        g_usleep(100000);
        clv_media_dispatch(bench->media, NULL, NULL);
    }
}

typedef struct Snapshot {
    double wall, cpu;
    ClvMediaTotals totals;
    guint64 sent, got;
} Snapshot;

static Snapshot
snapshot(Bench *bench)
{
    Snapshot s = {.wall = clock_s(CLOCK_MONOTONIC), .cpu = clock_s(CLOCK_PROCESS_CPUTIME_ID)};

    s.sent = atomic_load(&bench->shared->sent);
    s.got = atomic_load(&bench->shared->got);
    clv_media_totals(bench->media, &s.totals);
    return s;
}

/* What is on its way at either end of the interval is no loss: one tick's worth is let off. */
static double
lost_part(guint64 sent, guint64 got, guint n)
{
    guint64 slack = 2ull * n;

    return sent > got + slack ? (double)(sent - got - slack) / (double)sent : 0;
}

static Figures
measure(Bench *bench, double seconds)
{
    Snapshot a, b;

    idle(bench, WARM_UP_S);
    a = snapshot(bench);
    idle(bench, seconds);
    b = snapshot(bench);
    return (Figures){
        .cpu = (b.cpu - a.cpu) / (b.wall - a.wall),
        .pair_us =
            (b.cpu - a.cpu) * 1e6 / (double)MAX(1, b.totals.tx_packets - a.totals.tx_packets),
        .lost_in = lost_part(b.sent - a.sent, b.totals.rx_packets - a.totals.rx_packets, bench->n),
        .lost_out = lost_part(b.totals.tx_packets - a.totals.tx_packets, b.got - a.got, bench->n),
        .late = b.totals.ticks_late - a.totals.ticks_late,
        .packets = b.totals.rx_packets - a.totals.rx_packets,
        .worst_us = b.totals.tick_worst_us,
        .mean_us = b.totals.tick_mean_us,
    };
}

static void
bench_open(Bench *bench, ClvSrtpSuite suite, guint room)
{
    ClvMediaConfig config = {.threads = 1,
                             .max_legs = MAX_LEGS,
                             .port_first = 10000,
                             .port_last = 32700,
                             .cname = "bench@localhost",
                             .realtime = TRUE};
    GError *error = NULL;

    bench->suite = suite;
    bench->room = room;
    bench->n = 0;
    bench->shared = mmap(NULL, sizeof *bench->shared, PROT_READ | PROT_WRITE,
                         MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    bench->generator = fork();
    if (bench->generator == 0) {
        pin(1);
        (void)sched_setscheduler(0, SCHED_RR, &(struct sched_param){.sched_priority = 1});
        generate(bench->shared);
        _exit(0);
    }
    pin(0);
    while (!atomic_load(&bench->shared->ready))
        g_usleep(1000);
    bench->media = clv_media_new(&config, &error);
    if (bench->media == NULL)
        g_error("%s", error->message);
}

static void
bench_close(Bench *bench)
{
    atomic_store(&bench->shared->stop, true);
    (void)waitpid(bench->generator, NULL, 0);
    for (guint i = 0; i < bench->n; i++)
        clv_media_close(bench->media, i + 1);
    idle(bench, 0.1);
    clv_media_free(bench->media);
    munmap(bench->shared, sizeof *bench->shared);
}

#ifndef CLV_MEDIA_PROFILE

static gboolean
holds(const Figures *f)
{
    return f->late == 0 && f->lost_in < 0.0005 && f->lost_out < 0.0005;
}

static long
resident_kb(void)
{
    long pages = 0;
    FILE *file = fopen("/proc/self/statm", "r");

    if (file != NULL && fscanf(file, "%*d %ld", &pages) != 1)
        pages = 0;
    if (file != NULL)
        fclose(file);
    return pages * (sysconf(_SC_PAGESIZE) / 1024);
}

static void
print_row(Bench *bench, const Figures *f, const char **separator)
{
    const char *name = clv_srtp_profile(bench->suite)->name;

    if (bench->json)
        printf("%s{\"suite\":\"%s\",\"room\":%u,\"participants\":%u,\"cpu\":%.4f,"
               "\"cpu_us_per_packet_pair\":%.2f,\"per_core_by_cpu\":%.0f,"
               "\"late_ticks\":%" G_GUINT64_FORMAT ",\"lost_in\":%.5f,\"lost_out\":%.5f,"
               "\"tick_mean_us\":%u,\"tick_worst_us\":%u,\"holds\":%s}",
               *separator, name, bench->room, bench->n, f->cpu, f->pair_us, 20000 / f->pair_us,
               f->late, f->lost_in, f->lost_out, f->mean_us, f->worst_us,
               holds(f) ? "true" : "false");
    else
        printf("%-24s %5u %6u  %5.1f%%  %8.2f  %8.0f  %5" G_GUINT64_FORMAT
               "  %6.3f%% %6.3f%%  %7u %7u  %s\n",
               name, bench->room, bench->n, f->cpu * 100, f->pair_us, 20000 / f->pair_us, f->late,
               f->lost_in * 100, f->lost_out * 100, f->mean_us, f->worst_us,
               holds(f) ? "holds" : "too many");
    fflush(stdout);
    *separator = ",";
}

static void
run_rooms(gboolean json, ClvSrtpSuite suite, guint room, const guint *steps, guint n_steps,
          const char **separator)
{
    Bench bench = {.json = json};

    bench_open(&bench, suite, room);
    for (guint i = 0; i < n_steps; i++) {
        Figures figures;

        grow(&bench, steps[i]);
        figures = measure(&bench, 3.0);
        print_row(&bench, &figures, separator);
        if (!holds(&figures) && figures.cpu > 0.9)
            break;
    }
    bench_close(&bench);
}

/* First of all, before the heap has holes to fill. */
static double
run_memory(void)
{
    Bench bench = {0};
    long before, after;

    bench_open(&bench, CLV_SRTP_AES_CM_128_HMAC_SHA1_80, 10);
    grow(&bench, 100); /* what is there once for all is there now */
    idle(&bench, 1);
    before = resident_kb();
    grow(&bench, 1100);
    idle(&bench, 2);
    after = resident_kb();
    bench_close(&bench);
    return (double)(after - before) / 1000;
}

int
main(int argc, char **argv)
{
    static const guint tens[] = {500, 1000, 1500, 1800, 2100, 2400, 2700};
    static const guint big[] = {200, 1000, 1600};
    struct rlimit files;
    gboolean json = argc > 1 && strcmp(argv[1], "--json") == 0;
    const char *separator = "";
    double kb;

    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &files);
    }
    kb = run_memory();
    if (json)
        printf("{\"media\":[");
    else
        printf("One media thread on one core, everybody talking, G.711, 50 packets/s each way\n"
               "%-24s %5s %6s  %6s  %8s  %8s  %5s  %7s %7s  %7s %7s\n",
               "suite", "room", "people", "CPU", "us/pair", "per core", "late", "lost in", "out",
               "mean us", "worst");
    run_rooms(json, CLV_SRTP_AES_CM_128_HMAC_SHA1_80, 10, tens, G_N_ELEMENTS(tens), &separator);
    run_rooms(json, CLV_SRTP_AEAD_AES_256_GCM, 10, tens, G_N_ELEMENTS(tens), &separator);
    run_rooms(json, CLV_SRTP_AES_CM_128_HMAC_SHA1_80, 200, big, G_N_ELEMENTS(big), &separator);
    run_rooms(json, CLV_SRTP_AEAD_AES_256_GCM, 200, big, G_N_ELEMENTS(big), &separator);
    if (json)
        printf("],\"resident_kb_per_participant\":%.1f}\n", kb);
    else
        printf("\nresident memory for one participant: %.1f KB\n", kb);
    return 0;
}

#else

static int
by_value(const void *a, const void *b)
{
    guint64 x = *(const guint64 *)a, y = *(const guint64 *)b;

    return x < y ? -1 : x > y;
}

/* Of the ticks between two counts: the median, for one participant. The thread goes on writing
 * elsewhere in the ring meanwhile. */
static double
median_us(ClvStage stage, guint from, guint to, guint n)
{
    guint64 ns[CLV_STAGE_TICKS];
    guint count = MIN(to - from, CLV_STAGE_TICKS);

    for (guint i = 0; i < count; i++)
        ns[i] = clv_stage_times.ns[stage][(from + i) % CLV_STAGE_TICKS];
    qsort(ns, count, sizeof ns[0], by_value);
    return (double)ns[count / 2] / 1000 / n;
}

static void
run_stages(gboolean json, ClvSrtpSuite suite, const char *separator)
{
    static const char *const names[CLV_N_STAGES] = {"other", "receive", "unprotect", "jitter",
                                                    "mix",   "protect", "send"};
    Bench bench = {.json = json};
    double total = 0;
    guint from, to;

    bench_open(&bench, suite, 10);
    grow(&bench, 500);
    idle(&bench, WARM_UP_S);
    from = clv_stage_times.n_ticks;
    (void)measure(&bench, 5);
    to = clv_stage_times.n_ticks;
    printf(json ? "%s{\"suite\":\"%s\"" : "%s%-26s", separator, clv_srtp_profile(suite)->name);
    for (int s = CLV_STAGE_RECEIVE; s < CLV_N_STAGES; s++) {
        double us = median_us((ClvStage)s, from, to, bench.n);

        total += us;
        printf(json ? ",\"%s_us\":%.3f" : "  %s %.2f", names[s], us);
    }
    printf(json ? ",\"sum_us\":%.3f}" : "  sum %.2f\n", total);
    bench_close(&bench);
}

int
main(int argc, char **argv)
{
    gboolean json = argc > 1 && strcmp(argv[1], "--json") == 0;

    printf(json ? "{\"stages\":["
                : "One packet in and one out, microseconds by stage (500 people in rooms of 10)\n");
    run_stages(json, CLV_SRTP_AES_CM_128_HMAC_SHA1_80, "");
    run_stages(json, CLV_SRTP_AEAD_AES_256_GCM, json ? "," : "");
    if (json)
        printf("]}\n");
    return 0;
}

#endif
