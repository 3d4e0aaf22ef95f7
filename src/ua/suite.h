/* SPDX-License-Identifier: Apache-2.0 */
/* ua/suite.h - the protection profiles a participant knows, and a=crypto (RFC 4568)
 *
 * Pure. What holds keys is cleansed by its owner.
 */
#pragma once

#include "conference/vocabulary.h"

#define CLV_UA_SUITE_ERROR (clv_ua_suite_error_quark())
GQuark clv_ua_suite_error_quark(void);

/* Returns: "AES_CM_128_HMAC_SHA1_80", "none" */
const char *clv_ua_suite_name(ClvSrtpSuite suite);
/* Returns: CLV_SRTP_NONE for an unknown name; without regard to case */
ClvSrtpSuite clv_ua_suite_parse(const char *name);

/* Fresh keys. FALSE when there are no random octets. */
gboolean clv_ua_suite_fresh(ClvSrtpSuite suite, ClvSrtpKeys *out_keys, GError **error);

/* Value of a=crypto; holds the key: clv_secret_free_string() */
char *clv_ua_crypto_format(guint tag, const ClvSrtpKeys *keys);
/* MKI up to CLV_SRTP_MAX_MKI octets is read; lifetimes are checked for form alone. Session
 * parameters other than WSH are refused. */
gboolean clv_ua_crypto_parse(const char *value, guint *out_tag, ClvSrtpKeys *out_keys,
                             GError **error);
