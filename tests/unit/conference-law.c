/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/conference-law.c - what must hold after every step, whatever the events were */
#include "conference-law.h"

#include <string.h>

Law *
law_new(void)
{
    Law *law = g_new0(Law, 1);

    law->banned = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    law->listed = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    return law;
}

void
law_free(Law *law)
{
    for (guint i = 0; i < MAX_LEGS; i++)
        g_free(law->legs[i].identity);
    for (guint i = 0; i < MAX_REFERS; i++)
        g_free(law->refers[i].target);
    for (guint i = 0; i < MAX_DIALS; i++)
        g_free(law->dials[i].target);
    g_hash_table_unref(law->banned);
    g_hash_table_unref(law->listed);
    g_free(law);
}

/* ---- events ---- */

static void
law_sees_join(Law *law, const ClvEvent *event)
{
    LegLaw *leg = &law->legs[event->leg];

    if (leg->state != LEG_UNKNOWN)
        return;
    leg->state = LEG_JOINING;
    for (guint i = 0; event->join->uri_list != NULL && i < event->join->uri_list->len; i++) {
        const ClvUriEntry *entry = event->join->uri_list->pdata[i];

        g_hash_table_add(law->listed, g_strdup(entry->uri));
        law->creation = event->leg;
    }
}

static void
law_sees_refer(Law *law, const ClvEvRefer *event)
{
    ReferLaw *refer = &law->refers[event->refer];

    if (refer->state != REFER_UNKNOWN)
        return;
    refer->state = REFER_ASKED;
    refer->removes = event->removes;
    refer->ticket = event->ticket_offered;
    refer->target = g_strdup(event->target);
}

static void
law_sees_answer(Law *law, const ClvEvent *event)
{
    DialLaw *dial = &law->dials[event->dial];
    LegLaw *leg = &law->legs[event->leg];

    if (dial->state != DIAL_OPEN || leg->state != LEG_UNKNOWN)
        return;
    dial->state = DIAL_ANSWERS;
    dial->leg = event->leg;
    leg->state = LEG_JOINING;
    leg->dial = event->dial;
}

static void
law_sees_event(Law *law, const ClvEvent *event)
{
    LegLaw *leg = &law->legs[event->leg];

    law->reoffer = 0;
    if (event->kind == CLV_EV_JOIN)
        law_sees_join(law, event);
    if (event->kind == CLV_EV_CONFIRMED && leg->state == LEG_ACCEPTED)
        leg->state = LEG_CONFIRMED;
    if (event->kind == CLV_EV_MEDIA_ADDED && leg->state == LEG_CONFIRMED)
        leg->media_open = TRUE;
    if (event->kind == CLV_EV_GONE && leg->state != LEG_UNKNOWN && leg->state != LEG_OVER)
        leg->dialog_gone = TRUE;
    if (event->kind == CLV_EV_REFER)
        law_sees_refer(law, event->refer);
    if (event->kind == CLV_EV_REFER_KEYS && law->refers[event->refer_id].state == REFER_PROVING)
        law->refers[event->refer_id].proven = TRUE;
    if (event->kind == CLV_EV_DIAL_ANSWERED)
        law_sees_answer(law, event);
    if (event->kind == CLV_EV_DIAL_FAILED && law->dials[event->dial].state == DIAL_OPEN &&
        !(law->dials[event->dial].by_refer && event->status / 100 == 2))
        law->dials[event->dial].state = DIAL_ENDED;
    if (event->kind == CLV_EV_REOFFER_KEYS && leg->state != LEG_UNKNOWN && leg->state != LEG_OVER)
        law->reoffer = event->leg;
    if (event->kind == CLV_EV_PIN && leg->checking) {
        leg->checking = FALSE;
        leg->pin = !event->flag;
    }
    if (event->kind == CLV_EV_CONFIRMED && law->creation != 0 && event->leg != 0)
        law->list_open |= event->leg == law->creation || law->legs[law->creation].state == LEG_OVER;
}

/* ---- actions ---- */

static void
law_sees_plan(Law *law, const ClvMixPlan *plan)
{
    for (guint i = 0; i < MAX_LEGS; i++)
        law->legs[i].in_plan = FALSE;
    for (guint i = 0; i < plan->n_members; i++) {
        LegLaw *leg = &law->legs[plan->members[i].leg];

        g_assert_false(leg->in_plan); /* nobody twice */
        g_assert_cmpint(leg->state, ==, LEG_CONFIRMED);
        g_assert_true(leg->media_open);
        g_assert_false(leg->cut);
        g_assert_false(leg->queued); /* nobody who waits */
        g_assert_false(leg->pin);
        leg->in_plan = TRUE;
    }
}

/* Somebody who may has asked for this call, and has proven it. */
static gboolean
is_wanted(const Law *law, const char *target)
{
    if (law->list_open && g_hash_table_contains(law->listed, target))
        return TRUE;
    for (guint i = 1; i < MAX_REFERS; i++) {
        const ReferLaw *refer = &law->refers[i];

        if (refer->state != REFER_UNKNOWN && !refer->removes &&
            strcmp(refer->target, target) == 0 && refer->proven)
            return TRUE;
    }
    return FALSE;
}

static void
law_sees_dial(Law *law, const ClvAction *action)
{
    guint n_open = 0;

    g_assert_cmpuint(action->dial, >, 0);
    g_assert_cmpuint(action->dial, ==, action->order->dial);
    g_assert_cmpint(law->dials[action->dial].state, ==, DIAL_UNKNOWN);
    g_assert_true(is_wanted(law, action->order->target));
    g_assert_false(g_hash_table_contains(law->banned, action->order->target));
    for (guint i = 0; i < MAX_DIALS; i++)
        n_open += law->dials[i].state == DIAL_OPEN;
    g_assert_cmpuint(n_open, <, law->parallel);
    law->dials[action->dial].state = DIAL_OPEN;
    law->dials[action->dial].by_refer = action->order->by_refer;
    law->dials[action->dial].target = g_strdup(action->order->target);
}

static void
law_sees_dial_end(Law *law, const ClvAction *action)
{
    DialLaw *dial = &law->dials[action->dial];

    g_assert_true(dial->state == DIAL_OPEN || dial->state == DIAL_ANSWERS);
    if (dial->state == DIAL_ANSWERS)
        law->legs[dial->leg].state = LEG_OVER;
    dial->state = DIAL_ENDED;
}

static void
law_sees_refer_action(Law *law, const ClvAction *action)
{
    ReferLaw *refer = &law->refers[action->refer];

    switch (action->kind) {
    case CLV_ACT_REFER_ACCEPT:
        g_assert_true(refer->state == REFER_ASKED || refer->state == REFER_LOOKED_AT);
        refer->proven = !refer->ticket && !law->needs_ticket;
        refer->state = refer->state == REFER_LOOKED_AT ? REFER_PROVING : REFER_ACCEPTED;
        break;
    case CLV_ACT_REFER_REFUSE:
        g_assert_cmpint(refer->state, ==, REFER_ASKED);
        g_assert_cmpint(action->code, !=, CLV_CODE_OK);
        refer->state = REFER_ENDED;
        break;
    case CLV_ACT_REFER_KEYS:
        g_assert_cmpint(refer->state, ==, REFER_ASKED); /* before the 202 */
        g_assert_true(refer->ticket);
        refer->state = REFER_LOOKED_AT;
        break;
    default:
        g_assert_true(refer->state == REFER_ACCEPTED || refer->state == REFER_PROVING);
        g_assert_cmpuint(action->status, >=, action->flag ? 200 : 101);
        g_assert_cmpuint(action->status, <, action->flag ? 700 : 200);
        if (action->flag)
            refer->state = REFER_ENDED;
        break;
    }
}

static void
law_sees_roster(Law *law, const ClvAction *action)
{
    LegLaw *leg = &law->legs[action->leg];

    if (strcmp(action->text, "joined") != 0) {
        g_assert_true(leg->in_roster);
        leg->in_roster = strcmp(action->text, "left") != 0;
        return;
    }
    g_assert_cmpint(leg->state, ==, LEG_CONFIRMED);
    g_assert_false(leg->in_roster);
    g_assert_false(leg->pin);
    g_assert_false(g_hash_table_contains(law->banned, action->identity));
    leg->in_roster = TRUE;
    g_free(leg->identity);
    leg->identity = g_strdup(action->identity);
}

/* A set that names somebody anew takes the ban off him. */
static void
law_sees_log(Law *law, const ClvEvent *event, const char *text)
{
    g_autofree char *first = g_strndup(text, strcspn(text, " "));

    g_assert_cmpuint(strlen(text), >, 0);
    if (strstr(text, " added to the allowed set by ") != NULL)
        g_hash_table_remove(law->banned, first);
    if (!g_str_has_prefix(text, "allowed set replaced "))
        return;
    for (const char *const *name = event->keys->ticket_names; *name != NULL; name++)
        g_hash_table_remove(law->banned, *name);
}

/* Before the conference can have answered: not heard, so not to be spoken to. */
static void
law_sees_prompt(const LegLaw *leg, const ClvAction *action)
{
    g_assert_cmpint(leg->state, ==, LEG_CONFIRMED);
    g_assert_true(leg->media_open);
    g_assert_false(leg->cut);
    g_assert_cmpint(action->prompt, <, CLV_N_PROMPTS);
}

static void
law_sees_action(Law *law, const ClvEvent *event, const ClvAction *action)
{
    LegLaw *leg = &law->legs[action->leg];

    /* ENDED is the last word, but to who comes too late. */
    g_assert_true(!law->ended || (event->kind == CLV_EV_JOIN && action->kind == CLV_ACT_REFUSE) ||
                  (event->kind == CLV_EV_REFER && action->kind == CLV_ACT_REFER_REFUSE));
    switch (action->kind) {
    case CLV_ACT_REFUSE:
        g_assert_cmpint(leg->state, ==, LEG_JOINING);
        g_assert_cmpuint(leg->dial, ==, 0);
        g_assert_false(leg->dialog_gone);
        g_assert_cmpint(action->code, !=, CLV_CODE_OK);
        g_assert_true(!leg->media_open || leg->cut);
        leg->state = LEG_OVER;
        break;
    case CLV_ACT_KEYMGMT_OPEN:
        g_assert_cmpint(leg->state, ==, LEG_JOINING);
        g_assert_cmpuint(leg->dial, ==, 0);
        g_assert_false(leg->keys_open);
        leg->keys_open = TRUE;
        break;
    case CLV_ACT_KEYMGMT_CLOSE:
        g_assert_true(leg->keys_open);
        leg->keys_open = FALSE;
        break;
    case CLV_ACT_QUEUE:
        g_assert_cmpint(leg->state, ==, LEG_JOINING);
        g_assert_false(leg->queued);
        g_assert_false(leg->media_open);
        leg->queued = TRUE;
        break;
    case CLV_ACT_MEDIA_OPEN:
        g_assert_cmpint(leg->state, ==, LEG_JOINING);
        g_assert_false(leg->media_open);
        leg->media_open = TRUE;
        leg->queued = FALSE;
        if (leg->dial != 0)
            law->dials[leg->dial].state = DIAL_ENDED; /* it has become a member */
        break;
    case CLV_ACT_ACCEPT:
        g_assert_cmpint(leg->state, ==, LEG_JOINING);
        g_assert_cmpuint(leg->dial, ==, 0);
        leg->state = LEG_ACCEPTED;
        break;
    case CLV_ACT_CONFIRM:
        g_assert_cmpint(leg->state, ==, LEG_JOINING);
        g_assert_cmpuint(leg->dial, !=, 0);
        g_assert_true(leg->media_open);
        leg->state = LEG_CONFIRMED;
        break;
    case CLV_ACT_REDIRECT:
        g_assert_cmpint(leg->state, ==, LEG_JOINING);
        g_assert_false(leg->media_open);
        leg->state = LEG_OVER;
        break;
    case CLV_ACT_CUT:
        g_assert_true(leg->media_open);
        g_assert_false(leg->cut);
        leg->cut = TRUE;
        break;
    case CLV_ACT_BYE:
        g_assert_true(leg->state == LEG_ACCEPTED || leg->state == LEG_CONFIRMED || leg->dial != 0);
        g_assert_cmpint(leg->state, !=, LEG_OVER);
        g_assert_false(leg->dialog_gone);
        g_assert_true(!leg->media_open || leg->cut);
        leg->state = LEG_OVER;
        break;
    case CLV_ACT_PLAN:
        law_sees_plan(law, action->plan);
        break;
    case CLV_ACT_ROSTER:
        law_sees_roster(law, action);
        break;
    case CLV_ACT_LOG:
        law_sees_log(law, event, action->text);
        break;
    case CLV_ACT_REOFFER_ACCEPT:
    case CLV_ACT_REOFFER_REFUSE:
        g_assert_cmpuint(action->leg, ==, law->reoffer);
        g_assert_cmpint(leg->state, !=, LEG_OVER);
        law->reoffer = 0;
        break;
    case CLV_ACT_REFER_ACCEPT:
    case CLV_ACT_REFER_REFUSE:
    case CLV_ACT_REFER_KEYS:
    case CLV_ACT_REFER_NOTIFY:
        law_sees_refer_action(law, action);
        break;
    case CLV_ACT_DIAL:
        law_sees_dial(law, action);
        break;
    case CLV_ACT_DIAL_END:
        law_sees_dial_end(law, action);
        break;
    case CLV_ACT_PROMPT:
        law_sees_prompt(leg, action);
        leg->pin |= action->prompt == CLV_PROMPT_PIN || action->prompt == CLV_PROMPT_PIN_FAILED;
        break;
    case CLV_ACT_CHECK_PIN:
        g_assert_true(leg->pin);
        g_assert_false(leg->checking);
        leg->checking = TRUE;
        break;
    case CLV_ACT_ENDED:
        law->ended = TRUE;
        break;
    case CLV_ACT_TIMER:
        break;
    }
}

/* A re-offer's answer, then cut before bye before plan before roster. Who has had no media is not
 * heard, so his refusal, or his BYE, may come when it likes. */
static void
law_sees_order(const Law *law, const GArray *actions)
{
    static const int rank_of[] = {
        [CLV_ACT_REOFFER_ACCEPT] = 1, [CLV_ACT_CUT] = 2,  [CLV_ACT_BYE] = 3,
        [CLV_ACT_REFUSE] = 3,         [CLV_ACT_PLAN] = 4, [CLV_ACT_ROSTER] = 5,
        [CLV_ACT_ENDED] = 6};
    int highest = 0;

    for (guint i = 0; i < actions->len; i++) {
        const ClvAction *action = &g_array_index(actions, ClvAction, i);
        int rank = action->kind < G_N_ELEMENTS(rank_of) ? rank_of[action->kind] : 0;

        if (rank == 0 || ((action->kind == CLV_ACT_REFUSE || action->kind == CLV_ACT_BYE) &&
                          !law->legs[action->leg].media_open))
            continue;
        g_assert_cmpint(rank, >=, highest);
        highest = rank;
    }
}

/* ---- what is true between steps ---- */

static void
law_checks_member(const Law *law, const ClvMemberInfo *info)
{
    const LegLaw *leg = &law->legs[info->leg];
    gboolean in = strcmp(info->state, "connected") == 0 || strcmp(info->state, "on-hold") == 0;

    g_assert_cmpint(leg->state, !=, LEG_OVER);
    g_assert_false(leg->cut);
    g_assert_cmpint(leg->queued, ==, strcmp(info->state, "lobby") == 0);
    g_assert_cmpint(leg->pin, ==, strcmp(info->state, "pin") == 0);
    g_assert_cmpint(leg->in_plan, ==, in && info->has_media);
    g_assert_cmpint(leg->in_roster, ==, in);
    g_assert_cmpint(leg->dial != 0, ==, info->dialed_out);
    if (info->identity != NULL && leg->state == LEG_CONFIRMED)
        g_assert_false(g_hash_table_contains(law->banned, info->identity));
}

static void
law_checks_legs(Law *law, const gboolean *live)
{
    for (guint i = 0; i < MAX_LEGS; i++) {
        LegLaw *leg = &law->legs[i];

        if (leg->state == LEG_UNKNOWN || leg->state == LEG_OVER)
            continue;
        if (leg->dialog_gone || law->ended) { /* every leg that entered leaves */
            g_assert_false(live[i]);
            g_assert_true(!leg->media_open || leg->cut);
            g_assert_false(leg->in_roster);
            leg->state = LEG_OVER;
        } else {
            g_assert_true(live[i]);
        }
    }
    for (guint i = 0; i < MAX_LEGS; i++) {
        const LegLaw *leg = &law->legs[i];

        if (leg->state == LEG_OVER && !law->ended)
            g_assert_false(leg->in_plan);
        if (leg->state == LEG_OVER)
            g_assert_false(leg->in_roster);
    }
}

/* Each REFER is answered at once; each call ends; nobody waits for news of what is over. */
static void
law_checks_calls(const Law *law, const ClvConference *conference)
{
    guint n_open = 0, n_shown = 0;

    for (guint i = 0; i < MAX_REFERS; i++) {
        g_assert_cmpint(law->refers[i].state, !=, REFER_ASKED);
        if (law->ended)
            g_assert_true(law->refers[i].state == REFER_UNKNOWN ||
                          law->refers[i].state == REFER_ENDED);
    }
    for (guint i = 0; i < MAX_DIALS; i++) {
        g_assert_cmpint(law->dials[i].state, !=, DIAL_ANSWERS);
        n_open += law->dials[i].state == DIAL_OPEN;
    }
    for (guint i = 0; i < clv_conference_n_dials(conference); i++) {
        ClvDialInfo info;

        clv_conference_dial(conference, i, &info);
        if (strcmp(info.state, "waiting") == 0)
            continue;
        g_assert_cmpint(law->dials[info.dial].state, ==, DIAL_OPEN);
        n_shown++;
    }
    g_assert_cmpuint(n_open, ==, n_shown);
    if (law->ended)
        g_assert_cmpuint(clv_conference_n_dials(conference), ==, 0);
}

static void
law_checks_conference(Law *law, const ClvConference *conference)
{
    gboolean live[MAX_LEGS] = {FALSE};

    for (guint i = 0; i < clv_conference_n_members(conference); i++) {
        ClvMemberInfo info;

        clv_conference_member(conference, i, &info);
        live[info.leg] = TRUE;
        law_checks_member(law, &info);
    }
    law_checks_legs(law, live);
    law_checks_calls(law, conference);
    g_assert_cmpuint(law->reoffer, ==, 0);
    g_assert_true(law->ended == clv_conference_is_over(conference));
}

void
law_sees_step(Law *law, const ClvEvent *event, const GArray *actions,
              const ClvConference *conference)
{
    const ClvPolicyView *view = clv_conference_policy(conference);

    law->parallel = clv_policy_dial_out_parallel(view);
    law->needs_ticket = clv_policy_refer_needs_ticket(view);
    if (event != NULL)
        law_sees_event(law, event);
    law_sees_order(law, actions);
    for (guint i = 0; i < actions->len; i++)
        law_sees_action(law, event, &g_array_index(actions, ClvAction, i));
    if (event != NULL && event->kind == CLV_EV_TIMER && clv_policy_scheduled(view))
        g_hash_table_remove_all(law->banned); /* a meeting may be over */
    if (event != NULL && event->kind == CLV_EV_KICK && event->who != NULL &&
        clv_policy_ban_on_removal(view))
        g_hash_table_add(law->banned, g_strdup(event->who));
    if (event != NULL && (event->kind == CLV_EV_KEYS || event->kind == CLV_EV_KEYS_FAILED))
        law->legs[event->leg].keys_open = FALSE;
    law_checks_conference(law, conference);
}
