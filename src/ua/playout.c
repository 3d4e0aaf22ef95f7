/* SPDX-License-Identifier: Apache-2.0 */
/* ua/playout.c - a ring of samples addressed by RTP timestamp */
#include "ua/playout.h"

#include <string.h>

#define WINDOW 8192u /* samples, a power of two */
#define MASK (WINDOW - 1u)

struct ClvUaPlayout {
    gint16 samples[WINDOW];
    guint8 there[WINDOW];
    guint32 next; /* timestamp of the sample taken next */
    gboolean begun;
};

ClvUaPlayout *
clv_ua_playout_new(void)
{
    return g_new0(ClvUaPlayout, 1);
}

void
clv_ua_playout_free(ClvUaPlayout *playout)
{
    g_free(playout);
}

gboolean
clv_ua_playout_has_begun(const ClvUaPlayout *playout)
{
    return playout->begun;
}

static void
begin_at(ClvUaPlayout *playout, guint32 timestamp)
{
    memset(playout->there, 0, sizeof playout->there);
    playout->next = timestamp - CLV_UA_PLAYOUT_DELAY;
    playout->begun = TRUE;
}

gboolean
clv_ua_playout_put(ClvUaPlayout *playout, guint32 timestamp, gboolean restart,
                   const gint16 *samples, gsize n)
{
    gint32 ahead = (gint32)(timestamp - playout->next);

    /* a clock that jumped is a new stream */
    if (!playout->begun || restart || ahead > (gint32)(WINDOW - n) || ahead < -(gint32)WINDOW) {
        begin_at(playout, timestamp);
        ahead = (gint32)CLV_UA_PLAYOUT_DELAY;
    }
    if (ahead < 0)
        return FALSE;
    for (gsize i = 0; i < n; i++) {
        guint32 at = (guint32)(timestamp + i) & MASK;

        playout->samples[at] = samples[i];
        playout->there[at] = 1;
    }
    return TRUE;
}

gsize
clv_ua_playout_take(ClvUaPlayout *playout, gint16 *out, gsize n)
{
    gsize missing = 0;

    for (gsize i = 0; i < n; i++) {
        guint32 at = playout->next & MASK;

        out[i] = playout->there[at] ? playout->samples[at] : 0;
        if (playout->begun) {
            missing += playout->there[at] ? 0 : 1;
            playout->there[at] = 0;
            playout->next++;
        }
    }
    return missing;
}
