/* SPDX-License-Identifier: Apache-2.0 */
/* ua/keys-private.h - inside of the keys: keys.c for our call, keys-answer.c for theirs,
 * keys-renew.c for what comes later in it, keys-refer.c for REFER */
#pragma once

#include "ua/keys.h"

#include "kms/terminal.h"
#include "sip/sdp.h"

#include <libmikey/mikey.h>

#define CLV_UA_MAX_SUITES 8

struct ClvUaKeys {
    const ClvUaOptions *options;
    ClvTerminal *terminal;
    MikeyGrant *grant;
    MikeyTransfer *transfer;
    MikeyBundle *bundle;
    gboolean answered;                  /* the bundle comes from an offer of the other side's */
    char *responder;                    /* canonical */
    GPtrArray *lines;                   /* values of our key lines, as offered or answered */
    ClvSrtpKeys own[CLV_UA_MAX_SUITES]; /* SDES: by tag - 1 */
    guint n_own;
    char *agreed; /* key line of the peer that is in use */
    char *peer;   /* canonical */
    ClvUaKeysInfo info;

    /* an offer of other keys, until it is answered */
    MikeyGrant *next_grant;
    MikeyTransfer *next_transfer;
    MikeyUpdate *next_update;
    guint32 next_csb_id;
    char *next_line;
};

gboolean clv_ua_keys_fail(GError **error, const char *what, MikeyStatus status);
gboolean clv_ua_keys_refuse(GError **error, const char *why);
MikeyEnv clv_ua_keys_env_at(gint64 now_us);
guint clv_ua_keys_profiles(const ClvUaOptions *options, MikeySrtpProfile out[CLV_UA_MAX_SUITES]);
void clv_ua_keys_add_name(GPtrArray *names, const char *uri);
/* @names, @purposes: (nullable): NULL-terminated. Returns: (transfer full) (nullable) */
MikeyGrant *clv_ua_keys_request(ClvUaKeys *keys, GPtrArray *names, GPtrArray *purposes,
                                GError **error);
GPtrArray *clv_ua_keys_purposes(const ClvUaOptions *options, const char *usual, const char *second);
gboolean clv_ua_keys_build(ClvUaKeys *keys, const MikeyGrant *grant, const char *responder,
                           gboolean has_media, guint32 ssrc, MikeyTransfer **out_transfer,
                           guint32 *out_csb_id, GError **error);
GByteArray *clv_ua_keys_spoil(const ClvUaKeys *keys, MikeyBytes octets);
/* Value of a=key-mgmt. Returns: (transfer full) (nullable) */
char *clv_ua_keys_value(MikeyBytes octets, GError **error);
gboolean clv_ua_keys_sessions(ClvUaKeys *keys, guint media_index, ClvSrtpKeys *tx, ClvSrtpKeys *rx,
                              GError **error);
gboolean clv_ua_keys_verify(ClvUaKeys *keys, MikeyOffer *offer, GError **error);

/* The key line that counts for an m-line: its own, or that of the session. (nullable) */
const char *clv_ua_keys_line(const ClvSdp *sdp, guint media, gboolean mikey);
/* These are in use from now on. */
void clv_ua_keys_agree(ClvUaKeys *keys, const ClvSrtpKeys *rx, const char *line);

/* keys-renew.c */
/* The answer to what clv_ua_keys_renew() or clv_ua_keys_update() made. */
gboolean clv_ua_keys_finish_next(ClvUaKeys *keys, MikeyBytes octets, GError **error);
/* An update of the other side's. @out_value: (transfer full): our answer */
gboolean clv_ua_keys_take_update(ClvUaKeys *keys, MikeyBytes octets, guint media_index,
                                 guint32 ssrc, char **out_value, GError **error);
