/* SPDX-License-Identifier: Apache-2.0 */
/* conference/allowed.c - who sets the allowed set, and who goes when it has changed? (5.2, 5.3) */
#include "conference/conference-private.h"

#include <string.h>

/* ---- the set ---- */

/* A ticket that names others than the focus, and is not the one in force. */
gboolean
clv_allowed_is_set_by(const ClvConference *c, const ClvEvKeys *keys)
{
    return keys->sets_allowed && !keys->updates_session && keys->ticket_names != NULL &&
           keys->ticket_names[0] != NULL && g_strcmp0(keys->ticket_hash, c->creation_ticket) != 0;
}

static void
take(ClvConference *c, const ClvEvKeys *keys)
{
    g_strfreev(c->ticket_names);
    c->ticket_names = g_strdupv((char **)keys->ticket_names);
    g_free(c->creation_ticket);
    c->creation_ticket = g_strdup(keys->ticket_hash);
}

void
clv_allowed_create(ClvConference *c, const ClvEvKeys *keys)
{
    take(c, keys);
    c->expires_us = keys->expires_us;
    clv_life_arm_end(c);
}

/* Who was removed comes back when the set names him again (5.8.4). */
void
clv_allowed_replace(ClvConference *c, const Member *member, const ClvEvKeys *keys)
{
    take(c, keys);
    for (char **name = c->ticket_names; *name != NULL; name++)
        g_hash_table_remove(c->roster.banned, *name);
    clv_say_note(c, member->leg, member->identity, "allowed set replaced by the ticket of %s",
                 clv_member_name(member));
    clv_allowed_judge_all(c);
}

void
clv_allowed_extend(ClvConference *c, const char *identity)
{
    guint n = c->ticket_names != NULL ? g_strv_length(c->ticket_names) : 0;

    g_hash_table_remove(c->roster.banned, identity);
    if (n > 0 && g_strv_contains((const char *const *)c->ticket_names, identity))
        return;
    c->ticket_names = g_renew(char *, c->ticket_names, n + 2);
    c->ticket_names[n] = g_strdup(identity);
    c->ticket_names[n + 1] = NULL;
}

/* ---- who goes ---- */

static gboolean
is_kept(const ClvConference *c, const ClvPolicyVerdict *verdict)
{
    return verdict->allow || (strcmp(verdict->reason, "not-in-allowed-set") == 0 &&
                              !clv_policy_removes_on_disallow(c->view));
}

/* Legs that prove themselves are asked when they have. */
static void
judge_members(ClvConference *c)
{
    Removal removal = clv_removal_new(CLV_CODE_FORBIDDEN, REASON_DISALLOWED, 403);

    for (guint i = 0; i < c->roster.members->len; i++) {
        Member *member = c->roster.members->pdata[i];
        ClvPolicyVerdict verdict;

        if (member->state == MEMBER_PROVING)
            continue;
        verdict = clv_judge_member(c, member, CLV_OP_STAY, NULL);
        if (!is_kept(c, &verdict))
            clv_removal_add(&removal, member, "%s no longer allowed: %s by %s",
                            clv_member_name(member), verdict.reason, verdict.rule);
    }
    clv_removal_finish(c, &removal);
}

/* A full house is no reason: somebody may leave before he answers. */
static gboolean
may_still_be_called(const ClvConference *c, const char *target, ClvPolicyVerdict *verdict)
{
    ClvPolicyFacts facts = clv_judge_facts(c, target, NULL);

    facts.n_participants = 0;
    facts.n_endpoints = 0;
    *verdict = clv_judge_facts_of(c, CLV_OP_DIAL, &facts);
    return verdict->allow || verdict->undecided;
}

void
clv_allowed_judge_dials(ClvConference *c)
{
    for (guint i = 0; i < c->dials->len;) {
        Dial *dial = c->dials->pdata[i];
        ClvPolicyVerdict verdict;

        if (dial->state == DIAL_ANSWERED || may_still_be_called(c, dial->target, &verdict)) {
            i++;
            continue;
        }
        clv_say_note(c, 0, dial->target, "call to %s given up: %s by %s", dial->target,
                     verdict.reason, verdict.rule);
        clv_dial_cancel(c, dial, REASON_DISALLOWED, 487);
    }
}

void
clv_allowed_judge_all(ClvConference *c)
{
    judge_members(c);
    if (c->over)
        return;
    clv_allowed_judge_dials(c);
    clv_dial_pump(c);
    clv_life_look_around(c);
}

/* ---- a re-offer (5.3) ---- */

static gboolean
has_scheme(const ClvConference *c, const ClvEvKeys *keys)
{
    gboolean scheme = FALSE, suite = keys->suite == CLV_SRTP_NONE;

    for (const ClvScheme *s = clv_policy_schemes(c->view); *s != CLV_SCHEME_NONE; s++)
        scheme |= *s == keys->scheme;
    for (const ClvSrtpSuite *s = clv_policy_suites(c->view); *s != CLV_SRTP_NONE; s++)
        suite |= *s == keys->suite;
    return keys->scheme == CLV_SCHEME_NONE || (scheme && suite);
}

/* As at joining: clocks may differ by so much. */
#define SKEW_US (300 * G_USEC_PER_SEC)

static gboolean
lasts_too_long(const ClvConference *c, const ClvEvKeys *keys)
{
    gint64 longest_us = clv_policy_max_ticket_lifetime_s(c->view) * G_USEC_PER_SEC;

    return !keys->updates_session && keys->expires_us != 0 && c->wall_us != 0 &&
           keys->expires_us - c->wall_us > longest_us + SKEW_US;
}

/* New keys prove as much as the first ones had to. */
static ClvPolicyVerdict
judge_new_keys(const ClvConference *c, const Member *member, const ClvEvKeys *keys)
{
    Member proven = *member;
    ClvPolicyVerdict verdict;

    if (!has_scheme(c, keys))
        return (ClvPolicyVerdict){.code = CLV_CODE_KEYMGMT_UNACCEPTABLE,
                                  .reason = "unsecured-media",
                                  .rule = "key-mgmt-allow and srtp-suites"};
    if (lasts_too_long(c, keys))
        return (ClvPolicyVerdict){.code = CLV_CODE_TICKET_REFUSED,
                                  .reason = "ticket-lifetime",
                                  .rule = "max-ticket-lifetime"};
    if (!clv_judge_agree(member->identity, NULL, keys->identity))
        return (ClvPolicyVerdict){
            .code = CLV_CODE_FORBIDDEN, .reason = "identity-mismatch", .rule = "the ticket"};
    if (!keys->updates_session) {
        proven.proof = MAX(keys->proof, member->sip_proof);
        proven.expires_us = keys->expires_us;
    }
    verdict = clv_judge_member(c, &proven, CLV_OP_STAY, NULL);
    verdict.allow = is_kept(c, &verdict);
    if (verdict.allow && clv_allowed_is_set_by(c, keys) && member->needs_pin)
        return (ClvPolicyVerdict){.code = CLV_CODE_FORBIDDEN, .reason = "pin", .rule = "pin"};
    if (verdict.allow && clv_allowed_is_set_by(c, keys))
        verdict = clv_judge_member(c, &proven, CLV_OP_ALLOW_CHANGE, NULL);
    return verdict;
}

static void
take_new_keys(Member *member, const ClvEvKeys *keys)
{
    member->scheme = keys->scheme;
    member->suite = keys->suite;
    if (keys->updates_session)
        return;
    member->expires_us = keys->expires_us;
    member->proof = MAX(keys->proof, member->sip_proof);
    if (member->identity == NULL)
        member->identity = g_strdup(keys->identity);
}

static void
refuse_reoffer(ClvConference *c, ClvLegId leg, ClvCode code)
{
    clv_say(c, (ClvAction){.kind = CLV_ACT_REOFFER_REFUSE, .leg = leg, .code = code});
}

void
clv_on_reoffer_keys(ClvConference *c, const ClvEvent *event)
{
    const ClvEvKeys *keys = event->keys;
    Member *member = clv_roster_find(&c->roster, event->leg);
    ClvPolicyVerdict verdict;
    gboolean sets;

    if (member == NULL)
        return;
    if (member->state < MEMBER_ANSWERED) {
        refuse_reoffer(c, event->leg, CLV_CODE_RETRY_LATER);
        return;
    }
    sets = clv_allowed_is_set_by(c, keys);
    verdict = judge_new_keys(c, member, keys);
    if (!verdict.allow) {
        clv_say_note(c, event->leg, member->identity, "re-offer of %s refused: %s by %s",
                     clv_member_name(member), verdict.reason, verdict.rule);
        refuse_reoffer(c, event->leg,
                       verdict.code != CLV_CODE_OK ? verdict.code : CLV_CODE_FORBIDDEN);
        return;
    }
    take_new_keys(member, keys);
    clv_say_on(c, CLV_ACT_REOFFER_ACCEPT, event->leg);
    if (sets)
        clv_allowed_replace(c, member, keys);
}
