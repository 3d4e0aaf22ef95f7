/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/test-conference.c - conferences told as transcripts, and as random tales
 *
 * A transcript is a text file of tests/vectors/transcripts:
 *   | key=value            policy, added to [factory f] (or to groups of its own)
 *   use conference hall    which factory or conference is played; default: factory f
 *   > event words          what happens; "> new" makes the conference
 *   < action words         what the conference wants
 *   = words                what the runner itself has to say
 * The runner plays the events, writes the transcript that results, and shows where the two differ.
 * CLV_WRITE_TRANSCRIPTS=1 puts what results into the source tree, for review.
 */
#include "conference/conference.h"

#include <locale.h>
#include <string.h>

/* ---- names ---- */

static const char *const code_names[CLV_N_CODES] = {
    [CLV_CODE_OK] = "OK",
    [CLV_CODE_BAD_REQUEST] = "BAD_REQUEST",
    [CLV_CODE_UNAUTHENTICATED] = "UNAUTHENTICATED",
    [CLV_CODE_FORBIDDEN] = "FORBIDDEN",
    [CLV_CODE_NOT_FOUND] = "NOT_FOUND",
    [CLV_CODE_ANONYMITY] = "ANONYMITY",
    [CLV_CODE_UNAVAILABLE] = "UNAVAILABLE",
    [CLV_CODE_FULL] = "FULL",
    [CLV_CODE_NO_COMMON_MEDIA] = "NO_COMMON_MEDIA",
    [CLV_CODE_KEYMGMT_UNACCEPTABLE] = "KEYMGMT_UNACCEPTABLE",
    [CLV_CODE_KEYMGMT_FAILED] = "KEYMGMT_FAILED",
    [CLV_CODE_TICKET_REFUSED] = "TICKET_REFUSED",
    [CLV_CODE_INTERNAL] = "INTERNAL",
    [CLV_CODE_OVERLOAD] = "OVERLOAD",
    [CLV_CODE_KMS_TIMEOUT] = "KMS_TIMEOUT",
    [CLV_CODE_KMS_DOWN] = "KMS_DOWN",
};
static const char *const timer_names[CLV_N_TIMERS] = {
    [CLV_TIMER_FIRST_JOIN] = "first-join",
    [CLV_TIMER_EMPTY] = "empty",
    [CLV_TIMER_DURATION] = "duration",
    [CLV_TIMER_CREATOR] = "creator",
};
static const char *const direction_names[] = {"inactive", "sendonly", "recvonly", "sendrecv"};

static guint
find_name(const char *const *names, guint n, const char *name)
{
    for (guint i = 0; i < n; i++) {
        if (g_strcmp0(names[i], name) == 0)
            return i;
    }
    g_error("unknown word '%s'", name);
}

/* ---- the law: what must hold after every step, whatever the events were ---- */

typedef enum LegState {
    LEG_UNKNOWN,
    LEG_JOINING,  /* JOIN without final answer */
    LEG_ACCEPTED, /* ACCEPT is out */
    LEG_CONFIRMED,
    LEG_OVER,
} LegState;

typedef struct LegLaw {
    LegState state;
    gboolean media_open, cut, keys_open, in_plan, in_roster, dialog_gone;
    char *identity; /* as of ROSTER joined */
} LegLaw;

#define MAX_LEGS 4096

typedef struct Law {
    LegLaw legs[MAX_LEGS];
    gboolean ended;
    GHashTable *banned;
} Law;

static Law *
law_new(void)
{
    Law *law = g_new0(Law, 1);

    law->banned = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    return law;
}

static void
law_free(Law *law)
{
    for (guint i = 0; i < MAX_LEGS; i++)
        g_free(law->legs[i].identity);
    g_hash_table_unref(law->banned);
    g_free(law);
}

static void
law_sees_event(Law *law, const ClvEvent *event)
{
    LegLaw *leg = &law->legs[event->leg];

    if (event->kind == CLV_EV_JOIN && leg->state == LEG_UNKNOWN)
        leg->state = LEG_JOINING;
    if (event->kind == CLV_EV_CONFIRMED && leg->state == LEG_ACCEPTED)
        leg->state = LEG_CONFIRMED;
    if (event->kind == CLV_EV_MEDIA_ADDED && leg->state == LEG_CONFIRMED)
        leg->media_open = TRUE;
    if (event->kind == CLV_EV_GONE && leg->state != LEG_UNKNOWN && leg->state != LEG_OVER)
        leg->dialog_gone = TRUE;
}

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
        leg->in_plan = TRUE;
    }
}

static void
law_sees_action(Law *law, const ClvAction *action)
{
    LegLaw *leg = &law->legs[action->leg];

    g_assert_false(law->ended); /* ENDED is the last word */
    switch (action->kind) {
    case CLV_ACT_REFUSE:
        g_assert_cmpint(leg->state, ==, LEG_JOINING);
        g_assert_false(leg->dialog_gone);
        g_assert_cmpint(action->code, !=, CLV_CODE_OK);
        g_assert_true(!leg->media_open || leg->cut);
        leg->state = LEG_OVER;
        break;
    case CLV_ACT_KEYMGMT_OPEN:
        g_assert_cmpint(leg->state, ==, LEG_JOINING);
        g_assert_false(leg->keys_open);
        leg->keys_open = TRUE;
        break;
    case CLV_ACT_KEYMGMT_CLOSE:
        g_assert_true(leg->keys_open);
        leg->keys_open = FALSE;
        break;
    case CLV_ACT_MEDIA_OPEN:
        g_assert_cmpint(leg->state, ==, LEG_JOINING);
        g_assert_false(leg->media_open);
        leg->media_open = TRUE;
        break;
    case CLV_ACT_ACCEPT:
        g_assert_cmpint(leg->state, ==, LEG_JOINING);
        leg->state = LEG_ACCEPTED;
        break;
    case CLV_ACT_CUT:
        g_assert_true(leg->media_open);
        g_assert_false(leg->cut);
        leg->cut = TRUE;
        break;
    case CLV_ACT_BYE:
        g_assert_true(leg->state == LEG_ACCEPTED || leg->state == LEG_CONFIRMED);
        g_assert_false(leg->dialog_gone);
        g_assert_true(!leg->media_open || leg->cut);
        leg->state = LEG_OVER;
        break;
    case CLV_ACT_PLAN:
        law_sees_plan(law, action->plan);
        break;
    case CLV_ACT_ROSTER:
        if (strcmp(action->text, "joined") == 0) {
            g_assert_cmpint(leg->state, ==, LEG_CONFIRMED);
            g_assert_false(leg->in_roster);
            g_assert_false(g_hash_table_contains(law->banned, action->identity));
            leg->in_roster = TRUE;
            leg->identity = g_strdup(action->identity);
        } else {
            g_assert_true(leg->in_roster);
            if (strcmp(action->text, "left") == 0)
                leg->in_roster = FALSE;
        }
        break;
    case CLV_ACT_LOG:
        g_assert_cmpuint(strlen(action->text), >, 0);
        break;
    case CLV_ACT_QUEUE:
    case CLV_ACT_REDIRECT:
    case CLV_ACT_REOFFER_ACCEPT:
    case CLV_ACT_REOFFER_REFUSE:
    case CLV_ACT_REFER_ACCEPT:
    case CLV_ACT_REFER_REFUSE:
    case CLV_ACT_REFER_KEYS:
    case CLV_ACT_REFER_NOTIFY:
    case CLV_ACT_DIAL:
    case CLV_ACT_DIAL_END:
    case CLV_ACT_CONFIRM:
    case CLV_ACT_PROMPT:
    case CLV_ACT_CHECK_PIN:
        break;
    case CLV_ACT_ENDED:
        law->ended = TRUE;
        break;
    case CLV_ACT_TIMER:
        break;
    }
}

/* Cut before bye before plan before roster. */
static void
law_sees_order(const GArray *actions)
{
    static const int rank_of[] = {[CLV_ACT_CUT] = 1,  [CLV_ACT_BYE] = 2,    [CLV_ACT_REFUSE] = 2,
                                  [CLV_ACT_PLAN] = 3, [CLV_ACT_ROSTER] = 4, [CLV_ACT_ENDED] = 5};
    int highest = 0;

    for (guint i = 0; i < actions->len; i++) {
        ClvActionKind kind = g_array_index(actions, ClvAction, i).kind;
        int rank = kind < G_N_ELEMENTS(rank_of) ? rank_of[kind] : 0;

        if (rank == 0)
            continue;
        g_assert_cmpint(rank, >=, highest);
        highest = rank;
    }
}

static void
law_checks_conference(Law *law, const ClvConference *conference)
{
    gboolean live[MAX_LEGS] = {FALSE};

    for (guint i = 0; i < clv_conference_n_members(conference); i++) {
        ClvMemberInfo info;

        clv_conference_member(conference, i, &info);
        live[info.leg] = TRUE;
        g_assert_cmpint(law->legs[info.leg].state, !=, LEG_OVER);
        g_assert_false(law->legs[info.leg].cut);
        if (info.identity != NULL && law->legs[info.leg].state == LEG_CONFIRMED)
            g_assert_false(g_hash_table_contains(law->banned, info.identity));
    }
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
    }
    g_assert_true(law->ended == clv_conference_is_over(conference));
}

static void
law_sees_step(Law *law, const ClvEvent *event, const GArray *actions,
              const ClvConference *conference)
{
    if (event != NULL)
        law_sees_event(law, event);
    law_sees_order(actions);
    for (guint i = 0; i < actions->len; i++)
        law_sees_action(law, &g_array_index(actions, ClvAction, i));
    if (event != NULL && event->kind == CLV_EV_TIMER &&
        clv_policy_scheduled(clv_conference_policy(conference)))
        g_hash_table_remove_all(law->banned); /* a meeting may be over */
    if (event != NULL && event->kind == CLV_EV_KICK && event->who != NULL &&
        clv_policy_ban_on_removal(clv_conference_policy(conference)))
        g_hash_table_add(law->banned, g_strdup(event->who));
    if (event != NULL && (event->kind == CLV_EV_KEYS || event->kind == CLV_EV_KEYS_FAILED))
        law->legs[event->leg].keys_open = FALSE;
    law_checks_conference(law, conference);
}

/* ---- playing ---- */

typedef struct Play {
    GString *policy_text;
    char *use;
    ClvPolicy *policy;
    ClvConference *conference;
    Law *law;
    GArray *actions;
    GString *log; /* the transcript that results */
    gint64 now_us, wall_us;
    ClvLegId last_leg;
} Play;

#define FIRST_WALL_US (G_GINT64_CONSTANT(1893456000) * G_USEC_PER_SEC) /* 2030-01-01T00:00:00Z */

static const char policy_head[] = "[policy]\nformat=1\n[factory f]\n"
                                  "uri=sip:factory.conf1@example.org\n"
                                  "create-allow=*@example.org\n";

static void
play_init(Play *play)
{
    memset(play, 0, sizeof *play);
    play->policy_text = g_string_new(policy_head);
    play->use = g_strdup("factory f");
    play->law = law_new();
    play->actions = clv_actions_new();
    play->log = g_string_new(NULL);
    play->now_us = 1000000;
    play->wall_us = FIRST_WALL_US;
}

static void
play_clear(Play *play)
{
    g_string_free(play->policy_text, TRUE);
    g_free(play->use);
    clv_conference_free(play->conference);
    clv_policy_unref(play->policy);
    law_free(play->law);
    g_array_unref(play->actions);
    g_string_free(play->log, TRUE);
}

static char *
identity_of(const char *who)
{
    if (strcmp(who, "-") == 0)
        return NULL;
    if (strchr(who, ':') != NULL)
        return g_strdup(who);
    return strchr(who, '@') != NULL ? g_strdup_printf("sip:%s", who)
                                    : g_strdup_printf("sip:%s@example.org", who);
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
    case CLV_ACT_REDIRECT:
    case CLV_ACT_REOFFER_ACCEPT:
    case CLV_ACT_REOFFER_REFUSE:
    case CLV_ACT_REFER_ACCEPT:
    case CLV_ACT_REFER_REFUSE:
    case CLV_ACT_REFER_KEYS:
    case CLV_ACT_REFER_NOTIFY:
    case CLV_ACT_DIAL:
    case CLV_ACT_DIAL_END:
    case CLV_ACT_CONFIRM:
    case CLV_ACT_PROMPT:
    case CLV_ACT_CHECK_PIN:
        g_string_append_printf(log, "< action %d\n", a->kind);
        break;
    case CLV_ACT_LOG:
        g_string_append_printf(log, "< log %s\n", a->text);
        break;
    case CLV_ACT_ENDED:
        g_string_append(log, "< ended\n");
        break;
    }
}

static void
report(Play *play, const ClvEvent *event)
{
    for (guint i = 0; i < play->actions->len; i++)
        print_action(play->log, &g_array_index(play->actions, ClvAction, i));
    law_sees_step(play->law, event, play->actions, play->conference);
    g_array_set_size(play->actions, 0);
}

static void
step(Play *play, ClvEvent *event)
{
    event->now_us = play->now_us;
    event->wall_us = play->wall_us;
    clv_conference_step(play->conference, event, play->actions);
    report(play, event);
}

static ClvPolicy *
parse_policy(const char *text)
{
    g_autoptr(GPtrArray) errors = g_ptr_array_new_with_free_func(g_free);
    ClvPolicy *policy = clv_policy_parse("test", text, strlen(text), errors);

    if (policy == NULL)
        g_error("%s", (const char *)errors->pdata[0]);
    return policy;
}

static ClvPolicyView *
view_of(const Play *play, ClvPolicy *policy)
{
    ClvPolicyView *view = g_str_has_prefix(play->use, "conference ")
                              ? clv_policy_view_conference(policy, play->use + 11)
                              : clv_policy_view_factory(policy, play->use + 8);

    g_assert_nonnull(view);
    return view;
}

/* ---- events of transcripts ---- */

typedef struct Words {
    char **words;
    guint n;
} Words;

static gboolean
has(const Words *w, const char *word)
{
    return g_strv_contains((const char *const *)w->words + 1, word);
}

/* "names=bob,carol" -> "bob,carol"; (nullable) */
static const char *
option(const Words *w, const char *name)
{
    for (guint i = 1; i < w->n; i++) {
        if (g_str_has_prefix(w->words[i], name) && w->words[i][strlen(name)] == '=')
            return w->words[i] + strlen(name) + 1;
    }
    return NULL;
}

static guint
number(const Words *w, const char *name)
{
    const char *text = option(w, name);

    return text != NULL ? (guint)g_ascii_strtoull(text, NULL, 10) : 0;
}

static ClvLegId
leg_of(const Words *w)
{
    g_assert_cmpuint(w->n, >=, 2);
    return g_ascii_strtoull(w->words[1], NULL, 10);
}

static void
play_new(Play *play, const Words *w)
{
    play->policy = parse_policy(play->policy_text->str);
    play->conference = clv_conference_new(77, "sip:abc.conf1@example.org",
                                          view_of(play, play->policy), play->now_us, play->actions);
    g_assert_cmpstr(clv_conference_uri(play->conference), ==, "sip:abc.conf1@example.org");
    report(play, NULL);
}

static void
play_join(Play *play, const Words *w)
{
    g_autofree char *identity = identity_of(w->words[1]);
    g_autofree char *peer = g_strdup_printf("peer-%s", w->words[1]);
    const char *direction = option(w, "dir");
    ClvEvJoin join = {
        .proof = has(w, "digest")     ? CLV_PROOF_DIGEST
                 : has(w, "asserted") ? CLV_PROOF_ASSERTED
                                      : CLV_PROOF_NONE,
        .display_name = w->words[1],
        .peer = peer,
        .creates = has(w, "create"),
        .ticket_offered = has(w, "ticket"),
        .anonymous = has(w, "anonymous"),
        .diverted = has(w, "diverted"),
        .secured = !has(w, "udp"),
        .tls = !has(w, "udp") && !has(w, "trusted"),
        .has_media = !has(w, "nomedia"),
        .peer_direction = direction != NULL ? (ClvDirection)find_name(direction_names, 4, direction)
                                            : CLV_DIR_SENDRECV,
        .n_by_creator = number(w, "n"),
        .n_total = number(w, "total"),
    };
    ClvEvent event = {.kind = CLV_EV_JOIN, .join = &join};

    join.identity = join.proof != CLV_PROOF_NONE ? identity : NULL;
    event.leg = number(w, "leg");
    if (event.leg == 0)
        event.leg = ++play->last_leg;
    step(play, &event);
}

static void
play_keys(Play *play, const Words *w)
{
    g_autofree char *identity = identity_of(w->words[2]);
    const char *names = option(w, "names");
    g_auto(GStrv) list = g_strsplit(names != NULL ? names : "", ",", -1);
    gboolean sdes = has(w, "sdes");
    ClvEvKeys keys = {
        .proof = sdes ? CLV_PROOF_NONE : CLV_PROOF_TICKET,
        .scheme = sdes ? CLV_SCHEME_SDES : CLV_SCHEME_MIKEY_TICKET,
        .suite = has(w, "nomedia") ? CLV_SRTP_NONE
                 : has(w, "weak")  ? CLV_SRTP_AES_CM_128_HMAC_SHA1_32
                                   : CLV_SRTP_AES_CM_128_HMAC_SHA1_80,
        .identity = sdes ? NULL : identity,
        .ticket_hash = option(w, "hash"),
        .expires_us = option(w, "expires") != NULL
                          ? play->wall_us + (gint64)number(w, "expires") * G_USEC_PER_SEC
                          : 0,
        .sets_allowed = has(w, "sets-allowed"),
        .n_by_creator = number(w, "n"),
        .n_total = number(w, "total"),
    };
    ClvEvent event = {.kind = CLV_EV_KEYS, .leg = leg_of(w), .keys = &keys};

    for (char **name = list; *name != NULL; name++) {
        char *full = identity_of(*name);

        g_free(*name);
        *name = full;
    }
    keys.ticket_names = names != NULL ? (const char *const *)list : NULL;
    step(play, &event);
}

static void
play_keys_failed(Play *play, const Words *w)
{
    ClvEvent event = {.kind = CLV_EV_KEYS_FAILED,
                      .leg = leg_of(w),
                      .code = (ClvCode)find_name(code_names, CLV_N_CODES, w->words[2]),
                      .cause = w->n > 3 ? w->words[3] : NULL};

    step(play, &event);
}

static void
play_media_ready(Play *play, const Words *w)
{
    step(play, &(ClvEvent){.kind = CLV_EV_MEDIA_READY, .leg = leg_of(w)});
}

static void
play_media_failed(Play *play, const Words *w)
{
    step(play, &(ClvEvent){.kind = CLV_EV_MEDIA_FAILED,
                           .leg = leg_of(w),
                           .code = (ClvCode)find_name(code_names, CLV_N_CODES, w->words[2]),
                           .cause = w->n > 3 ? w->words[3] : NULL});
}

static void
play_confirmed(Play *play, const Words *w)
{
    step(play, &(ClvEvent){.kind = CLV_EV_CONFIRMED, .leg = leg_of(w)});
}

static void
play_direction(Play *play, const Words *w)
{
    step(play, &(ClvEvent){.kind = CLV_EV_DIRECTION,
                           .leg = leg_of(w),
                           .direction = (ClvDirection)find_name(direction_names, 4, w->words[2])});
}

static void
play_media_added(Play *play, const Words *w)
{
    ClvEvKeys keys = {.scheme = CLV_SCHEME_MIKEY_TICKET,
                      .suite = CLV_SRTP_AES_CM_128_HMAC_SHA1_80};

    step(play, &(ClvEvent){.kind = CLV_EV_MEDIA_ADDED,
                           .leg = leg_of(w),
                           .keys = &keys,
                           .direction = (ClvDirection)find_name(direction_names, 4, w->words[2])});
}

static void
play_gone(Play *play, const Words *w)
{
    step(play, &(ClvEvent){
                   .kind = CLV_EV_GONE, .leg = leg_of(w), .cause = w->n > 2 ? w->words[2] : NULL});
}

static void
play_talking(Play *play, const Words *w)
{
    step(play, &(ClvEvent){.kind = CLV_EV_TALKING, .leg = leg_of(w), .flag = has(w, "on") ? 7 : 0});
}

static void
play_kick(Play *play, const Words *w)
{
    g_autofree char *who = identity_of(w->words[1]);

    step(play, &(ClvEvent){.kind = CLV_EV_KICK, .who = who});
}

static void
play_kick_leg(Play *play, const Words *w)
{
    step(play, &(ClvEvent){.kind = CLV_EV_KICK, .leg = leg_of(w)});
}

static void
play_end(Play *play, const Words *w)
{
    step(play, &(ClvEvent){.kind = CLV_EV_END, .cause = w->n > 1 ? w->words[1] : NULL});
}

static void
play_timer(Play *play, const Words *w)
{
    step(play,
         &(ClvEvent){.kind = CLV_EV_TIMER,
                     .timer = (ClvTimerKind)find_name(timer_names, CLV_N_TIMERS, w->words[1])});
}

/* Time goes on; nothing happens. */
static void
play_after(Play *play, const Words *w)
{
    gint64 us = (gint64)g_ascii_strtoull(w->words[1], NULL, 10) * G_USEC_PER_SEC;

    play->now_us += us;
    play->wall_us += us;
}

/* The lines before it with | are the new policy. */
static void
play_policy(Play *play, const Words *w)
{
    ClvPolicy *policy = parse_policy(play->policy_text->str);
    g_autoptr(ClvPolicyView) fresh = view_of(play, policy);
    g_autofree char *changed = NULL;
    ClvEvent event = {.kind = CLV_EV_POLICY};

    event.view = clv_policy_view_merge(clv_conference_policy(play->conference), fresh, &changed);
    g_string_append_printf(play->log, "= changed %s\n", changed[0] != '\0' ? changed : "nothing");
    clv_policy_unref(play->policy);
    play->policy = policy;
    step(play, &event);
}

/* The files know the scheduled conference no more. */
static void
play_policy_gone(Play *play, const Words *w)
{
    step(play, &(ClvEvent){.kind = CLV_EV_POLICY});
}

static void
play_show(Play *play, const Words *w)
{
    g_string_append_printf(play->log, "= creator %s ticket %s\n",
                           clv_conference_creator(play->conference) != NULL
                               ? clv_conference_creator(play->conference)
                               : "-",
                           clv_conference_creation_ticket(play->conference) != NULL
                               ? clv_conference_creation_ticket(play->conference)
                               : "-");
    for (guint i = 0; i < clv_conference_n_members(play->conference); i++) {
        ClvMemberInfo info;

        clv_conference_member(play->conference, i, &info);
        g_string_append_printf(play->log, "= %" G_GUINT64_FORMAT " %s %s%s%s%s%s\n", info.leg,
                               info.identity != NULL ? info.identity : "-", info.state,
                               info.creator ? " creator" : "", info.talking ? " talking" : "",
                               info.has_media ? "" : " no-media",
                               info.anonymous ? " anonymous" : "");
    }
}

static const struct {
    const char *word;
    void (*play)(Play *play, const Words *words);
} verbs[] = {
    {"new", play_new},
    {"join", play_join},
    {"keys", play_keys},
    {"keys-failed", play_keys_failed},
    {"media-ready", play_media_ready},
    {"media-failed", play_media_failed},
    {"confirmed", play_confirmed},
    {"direction", play_direction},
    {"media-added", play_media_added},
    {"gone", play_gone},
    {"talking", play_talking},
    {"kick", play_kick},
    {"kick-leg", play_kick_leg},
    {"end", play_end},
    {"timer", play_timer},
    {"after", play_after},
    {"policy", play_policy},
    {"policy-gone", play_policy_gone},
    {"show", play_show},
};

static void
play_event(Play *play, const char *text)
{
    Words w = {g_strsplit(text, " ", -1), 0};

    w.n = g_strv_length(w.words);
    for (guint i = 0; i < G_N_ELEMENTS(verbs); i++) {
        if (strcmp(verbs[i].word, w.words[0]) == 0) {
            verbs[i].play(play, &w);
            g_strfreev(w.words);
            return;
        }
    }
    g_error("unknown event '%s'", text);
}

static void
play_line(Play *play, const char *line, gboolean *in_policy)
{
    if (line[0] == '<' || line[0] == '=')
        return; /* what results is written anew */
    g_string_append_printf(play->log, "%s\n", line);
    if (line[0] == '|') {
        if (!*in_policy)
            g_string_assign(play->policy_text, policy_head);
        g_string_append_printf(play->policy_text, "%s\n",
                               g_str_has_prefix(line, "| ") ? line + 2 : "");
    } else if (g_str_has_prefix(line, "use ")) {
        g_free(play->use);
        play->use = g_strdup(line + 4);
    } else if (g_str_has_prefix(line, "> ")) {
        play_event(play, line + 2);
    }
    *in_policy = line[0] == '|';
}

/* ---- transcripts ---- */

static void
show_difference(const char *expected, const char *actual)
{
    g_auto(GStrv) a = g_strsplit(expected, "\n", -1);
    g_auto(GStrv) b = g_strsplit(actual, "\n", -1);
    guint n = g_strv_length(a), m = g_strv_length(b), i = 0;

    while (i < n && i < m && strcmp(a[i], b[i]) == 0)
        i++;
    for (guint k = i > 4 ? i - 4 : 0; k < i; k++)
        g_test_message("       %s", a[k]);
    for (guint k = i; k < MIN(i + 8, n); k++)
        g_test_message("file   %s", a[k]);
    for (guint k = i; k < MIN(i + 8, m); k++)
        g_test_message("played %s", b[k]);
    g_test_message("first difference in line %u", i + 1);
}

static void
test_transcript(gconstpointer data)
{
    const char *path = data;
    g_autofree char *text = NULL;
    g_autoptr(GError) error = NULL;
    g_auto(GStrv) lines = NULL;
    gboolean in_policy = FALSE;
    Play play;

    g_file_get_contents(path, &text, NULL, &error);
    g_assert_no_error(error);
    g_assert_true(g_str_has_suffix(text, "\n"));
    lines = g_strsplit(text, "\n", -1);
    play_init(&play);
    for (char **line = lines; line[0] != NULL && line[1] != NULL; line++)
        play_line(&play, *line, &in_policy);
    if (g_getenv("CLV_WRITE_TRANSCRIPTS") != NULL) {
        g_file_set_contents(path, play.log->str, -1, &error);
        g_assert_no_error(error);
    } else if (strcmp(text, play.log->str) != 0) {
        show_difference(text, play.log->str);
        g_test_fail();
    }
    play_clear(&play);
}

static int
compare_names(gconstpointer a, gconstpointer b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static GPtrArray *
add_transcripts(void)
{
    g_autofree char *folder =
        g_test_build_filename(G_TEST_DIST, "tests", "vectors", "transcripts", NULL);
    GPtrArray *paths = g_ptr_array_new_with_free_func(g_free);
    g_autoptr(GDir) dir = g_dir_open(folder, 0, NULL);
    const char *name;

    g_assert_nonnull(dir);
    while ((name = g_dir_read_name(dir)) != NULL) {
        if (g_str_has_suffix(name, ".txt"))
            g_ptr_array_add(paths, g_build_filename(folder, name, NULL));
    }
    g_ptr_array_sort(paths, compare_names);
    g_assert_cmpuint(paths->len, >=, 25);
    for (guint i = 0; i < paths->len; i++) {
        g_autofree char *base = g_path_get_basename(paths->pdata[i]);
        g_autofree char *test_path =
            g_strdup_printf("/conference/transcript/%.*s", (int)strlen(base) - 4, base);

        g_test_add_data_func(test_path, paths->pdata[i], test_transcript);
    }
    return paths;
}

/* ---- random tales ---- */

static const char *const random_policies[] = {
    "",
    "max-participants=3\nmax-endpoints-per-user=1\nempty-timeout=5s\n",
    "auth=digest\nkey-mgmt-allow=mikey-ticket;sdes\nsignalling=tls\nno-ticket-list=policy\n"
    "allow=any\nticket-authority=extend\nban-on-removal=no\n",
    "deny=sip:carol@example.org\nend-when-creator-leaves=yes\ncreator-grace=3s\n"
    "join-before-creator=no\nmax-duration=60s\n",
    "locked=yes\nempty-timeout=0\non-disallow=keep\ncreate-empty=yes\n",
    "allow=sip:alice@example.org;sip:bob@example.org\nanonymity=reject\n"
    "diverted-dial-in=reject\n",
};
static const char *const people[] = {"sip:alice@example.org", "sip:bob@example.org",
                                     "sip:carol@example.org", "sip:dave@elsewhere.example"};

static const char *
anybody(GRand *rand)
{
    return people[g_rand_int_range(rand, 0, G_N_ELEMENTS(people))];
}

static char *
random_policy_text(GRand *rand)
{
    return g_strconcat(policy_head,
                       random_policies[g_rand_int_range(rand, 0, G_N_ELEMENTS(random_policies))],
                       NULL);
}

/* A JOIN that comes twice; the ids of legs that are over never come again. */
static gboolean
last_is_live(const Play *play)
{
    LegState state = play->law->legs[play->last_leg].state;

    return state != LEG_UNKNOWN && state != LEG_OVER;
}

static void
random_join(Play *play, GRand *rand, gboolean creates)
{
    ClvEvJoin join = {
        .proof = (ClvProof)g_rand_int_range(rand, CLV_PROOF_NONE, CLV_PROOF_TICKET),
        .peer = "somewhere",
        .creates = creates || g_rand_int_range(rand, 0, 50) == 0,
        .ticket_offered = g_rand_int_range(rand, 0, 10) != 0,
        .anonymous = g_rand_int_range(rand, 0, 20) == 0,
        .diverted = g_rand_int_range(rand, 0, 20) == 0,
        .secured = TRUE,
        .tls = g_rand_int_range(rand, 0, 20) != 0,
        .has_media = g_rand_int_range(rand, 0, 20) != 0,
        .peer_direction = (ClvDirection)g_rand_int_range(rand, 0, 4),
    };

    if (join.proof != CLV_PROOF_NONE)
        join.identity =
            g_rand_int_range(rand, 0, 12) == 0 ? anybody(rand) : people[(play->last_leg + 1) % 3];
    step(play, &(ClvEvent){.kind = CLV_EV_JOIN,
                           .leg = g_rand_int_range(rand, 0, 20) == 0 && last_is_live(play)
                                      ? play->last_leg
                                      : ++play->last_leg,
                           .join = &join});
}

static void
random_keys(Play *play, GRand *rand, ClvLegId leg)
{
    static const char *const names[] = {"sip:bob@example.org", "sip:carol@example.org",
                                        "sip:dave@elsewhere.example", NULL};
    gboolean sdes = g_rand_int_range(rand, 0, 10) == 0;
    ClvEvKeys keys = {
        .proof = sdes ? CLV_PROOF_NONE : CLV_PROOF_TICKET,
        .scheme = sdes ? CLV_SCHEME_SDES : CLV_SCHEME_MIKEY_TICKET,
        .suite = CLV_SRTP_AEAD_AES_128_GCM,
        .identity = sdes ? NULL : people[leg % 3],
        .ticket_names = g_rand_boolean(rand) ? names + g_rand_int_range(rand, 0, 4) : NULL,
        .ticket_hash = g_rand_boolean(rand) ? "aa" : "bb",
        .sets_allowed = g_rand_boolean(rand),
    };

    /* A key management that nobody opened has nothing to tell. */
    if (play->law->legs[leg].keys_open)
        step(play, &(ClvEvent){.kind = CLV_EV_KEYS, .leg = leg, .keys = &keys});
}

static void
random_policy(Play *play, GRand *rand)
{
    g_autofree char *text = random_policy_text(rand);
    g_autofree char *with_mode = NULL;
    static const char *const modes[] = {"none", "tighten", "all"};
    g_autoptr(ClvPolicy) policy = NULL;
    g_autoptr(ClvPolicyView) fresh = NULL;

    with_mode = g_strdup_printf("%s[policy]\nreload-running=%s\n", text,
                                modes[g_rand_int_range(rand, 0, 3)]);
    policy = parse_policy(with_mode);
    fresh = clv_policy_view_factory(policy, "f");
    step(play, &(ClvEvent){.kind = CLV_EV_POLICY,
                           .view = clv_policy_view_merge(clv_conference_policy(play->conference),
                                                         fresh, NULL)});
}

/* Most often somebody on the way in, so that tales get anywhere; else anybody, or nobody. */
static ClvLegId
random_leg(const Play *play, GRand *rand)
{
    ClvLegId first = (ClvLegId)g_rand_int_range(rand, 1, (gint32)play->last_leg + 2);

    if (g_rand_int_range(rand, 0, 3) == 0)
        return first;
    for (ClvLegId leg = play->last_leg; leg > 0; leg--) {
        LegState state = play->law->legs[leg].state;

        if (state == LEG_JOINING || state == LEG_ACCEPTED)
            return leg;
    }
    return first;
}

/* A creation that goes well, in most of the tales. */
static void
random_opening(Play *play, GRand *rand)
{
    static const char *const opening[] = {
        "join alice digest ticket create",
        "keys 1 alice names=bob,carol,dave@elsewhere.example hash=aa", "media-ready 1",
        "confirmed 1"};

    if (g_rand_int_range(rand, 0, 8) == 0) {
        random_join(play, rand, TRUE);
        return;
    }
    for (guint i = 0; i < G_N_ELEMENTS(opening) && !play->law->ended; i++)
        play_event(play, opening[i]);
}

static void
random_event(Play *play, GRand *rand)
{
    ClvLegId leg = random_leg(play, rand);
    int dice = g_rand_int_range(rand, 0, 100);

    if (dice < 14 && play->last_leg < MAX_LEGS - 2)
        random_join(play, rand, FALSE);
    else if (dice < 38)
        random_keys(play, rand, leg);
    else if (dice < 41)
        step(play, &(ClvEvent){.kind = CLV_EV_KEYS_FAILED, .leg = leg, .code = CLV_CODE_KMS_DOWN});
    else if (dice < 57)
        step(play, &(ClvEvent){.kind = CLV_EV_MEDIA_READY, .leg = leg});
    else if (dice < 59)
        step(play, &(ClvEvent){.kind = CLV_EV_MEDIA_FAILED, .leg = leg, .code = CLV_CODE_OVERLOAD});
    else if (dice < 75)
        step(play, &(ClvEvent){.kind = CLV_EV_CONFIRMED, .leg = leg});
    else if (dice < 80)
        step(play, &(ClvEvent){.kind = CLV_EV_DIRECTION,
                               .leg = leg,
                               .direction = (ClvDirection)g_rand_int_range(rand, 0, 4)});
    else if (dice < 87)
        step(play, &(ClvEvent){.kind = CLV_EV_GONE, .leg = leg, .cause = "bye"});
    else if (dice < 90)
        step(play, &(ClvEvent){.kind = CLV_EV_TALKING, .leg = leg, .flag = g_rand_boolean(rand)});
    else if (dice < 91 && g_rand_int_range(rand, 0, 6) == 0)
        step(play, &(ClvEvent){.kind = CLV_EV_KICK, .who = anybody(rand)});
    else if (dice < 92 && g_rand_int_range(rand, 0, 6) == 0)
        step(play, &(ClvEvent){.kind = CLV_EV_KICK, .leg = leg});
    else if (dice < 93)
        random_policy(play, rand);
    else if (dice < 99)
        step(play, &(ClvEvent){.kind = CLV_EV_TIMER,
                               .timer = (ClvTimerKind)g_rand_int_range(rand, 0, CLV_N_TIMERS)});
    else if (dice == 99 && g_rand_int_range(rand, 0, 8) == 0)
        step(play, &(ClvEvent){.kind = CLV_EV_END, .cause = "order"});
    play->now_us += g_rand_int_range(rand, 0, 500000);
    play->wall_us += 250000;
}

static guint
count(const char *text, const char *what)
{
    guint n = 0;

    while ((text = strstr(text, what)) != NULL) {
        text += strlen(what);
        n++;
    }
    return n;
}

static void
test_random(void)
{
    guint joined = 0, left = 0;

    for (guint32 seed = 1; seed <= 400; seed++) {
        GRand *rand = g_rand_new_with_seed(seed);
        g_autofree char *text = random_policy_text(rand);
        Play play;

        play_init(&play);
        g_string_assign(play.policy_text, text);
        play_new(&play, NULL);
        random_opening(&play, rand);
        for (guint i = 0; i < 300 && !play.law->ended; i++)
            random_event(&play, rand);
        if (!play.law->ended)
            step(&play, &(ClvEvent){.kind = CLV_EV_END});
        g_assert_true(play.law->ended);
        joined += count(play.log->str, " joined sip:");
        left += count(play.log->str, " left sip:");
        play_clear(&play);
        g_rand_free(rand);
    }
    g_test_message("in 400 tales %u legs came in and %u left", joined, left);
    g_assert_cmpuint(joined, >, 800); /* the tales must not all end at the door */
    g_assert_cmpuint(left, ==, joined);
}

/* An INVITE that comes too late is answered all the same. */
static void
test_after_the_end(void)
{
    const ClvEvJoin join = {.has_media = TRUE};
    const ClvAction *action;
    g_autoptr(GArray) out = clv_actions_new();
    Play play;

    play_init(&play);
    play_new(&play, NULL);
    step(&play, &(ClvEvent){.kind = CLV_EV_END});
    clv_conference_step(play.conference, &(ClvEvent){.kind = CLV_EV_JOIN, .leg = 9, .join = &join},
                        out);
    g_assert_cmpuint(out->len, ==, 1);
    action = &g_array_index(out, ClvAction, 0);
    g_assert_cmpint(action->kind, ==, CLV_ACT_REFUSE);
    g_assert_cmpint(action->code, ==, CLV_CODE_NOT_FOUND);
    play_clear(&play);
}

/* ---- factory ---- */

static gboolean
counting_random(void *user, guint8 *out, gsize len)
{
    guint8 *next = user;

    for (gsize i = 0; i < len; i++)
        out[i] = (*next)++;
    return TRUE;
}

static gboolean
no_random(void *user, guint8 *out, gsize len)
{
    return FALSE;
}

static void
test_factory_uri(void)
{
    guint8 next = 0;
    g_autofree char *first = clv_factory_new_uri("conf1", "example.org", counting_random, &next);
    g_autofree char *second = clv_factory_new_uri("conf1", "example.org", counting_random, &next);
    g_autofree char *none = clv_factory_new_uri("conf1", "example.org", no_random, NULL);

    g_assert_cmpstr(first, ==, "sip:abcdefghijklmnopqrst.conf1@example.org");
    g_assert_cmpstr(second, ==, "sip:uvwxyz234567abcdefgh.conf1@example.org");
    g_assert_null(none); /* no randomness, no conference */
}

int
main(int argc, char **argv)
{
    g_autoptr(GPtrArray) paths = NULL;

    setlocale(LC_ALL, "C");
    g_test_init(&argc, &argv, NULL);
    paths = add_transcripts();
    g_test_add_func("/conference/random-tales-keep-the-law", test_random);
    g_test_add_func("/conference/late-invite-is-answered", test_after_the_end);
    g_test_add_func("/conference/factory-uri-has-a-hundred-random-bits", test_factory_uri);
    return g_test_run();
}
