/* SPDX-License-Identifier: Apache-2.0 */
/* kms-parties.c - the people and conference systems that the KMS tests play with */
#include "config.h"

#include "unit/kms-parties.h"

#include <string.h>

static const char *const users[] = {"alice", "bob", "carol", "conf1", "conf2"};

/* Not random, so that a log can be searched for it; different for each. */
MikeyKey
party_psk(const char *user)
{
    MikeyKey key = {.len = 32};
    guint8 digest[MIKEY_DIGEST_LEN];

    g_assert_cmpint(mikey_digest(mikey_bytes_str(user), digest), ==, MIKEY_OK);
    memcpy(key.bytes, digest, sizeof digest);
    return key;
}

static char *
psk_base64(const char *user)
{
    MikeyKey key = party_psk(user);

    return g_base64_encode(key.bytes, key.len);
}

char *
parties_key_file(const char *extra)
{
    char *psk[G_N_ELEMENTS(users)];
    char *text;

    for (guint i = 0; i < G_N_ELEMENTS(users); i++)
        psk[i] = psk_base64(users[i]);
    text = g_strdup_printf("[kms]\nuri = " KMS_URI "\nmax-lifetime = 2h\n%s\n"
                           "[user alice]\npsk = base64:%s\nidentities = " ALICE ";tel:+4930123456\n"
                           "may-request = any\nsecure-conference = yes\n"
                           "[user bob]\npsk = base64:%s\nidentities = " BOB "\n"
                           "may-request = any;!" CAROL "\n"
                           "[user carol]\npsk = base64:%s\nidentities = " CAROL "\n"
                           "may-request = users;services\npurposes = conclave:join\n"
                           "max-lifetime = 10m\nreuse = no\n"
                           "[user conf1]\npsk = base64:%s\nmay-request = users\n"
                           "[user conf2]\npsk = base64:%s\nmay-request = *@example.org\n"
                           "max-lifetime = 60s\n"
                           "[service conf1]\nuser = conf1\nhost = example.org\n"
                           "factory = " FACTORY1_ALIAS "\n"
                           "[service conf2]\nuser = conf2\nhost = example.org\n",
                           extra != NULL ? extra : "", psk[0], psk[1], psk[2], psk[3], psk[4]);
    for (guint i = 0; i < G_N_ELEMENTS(users); i++)
        g_free(psk[i]);
    return text;
}

ClvKmsKeyFile *
parties_keys(const char *extra)
{
    g_autofree char *text = parties_key_file(extra);
    g_autoptr(GPtrArray) errors = g_ptr_array_new_with_free_func(g_free);
    ClvKmsKeyFile *keys = clv_kms_keyfile_parse("parties", text, strlen(text), errors);

    if (errors->len > 0)
        g_error("%s", (const char *)errors->pdata[0]);
    g_assert_nonnull(keys);
    return keys;
}

ClvKmsService *
parties_service(const char *extra)
{
    return clv_kms_service_new(parties_keys(extra), NULL, NULL);
}

MikeyEnv
party_env(gint64 now_us)
{
    return (MikeyEnv){
        .now = mikey_ntp_from_unix_us(now_us),
        .allow_128 = true,
        .random = mikey_random_openssl,
    };
}

/* ---- asking ---- */

void
wanted_name(Wanted *wanted, const char *responder)
{
    g_assert_cmpuint(wanted->policy.n_responders, <, G_N_ELEMENTS(wanted->responders));
    wanted->responders[wanted->policy.n_responders++] = mikey_identity_uri(responder);
}

void
wanted_purpose(Wanted *wanted, const char *purpose)
{
    g_assert_cmpuint(wanted->policy.n_applications, <, G_N_ELEMENTS(wanted->purposes));
    wanted->purposes[wanted->policy.n_applications++] =
        mikey_identity_bytes(mikey_bytes_str(purpose));
}

Wanted *
wanted_new(const char *responder)
{
    Wanted *wanted = g_new0(Wanted, 1);

    wanted->policy = mikey_policy_default();
    wanted->policy.responders = wanted->responders;
    wanted->policy.applications = wanted->purposes;
    wanted->policy.wishes = wanted->wishes;
    wanted_name(wanted, responder);
    return wanted;
}

static MikeyAccount
account_of(const char *user, const char *identity, const MikeyKey *psk)
{
    return (MikeyAccount){
        .psk = psk,
        .psk_id = mikey_identity_bytes(mikey_bytes_str(user)),
        .self = mikey_identity_uri(identity),
        .kms = mikey_identity_uri(KMS_URI),
        .prf = MIKEY_PRF_HMAC_SHA_256,
    };
}

MikeyRequest *
party_request(const char *user, const char *identity, const Wanted *wanted, gint64 now_us)
{
    MikeyKey psk = party_psk(user);
    MikeyAccount account = account_of(user, identity, &psk);
    MikeyEnv env = party_env(now_us);
    MikeyRequest *request = NULL;

    account.prf = wanted->policy.prf;
    g_assert_cmpint(mikey_request_new(&account, &wanted->policy, &env, &request), ==, MIKEY_OK);
    return request;
}

MikeyGrant *
party_grant(ClvKmsService *service, const char *user, const char *identity, const Wanted *wanted,
            gint64 now_us)
{
    g_autoptr(MikeyRequest) request = party_request(user, identity, wanted, now_us);
    ClvKmsDecision decision;
    g_autoptr(GByteArray) answer = service_ask(service, CLV_KMS_TICKET_REQUEST,
                                               mikey_request_octets(request), now_us, &decision);
    MikeyEnv env = party_env(now_us);
    MikeyGrant *grant = NULL;

    if (!decision.granted)
        g_error("not granted: %s", decision.rule);
    g_assert_nonnull(answer);
    g_assert_cmpint(
        mikey_request_finish(request, mikey_bytes(answer->data, answer->len), &env, &grant, NULL),
        ==, MIKEY_OK);
    return grant;
}

/* ---- calling ---- */

MikeyTransfer *
party_call(const MikeyGrant *grant, const char *responder, gint64 now_us)
{
    static const MikeySrtpProfile profiles[] = {MIKEY_SRTP_AES_CM_128_HMAC_SHA1_80};
    MikeyLine line = {.keyed = true, .ssrc = 0x11223344};
    MikeyTransferSetup setup = {
        .responder = mikey_identity_uri(responder),
        .csb_id = g_random_int(),
        .lines = &line,
        .n_lines = 1,
        .profiles = profiles,
        .n_profiles = 1,
        .sdp_ids = mikey_bytes_str("mikey"),
    };
    MikeyEnv env = party_env(now_us);
    MikeyTransfer *transfer = NULL;

    g_assert_cmpint(mikey_transfer_new(grant, &setup, &env, &transfer), ==, MIKEY_OK);
    return transfer;
}

MikeyOffer *
party_offer(MikeyBytes transfer, gint64 now_us)
{
    MikeyEnv env = party_env(now_us);
    MikeyOffer *offer = NULL;

    g_assert_cmpint(mikey_offer_open(transfer, &env, &offer), ==, MIKEY_OK);
    return offer;
}

MikeyResolve *
party_resolve(const MikeyOffer *offer, const char *user, const char *identity, gint64 now_us)
{
    MikeyKey psk = party_psk(user);
    MikeyAccount account = account_of(user, identity, &psk);
    MikeyEnv env = party_env(now_us);
    MikeyResolve *resolve = NULL;

    g_assert_cmpint(mikey_resolve_new(offer, &account, &env, &resolve), ==, MIKEY_OK);
    return resolve;
}

GByteArray *
service_ask(ClvKmsService *service, ClvKmsRequest request, MikeyBytes octets, gint64 now_us,
            ClvKmsDecision *out_decision)
{
    return clv_kms_service_handle(service, request, octets.data, octets.len, now_us, out_decision);
}
