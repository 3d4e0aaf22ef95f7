/* SPDX-License-Identifier: Apache-2.0 */
/* ua/agent.c - where we are, where requests go first, and what we answer to a challenge */
#include "ua/phone-private.h"

#include <sofia-sip/sres_sip.h>
#include <sofia-sip/tport.h>
#include <sofia-sip/tport_tag.h>

#include "base/secret.h"
#include "sip/loop-private.h"
#include "ua/digest.h"
#include "ua/tls.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* ---- clv_ua_phone_credentials
 * ------------------------------------------------------------------------- */

void
clv_ua_phone_forget_challenge(ClvUaPhone *phone)
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
    clv_ua_phone_forget_challenge(phone);
    phone->challenge.params = g_strdupv((char **)(gpointer)best->au_params);
    phone->challenge.proxy = proxy;
    return TRUE;
}

/* A 401 or 407. Returns: TRUE when it is worth to try again */
gboolean
clv_ua_phone_answer_challenge(ClvUaPhone *phone, const sip_t *sip, guint *n_in_a_row)
{
    int status = sip->sip_status->st_status;
    gboolean stale = phone->challenge.params != NULL;

    if ((status != 401 && status != 407) ||
        !keep_challenge(phone,
                        status == 401 ? sip->sip_www_authenticate : sip->sip_proxy_authenticate,
                        status == 407))
        return FALSE;
    if (stale && !clv_ua_digest_is_stale((const char *const *)phone->challenge.params))
        return FALSE; /* the password is wrong */
    return ++*n_in_a_row <= CLV_UA_MAX_CHALLENGES && phone->config.password != NULL;
}

/* Returns: (transfer full) (nullable): whole header line */
char *
clv_ua_phone_credentials(ClvUaPhone *phone, const char *method, const char *uri)
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

/* Hop of a call that names none: the URI itself, with the transport that was asked for. */
char *
clv_ua_phone_hop_of(const ClvUaPhone *phone, const char *uri)
{
    static const char *const names[] = {"udp", "tcp", "tls"};
    g_autofree char *plain = g_strndup(uri, strcspn(uri, "?"));

    if (clv_ua_uri_transport(uri) >= 0)
        return g_steal_pointer(&plain);
    return g_strdup_printf("%s;transport=%s", plain, names[phone->config.transport]);
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
    clv_ua_phone_forget_call(phone);
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
    phone->refers_out = g_ptr_array_new();
    phone->refers_in = g_ptr_array_new();
    phone->home = su_home_new(sizeof *phone->home);
    phone->route = g_strdup(config->options->proxy);
    if (phone->route != NULL && config->options->transport >= 0) {
        char *with = clv_ua_phone_hop_of(phone, phone->route);

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
        nta_leg_tcreate(phone->agent, clv_ua_phone_on_stray, phone, NTATAG_NO_DIALOG(1), TAG_END());
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
    clv_ua_phone_forget_call(phone);
    clv_ua_phone_forget_refers(phone);
    clv_ua_phone_forget_register(phone);
    clv_timer_cancel(phone->tls_timer);
    if (phone->default_leg != NULL)
        nta_leg_destroy(phone->default_leg);
    if (phone->agent != NULL)
        nta_agent_destroy(phone->agent);
    clv_ua_tls_end();
    su_home_unref(phone->home);
    g_ptr_array_unref(phone->refers_out);
    g_ptr_array_unref(phone->refers_in);
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
