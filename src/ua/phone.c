/* SPDX-License-Identifier: Apache-2.0 */
/* ua/phone.c - one dialog on nta: the requests that we send in it
 *
 * Out:  INVITE -> [401 -> INVITE] -> 1xx -> 2xx, ACK -> re-INVITE, UPDATE, BYE
 * What comes in is in phone-in.c, REFER in phone-refer.c, transport and passwords in agent.c.
 */
#include "ua/phone-private.h"

#include "sip/multipart.h"
#include "base/secret.h"
#include "ua/dialog-id.h"
#include "ua/uri-list.h"

#include <openssl/crypto.h>
#include <string.h>

G_DEFINE_QUARK(clv_ua_phone_error, clv_ua_phone_error)

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
is_of_type(const sip_t *sip, const char *type)
{
    return sip->sip_payload != NULL && sip->sip_content_type != NULL &&
           sip->sip_content_type->c_type != NULL &&
           g_ascii_strcasecmp(sip->sip_content_type->c_type, type) == 0;
}

/* Alone, or the first of several parts; what else is there is optional for a phone. */
static gboolean
find_sdp(const sip_t *sip, const char **out, gsize *out_len)
{
    ClvPart parts[CLV_MULTIPART_MAX_PARTS];
    guint n;

    if (is_of_type(sip, "application/sdp")) {
        *out = sip->sip_payload->pl_data;
        *out_len = sip->sip_payload->pl_len;
        return TRUE;
    }
    if (!is_of_type(sip, "multipart/mixed") ||
        !clv_multipart_split(msg_params_find(sip->sip_content_type->c_params, "boundary="),
                             sip->sip_payload->pl_data, sip->sip_payload->pl_len, parts, &n))
        return FALSE;
    for (guint i = 0; i < n; i++) {
        if (strcmp(parts[i].type, "application/sdp") == 0 && !parts[i].base64) {
            *out = parts[i].body;
            *out_len = parts[i].len;
            return TRUE;
        }
    }
    return FALSE;
}

gboolean
clv_ua_is_sdp(const sip_t *sip)
{
    const char *sdp;
    gsize len;

    return find_sdp(sip, &sdp, &len);
}

gboolean
clv_ua_is_sip_url(const url_t *url)
{
    return url->url_type == url_sip || url->url_type == url_sips;
}

/* Fills an event from a message and passes it on. */
void
clv_ua_phone_tell_event(ClvUaPhone *phone, ClvUaPhoneEvent *event, const sip_t *sip)
{
    su_home_t home[1] = {SU_HOME_INIT(home)};

    event->retry_after_s = -1;
    if (sip != NULL) {
        if (sip->sip_status != NULL) {
            event->status = sip->sip_status->st_status;
            event->phrase = sip->sip_status->st_phrase;
            event->local = nta_sip_is_internal(sip);
        }
        if (sip->sip_warning != NULL)
            event->warning = su_sprintf(home, "%u %s %s", sip->sip_warning->w_code,
                                        sip->sip_warning->w_host, sip->sip_warning->w_text);
        if (sip->sip_retry_after != NULL)
            event->retry_after_s = (int)sip->sip_retry_after->af_delta;
        if (sip->sip_reason != NULL)
            event->reason = sip_header_as_string(home, (sip_header_t *)sip->sip_reason);
        if (sip->sip_contact != NULL && clv_ua_is_sip_url(sip->sip_contact->m_url)) {
            event->contact = url_as_string(home, sip->sip_contact->m_url);
            event->isfocus = has_param(sip->sip_contact->m_params, "isfocus");
        }
        (void)find_sdp(sip, &event->sdp, &event->sdp_len);
        event->from = sip->sip_from != NULL ? url_as_string(home, sip->sip_from->a_url) : NULL;
        event->to = sip->sip_to != NULL ? url_as_string(home, sip->sip_to->a_url) : NULL;
        event->call_id = sip->sip_call_id != NULL ? sip->sip_call_id->i_id : NULL;
        event->dialog = phone->dialog;
        if (sip_p_asserted_identity(sip) != NULL)
            event->asserted = url_as_string(home, sip_p_asserted_identity(sip)->paid_url);
        if (sip->sip_referred_by != NULL)
            event->referred_by = url_as_string(home, sip->sip_referred_by->b_url);
    }
    phone->config.event(event, phone->config.user);
    su_home_deinit(home);
}

void
clv_ua_phone_tell(ClvUaPhone *phone, ClvUaPhoneEventKind kind, const sip_t *sip, const char *cause)
{
    ClvUaPhoneEvent event = {.kind = kind, .cause = cause};

    clv_ua_phone_tell_event(phone, &event, sip);
}

/* ---- requests ---------------------------------------------------------------------------- */

static int on_response(ClvUaPhone *phone, nta_outgoing_t *orq, const sip_t *sip);

/* Where a request goes first; NULL: where its URI or the dialog's route says. */
static const url_string_t *
hop(const ClvUaPhone *phone, const nta_leg_t *leg)
{
    if (phone->route != NULL)
        return (const url_string_t *)phone->route;
    return (const url_string_t *)(phone->call == CALLING && leg == phone->leg ? phone->first_hop
                                                                              : NULL);
}

/* What --header and its like want in every request that begins something */
void
clv_ua_phone_append_wanted(const ClvUaPhone *phone, GString *lines)
{
    const ClvUaOptions *o = phone->config.options;

    if (o->privacy != NULL)
        g_string_append_printf(lines, "Privacy: %s\r\n", o->privacy);
    if (o->assert_identity != NULL)
        g_string_append_printf(lines, "P-Asserted-Identity: <%s>\r\n", o->assert_identity);
    for (guint i = 0; i < o->headers->len; i++)
        g_string_append_printf(lines, "%s\r\n", (char *)g_ptr_array_index(o->headers, i));
}

/* Which refreshes, when we say so at all */
static const char *
refresher(const ClvUaPhone *phone)
{
    if (phone->call != TALKING)
        return "";
    return phone->we_refresh ? ";refresher=uac" : ";refresher=uas";
}

nta_outgoing_t *
clv_ua_phone_send(ClvUaPhone *phone, nta_leg_t *leg, const ClvUaRequest *r)
{
    su_home_t home[1] = {SU_HOME_INIT(home)};
    g_autofree char *authorization =
        clv_ua_phone_credentials(phone, r->name, r->uri != NULL ? r->uri : phone->target);
    g_autofree char *expires = NULL;
    g_autofree char *min_se = g_strdup_printf("%" G_GINT64_FORMAT, phone->min_se_s);
    gboolean session =
        (r->method == sip_method_invite || r->method == sip_method_update) && phone->session_s > 0;
    gboolean full = r->method != sip_method_bye;
    sip_payload_t *payload =
        r->body != NULL ? sip_payload_create(home, r->body, (isize_t)r->len) : NULL;
    nta_outgoing_t *orq;

    if (session)
        expires = g_strdup_printf("%" G_GINT64_FORMAT "%s", phone->session_s, refresher(phone));
    orq = nta_outgoing_tcreate(
        leg, on_response, phone, hop(phone, leg), r->method, r->name, (const url_string_t *)r->uri,
        SIPTAG_USER_AGENT_STR(CLV_UA_AGENT), TAG_IF(r->from != NULL, SIPTAG_FROM_STR(r->from)),
        TAG_IF(full, SIPTAG_ALLOW_STR(CLV_UA_ALLOWED)),
        TAG_IF(full, SIPTAG_SUPPORTED_STR(CLV_UA_SUPPORTED)),
        TAG_IF(full, SIPTAG_CONTACT_STR(phone->contact_header)),
        TAG_IF(session, SIPTAG_SESSION_EXPIRES_STR(expires)),
        TAG_IF(session && phone->min_se_s > 0, SIPTAG_MIN_SE_STR(min_se)),
        TAG_IF(authorization != NULL, SIPTAG_HEADER_STR(authorization)),
        TAG_IF(r->lines != NULL && *r->lines != '\0', SIPTAG_HEADER_STR(r->lines)),
        TAG_IF(payload != NULL, SIPTAG_CONTENT_TYPE_STR(r->type)),
        TAG_IF(payload != NULL, SIPTAG_PAYLOAD(payload)), TAG_END());
    su_home_deinit(home);
    return orq;
}

/* A request of the dialog without anything special */
static nta_outgoing_t *
send_plain(ClvUaPhone *phone, sip_method_t method, const char *name, const char *sdp, gsize len)
{
    ClvUaRequest request = {
        .method = method, .name = name, .type = "application/sdp", .body = sdp, .len = len};

    return clv_ua_phone_send(phone, phone->leg, &request);
}

static void
take_sdp(char **text, gsize *text_len, const char *sdp, gsize len)
{
    char *copy = sdp != NULL ? g_memdup2(sdp, len + 1) : NULL;

    if (*text != NULL)
        OPENSSL_cleanse(*text, *text_len);
    g_free(*text);
    if (copy != NULL)
        copy[len] = '\0';
    *text = copy;
    *text_len = len;
}

static void
keep_sdp(ClvUaPhone *phone, const char *sdp, gsize len)
{
    take_sdp(&phone->sdp, &phone->sdp_len, sdp, len);
}

static void
remember_sdp(ClvUaPhone *phone)
{
    take_sdp(&phone->sdp_before, &phone->sdp_before_len, phone->sdp, phone->sdp_len);
}

/* What was refused is not what a refresh says again. */
static void
restore_sdp(ClvUaPhone *phone)
{
    if (phone->sdp_before == NULL)
        return;
    keep_sdp(phone, phone->sdp_before, phone->sdp_before_len);
    take_sdp(&phone->sdp_before, &phone->sdp_before_len, NULL, 0);
}

/* Of our first INVITE. Returns: (transfer full) */
static char *
first_lines(const ClvUaPhone *phone, gboolean list)
{
    const ClvUaOptions *o = phone->config.options;
    g_autoptr(GString) require = g_string_new(NULL);
    GString *lines = g_string_new(NULL);
    const struct {
        const char *word;
        gboolean wanted;
    } tags[] = {{"recipient-list-invite", list},
                {"100rel", o->require_100rel || o->preconditions},
                {"precondition", o->preconditions},
                {"replaces", o->replaces != NULL},
                {"join", o->join != NULL}};

    for (guint i = 0; i < G_N_ELEMENTS(tags); i++)
        if (tags[i].wanted)
            g_string_append_printf(require, "%s%s", require->len > 0 ? ", " : "", tags[i].word);
    if (require->len > 0)
        g_string_append_printf(lines, "Require: %s\r\n", require->str);
    if (o->replaces != NULL)
        clv_ua_append_dialog(lines, "Replaces", o->replaces);
    if (o->join != NULL)
        clv_ua_append_dialog(lines, "Join", o->join);
    clv_ua_phone_append_wanted(phone, lines);
    return g_string_free(lines, FALSE);
}

static gboolean
send_first_invite(ClvUaPhone *phone)
{
    g_autofree char *list = clv_ua_uri_list(phone->config.options);
    g_autofree char *lines = first_lines(phone, list != NULL);
    g_autofree char *boundary = g_strdup_printf("part-%08x%08x", g_random_int(), g_random_int());
    g_autofree char *multipart = g_strdup_printf("multipart/mixed;boundary=\"%s\"", boundary);
    char *body = list != NULL ? clv_ua_multipart(phone->sdp, phone->sdp_len, list, boundary) : NULL;
    ClvUaRequest request = {
        .method = sip_method_invite,
        .name = "INVITE",
        .uri = phone->target,
        .type = list != NULL ? multipart : "application/sdp",
        .body = list != NULL ? body : phone->sdp,
        .len = list != NULL ? strlen(body) : phone->sdp_len,
        .lines = lines,
    };

    phone->invite = clv_ua_phone_send(phone, phone->leg, &request);
    clv_secret_free_string(body);
    return phone->invite != NULL;
}

static gboolean
send_invite(ClvUaPhone *phone)
{
    if (phone->call == CALLING)
        return send_first_invite(phone);
    /* in a dialog the leg knows its target */
    phone->invite = send_plain(phone, SIP_METHOD_INVITE, phone->sdp, phone->sdp_len);
    return phone->invite != NULL;
}

/* ---- session timer (RFC 4028) ------------------------------------------------------------ */

static void on_session_timer(void *user);
void clv_ua_phone_send_bye(ClvUaPhone *phone);

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
        clv_ua_phone_send_bye(phone);
        return;
    }
    if (phone->invite != NULL || phone->update != NULL) {
        phone->session_timer = clv_loop_timer(phone->config.loop, 1000, on_session_timer, phone);
        return;
    }
    if (phone->peer_updates)
        phone->update = send_plain(phone, SIP_METHOD_UPDATE, NULL, 0);
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
char *
clv_ua_phone_take_session_request(ClvUaPhone *phone, const sip_t *sip)
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

/* As the other side sees it: our tag is remote there (RFC 4538). */
void
clv_ua_phone_note_dialog(ClvUaPhone *phone, const char *call_id, const char *theirs,
                         const char *ours)
{
    g_free(phone->dialog);
    phone->dialog = clv_ua_dialog_format(call_id, theirs, ours);
}

void
clv_ua_phone_forget_call(ClvUaPhone *phone)
{
    drop_timer(&phone->session_timer);
    drop_timer(&phone->patience);
    drop_timer(&phone->cancel_timer);
    g_clear_pointer(&phone->invite, nta_outgoing_destroy);
    g_clear_pointer(&phone->update, nta_outgoing_destroy);
    g_clear_pointer(&phone->bye, nta_outgoing_destroy);
    g_clear_pointer(&phone->prack, nta_outgoing_destroy);
    g_clear_pointer(&phone->reliable, nta_reliable_destroy);
    g_clear_pointer(&phone->invited, nta_incoming_destroy);
    g_clear_pointer(&phone->updated, nta_incoming_destroy);
    g_clear_pointer(&phone->leg, nta_leg_destroy);
    g_clear_pointer(&phone->target, g_free);
    g_clear_pointer(&phone->dialog, g_free);
    keep_sdp(phone, NULL, 0);
    take_sdp(&phone->sdp_before, &phone->sdp_before_len, NULL, 0);
    clv_ua_phone_forget_challenge(phone);
    phone->update_offers = FALSE;
    phone->last_rseq = 0;
    phone->n_challenges = 0;
    phone->refreshing = FALSE;
    phone->leaving = NULL;
    phone->call = IDLE;
}

void
clv_ua_phone_end_call(ClvUaPhone *phone, const char *cause, const char *reason)
{
    ClvUaPhoneEvent event = {
        .kind = CLV_UA_PHONE_ENDED, .cause = cause, .reason = reason, .retry_after_s = -1};

    clv_ua_phone_forget_call(phone);
    phone->config.event(&event, phone->config.user);
}

void
clv_ua_phone_send_bye(ClvUaPhone *phone)
{
    phone->call = LEAVING;
    drop_timer(&phone->session_timer);
    phone->bye = send_plain(phone, SIP_METHOD_BYE, NULL, 0);
    if (phone->bye == NULL)
        clv_ua_phone_end_call(phone, "local", NULL);
}

/* ---- answers to our requests ------------------------------------------------------------- */

static void
send_ack(ClvUaPhone *phone, const sip_t *sip)
{
    nta_outgoing_t *ack =
        nta_outgoing_tcreate(phone->leg, NULL, NULL, hop(phone, phone->leg), SIP_METHOD_ACK, NULL,
                             SIPTAG_CSEQ(sip->sip_cseq), TAG_END());

    if (ack != NULL)
        nta_outgoing_destroy(ack);
}

/* Answers 401, 407 and 422 by another request. Returns: TRUE if there is one under way */
static gboolean
try_again(ClvUaPhone *phone, const sip_t *sip)
{
    int status = sip->sip_status->st_status;

    if (status == 422 && sip->sip_min_se != NULL && phone->min_se_s == 0) {
        phone->min_se_s = (gint64)sip->sip_min_se->min_delta;
        phone->session_s = MAX(phone->session_s, phone->min_se_s);
        return send_invite(phone);
    }
    if (!clv_ua_phone_answer_challenge(phone, sip, &phone->n_challenges))
        return FALSE;
    return send_invite(phone);
}

static void
refuse_call(ClvUaPhone *phone, const sip_t *sip)
{
    /* the message lives as long as the transaction: clv_ua_phone_tell first */
    phone->call = LEAVING;
    clv_ua_phone_tell(phone, CLV_UA_PHONE_REFUSED, sip, phone->tls_failure);
    clv_ua_phone_forget_call(phone);
}

static void
accept_dialog(ClvUaPhone *phone, const sip_t *sip)
{
    const sip_contact_t *contact = sip->sip_contact;
    gboolean usable = contact != NULL && clv_ua_is_sip_url(contact->m_url);

    nta_leg_rtag(phone->leg, sip->sip_to->a_tag);
    clv_ua_phone_note_dialog(phone, sip->sip_call_id->i_id, sip->sip_to->a_tag,
                             sip->sip_from->a_tag);
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
        clv_ua_phone_send_bye(phone); /* the 2xx was on its way when we gave up */
        return;
    }
    if (before == LEAVING)
        return;
    phone->peer_updates =
        sip->sip_allow != NULL && sip_is_allowed(sip->sip_allow, SIP_METHOD_UPDATE);
    take_session_answer(phone, sip);
    if (phone->refreshing)
        clv_ua_phone_tell(phone, CLV_UA_PHONE_REFRESHED, sip, "INVITE");
    else
        clv_ua_phone_tell(phone, first ? CLV_UA_PHONE_ACCEPTED : CLV_UA_PHONE_REACCEPTED, sip,
                          NULL);
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
    if (!phone->refreshing) {
        restore_sdp(phone);
        clv_ua_phone_tell(phone, CLV_UA_PHONE_REREFUSED, sip, NULL);
    }
    phone->refreshing = FALSE;
    if (phone->call == TALKING && (status == 481 || status == 408))
        clv_ua_phone_send_bye(phone);
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

/* A PRACK in the early dialog that the answer has begun. Returns: FALSE when the answer has been
 * here before */
static gboolean
send_prack(ClvUaPhone *phone, const sip_t *sip)
{
    char *rack;

    if (!sip_has_feature(sip->sip_require, "100rel") || sip->sip_rseq == NULL)
        return TRUE;
    if (sip->sip_rseq->rs_response <= phone->last_rseq)
        return FALSE;
    phone->last_rseq = sip->sip_rseq->rs_response;
    accept_dialog(phone, sip);
    rack = su_sprintf(phone->home, "%u %u INVITE", phone->last_rseq, sip->sip_cseq->cs_seq);
    g_clear_pointer(&phone->prack, nta_outgoing_destroy);
    phone->prack = nta_outgoing_tcreate(
        phone->leg, on_response, phone, (const url_string_t *)phone->route, SIP_METHOD_PRACK, NULL,
        SIPTAG_USER_AGENT_STR(CLV_UA_AGENT), SIPTAG_RACK_STR(rack), TAG_END());
    su_free(phone->home, rack);
    if (phone->prack == NULL)
        clv_ua_phone_tell(phone, CLV_UA_PHONE_UNPRACKED, NULL, NULL);
    return TRUE;
}

static void
on_provisional(ClvUaPhone *phone, const sip_t *sip)
{
    if (send_prack(phone, sip))
        clv_ua_phone_tell(phone, CLV_UA_PHONE_PROGRESS, sip, NULL);
}

static void
on_update_final(ClvUaPhone *phone, const sip_t *sip)
{
    int status = sip->sip_status->st_status;
    gboolean offers = phone->update_offers;

    phone->update = NULL;
    phone->update_offers = FALSE;
    if (status < 300 && phone->call == TALKING)
        take_session_answer(phone, sip);
    if (status >= 300 && offers)
        restore_sdp(phone);
    if (!offers)
        clv_ua_phone_tell(phone, CLV_UA_PHONE_REFRESHED, sip, "UPDATE");
    else
        clv_ua_phone_tell(phone, status < 300 ? CLV_UA_PHONE_REACCEPTED : CLV_UA_PHONE_REREFUSED,
                          sip, "UPDATE");
    if (phone->call == TALKING && (status == 481 || status == 408))
        clv_ua_phone_send_bye(phone);
}

static int
on_response(ClvUaPhone *phone, nta_outgoing_t *orq, const sip_t *sip)
{
    int status = sip->sip_status->st_status;

    if (orq == phone->invite) {
        if (status >= 200)
            on_invite_final(phone, sip);
        else if (status > 100 && phone->call == CALLING)
            on_provisional(phone, sip);
        return 0;
    }
    if (status < 200)
        return 0;
    if (orq == phone->bye) {
        clv_ua_phone_end_call(phone, phone->leaving != NULL ? phone->leaving : "local", NULL);
        return 0;
    }
    if (clv_ua_phone_refer_response(phone, orq, sip) ||
        clv_ua_phone_register_response(phone, orq, sip))
        return 0;
    if (orq == phone->update) {
        on_update_final(phone, sip);
    } else if (orq == phone->prack) {
        phone->prack = NULL;
        if (status < 300 && phone->call == CALLING)
            clv_ua_phone_tell(phone, CLV_UA_PHONE_EARLY, sip, NULL);
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

nta_leg_t *
clv_ua_phone_new_leg(ClvUaPhone *phone, const char *uri, GError **error)
{
    const ClvUaOptions *options = phone->config.options;
    const char *identity = options->identity != NULL ? options->identity : phone->contact;
    g_autofree char *from = options->display_name != NULL
                                ? g_strdup_printf("\"%s\" <%s>", options->display_name, identity)
                                : g_strdup_printf("<%s>", identity);
    g_autofree char *to = g_strdup_printf("<%s>", uri);
    nta_leg_t *leg = nta_leg_tcreate(phone->agent, clv_ua_phone_on_request, phone,
                                     SIPTAG_FROM_STR(from), SIPTAG_TO_STR(to), TAG_END());

    if (leg == NULL) {
        g_set_error(error, CLV_UA_PHONE_ERROR, 0, "'%s' calling '%s': these are no SIP URIs",
                    identity, uri);
        return NULL;
    }
    nta_leg_tag(leg, NULL);
    return leg;
}

gboolean
clv_ua_phone_call(ClvUaPhone *phone, const char *uri, const char *sdp, gsize sdp_len,
                  GError **error)
{
    const ClvUaOptions *options = phone->config.options;

    g_return_val_if_fail(phone->call == IDLE, FALSE);

    phone->leg = clv_ua_phone_new_leg(phone, uri, error);
    if (phone->leg == NULL)
        return FALSE;
    g_free(phone->first_hop);
    phone->first_hop = options->proxy != NULL ? NULL : clv_ua_phone_hop_of(phone, uri);
    phone->session_s = options->session_expires_s;
    phone->min_se_s = 0;
    keep_sdp(phone, sdp, sdp_len);
    phone->target = g_strdup(uri);
    phone->call = CALLING;
    if (!send_invite(phone)) {
        g_set_error(error, CLV_UA_PHONE_ERROR, 0, "'%s' cannot be called", uri);
        clv_ua_phone_forget_call(phone);
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
clv_ua_phone_reoffer(ClvUaPhone *phone, gboolean by_update, const char *sdp, gsize sdp_len,
                     GError **error)
{
    if (phone->call != TALKING || phone->invite != NULL || phone->invited != NULL ||
        phone->update != NULL || phone->updated != NULL) {
        g_set_error(error, CLV_UA_PHONE_ERROR, 0, "no call, or another offer is under way");
        return FALSE;
    }
    remember_sdp(phone);
    keep_sdp(phone, sdp, sdp_len);
    if (!by_update)
        return send_invite(phone);
    phone->update = send_plain(phone, SIP_METHOD_UPDATE, phone->sdp, phone->sdp_len);
    phone->update_offers = phone->update != NULL;
    return phone->update != NULL;
}

gboolean
clv_ua_phone_update_early(ClvUaPhone *phone, const char *sdp, gsize sdp_len, GError **error)
{
    if (phone->call != CALLING || phone->last_rseq == 0 || phone->update != NULL) {
        g_set_error(error, CLV_UA_PHONE_ERROR, 0, "no early dialog for an UPDATE");
        return FALSE;
    }
    phone->update = send_plain(phone, SIP_METHOD_UPDATE, sdp, sdp_len);
    phone->update_offers = phone->update != NULL;
    return phone->update != NULL;
}

gboolean
clv_ua_phone_change_identity(ClvUaPhone *phone, const char *uri, GError **error)
{
    g_autofree char *from = g_strdup_printf("<%s>", uri);
    ClvUaRequest request = {.method = sip_method_update, .name = "UPDATE", .from = from};

    if (phone->call != TALKING || phone->update != NULL) {
        g_set_error(error, CLV_UA_PHONE_ERROR, 0, "no call, or another UPDATE is under way");
        return FALSE;
    }
    phone->update = clv_ua_phone_send(phone, phone->leg, &request);
    return phone->update != NULL;
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
        clv_ua_phone_end_call(phone, "local", NULL);
        return;
    case ANSWERED:
    case TALKING:
        clv_ua_phone_send_bye(phone);
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
