/* SPDX-License-Identifier: Apache-2.0 */
/* libmikey/error.c - Error messages (RFC 6043 section 5.4) */
#include <libmikey/private.h>

#define HEADER_LEN 10u

static void
link_supported(MikeyLink *link, const MikeySrtpProfile *profiles, size_t n_profiles)
{
    for (size_t i = 0; i < n_profiles; i++) {
        MikeyPayload sp = {.number = MIKEY_SP,
                           .u.sp = {.policy_no = (uint8_t)i,
                                    .prot = MIKEY_PROT_SRTP,
                                    .params = mikey_srtp_profile_params(profiles[i])}};

        mikey_link_payload(link, &sp);
    }
}

MikeyStatus
mikey_error_build(uint8_t prf, uint32_t csb_id, bool transfer, MikeyStatus status,
                  const MikeySrtpProfile *profiles, size_t n_profiles, const MikeyEnv *env,
                  const MikeyKey *auth, MikeyBuffer *out_error)
{
    MikeyHeader header = {.type = MIKEY_ERROR,
                          .prf = prf,
                          .csb_id = csb_id,
                          .map_type = transfer ? MIKEY_MAP_GENERIC_ID : MIKEY_MAP_EMPTY};
    MikeyPayload err = {.number = MIKEY_ERR, .u.err = {.number = mikey_status_error(status)}};
    MikeyWriter w = MIKEY_WRITER_INIT;
    MikeyTimestamp t;
    MikeyLink link;
    MikeyStatus done = MIKEY_OK;

    if (n_profiles >= MIKEY_SRTP_N_PROFILES)
        return MIKEY_ARGUMENT;
    mikey_message_begin(&w, &header, env, &link, &t);
    mikey_link_payload(&link, &err);
    if (transfer && status == MIKEY_BAD_PARAMETERS)
        link_supported(&link, profiles, n_profiles);
    if (auth != NULL)
        done = mikey_message_end(&link, prf, auth, NULL, 0);
    if (done != MIKEY_OK) {
        mikey_writer_clear(&w);
        return done;
    }
    return mikey_writer_finish(&w, out_error);
}

MikeyStatus
mikey_error_new(MikeyBytes at_fault, MikeyStatus status, const MikeyEnv *env,
                MikeyBuffer *out_error)
{
    MikeyReader r = mikey_reader(at_fault);
    MikeyReader head = mikey_read_sub(&r, HEADER_LEN);
    uint8_t version = mikey_read_u8(&head);
    uint8_t type = mikey_read_u8(&head);
    uint8_t prf;
    uint32_t csb_id;

    mikey_read_u8(&head);
    prf = mikey_read_u8(&head) & 0x7fu;
    csb_id = mikey_read_u32(&head);
    if (head.bad || version != 1 || type == MIKEY_ERROR)
        return MIKEY_MALFORMED;
    return mikey_error_build(prf, csb_id,
                             type == MIKEY_TRANSFER_INIT || type == MIKEY_TRANSFER_RESP, status,
                             NULL, 0, env, NULL, out_error);
}
