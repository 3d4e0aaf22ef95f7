/* SPDX-License-Identifier: Apache-2.0 */
/* media/stage.c - the stop watch of the benchmark's build */
#include "media/stage.h"

#ifdef CLV_MEDIA_PROFILE

#include <time.h>

ClvStageTimes clv_stage_times;

void
clv_stage(ClvStage next)
{
    static ClvStage current;
    static uint64_t since;
    struct timespec t;
    uint64_t now;

    clock_gettime(CLOCK_MONOTONIC, &t);
    now = (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
    if (since != 0)
        clv_stage_times.ns[current] += now - since;
    clv_stage_times.times[next]++;
    current = next;
    since = now;
}

#endif
