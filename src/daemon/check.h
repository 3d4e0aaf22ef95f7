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
