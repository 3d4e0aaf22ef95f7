/* SPDX-License-Identifier: Apache-2.0 */
/* libmikey/message.c - messages as a whole: what each type must have, MAC coverage, writing */
#include <libmikey/private.h>

#include <string.h>

#define N_CS_AT 8u
#define NEXT_AT 2u

typedef struct Need {
    uint8_t number; /* 0 ends the list */
    uint8_t role;
} Need;

/* What a message of a type must have, besides a MAC at its end (RFC 6043 section 4.2) */
typedef struct MessageForm {
    uint8_t type;
    uint8_t map_type;
    uint8_t last; /* V or SIGN */
    Need needs[8];
} MessageForm;

#define I_RAND                                                                                     \
    {                                                                                              \
        MIKEY_RANDR, MIKEY_RANDR_INITIATOR                                                         \
    }
#define R_RAND                                                                                     \
    {                                                                                              \
        MIKEY_RANDR, MIKEY_RANDR_RESPONDER                                                         \
    }
#define I_ID                                                                                       \
    {                                                                                              \
        MIKEY_IDR, MIKEY_IDR_INITIATOR                                                             \
    }
#define R_ID                                                                                       \
    {                                                                                              \
        MIKEY_IDR, MIKEY_IDR_RESPONDER                                                             \
    }
#define KMS_ID                                                                                     \
    {                                                                                              \
        MIKEY_IDR, MIKEY_IDR_KMS                                                                   \
    }

static const MessageForm forms[] = {
    {MIKEY_REQUEST_INIT_PSK,
     MIKEY_MAP_EMPTY,
     MIKEY_V,
     {{MIKEY_T, 0}, I_RAND, I_ID, KMS_ID, {MIKEY_TP, 0}}},
    {MIKEY_REQUEST_INIT_PK,
     MIKEY_MAP_EMPTY,
     MIKEY_SIGN,
     {{MIKEY_T, 0}, I_RAND, I_ID, KMS_ID, {MIKEY_TP, 0}, {MIKEY_PKE, 0}}},
    {MIKEY_REQUEST_RESP,
     MIKEY_MAP_EMPTY,
     MIKEY_V,
     {{MIKEY_T, 0}, {MIKEY_TICKET, 0}, {MIKEY_KEMAC, 0}}},
    {MIKEY_TRANSFER_INIT, MIKEY_MAP_GENERIC_ID, MIKEY_V, {{MIKEY_T, 0}}},
    {MIKEY_TRANSFER_RESP, MIKEY_MAP_GENERIC_ID, MIKEY_V, {{MIKEY_T, 0}}},
    {MIKEY_RESOLVE_INIT_PSK,
     MIKEY_MAP_EMPTY,
     MIKEY_V,
     {{MIKEY_T, 0}, R_RAND, R_ID, KMS_ID, {MIKEY_TICKET, 0}}},
    {MIKEY_RESOLVE_INIT_PK,
     MIKEY_MAP_EMPTY,
     MIKEY_SIGN,
     {{MIKEY_T, 0}, R_RAND, R_ID, KMS_ID, {MIKEY_TICKET, 0}, {MIKEY_PKE, 0}}},
    {MIKEY_RESOLVE_RESP, MIKEY_MAP_EMPTY, MIKEY_V, {{MIKEY_T, 0}, {MIKEY_KEMAC, 0}}},
};

/* Payloads that may come more than once whatever their role */
static const uint8_t repeatable[] = {MIKEY_SP, MIKEY_CERT, MIKEY_ERR, MIKEY_GENERAL_EXT};

static uint8_t
role_of(const MikeyPayload *payload)
{
    switch (payload->number) {
    case MIKEY_IDR:
        return payload->u.id.role;
    case MIKEY_RANDR:
        return payload->u.rand.role;
    case MIKEY_TR:
        return payload->u.timestamp.role;
    case MIKEY_SP:
        return payload->u.sp.policy_no;
    default:
        return 0;
    }
}

const MikeyPayload *
mikey_message_find(const MikeyMessage *message, uint8_t number, uint8_t role)
{
    for (size_t i = 0; i < message->n_payloads; i++) {
        const MikeyPayload *payload = &message->payloads[i];

        if (payload->number == number && (role == 0 || role_of(payload) == role))
            return payload;
    }
    return NULL;
}

static bool
is_repeatable(uint8_t number)
{
    for (size_t i = 0; i < sizeof(repeatable); i++) {
        if (repeatable[i] == number)
            return true;
    }
    return false;
}

/* One of a kind and role; policy numbers are distinct as well */
static bool
has_twins(const MikeyMessage *message, size_t i)
{
    const MikeyPayload *payload = &message->payloads[i];

    if (is_repeatable(payload->number) && payload->number != MIKEY_SP)
        return false;
    for (size_t j = 0; j < i; j++) {
        const MikeyPayload *other = &message->payloads[j];

        if (other->number == payload->number && role_of(other) == role_of(payload))
            return true;
    }
    return false;
}

/* V and SIGN end a message */
static MikeyStatus
check_order(const MikeyMessage *message)
{
    for (size_t i = 0; i < message->n_payloads; i++) {
        uint8_t number = message->payloads[i].number;
        bool last = i + 1 == message->n_payloads;

        if (has_twins(message, i))
            return MIKEY_DUPLICATE;
        if ((number == MIKEY_V || number == MIKEY_SIGN) && !last)
            return MIKEY_MALFORMED;
    }
    return MIKEY_OK;
}

static MikeyStatus
check_needs(const MikeyMessage *message, const MessageForm *form)
{
    const MikeyPayload *last;

    if (message->header.map_type != form->map_type)
        return MIKEY_BAD_SESSIONS;
    if (form->map_type == MIKEY_MAP_EMPTY && mikey_message_find(message, MIKEY_SP, 0) != NULL)
        return MIKEY_BAD_SESSIONS;
    for (const Need *need = form->needs; need->number != 0; need++) {
        if (mikey_message_find(message, need->number, need->role) == NULL)
            return MIKEY_MISSING;
    }
    last = message->n_payloads > 0 ? &message->payloads[message->n_payloads - 1] : NULL;
    return last != NULL && last->number == form->last ? MIKEY_OK : MIKEY_MISSING;
}

/* An error has T and says at least one thing */
static MikeyStatus
check_error(const MikeyMessage *message)
{
    if (mikey_message_find(message, MIKEY_T, 0) == NULL ||
        mikey_message_find(message, MIKEY_ERR, 0) == NULL)
        return MIKEY_MISSING;
    return MIKEY_OK;
}

static MikeyStatus
check_form(const MikeyMessage *message)
{
    MikeyStatus status = check_order(message);

    if (status != MIKEY_OK)
        return status;
    if (message->header.type == MIKEY_ERROR)
        return check_error(message);
    for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
        if (forms[i].type == message->header.type)
            return check_needs(message, &forms[i]);
    }
    return MIKEY_OK;
}

/* A TRANSFER_INIT without a ticket is an update of a bundle; with one it is a call */
static MikeyStatus
check_transfer_init(const MikeyMessage *message)
{
    if (message->header.type != MIKEY_TRANSFER_INIT || message->ticket == NULL)
        return MIKEY_OK;
    if (mikey_message_randr(message, MIKEY_RANDR_INITIATOR).len == 0 ||
        mikey_message_find(message, MIKEY_IDR, MIKEY_IDR_INITIATOR) == NULL ||
        mikey_message_find(message, MIKEY_IDR, MIKEY_IDR_RESPONDER) == NULL)
        return MIKEY_MISSING;
    return MIKEY_OK;
}

static MikeyStatus
read_policies(MikeyMessage *message)
{
    const MikeyPayload *ticket = mikey_message_find(message, MIKEY_TICKET, 0);
    const MikeyPayload *tp = mikey_message_find(message, MIKEY_TP, 0);
    MikeyStatus status = MIKEY_OK;

    if (ticket != NULL) {
        status = mikey_ticket_parse(ticket->octets, &message->ticket);
        if (status == MIKEY_OK)
            status = mikey_flags_check(ticket->u.ticket.flags);
    }
    if (status == MIKEY_OK && tp != NULL) {
        status = mikey_policy_read(&tp->u.ticket, &message->tp);
        message->has_tp = status == MIKEY_OK;
        /* the K flag of a request has no meaning */
        if (status == MIKEY_OK)
            status = mikey_flags_check(tp->u.ticket.flags & ~MIKEY_FLAG_K);
    }
    return status;
}

/* Room for the sessions that the header announces; the header itself is read later */
static MikeyStatus
make_cs_room(MikeyMessage *message)
{
    MikeyReader r = mikey_reader(mikey_buffer_bytes(&message->octets));
    size_t n_cs;

    mikey_read_bytes(&r, N_CS_AT);
    n_cs = mikey_read_u8(&r);
    if (r.bad)
        return MIKEY_TRUNCATED;
    message->cs_size = n_cs * sizeof(*message->cs);
    message->cs = mikey_alloc(message->cs_size);
    return message->cs != NULL ? MIKEY_OK : MIKEY_NO_MEMORY;
}

static MikeyStatus
count_payloads(MikeyReader reader, uint8_t first, size_t *out_n)
{
    MikeyChain chain = mikey_chain(reader, first, MIKEY_MAX_PAYLOADS);
    MikeyPayload payload;
    size_t n = 0;

    while (mikey_chain_next(&chain, &payload))
        n++;
    if (chain.status == MIKEY_OK)
        *out_n = n;
    return chain.status;
}

static MikeyStatus
read_message(MikeyMessage *message)
{
    MikeyReader r = mikey_reader(mikey_buffer_bytes(&message->octets));
    MikeyStatus status = make_cs_room(message);
    MikeyChain chain;
    size_t n = 0;

    if (status != MIKEY_OK)
        return status;
    status = mikey_header_read(&r, message->cs, &message->header);
    if (status != MIKEY_OK)
        return status;
    status = count_payloads(r, message->header.next, &n);
    if (status != MIKEY_OK)
        return status;

    message->payloads = mikey_alloc(n * sizeof(*message->payloads));
    if (message->payloads == NULL)
        return MIKEY_NO_MEMORY;
    chain = mikey_chain(r, message->header.next, n);
    while (message->n_payloads < n &&
           mikey_chain_next(&chain, &message->payloads[message->n_payloads]))
        message->n_payloads++;

    status = check_form(message);
    if (status == MIKEY_OK)
        status = read_policies(message);
    if (status == MIKEY_OK)
        status = check_transfer_init(message);
    return status;
}

MikeyStatus
mikey_message_parse(MikeyBytes octets, MikeyMessage **out_message)
{
    MikeyMessage *message;
    MikeyStatus status;

    if (octets.len > MIKEY_MAX_MESSAGE)
        return MIKEY_TOO_LARGE;
    message = mikey_alloc(sizeof(*message));
    if (message == NULL)
        return MIKEY_NO_MEMORY;
    status = mikey_buffer_set(&message->octets, octets);
    if (status == MIKEY_OK)
        status = read_message(message);
    if (status != MIKEY_OK) {
        mikey_message_free(message);
        return status;
    }
    *out_message = message;
    return MIKEY_OK;
}

void
mikey_message_free(MikeyMessage *message)
{
    if (message == NULL)
        return;
    mikey_ticket_free(message->ticket);
    mikey_policy_store_clear(&message->tp);
    mikey_release(message->payloads);
    mikey_release(message->cs);
    mikey_buffer_clear(&message->octets);
    mikey_release(message);
}

MikeyBytes
mikey_message_octets(const MikeyMessage *message)
{
    return mikey_buffer_bytes(&message->octets);
}

const MikeyHeader *
mikey_message_header(const MikeyMessage *message)
{
    return &message->header;
}

size_t
mikey_message_n_payloads(const MikeyMessage *message)
{
    return message->n_payloads;
}

const MikeyPayload *
mikey_message_payload(const MikeyMessage *message, size_t i)
{
    return i < message->n_payloads ? &message->payloads[i] : NULL;
}

const MikeyTicket *
mikey_message_ticket(const MikeyMessage *message)
{
    return message->ticket;
}

const MikeyPolicy *
mikey_message_policy(const MikeyMessage *message)
{
    if (message->has_tp)
        return &message->tp.policy;
    return message->ticket != NULL ? mikey_ticket_policy(message->ticket) : NULL;
}

MikeyIdentity
mikey_message_identity(const MikeyMessage *message, uint8_t role)
{
    const MikeyPayload *payload = mikey_message_find(message, MIKEY_IDR, role);
    MikeyIdentity identity = {MIKEY_ID_URI, {NULL, 0}};

    if (payload != NULL) {
        identity.type = payload->u.id.type;
        identity.data = payload->u.id.data;
    }
    return identity;
}

MikeyBytes
mikey_message_randr(const MikeyMessage *message, uint8_t role)
{
    const MikeyPayload *payload = mikey_message_find(message, MIKEY_RANDR, role);

    return payload != NULL ? payload->u.rand.rand : mikey_bytes(NULL, 0);
}

const MikeyTimestamp *
mikey_message_t(const MikeyMessage *message)
{
    const MikeyPayload *payload = mikey_message_find(message, MIKEY_T, 0);

    return payload != NULL ? &payload->u.timestamp : NULL;
}

const MikeyKemac *
mikey_message_kemac(const MikeyMessage *message)
{
    const MikeyPayload *payload = mikey_message_find(message, MIKEY_KEMAC, 0);

    return payload != NULL ? &payload->u.kemac : NULL;
}

const MikeyV *
mikey_message_v(const MikeyMessage *message)
{
    const MikeyPayload *payload = mikey_message_find(message, MIKEY_V, 0);

    return payload != NULL ? &payload->u.v : NULL;
}

MikeyStatus
mikey_message_check_suite(const MikeyMessage *message, const MikeyEnv *env)
{
    const MikeyV *v = mikey_message_v(message);
    const MikeyKemac *kemac = mikey_message_kemac(message);
    uint8_t prf = message->header.prf;
    MikeyStatus status = mikey_suite_check(prf, env);

    if (status != MIKEY_OK)
        return status;
    if (v != NULL && v->alg != mikey_suite_mac(prf))
        return MIKEY_BAD_MAC_ALG;
    if (kemac != NULL && kemac->mac_alg != MIKEY_MAC_NULL)
        return MIKEY_BAD_MAC_ALG;
    if (kemac != NULL && kemac->encr_alg != mikey_suite_encr(prf))
        return MIKEY_BAD_ENCR_ALG;
    return MIKEY_OK;
}

MikeyStatus
mikey_message_check_time(const MikeyMessage *message, const MikeyEnv *env)
{
    const MikeyTimestamp *t = mikey_message_t(message);

    if (t == NULL)
        return MIKEY_MISSING;
    if (t->type == MIKEY_TS_COUNTER)
        return MIKEY_BAD_TIME;
    return mikey_ntp_within(mikey_timestamp_iv(t), env->now, mikey_env_skew(env)) ? MIKEY_OK
                                                                                  : MIKEY_BAD_TIME;
}

#define MAX_TAIL 2u

MikeyStatus
mikey_message_verify(const MikeyMessage *message, const MikeyKey *auth, const MikeyBytes *tail,
                     size_t n_tail)
{
    const MikeyV *v = mikey_message_v(message);
    const MikeyPayload *ticket = mikey_message_find(message, MIKEY_TICKET, 0);
    MikeyReader r = mikey_reader(mikey_message_octets(message));
    MikeyBytes parts[2 + MAX_TAIL];
    size_t before, gap = 0, covered;

    if (v == NULL || n_tail > MAX_TAIL)
        return MIKEY_BAD_MAC;
    covered = r.left - v->mac.len;
    before = covered;
    if (ticket != NULL && message->header.type == MIKEY_TRANSFER_INIT) {
        /* Initiator Data and its length are not covered: they hold a copy of this very MAC */
        gap = 2 + ticket->u.ticket.initiator_data.len;
        before = (size_t)(ticket->octets.data - r.next) + ticket->octets.len - gap;
    }
    parts[0] = mikey_read_bytes(&r, before);
    mikey_read_bytes(&r, gap);
    parts[1] = mikey_read_bytes(&r, covered - before - gap);
    for (size_t i = 0; i < n_tail; i++)
        parts[2 + i] = tail[i];
    return mikey_mac_verify(v, auth, parts, 2 + n_tail);
}

MikeyLabel
mikey_init_label(const MikeyMessage *init)
{
    MikeyLabel label = {.tag = MIKEY_TAG_INIT, .csb_id = init->header.csb_id};

    /* the sender's own, in the place of its role; one of another role has no meaning */
    if (init->header.type == MIKEY_RESOLVE_INIT_PSK || init->header.type == MIKEY_RESOLVE_INIT_PK)
        label.rand_r = mikey_message_randr(init, MIKEY_RANDR_RESPONDER);
    else
        label.rand_i = mikey_message_randr(init, MIKEY_RANDR_INITIATOR);
    return label;
}

/* ---- writing ---- */

MikeyLink
mikey_link(MikeyWriter *w, size_t at)
{
    MikeyLink link = {w, at};

    return link;
}

void
mikey_link_next(MikeyLink *link, uint8_t number)
{
    mikey_write_u8_at(link->w, link->at, number);
    link->at = link->w->len;
}

void
mikey_link_payload(MikeyLink *link, const MikeyPayload *payload)
{
    mikey_link_next(link, payload->number);
    mikey_payload_write(link->w, MIKEY_LAST, payload);
}

void
mikey_link_t(MikeyLink *link, MikeyNtp now, MikeyTimestamp *out_t)
{
    MikeyPayload payload = {.number = MIKEY_T,
                            .u.timestamp = {.type = MIKEY_TS_NTP_UTC, .value = now}};

    mikey_link_payload(link, &payload);
    *out_t = payload.u.timestamp;
}

void
mikey_link_id(MikeyLink *link, uint8_t role, const MikeyIdentity *id)
{
    MikeyPayload payload = {.number = MIKEY_IDR,
                            .u.id = {.role = role, .type = id->type, .data = id->data}};

    mikey_link_payload(link, &payload);
}

void
mikey_link_rand(MikeyLink *link, uint8_t role, MikeyBytes rand)
{
    MikeyPayload payload = {.number = MIKEY_RANDR, .u.rand = {.role = role, .rand = rand}};

    mikey_link_payload(link, &payload);
}

void
mikey_link_kemac(MikeyLink *link, uint8_t encr_alg, MikeyBytes encrypted)
{
    MikeyPayload payload = {
        .number = MIKEY_KEMAC,
        .u.kemac = {.encr_alg = encr_alg, .encr_data = encrypted, .mac_alg = MIKEY_MAC_NULL}};

    mikey_link_payload(link, &payload);
}

void
mikey_message_begin(MikeyWriter *w, const MikeyHeader *header, const MikeyEnv *env,
                    MikeyLink *out_link, MikeyTimestamp *out_t)
{
    mikey_header_write(w, header);
    *out_link = mikey_link(w, NEXT_AT);
    mikey_link_t(out_link, env->now, out_t);
}

MikeyStatus
mikey_message_end(MikeyLink *link, uint8_t prf, const MikeyKey *auth, const MikeyBytes *tail,
                  size_t n_tail)
{
    uint8_t alg = (uint8_t)mikey_suite_mac(prf);
    uint8_t mac[32];
    MikeyBytes parts[1 + MAX_TAIL];
    size_t len = 0;
    MikeyStatus status;

    if (n_tail > MAX_TAIL)
        return MIKEY_ARGUMENT;
    mikey_link_next(link, MIKEY_V);
    mikey_write_u8(link->w, MIKEY_LAST);
    mikey_write_u8(link->w, alg);
    if (link->w->bad != MIKEY_OK)
        return link->w->bad;

    parts[0] = mikey_writer_octets(link->w);
    for (size_t i = 0; i < n_tail; i++)
        parts[1 + i] = tail[i];
    status = mikey_mac(alg, auth, parts, 1 + n_tail, mac, &len);
    if (status != MIKEY_OK)
        return status;
    mikey_write_bytes(link->w, mikey_bytes(mac, len));
    return link->w->bad;
}

/* ---- answers ---- */

/* An Error is authentic when its MAC fits the key of the message that it is about */
static MikeyStatus
peer_error(const MikeyMessage *answer, const MikeyEnv *env, const MikeyKey *init_auth,
           MikeyPeerError *out_error)
{
    const MikeyPayload *err = mikey_message_find(answer, MIKEY_ERR, 0);

    if (out_error != NULL) {
        out_error->number = err->u.err.number;
        out_error->authentic = mikey_message_v(answer) != NULL &&
                               mikey_message_check_suite(answer, env) == MIKEY_OK &&
                               mikey_message_verify(answer, init_auth, NULL, 0) == MIKEY_OK;
    }
    return MIKEY_PEER_ERROR;
}

MikeyStatus
mikey_answer_check(const MikeyMessage *answer, const MikeyMessage *init, uint8_t type,
                   const MikeyEnv *env, const MikeyKey *init_auth, MikeyPeerError *out_error)
{
    const MikeyHeader *header = &answer->header;

    if (header->type != type && header->type != MIKEY_ERROR)
        return MIKEY_BAD_DATA_TYPE;
    if (header->csb_id != init->header.csb_id || header->prf != init->header.prf)
        return MIKEY_MISMATCH;
    if (header->type == MIKEY_ERROR)
        return peer_error(answer, env, init_auth, out_error);
    if (mikey_message_t(answer)->type == MIKEY_TS_COUNTER)
        return MIKEY_BAD_TIME;
    return mikey_message_check_suite(answer, env);
}

MikeyStatus
mikey_answer_verify(const MikeyMessage *answer, const MikeyMessage *init, const MikeyKey *resp_auth)
{
    MikeyBytes whole = mikey_message_octets(init);

    return mikey_message_verify(answer, resp_auth, &whole, 1);
}
