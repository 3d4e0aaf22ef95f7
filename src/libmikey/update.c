/* SPDX-License-Identifier: Apache-2.0 */
/* libmikey/update.c - new keys and sessions for a bundle that exists (RFC 6043 section 5.2)
 *
 * Every message of a bundle is under the same keys from the second exchange on, so the timestamp
 * alone keeps counter-mode key streams apart: it rises with each message, whoever sends it.
 */
#include <libmikey/exchange-private.h>

#include <string.h>

struct MikeyUpdate {
    MikeyMessage *init;
    bool ours;
    bool done;
    MikeyKeyData *keys; /* sent in the message */
    size_t n_keys;
    MikeySrtpProfile profiles[MIKEY_SRTP_N_PROFILES];
    size_t n_profiles;
};

/* ---- what both sides need ---- */

/* Now, or right after the last message when that is later */
static MikeyStatus
next_env(const MikeyBundle *bundle, const MikeyEnv *env, MikeyEnv *out_env)
{
    MikeyEnv next = *env;

    if (!mikey_ntp_is_newer(next.now, bundle->last_t))
        next.now = bundle->last_t + 1;
    if (!mikey_ntp_within(next.now, env->now, mikey_env_skew(env)))
        return MIKEY_BAD_TIME;
    *out_env = next;
    return MIKEY_OK;
}

static MikeyIdentity
party(const MikeyBundle *bundle, bool initiator)
{
    MikeyIdentity id = {initiator ? bundle->id_i_type : bundle->id_r_type,
                        mikey_buffer_bytes(initiator ? &bundle->id_i : &bundle->id_r)};

    return id;
}

/* May this side put keys into a message? */
static bool
may_supply_keys(const MikeyBundle *bundle, bool initiator)
{
    return (bundle->flags & (initiator ? MIKEY_FLAG_L : MIKEY_FLAG_M)) != 0;
}

static bool
spi_is(const MikeyKeyData *keys, size_t n_keys, MikeyBytes spi)
{
    for (size_t i = 0; i < n_keys; i++) {
        if (mikey_bytes_equal(mikey_bytes(keys[i].spi, keys[i].spi_len), spi))
            return true;
    }
    return false;
}

static MikeyStatus
check_own_keys(const MikeyBundle *bundle, const MikeyUpdate *update, const MikeyKeyData *keys,
               size_t n_keys)
{
    MikeyStatus status;

    if (n_keys > MIKEY_MAX_KEYS)
        return MIKEY_ARGUMENT;
    if (n_keys > 0 && !may_supply_keys(bundle, bundle->initiator))
        return MIKEY_POLICY_VIOLATED;
    status = mikey_session_keys_check(keys, n_keys, bundle->header.prf);
    for (size_t i = 0; i < n_keys && status == MIKEY_OK; i++) {
        MikeyBytes spi = mikey_bytes(keys[i].spi, keys[i].spi_len);

        if (spi_is(bundle->keys, bundle->n_keys, spi) ||
            (update != NULL && spi_is(update->keys, update->n_keys, spi)))
            status = MIKEY_BAD_KEYS;
    }
    return status;
}

/* Identities of a message, id_i first; those it leaves out are known */
static void
tail_of(const MikeyBundle *bundle, const MikeyMessage *message, MikeyBytes out_tail[2])
{
    for (unsigned i = 0; i < 2; i++) {
        uint8_t role = i == 0 ? MIKEY_IDR_INITIATOR : MIKEY_IDR_RESPONDER;

        out_tail[i] = mikey_message_find(message, MIKEY_IDR, role) != NULL
                          ? mikey_message_identity(message, role).data
                          : party(bundle, i == 0).data;
    }
}

/* Nobody else takes part, and nothing of the first exchange comes again */
static MikeyStatus
check_form(const MikeyBundle *bundle, const MikeyMessage *message)
{
    MikeyIdentity known_i = party(bundle, true), known_r = party(bundle, false);
    MikeyIdentity id_i = mikey_message_identity(message, MIKEY_IDR_INITIATOR);
    MikeyIdentity id_r = mikey_message_identity(message, MIKEY_IDR_RESPONDER);

    if (message->header.csb_id != bundle->header.csb_id ||
        message->header.prf != bundle->header.prf)
        return MIKEY_MISMATCH;
    if (message->ticket != NULL || mikey_message_find(message, MIKEY_RANDR, 0) != NULL ||
        mikey_message_find(message, MIKEY_RAND, 0) != NULL)
        return MIKEY_POLICY_VIOLATED;
    if (mikey_message_find(message, MIKEY_IDR, MIKEY_IDR_INITIATOR) != NULL &&
        !mikey_identity_equal(&id_i, &known_i))
        return MIKEY_BAD_IDENTITY;
    if (mikey_message_find(message, MIKEY_IDR, MIKEY_IDR_RESPONDER) != NULL &&
        !mikey_identity_equal(&id_r, &known_r) &&
        !mikey_bytes_equal(id_r.data, mikey_buffer_bytes(&bundle->asked_r)))
        return MIKEY_BAD_IDENTITY;
    return MIKEY_OK;
}

static MikeyStatus
check_newer(const MikeyBundle *bundle, const MikeyMessage *message)
{
    const MikeyTimestamp *t = mikey_message_t(message);

    if (t->type == MIKEY_TS_COUNTER)
        return MIKEY_BAD_TIME;
    return mikey_ntp_is_newer(mikey_timestamp_iv(t), bundle->last_t) ? MIKEY_OK : MIKEY_BAD_TIME;
}

/* The update in hand is the last thing that happened to the bundle */
static bool
is_pending(const MikeyUpdate *update, const MikeyBundle *bundle, bool ours)
{
    return update->ours == ours && !update->done &&
           mikey_timestamp_iv(mikey_message_t(update->init)) == bundle->last_t &&
           update->init->header.csb_id == bundle->header.csb_id;
}

static MikeyStatus
put_in_force(MikeyUpdate *update, MikeyBundle *bundle, const MikeyMessage *resp,
             const MikeyKeyData *more, size_t n_more, const MikeySrtpProfile *profiles,
             size_t n_profiles)
{
    size_t n_late = update->n_keys + n_more;
    MikeyKeyData *late = mikey_alloc(n_late * sizeof(*late));
    MikeyBundleParts parts = {.init = update->init,
                              .resp = resp,
                              .keys = bundle->keys,
                              .n_keys = bundle->n_keys,
                              .late_keys = late,
                              .n_late_keys = n_late,
                              .profiles = profiles,
                              .n_profiles = n_profiles,
                              .before = bundle,
                              .from_initiator = update->ours == bundle->initiator};
    MikeyStatus status;

    if (late == NULL)
        return MIKEY_NO_MEMORY;
    if (update->n_keys > 0)
        memcpy(late, update->keys, update->n_keys * sizeof(*late));
    if (n_more > 0)
        memcpy(late + update->n_keys, more, n_more * sizeof(*late));
    status = mikey_bundle_apply(bundle, &parts);
    mikey_keys_free(late, n_late);
    if (status == MIKEY_OK)
        update->done = true;
    return status;
}

void
mikey_update_free(MikeyUpdate *update)
{
    if (update == NULL)
        return;
    mikey_message_free(update->init);
    mikey_keys_free(update->keys, update->n_keys);
    mikey_release(update);
}

MikeyBytes
mikey_update_octets(const MikeyUpdate *update)
{
    return mikey_message_octets(update->init);
}

const MikeyMessage *
mikey_update_message(const MikeyUpdate *update)
{
    return update->init;
}

bool
mikey_update_wants_answer(const MikeyUpdate *update)
{
    return update->init->header.v;
}

size_t
mikey_update_n_keys(const MikeyUpdate *update)
{
    return update->n_keys;
}

const MikeyKeyData *
mikey_update_key(const MikeyUpdate *update, size_t i)
{
    return i < update->n_keys ? &update->keys[i] : NULL;
}

/* ---- sending one ---- */

static MikeyBytes
spi_for(const MikeyBundle *bundle, const MikeyUpdateSetup *setup, uint8_t id, MikeyBytes wanted)
{
    const MikeyCs *before = mikey_header_cs(&bundle->header, id);

    if (wanted.len > 0)
        return wanted;
    if (setup->n_keys > 0)
        return mikey_bytes(setup->keys[0].spi, setup->keys[0].spi_len);
    if (before != NULL && before->spi_len > 0)
        return mikey_bytes(before->spi, before->spi_len);
    if (bundle->n_keys > 0)
        return mikey_bytes(bundle->keys[0].spi, bundle->keys[0].spi_len);
    return mikey_bytes(NULL, 0);
}

/* One direction of a line: our SSRC when it is ours, the other's as far as it is known */
static MikeyStatus
line_session(const MikeyBundle *bundle, const MikeyUpdateSetup *setup, const MikeyLine *line,
             uint8_t id, MikeyCs *cs)
{
    const MikeyCs *before = mikey_header_cs(&bundle->header, id);
    MikeyBytes spi =
        spi_for(bundle, setup, id, id % 2 == 1 ? line->spi_offerer : line->spi_answerer);

    if (spi.len > MIKEY_MAX_SPI)
        return MIKEY_ARGUMENT;
    cs->id = id;
    cs->prot = MIKEY_PROT_SRTP;
    cs->n_policies = (uint8_t)setup->n_profiles;
    for (size_t i = 0; i < setup->n_profiles; i++)
        cs->policies[i] = (uint8_t)i;
    cs->has_ssrc = true;
    if (mikey_cs_is_of(id, bundle->initiator))
        cs->ssrc = line->ssrc;
    else if (before != NULL && before->has_ssrc)
        cs->ssrc = before->ssrc;
    else
        cs->has_ssrc = false;
    cs->spi_len = (uint8_t)spi.len;
    if (spi.len > 0)
        memcpy(cs->spi, spi.data, spi.len);
    return MIKEY_OK;
}

static MikeyStatus
make_map(const MikeyBundle *bundle, const MikeyUpdateSetup *setup, MikeyCs *cs, uint8_t *out_n)
{
    uint8_t n = 0;
    MikeyStatus status = MIKEY_OK;

    for (size_t line = 1; line <= setup->n_lines && status == MIKEY_OK; line++) {
        const MikeyLine *own = &setup->lines[line - 1];

        if (!own->keyed)
            continue;
        status = line_session(bundle, setup, own, MIKEY_CS_OFFERER(line), &cs[n++]);
        if (status == MIKEY_OK && !own->single)
            status = line_session(bundle, setup, own, MIKEY_CS_ANSWERER(line), &cs[n++]);
    }
    if (status == MIKEY_OK)
        status = mikey_map_add(cs, &n, setup->sessions, setup->n_sessions);
    if (status == MIKEY_OK)
        *out_n = n;
    return status;
}

/* Every session has a key that exists, and if nobody answers nothing may be left open */
static MikeyStatus
check_map(const MikeyBundle *bundle, const MikeyUpdateSetup *setup, const MikeyCs *cs, uint8_t n)
{
    for (uint8_t i = 0; i < n; i++) {
        MikeyBytes spi = mikey_bytes(cs[i].spi, cs[i].spi_len);

        if (spi.len > 0 && !spi_is(bundle->keys, bundle->n_keys, spi) &&
            !spi_is(setup->keys, setup->n_keys, spi))
            return MIKEY_ARGUMENT;
        if (!setup->want_answer && (!cs[i].has_ssrc || cs[i].n_policies != 1 || spi.len == 0))
            return MIKEY_ARGUMENT;
    }
    return MIKEY_OK;
}

static MikeyStatus
write_update(MikeyWriter *w, const MikeyBundle *bundle, const MikeyUpdateSetup *setup,
             const MikeyEnv *env, const MikeyHeader *header)
{
    MikeyIdentity self = party(bundle, bundle->initiator);
    MikeyIdentity peer = party(bundle, !bundle->initiator);
    MikeyBytes tail[2] = {party(bundle, true).data, party(bundle, false).data};
    uint8_t own_role = bundle->initiator ? MIKEY_IDR_INITIATOR : MIKEY_IDR_RESPONDER;
    uint8_t peer_role = bundle->initiator ? MIKEY_IDR_RESPONDER : MIKEY_IDR_INITIATOR;
    MikeyTimestamp t;
    MikeyLink link;
    MikeyStatus status;

    mikey_message_begin(w, header, env, &link, &t);
    mikey_link_id(&link, own_role, &self);
    mikey_link_id(&link, peer_role, &peer);
    mikey_link_policies(&link, setup->profiles, setup->n_profiles, 0);
    status = mikey_link_session_keys(&link, header->prf, &bundle->in_force, header->csb_id, &t,
                                     setup->keys, setup->n_keys);
    if (status != MIKEY_OK)
        return status;
    if (setup->sdp_ids.len > 0) {
        MikeyPayload ext = {.number = MIKEY_GENERAL_EXT,
                            .u.ext = {.type = MIKEY_EXT_SDP_IDS, .data = setup->sdp_ids}};

        mikey_link_payload(&link, &ext);
    }
    return mikey_message_end(&link, header->prf, &bundle->in_force.auth, tail, 2);
}

static MikeyStatus
build(MikeyUpdate *update, const MikeyBundle *bundle, const MikeyUpdateSetup *setup,
      const MikeyEnv *env, MikeyCs *cs)
{
    MikeyHeader header = {.type = MIKEY_TRANSFER_INIT,
                          .v = setup->want_answer,
                          .prf = bundle->header.prf,
                          .csb_id = bundle->header.csb_id,
                          .map_type = MIKEY_MAP_GENERIC_ID,
                          .cs = cs};
    MikeyWriter w = MIKEY_WRITER_INIT;
    MikeyStatus status = make_map(bundle, setup, cs, &header.n_cs);

    if (status == MIKEY_OK)
        status = check_map(bundle, setup, cs, header.n_cs);
    if (status == MIKEY_OK)
        status = write_update(&w, bundle, setup, env, &header);
    if (status == MIKEY_OK)
        status = mikey_message_parse(mikey_writer_octets(&w), &update->init);
    mikey_writer_clear(&w);
    return status;
}

static MikeyStatus
keep_setup(MikeyUpdate *update, const MikeyUpdateSetup *setup)
{
    MikeyStatus status = mikey_keys_copy(setup->keys, setup->n_keys, &update->keys);

    if (status != MIKEY_OK)
        return status;
    update->n_keys = setup->n_keys;
    update->n_profiles = setup->n_profiles;
    for (size_t i = 0; i < setup->n_profiles; i++)
        update->profiles[i] = setup->profiles[i];
    return MIKEY_OK;
}

static MikeyStatus
check_setup(const MikeyBundle *bundle, const MikeyUpdateSetup *setup)
{
    if (setup->n_lines > MIKEY_MAX_LINES || setup->n_profiles >= MIKEY_SRTP_N_PROFILES)
        return MIKEY_ARGUMENT;
    for (size_t i = 0; i < setup->n_profiles; i++) {
        if (mikey_srtp_key_len(setup->profiles[i]) == 0)
            return MIKEY_ARGUMENT;
    }
    return check_own_keys(bundle, NULL, setup->keys, setup->n_keys);
}

MikeyStatus
mikey_update_new(MikeyBundle *bundle, const MikeyUpdateSetup *setup, const MikeyEnv *env,
                 MikeyUpdate **out_update)
{
    MikeyUpdate *update;
    MikeyEnv next;
    MikeyCs *cs;
    MikeyStatus status = check_setup(bundle, setup);

    if (status == MIKEY_OK)
        status = next_env(bundle, env, &next);
    if (status != MIKEY_OK)
        return status;
    update = mikey_alloc(sizeof(*update));
    cs = mikey_alloc(MIKEY_MAX_CS * sizeof(*cs));
    if (update == NULL || cs == NULL)
        status = MIKEY_NO_MEMORY;
    if (status == MIKEY_OK)
        status = keep_setup(update, setup);
    if (status == MIKEY_OK)
        status = build(update, bundle, setup, &next, cs);
    mikey_release(cs);
    if (status != MIKEY_OK) {
        mikey_update_free(update);
        return status;
    }
    update->ours = true;
    bundle->last_t = next.now;
    *out_update = update;
    return MIKEY_OK;
}

static MikeyStatus
finish(MikeyUpdate *update, MikeyBundle *bundle, const MikeyMessage *answer, const MikeyEnv *env,
       MikeyPeerError *out_error)
{
    MikeyKeyData *keys = NULL;
    size_t n_keys = 0;
    MikeyStatus status = mikey_answer_check(answer, update->init, MIKEY_TRANSFER_RESP, env,
                                            &bundle->in_force.auth, out_error);

    if (status == MIKEY_OK)
        status = mikey_answer_verify(answer, update->init, &bundle->in_force.auth);
    if (status == MIKEY_OK)
        status = check_form(bundle, answer);
    if (status == MIKEY_OK)
        status = check_newer(bundle, answer);
    if (status == MIKEY_OK && mikey_message_kemac(answer) != NULL &&
        !may_supply_keys(bundle, !bundle->initiator))
        status = MIKEY_POLICY_VIOLATED;
    if (status == MIKEY_OK)
        status = mikey_session_keys_open(answer, &bundle->in_force, &keys, &n_keys);
    if (status == MIKEY_OK)
        status = put_in_force(update, bundle, answer, keys, n_keys, update->profiles,
                              update->n_profiles);
    mikey_keys_free(keys, n_keys);
    return status;
}

MikeyStatus
mikey_update_finish(MikeyUpdate *update, MikeyBundle *bundle, MikeyBytes answer,
                    const MikeyEnv *env, MikeyPeerError *out_error)
{
    MikeyMessage *message = NULL;
    MikeyStatus status;

    if (!is_pending(update, bundle, true))
        return MIKEY_ORDER;
    if (!mikey_update_wants_answer(update) && answer.len == 0)
        return put_in_force(update, bundle, NULL, NULL, 0, update->profiles, update->n_profiles);
    status = mikey_message_parse(answer, &message);
    if (status != MIKEY_OK)
        return status;
    status = finish(update, bundle, message, env, out_error);
    mikey_message_free(message);
    return status;
}

/* ---- receiving one ---- */

MikeyStatus
mikey_update_peek(MikeyBytes octets, uint32_t *out_csb_id)
{
    MikeyMessage *message = NULL;
    MikeyStatus status = mikey_message_parse(octets, &message);

    if (status != MIKEY_OK)
        return status;
    if (message->header.type != MIKEY_TRANSFER_INIT || message->ticket != NULL)
        status = MIKEY_BAD_DATA_TYPE;
    else
        *out_csb_id = message->header.csb_id;
    mikey_message_free(message);
    return status;
}

static MikeyStatus
verify(const MikeyBundle *bundle, const MikeyMessage *init, const MikeyEnv *env)
{
    MikeyBytes tail[2];
    MikeyStatus status;

    if (init->header.type != MIKEY_TRANSFER_INIT)
        return MIKEY_BAD_DATA_TYPE;
    status = check_form(bundle, init);
    if (status == MIKEY_OK)
        status = mikey_message_check_suite(init, env);
    if (status == MIKEY_OK)
        status = mikey_message_check_time(init, env);
    if (status == MIKEY_OK)
        status = check_newer(bundle, init);
    if (status != MIKEY_OK)
        return status;
    tail_of(bundle, init, tail);
    return mikey_message_verify(init, &bundle->in_force.auth, tail, 2);
}

static MikeyStatus
open_update(MikeyUpdate *update, MikeyBundle *bundle, const MikeyEnv *env)
{
    MikeyStatus status = verify(bundle, update->init, env);

    if (status != MIKEY_OK)
        return status;
    /* authentic, hence used up whatever else is wrong with it */
    bundle->last_t = mikey_timestamp_iv(mikey_message_t(update->init));
    if (mikey_message_kemac(update->init) != NULL && !may_supply_keys(bundle, !bundle->initiator))
        return MIKEY_POLICY_VIOLATED;
    status = mikey_check_session_policies(update->init, bundle);
    if (status == MIKEY_OK)
        status = mikey_session_keys_open(update->init, &bundle->in_force, &update->keys,
                                         &update->n_keys);
    for (size_t i = 0; i < update->n_keys && status == MIKEY_OK; i++) {
        if (spi_is(bundle->keys, bundle->n_keys,
                   mikey_bytes(update->keys[i].spi, update->keys[i].spi_len)))
            status = MIKEY_BAD_KEYS;
    }
    return status;
}

MikeyStatus
mikey_update_open(MikeyBundle *bundle, MikeyBytes octets, const MikeyEnv *env,
                  MikeyUpdate **out_update)
{
    MikeyUpdate *update = mikey_alloc(sizeof(*update));
    MikeyStatus status;

    if (update == NULL)
        return MIKEY_NO_MEMORY;
    status = mikey_message_parse(octets, &update->init);
    if (status == MIKEY_OK)
        status = open_update(update, bundle, env);
    if (status != MIKEY_OK) {
        mikey_update_free(update);
        return status;
    }
    *out_update = update;
    return MIKEY_OK;
}

static const MikeyKeyData *
first_key(const MikeyUpdate *update, const MikeyBundle *bundle, const MikeyAnswerSetup *setup)
{
    if (setup->n_keys > 0)
        return &setup->keys[0];
    if (update->n_keys > 0)
        return &update->keys[0];
    return bundle->n_keys > 0 ? &bundle->keys[0] : NULL;
}

static MikeyStatus
write_answer(MikeyWriter *w, const MikeyUpdate *update, const MikeyBundle *bundle,
             const MikeyAnswerMap *map, const MikeyEnv *env)
{
    const MikeyAnswerSetup *setup = map->setup;
    MikeyIdentity self = party(bundle, bundle->initiator);
    MikeyBytes whole = mikey_message_octets(update->init);
    MikeyHeader header = update->init->header;
    MikeyTimestamp t;
    MikeyLink link;
    MikeyStatus status;

    header.type = MIKEY_TRANSFER_RESP;
    header.v = false;
    header.cs = map->cs;
    mikey_message_begin(w, &header, env, &link, &t);
    mikey_link_id(&link, bundle->initiator ? MIKEY_IDR_INITIATOR : MIKEY_IDR_RESPONDER, &self);
    if (map->new_sp)
        mikey_link_policies(&link, setup->profiles, 1, map->new_sp_no);
    status = mikey_link_session_keys(&link, header.prf, &bundle->in_force, header.csb_id, &t,
                                     setup->keys, setup->n_keys);
    if (status == MIKEY_OK)
        status = mikey_message_end(&link, header.prf, &bundle->in_force.auth, &whole, 1);
    return status;
}

static MikeyStatus
answer_with(MikeyUpdate *update, MikeyBundle *bundle, MikeyAnswerMap *map, const MikeyEnv *env,
            MikeyBuffer *out_answer)
{
    const MikeyAnswerSetup *setup = map->setup;
    MikeyWriter w = MIKEY_WRITER_INIT;
    MikeyBuffer octets = MIKEY_BUFFER_INIT;
    MikeyMessage *resp = NULL;
    MikeyEnv next;
    MikeyStatus status = next_env(bundle, env, &next);

    if (status == MIKEY_OK)
        status = mikey_answer_map(map);
    if (status == MIKEY_OK)
        status = write_answer(&w, update, bundle, map, &next);
    if (status == MIKEY_OK)
        status = mikey_message_parse(mikey_writer_octets(&w), &resp);
    if (status == MIKEY_OK)
        status = mikey_writer_finish(&w, &octets);
    /* last, as it cannot be undone */
    if (status == MIKEY_OK)
        status = put_in_force(update, bundle, resp, setup->keys, setup->n_keys, NULL, 0);
    mikey_writer_clear(&w);
    mikey_message_free(resp);
    if (status != MIKEY_OK) {
        mikey_buffer_clear(&octets);
        return status;
    }
    *out_answer = octets;
    return MIKEY_OK;
}

MikeyStatus
mikey_update_answer(MikeyUpdate *update, MikeyBundle *bundle, const MikeyAnswerSetup *setup,
                    const MikeyEnv *env, MikeyBuffer *out_answer)
{
    MikeyAnswerMap map = {
        .init = update->init, .setup = setup, .before = bundle, .even = !bundle->initiator};
    MikeyStatus status;

    if (!is_pending(update, bundle, false))
        return MIKEY_ORDER;
    if (setup->n_profiles >= MIKEY_SRTP_N_PROFILES)
        return MIKEY_ARGUMENT;
    status = check_own_keys(bundle, update, setup->keys, setup->n_keys);
    if (status != MIKEY_OK)
        return status;
    if (!mikey_update_wants_answer(update)) {
        if (setup->n_keys > 0)
            return MIKEY_ARGUMENT;
        status = put_in_force(update, bundle, NULL, NULL, 0, setup->profiles, setup->n_profiles);
        if (status == MIKEY_OK)
            *out_answer = (MikeyBuffer)MIKEY_BUFFER_INIT;
        return status;
    }
    map.first = first_key(update, bundle, setup);
    map.cs = mikey_alloc(update->init->header.n_cs * sizeof(*map.cs));
    if (map.cs == NULL)
        return MIKEY_NO_MEMORY;
    status = answer_with(update, bundle, &map, env, out_answer);
    mikey_release(map.cs);
    return status;
}

MikeyStatus
mikey_update_error(const MikeyUpdate *update, const MikeyBundle *bundle, MikeyStatus status,
                   const MikeySrtpProfile *profiles, size_t n_profiles, const MikeyEnv *env,
                   MikeyBuffer *out_error)
{
    if (update->ours)
        return MIKEY_ORDER;
    return mikey_error_build(bundle->header.prf, bundle->header.csb_id, true, status, profiles,
                             n_profiles, env, &bundle->in_force.auth, out_error);
}
