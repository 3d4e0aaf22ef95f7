/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/conference-play.h - plays the words of a transcript, and writes what results */
#pragma once

#include "conference-law.h"

typedef struct Play {
    GString *policy_text;
    char *use;
    ClvPolicy *policy;
    ClvConference *conference;
    Law *law;
    GArray *actions;
    GString *log; /* the transcript that results */
    gint64 now_us, wall_us;
    ClvLegId last_leg;
    ClvReferId last_refer; /* of random tales */
} Play;

#define FIRST_WALL_US (G_GINT64_CONSTANT(1893456000) * G_USEC_PER_SEC) /* 2030-01-01T00:00:00Z */

extern const char policy_head[];

ClvPolicy *parse_policy(const char *text);
void play_init(Play *play);
void play_clear(Play *play);
/* Makes the conference; words: unused. */
typedef struct Words Words;
void play_new(Play *play, const Words *words);
/* The times are filled in. */
void step(Play *play, ClvEvent *event);
/* "join alice ticket create" */
void play_event(Play *play, const char *text);
/* A line of a transcript; @in_policy: was the line before it one of the policy? */
void play_line(Play *play, const char *line, gboolean *in_policy);

/* ---- words (conference-print.c) ---- */

extern const char *const code_names[CLV_N_CODES];
extern const char *const timer_names[CLV_N_TIMERS];
extern const char *const prompt_names[CLV_N_PROMPTS];
extern const char *const direction_names[4];

/* The place of a word; ends the test when there is none. */
guint find_name(const char *const *names, guint n, const char *name);
/* A line that begins with "<". */
void print_action(GString *log, const ClvAction *action);
