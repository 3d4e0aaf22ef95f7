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
#include "conference-play.h"

#include <locale.h>
#include <string.h>

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
    "lobby=yes\nlobby-timeout=10s\nrefer-allow=any\nmoderators=sip:bob@example.org\n",
    "pin=additional\npin-tries=2\npin-timeout=5s\nrefer-ticket=optional\npin-hash="
    "pbkdf2-sha256$100000$c2FsdHNhbHRzYWx0$3q2+7wAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n",
    "dial-out-parallel=1\ndial-out-timeout=5s\nrefer-allow=any\nrefer-extends=yes\n"
    "diversion=allowed-set\n",
    "refer-ticket=optional\nrefer-allow=any\nrefer-duplicate=reject\ninvite-by-refer=yes\n"
    "lobby=yes\npin=additional\npin-hash="
    "pbkdf2-sha256$100000$c2FsdHNhbHRzYWx0$3q2+7wAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n",
    "creation=redirect\nend-on-expiry=yes\nmax-duration=90s\ndiversion=off\nauth=digest\n"
    "key-mgmt-allow=mikey-ticket;sdes\nsignalling=tls\nshare-uri-list=yes\n",
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
entry_free(gpointer data)
{
    ClvUriEntry *entry = data;

    g_free(entry->uri);
    g_free(entry);
}

/* Now and then too long for max-uri-list, for nobody makes such a long one of four people. */
static GPtrArray *
random_list(GRand *rand)
{
    GPtrArray *list;

    if (g_rand_int_range(rand, 0, 3) != 0)
        return NULL;
    list = g_ptr_array_new_with_free_func(entry_free);
    for (int n = g_rand_int_range(rand, 1, 6); n > 0; n--) {
        ClvUriEntry *entry = g_new0(ClvUriEntry, 1);

        entry->uri = g_strdup(anybody(rand));
        entry->copy = (ClvCopy)g_rand_int_range(rand, 0, 3);
        entry->anonymize = g_rand_boolean(rand);
        entry->leg = g_rand_int_range(rand, 0, 8) == 0 ? 1 : 0;
        g_ptr_array_add(list, entry);
    }
    return list;
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
        .referred_by = g_rand_boolean(rand) ? anybody(rand) : NULL,
    };
    g_autoptr(GPtrArray) list = join.creates ? random_list(rand) : NULL;

    join.uri_list = list;
    if (play->last_leg > 0 && g_rand_int_range(rand, 0, 5) == 0)
        join.replaces = (ClvLegId)g_rand_int_range(rand, 1, (gint32)play->last_leg + 2);
    if (join.proof != CLV_PROOF_NONE)
        join.identity =
            g_rand_int_range(rand, 0, 12) == 0 ? anybody(rand) : people[(play->last_leg + 1) % 3];
    step(play, &(ClvEvent){.kind = CLV_EV_JOIN,
                           .leg = g_rand_int_range(rand, 0, 20) == 0 && last_is_live(play)
                                      ? play->last_leg
                                      : ++play->last_leg,
                           .join = &join});
}

/* Mostly good, mostly his. */
static ClvEvKeys
some_keys(GRand *rand, const char *identity)
{
    static const char *const names[] = {"sip:bob@example.org", "sip:carol@example.org",
                                        "sip:dave@elsewhere.example", NULL};
    gboolean sdes = g_rand_int_range(rand, 0, 10) == 0;

    return (ClvEvKeys){
        .updates_session = g_rand_int_range(rand, 0, 8) == 0,
        .proof = sdes ? CLV_PROOF_NONE : CLV_PROOF_TICKET,
        .scheme = sdes ? CLV_SCHEME_SDES : CLV_SCHEME_MIKEY_TICKET,
        .suite = CLV_SRTP_AEAD_AES_128_GCM,
        .identity = sdes ? NULL : identity,
        .ticket_names = g_rand_boolean(rand) ? names + g_rand_int_range(rand, 0, 4) : NULL,
        .ticket_hash = g_rand_boolean(rand) ? "aa" : "bb",
        .expires_us = g_rand_boolean(rand) ? FIRST_WALL_US + 80 * G_USEC_PER_SEC : 0,
        .sets_allowed = g_rand_boolean(rand),
    };
}

static void
random_keys(Play *play, GRand *rand, ClvLegId leg)
{
    ClvEvKeys keys = some_keys(rand, people[leg % 3]);

    /* A key management that nobody opened has nothing to tell. */
    if (play->law->legs[leg].keys_open)
        step(play, &(ClvEvent){.kind = CLV_EV_KEYS, .leg = leg, .keys = &keys});
}

static void
random_reoffer(Play *play, GRand *rand, ClvLegId leg)
{
    const char *his = play->law->legs[leg].identity;
    ClvEvKeys keys =
        some_keys(rand, his == NULL || g_rand_int_range(rand, 0, 6) == 0 ? anybody(rand) : his);

    step(play, &(ClvEvent){.kind = CLV_EV_REOFFER_KEYS, .leg = leg, .keys = &keys});
}

/* ---- REFERs and calls of random tales ---- */

/* By somebody who is in, most often by the creator. */
static void
random_refer(Play *play, GRand *rand, ClvLegId leg)
{
    static const char focus[] = "sip:abc.conf1@example.org";
    gboolean inside = g_rand_int_range(rand, 0, 4) != 0;
    ClvEvRefer refer = {
        .refer = play->last_refer + 1,
        .leg = inside ? (g_rand_boolean(rand) ? 1 : leg) : 0,
        .proof = (ClvProof)g_rand_int_range(rand, CLV_PROOF_NONE, CLV_PROOF_TICKET),
        .peer = "somewhere",
        .ticket_offered = g_rand_int_range(rand, 0, 4) != 0,
        .anonymous = g_rand_int_range(rand, 0, 20) == 0,
        .secured = TRUE,
        .tls = TRUE,
        .target = g_rand_int_range(rand, 0, 40) == 0 ? focus : anybody(rand),
        .target_is_ours = g_rand_int_range(rand, 0, 20) == 0,
        .removes = g_rand_int_range(rand, 0, 8) == 0,
        .names_dialog = g_rand_boolean(rand),
        .target_leg = leg,
    };

    if (refer.proof != CLV_PROOF_NONE)
        refer.identity = inside && play->law->legs[refer.leg].identity != NULL
                             ? play->law->legs[refer.leg].identity
                             : people[0];
    if (play->last_refer > 0 && play->law->refers[play->last_refer].state != REFER_ENDED &&
        g_rand_int_range(rand, 0, 20) == 0)
        refer.refer = play->last_refer; /* comes twice */
    else if (play->last_refer < MAX_REFERS - 2)
        play->last_refer++;
    else
        return;
    step(play, &(ClvEvent){.kind = CLV_EV_REFER, .refer = &refer});
}

/* One that waits for its ticket, if there is one; else any, or none. */
static ClvReferId
random_proving(const Play *play, GRand *rand)
{
    for (ClvReferId refer = play->last_refer; refer > 0; refer--) {
        if (play->law->refers[refer].state == REFER_PROVING && g_rand_int_range(rand, 0, 4) != 0)
            return refer;
    }
    return (ClvReferId)g_rand_int_range(rand, 1, (gint32)play->last_refer + 2);
}

static void
random_refer_keys(Play *play, GRand *rand)
{
    ClvReferId id = random_proving(play, rand);
    const char *names[] = {play->law->refers[id].target, NULL};
    ClvEvKeys keys = some_keys(rand, people[g_rand_int_range(rand, 0, 4) != 0 ? 0 : 1]);

    if (g_rand_int_range(rand, 0, 5) != 0)
        keys.ticket_names = names;
    if (g_rand_int_range(rand, 0, 10) == 0)
        step(play,
             &(ClvEvent){.kind = CLV_EV_REFER_FAILED, .refer_id = id, .code = CLV_CODE_KMS_DOWN});
    else
        step(play, &(ClvEvent){.kind = CLV_EV_REFER_KEYS, .refer_id = id, .keys = &keys});
}

/* Somebody who is being called, if there is one; else any, or none. */
static guint
random_dial(const Play *play, GRand *rand)
{
    for (guint dial = MAX_DIALS - 1; dial > 0; dial--) {
        if (play->law->dials[dial].state == DIAL_OPEN && g_rand_int_range(rand, 0, 3) != 0)
            return dial;
    }
    return (guint)g_rand_int_range(rand, 1, 40);
}

static ClvAnswerer
some_answerer(GRand *rand)
{
    return (ClvAnswerer){
        .forwarded = g_rand_int_range(rand, 0, 25) == 0,
        .diverted = g_rand_int_range(rand, 0, 25) == 0,
        .asserted = g_rand_int_range(rand, 0, 4) == 0 ? anybody(rand) : NULL,
        .claimed = g_rand_int_range(rand, 0, 25) == 0 ? anybody(rand) : NULL,
    };
}

static void
random_answer(Play *play, GRand *rand)
{
    guint dial = random_dial(play, rand);
    const char *called = play->law->dials[dial].target;
    ClvEvKeys keys = some_keys(
        rand, called == NULL || g_rand_int_range(rand, 0, 6) == 0 ? anybody(rand) : called);
    ClvAnswerer who = some_answerer(rand);
    ClvEvAnswer answer = {
        .who = &who,
        .keys = g_rand_int_range(rand, 0, 10) == 0 ? NULL : &keys,
        .secured = TRUE,
        .tls = TRUE,
        .peer_direction = CLV_DIR_SENDRECV,
    };

    /* The other side of a call that is over has no leg to tell of. */
    if (play->law->dials[dial].state == DIAL_OPEN && play->last_leg < MAX_LEGS - 2)
        step(play, &(ClvEvent){.kind = CLV_EV_DIAL_ANSWERED,
                               .dial = dial,
                               .leg = ++play->last_leg,
                               .answer = &answer});
}

static void
random_call(Play *play, GRand *rand, ClvLegId leg)
{
    static const guint statuses[] = {0, 200, 486};
    ClvAnswerer who = some_answerer(rand);
    int dice = g_rand_int_range(rand, 0, 100);

    if (dice < 20)
        random_refer(play, rand, leg);
    else if (dice < 45)
        random_refer_keys(play, rand);
    else if (dice < 60)
        step(play, &(ClvEvent){.kind = CLV_EV_DIAL_RINGING,
                               .dial = random_dial(play, rand),
                               .answerer = &who});
    else if (dice < 85)
        random_answer(play, rand);
    else if (dice < 95)
        step(play, &(ClvEvent){.kind = CLV_EV_DIAL_FAILED,
                               .dial = random_dial(play, rand),
                               .status = statuses[g_rand_int_range(rand, 0, 3)],
                               .code = CLV_CODE_KMS_DOWN});
    else
        step(play, &(ClvEvent){.kind = CLV_EV_IDENTITY, .leg = leg, .answerer = &who});
}

static void
random_wait(Play *play, GRand *rand, ClvLegId leg)
{
    static const char digits[] = "0123456789*#*1*2*7##";
    int dice = g_rand_int_range(rand, 0, 100);

    for (ClvLegId i = 1; i <= play->last_leg; i++) { /* somebody who should give the PIN */
        if (play->law->legs[i].pin && play->law->legs[i].state == LEG_CONFIRMED)
            leg = i;
    }
    if (dice < 50)
        step(play, &(ClvEvent){.kind = CLV_EV_DTMF,
                               .leg = leg,
                               .digit = digits[g_rand_int_range(rand, 0, sizeof digits - 1)]});
    else if (dice < 70)
        step(play, &(ClvEvent){
                       .kind = CLV_EV_PIN, .leg = leg, .flag = g_rand_int_range(rand, 0, 3) != 0});
    else if (dice < 85)
        step(play, &(ClvEvent){.kind = CLV_EV_PROMPTED,
                               .leg = leg,
                               .prompt = (ClvPrompt)g_rand_int_range(rand, 0, CLV_N_PROMPTS)});
    else if (dice < 90)
        step(play, &(ClvEvent){.kind = CLV_EV_LOCK, .flag = g_rand_int_range(rand, 0, 4) == 0});
    else
        step(play,
             &(ClvEvent){.kind = CLV_EV_ADMIT, .who = g_rand_boolean(rand) ? anybody(rand) : NULL});
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
    int dice = g_rand_int_range(rand, 0, 160);

    if (dice >= 120)
        random_call(play, rand, leg);
    else if (dice >= 103)
        random_wait(play, rand, leg);
    else if (dice >= 100)
        random_reoffer(play, rand, leg);
    else if (dice < 14 && play->last_leg < MAX_LEGS - 2)
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
    guint joined = 0, left = 0, dialed = 0, answered = 0, queued = 0, unlocked = 0, news = 0;

    for (guint32 seed = 1; seed <= 1000; seed++) {
        GRand *rand = g_rand_new_with_seed(seed);
        g_autofree char *text = random_policy_text(rand);
        Play play;

        play_init(&play);
        g_string_assign(play.policy_text, text);
        play_new(&play, NULL);
        random_opening(&play, rand);
        for (guint i = 0; i < 500 && !play.law->ended; i++)
            random_event(&play, rand);
        if (!play.law->ended)
            step(&play, &(ClvEvent){.kind = CLV_EV_END});
        g_assert_true(play.law->ended);
        joined += count(play.log->str, " joined sip:");
        left += count(play.log->str, " left sip:");
        dialed += count(play.log->str, "< dial ");
        answered += count(play.log->str, "< confirm ");
        queued += count(play.log->str, "< queue ");
        unlocked += count(play.log->str, "< check-pin ");
        news += count(play.log->str, " last\n");
        play_clear(&play);
        g_rand_free(rand);
    }
    g_test_message("in 1000 tales %u legs came in and %u left, %u were called and %u of them came, "
                   "%u waited in the lobby, %u PINs were given, %u REFERs ended",
                   joined, left, dialed, answered, queued, unlocked, news);
    g_assert_cmpuint(joined, >, 2000); /* the tales must not all end at the door */
    g_assert_cmpuint(dialed, >, 800);
    g_assert_cmpuint(answered, >, 200);
    g_assert_cmpuint(queued, >, 200);
    g_assert_cmpuint(unlocked, >, 50);
    g_assert_cmpuint(news, >, 2000);
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

/* Asked about without a JOIN; what only the asker knows stays. */
static void
test_facts(void)
{
    ClvPolicyFacts facts = {.proof = CLV_PROOF_TICKET, .tls = TRUE};
    Play play;

    play_init(&play);
    play_new(&play, NULL);
    play_event(&play, "join alice ticket create");
    play_event(&play, "keys 1 alice names=bob,carol hash=aa");
    play_event(&play, "media-ready 1");
    play_event(&play, "confirmed 1");
    play_event(&play, "lock on");
    play_event(&play, "kick carol");
    clv_conference_facts(play.conference, "sip:bob@example.org", &facts);
    g_assert_cmpstr(facts.identity, ==, "sip:bob@example.org");
    g_assert_cmpstr(facts.creator, ==, "sip:alice@example.org");
    g_assert_true(facts.creator_present);
    g_assert_true(facts.locked);
    g_assert_true(g_strv_contains(facts.ticket_names, "sip:bob@example.org"));
    g_assert_cmpuint(facts.n_participants, ==, 1);
    g_assert_cmpuint(facts.n_endpoints, ==, 0);
    g_assert_cmpint(facts.proof, ==, CLV_PROOF_TICKET);
    g_assert_true(facts.tls);
    g_assert_true(clv_conference_is_banned(play.conference, "sip:carol@example.org"));
    g_assert_false(clv_conference_is_banned(play.conference, "sip:bob@example.org"));
    play_clear(&play);
}

/* ---- PINs ---- */

#define PIN_POLICY                                                                                 \
    "create-max-per-user=1000\nallow=any\nno-ticket-list=policy\nticket-authority=extend\n"        \
    "create-empty=yes\npin-tries=2\npin=additional\npin-hash=pbkdf2-sha256$100000$"               \
    "c2FsdHNhbHRzYWx0$3q2+7wAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n"

static void
pin_play_init(Play *play, ClvPinTries *tries)
{
    play_init(play);
    g_string_append(play->policy_text, PIN_POLICY);
    play_new(play, NULL);
    clv_conference_share_tries(play->conference, tries);
}

/* With @leg he comes to the PIN, and is wrong until he is out. */
static void
fail_pin(Play *play, const char *who, guint leg)
{
    g_autofree char *text = g_strdup_printf(
        "join %1$s ticket leg=%2$u\nkeys %2$u %1$s\nmedia-ready %2$u\nconfirmed %2$u\n"
        "dtmf %2$u 1#\npin %2$u wrong\ndtmf %2$u 2#\npin %2$u wrong\nprompted %2$u pin-failed",
        who, leg);
    g_auto(GStrv) events = g_strsplit(text, "\n", -1);

    for (char **event = events; *event != NULL; event++)
        play_event(play, *event);
}

static gboolean
is_refused(const Play *play, const char *who)
{
    ClvPolicyFacts facts = {.proof = CLV_PROOF_TICKET, .tls = TRUE};

    clv_conference_facts(play->conference, who, &facts);
    return facts.pin_refused;
}

/* Who may create could else guess the PIN of his factory in conferences of his own. */
static void
test_shared_tries(void)
{
    ClvPinTries *tries = clv_pin_tries_new();
    Play one, other;

    pin_play_init(&one, tries);
    pin_play_init(&other, tries);
    fail_pin(&one, "bob", 1);
    g_assert_nonnull(strstr(one.log->str, "< prompt 1 pin-failed"));
    g_assert_true(is_refused(&one, "sip:bob@example.org"));
    g_assert_true(is_refused(&other, "sip:bob@example.org"));
    g_assert_false(is_refused(&other, "sip:carol@example.org"));
    play_event(&other, "join bob ticket create");
    play_event(&other, "keys 1 bob names=carol hash=aa");
    g_assert_nonnull(strstr(other.log->str, "pin-tries by test:"));
    g_assert_nonnull(strstr(other.log->str, "< refuse 1 FORBIDDEN"));
    play_clear(&one);
    play_clear(&other);
    clv_pin_tries_unref(tries);
}

/* Whoever has been quiet for longest is forgotten for the 4097th. */
static void
test_tries_are_bounded(void)
{
    ClvPinTries *tries = clv_pin_tries_new();

    for (guint i = 0; i < 4097;) {
        Play play;

        pin_play_init(&play, tries);
        play.now_us += i;
        for (guint leg = 1; leg < 60 && i < 4097; leg++) {
            g_autofree char *who = g_strdup_printf("user%u", i++);

            play.now_us++;
            fail_pin(&play, who, leg);
        }
        if (i == 4097) {
            g_assert_false(is_refused(&play, "sip:user0@example.org"));
            g_assert_true(is_refused(&play, "sip:user1@example.org"));
            g_assert_true(is_refused(&play, "sip:user4096@example.org"));
        }
        play_clear(&play);
    }
    clv_pin_tries_unref(tries);
}

/* What is given back stands here as it was, if it is this. */
static const char *watched;
static char given_back[8];

void __real_g_free(gpointer block);
void __wrap_g_free(gpointer block) __attribute__((visibility("default")));

void
__wrap_g_free(gpointer block)
{
    if (block != NULL && block == watched) {
        memcpy(given_back, block, 5);
        watched = NULL;
    }
    __real_g_free(block);
}

/* His leg is gone, so nobody has looked at it. */
static void
test_pin_is_wiped(void)
{
    ClvPinTries *tries = clv_pin_tries_new();
    g_autoptr(GArray) out = clv_actions_new();
    const ClvAction *action;
    Play play;

    pin_play_init(&play, tries);
    play_event(&play, "join bob ticket");
    play_event(&play, "keys 1 bob");
    play_event(&play, "media-ready 1");
    play_event(&play, "confirmed 1");
    play_event(&play, "dtmf 1 1234");
    clv_conference_step(play.conference,
                        &(ClvEvent){.kind = CLV_EV_DTMF,
                                    .now_us = play.now_us,
                                    .wall_us = play.wall_us,
                                    .leg = 1,
                                    .digit = '#'},
                        out);
    g_assert_cmpuint(out->len, ==, 1);
    action = &g_array_index(out, ClvAction, 0);
    g_assert_cmpint(action->kind, ==, CLV_ACT_CHECK_PIN);
    g_assert_cmpstr(action->text, ==, "1234");
    watched = action->text;
    memset(given_back, 'x', sizeof given_back);
    g_array_set_size(out, 0);
    g_assert_null(watched);
    g_assert_cmpmem(given_back, 5, "\0\0\0\0", 5);
    play_clear(&play);
    clv_pin_tries_unref(tries);
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
    g_test_add_func("/conference/facts-are-what-a-join-would-meet", test_facts);
    g_test_add_func("/conference/wrong-pins-count-in-every-conference-with-that-pin",
                    test_shared_tries);
    g_test_add_func("/conference/memory-of-wrong-pins-is-bounded", test_tries_are_bounded);
    g_test_add_func("/conference/pin-of-a-leg-that-is-gone-is-wiped", test_pin_is_wiped);
    g_test_add_func("/conference/R114-factory-uri-has-a-hundred-random-bits", test_factory_uri);
    return g_test_run();
}
