/* SPDX-License-Identifier: Apache-2.0 */
/* libmikey/ticket.c - ticket policy and ticket */
#include <libmikey/private.h>

#include <string.h>

#define POLICY_AT 1u /* in a TP or TICKET: after Next payload */

struct MikeyTicket {
    MikeyBuffer octets;
    MikeyTicketPayload payload;
    MikeyPolicyStore store;
};

MikeyIdentity
mikey_identity_uri(const char *uri)
{
    MikeyIdentity identity = {MIKEY_ID_URI, mikey_bytes_str(uri)};

    return identity;
}

MikeyIdentity
mikey_identity_bytes(MikeyBytes octets)
{
    MikeyIdentity identity = {MIKEY_ID_BYTES, octets};

    return identity;
}

bool
mikey_identity_equal(const MikeyIdentity *a, const MikeyIdentity *b)
{
    return a->type == b->type && mikey_bytes_equal(a->data, b->data);
}

MikeyPolicy
mikey_policy_default(void)
{
    MikeyPolicy policy = {.ticket_type = MIKEY_TICKET_BASE,
                          .subtype = 1,
                          .version = 1,
                          .prf = MIKEY_PRF_HMAC_SHA_256,
                          .flags = MIKEY_FLAGS_PROFILE};

    return policy;
}

/* ---- reading a policy ---- */

/* What occurs once in TP data */
enum {
    ONCE_KMS = 1,
    ONCE_INITIATOR = 2,
    ONCE_START = 4,
    ONCE_END = 8,
    ONCE_REKEY = 16,
    ONCE_KEMAC = 32
};

typedef struct PolicyCount {
    size_t n_applications;
    size_t n_responders;
    size_t n_wishes;
    unsigned seen;
} PolicyCount;

static unsigned
once_bit(const MikeyPayload *p)
{
    if (p->number == MIKEY_KEMAC)
        return ONCE_KEMAC;
    if (p->number == MIKEY_IDR && p->u.id.role == MIKEY_IDR_KMS)
        return ONCE_KMS;
    if (p->number == MIKEY_IDR && p->u.id.role == MIKEY_IDR_INITIATOR)
        return ONCE_INITIATOR;
    if (p->number == MIKEY_TR && p->u.timestamp.role == MIKEY_TR_START)
        return ONCE_START;
    if (p->number == MIKEY_TR && p->u.timestamp.role == MIKEY_TR_END)
        return ONCE_END;
    if (p->number == MIKEY_TR && p->u.timestamp.role == MIKEY_TR_REKEY)
        return ONCE_REKEY;
    return 0;
}

static bool
is_idr(const MikeyPayload *p, uint8_t role)
{
    return p->number == MIKEY_IDR && p->u.id.role == role;
}

/* Goes through the templates of a policy; @wishes NULL: counts them alone */
static MikeyStatus
wishes_read(const MikeyKemac *kemac, MikeyKeyWish *wishes, size_t *out_n)
{
    MikeyReader r = mikey_reader(kemac->encr_data);
    uint8_t next = MIKEY_KEY_DATA;
    size_t n = 0;

    if (kemac->encr_alg != MIKEY_ENCR_NULL || kemac->mac_alg != MIKEY_MAC_NULL)
        return MIKEY_BAD_POLICY;
    while (r.left > 0) {
        MikeyKeyData data;
        MikeyStatus status;

        if (next != MIKEY_KEY_DATA)
            return next == MIKEY_LAST ? MIKEY_TRAILING : MIKEY_UNKNOWN_PAYLOAD;
        if (n == MIKEY_MAX_KEYS)
            return MIKEY_TOO_LARGE;
        status = mikey_key_data_read(&r, &next, &data);
        if (status != MIKEY_OK)
            return status;
        if (data.kv == MIKEY_KV_INTERVAL) { /* a key is found by its SPI, see payload.h */
            mikey_key_data_clear(&data);
            return MIKEY_BAD_POLICY;
        }
        if (wishes != NULL) {
            wishes[n].type = data.type;
            wishes[n].key_len = (uint16_t)data.key.len;
            wishes[n].salt_len = (uint16_t)data.salt.len;
            wishes[n].spi_len = data.kv == MIKEY_KV_SPI ? data.spi_len : 0;
            memcpy(wishes[n].spi, data.spi, wishes[n].spi_len);
        }
        mikey_key_data_clear(&data);
        n++;
    }
    if (n > 0 && next != MIKEY_LAST)
        return MIKEY_TRUNCATED;
    *out_n = n;
    return MIKEY_OK;
}

static MikeyStatus
count_one(const MikeyPayload *p, PolicyCount *count)
{
    unsigned bit = once_bit(p);

    if ((count->seen & bit) != 0)
        return MIKEY_DUPLICATE;
    count->seen |= bit;
    if (is_idr(p, MIKEY_IDR_APPLICATION))
        count->n_applications++;
    if (is_idr(p, MIKEY_IDR_RESPONDER))
        count->n_responders++;
    return p->number == MIKEY_KEMAC ? wishes_read(&p->u.kemac, NULL, &count->n_wishes) : MIKEY_OK;
}

static MikeyChain
policy_chain(const MikeyTicketPayload *payload)
{
    MikeyReader r = mikey_reader(payload->tp_data);
    uint8_t first = mikey_read_u8(&r);

    return mikey_chain(r, first, MIKEY_MAX_POLICY_CHAIN);
}

static MikeyStatus
policy_count(const MikeyTicketPayload *payload, PolicyCount *count)
{
    MikeyChain chain = policy_chain(payload);
    MikeyPayload p;

    while (mikey_chain_next(&chain, &p)) {
        MikeyStatus status = count_one(&p, count);

        if (status != MIKEY_OK)
            return status;
    }
    if (chain.status != MIKEY_OK)
        return chain.status;
    return count->n_responders > 0 ? MIKEY_OK : MIKEY_MISSING;
}

/* Seconds since 1970 out of a TRs or TRe */
static MikeyStatus
moment_read(const MikeyTimestamp *tr, bool *out_has, int64_t *out_unix)
{
    if (tr->type == MIKEY_TS_COUNTER)
        return MIKEY_BAD_TIME;
    *out_has = true;
    *out_unix = mikey_ntp32_to_unix((uint32_t)(mikey_timestamp_iv(tr) >> 32));
    return MIKEY_OK;
}

static MikeyStatus
policy_time_read(const MikeyTimestamp *tr, MikeyPolicy *policy)
{
    switch (tr->role) {
    case MIKEY_TR_START:
        return moment_read(tr, &policy->has_start, &policy->start_unix);
    case MIKEY_TR_END:
        return moment_read(tr, &policy->has_end, &policy->end_unix);
    case MIKEY_TR_REKEY:
        /* a plain number of seconds, so no other type makes sense */
        if (tr->type != MIKEY_TS_NTP_UTC_32)
            return MIKEY_BAD_TIME;
        policy->rekey_s = (uint32_t)tr->value;
        return MIKEY_OK;
    default:
        return MIKEY_OK;
    }
}

static MikeyStatus
policy_fill_one(const MikeyPayload *p, MikeyPolicyStore *store)
{
    MikeyPolicy *policy = &store->policy;
    MikeyIdentity id;

    if (p->number == MIKEY_TR)
        return policy_time_read(&p->u.timestamp, policy);
    if (p->number == MIKEY_KEMAC) {
        policy->has_wishes = true;
        return wishes_read(&p->u.kemac, store->wishes, &policy->n_wishes);
    }
    if (p->number != MIKEY_IDR)
        return MIKEY_OK;

    id.type = p->u.id.type;
    id.data = p->u.id.data;
    if (p->u.id.role == MIKEY_IDR_KMS)
        policy->kms = id;
    else if (p->u.id.role == MIKEY_IDR_INITIATOR)
        policy->initiator = id;
    else if (p->u.id.role == MIKEY_IDR_APPLICATION)
        store->ids[policy->n_applications++] = id;
    return MIKEY_OK;
}

/* Second walk: the arrays have their size, nothing can be more than was counted */
static MikeyStatus
policy_fill(const MikeyTicketPayload *payload, const PolicyCount *count, MikeyPolicyStore *store)
{
    MikeyChain chain = policy_chain(payload);
    MikeyPolicy *policy = &store->policy;
    MikeyPayload p;
    MikeyStatus status = MIKEY_OK;

    policy->ticket_type = payload->ticket_type;
    policy->subtype = payload->subtype;
    policy->version = payload->version;
    policy->prf = payload->prf;
    policy->flags = payload->flags;
    policy->applications = store->ids;
    policy->responders = store->ids + count->n_applications;
    policy->wishes = store->wishes;
    while (status == MIKEY_OK && mikey_chain_next(&chain, &p)) {
        if (is_idr(&p, MIKEY_IDR_RESPONDER)) {
            MikeyIdentity id = {p.u.id.type, p.u.id.data};

            store->ids[count->n_applications + policy->n_responders++] = id;
        } else {
            status = policy_fill_one(&p, store);
        }
    }
    return status;
}

MikeyStatus
mikey_policy_read(const MikeyTicketPayload *payload, MikeyPolicyStore *out_store)
{
    MikeyPolicyStore store = {.ids = NULL};
    PolicyCount count = {.seen = 0};
    MikeyStatus status = policy_count(payload, &count);

    if (status != MIKEY_OK)
        return status;
    store.ids = mikey_alloc((count.n_applications + count.n_responders) * sizeof(*store.ids));
    store.wishes = mikey_alloc(count.n_wishes * sizeof(*store.wishes));
    if (store.ids == NULL || store.wishes == NULL)
        status = MIKEY_NO_MEMORY;
    else
        status = policy_fill(payload, &count, &store);
    if (status != MIKEY_OK) {
        mikey_policy_store_clear(&store);
        return status;
    }
    *out_store = store;
    return MIKEY_OK;
}

void
mikey_policy_store_clear(MikeyPolicyStore *store)
{
    mikey_release(store->ids);
    mikey_release(store->wishes);
    memset(store, 0, sizeof(*store));
}

/* ---- writing a policy ---- */

static void
link_moment(MikeyLink *link, uint8_t role, uint32_t value)
{
    MikeyPayload p = {.number = MIKEY_TR,
                      .u.timestamp = {.role = role, .type = MIKEY_TS_NTP_UTC_32, .value = value}};

    mikey_link_payload(link, &p);
}

/* Templates are keys whose octets are all zero */
static void
link_wishes(MikeyLink *link, const MikeyPolicy *policy)
{
    MikeyWriter keys = MIKEY_WRITER_INIT;

    for (size_t i = 0; i < policy->n_wishes; i++) {
        const MikeyKeyWish *wish = &policy->wishes[i];
        MikeyKeyData data = {.type = wish->type,
                             .kv = wish->spi_len > 0 ? MIKEY_KV_SPI : MIKEY_KV_NONE,
                             .spi_len = wish->spi_len};

        if (wish->key_len > MIKEY_MAX_KEY || wish->salt_len > MIKEY_MAX_KEY)
            keys.bad = MIKEY_ARGUMENT;
        data.key.len = wish->key_len;
        data.salt.len = wish->salt_len;
        memcpy(data.spi, wish->spi, wish->spi_len);
        if (keys.bad == MIKEY_OK)
            mikey_key_data_write(&keys, i + 1 < policy->n_wishes ? MIKEY_KEY_DATA : MIKEY_LAST,
                                 &data);
    }
    if (keys.bad != MIKEY_OK && link->w->bad == MIKEY_OK)
        link->w->bad = keys.bad;
    mikey_link_kemac(link, MIKEY_ENCR_NULL, mikey_writer_octets(&keys));
    mikey_writer_clear(&keys);
}

static void
tp_data_write(MikeyWriter *w, const MikeyPolicy *policy)
{
    MikeyLink link;

    mikey_write_u8(w, MIKEY_LAST);
    link = mikey_link(w, w->len > 0 ? w->len - 1 : 0);
    if (policy->kms.data.len > 0)
        mikey_link_id(&link, MIKEY_IDR_KMS, &policy->kms);
    if (policy->initiator.data.len > 0)
        mikey_link_id(&link, MIKEY_IDR_INITIATOR, &policy->initiator);
    if (policy->has_start)
        link_moment(&link, MIKEY_TR_START, mikey_ntp32_from_unix(policy->start_unix));
    if (policy->has_end)
        link_moment(&link, MIKEY_TR_END, mikey_ntp32_from_unix(policy->end_unix));
    if (policy->rekey_s > 0)
        link_moment(&link, MIKEY_TR_REKEY, policy->rekey_s);
    if (policy->has_wishes)
        link_wishes(&link, policy);
    for (size_t i = 0; i < policy->n_applications; i++)
        mikey_link_id(&link, MIKEY_IDR_APPLICATION, &policy->applications[i]);
    for (size_t i = 0; i < policy->n_responders; i++)
        mikey_link_id(&link, MIKEY_IDR_RESPONDER, &policy->responders[i]);
}

void
mikey_policy_write(MikeyWriter *w, const MikeyPolicy *policy)
{
    MikeyWriter data = MIKEY_WRITER_INIT;
    uint32_t flags = (uint32_t)policy->prf << 17 | (policy->flags & MIKEY_FLAGS_ALL);

    tp_data_write(&data, policy);
    if (data.bad != MIKEY_OK && w->bad == MIKEY_OK)
        w->bad = data.bad;
    mikey_write_u16(w, policy->ticket_type);
    mikey_write_u8(w, policy->subtype);
    mikey_write_u8(w, policy->version);
    mikey_write_u8(w, (uint8_t)(flags >> 16));
    mikey_write_u16(w, (uint16_t)flags);
    mikey_write_lv16(w, mikey_writer_octets(&data));
    mikey_writer_clear(&data);
}

/* ---- judging a policy ---- */

/* RFC 6043 section 6.10: with @when clear or set, @then must be set */
static const struct {
    uint32_t when;
    bool when_set;
    uint32_t then;
} flag_rules[] = {
    {MIKEY_FLAG_D, false, MIKEY_FLAG_L}, {MIKEY_FLAG_G, true, MIKEY_FLAG_F},
    {MIKEY_FLAG_G, false, MIKEY_FLAG_H}, {MIKEY_FLAG_I, true, MIKEY_FLAG_E},
    {MIKEY_FLAG_K, true, MIKEY_FLAG_D},  {MIKEY_FLAG_M, true, MIKEY_FLAG_F},
};

MikeyStatus
mikey_flags_check(uint32_t flags)
{
    for (size_t i = 0; i < sizeof(flag_rules) / sizeof(flag_rules[0]); i++) {
        bool set = (flags & flag_rules[i].when) != 0;

        if (set == flag_rules[i].when_set && (flags & flag_rules[i].then) == 0)
            return MIKEY_BAD_FLAGS;
    }
    return MIKEY_OK;
}

static bool
type_is_known(const MikeyPolicy *policy, const MikeyEnv *env)
{
    const uint32_t plain = MIKEY_FLAG_N | MIKEY_FLAG_O;

    for (size_t i = 0; i < env->n_known_types; i++) {
        if (env->known_types[i] == policy->ticket_type)
            return true;
    }
    if (policy->ticket_type == MIKEY_TICKET_BASE)
        return policy->subtype == 1 && policy->version == 1 && (policy->flags & plain) == plain;
    return policy->ticket_type == MIKEY_TICKET_3GPP && (policy->flags & plain) == plain;
}

static bool
is_valid_now(const MikeyPolicy *policy, const MikeyEnv *env)
{
    int64_t now = mikey_ntp_to_unix_us(env->now) / 1000000;
    int64_t skew = mikey_env_skew(env);

    if (policy->has_start && now + skew < policy->start_unix)
        return false;
    return !policy->has_end || now - skew <= policy->end_unix;
}

MikeyStatus
mikey_policy_check(const MikeyPolicy *policy, bool granted, const MikeyEnv *env)
{
    uint32_t flags = granted ? policy->flags : policy->flags & ~MIKEY_FLAG_K;
    MikeyStatus status = mikey_suite_check(policy->prf, env);

    if (!type_is_known(policy, env))
        return MIKEY_BAD_TICKET;
    if (status != MIKEY_OK)
        return status;
    status = mikey_flags_check(flags);
    if (status != MIKEY_OK)
        return status;
    if (!is_valid_now(policy, env))
        return MIKEY_NOT_VALID;
    if (policy->has_start && policy->has_end && policy->end_unix < policy->start_unix)
        return MIKEY_NOT_VALID;
    if (policy->n_responders == 0)
        return MIKEY_MISSING;
    return granted && policy->has_wishes ? MIKEY_BAD_POLICY : MIKEY_OK;
}

bool
mikey_policy_names_responder(const MikeyPolicy *policy, const MikeyIdentity *responder)
{
    for (size_t i = 0; i < policy->n_responders; i++) {
        if (mikey_identity_equal(&policy->responders[i], responder))
            return true;
    }
    return false;
}

bool
mikey_policy_allows_application(const MikeyPolicy *policy, MikeyBytes application)
{
    for (size_t i = 0; i < policy->n_applications; i++) {
        if (mikey_bytes_equal(policy->applications[i].data, application))
            return true;
    }
    return policy->n_applications == 0;
}

/* ---- the ticket ---- */

MikeyStatus
mikey_ticket_parse(MikeyBytes octets, MikeyTicket **out_ticket)
{
    MikeyTicket *ticket = mikey_alloc(sizeof(*ticket));
    MikeyReader r;
    uint8_t next;
    MikeyStatus status;

    if (ticket == NULL)
        return MIKEY_NO_MEMORY;
    status = mikey_buffer_set(&ticket->octets, octets);
    if (status == MIKEY_OK) {
        r = mikey_reader(mikey_buffer_bytes(&ticket->octets));
        status = mikey_ticket_read(&r, &next, &ticket->payload);
        if (status == MIKEY_OK && r.left > 0)
            status = MIKEY_TRAILING;
    }
    if (status == MIKEY_OK)
        status = mikey_policy_read(&ticket->payload, &ticket->store);
    if (status != MIKEY_OK) {
        mikey_ticket_free(ticket);
        return status;
    }
    *out_ticket = ticket;
    return MIKEY_OK;
}

MikeyStatus
mikey_ticket_copy(const MikeyTicket *ticket, MikeyTicket **out_ticket)
{
    return mikey_ticket_parse(mikey_ticket_octets(ticket), out_ticket);
}

void
mikey_ticket_free(MikeyTicket *ticket)
{
    if (ticket == NULL)
        return;
    mikey_policy_store_clear(&ticket->store);
    mikey_buffer_clear(&ticket->octets);
    mikey_release(ticket);
}

MikeyBytes
mikey_ticket_octets(const MikeyTicket *ticket)
{
    return mikey_buffer_bytes(&ticket->octets);
}

const MikeyPolicy *
mikey_ticket_policy(const MikeyTicket *ticket)
{
    return &ticket->store.policy;
}

const MikeyTicketPayload *
mikey_ticket_payload(const MikeyTicket *ticket)
{
    return &ticket->payload;
}

MikeyStatus
mikey_ticket_digest(const MikeyTicket *ticket, uint8_t out_digest[MIKEY_DIGEST_LEN])
{
    MikeyReader r = mikey_reader(mikey_ticket_octets(ticket));
    size_t not_covered = POLICY_AT + 2 + ticket->payload.initiator_data.len;

    mikey_read_bytes(&r, POLICY_AT);
    return mikey_digest(mikey_read_bytes(&r, ticket->octets.len - not_covered), out_digest);
}

/* ---- Initiator Data ---- */

MikeyStatus
mikey_initiator_data_read(MikeyBytes octets, MikeyInitiatorData *out)
{
    MikeyReader r = mikey_reader(octets);
    uint8_t first = mikey_read_u8(&r);
    MikeyChain chain = mikey_chain(r, first, 2);
    MikeyPayload vi, vr, none;

    if (octets.len == 0)
        return MIKEY_TRUNCATED;
    if (first != MIKEY_V || !mikey_chain_next(&chain, &vi))
        return chain.status != MIKEY_OK ? chain.status : MIKEY_MALFORMED;
    if (vi.next != MIKEY_V || !mikey_chain_next(&chain, &vr))
        return chain.status != MIKEY_OK ? chain.status : MIKEY_MALFORMED;
    if (vr.next != MIKEY_LAST)
        return MIKEY_MALFORMED;
    if (mikey_chain_next(&chain, &none) || chain.status != MIKEY_OK)
        return MIKEY_TRAILING;
    out->vi = vi.u.v;
    out->vr = vr.u.v;
    out->covered = mikey_bytes(octets.data, octets.len - vr.u.v.mac.len);
    return MIKEY_OK;
}

size_t
mikey_initiator_data_len(uint8_t mac_alg)
{
    return 1 + 2 * (2 + mikey_mac_len(mac_alg));
}

MikeyStatus
mikey_initiator_data_check(const MikeyTicket *ticket)
{
    bool forked = (ticket->payload.flags & MIKEY_FLAG_I) != 0;
    MikeyBytes octets = ticket->payload.initiator_data;
    MikeyInitiatorData data;
    MikeyStatus status;

    if (forked != (octets.len > 0))
        return MIKEY_POLICY_VIOLATED;
    if (!forked)
        return MIKEY_OK;
    status = mikey_initiator_data_read(octets, &data);
    if (status != MIKEY_OK)
        return status;
    if (data.vi.alg != mikey_suite_mac(ticket->payload.prf) || data.vr.alg != data.vi.alg)
        return MIKEY_BAD_MAC_ALG;
    return MIKEY_OK;
}
