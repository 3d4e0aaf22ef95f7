/* SPDX-License-Identifier: Apache-2.0 */
/* libmikey/sdp.c - base64, the value of a=key-mgmt, and the list of protocols */
#include <libmikey/private.h>

#include <string.h>

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
static const char protocol[] = "mikey";

#define PROTOCOL_LEN (sizeof(protocol) - 1)

static size_t
base64_len(size_t len)
{
    return (len + 2) / 3 * 4;
}

/* Writes base64_len(octets.len) characters */
static void
encode(MikeyBytes octets, uint8_t *text)
{
    for (size_t i = 0; i < octets.len; i += 3, text += 4) {
        size_t n = octets.len - i < 3 ? octets.len - i : 3;
        uint32_t group = 0;

        for (size_t j = 0; j < 3; j++)
            group = group << 8 | (j < n ? octets.data[i + j] : 0u);
        for (size_t j = 0; j < 4; j++)
            text[j] = j <= n ? (uint8_t)alphabet[group >> (18 - 6 * j) & 63u] : '=';
    }
}

/* Text with @prefix in front and a zero octet behind */
static MikeyStatus
encode_text(MikeyBytes prefix, MikeyBytes octets, MikeyBuffer *out_text)
{
    size_t len;
    uint8_t *text;

    if (octets.len > MIKEY_MAX_MESSAGE)
        return MIKEY_TOO_LARGE;
    len = prefix.len + base64_len(octets.len);
    text = mikey_alloc(len + 1);
    if (text == NULL)
        return MIKEY_NO_MEMORY;
    memcpy(text, prefix.data, prefix.len);
    encode(octets, text + prefix.len);
    out_text->data = text;
    out_text->len = len;
    return MIKEY_OK;
}

MikeyStatus
mikey_base64_encode(MikeyBytes octets, MikeyBuffer *out_text)
{
    return encode_text(mikey_bytes("", 0), octets, out_text);
}

static bool
digit(uint8_t character, uint32_t *out)
{
    const char *at = character != 0 ? strchr(alphabet, character) : NULL;

    if (at == NULL)
        return false;
    *out = (uint32_t)(at - alphabet);
    return true;
}

/* Four characters, @n of them digits, to n - 1 octets */
static bool
decode_group(const uint8_t *text, size_t n, uint8_t *out)
{
    uint32_t group = 0;

    for (size_t i = 0; i < 4; i++) {
        uint32_t value = 0;

        if (i < n && !digit(text[i], &value))
            return false;
        group = group << 6 | value;
    }
    for (size_t i = 0; i + 1 < n; i++)
        out[i] = (uint8_t)(group >> (16 - 8 * i));
    /* what is left over must be zero, so that there is one spelling alone */
    return n == 4 || (group & (n == 3 ? 0xffu : 0xffffu)) == 0;
}

static size_t
padding_of(MikeyBytes text)
{
    if (text.len == 0 || text.data[text.len - 1] != '=')
        return 0;
    return text.data[text.len - 2] == '=' ? 2 : 1;
}

MikeyStatus
mikey_base64_decode(MikeyBytes text, MikeyBuffer *out_octets)
{
    size_t padding, len;
    uint8_t *octets;

    if (text.len > base64_len(MIKEY_MAX_MESSAGE))
        return MIKEY_TOO_LARGE;
    if (text.len % 4 != 0)
        return MIKEY_MALFORMED;
    padding = padding_of(text);
    len = text.len / 4 * 3 - padding;
    octets = mikey_alloc(len);
    if (octets == NULL)
        return MIKEY_NO_MEMORY;
    for (size_t i = 0; i < text.len; i += 4) {
        size_t n = i + 4 == text.len ? 4 - padding : 4;

        if (!decode_group(text.data + i, n, octets + i / 4 * 3)) {
            mikey_release(octets);
            return MIKEY_MALFORMED;
        }
    }
    out_octets->data = octets;
    out_octets->len = len;
    return MIKEY_OK;
}

MikeyStatus
mikey_sdp_encode(MikeyBytes message, MikeyBuffer *out_value)
{
    return encode_text(mikey_bytes_str("mikey "), message, out_value);
}

MikeyStatus
mikey_sdp_decode(MikeyBytes value, MikeyBuffer *out_message)
{
    MikeyReader r = mikey_reader(value);
    MikeyBytes id;

    if (value.len > 0 && value.data[0] == ' ')
        mikey_read_u8(&r);
    id = mikey_read_bytes(&r, PROTOCOL_LEN);
    if (!mikey_bytes_equal(id, mikey_bytes_str(protocol)) || mikey_read_u8(&r) != ' ')
        return MIKEY_BAD_PROTOCOL;
    return mikey_base64_decode(mikey_read_bytes(&r, r.left), out_message);
}

MikeyStatus
mikey_sdp_ids(const MikeyBytes *ids, size_t n_ids, MikeyBuffer *out_list)
{
    MikeyWriter w = MIKEY_WRITER_INIT;

    for (size_t i = 0; i < n_ids; i++) {
        if (i > 0)
            mikey_write_u8(&w, ';');
        mikey_write_bytes(&w, ids[i]);
    }
    return mikey_writer_finish(&w, out_list);
}

MikeyStatus
mikey_sdp_ids_check(const MikeyMessage *message, const MikeyBytes *ids, size_t n_ids)
{
    const MikeyExt *found = NULL;
    MikeyBuffer list = MIKEY_BUFFER_INIT;
    MikeyStatus status;

    for (size_t i = 0; i < message->n_payloads; i++) {
        const MikeyPayload *payload = &message->payloads[i];

        if (payload->number != MIKEY_GENERAL_EXT || payload->u.ext.type != MIKEY_EXT_SDP_IDS)
            continue;
        if (found != NULL)
            return MIKEY_SDP_IDS_DIFFER;
        found = &payload->u.ext;
    }
    if (found == NULL || n_ids == 0)
        return MIKEY_SDP_IDS_DIFFER;
    status = mikey_sdp_ids(ids, n_ids, &list);
    if (status != MIKEY_OK)
        return status;
    if (!mikey_bytes_equal(found->data, mikey_buffer_bytes(&list)))
        status = MIKEY_SDP_IDS_DIFFER;
    mikey_buffer_clear(&list);
    return status;
}
