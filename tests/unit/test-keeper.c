/* SPDX-License-Identifier: Apache-2.0 */
/* Does the KMS remember over a restart what it must, and say so when it cannot?
 *
 * Two services after each other on one folder are the restart; the clock is chosen.
 */
#include "config.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <glib/gstdio.h>

#include "kms/keeper.h"
#include "kms/keyfile.h"
#include "unit/kms-parties.h"

#define HOURS(n) MINUTES(60 * (n))
#define HEAD_LEN 32
#define RECORD_LEN 48

/* ---- a folder for each test ---- */

typedef struct Folder {
    char *path;
    char *state;
} Folder;

static void
folder_open(Folder *folder, gconstpointer unused)
{
    folder->path = g_dir_make_tmp("keeper-XXXXXX", NULL);
    folder->state = g_build_filename(folder->path, "state", NULL);
}

static void
empty(const char *path)
{
    g_autoptr(GDir) dir = g_dir_open(path, 0, NULL);
    const char *name;

    while (dir != NULL && (name = g_dir_read_name(dir)) != NULL) {
        g_autofree char *file = g_build_filename(path, name, NULL);

        g_unlink(file);
    }
    g_rmdir(path);
}

static void
folder_close(Folder *folder, gconstpointer unused)
{
    empty(folder->state);
    empty(folder->path);
    g_free(folder->state);
    g_free(folder->path);
}

static char *
state_file(const Folder *folder, const char *name)
{
    return g_build_filename(folder->state, name, NULL);
}

static ClvKmsService *
try_start(const Folder *folder, const char *extra, gint64 now_us, GError **error)
{
    g_autofree char *all = g_strdup_printf("state-dir = %s\n%s", folder->state, extra);
    g_autofree char *text = parties_key_file(all);
    g_autoptr(GPtrArray) errors = g_ptr_array_new_with_free_func(g_free);
    ClvKmsKeyFile *keys =
        clv_kms_keyfile_parse_in("parties", folder->path, text, strlen(text), errors);
    g_autoptr(ClvKmsService) service = NULL;

    if (errors->len > 0)
        g_error("%s", (const char *)errors->pdata[0]);
    service = clv_kms_service_new(keys, NULL, NULL);
    return clv_kms_service_open_state(service, now_us, error) ? g_steal_pointer(&service) : NULL;
}

static ClvKmsService *
start(const Folder *folder, const char *extra, gint64 now_us)
{
    g_autoptr(GError) error = NULL;
    ClvKmsService *service = try_start(folder, extra, now_us, &error);

    g_assert_no_error(error);
    return service;
}

static void
assert_start_fails(const Folder *folder, const char *piece)
{
    g_autoptr(GError) error = NULL;

    g_assert_null(try_start(folder, "", NOW_US, &error));
    if (strstr(error->message, piece) == NULL)
        g_error("'%s' is not in: %s", piece, error->message);
}

static void
tend(ClvKmsService *service, gint64 now_us)
{
    g_autoptr(GError) error = NULL;

    g_assert_true(clv_kms_service_tend(service, now_us, &error));
    g_assert_no_error(error);
}

static guint
n_tpks(ClvKmsService *service)
{
    ClvKmsServiceState state;

    clv_kms_service_state(service, &state);
    return state.tpks;
}

/* ---- asking ---- */

static gboolean
ask(ClvKmsService *service, const MikeyRequest *request, gint64 now_us, ClvKmsDecision *decision)
{
    g_autoptr(GByteArray) answer = service_ask(service, CLV_KMS_TICKET_REQUEST,
                                               mikey_request_octets(request), now_us, decision);

    return decision->granted;
}

static MikeyRequest *
alice_asks(gint64 now_us)
{
    g_autoptr(Wanted) wanted = wanted_new(BOB);

    return party_request("alice", ALICE, wanted, now_us);
}

/* TRANSFER_INIT from alice to bob, octets that outlive any KMS */
typedef struct Call {
    MikeyGrant *grant;
    MikeyTransfer *transfer;
    gint64 made_us;
} Call;

static Call
alice_calls(ClvKmsService *service, gint64 now_us)
{
    g_autoptr(Wanted) wanted = wanted_new(BOB);
    MikeyGrant *grant = party_grant(service, "alice", ALICE, wanted, now_us);

    return (Call){grant, party_call(grant, BOB, now_us), now_us};
}

static void
call_clear(Call *call)
{
    mikey_transfer_free(call->transfer);
    mikey_grant_free(call->grant);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Call, call_clear)

static gboolean
bob_resolves(ClvKmsService *service, const Call *call, gint64 now_us, ClvKmsDecision *decision)
{
    g_autoptr(MikeyOffer) offer = party_offer(mikey_transfer_octets(call->transfer), call->made_us);
    g_autoptr(MikeyResolve) resolve = party_resolve(offer, "bob", BOB, now_us);
    g_autoptr(GByteArray) answer = service_ask(service, CLV_KMS_TICKET_RESOLVE,
                                               mikey_resolve_octets(resolve), now_us, decision);

    return decision->granted;
}

static void
assert_resolves(ClvKmsService *service, const Call *call, gint64 now_us)
{
    ClvKmsDecision decision;

    if (!bob_resolves(service, call, now_us, &decision))
        g_error("not resolved: %s", decision.rule);
}

/* ---- ticket protection keys ---- */

static void
test_tickets_survive_a_restart(Folder *folder, gconstpointer unused)
{
    ClvKmsService *service = start(folder, "", NOW_US);
    g_auto(Call) call = alice_calls(service, NOW_US);

    clv_kms_service_free(service);
    service = start(folder, "", NOW_US + MINUTES(1));
    g_assert_cmpuint(n_tpks(service), ==, 1);
    assert_resolves(service, &call, NOW_US + MINUTES(1));
    clv_kms_service_free(service);
}

static void
test_keys_rotate_and_old_tickets_resolve(Folder *folder, gconstpointer unused)
{
    const char *rotate = "tpk-rotate = 30m";
    g_autoptr(ClvKmsService) service = start(folder, rotate, NOW_US);
    g_auto(Call) first = alice_calls(service, NOW_US);
    g_autofree char *path = state_file(folder, "tpks");
    struct stat info;

    tend(service, NOW_US + MINUTES(29));
    g_assert_cmpuint(n_tpks(service), ==, 1);
    for (guint i = 1; i <= 3; i++)
        tend(service, NOW_US + MINUTES(30 * i));
    g_assert_cmpuint(n_tpks(service), ==, 4);
    g_assert_cmpint(stat(path, &info), ==, 0);
    g_assert_cmpuint(info.st_mode & 0777, ==, 0600);
    g_auto(Call) second = alice_calls(service, NOW_US + MINUTES(90));
    assert_resolves(service, &first, NOW_US + MINUTES(90) + 1);
    assert_resolves(service, &second, NOW_US + MINUTES(90) + 1);

    clv_kms_service_free(service);
    service = start(folder, rotate, NOW_US + MINUTES(91));
    g_assert_cmpuint(n_tpks(service), ==, 4);
    assert_resolves(service, &first, NOW_US + MINUTES(91));
    assert_resolves(service, &second, NOW_US + MINUTES(91));
}

/* 2 h tickets may start 2 h late: a key is needed 4 h after it made way, and an hour for clocks. */
static void
test_keys_end_with_their_last_ticket(Folder *folder, gconstpointer unused)
{
    g_autoptr(ClvKmsService) service = start(folder, "tpk-rotate = 30m", NOW_US);

    tend(service, NOW_US + MINUTES(30));
    g_assert_cmpuint(n_tpks(service), ==, 2);
    tend(service, NOW_US + MINUTES(30) + HOURS(5)); /* one more by then */
    g_assert_cmpuint(n_tpks(service), ==, 3);
    tend(service, NOW_US + MINUTES(31) + HOURS(5));
    g_assert_cmpuint(n_tpks(service), ==, 2);
}

/* Tickets of the long lifetime are out when a shorter one is configured. */
static void
test_shorter_lifetime_does_not_end_old_keys(Folder *folder, gconstpointer unused)
{
    g_autoptr(ClvKmsService) service =
        start(folder,
              "tpk-rotate = 1h\n[user d]\nidentities = sip:d@h\n"
              "psk = 00112233445566778899aabbccddeeff\nmax-lifetime = 20h",
              NOW_US);

    tend(service, NOW_US);
    clv_kms_service_free(service);
    service = start(folder, "tpk-rotate = 1h", NOW_US + MINUTES(1));
    tend(service, NOW_US + HOURS(1));
    g_assert_cmpuint(n_tpks(service), ==, 2);
    tend(service, NOW_US + HOURS(41));
    g_assert_cmpuint(n_tpks(service), ==, 3);
    tend(service, NOW_US + HOURS(43));
    g_assert_cmpuint(n_tpks(service), ==, 3); /* the first has gone, another has come */
}

static void
test_key_that_cannot_be_kept_is_not_used(Folder *folder, gconstpointer unused)
{
    g_autoptr(ClvKmsService) service = start(folder, "tpk-rotate = 30m", NOW_US);
    g_autofree char *blocked = state_file(folder, "tpks.new");
    g_autoptr(GError) error = NULL;

    g_assert_cmpint(g_mkdir(blocked, 0700), ==, 0);
    g_assert_false(clv_kms_service_tend(service, NOW_US + MINUTES(30), &error));
    g_assert_nonnull(strstr(error->message, "/tpks: cannot be written"));
    g_assert_cmpuint(n_tpks(service), ==, 1);
    g_assert_cmpint(g_rmdir(blocked), ==, 0);
    tend(service, NOW_US + MINUTES(30));
    g_assert_cmpuint(n_tpks(service), ==, 2);
}

/* ---- replays ---- */

static void
test_replay_is_refused_after_a_restart(Folder *folder, gconstpointer unused)
{
    g_autoptr(MikeyRequest) request = alice_asks(NOW_US);
    g_autoptr(MikeyRequest) other = alice_asks(NOW_US + MINUTES(1));
    g_autoptr(ClvKmsService) service = start(folder, "", NOW_US);
    ClvKmsDecision decision;

    g_assert_true(ask(service, request, NOW_US, &decision));
    clv_kms_service_free(service);
    service = start(folder, "", NOW_US + MINUTES(1));
    g_assert_false(ask(service, request, NOW_US + MINUTES(1), &decision));
    g_assert_cmpuint(decision.error, ==, 1);
    g_assert_cmpstr(decision.rule, ==, "seen before");
    g_assert_true(ask(service, other, NOW_US + MINUTES(1), &decision));
}

/* As after kill -9: nothing was closed, the last record is half there. */
static void
test_half_a_record_is_cut_off(Folder *folder, gconstpointer unused)
{
    g_autoptr(MikeyRequest) request = alice_asks(NOW_US);
    g_autoptr(ClvKmsService) service = start(folder, "", NOW_US);
    g_autofree char *path = state_file(folder, "replay");
    ClvKmsDecision decision;
    struct stat info;
    FILE *file;

    g_assert_true(ask(service, request, NOW_US, &decision));
    clv_kms_service_free(service);
    file = fopen(path, "ab");
    fwrite("half", 1, 4, file);
    fclose(file);
    service = start(folder, "", NOW_US);
    g_assert_cmpint(stat(path, &info), ==, 0);
    g_assert_cmpint(info.st_size, ==, HEAD_LEN + RECORD_LEN);
    g_assert_false(ask(service, request, NOW_US, &decision));
}

static void
flip(const Folder *folder, const char *name, long at)
{
    g_autofree char *path = state_file(folder, name);
    FILE *file = fopen(path, "r+b");
    int octet;

    fseek(file, at, SEEK_SET);
    octet = fgetc(file);
    fseek(file, at, SEEK_SET);
    fputc(octet ^ 1, file);
    fclose(file);
}

static void
test_every_damaged_octet_is_found(Folder *folder, gconstpointer unused)
{
    ClvKmsDecision decision;
    ClvKmsService *service = start(folder, "", NOW_US);
    g_autofree char *tpks = state_file(folder, "tpks");
    struct stat info;

    for (guint i = 0; i < 2; i++) {
        g_autoptr(MikeyRequest) request = alice_asks(NOW_US + i);

        g_assert_true(ask(service, request, NOW_US, &decision));
    }
    clv_kms_service_free(service);
    for (long at = 0; at < HEAD_LEN + 2 * RECORD_LEN; at++) {
        flip(folder, "replay", at);
        assert_start_fails(folder, "'conclave-kms state reset replay'");
        flip(folder, "replay", at);
    }
    g_assert_cmpint(stat(tpks, &info), ==, 0);
    for (long at = 0; at < info.st_size; at++) {
        flip(folder, "tpks", at);
        assert_start_fails(folder, "'conclave-kms state reset tpks'");
        flip(folder, "tpks", at);
    }
    clv_kms_service_free(start(folder, "", NOW_US));
}

static void
test_missing_or_empty_file_is_no_fresh_start(Folder *folder, gconstpointer unused)
{
    static const char *const names[] = {"replay", "tpks"};

    clv_kms_service_free(start(folder, "", NOW_US));
    for (guint i = 0; i < G_N_ELEMENTS(names); i++) {
        g_autofree char *path = state_file(folder, names[i]);
        g_autofree char *away = g_strconcat(path, ".away", NULL);

        g_assert_cmpint(g_rename(path, away), ==, 0);
        assert_start_fails(folder, "missing");
        g_assert_true(g_file_set_contents_full(path, "", 0, G_FILE_SET_CONTENTS_NONE, 0600, NULL));
        assert_start_fails(folder, "damaged");
        g_assert_cmpint(g_rename(away, path), ==, 0);
    }
    clv_kms_service_free(start(folder, "", NOW_US));
}

static void
test_reset_refuses_what_may_have_been_seen(Folder *folder, gconstpointer unused)
{
    g_autoptr(MikeyRequest) request = alice_asks(NOW_US);
    g_autoptr(MikeyRequest) early = alice_asks(NOW_US + MINUTES(5) - 1000000);
    g_autoptr(MikeyRequest) late = alice_asks(NOW_US + MINUTES(5) + 1000000);
    ClvKmsService *service = start(folder, "", NOW_US);
    g_autoptr(GError) error = NULL;
    ClvKmsDecision decision;

    g_assert_true(ask(service, request, NOW_US, &decision));
    g_assert_false(clv_kms_keeper_reset(folder->state, "replay", 300, NOW_US, &error));
    g_assert_nonnull(strstr(error->message, "another conclave-kms"));
    clv_kms_service_free(service);
    g_clear_error(&error);
    flip(folder, "replay", HEAD_LEN + 3);
    g_assert_true(clv_kms_keeper_reset(folder->state, "replay", 300, NOW_US, &error));
    for (guint i = 0; i < 2; i++) { /* also after one more restart */
        service = start(folder, "", NOW_US);
        g_assert_false(ask(service, request, NOW_US, &decision));
        g_assert_cmpuint(decision.error, ==, 1);
        g_assert_true(g_str_has_prefix(decision.rule, "what was seen before a reset"));
        g_assert_false(ask(service, early, NOW_US + MINUTES(5) - 1000000, &decision));
        clv_kms_service_free(service);
    }
    service = start(folder, "", NOW_US);
    g_assert_true(ask(service, late, NOW_US + MINUTES(5) + 1000000, &decision));
    clv_kms_service_free(service);
}

/* "running" names another boot: the machine was switched off, the last second may be missing. */
static void
test_after_a_power_failure_the_time_before_is_refused(Folder *folder, gconstpointer unused)
{
    gint64 now_us = g_get_real_time();
    g_autoptr(ClvKmsKeeper) keeper = NULL;
    g_autofree char *path = state_file(folder, "running");
    g_autoptr(GError) error = NULL;
    gint64 bar_us;

    keeper = clv_kms_keeper_open(folder->state, 300, now_us, &error);
    g_assert_cmpint(clv_kms_keeper_not_before_us(keeper), ==, 0);
    clv_kms_keeper_close(keeper);
    keeper = clv_kms_keeper_open(folder->state, 300, now_us, &error); /* stopped in order */
    g_assert_cmpint(clv_kms_keeper_not_before_us(keeper), ==, 0);
    clv_kms_keeper_close(keeper);
    g_assert_true(g_file_set_contents(path, "00000000-another-boot 0\n", -1, NULL));
    keeper = clv_kms_keeper_open(folder->state, 300, now_us, &error);
    bar_us = clv_kms_keeper_not_before_us(keeper);
    g_assert_cmpint(bar_us, >, 0);
    g_assert_cmpint(bar_us, <=, now_us + MINUTES(5));
    clv_kms_keeper_close(keeper);
    keeper = clv_kms_keeper_open(folder->state, 300, now_us, &error);
    g_assert_cmpint(clv_kms_keeper_not_before_us(keeper), ==, bar_us);
}

/* ---- the disk is full ---- */

/* Nothing goes into files beyond their present length. */
static void
limit_file_size(rlim_t octets)
{
    struct rlimit limit = {octets, RLIM_INFINITY};

    signal(SIGXFSZ, SIG_IGN);
    g_assert_cmpint(setrlimit(RLIMIT_FSIZE, &limit), ==, 0);
}

static void
test_full_disk_refuses_and_loses_nothing(Folder *folder, gconstpointer unused)
{
    g_autoptr(MikeyRequest) before = alice_asks(NOW_US);
    g_autoptr(MikeyRequest) during = alice_asks(NOW_US + 1);
    g_autoptr(MikeyRequest) after = alice_asks(NOW_US + 2);
    g_autoptr(ClvKmsService) service = start(folder, "", NOW_US);
    g_autofree char *path = state_file(folder, "replay");
    ClvKmsDecision decision;
    struct stat info;

    g_assert_true(ask(service, before, NOW_US, &decision));
    limit_file_size(HEAD_LEN + RECORD_LEN + 20); /* room for half a record */
    g_assert_false(ask(service, during, NOW_US, &decision));
    g_assert_cmpuint(decision.error, ==, 12);
    g_assert_true(g_str_has_prefix(decision.rule, "cannot be remembered: "));
    g_assert_cmpint(stat(path, &info), ==, 0);
    g_assert_cmpint(info.st_size, ==, HEAD_LEN + RECORD_LEN);
    limit_file_size(RLIM_INFINITY);
    g_assert_true(ask(service, after, NOW_US, &decision));
    clv_kms_service_free(service);
    service = start(folder, "", NOW_US);
    g_assert_false(ask(service, before, NOW_US, &decision));
    g_assert_false(ask(service, after, NOW_US, &decision));
}

/* ---- a long run ---- */

static void
count_digest(const guint8 *digest, gint64 expires_us, void *user)
{
    (*(guint *)user)++;
}

static void
test_journal_stays_short_and_whole(Folder *folder, gconstpointer unused)
{
    g_autofree char *path = state_file(folder, "replay");
    g_autoptr(GError) error = NULL;
    ClvKmsKeeper *keeper = clv_kms_keeper_open(folder->state, 300, NOW_US, &error);
    const guint n = 30000;
    guint alive = 0;
    struct stat info;

    for (guint i = 0; i < n; i++) { /* the second half is still alive at the end */
        guint8 digest[32] = {(guint8)i, (guint8)(i >> 8), (guint8)(i >> 16)};

        g_assert_true(clv_kms_keeper_remember(
            keeper, digest, NOW_US + (i < n / 2 ? MINUTES(1) : MINUTES(9)), &error));
    }
    g_assert_true(clv_kms_keeper_tend(keeper, NOW_US + MINUTES(2), &error));
    g_assert_cmpint(stat(path, &info), ==, 0);
    g_assert_cmpint(info.st_size, ==, HEAD_LEN + n / 2 * RECORD_LEN);
    g_assert_cmpuint(info.st_mode & 0777, ==, 0600);
    clv_kms_keeper_close(keeper);
    keeper = clv_kms_keeper_open(folder->state, 300, NOW_US + MINUTES(2), &error);
    g_assert_true(clv_kms_keeper_recall(keeper, NOW_US + MINUTES(2), count_digest, &alive, &error));
    g_assert_cmpuint(alive, ==, n / 2);
    clv_kms_keeper_close(keeper);
}

typedef struct Writer {
    ClvKmsKeeper *keeper;
    guint8 mark;
} Writer;

static gpointer
write_many(gpointer data)
{
    const Writer *writer = data;

    for (guint i = 0; i < 20000; i++) {
        guint8 digest[32] = {writer->mark, (guint8)i, (guint8)(i >> 8)};

        g_assert_true(clv_kms_keeper_remember(writer->keeper, digest, NOW_US + MINUTES(9), NULL));
    }
    return NULL;
}

/* What is written while the journal is made shorter is in the short one. */
static void
test_nothing_is_lost_while_it_gets_shorter(Folder *folder, gconstpointer unused)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(ClvKmsKeeper) keeper = clv_kms_keeper_open(folder->state, 300, NOW_US, &error);
    Writer writers[3];
    GThread *threads[G_N_ELEMENTS(writers)];
    guint alive = 0;

    for (guint i = 0; i < G_N_ELEMENTS(writers); i++) {
        writers[i] = (Writer){keeper, (guint8)(i + 1)};
        threads[i] = g_thread_new("writer", write_many, &writers[i]);
    }
    for (guint i = 0; i < 50; i++)
        g_assert_true(clv_kms_keeper_tend(keeper, NOW_US, &error));
    for (guint i = 0; i < G_N_ELEMENTS(writers); i++)
        g_thread_join(threads[i]);
    g_assert_true(clv_kms_keeper_recall(keeper, NOW_US, count_digest, &alive, &error));
    g_assert_cmpuint(alive, ==, 20000 * G_N_ELEMENTS(writers));
}

static void
test_folder_of_others_is_refused(Folder *folder, gconstpointer unused)
{
    g_assert_cmpint(g_mkdir(folder->state, 0700), ==, 0);
    g_assert_cmpint(g_chmod(folder->state, 0755), ==, 0);
    assert_start_fails(folder, "mode 0755");
}

static void
test_one_process_at_a_time(Folder *folder, gconstpointer unused)
{
    g_autoptr(ClvKmsService) service = start(folder, "", NOW_US);

    assert_start_fails(folder, "another conclave-kms uses it");
}

/* ---- revoked users ---- */

static ClvKmsKeyFile *
keys_with(const char *user, const char *line)
{
    g_autofree char *text = parties_key_file(NULL);
    g_autofree char *head = g_strdup_printf("[user %s]\n", user);
    g_autofree char *with = g_strdup_printf("[user %s]\n%s\n", user, line);
    g_auto(GStrv) parts = g_strsplit(text, head, 2);
    g_autofree char *changed = g_strjoinv(with, parts);
    g_autoptr(GPtrArray) errors = g_ptr_array_new_with_free_func(g_free);
    ClvKmsKeyFile *keys = clv_kms_keyfile_parse("parties", changed, strlen(changed), errors);

    if (errors->len > 0)
        g_error("%s", (const char *)errors->pdata[0]);
    return keys;
}

static const struct Revocation {
    const char *name, *user, *line, *rule;
} revocations[] = {
    {"initiator", "alice", "revoked = yes", "revoked=yes: initiator 'alice'"},
    {"responder", "bob", "revoked = yes", "revoked=yes: this user may not ask for anything"},
    {"initiator-restored", "alice", "tickets-since = 2030-01-01T00:01:00Z",
     "made before tickets-since of initiator 'alice'"},
    {"responder-restored", "bob", "tickets-since = 2030-01-01T00:01:00Z",
     "made before tickets-since of responder 'bob'"},
};

static void
test_revoked(gconstpointer data)
{
    const struct Revocation *revocation = data;
    g_autoptr(ClvKmsService) service = parties_service(NULL);
    g_auto(Call) before = alice_calls(service, NOW_US);
    gint64 later_us = NOW_US + MINUTES(2);
    ClvKmsDecision decision;

    assert_resolves(service, &before, NOW_US);
    clv_kms_service_reload(service, keys_with(revocation->user, revocation->line));
    g_assert_false(bob_resolves(service, &before, later_us, &decision));
    g_assert_cmpuint(decision.error, ==, 7);
    g_assert_true(decision.authenticated);
    g_assert_cmpstr(decision.rule, ==, revocation->rule);
    if (strstr(revocation->name, "restored") != NULL) {
        g_auto(Call) after = alice_calls(service, later_us);

        assert_resolves(service, &after, later_us);
    }
}

static void
test_revoked_user_may_not_ask(void)
{
    g_autoptr(ClvKmsService) service =
        clv_kms_service_new(keys_with("alice", "revoked = yes"), NULL, NULL);
    g_autoptr(MikeyRequest) request = alice_asks(NOW_US);
    ClvKmsDecision decision;

    g_assert_false(ask(service, request, NOW_US, &decision));
    g_assert_cmpuint(decision.error, ==, 7);
}

#define ADD_FOLDER_TEST(name, function)                                                            \
    g_test_add("/keeper/" name, Folder, NULL, folder_open, function, folder_close)

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    ADD_FOLDER_TEST("tickets-survive-a-restart", test_tickets_survive_a_restart);
    ADD_FOLDER_TEST("keys-rotate-and-old-tickets-resolve",
                    test_keys_rotate_and_old_tickets_resolve);
    ADD_FOLDER_TEST("keys-end-with-their-last-ticket", test_keys_end_with_their_last_ticket);
    ADD_FOLDER_TEST("shorter-lifetime-does-not-end-old-keys",
                    test_shorter_lifetime_does_not_end_old_keys);
    ADD_FOLDER_TEST("key-that-cannot-be-kept-is-not-used",
                    test_key_that_cannot_be_kept_is_not_used);
    ADD_FOLDER_TEST("replay-is-refused-after-a-restart", test_replay_is_refused_after_a_restart);
    ADD_FOLDER_TEST("half-a-record-is-cut-off", test_half_a_record_is_cut_off);
    ADD_FOLDER_TEST("every-damaged-octet-is-found", test_every_damaged_octet_is_found);
    ADD_FOLDER_TEST("missing-or-empty-file-is-no-fresh-start",
                    test_missing_or_empty_file_is_no_fresh_start);
    ADD_FOLDER_TEST("reset-refuses-what-may-have-been-seen",
                    test_reset_refuses_what_may_have_been_seen);
    ADD_FOLDER_TEST("after-a-power-failure-the-time-before-is-refused",
                    test_after_a_power_failure_the_time_before_is_refused);
    ADD_FOLDER_TEST("full-disk-refuses-and-loses-nothing",
                    test_full_disk_refuses_and_loses_nothing);
    ADD_FOLDER_TEST("journal-stays-short-and-whole", test_journal_stays_short_and_whole);
    ADD_FOLDER_TEST("nothing-is-lost-while-it-gets-shorter",
                    test_nothing_is_lost_while_it_gets_shorter);
    ADD_FOLDER_TEST("folder-of-others-is-refused", test_folder_of_others_is_refused);
    ADD_FOLDER_TEST("one-process-at-a-time", test_one_process_at_a_time);
    for (guint i = 0; i < G_N_ELEMENTS(revocations); i++) {
        g_autofree char *name = g_strconcat("/keeper/revoked/", revocations[i].name, NULL);

        g_test_add_data_func(name, &revocations[i], test_revoked);
    }
    g_test_add_func("/keeper/revoked/user-may-not-ask", test_revoked_user_may_not_ask);
    return g_test_run();
}
