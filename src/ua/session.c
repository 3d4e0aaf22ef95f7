/* SPDX-License-Identifier: Apache-2.0 */
/* ua/session.c - one call: ticket, offer, dialog, media, commands, judgement, report
 *
 *   run() -> prepare keys -> phone calls, or waits
 *     ACCEPTED / CONFIRMED -> start media, clocks      ENDED / REFUSED -> leave the loop
 *   -> judge what was heard -> report -> exit status
 */
#include "ua/session.h"

#include "base/identity.h"
#include "base/secret.h"
#include "sip/loop.h"
#include "sip/sdp.h"
#include "ua/crypt.h"
#include "ua/keys.h"
#include "ua/meter.h"
#include "ua/phone.h"
#include "ua/stream.h"
#include "ua/suite.h"
#include "ua/wav.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#define N_PEAKS 6
#define MAX_PASSWORD 256

typedef struct Session {
    const ClvUaOptions *options;
    ClvUaReport *report;
    ClvLoop *loop;
    ClvUaPhone *phone;
    ClvUaKeys *keys;
    ClvUaStream *stream;
    ClvUaWavWriter *record;
    char *local_host;
    char *password;

    guint64 sdp_id;
    guint64 sdp_version;
    ClvDirection direction;      /* ours */
    ClvDirection peer_direction; /* what the other side said of itself */
    ClvSrtpKeys tx, rx;
    gboolean connected, on_hold;

    /* for the report */
    const char *state;
    int status;
    char *phrase, *warning, *cause, *reason, *contact, *call_id, *problem;
    int retry_after_s;
    gboolean isfocus, local_status;
    const char *codec;
    gint64 connected_us, ended_us;

    ClvTimer *duration, *hold, *resume, *every, *ring, *script_sleep;
    int signal_fd, signal_watch, input_watch;
    GString *input;
    gboolean input_ended;
    guint n_signals;
    ClvUaExit exit;
} Session;

/* ---- telling ----------------------------------------------------------------------------- */

static void
tell(Session *s, const char *event)
{
    clv_ua_report_begin(s->report, event);
    clv_ua_report_end(s->report);
}

static void
tell_problem(Session *s, const char *event, const char *why)
{
    clv_ua_report_begin(s->report, event);
    clv_ua_report_string(s->report, "problem", why);
    clv_ua_report_end(s->report);
    g_free(s->problem);
    s->problem = g_strdup(why);
}

/* Ends in the exit status of keys; what happened is in @error, which is taken. */
static void
fail_keys(Session *s, GError *error)
{
    s->exit = CLV_UA_EXIT_KEYS;
    tell_problem(s, "keys-failed", error->message);
    g_error_free(error);
}

static void
put_levels(Session *s)
{
    const ClvUaMeter *meter = clv_ua_stream_meter(s->stream);
    ClvUaPeak peaks[N_PEAKS];
    guint n = clv_ua_meter_peaks(meter, peaks, N_PEAKS);

    clv_ua_report_list(s->report, "levels");
    for (guint i = 0; i < clv_ua_meter_n_levels(meter); i++) {
        ClvUaLevel level = clv_ua_meter_level(meter, i);

        clv_ua_report_item(s->report);
        clv_ua_report_number(s->report, "hz", level.hz, 1);
        clv_ua_report_number(s->report, "median_db", level.median_db, 1);
        clv_ua_report_number(s->report, "p90_db", level.p90_db, 1);
        clv_ua_report_number(s->report, "max_db", level.max_db, 1);
        clv_ua_report_number(s->report, "last_db", level.last_db, 1);
    }
    clv_ua_report_list_end(s->report);
    clv_ua_report_list(s->report, "peaks");
    for (guint i = 0; i < n; i++) {
        clv_ua_report_item(s->report);
        clv_ua_report_number(s->report, "hz", peaks[i].hz, 1);
        clv_ua_report_number(s->report, "db", peaks[i].db, 1);
    }
    clv_ua_report_list_end(s->report);
    clv_ua_report_number(s->report, "measured_s",
                         clv_ua_meter_n_blocks(meter) * (double)CLV_UA_METER_BLOCK / CLV_UA_RATE_HZ,
                         2);
    clv_ua_report_number(s->report, "total_db", clv_ua_meter_total_db(meter), 1);
}

static void
put_counters(Session *s)
{
    const ClvUaStreamStats *st = clv_ua_stream_stats(s->stream);

    clv_ua_report_int(s->report, "sent", (gint64)st->sent);
    clv_ua_report_int(s->report, "received", (gint64)st->received);
    clv_ua_report_int(s->report, "lost", (gint64)st->lost);
    clv_ua_report_number(s->report, "jitter_ms", st->jitter_ms, 2);
    clv_ua_report_int(s->report, "longest_gap_ms", st->longest_gap_ms);
    clv_ua_report_int(s->report, "silence_ms", st->silence_ms);
    clv_ua_report_int(s->report, "late", (gint64)st->late);
    clv_ua_report_int(s->report, "duplicates", (gint64)st->duplicates);
    clv_ua_report_int(s->report, "bad_auth", (gint64)st->bad_auth);
    clv_ua_report_int(s->report, "replayed", (gint64)st->replayed);
    clv_ua_report_int(s->report, "malformed", (gint64)st->malformed);
    clv_ua_report_hex32(s->report, "tx_ssrc", st->tx_ssrc);
    if (st->has_rx) {
        clv_ua_report_hex32(s->report, "rx_ssrc", st->rx_ssrc);
        clv_ua_report_int(s->report, "ssrc_changes", st->ssrc_changes);
        clv_ua_report_int(s->report, "first_packet_ms", st->first_packet_ms);
        if (s->rx.has_ssrc)
            clv_ua_report_bool(s->report, "ssrc_as_announced", s->rx.ssrc == st->rx_ssrc);
    }
    clv_ua_report_int(s->report, "rtcp_sent", (gint64)st->rtcp_sent);
    clv_ua_report_int(s->report, "rtcp_sr", (gint64)st->sr);
    clv_ua_report_int(s->report, "rtcp_rr", (gint64)st->rr);
    clv_ua_report_int(s->report, "rtcp_bye", (gint64)st->rtcp_bye);
    clv_ua_report_int(s->report, "rtcp_bad", (gint64)st->rtcp_bad);
    clv_ua_report_string(s->report, "cname", st->cname[0] != '\0' ? st->cname : NULL);
    if (st->has_report) {
        clv_ua_report_int(s->report, "peer_lost", st->reported_lost);
        clv_ua_report_number(s->report, "peer_lost_percent", st->reported_fraction_lost / 2.56, 1);
    }
}

static void
put_keys(Session *s)
{
    ClvUaKeysInfo info = clv_ua_keys_info(s->keys);
    char mki[2 * CLV_SRTP_MAX_MKI + 1] = "";

    for (guint i = 0; i < info.mki_len; i++)
        g_snprintf(mki + 2 * i, 3, "%02x", info.mki[i]);
    clv_ua_report_string(s->report, "keymgmt", info.scheme);
    clv_ua_report_string(s->report, "suite",
                         info.suite != CLV_SRTP_NONE ? clv_ua_suite_name(info.suite) : NULL);
    clv_ua_report_string(s->report, "mki", info.mki_len > 0 ? mki : NULL);
    clv_ua_report_string(s->report, "proven_peer", info.peer);
    if (info.has_csb_id)
        clv_ua_report_hex32(s->report, "csb_id", info.csb_id);
    if (info.ticket_end_s != 0)
        clv_ua_report_int(s->report, "ticket_ends", info.ticket_end_s);
    if (info.refusal >= 0)
        clv_ua_report_int(s->report, "mikey_error", info.refusal);
}

static void
tell_stats(Session *s)
{
    if (s->stream == NULL)
        return;
    clv_ua_report_begin(s->report, "stats");
    put_counters(s);
    put_levels(s);
    clv_ua_report_end(s->report);
}

/* ---- SDP --------------------------------------------------------------------------------- */

static void
fill_codec(ClvCodec *codec, const char *name)
{
    codec->pt = strcmp(name, "PCMA") == 0 ? 8 : 0;
    g_strlcpy(codec->name, name, sizeof codec->name);
    codec->rate_hz = 8000;
    codec->channels = 1;
}

static void
fill_origin(Session *s, ClvSdp *sdp)
{
    g_strlcpy(sdp->origin_user, "-", sizeof sdp->origin_user);
    sdp->session_id = s->sdp_id;
    sdp->session_version = ++s->sdp_version;
    g_strlcpy(sdp->origin.host, s->local_host, sizeof sdp->origin.host);
}

static void
fill_media(Session *s, ClvSdpMedia *media)
{
    g_strlcpy(media->type, "audio", sizeof media->type);
    media->port = clv_ua_stream_port(s->stream);
    g_strlcpy(media->rtp.host, s->local_host, sizeof media->rtp.host);
    media->rtp.port = media->port;
    media->rtcp = media->rtp;
    media->rtcp.port++;
    media->ptime_ms = 20;
    media->direction = s->direction;
}

/* Returns: (transfer full): clv_sdp_free() it */
static ClvSdp *
make_offer(Session *s)
{
    ClvSdp *sdp = g_new0(ClvSdp, 1);

    fill_origin(s, sdp);
    if (s->options->no_media)
        return sdp;
    sdp->n_media = 1;
    fill_media(s, &sdp->media[0]);
    for (guint i = 0; i < s->options->codecs->len && i < CLV_SDP_MAX_CODECS; i++)
        fill_codec(&sdp->media[0].codecs[sdp->media[0].n_codecs++],
                   g_ptr_array_index(s->options->codecs, i));
    return sdp;
}

/* Returns: (transfer full) (nullable): text of our offer; clv_secret_free_string() it */
static char *
offer_text(Session *s, gsize *out_len, GError **error)
{
    ClvSdp *sdp;
    char *text = NULL;

    if (s->options->raw_sdp != NULL)
        return g_file_get_contents(s->options->raw_sdp, &text, out_len, error) ? text : NULL;
    sdp = make_offer(s);
    if (clv_ua_keys_offer(s->keys, sdp, s->stream != NULL ? clv_ua_stream_ssrc(s->stream) : 0,
                          error)) {
        text = clv_sdp_format(sdp);
        *out_len = strlen(text);
    }
    clv_sdp_free(sdp);
    return text;
}

static const ClvCodec *
find_codec(const Session *s, const ClvSdpMedia *media)
{
    for (guint i = 0; i < media->n_codecs; i++)
        for (guint k = 0; k < s->options->codecs->len; k++)
            if (g_ascii_strcasecmp(media->codecs[i].name,
                                   g_ptr_array_index(s->options->codecs, k)) == 0)
                return &media->codecs[i];
    return NULL;
}

/* ---- media ------------------------------------------------------------------------------- */

static gboolean
start_media(Session *s, const ClvSdpMedia *media, gboolean rekey, GError **error)
{
    const ClvCodec *codec = find_codec(s, media);
    ClvUaStreamPeer peer = {
        .rtp = media->rtp, .rtcp = media->rtcp, .keep_keys = !rekey, .tx = s->tx, .rx = s->rx};
    gboolean good;

    if (codec == NULL) {
        g_set_error(error, CLV_UA_STREAM_ERROR, 0, "no codec in common");
        return FALSE;
    }
    peer.pt = codec->pt;
    peer.alaw = g_ascii_strcasecmp(codec->name, "PCMA") == 0;
    s->codec = peer.alaw ? "PCMA" : "PCMU";
    s->peer_direction = media->direction;
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

    if (o->no_media)
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
static void
hang_up(Session *s)
{
    if (s->stream != NULL)
        clv_ua_stream_stop(s->stream);
    clv_ua_phone_hang_up(s->phone);
}

/* ---- hold -------------------------------------------------------------------------------- */

static void
change_direction(Session *s, ClvDirection direction, gboolean hold)
{
    g_autoptr(GError) error = NULL;
    ClvDirection before = s->direction;
    gsize len = 0;
    char *text;

    if (!s->connected || s->stream == NULL)
        return;
    s->direction = direction;
    text = offer_text(s, &len, &error);
    if (text == NULL || !clv_ua_phone_reinvite(s->phone, text, len, &error)) {
        s->direction = before;
        tell_problem(s, "reinvite-failed", error != NULL ? error->message : "");
    } else {
        s->on_hold = hold;
        tell(s, hold ? "holding" : "resuming");
    }
    clv_secret_free_string(text);
}

static void
hold_call(Session *s)
{
    change_direction(
        s, s->options->hold == CLV_UA_HOLD_SENDONLY ? CLV_DIR_SENDONLY : CLV_DIR_INACTIVE, TRUE);
}

static void
resume_call(Session *s)
{
    change_direction(s, CLV_DIR_SENDRECV, FALSE);
}

static void
on_hold(void *user)
{
    Session *s = user;

    s->hold = NULL;
    hold_call(s);
}

static void
on_resume(void *user)
{
    Session *s = user;

    s->resume = NULL;
    resume_call(s);
}

static void
on_duration(void *user)
{
    Session *s = user;

    s->duration = NULL;
    hang_up(s);
}

static void
on_every(void *user)
{
    Session *s = user;

    tell_stats(s);
    s->every = clv_loop_timer(s->loop, s->options->report_every_ms, on_every, s);
}

/* ---- commands on standard input ---------------------------------------------------------- */

static void run_script(Session *s);

static void
on_slept(void *user)
{
    Session *s = user;

    s->script_sleep = NULL;
    run_script(s);
}

static void
script_sleep(Session *s, const char *argument)
{
    double seconds = g_ascii_strtod(argument, NULL);

    s->script_sleep =
        clv_loop_timer(s->loop, (gint64)(CLAMP(seconds, 0.0, 86400.0) * 1000.0), on_slept, s);
}

static void
script_hold(Session *s, const char *argument)
{
    hold_call(s);
}

static void
script_resume(Session *s, const char *argument)
{
    resume_call(s);
}

static void
script_stats(Session *s, const char *argument)
{
    tell_stats(s);
}

static void
script_reset(Session *s, const char *argument)
{
    if (s->stream != NULL)
        clv_ua_meter_reset(clv_ua_stream_meter(s->stream));
}

static void
script_bye(Session *s, const char *argument)
{
    hang_up(s);
}

static const struct {
    const char *word;
    void (*run)(Session *s, const char *argument);
} commands[] = {
    {"sleep", script_sleep}, {"hold", script_hold},   {"resume", script_resume},
    {"stats", script_stats}, {"reset", script_reset}, {"bye", script_bye},
};

static void
run_command(Session *s, const char *line)
{
    g_auto(GStrv) words = g_strsplit(line, " ", 2);

    if (words[0] == NULL || *words[0] == '\0')
        return;
    for (guint i = 0; i < G_N_ELEMENTS(commands); i++)
        if (strcmp(commands[i].word, words[0]) == 0) {
            commands[i].run(s, words[1] != NULL ? words[1] : "");
            return;
        }
    tell_problem(s, "unknown-command", words[0]);
}

/* Commands wait for the call to stand, and for each other's sleep. */
static void
run_script(Session *s)
{
    while (s->connected && s->script_sleep == NULL && s->input->len > 0) {
        char *end = memchr(s->input->str, '\n', s->input->len);
        g_autofree char *line = NULL;

        if (end == NULL)
            return;
        line = g_strndup(s->input->str, (gsize)(end - s->input->str));
        g_string_erase(s->input, 0, end - s->input->str + 1);
        run_command(s, g_strstrip(line));
    }
}

static void
on_input(void *user)
{
    Session *s = user;
    char chunk[512];
    gssize n = read(STDIN_FILENO, chunk, sizeof chunk);

    if (n > 0 && s->input->len < 65536) {
        g_string_append_len(s->input, chunk, n);
    } else {
        clv_loop_unwatch(s->loop, s->input_watch);
        s->input_watch = 0;
        g_string_append_c(s->input, '\n');
    }
    run_script(s);
}

/* ---- the call stands --------------------------------------------------------------------- */

static void
start_clocks(Session *s)
{
    const ClvUaOptions *o = s->options;

    if (o->duration_ms >= 0)
        s->duration = clv_loop_timer(s->loop, o->duration_ms, on_duration, s);
    if (o->hold_after_ms >= 0)
        s->hold = clv_loop_timer(s->loop, o->hold_after_ms, on_hold, s);
    if (o->resume_after_ms >= 0)
        s->resume = clv_loop_timer(s->loop, o->resume_after_ms, on_resume, s);
    if (o->report_every_ms > 0)
        s->every = clv_loop_timer(s->loop, o->report_every_ms, on_every, s);
}

static void
set_text(char **text, const char *value)
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
    s->connected_us = g_get_monotonic_time();
    clv_ua_report_begin(s->report, "connected");
    clv_ua_report_int(s->report, "status", s->status);
    clv_ua_report_string(s->report, "contact", s->contact);
    clv_ua_report_bool(s->report, "isfocus", s->isfocus);
    clv_ua_report_string(s->report, "codec", s->codec);
    put_keys(s);
    clv_ua_report_end(s->report);
    start_clocks(s);
    run_script(s);
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
    else
        g_set_error(&error, CLV_UA_PHONE_ERROR, 0, "the answer has no SDP");
    if (answer == NULL) {
        s->exit = CLV_UA_EXIT_FAILED;
        tell_problem(s, "bad-answer", error->message);
        g_error_free(error);
        return FALSE;
    }
    if (!clv_ua_keys_finish(s->keys, answer, event->contact, &s->tx, &s->rx, &error)) {
        fail_keys(s, error);
        clv_sdp_free(answer);
        return FALSE;
    }
    good = s->stream == NULL || (answer->n_media > 0 && answer->media[0].port != 0 &&
                                 start_media(s, &answer->media[0], TRUE, &error));
    if (!good) {
        s->exit = CLV_UA_EXIT_FAILED;
        tell_problem(s, "no-media", error != NULL ? error->message : "our m-line was refused");
        g_clear_error(&error);
    }
    clv_sdp_free(answer);
    return good;
}

static void
on_accepted(Session *s, const ClvUaPhoneEvent *event)
{
    s->isfocus = event->isfocus;
    set_text(&s->contact, event->contact);
    if (!take_answer(s, event)) {
        hang_up(s);
        return;
    }
    if (s->options->verb == CLV_UA_CREATE && !event->isfocus) {
        s->exit = CLV_UA_EXIT_KEYS;
        tell_problem(s, "keys-failed", "the Contact of the answer is no conference focus");
        hang_up(s);
        return;
    }
    connect_call(s, event);
}

static void
on_reaccepted(Session *s, const ClvUaPhoneEvent *event)
{
    g_autoptr(GError) error = NULL;
    ClvSdp *answer = event->sdp != NULL ? clv_sdp_parse(event->sdp, event->sdp_len, &error) : NULL;
    gboolean changed, good = answer == NULL;

    if (answer != NULL && answer->n_media > 0 && s->stream != NULL) {
        changed = !clv_ua_keys_unchanged(s->keys, answer);
        good = (!changed ||
                clv_ua_keys_finish(s->keys, answer, event->contact, &s->tx, &s->rx, &error)) &&
               start_media(s, &answer->media[0], changed, &error);
    }
    clv_sdp_free(answer);
    if (!good) {
        s->exit = CLV_UA_EXIT_KEYS;
        tell_problem(s, "keys-failed", error != NULL ? error->message : "no media in the answer");
        hang_up(s);
        return;
    }
    tell(s, s->on_hold ? "held" : "resumed");
}

static void
on_refused(Session *s, const ClvUaPhoneEvent *event)
{
    s->state = "refused";
    s->exit = CLV_UA_EXIT_REFUSED;
    s->retry_after_s = event->retry_after_s;
    s->local_status = event->local;
    set_text(&s->problem, event->cause);
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
    clv_loop_quit(s->loop);
}

static void
on_ended(Session *s, const ClvUaPhoneEvent *event)
{
    s->state = "ended";
    s->ended_us = g_get_monotonic_time();
    s->connected = FALSE;
    set_text(&s->cause, event->cause);
    set_text(&s->reason, event->reason);
    clv_ua_report_begin(s->report, "ended");
    clv_ua_report_string(s->report, "cause", event->cause);
    clv_ua_report_string(s->report, "reason", event->reason);
    clv_ua_report_end(s->report);
    clv_loop_quit(s->loop);
}

/* ---- being called ------------------------------------------------------------------------ */

/* Which m-line we take: audio, alive, with one of our codecs; -1: none */
static int
choose_media(const Session *s, const ClvSdp *offer)
{
    for (guint i = 0; i < offer->n_media; i++)
        if (strcmp(offer->media[i].type, "audio") == 0 && offer->media[i].port != 0 &&
            find_codec(s, &offer->media[i]) != NULL)
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

    fill_origin(s, sdp);
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
        fill_media(s, ours);
        ours->direction = (ClvDirection)(s->direction & mirrored(theirs->direction));
        ours->codecs[0] = *find_codec(s, theirs);
        ours->n_codecs = 1;
    }
    return sdp;
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
        tell_problem(s, "bad-offer", error != NULL ? error->message : "no SDP in the call");
        status = event->sdp != NULL ? 400 : 488;
    } else if (media < 0) {
        tell_problem(s, "bad-offer", "no audio with a codec of ours");
    } else {
        answer = make_answer(s, offer, (guint)media);
        if (!clv_ua_keys_answer(s->keys, offer, (guint)media, clv_ua_stream_ssrc(s->stream), answer,
                                &tx, &rx, &error)) {
            fail_keys(s, g_steal_pointer(&error));
        } else {
            changed = memcmp(&tx, &s->tx, sizeof tx) != 0 || memcmp(&rx, &s->rx, sizeof rx) != 0;
            s->tx = tx;
            s->rx = rx;
            if (start_media(s, &offer->media[media], changed, &error)) {
                *out_text = clv_sdp_format(answer);
                status = 200;
            } else {
                tell_problem(s, "no-media", error->message);
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
    clv_loop_quit(s->loop);
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
    clv_secret_free_string(ringing->sdp);
    g_free(ringing);
}

static void
on_ring(void *user)
{
    Ringing *ringing = user;

    ringing->session->ring = NULL;
    pick_up(ringing);
}

static void
on_invited(Session *s, const ClvUaPhoneEvent *event)
{
    Ringing *ringing = g_new0(Ringing, 1);

    s->state = "ringing";
    set_text(&s->contact, event->contact);
    clv_ua_report_begin(s->report, "invited");
    clv_ua_report_string(s->report, "from", event->from);
    clv_ua_report_string(s->report, "to", event->to);
    clv_ua_report_end(s->report);
    ringing->session = s;
    ringing->sdp = event->sdp != NULL ? g_strndup(event->sdp, event->sdp_len) : NULL;
    ringing->len = event->sdp_len;
    s->isfocus = event->isfocus;
    clv_ua_phone_answer(s->phone, 180, NULL);
    s->ring = clv_loop_timer(s->loop, s->options->answer_after_ms, on_ring, ringing);
}

static void
on_reoffered(Session *s, const ClvUaPhoneEvent *event)
{
    char *text = NULL;
    gsize len = 0;
    int status;

    if (event->sdp == NULL) {
        /* a re-INVITE without offer gets ours */
        text = offer_text(s, &len, NULL);
        status = text != NULL ? 200 : 488;
    } else {
        status = answer_offer(s, event, &text);
    }
    clv_ua_phone_answer(s->phone, status, text);
    clv_secret_free_string(text);
    clv_ua_report_begin(s->report, "reoffered");
    clv_ua_report_int(s->report, "status", status);
    clv_ua_report_end(s->report);
}

/* ---- events of the phone ----------------------------------------------------------------- */

static void
on_progress(Session *s, const ClvUaPhoneEvent *event)
{
    s->state = "ringing";
    clv_ua_report_begin(s->report, "progress");
    clv_ua_report_int(s->report, "status", event->status);
    clv_ua_report_string(s->report, "phrase", event->phrase);
    clv_ua_report_string(s->report, "contact", event->contact);
    clv_ua_report_end(s->report);
}

static void
on_rerefused(Session *s, const ClvUaPhoneEvent *event)
{
    clv_ua_report_begin(s->report, "reinvite-refused");
    clv_ua_report_int(s->report, "status", event->status);
    clv_ua_report_string(s->report, "phrase", event->phrase);
    clv_ua_report_string(s->report, "warning", event->warning);
    clv_ua_report_end(s->report);
    s->on_hold = !s->on_hold;
}

static void
on_refreshed(Session *s, const ClvUaPhoneEvent *event)
{
    clv_ua_report_begin(s->report, "refreshed");
    clv_ua_report_string(s->report, "method", event->cause);
    clv_ua_report_int(s->report, "status", event->status);
    clv_ua_report_end(s->report);
}

static void (*const handlers[])(Session *, const ClvUaPhoneEvent *) = {
    [CLV_UA_PHONE_PROGRESS] = on_progress,     [CLV_UA_PHONE_ACCEPTED] = on_accepted,
    [CLV_UA_PHONE_REFUSED] = on_refused,       [CLV_UA_PHONE_INVITED] = on_invited,
    [CLV_UA_PHONE_CONFIRMED] = connect_call,   [CLV_UA_PHONE_REOFFERED] = on_reoffered,
    [CLV_UA_PHONE_REACCEPTED] = on_reaccepted, [CLV_UA_PHONE_REREFUSED] = on_rerefused,
    [CLV_UA_PHONE_REFRESHED] = on_refreshed,   [CLV_UA_PHONE_ENDED] = on_ended,
};

static void
on_phone(const ClvUaPhoneEvent *event, void *user)
{
    Session *s = user;

    if (event->status != 0 &&
        (event->kind == CLV_UA_PHONE_ACCEPTED || event->kind == CLV_UA_PHONE_REFUSED)) {
        s->status = event->status;
        set_text(&s->phrase, event->phrase);
        set_text(&s->warning, event->warning);
    }
    set_text(&s->call_id, event->call_id);
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
    if (++s->n_signals > 1 || clv_ua_phone_is_idle(s->phone))
        clv_loop_quit(s->loop);
    else
        hang_up(s);
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

/* ---- judging ----------------------------------------------------------------------------- */

static ClvUaLevel
level_of(const ClvUaMeter *meter, double hz)
{
    ClvUaLevel level = {hz, CLV_UA_METER_FLOOR, CLV_UA_METER_FLOOR, CLV_UA_METER_FLOOR,
                        CLV_UA_METER_FLOOR};

    for (guint i = 0; i < clv_ua_meter_n_levels(meter); i++) {
        ClvUaLevel found = clv_ua_meter_level(meter, i);

        if (found.hz > hz - 1e-6 && found.hz < hz + 1e-6)
            return found;
    }
    return level;
}

static gboolean
judge(Session *s, const GArray *expects, gboolean hear)
{
    const ClvUaMeter *meter = s->stream != NULL ? clv_ua_stream_meter(s->stream) : NULL;
    gboolean all = TRUE;

    for (guint i = 0; i < expects->len; i++) {
        const ClvUaExpect *expect = &g_array_index(expects, ClvUaExpect, i);
        ClvUaLevel level = {.median_db = CLV_UA_METER_FLOOR, .p90_db = CLV_UA_METER_FLOOR};
        /* where nothing was measured nothing is proven, silence neither */
        gboolean measured = meter != NULL && clv_ua_meter_n_blocks(meter) > 0;
        gboolean met;

        if (measured)
            level = level_of(meter, expect->hz);
        met = measured && (hear ? level.median_db >= expect->db : level.p90_db <= expect->db);
        all &= met;
        clv_ua_report_item(s->report);
        clv_ua_report_string(s->report, "expect", hear ? "hear" : "silent");
        clv_ua_report_number(s->report, "hz", expect->hz, 1);
        clv_ua_report_number(s->report, "limit_db", expect->db, 1);
        clv_ua_report_number(s->report, "found_db", hear ? level.median_db : level.p90_db, 1);
        clv_ua_report_bool(s->report, "met", met);
    }
    return all;
}

static void
final_report(Session *s)
{
    const ClvUaOptions *o = s->options;
    gint64 end_us = s->ended_us != 0 ? s->ended_us : g_get_monotonic_time();

    clv_ua_report_begin_long(s->report, "report");
    clv_ua_report_string(s->report, "state", s->state);
    if (s->status != 0)
        clv_ua_report_int(s->report, "status", s->status);
    clv_ua_report_string(s->report, "phrase", s->phrase);
    clv_ua_report_string(s->report, "warning", s->warning);
    if (s->retry_after_s >= 0)
        clv_ua_report_int(s->report, "retry_after", s->retry_after_s);
    if (s->local_status)
        clv_ua_report_bool(s->report, "local", TRUE);
    clv_ua_report_string(s->report, "cause", s->cause);
    clv_ua_report_string(s->report, "reason", s->reason);
    clv_ua_report_string(s->report, "problem", s->problem);
    clv_ua_report_string(s->report, "identity", o->identity);
    clv_ua_report_string(s->report, "contact", s->contact);
    clv_ua_report_bool(s->report, "isfocus", s->isfocus);
    clv_ua_report_string(s->report, "call_id", s->call_id);
    if (s->connected_us != 0)
        clv_ua_report_number(s->report, "duration_s", (double)(end_us - s->connected_us) / 1e6, 2);
    clv_ua_report_string(s->report, "codec", s->codec);
    put_keys(s);
    if (s->stream != NULL && s->connected_us != 0) {
        put_counters(s);
        put_levels(s);
    }
    if (o->expect_hear->len + o->expect_silent->len > 0) {
        gboolean met;

        clv_ua_report_list(s->report, "expectations");
        met = judge(s, o->expect_hear, TRUE);
        met &= judge(s, o->expect_silent, FALSE);
        clv_ua_report_list_end(s->report);
        if (!met && s->exit == CLV_UA_EXIT_OK)
            s->exit = CLV_UA_EXIT_MEDIA;
    }
    clv_ua_report_int(s->report, "exit", s->exit);
    clv_ua_report_end(s->report);
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

static gboolean
place_call(Session *s, GError **error)
{
    const char *target = target_of(s->options);
    gsize len = 0;
    char *text = offer_text(s, &len, error);
    gboolean good;

    if (text == NULL)
        return FALSE;
    s->state = "calling";
    clv_ua_report_begin(s->report, "calling");
    clv_ua_report_string(s->report, "uri", target);
    clv_ua_report_string(s->report, "identity", s->options->identity);
    put_keys(s);
    clv_ua_report_end(s->report);
    good = clv_ua_phone_call(s->phone, target, text, len, error);
    if (s->options->raw_sdp != NULL)
        g_free(text);
    else
        clv_secret_free_string(text);
    return good;
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
        s->input_watch = clv_loop_watch(s->loop, STDIN_FILENO, on_input, s);
    if (o->verb == CLV_UA_ANSWER) {
        s->state = "listening";
        clv_ua_report_begin(s->report, "listening");
        clv_ua_report_string(s->report, "contact", clv_ua_phone_contact(s->phone));
        clv_ua_report_end(s->report);
        return TRUE;
    }
    if (!clv_ua_keys_prepare(s->keys, target_of(o), error)) {
        s->exit = CLV_UA_EXIT_KEYS;
        return FALSE;
    }
    return place_call(s, error);
}

static void
finish(Session *s)
{
    ClvTimer *timers[] = {s->duration, s->hold, s->resume, s->every, s->script_sleep};
    g_autoptr(GError) error = NULL;

    for (guint i = 0; i < G_N_ELEMENTS(timers); i++)
        clv_timer_cancel(timers[i]);
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
    g_string_free(s->input, TRUE);
    g_free(s->local_host);
    g_free(s->phrase);
    g_free(s->warning);
    g_free(s->cause);
    g_free(s->reason);
    g_free(s->contact);
    g_free(s->call_id);
    g_free(s->problem);
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
    if (begin(&session, &error)) {
        clv_loop_run(session.loop);
        if (session.stream != NULL)
            clv_ua_stream_stop(session.stream);
        final_report(&session);
    } else {
        if (session.exit == CLV_UA_EXIT_OK)
            session.exit = CLV_UA_EXIT_FAILED;
        tell_problem(&session, session.exit == CLV_UA_EXIT_KEYS ? "keys-failed" : "failed",
                     error->message);
        fprintf(stderr, "conclave-ua: %s\n", error->message);
        if (session.keys != NULL)
            final_report(&session);
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
