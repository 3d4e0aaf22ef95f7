/* SPDX-License-Identifier: Apache-2.0 */
/* fake-hub.h - a hub for tests of the sip room: says yes, or what it was told to say
 *
 * Knows one factory and one conference, answers offers with a fixed SDES key, and writes down every
 * event as a word: "invite reoffer confirmed done ended:bye".
 */
#pragma once

#include "sip/sdp.h"
#include "sip/sip.h"

#define HUB_FACTORY "sip:factory.conf@127.0.0.1"
#define HUB_CONFERENCE "sip:abc.conf@127.0.0.1"
#define HUB_KEY "1 AES_CM_128_HMAC_SHA1_80 inline:d0RmdmcmVCspeEc3QGZiNWpVLFJhQX1cfHAwJSoj"

typedef enum HubMood {
    HUB_ACCEPTS,      /* 180, then 200 at once */
    HUB_WAITS,        /* does nothing until told */
    HUB_RINGS,        /* 180, then waits */
    HUB_REFUSES,      /* with .code */
    HUB_WANTS_DIGEST, /* 401 without proof, then 200 */
    HUB_ENDS_AT_ONCE, /* 200 and end() in the same breath */
} HubMood;

typedef struct Hub {
    ClvSip *sip;
    HubMood mood;
    ClvCode code;
    gboolean reoffers_wait;
    GString *events;
    ClvLegId last_leg; /* the newest */
    guint64 n_legs;
    guint n_alive;
    guint64 n_calls;
    /* of the last INVITE */
    ClvProof proof;
    gboolean tls, secured, privacy, diverted;
    char *identity, *display, *peer, *local_host, *from;
    char *peer_name, *identities; /* identities: joined by spaces */
    ClvLegId replaces, joins;
    GPtrArray *uri_list;
    /* of the last answer to a call of ours */
    char *asserted, *claimed, *callee;
    gboolean forwarded, call_diverted, has_answer;
    gboolean confirms; /* ANSWERED is confirmed at once */
    /* of the last REFER */
    ClvReferId refer;
    char *refer_target, *refer_replaces, *refer_ticket, *refer_identity;
    ClvLegId refer_leg, refer_target_leg;
    gboolean refer_leg_is_named;
    gboolean refer_removes, refer_names_dialog, refers_wait;
    ClvCode refer_code;
    guint n_refers;
} Hub;

void hub_init(Hub *hub);
void hub_clear(Hub *hub);
extern const ClvSipHandlers hub_handlers; /* user: Hub */

/* A call of ours with a fixed SDES key; 0: it was not sent. */
ClvLegId hub_call(Hub *hub, const char *target, GPtrArray *history);
/* What the mood HUB_ACCEPTS does, for a leg that waits. */
void hub_accept(Hub *hub, ClvLegId leg);
