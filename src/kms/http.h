/* SPDX-License-Identifier: Apache-2.0 */
/* kms/http.h - one MIKEY message to a KMS by HTTP and its answer back, under a deadline
 *
 * Inside of the room; shared by the workers of client.c and the blocking terminal.c. One thread
 * posts at a time; clv_kms_http_abort() may come from any thread.
 */
#pragma once

#include "kms/kms.h"

typedef struct ClvKmsHttp ClvKmsHttp;

/* Checks the URL (http: loopback alone, unless allowed) and the files; copies what it needs. */
ClvKmsHttp *clv_kms_http_new(const ClvKmsClientConfig *config, GError **error);
void clv_kms_http_free(ClvKmsHttp *http);
/* For good: the post under way and all later ones fail at once. */
void clv_kms_http_abort(ClvKmsHttp *http);
gboolean clv_kms_http_aborted(const ClvKmsHttp *http);

/**
 * clv_kms_http_post:
 * @deadline_us: g_get_monotonic_time() at which to give up
 * @out_body: (transfer full): raw MIKEY octets, when the result is OK
 * @out_detail: (transfer full): a sentence for the log, when it is not
 *
 * Connect and reset errors are tried once more on a fresh connection. Codes as in ClvKmsReply.
 */
ClvCode clv_kms_http_post(ClvKmsHttp *http, ClvKmsRequest request, const guint8 *bytes, gsize len,
                          gint64 deadline_us, GByteArray **out_body, char **out_detail);

/* An announcement (kms/listing.h). OK: the KMS did it. */
ClvCode clv_kms_http_list(ClvKmsHttp *http, const guint8 *text, gsize len, gint64 deadline_us,
                          char **out_detail);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(ClvKmsHttp, clv_kms_http_free)
