/* SPDX-License-Identifier: Apache-2.0 */
/* mikey-ticket/refusal.c - what does a MIKEY failure mean to the call? */
#include "config.h"

#include <stdarg.h>

#include "ticket-private.h"

/* Our own part of a failure: nothing that the peer did. */
static const MikeyStatus own_faults[] = {
    MIKEY_NO_MEMORY, MIKEY_NO_RANDOM, MIKEY_CRYPTO, MIKEY_ARGUMENT, MIKEY_ORDER,
};

/* Codes for what is wrong with a TRANSFER_INIT; whatever is not here is KEYMGMT_FAILED. */
static const struct {
    MikeyStatus status;
    ClvCode code;
} peer_codes[] = {
    {MIKEY_BAD_PROTOCOL, CLV_CODE_KEYMGMT_UNACCEPTABLE},
    {MIKEY_BAD_PARAMETERS, CLV_CODE_KEYMGMT_UNACCEPTABLE},
    {MIKEY_BAD_IDENTITY, CLV_CODE_TICKET_REFUSED},
    {MIKEY_BAD_TICKET, CLV_CODE_TICKET_REFUSED},
    {MIKEY_BAD_FLAGS, CLV_CODE_TICKET_REFUSED},
    {MIKEY_NOT_VALID, CLV_CODE_TICKET_REFUSED},
    {MIKEY_POLICY_VIOLATED, CLV_CODE_TICKET_REFUSED},
    {MIKEY_BAD_POLICY, CLV_CODE_TICKET_REFUSED},
    {MIKEY_NOT_REUSABLE, CLV_CODE_TICKET_REFUSED},
};

/* What the KMS means by an error number. @sentence tells the operator more than the registered
 * meaning does. */
typedef struct KmsError {
    ClvCode code;
    MikeyStatus status; /* for the caller's Error message */
    const char *sentence;
} KmsError;

#define N_ERRORS 16

static const KmsError resolve_errors[N_ERRORS] = {
    [0] = {CLV_CODE_INTERNAL, MIKEY_REFUSED,
           "ALARM: the KMS does not accept this server's own credentials; check the PSK and its "
           "name"},
    [1] = {CLV_CODE_KEYMGMT_FAILED, MIKEY_BAD_TIME,
           "a timestamp is outside the allowed skew; compare the clocks of server and KMS"},
    [2] = {CLV_CODE_INTERNAL, MIKEY_REFUSED, "the KMS does not support the suite we ask with"},
    [3] = {CLV_CODE_INTERNAL, MIKEY_REFUSED, "the KMS does not support the suite we ask with"},
    [4] = {CLV_CODE_INTERNAL, MIKEY_REFUSED, "the KMS does not support the suite we ask with"},
    [7] = {CLV_CODE_FORBIDDEN, MIKEY_BAD_IDENTITY,
           "the ticket does not entitle its owner to this conference"},
    [8] = {CLV_CODE_INTERNAL, MIKEY_REFUSED,
           "ALARM: the KMS does not accept this server's certificate"},
    [11] = {CLV_CODE_INTERNAL, MIKEY_REFUSED, "the KMS does not resolve tickets"},
    [12] = {CLV_CODE_KMS_DOWN, MIKEY_REFUSED, "the KMS failed"},
    [13] = {CLV_CODE_INTERNAL, MIKEY_REFUSED, "the KMS cannot read what we ask"},
    [14] = {CLV_CODE_KEYMGMT_FAILED, MIKEY_BAD_TICKET, "the ticket is not valid"},
    [15] = {CLV_CODE_KEYMGMT_FAILED, MIKEY_BAD_POLICY, "the ticket's policy is not valid"},
};

/* Here nobody but ourselves and the KMS can be at fault, or the one who is to be called. */
static const KmsError request_errors[N_ERRORS] = {
    [0] = {CLV_CODE_INTERNAL, MIKEY_REFUSED,
           "ALARM: the KMS does not accept this server's own credentials; check the PSK and its "
           "name"},
    [1] = {CLV_CODE_INTERNAL, MIKEY_REFUSED,
           "ALARM: our timestamp is outside the allowed skew; compare the clocks of server and "
           "KMS"},
    [2] = {CLV_CODE_INTERNAL, MIKEY_REFUSED, "the KMS does not support the suite we ask with"},
    [3] = {CLV_CODE_INTERNAL, MIKEY_REFUSED, "the KMS does not support the suite we ask with"},
    [4] = {CLV_CODE_INTERNAL, MIKEY_REFUSED, "the KMS does not support the suite we ask with"},
    [7] = {CLV_CODE_FORBIDDEN, MIKEY_BAD_IDENTITY,
           "the KMS gives this conference no ticket for who is to be called"},
    [8] = {CLV_CODE_INTERNAL, MIKEY_REFUSED,
           "ALARM: the KMS does not accept this server's certificate"},
    [11] = {CLV_CODE_INTERNAL, MIKEY_REFUSED, "the KMS does not make tickets"},
    [12] = {CLV_CODE_KMS_DOWN, MIKEY_REFUSED, "the KMS failed"},
    [13] = {CLV_CODE_INTERNAL, MIKEY_REFUSED, "the KMS cannot read what we ask"},
    [14] = {CLV_CODE_INTERNAL, MIKEY_REFUSED,
            "ALARM: the KMS does not make tickets of the kind we ask for"},
    [15] = {CLV_CODE_INTERNAL, MIKEY_REFUSED,
            "ALARM: the KMS does not grant the rules we ask for: purposes, lifetime, names"},
};

static const KmsError *const kms_errors[] = {
    [CLV_KMS_TICKET_REQUEST] = request_errors,
    [CLV_KMS_TICKET_RESOLVE] = resolve_errors,
};

gboolean
clv_ticket_refuse(TicketRefusal *refusal, ClvCode code, MikeyStatus status, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    g_clear_error(&refusal->error);
    refusal->error = g_error_new_valist(CLV_KEYMGMT_ERROR, code, format, args);
    refusal->status = status;
    va_end(args);
    return FALSE;
}

static gboolean
is_own_fault(MikeyStatus status)
{
    for (guint i = 0; i < G_N_ELEMENTS(own_faults); i++) {
        if (own_faults[i] == status)
            return TRUE;
    }
    return FALSE;
}

gboolean
clv_ticket_refuse_peer(TicketRefusal *refusal, MikeyStatus status, const char *what)
{
    ClvCode code = is_own_fault(status) ? CLV_CODE_INTERNAL : CLV_CODE_KEYMGMT_FAILED;

    for (guint i = 0; i < G_N_ELEMENTS(peer_codes); i++) {
        if (peer_codes[i].status == status)
            code = peer_codes[i].code;
    }
    return clv_ticket_refuse(refusal, code, status, "%s: %s", what, mikey_status_string(status));
}

gboolean
clv_ticket_refuse_kms(TicketRefusal *refusal, ClvKmsRequest asked, MikeyStatus status,
                      const MikeyPeerError *peer)
{
    guint8 number = peer->number;
    const KmsError *known = number < N_ERRORS ? &kms_errors[asked][number] : NULL;

    if (is_own_fault(status))
        return clv_ticket_refuse(refusal, CLV_CODE_INTERNAL, MIKEY_REFUSED,
                                 "reading the answer of the KMS: %s", mikey_status_string(status));
    if (status != MIKEY_PEER_ERROR)
        return clv_ticket_refuse(refusal, CLV_CODE_KMS_DOWN, MIKEY_REFUSED,
                                 "the KMS answered nonsense: %s", mikey_status_string(status));
    /* With a MAC the KMS knows us: then it is the ticket, or the proof that its owner sends it. */
    if (asked == CLV_KMS_TICKET_RESOLVE && number == 0 && peer->authentic)
        return clv_ticket_refuse(refusal, CLV_CODE_KEYMGMT_FAILED, MIKEY_BAD_TICKET_MAC,
                                 "the KMS finds the ticket or its Initiator Data forged (error 0 "
                                 "of the KMS, authentic)");
    if (known == NULL || known->sentence == NULL)
        return clv_ticket_refuse(refusal, CLV_CODE_KMS_DOWN, MIKEY_REFUSED,
                                 "the KMS refused with error %u (%s)", number,
                                 mikey_error_string(number));

    return clv_ticket_refuse(
        refusal, known->code, known->status, "%s (error %u of the KMS, %s, %s)", known->sentence,
        number, mikey_error_string(number), peer->authentic ? "authentic" : "not authenticated");
}

/* Only with a MAC: without one it is about ourselves, or from anybody. */
static const struct {
    guint8 number;
    ClvCode code;
    const char *sentence;
} foreign_errors[] = {
    {7, CLV_CODE_FORBIDDEN, "the ticket does not entitle its owner to this conference"},
    {12, CLV_CODE_KMS_DOWN, "the KMS that made the ticket gives no answer to ours"},
    {14, CLV_CODE_FORBIDDEN,
     "the KMS that made the ticket is none that ours knows, or says that the ticket is not valid"},
    {15, CLV_CODE_FORBIDDEN, "the KMS that made the ticket finds its policy not valid"},
};

gboolean
clv_ticket_refuse_foreign(TicketRefusal *refusal, MikeyStatus status, const MikeyPeerError *peer)
{
    for (guint i = 0; i < G_N_ELEMENTS(foreign_errors); i++) {
        if (status == MIKEY_PEER_ERROR && peer->authentic &&
            foreign_errors[i].number == peer->number)
            return clv_ticket_refuse(refusal, foreign_errors[i].code, MIKEY_REFUSED,
                                     "%s (error %u of the KMS, authentic)",
                                     foreign_errors[i].sentence, peer->number);
    }
    return clv_ticket_refuse_kms(refusal, CLV_KMS_TICKET_RESOLVE, status, peer);
}

gboolean
clv_ticket_code_has_error_line(ClvCode code)
{
    return code == CLV_CODE_KEYMGMT_FAILED || code == CLV_CODE_KEYMGMT_UNACCEPTABLE ||
           code == CLV_CODE_TICKET_REFUSED;
}

gboolean
clv_ticket_is_forgery(const TicketRefusal *refusal)
{
    return refusal->status == MIKEY_BAD_MAC || refusal->status == MIKEY_BAD_TICKET_MAC ||
           refusal->status == MIKEY_BAD_INITIATOR_DATA;
}
