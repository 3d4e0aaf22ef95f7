/* SPDX-License-Identifier: Apache-2.0 */
/* media/jitter.c - slots by sequence number, a cursor by timestamp, and a delay that adapts */
#include "media/jitter.h"

#include <string.h>

#define FRAME CLV_JITTER_FRAME
#define SLOTS CLV_JITTER_SLOTS
#define MAX_DROPOUT 3000      /* RFC 3550 A.1: farther away is another stream */
#define PREFILL (2 * FRAME)   /* delay to begin with */
#define SPARE (2 * FRAME)     /* every packet that early: one frame is too many */
#define MAX_LEAD (20 * FRAME) /* 400 ms: farther ahead is no jitter */
#define MAX_LAG (50 * FRAME)  /* 1 s behind: the timestamps began anew */
#define MAX_HOLD 4            /* frames of growth for a single straggler */
#define WINDOW_MIN 250        /* frames: 5 s */
#define WINDOW_MAX 3000
#define PATIENCE 100 /* frames: 2 s */

static void
watch_anew(ClvJitter *j)
{
    j->watched = 0;
    j->least_margin = INT64_MAX;
}

void
clv_jitter_init(ClvJitter *j)
{
    j->started = false;
    j->window = WINDOW_MIN;
    j->since_shrink = WINDOW_MAX;
    j->late = j->dropped = j->held = 0;
}

static void
forget_slots(ClvJitter *j)
{
    for (uint32_t i = 0; i < SLOTS; i++) {
        j->slots[i].used = false;
        j->slots[i].seq = i + 1; /* never the number of a packet that belongs here */
    }
}

static void
start(ClvJitter *j, uint32_t seq, int64_t timestamp)
{
    forget_slots(j);
    j->started = true;
    j->highest = j->next = seq;
    j->newest_start = j->newest_end = timestamp;
    j->cursor = timestamp - PREFILL;
    j->to_drop = j->to_hold = j->patience = 0;
    watch_anew(j);
}

/* Somebody came too late: watch longer before trying a shorter delay again. */
static void
regret(ClvJitter *j)
{
    if (j->since_shrink < j->window)
        j->window = j->window * 2 > WINDOW_MAX ? WINDOW_MAX : j->window * 2;
    j->to_drop = 0;
    watch_anew(j);
}

static void
store(ClvJitter *j, uint32_t seq, int64_t begins, const uint8_t *payload, size_t len)
{
    ClvJitterSlot *slot = &j->slots[seq % SLOTS];

    slot->used = true;
    slot->seq = seq;
    slot->start = begins;
    slot->len = (uint16_t)len;
    memcpy(slot->payload, payload, len);
}

static void
note_margin(ClvJitter *j, int64_t begins)
{
    if (begins - j->cursor < j->least_margin)
        j->least_margin = begins - j->cursor;
}

/* The newest packet so far: it may move the cursor. */
static ClvJitterPut
put_newest(ClvJitter *j, uint32_t seq, int64_t begins, bool marker, const uint8_t *payload,
           size_t len)
{
    int64_t lead = begins - j->cursor;
    ClvJitterPut verdict = CLV_JITTER_FRESH;

    if (lead > MAX_LEAD || lead < -MAX_LAG) {
        start(j, seq, begins);
        verdict = CLV_JITTER_RESTARTED;
    } else if (lead < 0 && marker) {
        j->cursor = begins - PREFILL; /* a talk spurt whose timestamps stood still meanwhile */
        watch_anew(j);
    } else if (lead < 0) {
        j->late++;
        j->cursor = begins; /* all that follows would be late as well: play later from now on */
        regret(j);
    }
    j->highest = seq;
    j->newest_start = begins;
    j->newest_end = begins + (int64_t)len;
    note_margin(j, begins);
    store(j, seq, begins, payload, len);
    return verdict;
}

static ClvJitterPut
put_older(ClvJitter *j, uint32_t seq, int64_t begins, const uint8_t *payload, size_t len)
{
    int64_t lag = j->cursor - begins;
    const ClvJitterSlot *slot = &j->slots[seq % SLOTS];

    if (slot->seq == seq)
        return CLV_JITTER_DUPLICATE; /* still there, or played */
    if (j->highest - seq >= SLOTS || lag >= (int64_t)len) {
        uint32_t frames = lag > 0 ? (uint32_t)((lag + FRAME - 1) / FRAME) : 0;

        j->late++;
        if (j->to_hold == 0 && frames > 0 && frames <= MAX_HOLD)
            j->to_hold = frames;
        regret(j);
        return CLV_JITTER_LATE;
    }
    note_margin(j, begins);
    store(j, seq, begins, payload, len);
    return CLV_JITTER_FRESH;
}

ClvJitterPut
clv_jitter_put(ClvJitter *j, uint16_t seq, uint32_t timestamp, bool marker, const uint8_t *payload,
               size_t len)
{
    int32_t ahead;
    int64_t begins;

    if (len == 0 || len > CLV_JITTER_MAX_PAYLOAD)
        return CLV_JITTER_UNFIT;
    if (!j->started) {
        start(j, seq + 0x10000u, timestamp);
        return put_newest(j, j->highest, timestamp, false, payload, len);
    }
    ahead = (int16_t)(seq - (uint16_t)j->highest);
    begins = j->newest_start + (int32_t)(timestamp - (uint32_t)j->newest_start);
    if (ahead > MAX_DROPOUT || ahead < -MAX_DROPOUT) {
        start(j, seq + 0x10000u, begins);
        (void)put_newest(j, j->highest, begins, false, payload, len);
        return CLV_JITTER_RESTARTED;
    }
    if (ahead == 0 && j->slots[j->highest % SLOTS].seq == j->highest)
        return CLV_JITTER_DUPLICATE;
    if (ahead > 0)
        return put_newest(j, j->highest + (uint32_t)ahead, begins, marker, payload, len);
    return put_older(j, j->highest + (uint32_t)ahead, begins, payload, len);
}

/* The first stored packet that ends after the cursor, forgetting those that do not. */
static ClvJitterSlot *
due(ClvJitter *j, int64_t cursor)
{
    if (j->highest - j->next >= SLOTS)
        j->next = j->highest - (SLOTS - 1);
    for (uint32_t seq = j->next; (int32_t)(j->highest - seq) >= 0; seq++) {
        ClvJitterSlot *slot = &j->slots[seq % SLOTS];

        if (!slot->used || slot->seq != seq)
            continue;
        if (slot->start + slot->len > cursor)
            return slot;
        slot->used = false;
        j->next = seq + 1;
    }
    return NULL;
}

static void
consider_shrinking(ClvJitter *j)
{
    j->since_shrink++;
    if (++j->watched < j->window)
        return;
    if (j->least_margin != INT64_MAX && j->least_margin >= SPARE) {
        uint32_t spare = (uint32_t)(j->least_margin / FRAME) - 1;

        j->to_drop = spare > 1 ? spare / 2 : 1;
        j->patience = PATIENCE;
    }
    watch_anew(j);
}

static void
drop_if_due(ClvJitter *j, bool quiet)
{
    if (j->to_drop == 0)
        return;
    if (!quiet && j->patience > 0) {
        j->patience--;
        return;
    }
    j->to_drop--;
    j->dropped++;
    j->since_shrink = 0;
    j->cursor += FRAME;
    watch_anew(j);
}

size_t
clv_jitter_get(ClvJitter *j, bool quiet, uint8_t out[CLV_JITTER_FRAME])
{
    size_t filled = 0;

    if (!j->started)
        return 0;
    if (j->to_hold > 0) {
        j->to_hold--;
        j->held++;
        return 0;
    }
    consider_shrinking(j);
    drop_if_due(j, quiet);
    while (filled < FRAME) {
        ClvJitterSlot *slot = due(j, j->cursor);
        size_t skip, n;

        if (slot == NULL || slot->start >= j->cursor + (int64_t)(FRAME - filled))
            break;
        if (slot->start > j->cursor) {
            if (filled > 0)
                break;
            j->cursor = slot->start; /* its beginning is off our grid: take over its own */
        }
        skip = (size_t)(j->cursor - slot->start);
        n = slot->len - skip < FRAME - filled ? slot->len - skip : FRAME - filled;
        memcpy(out + filled, slot->payload + skip, n);
        filled += n;
        j->cursor += (int64_t)n;
    }
    j->cursor += (int64_t)(FRAME - filled);
    return filled;
}

void
clv_jitter_skip(ClvJitter *j, unsigned frames)
{
    if (!j->started)
        return;
    j->cursor += (int64_t)frames * FRAME;
    watch_anew(j);
}

unsigned
clv_jitter_depth_ms(const ClvJitter *j)
{
    int64_t depth = j->started ? j->newest_end - j->cursor : 0;

    return depth > 0 ? (unsigned)(depth / 8) : 0;
}
