/* SPDX-License-Identifier: Apache-2.0 */
/* ua/keys-refer.c - the ticket in a REFER: proves who asks, carries no keys that anybody uses */
#include "ua/keys-private.h"
#include "ua/ticket-file.h"

#include "base/identity.h"
#include "base/secret.h"

#include <string.h>

#define PURPOSE "refer"
#define MAX_BODY 65536u

char *
clv_ua_keys_refer(ClvUaKeys *keys, const char *whom, const char *const *names, GError **error)
{
    g_autoptr(GPtrArray) list = g_ptr_array_new_with_free_func(g_free);
    g_autoptr(GPtrArray) purposes = NULL;
    g_autofree char *responder = clv_identity_canonical(whom, -1);
    g_autoptr(GByteArray) octets = NULL;
    MikeyGrant *grant;
    MikeyTransfer *transfer = NULL;
    guint32 csb_id = 0;
    char *text = NULL;

    if (responder == NULL) {
        clv_ua_keys_refuse(error, "a ticket cannot name who is asked");
        return NULL;
    }
    for (; *names != NULL; names++)
        clv_ua_keys_add_name(list, *names);
    g_ptr_array_add(list, NULL);
    if (keys->options->verb == CLV_UA_REFER) {
        purposes = clv_ua_keys_purposes(keys->options, PURPOSE, NULL);
    } else {
        purposes = g_ptr_array_new_with_free_func(g_free);
        g_ptr_array_add(purposes, g_strdup("conclave:" PURPOSE));
        g_ptr_array_add(purposes, NULL);
    }
    if (keys->options->verb == CLV_UA_REFER && keys->options->ticket_file != NULL)
        grant = clv_ua_ticket_read(keys->options->ticket_file, error);
    else
        grant = clv_ua_keys_request(keys, list, purposes, error);
    if (grant != NULL &&
        clv_ua_keys_build(keys, grant, responder, FALSE, 0, &transfer, &csb_id, error)) {
        octets = clv_ua_keys_spoil(keys, mikey_transfer_octets(transfer));
        text = g_base64_encode(octets->data, octets->len);
    }
    mikey_transfer_free(transfer);
    mikey_grant_free(grant);
    return text;
}

/* ---- being asked -------------------------------------------------------------------------- */

static gboolean
decode_sdp(const char *body, gsize len, MikeyBuffer *out, GError **error)
{
    ClvSdp *sdp = clv_sdp_parse(body, len, error);
    gboolean good = FALSE;

    if (sdp == NULL)
        return FALSE;
    if (sdp->n_keymgmt != 1 || sdp->n_media != 0)
        clv_ua_keys_refuse(error, "the SDP of a REFER has one a=key-mgmt and no m-line");
    else
        good = mikey_sdp_decode(mikey_bytes_str(sdp->keymgmt[0]), out) == MIKEY_OK ||
               clv_ua_keys_refuse(error, "the a=key-mgmt of the REFER is none");
    clv_sdp_free(sdp);
    return good;
}

/* Base64 with line ends in it is base64, too. */
static gboolean
decode_base64(const char *body, gsize len, MikeyBuffer *out, GError **error)
{
    g_autoptr(GString) text = g_string_new(NULL);

    for (gsize i = 0; i < len; i++)
        if (strchr(" \t\r\n", body[i]) == NULL || body[i] == '\0')
            g_string_append_c(text, body[i]);
    return mikey_base64_decode(mikey_bytes(text->str, text->len), out) == MIKEY_OK ||
           clv_ua_keys_refuse(error, "the body of the REFER is no base64");
}

static gboolean
names_conference(const MikeyOffer *offer, const char *conference)
{
    g_autofree char *wanted = clv_identity_canonical(conference, -1);
    MikeyIdentity who = mikey_offer_initiator(offer), focus;
    g_autofree char *initiator =
        clv_identity_canonical((const char *)who.data.data, (gssize)who.data.len);

    if (wanted == NULL)
        return FALSE;
    focus = mikey_identity_uri(wanted);
    return g_strcmp0(wanted, initiator) == 0 ||
           mikey_policy_names_responder(mikey_offer_policy(offer), &focus);
}

static gboolean
check(ClvUaKeys *keys, MikeyOffer *offer, const char *conference, GError **error)
{
    MikeyIdentity whom = mikey_offer_responder(offer);
    g_autofree char *responder =
        clv_identity_canonical((const char *)whom.data.data, (gssize)whom.data.len);
    g_autofree char *us = keys->options->identity != NULL
                              ? clv_identity_canonical(keys->options->identity, -1)
                              : NULL;

    if (!mikey_policy_allows_application(mikey_offer_policy(offer),
                                         mikey_bytes_str("conclave:" PURPOSE)))
        return clv_ua_keys_refuse(error, "the ticket is not for a REFER");
    if (responder == NULL || g_strcmp0(responder, us) != 0)
        return clv_ua_keys_refuse(error, "the ticket is for somebody else");
    if (!names_conference(offer, conference))
        return clv_ua_keys_refuse(error, "the ticket does not name the conference");
    return clv_ua_keys_verify(keys, offer, error);
}

char *
clv_ua_keys_referred(ClvUaKeys *keys, const char *type, const char *body, gsize len,
                     const char *conference, GError **error)
{
    gboolean sdp = type != NULL && g_ascii_strcasecmp(type, "application/sdp") == 0;
    gboolean mikey = type != NULL && g_ascii_strcasecmp(type, "application/mikey") == 0;
    MikeyEnv env = clv_ua_keys_env_at(g_get_real_time());
    MikeyBuffer octets = MIKEY_BUFFER_INIT;
    MikeyOffer *offer = NULL;
    MikeyIdentity who;
    char *referrer = NULL;
    MikeyStatus status;

    if (body == NULL || (!sdp && !mikey) || len > MAX_BODY) {
        clv_ua_keys_refuse(error, "the REFER has no ticket");
        return NULL;
    }
    if (keys->terminal == NULL) {
        clv_ua_keys_refuse(error, "resolving a ticket needs --kms and its companions");
        return NULL;
    }
    if (sdp ? decode_sdp(body, len, &octets, error) : decode_base64(body, len, &octets, error)) {
        status = mikey_offer_open(mikey_bytes(octets.data, octets.len), &env, &offer);
        if (status != MIKEY_OK) {
            clv_ua_keys_fail(error, "the ticket of the REFER", status);
        } else if (check(keys, offer, conference, error)) {
            who = mikey_offer_initiator(offer);
            referrer = clv_identity_canonical((const char *)who.data.data, (gssize)who.data.len);
        }
    }
    mikey_offer_free(offer);
    mikey_buffer_clear(&octets);
    return referrer;
}
