/* SPDX-License-Identifier: Apache-2.0 */
/* Fuzz target: do the small readers of the sip room stay inside what they were given? The first
 * octet chooses one of them; what it says of its input must hold.
 */
#include "config.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/identity.h"
#include "sip/multipart.h"
#include "sip/refer-to.h"
#include "sip/resource-list.h"
#include "sip/sip-private.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
must(gboolean holds)
{
    if (!holds)
        abort();
}

/* The boundary is the first line. */
static void
multipart(const char *text, gsize size)
{
    const char *eol = memchr(text, '\n', size);
    g_autofree char *boundary = eol != NULL ? g_strndup(text, (gsize)(eol - text)) : NULL;
    ClvPart parts[CLV_MULTIPART_MAX_PARTS];
    guint n;

    if (eol == NULL)
        return;
    eol++;
    if (!clv_multipart_split(boundary, eol, size - (gsize)(eol - text), parts, &n))
        return;
    must(n > 0 && n <= CLV_MULTIPART_MAX_PARTS);
    for (guint i = 0; i < n; i++)
        must(parts[i].body >= eol && parts[i].body + parts[i].len <= text + size &&
             (i == 0 || parts[i].body > parts[i - 1].body + parts[i - 1].len));
}

static void
list(const char *text, gsize size)
{
    GPtrArray *entries = clv_resource_list_parse(text, size, NULL, NULL);

    if (entries == NULL)
        return;
    for (guint i = 0; i < entries->len; i++) {
        const ClvUriEntry *entry = g_ptr_array_index(entries, i);
        g_autofree char *again = clv_identity_canonical(entry->uri, -1);

        must(g_strcmp0(again, entry->uri) == 0);
        for (guint k = 0; k < i; k++)
            must(strcmp(((ClvUriEntry *)g_ptr_array_index(entries, k))->uri, entry->uri) != 0);
    }
    g_ptr_array_unref(entries);
}

static void
refer_to(const char *text, gsize size)
{
    g_autofree char *uri = g_strndup(text, size);
    ClvReferTo out;

    if (clv_refer_to_parse(uri, &out) == CLV_REFER_TO_OK) {
        must(out.target != NULL);
        must(!out.names_dialog ||
             (out.call_id != NULL && out.from_tag != NULL && out.to_tag != NULL));
        must(out.replaces == NULL || strpbrk(out.replaces, "\r\n") == NULL);
    }
    clv_refer_to_clear(&out);
}

static void
history(const char *text, gsize size)
{
    g_autofree char *value = g_strndup(text, size);

    if (strlen(value) > 8192)
        must(clv_history_is_diverted(value));
    else
        clv_history_is_diverted(value);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    switch (data[0]) {
    case 'm':
        multipart((const char *)data + 1, size - 1);
        break;
    case 'l':
        list((const char *)data + 1, size - 1);
        break;
    case 'r':
        refer_to((const char *)data + 1, size - 1);
        break;
    case 'h':
        history((const char *)data + 1, size - 1);
        break;
    default:
        break;
    }
    return 0;
}
