/* SPDX-License-Identifier: Apache-2.0 */
/* kms/relay.h - resolves that another KMS has to answer: sent there, and back; inside of the room
 *
 * Each peer of the key file has workers of its own with their deadline and their breaker, so that
 * one that is down holds up nobody else.
 */
#pragma once

#include "kms/kms.h"

/* One message on its way (kms/ticket-service.c). */
typedef struct ClvKmsRelay ClvKmsRelay;

/* As clv_kms_service_handle_from(); NULL with *out_relay set when a peer has to be asked. */
GByteArray *clv_kms_service_begin(ClvKmsService *service, ClvKmsRequest request,
                                  const guint8 *bytes, gsize len, gint64 now_us, const char *proven,
                                  ClvKmsDecision *out_decision, ClvKmsRelay **out_relay);
/* What the peer said, or why it did not. Frees the relay. */
GByteArray *clv_kms_service_finish(ClvKmsRelay *relay, ClvCode code, const GByteArray *answer,
                                   const char *detail, gint64 now_us, ClvKmsDecision *out_decision);
/* Who waits for it. */
const struct ClvKmsUser *clv_kms_relay_user(const ClvKmsRelay *relay);
const struct ClvKmsPeer *clv_kms_relay_peer(const ClvKmsRelay *relay);
void clv_kms_relay_octets(const ClvKmsRelay *relay, const guint8 **out, gsize *out_len);

typedef struct ClvKmsRelays ClvKmsRelays;
/* Once in a while: peers that a reload has dropped are dropped. */
void clv_kms_service_keep_relays(ClvKmsService *service, ClvKmsRelays *relays);
/* In a thread of the relays, or in that of the caller, once for each post. */
typedef void (*ClvKmsRelayDone)(gpointer waiting, GByteArray *answer,
                                const ClvKmsDecision *decision);
ClvKmsRelays *clv_kms_relays_new(ClvKmsRelayDone done);
/* @relay: (transfer full) */
void clv_kms_relays_post(ClvKmsRelays *relays, ClvKmsRelay *relay, gpointer waiting);
/* Workers for peers that are none of these any more (element-type ClvKmsPeer) end when nobody waits
 * for them. */
void clv_kms_relays_keep(ClvKmsRelays *relays, const GPtrArray *peers);
guint clv_kms_relays_n_outposts(ClvKmsRelays *relays);

typedef enum ClvKmsRelayVerdict {
    CLV_KMS_RELAY_RESOLVED,
    CLV_KMS_RELAY_REFUSED, /* by the peer's Error */
    CLV_KMS_RELAY_FAILED,  /* no answer, or none that is any good */
} ClvKmsRelayVerdict;
#define CLV_KMS_N_RELAY_VERDICTS 3
/* @peer: NAME of [peer NAME] */
typedef void (*ClvKmsTallyFunc)(const char *peer, guint64 asked,
                                const guint64 verdicts[CLV_KMS_N_RELAY_VERDICTS],
                                gint64 latency_sum_us, gpointer user);
void clv_kms_relays_tallies(ClvKmsRelays *relays, ClvKmsTallyFunc each, gpointer user);
/* All who wait are told that it is over; whoever comes later, at once. */
void clv_kms_relays_stop(ClvKmsRelays *relays);
void clv_kms_relays_free(ClvKmsRelays *relays);
