/* SPDX-License-Identifier: Apache-2.0 */
/* kms-pki.h - a folder with certificates of two authorities, for tests over TLS
 *
 * ca.pem is the one that everybody trusts, rogue-ca.pem the other.
 */
#pragma once

#include <glib.h>

void pki_open(void);
/* With all that is in the folder */
void pki_close(void);
/* (transfer full): of a file in the folder */
char *pki_path(const char *name);
/* Certificate and key in one file; its name is the common name. @san: "IP:127.0.0.1,URI:sip:..." */
void pki_issue(const char *name, gboolean by_rogue, const char *san);
