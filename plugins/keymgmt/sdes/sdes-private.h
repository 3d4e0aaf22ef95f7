/* SPDX-License-Identifier: Apache-2.0 */
/* sdes/sdes-private.h - what the two sides of this scheme share */
#pragma once

#include "crypto-line.h"

/* Answerer and offerer begin with this. */
struct ClvKeymgmtState {
    ClvKeymgmtNext (*step)(ClvKeymgmtState *state, const ClvKeymgmtInput *in, ClvKeymgmtOutput *out,
                           GError **error);
    void (*close)(ClvKeymgmtState *state);
};

/* A fresh key for @suite, without an MKI; @out_keys is untouched on failure. */
gboolean clv_sdes_make_key(const ClvKeymgmtConfig *config, ClvSrtpSuite suite,
                           ClvSrtpKeys *out_keys, GError **error);

ClvKeymgmtState *clv_sdes_call(const ClvKeymgmtCall *call, GError **error);
