/* SPDX-License-Identifier: Apache-2.0 */
/* kms/proof.c - who is at the other end, by HTTP Digest or by TLS?
 *
 * Digest the way of TS 33.222: the user name is the one that the MIKEY message gives as IDRpsk (the
 * B-TID), the password is the shared key in base64, the realm names the KMS. A certificate is a
 * user's when its chain is good and the key file names its URI or common name.
 */
#include "config.h"

#include "kms/proof.h"

#include <gnutls/gnutls.h>
#include <gnutls/x509.h>
#include <string.h>

#include "base/secret.h"

#define MAX_NAMES 32u

/* ---- digest ---- */

static char *
realm_of(ClvKmsService *service)
{
    g_autofree char *host = clv_kms_service_http_host(service);

    return g_strconcat("3GPP-bootstrapping@", host, NULL);
}

/* The resource that was asked for: its path, and what is to be done there. */
static gboolean
is_meant(struct MHD_Connection *connection, const char *url, const char *uri)
{
    const char *wanted =
        MHD_lookup_connection_value(connection, MHD_GET_ARGUMENT_KIND, "requesttype");
    const char *query = strchr(uri, '?');
    g_autofree char *path = query != NULL ? g_strndup(uri, (gsize)(query - uri)) : g_strdup(uri);
    g_auto(GStrv) words = g_strsplit(query != NULL ? query + 1 : "", "&", 32);
    g_autofree char *word = g_strconcat("requesttype=", wanted != NULL ? wanted : "", NULL);

    return strcmp(path, url) == 0 && g_strv_contains((const char *const *)words, word);
}

/* Somebody who is not known costs as much as a wrong password. */
static ClvKmsProof
check_claim(const ClvKmsProofQuestion *question, const ClvKmsClaim *claim, char **out_user)
{
    g_autofree char *realm = realm_of(question->service);
    char *password = clv_kms_service_digest_password(question->service, claim->user);
    gboolean known = password != NULL && strcmp(claim->realm, realm) == 0 &&
                     is_meant(question->connection, question->url, claim->uri);
    ClvKmsDigestVerdict verdict = clv_kms_digest_check(
        question->digest, claim, question->method, known ? password : NULL, g_get_monotonic_time());

    clv_secret_free_string(password);
    if (known && verdict == CLV_KMS_DIGEST_RIGHT) {
        *out_user = g_strdup(claim->user);
        return CLV_KMS_PROOF_GIVEN;
    }
    return known && verdict == CLV_KMS_DIGEST_STALE ? CLV_KMS_PROOF_STALE : CLV_KMS_PROOF_MISSING;
}

static ClvKmsProof
check_digest(const ClvKmsProofQuestion *question, char **out_user)
{
    const char *header = MHD_lookup_connection_value(question->connection, MHD_HEADER_KIND,
                                                     MHD_HTTP_HEADER_AUTHORIZATION);
    ClvKmsClaim claim;
    ClvKmsProof proof;

    if (header == NULL || !clv_kms_claim_parse(header, &claim))
        return CLV_KMS_PROOF_MISSING;
    proof = check_claim(question, &claim, out_user);
    clv_kms_claim_clear(&claim);
    return proof;
}

enum MHD_Result
clv_kms_proof_challenge(const ClvKmsProofQuestion *question, gboolean stale)
{
    static char text[] = "expected the name and key of a user of this KMS\n";
    g_autofree char *realm = realm_of(question->service);
    g_autofree char *challenge =
        clv_kms_digest_challenge(question->digest, realm, stale, g_get_monotonic_time());
    struct MHD_Response *response =
        MHD_create_response_from_buffer(sizeof text - 1, text, MHD_RESPMEM_PERSISTENT);
    enum MHD_Result result;

    if (response == NULL)
        return MHD_NO;
    MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, "text/plain");
    MHD_add_response_header(response, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
    MHD_add_response_header(response, MHD_HTTP_HEADER_WWW_AUTHENTICATE, challenge);
    result = MHD_queue_response(question->connection, MHD_HTTP_UNAUTHORIZED, response);
    MHD_destroy_response(response);
    return result;
}

/* ---- certificate ---- */

/* The chain of the peer, by the certificates of client-ca= */
static gboolean
chain_is_good(gnutls_session_t session)
{
    gnutls_typed_vdata_st purpose = {
        .type = GNUTLS_DT_KEY_PURPOSE_OID,
        .data = (unsigned char *)GNUTLS_KP_TLS_WWW_CLIENT,
    };
    unsigned int status = 0;

    return gnutls_certificate_verify_peers(session, &purpose, 1, &status) == GNUTLS_E_SUCCESS &&
           status == 0;
}

static char *
user_of_name(ClvKmsService *service, const char *prefix, const char *name, gsize len)
{
    g_autofree char *text = NULL;

    if (len == 0 || memchr(name, '\0', len) != NULL)
        return NULL;
    text = g_strdup_printf("%s%.*s", prefix, (int)len, name);
    if (*prefix == '\0' && g_str_has_prefix(text, "cn:"))
        return NULL; /* a URI that would pass for a common name */
    return clv_kms_service_certificate_user(service, text);
}

/* URIs first, then the common name. Returns: (transfer full) (nullable) */
static char *
user_of_certificate(ClvKmsService *service, gnutls_x509_crt_t cert)
{
    char name[512];
    char *user = NULL;

    for (unsigned int i = 0; i < MAX_NAMES && user == NULL; i++) {
        size_t len = sizeof name;
        int type = gnutls_x509_crt_get_subject_alt_name(cert, i, name, &len, NULL);

        if (type == GNUTLS_E_REQUESTED_DATA_NOT_AVAILABLE)
            break;
        if (type == GNUTLS_SAN_URI)
            user = user_of_name(service, "", name, len);
    }
    for (unsigned int i = 0; i < 1 && user == NULL; i++) {
        size_t len = sizeof name;

        if (gnutls_x509_crt_get_dn_by_oid(cert, GNUTLS_OID_X520_COMMON_NAME, 0, 0, name, &len) ==
            GNUTLS_E_SUCCESS)
            user = user_of_name(service, "cn:", name, len);
    }
    return user;
}

static char *
user_of_session(ClvKmsService *service, gnutls_session_t session)
{
    unsigned int n = 0;
    const gnutls_datum_t *chain = gnutls_certificate_get_peers(session, &n);
    gnutls_x509_crt_t cert;
    char *user = NULL;

    if (chain == NULL || n == 0 || !chain_is_good(session) ||
        gnutls_x509_crt_init(&cert) != GNUTLS_E_SUCCESS)
        return NULL;
    if (gnutls_x509_crt_import(cert, &chain[0], GNUTLS_X509_FMT_DER) == GNUTLS_E_SUCCESS)
        user = user_of_certificate(service, cert);
    gnutls_x509_crt_deinit(cert);
    return user;
}

static ClvKmsProof
check_certificate(struct MHD_Connection *connection, ClvKmsService *service, char **out_user)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_GNUTLS_SESSION);

    if (info != NULL && info->tls_session != NULL)
        *out_user = user_of_session(service, info->tls_session);
    return *out_user != NULL ? CLV_KMS_PROOF_GIVEN : CLV_KMS_PROOF_REFUSED;
}

ClvKmsProof
clv_kms_proof_check(const ClvKmsProofQuestion *question, char **out_user)
{
    struct MHD_Connection *connection = question->connection;
    ClvKmsService *service = question->service;
    ClvKmsHttpAuth wanted = clv_kms_service_http_auth(service);

    *out_user = NULL;
    /* another KMS shows its certificate whatever its users have to */
    if (check_certificate(connection, service, out_user) == CLV_KMS_PROOF_GIVEN &&
        g_str_has_prefix(*out_user, "peer "))
        return CLV_KMS_PROOF_GIVEN;
    g_clear_pointer(out_user, g_free);
    if (wanted == CLV_KMS_HTTP_AUTH_NONE)
        return CLV_KMS_PROOF_NOT_WANTED;
    if (wanted != CLV_KMS_HTTP_AUTH_DIGEST &&
        check_certificate(connection, service, out_user) == CLV_KMS_PROOF_GIVEN)
        return CLV_KMS_PROOF_GIVEN;
    if (wanted == CLV_KMS_HTTP_AUTH_CERTIFICATE)
        return CLV_KMS_PROOF_REFUSED;
    return check_digest(question, out_user);
}
