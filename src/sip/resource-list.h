/* SPDX-License-Identifier: Apache-2.0 */
/* sip/resource-list.h - whom a list names (RFC 4826, 5366, 5364)
 *
 * Nested lists become one; external lists and references are passed over; each person stands in it
 * once. Entities, document types and other encodings than UTF-8 are refused. Pure; private.
 */
#pragma once

#include "conference/vocabulary.h"

/* Entries that are kept; any policy allows fewer, so a longer list is refused as too long (5.7). */
#define CLV_RESOURCE_LIST_MAX 1001

/* Which dialog of ours do escaped header fields of an entry name? 0: none. */
typedef ClvLegId (*ClvFindDialog)(void *user, const char *call_id, const char *tag,
                                  const char *other_tag);

/* Returns: (transfer full) (nullable): NULL when it is no such list. @find: (nullable) */
GPtrArray *clv_resource_list_parse(const char *xml, gsize len, ClvFindDialog find, void *user);
