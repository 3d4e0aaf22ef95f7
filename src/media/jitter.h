/* SPDX-License-Identifier: Apache-2.0 */
/* media/jitter.h - which 20 ms of a stream are due now, however they arrived
 *
 * Pure: the only clock is being asked once per 20 ms. Packets lie in fixed slots by extended
 * sequence number and are played by timestamp, so that any packet time up to 60 ms will do. The
 * delay grows by itself when packets come late and shrinks again when they no longer do; a clock
 * that runs fast or slow looks like that, too, and costs one frame now and then.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CLV_JITTER_FRAME 160 /* samples and octets: G.711 */
#define CLV_JITTER_SLOTS 32
#define CLV_JITTER_MAX_PAYLOAD 480

typedef enum ClvJitterPut {
    CLV_JITTER_FRESH,
    CLV_JITTER_LATE, /* its time is over */
    CLV_JITTER_DUPLICATE,
    CLV_JITTER_RESTARTED, /* fresh, but sequence or timestamp leapt: the delay starts anew */
    CLV_JITTER_UNFIT,     /* empty or too long */
} ClvJitterPut;

typedef struct ClvJitterSlot {
    bool used;
    uint16_t len;
    uint32_t seq;  /* extended */
    int64_t start; /* extended timestamp */
    uint8_t payload[CLV_JITTER_MAX_PAYLOAD];
} ClvJitterSlot;

typedef struct ClvJitter {
    bool started;
    uint32_t highest;     /* newest extended sequence number */
    uint32_t next;        /* nothing below is worth looking for */
    int64_t newest_start; /* timestamp of the newest packet */
    int64_t newest_end;
    int64_t cursor;       /* timestamp of the next sample to play */
    int64_t least_margin; /* how early the latest packet came, within the window */
    uint32_t window;      /* frames to watch before the delay may shrink */
    uint32_t watched;
    uint32_t since_shrink;
    uint32_t to_drop;             /* frames too many */
    uint32_t to_hold;             /* frames too few: conceal without moving on */
    uint32_t patience;            /* frames to wait for silence before dropping into speech */
    uint32_t late, dropped, held; /* counters */
    ClvJitterSlot slots[CLV_JITTER_SLOTS];
} ClvJitter;

void clv_jitter_init(ClvJitter *jitter); /* also after a change of SSRC or codec */

ClvJitterPut clv_jitter_put(ClvJitter *jitter, uint16_t seq, uint32_t timestamp, bool marker,
                            const uint8_t *payload, size_t len);

/* The frame that is due, at most CLV_JITTER_FRAME octets; whatever is missing of it is to be
 * concealed. quiet: what was played last may be cut short without harm. */
size_t clv_jitter_get(ClvJitter *jitter, bool quiet, uint8_t out[CLV_JITTER_FRAME]);

/* Time that passed without anybody asking: the player moves on. */
void clv_jitter_skip(ClvJitter *jitter, unsigned frames);

/* What is stored ahead of the player. */
unsigned clv_jitter_depth_ms(const ClvJitter *jitter);
