/* SPDX-License-Identifier: Apache-2.0 */
/* ua/keys.h - the keys of one call: MIKEY-TICKET, SDES or none
 *
 * As caller: prepare (a ticket from the KMS or a file), offer, finish. As called: answer. What is
 * spoiled by --forge is spoiled here. Blocks while the KMS is asked.
 */
#pragma once

#include "conference/vocabulary.h"
#include "ua/options.h"

#define CLV_UA_KEYS_ERROR (clv_ua_keys_error_quark())
GQuark clv_ua_keys_error_quark(void);

typedef struct ClvUaKeys ClvUaKeys;

/* What is known in the end; texts belong to the object, NULL when there is none. */
typedef struct ClvUaKeysInfo {
    const char *scheme; /* "mikey-ticket", "sdes", "none" */
    ClvSrtpSuite suite;
    guint8 mki[CLV_SRTP_MAX_MKI];
    guint8 mki_len;
    gboolean has_csb_id;
    guint32 csb_id;
    const char *peer;    /* who the other side has proven to be */
    gint64 ticket_end_s; /* Unix time, 0: not said */
    int refusal;         /* number of the KMS's or the peer's Error, -1: none */
} ClvUaKeysInfo;

/* Reads the key files. */
ClvUaKeys *clv_ua_keys_new(const ClvUaOptions *options, GError **error);
void clv_ua_keys_free(ClvUaKeys *keys); /* NULL allowed */
ClvUaKeysInfo clv_ua_keys_info(const ClvUaKeys *keys);

/* @uri: whom the ticket is for. Nothing is to be done without MIKEY. */
gboolean clv_ua_keys_prepare(ClvUaKeys *keys, const char *uri, GError **error);
/* Puts the ticket into --ticket-file. */
gboolean clv_ua_keys_save_ticket(const ClvUaKeys *keys, GError **error);

/**
 * clv_ua_keys_offer:
 * @offer: its first m-line, if it has one, is what the keys are for; gets protocol and key lines
 * @ssrc: what we send with
 *
 * A second call puts in the same keys again.
 */
gboolean clv_ua_keys_offer(ClvUaKeys *keys, ClvSdp *offer, guint32 ssrc, GError **error);
/**
 * clv_ua_keys_finish:
 * @contact: (nullable): URI in the Contact of the answer; with MIKEY it must be who answered
 * @out_tx, @out_rx: to be cleared
 *
 * FALSE: the other side has not proven who it is, or its keys are no good.
 */
gboolean clv_ua_keys_finish(ClvUaKeys *keys, const ClvSdp *answer, const char *contact,
                            ClvSrtpKeys *out_tx, ClvSrtpKeys *out_rx, GError **error);
/* The body of a refusal may hold an Error message that says why; its number goes to the info. */
void clv_ua_keys_refused(ClvUaKeys *keys, const char *sdp, gsize len);
/* True when the answer to a re-offer has the keys that are in use already. */
gboolean clv_ua_keys_unchanged(const ClvUaKeys *keys, const ClvSdp *answer);

/**
 * clv_ua_keys_answer:
 * @offer: its m-line @media_index was chosen
 * @answer: has as many m-lines as @offer; gets protocol and key lines
 */
gboolean clv_ua_keys_answer(ClvUaKeys *keys, const ClvSdp *offer, guint media_index, guint32 ssrc,
                            ClvSdp *answer, ClvSrtpKeys *out_tx, ClvSrtpKeys *out_rx,
                            GError **error);

/* ---- later in the call (keys-renew.c); then clv_ua_keys_offer() and clv_ua_keys_finish() ---- */

/* A fresh ticket and a new bundle. @uris: (nullable): NULL-terminated, named beside the other side;
 * @purpose: (nullable) */
gboolean clv_ua_keys_renew(ClvUaKeys *keys, const char *const *uris, const char *purpose,
                           gboolean has_media, guint32 ssrc, GError **error);
/* A CSB update in the bundle that there is, with a key of our own if --supply-keys says so. */
gboolean clv_ua_keys_update(ClvUaKeys *keys, gboolean has_media, guint32 ssrc, GError **error);
/* It was refused: everything stays as it was. */
void clv_ua_keys_drop_next(ClvUaKeys *keys);

/* ---- REFER (keys-refer.c) ---- */

/**
 * clv_ua_keys_refer:
 * @whom: who is asked
 * @names: NULL-terminated: whom the ticket names
 *
 * Returns: (transfer full) (nullable): TRANSFER_INIT in base64
 */
char *clv_ua_keys_refer(ClvUaKeys *keys, const char *whom, const char *const *names,
                        GError **error);
/**
 * clv_ua_keys_referred:
 * @body: base64 of a TRANSFER_INIT, or an SDP with it
 * @conference: whom we are to call; the ticket must name it, or be its own
 *
 * Has the ticket resolved at the KMS. Returns: (transfer full) (nullable): who has sent it, proven
 */
char *clv_ua_keys_referred(ClvUaKeys *keys, const char *type, const char *body, gsize len,
                           const char *conference, GError **error);
