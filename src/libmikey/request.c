/* SPDX-License-Identifier: Apache-2.0 */
/* libmikey/request.c - the initiator asks the KMS for a ticket (RFC 6043 section 4.2.1) */
#include <libmikey/exchange-private.h>

#include <string.h>

struct MikeyRequest {
    MikeyMessage *init;
    MikeyKey psk;
};

/* A policy whose parties are filled in from who asks */
static MikeyPolicy
complete(const MikeyPolicy *policy, const MikeyAsker *asker)
{
    MikeyPolicy own = *policy;

    if (own.initiator.data.len == 0)
        own.initiator = asker->self;
    if (own.kms.data.len == 0)
        own.kms = asker->kms;
    own.flags &= ~MIKEY_FLAG_K;
    return own;
}

MikeyStatus
mikey_asker_psk(const MikeyAccount *account, const MikeyEnv *env, MikeyAsker *out_asker)
{
    MikeyAsker asker = {
        .account = account, .self = account->self, .kms = account->kms, .prf = account->prf};
    MikeyStatus status;

    if (account->psk == NULL || account->psk->len == 0 || account->psk->len > MIKEY_MAX_KEY ||
        account->self.data.len == 0 || account->kms.data.len == 0)
        return MIKEY_ARGUMENT;
    status = mikey_suite_check(account->prf, env);
    if (status != MIKEY_OK)
        return status;
    asker.key = *account->psk;
    *out_asker = asker;
    mikey_key_clear(&asker.key);
    return MIKEY_OK;
}

MikeyStatus
mikey_link_asker(MikeyLink *link, const MikeyAsker *asker, uint8_t role)
{
    MikeyStatus status = MIKEY_OK;

    mikey_link_id(link, role, &asker->self);
    if (asker->pk != NULL)
        status = mikey_link_certificates(link, asker->pk);
    mikey_link_id(link, MIKEY_IDR_KMS, &asker->kms);
    return status;
}

MikeyStatus
mikey_fresh(const MikeyEnv *env, uint8_t prf, size_t at_least, MikeyFresh *out_fresh)
{
    uint8_t csb_id[4];
    size_t len = mikey_suite_key_len(prf);
    MikeyStatus status = mikey_env_random(env, csb_id, sizeof(csb_id));
    MikeyReader r = mikey_reader(mikey_bytes(csb_id, sizeof(csb_id)));

    out_fresh->len = len < at_least ? at_least : len;
    out_fresh->csb_id = mikey_read_u32(&r);
    if (status == MIKEY_OK)
        status = mikey_env_random(env, out_fresh->rand, out_fresh->len);
    return status;
}

static MikeyStatus
psk_init_end(MikeyLink *link, const MikeyAsker *asker, const MikeyLabel *label)
{
    MikeyBytes tail[2] = {asker->self.data, asker->kms.data};
    MikeyMessageKeys keys;
    MikeyStatus status = mikey_message_keys(asker->prf, &asker->key, label, &keys);

    if (status != MIKEY_OK)
        return status;
    if (asker->account->psk_id.data.len > 0)
        mikey_link_id(link, MIKEY_IDR_PSK, &asker->account->psk_id);
    status = mikey_message_end(link, asker->prf, &keys.auth, tail, 2);
    mikey_message_keys_clear(&keys);
    return status;
}

MikeyStatus
mikey_kms_init_end(MikeyWriter *w, MikeyLink *link, const MikeyAsker *asker,
                   const MikeyLabel *label, MikeyMessage **out_init)
{
    MikeyStatus status = asker->pk != NULL ? mikey_pk_init_end(link, asker->pk, &asker->key)
                                           : psk_init_end(link, asker, label);

    if (status == MIKEY_OK)
        status = mikey_message_parse(mikey_writer_octets(w), out_init);
    return status;
}

static MikeyStatus
build(const MikeyAsker *asker, const MikeyPolicy *policy, const MikeyEnv *env,
      const MikeyFresh *fresh, MikeyMessage **out_init)
{
    MikeyHeader header = {.type =
                              asker->pk != NULL ? MIKEY_REQUEST_INIT_PK : MIKEY_REQUEST_INIT_PSK,
                          .v = true,
                          .prf = asker->prf,
                          .csb_id = fresh->csb_id,
                          .map_type = MIKEY_MAP_EMPTY};
    MikeyLabel label = {
        .tag = MIKEY_TAG_INIT, .csb_id = fresh->csb_id, .rand_i = {fresh->rand, fresh->len}};
    MikeyWriter w = MIKEY_WRITER_INIT;
    MikeyTimestamp t;
    MikeyLink link;
    MikeyStatus status;

    mikey_message_begin(&w, &header, env, &link, &t);
    mikey_link_rand(&link, MIKEY_RANDR_INITIATOR, label.rand_i);
    status = mikey_link_asker(&link, asker, MIKEY_IDR_INITIATOR);
    mikey_link_next(&link, MIKEY_TP);
    mikey_write_u8(&w, MIKEY_LAST);
    mikey_policy_write(&w, policy);
    if (status == MIKEY_OK)
        status = mikey_kms_init_end(&w, &link, asker, &label, out_init);
    mikey_writer_clear(&w);
    return status;
}

static MikeyStatus
request_new(const MikeyAsker *asker, const MikeyPolicy *policy, const MikeyEnv *env,
            MikeyRequest **out_request)
{
    MikeyPolicy own = complete(policy, asker);
    MikeyFresh fresh;
    MikeyRequest *request;
    MikeyStatus status = mikey_policy_check(&own, false, env);

    if (status == MIKEY_OK)
        status = mikey_fresh(env, asker->prf, asker->key.len, &fresh);
    if (status != MIKEY_OK)
        return status;

    request = mikey_alloc(sizeof(*request));
    if (request == NULL)
        return MIKEY_NO_MEMORY;
    request->psk = asker->key;
    status = build(asker, &own, env, &fresh, &request->init);
    if (status != MIKEY_OK) {
        mikey_request_free(request);
        return status;
    }
    *out_request = request;
    return MIKEY_OK;
}

MikeyStatus
mikey_request_new(const MikeyAccount *account, const MikeyPolicy *policy, const MikeyEnv *env,
                  MikeyRequest **out_request)
{
    MikeyAsker asker;
    MikeyStatus status = mikey_asker_psk(account, env, &asker);

    if (status != MIKEY_OK)
        return status;
    status = request_new(&asker, policy, env, out_request);
    mikey_key_clear(&asker.key);
    return status;
}

MikeyStatus
mikey_request_new_pk(const MikeyPkAccount *account, const MikeyPolicy *policy, const MikeyEnv *env,
                     MikeyRequest **out_request)
{
    MikeyAsker asker;
    MikeyStatus status = mikey_asker_pk(account, env, &asker);

    if (status != MIKEY_OK)
        return status;
    status = request_new(&asker, policy, env, out_request);
    mikey_key_clear(&asker.key);
    return status;
}

MikeyBytes
mikey_request_octets(const MikeyRequest *request)
{
    return mikey_message_octets(request->init);
}

void
mikey_request_free(MikeyRequest *request)
{
    if (request == NULL)
        return;
    mikey_message_free(request->init);
    mikey_release_secret(request, sizeof(*request));
}

MikeyStatus
mikey_kms_answer_open(const MikeyMessage *answer, const MikeyMessage *init, uint8_t type,
                      const MikeyKey *psk, const MikeyEnv *env, MikeyMessageKeys *out_resp,
                      MikeyPeerError *out_error)
{
    MikeyLabel label = mikey_init_label(init);
    MikeyMessageKeys keys;
    MikeyStatus status = mikey_message_keys(init->header.prf, psk, &label, &keys);

    if (status != MIKEY_OK)
        return status;
    status = mikey_answer_check(answer, init, type, env, &keys.auth, out_error);
    label.tag = MIKEY_TAG_RESP;
    if (status == MIKEY_OK)
        status = mikey_message_keys(init->header.prf, psk, &label, &keys);
    if (status == MIKEY_OK)
        status = mikey_answer_verify(answer, init, &keys.auth);
    if (status == MIKEY_OK)
        *out_resp = keys;
    mikey_message_keys_clear(&keys);
    return status;
}

static bool
same_responders(const MikeyPolicy *a, const MikeyPolicy *b)
{
    for (size_t i = 0; i < a->n_responders; i++) {
        if (!mikey_policy_names_responder(b, &a->responders[i]))
            return false;
    }
    return a->n_responders == b->n_responders;
}

/* Is what was granted a ticket for us, and if the KMS says so, the one we asked for? */
static MikeyStatus
check_grant(const MikeyMessage *answer, const MikeyMessage *init, const MikeyEnv *env)
{
    const MikeyPolicy *granted = mikey_message_policy(answer);
    const MikeyPolicy *asked = mikey_message_policy(init);
    MikeyIdentity self = mikey_message_identity(init, MIKEY_IDR_INITIATOR);
    MikeyStatus status = mikey_policy_check(granted, true, env);

    if (status != MIKEY_OK)
        return status;
    if (mikey_ticket_payload(answer->ticket)->initiator_data.len > 0)
        return MIKEY_POLICY_VIOLATED;
    if (granted->initiator.data.len > 0 && !mikey_identity_equal(&granted->initiator, &self))
        return MIKEY_BAD_POLICY;
    if (granted->prf != asked->prf)
        return MIKEY_BAD_POLICY;
    if ((granted->flags & MIKEY_FLAG_K) == 0 &&
        (granted->flags != (asked->flags & ~MIKEY_FLAG_K) || !same_responders(granted, asked)))
        return MIKEY_BAD_POLICY;
    return MIKEY_OK;
}

static MikeyStatus
finish(const MikeyRequest *request, const MikeyMessage *answer, const MikeyEnv *env,
       MikeyGrant **out_grant, MikeyPeerError *out_error)
{
    MikeyMessageKeys resp;
    MikeyKmsKeys keys = {.keys = NULL};
    MikeyStatus status = mikey_kms_answer_open(answer, request->init, MIKEY_REQUEST_RESP,
                                               &request->psk, env, &resp, out_error);

    if (status != MIKEY_OK)
        return status;
    status = check_grant(answer, request->init, env);
    if (status == MIKEY_OK)
        status = mikey_kms_keys_open(answer, &resp, mikey_message_policy(answer), &keys);
    mikey_message_keys_clear(&resp);
    if (status != MIKEY_OK)
        return status;
    status = mikey_grant_new(answer->ticket, &keys.mpki, keys.mpkr.len > 0 ? &keys.mpkr : NULL,
                             keys.keys, keys.n_keys, out_grant);
    mikey_kms_keys_clear(&keys);
    return status;
}

MikeyStatus
mikey_request_finish(const MikeyRequest *request, MikeyBytes answer, const MikeyEnv *env,
                     MikeyGrant **out_grant, MikeyPeerError *out_error)
{
    MikeyMessage *message = NULL;
    MikeyStatus status = mikey_message_parse(answer, &message);

    if (status != MIKEY_OK)
        return status;
    status = finish(request, message, env, out_grant, out_error);
    mikey_message_free(message);
    return status;
}

/* ---- grants ---- */

MikeyStatus
mikey_grant_new(const MikeyTicket *ticket, const MikeyKey *mpki, const MikeyKey *mpkr,
                const MikeyKeyData *keys, size_t n_keys, MikeyGrant **out_grant)
{
    const MikeyPolicy *policy = mikey_ticket_policy(ticket);
    bool forked = (policy->flags & MIKEY_FLAG_I) != 0;
    MikeyGrant *grant;
    MikeyStatus status;

    if (mpki->len != mikey_suite_key_len(policy->prf) || forked != (mpkr != NULL) ||
        (forked && mpkr->len != mpki->len) || n_keys > MIKEY_MAX_KEYS)
        return MIKEY_BAD_KEYS;
    status = mikey_session_keys_check(keys, n_keys, policy->prf);
    if (status != MIKEY_OK)
        return status;
    grant = mikey_alloc(sizeof(*grant));
    if (grant == NULL)
        return MIKEY_NO_MEMORY;
    grant->mpki = *mpki;
    if (forked)
        grant->mpkr = *mpkr;
    status = mikey_ticket_copy(ticket, &grant->ticket);
    if (status == MIKEY_OK)
        status = mikey_keys_copy(keys, n_keys, &grant->keys);
    if (status != MIKEY_OK) {
        mikey_grant_free(grant);
        return status;
    }
    grant->n_keys = n_keys;
    *out_grant = grant;
    return MIKEY_OK;
}

void
mikey_grant_free(MikeyGrant *grant)
{
    if (grant == NULL)
        return;
    mikey_ticket_free(grant->ticket);
    mikey_keys_free(grant->keys, grant->n_keys);
    mikey_release_secret(grant, sizeof(*grant));
}

const MikeyTicket *
mikey_grant_ticket(const MikeyGrant *grant)
{
    return grant->ticket;
}

const MikeyPolicy *
mikey_grant_policy(const MikeyGrant *grant)
{
    return mikey_ticket_policy(grant->ticket);
}

size_t
mikey_grant_n_keys(const MikeyGrant *grant)
{
    return grant->n_keys;
}

const MikeyKeyData *
mikey_grant_key(const MikeyGrant *grant, size_t i)
{
    return i < grant->n_keys ? &grant->keys[i] : NULL;
}

const MikeyKey *
mikey_grant_mpki(const MikeyGrant *grant)
{
    return &grant->mpki;
}

const MikeyKey *
mikey_grant_mpkr(const MikeyGrant *grant)
{
    return grant->mpkr.len > 0 ? &grant->mpkr : NULL;
}
