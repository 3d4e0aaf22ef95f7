/* SPDX-License-Identifier: Apache-2.0 */
/* ua/main.c - conclave-ua: the verb decides */
#include "config.h"

#include "base/secret.h"
#include "ua/decode.h"
#include "ua/options.h"
#include "ua/report.h"
#include "ua/session.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <sofia-sip/su_log.h>

#define SECURE_HEAP (1u << 16)
#define MAX_TEXT (16u << 20)

/* Sofia's remarks are of no use to a tester; what matters comes as an event. */
static void
drop_log(void *stream, char const *format, va_list args)
{
}

static gboolean
read_stream(FILE *in, GString *out)
{
    char chunk[4096];
    size_t n;

    while ((n = fread(chunk, 1, sizeof chunk, in)) > 0 && out->len < MAX_TEXT)
        g_string_append_len(out, chunk, (gssize)n);
    return ferror(in) == 0;
}

/* Every message begins with an octet 1, so its base64 with an A; a line of SDP has a colon. A path
 * that leads nowhere is mostly base64, too, and whoever mistyped it wants to hear just that. */
static gboolean
is_meant_as_message(const char *what)
{
    return what[0] == 'A' || strpbrk(what, ": \n") != NULL;
}

/* The operand is "-", a file, or the message itself. */
static ClvUaExit
decode(const ClvUaOptions *options)
{
    g_autoptr(GString) text = g_string_new(NULL);
    const char *what = options->operand != NULL ? options->operand : "-";
    gboolean good = TRUE;

    if (strcmp(what, "-") == 0) {
        good = read_stream(stdin, text);
    } else if (g_file_test(what, G_FILE_TEST_EXISTS) || !is_meant_as_message(what)) {
        FILE *in = fopen(what, "rbe");

        good = in != NULL && read_stream(in, text);
        if (in != NULL)
            fclose(in);
    } else {
        g_string_append(text, what);
    }
    if (!good) {
        fprintf(stderr, "conclave-ua: %s cannot be read: %s\n", what, g_strerror(errno));
        return CLV_UA_EXIT_FAILED;
    }
    return clv_ua_decode(text->str, text->len, options->json, stdout) ? CLV_UA_EXIT_OK
                                                                      : CLV_UA_EXIT_FAILED;
}

static ClvUaExit
print_help(void)
{
    g_autofree char *text = clv_ua_options_help();

    fputs(text, stdout);
    return CLV_UA_EXIT_OK;
}

static ClvUaExit
run(const ClvUaOptions *options)
{
    ClvUaReport *report = clv_ua_report_new(stdout, options->json, options->quiet);
    ClvUaExit status;

    clv_secret_init(SECURE_HEAP, NULL); /* memory that cannot be locked is no reason to stop */
    su_log_redirect(NULL, drop_log, NULL);
    status = options->verb == CLV_UA_TICKET ? clv_ua_session_ticket(options, report)
                                            : clv_ua_session_run(options, report);
    clv_ua_report_free(report);
    return status;
}

int
main(int argc, char **argv)
{
    g_autoptr(GError) error = NULL;
    ClvUaOptions *options = clv_ua_options_parse(argc, (const char *const *)(gpointer)argv, &error);
    ClvUaExit status;

    if (options == NULL) {
        fprintf(stderr, "conclave-ua: %s\n", error->message);
        return CLV_UA_EXIT_USAGE;
    }
    switch (options->verb) {
    case CLV_UA_HELP:
        status = print_help();
        break;
    case CLV_UA_VERSION:
        printf("conclave-ua %s\n", PACKAGE_VERSION);
        status = CLV_UA_EXIT_OK;
        break;
    case CLV_UA_DECODE:
        status = decode(options);
        break;
    default:
        status = run(options);
        break;
    }
    clv_ua_options_free(options);
    return status;
}
