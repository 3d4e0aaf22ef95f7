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
    MikeyStatus status = ask_by_psk(config, self, env, &q);

    if (status != MIKEY_OK)
        return clv_ticket_refuse(refusal, CLV_CODE_INTERNAL, MIKEY_REFUSED,
                                 "making a RESOLVE_INIT: %s", mikey_status_string(status));
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
    MikeyStatus status = ask_by_psk(config, self, env, &q);

    if (status != MIKEY_OK)
        return clv_ticket_refuse(refusal, CLV_CODE_INTERNAL, MIKEY_REFUSED,
                                 "making a REQUEST_INIT: %s", mikey_status_string(status));
    *out_request = q.request;
    put_question(out, CLV_KMS_TICKET_REQUEST, mikey_request_octets(q.request));
    return TRUE;
}
