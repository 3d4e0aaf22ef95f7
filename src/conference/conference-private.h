/* SPDX-License-Identifier: Apache-2.0 */
/* conference/conference-private.h - members and the conference itself; inside this room only */
#pragma once

#include "conference/conference.h"

/* A leg's way in. From SEATED on its user holds a place. */
typedef enum MemberState {
    MEMBER_PROVING,  /* key management is open */
    MEMBER_SEATED,   /* identity proven and admitted; media are being made */
    MEMBER_ANSWERED, /* 200 is out, ACK is not in */
    MEMBER_CONNECTED,
} MemberState;

typedef struct Member {
    ClvLegId leg;
    MemberState state;
    char *sip_identity; /* (nullable) digest or assertion */
    ClvProof sip_proof;
    char *identity; /* (nullable) best proven so far; before KEYS the SIP one */
    ClvProof proof;
    char *display_name; /* (nullable) */
    char *peer;
    gboolean creates, ticket_offered, anonymous, diverted, secured, tls, has_media;
    ClvDirection direction; /* the peer's view */
    guint n_by_creator, n_total;
    ClvScheme scheme;
    ClvSrtpSuite suite;
    gint64 expires_us; /* Unix time */
    gboolean talking;
    gint64 joined_us; /* Unix time */
} Member;

/* ---- roster (roster.c) ---- */

typedef struct Roster {
    GPtrArray *members; /* Member, in order of arrival */
    GHashTable *banned; /* canonical identities */
} Roster;

void clv_roster_init(Roster *roster);
void clv_roster_clear(Roster *roster);
Member *clv_roster_add(Roster *roster, ClvLegId leg, const ClvEvJoin *join);
Member *clv_roster_find(const Roster *roster, ClvLegId leg); /* (nullable) */
/* Takes the member out: (transfer full), free with clv_member_free(). */
Member *clv_roster_take(Roster *roster, Member *member);
void clv_member_free(Member *member);
/* Endpoints with media of this identity, from SEATED on, without @except (nullable). */
guint clv_roster_n_endpoints(const Roster *roster, const char *identity, const Member *except);
/* Users other than @identity (nullable) with media, from SEATED on. */
guint clv_roster_n_users(const Roster *roster, const char *identity);
/* Connected legs with media. */
guint clv_roster_n_connected(const Roster *roster);
/* Legs on their way in. */
guint clv_roster_n_pending(const Roster *roster);
const char *clv_member_state_name(const Member *member);
gboolean clv_member_is_held(const Member *member);

/* ---- plan (plan.c) ---- */

/* Returns: (transfer full): who hears whom now */
ClvMixPlan *clv_plan_new(ClvConferenceId id, const Roster *roster);
