/* SPDX-License-Identifier: Apache-2.0 */
/* libmikey/mikey.h - what do these MIKEY octets say, and do the keys fit?
 *
 * MIKEY (RFC 3830) with tickets (RFC 6043). Pure: time and randomness are passed in, nothing is
 * read or sent, nothing is logged. One thread at a time per object.
 */
#pragma once

#include <libmikey/base.h>
#include <libmikey/cursor.h>
#include <libmikey/exchange.h>
#include <libmikey/header.h>
#include <libmikey/kms.h>
#include <libmikey/payload.h>
#include <libmikey/pk.h>
#include <libmikey/prf.h>
#include <libmikey/sdp.h>
#include <libmikey/seal.h>
#include <libmikey/srtp.h>
#include <libmikey/ticket.h>
