/* SPDX-License-Identifier: Apache-2.0 */
/* ua/session.c - one call: ticket, offer, dialog, media, commands, judgement, report
 *
 *   run() -> prepare keys -> phone calls, or waits
 *     ACCEPTED / CONFIRMED -> start media, clocks      ENDED / REFUSED -> leave the loop
 *   -> judge what was heard -> report -> exit status
 */
#include "ua/session-private.h"

#include "base/identity.h"
#include "base/secret.h"
#include "ua/crypt.h"
#include "ua/meter.h"
#include "ua/suite.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#define LINGER_MS 2000 /* for NOTIFYs after the end of a call */

/* ---- telling ----------------------------------------------------------------------------- */

void
clv_ua_tell(Session *s, const char *event)
{
    clv_ua_report_begin(s->report, event);
    clv_ua_report_end(s->report);
}

void
clv_ua_tell_problem(Session *s, const char *event, const char *why)
{
    clv_ua_report_begin(s->report, event);
    clv_ua_report_string(s->report, "problem", why);
    clv_ua_report_end(s->report);
    g_free(s->problem);
    s->problem = g_strdup(why);
}

void
clv_ua_fail(Session *s, ClvUaExit status)
{
    if (s->exit == CLV_UA_EXIT_OK)
        s->exit = status;
}

void
clv_ua_fail_keys(Session *s, GError *error)
{
    s->exit = CLV_UA_EXIT_KEYS;
    clv_ua_tell_problem(s, "keys-failed", error->message);
    g_error_free(error);
}

/* ---- media ------------------------------------------------------------------------------- */

gboolean
clv_ua_start_media(Session *s, const ClvSdpMedia *media, gboolean rekey, gboolean later,
                   GError **error)
{
    const ClvCodec *codec = clv_ua_find_codec(s, media);
    ClvUaStreamPeer peer = {.rtp = media->rtp,
                            .rtcp = media->rtcp,
                            .keep_keys = !rekey,
                            .tx_later = later,
                            .tx = s->tx,
                            .rx = s->rx};
    gboolean good;

    if (codec == NULL) {
        g_set_error(error, CLV_UA_STREAM_ERROR, 0, "no codec in common");
        return FALSE;
    }
    peer.pt = codec->pt;
    peer.event_pt = clv_ua_event_pt(media);
    peer.alaw = g_ascii_strcasecmp(codec->name, "PCMA") == 0;
    s->codec = peer.alaw ? "PCMA" : "PCMU";
    s->peer_direction = media->direction;
    s->event_pt = clv_ua_event_pt(media);
    good = clv_ua_stream_start(s->stream, &peer, error);
    clv_srtp_keys_clear(&peer.tx);
    clv_srtp_keys_clear(&peer.rx);
    /* we may send, and the other side is willing to receive */
    clv_ua_stream_set_sending(s->stream, (s->direction & CLV_DIR_SENDONLY) != 0 &&
                                             (media->direction & CLV_DIR_RECVONLY) != 0);
    return good;
}

static ClvUaSource *
make_source(const ClvUaOptions *o, GError **error)
{
    gint16 *samples;
    gsize n = 0;

    if (o->play != NULL) {
        samples = clv_ua_wav_read(o->play, CLV_UA_RATE_HZ, &n, error);
        return samples != NULL ? clv_ua_source_samples(samples, n) : NULL;
    }
    if (o->tones->len > 0)
        return clv_ua_source_tones((const ClvUaTone *)(gpointer)o->tones->data, o->tones->len,
                                   CLV_UA_RATE_HZ);
    return clv_ua_source_silence();
}

static gboolean
open_media(Session *s, GError **error)
{
    const ClvUaOptions *o = s->options;
    ClvUaStreamSetup setup = {.loop = s->loop,
                              .local_host = s->local_host,
                              .rtp_port = (guint16)o->rtp_port,
                              .measure_from_ms = o->measure_from_ms,
                              .measure_for_ms = o->measure_for_ms};

    if (o->no_media || o->verb == CLV_UA_REFER)
        return TRUE;
    if (!clv_ua_crypt_start()) {
        g_set_error(error, CLV_UA_CRYPT_ERROR, 0, "libsrtp2 does not start");
        return FALSE;
    }
    setup.source = make_source(o, error);
    if (setup.source == NULL)
        return FALSE;
    if (o->record != NULL) {
        s->record = clv_ua_wav_create(o->record, CLV_UA_RATE_HZ, error);
        if (s->record == NULL) {
            clv_ua_source_free(setup.source);
            return FALSE;
        }
    }
    setup.record = s->record;
    setup.meter = clv_ua_meter_new(CLV_UA_RATE_HZ, (const double *)(gpointer)o->listen_for->data,
                                   o->listen_for->len);
    s->stream = clv_ua_stream_open(&setup, error);
    return s->stream != NULL;
}

/* Goodbye on RTCP first, as long as the other side still has keys for it. */
void
clv_ua_hang_up(Session *s)
{
    if (s->stream != NULL)
        clv_ua_stream_stop(s->stream);
    clv_ua_phone_hang_up(s->phone);
}

/* ---- the call stands --------------------------------------------------------------------- */

void
clv_ua_set_text(char **text, const char *value)
{
    if (value == NULL)
        return;
    g_free(*text);
    *text = g_strdup(value);
}

static void
connect_call(Session *s, const ClvUaPhoneEvent *event)
{
    s->connected = TRUE;
    s->state = "connected";
    clv_ua_set_text(&s->dialog, event->dialog);
    s->connected_us = g_get_monotonic_time();
    clv_ua_report_begin(s->report, "connected");
    clv_ua_report_int(s->report, "status", s->status);
    clv_ua_report_string(s->report, "contact", s->contact);
    clv_ua_report_bool(s->report, "isfocus", s->isfocus);
    clv_ua_report_string(s->report, "codec", s->codec);
    clv_ua_report_string(s->report, "dialog", s->dialog);
    clv_ua_report_string(s->report, "asserted", event->asserted);
    clv_ua_put_keys(s);
    clv_ua_report_end(s->report);
    clv_ua_tell_referrer(s, s->status, s->phrase, TRUE);
    clv_ua_script_start(s);
}

/* Returns: FALSE when the call cannot go on; the problem has been told */
static gboolean
take_answer(Session *s, const ClvUaPhoneEvent *event)
{
    GError *error = NULL;
    ClvSdp *answer = NULL;
    gboolean good;

    if (event->sdp != NULL)
        answer = clv_sdp_parse(event->sdp, event->sdp_len, &error);
    else if (s->early_sdp != NULL)
        answer = clv_sdp_parse(s->early_sdp, strlen(s->early_sdp), &error);
    else
        g_set_error(&error, CLV_UA_PHONE_ERROR, 0, "the answer has no SDP");
    if (answer == NULL) {
        s->exit = CLV_UA_EXIT_FAILED;
        clv_ua_tell_problem(s, "bad-answer", error->message);
        g_error_free(error);
        return FALSE;
    }
    if (!clv_ua_keys_finish(s->keys, answer, event->contact, &s->tx, &s->rx, &error)) {
        clv_ua_fail_keys(s, error);
        clv_sdp_free(answer);
        return FALSE;
    }
    good = s->stream == NULL || (answer->n_media > 0 && answer->media[0].port != 0 &&
                                 clv_ua_start_media(s, &answer->media[0], TRUE, FALSE, &error));
    if (!good) {
        s->exit = CLV_UA_EXIT_FAILED;
        clv_ua_tell_problem(s, "no-media",
                            error != NULL ? error->message : "our m-line was refused");
        g_clear_error(&error);
    }
    clv_sdp_free(answer);
    return good;
}

static void
on_accepted(Session *s, const ClvUaPhoneEvent *event)
{
    s->isfocus = event->isfocus;
    clv_ua_set_text(&s->contact, event->contact);
    if (!take_answer(s, event)) {
        clv_ua_hang_up(s);
        return;
    }
    if (s->options->verb == CLV_UA_CREATE && !event->isfocus) {
        s->exit = CLV_UA_EXIT_KEYS;
        clv_ua_tell_problem(s, "keys-failed", "the Contact of the answer is no conference focus");
        clv_ua_hang_up(s);
        return;
    }
    connect_call(s, event);
}

/* FALSE: what was agreed does not hold any more */
static gboolean
take_reanswer(Session *s, const ClvSdp *answer, const char *contact, GError **error)
{
    gboolean changed = !clv_ua_keys_unchanged(s->keys, answer);
    ClvSrtpKeys tx = s->tx, rx = s->rx;
    gboolean good;

    if (s->change == CHANGE_KEYS && !changed)
        g_set_error(error, CLV_UA_KEYS_ERROR, 0, "the answer has no keys to those we offered");
    good = (s->change != CHANGE_KEYS || changed) &&
           (!changed || clv_ua_keys_finish(s->keys, answer, contact, &s->tx, &s->rx, error));
    /* an update may leave the keys of the streams as they are; their counters go on then */
    changed = memcmp(&tx, &s->tx, sizeof tx) != 0 || memcmp(&rx, &s->rx, sizeof rx) != 0;
    clv_srtp_keys_clear(&tx);
    clv_srtp_keys_clear(&rx);
    return good && (s->stream == NULL || answer->n_media == 0 ||
                    clv_ua_start_media(s, &answer->media[0], changed, FALSE, error));
}

static void
tell_changed(Session *s, Change change)
{
    if (change != CHANGE_KEYS) {
        clv_ua_tell(s, s->on_hold ? "held" : "resumed");
        return;
    }
    s->n_changed++;
    clv_ua_report_begin(s->report, "keys-changed");
    clv_ua_report_string(s->report, "what", s->change_of);
    clv_ua_put_keys(s);
    clv_ua_report_end(s->report);
}

static void
take_changed(Session *s, const ClvUaPhoneEvent *event)
{
    g_autoptr(GError) error = NULL;
    ClvSdp *answer = event->sdp != NULL ? clv_sdp_parse(event->sdp, event->sdp_len, &error) : NULL;
    const char *contact = event->contact != NULL ? event->contact : s->contact;
    Change change = s->change;
    gboolean good = answer != NULL ? take_reanswer(s, answer, contact, &error)
                                   : error == NULL && change != CHANGE_KEYS;

    s->change = CHANGE_NONE;
    clv_sdp_free(answer);
    if (good) {
        tell_changed(s, change);
        return;
    }
    s->n_unchanged += change == CHANGE_KEYS ? 1 : 0;
    clv_ua_keys_drop_next(s->keys);
    s->exit = CLV_UA_EXIT_KEYS;
    clv_ua_tell_problem(s, "keys-failed", error != NULL ? error->message : "no SDP in the answer");
    clv_ua_hang_up(s);
}

static void on_reserved(Session *s, const ClvUaPhoneEvent *event);

static void
on_reaccepted(Session *s, const ClvUaPhoneEvent *event)
{
    if (s->change == CHANGE_QOS) {
        on_reserved(s, event);
        return;
    }
    take_changed(s, event);
}

static void
on_refused(Session *s, const ClvUaPhoneEvent *event)
{
    s->state = "refused";
    s->exit = CLV_UA_EXIT_REFUSED;
    s->retry_after_s = event->retry_after_s;
    s->local_status = event->local;
    clv_ua_set_text(&s->problem, event->cause);
    if (event->sdp != NULL)
        clv_ua_keys_refused(s->keys, event->sdp, event->sdp_len);
    clv_ua_report_begin(s->report, "refused");
    clv_ua_report_int(s->report, "status", event->status);
    clv_ua_report_string(s->report, "phrase", event->phrase);
    clv_ua_report_string(s->report, "warning", event->warning);
    if (event->retry_after_s >= 0)
        clv_ua_report_int(s->report, "retry_after", event->retry_after_s);
    clv_ua_report_bool(s->report, "local", event->local);
    clv_ua_report_string(s->report, "problem", event->cause);
    clv_ua_report_end(s->report);
    clv_ua_tell_referrer(s, event->status, event->phrase, TRUE);
    clv_ua_leave(s);
}

static void
on_ended(Session *s, const ClvUaPhoneEvent *event)
{
    s->state = "ended";
    s->ended_us = g_get_monotonic_time();
    s->connected = FALSE;
    clv_ua_set_text(&s->cause, event->cause);
    clv_ua_set_text(&s->reason, event->reason);
    clv_ua_report_begin(s->report, "ended");
    clv_ua_report_string(s->report, "cause", event->cause);
    clv_ua_report_string(s->report, "reason", event->reason);
    clv_ua_report_end(s->report);
    s->n_missed = clv_ua_script_n_missed(s);
    clv_ua_script_stop(s);
    clv_ua_forget_ringing(s);
    clv_ua_tell_referrer(s, 487, NULL, TRUE);
    clv_ua_leave(s);
}

/* ---- events of the phone ----------------------------------------------------------------- */

static void
on_progress(Session *s, const ClvUaPhoneEvent *event)
{
    s->state = "ringing";
    if (event->sdp != NULL) {
        /* of the dialog that answers last; a 2xx without SDP confirms it */
        clv_secret_free_string(s->early_sdp);
        s->early_sdp = g_strndup(event->sdp, event->sdp_len);
    }
    clv_ua_tell_referrer(s, event->status, event->phrase, FALSE);
    clv_ua_report_begin(s->report, "progress");
    clv_ua_report_int(s->report, "status", event->status);
    clv_ua_report_string(s->report, "phrase", event->phrase);
    clv_ua_report_string(s->report, "contact", event->contact);
    clv_ua_report_string(s->report, "asserted", event->asserted);
    clv_ua_report_bool(s->report, "sdp", event->sdp != NULL);
    clv_ua_report_end(s->report);
}

/* Their first answer is here, and they know it: what they wait for is met. */
static void
on_early(Session *s, const ClvUaPhoneEvent *event)
{
    g_autoptr(GError) error = NULL;
    gsize len = 0;
    char *text;

    if (!s->options->preconditions || s->early_sdp == NULL || s->change != CHANGE_NONE)
        return;
    text = clv_ua_offer_text(s, &len, &error);
    if (text != NULL && clv_ua_phone_update_early(s->phone, text, len, &error)) {
        s->change = CHANGE_QOS;
        clv_ua_tell(s, "reserved");
    } else {
        clv_ua_fail(s, CLV_UA_EXIT_FAILED);
        clv_ua_tell_problem(s, "update-failed", error != NULL ? error->message : "");
    }
    clv_secret_free_string(text);
}

/* The answer to the UPDATE is the last word about the session before the call is answered. */
static void
on_reserved(Session *s, const ClvUaPhoneEvent *event)
{
    s->change = CHANGE_NONE;
    if (event->sdp == NULL) {
        clv_ua_tell_problem(s, "update-failed", "the answer has no SDP");
        return;
    }
    clv_secret_free_string(s->early_sdp);
    s->early_sdp = g_strndup(event->sdp, event->sdp_len);
    clv_ua_tell(s, "preconditions-met");
}

/* ---- leaving ------------------------------------------------------------------------------ */

static void
on_register_lingered(void *user)
{
    Session *s = user;

    s->linger = NULL;
    clv_loop_quit(s->loop);
}

/* Nobody shall be sent to where we are not any more. */
static void
go(Session *s)
{
    if (!s->registered || !clv_ua_phone_register(s->phone, FALSE, NULL)) {
        clv_loop_quit(s->loop);
        return;
    }
    s->registered = FALSE;
    s->linger = clv_loop_timer(s->loop, LINGER_MS, on_register_lingered, s);
}

static void
on_lingered(void *user)
{
    Session *s = user;

    s->linger = NULL;
    go(s);
}

/* The last NOTIFY may come after the BYE, and ours want an answer: wait for them, but not long. */
void
clv_ua_leave(Session *s)
{
    gboolean call_is_over = s->options->verb != CLV_UA_REFER;

    clv_timer_cancel(s->linger);
    s->linger = NULL;
    if ((call_is_over && clv_ua_is_waiting_for_notifies(s)) ||
        !clv_ua_phone_refers_are_done(s->phone))
        s->linger = clv_loop_timer(s->loop, LINGER_MS, on_lingered, s);
    else
        go(s);
}

static void
on_rerefused(Session *s, const ClvUaPhoneEvent *event)
{
    clv_ua_report_begin(s->report, "reinvite-refused");
    clv_ua_report_int(s->report, "status", event->status);
    clv_ua_report_string(s->report, "phrase", event->phrase);
    clv_ua_report_string(s->report, "warning", event->warning);
    clv_ua_report_end(s->report);
    if (s->change == CHANGE_KEYS || s->change == CHANGE_QOS) {
        s->n_unchanged += s->change == CHANGE_KEYS ? 1 : 0;
        clv_ua_keys_drop_next(s->keys);
        clv_ua_fail(s, CLV_UA_EXIT_REFUSED);
    } else if (s->change != CHANGE_NONE) {
        s->on_hold = !s->on_hold;
    }
    s->change = CHANGE_NONE;
}

static void
on_refreshed(Session *s, const ClvUaPhoneEvent *event)
{
    clv_ua_report_begin(s->report, "refreshed");
    clv_ua_report_string(s->report, "method", event->cause);
    clv_ua_report_int(s->report, "status", event->status);
    clv_ua_report_end(s->report);
}

static gboolean set_out(Session *s, GError **error);

/* What waited for the registration begins, or what waited for its end is over. */
static void
on_registered(Session *s, const ClvUaPhoneEvent *event)
{
    gboolean there = strcmp(event->cause, "there") == 0;
    GError *error = NULL;

    clv_ua_report_begin(s->report, there ? "registered" : "unregistered");
    clv_ua_report_int(s->report, "status", event->status);
    clv_ua_report_string(s->report, "phrase", event->phrase);
    clv_ua_report_end(s->report);
    if (!there) {
        clv_loop_quit(s->loop);
        return;
    }
    if (event->status >= 300) {
        s->state = "refused";
        s->status = event->status;
        clv_ua_set_text(&s->phrase, event->phrase);
        clv_ua_fail(s, CLV_UA_EXIT_REFUSED);
        clv_loop_quit(s->loop);
        return;
    }
    s->registered = TRUE;
    if (set_out(s, &error))
        return;
    clv_ua_fail(s, CLV_UA_EXIT_FAILED);
    clv_ua_tell_problem(s, s->exit == CLV_UA_EXIT_KEYS ? "keys-failed" : "failed", error->message);
    g_error_free(error);
    clv_ua_leave(s);
}

static void (*const handlers[])(Session *, const ClvUaPhoneEvent *) = {
    [CLV_UA_PHONE_PROGRESS] = on_progress,
    [CLV_UA_PHONE_ACCEPTED] = on_accepted,
    [CLV_UA_PHONE_REFUSED] = on_refused,
    [CLV_UA_PHONE_INVITED] = clv_ua_on_invited,
    [CLV_UA_PHONE_CONFIRMED] = connect_call,
    [CLV_UA_PHONE_REOFFERED] = clv_ua_on_reoffered,
    [CLV_UA_PHONE_REACCEPTED] = on_reaccepted,
    [CLV_UA_PHONE_REREFUSED] = on_rerefused,
    [CLV_UA_PHONE_REFRESHED] = on_refreshed,
    [CLV_UA_PHONE_ENDED] = on_ended,
    [CLV_UA_PHONE_EARLY] = on_early,
    [CLV_UA_PHONE_PRACKED] = clv_ua_on_pracked,
    [CLV_UA_PHONE_UNPRACKED] = clv_ua_on_unpracked,
    [CLV_UA_PHONE_RECONFIRMED] = clv_ua_on_reconfirmed,
    [CLV_UA_PHONE_REFER_ANSWERED] = clv_ua_on_refer_answered,
    [CLV_UA_PHONE_REFER_NOTIFIED] = clv_ua_on_refer_notified,
    [CLV_UA_PHONE_REGISTERED] = on_registered,
    [CLV_UA_PHONE_REFERRED] = clv_ua_on_referred,
};

static void
on_phone(const ClvUaPhoneEvent *event, void *user)
{
    Session *s = user;

    if (event->status != 0 &&
        (event->kind == CLV_UA_PHONE_ACCEPTED || event->kind == CLV_UA_PHONE_REFUSED)) {
        s->status = event->status;
        clv_ua_set_text(&s->phrase, event->phrase);
        clv_ua_set_text(&s->warning, event->warning);
    }
    clv_ua_set_text(&s->call_id, event->call_id);
    handlers[event->kind](s, event);
}

/* ---- signals ----------------------------------------------------------------------------- */

static void
on_signal(void *user)
{
    Session *s = user;
    struct signalfd_siginfo info;

    if (read(s->signal_fd, &info, sizeof info) != sizeof info)
        return;
    /* the first asks politely, the second leaves */
    if (++s->n_signals > 1)
        clv_loop_quit(s->loop);
    else if (clv_ua_phone_is_idle(s->phone))
        clv_ua_leave(s);
    else
        clv_ua_hang_up(s);
}

static gboolean
watch_signals(Session *s)
{
    sigset_t set;

    signal(SIGPIPE, SIG_IGN);
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGHUP);
    if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
        return FALSE;
    s->signal_fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
    if (s->signal_fd < 0)
        return FALSE;
    s->signal_watch = clv_loop_watch(s->loop, s->signal_fd, on_signal, s);
    return TRUE;
}

/* ---- birth and death --------------------------------------------------------------------- */

static const char *
target_of(const ClvUaOptions *o)
{
    return o->verb == CLV_UA_CREATE ? o->factory : o->operand;
}

static gboolean
read_password(Session *s, GError **error)
{
    const char *path = s->options->password_file;
    char *text = NULL;
    gsize len = 0;

    if (path == NULL)
        return TRUE;
    if (!g_file_get_contents(path, &text, &len, error))
        return FALSE;
    text[strcspn(text, "\r\n")] = '\0';
    s->password = text;
    return TRUE;
}

/* "ADDR", "ADDR:PORT", "[V6]", "[V6]:PORT" */
static gboolean
parse_listen(const char *text, char **out_host, guint16 *out_port)
{
    const char *port = NULL;
    guint64 number = 0;

    if (*text == '[') {
        const char *end = strchr(text, ']');

        if (end == NULL || (end[1] != '\0' && end[1] != ':'))
            return FALSE;
        *out_host = g_strndup(text + 1, (gsize)(end - text - 1));
        port = end[1] == ':' ? end + 2 : NULL;
    } else if (strchr(text, ':') != NULL && strchr(text, ':') == strrchr(text, ':')) {
        port = strchr(text, ':') + 1;
        *out_host = g_strndup(text, (gsize)(port - 1 - text));
    } else {
        *out_host = g_strdup(text);
    }
    if (!g_hostname_is_ip_address(*out_host) ||
        (port != NULL && !g_ascii_string_to_unsigned(port, 10, 0, 65535, &number, NULL))) {
        g_clear_pointer(out_host, g_free);
        return FALSE;
    }
    *out_port = (guint16)number;
    return TRUE;
}

static gboolean
open_phone(Session *s, GError **error)
{
    const ClvUaOptions *o = s->options;
    const char *whom = o->proxy != NULL ? o->proxy : target_of(o);
    ClvUaPhoneConfig config = {
        .loop = s->loop, .options = o, .password = s->password, .event = on_phone, .user = s};
    int transport = o->transport;

    if (o->listen != NULL && !parse_listen(o->listen, &s->local_host, &config.local_port)) {
        g_set_error(error, CLV_UA_OPTIONS_ERROR, 0, "--listen: '%s' found, ADDR[:PORT] expected",
                    o->listen);
        return FALSE;
    }
    if (s->local_host == NULL)
        s->local_host = whom != NULL ? clv_ua_local_host(whom) : g_strdup("127.0.0.1");
    if (s->local_host == NULL) {
        g_set_error(error, CLV_UA_PHONE_ERROR, 0, "no way to '%s' is known here", whom);
        return FALSE;
    }
    if (transport < 0 && whom != NULL)
        transport = clv_ua_uri_transport(whom);
    config.transport = transport >= 0 ? (ClvUaTransport)transport : CLV_UA_UDP;
    config.local_host = s->local_host;
    s->phone = clv_ua_phone_new(&config, error);
    return s->phone != NULL;
}

gboolean
clv_ua_place_call(Session *s, const char *target, GError **error)
{
    gsize len = 0;
    char *text = clv_ua_offer_text(s, &len, error);
    gboolean good;

    if (text == NULL)
        return FALSE;
    s->state = "calling";
    clv_ua_report_begin(s->report, "calling");
    clv_ua_report_string(s->report, "uri", target);
    clv_ua_report_string(s->report, "identity", s->options->identity);
    clv_ua_put_keys(s);
    clv_ua_report_end(s->report);
    good = clv_ua_phone_call(s->phone, target, text, len, error);
    if (s->options->raw_sdp != NULL)
        g_free(text);
    else
        clv_secret_free_string(text);
    return good;
}

/* Waits, asks or calls. */
static gboolean
set_out(Session *s, GError **error)
{
    const ClvUaOptions *o = s->options;

    if (o->verb == CLV_UA_ANSWER) {
        s->state = "listening";
        clv_ua_report_begin(s->report, "listening");
        clv_ua_report_string(s->report, "contact", clv_ua_phone_contact(s->phone));
        clv_ua_report_end(s->report);
        return TRUE;
    }
    if (o->verb == CLV_UA_REFER) {
        clv_ua_ask(s, o->operand, o->refer_method == 1 ? "remove" : "invite", o->refer_to);
        return TRUE;
    }
    if (!clv_ua_keys_prepare(s->keys, target_of(o), error)) {
        s->exit = CLV_UA_EXIT_KEYS;
        return FALSE;
    }
    return clv_ua_place_call(s, target_of(o), error);
}

/* Everything that can go wrong before there is a call. */
static gboolean
begin(Session *s, GError **error)
{
    const ClvUaOptions *o = s->options;

    s->loop = clv_loop_new(error);
    if (s->loop == NULL || !read_password(s, error))
        return FALSE;
    s->keys = clv_ua_keys_new(o, error);
    if (s->keys == NULL || !open_phone(s, error) || !open_media(s, error))
        return FALSE;
    if (!watch_signals(s)) {
        g_set_error(error, CLV_UA_PHONE_ERROR, errno, "signals: %s", g_strerror(errno));
        return FALSE;
    }
    if (o->interactive)
        clv_ua_script_watch_input(s);
    return o->registers ? clv_ua_phone_register(s->phone, TRUE, error) : set_out(s, error);
}

static void
finish(Session *s)
{
    ClvTimer *timers[] = {s->linger, s->switch_tx};
    g_autoptr(GError) error = NULL;

    for (guint i = 0; i < G_N_ELEMENTS(timers); i++)
        clv_timer_cancel(timers[i]);
    clv_ua_script_stop(s);
    clv_ua_forget_ringing(s);
    g_ptr_array_unref(s->referrals);
    clv_ua_stream_free(s->stream);
    if (!clv_ua_wav_close(s->record, &error)) {
        fprintf(stderr, "conclave-ua: %s\n", error->message);
        if (s->exit == CLV_UA_EXIT_OK)
            s->exit = CLV_UA_EXIT_FAILED;
    }
    clv_ua_phone_free(s->phone);
    clv_ua_keys_free(s->keys);
    if (s->signal_watch > 0)
        clv_loop_unwatch(s->loop, s->signal_watch);
    if (s->input_watch > 0)
        clv_loop_unwatch(s->loop, s->input_watch);
    if (s->signal_fd >= 0)
        close(s->signal_fd);
    clv_loop_free(s->loop);
    clv_srtp_keys_clear(&s->tx);
    clv_srtp_keys_clear(&s->rx);
    clv_secret_free_string(s->password);
    clv_secret_free_string(s->early_sdp);
    g_string_free(s->input, TRUE);
    g_free(s->local_host);
    g_free(s->phrase);
    g_free(s->warning);
    g_free(s->cause);
    g_free(s->reason);
    g_free(s->contact);
    g_free(s->call_id);
    g_free(s->problem);
    g_free(s->dialog);
    g_free(s->caller);
    g_free(s->follows);
    g_free(s->referrer);
}

ClvUaExit
clv_ua_session_run(const ClvUaOptions *options, ClvUaReport *report)
{
    Session session = {.options = options,
                       .report = report,
                       .state = "failed",
                       .direction = CLV_DIR_SENDRECV,
                       .retry_after_s = -1,
                       .signal_fd = -1};
    g_autoptr(GError) error = NULL;

    session.sdp_id = g_random_int();
    session.input = g_string_new(NULL);
    session.referrals = g_ptr_array_new_with_free_func(clv_ua_free_referral);
    if (begin(&session, &error)) {
        clv_loop_run(session.loop);
        if (session.stream != NULL)
            clv_ua_stream_stop(session.stream);
        clv_ua_final_report(&session);
    } else {
        if (session.exit == CLV_UA_EXIT_OK)
            session.exit = CLV_UA_EXIT_FAILED;
        clv_ua_tell_problem(&session, session.exit == CLV_UA_EXIT_KEYS ? "keys-failed" : "failed",
                            error->message);
        fprintf(stderr, "conclave-ua: %s\n", error->message);
        if (session.keys != NULL)
            clv_ua_final_report(&session);
    }
    finish(&session);
    return session.exit;
}

ClvUaExit
clv_ua_session_ticket(const ClvUaOptions *options, ClvUaReport *report)
{
    g_autoptr(GError) error = NULL;
    ClvUaKeys *keys = clv_ua_keys_new(options, &error);
    gboolean good = keys != NULL && clv_ua_keys_prepare(keys, NULL, &error);
    ClvUaExit status = CLV_UA_EXIT_OK;

    if (keys != NULL && !good)
        status = CLV_UA_EXIT_KEYS;
    if (good && !clv_ua_keys_save_ticket(keys, &error))
        status = CLV_UA_EXIT_FAILED;
    if (keys == NULL)
        status = CLV_UA_EXIT_FAILED;

    clv_ua_report_begin_long(report, status == CLV_UA_EXIT_OK ? "ticket" : "ticket-refused");
    if (error != NULL)
        clv_ua_report_string(report, "problem", error->message);
    else
        clv_ua_report_string(report, "file", options->ticket_file);
    if (keys != NULL) {
        ClvUaKeysInfo info = clv_ua_keys_info(keys);

        if (info.ticket_end_s != 0)
            clv_ua_report_int(report, "ticket_ends", info.ticket_end_s);
        if (info.refusal >= 0)
            clv_ua_report_int(report, "mikey_error", info.refusal);
    }
    clv_ua_report_int(report, "exit", status);
    clv_ua_report_end(report);
    clv_ua_keys_free(keys);
    return status;
}
