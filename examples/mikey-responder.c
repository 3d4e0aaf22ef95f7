/* SPDX-License-Identifier: Apache-2.0 */
/* examples/mikey-responder.c - is called with a ticket; plays the KMS too, to be complete
 *
 * See mikey-initiator.c for how to start both.
 */
#include "mikey-common.h"

static const MikeyKey bob_psk = {"the example key of bob, public..", 32};
/* the KMS's alone */
static const MikeyKey ticket_key = {"the example ticket key, public..", 32};

/* ---- the KMS ---- */

static MikeyBuffer
kms_grants(MikeyBytes request)
{
    MikeyGrantSetup setup = {.tpk = &ticket_key, .tpk_id = mikey_bytes_str("tpk-1")};
    MikeyEnv env = example_env();
    MikeyBuffer answer = MIKEY_BUFFER_INIT;
    MikeyQuery *query = NULL;

    example_must(mikey_query_open(request, &env, &query), "KMS: request");
    /* a real KMS looks up mikey_query_psk_id(), and mikey_query_digest() in its replay cache */
    example_must(mikey_query_authenticate(query, &alice_psk), "KMS: alice");
    example_must(mikey_query_grant(query, &setup, &env, &answer), "KMS: grant");
    mikey_query_free(query);
    return answer;
}

static MikeyBuffer
kms_resolves(MikeyBytes question)
{
    MikeyEnv env = example_env();
    MikeyBuffer answer = MIKEY_BUFFER_INIT;
    MikeyQuery *query = NULL;
    MikeyIdentity who;

    example_must(mikey_query_open(question, &env, &query), "KMS: resolve");
    example_must(mikey_query_authenticate(query, &bob_psk), "KMS: bob");
    example_must(mikey_query_open_ticket(query, &ticket_key, &env), "KMS: ticket");
    who = mikey_query_identity(query);
    if (!mikey_policy_names_responder(mikey_query_policy(query), &who))
        example_must(MIKEY_BAD_IDENTITY, "KMS: responder");
    example_must(mikey_query_resolve(query, &who, &env, &answer), "KMS: answer");
    mikey_query_free(query);
    return answer;
}

/* ---- bob ---- */

/* Has the ticket of an offer resolved; with that the caller can be verified */
static MikeyResolution *
resolve(const MikeyOffer *offer, const MikeyEnv *env)
{
    MikeyAccount account = {.psk = &bob_psk,
                            .psk_id = mikey_identity_bytes(mikey_bytes_str("bob")),
                            .self = mikey_identity_uri(BOB),
                            .kms = mikey_identity_uri(KMS),
                            .prf = MIKEY_PRF_HMAC_SHA_256};
    MikeyResolve *question = NULL;
    MikeyResolution *resolution = NULL;
    MikeyBuffer told;

    example_must(mikey_resolve_new(offer, &account, env, &question), "resolve");
    told = kms_resolves(mikey_resolve_octets(question));
    example_must(
        mikey_resolve_finish(question, mikey_bytes(told.data, told.len), env, &resolution, NULL),
        "resolution");
    mikey_buffer_clear(&told);
    mikey_resolve_free(question);
    return resolution;
}

static void
answer_call(FILE *to, FILE *from)
{
    const MikeySrtpProfile profiles[] = {MIKEY_SRTP_AES_CM_128_HMAC_SHA1_80,
                                         MIKEY_SRTP_AEAD_AES_256_GCM};
    const MikeyLine lines[] = {{.keyed = true, .ssrc = 0x22222222}};
    const MikeyBytes ids[] = {mikey_bytes_str("mikey")};
    MikeyAnswerSetup setup = {.lines = lines, .n_lines = 1, .profiles = profiles, .n_profiles = 2};
    MikeyBuffer octets = example_receive(from, "offer"), answer = MIKEY_BUFFER_INIT;
    MikeyEnv env = example_env();
    MikeyOffer *offer = NULL;
    MikeyResolution *resolution;
    MikeyBundle *bundle = NULL;
    MikeyIdentity caller;

    example_must(mikey_offer_open(mikey_bytes(octets.data, octets.len), &env, &offer), "offer");
    example_must(mikey_sdp_ids_check(mikey_offer_message(offer), ids, 1), "protocol list");
    resolution = resolve(offer, &env);
    example_must(mikey_offer_verify(offer, resolution), "caller");
    caller = mikey_offer_initiator(offer);
    printf("bob: %.*s calls\n", (int)caller.data.len, (const char *)caller.data.data);
    example_must(mikey_offer_answer(offer, &setup, &env, &answer, &bundle), "answer");
    example_send(to, "answer", mikey_bytes(answer.data, answer.len));
    example_show("bob", bundle, MIKEY_CS_OFFERER(1));
    example_show("bob", bundle, MIKEY_CS_ANSWERER(1));
    mikey_bundle_free(bundle);
    mikey_buffer_clear(&answer);
    mikey_resolution_free(resolution);
    mikey_offer_free(offer);
    mikey_buffer_clear(&octets);
}

int
main(int argc, char **argv)
{
    FILE *from = argc == 3 ? fopen(argv[1], "r") : NULL;
    FILE *to = from != NULL ? fopen(argv[2], "w") : NULL;
    MikeyBuffer request, granted;

    if (to == NULL) {
        fprintf(stderr, "usage: mikey-responder PIPE-IN PIPE-OUT\n");
        return 2;
    }
    request = example_receive(from, "request");
    granted = kms_grants(mikey_bytes(request.data, request.len));
    example_send(to, "granted", mikey_bytes(granted.data, granted.len));
    mikey_buffer_clear(&request);
    mikey_buffer_clear(&granted);
    answer_call(to, from);
    fclose(to);
    fclose(from);
    return 0;
}
