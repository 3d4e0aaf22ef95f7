/* SPDX-License-Identifier: Apache-2.0 */
/* ua/called.c - somebody calls us, or offers something else in the call */
#include "ua/session-private.h"

#include "base/identity.h"
#include "base/secret.h"

#include <openssl/crypto.h>
#include <string.h>

#define SWITCH_TX_MS 200

/* ---- being called ------------------------------------------------------------------------ */

/* Which m-line we take: audio, alive, with one of our codecs; -1: none */
static int
choose_media(const Session *s, const ClvSdp *offer)
{
    for (guint i = 0; i < offer->n_media; i++)
        if (strcmp(offer->media[i].type, "audio") == 0 && offer->media[i].port != 0 &&
            clv_ua_find_codec(s, &offer->media[i]) != NULL)
            return (int)i;
    return -1;
}

/* The other side's direction, seen from here. */
static ClvDirection
mirrored(ClvDirection theirs)
{
    return (ClvDirection)((theirs & CLV_DIR_SENDONLY ? CLV_DIR_RECVONLY : 0) |
                          (theirs & CLV_DIR_RECVONLY ? CLV_DIR_SENDONLY : 0));
}

/* Returns: (transfer full): as many m-lines as in the offer, all but one refused */
static ClvSdp *
make_answer(Session *s, const ClvSdp *offer, guint chosen)
{
    ClvSdp *sdp = g_new0(ClvSdp, 1);

    clv_ua_fill_origin(s, sdp);
    sdp->n_media = offer->n_media;
    for (guint i = 0; i < offer->n_media; i++) {
        const ClvSdpMedia *theirs = &offer->media[i];
        ClvSdpMedia *ours = &sdp->media[i];

        g_strlcpy(ours->type, theirs->type, sizeof ours->type);
        g_strlcpy(ours->proto, theirs->proto, sizeof ours->proto);
        g_strlcpy(ours->formats, theirs->formats, sizeof ours->formats);
        ours->direction = CLV_DIR_INACTIVE;
        g_strlcpy(ours->rtp.host, s->local_host, sizeof ours->rtp.host);
        if (i != chosen)
            continue;
        clv_ua_fill_media(s, ours);
        ours->direction = (ClvDirection)(s->direction & mirrored(theirs->direction));
        ours->codecs[0] = *clv_ua_find_codec(s, theirs);
        ours->n_codecs = 1;
        if (clv_ua_event_pt(theirs) >= 0)
            ours->codecs[ours->n_codecs++] = (ClvCodec){.pt = (guint8)clv_ua_event_pt(theirs),
                                                        .name = "telephone-event",
                                                        .rate_hz = 8000,
                                                        .channels = 1,
                                                        .fmtp = "0-15"};
    }
    return sdp;
}

/* What calls itself a focus must be the conference that its ticket proves. */
static gboolean
is_the_focus(Session *s)
{
    ClvUaKeysInfo info = clv_ua_keys_info(s->keys);
    g_autofree char *where = s->contact != NULL ? clv_identity_canonical(s->contact, -1) : NULL;

    if (!s->isfocus || info.peer == NULL || g_strcmp0(where, info.peer) == 0)
        return TRUE;
    s->exit = CLV_UA_EXIT_KEYS;
    clv_ua_tell_problem(s, "keys-failed", "the Contact is another conference than the ticket's");
    return FALSE;
}

/* Returns: status to answer with; the answer in @out_text, to be cleansed */
static int
answer_offer(Session *s, const ClvUaPhoneEvent *event, char **out_text)
{
    GError *error = NULL;
    ClvSdp *offer = event->sdp != NULL ? clv_sdp_parse(event->sdp, event->sdp_len, &error) : NULL;
    ClvSdp *answer = NULL;
    ClvSrtpKeys tx = {0}, rx = {0};
    int media = offer != NULL ? choose_media(s, offer) : -1;
    int status = 488;
    gboolean changed;

    if (offer == NULL) {
        clv_ua_tell_problem(s, "bad-offer", error != NULL ? error->message : "no SDP in the call");
        status = event->sdp != NULL ? 400 : 488;
    } else if (media < 0) {
        clv_ua_tell_problem(s, "bad-offer", "no audio with a codec of ours");
    } else {
        answer = make_answer(s, offer, (guint)media);
        if (!clv_ua_keys_answer(s->keys, offer, (guint)media, clv_ua_stream_ssrc(s->stream), answer,
                                &tx, &rx, &error)) {
            clv_ua_fail_keys(s, g_steal_pointer(&error));
        } else if (!is_the_focus(s)) {
            status = 403;
        } else {
            changed = memcmp(&tx, &s->tx, sizeof tx) != 0 || memcmp(&rx, &s->rx, sizeof rx) != 0;
            s->tx = tx;
            s->rx = rx;
            if (clv_ua_start_media(s, &offer->media[media], changed, s->connected, &error)) {
                *out_text = clv_sdp_format(answer);
                status = 200;
            } else {
                clv_ua_tell_problem(s, "no-media", error->message);
            }
        }
    }
    clv_srtp_keys_clear(&tx);
    clv_srtp_keys_clear(&rx);
    clv_sdp_free(answer);
    clv_sdp_free(offer);
    g_clear_error(&error);
    return status;
}

static void
refuse_caller(Session *s, int status)
{
    clv_ua_phone_answer(s->phone, status, NULL);
    s->state = "refused";
    s->status = status;
    if (s->exit == CLV_UA_EXIT_OK)
        s->exit = CLV_UA_EXIT_REFUSED;
    clv_ua_leave(s);
}

/* The offer is kept as text until it stops ringing. */
typedef struct Ringing {
    Session *session;
    char *sdp;
    gsize len;
} Ringing;

static void
pick_up(Ringing *ringing)
{
    Session *s = ringing->session;
    ClvUaPhoneEvent event = {.sdp = ringing->sdp, .sdp_len = ringing->len};
    char *text = NULL;
    int status = s->options->answer_status != 0 ? (int)s->options->answer_status
                                                : answer_offer(s, &event, &text);

    if (status == 200) {
        s->status = 200;
        clv_ua_phone_answer(s->phone, 200, text);
    } else {
        refuse_caller(s, status);
    }
    clv_secret_free_string(text);
}

static void
on_ring(void *user)
{
    Session *s = user;

    s->ring = NULL;
    pick_up(s->ringing);
    clv_ua_forget_ringing(s);
}

void
clv_ua_forget_ringing(Session *s)
{
    clv_timer_cancel(s->ring);
    s->ring = NULL;
    if (s->ringing == NULL)
        return;
    clv_secret_free_string(s->ringing->sdp);
    g_clear_pointer(&s->ringing, g_free);
}

/* The answer comes in a 183 that must arrive, and the 200 has none. */
static void
answer_early(Session *s, const ClvUaPhoneEvent *event)
{
    char *text = NULL;
    int status;

    if (!clv_ua_phone_takes_reliable(s->phone)) {
        clv_ua_tell_problem(s, "no-100rel", "the caller knows no reliable provisional answers");
        refuse_caller(s, 421);
        return;
    }
    status = answer_offer(s, event, &text);
    if (status != 200 || !clv_ua_phone_answer_reliably(s->phone, 183, text))
        refuse_caller(s, status != 200 ? status : 500);
    clv_secret_free_string(text);
}

static void
on_late(void *user)
{
    Session *s = user;

    s->ring = NULL;
    s->status = 200;
    clv_ua_phone_answer(s->phone, 200, NULL);
}

void
clv_ua_on_pracked(Session *s, const ClvUaPhoneEvent *event)
{
    clv_ua_tell(s, "pracked");
    s->ring = clv_loop_timer(s->loop, s->options->answer_after_ms, on_late, s);
}

void
clv_ua_on_unpracked(Session *s, const ClvUaPhoneEvent *event)
{
    clv_ua_tell_problem(s, "no-prack", "no PRACK");
    if (s->options->verb == CLV_UA_ANSWER)
        refuse_caller(s, 504);
}

void
clv_ua_on_invited(Session *s, const ClvUaPhoneEvent *event)
{
    Ringing *ringing = g_new0(Ringing, 1);

    s->state = "ringing";
    clv_ua_set_text(&s->contact, event->contact);
    clv_ua_report_begin(s->report, "invited");
    clv_ua_report_string(s->report, "from", event->from);
    clv_ua_report_string(s->report, "to", event->to);
    clv_ua_report_string(s->report, "contact", event->contact);
    clv_ua_report_bool(s->report, "isfocus", event->isfocus);
    clv_ua_report_string(s->report, "asserted", event->asserted);
    clv_ua_report_string(s->report, "referred_by", event->referred_by);
    clv_ua_report_end(s->report);
    clv_ua_forget_ringing(s);
    s->ringing = ringing;
    ringing->session = s;
    ringing->sdp = event->sdp != NULL ? g_strndup(event->sdp, event->sdp_len) : NULL;
    ringing->len = event->sdp_len;
    s->isfocus = event->isfocus;
    clv_ua_set_text(&s->caller, event->contact);
    if (s->options->send_181)
        clv_ua_phone_answer(s->phone, 181, NULL);
    if (s->options->reliable && s->options->answer_status == 0) {
        answer_early(s, event);
        return;
    }
    clv_ua_phone_answer(s->phone, 180, NULL);
    s->ring = clv_loop_timer(s->loop, s->options->answer_after_ms, on_ring, s);
}

static void
on_switch_tx(void *user)
{
    Session *s = user;

    s->switch_tx = NULL;
    if (s->stream != NULL)
        clv_ua_stream_switch_tx(s->stream);
}

void
clv_ua_on_reoffered(Session *s, const ClvUaPhoneEvent *event)
{
    char *text = NULL;
    gsize len = 0;
    int status;

    if (event->sdp == NULL) {
        /* a re-INVITE without offer gets ours */
        text = clv_ua_offer_text(s, &len, NULL);
        status = text != NULL ? 200 : 488;
    } else {
        status = answer_offer(s, event, &text);
    }
    clv_ua_phone_answer(s->phone, status, text);
    clv_secret_free_string(text);
    clv_ua_report_begin(s->report, "reoffered");
    clv_ua_report_int(s->report, "status", status);
    clv_ua_put_keys(s);
    clv_ua_report_end(s->report);
    /* after UPDATE there is no ACK that says when */
    clv_timer_cancel(s->switch_tx);
    s->switch_tx = clv_loop_timer(s->loop, SWITCH_TX_MS, on_switch_tx, s);
}

void
clv_ua_on_reconfirmed(Session *s, const ClvUaPhoneEvent *event)
{
    if (s->stream != NULL)
        clv_ua_stream_switch_tx(s->stream);
}
