/* SPDX-License-Identifier: Apache-2.0 */
/* sip/refer-to.h - a URI with a method and escaped header fields: whom to call, and how?
 *
 * The form in which a Refer-To (RFC 3515) and the entry of a URI list (RFC 5366) speak. Pure;
 * private to the room.
 */
#pragma once

#include "conference/vocabulary.h"

#define CLV_REFER_TO_MAX 4096

typedef enum ClvReferToVerdict {
    CLV_REFER_TO_OK,
    CLV_REFER_TO_MALFORMED, /* 400 */
    CLV_REFER_TO_FOREIGN,   /* 403: a scheme or method that is none of ours */
} ClvReferToVerdict;

typedef struct ClvReferTo {
    char *target;                      /* canonical */
    gboolean removes;                  /* method=BYE */
    char *replaces;                    /* (nullable) */
    gboolean names_dialog;             /* Call-ID, and From and To with tags */
    char *call_id, *from_tag, *to_tag; /* (nullable) */
} ClvReferTo;

/* uri: sip:, sips: or tel:, without angle brackets. Fill only with OK; clear it in any case. */
ClvReferToVerdict clv_refer_to_parse(const char *uri, ClvReferTo *out);
void clv_refer_to_clear(ClvReferTo *refer_to);
/* call-id;to-tag=...;from-tag=... of Replaces and Join, or ;local-tag=...;remote-tag=... of
 * Target-Dialog; parameters in any order. */
gboolean clv_dialog_name_parse(const char *value, const char *tag_name, const char *other_name,
                               char **out_call_id, char **out_tag, char **out_other,
                               gboolean *out_early_only);
