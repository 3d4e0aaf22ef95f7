/* SPDX-License-Identifier: Apache-2.0 */
/* mikey-ticket/lines.c - which message do the a=key-mgmt lines of this offer or answer carry?
 *
 * RFC 4567: a line at media level stands in place of those at session level for its m-line; each
 * protocol may be there once on a level; the message repeats the list of all protocols on its
 * level under its MAC, against bidding down; and when one line of the protocol is wrong, the whole
 * offer is refused, whether we use that line or not.
 */
#include "config.h"

#include <string.h>

#include "ticket-private.h"

/* The lines of one level of an SDP. */
typedef struct Level {
    char *const *values;
    guint n_values;
} Level;

static const char protocol[] = "mikey";

static Level
session_level(const ClvSdp *offer)
{
    return (Level){offer->keymgmt, offer->n_keymgmt};
}

/* Protocol id of a value; empty when there is none. */
static MikeyBytes
protocol_of(const char *value)
{
    gsize len;

    if (*value == ' ')
        value++;
    len = strcspn(value, " ");
    return mikey_bytes(value, value[len] == ' ' ? len : 0);
}

static gboolean
is_ours(const char *value)
{
    return mikey_bytes_equal(protocol_of(value), mikey_bytes_str(protocol));
}

static const char *
find_value(Level level)
{
    for (guint i = 0; i < level.n_values; i++) {
        if (is_ours(level.values[i]))
            return level.values[i];
    }
    return NULL;
}

/* The level that rules an m-line, or the session's for G_MAXUINT. */
static Level
level_for(const ClvSdp *offer, guint media_index, gboolean *out_at_session)
{
    const ClvSdpMedia *media = media_index < offer->n_media ? &offer->media[media_index] : NULL;

    *out_at_session = media == NULL || media->n_keymgmt == 0;
    return *out_at_session ? session_level(offer) : (Level){media->keymgmt, media->n_keymgmt};
}

gboolean
clv_ticket_offered(const ClvSdp *offer, guint media_index)
{
    gboolean at_session;

    return find_value(level_for(offer, media_index, &at_session)) != NULL;
}

char *
clv_ticket_offer_id(const ClvSdp *offer, guint media_index)
{
    gboolean at_session;
    const char *value = find_value(level_for(offer, media_index, &at_session));
    g_autofree char *hash = NULL;

    if (value == NULL)
        return NULL;

    value += *value == ' ';
    hash = g_compute_checksum_for_string(G_CHECKSUM_SHA256, value, -1);
    return g_strdup_printf("mikey-ticket:%u:%s", at_session ? 0 : media_index + 1, hash);
}

/* ---- reading ---- */

static gboolean
read_protocols(Level level, MikeyBytes *out_ids, TicketRefusal *refusal)
{
    guint n_ours = 0;

    for (guint i = 0; i < level.n_values; i++) {
        out_ids[i] = protocol_of(level.values[i]);
        if (out_ids[i].len == 0)
            return clv_ticket_refuse(refusal, CLV_CODE_KEYMGMT_FAILED, MIKEY_MALFORMED,
                                     "a=key-mgmt without protocol or data");
        n_ours += is_ours(level.values[i]) ? 1 : 0;
    }
    if (n_ours > 1)
        return clv_ticket_refuse(refusal, CLV_CODE_KEYMGMT_FAILED, MIKEY_DUPLICATE,
                                 "several a=key-mgmt lines for mikey on one level");
    return TRUE;
}

static gboolean
has_list(const MikeyMessage *message)
{
    for (gsize i = 0; i < mikey_message_n_payloads(message); i++) {
        const MikeyPayload *payload = mikey_message_payload(message, i);

        if (payload->number == MIKEY_GENERAL_EXT && payload->u.ext.type == MIKEY_EXT_SDP_IDS)
            return TRUE;
    }
    return FALSE;
}

/* Is this a TRANSFER_INIT whose list of protocols is that of the SDP? The message of a REFER need
 * not have stood in an SDP, so it need not have a list. */
static gboolean
check_message(MikeyBytes octets, const MikeyBytes *ids, guint n_ids, ClvPurpose purpose,
              TicketRefusal *refusal)
{
    MikeyMessage *message = NULL;
    MikeyStatus status = mikey_message_parse(octets, &message);

    if (status == MIKEY_OK && mikey_message_header(message)->type != MIKEY_TRANSFER_INIT)
        status = MIKEY_BAD_DATA_TYPE;
    if (status == MIKEY_OK && (purpose != CLV_PURPOSE_REFER || has_list(message)))
        status = mikey_sdp_ids_check(message, ids, n_ids);
    mikey_message_free(message);

    return status == MIKEY_OK || clv_ticket_refuse_peer(refusal, status, "a=key-mgmt:mikey");
}

/* The message of a level; none is fine. After a refusal it is the one at fault. */
static gboolean
read_level(Level level, ClvPurpose purpose, MikeyBuffer *out_message, TicketRefusal *refusal)
{
    MikeyBytes ids[CLV_SDP_MAX_KEYLINES];
    const char *value;
    MikeyStatus status;

    if (!read_protocols(level, ids, refusal))
        return FALSE;
    value = find_value(level);
    if (value == NULL)
        return TRUE;

    status = mikey_sdp_decode(mikey_bytes_str(value), out_message);
    if (status != MIKEY_OK)
        return clv_ticket_refuse_peer(refusal, status, "a=key-mgmt:mikey");
    return check_message(mikey_bytes(out_message->data, out_message->len), ids, level.n_values,
                         purpose, refusal);
}

/* Lines of an m-line count when it is alive and not one of plain RTP. */
static gboolean
is_in_force(const ClvSdpMedia *media)
{
    return media->port != 0 && g_ascii_strcasecmp(media->proto, "RTP/AVP") != 0 &&
           g_ascii_strcasecmp(media->proto, "RTP/AVPF") != 0;
}

/* Levels that do not key our m-line must be right all the same. */
static gboolean
check_other_levels(const ClvSdp *offer, guint media_index, ClvPurpose purpose, gboolean at_session,
                   MikeyBuffer *message, TicketRefusal *refusal)
{
    if (!at_session) {
        if (!read_level(session_level(offer), purpose, message, refusal))
            return FALSE;
        mikey_buffer_clear(message);
    }
    for (guint i = 0; i < offer->n_media; i++) {
        const ClvSdpMedia *media = &offer->media[i];

        if (i == media_index || !is_in_force(media))
            continue;
        if (!read_level((Level){media->keymgmt, media->n_keymgmt}, purpose, message, refusal))
            return FALSE;
        mikey_buffer_clear(message);
    }
    return TRUE;
}

gboolean
clv_ticket_lines_read(const ClvSdp *offer, guint media_index, ClvPurpose purpose,
                      TicketLines *out_lines, TicketRefusal *refusal)
{
    Level level = level_for(offer, media_index, &out_lines->at_session);

    out_lines->media_line = media_index < offer->n_media ? media_index + 1 : 0;
    if (!check_other_levels(offer, media_index, purpose, out_lines->at_session, &out_lines->message,
                            refusal))
        return FALSE;
    if (!read_level(level, purpose, &out_lines->message, refusal))
        return FALSE;
    if (out_lines->message.len == 0)
        return clv_ticket_refuse(refusal, CLV_CODE_KEYMGMT_UNACCEPTABLE, MIKEY_MISSING,
                                 "no a=key-mgmt:mikey is offered");
    return TRUE;
}

void
clv_ticket_lines_clear(TicketLines *lines)
{
    mikey_buffer_clear(&lines->message);
}

/* ---- answers ---- */

gboolean
clv_ticket_answer_read(const ClvSdp *answer, guint media_line, MikeyBuffer *out_message,
                       TicketRefusal *refusal)
{
    MikeyBytes ids[CLV_SDP_MAX_KEYLINES];
    gboolean at_session = TRUE;
    MikeyStatus status;

    if (media_line > answer->n_media)
        return clv_ticket_refuse(refusal, CLV_CODE_KEYMGMT_FAILED, MIKEY_MISSING,
                                 "the answer has no m-line %u", media_line);
    if (media_line > 0)
        level_for(answer, media_line - 1, &at_session);
    if (!at_session)
        return clv_ticket_refuse(refusal, CLV_CODE_KEYMGMT_FAILED, MIKEY_MISSING,
                                 "the answer has a=key-mgmt at media level, the offer had it at "
                                 "session level");
    if (!read_protocols(session_level(answer), ids, refusal))
        return FALSE;
    if (answer->n_keymgmt != 1 || !is_ours(answer->keymgmt[0]))
        return clv_ticket_refuse(refusal, CLV_CODE_KEYMGMT_FAILED, MIKEY_MISSING,
                                 "the answer has no TRANSFER_RESP, or something besides it");

    status = mikey_sdp_decode(mikey_bytes_str(answer->keymgmt[0]), out_message);
    return status == MIKEY_OK || clv_ticket_refuse_peer(refusal, status, "a=key-mgmt:mikey");
}
