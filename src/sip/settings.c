/* SPDX-License-Identifier: Apache-2.0 */
/* sip/settings.c - are the settings and files of this room good, before a socket is opened? */
#include "config.h"

#include "sip/settings.h"

#include <errno.h>
#include <fcntl.h>
#include <gio/gio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <string.h>
#include <unistd.h>

#include "base/option.h"
#include "base/secret.h"
#include "sip/sip-private.h"

static void G_GNUC_PRINTF(2, 3) say(GPtrArray *sentences, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    g_ptr_array_add(sentences, g_strdup_vprintf(format, args));
    va_end(args);
}

/* ---- addresses ---- */

/* "192.0.2.1" "192.0.2.1:5060" "[2001:db8::1]:5060" */
static gboolean
is_address_and_port(const char *text)
{
    const char *end = text[0] == '[' ? strchr(text, ']') : strchr(text, ':');
    gboolean bracketed = text[0] == '[';
    g_autofree char *host = NULL;
    gint64 port;

    if (bracketed && end == NULL)
        return FALSE;
    host =
        end == NULL ? g_strdup(text) : g_strndup(text + bracketed, (gsize)(end - text) - bracketed);
    if (!g_hostname_is_ip_address(host) || bracketed != (strchr(host, ':') != NULL))
        return FALSE;
    if (end != NULL && bracketed)
        end++;
    if (end == NULL || *end == '\0')
        return TRUE;
    return *end == ':' && clv_parse_int(end + 1, 0, 65535, &port, NULL);
}

static void
check_transport(const char *text, GPtrArray *errors)
{
    static const char *const protocols[] = {"udp:", "tcp:", "tls:"};

    for (gsize i = 0; i < G_N_ELEMENTS(protocols); i++) {
        if (g_str_has_prefix(text, protocols[i]) && is_address_and_port(text + 4))
            return;
    }
    say(errors,
        "[sip] listen: found '%s', expected udp:, tcp: or tls:, an address and a port, such as "
        "udp:192.0.2.1:5060 or tls:[2001:db8::1]:5061",
        text);
}

/* A name in a certificate, or *. and what it ends with. */
static gboolean
is_certificate_name(const char *text)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_";
    const char *name = g_str_has_prefix(text, "*.") ? text + 2 : text;

    return name[0] != '\0' && name[strspn(name, letters)] == '\0';
}

/* What looks like an address or a prefix must be one: a name would never match. */
static void
check_trusted_peer(const char *text, GPtrArray *errors)
{
    g_autoptr(GInetAddressMask) mask = NULL;

    if (strchr(text, '/') == NULL && strchr(text, ':') == NULL &&
        strspn(text, "0123456789.") != strlen(text) && is_certificate_name(text))
        return;
    mask = g_inet_address_mask_new_from_string(text, NULL);
    if (mask == NULL)
        say(errors,
            "[sip] trusted-peers: found '%s', expected an address, a prefix without bits beyond "
            "its length such as 192.0.2.16/28, or a name in a certificate",
            text);
}

/* A whole SIP URI, and ";lr": without that the proxy would take itself for the one who is called. */
static void
check_outbound(const ClvSipConfig *config, GPtrArray *errors)
{
    su_home_t home[1] = {SU_HOME_INIT(home)};
    const char *text = config->outbound;
    url_t *url = text != NULL && strpbrk(text, "<> ?\"") == NULL ? url_make(home, text) : NULL;

    if (text != NULL && (url == NULL || !clv_dialog_is_sane_url(url) ||
                         url->url_params == NULL || !url_has_param(url, "lr")))
        say(errors,
            "[sip] outbound: found '%s', expected a SIP URI with ;lr, such as "
            "sip:proxy.example.org;transport=tls;lr",
            text);
    su_home_deinit(home);
}

/* ---- TLS ---- */

static BIO *
open_pem(const char *path, gboolean private, GPtrArray *errors)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    g_autoptr(GError) error = NULL;

    if (fd < 0) {
        say(errors, "%s: %s", path, g_strerror(errno));
        return NULL;
    }
    if (private && !clv_secret_check_mode(fd, path, &error)) {
        say(errors, "%s", error->message);
        close(fd);
        return NULL;
    }
    return BIO_new_fd(fd, BIO_CLOSE);
}

static int
no_password(char *buffer, int size, int writing, void *user)
{
    return -1;
}

static EVP_PKEY *
read_key(const char *path, GPtrArray *errors)
{
    BIO *in = open_pem(path, TRUE, errors);
    EVP_PKEY *key = in != NULL ? PEM_read_bio_PrivateKey(in, NULL, no_password, NULL) : NULL;

    if (in != NULL && key == NULL)
        say(errors, "%s: found no private key, expected one in PEM, without a password", path);
    BIO_free(in);
    return key;
}

/* The first certificate; the key's mode has been judged already. */
static X509 *
read_certificate(const char *path, GPtrArray *errors)
{
    BIO *in = open_pem(path, FALSE, errors);
    X509 *certificate = in != NULL ? PEM_read_bio_X509(in, NULL, no_password, NULL) : NULL;

    if (in != NULL && certificate == NULL)
        say(errors, "%s: found no certificate, expected one in PEM", path);
    BIO_free(in);
    return certificate;
}

static char *
format_date(const ASN1_TIME *date)
{
    struct tm tm = {0};
    char text[32] = "(no date)";

    if (ASN1_TIME_to_tm(date, &tm) == 1)
        strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &tm);
    return g_strdup(text);
}

static void
check_dates(const char *path, const X509 *certificate, GPtrArray *warnings)
{
    g_autofree char *begin = format_date(X509_get0_notBefore(certificate));
    g_autofree char *end = format_date(X509_get0_notAfter(certificate));

    if (X509_cmp_current_time(X509_get0_notBefore(certificate)) > 0)
        say(warnings, "%s: found a certificate that is valid from %s on, expected one for today",
            path, begin);
    if (X509_cmp_current_time(X509_get0_notAfter(certificate)) < 0)
        say(warnings, "%s: found a certificate that is out of date since %s, expected one for today",
            path, end);
}

static void
check_agent(const char *folder, GPtrArray *errors, GPtrArray *warnings)
{
    g_autofree char *path = g_build_filename(folder, "agent.pem", NULL);
    EVP_PKEY *key = read_key(path, errors);
    X509 *certificate = key != NULL ? read_certificate(path, errors) : NULL;

    if (certificate != NULL) {
        if (X509_check_private_key(certificate, key) != 1)
            say(errors, "%s: found a key that is not that of the first certificate, expected both of a pair",
                path);
        check_dates(path, certificate, warnings);
    }
    X509_free(certificate);
    EVP_PKEY_free(key);
    ERR_clear_error();
}

static void
check_authorities(const char *folder, GPtrArray *errors, GPtrArray *warnings)
{
    g_autofree char *path = g_build_filename(folder, "cafile.pem", NULL);
    X509 *certificate = read_certificate(path, errors);

    if (certificate != NULL)
        check_dates(path, certificate, warnings);
    X509_free(certificate);
    ERR_clear_error();
}

/* ---- all together ---- */

static gboolean
listens_on_tls(const ClvSipConfig *config)
{
    for (char **text = config->listen; text != NULL && *text != NULL; text++) {
        if (g_str_has_prefix(*text, "tls:"))
            return TRUE;
    }
    return FALSE;
}

gboolean
clv_sip_check_settings(const ClvSipConfig *config, GPtrArray *errors, GPtrArray *warnings)
{
    guint before = errors->len;

    if (config->listen == NULL || config->listen[0] == NULL)
        say(errors, "[sip] listen: found nothing, expected one transport at least");
    for (char **text = config->listen; text != NULL && *text != NULL; text++)
        check_transport(*text, errors);
    for (char **peer = config->trusted_peers; peer != NULL && *peer != NULL; peer++)
        check_trusted_peer(*peer, errors);
    check_outbound(config, errors);
    if (listens_on_tls(config)) {
        if (config->tls_dir == NULL) {
            say(errors, "[sip] listen has tls: but tls-dir is not set");
        } else {
            check_agent(config->tls_dir, errors, warnings);
            check_authorities(config->tls_dir, errors, warnings);
        }
    }
    return errors->len == before;
}

gboolean
clv_sip_check_users(const ClvSipConfig *config, GPtrArray *errors)
{
    ClvDigest *digest;
    gboolean good;

    if (config->users_file == NULL)
        return TRUE;
    digest = clv_digest_new(config->realm != NULL ? config->realm : "conclave");
    good = clv_digest_load(digest, config->users_file, errors);
    clv_digest_free(digest);
    return good;
}
