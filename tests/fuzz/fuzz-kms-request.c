/* SPDX-License-Identifier: Apache-2.0 */
/* Does the KMS answer any octets properly: never a grant without a right MAC, never a MAC without
 * a proof, never an answer to an Error?
 *
 * The first octet of the input: 01: the message is posted as a resolve; 02: V is made right first,
 * with the key of the user whom the message names, so that what lies behind the MAC is reached.
 * Clock and randomness are fixed, so that tickets in the corpus stay good.
 */
#include "config.h"

#include <string.h>

#include "unit/kms-parties.h"

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
    MikeyKey psk = party_psk(user);
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
