/* SPDX-License-Identifier: Apache-2.0 */
/* conference/look.c - what does a conference look like from outside, and after a restart? */
#include "conference/conference-private.h"

const char *
clv_conference_uri(const ClvConference *c)
{
    return c->uri;
}

const char *
clv_conference_creator(const ClvConference *c)
{
    return c->creator;
}

const char *const *
clv_conference_ticket_names(const ClvConference *c)
{
    return (const char *const *)c->ticket_names;
}

const char *
clv_conference_creation_ticket(const ClvConference *c)
{
    return c->creation_ticket;
}

const ClvPolicyView *
clv_conference_policy(const ClvConference *c)
{
    return c->view;
}

gboolean
clv_conference_is_over(const ClvConference *c)
{
    return c->over;
}

gboolean
clv_conference_is_locked(const ClvConference *c)
{
    return c->locked;
}

guint
clv_conference_n_members(const ClvConference *c)
{
    return c->roster.members->len;
}

void
clv_conference_member(const ClvConference *c, guint i, ClvMemberInfo *out)
{
    const Member *member;

    g_return_if_fail(i < c->roster.members->len);

    member = c->roster.members->pdata[i];
    *out = (ClvMemberInfo){
        .leg = member->leg,
        .identity = member->identity,
        .display_name = member->display_name,
        .state = clv_member_state_name(member),
        .proof = member->proof,
        .scheme = member->scheme,
        .suite = member->suite,
        .creator = clv_judge_is_creator(c, member->identity),
        .talking = member->talking,
        .has_media = member->has_media,
        .anonymous = member->anonymous,
        .joined_us = member->joined_us,
        .dialed_out = member->dialed != NULL,
        .referred_by = member->referred_by,
    };
}

/* Who has answered is a member. */
static const Dial *
dial_at(const ClvConference *c, guint wanted)
{
    for (guint i = 0; i < c->dials->len; i++) {
        const Dial *dial = c->dials->pdata[i];

        if (dial->state != DIAL_ANSWERED && wanted-- == 0)
            return dial;
    }
    return NULL;
}

guint
clv_conference_n_dials(const ClvConference *c)
{
    guint n = 0;

    while (dial_at(c, n) != NULL)
        n++;
    return n;
}

void
clv_conference_dial(const ClvConference *c, guint i, ClvDialInfo *out)
{
    static const char *const states[] = {
        [DIAL_WAITING] = "waiting", [DIAL_CALLING] = "dialing", [DIAL_RINGING] = "ringing"};
    const Dial *dial = dial_at(c, i);

    g_return_if_fail(dial != NULL);

    *out = (ClvDialInfo){
        .dial = dial->id,
        .target = dial->target,
        .state = states[dial->state],
        .referred_by = dial->referrer,
    };
}

void
clv_conference_facts(const ClvConference *c, const char *identity, ClvPolicyFacts *out)
{
    ClvPolicyFacts known = clv_judge_facts(c, identity, NULL);

    out->identity = identity;
    out->creator = known.creator;
    out->creator_present = known.creator_present;
    out->ticket_names = known.ticket_names;
    out->locked = known.locked;
    out->n_participants = known.n_participants;
    out->n_endpoints = known.n_endpoints;
    out->pin_refused = known.pin_refused;
}

gboolean
clv_conference_names(const ClvConference *c, const char *identity)
{
    ClvPolicyFacts facts = clv_judge_facts(c, identity, NULL);

    facts.proof = CLV_PROOF_TICKET;
    facts.secured = facts.tls = TRUE;
    facts.ticket_offered = c->creator == NULL; /* the set of a creation is not known yet */
    return clv_judge_facts_of(c, c->creator == NULL && !c->scheduled ? CLV_OP_CREATE : CLV_OP_STAY,
                              &facts)
        .allow;
}

gboolean
clv_conference_is_banned(const ClvConference *c, const char *identity)
{
    return clv_judge_is_banned(c, identity);
}

/* ---- over a restart ---- */

ClvConferenceRecord *
clv_conference_record(const ClvConference *c)
{
    ClvConferenceRecord *record = g_new0(ClvConferenceRecord, 1);
    guint n;

    record->uri = g_strdup(c->uri);
    record->creator = g_strdup(c->creator);
    record->ticket_hash = g_strdup(c->creation_ticket);
    record->ticket_names = g_strdupv(c->ticket_names);
    record->expires_us = c->expires_us;
    record->banned = (char **)g_hash_table_get_keys_as_array(c->roster.banned, &n);
    for (guint i = 0; i < n; i++)
        record->banned[i] = g_strdup(record->banned[i]);
    return record;
}

void
clv_conference_record_free(ClvConferenceRecord *record)
{
    if (record == NULL)
        return;
    g_free(record->uri);
    g_free(record->creator);
    g_free(record->ticket_hash);
    g_strfreev(record->ticket_names);
    g_strfreev(record->banned);
    g_free(record);
}

ClvConference *
clv_conference_restore(ClvConferenceId id, const ClvConferenceRecord *record, ClvPolicyView *view,
                       gint64 now_us, GArray *out)
{
    ClvConference *c = clv_conference_new(id, record->uri, view, now_us, out);

    c->creator = g_strdup(record->creator);
    c->creation_ticket = g_strdup(record->ticket_hash);
    c->ticket_names = g_strdupv(record->ticket_names);
    c->expires_us = record->expires_us;
    for (char **who = record->banned; who != NULL && *who != NULL; who++)
        g_hash_table_add(c->roster.banned, g_strdup(*who));
    return c;
}
