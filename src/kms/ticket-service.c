/* SPDX-License-Identifier: Apache-2.0 */
/* kms/ticket-service.c - the KMS itself: may this user have this ticket, may that one resolve it?
 *
 * Bytes in and bytes out, by RFC 6043 section 4.2.1 and 4.2.3: read, time, who is it, is it really
 * him, has it been seen, is the name his, then the rules of the key file. Whatever is refused
 * becomes an Error message, which has a MAC only when its reader has proven who he is. No clock,
 * and no I/O but the keeper's. Thread safe: a request works on its own reference of the key file.
 */
#include "config.h"

#include "kms/handling.h"

#include <string.h>

/* ---- all together ---- */

static void
make_error(Handling *h, MikeyBytes octets, MikeyStatus status)
{
    MikeyStatus made;

    h->decision->error = mikey_status_error(status);
    if (h->query != NULL)
        made = mikey_query_error(h->query, status, &h->env, &h->answer);
    else
        made = mikey_error_new(octets, status, &h->env, &h->answer);
    if (made != MIKEY_OK)
        mikey_buffer_clear(&h->answer); /* an Error, or nothing that could be answered */
}

static MikeyStatus
decide(Handling *h)
{
    MikeyStatus status = clv_kms_check_names(h);

    if (status != MIKEY_OK)
        return status;
    return mikey_query_is_resolve(h->query) ? clv_kms_answer_resolve(h) : clv_kms_answer_request(h);
}

/* What cannot be remembered over a restart is not answered: it could be sent again after it. */
MikeyStatus
clv_kms_remember(Handling *h, const guint8 *digest, gint64 expires_us)
{
    g_autoptr(GError) error = NULL;

    if (h->service->keeper == NULL ||
        clv_kms_keeper_remember(h->service->keeper, digest, expires_us, &error))
        return MIKEY_OK;
    return clv_kms_because(h, MIKEY_REFUSED, "cannot be remembered: %s", error->message);
}

/* The memory of a time may be lost; whatever was made in it counts as seen. */
static MikeyStatus
check_known_time(Handling *h)
{
    gint64 made_us = mikey_ntp_to_unix_us(mikey_query_timestamp(h->query));
    gint64 bar_us =
        h->service->keeper != NULL ? clv_kms_keeper_not_before_us(h->service->keeper) : 0;

    if (made_us >= bar_us)
        return MIKEY_OK;
    return clv_kms_because(
        h, MIKEY_REPLAYED,
        "what was seen before a reset or power failure is not known; messages are taken "
        "again in %" G_GINT64_FORMAT " s",
        (bar_us - h->now_us) / G_USEC_PER_SEC + 1);
}

/* The one who speaks and the one who signed must be the same. */
MikeyStatus
clv_kms_check_proven(Handling *h)
{
    gboolean same = h->proven != NULL && strcmp(h->proven, h->user->name) == 0;

    if (same || (h->proven == NULL && h->peer == NULL))
        return MIKEY_OK;
    h->decision->foreign = TRUE;
    if (h->peer != NULL) /* its own fault, and not that of the user it speaks for: number 8 */
        return clv_kms_because(h, MIKEY_BAD_CERTIFICATE, "another KMS has to show its certificate");
    return clv_kms_because(h, MIKEY_BAD_IDENTITY, "HTTP or TLS proved user '%s'", h->proven);
}

MikeyStatus
clv_kms_check_rate(Handling *h)
{
    gint64 per_s = h->user->rate > 0 ? h->user->rate : h->keys->user_rate;

    if (clv_kms_rates_take(h->service->rates, h->user->name, per_s, h->now_us))
        return MIKEY_OK;
    h->decision->limited = TRUE;
    return clv_kms_because(h, MIKEY_REFUSED, "more than %" G_GINT64_FORMAT " messages a second",
                           per_s);
}

/* What a user may fill of the memory of messages: one of so many parts. A conference system and
 * another KMS ask for all of their users. */
guint
clv_kms_parts_of(const Handling *h)
{
    for (guint i = 0; i < h->keys->systems->len; i++)
        if (((const ClvKmsSystem *)h->keys->systems->pdata[i])->user == h->user)
            return 2;
    return h->peer != NULL ? 2 : 8;
}

/* Answers an authentic message, or repeats what it was answered before. */
static void
answer_once(Handling *h, MikeyBytes octets)
{
    g_autoptr(GByteArray) before = NULL;
    guint8 digest[MIKEY_DIGEST_LEN];
    gint64 expires_us =
        mikey_ntp_to_unix_us(mikey_query_timestamp(h->query)) + h->keys->skew_s * G_USEC_PER_SEC;
    ClvKmsMemoryVerdict verdict = CLV_KMS_MEMORY_FULL;
    MikeyStatus status = mikey_query_digest(h->query, digest);

    if (status == MIKEY_OK)
        verdict = clv_kms_memory_enter(h->service->memory, h->user->name, clv_kms_parts_of(h),
                                       digest, h->now_us, expires_us, &before);
    if (verdict == CLV_KMS_MEMORY_FULL) {
        make_error(h, octets,
                   clv_kms_because(h, MIKEY_REFUSED,
                                   "the replay memory, or this user's part of it, is full"));
    } else if (verdict == CLV_KMS_MEMORY_REPLAYED) {
        make_error(h, octets, clv_kms_because(h, MIKEY_REPLAYED, "seen before"));
    } else if (verdict == CLV_KMS_MEMORY_ANSWERED) {
        clv_kms_because(h, MIKEY_OK, "sent again; answered as before");
        h->decision->repeated = TRUE;
        h->decision->granted = before->data[1] != MIKEY_ERROR;
        h->repeat = g_steal_pointer(&before);
    } else {
        status = clv_kms_remember(h, digest, expires_us);
        if (status == MIKEY_OK)
            status = decide(h);
        if (status == MIKEY_OK && h->forwarded != NULL) {
            memcpy(h->digest, digest, sizeof digest);
            clv_kms_memory_park(h->service->memory, digest);
            return;
        }
        if (status != MIKEY_OK)
            make_error(h, octets, status);
        h->decision->granted = status == MIKEY_OK;
        clv_kms_memory_settle(h->service->memory, digest, h->answer.data, h->answer.len, h->now_us);
    }
}

static void
handle(Handling *h, MikeyBytes octets)
{
    MikeyStatus status = clv_kms_open_query(h, octets);

    if (status == MIKEY_OK)
        status = clv_kms_find_user(h);
    if (status == MIKEY_OK)
        status = clv_kms_authenticate(h);
    if (status == MIKEY_OK)
        status = clv_kms_check_proven(h);
    if (status == MIKEY_OK)
        status = clv_kms_check_rate(h);
    if (status == MIKEY_OK)
        status = check_known_time(h);
    if (status == MIKEY_OK)
        answer_once(h, octets);
    else
        make_error(h, octets, status);
}

static void
count(ClvKmsService *service, ClvKmsRequest request, const ClvKmsDecision *decision)
{
    guint64 *kind = service->state.messages[request == CLV_KMS_TICKET_RESOLVE ? 1 : 0];

    pthread_mutex_lock(&service->lock);
    if (decision->repeated) {
        service->state.repeated++;
        kind[2]++;
    } else if (decision->granted) {
        service->state.granted++;
        kind[0]++;
    } else {
        service->state.refused++;
        kind[1]++;
        service->state.errors[decision->error % CLV_KMS_N_ERRORS]++;
    }
    service->state.limited += decision->limited ? 1 : 0;
    pthread_mutex_unlock(&service->lock);
}

static bool
random_octets(uint8_t *out, size_t len, void *data)
{
    ClvKmsService *service = data;

    return service->random(service->random_user, out, len);
}

GByteArray *
clv_kms_service_handle(ClvKmsService *service, ClvKmsRequest request, const guint8 *bytes,
                       gsize len, gint64 now_us, ClvKmsDecision *out_decision)
{
    return clv_kms_service_handle_from(service, request, bytes, len, now_us, NULL, out_decision);
}

GByteArray *
clv_kms_service_handle_from(ClvKmsService *service, ClvKmsRequest request, const guint8 *bytes,
                            gsize len, gint64 now_us, const char *proven,
                            ClvKmsDecision *out_decision)
{
    return clv_kms_service_begin(service, request, bytes, len, now_us, proven, out_decision, NULL);
}

/* ---- what another KMS has to answer ---- */

struct ClvKmsRelay {
    Handling h;
    ClvKmsKeyFile *keys;
    ClvKmsDecision decision;
};

static GByteArray *
take_answer(Handling *h)
{
    GByteArray *answer = h->repeat;

    if (h->answer.len > 0)
        answer = g_byte_array_append(g_byte_array_sized_new((guint)h->answer.len), h->answer.data,
                                     (guint)h->answer.len);
    mikey_buffer_clear(&h->answer);
    mikey_message_free(h->forwarded);
    mikey_query_free(h->query);
    g_free(h->identity);
    return answer;
}

const ClvKmsUser *
clv_kms_relay_user(const ClvKmsRelay *relay)
{
    return relay->h.user;
}

const ClvKmsPeer *
clv_kms_relay_peer(const ClvKmsRelay *relay)
{
    return relay->h.relay_to;
}

void
clv_kms_relay_octets(const ClvKmsRelay *relay, const guint8 **out, gsize *out_len)
{
    MikeyBytes octets = mikey_message_octets(relay->h.forwarded);

    *out = octets.data;
    *out_len = octets.len;
}

static ClvKmsRelay *
relay_new(const Handling *h)
{
    ClvKmsRelay *relay = g_new0(ClvKmsRelay, 1);

    relay->h = *h;
    relay->keys = clv_kms_keyfile_ref((ClvKmsKeyFile *)h->keys);
    relay->decision = *h->decision;
    relay->h.decision = &relay->decision;
    return relay;
}

/* What the other KMS refuses is refused here for the same reason; without a MAC it is about our own
 * message, or nobody's word. */
static MikeyStatus
status_of_peer_error(const MikeyPeerError *error)
{
    switch (error->authentic ? error->number : 0) {
    case 7:
        return MIKEY_BAD_IDENTITY;
    case 14:
        return MIKEY_BAD_TICKET;
    case 15:
        return MIKEY_BAD_POLICY;
    default:
        return MIKEY_REFUSED;
    }
}

static MikeyStatus
relay_back(Handling *h, const GByteArray *body)
{
    MikeyPeerError error = {255, false};
    MikeyKey psk;
    const guint8 *bytes;
    gsize len = 0;
    MikeyStatus status;

    bytes = clv_secret_bytes(h->relay_to->user->psk, &len);
    status = mikey_key_set(&psk, bytes, len);
    if (status == MIKEY_OK)
        status = mikey_query_relay(h->query, h->forwarded, &psk, mikey_bytes(body->data, body->len),
                                   &h->env, &h->answer, &error);
    mikey_key_clear(&psk);
    if (status == MIKEY_PEER_ERROR)
        return clv_kms_because(h, status_of_peer_error(&error), "relayed; %s refuses: error %u",
                               h->relay_to->user->name, error.number);
    if (status != MIKEY_OK)
        return clv_kms_because(h, MIKEY_REFUSED, "relayed; the answer of %s: %s",
                               h->relay_to->user->name, mikey_status_string(status));
    return clv_kms_because(h, MIKEY_OK, "relayed; %s resolved it", h->relay_to->user->name);
}

/* The key file may be another one than when the peer was asked. */
static MikeyStatus
check_still_user(Handling *h)
{
    g_autoptr(ClvKmsKeyFile) keys = clv_kms_ref_keys(h->service);
    const ClvKmsUser *user = clv_kms_keyfile_owner(keys, h->identity);

    if (user == NULL || strcmp(user->name, h->user->name) != 0)
        return clv_kms_because(h, MIKEY_BAD_IDENTITY, "relayed; %.100s is no longer '%s's",
                               h->identity, h->user->name);
    return clv_kms_check_not_revoked(h, user, "responder");
}

GByteArray *
clv_kms_service_finish(ClvKmsRelay *relay, ClvCode code, const GByteArray *body, const char *detail,
                       gint64 now_us, ClvKmsDecision *out_decision)
{
    Handling *h = &relay->h;
    GByteArray *answer;
    MikeyStatus status;

    h->now_us = now_us;
    h->env.now = mikey_ntp_from_unix_us(now_us);
    if (code == CLV_CODE_OK && body != NULL)
        status = check_still_user(h) == MIKEY_OK ? relay_back(h, body) : MIKEY_BAD_IDENTITY;
    else
        status = clv_kms_because(h, MIKEY_REFUSED, "relayed; %s does not answer: %.100s",
                                 h->relay_to->user->name, detail != NULL ? detail : "");
    if (status != MIKEY_OK)
        make_error(h, mikey_message_octets(mikey_query_message(h->query)), status);
    relay->decision.granted = status == MIKEY_OK;
    clv_kms_memory_settle(h->service->memory, h->digest, h->answer.data, h->answer.len, now_us);
    count(h->service, h->request, &relay->decision);
    *out_decision = relay->decision;
    answer = take_answer(h);
    clv_kms_keyfile_free(relay->keys);
    g_free(relay);
    return answer;
}

GByteArray *
clv_kms_service_begin(ClvKmsService *service, ClvKmsRequest request, const guint8 *bytes, gsize len,
                      gint64 now_us, const char *proven, ClvKmsDecision *out_decision,
                      ClvKmsRelay **out_relay)
{
    g_autoptr(ClvKmsKeyFile) keys = NULL;
    Handling h = {0};

    g_return_val_if_fail(service != NULL && bytes != NULL && out_decision != NULL, NULL);
    keys = clv_kms_ref_keys(service);
    h.may_relay = out_relay != NULL;
    if (out_relay != NULL)
        *out_relay = NULL;
    memset(out_decision, 0, sizeof *out_decision);
    g_strlcpy(out_decision->user, "-", sizeof out_decision->user);
    g_strlcpy(out_decision->request, request == CLV_KMS_TICKET_RESOLVE ? "resolve" : "request",
              sizeof out_decision->request);
    h.service = service;
    h.keys = keys;
    h.request = request;
    h.now_us = now_us;
    h.proven = proven;
    h.decision = out_decision;
    h.env = (MikeyEnv){
        .now = mikey_ntp_from_unix_us(now_us),
        .skew_s = (uint32_t)keys->skew_s,
        .allow_128 = keys->allow_128,
        .random = random_octets,
        .random_data = service,
        .allow = (keys->papers != NULL ? MIKEY_ALLOW_PK : 0) |
                 (clv_kms_takes_mode(keys, 3) ? MIKEY_ALLOW_MODE_3 : 0),
    };
    handle(&h, mikey_bytes(bytes, len));
    if (h.forwarded != NULL && !out_decision->repeated && h.answer.len == 0) {
        *out_relay = relay_new(&h);
        return NULL;
    }
    count(service, request, out_decision);
    return take_answer(&h);
}
