/* SPDX-License-Identifier: Apache-2.0 */
/* Does the key file say who may do what, and every mistake in it its line? Can it be edited? */
#include "config.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <glib/gstdio.h>
#include <libmikey/mikey.h>

#include "kms/keyfile.h"

#define PSK_A "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"
#define PSK_B "base64:////////////////////////////////////////AAA="
#define PSK_C "f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff"

/* ---- reading ---- */

static ClvKmsKeyFile *
parse(const char *text, GPtrArray *errors)
{
    return clv_kms_keyfile_parse("keys", text, strlen(text), errors);
}

static ClvKmsKeyFile *
parse_good(const char *text)
{
    g_autoptr(GPtrArray) errors = g_ptr_array_new_with_free_func(g_free);
    ClvKmsKeyFile *keys = parse(text, errors);

    if (errors->len > 0)
        g_error("%s", (const char *)errors->pdata[0]);
    g_assert_nonnull(keys);
    return keys;
}

static const char good_text[] =
    "# a comment\n"
    "[kms]\n"
    "uri = sips:kms@Example.ORG\n"
    "skew = 60s\n"
    "max-lifetime = 1h\n"
    "max-responders = 7\n"
    "replay-entries = 99\n"
    "allow-128 = yes\n"
    "[user alice]\n"
    "psk = " PSK_A "\n"
    "identities = sip:alice@Example.org;tel:+49-30-1234;sip:alice@example.org:5061\n"
    "may-request = users; services; *@example.net ;!sip:eve@example.net\n"
    "purposes = conclave:create;conclave:join\n"
    "max-lifetime = 10m\n"
    "secure-conference = yes\n"
    "reuse = no\n"
    "[user b-tid@bsf.example.org]\n"
    "psk = " PSK_B "\n"
    "identities = sip:bob@example.org\n"
    "may-request = any\n"
    "[user conf1]\n"
    "psk = " PSK_C "\n"
    "[service conf1]\n"
    "user = conf1\n"
    "host = example.org\n"
    "factory = sip:mmtel@conf-factory.example.org\n"
    "conference-rule = *.meet@example.net\n"
    "conferences = sip:daily@example.org\n";

static void
test_everything_is_read(void)
{
    g_autoptr(ClvKmsKeyFile) keys = parse_good(good_text);
    const ClvKmsUser *alice = clv_kms_keyfile_user(keys, "alice", 5);
    const ClvKmsUser *bob = clv_kms_keyfile_owner(keys, "sip:bob@example.org");
    gsize len = 0;
    const guint8 *psk = clv_kms_keyfile_psk(keys, "alice", &len);

    g_assert_cmpstr(clv_kms_keyfile_uri(keys), ==, "sips:kms@Example.ORG");
    g_assert_cmpstr(keys->canonical_uri, ==, "sip:kms@example.org");
    g_assert_cmpint(keys->skew_s, ==, 60);
    g_assert_cmpint(keys->max_lifetime_s, ==, 3600);
    g_assert_cmpint(keys->max_responders, ==, 7);
    g_assert_cmpint(keys->replay_entries, ==, 99);
    g_assert_true(keys->allow_128);
    g_assert_cmpuint(clv_kms_keyfile_n_users(keys), ==, 3);
    g_assert_cmpuint(clv_kms_keyfile_n_services(keys), ==, 1);

    g_assert_nonnull(alice);
    g_assert_cmpuint(alice->identities->len, ==, 2); /* the same one again counts once */
    g_assert_cmpint(alice->max_lifetime_s, ==, 600);
    g_assert_true(alice->secure_conference);
    g_assert_false(alice->reuse);
    g_assert_cmpuint(len, ==, 32);
    g_assert_cmpuint(psk[31], ==, 0x1f);
    g_assert_nonnull(bob);
    g_assert_cmpstr(bob->name, ==, "b-tid@bsf.example.org");
    g_assert_true(bob->reuse);
    g_assert_false(bob->secure_conference);
    g_assert_null(clv_kms_keyfile_psk(keys, "nobody", &len));
    g_assert_null(clv_kms_keyfile_user(keys, "alice\0x", 7));
    g_assert_null(clv_kms_keyfile_user(keys, "", 0));
}

static void
test_who_owns_a_name(void)
{
    static const struct {
        const char *identity, *owner;
        gboolean factory, focus;
    } rows[] = {
        {"sip:alice@example.org", "alice", FALSE, FALSE},
        {"tel:+49301234", "alice", FALSE, FALSE},
        {"sip:factory.conf1@example.org", "conf1", TRUE, FALSE},
        {"sip:mmtel@conf-factory.example.org", "conf1", TRUE, FALSE},
        {"sip:abc.conf1@example.org", "conf1", FALSE, TRUE},
        {"sip:abc.meet@example.net", "conf1", FALSE, TRUE},
        {"sip:daily@example.org", "conf1", FALSE, TRUE},
        /* one label in front, not none and not two; the whole rest */
        {"sip:.conf1@example.org", NULL, FALSE, FALSE},
        {"sip:a.b.conf1@example.org", NULL, FALSE, FALSE},
        {"sip:abc.conf1@example.net", NULL, FALSE, FALSE},
        {"sip:abc.conf1@sub.example.org", NULL, FALSE, FALSE},
        {"sip:abcconf1@example.org", NULL, FALSE, FALSE},
        {"sip:conf1@example.org", NULL, FALSE, FALSE},
        {"sip:abc.conf10@example.org", NULL, FALSE, FALSE},
        {"tel:+49309999", NULL, FALSE, FALSE},
    };
    g_autoptr(ClvKmsKeyFile) keys = parse_good(good_text);

    for (guint i = 0; i < G_N_ELEMENTS(rows); i++) {
        const ClvKmsUser *owner = clv_kms_keyfile_owner(keys, rows[i].identity);

        g_test_message("%s", rows[i].identity);
        g_assert_cmpstr(owner != NULL ? owner->name : NULL, ==, rows[i].owner);
        g_assert_cmpint(clv_kms_keyfile_factory(keys, rows[i].identity) != NULL, ==,
                        rows[i].factory);
        g_assert_cmpint(clv_kms_keyfile_focus(keys, rows[i].identity) != NULL, ==, rows[i].focus);
    }
}

static void
test_may_request(void)
{
    static const struct {
        const char *user, *identity;
        gboolean allowed;
    } rows[] = {
        {"alice", "sip:bob@example.org", TRUE},           /* users */
        {"alice", "sip:stranger@example.org", FALSE},     /* no user */
        {"alice", "sip:factory.conf1@example.org", TRUE}, /* services */
        {"alice", "sip:x.conf1@example.org", TRUE},
        {"alice", "sip:dave@example.net", TRUE}, /* pattern */
        {"alice", "sip:eve@example.net", FALSE}, /* excluded */
        {"b-tid@bsf.example.org", "tel:+1234", TRUE},
        {"conf1", "sip:bob@example.org", FALSE}, /* nothing said: nobody */
    };
    g_autoptr(ClvKmsKeyFile) keys = parse_good(good_text);

    for (guint i = 0; i < G_N_ELEMENTS(rows); i++) {
        const ClvKmsUser *user = clv_kms_keyfile_user(keys, rows[i].user, strlen(rows[i].user));

        g_test_message("%s asks for %s", rows[i].user, rows[i].identity);
        g_assert_nonnull(user);
        g_assert_cmpint(clv_kms_user_may_request(keys, user, rows[i].identity), ==,
                        rows[i].allowed);
    }
}

static void
test_purposes(void)
{
    g_autoptr(ClvKmsKeyFile) keys = parse_good(good_text);
    const ClvKmsUser *alice = clv_kms_keyfile_user(keys, "alice", 5);
    const ClvKmsUser *conf1 = clv_kms_keyfile_user(keys, "conf1", 5);

    g_assert_true(clv_kms_user_has_purpose(alice, (const guint8 *)"conclave:join", 13));
    g_assert_false(clv_kms_user_has_purpose(alice, (const guint8 *)"conclave:join", 12));
    g_assert_false(clv_kms_user_has_purpose(alice, (const guint8 *)"conclave:allow", 14));
    g_assert_true(clv_kms_user_has_purpose(conf1, (const guint8 *)"conclave:allow", 14));
}

/* ---- mistakes: one row each ---- */

typedef struct Mistake {
    const char *name;
    const char *text;
    const char *message; /* pattern of the first error */
} Mistake;

#define KMS "[kms]\nuri = sip:kms@example.org\n"
#define USER_A "[user a]\npsk = " PSK_A "\n"
#define USER_B "[user b]\npsk = " PSK_B "\n"

#define PEER "[peer p]\nuri = sip:kms@example.net\npsk = " PSK_A "\nidentities = *@example.net\n"

static const Mistake mistakes[] = {
    {"peer-without-uri", KMS "[peer p]\npsk = " PSK_A "\nidentities = any\n",
     "keys:3: [peer p]: found no uri=, expected one"},
    {"peer-without-key", KMS "[peer p]\nuri = sip:kms@example.net\nidentities = any\n",
     "keys:3: [peer p]: found no psk=, expected one"},
    {"peer-without-identities", KMS "[peer p]\nuri = sip:kms@example.net\npsk = " PSK_A "\n",
     "keys:3: [peer p]: found no identities=, expected one"},
    {"peer-asked-without-ca", KMS PEER "url = https://kms.example.net/k\n",
     "keys:3: [peer p]: found no ca=, expected one"},
    {"peer-without-tls", KMS PEER "url = http://kms.example.net/k\n",
     "keys:7: url: found 'http://kms.example.net/k', expected https:*"},
    {"peer-asks-without-client-ca", KMS PEER "certificate = cn:x\n",
     "keys:3: [peer p]: found certificate= and no client-ca in [kms]*"},
    {"peer-certificate-name", KMS PEER "certificate-name = kms.example.net\n",
     "keys:7: certificate-name: found 'kms.example.net', expected the URI of a certificate*"},
    {"peer-is-ourselves",
     KMS "[peer p]\nuri = sip:kms@example.org\npsk = " PSK_A "\nidentities = any\n",
     "keys:3: [peer p]: found uri sip:kms@example.org, which is somebody's already"},
    {"peer-twice",
     KMS PEER "[peer q]\nuri = sip:kms@example.net\npsk = " PSK_B "\nidentities = any\n",
     "keys:7: [peer q]: found uri sip:kms@example.net twice"},
    {"peer-with-the-key-of-a-user", KMS USER_A PEER,
     "keys:5: [peer p]: found the key of user 'a' again, expected one of its own"},
    {"no-uri", "[kms]\n", "keys:1: found no uri= in [kms], expected *sip:kms@example.org"},
    {"uri-no-sip", "[kms]\nuri = http://x\n", "keys:2: uri: found 'http://x', expected a SIP URI*"},
    {"unknown-group", KMS "[users]\n",
     "keys:3: found [users], expected [kms], [user NAME], [service NAME], "
     "[group NAME] or [peer NAME]"},
    {"unknown-key", KMS "color = red\n", "keys:3: found 'color' in [kms], expected one of: uri,*"},
    {"key-of-another-group", KMS USER_A "host = x\n",
     "keys:5: found 'host' in [user a], expected one of: psk,*"},
    {"state-dir-in-text", KMS "state-dir = x\n", "keys:3: state-dir: found a file name*"},
    {"rotate-without-state", KMS "tpk-rotate = 1h\n", "keys:1: [kms]: found tpk-rotate without *"},
    {"rotate-too-often", KMS "tpk-rotate = 60s\nmax-lifetime = 30d\n",
     "keys:1: [kms]: found a tpk-rotate of 60s, expected at least 10125s,*"},
    {"http-auth", KMS "http-auth = basic\n", "keys:3: http-auth: found 'basic', expected none,*"},
    {"http-auth-without-ca", KMS "http-auth = either\n", "keys:1: [kms]: found http-auth with *"},
    {"http-host", KMS "http-host = a b\n", "keys:3: http-host: found 'a b'*"},
    {"certificate", KMS USER_A "certificate = phone\n", "keys:5: certificate: found 'phone'*"},
    {"certificate-of-another", KMS USER_A "certificate = cn:x\n" USER_B "certificate = cn:x\n",
     "keys:6: [user b]: found the certificate cn:x of user 'a' again*"},
    {"rate", KMS "rate = -1\n", "keys:3: rate: *"},
    {"tickets-since", KMS USER_A "tickets-since = today\n",
     "keys:5: tickets-since: found 'today', expected a time such as *"},
    {"no-name", KMS "[user ]\n", "keys:3: *"},
    {"strange-name", KMS "[user a b]\n", "keys:3: found the name 'a b', expected *"},
    {"long-name", KMS "[user 0123456789012345678901234567890123456789012345678901234567890123]\n",
     "keys:3: found the name '0123*', expected 1 to 63*"},
    {"group-twice", KMS USER_A USER_B "[user a]\n",
     "keys:7: the group [user a] stands already in line 3, expected it once"},
    {"key-twice", KMS USER_A "psk = " PSK_B "\n", "keys:5: *"},
    {"no-key", KMS "[user a]\nidentities = sip:a@b\n",
     "keys:3: [user a]: found no key, expected psk= or psk-file="},
    {"psk-short", KMS "[user a]\npsk = 0011\n", "keys:4: psk: *16 to 64 octets"},
    {"may-request", KMS USER_A "may-request = anybody\n",
     "keys:5: may-request: found 'anybody', expected any, users, services, groups, nobody or an "
     "identity pattern: sip:user@host, *"},
    {"psk-odd", KMS "[user a]\npsk = " PSK_A "0\n", "keys:4: psk: *"},
    {"psk-nonsense", KMS "[user a]\npsk = secret\n", "keys:4: psk: *"},
    {"psk-bad-base64", KMS "[user a]\npsk = base64:AAAA*AAA\n", "keys:4: psk: *"},
    {"psk-weak", KMS "[user a]\npsk = 00000000000000000000000000000000\n",
     "keys:4: psk: *expected a random one"},
    {"psk-of-another", KMS USER_A "[user b]\npsk = " PSK_A "\n",
     "keys:5: [user b]: found the key of user 'a' again*"},
    {"psk-in-file", KMS "[user a]\npsk-file = a.psk\n", "keys:4: psk-file: found a file name*"},
    {"identity-no-uri", KMS USER_A "identities = alice\n",
     "keys:5: identities: found 'alice', expected a SIP*"},
    {"identity-local-number", KMS USER_A "identities = tel:1234\n",
     "keys:5: identities: found 'tel:1234'*"},
    {"identities-empty", KMS USER_A "identities = ;\n", "keys:5: identities: found nothing*"},
    {"identity-of-two", KMS USER_A "identities = sip:x@y\n" USER_B "identities = sips:x@Y\n",
     "keys:6: [user b]: found the identity sip:x@y of user 'a' again*"},
    {"scope-nonsense", KMS USER_A "may-request = everybody\n",
     "keys:5: may-request: found 'everybody', expected any, users, services, groups, nobody*"},
    {"scope-star", KMS USER_A "may-request = a*@b\n", "keys:5: may-request: found 'a?@b'*"},
    {"lifetime-short", KMS USER_A "max-lifetime = 1s\n",
     "keys:5: max-lifetime: found '1s', expected a time from 10s to *"},
    {"lifetime-nonsense", KMS "max-lifetime = long\n", "keys:3: max-lifetime: *"},
    {"skew-long", KMS "skew = 2h\n", "keys:3: skew: found '2h', expected a time from 1s to 3600s"},
    {"bool-nonsense", KMS USER_A "secure-conference = maybe\n", "keys:5: secure-conference: *"},
    {"int-range", KMS "max-responders = 0\n", "keys:3: max-responders: *"},
    {"service-without-user", KMS "[service s]\nhost = h.org\n",
     "keys:3: [service s]: found no user=*"},
    {"service-of-nobody", KMS "[service s]\nuser = x\nhost = h.org\n",
     "keys:3: [service s]: found user=x, expected the name of a [user ...] group"},
    {"service-without-factory", KMS USER_A "[service s]\nuser = a\nconference-rule = *.s@h\n",
     "keys:5: [service s]: found no factory*"},
    {"service-without-conferences", KMS USER_A "[service s]\nuser = a\nfactory = sip:f@h\n",
     "keys:5: [service s]: found no conferences*"},
    {"rule-nonsense", KMS USER_A "[service s]\nuser = a\nhost = h\nconference-rule = conf@h\n",
     "keys:8: conference-rule: found 'conf@h', expected a rule such as *"},
    {"host-nonsense", KMS USER_A "[service s]\nuser = a\nhost = a b\n",
     "keys:7: host: found 'a b', expected a host*"},
    {"factory-of-two",
     KMS USER_A "[service s]\nuser = a\nhost = h\nfactory = sip:f@h\n"
                "[service t]\nuser = a\nhost = h\nfactory = sip:f@h\n",
     "keys:9: [service t]: found the factory sip:f@h of service 's' again*"},
    {"rule-of-two",
     KMS USER_A "[service s]\nuser = a\nhost = h\n"
                "[service t]\nuser = a\nhost = h\nconference-rule = *.s@h\n",
     "keys:8: [service t]: found a conference rule that service 's' has too*"},
    {"factory-is-a-person",
     KMS USER_A "identities = sip:f@h\n" USER_B "[service s]\nuser = b\nhost = h\n"
                "factory = sip:f@h\n",
     "keys:8: [service s]: found sip:f@h, which is an identity of user 'a'*"},
    {"person-is-a-conference",
     KMS USER_A "identities = sip:x.s@h\n" USER_B "[service s]\nuser = b\nhost = h\n",
     "keys:3: [user a]: found the identity sip:x.s@h, which is a conference of service 's'"},
};

static void
test_mistake(gconstpointer data)
{
    const Mistake *row = data;
    g_autoptr(GPtrArray) errors = g_ptr_array_new_with_free_func(g_free);

    g_assert_null(parse(row->text, errors));
    g_assert_cmpuint(errors->len, >, 0);
    if (!g_pattern_match_simple(row->message, errors->pdata[0]))
        g_error("'%s' is not like '%s'", (const char *)errors->pdata[0], row->message);
}

static void
test_all_mistakes_are_told(void)
{
    g_autoptr(GPtrArray) errors = g_ptr_array_new_with_free_func(g_free);

    g_assert_null(parse(KMS "a = 1\nb = 2\n[user x]\nc = 3\n", errors));
    g_assert_cmpuint(errors->len, ==, 4); /* three keys, and user x has no key */
}

/* A key that is no good is not a missing one as well. */
static void
test_a_bad_key_is_told_once(void)
{
    static const char *const texts[] = {
        KMS "[user a]\npsk = 0011\n",
        KMS "[user a]\npsk = nonsense\n",
        KMS "[user a]\npsk-file = a.psk\n",
        KMS "[peer p]\nuri = sip:kms@example.net\npsk = 0011\nidentities = any\n",
    };

    for (guint i = 0; i < G_N_ELEMENTS(texts); i++) {
        g_autoptr(GPtrArray) errors = g_ptr_array_new_with_free_func(g_free);

        g_assert_null(parse(texts[i], errors));
        g_assert_cmpuint(errors->len, ==, 1);
    }
}

/* Pieces of keys must not come to light, however the line is broken. */
static void
test_errors_show_no_key(void)
{
    static const char *const texts[] = {
        KMS "[user a]\npsk = " PSK_A "ff00\n" PSK_A "=\n", KMS "[user a]\npsk base64:" PSK_A "\n",
        KMS "[user a]\npsk = base64:" PSK_A "!\n",         KMS "[user a]\n" PSK_A " = x\n",
        KMS "[user a]\npsk = " PSK_A PSK_A PSK_A "\n",     KMS USER_A "[user b]\npsk = " PSK_A "\n",
    };

    for (guint i = 0; i < G_N_ELEMENTS(texts); i++) {
        g_autoptr(GPtrArray) errors = g_ptr_array_new_with_free_func(g_free);

        g_assert_null(parse(texts[i], errors));
        for (guint n = 0; n < errors->len; n++)
            g_assert_null(strstr(errors->pdata[n], "0405060708"));
    }
}

/* ---- the man page ---- */

static char *
read_man_page(void)
{
    g_autofree char *path = g_test_build_filename(G_TEST_DIST, "man", "conclave-kms-keys.5", NULL);
    char *page = NULL;

    g_assert_true(g_file_get_contents(path, &page, NULL, NULL));
    return page;
}

/* Returns: (transfer full): what the reader itself says that it knows in such a group */
static char **
known_keys(const char *group)
{
    g_autoptr(GPtrArray) errors = g_ptr_array_new_with_free_func(g_free);
    g_autofree char *text = g_strdup_printf("[%s]\nwhat = x\n", group);
    const char *list;

    g_assert_null(parse(text, errors));
    list = strstr(errors->pdata[0], "expected one of: ");
    g_assert_nonnull(list);
    return g_strsplit(list + strlen("expected one of: "), ", ", -1);
}

static void
test_man_page_knows_every_key(void)
{
    static const struct {
        const char *group, *from, *to;
    } parts[] = {
        {"kms", ".SH [kms]\n", ".SH [user NAME]\n"},
        {"user a", ".SH [user NAME]\n", ".SH [service NAME]\n"},
        {"service a", ".SH [service NAME]\n", ".SH [group NAME]\n"},
        {"group a", ".SH [group NAME]\n", ".SH [peer NAME]\n"},
        {"peer a", ".SH [peer NAME]\n", ".SH WHO MAY RESOLVE\n"},
    };
    g_autofree char *page = read_man_page();
    g_auto(GStrv) pieces = g_strsplit(page, "\\-", -1);
    g_autofree char *plain = g_strjoinv("-", pieces);

    for (guint i = 0; i < G_N_ELEMENTS(parts); i++) {
        g_auto(GStrv) keys = known_keys(parts[i].group);
        const char *from = strstr(plain, parts[i].from);
        const char *to = strstr(plain, parts[i].to);
        g_autofree char *part = NULL;

        g_assert_true(from != NULL && to > from);
        part = g_strndup(from, (gsize)(to - from));
        for (guint k = 0; keys[k] != NULL; k++) {
            g_autofree char *entry = g_strdup_printf(".TP\n.B %s\n", keys[k]);
            g_autofree char *required = g_strdup_printf(".TP\n.BR %s \" (required)\"\n", keys[k]);

            if (strstr(part, entry) == NULL && strstr(part, required) == NULL)
                g_error("the man page does not explain '%s' in [%s]", keys[k], parts[i].group);
        }
    }
}

/* The example is a file that works, once its keys lie beside it. */
static void
test_man_page_example_works(void)
{
    g_autofree char *page = read_man_page();
    g_auto(GStrv) pieces = g_strsplit(page, "\\-", -1);
    g_autofree char *plain = g_strjoinv("-", pieces);
    g_autoptr(GString) text = NULL;
    g_autoptr(ClvKmsKeyFile) keys = NULL;
    char *start = strstr(plain, ".nf\n");
    char *end = strstr(plain, ".fi\n");

    g_assert_true(start != NULL && end > start);
    text = g_string_new_len(start + 4, end - start - 4);
    g_string_replace(text, "tpk-file = tpk.key\n", "", 1);
    g_string_replace(text, "psk-file = bob.psk", "psk = " PSK_A, 1);
    g_string_replace(text, "psk-file = conf1.psk", "psk = " PSK_C, 1);
    keys = parse_good(text->str);
    g_assert_cmpuint(clv_kms_keyfile_n_users(keys), ==, 3);
    g_assert_nonnull(clv_kms_keyfile_focus(keys, "sip:abc.conf1@example.org"));
}

/* ---- files ---- */

typedef struct Folder {
    char *path, *keys;
} Folder;

static void
folder_open(Folder *folder, gconstpointer unused)
{
    folder->path = g_dir_make_tmp("test-keyfile-XXXXXX", NULL);
    g_assert_nonnull(folder->path);
    folder->keys = g_build_filename(folder->path, "keys.conf", NULL);
}

static void
folder_close(Folder *folder, gconstpointer unused)
{
    GDir *dir = g_dir_open(folder->path, 0, NULL);
    const char *name;

    while ((name = g_dir_read_name(dir)) != NULL) {
        g_autofree char *path = g_build_filename(folder->path, name, NULL);

        g_unlink(path);
    }
    g_dir_close(dir);
    g_assert_cmpint(g_rmdir(folder->path), ==, 0);
    g_free(folder->keys);
    g_free(folder->path);
}

static void
write_file(const Folder *folder, const char *name, const char *text, int mode)
{
    g_autofree char *path = g_build_filename(folder->path, name, NULL);

    g_assert_true(g_file_set_contents_full(path, text, -1, G_FILE_SET_CONTENTS_NONE, mode, NULL));
    g_assert_cmpint(g_chmod(path, (mode_t)mode), ==, 0);
}

static char *
read_back(const Folder *folder)
{
    char *text = NULL;

    g_assert_true(g_file_get_contents(folder->keys, &text, NULL, NULL));
    return text;
}

static void
assert_files(const Folder *folder, guint expected)
{
    GDir *dir = g_dir_open(folder->path, 0, NULL);
    guint n = 0;

    while (g_dir_read_name(dir) != NULL)
        n++;
    g_dir_close(dir);
    g_assert_cmpuint(n, ==, expected);
}

static void
test_file_mode(Folder *folder, gconstpointer unused)
{
    static const int bad_modes[] = {0644, 0604, 0602, 0620, 0666};
    g_autoptr(GPtrArray) errors = g_ptr_array_new_with_free_func(g_free);
    g_autoptr(ClvKmsKeyFile) keys = NULL;

    write_file(folder, "keys.conf", KMS, 0600);
    keys = clv_kms_keyfile_load(folder->keys, errors);
    g_assert_nonnull(keys);
    g_assert_cmpuint(errors->len, ==, 0);
    for (guint i = 0; i < G_N_ELEMENTS(bad_modes); i++) {
        g_assert_cmpint(g_chmod(folder->keys, (mode_t)bad_modes[i]), ==, 0);
        g_assert_null(clv_kms_keyfile_load(folder->keys, errors));
        g_assert_cmpuint(errors->len, ==, i + 1);
        g_assert_nonnull(strstr(errors->pdata[i], "mode"));
    }
    g_assert_null(clv_kms_keyfile_load(folder->path, errors));
    g_unlink(folder->keys);
    g_assert_null(clv_kms_keyfile_load(folder->keys, errors));
}

static void
test_keys_in_files_of_their_own(Folder *folder, gconstpointer unused)
{
    g_autoptr(GPtrArray) errors = g_ptr_array_new_with_free_func(g_free);
    g_autoptr(ClvKmsKeyFile) keys = NULL;
    gsize len = 0;

    write_file(folder, "a.psk", PSK_A "\n", 0600);
    write_file(folder, "tpk.key", PSK_A "\n", 0600);
    write_file(folder, "short.key", PSK_C "\n", 0600);
    write_file(folder, "open.psk", PSK_A "\n", 0644);
    write_file(folder, "keys.conf", KMS "tpk-file = tpk.key\n[user a]\npsk-file = a.psk\n", 0600);
    keys = clv_kms_keyfile_load(folder->keys, errors);
    g_assert_nonnull(keys);
    g_assert_nonnull(clv_kms_keyfile_psk(keys, "a", &len));
    g_assert_cmpuint(len, ==, 32);
    g_assert_cmpuint(keys->tpks->len, ==, 1);

    write_file(folder, "keys.conf",
               KMS "tpk-file = short.key\n[user a]\npsk-file = open.psk\n[user b]\npsk-file = no\n",
               0600);
    g_assert_null(clv_kms_keyfile_load(folder->keys, errors));
    g_assert_true(
        g_pattern_match_simple("*:3: tpk-file: 'short.key': found 16 octets*", errors->pdata[0]));
    g_assert_true(g_pattern_match_simple("*:5: psk-file: *open.psk*mode*", errors->pdata[1]));
    g_assert_true(g_pattern_match_simple("*:7: psk-file: *", errors->pdata[2]));
}

/* ---- editing ---- */

static void
test_new_file_is_valid_and_never_overwritten(Folder *folder, gconstpointer unused)
{
    g_autoptr(GPtrArray) errors = g_ptr_array_new_with_free_func(g_free);
    g_autoptr(ClvKmsKeyFile) keys = NULL;
    g_autoptr(GError) error = NULL;
    struct stat info;

    g_assert_false(clv_kms_keyfile_create(folder->keys, "kms.example.org", &error));
    g_assert_nonnull(error);
    g_clear_error(&error);
    assert_files(folder, 0);
    g_assert_true(clv_kms_keyfile_create(folder->keys, "sip:kms@example.org", &error));
    g_assert_no_error(error);
    g_assert_cmpint(g_stat(folder->keys, &info), ==, 0);
    g_assert_cmpuint(info.st_mode & 07777, ==, 0600);
    keys = clv_kms_keyfile_load(folder->keys, errors);
    g_assert_nonnull(keys);
    g_assert_cmpuint(clv_kms_keyfile_n_users(keys), ==, 0);
    g_assert_false(clv_kms_keyfile_create(folder->keys, "sip:other@example.org", &error));
    g_assert_nonnull(error);
    assert_files(folder, 1);
}

static void
test_user_is_added(Folder *folder, gconstpointer unused)
{
    static const char *const identities[] = {"sip:alice@example.org", "tel:+49301234", NULL};
    ClvKmsUserSpec spec = {
        .name = "alice",
        .identities = identities,
        .may_request = "any",
        .max_lifetime = "1h",
        .secure_conference = TRUE,
    };
    g_autoptr(GPtrArray) errors = g_ptr_array_new_with_free_func(g_free);
    g_autoptr(ClvKmsKeyFile) keys = NULL;
    g_autoptr(ClvSecret) psk = NULL;
    g_autoptr(GError) error = NULL;
    const guint8 *made, *found;
    gsize made_len = 0, found_len = 0;
    struct stat info;

    write_file(folder, "keys.conf", "# first\n" KMS "# last, without line end", 0400);
    g_assert_true(clv_kms_keyfile_add_user(folder->keys, &spec, &psk, &error));
    g_assert_no_error(error);
    keys = clv_kms_keyfile_load(folder->keys, errors);
    g_assert_nonnull(keys);
    made = clv_secret_bytes(psk, &made_len);
    found = clv_kms_keyfile_psk(keys, "alice", &found_len);
    g_assert_cmpuint(made_len, ==, 32);
    g_assert_cmpmem(made, made_len, found, found_len);
    g_assert_cmpint(clv_kms_keyfile_user(keys, "alice", 5)->max_lifetime_s, ==, 3600);
    g_assert_cmpint(g_stat(folder->keys, &info), ==, 0);
    g_assert_cmpuint(info.st_mode & 07777, ==, 0400); /* as it was */
    assert_files(folder, 1);

    g_assert_false(clv_kms_keyfile_add_user(folder->keys, &spec, NULL, &error));
    g_assert_nonnull(strstr(error->message, "already"));
}

/* What would make the file invalid, or more than one line, changes nothing. */
static void
test_bad_users_change_nothing(Folder *folder, gconstpointer unused)
{
    static const char *const taken[] = {"sip:a@h", NULL};
    static const char *const nonsense[] = {"alice", NULL};
    static const char *const injected[] = {"sip:x@h;sip:a@h", NULL};
    static const guint8 short_psk[4] = {1, 2, 3, 4};
    const ClvKmsUserSpec specs[] = {
        {.name = "b", .identities = taken},
        {.name = "b", .identities = nonsense},
        {.name = "b", .identities = injected},
        {.name = "b c"},
        {.name = "b]\n[kms"},
        {.name = ""},
        {.name = "b", .may_request = "everybody"},
        {.name = "b", .may_request = "any\nsecure-conference = yes"},
        {.name = "b", .max_lifetime = "1s"},
        {.name = "b", .purposes = ""},
        {.name = "b", .psk = short_psk, .psk_len = sizeof short_psk},
    };
    static const char text[] = KMS USER_A "identities = sip:a@h\n";

    write_file(folder, "keys.conf", text, 0600);
    for (guint i = 0; i < G_N_ELEMENTS(specs); i++) {
        g_autoptr(GError) error = NULL;
        g_autofree char *after = NULL;

        g_assert_false(clv_kms_keyfile_add_user(folder->keys, &specs[i], NULL, &error));
        g_assert_nonnull(error);
        after = read_back(folder);
        g_assert_cmpstr(after, ==, text);
    }
    assert_files(folder, 1);
}

static void
test_removing_keeps_all_else(Folder *folder, gconstpointer unused)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *after = NULL;

    write_file(folder, "keys.conf",
               "# head\n" KMS "\n# about a\n[user a]\npsk = " PSK_A "\n# inside of a\n"
               "identities = sip:a@h\n\n# about b\n[ user b ]\npsk = " PSK_B "\n# tail\n",
               0600);
    g_assert_true(clv_kms_keyfile_remove(folder->keys, "user", "a", &error));
    g_assert_no_error(error);
    after = read_back(folder);
    g_assert_cmpstr(after, ==,
                    "# head\n" KMS "\n# about a\n\n# about b\n[ user b ]\npsk = " PSK_B
                    "\n# tail\n");
    g_assert_true(clv_kms_keyfile_remove(folder->keys, "user", "b", &error));
    g_assert_false(clv_kms_keyfile_remove(folder->keys, "user", "b", &error));
    g_assert_nonnull(error);
}

static void
test_add_and_remove_leave_no_trace(Folder *folder, gconstpointer unused)
{
    static const char text[] = "# head\n" KMS USER_A;
    ClvKmsUserSpec user = {.name = "b"};
    ClvKmsServiceSpec service = {"s", "a", "example.org", "sip:f@h"};
    g_autofree char *after = NULL;
    g_autoptr(GError) error = NULL;

    write_file(folder, "keys.conf", text, 0600);
    for (guint i = 0; i < 3; i++) {
        g_assert_true(clv_kms_keyfile_add_user(folder->keys, &user, NULL, &error));
        g_assert_true(clv_kms_keyfile_add_service(folder->keys, &service, &error));
        g_assert_true(clv_kms_keyfile_remove(folder->keys, "user", "b", &error));
        g_assert_true(clv_kms_keyfile_remove(folder->keys, "service", "s", &error));
    }
    after = read_back(folder);
    g_assert_cmpstr(after, ==, text);
}

static void
test_user_of_a_service_stays(Folder *folder, gconstpointer unused)
{
    g_autoptr(GError) error = NULL;

    write_file(folder, "keys.conf", KMS USER_A "[service s]\nuser = a\nhost = h\n", 0600);
    g_assert_false(clv_kms_keyfile_remove(folder->keys, "user", "a", &error));
    g_assert_nonnull(strstr(error->message, "left as it is"));
}

/* Revoked and restored: nothing but the two lines changes, however often. */
static void
test_revoke_and_restore(Folder *folder, gconstpointer unused)
{
    const char *before = KMS "# about a\n" USER_A "# about b\n[user b]\n"
                             "psk = 0123456789abcdef0123456789abcdee\n";
    gint64 now_us = (gint64)1893456000 * G_USEC_PER_SEC;
    g_autoptr(GPtrArray) errors = g_ptr_array_new_with_free_func(g_free);
    g_autoptr(ClvKmsKeyFile) keys = NULL;
    g_autoptr(GError) error = NULL;
    g_autofree char *after = NULL;
    const ClvKmsUser *user;

    write_file(folder, "keys.conf", before, 0600);
    g_assert_false(clv_kms_keyfile_revoke_user(folder->keys, "nobody", TRUE, now_us, &error));
    g_assert_nonnull(strstr(error->message, "no user 'nobody'"));
    g_clear_error(&error);
    for (guint i = 0; i < 2; i++)
        g_assert_true(clv_kms_keyfile_revoke_user(folder->keys, "a", TRUE, now_us, &error));
    keys = clv_kms_keyfile_load(folder->keys, errors);
    user = clv_kms_keyfile_user(keys, "a", 1);
    g_assert_true(user->revoked);
    g_assert_cmpint(user->tickets_since_s, ==, 1893456000);
    g_assert_false(clv_kms_keyfile_user(keys, "b", 1)->revoked);
    g_assert_true(clv_kms_keyfile_revoke_user(folder->keys, "a", FALSE, now_us, &error));
    after = read_back(folder);
    g_assert_cmpstr(after, ==,
                    KMS "# about a\n" USER_A "tickets-since = 2030-01-01T00:00:00Z\n"
                        "# about b\n[user b]\npsk = 0123456789abcdef0123456789abcdee\n");
}

typedef struct Editor {
    const Folder *folder;
    char name[16];
} Editor;

static gpointer
edit(gpointer data)
{
    const Editor *editor = data;
    ClvKmsUserSpec spec = {.name = editor->name};
    g_autoptr(GError) error = NULL;

    g_assert_true(clv_kms_keyfile_add_user(editor->folder->keys, &spec, NULL, &error));
    g_assert_no_error(error);
    return NULL;
}

/* The lock: nobody's edit is lost, however many edit at once. */
static void
test_edits_at_once(Folder *folder, gconstpointer unused)
{
    g_autoptr(GPtrArray) errors = g_ptr_array_new_with_free_func(g_free);
    g_autoptr(ClvKmsKeyFile) keys = NULL;
    Editor editors[12];
    GThread *threads[G_N_ELEMENTS(editors)];

    write_file(folder, "keys.conf", KMS, 0600);
    for (guint i = 0; i < G_N_ELEMENTS(editors); i++) {
        editors[i].folder = folder;
        g_snprintf(editors[i].name, sizeof editors[i].name, "user%u", i);
        threads[i] = g_thread_new("editor", edit, &editors[i]);
    }
    for (guint i = 0; i < G_N_ELEMENTS(editors); i++)
        g_thread_join(threads[i]);
    keys = clv_kms_keyfile_load(folder->keys, errors);
    g_assert_nonnull(keys);
    g_assert_cmpuint(clv_kms_keyfile_n_users(keys), ==, G_N_ELEMENTS(editors));
    assert_files(folder, 1);
}

static void
test_link_is_followed(Folder *folder, gconstpointer unused)
{
    g_autofree char *link_path = g_build_filename(folder->path, "link.conf", NULL);
    ClvKmsUserSpec spec = {.name = "b"};
    g_autoptr(GError) error = NULL;
    g_autofree char *after = NULL;

    write_file(folder, "keys.conf", KMS, 0600);
    g_assert_cmpint(symlink("keys.conf", link_path), ==, 0);
    g_assert_true(clv_kms_keyfile_add_user(link_path, &spec, NULL, &error));
    g_assert_true(g_file_test(link_path, G_FILE_TEST_IS_SYMLINK));
    after = read_back(folder);
    g_assert_nonnull(strstr(after, "[user b]"));
}

static void
collect(const char *text, void *user)
{
    g_ptr_array_add(user, g_strdup(text));
}

static void
test_lists(void)
{
    g_autoptr(ClvKmsKeyFile) keys = parse_good(good_text);
    g_autoptr(GPtrArray) lines = g_ptr_array_new_with_free_func(g_free);

    clv_kms_keyfile_list(keys, "user", collect, lines);
    clv_kms_keyfile_list(keys, "service", collect, lines);
    g_assert_cmpuint(lines->len, ==, 4);
    g_assert_cmpstr(lines->pdata[0], ==,
                    "alice\tsip:alice@example.org;tel:+49301234\tsecure-conference=yes");
    g_assert_cmpstr(lines->pdata[3], ==,
                    "conf1\tsip:factory.conf1@example.org;sip:mmtel@conf-factory.example.org\t"
                    "user=conf1");
}

#define ADD_FILE_TEST(name, function)                                                              \
    g_test_add("/keyfile/" name, Folder, NULL, folder_open, function, folder_close)

/* Each path is its own, in whatever order they come and however often. */
static void
test_paths_in_any_order(void)
{
    static const char *const orders[] = {
        "state-dir = s\naudit-file = a\nclient-ca = c\n",
        "audit-file = a\nstate-dir = s\nclient-ca = c\n",
        "client-ca = c\naudit-file = a\nstate-dir = s\n",
    };

    for (guint i = 0; i < G_N_ELEMENTS(orders); i++) {
        g_autoptr(GPtrArray) errors = g_ptr_array_new_with_free_func(g_free);
        g_autofree char *text = g_strconcat("[kms]\nuri = sip:kms@example.org\n", orders[i], NULL);
        g_autoptr(ClvKmsKeyFile) keys =
            clv_kms_keyfile_parse_in("keys", "/etc/x", text, strlen(text), errors);

        g_test_message("%s", orders[i]);
        g_assert_cmpuint(errors->len, ==, 0);
        g_assert_cmpstr(keys->state_dir, ==, "/etc/x/s");
        g_assert_cmpstr(keys->audit_file, ==, "/etc/x/a");
        g_assert_cmpstr(keys->client_ca, ==, "/etc/x/c");
    }
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/keyfile/everything-is-read", test_everything_is_read);
    g_test_add_func("/keyfile/who-owns-a-name", test_who_owns_a_name);
    g_test_add_func("/keyfile/may-request", test_may_request);
    g_test_add_func("/keyfile/purposes", test_purposes);
    for (guint i = 0; i < G_N_ELEMENTS(mistakes); i++) {
        g_autofree char *name = g_strconcat("/keyfile/mistake/", mistakes[i].name, NULL);

        g_test_add_data_func(name, &mistakes[i], test_mistake);
    }
    g_test_add_func("/keyfile/all-mistakes-are-told", test_all_mistakes_are_told);
    g_test_add_func("/keyfile/a-bad-key-is-told-once", test_a_bad_key_is_told_once);
    g_test_add_func("/keyfile/errors-show-no-key", test_errors_show_no_key);
    g_test_add_func("/keyfile/lists", test_lists);
    g_test_add_func("/keyfile/man-page-knows-every-key", test_man_page_knows_every_key);
    g_test_add_func("/keyfile/man-page-example-works", test_man_page_example_works);
    ADD_FILE_TEST("file-mode", test_file_mode);
    ADD_FILE_TEST("keys-in-files-of-their-own", test_keys_in_files_of_their_own);
    ADD_FILE_TEST("new-file-is-valid-and-never-overwritten",
                  test_new_file_is_valid_and_never_overwritten);
    ADD_FILE_TEST("user-is-added", test_user_is_added);
    ADD_FILE_TEST("bad-users-change-nothing", test_bad_users_change_nothing);
    ADD_FILE_TEST("removing-keeps-all-else", test_removing_keeps_all_else);
    ADD_FILE_TEST("add-and-remove-leave-no-trace", test_add_and_remove_leave_no_trace);
    ADD_FILE_TEST("user-of-a-service-stays", test_user_of_a_service_stays);
    ADD_FILE_TEST("revoke-and-restore", test_revoke_and_restore);
    ADD_FILE_TEST("edits-at-once", test_edits_at_once);
    ADD_FILE_TEST("link-is-followed", test_link_is_followed);
    g_test_add_func("/keyfile/paths-in-any-order", test_paths_in_any_order);
    return g_test_run();
}
