/* SPDX-License-Identifier: Apache-2.0 */
/* sip/peer.c - who sent it, by which way, and do his assertions count? */
#include "config.h"

#include "sip/sip-private.h"

#include <gio/gio.h>
#include <string.h>

gboolean
clv_sip_is_trusted_address(char *const *peers, const char *host)
{
    g_autoptr(GInetAddress) address = g_inet_address_new_from_string(host);

    for (; address != NULL && peers != NULL && *peers != NULL; peers++) {
        g_autoptr(GInetAddressMask) mask = g_inet_address_mask_new_from_string(*peers, NULL);

        if (mask != NULL && g_inet_address_mask_matches(mask, address))
            return TRUE;
    }
    return FALSE;
}

/* Names count only from a certificate that was verified. (nullable) */
static const char *
trusted_name(char *const *peers, tport_t *tport, msg_t *msg)
{
    const su_strlst_t *subjects;

    if (tport == NULL || !tport_has_tls(tport) || !tport_is_secondary(tport) ||
        !tport_is_verified(tport))
        return NULL;

    subjects = tport_delivered_from_subjects(tport, msg);
    for (; subjects != NULL && peers != NULL && *peers != NULL; peers++) {
        if (tport_subject_search(*peers, subjects))
            return *peers;
    }
    return NULL;
}

static void
copy_host(char out[64], const char *host)
{
    gsize len;

    g_strlcpy(out, host != NULL && host[0] == '[' ? host + 1 : host != NULL ? host : "", 64);
    len = strlen(out);
    if (len > 0 && out[len - 1] == ']')
        out[len - 1] = '\0';
}

static void
read_source(Peer *out, const char *proto, msg_t *msg)
{
    const su_addrinfo_t *ai = msg != NULL ? msg_addrinfo(msg) : NULL;
    g_autoptr(GSocketAddress) address = NULL;
    g_autofree char *host = NULL;

    if (ai != NULL && ai->ai_addr != NULL)
        address = g_socket_address_new_from_native(ai->ai_addr, ai->ai_addrlen);
    if (!G_IS_INET_SOCKET_ADDRESS(address)) {
        g_strlcpy(out->text, proto, sizeof(out->text));
        return;
    }

    host =
        g_inet_address_to_string(g_inet_socket_address_get_address(G_INET_SOCKET_ADDRESS(address)));
    g_strlcpy(out->host, host, sizeof(out->host));
    g_snprintf(out->text, sizeof(out->text), strchr(host, ':') != NULL ? "%s:[%s]:%u" : "%s:%s:%u",
               proto, host, g_inet_socket_address_get_port(G_INET_SOCKET_ADDRESS(address)));
}

static void
read_peer(ClvSip *sip, tport_t *tport, msg_t *msg, Peer *out)
{
    const tp_name_t *local = tport != NULL ? tport_name(tport_parent(tport)) : NULL;
    const char *name = trusted_name(sip->trusted_peers, tport, msg);

    memset(out, 0, sizeof(*out));
    out->tport = tport;
    out->tls = tport != NULL && tport_has_tls(tport);
    copy_host(out->local_host, local != NULL ? local->tpn_host : NULL);
    g_strlcpy(out->local_port, local != NULL && local->tpn_port != NULL ? local->tpn_port : "",
              sizeof(out->local_port));
    read_source(out, local != NULL ? local->tpn_proto : "udp", msg);
    out->trusted = name != NULL || clv_sip_is_trusted_address(sip->trusted_peers, out->host);
    g_strlcpy(out->name, name != NULL ? name : out->host, sizeof(out->name));
}

void
clv_sip_peer(ClvSip *sip, nta_incoming_t *irq, Peer *out)
{
    msg_t *msg = nta_incoming_getrequest(irq);
    tport_t *tport = nta_incoming_transport(sip->agent, irq, msg); /* a reference */

    read_peer(sip, tport, msg, out);
    if (tport != NULL)
        tport_unref(tport); /* the transaction holds it */
    msg_destroy(msg);
}

void
clv_sip_peer_of_response(ClvSip *sip, nta_outgoing_t *orq, Peer *out)
{
    msg_t *msg = nta_outgoing_getresponse(orq);
    tport_t *tport = msg != NULL ? nta_incoming_transport(sip->agent, NULL, msg) : NULL;

    read_peer(sip, tport, msg, out);
    if (tport != NULL)
        tport_unref(tport); /* it is being read from */
    if (msg != NULL)
        msg_destroy(msg);
}
