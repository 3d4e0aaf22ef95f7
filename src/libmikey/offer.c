/* SPDX-License-Identifier: Apache-2.0 */
/* libmikey/offer.c - the responder reads a TRANSFER_INIT, has the ticket resolved, verifies the
 * caller and answers (RFC 6043 sections 4.2.2 and 4.2.3) */
#include <libmikey/exchange-private.h>

#include <openssl/crypto.h>
#include <string.h>

struct MikeyResolution {
    uint8_t offer_digest[MIKEY_DIGEST_LEN];
    uint8_t ticket_digest[MIKEY_DIGEST_LEN];
    MikeyKmsKeys keys;
    uint8_t responder_type;
    MikeyBuffer responder;
    MikeyBuffer rand_kms;
};

struct MikeyOffer {
    MikeyMessage *init;
    bool verified;
    MikeyMessageKeys init_keys;
    MikeyResolution *resolution;
    MikeyKeyData *keys; /* sent in the message */
    size_t n_keys;
};

struct MikeyResolve {
    MikeyMessage *init;
    MikeyKey psk;
    uint8_t offer_digest[MIKEY_DIGEST_LEN];
};

/* ---- reading the offer ---- */

static bool
policy_is_there(const MikeyMessage *init, const MikeyBundle *before, uint8_t no, uint8_t prot)
{
    const MikeySp *sp = mikey_message_sp(init, no);

    if (sp != NULL)
        return sp->prot == prot;
    return before != NULL && before->policies[no].known && before->policies[no].prot == prot;
}

MikeyStatus
mikey_check_session_policies(const MikeyMessage *init, const MikeyBundle *before)
{
    for (unsigned i = 0; i < init->header.n_cs; i++) {
        const MikeyCs *cs = &init->header.cs[i];

        for (unsigned j = 0; j < cs->n_policies; j++) {
            if (!policy_is_there(init, before, cs->policies[j], cs->prot))
                return MIKEY_BAD_SESSIONS;
        }
    }
    return MIKEY_OK;
}

static MikeyStatus
check_rand_i(const MikeyMessage *init, const MikeyPolicy *policy)
{
    size_t len = mikey_message_randr(init, MIKEY_RANDR_INITIATOR).len;
    bool g = (policy->flags & MIKEY_FLAG_G) != 0;

    /* with G the responder's own part is as long as a key by itself */
    if (len < MIKEY_MIN_RAND || (!g && len < mikey_suite_key_len(policy->prf)))
        return MIKEY_SHORT_RAND;
    return MIKEY_OK;
}

static MikeyStatus
check_ticket(const MikeyMessage *init, const MikeyEnv *env)
{
    const MikeyPolicy *policy = mikey_message_policy(init);
    MikeyIdentity initiator = mikey_message_identity(init, MIKEY_IDR_INITIATOR);
    MikeyStatus status = mikey_policy_check(policy, true, env);

    if (status != MIKEY_OK)
        return status;
    if (policy->prf != init->header.prf)
        return MIKEY_BAD_PRF;
    if (policy->initiator.data.len == 0)
        return MIKEY_BAD_TICKET;
    if (!mikey_identity_equal(&policy->initiator, &initiator))
        return MIKEY_BAD_IDENTITY;
    if (mikey_message_kemac(init) != NULL && (policy->flags & MIKEY_FLAG_L) == 0)
        return MIKEY_POLICY_VIOLATED;
    status = mikey_initiator_data_check(init->ticket);
    return status == MIKEY_OK ? check_rand_i(init, policy) : status;
}

static MikeyStatus
check_offer(const MikeyMessage *init, const MikeyEnv *env)
{
    MikeyStatus status;

    if (init->header.type != MIKEY_TRANSFER_INIT)
        return MIKEY_BAD_DATA_TYPE;
    if (init->ticket == NULL)
        return MIKEY_MISSING;
    status = mikey_message_check_suite(init, env);
    if (status == MIKEY_OK)
        status = mikey_message_check_time(init, env);
    if (status == MIKEY_OK)
        status = check_ticket(init, env);
    return status == MIKEY_OK ? mikey_check_session_policies(init, NULL) : status;
}

MikeyStatus
mikey_offer_open(MikeyBytes octets, const MikeyEnv *env, MikeyOffer **out_offer)
{
    MikeyOffer *offer = mikey_alloc(sizeof(*offer));
    MikeyStatus status;

    if (offer == NULL)
        return MIKEY_NO_MEMORY;
    status = mikey_message_parse(octets, &offer->init);
    if (status == MIKEY_OK)
        status = check_offer(offer->init, env);
    if (status != MIKEY_OK) {
        mikey_offer_free(offer);
        return status;
    }
    *out_offer = offer;
    return MIKEY_OK;
}

void
mikey_offer_free(MikeyOffer *offer)
{
    if (offer == NULL)
        return;
    mikey_message_free(offer->init);
    mikey_resolution_free(offer->resolution);
    mikey_keys_free(offer->keys, offer->n_keys);
    mikey_release_secret(offer, sizeof(*offer));
}

const MikeyMessage *
mikey_offer_message(const MikeyOffer *offer)
{
    return offer->init;
}

const MikeyTicket *
mikey_offer_ticket(const MikeyOffer *offer)
{
    return offer->init->ticket;
}

const MikeyPolicy *
mikey_offer_policy(const MikeyOffer *offer)
{
    return mikey_message_policy(offer->init);
}

MikeyIdentity
mikey_offer_initiator(const MikeyOffer *offer)
{
    return mikey_message_identity(offer->init, MIKEY_IDR_INITIATOR);
}

MikeyIdentity
mikey_offer_responder(const MikeyOffer *offer)
{
    return mikey_message_identity(offer->init, MIKEY_IDR_RESPONDER);
}

uint32_t
mikey_offer_csb_id(const MikeyOffer *offer)
{
    return offer->init->header.csb_id;
}

MikeyStatus
mikey_offer_digest(const MikeyOffer *offer, uint8_t out_digest[MIKEY_DIGEST_LEN])
{
    return mikey_digest(mikey_message_octets(offer->init), out_digest);
}

MikeyNtp
mikey_offer_timestamp(const MikeyOffer *offer)
{
    return mikey_timestamp_iv(mikey_message_t(offer->init));
}

bool
mikey_offer_is_verified(const MikeyOffer *offer)
{
    return offer->verified;
}

size_t
mikey_offer_n_keys(const MikeyOffer *offer)
{
    return offer->n_keys;
}

const MikeyKeyData *
mikey_offer_key(const MikeyOffer *offer, size_t i)
{
    return i < offer->n_keys ? &offer->keys[i] : NULL;
}

/* ---- asking the KMS ---- */

static MikeyStatus
build_resolve(const MikeyOffer *offer, const MikeyAsker *asker, const MikeyEnv *env,
              MikeyMessage **out_init)
{
    MikeyHeader header = {.type =
                              asker->pk != NULL ? MIKEY_RESOLVE_INIT_PK : MIKEY_RESOLVE_INIT_PSK,
                          .v = true,
                          .prf = asker->prf,
                          .map_type = MIKEY_MAP_EMPTY};
    MikeyLabel label = {.tag = MIKEY_TAG_INIT};
    MikeyWriter w = MIKEY_WRITER_INIT;
    MikeyFresh fresh;
    MikeyTimestamp t;
    MikeyLink link;
    MikeyStatus status = mikey_fresh(env, asker->prf, asker->key.len, &fresh);

    if (status != MIKEY_OK)
        return status;
    header.csb_id = fresh.csb_id;
    label.csb_id = fresh.csb_id;
    label.rand_r = mikey_bytes(fresh.rand, fresh.len);
    mikey_message_begin(&w, &header, env, &link, &t);
    mikey_link_rand(&link, MIKEY_RANDR_RESPONDER, label.rand_r);
    status = mikey_link_asker(&link, asker, MIKEY_IDR_RESPONDER);
    mikey_link_ticket(&link, offer->init->ticket,
                      mikey_ticket_payload(offer->init->ticket)->initiator_data);
    if (status == MIKEY_OK)
        status = mikey_kms_init_end(&w, &link, asker, &label, out_init);
    mikey_writer_clear(&w);
    return status;
}

static MikeyStatus
resolve_new(const MikeyOffer *offer, const MikeyAsker *asker, const MikeyEnv *env,
            MikeyResolve **out_resolve)
{
    MikeyResolve *resolve;
    MikeyStatus status;

    if ((mikey_offer_policy(offer)->flags & MIKEY_FLAG_D) == 0 &&
        (env->allow & MIKEY_ALLOW_MODE_3) == 0)
        return MIKEY_BAD_POLICY;
    resolve = mikey_alloc(sizeof(*resolve));
    if (resolve == NULL)
        return MIKEY_NO_MEMORY;
    resolve->psk = asker->key;
    status = mikey_offer_digest(offer, resolve->offer_digest);
    if (status == MIKEY_OK)
        status = build_resolve(offer, asker, env, &resolve->init);
    if (status != MIKEY_OK) {
        mikey_resolve_free(resolve);
        return status;
    }
    *out_resolve = resolve;
    return MIKEY_OK;
}

MikeyStatus
mikey_resolve_new(const MikeyOffer *offer, const MikeyAccount *account, const MikeyEnv *env,
                  MikeyResolve **out_resolve)
{
    MikeyAsker asker;
    MikeyStatus status = mikey_asker_psk(account, env, &asker);

    if (status != MIKEY_OK)
        return status;
    status = resolve_new(offer, &asker, env, out_resolve);
    mikey_key_clear(&asker.key);
    return status;
}

MikeyStatus
mikey_resolve_new_pk(const MikeyOffer *offer, const MikeyPkAccount *account, const MikeyEnv *env,
                     MikeyResolve **out_resolve)
{
    MikeyAsker asker;
    MikeyStatus status = mikey_asker_pk(account, env, &asker);

    if (status != MIKEY_OK)
        return status;
    status = resolve_new(offer, &asker, env, out_resolve);
    mikey_key_clear(&asker.key);
    return status;
}

MikeyBytes
mikey_resolve_octets(const MikeyResolve *resolve)
{
    return mikey_message_octets(resolve->init);
}

void
mikey_resolve_free(MikeyResolve *resolve)
{
    if (resolve == NULL)
        return;
    mikey_message_free(resolve->init);
    mikey_release_secret(resolve, sizeof(*resolve));
}

/* What forking needs: our name and RANDRkms */
static MikeyStatus
take_modifier(const MikeyMessage *answer, const MikeyPolicy *policy, MikeyResolution *resolution)
{
    MikeyIdentity responder = mikey_message_identity(answer, MIKEY_IDR_RESPONDER);
    MikeyBytes rand_kms = mikey_message_randr(answer, MIKEY_RANDR_KMS);
    MikeyStatus status;

    if ((policy->flags & MIKEY_FLAG_I) != 0) {
        if (responder.data.len == 0 ||
            mikey_message_find(answer, MIKEY_RANDR, MIKEY_RANDR_KMS) == NULL)
            return MIKEY_MISSING;
        if (rand_kms.len < mikey_suite_key_len(policy->prf))
            return MIKEY_SHORT_RAND;
    }
    resolution->responder_type = responder.type;
    status = mikey_buffer_set(&resolution->responder, responder.data);
    if (status == MIKEY_OK)
        status = mikey_buffer_set(&resolution->rand_kms, rand_kms);
    return status;
}

static MikeyStatus
open_resolution(const MikeyResolve *resolve, const MikeyMessage *answer, const MikeyEnv *env,
                MikeyResolution *resolution, MikeyPeerError *out_error)
{
    const MikeyPolicy *policy = mikey_message_policy(resolve->init);
    MikeyMessageKeys resp;
    MikeyStatus status = mikey_kms_answer_open(answer, resolve->init, MIKEY_RESOLVE_RESP,
                                               &resolve->psk, env, &resp, out_error);

    if (status != MIKEY_OK)
        return status;
    status = mikey_kms_keys_open(answer, &resp, policy, &resolution->keys);
    mikey_message_keys_clear(&resp);
    if (status == MIKEY_OK)
        status = take_modifier(answer, policy, resolution);
    if (status == MIKEY_OK)
        status = mikey_ticket_digest(resolve->init->ticket, resolution->ticket_digest);
    memcpy(resolution->offer_digest, resolve->offer_digest, MIKEY_DIGEST_LEN);
    return status;
}

MikeyStatus
mikey_resolve_finish(const MikeyResolve *resolve, MikeyBytes answer, const MikeyEnv *env,
                     MikeyResolution **out_resolution, MikeyPeerError *out_error)
{
    MikeyMessage *message = NULL;
    MikeyResolution *resolution;
    MikeyStatus status = mikey_message_parse(answer, &message);

    if (status != MIKEY_OK)
        return status;
    resolution = mikey_alloc(sizeof(*resolution));
    status = resolution == NULL ? MIKEY_NO_MEMORY
                                : open_resolution(resolve, message, env, resolution, out_error);
    mikey_message_free(message);
    if (status != MIKEY_OK) {
        mikey_resolution_free(resolution);
        return status;
    }
    *out_resolution = resolution;
    return MIKEY_OK;
}

static MikeyStatus
take_secrets(const MikeyTicketSecrets *secrets, MikeyResolution *resolution)
{
    MikeyStatus status = mikey_keys_copy(secrets->keys, secrets->n_keys, &resolution->keys.keys);

    if (status != MIKEY_OK)
        return status;
    resolution->keys.n_keys = secrets->n_keys;
    resolution->keys.mpki = secrets->mpki;
    return MIKEY_OK;
}

static MikeyStatus
open_own(const MikeyOffer *offer, const MikeyKey *tpk, MikeyResolution *resolution)
{
    MikeyTicketSecrets *secrets = mikey_alloc(sizeof(*secrets));
    MikeyStatus status;

    if (secrets == NULL)
        return MIKEY_NO_MEMORY;
    status = mikey_ticket_open(offer->init->ticket, tpk, secrets);
    if (status == MIKEY_OK)
        status = take_secrets(secrets, resolution);
    mikey_release_secret(secrets, sizeof(*secrets));
    if (status == MIKEY_OK)
        status = mikey_offer_digest(offer, resolution->offer_digest);
    if (status == MIKEY_OK)
        status = mikey_ticket_digest(offer->init->ticket, resolution->ticket_digest);
    return status;
}

MikeyStatus
mikey_offer_open_ticket(const MikeyOffer *offer, const MikeyKey *tpk, const MikeyEnv *env,
                        MikeyResolution **out_resolution)
{
    uint32_t flags = mikey_offer_policy(offer)->flags;
    uint32_t mode = (flags & MIKEY_FLAG_D) != 0 ? MIKEY_ALLOW_MODE_2 : MIKEY_ALLOW_MODE_4;
    MikeyResolution *resolution;
    MikeyStatus status;

    /* forking needs a KMS that makes the modifier, so I without E has been refused already */
    if ((flags & MIKEY_FLAG_E) != 0)
        return MIKEY_POLICY_VIOLATED;
    if ((env->allow & mode) == 0)
        return MIKEY_BAD_POLICY;
    resolution = mikey_alloc(sizeof(*resolution));
    if (resolution == NULL)
        return MIKEY_NO_MEMORY;
    status = open_own(offer, tpk, resolution);
    if (status != MIKEY_OK) {
        mikey_resolution_free(resolution);
        return status;
    }
    *out_resolution = resolution;
    return MIKEY_OK;
}

void
mikey_resolution_free(MikeyResolution *resolution)
{
    if (resolution == NULL)
        return;
    mikey_kms_keys_clear(&resolution->keys);
    mikey_buffer_clear(&resolution->responder);
    mikey_buffer_clear(&resolution->rand_kms);
    mikey_release_secret(resolution, sizeof(*resolution));
}

MikeyIdentity
mikey_resolution_responder(const MikeyResolution *resolution)
{
    MikeyIdentity responder = {resolution->responder_type,
                               mikey_buffer_bytes(&resolution->responder)};

    return responder;
}

size_t
mikey_resolution_n_keys(const MikeyResolution *resolution)
{
    return resolution->keys.n_keys;
}

const MikeyKeyData *
mikey_resolution_key(const MikeyResolution *resolution, size_t i)
{
    return i < resolution->keys.n_keys ? &resolution->keys.keys[i] : NULL;
}

static MikeyStatus
resolution_copy(const MikeyResolution *resolution, MikeyResolution **out_copy)
{
    MikeyResolution *copy = mikey_alloc(sizeof(*copy));
    MikeyStatus status;

    if (copy == NULL)
        return MIKEY_NO_MEMORY;
    memcpy(copy->offer_digest, resolution->offer_digest, MIKEY_DIGEST_LEN);
    memcpy(copy->ticket_digest, resolution->ticket_digest, MIKEY_DIGEST_LEN);
    copy->responder_type = resolution->responder_type;
    copy->keys.mpki = resolution->keys.mpki;
    copy->keys.mpkr = resolution->keys.mpkr;
    status = mikey_keys_copy(resolution->keys.keys, resolution->keys.n_keys, &copy->keys.keys);
    if (status == MIKEY_OK) {
        copy->keys.n_keys = resolution->keys.n_keys;
        status = mikey_buffer_set(&copy->responder, mikey_buffer_bytes(&resolution->responder));
    }
    if (status == MIKEY_OK)
        status = mikey_buffer_set(&copy->rand_kms, mikey_buffer_bytes(&resolution->rand_kms));
    if (status != MIKEY_OK) {
        mikey_resolution_free(copy);
        return status;
    }
    *out_copy = copy;
    return MIKEY_OK;
}

/* ---- verifying ---- */

/* Only the KMS can check Vr, and everybody named in the ticket could have made V and Vi */
static bool
is_for_keeping(const MikeyPolicy *policy)
{
    return (policy->flags & MIKEY_FLAG_J) != 0 && policy->n_responders == 1;
}

bool
mikey_policy_may_keep(const MikeyPolicy *policy, const MikeyEnv *env, int64_t *out_until_unix)
{
    if (!is_for_keeping(policy) || mikey_policy_check(policy, true, env) != MIKEY_OK)
        return false;
    *out_until_unix = policy->has_end ? policy->end_unix : INT64_MAX;
    return true;
}

/* The keys are for this ticket, and may be used for this message */
static MikeyStatus
check_resolution(const MikeyOffer *offer, const MikeyResolution *resolution)
{
    const MikeyPolicy *policy = mikey_offer_policy(offer);
    uint8_t digest[MIKEY_DIGEST_LEN];
    MikeyStatus status = mikey_ticket_digest(offer->init->ticket, digest);

    if (status != MIKEY_OK)
        return status;
    if (memcmp(digest, resolution->ticket_digest, sizeof(digest)) != 0)
        return MIKEY_NOT_REUSABLE;
    status = mikey_offer_digest(offer, digest);
    if (status != MIKEY_OK)
        return status;
    if (memcmp(digest, resolution->offer_digest, sizeof(digest)) == 0)
        return MIKEY_OK;
    return is_for_keeping(policy) ? MIKEY_OK : MIKEY_NOT_REUSABLE;
}

/* Vi is V: the owner of the ticket vouched for this message */
static MikeyStatus
check_vi(const MikeyMessage *init)
{
    const MikeyV *v = mikey_message_v(init);
    MikeyInitiatorData data;
    MikeyStatus status;

    if ((mikey_message_policy(init)->flags & MIKEY_FLAG_I) == 0)
        return MIKEY_OK;
    status = mikey_initiator_data_read(mikey_ticket_payload(init->ticket)->initiator_data, &data);
    if (status != MIKEY_OK)
        return status;
    if (data.vi.alg != v->alg || data.vi.mac.len != v->mac.len ||
        CRYPTO_memcmp(data.vi.mac.data, v->mac.data, v->mac.len) != 0)
        return MIKEY_BAD_INITIATOR_DATA;
    return MIKEY_OK;
}

static MikeyStatus
verify_init(const MikeyMessage *init, const MikeyKey *mpki, MikeyMessageKeys *out_keys)
{
    MikeyLabel label = mikey_init_label(init);
    MikeyBytes tail[2] = {mikey_message_identity(init, MIKEY_IDR_INITIATOR).data,
                          mikey_message_identity(init, MIKEY_IDR_RESPONDER).data};
    MikeyMessageKeys keys;
    MikeyStatus status = mikey_message_keys(init->header.prf, mpki, &label, &keys);

    if (status != MIKEY_OK)
        return status;
    status = mikey_message_verify(init, &keys.auth, tail, 2);
    if (status == MIKEY_OK)
        status = check_vi(init);
    if (status == MIKEY_OK)
        *out_keys = keys;
    mikey_message_keys_clear(&keys);
    return status;
}

MikeyStatus
mikey_offer_verify(MikeyOffer *offer, const MikeyResolution *resolution)
{
    MikeyResolution *copy = NULL;
    MikeyMessageKeys keys;
    MikeyKeyData *sent = NULL;
    size_t n_sent = 0;
    MikeyStatus status;

    if (offer->verified)
        return MIKEY_ORDER;
    status = check_resolution(offer, resolution);
    if (status != MIKEY_OK)
        return status;
    status = verify_init(offer->init, &resolution->keys.mpki, &keys);
    if (status != MIKEY_OK)
        return status;
    status = mikey_session_keys_open(offer->init, &keys, &sent, &n_sent);
    if (status == MIKEY_OK)
        status = resolution_copy(resolution, &copy);
    if (status == MIKEY_OK) {
        offer->init_keys = keys;
        offer->resolution = copy;
        offer->keys = sent;
        offer->n_keys = n_sent;
        offer->verified = true;
    } else {
        mikey_keys_free(sent, n_sent);
    }
    mikey_message_keys_clear(&keys);
    return status;
}

/* ---- answering ---- */

static size_t
rank_of(const MikeyAnswerMap *map, uint8_t policy_no)
{
    const MikeyAnswerSetup *setup = map->setup;
    const MikeySp *sp = mikey_message_sp(map->init, policy_no);
    MikeySrtpProfile profile = MIKEY_SRTP_NONE;

    if (sp == NULL && map->before != NULL)
        profile = map->before->policies[policy_no].profile;
    else if (mikey_sp_profile(sp, &profile) != MIKEY_OK)
        return SIZE_MAX;
    for (size_t i = 0; i < setup->n_profiles; i++) {
        if (setup->profiles[i] == profile)
            return i;
    }
    return SIZE_MAX;
}

/* A number that no SP of the offer has */
static MikeyStatus
take_new_sp(MikeyAnswerMap *map)
{
    for (unsigned no = 0; no <= UINT8_MAX && !map->new_sp; no++) {
        if (mikey_message_sp(map->init, (uint8_t)no) == NULL &&
            (map->before == NULL || !map->before->policies[no].known)) {
            map->new_sp = true;
            map->new_sp_no = (uint8_t)no;
        }
    }
    return map->new_sp && map->setup->n_profiles > 0 ? MIKEY_OK : MIKEY_BAD_PARAMETERS;
}

/* One policy out of those offered; unusable ones are passed over */
static MikeyStatus
choose_policy(MikeyAnswerMap *map, MikeyCs *cs, bool keyed)
{
    size_t best = SIZE_MAX;
    uint8_t chosen = 0;
    MikeyStatus status;

    if (cs->n_policies == 0) {
        status = take_new_sp(map);
        cs->n_policies = 1;
        cs->policies[0] = map->new_sp_no;
        return status;
    }
    for (unsigned i = 0; i < cs->n_policies; i++) {
        size_t rank = rank_of(map, cs->policies[i]);

        if (rank >= best)
            continue;
        best = rank;
        chosen = cs->policies[i];
        if (map->setup->offerer_first)
            break;
    }
    if (best == SIZE_MAX && keyed)
        return cs->prot == MIKEY_PROT_SRTP ? MIKEY_BAD_PARAMETERS : MIKEY_BAD_PROTOCOL;
    if (best != SIZE_MAX)
        cs->policies[0] = chosen;
    cs->n_policies = 1;
    return MIKEY_OK;
}

static MikeyStatus
choose_spi(const MikeyAnswerMap *map, MikeyCs *cs, MikeyBytes wanted)
{
    if (wanted.len > MIKEY_MAX_SPI)
        return MIKEY_ARGUMENT;
    if (wanted.len == 0 && cs->spi_len > 0)
        return MIKEY_OK;
    if (wanted.len == 0 && map->first == NULL)
        return MIKEY_BAD_KEYS;
    if (wanted.len == 0)
        wanted = mikey_bytes(map->first->spi, map->first->spi_len);
    cs->spi_len = (uint8_t)wanted.len;
    memcpy(cs->spi, wanted.data, wanted.len);
    return MIKEY_OK;
}

/* One session of the offer as the answer has it */
static MikeyStatus
answer_session(MikeyAnswerMap *map, const MikeyCs *offered, MikeyCs *cs)
{
    const MikeyAnswerSetup *setup = map->setup;
    size_t line = ((size_t)offered->id + 1) / 2;
    bool ours = mikey_cs_is_of(offered->id, !map->even);
    bool in_pairs = mikey_cs_in_pairs(offered->id) && line <= setup->n_lines;
    const MikeyLine *own = in_pairs ? &setup->lines[line - 1] : NULL;
    bool keyed = own != NULL && own->keyed;
    MikeyBytes spi = {NULL, 0};
    MikeyStatus status;

    *cs = *offered;
    if (keyed)
        spi = offered->id % 2 == 0 ? own->spi_answerer : own->spi_offerer;
    if (keyed && !ours && !offered->has_ssrc)
        return MIKEY_BAD_SESSIONS;
    if (ours || !offered->has_ssrc) {
        cs->has_ssrc = true;
        cs->has_roc = false;
        cs->ssrc = keyed && ours ? own->ssrc : 0;
    }
    status = choose_policy(map, cs, keyed);
    return status == MIKEY_OK ? choose_spi(map, cs, spi) : status;
}

MikeyStatus
mikey_answer_map(MikeyAnswerMap *map)
{
    const MikeyHeader *offer = &map->init->header;
    MikeyStatus status = MIKEY_OK;

    for (unsigned i = 0; i < offer->n_cs && status == MIKEY_OK; i++)
        status = answer_session(map, &offer->cs[i], &map->cs[i]);
    return status;
}

/* State of an answer being made */
typedef struct Answer {
    const MikeyOffer *offer;
    const MikeyAnswerSetup *setup;
    MikeyAnswerMap map;
    MikeyMessageKeys keys;
} Answer;

static const MikeyKeyData *
first_key(const MikeyOffer *offer, const MikeyAnswerSetup *setup)
{
    const MikeyKmsKeys *kms = &offer->resolution->keys;

    if (kms->n_keys > 0)
        return &kms->keys[0];
    if (offer->n_keys > 0)
        return &offer->keys[0];
    return setup->n_keys > 0 ? &setup->keys[0] : NULL;
}

static MikeyStatus
write_answer(MikeyWriter *w, Answer *answer, const MikeyEnv *env, MikeyBytes rand_r)
{
    const MikeyOffer *offer = answer->offer;
    const MikeyAnswerSetup *setup = answer->setup;
    const MikeyResolution *resolution = offer->resolution;
    const MikeyPolicy *policy = mikey_offer_policy(offer);
    MikeyIdentity responder = mikey_resolution_responder(resolution);
    MikeyBytes whole = mikey_message_octets(offer->init);
    bool forked = (policy->flags & MIKEY_FLAG_I) != 0;
    MikeyHeader header = offer->init->header;
    MikeyTimestamp t;
    MikeyLink link;
    MikeyStatus status = mikey_transfer_resp_keys(
        offer->init, policy, forked ? &resolution->keys.mpkr : &resolution->keys.mpki, rand_r,
        &answer->keys);

    if (status != MIKEY_OK)
        return status;
    header.type = MIKEY_TRANSFER_RESP;
    header.v = false;
    header.cs = answer->map.cs;
    mikey_message_begin(w, &header, env, &link, &t);
    if (rand_r.len > 0)
        mikey_link_rand(&link, MIKEY_RANDR_RESPONDER, rand_r);
    if (responder.data.len > 0)
        mikey_link_id(&link, MIKEY_IDR_RESPONDER, &responder);
    if (resolution->rand_kms.len > 0)
        mikey_link_rand(&link, MIKEY_RANDR_KMS, mikey_buffer_bytes(&resolution->rand_kms));
    if (answer->map.new_sp)
        mikey_link_policies(&link, setup->profiles, 1, answer->map.new_sp_no);
    status = mikey_link_session_keys(&link, header.prf, &answer->keys, header.csb_id, &t,
                                     setup->keys, setup->n_keys);
    if (status == MIKEY_OK)
        status = mikey_message_end(&link, header.prf, &answer->keys.auth, &whole, 1);
    return status;
}

static MikeyStatus
make_bundle(const MikeyOffer *offer, const MikeyAnswerSetup *setup, const MikeyMessage *resp,
            const MikeyMessageKeys *in_force, MikeyBundle **out_bundle)
{
    size_t n_late = offer->n_keys + setup->n_keys;
    MikeyKeyData *late = mikey_alloc(n_late * sizeof(*late));
    MikeyBundleParts parts = {.init = offer->init,
                              .resp = resp,
                              .policy = mikey_offer_policy(offer),
                              .peer = mikey_offer_initiator(offer),
                              .keys = offer->resolution->keys.keys,
                              .n_keys = offer->resolution->keys.n_keys,
                              .late_keys = late,
                              .n_late_keys = n_late,
                              .from_initiator = true,
                              .in_force = in_force};
    MikeyStatus status;

    if (late == NULL)
        return MIKEY_NO_MEMORY;
    if (offer->n_keys > 0)
        memcpy(late, offer->keys, offer->n_keys * sizeof(*late));
    if (setup->n_keys > 0)
        memcpy(late + offer->n_keys, setup->keys, setup->n_keys * sizeof(*late));
    status = mikey_bundle_new(&parts, out_bundle);
    mikey_keys_free(late, n_late);
    return status;
}

static MikeyStatus
answer_with(Answer *answer, const MikeyEnv *env, MikeyBuffer *out_answer, MikeyBundle **out_bundle)
{
    const MikeyPolicy *policy = mikey_offer_policy(answer->offer);
    MikeyWriter w = MIKEY_WRITER_INIT;
    MikeyMessage *resp = NULL;
    MikeyBundle *bundle = NULL;
    MikeyBytes rand_r = {NULL, 0};
    MikeyFresh fresh;
    MikeyStatus status = mikey_answer_map(&answer->map);

    if (status == MIKEY_OK && (policy->flags & MIKEY_FLAG_G) != 0) {
        status = mikey_fresh(env, policy->prf, 0, &fresh);
        rand_r = mikey_bytes(fresh.rand, fresh.len);
    }
    if (status == MIKEY_OK)
        status = write_answer(&w, answer, env, rand_r);
    if (status == MIKEY_OK)
        status = mikey_message_parse(mikey_writer_octets(&w), &resp);
    if (status == MIKEY_OK)
        status = make_bundle(answer->offer, answer->setup, resp, &answer->keys, &bundle);
    if (status == MIKEY_OK)
        status = mikey_writer_finish(&w, out_answer);
    mikey_writer_clear(&w);
    mikey_message_free(resp);
    if (status != MIKEY_OK) {
        mikey_bundle_free(bundle);
        return status;
    }
    *out_bundle = bundle;
    return MIKEY_OK;
}

static MikeyStatus
check_setup(const MikeyOffer *offer, const MikeyAnswerSetup *setup)
{
    const MikeyPolicy *policy = mikey_offer_policy(offer);

    if (setup->n_keys > MIKEY_MAX_KEYS || setup->n_profiles >= MIKEY_SRTP_N_PROFILES)
        return MIKEY_ARGUMENT;
    if (setup->n_keys > 0 && (policy->flags & MIKEY_FLAG_M) == 0)
        return MIKEY_POLICY_VIOLATED;
    return MIKEY_OK;
}

MikeyStatus
mikey_offer_answer(const MikeyOffer *offer, const MikeyAnswerSetup *setup, const MikeyEnv *env,
                   MikeyBuffer *out_answer, MikeyBundle **out_bundle)
{
    Answer answer = {.offer = offer, .setup = setup};
    MikeyStatus status;

    if (!offer->verified)
        return MIKEY_ORDER;
    status = check_setup(offer, setup);
    if (status != MIKEY_OK)
        return status;
    if ((mikey_offer_policy(offer)->flags & MIKEY_FLAG_F) == 0) {
        status = make_bundle(offer, setup, NULL, &offer->init_keys, out_bundle);
        if (status == MIKEY_OK) {
            out_answer->data = NULL;
            out_answer->len = 0;
        }
        return status;
    }
    answer.map.init = offer->init;
    answer.map.setup = setup;
    answer.map.first = first_key(offer, setup);
    answer.map.even = true;
    answer.map.cs = mikey_alloc(offer->init->header.n_cs * sizeof(*answer.map.cs));
    if (answer.map.cs == NULL)
        return MIKEY_NO_MEMORY;
    status = answer_with(&answer, env, out_answer, out_bundle);
    mikey_release(answer.map.cs);
    mikey_message_keys_clear(&answer.keys);
    return status;
}

MikeyStatus
mikey_offer_error(const MikeyOffer *offer, MikeyStatus status, const MikeySrtpProfile *profiles,
                  size_t n_profiles, const MikeyEnv *env, MikeyBuffer *out_error)
{
    const MikeyHeader *header = &offer->init->header;

    return mikey_error_build(header->prf, header->csb_id, true, status, profiles, n_profiles, env,
                             offer->verified ? &offer->init_keys.auth : NULL, out_error);
}
