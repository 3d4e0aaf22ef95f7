/* SPDX-License-Identifier: Apache-2.0 */
/* keymgmt/registry.c - which schemes are there, and are they sound? */
#include "config.h"

#include "keymgmt/schemes.h"

static const ClvKeymgmtOps *const schemes[] = {
    &clv_mikey_ticket_ops,
    &clv_sdes_ops,
    NULL,
};

const ClvKeymgmtOps *const *
clv_keymgmt_all(void)
{
    return schemes;
}

const ClvKeymgmtOps *
clv_keymgmt_find(ClvScheme scheme)
{
    for (guint i = 0; schemes[i] != NULL; i++) {
        if (schemes[i]->scheme == scheme)
            return schemes[i];
    }
    return NULL;
}

gboolean
clv_keymgmt_self_test(GError **error)
{
    for (guint i = 0; schemes[i] != NULL; i++) {
        if (!schemes[i]->self_test(error)) {
            g_prefix_error(error, "self test of %s: ", schemes[i]->name);
            return FALSE;
        }
    }
    return TRUE;
}
