/* SPDX-License-Identifier: Apache-2.0 */
/* ua/renew.c - commands that change keys, or who may be in, by another offer in the call */
#include "ua/session-private.h"

#include <string.h>

static gboolean
has_media(const Session *s)
{
    return s->stream != NULL;
}

static guint32
ssrc_of(const Session *s)
{
    return s->stream != NULL ? clv_ua_stream_ssrc(s->stream) : 0;
}

/* What could not even be offered has failed. */
static void
offer_or_fail(Session *s, gboolean made, const char *what, GError *error)
{
    if (made) {
        clv_ua_reoffer(s, CHANGE_KEYS, what, s->options->allow_method == 1);
        return;
    }
    s->n_unchanged++;
    clv_ua_fail_keys(s, error);
}

static gboolean
is_free(Session *s)
{
    if (s->change == CHANGE_NONE)
        return TRUE;
    clv_ua_fail(s, CLV_UA_EXIT_FAILED);
    clv_ua_tell_problem(s, "reinvite-failed", "another offer is under way");
    return FALSE;
}

void
clv_ua_renew_allow(Session *s, const char *text)
{
    g_auto(GStrv) uris = g_strsplit(text, ",", 256);
    GError *error = NULL;

    if (is_free(s))
        offer_or_fail(s,
                      clv_ua_keys_renew(s->keys, (const char *const *)uris, "allow", has_media(s),
                                        ssrc_of(s), &error),
                      "allow", error);
}

void
clv_ua_renew_keys(Session *s, const char *unused)
{
    GError *error = NULL;

    if (is_free(s))
        offer_or_fail(s, clv_ua_keys_renew(s->keys, NULL, "join", has_media(s), ssrc_of(s), &error),
                      "rekey", error);
}

void
clv_ua_renew_update(Session *s, const char *unused)
{
    GError *error = NULL;

    if (is_free(s))
        offer_or_fail(s, clv_ua_keys_update(s->keys, has_media(s), ssrc_of(s), &error), "update",
                      error);
}
