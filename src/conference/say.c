/* SPDX-License-Identifier: Apache-2.0 */
/* conference/say.c - how does a conference say what it wants? */
#include "conference/conference-private.h"

#include <string.h>

void
clv_dial_order_free(ClvDialOrder *order)
{
    if (order == NULL)
        return;
    g_free(order->target);
    g_strfreev(order->ticket_for);
    g_free(order->referred_by);
    g_free(order->replaces);
    g_clear_pointer(&order->history, g_ptr_array_unref);
    g_free(order);
}

static void
action_clear(gpointer data)
{
    ClvAction *action = data;

    if (action->kind == CLV_ACT_CHECK_PIN && action->text != NULL)
        explicit_bzero(action->text, strlen(action->text));
    g_free(action->plan);
    g_free(action->text);
    g_free(action->identity);
    clv_dial_order_free(action->order);
}

GArray *
clv_actions_new(void)
{
    GArray *actions = g_array_new(FALSE, TRUE, sizeof(ClvAction));

    g_array_set_clear_func(actions, action_clear);
    return actions;
}

void
clv_say(ClvConference *c, ClvAction action)
{
    g_array_append_val(c->out, action);
}

void
clv_say_on(ClvConference *c, ClvActionKind kind, ClvLegId leg)
{
    clv_say(c, (ClvAction){.kind = kind, .leg = leg});
}

void
clv_say_roster(ClvConference *c, const Member *member, const char *what)
{
    clv_say(c, (ClvAction){.kind = CLV_ACT_ROSTER,
                           .leg = member->leg,
                           .text = g_strdup(what),
                           .identity = g_strdup(member->identity)});
}

void
clv_say_note(ClvConference *c, ClvLegId leg, const char *identity, const char *format, ...)
{
    va_list args;
    char *text;

    va_start(args, format);
    text = g_strdup_vprintf(format, args);
    va_end(args);
    clv_say(c, (ClvAction){
                   .kind = CLV_ACT_LOG, .leg = leg, .text = text, .identity = g_strdup(identity)});
}

void
clv_say_plan(ClvConference *c)
{
    clv_say(c, (ClvAction){.kind = CLV_ACT_PLAN, .plan = clv_plan_new(c->id, &c->roster)});
}

/* Only who has media can hear it. */
void
clv_say_prompt(ClvConference *c, Member *member, ClvPrompt prompt)
{
    if (member->state != MEMBER_CONNECTED || !member->has_media)
        return;
    member->prompt = prompt;
    clv_say(c, (ClvAction){.kind = CLV_ACT_PROMPT, .leg = member->leg, .prompt = prompt});
}

void
clv_say_prompt_to_all(ClvConference *c, ClvPrompt prompt)
{
    for (guint i = 0; i < c->roster.members->len; i++) {
        Member *member = c->roster.members->pdata[i];

        if (clv_member_is_in(member))
            clv_say_prompt(c, member, prompt);
    }
}
