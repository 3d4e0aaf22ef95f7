/* SPDX-License-Identifier: Apache-2.0 */
/* Has every outcome a status line that the outside may see? */
#include "config.h"

#include "sip/sip.h"

#include <string.h>

static void
every_code_has_a_line(void)
{
    for (int code = 0; code < CLV_N_CODES; code++) {
        const ClvSipStatus *s = clv_sip_status((ClvCode)code);

        g_assert_cmpuint(s->status, >=, 200);
        g_assert_cmpuint(s->status, <, 600);
        g_assert_nonnull(s->phrase);
        g_assert_cmpint(s->warning != 0, ==, s->warning_text != NULL);
        g_assert_cmpint(s->also != 0, ==, s->also_text != NULL);
    }
}

static void
codes_keep_their_promise(void)
{
    static const struct {
        ClvCode code;
        guint status, warning, also;
        gboolean retry_after;
    } cases[] = {
        {CLV_CODE_OK, 200, 0, 0, FALSE},
        {CLV_CODE_BAD_SDP, 400, 0, 0, FALSE},
        {CLV_CODE_UNAUTHENTICATED, 401, 0, 0, FALSE},
        {CLV_CODE_FORBIDDEN, 403, 0, 0, FALSE},
        {CLV_CODE_INTERVAL_TOO_BRIEF, 422, 0, 0, FALSE},
        {CLV_CODE_ANONYMITY, 433, 0, 0, FALSE},
        {CLV_CODE_FULL, 486, 0, 0, FALSE},
        {CLV_CODE_UNSECURED, 488, 399, 305, FALSE},
        {CLV_CODE_NO_COMMON_MEDIA, 488, 305, 0, FALSE},
        {CLV_CODE_KEYMGMT_UNACCEPTABLE, 488, 306, 0, FALSE},
        {CLV_CODE_KEYMGMT_FAILED, 488, 306, 0, FALSE},
        {CLV_CODE_TICKET_REFUSED, 488, 399, 0, FALSE},
        {CLV_CODE_GLARE, 491, 0, 0, FALSE},
        {CLV_CODE_RETRY_LATER, 500, 0, 0, TRUE},
        {CLV_CODE_OVERLOAD, 503, 0, 0, TRUE},
        {CLV_CODE_KMS_DOWN, 503, 0, 0, TRUE},
        {CLV_CODE_KMS_TIMEOUT, 504, 0, 0, FALSE},
    };

    for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
        const ClvSipStatus *s = clv_sip_status(cases[i].code);

        g_assert_cmpuint(s->status, ==, cases[i].status);
        g_assert_cmpuint(s->warning, ==, cases[i].warning);
        g_assert_cmpuint(s->also, ==, cases[i].also);
        g_assert_cmpint(s->retry_after_s > 0, ==, cases[i].retry_after);
    }
    g_assert_cmpstr(clv_sip_status(CLV_CODE_ANONYMITY)->phrase, ==, "Anonymity Disallowed");
    g_assert_cmpuint(clv_sip_status(CLV_CODE_RETRY_LATER)->retry_after_s, <=, 10);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/status/every-code-has-a-line", every_code_has_a_line);
    g_test_add_func("/status/codes-keep-their-promise", codes_keep_their_promise);
    return g_test_run();
}
