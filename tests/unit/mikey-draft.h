/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/mikey-draft.h - a message laid open, changed, and written again under a right MAC */
#pragma once

#include <libmikey/mikey.h>

#include <glib.h>

#define assert_status(got, expected)                                                               \
    g_assert_cmpstr(mikey_status_string(got), ==, mikey_status_string(expected))

typedef struct Draft {
    MikeyMessage *message;
    MikeyHeader header;
    MikeyCs cs[8];
    MikeyPayload payloads[16];
    gsize n;
} Draft;

void draft_open(Draft *d, MikeyBytes octets);
MikeyPayload *draft_find(Draft *d, guint8 number);
/* Puts @payload before the last one */
void draft_add(Draft *d, const MikeyPayload *payload);
void draft_drop(Draft *d, guint8 number);
/* The octets as the draft is; frees the message. With @auth its MAC is made anew, by the algorithm
 * of its V; @tail is what V covers besides. */
MikeyBuffer draft_close(Draft *d, const MikeyKey *auth, MikeyBytes tail);
/* The same without freeing anything and without a MAC */
MikeyBuffer draft_octets(Draft *d);
