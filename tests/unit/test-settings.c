/* SPDX-License-Identifier: Apache-2.0 */
/* A TLS folder that is not as it must be is found before anybody listens; so are wrong addresses.
 */
#include <glib.h>
#include <glib/gstdio.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <string.h>

#include "sip/settings.h"

typedef struct Folder {
    char *path, *agent, *authorities;
    GPtrArray *errors, *warnings;
} Folder;

static void
write_pem(const char *path, EVP_PKEY *key, long lifetime_s, EVP_PKEY *signer, mode_t mode)
{
    X509 *certificate = X509_new();
    FILE *f = fopen(path, "w");

    ASN1_INTEGER_set(X509_get_serialNumber(certificate), 1);
    X509_gmtime_adj(X509_getm_notBefore(certificate), -7200);
    X509_gmtime_adj(X509_getm_notAfter(certificate), lifetime_s);
    X509_set_pubkey(certificate, signer);
    X509_sign(certificate, signer, EVP_sha256());
    g_assert_nonnull(f);
    if (key != NULL)
        PEM_write_PrivateKey(f, key, NULL, NULL, 0, NULL, NULL);
    PEM_write_X509(f, certificate);
    fclose(f);
    X509_free(certificate);
    g_chmod(path, mode);
}

static void
setup(Folder *folder, gconstpointer unused)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");

    folder->path = g_dir_make_tmp("clv-settings-XXXXXX", NULL);
    folder->agent = g_build_filename(folder->path, "agent.pem", NULL);
    folder->authorities = g_build_filename(folder->path, "cafile.pem", NULL);
    folder->errors = g_ptr_array_new_with_free_func(g_free);
    folder->warnings = g_ptr_array_new_with_free_func(g_free);
    write_pem(folder->agent, key, 3600, key, 0600);
    write_pem(folder->authorities, NULL, 3600, key, 0644);
    EVP_PKEY_free(key);
}

static void
teardown(Folder *folder, gconstpointer unused)
{
    g_unlink(folder->agent);
    g_unlink(folder->authorities);
    g_rmdir(folder->path);
    g_free(folder->path);
    g_free(folder->agent);
    g_free(folder->authorities);
    g_ptr_array_unref(folder->errors);
    g_ptr_array_unref(folder->warnings);
}

static gboolean
check_tls(Folder *folder)
{
    char *listen[] = {"tls:127.0.0.1:5061", NULL};
    ClvSipConfig config = {.listen = listen, .tls_dir = folder->path};

    return clv_sip_check_settings(&config, folder->errors, folder->warnings);
}

/* One error, and it says this. */
static void
fails(Folder *folder, const char *file, const char *sentence)
{
    g_assert_false(check_tls(folder));
    g_assert_cmpuint(folder->errors->len, ==, 1);
    g_assert_nonnull(strstr(g_ptr_array_index(folder->errors, 0), file));
    g_assert_nonnull(strstr(g_ptr_array_index(folder->errors, 0), sentence));
}

static void
good_files_are_good(Folder *folder, gconstpointer unused)
{
    g_assert_true(check_tls(folder));
    g_assert_cmpuint(folder->errors->len + folder->warnings->len, ==, 0);
}

static void
no_agent(Folder *folder, gconstpointer unused)
{
    g_unlink(folder->agent);
    fails(folder, "agent.pem", "No such file");
}

static void
no_authorities(Folder *folder, gconstpointer unused)
{
    g_unlink(folder->authorities);
    fails(folder, "cafile.pem", "No such file");
}

static void
a_key_that_others_can_read(Folder *folder, gconstpointer unused)
{
    g_chmod(folder->agent, 0644);
    fails(folder, "agent.pem", "found mode 0644");
}

static void
junk_for_a_key(Folder *folder, gconstpointer unused)
{
    g_file_set_contents(folder->agent, "junk\n", -1, NULL);
    g_chmod(folder->agent, 0600);
    fails(folder, "agent.pem", "no private key");
}

static void
junk_for_authorities(Folder *folder, gconstpointer unused)
{
    g_file_set_contents(folder->authorities, "junk\n", -1, NULL);
    fails(folder, "cafile.pem", "no certificate");
}

static void
a_key_without_certificate(Folder *folder, gconstpointer unused)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    FILE *f = fopen(folder->agent, "w");

    PEM_write_PrivateKey(f, key, NULL, NULL, 0, NULL, NULL);
    fclose(f);
    EVP_PKEY_free(key);
    fails(folder, "agent.pem", "no certificate");
}

/* OpenSSL would ask the terminal, and a daemon has none. */
static void
a_key_with_a_password(Folder *folder, gconstpointer unused)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    FILE *f = fopen(folder->agent, "w");

    PEM_write_PrivateKey(f, key, EVP_aes_128_cbc(), (const unsigned char *)"secret", 6, NULL, NULL);
    fclose(f);
    EVP_PKEY_free(key);
    fails(folder, "agent.pem", "without a password");
}

static void
a_key_of_somebody_else(Folder *folder, gconstpointer unused)
{
    EVP_PKEY *mine = EVP_EC_gen("P-256"), *other = EVP_EC_gen("P-256");

    write_pem(folder->agent, mine, 3600, other, 0600);
    EVP_PKEY_free(mine);
    EVP_PKEY_free(other);
    fails(folder, "agent.pem", "not that of the first certificate");
}

/* UDP and TCP still work: a warning, no reason to stay down. */
static void
an_old_certificate_warns(Folder *folder, gconstpointer unused)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");

    write_pem(folder->agent, key, -3600, key, 0600);
    EVP_PKEY_free(key);
    g_assert_true(check_tls(folder));
    g_assert_cmpuint(folder->warnings->len, ==, 1);
    g_assert_nonnull(strstr(g_ptr_array_index(folder->warnings, 0), "found a certificate that is out of date since 20"));
}

static void
without_tls_no_files(void)
{
    g_autoptr(GPtrArray) errors = g_ptr_array_new_with_free_func(g_free);
    char *listen[] = {"udp:192.0.2.1:5060", "tcp:[2001:db8::1]:5060", "udp:192.0.2.1", NULL};
    ClvSipConfig config = {.listen = listen, .tls_dir = "/nonexistent"};

    g_assert_true(clv_sip_check_settings(&config, errors, errors));
    g_assert_cmpuint(errors->len, ==, 0);
}

static void
nowhere_to_listen(void)
{
    g_autoptr(GPtrArray) errors = g_ptr_array_new_with_free_func(g_free);
    char *listen[] = {NULL};
    ClvSipConfig config = {.listen = listen};

    g_assert_false(clv_sip_check_settings(&config, errors, errors));
    g_assert_cmpuint(errors->len, ==, 1);
}

static void
trusted_peers_that_match_nobody(void)
{
    static const struct {
        const char *text;
        guint errors;
    } peers[] = {
        {"192.0.2.1", 0},   {"192.0.2.16/28", 0}, {"2001:db8::/32", 0}, {"proxy.example.org", 0},
        {"10.0.0.0/33", 1}, {"192.0.2.17/28", 1}, {"192.0.2.300", 1},   {"2001:db8:::1", 1},
        {"*.example.org", 0}, {"a.example.org,b", 1}, {"a b", 1},       {"*", 1},
    };

    for (gsize i = 0; i < G_N_ELEMENTS(peers); i++) {
        g_autoptr(GPtrArray) errors = g_ptr_array_new_with_free_func(g_free);
        char *listen[] = {"udp:127.0.0.1:5060", NULL};
        char *list[] = {(char *)peers[i].text, NULL};
        ClvSipConfig config = {.listen = listen, .trusted_peers = list};

        g_test_message("%s", peers[i].text);
        clv_sip_check_settings(&config, errors, errors);
        g_assert_cmpuint(errors->len, ==, peers[i].errors);
    }
}

static void
an_outbound_proxy_is_a_sip_uri_that_routes_loosely(void)
{
    static const struct {
        const char *text;
        gboolean good;
    } cases[] = {
        {"sip:proxy.example.org;lr", TRUE},
        {"sips:proxy.example.org:5061;lr", TRUE},
        {"sip:[2001:db8::1]:5070;transport=tcp;lr", TRUE},
        {"sip:proxy.example.org", FALSE},
        {"proxy.example.org", FALSE},
        {"<sip:proxy.example.org;lr>", FALSE},
        {"tel:+4930123;lr", FALSE},
        {"sip:;lr", FALSE},
    };

    for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
        char *listen[] = {"udp:127.0.0.1:5060", NULL};
        ClvSipConfig config = {.listen = listen, .outbound = cases[i].text};
        g_autoptr(GPtrArray) errors = g_ptr_array_new_with_free_func(g_free);
        g_autoptr(GPtrArray) warnings = g_ptr_array_new_with_free_func(g_free);

        g_test_message("%s", cases[i].text);
        g_assert_cmpint(clv_sip_check_settings(&config, errors, warnings), ==, cases[i].good);
        g_assert_cmpuint(errors->len, ==, cases[i].good ? 0 : 1);
    }
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
#define ADD(name, fn) g_test_add("/settings/" name, Folder, NULL, setup, fn, teardown)
    ADD("good-files-are-good", good_files_are_good);
    ADD("no-agent", no_agent);
    ADD("no-authorities", no_authorities);
    ADD("a-key-that-others-can-read", a_key_that_others_can_read);
    ADD("junk-for-a-key", junk_for_a_key);
    ADD("junk-for-authorities", junk_for_authorities);
    ADD("a-key-without-certificate", a_key_without_certificate);
    ADD("a-key-with-a-password", a_key_with_a_password);
    ADD("a-key-of-somebody-else", a_key_of_somebody_else);
    ADD("an-old-certificate-warns", an_old_certificate_warns);
    g_test_add_func("/settings/without-tls-no-files", without_tls_no_files);
    g_test_add_func("/settings/nowhere-to-listen", nowhere_to_listen);
    g_test_add_func("/settings/outbound", an_outbound_proxy_is_a_sip_uri_that_routes_loosely);
    g_test_add_func("/settings/trusted-peers-that-match-nobody", trusted_peers_that_match_nobody);
    return g_test_run();
}
