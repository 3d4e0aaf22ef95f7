/* SPDX-License-Identifier: Apache-2.0 */
/* ua/session.h - one run of conclave-ua: a call from its ticket to its report */
#pragma once

#include "ua/options.h"
#include "ua/report.h"

/* Runs until the call is over. Returns: exit status */
ClvUaExit clv_ua_session_run(const ClvUaOptions *options, ClvUaReport *report);
/* The verb "ticket" */
ClvUaExit clv_ua_session_ticket(const ClvUaOptions *options, ClvUaReport *report);
