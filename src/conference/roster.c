/* SPDX-License-Identifier: Apache-2.0 */
/* conference/roster.c - who is in, who is on the way in, who may not come back? */
#include "conference/conference-private.h"

#include <string.h>

void
clv_member_free(Member *member)
{
    g_free(member->sip_identity);
    g_strfreev(member->identities);
    g_free(member->identity);
    g_free(member->display_name);
    g_free(member->peer);
    g_free(member->peer_name);
    g_free(member->referred_by);
    g_free(member->dialed);
    g_clear_pointer(&member->list, g_ptr_array_unref);
    explicit_bzero(member->digits, sizeof member->digits);
    g_free(member);
}

static void
member_free(gpointer data)
{
    clv_member_free(data);
}

void
clv_roster_init(Roster *roster)
{
    roster->members = g_ptr_array_new_with_free_func(member_free);
    roster->banned = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
}

void
clv_roster_clear(Roster *roster)
{
    g_clear_pointer(&roster->members, g_ptr_array_unref);
    g_clear_pointer(&roster->banned, g_hash_table_unref);
}

Member *
clv_roster_add_leg(Roster *roster, ClvLegId leg)
{
    Member *member = g_new0(Member, 1);

    member->leg = leg;
    g_ptr_array_add(roster->members, member);
    return member;
}

Member *
clv_roster_add(Roster *roster, ClvLegId leg, const ClvEvJoin *join)
{
    Member *member = clv_roster_add_leg(roster, leg);

    if (join->proof != CLV_PROOF_NONE) {
        member->sip_identity = g_strdup(join->identity);
        member->sip_proof = join->proof;
        member->identity = g_strdup(join->identity);
        member->proof = join->proof;
        member->identities = g_strdupv((char **)join->identities);
    }
    member->display_name = g_strdup(join->display_name);
    member->peer = g_strdup(join->peer);
    member->peer_name = g_strdup(join->peer_name);
    member->replaces = join->replaces;
    if (join->uri_list != NULL)
        member->list = g_ptr_array_ref(join->uri_list);
    member->creates = join->creates;
    member->ticket_offered = join->ticket_offered;
    member->anonymous = join->anonymous;
    member->diverted = join->diverted;
    member->secured = join->secured;
    member->tls = join->tls;
    member->has_media = join->has_media;
    member->direction = join->peer_direction;
    member->n_by_creator = join->n_by_creator;
    member->n_total = join->n_total;
    return member;
}

Member *
clv_roster_find(const Roster *roster, ClvLegId leg)
{
    for (guint i = 0; i < roster->members->len; i++) {
        Member *member = roster->members->pdata[i];

        if (member->leg == leg)
            return member;
    }
    return NULL;
}

Member *
clv_roster_take(Roster *roster, Member *member)
{
    guint index = 0;
    gboolean found = g_ptr_array_find(roster->members, member, &index);

    g_return_val_if_fail(found, NULL);
    return g_ptr_array_steal_index(roster->members, index); /* keeps the order of arrival */
}

static gboolean
holds_place(const Member *member)
{
    return member->has_media && member->state >= MEMBER_SEATED && member->identity != NULL;
}

guint
clv_roster_n_endpoints(const Roster *roster, const char *identity, const Member *except)
{
    guint n = 0;

    for (guint i = 0; identity != NULL && i < roster->members->len; i++) {
        const Member *member = roster->members->pdata[i];

        if (member != except && holds_place(member) && strcmp(member->identity, identity) == 0)
            n++;
    }
    return n;
}

guint
clv_roster_n_users(const Roster *roster, const char *identity)
{
    g_autoptr(GHashTable) users = g_hash_table_new(g_str_hash, g_str_equal);

    for (guint i = 0; i < roster->members->len; i++) {
        const Member *member = roster->members->pdata[i];

        if (holds_place(member) && g_strcmp0(member->identity, identity) != 0)
            g_hash_table_add(users, member->identity);
    }
    return g_hash_table_size(users);
}

guint
clv_roster_n_connected(const Roster *roster)
{
    guint n = 0;

    for (guint i = 0; i < roster->members->len; i++) {
        const Member *member = roster->members->pdata[i];

        n += clv_member_is_in(member);
    }
    return n;
}

guint
clv_roster_n_pending(const Roster *roster)
{
    guint n = 0;

    for (guint i = 0; i < roster->members->len; i++) {
        const Member *member = roster->members->pdata[i];

        n += member->state != MEMBER_LOBBY &&
             (member->state != MEMBER_CONNECTED || member->needs_pin);
    }
    return n;
}

/* On hold is who does not want to hear; who only listens is not. */
gboolean
clv_member_is_held(const Member *member)
{
    return (member->direction & CLV_DIR_RECVONLY) == 0;
}

gboolean
clv_member_is_in(const Member *member)
{
    return member->state == MEMBER_CONNECTED && member->has_media && !member->needs_pin;
}

const char *
clv_member_name(const Member *member)
{
    return member->identity != NULL ? member->identity : "somebody unproven";
}

const char *
clv_member_state_name(const Member *member)
{
    if (member->state == MEMBER_LOBBY)
        return "lobby";
    if (member->state != MEMBER_CONNECTED)
        return "joining";
    if (member->needs_pin)
        return "pin";
    return member->has_media && clv_member_is_held(member) ? "on-hold" : "connected";
}
