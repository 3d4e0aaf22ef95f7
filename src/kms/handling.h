/* SPDX-License-Identifier: Apache-2.0 */
/* kms/handling.h - the service and one message on its way through its checks; inside of the room
 *
 *   ticket-service.c  the way of a message as a whole, and of one that another KMS has to answer
 *   asker.c           who asks
 *   granting.c        a ticket is wanted
 *   resolving.c       a ticket is to be resolved
 *   modes.c           a ticket that the KMS does not both make and open
 *   announcing.c      a conference is announced
 *   service.c         birth and death, another key file, what is kept over a restart
 */
#pragma once

#include <libmikey/mikey.h>
#include <pthread.h>

#include "base/secret.h"
#include "kms/keeper.h"
#include "kms/keyfile.h"
#include "kms/kms.h"
#include "kms/memory.h"
#include "kms/rate.h"
#include "kms/relay.h"
#include "kms/roster.h"

#define PURPOSE_CREATE "conclave:create"

struct ClvKmsService {
    ClvRandom random;
    void *random_user;
    ClvKmsMemory *memory;
    ClvKmsRates *rates;     /* of users */
    ClvKmsRates *rate;      /* of all together */
    ClvKmsRoster *roster;   /* conferences that were announced */
    ClvKmsKeeper *keeper;   /* (nullable) without one nothing survives the process */
    pthread_mutex_t change; /* held by who changes the ticket protection keys; before lock */

    pthread_mutex_t lock; /* of all below */
    ClvKmsKeyFile *keys;
    ClvKmsTpks *tpks;
    ClvKmsServiceState state;
};

/* One message on its way through the checks. */
typedef struct Handling {
    ClvKmsService *service;
    const ClvKmsKeyFile *keys;
    ClvKmsRequest request;
    MikeyEnv env;
    gint64 now_us;
    MikeyQuery *query;
    const char *proven; /* (nullable) name of the user whom HTTP or TLS proved */
    const ClvKmsUser *user;
    const ClvKmsPeer *peer; /* (nullable) the message comes from another KMS */
    char *identity;         /* (nullable) canonical: whom the user says to be */
    ClvKmsDecision *decision;
    MikeyBuffer answer;
    gboolean may_relay;
    const ClvKmsPeer *relay_to; /* (nullable) who has to answer first */
    MikeyMessage *forwarded;    /* (nullable) what goes to it */
    guint8 digest[MIKEY_DIGEST_LEN];
    GByteArray *repeat; /* (nullable) in place of answer: what the same octets got before */
} Handling;

/* ---- kms/asker.c ---- */

/* Notes why, for the log line, and gives the status through. */
MikeyStatus clv_kms_because(Handling *h, MikeyStatus status, const char *format, ...)
    G_GNUC_PRINTF(3, 4);
/* Octets from outside, fit for a line of text */
void clv_kms_show_octets(char *out, gsize size, MikeyBytes octets);
void clv_kms_show_subject(ClvKmsDecision *decision, MikeyIdentity from, const MikeyIdentity *to,
                          gsize n_to);
/* Returns: (transfer full) (nullable): NULL when it is no URI of a party */
char *clv_kms_canonical_of(const MikeyIdentity *identity);
/* A name that may be left out, but must be this one when it is there */
gboolean clv_kms_is_absent_or(const MikeyIdentity *identity, const char *canonical);
/* Returns: (transfer full) (nullable): canonical IDRr list; NULL when one is no URI or comes twice
 */
GPtrArray *clv_kms_responders_of(Handling *h, const MikeyPolicy *policy);
MikeyStatus clv_kms_open_query(Handling *h, MikeyBytes octets);
MikeyStatus clv_kms_find_user(Handling *h);
MikeyStatus clv_kms_authenticate(Handling *h);
MikeyStatus clv_kms_check_names(Handling *h);
/* A conference of a service that keeps a list has to be in it. */
gboolean clv_kms_is_announced(const Handling *h, const char *identity);

/* ---- kms/granting.c, kms/resolving.c ---- */

MikeyStatus clv_kms_answer_request(Handling *h);
/* h->forwarded is set when another KMS has to answer first. */
MikeyStatus clv_kms_answer_resolve(Handling *h);

/* All that a ticket of h->user's may be, but for its flags and session keys */
MikeyStatus clv_kms_check_wanted(Handling *h, const MikeyPolicy *policy);
/* More than one may resolve it */
gboolean clv_kms_is_for_several(const Handling *h, const MikeyPolicy *policy);

/* ---- kms/modes.c ---- */

/* Made by the KMS, and not to be resolved: mode 2 */
gboolean clv_kms_is_for_itself(const MikeyPolicy *policy);
/* May such a ticket be granted, and under which key? Copies the key: clear it. */
MikeyStatus clv_kms_key_of_responder(Handling *h, const MikeyPolicy *policy, MikeyKey *out_key,
                                     MikeyBytes *out_name);
/* A ticket that its initiator made: mode 3 */
MikeyStatus clv_kms_open_own_ticket(Handling *h, const MikeyPolicy *policy);

/* ---- kms/service.c ---- */

/* Returns: (transfer full) */
ClvKmsKeyFile *clv_kms_ref_keys(ClvKmsService *service);
/* @newest, or the one of the name @wanted. Copies the key: clear it. */
gboolean clv_kms_copy_tpk(ClvKmsService *service, gboolean newest, MikeyBytes wanted,
                          MikeyKey *out_key, char out_name[CLV_KMS_TPK_NAME_LEN + 1]);

/* ---- kms/resolving.c ---- */

MikeyStatus clv_kms_check_not_revoked(Handling *h, const ClvKmsUser *user, const char *whose);

/* ---- kms/ticket-service.c ---- */

MikeyStatus clv_kms_check_proven(Handling *h);
MikeyStatus clv_kms_check_rate(Handling *h);
guint clv_kms_parts_of(const Handling *h);
MikeyStatus clv_kms_remember(Handling *h, const guint8 *digest, gint64 expires_us);
