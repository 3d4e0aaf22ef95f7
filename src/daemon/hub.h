/* SPDX-License-Identifier: Apache-2.0 */
/* daemon/hub.h - the one room that sees all: events in, actions out, across the rooms
 *
 * Wires the engines (sip, media, kms, admin) to the logic (conference, keymgmt, policy). It has no
 * logic of its own: every decision is asked for, every action obeyed in order. Signalling thread.
 */
#pragma once

#include "daemon/config.h"
#include "sip/loop.h"

typedef struct ClvHub ClvHub;

/* config must outlive the hub. Errors are sentences for the operator. */
ClvHub *clv_hub_new(ClvLoop *loop, const ClvConfig *config, GError **error);
/* Everything has been ended before (clv_hub_shutdown), or is dropped now. */
void clv_hub_free(ClvHub *hub);

/* Policies, users and KMS keys are read again; what is wrong stays as it was and is logged.
 * Returns: TRUE when all of it was good; errors: (element-type utf8) (nullable) takes the rest */
gboolean clv_hub_reload(ClvHub *hub, GPtrArray *errors);

/* Ends every conference, refuses new calls, and quits the loop when all BYEs are answered or two
 * seconds have passed. */
void clv_hub_shutdown(ClvHub *hub);

/* For the ready message. */
const char *const *clv_hub_listening(const ClvHub *hub);
const char *clv_hub_kms_url(const ClvHub *hub);
const char *clv_hub_factory_uri(const ClvHub *hub); /* (nullable) the first */

/* For the watchdog: has every media thread ticked since this was asked last? */
gboolean clv_hub_media_alive(ClvHub *hub);
