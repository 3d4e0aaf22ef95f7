/* SPDX-License-Identifier: Apache-2.0 */
/* daemon/papers.c - are the certificates that [kms] names good for asking this KMS? */
#include "daemon/papers.h"

#include <libmikey/mikey.h>
#include <openssl/x509_vfy.h>

#include "kms/kms.h"

/* The certificate of the KMS must be good when the server starts; later it is looked at with each
 * question. */
ClvPapers *
kms_papers_load(const ClvConfig *config, gint64 now_us, GError **error)
{
    ClvPaperFiles files = {.cert = config->mikey_cert,
                           .key = config->mikey_key,
                           .peer = config->mikey_kms_cert,
                           .ca = config->mikey_ca,
                           .crl = config->mikey_crl};
    MikeyIdentity kms = mikey_identity_uri(config->kms_uri != NULL ? config->kms_uri : "");
    MikeyEnv env = {.now = mikey_ntp_from_unix_us(now_us)};
    ClvPapers *papers = clv_papers_load(&files, error);
    int x509_error = 0;
    MikeyStatus status;

    if (papers == NULL)
        return NULL;
    status = mikey_certificate_verify(papers->trust, papers->peer, NULL, 0, &kms,
                                      MIKEY_USE_ENVELOPE, &env, &x509_error);
    if (status == MIKEY_OK)
        return papers;
    g_set_error(error, CLV_KMS_ERROR, 0, "%s: found a certificate that is not good for %s: %s%s%s",
                config->mikey_kms_cert, config->kms_uri, mikey_status_string(status),
                x509_error != 0 ? ": " : "",
                x509_error != 0 ? X509_verify_cert_error_string(x509_error) : "");
    clv_papers_free(papers);
    return NULL;
}
