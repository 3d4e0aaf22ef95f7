/* SPDX-License-Identifier: Apache-2.0 */
/* A stage for tests of the media room: peers over loopback sockets, and a clock of 20 ms.
 *
 *   peers --SRTP--> legs --> jitter --> sum - own --> legs --SRTP--> peers
 *
 * Tones are multiples of 50 Hz: a frame left out or put in on a busy machine does not shift their
 * phase, and so does not blunt the ear. */
#pragma once

#include "media-peer.h"

#define SETTLED (8000) /* the first second is for buffers to fill */
#define ABSENT 60.0    /* amplitude below which a tone is not there; tones have 3000 */
#define STAGE_EVENTS (CLV_MEDIA_CLOSED + 1)
#define STAGE_KEYS 64

typedef struct Stage {
    ClvMedia *media;
    Peer *peers;
    guint n;
    guint events[STAGE_EVENTS]; /* how often, by kind; of whom the last, and what */
    ClvLegId last[STAGE_EVENTS];
    guint32 value[STAGE_EVENTS];
    char keys[STAGE_KEYS]; /* all that were pressed, in their order */
    guint n_keys;
    guint loss_percent, swap_percent;
    guint8 held[2048]; /* a packet that is overtaken by the next */
    gsize held_len;
    Peer *held_by;
    GRand *rand;
} Stage;

void stage_open(Stage *stage, guint n, gboolean use_libsrtp);
void stage_open_with(Stage *stage, guint n, gboolean use_libsrtp, const char *prompts_dir);
/* Everybody in the one conference, each with a tone of his own. */
void stage_fill(Stage *stage, guint n, ClvSrtpSuite suite);
void stage_close(Stage *stage);
/* Bits say which peers of the conference talk and hear. */
void stage_publish(Stage *stage, ClvConferenceId conference, guint32 talks, guint32 hears);
/* Frames of 20 ms, in real time; events are taken as they come. */
void stage_play(Stage *stage, guint frames);
void stage_forget_heard(Stage *stage);
ClvMediaStats stage_stats(Stage *stage, guint i);
void assert_hears(const Peer *ear, const Peer *mouth, gboolean heard);
