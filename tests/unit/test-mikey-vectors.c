/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/test-mikey-vectors.c - does libmikey agree with the published vectors?
 *
 * One test for each vector. Whole messages are not only read: with the vector's time and random
 * octets the library must write the very same ones.
 */
#include <libmikey/mikey.h>

#include "tests/unit/mikey-json.h"

#include <string.h>

#define VECTORS 120

static MikeyBytes
view(const GByteArray *octets)
{
    return mikey_bytes(octets->data, octets->len);
}

static void
assert_octets(MikeyBytes got, const GByteArray *expected)
{
    g_assert_cmpmem(got.data, got.len, expected->data, expected->len);
}

static void
assert_hex(MikeyBytes got, const Json *object, const char *name)
{
    g_autoptr(GByteArray) expected = json_hex(object, name);

    assert_octets(got, expected);
}

static void
assert_key(const MikeyKey *key, const Json *object, const char *name)
{
    assert_hex(mikey_bytes(key->bytes, key->len), object, name);
}

static MikeyKey
key_of(const Json *object, const char *name)
{
    g_autoptr(GByteArray) octets = json_hex(object, name);
    MikeyKey key = {.len = 0};

    g_assert_cmpint(mikey_key_set(&key, octets->data, octets->len), ==, MIKEY_OK);
    return key;
}

static void
assert_field(const char *got, const Json *fields, const char *name)
{
    if (json_find(fields, name) != NULL)
        g_assert_cmpstr(got, ==, json_text(fields, name));
}

static guint32
flags_of(const char *letters)
{
    guint32 flags = 0;

    for (; *letters != '\0'; letters++)
        flags |= MIKEY_FLAG_D >> (*letters - 'D');
    return flags;
}

/* ---- payloads ---- */

static const char *const id_roles[] = {"", "INITIATOR", "RESPONDER", "KMS", "PSK", "APPLICATION"};
static const char *const id_types[] = {"NAI", "URI", "BYTES"};
static const char *const ts_roles[] = {"", "ISSUE", "START", "END", "REKEY"};
static const char *const ts_types[] = {"NTP_UTC", "NTP", "COUNTER", "NTP_UTC_32"};
static const char *const encr_algs[] = {"NULL", "AES_CM_128", "AES_KW_128", "AES_CM_256"};
static const char *const mac_algs[] = {"NULL", "HMAC_SHA_1_160", "HMAC_SHA_256_256"};
static const char *const key_types[] = {"TGK",  "TGK_SALT",  "TEK", "TEK_SALT",
                                        "GTGK", "GTGK_SALT", "MPK"};
static const char *const errors[] = {
    [0] = "AUTH_FAILURE", [14] = "INVALID_TICKET", [15] = "INVALID_TPPAR"};

static void check_payload(const MikeyPayload *p, const Json *fields);

static void
check_timestamp(const MikeyTimestamp *t, const Json *fields)
{
    g_autofree char *value =
        g_strdup_printf(t->type < 2 ? "%016" G_GINT64_MODIFIER "x" : "%08" G_GINT64_MODIFIER "x",
                        (guint64)t->value);

    assert_field(ts_types[t->type], fields, "ts_type");
    assert_field(ts_roles[t->role], fields, "role");
    g_assert_cmpstr(value, ==, json_text(fields, "value"));
}

static void
check_key_data(const MikeyKeyData *key, const Json *fields)
{
    g_assert_cmpstr(key_types[key->type], ==, json_text(fields, "type"));
    assert_key(&key->key, fields, "key");
    g_assert_cmpint(key->kv == MIKEY_KV_SPI, ==, json_find(fields, "spi") != NULL);
    if (key->kv == MIKEY_KV_SPI)
        assert_hex(mikey_bytes(key->spi, key->spi_len), fields, "spi");
    g_assert_cmpint(key->salt.len > 0, ==, json_find(fields, "salt") != NULL);
    if (key->salt.len > 0)
        assert_key(&key->salt, fields, "salt");
}

static void
check_keys(MikeyBytes clear, const Json *list)
{
    MikeyKeyData keys[MIKEY_MAX_KEYS];
    size_t n = 0;

    g_assert_cmpint(mikey_key_chain_read(clear, keys, &n), ==, MIKEY_OK);
    g_assert_cmpuint(n, ==, list->members->len);
    for (size_t i = 0; i < n; i++)
        check_key_data(&keys[i], list->members->pdata[i]);
}

static void
check_kemac(const MikeyKemac *kemac, const Json *fields)
{
    g_assert_cmpstr(encr_algs[kemac->encr_alg], ==, json_text(fields, "encr"));
    assert_hex(kemac->encr_data, fields, "data");
    assert_field(mac_algs[kemac->mac_alg], fields, "mac_alg");
    if (json_find(fields, "keys") != NULL)
        check_keys(kemac->encr_data, json_get(fields, "keys"));
}

static void
check_sp(const MikeySp *sp, const Json *fields)
{
    const Json *params = json_get(fields, "params");
    MikeyReader r = mikey_reader(sp->params);
    guint n = 0;

    g_assert_cmpint(sp->policy_no, ==, json_number(fields, "policy_no"));
    g_assert_cmpint(sp->prot, ==, json_number(fields, "prot"));
    while (r.left > 0) {
        g_autofree char *type = g_strdup_printf("%u", mikey_read_u8(&r));

        assert_hex(mikey_read_lv8(&r), params, type);
        n++;
    }
    g_assert_cmpuint(n, ==, params->members->len);
}

static void
check_ticket(const MikeyTicketPayload *ticket, const Json *fields)
{
    const Json *chain_fields = json_get(fields, "tp_data");
    MikeyReader r = mikey_reader(ticket->tp_data);
    guint8 first = mikey_read_u8(&r);
    MikeyChain chain = mikey_chain(r, first, 100);
    MikeyPayload p;
    guint n = 0;

    g_assert_cmpint(ticket->ticket_type, ==, json_number(fields, "ticket_type"));
    g_assert_cmpint(ticket->subtype, ==, json_number(fields, "subtype"));
    g_assert_cmpint(ticket->version, ==, json_number(fields, "version"));
    g_assert_cmpint(ticket->prf, ==, g_str_equal(json_text(fields, "prf"), "HMAC_SHA_256"));
    g_assert_cmphex(ticket->flags, ==, flags_of(json_text(fields, "flags")));
    while (mikey_chain_next(&chain, &p)) {
        g_assert_cmpuint(n, <, chain_fields->members->len);
        check_payload(&p, chain_fields->members->pdata[n++]);
    }
    g_assert_cmpint(chain.status, ==, MIKEY_OK);
    g_assert_cmpuint(n, ==, chain_fields->members->len);
    if (json_find(fields, "ticket_data") != NULL) {
        assert_hex(ticket->ticket_data, fields, "ticket_data");
        assert_hex(ticket->initiator_data, fields, "initiator_data");
    }
}

static void
check_payload(const MikeyPayload *p, const Json *fields)
{
    const char *name = json_find(fields, "payload") != NULL ? json_text(fields, "payload") : "";

    if (g_str_equal(name, "GENEXT"))
        g_assert_cmpint(p->number, ==, MIKEY_GENERAL_EXT);
    else if (*name != '\0')
        g_assert_cmpstr(name, ==, mikey_payload_string(p->number));

    switch (p->number) {
    case MIKEY_T:
    case MIKEY_TR:
        check_timestamp(&p->u.timestamp, fields);
        break;
    case MIKEY_IDR:
        g_assert_cmpstr(id_roles[p->u.id.role], ==, json_text(fields, "role"));
        g_assert_cmpstr(id_types[p->u.id.type], ==, json_text(fields, "id_type"));
        g_assert_cmpmem(p->u.id.data.data, p->u.id.data.len, json_text(fields, "data"),
                        strlen(json_text(fields, "data")));
        break;
    case MIKEY_RAND:
    case MIKEY_RANDR:
        assert_field(id_roles[p->u.rand.role], fields, "role");
        assert_hex(p->u.rand.rand, fields, "rand");
        break;
    case MIKEY_V:
        g_assert_cmpstr(mac_algs[p->u.v.alg], ==, json_text(fields, "alg"));
        assert_hex(p->u.v.mac, fields, "mac");
        break;
    case MIKEY_ERR:
        g_assert_cmpstr(errors[p->u.err.number], ==, json_text(fields, "error"));
        break;
    case MIKEY_GENERAL_EXT:
        g_assert_cmpint(p->u.ext.type, ==, MIKEY_EXT_SDP_IDS);
        assert_hex(p->u.ext.data, fields, "data");
        break;
    case MIKEY_KEMAC:
        check_kemac(&p->u.kemac, fields);
        break;
    case MIKEY_SP:
        check_sp(&p->u.sp, fields);
        break;
    case MIKEY_TP:
    case MIKEY_TICKET:
        check_ticket(&p->u.ticket, fields);
        break;
    case MIKEY_SIGN:
        g_assert_cmpint(p->u.sign.type, ==, json_number(fields, "s_type"));
        assert_hex(p->u.sign.signature, fields, "signature");
        break;
    case MIKEY_PKE:
        g_assert_cmpint(p->u.pke.cache, ==, 1);
        g_assert_cmpuint(p->u.pke.data.len, ==, p->octets.len - 3);
        break;
    case MIKEY_CHASH:
        g_assert_cmpint(p->u.chash.func, ==, 2);
        break;
    default:
        g_error("payload %u in the vectors", p->number);
    }
}

static void
check_sessions(const MikeyHeader *header, const Json *list)
{
    g_assert_cmpuint(header->n_cs, ==, list->members->len);
    for (guint i = 0; i < header->n_cs; i++) {
        const Json *fields = list->members->pdata[i];
        const Json *policies = json_get(fields, "policies");
        const MikeyCs *cs = &header->cs[i];

        g_assert_cmpint(cs->id, ==, json_number(fields, "cs_id"));
        g_assert_cmpint(cs->prot, ==, json_number(fields, "prot"));
        assert_hex(cs->session_data, fields, "session_data");
        assert_hex(mikey_bytes(cs->spi, cs->spi_len), fields, "spi");
        g_assert_cmpuint(cs->n_policies, ==, policies->members->len);
        for (guint j = 0; j < cs->n_policies; j++) {
            const Json *policy = policies->members->pdata[j];

            g_assert_cmpint(cs->policies[j], ==, atoi(policy->text));
        }
    }
}

static void
check_header(const MikeyHeader *header, const Json *fields)
{
    g_autofree char *csb_id = g_strdup_printf("%08x", header->csb_id);
    static const char *const maps[] = {"SRTP_ID", "EMPTY", "GENERIC_ID"};

    g_assert_cmpstr(mikey_data_type_string(header->type), ==, json_text(fields, "data_type"));
    g_assert_cmpint(header->v, ==, json_number(fields, "v"));
    g_assert_cmpstr(csb_id, ==, json_text(fields, "csb_id"));
    g_assert_cmpint(header->prf, ==, g_str_equal(json_text(fields, "prf"), "HMAC_SHA_256"));
    g_assert_cmpstr(maps[header->map_type], ==, json_text(fields, "map_type"));
    if (json_find(fields, "sessions") != NULL)
        check_sessions(header, json_get(fields, "sessions"));
}

static void
header_vector(const Json *vector)
{
    g_autoptr(GByteArray) octets = json_hex(vector, "hex");
    g_autofree MikeyCs *room = g_new0(MikeyCs, MIKEY_MAX_CS);
    MikeyReader r = mikey_reader(view(octets));
    MikeyWriter w = MIKEY_WRITER_INIT;
    MikeyHeader header;

    g_assert_cmpint(mikey_header_read(&r, room, &header), ==, MIKEY_OK);
    g_assert_cmpuint(r.left, ==, 0);
    g_assert_cmpint(header.next, ==, json_number(vector, "next"));
    check_header(&header, json_get(vector, "fields"));
    mikey_header_write(&w, &header);
    assert_octets(mikey_writer_octets(&w), octets);
    mikey_writer_clear(&w);
}

static void
key_data_vector(const Json *vector, const GByteArray *octets)
{
    const Json *fields = json_get(vector, "fields");
    MikeyKeyData keys[MIKEY_MAX_KEYS];
    MikeyWriter w = MIKEY_WRITER_INIT;
    size_t n = 0;

    g_assert_cmpint(mikey_key_chain_read(view(octets), keys, &n), ==, MIKEY_OK);
    if (fields->kind == 'a') {
        check_keys(view(octets), fields);
    } else {
        g_assert_cmpuint(n, ==, 1);
        check_key_data(&keys[0], fields);
    }
    mikey_key_chain_write(&w, keys, n);
    assert_octets(mikey_writer_octets(&w), octets);
    mikey_writer_clear(&w);
}

static void
payload_vector(const Json *vector)
{
    g_autoptr(GByteArray) octets = json_hex(vector, "hex");
    MikeyReader r = mikey_reader(view(octets));
    MikeyWriter w = MIKEY_WRITER_INIT;
    MikeyPayload p;
    guint8 number;

    if (json_find(vector, "number") == NULL) {
        header_vector(vector);
        return;
    }
    number = (guint8)json_number(vector, "number");
    if (number == MIKEY_KEY_DATA) {
        key_data_vector(vector, octets);
        return;
    }
    g_assert_cmpint(mikey_payload_read(&r, number, &p), ==, MIKEY_OK);
    g_assert_cmpuint(r.left, ==, 0);
    if (json_find(vector, "next") != NULL)
        g_assert_cmpint(p.next, ==, json_number(vector, "next"));
    check_payload(&p, json_get(vector, "fields"));
    mikey_payload_write(&w, p.next, &p);
    assert_octets(mikey_writer_octets(&w), octets);
    mikey_writer_clear(&w);
}

/* ---- derivation and encryption ---- */

static void
prf_vector(const Json *vector)
{
    g_autoptr(GByteArray) label = json_hex(vector, "label");
    MikeyKey inkey = key_of(vector, "inkey");
    MikeyKey expected = key_of(vector, "outkey");
    MikeyKey outkey;

    g_assert_cmpint(
        mikey_prf((guint8)json_number(vector, "prf"), &inkey, view(label), expected.len, &outkey),
        ==, MIKEY_OK);
    g_assert_true(mikey_key_equal(&outkey, &expected));
}

typedef struct LabelCase {
    const char *name;
    MikeyConstant constant;
    MikeyLabelTag tag;
    guint8 cs_id;
    bool i, r;
} LabelCase;

static const LabelCase label_cases[] = {
    {"label/msg-init-auth", MIKEY_C_AUTH, MIKEY_TAG_INIT, 0, true, false},
    {"label/msg-init-encr", MIKEY_C_ENCR, MIKEY_TAG_INIT, 0, true, false},
    {"label/msg-init-salt", MIKEY_C_SALT, MIKEY_TAG_INIT, 0, true, false},
    {"label/resolve-init-auth", MIKEY_C_AUTH, MIKEY_TAG_INIT, 0, false, true},
    {"label/request-resp-auth", MIKEY_C_AUTH, MIKEY_TAG_RESP, 0, true, false},
    {"label/transfer-resp-auth-g", MIKEY_C_AUTH, MIKEY_TAG_RESP, 0, true, true},
    {"label/fork-mpkr", MIKEY_C_FORK_MPKR, MIKEY_TAG_FORK, 0, false, false},
    {"label/fork-tgk", MIKEY_C_FORK_TGK, MIKEY_TAG_FORK, 0, false, false},
    {"label/initiator-data-auth", MIKEY_C_AUTH, MIKEY_TAG_INITIATOR_DATA, 0, false, false},
    {"label/tek-cs1-h", MIKEY_C_TEK, MIKEY_TAG_SESSION, 1, true, false},
    {"label/tek-cs2-h-g", MIKEY_C_TEK, MIKEY_TAG_SESSION, 2, true, true},
    {"label/salt-cs1-h", MIKEY_C_TGK_SALT, MIKEY_TAG_SESSION, 1, true, false},
};

static const LabelCase *
find_label(const char *name)
{
    for (size_t i = 0; i < G_N_ELEMENTS(label_cases); i++) {
        if (g_str_equal(label_cases[i].name, name))
            return &label_cases[i];
    }
    g_error("no label %s", name);
}

static void
label_vector(const Json *vector)
{
    const LabelCase *c = find_label(json_text(vector, "name"));
    g_autoptr(GByteArray) rand_i = json_hex(vector, "rand_i");
    g_autoptr(GByteArray) rand_r = json_hex(vector, "rand_r");
    g_autoptr(GByteArray) rand = json_hex(vector, "rand_kms_or_ticket_rand");
    g_autoptr(GByteArray) id = json_hex(vector, "id_data");
    MikeyLabel label = {.constant = c->constant, .tag = c->tag, .cs_id = c->cs_id};
    MikeyWriter w = MIKEY_WRITER_INIT;

    label.csb_id = (guint32)g_ascii_strtoull(json_text(vector, "csb_id"), NULL, 16);
    label.id = view(id);
    label.rand = view(rand);
    if (c->i)
        label.rand_i = view(rand_i);
    if (c->r)
        label.rand_r = view(rand_r);
    mikey_label_write(&w, &label);
    assert_hex(mikey_writer_octets(&w), vector, "label");
    mikey_writer_clear(&w);
}

static void
cipher_vector(const Json *vector)
{
    g_autoptr(GByteArray) ts = json_hex(vector, "ts_payload");
    g_autoptr(GByteArray) plain = json_hex(vector, "plaintext");
    g_autofree guint8 *out = g_malloc(plain->len);
    MikeyKey salt = key_of(vector, "salt_key"), encr = key_of(vector, "encr_key");
    MikeyReader r = mikey_reader(view(ts));
    MikeyTimestamp t;
    guint8 next, iv[MIKEY_IV_LEN];
    guint32 csb_id = (guint32)g_ascii_strtoull(json_text(vector, "csb_id"), NULL, 16);

    g_assert_cmpint(mikey_t_read(&r, &next, &t), ==, MIKEY_OK);
    g_assert_cmpint(mikey_iv(&salt, csb_id, &t, iv), ==, MIKEY_OK);
    assert_hex(mikey_bytes(iv, sizeof(iv)), vector, "iv");
    g_assert_cmpint(mikey_cipher(MIKEY_ENCR_AES_CM_256, &encr, iv, view(plain), out), ==, MIKEY_OK);
    assert_hex(mikey_bytes(out, plain->len), vector, "aes_cm_256_ciphertext");
    encr.len = 16;
    g_assert_cmpint(mikey_cipher(MIKEY_ENCR_AES_CM_128, &encr, iv, view(plain), out), ==, MIKEY_OK);
    assert_hex(mikey_bytes(out, plain->len), vector, "aes_cm_128_ciphertext");
}

/* ---- whole messages ---- */

/* Random octets that the vector's author drew, in the order the library asks for them */
typedef struct Script {
    GByteArray *octets;
    guint at;
} Script;

static bool
script_random(uint8_t *out, size_t len, void *data)
{
    Script *script = data;

    g_assert_cmpuint(script->at + len, <=, script->octets->len);
    memcpy(out, script->octets->data + script->at, len);
    script->at += (guint)len;
    return true;
}

static void
script_add(Script *script, const Json *vector, const char *name)
{
    g_autoptr(GByteArray) octets = json_hex(vector, name);

    if (script->octets == NULL)
        script->octets = g_byte_array_new();
    g_byte_array_append(script->octets, octets->data, octets->len);
}

static MikeyMessage *
parse(const GByteArray *octets)
{
    MikeyMessage *message = NULL;

    g_assert_cmpint(mikey_message_parse(view(octets), &message), ==, MIKEY_OK);
    return message;
}

static MikeyEnv
env_at(const MikeyMessage *message, Script *script)
{
    const MikeyPayload *t = mikey_message_find(message, MIKEY_T, 0);
    MikeyEnv env = {.now = t->u.timestamp.value, .random = script_random, .random_data = script};

    return env;
}

static void
check_message(const GByteArray *octets, const Json *fields)
{
    MikeyMessage *message = parse(octets);
    const Json *list = json_get(fields, "payloads");
    MikeyWriter w = MIKEY_WRITER_INIT;

    check_header(mikey_message_header(message), fields);
    g_assert_cmpuint(mikey_message_n_payloads(message), ==, list->members->len);
    mikey_header_write(&w, mikey_message_header(message));
    for (guint i = 0; i < list->members->len; i++) {
        const MikeyPayload *p = mikey_message_payload(message, i);

        check_payload(p, list->members->pdata[i]);
        mikey_payload_write(&w, p->next, p);
    }
    assert_octets(mikey_writer_octets(&w), octets);
    mikey_writer_clear(&w);
    mikey_message_free(message);
}

static MikeyAccount
account_of(const Json *vector, const char *self, const MikeyKey *psk, const MikeyMessage *init)
{
    const MikeyPayload *psk_id = mikey_message_find(init, MIKEY_IDR, MIKEY_IDR_PSK);
    MikeyAccount account = {.psk = psk, .prf = MIKEY_PRF_HMAC_SHA_256};

    account.self = mikey_identity_uri(json_text(vector, self));
    account.kms = mikey_identity_uri(json_text(vector, "identity_kms"));
    account.psk_id.type = psk_id->u.id.type;
    account.psk_id.data = psk_id->u.id.data;
    return account;
}

/* Keys and MAC of one message as the vector lists them */
static void
check_protection(const Json *vector, const char *which, const MikeyKey *inkey, MikeyLabel label,
                 MikeyLabelTag tag)
{
    g_autofree char *keys_name = g_strdup_printf("%s_keys", which);
    g_autofree char *labels_name = g_strdup_printf("%s_labels", which);
    g_autofree char *input_name = g_strdup_printf("%s_mac_input", which);
    g_autofree char *mac_name = g_strdup_printf("%s_mac", which);
    const Json *keys = json_get(vector, keys_name), *labels = json_get(vector, labels_name);
    g_autoptr(GByteArray) input = json_hex(vector, input_name);
    MikeyBytes part = view(input);
    MikeyMessageKeys derived;
    MikeyWriter w = MIKEY_WRITER_INIT;
    guint8 mac[32];
    size_t len = 0;

    label.tag = tag;
    g_assert_cmpint(mikey_message_keys(MIKEY_PRF_HMAC_SHA_256, inkey, &label, &derived), ==,
                    MIKEY_OK);
    assert_key(&derived.encr, keys, "encr_key");
    assert_key(&derived.auth, keys, "auth_key");
    assert_key(&derived.salt, keys, "salt_key");
    label.constant = MIKEY_C_ENCR;
    mikey_label_write(&w, &label);
    assert_hex(mikey_writer_octets(&w), labels, "encr");
    mikey_writer_clear(&w);
    g_assert_cmpint(mikey_mac(MIKEY_MAC_HMAC_SHA_256_256, &derived.auth, &part, 1, mac, &len), ==,
                    MIKEY_OK);
    assert_hex(mikey_bytes(mac, len), vector, mac_name);
}

static void
request_vector(const Json *vector)
{
    g_autoptr(GByteArray) init_octets = json_hex(vector, "REQUEST_INIT_PSK");
    g_autoptr(GByteArray) resp_octets = json_hex(vector, "REQUEST_RESP");
    g_autoptr(GByteArray) rand_i = json_hex(vector, "rand_i");
    MikeyMessage *init = parse(init_octets), *resp = parse(resp_octets);
    MikeyKey psk = key_of(vector, "psk");
    MikeyAccount account = account_of(vector, "identity_i", &psk, init);
    Script script = {NULL, 0};
    MikeyEnv env = env_at(init, &script);
    MikeyLabel label = {.csb_id = mikey_message_header(init)->csb_id, .rand_i = view(rand_i)};
    MikeyPolicy policy = *mikey_message_policy(init);
    MikeyRequest *request = NULL;
    MikeyGrant *grant = NULL;
    MikeyQuery *query = NULL;
    const Json *keys = json_get(vector, "kemac_keys");

    check_message(init_octets, json_get(vector, "init_decoded"));
    check_message(resp_octets, json_get(vector, "resp_decoded"));
    check_protection(vector, "init", &psk, label, MIKEY_TAG_INIT);
    check_protection(vector, "resp", &psk, label, MIKEY_TAG_RESP);

    /* the same message out of the same choices */
    script_add(&script, vector, "csb_id");
    script_add(&script, vector, "rand_i");
    g_assert_cmpint(mikey_request_new(&account, &policy, &env, &request), ==, MIKEY_OK);
    assert_octets(mikey_request_octets(request), init_octets);

    /* the KMS's side of it */
    g_assert_cmpint(mikey_query_open(view(init_octets), &env, &query), ==, MIKEY_OK);
    g_assert_cmpint(mikey_query_authenticate(query, &psk), ==, MIKEY_OK);

    env.now = mikey_message_find(resp, MIKEY_T, 0)->u.timestamp.value;
    g_assert_cmpint(mikey_request_finish(request, view(resp_octets), &env, &grant, NULL), ==,
                    MIKEY_OK);
    g_assert_cmphex(mikey_grant_policy(grant)->flags, ==,
                    flags_of(json_text(vector, "granted_flags")));
    g_assert_cmpuint(mikey_grant_n_keys(grant), ==, keys->members->len - 2);
    check_key_data(mikey_grant_key(grant, 0), keys->members->pdata[2]);

    mikey_grant_free(grant);
    mikey_query_free(query);
    mikey_request_free(request);
    mikey_message_free(init);
    mikey_message_free(resp);
    g_byte_array_unref(script.octets);
}

static const Json *all_vectors;

static const Json *
vector_named(const char *name)
{
    const Json *list = json_get(all_vectors, "vectors");

    for (guint i = 0; i < list->members->len; i++) {
        if (g_str_equal(json_text(list->members->pdata[i], "name"), name))
            return list->members->pdata[i];
    }
    g_error("no vector %s", name);
}

static void
check_srtp(const MikeyBundle *bundle, const Json *list)
{
    for (guint i = 0; i < list->members->len; i++) {
        const Json *fields = list->members->pdata[i];
        MikeySrtp srtp;

        g_assert_cmpint(mikey_bundle_srtp(bundle, (guint8)json_number(fields, "cs_id"), &srtp), ==,
                        MIKEY_OK);
        g_assert_cmpint(srtp.profile, ==, MIKEY_SRTP_AEAD_AES_128_GCM);
        assert_key(&srtp.master_key, fields, "master_key");
        assert_key(&srtp.master_salt, fields, "master_salt");
        assert_hex(mikey_bytes(srtp.mki, srtp.mki_len), fields, "mki");
        g_assert_true(srtp.has_ssrc && !srtp.has_roc);
        g_assert_cmpint(srtp.ssrc, ==, json_number(fields, "ssrc"));
        mikey_srtp_clear(&srtp);
    }
}

static MikeyGrant *
grant_of(const Json *vector, const MikeyMessage *init)
{
    const Json *fields = json_get(vector, "session_keys")->members->pdata[0];
    g_autoptr(GByteArray) spi = json_hex(fields, "spi");
    MikeyKey mpki = key_of(vector, "mpki"), mpkr = key_of(vector, "mpkr");
    MikeyKeyData key = {.type = MIKEY_KEY_TGK, .kv = MIKEY_KV_SPI, .spi_len = 4};
    MikeyGrant *grant = NULL;

    key.key = key_of(fields, "key");
    memcpy(key.spi, spi->data, spi->len);
    g_assert_cmpint(mikey_grant_new(mikey_message_ticket(init), &mpki, &mpkr, &key, 1, &grant), ==,
                    MIKEY_OK);
    return grant;
}

/* The caller's side: the same TRANSFER_INIT out of the same choices, and the answer accepted */
static void
check_caller(const Json *vector, const GByteArray *init_octets, const GByteArray *resp_octets)
{
    MikeyMessage *init = parse(init_octets), *resp = parse(resp_octets);
    const MikeySrtpProfile profiles[] = {MIKEY_SRTP_AES_CM_128_HMAC_SHA1_80,
                                         MIKEY_SRTP_AEAD_AES_128_GCM};
    const MikeyLine lines[] = {{.keyed = true, .ssrc = 0x10203040},
                               {.keyed = true, .ssrc = 0x10203041}};
    MikeyTransferSetup setup = {.responder = mikey_identity_uri(json_text(vector, "identity_r")),
                                .csb_id = mikey_message_header(init)->csb_id,
                                .lines = lines,
                                .n_lines = 2,
                                .profiles = profiles,
                                .n_profiles = 2,
                                .sdp_ids = mikey_bytes_str("mikey")};
    Script script = {NULL, 0};
    MikeyEnv env = env_at(init, &script);
    MikeyGrant *grant = grant_of(vector, init);
    MikeyTransfer *transfer = NULL;
    MikeyBundle *bundle = NULL;
    MikeyIdentity peer;

    /* the library draws a CSB ID too, which is not used here */
    script_add(&script, vector, "csb_id");
    script_add(&script, vector, "rand_i");
    g_assert_cmpint(mikey_transfer_new(grant, &setup, &env, &transfer), ==, MIKEY_OK);
    assert_octets(mikey_transfer_octets(transfer), init_octets);
    g_assert_cmpint(mikey_transfer_finish(transfer, view(resp_octets), &env, &bundle, NULL), ==,
                    MIKEY_OK);
    check_srtp(bundle, json_get(vector, "srtp"));
    peer = mikey_bundle_peer(bundle);
    g_assert_true(mikey_bytes_equal(peer.data, mikey_bytes_str(json_text(vector, "responder"))));

    mikey_bundle_free(bundle);
    mikey_transfer_free(transfer);
    mikey_grant_free(grant);
    mikey_message_free(init);
    mikey_message_free(resp);
    g_byte_array_unref(script.octets);
}

/* The responder's side, with the resolve vector that belongs to it */
static void
check_called(const Json *vector, const GByteArray *init_octets, const GByteArray *resp_octets)
{
    const Json *resolve_vector = vector_named("resolve/256-fork-public");
    g_autoptr(GByteArray) ask = json_hex(resolve_vector, "RESOLVE_INIT_PSK");
    g_autoptr(GByteArray) told = json_hex(resolve_vector, "RESOLVE_RESP");
    MikeyMessage *ask_message = parse(ask), *init = parse(init_octets), *resp = parse(resp_octets);
    MikeyKey psk = key_of(resolve_vector, "psk");
    MikeyAccount account = account_of(resolve_vector, "identity_r", &psk, ask_message);
    const MikeySrtpProfile profiles[] = {MIKEY_SRTP_AEAD_AES_128_GCM};
    const MikeyLine lines[] = {{.keyed = true, .ssrc = 0x50607080},
                               {.keyed = true, .ssrc = 0x50607081}};
    MikeyAnswerSetup setup = {.lines = lines, .n_lines = 2, .profiles = profiles, .n_profiles = 1};
    Script script = {NULL, 0};
    MikeyEnv env = env_at(init, &script);
    MikeyOffer *offer = NULL;
    MikeyResolve *resolve = NULL;
    MikeyResolution *resolution = NULL;
    MikeyBuffer answer = MIKEY_BUFFER_INIT;
    MikeyBundle *bundle = NULL;
    const MikeyBytes ids[] = {mikey_bytes_str("mikey")};

    g_assert_cmpint(mikey_offer_open(view(init_octets), &env, &offer), ==, MIKEY_OK);
    g_assert_cmpint(mikey_sdp_ids_check(mikey_offer_message(offer), ids, 1), ==, MIKEY_OK);
    script_add(&script, resolve_vector, "csb_id");
    script_add(&script, resolve_vector, "rand_r");
    env.now = mikey_message_find(ask_message, MIKEY_T, 0)->u.timestamp.value;
    g_assert_cmpint(mikey_resolve_new(offer, &account, &env, &resolve), ==, MIKEY_OK);
    assert_octets(mikey_resolve_octets(resolve), ask);
    g_assert_cmpint(mikey_resolve_finish(resolve, view(told), &env, &resolution, NULL), ==,
                    MIKEY_OK);
    g_assert_cmpint(mikey_offer_verify(offer, resolution), ==, MIKEY_OK);

    script_add(&script, vector, "csb_id"); /* drawn, not used */
    script_add(&script, vector, "rand_r");
    env.now = mikey_message_find(resp, MIKEY_T, 0)->u.timestamp.value;
    g_assert_cmpint(mikey_offer_answer(offer, &setup, &env, &answer, &bundle), ==, MIKEY_OK);
    assert_octets(mikey_bytes(answer.data, answer.len), resp_octets);
    check_srtp(bundle, json_get(vector, "srtp"));

    mikey_bundle_free(bundle);
    mikey_buffer_clear(&answer);
    mikey_resolution_free(resolution);
    mikey_resolve_free(resolve);
    mikey_offer_free(offer);
    mikey_message_free(ask_message);
    mikey_message_free(init);
    mikey_message_free(resp);
    g_byte_array_unref(script.octets);
}

static void
check_forking(const Json *vector)
{
    const Json *forking = json_get(vector, "forking");
    const Json *key = json_get(vector, "session_keys")->members->pdata[0];
    const Json *forked_key = json_get(forking, "session_keys_forked")->members->pdata[0];
    g_autoptr(GByteArray) rand_kms = json_hex(forking, "rand_kms");
    MikeyBytes id = mikey_bytes_str(json_text(forking, "id_data"));
    MikeyKey mpkr = key_of(vector, "mpkr"), tgk = key_of(key, "key"), forked;

    g_assert_cmpint(
        mikey_fork(MIKEY_PRF_HMAC_SHA_256, MIKEY_C_FORK_MPKR, &mpkr, id, view(rand_kms), &forked),
        ==, MIKEY_OK);
    assert_key(&forked, forking, "mpkr_forked");
    g_assert_cmpint(
        mikey_fork(MIKEY_PRF_HMAC_SHA_256, MIKEY_C_FORK_TGK, &tgk, id, view(rand_kms), &forked), ==,
        MIKEY_OK);
    assert_key(&forked, forked_key, "key");
}

static void
check_initiator_data(const Json *vector, const MikeyMessage *init)
{
    const Json *fields = json_get(vector, "initiator_data");
    MikeyKey mpkr = key_of(vector, "mpkr"), auth;
    MikeyLabel label = {.constant = MIKEY_C_AUTH, .tag = MIKEY_TAG_INITIATOR_DATA};

    g_assert_cmpint(mikey_derive(MIKEY_PRF_HMAC_SHA_256, &mpkr, &label, 32, &auth), ==, MIKEY_OK);
    assert_key(&auth, fields, "auth_key");
    assert_hex(mikey_ticket_payload(mikey_message_ticket(init))->initiator_data, fields, "octets");
    g_assert_cmpint(mikey_ticket_verify_initiator(mikey_message_ticket(init), &mpkr), ==, MIKEY_OK);
}

static void
transfer_vector(const Json *vector)
{
    g_autoptr(GByteArray) init_octets = json_hex(vector, "TRANSFER_INIT");
    g_autoptr(GByteArray) resp_octets = json_hex(vector, "TRANSFER_RESP");
    g_autoptr(GByteArray) rand_i = json_hex(vector, "rand_i");
    g_autoptr(GByteArray) rand_r = json_hex(vector, "rand_r");
    MikeyMessage *init = parse(init_octets);
    MikeyKey mpki = key_of(vector, "mpki"), resp_inkey = key_of(vector, "resp_inkey");
    MikeyLabel label = {.csb_id = mikey_message_header(init)->csb_id, .rand_i = view(rand_i)};
    MikeyBuffer value = MIKEY_BUFFER_INIT, decoded = MIKEY_BUFFER_INIT;
    g_autofree char *attribute = NULL;

    check_message(init_octets, json_get(vector, "init_decoded"));
    check_message(resp_octets, json_get(vector, "resp_decoded"));
    check_protection(vector, "init", &mpki, label, MIKEY_TAG_INIT);
    label.rand_r = view(rand_r);
    check_protection(vector, "resp", &resp_inkey, label, MIKEY_TAG_RESP);
    check_forking(vector);
    check_initiator_data(vector, init);
    check_caller(vector, init_octets, resp_octets);
    check_called(vector, init_octets, resp_octets);

    g_assert_cmpint(mikey_sdp_encode(view(init_octets), &value), ==, MIKEY_OK);
    attribute = g_strdup_printf("a=key-mgmt:%s", (char *)value.data);
    g_assert_cmpstr(attribute, ==, json_text(vector, "sdp"));
    g_assert_cmpint(mikey_sdp_decode(mikey_bytes(value.data, value.len), &decoded), ==, MIKEY_OK);
    assert_octets(mikey_bytes(decoded.data, decoded.len), init_octets);
    mikey_buffer_clear(&value);
    mikey_buffer_clear(&decoded);
    mikey_message_free(init);
}

static void
resolve_vector(const Json *vector)
{
    g_autoptr(GByteArray) init_octets = json_hex(vector, "RESOLVE_INIT_PSK");
    g_autoptr(GByteArray) resp_octets = json_hex(vector, "RESOLVE_RESP");
    g_autoptr(GByteArray) rand_r = json_hex(vector, "rand_r");
    g_autoptr(GByteArray) plain = json_hex(vector, "kemac_plaintext");
    MikeyMessage *init = parse(init_octets), *resp = parse(resp_octets);
    MikeyKey psk = key_of(vector, "psk");
    MikeyLabel label = {.csb_id = mikey_message_header(init)->csb_id, .rand_r = view(rand_r)};
    const MikeyTimestamp *t = &mikey_message_find(resp, MIKEY_T, 0)->u.timestamp;
    const MikeyKemac *kemac = &mikey_message_find(resp, MIKEY_KEMAC, 0)->u.kemac;
    MikeyEnv env = {.now = mikey_message_find(init, MIKEY_T, 0)->u.timestamp.value};
    MikeyMessageKeys keys;
    MikeyKeyData data[MIKEY_MAX_KEYS];
    size_t n = 0;
    guint8 iv[MIKEY_IV_LEN];
    MikeyQuery *query = NULL;

    check_message(init_octets, json_get(vector, "init_decoded"));
    check_message(resp_octets, json_get(vector, "resp_decoded"));
    check_protection(vector, "init", &psk, label, MIKEY_TAG_INIT);
    check_protection(vector, "resp", &psk, label, MIKEY_TAG_RESP);
    g_assert_cmpint(mikey_query_open(view(init_octets), &env, &query), ==, MIKEY_OK);
    g_assert_true(mikey_query_is_resolve(query));
    g_assert_cmpint(mikey_query_authenticate(query, &psk), ==, MIKEY_OK);
    mikey_query_free(query);

    label.tag = MIKEY_TAG_RESP;
    g_assert_cmpint(mikey_message_keys(MIKEY_PRF_HMAC_SHA_256, &psk, &label, &keys), ==, MIKEY_OK);
    g_assert_cmpint(mikey_iv(&keys.salt, label.csb_id, t, iv), ==, MIKEY_OK);
    assert_hex(mikey_bytes(iv, sizeof(iv)), vector, "kemac_iv");
    g_assert_cmpint(mikey_keys_open(kemac, &keys, label.csb_id, t, data, &n), ==, MIKEY_OK);
    check_keys(view(plain), json_get(vector, "kemac_keys"));
    g_assert_cmpuint(n, ==, json_get(vector, "kemac_keys")->members->len);
    for (size_t i = 0; i < n; i++)
        check_key_data(&data[i], json_get(vector, "kemac_keys")->members->pdata[i]);
    mikey_message_free(init);
    mikey_message_free(resp);
}

static void
error_vector(const Json *vector)
{
    g_autoptr(GByteArray) at_fault = json_hex(vector, "request");
    g_autoptr(GByteArray) octets = json_hex(vector, "error_message");
    MikeyMessage *request = parse(at_fault), *error = parse(octets);
    MikeyEnv env = {.now = mikey_message_find(request, MIKEY_T, 0)->u.timestamp.value};
    guint8 number = mikey_message_find(error, MIKEY_ERR, 0)->u.err.number;
    MikeyStatus status = number == 0 ? MIKEY_BAD_MAC : MIKEY_NOT_VALID;
    MikeyBuffer made = MIKEY_BUFFER_INIT;
    MikeyQuery *query = NULL;

    check_message(octets, json_get(vector, "decoded"));
    g_assert_cmpint(mikey_status_error(status), ==, number);
    g_assert_cmpint(mikey_query_open(view(at_fault), &env, &query), ==, MIKEY_OK);
    if (json_find(vector, "psk") != NULL) {
        MikeyKey psk = key_of(vector, "psk");

        g_assert_cmpint(mikey_query_authenticate(query, &psk), ==, MIKEY_OK);
    }
    env.now = mikey_message_find(error, MIKEY_T, 0)->u.timestamp.value;
    g_assert_cmpint(mikey_query_error(query, status, &env, &made), ==, MIKEY_OK);
    assert_octets(mikey_bytes(made.data, made.len), octets);
    mikey_buffer_clear(&made);
    mikey_query_free(query);
    mikey_message_free(request);
    mikey_message_free(error);
}

static void
negative_vector(const Json *vector)
{
    g_autoptr(GByteArray) octets = json_hex(vector, "hex");
    guint8 *exact = g_memdup2(octets->data, octets->len);
    MikeyMessage *message = NULL;
    MikeyStatus status = mikey_message_parse(mikey_bytes(exact, octets->len), &message);

    g_test_message("%s", mikey_status_string(status));
    g_assert_cmpint(status, !=, MIKEY_OK);
    g_assert_null(message);
    /* RFC 6043 has no number for flags that contradict each other: we say invalid TPpar, the
     * vector suggests invalid TICKET */
    if (status == MIKEY_BAD_FLAGS)
        g_assert_cmpint(mikey_status_error(status), ==, 15);
    else
        g_assert_cmpint(mikey_status_error(status), ==, json_number(vector, "suggested_error"));
    g_free(exact);
}

static void
sdp_vector(const Json *vector)
{
    const Json *ids = json_get(vector, "ids");
    MikeyBytes views[8];
    MikeyBuffer list = MIKEY_BUFFER_INIT;

    for (guint i = 0; i < ids->members->len; i++)
        views[i] = mikey_bytes_str(((const Json *)ids->members->pdata[i])->text);
    g_assert_cmpint(mikey_sdp_ids(views, ids->members->len, &list), ==, MIKEY_OK);
    g_assert_cmpmem(list.data, list.len, json_text(vector, "list"),
                    strlen(json_text(vector, "list")));
    mikey_buffer_clear(&list);
}

static const struct {
    const char *kind;
    void (*check)(const Json *vector);
} kinds[] = {
    {"payload", payload_vector},   {"prf", prf_vector},         {"label", label_vector},
    {"cipher", cipher_vector},     {"request", request_vector}, {"resolve", resolve_vector},
    {"transfer", transfer_vector}, {"error", error_vector},     {"negative", negative_vector},
    {"sdp", sdp_vector},
};

static void
run_vector(gconstpointer data)
{
    const char *kind = json_text(data, "kind");

    for (size_t i = 0; i < G_N_ELEMENTS(kinds); i++) {
        if (g_str_equal(kinds[i].kind, kind)) {
            kinds[i].check(data);
            return;
        }
    }
    g_error("unknown kind %s", kind);
}

static const struct {
    const char *name;
    MikeyConstant constant;
} constants[] = {
    {"C_TEK", MIKEY_C_TEK},           {"C_TGK_AUTH", MIKEY_C_TGK_AUTH},
    {"C_TGK_ENCR", MIKEY_C_TGK_ENCR}, {"C_TGK_SALT", MIKEY_C_TGK_SALT},
    {"C_MSG_ENCR", MIKEY_C_ENCR},     {"C_MSG_AUTH", MIKEY_C_AUTH},
    {"C_MSG_SALT", MIKEY_C_SALT},     {"C_FORK_MPKR", MIKEY_C_FORK_MPKR},
    {"C_FORK_TGK", MIKEY_C_FORK_TGK}, {"C_MPKI", MIKEY_C_MPKI},
    {"C_MPKR", MIKEY_C_MPKR},
};

static void
constants_are_those_published(void)
{
    const Json *published = json_get(all_vectors, "constants");

    g_assert_cmpuint(published->members->len, ==, G_N_ELEMENTS(constants));
    for (size_t i = 0; i < G_N_ELEMENTS(constants); i++) {
        g_autofree char *hex = g_strdup_printf("%08x", (guint)constants[i].constant);

        g_assert_cmpstr(hex, ==, json_text(published, constants[i].name));
    }
}

static void
no_vector_is_left_out(void)
{
    g_assert_cmpuint(json_get(all_vectors, "vectors")->members->len, ==, VECTORS);
}

int
main(int argc, char **argv)
{
    g_autofree char *path = NULL, *text = NULL;
    g_autoptr(GError) error = NULL;
    const Json *list;
    Json *json;
    int result;

    g_test_init(&argc, &argv, NULL);
    path = g_test_build_filename(G_TEST_DIST, "tests/vectors/mikey-ticket-vectors.json", NULL);
    g_file_get_contents(path, &text, NULL, &error);
    g_assert_no_error(error);
    json = json_read(text);
    all_vectors = json;
    list = json_get(json, "vectors");
    g_test_add_func("/mikey/vectors/no-vector-is-left-out", no_vector_is_left_out);
    g_test_add_func("/mikey/vectors/constants-are-those-published", constants_are_those_published);
    for (guint i = 0; i < list->members->len; i++) {
        g_autofree char *name =
            g_strdup_printf("/mikey/vectors/%s", json_text(list->members->pdata[i], "name"));

        g_test_add_data_func(name, list->members->pdata[i], run_vector);
    }
    result = g_test_run();
    json_free(json);
    return result;
}
