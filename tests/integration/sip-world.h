/* SPDX-License-Identifier: Apache-2.0 */
/* sip-world.h - a sip room on loopback with a fake hub, for tests that need no certificates
 *
 * T1 is 20 ms, so that 64*T1 is a second. The room listens on UDP and TCP.
 */
#pragma once

#include <string.h>

#include "fake-hub.h"
#include "raw-peer.h"

#define WORLD_T1_MS 20
#define WORLD_OFFER                                                                                \
    "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n"                    \
    "m=audio 40100 RTP/SAVP 8 101\r\na=rtpmap:101 telephone-event/8000\r\n"                        \
    "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz\r\n"

typedef struct World {
    ClvLoop *loop;
    Hub hub;
    ClvSipConfig config;
    char *udp, *tcp; /* addresses to connect to */
    RawPeer *bob;    /* by UDP; who is called */
    char *bob_uri;
} World;

void world_setup(World *w, gconstpointer unused);
void world_teardown(World *w, gconstpointer unused);
/* Again, with what .config says now. */
void world_restart(World *w);
void world_expect(World *w, const char *events);
/* Events since the last world_forget(). */
void world_forget(World *w);
void world_expect_silence(RawPeer *peer, gint64 ms);
guint world_dialogs(World *w);
/* Waits until no dialog is known and no Sofia leg is left. */
void world_expect_empty(World *w);
/* Skips retransmissions: the next request of this method. */
char *world_next(World *w, RawPeer *peer, const char *method);
/* "sip:<user>@host:port" of the room's UDP socket */
char *world_uri(World *w, const char *user);
/* A new call to the conference, answered and acknowledged. */
void world_establish(World *w, RawCall *call, RawPeer *peer, const char *extra);
