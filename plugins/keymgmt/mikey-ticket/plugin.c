/* SPDX-License-Identifier: Apache-2.0 */
/* mikey-ticket/plugin.c - MIKEY tickets in SDP (RFC 6043, RFC 4567) behind the contract
 *
 * Answers offers: whoever calls must have a ticket, and the KMS tells us whose it is. Makes offers:
 * a ticket of our own says who may answer.
 */
#include "config.h"

#include "keymgmt/schemes.h"
#include "ticket-private.h"

/* Without a ticket it can only be an update; with one it begins anew. */
static gboolean
updates_session(const ClvKeymgmtSetup *setup)
{
    TicketLines lines = {.media_line = 0};
    TicketRefusal refusal = {MIKEY_OK, NULL};
    gboolean update;

    if (setup->session == NULL)
        return FALSE;
    clv_ticket_lines_read(setup->offer, setup->media_index, setup->purpose, &lines, &refusal);
    update = clv_ticket_is_update(&lines);
    clv_ticket_lines_clear(&lines);
    g_clear_error(&refusal.error);
    return update;
}

static ClvKeymgmtState *
ticket_open(const ClvKeymgmtSetup *setup, GError **error)
{
    if (!clv_ticket_offered(setup->offer, setup->media_index)) {
        g_set_error_literal(error, CLV_KEYMGMT_ERROR, CLV_CODE_KEYMGMT_UNACCEPTABLE,
                            "no a=key-mgmt:mikey is offered");
        return NULL;
    }
    return updates_session(setup) ? clv_ticket_updater_new(setup) : clv_ticket_answerer_new(setup);
}

static ClvKeymgmtNext
ticket_step(ClvKeymgmtState *state, const ClvKeymgmtInput *in, ClvKeymgmtOutput *out,
            GError **error)
{
    return state->step(state, in, out, error);
}

static void
ticket_close(ClvKeymgmtState *state)
{
    if (state != NULL)
        state->close(state);
}

const ClvKeymgmtOps clv_mikey_ticket_ops = {
    .scheme = CLV_SCHEME_MIKEY_TICKET,
    .name = "mikey-ticket",
    .gives = CLV_PROOF_TICKET,
    .needs_tls = FALSE,
    .offered = clv_ticket_offered,
    .offer_id = clv_ticket_offer_id,
    .open = ticket_open,
    .call = clv_ticket_offerer_new,
    .step = ticket_step,
    .close = ticket_close,
    .session_free = clv_ticket_session_free,
    .self_test = clv_ticket_self_test,
};
