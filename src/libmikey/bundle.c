/* SPDX-License-Identifier: Apache-2.0 */
/* libmikey/bundle.c - the crypto sessions that two parties agreed on, and their keys */
#include <libmikey/exchange-private.h>

#include <string.h>

const MikeySp *
mikey_message_sp(const MikeyMessage *message, uint8_t policy_no)
{
    for (size_t i = 0; message != NULL && i < message->n_payloads; i++) {
        const MikeyPayload *payload = &message->payloads[i];

        if (payload->number == MIKEY_SP && payload->u.sp.policy_no == policy_no)
            return &payload->u.sp;
    }
    return NULL;
}

bool
mikey_cs_in_pairs(uint8_t cs_id)
{
    return cs_id >= 1 && cs_id <= MIKEY_CS_ANSWERER(MIKEY_MAX_LINES);
}

bool
mikey_cs_is_of(uint8_t cs_id, bool initiator)
{
    return mikey_cs_in_pairs(cs_id) && (cs_id % 2 == 1) == initiator;
}

/* Policy numbers are distinct over the offer and its answer */
static bool
policies_are_distinct(const MikeyMessage *init, const MikeyMessage *resp)
{
    for (size_t i = 0; resp != NULL && i < resp->n_payloads; i++) {
        const MikeyPayload *payload = &resp->payloads[i];

        if (payload->number == MIKEY_SP && mikey_message_sp(init, payload->u.sp.policy_no) != NULL)
            return false;
    }
    return true;
}

static bool
is_listed(const MikeyCs *cs, uint8_t policy_no)
{
    for (unsigned i = 0; i < cs->n_policies; i++) {
        if (cs->policies[i] == policy_no)
            return true;
    }
    return false;
}

static bool
is_acceptable(const MikeyBundleParts *parts, MikeySrtpProfile profile)
{
    for (size_t i = 0; i < parts->n_profiles; i++) {
        if (parts->profiles[i] == profile)
            return true;
    }
    return parts->profiles == NULL;
}

/* SP number @no as the offer, the answer or an exchange before had it */
static bool
look_up_policy(const MikeyBundleParts *parts, uint8_t no, uint8_t prot, MikeySrtpProfile *out,
               MikeyStatus *out_status)
{
    const MikeySp *sp = mikey_message_sp(parts->init, no);

    if (sp == NULL)
        sp = mikey_message_sp(parts->resp, no);
    if (sp != NULL) {
        *out_status = mikey_sp_profile(sp, out);
        return sp->prot == prot;
    }
    if (parts->before == NULL || !parts->before->policies[no].known)
        return false;
    *out = parts->before->policies[no].profile;
    *out_status = *out != MIKEY_SRTP_NONE ? MIKEY_OK : MIKEY_BAD_PARAMETERS;
    return parts->before->policies[no].prot == prot;
}

/* The policy of a session: suggested in the offer, or brought by the answer */
static MikeyStatus
find_profile(const MikeyBundleParts *parts, const MikeyCs *offered, const MikeyCs *cs,
             MikeySrtpProfile *out_profile)
{
    MikeySrtpProfile profile = MIKEY_SRTP_NONE;
    MikeyStatus status = MIKEY_OK;

    if (cs->n_policies != 1)
        return MIKEY_BAD_SESSIONS;
    if (mikey_message_sp(parts->init, cs->policies[0]) != NULL &&
        !is_listed(offered, cs->policies[0]))
        return MIKEY_BAD_SESSIONS;
    if (!look_up_policy(parts, cs->policies[0], cs->prot, &profile, &status))
        return MIKEY_BAD_SESSIONS;
    /* who answered may have repeated a session that he refused and does not understand */
    if (status != MIKEY_OK)
        return parts->profiles == NULL ? MIKEY_OK : status;
    if (!is_acceptable(parts, profile))
        return MIKEY_BAD_PARAMETERS;
    *out_profile = profile;
    return MIKEY_OK;
}

static const MikeyKeyData *
find_key(const MikeyBundle *bundle, const MikeyCs *cs)
{
    MikeyBytes spi = mikey_bytes(cs->spi, cs->spi_len);

    if (spi.len == 0)
        return bundle->n_keys == 1 ? &bundle->keys[0] : NULL;
    for (size_t i = 0; i < bundle->n_keys; i++) {
        const MikeyKeyData *key = &bundle->keys[i];

        if (mikey_bytes_equal(mikey_bytes(key->spi, key->spi_len), spi))
            return key;
    }
    return NULL;
}

/* A session in force against the one offered */
static MikeyStatus
check_session(const MikeyBundle *bundle, const MikeyBundleParts *parts, const MikeyCs *offered,
              const MikeyCs *cs)
{
    bool answerers = mikey_cs_is_of(cs->id, !parts->from_initiator);

    if (cs->prot != offered->prot || cs->spi_len == 0)
        return MIKEY_BAD_SESSIONS;
    if (cs->prot == MIKEY_PROT_SRTP && !cs->has_ssrc)
        return MIKEY_BAD_SESSIONS;
    /* what the offerer said of his own streams is not for the answerer to change */
    if (offered->has_ssrc && !answerers && cs->ssrc != offered->ssrc)
        return MIKEY_BAD_SESSIONS;
    return find_key(bundle, cs) != NULL ? MIKEY_OK : MIKEY_BAD_KEYS;
}

static MikeyStatus
check_sessions(MikeyBundle *bundle, const MikeyBundleParts *parts)
{
    const MikeyHeader *offer = &parts->init->header;

    if (!policies_are_distinct(parts->init, parts->resp))
        return MIKEY_DUPLICATE;
    if (bundle->header.n_cs != offer->n_cs)
        return MIKEY_BAD_SESSIONS;
    for (unsigned i = 0; i < bundle->header.n_cs; i++) {
        const MikeyCs *cs = &bundle->cs[i];
        const MikeyCs *offered = mikey_header_cs(offer, cs->id);
        MikeyStatus status;

        if (offered == NULL)
            return MIKEY_BAD_SESSIONS;
        status = find_profile(parts, offered, cs, &bundle->profiles[i]);
        /* an update without an answer must be complete by itself */
        if (status == MIKEY_OK && (parts->resp != NULL || parts->before != NULL))
            status = check_session(bundle, parts, offered, cs);
        if (status != MIKEY_OK)
            return status;
    }
    return MIKEY_OK;
}

static bool
uses_key(const MikeyHeader *header, const MikeyKeyData *key)
{
    for (unsigned i = 0; i < header->n_cs; i++) {
        if (mikey_bytes_equal(mikey_bytes(header->cs[i].spi, header->cs[i].spi_len),
                              mikey_bytes(key->spi, key->spi_len)))
            return true;
    }
    return false;
}

/* Makes room by dropping keys of former updates that no session uses, neither now nor with @map */
static void
drop_old_keys(MikeyBundle *bundle, const MikeyBundleParts *parts, const MikeyHeader *map,
              size_t n_new)
{
    size_t i = bundle->n_first_keys;

    while (i + n_new < bundle->n_keys && bundle->n_keys > MIKEY_MAX_BUNDLE_KEYS) {
        if (uses_key(map, &bundle->keys[i]) || uses_key(&parts->before->header, &bundle->keys[i])) {
            i++;
            continue;
        }
        bundle->n_keys--;
        memmove(&bundle->keys[i], &bundle->keys[i + 1],
                (bundle->n_keys - i) * sizeof(*bundle->keys));
        mikey_key_data_clear(&bundle->keys[bundle->n_keys]);
    }
}

static MikeyStatus
copy_keys(MikeyBundle *bundle, const MikeyBundleParts *parts, const MikeyHeader *map)
{
    size_t n = parts->n_keys + parts->n_late_keys;
    MikeyStatus status;

    bundle->keys = mikey_alloc(n * sizeof(*bundle->keys));
    if (bundle->keys == NULL)
        return MIKEY_NO_MEMORY;
    bundle->n_keys = n;
    if (parts->n_keys > 0)
        memcpy(bundle->keys, parts->keys, parts->n_keys * sizeof(*bundle->keys));
    if (parts->n_late_keys > 0)
        memcpy(bundle->keys + parts->n_keys, parts->late_keys,
               parts->n_late_keys * sizeof(*bundle->keys));
    bundle->n_first_keys = parts->before != NULL ? parts->before->n_first_keys : n;
    /* one SPI, one key */
    status = mikey_session_keys_check(bundle->keys, n, parts->init->header.prf);
    if (status == MIKEY_OK && parts->before != NULL) {
        drop_old_keys(bundle, parts, map, parts->n_late_keys);
        status = bundle->n_keys > MIKEY_MAX_BUNDLE_KEYS ? MIKEY_TOO_LARGE : MIKEY_OK;
    }
    return status;
}

static MikeyStatus
copy_map(MikeyBundle *bundle, const MikeyHeader *header)
{
    bundle->cs = mikey_alloc(header->n_cs * sizeof(*bundle->cs));
    bundle->profiles = mikey_alloc(header->n_cs * sizeof(*bundle->profiles));
    if (bundle->cs == NULL || bundle->profiles == NULL)
        return MIKEY_NO_MEMORY;
    if (header->n_cs > 0)
        memcpy(bundle->cs, header->cs, header->n_cs * sizeof(*bundle->cs));
    for (unsigned i = 0; i < header->n_cs; i++)
        bundle->cs[i].session_data = mikey_bytes(NULL, 0);
    bundle->header = *header;
    bundle->header.cs = bundle->cs;
    return MIKEY_OK;
}

/* RANDs enter the session keys as the flags H and G say */
static MikeyStatus
copy_rands(MikeyBundle *bundle, const MikeyBundleParts *parts)
{
    MikeyStatus status = MIKEY_OK;

    if ((parts->policy->flags & MIKEY_FLAG_H) != 0)
        status = mikey_buffer_set(&bundle->rand_i,
                                  mikey_message_randr(parts->init, MIKEY_RANDR_INITIATOR));
    if (status == MIKEY_OK && parts->resp != NULL && (parts->policy->flags & MIKEY_FLAG_G) != 0)
        status = mikey_buffer_set(&bundle->rand_r,
                                  mikey_message_randr(parts->resp, MIKEY_RANDR_RESPONDER));
    return status;
}

static MikeyStatus
keep_parties(MikeyBundle *bundle, const MikeyBundleParts *parts)
{
    MikeyIdentity id_i = mikey_message_identity(parts->init, MIKEY_IDR_INITIATOR);
    MikeyIdentity asked = mikey_message_identity(parts->init, MIKEY_IDR_RESPONDER);
    MikeyIdentity id_r = asked;
    MikeyStatus status;

    if (parts->resp != NULL &&
        mikey_message_find(parts->resp, MIKEY_IDR, MIKEY_IDR_RESPONDER) != NULL)
        id_r = mikey_message_identity(parts->resp, MIKEY_IDR_RESPONDER);
    bundle->id_i_type = id_i.type;
    bundle->id_r_type = id_r.type;
    status = mikey_buffer_set(&bundle->id_i, id_i.data);
    if (status == MIKEY_OK)
        status = mikey_buffer_set(&bundle->id_r, id_r.data);
    if (status == MIKEY_OK)
        status = mikey_buffer_set(&bundle->asked_r, asked.data);
    return status;
}

static void
keep_policies(MikeyBundle *bundle, const MikeyMessage *message)
{
    for (size_t i = 0; message != NULL && i < message->n_payloads; i++) {
        const MikeySp *sp = &message->payloads[i].u.sp;
        MikeyKnownPolicy *known;

        if (message->payloads[i].number != MIKEY_SP)
            continue;
        known = &bundle->policies[sp->policy_no];
        known->known = true;
        known->prot = sp->prot;
        if (mikey_sp_profile(sp, &known->profile) != MIKEY_OK)
            known->profile = MIKEY_SRTP_NONE;
    }
}

static void
keep_time(MikeyBundle *bundle, const MikeyMessage *message)
{
    MikeyNtp t = message != NULL ? mikey_timestamp_iv(mikey_message_t(message)) : 0;

    if (message != NULL && mikey_ntp_is_newer(t, bundle->last_t))
        bundle->last_t = t;
}

/* What the first exchange settles for good */
static MikeyStatus
keep_first(MikeyBundle *bundle, const MikeyBundleParts *parts)
{
    MikeyStatus status;

    bundle->initiator = parts->initiator;
    bundle->flags = parts->policy->flags;
    bundle->peer_type = parts->peer.type;
    bundle->in_force = *parts->in_force;
    bundle->last_t = mikey_timestamp_iv(mikey_message_t(parts->init));
    keep_time(bundle, parts->resp);
    status = mikey_buffer_set(&bundle->peer, parts->peer.data);
    if (status == MIKEY_OK)
        status = keep_parties(bundle, parts);
    return status == MIKEY_OK ? copy_rands(bundle, parts) : status;
}

static MikeyStatus
fill(MikeyBundle *bundle, const MikeyBundleParts *parts)
{
    const MikeyMessage *in_force = parts->resp != NULL ? parts->resp : parts->init;
    MikeyStatus status = copy_keys(bundle, parts, &in_force->header);

    if (status == MIKEY_OK)
        status = copy_map(bundle, &in_force->header);
    if (status == MIKEY_OK)
        status = check_sessions(bundle, parts);
    if (status == MIKEY_OK) {
        keep_policies(bundle, parts->init);
        keep_policies(bundle, parts->resp);
    }
    return status;
}

MikeyStatus
mikey_bundle_new(const MikeyBundleParts *parts, MikeyBundle **out_bundle)
{
    MikeyBundle *bundle = mikey_alloc(sizeof(*bundle));
    MikeyStatus status;

    if (bundle == NULL)
        return MIKEY_NO_MEMORY;
    status = keep_first(bundle, parts);
    if (status == MIKEY_OK)
        status = fill(bundle, parts);
    if (status != MIKEY_OK) {
        mikey_bundle_free(bundle);
        return status;
    }
    *out_bundle = bundle;
    return MIKEY_OK;
}

/* Frees what an update replaces */
static void
clear_changing(MikeyBundle *bundle)
{
    mikey_release(bundle->cs);
    mikey_release(bundle->profiles);
    mikey_keys_free(bundle->keys, bundle->n_keys);
}

MikeyStatus
mikey_bundle_apply(MikeyBundle *bundle, const MikeyBundleParts *parts)
{
    MikeyBundle *next = mikey_alloc(sizeof(*next));
    MikeyStatus status;

    if (next == NULL)
        return MIKEY_NO_MEMORY;
    memcpy(next->policies, bundle->policies, sizeof(next->policies));
    status = fill(next, parts);
    if (status != MIKEY_OK) {
        clear_changing(next);
        mikey_release(next);
        return status;
    }
    clear_changing(bundle);
    bundle->header = next->header;
    bundle->cs = next->cs;
    bundle->profiles = next->profiles;
    bundle->keys = next->keys;
    bundle->n_keys = next->n_keys;
    memcpy(bundle->policies, next->policies, sizeof(next->policies));
    keep_time(bundle, parts->init);
    keep_time(bundle, parts->resp);
    mikey_release(next);
    return MIKEY_OK;
}

void
mikey_bundle_free(MikeyBundle *bundle)
{
    if (bundle == NULL)
        return;
    clear_changing(bundle);
    mikey_buffer_clear(&bundle->peer);
    mikey_buffer_clear(&bundle->id_i);
    mikey_buffer_clear(&bundle->id_r);
    mikey_buffer_clear(&bundle->asked_r);
    mikey_buffer_clear(&bundle->rand_i);
    mikey_buffer_clear(&bundle->rand_r);
    mikey_release_secret(bundle, sizeof(*bundle));
}

static MikeyStatus
copy_buffers(MikeyBundle *to, const MikeyBundle *from)
{
    MikeyBuffer *const into[] = {&to->peer,    &to->id_i,   &to->id_r,
                                 &to->asked_r, &to->rand_i, &to->rand_r};
    const MikeyBuffer *const out_of[] = {&from->peer,    &from->id_i,   &from->id_r,
                                         &from->asked_r, &from->rand_i, &from->rand_r};
    MikeyStatus status = MIKEY_OK;

    for (size_t i = 0; i < sizeof(into) / sizeof(into[0]) && status == MIKEY_OK; i++)
        status = mikey_buffer_set(into[i], mikey_buffer_bytes(out_of[i]));
    return status;
}

static MikeyStatus
copy_parts(MikeyBundle *to, const MikeyBundle *from)
{
    size_t n_cs = from->header.n_cs;
    MikeyStatus status = copy_map(to, &from->header);

    if (status == MIKEY_OK && n_cs > 0)
        memcpy(to->profiles, from->profiles, n_cs * sizeof(*to->profiles));
    if (status == MIKEY_OK)
        status = mikey_keys_copy(from->keys, from->n_keys, &to->keys);
    if (status != MIKEY_OK)
        return status;
    to->n_keys = from->n_keys;
    to->n_first_keys = from->n_first_keys;
    to->initiator = from->initiator;
    to->flags = from->flags;
    to->peer_type = from->peer_type;
    to->id_i_type = from->id_i_type;
    to->id_r_type = from->id_r_type;
    to->in_force = from->in_force;
    to->last_t = from->last_t;
    memcpy(to->policies, from->policies, sizeof(to->policies));
    return copy_buffers(to, from);
}

MikeyStatus
mikey_bundle_copy(const MikeyBundle *bundle, MikeyBundle **out_bundle)
{
    MikeyBundle *copy = mikey_alloc(sizeof(*copy));
    MikeyStatus status;

    if (copy == NULL)
        return MIKEY_NO_MEMORY;
    status = copy_parts(copy, bundle);
    if (status != MIKEY_OK) {
        mikey_bundle_free(copy);
        return status;
    }
    *out_bundle = copy;
    return MIKEY_OK;
}

MikeyIdentity
mikey_bundle_peer(const MikeyBundle *bundle)
{
    MikeyIdentity peer = {bundle->peer_type, mikey_buffer_bytes(&bundle->peer)};

    return peer;
}

uint32_t
mikey_bundle_csb_id(const MikeyBundle *bundle)
{
    return bundle->header.csb_id;
}

const MikeyHeader *
mikey_bundle_header(const MikeyBundle *bundle)
{
    return &bundle->header;
}

MikeySrtpProfile
mikey_bundle_profile(const MikeyBundle *bundle, uint8_t cs_id)
{
    const MikeyCs *cs = mikey_header_cs(&bundle->header, cs_id);

    return cs != NULL ? bundle->profiles[cs - bundle->cs] : MIKEY_SRTP_NONE;
}

MikeyStatus
mikey_bundle_srtp(const MikeyBundle *bundle, uint8_t cs_id, MikeySrtp *out_srtp)
{
    const MikeyCs *cs = mikey_header_cs(&bundle->header, cs_id);
    const MikeyKeyData *key = cs != NULL ? find_key(bundle, cs) : NULL;

    if (cs == NULL)
        return MIKEY_BAD_SESSIONS;
    if (key == NULL)
        return MIKEY_BAD_KEYS;
    return mikey_srtp_derive(bundle->header.prf, key, cs, bundle->profiles[cs - bundle->cs],
                             mikey_buffer_bytes(&bundle->rand_i),
                             mikey_buffer_bytes(&bundle->rand_r), out_srtp);
}
