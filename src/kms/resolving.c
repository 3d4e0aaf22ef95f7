/* SPDX-License-Identifier: Apache-2.0 */
/* kms/resolving.c - may this one resolve this ticket, and does another KMS have to? */
#include "config.h"

#include "kms/handling.h"

#include <string.h>

static MikeyStatus
open_ticket(Handling *h)
{
    MikeyBytes name = mikey_query_tpk_id(h->query);
    char found[CLV_KMS_TPK_NAME_LEN + 1];
    MikeyKey tpk;
    MikeyStatus status;

    if (!clv_kms_copy_tpk(h->service, FALSE, name, &tpk, found))
        return clv_kms_because(h, MIKEY_BAD_TICKET, "the ticket was not made here");
    status = mikey_query_open_ticket(h->query, &tpk, &h->env);
    mikey_key_clear(&tpk);
    if (status != MIKEY_OK)
        return clv_kms_because(h, status, "the ticket: %s", mikey_status_string(status));
    return MIKEY_OK;
}

/* When an opened ticket was made: T, behind the head of its inside. Returns: seconds, 0: unknown */
static gint64
ticket_made_s(const MikeyQuery *query)
{
    const MikeyTicket *ticket = mikey_message_ticket(mikey_query_message(query));
    MikeyReader inside = mikey_reader(mikey_ticket_payload(ticket)->ticket_data);
    MikeyTimestamp made;
    uint8_t next = mikey_read_u8(&inside);

    mikey_read_lv16(&inside);
    if (next != MIKEY_T || mikey_t_read(&inside, &next, &made) != MIKEY_OK ||
        made.type == MIKEY_TS_COUNTER)
        return 0;
    return mikey_ntp_to_unix_us(mikey_timestamp_iv(&made)) / G_USEC_PER_SEC;
}

/* Tickets that a user had out when he was revoked stay void, also when he comes back. */
MikeyStatus
clv_kms_check_not_revoked(Handling *h, const ClvKmsUser *user, const char *whose)
{
    if (user->revoked)
        return clv_kms_because(h, MIKEY_BAD_IDENTITY, "revoked=yes: %s '%s'", whose, user->name);
    if (user->tickets_since_s > 0 && ticket_made_s(h->query) < user->tickets_since_s)
        return clv_kms_because(h, MIKEY_BAD_IDENTITY, "made before tickets-since of %s '%s'", whose,
                               user->name);
    return MIKEY_OK;
}

/* The one who had the ticket made; he may have lost his rights since. */
static MikeyStatus
check_initiator(Handling *h, const MikeyPolicy *policy, const ClvKmsUser **out_user)
{
    g_autofree char *initiator = clv_kms_canonical_of(&policy->initiator);

    if (!clv_kms_is_absent_or(&policy->kms, h->keys->canonical_uri))
        return clv_kms_because(h, MIKEY_BAD_TICKET, "the ticket is another KMS's to resolve");
    *out_user = initiator != NULL ? clv_kms_keyfile_owner(h->keys, initiator) : NULL;
    if (*out_user == NULL)
        return clv_kms_because(h, MIKEY_BAD_IDENTITY,
                               "the ticket's initiator is no user here any more");
    return clv_kms_check_not_revoked(h, *out_user, "initiator");
}

static gboolean
names_responder(GPtrArray *responders, const char *identity)
{
    return g_ptr_array_find_with_equal_func(responders, identity, g_str_equal, NULL);
}

/* The name that goes back, and that keys are forked for, is the member's (RFC 6043, 4.2.3.5: the
 * one who answers). */
static gboolean
names_group_of(Handling *h, const GPtrArray *responders)
{
    for (guint i = 0; i < responders->len; i++) {
        const ClvKmsGroup *group = clv_kms_keyfile_group(h->keys, responders->pdata[i]);

        if (group == NULL || !clv_kms_group_has(group, h->identity))
            continue;
        clv_kms_because(h, MIKEY_OK, "member of group '%s', which the ticket names", group->name);
        return TRUE;
    }
    return FALSE;
}

/* Whom the initiator may not ask for by name, he does not reach by a star either. */
static gboolean
names_many_with(Handling *h, const GPtrArray *responders, const ClvKmsUser *initiator)
{
    for (guint i = 0; i < responders->len; i++) {
        const char *responder = responders->pdata[i];

        if (!clv_kms_is_wildcard(responder) || !initiator->wildcards ||
            !clv_kms_wildcard_holds(h->keys, responder, h->identity) ||
            !clv_kms_user_may_request(h->keys, initiator, h->identity))
            continue;
        clv_kms_because(h, MIKEY_OK, "one of %.100s, which the ticket names", responder);
        return TRUE;
    }
    return FALSE;
}

/* A ticket for the factory opens one conference of the same service that is being set up. One
 * that also names a conference is for that conference alone: never from focus to focus. */
static MikeyStatus
check_naming_rule(Handling *h, const MikeyPolicy *policy, const GPtrArray *responders,
                  const ClvKmsUser *initiator)
{
    const ClvKmsSystem *system = clv_kms_keyfile_focus(h->keys, h->identity);
    gboolean names_factory = FALSE;

    if (system == NULL)
        return clv_kms_because(h, MIKEY_BAD_IDENTITY, "the ticket does not name %.100s",
                               h->identity);
    for (guint i = 0; i < responders->len; i++) {
        if (clv_kms_keyfile_factory(h->keys, responders->pdata[i]) == system)
            names_factory = TRUE;
        if (clv_kms_keyfile_focus(h->keys, responders->pdata[i]) != NULL)
            return clv_kms_because(h, MIKEY_BAD_IDENTITY,
                                   "the ticket is for another conference, %.100s",
                                   (const char *)responders->pdata[i]);
    }
    if (!names_factory)
        return clv_kms_because(h, MIKEY_BAD_IDENTITY,
                               "the ticket names neither %.80s nor a factory of service '%s'",
                               h->identity, system->name);
    if (!mikey_policy_allows_application(policy, mikey_bytes_str(PURPOSE_CREATE)))
        return clv_kms_because(h, MIKEY_BAD_IDENTITY, "the ticket is not for creating conferences");
    if (initiator != NULL && !initiator->secure_conference) /* else his own KMS knows */
        return clv_kms_because(h, MIKEY_BAD_IDENTITY,
                               "secure-conference=no: user '%s' may not set up secure conferences",
                               initiator->name);
    return clv_kms_because(
        h, MIKEY_OK, "conference of service '%s', whose factory the ticket names", system->name);
}

/* Which of its own conferences stands for its factory is for the other KMS to know, with maps=yes.
 */
static MikeyStatus
check_peer_maps(Handling *h, const MikeyPolicy *policy, const GPtrArray *responders,
                const ClvKmsUser *initiator)
{
    gboolean names_its_own = FALSE;

    for (guint i = 0; i < responders->len; i++)
        names_its_own = names_its_own || clv_kms_peer_has(h->keys, h->peer, responders->pdata[i]);
    if (!h->peer->maps || !names_its_own || !initiator->secure_conference ||
        !mikey_policy_allows_application(policy, mikey_bytes_str(PURPOSE_CREATE)))
        return clv_kms_because(h, MIKEY_BAD_IDENTITY, "the ticket does not name %.100s",
                               h->identity);
    return clv_kms_because(h, MIKEY_OK, "%s says whom the ticket means", h->user->name);
}

static MikeyStatus
check_responder(Handling *h, const MikeyPolicy *policy)
{
    g_autoptr(GPtrArray) responders = NULL;
    const ClvKmsUser *initiator = NULL;
    MikeyStatus status = check_initiator(h, policy, &initiator);

    if (status == MIKEY_OK)
        status = clv_kms_check_not_revoked(h, h->user, "responder");
    if (status != MIKEY_OK)
        return status;
    responders = clv_kms_responders_of(h, policy);
    if (responders == NULL)
        return MIKEY_BAD_IDENTITY;
    if (clv_kms_is_wildcard(h->identity))
        return clv_kms_because(h, MIKEY_BAD_IDENTITY, "%.100s is nobody", h->identity);
    if (names_responder(responders, h->identity))
        return clv_kms_because(h, MIKEY_OK, "named in the ticket");
    if (names_group_of(h, responders) || names_many_with(h, responders, initiator))
        return MIKEY_OK;
    if (h->peer != NULL)
        return check_peer_maps(h, policy, responders, initiator);
    return check_naming_rule(h, policy, responders, initiator);
}

/* Returns: whether another KMS made the ticket */
static gboolean
is_foreign(const Handling *h, const MikeyPolicy *policy)
{
    return !clv_kms_is_absent_or(&policy->kms, h->keys->canonical_uri);
}

/* What can be known here of a ticket that another KMS made: its claims, which that one checks. */
static MikeyStatus
check_foreign(Handling *h, const MikeyPolicy *policy)
{
    g_autofree char *kms = clv_kms_canonical_of(&policy->kms);
    g_autofree char *initiator = clv_kms_canonical_of(&policy->initiator);
    const ClvKmsPeer *peer = kms != NULL ? clv_kms_keyfile_peer(h->keys, kms) : NULL;
    g_autoptr(GPtrArray) responders = NULL;
    MikeyStatus status;

    if (h->peer != NULL || peer == NULL || peer->urls->len == 0)
        return clv_kms_because(h, MIKEY_BAD_TICKET, "the ticket is %.100s's to resolve, %s",
                               kms != NULL ? kms : "another KMS",
                               h->peer != NULL ? "and nothing is relayed twice"
                                               : "no peer of this one");
    if (initiator == NULL || !clv_kms_peer_has(h->keys, peer, initiator))
        return clv_kms_because(h, MIKEY_BAD_IDENTITY, "the ticket's initiator is not one of %s",
                               peer->user->name);
    status = clv_kms_check_not_revoked(h, h->user, "responder");
    if (status != MIKEY_OK)
        return status;
    responders = clv_kms_responders_of(h, policy);
    if (responders == NULL)
        return MIKEY_BAD_IDENTITY;
    if (!names_responder(responders, h->identity) && !names_group_of(h, responders))
        status = check_naming_rule(h, policy, responders, NULL);
    if (status == MIKEY_OK && !h->may_relay)
        status = clv_kms_because(h, MIKEY_REFUSED, "nobody is here to ask %s", peer->user->name);
    h->relay_to = status == MIKEY_OK ? peer : NULL;
    return status;
}

/* Signed by this KMS for its user, with the ticket as it came. */
static MikeyStatus
forward(Handling *h, const MikeyPolicy *policy)
{
    MikeyIdentity self = mikey_query_identity(h->query);
    MikeyStatus status = check_foreign(h, policy);
    MikeyAccount account = {0};
    MikeyKey psk;
    const guint8 *bytes;
    gsize len = 0;

    clv_kms_show_subject(h->decision, policy->initiator, &self, 1);
    if (status != MIKEY_OK)
        return status;
    g_strlcpy(h->decision->request, "relay", sizeof h->decision->request);
    bytes = clv_secret_bytes(h->relay_to->user->psk, &len);
    status = mikey_key_set(&psk, bytes, len);
    if (status != MIKEY_OK)
        return clv_kms_because(h, status, "the key of %s", h->relay_to->user->name);
    account = (MikeyAccount){
        .psk = &psk,
        .psk_id = mikey_identity_bytes(mikey_bytes_str(h->keys->canonical_uri)),
        .self = self,
        .kms = policy->kms,
        .prf = mikey_message_header(mikey_query_message(h->query))->prf,
    };
    status = mikey_query_forward(h->query, &account, &h->env, &h->forwarded);
    mikey_key_clear(&psk);
    if (status != MIKEY_OK)
        return clv_kms_because(h, status, "asking %s: %s", h->relay_to->user->name,
                               mikey_status_string(status));
    return MIKEY_OK;
}

MikeyStatus
clv_kms_answer_resolve(Handling *h)
{
    MikeyIdentity self = mikey_query_identity(h->query);
    const MikeyPolicy *policy = mikey_query_policy(h->query);
    MikeyStatus status;

    if (is_foreign(h, policy))
        return forward(h, policy);
    status =
        (policy->flags & MIKEY_FLAG_D) != 0 ? open_ticket(h) : clv_kms_open_own_ticket(h, policy);
    if (status != MIKEY_OK)
        return status;
    clv_kms_show_subject(h->decision, policy->initiator, &self, 1);
    status = check_responder(h, policy);
    if (status != MIKEY_OK)
        return status;
    status = mikey_query_resolve(h->query, &self, &h->env, &h->answer);
    if (status != MIKEY_OK)
        return clv_kms_because(h, status, "resolving: %s", mikey_status_string(status));
    return MIKEY_OK;
}
