/* SPDX-License-Identifier: Apache-2.0 */
/* daemon/hub-private.h - what hub.c, call.c, keys.c and console.c share */
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

/* One offer on its way to an answer: the INVITE's, or a re-INVITE's. */
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
} Negotiation;

typedef struct Room {
    ClvConferenceId id;
    ClvConference *conference;
    char *factory;   /* (nullable) name; set for ad hoc ones */
    char *scheduled; /* (nullable) name of a [conference] */
    ClvTimer *timers[CLV_N_TIMERS];
    struct RoomTimer {
        struct ClvHub *hub;
        ClvConferenceId room;
        ClvTimerKind kind;
    } timer_args[CLV_N_TIMERS];
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
    char *display_name, *peer, *call_id, *request_uri, *local_host;

    Negotiation now;  /* what is in force, or being made first */
    Negotiation next; /* a re-offer under way: next.offer is set */
    gboolean accepted;
    ClvScheme scheme;
    guint32 ssrc;
    guint64 kms_generation; /* bumped at each request and at the end */
    guint64 sdp_id, sdp_version;
    guint16 rtp_port, rtcp_port;
    char *answer;   /* last SDP text sent; may hold keys */
    char *key_line; /* of the answer; may hold keys */
    gboolean key_is_crypto, key_at_session;
    ClvTimer *progress;
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
    int media_watch, kms_watch;
    ClvIdTable *legs, *rooms;
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

/* ---- hub.c ---- */
gint64 hub_now(void);  /* monotonic, microseconds */
gint64 hub_wall(void); /* Unix time, microseconds */
Leg *hub_leg(struct ClvHub *hub, ClvLegId id);
Room *hub_room(struct ClvHub *hub, ClvConferenceId id);
Room *hub_find_room(struct ClvHub *hub, const char *uri_or_token);
/* Feeds one event to a conference; event->cause and ->who are copied. */
void hub_feed(struct ClvHub *hub, ClvConferenceId room, const ClvEvent *event);
/* Other live conferences of this identity (nullable) and of this room's factory. */
void hub_census(struct ClvHub *hub, const Room *room, const char *creator, guint *out_by_creator,
                guint *out_total);
void hub_leg_release(Leg *leg); /* frees it when neither sip nor media know it any more */
void hub_log(struct ClvHub *hub, ClvLogLevel level, const Leg *leg, const Room *room,
             const char *message_id, const char *format, ...) G_GNUC_PRINTF(6, 7);

/* ---- call.c: one leg's offer, keys, media and answer ---- */
Leg *call_new(struct ClvHub *hub);
void call_free(Leg *leg);
void call_take_invite(Leg *leg, const ClvSipInvite *invite);
void call_open_keys(Leg *leg, Room *room);
void call_open_media(Leg *leg, Room *room);
void call_accept(Leg *leg, Room *room);
void call_refuse(Leg *leg, ClvCode code, guint retry_after_s);
void call_reoffer(Leg *leg, Room *room, const ClvSdp *offer);
void call_take_answer(Leg *leg, const ClvSdp *answer); /* (nullable): no offer of ours was out */
void call_kms_reply(Leg *leg, Room *room, const ClvKmsReply *reply);
void call_forget_keys(Leg *leg); /* hung up: late answers find nothing */

/* ---- figures.c ---- */
void figures_render(ClvMetrics *metrics, void *user); /* user: the hub */

/* ---- console.c ---- */
gboolean console_handle(const ClvCommand *command, ClvReport *report, void *user, GError **error);
