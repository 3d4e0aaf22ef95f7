/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/conference-play.c - plays the words of a transcript, and writes what results */
#include "conference-play.h"

#include <string.h>

const char policy_head[] = "[policy]\nformat=1\n[factory f]\n"
                           "uri=sip:factory.conf1@example.org\n"
                           "create-allow=*@example.org\n";

void
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

void
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
report(Play *play, const ClvEvent *event)
{
    for (guint i = 0; i < play->actions->len; i++)
        print_action(play->log, &g_array_index(play->actions, ClvAction, i));
    law_sees_step(play->law, event, play->actions, play->conference);
    g_array_set_size(play->actions, 0);
}

void
step(Play *play, ClvEvent *event)
{
    event->now_us = play->now_us;
    event->wall_us = play->wall_us;
    clv_conference_step(play->conference, event, play->actions);
    report(play, event);
}

ClvPolicy *
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

struct Words {
    char **words;
    guint n;
};

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

void
play_new(Play *play, const Words *w)
{
    play->policy = parse_policy(play->policy_text->str);
    play->conference = clv_conference_new(77, "sip:abc.conf1@example.org",
                                          view_of(play, play->policy), play->now_us, play->actions);
    g_assert_cmpstr(clv_conference_uri(play->conference), ==, "sip:abc.conf1@example.org");
    report(play, NULL);
}

/* "bob,carol" -> canonical; (nullable) */
static char **
identities_of(const char *text)
{
    char **list;

    if (text == NULL)
        return NULL;
    list = g_strsplit(text, ",", -1);
    for (char **name = list; *name != NULL; name++) {
        char *full = identity_of(*name);

        g_free(*name);
        *name = full;
    }
    return list;
}

static void
entry_free(gpointer data)
{
    ClvUriEntry *entry = data;

    g_free(entry->uri);
    g_free(entry);
}

/* "bob,carol/cc,dave/bcc/anonymous,erin/leg=3"; (nullable) */
static GPtrArray *
list_of(const char *text)
{
    g_auto(GStrv) words = text != NULL ? g_strsplit(text, ",", -1) : NULL;
    GPtrArray *list;

    if (words == NULL)
        return NULL;
    list = g_ptr_array_new_with_free_func(entry_free);
    for (char **word = words; *word != NULL; word++) {
        g_auto(GStrv) parts = g_strsplit(*word, "/", -1);
        ClvUriEntry *entry = g_new0(ClvUriEntry, 1);

        entry->uri = identity_of(parts[0]);
        for (char **part = parts + 1; *part != NULL; part++) {
            if (strcmp(*part, "cc") == 0)
                entry->copy = CLV_COPY_CC;
            else if (strcmp(*part, "bcc") == 0)
                entry->copy = CLV_COPY_BCC;
            else if (strcmp(*part, "anonymous") == 0)
                entry->anonymize = TRUE;
            else if (g_str_has_prefix(*part, "leg="))
                entry->leg = g_ascii_strtoull(*part + 4, NULL, 10);
            else
                g_error("unknown word '%s'", *part);
        }
        g_ptr_array_add(list, entry);
    }
    return list;
}

static void
play_join(Play *play, const Words *w)
{
    g_autofree char *identity = identity_of(w->words[1]);
    g_autofree char *peer = g_strdup_printf("peer-%s", w->words[1]);
    const char *direction = option(w, "dir");
    g_autofree char *referrer =
        option(w, "referred-by") != NULL ? identity_of(option(w, "referred-by")) : NULL;
    g_autoptr(GPtrArray) list = list_of(option(w, "list"));
    g_auto(GStrv) identities = identities_of(option(w, "ids"));
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
        .peer_name = option(w, "via"),
        .identities = (const char *const *)identities,
        .uri_list = list,
        .replaces = number(w, "replaces"),
        .referred_by = referrer,
    };
    ClvEvent event = {.kind = CLV_EV_JOIN, .join = &join};

    join.identity = join.proof != CLV_PROOF_NONE ? identity : NULL;
    event.leg = number(w, "leg");
    if (event.leg == 0)
        event.leg = ++play->last_leg;
    step(play, &event);
}

typedef struct Keys {
    ClvEvKeys keys;
    char *identity;
    char **names;
} Keys;

/* "... alice names=bob hash=aa11 sets-allowed": @i is the place of the name */
static void
read_keys(const Play *play, const Words *w, guint i, Keys *out)
{
    gboolean sdes = has(w, "sdes");

    g_assert_cmpuint(w->n, >, i);
    out->identity = identity_of(w->words[i]);
    out->names = identities_of(option(w, "names"));
    out->keys = (ClvEvKeys){
        .updates_session = has(w, "update"),
        .proof = sdes ? CLV_PROOF_NONE : CLV_PROOF_TICKET,
        .scheme = sdes ? CLV_SCHEME_SDES : CLV_SCHEME_MIKEY_TICKET,
        .suite = has(w, "nomedia") ? CLV_SRTP_NONE
                 : has(w, "weak")  ? CLV_SRTP_AES_CM_128_HMAC_SHA1_32
                                   : CLV_SRTP_AES_CM_128_HMAC_SHA1_80,
        .identity = sdes ? NULL : out->identity,
        .ticket_names = (const char *const *)out->names,
        .ticket_hash = option(w, "hash"),
        .expires_us = option(w, "expires") != NULL
                          ? play->wall_us + (gint64)number(w, "expires") * G_USEC_PER_SEC
                          : 0,
        .sets_allowed = has(w, "sets-allowed"),
        .n_by_creator = number(w, "n"),
        .n_total = number(w, "total"),
    };
}

static void
clear_keys(Keys *keys)
{
    g_free(keys->identity);
    g_strfreev(keys->names);
}

static void
step_with_keys(Play *play, const Words *w, ClvEvent *event)
{
    Keys keys;

    read_keys(play, w, 2, &keys);
    event->keys = &keys.keys;
    step(play, event);
    clear_keys(&keys);
}

static void
play_keys(Play *play, const Words *w)
{
    step_with_keys(play, w, &(ClvEvent){.kind = CLV_EV_KEYS, .leg = leg_of(w)});
}

static void
play_reoffer(Play *play, const Words *w)
{
    step_with_keys(play, w, &(ClvEvent){.kind = CLV_EV_REOFFER_KEYS, .leg = leg_of(w)});
}

/* ---- REFER ---- */

/* "refer 1 alice carol leg=1 ticket": alice - or "-" - asks for carol, or "focus"; "named": the dialog
 * is that of Target-Dialog */
static void
play_refer(Play *play, const Words *w)
{
    g_autofree char *identity = identity_of(w->words[2]);
    g_autofree char *peer = g_strdup_printf("peer-%s", w->words[2]);
    g_autofree char *target = strcmp(w->words[3], "focus") == 0
                                  ? g_strdup(clv_conference_uri(play->conference))
                                  : identity_of(w->words[3]);
    ClvEvRefer refer = {
        .refer = leg_of(w),
        .leg = number(w, "leg"),
        .leg_is_named = has(w, "named"),
        .proof = has(w, "digest")     ? CLV_PROOF_DIGEST
                 : has(w, "asserted") ? CLV_PROOF_ASSERTED
                                      : CLV_PROOF_NONE,
        .peer = peer,
        .peer_name = option(w, "via"),
        .ticket_offered = has(w, "ticket"),
        .anonymous = has(w, "anonymous"),
        .secured = !has(w, "udp"),
        .tls = !has(w, "udp"),
        .target = target,
        .target_is_ours = has(w, "ours"),
        .removes = has(w, "bye"),
        .names_dialog = option(w, "dialog") != NULL,
        .target_leg = number(w, "dialog"),
        .referred_by = option(w, "referred-by"),
        .replaces = option(w, "replaces"),
    };

    refer.identity = refer.proof != CLV_PROOF_NONE ? identity : NULL;
    step(play, &(ClvEvent){.kind = CLV_EV_REFER, .refer = &refer});
}

static void
play_refer_keys(Play *play, const Words *w)
{
    step_with_keys(play, w, &(ClvEvent){.kind = CLV_EV_REFER_KEYS, .refer_id = leg_of(w)});
}

static void
play_refer_failed(Play *play, const Words *w)
{
    step(play, &(ClvEvent){.kind = CLV_EV_REFER_FAILED,
                           .refer_id = leg_of(w),
                           .code = (ClvCode)find_name(code_names, CLV_N_CODES, w->words[2])});
}

/* ---- calls of ours ---- */

typedef struct Answerer {
    ClvAnswerer says;
    char *asserted, *claimed;
} Answerer;

static void
read_answerer(const Words *w, Answerer *out)
{
    out->asserted = option(w, "asserted") != NULL ? identity_of(option(w, "asserted")) : NULL;
    out->claimed = option(w, "claimed") != NULL ? identity_of(option(w, "claimed")) : NULL;
    out->says = (ClvAnswerer){.forwarded = has(w, "forwarded"),
                              .diverted = has(w, "diverted"),
                              .asserted = out->asserted,
                              .claimed = out->claimed};
}

static void
clear_answerer(Answerer *answerer)
{
    g_free(answerer->asserted);
    g_free(answerer->claimed);
}

static void
play_ringing(Play *play, const Words *w)
{
    Answerer answerer;

    read_answerer(w, &answerer);
    step(play, &(ClvEvent){.kind = CLV_EV_DIAL_RINGING,
                           .dial = (guint)leg_of(w),
                           .answerer = &answerer.says});
    clear_answerer(&answerer);
}

/* "answered 1 carol": by a ticket of his; "answered 1 - sdes asserted=carol" */
static void
play_answered(Play *play, const Words *w)
{
    const char *direction = option(w, "dir");
    g_autofree char *peer = g_strdup_printf("peer-%s", w->words[2]);
    ClvEvent event = {.kind = CLV_EV_DIAL_ANSWERED, .dial = (guint)leg_of(w)};
    Answerer answerer;
    Keys keys;
    ClvEvAnswer answer = {
        .who = &answerer.says,
        .keys = has(w, "keyless") ? NULL : &keys.keys,
        .display_name = w->words[2],
        .peer = peer,
        .peer_name = option(w, "via"),
        .secured = !has(w, "udp"),
        .tls = !has(w, "udp"),
        .peer_direction = direction != NULL ? (ClvDirection)find_name(direction_names, 4, direction)
                                            : CLV_DIR_SENDRECV,
    };

    read_answerer(w, &answerer);
    read_keys(play, w, 2, &keys);
    event.answer = &answer;
    event.leg = number(w, "leg");
    if (event.leg == 0)
        event.leg = ++play->last_leg;
    step(play, &event);
    clear_answerer(&answerer);
    clear_keys(&keys);
}

/* "dial-failed 1 486", or the name of a code */
static void
play_dial_failed(Play *play, const Words *w)
{
    guint status = (guint)g_ascii_strtoull(w->words[2], NULL, 10);
    ClvEvent event = {.kind = CLV_EV_DIAL_FAILED, .dial = (guint)leg_of(w), .status = status};

    if (status == 0)
        event.code = (ClvCode)find_name(code_names, CLV_N_CODES, w->words[2]);
    step(play, &event);
}

static void
play_identity(Play *play, const Words *w)
{
    Answerer answerer;

    read_answerer(w, &answerer);
    step(play, &(ClvEvent){.kind = CLV_EV_IDENTITY, .leg = leg_of(w), .answerer = &answerer.says});
    clear_answerer(&answerer);
}

/* ---- those who wait ---- */

static void
play_dtmf(Play *play, const Words *w)
{
    for (const char *digit = w->words[2]; *digit != '\0'; digit++)
        step(play, &(ClvEvent){.kind = CLV_EV_DTMF, .leg = leg_of(w), .digit = *digit});
}

static void
play_pin(Play *play, const Words *w)
{
    step(play, &(ClvEvent){.kind = CLV_EV_PIN, .leg = leg_of(w), .flag = has(w, "right") ? 4 : 0});
}

static void
play_prompted(Play *play, const Words *w)
{
    step(play,
         &(ClvEvent){.kind = CLV_EV_PROMPTED,
                     .leg = leg_of(w),
                     .prompt = (ClvPrompt)find_name(prompt_names, CLV_N_PROMPTS, w->words[2])});
}

static void
play_lock(Play *play, const Words *w)
{
    step(play, &(ClvEvent){.kind = CLV_EV_LOCK, .flag = has(w, "on") ? 2 : 0});
}

static void
play_admit(Play *play, const Words *w)
{
    g_autofree char *who = strcmp(w->words[1], "all") == 0 ? NULL : identity_of(w->words[1]);

    step(play, &(ClvEvent){.kind = CLV_EV_ADMIT, .who = who});
}

/* Only what is kept over a restart lives on. */
static void
play_restart(Play *play, const Words *w)
{
    ClvConferenceRecord *record = clv_conference_record(play->conference);
    ClvConference *again = clv_conference_restore(78, record, view_of(play, play->policy),
                                                  play->now_us, play->actions);

    clv_conference_record_free(record);
    clv_conference_free(play->conference);
    play->conference = again;
    law_free(play->law);
    play->law = law_new();
    report(play, NULL);
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
    ClvEvKeys keys = {.scheme = CLV_SCHEME_MIKEY_TICKET, .suite = CLV_SRTP_AES_CM_128_HMAC_SHA1_80};

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
show_dials(Play *play)
{
    for (guint i = 0; i < clv_conference_n_dials(play->conference); i++) {
        ClvDialInfo info;

        clv_conference_dial(play->conference, i, &info);
        g_string_append_printf(play->log, "= dial %u %s %s by %s\n", info.dial, info.target,
                               info.state, info.referred_by != NULL ? info.referred_by : "-");
    }
    if (clv_conference_is_locked(play->conference))
        g_string_append(play->log, "= locked\n");
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
        if (info.dialed_out || info.referred_by != NULL)
            g_string_append_printf(play->log, "= %s by %s\n",
                                   info.dialed_out ? "dialed out" : "referred",
                                   info.referred_by != NULL ? info.referred_by : "-");
    }
    show_dials(play);
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
    {"reoffer", play_reoffer},
    {"refer", play_refer},
    {"refer-keys", play_refer_keys},
    {"refer-failed", play_refer_failed},
    {"ringing", play_ringing},
    {"answered", play_answered},
    {"dial-failed", play_dial_failed},
    {"identity", play_identity},
    {"dtmf", play_dtmf},
    {"pin", play_pin},
    {"prompted", play_prompted},
    {"lock", play_lock},
    {"admit", play_admit},
    {"restart", play_restart},
    {"show", play_show},
};

void
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

void
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
