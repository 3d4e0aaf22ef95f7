/* SPDX-License-Identifier: Apache-2.0 */
/* sip/unacked.c - refusals that nobody acknowledges, and who owes us the ACKs
 *
 * A refusal of an INVITE is sent again and again until its ACK comes, for half a minute, and the
 * library walks through all that are outstanding for each one that it sends: 20,000 of them keep a
 * core busy, and a stranger makes them with as many datagrams. So each is counted until its ACK
 * has come, and who owes too many is refused without a transaction from there on: one small
 * datagram back for each of his, and nothing kept. In a dialog nothing can be said without a
 * transaction, so a dialog in which too many are owed is given up (dialog.c).
 */
#include "config.h"

#include "sip/sip-private.h"

#include <netinet/in.h>
#include <string.h>

#define MAX_PER_SOURCE 1024 /* honest callers owe one for as long as a round trip takes */
#define MAX_IN_ALL 4096     /* sources of datagrams can be forged */

typedef struct Refusal {
    ClvSip *sip;
    Dialog *d; /* (nullable) counted: in which it was refused */
    nta_incoming_t *irq;
    guint64 source;
} Refusal;

struct ClvUnacked {
    GHashTable *refusals; /* a set of Refusal */
    GHashTable *sources;  /* source -> how many of them are his */
};

/* An IPv4 address, or the network of an IPv6 one: the rest of that is free to choose. */
static guint64
source_of(msg_t *msg)
{
    const su_addrinfo_t *ai = msg != NULL ? msg_addrinfo(msg) : NULL;
    guint64 network = 0;

    if (ai == NULL || ai->ai_addr == NULL)
        return 0;
    if (ai->ai_addr->sa_family == AF_INET)
        return 1 + (guint64)((const struct sockaddr_in *)(void *)ai->ai_addr)->sin_addr.s_addr;
    if (ai->ai_addr->sa_family == AF_INET6)
        memcpy(&network, &((const struct sockaddr_in6 *)(void *)ai->ai_addr)->sin6_addr, 8);
    return network;
}

static guint
owes(const ClvUnacked *unacked, guint64 source)
{
    return GPOINTER_TO_UINT(g_hash_table_lookup(unacked->sources, &source));
}

static void
count(ClvUnacked *unacked, guint64 source, gint more)
{
    guint n = owes(unacked, source) + (guint)more;

    if (n == 0)
        g_hash_table_remove(unacked->sources, &source);
    else
        g_hash_table_insert(unacked->sources, g_memdup2(&source, sizeof(source)),
                            GUINT_TO_POINTER(n));
}

static void
refusal_free(Refusal *refusal)
{
    nta_incoming_destroy(refusal->irq);
    if (refusal->d != NULL) {
        refusal->d->n_unacked--;
        clv_dialog_unref(refusal->d);
    }
    g_free(refusal);
}

static void
settle(Refusal *refusal)
{
    ClvUnacked *unacked = refusal->sip->unacked;

    count(unacked, refusal->source, -1);
    g_hash_table_remove(unacked->refusals, refusal);
    refusal_free(refusal);
}

/* The ACK, or (NULL) that none came. A CANCEL comes too late. */
static int
on_ack(void *magic, nta_incoming_t *irq, const sip_t *msg)
{
    if (msg == NULL || msg->sip_request->rq_method == sip_method_ack)
        settle(magic);
    return 0;
}

void
clv_unacked_take(ClvSip *sip, Dialog *d, nta_incoming_t *irq)
{
    msg_t *msg;
    Refusal *refusal;

    if (nta_incoming_method(irq) != sip_method_invite || nta_incoming_status(irq) < 300) {
        nta_incoming_destroy(irq);
        return;
    }
    msg = nta_incoming_getrequest(irq);
    refusal = g_new(Refusal, 1);
    *refusal = (Refusal){
        .sip = sip,
        .d = d != NULL ? clv_dialog_ref(d) : NULL,
        .irq = irq,
        .source = source_of(msg),
    };
    if (d != NULL)
        d->n_unacked++;
    msg_destroy(msg);
    count(sip->unacked, refusal->source, 1);
    g_hash_table_add(sip->unacked->refusals, refusal);
    nta_incoming_bind(irq, on_ack, refusal);
}

gboolean
clv_unacked_is_debtor(const ClvSip *sip, msg_t *msg, gboolean forgeable)
{
    return owes(sip->unacked, source_of(msg)) >= MAX_PER_SOURCE ||
           (forgeable && g_hash_table_size(sip->unacked->refusals) >= MAX_IN_ALL);
}

ClvUnacked *
clv_unacked_new(void)
{
    ClvUnacked *unacked = g_new0(ClvUnacked, 1);

    unacked->refusals = g_hash_table_new(NULL, NULL);
    unacked->sources = g_hash_table_new_full(g_int64_hash, g_int64_equal, g_free, NULL);
    return unacked;
}

void
clv_unacked_free(ClvUnacked *unacked)
{
    GHashTableIter iter;
    gpointer refusal;

    if (unacked == NULL)
        return;
    g_hash_table_iter_init(&iter, unacked->refusals);
    while (g_hash_table_iter_next(&iter, &refusal, NULL))
        refusal_free(refusal);
    g_hash_table_unref(unacked->refusals);
    g_hash_table_unref(unacked->sources);
    g_free(unacked);
}
