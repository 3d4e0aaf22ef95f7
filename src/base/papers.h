/* SPDX-License-Identifier: Apache-2.0 */
/* base/papers.h - certificates, their key, and whom to trust, out of PEM files */
#pragma once

#include <glib.h>
#include <openssl/types.h>

#define CLV_PAPERS_ERROR (clv_papers_error_quark())
GQuark clv_papers_error_quark(void);

/* Paths; all but the first two may be NULL. */
typedef struct ClvPaperFiles {
    const char *cert; /* ours, then each that certifies the one before */
    const char *key;  /* of ours: RSA, 2048 bits or more */
    const char *peer; /* the other party's certificate */
    const char *ca;   /* those who may sign the other party's; NULL: the peer's own is trusted */
    const char *crl;  /* revocation lists of each who signs; checked when there are any */
} ClvPaperFiles;

/* Made once and read by any thread. */
typedef struct ClvPapers {
    EVP_PKEY *key;
    X509 **chain; /* (array length=n_chain) */
    gsize n_chain;
    X509 *peer; /* (nullable) */
    X509_STORE *trust;
} ClvPapers;

/* An error names the file, what was found in it and what was expected. */
ClvPapers *clv_papers_load(const ClvPaperFiles *files, GError **error);
void clv_papers_free(ClvPapers *papers);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(ClvPapers, clv_papers_free)
