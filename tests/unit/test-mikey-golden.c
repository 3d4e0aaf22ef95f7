/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/test-mikey-golden.c - are messages the same octets as ever?
 *
 * tests/vectors/mikey-golden.txt has a name and hex octets in each line. What can be made again is
 * made again and must be the same; messages with a random envelope are opened with the keys that
 * stand beside them. MIKEY_GOLDEN_OUT=FILE writes such a file instead, which is right only when the
 * format was meant to change.
 */
#include "tests/unit/mikey-certs.h"
#include "tests/unit/mikey-draft.h"
#include "tests/unit/mikey-world.h"

#include <openssl/x509_vfy.h>
#include <string.h>

static GHashTable *golden;
static GString *made;

static void
check(const char *name, MikeyBytes octets)
{
    g_autofree char *hex = g_malloc0(2 * octets.len + 1);

    for (gsize i = 0; i < octets.len; i++)
        g_snprintf(hex + 2 * i, 3, "%02x", octets.data[i]);
    if (made != NULL)
        g_string_append_printf(made, "%s %s\n", name, hex);
    else
        g_assert_cmpstr(hex, ==, g_hash_table_lookup(golden, name));
}

static MikeyBuffer
kept(const char *name)
{
    const char *hex = g_hash_table_lookup(golden, name);
    MikeyWriter w = MIKEY_WRITER_INIT;
    MikeyBuffer octets = MIKEY_BUFFER_INIT;

    g_assert_nonnull(hex);
    for (; *hex != '\0'; hex += 2)
        mikey_write_u8(&w,
                       (guint8)(g_ascii_xdigit_value(hex[0]) << 4 | g_ascii_xdigit_value(hex[1])));
    assert_status(mikey_writer_finish(&w, &octets), MIKEY_OK);
    return octets;
}

/* From one party with a new key, answered or not */
static void
update(World *w, bool alice, bool want_answer, const char *name)
{
    MikeyKeyData key = {.type = MIKEY_KEY_TEK_SALT, .kv = MIKEY_KV_SPI, .spi_len = 4};
    MikeyUpdateSetup setup = {.lines = alice ? w->alice_lines : w->bob_lines,
                              .n_lines = 2,
                              .profiles = w->bob_profiles,
                              .n_profiles = 1,
                              .keys = &key,
                              .n_keys = 1,
                              .want_answer = want_answer};
    MikeyAnswerSetup answering = {.lines = alice ? w->bob_lines : w->alice_lines,
                                  .n_lines = 2,
                                  .profiles = w->bob_profiles,
                                  .n_profiles = 1};
    MikeyBundle *from = alice ? w->alice : w->bob, *to = alice ? w->bob : w->alice;
    MikeyUpdate *out = NULL, *in = NULL;
    MikeyBuffer answer = MIKEY_BUFFER_INIT;
    g_autofree char *answer_name = g_strconcat(name, "-answer", NULL);

    key.key.len = 32;
    key.salt.len = 12;
    memset(key.spi, name[0], 4);
    memset(key.key.bytes, name[1], 32);
    w->env.now += (guint64)1 << 32;
    assert_status(mikey_update_new(from, &setup, &w->env, &out), MIKEY_OK);
    check(name, mikey_update_octets(out));
    assert_status(mikey_update_open(to, mikey_update_octets(out), &w->env, &in), MIKEY_OK);
    assert_status(mikey_update_answer(in, to, &answering, &w->env, &answer), MIKEY_OK);
    assert_status(
        mikey_update_finish(out, from, mikey_bytes(answer.data, answer.len), &w->env, NULL),
        MIKEY_OK);
    if (want_answer)
        check(answer_name, mikey_bytes(answer.data, answer.len));
    mikey_update_free(out);
    mikey_update_free(in);
    mikey_buffer_clear(&answer);
}

static void
updates_are_the_same_octets(void)
{
    World w;

    world_init(&w);
    w.policy.flags |= MIKEY_FLAG_L | MIKEY_FLAG_M;
    assert_status(world_run(&w), MIKEY_OK);
    update(&w, true, true, "update-by-caller");
    update(&w, false, true, "by-called-update");
    update(&w, false, false, "silent-update");
    world_clear(&w);
}

static void
tickets_of_callers_are_the_same_octets(void)
{
    static const guint32 flags[] = {(MIKEY_FLAGS_PROFILE & ~MIKEY_FLAG_D) | MIKEY_FLAG_L,
                                    MIKEY_FLAG_L | MIKEY_FLAG_F | MIKEY_FLAG_G | MIKEY_FLAG_H |
                                        MIKEY_FLAG_N | MIKEY_FLAG_O};

    for (guint i = 0; i < 2; i++) {
        World w;

        world_init(&w);
        w.env.allow = MIKEY_ALLOW_MODE_3 | MIKEY_ALLOW_MODE_4;
        w.policy.flags = flags[i];
        w.policy.initiator = mikey_identity_uri(WORLD_ALICE);
        assert_status(
            mikey_grant_make(&w.policy, &w.tpk, mikey_bytes_str("tpk-1"), &w.env, &w.grant),
            MIKEY_OK);
        assert_status(world_transfer(&w), MIKEY_OK);
        check(i == 0 ? "mode-3-transfer" : "mode-4-transfer",
              world_octets(&w, WORLD_TRANSFER_INIT));
        world_clear(&w);
    }
}

/* ---- certificates: made once, opened ever after ---- */

static void
keep_der(const char *name, int len, guint8 *der)
{
    g_assert_cmpint(len, >, 0);
    check(name, mikey_bytes(der, (gsize)len));
    OPENSSL_free(der);
}

static void
make_pk(void)
{
    Party root = cert_make(&(PartySpec){.name = "root", .ca = true});
    Party alice =
        cert_make(&(PartySpec){.name = "alice", .uri = "URI:" WORLD_ALICE, .issuer = &root});
    Party kms = cert_make(&(PartySpec){.name = "kms", .uri = "URI:" WORLD_KMS, .issuer = &root});
    MikeyPkAccount account = {.key = alice.key,
                              .chain = &alice.certificate,
                              .n_chain = 1,
                              .sign_type = MIKEY_SIGN_RSA_PSS,
                              .kms_certificate = kms.certificate,
                              .name_certificate = true,
                              .prf = MIKEY_PRF_HMAC_SHA_256};
    guint8 *der = NULL;
    int len = i2d_X509(root.certificate, &der);
    World w;

    keep_der("pk-root", len, der);
    der = NULL;
    len = i2d_X509(kms.certificate, &der);
    keep_der("pk-kms", len, der);
    der = NULL;
    len = i2d_PrivateKey(kms.key, &der);
    keep_der("pk-kms-key", len, der);
    world_init(&w);
    account.self = mikey_identity_uri(WORLD_ALICE);
    account.kms = mikey_identity_uri(WORLD_KMS);
    assert_status(mikey_request_new_pk(&account, &w.policy, &w.env, &w.request), MIKEY_OK);
    check("pk-request", world_octets(&w, WORLD_REQUEST_INIT));
    world_clear(&w);
    cert_clear(&root);
    cert_clear(&alice);
    cert_clear(&kms);
}

static X509 *
kept_certificate(const char *name)
{
    MikeyBuffer der = kept(name);
    const guint8 *at = der.data;
    X509 *certificate = d2i_X509(NULL, &at, (long)der.len);

    g_assert_nonnull(certificate);
    mikey_buffer_clear(&der);
    return certificate;
}

/* The answer depends on the envelope key, so it is the same only if that was read right */
static void
a_request_with_certificate_is_still_understood(void)
{
    World w;
    MikeyBuffer request, der, answer = MIKEY_BUFFER_INIT;
    MikeyKmsKeyPair pair;
    MikeyPkVerifier verifier = {.pairs = &pair, .n_pairs = 1};
    MikeyGrantSetup setup = {.tpk_id = mikey_bytes_str("tpk-1")};
    MikeyQuery *query = NULL;
    X509 *root;
    const guint8 *at;

    if (made != NULL)
        return;
    request = kept("pk-request");
    der = kept("pk-kms-key");
    at = der.data;
    root = kept_certificate("pk-root");
    pair =
        (MikeyKmsKeyPair){d2i_AutoPrivateKey(NULL, &at, (long)der.len), kept_certificate("pk-kms")};
    verifier.store = X509_STORE_new();
    X509_STORE_add_cert(verifier.store, root);
    world_init(&w);
    w.env.allow = MIKEY_ALLOW_PK;
    setup.tpk = &w.tpk;
    assert_status(mikey_query_open(mikey_bytes(request.data, request.len), &w.env, &query),
                  MIKEY_OK);
    assert_status(mikey_query_authenticate_pk(query, &verifier, &w.env, NULL), MIKEY_OK);
    assert_status(mikey_query_grant(query, &setup, &w.env, &answer), MIKEY_OK);
    check("pk-answer", mikey_bytes(answer.data, answer.len));
    mikey_query_free(query);
    mikey_buffer_clear(&request);
    mikey_buffer_clear(&answer);
    mikey_buffer_clear(&der);
    X509_STORE_free(verifier.store);
    X509_free(root);
    X509_free(pair.certificate);
    EVP_PKEY_free(pair.key);
    world_clear(&w);
}

static void
load(void)
{
    g_autofree char *path =
        g_test_build_filename(G_TEST_DIST, "tests/vectors/mikey-golden.txt", NULL);
    g_autofree char *text = NULL;
    g_auto(GStrv) lines = NULL;
    g_autoptr(GError) error = NULL;

    g_file_get_contents(path, &text, NULL, &error);
    g_assert_no_error(error);
    lines = g_strsplit(text, "\n", -1);
    for (char **line = lines; *line != NULL; line++) {
        char *space = strchr(*line, ' ');

        if (**line == '#' || space == NULL)
            continue;
        *space = '\0';
        g_hash_table_insert(golden, g_strdup(*line), g_strdup(space + 1));
    }
}

int
main(int argc, char **argv)
{
    const char *out = g_getenv("MIKEY_GOLDEN_OUT");
    int result;

    g_test_init(&argc, &argv, NULL);
    golden = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
    if (out != NULL) {
        made = g_string_new("# made once by test-mikey-golden, which says what is in it\n");
        make_pk();
    } else {
        load();
    }
    g_test_add_func("/mikey/golden/updates", updates_are_the_same_octets);
    g_test_add_func("/mikey/golden/tickets-of-callers", tickets_of_callers_are_the_same_octets);
    g_test_add_func("/mikey/golden/request-with-certificate",
                    a_request_with_certificate_is_still_understood);
    result = g_test_run();
    if (made != NULL) {
        g_assert_true(g_file_set_contents(out, made->str, -1, NULL));
        g_string_free(made, TRUE);
    }
    g_hash_table_unref(golden);
    return result;
}
