/* SPDX-License-Identifier: Apache-2.0 */
/* libmikey/kms.c - granting and resolving tickets; the inside of the base ticket
 * (RFC 6043 section 4.2 and appendix A) */
#include <libmikey/exchange-private.h>
#include <libmikey/kms.h>

#include <openssl/crypto.h>
#include <string.h>

#define SPI_LEN 4u
#define KEYS_SIZE (MIKEY_MAX_KEYS * sizeof(MikeyKeyData))

struct MikeyQuery {
    MikeyMessage *init;
    bool authenticated;
    MikeyKey psk;
    MikeyKey init_auth;
    MikeyTicketSecrets *secrets; /* once the ticket is opened */
};

void
mikey_ticket_secrets_clear(MikeyTicketSecrets *secrets)
{
    OPENSSL_cleanse(secrets, sizeof(*secrets));
}

/* ---- the base ticket ---- */

typedef struct TicketData {
    MikeyTimestamp t;
    MikeyBytes rand;
    MikeyKemac kemac;
    MikeyV v;
} TicketData;

enum { HAS_T = 1, HAS_RAND = 2, HAS_KEMAC = 4, HAS_PSK_ID = 8, HAS_V = 16, HAS_ALL = 23 };

static unsigned
take_part(const MikeyPayload *p, TicketData *data, MikeyBytes *psk_id)
{
    switch (p->number) {
    case MIKEY_T:
        data->t = p->u.timestamp;
        return HAS_T;
    case MIKEY_RAND:
        data->rand = p->u.rand.rand;
        return HAS_RAND;
    case MIKEY_KEMAC:
        data->kemac = p->u.kemac;
        return HAS_KEMAC;
    case MIKEY_V:
        data->v = p->u.v;
        return HAS_V;
    case MIKEY_IDR:
        if (p->u.id.role != MIKEY_IDR_PSK)
            return 0;
        *psk_id = p->u.id.data;
        return HAS_PSK_ID;
    default:
        return 0;
    }
}

/* Lays Ticket Data open: a header that has no number, then a chain that ends in V */
static MikeyStatus
ticket_data_read(MikeyBytes octets, TicketData *out, MikeyBytes *out_psk_id)
{
    MikeyReader r = mikey_reader(octets);
    uint8_t first = mikey_read_u8(&r);
    TicketData data = {.rand = {NULL, 0}};
    MikeyBytes psk_id = {NULL, 0};
    unsigned seen = 0;
    MikeyChain chain;
    MikeyPayload p;

    mikey_read_lv16(&r);
    if (r.bad)
        return MIKEY_TRUNCATED;
    chain = mikey_chain(r, first, MIKEY_MAX_PAYLOADS);
    while (mikey_chain_next(&chain, &p)) {
        unsigned part = take_part(&p, &data, &psk_id);

        if ((seen & part) != 0)
            return MIKEY_DUPLICATE;
        if (part == HAS_V && p.next != MIKEY_LAST)
            return MIKEY_MALFORMED;
        seen |= part;
    }
    if (chain.status != MIKEY_OK)
        return chain.status;
    if ((seen & HAS_ALL) != HAS_ALL)
        return MIKEY_MISSING;
    *out = data;
    *out_psk_id = psk_id;
    return MIKEY_OK;
}

static MikeyStatus
derive_mpks(uint8_t prf, MikeyTicketSecrets *secrets, MikeyBytes rand)
{
    MikeyLabel label = {.constant = MIKEY_C_MPKI, .tag = MIKEY_TAG_MPK, .rand = rand};
    MikeyStatus status = mikey_derive(prf, &secrets->mpk, &label, secrets->mpk.len, &secrets->mpki);

    label.constant = MIKEY_C_MPKR;
    if (status == MIKEY_OK)
        status = mikey_derive(prf, &secrets->mpk, &label, secrets->mpk.len, &secrets->mpkr);
    return status;
}

/* KEMAC of a ticket: MPK, then session keys */
static MikeyStatus
ticket_keys_seal(MikeyLink *link, uint8_t prf, const MikeyTicketSecrets *secrets,
                 const MikeyMessageKeys *keys, const MikeyTimestamp *t)
{
    MikeyKeyData *all;
    size_t n = 1 + secrets->n_keys;
    MikeyStatus status;

    if (n > MIKEY_MAX_KEYS)
        return MIKEY_TOO_LARGE;
    all = mikey_alloc(KEYS_SIZE);
    if (all == NULL)
        return MIKEY_NO_MEMORY;
    all[0].type = MIKEY_KEY_MPK;
    all[0].key = secrets->mpk;
    all[0].kv = MIKEY_KV_SPI;
    all[0].spi_len = SPI_LEN;
    memcpy(all + 1, secrets->keys, secrets->n_keys * sizeof(*all));
    status = mikey_link_session_keys(link, prf, keys, MIKEY_TICKET_CSB_ID, t, all, n);
    mikey_release_secret(all, KEYS_SIZE);
    return status;
}

/* Ticket Data up to its V; @w stands right behind TP data */
static MikeyStatus
ticket_data_write(MikeyWriter *w, uint8_t prf, const MikeyTicketSecrets *secrets,
                  const MikeyMessageKeys *keys, MikeyBytes rand, MikeyBytes tpk_id,
                  const MikeyEnv *env)
{
    MikeyPayload p = {.number = MIKEY_RAND, .u.rand = {.rand = rand}};
    uint8_t alg = (uint8_t)mikey_suite_mac(prf);
    size_t len_at = w->len;
    MikeyIdentity id = mikey_identity_bytes(tpk_id);
    MikeyTimestamp t;
    MikeyLink link;
    MikeyReader covered;
    MikeyBytes part;
    uint8_t mac[32];
    size_t len = 0;
    MikeyStatus status;

    mikey_write_u16(w, 0);
    link = mikey_link(w, w->len);
    mikey_write_u8(w, MIKEY_LAST); /* THDR */
    mikey_write_u16(w, 0);
    mikey_link_t(&link, env->now, &t);
    mikey_link_payload(&link, &p);
    status = ticket_keys_seal(&link, prf, secrets, keys, &t);
    if (status != MIKEY_OK)
        return status;
    if (tpk_id.len > 0)
        mikey_link_id(&link, MIKEY_IDR_PSK, &id);
    mikey_link_next(&link, MIKEY_V);
    mikey_write_u8(w, MIKEY_LAST);
    mikey_write_u8(w, alg);
    if (w->bad != MIKEY_OK)
        return w->bad;
    /* the length that is covered is the final one */
    mikey_write_u16_at(w, len_at, (uint16_t)(w->len - len_at - 2 + mikey_mac_len(alg)));
    covered = mikey_reader(mikey_writer_octets(w));
    mikey_read_u8(&covered);
    part = mikey_read_bytes(&covered, covered.left);
    status = mikey_mac(alg, &keys->auth, &part, 1, mac, &len);
    if (status != MIKEY_OK)
        return status;
    mikey_write_bytes(w, mikey_bytes(mac, len));
    return w->bad;
}

static MikeyStatus
seal(MikeyWriter *w, const MikeyPolicy *policy, MikeyTicketSecrets *secrets, const MikeyKey *tpk,
     MikeyBytes tpk_id, const MikeyEnv *env)
{
    uint8_t rand[MIKEY_MAX_KEY];
    size_t key_len = mikey_suite_key_len(policy->prf);
    size_t rand_len = key_len < tpk->len ? tpk->len : key_len;
    MikeyLabel label = {.tag = MIKEY_TAG_TICKET, .rand = {rand, rand_len}};
    MikeyMessageKeys keys;
    MikeyStatus status = mikey_env_random(env, rand, rand_len);

    if (status == MIKEY_OK)
        status = derive_mpks(policy->prf, secrets, label.rand);
    if (status == MIKEY_OK)
        status = mikey_message_keys(policy->prf, tpk, &label, &keys);
    if (status != MIKEY_OK)
        return status;
    mikey_write_u8(w, MIKEY_LAST);
    mikey_policy_write(w, policy);
    status = ticket_data_write(w, policy->prf, secrets, &keys, label.rand, tpk_id, env);
    mikey_message_keys_clear(&keys);
    mikey_write_u16(w, 0); /* no Initiator Data yet */
    return status != MIKEY_OK ? status : w->bad;
}

static bool
tpk_is_usable(const MikeyKey *tpk)
{
    return tpk != NULL && tpk->len >= MIKEY_MIN_RAND && tpk->len <= MIKEY_MAX_KEY;
}

MikeyStatus
mikey_ticket_seal(const MikeyPolicy *policy, MikeyTicketSecrets *secrets, const MikeyKey *tpk,
                  MikeyBytes tpk_id, const MikeyEnv *env, MikeyTicket **out_ticket)
{
    MikeyWriter w = MIKEY_WRITER_INIT;
    MikeyStatus status;

    if (!tpk_is_usable(tpk) || secrets->mpk.len != mikey_suite_key_len(policy->prf) ||
        secrets->n_keys >= MIKEY_MAX_KEYS)
        return MIKEY_ARGUMENT;
    status = mikey_session_keys_check(secrets->keys, secrets->n_keys, policy->prf);
    if (status == MIKEY_OK)
        status = seal(&w, policy, secrets, tpk, tpk_id, env);
    if (status == MIKEY_OK)
        status = mikey_ticket_parse(mikey_writer_octets(&w), out_ticket);
    mikey_writer_clear(&w);
    return status;
}

/* V of the ticket over everything between Next payload and Initiator Data, itself left out */
static MikeyStatus
verify_ticket(const MikeyTicket *ticket, const TicketData *data, const MikeyKey *auth)
{
    MikeyReader r = mikey_reader(mikey_ticket_octets(ticket));
    size_t behind = 2 + mikey_ticket_payload(ticket)->initiator_data.len;
    MikeyBytes covered;
    MikeyStatus status;

    mikey_read_u8(&r);
    covered = mikey_read_bytes(&r, r.left - behind - data->v.mac.len);
    status = mikey_mac_verify(&data->v, auth, &covered, 1);
    return status == MIKEY_BAD_MAC ? MIKEY_BAD_TICKET_MAC : status;
}

static MikeyStatus
sort_ticket_keys(const MikeyKeyData *all, size_t n_all, uint8_t prf, MikeyTicketSecrets *secrets)
{
    MikeyStatus status;

    if (n_all == 0 || all[0].type != MIKEY_KEY_MPK || all[0].key.len != mikey_suite_key_len(prf))
        return MIKEY_BAD_KEYS;
    status = mikey_session_keys_check(all + 1, n_all - 1, prf);
    if (status != MIKEY_OK)
        return status;
    secrets->mpk = all[0].key;
    secrets->n_keys = n_all - 1;
    memcpy(secrets->keys, all + 1, (n_all - 1) * sizeof(*all));
    return MIKEY_OK;
}

static MikeyStatus
open_ticket_keys(const TicketData *data, uint8_t prf, const MikeyMessageKeys *keys,
                 MikeyTicketSecrets *secrets)
{
    MikeyKeyData *all = mikey_alloc(KEYS_SIZE);
    size_t n_all = 0;
    MikeyStatus status;

    if (all == NULL)
        return MIKEY_NO_MEMORY;
    status = mikey_keys_open(&data->kemac, keys, MIKEY_TICKET_CSB_ID, &data->t, all, &n_all);
    if (status == MIKEY_OK)
        status = sort_ticket_keys(all, n_all, prf, secrets);
    mikey_release_secret(all, KEYS_SIZE);
    if (status == MIKEY_OK)
        status = derive_mpks(prf, secrets, data->rand);
    return status;
}

static MikeyStatus
check_ticket_data(const TicketData *data, uint8_t prf, const MikeyKey *tpk)
{
    if (data->v.alg != mikey_suite_mac(prf) || data->kemac.mac_alg != MIKEY_MAC_NULL)
        return MIKEY_BAD_MAC_ALG;
    if (data->kemac.encr_alg != mikey_suite_encr(prf))
        return MIKEY_BAD_ENCR_ALG;
    if (data->t.type == MIKEY_TS_COUNTER)
        return MIKEY_BAD_TIME;
    if (data->rand.len < tpk->len || data->rand.len < mikey_suite_key_len(prf))
        return MIKEY_SHORT_RAND;
    return MIKEY_OK;
}

MikeyStatus
mikey_ticket_open(const MikeyTicket *ticket, const MikeyKey *tpk, MikeyTicketSecrets *out_secrets)
{
    const MikeyTicketPayload *payload = mikey_ticket_payload(ticket);
    MikeyLabel label = {.tag = MIKEY_TAG_TICKET};
    MikeyBytes psk_id;
    TicketData data;
    MikeyMessageKeys keys;
    MikeyStatus status;

    if (!tpk_is_usable(tpk))
        return MIKEY_ARGUMENT;
    if (payload->ticket_type != MIKEY_TICKET_BASE)
        return MIKEY_BAD_TICKET;
    status = ticket_data_read(payload->ticket_data, &data, &psk_id);
    if (status == MIKEY_OK)
        status = check_ticket_data(&data, payload->prf, tpk);
    if (status != MIKEY_OK)
        return status;
    label.rand = data.rand;
    status = mikey_message_keys(payload->prf, tpk, &label, &keys);
    if (status != MIKEY_OK)
        return status;
    status = verify_ticket(ticket, &data, &keys.auth);
    if (status == MIKEY_OK)
        status = open_ticket_keys(&data, payload->prf, &keys, out_secrets);
    mikey_message_keys_clear(&keys);
    return status;
}

MikeyStatus
mikey_ticket_verify_initiator(const MikeyTicket *ticket, const MikeyKey *mpkr)
{
    const MikeyTicketPayload *payload = mikey_ticket_payload(ticket);
    MikeyLabel label = {.constant = MIKEY_C_AUTH, .tag = MIKEY_TAG_INITIATOR_DATA};
    MikeyInitiatorData data;
    MikeyKey auth;
    MikeyStatus status = mikey_initiator_data_check(ticket);

    if (status != MIKEY_OK || (payload->flags & MIKEY_FLAG_I) == 0)
        return status;
    status = mikey_initiator_data_read(payload->initiator_data, &data);
    if (status == MIKEY_OK)
        status =
            mikey_derive(payload->prf, mpkr, &label, mikey_suite_auth_len(payload->prf), &auth);
    if (status != MIKEY_OK)
        return status;
    status = mikey_mac_verify(&data.vr, &auth, &data.covered, 1);
    mikey_key_clear(&auth);
    return status == MIKEY_BAD_MAC ? MIKEY_BAD_INITIATOR_DATA : status;
}

MikeyBytes
mikey_ticket_tpk_id(const MikeyTicket *ticket)
{
    MikeyBytes psk_id = {NULL, 0};
    TicketData data;

    if (ticket_data_read(mikey_ticket_payload(ticket)->ticket_data, &data, &psk_id) != MIKEY_OK)
        return mikey_bytes(NULL, 0);
    return psk_id;
}

/* ---- the query ---- */

static bool
is_pk_type(uint8_t type)
{
    return type == MIKEY_REQUEST_INIT_PK || type == MIKEY_RESOLVE_INIT_PK;
}

static MikeyStatus
check_query(const MikeyMessage *init, const MikeyEnv *env)
{
    MikeyStatus status;

    if (is_pk_type(init->header.type) && (env->allow & MIKEY_ALLOW_PK) == 0)
        return MIKEY_BAD_DATA_TYPE;
    if (init->header.type != MIKEY_REQUEST_INIT_PSK &&
        init->header.type != MIKEY_RESOLVE_INIT_PSK && !is_pk_type(init->header.type))
        return MIKEY_BAD_DATA_TYPE;
    status = mikey_message_check_suite(init, env);
    if (status == MIKEY_OK)
        status = mikey_message_check_time(init, env);
    return status;
}

MikeyStatus
mikey_query_open(MikeyBytes octets, const MikeyEnv *env, MikeyQuery **out_query)
{
    MikeyQuery *query = mikey_alloc(sizeof(*query));
    MikeyStatus status;

    if (query == NULL)
        return MIKEY_NO_MEMORY;
    status = mikey_message_parse(octets, &query->init);
    if (status == MIKEY_OK)
        status = check_query(query->init, env);
    if (status != MIKEY_OK) {
        mikey_query_free(query);
        return status;
    }
    *out_query = query;
    return MIKEY_OK;
}

void
mikey_query_free(MikeyQuery *query)
{
    if (query == NULL)
        return;
    mikey_message_free(query->init);
    mikey_release_secret(query->secrets, sizeof(*query->secrets));
    mikey_release_secret(query, sizeof(*query));
}

const MikeyMessage *
mikey_query_message(const MikeyQuery *query)
{
    return query->init;
}

bool
mikey_query_is_resolve(const MikeyQuery *query)
{
    return query->init->header.type == MIKEY_RESOLVE_INIT_PSK ||
           query->init->header.type == MIKEY_RESOLVE_INIT_PK;
}

bool
mikey_query_is_pk(const MikeyQuery *query)
{
    return is_pk_type(query->init->header.type);
}

MikeyIdentity
mikey_query_psk_id(const MikeyQuery *query)
{
    return mikey_message_identity(query->init, MIKEY_IDR_PSK);
}

MikeyIdentity
mikey_query_identity(const MikeyQuery *query)
{
    return mikey_message_identity(query->init, mikey_query_is_resolve(query) ? MIKEY_IDR_RESPONDER
                                                                             : MIKEY_IDR_INITIATOR);
}

MikeyIdentity
mikey_query_kms(const MikeyQuery *query)
{
    return mikey_message_identity(query->init, MIKEY_IDR_KMS);
}

const MikeyPolicy *
mikey_query_policy(const MikeyQuery *query)
{
    return mikey_message_policy(query->init);
}

MikeyStatus
mikey_query_digest(const MikeyQuery *query, uint8_t out_digest[MIKEY_DIGEST_LEN])
{
    const MikeyPayload *sign = mikey_message_find(query->init, MIKEY_SIGN, 0);
    MikeyReader r = mikey_reader(mikey_message_octets(query->init));
    size_t varies = sign != NULL ? sign->u.sign.signature.len : 0;

    /* of an ECDSA signature anybody can make another one that is right */
    return mikey_digest(mikey_read_bytes(&r, r.left - varies), out_digest);
}

MikeyNtp
mikey_query_timestamp(const MikeyQuery *query)
{
    return mikey_timestamp_iv(mikey_message_t(query->init));
}

/* RAND of the asking side */
static MikeyBytes
query_rand(const MikeyQuery *query)
{
    return mikey_message_randr(query->init, mikey_query_is_resolve(query) ? MIKEY_RANDR_RESPONDER
                                                                          : MIKEY_RANDR_INITIATOR);
}

MikeyStatus
mikey_query_authenticate(MikeyQuery *query, const MikeyKey *psk)
{
    MikeyLabel label = mikey_init_label(query->init);
    MikeyBytes tail[2] = {mikey_query_identity(query).data, mikey_query_kms(query).data};
    MikeyBytes rand = query_rand(query);
    MikeyMessageKeys keys;
    MikeyStatus status;

    if (mikey_query_is_pk(query))
        return MIKEY_ORDER;
    if (psk->len == 0 || psk->len > MIKEY_MAX_KEY)
        return MIKEY_ARGUMENT;
    status = mikey_message_keys(query->init->header.prf, psk, &label, &keys);
    if (status != MIKEY_OK)
        return status;
    status = mikey_message_verify(query->init, &keys.auth, tail, 2);
    if (status == MIKEY_OK && (rand.len < MIKEY_MIN_RAND || rand.len < psk->len))
        status = MIKEY_SHORT_RAND;
    if (status == MIKEY_OK) {
        query->authenticated = true;
        query->psk = *psk;
        query->init_auth = keys.auth;
    }
    mikey_message_keys_clear(&keys);
    return status;
}

MikeyStatus
mikey_query_authenticate_pk(MikeyQuery *query, const MikeyPkVerifier *verifier, const MikeyEnv *env,
                            int *out_x509_error)
{
    MikeyLabel label = mikey_init_label(query->init);
    MikeyIdentity identity = mikey_query_identity(query);
    MikeyMessageKeys keys;
    MikeyKey key;
    MikeyStatus status;

    if (!mikey_query_is_pk(query))
        return MIKEY_ORDER;
    status = mikey_pk_init_verify(query->init, verifier, &identity, mikey_query_kms(query).data,
                                  query_rand(query), env, &key, out_x509_error);
    if (status != MIKEY_OK)
        return status;
    status = mikey_message_keys(query->init->header.prf, &key, &label, &keys);
    if (status == MIKEY_OK) {
        query->authenticated = true;
        query->psk = key;
        query->init_auth = keys.auth;
        mikey_message_keys_clear(&keys);
    }
    mikey_key_clear(&key);
    return status;
}

/* ---- what both answers have in common ---- */

static MikeyStatus
answer_keys(const MikeyQuery *query, MikeyMessageKeys *out_keys)
{
    MikeyLabel label = mikey_init_label(query->init);

    label.tag = MIKEY_TAG_RESP;
    return mikey_message_keys(query->init->header.prf, &query->psk, &label, out_keys);
}

static void
answer_begin(MikeyWriter *w, const MikeyQuery *query, uint8_t type, const MikeyEnv *env,
             MikeyLink *out_link, MikeyTimestamp *out_t)
{
    MikeyHeader header = {.type = type,
                          .prf = query->init->header.prf,
                          .csb_id = query->init->header.csb_id,
                          .map_type = MIKEY_MAP_EMPTY};
    MikeyIdentity kms = mikey_query_kms(query);

    mikey_message_begin(w, &header, env, out_link, out_t);
    mikey_link_id(out_link, MIKEY_IDR_KMS, &kms);
}

static MikeyStatus
fresh_spi(const MikeyEnv *env, MikeyKeyData *key)
{
    key->kv = MIKEY_KV_SPI;
    key->spi_len = SPI_LEN;
    return mikey_env_random(env, key->spi, SPI_LEN);
}

/* KEMAC of an answer: MPKi, with forking @mpkr, then session keys */
static MikeyStatus
link_answer_keys(MikeyLink *link, const MikeyQuery *query, const MikeyMessageKeys *keys,
                 const MikeyTimestamp *t, const MikeyKey *mpki, const MikeyKey *mpkr,
                 const MikeyKeyData *session, size_t n_session, const MikeyEnv *env)
{
    size_t n_mpk = mpkr != NULL ? 2 : 1;
    size_t n = n_mpk + n_session;
    MikeyKeyData *all;
    MikeyStatus status = MIKEY_OK;

    if (n > MIKEY_MAX_KEYS)
        return MIKEY_TOO_LARGE;
    all = mikey_alloc(KEYS_SIZE);
    if (all == NULL)
        return MIKEY_NO_MEMORY;
    for (size_t i = 0; i < n_mpk && status == MIKEY_OK; i++) {
        all[i].type = MIKEY_KEY_MPK;
        all[i].key = i == 0 ? *mpki : *mpkr;
        status = fresh_spi(env, &all[i]);
    }
    if (n_session > 0)
        memcpy(all + n_mpk, session, n_session * sizeof(*all));
    if (status == MIKEY_OK)
        status = mikey_link_session_keys(link, query->init->header.prf, keys,
                                         query->init->header.csb_id, t, all, n);
    mikey_release_secret(all, KEYS_SIZE);
    return status;
}

static MikeyStatus
answer_end(MikeyWriter *w, MikeyLink *link, const MikeyQuery *query, const MikeyMessageKeys *keys,
           MikeyBuffer *out_answer)
{
    MikeyBytes whole = mikey_message_octets(query->init);
    MikeyStatus status = mikey_message_end(link, query->init->header.prf, &keys->auth, &whole, 1);

    return status == MIKEY_OK ? mikey_writer_finish(w, out_answer) : status;
}

/* ---- granting ---- */

/* Do two policies say the same, templates and the K flag aside? */
static MikeyStatus
policies_differ(const MikeyPolicy *a, const MikeyPolicy *b, bool *out_differ)
{
    const MikeyPolicy *both[2] = {a, b};
    MikeyWriter w[2] = {MIKEY_WRITER_INIT, MIKEY_WRITER_INIT};
    MikeyStatus status;

    for (size_t i = 0; i < 2; i++) {
        MikeyPolicy plain = *both[i];

        plain.has_wishes = false;
        plain.flags &= ~MIKEY_FLAG_K;
        mikey_policy_write(&w[i], &plain);
    }
    status = w[0].bad != MIKEY_OK ? w[0].bad : w[1].bad;
    if (status == MIKEY_OK)
        *out_differ = !mikey_bytes_equal(mikey_writer_octets(&w[0]), mikey_writer_octets(&w[1]));
    mikey_writer_clear(&w[0]);
    mikey_writer_clear(&w[1]);
    return status;
}

/* The policy that goes into the ticket */
static MikeyStatus
granted_policy(const MikeyQuery *query, const MikeyGrantSetup *setup, const MikeyEnv *env,
               MikeyPolicy *out_policy)
{
    const MikeyPolicy *asked = mikey_query_policy(query);
    MikeyPolicy policy = setup->policy != NULL ? *setup->policy : *asked;
    bool differ = false;
    MikeyStatus status;

    if (policy.kms.data.len == 0)
        policy.kms = mikey_query_kms(query);
    if (policy.initiator.data.len == 0)
        policy.initiator = mikey_query_identity(query);
    policy.has_wishes = false;
    policy.flags &= ~MIKEY_FLAG_K;
    status = policies_differ(&policy, asked, &differ);
    if (status != MIKEY_OK)
        return status;
    if (differ)
        policy.flags |= MIKEY_FLAG_K;
    if ((policy.flags & MIKEY_FLAG_D) == 0)
        return MIKEY_BAD_POLICY;
    status = mikey_policy_check(&policy, true, env);
    if (status == MIKEY_OK)
        *out_policy = policy;
    return status;
}

static MikeyStatus
make_key(const MikeyKeyWish *wish, uint8_t prf, const MikeyEnv *env, MikeyKeyData *key)
{
    size_t suite_len = mikey_suite_key_len(prf);
    MikeyStatus status;

    if (wish->type == MIKEY_KEY_MPK || wish->key_len > suite_len || wish->salt_len > MIKEY_MAX_KEY)
        return MIKEY_BAD_POLICY;
    key->type = wish->type;
    key->key.len = wish->key_len > 0 ? wish->key_len : suite_len;
    key->salt.len = wish->salt_len;
    status = mikey_env_random(env, key->key.bytes, key->key.len);
    if (status == MIKEY_OK && key->salt.len > 0)
        status = mikey_env_random(env, key->salt.bytes, key->salt.len);
    if (status != MIKEY_OK)
        return status;
    if (wish->spi_len == 0)
        return fresh_spi(env, key);
    key->kv = MIKEY_KV_SPI;
    key->spi_len = wish->spi_len;
    memcpy(key->spi, wish->spi, wish->spi_len);
    return MIKEY_OK;
}

/* MPK and session keys: as wished for, or one TGK when there was no KEMAC */
static MikeyStatus
make_secrets(const MikeyPolicy *asked, const MikeyPolicy *granted, const MikeyEnv *env,
             MikeyTicketSecrets *secrets)
{
    const MikeyKeyWish one = {.type = MIKEY_KEY_TGK};
    const MikeyKeyWish *wishes = asked->has_wishes ? asked->wishes : &one;
    size_t n = asked->has_wishes ? asked->n_wishes : 1;
    const uint32_t fork = MIKEY_FLAG_I | MIKEY_FLAG_F;
    MikeyStatus status;

    /* an answer must not end up with more than a KEMAC holds */
    if (n + 2 > MIKEY_MAX_KEYS)
        return MIKEY_BAD_POLICY;
    secrets->mpk.len = mikey_suite_key_len(granted->prf);
    status = mikey_env_random(env, secrets->mpk.bytes, secrets->mpk.len);
    for (size_t i = 0; i < n && status == MIKEY_OK; i++) {
        status = make_key(&wishes[i], granted->prf, env, &secrets->keys[i]);
        secrets->n_keys = i + 1;
        if ((wishes[i].type == MIKEY_KEY_TGK || wishes[i].type == MIKEY_KEY_TGK_SALT) &&
            (granted->flags & fork) == MIKEY_FLAG_I)
            status = MIKEY_BAD_FLAGS;
    }
    if (status == MIKEY_OK &&
        mikey_session_keys_check(secrets->keys, secrets->n_keys, granted->prf) != MIKEY_OK)
        status = MIKEY_BAD_POLICY;
    return status;
}

static MikeyStatus
write_grant(const MikeyQuery *query, const MikeyTicket *ticket, const MikeyTicketSecrets *secrets,
            const MikeyEnv *env, MikeyBuffer *out_answer)
{
    bool forked = (mikey_ticket_policy(ticket)->flags & MIKEY_FLAG_I) != 0;
    MikeyWriter w = MIKEY_WRITER_INIT;
    MikeyMessageKeys keys;
    MikeyTimestamp t;
    MikeyLink link;
    MikeyStatus status = answer_keys(query, &keys);

    if (status != MIKEY_OK)
        return status;
    answer_begin(&w, query, MIKEY_REQUEST_RESP, env, &link, &t);
    mikey_link_ticket(&link, ticket, mikey_bytes(NULL, 0));
    status = link_answer_keys(&link, query, &keys, &t, &secrets->mpki,
                              forked ? &secrets->mpkr : NULL, secrets->keys, secrets->n_keys, env);
    if (status == MIKEY_OK)
        status = answer_end(&w, &link, query, &keys, out_answer);
    mikey_message_keys_clear(&keys);
    mikey_writer_clear(&w);
    return status;
}

MikeyStatus
mikey_query_grant(const MikeyQuery *query, const MikeyGrantSetup *setup, const MikeyEnv *env,
                  MikeyBuffer *out_answer)
{
    MikeyTicketSecrets *secrets;
    MikeyTicket *ticket = NULL;
    MikeyPolicy policy;
    MikeyStatus status;

    if (!query->authenticated || mikey_query_is_resolve(query))
        return MIKEY_ORDER;
    status = granted_policy(query, setup, env, &policy);
    if (status != MIKEY_OK)
        return status;
    /* long keys do not travel under short ones */
    if (mikey_suite_key_len(policy.prf) > mikey_suite_key_len(query->init->header.prf))
        return MIKEY_BAD_POLICY;
    secrets = mikey_alloc(sizeof(*secrets));
    if (secrets == NULL)
        return MIKEY_NO_MEMORY;
    status = make_secrets(mikey_query_policy(query), &policy, env, secrets);
    if (status == MIKEY_OK)
        status = mikey_ticket_seal(&policy, secrets, setup->tpk, setup->tpk_id, env, &ticket);
    if (status == MIKEY_OK)
        status = write_grant(query, ticket, secrets, env, out_answer);
    mikey_ticket_free(ticket);
    mikey_release_secret(secrets, sizeof(*secrets));
    return status;
}

/* ---- the initiator makes the ticket himself ---- */

/* Somebody must be there who may open it */
static MikeyStatus
check_own_ticket(const MikeyPolicy *policy, const MikeyEnv *env)
{
    uint32_t modes = (policy->flags & MIKEY_FLAG_E) != 0 ? MIKEY_ALLOW_MODE_3
                                                         : MIKEY_ALLOW_MODE_3 | MIKEY_ALLOW_MODE_4;
    MikeyPolicy plain = *policy;

    if ((policy->flags & MIKEY_FLAG_D) != 0 || policy->initiator.data.len == 0)
        return MIKEY_ARGUMENT;
    if ((env->allow & modes) == 0)
        return MIKEY_BAD_POLICY;
    plain.has_wishes = false;
    return mikey_policy_check(&plain, true, env);
}

MikeyStatus
mikey_grant_make(const MikeyPolicy *policy, const MikeyKey *tpk, MikeyBytes tpk_id,
                 const MikeyEnv *env, MikeyGrant **out_grant)
{
    MikeyPolicy plain = *policy;
    MikeyTicketSecrets *secrets;
    MikeyTicket *ticket = NULL;
    MikeyStatus status = check_own_ticket(policy, env);

    if (status != MIKEY_OK)
        return status;
    secrets = mikey_alloc(sizeof(*secrets));
    if (secrets == NULL)
        return MIKEY_NO_MEMORY;
    plain.has_wishes = false;
    status = make_secrets(policy, &plain, env, secrets);
    if (status == MIKEY_OK)
        status = mikey_ticket_seal(&plain, secrets, tpk, tpk_id, env, &ticket);
    if (status == MIKEY_OK)
        status = mikey_grant_new(ticket, &secrets->mpki,
                                 (plain.flags & MIKEY_FLAG_I) != 0 ? &secrets->mpkr : NULL,
                                 secrets->keys, secrets->n_keys, out_grant);
    mikey_ticket_free(ticket);
    mikey_release_secret(secrets, sizeof(*secrets));
    return status;
}

/* ---- resolving ---- */

MikeyBytes
mikey_query_tpk_id(const MikeyQuery *query)
{
    return query->init->ticket != NULL ? mikey_ticket_tpk_id(query->init->ticket)
                                       : mikey_bytes(NULL, 0);
}

MikeyStatus
mikey_query_open_ticket(MikeyQuery *query, const MikeyKey *tpk, const MikeyEnv *env)
{
    const MikeyTicket *ticket = query->init->ticket;
    MikeyTicketSecrets *secrets;
    MikeyStatus status;

    if (!query->authenticated || ticket == NULL || query->secrets != NULL)
        return MIKEY_ORDER;
    if ((mikey_ticket_policy(ticket)->flags & MIKEY_FLAG_D) == 0 &&
        (env->allow & MIKEY_ALLOW_MODE_3) == 0)
        return MIKEY_BAD_POLICY;
    secrets = mikey_alloc(sizeof(*secrets));
    if (secrets == NULL)
        return MIKEY_NO_MEMORY;
    status = mikey_ticket_open(ticket, tpk, secrets);
    if (status == MIKEY_OK)
        status = mikey_policy_check(mikey_ticket_policy(ticket), true, env);
    if (status == MIKEY_OK)
        status = mikey_ticket_verify_initiator(ticket, &secrets->mpkr);
    if (status != MIKEY_OK) {
        mikey_release_secret(secrets, sizeof(*secrets));
        return status;
    }
    query->secrets = secrets;
    return MIKEY_OK;
}

size_t
mikey_query_n_keys(const MikeyQuery *query)
{
    return query->secrets != NULL ? query->secrets->n_keys : 0;
}

const MikeyKeyData *
mikey_query_key(const MikeyQuery *query, size_t i)
{
    return i < mikey_query_n_keys(query) ? &query->secrets->keys[i] : NULL;
}

/* What goes to one responder: the ticket's keys, forked for him if need be */
typedef struct Share {
    MikeyKey mpkr;
    MikeyKeyData *keys;
    size_t n_keys;
    size_t rand_len;
    uint8_t rand[MIKEY_MAX_KEY];
} Share;

static MikeyStatus
make_share(const MikeyQuery *query, const MikeyIdentity *responder, const MikeyEnv *env,
           Share *share)
{
    const MikeyTicketSecrets *secrets = query->secrets;
    const MikeyPolicy *policy = mikey_query_policy(query);
    MikeyBytes rand;
    MikeyStatus status;

    share->n_keys = secrets->n_keys;
    if ((policy->flags & MIKEY_FLAG_I) == 0)
        return mikey_keys_copy(secrets->keys, secrets->n_keys, &share->keys);
    share->rand_len = mikey_suite_key_len(policy->prf);
    status = mikey_env_random(env, share->rand, share->rand_len);
    rand = mikey_bytes(share->rand, share->rand_len);
    if (status == MIKEY_OK)
        status = mikey_fork(policy->prf, MIKEY_C_FORK_MPKR, &secrets->mpkr, responder->data, rand,
                            &share->mpkr);
    if (status == MIKEY_OK)
        status = mikey_keys_fork(policy->prf, secrets->keys, secrets->n_keys, responder->data, rand,
                                 &share->keys);
    return status;
}

static MikeyStatus
write_resolution(const MikeyQuery *query, const MikeyIdentity *responder, const MikeyKey *mpki,
                 const Share *share, const MikeyEnv *env, MikeyBuffer *out_answer)
{
    bool forked = share->rand_len > 0;
    MikeyWriter w = MIKEY_WRITER_INIT;
    MikeyMessageKeys keys;
    MikeyTimestamp t;
    MikeyLink link;
    MikeyStatus status = answer_keys(query, &keys);

    if (status != MIKEY_OK)
        return status;
    answer_begin(&w, query, MIKEY_RESOLVE_RESP, env, &link, &t);
    status = link_answer_keys(&link, query, &keys, &t, mpki,
                              forked ? &share->mpkr : NULL, share->keys, share->n_keys, env);
    if (status == MIKEY_OK && forked) {
        mikey_link_id(&link, MIKEY_IDR_RESPONDER, responder);
        mikey_link_rand(&link, MIKEY_RANDR_KMS, mikey_bytes(share->rand, share->rand_len));
    }
    if (status == MIKEY_OK)
        status = answer_end(&w, &link, query, &keys, out_answer);
    mikey_message_keys_clear(&keys);
    mikey_writer_clear(&w);
    return status;
}

MikeyStatus
mikey_query_resolve(const MikeyQuery *query, const MikeyIdentity *responder, const MikeyEnv *env,
                    MikeyBuffer *out_answer)
{
    Share share = {.keys = NULL};
    MikeyStatus status;

    if (!query->authenticated || query->secrets == NULL)
        return MIKEY_ORDER;
    if (responder->data.len == 0)
        return MIKEY_ARGUMENT;
    if (mikey_suite_key_len(mikey_query_policy(query)->prf) >
        mikey_suite_key_len(query->init->header.prf))
        return MIKEY_BAD_PRF;
    status = make_share(query, responder, env, &share);
    if (status == MIKEY_OK)
        status = write_resolution(query, responder, &query->secrets->mpki, &share, env, out_answer);
    mikey_keys_free(share.keys, share.n_keys);
    OPENSSL_cleanse(&share, sizeof(share));
    return status;
}

/* ---- a ticket that another KMS made (RFC 6043 section 10) ---- */

MikeyStatus
mikey_query_forward(const MikeyQuery *query, const MikeyAccount *account, const MikeyEnv *env,
                    MikeyMessage **out_init)
{
    MikeyHeader header = {.type = MIKEY_RESOLVE_INIT_PSK, .v = true, .map_type = MIKEY_MAP_EMPTY};
    MikeyLabel label = {.tag = MIKEY_TAG_INIT};
    const MikeyTicket *ticket = query->init->ticket;
    MikeyWriter w = MIKEY_WRITER_INIT;
    MikeyAsker asker;
    MikeyFresh fresh;
    MikeyTimestamp t;
    MikeyLink link;
    MikeyStatus status;

    if (!query->authenticated || ticket == NULL)
        return MIKEY_ORDER;
    status = mikey_asker_psk(account, env, &asker);
    if (status != MIKEY_OK)
        return status;
    status = mikey_fresh(env, asker.prf, asker.key.len, &fresh);
    if (status == MIKEY_OK) {
        header.prf = asker.prf;
        header.csb_id = fresh.csb_id;
        label.csb_id = fresh.csb_id;
        label.rand_r = mikey_bytes(fresh.rand, fresh.len);
        mikey_message_begin(&w, &header, env, &link, &t);
        mikey_link_rand(&link, MIKEY_RANDR_RESPONDER, label.rand_r);
        status = mikey_link_asker(&link, &asker, MIKEY_IDR_RESPONDER);
        mikey_link_ticket(&link, ticket, mikey_ticket_payload(ticket)->initiator_data);
    }
    if (status == MIKEY_OK)
        status = mikey_kms_init_end(&w, &link, &asker, &label, out_init);
    mikey_writer_clear(&w);
    mikey_key_clear(&asker.key);
    return status;
}

/* The name is the one that was asked for: a peer does not give its answer for somebody else. */
static MikeyStatus
take_foreign_modifier(const MikeyQuery *query, const MikeyMessage *answer, Share *share)
{
    MikeyIdentity asked = mikey_query_identity(query);
    MikeyIdentity given = mikey_message_identity(answer, MIKEY_IDR_RESPONDER);
    MikeyBytes rand = mikey_message_randr(answer, MIKEY_RANDR_KMS);
    const MikeyPolicy *policy = mikey_query_policy(query);

    if ((policy->flags & MIKEY_FLAG_I) == 0)
        return MIKEY_OK;
    if (!mikey_identity_equal(&asked, &given))
        return MIKEY_BAD_IDENTITY;
    if (rand.len < mikey_suite_key_len(policy->prf) || rand.len > sizeof(share->rand))
        return MIKEY_SHORT_RAND;
    share->rand_len = rand.len;
    memcpy(share->rand, rand.data, rand.len);
    return MIKEY_OK;
}

MikeyStatus
mikey_query_relay(const MikeyQuery *query, const MikeyMessage *forwarded, const MikeyKey *psk,
                  MikeyBytes answer, const MikeyEnv *env, MikeyBuffer *out_answer,
                  MikeyPeerError *out_error)
{
    MikeyIdentity responder = mikey_query_identity(query);
    Share share = {.keys = NULL};
    MikeyKmsKeys keys = {.n_keys = 0};
    MikeyMessage *message = NULL;
    MikeyMessageKeys resp;
    MikeyStatus status;

    if (!query->authenticated)
        return MIKEY_ORDER;
    if (mikey_suite_key_len(mikey_query_policy(query)->prf) >
        mikey_suite_key_len(query->init->header.prf))
        return MIKEY_BAD_PRF;
    status = mikey_message_parse(answer, &message);
    if (status != MIKEY_OK)
        return status;
    status = mikey_kms_answer_open(message, forwarded, MIKEY_RESOLVE_RESP, psk, env, &resp,
                                   out_error);
    if (status == MIKEY_OK) {
        status = mikey_kms_keys_open(message, &resp, mikey_query_policy(query), &keys);
        mikey_message_keys_clear(&resp);
    }
    if (status == MIKEY_OK)
        status = take_foreign_modifier(query, message, &share);
    if (status == MIKEY_OK) {
        share.mpkr = keys.mpkr;
        share.keys = keys.keys; /* borrowed */
        share.n_keys = keys.n_keys;
        status = write_resolution(query, &responder, &keys.mpki, &share, env, out_answer);
    }
    mikey_kms_keys_clear(&keys);
    mikey_message_free(message);
    OPENSSL_cleanse(&share, sizeof(share));
    return status;
}

MikeyStatus
mikey_query_error(const MikeyQuery *query, MikeyStatus status, const MikeyEnv *env,
                  MikeyBuffer *out_error)
{
    const MikeyHeader *header = &query->init->header;

    return mikey_error_build(header->prf, header->csb_id, false, status, NULL, 0, env,
                             query->authenticated ? &query->init_auth : NULL, out_error);
}
