/* SPDX-License-Identifier: Apache-2.0 */
/* kms/keyload.h - a key file while it is read; inside of the room
 *
 *   keyfile.c   the file as a whole: sections, birth and death
 *   keyset.c    which keys there are, and what each sets
 *   keycheck.c  what concerns more than one line
 */
#pragma once

#include "base/option.h"
#include "kms/keyfile.h"

typedef struct Loader {
    const char *name;   /* of the file, for messages */
    const char *folder; /* (nullable) where other files are looked for; NULL: there are none */
    GPtrArray *errors;
    ClvKmsKeyFile *keys;
    GHashTable *targets; /* group -> what it makes */
} Loader;

void clv_kms_complain(const Loader *loader, guint line, const char *format, ...)
    G_GNUC_PRINTF(3, 4);
/* Sets what @entry says in @target, or complains. */
void clv_kms_keys_apply_entry(const Loader *loader, gpointer target, const ClvIniEntry *entry);
void clv_kms_keys_check_whole(const Loader *loader);

/* "user" of "user alice" */
gsize clv_kms_keys_kind_len(const char *group);
