/* SPDX-License-Identifier: Apache-2.0 */
/* ua/asking.c - REFER: asking others to call or to hang up, and doing what others ask
 *
 *   asking:  ticket -> REFER -> its answer -> NOTIFYs -> what became of it, for report and exit
 *   asked:   REFER -> ticket resolved at the KMS -> 202 -> our own ticket -> call -> NOTIFYs
 */
#include "ua/session-private.h"

#include "base/identity.h"
#include "base/secret.h"

#include <string.h>

void
clv_ua_free_referral(gpointer data)
{
    Referral *referral = data;

    g_free(referral->what);
    g_free(referral->target);
    g_free(referral->phrase);
    g_free(referral);
}

static Referral *
find_referral(const Session *s, guint id)
{
    for (guint i = 0; i < s->referrals->len; i++)
        if (((Referral *)s->referrals->pdata[i])->id == id)
            return s->referrals->pdata[i];
    return NULL;
}

/* ---- asking ------------------------------------------------------------------------------ */

/* "sip:carol@example.org" with ";method=BYE" before the headers, if it has some */
static char *
with_method(const char *uri, gboolean bye)
{
    gsize base = strcspn(uri, "?");

    return bye ? g_strdup_printf("%.*s;method=BYE%s", (int)base, uri, uri + base) : g_strdup(uri);
}

/* An SDP without m-line, which has nothing but the ticket */
static char *
sdp_of(Session *s, const char *base64)
{
    ClvSdp *sdp = g_new0(ClvSdp, 1);
    char *text;

    clv_ua_fill_origin(s, sdp);
    sdp->keymgmt[sdp->n_keymgmt++] = g_strconcat("mikey ", base64, NULL);
    text = clv_sdp_format(sdp);
    clv_sdp_free(sdp);
    return text;
}

/* Whom the ticket names: who is asked, and who it is about, each once */
static GPtrArray *
names_of(const Session *s, const char *whom, const char *target)
{
    const ClvUaOptions *o = s->options;
    GPtrArray *names = g_ptr_array_new_with_free_func(g_free);
    g_autofree char *plain = g_strndup(target, strcspn(target, "?"));
    g_autofree char *first = clv_identity_canonical(whom, -1);
    g_autofree char *second = clv_identity_canonical(plain, -1);

    if (o->verb == CLV_UA_REFER && o->ticket_for->len > 0) {
        for (guint i = 0; i < o->ticket_for->len; i++)
            g_ptr_array_add(names, g_strdup(g_ptr_array_index(o->ticket_for, i)));
    } else {
        g_ptr_array_add(names, g_strdup(whom));
        if (second != NULL && g_strcmp0(first, second) != 0)
            g_ptr_array_add(names, g_steal_pointer(&plain));
    }
    g_ptr_array_add(names, NULL);
    return names;
}

/* Fills type and body of @refer. @out_body: (transfer full): owns it */
static gboolean
put_ticket(Session *s, const char *whom, const char *target, ClvUaRefer *refer, char **out_body,
           GError **error)
{
    const ClvUaOptions *o = s->options;
    g_autoptr(GPtrArray) names = names_of(s, whom, target);
    g_autofree char *ticket = NULL;

    if (o->keymgmt != CLV_UA_MIKEY || o->refer_body == CLV_UA_REFER_NONE)
        return TRUE;
    ticket = clv_ua_keys_refer(s->keys, whom, (const char *const *)names->pdata, error);
    if (ticket == NULL)
        return FALSE;
    if (o->refer_body == CLV_UA_REFER_SDP) {
        *out_body = sdp_of(s, ticket);
        refer->type = "application/sdp";
    } else {
        *out_body = g_steal_pointer(&ticket);
        refer->type = "application/mikey";
    }
    refer->body = *out_body;
    return TRUE;
}

static void
tell_not_sent(Session *s, GError *error)
{
    clv_ua_fail(s, CLV_UA_EXIT_FAILED);
    clv_ua_tell_problem(s, "refer-failed", error != NULL ? error->message : "");
    g_clear_error(&error);
    if (s->options->verb == CLV_UA_REFER)
        clv_ua_leave(s);
}

/* In the call's dialog unless @whom says who is asked. */
void
clv_ua_ask(Session *s, const char *whom, const char *what, const char *target)
{
    const ClvUaOptions *o = s->options;
    ClvUaKeysInfo info = clv_ua_keys_info(s->keys);
    const char *asked = whom != NULL ? whom : info.peer != NULL ? info.peer : s->contact;
    g_autofree char *refer_to = NULL;
    g_autofree char *body = NULL;
    ClvUaRefer refer = {.whom = whom,
                        .target_dialog = o->target_dialog,
                        .referred_by = o->identity,
                        .no_notify = o->no_refer_sub};
    GError *error = NULL;
    Referral *referral;
    guint id = 0;

    if (asked == NULL)
        return;
    if (strcmp(what, "end") == 0)
        target = asked;
    refer_to = with_method(target, strcmp(what, "invite") != 0);
    refer.refer_to = refer_to;
    if (put_ticket(s, asked, target, &refer, &body, &error))
        id = clv_ua_phone_refer(s->phone, &refer, &error);
    else
        s->exit = s->exit == CLV_UA_EXIT_OK ? CLV_UA_EXIT_KEYS : s->exit;
    if (id == 0) {
        tell_not_sent(s, error);
        return;
    }
    referral = g_new0(Referral, 1);
    referral->id = id;
    referral->what = g_strdup(what);
    referral->target = g_strdup(target);
    g_ptr_array_add(s->referrals, referral);
    clv_ua_report_begin(s->report, "referring");
    clv_ua_report_int(s->report, "refer", id);
    clv_ua_report_string(s->report, "what", what);
    clv_ua_report_string(s->report, "whom", asked);
    clv_ua_report_string(s->report, "refer_to", refer_to);
    clv_ua_report_end(s->report);
}

static void
on_waited(void *user)
{
    Session *s = user;

    s->linger = NULL;
    clv_ua_leave(s);
}

/* The verb is over with the last word about it. */
static void
go_on(Session *s, Referral *referral)
{
    if (s->options->verb != CLV_UA_REFER && s->connected)
        return;
    if (!clv_ua_is_waiting_for_notifies(s))
        clv_ua_leave(s);
    else if (s->linger == NULL && referral->answer != 0)
        s->linger = clv_loop_timer(s->loop, s->options->refer_timeout_ms, on_waited, s);
}

void
clv_ua_on_refer_answered(Session *s, const ClvUaPhoneEvent *event)
{
    Referral *referral = find_referral(s, event->refer);

    if (referral == NULL)
        return;
    referral->answer = event->status;
    referral->done |= event->last;
    referral->silent = event->last;
    clv_ua_set_text(&referral->phrase, event->phrase);
    clv_ua_report_begin(s->report, "refer-answered");
    clv_ua_report_int(s->report, "refer", event->refer);
    clv_ua_report_int(s->report, "status", event->status);
    clv_ua_report_string(s->report, "phrase", event->phrase);
    clv_ua_report_string(s->report, "warning", event->warning);
    clv_ua_report_bool(s->report, "notifies", !event->last);
    clv_ua_report_end(s->report);
    if (s->options->verb == CLV_UA_REFER) {
        s->status = event->status;
        s->state = event->status < 300 ? "accepted" : "refused";
        s->local_status = event->local;
        clv_ua_set_text(&s->phrase, event->phrase);
        clv_ua_set_text(&s->warning, event->warning);
        s->retry_after_s = event->retry_after_s;
    }
    go_on(s, referral);
}

void
clv_ua_on_refer_notified(Session *s, const ClvUaPhoneEvent *event)
{
    Referral *referral = find_referral(s, event->refer);

    if (referral == NULL)
        return;
    /* the NOTIFY may have overtaken the answer */
    referral->outcome = event->status;
    referral->done = event->last;
    clv_ua_set_text(&referral->phrase, event->phrase);
    clv_ua_report_begin(s->report, "notified");
    clv_ua_report_int(s->report, "refer", event->refer);
    clv_ua_report_int(s->report, "status", event->status);
    clv_ua_report_string(s->report, "phrase", event->phrase);
    clv_ua_report_bool(s->report, "last", event->last);
    clv_ua_report_end(s->report);
    go_on(s, referral);
}

gboolean
clv_ua_is_waiting_for_notifies(const Session *s)
{
    for (guint i = 0; i < s->referrals->len; i++)
        if (!((Referral *)s->referrals->pdata[i])->done)
            return TRUE;
    return FALSE;
}

static ClvUaExit
judge_referral(const Referral *referral)
{
    if (referral->answer >= 300 || referral->outcome >= 300)
        return CLV_UA_EXIT_REFUSED;
    /* where none are sent the answer is all there is to know */
    if (referral->silent)
        return CLV_UA_EXIT_OK;
    return referral->done && referral->outcome >= 200 ? CLV_UA_EXIT_OK : CLV_UA_EXIT_FAILED;
}

void
clv_ua_put_referrals(Session *s)
{
    if (s->referrals->len == 0)
        return;
    clv_ua_report_list(s->report, "refers");
    for (guint i = 0; i < s->referrals->len; i++) {
        const Referral *referral = s->referrals->pdata[i];

        clv_ua_report_item(s->report);
        clv_ua_report_string(s->report, "what", referral->what);
        clv_ua_report_string(s->report, "target", referral->target);
        clv_ua_report_int(s->report, "answer", referral->answer);
        clv_ua_report_int(s->report, "outcome", referral->outcome);
        clv_ua_report_string(s->report, "phrase", referral->phrase);
        clv_ua_report_bool(s->report, "finished", referral->done);
        clv_ua_fail(s, judge_referral(referral));
    }
    clv_ua_report_list_end(s->report);
}

/* ---- being asked -------------------------------------------------------------------------- */

static void
refuse_referral(Session *s, const ClvUaPhoneEvent *event, int status, const char *why)
{
    clv_ua_tell_problem(s, "refer-refused", why);
    clv_ua_phone_refer_answer(s->phone, event->refer, status);
    clv_ua_fail(s, status == 403 ? CLV_UA_EXIT_KEYS : CLV_UA_EXIT_REFUSED);
    s->state = "refused";
    s->status = status;
    clv_ua_leave(s);
}

/* Who asks, proven by the ticket. FALSE: it has been refused */
static gboolean
check_referral(Session *s, const ClvUaPhoneEvent *event, const char *conference)
{
    GError *error = NULL;

    if (s->options->keymgmt != CLV_UA_MIKEY)
        return TRUE;
    s->referrer = clv_ua_keys_referred(s->keys, event->body_type, event->body, event->body_len,
                                       conference, &error);
    if (s->referrer != NULL)
        return TRUE;
    refuse_referral(s, event, 403, error->message);
    g_error_free(error);
    return FALSE;
}

static void
follow(Session *s)
{
    GError *error = NULL;

    if (!clv_ua_keys_prepare(s->keys, s->follows, &error)) {
        clv_ua_tell_referrer(s, 500, NULL, TRUE);
        clv_ua_fail_keys(s, error);
        clv_ua_leave(s);
    } else if (!clv_ua_place_call(s, s->follows, &error)) {
        clv_ua_tell_referrer(s, 500, NULL, TRUE);
        clv_ua_fail(s, CLV_UA_EXIT_FAILED);
        clv_ua_tell_problem(s, "failed", error->message);
        g_error_free(error);
        clv_ua_leave(s);
    }
}

void
clv_ua_on_referred(Session *s, const ClvUaPhoneEvent *event)
{
    g_autofree char *conference = NULL;

    clv_ua_report_begin(s->report, "referred");
    clv_ua_report_string(s->report, "from", event->from);
    clv_ua_report_string(s->report, "refer_to", event->refer_to);
    clv_ua_report_string(s->report, "method", event->refer_method);
    clv_ua_report_string(s->report, "referred_by", event->referred_by);
    clv_ua_report_string(s->report, "body", event->body_type);
    clv_ua_report_end(s->report);
    if (!clv_ua_phone_is_idle(s->phone) || s->follows != NULL) {
        clv_ua_phone_refer_answer(s->phone, event->refer, 486);
        return;
    }
    if (strcmp(event->refer_method, "INVITE") != 0) {
        refuse_referral(s, event, 603, "we only call");
        return;
    }
    conference = g_strndup(event->refer_to, strcspn(event->refer_to, "?"));
    if (!check_referral(s, event, conference))
        return;
    clv_ua_phone_refer_answer(s->phone, event->refer, 202);
    s->referred = event->no_notify ? 0 : event->refer;
    s->follows = g_steal_pointer(&conference);
    clv_ua_report_begin(s->report, "following");
    clv_ua_report_string(s->report, "uri", s->follows);
    clv_ua_report_string(s->report, "proven_referrer", s->referrer);
    clv_ua_report_end(s->report);
    clv_ua_tell_referrer(s, 100, NULL, FALSE);
    follow(s);
}

void
clv_ua_tell_referrer(Session *s, int status, const char *phrase, gboolean last)
{
    if (s->referred == 0)
        return;
    clv_ua_phone_refer_notify(s->phone, s->referred, status, phrase, last);
    if (last)
        s->referred = 0;
}
