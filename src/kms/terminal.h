/* SPDX-License-Identifier: Apache-2.0 */
/* kms/terminal.h - a user's own talk with his KMS: get a ticket, have one resolved; blocking
 *
 * For programs that may wait (conclave-ua, tests); the server uses kms.h instead. How a call is
 * made with it:
 *
 *   ClvTerminal *terminal = clv_terminal_new(&config, &error);
 *   MikeyGrant *grant = clv_terminal_request(terminal, &wish, now_us, NULL, &error);
 *   ... mikey_transfer_new(grant, &setup, &env, &transfer), put its octets into the offer,
 *   ... mikey_transfer_finish(transfer, answer, &env, &bundle, NULL), keys from the bundle
 *
 * The grant holds ticket, MPKi, MPKr and the session keys; mikey_grant_ticket() gives the octets.
 * And how a call is taken:
 *
 *   mikey_offer_open(octets, &env, &offer)
 *   MikeyResolution *resolution = clv_terminal_resolve(terminal, offer, now_us, NULL, &error);
 *   mikey_offer_verify(offer, resolution), mikey_offer_answer(offer, ...)
 *
 * A terminal is used by one thread at a time and keeps its connection open between requests.
 */
#pragma once

#include <libmikey/mikey.h>

#include "kms/kms.h"

typedef struct ClvTerminal ClvTerminal;

typedef struct ClvTerminalConfig {
    ClvKmsClientConfig http; /* url, certificates, timeout; what concerns workers is not used */
    const char *kms_uri;     /* IDRkms: "sip:kms@example.org" */
    const char *identity;    /* who we are: "sip:alice@example.org" */
    const char *user;        /* IDRpsk: the user's name in the key file */
    const guint8 *psk;       /* shared with the KMS; copied, cleansed at the end */
    gsize psk_len;
    gboolean suite_128; /* ask with the suite of AES-128 and SHA-1 */
} ClvTerminalConfig;

/* Everything is copied. */
ClvTerminal *clv_terminal_new(const ClvTerminalConfig *config, GError **error);
void clv_terminal_free(ClvTerminal *terminal);

typedef struct ClvTicketWish {
    const char *const *responders; /* IDRr, NULL-terminated, at least one */
    const char *const *purposes;   /* (nullable) IDRapp, "conclave:create"; NULL: for everything */
    gint64 lifetime_s;             /* 0: what the KMS grants by itself */
    gboolean reusable;             /* J */
    guint32 more_flags;            /* MIKEY_FLAG_L, MIKEY_FLAG_M on top of the profile */
} ClvTicketWish;

/**
 * clv_terminal_request:
 * @now_us: Unix time, microseconds: g_get_real_time()
 * @out_refusal: (nullable): set when the KMS refuses: number of its Error, and whether the Error
 *   was authentic; number is 255 when the failure is another one
 * @error: domain CLV_KMS_ERROR, code a ClvCode: FORBIDDEN when the KMS refuses by an Error
 *   message, KEYMGMT_FAILED when its answer is no good, KMS_TIMEOUT and so on as in kms.h
 *
 * Returns: (transfer full) (nullable): free with mikey_grant_free()
 */
MikeyGrant *clv_terminal_request(ClvTerminal *terminal, const ClvTicketWish *wish, gint64 now_us,
                                 MikeyPeerError *out_refusal, GError **error);

/* Returns: (transfer full) (nullable): free with mikey_resolution_free() */
MikeyResolution *clv_terminal_resolve(ClvTerminal *terminal, const MikeyOffer *offer, gint64 now_us,
                                      MikeyPeerError *out_refusal, GError **error);

/* One message out and one in, as they are: for testers who make their own.
 * Returns: (transfer full) (nullable): the KMS's message */
GByteArray *clv_terminal_exchange(ClvTerminal *terminal, ClvKmsRequest request, const guint8 *bytes,
                                  gsize len, GError **error);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(ClvTerminal, clv_terminal_free)
