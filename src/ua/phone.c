/* SPDX-License-Identifier: Apache-2.0 */
/* ua/phone.c - one dialog on nta
 *
 * Out:  INVITE -> [401 -> INVITE] -> 1xx -> 2xx, ACK -> re-INVITE, UPDATE, BYE
 * In:   INVITE -> answer() -> ACK -> re-INVITE, UPDATE, OPTIONS, BYE
 */
#include "config.h"

#include "ua/phone.h"

struct ClvUaPhone;
#define SU_ROOT_MAGIC_T struct ClvUaPhone
#define NTA_AGENT_MAGIC_T struct ClvUaPhone
#define NTA_LEG_MAGIC_T struct ClvUaPhone
#define NTA_OUTGOING_MAGIC_T struct ClvUaPhone
#define NTA_INCOMING_MAGIC_T struct ClvUaPhone

#include <sofia-sip/nta.h>
#include <sofia-sip/nta_tport.h>
#include <sofia-sip/sip_extra.h>
#include <sofia-sip/sip_header.h>
#include <sofia-sip/sip_status.h>
#include <sofia-sip/sip_util.h>
#include <sofia-sip/sres_sip.h>
#include <sofia-sip/tport.h>
#include <sofia-sip/tport_tag.h>

#include "base/secret.h"
#include "sip/loop-private.h"
#include "ua/digest.h"
#include "ua/tls.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <openssl/crypto.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define ALLOWED "INVITE, ACK, CANCEL, BYE, OPTIONS, UPDATE"
#define AGENT "conclave-ua/" PACKAGE_VERSION
#define MAX_CHALLENGES 2

G_DEFINE_QUARK(clv_ua_phone_error, clv_ua_phone_error)

typedef enum Call {
    IDLE,
    CALLING,    /* our INVITE is out */
    CANCELLING, /* and we want it back */
    RINGING,    /* their INVITE is here */
    ANSWERED,   /* our 2xx is out, the ACK is not here */
    TALKING,
    LEAVING, /* our BYE is out */
} Call;

/* A challenge that was answered once is answered in advance from then on. */
typedef struct Challenge {
    char **params;
    gboolean proxy;
    guint count;
} Challenge;

struct ClvUaPhone {
    ClvUaPhoneConfig config;
    nta_agent_t *agent;
    nta_leg_t *default_leg;
    su_home_t *home;
    char *contact; /* URI */
    char *contact_header;
    char *first_hop; /* (nullable) of requests out of a dialog */
    char *route;     /* (nullable) of all requests: the proxy */

    Call call;
    nta_leg_t *leg;
    nta_outgoing_t *invite; /* INVITE or re-INVITE under way */
    nta_outgoing_t *update, *bye;
    nta_incoming_t *invited; /* INVITE or re-INVITE to answer, or answered and not ACKed */
    nta_incoming_t *updated; /* UPDATE with an offer to answer */
    char *target;            /* where requests of the dialog go */
    char *sdp;               /* last offer we sent, for refreshing and for sending again */
    gsize sdp_len;
    Challenge challenge;
    guint n_challenges;    /* in a row */
    gboolean peer_updates; /* Allow has UPDATE */
    gint64 session_s, min_se_s;
    gboolean we_refresh;
    const char *leaving; /* cause of our BYE */
    gboolean refreshing; /* the re-INVITE under way changes nothing */
    ClvTimer *session_timer, *patience, *cancel_timer;
    char *tls_failure;
    ClvTimer *tls_timer;
};

static void end_call(ClvUaPhone *phone, const char *cause, const char *reason);

/* ---- events ------------------------------------------------------------------------------ */

static gboolean
has_param(const msg_param_t *params, const char *name)
{
    for (; params != NULL && *params != NULL; params++)
        if (g_ascii_strcasecmp(*params, name) == 0)
            return TRUE;
    return FALSE;
}

static gboolean
is_sdp(const sip_t *sip)
{
    return sip->sip_payload != NULL && sip->sip_content_type != NULL &&
           sip->sip_content_type->c_type != NULL &&
           g_ascii_strcasecmp(sip->sip_content_type->c_type, "application/sdp") == 0;
}

static gboolean
is_sip_url(const url_t *url)
{
    return url->url_type == url_sip || url->url_type == url_sips;
}

/* Fills an event from a message and passes it on. */
static void
tell(ClvUaPhone *phone, ClvUaPhoneEventKind kind, const sip_t *sip, const char *cause)
{
    su_home_t home[1] = {SU_HOME_INIT(home)};
    ClvUaPhoneEvent event = {.kind = kind, .retry_after_s = -1, .cause = cause};

    if (sip != NULL) {
        if (sip->sip_status != NULL) {
            event.status = sip->sip_status->st_status;
            event.phrase = sip->sip_status->st_phrase;
            event.local = nta_sip_is_internal(sip);
        }
        if (sip->sip_warning != NULL)
            event.warning = su_sprintf(home, "%u %s %s", sip->sip_warning->w_code,
                                       sip->sip_warning->w_host, sip->sip_warning->w_text);
        if (sip->sip_retry_after != NULL)
            event.retry_after_s = (int)sip->sip_retry_after->af_delta;
        if (sip->sip_reason != NULL)
            event.reason = sip_header_as_string(home, (sip_header_t *)sip->sip_reason);
        if (sip->sip_contact != NULL && is_sip_url(sip->sip_contact->m_url)) {
            event.contact = url_as_string(home, sip->sip_contact->m_url);
            event.isfocus = has_param(sip->sip_contact->m_params, "isfocus");
        }
        if (is_sdp(sip)) {
            event.sdp = sip->sip_payload->pl_data;
            event.sdp_len = sip->sip_payload->pl_len;
        }
        event.from = sip->sip_from != NULL ? url_as_string(home, sip->sip_from->a_url) : NULL;
        event.to = sip->sip_to != NULL ? url_as_string(home, sip->sip_to->a_url) : NULL;
        event.call_id = sip->sip_call_id != NULL ? sip->sip_call_id->i_id : NULL;
    }
    phone->config.event(&event, phone->config.user);
    su_home_deinit(home);
}

/* ---- credentials ------------------------------------------------------------------------- */

static void
forget_challenge(ClvUaPhone *phone)
{
    g_clear_pointer(&phone->challenge.params, g_strfreev);
    phone->challenge.count = 0;
}

/* Keeps the strongest challenge that we can answer. */
static gboolean
keep_challenge(ClvUaPhone *phone, const msg_auth_t *auth, gboolean proxy)
{
    const msg_auth_t *best = NULL;
    guint best_rank = 0;

    for (; auth != NULL; auth = auth->au_next) {
        guint rank = clv_ua_digest_rank((const char *const *)auth->au_params);

        if (auth->au_scheme == NULL || g_ascii_strcasecmp(auth->au_scheme, "Digest") != 0)
            continue;
        if (rank > best_rank) {
            best_rank = rank;
            best = auth;
        }
    }
    if (best == NULL)
        return FALSE;
    forget_challenge(phone);
    phone->challenge.params = g_strdupv((char **)(gpointer)best->au_params);
    phone->challenge.proxy = proxy;
    return TRUE;
}

/* Returns: (transfer full) (nullable): whole header line */
static char *
credentials(ClvUaPhone *phone, const char *method, const char *uri)
{
    g_autofree char *cnonce = g_strdup_printf("%08x%08x", g_random_int(), g_random_int());
    ClvUaDigest digest = {method,
                          uri,
                          phone->config.options->user,
                          phone->config.password,
                          cnonce,
                          phone->challenge.count + 1};
    g_autofree char *value = NULL;

    if (phone->challenge.params == NULL || digest.user == NULL || digest.password == NULL)
        return NULL;
    value = clv_ua_digest_answer((const char *const *)phone->challenge.params, &digest);
    if (value == NULL)
        return NULL;
    phone->challenge.count++;
    return g_strdup_printf("%s: %s",
                           phone->challenge.proxy ? "Proxy-Authorization" : "Authorization", value);
}

/* ---- requests ---------------------------------------------------------------------------- */

static int on_response(ClvUaPhone *phone, nta_outgoing_t *orq, const sip_t *sip);

/* Where a request goes first; NULL: where its URI or the dialog's route says. */
static const url_string_t *
hop(const ClvUaPhone *phone)
{
    if (phone->route != NULL)
        return (const url_string_t *)phone->route;
    return (const url_string_t *)(phone->call == CALLING ? phone->first_hop : NULL);
}

static nta_outgoing_t *
send_request(ClvUaPhone *phone, sip_method_t method, const char *name, const char *uri,
             const char *sdp, gsize sdp_len)
{
    su_home_t home[1] = {SU_HOME_INIT(home)};
    g_autofree char *authorization = credentials(phone, name, uri != NULL ? uri : phone->target);
    g_autofree char *expires = NULL;
    g_autofree char *min_se = g_strdup_printf("%" G_GINT64_FORMAT, phone->min_se_s);
    gboolean session = method != sip_method_bye && phone->session_s > 0;
    sip_payload_t *payload = sdp != NULL ? sip_payload_create(home, sdp, sdp_len) : NULL;
    nta_outgoing_t *orq;

    if (session)
        expires = g_strdup_printf("%" G_GINT64_FORMAT "%s", phone->session_s,
                                  phone->call == TALKING && phone->we_refresh ? ";refresher=uac"
                                  : phone->call == TALKING                    ? ";refresher=uas"
                                                                              : "");
    orq = nta_outgoing_tcreate(
        phone->leg, on_response, phone, hop(phone), method, name, (const url_string_t *)uri,
        SIPTAG_USER_AGENT_STR(AGENT), TAG_IF(method != sip_method_bye, SIPTAG_ALLOW_STR(ALLOWED)),
        TAG_IF(method != sip_method_bye, SIPTAG_SUPPORTED_STR("timer")),
        TAG_IF(method != sip_method_bye, SIPTAG_CONTACT_STR(phone->contact_header)),
        TAG_IF(session, SIPTAG_SESSION_EXPIRES_STR(expires)),
        TAG_IF(session && phone->min_se_s > 0, SIPTAG_MIN_SE_STR(min_se)),
        TAG_IF(authorization != NULL, SIPTAG_HEADER_STR(authorization)),
        TAG_IF(payload != NULL, SIPTAG_CONTENT_TYPE_STR("application/sdp")),
        TAG_IF(payload != NULL, SIPTAG_PAYLOAD(payload)), TAG_END());
    su_home_deinit(home);
    return orq;
}

static void
keep_sdp(ClvUaPhone *phone, const char *sdp, gsize len)
{
    char *copy = sdp != NULL ? g_memdup2(sdp, len + 1) : NULL;

    if (phone->sdp != NULL)
        OPENSSL_cleanse(phone->sdp, phone->sdp_len);
    g_free(phone->sdp);
    if (copy != NULL)
        copy[len] = '\0';
    phone->sdp = copy;
    phone->sdp_len = len;
}

static gboolean
send_invite(ClvUaPhone *phone)
{
    /* in a dialog the leg knows its target */
    phone->invite =
        send_request(phone, SIP_METHOD_INVITE, phone->call == CALLING ? phone->target : NULL,
                     phone->sdp, phone->sdp_len);
    return phone->invite != NULL;
}

/* ---- session timer (RFC 4028) ------------------------------------------------------------ */

static void on_session_timer(void *user);
static void send_bye(ClvUaPhone *phone);

static void
arm_session_timer(ClvUaPhone *phone)
{
    gint64 wait_s =
        phone->we_refresh ? phone->session_s / 2 : phone->session_s - MIN(32, phone->session_s / 3);

    clv_timer_cancel(phone->session_timer);
    phone->session_timer = NULL;
    if (phone->session_s > 0)
        phone->session_timer =
            clv_loop_timer(phone->config.loop, wait_s * 1000, on_session_timer, phone);
}

static void
on_session_timer(void *user)
{
    ClvUaPhone *phone = user;

    phone->session_timer = NULL;
    if (phone->call != TALKING)
        return;
    if (!phone->we_refresh) {
        phone->leaving = "timer";
        send_bye(phone);
        return;
    }
    if (phone->invite != NULL || phone->update != NULL) {
        phone->session_timer = clv_loop_timer(phone->config.loop, 1000, on_session_timer, phone);
        return;
    }
    if (phone->peer_updates)
        phone->update = send_request(phone, SIP_METHOD_UPDATE, NULL, NULL, 0);
    else
        phone->refreshing = send_invite(phone);
    arm_session_timer(phone);
}

/* From a 2xx to our request. */
static void
take_session_answer(ClvUaPhone *phone, const sip_t *sip)
{
    const sip_session_expires_t *expires = sip->sip_session_expires;

    if (expires == NULL) {
        /* the peer knows no timers; keep it alive by ourselves if we wanted one */
        phone->we_refresh = TRUE;
    } else {
        phone->session_s = (gint64)MAX(expires->x_delta, 10);
        phone->we_refresh =
            expires->x_refresher == NULL || g_ascii_strcasecmp(expires->x_refresher, "uac") == 0;
    }
    arm_session_timer(phone);
}

/* From a request of the peer's. Returns: (transfer full) (nullable): header value for the answer */
static char *
take_session_request(ClvUaPhone *phone, const sip_t *sip)
{
    const sip_session_expires_t *expires = sip->sip_session_expires;
    gboolean peer_refreshes;

    if (expires == NULL)
        return NULL;
    peer_refreshes =
        expires->x_refresher == NULL || g_ascii_strcasecmp(expires->x_refresher, "uac") == 0;
    phone->session_s = (gint64)MAX(expires->x_delta, 10);
    phone->we_refresh = !peer_refreshes;
    arm_session_timer(phone);
    return g_strdup_printf("%" G_GINT64_FORMAT ";refresher=%s", phone->session_s,
                           peer_refreshes ? "uac" : "uas");
}

/* ---- life of a call ---------------------------------------------------------------------- */

static void
drop_timer(ClvTimer **timer)
{
    clv_timer_cancel(*timer);
    *timer = NULL;
}

static void
forget_call(ClvUaPhone *phone)
{
    drop_timer(&phone->session_timer);
    drop_timer(&phone->patience);
    drop_timer(&phone->cancel_timer);
    g_clear_pointer(&phone->invite, nta_outgoing_destroy);
    g_clear_pointer(&phone->update, nta_outgoing_destroy);
    g_clear_pointer(&phone->bye, nta_outgoing_destroy);
    g_clear_pointer(&phone->invited, nta_incoming_destroy);
    g_clear_pointer(&phone->updated, nta_incoming_destroy);
    g_clear_pointer(&phone->leg, nta_leg_destroy);
    g_clear_pointer(&phone->target, g_free);
    keep_sdp(phone, NULL, 0);
    forget_challenge(phone);
    phone->n_challenges = 0;
    phone->refreshing = FALSE;
    phone->leaving = NULL;
    phone->call = IDLE;
}

static void
end_call(ClvUaPhone *phone, const char *cause, const char *reason)
{
    ClvUaPhoneEvent event = {
        .kind = CLV_UA_PHONE_ENDED, .cause = cause, .reason = reason, .retry_after_s = -1};

    forget_call(phone);
    phone->config.event(&event, phone->config.user);
}

static void
send_bye(ClvUaPhone *phone)
{
    phone->call = LEAVING;
    drop_timer(&phone->session_timer);
    phone->bye = send_request(phone, SIP_METHOD_BYE, NULL, NULL, 0);
    if (phone->bye == NULL)
        end_call(phone, "local", NULL);
}

/* ---- answers to our requests ------------------------------------------------------------- */

static void
send_ack(ClvUaPhone *phone, const sip_t *sip)
{
    nta_outgoing_t *ack = nta_outgoing_tcreate(phone->leg, NULL, NULL, hop(phone), SIP_METHOD_ACK,
                                               NULL, SIPTAG_CSEQ(sip->sip_cseq), TAG_END());

    if (ack != NULL)
        nta_outgoing_destroy(ack);
}

/* Answers 401, 407 and 422 by another request. Returns: TRUE if there is one under way */
static gboolean
try_again(ClvUaPhone *phone, const sip_t *sip)
{
    int status = sip->sip_status->st_status;
    gboolean stale;

    if (status == 422 && sip->sip_min_se != NULL && phone->min_se_s == 0) {
        phone->min_se_s = (gint64)sip->sip_min_se->min_delta;
        phone->session_s = MAX(phone->session_s, phone->min_se_s);
        return send_invite(phone);
    }
    if (status != 401 && status != 407)
        return FALSE;

    stale = phone->challenge.params != NULL;
    if (!keep_challenge(phone,
                        status == 401 ? sip->sip_www_authenticate : sip->sip_proxy_authenticate,
                        status == 407))
        return FALSE;
    if (stale && !clv_ua_digest_is_stale((const char *const *)phone->challenge.params))
        return FALSE; /* the password is wrong */
    if (++phone->n_challenges > MAX_CHALLENGES || phone->config.password == NULL)
        return FALSE;
    return send_invite(phone);
}

static void
refuse_call(ClvUaPhone *phone, const sip_t *sip)
{
    /* the message lives as long as the transaction: tell first */
    phone->call = LEAVING;
    tell(phone, CLV_UA_PHONE_REFUSED, sip, phone->tls_failure);
    forget_call(phone);
}

static void
accept_dialog(ClvUaPhone *phone, const sip_t *sip)
{
    const sip_contact_t *contact = sip->sip_contact;
    gboolean usable = contact != NULL && is_sip_url(contact->m_url);

    nta_leg_rtag(phone->leg, sip->sip_to->a_tag);
    nta_leg_client_route(phone->leg, sip->sip_record_route, usable ? contact : NULL);
    if (usable) {
        char *url = url_as_string(phone->home, contact->m_url);

        g_free(phone->target);
        phone->target = g_strdup(url);
        su_free(phone->home, url);
    }
}

static void
on_invite_accepted(ClvUaPhone *phone, const sip_t *sip)
{
    Call before = phone->call;
    gboolean first = before == CALLING || before == CANCELLING;

    if (first) {
        accept_dialog(phone, sip);
        phone->call = TALKING;
    }
    send_ack(phone, sip);
    phone->n_challenges = 0;
    if (before == CANCELLING) {
        send_bye(phone); /* the 2xx was on its way when we gave up */
        return;
    }
    if (before == LEAVING)
        return;
    phone->peer_updates =
        sip->sip_allow != NULL && sip_is_allowed(sip->sip_allow, SIP_METHOD_UPDATE);
    take_session_answer(phone, sip);
    if (phone->refreshing)
        tell(phone, CLV_UA_PHONE_REFRESHED, sip, "INVITE");
    else
        tell(phone, first ? CLV_UA_PHONE_ACCEPTED : CLV_UA_PHONE_REACCEPTED, sip, NULL);
    phone->refreshing = FALSE;
}

static void
on_invite_refused(ClvUaPhone *phone, const sip_t *sip)
{
    int status = sip->sip_status->st_status;

    if ((phone->call == CALLING || phone->call == TALKING) && try_again(phone, sip))
        return;
    if (phone->call == CALLING || phone->call == CANCELLING) {
        refuse_call(phone, sip);
        return;
    }
    if (phone->call != TALKING)
        return;
    if (!phone->refreshing)
        tell(phone, CLV_UA_PHONE_REREFUSED, sip, NULL);
    phone->refreshing = FALSE;
    if (phone->call == TALKING && (status == 481 || status == 408))
        send_bye(phone);
}

static void
on_invite_final(ClvUaPhone *phone, const sip_t *sip)
{
    nta_outgoing_t *done = phone->invite;

    phone->invite = NULL;
    if (phone->call != TALKING &&
        (sip->sip_status->st_status < 300 ||
         (sip->sip_status->st_status != 401 && sip->sip_status->st_status != 407))) {
        drop_timer(&phone->patience);
        drop_timer(&phone->cancel_timer);
    }
    if (sip->sip_status->st_status < 300)
        on_invite_accepted(phone, sip);
    else
        on_invite_refused(phone, sip);
    nta_outgoing_destroy(done);
}

static int
on_response(ClvUaPhone *phone, nta_outgoing_t *orq, const sip_t *sip)
{
    int status = sip->sip_status->st_status;

    if (orq == phone->invite) {
        if (status >= 200)
            on_invite_final(phone, sip);
        else if (status > 100 && phone->call == CALLING)
            tell(phone, CLV_UA_PHONE_PROGRESS, sip, NULL);
        return 0;
    }
    if (status < 200)
        return 0;
    if (orq == phone->bye) {
        end_call(phone, phone->leaving != NULL ? phone->leaving : "local", NULL);
        return 0;
    }
    if (orq == phone->update) {
        phone->update = NULL;
        tell(phone, CLV_UA_PHONE_REFRESHED, sip, "UPDATE");
        if (status < 300)
            take_session_answer(phone, sip);
        else if (status == 481 || status == 408)
            send_bye(phone);
    }
    nta_outgoing_destroy(orq);
    return 0;
}

/* A 2xx may still come: then it is ACKed and followed by BYE. */
static void
cancel_invite(ClvUaPhone *phone)
{
    if (phone->call != CALLING || phone->invite == NULL)
        return;
    phone->call = CANCELLING;
    nta_outgoing_tcancel(phone->invite, NULL, NULL, TAG_END());
}

static void
on_patience(void *user)
{
    ClvUaPhone *phone = user;

    phone->patience = NULL;
    cancel_invite(phone);
}

static void
on_cancel_timer(void *user)
{
    ClvUaPhone *phone = user;

    phone->cancel_timer = NULL;
    cancel_invite(phone);
}

/* Hop of a call that names none: the URI itself, with the transport that was asked for. */
static char *
hop_of(const ClvUaPhone *phone, const char *uri)
{
    static const char *const names[] = {"udp", "tcp", "tls"};
    g_autofree char *plain = g_strndup(uri, strcspn(uri, "?"));

    if (clv_ua_uri_transport(uri) >= 0)
        return g_steal_pointer(&plain);
    return g_strdup_printf("%s;transport=%s", plain, names[phone->config.transport]);
}

static gboolean
make_leg(ClvUaPhone *phone, const char *uri, GError **error)
{
    const ClvUaOptions *options = phone->config.options;
    const char *identity = options->identity != NULL ? options->identity : phone->contact;
    g_autofree char *from = options->display_name != NULL
                                ? g_strdup_printf("\"%s\" <%s>", options->display_name, identity)
                                : g_strdup_printf("<%s>", identity);
    g_autofree char *to = g_strdup_printf("<%s>", uri);

    phone->leg = nta_leg_tcreate(phone->agent, NULL, phone, SIPTAG_FROM_STR(from),
                                 SIPTAG_TO_STR(to), TAG_END());
    if (phone->leg == NULL) {
        g_set_error(error, CLV_UA_PHONE_ERROR, 0, "'%s' calling '%s': these are no SIP URIs",
                    identity, uri);
        return FALSE;
    }
    nta_leg_tag(phone->leg, NULL);
    return TRUE;
}

static int on_request(ClvUaPhone *phone, nta_leg_t *leg, nta_incoming_t *irq, const sip_t *sip);

gboolean
clv_ua_phone_call(ClvUaPhone *phone, const char *uri, const char *sdp, gsize sdp_len,
                  GError **error)
{
    const ClvUaOptions *options = phone->config.options;

    g_return_val_if_fail(phone->call == IDLE, FALSE);

    if (!make_leg(phone, uri, error))
        return FALSE;
    nta_leg_bind(phone->leg, on_request, phone);
    g_free(phone->first_hop);
    phone->first_hop = options->proxy != NULL ? NULL : hop_of(phone, uri);
    phone->session_s = options->session_expires_s;
    phone->min_se_s = 0;
    keep_sdp(phone, sdp, sdp_len);
    phone->target = g_strdup(uri);
    phone->call = CALLING;
    if (!send_invite(phone)) {
        g_set_error(error, CLV_UA_PHONE_ERROR, 0, "'%s' cannot be called", uri);
        forget_call(phone);
        return FALSE;
    }
    phone->patience =
        clv_loop_timer(phone->config.loop, options->answer_timeout_ms, on_patience, phone);
    if (options->cancel_after_ms >= 0)
        phone->cancel_timer =
            clv_loop_timer(phone->config.loop, options->cancel_after_ms, on_cancel_timer, phone);
    return TRUE;
}

gboolean
clv_ua_phone_reinvite(ClvUaPhone *phone, const char *sdp, gsize sdp_len, GError **error)
{
    if (phone->call != TALKING || phone->invite != NULL || phone->invited != NULL) {
        g_set_error(error, CLV_UA_PHONE_ERROR, 0, "no call, or another offer is under way");
        return FALSE;
    }
    keep_sdp(phone, sdp, sdp_len);
    return send_invite(phone);
}

void
clv_ua_phone_hang_up(ClvUaPhone *phone)
{
    switch (phone->call) {
    case CALLING:
        /* a 2xx may still come: then it is ACKed and followed by BYE */
        cancel_invite(phone);
        return;
    case RINGING:
        nta_incoming_treply(phone->invited, SIP_480_TEMPORARILY_UNAVAILABLE, TAG_END());
        end_call(phone, "local", NULL);
        return;
    case ANSWERED:
    case TALKING:
        send_bye(phone);
        return;
    default:
        return;
    }
}

gboolean
clv_ua_phone_is_idle(const ClvUaPhone *phone)
{
    return phone->call == IDLE;
}

/* ---- requests of the peer ---------------------------------------------------------------- */

static int
on_ack_cancel(ClvUaPhone *phone, nta_incoming_t *irq, const sip_t *sip)
{
    if (irq != phone->invited)
        return 0;
    if (sip == NULL) {
        phone->invited = NULL;
        nta_incoming_destroy(irq);
        if (phone->call == ANSWERED) {
            phone->leaving = "no-ack";
            send_bye(phone);
        }
        return 0;
    }
    if (sip->sip_request->rq_method == sip_method_cancel) {
        if (phone->call == RINGING) {
            nta_incoming_treply(irq, SIP_487_REQUEST_CANCELLED, TAG_END());
            end_call(phone, "cancel", NULL);
        }
        return 0;
    }
    phone->invited = NULL;
    if (phone->call == ANSWERED) {
        phone->call = TALKING;
        tell(phone, CLV_UA_PHONE_CONFIRMED, sip, NULL);
    }
    nta_incoming_destroy(irq);
    return 0;
}

static void
reply(ClvUaPhone *phone, nta_incoming_t *irq, int status, const char *sdp, const char *session)
{
    const char *phrase = sip_status_phrase(status);
    gboolean full = status > 100 && status < 300;

    nta_incoming_treply(irq, status, phrase != NULL ? phrase : "Refused", SIPTAG_SERVER_STR(AGENT),
                        TAG_IF(full, SIPTAG_CONTACT_STR(phone->contact_header)),
                        TAG_IF(full, SIPTAG_ALLOW_STR(ALLOWED)),
                        TAG_IF(full, SIPTAG_SUPPORTED_STR("timer")),
                        TAG_IF(session != NULL, SIPTAG_SESSION_EXPIRES_STR(session)),
                        TAG_IF(session != NULL, SIPTAG_REQUIRE_STR("timer")),
                        TAG_IF(sdp != NULL, SIPTAG_CONTENT_TYPE_STR("application/sdp")),
                        TAG_IF(sdp != NULL, SIPTAG_PAYLOAD_STR(sdp)), TAG_END());
}

static const sip_t *
request_of(nta_incoming_t *irq, msg_t **out_msg)
{
    *out_msg = nta_incoming_getrequest(irq);
    return sip_object(*out_msg);
}

void
clv_ua_phone_answer(ClvUaPhone *phone, int status, const char *sdp)
{
    gboolean update = phone->updated != NULL;
    nta_incoming_t *irq = update ? phone->updated : phone->invited;
    g_autofree char *session = NULL;
    msg_t *msg = NULL;

    if (irq == NULL)
        return;
    if (status >= 200 && status < 300)
        session = take_session_request(phone, request_of(irq, &msg));
    if (msg != NULL)
        msg_destroy(msg);
    reply(phone, irq, status, sdp, session);
    if (status < 200)
        return;
    if (update) {
        g_clear_pointer(&phone->updated, nta_incoming_destroy);
    } else if (status >= 300) {
        g_clear_pointer(&phone->invited, nta_incoming_destroy);
        if (phone->call == RINGING)
            forget_call(phone);
    } else if (phone->call == RINGING) {
        phone->call = ANSWERED;
    }
}

static int
answer_options(ClvUaPhone *phone, nta_incoming_t *irq)
{
    nta_incoming_treply(irq, SIP_200_OK, SIPTAG_SERVER_STR(AGENT), SIPTAG_ALLOW_STR(ALLOWED),
                        SIPTAG_ACCEPT_STR("application/sdp"), SIPTAG_SUPPORTED_STR("timer"),
                        SIPTAG_CONTACT_STR(phone->contact_header), TAG_END());
    nta_incoming_destroy(irq);
    return 0;
}

static int
take_reoffer(ClvUaPhone *phone, nta_incoming_t *irq, const sip_t *sip)
{
    gboolean update = sip->sip_request->rq_method == sip_method_update;

    if (phone->invite != NULL)
        return 491;
    if (phone->invited != NULL || phone->updated != NULL) {
        nta_incoming_treply(irq, SIP_500_INTERNAL_SERVER_ERROR, SIPTAG_RETRY_AFTER_STR("2"),
                            TAG_END());
        nta_incoming_destroy(irq);
        return 0;
    }
    if (update && !is_sdp(sip)) {
        g_autofree char *session = take_session_request(phone, sip);

        reply(phone, irq, 200, NULL, session);
        nta_incoming_destroy(irq);
        return 0;
    }
    if (update) {
        phone->updated = irq;
    } else {
        phone->invited = irq;
        nta_incoming_bind(irq, on_ack_cancel, phone);
    }
    tell(phone, CLV_UA_PHONE_REOFFERED, sip, NULL);
    return 0;
}

static int
on_request(ClvUaPhone *phone, nta_leg_t *leg, nta_incoming_t *irq, const sip_t *sip)
{
    switch (sip->sip_request->rq_method) {
    case sip_method_bye:
        if (phone->call == IDLE)
            return 481;
        {
            su_home_t home[1] = {SU_HOME_INIT(home)};
            const char *reason = sip->sip_reason != NULL
                                     ? sip_header_as_string(home, (sip_header_t *)sip->sip_reason)
                                     : NULL;

            nta_incoming_treply(irq, SIP_200_OK, TAG_END());
            nta_incoming_destroy(irq);
            end_call(phone, "bye", reason);
            su_home_deinit(home);
        }
        return 0;
    case sip_method_invite:
    case sip_method_update:
        return take_reoffer(phone, irq, sip);
    case sip_method_options:
        return answer_options(phone, irq);
    case sip_method_ack:
        return 0;
    default:
        return 405;
    }
}

static gboolean
make_server_leg(ClvUaPhone *phone, nta_incoming_t *irq, const sip_t *sip)
{
    char *url;

    if (sip->sip_contact == NULL || !is_sip_url(sip->sip_contact->m_url) ||
        sip->sip_from->a_tag == NULL)
        return FALSE;
    phone->leg = nta_leg_tcreate(phone->agent, on_request, phone, SIPTAG_CALL_ID(sip->sip_call_id),
                                 SIPTAG_FROM(sip->sip_to), SIPTAG_TO(sip->sip_from),
                                 NTATAG_REMOTE_CSEQ(sip->sip_cseq->cs_seq), TAG_END());
    if (phone->leg == NULL)
        return FALSE;
    nta_leg_tag(phone->leg, nta_incoming_tag(irq, NULL));
    nta_leg_server_route(phone->leg, sip->sip_record_route, sip->sip_contact);
    url = url_as_string(phone->home, sip->sip_contact->m_url);
    phone->target = g_strdup(url);
    su_free(phone->home, url);
    return TRUE;
}

static int
on_stray(ClvUaPhone *phone, nta_leg_t *leg, nta_incoming_t *irq, const sip_t *sip)
{
    if (sip->sip_request->rq_method == sip_method_options)
        return answer_options(phone, irq);
    if (sip->sip_request->rq_method == sip_method_ack)
        return 0;
    if (sip->sip_to->a_tag != NULL)
        return 481;
    if (sip->sip_request->rq_method != sip_method_invite)
        return 405;
    if (phone->config.options->verb != CLV_UA_ANSWER || phone->call != IDLE)
        return 486;
    if (!make_server_leg(phone, irq, sip))
        return 400;

    phone->call = RINGING;
    phone->invited = irq;
    phone->session_s = 0;
    phone->peer_updates =
        sip->sip_allow != NULL && sip_is_allowed(sip->sip_allow, SIP_METHOD_UPDATE);
    nta_incoming_bind(irq, on_ack_cancel, phone);
    tell(phone, CLV_UA_PHONE_INVITED, sip, NULL);
    return 0;
}

/* ---- addresses --------------------------------------------------------------------------- */

int
clv_ua_uri_transport(const char *uri)
{
    static const char *const names[] = {"udp", "tcp", "tls"};
    const char *at;

    if (g_ascii_strncasecmp(uri, "sips:", 5) == 0)
        return CLV_UA_TLS;
    for (at = strchr(uri, ';'); at != NULL; at = strchr(at + 1, ';'))
        for (guint i = 0; i < G_N_ELEMENTS(names); i++)
            if (g_ascii_strncasecmp(at, ";transport=", 11) == 0 &&
                g_ascii_strncasecmp(at + 11, names[i], 3) == 0)
                return (int)i;
    return -1;
}

/* Returns: (transfer full) (nullable): host part of a SIP URI without brackets */
static char *
host_of(const char *uri)
{
    su_home_t home[1] = {SU_HOME_INIT(home)};
    url_t *url = url_hdup(home, (const url_t *)uri);
    char *host = NULL;

    if (url != NULL && url->url_host != NULL) {
        gsize len = strlen(url->url_host);

        host = url->url_host[0] == '[' && len > 2 ? g_strndup(url->url_host + 1, len - 2)
                                                  : g_strdup(url->url_host);
    }
    su_home_deinit(home);
    return host;
}

char *
clv_ua_local_host(const char *uri)
{
    g_autofree char *host = host_of(uri);
    struct sockaddr_in in4 = {.sin_family = AF_INET, .sin_port = htons(5060)};
    struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_port = htons(5060)};
    gboolean is4 = host != NULL && inet_pton(AF_INET, host, &in4.sin_addr) == 1;
    gboolean is6 = host != NULL && !is4 && inet_pton(AF_INET6, host, &in6.sin6_addr) == 1;
    const struct sockaddr *to = is4 ? (struct sockaddr *)&in4 : (struct sockaddr *)&in6;
    socklen_t len = is4 ? sizeof in4 : sizeof in6;
    char text[INET6_ADDRSTRLEN] = "";
    int fd;

    if (!is4 && !is6)
        return host != NULL ? g_strdup("127.0.0.1") : NULL;
    fd = socket(to->sa_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd >= 0 && connect(fd, to, len) == 0 &&
        getsockname(fd, is4 ? (struct sockaddr *)&in4 : (struct sockaddr *)&in6, &len) == 0)
        inet_ntop(to->sa_family, is4 ? (void *)&in4.sin_addr : (void *)&in6.sin6_addr, text,
                  sizeof text);
    if (fd >= 0)
        close(fd);
    return *text != '\0' ? g_strdup(text) : NULL;
}

/* ---- birth and death --------------------------------------------------------------------- */

static void
on_tls_timer(void *user)
{
    ClvUaPhone *phone = user;
    ClvUaPhoneEvent event = {.kind = CLV_UA_PHONE_REFUSED,
                             .status = 503,
                             .phrase = "TLS failed",
                             .retry_after_s = -1,
                             .local = TRUE};

    phone->tls_timer = NULL;
    if (phone->call != CALLING)
        return;
    event.cause = phone->tls_failure;
    forget_call(phone);
    phone->config.event(&event, phone->config.user);
}

/* In the middle of a handshake nothing can be taken down: remember, and act a moment later. */
static void
on_tls_failed(const char *why, void *user)
{
    ClvUaPhone *phone = user;

    g_free(phone->tls_failure);
    phone->tls_failure = g_strdup(why);
    if (phone->tls_timer == NULL)
        phone->tls_timer = clv_loop_timer(phone->config.loop, 0, on_tls_timer, phone);
}

static gboolean
add_transport(ClvUaPhone *phone, GError **error)
{
    const ClvUaOptions *options = phone->config.options;
    static const char *const names[] = {"udp", "tcp", "tls"};
    gboolean v6 = strchr(phone->config.local_host, ':') != NULL;
    ClvUaTransport transport = phone->config.transport;
    g_autofree char *port = phone->config.local_port != 0
                                ? g_strdup_printf("%u", phone->config.local_port)
                                : g_strdup("*");
    g_autofree char *url = g_strdup_printf(
        "%s:%s%s%s:%s%s%s", transport == CLV_UA_TLS ? "sips" : "sip", v6 ? "[" : "",
        phone->config.local_host, v6 ? "]" : "", port, transport == CLV_UA_TLS ? "" : ";transport=",
        transport == CLV_UA_TLS ? "" : names[transport]);
    const char *whom = options->proxy != NULL     ? options->proxy
                       : options->factory != NULL ? options->factory
                                                  : options->operand;
    g_autofree char *host = whom != NULL ? host_of(whom) : NULL;
    g_autofree char *dir = NULL;
    int result;

    if (transport == CLV_UA_TLS) {
        dir = clv_ua_tls_begin(host, options->ca, options->cert, options->insecure, on_tls_failed,
                               phone, error);
        if (dir == NULL)
            return FALSE;
        clv_ua_tls_mark(TRUE);
    }
    result = nta_agent_add_tport(phone->agent, (const url_string_t *)url, TPTAG_SERVER(1),
                                 TAG_IF(dir != NULL, TPTAG_CERTIFICATE(dir)),
                                 TPTAG_TLS_VERIFY_POLICY(0), TAG_END());
    clv_ua_tls_mark(FALSE);
    if (result < 0) {
        g_set_error(error, CLV_UA_PHONE_ERROR, 0, "cannot listen on %s", url);
        return FALSE;
    }
    return TRUE;
}

/* <sip:user@host:port;transport=...>, with the port that was really bound */
static gboolean
make_contact(ClvUaPhone *phone, GError **error)
{
    static const char *const names[] = {"udp", "tcp", "tls"};
    const ClvUaOptions *options = phone->config.options;
    tport_t *tport = tport_primaries(nta_agent_tports(phone->agent));
    const tp_name_t *name = tport != NULL ? tport_name(tport) : NULL;
    su_home_t home[1] = {SU_HOME_INIT(home)};
    url_t *identity = options->identity != NULL ? url_hdup(home, (url_t *)options->identity) : NULL;
    gboolean v6;

    if (name == NULL) {
        g_set_error(error, CLV_UA_PHONE_ERROR, 0, "no transport");
        su_home_deinit(home);
        return FALSE;
    }
    v6 = strchr(name->tpn_host, ':') != NULL && name->tpn_host[0] != '[';
    phone->contact = g_strdup_printf(
        "sip:%s@%s%s%s:%s;transport=%s",
        identity != NULL && identity->url_user != NULL ? identity->url_user : "conclave-ua",
        v6 ? "[" : "", name->tpn_host, v6 ? "]" : "", name->tpn_port,
        names[phone->config.transport]);
    phone->contact_header = g_strdup_printf("<%s>", phone->contact);
    su_home_deinit(home);
    return TRUE;
}

ClvUaPhone *
clv_ua_phone_new(const ClvUaPhoneConfig *config, GError **error)
{
    ClvUaPhone *phone = g_new0(ClvUaPhone, 1);

    phone->config = *config;
    phone->home = su_home_new(sizeof *phone->home);
    phone->route = g_strdup(config->options->proxy);
    if (phone->route != NULL && config->options->transport >= 0) {
        char *with = hop_of(phone, phone->route);

        g_free(phone->route);
        phone->route = with;
    }
    sip_update_default_mclass(sip_extend_mclass(NULL));
    phone->agent = nta_agent_create(clv_loop_root(config->loop), (url_string_t *)-1, NULL, phone,
                                    NTATAG_UA(1), NTATAG_MERGE_482(1), NTATAG_MAXSIZE(262144),
                                    NTATAG_UDP_MTU(60000), NTATAG_USE_NAPTR(0), TAG_END());
    if (phone->agent == NULL) {
        g_set_error(error, CLV_UA_PHONE_ERROR, 0, "SIP does not start");
        clv_ua_phone_free(phone);
        return NULL;
    }
    phone->default_leg =
        nta_leg_tcreate(phone->agent, on_stray, phone, NTATAG_NO_DIALOG(1), TAG_END());
    if (phone->default_leg == NULL || !add_transport(phone, error) || !make_contact(phone, error)) {
        clv_ua_phone_free(phone);
        return NULL;
    }
    return phone;
}

void
clv_ua_phone_free(ClvUaPhone *phone)
{
    if (phone == NULL)
        return;
    forget_call(phone);
    drop_timer(&phone->tls_timer);
    if (phone->default_leg != NULL)
        nta_leg_destroy(phone->default_leg);
    if (phone->agent != NULL)
        nta_agent_destroy(phone->agent);
    clv_ua_tls_end();
    su_home_unref(phone->home);
    g_free(phone->tls_failure);
    g_free(phone->contact);
    g_free(phone->contact_header);
    g_free(phone->first_hop);
    g_free(phone->route);
    g_free(phone);
}

const char *
clv_ua_phone_contact(const ClvUaPhone *phone)
{
    return phone->contact;
}
