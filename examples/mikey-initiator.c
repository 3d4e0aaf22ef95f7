/* SPDX-License-Identifier: Apache-2.0 */
/* examples/mikey-initiator.c - gets a ticket and calls with it
 *
 *   mkfifo there back
 *   ./mikey-responder there back & ./mikey-initiator there back
 */
#include "mikey-common.h"

/* Asks the KMS for a ticket with which bob can be called for an hour */
static MikeyGrant *
get_ticket(FILE *to, FILE *from)
{
    MikeyAccount account = {.psk = &alice_psk,
                            .psk_id = mikey_identity_bytes(mikey_bytes_str("alice")),
                            .self = mikey_identity_uri(ALICE),
                            .kms = mikey_identity_uri(KMS),
                            .prf = MIKEY_PRF_HMAC_SHA_256};
    MikeyIdentity bob = mikey_identity_uri(BOB);
    MikeyPolicy policy = mikey_policy_default();
    MikeyEnv env = example_env();
    MikeyRequest *request = NULL;
    MikeyGrant *grant = NULL;
    MikeyPeerError error = {0, false};
    MikeyBuffer answer;
    MikeyStatus status;

    policy.responders = &bob;
    policy.n_responders = 1;
    policy.has_end = true;
    policy.end_unix = mikey_ntp_to_unix_us(env.now) / 1000000 + 3600;
    example_must(mikey_request_new(&account, &policy, &env, &request), "request");
    example_send(to, "request", mikey_request_octets(request));
    answer = example_receive(from, "granted");
    status =
        mikey_request_finish(request, mikey_bytes(answer.data, answer.len), &env, &grant, &error);
    if (status == MIKEY_PEER_ERROR)
        fprintf(stderr, "the KMS says: %s%s\n", mikey_error_string(error.number),
                error.authentic ? "" : " (not authenticated)");
    example_must(status, "ticket");
    mikey_buffer_clear(&answer);
    mikey_request_free(request);
    return grant;
}

/* Calls bob with one audio line and shows what was agreed on */
static void
call(const MikeyGrant *grant, FILE *to, FILE *from)
{
    const MikeySrtpProfile profiles[] = {MIKEY_SRTP_AEAD_AES_256_GCM,
                                         MIKEY_SRTP_AES_CM_128_HMAC_SHA1_80};
    const MikeyLine lines[] = {{.keyed = true, .ssrc = 0x11111111}};
    MikeyTransferSetup setup = {.responder = mikey_identity_uri(BOB),
                                .csb_id = 1,
                                .lines = lines,
                                .n_lines = 1,
                                .profiles = profiles,
                                .n_profiles = 2,
                                .sdp_ids = mikey_bytes_str("mikey")};
    MikeyEnv env = example_env();
    MikeyTransfer *transfer = NULL;
    MikeyBundle *bundle = NULL;
    MikeyIdentity peer;
    MikeyBuffer answer;

    example_must(mikey_transfer_new(grant, &setup, &env, &transfer), "transfer");
    example_send(to, "offer", mikey_transfer_octets(transfer));
    answer = example_receive(from, "answer");
    example_must(
        mikey_transfer_finish(transfer, mikey_bytes(answer.data, answer.len), &env, &bundle, NULL),
        "answer");
    peer = mikey_bundle_peer(bundle);
    printf("alice: %.*s answered\n", (int)peer.data.len, (const char *)peer.data.data);
    example_show("alice", bundle, MIKEY_CS_OFFERER(1));
    example_show("alice", bundle, MIKEY_CS_ANSWERER(1));
    mikey_buffer_clear(&answer);
    mikey_bundle_free(bundle);
    mikey_transfer_free(transfer);
}

int
main(int argc, char **argv)
{
    FILE *to = argc == 3 ? fopen(argv[1], "w") : NULL;
    FILE *from = to != NULL ? fopen(argv[2], "r") : NULL;
    MikeyGrant *grant;

    if (from == NULL) {
        fprintf(stderr, "usage: mikey-initiator PIPE-OUT PIPE-IN\n");
        return 2;
    }
    grant = get_ticket(to, from);
    call(grant, to, from);
    mikey_grant_free(grant);
    fclose(from);
    fclose(to);
    return 0;
}
