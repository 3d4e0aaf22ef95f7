/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/test-mikey-property.c - what holds for all messages, tried on random ones
 *
 * Also: the library exports what its symbol file says and its headers declare.
 */
#include <libmikey/mikey.h>

#include <glib.h>
#include <string.h>

#define ROUNDS 2000

/* Room for the octets that payloads of one message point to */
typedef struct Pool {
    guint8 octets[1 << 16];
    gsize used;
} Pool;

static MikeyBytes
draw_exactly(Pool *pool, gsize len)
{
    guint8 *start = pool->octets + pool->used;

    g_assert_cmpuint(pool->used + len, <=, sizeof(pool->octets));
    for (gsize i = 0; i < len; i++)
        start[i] = (guint8)g_test_rand_int();
    pool->used += len;
    return mikey_bytes(start, len);
}

static gsize
draw_below(gsize limit)
{
    return (gsize)g_test_rand_int_range(0, (gint32)limit);
}

static MikeyBytes
draw(Pool *pool, gsize limit)
{
    return draw_exactly(pool, draw_below(limit));
}

static guint8
draw_u8(void)
{
    return (guint8)g_test_rand_int();
}

static const guint8 numbers[] = {
    MIKEY_KEMAC, MIKEY_PKE,         MIKEY_DH,   MIKEY_T,      MIKEY_ID, MIKEY_CERT,
    MIKEY_CHASH, MIKEY_SP,          MIKEY_RAND, MIKEY_ERR,    MIKEY_TR, MIKEY_IDR,
    MIKEY_RANDR, MIKEY_GENERAL_EXT, MIKEY_TP,   MIKEY_TICKET, MIKEY_V,  MIKEY_SIGN,
};

static void
draw_timestamp(MikeyTimestamp *t)
{
    t->type = (guint8)draw_below(4);
    t->value = (guint64)(guint32)g_test_rand_int();
    if (t->type < MIKEY_TS_COUNTER)
        t->value = t->value << 32 | (guint32)g_test_rand_int();
}

static void
draw_sp(Pool *pool, MikeySp *sp)
{
    gsize n = draw_below(6);
    guint8 *start = pool->octets + pool->used;
    gsize before = pool->used;

    for (gsize i = 0; i < n; i++) {
        gsize len = draw_below(20);

        pool->octets[pool->used++] = draw_u8();
        pool->octets[pool->used++] = (guint8)len;
        draw_exactly(pool, len);
    }
    sp->policy_no = draw_u8();
    sp->prot = draw_u8();
    sp->params = mikey_bytes(start, pool->used - before);
}

/* A policy needs a responder at least, and TRs that it can hold */
static MikeyBytes
draw_tp_data(Pool *pool)
{
    MikeyWriter w = MIKEY_WRITER_INIT;
    gsize n = 1 + draw_below(4);
    guint8 *copy = pool->octets + pool->used;
    gsize len;

    mikey_write_u8(&w, MIKEY_IDR);
    for (gsize i = 0; i < n; i++) {
        MikeyId id = {.role = MIKEY_IDR_RESPONDER, .type = draw_u8()};

        id.data = draw(pool, 40);
        mikey_idr_write(&w, i + 1 < n ? MIKEY_IDR : MIKEY_LAST, &id);
    }
    len = mikey_writer_octets(&w).len;
    copy = pool->octets + pool->used;
    memcpy(copy, mikey_writer_octets(&w).data, len);
    pool->used += len;
    mikey_writer_clear(&w);
    return mikey_bytes(copy, len);
}

static void
draw_ticket(Pool *pool, MikeyTicketPayload *ticket, bool whole)
{
    ticket->ticket_type = (guint16)g_test_rand_int();
    ticket->subtype = draw_u8();
    ticket->version = draw_u8();
    ticket->prf = draw_u8() & 0x7f;
    ticket->flags = MIKEY_FLAGS_PROFILE | (draw_u8() & 1 ? MIKEY_FLAG_J : 0);
    ticket->reserved = draw_u8() & 0x1f;
    ticket->tp_data = draw_tp_data(pool);
    if (whole) {
        ticket->ticket_data = draw(pool, 300);
        ticket->initiator_data = draw(pool, 80);
    }
}

static void
draw_kv(Pool *pool, MikeyDh *dh)
{
    dh->kv = (guint8)draw_below(3);
    dh->reserved = draw_u8() & 15;
    if (dh->kv == MIKEY_KV_SPI)
        dh->spi = draw(pool, 256);
    if (dh->kv == MIKEY_KV_INTERVAL) {
        dh->valid_from = draw(pool, 256);
        dh->valid_to = draw(pool, 256);
    }
}

static MikeyPayload
draw_payload(Pool *pool, guint8 number)
{
    static const gsize macs[] = {0, 20, 32}, hashes[] = {20, 16, 32}, dhs[] = {192, 96, 128};
    MikeyPayload p = {.number = number};

    switch (number) {
    case MIKEY_KEMAC:
        p.u.kemac.encr_alg = draw_u8();
        p.u.kemac.encr_data = draw(pool, 200);
        p.u.kemac.mac_alg = (guint8)draw_below(3);
        p.u.kemac.mac = draw_exactly(pool, macs[p.u.kemac.mac_alg]);
        break;
    case MIKEY_PKE:
        p.u.pke.cache = draw_u8() & 3;
        p.u.pke.data = draw(pool, 300);
        break;
    case MIKEY_DH:
        p.u.dh.group = (guint8)draw_below(3);
        p.u.dh.value = draw_exactly(pool, dhs[p.u.dh.group]);
        draw_kv(pool, &p.u.dh);
        break;
    case MIKEY_SIGN:
        p.u.sign.type = draw_u8() & 15;
        p.u.sign.signature = draw(pool, 300);
        break;
    case MIKEY_TR:
    case MIKEY_T:
        draw_timestamp(&p.u.timestamp);
        p.u.timestamp.role = number == MIKEY_TR ? draw_u8() : 0;
        break;
    case MIKEY_IDR:
    case MIKEY_ID:
        p.u.id.role = number == MIKEY_IDR ? draw_u8() : 0;
        p.u.id.type = draw_u8();
        p.u.id.data = draw(pool, 100);
        break;
    case MIKEY_CERT:
        p.u.cert.type = draw_u8();
        p.u.cert.data = draw(pool, 100);
        break;
    case MIKEY_CHASH:
        p.u.chash.func = (guint8)draw_below(3);
        p.u.chash.hash = draw_exactly(pool, hashes[p.u.chash.func]);
        break;
    case MIKEY_V:
        p.u.v.alg = (guint8)draw_below(3);
        p.u.v.mac = draw_exactly(pool, macs[p.u.v.alg]);
        break;
    case MIKEY_SP:
        draw_sp(pool, &p.u.sp);
        break;
    case MIKEY_RANDR:
    case MIKEY_RAND:
        p.u.rand.role = number == MIKEY_RANDR ? draw_u8() : 0;
        p.u.rand.rand = draw(pool, 256);
        break;
    case MIKEY_ERR:
        p.u.err.number = draw_u8();
        p.u.err.reserved = (guint16)g_test_rand_int();
        break;
    case MIKEY_TP:
    case MIKEY_TICKET:
        draw_ticket(pool, &p.u.ticket, number == MIKEY_TICKET);
        break;
    default:
        p.u.ext.type = draw_u8();
        p.u.ext.data = draw(pool, 100);
        break;
    }
    return p;
}

static void
draw_cs(Pool *pool, MikeyCs *cs, guint8 id)
{
    MikeyBytes policies = draw(pool, 5), spi = draw(pool, 9);

    memset(cs, 0, sizeof(*cs));
    cs->id = id;
    cs->prot = draw_u8() & 1;
    cs->n_policies = (guint8)policies.len;
    memcpy(cs->policies, policies.data, policies.len);
    cs->spi_len = (guint8)spi.len;
    memcpy(cs->spi, spi.data, spi.len);
    cs->has_ssrc = (draw_u8() & 1) != 0;
    cs->has_roc = cs->has_ssrc && (draw_u8() & 1) != 0;
    cs->ssrc = (guint32)g_test_rand_int();
    cs->roc = (guint32)g_test_rand_int();
    cs->seq = (guint16)g_test_rand_int();
    if (cs->prot != MIKEY_PROT_SRTP)
        cs->session_data = draw(pool, 30);
}

/* A message of a type that has no rules about its payloads, so that everything may be in it */
static void
write_random(MikeyWriter *w, Pool *pool, MikeyPayload *payloads, gsize *out_n)
{
    MikeyCs cs[8];
    MikeyHeader header = {.type = 19, .prf = draw_u8() & 0x7f, .v = draw_u8() & 1, .cs = cs};
    gsize n = 0;

    header.csb_id = (guint32)g_test_rand_int();
    header.map_type = (guint8)draw_below(3);
    header.n_cs = header.map_type == MIKEY_MAP_EMPTY ? 0 : (guint8)draw_below(8);
    for (guint8 i = 0; i < header.n_cs; i++)
        draw_cs(pool, &cs[i], (guint8)(i + 1));
    for (gsize i = 0; i < sizeof(numbers); i++) {
        bool last = numbers[i] == MIKEY_V || numbers[i] == MIKEY_SIGN;

        if ((draw_u8() & 1) != 0 && (!last || n == 0 || payloads[n - 1].number != MIKEY_V))
            payloads[n++] = draw_payload(pool, numbers[i]);
    }
    header.next = n > 0 ? payloads[0].number : MIKEY_LAST;
    mikey_header_write(w, &header);
    for (gsize i = 0; i < n; i++)
        mikey_payload_write(w, i + 1 < n ? payloads[i + 1].number : MIKEY_LAST, &payloads[i]);
    *out_n = n;
}

static void
ignore(const char *line, void *data)
{
    g_assert_cmpuint(strlen(line), <, 512);
    (*(gsize *)data)++;
}

static void
what_is_written_is_read_again(void)
{
    g_autofree Pool *pool = g_new(Pool, 1);

    for (guint round = 0; round < ROUNDS; round++) {
        MikeyPayload payloads[sizeof(numbers)];
        MikeyWriter w = MIKEY_WRITER_INIT, again = MIKEY_WRITER_INIT;
        MikeyMessage *message = NULL;
        MikeyStatus status;
        gsize n = 0, lines = 0;

        pool->used = 0;
        write_random(&w, pool, payloads, &n);
        g_assert_cmpint(w.bad, ==, MIKEY_OK);
        status = mikey_message_parse(mikey_writer_octets(&w), &message);
        g_assert_cmpstr(mikey_status_string(status), ==, mikey_status_string(MIKEY_OK));
        g_assert_cmpuint(mikey_message_n_payloads(message), ==, n);
        mikey_header_write(&again, mikey_message_header(message));
        for (gsize i = 0; i < n; i++) {
            const MikeyPayload *p = mikey_message_payload(message, i);

            g_assert_cmpint(p->number, ==, payloads[i].number);
            mikey_payload_write(&again, p->next, p);
        }
        g_assert_cmpmem(mikey_writer_octets(&again).data, mikey_writer_octets(&again).len,
                        mikey_writer_octets(&w).data, mikey_writer_octets(&w).len);
        mikey_print(message, ignore, &lines);
        g_assert_cmpuint(lines, >, n);
        mikey_message_free(message);
        mikey_writer_clear(&w);
        mikey_writer_clear(&again);
    }
}

/* ---- every type of message, with its payloads in their order (RFC 6043 section 4.2, 5.2, 5.4)
 * ---- */

typedef struct Place {
    guint8 number, role;
    char how; /* '1' must be there, '?' may be, '*' any number, 0: end of the table */
} Place;

typedef struct Kind {
    const char *name;
    guint8 type, map;
    Place places[14];
} Kind;

#define T_                                                                                         \
    {                                                                                              \
        MIKEY_T, 0, '1'                                                                            \
    }
#define RAND_(role, how)                                                                           \
    {                                                                                              \
        MIKEY_RANDR, MIKEY_RANDR_##role, how                                                       \
    }
#define ID_(role, how)                                                                             \
    {                                                                                              \
        MIKEY_IDR, MIKEY_IDR_##role, how                                                           \
    }
#define EXT_                                                                                       \
    {                                                                                              \
        MIKEY_GENERAL_EXT, 0, '*'                                                                  \
    }
#define SP_                                                                                        \
    {                                                                                              \
        MIKEY_SP, 0, '*'                                                                           \
    }
#define V_                                                                                         \
    {                                                                                              \
        MIKEY_V, 0, '1'                                                                            \
    }

/* clang-format off */
static const Kind kinds[] = {
    {"REQUEST_INIT_PSK", MIKEY_REQUEST_INIT_PSK, MIKEY_MAP_EMPTY,
     {T_, RAND_(INITIATOR, '1'), ID_(INITIATOR, '1'), ID_(KMS, '1'), {MIKEY_TP, 0, '1'}, ID_(PSK, '?'), EXT_, V_}},
    {"REQUEST_INIT_PK", MIKEY_REQUEST_INIT_PK, MIKEY_MAP_EMPTY,
     {T_, RAND_(INITIATOR, '1'), ID_(INITIATOR, '1'), {MIKEY_CERT, 0, '*'}, ID_(KMS, '1'), {MIKEY_TP, 0, '1'},
      {MIKEY_CHASH, 0, '?'}, {MIKEY_PKE, 0, '1'}, EXT_, {MIKEY_SIGN, 0, '1'}}},
    {"REQUEST_RESP", MIKEY_REQUEST_RESP, MIKEY_MAP_EMPTY,
     {T_, ID_(KMS, '?'), {MIKEY_TICKET, 0, '1'}, {MIKEY_KEMAC, 0, '1'}, EXT_, V_}},
    {"TRANSFER_INIT", MIKEY_TRANSFER_INIT, MIKEY_MAP_GENERIC_ID,
     {T_, RAND_(INITIATOR, '1'), ID_(INITIATOR, '1'), ID_(RESPONDER, '1'), SP_, {MIKEY_TICKET, 0, '1'},
      {MIKEY_KEMAC, 0, '?'}, EXT_, V_}},
    {"TRANSFER_RESP", MIKEY_TRANSFER_RESP, MIKEY_MAP_GENERIC_ID,
     {T_, RAND_(RESPONDER, '?'), ID_(RESPONDER, '?'), RAND_(KMS, '?'), SP_, {MIKEY_KEMAC, 0, '?'}, EXT_, V_}},
    {"RESOLVE_INIT_PSK", MIKEY_RESOLVE_INIT_PSK, MIKEY_MAP_EMPTY,
     {T_, RAND_(RESPONDER, '1'), ID_(RESPONDER, '1'), ID_(KMS, '1'), {MIKEY_TICKET, 0, '1'}, ID_(PSK, '?'), EXT_, V_}},
    {"RESOLVE_INIT_PK", MIKEY_RESOLVE_INIT_PK, MIKEY_MAP_EMPTY,
     {T_, RAND_(RESPONDER, '1'), ID_(RESPONDER, '1'), {MIKEY_CERT, 0, '*'}, ID_(KMS, '1'), {MIKEY_TICKET, 0, '1'},
      {MIKEY_CHASH, 0, '?'}, {MIKEY_PKE, 0, '1'}, EXT_, {MIKEY_SIGN, 0, '1'}}},
    {"RESOLVE_RESP", MIKEY_RESOLVE_RESP, MIKEY_MAP_EMPTY,
     {T_, ID_(KMS, '?'), {MIKEY_KEMAC, 0, '1'}, ID_(RESPONDER, '?'), RAND_(KMS, '?'), EXT_, V_}},
    {"update", MIKEY_TRANSFER_INIT, MIKEY_MAP_GENERIC_ID,
     {T_, ID_(INITIATOR, '?'), ID_(RESPONDER, '?'), SP_, {MIKEY_KEMAC, 0, '?'}, EXT_, V_}},
    {"answer to an update", MIKEY_TRANSFER_RESP, MIKEY_MAP_GENERIC_ID,
     {T_, ID_(INITIATOR, '?'), SP_, {MIKEY_KEMAC, 0, '?'}, EXT_, V_}},
    {"Error to the KMS's users", MIKEY_ERROR, MIKEY_MAP_EMPTY,
     {T_, {MIKEY_ERR, 0, '1'}, {MIKEY_ERR, 0, '*'}, {MIKEY_V, 0, '?'}}},
    {"Error of a transfer", MIKEY_ERROR, MIKEY_MAP_GENERIC_ID,
     {T_, {MIKEY_ERR, 0, '1'}, SP_, {MIKEY_V, 0, '?'}}},
    {"Error with a signature", MIKEY_ERROR, MIKEY_MAP_EMPTY,
     {T_, {MIKEY_ERR, 0, '1'}, {MIKEY_SIGN, 0, '?'}}},
};
/* clang-format on */

#define MAX_DRAWN 64u

static MikeyPayload
draw_for(Pool *pool, const Place *place, gsize nth)
{
    MikeyPayload p = draw_payload(pool, place->number);

    if (place->number == MIKEY_RANDR) {
        p.u.rand.role = place->role;
        p.u.rand.rand = draw_exactly(pool, 16 + draw_below(200));
    }
    if (place->number == MIKEY_IDR)
        p.u.id.role = place->role;
    if (place->number == MIKEY_SP)
        p.u.sp.policy_no = (guint8)nth;
    return p;
}

/* @without: (nullable): a place that is left out */
static gsize
draw_kind(Pool *pool, const Kind *kind, const Place *without, MikeyPayload *payloads)
{
    gsize n = 0;

    for (const Place *place = kind->places; place->how != 0; place++) {
        gsize times = place->how == '1' ? 1 : draw_below(place->how == '?' ? 2 : 4);

        for (gsize i = 0; i < times && place != without; i++)
            payloads[n++] = draw_for(pool, place, i);
    }
    g_assert_cmpuint(n, <=, MAX_DRAWN);
    return n;
}

static void
write_kind(MikeyWriter *w, Pool *pool, const Kind *kind, const MikeyPayload *payloads, gsize n)
{
    MikeyCs cs[8];
    MikeyHeader header = {.type = kind->type,
                          .next = n > 0 ? payloads[0].number : MIKEY_LAST,
                          .prf = draw_u8() & 0x7f,
                          .v = draw_u8() & 1,
                          .csb_id = (guint32)g_test_rand_int(),
                          .map_type = kind->map,
                          .cs = cs};

    if (kind->map == MIKEY_MAP_GENERIC_ID)
        header.n_cs = (guint8)draw_below(8);
    for (guint8 i = 0; i < header.n_cs; i++)
        draw_cs(pool, &cs[i], (guint8)(i + 1));
    mikey_header_write(w, &header);
    for (gsize i = 0; i < n; i++)
        mikey_payload_write(w, i + 1 < n ? payloads[i + 1].number : MIKEY_LAST, &payloads[i]);
    g_assert_cmpint(w->bad, ==, MIKEY_OK);
}

static void
assert_written_again(const MikeyMessage *message, MikeyBytes octets)
{
    MikeyWriter again = MIKEY_WRITER_INIT;

    mikey_header_write(&again, mikey_message_header(message));
    for (gsize i = 0; i < mikey_message_n_payloads(message); i++)
        mikey_payload_write(&again, mikey_message_payload(message, i)->next,
                            mikey_message_payload(message, i));
    g_assert_cmpmem(mikey_writer_octets(&again).data, mikey_writer_octets(&again).len, octets.data,
                    octets.len);
    mikey_writer_clear(&again);
}

static void
every_type_is_read_again(gconstpointer data)
{
    const Kind *kind = data;
    g_autofree Pool *pool = g_new(Pool, 1);

    for (guint round = 0; round < ROUNDS / 4; round++) {
        MikeyPayload payloads[MAX_DRAWN];
        MikeyWriter w = MIKEY_WRITER_INIT;
        MikeyMessage *message = NULL;
        gsize n;

        pool->used = 0;
        n = draw_kind(pool, kind, NULL, payloads);
        write_kind(&w, pool, kind, payloads, n);
        g_assert_cmpstr(mikey_status_string(mikey_message_parse(mikey_writer_octets(&w), &message)),
                        ==, mikey_status_string(MIKEY_OK));
        g_assert_cmpuint(mikey_message_n_payloads(message), ==, n);
        g_assert_cmpint(mikey_message_header(message)->type, ==, kind->type);
        for (gsize i = 0; i < n; i++)
            g_assert_cmpint(mikey_message_payload(message, i)->number, ==, payloads[i].number);
        assert_written_again(message, mikey_writer_octets(&w));
        mikey_message_free(message);
        mikey_writer_clear(&w);
    }
}

/* A TRANSFER_INIT without a ticket is no broken call, it is an update. */
static gboolean
is_another_kind(const Kind *kind, const Place *without)
{
    return kind->type == MIKEY_TRANSFER_INIT && without->number == MIKEY_TICKET;
}

static void
no_type_does_without_what_it_needs(gconstpointer data)
{
    const Kind *kind = data;
    g_autofree Pool *pool = g_new(Pool, 1);

    for (const Place *without = kind->places; without->how != 0; without++) {
        MikeyPayload payloads[MAX_DRAWN];
        MikeyWriter w = MIKEY_WRITER_INIT;
        MikeyMessage *message = NULL;
        gsize n;

        if (without->how != '1' || is_another_kind(kind, without))
            continue;
        pool->used = 0;
        do /* another ERR would do as well */
            n = draw_kind(pool, kind, without, payloads);
        while (without->number == MIKEY_ERR && n > 1 && payloads[1].number == MIKEY_ERR);
        write_kind(&w, pool, kind, payloads, n);
        g_assert_cmpstr(mikey_status_string(mikey_message_parse(mikey_writer_octets(&w), &message)),
                        ==, mikey_status_string(MIKEY_MISSING));
        mikey_writer_clear(&w);
    }
}

/* Keys are read as they were written, whatever their kind */
static void
key_chains_are_read_again(void)
{
    g_autofree Pool *pool = g_new(Pool, 1);

    for (guint round = 0; round < ROUNDS; round++) {
        MikeyKeyData keys[8], got[MIKEY_MAX_KEYS];
        MikeyWriter w = MIKEY_WRITER_INIT;
        gsize n = draw_below(9), n_got = 99;

        memset(keys, 0, sizeof(keys));
        pool->used = 0;
        for (gsize i = 0; i < n; i++) {
            MikeyBytes key = draw(pool, MIKEY_MAX_KEY + 1), salt = draw(pool, MIKEY_MAX_KEY + 1);
            MikeyBytes spi = draw(pool, 256), to = draw(pool, 256);

            keys[i].type = (MikeyKeyType)draw_below(7);
            keys[i].kv = (MikeyKv)draw_below(3);
            mikey_key_set(&keys[i].key, key.data, key.len);
            if (keys[i].type != MIKEY_KEY_MPK && keys[i].type % 2 == 1)
                mikey_key_set(&keys[i].salt, salt.data, salt.len);
            if (keys[i].kv != MIKEY_KV_NONE) {
                keys[i].spi_len = (guint8)spi.len;
                memcpy(keys[i].spi, spi.data, spi.len);
            }
            if (keys[i].kv == MIKEY_KV_INTERVAL) {
                keys[i].to_len = (guint8)to.len;
                memcpy(keys[i].to, to.data, to.len);
            }
        }
        mikey_key_chain_write(&w, keys, n);
        g_assert_cmpint(mikey_key_chain_read(mikey_writer_octets(&w), got, &n_got), ==, MIKEY_OK);
        g_assert_cmpuint(n_got, ==, n);
        for (gsize i = 0; i < n; i++) {
            g_assert_cmpint(got[i].type, ==, keys[i].type);
            g_assert_true(mikey_key_equal(&got[i].key, &keys[i].key));
            g_assert_true(mikey_key_equal(&got[i].salt, &keys[i].salt));
            g_assert_cmpmem(got[i].spi, got[i].spi_len, keys[i].spi, keys[i].spi_len);
            g_assert_cmpmem(got[i].to, got[i].to_len, keys[i].to, keys[i].to_len);
        }
        mikey_writer_clear(&w);
    }
}

/* Whatever is cut off the end, the reader neither goes on nor says yes */
static void
every_payload_ends_where_it_ends(void)
{
    g_autofree Pool *pool = g_new(Pool, 1);

    for (gsize i = 0; i < sizeof(numbers); i++) {
        MikeyWriter w = MIKEY_WRITER_INIT;
        MikeyPayload p;
        MikeyBytes octets;

        pool->used = 0;
        p = draw_payload(pool, numbers[i]);
        mikey_payload_write(&w, MIKEY_LAST, &p);
        octets = mikey_writer_octets(&w);
        for (gsize len = 0; len < octets.len; len++) {
            g_autofree guint8 *exact = g_memdup2(octets.data, len);
            MikeyReader r = mikey_reader(mikey_bytes(exact, len));
            MikeyPayload got = {.number = 77};

            g_assert_cmpint(mikey_payload_read(&r, numbers[i], &got), !=, MIKEY_OK);
            g_assert_cmpint(got.number, ==, 77);
        }
        mikey_writer_clear(&w);
    }
}

/* ---- limits ---- */

static MikeyStatus
parse_chain_of(gsize n, guint8 number, gsize pad)
{
    MikeyWriter w = MIKEY_WRITER_INIT;
    MikeyHeader header = {.type = 19, .next = number, .map_type = MIKEY_MAP_EMPTY};
    g_autofree guint8 *octets = NULL;
    MikeyMessage *message = NULL;
    MikeyStatus status;
    gsize len;

    mikey_header_write(&w, &header);
    for (gsize i = 0; i < n; i++) {
        MikeyExt ext = {.type = 0};

        mikey_ext_write(&w, i + 1 < n ? number : MIKEY_LAST, &ext);
    }
    len = mikey_writer_octets(&w).len + pad;
    octets = g_malloc0(len);
    memcpy(octets, mikey_writer_octets(&w).data, len - pad);
    status = mikey_message_parse(mikey_bytes(octets, len), &message);
    if (status == MIKEY_OK)
        mikey_message_free(message);
    mikey_writer_clear(&w);
    return status;
}

static void
a_message_has_its_limits(void)
{
    g_assert_cmpint(parse_chain_of(MIKEY_MAX_PAYLOADS, MIKEY_GENERAL_EXT, 0), ==, MIKEY_OK);
    g_assert_cmpint(parse_chain_of(MIKEY_MAX_PAYLOADS + 1, MIKEY_GENERAL_EXT, 0), ==,
                    MIKEY_TOO_LARGE);
    g_assert_cmpint(parse_chain_of(1, MIKEY_GENERAL_EXT, 1), ==, MIKEY_TRAILING);
    g_assert_cmpint(parse_chain_of(1, MIKEY_GENERAL_EXT, 65536), ==, MIKEY_TOO_LARGE);
    g_assert_cmpint(parse_chain_of(1, 18, 0), ==, MIKEY_UNKNOWN_PAYLOAD);
    g_assert_cmpint(parse_chain_of(1, 20, 0), ==, MIKEY_UNKNOWN_PAYLOAD);
    g_assert_cmpint(parse_chain_of(1, 255, 0), ==, MIKEY_UNKNOWN_PAYLOAD);
    g_assert_cmpint(mikey_status_error(MIKEY_UNKNOWN_PAYLOAD), ==, 13);
}

static void
writers_refuse_what_does_not_fit(void)
{
    g_autofree guint8 *much = g_malloc0(70000);
    MikeyWriter w = MIKEY_WRITER_INIT;
    MikeyBuffer out = {NULL, 3};
    MikeyV v = {.alg = MIKEY_MAC_HMAC_SHA_1_160, .mac = {much, 19}};

    mikey_write_lv8(&w, mikey_bytes(much, 256));
    g_assert_cmpint(w.bad, ==, MIKEY_ARGUMENT);
    mikey_write_u8(&w, 1);
    g_assert_cmpuint(mikey_writer_octets(&w).len, ==, 0);
    g_assert_cmpint(mikey_writer_finish(&w, &out), ==, MIKEY_ARGUMENT);
    g_assert_cmpuint(out.len, ==, 3);
    mikey_write_bytes(&w, mikey_bytes(much, 65535));
    g_assert_cmpint(w.bad, ==, MIKEY_OK);
    mikey_write_u8(&w, 1);
    g_assert_cmpint(w.bad, ==, MIKEY_TOO_LARGE);
    mikey_writer_clear(&w);
    mikey_v_write(&w, 0, &v);
    g_assert_cmpint(w.bad, ==, MIKEY_ARGUMENT);
    mikey_writer_clear(&w);
}

static void
a_bad_reader_gives_zeros(void)
{
    const guint8 octets[] = {1, 2, 3};
    MikeyReader r = mikey_reader(mikey_bytes(octets, sizeof(octets)));
    MikeyReader sub;

    g_assert_cmpuint(mikey_read_u16(&r), ==, 0x0102);
    sub = mikey_read_sub(&r, 1);
    g_assert_cmpuint(mikey_read_u16(&sub), ==, 0);
    g_assert_true(sub.bad && !r.bad);
    g_assert_cmpuint(mikey_read_u32(&r), ==, 0);
    g_assert_true(r.bad);
    g_assert_cmpuint(mikey_read_u8(&r), ==, 0);
    g_assert_cmpuint(mikey_read_bytes(&r, 0).len, ==, 0);
    g_assert_true(mikey_read_sub(&r, 0).bad);
}

/* ---- the door ---- */

static const char *const headers[] = {"base", "cursor", "exchange", "header", "kms",  "payload",
                                      "pk",   "prf",    "sdp",      "seal",   "srtp", "ticket"};

static char *
slurp(const char *path)
{
    g_autofree char *full = g_test_build_filename(G_TEST_DIST, path, NULL);
    g_autoptr(GError) error = NULL;
    char *text = NULL;

    g_file_get_contents(full, &text, NULL, &error);
    g_assert_no_error(error);
    return text;
}

/* Names of functions that a header declares, into @names */
static void
collect_names(const char *text, GHashTable *names)
{
    g_autoptr(GRegex) comment =
        g_regex_new("/\\*.*?\\*/|^#.*?[^\\\\]$", G_REGEX_DOTALL | G_REGEX_MULTILINE, 0, NULL);
    g_autoptr(GRegex) name = g_regex_new("\\b(mikey_[a-z0-9_]+)\\s*\\(", 0, 0, NULL);
    g_autofree char *code = g_regex_replace_literal(comment, text, -1, 0, "", 0, NULL);
    g_autoptr(GMatchInfo) match = NULL;

    for (g_regex_match(name, code, 0, &match); g_match_info_matches(match);
         g_match_info_next(match, NULL))
        g_hash_table_add(names, g_match_info_fetch(match, 1));
}

static void
exported_symbols_are_those_declared(void)
{
    g_autoptr(GHashTable) names = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    g_autofree char *text = slurp("src/libmikey/libmikey.sym");
    g_auto(GStrv) symbols = g_strsplit(g_strchomp(text), "\n", -1);

    for (gsize i = 0; i < G_N_ELEMENTS(headers); i++) {
        g_autofree char *path = g_strdup_printf("src/libmikey/%s.h", headers[i]);
        g_autofree char *header = slurp(path);

        collect_names(header, names);
    }
    g_assert_cmpuint(g_strv_length(symbols), >, 200);
    for (guint i = 0; symbols[i] != NULL; i++) {
        if (!g_hash_table_remove(names, symbols[i]))
            g_error("%s is exported and not declared", symbols[i]);
        if (i > 0)
            g_assert_cmpstr(symbols[i - 1], <, symbols[i]);
    }
    g_assert_cmpuint(g_hash_table_size(names), ==, 0);
}

/* What the linker made of the symbol file */
static void
the_library_exports_its_symbol_file(void)
{
    g_autofree char *nm = g_find_program_in_path("nm"), *out = NULL, *text = NULL;
    g_autofree char *library = g_test_build_filename(G_TEST_BUILT, ".libs/libmikey.so", NULL);
    g_auto(GStrv) lines = NULL;
    g_autoptr(GString) got = g_string_new(NULL);
    char *argv[] = {nm, (char *)"-D", (char *)"--defined-only", library, NULL};
    g_autoptr(GError) error = NULL;

    if (nm == NULL || !g_file_test(library, G_FILE_TEST_EXISTS)) {
        g_test_skip("no nm, or no shared library");
        return;
    }
    g_spawn_sync(NULL, argv, NULL, 0, NULL, NULL, &out, NULL, NULL, &error);
    g_assert_no_error(error);
    lines = g_strsplit(out, "\n", -1);
    for (guint i = 0; lines[i] != NULL; i++) {
        const char *name = strrchr(lines[i], ' ');

        if (name != NULL && strstr(name, "@") == NULL && !g_str_has_prefix(name + 1, "__"))
            g_string_append_printf(got, "%s\n", name + 1);
    }
    text = slurp("src/libmikey/libmikey.sym");
    g_assert_cmpstr(got->str, ==, text);
}

/* Pitfall 17 of the digest: D shares an octet with the PRF, and M, N, O are the top bits of the third. */
static void
flags_stand_where_they_must(void)
{
    static const struct {
        uint32_t flag;
        guint octet;
        uint8_t bit;
    } rows[] = {
        {MIKEY_FLAG_D, 5, 0x01}, {MIKEY_FLAG_E, 6, 0x80}, {MIKEY_FLAG_F, 6, 0x40},
        {MIKEY_FLAG_G, 6, 0x20}, {MIKEY_FLAG_H, 6, 0x10}, {MIKEY_FLAG_I, 6, 0x08},
        {MIKEY_FLAG_J, 6, 0x04}, {MIKEY_FLAG_K, 6, 0x02}, {MIKEY_FLAG_L, 6, 0x01},
        {MIKEY_FLAG_M, 7, 0x80}, {MIKEY_FLAG_N, 7, 0x40}, {MIKEY_FLAG_O, 7, 0x20},
    };
    const uint8_t prf = MIKEY_PRF_HMAC_SHA_256;

    for (gsize i = 0; i < G_N_ELEMENTS(rows); i++) {
        MikeyTicketPayload tp = {.ticket_type = 1, .prf = prf, .flags = rows[i].flag};
        MikeyWriter w = MIKEY_WRITER_INIT;
        guint8 wanted[3] = {(guint8)(prf << 1), 0, 0};
        MikeyBytes octets;

        wanted[rows[i].octet - 5] |= rows[i].bit;
        mikey_tp_write(&w, 0, &tp);
        g_assert_false(w.bad);
        octets = mikey_writer_octets(&w);
        g_assert_cmpuint(octets.len, >, 8);
        g_assert_cmpmem(octets.data + 5, 3, wanted, 3);
        mikey_writer_clear(&w);
    }
}

/* Pitfall 18: the type is the high nibble, and only salted types have the length of a salt. */
static void
salts_belong_to_salted_types(void)
{
    static const guint8 plain[] = {0, 0x20, 0, 2, 0xaa, 0xbb};
    static const guint8 salted[] = {0, 0x30, 0, 2, 0xaa, 0xbb, 0, 1, 0xcc};
    static const guint8 swapped[] = {0, 0x02, 0, 2, 0xaa, 0xbb};
    MikeyKeyData key = {0};
    uint8_t next = 9;
    MikeyReader r = mikey_reader(mikey_bytes(plain, sizeof plain));

    g_assert_cmpint(mikey_key_data_read(&r, &next, &key), ==, MIKEY_OK);
    g_assert_cmpint(key.type, ==, MIKEY_KEY_TEK);
    g_assert_cmpuint(key.salt.len, ==, 0);
    mikey_key_data_clear(&key);

    r = mikey_reader(mikey_bytes(salted, sizeof salted));
    g_assert_cmpint(mikey_key_data_read(&r, &next, &key), ==, MIKEY_OK);
    g_assert_cmpint(key.type, ==, MIKEY_KEY_TEK_SALT);
    g_assert_cmpuint(key.salt.len, ==, 1);
    mikey_key_data_clear(&key);

    r = mikey_reader(mikey_bytes(salted, 6)); /* a salted type, and no salt */
    g_assert_cmpint(mikey_key_data_read(&r, &next, &key), !=, MIKEY_OK);
    mikey_key_data_clear(&key);
    r = mikey_reader(mikey_bytes(swapped, sizeof swapped)); /* a TGK with an interval that is missing */
    g_assert_cmpint(mikey_key_data_read(&r, &next, &key), !=, MIKEY_OK);
    mikey_key_data_clear(&key);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/mikey/property/what-is-written-is-read-again", what_is_written_is_read_again);
    for (gsize i = 0; i < G_N_ELEMENTS(kinds); i++) {
        g_autofree char *name = g_strdelimit(g_strdup(kinds[i].name), " '", '-');
        g_autofree char *whole = g_strdup_printf("/mikey/property/read-again/%s", name);
        g_autofree char *less = g_strdup_printf("/mikey/property/nothing-may-lack/%s", name);

        g_test_add_data_func(whole, &kinds[i], every_type_is_read_again);
        g_test_add_data_func(less, &kinds[i], no_type_does_without_what_it_needs);
    }
    g_test_add_func("/mikey/property/key-chains-are-read-again", key_chains_are_read_again);
    g_test_add_func("/mikey/property/every-payload-ends-where-it-ends",
                    every_payload_ends_where_it_ends);
    g_test_add_func("/mikey/property/flags-stand-where-they-must", flags_stand_where_they_must);
    g_test_add_func("/mikey/property/salts-belong-to-salted-types", salts_belong_to_salted_types);
    g_test_add_func("/mikey/property/a-message-has-its-limits", a_message_has_its_limits);
    g_test_add_func("/mikey/property/writers-refuse-what-does-not-fit",
                    writers_refuse_what_does_not_fit);
    g_test_add_func("/mikey/property/a-bad-reader-gives-zeros", a_bad_reader_gives_zeros);
    g_test_add_func("/mikey/property/exported-symbols-are-those-declared",
                    exported_symbols_are_those_declared);
    g_test_add_func("/mikey/property/the-library-exports-its-symbol-file",
                    the_library_exports_its_symbol_file);
    return g_test_run();
}
