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
