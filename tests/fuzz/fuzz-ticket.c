/* SPDX-License-Identifier: Apache-2.0 */
/* tests/fuzz/fuzz-ticket.c - tickets: read, copy, judge, open
 *
 * The input is a TICKET payload from its Next payload octet on, as it stands in a TRANSFER_INIT,
 * behind one octet. 00: as it is; no key may open it. 01: V is made right first, under the key that
 * the KMS protects tickets with, so that what lies behind the MAC is reached; the cipher is a
 * stream, so an edit of the input is an edit of the keys inside. 02: Vr of the Initiator Data is
 * made right, too. What opens must be sealed again and open to the same keys.
 */
#include <libmikey/mikey.h>

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* what sealed the tickets in the corpus */
static const MikeyKey tpk = {{0x5a, 1,  2,  3,  4,  5,  6,  7,  8,  9,  10, 11, 12, 13, 14, 15,
                              16,   17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31},
                             32};

static void
must(bool condition)
{
    if (!condition)
        abort();
}

static bool
constant(uint8_t *out, size_t len, void *data)
{
    (void)data;
    memset(out, 0xa5, len);
    return true;
}

/* Where V stands in the octets of the ticket, and the RAND that its keys are derived with */
static bool
find_v(const MikeyTicket *ticket, MikeyV *out_v, MikeyBytes *out_rand)
{
    MikeyReader r = mikey_reader(mikey_ticket_payload(ticket)->ticket_data);
    uint8_t first = mikey_read_u8(&r);
    bool found = false;
    MikeyChain chain;
    MikeyPayload p;

    mikey_read_lv16(&r);
    if (r.bad)
        return false;
    chain = mikey_chain(r, first, MIKEY_MAX_PAYLOADS);
    *out_rand = mikey_bytes(NULL, 0);
    while (mikey_chain_next(&chain, &p)) {
        if (p.number == MIKEY_RAND)
            *out_rand = p.u.rand.rand;
        if (p.number == MIKEY_V) {
            *out_v = p.u.v;
            found = true;
        }
    }
    return found && out_rand->len > 0;
}

/* @octets is the copy that is changed, @ticket what was read of it */
static void
put_v_right(const MikeyTicket *ticket, uint8_t *octets)
{
    MikeyBytes whole = mikey_ticket_octets(ticket);
    MikeyLabel label = {.tag = MIKEY_TAG_TICKET};
    MikeyMessageKeys keys;
    MikeyBytes covered;
    uint8_t mac[32];
    size_t at, len = 0;
    MikeyV v;

    if (!find_v(ticket, &v, &label.rand) ||
        mikey_message_keys(mikey_ticket_payload(ticket)->prf, &tpk, &label, &keys) != MIKEY_OK)
        return;
    at = (size_t)(v.mac.data - whole.data);
    covered = mikey_bytes(octets + 1, at - 1);
    if (mikey_mac(v.alg, &keys.auth, &covered, 1, mac, &len) == MIKEY_OK && len == v.mac.len)
        memcpy(octets + at, mac, len);
    mikey_message_keys_clear(&keys);
}

static void
put_vr_right(const MikeyTicket *ticket, const MikeyKey *mpkr, uint8_t *octets)
{
    const MikeyTicketPayload *payload = mikey_ticket_payload(ticket);
    MikeyLabel label = {.constant = MIKEY_C_AUTH, .tag = MIKEY_TAG_INITIATOR_DATA};
    size_t mac_len = payload->prf == MIKEY_PRF_HMAC_SHA_256 ? 32 : 20;
    size_t at = mikey_ticket_octets(ticket).len;
    MikeyBytes covered;
    MikeyKey auth;
    uint8_t mac[32];
    size_t len = 0;

    if (payload->initiator_data.len <= mac_len ||
        mikey_derive(payload->prf, mpkr, &label, mac_len, &auth) != MIKEY_OK)
        return;
    covered = mikey_bytes(octets + at - payload->initiator_data.len,
                          payload->initiator_data.len - mac_len);
    if (mikey_mac(payload->prf == MIKEY_PRF_HMAC_SHA_256 ? MIKEY_MAC_HMAC_SHA_256_256
                                                         : MIKEY_MAC_HMAC_SHA_1_160,
                  &auth, &covered, 1, mac, &len) == MIKEY_OK &&
        len == mac_len)
        memcpy(octets + at - mac_len, mac, len);
    mikey_key_clear(&auth);
}

/* Whatever the fuzzer puts in, nobody but the KMS gets keys out */
static void
look(const MikeyTicket *ticket, MikeyTicketSecrets *secrets)
{
    static const MikeyKey wrong = {{10, 11, 12}, 32};
    const MikeyPolicy *policy = mikey_ticket_policy(ticket);
    MikeyEnv env = {
        .now = (uint64_t)(policy->start_unix + 2208988800) << 32, .allow_128 = true, .allow = ~0u};
    uint8_t digest[MIKEY_DIGEST_LEN];
    MikeyTicket *copy = NULL;

    must(mikey_ticket_copy(ticket, &copy) == MIKEY_OK);
    must(mikey_bytes_equal(mikey_ticket_octets(copy), mikey_ticket_octets(ticket)));
    mikey_ticket_free(copy);
    must(mikey_ticket_digest(ticket, digest) == MIKEY_OK);
    mikey_ticket_tpk_id(ticket);
    for (size_t i = 0; i < policy->n_responders; i++)
        must(mikey_policy_names_responder(policy, &policy->responders[i]));
    mikey_policy_check(policy, true, &env);
    must(mikey_ticket_open(ticket, &wrong, secrets) != MIKEY_OK);
}

static void
seal_again(const MikeyTicket *ticket, MikeyTicketSecrets *secrets)
{
    const MikeyPolicy *policy = mikey_ticket_policy(ticket);
    MikeyEnv env = {
        .now = 0xf486570040000000u, .allow_128 = true, .allow = ~0u, .random = constant};
    MikeyTicketSecrets *second = calloc(1, sizeof(*second));
    MikeyTicket *again = NULL;

    must(secrets->n_keys < MIKEY_MAX_KEYS && secrets->mpk.len <= MIKEY_MAX_KEY);
    if (second == NULL)
        return;
    if (mikey_ticket_seal(policy, secrets, &tpk, mikey_bytes_str("tpk-1"), &env, &again) ==
        MIKEY_OK) {
        must(mikey_ticket_open(again, &tpk, second) == MIKEY_OK);
        must(second->n_keys == secrets->n_keys);
        must(second->mpk.len == secrets->mpk.len &&
             memcmp(second->mpk.bytes, secrets->mpk.bytes, secrets->mpk.len) == 0);
        for (size_t i = 0; i < secrets->n_keys; i++) {
            must(second->keys[i].type == secrets->keys[i].type);
            must(second->keys[i].key.len == secrets->keys[i].key.len);
            must(memcmp(second->keys[i].key.bytes, secrets->keys[i].key.bytes,
                        secrets->keys[i].key.len) == 0);
        }
        mikey_ticket_secrets_clear(second);
    }
    mikey_ticket_free(again);
    free(second);
}

static MikeyTicket *
parse_edited(MikeyTicket *ticket, const uint8_t *octets)
{
    size_t len = mikey_ticket_octets(ticket).len;
    MikeyTicket *edited = NULL;

    must(mikey_ticket_parse(mikey_bytes(octets, len), &edited) == MIKEY_OK);
    mikey_ticket_free(ticket);
    return edited;
}

static MikeyTicket *
open_right(MikeyTicket *ticket, MikeyTicketSecrets *secrets, bool right_vr)
{
    size_t len = mikey_ticket_octets(ticket).len;
    uint8_t *octets = malloc(len);

    if (octets == NULL)
        return ticket;
    memcpy(octets, mikey_ticket_octets(ticket).data, len);
    put_v_right(ticket, octets);
    ticket = parse_edited(ticket, octets);
    if (mikey_ticket_open(ticket, &tpk, secrets) == MIKEY_OK) {
        if (right_vr) {
            put_vr_right(ticket, &secrets->mpkr, octets);
            ticket = parse_edited(ticket, octets);
        }
        mikey_ticket_verify_initiator(ticket, &secrets->mpkr);
        seal_again(ticket, secrets);
        mikey_ticket_secrets_clear(secrets);
    }
    free(octets);
    return ticket;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    MikeyTicketSecrets *secrets;
    MikeyTicket *ticket = NULL;

    if (size < 2 || mikey_ticket_parse(mikey_bytes(data + 1, size - 1), &ticket) != MIKEY_OK)
        return 0;
    secrets = calloc(1, sizeof(*secrets));
    if (secrets != NULL) {
        look(ticket, secrets);
        if ((data[0] & 3) != 0)
            ticket = open_right(ticket, secrets, (data[0] & 2) != 0);
    }
    free(secrets);
    mikey_ticket_free(ticket);
    return 0;
}
