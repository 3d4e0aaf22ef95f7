/* SPDX-License-Identifier: Apache-2.0 */
/* mikey-ticket/session.c - what does an exchange leave behind, and how does the peer change it?
 *
 * Within a bundle of crypto sessions either party may send new keys and sessions without a ticket
 * (RFC 6043 section 5.2): a TRANSFER_INIT with the CSB ID of the bundle, under the keys of the
 * first exchange. No KMS is asked and nobody new can come in by it: whoever was proven stays, and a
 * set of allowed users cannot change, since there is no ticket that could name them.
 *
 * An update is tried on a copy. Only when all of it is right the copy takes the place of the
 * bundle; so after a refusal everything is as it was.
 */
#include "config.h"

#include "ticket-private.h"

struct TicketSession {
    ClvKeymgmtSession base;
    MikeyBundle *bundle;
    guint cs_line;       /* number of the m-line by which our crypto sessions go; 0: none yet */
    gboolean we_offered; /* in the first exchange: then the odd sessions are ours */
    char *identity;
    gint64 expires_us; /* end of the ticket; 0: none */
};

/* ---- what is left behind ---- */

static void
session_free(ClvKeymgmtSession *base)
{
    TicketSession *session = (TicketSession *)base;

    mikey_bundle_free(session->bundle);
    g_free(session->identity);
    g_free(session);
}

void
clv_ticket_session_free(ClvKeymgmtSession *session)
{
    if (session != NULL)
        session->free(session);
}

guint32
clv_ticket_session_csb_id(const ClvKeymgmtSession *session)
{
    return mikey_bundle_csb_id(((const TicketSession *)session)->bundle);
}

ClvKeymgmtSession *
clv_ticket_session_new(MikeyBundle *bundle, guint cs_line, gboolean we_offered,
                       const ClvKeymgmtOutput *done)
{
    TicketSession *session = g_new0(TicketSession, 1);

    session->base.free = session_free;
    session->bundle = bundle;
    session->cs_line = cs_line;
    session->we_offered = we_offered;
    session->identity = g_strdup(done->identity);
    session->expires_us = done->expires_us;
    return &session->base;
}

/* ---- an update ---- */

typedef struct TicketUpdater {
    ClvKeymgmtState base;
    ClvKeymgmtConfig config;
    TicketSession *session; /* the hub's */
    ClvPurpose purpose;
    guint cs_line;
    guint32 local_ssrc;
    MikeySrtpProfile profiles[CLV_N_SRTP_SUITES];
    gsize n_profiles;
    TicketLines lines;
    TicketRefusal refusal;
    gboolean over;
    MikeyBundle *trial;  /* (nullable) a copy of the session's */
    MikeyUpdate *update; /* (nullable) authentic */
} TicketUpdater;

static MikeyBytes
message_of(const TicketUpdater *u)
{
    return mikey_bytes(u->lines.message.data, u->lines.message.len);
}

gboolean
clv_ticket_is_update(const TicketLines *lines)
{
    guint32 csb_id;

    return mikey_update_peek(mikey_bytes(lines->message.data, lines->message.len), &csb_id) ==
           MIKEY_OK;
}

/* What only a ticket can say. That the ticket of the first exchange has ended is no matter: it had
 * to be good when the call began (RFC 6043 section 5.2 asks for no more). */
static gboolean
check_purpose(TicketUpdater *u)
{
    if (u->purpose == CLV_PURPOSE_JOIN)
        return TRUE;
    return clv_ticket_refuse(&u->refusal, CLV_CODE_TICKET_REFUSED, MIKEY_BAD_POLICY,
                             "a ticket is wanted and the message is an update without one");
}

static gboolean
open_update(TicketUpdater *u, const MikeyEnv *env)
{
    MikeyStatus status = mikey_bundle_copy(u->session->bundle, &u->trial);

    if (status == MIKEY_OK)
        status = mikey_update_open(u->trial, message_of(u), env, &u->update);
    return status == MIKEY_OK || clv_ticket_refuse_peer(&u->refusal, status, "update");
}

static gboolean
answer_update(TicketUpdater *u, const MikeyEnv *env, ClvKeymgmtOutput *out)
{
    MikeyLine lines[CLV_SDP_MAX_MEDIA] = {{.keyed = false}};
    MikeyAnswerSetup setup = {
        .lines = lines,
        .n_lines = u->cs_line,
        .profiles = u->profiles,
        .n_profiles = u->n_profiles,
    };
    MikeyBuffer message = MIKEY_BUFFER_INIT;
    MikeyStatus status;
    gboolean sound;

    if (u->cs_line > 0)
        lines[u->cs_line - 1] = (MikeyLine){.keyed = true, .ssrc = u->local_ssrc};
    status = mikey_update_answer(u->update, u->trial, &setup, env, &message);
    if (status != MIKEY_OK)
        return clv_ticket_refuse_peer(&u->refusal, status, "answering an update");

    /* one that wants no answer gets none, so there is no line then */
    sound = clv_ticket_take_keys(u->trial, u->cs_line, u->session->we_offered, out, &u->refusal) &&
            (message.len == 0 || clv_ticket_encode_line(mikey_bytes(message.data, message.len),
                                                        &out->answer_line, &u->refusal));
    mikey_buffer_clear(&message);
    return sound;
}

static gboolean
take_update(TicketUpdater *u, const ClvKeymgmtInput *in, ClvKeymgmtOutput *out)
{
    MikeyEnv env = clv_ticket_env(&u->config, in->now_us);

    if (u->refusal.error != NULL || !check_purpose(u) || !open_update(u, &env) ||
        !answer_update(u, &env, out))
        return FALSE;

    mikey_bundle_free(u->session->bundle);
    u->session->bundle = g_steal_pointer(&u->trial);
    u->session->cs_line = u->cs_line;
    out->identity = g_strdup(u->session->identity);
    out->proof = CLV_PROOF_TICKET;
    out->expires_us = u->session->expires_us;
    out->answer_at_session = u->lines.at_session;
    out->updates_session = TRUE;
    return TRUE;
}

static void
add_error_line(TicketUpdater *u, gint64 now_us, ClvKeymgmtOutput *out)
{
    MikeyEnv env = clv_ticket_env(&u->config, now_us);
    MikeyBuffer message = MIKEY_BUFFER_INIT;
    MikeyStatus status = u->update != NULL
                             ? mikey_update_error(u->update, u->trial, u->refusal.status,
                                                  u->profiles, u->n_profiles, &env, &message)
                             : mikey_error_new(message_of(u), u->refusal.status, &env, &message);

    if (status == MIKEY_OK) {
        TicketRefusal ignored = {0, NULL};

        clv_ticket_encode_line(mikey_bytes(message.data, message.len), &out->error_line, &ignored);
        g_clear_error(&ignored.error);
    }
    mikey_buffer_clear(&message);
}

static ClvKeymgmtNext
updater_step(ClvKeymgmtState *base, const ClvKeymgmtInput *in, ClvKeymgmtOutput *out,
             GError **error)
{
    TicketUpdater *u = (TicketUpdater *)base;

    clv_keymgmt_output_clear(out);
    if (u->over) {
        g_set_error_literal(error, CLV_KEYMGMT_ERROR, CLV_CODE_INTERNAL,
                            "mikey-ticket: a step after the last one");
        return CLV_KEYMGMT_FAILED;
    }
    u->over = TRUE;
    if (take_update(u, in, out))
        return CLV_KEYMGMT_DONE;

    clv_keymgmt_output_clear(out);
    if (clv_ticket_code_has_error_line((ClvCode)u->refusal.error->code))
        add_error_line(u, in->now_us, out);
    out->forged = clv_ticket_is_forgery(&u->refusal);
    g_propagate_error(error, g_steal_pointer(&u->refusal.error));
    return CLV_KEYMGMT_FAILED;
}

static void
updater_close(ClvKeymgmtState *base)
{
    TicketUpdater *u = (TicketUpdater *)base;

    mikey_update_free(u->update);
    mikey_bundle_free(u->trial);
    clv_ticket_lines_clear(&u->lines);
    g_clear_error(&u->refusal.error);
    g_free(u);
}

ClvKeymgmtState *
clv_ticket_updater_new(const ClvKeymgmtSetup *setup)
{
    TicketUpdater *u = g_new0(TicketUpdater, 1);

    u->base = (ClvKeymgmtState){updater_step, updater_close};
    u->config = *setup->config;
    u->session = (TicketSession *)setup->session;
    u->purpose = setup->purpose;
    u->local_ssrc = setup->local_ssrc;
    u->n_profiles = clv_ticket_profiles(setup->suites, u->profiles);
    clv_ticket_lines_read(setup->offer, setup->media_index, setup->purpose, &u->lines, &u->refusal);
    u->cs_line = u->session->cs_line != 0 ? u->session->cs_line : u->lines.media_line;
    return &u->base;
}
