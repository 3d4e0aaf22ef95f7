/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/conference-print.c - how a transcript writes what a conference wants */
#include "conference-play.h"

#include <string.h>

const char *const code_names[CLV_N_CODES] = {
    [CLV_CODE_OK] = "OK",
    [CLV_CODE_BAD_REQUEST] = "BAD_REQUEST",
    [CLV_CODE_UNAUTHENTICATED] = "UNAUTHENTICATED",
    [CLV_CODE_FORBIDDEN] = "FORBIDDEN",
    [CLV_CODE_NOT_FOUND] = "NOT_FOUND",
    [CLV_CODE_NO_DIALOG] = "NO_DIALOG",
    [CLV_CODE_CANCELLED] = "CANCELLED",
    [CLV_CODE_RETRY_LATER] = "RETRY_LATER",
    [CLV_CODE_ANONYMITY] = "ANONYMITY",
    [CLV_CODE_UNAVAILABLE] = "UNAVAILABLE",
    [CLV_CODE_FULL] = "FULL",
    [CLV_CODE_NO_COMMON_MEDIA] = "NO_COMMON_MEDIA",
    [CLV_CODE_KEYMGMT_UNACCEPTABLE] = "KEYMGMT_UNACCEPTABLE",
    [CLV_CODE_KEYMGMT_FAILED] = "KEYMGMT_FAILED",
    [CLV_CODE_TICKET_REFUSED] = "TICKET_REFUSED",
    [CLV_CODE_INTERNAL] = "INTERNAL",
    [CLV_CODE_OVERLOAD] = "OVERLOAD",
    [CLV_CODE_UNSECURED] = "UNSECURED",
    [CLV_CODE_KMS_TIMEOUT] = "KMS_TIMEOUT",
    [CLV_CODE_KMS_DOWN] = "KMS_DOWN",
};
const char *const timer_names[CLV_N_TIMERS] = {
    [CLV_TIMER_FIRST_JOIN] = "first-join", [CLV_TIMER_EMPTY] = "empty",
    [CLV_TIMER_DURATION] = "duration",     [CLV_TIMER_CREATOR] = "creator",
    [CLV_TIMER_WAITING] = "waiting",       [CLV_TIMER_EXPIRY] = "expiry",
};
const char *const prompt_names[CLV_N_PROMPTS] = {
    [CLV_PROMPT_NONE] = "none",           [CLV_PROMPT_PIN] = "pin",
    [CLV_PROMPT_PIN_WRONG] = "pin-wrong", [CLV_PROMPT_PIN_FAILED] = "pin-failed",
    [CLV_PROMPT_ALONE] = "alone",         [CLV_PROMPT_LOCKED] = "locked",
    [CLV_PROMPT_UNLOCKED] = "unlocked",   [CLV_PROMPT_KNOCK] = "knock",
    [CLV_PROMPT_ENDING] = "ending",       [CLV_PROMPT_ENDED] = "ended",
    [CLV_PROMPT_JOINED] = "joined",       [CLV_PROMPT_LEFT] = "left",
    [CLV_PROMPT_ACCEPTED] = "accepted",   [CLV_PROMPT_REJECTED] = "rejected",
};
const char *const direction_names[] = {"inactive", "sendonly", "recvonly", "sendrecv"};

guint
find_name(const char *const *names, guint n, const char *name)
{
    for (guint i = 0; i < n; i++) {
        if (g_strcmp0(names[i], name) == 0)
            return i;
    }
    g_error("unknown word '%s'", name);
}

static void
print_plan(GString *log, const ClvMixPlan *plan)
{
    static const char *const parts[] = {"none", "talks", "hears", "both"};

    g_string_append(log, "< plan");
    for (guint i = 0; i < plan->n_members; i++)
        g_string_append_printf(log, " %" G_GUINT64_FORMAT ":%s", plan->members[i].leg,
                               parts[plan->members[i].talks + 2 * plan->members[i].hears]);
    g_string_append_c(log, '\n');
}

static void
print_history(GString *log, const GPtrArray *history)
{
    static const char *const copies[] = {"to", "cc", "bcc"};

    for (guint i = 0; i < history->len; i++) {
        const ClvUriEntry *entry = history->pdata[i];

        g_string_append_printf(log, "%s%s:%s%s", i == 0 ? " history=" : ",", entry->uri,
                               copies[entry->copy], entry->anonymize ? ":anonymous" : "");
    }
}

static void
print_order(GString *log, const ClvDialOrder *order)
{
    g_string_append_printf(log, "< dial %u %s", order->dial, order->target);
    for (char **name = order->ticket_for; name != NULL && *name != NULL; name++)
        g_string_append_printf(log, "%s%s", name == order->ticket_for ? " ticket-for=" : ",",
                               *name);
    if (order->referred_by != NULL)
        g_string_append_printf(log, " referred-by=%s", order->referred_by);
    if (order->replaces != NULL)
        g_string_append_printf(log, " replaces=%s", order->replaces);
    if (order->history != NULL)
        print_history(log, order->history);
    g_string_append(log, order->by_refer ? " by-refer\n" : "\n");
}

static void
print_call(GString *log, const ClvAction *a)
{
    switch (a->kind) {
    case CLV_ACT_REFER_ACCEPT:
        g_string_append_printf(log, "< refer-accept %" G_GUINT64_FORMAT " %s\n", a->refer,
                               a->flag ? "200" : "202");
        break;
    case CLV_ACT_REFER_REFUSE:
        g_string_append_printf(log, "< refer-refuse %" G_GUINT64_FORMAT " %s\n", a->refer,
                               code_names[a->code]);
        break;
    case CLV_ACT_REFER_KEYS:
        g_string_append_printf(log, "< refer-keys %" G_GUINT64_FORMAT "\n", a->refer);
        break;
    case CLV_ACT_REFER_NOTIFY:
        g_string_append_printf(log, "< notify %" G_GUINT64_FORMAT " %u%s\n", a->refer, a->status,
                               a->flag ? " last" : "");
        break;
    case CLV_ACT_DIAL:
        print_order(log, a->order);
        break;
    default:
        g_string_append_printf(log, "< dial-end %u %s\n", a->dial, a->text != NULL ? a->text : "-");
        break;
    }
}

void
print_action(GString *log, const ClvAction *a)
{
    switch (a->kind) {
    case CLV_ACT_REFUSE:
        g_string_append_printf(log, "< refuse %" G_GUINT64_FORMAT " %s", a->leg,
                               code_names[a->code]);
        if (a->retry_after_s != 0)
            g_string_append_printf(log, " retry-after=%u", a->retry_after_s);
        g_string_append_c(log, '\n');
        break;
    case CLV_ACT_KEYMGMT_OPEN:
        g_string_append_printf(log, "< keymgmt-open %" G_GUINT64_FORMAT "\n", a->leg);
        break;
    case CLV_ACT_KEYMGMT_CLOSE:
        g_string_append_printf(log, "< keymgmt-close %" G_GUINT64_FORMAT "\n", a->leg);
        break;
    case CLV_ACT_MEDIA_OPEN:
        g_string_append_printf(log, "< media-open %" G_GUINT64_FORMAT "\n", a->leg);
        break;
    case CLV_ACT_ACCEPT:
        g_string_append_printf(log, "< accept %" G_GUINT64_FORMAT "\n", a->leg);
        break;
    case CLV_ACT_CUT:
        g_string_append_printf(log, "< cut %" G_GUINT64_FORMAT "\n", a->leg);
        break;
    case CLV_ACT_BYE:
        g_string_append_printf(log, "< bye %" G_GUINT64_FORMAT " %s\n", a->leg,
                               a->text != NULL ? a->text : "-");
        break;
    case CLV_ACT_PLAN:
        print_plan(log, a->plan);
        break;
    case CLV_ACT_ROSTER:
        g_string_append_printf(log, "< roster %" G_GUINT64_FORMAT " %s %s\n", a->leg, a->text,
                               a->identity != NULL ? a->identity : "-");
        break;
    case CLV_ACT_TIMER:
        if (a->delay_ms < 0)
            g_string_append_printf(log, "< timer %s off\n", timer_names[a->timer]);
        else
            g_string_append_printf(log, "< timer %s %" G_GINT64_FORMAT "ms\n",
                                   timer_names[a->timer], a->delay_ms);
        break;
    case CLV_ACT_QUEUE:
        g_string_append_printf(log, "< queue %" G_GUINT64_FORMAT "\n", a->leg);
        break;
    case CLV_ACT_REDIRECT:
        g_string_append_printf(log, "< redirect %" G_GUINT64_FORMAT "\n", a->leg);
        break;
    case CLV_ACT_REOFFER_ACCEPT:
        g_string_append_printf(log, "< reoffer-accept %" G_GUINT64_FORMAT "\n", a->leg);
        break;
    case CLV_ACT_REOFFER_REFUSE:
        g_string_append_printf(log, "< reoffer-refuse %" G_GUINT64_FORMAT " %s\n", a->leg,
                               code_names[a->code]);
        break;
    case CLV_ACT_CONFIRM:
        g_string_append_printf(log, "< confirm %" G_GUINT64_FORMAT "\n", a->leg);
        break;
    case CLV_ACT_PROMPT:
        g_string_append_printf(log, "< prompt %" G_GUINT64_FORMAT " %s\n", a->leg,
                               prompt_names[a->prompt]);
        break;
    case CLV_ACT_CHECK_PIN:
        g_string_append_printf(log, "< check-pin %" G_GUINT64_FORMAT " %s\n", a->leg, a->text);
        break;
    case CLV_ACT_REFER_ACCEPT:
    case CLV_ACT_REFER_REFUSE:
    case CLV_ACT_REFER_KEYS:
    case CLV_ACT_REFER_NOTIFY:
    case CLV_ACT_DIAL:
    case CLV_ACT_DIAL_END:
        print_call(log, a);
        break;
    case CLV_ACT_LOG:
        g_string_append_printf(log, "< log %s\n", a->text);
        break;
    case CLV_ACT_ENDED:
        g_string_append(log, "< ended\n");
        break;
    }
}
