/* SPDX-License-Identifier: Apache-2.0 */
/* What one packet costs: our SRTP transform against libsrtp2, at 1, 400 and 1,000 streams.
 *
 * Both run in turns within one process, and the figure is the median of the turns, so that the
 * ratio holds on a machine that does other things as well.
 */
#include "media/media.h"
#include "media/srtp.h"
#include "media/wire.h"

#include <openssl/rand.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define TURNS 5
#define PACKETS 40000
#define MAX_STREAMS 1000
#define LEN 172

typedef struct Streams {
    ClvSrtp *send[MAX_STREAMS], *receive[MAX_STREAMS];
} Streams;

typedef struct Cost {
    double protect_us, unprotect_us;
} Cost;

static guint8 packets[PACKETS][LEN + CLV_SRTP_MAX_TRAILER];

static double
now_us(void)
{
    struct timespec t;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static void
streams_open(Streams *streams, ClvSrtpEngine engine, ClvSrtpSuite suite, guint n)
{
    const ClvSrtpProfile *profile = clv_srtp_profile(suite);

    for (guint i = 0; i < n; i++) {
        ClvSrtpKeys keys = {
            .suite = suite, .key_len = profile->key_len, .salt_len = profile->salt_len};

        RAND_bytes(keys.key, keys.key_len);
        RAND_bytes(keys.salt, keys.salt_len);
        streams->send[i] = clv_srtp_new(engine, &keys, CLV_SRTP_SEND, NULL);
        streams->receive[i] = clv_srtp_new(engine, &keys, CLV_SRTP_RECEIVE, NULL);
        if (streams->send[i] == NULL || streams->receive[i] == NULL)
            g_error("cannot make a context");
    }
}

static void
streams_close(Streams *streams, guint n)
{
    for (guint i = 0; i < n; i++) {
        clv_srtp_free(streams->send[i]);
        clv_srtp_free(streams->receive[i]);
    }
}

static void
must(ClvSrtpVerdict verdict)
{
    if (verdict != CLV_SRTP_OK)
        g_error("a packet was refused: %d", (int)verdict);
}

static Cost
run(ClvSrtpEngine engine, ClvSrtpSuite suite, guint n)
{
    static Streams streams;
    static size_t lens[PACKETS];
    guint count = engine == CLV_SRTP_LIBSRTP ? PACKETS / (n >= 400 ? 10 : 2) : PACKETS;
    Cost cost;
    double begin;

    count -= count % n;
    streams_open(&streams, engine, suite, n);
    for (guint i = 0; i < count; i++) {
        memset(packets[i], 0x55, LEN);
        packets[i][0] = 0x80;
        packets[i][1] = 0;
        clv_store_u16(packets[i] + 2, (guint16)(i / n));
        clv_store_u32(packets[i] + 8, 1000 + i % n);
        lens[i] = LEN;
    }
    begin = now_us();
    for (guint i = 0; i < count; i++)
        must(clv_srtp_protect_rtp(streams.send[i % n], packets[i], &lens[i], sizeof packets[i]));
    cost.protect_us = (now_us() - begin) / count;
    begin = now_us();
    for (guint i = 0; i < count; i++)
        must(clv_srtp_unprotect_rtp(streams.receive[i % n], packets[i], &lens[i]));
    cost.unprotect_us = (now_us() - begin) / count;
    streams_close(&streams, n);
    return cost;
}

static int
by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return x < y ? -1 : x > y;
}

static double
median(double *values, size_t n)
{
    qsort(values, n, sizeof values[0], by_value);
    return values[n / 2];
}

static Cost
median_cost(const Cost *costs)
{
    double protect[TURNS], unprotect[TURNS];

    for (int t = 0; t < TURNS; t++) {
        protect[t] = costs[t].protect_us;
        unprotect[t] = costs[t].unprotect_us;
    }
    return (Cost){median(protect, TURNS), median(unprotect, TURNS)};
}

int
main(int argc, char **argv)
{
    static const ClvSrtpSuite suites[] = {CLV_SRTP_AES_CM_128_HMAC_SHA1_80,
                                          CLV_SRTP_AES_256_CM_HMAC_SHA1_80,
                                          CLV_SRTP_AEAD_AES_128_GCM, CLV_SRTP_AEAD_AES_256_GCM};
    static const guint counts[] = {1, 400, 1000};
    gboolean json = argc > 1 && strcmp(argv[1], "--json") == 0;
    const char *separator = "";

    if (json)
        printf("{\"srtp\":[");
    else
        printf("SRTP, microseconds for one packet of 160 octets (median of %d)\n"
               "%-26s %7s  %9s %9s  %9s %9s  %6s\n",
               TURNS, "suite", "streams", "protect", "unprotect", "libsrtp2", "libsrtp2", "ratio");
    for (size_t s = 0; s < G_N_ELEMENTS(suites); s++) {
        for (size_t c = 0; c < G_N_ELEMENTS(counts); c++) {
            const char *name = clv_srtp_profile(suites[s])->name;
            Cost costs[CLV_N_SRTP_ENGINES][TURNS], ours, theirs;
            double ratio;

            for (int t = 0; t < TURNS; t++) {
                for (int e = 0; e < CLV_N_SRTP_ENGINES; e++)
                    costs[e][t] = run((ClvSrtpEngine)e, suites[s], counts[c]);
            }
            ours = median_cost(costs[CLV_SRTP_OPENSSL]);
            theirs = median_cost(costs[CLV_SRTP_LIBSRTP]);
            ratio =
                (theirs.protect_us + theirs.unprotect_us) / (ours.protect_us + ours.unprotect_us);
            if (json)
                printf("%s{\"suite\":\"%s\",\"streams\":%u,\"protect_us\":%.3f,"
                       "\"unprotect_us\":%.3f,\"libsrtp_protect_us\":%.3f,"
                       "\"libsrtp_unprotect_us\":%.3f,\"ratio\":%.2f}",
                       separator, name, counts[c], ours.protect_us, ours.unprotect_us,
                       theirs.protect_us, theirs.unprotect_us, ratio);
            else
                printf("%-26s %7u  %9.3f %9.3f  %9.3f %9.3f  %5.1fx\n", name, counts[c],
                       ours.protect_us, ours.unprotect_us, theirs.protect_us, theirs.unprotect_us,
                       ratio);
            fflush(stdout);
            separator = ",";
        }
    }
    if (json)
        printf("]}\n");
    return 0;
}
