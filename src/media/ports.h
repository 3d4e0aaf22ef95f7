/* SPDX-License-Identifier: Apache-2.0 */
/* media/ports.h - which pair of ports is free for a leg; private to the media room */
#pragma once

#include "media/leg.h"

struct ClvMediaPorts {
    int rtp_fd, rtcp_fd;
    guint16 rtp, rtcp;
    int family;
};

/* False when it is no address in numbers. */
gboolean clv_peer_parse(const char *host, guint16 port, ClvPeer *out);
ClvMediaPorts *clv_ports_open(const char *local_host, guint16 port_first, guint16 port_last,
                              GError **error);
