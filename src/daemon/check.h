/* SPDX-License-Identifier: Apache-2.0 */
/* daemon/check.h - would the server start with this configuration and the files that it names?
 *
 * For conclaved --check-config and conclavectl check-config. No socket is opened, nothing is
 * written, and no server is asked; it reads what the server would read, as whoever asks.
 */
#pragma once

#include "daemon/config.h"

/* Everything from the syntax of @path to the policies, users, keys and certificates behind it.
 * @errors would keep the server from starting, @warnings look like mistakes.
 * Returns: FALSE when there are errors */
gboolean clv_config_check(const char *path, GPtrArray *errors, GPtrArray *warnings);

typedef struct ClvKmsKeyFile ClvKmsKeyFile;
/* Does the key file of the embedded KMS know this server, and does it go by the same name?
 * Also asked when the server starts and when the key file has changed. */
gboolean clv_config_check_embedded(const ClvConfig *config, const ClvKmsKeyFile *keys,
                                   GPtrArray *errors);

/* What the rooms say as "[section] key: ...", one in a line, with file and line of @path before it.
 * Returns: (transfer full) */
char *clv_config_with_lines(const char *path, const char *text);
