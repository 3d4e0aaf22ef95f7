/* SPDX-License-Identifier: Apache-2.0 */
/* daemon/papers.h - are the certificates that [kms] names good for asking this KMS? */
#pragma once

#include "base/papers.h"
#include "daemon/config.h"

/* [kms] mikey-cert-file is set. */
ClvPapers *kms_papers_load(const ClvConfig *config, gint64 now_us, GError **error);
