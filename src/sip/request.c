/* SPDX-License-Identifier: Apache-2.0 */
/* sip/request.c - who sends this request, and what does he say of himself? */
#include "config.h"

#include "sip/sip-private.h"

#include <string.h>

#include "base/identity.h"
#include "base/log.h"

#define MSG_CALL_REFUSED "5a0b1f4d2f0c4c0a9d6e7d1b0c1a2f01"
#define MAX_ASSERTED 8

void
clv_request_clear(Request *rq)
{
    g_free(rq->uri);
    g_free(rq->from);
    g_free(rq->display);
    g_free(rq->identity);
    if (rq->identities != NULL)
        g_ptr_array_unref(rq->identities);
    clv_sdp_free(rq->offer);
    if (rq->list != NULL)
        g_ptr_array_unref(rq->list);
}

gboolean
clv_request_refuse(Request *rq, ClvCode code)
{
    clv_sip_reply_code(rq->sip, rq->irq, code, 0, NULL);
    return TRUE;
}

const char *
clv_request_header(const sip_t *msg, const char *name)
{
    for (const sip_unknown_t *u = msg->sip_unknown; u != NULL; u = u->un_next) {
        if (u->un_value != NULL && g_ascii_strcasecmp(u->un_name, name) == 0)
            return u->un_value;
    }
    return NULL;
}

char *
clv_sip_canonical_url(const url_t *url)
{
    char text[CLV_IDENTITY_MAX_BYTES];
    issize_t n = url_e(text, sizeof(text), url);

    return n > 0 && n < (issize_t)sizeof(text) ? clv_identity_canonical(text, -1) : NULL;
}

/* Step 4: assertions of trusted peers count, those of others are not even read. */
static void
read_assertion(Request *rq)
{
    const sip_p_asserted_identity_t *paid = sip_p_asserted_identity(rq->msg);

    for (guint i = 0; paid != NULL && i < MAX_ASSERTED; paid = paid->paid_next, i++) {
        char *identity = clv_sip_canonical_url(paid->paid_url);

        if (identity == NULL)
            continue;
        if (rq->identities == NULL)
            rq->identities = g_ptr_array_new_with_free_func(g_free);
        g_ptr_array_add(rq->identities, identity);
    }
    if (rq->identities == NULL)
        return;
    rq->identity = g_strdup(g_ptr_array_index(rq->identities, 0));
    g_ptr_array_add(rq->identities, NULL);
    rq->proof = CLV_PROOF_ASSERTED;
}

gboolean
clv_request_is_unproven(Request *rq)
{
    const sip_authorization_t *au;
    const char *identity = NULL;
    g_autofree char *pii = NULL;
    char uri[CLV_IDENTITY_MAX_BYTES];
    gboolean stale = FALSE, tried = FALSE;

    if (rq->peer.trusted)
        read_assertion(rq);
    if (url_e(uri, sizeof(uri), rq->msg->sip_request->rq_url) >= (issize_t)sizeof(uri))
        return clv_request_refuse(rq, CLV_CODE_BAD_REQUEST);

    for (au = rq->msg->sip_authorization; au != NULL && rq->proof == CLV_PROOF_NONE;
         au = au->au_next) {
        const char *const *params = (const char *const *)au->au_params;
        ClvDigestVerdict verdict;

        if (g_ascii_strcasecmp(au->au_scheme, "Digest") != 0 ||
            !clv_digest_is_ours(rq->sip->digest, params))
            continue;
        tried = TRUE;
        verdict = clv_digest_check(rq->sip->digest, params, rq->msg->sip_request->rq_method_name,
                                   uri, g_get_monotonic_time(), &identity);
        stale |= verdict == CLV_DIGEST_STALE;
        if (verdict == CLV_DIGEST_OK) {
            rq->identity = g_strdup(identity);
            rq->proof = CLV_PROOF_DIGEST;
        }
    }
    if (!tried || rq->proof != CLV_PROOF_NONE)
        return FALSE;

    pii = clv_pii(rq->peer.text);
    clv_log(stale ? CLV_LOG_INFO : CLV_LOG_NOTICE, NULL, MSG_CALL_REFUSED, "%s from %s refused: %s",
            rq->msg->sip_request->rq_method == sip_method_invite ? "call" : "request", pii,
            stale ? "digest nonce is stale" : "wrong digest credentials");
    clv_sip_challenge(rq->sip, rq->irq, stale);
    return TRUE;
}

/* A display name for people: unquoted, valid UTF-8, printable, short. */
char *
clv_sip_clean_display(const char *text)
{
    g_autofree char *valid = NULL;
    GString *out;
    gsize n = 0;

    if (text == NULL)
        return NULL;

    valid = g_utf8_make_valid(text, -1);
    out = g_string_new(NULL);
    for (const char *p = valid; *p != '\0' && n < 64; p = g_utf8_next_char(p)) {
        if (*p == '"')
            continue;
        if (*p == '\\' && p[1] != '\0')
            p++;
        if (!g_unichar_isprint(g_utf8_get_char(p)))
            continue;
        g_string_append_unichar(out, g_utf8_get_char(p));
        n++;
    }
    g_strstrip(out->str);
    if (out->str[0] == '\0')
        return g_string_free(out, TRUE), NULL;
    return g_string_free(out, FALSE);
}

gboolean
clv_request_wants_privacy(const sip_t *msg)
{
    static const char *const values[] = {"id", "user", "header"};
    const sip_privacy_t *privacy = msg->sip_privacy;

    for (gsize i = 0;
         privacy != NULL && privacy->priv_values != NULL && privacy->priv_values[i] != NULL; i++) {
        for (gsize k = 0; k < G_N_ELEMENTS(values); k++) {
            if (g_ascii_strcasecmp(privacy->priv_values[i], values[k]) == 0)
                return TRUE;
        }
    }
    return FALSE;
}
