/* SPDX-License-Identifier: Apache-2.0 */
/* conference/plan.c - who hears whom?
 *
 * A peer that says sendonly talks and does not hear, one that says recvonly the other way round.
 */
#include "conference/conference-private.h"

ClvMixPlan *
clv_plan_new(ClvConferenceId id, const Roster *roster)
{
    guint n = clv_roster_n_connected(roster);
    ClvMixPlan *plan = g_malloc0(sizeof *plan + n * sizeof plan->members[0]);

    plan->conference = id;
    for (guint i = 0; i < roster->members->len; i++) {
        const Member *member = roster->members->pdata[i];

        if (!clv_member_is_in(member))
            continue;
        plan->members[plan->n_members++] = (ClvMixMember){
            .leg = member->leg,
            .talks = (member->direction & CLV_DIR_SENDONLY) != 0,
            .hears = (member->direction & CLV_DIR_RECVONLY) != 0,
        };
    }
    return plan;
}
