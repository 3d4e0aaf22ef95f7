/* SPDX-License-Identifier: Apache-2.0 */
/* mikey-ticket/asking.c - how does this server ask the KMS, and prove who is asking? */
#include "config.h"

#include "ticket-private.h"

/* One of the two is set; the other is NULL. */
typedef struct Question {
    const MikeyOffer *offer;   /* a ticket to be resolved */
    const MikeyPolicy *policy; /* a ticket that is wanted */
    MikeyResolve *resolve;
    MikeyRequest *request;
} Question;

static MikeyStatus
ask_by_psk(const ClvKeymgmtConfig *config, const char *self, const MikeyEnv *env, Question *q)
{
    MikeyKey psk = {.len = 0};
    MikeyAccount account = {
        .psk = &psk,
        .psk_id = mikey_identity_bytes(mikey_bytes(config->psk_id, config->psk_id_len)),
        .self = mikey_identity_uri(self),
        .kms = mikey_identity_uri(config->kms_uri),
        .prf = MIKEY_PRF_HMAC_SHA_256,
    };
    MikeyStatus status = mikey_key_set(&psk, config->psk, config->psk_len);

    if (status == MIKEY_OK)
        status = q->offer != NULL ? mikey_resolve_new(q->offer, &account, env, &q->resolve)
                                  : mikey_request_new(&account, q->policy, env, &q->request);
    mikey_key_clear(&psk);
    return status;
}

static MikeyStatus
ask_by_papers(const ClvKeymgmtConfig *config, const char *self, const MikeyEnv *env, Question *q)
{
    const ClvPapers *papers = config->papers;
    MikeyPkAccount account = {
        .key = papers->key,
        .chain = papers->chain,
        .n_chain = papers->n_chain,
        .sign_type = MIKEY_SIGN_RSA_PKCS1,
        .kms_certificate = papers->peer,
        .self = mikey_identity_uri(self),
        .kms = mikey_identity_uri(config->kms_uri),
        .prf = MIKEY_PRF_HMAC_SHA_256,
    };
    /* each time: certificates end, and so do lists of those that are revoked */
    MikeyStatus status = mikey_certificate_verify(papers->trust, papers->peer, NULL, 0,
                                                  &account.kms, MIKEY_USE_ENVELOPE, env, NULL);

    if (status != MIKEY_OK)
        return status;
    return q->offer != NULL ? mikey_resolve_new_pk(q->offer, &account, env, &q->resolve)
                            : mikey_request_new_pk(&account, q->policy, env, &q->request);
}

static gboolean
ask(const ClvKeymgmtConfig *config, const char *self, const MikeyEnv *env, Question *q,
    TicketRefusal *refusal)
{
    MikeyStatus status = config->papers != NULL ? ask_by_papers(config, self, env, q)
                                                : ask_by_psk(config, self, env, q);

    if (status == MIKEY_OK)
        return TRUE;
    if (status == MIKEY_BAD_CERTIFICATE || status == MIKEY_BAD_IDENTITY)
        return clv_ticket_refuse(refusal, CLV_CODE_INTERNAL, MIKEY_REFUSED,
                                 "ALARM: the certificate of the KMS is not good for %s: %s",
                                 config->kms_uri, mikey_status_string(status));
    return clv_ticket_refuse(refusal, CLV_CODE_INTERNAL, MIKEY_REFUSED, "making a %s: %s",
                             q->offer != NULL ? "RESOLVE_INIT" : "REQUEST_INIT",
                             mikey_status_string(status));
}

static void
put_question(ClvKeymgmtOutput *out, ClvKmsRequest kind, MikeyBytes octets)
{
    out->kms_request = kind;
    out->bytes = g_byte_array_new();
    g_byte_array_append(out->bytes, octets.data, (guint)octets.len);
}

gboolean
clv_ticket_ask_resolve(const ClvKeymgmtConfig *config, const char *self, const MikeyOffer *offer,
                       const MikeyEnv *env, MikeyResolve **out_resolve, ClvKeymgmtOutput *out,
                       TicketRefusal *refusal)
{
    Question q = {.offer = offer};

    if (!ask(config, self, env, &q, refusal))
        return FALSE;
    *out_resolve = q.resolve;
    put_question(out, CLV_KMS_TICKET_RESOLVE, mikey_resolve_octets(q.resolve));
    return TRUE;
}

gboolean
clv_ticket_ask_request(const ClvKeymgmtConfig *config, const char *self, const MikeyPolicy *policy,
                       const MikeyEnv *env, MikeyRequest **out_request, ClvKeymgmtOutput *out,
                       TicketRefusal *refusal)
{
    Question q = {.policy = policy};

    if (!ask(config, self, env, &q, refusal))
        return FALSE;
    *out_request = q.request;
    put_question(out, CLV_KMS_TICKET_REQUEST, mikey_request_octets(q.request));
    return TRUE;
}
