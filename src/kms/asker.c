/* SPDX-License-Identifier: Apache-2.0 */
/* kms/asker.c - who asks, is it really him, and is the name his? */
#include "config.h"

#include "kms/handling.h"

#include <openssl/x509_vfy.h>
#include <string.h>

#include "base/identity.h"

/* ---- what the log line says ---- */

/* Notes why, and gives the status through. */
MikeyStatus
clv_kms_because(Handling *h, MikeyStatus status, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    g_vsnprintf(h->decision->rule, sizeof h->decision->rule, format, args);
    va_end(args);
    return status;
}

/* Octets from outside, fit for a line of text. */
void
clv_kms_show_octets(char *out, gsize size, MikeyBytes octets)
{
    gsize len = MIN(octets.len, size - 1);

    for (gsize i = 0; i < len; i++)
        out[i] = g_ascii_isgraph(octets.data[i]) ? (char)octets.data[i] : '?';
    out[len] = '\0';
}

/* "sip:alice@example.org -> sip:bob@example.org, sip:carol@example.org" as far as there is room */
void
clv_kms_show_subject(ClvKmsDecision *decision, MikeyIdentity from, const MikeyIdentity *to,
                     gsize n_to)
{
    char name[96];

    clv_kms_show_octets(name, sizeof name, from.data);
    g_strlcpy(decision->subject, name, sizeof decision->subject);
    for (gsize i = 0; i < n_to; i++) {
        clv_kms_show_octets(name, sizeof name, to[i].data);
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
char *
clv_kms_canonical_of(const MikeyIdentity *identity)
{
    if (identity->type != MIKEY_ID_URI || identity->data.len == 0 ||
        memchr(identity->data.data, '\0', identity->data.len) != NULL)
        return NULL;
    return clv_identity_canonical((const char *)identity->data.data, (gssize)identity->data.len);
}

/* A name that may be left out, but must be this one when it is there. */
gboolean
clv_kms_is_absent_or(const MikeyIdentity *identity, const char *canonical)
{
    g_autofree char *found = NULL;

    if (identity->data.len == 0)
        return TRUE;
    found = clv_kms_canonical_of(identity);
    return found != NULL && strcmp(found, canonical) == 0;
}

/* Returns: (transfer full) (nullable): canonical IDRr list; NULL when one is no URI or comes twice
 */
GPtrArray *
clv_kms_responders_of(Handling *h, const MikeyPolicy *policy)
{
    g_autoptr(GPtrArray) list = g_ptr_array_new_with_free_func(g_free);
    g_autoptr(GHashTable) seen = g_hash_table_new(g_str_hash, g_str_equal);

    for (gsize i = 0; i < policy->n_responders; i++) {
        char *canonical = clv_kms_canonical_of(&policy->responders[i]);

        if (canonical == NULL) {
            clv_kms_because(h, MIKEY_BAD_IDENTITY,
                            "responder %" G_GSIZE_FORMAT " of the ticket is no "
                            "SIP or tel URI",
                            i + 1);
            return NULL;
        }
        g_ptr_array_add(list, canonical);
        if (!g_hash_table_add(seen, canonical)) {
            clv_kms_because(h, MIKEY_BAD_IDENTITY, "responder %.100s is named twice", canonical);
            return NULL;
        }
    }
    return g_steal_pointer(&list);
}

/* ---- who is it? ---- */

MikeyStatus
clv_kms_open_query(Handling *h, MikeyBytes octets)
{
    MikeyStatus status = mikey_query_open(octets, &h->env, &h->query);
    MikeyIdentity self;

    if (status != MIKEY_OK)
        return clv_kms_because(h, status, "%s", mikey_status_string(status));
    self = mikey_query_identity(h->query);
    clv_kms_show_subject(h->decision, self, mikey_query_policy(h->query)->responders,
                         mikey_query_policy(h->query)->n_responders);
    g_strlcpy(h->decision->request, mikey_query_is_resolve(h->query) ? "resolve" : "request",
              sizeof h->decision->request);
    if (mikey_query_is_resolve(h->query) != (h->request == CLV_KMS_TICKET_RESOLVE))
        return clv_kms_because(h, MIKEY_BAD_DATA_TYPE,
                               "the message is a %s, the URL says otherwise", h->decision->request);
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

MikeyStatus
clv_kms_find_user(Handling *h)
{
    MikeyIdentity psk_id = mikey_query_psk_id(h->query);
    MikeyIdentity self = mikey_query_identity(h->query);

    h->identity = clv_kms_canonical_of(&self);
    if (psk_id.data.len > 0) {
        clv_kms_show_octets(h->decision->user, sizeof h->decision->user, psk_id.data);
        h->user = clv_kms_keyfile_user(h->keys, (const char *)psk_id.data.data, psk_id.data.len);
    } else if (h->identity != NULL) {
        h->user = clv_kms_keyfile_owner(h->keys, h->identity);
    }
    if (h->user == NULL)
        find_peer(h, psk_id);
    if (h->user == NULL)
        return clv_kms_because(h, MIKEY_UNKNOWN_USER, "no such user");
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
    MikeyStatus status =
        names->len == 0 ? MIKEY_BAD_IDENTITY
                        : mikey_query_authenticate_pk(h->query, &verifier, &h->env, &x509_error);

    if (status != MIKEY_OK)
        return clv_kms_because(h, status, "not proven to be the user: %s%s%s",
                               mikey_status_string(status), x509_error != 0 ? ": " : "",
                               x509_error != 0 ? X509_verify_cert_error_string(x509_error) : "");
    h->decision->authenticated = TRUE;
    return MIKEY_OK;
}

MikeyStatus
clv_kms_authenticate(Handling *h)
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
        return clv_kms_because(h, status, "not proven to be the user: %s",
                               mikey_status_string(status));
    h->decision->authenticated = TRUE;
    return MIKEY_OK;
}

gboolean
clv_kms_is_announced(const Handling *h, const char *identity)
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
        return clv_kms_because(h, MIKEY_BAD_IDENTITY, "another KMS may not ask for tickets");
    if (h->identity == NULL || !clv_kms_peer_has(h->keys, h->peer, h->identity))
        return clv_kms_because(h, MIKEY_BAD_IDENTITY, "%.100s is no identity that %s may speak for",
                               h->identity != NULL ? h->identity : "?", h->user->name);
    return MIKEY_OK;
}

MikeyStatus
clv_kms_check_names(Handling *h)
{
    MikeyIdentity kms = mikey_query_kms(h->query);

    if (h->identity == NULL)
        return clv_kms_because(h, MIKEY_BAD_IDENTITY, "the name given is no SIP or tel URI");
    if (h->user->revoked)
        return clv_kms_because(h, MIKEY_BAD_IDENTITY,
                               "revoked=yes: this user may not ask for anything");
    if (h->peer != NULL && check_peer_names(h) != MIKEY_OK)
        return MIKEY_BAD_IDENTITY;
    if (h->peer == NULL && clv_kms_keyfile_owner(h->keys, h->identity) != h->user)
        return clv_kms_because(h, MIKEY_BAD_IDENTITY, "%.100s is no identity of this user",
                               h->identity);
    if (!clv_kms_is_announced(h, h->identity))
        return clv_kms_because(h, MIKEY_BAD_IDENTITY, "%.100s is not announced", h->identity);
    if (!clv_kms_is_absent_or(&kms, h->keys->canonical_uri))
        return clv_kms_because(h, MIKEY_BAD_IDENTITY, "the message is for another KMS");
    return MIKEY_OK;
}
