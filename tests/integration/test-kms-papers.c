/* SPDX-License-Identifier: Apache-2.0 */
/* Does a server with a certificate, and without a shared key, get a ticket over HTTP?
 *
 * The KMS's HTTP server and the client of the kms room, the [kms] part of a configuration as the
 * daemon reads it, and the scheme's offering side.
 */
#include "config.h"

#include <glib/gstdio.h>
#include <openssl/pem.h>
#include <poll.h>
#include <string.h>

#include "base/replay.h"
#include "daemon/papers.h"
#include "keymgmt/schemes.h"
#include "kms/kms.h"
#include "unit/mikey-certs.h"

#define KMS_URI "sip:kms@example.org"
#define FACTORY "sip:factory.conf1@example.org"
#define FOCUS "sip:c7h2kq4x.conf1@example.org"
#define CAROL "sip:carol@example.org"
#define PATIENCE_MS 10000

static char *folder;

static char *
file_in(const char *name)
{
    return g_build_filename(folder, name, NULL);
}

/* Valid from some years before the test world's time on, so that they are good today. */
static Party
person(const char *name, const char *uri, const Party *issuer)
{
    return cert_make(&(PartySpec){.name = name,
                                  .uri = uri,
                                  .issuer = issuer,
                                  .ca = issuer == NULL,
                                  .from_h = -24 * 365 * 10,
                                  .to_h = 24});
}

static void
write_party(const char *name, const Party *party)
{
    g_autofree char *pem = g_strconcat(name, ".pem", NULL);
    g_autofree char *key = g_strconcat(name, ".key", NULL);
    g_autofree char *pem_path = file_in(pem);
    g_autofree char *key_path = file_in(key);
    BIO *out = BIO_new_file(pem_path, "w");

    g_assert_cmpint(PEM_write_bio_X509(out, party->certificate), ==, 1);
    BIO_free(out);
    out = BIO_new_file(key_path, "w");
    g_assert_cmpint(PEM_write_bio_PrivateKey(out, party->key, NULL, NULL, 0, NULL, NULL), ==, 1);
    BIO_free(out);
    g_assert_cmpint(g_chmod(key_path, 0600), ==, 0);
}

/* The user conf1 has a key, too, since every user has one; the server does not know it. */
static ClvKmsKeyFile *
key_file(void)
{
    g_autoptr(GPtrArray) errors = g_ptr_array_new_with_free_func(g_free);
    g_autofree char *path = file_in("keys.conf");
    ClvKmsKeyFile *keys;

    g_assert_true(g_file_set_contents(
        path,
        "[kms]\nuri = " KMS_URI "\nmikey-cert-file = kms.pem\nmikey-key-file = kms.key\n"
        "mikey-ca-file = ca.pem\n"
        "[user conf1]\npsk = base64:VGhpcyBpcyBub3QgYSBnb29kIGtleSBhdCBhbGwuLi4=\n"
        "may-request = any\n"
        "[service conf1]\nuser = conf1\nhost = example.org\n",
        -1, NULL));
    g_assert_cmpint(g_chmod(path, 0600), ==, 0);
    keys = clv_kms_keyfile_load(path, errors);
    if (errors->len > 0)
        g_error("%s", (const char *)errors->pdata[0]);
    return keys;
}

static gboolean
fill_random(void *user, guint8 *out, gsize len)
{
    return mikey_random_openssl(out, len, NULL);
}

/* Asks over HTTP and waits. */
static ClvKmsReply *
ask(ClvKmsClient *client, ClvKmsRequest kind, const GByteArray *question)
{
    struct pollfd fd = {.fd = clv_kms_client_event_fd(client), .events = POLLIN};

    g_assert_cmpint(clv_kms_client_post(client, kind, question->data, question->len, 1, 1), ==,
                    CLV_CODE_OK);
    for (guint i = 0; i < PATIENCE_MS / 10; i++) {
        ClvKmsReply *reply = clv_kms_client_take(client);

        if (reply != NULL)
            return reply;
        poll(&fd, 1, 10);
    }
    g_error("no answer");
}

static ClvKeymgmtNext
call(const ClvKeymgmtConfig *config, ClvKmsClient *client, GError **error)
{
    static const ClvSrtpSuite suites[] = {CLV_SRTP_AEAD_AES_256_GCM, CLV_SRTP_NONE};
    ClvKeymgmtCall setup = {.config = config,
                            .focus_uri = FOCUS,
                            .target = CAROL,
                            .ticket_lifetime_s = 120,
                            .purpose = CLV_PURPOSE_JOIN,
                            .suites = suites};
    ClvKeymgmtState *state = clv_mikey_ticket_ops.call(&setup, error);
    ClvKeymgmtInput in = {.now_us = g_get_real_time()};
    ClvKeymgmtOutput out = {0};
    ClvKeymgmtNext next = clv_mikey_ticket_ops.step(state, &in, &out, error);

    if (next == CLV_KEYMGMT_WANT_KMS) {
        g_autoptr(ClvKmsReply) reply = ask(client, out.kms_request, out.bytes);

        in.now_us = g_get_real_time();
        g_assert_cmpint(reply->code, ==, CLV_CODE_OK);
        in.bytes = reply->body->data;
        in.len = reply->body->len;
        next = clv_mikey_ticket_ops.step(state, &in, &out, error);
    }
    clv_keymgmt_output_clear(&out);
    clv_mikey_ticket_ops.close(state);
    return next;
}

static void
test_ticket_over_http(void)
{
    Party ca = person("ca", NULL, NULL);
    Party kms = person("kms", "URI:" KMS_URI, &ca);
    Party own = person("conf1", "URI:" FACTORY, &ca);
    Party carol = person("carol", "URI:" CAROL, &ca);
    ClvConfig config = {.kms_uri = (char *)KMS_URI};
    ClvKmsServerConfig server_config = {.listen = "127.0.0.1:0"};
    g_autoptr(GError) error = NULL;

    folder = g_dir_make_tmp("conclave-papers-XXXXXX", NULL);
    write_party("ca", &ca);
    write_party("kms", &kms);
    write_party("own", &own);
    write_party("carol", &carol);
    {
        g_autoptr(ClvKmsService) service = clv_kms_service_new(key_file(), NULL, NULL);
        g_autoptr(ClvKmsServer) server = clv_kms_server_new(&server_config, service, &error);
        const char *urls[] = {clv_kms_server_url(server), NULL};
        ClvKmsClientConfig client_config = {.urls = urls,
                                            .timeout_ms = 5000,
                                            .connect_ms = 2000,
                                            .connections = 1,
                                            .max_outstanding = 4,
                                            .breaker_failures = 5,
                                            .breaker_open_ms = 1000};
        g_autoptr(ClvKmsClient) client = clv_kms_client_new(&client_config, &error);
        g_autoptr(ClvPapers) papers = NULL;
        ClvKeymgmtConfig keymgmt = {
            .kms_uri = KMS_URI, .skew_s = 300, .max_responders = 4, .random = fill_random};

        g_assert_no_error(error);
        config.mikey_cert = file_in("own.pem");
        config.mikey_key = file_in("own.key");
        config.mikey_kms_cert = file_in("kms.pem");
        config.mikey_ca = file_in("ca.pem");
        papers = kms_papers_load(&config, g_get_real_time(), &error);
        g_assert_no_error(error);
        keymgmt.papers = papers;
        g_assert_cmpint(call(&keymgmt, client, &error), ==, CLV_KEYMGMT_WANT_PEER);
        g_assert_no_error(error);

        /* the same with somebody else's certificate */
        g_free(config.mikey_cert);
        g_free(config.mikey_key);
        config.mikey_cert = file_in("carol.pem");
        config.mikey_key = file_in("carol.key");
        clv_papers_free(papers);
        papers = kms_papers_load(&config, g_get_real_time(), &error);
        keymgmt.papers = papers;
        g_assert_cmpint(call(&keymgmt, client, &error), ==, CLV_KEYMGMT_FAILED);
        g_assert_error(error, CLV_KEYMGMT_ERROR, CLV_CODE_FORBIDDEN);
        g_clear_error(&error);

        /* a KMS whose certificate has another name is not even asked: the server does not start */
        config.kms_uri = (char *)"sip:kms@elsewhere.example";
        g_assert_null(kms_papers_load(&config, g_get_real_time(), &error));
        g_assert_true(g_pattern_match_simple("*kms.pem: found a certificate that is not good for "
                                             "sip:kms@elsewhere.example*",
                                             error->message));
        g_clear_error(&error);
        /* nor with one that has ended */
        config.kms_uri = (char *)KMS_URI;
        g_assert_null(kms_papers_load(&config, G_GINT64_CONSTANT(2051222400000000), &error));
        g_assert_true(g_pattern_match_simple("*expired*", error->message));
    }
    g_free(config.mikey_cert);
    g_free(config.mikey_key);
    g_free(config.mikey_kms_cert);
    g_free(config.mikey_ca);
    cert_clear(&ca);
    cert_clear(&kms);
    cert_clear(&own);
    cert_clear(&carol);
    {
        g_autoptr(GDir) dir = g_dir_open(folder, 0, NULL);
        const char *name;

        while ((name = g_dir_read_name(dir)) != NULL) {
            g_autofree char *path = file_in(name);

            g_unlink(path);
        }
        g_rmdir(folder);
    }
    g_free(folder);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/kms-papers/a-certificate-gets-a-ticket-over-http", test_ticket_over_http);
    return g_test_run();
}
