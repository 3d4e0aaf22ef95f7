/* SPDX-License-Identifier: Apache-2.0 */
/* sip/route.h - by which way does a request of ours go first, and is that way secured?
 *
 * Private to the room.
 */
#pragma once

#include "sip/sip-private.h"

typedef struct Route {
    char host[256];
    guint port;            /* 0: not said */
    const char *transport; /* "udp" "tcp" "tls", or what a plain sip: URI means */
    gboolean stream;       /* tcp or tls */
    gboolean tls, trusted;
    gboolean outbound; /* the configured proxy */
} Route;

/* The first hop towards a URI; FALSE: nonsense, or no transport of ours leads there. */
gboolean clv_route_find(const ClvSip *sip, const char *target, Route *out);
/* The address by which that hop sees us. (transfer full) (nullable) */
char *clv_route_local_host(const ClvSip *sip, const Route *route);
/* "host:port" when whoever reads our URI in a Contact would miss our port; else NULL. */
char *clv_route_own_port(const ClvSip *sip, const Route *route, const char *uri);
