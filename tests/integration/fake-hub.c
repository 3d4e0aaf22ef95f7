/* SPDX-License-Identifier: Apache-2.0 */
/* fake-hub.c - see fake-hub.h */
#include "config.h"

#include "fake-hub.h"

#include <string.h>

#include "base/secret.h"

#define OUR_OFFER                                                                                  \
    "v=0\r\no=- 9 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n"                    \
    "m=audio 40000 RTP/SAVP 8\r\na=rtpmap:8 PCMA/8000\r\na=crypto:" HUB_KEY "\r\n"

static const char *const codecs[] = {"PCMA", "PCMU", NULL};

void
hub_init(Hub *hub)
{
    memset(hub, 0, sizeof(*hub));
    hub->events = g_string_new(NULL);
    hub->confirms = TRUE;
}

void
hub_clear(Hub *hub)
{
    g_string_free(hub->events, TRUE);
    g_free(hub->identity);
    g_free(hub->display);
    g_free(hub->peer);
    g_free(hub->local_host);
    g_free(hub->from);
    g_free(hub->peer_name);
    g_free(hub->identities);
    g_free(hub->asserted);
    g_free(hub->claimed);
    g_free(hub->callee);
    g_free(hub->refer_target);
    g_free(hub->refer_replaces);
    g_free(hub->refer_ticket);
    g_free(hub->refer_identity);
    if (hub->uri_list != NULL)
        g_ptr_array_unref(hub->uri_list);
}

static void
note(Hub *hub, const char *word, const char *detail)
{
    if (hub->events->len > 4096)
        g_string_truncate(hub->events, 0);
    if (hub->events->len > 0)
        g_string_append_c(hub->events, ' ');
    g_string_append(hub->events, word);
    if (detail != NULL)
        g_string_append_printf(hub->events, ":%s", detail);
}

static char *
answer(const ClvSdp *offer)
{
    ClvSdpLocal local = {"127.0.0.1", 7, 1, codecs};
    ClvSdpChoice choice;
    ClvSdp *sdp;
    char *text;

    if (offer == NULL)
        return g_strdup(OUR_OFFER);
    if (strchr(offer->origin.host, ':') != NULL)
        local.host = "::1";
    if (clv_sdp_choose(offer, &local, &choice) != CLV_CODE_OK)
        return NULL;
    sdp = clv_sdp_answer(offer, &local, &choice, 40000, 40001, HUB_KEY, TRUE, FALSE);
    text = clv_sdp_format(sdp);
    clv_sdp_free(sdp);
    return text;
}

static void
accept_offer(Hub *hub, ClvLegId leg, const ClvSdp *offer, gboolean first)
{
    char *text = answer(offer);

    if (text != NULL) {
        clv_sip_accept(hub->sip, leg, HUB_CONFERENCE, text);
    } else {
        hub->n_alive -= first ? 1 : 0;
        clv_sip_refuse(hub->sip, leg, CLV_CODE_UNSECURED, 0, NULL);
    }
    clv_secret_free_string(text);
}

void
hub_accept(Hub *hub, ClvLegId leg)
{
    accept_offer(hub, leg, NULL, TRUE);
}

static void
replace_text(char **slot, const char *text)
{
    g_free(*slot);
    *slot = g_strdup(text);
}

static void
remember(Hub *hub, const ClvSipInvite *invite)
{
    hub->last_leg = invite->leg;
    hub->proof = invite->proof;
    hub->tls = invite->tls;
    hub->secured = invite->secured;
    hub->privacy = invite->privacy_id;
    hub->diverted = invite->diverted;
    g_free(hub->identity);
    g_free(hub->display);
    g_free(hub->peer);
    g_free(hub->local_host);
    g_free(hub->from);
    hub->identity = g_strdup(invite->identity);
    hub->display = g_strdup(invite->display_name);
    hub->peer = g_strdup(invite->peer);
    hub->local_host = g_strdup(invite->local_host);
    hub->from = g_strdup(invite->from_uri);
    replace_text(&hub->peer_name, invite->peer_name);
    g_free(hub->identities);
    hub->identities =
        invite->identities != NULL ? g_strjoinv(" ", (char **)invite->identities) : NULL;
    hub->replaces = invite->replaces;
    hub->joins = invite->joins;
    if (hub->uri_list != NULL)
        g_ptr_array_unref(hub->uri_list);
    hub->uri_list = invite->uri_list != NULL ? g_ptr_array_ref(invite->uri_list) : NULL;
}

static void
on_invite(Hub *hub, const ClvSipEvent *event)
{
    remember(hub, event->invite);
    hub->n_alive++;
    hub->n_calls++;
    switch (hub->mood) {
    case HUB_WANTS_DIGEST:
        if (event->invite->proof == CLV_PROOF_NONE) {
            hub->n_alive--;
            clv_sip_refuse(hub->sip, event->leg, CLV_CODE_UNAUTHENTICATED, 0, NULL);
            return;
        }
        accept_offer(hub, event->leg, event->invite->offer, TRUE);
        return;
    case HUB_ACCEPTS:
        clv_sip_progress(hub->sip, event->leg, 180, HUB_CONFERENCE);
        accept_offer(hub, event->leg, event->invite->offer, TRUE);
        return;
    case HUB_RINGS:
        clv_sip_progress(hub->sip, event->leg, 180, HUB_CONFERENCE);
        return;
    case HUB_REFUSES:
        hub->n_alive--;
        clv_sip_refuse(hub->sip, event->leg, hub->code, 0, NULL);
        return;
    case HUB_ENDS_AT_ONCE:
        hub->n_alive--;
        accept_offer(hub, event->leg, event->invite->offer, TRUE);
        clv_sip_end(hub->sip, event->leg, "SIP;cause=200;text=\"conference ended\"");
        return;
    case HUB_WAITS:
        return;
    }
}

/* ---- calls of ours ---- */

static void
on_call(Hub *hub, const ClvSipEvent *event)
{
    if (event->answerer != NULL) {
        replace_text(&hub->asserted, event->answerer->asserted);
        replace_text(&hub->claimed, event->answerer->claimed);
        hub->forwarded = event->answerer->forwarded;
        hub->call_diverted = event->answerer->diverted;
    }
    if (event->kind == CLV_SIP_FAILED)
        hub->n_alive--;
    if (event->kind != CLV_SIP_ANSWERED)
        return;
    hub->has_answer = event->offer != NULL;
    hub->tls = event->tls;
    hub->secured = event->secured;
    replace_text(&hub->callee, event->display_name);
    replace_text(&hub->peer_name, event->peer_name);
    if (hub->confirms)
        clv_sip_confirm(hub->sip, event->leg);
}

ClvLegId
hub_call(Hub *hub, const char *target, GPtrArray *history)
{
    ClvLegId leg = ++hub->n_legs;
    ClvSipCall call = {.target = target,
                       .focus_uri = HUB_CONFERENCE,
                       .display_name = "Weekly \"meeting\"",
                       .sdp = OUR_OFFER,
                       .history = history};

    if (!clv_sip_call(hub->sip, leg, &call))
        return 0;
    hub->n_alive++;
    hub->last_leg = leg;
    return leg;
}

/* ---- REFER ---- */

static void
on_refer(Hub *hub, const ClvSipRefer *refer)
{
    hub->n_refers++;
    hub->refer = refer->refer;
    hub->refer_leg = refer->leg;
    hub->refer_leg_is_named = refer->leg_is_named;
    hub->refer_target_leg = refer->target_leg;
    hub->refer_removes = refer->removes;
    hub->refer_names_dialog = refer->names_dialog;
    replace_text(&hub->refer_target, refer->target);
    replace_text(&hub->refer_replaces, refer->replaces);
    replace_text(&hub->refer_identity, refer->identity);
    replace_text(&hub->refer_ticket, refer->ticket != NULL ? refer->ticket->keymgmt[0] : NULL);
    if (hub->mood == HUB_WANTS_DIGEST && refer->proof == CLV_PROOF_NONE)
        clv_sip_refer_reply(hub->sip, refer->refer, CLV_CODE_UNAUTHENTICATED, FALSE);
    else if (!hub->refers_wait)
        clv_sip_refer_reply(hub->sip, refer->refer, hub->refer_code, FALSE);
}

static const char *const words[] = {
    [CLV_SIP_INVITE] = "invite",
    [CLV_SIP_REOFFER] = "reoffer",
    [CLV_SIP_CONFIRMED] = "confirmed",
    [CLV_SIP_REOFFER_DONE] = "done",
    [CLV_SIP_REOFFER_CANCELLED] = "reoffer-cancelled",
    [CLV_SIP_PROBED] = "probed",
    [CLV_SIP_ENDED] = "ended",
    [CLV_SIP_RINGING] = "ringing",
    [CLV_SIP_ANSWERED] = "answered",
    [CLV_SIP_FAILED] = "failed",
    [CLV_SIP_IDENTITY] = "identity",
    [CLV_SIP_REFER] = "refer",
    [CLV_SIP_REFER_STATUS] = "refer-status",
};

static void
note_event(Hub *hub, const ClvSipEvent *event)
{
    g_autofree char *status =
        g_strdup_printf("%u%s%s", event->status, event->last_status ? "!" : "",
                        event->lost ? "-lost" : "");

    note(hub, words[event->kind],
         event->kind == CLV_SIP_ENDED ? event->cause
         : event->status != 0         ? status
                                      : NULL);
}

static void
on_event(void *user, const ClvSipEvent *event)
{
    Hub *hub = user;

    note_event(hub, event);
    if (event->kind == CLV_SIP_INVITE)
        on_invite(hub, event);
    else if (event->kind == CLV_SIP_REOFFER && !hub->reoffers_wait)
        accept_offer(hub, event->leg, event->offer, FALSE);
    else if (event->kind == CLV_SIP_ENDED)
        hub->n_alive--;
    else if (event->kind == CLV_SIP_REFER)
        on_refer(hub, event->refer);
    else if (event->kind >= CLV_SIP_RINGING && event->kind <= CLV_SIP_IDENTITY)
        on_call(hub, event);
}

/* Every conference at any host, so that clients may call us by whatever address they like. */
static ClvSipTarget
classify(void *user, const char *uri)
{
    if (g_str_has_prefix(uri, "sip:factory.conf@"))
        return CLV_TARGET_FACTORY;
    if (g_str_has_prefix(uri, "sip:abc.conf@") || g_str_has_prefix(uri, "sip:conf"))
        return CLV_TARGET_CONFERENCE;
    if (g_str_has_prefix(uri, "sip:off.conf@"))
        return CLV_TARGET_DISABLED;
    if (g_str_has_prefix(uri, "sip:gone.conf@"))
        return CLV_TARGET_GONE;
    return CLV_TARGET_NONE;
}

static ClvLegId
new_leg(void *user)
{
    return ++((Hub *)user)->n_legs;
}

const ClvSipHandlers hub_handlers = {classify, new_leg, on_event};
