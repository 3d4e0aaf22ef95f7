/* SPDX-License-Identifier: Apache-2.0 */
/* daemon/console.c - what conclavectl is told and what it may order */
#include <stdlib.h>
#include <string.h>

#include "base/identity.h"
#include <config.h>
#include "daemon/explain.h"
#include "daemon/hub-private.h"

static const char *const scheme_names[CLV_N_SCHEMES] = {
    [CLV_SCHEME_NONE] = NULL,       [CLV_SCHEME_MIKEY_TICKET] = "mikey-ticket",
    [CLV_SCHEME_OR_KMS] = "or-kms", [CLV_SCHEME_DTLS_SRTP] = "dtls-srtp",
    [CLV_SCHEME_SDES] = "sdes",
};

static const char *const suite_names[CLV_N_SRTP_SUITES] = {
    [CLV_SRTP_NONE] = NULL,
    [CLV_SRTP_AES_CM_128_HMAC_SHA1_80] = "AES_CM_128_HMAC_SHA1_80",
    [CLV_SRTP_AES_CM_128_HMAC_SHA1_32] = "AES_CM_128_HMAC_SHA1_32",
    [CLV_SRTP_AES_256_CM_HMAC_SHA1_80] = "AES_256_CM_HMAC_SHA1_80",
    [CLV_SRTP_AES_256_CM_HMAC_SHA1_32] = "AES_256_CM_HMAC_SHA1_32",
    [CLV_SRTP_AEAD_AES_128_GCM] = "AEAD_AES_128_GCM",
    [CLV_SRTP_AEAD_AES_256_GCM] = "AEAD_AES_256_GCM",
};

static const char *const proof_names[] = {"none", "digest", "asserted", "ticket"};

static void
add_listening(const ClvHub *hub, ClvReport *report)
{
    static const char *const columns[] = {"transport", NULL};

    clv_report_table(report, "listening", columns);
    for (const char *const *l = clv_sip_listening(hub->sip); *l != NULL; l++)
        clv_report_cell(report, *l);
}

static void
add_kms(ClvHub *hub, ClvReport *report)
{
    ClvKmsClientState kms;

    clv_kms_client_state(hub->kms.client, &kms);
    clv_report_text(report, "kms-url", hub->kms.url);
    clv_report_text(report, "kms-state", kms.breaker_open ? "left alone after failures" : "asked");
    clv_report_int(report, "kms-outstanding", kms.outstanding);
    clv_report_int(report, "kms-requests", (gint64)kms.requests);
    clv_report_int(report, "kms-failures", (gint64)kms.failures);
    clv_report_int(report, "kms-timeouts", (gint64)kms.timeouts);
    clv_report_int(report, "kms-latency-us", kms.last_latency_us);
    clv_report_text(report, "kms-last-error", kms.last_error[0] != '\0' ? kms.last_error : NULL);
}

static const char *const breaker_words[] = {
    [CLV_KMS_BREAKER_CLOSED] = "asked",
    [CLV_KMS_BREAKER_HALF_OPEN] = "looked at",
    [CLV_KMS_BREAKER_OPEN] = "left alone",
};

static void
add_kms_url(ClvReport *report, const ClvKmsUrlState *url)
{
    clv_report_cell(report, url->url);
    clv_report_cell(report, breaker_words[url->breaker]);
    clv_report_cell(report, url->preferred ? "yes" : "no");
    clv_report_cell_int(report, url->failures_in_row);
    clv_report_cell_int(report, (gint64)url->requests);
    clv_report_cell_int(report, (gint64)url->failures);
    clv_report_cell_int(report, (gint64)url->timeouts);
    clv_report_cell_int(report, url->last_latency_us);
    clv_report_cell_int(report,
                        url->requests > 0 ? (gint64)(url->latency_sum_us / url->requests) : 0);
    clv_report_cell_int(report, url->retry_in_ms);
    clv_report_cell(report, url->last_error);
}

static gboolean
show_kms(ClvHub *hub, const ClvCommand *command, ClvReport *report, GError **error)
{
    static const char *const columns[] = {
        "url",        "state",    "next",       "failures-in-row", "requests",
        "failures",   "timeouts", "latency-us", "mean-latency-us", "retry-in-ms",
        "last-error", NULL,
    };
    ClvKmsClientState all;

    clv_kms_client_state(hub->kms.client, &all);
    clv_report_text(report, "kms", hub->config->kms_uri);
    clv_report_text(report, "user", hub->config->kms_user);
    clv_report_bool(report, "embedded", hub->kms.service != NULL);
    clv_report_int(report, "outstanding", all.outstanding);
    clv_report_int(report, "requests", (gint64)all.requests);
    clv_report_int(report, "failures", (gint64)all.failures);
    clv_report_int(report, "timeouts", (gint64)all.timeouts);
    clv_report_table(report, "urls", columns);
    for (guint i = 0; i < clv_kms_client_n_urls(hub->kms.client); i++) {
        ClvKmsUrlState url;

        clv_kms_client_url_state(hub->kms.client, i, &url);
        add_kms_url(report, &url);
    }
    return TRUE;
}

static gboolean
show_status(ClvHub *hub, const ClvCommand *command, ClvReport *report, GError **error)
{
    ClvSipTotals sip;
    ClvMediaTotals media;

    clv_sip_totals(hub->sip, &sip);
    clv_media_totals(hub->media, &media);
    clv_report_text(report, "version", PACKAGE_VERSION);
    clv_report_int(report, "uptime-s", (hub_now() - hub->started_us) / G_USEC_PER_SEC);
    clv_report_text(report, "factory", clv_hub_factory_uri(hub));
    clv_report_int(report, "conferences", clv_id_count(hub->rooms));
    clv_report_int(report, "legs", clv_id_count(hub->legs));
    clv_report_int(report, "conferences-ever", (gint64)hub->n_conferences);
    clv_report_int(report, "joins-ever", (gint64)hub->n_joins);
    clv_report_int(report, "refusals-ever", (gint64)hub->n_refused);
    clv_report_int(report, "sip-dialogs", sip.dialogs);
    clv_report_int(report, "sip-connections", sip.connections);
    clv_report_int(report, "sip-malformed", (gint64)sip.malformed);
    clv_report_int(report, "media-legs", media.legs);
    clv_report_int(report, "packets-received", (gint64)media.rx_packets);
    clv_report_int(report, "packets-sent", (gint64)media.tx_packets);
    clv_report_int(report, "packets-dropped", (gint64)media.dropped);
    clv_report_int(report, "tick-mean-us", media.tick_mean_us);
    clv_report_int(report, "tick-worst-us", media.tick_worst_us);
    clv_report_int(report, "policy-snapshot", (gint64)hub->policy_snapshot);
    clv_report_int(report, "policy-failures", (gint64)hub->policy_failures);
    clv_report_text(report, "metrics",
                    hub->metrics != NULL ? clv_metrics_port_url(hub->metrics) : NULL);
    add_kms(hub, report);
    add_listening(hub, report);
    return TRUE;
}

static void
list_room(guint64 id, gpointer object, gpointer user)
{
    const Room *room = object;
    ClvReport *report = user;

    clv_report_cell(report, clv_conference_uri(room->conference));
    clv_report_cell(report, room->scheduled != NULL ? room->scheduled : room->factory);
    clv_report_cell(report, clv_conference_creator(room->conference));
    clv_report_cell_int(report, clv_conference_n_members(room->conference));
}

static gboolean
list_rooms(ClvHub *hub, const ClvCommand *command, ClvReport *report, GError **error)
{
    static const char *const columns[] = {"uri", "made-by", "creator", "participants", NULL};

    clv_report_table(report, "conferences", columns);
    clv_id_foreach(hub->rooms, list_room, report);
    return TRUE;
}

static Room *
find_room(ClvHub *hub, const char *text, GError **error)
{
    Room *room = hub_find_room(hub, text);

    if (room == NULL)
        g_set_error(error, CLV_CONTROL_ERROR, 0,
                    "no conference '%s', or several that begin so; see conclavectl list", text);
    return room;
}

static void
add_member(ClvHub *hub, const Room *room, guint i, ClvReport *report)
{
    ClvMemberInfo info;
    ClvMediaStats stats = {0};

    clv_conference_member(room->conference, i, &info);
    clv_media_stats(hub->media, info.leg, &stats);
    clv_report_cell_int(report, (gint64)info.leg);
    clv_report_cell(report, info.identity);
    clv_report_cell(report, info.display_name);
    clv_report_cell(report, info.creator ? "creator" : "participant");
    clv_report_cell(report, info.state);
    clv_report_cell(report, info.dialed_out ? "called" : "dialed in");
    clv_report_cell(report, info.referred_by);
    clv_report_cell(report, info.talking ? "yes" : "no");
    clv_report_cell(report, proof_names[info.proof]);
    clv_report_cell(report, scheme_names[info.scheme]);
    clv_report_cell(report, suite_names[info.suite]);
    clv_report_cell_int(report, (gint64)stats.rx_packets);
    clv_report_cell_int(report, (gint64)stats.rx_lost);
    clv_report_cell_int(report, (gint64)stats.tx_packets);
    clv_report_cell_int(report, (gint64)stats.jitter_us);
    clv_report_cell_int(report, (gint64)(stats.rx_auth_failed + stats.rx_clear));
    clv_report_cell_int(report, (gint64)stats.rx_replayed);
    clv_report_cell_int(report, stats.level_dbov);
}

static void
add_dials(const Room *room, ClvReport *report)
{
    static const char *const columns[] = {"calling", "state", "for", NULL};

    if (clv_conference_n_dials(room->conference) == 0)
        return;
    clv_report_table(report, "calls", columns);
    for (guint i = 0; i < clv_conference_n_dials(room->conference); i++) {
        ClvDialInfo info;

        clv_conference_dial(room->conference, i, &info);
        clv_report_cell(report, info.target);
        clv_report_cell(report, info.state);
        clv_report_cell(report, info.referred_by);
    }
}

static gboolean
show_room(ClvHub *hub, const ClvCommand *command, ClvReport *report, GError **error)
{
    static const char *const columns[] = {
        "leg",      "identity",  "name",        "role",     "state",    "came",
        "brought-by", "talking", "proof",       "keys",     "suite",    "received",
        "lost",     "sent",      "jitter-us",   "unauthentic", "replayed", "level-db",
        NULL,
    };
    static const char *const name_columns[] = {"ticket-names", NULL};
    Room *room = find_room(hub, command->args[0], error);
    const char *const *names;

    if (room == NULL)
        return FALSE;
    names = clv_conference_ticket_names(room->conference);
    clv_report_text(report, "uri", clv_conference_uri(room->conference));
    clv_report_text(report, "made-by", room->scheduled != NULL ? room->scheduled : room->factory);
    clv_report_text(report, "creator", clv_conference_creator(room->conference));
    clv_report_text(report, "subject", clv_policy_subject(clv_conference_policy(room->conference)));
    clv_report_text(report, "locked", clv_conference_is_locked(room->conference) ? "yes" : "no");
    clv_report_table(report, "participants", columns);
    for (guint i = 0; i < clv_conference_n_members(room->conference); i++)
        add_member(hub, room, i, report);
    add_dials(room, report);
    if (names != NULL && names[0] != NULL) {
        clv_report_table(report, "ticket-names", name_columns);
        for (; *names != NULL; names++)
            clv_report_cell(report, *names);
    }
    return TRUE;
}

static gboolean
is_member(const Room *room, const char *who, ClvLegId leg)
{
    for (guint i = 0; i < clv_conference_n_members(room->conference); i++) {
        ClvMemberInfo info;

        clv_conference_member(room->conference, i, &info);
        if (who != NULL ? g_strcmp0(info.identity, who) == 0 : info.leg == leg)
            return TRUE;
    }
    return FALSE;
}

static gboolean
is_called(const Room *room, const char *who)
{
    for (guint i = 0; who != NULL && i < clv_conference_n_dials(room->conference); i++) {
        ClvDialInfo info;

        clv_conference_dial(room->conference, i, &info);
        if (strcmp(info.target, who) == 0)
            return TRUE;
    }
    return FALSE;
}

static gboolean
kick(ClvHub *hub, const ClvCommand *command, ClvReport *report, GError **error)
{
    Room *room = find_room(hub, command->args[0], error);
    g_autofree char *who = clv_identity_canonical(command->args[1], -1);
    ClvLegId leg = who == NULL ? g_ascii_strtoull(command->args[1], NULL, 10) : 0;
    ClvEvent event = {.kind = CLV_EV_KICK, .leg = leg, .who = who, .cause = "removed"};

    if (room == NULL)
        return FALSE;
    if (!is_member(room, who, leg) && !is_called(room, who)) {
        g_set_error(error, CLV_CONTROL_ERROR, 0,
                    who != NULL || leg != 0
                        ? "'%s' is not in this conference"
                        : "found '%s', expected sip:NAME@HOST, tel:+DIGITS or a number of the column "
                          "LEG of conclavectl show",
                    command->args[1]);
        return FALSE;
    }
    clv_report_text(report, "removed", command->args[1]);
    hub_feed(hub, room->id, &event);
    return TRUE;
}

static gboolean
end_room(ClvHub *hub, const ClvCommand *command, ClvReport *report, GError **error)
{
    Room *room = find_room(hub, command->args[0], error);
    ClvEvent event = {.kind = CLV_EV_END, .cause = "ended by the operator"};

    if (room == NULL)
        return FALSE;
    clv_report_text(report, "ended", clv_conference_uri(room->conference));
    hub_feed(hub, room->id, &event);
    return TRUE;
}

static gboolean
reload(ClvHub *hub, const ClvCommand *command, ClvReport *report, GError **error)
{
    g_autoptr(GPtrArray) errors = g_ptr_array_new_with_free_func(g_free);
    g_autofree char *text = NULL;

    if (clv_hub_reload(hub, errors)) {
        clv_report_text(report, "reload", "done");
        return TRUE;
    }
    g_ptr_array_add(errors, NULL);
    text = g_strjoinv("\n", (char **)errors->pdata);
    g_set_error(error, CLV_CONTROL_ERROR, 0, "not everything was taken over:\n%s", text);
    return FALSE;
}

/* ---- the lobby and the lock ---- */

static guint
count_waiting(const Room *room, const char *who)
{
    guint n = 0;

    for (guint i = 0; i < clv_conference_n_members(room->conference); i++) {
        ClvMemberInfo info;

        clv_conference_member(room->conference, i, &info);
        n +=
            strcmp(info.state, "lobby") == 0 && (who == NULL || g_strcmp0(info.identity, who) == 0);
    }
    return n;
}

static gboolean
admit(ClvHub *hub, const ClvCommand *command, ClvReport *report, GError **error)
{
    Room *room = find_room(hub, command->args[0], error);
    const char *text = command->args[1];
    g_autofree char *who = text != NULL ? clv_identity_canonical(text, -1) : NULL;
    ClvEvent event = {.kind = CLV_EV_ADMIT, .who = who};
    guint n;

    if (room == NULL)
        return FALSE;
    n = text == NULL || who != NULL ? count_waiting(room, who) : 0;
    if (n == 0) {
        if (text == NULL)
            g_set_error_literal(error, CLV_CONTROL_ERROR, 0, "nobody waits in the lobby");
        else if (who == NULL)
            g_set_error(error, CLV_CONTROL_ERROR, 0,
                        "found '%s', expected sip:NAME@HOST or tel:+DIGITS", text);
        else
            g_set_error(error, CLV_CONTROL_ERROR, 0, "'%s' does not wait in the lobby", text);
        return FALSE;
    }
    clv_report_int(report, "admitted", n);
    hub_feed(hub, room->id, &event);
    return TRUE;
}

static gboolean
set_lock(ClvHub *hub, const ClvCommand *command, ClvReport *report, GError **error)
{
    Room *room = find_room(hub, command->args[0], error);
    gboolean locks = command->verb == CLV_VERB_LOCK;
    ClvEvent event = {.kind = CLV_EV_LOCK, .flag = locks};

    if (room == NULL)
        return FALSE;
    clv_report_text(report, locks ? "locked" : "unlocked", clv_conference_uri(room->conference));
    hub_feed(hub, room->id, &event);
    return TRUE;
}

/* ---- the policy: what holds here, and why? ---- */

/* A running conference lives by a view of its own, the rest by the policy in force.
 * @out_room: (out) (nullable). Returns: (nullable); @out_own: (transfer full) when not a room's */
static const ClvPolicyView *
find_view(ClvHub *hub, const char *target, Room **out_room, ClvPolicyView **out_own,
          gboolean *out_creates, GError **error)
{
    *out_creates = FALSE;
    *out_room = hub_find_room(hub, target);
    if (*out_room != NULL)
        return clv_conference_policy((*out_room)->conference);
    *out_own = clv_explain_find(hub->policy, target, out_creates);
    if (*out_own == NULL)
        g_set_error(error, CLV_CONTROL_ERROR, 0,
                    "no conference and no factory '%s', or several conferences that begin so",
                    target);
    return *out_own;
}

static gboolean
show_policy(ClvHub *hub, const ClvCommand *command, ClvReport *report, GError **error)
{
    gboolean names_factory = strcmp(command->args[1], "factory") == 0 && command->args[2] != NULL;
    g_autoptr(ClvPolicyView) own = NULL;
    const ClvPolicyView *view;
    gboolean creates;
    Room *room;

    if (strcmp(command->args[0], "show") != 0 || (command->args[2] != NULL && !names_factory)) {
        g_set_error_literal(error, CLV_CONTROL_ERROR, 0,
                            "expected: policy show CONFERENCE, or policy show factory NAME");
        return FALSE;
    }
    if (names_factory)
        view = own = clv_policy_view_factory(hub->policy, command->args[2]);
    else
        view = find_view(hub, command->args[1], &room, &own, &creates, error);
    if (view == NULL && names_factory)
        g_set_error(error, CLV_CONTROL_ERROR, 0, "no factory '%s'", command->args[2]);
    if (view == NULL)
        return FALSE;
    clv_explain_view(view, report);
    return TRUE;
}

static gboolean
why(ClvHub *hub, const ClvCommand *command, ClvReport *report, GError **error)
{
    g_autofree char *who = clv_identity_canonical(command->args[0], -1);
    g_autoptr(ClvPolicyView) own = NULL;
    ClvPolicyFacts facts = clv_explain_facts(who, hub_wall());
    const ClvPolicyView *view;
    gboolean creates;
    ClvPolicyOp op;
    Room *room;

    if (who == NULL) {
        g_set_error(error, CLV_CONTROL_ERROR, 0,
                    "found '%s', expected sip:NAME@HOST or tel:+DIGITS", command->args[0]);
        return FALSE;
    }
    view = find_view(hub, command->args[1], &room, &own, &creates, error);
    if (view == NULL)
        return FALSE;
    if (!clv_explain_op(command->args[2], creates, &op)) {
        g_set_error(error, CLV_CONTROL_ERROR, 0,
                    "found '%s', expected join, create, refer, remove or dial", command->args[2]);
        return FALSE;
    }
    if (room != NULL) {
        clv_conference_facts(room->conference, who, &facts);
        facts.banned = clv_conference_is_banned(room->conference, who);
        facts.proof = CLV_PROOF_TICKET;
        facts.secured = facts.tls = TRUE;
    }
    clv_explain_verdict(view, op, &facts, report);
    return TRUE;
}

typedef gboolean (*VerbFunc)(ClvHub *hub, const ClvCommand *command, ClvReport *report,
                             GError **error);

static const VerbFunc verb_table[CLV_N_VERBS] = {
    [CLV_VERB_STATUS] = show_status, [CLV_VERB_LIST] = list_rooms,    [CLV_VERB_SHOW] = show_room,
    [CLV_VERB_KICK] = kick,          [CLV_VERB_END] = end_room,       [CLV_VERB_RELOAD] = reload,
    [CLV_VERB_KMS] = show_kms,       [CLV_VERB_POLICY] = show_policy, [CLV_VERB_WHY] = why,
    [CLV_VERB_ADMIT] = admit,        [CLV_VERB_LOCK] = set_lock,      [CLV_VERB_UNLOCK] = set_lock,
};

gboolean
console_handle(const ClvCommand *command, ClvReport *report, void *user, GError **error)
{
    return verb_table[command->verb](user, command, report, error);
}
