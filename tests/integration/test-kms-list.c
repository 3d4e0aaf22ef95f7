/* SPDX-License-Identifier: Apache-2.0 */
/* Does a conference resolve only between its announcement and its withdrawal, and who may announce?
 *
 * The decisions by octets and a chosen clock; client and server together over loopback.
 */
#include "config.h"

#include <curl/curl.h>
#include <glib/gstdio.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "integration/kms-pki.h"
#include "kms/keeper.h"
#include "kms/listing.h"
#include "unit/kms-parties.h"

#define LIST3 "sip:c7h2kq4wz5x3n6m2p7ab.conf3@example.org"
#define FACTORY3 "sip:factory.conf3@example.org"
#define FIXED3 "sip:always@example.org"
#define SERVICE3                                                                                   \
    "[service conf3]\nuser = conf1\nhost = example.org\nconferences = list;" FIXED3                \
    "\nlist-lifetime = 1h\n"

static ClvKmsListing
listing_of(const char *user, const char *conference, const MikeyKey *psk)
{
    return (ClvKmsListing){
        .kms_uri = KMS_URI,
        .user = user,
        .psk = psk->bytes,
        .psk_len = psk->len,
        .conference = conference,
    };
}

static guint
hand_in(ClvKmsService *service, const GByteArray *text, gint64 now_us, const char *proven)
{
    ClvKmsDecision decision;
    guint status = clv_kms_service_list(service, text->data, text->len, now_us, proven, &decision);

    g_assert_cmpint(decision.granted, ==, status == 200);
    g_assert_cmpstr(decision.rule, !=, "");
    return status;
}

static guint
tell(ClvKmsService *service, const char *user, const char *conference, gboolean withdraw,
     gint64 now_us)
{
    MikeyKey psk = party_psk(user);
    ClvKmsListing listing = listing_of(user, conference, &psk);
    g_autoptr(GByteArray) text = clv_kms_list_write(&listing, withdraw, now_us);

    g_assert_nonnull(text);
    return hand_in(service, text, now_us, NULL);
}

static gboolean
resolves(ClvKmsService *service, const char *named, const char *conference, gint64 now_us)
{
    g_autoptr(Wanted) wanted = wanted_new(named);
    g_autoptr(MikeyGrant) grant = party_grant(service, "alice", ALICE, wanted, now_us);
    g_autoptr(MikeyTransfer) transfer = party_call(grant, named, now_us);
    g_autoptr(MikeyOffer) offer = party_offer(mikey_transfer_octets(transfer), now_us);
    g_autoptr(MikeyResolve) asked = party_resolve(offer, "conf1", conference, now_us);
    ClvKmsDecision decision;
    g_autoptr(GByteArray) answer = service_ask(service, CLV_KMS_TICKET_RESOLVE,
                                               mikey_resolve_octets(asked), now_us, &decision);

    g_assert_true(decision.granted || decision.error == 7);
    return decision.granted;
}

static void
test_resolves_while_announced(void)
{
    g_autoptr(ClvKmsService) service = parties_service(SERVICE3);

    g_assert_false(resolves(service, FACTORY3, LIST3, NOW_US));
    g_assert_cmpuint(tell(service, "conf1", LIST3, FALSE, NOW_US), ==, 200);
    g_assert_true(resolves(service, FACTORY3, LIST3, NOW_US));
    g_assert_true(resolves(service, LIST3, LIST3, NOW_US));
    g_assert_true(resolves(service, LIST3, LIST3, NOW_US + MINUTES(59)));
    g_assert_false(resolves(service, LIST3, LIST3, NOW_US + MINUTES(60))); /* list-lifetime */
    g_assert_cmpuint(tell(service, "conf1", LIST3, FALSE, NOW_US + MINUTES(61)), ==, 200);
    g_assert_true(resolves(service, LIST3, LIST3, NOW_US + MINUTES(61)));
    g_assert_cmpuint(tell(service, "conf1", LIST3, TRUE, NOW_US + MINUTES(62)), ==, 200);
    g_assert_false(resolves(service, LIST3, LIST3, NOW_US + MINUTES(62)));
    g_assert_true(resolves(service, FIXED3, FIXED3, NOW_US));
}

static void
test_naming_rule_needs_no_announcement(void)
{
    g_autoptr(ClvKmsService) service = parties_service(SERVICE3);

    g_assert_cmpuint(tell(service, "conf1", FOCUS1, TRUE, NOW_US), ==, 200);
    g_assert_true(resolves(service, FOCUS1, FOCUS1, NOW_US));
}

static void
test_only_the_owner_announces(void)
{
    g_autoptr(ClvKmsService) service = parties_service(SERVICE3);

    g_assert_cmpuint(tell(service, "conf2", LIST3, FALSE, NOW_US), ==, 403);
    g_assert_cmpuint(tell(service, "alice", LIST3, FALSE, NOW_US), ==, 403);
    g_assert_cmpuint(tell(service, "mallory", LIST3, FALSE, NOW_US), ==, 403);
    g_assert_cmpuint(tell(service, "conf1", ALICE, FALSE, NOW_US), ==, 403);
    g_assert_cmpuint(tell(service, "conf1", FACTORY3, FALSE, NOW_US), ==, 403);
    g_assert_cmpuint(tell(service, "conf1", FOCUS2, FALSE, NOW_US), ==, 403);
    g_assert_false(resolves(service, LIST3, LIST3, NOW_US));
    g_assert_cmpuint(tell(service, "conf1", LIST3, FALSE, NOW_US), ==, 200);
    g_assert_cmpuint(tell(service, "conf2", LIST3, TRUE, NOW_US), ==, 403);
    g_assert_true(resolves(service, LIST3, LIST3, NOW_US));
}

static void
test_proof_by_tls_or_by_mac(void)
{
    g_autoptr(ClvKmsService) service = parties_service(SERVICE3);
    MikeyKey psk = party_psk("conf1");
    ClvKmsListing listing = listing_of("conf1", LIST3, &psk);
    g_autoptr(GByteArray) with = clv_kms_list_write(&listing, FALSE, NOW_US);
    g_autoptr(GByteArray) without = clv_kms_list_write(&listing, FALSE, NOW_US);

    g_byte_array_set_size(without, without->len - (4 + 64 + 1));
    g_assert_cmpuint(hand_in(service, without, NOW_US, NULL), ==, 403);
    g_assert_cmpuint(hand_in(service, without, NOW_US, "conf2"), ==, 403);
    g_assert_cmpuint(hand_in(service, with, NOW_US, "conf2"), ==, 403);
    g_assert_cmpuint(hand_in(service, without, NOW_US, "conf1"), ==, 200);
    g_assert_cmpuint(hand_in(service, with, NOW_US, NULL), ==, 200);
}

static void
test_every_changed_octet_is_refused(void)
{
    g_autoptr(ClvKmsService) service = parties_service(SERVICE3);
    MikeyKey psk = party_psk("conf1");
    ClvKmsListing listing = listing_of("conf1", LIST3, &psk);
    g_autoptr(GByteArray) text = clv_kms_list_write(&listing, FALSE, NOW_US);

    for (guint i = 0; i < text->len; i++) {
        text->data[i] ^= 1;
        g_assert_cmpuint(hand_in(service, text, NOW_US, NULL), !=, 200);
        text->data[i] ^= 1;
    }
    for (guint len = 0; len < text->len; len++) {
        ClvKmsDecision decision;

        g_assert_cmpuint(clv_kms_service_list(service, text->data, len, NOW_US, NULL, &decision),
                         !=, 200);
    }
    g_assert_false(resolves(service, LIST3, LIST3, NOW_US));
    g_assert_cmpuint(hand_in(service, text, NOW_US, NULL), ==, 200);
}

static void
test_an_old_announcement_is_not_played_again(void)
{
    g_autoptr(ClvKmsService) service = parties_service(SERVICE3);
    MikeyKey psk = party_psk("conf1");
    ClvKmsListing listing = listing_of("conf1", LIST3, &psk);
    g_autoptr(GByteArray) text = clv_kms_list_write(&listing, FALSE, NOW_US);

    g_assert_cmpuint(hand_in(service, text, NOW_US, NULL), ==, 200);
    g_assert_cmpuint(tell(service, "conf1", LIST3, TRUE, NOW_US), ==, 200);
    g_assert_cmpuint(hand_in(service, text, NOW_US, NULL), ==, 200); /* as answered, but not done */
    g_assert_false(resolves(service, LIST3, LIST3, NOW_US));
    g_assert_cmpuint(hand_in(service, text, NOW_US + MINUTES(1), NULL), ==, 409);
    g_assert_cmpuint(hand_in(service, text, NOW_US + MINUTES(10), NULL), ==, 409);
    g_assert_cmpuint(hand_in(service, text, NOW_US - MINUTES(10), NULL), ==, 409);
    g_assert_false(resolves(service, LIST3, LIST3, NOW_US + MINUTES(1)));
}

/* ---- over a restart ---- */

static ClvKmsService *
service_in(const char *folder, GError **error)
{
    g_autofree char *extra = g_strdup_printf("state-dir = %s\n" SERVICE3, folder);
    g_autofree char *text = parties_key_file(extra);
    g_autofree char *top = g_path_get_dirname(folder);
    g_autofree char *path = g_build_filename(top, "keys", NULL);
    g_autoptr(GPtrArray) errors = g_ptr_array_new_with_free_func(g_free);
    ClvKmsKeyFile *keys;
    ClvKmsService *service;

    g_assert_true(g_file_set_contents_full(path, text, -1, G_FILE_SET_CONTENTS_NONE, 0600, NULL));
    keys = clv_kms_keyfile_load(path, errors);
    g_assert_nonnull(keys);
    service = clv_kms_service_new(keys, NULL, NULL);
    if (!clv_kms_service_open_state(service, NOW_US, error))
        g_clear_pointer(&service, clv_kms_service_free);
    return service;
}

static void
test_list_survives_a_restart_and_tells_damage(void)
{
    g_autofree char *top = g_dir_make_tmp("kms-list-XXXXXX", NULL);
    g_autofree char *folder = g_build_filename(top, "state", NULL);
    g_autofree char *path = g_build_filename(folder, "conferences", NULL);
    g_autofree char *other = g_strdup("sip:zz.conf3@example.org");
    g_autofree char *text = NULL;
    g_autoptr(GError) error = NULL;
    ClvKmsService *service = service_in(folder, &error);
    char *damage;
    gsize len = 0;

    g_assert_no_error(error);
    g_assert_cmpuint(tell(service, "conf1", LIST3, FALSE, NOW_US), ==, 200);
    g_assert_cmpuint(tell(service, "conf1", other, FALSE, NOW_US), ==, 200);
    g_assert_cmpuint(tell(service, "conf1", other, TRUE, NOW_US), ==, 200);
    clv_kms_service_free(service);
    g_assert_true(g_file_get_contents(path, &text, &len, NULL));
    service = service_in(folder, &error);
    g_assert_no_error(error);
    g_assert_true(resolves(service, LIST3, LIST3, NOW_US));
    g_assert_false(resolves(service, other, other, NOW_US));
    clv_kms_service_free(service);

    /* half a line at the end was never answered; a changed one is damage */
    g_assert_true(g_file_set_contents(path, text, (gssize)strlen(text) - 5, NULL));
    service = service_in(folder, &error);
    g_assert_no_error(error);
    g_assert_true(resolves(service, other, other, NOW_US)); /* its withdrawal was the half line */
    clv_kms_service_free(service);
    damage = strstr(text, "conf3@");
    *damage = 'x';
    g_assert_true(g_file_set_contents(path, text, -1, NULL));
    service = service_in(folder, &error);
    g_assert_null(service);
    g_assert_nonnull(error);
    g_assert_nonnull(strstr(error->message, "damaged"));
    g_assert_nonnull(strstr(error->message, "'conclave-kms state reset conferences'"));
    g_clear_error(&error);

    /* so is a zero, which must not hide a withdrawal */
    *damage = '\0';
    g_assert_true(g_file_set_contents(path, text, (gssize)len, NULL));
    g_assert_null(service_in(folder, &error));
    g_clear_error(&error);
    g_assert_true(clv_kms_keeper_reset(folder, "conferences", 300, NOW_US, &error));
    g_assert_no_error(error);
    service = service_in(folder, &error);
    g_assert_no_error(error);
    g_assert_false(resolves(service, LIST3, LIST3, NOW_US));
    g_assert_cmpuint(tell(service, "conf1", LIST3, FALSE, NOW_US + MINUTES(1)), ==, 200);
    g_assert_true(resolves(service, LIST3, LIST3, NOW_US + MINUTES(1)));
    clv_kms_service_free(service);
}

/* ---- over sockets ---- */

static ClvKmsReply *
wait_reply(ClvKmsClient *client)
{
    struct pollfd ready = {.fd = clv_kms_client_event_fd(client), .events = POLLIN};

    g_assert_cmpint(poll(&ready, 1, 10000), ==, 1);
    return clv_kms_client_take(client);
}

static void
test_client_announces_and_withdraws(void)
{
    g_autoptr(ClvKmsService) service = parties_service(SERVICE3);
    ClvKmsServerConfig config = {.listen = "127.0.0.1:0"};
    g_autoptr(GError) error = NULL;
    g_autoptr(ClvKmsServer) server = clv_kms_server_new(&config, service, &error);
    ClvKmsClientConfig client_config = {.url = clv_kms_server_url(server), .connections = 1};
    g_autoptr(ClvKmsClient) client = clv_kms_client_new(&client_config, &error);
    MikeyKey psk = party_psk("conf1");
    ClvKmsListing listing = listing_of("conf1", LIST3, &psk);
    gint64 now_us = g_get_real_time();

    g_assert_no_error(error);
    for (guint i = 0; i < 3; i++) {
        static const ClvCode expected[] = {CLV_CODE_OK, CLV_CODE_OK, CLV_CODE_FORBIDDEN};
        g_autoptr(ClvKmsReply) reply = NULL;

        listing.conference = i == 2 ? FOCUS2 : LIST3;
        g_assert_cmpint(i == 1 ? clv_kms_client_withdraw(client, &listing, now_us, 7, i)
                               : clv_kms_client_announce(client, &listing, now_us, 7, i),
                        ==, CLV_CODE_OK);
        reply = wait_reply(client);
        g_assert_true(reply->listing);
        g_assert_cmpuint(reply->token, ==, 7);
        g_assert_cmpuint(reply->generation, ==, i);
        g_assert_cmpint(reply->code, ==, expected[i]);
        g_assert_null(reply->body);
        g_assert_cmpint(resolves(service, LIST3, LIST3, g_get_real_time()), ==, i == 0);
    }
    listing.conference = "sip:a\nb@example.org";
    g_assert_cmpint(clv_kms_client_announce(client, &listing, now_us, 1, 1), ==, CLV_CODE_INTERNAL);
}

/* Whoever has no key cannot find out which users there are. */
static void
test_strangers_learn_no_names(void)
{
    static const char *const users[] = {"conf1", "nobody"};
    g_autoptr(ClvKmsService) service = parties_service(SERVICE3);
    ClvKmsServerConfig config = {.listen = "127.0.0.1:0"};
    g_autoptr(GError) error = NULL;
    g_autoptr(ClvKmsServer) server = clv_kms_server_new(&config, service, &error);
    ClvKmsClientConfig client_config = {.url = clv_kms_server_url(server), .connections = 1};
    g_autoptr(ClvKmsClient) client = clv_kms_client_new(&client_config, &error);
    MikeyKey psk = party_psk("alice"); /* of another */
    g_autofree char *said = NULL;

    for (guint i = 0; i < G_N_ELEMENTS(users); i++) {
        ClvKmsListing listing = listing_of(users[i], LIST3, &psk);
        g_autoptr(ClvKmsReply) reply = NULL;

        g_assert_cmpint(clv_kms_client_announce(client, &listing, g_get_real_time(), 1, i), ==,
                        CLV_CODE_OK);
        reply = wait_reply(client);
        g_assert_cmpint(reply->code, ==, CLV_CODE_FORBIDDEN);
        if (i == 0)
            said = g_strdup(reply->detail);
        g_assert_cmpstr(reply->detail, ==, said);
    }
}

/* ---- proof by HTTP and TLS, over the wire ---- */

typedef struct Poster {
    const char *user; /* (nullable) by Digest, with his key */
    const char *pem;  /* (nullable) certificate that is shown */
} Poster;

static size_t
drop(char *data, size_t size, size_t n, void *user)
{
    return size * n;
}

/* Returns: HTTP status */
static long
post(const char *server_url, const Poster *by, const GByteArray *text)
{
    g_autofree char *url = g_strconcat(server_url, "?requesttype=" CLV_KMS_LIST_REQUEST, NULL);
    g_autofree char *trust = pki_path("ca.pem");
    g_autofree char *pem = by->pem != NULL ? pki_path(by->pem) : NULL;
    struct curl_slist *headers = curl_slist_append(NULL, "Content-Type: " CLV_KMS_LIST_TYPE);
    CURL *easy = curl_easy_init();
    long status = 0;

    curl_easy_setopt(easy, CURLOPT_URL, url);
    curl_easy_setopt(easy, CURLOPT_CAINFO, trust);
    curl_easy_setopt(easy, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE, (long)text->len);
    curl_easy_setopt(easy, CURLOPT_POSTFIELDS, (const char *)text->data);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, drop);
    if (pem != NULL)
        curl_easy_setopt(easy, CURLOPT_SSLCERT, pem);
    if (by->user != NULL) {
        MikeyKey psk = party_psk(by->user);
        g_autofree char *password = g_base64_encode(psk.bytes, psk.len);

        curl_easy_setopt(easy, CURLOPT_HTTPAUTH, (long)CURLAUTH_DIGEST);
        curl_easy_setopt(easy, CURLOPT_USERNAME, by->user);
        curl_easy_setopt(easy, CURLOPT_PASSWORD, password);
    }
    g_assert_cmpint(curl_easy_perform(easy), ==, CURLE_OK);
    curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
    curl_slist_free_all(headers);
    curl_easy_cleanup(easy);
    return status;
}

static ClvKmsService *
service_with_auth(const char *auth)
{
    g_autofree char *extra =
        g_strdup_printf("http-auth = %s\nclient-ca = ca.pem\n" SERVICE3
                        "[user conf4]\npsk = 00112233445566778899aabbccddeeff\n"
                        "certificate = sip:conf4@example.org\n"
                        "[service conf4]\nuser = conf4\nhost = example.org\n"
                        "conferences = list\n",
                        auth);
    g_autofree char *text = parties_key_file(extra);
    g_autofree char *path = pki_path("keys");
    g_autoptr(GPtrArray) errors = g_ptr_array_new_with_free_func(g_free);
    ClvKmsKeyFile *keys;

    g_unlink(path);
    g_assert_true(g_file_set_contents_full(path, text, -1, G_FILE_SET_CONTENTS_NONE, 0600, NULL));
    keys = clv_kms_keyfile_load(path, errors);
    if (errors->len > 0)
        g_error("%s", (const char *)errors->pdata[0]);
    return clv_kms_service_new(keys, NULL, NULL);
}

#define LIST4 "sip:c7h2kq4wz5x3n6m2p7ab.conf4@example.org"

/* With a proof by HTTP or TLS the text needs no MAC; with the proof of another user, one is no
 * help. */
static void
test_announced_by_digest_or_certificate(void)
{
    static const struct {
        const char *auth, *user, *conference;
        Poster by;
        gboolean mac;
        long status;
        gboolean plain; /* HTTP */
    } cases[] = {
        {"digest", "conf1", LIST3, {"conf1", NULL}, FALSE, 200},
        {"digest", "conf1", LIST3, {"conf1", NULL}, TRUE, 200},
        {"digest", "conf1", LIST3, {NULL, NULL}, TRUE, 401},
        {"digest", "conf1", LIST3, {"conf2", NULL}, TRUE, 403},
        {"digest", "conf1", LIST3, {"conf2", NULL}, FALSE, 403},
        {"digest", "conf2", LIST3, {"conf2", NULL}, FALSE, 403},
        {"digest", "conf1", LIST3, {"conf1", NULL}, FALSE, 403, TRUE}, /* could be changed */
        {"digest", "conf1", LIST3, {"conf1", NULL}, TRUE, 200, TRUE},
        {"certificate", "conf4", LIST4, {NULL, "conf4.pem"}, FALSE, 200},
        {"certificate", "conf4", LIST4, {NULL, NULL}, FALSE, 403},
        {"certificate", "conf4", LIST4, {NULL, "rogue.pem"}, FALSE, 403},
        {"certificate", "conf4", LIST4, {NULL, "nobody.pem"}, FALSE, 403},
        {"certificate", "conf1", LIST3, {NULL, "conf4.pem"}, TRUE, 403},
        {"either", "conf4", LIST4, {NULL, "conf4.pem"}, FALSE, 200},
        {"either", "conf1", LIST3, {"conf1", NULL}, FALSE, 200},
        {"none", "conf4", LIST4, {NULL, "conf4.pem"}, FALSE, 403}, /* nobody looked at it */
    };
    g_autofree char *own = NULL;

    pki_open();
    pki_issue("own.pem", FALSE, "IP:127.0.0.1");
    pki_issue("conf4.pem", FALSE, "URI:sip:conf4@example.org");
    pki_issue("nobody.pem", FALSE, "URI:sip:nobody@example.org");
    pki_issue("rogue.pem", TRUE, "URI:sip:conf4@example.org");
    own = pki_path("own.pem");
    for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
        ClvKmsServerConfig config = {.listen = "127.0.0.1:0",
                                     .cert_file = cases[i].plain ? NULL : own,
                                     .key_file = cases[i].plain ? NULL : own};
        g_autoptr(ClvKmsService) service = cases[i].plain
                                               ? parties_service("http-auth = digest\n" SERVICE3)
                                               : service_with_auth(cases[i].auth);
        g_autoptr(GError) error = NULL;
        g_autoptr(ClvKmsServer) server = clv_kms_server_new(&config, service, &error);
        MikeyKey psk = party_psk(cases[i].user);
        ClvKmsListing listing = listing_of(cases[i].user, cases[i].conference, &psk);
        g_autoptr(GByteArray) text = clv_kms_list_write(&listing, FALSE, g_get_real_time());
        ClvKmsServiceState state;

        g_test_message("case %u", i);
        g_assert_no_error(error);
        if (!cases[i].mac)
            g_byte_array_set_size(text, text->len - (4 + 64 + 1));
        g_assert_cmpint(post(clv_kms_server_url(server), &cases[i].by, text), ==, cases[i].status);
        clv_kms_service_state(service, &state);
        g_assert_cmpuint(state.conferences, ==, cases[i].status == 200 ? 1 : 0);
    }
    pki_close();
}

/* Nothing goes into files beyond this length. */
static void
limit_file_size(rlim_t octets)
{
    struct rlimit limit = {octets, RLIM_INFINITY};

    signal(SIGXFSZ, SIG_IGN);
    g_assert_cmpint(setrlimit(RLIMIT_FSIZE, &limit), ==, 0);
}

static void
test_full_disk_announces_nothing_and_loses_nothing(void)
{
    g_autofree char *top = g_dir_make_tmp("kms-list-XXXXXX", NULL);
    g_autofree char *folder = g_build_filename(top, "state", NULL);
    g_autofree char *path = g_build_filename(folder, "conferences", NULL);
    g_autofree char *other = g_strdup("sip:zz.conf3@example.org");
    g_autoptr(GError) error = NULL;
    ClvKmsService *service = service_in(folder, &error);
    struct stat before, after;

    g_assert_no_error(error);
    g_assert_cmpuint(tell(service, "conf1", LIST3, FALSE, NOW_US), ==, 200);
    g_assert_cmpint(stat(path, &before), ==, 0);
    limit_file_size((rlim_t)before.st_size + 10); /* room for half a line */
    g_assert_cmpuint(tell(service, "conf1", other, FALSE, NOW_US), !=, 200);
    g_assert_cmpint(stat(path, &after), ==, 0);
    g_assert_cmpint(after.st_size, ==, before.st_size);
    limit_file_size(RLIM_INFINITY);
    g_assert_false(resolves(service, other, other, NOW_US));
    g_assert_true(resolves(service, LIST3, LIST3, NOW_US));
    clv_kms_service_free(service);
    service = service_in(folder, &error);
    g_assert_no_error(error);
    g_assert_false(resolves(service, other, other, NOW_US + MINUTES(1)));
    g_assert_true(resolves(service, LIST3, LIST3, NOW_US + MINUTES(1)));
    g_assert_cmpuint(tell(service, "conf1", other, FALSE, NOW_US + MINUTES(1)), ==, 200);
    g_assert_true(resolves(service, other, other, NOW_US + MINUTES(1)));
    clv_kms_service_free(service);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/kms-list/strangers-learn-no-names", test_strangers_learn_no_names);
    g_test_add_func("/kms-list/announced-by-digest-or-certificate",
                    test_announced_by_digest_or_certificate);
    g_test_add_func("/kms-list/R113-resolves-while-announced", test_resolves_while_announced);
    g_test_add_func("/kms-list/naming-rule-needs-no-announcement",
                    test_naming_rule_needs_no_announcement);
    g_test_add_func("/kms-list/only-the-owner-announces", test_only_the_owner_announces);
    g_test_add_func("/kms-list/proof-by-tls-or-by-mac", test_proof_by_tls_or_by_mac);
    g_test_add_func("/kms-list/every-changed-octet-is-refused",
                    test_every_changed_octet_is_refused);
    g_test_add_func("/kms-list/an-old-announcement-is-not-played-again",
                    test_an_old_announcement_is_not_played_again);
    g_test_add_func("/kms-list/list-survives-a-restart-and-tells-damage",
                    test_list_survives_a_restart_and_tells_damage);
    g_test_add_func("/kms-list/client-announces-and-withdraws",
                    test_client_announces_and_withdraws);
    g_test_add_func("/kms-list/full-disk-announces-nothing-and-loses-nothing",
                    test_full_disk_announces_nothing_and_loses_nothing);
    return g_test_run();
}
