/* SPDX-License-Identifier: Apache-2.0 */
/* Does the server get tickets made and resolved when a certificate, and no key, says who it is?
 *
 * Scheme and ticket service as in test-ticket-call; their papers are PEM files, made on the spot.
 */
#include "config.h"

#include <glib/gstdio.h>
#include <openssl/pem.h>

#include "kms/keyfile.h"
#include "ticket-town.h"

#include "tests/unit/mikey-certs.h"

/* ---- PEM files ---- */

typedef struct Folder {
    char *path;
    Party ca, stranger, kms, server, carol;
} Folder;

static char *
file_in(const Folder *f, const char *name)
{
    return g_build_filename(f->path, name, NULL);
}

static void
write_certificate(const Folder *f, const char *name, const Party *party)
{
    g_autofree char *path = file_in(f, name);
    BIO *out = BIO_new_file(path, "w");

    g_assert_cmpint(PEM_write_bio_X509(out, party->certificate), ==, 1);
    BIO_free(out);
}

static void
write_key(const Folder *f, const char *name, EVP_PKEY *key)
{
    g_autofree char *path = file_in(f, name);
    BIO *out = BIO_new_file(path, "w");

    g_assert_cmpint(PEM_write_bio_PrivateKey(out, key, NULL, NULL, 0, NULL, NULL), ==, 1);
    BIO_free(out);
    g_assert_cmpint(g_chmod(path, 0600), ==, 0);
}

static void
write_crl(const Folder *f, const char *name, const Party *issuer, const Party *revoked)
{
    g_autofree char *path = file_in(f, name);
    X509_CRL *crl = cert_crl(issuer, revoked);
    BIO *out = BIO_new_file(path, "w");

    g_assert_cmpint(PEM_write_bio_X509_CRL(out, crl), ==, 1);
    BIO_free(out);
    X509_CRL_free(crl);
}

static void
write_text(const Folder *f, const char *name, const char *text)
{
    g_autofree char *path = file_in(f, name);

    g_assert_true(g_file_set_contents(path, text, -1, NULL));
    g_assert_cmpint(g_chmod(path, 0600), ==, 0);
}

static Party
person(const char *name, const char *uri, const Party *issuer)
{
    return cert_make(&(PartySpec){.name = name, .uri = uri, .issuer = issuer});
}

static Folder *
folder_new(void)
{
    Folder *f = g_new0(Folder, 1);

    f->path = g_dir_make_tmp("conclave-papers-XXXXXX", NULL);
    f->ca = cert_make(&(PartySpec){.name = "ca", .ca = true});
    f->stranger = cert_make(&(PartySpec){.name = "stranger", .ca = true});
    f->kms = person("kms", "URI:" KMS, &f->ca);
    f->server = person("conf1", "URI:" FACTORY, &f->ca);
    f->carol = person("carol", "URI:" CAROL, &f->ca);
    write_certificate(f, "ca.pem", &f->ca);
    write_certificate(f, "stranger.pem", &f->stranger);
    write_certificate(f, "kms.pem", &f->kms);
    write_certificate(f, "server.pem", &f->server);
    write_certificate(f, "carol.pem", &f->carol);
    write_key(f, "kms.key", f->kms.key);
    write_key(f, "server.key", f->server.key);
    write_key(f, "carol.key", f->carol.key);
    return f;
}

static void
folder_free(Folder *f)
{
    g_autoptr(GDir) dir = g_dir_open(f->path, 0, NULL);
    const char *name;

    while ((name = g_dir_read_name(dir)) != NULL) {
        g_autofree char *path = file_in(f, name);

        g_unlink(path);
    }
    g_rmdir(f->path);
    cert_clear(&f->ca);
    cert_clear(&f->stranger);
    cert_clear(&f->kms);
    cert_clear(&f->server);
    cert_clear(&f->carol);
    g_free(f->path);
    g_free(f);
}

/* NULL names are left out. */
static ClvPapers *
papers_of(const Folder *f, const char *cert, const char *key, const char *peer, const char *ca,
          const char *crl, GError **error)
{
    char *p[5];
    const char *const names[] = {cert, key, peer, ca, crl};
    ClvPapers *papers;

    for (guint i = 0; i < G_N_ELEMENTS(p); i++)
        p[i] = names[i] != NULL ? file_in(f, names[i]) : NULL;
    papers = clv_papers_load(
        &(ClvPaperFiles){.cert = p[0], .key = p[1], .peer = p[2], .ca = p[3], .crl = p[4]}, error);
    for (guint i = 0; i < G_N_ELEMENTS(p); i++)
        g_free(p[i]);
    return papers;
}

/* ---- a town whose KMS takes certificates ---- */

static const char mikey_files[] = "mikey-cert-file = kms.pem\n"
                                  "mikey-key-file = kms.key\n"
                                  "mikey-ca-file = ca.pem\n";

static Town *
town_of(const Folder *f, const char *kms_lines)
{
    g_autoptr(GPtrArray) errors = g_ptr_array_new_with_free_func(g_free);
    g_autofree char *text = key_text("", "may-request = any\n", kms_lines);
    ClvKmsKeyFile *keys = clv_kms_keyfile_parse_in("town", f->path, text, strlen(text), errors);

    if (errors->len > 0)
        g_error("%s", (const char *)errors->pdata[0]);
    return town_with(keys);
}

/* From here on the server has no key of its own that the KMS knows. */
static ClvPapers *
give_papers(Town *town, const Folder *f, const char *cert, const char *key)
{
    GError *error = NULL;
    ClvPapers *papers = papers_of(f, cert, key, "kms.pem", "ca.pem", NULL, &error);

    g_assert_no_error(error);
    town->world->config.papers = papers;
    town->world->config.psk = NULL;
    town->world->config.psk_len = 0;
    town->world->config.psk_id = NULL;
    town->world->config.psk_id_len = 0;
    return papers;
}

/* A call of ours up to the KMS's answer; the scheme's state has the TRANSFER_INIT then. */
static ClvKeymgmtNext
call_out(Town *town, char **out_line, GError **error)
{
    ClvKeymgmtCall call = {.config = &town->world->config,
                           .focus_uri = FOCUS,
                           .target = CAROL,
                           .ticket_lifetime_s = 120,
                           .purpose = CLV_PURPOSE_JOIN,
                           .suites = default_suites,
                           .local_ssrc = OUR_SSRC};
    ClvKeymgmtState *state = clv_mikey_ticket_ops.call(&call, error);
    ClvKeymgmtInput in = {.now_us = town->world->now_us};
    ClvKeymgmtOutput out = {0};
    ClvKeymgmtNext next = clv_mikey_ticket_ops.step(state, &in, &out, error);

    if (next == CLV_KEYMGMT_WANT_KMS) {
        g_autoptr(GByteArray) answer = ask_kms(town->world, CLV_KMS_TICKET_REQUEST,
                                               mikey_bytes(out.bytes->data, out.bytes->len));

        in.bytes = answer->data;
        in.len = answer->len;
        next = clv_mikey_ticket_ops.step(state, &in, &out, error);
    }
    if (out_line != NULL)
        *out_line = g_strdup(out.answer_line);
    clv_keymgmt_output_clear(&out);
    clv_mikey_ticket_ops.close(state);
    return next;
}

/* ---- what works ---- */

/* bob, who has a key, dials in; the server, which has a certificate, has his ticket resolved. */
static void
test_resolve(void)
{
    Folder *f = folder_new();
    Town *town = town_of(f, mikey_files);
    ClvPapers *papers = give_papers(town, f, "server.pem", "server.key");
    Caller *bob = caller_new(town->world, "bob", BOB, FOCUS);

    make_transfer(bob);
    assert_call_works(bob, CLV_PURPOSE_JOIN);
    g_assert_true(town->decision.authenticated);
    g_assert_cmpstr(town->decision.user, ==, "conf1");
    caller_free(bob);
    clv_papers_free(papers);
    town_free(town);
    folder_free(f);
}

static void
test_request(void)
{
    Folder *f = folder_new();
    Town *town = town_of(f, mikey_files);
    ClvPapers *papers = give_papers(town, f, "server.pem", "server.key");
    g_autofree char *line = NULL;
    GError *error = NULL;

    g_assert_cmpint(call_out(town, &line, &error), ==, CLV_KEYMGMT_WANT_PEER);
    g_assert_no_error(error);
    g_assert_true(g_str_has_prefix(line, "mikey "));
    g_assert_true(town->decision.granted);
    clv_papers_free(papers);
    town_free(town);
    folder_free(f);
}

/* ---- what the KMS refuses ---- */

static void
assert_kms_refuses(Town *town, ClvCode code, const char *pattern)
{
    GError *error = NULL;

    g_assert_cmpint(call_out(town, NULL, &error), ==, CLV_KEYMGMT_FAILED);
    g_assert_error(error, CLV_KEYMGMT_ERROR, (gint)code);
    if (!g_pattern_match_simple(pattern, error->message))
        g_error("\"%s\" is not like \"%s\"", error->message, pattern);
    g_assert_false(town->decision.authenticated);
    g_clear_error(&error);
}

/* Who signs for the server is himself signed for, and that was taken back: as good as no signer. The
 * list of the one who took it back is looked at when it is there, and need not be. */
static void
test_revoked_between(void)
{
    static const char with_list[] = "mikey-cert-file = kms.pem\nmikey-key-file = kms.key\n"
                                    "mikey-ca-file = ca.pem\nmikey-crl-file = list.pem\n";
    Folder *f = folder_new();
    Party between = cert_make(&(PartySpec){.name = "between", .ca = true, .issuer = &f->ca});
    Party server = person("conf1", "URI:" FACTORY, &between);
    g_autofree char *chain = file_in(f, "chain.pem"), *list = file_in(f, "list.pem");

    write_key(f, "chain.key", server.key);
    for (guint i = 0; i < 3; i++) {
        X509_CRL *lists[] = {cert_crl(&between, NULL), cert_crl(&f->ca, i == 2 ? &between : NULL)};
        BIO *out = BIO_new_file(chain, "w");
        Town *town;
        ClvPapers *papers;

        PEM_write_bio_X509(out, server.certificate);
        PEM_write_bio_X509(out, between.certificate);
        BIO_free(out);
        out = BIO_new_file(list, "w");
        PEM_write_bio_X509_CRL(out, lists[0]);
        if (i > 0)
            PEM_write_bio_X509_CRL(out, lists[1]);
        BIO_free(out);
        town = town_of(f, with_list);
        papers = give_papers(town, f, "chain.pem", "chain.key");
        if (i < 2) {
            g_assert_cmpint(call_out(town, NULL, NULL), ==, CLV_KEYMGMT_WANT_PEER);
        } else {
            assert_kms_refuses(town, CLV_CODE_INTERNAL, "ALARM*certificate*error 8*");
            g_assert_nonnull(strstr(town->decision.rule, "revoked"));
        }
        clv_papers_free(papers);
        town_free(town);
        X509_CRL_free(lists[0]);
        X509_CRL_free(lists[1]);
    }
    cert_clear(&server);
    cert_clear(&between);
    folder_free(f);
}

static void
test_kms_without_papers(void)
{
    Folder *f = folder_new();
    Town *town = town_of(f, "");
    ClvPapers *papers = give_papers(town, f, "server.pem", "server.key");

    assert_kms_refuses(town, CLV_CODE_INTERNAL, "*error 11*");
    clv_papers_free(papers);
    town_free(town);
    folder_free(f);
}

/* The server trusts the KMS, not the other way round. */
static void
test_unknown_signer(void)
{
    Folder *f = folder_new();
    Town *town = town_of(f, "mikey-cert-file = kms.pem\nmikey-key-file = kms.key\n"
                            "mikey-ca-file = stranger.pem\n");
    ClvPapers *papers = give_papers(town, f, "server.pem", "server.key");

    assert_kms_refuses(town, CLV_CODE_INTERNAL, "ALARM*certificate*error 8*");
    clv_papers_free(papers);
    town_free(town);
    folder_free(f);
}

static void
test_revoked(void)
{
    static const char with_list[] = "mikey-cert-file = kms.pem\nmikey-key-file = kms.key\n"
                                    "mikey-ca-file = ca.pem\nmikey-crl-file = list.pem\n";
    Folder *f = folder_new();
    Town *town;
    ClvPapers *papers;

    write_crl(f, "list.pem", &f->ca, &f->server);
    town = town_of(f, with_list);
    papers = give_papers(town, f, "server.pem", "server.key");
    assert_kms_refuses(town, CLV_CODE_INTERNAL, "ALARM*certificate*error 8*");
    g_assert_nonnull(strstr(town->decision.rule, "revoked"));
    clv_papers_free(papers);
    town_free(town);

    write_crl(f, "list.pem", &f->ca, &f->carol);
    town = town_of(f, with_list);
    papers = give_papers(town, f, "server.pem", "server.key");
    g_assert_cmpint(call_out(town, NULL, NULL), ==, CLV_KEYMGMT_WANT_PEER);
    clv_papers_free(papers);
    town_free(town);
    folder_free(f);
}

/* carol has a certificate of the same signer, and is no conference. */
static void
test_of_somebody_else(void)
{
    Folder *f = folder_new();
    Town *town = town_of(f, mikey_files);
    ClvPapers *papers = give_papers(town, f, "carol.pem", "carol.key");

    assert_kms_refuses(town, CLV_CODE_FORBIDDEN, "*error 7*");
    clv_papers_free(papers);
    town_free(town);
    folder_free(f);
}

/* ---- what the server refuses ---- */

/* The KMS's certificate: of another one, ended, revoked, of an unknown signer. */
static void
test_bad_kms_certificates(void)
{
    Folder *f = folder_new();
    Party other = person("kms", "URI:sip:kms@elsewhere.example", &f->ca);
    Party ended = cert_make(&(PartySpec){
        .name = "kms", .uri = "URI:" KMS, .issuer = &f->ca, .from_h = -48, .to_h = -24});
    static const struct {
        const char *peer, *ca, *crl;
    } cases[] = {
        {"other.pem", "ca.pem", NULL},     {"ended.pem", "ca.pem", NULL},
        {"kms.pem", "stranger.pem", NULL}, {"kms.pem", "ca.pem", "list.pem"},
        {"other.pem", NULL, NULL},         {"ended.pem", NULL, NULL},
    };

    write_certificate(f, "other.pem", &other);
    write_certificate(f, "ended.pem", &ended);
    write_crl(f, "list.pem", &f->ca, &f->kms);
    for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
        Town *town = town_of(f, mikey_files);
        GError *error = NULL;
        ClvPapers *papers = papers_of(f, "server.pem", "server.key", cases[i].peer, cases[i].ca,
                                      cases[i].crl, &error);

        g_assert_no_error(error);
        town->world->config.papers = papers;
        assert_kms_refuses(town, CLV_CODE_INTERNAL, "ALARM*certificate of the KMS*");
        g_assert_cmpstr(town->decision.request, ==, ""); /* it was never asked */
        clv_papers_free(papers);
        town_free(town);
    }
    cert_clear(&other);
    cert_clear(&ended);
    folder_free(f);
}

/* Without a CA the very certificate of the KMS is trusted. */
static void
test_pinned(void)
{
    Folder *f = folder_new();
    Town *town = town_of(f, mikey_files);
    GError *error = NULL;
    ClvPapers *papers = papers_of(f, "server.pem", "server.key", "kms.pem", NULL, NULL, &error);

    g_assert_no_error(error);
    town->world->config.papers = papers;
    g_assert_cmpint(call_out(town, NULL, NULL), ==, CLV_KEYMGMT_WANT_PEER);
    clv_papers_free(papers);
    town_free(town);
    folder_free(f);
}

/* ---- files ---- */

static void
test_bad_files(void)
{
    static const struct {
        const char *cert, *key, *peer, *ca, *crl, *pattern;
    } cases[] = {
        {"none.pem", "server.key", "kms.pem", NULL, NULL, "*none.pem: cannot be opened*"},
        {"text.pem", "server.key", "kms.pem", NULL, NULL, "*text.pem: found no certificate*"},
        {"server.pem", "none.key", "kms.pem", NULL, NULL, "*none.key: cannot be opened*"},
        {"server.pem", "text.pem", "kms.pem", NULL, NULL, "*text.pem: found no private key*"},
        {"server.pem", "carol.key", "kms.pem", NULL, NULL, "*carol.key*does not belong*"},
        {"server.pem", "ec.key", "kms.pem", NULL, NULL, "*ec.key: found another kind of key*"},
        {"server.pem", "open.key", "kms.pem", NULL, NULL, "*open.key: found mode 0644*"},
        {"server.pem", "server.key", "text.pem", NULL, NULL, "*text.pem: found no certificate*"},
        {"server.pem", "server.key", "kms.pem", "text.pem", NULL,
         "*text.pem: found no certificate*"},
        {"server.pem", "server.key", "kms.pem", NULL, "text.pem",
         "*text.pem: found no revocation list*"},
    };
    Folder *f = folder_new();
    EVP_PKEY *ec = cert_ec("P-256");
    g_autofree char *open_key = file_in(f, "open.key");

    write_key(f, "ec.key", ec);
    write_key(f, "open.key", f->server.key);
    g_assert_cmpint(g_chmod(open_key, 0644), ==, 0);
    write_text(f, "text.pem", "no PEM at all\n");
    for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(GError) error = NULL;

        g_assert_null(papers_of(f, cases[i].cert, cases[i].key, cases[i].peer, cases[i].ca,
                                cases[i].crl, &error));
        g_assert_nonnull(error);
        if (!g_pattern_match_simple(cases[i].pattern, error->message))
            g_error("\"%s\" is not like \"%s\"", error->message, cases[i].pattern);
    }
    EVP_PKEY_free(ec);
    folder_free(f);
}

static void
test_key_file_of_the_kms(void)
{
    static const struct {
        const char *lines, *pattern;
    } cases[] = {
        {"mikey-cert-file = kms.pem\n", "*expected all of them*"},
        {"mikey-crl-file = ca.pem\n", "*expected all of them*"},
        {"mikey-cert-file = kms.pem\nmikey-key-file = carol.key\nmikey-ca-file = ca.pem\n",
         "*does not belong*"},
    };
    Folder *f = folder_new();

    for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(GPtrArray) errors = g_ptr_array_new_with_free_func(g_free);
        g_autofree char *text = key_text("", "may-request = any\n", cases[i].lines);

        g_assert_null(clv_kms_keyfile_parse_in("town", f->path, text, strlen(text), errors));
        g_assert_cmpuint(errors->len, ==, 1);
        g_assert_true(g_pattern_match_simple(cases[i].pattern, errors->pdata[0]));
    }
    folder_free(f);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/ticket-papers/a-certificate-resolves-tickets", test_resolve);
    g_test_add_func("/ticket-papers/a-certificate-gets-tickets", test_request);
    g_test_add_func("/ticket-papers/a-revoked-signer-between-is-an-alarm", test_revoked_between);
    g_test_add_func("/ticket-papers/the-kms-has-none", test_kms_without_papers);
    g_test_add_func("/ticket-papers/an-unknown-signer-is-an-alarm", test_unknown_signer);
    g_test_add_func("/ticket-papers/a-revoked-certificate-is-an-alarm", test_revoked);
    g_test_add_func("/ticket-papers/somebody-elses-certificate", test_of_somebody_else);
    g_test_add_func("/ticket-papers/the-kms-must-prove-itself-too", test_bad_kms_certificates);
    g_test_add_func("/ticket-papers/one-certificate-may-be-trusted-alone", test_pinned);
    g_test_add_func("/ticket-papers/files-that-are-no-good-are-named", test_bad_files);
    g_test_add_func("/ticket-papers/key-file-of-the-kms", test_key_file_of_the_kms);
    return g_test_run();
}
