/* SPDX-License-Identifier: Apache-2.0 */
/* ua/session-private.h - what the files of the session share
 *
 *   session.c  one call from its ticket to its report      report on it: judge.c
 *   called.c   being called                                 what happens when: script.c
 *   asking.c   REFER, asking and being asked                other keys on the way: renew.c
 */
#pragma once

#include "sip/loop.h"
#include "sip/sdp.h"
#include "ua/keys.h"
#include "ua/phone.h"
#include "ua/session.h"
#include "ua/stream.h"
#include "ua/wav.h"

/* Why there is another offer of ours in the call */
typedef enum Change { CHANGE_NONE, CHANGE_HOLD, CHANGE_RESUME, CHANGE_KEYS, CHANGE_QOS } Change;

/* A REFER of ours */
typedef struct Referral {
    guint id;
    char *what; /* "invite", "remove", "end" */
    char *target;
    int answer;  /* status of the answer, 0: none yet */
    int outcome; /* last status that a NOTIFY told, 0: none */
    char *phrase;
    gboolean done;   /* nothing more will come */
    gboolean silent; /* no NOTIFYs at all, as agreed */
} Referral;

typedef struct Session {
    const ClvUaOptions *options;
    ClvUaReport *report;
    ClvLoop *loop;
    ClvUaPhone *phone;
    ClvUaKeys *keys;
    ClvUaStream *stream;
    ClvUaWavWriter *record;
    char *local_host;
    char *password;

    guint64 sdp_id;
    guint64 sdp_version;
    ClvDirection direction;      /* ours */
    ClvDirection peer_direction; /* what the other side said of itself */
    ClvSrtpKeys tx, rx;
    gboolean connected, on_hold, registered;
    int event_pt;                 /* of telephone events, -1: the other side takes none */
    char *early_sdp;              /* answer in a provisional one */
    Change change;                /* of the offer under way */
    const char *change_of;        /* what CHANGE_KEYS is called: "allow", "rekey", "update" */
    guint n_changed, n_unchanged; /* such offers that were taken, or not */
    guint n_missed;               /* steps of the command line that there was no time for */

    /* REFER */
    GPtrArray *referrals; /* of Referral */
    guint referred;       /* number of the REFER that we follow, 0: none */
    char *follows;        /* whom we call because of it */
    char *referrer;       /* who has proven to have sent it */

    /* for the report */
    const char *state;
    int status;
    char *phrase, *warning, *cause, *reason, *contact, *call_id, *problem, *dialog, *caller;
    int retry_after_s;
    gboolean isfocus, local_status;
    const char *codec;
    gint64 connected_us, ended_us;

    struct Ringing *ringing; /* called.c */
    ClvTimer *duration, *hold, *resume, *every, *ring, *script_sleep, *linger, *switch_tx;
    GPtrArray *steps; /* of Step, script.c */
    int signal_fd, signal_watch, input_watch;
    GString *input;
    gboolean input_ended;
    guint n_signals;
    ClvUaExit exit;
} Session;

/* session.c */
void clv_ua_tell(Session *s, const char *event);
void clv_ua_tell_problem(Session *s, const char *event, const char *why);
/* Ends in the exit status of keys; what happened is in @error, which is taken. */
void clv_ua_fail_keys(Session *s, GError *error);
void clv_ua_fail(Session *s, ClvUaExit status); /* unless something failed before */
void clv_ua_set_text(char **text, const char *value);
ClvSdp *clv_ua_make_offer(Session *s);
char *clv_ua_offer_text(Session *s, gsize *out_len, GError **error);
void clv_ua_fill_origin(Session *s, ClvSdp *sdp);
void clv_ua_fill_media(Session *s, ClvSdpMedia *media);
const ClvCodec *clv_ua_find_codec(const Session *s, const ClvSdpMedia *media);
int clv_ua_event_pt(const ClvSdpMedia *media);
gboolean clv_ua_start_media(Session *s, const ClvSdpMedia *media, gboolean rekey, gboolean later,
                            GError **error);
gboolean clv_ua_place_call(Session *s, const char *target, GError **error);
void clv_ua_hang_up(Session *s);
void clv_ua_leave(Session *s); /* out of the loop, once nothing is outstanding */

/* judge.c */
void clv_ua_put_keys(Session *s);
void clv_ua_tell_stats(Session *s);
void clv_ua_final_report(Session *s);

/* called.c */
void clv_ua_on_invited(Session *s, const ClvUaPhoneEvent *event);
void clv_ua_on_reoffered(Session *s, const ClvUaPhoneEvent *event);
void clv_ua_on_pracked(Session *s, const ClvUaPhoneEvent *event);
void clv_ua_on_unpracked(Session *s, const ClvUaPhoneEvent *event);
void clv_ua_forget_ringing(Session *s);
void clv_ua_on_reconfirmed(Session *s, const ClvUaPhoneEvent *event);

/* script.c */
void clv_ua_script_start(Session *s); /* the call stands */
gboolean clv_ua_script_presses_keys(const Session *s);
guint clv_ua_script_n_missed(const Session *s);
void clv_ua_script_stop(Session *s);
gboolean clv_ua_script_watch_input(Session *s);
void clv_ua_reoffer(Session *s, Change change, const char *what, gboolean by_update);

/* asking.c */
void clv_ua_ask(Session *s, const char *whom, const char *what, const char *target);
void clv_ua_on_refer_answered(Session *s, const ClvUaPhoneEvent *event);
void clv_ua_on_refer_notified(Session *s, const ClvUaPhoneEvent *event);
void clv_ua_on_referred(Session *s, const ClvUaPhoneEvent *event);
/* What became of the call that we were asked to make */
void clv_ua_tell_referrer(Session *s, int status, const char *phrase, gboolean last);
gboolean clv_ua_is_waiting_for_notifies(const Session *s);
void clv_ua_put_referrals(Session *s); /* and judges them */
void clv_ua_free_referral(gpointer referral);

/* renew.c: commands */
void clv_ua_renew_allow(Session *s, const char *uris);
void clv_ua_renew_keys(Session *s, const char *unused);
void clv_ua_renew_update(Session *s, const char *unused);
