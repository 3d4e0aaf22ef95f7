/* SPDX-License-Identifier: Apache-2.0 */
/* sip/sofia.h - Sofia-SIP with our own types behind its callbacks; private to the room */
#pragma once

typedef struct ClvSip ClvSip;
typedef struct Dialog Dialog;

#define NTA_AGENT_MAGIC_T struct ClvSip
#define NTA_LEG_MAGIC_T void
#define NTA_INCOMING_MAGIC_T void /* Dialog, or what unacked.c keeps */
#define NTA_OUTGOING_MAGIC_T void /* Dialog, or Referral */
#define NTA_RELIABLE_MAGIC_T void /* Dialog */

#include <sofia-sip/msg_addr.h>
#include <sofia-sip/nta.h>
#include <sofia-sip/nta_stateless.h>
#include <sofia-sip/nta_tport.h>
#include <sofia-sip/sip.h>
#include <sofia-sip/sip_extra.h>
#include <sofia-sip/sip_header.h>
#include <sofia-sip/sip_protos.h>
#include <sofia-sip/sip_status.h>
#include <sofia-sip/sip_util.h>
#include <sofia-sip/sresolv.h>
#include <sofia-sip/su_log.h>
#include <sofia-sip/tport.h>
#include <sofia-sip/tport_tag.h>
