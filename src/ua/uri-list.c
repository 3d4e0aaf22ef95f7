/* SPDX-License-Identifier: Apache-2.0 */
/* ua/uri-list.c - XML and MIME, as much as it takes */
#include "ua/uri-list.h"

#include "base/secret.h"

#include <string.h>

static void
add_entries(GString *xml, const GPtrArray *uris, const char *copy, gboolean anonymize)
{
    for (guint i = 0; i < uris->len; i++) {
        g_autofree char *uri = g_markup_escape_text(g_ptr_array_index(uris, i), -1);

        g_string_append_printf(xml, "<entry uri=\"%s\" cp:copyControl=\"%s\"%s/>\r\n", uri, copy,
                               anonymize ? " cp:anonymize=\"true\"" : "");
    }
}

char *
clv_ua_uri_list(const ClvUaOptions *o)
{
    GString *xml;

    if (o->dial->len + o->dial_cc->len + o->dial_bcc->len == 0)
        return NULL;
    xml = g_string_new("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\r\n"
                       "<resource-lists xmlns=\"urn:ietf:params:xml:ns:resource-lists\"\r\n"
                       " xmlns:cp=\"urn:ietf:params:xml:ns:copycontrol\">\r\n<list>\r\n");
    add_entries(xml, o->dial, "to", o->anonymize);
    add_entries(xml, o->dial_cc, "cc", o->anonymize);
    add_entries(xml, o->dial_bcc, "bcc", o->anonymize);
    g_string_append(xml, "</list>\r\n</resource-lists>\r\n");
    return g_string_free(xml, FALSE);
}

char *
clv_ua_multipart(const char *sdp, gsize sdp_len, const char *list, const char *boundary)
{
    /* enough from the beginning: what grows leaves copies behind */
    GString *body = g_string_sized_new(sdp_len + strlen(list) + 6 * strlen(boundary) + 512);

    g_string_append_printf(body, "--%s\r\nContent-Type: application/sdp\r\n\r\n", boundary);
    g_string_append_len(body, sdp, (gssize)sdp_len);
    g_string_append_printf(body,
                           "\r\n--%s\r\nContent-Type: application/resource-lists+xml\r\n"
                           "Content-Disposition: recipient-list\r\n\r\n%s\r\n--%s--\r\n",
                           boundary, list, boundary);
    return g_string_free(body, FALSE);
}
