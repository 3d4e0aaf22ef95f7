/* SPDX-License-Identifier: Apache-2.0 */
/* sip/invite-body.c - what an INVITE carries: SDP alone, or SDP and a list of who shall be called
 */
#include "config.h"

#include "sip/multipart.h"
#include "sip/resource-list.h"
#include "sip/sip-private.h"

#include <string.h>

#define SDP "application/sdp"
#define LIST "application/resource-lists+xml"
#define MIXED "multipart/mixed"

static gboolean
has_body(const sip_t *msg)
{
    return msg->sip_payload != NULL && msg->sip_payload->pl_len > 0;
}

static gboolean
is_type(const sip_t *msg, const char *type)
{
    const sip_content_type_t *t = msg->sip_content_type;

    if (t == NULL || t->c_type == NULL)
        return strcmp(type, SDP) == 0; /* of old */
    return g_ascii_strcasecmp(t->c_type, type) == 0;
}

gboolean
clv_body_is_encoded(const sip_t *msg)
{
    const sip_content_encoding_t *encoding = msg->sip_content_encoding;

    return encoding != NULL && encoding->k_items != NULL && encoding->k_items[0] != NULL &&
           g_ascii_strcasecmp(encoding->k_items[0], "identity") != 0;
}

/* The parts of the body; a body of one part is one. FALSE: malformed. */
static gboolean
split(const sip_t *msg, ClvPart parts[CLV_MULTIPART_MAX_PARTS], guint *out_n)
{
    *out_n = 0;
    if (!has_body(msg) || clv_body_is_encoded(msg))
        return TRUE;
    if (is_type(msg, MIXED))
        return clv_multipart_split(msg_params_find(msg->sip_content_type->c_params, "boundary="),
                                   msg->sip_payload->pl_data, msg->sip_payload->pl_len, parts,
                                   out_n);
    memset(parts, 0, sizeof(*parts));
    g_strlcpy(parts->type,
              is_type(msg, SDP)    ? SDP
              : is_type(msg, LIST) ? LIST
                                   : "other",
              sizeof(parts->type));
    parts->body = msg->sip_payload->pl_data;
    parts->len = msg->sip_payload->pl_len;
    *out_n = 1;
    return TRUE;
}

static const ClvPart *
part_of(const ClvPart *parts, guint n, const char *type)
{
    for (guint i = 0; i < n; i++) {
        if (strcmp(parts[i].type, type) == 0)
            return &parts[i];
    }
    return NULL;
}

/* Each part must be one that we read, or one that we need not. Lists come in INVITEs alone. */
gboolean
clv_body_is_ours(const sip_t *msg)
{
    gboolean may_list = msg->sip_request->rq_method == sip_method_invite;
    ClvPart parts[CLV_MULTIPART_MAX_PARTS];
    guint n;

    if (clv_body_is_encoded(msg) ||
        !(is_type(msg, SDP) || is_type(msg, MIXED) || (may_list && is_type(msg, LIST))))
        return FALSE;
    if (!split(msg, parts, &n))
        return TRUE; /* malformed, which is another matter */
    for (guint i = 0; i < n; i++) {
        if (strcmp(parts[i].type, SDP) != 0 && !parts[i].optional &&
            !(may_list && strcmp(parts[i].type, LIST) == 0))
            return FALSE;
    }
    return TRUE;
}

gboolean
clv_body_find_sdp(const sip_t *msg, const char **out, gsize *out_len)
{
    ClvPart parts[CLV_MULTIPART_MAX_PARTS];
    const ClvPart *sdp;
    guint n;

    *out = NULL;
    *out_len = 0;
    if (!split(msg, parts, &n))
        return FALSE;
    sdp = part_of(parts, n, SDP);
    if (sdp != NULL) {
        *out = sdp->body;
        *out_len = sdp->len;
    }
    return sdp == NULL || sdp->len > 0;
}

gboolean
clv_body_has_list(const sip_t *msg)
{
    ClvPart parts[CLV_MULTIPART_MAX_PARTS];
    guint n;

    return sip_has_feature(msg->sip_require, "recipient-list-invite") ||
           (split(msg, parts, &n) && part_of(parts, n, LIST) != NULL);
}

static ClvLegId
find_leg(void *user, const char *call_id, const char *tag, const char *other_tag)
{
    const Dialog *d = clv_dialog_find_by_tags(user, call_id, tag, other_tag);

    return d != NULL && d->state == DIALOG_LIVE ? d->id : 0;
}

static gboolean
refuse(ClvSip *sip, nta_incoming_t *irq, const char *phrase)
{
    clv_sip_count_refusal(sip, 400);
    nta_incoming_treply(irq, 400, phrase, TAG_END());
    return FALSE;
}

gboolean
clv_body_read_list(ClvSip *sip, nta_incoming_t *irq, const sip_t *msg, GPtrArray **out_list)
{
    ClvPart parts[CLV_MULTIPART_MAX_PARTS];
    const ClvPart *list;
    guint n;

    *out_list = NULL;
    if (!split(msg, parts, &n))
        return refuse(sip, irq, "Bad Body");
    list = part_of(parts, n, LIST);
    if (list == NULL)
        return !sip_has_feature(msg->sip_require, "recipient-list-invite") ||
               refuse(sip, irq, "Missing Recipient List");
    if (strcmp(list->disposition, "recipient-list-history") == 0)
        return TRUE; /* whom somebody else has called */
    *out_list = clv_resource_list_parse(list->body, list->len, find_leg, sip);
    return *out_list != NULL || refuse(sip, irq, "Bad Recipient List");
}
