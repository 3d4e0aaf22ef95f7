/* SPDX-License-Identifier: Apache-2.0 */
/* libmikey/bundle.c - the crypto sessions that two parties agreed on, and their keys */
#include <libmikey/exchange-private.h>

#include <string.h>

struct MikeyBundle {
    MikeyHeader header;
    MikeyCs *cs;
    MikeySrtpProfile *profiles; /* one for each of the sessions */
    uint8_t peer_type;
    MikeyBuffer peer;
    MikeyBuffer rand_i;
    MikeyBuffer rand_r;
    MikeyKeyData *keys;
    size_t n_keys;
};

static const MikeySp *
find_sp(const MikeyMessage *message, uint8_t policy_no)
{
    for (size_t i = 0; message != NULL && i < message->n_payloads; i++) {
        const MikeyPayload *payload = &message->payloads[i];

        if (payload->number == MIKEY_SP && payload->u.sp.policy_no == policy_no)
            return &payload->u.sp;
    }
    return NULL;
}

/* Policy numbers are distinct over the offer and its answer */
static bool
policies_are_distinct(const MikeyMessage *init, const MikeyMessage *resp)
{
    for (size_t i = 0; resp != NULL && i < resp->n_payloads; i++) {
        const MikeyPayload *payload = &resp->payloads[i];

        if (payload->number == MIKEY_SP && find_sp(init, payload->u.sp.policy_no) != NULL)
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

/* The policy of a session: suggested in the offer, or brought by the answer */
static MikeyStatus
find_profile(const MikeyBundleParts *parts, const MikeyCs *offered, const MikeyCs *cs,
             MikeySrtpProfile *out_profile)
{
    const MikeySp *sp;
    MikeySrtpProfile profile = MIKEY_SRTP_NONE;
    MikeyStatus status;

    if (cs->n_policies != 1)
        return MIKEY_BAD_SESSIONS;
    sp = find_sp(parts->init, cs->policies[0]);
    if (sp != NULL && !is_listed(offered, cs->policies[0]))
        return MIKEY_BAD_SESSIONS;
    if (sp == NULL)
        sp = find_sp(parts->resp, cs->policies[0]);
    if (sp == NULL || sp->prot != cs->prot)
        return MIKEY_BAD_SESSIONS;
    status = mikey_sp_profile(sp, &profile);
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

/* A session of the answer against the one offered */
static MikeyStatus
check_session(const MikeyBundle *bundle, const MikeyCs *offered, const MikeyCs *cs)
{
    if (cs->prot != offered->prot || cs->spi_len == 0)
        return MIKEY_BAD_SESSIONS;
    if (cs->prot == MIKEY_PROT_SRTP && !cs->has_ssrc)
        return MIKEY_BAD_SESSIONS;
    /* what the offerer said of his own streams is not for the answerer to change */
    if (offered->has_ssrc && cs->id % 2 == 1 && cs->ssrc != offered->ssrc)
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
        if (status == MIKEY_OK && parts->resp != NULL)
            status = check_session(bundle, offered, cs);
        if (status != MIKEY_OK)
            return status;
    }
    return MIKEY_OK;
}

static MikeyStatus
copy_keys(MikeyBundle *bundle, const MikeyBundleParts *parts)
{
    size_t n = parts->n_keys + parts->n_late_keys;

    bundle->keys = mikey_alloc(n * sizeof(*bundle->keys));
    if (bundle->keys == NULL)
        return MIKEY_NO_MEMORY;
    bundle->n_keys = n;
    if (parts->n_keys > 0)
        memcpy(bundle->keys, parts->keys, parts->n_keys * sizeof(*bundle->keys));
    if (parts->n_late_keys > 0)
        memcpy(bundle->keys + parts->n_keys, parts->late_keys,
               parts->n_late_keys * sizeof(*bundle->keys));
    /* one SPI, one key */
    return mikey_session_keys_check(bundle->keys, n, parts->init->header.prf);
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

MikeyStatus
mikey_bundle_new(const MikeyBundleParts *parts, MikeyBundle **out_bundle)
{
    const MikeyMessage *in_force = parts->resp != NULL ? parts->resp : parts->init;
    MikeyBundle *bundle = mikey_alloc(sizeof(*bundle));
    MikeyStatus status;

    if (bundle == NULL)
        return MIKEY_NO_MEMORY;
    bundle->peer_type = parts->peer.type;
    status = mikey_buffer_set(&bundle->peer, parts->peer.data);
    if (status == MIKEY_OK)
        status = copy_rands(bundle, parts);
    if (status == MIKEY_OK)
        status = copy_keys(bundle, parts);
    if (status == MIKEY_OK)
        status = copy_map(bundle, &in_force->header);
    if (status == MIKEY_OK)
        status = check_sessions(bundle, parts);
    if (status != MIKEY_OK) {
        mikey_bundle_free(bundle);
        return status;
    }
    *out_bundle = bundle;
    return MIKEY_OK;
}

void
mikey_bundle_free(MikeyBundle *bundle)
{
    if (bundle == NULL)
        return;
    mikey_release(bundle->cs);
    mikey_release(bundle->profiles);
    mikey_buffer_clear(&bundle->peer);
    mikey_buffer_clear(&bundle->rand_i);
    mikey_buffer_clear(&bundle->rand_r);
    mikey_keys_free(bundle->keys, bundle->n_keys);
    mikey_release(bundle);
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
