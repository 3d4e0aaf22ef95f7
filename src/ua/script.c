/* SPDX-License-Identifier: Apache-2.0 */
/* ua/script.c - what happens when: clocks, steps of the command line, commands on standard input */
#include "ua/session-private.h"

#include "base/secret.h"
#include "ua/meter.h"

#include <string.h>
#include <unistd.h>

/* ---- other offers in the call ------------------------------------------------------------- */

void
clv_ua_reoffer(Session *s, Change change, const char *what, gboolean by_update)
{
    g_autoptr(GError) error = NULL;
    gsize len = 0;
    char *text = clv_ua_offer_text(s, &len, &error);

    if (text == NULL || !clv_ua_phone_reoffer(s->phone, by_update, text, len, &error)) {
        clv_ua_keys_drop_next(s->keys);
        clv_ua_fail(s, CLV_UA_EXIT_FAILED);
        clv_ua_tell_problem(s, "reinvite-failed", error != NULL ? error->message : "");
    } else {
        s->change = change;
        s->change_of = what;
        clv_ua_report_begin(s->report, change == CHANGE_KEYS ? "offering-keys" : what);
        if (change == CHANGE_KEYS)
            clv_ua_report_string(s->report, "what", what);
        clv_ua_report_end(s->report);
    }
    clv_secret_free_string(text);
}

static void
change_direction(Session *s, ClvDirection direction, gboolean hold)
{
    ClvDirection before = s->direction;

    if (!s->connected || s->stream == NULL)
        return;
    s->direction = direction;
    clv_ua_reoffer(s, hold ? CHANGE_HOLD : CHANGE_RESUME, hold ? "holding" : "resuming", FALSE);
    if (s->change == CHANGE_NONE)
        s->direction = before;
    else
        s->on_hold = hold;
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
    clv_ua_hang_up(s);
}

static void
on_every(void *user)
{
    Session *s = user;

    clv_ua_tell_stats(s);
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
    clv_ua_tell_stats(s);
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
    clv_ua_hang_up(s);
}

static void
script_refer(Session *s, const char *argument)
{
    clv_ua_ask(s, NULL, "invite", argument);
}

static void
script_remove(Session *s, const char *argument)
{
    clv_ua_ask(s, NULL, "remove", argument);
}

static void
script_end(Session *s, const char *argument)
{
    clv_ua_ask(s, NULL, "end", NULL);
}

static void
script_identity(Session *s, const char *argument)
{
    g_autoptr(GError) error = NULL;

    if (clv_ua_phone_change_identity(s->phone, argument, &error))
        return;
    clv_ua_fail(s, CLV_UA_EXIT_FAILED);
    clv_ua_tell_problem(s, "identity-failed", error != NULL ? error->message : "");
}

static void
script_dtmf(Session *s, const char *argument)
{
    const char *why = NULL;

    if (s->stream == NULL || s->event_pt < 0)
        why = "the other side takes no telephone events";
    else if (!clv_ua_stream_dtmf(s->stream, (guint8)s->event_pt, argument))
        why = "keys are 0-9, *, # and A-D";
    if (why == NULL)
        return;
    clv_ua_fail(s, CLV_UA_EXIT_FAILED);
    clv_ua_tell_problem(s, "dtmf-failed", why);
}

/* Will there be a use for telephone events? */
gboolean
clv_ua_script_presses_keys(const Session *s)
{
    const GPtrArray *steps = s->options->steps;

    for (guint i = 0; i < steps->len; i++)
        if (strcmp(((const ClvUaStep *)steps->pdata[i])->command, "dtmf") == 0)
            return TRUE;
    return s->options->interactive;
}

static const struct {
    const char *word;
    void (*run)(Session *s, const char *argument);
} commands[] = {
    {"sleep", script_sleep},       {"hold", script_hold},        {"resume", script_resume},
    {"stats", script_stats},       {"reset", script_reset},      {"bye", script_bye},
    {"refer", script_refer},       {"remove", script_remove},    {"end", script_end},
    {"allow", clv_ua_renew_allow}, {"rekey", clv_ua_renew_keys}, {"update", clv_ua_renew_update},
    {"identity", script_identity}, {"dtmf", script_dtmf},
};

static void
run_word(Session *s, const char *word, const char *argument)
{
    for (guint i = 0; i < G_N_ELEMENTS(commands); i++)
        if (strcmp(commands[i].word, word) == 0) {
            commands[i].run(s, argument);
            return;
        }
    clv_ua_tell_problem(s, "unknown-command", word);
}

static void
run_command(Session *s, const char *line)
{
    g_auto(GStrv) words = g_strsplit(line, " ", 2);

    if (words[0] != NULL && *words[0] != '\0')
        run_word(s, words[0], words[1] != NULL ? words[1] : "");
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

gboolean
clv_ua_script_watch_input(Session *s)
{
    s->input_watch = clv_loop_watch(s->loop, STDIN_FILENO, on_input, s);
    return s->input_watch > 0;
}

/* ---- steps and clocks --------------------------------------------------------------------- */

typedef struct Step {
    Session *session;
    const ClvUaStep *what;
    ClvTimer *timer; /* NULL: it has been */
} Step;

static void
on_step(void *user)
{
    Step *step = user;

    step->timer = NULL;
    if (step->session->connected)
        run_word(step->session, step->what->command, step->what->argument);
}

static void
free_step(gpointer data)
{
    clv_timer_cancel(((Step *)data)->timer);
    g_free(data);
}

void
clv_ua_script_start(Session *s)
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
    s->steps = g_ptr_array_new_with_free_func(free_step);
    for (guint i = 0; i < o->steps->len; i++) {
        Step *step = g_new0(Step, 1);

        step->session = s;
        step->what = o->steps->pdata[i];
        step->timer = clv_loop_timer(s->loop, step->what->at_ms, on_step, step);
        g_ptr_array_add(s->steps, step);
    }
    run_script(s);
}

/* How many steps were never made? */
guint
clv_ua_script_n_missed(const Session *s)
{
    guint n = 0;

    if (s->steps == NULL)
        return s->options->steps->len;
    for (guint i = 0; i < s->steps->len; i++)
        n += ((Step *)s->steps->pdata[i])->timer != NULL;
    return n;
}

void
clv_ua_script_stop(Session *s)
{
    ClvTimer **timers[] = {&s->duration, &s->hold, &s->resume, &s->every, &s->script_sleep};

    for (guint i = 0; i < G_N_ELEMENTS(timers); i++) {
        clv_timer_cancel(*timers[i]);
        *timers[i] = NULL;
    }
    g_clear_pointer(&s->steps, g_ptr_array_unref);
}
