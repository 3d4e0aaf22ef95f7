/* SPDX-License-Identifier: Apache-2.0 */
/* ua/ticket-file.c - lines of "name hex", keys as the key data payloads they came in */
#include "ua/ticket-file.h"

#include "base/secret.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <string.h>
#include <sys/stat.h>

#define HEADING "conclave-ua ticket 1"
#define MAX_FILE (1u << 20)

G_DEFINE_QUARK(clv_ua_ticket_error, clv_ua_ticket_error)

static void
append_hex(GString *out, const char *name, const uint8_t *octets, size_t len)
{
    g_string_append_printf(out, "%s ", name);
    for (size_t i = 0; i < len; i++)
        g_string_append_printf(out, "%02x", octets[i]);
    g_string_append_c(out, '\n');
}

static void
append_key(GString *out, const char *name, const MikeyKey *key)
{
    if (key != NULL && key->len > 0)
        append_hex(out, name, key->bytes, key->len);
}

gboolean
clv_ua_ticket_write(const char *path, const MikeyGrant *grant, GError **error)
{
    MikeyBytes ticket = mikey_ticket_octets(mikey_grant_ticket(grant));
    /* sized so that it never moves and leaves copies behind */
    GString *out = g_string_sized_new(2 * ticket.len + 16384);
    gboolean good;

    g_string_append(out, HEADING "\n");
    append_hex(out, "ticket", ticket.data, ticket.len);
    append_key(out, "mpki", mikey_grant_mpki(grant));
    append_key(out, "mpkr", mikey_grant_mpkr(grant));
    for (size_t i = 0; i < mikey_grant_n_keys(grant); i++) {
        MikeyWriter writer = MIKEY_WRITER_INIT;
        MikeyBytes octets;

        mikey_key_data_write(&writer, 0, mikey_grant_key(grant, i));
        octets = mikey_writer_octets(&writer);
        append_hex(out, "key", octets.data, octets.len);
        mikey_writer_clear(&writer);
    }
    good = g_file_set_contents_full(path, out->str, (gssize)out->len,
                                    G_FILE_SET_CONTENTS_CONSISTENT, 0600, error);
    OPENSSL_cleanse(out->str, out->allocated_len);
    g_string_free(out, TRUE);
    return good;
}

/* Returns: octets, or -1 for a text that is no hex or too long */
static gssize
read_hex(const char *text, uint8_t *out, gsize room)
{
    gsize n = strlen(text);

    if (n % 2 != 0 || n / 2 > room)
        return -1;
    for (gsize i = 0; i < n / 2; i++) {
        int high = g_ascii_xdigit_value(text[2 * i]);
        int low = g_ascii_xdigit_value(text[2 * i + 1]);

        if (high < 0 || low < 0)
            return -1;
        out[i] = (uint8_t)(high << 4 | low);
    }
    return (gssize)(n / 2);
}

typedef struct Parts {
    uint8_t *ticket; /* room for half the file */
    gsize ticket_room;
    gsize ticket_len;
    MikeyKey mpki, mpkr;
    MikeyKeyData keys[MIKEY_MAX_KEYS];
    size_t n_keys;
} Parts;

static gboolean
read_key(const char *hex, MikeyKey *key)
{
    gssize n = read_hex(hex, key->bytes, sizeof key->bytes);

    key->len = n > 0 ? (size_t)n : 0;
    return n > 0;
}

static gboolean
read_key_data(const char *hex, Parts *parts)
{
    uint8_t octets[1024];
    gssize n = read_hex(hex, octets, sizeof octets);
    MikeyReader reader;
    uint8_t next;
    gboolean good;

    if (n <= 0 || parts->n_keys == MIKEY_MAX_KEYS)
        return FALSE;
    reader = mikey_reader(mikey_bytes(octets, (size_t)n));
    good = mikey_key_data_read(&reader, &next, &parts->keys[parts->n_keys]) == MIKEY_OK;
    if (good)
        parts->n_keys++;
    OPENSSL_cleanse(octets, sizeof octets);
    return good;
}

static gboolean
read_line(char *line, Parts *parts)
{
    char *space = strchr(line, ' ');
    const char *hex = space != NULL ? space + 1 : "";

    if (space == NULL)
        return FALSE;
    *space = '\0';
    if (strcmp(line, "ticket") == 0) {
        gssize n = read_hex(hex, parts->ticket, parts->ticket_room);

        parts->ticket_len = n > 0 ? (gsize)n : 0;
        return n > 0;
    }
    if (strcmp(line, "mpki") == 0)
        return read_key(hex, &parts->mpki);
    if (strcmp(line, "mpkr") == 0)
        return read_key(hex, &parts->mpkr);
    return strcmp(line, "key") == 0 && read_key_data(hex, parts);
}

static MikeyGrant *
make_grant(const char *path, Parts *parts, GError **error)
{
    MikeyTicket *ticket = NULL;
    MikeyGrant *grant = NULL;
    MikeyStatus status = mikey_ticket_parse(mikey_bytes(parts->ticket, parts->ticket_len), &ticket);

    if (status == MIKEY_OK)
        status = mikey_grant_new(ticket, &parts->mpki, parts->mpkr.len > 0 ? &parts->mpkr : NULL,
                                 parts->keys, parts->n_keys, &grant);
    mikey_ticket_free(ticket);
    if (status != MIKEY_OK)
        g_set_error(error, CLV_UA_TICKET_ERROR, (int)status, "%s: %s", path,
                    mikey_status_string(status));
    return grant;
}

static gboolean
check_mode(const char *path, GError **error)
{
    struct stat about;

    if (stat(path, &about) < 0) {
        g_set_error(error, CLV_UA_TICKET_ERROR, errno, "%s: %s", path, g_strerror(errno));
        return FALSE;
    }
    if ((about.st_mode & 077) != 0 || about.st_size > MAX_FILE) {
        g_set_error(error, CLV_UA_TICKET_ERROR, 0,
                    "%s: mode %04o, %" G_GINT64_FORMAT " octets; expected a ticket file of mode "
                    "0600",
                    path, about.st_mode & 07777, (gint64)about.st_size);
        return FALSE;
    }
    return TRUE;
}

MikeyGrant *
clv_ua_ticket_read(const char *path, GError **error)
{
    char *text = NULL, *at, *line;
    gsize len = 0;
    guint number = 1;
    Parts *parts;
    MikeyGrant *grant = NULL;

    if (!check_mode(path, error) || !g_file_get_contents(path, &text, &len, error))
        return NULL;

    parts = g_new0(Parts, 1);
    parts->ticket_room = len / 2;
    parts->ticket = g_malloc0(len + 1);
    at = text;
    line = strsep(&at, "\n");
    if (line == NULL || strcmp(line, HEADING) != 0) {
        g_set_error(error, CLV_UA_TICKET_ERROR, 0, "%s:1: expected '%s'", path, HEADING);
    } else {
        gboolean good = TRUE;

        while (good && (line = strsep(&at, "\n")) != NULL) {
            number++;
            good = *line == '\0' || read_line(line, parts);
        }
        if (good)
            grant = make_grant(path, parts, error);
        else
            g_set_error(error, CLV_UA_TICKET_ERROR, 0, "%s:%u: not understood", path, number);
    }
    OPENSSL_cleanse(text, len);
    g_free(text);
    OPENSSL_cleanse(parts->ticket, len);
    g_free(parts->ticket);
    OPENSSL_cleanse(parts, sizeof *parts);
    g_free(parts);
    return grant;
}
