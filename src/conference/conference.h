/* SPDX-License-Identifier: Apache-2.0 */
/* conference/conference.h - what happens next? The door of the conference room
 *
 * One conference as a pure state machine: an event in, actions out. No I/O, no clock (the time is
 * in the event), no threads. Owned by the signalling thread. The hub obeys the actions in order.
 *
 * A join, in events and actions (ladder of 5.4 of the conference digest):
 *   > JOIN        < KEYMGMT_OPEN (or REFUSE)          policy so far does not object
 *   > KEYS        < MEDIA_OPEN   (or REFUSE)          identity proven, allowed set asked
 *   > MEDIA_READY < ACCEPT
 *   > CONFIRMED   < PLAN, ROSTER                      only now can the leg be heard
 */
#pragma once

#include "conference/vocabulary.h"
#include "policy/policy.h"

typedef struct ClvConference ClvConference;

typedef enum ClvEventKind {
    CLV_EV_JOIN,         /* .join */
    CLV_EV_KEYS,         /* .keys: key management is done */
    CLV_EV_KEYS_FAILED,  /* .code */
    CLV_EV_MEDIA_READY,
    CLV_EV_MEDIA_FAILED, /* .code */
    CLV_EV_CONFIRMED,    /* ACK */
    CLV_EV_DIRECTION,    /* .direction: hold or resume was answered; the peer's view */
    CLV_EV_MEDIA_ADDED,  /* .direction .keys: a re-offer has given a control dialog its media */
    CLV_EV_GONE,         /* .cause: dialog ended by the peer or lost */
    CLV_EV_TALKING,      /* .flag */
    CLV_EV_KICK,         /* .who: (nullable) canonical identity; else .leg alone */
    CLV_EV_END,          /* .cause: by the operator, shutdown */
    CLV_EV_POLICY,       /* .view: (transfer full) new effective policy; (nullable) NULL: the files
                            know this scheduled conference no more, it ends when it is empty */
    CLV_EV_TIMER,        /* .timer */
} ClvEventKind;

typedef enum ClvTimerKind {
    CLV_TIMER_FIRST_JOIN,
    CLV_TIMER_EMPTY,
    CLV_TIMER_DURATION,
    CLV_TIMER_CREATOR,
    CLV_N_TIMERS
} ClvTimerKind;

typedef struct ClvEvJoin {
    const char *identity;     /* (nullable) proven so far; canonical */
    ClvProof proof;
    const char *display_name; /* (nullable) */
    const char *peer;         /* for logs */
    gboolean creates;         /* came through the factory */
    gboolean ticket_offered;
    gboolean anonymous, diverted, secured, tls;
    gboolean has_media;       /* FALSE: creation only, control dialog */
    ClvDirection peer_direction;
    guint n_by_creator;       /* creates: other live conferences of this identity */
    guint n_total;            /* creates: other live conferences of this factory */
} ClvEvJoin;

typedef struct ClvEvKeys {
    ClvProof proof;           /* of the key management; NONE for sdes */
    ClvScheme scheme;
    ClvSrtpSuite suite;
    const char *identity;     /* (nullable) canonical */
    const char *const *ticket_names; /* (nullable) */
    const char *ticket_hash;  /* (nullable) */
    gint64 expires_us;
    gboolean sets_allowed;    /* the ticket may replace the allowed set (5.2, 5.3: purpose allow) */
    guint n_by_creator;       /* creation: as in ClvEvJoin, of the proven identity */
    guint n_total;
} ClvEvKeys;

typedef struct ClvEvent {
    ClvEventKind kind;
    gint64 now_us;  /* monotonic */
    gint64 wall_us; /* Unix time */
    ClvLegId leg;
    const ClvEvJoin *join;
    const ClvEvKeys *keys;
    ClvPolicyView *view;
    ClvCode code;
    ClvTimerKind timer;
    ClvDirection direction;
    gboolean flag;
    const char *who;
    const char *cause;
} ClvEvent;

typedef enum ClvActionKind {
    CLV_ACT_REFUSE,       /* .leg .code: final answer, forget the leg */
    CLV_ACT_KEYMGMT_OPEN, /* .leg: open the scheme on the stored offer */
    CLV_ACT_KEYMGMT_CLOSE,/* .leg: hung up meanwhile */
    CLV_ACT_MEDIA_OPEN,   /* .leg */
    CLV_ACT_ACCEPT,       /* .leg: 200 */
    CLV_ACT_CUT,          /* .leg: out of the media before anything else */
    CLV_ACT_BYE,          /* .leg .text: Reason value (nullable) */
    CLV_ACT_PLAN,         /* .plan: (transfer full) */
    CLV_ACT_ROSTER,       /* .leg .text: "joined" "left" "held" "resumed" "direction" "talking" "silent" */
    CLV_ACT_TIMER,        /* .timer .delay_ms; delay_ms < 0 cancels */
    CLV_ACT_LOG,          /* .leg .text: one sentence: who, which rule, which verdict */
    CLV_ACT_ENDED,        /* nothing follows; free the conference */
} ClvActionKind;

typedef struct ClvAction {
    ClvActionKind kind;
    ClvLegId leg;
    ClvCode code;
    guint retry_after_s; /* REFUSE; 0: the table's default */
    ClvTimerKind timer;
    gint64 delay_ms;
    ClvMixPlan *plan;
    char *text;
    char *identity; /* (nullable) LOG and ROSTER: whom it is about */
} ClvAction;

/* Actions of one step, in order; the caller owns the array (clear function is set). */
GArray *clv_actions_new(void);

/**
 * clv_conference_new:
 * A scheduled conference (clv_policy_scheduled()) stays when it is empty and ends at not-after, by
 * order, or after a CLV_EV_POLICY without view; max-duration bounds each meeting in it, and bans
 * last until the meeting is over.
 *
 * @uri: canonical conference URI
 * @view: (transfer full): effective policy
 * @out: actions (first-join timer)
 */
ClvConference *clv_conference_new(ClvConferenceId id, const char *uri, ClvPolicyView *view,
                                  gint64 now_us, GArray *out);
void clv_conference_free(ClvConference *conference);
void clv_conference_step(ClvConference *conference, const ClvEvent *event, GArray *out);

/* ---- looking at it ---- */
typedef struct ClvMemberInfo {
    ClvLegId leg;
    const char *identity;
    const char *display_name; /* (nullable) */
    const char *state;        /* "joining" "connected" "on-hold" "leaving" */
    ClvProof proof;
    ClvScheme scheme;
    ClvSrtpSuite suite;
    gboolean creator, talking, has_media, anonymous;
    gint64 joined_us;         /* wall clock; 0 while joining */
} ClvMemberInfo;
const char *clv_conference_uri(const ClvConference *conference);
ClvConferenceId clv_conference_id(const ClvConference *conference);
const char *clv_conference_creator(const ClvConference *conference); /* (nullable) */
/* Names the creation ticket gave; (nullable) NULL-terminated. */
const char *const *clv_conference_ticket_names(const ClvConference *conference);
/* Hash of the ticket that set the allowed set; (nullable). */
const char *clv_conference_creation_ticket(const ClvConference *conference);
const ClvPolicyView *clv_conference_policy(const ClvConference *conference);
guint clv_conference_n_members(const ClvConference *conference);
void clv_conference_member(const ClvConference *conference, guint i, ClvMemberInfo *out);
gboolean clv_conference_is_over(const ClvConference *conference);

/* ---- factory (conference/factory.c) ---- */
/* "sip:<token>.<service>@<host>", token at least 96 random bits in lower-case base32 (1.1). */
char *clv_factory_new_uri(const char *service, const char *host,
                          gboolean (*random)(void *user, guint8 *out, gsize len), void *user);
