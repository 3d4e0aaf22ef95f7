/* SPDX-License-Identifier: Apache-2.0 */
/* sip/loop-private.h - the Sofia root behind the loop, for the sip room alone */
#pragma once

#include "sip/loop.h"

#include <sofia-sip/su_wait.h>

su_root_t *clv_loop_root(ClvLoop *loop);

/* Between the two, Sofia's loop in this thread waits where it would spin (wait-shim.c). */
void clv_wait_shim_enter(void);
void clv_wait_shim_leave(void);
