/* SPDX-License-Identifier: Apache-2.0 */
/* libmikey/print.c - a message for people; never a key */
#include <libmikey/private.h>

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define MAX_LINE 512u
#define MAX_OCTETS 64u /* of a value shown */

typedef struct Printer {
    MikeyPrintFunc print;
    void *data;
} Printer;

__attribute__((format(printf, 3, 4))) static void
say(const Printer *p, unsigned depth, const char *format, ...)
{
    char line[MAX_LINE];
    size_t indent = 2u * depth;
    va_list arguments;

    memset(line, ' ', indent);
    va_start(arguments, format);
    vsnprintf(line + indent, sizeof(line) - indent, format, arguments);
    va_end(arguments);
    p->print(line, p->data);
}

/* Octets as hex, the beginning alone when there are many */
static const char *
hex(MikeyBytes octets, char room[2 * MAX_OCTETS + 4])
{
    static const char digits[] = "0123456789abcdef";
    size_t n = octets.len < MAX_OCTETS ? octets.len : MAX_OCTETS;
    char *at = room;

    for (size_t i = 0; i < n; i++) {
        *at++ = digits[octets.data[i] >> 4];
        *at++ = digits[octets.data[i] & 15];
    }
    strcpy(at, n < octets.len ? "..." : "");
    return room;
}

/* Text from outside, with everything but printable ASCII replaced */
static const char *
text(MikeyBytes octets, char room[4 * MAX_OCTETS + 4])
{
    size_t max = 4 * MAX_OCTETS;
    size_t n = octets.len < max ? octets.len : max;

    for (size_t i = 0; i < n; i++)
        room[i] = octets.data[i] >= 0x20 && octets.data[i] < 0x7f ? (char)octets.data[i] : '.';
    strcpy(room + n, n < octets.len ? "..." : "");
    return room;
}

static const char *
name_in(const char *const *names, size_t n, unsigned number)
{
    return number < n && names[number] != NULL ? names[number] : "unknown";
}

#define NAME_IN(names, number) name_in(names, sizeof(names) / sizeof((names)[0]), number)

static const char *const prfs[] = {"MIKEY-1", "PRF-HMAC-SHA-256"};
static const char *const maps[] = {"SRTP-ID", "empty", "GENERIC-ID"};
static const char *const encr_algs[] = {"NULL", "AES-CM-128", "AES-KW-128", "AES-CM-256"};
static const char *const mac_algs[] = {"NULL", "HMAC-SHA-1-160", "HMAC-SHA-256-256"};
static const char *const ts_types[] = {"NTP-UTC", "NTP", "COUNTER", "NTP-UTC-32"};
static const char *const ts_roles[] = {NULL, "issue", "start", "end", "rekeying interval"};
static const char *const id_types[] = {"NAI", "URI", "byte string"};
static const char *const id_roles[] = {NULL,  "initiator",   "responder", "KMS",
                                       "PSK", "application", "KMS of I",  "KMS of R"};
static const char *const rand_roles[] = {NULL, "initiator", "responder", "KMS"};
static const char *const hashes[] = {"SHA-1", "MD5", "SHA-256"};
static const char *const exts[] = {"vendor ID", "SDP IDs", "TESLA I-Key", "key ID", "CSB_ID"};

static void
print_moment(const Printer *p, unsigned depth, const char *what, const MikeyTimestamp *t)
{
    time_t seconds = (time_t)mikey_ntp32_to_unix((uint32_t)(mikey_timestamp_iv(t) >> 32));
    char moment[32] = "?";
    struct tm parts;

    if (t->type == MIKEY_TS_COUNTER || t->role == MIKEY_TR_REKEY) {
        say(p, depth, "%s: %s, %llu", what, NAME_IN(ts_types, t->type),
            (unsigned long long)t->value);
        return;
    }
    if (gmtime_r(&seconds, &parts) != NULL)
        strftime(moment, sizeof(moment), "%Y-%m-%dT%H:%M:%SZ", &parts);
    say(p, depth, "%s: %s, %s", what, NAME_IN(ts_types, t->type), moment);
}

static void
print_flags(const Printer *p, unsigned depth, uint32_t flags)
{
    char names[13];
    size_t n = 0;

    for (unsigned i = 0; i < 12; i++) {
        if ((flags & (MIKEY_FLAG_D >> i)) != 0)
            names[n++] = (char)('D' + i);
    }
    names[n] = '\0';
    say(p, depth, "flags: %s", n > 0 ? names : "none");
}

/* A key in the clear stands in requests alone, where it is a template; even so only its kind */
static void
print_kemac(const Printer *p, unsigned depth, const MikeyKemac *kemac)
{
    MikeyReader r = mikey_reader(kemac->encr_data);
    uint8_t next = MIKEY_KEY_DATA;
    MikeyKeyData key;

    if (kemac->encr_alg != MIKEY_ENCR_NULL) {
        say(p, depth, "KEMAC, %zu octets, encrypted (%s)", kemac->encr_data.len,
            NAME_IN(encr_algs, kemac->encr_alg));
        return;
    }
    say(p, depth, "KEMAC, %zu octets, not encrypted", kemac->encr_data.len);
    while (r.left > 0 && next == MIKEY_KEY_DATA &&
           mikey_key_data_read(&r, &next, &key) == MIKEY_OK) {
        char room[2 * MAX_OCTETS + 4];
        bool spi = key.kv == MIKEY_KV_SPI;

        say(p, depth + 1, "%s, %zu octets%s%s", mikey_key_type_string(key.type), key.key.len,
            spi ? ", SPI " : "", spi ? hex(mikey_bytes(key.spi, key.spi_len), room) : "");
        mikey_key_data_clear(&key);
    }
}

static void
print_sp(const Printer *p, unsigned depth, const MikeySp *sp)
{
    MikeySrtpProfile profile = MIKEY_SRTP_NONE;
    MikeyStatus status = mikey_sp_profile(sp, &profile);
    MikeyReader r = mikey_reader(sp->params);

    say(p, depth, "SP: policy %u, protocol %u, %s", sp->policy_no, sp->prot,
        status == MIKEY_OK ? mikey_srtp_profile_string(profile) : mikey_status_string(status));
    while (r.left > 0 && !r.bad) {
        unsigned type = mikey_read_u8(&r);
        char room[2 * MAX_OCTETS + 4];

        say(p, depth + 1, "parameter %u: %s", type, hex(mikey_read_lv8(&r), room));
    }
}

static void print_payload(const Printer *p, unsigned depth, const MikeyPayload *payload);

static void
print_chain(const Printer *p, unsigned depth, MikeyBytes octets)
{
    MikeyReader r = mikey_reader(octets);
    uint8_t first = mikey_read_u8(&r);
    MikeyChain chain = mikey_chain(r, first, MIKEY_MAX_POLICY_CHAIN);
    MikeyPayload payload;

    while (mikey_chain_next(&chain, &payload))
        print_payload(p, depth, &payload);
    if (chain.status != MIKEY_OK)
        say(p, depth, "not readable from here: %s", mikey_status_string(chain.status));
}

static void
print_ticket(const Printer *p, unsigned depth, const MikeyPayload *payload)
{
    const MikeyTicketPayload *ticket = &payload->u.ticket;

    say(p, depth, "%s: type %u, subtype %u, version %u, PRF %u (%s)",
        mikey_payload_string(payload->number), ticket->ticket_type, ticket->subtype,
        ticket->version, ticket->prf, NAME_IN(prfs, ticket->prf));
    print_flags(p, depth + 1, ticket->flags);
    say(p, depth + 1, "policy, %zu octets:", ticket->tp_data.len);
    print_chain(p, depth + 2, ticket->tp_data);
    if (payload->number != MIKEY_TICKET)
        return;
    say(p, depth + 1, "ticket data, %zu octets, for the KMS alone", ticket->ticket_data.len);
    say(p, depth + 1, "initiator data, %zu octets%s", ticket->initiator_data.len,
        ticket->initiator_data.len > 0 ? ":" : "");
    if (ticket->initiator_data.len > 0)
        print_chain(p, depth + 2, ticket->initiator_data);
}

static void
print_simple(const Printer *p, unsigned depth, const MikeyPayload *payload)
{
    const char *name = mikey_payload_string(payload->number);
    char octets[2 * MAX_OCTETS + 4], words[4 * MAX_OCTETS + 4];

    switch (payload->number) {
    case MIKEY_T:
        print_moment(p, depth, name, &payload->u.timestamp);
        return;
    case MIKEY_TR:
        print_moment(p, depth, NAME_IN(ts_roles, payload->u.timestamp.role), &payload->u.timestamp);
        return;
    case MIKEY_ID:
        say(p, depth, "%s: %s, %s", name, NAME_IN(id_types, payload->u.id.type),
            text(payload->u.id.data, words));
        return;
    case MIKEY_IDR:
        say(p, depth, "%s of %s: %s, %s", name, NAME_IN(id_roles, payload->u.id.role),
            NAME_IN(id_types, payload->u.id.type), text(payload->u.id.data, words));
        return;
    case MIKEY_RAND:
        say(p, depth, "%s, %zu octets: %s", name, payload->u.rand.rand.len,
            hex(payload->u.rand.rand, octets));
        return;
    case MIKEY_RANDR:
        say(p, depth, "%s of %s, %zu octets: %s", name, NAME_IN(rand_roles, payload->u.rand.role),
            payload->u.rand.rand.len, hex(payload->u.rand.rand, octets));
        return;
    case MIKEY_V:
        say(p, depth, "%s: %s, %s", name, NAME_IN(mac_algs, payload->u.v.alg),
            hex(payload->u.v.mac, octets));
        return;
    case MIKEY_CHASH:
        say(p, depth, "%s: %s, %s", name, NAME_IN(hashes, payload->u.chash.func),
            hex(payload->u.chash.hash, octets));
        return;
    case MIKEY_ERR:
        say(p, depth, "%s: %u, %s", name, payload->u.err.number,
            mikey_error_string(payload->u.err.number));
        return;
    case MIKEY_GENERAL_EXT:
        say(p, depth, "%s: %s, %zu octets: %s", name, NAME_IN(exts, payload->u.ext.type),
            payload->u.ext.data.len,
            payload->u.ext.type == MIKEY_EXT_SDP_IDS ? text(payload->u.ext.data, words)
                                                     : hex(payload->u.ext.data, octets));
        return;
    default:
        say(p, depth, "%s, %zu octets", name, payload->octets.len);
        return;
    }
}

static void
print_payload(const Printer *p, unsigned depth, const MikeyPayload *payload)
{
    if (payload->number == MIKEY_KEMAC)
        print_kemac(p, depth, &payload->u.kemac);
    else if (payload->number == MIKEY_SP)
        print_sp(p, depth, &payload->u.sp);
    else if (payload->number == MIKEY_TP || payload->number == MIKEY_TICKET)
        print_ticket(p, depth, payload);
    else
        print_simple(p, depth, payload);
}

static void
print_session(const Printer *p, const MikeyCs *cs)
{
    char policies[4 * 16 + 4] = "", spi[2 * MAX_OCTETS + 4], ssrc[48] = "no SSRC";
    size_t len = 0;

    for (unsigned i = 0; i < cs->n_policies && i < 16; i++)
        len += (size_t)snprintf(policies + len, sizeof(policies) - len, " %u", cs->policies[i]);
    if (cs->n_policies > 16)
        snprintf(policies + len, sizeof(policies) - len, "...");
    if (cs->has_ssrc && cs->has_roc)
        snprintf(ssrc, sizeof(ssrc), "SSRC %08x, ROC %u, SEQ %u", (unsigned)cs->ssrc,
                 (unsigned)cs->roc, cs->seq);
    else if (cs->has_ssrc)
        snprintf(ssrc, sizeof(ssrc), "SSRC %08x", (unsigned)cs->ssrc);
    say(p, 1, "crypto session %u: protocol %u, policies%s, %s, SPI %s", cs->id, cs->prot,
        cs->n_policies > 0 ? policies : " none", ssrc,
        cs->spi_len > 0 ? hex(mikey_bytes(cs->spi, cs->spi_len), spi) : "none");
}

void
mikey_print(const MikeyMessage *message, MikeyPrintFunc print, void *data)
{
    const MikeyHeader *header = &message->header;
    Printer p = {print, data};

    say(&p, 0, "HDR: %s (%u), CSB ID %08x, PRF %u (%s), V flag %d, %zu octets in all",
        mikey_data_type_string(header->type), header->type, (unsigned)header->csb_id, header->prf,
        NAME_IN(prfs, header->prf), header->v, message->octets.len);
    say(&p, 0, "map: %s, %u crypto sessions", NAME_IN(maps, header->map_type), header->n_cs);
    for (unsigned i = 0; i < header->n_cs; i++)
        print_session(&p, &header->cs[i]);
    for (size_t i = 0; i < message->n_payloads; i++)
        print_payload(&p, 0, &message->payloads[i]);
}
