/* SPDX-License-Identifier: Apache-2.0 */
/* media/dtmf.c - reports of telephone events to presses of keys, each once */
#include "media/dtmf.h"

#include "media/wire.h"

#define REPORT 4 /* octets */
#define END 0x80
#define LONGEST 0xffffu  /* that a duration can say; longer presses come in segments */
#define ANEW (30 * 8000) /* that far back is no late packet: the timestamps began anew */

static const char keys[] = "0123456789*#ABCD";
#define N_KEYS (sizeof keys - 1)

typedef struct Report {
    uint8_t code;
    bool ended, marker;
    uint32_t start, end;
} Report;

void
clv_dtmf_init(ClvDtmf *dtmf)
{
    dtmf->n = dtmf->last = 0;
}

/* Time from one timestamp to another, over the wrap. */
static int32_t
since(uint32_t from, uint32_t to)
{
    return (int32_t)(to - from);
}

/* Does what begins later, at gap after the earlier began and left before its end, belong to it? A
 * key cannot go down again before it came up; but the marker of a press begins it, whatever the one
 * before, once ended, was said to last. A press longer than a duration can say goes on in further
 * segments, without a marker, each beginning where the one before ended (2.5.1.3), even if the last
 * that was heard of that one is older. */
static bool
belongs(int32_t gap, int32_t left, bool earlier_ended, bool later_marked)
{
    if (left > 0)
        return !(earlier_ended && later_marked);
    return (left == 0 || (uint32_t)gap % LONGEST == 0) && !earlier_ended && !later_marked;
}

static bool
is_of(const ClvDtmfPress *press, const Report *report)
{
    if (report->start == press->start || report->start == press->segment)
        return true;
    if (since(press->start, report->start) > 0)
        return belongs(since(press->segment, report->start), since(report->start, press->end),
                       press->ended, report->marker);
    return belongs(since(report->start, press->start), since(press->start, report->end),
                   report->ended, press->marked);
}

static ClvDtmfPress *
known(ClvDtmf *dtmf, const Report *report)
{
    for (unsigned i = 0; i < dtmf->n; i++) {
        ClvDtmfPress *press = &dtmf->presses[(dtmf->last + dtmf->n - i) % dtmf->n];

        if (press->code == report->code && is_of(press, report))
            return press;
    }
    return NULL;
}

static void
prolong(ClvDtmfPress *press, const Report *report)
{
    if (since(report->start, press->start) >= 0) {
        press->marked = report->marker || (press->marked && report->start == press->start);
        press->start = report->start;
    }
    if (since(press->segment, report->start) > 0)
        press->segment = report->start;
    if (since(press->end, report->end) > 0)
        press->end = report->end;
    press->ended = press->ended || report->ended;
}

/* Older than all that is remembered of a full memory: who knows whether it has been told. */
static bool
is_forgotten(const ClvDtmf *dtmf, const Report *report)
{
    for (unsigned i = 0; i < dtmf->n; i++) {
        if (since(dtmf->presses[i].start, report->start) >= 0)
            return false;
    }
    return dtmf->n == CLV_DTMF_MEMORY;
}

static void
remember(ClvDtmf *dtmf, const Report *report)
{
    unsigned at = dtmf->n < CLV_DTMF_MEMORY ? dtmf->n++ : (dtmf->last + 1) % CLV_DTMF_MEMORY;

    dtmf->last = at;
    dtmf->presses[at] = (ClvDtmfPress){.code = report->code,
                                       .marked = report->marker,
                                       .ended = report->ended,
                                       .start = report->start,
                                       .segment = report->start,
                                       .end = report->end};
}

/* True: a press that is news. */
static bool
note(ClvDtmf *dtmf, const Report *report)
{
    ClvDtmfPress *press;

    if (dtmf->n > 0 && since(report->start, dtmf->presses[dtmf->last].start) > ANEW)
        clv_dtmf_init(dtmf);
    press = known(dtmf, report);
    if (press != NULL) {
        prolong(press, report);
        return false;
    }
    if (is_forgotten(dtmf, report))
        return false;
    remember(dtmf, report);
    return true;
}

/* Several reports in a packet follow each other in time without a gap (2.5.1.5), so each begins
 * where the one before it ended; the marker is about the first. */
void
clv_dtmf_take(ClvDtmf *dtmf, uint32_t timestamp, bool marker, const uint8_t *payload, size_t len,
              ClvDtmfTaken *out)
{
    ClvReader r = {.next = payload, .left = len};
    Report report = {.end = timestamp, .marker = marker};

    *out = (ClvDtmfTaken){.malformed =
                              len == 0 || len % REPORT != 0 || len > REPORT * CLV_DTMF_MAX_REPORTS};
    if (out->malformed)
        return;
    while (r.left > 0) {
        report.code = clv_read_u8(&r);
        report.ended = (clv_read_u8(&r) & END) != 0; /* reserved bit and volume: not of interest */
        report.start = report.end;
        report.end = report.start + clv_read_u16(&r);
        if (report.code >= N_KEYS)
            out->malformed = true;
        else if (note(dtmf, &report))
            out->keys[out->n++] = keys[report.code];
        report.marker = false;
    }
}
