/* SPDX-License-Identifier: Apache-2.0 */
/* ua/crypt.h - one direction of SRTP and SRTCP, by libsrtp2
 *
 * On purpose not the server's own transform: each proves the other with every packet.
 */
#pragma once

#include "conference/vocabulary.h"

#define CLV_UA_CRYPT_ERROR (clv_ua_crypt_error_quark())
GQuark clv_ua_crypt_error_quark(void);

#define CLV_UA_CRYPT_TRAILER 160 /* octets a packet may grow by */

typedef enum ClvUaVerdict {
    CLV_UA_GOOD,
    CLV_UA_BAD_AUTH,
    CLV_UA_REPLAYED,
    CLV_UA_MALFORMED,
    CLV_UA_N_VERDICTS
} ClvUaVerdict;

typedef struct ClvUaCrypt ClvUaCrypt;

/* Optional: the library takes its time to start, which is better spent before a call than in it. */
gboolean clv_ua_crypt_start(void);
/* A suite of CLV_SRTP_NONE gives an object that leaves packets as they are. */
ClvUaCrypt *clv_ua_crypt_new(const ClvSrtpKeys *keys, gboolean inbound, GError **error);
void clv_ua_crypt_free(ClvUaCrypt *crypt); /* NULL allowed */
/* In place; @packet has room for CLV_UA_CRYPT_TRAILER more and is aligned to 4 octets */
gboolean clv_ua_crypt_protect(ClvUaCrypt *crypt, guint8 *packet, gsize *len, gboolean rtcp);
ClvUaVerdict clv_ua_crypt_unprotect(ClvUaCrypt *crypt, guint8 *packet, gsize *len, gboolean rtcp);
