/* SPDX-License-Identifier: Apache-2.0 */
/* kms/tpk.h - the keys that protect the inside of tickets: which is new, which are still needed?
 *
 * The first one is for new tickets; the others open those that were made before, as long as any of
 * them can be valid. Pure; the owner locks.
 */
#pragma once

#include "base/secret.h"

#define CLV_KMS_TPK_LEN 32u
#define CLV_KMS_TPK_NAME_LEN 20u /* "tpk-" and 16 hexadecimal digits */
#define CLV_KMS_MAX_TPKS 1024u

typedef struct ClvKmsTpk {
    char name[CLV_KMS_TPK_NAME_LEN + 1]; /* says which key it is and nothing about it */
    ClvSecret *secret;
    gint64 made_s;
    gint64 retired_s; /* 0: in force, or from a file that decides itself */
    gint64 longest_s; /* longest lifetime of a ticket while it was in force; 0: not known */
} ClvKmsTpk;

typedef struct ClvKmsTpks ClvKmsTpks;

ClvKmsTpks *clv_kms_tpks_new(void);
ClvKmsTpks *clv_kms_tpks_copy(const ClvKmsTpks *tpks);
void clv_kms_tpks_free(ClvKmsTpks *tpks);
guint clv_kms_tpks_n(const ClvKmsTpks *tpks);
const ClvKmsTpk *clv_kms_tpks_at(const ClvKmsTpks *tpks, guint i);
/* Returns: (transfer none) (nullable) */
const ClvKmsTpk *clv_kms_tpks_find(const ClvKmsTpks *tpks, const guint8 *name, gsize len);

/* To the front; a key that is there already moves. */
void clv_kms_tpks_put_first(ClvKmsTpks *tpks, const guint8 *bytes, gint64 now_s);
/* To the end, as it was kept. */
void clv_kms_tpks_append(ClvKmsTpks *tpks, const ClvKmsTpk *like, const guint8 *bytes);
/* The first one makes way for a new one. */
void clv_kms_tpks_rotate(ClvKmsTpks *tpks, const guint8 *bytes, gint64 now_s);
/* Returns: whether anything was changed */
gboolean clv_kms_tpks_note_longest(ClvKmsTpks *tpks, gint64 longest_s);
/* Those whose last ticket has ended. Returns: whether any was dropped */
gboolean clv_kms_tpks_forget(ClvKmsTpks *tpks, gint64 now_s);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(ClvKmsTpks, clv_kms_tpks_free)
