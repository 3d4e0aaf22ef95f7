/* SPDX-License-Identifier: Apache-2.0 */
/* sip/connections.h - who may hold a TCP or TLS connection, and how long in silence
 *
 * Sofia never closes a peer that connects and says nothing, never times out a TLS handshake, and
 * leaks what OpenSSL gave it. The cures need to stand between Sofia and libc or OpenSSL: see
 * connections.c and tls-shim.c. Private to the room.
 */
#pragma once

#include "sip/loop.h"

#include <dlfcn.h>

/* A function that a library's calls find before the real one. Weak, so that a program may stand
 * before us in turn: the dynamic linker does not care. */
#define CLV_STANDS_BEFORE __attribute__((visibility("default"), weak))

/* fn = the function behind ours; threads may ask at the same time. */
#define CLV_FIND_REAL(fn, name)                                                                    \
    do {                                                                                           \
        static void *found;                                                                        \
        void *at = g_atomic_pointer_get(&found);                                                   \
                                                                                                   \
        if (G_UNLIKELY(at == NULL)) {                                                              \
            at = dlsym(RTLD_NEXT, name);                                                           \
            g_atomic_pointer_set(&found, at);                                                      \
        }                                                                                          \
        *(void **)&(fn) = at;                                                                      \
    } while (0)

typedef struct ClvConnections ClvConnections;

/* Raises RLIMIT_NOFILE as far as allowed. One per process. */
ClvConnections *clv_connections_new(ClvLoop *loop, guint max_connections, gint64 silent_ms);
void clv_connections_free(ClvConnections *connections); /* NULL allowed */
guint clv_connections_count(const ClvConnections *connections);

/* What this thread does between these two belongs to us: listening sockets and TLS contexts. */
typedef struct ClvTlsWishes {
    const char *ciphers; /* (nullable) TLS 1.2 list; (NULL: a list of ours) */
    gboolean ask_client_cert;
} ClvTlsWishes;
void clv_connections_adopt_begin(ClvConnections *connections, const ClvTlsWishes *wishes);
void clv_connections_adopt_end(ClvConnections *connections);

/* Do Sofia's calls really end in tls-shim.c? Not when it was linked in an unusual way. */
gboolean clv_tls_shim_in_place(void);
gboolean clv_response_guard_in_place(void); /* the same for response-guard.c */

/* ---- between tls-shim.c and connections.c ---- */
const ClvTlsWishes *clv_connections_adopting(void); /* (nullable) */
void clv_connections_is_tls(int fd);                /* its octets are no SIP until TLS says so */
void clv_connections_spoke(int fd);                 /* a TLS peer sent its first application data */
