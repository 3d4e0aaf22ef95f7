/* SPDX-License-Identifier: Apache-2.0 */
/* kms/listing.h - the octets by which a conference system announces a conference; inside of the
 * room
 *
 * Lines of text in a fixed order, the last one a MAC by the user's key over all before it, the
 * method and the kind of the request. Pure.
 */
#pragma once

#include "kms/kms.h"

#define CLV_KMS_LIST_TYPE "application/conclave-conference-list"
#define CLV_KMS_LIST_REQUEST "conferencelist"
#define CLV_KMS_LIST_MAX 4096u
#define CLV_KMS_LIST_MAC_LEN 32u

typedef struct ClvKmsList {
    gboolean withdraw;
    char *user, *kms, *conference; /* as they came */
    gint64 lifetime_s;             /* 0: as long as may be */
    gint64 made_us;
    gboolean has_mac;
    guint8 mac[CLV_KMS_LIST_MAC_LEN];
    gsize covered; /* octets of the text that the MAC is over */
} ClvKmsList;

void clv_kms_list_clear(ClvKmsList *list);
/* FALSE: not such a text */
gboolean clv_kms_list_parse(const guint8 *octets, gsize len, ClvKmsList *out);
gboolean clv_kms_list_verify(const ClvKmsList *list, const guint8 *octets, const guint8 *psk,
                             gsize psk_len);
/* Returns: (transfer full) (nullable): NULL when it cannot be written */
GByteArray *clv_kms_list_write(const ClvKmsListing *listing, gboolean withdraw, gint64 now_us);
