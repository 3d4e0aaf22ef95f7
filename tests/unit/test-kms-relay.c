/* SPDX-License-Identifier: Apache-2.0 */
/* Does a KMS have tickets of another one resolved for its own users, and for nobody else?
 *
 * Two KMSs, example.org (who made the ticket) and example.net (whom erin asks), without sockets.
 */
#include "config.h"

#include <string.h>

#include "kms/relay.h"
#include "kms/terminal.h"
#include "unit/kms-parties.h"

#define ERIN "sip:erin@example.net"
#define NET_URI "sip:kms@example.net"
#define BETWEEN "psk = 8f1e2d3c4b5a69788796a5b4c3d2e1f00f1e2d3c4b5a69788796a5b4c3d2e1f0\n"
#define PEER_NET                                                                                   \
    "[peer net]\nuri = " NET_URI "\n" BETWEEN "identities = *@example.net;*@example.org\n"

static ClvKmsKeyFile *
net_keys(const char *of_erin, const char *peer)
{
    MikeyKey psk = party_psk("erin");
    g_autofree char *key = g_base64_encode(psk.bytes, psk.len);
    g_autofree char *text =
        g_strdup_printf("[kms]\nuri = " NET_URI "\n[user erin]\npsk = base64:%s\nidentities = " ERIN
                        "\nmay-request = any\n%s%s",
                        key, of_erin, peer);
    g_autofree char *folder = g_dir_make_tmp("kms-relay-XXXXXX", NULL);
    g_autofree char *path = g_build_filename(folder, "keys", NULL);
    g_autoptr(GPtrArray) errors = g_ptr_array_new_with_free_func(g_free);
    ClvKmsKeyFile *keys;
    g_autofree char *ca = g_build_filename(folder, "ca.pem", NULL);
    g_autofree char *own = g_build_filename(folder, "own.pem", NULL);

    g_assert_true(g_file_set_contents(ca, "", 0, NULL) && g_file_set_contents(own, "", 0, NULL));
    g_assert_true(g_file_set_contents_full(path, text, -1, G_FILE_SET_CONTENTS_NONE, 0600, NULL));
    keys = clv_kms_keyfile_load(path, errors);
    if (errors->len > 0)
        g_error("%s", (const char *)errors->pdata[0]);
    return keys;
}

#define PEER_ORG(identities)                                                                       \
    "[peer org]\nuri = " KMS_URI "\n" BETWEEN "url = https://kms.example.org/keymanagement\n"      \
    "ca = ca.pem\nclient-cert = own.pem\nidentities = " identities "\n"

static gint64 call_time_us = NOW_US;

typedef struct Call {
    ClvKmsService *org, *net;
    MikeyOffer *offer;
    MikeyResolve *resolve;
    ClvKmsRelay *relay;
    ClvKmsDecision decision;
    GByteArray *refusal;
} Call;

/* alice of example.org calls erin, who asks her own KMS. */
static void
call_up(Call *call, const char *org_extra, const char *net_peer)
{
    MikeyKey psk = party_psk("erin");
    MikeyAccount account = {
        .psk = &psk,
        .psk_id = mikey_identity_bytes(mikey_bytes_str("erin")),
        .self = mikey_identity_uri(ERIN),
        .kms = mikey_identity_uri(NET_URI),
        .prf = MIKEY_PRF_HMAC_SHA_256,
    };
    MikeyEnv env = party_env(call_time_us);
    g_autoptr(Wanted) wanted = wanted_new(ERIN);
    g_autoptr(MikeyGrant) grant = NULL;
    g_autoptr(MikeyTransfer) transfer = NULL;
    MikeyBytes octets;

    memset(call, 0, sizeof *call);
    call->org = parties_service(org_extra);
    call->net = clv_kms_service_new(net_keys("", net_peer), NULL, NULL);
    grant = party_grant(call->org, "alice", ALICE, wanted, call_time_us);
    transfer = party_call(grant, ERIN, call_time_us);
    call->offer = party_offer(mikey_transfer_octets(transfer), call_time_us);
    g_assert_cmpint(mikey_resolve_new(call->offer, &account, &env, &call->resolve), ==, MIKEY_OK);
    octets = mikey_resolve_octets(call->resolve);
    call->refusal =
        clv_kms_service_begin(call->net, CLV_KMS_TICKET_RESOLVE, octets.data, octets.len,
                              call_time_us, NULL, &call->decision, &call->relay);
}

static void
call_clear(Call *call)
{
    g_clear_pointer(&call->refusal, g_byte_array_unref);
    mikey_resolve_free(call->resolve);
    mikey_offer_free(call->offer);
    clv_kms_service_free(call->org);
    clv_kms_service_free(call->net);
}

static GByteArray *
ask_org(Call *call, const char *proven, ClvKmsDecision *out_decision)
{
    const guint8 *octets;
    gsize len;

    g_assert_nonnull(call->relay);
    clv_kms_relay_octets(call->relay, &octets, &len);
    return clv_kms_service_handle_from(call->org, CLV_KMS_TICKET_RESOLVE, octets, len, NOW_US,
                                       proven, out_decision);
}

static void
test_ticket_of_another_kms_is_resolved_through_it(void)
{
    Call call;
    ClvKmsDecision decision;
    g_autoptr(GByteArray) between = NULL;
    g_autoptr(GByteArray) answer = NULL;
    g_autoptr(MikeyResolution) resolution = NULL;
    MikeyEnv env = party_env(NOW_US);

    call_up(&call, PEER_NET, PEER_ORG("*@example.org"));
    between = ask_org(&call, "peer net", &decision);
    if (!decision.granted)
        g_error("%s", decision.rule);
    g_assert_cmpstr(decision.user, ==, "peer net");
    answer = clv_kms_service_finish(call.relay, CLV_CODE_OK, between, NULL, NOW_US, &call.decision);
    if (!call.decision.granted)
        g_error("%s", call.decision.rule);
    g_assert_cmpstr(call.decision.request, ==, "relay");
    g_assert_cmpint(mikey_resolve_finish(call.resolve, mikey_bytes(answer->data, answer->len), &env,
                                         &resolution, NULL),
                    ==, MIKEY_OK);
    g_assert_cmpint(mikey_offer_verify(call.offer, resolution), ==, MIKEY_OK);
    call_clear(&call);
}

static void
test_peer_without_its_certificate_gets_nothing(void)
{
    static const char *const proofs[] = {NULL, "peer other", "alice"};

    for (guint i = 0; i < G_N_ELEMENTS(proofs); i++) {
        Call call;
        ClvKmsDecision decision;
        g_autoptr(GByteArray) between = NULL;
        g_autoptr(GByteArray) answer = NULL;

        call_up(&call, PEER_NET, PEER_ORG("*@example.org"));
        between = ask_org(&call, proofs[i], &decision);
        g_assert_false(decision.granted);
        g_assert_true(decision.foreign);
        answer =
            clv_kms_service_finish(call.relay, CLV_CODE_OK, between, NULL, NOW_US, &call.decision);
        g_assert_false(call.decision.granted);
        g_assert_cmpuint(decision.error, ==, 8);
        g_assert_cmpuint(call.decision.error, ==, 12); /* not the fault of who asks */
        call_clear(&call);
    }
}

static void
test_peer_speaks_for_its_own_users_alone(void)
{
    Call call;
    ClvKmsDecision decision;
    g_autoptr(GByteArray) between = NULL;
    g_autoptr(GByteArray) answer = NULL;

    call_up(&call,
            "[peer net]\nuri = " NET_URI "\n" BETWEEN "identities = *@elsewhere.example.net\n",
            PEER_ORG("*@example.org"));
    between = ask_org(&call, "peer net", &decision);
    g_assert_false(decision.granted);
    g_assert_cmpuint(decision.error, ==, 7);
    answer = clv_kms_service_finish(call.relay, CLV_CODE_OK, between, NULL, NOW_US, &call.decision);
    g_assert_false(call.decision.granted);
    call_clear(&call);
}

static void
test_unknown_kms_and_wrong_initiator_are_refused_unasked(void)
{
    static const struct {
        const char *peer;
        guint error;
    } cases[] = {{"", 14}, {PEER_ORG("*@example.com"), 7}, {PEER_ORG("nobody"), 7}};

    for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
        Call call;

        call_up(&call, PEER_NET, cases[i].peer);
        g_assert_null(call.relay);
        g_assert_nonnull(call.refusal);
        g_assert_true(call.decision.authenticated);
        g_assert_cmpuint(call.decision.error, ==, cases[i].error);
        call_clear(&call);
    }
}

static void
test_peer_that_is_down_is_an_error_of_its_own(void)
{
    Call call;
    g_autoptr(GByteArray) answer = NULL;

    call_up(&call, PEER_NET, PEER_ORG("*@example.org"));
    answer = clv_kms_service_finish(call.relay, CLV_CODE_KMS_TIMEOUT, NULL, "gone", NOW_US,
                                    &call.decision);
    g_assert_nonnull(answer);
    g_assert_false(call.decision.granted);
    g_assert_cmpuint(call.decision.error, ==, 12);
    g_assert_nonnull(strstr(call.decision.rule, "gone"));
    call_clear(&call);
}

/* It would make a caller's ticket bad by anybody's word. */
static void
test_error_of_the_peer_without_a_mac_is_no_reason(void)
{
    static const MikeyStatus reasons[] = {MIKEY_BAD_IDENTITY, MIKEY_BAD_TICKET, MIKEY_BAD_POLICY};

    for (guint i = 0; i < G_N_ELEMENTS(reasons); i++) {
        Call call;
        MikeyEnv env = party_env(NOW_US);
        MikeyBuffer error = MIKEY_BUFFER_INIT;
        g_autoptr(GByteArray) says = g_byte_array_new();
        g_autoptr(GByteArray) answer = NULL;
        const guint8 *octets;
        gsize len;

        call_up(&call, PEER_NET, PEER_ORG("*@example.org"));
        clv_kms_relay_octets(call.relay, &octets, &len);
        g_assert_cmpint(mikey_error_new(mikey_bytes(octets, len), reasons[i], &env, &error), ==,
                        MIKEY_OK);
        g_byte_array_append(says, error.data, (guint)error.len);
        mikey_buffer_clear(&error);
        answer =
            clv_kms_service_finish(call.relay, CLV_CODE_OK, says, NULL, NOW_US, &call.decision);
        g_assert_false(call.decision.granted);
        g_assert_cmpuint(call.decision.error, ==, 12);
        call_clear(&call);
    }
}

static void
test_who_is_revoked_meanwhile_gets_no_answer(void)
{
    static const char *const lost[] = {"revoked = yes\n", "tickets-since = 2029-12-31T23:59:59Z\n",
                                       "tickets-since = 2030-01-01T00:10:00Z\n"};

    for (guint i = 0; i < G_N_ELEMENTS(lost); i++) {
        Call call;
        ClvKmsDecision decision;
        g_autoptr(GByteArray) between = NULL;
        g_autoptr(GByteArray) answer = NULL;

        call_up(&call, PEER_NET, PEER_ORG("*@example.org"));
        between = ask_org(&call, "peer net", &decision);
        g_assert_true(decision.granted);
        clv_kms_service_reload(call.net, net_keys(lost[i], PEER_ORG("*@example.org")));
        answer =
            clv_kms_service_finish(call.relay, CLV_CODE_OK, between, NULL, NOW_US, &call.decision);
        g_assert_nonnull(answer);
        g_assert_cmpint(call.decision.granted, ==, i == 1); /* made after that */
        g_assert_cmpuint(call.decision.error, ==, i == 1 ? 0 : 7);
        call_clear(&call);
    }
}

static void
test_same_octets_do_not_wait_for_a_relay(void)
{
    Call call;
    ClvKmsDecision decision;
    ClvKmsRelay *second = NULL;
    g_autoptr(GByteArray) again = NULL;
    g_autoptr(GByteArray) answer = NULL;
    MikeyBytes octets;

    call_up(&call, PEER_NET, PEER_ORG("*@example.org"));
    octets = mikey_resolve_octets(call.resolve);
    again = clv_kms_service_begin(call.net, CLV_KMS_TICKET_RESOLVE, octets.data, octets.len, NOW_US,
                                  NULL, &decision, &second);
    g_assert_null(second);
    g_assert_false(decision.granted);
    answer = clv_kms_service_finish(call.relay, CLV_CODE_KMS_DOWN, NULL, "", NOW_US, &decision);
    call_clear(&call);
}

/* Over sockets: whoever waits for a peer is told, and others are answered meanwhile. */
static void
test_server_answers_when_the_peer_cannot_be_reached(void)
{
    Call call;
    ClvKmsServerConfig config = {.listen = "127.0.0.1:0", .threads = 1};
    MikeyKey psk = party_psk("erin");
    g_autoptr(GError) error = NULL;
    g_autoptr(ClvKmsServer) server = NULL;
    g_autoptr(ClvTerminal) terminal = NULL;
    ClvTerminalConfig erin = {
        .kms_uri = NET_URI, .identity = ERIN, .user = "erin", .psk = psk.bytes, .psk_len = psk.len};

    call_time_us = g_get_real_time();
    call_up(&call, PEER_NET,
            "[peer org]\nuri = " KMS_URI "\n" BETWEEN "url = https://127.0.0.1:1/k\n"
            "ca = ca.pem\nclient-cert = own.pem\nidentities = *@example.org\n");
    g_byte_array_unref(clv_kms_service_finish(call.relay, CLV_CODE_KMS_DOWN, NULL, "", call_time_us,
                                              &call.decision));
    server = clv_kms_server_new(&config, call.net, &error);
    g_assert_no_error(error);
    erin.http.url = clv_kms_server_url(server);
    terminal = clv_terminal_new(&erin, &error);
    g_assert_no_error(error);
    for (guint i = 0; i < 7; i++) { /* the breaker of the peer opens on the way */
        MikeyPeerError refusal;

        g_assert_null(
            clv_terminal_resolve(terminal, call.offer, g_get_real_time(), &refusal, &error));
        g_assert_error(error, CLV_KMS_ERROR, CLV_CODE_FORBIDDEN);
        g_assert_cmpuint(refusal.number, ==, 12);
        g_assert_true(refusal.authentic);
        g_clear_error(&error);
    }
    g_clear_pointer(&server, clv_kms_server_free);
    call_clear(&call);
    call_time_us = NOW_US;
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/kms-relay/ticket-of-another-kms-is-resolved-through-it",
                    test_ticket_of_another_kms_is_resolved_through_it);
    g_test_add_func("/kms-relay/peer-without-its-certificate-gets-nothing",
                    test_peer_without_its_certificate_gets_nothing);
    g_test_add_func("/kms-relay/peer-speaks-for-its-own-users-alone",
                    test_peer_speaks_for_its_own_users_alone);
    g_test_add_func("/kms-relay/unknown-kms-and-wrong-initiator-are-refused-unasked",
                    test_unknown_kms_and_wrong_initiator_are_refused_unasked);
    g_test_add_func("/kms-relay/peer-that-is-down-is-an-error-of-its-own",
                    test_peer_that_is_down_is_an_error_of_its_own);
    g_test_add_func("/kms-relay/error-of-the-peer-without-a-mac-is-no-reason",
                    test_error_of_the_peer_without_a_mac_is_no_reason);
    g_test_add_func("/kms-relay/who-is-revoked-meanwhile-gets-no-answer",
                    test_who_is_revoked_meanwhile_gets_no_answer);
    g_test_add_func("/kms-relay/same-octets-do-not-wait-for-a-relay",
                    test_same_octets_do_not_wait_for_a_relay);
    g_test_add_func("/kms-relay/server-answers-when-the-peer-cannot-be-reached",
                    test_server_answers_when_the_peer_cannot_be_reached);
    return g_test_run();
}
