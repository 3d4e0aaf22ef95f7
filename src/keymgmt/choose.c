/* SPDX-License-Identifier: Apache-2.0 */
/* keymgmt/choose.c - which scheme do policy and offer share? */
#include "config.h"

#include <string.h>

#include "keymgmt/keymgmt.h"

/* Schemes mean nothing on a line whose profile is not a secured one: a=crypto on RTP/AVP is a
 * wish, and the media may come in the clear (RFC 4567 section 3.1, RFC 4568 section 5). */
static gboolean
is_secured(const ClvSdpMedia *media)
{
    static const char *const profiles[] = {
        "RTP/SAVP",
        "RTP/SAVPF",
        "UDP/TLS/RTP/SAVP",
        "UDP/TLS/RTP/SAVPF",
    };

    for (guint i = 0; i < G_N_ELEMENTS(profiles); i++) {
        if (g_ascii_strcasecmp(media->proto, profiles[i]) == 0)
            return TRUE;
    }
    return FALSE;
}

static gboolean
offers_anything(const ClvSdp *offer, guint media_index)
{
    const ClvKeymgmtOps *const *all = clv_keymgmt_all();

    for (guint i = 0; all[i] != NULL; i++) {
        if (all[i]->offered(offer, media_index))
            return TRUE;
    }
    return FALSE;
}

const ClvKeymgmtOps *
clv_keymgmt_choose(const ClvSdp *offer, guint media_index, const ClvScheme *allowed,
                   gboolean secured_signalling, ClvCode *out_code)
{
    g_return_val_if_fail(media_index == G_MAXUINT || media_index < offer->n_media, NULL);

    if (media_index != G_MAXUINT && !is_secured(&offer->media[media_index])) {
        *out_code = CLV_CODE_UNSECURED;
        return NULL;
    }

    for (; *allowed != CLV_SCHEME_NONE; allowed++) {
        const ClvKeymgmtOps *scheme = clv_keymgmt_find(*allowed);

        if (scheme == NULL || (scheme->needs_tls && !secured_signalling))
            continue;
        if (scheme->offered(offer, media_index)) {
            *out_code = CLV_CODE_OK;
            return scheme;
        }
    }

    *out_code =
        offers_anything(offer, media_index) ? CLV_CODE_KEYMGMT_UNACCEPTABLE : CLV_CODE_UNSECURED;
    return NULL;
}
