/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/conference-law.h - what must hold after every step, whatever the events were */
#pragma once

#include "conference/conference.h"

typedef enum LegState {
    LEG_UNKNOWN,
    LEG_JOINING,  /* JOIN without final answer, or answered us and waits for our ACK */
    LEG_ACCEPTED, /* ACCEPT is out */
    LEG_CONFIRMED,
    LEG_OVER,
} LegState;

typedef struct LegLaw {
    LegState state;
    gboolean media_open, cut, keys_open, in_plan, in_roster, dialog_gone;
    gboolean queued;   /* waits in the lobby */
    gboolean pin;      /* waits behind the PIN */
    gboolean checking; /* a CHECK_PIN has no verdict yet */
    guint dial;        /* has answered this call of ours */
    char *identity;    /* as of ROSTER joined */
} LegLaw;

typedef enum DialFate {
    DIAL_UNKNOWN,
    DIAL_OPEN,
    DIAL_ANSWERS, /* in the very step */
    DIAL_ENDED,
} DialFate;

typedef struct DialLaw {
    DialFate state;
    ClvLegId leg;
    char *target;
    gboolean by_refer;
} DialLaw;

typedef enum ReferState {
    REFER_UNKNOWN,
    REFER_ASKED,
    REFER_LOOKED_AT, /* its ticket, and the answer is due */
    REFER_ACCEPTED,
    REFER_PROVING,
    REFER_ENDED,
} ReferState;

typedef struct ReferLaw {
    ReferState state;
    gboolean removes, ticket, proven;
    char *target;
} ReferLaw;

#define MAX_LEGS 1024
#define MAX_DIALS 1024
#define MAX_REFERS 512

typedef struct Law {
    LegLaw legs[MAX_LEGS];
    DialLaw dials[MAX_DIALS];
    ReferLaw refers[MAX_REFERS];
    GHashTable *listed; /* URIs that a creation wants called */
    ClvLegId creation;  /* the leg that brought the list */
    gboolean list_open; /* it is confirmed, or redirected */
    gboolean ended, needs_ticket;
    guint parallel;
    ClvLegId reoffer; /* waits for its answer, in the very step; 0: none */
    GHashTable *banned;
} Law;

Law *law_new(void);
void law_free(Law *law);
/* @event: (nullable): the birth of the conference */
void law_sees_step(Law *law, const ClvEvent *event, const GArray *actions,
                   const ClvConference *conference);
