/* SPDX-License-Identifier: Apache-2.0 */
/* The control socket: commands, and who gets an answer. */
#include <glib.h>
#include <glib/gstdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "admin/control.h"

/* ---- the line ---- */

typedef struct Case {
    const char *line;
    int verb; /* -1: refused */
    gboolean json;
    const char *args[3];
} Case;

static const Case cases[] = {
    {"status", CLV_VERB_STATUS, FALSE, {NULL, NULL}},
    {"json list", CLV_VERB_LIST, TRUE, {NULL, NULL}},
    {"  show sip:x@y  ", CLV_VERB_SHOW, FALSE, {"sip:x@y", NULL}},
    {"kick abc sip:bob@example.org", CLV_VERB_KICK, FALSE, {"abc", "sip:bob@example.org"}},
    {"json end abc", CLV_VERB_END, TRUE, {"abc", NULL}},
    {"reload", CLV_VERB_RELOAD, FALSE, {NULL, NULL}},
    {"kms", CLV_VERB_KMS, FALSE, {NULL, NULL}},
    {"json kms", CLV_VERB_KMS, TRUE, {NULL, NULL}},
    {"policy show sip:x@y", CLV_VERB_POLICY, FALSE, {"show", "sip:x@y", NULL}},
    {"policy show factory adhoc", CLV_VERB_POLICY, FALSE, {"show", "factory", "adhoc"}},
    {"json why sip:bob@example.org x", CLV_VERB_WHY, TRUE, {"sip:bob@example.org", "x", NULL}},
    {"why tel:+4930 x dial", CLV_VERB_WHY, FALSE, {"tel:+4930", "x", "dial"}},
    {"admit x", CLV_VERB_ADMIT, FALSE, {"x", NULL}},
    {"admit x sip:bob@example.org", CLV_VERB_ADMIT, FALSE, {"x", "sip:bob@example.org"}},
    {"lock x", CLV_VERB_LOCK, FALSE, {"x", NULL}},
    {"unlock x", CLV_VERB_UNLOCK, FALSE, {"x", NULL}},
    {"policy show", -1, FALSE, {NULL, NULL}},
    {"why sip:bob@example.org", -1, FALSE, {NULL, NULL}},
    {"why a b c d", -1, FALSE, {NULL, NULL}},
    {"admit", -1, FALSE, {NULL, NULL}},
    {"lock", -1, FALSE, {NULL, NULL}},
    {"lock x now", -1, FALSE, {NULL, NULL}},
    {"kms http://127.0.0.1/", -1, FALSE, {NULL, NULL}},
    {"", -1, FALSE, {NULL, NULL}},
    {"json", -1, FALSE, {NULL, NULL}},
    {"show", -1, FALSE, {NULL, NULL}},
    {"show a b", -1, FALSE, {NULL, NULL}},
    {"kick a", -1, FALSE, {NULL, NULL}},
    {"status\tx", -1, FALSE, {NULL, NULL}},
    {"status\xff", -1, FALSE, {NULL, NULL}},
    {"STATUS", -1, FALSE, {NULL, NULL}},
};

static void
a_command_is_a_verb_and_its_arguments(void)
{
    for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
        const Case *c = &cases[i];
        ClvCommand command = {0};
        g_autoptr(GError) error = NULL;
        gboolean good = clv_command_parse(c->line, strlen(c->line), &command, &error);

        g_test_message("%s", c->line);
        g_assert_cmpint(good, ==, c->verb >= 0);
        g_assert_cmpint(error == NULL, ==, c->verb >= 0);
        if (!good)
            continue;
        g_assert_cmpint(command.verb, ==, c->verb);
        g_assert_cmpint(command.json, ==, c->json);
        g_assert_cmpstr(command.args[0], ==, c->args[0]);
        g_assert_cmpstr(command.args[1], ==, c->args[1]);
        g_assert_cmpstr(command.args[2], ==, c->args[2]);
        clv_command_clear(&command);
    }
}

static void
a_long_line_is_refused(void)
{
    g_autofree char *line = g_strnfill(CLV_CONTROL_MAX_LINE + 1, 'a');
    ClvCommand command;

    g_assert_false(clv_command_parse(line, strlen(line), &command, NULL));
}

/* ---- the socket ---- */

typedef struct Fixture {
    ClvLoop *loop;
    ClvControl *control;
    char *folder, *path;
    guint handled;
} Fixture;

static gboolean
handle(const ClvCommand *command, ClvReport *report, void *user, GError **error)
{
    Fixture *f = user;

    f->handled++;
    if (command->verb == CLV_VERB_END) {
        g_set_error_literal(error, CLV_CONTROL_ERROR, 0, "no such conference");
        return FALSE;
    }
    clv_report_text(report, "answer", "here");
    return TRUE;
}

static void
set_up(Fixture *f, gconstpointer data)
{
    g_autoptr(GError) error = NULL;

    f->loop = clv_loop_new(&error);
    g_assert_no_error(error);
    f->folder = g_dir_make_tmp("control-XXXXXX", &error);
    g_assert_no_error(error);
    f->path = g_build_filename(f->folder, "socket", NULL);
    f->control = clv_control_new(f->loop, f->path, NULL, handle, f, &error);
    g_assert_no_error(error);
}

static void
tear_down(Fixture *f, gconstpointer data)
{
    clv_control_free(f->control);
    g_assert_false(g_file_test(f->path, G_FILE_TEST_EXISTS));
    clv_loop_free(f->loop);
    g_rmdir(f->folder);
    g_free(f->folder);
    g_free(f->path);
}

static int
connect_to(const Fixture *f)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    g_strlcpy(address.sun_path, f->path, sizeof address.sun_path);
    g_assert_cmpint(connect(fd, (struct sockaddr *)&address, sizeof address), ==, 0);
    return fd;
}

static void
quit(void *user)
{
    clv_loop_quit(user);
}

/* Lets the loop run until the peer has been answered. */
static char *
ask(Fixture *f, const char *line)
{
    char reply[4096];
    gsize len = 0;
    ssize_t n;
    int fd = connect_to(f);

    g_assert_cmpint(send(fd, line, strlen(line), 0), ==, (int)strlen(line));
    clv_loop_timer(f->loop, 50, quit, f->loop);
    clv_loop_run(f->loop);
    while ((n = recv(fd, reply + len, sizeof reply - 1 - len, MSG_DONTWAIT)) > 0)
        len += (gsize)n;
    reply[len] = '\0';
    close(fd);
    return g_strdup(reply);
}

static void
a_command_gets_its_report(Fixture *f, gconstpointer data)
{
    g_autofree char *text = ask(f, "status\n");
    g_autofree char *json = ask(f, "json status\n");

    g_assert_cmpstr(text, ==, "ok\nanswer  here\n");
    g_assert_cmpstr(json, ==, "ok\n{\"answer\":\"here\"}\n");
}

static void
a_refusal_is_one_sentence(Fixture *f, gconstpointer data)
{
    g_autofree char *refused = ask(f, "end x\n");
    g_autofree char *unknown = ask(f, "nonsense\n");

    g_assert_cmpstr(refused, ==, "error no such conference\n");
    g_assert_cmpstr(unknown, ==, "error unknown command 'nonsense', see conclavectl --help\n");
    g_assert_cmpuint(f->handled, ==, 1);
}

static void
an_endless_line_is_refused(Fixture *f, gconstpointer data)
{
    g_autofree char *line = g_strnfill(CLV_CONTROL_MAX_LINE * 2, 'x');
    g_autofree char *reply = ask(f, line);

    g_assert_true(g_str_has_prefix(reply, "error ") || *reply == '\0');
    g_assert_cmpuint(f->handled, ==, 0);
}

static void
others_may_not_use_it(Fixture *f, gconstpointer data)
{
    struct stat st;

    g_assert_cmpint(stat(f->path, &st), ==, 0);
    g_assert_cmpint(st.st_mode & 0777, ==, 0600);
}

static void
a_second_server_is_told(Fixture *f, gconstpointer data)
{
    g_autoptr(GError) error = NULL;

    g_assert_null(clv_control_new(f->loop, f->path, NULL, handle, f, &error));
    g_assert_nonnull(strstr(error->message, "another server"));
    g_assert_true(g_file_test(f->path, G_FILE_TEST_EXISTS));
}

#define ADD(name, fn) g_test_add("/control/" name, Fixture, NULL, set_up, fn, tear_down)

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/control/a-command-is-a-verb-and-its-arguments",
                    a_command_is_a_verb_and_its_arguments);
    g_test_add_func("/control/a-long-line-is-refused", a_long_line_is_refused);
    ADD("a-command-gets-its-report", a_command_gets_its_report);
    ADD("a-refusal-is-one-sentence", a_refusal_is_one_sentence);
    ADD("an-endless-line-is-refused", an_endless_line_is_refused);
    ADD("others-may-not-use-it", others_may_not_use_it);
    ADD("a-second-server-is-told", a_second_server_is_told);
    return g_test_run();
}
