/* SPDX-License-Identifier: Apache-2.0 */
/* base/identity.h - when do two URIs mean the same person?
 *
 * Canonical identities and the patterns of policy files. Pure.
 */
#pragma once

#include <glib.h>

/**
 * clv_identity_canonical:
 * @uri: sip:, sips: or tel: URI, with or without angle brackets; len octets or -1
 *
 * sip:/sips: becomes "sip:user@host" (host lower case, no port, no parameters, unreserved percent
 * escapes decoded in the user part), a global number with user=phone or tel: becomes "tel:+digits".
 *
 * Returns: (transfer full) (nullable): NULL for anything else, local numbers, or nonsense
 */
char *clv_identity_canonical(const char *uri, gssize len);
/* "sip:anonymous@anonymous.invalid" or any host in ".invalid" */
gboolean clv_identity_is_anonymous(const char *canonical);
/* Does a canonical identity match "sip:a@b", "*@domain", "*@*.domain" or "tel:+49*"? A malformed
 * pattern matches nothing. Fastest with a pattern from clv_identity_pattern_canonical(). */
gboolean clv_identity_match(const char *pattern, const char *canonical);
/* Is the text a well-formed pattern of these four kinds? Error: a sentence without position. */
gboolean clv_identity_pattern_check(const char *pattern, GError **error);
/* Returns: (transfer full) (nullable): the pattern in the form in which equal ones are equal texts */
char *clv_identity_pattern_canonical(const char *pattern, GError **error);

#define CLV_IDENTITY_MAX_BYTES 1024

#define CLV_IDENTITY_ERROR (clv_identity_error_quark())
GQuark clv_identity_error_quark(void);
