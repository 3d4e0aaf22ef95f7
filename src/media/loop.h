/* SPDX-License-Identifier: Apache-2.0 */
/* media/loop.h - one media thread and what is sent to it and comes back; private to the room
 *
 * A command is made on the signalling thread, executed between two ticks and travels home with
 * whatever it displaced, to be freed where it was made. So the media thread owns nothing.
 */
#pragma once

#include "base/ring.h"
#include "media/leg.h"

typedef enum ClvCommandKind {
    CLV_COMMAND_OPEN,   /* leg */
    CLV_COMMAND_CLOSE,  /* leg */
    CLV_COMMAND_CHANGE, /* leg, terms */
    CLV_COMMAND_REKEY,  /* leg, rx, tx */
    CLV_COMMAND_SWITCH, /* leg */
    CLV_COMMAND_PLAN,   /* room, parts */
    CLV_COMMAND_END,    /* room */
    CLV_COMMAND_PROMPT, /* leg, prompt, prompt_serial */
    CLV_COMMAND_DTMF,   /* leg, dtmf_pt */
} ClvCommandKind;

typedef struct ClvPlanPart {
    ClvMediaLeg *leg;
    bool talks, hears;
} ClvPlanPart;

struct ClvCommand {
    ClvCommandKind kind;
    ClvMediaLeg *leg;
    ClvRoom *room;
    ClvLegTerms terms;
    bool talks, hears; /* of a leg that a plan named before it was open */
    ClvSrtp *rx, *tx;
    guint32 said_ssrc;            /* the peer's, by key management; 0: it does not say */
    const ClvPromptSound *prompt; /* the room's */
    guint32 prompt_serial;
    int dtmf_pt;
    guint n_parts;
    ClvPlanPart parts[];
};

/* A conference as its thread sees it. */
struct ClvRoom {
    ClvConferenceId id;
    ClvShard *shard;
    /* signalling */
    GHashTable *ssrcs; /* ours, given out in this conference and never again */
    ClvMixPlan *plan;  /* the latest */
    guint n_legs;
    /* set before the first leg is lent, and read by both */
    char cname[CLV_RTCP_MAX_CNAME + 1]; /* "": that of the thread */
    /* media thread */
    bool listed;
    ClvRoom *next, *prev;
    ClvMediaLeg *legs;
};

/* What comes back: an event about a leg, or a command that has been executed. */
typedef struct ClvHomecoming {
    ClvMediaEventKind kind;
    ClvMediaLeg *leg; /* NULL: it is the command */
    ClvCommand *command;
} ClvHomecoming;

typedef struct ClvShardSetup {
    guint number;
    guint max_legs;
    guint commands; /* slots, and how many may be out at a time */
    int event_fd;   /* shared by all threads */
    int64_t silence_ns;
    const char *cname;
    bool realtime;
} ClvShardSetup;

typedef struct ClvShardTotals {
    guint64 ticks, ticks_late, busy_ns;
    guint32 worst_us, mean_us;
} ClvShardTotals;

ClvShard *clv_shard_new(const ClvShardSetup *setup, GError **error);
void clv_shard_free(ClvShard *shard); /* stops and joins; commands may still come home after stop */
void clv_shard_stop(ClvShard *shard);
bool clv_shard_send(ClvShard *shard, ClvCommand *command); /* false: full */
bool clv_shard_receive(ClvShard *shard, ClvHomecoming *out);
void clv_shard_totals(const ClvShard *shard, ClvShardTotals *out);
