/* SPDX-License-Identifier: Apache-2.0 */
/* ua/judge.c - what was found, and is it what was wanted? */
#include "ua/session-private.h"

#include "ua/meter.h"
#include "ua/suite.h"

#include <string.h>

#define N_PEAKS 6

/* ---- putting ---------------------------------------------------------------------------- */

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
    clv_ua_report_int(s->report, "key_changes", st->key_changes);
    clv_ua_report_int(s->report, "under_old_keys", (gint64)st->under_old_keys);
    if (st->digits > 0)
        clv_ua_report_int(s->report, "digits_sent", st->digits);
    if (st->heard_digits[0] != '\0')
        clv_ua_report_string(s->report, "digits_heard", st->heard_digits);
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

void
clv_ua_put_keys(Session *s)
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

void
clv_ua_tell_stats(Session *s)
{
    if (s->stream == NULL)
        return;
    clv_ua_report_begin(s->report, "stats");
    put_counters(s);
    put_levels(s);
    clv_ua_report_end(s->report);
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

/* In a call, or in the media that came before it. */
static gboolean
has_spoken(const Session *s)
{
    const ClvUaStreamStats *st = s->stream != NULL ? clv_ua_stream_stats(s->stream) : NULL;

    return st != NULL && (s->connected_us != 0 || st->sent > 0 || st->received > 0);
}

void
clv_ua_final_report(Session *s)
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
    clv_ua_report_string(s->report, "dialog", s->dialog);
    clv_ua_report_string(s->report, "proven_referrer", s->referrer);
    clv_ua_report_string(s->report, "followed", s->follows);
    if (s->connected_us != 0)
        clv_ua_report_number(s->report, "duration_s", (double)(end_us - s->connected_us) / 1e6, 2);
    clv_ua_report_string(s->report, "codec", s->codec);
    clv_ua_put_keys(s);
    if (has_spoken(s))
        put_counters(s);
    if (s->stream != NULL && s->connected_us != 0)
        put_levels(s);
    if (o->expect_hear->len + o->expect_silent->len > 0) {
        gboolean met;

        clv_ua_report_list(s->report, "expectations");
        met = judge(s, o->expect_hear, TRUE);
        met &= judge(s, o->expect_silent, FALSE);
        clv_ua_report_list_end(s->report);
        if (!met && s->exit == CLV_UA_EXIT_OK)
            s->exit = CLV_UA_EXIT_MEDIA;
    }
    clv_ua_put_referrals(s);
    if (s->n_changed + s->n_unchanged > 0) {
        clv_ua_report_int(s->report, "keys_changed", s->n_changed);
        clv_ua_report_int(s->report, "keys_unchanged", s->n_unchanged);
    }
    if (s->n_missed > 0) {
        clv_ua_report_int(s->report, "steps_missed", s->n_missed);
        clv_ua_fail(s, CLV_UA_EXIT_FAILED);
    }
    clv_ua_report_int(s->report, "exit", s->exit);
    clv_ua_report_end(s->report);
}
