/* SPDX-License-Identifier: Apache-2.0 */
/* conference/wait.c - who waits in front of the door, and which keys open it?
 *
 * The lobby is in front of the 200, the PIN behind it: whoever gives it is connected and in no plan
 * yet. Keys of those who are in, and may: *1 admits who waits first, *2 turns him away, *7 locks.
 */
#include "conference/conference-private.h"

#include <string.h>

/* A prompt that nobody says the end of is over by then. */
#define PIN_FAILED_US (10 * G_USEC_PER_SEC)

#define WRONG_PIN "the PIN was wrong too often"

/* ---- lobby ---- */

/* Prompts take the place of the mix, so who comes and goes and comes again must not deafen a host. */
#define KNOCK_EVERY_US (15 * G_USEC_PER_SEC)

static void
knock(ClvConference *c)
{
    if (c->knocked_us != 0 && c->now_us - c->knocked_us < KNOCK_EVERY_US)
        return;
    c->knocked_us = c->now_us;
    for (guint i = 0; i < c->roster.members->len; i++) {
        Member *member = c->roster.members->pdata[i];

        if (clv_judge_commands(c, member))
            clv_say_prompt(c, member, CLV_PROMPT_KNOCK);
    }
}

void
clv_wait_queue(ClvConference *c, Member *member)
{
    member->state = MEMBER_LOBBY;
    member->deadline_us = c->now_us + clv_policy_lobby_timeout_ms(c->view) * 1000;
    clv_say_on(c, CLV_ACT_QUEUE, member->leg);
    clv_say_note(c, member->leg, member->identity, "%s waits in the lobby",
                 clv_member_name(member));
    knock(c);
}

static Member *
first_waiting(const ClvConference *c, const char *who)
{
    for (guint i = 0; i < c->roster.members->len; i++) {
        Member *member = c->roster.members->pdata[i];

        if (member->state == MEMBER_LOBBY && !member->admitted &&
            (who == NULL || g_strcmp0(member->identity, who) == 0))
            return member;
    }
    return NULL;
}

/* Things may have changed since he came: the house may be full. */
static void
admit(ClvConference *c, Member *member)
{
    ClvPolicyVerdict verdict;

    member->admitted = TRUE;
    verdict = clv_judge_member(c, member, CLV_OP_JOIN, NULL);
    if (!verdict.allow) {
        clv_leave_turn_away(c, member, &verdict);
        return;
    }
    clv_say_note(c, member->leg, member->identity, "%s is admitted from the lobby",
                 clv_member_name(member));
    member->needs_pin = verdict.needs_pin && member->has_media;
    clv_step_seat(c, member);
}

guint
clv_wait_admit(ClvConference *c, const char *who)
{
    Member *member;
    guint n = 0;

    while (!c->over && (member = first_waiting(c, who)) != NULL) {
        admit(c, member);
        n++;
    }
    return n;
}

/* 480, with this reason in the log. */
static void
turn_away(ClvConference *c, Member *member, const char *reason, const char *rule)
{
    ClvPolicyVerdict verdict = {.code = CLV_CODE_UNAVAILABLE, .reason = reason};

    g_strlcpy(verdict.rule, rule, sizeof verdict.rule);
    clv_leave_turn_away(c, member, &verdict);
}

void
clv_wait_look_around(ClvConference *c)
{
    for (guint i = 0; !c->over && i < c->roster.members->len;) {
        Member *member = c->roster.members->pdata[i];
        ClvPolicyVerdict verdict;

        i++;
        if (member->state != MEMBER_LOBBY)
            continue;
        verdict = clv_judge_member(c, member, CLV_OP_JOIN, NULL);
        if (verdict.allow && verdict.waits)
            continue;
        if (verdict.allow)
            admit(c, member);
        else
            clv_leave_turn_away(c, member, &verdict);
        i = 0; /* the roster may be another now */
    }
}

/* Those who waited for a host alone go in; of the others he hears. */
void
clv_wait_come_in(ClvConference *c, ClvLegId leg)
{
    Member *member;

    if (c->over || first_waiting(c, NULL) == NULL)
        return;
    clv_wait_look_around(c);
    member = clv_roster_find(&c->roster, leg);
    if (!c->over && member != NULL && first_waiting(c, NULL) != NULL &&
        clv_judge_commands(c, member))
        clv_say_prompt(c, member, CLV_PROMPT_KNOCK);
}

/* ---- PIN ---- */

/* Goes when he has been told. */
static void
fail(ClvConference *c, Member *member)
{
    member->pin_failed = TRUE;
    member->deadline_us = c->now_us + PIN_FAILED_US;
    clv_say_prompt(c, member, CLV_PROMPT_PIN_FAILED);
}

static void
ask(ClvConference *c, Member *member, ClvPrompt prompt)
{
    if (clv_tries_are_used_up(c, clv_member_name(member))) {
        fail(c, member);
        return;
    }
    member->n_digits = 0;
    member->deadline_us = c->now_us + clv_policy_pin_timeout_ms(c->view) * 1000;
    clv_say_prompt(c, member, prompt);
}

void
clv_wait_ask_pin(ClvConference *c, Member *member)
{
    clv_say_note(c, member->leg, member->identity, "%s is asked for the PIN",
                 clv_member_name(member));
    ask(c, member, CLV_PROMPT_PIN);
}

/* Another endpoint of his may have used up the tries meanwhile. */
static void
check_pin(ClvConference *c, Member *member)
{
    if (clv_tries_are_used_up(c, clv_member_name(member))) {
        fail(c, member);
    } else {
        clv_tries_count(c, clv_member_name(member));
        member->pin_checking = TRUE;
        member->digits[MIN(member->n_digits, MAX_DIGITS)] = '\0';
        clv_say(
            c, (ClvAction){.kind = CLV_ACT_CHECK_PIN,
                           .leg = member->leg,
                           .text = g_strdup(member->n_digits <= MAX_DIGITS ? member->digits : "")});
    }
    explicit_bzero(member->digits, sizeof member->digits);
    member->n_digits = 0;
}

static void
take_pin_digit(ClvConference *c, Member *member, char digit)
{
    if (member->pin_checking || member->pin_failed)
        return;
    if (member->prompt == CLV_PROMPT_PIN || member->prompt == CLV_PROMPT_PIN_WRONG)
        clv_say_prompt(c, member, CLV_PROMPT_NONE);
    if (digit == '*') { /* once more from the start */
        member->n_digits = 0;
    } else if (digit == '#') {
        if (member->n_digits > 0)
            check_pin(c, member);
    } else if (member->n_digits < MAX_DIGITS) {
        member->digits[member->n_digits++] = digit;
    } else {
        member->n_digits = MAX_DIGITS + 1; /* too long to be right */
    }
}

void
clv_on_pin(ClvConference *c, const ClvEvent *event)
{
    Member *member = clv_roster_find(&c->roster, event->leg);

    if (member == NULL || !member->needs_pin || !member->pin_checking)
        return;
    member->pin_checking = FALSE;
    if (event->flag) {
        clv_tries_forget(c, clv_member_name(member));
        member->needs_pin = FALSE;
        member->deadline_us = 0;
        clv_step_pin_given(c, member);
        return;
    }
    clv_say_note(c, event->leg, member->identity, "%s gave a wrong PIN", clv_member_name(member));
    ask(c, member, CLV_PROMPT_PIN_WRONG);
}

void
clv_on_prompted(ClvConference *c, const ClvEvent *event)
{
    Member *member = clv_roster_find(&c->roster, event->leg);
    Removal removal;

    if (member == NULL || member->prompt != event->prompt)
        return;
    member->prompt = CLV_PROMPT_NONE;
    clv_life_perhaps_end(c);
    if (c->over)
        return;
    if (!member->pin_failed || event->prompt != CLV_PROMPT_PIN_FAILED)
        return;
    removal = clv_removal_new(CLV_CODE_FORBIDDEN, REASON_PIN, 403);
    clv_removal_add(&removal, member, "%s leaves: %s", clv_member_name(member), WRONG_PIN);
    clv_removal_finish(c, &removal);
}

/* ---- deadlines ---- */

/* Why he has to go; NULL: not now. */
static const char *
expired(const ClvConference *c, const Member *member)
{
    if (member->deadline_us == 0 || member->deadline_us > c->now_us)
        return NULL;
    if (member->state == MEMBER_LOBBY)
        return "nobody admitted him in time (lobby-timeout)";
    return member->pin_failed ? WRONG_PIN : "no PIN in time (pin-timeout)";
}

void
clv_wait_expire(ClvConference *c)
{
    Removal removal = clv_removal_new(CLV_CODE_UNAVAILABLE, REASON_PIN, 403);

    for (guint i = 0; i < c->roster.members->len; i++) {
        Member *member = c->roster.members->pdata[i];
        const char *why = expired(c, member);

        if (why != NULL)
            clv_removal_add(&removal, member, "%s leaves: %s", clv_member_name(member), why);
    }
    clv_removal_finish(c, &removal);
}

/* ---- lock ---- */

void
clv_wait_lock(ClvConference *c, gboolean locked, const char *by)
{
    if (c->locked == locked || c->goodbye != NULL)
        return;
    c->locked = locked;
    clv_say_note(c, 0, NULL, "conference %s by %s", locked ? "locked" : "unlocked", by);
    clv_say_prompt_to_all(c, locked ? CLV_PROMPT_LOCKED : CLV_PROMPT_UNLOCKED);
    clv_allowed_judge_dials(c);
    clv_dial_pump(c);
    clv_life_look_around(c);
}

void
clv_on_lock(ClvConference *c, const ClvEvent *event)
{
    clv_wait_lock(c, event->flag != FALSE, "order");
}

void
clv_on_admit(ClvConference *c, const ClvEvent *event)
{
    if (clv_wait_admit(c, event->who) == 0)
        clv_say_note(c, 0, event->who, "nobody waits to be admitted");
}

/* ---- keys of those who are in ---- */

/* Each returns whether there was something to do. */
static gboolean
press_admit(ClvConference *c, Member *member)
{
    Member *first = first_waiting(c, NULL);

    if (first == NULL)
        return FALSE;
    admit(c, first);
    return TRUE;
}

static gboolean
press_turn_away(ClvConference *c, Member *member)
{
    Member *first = first_waiting(c, NULL);

    if (first == NULL)
        return FALSE;
    turn_away(c, first, "turned away", clv_member_name(member));
    return TRUE;
}

static gboolean
press_lock(ClvConference *c, Member *member)
{
    clv_wait_lock(c, !c->locked, clv_member_name(member));
    return TRUE;
}

static const struct {
    char digit;
    gboolean (*press)(ClvConference *c, Member *member);
} commands[] = {
    {'1', press_admit},
    {'2', press_turn_away},
    {'7', press_lock},
};

static void
command(ClvConference *c, Member *member, char digit)
{
    ClvLegId leg = member->leg;
    gboolean done = FALSE;

    for (guint i = 0; i < G_N_ELEMENTS(commands); i++) {
        if (commands[i].digit == digit)
            done = commands[i].press(c, member);
    }
    member = clv_roster_find(&c->roster, leg);
    if (member != NULL && !c->over)
        clv_say_prompt(c, member, done ? CLV_PROMPT_ACCEPTED : CLV_PROMPT_REJECTED);
}

void
clv_on_dtmf(ClvConference *c, const ClvEvent *event)
{
    Member *member = clv_roster_find(&c->roster, event->leg);
    gboolean star;

    if (member == NULL || member->state != MEMBER_CONNECTED || !member->has_media)
        return;
    if (member->needs_pin) {
        take_pin_digit(c, member, event->digit);
        return;
    }
    star = member->star;
    member->star = event->digit == '*';
    if (star && !member->star && clv_judge_commands(c, member))
        command(c, member, event->digit);
}
