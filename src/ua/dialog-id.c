/* SPDX-License-Identifier: Apache-2.0 */
/* ua/dialog-id.c - Call-ID and two tags, and whose is which */
#include "ua/dialog-id.h"

#include <string.h>

#define LOCAL ";local-tag="
#define REMOTE ";remote-tag="

char *
clv_ua_dialog_format(const char *call_id, const char *theirs, const char *ours)
{
    return g_strdup_printf("%s" LOCAL "%s" REMOTE "%s", call_id, theirs != NULL ? theirs : "",
                           ours != NULL ? ours : "");
}

void
clv_ua_append_dialog(GString *lines, const char *header, const char *dialog)
{
    const char *local = strstr(dialog, LOCAL), *remote = strstr(dialog, REMOTE);

    if (local == NULL || remote == NULL || remote < local) {
        g_string_append_printf(lines, "%s: %s\r\n", header, dialog);
        return;
    }
    local += sizeof LOCAL - 1;
    g_string_append_printf(lines, "%s: %.*s;to-tag=%.*s;from-tag=%s\r\n", header,
                           (int)(local - dialog - (gssize)sizeof LOCAL + 1), dialog,
                           (int)(remote - local), local, remote + sizeof REMOTE - 1);
}
