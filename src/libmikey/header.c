/* SPDX-License-Identifier: Apache-2.0 */
/* libmikey/header.c - common header and crypto session maps */
#include <libmikey/private.h>

#include <string.h>

#define VERSION 1
#define V_BIT 0x80u
#define S_BIT 0x80u
#define LOW_7 0x7fu
#define DATA_SSRC 4u
#define DATA_SSRC_ROC_SEQ 10u

static const char *const data_types[] = {
    [MIKEY_PSK_INIT] = "PSK_INIT",
    [MIKEY_PSK_RESP] = "PSK_RESP",
    [MIKEY_PK_INIT] = "PK_INIT",
    [MIKEY_PK_RESP] = "PK_RESP",
    [MIKEY_DH_INIT] = "DH_INIT",
    [MIKEY_DH_RESP] = "DH_RESP",
    [MIKEY_ERROR] = "ERROR",
    [MIKEY_REQUEST_INIT_PSK] = "REQUEST_INIT_PSK",
    [MIKEY_REQUEST_INIT_PK] = "REQUEST_INIT_PK",
    [MIKEY_REQUEST_RESP] = "REQUEST_RESP",
    [MIKEY_TRANSFER_INIT] = "TRANSFER_INIT",
    [MIKEY_TRANSFER_RESP] = "TRANSFER_RESP",
    [MIKEY_RESOLVE_INIT_PSK] = "RESOLVE_INIT_PSK",
    [MIKEY_RESOLVE_INIT_PK] = "RESOLVE_INIT_PK",
    [MIKEY_RESOLVE_RESP] = "RESOLVE_RESP",
};

const char *
mikey_data_type_string(uint8_t type)
{
    if (type >= sizeof(data_types) / sizeof(data_types[0]) || data_types[type] == NULL)
        return "unknown";
    return data_types[type];
}

/* RFC 3830 section 6.1.1 */
static MikeyStatus
srtp_id_read(MikeyReader *r, uint8_t id, MikeyCs *cs)
{
    cs->id = id;
    cs->prot = MIKEY_PROT_SRTP;
    cs->n_policies = 1;
    cs->policies[0] = mikey_read_u8(r);
    cs->ssrc = mikey_read_u32(r);
    cs->roc = mikey_read_u32(r);
    cs->has_ssrc = true;
    cs->has_roc = true;
    return r->bad ? MIKEY_TRUNCATED : MIKEY_OK;
}

/* Session data of SRTP: nothing, SSRC, or SSRC, ROC and SEQ; the S flag says which */
static MikeyStatus
session_data_read(MikeyBytes data, bool s, MikeyCs *cs)
{
    MikeyReader r = mikey_reader(data);

    if (data.len != (s ? DATA_SSRC_ROC_SEQ : DATA_SSRC) && (s || data.len != 0))
        return MIKEY_BAD_SESSIONS;
    if (data.len == 0)
        return MIKEY_OK;

    cs->has_ssrc = true;
    cs->ssrc = mikey_read_u32(&r);
    if (s) {
        cs->has_roc = true;
        cs->roc = mikey_read_u32(&r);
        cs->seq = mikey_read_u16(&r);
    }
    return MIKEY_OK;
}

/* RFC 6043 section 6.1.1 */
static MikeyStatus
generic_id_read(MikeyReader *r, MikeyCs *cs)
{
    MikeyBytes policies, spi;
    uint8_t s_and_count;

    cs->id = mikey_read_u8(r);
    cs->prot = mikey_read_u8(r);
    s_and_count = mikey_read_u8(r);
    policies = mikey_read_bytes(r, s_and_count & LOW_7);
    cs->session_data = mikey_read_lv16(r);
    spi = mikey_read_lv8(r);
    if (r->bad)
        return MIKEY_TRUNCATED;

    cs->n_policies = (uint8_t)policies.len;
    if (policies.len > 0)
        memcpy(cs->policies, policies.data, policies.len);
    cs->spi_len = (uint8_t)spi.len;
    if (spi.len > 0)
        memcpy(cs->spi, spi.data, spi.len);
    if (cs->prot != MIKEY_PROT_SRTP) {
        cs->has_roc = (s_and_count & S_BIT) != 0;
        return MIKEY_OK;
    }
    return session_data_read(cs->session_data, (s_and_count & S_BIT) != 0, cs);
}

static MikeyStatus
map_read(MikeyReader *r, uint8_t map_type, uint8_t n_cs, MikeyCs *cs)
{
    bool seen[256] = {false};

    if (map_type == MIKEY_MAP_EMPTY)
        return n_cs == 0 ? MIKEY_OK : MIKEY_BAD_SESSIONS;
    if (map_type != MIKEY_MAP_SRTP_ID && map_type != MIKEY_MAP_GENERIC_ID)
        return MIKEY_MALFORMED;

    for (unsigned i = 0; i < n_cs; i++) {
        MikeyStatus status;

        memset(&cs[i], 0, sizeof(cs[i]));
        status = map_type == MIKEY_MAP_SRTP_ID ? srtp_id_read(r, (uint8_t)(i + 1), &cs[i])
                                               : generic_id_read(r, &cs[i]);
        if (status != MIKEY_OK)
            return status;
        if (seen[cs[i].id])
            return MIKEY_BAD_SESSIONS;
        seen[cs[i].id] = true;
    }
    return MIKEY_OK;
}

MikeyStatus
mikey_header_read(MikeyReader *r, MikeyCs *cs_room, MikeyHeader *out_header)
{
    MikeyHeader header = {.version = mikey_read_u8(r)};
    uint8_t v_and_prf;
    MikeyStatus status;

    header.type = mikey_read_u8(r);
    header.next = mikey_read_u8(r);
    v_and_prf = mikey_read_u8(r);
    header.csb_id = mikey_read_u32(r);
    header.n_cs = mikey_read_u8(r);
    header.map_type = mikey_read_u8(r);
    if (r->bad)
        return MIKEY_TRUNCATED;
    if (header.version != VERSION)
        return MIKEY_VERSION;

    header.v = (v_and_prf & V_BIT) != 0;
    header.prf = v_and_prf & LOW_7;
    status = map_read(r, header.map_type, header.n_cs, cs_room);
    if (status != MIKEY_OK)
        return status;
    header.cs = cs_room;
    *out_header = header;
    return MIKEY_OK;
}

static void
generic_id_write(MikeyWriter *w, const MikeyCs *cs)
{
    bool timed = cs->has_roc && (cs->has_ssrc || cs->prot != MIKEY_PROT_SRTP);
    uint8_t s = timed ? S_BIT : 0;

    mikey_write_u8(w, cs->id);
    mikey_write_u8(w, cs->prot);
    mikey_write_u8(w, (uint8_t)(s | (cs->n_policies & LOW_7)));
    mikey_write_bytes(w, mikey_bytes(cs->policies, cs->n_policies & LOW_7));
    if (cs->prot != MIKEY_PROT_SRTP) {
        mikey_write_lv16(w, cs->session_data);
    } else if (!cs->has_ssrc) {
        mikey_write_u16(w, 0);
    } else {
        mikey_write_u16(w, cs->has_roc ? DATA_SSRC_ROC_SEQ : DATA_SSRC);
        mikey_write_u32(w, cs->ssrc);
    }
    if (cs->prot == MIKEY_PROT_SRTP && cs->has_ssrc && cs->has_roc) {
        mikey_write_u32(w, cs->roc);
        mikey_write_u16(w, cs->seq);
    }
    mikey_write_lv8(w, mikey_bytes(cs->spi, cs->spi_len));
}

static void
srtp_id_write(MikeyWriter *w, const MikeyCs *cs)
{
    mikey_write_u8(w, cs->policies[0]);
    mikey_write_u32(w, cs->ssrc);
    mikey_write_u32(w, cs->roc);
}

void
mikey_header_write(MikeyWriter *w, const MikeyHeader *header)
{
    mikey_write_u8(w, VERSION);
    mikey_write_u8(w, header->type);
    mikey_write_u8(w, header->next);
    mikey_write_u8(w, (uint8_t)((header->v ? V_BIT : 0) | (header->prf & LOW_7)));
    mikey_write_u32(w, header->csb_id);
    mikey_write_u8(w, header->n_cs);
    mikey_write_u8(w, header->map_type);
    for (unsigned i = 0; i < header->n_cs; i++) {
        if (header->map_type == MIKEY_MAP_SRTP_ID)
            srtp_id_write(w, &header->cs[i]);
        else if (header->map_type == MIKEY_MAP_GENERIC_ID)
            generic_id_write(w, &header->cs[i]);
    }
}

const MikeyCs *
mikey_header_cs(const MikeyHeader *header, uint8_t id)
{
    for (unsigned i = 0; i < header->n_cs; i++) {
        if (header->cs[i].id == id)
            return &header->cs[i];
    }
    return NULL;
}
