/* SPDX-License-Identifier: Apache-2.0 */
/* kms/memory.h - has this message been answered before, and how? inside of the room
 *
 * Digests of authenticated messages are kept until the time check alone would refuse them; the
 * answers themselves only for the seconds in which a client may send the same octets again. When
 * it is full, new messages are refused rather than old ones forgotten. Thread safe; no clock.
 */
#pragma once

#include <glib.h>

#define CLV_KMS_MEMORY_DIGEST 32u
#define CLV_KMS_MEMORY_MAX_LIFE_S 8000 /* two clock skews, at their largest */

typedef struct ClvKmsMemory ClvKmsMemory;

ClvKmsMemory *clv_kms_memory_new(gsize max_entries);
void clv_kms_memory_free(ClvKmsMemory *memory);
void clv_kms_memory_set_max(ClvKmsMemory *memory, gsize max_entries);

typedef enum ClvKmsMemoryVerdict {
    CLV_KMS_MEMORY_FRESH,    /* entered; clv_kms_memory_settle() must follow */
    CLV_KMS_MEMORY_ANSWERED, /* the same octets again: *out_answer is what they got */
    CLV_KMS_MEMORY_REPLAYED, /* the same octets again, too late */
    CLV_KMS_MEMORY_FULL,     /* or the owner's part of it is */
} ClvKmsMemoryVerdict;

/* Waits while another thread is working on the same octets. @owner: who may fill no more than one
 * of
 * @parts, so that nobody alone keeps all others out */
ClvKmsMemoryVerdict clv_kms_memory_enter(ClvKmsMemory *memory, const char *owner, guint parts,
                                         const guint8 *digest, gint64 now_us, gint64 expires_us,
                                         GByteArray **out_answer);
/* answer: (nullable): copied */
void clv_kms_memory_settle(ClvKmsMemory *memory, const guint8 *digest, const guint8 *answer,
                           gsize len, gint64 now_us);
/* What an earlier process took: a replay whenever it comes. Takes room of the others. */
void clv_kms_memory_recall(ClvKmsMemory *memory, const guint8 *digest, gint64 now_us,
                           gint64 expires_us);
/* The answer will take long: until it is settled the same octets are a replay, nobody waits. */
void clv_kms_memory_park(ClvKmsMemory *memory, const guint8 *digest);
guint clv_kms_memory_size(ClvKmsMemory *memory);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(ClvKmsMemory, clv_kms_memory_free)
