/* SPDX-License-Identifier: Apache-2.0 */
/* keymgmt/schemes.h - the schemes that are built in; private to the room and its plugins */
#pragma once

#include "keymgmt/keymgmt.h"

extern const ClvKeymgmtOps clv_mikey_ticket_ops; /* plugins/keymgmt/mikey-ticket */
extern const ClvKeymgmtOps clv_sdes_ops;         /* plugins/keymgmt/sdes */
