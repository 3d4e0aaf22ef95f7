/* SPDX-License-Identifier: Apache-2.0 */
/* keymgmt/output.c - how the result of a step dies: keys are overwritten, not merely freed */
#include "config.h"

#include <openssl/crypto.h>

#include "base/secret.h"
#include "keymgmt/keymgmt.h"

G_DEFINE_QUARK(clv_keymgmt_error, clv_keymgmt_error)

void
clv_keymgmt_output_clear(ClvKeymgmtOutput *out)
{
    if (out == NULL)
        return;

    if (out->bytes != NULL)
        g_byte_array_unref(out->bytes);
    clv_secret_free_string(out->answer_line); /* an a=crypto line is a key */
    g_free(out->claimed);
    g_free(out->identity);
    g_strfreev(out->ticket_names);
    g_free(out->ticket_hash);
    g_free(out->error_line);
    if (out->session != NULL)
        out->session->free(out->session);
    OPENSSL_cleanse(out, sizeof(*out));
}
