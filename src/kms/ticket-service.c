/* SPDX-License-Identifier: Apache-2.0 */
/* kms/ticket-service.c - the KMS itself: may this user have this ticket, may that one resolve it?
 *
 * Bytes in and bytes out, by RFC 6043 section 4.2.1 and 4.2.3: read, time, who is it, is it really
 * him, has it been seen, is the name his, then the rules of the key file. Whatever is refused
 * becomes an Error message, which has a MAC only when its reader has proven who he is. No clock,
 * and no I/O but the keeper's. Thread safe: a request works on its own reference of the key file.
 */
#include "config.h"

#include "kms/kms.h"

#include <libmikey/mikey.h>
#include <openssl/crypto.h>
#include <openssl/x509_vfy.h>
#include <pthread.h>
#include <string.h>

#include "base/identity.h"
#include "base/secret.h"
#include "kms/keeper.h"
#include "kms/keyfile.h"
#include "kms/listing.h"
#include "kms/memory.h"
#include "kms/rate.h"
#include "kms/relay.h"
#include "kms/roster.h"

#define PURPOSE_CREATE "conclave:create"
#define MAX_WISHES 8u

/* Flags that a ticket of ours must have, and those that it may have (K is ours to set). */
#define FLAGS_WANTED MIKEY_FLAGS_PROFILE
#define FLAGS_ALLOWED                                                                              \
    (MIKEY_FLAGS_PROFILE | MIKEY_FLAG_J | MIKEY_FLAG_K | MIKEY_FLAG_L | MIKEY_FLAG_M)

struct ClvKmsService {
    ClvRandom random;
    void *random_user;
    ClvKmsMemory *memory;
    ClvKmsRates *rates;     /* of users */
    ClvKmsRates *rate;      /* of all together */
    ClvKmsRoster *roster;   /* conferences that were announced */
    ClvKmsKeeper *keeper;   /* (nullable) without one nothing survives the process */
    pthread_mutex_t change; /* held by who changes the ticket protection keys; before lock */

    pthread_mutex_t lock; /* of all below */
    ClvKmsKeyFile *keys;
    ClvKmsTpks *tpks;
    ClvKmsServiceState state;
};

/* One message on its way through the checks. */
typedef struct Handling {
    ClvKmsService *service;
    const ClvKmsKeyFile *keys;
    ClvKmsRequest request;
    MikeyEnv env;
    gint64 now_us;
    MikeyQuery *query;
    const char *proven; /* (nullable) name of the user whom HTTP or TLS proved */
    const ClvKmsUser *user;
    const ClvKmsPeer *peer; /* (nullable) the message comes from another KMS */
    char *identity;         /* (nullable) canonical: whom the user says to be */
    ClvKmsDecision *decision;
    MikeyBuffer answer;
    gboolean may_relay;
    const ClvKmsPeer *relay_to; /* (nullable) who has to answer first */
    MikeyMessage *forwarded;    /* (nullable) what goes to it */
    guint8 digest[MIKEY_DIGEST_LEN];
    GByteArray *repeat; /* (nullable) in place of answer: what the same octets got before */
} Handling;

/* ---- what the log line says ---- */

static MikeyStatus because(Handling *h, MikeyStatus status, const char *format, ...)
    G_GNUC_PRINTF(3, 4);

/* Notes why, and gives the status through. */
static MikeyStatus
because(Handling *h, MikeyStatus status, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    g_vsnprintf(h->decision->rule, sizeof h->decision->rule, format, args);
    va_end(args);
    return status;
}

/* Octets from outside, fit for a line of text. */
static void
show_octets(char *out, gsize size, MikeyBytes octets)
{
    gsize len = MIN(octets.len, size - 1);

    for (gsize i = 0; i < len; i++)
        out[i] = g_ascii_isgraph(octets.data[i]) ? (char)octets.data[i] : '?';
    out[len] = '\0';
}

/* "sip:alice@example.org -> sip:bob@example.org, sip:carol@example.org" as far as there is room */
static void
show_subject(ClvKmsDecision *decision, MikeyIdentity from, const MikeyIdentity *to, gsize n_to)
{
    char name[96];

    show_octets(name, sizeof name, from.data);
    g_strlcpy(decision->subject, name, sizeof decision->subject);
    for (gsize i = 0; i < n_to; i++) {
        show_octets(name, sizeof name, to[i].data);
        if (strlen(decision->subject) + strlen(name) + 24 > sizeof decision->subject) {
            g_snprintf(name, sizeof name, "%" G_GSIZE_FORMAT " more", n_to - i);
            n_to = i + 1;
        }
        g_strlcat(decision->subject, i == 0 ? " -> " : ", ", sizeof decision->subject);
        g_strlcat(decision->subject, name, sizeof decision->subject);
    }
}

/* ---- names ---- */

/* Returns: (transfer full) (nullable): NULL when it is no URI of a party */
static char *
canonical_of(const MikeyIdentity *identity)
{
    if (identity->type != MIKEY_ID_URI || identity->data.len == 0 ||
        memchr(identity->data.data, '\0', identity->data.len) != NULL)
        return NULL;
    return clv_identity_canonical((const char *)identity->data.data, (gssize)identity->data.len);
}

/* A name that may be left out, but must be this one when it is there. */
static gboolean
is_absent_or(const MikeyIdentity *identity, const char *canonical)
{
    g_autofree char *found = NULL;

    if (identity->data.len == 0)
        return TRUE;
    found = canonical_of(identity);
    return found != NULL && strcmp(found, canonical) == 0;
}

/* Returns: (transfer full) (nullable): canonical IDRr list; NULL when one is no URI or comes twice
 */
static GPtrArray *
responders_of(Handling *h, const MikeyPolicy *policy)
{
    g_autoptr(GPtrArray) list = g_ptr_array_new_with_free_func(g_free);
    g_autoptr(GHashTable) seen = g_hash_table_new(g_str_hash, g_str_equal);

    for (gsize i = 0; i < policy->n_responders; i++) {
        char *canonical = canonical_of(&policy->responders[i]);

        if (canonical == NULL) {
            because(h, MIKEY_BAD_IDENTITY,
                    "responder %" G_GSIZE_FORMAT " of the ticket is no "
                    "SIP or tel URI",
                    i + 1);
            return NULL;
        }
        g_ptr_array_add(list, canonical);
        if (!g_hash_table_add(seen, canonical)) {
            because(h, MIKEY_BAD_IDENTITY, "responder %.100s is named twice", canonical);
            return NULL;
        }
    }
    return g_steal_pointer(&list);
}

/* ---- who is it? ---- */

static MikeyStatus
open_query(Handling *h, MikeyBytes octets)
{
    MikeyStatus status = mikey_query_open(octets, &h->env, &h->query);
    MikeyIdentity self;

    if (status != MIKEY_OK)
        return because(h, status, "%s", mikey_status_string(status));
    self = mikey_query_identity(h->query);
    show_subject(h->decision, self, mikey_query_policy(h->query)->responders,
                 mikey_query_policy(h->query)->n_responders);
    g_strlcpy(h->decision->request, mikey_query_is_resolve(h->query) ? "resolve" : "request",
              sizeof h->decision->request);
    if (mikey_query_is_resolve(h->query) != (h->request == CLV_KMS_TICKET_RESOLVE))
        return because(h, MIKEY_BAD_DATA_TYPE, "the message is a %s, the URL says otherwise",
                       h->decision->request);
    return MIKEY_OK;
}

/* Another KMS has its URI as IDRpsk. */
static void
find_peer(Handling *h, MikeyIdentity psk_id)
{
    g_autofree char *uri = NULL;

    if (psk_id.data.len == 0 || memchr(psk_id.data.data, '\0', psk_id.data.len) != NULL)
        return;
    uri = clv_identity_canonical((const char *)psk_id.data.data, (gssize)psk_id.data.len);
    h->peer = uri != NULL ? clv_kms_keyfile_peer(h->keys, uri) : NULL;
    h->user = h->peer != NULL ? h->peer->user : NULL;
}

static MikeyStatus
find_user(Handling *h)
{
    MikeyIdentity psk_id = mikey_query_psk_id(h->query);
    MikeyIdentity self = mikey_query_identity(h->query);

    h->identity = canonical_of(&self);
    if (psk_id.data.len > 0) {
        show_octets(h->decision->user, sizeof h->decision->user, psk_id.data);
        h->user = clv_kms_keyfile_user(h->keys, (const char *)psk_id.data.data, psk_id.data.len);
    } else if (h->identity != NULL) {
        h->user = clv_kms_keyfile_owner(h->keys, h->identity);
    }
    if (h->user == NULL)
        find_peer(h, psk_id);
    if (h->user == NULL)
        return because(h, MIKEY_UNKNOWN_USER, "no such user");
    g_strlcpy(h->decision->user, h->user->name, sizeof h->decision->user);
    return MIKEY_OK;
}

/* Names that a certificate of this user may have: those of his section, else his identities, and
 * the factories of his services. (element-type MikeyIdentity) */
static GArray *
names_of_user(const Handling *h)
{
    GArray *names = g_array_new(FALSE, FALSE, sizeof(MikeyIdentity));
    const GPtrArray *own =
        h->user->certificates->len > 0 ? h->user->certificates : h->user->identities;

    for (guint i = 0; i < own->len; i++) {
        MikeyIdentity name = mikey_identity_uri(own->pdata[i]);

        if (!g_str_has_prefix(own->pdata[i], "cn:"))
            g_array_append_val(names, name);
    }
    for (guint i = 0; i < h->keys->systems->len; i++) {
        const ClvKmsSystem *system = h->keys->systems->pdata[i];

        for (guint k = 0; system->user == h->user && k < system->factories->len; k++) {
            MikeyIdentity name = mikey_identity_uri(system->factories->pdata[k]);

            g_array_append_val(names, name);
        }
    }
    return names;
}

static MikeyStatus
authenticate_by_certificate(Handling *h)
{
    const ClvPapers *papers = h->keys->papers;
    g_autoptr(GArray) names = names_of_user(h);
    MikeyKmsKeyPair pair = {papers->key, papers->chain[0]};
    MikeyPkVerifier verifier = {.store = papers->trust,
                                .pairs = &pair,
                                .n_pairs = 1,
                                .owner_names = (const MikeyIdentity *)(gpointer)names->data,
                                .n_owner_names = names->len};
    int x509_error = 0;
    MikeyStatus status = names->len == 0 ? MIKEY_BAD_IDENTITY
                                         : mikey_query_authenticate_pk(h->query, &verifier, &h->env,
                                                                       &x509_error);

    if (status != MIKEY_OK)
        return because(h, status, "not proven to be the user: %s%s%s", mikey_status_string(status),
                       x509_error != 0 ? ": " : "",
                       x509_error != 0 ? X509_verify_cert_error_string(x509_error) : "");
    h->decision->authenticated = TRUE;
    return MIKEY_OK;
}

static MikeyStatus
authenticate(Handling *h)
{
    MikeyKey psk;
    gsize len = 0;
    const guint8 *bytes = clv_secret_bytes(h->user->psk, &len);
    MikeyStatus status;

    if (mikey_query_is_pk(h->query))
        return authenticate_by_certificate(h);
    status = mikey_key_set(&psk, bytes, len);
    if (status == MIKEY_OK) {
        status = mikey_query_authenticate(h->query, &psk);
        mikey_key_clear(&psk);
    }
    if (status != MIKEY_OK)
        return because(h, status, "not proven to be the user: %s", mikey_status_string(status));
    h->decision->authenticated = TRUE;
    return MIKEY_OK;
}

static gboolean
is_announced(const Handling *h, const char *identity)
{
    const ClvKmsSystem *system = clv_kms_keyfile_focus(h->keys, identity);

    return system == NULL || !system->list ||
           g_ptr_array_find_with_equal_func(system->conferences, identity, g_str_equal, NULL) ||
           clv_kms_roster_has(h->service->roster, system->name, identity, h->now_us);
}

/* A peer relays for its own users, and never a ticket of a third one. */
static MikeyStatus
check_peer_names(Handling *h)
{
    if (!mikey_query_is_resolve(h->query))
        return because(h, MIKEY_BAD_IDENTITY, "another KMS may not ask for tickets");
    if (h->identity == NULL || !clv_kms_peer_has(h->keys, h->peer, h->identity))
        return because(h, MIKEY_BAD_IDENTITY, "%.100s is no identity that %s may speak for",
                       h->identity != NULL ? h->identity : "?", h->user->name);
    return MIKEY_OK;
}

static MikeyStatus
check_names(Handling *h)
{
    MikeyIdentity kms = mikey_query_kms(h->query);

    if (h->identity == NULL)
        return because(h, MIKEY_BAD_IDENTITY, "the name given is no SIP or tel URI");
    if (h->user->revoked)
        return because(h, MIKEY_BAD_IDENTITY, "revoked=yes: this user may not ask for anything");
    if (h->peer != NULL && check_peer_names(h) != MIKEY_OK)
        return MIKEY_BAD_IDENTITY;
    if (h->peer == NULL && clv_kms_keyfile_owner(h->keys, h->identity) != h->user)
        return because(h, MIKEY_BAD_IDENTITY, "%.100s is no identity of this user", h->identity);
    if (!is_announced(h, h->identity))
        return because(h, MIKEY_BAD_IDENTITY, "%.100s is not announced", h->identity);
    if (!is_absent_or(&kms, h->keys->canonical_uri))
        return because(h, MIKEY_BAD_IDENTITY, "the message is for another KMS");
    return MIKEY_OK;
}

/* ---- ticket protection keys ---- */

/* Puts the keys of the file first, in its order; those that were in force stay behind them. */
static void
take_tpk_files(ClvKmsTpks *tpks, const GPtrArray *secrets)
{
    for (guint i = secrets->len; i > 0; i--) {
        gsize len = 0;

        clv_kms_tpks_put_first(tpks, clv_secret_bytes(secrets->pdata[i - 1], &len), 0);
    }
}

/* @wanted: its name, or empty for the newest. Copies the key: clear it. */
static gboolean
copy_tpk(ClvKmsService *service, gboolean newest, MikeyBytes wanted, MikeyKey *out_key,
         char out_name[CLV_KMS_TPK_NAME_LEN + 1])
{
    const ClvKmsTpk *tpk;
    const guint8 *bytes;
    gsize len = 0;
    gboolean found = FALSE;

    pthread_mutex_lock(&service->lock);
    tpk = newest ? clv_kms_tpks_at(service->tpks, 0)
                 : clv_kms_tpks_find(service->tpks, wanted.data, wanted.len);
    if (tpk != NULL) {
        bytes = clv_secret_bytes(tpk->secret, &len);
        found = mikey_key_set(out_key, bytes, len) == MIKEY_OK;
        memcpy(out_name, tpk->name, CLV_KMS_TPK_NAME_LEN + 1);
    }
    pthread_mutex_unlock(&service->lock);
    return found;
}

/* ---- a ticket is wanted ---- */

static gboolean
policy_says_purpose(const MikeyPolicy *policy, const char *purpose)
{
    return policy->n_applications > 0 &&
           mikey_policy_allows_application(policy, mikey_bytes_str(purpose));
}

/* The factory is nobody's to speak for: a conference has its URI before anybody is called. */
static MikeyStatus
check_asker(Handling *h, const MikeyPolicy *policy)
{
    if (clv_kms_keyfile_factory(h->keys, h->identity) != NULL)
        return because(h, MIKEY_BAD_IDENTITY, "%.100s is a factory, expected a conference",
                       h->identity);
    return MIKEY_OK;
}

static MikeyStatus
check_type(Handling *h, const MikeyPolicy *policy)
{
    if (policy->ticket_type != MIKEY_TICKET_BASE || policy->subtype != 1 || policy->version != 1)
        return because(h, MIKEY_BAD_TICKET, "ticket type %u/%u/%u: tickets here are of type 1/1/1",
                       policy->ticket_type, policy->subtype, policy->version);
    return MIKEY_OK;
}

static MikeyStatus
check_flags(Handling *h, const MikeyPolicy *policy)
{
    if ((policy->flags & FLAGS_WANTED) != FLAGS_WANTED || (policy->flags & ~FLAGS_ALLOWED) != 0)
        return because(h, MIKEY_BAD_FLAGS,
                       "flags %06x: tickets here are made by the KMS, resolved and forked "
                       "(D E F G H I N O)",
                       policy->flags);
    return MIKEY_OK;
}

/* All users of one host, and nothing cleverer: what a star inside of a name means is not agreed. */
static gboolean
is_good_wildcard(const ClvKmsUser *user, const char *responder)
{
    return user->wildcards && g_str_has_prefix(responder, "sip:*@") &&
           !clv_kms_is_wildcard(responder + strlen("sip:*@"));
}

static MikeyStatus
check_policy_names(Handling *h, const MikeyPolicy *policy)
{
    g_autoptr(GPtrArray) responders = NULL;

    if (!is_absent_or(&policy->kms, h->keys->canonical_uri))
        return because(h, MIKEY_BAD_IDENTITY, "the ticket is to be resolved by another KMS");
    if (!is_absent_or(&policy->initiator, h->identity))
        return because(h, MIKEY_BAD_IDENTITY, "the ticket is for somebody else than its requester");
    if (policy->n_responders > (gsize)h->keys->max_responders)
        return because(h, MIKEY_BAD_POLICY, "%" G_GSIZE_FORMAT " responders, at most %d",
                       policy->n_responders, (int)h->keys->max_responders);
    responders = responders_of(h, policy);
    if (responders == NULL)
        return MIKEY_BAD_IDENTITY;
    for (guint i = 0; i < responders->len; i++) {
        const char *responder = responders->pdata[i];

        if (clv_kms_is_wildcard(responder) && !is_good_wildcard(h->user, responder))
            return because(
                h, MIKEY_BAD_IDENTITY,
                "%.100s: tickets for many are of the form sip:*@host, with wildcards=yes",
                responder);
        if (!clv_kms_user_may_request(h->keys, h->user, responder))
            return because(h, MIKEY_BAD_IDENTITY, "may-request does not hold %.100s", responder);
    }
    return MIKEY_OK;
}

static MikeyStatus
check_purposes(Handling *h, const MikeyPolicy *policy)
{
    if (!h->user->secure_conference && policy_says_purpose(policy, PURPOSE_CREATE))
        return because(h, MIKEY_BAD_IDENTITY,
                       "secure-conference=no: this user may not set up secure conferences");
    for (gsize i = 0; i < policy->n_applications; i++) {
        MikeyBytes purpose = policy->applications[i].data;
        char shown[64];

        if (clv_kms_user_has_purpose(h->user, purpose.data, purpose.len))
            continue;
        show_octets(shown, sizeof shown, purpose);
        return because(h, MIKEY_BAD_POLICY, "purposes does not hold '%s'", shown);
    }
    return MIKEY_OK;
}

/* A ticket that several may resolve carries TGKs alone: they are forked, the others would be one
 * key for all of them. */
static gboolean
is_for_several(const Handling *h, const MikeyPolicy *policy)
{
    g_autofree char *first = canonical_of(&policy->responders[0]);

    return policy->n_responders > 1 || first == NULL || clv_kms_is_wildcard(first) ||
           clv_kms_keyfile_group(h->keys, first) != NULL;
}

static MikeyStatus
check_wishes(Handling *h, const MikeyPolicy *policy)
{
    gboolean for_several = is_for_several(h, policy);

    if (policy->n_wishes > MAX_WISHES)
        return because(h, MIKEY_BAD_POLICY, "%" G_GSIZE_FORMAT " session keys wanted, at most %u",
                       policy->n_wishes, MAX_WISHES);
    for (gsize i = 0; i < policy->n_wishes; i++) {
        MikeyKeyType type = policy->wishes[i].type;

        if (for_several && type != MIKEY_KEY_TGK && type != MIKEY_KEY_TGK_SALT)
            return because(h, MIKEY_BAD_POLICY,
                           "a %s in a ticket for several responders would be one key for all of "
                           "them",
                           mikey_key_type_string(type));
    }
    return MIKEY_OK;
}

static gint64
lifetime_of(const Handling *h)
{
    return h->user->max_lifetime_s > 0 ? h->user->max_lifetime_s : h->keys->max_lifetime_s;
}

/* Cuts the validity to what the user may have. */
static MikeyStatus
limit_lifetime(Handling *h, MikeyPolicy *policy)
{
    gint64 now_s = h->now_us / G_USEC_PER_SEC;
    gint64 lifetime_s = lifetime_of(h);
    gint64 start_s = policy->has_start ? MAX(policy->start_unix, now_s) : now_s;
    gint64 latest_s = start_s + lifetime_s;

    if (start_s > now_s + lifetime_s)
        return because(h, MIKEY_NOT_VALID,
                       "the ticket would start in %" G_GINT64_FORMAT " s, later than max-lifetime",
                       start_s - now_s);
    if (policy->has_end && policy->end_unix <= start_s)
        return because(h, MIKEY_NOT_VALID, "the ticket would end before it starts");
    if (!policy->has_end || policy->end_unix > latest_s)
        policy->end_unix = latest_s;
    policy->has_end = TRUE;
    return MIKEY_OK;
}

/* Returns: (transfer full) (nullable): the purposes a ticket without any is narrowed to */
static MikeyIdentity *
narrow_purposes(const ClvKmsUser *user, MikeyPolicy *policy)
{
    MikeyIdentity *list = NULL;

    if (policy->n_applications > 0 || user->purposes == NULL)
        return NULL;
    list = g_new0(MikeyIdentity, user->purposes->len);
    for (guint i = 0; i < user->purposes->len; i++)
        list[i] = mikey_identity_bytes(mikey_bytes_str(user->purposes->pdata[i]));
    policy->applications = list;
    policy->n_applications = user->purposes->len;
    return list;
}

static MikeyStatus
grant(Handling *h, const MikeyPolicy *wanted)
{
    MikeyPolicy policy = *wanted;
    g_autofree MikeyIdentity *purposes = narrow_purposes(h->user, &policy);
    MikeyKey tpk;
    char name[CLV_KMS_TPK_NAME_LEN + 1];
    MikeyGrantSetup setup = {.policy = &policy, .tpk = &tpk};
    MikeyStatus status = limit_lifetime(h, &policy);

    if (status != MIKEY_OK)
        return status;
    policy.has_wishes = FALSE;
    policy.wishes = NULL;
    policy.n_wishes = 0;
    policy.flags &= h->user->reuse ? ~0u : ~MIKEY_FLAG_J;
    if (policy.kms.data.len == 0)
        policy.kms = mikey_identity_uri(h->keys->uri);
    if (policy.initiator.data.len == 0)
        policy.initiator = mikey_query_identity(h->query);
    if (!copy_tpk(h->service, TRUE, mikey_bytes(NULL, 0), &tpk, name))
        return because(h, MIKEY_REFUSED, "no ticket protection key");
    setup.tpk_id = mikey_bytes_str(name);
    status = mikey_query_grant(h->query, &setup, &h->env, &h->answer);
    mikey_key_clear(&tpk);
    if (status != MIKEY_OK)
        return because(h, status, "making the ticket: %s", mikey_status_string(status));
    return because(h, MIKEY_OK, "granted for %" G_GINT64_FORMAT " s",
                   policy.end_unix - h->now_us / G_USEC_PER_SEC);
}

static MikeyStatus
answer_request(Handling *h)
{
    static MikeyStatus (*const checks[])(Handling * h, const MikeyPolicy *policy) = {
        check_asker, check_type, check_flags, check_policy_names, check_purposes, check_wishes,
    };
    const MikeyPolicy *wanted = mikey_query_policy(h->query);
    MikeyStatus status = mikey_policy_check(wanted, FALSE, &h->env);

    if (status != MIKEY_OK)
        return because(h, status, "the policy asked for: %s", mikey_status_string(status));
    for (guint i = 0; i < G_N_ELEMENTS(checks); i++) {
        status = checks[i](h, wanted);
        if (status != MIKEY_OK)
            return status;
    }
    return grant(h, wanted);
}

/* ---- a ticket is to be resolved ---- */

static MikeyStatus
open_ticket(Handling *h)
{
    MikeyBytes name = mikey_query_tpk_id(h->query);
    char found[CLV_KMS_TPK_NAME_LEN + 1];
    MikeyKey tpk;
    MikeyStatus status;

    if (!copy_tpk(h->service, FALSE, name, &tpk, found))
        return because(h, MIKEY_BAD_TICKET, "the ticket was not made here");
    status = mikey_query_open_ticket(h->query, &tpk, &h->env);
    mikey_key_clear(&tpk);
    if (status != MIKEY_OK)
        return because(h, status, "the ticket: %s", mikey_status_string(status));
    return MIKEY_OK;
}

/* When an opened ticket was made: T, behind the head of its inside. Returns: seconds, 0: unknown */
static gint64
ticket_made_s(const MikeyQuery *query)
{
    const MikeyTicket *ticket = mikey_message_ticket(mikey_query_message(query));
    MikeyReader inside = mikey_reader(mikey_ticket_payload(ticket)->ticket_data);
    MikeyTimestamp made;
    uint8_t next = mikey_read_u8(&inside);

    mikey_read_lv16(&inside);
    if (next != MIKEY_T || mikey_t_read(&inside, &next, &made) != MIKEY_OK ||
        made.type == MIKEY_TS_COUNTER)
        return 0;
    return mikey_ntp_to_unix_us(mikey_timestamp_iv(&made)) / G_USEC_PER_SEC;
}

/* Tickets that a user had out when he was revoked stay void, also when he comes back. */
static MikeyStatus
check_not_revoked(Handling *h, const ClvKmsUser *user, const char *whose)
{
    if (user->revoked)
        return because(h, MIKEY_BAD_IDENTITY, "revoked=yes: %s '%s'", whose, user->name);
    if (user->tickets_since_s > 0 && ticket_made_s(h->query) < user->tickets_since_s)
        return because(h, MIKEY_BAD_IDENTITY, "made before tickets-since of %s '%s'", whose,
                       user->name);
    return MIKEY_OK;
}

/* The one who had the ticket made; he may have lost his rights since. */
static MikeyStatus
check_initiator(Handling *h, const MikeyPolicy *policy, const ClvKmsUser **out_user)
{
    g_autofree char *initiator = canonical_of(&policy->initiator);

    if (!is_absent_or(&policy->kms, h->keys->canonical_uri))
        return because(h, MIKEY_BAD_TICKET, "the ticket is another KMS's to resolve");
    *out_user = initiator != NULL ? clv_kms_keyfile_owner(h->keys, initiator) : NULL;
    if (*out_user == NULL)
        return because(h, MIKEY_BAD_IDENTITY, "the ticket's initiator is no user here any more");
    return check_not_revoked(h, *out_user, "initiator");
}

static gboolean
names_responder(GPtrArray *responders, const char *identity)
{
    return g_ptr_array_find_with_equal_func(responders, identity, g_str_equal, NULL);
}

/* The name that goes back, and that keys are forked for, is the member's (RFC 6043, 4.2.3.5: the
 * one who answers). */
static gboolean
names_group_of(Handling *h, const GPtrArray *responders)
{
    for (guint i = 0; i < responders->len; i++) {
        const ClvKmsGroup *group = clv_kms_keyfile_group(h->keys, responders->pdata[i]);

        if (group == NULL || !clv_kms_group_has(group, h->identity))
            continue;
        because(h, MIKEY_OK, "member of group '%s', which the ticket names", group->name);
        return TRUE;
    }
    return FALSE;
}

/* Whom the initiator may not ask for by name, he does not reach by a star either. */
static gboolean
names_many_with(Handling *h, const GPtrArray *responders, const ClvKmsUser *initiator)
{
    for (guint i = 0; i < responders->len; i++) {
        const char *responder = responders->pdata[i];

        if (!clv_kms_is_wildcard(responder) || !initiator->wildcards ||
            !clv_kms_wildcard_holds(h->keys, responder, h->identity) ||
            !clv_kms_user_may_request(h->keys, initiator, h->identity))
            continue;
        because(h, MIKEY_OK, "one of %.100s, which the ticket names", responder);
        return TRUE;
    }
    return FALSE;
}

/* A ticket for the factory opens one conference of the same service that is being set up. One
 * that also names a conference is for that conference alone: never from focus to focus. */
static MikeyStatus
check_naming_rule(Handling *h, const MikeyPolicy *policy, const GPtrArray *responders,
                  const ClvKmsUser *initiator)
{
    const ClvKmsSystem *system = clv_kms_keyfile_focus(h->keys, h->identity);
    gboolean names_factory = FALSE;

    if (system == NULL)
        return because(h, MIKEY_BAD_IDENTITY, "the ticket does not name %.100s", h->identity);
    for (guint i = 0; i < responders->len; i++) {
        if (clv_kms_keyfile_factory(h->keys, responders->pdata[i]) == system)
            names_factory = TRUE;
        if (clv_kms_keyfile_focus(h->keys, responders->pdata[i]) != NULL)
            return because(h, MIKEY_BAD_IDENTITY, "the ticket is for another conference, %.100s",
                           (const char *)responders->pdata[i]);
    }
    if (!names_factory)
        return because(h, MIKEY_BAD_IDENTITY,
                       "the ticket names neither %.80s nor a factory of service '%s'", h->identity,
                       system->name);
    if (!mikey_policy_allows_application(policy, mikey_bytes_str(PURPOSE_CREATE)))
        return because(h, MIKEY_BAD_IDENTITY, "the ticket is not for creating conferences");
    if (initiator != NULL && !initiator->secure_conference) /* else his own KMS knows */
        return because(h, MIKEY_BAD_IDENTITY,
                       "secure-conference=no: user '%s' may not set up secure conferences",
                       initiator->name);
    return because(h, MIKEY_OK, "conference of service '%s', whose factory the ticket names",
                   system->name);
}

/* Which of its own conferences stands for its factory is for the other KMS to know, with maps=yes.
 */
static MikeyStatus
check_peer_maps(Handling *h, const MikeyPolicy *policy, const GPtrArray *responders,
                const ClvKmsUser *initiator)
{
    gboolean names_its_own = FALSE;

    for (guint i = 0; i < responders->len; i++)
        names_its_own = names_its_own || clv_kms_peer_has(h->keys, h->peer, responders->pdata[i]);
    if (!h->peer->maps || !names_its_own || !initiator->secure_conference ||
        !mikey_policy_allows_application(policy, mikey_bytes_str(PURPOSE_CREATE)))
        return because(h, MIKEY_BAD_IDENTITY, "the ticket does not name %.100s", h->identity);
    return because(h, MIKEY_OK, "%s says whom the ticket means", h->user->name);
}

static MikeyStatus
check_responder(Handling *h, const MikeyPolicy *policy)
{
    g_autoptr(GPtrArray) responders = NULL;
    const ClvKmsUser *initiator = NULL;
    MikeyStatus status = check_initiator(h, policy, &initiator);

    if (status == MIKEY_OK)
        status = check_not_revoked(h, h->user, "responder");
    if (status != MIKEY_OK)
        return status;
    responders = responders_of(h, policy);
    if (responders == NULL)
        return MIKEY_BAD_IDENTITY;
    if (clv_kms_is_wildcard(h->identity))
        return because(h, MIKEY_BAD_IDENTITY, "%.100s is nobody", h->identity);
    if (names_responder(responders, h->identity))
        return because(h, MIKEY_OK, "named in the ticket");
    if (names_group_of(h, responders) || names_many_with(h, responders, initiator))
        return MIKEY_OK;
    if (h->peer != NULL)
        return check_peer_maps(h, policy, responders, initiator);
    return check_naming_rule(h, policy, responders, initiator);
}

/* Returns: whether another KMS made the ticket */
static gboolean
is_foreign(const Handling *h, const MikeyPolicy *policy)
{
    return !is_absent_or(&policy->kms, h->keys->canonical_uri);
}

/* What can be known here of a ticket that another KMS made: its claims, which that one checks. */
static MikeyStatus
check_foreign(Handling *h, const MikeyPolicy *policy)
{
    g_autofree char *kms = canonical_of(&policy->kms);
    g_autofree char *initiator = canonical_of(&policy->initiator);
    const ClvKmsPeer *peer = kms != NULL ? clv_kms_keyfile_peer(h->keys, kms) : NULL;
    g_autoptr(GPtrArray) responders = NULL;
    MikeyStatus status;

    if (h->peer != NULL || peer == NULL || peer->urls->len == 0)
        return because(h, MIKEY_BAD_TICKET, "the ticket is %.100s's to resolve, %s",
                       kms != NULL ? kms : "another KMS",
                       h->peer != NULL ? "and nothing is relayed twice" : "no peer of this one");
    if (initiator == NULL || !clv_kms_peer_has(h->keys, peer, initiator))
        return because(h, MIKEY_BAD_IDENTITY, "the ticket's initiator is not one of %s",
                       peer->user->name);
    status = check_not_revoked(h, h->user, "responder");
    if (status != MIKEY_OK)
        return status;
    responders = responders_of(h, policy);
    if (responders == NULL)
        return MIKEY_BAD_IDENTITY;
    if (!names_responder(responders, h->identity) && !names_group_of(h, responders))
        status = check_naming_rule(h, policy, responders, NULL);
    if (status == MIKEY_OK && !h->may_relay)
        status = because(h, MIKEY_REFUSED, "nobody is here to ask %s", peer->user->name);
    h->relay_to = status == MIKEY_OK ? peer : NULL;
    return status;
}

/* Signed by this KMS for its user, with the ticket as it came. */
static MikeyStatus
forward(Handling *h, const MikeyPolicy *policy)
{
    MikeyIdentity self = mikey_query_identity(h->query);
    MikeyStatus status = check_foreign(h, policy);
    MikeyAccount account = {0};
    MikeyKey psk;
    const guint8 *bytes;
    gsize len = 0;

    show_subject(h->decision, policy->initiator, &self, 1);
    if (status != MIKEY_OK)
        return status;
    g_strlcpy(h->decision->request, "relay", sizeof h->decision->request);
    bytes = clv_secret_bytes(h->relay_to->user->psk, &len);
    status = mikey_key_set(&psk, bytes, len);
    if (status != MIKEY_OK)
        return because(h, status, "the key of %s", h->relay_to->user->name);
    account = (MikeyAccount){
        .psk = &psk,
        .psk_id = mikey_identity_bytes(mikey_bytes_str(h->keys->canonical_uri)),
        .self = self,
        .kms = policy->kms,
        .prf = mikey_message_header(mikey_query_message(h->query))->prf,
    };
    status = mikey_query_forward(h->query, &account, &h->env, &h->forwarded);
    mikey_key_clear(&psk);
    if (status != MIKEY_OK)
        return because(h, status, "asking %s: %s", h->relay_to->user->name,
                       mikey_status_string(status));
    return MIKEY_OK;
}

static MikeyStatus
answer_resolve(Handling *h)
{
    MikeyIdentity self = mikey_query_identity(h->query);
    const MikeyPolicy *policy = mikey_query_policy(h->query);
    MikeyStatus status;

    if (is_foreign(h, policy))
        return forward(h, policy);
    status = open_ticket(h);
    if (status != MIKEY_OK)
        return status;
    show_subject(h->decision, policy->initiator, &self, 1);
    status = check_responder(h, policy);
    if (status != MIKEY_OK)
        return status;
    status = mikey_query_resolve(h->query, &self, &h->env, &h->answer);
    if (status != MIKEY_OK)
        return because(h, status, "resolving: %s", mikey_status_string(status));
    return MIKEY_OK;
}

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
    MikeyStatus status = check_names(h);

    if (status != MIKEY_OK)
        return status;
    return mikey_query_is_resolve(h->query) ? answer_resolve(h) : answer_request(h);
}

/* What cannot be remembered over a restart is not answered: it could be sent again after it. */
static MikeyStatus
remember(Handling *h, const guint8 *digest, gint64 expires_us)
{
    g_autoptr(GError) error = NULL;

    if (h->service->keeper == NULL ||
        clv_kms_keeper_remember(h->service->keeper, digest, expires_us, &error))
        return MIKEY_OK;
    return because(h, MIKEY_REFUSED, "cannot be remembered: %s", error->message);
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
    return because(h, MIKEY_REPLAYED,
                   "what was seen before a reset or power failure is not known; messages are taken "
                   "again in %" G_GINT64_FORMAT " s",
                   (bar_us - h->now_us) / G_USEC_PER_SEC + 1);
}

/* The one who speaks and the one who signed must be the same. */
static MikeyStatus
check_proven(Handling *h)
{
    gboolean same = h->proven != NULL && strcmp(h->proven, h->user->name) == 0;

    if (same || (h->proven == NULL && h->peer == NULL))
        return MIKEY_OK;
    h->decision->foreign = TRUE;
    if (h->peer != NULL) /* its own fault, and not that of the user it speaks for: number 8 */
        return because(h, MIKEY_BAD_CERTIFICATE, "another KMS has to show its certificate");
    return because(h, MIKEY_BAD_IDENTITY, "HTTP or TLS proved user '%s'", h->proven);
}

static MikeyStatus
check_rate(Handling *h)
{
    gint64 per_s = h->user->rate > 0 ? h->user->rate : h->keys->user_rate;

    if (clv_kms_rates_take(h->service->rates, h->user->name, per_s, h->now_us))
        return MIKEY_OK;
    h->decision->limited = TRUE;
    return because(h, MIKEY_REFUSED, "more than %" G_GINT64_FORMAT " messages a second", per_s);
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
        verdict = clv_kms_memory_enter(h->service->memory, digest, h->now_us, expires_us, &before);
    if (verdict == CLV_KMS_MEMORY_FULL) {
        make_error(h, octets, because(h, MIKEY_REFUSED, "the replay memory is full"));
    } else if (verdict == CLV_KMS_MEMORY_REPLAYED) {
        make_error(h, octets, because(h, MIKEY_REPLAYED, "seen before"));
    } else if (verdict == CLV_KMS_MEMORY_ANSWERED) {
        because(h, MIKEY_OK, "sent again; answered as before");
        h->decision->repeated = TRUE;
        h->decision->granted = before->data[1] != MIKEY_ERROR;
        h->repeat = g_steal_pointer(&before);
    } else {
        status = remember(h, digest, expires_us);
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
    MikeyStatus status = open_query(h, octets);

    if (status == MIKEY_OK)
        status = find_user(h);
    if (status == MIKEY_OK)
        status = authenticate(h);
    if (status == MIKEY_OK)
        status = check_proven(h);
    if (status == MIKEY_OK)
        status = check_rate(h);
    if (status == MIKEY_OK)
        status = check_known_time(h);
    if (status == MIKEY_OK)
        answer_once(h, octets);
    else
        make_error(h, octets, status);
}

static ClvKmsKeyFile *
ref_keys(ClvKmsService *service)
{
    ClvKmsKeyFile *keys;

    pthread_mutex_lock(&service->lock);
    keys = clv_kms_keyfile_ref(service->keys);
    pthread_mutex_unlock(&service->lock);
    return keys;
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

gboolean
clv_kms_service_admit(ClvKmsService *service, gint64 now_us)
{
    g_autoptr(ClvKmsKeyFile) keys = ref_keys(service);

    return clv_kms_rates_take(service->rate, "", keys->rate, now_us);
}

char *
clv_kms_service_audit_file(ClvKmsService *service)
{
    g_autoptr(ClvKmsKeyFile) keys = ref_keys(service);

    return g_strdup(keys->audit_file);
}

ClvKmsHttpAuth
clv_kms_service_http_auth(ClvKmsService *service)
{
    g_autoptr(ClvKmsKeyFile) keys = ref_keys(service);

    return keys->http_auth;
}

/* That of the KMS's own name, unless the file says otherwise. */
char *
clv_kms_service_http_host(ClvKmsService *service)
{
    g_autoptr(ClvKmsKeyFile) keys = ref_keys(service);
    const char *at = strchr(keys->canonical_uri, '@');

    if (keys->http_host != NULL)
        return g_strdup(keys->http_host);
    return g_strdup(at != NULL ? at + 1 : strchr(keys->canonical_uri, ':') + 1);
}

char *
clv_kms_service_client_ca(ClvKmsService *service)
{
    g_autoptr(ClvKmsKeyFile) keys = ref_keys(service);

    return g_strdup(keys->client_ca);
}

char *
clv_kms_service_digest_password(ClvKmsService *service, const char *user)
{
    g_autoptr(ClvKmsKeyFile) keys = ref_keys(service);
    const ClvKmsUser *found = clv_kms_keyfile_user(keys, user, strlen(user));
    gsize len = 0;
    const guint8 *bytes;

    if (found == NULL || found->revoked)
        return NULL;
    bytes = clv_secret_bytes(found->psk, &len);
    return g_base64_encode(bytes, len);
}

char *
clv_kms_service_certificate_user(ClvKmsService *service, const char *name)
{
    g_autoptr(ClvKmsKeyFile) keys = ref_keys(service);
    const ClvKmsUser *found = g_hash_table_lookup(keys->users_by_certificate, name);

    return found != NULL && !found->revoked ? g_strdup(found->name) : NULL;
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

/* What the other KMS refuses is refused here for the same reason. */
static MikeyStatus
status_of_peer_error(guint number)
{
    switch (number) {
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
        return because(h, status_of_peer_error(error.number), "relayed; %s refuses: error %u",
                       h->relay_to->user->name, error.number);
    if (status != MIKEY_OK)
        return because(h, MIKEY_REFUSED, "relayed; the answer of %s: %s", h->relay_to->user->name,
                       mikey_status_string(status));
    return because(h, MIKEY_OK, "relayed; %s resolved it", h->relay_to->user->name);
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
        status = relay_back(h, body);
    else
        status = because(h, MIKEY_REFUSED, "relayed; %s does not answer: %.100s",
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

void
clv_kms_service_keep_relays(ClvKmsService *service, ClvKmsRelays *relays)
{
    g_autoptr(ClvKmsKeyFile) keys = ref_keys(service);

    clv_kms_relays_keep(relays, keys->peers);
}

GByteArray *
clv_kms_service_begin(ClvKmsService *service, ClvKmsRequest request, const guint8 *bytes, gsize len,
                      gint64 now_us, const char *proven, ClvKmsDecision *out_decision,
                      ClvKmsRelay **out_relay)
{
    g_autoptr(ClvKmsKeyFile) keys = NULL;
    Handling h = {0};

    g_return_val_if_fail(service != NULL && bytes != NULL && out_decision != NULL, NULL);
    keys = ref_keys(service);
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
        .allow = keys->papers != NULL ? MIKEY_ALLOW_PK : 0,
    };
    handle(&h, mikey_bytes(bytes, len));
    if (h.forwarded != NULL && !out_decision->repeated && h.answer.len == 0) {
        *out_relay = relay_new(&h);
        return NULL;
    }
    count(service, request, out_decision);
    return take_answer(&h);
}

/* ---- the list of conferences ---- */

static guint
list_because(Handling *h, guint http, const char *why)
{
    because(h, MIKEY_OK, "%s", why);
    h->decision->granted = http == 200;
    return http;
}

static guint
list_prove(Handling *h, const ClvKmsList *list, const guint8 *octets)
{
    const guint8 *psk;
    gsize len = 0;

    h->user = clv_kms_keyfile_user(h->keys, list->user, strlen(list->user));
    if (h->user == NULL)
        return list_because(h, 403, "no such user");
    g_strlcpy(h->decision->user, h->user->name, sizeof h->decision->user);
    psk = clv_secret_bytes(h->user->psk, &len);
    if (list->has_mac ? !clv_kms_list_verify(list, octets, psk, len) : h->proven == NULL)
        return list_because(h, 403, "not proven to be the user");
    h->decision->authenticated = TRUE;
    if (check_proven(h) != MIKEY_OK)
        return 403;
    if (check_rate(h) != MIKEY_OK)
        return 429;
    return 200;
}

static guint
list_do(Handling *h, const ClvKmsList *list)
{
    g_autofree char *kms = clv_identity_canonical(list->kms, -1);
    const ClvKmsSystem *system;
    g_autoptr(GError) error = NULL;
    gint64 lifetime_s;
    gboolean good;

    h->identity = clv_identity_canonical(list->conference, -1);
    system = h->identity != NULL ? clv_kms_keyfile_focus(h->keys, h->identity) : NULL;
    if (h->user->revoked)
        return list_because(h, 403, "revoked=yes: this user may not ask for anything");
    if (g_strcmp0(kms, h->keys->canonical_uri) != 0)
        return list_because(h, 403, "the announcement is for another KMS");
    if (system == NULL || system->user != h->user)
        return list_because(h, 403, "no conference of a service of this user");
    if (!system->list)
        return list_because(h, 200, "the naming rule counts");
    lifetime_s = list->lifetime_s > 0 ? MIN(list->lifetime_s, system->list_lifetime_s)
                                      : system->list_lifetime_s;
    good = list->withdraw
               ? clv_kms_roster_remove(h->service->roster, system->name, h->identity, h->now_us,
                                       &error)
               : clv_kms_roster_add(h->service->roster, system->name, h->identity, h->now_us,
                                    h->now_us + lifetime_s * G_USEC_PER_SEC, &error);
    if (!good)
        return list_because(h, 503, error->message);
    because(h, MIKEY_OK, list->withdraw ? "withdrawn" : "announced for %" G_GINT64_FORMAT " s",
            lifetime_s);
    h->decision->granted = TRUE;
    return 200;
}

/* The same octets again, within seconds, get the same answer: the way to another address of the
 * KMS leads through this. */
static guint
list_once(Handling *h, const ClvKmsList *list, const guint8 *octets, gsize len)
{
    gint64 skew_us = h->keys->skew_s * G_USEC_PER_SEC;
    g_autoptr(GByteArray) before = NULL;
    guint8 digest[MIKEY_DIGEST_LEN], done;
    ClvKmsMemoryVerdict verdict;
    guint status;

    if (ABS(list->made_us - h->now_us) > skew_us ||
        (h->service->keeper != NULL &&
         list->made_us < clv_kms_keeper_not_before_us(h->service->keeper)))
        return list_because(h, 409, "made too long ago, or the clocks differ");
    if (mikey_digest(mikey_bytes(octets, len), digest) != MIKEY_OK)
        return list_because(h, 503, "no digest");
    verdict = clv_kms_memory_enter(h->service->memory, digest, h->now_us, list->made_us + skew_us,
                                   &before);
    if (verdict == CLV_KMS_MEMORY_FULL)
        return list_because(h, 503, "the replay memory is full");
    if (verdict == CLV_KMS_MEMORY_REPLAYED)
        return list_because(h, 409, "seen before");
    if (verdict == CLV_KMS_MEMORY_ANSWERED) {
        h->decision->repeated = TRUE;
        return list_because(h, before->data[0] != 0 ? 200 : 403, "sent again; answered as before");
    }
    status = remember(h, digest, list->made_us + skew_us) == MIKEY_OK ? list_do(h, list) : 503;
    done = status == 200;
    clv_kms_memory_settle(h->service->memory, digest, &done, 1, h->now_us);
    return status;
}

guint
clv_kms_service_list(ClvKmsService *service, const guint8 *octets, gsize len, gint64 now_us,
                     const char *proven, ClvKmsDecision *out_decision)
{
    g_autoptr(ClvKmsKeyFile) keys = ref_keys(service);
    Handling h = {.service = service, .keys = keys, .now_us = now_us, .proven = proven};
    ClvKmsList list;
    guint status;

    h.decision = out_decision;
    *out_decision = (ClvKmsDecision){.user = "-", .request = "list", .subject = "-"};
    if (!clv_kms_list_parse(octets, len, &list))
        return list_because(&h, 400, "the body is no announcement of a conference");
    g_strlcpy(out_decision->request, list.withdraw ? "withdraw" : "announce",
              sizeof out_decision->request);
    g_strlcpy(out_decision->subject, list.conference, sizeof out_decision->subject);
    status = list_prove(&h, &list, octets);
    if (status == 200)
        status = list_once(&h, &list, octets, len);
    clv_kms_list_clear(&list);
    g_free(h.identity);
    return status;
}

/* ---- birth, reload, death ---- */

static gboolean
new_tpk(ClvKmsService *service, ClvKmsTpks *tpks, gint64 now_s)
{
    guint8 bytes[CLV_KMS_TPK_LEN];
    gboolean good = service->random(service->random_user, bytes, sizeof bytes);

    if (good)
        clv_kms_tpks_rotate(tpks, bytes, now_s);
    OPENSSL_cleanse(bytes, sizeof bytes);
    return good;
}

ClvKmsService *
clv_kms_service_new(ClvKmsKeyFile *keys, ClvRandom random, void *random_user)
{
    ClvKmsService *service;

    g_return_val_if_fail(keys != NULL, NULL);
    service = g_new0(ClvKmsService, 1);
    pthread_mutex_init(&service->lock, NULL);
    pthread_mutex_init(&service->change, NULL);
    service->random = random != NULL ? random : clv_random;
    service->random_user = random_user;
    service->keys = keys;
    service->memory = clv_kms_memory_new((gsize)keys->replay_entries);
    service->roster = clv_kms_roster_new();
    service->rates = clv_kms_rates_new();
    service->rate = clv_kms_rates_new();
    service->tpks = clv_kms_tpks_new();
    take_tpk_files(service->tpks, keys->tpks);
    if (clv_kms_tpks_n(service->tpks) == 0 && !new_tpk(service, service->tpks, 0))
        g_clear_pointer(&service, clv_kms_service_free);
    return service;
}

void
clv_kms_service_free(ClvKmsService *service)
{
    if (service == NULL)
        return;
    clv_kms_keeper_close(service->keeper);
    clv_kms_keyfile_free(service->keys);
    clv_kms_memory_free(service->memory);
    clv_kms_tpks_free(service->tpks);
    clv_kms_roster_free(service->roster);
    clv_kms_rates_free(service->rates);
    clv_kms_rates_free(service->rate);
    pthread_mutex_destroy(&service->lock);
    pthread_mutex_destroy(&service->change);
    g_free(service);
}

void
clv_kms_service_reload(ClvKmsService *service, ClvKmsKeyFile *keys)
{
    ClvKmsKeyFile *old;

    g_return_if_fail(service != NULL && keys != NULL);
    clv_kms_memory_set_max(service->memory, (gsize)keys->replay_entries);
    clv_kms_rates_clear(service->rates); /* of users who are gone, too */
    clv_kms_rates_clear(service->rate);
    pthread_mutex_lock(&service->change);
    pthread_mutex_lock(&service->lock);
    old = service->keys;
    service->keys = keys;
    take_tpk_files(service->tpks, keys->tpks);
    pthread_mutex_unlock(&service->lock);
    pthread_mutex_unlock(&service->change);
    clv_kms_keyfile_free(old);
}

/* ---- what is kept over a restart ---- */

/* With the change lock held. Saved first, and in force only then. Takes @tpks. */
static gboolean
replace_tpks(ClvKmsService *service, ClvKmsTpks *tpks, GError **error)
{
    g_autoptr(ClvKmsTpks) old = tpks;

    if (service->keeper != NULL && !clv_kms_keeper_save_tpks(service->keeper, tpks, error))
        return FALSE;
    pthread_mutex_lock(&service->lock);
    old = service->tpks;
    service->tpks = tpks;
    pthread_mutex_unlock(&service->lock);
    return TRUE;
}

static gboolean
is_due(const ClvKmsTpks *tpks, gint64 rotate_s, gint64 now_s)
{
    return rotate_s > 0 && clv_kms_tpks_at(tpks, 0)->made_s + rotate_s <= now_s;
}

/* With the change lock held. */
static gboolean
tend_tpks(ClvKmsService *service, const ClvKmsKeyFile *keys, gint64 now_s, GError **error)
{
    g_autoptr(ClvKmsTpks) tpks = clv_kms_tpks_copy(service->tpks); /* nobody else changes it */
    gboolean changed = clv_kms_tpks_note_longest(tpks, clv_kms_keyfile_longest_s(keys));

    if (is_due(tpks, keys->tpk_rotate_s, now_s)) {
        if (!new_tpk(service, tpks, now_s)) {
            g_set_error(error, CLV_KMS_ERROR, CLV_CODE_INTERNAL,
                        "no random octets for a ticket protection key");
            return FALSE;
        }
        changed = TRUE;
    }
    changed = clv_kms_tpks_forget(tpks, now_s) || changed;
    return !changed || replace_tpks(service, g_steal_pointer(&tpks), error);
}

gboolean
clv_kms_service_tend(ClvKmsService *service, gint64 now_us, GError **error)
{
    g_autoptr(ClvKmsKeyFile) keys = ref_keys(service);
    gboolean good;

    pthread_mutex_lock(&service->change);
    good = tend_tpks(service, keys, now_us / G_USEC_PER_SEC, error);
    pthread_mutex_unlock(&service->change);
    if (good && service->keeper != NULL)
        good = clv_kms_keeper_tend(service->keeper, now_us, error);
    return good;
}

typedef struct Recall {
    ClvKmsMemory *memory;
    gint64 now_us;
} Recall;

static void
recall(const guint8 *digest, gint64 expires_us, void *user)
{
    const Recall *into = user;

    clv_kms_memory_recall(into->memory, digest, into->now_us, expires_us);
}

/* Keys of the folder, behind those of files; where there are none, the one of this start. */
static gboolean
take_kept_tpks(ClvKmsService *service, ClvKmsKeeper *keeper, gint64 now_s, GError **error)
{
    g_autoptr(ClvKmsTpks) tpks = clv_kms_tpks_copy(clv_kms_keeper_tpks(keeper));

    take_tpk_files(tpks, service->keys->tpks);
    if (clv_kms_tpks_n(tpks) == 0 && !new_tpk(service, tpks, now_s)) {
        g_set_error(error, CLV_KMS_ERROR, CLV_CODE_INTERNAL,
                    "no random octets for a ticket protection key");
        return FALSE;
    }
    clv_kms_tpks_note_longest(tpks, clv_kms_keyfile_longest_s(service->keys));
    return replace_tpks(service, g_steal_pointer(&tpks), error);
}

gboolean
clv_kms_service_open_state(ClvKmsService *service, gint64 now_us, GError **error)
{
    Recall into = {service->memory, now_us};

    g_return_val_if_fail(service->keeper == NULL, FALSE);
    if (service->keys->state_dir == NULL)
        return TRUE;
    service->keeper =
        clv_kms_keeper_open(service->keys->state_dir, service->keys->skew_s, now_us, error);
    return service->keeper != NULL &&
           clv_kms_keeper_recall(service->keeper, now_us, recall, &into, error) &&
           clv_kms_roster_open(service->roster, service->keys->state_dir, now_us, error) &&
           take_kept_tpks(service, service->keeper, now_us / G_USEC_PER_SEC, error);
}

void
clv_kms_service_state(ClvKmsService *service, ClvKmsServiceState *out)
{
    pthread_mutex_lock(&service->lock);
    *out = service->state;
    out->users = service->keys->users->len;
    out->services = service->keys->systems->len;
    out->tpks = clv_kms_tpks_n(service->tpks);
    out->tpk_made_s = clv_kms_tpks_at(service->tpks, 0)->made_s;
    pthread_mutex_unlock(&service->lock);
    out->conferences = clv_kms_roster_size(service->roster);
    out->replay_entries = clv_kms_memory_size(service->memory);
}
