/* SPDX-License-Identifier: Apache-2.0 */
/* conference/conference-private.h - members and the conference itself; inside this room only */
#pragma once

#include "conference/conference.h"

/* A leg's way in. From SEATED on its user holds a place. */
typedef enum MemberState {
    MEMBER_PROVING,  /* key management is open */
    MEMBER_LOBBY,    /* identity proven; waits for somebody who admits */
    MEMBER_SEATED,   /* identity proven and admitted; media are being made */
    MEMBER_ANSWERED, /* 200 is out, ACK is not in */
    MEMBER_CONNECTED,
} MemberState;

/* Longer than any PIN that a policy can have. */
#define MAX_DIGITS 32

typedef struct Member {
    ClvLegId leg;
    MemberState state;
    char *sip_identity; /* (nullable) digest or assertion */
    char **identities;  /* (nullable) all that were asserted */
    ClvProof sip_proof;
    char *identity; /* (nullable) best proven so far; before KEYS the SIP one */
    ClvProof proof;
    char *display_name; /* (nullable) */
    char *peer;
    char *peer_name;    /* (nullable) */
    char *referred_by;  /* (nullable) canonical: who had him invited */
    GPtrArray *list;    /* (nullable) ClvUriEntry: whom to call when he is in */
    ClvLegId replaces;  /* whose seat he takes; 0: none */
    guint dial;         /* the call of ours that brings him, until he is connected; 0: none */
    char *dialed;       /* (nullable) whom we called; set: he was dialled out */
    gboolean creates, ticket_offered, anonymous, diverted, secured, tls, has_media;
    ClvDirection direction; /* the peer's view */
    guint n_by_creator, n_total;
    ClvScheme scheme;
    ClvSrtpSuite suite;
    gint64 expires_us; /* Unix time */
    gboolean talking;
    gint64 joined_us; /* Unix time */
    gboolean told;    /* the roster knows him */
    gboolean admitted; /* out of the lobby by somebody who may */
    gboolean needs_pin, pin_checking, pin_failed;
    char digits[MAX_DIGITS + 1];
    guint n_digits;
    gboolean star;      /* the last key was '*' */
    gint64 deadline_us; /* monotonic: lobby or PIN; 0: none */
    ClvPrompt prompt;   /* being played */
} Member;

/* ---- roster (roster.c) ---- */

typedef struct Roster {
    GPtrArray *members; /* Member, in order of arrival */
    GHashTable *banned; /* canonical identities */
} Roster;

void clv_roster_init(Roster *roster);
void clv_roster_clear(Roster *roster);
Member *clv_roster_add(Roster *roster, ClvLegId leg, const ClvEvJoin *join);
/* A new one, proving, with nothing known. */
Member *clv_roster_add_leg(Roster *roster, ClvLegId leg);
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
/* Connected, with media, and past the PIN. */
gboolean clv_member_is_in(const Member *member);
const char *clv_member_name(const Member *member);
const char *clv_member_state_name(const Member *member);
gboolean clv_member_is_held(const Member *member);

/* ---- the conference ---- */

typedef enum DialState {
    DIAL_WAITING, /* too many others are being called */
    DIAL_CALLING,
    DIAL_RINGING,
    DIAL_ANSWERED, /* a member is on his way in */
} DialState;

/* Somebody whom the focus calls. */
typedef struct Dial {
    guint id;
    DialState state;
    char *target;      /* canonical */
    char *referrer;    /* (nullable) canonical: who asked for it */
    char *referred_by; /* (nullable) header value */
    char *replaces;    /* (nullable) header value */
    GPtrArray *history; /* (nullable) ClvUriEntry: the list he stands on, which he is shown */
    gboolean hidden;   /* others are not told who this is */
    gboolean by_refer;
    gint64 deadline_us; /* monotonic */
} Dial;

/* A REFER that has not had its last NOTIFY. */
typedef struct Refer {
    ClvReferId id;
    ClvLegId leg;       /* 0: outside */
    char *sip_identity; /* (nullable) */
    char **identities;  /* (nullable) */
    ClvProof sip_proof;
    char *identity;     /* (nullable) best proven so far */
    ClvProof proof;
    char *peer, *peer_name;
    gboolean ticket_offered, anonymous, secured, tls;
    char *target;
    gboolean removes, names_dialog;
    ClvLegId target_leg;
    char *referred_by; /* (nullable) header value */
    char *replaces;    /* (nullable) header value */
    gboolean proving;  /* its ticket is being resolved */
    guint dial;        /* whose fate it is told; 0: none */
} Refer;

struct ClvConference {
    ClvConferenceId id;
    char *uri;
    ClvPolicyView *view;
    Roster roster;
    ClvPinTries *tries;
    GPtrArray *dials;       /* Dial, in order of the wish */
    GPtrArray *refers;      /* Refer */
    guint last_dial;
    GPtrArray *list;        /* (nullable) ClvUriEntry: of the creation, to be called when the creator is in */
    gint64 life_us;         /* monotonic: since when max-duration counts; 0: it does not */
    gboolean scheduled;     /* exists by the file: stays when it is empty, until not-after */
    gint64 knocked_us;      /* when those who may admit were last told */
    gint64 now_us, wall_us; /* of the event in hand */
    char *creator;          /* (nullable) */
    char **ticket_names;    /* (nullable) T of the allowed set */
    char *creation_ticket;  /* (nullable) hash of the ticket that set it */
    gint64 expires_us;      /* Unix time: end of the creation ticket; 0: none */
    gboolean locked;
    gboolean joined_once;  /* somebody has been connected with media */
    gboolean redirected;   /* its creator was sent here by a 302 */
    gboolean creator_came; /* the creator has had a dialog */
    gboolean confirmed;    /* its creation has had its ACK */
    gboolean dated;        /* the wall clock is known, and has been counted in */
    gboolean over;
    char *goodbye;     /* (nullable) why it ends when everybody has been told so */
    gint64 goodbye_us; /* monotonic: at the latest */
    gint64 warned_us; /* monotonic: the end that everybody has been told of */
    gint64 deadline_us[CLV_N_TIMERS]; /* monotonic; 0: not armed */
    gint64 since_us[CLV_N_TIMERS];    /* when what the timer measures began */
    GArray *out;                      /* of the step in hand */
};

#define REASON_ENDED "SIP;cause=200;text=\"conference ended\""
#define REASON_DISALLOWED "SIP;cause=403;text=\"no longer allowed\""
#define REASON_REMOVED "SIP;cause=403;text=\"removed from the conference\""
#define REASON_DIVERTED "SIP;cause=403;text=\"diverted\""
#define REASON_PIN "SIP;cause=403;text=\"PIN not given\""
#define REASON_MEDIA "SIP;cause=500;text=\"media failed\""
#define REASON_UNSECURED "SIP;cause=488;text=\"secured media required\""
#define REASON_REPLACED "SIP;cause=200;text=\"replaced\""
#define REASON_NO_ANSWER "SIP;cause=408;text=\"no answer\""

/* ---- saying what is wanted (say.c) ---- */

void clv_say(ClvConference *c, ClvAction action);
void clv_say_on(ClvConference *c, ClvActionKind kind, ClvLegId leg);
void clv_say_roster(ClvConference *c, const Member *member, const char *what);
void clv_say_note(ClvConference *c, ClvLegId leg, const char *identity, const char *format, ...)
    G_GNUC_PRINTF(4, 5);
void clv_say_plan(ClvConference *c);
void clv_say_prompt(ClvConference *c, Member *member, ClvPrompt prompt);
void clv_say_prompt_to_all(ClvConference *c, ClvPrompt prompt);

/* ---- clocks (life.c) ---- */

void clv_life_start(ClvConference *c, ClvTimerKind timer, gint64 delay_ms);
void clv_life_disarm(ClvConference *c, ClvTimerKind timer);
/* The end of the longest life: by duration, by not-after, by the ticket. */
void clv_life_arm_end(ClvConference *c);
/* The nearest deadline of those who wait. */
void clv_life_arm_waiting(ClvConference *c);
/* After legs have come or gone: which clocks run now, and is the time up already? */
void clv_life_look_around(ClvConference *c);
void clv_life_begin(ClvConference *c);
/* Nobody new from here on; everybody is told, and then it ends. */
void clv_life_say_goodbye(ClvConference *c, const char *why);
/* Has everybody been told, or is it too late to wait? */
void clv_life_perhaps_end(ClvConference *c);
void clv_on_policy(ClvConference *c, const ClvEvent *event);
void clv_on_timer(ClvConference *c, const ClvEvent *event);

/* ---- asking the policy (judge.c) ---- */

gboolean clv_judge_is_creator(const ClvConference *c, const char *identity);
gboolean clv_judge_is_banned(const ClvConference *c, const char *identity);
/* What holds for this identity, whatever it wants. */
ClvPolicyFacts clv_judge_facts(const ClvConference *c, const char *identity, const Member *except);
ClvPolicyVerdict clv_judge_member(const ClvConference *c, const Member *member, ClvPolicyOp op,
                                  const char *const *ticket_names);
ClvPolicyVerdict clv_judge_facts_of(const ClvConference *c, ClvPolicyOp op,
                                    const ClvPolicyFacts *facts);
/* May somebody who is in lock, and see and admit who waits? */
gboolean clv_judge_commands(const ClvConference *c, const Member *member);
/* Do the SIP side and the keys mean the same person? All may be NULL. */
gboolean clv_judge_agree(const char *sip_identity, const char *const *identities,
                         const char *keys_identity);

/* ---- leaving (leave.c) ---- */

/* Legs to remove together, so that all are cut before the first is told. */
typedef struct Removal {
    GPtrArray *members; /* Member, of the roster; in the end owned here */
    GPtrArray *notes;   /* (element-type utf8): one line for each, in the same order */
    ClvCode code;       /* final answer of those that have none yet */
    guint retry_after_s;
    const char *reason;   /* Reason of the BYEs */
    guint status;         /* what is said of calls of ours that end so */
    ClvReferId refer;     /* told of the success before the first dialog ends; 0: none */
    gboolean keys_over;   /* key management has ended by itself, or never began */
    gboolean dialog_over; /* the peer has ended it: neither answer nor BYE */
    gboolean ending;      /* the whole conference ends: no plan, its mix goes */
    gboolean replan;      /* others have come meanwhile */
} Removal;

Removal clv_removal_new(ClvCode code, const char *reason, guint status);
void clv_removal_add(Removal *removal, Member *member, const char *format, ...)
    G_GNUC_PRINTF(3, 4);
/* Cut, log, end the dialogs, publish, tell. Clears @removal. Returns TRUE when the creation was
 * among them and had not been confirmed. */
gboolean clv_removal_do(ClvConference *c, Removal *removal);
/* The same; then what follows from it. */
void clv_removal_finish(ClvConference *c, Removal *removal);
void clv_leave_turn_away(ClvConference *c, Member *member, const ClvPolicyVerdict *verdict);
/* Everybody out; nothing follows. */
void clv_leave_end(ClvConference *c, const char *why);
void clv_leave_kick_user(ClvConference *c, const char *who, gboolean by_himself, ClvReferId refer);
void clv_leave_kick_leg(ClvConference *c, Member *member, gboolean by_himself, ClvReferId refer);
void clv_on_kick(ClvConference *c, const ClvEvent *event);
void clv_on_end(ClvConference *c, const ClvEvent *event);
void clv_on_gone(ClvConference *c, const ClvEvent *event);
void clv_on_media_failed(ClvConference *c, const ClvEvent *event);

/* ---- a leg's way in (step.c) ---- */

/* Admitted: a place, and then media. */
void clv_step_seat(ClvConference *c, Member *member);
/* The dialog lives: into the conference, or in front of the PIN. */
void clv_step_connect(ClvConference *c, Member *member);
/* What he keyed in is right. */
void clv_step_pin_given(ClvConference *c, Member *member);
/* Into the mix and the roster. */
void clv_step_let_in(ClvConference *c, Member *member);
void clv_step_note_allowed(ClvConference *c, const Member *member,
                           const ClvPolicyVerdict *verdict);

/* ---- the allowed set (allowed.c) ---- */

/* Does this ticket want to replace the set? Whether it may is another question. */
gboolean clv_allowed_is_set_by(const ClvConference *c, const ClvEvKeys *keys);
void clv_allowed_create(ClvConference *c, const ClvEvKeys *keys);
/* Replaced as a whole; whoever dropped out goes. */
void clv_allowed_replace(ClvConference *c, const Member *member, const ClvEvKeys *keys);
void clv_allowed_extend(ClvConference *c, const char *identity);
/* Whom does the policy not want any more? Legs, and calls of ours. */
void clv_allowed_judge_all(ClvConference *c);
void clv_allowed_judge_dials(ClvConference *c);
void clv_on_reoffer_keys(ClvConference *c, const ClvEvent *event);

/* ---- calls of ours (dial.c) ---- */

void clv_dial_free(gpointer dial);
Dial *clv_dial_find(const ClvConference *c, guint id);              /* (nullable) */
Dial *clv_dial_find_target(const ClvConference *c, const char *target); /* (nullable) */
Dial *clv_dial_add(ClvConference *c, const char *target, const char *referrer);
/* Calls as many as may be called at once. */
void clv_dial_pump(ClvConference *c);
/* It is over, with this status for who asked for it; frees it. */
void clv_dial_over(ClvConference *c, Dial *dial, guint status);
/* The same, but the other side has to hear of it. */
void clv_dial_cancel(ClvConference *c, Dial *dial, const char *reason, guint status);
/* All that are not answered, or those to @target (nullable). Returns how many. */
guint clv_dial_cancel_all(ClvConference *c, const char *target, const char *reason, guint status);
ClvPolicyVerdict clv_dial_judge(const ClvConference *c, const char *target);
/* Calls that have taken too long. */
void clv_dial_expire(ClvConference *c);
/* The list of the creation, now that its creator is in. */
/* list: (nullable) (transfer full) */
void clv_dial_start_list(ClvConference *c, GPtrArray *list);
/* Somebody whom we asked by REFER has come. */
void clv_dial_fulfil(ClvConference *c, Member *member);
guint clv_dial_status_of(ClvCode code);
void clv_on_dial_ringing(ClvConference *c, const ClvEvent *event);
void clv_on_dial_answered(ClvConference *c, const ClvEvent *event);
void clv_on_dial_failed(ClvConference *c, const ClvEvent *event);
void clv_on_identity(ClvConference *c, const ClvEvent *event);

/* ---- REFER (refer.c) ---- */

void clv_refer_free(gpointer refer);
void clv_refer_notify(ClvConference *c, ClvReferId id, guint status);
/* Everybody who waits for this call hears its status; @last: and nothing more. */
void clv_refer_tell(ClvConference *c, guint dial, guint status, gboolean last);
void clv_refer_end_all(ClvConference *c, guint status);
void clv_on_refer(ClvConference *c, const ClvEvent *event);
void clv_on_refer_keys(ClvConference *c, const ClvEvent *event);
void clv_on_refer_failed(ClvConference *c, const ClvEvent *event);

/* ---- those who wait, and keys pressed (wait.c) ---- */

void clv_wait_queue(ClvConference *c, Member *member);
/* Out of the lobby, into the conference. Returns how many. */
guint clv_wait_admit(ClvConference *c, const char *who);
/* After the policy has changed: who need not wait any more? */
void clv_wait_look_around(ClvConference *c);
/* Somebody is in: what does it change for those in the lobby? */
void clv_wait_come_in(ClvConference *c, ClvLegId leg);
void clv_wait_ask_pin(ClvConference *c, Member *member);
void clv_wait_expire(ClvConference *c);
void clv_wait_lock(ClvConference *c, gboolean locked, const char *by);
void clv_on_dtmf(ClvConference *c, const ClvEvent *event);
void clv_on_pin(ClvConference *c, const ClvEvent *event);
void clv_on_prompted(ClvConference *c, const ClvEvent *event);
void clv_on_lock(ClvConference *c, const ClvEvent *event);
void clv_on_admit(ClvConference *c, const ClvEvent *event);

/* ---- wrong PINs (tries.c) ---- */

/* Refused for a time? @who: (nullable) */
gboolean clv_tries_are_used_up(const ClvConference *c, const char *who);
/* Before it is known whether this one was right. */
void clv_tries_count(ClvConference *c, const char *who);
void clv_tries_forget(ClvConference *c, const char *who);

/* ---- plan (plan.c) ---- */

/* Returns: (transfer full): who hears whom now */
ClvMixPlan *clv_plan_new(ClvConferenceId id, const Roster *roster);
