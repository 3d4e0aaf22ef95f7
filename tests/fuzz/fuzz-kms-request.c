/* SPDX-License-Identifier: Apache-2.0 */
/* Does the KMS answer any octets properly: never a grant without a right MAC, never a MAC without
 * a proof, never an answer to an Error?
 *
 * The first octet of the input: 01: the message is posted as a resolve; 02: V is made right first,
 * with the key of the user whom the message names, so that what lies behind the MAC is reached.
 * Clock and randomness are fixed, so that tickets in the corpus stay good.
 *
 * With A0 to AF erin of example.net posts a resolve to her own KMS, whose peer is that of
 * example.org; two octets give the length of her message, and what lies behind it is what the peer
 * says: the octets themselves, or with 02 edits of the right answer, each of three octets: where
 * (two) and what to exclude-or. 04: V and CSB ID of that are made right. 01: V of hers. With 08 the
 * message goes to the KMS of example.org from that peer instead.
 */
#include "config.h"

#include <string.h>

#include "kms/keyfile.h"
#include "kms/relay.h"
#include "unit/kms-parties.h"

#define ERIN "sip:erin@example.net"
#define NET_URI "sip:kms@example.net"
#define BETWEEN "8f1e2d3c4b5a69788796a5b4c3d2e1f00f1e2d3c4b5a69788796a5b4c3d2e1f0"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A stream that looks random and is the same each time. */
static gboolean
fixed_random(void *user, guint8 *out, gsize len)
{
    guint32 *state = user;

    for (gsize i = 0; i < len; i++) {
        *state = *state * 1664525u + 1013904223u;
        out[i] = (guint8)(*state >> 24);
    }
    return TRUE;
}

static const MikeyPayload *
find(const MikeyMessage *message, MikeyPayloadNumber number, uint8_t role)
{
    return mikey_message_find(message, number, role);
}

static MikeyBytes
id_of(const MikeyMessage *message, uint8_t role)
{
    const MikeyPayload *id = find(message, MIKEY_IDR, role);

    return id != NULL ? id->u.id.data : mikey_bytes(NULL, 0);
}

/* The key that the two KMSs share */
static MikeyKey
between(void)
{
    g_autoptr(ClvSecret) secret = clv_secret_parse(BETWEEN, NULL);
    MikeyKey key;
    gsize len = 0;
    const guint8 *bytes = clv_secret_bytes(secret, &len);

    g_assert_cmpint(mikey_key_set(&key, bytes, len), ==, MIKEY_OK);
    return key;
}

/* V over all octets but its MAC, then the two names. */
static void
make_mac(const MikeyMessage *message, guint8 *octets, gsize size)
{
    const MikeyHeader *header = mikey_message_header(message);
    gboolean resolve = header->type == MIKEY_RESOLVE_INIT_PSK;
    const MikeyPayload *v = find(message, MIKEY_V, 0);
    const MikeyPayload *rand =
        find(message, MIKEY_RANDR, resolve ? MIKEY_RANDR_RESPONDER : MIKEY_RANDR_INITIATOR);
    MikeyBytes name = id_of(message, MIKEY_IDR_PSK);
    g_autofree char *user =
        name.data != NULL ? g_strndup((const char *)name.data, name.len) : g_strdup("alice");
    MikeyKey psk = strcmp(user, NET_URI) == 0 ? between() : party_psk(user);
    MikeyLabel label = {.tag = MIKEY_TAG_INIT, .csb_id = header->csb_id};
    MikeyBytes parts[3] = {
        {octets, size},
        id_of(message, resolve ? MIKEY_IDR_RESPONDER : MIKEY_IDR_INITIATOR),
        id_of(message, MIKEY_IDR_KMS),
    };
    MikeyMessageKeys keys;
    guint8 mac[32];
    size_t len = 0;

    if (v == NULL || rand == NULL || v->u.v.mac.len == 0 || v->u.v.mac.len > size)
        return;
    if (resolve)
        label.rand_r = rand->u.rand.rand;
    else
        label.rand_i = rand->u.rand.rand;
    parts[0].len = size - v->u.v.mac.len;
    if (mikey_message_keys(header->prf, &psk, &label, &keys) != MIKEY_OK)
        return;
    if (mikey_mac(v->u.v.alg, &keys.auth, parts, 3, mac, &len) == MIKEY_OK && len == v->u.v.mac.len)
        memcpy(octets + size - len, mac, len);
    mikey_message_keys_clear(&keys);
}

static void
check_answer(const GByteArray *answer, const ClvKmsDecision *decision, gboolean resolve)
{
    MikeyMessage *message = NULL;
    guint expected = resolve ? MIKEY_RESOLVE_RESP : MIKEY_REQUEST_RESP;

    g_assert_true(!decision->granted || decision->authenticated);
    g_assert_true(!decision->granted || answer != NULL);
    if (answer == NULL)
        return;
    g_assert_cmpint(mikey_message_parse(mikey_bytes(answer->data, answer->len), &message), ==,
                    MIKEY_OK);
    if (!decision->granted)
        expected = MIKEY_ERROR;
    g_assert_cmpuint(mikey_message_header(message)->type, ==, expected);
    if (!decision->granted)
        g_assert_cmpint(find(message, MIKEY_V, 0) != NULL, ==, decision->authenticated);
    mikey_message_free(message);
}

/* ---- with a peer ---- */

typedef enum RelayFlags {
    RELAY_SIGN_QUESTION = 1,
    RELAY_EDIT_ANSWER = 2,
    RELAY_SIGN_ANSWER = 4,
    RELAY_FROM_PEER = 8,
} RelayFlags;

static ClvKmsKeyFile *
net_keys(void)
{
    MikeyKey psk = party_psk("erin");
    g_autofree char *key = g_base64_encode(psk.bytes, psk.len);
    g_autofree char *text = g_strdup_printf("[kms]\nuri = " NET_URI "\nallow-128 = yes\n"
                                            "[user erin]\npsk = base64:%s\nidentities = " ERIN "\n"
                                            "[peer org]\nuri = " KMS_URI "\npsk = " BETWEEN
                                            "\nidentities = *@example.org\n",
                                            key);
    g_autoptr(GPtrArray) errors = g_ptr_array_new_with_free_func(g_free);
    ClvKmsKeyFile *keys = clv_kms_keyfile_parse("net", text, strlen(text), errors);

    g_assert_cmpuint(errors->len, ==, 0);
    /* its certificates would be files */
    g_ptr_array_add(((ClvKmsPeer *)keys->peers->pdata[0])->urls, g_strdup("https://kms/"));
    return keys;
}

/* V of an answer to @question, which has it over both; an Error has it over itself. */
static void
sign_answer(const MikeyMessage *question, guint8 *octets, gsize size)
{
    const MikeyHeader *header = mikey_message_header(question);
    const MikeyPayload *rand = find(question, MIKEY_RANDR, MIKEY_RANDR_RESPONDER);
    MikeyLabel label = {.tag = MIKEY_TAG_RESP, .csb_id = header->csb_id};
    MikeyBytes parts[2] = {{octets, size}, mikey_message_octets(question)};
    g_autoptr(MikeyMessage) answer = NULL;
    MikeyMessageKeys keys;
    const MikeyPayload *v;
    MikeyKey psk = between();
    guint8 mac[32];
    size_t len = 0;
    gboolean error;

    if (size < 8)
        return;
    memcpy(octets + 4, mikey_message_octets(question).data + 4, 4); /* CSB ID */
    if (mikey_message_parse(mikey_bytes(octets, size), &answer) != MIKEY_OK)
        return;
    v = find(answer, MIKEY_V, 0);
    if (v == NULL || v->u.v.mac.len == 0 || v->u.v.mac.len > size)
        return;
    error = mikey_message_header(answer)->type == MIKEY_ERROR;
    label.tag = error ? MIKEY_TAG_INIT : MIKEY_TAG_RESP;
    label.rand_r = rand->u.rand.rand;
    parts[0].len = size - v->u.v.mac.len;
    if (mikey_message_keys(header->prf, &psk, &label, &keys) != MIKEY_OK)
        return;
    if (mikey_mac(v->u.v.alg, &keys.auth, parts, error ? 1 : 2, mac, &len) == MIKEY_OK &&
        len == v->u.v.mac.len)
        memcpy(octets + size - len, mac, len);
    mikey_message_keys_clear(&keys);
}

/* The KMS of example.org, with that of example.net for a peer */
static ClvKmsService *
org_service(guint32 *seed)
{
    return clv_kms_service_new(parties_keys("allow-128 = yes\n[peer net]\nuri = " NET_URI
                                            "\npsk = " BETWEEN "\nidentities = *@example.net\n"),
                               fixed_random, seed);
}

/* What the peer says. The right answer comes from a KMS of its own, by its rules. */
static GByteArray *
peer_says(RelayFlags flags, const MikeyMessage *question, const guint8 *tail, gsize len)
{
    MikeyBytes octets = mikey_message_octets(question);
    guint32 seed = 1;
    g_autoptr(ClvKmsService) org = NULL;
    ClvKmsDecision decision;
    GByteArray *says;

    if ((flags & RELAY_EDIT_ANSWER) == 0)
        return g_byte_array_append(g_byte_array_new(), len > 0 ? tail : (const guint8 *)"",
                                   (guint)len);
    org = org_service(&seed);
    says = clv_kms_service_handle_from(org, CLV_KMS_TICKET_RESOLVE, octets.data, octets.len, NOW_US,
                                       "peer net", &decision);
    g_assert_nonnull(says); /* to a question of ours */
    for (; len >= 3; tail += 3, len -= 3)
        says->data[(guint)(tail[0] << 8 | tail[1]) % says->len] ^= tail[2];
    return says;
}

/* Nobody but the peer resolves her ticket, and only by a right answer; and she is answered. */
static void
check_relay(ClvKmsRelay *relay, RelayFlags flags, const guint8 *tail, gsize len)
{
    g_autoptr(MikeyMessage) question = NULL;
    g_autoptr(GByteArray) says = NULL;
    g_autoptr(GByteArray) answer = NULL;
    g_autoptr(GByteArray) same = NULL;
    ClvKmsDecision decision;
    const guint8 *octets;
    gsize n;

    clv_kms_relay_octets(relay, &octets, &n);
    g_assert_cmpint(mikey_message_parse(mikey_bytes(octets, n), &question), ==, MIKEY_OK);
    g_assert_cmpuint(mikey_message_header(question)->type, ==, MIKEY_RESOLVE_INIT_PSK);
    says = peer_says(flags, question, tail, len);
    if ((flags & RELAY_SIGN_ANSWER) != 0)
        sign_answer(question, says->data, says->len);
    answer = clv_kms_service_finish(relay, CLV_CODE_OK, says, NULL, NOW_US, &decision);
    g_assert_true(decision.authenticated);
    g_assert_nonnull(answer);
    check_answer(answer, &decision, TRUE);
    if (!decision.granted)
        return;
    same = g_byte_array_append(g_byte_array_new(), says->data, says->len);
    sign_answer(question, same->data, same->len);
    g_assert_cmpmem(same->data, same->len, says->data, says->len);
}

/* It resolves for its own users alone, whatever it says to be. */
static void
fuzz_from_peer(const guint8 *octets, gsize len)
{
    guint32 seed = 1;
    g_autoptr(ClvKmsService) org = org_service(&seed);
    g_autoptr(GByteArray) answer = NULL;
    ClvKmsDecision decision;

    answer = clv_kms_service_handle_from(org, CLV_KMS_TICKET_RESOLVE, octets, len, NOW_US,
                                         "peer net", &decision);
    check_answer(answer, &decision, TRUE);
    if (decision.granted) {
        g_assert_cmpstr(decision.user, ==, "peer net");
        g_assert_nonnull(strstr(decision.subject, "@example.net"));
    }
}

static void
fuzz_to_peer(RelayFlags flags, const guint8 *octets, gsize len, const guint8 *tail, gsize tail_len)
{
    guint32 seed = 2;
    g_autoptr(ClvKmsService) net = clv_kms_service_new(net_keys(), fixed_random, &seed);
    g_autoptr(GByteArray) answer = NULL;
    ClvKmsDecision decision;
    ClvKmsRelay *relay = NULL;

    answer = clv_kms_service_begin(net, CLV_KMS_TICKET_RESOLVE, octets, len, NOW_US, NULL,
                                   &decision, &relay);
    if (relay != NULL) {
        g_assert_null(answer);
        check_relay(relay, flags, tail, tail_len);
    } else {
        check_answer(answer, &decision, TRUE);
        g_assert_false(decision.granted); /* it has made no tickets */
    }
}

static void
fuzz_relay(const uint8_t *data, size_t size)
{
    RelayFlags flags = data[0] & 0x0f;
    g_autofree guint8 *octets = NULL;
    g_autoptr(MikeyMessage) message = NULL;
    gsize len = size < 3 ? 0 : (gsize)data[1] << 8 | data[2];

    if (len == 0 || len > size - 3)
        return;
    octets = g_memdup2(data + 3, len);
    if ((flags & RELAY_SIGN_QUESTION) != 0 &&
        mikey_message_parse(mikey_bytes(data + 3, len), &message) == MIKEY_OK)
        make_mac(message, octets, len);
    if ((flags & RELAY_FROM_PEER) != 0)
        fuzz_from_peer(octets, len);
    else
        fuzz_to_peer(flags, octets, len, data + 3 + len, size - 3 - len);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    guint32 seed = 1;
    g_autoptr(ClvKmsService) service = NULL;
    g_autofree guint8 *octets = NULL;
    g_autoptr(GByteArray) answer = NULL;
    g_autoptr(GByteArray) again = NULL;
    MikeyMessage *message = NULL;
    ClvKmsDecision decision;
    ClvKmsRequest request;

    if (size < 2)
        return 0;
    if ((data[0] & 0xf0) == 0xa0) {
        fuzz_relay(data, size);
        return 0;
    }
    request = (data[0] & 1) != 0 ? CLV_KMS_TICKET_RESOLVE : CLV_KMS_TICKET_REQUEST;
    octets = g_memdup2(data + 1, size - 1);
    if ((data[0] & 2) != 0 &&
        mikey_message_parse(mikey_bytes(data + 1, size - 1), &message) == MIKEY_OK)
        make_mac(message, octets, size - 1);
    mikey_message_free(message);

    service = clv_kms_service_new(parties_keys("allow-128 = yes"), fixed_random, &seed);
    answer = clv_kms_service_handle(service, request, octets, size - 1, NOW_US, &decision);
    check_answer(answer, &decision, request == CLV_KMS_TICKET_RESOLVE);
    if (!decision.authenticated)
        return 0;
    again = clv_kms_service_handle(service, request, octets, size - 1, NOW_US, &decision);
    g_assert_true(decision.repeated);
    g_assert_cmpmem(answer->data, answer->len, again->data, again->len);
    return 0;
}
