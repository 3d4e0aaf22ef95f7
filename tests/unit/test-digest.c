/* SPDX-License-Identifier: Apache-2.0 */
/* Do only those who know the password get in, once per count, with a nonce of ours? */
#include "config.h"

#include "sip/digest.h"

#include <glib/gstdio.h>
#include <string.h>
#include <unistd.h>

#include "base/secret.h"

#define REALM "conclave"
#define URI "sip:abc.conf@example.org"
#define USERS                                                                                      \
    "# people\n"                                                                                   \
    "[user bob]\npassword=wonder land\nidentity=sip:bob@example.org\n"                             \
    "[user alice]\nha1=cdce7ebe1bd0cb2a42a5ee8ff64a8c07\nidentity=sip:Alice@Example.ORG\n"

typedef struct World {
    ClvDigest *digest;
    GPtrArray *errors;
    gint64 now_us;
} World;

static void
setup(World *w, gconstpointer unused)
{
    w->digest = clv_digest_new(REALM);
    w->errors = g_ptr_array_new_with_free_func(g_free);
    w->now_us = 1000000;
    g_assert_true(clv_digest_parse(w->digest, "users", USERS, strlen(USERS), w->errors));
}

static void
teardown(World *w, gconstpointer unused)
{
    clv_digest_free(w->digest);
    g_ptr_array_unref(w->errors);
}

/* ---- a client of our own, on GLib's hashes
 * ------------------------------------------------------- */

typedef struct Client {
    const char *user, *password, *method, *uri, *nc, *qop, *realm;
    GChecksumType type;
    const char *algorithm;
} Client;

static const Client bob = {"bob",  "wonder land", "INVITE",       URI,  "00000001",
                           "auth", REALM,         G_CHECKSUM_MD5, "MD5"};

static char *
sum(GChecksumType type, const char *format, ...)
{
    g_autofree char *text = NULL;
    va_list args;

    va_start(args, format);
    text = g_strdup_vprintf(format, args);
    va_end(args);
    return g_compute_checksum_for_string(type, text, -1);
}

static char *
nonce_of(const char *challenge)
{
    const char *start = strstr(challenge, "nonce=\"") + 7;

    return g_strndup(start, strcspn(start, "\""));
}

static char **
respond(const Client *c, const char *nonce)
{
    g_autofree char *ha1 = sum(c->type, "%s:%s:%s", c->user, c->realm, c->password);
    g_autofree char *ha2 = sum(c->type, "%s:%s", c->method, c->uri);
    g_autofree char *response =
        sum(c->type, "%s:%s:%s:%s:%s:%s", ha1, nonce, c->nc, "xyz", c->qop, ha2);
    GPtrArray *out = g_ptr_array_new();

    g_ptr_array_add(out, g_strdup_printf("username=\"%s\"", c->user));
    g_ptr_array_add(out, g_strdup_printf("realm=\"%s\"", c->realm));
    g_ptr_array_add(out, g_strdup_printf("nonce=\"%s\"", nonce));
    g_ptr_array_add(out, g_strdup_printf("uri=\"%s\"", c->uri));
    g_ptr_array_add(out, g_strdup_printf("response=\"%s\"", response));
    g_ptr_array_add(out, g_strdup("cnonce=\"xyz\""));
    g_ptr_array_add(out, g_strdup_printf("nc=%s", c->nc));
    g_ptr_array_add(out, g_strdup_printf("qop=%s", c->qop));
    if (c->algorithm != NULL)
        g_ptr_array_add(out, g_strdup_printf("algorithm=%s", c->algorithm));
    g_ptr_array_add(out, NULL);
    return (char **)g_ptr_array_free(out, FALSE);
}

static ClvDigestVerdict
check(World *w, const Client *c, const char *nonce, const char **out_identity)
{
    g_auto(GStrv) params = respond(c, nonce);

    return clv_digest_check(w->digest, (const char *const *)params, "INVITE", URI, w->now_us,
                            out_identity);
}

static char *
fresh_nonce(World *w, guint which)
{
    g_auto(GStrv) challenges = clv_digest_challenges(w->digest, w->now_us, FALSE);

    return nonce_of(challenges[which]);
}

/* ---- tests ------------------------------------------------------------------------------------
 */

static void
challenges_name_both_algorithms(World *w, gconstpointer unused)
{
    g_auto(GStrv) c = clv_digest_challenges(w->digest, w->now_us, FALSE);
    g_auto(GStrv) stale = clv_digest_challenges(w->digest, w->now_us, TRUE);

    g_assert_cmpuint(g_strv_length(c), ==, 2);
    g_assert_nonnull(strstr(c[0], "algorithm=MD5"));
    g_assert_nonnull(strstr(c[1], "algorithm=SHA-256"));
    g_assert_nonnull(strstr(c[0], "qop=\"auth\""));
    g_assert_nonnull(strstr(c[0], "realm=\"" REALM "\""));
    g_assert_null(strstr(c[0], "stale"));
    g_assert_nonnull(strstr(stale[1], "stale=true"));
    g_assert_cmpstr(c[0], !=, stale[0]);
}

static void
the_password_opens_with_either_algorithm(World *w, gconstpointer unused)
{
    g_autofree char *md5 = fresh_nonce(w, 0), *sha = fresh_nonce(w, 1), *none = fresh_nonce(w, 0);
    const char *identity = NULL;
    Client c = bob;

    g_assert_cmpint(check(w, &c, md5, &identity), ==, CLV_DIGEST_OK);
    g_assert_cmpstr(identity, ==, "sip:bob@example.org");
    c.type = G_CHECKSUM_SHA256;
    c.algorithm = "SHA-256";
    g_assert_cmpint(check(w, &c, sha, &identity), ==, CLV_DIGEST_OK);
    c = bob;
    c.algorithm = NULL; /* means MD5 */
    g_assert_cmpint(check(w, &c, none, &identity), ==, CLV_DIGEST_OK);
}

/* ha1 in the file is of "alice:conclave:through the glass"; there is none for SHA-256. */
static void
a_stored_hash_serves_its_algorithm_alone(World *w, gconstpointer unused)
{
    g_autofree char *ha1 = sum(G_CHECKSUM_MD5, "alice:" REALM ":through the glass");
    g_autofree char *text =
        g_strdup_printf("[user alice]\nha1=%s\nidentity=<sip:Alice@Example.ORG>\n", ha1);
    g_autofree char *nonce = fresh_nonce(w, 0), *other = fresh_nonce(w, 1);
    const char *identity = NULL;
    Client c = bob;

    g_assert_true(clv_digest_parse(w->digest, "users", text, strlen(text), w->errors));
    c.user = "alice";
    c.password = "through the glass";
    g_assert_cmpint(check(w, &c, nonce, &identity), ==, CLV_DIGEST_OK);
    g_assert_cmpstr(identity, ==, "sip:Alice@example.org");
    c.type = G_CHECKSUM_SHA256;
    c.algorithm = "SHA-256";
    g_assert_cmpint(check(w, &c, other, &identity), ==, CLV_DIGEST_BAD);
}

static void
wrong_ones_are_all_the_same(World *w, gconstpointer unused)
{
    static const struct {
        const char *what;
        Client c;
    } cases[] = {
        {"password",
         {"bob", "wonderland", "INVITE", URI, "00000001", "auth", REALM, G_CHECKSUM_MD5, "MD5"}},
        {"user", {"mallory", "x", "INVITE", URI, "00000001", "auth", REALM, G_CHECKSUM_MD5, "MD5"}},
        {"method",
         {"bob", "wonder land", "BYE", URI, "00000001", "auth", REALM, G_CHECKSUM_MD5, "MD5"}},
        {"uri",
         {"bob", "wonder land", "INVITE", "sip:other@example.org", "00000001", "auth", REALM,
          G_CHECKSUM_MD5, "MD5"}},
        {"realm",
         {"bob", "wonder land", "INVITE", URI, "00000001", "auth", "other", G_CHECKSUM_MD5, "MD5"}},
        {"qop",
         {"bob", "wonder land", "INVITE", URI, "00000001", "auth-int", REALM, G_CHECKSUM_MD5,
          "MD5"}},
        {"nc", {"bob", "wonder land", "INVITE", URI, "1", "auth", REALM, G_CHECKSUM_MD5, "MD5"}},
        {"algorithm",
         {"bob", "wonder land", "INVITE", URI, "00000001", "auth", REALM, G_CHECKSUM_MD5,
          "SHA-512"}},
        {"mixed",
         {"bob", "wonder land", "INVITE", URI, "00000001", "auth", REALM, G_CHECKSUM_MD5,
          "SHA-256"}},
    };

    for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *nonce = fresh_nonce(w, 0);
        const char *identity = NULL;

        g_test_message("wrong %s", cases[i].what);
        g_assert_cmpint(check(w, &cases[i].c, nonce, &identity), ==, CLV_DIGEST_BAD);
        g_assert_null(identity);
    }
}

static void
missing_and_doubled_parameters_are_refused(World *w, gconstpointer unused)
{
    g_autofree char *nonce = fresh_nonce(w, 0);
    g_auto(GStrv) params = respond(&bob, nonce);
    const char *identity = NULL;
    const char *some[16];
    guint n = g_strv_length(params);

    for (guint skip = 0; skip < 8; skip++) { /* all but algorithm are needed */
        guint k = 0;

        for (guint i = 0; i < n; i++) {
            if (i != skip)
                some[k++] = params[i];
        }
        some[k] = NULL;
        g_assert_cmpint(clv_digest_check(w->digest, some, "INVITE", URI, w->now_us, &identity), ==,
                        CLV_DIGEST_BAD);
    }
    memcpy(some, params, n * sizeof(*some));
    some[n] = "username=\"bob\"";
    some[n + 1] = NULL;
    g_assert_cmpint(clv_digest_check(w->digest, some, "INVITE", URI, w->now_us, &identity), ==,
                    CLV_DIGEST_BAD);
    g_assert_cmpint(clv_digest_check(w->digest, NULL, "INVITE", URI, w->now_us, &identity), ==,
                    CLV_DIGEST_BAD);
}

static void
a_count_is_good_once(World *w, gconstpointer unused)
{
    g_autofree char *nonce = fresh_nonce(w, 0);
    const char *identity = NULL;
    Client c = bob;

    c.nc = "00000002";
    g_assert_cmpint(check(w, &c, nonce, &identity), ==, CLV_DIGEST_OK);
    g_assert_cmpint(check(w, &c, nonce, &identity), ==, CLV_DIGEST_STALE);
    c.nc = "00000001";
    g_assert_cmpint(check(w, &c, nonce, &identity), ==, CLV_DIGEST_STALE);
    c.nc = "0000000a";
    g_assert_cmpint(check(w, &c, nonce, &identity), ==, CLV_DIGEST_OK);
}

/* Whose calls fill the memory of nonces keeps nobody out, and replays none of his own. */
static void
too_many_nonces_keep_nobody_out(World *w, gconstpointer unused)
{
    g_autofree char *first = fresh_nonce(w, 0), *last = NULL, *others = NULL;
    const char *identity = NULL;

    g_assert_cmpint(check(w, &bob, first, &identity), ==, CLV_DIGEST_OK);
    for (guint i = 0; i < CLV_DIGEST_MAX_NONCES; i++) {
        g_free(last);
        w->now_us++;
        last = fresh_nonce(w, 0);
        g_assert_cmpint(check(w, &bob, last, &identity), ==, CLV_DIGEST_OK);
    }
    others = fresh_nonce(w, 0);
    g_assert_cmpint(check(w, &bob, others, &identity), ==, CLV_DIGEST_OK);
    g_assert_cmpint(check(w, &bob, first, &identity), ==, CLV_DIGEST_STALE);
    g_assert_cmpint(check(w, &bob, last, &identity), ==, CLV_DIGEST_STALE);
}

static void
nonces_age_and_cannot_be_made(World *w, gconstpointer unused)
{
    g_autofree char *nonce = fresh_nonce(w, 0), *forged = g_strdup(nonce);
    const char *identity = NULL;

    forged[3] = forged[3] == '0' ? '1' : '0'; /* another birthday */
    g_assert_cmpint(check(w, &bob, forged, &identity), ==, CLV_DIGEST_STALE);
    g_assert_cmpint(check(w, &bob, "", &identity), ==, CLV_DIGEST_STALE);
    w->now_us += CLV_DIGEST_NONCE_LIFE_US;
    g_assert_cmpint(check(w, &bob, nonce, &identity), ==, CLV_DIGEST_OK);
    w->now_us += 1;
    g_assert_cmpint(check(w, &bob, nonce, &identity), ==, CLV_DIGEST_STALE);
    g_assert_null(strstr(nonce, "bob"));
}

/* RFC 7616 section 3.9.1. The nonce is theirs, so a right response is "stale" and no more. */
static void
rfc_7616_example_is_right(void)
{
    static const char *const common[] = {
        "username=\"Mufasa\"",
        "realm=\"http-auth@example.org\"",
        "uri=\"/dir/index.html\"",
        "nonce=\"7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v\"",
        "nc=00000001",
        "cnonce=\"f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ\"",
        "qop=auth",
        "opaque=\"FQhe/qaU925kfnzjev0ciny7QMkPqMAFRtzCUfo5tdS\"",
    };
    static const char *const cases[][2] = {
        {"algorithm=MD5", "response=\"8ca523f5e9506fed4657c9700eebdbec\""},
        {"algorithm=SHA-256",
         "response=\"753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1\""},
    };
    static const char users[] =
        "[user Mufasa]\npassword=Circle of Life\nidentity=sip:mufasa@example.org\n";
    ClvDigest *digest = clv_digest_new("http-auth@example.org");
    g_autoptr(GPtrArray) errors = g_ptr_array_new_with_free_func(g_free);

    g_assert_true(clv_digest_parse(digest, "users", users, strlen(users), errors));
    for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
        const char *params[16] = {NULL}, *identity;

        memcpy(params, common, sizeof(common));
        params[G_N_ELEMENTS(common)] = cases[i][0];
        params[G_N_ELEMENTS(common) + 1] = cases[i][1];
        g_assert_cmpint(clv_digest_check(digest, params, "GET", "/dir/index.html", 5, &identity),
                        ==, CLV_DIGEST_STALE);
        g_assert_cmpint(clv_digest_check(digest, params, "PUT", "/dir/index.html", 5, &identity),
                        ==, CLV_DIGEST_BAD);
    }
    clv_digest_free(digest);
}

static void
mistakes_in_the_file_are_named(World *w, gconstpointer unused)
{
    static const char *const cases[][2] = {
        {"[user bob]\nidentity=sip:b@x\n", "users:1: [user bob] needs either password"},
        {"[user bob]\npassword=x\n", "users:1: [user bob] has no identity"},
        {"[user bob]\npassword=x\nha1=cdce7ebe1bd0cb2a42a5ee8ff64a8c07\nidentity=sip:b@x\n",
         "users:1: [user bob] needs either"},
        {"[user bob]\nha1=123\nidentity=sip:b@x\n",
         "users:2: ha1: found 3 characters, expected 32"},
        {"[user bob]\npassword=x\nidentity=mailto:b@x\n",
         "users:3: identity: found 'mailto:b@x', expected"},
        {"[user bob]\npassword=x\nidentity=sip:b@x\ncolour=red\n", "users:4: unknown option"},
        {"[group bob]\npassword=x\nidentity=sip:b@x\n", "users:1: expected [user NAME]"},
        {"[user a:b]\npassword=x\nidentity=sip:b@x\n", "users:1: expected [user NAME]"},
        {"[user bob]\npassword=\nidentity=sip:b@x\n", "users:2: password is empty"},
        {"[user bob]\npassword=x\nidentity=sip:b@x\n[user bob]\npassword=y\nidentity=sip:a@x\n",
         "users:4: the group [user bob] stands already in line 1"},
        {"[user bob]\npassword=x\nidentity=sip:b@x\nidentity=sip:a@x\n",
         "users:4: [user bob] identity stands already in line 3"},
        {"nonsense\n", "users:1"},
    };

    for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_ptr_array_set_size(w->errors, 0);
        g_assert_false(
            clv_digest_parse(w->digest, "users", cases[i][0], strlen(cases[i][0]), w->errors));
        g_assert_cmpuint(w->errors->len, >=, 1);
        if (!g_str_has_prefix(g_ptr_array_index(w->errors, 0), cases[i][1]))
            g_error("'%s' instead of '%s'", (char *)g_ptr_array_index(w->errors, 0), cases[i][1]);
        g_assert_cmpuint(clv_digest_n_users(w->digest), ==, 2); /* the old ones stay */
    }
}

static void
the_file_must_be_private(World *w, gconstpointer unused)
{
    g_autofree char *dir = g_dir_make_tmp("clv-digest-XXXXXX", NULL);
    g_autofree char *path = g_build_filename(dir, "users", NULL);

    g_assert_false(clv_digest_load(w->digest, path, w->errors));
    g_assert_true(g_file_set_contents(path, USERS, -1, NULL));
    g_assert_cmpint(g_chmod(path, 0644), ==, 0);
    g_assert_false(clv_digest_load(w->digest, path, w->errors));
    g_assert_cmpuint(w->errors->len, ==, 2);
    g_assert_cmpint(g_chmod(path, 0600), ==, 0);
    g_assert_true(clv_digest_load(w->digest, path, w->errors));
    g_unlink(path);
    g_rmdir(dir);
}

static void
made_lines_open_the_door(World *w, gconstpointer unused)
{
    char *text = clv_digest_make_user("carol", REALM, "p:q\"r", "sip:carol@EXAMPLE.org", NULL);
    g_autofree char *nonce = fresh_nonce(w, 0);
    g_autoptr(GError) error = NULL;
    const char *identity = NULL;
    Client c = bob;

    g_assert_null(strstr(text, "p:q"));
    g_assert_true(clv_digest_parse(w->digest, "users", text, strlen(text), w->errors));
    c.user = "carol";
    c.password = "p:q\"r";
    g_assert_cmpint(check(w, &c, nonce, &identity), ==, CLV_DIGEST_OK);
    g_assert_cmpstr(identity, ==, "sip:carol@example.org");
    clv_secret_free_string(text);

    g_assert_null(clv_digest_make_user("a:b", REALM, "x", "sip:a@b", &error));
    g_assert_nonnull(error);
    g_clear_error(&error);
    g_assert_null(clv_digest_make_user("a", REALM, "x", "nobody", &error));
    g_assert_nonnull(error);
}

static void
others_credentials_are_not_ours(World *w, gconstpointer unused)
{
    static const char *const theirs[] = {"username=\"bob\"", "realm=\"elsewhere\"", NULL};
    static const char *const ours[] = {"Realm=\"" REALM "\"", NULL};

    g_assert_false(clv_digest_is_ours(w->digest, theirs));
    g_assert_true(clv_digest_is_ours(w->digest, ours));
    g_assert_false(clv_digest_is_ours(w->digest, NULL));
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
#define ADD(name, fn) g_test_add("/digest/" name, World, NULL, setup, fn, teardown)
    ADD("challenges-name-both-algorithms", challenges_name_both_algorithms);
    ADD("password-opens-with-either-algorithm", the_password_opens_with_either_algorithm);
    ADD("stored-hash-serves-its-algorithm-alone", a_stored_hash_serves_its_algorithm_alone);
    ADD("wrong-ones-are-all-the-same", wrong_ones_are_all_the_same);
    ADD("missing-and-doubled-parameters-are-refused", missing_and_doubled_parameters_are_refused);
    ADD("count-is-good-once", a_count_is_good_once);
    ADD("too-many-nonces-keep-nobody-out", too_many_nonces_keep_nobody_out);
    ADD("nonces-age-and-cannot-be-made", nonces_age_and_cannot_be_made);
    g_test_add_func("/digest/rfc-7616-example-is-right", rfc_7616_example_is_right);
    ADD("mistakes-in-the-file-are-named", mistakes_in_the_file_are_named);
    ADD("file-must-be-private", the_file_must_be_private);
    ADD("made-lines-open-the-door", made_lines_open_the_door);
    ADD("others-credentials-are-not-ours", others_credentials_are_not_ours);
    return g_test_run();
}
