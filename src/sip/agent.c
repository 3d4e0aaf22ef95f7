/* SPDX-License-Identifier: Apache-2.0 */
/* sip/agent.c - transports, and the checks of requests that belong to no dialog yet
 *
 * The order of the checks is the one of section 4.2 of the conference digest: cheap ones first. The
 * first that fails decides the answer.
 */
#include "config.h"

#include "sip/loop-private.h"
#include "sip/refer-to.h"
#include "sip/settings.h"
#include "sip/sip-private.h"

#include <errno.h>
#include <gio/gio.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>

#include "base/identity.h"
#include "base/log.h"

G_DEFINE_QUARK(clv - sip - error - quark, clv_sip_error)

/* ---- the checks --------------------------------------------------------------------------------
 */

typedef gboolean (*Check)(Request *rq); /* TRUE: refused and answered */

static gboolean
is_malformed(Request *rq)
{
    return clv_sip_check_basics(rq->sip, rq->irq, rq->msg);
}

static gboolean
is_too_fast(ClvSip *sip)
{
    gint64 now_us = g_get_monotonic_time();

    if (now_us - sip->window_us >= G_USEC_PER_SEC) {
        sip->window_us = now_us;
        sip->invites_in_window = 0;
    }
    return sip->max_invites_per_s > 0 && ++sip->invites_in_window > sip->max_invites_per_s;
}

/* Step 1. */
static gboolean
is_overload(Request *rq)
{
    ClvSip *sip = rq->sip;

    sip->totals.invites++;
    if (!sip->refuse_new && !is_too_fast(sip) &&
        (sip->max_calls == 0 || g_hash_table_size(sip->dialogs) < sip->max_calls))
        return FALSE;
    return clv_request_refuse(rq, CLV_CODE_OVERLOAD);
}

static ClvSipTarget
classify(Request *rq)
{
    rq->uri = clv_sip_canonical_url(rq->msg->sip_request->rq_url);
    if (rq->uri == NULL)
        return CLV_TARGET_NONE;
    return rq->sip->handlers.classify(rq->sip->user, rq->uri);
}

static const ClvCode target_codes[] = {
    [CLV_TARGET_NONE] = CLV_CODE_NOT_FOUND, [CLV_TARGET_FACTORY] = CLV_CODE_OK,
    [CLV_TARGET_CONFERENCE] = CLV_CODE_OK,  [CLV_TARGET_DISABLED] = CLV_CODE_UNAVAILABLE,
    [CLV_TARGET_GONE] = CLV_CODE_NOT_FOUND,
};

/* Step 2. */
static gboolean
is_nobody(Request *rq)
{
    ClvCode code = target_codes[classify(rq)];

    return code != CLV_CODE_OK && clv_request_refuse(rq, code);
}

/* Step 3. */
static gboolean
is_beyond_us(Request *rq)
{
    return clv_sip_check_extensions(rq->sip, rq->irq, rq->msg) ||
           clv_sip_check_content(rq->sip, rq->irq, rq->msg) ||
           clv_sip_check_contact(rq->sip, rq->irq, rq->msg, TRUE);
}

/* Step 8. */
static gboolean
is_bad_sdp(Request *rq)
{
    return !clv_sip_read_offer(rq->sip, rq->irq, rq->msg, &rq->offer);
}

static gboolean
has_option(const sip_t *msg, const char *option)
{
    return sip_has_feature(msg->sip_require, option) || sip_has_feature(msg->sip_supported, option);
}

/* RFC 3312: nobody is alerted before his mandatory resources are there, and that takes 100rel. */
static gboolean
is_beyond_reservation(Request *rq)
{
    guint status = 0;

    if (rq->offer == NULL || !has_option(rq->msg, "precondition"))
        return FALSE;
    if (clv_sdp_qos_is_foreign(rq->offer))
        status = 580;
    else if (clv_sdp_qos_is_mandatory(rq->offer) && !has_option(rq->msg, "100rel"))
        status = 421;
    if (status != 0)
        clv_sip_reply_odd(rq->sip, rq->irq, status);
    return status != 0;
}

/* RFC 5366; and the dialogs that the caller wants to take over or to join. */
static gboolean
is_bad_list(Request *rq)
{
    return !clv_body_read_list(rq->sip, rq->irq, rq->msg, &rq->list);
}

static gboolean
names_no_dialog(Request *rq, const char *value, ClvLegId *out)
{
    g_autofree char *call_id = NULL, *to = NULL, *from = NULL;
    gboolean early_only = FALSE;
    Dialog *d;

    if (!clv_dialog_name_parse(value, "to-tag", "from-tag", &call_id, &to, &from, &early_only))
        return clv_request_refuse(rq, CLV_CODE_BAD_REQUEST);
    d = clv_dialog_find_by_tags(rq->sip, call_id, to, from);
    if (d == NULL || d->state == DIALOG_CALLING || clv_dialog_is_worse(d, &rq->peer))
        return clv_request_refuse(rq, CLV_CODE_NO_DIALOG);
    if (early_only && d->state != DIALOG_OPENING) { /* RFC 3891 section 3 */
        clv_sip_count_refusal(rq->sip, 486);
        nta_incoming_treply(rq->irq, SIP_486_BUSY_HERE, TAG_END());
        return TRUE;
    }
    if (d->state == DIALOG_OPENING) /* early, and not of their making: RFC 3891 section 3 */
        return clv_request_refuse(rq, CLV_CODE_NO_DIALOG);
    *out = d->id;
    return FALSE;
}

static char *
replaces_value(const sip_t *msg)
{
    const sip_replaces_t *r = msg->sip_replaces;

    return r == NULL ? NULL
                     : g_strdup_printf("%s;to-tag=%s;from-tag=%s%s", r->rp_call_id,
                                       r->rp_to_tag != NULL ? r->rp_to_tag : "",
                                       r->rp_from_tag != NULL ? r->rp_from_tag : "",
                                       r->rp_early_only ? ";early-only" : "");
}

static gboolean
is_lost(Request *rq)
{
    g_autofree char *replaces = replaces_value(rq->msg);
    const char *join = clv_request_header(rq->msg, "Join");

    if (replaces != NULL && join != NULL) /* RFC 3911 section 4 */
        return clv_request_refuse(rq, CLV_CODE_BAD_REQUEST);
    if (replaces != NULL)
        return names_no_dialog(rq, replaces, &rq->replaces);
    return join != NULL && names_no_dialog(rq, join, &rq->joins);
}

/* Step 9. */
static gboolean
is_too_brief(Request *rq)
{
    return clv_sip_check_session(rq->sip, rq->irq, rq->msg);
}

static const Check invite_checks[] = {
    is_malformed, is_overload, is_nobody, is_beyond_us, clv_request_is_unproven,
    is_bad_sdp, is_beyond_reservation, is_bad_list, is_lost, is_too_brief,
};

/* ---- what the hub is told about an INVITE
 * --------------------------------------------------------- */

/* RFC 7044: a history with a cause; RFC 5806: any Diversion. */
static gboolean
was_diverted(const sip_t *msg)
{
    for (const sip_unknown_t *u = msg->sip_unknown; u != NULL; u = u->un_next) {
        g_autofree char *value = NULL;

        if (g_ascii_strcasecmp(u->un_name, "Diversion") == 0)
            return TRUE;
        if (g_ascii_strcasecmp(u->un_name, "History-Info") != 0 || u->un_value == NULL)
            continue;
        value = g_ascii_strdown(u->un_value, -1);
        if (strstr(value, "cause=") != NULL || strstr(value, "cause%3d") != NULL)
            return TRUE;
    }
    return FALSE;
}

/* 5.20: what an IMS core adds, and what we only write down. */
static void
log_extras(const Request *rq)
{
    static const char *const names[] = {"P-Charging-Vector", "P-Access-Network-Info",
                                        "P-Asserted-Service"};

    for (gsize i = 0; i < G_N_ELEMENTS(names); i++) {
        const char *value = clv_request_header(rq->msg, names[i]);

        if (value != NULL)
            clv_log(CLV_LOG_DEBUG, NULL, NULL, "%s: %.200s", names[i], value);
    }
}

static void
open_dialog(Request *rq)
{
    ClvSipInvite info = {
        .target = rq->sip->handlers.classify(rq->sip->user, rq->uri),
        .request_uri = rq->uri,
        .call_id = rq->msg->sip_call_id->i_id,
        .proof = rq->proof,
        .identity = rq->identity,
        .identities = rq->identities != NULL ? (const char *const *)rq->identities->pdata : NULL,
        .privacy_id = clv_request_wants_privacy(rq->msg),
        .diverted = was_diverted(rq->msg),
        .secured = rq->peer.tls || rq->peer.trusted,
        .tls = rq->peer.tls,
        .peer = rq->peer.text,
        .peer_name = rq->peer.name,
        .local_host = rq->peer.local_host,
        .offer = rq->offer,
        .uri_list = rq->list,
        .replaces = rq->replaces,
        .joins = rq->joins,
    };
    g_autofree char *referred_by =
        rq->msg->sip_referred_by != NULL
            ? clv_sip_canonical_url(rq->msg->sip_referred_by->b_url)
            : NULL;

    rq->from = clv_sip_canonical_url(rq->msg->sip_from->a_url);
    rq->display = clv_sip_clean_display(rq->msg->sip_from->a_display);
    if (rq->peer.trusted)
        log_extras(rq);
    info.referred_by = referred_by;
    info.from_uri = rq->from;
    info.display_name = rq->display;
    clv_dialog_open(rq->sip, rq->irq, rq->msg, &rq->peer, &info);
}

/* ---- requests outside dialogs
 * --------------------------------------------------------------------- */

static int
on_invite(Request *rq)
{
    for (gsize i = 0; i < G_N_ELEMENTS(invite_checks); i++) {
        if (invite_checks[i](rq)) {
            clv_unacked_take(rq->sip, NULL, rq->irq);
            return 0;
        }
    }
    open_dialog(rq);
    return 0;
}

/* 5.19: the focus says isfocus, the factory does not. */
static int
on_options(Request *rq)
{
    g_autofree char *contact = NULL;
    ClvSipTarget target;
    Dialog way = {.sip = rq->sip};
    g_autofree char *port = NULL;

    if (is_malformed(rq) || clv_sip_check_extensions(rq->sip, rq->irq, rq->msg))
        return 200; /* answered; ends the transaction */
    target = classify(rq);
    if (target_codes[target] != CLV_CODE_OK) {
        clv_request_refuse(rq, target_codes[target]);
        return 200;
    }

    port = clv_dialog_read_target(rq->msg, &rq->peer);
    way.request_target = port;
    contact = clv_dialog_make_contact(&way, rq->uri,
                                      rq->peer.tls                              ? "tls"
                                      : g_str_has_prefix(rq->peer.text, "tcp:") ? "tcp"
                                                                                : NULL);
    if (target == CLV_TARGET_FACTORY)
        clv_dialog_strip_contact(contact);
    clv_sip_reply_options(rq->irq, contact);
    return 200;
}

/* Step 2 for REFER: a factory calls nobody. */
static int
on_refer(Request *rq)
{
    ClvSipTarget target;

    if (is_malformed(rq))
        return 200;
    if (is_too_fast(rq->sip)) { /* it may make calls, and costs as much as one */
        clv_request_refuse(rq, CLV_CODE_OVERLOAD);
        return 200;
    }
    target = classify(rq);
    if (target != CLV_TARGET_CONFERENCE) {
        clv_request_refuse(rq, target == CLV_TARGET_FACTORY ? CLV_CODE_FORBIDDEN
                                                            : target_codes[target]);
        return 200;
    }
    return clv_refer_outside(rq);
}

/* Subscriptions begin with a REFER alone. */
static int
on_subscribe(Request *rq)
{
    nta_incoming_treply(rq->irq, 489, "Bad Event", SIPTAG_ALLOW_EVENTS_STR(CLV_SIP_EVENTS),
                        TAG_END());
    return 200;
}

static int
on_stray(Request *rq)
{
    clv_sip_reply_code(rq->sip, rq->irq, CLV_CODE_NO_DIALOG, 0, NULL);
    return 200;
}

static const struct {
    sip_method_t method;
    int (*handle)(Request *rq);
} methods[] = {
    {sip_method_invite, on_invite}, {sip_method_options, on_options}, {sip_method_refer, on_refer},
    {sip_method_subscribe, on_subscribe},
    {sip_method_bye, on_stray},     {sip_method_cancel, on_stray},    {sip_method_update, on_stray},
    {sip_method_prack, on_stray},   {sip_method_info, on_stray},      {sip_method_notify, on_stray},
};

static int
dispatch(Request *rq)
{
    sip_method_t method = rq->msg->sip_request->rq_method;

    if (rq->msg->sip_to->a_tag != NULL && method != sip_method_ack)
        return on_stray(rq);
    for (gsize i = 0; i < G_N_ELEMENTS(methods); i++) {
        if (methods[i].method == method)
            return methods[i].handle(rq);
    }
    return clv_sip_reply_method(rq->irq, rq->msg);
}

static gboolean
came_by_udp(const sip_t *msg)
{
    const char *protocol = msg->sip_via != NULL ? msg->sip_via->v_protocol : NULL;

    return protocol == NULL || g_ascii_strcasecmp(protocol, sip_transport_udp) == 0;
}

#define MAX_TRANSACTIONS 20000 /* each is kept for half a minute, at 5 kB */

/* Calls are what we are for; questions and strays must not cost us the memory for them. */
static gboolean
is_unwelcome(ClvSip *sip, msg_t *m, const sip_t *msg)
{
    usize_t transactions = 0;

    if (msg->sip_request->rq_method == sip_method_invite)
        return clv_unacked_is_debtor(sip, m, came_by_udp(msg));
    nta_agent_get_stats(sip->agent, NTATAG_S_IRQ_HASH_USED_REF(transactions), TAG_END());
    return transactions >= MAX_TRANSACTIONS;
}

/* Whatever belongs to no transaction and no dialog that we know. Here, and not on a leg of nta's,
 * since only here a request can be answered without a transaction. */
static int
out_of_dialog(ClvSip *sip, nta_agent_t *agent, msg_t *m, sip_t *msg)
{
    Request rq = {.sip = sip, .msg = msg};
    int status;

    if (msg->sip_request == NULL || msg->sip_request->rq_method == sip_method_ack) {
        nta_msg_discard(agent, m); /* stray responses; an ACK gets no answer */
        return 0;
    }
    if (is_unwelcome(sip, m, msg)) {
        sip->totals.refused++;
        nta_msg_treply(agent, m, SIP_503_SERVICE_UNAVAILABLE, SIPTAG_RETRY_AFTER_STR("30"),
                       TAG_END());
        return 0;
    }
    rq.irq = nta_incoming_create(agent, NULL, m, msg, TAG_END());
    if (rq.irq == NULL)
        return 0;

    clv_sip_peer(sip, rq.irq, &rq.peer);
    status = dispatch(&rq);
    clv_request_clear(&rq);
    if (status >= 200) {
        if (nta_incoming_status(rq.irq) < 200)
            nta_incoming_treply(rq.irq, status, sip_status_phrase(status), TAG_END());
        clv_unacked_take(sip, NULL, rq.irq);
    }
    return 0;
}

/* ---- transports
 * ----------------------------------------------------------------------------------- */

/* Sofia prints to stderr by itself. No body ever comes here: message logging stays off. */
static void
log_sofia(void *unused, const char *format, va_list args)
{
    g_autofree char *line = g_strdup_vprintf(format, args);

    g_strchomp(line);
    if (line[0] != '\0')
        clv_log(CLV_LOG_DEBUG, NULL, NULL, "sofia: %s", line);
}

/* The environment could make Sofia write whole messages, keys included, to a file or to stderr. */
static void
quieten_sofia(void)
{
    static const char *const variables[] = {"TPORT_LOG",   "TPORT_DUMP", "TPORT_CAPT",
                                            "TPORT_DEBUG", "NTA_DEBUG",  "TPORT_SSL"};

    for (gsize i = 0; i < G_N_ELEMENTS(variables); i++)
        g_unsetenv(variables[i]);
    su_log_redirect(NULL, log_sofia, NULL);
    su_log_set_level(NULL, 1);
}

static gboolean
add_transport(ClvSip *sip, const ClvSipConfig *config, const char *text, GError **error)
{
    const char *address = strchr(text, ':');
    g_autofree char *proto = g_strndup(text, (gsize)(address - text)); /* checked before */
    gboolean tls = strcmp(proto, "tls") == 0;
    g_autofree char *url = NULL;
    ClvTlsWishes wishes = {config->tls_ciphers, config->tls_ask_client_cert};
    unsigned idle_ms = config->idle_ms > 0 ? (unsigned)MIN(config->idle_ms, G_MAXINT32) : 0;
    int result;

    if (tls && !clv_tls_shim_in_place()) {
        g_set_error(error, CLV_SIP_ERROR, 0, "'%s': the program was linked without its TLS guards",
                    text);
        return FALSE;
    }

    url = tls ? g_strdup_printf("sips:%s", address + 1)
              : g_strdup_printf("sip:%s;transport=%s", address + 1, proto);
    clv_connections_adopt_begin(sip->connections, &wishes);
    result = nta_agent_add_tport(sip->agent, URL_STRING_MAKE(url), TPTAG_STUN_SERVER(0),
                                 TPTAG_PONG2PING(1), TAG_IF(idle_ms > 0, TPTAG_IDLE(idle_ms)),
                                 TAG_IF(idle_ms > 0, TPTAG_TIMEOUT(idle_ms)),
                                 TAG_IF(tls, TPTAG_CERTIFICATE(config->tls_dir)),
                                 TAG_IF(tls, TPTAG_TLS_VERIFY_POLICY(TPTLS_VERIFY_SUBJECTS_OUT)),
                                 TAG_END());
    clv_connections_adopt_end(sip->connections);
    if (result < 0) {
        g_set_error(error, CLV_SIP_ERROR, 0, "cannot listen on %s: %s", text,
                    tls && errno == EIO ? "OpenSSL refuses tls-ciphers or the files of tls-dir"
                                        : g_strerror(errno));
        return FALSE;
    }
    return TRUE;
}

static char **
bound_addresses(nta_agent_t *agent)
{
    GPtrArray *out = g_ptr_array_new();

    for (tport_t *tp = tport_primaries(nta_agent_tports(agent)); tp != NULL; tp = tport_next(tp)) {
        const tp_name_t *name = tport_name(tp);
        gboolean bare6 = strchr(name->tpn_host, ':') != NULL && name->tpn_host[0] != '[';

        g_ptr_array_add(out, g_strdup_printf(bare6 ? "%s:[%s]:%s" : "%s:%s:%s", name->tpn_proto,
                                             name->tpn_host, name->tpn_port));
    }
    g_ptr_array_add(out, NULL);
    return (char **)g_ptr_array_free(out, FALSE);
}

/* Once per process, before any agent: P-Asserted-Identity becomes a header that is parsed. */
static void
extend_parser(void)
{
    static gsize done;

    if (g_once_init_enter(&done)) {
        sip_update_default_mclass(sip_extend_mclass(NULL));
        g_once_init_leave(&done, 1);
    }
}

static gboolean
make_agent(ClvSip *sip, const ClvSipConfig *config, GError **error)
{
    guint t1_ms = (guint)sip->t1_ms;

    if (!clv_response_guard_in_place()) {
        g_set_error_literal(error, CLV_SIP_ERROR, 0,
                            "the program was linked without its SIP guards");
        return FALSE;
    }
    quieten_sofia();
    extend_parser();
    sip->home = su_home_new(sizeof(*sip->home));
    sip->supported = sip_supported_make(sip->home, CLV_SIP_SUPPORTED);
    sip->agent = nta_agent_create(
        clv_loop_root(sip->loop), (url_string_t *)-1, out_of_dialog, sip, NTATAG_UA(1), NTATAG_MERGE_482(1),
        NTATAG_MAXSIZE(config->max_message_bytes > 0 ? config->max_message_bytes : 65536),
        NTATAG_SIP_T1(t1_ms), NTATAG_SIP_T1X64(64 * t1_ms),
        TAG_IF(config->resolv_conf != NULL, SRESTAG_RESOLV_CONF(config->resolv_conf)), TAG_END());
    if (sip->agent == NULL) {
        g_set_error_literal(error, CLV_SIP_ERROR, 0, "cannot make the SIP agent");
        return FALSE;
    }

    for (char **text = config->listen; text != NULL && *text != NULL; text++) {
        if (!add_transport(sip, config, *text, error))
            return FALSE;
    }
    sip->listening = bound_addresses(sip->agent);
    if (sip->listening[0] == NULL) {
        g_set_error_literal(error, CLV_SIP_ERROR, 0, "no address to listen on");
        return FALSE;
    }
    return TRUE;
}

static gboolean
load_users(ClvSip *sip, GError **error)
{
    g_autoptr(GPtrArray) errors = g_ptr_array_new_with_free_func(g_free);

    if (clv_sip_reload_users(sip, errors))
        return TRUE;
    g_set_error_literal(error, CLV_SIP_ERROR, 0, g_ptr_array_index(errors, 0));
    return FALSE;
}

static gboolean
check_settings(const ClvSipConfig *config, GError **error)
{
    g_autoptr(GPtrArray) errors = g_ptr_array_new_with_free_func(g_free);
    g_autoptr(GPtrArray) warnings = g_ptr_array_new_with_free_func(g_free);
    g_autofree char *text = NULL;
    gboolean good = clv_sip_check_settings(config, errors, warnings);

    for (guint i = 0; i < warnings->len; i++)
        clv_log(CLV_LOG_WARNING, NULL, "settings", "%s", (char *)g_ptr_array_index(warnings, i));
    if (good)
        return TRUE;
    g_ptr_array_add(errors, NULL);
    text = g_strjoinv("\n", (char **)errors->pdata);
    g_set_error_literal(error, CLV_SIP_ERROR, 0, text);
    return FALSE;
}

ClvSip *
clv_sip_new(ClvLoop *loop, const ClvSipConfig *config, const ClvSipHandlers *handlers, void *user,
            GError **error)
{
    ClvSip *sip = g_new0(ClvSip, 1);

    signal(SIGPIPE, SIG_IGN); /* a peer that closes is no reason to die */
    sip->loop = loop;
    sip->handlers = *handlers;
    sip->user = user;
    sip->trusted_peers = g_strdupv(config->trusted_peers);
    sip->users_file = g_strdup(config->users_file);
    sip->session_expires_s = config->session_expires_s;
    sip->min_se_s = config->min_se_s > 0 ? config->min_se_s : 90;
    sip->t1_ms = config->t1_ms > 0 ? config->t1_ms : 500;
    sip->max_calls = config->max_calls;
    sip->outbound = g_strdup(config->outbound);
    sip->ims = config->ims;
    sip->digest_sha256 = config->digest_sha256;
    sip->max_invites_per_s = config->max_invites_per_s;
    sip->digest = clv_digest_new(config->realm != NULL ? config->realm : "conclave");
    sip->unacked = clv_unacked_new();
    sip->referrals = clv_referrals_new();
    sip->asked = clv_refers_out_new();
    sip->dialogs =
        g_hash_table_new_full(g_int64_hash, g_int64_equal, NULL, (GDestroyNotify)clv_dialog_unref);
    sip->dialogs_by_tag = g_hash_table_new(g_str_hash, g_str_equal);
    sip->lingering = g_hash_table_new_full(NULL, NULL, NULL, (GDestroyNotify)clv_dialog_unref);
    sip->connections = clv_connections_new(loop, config->max_connections, config->idle_ms);
    if (!check_settings(config, error) || !load_users(sip, error) ||
        !make_agent(sip, config, error)) {
        clv_sip_free(sip);
        return NULL;
    }
    return sip;
}

void
clv_sip_refuse_new(ClvSip *sip)
{
    sip->refuse_new = TRUE;
}

static void
bury_all(GHashTable *table)
{
    GHashTableIter iter;
    gpointer value;

    while (g_hash_table_size(table) > 0) {
        g_hash_table_iter_init(&iter, table);
        g_hash_table_iter_next(&iter, NULL, &value);
        clv_dialog_bury(value);
    }
}

void
clv_sip_free(ClvSip *sip)
{
    if (sip == NULL)
        return;

    clv_referrals_free(sip->referrals);
    sip->referrals = NULL;
    g_clear_pointer(&sip->asked, g_hash_table_unref);
    bury_all(sip->dialogs);
    bury_all(sip->lingering);
    clv_unacked_free(sip->unacked);
    if (sip->agent != NULL)
        nta_agent_destroy(sip->agent);
    clv_connections_free(sip->connections);
    clv_digest_free(sip->digest);
    g_hash_table_destroy(sip->dialogs_by_tag);
    g_hash_table_destroy(sip->dialogs);
    g_hash_table_destroy(sip->lingering);
    if (sip->home != NULL)
        su_home_unref(sip->home);
    g_strfreev(sip->trusted_peers);
    g_strfreev(sip->listening);
    g_free(sip->users_file);
    g_free(sip->outbound);
    g_free(sip);
}

gboolean
clv_sip_reload_users(ClvSip *sip, GPtrArray *errors)
{
    return sip->users_file == NULL || clv_digest_load(sip->digest, sip->users_file, errors);
}

const char *const *
clv_sip_listening(const ClvSip *sip)
{
    return (const char *const *)sip->listening;
}

void
clv_sip_totals(const ClvSip *sip, ClvSipTotals *out)
{
    usize_t retransmitted = 0, bad = 0;

    *out = sip->totals;
    out->referrals =
        clv_referrals_count(sip->referrals) + g_hash_table_size(sip->asked);
    out->lingering = g_hash_table_size(sip->lingering);
    out->connections = clv_connections_count(sip->connections);
    nta_agent_get_stats(sip->agent, NTATAG_S_RECV_RETRY_REF(retransmitted),
                        NTATAG_S_BAD_MESSAGE_REF(bad), TAG_END());
    out->retransmitted = retransmitted;
    out->malformed += bad;
}
