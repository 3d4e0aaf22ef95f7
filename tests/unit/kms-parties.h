/* SPDX-License-Identifier: Apache-2.0 */
/* kms-parties.h - the people and conference systems that the KMS tests play with
 *
 *   alice  may create; asks for anybody      carol  may only join, tickets of 10 minutes at most
 *   bob    may not create                    conf1, conf2  conference systems of example.org
 */
#pragma once

#include <libmikey/mikey.h>

#include "kms/kms.h"

#define KMS_URI "sip:kms@example.org"
#define ALICE "sip:alice@example.org"
#define BOB "sip:bob@example.org"
#define CAROL "sip:carol@example.org"
#define FACTORY1 "sip:factory.conf1@example.org"
#define FACTORY1_ALIAS "sip:mmtel@conf-factory.example.org"
#define FOCUS1 "sip:c7h2kq4wz5x3n6m2p7ab.conf1@example.org"
#define FOCUS1_OTHER "sip:d2h2kq4wz5x3n6m2p7ab.conf1@example.org"
#define FOCUS2 "sip:c7h2kq4wz5x3n6m2p7ab.conf2@example.org"

#define NOW_US ((gint64)1893456000 * G_USEC_PER_SEC) /* 2030-01-01 */
#define MINUTES(n) ((gint64)(n)*60 * G_USEC_PER_SEC)

/* Their key file; @extra is put into [kms]. Returns: (transfer full) */
char *parties_key_file(const char *extra);
ClvKmsKeyFile *parties_keys(const char *extra);
ClvKmsService *parties_service(const char *extra);
/* The key of a user of that file */
MikeyKey party_psk(const char *user);
MikeyEnv party_env(gint64 now_us);

/* A policy that names @responder and needs no more to be granted */
typedef struct Wanted {
    MikeyPolicy policy;
    MikeyIdentity responders[8];
    MikeyIdentity purposes[4];
    MikeyKeyWish wishes[2];
} Wanted;
Wanted *wanted_new(const char *responder);
void wanted_name(Wanted *wanted, const char *responder);
void wanted_purpose(Wanted *wanted, const char *purpose);

/* A ticket request of @user in the name of @identity. */
MikeyRequest *party_request(const char *user, const char *identity, const Wanted *wanted,
                            gint64 now_us);
/* Asks and expects to be granted. */
MikeyGrant *party_grant(ClvKmsService *service, const char *user, const char *identity,
                        const Wanted *wanted, gint64 now_us);
/* TRANSFER_INIT to @responder, one m-line. */
MikeyTransfer *party_call(const MikeyGrant *grant, const char *responder, gint64 now_us);
/* What the one who is called makes of it. */
MikeyOffer *party_offer(MikeyBytes transfer, gint64 now_us);
MikeyResolve *party_resolve(const MikeyOffer *offer, const char *user, const char *identity,
                            gint64 now_us);

/* Hands octets to the service. Returns: (transfer full) (nullable) */
GByteArray *service_ask(ClvKmsService *service, ClvKmsRequest request, MikeyBytes octets,
                        gint64 now_us, ClvKmsDecision *out_decision);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(MikeyRequest, mikey_request_free)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(MikeyGrant, mikey_grant_free)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(MikeyTransfer, mikey_transfer_free)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(MikeyOffer, mikey_offer_free)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(MikeyResolve, mikey_resolve_free)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(MikeyResolution, mikey_resolution_free)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(MikeyBundle, mikey_bundle_free)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(MikeyMessage, mikey_message_free)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Wanted, g_free)
