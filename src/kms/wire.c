/* SPDX-License-Identifier: Apache-2.0 */
/* kms/wire.c - how a MIKEY message travels in HTTP; what client and server must agree on */
#include "config.h"

#include "kms/wire.h"

#include <libmikey/mikey.h>
#include <string.h>

#define MIKEY_VERSION_1 1

static const char *const request_types[] = {
    [CLV_KMS_TICKET_REQUEST] = "ticketrequest",
    [CLV_KMS_TICKET_RESOLVE] = "ticketresolve",
};

gboolean
clv_kms_type_is_mikey(const char *content_type)
{
    gsize len = strlen(CLV_KMS_MIME_TYPE);

    return content_type != NULL && g_ascii_strncasecmp(content_type, CLV_KMS_MIME_TYPE, len) == 0 &&
           strchr("; \t", content_type[len]) != NULL; /* the terminating zero is found as well */
}

const char *
clv_kms_request_type(ClvKmsRequest request)
{
    return request_types[request];
}

gboolean
clv_kms_request_type_parse(const char *text, ClvKmsRequest *out_request)
{
    for (guint i = 0; text != NULL && i < G_N_ELEMENTS(request_types); i++) {
        if (strcmp(text, request_types[i]) != 0)
            continue;
        *out_request = (ClvKmsRequest)i;
        return TRUE;
    }
    return FALSE;
}

static GByteArray *
copy_octets(const guint8 *octets, gsize len)
{
    return g_byte_array_append(g_byte_array_sized_new((guint)len), octets, (guint)len);
}

GByteArray *
clv_kms_body_decode(const guint8 *body, gsize len, gboolean *out_binary)
{
    const char *text = (const char *)body;
    MikeyBuffer octets = MIKEY_BUFFER_INIT;
    GByteArray *decoded = NULL;
    gboolean binary = len > 0 && body[0] == MIKEY_VERSION_1;

    if (out_binary != NULL)
        *out_binary = binary;
    if (binary)
        return copy_octets(body, len);
    while (len > 0 && g_ascii_isspace(text[0])) {
        text++;
        len--;
    }
    while (len > 0 && g_ascii_isspace(text[len - 1]))
        len--;
    if (mikey_base64_decode(mikey_bytes(text, len), &octets) == MIKEY_OK && octets.len > 0 &&
        octets.data[0] == MIKEY_VERSION_1)
        decoded = copy_octets(octets.data, octets.len);
    mikey_buffer_clear(&octets);
    return decoded;
}
