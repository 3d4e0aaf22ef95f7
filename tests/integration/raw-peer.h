/* SPDX-License-Identifier: Apache-2.0 */
/* raw-peer.h - SIP peers made of a socket and string formatting, in the loop of their victim
 *
 * No SIP stack: what they send is exactly what a test says. Waiting runs the loop, so that one
 * thread plays both sides and no test sleeps for a fixed time in hope.
 */
#pragma once

#include "sip/loop.h"

typedef struct RawPeer RawPeer;

/* @to: "udp:127.0.0.1:5060", "tcp:[::1]:5060", "tls:127.0.0.1:5061". cert: (nullable) PEM file with
 * key and certificate of a TLS client. NULL when a TLS handshake failed. */
RawPeer *raw_peer_new(ClvLoop *loop, const char *to, const char *cert);
/* By UDP or TCP from another address of this machine: "127.0.0.7". */
RawPeer *raw_peer_from(ClvLoop *loop, const char *to, const char *from);
/* A TCP connection that has said nothing, not even TLS's first word. */
RawPeer *raw_peer_silent(ClvLoop *loop, const char *to);
/* Waits for somebody who calls us by TCP or TLS. */
typedef struct RawListener RawListener;
RawListener *raw_listener_new(ClvLoop *loop, const char *cert); /* cert: (nullable) NULL: TCP */
const char *raw_listener_address(const RawListener *listener);
RawPeer *raw_listener_accept(RawListener *listener, gint64 timeout_ms); /* (nullable) */
void raw_listener_free(RawListener *listener);
void raw_peer_free(RawPeer *peer);
const char *raw_peer_address(const RawPeer *peer);   /* "127.0.0.1:40000" */
const char *raw_peer_transport(const RawPeer *peer); /* "UDP" "TCP" "TLS" */
void raw_peer_send(RawPeer *peer, const char *text);
void raw_peer_say(RawPeer *peer, const char *text); /* below TLS */
/* The next message, or NULL when none came in time. */
char *raw_peer_receive(RawPeer *peer, gint64 timeout_ms);
/* Has this message, which has just been received, come before? What is expected passes over those. */
gboolean raw_peer_had_before(const RawPeer *peer, const char *message);
gboolean raw_peer_is_closed(RawPeer *peer);
/* Runs the loop until test says so; FALSE when it did not within the time. */
gboolean raw_run_until(ClvLoop *loop, gboolean (*test)(void *user), void *user, gint64 timeout_ms);
void raw_run(ClvLoop *loop, gint64 ms);

/* ---- messages ---- */
guint raw_status(const char *message);                   /* 0: a request */
char *raw_header(const char *message, const char *name); /* value of the first; (nullable) */
guint raw_count_headers(const char *message, const char *name);
const char *raw_body(const char *message);

/* One dialog from the peer's side. */
typedef struct RawCall {
    RawPeer *peer;
    char *call_id, *to_tag, *from_tag, *target; /* target: the Contact of the other side, or the first URI */
    char *first_uri, *user;
    guint cseq;
    char *branch; /* of the last request */
} RawCall;
void raw_call_init(RawCall *call, RawPeer *peer, const char *uri);
void raw_call_clear(RawCall *call);
/* A new transaction. extra: (nullable) header lines, each with CRLF. body: (nullable) SDP */
void raw_call_send(RawCall *call, const char *method, const char *extra, const char *body);
/* ACK of a 2xx, in a transaction of its own; ACK of others and CANCEL, in that of the INVITE. */
void raw_call_ack(RawCall *call, const char *body);
void raw_call_same_branch(RawCall *call, const char *method);
/* The next final response or 18x (100 is skipped) must have this status. Learns tag and target. */
char *raw_call_expect(RawCall *call, guint status);
/* The next request of the other side must be of this method. */
char *raw_call_expect_request(RawCall *call, const char *method);
void raw_call_answer(RawCall *call, const char *request, guint status, const char *extra,
                     const char *body);
/* An answer with a To tag of its own; contact: (nullable) header line, NULL: the usual one */
void raw_call_answer_as(RawCall *call, const char *request, guint status, const char *tag,
                        const char *contact, const char *extra, const char *body);
/* The next request must be of this method; it is the first of a dialog that they opened. */
char *raw_call_taken(RawCall *call, RawPeer *peer, const char *method, const char *tag);
