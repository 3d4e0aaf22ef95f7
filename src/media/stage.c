/* SPDX-License-Identifier: Apache-2.0 */
/* media/stage.c - the stop watch of the benchmark's build */
#include "media/stage.h"

#ifdef CLV_MEDIA_PROFILE

#include <time.h>

ClvStageTimes clv_stage_times;

static ClvStage current;
static uint64_t since;
static uint64_t booked[CLV_N_STAGES];

void
clv_stage(ClvStage next)
{
    struct timespec t;
    uint64_t now;

    clock_gettime(CLOCK_MONOTONIC, &t);
    now = (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
    if (since != 0)
        booked[current] += now - since;
    current = next;
    since = now;
}

void
clv_stage_tick(void)
{
    unsigned at = clv_stage_times.n_ticks++ % CLV_STAGE_TICKS;

    clv_stage(CLV_STAGE_OTHER);
    for (unsigned s = 0; s < CLV_N_STAGES; s++) {
        clv_stage_times.ns[s][at] = booked[s];
        booked[s] = 0;
    }
}

#endif
