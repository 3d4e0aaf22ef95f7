/* SPDX-License-Identifier: Apache-2.0 */
/* daemon/hub-private.h - what the files of this room share */
#pragma once

#include "admin/control.h"
#include "admin/metrics.h"
#include "base/id.h"
#include "base/log.h"
#include "base/replay.h"
#include "conference/conference.h"
#include "daemon/hub.h"
#include "kms/kms.h"
#include "media/media.h"
#include "policy/policy.h"
#include "sip/sdp.h"
#include "sip/sip.h"

/* The KMS as this process sees it: a client, and perhaps the service itself. */
typedef struct Kms {
    ClvKmsClient *client;
    ClvKmsService *service; /* (nullable) embedded */
    ClvKmsServer *server;   /* (nullable) embedded */
    ClvReplay *replay;
    guint8 *psk; /* a block of the largest size; keymgmt knows how much of it is the key */
    ClvPapers *papers; /* (nullable) in place of the key */
    GPtrArray *old_papers; /* (nullable) before reloads */
    char *url; /* all of them, ';' between */
    ClvKmsBreaker breakers[CLV_KMS_MAX_URLS]; /* as last logged */
    ClvKeymgmtConfig keymgmt;
} Kms;

gboolean kms_open(Kms *kms, const ClvConfig *config, GError **error);
void kms_close(Kms *kms);
/* Logs what a reply tells about the addresses of the KMS. */
void kms_note(Kms *kms, const ClvKmsReply *reply);
/* The embedded service's key file is read again. */
gboolean kms_reload(Kms *kms, const ClvConfig *config, GPtrArray *errors);

/* One offer on its way to an answer: the INVITE's, or a re-INVITE's. Of a call of ours the answer is
 * what stands in offer: in both it is what the peer has said. */
typedef struct Negotiation {
    ClvSdp *offer;
    ClvCode media_code; /* of clv_sdp_choose() */
    ClvSdpChoice choice;
    const ClvKeymgmtOps *ops; /* (nullable) */
    ClvKeymgmtState *state;   /* (nullable) */
    ClvKeymgmtConfig config;  /* the KMS's, with this conference's limits; outlives the state */
    ClvKeymgmtOutput out;
    ClvEvKeys keys; /* points into out */
    gboolean keyed; /* out holds keys that the media has not yet */
    char *key_id;   /* (nullable) names the key data offered, see ClvKeymgmtOps.offer_id */
    guint64 ask;    /* the KMS is asked; 0: it is not */
    gint64 answer_by_us; /* monotonic: the peer cannot wait longer; 0: as long as it takes */
} Negotiation;

#define MAX_DIAL_SCHEMES 2

/* One key management scheme in an offer of ours. */
typedef struct DialScheme {
    const ClvKeymgmtOps *ops;
    ClvKeymgmtState *state; /* (nullable): it has failed */
    ClvKeymgmtOutput out;
    guint64 ask;
    gboolean ready; /* out has its line for the offer */
} DialScheme;

/* A call of ours, from the order until who answered is in. */
typedef struct Dial {
    ClvDialOrder *order;
    DialScheme schemes[MAX_DIAL_SCHEMES];
    guint n_schemes;
    ClvCode why;          /* of the first scheme that failed */
    ClvMediaPorts *ports; /* (nullable) */
} Dial;

typedef struct Room {
    ClvConferenceId id;
    struct ClvHub *hub;
    ClvConference *conference;
    char *factory;   /* (nullable) name; set for ad hoc ones */
    char *scheduled; /* (nullable) name of a [conference] */
    ClvTimer *timers[CLV_N_TIMERS];
    struct RoomTimer {
        struct ClvHub *hub;
        ClvConferenceId room;
        ClvTimerKind kind;
    } timer_args[CLV_N_TIMERS];
    GHashTable *dials; /* number of the order -> id of the leg, both as pointers' worth */
    gboolean announced; /* announce.c: it stands in the list of the KMS */
    gboolean announcing; /* the KMS has not answered yet */
    gboolean doubtful;   /* it never did, and may have taken it */
    ClvLegId announcing_for;
    ClvTimer *announce_timer;
    gboolean over;
} Room;

typedef struct Leg {
    ClvLegId id;
    struct ClvHub *hub;
    ClvConferenceId room;
    gboolean sip_alive, media_open;
    ClvPurpose purpose;

    /* copied from the INVITE */
    ClvEvJoin join;
    char *identity; /* proven: by SIP at first, then by the key management */
    char *display_name, *peer, *peer_name, *call_id, *request_uri, *local_host, *referred_by;
    char **identities;
    GPtrArray *uri_list; /* (nullable) */
    Dial *dial;          /* (nullable) we call, and who answered is not in yet */
    ClvAnswerer who;     /* of a call of ours; owns its strings */
    ClvEvAnswer answered;

    Negotiation now;  /* what is in force, or being made first */
    Negotiation next; /* a re-offer under way: next.offer is set */
    gboolean accepted;
    ClvScheme scheme;
    const ClvKeymgmtOps *session_ops;
    struct ClvKeymgmtSession *session; /* (nullable) of the exchange in force */
    guint32 ssrc;
    guint64 sdp_id, sdp_version;
    guint16 rtp_port, rtcp_port;
    char *answer;   /* last SDP text sent; may hold keys */
    char *key_line; /* of the answer; may hold keys */
    gboolean key_is_crypto, key_at_session;
    ClvTimer *progress;
    gint64 probed_us; /* monotonic: when he was asked last whether he lives */
    guint64 n_heard;  /* packets of his by then */
} Leg;

struct ClvHub {
    ClvLoop *loop;
    const ClvConfig *config;
    ClvPolicy *policy;
    Kms kms;
    ClvMedia *media;
    ClvSip *sip;
    ClvControl *control;
    struct ClvWatch *watch;
    int media_watch, kms_watch, pin_watch;
    ClvIdTable *legs, *rooms;
    ClvIdTable *asks;          /* requests at the KMS, ask.c */
    guint64 n_announced[2], n_withdrawn[2]; /* by what came of it: failed, done */
    GHashTable *announced_late; /* ClvConferenceId -> URI, announce.c: over before the KMS knew it */
    GHashTable *asks_by_who;   /* source or conference -> how many of them */
    GHashTable *refers;        /* ClvReferId -> Refer, refer.c */
    struct PinChecker *pins;   /* pin.c */
    ClvPinTries *pin_tries;    /* of all conferences */
    GThreadPool *store_pool;   /* (nullable) store.c: writes the state file */
    ClvTimer *store_timer;     /* something is to be written */
    char *stored;              /* (nullable) what was written last */
    GHashTable *rooms_by_uri; /* uri -> Room, borrowed */
    GQueue events;            /* of Queued */
    gboolean stepping;
    gboolean stopping;
    ClvTimer *stop_timer;
    gint64 started_us; /* monotonic */
    guint64 n_joins, n_refused, n_conferences;
    guint64 policy_snapshot; /* number of the one in force; 1: that of the start */
    guint64 policy_failures; /* reloads that were refused */
    gboolean policy_wrong;   /* the last one was */
    ClvMetricsPort *metrics; /* (nullable) */
};

/* ---- hub.c: the one switch ---- */
gint64 hub_now(void);  /* monotonic, microseconds */
gint64 hub_wall(void); /* Unix time, microseconds */
Leg *hub_leg(struct ClvHub *hub, ClvLegId id);
Room *hub_room(struct ClvHub *hub, ClvConferenceId id);
/* Feeds one event to a conference; event->cause and ->who are copied, everything else that it points
 * to belongs to the leg or the REFER that it names. */
void hub_feed(struct ClvHub *hub, ClvConferenceId room, const ClvEvent *event);
void hub_obey(struct ClvHub *hub, Room *room, GArray *actions);
void hub_leg_release(Leg *leg); /* frees it when neither sip nor media know it any more */
void hub_log(struct ClvHub *hub, ClvLogLevel level, const Leg *leg, const Room *room,
             const char *message_id, const char *format, ...) G_GNUC_PRINTF(6, 7);
void hub_media_ready(void *user);
extern const ClvSipHandlers hub_sip_handlers;

/* ---- rooms.c ---- */
Room *hub_find_room(struct ClvHub *hub, const char *uri_or_token);
/* Other live conferences of this identity (nullable) and of this room's factory. */
void hub_census(struct ClvHub *hub, const Room *room, const char *creator, guint *out_by_creator,
                guint *out_total);
/* Whom an INVITE calls: a conference, or one that is made for it; (nullable). */
Room *room_for(struct ClvHub *hub, const ClvSipInvite *invite);
gboolean room_restore(struct ClvHub *hub, const char *factory, const ClvConferenceRecord *record);
void room_end(struct ClvHub *hub, Room *room);
void room_free(Room *room);
void rooms_open_scheduled(struct ClvHub *hub);
void hub_log_errors(GPtrArray *errors, guint first, const char *message_id);
void hub_log_warnings(const ClvPolicy *policy);

/* ---- ask.c: requests at the KMS, how many, and who waits for the answer ---- */
/* reply: (transfer none). The asker may be gone: look it up by @asker. */
typedef void (*AskFunc)(struct ClvHub *hub, guint64 asker, guint64 ask, const ClvKmsReply *reply);
/* How much of what a conference may ask at once is for him: others must find room when strangers
 * have used up theirs. */
typedef enum AskShare {
    ASK_WHOLE,    /* we ourselves, members, and whom SIP has proven */
    ASK_CLAIMED,  /* says to be somebody who may come */
    ASK_STRANGER, /* would not be let in if he were who he says */
} AskShare;
typedef struct Ask {
    AskFunc func;
    guint64 asker;
    ClvConferenceId room;
    const char *source; /* (nullable) who makes us ask; NULL: we ourselves */
    AskShare share;
    gint64 limit_ms;    /* no longer than so; 0: as configuration and policy say */
} Ask;
void ask_open(struct ClvHub *hub);
void ask_close(struct ClvHub *hub);
/* Returns: the ask, or 0 and why not: too many at once, or the KMS is left alone */
guint64 ask_kms(struct ClvHub *hub, const Ask *ask, ClvKmsRequest request, const GByteArray *bytes,
                ClvCode *out_code, const char **out_why);
/* Of somebody whom nothing proves yet; claimed: (nullable) who he says to be. */
AskShare ask_share(struct ClvHub *hub, ClvConferenceId room, const char *claimed);
/* The KMS's list of conferences; the limits are for those alone who make us ask. */
guint64 ask_listing(struct ClvHub *hub, const Ask *ask, const ClvKmsListing *listing,
                    gboolean withdraw, ClvCode *out_code);
/* Nobody waits any more; it counts until the KMS has answered. 0 allowed. */
void ask_forget(struct ClvHub *hub, guint64 ask);
void ask_ready(void *user);

/* ---- announce.c: the list of conferences at the KMS ---- */
void announce_open(struct ClvHub *hub);
void announce_close(struct ClvHub *hub);
gboolean announce_is_due(struct ClvHub *hub, const Room *room);
/* @leg: who waits for it, call_announced() follows; 0: nobody. Not OK: it was not sent */
ClvCode announce_room(struct ClvHub *hub, Room *room, ClvLegId leg);
void announce_end(struct ClvHub *hub, Room *room);
guint announce_count(struct ClvHub *hub); /* conferences that the KMS has in its list */

/* ---- call.c: one leg's offer, keys, media and answer ---- */
Leg *call_new(struct ClvHub *hub);
void call_free(Leg *leg);
void call_take_invite(Leg *leg, const ClvSipInvite *invite);
void call_open_keys(Leg *leg, Room *room);
void call_announced(Leg *leg, Room *room, ClvCode code); /* the KMS knows the conference, or not */
void call_open_media(Leg *leg, Room *room);
void call_accept(Leg *leg, Room *room);
void call_redirect(Leg *leg, Room *room);
void call_refuse(Leg *leg, ClvCode code, guint retry_after_s);
void call_reoffer(Leg *leg, Room *room, const ClvSipEvent *event);
void call_accept_reoffer(Leg *leg, Room *room); /* the conference agrees to it */
void call_take_answer(Leg *leg, const ClvSdp *answer); /* (nullable): no offer of ours was out */
void call_forget_keys(Leg *leg); /* hung up: late answers find nothing */
/* Whose doing it is that the KMS is asked: a name that a trusted peer vouches for, else an address. */
const char *call_source(const Leg *leg);
/* What call.c and dial.c share. */
ClvSdpLocal call_sdp_local(const Leg *leg);
ClvDirection call_mirror(ClvDirection ours);
ClvEvKeys call_ev_keys(const ClvKeymgmtOps *ops, const ClvKeymgmtOutput *out);
gboolean call_start_media(Leg *leg, Room *room, const Negotiation *n, ClvMediaPorts *ports,
                          GError **error);
void call_take_session(Leg *leg, const ClvKeymgmtOps *ops, ClvKeymgmtOutput *out);

/* ---- dial.c: calls of ours ---- */
void dial_take_who(Leg *leg, const ClvAnswerer *who); /* (nullable) NULL: forget him */
void dial_start(struct ClvHub *hub, Room *room, ClvDialOrder *order); /* (transfer full) */
void dial_end(struct ClvHub *hub, Room *room, guint dial, const char *reason);
void dial_confirm(Leg *leg, Room *room);
/* Events of the sip room about a leg of ours. TRUE: taken. */
gboolean dial_sip_event(Leg *leg, const ClvSipEvent *event);
void dial_refer_status(struct ClvHub *hub, const ClvSipEvent *event);
void dial_free(Leg *leg); /* the order is over, one way or the other */

/* ---- refer.c: REFERs, and the tickets in them ---- */
void refer_open(struct ClvHub *hub);
void refer_close(struct ClvHub *hub);
void refer_take(struct ClvHub *hub, const ClvSipRefer *refer);
void refer_reply(struct ClvHub *hub, ClvReferId id, ClvCode code, gboolean plain_200);
void refer_notify(struct ClvHub *hub, ClvReferId id, guint status, gboolean last);
void refer_open_keys(struct ClvHub *hub, Room *room, ClvReferId id);
/* A factory, or another conference of this server. */
gboolean refer_is_ours(struct ClvHub *hub, const Room *room, const char *target);
gboolean refer_is_live(struct ClvHub *hub, ClvReferId id);
/* The conference is over: whoever still waits for word about it gets the last one. */
void refer_forget_room(struct ClvHub *hub, ClvConferenceId room);

/* ---- pin.c: PINs are slow to check, so a thread does it ---- */
void pin_open(struct ClvHub *hub);
void pin_close(struct ClvHub *hub);
/* CLV_EV_PIN follows. @digits is cleansed. */
void pin_check(Leg *leg, const char *hash, char *digits);

/* ---- store.c: conferences that outlive a restart ---- */
void store_load(struct ClvHub *hub);
void store_touch(struct ClvHub *hub); /* something may have changed */
void store_flush(struct ClvHub *hub); /* now; before the conferences end with the server */
void store_close(struct ClvHub *hub); /* waits until what was to be written is */

/* ---- figures.c ---- */
void figures_render(ClvMetrics *metrics, void *user); /* user: the hub */

/* ---- console.c ---- */
gboolean console_handle(const ClvCommand *command, ClvReport *report, void *user, GError **error);
