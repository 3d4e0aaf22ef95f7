/* SPDX-License-Identifier: Apache-2.0 */
/* media/stage.h - where a tick spends its time; only the benchmark's build measures it
 *
 * With CLV_MEDIA_PROFILE each change of stage books the time since the last one. Without it, as in
 * every build that is used, all of this is nothing.
 */
#pragma once

#include <stdint.h>

typedef enum ClvStage {
    CLV_STAGE_OTHER,
    CLV_STAGE_RECEIVE,
    CLV_STAGE_UNPROTECT,
    CLV_STAGE_JITTER,
    CLV_STAGE_MIX,
    CLV_STAGE_PROTECT,
    CLV_STAGE_SEND,
    CLV_N_STAGES
} ClvStage;

#ifdef CLV_MEDIA_PROFILE
#define CLV_STAGE_TICKS 1024
/* Of the one media thread of the benchmark: each of the latest ticks, as other programs on the
 * machine spoil some of them. */
typedef struct ClvStageTimes {
    uint64_t ns[CLV_N_STAGES][CLV_STAGE_TICKS];
    unsigned n_ticks; /* since the start */
} ClvStageTimes;
extern ClvStageTimes clv_stage_times;
void clv_stage(ClvStage next);
void clv_stage_tick(void);
#else
static inline void
clv_stage(ClvStage next)
{
    (void)next;
}

static inline void
clv_stage_tick(void)
{
}
#endif
