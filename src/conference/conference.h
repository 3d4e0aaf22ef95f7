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
 *
 * A dial-out (5.5), asked for by REFER or by a URI list:
 *   > REFER       < REFER_KEYS, REFER_ACCEPT (or REFER_REFUSE)   nothing is sent to anybody yet
 *   > REFER_KEYS  < DIAL (or REFER_NOTIFY with the refusal)      the referrer is proven
 *   > DIAL_ANSWERED < MEDIA_OPEN (or DIAL_END)                   who answered is settled (5.13)
 *   > MEDIA_READY < CONFIRM, PLAN, ROSTER, REFER_NOTIFY
 *
 * A re-offer with a ticket (5.3):
 *   > REOFFER_KEYS < REOFFER_ACCEPT (or REOFFER_REFUSE), then whoever dropped out is cut
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
    CLV_EV_REOFFER_KEYS, /* .leg .keys: a re-offer's key management is done */
    CLV_EV_REFER,        /* .refer */
    CLV_EV_REFER_KEYS,   /* .refer_id .keys: its ticket is resolved */
    CLV_EV_REFER_FAILED, /* .refer_id .code: it is no good */
    CLV_EV_DIAL_RINGING, /* .dial .answerer */
    CLV_EV_DIAL_ANSWERED,/* .dial .leg .answer */
    CLV_EV_DIAL_FAILED,  /* .dial .status (SIP; 0: .code) .code; 2xx: asked by REFER, he says that he is
                            in, which he is when he is */
    CLV_EV_IDENTITY,     /* .leg .answerer: who answered has changed, or says so (RFC 4916) */
    CLV_EV_DTMF,         /* .leg .digit */
    CLV_EV_PIN,          /* .leg .flag: the PIN was right */
    CLV_EV_PROMPTED,     /* .leg .prompt is over */
    CLV_EV_LOCK,         /* .flag, by order of the operator */
    CLV_EV_ADMIT,        /* .who (nullable: everybody) out of the lobby, by order of the operator */
    CLV_EV_POLICY,       /* .view: (transfer full) new effective policy; (nullable) NULL: the files
                            know this scheduled conference no more, it ends when it is empty */
    CLV_EV_TIMER,        /* .timer */
} ClvEventKind;

typedef enum ClvTimerKind {
    CLV_TIMER_FIRST_JOIN,
    CLV_TIMER_EMPTY,
    CLV_TIMER_DURATION,
    CLV_TIMER_CREATOR,
    CLV_TIMER_WAITING, /* the nearest deadline of dial-outs, lobby and PINs */
    CLV_TIMER_EXPIRY,  /* end-on-expiry, and the warning before the end */
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
    const char *const *identities; /* (nullable) all that were asserted; identity is the first */
    const char *peer_name;    /* (nullable) next hop, for trust= */
    GPtrArray *uri_list;      /* (nullable) ClvUriEntry; a reference is taken */
    ClvLegId replaces;        /* 0: none */
    const char *referred_by;  /* (nullable) canonical, unproven */
} ClvEvJoin;

typedef struct ClvEvRefer {
    ClvReferId refer;
    ClvLegId leg;             /* the referrer's dialog; 0: outside */
    gboolean leg_is_named;    /* outside of it: it says whose REFER this is, and proves nothing */
    const char *identity;     /* (nullable) proven by SIP; canonical */
    const char *const *identities;
    ClvProof proof;
    const char *peer, *peer_name;
    gboolean ticket_offered, anonymous, secured, tls;
    const char *target;       /* canonical */
    gboolean target_is_ours;  /* a factory, or another conference of this server: would be a loop */
    gboolean removes;         /* method=BYE */
    gboolean names_dialog;    /* removes: target_leg alone (0: no such dialog) */
    ClvLegId target_leg;
    const char *referred_by;  /* (nullable) header value */
    const char *replaces;     /* (nullable) header value */
} ClvEvRefer;

/* How somebody answered a call of ours. */
typedef struct ClvEvAnswer {
    const ClvAnswerer *who;
    const struct ClvEvKeys *keys; /* identity: what his TRANSFER_RESP proves, (nullable) */
    const char *display_name;     /* (nullable) */
    const char *peer, *peer_name;
    gboolean secured, tls;
    ClvDirection peer_direction;
} ClvEvAnswer;

/* A call to be made. */
typedef struct ClvDialOrder {
    guint dial;           /* names it in events and actions */
    char *target;         /* canonical */
    char **ticket_for;    /* (nullable) IDRr list of the ticket, for diversion=allowed-set; NULL: target */
    char *referred_by;    /* (nullable) header value */
    char *replaces;       /* (nullable) header value */
    GPtrArray *history;   /* (nullable) ClvUriEntry to be shown to who is called */
    gboolean by_refer;    /* ask him by REFER to call us */
} ClvDialOrder;
void clv_dial_order_free(ClvDialOrder *order); /* NULL allowed */

typedef struct ClvEvKeys {
    gboolean updates_session; /* an update inside the exchange in force: no new ticket, no new names */
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
    const ClvEvRefer *refer;
    ClvReferId refer_id;
    guint dial;
    const ClvEvAnswer *answer;
    const ClvAnswerer *answerer;
    guint status;
    char digit;
    ClvPrompt prompt;
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
    CLV_ACT_QUEUE,        /* .leg: 182, it waits in the lobby */
    CLV_ACT_REDIRECT,     /* .leg: 302 to the conference just created, final */
    CLV_ACT_REOFFER_ACCEPT, /* .leg: put the re-offer in force, 200 */
    CLV_ACT_REOFFER_REFUSE, /* .leg .code: it changes nothing */
    CLV_ACT_REFER_ACCEPT, /* .refer .flag: 200 in place of 202 */
    CLV_ACT_REFER_REFUSE, /* .refer .code: final answer */
    CLV_ACT_REFER_KEYS,   /* .refer: open the scheme on its ticket; what is wrong with it without the
                             KMS is the answer itself, and REFER_ACCEPT comes too late then */
    CLV_ACT_REFER_NOTIFY, /* .refer .status .flag: last; its ticket is forgotten then */
    CLV_ACT_DIAL,         /* .order */
    CLV_ACT_DIAL_END,     /* .dial .text: CANCEL, or ACK and BYE; Reason (nullable) */
    CLV_ACT_CONFIRM,      /* .leg: ACK, who answered is in */
    CLV_ACT_PROMPT,       /* .leg .prompt */
    CLV_ACT_CHECK_PIN,    /* .leg .text: digits; slow, so CLV_EV_PIN brings the verdict */
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
    ClvReferId refer;
    guint status;
    gboolean flag;
    guint dial;
    ClvDialOrder *order; /* (transfer full) */
    ClvPrompt prompt;
} ClvAction;

/* How often people have been wrong about PINs: shared by conferences, since they may have the same PIN. */
typedef struct ClvPinTries ClvPinTries;
ClvPinTries *clv_pin_tries_new(void);
ClvPinTries *clv_pin_tries_ref(ClvPinTries *tries);
void clv_pin_tries_unref(ClvPinTries *tries); /* NULL allowed */

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
/* In place of a memory of its own. */
void clv_conference_share_tries(ClvConference *conference, ClvPinTries *tries);
void clv_conference_step(ClvConference *conference, const ClvEvent *event, GArray *out);

/* ---- looking at it ---- */
typedef struct ClvMemberInfo {
    ClvLegId leg;
    const char *identity;
    const char *display_name; /* (nullable) */
    const char *state;        /* "joining" "lobby" "pin" "connected" "on-hold" "leaving" */
    ClvProof proof;
    ClvScheme scheme;
    ClvSrtpSuite suite;
    gboolean creator, talking, has_media, anonymous;
    gint64 joined_us;         /* wall clock; 0 while joining */
    gboolean dialed_out;
    const char *referred_by;  /* (nullable) canonical: who had him invited; proven when dialed_out */
} ClvMemberInfo;

/* Those whom the focus is calling, or is about to. */
typedef struct ClvDialInfo {
    guint dial;
    const char *target;
    const char *state;       /* "waiting" "dialing" "ringing" */
    const char *referred_by; /* (nullable) */
} ClvDialInfo;
guint clv_conference_n_dials(const ClvConference *conference);
void clv_conference_dial(const ClvConference *conference, guint i, ClvDialInfo *out);
gboolean clv_conference_is_locked(const ClvConference *conference);
/* The facts of this identity, as if it asked now: for "conclavectl why". Puts in what a conference
 * knows, leaves the rest of @out (proof, scheme, hop) as it is. Borrowed strings. */
void clv_conference_facts(const ClvConference *conference, const char *identity,
                          ClvPolicyFacts *out);
/* If this identity were proven by a ticket: is it one of those who are meant to be here? */
gboolean clv_conference_names(const ClvConference *conference, const char *identity);
/* Removed, and refused whatever the policy says (ban-on-removal). */
gboolean clv_conference_is_banned(const ClvConference *conference, const char *identity);
/* What must survive a restart with persist=yes: URI, view name, creator, names, ticket hash. */
typedef struct ClvConferenceRecord {
    char *uri, *creator, *ticket_hash;
    char **ticket_names;
    char **banned;
    gint64 expires_us; /* Unix time of the creation ticket's end; 0: none */
} ClvConferenceRecord;
/* (transfer full) */
ClvConferenceRecord *clv_conference_record(const ClvConference *conference);
void clv_conference_record_free(ClvConferenceRecord *record); /* NULL allowed */
/* As clv_conference_new(), with what was known before the restart; nobody is in. */
ClvConference *clv_conference_restore(ClvConferenceId id, const ClvConferenceRecord *record,
                                      ClvPolicyView *view, gint64 now_us, GArray *out);
const char *clv_conference_uri(const ClvConference *conference);
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
