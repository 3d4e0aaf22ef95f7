/* SPDX-License-Identifier: Apache-2.0 */
/* Are tickets resolved between two KMSs over TLS, and what comes of it when the other one is not
 * who it should be, says nonsense, or nothing?
 *
 * alice has her ticket from the KMS of example.org; erin and the conferences of conf9 ask that of
 * example.net. Both are real servers with certificates of one authority.
 */
#include "config.h"

#include <pthread.h>
#include <curl/curl.h>
#include <glib/gstdio.h>
#include <netinet/in.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "integration/kms-pki.h"
#include "kms/relay.h"
#include "kms/terminal.h"
#include "kms/wire.h"
#include "unit/kms-parties.h"

#define ERIN "sip:erin@example.net"
#define NET_URI "sip:kms@example.net"
#define COM_URI "sip:kms@example.com"
#define FACTORY9 "sip:factory.conf9@example.net"
#define FOCUS9 "sip:c7h2kq4wz5x3n6m2p7ab.conf9@example.net"
#define BETWEEN "psk = 8f1e2d3c4b5a69788796a5b4c3d2e1f00f1e2d3c4b5a69788796a5b4c3d2e1f0\n"
#define ANOTHER "psk = 001e2d3c4b5a69788796a5b4c3d2e1f00f1e2d3c4b5a69788796a5b4c3d2e1f0\n"
#define PATIENCE_MS 60000

#define PEER_NET "[peer net]\nuri = " NET_URI "\nidentities = *@example.net\n"
#define BY_NET "certificate = " NET_URI "\n"
#define NORMAL_ORG PEER_NET BETWEEN BY_NET
#define PEER_ORG "[peer org]\nuri = " KMS_URI "\nidentities = *@example.org\nca = ca.pem\n"
#define AS_NET "client-cert = net.pem\n"

/* ---- the two KMSs ---- */

typedef struct Side {
    ClvKmsService *service;
    ClvKmsServer *server;
    GMutex lock;
    ClvKmsDecision last;
    guint n; /* decisions */
} Side;

static void
on_decision(const ClvKmsDecision *decision, const char *peer, void *user)
{
    Side *side = user;

    g_mutex_lock(&side->lock);
    side->last = *decision;
    side->n++;
    g_mutex_unlock(&side->lock);
}

static guint
decisions(Side *side)
{
    guint n;

    g_mutex_lock(&side->lock);
    n = side->n;
    g_mutex_unlock(&side->lock);
    return n;
}

static ClvKmsKeyFile *
load(const char *text)
{
    g_autofree char *path = pki_path("keys");
    g_autoptr(GPtrArray) errors = g_ptr_array_new_with_free_func(g_free);
    ClvKmsKeyFile *keys;

    g_unlink(path); /* it would be written over, and not cut */
    g_assert_true(g_file_set_contents_full(path, text, -1, G_FILE_SET_CONTENTS_NONE, 0600, NULL));
    keys = clv_kms_keyfile_load(path, errors);
    if (errors->len > 0)
        g_error("%s", (const char *)errors->pdata[0]);
    return keys;
}

static void
side_open(Side *side, const char *text, const char *pem)
{
    g_autofree char *path = pki_path(pem);
    ClvKmsServerConfig config = {.listen = "127.0.0.1:0",
                                 .cert_file = path,
                                 .key_file = path,
                                 .threads = 1,
                                 .log = on_decision,
                                 .log_user = side};
    g_autoptr(GError) error = NULL;

    g_mutex_init(&side->lock);
    side->service = clv_kms_service_new(load(text), NULL, NULL);
    side->server = clv_kms_server_new(&config, side->service, &error);
    g_assert_no_error(error);
}

static void
side_close(Side *side)
{
    clv_kms_server_free(side->server);
    clv_kms_service_free(side->service);
    g_mutex_clear(&side->lock);
}

static char *
org_text(const char *extra)
{
    g_autofree char *lines = g_strconcat("client-ca = ca.pem\n", extra, NULL);

    return parties_key_file(lines);
}

/* @peer: the section without its url */
static char *
net_text(const char *peer, const char *url, const char *more)
{
    MikeyKey psk = party_psk("erin");
    MikeyKey psk9 = party_psk("conf9");
    g_autofree char *key = g_base64_encode(psk.bytes, psk.len);
    g_autofree char *key9 = g_base64_encode(psk9.bytes, psk9.len);

    return g_strdup_printf("[kms]\nuri = " NET_URI "\nclient-ca = ca.pem\n"
                           "[user erin]\npsk = base64:%s\nidentities = " ERIN "\n"
                           "may-request = any\n[user conf9]\npsk = base64:%s\n"
                           "[service conf9]\nuser = conf9\nhost = example.net\n%s%s%s%s%s\n",
                           key, key9, more, peer, url != NULL ? "url = " : "",
                           url != NULL ? url : "", url != NULL ? "\n" : "");
}

typedef struct World {
    Side org, net;
} World;

static void
world_open(World *w, const char *at_org, const char *at_net, const char *org_pem)
{
    g_autofree char *org = org_text(at_org);
    g_autofree char *net = NULL;

    memset(w, 0, sizeof *w);
    side_open(&w->org, org, org_pem);
    net = net_text(at_net, clv_kms_server_url(w->org.server), "");
    side_open(&w->net, net, "net.pem");
}

static void
world_close(World *w)
{
    side_close(&w->net);
    side_close(&w->org);
}

/* ---- who asks ---- */

static gint64 patience_ms = PATIENCE_MS; /* of terminals */

static ClvTerminal *
terminal_of(const Side *side, const char *user, const char *identity)
{
    g_autofree char *trust = pki_path("ca.pem");
    MikeyKey psk = party_psk(user);
    ClvTerminalConfig config = {
        .http = {.url = clv_kms_server_url(side->server),
                 .ca_file = trust,
                 .timeout_ms = patience_ms},
        .kms_uri = NET_URI,
        .identity = identity,
        .user = user,
        .psk = psk.bytes,
        .psk_len = psk.len,
    };
    g_autoptr(GError) error = NULL;
    ClvTerminal *terminal = clv_terminal_new(&config, &error);

    g_assert_no_error(error);
    return terminal;
}

/* alice's call to somebody of example.net, with a ticket that is good to create, too */
static MikeyOffer *
offer_for(World *w, const char *responder)
{
    gint64 now_us = g_get_real_time();
    g_autoptr(Wanted) wanted = wanted_new(responder);
    g_autoptr(MikeyGrant) grant = NULL;
    g_autoptr(MikeyTransfer) transfer = NULL;

    wanted_purpose(wanted, "conclave:create");
    grant = party_grant(w->org.service, "alice", ALICE, wanted, now_us);
    transfer = party_call(grant, responder, now_us);
    return party_offer(mikey_transfer_octets(transfer), now_us);
}

/* Returns: number of the Error, or -1 when it is resolved, and then for the caller alone */
static int
resolve(const Side *side, const char *user, const char *identity, MikeyOffer *offer)
{
    g_autoptr(ClvTerminal) terminal = terminal_of(side, user, identity);
    g_autoptr(GError) error = NULL;
    MikeyPeerError refusal = {255, false};
    g_autoptr(MikeyResolution) resolution =
        clv_terminal_resolve(terminal, offer, g_get_real_time(), &refusal, &error);

    if (resolution != NULL) {
        g_assert_cmpint(mikey_offer_verify(offer, resolution), ==, MIKEY_OK);
        return -1;
    }
    g_assert_error(error, CLV_KMS_ERROR, CLV_CODE_FORBIDDEN);
    g_assert_true(refusal.authentic); /* else it would be about our own key */
    return refusal.number;
}

static int
erin_resolves(World *w)
{
    g_autoptr(MikeyOffer) offer = offer_for(w, ERIN);

    return resolve(&w->net, "erin", ERIN, offer);
}

static int
conference_resolves(World *w)
{
    g_autoptr(MikeyOffer) offer = offer_for(w, FACTORY9);

    return resolve(&w->net, "conf9", FOCUS9, offer);
}

static char *
metrics_of(const Side *side)
{
    g_autofree char *trust = pki_path("ca.pem");
    g_autofree char *url = g_strdup(clv_kms_server_url(side->server));
    GString *text = g_string_new(NULL);
    char buffer[CURL_ERROR_SIZE] = "";
    g_autofree char *path = pki_path("metrics");
    FILE *file = fopen(path, "w+");
    CURL *easy = curl_easy_init();
    gsize n;

    strcpy(strstr(url, "/keymanagement"), "/metrics");
    curl_easy_setopt(easy, CURLOPT_URL, url);
    curl_easy_setopt(easy, CURLOPT_CAINFO, trust);
    curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, buffer);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, file);
    if (curl_easy_perform(easy) != CURLE_OK)
        g_error("%s", buffer);
    curl_easy_cleanup(easy);
    rewind(file);
    while ((n = fread(buffer, 1, sizeof buffer, file)) > 0)
        g_string_append_len(text, buffer, (gssize)n);
    fclose(file);
    return g_string_free(text, FALSE);
}

static void
assert_metric(const Side *side, const char *line)
{
    g_autofree char *text = metrics_of(side);
    g_autofree char *whole = g_strconcat("\n", line, "\n", NULL);

    if (strstr(text, whole) == NULL)
        g_error("'%s' is not in:\n%s", line, text);
}

/* ---- it works ---- */

static void
test_resolved_over_mutual_tls(void)
{
    World w;

    world_open(&w, NORMAL_ORG, PEER_ORG BETWEEN AS_NET "certificate-name = " KMS_URI "\n",
               "org.pem");
    g_assert_cmpint(erin_resolves(&w), ==, -1);
    g_assert_cmpstr(w.org.last.user, ==, "peer net");
    g_assert_true(w.org.last.granted);
    g_assert_cmpstr(w.net.last.user, ==, "erin");
    g_assert_cmpstr(w.net.last.request, ==, "relay");
    g_assert_true(w.net.last.granted);
    g_assert_cmpint(erin_resolves(&w), ==, -1);
    assert_metric(&w.net, "conclave_kms_relays_total{peer=\"org\"} 2");
    assert_metric(&w.net, "conclave_kms_relay_answers_total{peer=\"org\",verdict=\"resolved\"} 2");
    assert_metric(&w.net, "conclave_kms_relay_seconds_count{peer=\"org\"} 2");
    world_close(&w);
}

/* What another KMS resolved leaves this one only when that is written down. */
static void
test_relayed_with_a_full_disk(void)
{
    struct rlimit limit = {0, RLIM_INFINITY};
    g_autofree char *text = NULL, *org = org_text(NORMAL_ORG), *net = NULL, *path = NULL;
    g_auto(GStrv) parts = NULL;
    g_autoptr(MikeyOffer) offer = NULL;
    g_autoptr(ClvTerminal) erin = NULL;
    MikeyPeerError refusal = {255, false};
    World w = {0};

    side_open(&w.org, org, "org.pem");
    text = net_text(PEER_ORG BETWEEN AS_NET "certificate-name = " KMS_URI "\n",
                    clv_kms_server_url(w.org.server), "");
    parts = g_strsplit(text, "[kms]\n", 2);
    net = g_strjoinv("[kms]\naudit-file = audit\n", parts);
    side_open(&w.net, net, "net.pem");
    offer = offer_for(&w, ERIN);
    erin = terminal_of(&w.net, "erin", ERIN);
    signal(SIGXFSZ, SIG_IGN);
    g_assert_cmpint(setrlimit(RLIMIT_FSIZE, &limit), ==, 0);
    g_assert_null(clv_terminal_resolve(erin, offer, g_get_real_time(), &refusal, NULL));
    limit.rlim_cur = RLIM_INFINITY;
    g_assert_cmpint(setrlimit(RLIMIT_FSIZE, &limit), ==, 0);
    g_assert_true(w.org.last.granted);
    g_assert_cmpint(erin_resolves(&w), ==, -1);
    path = pki_path("audit");
    g_clear_pointer(&text, g_free);
    g_assert_true(g_file_get_contents(path, &text, NULL, NULL));
    g_assert_cmpuint(strstr(text, "peer org resolved it") - text, <,
                     g_strrstr(text, "peer org resolved it") - text); /* both are there */
    g_unlink(path);
    world_close(&w);
}

/* Whatever users have to prove there, and how. */
static void
test_whatever_users_have_to_prove(void)
{
    static const char *const auths[] = {"digest", "certificate", "either"};

    for (guint i = 0; i < G_N_ELEMENTS(auths); i++) {
        g_autofree char *org = g_strdup_printf("http-auth = %s\n" NORMAL_ORG, auths[i]);
        World w;

        world_open(&w, org, PEER_ORG BETWEEN AS_NET, "org.pem");
        g_assert_cmpint(erin_resolves(&w), ==, -1);
        world_close(&w);
        world_open(&w, org, PEER_ORG BETWEEN "client-cert = com.pem\n", "org.pem");
        g_assert_cmpint(erin_resolves(&w), ==, 12); /* with a plain 401 or 403 */
        world_close(&w);
    }
}

/* Only the other one knows whether the conference is of that factory: maps=yes says it may tell. */
static void
test_conference_of_the_other(void)
{
    static const struct {
        const char *org;
        int number;
    } cases[] = {
        {NORMAL_ORG "maps = yes\n", -1},
        {NORMAL_ORG, 7},
        {"[peer net]\nuri = " NET_URI "\nidentities = " FOCUS9 "\nmaps = yes\n" BETWEEN BY_NET,
         7}, /* the ticket names nobody of it */
    };

    for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
        World w;

        world_open(&w, cases[i].org, PEER_ORG BETWEEN AS_NET, "org.pem");
        g_assert_cmpint(conference_resolves(&w), ==, cases[i].number);
        g_assert_cmpuint(decisions(&w.org), ==, 1);
        world_close(&w);
    }
}

/* A group there may have members here: each has the keys that are made for him. */
static void
test_member_of_a_foreign_group(void)
{
    static const struct {
        const char *members;
        int number;
    } cases[] = {{BOB ";" ERIN, -1}, {BOB, 7}};

    for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *org =
            g_strdup_printf(NORMAL_ORG "[group board]\nuri = sip:board@example.org\nmembers = %s\n",
                            cases[i].members);
        g_autofree char *net =
            g_strconcat("[group theirs]\nuri = sip:board@example.org\nmembers = " ERIN "\n",
                        PEER_ORG BETWEEN AS_NET, NULL);
        g_autoptr(MikeyOffer) offer = NULL;
        World w;

        world_open(&w, org, net, "org.pem");
        offer = offer_for(&w, "sip:board@example.org");
        g_assert_cmpint(resolve(&w.net, "erin", ERIN, offer), ==, cases[i].number);
        g_assert_cmpuint(decisions(&w.org), ==, 1);
        world_close(&w);
    }
}

/* ---- it is not who it should be ---- */

/* What is wrong between the KMSs is an outage (12) to the one who asks, what is wrong with his
 * ticket is his (7). */
static void
test_negative(void)
{
    static const struct {
        const char *name, *org, *net, *pem;
        int number;
        guint n_org; /* decisions there: whether a message came that far */
    } cases[] = {
        {"client certificate of another authority", NORMAL_ORG,
         PEER_ORG BETWEEN "client-cert = rogue-net.pem\n", "org.pem", 12, 1},
        {"another name", NORMAL_ORG, PEER_ORG BETWEEN "client-cert = com.pem\n", "org.pem", 12, 1},
        {"name of a third KMS",
         NORMAL_ORG "[peer com]\nuri = " COM_URI "\n" ANOTHER
                    "identities = *@example.net\ncertificate = " COM_URI "\n",
         PEER_ORG BETWEEN "client-cert = com.pem\n", "org.pem", 12, 1},
        {"may not ask at all", PEER_NET BETWEEN, PEER_ORG BETWEEN AS_NET, "org.pem", 12, 1},
        {"another key", PEER_NET ANOTHER BY_NET, PEER_ORG BETWEEN AS_NET, "org.pem", 12, 1},
        {"no such peer", "", PEER_ORG BETWEEN AS_NET, "org.pem", 12, 1},
        {"not its user", "[peer net]\nuri = " NET_URI "\nidentities = nobody\n" BETWEEN BY_NET,
         PEER_ORG BETWEEN AS_NET, "org.pem", 7, 1},
        {"server certificate of another authority", NORMAL_ORG, PEER_ORG BETWEEN AS_NET,
         "rogue-org.pem", 12, 0},
        {"server certificate of another host", NORMAL_ORG, PEER_ORG BETWEEN AS_NET, "elsewhere.pem",
         12, 0},
        {"server certificate of another KMS", NORMAL_ORG,
         PEER_ORG BETWEEN AS_NET "certificate-name = " KMS_URI "\n", "com.pem", 12, 0},
        {"host alone", NORMAL_ORG, PEER_ORG BETWEEN AS_NET, "com.pem", -1, 1},
        {"common name", NORMAL_ORG,
         PEER_ORG BETWEEN AS_NET "certificate-name = sip:x@example.org;cn:com.pem\n", "com.pem", -1,
         1},
        {"part of a name", NORMAL_ORG,
         PEER_ORG BETWEEN AS_NET "certificate-name = cn:com.pe;" KMS_URI "x\n", "com.pem", 12, 0},
        {"a URI that looks like a common name", NORMAL_ORG,
         PEER_ORG BETWEEN AS_NET "certificate-name = cn:com.pem\n", "posing.pem", 12, 0},
        {"initiator of another", NORMAL_ORG,
         "[peer org]\nuri = " KMS_URI "\nidentities = *@example.com\nca = ca.pem\n" BETWEEN AS_NET,
         "org.pem", 7, 0},
        {"no peer here", NORMAL_ORG,
         "[group none]\nuri = sip:none@example.net\nmembers = " ERIN "\n#", "org.pem", 14, 0},
    };

    for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
        World w;

        g_test_message("%s", cases[i].name);
        world_open(&w, cases[i].org, cases[i].net, cases[i].pem);
        g_assert_cmpint(erin_resolves(&w), ==, cases[i].number);
        g_assert_cmpuint(decisions(&w.org), ==, cases[i].n_org);
        world_close(&w);
    }
}

/* ---- a peer that asks for what is not its ---- */

/* @identity at the KMS of example.org, by the key of the peer. Returns: Error number, -1: granted
 */
static int
net_asks_org(World *w, const char *pem, const char *identity, MikeyOffer *offer, gboolean *out_mac)
{
    static const guint8 between[] = {0x8f, 0x1e, 0x2d, 0x3c, 0x4b, 0x5a, 0x69, 0x78,
                                     0x87, 0x96, 0xa5, 0xb4, 0xc3, 0xd2, 0xe1, 0xf0,
                                     0x0f, 0x1e, 0x2d, 0x3c, 0x4b, 0x5a, 0x69, 0x78,
                                     0x87, 0x96, 0xa5, 0xb4, 0xc3, 0xd2, 0xe1, 0xf0};
    g_autofree char *trust = pki_path("ca.pem");
    g_autofree char *shown = pem != NULL ? pki_path(pem) : NULL;
    ClvTerminalConfig config = {
        .http = {.url = clv_kms_server_url(w->org.server),
                 .ca_file = trust,
                 .cert_file = shown,
                 .timeout_ms = PATIENCE_MS},
        .kms_uri = KMS_URI,
        .identity = identity,
        .user = NET_URI,
        .psk = between,
        .psk_len = sizeof between,
    };
    g_autoptr(GError) error = NULL;
    g_autoptr(ClvTerminal) terminal = clv_terminal_new(&config, &error);
    MikeyPeerError refusal = {255, false};
    g_autoptr(MikeyResolution) resolution = NULL;

    g_assert_no_error(error);
    resolution = clv_terminal_resolve(terminal, offer, g_get_real_time(), &refusal, &error);
    *out_mac = refusal.authentic;
    return resolution != NULL ? -1 : refusal.number;
}

static void
test_peer_in_our_users_names(void)
{
    static const char *const names[] = {BOB, ALICE, FOCUS1, FACTORY1, ERIN};
    World w;
    gboolean mac;

    world_open(&w,
               "[peer net]\nuri = " NET_URI "\nidentities = any\n" BETWEEN BY_NET "maps = yes\n",
               PEER_ORG BETWEEN AS_NET, "org.pem");
    for (guint i = 0; i < G_N_ELEMENTS(names); i++) {
        g_autoptr(MikeyOffer) offer = offer_for(&w, names[i]);

        g_test_message("%s", names[i]);
        g_assert_cmpint(net_asks_org(&w, "net.pem", names[i], offer, &mac), ==,
                        strcmp(names[i], ERIN) == 0 ? -1 : 7);
    }
    world_close(&w);
}

static void
test_without_a_certificate(void)
{
    World w;
    g_autoptr(MikeyOffer) offer = NULL;
    gboolean mac;

    world_open(&w, NORMAL_ORG, PEER_ORG BETWEEN AS_NET, "org.pem");
    offer = offer_for(&w, ERIN);
    g_assert_cmpint(net_asks_org(&w, NULL, ERIN, offer, &mac), ==, 8);
    g_assert_cmpint(net_asks_org(&w, "alice.pem", ERIN, offer, &mac), ==, 8);
    g_assert_cmpint(net_asks_org(&w, "net.pem", ERIN, offer, &mac), ==, -1);
    world_close(&w);
}

/* A ticket of erin's own KMS comes to the other one from a peer: it would go back, and for ever. */
static void
test_nothing_goes_round(void)
{
    World w;
    gint64 now_us = g_get_real_time();
    g_autoptr(MikeyOffer) offer = NULL;
    g_autoptr(MikeyGrant) grant = NULL;
    g_autoptr(MikeyTransfer) transfer = NULL;
    static const char *const to[] = {ERIN, NULL};
    ClvTicketWish wish = {.responders = to};
    g_autoptr(ClvTerminal) erin = NULL;
    g_autofree char *org = NULL;
    gboolean mac;

    world_open(&w, NORMAL_ORG, PEER_ORG BETWEEN AS_NET, "org.pem");
    org = g_strdup_printf(NORMAL_ORG "ca = ca.pem\nclient-cert = org.pem\nurl = %s\n",
                          clv_kms_server_url(w.net.server));
    g_autofree char *text = org_text(org);
    clv_kms_service_reload(w.org.service, load(text));
    erin = terminal_of(&w.net, "erin", ERIN);
    grant = clv_terminal_request(erin, &wish, now_us, NULL, NULL);
    g_assert_nonnull(grant);
    transfer = party_call(grant, ERIN, now_us);
    offer = party_offer(mikey_transfer_octets(transfer), now_us);
    g_assert_cmpint(net_asks_org(&w, "net.pem", ERIN, offer, &mac), ==, 14);
    g_assert_true(mac);
    g_assert_cmpuint(decisions(&w.net), ==, 1); /* erin's request alone */
    g_assert_nonnull(strstr(w.org.last.rule, "relayed twice"));
    world_close(&w);
}

/* ---- a peer that answers badly ---- */

typedef enum Manner {
    SILENT,   /* reads, says nothing, until told to hang up */
    SLOW,     /* an octet now and then */
    GARBAGE,  /* HTTP, and no MIKEY in it */
    NONSENSE, /* the question for an answer */
    STALE,    /* the right answer to the question before */
    CHANGED,  /* one octet of the right answer */
    HONEST,
} Manner;

typedef struct Fake {
    ClvKmsService *service;
    Manner manner;
    SSL_CTX *tls;
    int fd, wake[2]; /* closing wake[1] ends all */
    guint16 port;
    GThread *thread;
    GByteArray *before; /* (nullable) */
    gint asked;         /* atomic */
} Fake;

static gboolean
hung_up(const Fake *fake, int ms)
{
    struct pollfd fd = {.fd = fake->wake[0], .events = POLLIN};

    return poll(&fd, 1, ms) > 0;
}

static GByteArray *
fake_read(Fake *fake, SSL *ssl)
{
    g_autoptr(GString) text = g_string_new(NULL);
    char buffer[4096];
    int n;

    while ((n = SSL_read(ssl, buffer, sizeof buffer)) > 0) {
        const char *body, *length;
        gsize len;

        g_string_append_len(text, buffer, n);
        body = strstr(text->str, "\r\n\r\n");
        length = strstr(text->str, "Content-Length: ");
        if (body == NULL || length == NULL)
            continue;
        body += 4;
        len = g_ascii_strtoull(length + 16, NULL, 10);
        if (text->len >= (gsize)(body - text->str) + len)
            return clv_kms_body_decode((const guint8 *)body, len, NULL);
    }
    return NULL;
}

static GByteArray *
right_answer(Fake *fake, const GByteArray *question)
{
    ClvKmsDecision decision;
    GByteArray *answer =
        clv_kms_service_handle_from(fake->service, CLV_KMS_TICKET_RESOLVE, question->data,
                                    question->len, g_get_real_time(), "peer net", &decision);

    g_assert_true(decision.granted);
    return answer;
}

static void
fake_say(Fake *fake, SSL *ssl, const char *type, const guint8 *octets, gsize len)
{
    g_autofree char *text = g_base64_encode(octets, len);
    g_autofree char *whole = g_strdup_printf(
        "HTTP/1.1 200 OK\r\nContent-Type: %s\r\nContent-Length: %" G_GSIZE_FORMAT "\r\n\r\n%s",
        type, strlen(text), text);
    gsize left = strlen(whole);

    for (const char *at = whole; left > 0 && fake->manner == SLOW; at++, left--)
        if (hung_up(fake, 50) || SSL_write(ssl, at, 1) != 1)
            return;
    if (left > 0)
        SSL_write(ssl, whole, (int)left);
}

static void
fake_answer(Fake *fake, SSL *ssl, const GByteArray *question)
{
    g_autoptr(GByteArray) right = right_answer(fake, question);
    g_autoptr(GByteArray) changed = NULL;

    g_atomic_int_inc(&fake->asked);
    switch (fake->manner) {
    case SILENT:
        hung_up(fake, PATIENCE_MS);
        return;
    case GARBAGE:
        fake_say(fake, ssl, "application/mikey", (const guint8 *)"no, nothing", 11);
        return;
    case NONSENSE:
        fake_say(fake, ssl, "application/mikey", question->data, question->len);
        return;
    case STALE:
        if (fake->before == NULL)
            fake->before = g_byte_array_ref(right);
        fake_say(fake, ssl, "application/mikey", fake->before->data, fake->before->len);
        return;
    case CHANGED:
        changed = g_byte_array_append(g_byte_array_new(), right->data, right->len);
        changed->data[changed->len / 2] ^= 1;
        fake_say(fake, ssl, "application/mikey", changed->data, changed->len);
        return;
    case SLOW:
    case HONEST:
        break;
    }
    fake_say(fake, ssl, "application/mikey", right->data, right->len);
}

/* One connection after the other, one question each. */
static gpointer
fake_run(gpointer data)
{
    Fake *fake = data;

    for (;;) {
        struct pollfd fds[] = {{.fd = fake->fd, .events = POLLIN},
                               {.fd = fake->wake[0], .events = POLLIN}};
        g_autoptr(GByteArray) question = NULL;
        SSL *ssl;
        int fd;

        if (poll(fds, 2, PATIENCE_MS) <= 0 || fds[1].revents != 0)
            return NULL;
        fd = accept(fake->fd, NULL, NULL);
        ssl = SSL_new(fake->tls);
        SSL_set_fd(ssl, fd);
        if (SSL_accept(ssl) == 1 && (question = fake_read(fake, ssl)) != NULL)
            fake_answer(fake, ssl, question);
        SSL_shutdown(ssl);
        SSL_free(ssl);
        close(fd);
    }
}

static void
fake_open(Fake *fake, Manner manner, ClvKmsService *service)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    g_autofree char *pem = pki_path("org.pem");
    socklen_t len = sizeof address;

    memset(fake, 0, sizeof *fake);
    fake->manner = manner;
    fake->service = service;
    fake->tls = SSL_CTX_new(TLS_server_method());
    g_assert_cmpint(SSL_CTX_use_certificate_file(fake->tls, pem, SSL_FILETYPE_PEM), ==, 1);
    g_assert_cmpint(SSL_CTX_use_PrivateKey_file(fake->tls, pem, SSL_FILETYPE_PEM), ==, 1);
    fake->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    g_assert_cmpint(bind(fake->fd, (struct sockaddr *)&address, len), ==, 0);
    g_assert_cmpint(listen(fake->fd, 16), ==, 0);
    g_assert_cmpint(getsockname(fake->fd, (struct sockaddr *)&address, &len), ==, 0);
    fake->port = ntohs(address.sin_port);
    g_assert_cmpint(pipe(fake->wake), ==, 0);
    fake->thread = g_thread_new("fake", fake_run, fake);
}

static void
fake_close(Fake *fake)
{
    close(fake->wake[1]);
    g_thread_join(fake->thread);
    close(fake->wake[0]);
    close(fake->fd);
    SSL_CTX_free(fake->tls);
    if (fake->before != NULL)
        g_byte_array_unref(fake->before);
}

static void
world_open_with(World *w, Fake *fake, Manner manner, const char *timeout)
{
    g_autofree char *org = org_text(NORMAL_ORG);
    g_autofree char *url = NULL;
    g_autofree char *peer = g_strconcat(PEER_ORG BETWEEN AS_NET "timeout = ", timeout, "\n", NULL);
    g_autofree char *net = NULL;

    memset(w, 0, sizeof *w);
    side_open(&w->org, org, "org.pem");
    fake_open(fake, manner, w->org.service);
    url = g_strdup_printf("https://127.0.0.1:%u/keymanagement", fake->port);
    net = net_text(peer, url, "");
    side_open(&w->net, net, "net.pem");
}

static void
test_bad_answers(void)
{
    static const struct {
        Manner manner;
        int first, second;
    } cases[] = {{HONEST, -1, -1},  {GARBAGE, 12, 12}, {NONSENSE, 12, 12}, {STALE, -1, 12},
                 {CHANGED, 12, 12}, {SLOW, 12, 12},    {SILENT, 12, 12}};

    for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
        World w;
        Fake fake;

        g_test_message("manner %d", cases[i].manner);
        world_open_with(&w, &fake, cases[i].manner, cases[i].manner < GARBAGE ? "1s" : "30s");
        g_assert_cmpint(erin_resolves(&w), ==, cases[i].first);
        if (cases[i].manner >= GARBAGE)
            g_assert_cmpint(erin_resolves(&w), ==, cases[i].second);
        if (cases[i].first != -1)
            assert_metric(&w.net, "conclave_kms_relay_answers_total{peer=\"org\","
                                  "verdict=\"resolved\"} 0");
        side_close(&w.net);
        fake_close(&fake);
        side_close(&w.org);
    }
}

static void
wait_until_asked(Fake *fake)
{
    for (guint n = 0; g_atomic_int_get(&fake->asked) == 0 && n < PATIENCE_MS; n++)
        g_usleep(1000);
    g_assert_cmpint(g_atomic_int_get(&fake->asked), >, 0);
}

static gpointer
resolve_in_thread(gpointer data)
{
    return GINT_TO_POINTER(erin_resolves(data));
}

/* The server has one thread: all others are answered by it while a peer says nothing. */
static void
test_others_are_answered_meanwhile(void)
{
    static const char *const to[] = {ERIN, NULL};
    ClvTicketWish wish = {.responders = to};
    World w;
    Fake fake;
    GThread *waiting;

    world_open_with(&w, &fake, SILENT, "30s");
    waiting = g_thread_new("waiting", resolve_in_thread, &w);
    wait_until_asked(&fake);
    for (guint i = 0; i < 20; i++) {
        g_autoptr(ClvTerminal) erin = terminal_of(&w.net, "erin", ERIN);
        g_autoptr(MikeyGrant) grant =
            clv_terminal_request(erin, &wish, g_get_real_time(), NULL, NULL);

        g_assert_nonnull(grant);
    }
    g_assert_cmpuint(decisions(&w.net), ==, 20); /* and the first one still waits */
    fake_close(&fake);
    g_assert_cmpint(GPOINTER_TO_INT(g_thread_join(waiting)), ==, 12);
    g_assert_cmpuint(decisions(&w.net), ==, 21);
    side_close(&w.net);
    side_close(&w.org);
}

/* Who hangs up meanwhile may come for the answer later, so it counts as given. */
static void
test_line_for_one_who_is_gone(void)
{
    World w;
    Fake fake;
    g_autoptr(MikeyOffer) offer = NULL;
    g_autoptr(ClvTerminal) erin = NULL;
    MikeyPeerError refusal = {255, false};

    world_open_with(&w, &fake, SILENT, "30s");
    offer = offer_for(&w, ERIN);
    patience_ms = 300;
    erin = terminal_of(&w.net, "erin", ERIN);
    patience_ms = PATIENCE_MS;
    g_assert_null(clv_terminal_resolve(erin, offer, g_get_real_time(), &refusal, NULL));
    g_assert_cmpuint(decisions(&w.net), ==, 0);
    fake_close(&fake);
    for (guint n = 0; decisions(&w.net) == 0 && n < PATIENCE_MS; n++)
        g_usleep(1000);
    g_assert_cmpuint(decisions(&w.net), ==, 1);
    g_assert_cmpstr(w.net.last.user, ==, "erin");
    side_close(&w.net);
    side_close(&w.org);
}

/* Whoever waits when the server stops is told, and the stop does not wait. */
static void
test_stop_while_one_waits(void)
{
    World w;
    Fake fake;
    GThread *waiting;

    world_open_with(&w, &fake, SILENT, "30s");
    waiting = g_thread_new("waiting", resolve_in_thread, &w);
    wait_until_asked(&fake);
    g_clear_pointer(&w.net.server, clv_kms_server_free);
    g_assert_cmpint(GPOINTER_TO_INT(g_thread_join(waiting)), ==, 12);
    fake_close(&fake);
    side_close(&w.net);
    side_close(&w.org);
}

/* ---- another key file ---- */

static void
test_reload_changes_the_peers(void)
{
    World w;
    g_autofree char *gone = net_text("#", NULL, "");
    g_autofree char *wrong = NULL;
    g_autofree char *right = NULL;

    world_open(&w, NORMAL_ORG, PEER_ORG BETWEEN AS_NET, "org.pem");
    right = net_text(PEER_ORG BETWEEN AS_NET, clv_kms_server_url(w.org.server), "");
    wrong = net_text(PEER_ORG BETWEEN AS_NET, "https://127.0.0.1:1/keymanagement", "");
    g_assert_cmpint(erin_resolves(&w), ==, -1);
    clv_kms_service_reload(w.net.service, load(wrong));
    g_assert_cmpint(erin_resolves(&w), ==, 12);
    clv_kms_service_reload(w.net.service, load(gone));
    g_assert_cmpint(erin_resolves(&w), ==, 14);
    clv_kms_service_reload(w.net.service, load(right));
    g_assert_cmpint(erin_resolves(&w), ==, -1);
    world_close(&w);
}

typedef struct Done {
    pthread_mutex_t lock;
    pthread_cond_t cond;
    guint n;
    char rule[256]; /* of the first */
} Done;

static void
on_done(gpointer waiting, GByteArray *answer, const ClvKmsDecision *decision)
{
    Done *done = waiting;

    g_assert_false(decision->granted);
    g_byte_array_unref(answer);
    pthread_mutex_lock(&done->lock);
    if (done->n++ == 0)
        g_strlcpy(done->rule, decision->rule, sizeof done->rule);
    pthread_cond_signal(&done->cond);
    pthread_mutex_unlock(&done->lock);
}

static guint
done_so_far(Done *done)
{
    guint n;

    pthread_mutex_lock(&done->lock);
    n = done->n;
    pthread_mutex_unlock(&done->lock);
    return n;
}

/* Returns: (transfer full): her question for a ticket of the other KMS, not sent yet */
static ClvKmsRelay *
erins_relay(World *w, ClvKmsService *service)
{
    MikeyKey psk = party_psk("erin");
    MikeyAccount account = {
        .psk = &psk,
        .psk_id = mikey_identity_bytes(mikey_bytes_str("erin")),
        .self = mikey_identity_uri(ERIN),
        .kms = mikey_identity_uri(NET_URI),
        .prf = MIKEY_PRF_HMAC_SHA_256,
    };
    gint64 now_us = g_get_real_time();
    MikeyEnv env = party_env(now_us);
    g_autoptr(MikeyOffer) offer = offer_for(w, ERIN);
    g_autoptr(MikeyResolve) question = NULL;
    ClvKmsRelay *relay = NULL;
    ClvKmsDecision decision;
    MikeyBytes octets;

    g_assert_cmpint(mikey_resolve_new(offer, &account, &env, &question), ==, MIKEY_OK);
    octets = mikey_resolve_octets(question);
    g_assert_null(clv_kms_service_begin(service, CLV_KMS_TICKET_RESOLVE, octets.data, octets.len,
                                        now_us, NULL, &decision, &relay));
    return relay;
}

static guint
threads_of_process(void)
{
    g_autoptr(GDir) dir = g_dir_open("/proc/self/task", 0, NULL);
    guint n = 0;

    while (g_dir_read_name(dir) != NULL)
        n++;
    return n;
}

/* 80 reloads, each with another address: more than there may be peers at once. */
static void
test_workers_of_old_peers_end(void)
{
    ClvKmsRelays *relays = clv_kms_relays_new(on_done);
    g_autofree char *org = org_text(NORMAL_ORG);
    World w = {.org = {.service = clv_kms_service_new(load(org), NULL, NULL)}};
    Done done = {.n = 0};
    guint n_threads = threads_of_process();

    pthread_mutex_init(&done.lock, NULL);
    pthread_cond_init(&done.cond, NULL);
    for (guint i = 0; i < 80; i++) {
        g_autofree char *url = g_strdup_printf("https://127.0.0.1:1/%u", i);
        g_autofree char *net = net_text(PEER_ORG BETWEEN AS_NET, url, "");
        ClvKmsService *service = clv_kms_service_new(load(net), NULL, NULL);

        clv_kms_relays_post(relays, erins_relay(&w, service), &done);
        pthread_mutex_lock(&done.lock);
        while (done.n <= i)
            pthread_cond_wait(&done.cond, &done.lock);
        pthread_mutex_unlock(&done.lock);
        clv_kms_service_keep_relays(service, relays);
        for (guint n = 0; clv_kms_relays_n_outposts(relays) > 1 && n < PATIENCE_MS; n++)
            g_usleep(1000);
        clv_kms_service_free(service);
    }
    g_assert_cmpuint(clv_kms_relays_n_outposts(relays), ==, 1);
    g_assert_cmpuint(threads_of_process(), <=, n_threads + 2 * 4);
    clv_kms_relays_free(relays);
    clv_kms_service_free(w.org.service);
    pthread_mutex_destroy(&done.lock);
    pthread_cond_destroy(&done.cond);
}

/* What may wait for a peer that says nothing is not all one user's. */
static void
test_one_user_does_not_fill_a_peer(void)
{
    ClvKmsRelays *relays = clv_kms_relays_new(on_done);
    World w;
    Fake fake;
    Done done = {.n = 0};

    pthread_mutex_init(&done.lock, NULL);
    pthread_cond_init(&done.cond, NULL);
    world_open_with(&w, &fake, SILENT, "30s");
    for (guint i = 0; i < 17; i++) {
        g_assert_cmpuint(done_so_far(&done), ==, 0);
        clv_kms_relays_post(relays, erins_relay(&w, w.net.service), &done);
    }
    g_assert_cmpuint(done_so_far(&done), ==, 1);
    g_assert_nonnull(strstr(done.rule, "too many of this user's"));
    fake_close(&fake);
    clv_kms_relays_free(relays);
    g_assert_cmpuint(done_so_far(&done), ==, 17);
    side_close(&w.net);
    side_close(&w.org);
    pthread_mutex_destroy(&done.lock);
    pthread_cond_destroy(&done.cond);
}

int
main(int argc, char **argv)
{
    int result;

    signal(SIGPIPE, SIG_IGN);
    g_test_init(&argc, &argv, NULL);
    pki_open();
    pki_issue("org.pem", FALSE, "IP:127.0.0.1,URI:" KMS_URI);
    pki_issue("net.pem", FALSE, "IP:127.0.0.1,URI:" NET_URI);
    pki_issue("com.pem", FALSE, "IP:127.0.0.1,URI:" COM_URI);
    pki_issue("posing.pem", FALSE, "IP:127.0.0.1,URI:cn:com.pem");
    pki_issue("alice.pem", FALSE, "URI:" ALICE);
    pki_issue("elsewhere.pem", FALSE, "DNS:kms.example.org,URI:" KMS_URI);
    pki_issue("rogue-net.pem", TRUE, "IP:127.0.0.1,URI:" NET_URI);
    pki_issue("rogue-org.pem", TRUE, "IP:127.0.0.1,URI:" KMS_URI);
    g_test_add_func("/kms-peers/ticket-is-resolved-over-mutual-tls", test_resolved_over_mutual_tls);
    g_test_add_func("/kms-peers/what-is-not-written-down-does-not-leave",
                    test_relayed_with_a_full_disk);
    g_test_add_func("/kms-peers/whatever-users-have-to-prove-there",
                    test_whatever_users_have_to_prove);
    g_test_add_func("/kms-peers/conference-of-the-other-needs-maps", test_conference_of_the_other);
    g_test_add_func("/kms-peers/member-of-a-foreign-group-resolves-if-both-know-him",
                    test_member_of_a_foreign_group);
    g_test_add_func("/kms-peers/trouble-between-kmss-is-12-and-a-bad-ticket-is-not", test_negative);
    g_test_add_func("/kms-peers/peer-has-nothing-in-our-users-names", test_peer_in_our_users_names);
    g_test_add_func("/kms-peers/peer-without-its-certificate-gets-8", test_without_a_certificate);
    g_test_add_func("/kms-peers/nothing-goes-round", test_nothing_goes_round);
    g_test_add_func("/kms-peers/bad-answers-resolve-nothing", test_bad_answers);
    g_test_add_func("/kms-peers/others-are-answered-while-a-peer-is-silent",
                    test_others_are_answered_meanwhile);
    g_test_add_func("/kms-peers/who-is-gone-has-a-line-all-the-same",
                    test_line_for_one_who_is_gone);
    g_test_add_func("/kms-peers/who-waits-at-the-stop-is-told", test_stop_while_one_waits);
    g_test_add_func("/kms-peers/reload-changes-the-peers", test_reload_changes_the_peers);
    g_test_add_func("/kms-peers/workers-of-old-peers-end", test_workers_of_old_peers_end);
    g_test_add_func("/kms-peers/one-user-does-not-fill-a-peer", test_one_user_does_not_fill_a_peer);
    result = g_test_run();
    pki_close();
    return result;
}
