/* SPDX-License-Identifier: Apache-2.0 */
/* libmikey/payload.c - every payload, one read and one write each */
#include <libmikey/private.h>

#include <openssl/crypto.h>
#include <string.h>

#define FLAG_OCTETS_PRF 0xfe0000u
#define FLAG_OCTETS_RESERVED 0x1fu

/* Length of a value whose length follows from a number before it */
typedef struct Size {
    uint8_t number;
    uint8_t len;
} Size;

static const Size mac_sizes[] = {
    {MIKEY_MAC_NULL, 0},
    {MIKEY_MAC_HMAC_SHA_1_160, 20},
    {MIKEY_MAC_HMAC_SHA_256_256, 32},
};
static const Size ts_sizes[] = {
    {MIKEY_TS_NTP_UTC, 8},
    {MIKEY_TS_NTP, 8},
    {MIKEY_TS_COUNTER, 4},
    {MIKEY_TS_NTP_UTC_32, 4},
};
static const Size hash_sizes[] = {{0, 20}, {1, 16}, {2, 32}};
static const Size dh_sizes[] = {{0, 192}, {1, 96}, {2, 128}};

#define N_ELEMENTS(table) (sizeof(table) / sizeof((table)[0]))

static bool
find_size(const Size *table, size_t n, uint8_t number, size_t *out_len)
{
    for (size_t i = 0; i < n; i++) {
        if (table[i].number == number) {
            *out_len = table[i].len;
            return true;
        }
    }
    return false;
}

#define SIZE_OF(table, number, out_len) find_size(table, N_ELEMENTS(table), number, out_len)

size_t
mikey_mac_len(uint8_t alg)
{
    size_t len = 0;

    SIZE_OF(mac_sizes, alg, &len);
    return len;
}

/* A value that must have the length its number says; anything else cannot be written */
static void
write_sized(MikeyWriter *w, bool known, size_t len, MikeyBytes value)
{
    if (w->bad == MIKEY_OK && (!known || len != value.len))
        w->bad = MIKEY_ARGUMENT;
    mikey_write_bytes(w, value);
}

/* ---- KEMAC ---- */

MikeyStatus
mikey_kemac_read(MikeyReader *r, uint8_t *out_next, MikeyKemac *out)
{
    uint8_t next = mikey_read_u8(r);
    MikeyKemac kemac = {.encr_alg = mikey_read_u8(r)};
    size_t mac_len = 0;

    kemac.encr_data = mikey_read_lv16(r);
    kemac.mac_alg = mikey_read_u8(r);
    if (r->bad)
        return MIKEY_TRUNCATED;
    if (!SIZE_OF(mac_sizes, kemac.mac_alg, &mac_len))
        return MIKEY_BAD_MAC_ALG;
    kemac.mac = mikey_read_bytes(r, mac_len);
    if (r->bad)
        return MIKEY_TRUNCATED;

    *out_next = next;
    *out = kemac;
    return MIKEY_OK;
}

void
mikey_kemac_write(MikeyWriter *w, uint8_t next, const MikeyKemac *kemac)
{
    size_t mac_len = 0;
    bool known = SIZE_OF(mac_sizes, kemac->mac_alg, &mac_len);

    mikey_write_u8(w, next);
    mikey_write_u8(w, kemac->encr_alg);
    mikey_write_lv16(w, kemac->encr_data);
    mikey_write_u8(w, kemac->mac_alg);
    write_sized(w, known, mac_len, kemac->mac);
}

/* ---- PKE ---- */

MikeyStatus
mikey_pke_read(MikeyReader *r, uint8_t *out_next, MikeyPke *out)
{
    uint8_t next = mikey_read_u8(r);
    uint16_t c_and_len = mikey_read_u16(r);
    MikeyBytes data = mikey_read_bytes(r, c_and_len & 0x3fffu);

    if (r->bad)
        return MIKEY_TRUNCATED;
    *out_next = next;
    out->cache = (uint8_t)(c_and_len >> 14);
    out->data = data;
    return MIKEY_OK;
}

void
mikey_pke_write(MikeyWriter *w, uint8_t next, const MikeyPke *pke)
{
    mikey_write_u8(w, next);
    if (w->bad == MIKEY_OK && (pke->data.len > 0x3fffu || pke->cache > 3))
        w->bad = MIKEY_ARGUMENT;
    mikey_write_u16(w, (uint16_t)((unsigned)pke->cache << 14 | (unsigned)pke->data.len));
    mikey_write_bytes(w, pke->data);
}

/* ---- DH ---- */

MikeyStatus
mikey_dh_read(MikeyReader *r, uint8_t *out_next, MikeyDh *out)
{
    uint8_t next = mikey_read_u8(r);
    MikeyDh dh = {.group = mikey_read_u8(r)};
    size_t len = 0;
    uint8_t kv;

    if (r->bad)
        return MIKEY_TRUNCATED;
    if (!SIZE_OF(dh_sizes, dh.group, &len))
        return MIKEY_BAD_DH_GROUP;
    dh.value = mikey_read_bytes(r, len);
    kv = mikey_read_u8(r);
    dh.reserved = (uint8_t)(kv >> 4);
    dh.kv = kv & 0x0fu;
    if (dh.kv == MIKEY_KV_SPI) {
        dh.spi = mikey_read_lv8(r);
    } else if (dh.kv == MIKEY_KV_INTERVAL) {
        dh.valid_from = mikey_read_lv8(r);
        dh.valid_to = mikey_read_lv8(r);
    } else if (dh.kv != MIKEY_KV_NONE) {
        return MIKEY_MALFORMED;
    }
    if (r->bad)
        return MIKEY_TRUNCATED;

    *out_next = next;
    *out = dh;
    return MIKEY_OK;
}

void
mikey_dh_write(MikeyWriter *w, uint8_t next, const MikeyDh *dh)
{
    size_t len = 0;
    bool known = SIZE_OF(dh_sizes, dh->group, &len);

    mikey_write_u8(w, next);
    mikey_write_u8(w, dh->group);
    write_sized(w, known, len, dh->value);
    mikey_write_u8(w, (uint8_t)((unsigned)dh->reserved << 4 | (dh->kv & 0x0fu)));
    if (dh->kv == MIKEY_KV_SPI) {
        mikey_write_lv8(w, dh->spi);
    } else if (dh->kv == MIKEY_KV_INTERVAL) {
        mikey_write_lv8(w, dh->valid_from);
        mikey_write_lv8(w, dh->valid_to);
    }
}

/* ---- SIGN: the only one without Next payload ---- */

MikeyStatus
mikey_sign_read(MikeyReader *r, MikeySign *out)
{
    uint16_t type_and_len = mikey_read_u16(r);
    MikeyBytes signature = mikey_read_bytes(r, type_and_len & 0x0fffu);

    if (r->bad)
        return MIKEY_TRUNCATED;
    out->type = (uint8_t)(type_and_len >> 12);
    out->signature = signature;
    return MIKEY_OK;
}

void
mikey_sign_write(MikeyWriter *w, const MikeySign *sign)
{
    if (w->bad == MIKEY_OK && (sign->signature.len > 0x0fffu || sign->type > 15))
        w->bad = MIKEY_ARGUMENT;
    mikey_write_u16(w, (uint16_t)((unsigned)sign->type << 12 | (unsigned)sign->signature.len));
    mikey_write_bytes(w, sign->signature);
}

/* ---- T and TR ---- */

/* From TS type on */
static MikeyStatus
timestamp_read(MikeyReader *r, MikeyTimestamp *t)
{
    size_t len = 0;

    t->type = mikey_read_u8(r);
    if (r->bad)
        return MIKEY_TRUNCATED;
    if (!SIZE_OF(ts_sizes, t->type, &len))
        return MIKEY_BAD_TIME;
    t->value = len == 8 ? mikey_read_u64(r) : mikey_read_u32(r);
    return r->bad ? MIKEY_TRUNCATED : MIKEY_OK;
}

static void
timestamp_write(MikeyWriter *w, const MikeyTimestamp *t)
{
    size_t len = 0;

    mikey_write_u8(w, t->type);
    if (!SIZE_OF(ts_sizes, t->type, &len) || (len == 4 && t->value > UINT32_MAX))
        w->bad = w->bad != MIKEY_OK ? w->bad : MIKEY_ARGUMENT;
    else if (len == 8)
        mikey_write_u64(w, t->value);
    else
        mikey_write_u32(w, (uint32_t)t->value);
}

MikeyStatus
mikey_t_read(MikeyReader *r, uint8_t *out_next, MikeyTimestamp *out)
{
    uint8_t next = mikey_read_u8(r);
    MikeyTimestamp t = {.role = 0};
    MikeyStatus status = timestamp_read(r, &t);

    if (status != MIKEY_OK)
        return status;
    *out_next = next;
    *out = t;
    return MIKEY_OK;
}

void
mikey_t_write(MikeyWriter *w, uint8_t next, const MikeyTimestamp *t)
{
    mikey_write_u8(w, next);
    timestamp_write(w, t);
}

MikeyStatus
mikey_tr_read(MikeyReader *r, uint8_t *out_next, MikeyTimestamp *out)
{
    uint8_t next = mikey_read_u8(r);
    MikeyTimestamp tr = {.role = mikey_read_u8(r)};
    MikeyStatus status = timestamp_read(r, &tr);

    if (status != MIKEY_OK)
        return status;
    *out_next = next;
    *out = tr;
    return MIKEY_OK;
}

void
mikey_tr_write(MikeyWriter *w, uint8_t next, const MikeyTimestamp *tr)
{
    mikey_write_u8(w, next);
    mikey_write_u8(w, tr->role);
    timestamp_write(w, tr);
}

/* ---- ID, IDR, CERT: a type and a long value ---- */

static MikeyStatus
typed_read(MikeyReader *r, uint8_t *out_type, MikeyBytes *out_data)
{
    uint8_t type = mikey_read_u8(r);
    MikeyBytes data = mikey_read_lv16(r);

    if (r->bad)
        return MIKEY_TRUNCATED;
    *out_type = type;
    *out_data = data;
    return MIKEY_OK;
}

static void
typed_write(MikeyWriter *w, uint8_t type, MikeyBytes data)
{
    mikey_write_u8(w, type);
    mikey_write_lv16(w, data);
}

MikeyStatus
mikey_id_read(MikeyReader *r, uint8_t *out_next, MikeyId *out)
{
    uint8_t next = mikey_read_u8(r);
    MikeyId id = {.role = 0};
    MikeyStatus status = typed_read(r, &id.type, &id.data);

    if (status != MIKEY_OK)
        return status;
    *out_next = next;
    *out = id;
    return MIKEY_OK;
}

void
mikey_id_write(MikeyWriter *w, uint8_t next, const MikeyId *id)
{
    mikey_write_u8(w, next);
    typed_write(w, id->type, id->data);
}

MikeyStatus
mikey_idr_read(MikeyReader *r, uint8_t *out_next, MikeyId *out)
{
    uint8_t next = mikey_read_u8(r);
    MikeyId idr = {.role = mikey_read_u8(r)};
    MikeyStatus status = typed_read(r, &idr.type, &idr.data);

    if (status != MIKEY_OK)
        return status;
    *out_next = next;
    *out = idr;
    return MIKEY_OK;
}

void
mikey_idr_write(MikeyWriter *w, uint8_t next, const MikeyId *idr)
{
    mikey_write_u8(w, next);
    mikey_write_u8(w, idr->role);
    typed_write(w, idr->type, idr->data);
}

MikeyStatus
mikey_cert_read(MikeyReader *r, uint8_t *out_next, MikeyCert *out)
{
    uint8_t next = mikey_read_u8(r);
    MikeyCert cert;
    MikeyStatus status = typed_read(r, &cert.type, &cert.data);

    if (status != MIKEY_OK)
        return status;
    *out_next = next;
    *out = cert;
    return MIKEY_OK;
}

void
mikey_cert_write(MikeyWriter *w, uint8_t next, const MikeyCert *cert)
{
    mikey_write_u8(w, next);
    typed_write(w, cert->type, cert->data);
}

/* ---- CHASH ---- */

MikeyStatus
mikey_chash_read(MikeyReader *r, uint8_t *out_next, MikeyChash *out)
{
    uint8_t next = mikey_read_u8(r);
    MikeyChash chash = {.func = mikey_read_u8(r)};
    size_t len = 0;

    if (r->bad)
        return MIKEY_TRUNCATED;
    if (!SIZE_OF(hash_sizes, chash.func, &len))
        return MIKEY_BAD_HASH;
    chash.hash = mikey_read_bytes(r, len);
    if (r->bad)
        return MIKEY_TRUNCATED;
    *out_next = next;
    *out = chash;
    return MIKEY_OK;
}

void
mikey_chash_write(MikeyWriter *w, uint8_t next, const MikeyChash *chash)
{
    size_t len = 0;
    bool known = SIZE_OF(hash_sizes, chash->func, &len);

    mikey_write_u8(w, next);
    mikey_write_u8(w, chash->func);
    write_sized(w, known, len, chash->hash);
}

/* ---- V ---- */

MikeyStatus
mikey_v_read(MikeyReader *r, uint8_t *out_next, MikeyV *out)
{
    uint8_t next = mikey_read_u8(r);
    MikeyV v = {.alg = mikey_read_u8(r)};
    size_t len = 0;

    if (r->bad)
        return MIKEY_TRUNCATED;
    if (!SIZE_OF(mac_sizes, v.alg, &len))
        return MIKEY_BAD_MAC_ALG;
    v.mac = mikey_read_bytes(r, len);
    if (r->bad)
        return MIKEY_TRUNCATED;
    *out_next = next;
    *out = v;
    return MIKEY_OK;
}

void
mikey_v_write(MikeyWriter *w, uint8_t next, const MikeyV *v)
{
    size_t len = 0;
    bool known = SIZE_OF(mac_sizes, v->alg, &len);

    mikey_write_u8(w, next);
    mikey_write_u8(w, v->alg);
    write_sized(w, known, len, v->mac);
}

/* ---- SP ---- */

MikeyStatus
mikey_sp_read(MikeyReader *r, uint8_t *out_next, MikeySp *out)
{
    uint8_t next = mikey_read_u8(r);
    MikeySp sp = {.policy_no = mikey_read_u8(r)};
    MikeyReader params;

    sp.prot = mikey_read_u8(r);
    sp.params = mikey_read_lv16(r);
    if (r->bad)
        return MIKEY_TRUNCATED;

    params = mikey_reader(sp.params);
    while (params.left > 0) {
        mikey_read_u8(&params);
        mikey_read_lv8(&params);
    }
    if (params.bad)
        return MIKEY_TRUNCATED;
    *out_next = next;
    *out = sp;
    return MIKEY_OK;
}

void
mikey_sp_write(MikeyWriter *w, uint8_t next, const MikeySp *sp)
{
    mikey_write_u8(w, next);
    mikey_write_u8(w, sp->policy_no);
    mikey_write_u8(w, sp->prot);
    mikey_write_lv16(w, sp->params);
}

/* ---- RAND and RANDR ---- */

MikeyStatus
mikey_rand_read(MikeyReader *r, uint8_t *out_next, MikeyRand *out)
{
    uint8_t next = mikey_read_u8(r);
    MikeyRand rand = {.role = 0, .rand = mikey_read_lv8(r)};

    if (r->bad)
        return MIKEY_TRUNCATED;
    *out_next = next;
    *out = rand;
    return MIKEY_OK;
}

void
mikey_rand_write(MikeyWriter *w, uint8_t next, const MikeyRand *rand)
{
    mikey_write_u8(w, next);
    mikey_write_lv8(w, rand->rand);
}

MikeyStatus
mikey_randr_read(MikeyReader *r, uint8_t *out_next, MikeyRand *out)
{
    uint8_t next = mikey_read_u8(r);
    MikeyRand rand = {.role = mikey_read_u8(r)};

    rand.rand = mikey_read_lv8(r);
    if (r->bad)
        return MIKEY_TRUNCATED;
    *out_next = next;
    *out = rand;
    return MIKEY_OK;
}

void
mikey_randr_write(MikeyWriter *w, uint8_t next, const MikeyRand *rand)
{
    mikey_write_u8(w, next);
    mikey_write_u8(w, rand->role);
    mikey_write_lv8(w, rand->rand);
}

/* ---- ERR ---- */

MikeyStatus
mikey_err_read(MikeyReader *r, uint8_t *out_next, MikeyErr *out)
{
    uint8_t next = mikey_read_u8(r);
    MikeyErr err = {.number = mikey_read_u8(r)};

    err.reserved = mikey_read_u16(r);
    if (r->bad)
        return MIKEY_TRUNCATED;
    *out_next = next;
    *out = err;
    return MIKEY_OK;
}

void
mikey_err_write(MikeyWriter *w, uint8_t next, const MikeyErr *err)
{
    mikey_write_u8(w, next);
    mikey_write_u8(w, err->number);
    mikey_write_u16(w, err->reserved);
}

/* ---- TP and TICKET ---- */

static MikeyStatus
policy_part_read(MikeyReader *r, MikeyTicketPayload *out)
{
    uint32_t flags;

    out->ticket_type = mikey_read_u16(r);
    out->subtype = mikey_read_u8(r);
    out->version = mikey_read_u8(r);
    flags = (uint32_t)mikey_read_u8(r) << 16;
    flags |= mikey_read_u16(r);
    out->tp_data = mikey_read_lv16(r);
    if (r->bad)
        return MIKEY_TRUNCATED;
    /* its first octet, the number of the first payload, counts */
    if (out->tp_data.len == 0)
        return MIKEY_MALFORMED;

    out->prf = (uint8_t)((flags & FLAG_OCTETS_PRF) >> 17);
    out->flags = flags & MIKEY_FLAGS_ALL;
    out->reserved = (uint8_t)(flags & FLAG_OCTETS_RESERVED);
    return MIKEY_OK;
}

static void
policy_part_write(MikeyWriter *w, const MikeyTicketPayload *payload)
{
    uint32_t flags = ((uint32_t)payload->prf << 17 & FLAG_OCTETS_PRF) |
                     (payload->flags & MIKEY_FLAGS_ALL) |
                     (payload->reserved & FLAG_OCTETS_RESERVED);

    mikey_write_u16(w, payload->ticket_type);
    mikey_write_u8(w, payload->subtype);
    mikey_write_u8(w, payload->version);
    mikey_write_u8(w, (uint8_t)(flags >> 16));
    mikey_write_u16(w, (uint16_t)flags);
    mikey_write_lv16(w, payload->tp_data);
}

MikeyStatus
mikey_tp_read(MikeyReader *r, uint8_t *out_next, MikeyTicketPayload *out)
{
    uint8_t next = mikey_read_u8(r);
    MikeyTicketPayload tp = {.ticket_type = 0};
    MikeyStatus status = policy_part_read(r, &tp);

    if (status != MIKEY_OK)
        return status;
    *out_next = next;
    *out = tp;
    return MIKEY_OK;
}

void
mikey_tp_write(MikeyWriter *w, uint8_t next, const MikeyTicketPayload *tp)
{
    mikey_write_u8(w, next);
    policy_part_write(w, tp);
}

MikeyStatus
mikey_ticket_read(MikeyReader *r, uint8_t *out_next, MikeyTicketPayload *out)
{
    uint8_t next = mikey_read_u8(r);
    MikeyTicketPayload ticket = {.ticket_type = 0};
    MikeyStatus status = policy_part_read(r, &ticket);

    if (status != MIKEY_OK)
        return status;
    ticket.ticket_data = mikey_read_lv16(r);
    ticket.initiator_data = mikey_read_lv16(r);
    if (r->bad)
        return MIKEY_TRUNCATED;
    *out_next = next;
    *out = ticket;
    return MIKEY_OK;
}

void
mikey_ticket_write(MikeyWriter *w, uint8_t next, const MikeyTicketPayload *ticket)
{
    mikey_write_u8(w, next);
    policy_part_write(w, ticket);
    mikey_write_lv16(w, ticket->ticket_data);
    mikey_write_lv16(w, ticket->initiator_data);
}

/* ---- General Extension ---- */

MikeyStatus
mikey_ext_read(MikeyReader *r, uint8_t *out_next, MikeyExt *out)
{
    uint8_t next = mikey_read_u8(r);
    MikeyExt ext;
    MikeyStatus status = typed_read(r, &ext.type, &ext.data);

    if (status != MIKEY_OK)
        return status;
    *out_next = next;
    *out = ext;
    return MIKEY_OK;
}

void
mikey_ext_write(MikeyWriter *w, uint8_t next, const MikeyExt *ext)
{
    mikey_write_u8(w, next);
    typed_write(w, ext->type, ext->data);
}

/* ---- key data ---- */

static const struct {
    const char *name;
    bool salted;
} key_types[] = {
    [MIKEY_KEY_TGK] = {"TGK", false},   [MIKEY_KEY_TGK_SALT] = {"TGK+SALT", true},
    [MIKEY_KEY_TEK] = {"TEK", false},   [MIKEY_KEY_TEK_SALT] = {"TEK+SALT", true},
    [MIKEY_KEY_GTGK] = {"GTGK", false}, [MIKEY_KEY_GTGK_SALT] = {"GTGK+SALT", true},
    [MIKEY_KEY_MPK] = {"MPK", false},
};

const char *
mikey_key_type_string(MikeyKeyType type)
{
    return (size_t)type < N_ELEMENTS(key_types) ? key_types[type].name : "unknown";
}

void
mikey_key_data_clear(MikeyKeyData *key)
{
    OPENSSL_cleanse(key, sizeof(*key));
}

static void
copy_lv8(MikeyBytes from, uint8_t *to, uint8_t *to_len)
{
    if (from.len > 0)
        memcpy(to, from.data, from.len);
    *to_len = (uint8_t)from.len;
}

/* KV data into @key */
static MikeyStatus
validity_read(MikeyReader *r, MikeyKeyData *key)
{
    MikeyBytes from = {NULL, 0}, to = {NULL, 0};

    if (key->kv != MIKEY_KV_NONE)
        from = mikey_read_lv8(r);
    if (key->kv == MIKEY_KV_INTERVAL)
        to = mikey_read_lv8(r);
    if (r->bad)
        return MIKEY_TRUNCATED;
    copy_lv8(from, key->spi, &key->spi_len);
    copy_lv8(to, key->to, &key->to_len);
    return MIKEY_OK;
}

MikeyStatus
mikey_key_data_read(MikeyReader *r, uint8_t *out_next, MikeyKeyData *out)
{
    uint8_t next = mikey_read_u8(r);
    uint8_t type_and_kv = mikey_read_u8(r);
    MikeyBytes key = mikey_read_lv16(r);
    MikeyBytes salt = {NULL, 0};
    MikeyKeyData data = {.type = (MikeyKeyType)(type_and_kv >> 4),
                         .kv = (MikeyKv)(type_and_kv & 0x0fu)};
    MikeyStatus status;

    if (r->bad)
        return MIKEY_TRUNCATED;
    if ((size_t)data.type >= N_ELEMENTS(key_types) || data.kv > MIKEY_KV_INTERVAL)
        return MIKEY_MALFORMED;
    if (key_types[data.type].salted)
        salt = mikey_read_lv16(r);
    status = validity_read(r, &data);
    if (status != MIKEY_OK)
        return status;
    if (key.len > MIKEY_MAX_KEY || salt.len > MIKEY_MAX_KEY)
        return MIKEY_TOO_LARGE;

    mikey_key_set(&data.key, key.data, key.len);
    mikey_key_set(&data.salt, salt.data, salt.len);
    *out_next = next;
    *out = data;
    mikey_key_data_clear(&data);
    return MIKEY_OK;
}

void
mikey_key_data_write(MikeyWriter *w, uint8_t next, const MikeyKeyData *key)
{
    if ((size_t)key->type >= N_ELEMENTS(key_types) || key->kv > MIKEY_KV_INTERVAL) {
        w->bad = w->bad != MIKEY_OK ? w->bad : MIKEY_ARGUMENT;
        return;
    }
    mikey_write_u8(w, next);
    mikey_write_u8(w, (uint8_t)((unsigned)key->type << 4 | (unsigned)key->kv));
    mikey_write_lv16(w, mikey_bytes(key->key.bytes, key->key.len));
    if (key_types[key->type].salted)
        mikey_write_lv16(w, mikey_bytes(key->salt.bytes, key->salt.len));
    if (key->kv != MIKEY_KV_NONE)
        mikey_write_lv8(w, mikey_bytes(key->spi, key->spi_len));
    if (key->kv == MIKEY_KV_INTERVAL)
        mikey_write_lv8(w, mikey_bytes(key->to, key->to_len));
}

static void
clear_keys(MikeyKeyData *keys, size_t n_keys)
{
    for (size_t i = 0; i < n_keys; i++)
        mikey_key_data_clear(&keys[i]);
}

MikeyStatus
mikey_key_chain_read(MikeyBytes clear, MikeyKeyData *out_keys, size_t *out_n_keys)
{
    MikeyReader r = mikey_reader(clear);
    uint8_t next = MIKEY_KEY_DATA;
    MikeyStatus status = MIKEY_OK;
    size_t n = 0;

    /* no octets: no keys; otherwise the first one is implied */
    while (clear.len > 0 && next != MIKEY_LAST && status == MIKEY_OK) {
        if (next != MIKEY_KEY_DATA)
            status = MIKEY_UNKNOWN_PAYLOAD;
        else if (n == MIKEY_MAX_KEYS)
            status = MIKEY_TOO_LARGE;
        else
            status = mikey_key_data_read(&r, &next, &out_keys[n]);
        if (status == MIKEY_OK)
            n++;
    }
    if (status == MIKEY_OK && r.left > 0)
        status = MIKEY_TRAILING;
    if (status != MIKEY_OK) {
        clear_keys(out_keys, n);
        return status;
    }
    *out_n_keys = n;
    return MIKEY_OK;
}

void
mikey_key_chain_write(MikeyWriter *w, const MikeyKeyData *keys, size_t n_keys)
{
    for (size_t i = 0; i < n_keys; i++)
        mikey_key_data_write(w, i + 1 < n_keys ? MIKEY_KEY_DATA : MIKEY_LAST, &keys[i]);
}

/* ---- any of them ---- */

static MikeyStatus
kemac_any(MikeyReader *r, MikeyPayload *p)
{
    return mikey_kemac_read(r, &p->next, &p->u.kemac);
}
static void
kemac_out(MikeyWriter *w, uint8_t next, const MikeyPayload *p)
{
    mikey_kemac_write(w, next, &p->u.kemac);
}
static MikeyStatus
pke_any(MikeyReader *r, MikeyPayload *p)
{
    return mikey_pke_read(r, &p->next, &p->u.pke);
}
static void
pke_out(MikeyWriter *w, uint8_t next, const MikeyPayload *p)
{
    mikey_pke_write(w, next, &p->u.pke);
}
static MikeyStatus
dh_any(MikeyReader *r, MikeyPayload *p)
{
    return mikey_dh_read(r, &p->next, &p->u.dh);
}
static void
dh_out(MikeyWriter *w, uint8_t next, const MikeyPayload *p)
{
    mikey_dh_write(w, next, &p->u.dh);
}
static MikeyStatus
sign_any(MikeyReader *r, MikeyPayload *p)
{
    p->next = MIKEY_LAST;
    return mikey_sign_read(r, &p->u.sign);
}
static void
sign_out(MikeyWriter *w, uint8_t next, const MikeyPayload *p)
{
    if (next != MIKEY_LAST && w->bad == MIKEY_OK)
        w->bad = MIKEY_ARGUMENT;
    mikey_sign_write(w, &p->u.sign);
}
static MikeyStatus
t_any(MikeyReader *r, MikeyPayload *p)
{
    return mikey_t_read(r, &p->next, &p->u.timestamp);
}
static void
t_out(MikeyWriter *w, uint8_t next, const MikeyPayload *p)
{
    mikey_t_write(w, next, &p->u.timestamp);
}
static MikeyStatus
id_any(MikeyReader *r, MikeyPayload *p)
{
    return mikey_id_read(r, &p->next, &p->u.id);
}
static void
id_out(MikeyWriter *w, uint8_t next, const MikeyPayload *p)
{
    mikey_id_write(w, next, &p->u.id);
}
static MikeyStatus
cert_any(MikeyReader *r, MikeyPayload *p)
{
    return mikey_cert_read(r, &p->next, &p->u.cert);
}
static void
cert_out(MikeyWriter *w, uint8_t next, const MikeyPayload *p)
{
    mikey_cert_write(w, next, &p->u.cert);
}
static MikeyStatus
chash_any(MikeyReader *r, MikeyPayload *p)
{
    return mikey_chash_read(r, &p->next, &p->u.chash);
}
static void
chash_out(MikeyWriter *w, uint8_t next, const MikeyPayload *p)
{
    mikey_chash_write(w, next, &p->u.chash);
}
static MikeyStatus
v_any(MikeyReader *r, MikeyPayload *p)
{
    return mikey_v_read(r, &p->next, &p->u.v);
}
static void
v_out(MikeyWriter *w, uint8_t next, const MikeyPayload *p)
{
    mikey_v_write(w, next, &p->u.v);
}
static MikeyStatus
sp_any(MikeyReader *r, MikeyPayload *p)
{
    return mikey_sp_read(r, &p->next, &p->u.sp);
}
static void
sp_out(MikeyWriter *w, uint8_t next, const MikeyPayload *p)
{
    mikey_sp_write(w, next, &p->u.sp);
}
static MikeyStatus
rand_any(MikeyReader *r, MikeyPayload *p)
{
    return mikey_rand_read(r, &p->next, &p->u.rand);
}
static void
rand_out(MikeyWriter *w, uint8_t next, const MikeyPayload *p)
{
    mikey_rand_write(w, next, &p->u.rand);
}
static MikeyStatus
err_any(MikeyReader *r, MikeyPayload *p)
{
    return mikey_err_read(r, &p->next, &p->u.err);
}
static void
err_out(MikeyWriter *w, uint8_t next, const MikeyPayload *p)
{
    mikey_err_write(w, next, &p->u.err);
}
static MikeyStatus
tr_any(MikeyReader *r, MikeyPayload *p)
{
    return mikey_tr_read(r, &p->next, &p->u.timestamp);
}
static void
tr_out(MikeyWriter *w, uint8_t next, const MikeyPayload *p)
{
    mikey_tr_write(w, next, &p->u.timestamp);
}
static MikeyStatus
idr_any(MikeyReader *r, MikeyPayload *p)
{
    return mikey_idr_read(r, &p->next, &p->u.id);
}
static void
idr_out(MikeyWriter *w, uint8_t next, const MikeyPayload *p)
{
    mikey_idr_write(w, next, &p->u.id);
}
static MikeyStatus
randr_any(MikeyReader *r, MikeyPayload *p)
{
    return mikey_randr_read(r, &p->next, &p->u.rand);
}
static void
randr_out(MikeyWriter *w, uint8_t next, const MikeyPayload *p)
{
    mikey_randr_write(w, next, &p->u.rand);
}
static MikeyStatus
tp_any(MikeyReader *r, MikeyPayload *p)
{
    return mikey_tp_read(r, &p->next, &p->u.ticket);
}
static void
tp_out(MikeyWriter *w, uint8_t next, const MikeyPayload *p)
{
    mikey_tp_write(w, next, &p->u.ticket);
}
static MikeyStatus
ticket_any(MikeyReader *r, MikeyPayload *p)
{
    return mikey_ticket_read(r, &p->next, &p->u.ticket);
}
static void
ticket_out(MikeyWriter *w, uint8_t next, const MikeyPayload *p)
{
    mikey_ticket_write(w, next, &p->u.ticket);
}
static MikeyStatus
ext_any(MikeyReader *r, MikeyPayload *p)
{
    return mikey_ext_read(r, &p->next, &p->u.ext);
}
static void
ext_out(MikeyWriter *w, uint8_t next, const MikeyPayload *p)
{
    mikey_ext_write(w, next, &p->u.ext);
}

/* Key data is not here: it lives inside KEMAC alone */
static const struct {
    const char *name;
    MikeyStatus (*read)(MikeyReader *r, MikeyPayload *p);
    void (*write)(MikeyWriter *w, uint8_t next, const MikeyPayload *p);
} payloads[] = {
    [MIKEY_KEMAC] = {"KEMAC", kemac_any, kemac_out},
    [MIKEY_PKE] = {"PKE", pke_any, pke_out},
    [MIKEY_DH] = {"DH", dh_any, dh_out},
    [MIKEY_SIGN] = {"SIGN", sign_any, sign_out},
    [MIKEY_T] = {"T", t_any, t_out},
    [MIKEY_ID] = {"ID", id_any, id_out},
    [MIKEY_CERT] = {"CERT", cert_any, cert_out},
    [MIKEY_CHASH] = {"CHASH", chash_any, chash_out},
    [MIKEY_V] = {"V", v_any, v_out},
    [MIKEY_SP] = {"SP", sp_any, sp_out},
    [MIKEY_RAND] = {"RAND", rand_any, rand_out},
    [MIKEY_ERR] = {"ERR", err_any, err_out},
    [MIKEY_TR] = {"TR", tr_any, tr_out},
    [MIKEY_IDR] = {"IDR", idr_any, idr_out},
    [MIKEY_RANDR] = {"RANDR", randr_any, randr_out},
    [MIKEY_TP] = {"TP", tp_any, tp_out},
    [MIKEY_TICKET] = {"TICKET", ticket_any, ticket_out},
    [MIKEY_GENERAL_EXT] = {"General Extension", ext_any, ext_out},
};

const char *
mikey_payload_string(uint8_t number)
{
    if (number >= N_ELEMENTS(payloads) || payloads[number].name == NULL)
        return "unknown";
    return payloads[number].name;
}

MikeyStatus
mikey_payload_read(MikeyReader *r, uint8_t number, MikeyPayload *out)
{
    MikeyPayload payload = {.number = number};
    const uint8_t *start = r->next;
    size_t left = r->left;
    MikeyStatus status;

    if (number >= N_ELEMENTS(payloads) || payloads[number].read == NULL)
        return MIKEY_UNKNOWN_PAYLOAD;
    status = payloads[number].read(r, &payload);
    if (status != MIKEY_OK)
        return status;
    payload.octets = mikey_bytes(start, left - r->left);
    *out = payload;
    return MIKEY_OK;
}

void
mikey_payload_write(MikeyWriter *w, uint8_t next, const MikeyPayload *payload)
{
    if (payload->number >= N_ELEMENTS(payloads) || payloads[payload->number].write == NULL) {
        w->bad = w->bad != MIKEY_OK ? w->bad : MIKEY_ARGUMENT;
        return;
    }
    payloads[payload->number].write(w, next, payload);
}

MikeyChain
mikey_chain(MikeyReader reader, uint8_t first, size_t limit)
{
    MikeyChain chain = {reader, first, limit, MIKEY_OK};

    return chain;
}

bool
mikey_chain_next(MikeyChain *chain, MikeyPayload *out)
{
    size_t left = chain->reader.left;

    if (chain->status != MIKEY_OK)
        return false;
    if (chain->number == MIKEY_LAST) {
        if (left > 0)
            chain->status = MIKEY_TRAILING;
        return false;
    }
    if (chain->room == 0) {
        chain->status = MIKEY_TOO_LARGE;
        return false;
    }
    chain->status = mikey_payload_read(&chain->reader, chain->number, out);
    if (chain->status != MIKEY_OK)
        return false;
    /* every payload has octets of its own, so a chain cannot stand still */
    if (chain->reader.left >= left) {
        chain->status = MIKEY_MALFORMED;
        return false;
    }
    chain->number = out->next;
    chain->room--;
    return true;
}
