/* SPDX-License-Identifier: Apache-2.0 */
/* conference/judge.c - what does the policy say of somebody, as things stand here? */
#include "conference/conference-private.h"

#include <string.h>

gboolean
clv_judge_is_creator(const ClvConference *c, const char *identity)
{
    return c->creator != NULL && g_strcmp0(identity, c->creator) == 0;
}

gboolean
clv_judge_is_banned(const ClvConference *c, const char *identity)
{
    return identity != NULL && g_hash_table_contains(c->roster.banned, identity);
}

/* Somebody who can answer for the conference is in it: its creator or an owner. */
static gboolean
host_is_in(const ClvConference *c)
{
    for (guint i = 0; i < c->roster.members->len; i++) {
        const Member *member = c->roster.members->pdata[i];

        if (clv_member_is_in(member) &&
            (clv_judge_is_creator(c, member->identity) ||
             clv_policy_is_owner(c->view, member->identity, c->creator)))
            return TRUE;
    }
    return FALSE;
}

ClvPolicyFacts
clv_judge_facts(const ClvConference *c, const char *identity, const Member *except)
{
    return (ClvPolicyFacts){
        .identity = identity,
        .creator = c->creator,
        .creator_present = host_is_in(c),
        .ticket_names = (const char *const *)c->ticket_names,
        .locked = c->locked,
        .n_participants = clv_roster_n_users(&c->roster, identity),
        .n_endpoints = clv_roster_n_endpoints(&c->roster, identity, except),
        .wall_us = c->wall_us,
        .pin_refused = clv_tries_are_used_up(c, identity),
    };
}

/* The seat that this leg takes over, if it may; (nullable). */
static const Member *
replaced_by(const ClvConference *c, const Member *member)
{
    const Member *old =
        member->replaces != 0 ? clv_roster_find(&c->roster, member->replaces) : NULL;

    return old != NULL && g_strcmp0(old->identity, member->identity) == 0 ? old : NULL;
}

static ClvPolicyFacts
facts_of_member(const ClvConference *c, const Member *member)
{
    ClvPolicyFacts facts = clv_judge_facts(c, member->identity, member);
    const Member *old = replaced_by(c, member);

    /* Of whom we called ourselves no more was asked than that (5.13). */
    facts.proof = member->dialed != NULL ? MAX(member->proof, CLV_PROOF_DIGEST) : member->proof;
    facts.ticket_offered = member->ticket_offered;
    /* of who is known by his ticket alone the wish for privacy says nothing */
    facts.anonymous =
        member->anonymous && (member->sip_identity != NULL || member->identity == NULL);
    facts.diverted = member->diverted;
    facts.secured = member->secured;
    facts.tls = member->tls;
    facts.n_by_creator = member->n_by_creator;
    facts.n_total = member->n_total;
    facts.scheme = member->scheme;
    facts.suite = member->suite;
    facts.expires_us = member->expires_us;
    facts.peer_name = member->peer_name;
    facts.identities = (const char *const *)member->identities;
    for (char **other = member->identities; other != NULL && *other != NULL; other++)
        facts.pin_refused |= clv_tries_are_used_up(c, *other);
    facts.admitted = member->admitted;
    facts.locked = c->locked && !member->admitted; /* who admits him opens that door as well */
    if (old != NULL) {                             /* nobody new: the same user at another end */
        facts.locked = FALSE;
        facts.admitted |= old->state > MEMBER_LOBBY;
        facts.pin_refused &= !clv_member_is_in(old);
        facts.n_endpoints -= facts.n_endpoints > 0 && old->has_media && old->state > MEMBER_LOBBY;
    }
    return facts;
}

ClvPolicyVerdict
clv_judge_facts_of(const ClvConference *c, ClvPolicyOp op, const ClvPolicyFacts *facts)
{
    gboolean banned = clv_judge_is_banned(c, facts->identity);

    for (guint i = 0; facts->identities != NULL && facts->identities[i] != NULL; i++)
        banned |= clv_judge_is_banned(c, facts->identities[i]);
    if (banned)
        return (ClvPolicyVerdict){
            .code = CLV_CODE_FORBIDDEN, .reason = "removed", .rule = "ban-on-removal"};
    return clv_policy_decide(c->view, op, facts);
}

ClvPolicyVerdict
clv_judge_member(const ClvConference *c, const Member *member, ClvPolicyOp op,
                 const char *const *ticket_names)
{
    ClvPolicyFacts facts = facts_of_member(c, member);

    if (op == CLV_OP_CREATE)
        facts.ticket_names = ticket_names;
    return clv_judge_facts_of(c, op, &facts);
}

gboolean
clv_judge_commands(const ClvConference *c, const Member *member)
{
    ClvPolicyFacts facts = facts_of_member(c, member);

    facts.proof = member->proof; /* who answered our call and proved nothing commands nothing */
    return clv_member_is_in(member) && clv_judge_facts_of(c, CLV_OP_LOCK, &facts).allow;
}

gboolean
clv_judge_agree(const char *sip_identity, const char *const *identities, const char *keys_identity)
{
    if (sip_identity == NULL || keys_identity == NULL || strcmp(sip_identity, keys_identity) == 0)
        return TRUE;
    return identities != NULL && g_strv_contains(identities, keys_identity);
}
