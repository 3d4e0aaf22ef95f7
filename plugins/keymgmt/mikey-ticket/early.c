/* SPDX-License-Identifier: Apache-2.0 */
/* mikey-ticket/early.c - what is refused before the KMS is troubled
 *
 * mikey_offer_open() has looked at the message by itself: layout, suite, T, ticket type with N and
 * O, rules between flags, PRF, validity, KEMAC against L. Here is what this server wants beyond.
 *
 * Everything looked at here is a claim: nothing has been verified yet. So these checks save work
 * and give better sentences, and those that matter for admission hold later as well, since the
 * ticket that is verified is the ticket that was checked.
 */
#include "config.h"

#include <string.h>

#include "base/identity.h"
#include "base/replay.h"
#include "ticket-private.h"

typedef struct Early {
    TicketAnswerer *state;
    gint64 now_us;
    const MikeyMessage *message;
    const MikeyPolicy *policy;
    TicketRefusal *refusal;
} Early;

typedef gboolean (*Check)(const Early *e);

static const char *const application[] = {
    [CLV_PURPOSE_CREATE] = "conclave:create",
    [CLV_PURPOSE_JOIN] = "conclave:join",
    [CLV_PURPOSE_ALLOW] = "conclave:allow",
    [CLV_PURPOSE_REFER] = "conclave:refer",
};

static gboolean
is_factory(const TicketAnswerer *state, const char *uri)
{
    return state->factory_uris != NULL &&
           g_strv_contains((const char *const *)state->factory_uris, uri);
}

/* The ticket that set the allowed set may be used again to join, if it may be reused at all. */
static gboolean
is_creation_ticket(const Early *e)
{
    g_autofree char *hash = NULL;

    if (e->state->creation_ticket == NULL || (e->policy->flags & MIKEY_FLAG_J) == 0)
        return FALSE;
    hash = clv_ticket_hash(mikey_offer_ticket(e->state->offer));
    return g_strcmp0(hash, e->state->creation_ticket) == 0;
}

/* ---- the checks, in order ---- */

static gboolean
check_flags(const Early *e)
{
    static const struct {
        guint32 flag;
        const char *sentence;
    } wanted[] = {
        {MIKEY_FLAG_D, "the ticket was not made by a KMS (D = 0)"},
        {MIKEY_FLAG_E, "the ticket need not be resolved (E = 0)"},
        {MIKEY_FLAG_F, "the ticket forbids an answer (F = 0)"},
        {MIKEY_FLAG_I, "the ticket has no key forking (I = 0)"},
    };

    for (guint i = 0; i < G_N_ELEMENTS(wanted); i++) {
        if ((e->policy->flags & wanted[i].flag) == 0)
            return clv_ticket_refuse(e->refusal, CLV_CODE_TICKET_REFUSED, MIKEY_BAD_POLICY, "%s",
                                     wanted[i].sentence);
    }
    return TRUE;
}

static gboolean
check_validity(const Early *e)
{
    const MikeyPolicy *p = e->policy;
    const ClvKeymgmtConfig *config = &e->state->config;
    gint64 now_s = e->now_us / G_USEC_PER_SEC;
    gint64 lifetime_s;

    if (!p->has_end)
        return clv_ticket_refuse(e->refusal, CLV_CODE_TICKET_REFUSED, MIKEY_BAD_POLICY,
                                 "the ticket has no end (TRe)");
    /* Without a start what is left of it counts, so a long one can only be used late. */
    lifetime_s = p->end_unix - (p->has_start ? p->start_unix : now_s);
    if (lifetime_s > config->max_ticket_lifetime_s)
        return clv_ticket_refuse(e->refusal, CLV_CODE_TICKET_REFUSED, MIKEY_BAD_POLICY,
                                 "the ticket is good for %" G_GINT64_FORMAT
                                 " s, the limit is %" G_GINT64_FORMAT " s",
                                 lifetime_s, config->max_ticket_lifetime_s);
    return TRUE;
}

/* That the message has the same IDRi has been seen already. */
static gboolean
check_initiator(const Early *e)
{
    g_autofree char *owner = clv_ticket_identity(&e->policy->initiator);

    if (owner == NULL)
        return clv_ticket_refuse(e->refusal, CLV_CODE_TICKET_REFUSED, MIKEY_BAD_IDENTITY,
                                 "the ticket does not say by a URI whose it is (IDRi)");
    return TRUE;
}

/* Is @uri what the purpose in hand wants to be called? */
static gboolean
is_called(const Early *e, const char *uri)
{
    if (e->state->purpose == CLV_PURPOSE_CREATE)
        return is_factory(e->state, uri);
    return strcmp(uri, e->state->focus_uri) == 0;
}

static gboolean
check_responder(const Early *e)
{
    MikeyIdentity claimed = mikey_offer_responder(e->state->offer);
    g_autofree char *called = clv_ticket_identity(&claimed);

    if (called == NULL || !is_called(e, called))
        return clv_ticket_refuse(e->refusal, CLV_CODE_TICKET_REFUSED, MIKEY_BAD_IDENTITY,
                                 "the TRANSFER_INIT is meant for %s",
                                 called != NULL ? called : "nobody in particular");
    return TRUE;
}

/* IDRr: enough to say who may be there, each once, each a URI, and the one that was called. */
static gboolean
check_list(const Early *e)
{
    g_autoptr(GHashTable) seen = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    gboolean named = FALSE;

    if (e->policy->n_responders > e->state->config.max_responders)
        return clv_ticket_refuse(e->refusal, CLV_CODE_TICKET_REFUSED, MIKEY_BAD_POLICY,
                                 "the ticket names %zu responders, the limit is %u",
                                 e->policy->n_responders, e->state->config.max_responders);

    for (gsize i = 0; i < e->policy->n_responders; i++) {
        char *name = clv_ticket_identity(&e->policy->responders[i]);

        if (name == NULL)
            return clv_ticket_refuse(e->refusal, CLV_CODE_TICKET_REFUSED, MIKEY_BAD_IDENTITY,
                                     "responder %zu of the ticket is not a SIP or tel URI", i + 1);
        named = named || is_called(e, name);
        if (!g_hash_table_add(seen, name))
            return clv_ticket_refuse(e->refusal, CLV_CODE_TICKET_REFUSED, MIKEY_BAD_POLICY,
                                     "responder %zu of the ticket is named twice", i + 1);
    }

    if (!named && !(e->state->purpose == CLV_PURPOSE_JOIN && is_creation_ticket(e)))
        return clv_ticket_refuse(
            e->refusal, CLV_CODE_TICKET_REFUSED, MIKEY_BAD_IDENTITY, "the ticket does not name %s",
            e->state->purpose == CLV_PURPOSE_CREATE ? "the factory" : e->state->focus_uri);
    return TRUE;
}

/* A REFER is about one user: his ticket names this conference and him, or this conference alone,
 * and keys nothing. That the conference is named has been seen. */
static gboolean
check_refer(const Early *e)
{
    if (e->state->purpose != CLV_PURPOSE_REFER)
        return TRUE;
    if (e->policy->n_responders > 2)
        return clv_ticket_refuse(e->refusal, CLV_CODE_TICKET_REFUSED, MIKEY_BAD_POLICY,
                                 "the ticket of a REFER names %zu responders, not this conference "
                                 "and one user",
                                 e->policy->n_responders);
    if (e->state->lines.media_line != 0)
        return clv_ticket_refuse(e->refusal, CLV_CODE_KEYMGMT_FAILED, MIKEY_BAD_SESSIONS,
                                 "a REFER keys no m-line");
    return TRUE;
}

static gboolean
check_kms(const Early *e)
{
    g_autofree char *named = NULL;
    g_autofree char *ours = NULL;

    if (e->policy->kms.data.len == 0)
        return TRUE;

    named = clv_ticket_identity(&e->policy->kms);
    ours = clv_identity_canonical(e->state->config.kms_uri, -1);
    e->state->foreign = g_strcmp0(named, ours) != 0;
    if (!e->state->foreign || (named != NULL && e->state->config.foreign_kms))
        return TRUE;
    return clv_ticket_refuse(e->refusal, CLV_CODE_FORBIDDEN, MIKEY_BAD_IDENTITY,
                             "the ticket is from a foreign KMS, %s",
                             named != NULL ? named : "not named by a URI");
}

static gboolean
is_good_for(const Early *e, ClvPurpose purpose)
{
    return mikey_policy_allows_application(e->policy, mikey_bytes_str(application[purpose]));
}

/* Who joins, or offers other keys, may bring the list of the conference (5.2, 5.3): a ticket that
 * names others, too, is one for that. Whether its owner may change the list is for the conference
 * to say. */
static gboolean
check_purpose(const Early *e)
{
    const char *wanted = application[e->state->purpose];

    if (is_good_for(e, e->state->purpose))
        return TRUE;
    if (e->state->purpose == CLV_PURPOSE_JOIN &&
        ((is_creation_ticket(e) && is_good_for(e, CLV_PURPOSE_CREATE)) ||
         (e->policy->n_responders > 1 && is_good_for(e, CLV_PURPOSE_ALLOW))))
        return TRUE;
    return clv_ticket_refuse(e->refusal, CLV_CODE_TICKET_REFUSED, MIKEY_BAD_POLICY,
                             "the ticket is not good for \"%s\"", wanted);
}

/* A key in the message is readable by everybody who may resolve the ticket. */
static gboolean
check_own_keys(const Early *e)
{
    if (mikey_message_find(e->message, MIKEY_KEMAC, 0) == NULL)
        return TRUE;
    if (e->policy->n_responders > 1)
        return clv_ticket_refuse(e->refusal, CLV_CODE_TICKET_REFUSED, MIKEY_POLICY_VIOLATED,
                                 "the caller brings keys that every responder of the ticket could "
                                 "read");
    return TRUE;
}

static gboolean
is_acceptable(const TicketAnswerer *state, const MikeySp *sp)
{
    MikeySrtpProfile profile;

    if (mikey_sp_profile(sp, &profile) != MIKEY_OK)
        return FALSE;
    for (gsize i = 0; i < state->n_profiles; i++) {
        if (state->profiles[i] == profile)
            return TRUE;
    }
    return FALSE;
}

/* No policy at all leaves the choice to us. */
static gboolean
has_acceptable_policy(const Early *e, const MikeyCs *cs)
{
    for (gsize i = 0; i < mikey_message_n_payloads(e->message); i++) {
        const MikeyPayload *payload = mikey_message_payload(e->message, i);

        if (payload->number == MIKEY_SP &&
            memchr(cs->policies, payload->u.sp.policy_no, cs->n_policies) != NULL &&
            is_acceptable(e->state, &payload->u.sp))
            return TRUE;
    }
    return cs->n_policies == 0;
}

static gboolean
check_session(const Early *e, const MikeyCs *cs, guint8 id)
{
    if (cs == NULL)
        return clv_ticket_refuse(e->refusal, CLV_CODE_KEYMGMT_FAILED, MIKEY_BAD_SESSIONS,
                                 "no crypto session %u for m-line %u", id,
                                 e->state->lines.media_line);
    if (cs->prot != MIKEY_PROT_SRTP)
        return clv_ticket_refuse(e->refusal, CLV_CODE_KEYMGMT_UNACCEPTABLE, MIKEY_BAD_PROTOCOL,
                                 "crypto session %u is not for SRTP", id);
    if (cs->spi_len > CLV_SRTP_MAX_MKI)
        return clv_ticket_refuse(e->refusal, CLV_CODE_KEYMGMT_FAILED, MIKEY_BAD_SESSIONS,
                                 "crypto session %u wants an MKI of more than %d octets", id,
                                 CLV_SRTP_MAX_MKI);
    if (!has_acceptable_policy(e, cs))
        return clv_ticket_refuse(e->refusal, CLV_CODE_KEYMGMT_UNACCEPTABLE, MIKEY_BAD_PARAMETERS,
                                 "no SRTP policy of crypto session %u is accepted here", id);
    return TRUE;
}

/* m-line k owns the crypto sessions 2k-1 and 2k. A message on the level of a single m-line may
 * also count from 1, since it knows of no other line. */
static gboolean
check_sessions(const Early *e)
{
    const MikeyHeader *header = mikey_message_header(e->message);
    guint line = e->state->lines.media_line;
    const MikeyCs *theirs;

    if (line > 1 && !e->state->lines.at_session &&
        mikey_header_cs(header, MIKEY_CS_OFFERER(line)) == NULL)
        line = 1;
    e->state->cs_line = line;
    if (line == 0)
        return TRUE;

    theirs = mikey_header_cs(header, MIKEY_CS_OFFERER(line));
    if (!check_session(e, theirs, MIKEY_CS_OFFERER(line)) ||
        !check_session(e, mikey_header_cs(header, MIKEY_CS_ANSWERER(line)),
                       MIKEY_CS_ANSWERER(line)))
        return FALSE;
    if (!theirs->has_ssrc)
        return clv_ticket_refuse(e->refusal, CLV_CODE_KEYMGMT_FAILED, MIKEY_BAD_SESSIONS,
                                 "crypto session %u does not say the sender's SSRC", theirs->id);
    return TRUE;
}

/* The memory of messages ends with the skew; the dialog knows for longer what is in force (5.3). */
static gboolean
check_bundle(const Early *e)
{
    const ClvKeymgmtSession *session = e->state->session;
    guint32 csb_id = mikey_offer_csb_id(e->state->offer);

    if (session == NULL || clv_ticket_session_csb_id(session) != csb_id)
        return TRUE;
    return clv_ticket_refuse(e->refusal, CLV_CODE_KEYMGMT_FAILED, MIKEY_REPLAYED,
                             "CSB ID %08x is the one in force; a new ticket wants a new one",
                             csb_id);
}

static gboolean
check_replay(const Early *e)
{
    guint8 message[MIKEY_DIGEST_LEN], bundle[MIKEY_DIGEST_LEN];
    ClvReplay *replay = e->state->config.replay;

    if (!clv_ticket_replay_names(e->state->offer, message, bundle))
        return clv_ticket_refuse(e->refusal, CLV_CODE_INTERNAL, MIKEY_CRYPTO,
                                 "no digest of the message");
    if (clv_replay_contains(replay, message, e->now_us))
        return clv_ticket_refuse(e->refusal, CLV_CODE_KEYMGMT_FAILED, MIKEY_REPLAYED,
                                 "this TRANSFER_INIT has been seen before");
    if (clv_replay_contains(replay, bundle, e->now_us))
        return clv_ticket_refuse(e->refusal, CLV_CODE_KEYMGMT_FAILED, MIKEY_REPLAYED,
                                 "CSB ID %08x of this caller has been used before",
                                 mikey_offer_csb_id(e->state->offer));
    return TRUE;
}

gboolean
clv_ticket_check_early(TicketAnswerer *state, gint64 now_us, TicketRefusal *refusal)
{
    static const Check checks[] = {
        check_flags, check_validity, check_initiator, check_responder, check_list,   check_refer,
        check_kms,   check_purpose,  check_own_keys,  check_sessions,  check_bundle, check_replay,
    };
    Early e = {
        .state = state,
        .now_us = now_us,
        .message = mikey_offer_message(state->offer),
        .policy = mikey_offer_policy(state->offer),
        .refusal = refusal,
    };

    for (guint i = 0; i < G_N_ELEMENTS(checks); i++) {
        if (!checks[i](&e))
            return FALSE;
    }
    return TRUE;
}
