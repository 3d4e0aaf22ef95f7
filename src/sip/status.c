/* SPDX-License-Identifier: Apache-2.0 */
/* sip/status.c - the one table from outcome to status line, Warning and Retry-After (4.3)
 *
 * Phrases are generic: who was refused and why is for the log. All 403s look the same.
 */
#include "config.h"

#include "sip/sip.h"

static const ClvSipStatus table[CLV_N_CODES] = {
    [CLV_CODE_OK] = {.status = 200, .phrase = "OK"},
    [CLV_CODE_BAD_REQUEST] = {.status = 400, .phrase = "Bad Request"},
    [CLV_CODE_BAD_SDP] = {.status = 400, .phrase = "Bad SDP"},
    [CLV_CODE_UNAUTHENTICATED] = {.status = 401, .phrase = "Unauthorized"},
    [CLV_CODE_FORBIDDEN] = {.status = 403, .phrase = "Forbidden"},
    [CLV_CODE_NOT_FOUND] = {.status = 404, .phrase = "Not Found"},
    [CLV_CODE_METHOD_NOT_ALLOWED] = {.status = 405, .phrase = "Method Not Allowed"},
    [CLV_CODE_UNSUPPORTED_MEDIA] = {.status = 415, .phrase = "Unsupported Media Type"},
    [CLV_CODE_INTERVAL_TOO_BRIEF] = {.status = 422, .phrase = "Session Interval Too Small"},
    [CLV_CODE_ANONYMITY] = {.status = 433, .phrase = "Anonymity Disallowed"},
    [CLV_CODE_UNAVAILABLE] = {.status = 480, .phrase = "Temporarily Unavailable"},
    [CLV_CODE_NO_DIALOG] = {.status = 481, .phrase = "Call/Transaction Does Not Exist"},
    [CLV_CODE_FULL] = {.status = 486, .phrase = "Busy Here"},
    [CLV_CODE_CANCELLED] = {.status = 487, .phrase = "Request Terminated"},
    [CLV_CODE_UNSECURED] = {.status = 488,
                            .phrase = "Not Acceptable Here",
                            .warning = 399,
                            .warning_text = "secured media required",
                            .also = 305,
                            .also_text = "Incompatible media format"},
    [CLV_CODE_NO_COMMON_MEDIA] = {.status = 488,
                                  .phrase = "Not Acceptable Here",
                                  .warning = 305,
                                  .warning_text = "Incompatible media format"},
    [CLV_CODE_KEYMGMT_UNACCEPTABLE] = {.status = 488,
                                       .phrase = "Not Acceptable Here",
                                       .warning = 306,
                                       .warning_text = "no acceptable key management offered"},
    [CLV_CODE_KEYMGMT_FAILED] = {.status = 488,
                                 .phrase = "Not Acceptable Here",
                                 .warning = 306,
                                 .warning_text = "key management failed"},
    [CLV_CODE_TICKET_REFUSED] = {.status = 488,
                                 .phrase = "Not Acceptable Here",
                                 .warning = 399,
                                 .warning_text = "ticket policy unacceptable"},
    [CLV_CODE_GLARE] = {.status = 491, .phrase = "Request Pending"},
    [CLV_CODE_INTERNAL] = {.status = 500, .phrase = "Server Internal Error"},
    [CLV_CODE_RETRY_LATER] = {.status = 500, .phrase = "Server Internal Error", .retry_after_s = 5},
    [CLV_CODE_OVERLOAD] = {.status = 503, .phrase = "Service Unavailable", .retry_after_s = 10},
    [CLV_CODE_KMS_TIMEOUT] = {.status = 504, .phrase = "Server Time-out"},
    [CLV_CODE_KMS_DOWN] = {.status = 503, .phrase = "Service Unavailable", .retry_after_s = 30},
};

const ClvSipStatus *
clv_sip_status(ClvCode code)
{
    g_return_val_if_fail((guint)code < CLV_N_CODES, &table[CLV_CODE_INTERNAL]);

    return &table[code];
}
