/* SPDX-License-Identifier: Apache-2.0 */
/* sip/sdp-qos.c - what must be reserved before anybody is alerted? (RFC 3312, 4032)
 *
 * We have our resources at once. So there is one thing to wait for: the other side's.
 */
#include "config.h"

#include "sip/sdp-private.h"

#include <string.h>

static const struct {
    const char *name;
    ClvDirection direction;
} directions[] = {
    {"none", CLV_DIR_INACTIVE},
    {"send", CLV_DIR_SENDONLY},
    {"recv", CLV_DIR_RECVONLY},
    {"sendrecv", CLV_DIR_SENDRECV},
};

static gboolean
read_direction(const char *word, ClvDirection *out)
{
    for (gsize i = 0; word != NULL && i < G_N_ELEMENTS(directions); i++) {
        if (strcmp(word, directions[i].name) == 0) {
            *out = directions[i].direction;
            return TRUE;
        }
    }
    return FALSE;
}

static const char *
direction_name(ClvDirection direction)
{
    for (gsize i = 0; i < G_N_ELEMENTS(directions); i++) {
        if (directions[i].direction == direction)
            return directions[i].name;
    }
    return "none";
}

/* FALSE: no such end. */
static gboolean
read_end(ClvQos *qos, const char *word, gboolean *out_local)
{
    if (word == NULL)
        return FALSE;
    *out_local = strcmp(word, "remote") != 0;
    if (strcmp(word, "e2e") == 0)
        qos->e2e = TRUE;
    return qos->e2e || strcmp(word, "local") == 0 || !*out_local;
}

static ClvNeed
need_of(const char *word)
{
    return strcmp(word, "mandatory") == 0  ? CLV_NEED_MANDATORY
           : strcmp(word, "optional") == 0 ? CLV_NEED_OPTIONAL
                                           : CLV_NEED_NONE;
}

/* The strongest wish counts; equal ones add up. */
static void
wish(ClvNeed *need, ClvDirection *wants, ClvNeed news, ClvDirection direction)
{
    if (news > *need) {
        *need = news;
        *wants = direction;
    } else if (news == *need && news != CLV_NEED_NONE) {
        *wants |= direction;
    }
}

void
clv_sdp_qos_read(ClvQos *qos, const char *name, const char *value)
{
    g_auto(GStrv) words = g_strsplit_set(value, " \t", 8);
    gboolean desired = strcmp(name, "des") == 0, local;
    guint n = g_strv_length(words), at = desired ? 2 : 1;
    ClvDirection direction;

    if (n != at + 2)
        return;
    if (strcmp(words[0], "qos") != 0) {
        qos->foreign |= desired && need_of(words[1]) == CLV_NEED_MANDATORY;
        return;
    }
    if (!read_end(qos, words[at], &local) || !read_direction(words[at + 1], &direction))
        return;
    if (strcmp(name, "conf") == 0) {
        qos->confirm = direction;
    } else if (!desired) {
        *(local ? &qos->local : &qos->remote) = direction;
    } else {
        qos->offered |= need_of(words[1]) != CLV_NEED_NONE;
        wish(local ? &qos->need_local : &qos->need_remote,
             local ? &qos->wants_local : &qos->wants_remote, need_of(words[1]), direction);
    }
}

static gboolean
lacks(ClvDirection has, ClvDirection wants)
{
    return (wants & ~has) != 0;
}

static gboolean
waits(const ClvQos *qos)
{
    return qos->offered && qos->need_local == CLV_NEED_MANDATORY &&
           lacks(qos->local, qos->wants_local);
}

static gboolean
any_live(const ClvSdp *sdp, gboolean (*is)(const ClvQos *qos))
{
    for (guint i = 0; i < sdp->n_media; i++) {
        if (sdp->media[i].port != 0 && is(&sdp->media[i].qos))
            return TRUE;
    }
    return FALSE;
}

gboolean
clv_sdp_qos_waits(const ClvSdp *offer)
{
    return any_live(offer, waits);
}

static gboolean
is_foreign(const ClvQos *qos)
{
    return qos->foreign;
}

gboolean
clv_sdp_qos_is_foreign(const ClvSdp *offer)
{
    return any_live(offer, is_foreign);
}

static gboolean
is_mandatory(const ClvQos *qos)
{
    return qos->need_local == CLV_NEED_MANDATORY || qos->need_remote == CLV_NEED_MANDATORY;
}

gboolean
clv_sdp_qos_is_mandatory(const ClvSdp *offer)
{
    return any_live(offer, is_mandatory);
}

static ClvDirection
mirrored(ClvDirection d)
{
    return ((d & CLV_DIR_SENDONLY) != 0 ? CLV_DIR_RECVONLY : CLV_DIR_INACTIVE) |
           ((d & CLV_DIR_RECVONLY) != 0 ? CLV_DIR_SENDONLY : CLV_DIR_INACTIVE);
}

ClvQos
clv_sdp_qos_answer(const ClvQos *offered)
{
    ClvQos ours = {.offered = offered->offered, .e2e = offered->e2e};

    if (!offered->offered)
        return ours;
    if (offered->e2e) {
        ours.local = mirrored(offered->local);
        ours.need_local = offered->need_local;
        ours.wants_local = mirrored(offered->wants_local);
        ours.confirm = waits(offered) ? ours.wants_local : CLV_DIR_INACTIVE;
        return ours;
    }
    ours.local = CLV_DIR_SENDRECV;
    ours.remote = mirrored(offered->local);
    ours.need_local = offered->need_remote;
    ours.wants_local = mirrored(offered->wants_remote);
    ours.need_remote = offered->need_local;
    ours.wants_remote = mirrored(offered->wants_local);
    ours.confirm = waits(offered) ? CLV_DIR_SENDRECV : CLV_DIR_INACTIVE;
    return ours;
}

static void
put_wish(GString *out, ClvNeed need, const char *end, ClvDirection direction)
{
    if (need != CLV_NEED_NONE)
        g_string_append_printf(out, "a=des:qos %s %s %s\r\n",
                               need == CLV_NEED_MANDATORY ? "mandatory" : "optional", end,
                               direction_name(direction));
}

char *
clv_sdp_qos_format(const ClvQos *qos)
{
    GString *out = g_string_new(NULL);
    const char *local = qos->e2e ? "e2e" : "local";

    if (!qos->offered)
        return g_string_free(out, FALSE);
    g_string_append_printf(out, "a=curr:qos %s %s\r\n", local, direction_name(qos->local));
    if (!qos->e2e || qos->need_remote != CLV_NEED_NONE)
        g_string_append_printf(out, "a=curr:qos remote %s\r\n", direction_name(qos->remote));
    put_wish(out, qos->need_local, local, qos->wants_local);
    put_wish(out, qos->need_remote, "remote", qos->wants_remote);
    if (qos->confirm != CLV_DIR_INACTIVE)
        g_string_append_printf(out, "a=conf:qos %s %s\r\n", qos->e2e ? "e2e" : "remote",
                               direction_name(qos->confirm));
    return g_string_free(out, FALSE);
}
