/* SPDX-License-Identifier: Apache-2.0 */
/* libmikey/transfer.c - the initiator sends a ticket and verifies who answers
 * (RFC 6043 section 4.2.2) */
#include <libmikey/exchange-private.h>

#include <string.h>

struct MikeyTransfer {
    MikeyMessage *init;
    MikeyMessageKeys init_keys;
    MikeyKey mpki;
    MikeyKey mpkr;
    MikeyKeyData *keys; /* of the ticket */
    size_t n_keys;
    MikeyKeyData *own_keys; /* sent in the message */
    size_t n_own_keys;
    MikeySrtpProfile profiles[MIKEY_SRTP_N_PROFILES];
    size_t n_profiles;
};

/* ---- pieces that both sides write ---- */

void
mikey_link_policies(MikeyLink *link, const MikeySrtpProfile *profiles, size_t n_profiles,
                    uint8_t first_no)
{
    for (size_t i = 0; i < n_profiles; i++) {
        MikeyPayload sp = {.number = MIKEY_SP,
                           .u.sp = {.policy_no = (uint8_t)(first_no + i),
                                    .prot = MIKEY_PROT_SRTP,
                                    .params = mikey_srtp_profile_params(profiles[i])}};

        mikey_link_payload(link, &sp);
    }
}

MikeyStatus
mikey_link_session_keys(MikeyLink *link, uint8_t prf, const MikeyMessageKeys *keys, uint32_t csb_id,
                        const MikeyTimestamp *t, const MikeyKeyData *data, size_t n_data)
{
    MikeyBuffer sealed = MIKEY_BUFFER_INIT;
    uint8_t encr_alg = (uint8_t)mikey_suite_encr(prf);
    MikeyStatus status;

    if (n_data == 0)
        return MIKEY_OK;
    status = mikey_keys_seal(encr_alg, keys, csb_id, t, data, n_data, &sealed);
    if (status != MIKEY_OK)
        return status;
    mikey_link_kemac(link, encr_alg, mikey_buffer_bytes(&sealed));
    mikey_buffer_clear(&sealed);
    return link->w->bad;
}

MikeyStatus
mikey_session_keys_open(const MikeyMessage *message, const MikeyMessageKeys *keys,
                        MikeyKeyData **out_keys, size_t *out_n_keys)
{
    const size_t size = MIKEY_MAX_KEYS * sizeof(MikeyKeyData);
    const MikeyKemac *kemac = mikey_message_kemac(message);
    uint8_t prf = message->header.prf;
    MikeyKeyData *all, *copy = NULL;
    size_t n_all = 0;
    MikeyStatus status;

    if (kemac == NULL)
        return MIKEY_OK;
    all = mikey_alloc(size);
    if (all == NULL)
        return MIKEY_NO_MEMORY;
    status =
        mikey_keys_open(kemac, keys, message->header.csb_id, mikey_message_t(message), all, &n_all);
    if (status == MIKEY_OK)
        status = mikey_session_keys_check(all, n_all, prf);
    if (status == MIKEY_OK)
        status = mikey_keys_copy(all, n_all, &copy);
    mikey_release_secret(all, size);
    if (status == MIKEY_OK) {
        *out_keys = copy;
        *out_n_keys = n_all;
    }
    return status;
}

void
mikey_link_ticket(MikeyLink *link, const MikeyTicket *ticket, MikeyBytes initiator_data)
{
    MikeyReader r = mikey_reader(mikey_ticket_octets(ticket));
    size_t own = 2 + mikey_ticket_payload(ticket)->initiator_data.len;

    mikey_link_next(link, MIKEY_TICKET);
    mikey_write_u8(link->w, MIKEY_LAST);
    mikey_read_u8(&r);
    mikey_write_bytes(link->w, mikey_read_bytes(&r, r.left - own));
    mikey_write_lv16(link->w, initiator_data);
}

MikeyStatus
mikey_transfer_resp_keys(const MikeyMessage *init, const MikeyPolicy *policy, const MikeyKey *inkey,
                         MikeyBytes rand_r, MikeyMessageKeys *out_keys)
{
    MikeyLabel label = mikey_init_label(init);

    label.tag = MIKEY_TAG_RESP;
    if ((policy->flags & MIKEY_FLAG_G) != 0)
        label.rand_r = rand_r;
    return mikey_message_keys(init->header.prf, inkey, &label, out_keys);
}

/* ---- the offer ---- */

static bool
has_spi(const MikeyTransferSetup *setup, const MikeyGrant *grant, MikeyBytes spi)
{
    for (size_t i = 0; i < grant->n_keys; i++) {
        if (mikey_bytes_equal(mikey_bytes(grant->keys[i].spi, grant->keys[i].spi_len), spi))
            return true;
    }
    for (size_t i = 0; i < setup->n_keys; i++) {
        if (mikey_bytes_equal(mikey_bytes(setup->keys[i].spi, setup->keys[i].spi_len), spi))
            return true;
    }
    return false;
}

/* SPI wanted, or that of the first session key; no key yet: empty, the responder fills it in */
static MikeyBytes
spi_or_first(const MikeyTransferSetup *setup, const MikeyGrant *grant, MikeyBytes wanted)
{
    if (wanted.len > 0)
        return wanted;
    if (grant->n_keys > 0)
        return mikey_bytes(grant->keys[0].spi, grant->keys[0].spi_len);
    if (setup->n_keys > 0)
        return mikey_bytes(setup->keys[0].spi, setup->keys[0].spi_len);
    return mikey_bytes(NULL, 0);
}

static MikeyStatus
offer_session(const MikeyTransferSetup *setup, const MikeyGrant *grant, uint8_t id,
              MikeyBytes wanted_spi, MikeyCs *cs)
{
    MikeyBytes spi = spi_or_first(setup, grant, wanted_spi);

    if (spi.len > MIKEY_MAX_SPI || (spi.len > 0 && !has_spi(setup, grant, spi)))
        return MIKEY_ARGUMENT;
    memset(cs, 0, sizeof(*cs));
    cs->id = id;
    cs->prot = MIKEY_PROT_SRTP;
    cs->n_policies = (uint8_t)setup->n_profiles;
    for (size_t i = 0; i < setup->n_profiles; i++)
        cs->policies[i] = (uint8_t)i;
    cs->spi_len = (uint8_t)spi.len;
    if (spi.len > 0)
        memcpy(cs->spi, spi.data, spi.len);
    return MIKEY_OK;
}

MikeyStatus
mikey_map_add(MikeyCs *cs, uint8_t *n, const MikeyCs *further, size_t n_further)
{
    if (n_further > MIKEY_MAX_CS - *n)
        return MIKEY_ARGUMENT;
    for (size_t i = 0; i < n_further; i++) {
        if (further[i].id < MIKEY_CS_FURTHER)
            return MIKEY_ARGUMENT;
        cs[*n] = further[i];
        *n = (uint8_t)(*n + 1);
    }
    return MIKEY_OK;
}

/* The map of an offer: our SSRC on the odd sessions, nothing yet on the even ones */
static MikeyStatus
offer_map(const MikeyTransferSetup *setup, const MikeyGrant *grant, MikeyCs *cs, uint8_t *out_n)
{
    uint8_t n = 0;
    MikeyStatus status;

    for (size_t line = 1; line <= setup->n_lines; line++) {
        const MikeyLine *own = &setup->lines[line - 1];

        if (!own->keyed)
            continue;
        status = offer_session(setup, grant, MIKEY_CS_OFFERER(line), own->spi_offerer, &cs[n]);
        if (status != MIKEY_OK)
            return status;
        cs[n].has_ssrc = true;
        cs[n++].ssrc = own->ssrc;
        if (own->single)
            continue;
        status = offer_session(setup, grant, MIKEY_CS_ANSWERER(line), own->spi_answerer, &cs[n]);
        if (status != MIKEY_OK)
            return status;
        n++;
    }
    status = mikey_map_add(cs, &n, setup->sessions, setup->n_sessions);
    if (status == MIKEY_OK)
        *out_n = n;
    return status;
}

static MikeyStatus
check_setup(const MikeyGrant *grant, const MikeyTransferSetup *setup, const MikeyEnv *env)
{
    const MikeyPolicy *policy = mikey_ticket_policy(grant->ticket);
    MikeyStatus status = mikey_policy_check(policy, true, env);

    if (status != MIKEY_OK)
        return status;
    if (setup->n_lines > MIKEY_MAX_LINES || setup->n_profiles >= MIKEY_SRTP_N_PROFILES ||
        setup->n_keys > MIKEY_MAX_KEYS || setup->responder.data.len == 0 ||
        policy->initiator.data.len == 0)
        return MIKEY_ARGUMENT;
    for (size_t i = 0; i < setup->n_profiles; i++) {
        if (mikey_srtp_key_len(setup->profiles[i]) == 0)
            return MIKEY_ARGUMENT;
    }
    if (setup->n_keys > 0 && (policy->flags & MIKEY_FLAG_L) == 0)
        return MIKEY_POLICY_VIOLATED;
    /* a RAND of each responder's own would give everybody other keys */
    if (setup->rand_i.len > 0 &&
        ((policy->flags & MIKEY_FLAG_G) != 0 || setup->rand_i.len > MIKEY_MAX_RAND ||
         setup->rand_i.len < mikey_suite_key_len(policy->prf)))
        return MIKEY_ARGUMENT;
    return mikey_session_keys_check(setup->keys, setup->n_keys, policy->prf);
}

/* Vi and Vr, once V is known; RFC 6043 section 6.10 */
static MikeyStatus
initiator_data_make(const MikeyGrant *grant, MikeyBytes mac, uint8_t prf, MikeyWriter *w)
{
    MikeyLabel label = {.constant = MIKEY_C_AUTH, .tag = MIKEY_TAG_INITIATOR_DATA};
    uint8_t alg = (uint8_t)mikey_suite_mac(prf);
    uint8_t vr[32];
    size_t len = 0;
    MikeyBytes covered;
    MikeyKey auth;
    MikeyStatus status = mikey_derive(prf, &grant->mpkr, &label, mikey_suite_auth_len(prf), &auth);

    if (status != MIKEY_OK)
        return status;
    mikey_write_u8(w, MIKEY_V);
    mikey_write_u8(w, MIKEY_V);
    mikey_write_u8(w, alg);
    mikey_write_bytes(w, mac);
    mikey_write_u8(w, MIKEY_LAST);
    mikey_write_u8(w, alg);
    covered = mikey_writer_octets(w);
    status = w->bad != MIKEY_OK ? w->bad : mikey_mac(alg, &auth, &covered, 1, vr, &len);
    mikey_key_clear(&auth);
    if (status != MIKEY_OK)
        return status;
    mikey_write_bytes(w, mikey_bytes(vr, len));
    return w->bad;
}

/* Where things are in the TRANSFER_INIT being written */
typedef struct Places {
    size_t gap; /* Initiator Data with its length */
    size_t gap_len;
} Places;

static MikeyStatus
end_transfer_init(MikeyWriter *w, MikeyLink *link, const MikeyGrant *grant,
                  const MikeyIdentity *responder, const MikeyKey *auth, const Places *places)
{
    uint8_t prf = mikey_ticket_payload(grant->ticket)->prf;
    uint8_t alg = (uint8_t)mikey_suite_mac(prf);
    MikeyWriter data = MIKEY_WRITER_INIT;
    MikeyBytes parts[4];
    MikeyReader r;
    uint8_t mac[32];
    size_t len = 0;
    MikeyStatus status;

    mikey_link_next(link, MIKEY_V);
    mikey_write_u8(w, MIKEY_LAST);
    mikey_write_u8(w, alg);
    if (w->bad != MIKEY_OK)
        return w->bad;
    r = mikey_reader(mikey_writer_octets(w));
    parts[0] = mikey_read_bytes(&r, places->gap);
    mikey_read_bytes(&r, places->gap_len);
    parts[1] = mikey_read_bytes(&r, r.left);
    parts[2] = mikey_ticket_policy(grant->ticket)->initiator.data;
    parts[3] = responder->data;
    status = mikey_mac(alg, auth, parts, 4, mac, &len);
    if (status != MIKEY_OK)
        return status;
    mikey_write_bytes(w, mikey_bytes(mac, len));
    if (places->gap_len > 2) {
        status = initiator_data_make(grant, mikey_bytes(mac, len), prf, &data);
        for (size_t i = 0; i < data.len && status == MIKEY_OK; i++)
            mikey_write_u8_at(w, places->gap + 2 + i, data.data[i]);
    }
    mikey_writer_clear(&data);
    return status != MIKEY_OK ? status : w->bad;
}

static MikeyStatus
write_transfer_init(MikeyWriter *w, const MikeyGrant *grant, const MikeyTransferSetup *setup,
                    const MikeyEnv *env, const MikeyHeader *header, MikeyBytes rand_i,
                    const MikeyMessageKeys *keys)
{
    static const uint8_t room[80] = {0};
    const MikeyPolicy *policy = mikey_ticket_policy(grant->ticket);
    bool forked = (policy->flags & MIKEY_FLAG_I) != 0;
    size_t data_len = forked ? mikey_initiator_data_len((uint8_t)mikey_suite_mac(policy->prf)) : 0;
    Places places = {0, 2 + data_len};
    MikeyTimestamp t;
    MikeyLink link;
    MikeyStatus status;

    mikey_message_begin(w, header, env, &link, &t);
    mikey_link_rand(&link, MIKEY_RANDR_INITIATOR, rand_i);
    mikey_link_id(&link, MIKEY_IDR_INITIATOR, &policy->initiator);
    mikey_link_id(&link, MIKEY_IDR_RESPONDER, &setup->responder);
    mikey_link_policies(&link, setup->profiles, setup->n_profiles, 0);
    mikey_link_ticket(&link, grant->ticket, mikey_bytes(room, data_len));
    places.gap = w->len - places.gap_len;
    status = mikey_link_session_keys(&link, policy->prf, keys, header->csb_id, &t, setup->keys,
                                     setup->n_keys);
    if (status != MIKEY_OK)
        return status;
    if (setup->sdp_ids.len > 0) {
        MikeyPayload ext = {.number = MIKEY_GENERAL_EXT,
                            .u.ext = {.type = MIKEY_EXT_SDP_IDS, .data = setup->sdp_ids}};

        mikey_link_payload(&link, &ext);
    }
    return end_transfer_init(w, &link, grant, &setup->responder, &keys->auth, &places);
}

static MikeyStatus
build(MikeyTransfer *transfer, const MikeyGrant *grant, const MikeyTransferSetup *setup,
      const MikeyEnv *env, MikeyCs *cs)
{
    const MikeyPolicy *policy = mikey_ticket_policy(grant->ticket);
    MikeyHeader header = {.type = MIKEY_TRANSFER_INIT,
                          .v = (policy->flags & MIKEY_FLAG_F) != 0,
                          .prf = policy->prf,
                          .csb_id = setup->csb_id,
                          .map_type = MIKEY_MAP_GENERIC_ID,
                          .cs = cs};
    MikeyLabel label = {.tag = MIKEY_TAG_INIT, .csb_id = setup->csb_id};
    MikeyWriter w = MIKEY_WRITER_INIT;
    MikeyFresh fresh;
    MikeyStatus status = offer_map(setup, grant, cs, &header.n_cs);

    if (status == MIKEY_OK)
        status = mikey_fresh(env, policy->prf, 0, &fresh);
    if (status != MIKEY_OK)
        return status;
    label.rand_i = setup->rand_i.len > 0 ? setup->rand_i : mikey_bytes(fresh.rand, fresh.len);
    status = mikey_message_keys(policy->prf, &grant->mpki, &label, &transfer->init_keys);
    if (status == MIKEY_OK)
        status =
            write_transfer_init(&w, grant, setup, env, &header, label.rand_i, &transfer->init_keys);
    if (status == MIKEY_OK)
        status = mikey_message_parse(mikey_writer_octets(&w), &transfer->init);
    mikey_writer_clear(&w);
    return status;
}

static MikeyStatus
keep_keys(MikeyTransfer *transfer, const MikeyGrant *grant, const MikeyTransferSetup *setup)
{
    MikeyStatus status = mikey_keys_copy(grant->keys, grant->n_keys, &transfer->keys);

    if (status != MIKEY_OK)
        return status;
    transfer->n_keys = grant->n_keys;
    transfer->mpki = grant->mpki;
    transfer->mpkr = grant->mpkr;
    transfer->n_profiles = setup->n_profiles;
    for (size_t i = 0; i < setup->n_profiles; i++)
        transfer->profiles[i] = setup->profiles[i];
    status = mikey_keys_copy(setup->keys, setup->n_keys, &transfer->own_keys);
    if (status == MIKEY_OK)
        transfer->n_own_keys = setup->n_keys;
    return status;
}

MikeyStatus
mikey_transfer_new(const MikeyGrant *grant, const MikeyTransferSetup *setup, const MikeyEnv *env,
                   MikeyTransfer **out_transfer)
{
    MikeyTransfer *transfer;
    MikeyCs *cs;
    MikeyStatus status = check_setup(grant, setup, env);

    if (status != MIKEY_OK)
        return status;
    transfer = mikey_alloc(sizeof(*transfer));
    cs = mikey_alloc(MIKEY_MAX_CS * sizeof(*cs));
    if (transfer == NULL || cs == NULL)
        status = MIKEY_NO_MEMORY;
    if (status == MIKEY_OK)
        status = keep_keys(transfer, grant, setup);
    if (status == MIKEY_OK)
        status = build(transfer, grant, setup, env, cs);
    mikey_release(cs);
    if (status != MIKEY_OK) {
        mikey_transfer_free(transfer);
        return status;
    }
    *out_transfer = transfer;
    return MIKEY_OK;
}

MikeyBytes
mikey_transfer_octets(const MikeyTransfer *transfer)
{
    return mikey_message_octets(transfer->init);
}

void
mikey_transfer_free(MikeyTransfer *transfer)
{
    if (transfer == NULL)
        return;
    mikey_message_free(transfer->init);
    mikey_keys_free(transfer->keys, transfer->n_keys);
    mikey_keys_free(transfer->own_keys, transfer->n_own_keys);
    mikey_release_secret(transfer, sizeof(*transfer));
}

/* ---- the answer ---- */

/* Payloads that the flags of the ticket demand or forbid in a TRANSFER_RESP */
static MikeyStatus
check_answer_form(const MikeyMessage *answer, const MikeyPolicy *policy)
{
    MikeyBytes rand_r = mikey_message_randr(answer, MIKEY_RANDR_RESPONDER);
    MikeyBytes rand_kms = mikey_message_randr(answer, MIKEY_RANDR_KMS);
    size_t key_len = mikey_suite_key_len(policy->prf);
    bool g = (policy->flags & MIKEY_FLAG_G) != 0;

    if ((policy->flags & MIKEY_FLAG_F) == 0)
        return MIKEY_POLICY_VIOLATED;
    if (g && mikey_message_find(answer, MIKEY_RANDR, MIKEY_RANDR_RESPONDER) == NULL)
        return MIKEY_MISSING;
    if (!g && mikey_message_find(answer, MIKEY_RANDR, MIKEY_RANDR_RESPONDER) != NULL)
        return MIKEY_POLICY_VIOLATED;
    if (g && rand_r.len < MIKEY_MIN_RAND)
        return MIKEY_SHORT_RAND;
    if (mikey_message_kemac(answer) != NULL && (policy->flags & MIKEY_FLAG_M) == 0)
        return MIKEY_POLICY_VIOLATED;
    if ((policy->flags & MIKEY_FLAG_I) == 0)
        return MIKEY_OK;
    if (mikey_message_find(answer, MIKEY_IDR, MIKEY_IDR_RESPONDER) == NULL ||
        mikey_message_find(answer, MIKEY_RANDR, MIKEY_RANDR_KMS) == NULL)
        return MIKEY_MISSING;
    return rand_kms.len < key_len ? MIKEY_SHORT_RAND : MIKEY_OK;
}

/* Keys of the responder who says to have answered, and those of the message */
typedef struct Answer {
    MikeyKey mpkr;
    MikeyKeyData *keys;
    MikeyMessageKeys message;
    MikeyKeyData *late;
    size_t n_late;
} Answer;

static MikeyStatus
fork_for(const MikeyTransfer *transfer, const MikeyMessage *answer, const MikeyPolicy *policy,
         Answer *out)
{
    MikeyBytes id = mikey_message_identity(answer, MIKEY_IDR_RESPONDER).data;
    MikeyBytes rand_kms = mikey_message_randr(answer, MIKEY_RANDR_KMS);
    MikeyStatus status;

    if ((policy->flags & MIKEY_FLAG_I) == 0)
        return mikey_keys_copy(transfer->keys, transfer->n_keys, &out->keys);
    status = mikey_fork(policy->prf, MIKEY_C_FORK_MPKR, &transfer->mpkr, id, rand_kms, &out->mpkr);
    if (status == MIKEY_OK)
        status = mikey_keys_fork(policy->prf, transfer->keys, transfer->n_keys, id, rand_kms,
                                 &out->keys);
    return status;
}

static MikeyStatus
verify_answer(const MikeyTransfer *transfer, const MikeyMessage *answer, const MikeyPolicy *policy,
              Answer *out)
{
    bool forked = (policy->flags & MIKEY_FLAG_I) != 0;
    MikeyStatus status = fork_for(transfer, answer, policy, out);

    if (status == MIKEY_OK)
        status = mikey_transfer_resp_keys(
            transfer->init, policy, forked ? &out->mpkr : &transfer->mpki,
            mikey_message_randr(answer, MIKEY_RANDR_RESPONDER), &out->message);
    if (status == MIKEY_OK)
        status = mikey_answer_verify(answer, transfer->init, &out->message.auth);
    if (status == MIKEY_OK)
        status = mikey_session_keys_open(answer, &out->message, &out->late, &out->n_late);
    return status;
}

static MikeyStatus
make_bundle(const MikeyTransfer *transfer, const MikeyMessage *answer, const MikeyPolicy *policy,
            const Answer *proven, MikeyBundle **out_bundle)
{
    size_t n_late = transfer->n_own_keys + proven->n_late;
    MikeyKeyData *late = mikey_alloc(n_late * sizeof(*late));
    MikeyBundleParts parts = {.init = transfer->init,
                              .resp = answer,
                              .policy = policy,
                              .keys = answer != NULL ? proven->keys : transfer->keys,
                              .n_keys = transfer->n_keys,
                              .late_keys = late,
                              .n_late_keys = n_late,
                              .profiles = transfer->profiles,
                              .n_profiles = transfer->n_profiles,
                              .initiator = true,
                              .from_initiator = true,
                              .in_force = answer != NULL ? &proven->message : &transfer->init_keys};
    MikeyStatus status;

    if (late == NULL)
        return MIKEY_NO_MEMORY;
    if (transfer->n_own_keys > 0)
        memcpy(late, transfer->own_keys, transfer->n_own_keys * sizeof(*late));
    if (proven->n_late > 0)
        memcpy(late + transfer->n_own_keys, proven->late, proven->n_late * sizeof(*late));
    parts.peer =
        mikey_message_identity(answer != NULL ? answer : transfer->init, MIKEY_IDR_RESPONDER);
    if (parts.peer.data.len == 0)
        parts.peer = mikey_message_identity(transfer->init, MIKEY_IDR_RESPONDER);
    status = mikey_bundle_new(&parts, out_bundle);
    mikey_keys_free(late, n_late);
    return status;
}

static MikeyStatus
finish(const MikeyTransfer *transfer, const MikeyMessage *answer, const MikeyEnv *env,
       MikeyBundle **out_bundle, MikeyPeerError *out_error)
{
    const MikeyPolicy *policy = mikey_message_policy(transfer->init);
    Answer proven = {.keys = NULL};
    MikeyStatus status = mikey_answer_check(answer, transfer->init, MIKEY_TRANSFER_RESP, env,
                                            &transfer->init_keys.auth, out_error);

    if (status == MIKEY_OK)
        status = check_answer_form(answer, policy);
    if (status == MIKEY_OK)
        status = verify_answer(transfer, answer, policy, &proven);
    if (status == MIKEY_OK)
        status = make_bundle(transfer, answer, policy, &proven, out_bundle);
    mikey_keys_free(proven.keys, transfer->n_keys);
    mikey_keys_free(proven.late, proven.n_late);
    mikey_key_clear(&proven.mpkr);
    mikey_message_keys_clear(&proven.message);
    return status;
}

MikeyStatus
mikey_transfer_finish(const MikeyTransfer *transfer, MikeyBytes answer, const MikeyEnv *env,
                      MikeyBundle **out_bundle, MikeyPeerError *out_error)
{
    const MikeyPolicy *policy = mikey_message_policy(transfer->init);
    const Answer nothing = {.keys = NULL};
    MikeyMessage *message = NULL;
    MikeyStatus status;

    if (answer.len == 0 && (policy->flags & MIKEY_FLAG_F) == 0)
        return make_bundle(transfer, NULL, policy, &nothing, out_bundle);
    status = mikey_message_parse(answer, &message);
    if (status != MIKEY_OK)
        return status;
    status = finish(transfer, message, env, out_bundle, out_error);
    mikey_message_free(message);
    return status;
}
