/* SPDX-License-Identifier: Apache-2.0 */
/* Does the sip room keep RFC 3261's promises towards peers who do not?
 *
 * A real ClvSip on loopback, a fake hub and raw peers in one thread. T1 is 20 ms, so that 64*T1 is
 * a second. Above each test stands its ladder: peer on the left, the room on the right.
 */
#include "config.h"

#include <glib/gstdio.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <string.h>
#include <unistd.h>

#include "fake-hub.h"
#include "raw-peer.h"

#define T1_MS 20
#define OFFER_LINES                                                                                \
    "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n"                    \
    "m=audio 40100 RTP/SAVP 8 101\r\na=rtpmap:101 telephone-event/8000\r\n"                        \
    "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz\r\n"
#define PLAIN_OFFER                                                                                \
    "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n"                    \
    "m=audio 40100 RTP/AVP 8\r\n"

typedef struct World {
    ClvLoop *loop;
    Hub hub;
    ClvSipConfig config;
    char *udp, *tcp, *tls; /* addresses to connect to */
} World;

/* ---- a small public key infrastructure, made once
 * ------------------------------------------------ */

static struct {
    char *dir, *agent, *proxy, *mallory, *bob, *users;
} files;

static X509 *
make_certificate(EVP_PKEY *key, const char *dns, X509 *issuer, EVP_PKEY *issuer_key)
{
    X509 *cert = X509_new();
    g_autofree char *san = g_strdup_printf("DNS:%s", dns);
    X509V3_CTX ctx;
    X509_EXTENSION *extension;

    X509_set_version(cert, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(cert), g_random_int_range(1, G_MAXINT));
    X509_gmtime_adj(X509_getm_notBefore(cert), -3600);
    X509_gmtime_adj(X509_getm_notAfter(cert), 86400);
    X509_set_pubkey(cert, key);
    X509_NAME_add_entry_by_txt(X509_get_subject_name(cert), "CN", MBSTRING_ASC, (const guchar *)dns,
                               -1, -1, 0);
    X509_set_issuer_name(cert, X509_get_subject_name(issuer != NULL ? issuer : cert));
    X509V3_set_ctx(&ctx, issuer != NULL ? issuer : cert, cert, NULL, NULL, 0);
    extension = X509V3_EXT_conf_nid(NULL, &ctx, NID_subject_alt_name, san);
    X509_add_ext(cert, extension, -1);
    X509_EXTENSION_free(extension);
    extension = X509V3_EXT_conf_nid(NULL, &ctx, NID_basic_constraints,
                                    issuer == NULL ? "critical,CA:TRUE" : "critical,CA:FALSE");
    X509_add_ext(cert, extension, -1);
    X509_EXTENSION_free(extension);
    g_assert_cmpint(X509_sign(cert, issuer_key != NULL ? issuer_key : key, EVP_sha256()), >, 0);
    return cert;
}

static char *
write_pem(const char *name, EVP_PKEY *key, X509 *cert)
{
    char *path = g_build_filename(files.dir, name, NULL);
    FILE *f = fopen(path, "w");

    if (key != NULL)
        PEM_write_PrivateKey(f, key, NULL, NULL, 0, NULL, NULL);
    PEM_write_X509(f, cert);
    fclose(f);
    g_chmod(path, 0600);
    return path;
}

static char *
issue(const char *name, const char *dns, X509 *ca, EVP_PKEY *ca_key)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *cert = make_certificate(key, dns, ca, ca_key);
    char *path = write_pem(name, key, cert);

    X509_free(cert);
    EVP_PKEY_free(key);
    return path;
}

static void
make_files(void)
{
    EVP_PKEY *ca_key = EVP_EC_gen("P-256");
    X509 *ca = make_certificate(ca_key, "test CA", NULL, NULL);
    g_autofree char *cafile = NULL;

    files.dir = g_dir_make_tmp("clv-sip-XXXXXX", NULL);
    cafile = write_pem("cafile.pem", NULL, ca);
    files.agent = issue("agent.pem", "localhost", ca, ca_key);
    files.proxy = issue("proxy.pem", "proxy.example.org", ca, ca_key);
    files.mallory = issue("mallory.pem", "proxy.example.org", NULL, NULL); /* signs himself */
    files.bob = issue("bob.pem", "127.0.0.1", ca, ca_key);
    files.users = g_build_filename(files.dir, "users", NULL);
    g_file_set_contents(files.users, "[user bob]\npassword=secret\nidentity=sip:bob@example.org\n",
                        -1, NULL);
    g_chmod(files.users, 0600);
    X509_free(ca);
    EVP_PKEY_free(ca_key);
}

static void
remove_files(void)
{
    const char *const names[] = {"cafile.pem", "agent.pem", "proxy.pem", "mallory.pem", "bob.pem",
                                 "users"};

    for (gsize i = 0; i < G_N_ELEMENTS(names); i++) {
        g_autofree char *path = g_build_filename(files.dir, names[i], NULL);

        g_unlink(path);
    }
    g_rmdir(files.dir);
    g_free(files.dir);
    g_free(files.agent);
    g_free(files.proxy);
    g_free(files.mallory);
    g_free(files.bob);
    g_free(files.users);
}

/* ---- the world
 * ------------------------------------------------------------------------------------ */

static void
start(World *w, const char *host)
{
    g_autofree char *udp = g_strdup_printf("udp:%s:0", host);
    g_autofree char *tcp = g_strdup_printf("tcp:%s:0", host);
    g_autofree char *tls = g_strdup_printf("tls:%s:0", host);
    char *listen[] = {udp, tcp, tls, NULL};
    g_autoptr(GError) error = NULL;

    w->config.listen = listen;
    w->hub.sip = clv_sip_new(w->loop, &w->config, &hub_handlers, &w->hub, &error);
    g_assert_no_error(error);
    for (const char *const *l = clv_sip_listening(w->hub.sip); *l != NULL; l++) {
        char **slot = (*l)[0] == 'u' ? &w->udp : (*l)[1] == 'c' ? &w->tcp : &w->tls;

        g_free(*slot);
        *slot = g_strdup(*l);
    }
}

static void
stop(World *w)
{
    clv_sip_free(w->hub.sip);
    w->hub.sip = NULL;
}

static void
setup(World *w, gconstpointer unused)
{
    w->loop = clv_loop_new(NULL);
    hub_init(&w->hub);
    w->config = (ClvSipConfig){
        .tls_dir = files.dir,
        .tls_ask_client_cert = TRUE,
        .realm = "conclave",
        .users_file = files.users,
        .session_expires_s = 1800,
        .min_se_s = 90,
        .max_message_bytes = 20000,
        .idle_ms = 5000,
        .max_connections = 1000,
        .t1_ms = T1_MS,
    };
    start(w, "127.0.0.1");
}

static void
teardown(World *w, gconstpointer unused)
{
    if (w->hub.sip != NULL)
        stop(w);
    hub_clear(&w->hub);
    g_free(w->udp);
    g_free(w->tcp);
    g_free(w->tls);
    clv_loop_free(w->loop);
}

static gboolean
no_dialogs(void *user)
{
    World *w = user;
    ClvSipTotals totals;

    clv_sip_totals(w->hub.sip, &totals);
    return totals.dialogs == 0;
}

typedef struct Wanted {
    World *w;
    const char *events;
} Wanted;

static gboolean
has_events(void *user)
{
    const Wanted *wanted = user;

    return strcmp(wanted->w->hub.events->str, wanted->events) == 0;
}

static void
expect_events(World *w, const char *events)
{
    Wanted wanted = {w, events};

    if (!raw_run_until(w->loop, has_events, &wanted, 3000))
        g_error("events are '%s', expected '%s'", w->hub.events->str, events);
}

static void
expect_silence(RawPeer *peer, gint64 ms)
{
    g_autofree char *message = raw_peer_receive(peer, ms);

    if (message != NULL)
        g_error("unexpected\n%s", message);
}

/* The URI of the conference at the address that the peer calls. */
static char *
uri_at(const char *address, const char *user)
{
    return g_strdup_printf("sip:%s@%s", user, strchr(address, ':') + 1);
}

static void
begin(World *w, RawCall *call, RawPeer **peer, const char *address)
{
    g_autofree char *uri = uri_at(address, "abc.conf");

    *peer = raw_peer_new(w->loop, address, NULL);
    g_assert_nonnull(*peer);
    raw_call_init(call, *peer, uri);
}

static void
end(RawCall *call, RawPeer *peer)
{
    raw_call_clear(call);
    raw_peer_free(peer);
}

/* INVITE, 180, 200, ACK */
static void
establish(World *w, RawCall *call, const char *extra)
{
    raw_call_send(call, "INVITE", extra, OFFER_LINES);
    g_free(raw_call_expect(call, 180));
    g_free(raw_call_expect(call, 200));
    raw_call_ack(call, NULL);
    expect_events(w, "invite confirmed");
}

static void
hang_up(RawCall *call)
{
    raw_call_send(call, "BYE", NULL, NULL);
    g_free(raw_call_expect(call, 200));
}

/* ---- calls -------------------------------------------------------------------------------------
 */

/* INVITE ->  <- 180  <- 200 (isfocus, answer)   ACK ->   BYE ->  <- 200 */
static void
a_call(World *w, const char *address)
{
    RawCall call;
    RawPeer *peer;
    g_autofree char *ringing = NULL, *ok = NULL, *contact = NULL, *allow = NULL, *expires = NULL;

    begin(w, &call, &peer, address);
    raw_call_send(&call, "INVITE", "Supported: timer\r\n", OFFER_LINES);
    ringing = raw_call_expect(&call, 180);
    g_assert_nonnull(strstr(ringing, ";isfocus"));
    ok = raw_call_expect(&call, 200);
    contact = raw_header(ok, "Contact");
    allow = raw_header(ok, "Allow");
    expires = raw_header(ok, "Session-Expires");
    g_assert_true(g_str_has_suffix(contact, ">;isfocus"));
    g_assert_nonnull(strstr(contact, "sip:abc.conf@127.0.0.1"));
    g_assert_nonnull(strstr(allow, "REFER"));
    g_assert_cmpstr(expires, ==, "1800;refresher=uac");
    g_assert_nonnull(strstr(raw_body(ok), "m=audio 40000 RTP/SAVP 8 101\r\n"));
    g_assert_nonnull(strstr(raw_body(ok), "a=crypto:" HUB_KEY));
    raw_call_ack(&call, NULL);
    expect_events(w, "invite confirmed");
    hang_up(&call);
    expect_events(w, "invite confirmed ended:bye");
    g_assert_true(no_dialogs(w));
    end(&call, peer);
}

static void
call_by_udp(World *w, gconstpointer unused)
{
    a_call(w, w->udp);
    g_assert_false(w->hub.secured);
    g_assert_cmpstr(w->hub.local_host, ==, "127.0.0.1");
    g_assert_true(g_str_has_prefix(w->hub.peer, "udp:127.0.0.1:"));
    g_assert_cmpstr(w->hub.from, ==, "sip:alice@example.org");
}

static void
call_by_tcp(World *w, gconstpointer unused)
{
    a_call(w, w->tcp);
    g_assert_false(w->hub.secured);
    g_assert_cmpstr(w->hub.local_host, ==, "127.0.0.1");
}

static void
call_by_tls(World *w, gconstpointer unused)
{
    a_call(w, w->tls);
    g_assert_true(w->hub.secured);
    g_assert_true(w->hub.tls);
}

/* The Contact leads back to where the peer called: port and transport included. */
static void
contact_leads_back(World *w, gconstpointer unused)
{
    const char *const addresses[] = {w->udp, w->tcp, w->tls};
    const char *const suffixes[] = {">;isfocus", ";transport=tcp>;isfocus",
                                    ";transport=tls>;isfocus"};

    for (gsize i = 0; i < G_N_ELEMENTS(addresses); i++) {
        RawCall call;
        RawPeer *peer;
        g_autofree char *uri = uri_at(addresses[i], "abc.conf"), *ok = NULL, *contact = NULL;
        g_autofree char *wanted = g_strdup_printf("<%s%s", uri, suffixes[i]);

        begin(w, &call, &peer, addresses[i]);
        raw_call_send(&call, "OPTIONS", NULL, NULL);
        ok = raw_call_expect(&call, 200);
        contact = raw_header(ok, "Contact");
        g_assert_cmpstr(contact, ==, wanted);
        end(&call, peer);
    }
}

/* The same over [::1]. */
static void
call_by_ipv6(World *w, gconstpointer unused)
{
    stop(w);
    start(w, "[::1]");
    for (int i = 0; i < 3; i++) {
        const char *const addresses[] = {w->udp, w->tcp, w->tls};
        RawCall call;
        RawPeer *peer;

        g_string_truncate(w->hub.events, 0);
        begin(w, &call, &peer, addresses[i]);
        establish(w, &call, NULL);
        g_assert_cmpstr(w->hub.local_host, ==, "::1");
        hang_up(&call);
        end(&call, peer);
    }
}

/* INVITE ->  INVITE (the same octets) ->  <- 200  <- 200 (the same), one event */
static void
retransmissions_are_absorbed(World *w, gconstpointer unused)
{
    RawCall call;
    RawPeer *peer;
    g_autofree char *first = NULL, *again = NULL;

    begin(w, &call, &peer, w->udp);
    raw_call_send(&call, "INVITE", NULL, OFFER_LINES);
    g_free(raw_call_expect(&call, 180));
    first = raw_call_expect(&call, 200);
    again = raw_call_expect(&call, 200); /* no ACK: timer G */
    g_assert_cmpstr(first, ==, again);
    raw_call_ack(&call, NULL);
    expect_events(w, "invite confirmed");
    raw_call_ack(&call, NULL);
    expect_silence(peer, 10 * T1_MS);
    expect_events(w, "invite confirmed");
    hang_up(&call);
    end(&call, peer);
}

/* INVITE ->  <- 200  (no ACK)  ... 64*T1 ...  <- BYE */
static void
no_ack_ends_the_call(World *w, gconstpointer unused)
{
    RawCall call;
    RawPeer *peer;
    g_autofree char *message = NULL;

    begin(w, &call, &peer, w->udp);
    raw_call_send(&call, "INVITE", NULL, OFFER_LINES);
    g_free(raw_call_expect(&call, 180));
    do {
        g_free(message);
        message = raw_peer_receive(peer, 4000);
        g_assert_nonnull(message);
    } while (raw_status(message) == 200);
    g_assert_true(g_str_has_prefix(message, "BYE "));
    raw_call_answer(&call, message, 200, NULL, NULL);
    expect_events(w, "invite ended:no-ack");
    g_assert_true(no_dialogs(w));
    end(&call, peer);
}

/* ---- CANCEL ------------------------------------------------------------------------------------
 */

/* INVITE ->  [180]  CANCEL ->  <- 200 (CANCEL)  <- 487 (INVITE)   ACK -> */
static void
cancel_in_mood(World *w, HubMood mood)
{
    RawCall call;
    RawPeer *peer;
    guint seen[2] = {0, 0};

    w->hub.mood = mood;
    begin(w, &call, &peer, w->udp);
    raw_call_send(&call, "INVITE", NULL, OFFER_LINES);
    expect_events(w, "invite");
    if (mood == HUB_RINGS) {
        g_autofree char *ringing = raw_call_expect(&call, 180);
        g_clear_pointer(&call.to_tag, g_free);
    }
    raw_call_same_branch(&call, "CANCEL");
    for (int i = 0; i < 2; i++) {
        g_autofree char *message = NULL;

        do {
            g_free(message);
            message = raw_peer_receive(peer, 2000);
        } while (message != NULL && raw_status(message) < 200);
        g_assert_nonnull(message);
        seen[raw_status(message) == 487] = raw_status(message);
    }
    g_assert_cmpuint(seen[0], ==, 200);
    g_assert_cmpuint(seen[1], ==, 487);
    raw_call_same_branch(&call, "ACK");
    expect_events(w, "invite ended:cancel");
    g_assert_true(no_dialogs(w));
    hub_accept(&w->hub, w->hub.last_leg); /* a late yes finds nothing */
    g_assert_true(no_dialogs(w));
    end(&call, peer);
}

static void
cancel_before_ringing(World *w, gconstpointer unused)
{
    cancel_in_mood(w, HUB_WAITS);
}

static void
cancel_after_ringing(World *w, gconstpointer unused)
{
    cancel_in_mood(w, HUB_RINGS);
}

/* INVITE ->  <- 200   CANCEL ->  <- 481   ACK ->  BYE ->  <- 200 */
static void
cancel_that_crosses_the_200(World *w, gconstpointer unused)
{
    RawCall call;
    RawPeer *peer;

    begin(w, &call, &peer, w->udp);
    raw_call_send(&call, "INVITE", NULL, OFFER_LINES);
    g_free(raw_call_expect(&call, 180));
    g_free(raw_call_expect(&call, 200));
    raw_call_same_branch(&call, "CANCEL");
    for (;;) {
        g_autofree char *message = raw_peer_receive(peer, 2000);

        g_assert_nonnull(message);
        if (raw_status(message) == 481)
            break;
        g_assert_cmpuint(raw_status(message), ==, 200); /* the INVITE's again */
    }
    raw_call_ack(&call, NULL);
    expect_events(w, "invite confirmed");
    hang_up(&call);
    expect_events(w, "invite confirmed ended:bye");
    end(&call, peer);
}

/* INVITE ->  <- 180   BYE ->  <- 200 (BYE)  <- 487 (INVITE) */
static void
bye_in_an_early_dialog(World *w, gconstpointer unused)
{
    RawCall call;
    RawPeer *peer;

    w->hub.mood = HUB_RINGS;
    begin(w, &call, &peer, w->udp);
    raw_call_send(&call, "INVITE", NULL, OFFER_LINES);
    g_free(raw_call_expect(&call, 180));
    raw_call_send(&call, "BYE", NULL, NULL);
    g_free(raw_call_expect(&call, 200));
    g_free(raw_call_expect(&call, 487));
    expect_events(w, "invite ended:bye");
    end(&call, peer);
}

/* ---- the hub ends it ---------------------------------------------------------------------------
 */

/* INVITE, 200, ACK   <- BYE (Reason)   200 -> */
static void
the_hub_hangs_up(World *w, gconstpointer unused)
{
    const char *const addresses[] = {w->udp, w->tcp, w->tls};

    for (int i = 0; i < 3; i++) {
        RawCall call;
        RawPeer *peer;
        g_autofree char *bye = NULL, *reason = NULL;

        g_string_truncate(w->hub.events, 0);
        begin(w, &call, &peer, addresses[i]);
        /* over TCP and TLS the Contact cannot be dialled: the BYE must take the connection */
        establish(w, &call, i > 0 ? "Contact: <sip:alice@127.0.0.1:9;transport=tcp>\r\n" : NULL);
        clv_sip_end(w->hub.sip, w->hub.last_leg, "SIP;cause=200;text=\"conference ended\"");
        bye = raw_call_expect_request(&call, "BYE");
        reason = raw_header(bye, "Reason");
        g_assert_cmpstr(reason, ==, "SIP;cause=200;text=\"conference ended\"");
        raw_call_answer(&call, bye, 200, NULL, NULL);
        raw_run(w->loop, 5 * T1_MS);
        expect_events(w, "invite confirmed"); /* no ENDED for what the hub asked for */
        end(&call, peer);
    }
}

/* INVITE (Record-Route) ->  <- 200 (the same)   ACK ->   <- BYE (Route) */
static void
routes_are_kept(World *w, gconstpointer unused)
{
    RawCall call;
    RawPeer *peer;
    g_autofree char *ok = NULL, *recorded = NULL, *bye = NULL, *route = NULL, *extra = NULL;
    g_autofree char *proxy = NULL;

    begin(w, &call, &peer, w->udp);
    proxy = g_strdup_printf("<sip:%s;lr>", raw_peer_address(peer));
    /* the Contact cannot be reached: only the route leads back */
    extra = g_strdup_printf("Record-Route: %s\r\nContact: <sip:alice@192.0.2.1>\r\n", proxy);
    raw_call_send(&call, "INVITE", extra, OFFER_LINES);
    g_free(raw_call_expect(&call, 180));
    ok = raw_call_expect(&call, 200);
    recorded = raw_header(ok, "Record-Route");
    g_assert_cmpstr(recorded, ==, proxy);
    raw_call_ack(&call, NULL);
    expect_events(w, "invite confirmed");
    clv_sip_end(w->hub.sip, w->hub.last_leg, NULL);
    bye = raw_call_expect_request(&call, "BYE sip:alice@192.0.2.1 ");
    route = raw_header(bye, "Route");
    g_assert_cmpstr(route, ==, proxy);
    raw_call_answer(&call, bye, 200, NULL, NULL);
    end(&call, peer);
}

/* INVITE ->  <- 200  (end)  ACK ->  <- BYE: not before the ACK (RFC 3261 section 15) */
static void
no_bye_before_the_ack(World *w, gconstpointer unused)
{
    RawCall call;
    RawPeer *peer;
    g_autofree char *bye = NULL;

    w->hub.mood = HUB_ENDS_AT_ONCE;
    begin(w, &call, &peer, w->tcp);
    raw_call_send(&call, "INVITE", NULL, OFFER_LINES);
    g_free(raw_call_expect(&call, 200));
    g_free(raw_call_expect(&call, 200)); /* still asking for the ACK */
    raw_call_ack(&call, NULL);
    do {
        g_free(bye);
        bye = raw_peer_receive(peer, 2000);
        g_assert_nonnull(bye);
    } while (raw_status(bye) == 200);
    g_assert_true(g_str_has_prefix(bye, "BYE "));
    raw_call_answer(&call, bye, 200, NULL, NULL);
    expect_events(w, "invite");
    end(&call, peer);
}

/* INVITE ->  <- 180  (end)  <- 487 */
static void
the_hub_ends_an_early_dialog(World *w, gconstpointer unused)
{
    RawCall call;
    RawPeer *peer;

    w->hub.mood = HUB_RINGS;
    begin(w, &call, &peer, w->udp);
    raw_call_send(&call, "INVITE", NULL, OFFER_LINES);
    g_free(raw_call_expect(&call, 180));
    clv_sip_end(w->hub.sip, w->hub.last_leg, NULL);
    g_free(raw_call_expect(&call, 487));
    raw_call_same_branch(&call, "ACK");
    expect_events(w, "invite");
    g_assert_true(no_dialogs(w));
    end(&call, peer);
}

/* ---- offers inside the dialog -------------------------------------------------------------------
 */

/* re-INVITE (sendonly) ->  <- 200 (recvonly)   ACK -> */
static void
hold_by_reinvite(World *w, gconstpointer unused)
{
    RawCall call;
    RawPeer *peer;
    g_autofree char *ok = NULL;

    begin(w, &call, &peer, w->udp);
    establish(w, &call, NULL);
    raw_call_send(&call, "INVITE", NULL, OFFER_LINES "a=sendonly\r\n");
    ok = raw_call_expect(&call, 200);
    g_assert_nonnull(strstr(raw_body(ok), "a=recvonly"));
    g_assert_nonnull(strstr(ok, ";isfocus"));
    raw_call_ack(&call, NULL);
    expect_events(w, "invite confirmed reoffer done");
    hang_up(&call);
    end(&call, peer);
}

/* re-INVITE without SDP ->  <- 200 (our offer)   ACK (answer) -> */
static void
reinvite_without_offer(World *w, gconstpointer unused)
{
    RawCall call;
    RawPeer *peer;
    g_autofree char *ok = NULL, *bye = NULL;

    begin(w, &call, &peer, w->tcp);
    establish(w, &call, NULL);
    raw_call_send(&call, "INVITE", NULL, NULL);
    ok = raw_call_expect(&call, 200);
    g_assert_nonnull(strstr(raw_body(ok), "m=audio"));
    raw_call_ack(&call, OFFER_LINES);
    expect_events(w, "invite confirmed reoffer done");

    /* and an ACK that owes the answer ends the call */
    raw_call_send(&call, "INVITE", NULL, NULL);
    g_free(raw_call_expect(&call, 200));
    raw_call_ack(&call, NULL);
    bye = raw_call_expect_request(&call, "BYE");
    raw_call_answer(&call, bye, 200, NULL, NULL);
    expect_events(w, "invite confirmed reoffer done reoffer ended:error");
    end(&call, peer);
}

/* re-INVITE -> (no answer yet)   UPDATE (offer) ->  <- 500 Retry-After   re-INVITE ->  <- 500
 * CANCEL ->  <- 487: the dialog stays   UPDATE (offer) ->  <- 200 */
static void
one_offer_at_a_time(World *w, gconstpointer unused)
{
    RawCall call;
    RawPeer *peer;
    g_autofree char *branch = NULL, *busy = NULL, *delay = NULL, *ok = NULL;
    guint reinvite;

    begin(w, &call, &peer, w->tcp);
    establish(w, &call, NULL);
    w->hub.reoffers_wait = TRUE;
    raw_call_send(&call, "INVITE", NULL, OFFER_LINES);
    branch = g_strdup(call.branch);
    reinvite = call.cseq;
    expect_events(w, "invite confirmed reoffer");
    raw_call_send(&call, "UPDATE", NULL, OFFER_LINES);
    busy = raw_call_expect(&call, 500);
    delay = raw_header(busy, "Retry-After");
    g_assert_cmpuint(g_ascii_strtoull(delay, NULL, 10), <=, 10);
    raw_call_send(&call, "INVITE", NULL, OFFER_LINES);
    g_free(raw_call_expect(&call, 500));
    raw_call_same_branch(&call, "ACK");

    g_free(call.branch);
    call.branch = g_steal_pointer(&branch);
    call.cseq = reinvite;
    raw_call_same_branch(&call, "CANCEL");
    g_free(raw_call_expect(&call, 200));
    g_free(raw_call_expect(&call, 487));
    raw_call_same_branch(&call, "ACK");
    call.cseq += 2;
    g_assert_false(no_dialogs(w));

    w->hub.reoffers_wait = FALSE;
    raw_call_send(&call, "UPDATE", NULL, OFFER_LINES);
    ok = raw_call_expect(&call, 200);
    g_assert_nonnull(strstr(raw_body(ok), "m=audio 40000"));
    expect_events(w, "invite confirmed reoffer reoffer-cancelled reoffer done");
    hang_up(&call);
    end(&call, peer);
}

/* re-INVITE (plain RTP) ->  <- 488, and the dialog stays */
static void
a_refused_reoffer_changes_nothing(World *w, gconstpointer unused)
{
    RawCall call;
    RawPeer *peer;

    begin(w, &call, &peer, w->udp);
    establish(w, &call, NULL);
    raw_call_send(&call, "INVITE", NULL, PLAIN_OFFER);
    g_free(raw_call_expect(&call, 488));
    raw_call_same_branch(&call, "ACK");
    raw_call_send(&call, "OPTIONS", NULL, NULL);
    g_free(raw_call_expect(&call, 200));
    hang_up(&call);
    expect_events(w, "invite confirmed reoffer ended:bye");
    end(&call, peer);
}

/* INVITE (Require: 100rel) ->  <- 180 (RSeq)   PRACK ->  <- 200 (PRACK)  <- 183 (RSeq, SDP)
 * PRACK ->  <- 200 (PRACK)  <- 200 (INVITE, no SDP) */
static void
reliable_ringing(World *w, gconstpointer unused)
{
    RawCall call;
    RawPeer *peer;
    g_autofree char *ringing = NULL, *rseq = NULL, *rack = NULL, *ok = NULL, *cseq = NULL,
                    *early = NULL, *next = NULL, *second = NULL;

    begin(w, &call, &peer, w->udp);
    raw_call_send(&call, "INVITE", "Require: 100rel\r\n", OFFER_LINES);
    ringing = raw_call_expect(&call, 180);
    rseq = raw_header(ringing, "RSeq");
    g_assert_nonnull(rseq);
    rack = g_strdup_printf("RAck: %s 1 INVITE\r\n", rseq);
    raw_call_send(&call, "PRACK", rack, NULL);
    g_free(raw_call_expect(&call, 200));
    early = raw_call_expect(&call, 183);
    g_assert_nonnull(strstr(raw_body(early), "a=crypto:"));
    next = raw_header(early, "RSeq");
    g_assert_cmpint(atoi(next), ==, atoi(rseq) + 1);
    second = g_strdup_printf("RAck: %s 1 INVITE\r\n", next);
    raw_call_send(&call, "PRACK", second, NULL);
    g_free(raw_call_expect(&call, 200));
    ok = raw_call_expect(&call, 200);
    cseq = raw_header(ok, "CSeq");
    g_assert_cmpstr(cseq, ==, "1 INVITE");
    g_assert_cmpstr(raw_body(ok), ==, "");
    call.cseq = 1;
    raw_call_ack(&call, NULL);
    call.cseq = 3;
    expect_events(w, "invite confirmed");
    hang_up(&call);
    end(&call, peer);
}

/* INVITE (Require: 100rel) ->  <- 180   (no PRACK)  ... 64*T1 ...  <- 504 */
static void
no_prack_ends_the_call(World *w, gconstpointer unused)
{
    RawCall call;
    RawPeer *peer;
    g_autofree char *message = NULL;

    w->hub.mood = HUB_RINGS;
    begin(w, &call, &peer, w->tcp);
    raw_call_send(&call, "INVITE", "Require: 100rel\r\n", OFFER_LINES);
    do {
        g_free(message);
        message = raw_peer_receive(peer, 4000);
        g_assert_nonnull(message);
    } while (raw_status(message) < 200);
    g_assert_cmpuint(raw_status(message), ==, 504);
    expect_events(w, "invite ended:no-ack");
    hub_accept(&w->hub, w->hub.last_leg);
    end(&call, peer);
}

/* ---- session timers
 * ------------------------------------------------------------------------------- */

static void
restart_with_session(World *w, gint64 seconds)
{
    stop(w);
    w->config.session_expires_s = seconds;
    w->config.min_se_s = 1;
    start(w, "127.0.0.1");
}

/* 200 (refresher=uac)  ... no refresh ...  <- BYE */
static void
a_silent_refresher_is_hung_up(World *w, gconstpointer unused)
{
    RawCall call;
    RawPeer *peer;
    g_autofree char *bye = NULL;

    restart_with_session(w, 1);
    begin(w, &call, &peer, w->udp);
    establish(w, &call, "Supported: timer\r\n");
    bye = raw_call_expect_request(&call, "BYE");
    raw_call_answer(&call, bye, 200, NULL, NULL);
    expect_events(w, "invite confirmed ended:timer");
    end(&call, peer);
}

/* RFC 4028 section 9: the answer may ask for less than the peer, but for no less than his Min-SE. */
static void
the_peers_min_se_is_kept(World *w, gconstpointer unused)
{
    static const struct {
        const char *asked, *granted;
    } cases[] = {
        {"Session-Expires: 3600\r\nMin-SE: 2700\r\n", "2700;refresher=uac"},
        {"Session-Expires: 3600\r\nMin-SE: 90\r\n", "1800;refresher=uac"},
        {"Session-Expires: 600;refresher=uas\r\nMin-SE: 300\r\n", "600;refresher=uas"},
        {"Min-SE: 3600\r\n", "3600;refresher=uac"},
    };

    for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *extra = g_strconcat("Supported: timer\r\n", cases[i].asked, NULL);
        g_autofree char *ok = NULL, *expires = NULL;
        RawCall call;
        RawPeer *peer;

        begin(w, &call, &peer, w->udp);
        raw_call_send(&call, "INVITE", extra, OFFER_LINES);
        g_free(raw_call_expect(&call, 180));
        ok = raw_call_expect(&call, 200);
        expires = raw_header(ok, "Session-Expires");
        g_assert_cmpstr(expires, ==, cases[i].granted);
        raw_call_ack(&call, NULL);
        hang_up(&call);
        end(&call, peer);
    }
}

/* UPDATE (offer) ->  the KMS is silent  <- 500 (Retry-After): the dialog goes on, and he may ask
 * again; a re-INVITE hears 504 */
static void
an_update_is_asked_to_come_again(World *w, gconstpointer unused)
{
    static const struct {
        const char *method;
        guint status;
    } cases[] = {{"UPDATE", 500}, {"INVITE", 504}};
    RawCall call;
    RawPeer *peer;

    w->hub.reoffers_wait = TRUE;
    begin(w, &call, &peer, w->udp);
    establish(w, &call, NULL);
    for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *refusal = NULL, *again = NULL;

        raw_call_send(&call, cases[i].method, NULL, OFFER_LINES);
        expect_events(w, i == 0 ? "invite confirmed reoffer" : "invite confirmed reoffer reoffer");
        clv_sip_refuse(w->hub.sip, w->hub.last_leg, CLV_CODE_KMS_TIMEOUT, 0, NULL);
        refusal = raw_call_expect(&call, cases[i].status);
        again = raw_header(refusal, "Retry-After");
        g_assert_true((again != NULL) == (cases[i].status == 500));
        if (strcmp(cases[i].method, "INVITE") == 0)
            raw_call_same_branch(&call, "ACK");
    }
    hang_up(&call);
    end(&call, peer);
}

/* 200 (refresher=uac)   UPDATE ->  <- 200   UPDATE ->  <- 200: the call outlives its first interval
 */
static void
updates_keep_the_session(World *w, gconstpointer unused)
{
    RawCall call;
    RawPeer *peer;

    restart_with_session(w, 1);
    begin(w, &call, &peer, w->tcp);
    establish(w, &call, "Supported: timer\r\n");
    for (int i = 0; i < 4; i++) {
        g_autofree char *ok = NULL, *expires = NULL;

        expect_silence(peer, 400);
        raw_call_send(&call, "UPDATE", "Supported: timer\r\nSession-Expires: 1;refresher=uac\r\n",
                      NULL);
        ok = raw_call_expect(&call, 200);
        expires = raw_header(ok, "Session-Expires");
        g_assert_cmpstr(expires, ==, "1;refresher=uac");
    }
    hang_up(&call);
    expect_events(w, "invite confirmed ended:bye");
    end(&call, peer);
}

/* 200 (refresher=uas)   <- UPDATE (the peer allows it)  405 ->  <- re-INVITE (the SDP of the 200)
 * 200 ->  <- ACK */
static void
we_refresh_with_what_the_peer_knows(World *w, gconstpointer unused)
{
    RawCall call;
    RawPeer *peer;
    g_autofree char *ok = NULL, *update = NULL, *invite = NULL, *ack = NULL;

    restart_with_session(w, 2);
    begin(w, &call, &peer, w->udp);
    raw_call_send(&call, "INVITE", "Allow: INVITE, ACK, BYE, CANCEL, UPDATE\r\n", OFFER_LINES);
    g_free(raw_call_expect(&call, 180));
    ok = raw_call_expect(&call, 200);
    raw_call_ack(&call, NULL);
    update = raw_call_expect_request(&call, "UPDATE");
    g_assert_cmpstr(raw_body(update), ==, "");
    g_assert_nonnull(strstr(update, ";isfocus"));
    raw_call_answer(&call, update, 405, NULL, NULL);
    invite = raw_call_expect_request(&call, "INVITE");
    g_assert_cmpstr(raw_body(invite), ==, raw_body(ok));
    raw_call_answer(&call, invite, 200, "Session-Expires: 2;refresher=uac\r\n", OFFER_LINES);
    ack = raw_call_expect_request(&call, "ACK");
    expect_events(w, "invite confirmed");
    hang_up(&call);
    end(&call, peer);
}

/* <- UPDATE   481 ->   <- BYE: the peer has forgotten the dialog */
static void
a_peer_who_forgot_is_over(World *w, gconstpointer unused)
{
    RawCall call;
    RawPeer *peer;
    g_autofree char *update = NULL, *bye = NULL;

    restart_with_session(w, 2);
    begin(w, &call, &peer, w->udp);
    establish(w, &call, "Allow: INVITE, ACK, BYE, CANCEL, UPDATE\r\n");
    update = raw_call_expect_request(&call, "UPDATE");
    raw_call_answer(&call, update, 481, NULL, NULL);
    bye = raw_call_expect_request(&call, "BYE");
    raw_call_answer(&call, bye, 481, NULL, NULL);
    expect_events(w, "invite confirmed ended:timer");
    end(&call, peer);
}

/* ---- identity
 * ------------------------------------------------------------------------------------- */

static char *
quoted(const char *header, const char *name)
{
    g_autofree char *key = g_strdup_printf("%s=\"", name);
    const char *start = strstr(header, key);

    g_assert_nonnull(start);
    start += strlen(key);
    return g_strndup(start, strcspn(start, "\""));
}

static char *
authorization(const char *challenge, const char *user, const char *password, const char *uri)
{
    g_autofree char *nonce = quoted(challenge, "nonce"), *realm = quoted(challenge, "realm");
    g_autofree char *opaque = quoted(challenge, "opaque");
    g_autofree char *a1 = g_strdup_printf("%s:%s:%s", user, realm, password);
    g_autofree char *a2 = g_strdup_printf("INVITE:%s", uri);
    g_autofree char *ha1 = g_compute_checksum_for_string(G_CHECKSUM_MD5, a1, -1);
    g_autofree char *ha2 = g_compute_checksum_for_string(G_CHECKSUM_MD5, a2, -1);
    g_autofree char *all = g_strdup_printf("%s:%s:00000001:c:auth:%s", ha1, nonce, ha2);
    g_autofree char *response = g_compute_checksum_for_string(G_CHECKSUM_MD5, all, -1);

    return g_strdup_printf("Authorization: Digest username=\"%s\", realm=\"%s\", nonce=\"%s\", "
                           "uri=\"%s\", response=\"%s\", cnonce=\"c\", nc=00000001, qop=auth, "
                           "algorithm=MD5, opaque=\"%s\"\r\n",
                           user, realm, nonce, uri, response, opaque);
}

/* Returns the challenge of the 401 that comes next, and acknowledges it. */
static char *
challenged(RawCall *call, guint n)
{
    g_autofree char *refused = raw_call_expect(call, 401);

    g_assert_cmpuint(raw_count_headers(refused, "WWW-Authenticate"), ==, n);
    raw_call_same_branch(call, "ACK");
    return raw_header(refused, "WWW-Authenticate");
}

/* INVITE ->  <- 401   ACK ->   INVITE (Authorization) ->  <- 200 */
static void
digest_proves_who_calls(World *w, gconstpointer unused)
{
    RawCall call;
    RawPeer *peer;
    g_autofree char *challenge = NULL, *credentials = NULL;

    w->hub.mood = HUB_WANTS_DIGEST;
    begin(w, &call, &peer, w->udp);
    raw_call_send(&call, "INVITE", NULL, OFFER_LINES);
    challenge = challenged(&call, 1);
    credentials = authorization(challenge, "bob", "secret", call.first_uri);
    raw_call_send(&call, "INVITE", credentials, OFFER_LINES);
    g_free(raw_call_expect(&call, 200));
    raw_call_ack(&call, NULL);
    expect_events(w, "invite invite confirmed");
    g_assert_cmpint(w->hub.proof, ==, CLV_PROOF_DIGEST);
    g_assert_cmpstr(w->hub.identity, ==, "sip:bob@example.org");
    hang_up(&call);
    end(&call, peer);
}

/* INVITE ->  <- 401 (MD5, SHA-256): only when asked for, some softphones stumble over it */
static void
sha_256_is_offered_when_asked_for(World *w, gconstpointer unused)
{
    RawCall call;
    RawPeer *peer;

    stop(w);
    w->config.digest_sha256 = TRUE;
    start(w, "127.0.0.1");
    w->hub.mood = HUB_WANTS_DIGEST;
    begin(w, &call, &peer, w->udp);
    raw_call_send(&call, "INVITE", NULL, OFFER_LINES);
    g_free(challenged(&call, 2));
    end(&call, peer);
}

/* INVITE (wrong Authorization) ->  <- 401, fresh; the hub hears nothing; unknown users the same */
static void
wrong_digests_are_asked_again(World *w, gconstpointer unused)
{
    static const char *const wrong[][2] = {{"bob", "guess"}, {"mallory", "secret"}};
    RawCall call;
    RawPeer *peer;
    g_autofree char *challenge = NULL;

    w->hub.mood = HUB_WANTS_DIGEST;
    begin(w, &call, &peer, w->tcp);
    raw_call_send(&call, "INVITE", NULL, OFFER_LINES);
    challenge = challenged(&call, 1);
    for (gsize i = 0; i < G_N_ELEMENTS(wrong); i++) {
        g_autofree char *credentials =
            authorization(challenge, wrong[i][0], wrong[i][1], call.first_uri);

        raw_call_send(&call, "INVITE", credentials, OFFER_LINES);
        g_free(challenge);
        challenge = challenged(&call, 1);
        g_assert_null(strstr(challenge, "stale"));
    }
    expect_events(w, "invite");
    end(&call, peer);
}

/* A recorded INVITE, sent again with another branch and CSeq: <- 401 (stale=true) */
static void
a_recorded_digest_opens_nothing(World *w, gconstpointer unused)
{
    RawCall call, copy;
    RawPeer *peer;
    g_autofree char *challenge = NULL, *credentials = NULL, *again = NULL;

    w->hub.mood = HUB_WANTS_DIGEST;
    begin(w, &call, &peer, w->tcp);
    raw_call_send(&call, "INVITE", NULL, OFFER_LINES);
    challenge = challenged(&call, 1);
    credentials = authorization(challenge, "bob", "secret", call.first_uri);
    raw_call_send(&call, "INVITE", credentials, OFFER_LINES);
    g_free(raw_call_expect(&call, 200));
    raw_call_ack(&call, NULL);
    expect_events(w, "invite invite confirmed");
    hang_up(&call);

    raw_call_init(&copy, peer, call.first_uri);
    raw_call_send(&copy, "INVITE", credentials, OFFER_LINES);
    again = challenged(&copy, 1);
    g_assert_nonnull(strstr(again, "stale=true"));
    expect_events(w, "invite invite confirmed ended:bye");
    raw_call_clear(&copy);
    end(&call, peer);
}

#define ASSERTED "P-Asserted-Identity: \"Bob\" <sip:bob@Example.org:5070;x=y>\r\nPrivacy: id\r\n"

/* Who we are is for peers whose assertions count, too; in the 180 and in the 200. */
static void
expect_own_assertion(RawCall *call, guint status, gboolean trusted)
{
    g_autofree char *answer = raw_call_expect(call, status);
    g_autofree char *asserted = raw_header(answer, "P-Asserted-Identity");
    g_autofree char *privacy = raw_header(answer, "Privacy");

    g_assert_cmpstr(asserted, ==, trusted ? "<" HUB_CONFERENCE ">" : NULL);
    g_assert_cmpstr(privacy, ==, trusted ? "none" : NULL);
}

/* INVITE (P-Asserted-Identity) ->  <- 180  <- 200 */
static void
invite_with_assertion(World *w, const char *address, const char *cert, gboolean trusted)
{
    g_autofree char *uri = uri_at(address, "abc.conf");
    RawPeer *peer = raw_peer_new(w->loop, address, cert);
    RawCall call;

    g_assert_nonnull(peer);
    g_string_truncate(w->hub.events, 0);
    raw_call_init(&call, peer, uri);
    raw_call_send(&call, "INVITE", ASSERTED, OFFER_LINES);
    expect_own_assertion(&call, 180, trusted);
    expect_own_assertion(&call, 200, trusted);
    raw_call_ack(&call, NULL);
    expect_events(w, "invite confirmed");
    hang_up(&call);
    end(&call, peer);
}

static void
strangers_assertions_do_not_count(World *w, gconstpointer unused)
{
    invite_with_assertion(w, w->udp, NULL, FALSE);
    g_assert_cmpint(w->hub.proof, ==, CLV_PROOF_NONE);
    g_assert_null(w->hub.identity);
    g_assert_true(w->hub.privacy);
}

static void
assertions_of_trusted_addresses_count(World *w, gconstpointer unused)
{
    char *trusted[] = {(char *)"10.0.0.0/8", (char *)"127.0.0.0/8", NULL};

    stop(w);
    w->config.trusted_peers = trusted;
    start(w, "127.0.0.1");
    invite_with_assertion(w, w->udp, NULL, TRUE);
    g_assert_cmpint(w->hub.proof, ==, CLV_PROOF_ASSERTED);
    g_assert_cmpstr(w->hub.identity, ==, "sip:bob@example.org");
    g_assert_true(w->hub.secured);
}

/* The name of a verified client certificate, and nothing less. */
static void
assertions_of_trusted_certificates_count(World *w, gconstpointer unused)
{
    char *trusted[] = {(char *)"proxy.example.org", NULL};

    stop(w);
    w->config.trusted_peers = trusted;
    start(w, "127.0.0.1");
    invite_with_assertion(w, w->tls, files.proxy, TRUE);
    g_assert_cmpint(w->hub.proof, ==, CLV_PROOF_ASSERTED);
    g_assert_cmpstr(w->hub.identity, ==, "sip:bob@example.org");

    invite_with_assertion(w, w->tls, NULL, FALSE);
    g_assert_cmpint(w->hub.proof, ==, CLV_PROOF_NONE);
    invite_with_assertion(w, w->tls, files.agent, FALSE); /* verified, but another name */
    g_assert_cmpint(w->hub.proof, ==, CLV_PROOF_NONE);
    invite_with_assertion(w, w->tcp, NULL, FALSE);
    g_assert_cmpint(w->hub.proof, ==, CLV_PROOF_NONE);
}

static gboolean
is_closed(void *peer)
{
    return raw_peer_is_closed(peer);
}

/* A certificate of nobody we know ends the connection; with TLS 1.3 the client hears of it late. */
static void
self_made_certificates_are_refused(World *w, gconstpointer unused)
{
    RawPeer *peer = raw_peer_new(w->loop, w->tls, files.mallory);

    if (peer != NULL)
        g_assert_true(raw_run_until(w->loop, is_closed, peer, 2000));
    raw_peer_free(peer);
    g_assert_cmpstr(w->hub.events->str, ==, "");
}

/* What the hub is told besides. */
static void
headers_are_reported(World *w, gconstpointer unused)
{
    RawCall call;
    RawPeer *peer;

    begin(w, &call, &peer, w->udp);
    g_free(call.user);
    call.user = g_strdup("carol");
    raw_call_send(&call, "INVITE",
                  "History-Info: <sip:a@b>;index=1, <sip:c@d;cause=302>;index=1.1\r\n",
                  OFFER_LINES);
    g_free(raw_call_expect(&call, 180));
    g_assert_true(w->hub.diverted);
    g_assert_false(w->hub.privacy);
    g_assert_cmpstr(w->hub.from, ==, "sip:carol@example.org");
    end(&call, peer);
}

/* ---- what is refused
 * ------------------------------------------------------------------------------ */

static void
nonsense_gets_its_status(World *w, gconstpointer unused)
{
    static const struct {
        const char *method, *user, *extra, *body;
        guint status;
        const char *header; /* must be there */
    } cases[] = {
        {"INVITE", "abc.conf", "Contact: *\r\n", OFFER_LINES, 400, NULL},
        {"INVITE", "abc.conf", "Contact: <tel:+49123>\r\n", OFFER_LINES, 400, NULL},
        {"INVITE", "abc.conf", "Contact: <mailto:a@b>\r\n", OFFER_LINES, 400, NULL},
        {"INVITE", "abc.conf", "Contact: <sip:a@b>, <sip:c@d>\r\n", OFFER_LINES, 400, NULL},
        {"INVITE", "abc.conf", "X-No-Contact:\r\n", "v=0\r\nm=audio 9 FOO (\r\n", 400, NULL},
        {"INVITE", "abc.conf", NULL, "v=0\r\no=- 1 1 IN IP4 1.2.3.4\r\nm=audio 9 RT\xbe/AVP 0\r\n",
         400, NULL},
        {"INVITE", "abc.conf", "Require: teleport\r\n", OFFER_LINES, 420, "Unsupported"},
        {"INVITE", "abc.conf", "Content-Type: text/plain\r\n", "hello", 415, "Accept"},
        {"INVITE", "abc.conf", "Content-Encoding: gzip\r\n", OFFER_LINES, 415, "Accept-Encoding"},
        {"INVITE", "abc.conf", "Accept: text/plain\r\n", OFFER_LINES, 406, "Accept"},
        {"INVITE", "abc.conf", "Supported: timer\r\nSession-Expires: 60\r\n", OFFER_LINES, 422,
         "Min-SE"},
        {"INVITE", "nobody", NULL, OFFER_LINES, 404, NULL},
        {"INVITE", "off.conf", NULL, OFFER_LINES, 480, NULL},
        {"INVITE", "gone.conf", NULL, OFFER_LINES, 404, NULL},
        {"INVITE", "abc.conf", NULL, PLAIN_OFFER, 488, "Warning"},
        {"OPTIONS", "nobody", NULL, NULL, 404, NULL},
        {"OPTIONS", "abc.conf", NULL, NULL, 200, "Contact"},
        {"OPTIONS", "factory.conf", NULL, NULL, 200, "Allow"},
        {"BYE", "abc.conf", NULL, NULL, 481, NULL},
        {"UPDATE", "abc.conf", NULL, NULL, 481, NULL},
        {"MESSAGE", "abc.conf", "Content-Type: text/plain\r\n", "hi", 405, "Allow"},
        {"REFER", "abc.conf", "Refer-To: <http://example.org/>\r\n", NULL, 403, NULL},
        {"SUBSCRIBE", "abc.conf", "Event: conference\r\n", NULL, 489, "Allow-Events"},
        {"DANCE", "abc.conf", NULL, NULL, 501, "Allow"},
    };

    for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *uri = uri_at(w->tcp, cases[i].user), *answer = NULL, *header = NULL;
        RawPeer *peer = raw_peer_new(w->loop, w->tcp, NULL);
        RawCall call;

        g_test_message("%s %s %s", cases[i].method, cases[i].user,
                       cases[i].extra != NULL ? cases[i].extra : "");
        raw_call_init(&call, peer, uri);
        raw_call_send(&call, cases[i].method, cases[i].extra, cases[i].body);
        do {
            g_free(answer);
            answer = raw_peer_receive(peer, 2000);
            g_assert_nonnull(answer);
        } while (raw_status(answer) < 200);
        g_assert_cmpuint(raw_status(answer), ==, cases[i].status);
        if (cases[i].header != NULL) {
            header = raw_header(answer, cases[i].header);
            g_assert_nonnull(header);
        }
        g_assert_cmpint(strstr(answer, "isfocus") != NULL, ==,
                        cases[i].status == 200 && cases[i].user[0] == 'a');
        g_assert_true(no_dialogs(w));
        end(&call, peer);
    }
    g_string_truncate(w->hub.events, 0);
    a_call(w, w->udp);
}

/* INVITE (a Via to which nothing can be sent) ->  (404 is lost)   ACK ->   and the house stands */
static void
unreachable_vias_do_no_harm(World *w, gconstpointer unused)
{
    static const char *const vias[] = {
        "127.0.0.1:0",       "255.255.255.255:5060",
        "127.0.0.1;rport=0", "127.0.0.1:0;received=255.255.255.255",
        "[::1]:5060",        "nowhere.invalid:5060;received=0.0.0.0"};
    RawPeer *peer = raw_peer_new(w->loop, w->udp, NULL);

    for (gsize i = 0; i < G_N_ELEMENTS(vias); i++) {
        for (int step = 0; step < 3; step++) {
            const char *method = step == 0 ? "INVITE" : "ACK";
            g_autofree char *text = g_strdup_printf(
                "%s sip:nobody@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP %s;branch=z9hG4bKv%zu\r\n"
                "From: <sip:a@b>;tag=x\r\nTo: <sip:nobody@127.0.0.1>\r\nCall-ID: via%zu\r\n"
                "CSeq: 1 %s\r\nContact: <sip:a@127.0.0.1:9>\r\nContent-Length: 0\r\n\r\n",
                method, vias[i], i, i, method);

            raw_peer_send(peer, text);
        }
        raw_run(w->loop, 5 * T1_MS);
    }
    raw_peer_free(peer);
    raw_run(w->loop, 70 * T1_MS);
    a_call(w, w->udp);
}

/* The same Call-ID, From tag and CSeq by another way: <- 482 */
static void
merged_requests_are_refused(World *w, gconstpointer unused)
{
    RawCall call;
    RawPeer *peer;
    g_autofree char *tag = NULL;

    w->hub.mood = HUB_RINGS;
    begin(w, &call, &peer, w->tcp);
    raw_call_send(&call, "INVITE", NULL, OFFER_LINES);
    g_free(raw_call_expect(&call, 180));
    tag = g_steal_pointer(&call.to_tag);
    call.cseq--;
    raw_call_send(&call, "INVITE", NULL, OFFER_LINES);
    g_free(raw_call_expect(&call, 482));
    raw_call_send(&call, "INVITE", NULL, OFFER_LINES); /* another CSeq, but no To tag */
    g_free(raw_call_expect(&call, 482));
    expect_events(w, "invite");
    end(&call, peer);
}

/* ---- limits
 * ---------------------------------------------------------------------------------------- */

static void
expect_overload(World *w)
{
    RawCall call;
    RawPeer *peer;
    g_autofree char *answer = NULL, *delay = NULL;

    begin(w, &call, &peer, w->udp);
    raw_call_send(&call, "INVITE", NULL, OFFER_LINES);
    answer = raw_call_expect(&call, 503);
    delay = raw_header(answer, "Retry-After");
    g_assert_cmpuint(g_ascii_strtoull(delay, NULL, 10), >, 0);
    end(&call, peer);
}

static void
calls_beyond_the_limit_wait(World *w, gconstpointer unused)
{
    RawCall call;
    RawPeer *peer;

    stop(w);
    w->config.max_calls = 1;
    start(w, "127.0.0.1");
    begin(w, &call, &peer, w->tcp);
    establish(w, &call, NULL);
    expect_overload(w);
    hang_up(&call);
    end(&call, peer);
    g_string_truncate(w->hub.events, 0);
    a_call(w, w->tcp);
}

static void
unknown_uri_schemes_get_416(World *w, gconstpointer unused)
{
    static const char *const uris[] = {"soap.beep://192.0.2.103:3002", "nobodyKnowsThisScheme:x",
                                       "http://127.0.0.1/", "urn:service:sos", "im:a@example.org"};

    for (gsize i = 0; i < G_N_ELEMENTS(uris); i++) {
        RawPeer *peer = raw_peer_new(w->loop, i % 2 ? w->tcp : w->udp, NULL);
        RawCall call;

        raw_call_init(&call, peer, uris[i]);
        raw_call_send(&call, "INVITE", NULL, OFFER_LINES);
        g_free(raw_call_expect(&call, 416));
        raw_call_ack(&call, NULL);
        raw_call_send(&call, "REFER", "Refer-To: <sip:carol@example.com>\r\n", NULL);
        g_free(raw_call_expect(&call, 416));
        end(&call, peer);
    }
    g_assert_cmpuint(w->hub.n_calls, ==, 0);
}

static void
floods_are_told_to_wait(World *w, gconstpointer unused)
{
    stop(w);
    w->config.max_invites_per_s = 2;
    start(w, "127.0.0.1");
    w->hub.mood = HUB_REFUSES;
    w->hub.code = CLV_CODE_FORBIDDEN;
    for (int i = 0; i < 2; i++) {
        RawCall call;
        RawPeer *peer;

        begin(w, &call, &peer, w->udp);
        raw_call_send(&call, "INVITE", NULL, OFFER_LINES);
        g_free(raw_call_expect(&call, 403));
        end(&call, peer);
    }
    expect_overload(w);
}

static void
a_closing_house_takes_nobody(World *w, gconstpointer unused)
{
    RawCall call;
    RawPeer *peer;

    begin(w, &call, &peer, w->tcp);
    establish(w, &call, NULL);
    clv_sip_refuse_new(w->hub.sip);
    expect_overload(w);
    hang_up(&call); /* who is in may still leave */
    end(&call, peer);
}

/* INVITE (40 kB of body) ->  <- 413, closed   INVITE (40 kB of headers) -> closed */
static void
giants_are_refused(World *w, gconstpointer unused)
{
    g_autofree char *padding = g_strnfill(40000, 'x');
    g_autofree char *extra = g_strdup_printf("X-Padding: %s\r\n", padding);

    for (int headers = 0; headers < 2; headers++) {
        RawCall call;
        RawPeer *peer;

        begin(w, &call, &peer, w->tcp);
        raw_call_send(&call, "INVITE", headers ? extra : NULL, headers ? OFFER_LINES : padding);
        if (!headers)
            g_free(raw_call_expect(&call, 413));
        g_assert_true(raw_run_until(w->loop, is_closed, peer, 6000));
        end(&call, peer);
    }
    a_call(w, w->tcp);
}

/* 500 connections of each kind that say nothing; the table holds 300: the oldest make room. */
static void
silence_does_not_keep_others_out(World *w, gconstpointer unused)
{
    enum { N = 500 };
    g_autofree RawPeer **silent = g_new0(RawPeer *, 2 * N);
    ClvSipTotals totals;

    stop(w);
    w->config.max_connections = 300;
    w->config.idle_ms = 1000;
    start(w, "127.0.0.1");
    for (int i = 0; i < 2 * N; i++) {
        silent[i] = raw_peer_silent(w->loop, i % 2 == 0 ? w->tcp : w->tls);
        if (i % 50 == 49)
            raw_run(w->loop, 2);
    }
    a_call(w, w->tcp);
    g_string_truncate(w->hub.events, 0);
    a_call(w, w->tls);
    clv_sip_totals(w->hub.sip, &totals);
    g_assert_cmpuint(totals.connections, <=, 300);
    for (int i = 0; i < 2 * N; i++) {
        g_assert_true(raw_run_until(w->loop, is_closed, silent[i], 8000));
        raw_peer_free(silent[i]);
    }
}

/* Half a handshake, half a request, garbage on the TLS port: nobody else notices. */
static void
half_hearted_peers_are_closed(World *w, gconstpointer unused)
{
    RawPeer *half_tls, *half_request, *garbage, *witness;
    RawCall call;

    stop(w);
    w->config.idle_ms = 1000;
    start(w, "127.0.0.1");
    begin(w, &call, &witness, w->tls);
    establish(w, &call, NULL);
    half_tls = raw_peer_silent(w->loop, w->tls);
    garbage = raw_peer_silent(w->loop, w->tls);
    half_request = raw_peer_silent(w->loop, w->tcp);
    raw_peer_send(half_request, "INVITE sip:abc.conf@127.0.0.1 SIP/2.0\r\nVia: ");
    raw_peer_say(half_tls, "\x16\x03\x01\x02"); /* a ClientHello begins */
    raw_peer_say(garbage, "GET / HTTP/1.0\r\n\r\n");
    g_assert_true(raw_run_until(w->loop, is_closed, half_request, 6000));
    g_assert_true(raw_run_until(w->loop, is_closed, half_tls, 6000));
    g_assert_true(raw_run_until(w->loop, is_closed, garbage, 6000));
    hang_up(&call); /* a dialog keeps its connection, however quiet */
    raw_peer_free(half_tls);
    raw_peer_free(half_request);
    raw_peer_free(garbage);
    end(&call, witness);
}

static void
addresses_are_checked(World *w, gconstpointer unused)
{
    static const char *const wrong[] = {"sctp:127.0.0.1:0",
                                        "nonsense",
                                        "udp:192.0.2.77:5060",
                                        "udp:127.0.0.1:99999",
                                        "udp:127.0.0.1:0,tcp:127.0.0.1:0",
                                        "udp:127.0.0.1:",
                                        "udp:",
                                        "udp:localhost:5060",
                                        "udp:::1",
                                        "udp:[127.0.0.1]:0",
                                        "tls:[::1",
                                        "tls:[::1]x"};

    stop(w);
    for (gsize i = 0; i < G_N_ELEMENTS(wrong); i++) {
        char *listen[] = {(char *)wrong[i], NULL};
        g_autoptr(GError) error = NULL;

        w->config.listen = listen;
        g_assert_null(clv_sip_new(w->loop, &w->config, &hub_handlers, &w->hub, &error));
        g_assert_error(error, CLV_SIP_ERROR, 0);
        g_assert_nonnull(strstr(error->message, wrong[i]));
    }
}

/* ---- calls of ours by TLS ---- */

/* INVITE (TLS) ->  <- 200   ACK ->   and then a BYE in the clear: 403 */
static void
a_call_by_tls_stays_there(World *w, gconstpointer unused)
{
    RawListener *listener = raw_listener_new(w->loop, files.bob);
    g_autofree char *uri = g_strdup_printf("sip:bob@%s;transport=tls",
                                           raw_listener_address(listener));
    g_autofree char *invite = NULL, *contact = NULL;
    RawPeer *bob, *stranger = raw_peer_new(w->loop, w->udp, NULL);
    RawCall call;

    g_assert_true(clv_sip_call_is_tls(w->hub.sip, uri));
    g_assert_cmpuint(hub_call(&w->hub, uri, NULL), !=, 0);
    bob = raw_listener_accept(listener, 3000);
    g_assert_nonnull(bob);
    invite = raw_call_taken(&call, bob, "INVITE", "bob1");
    contact = raw_header(invite, "Contact");
    g_assert_nonnull(strstr(contact, ";transport=tls>"));
    raw_call_answer_as(&call, invite, 200, "bob1", NULL, NULL, OFFER_LINES);
    g_free(raw_call_expect_request(&call, "ACK"));
    expect_events(w, "answered:200");
    g_assert_true(w->hub.tls);
    g_assert_true(w->hub.secured);
    call.peer = stranger;
    raw_call_send(&call, "BYE", NULL, NULL);
    g_free(raw_call_expect(&call, 403));
    call.peer = bob;
    hang_up(&call);
    expect_events(w, "answered:200 ended:bye");
    raw_call_clear(&call);
    raw_peer_free(bob);
    raw_peer_free(stranger);
    raw_listener_free(listener);
}

/* A certificate that signs itself, and a good one of somebody else. */
static void
nobody_else_gets_an_invite_by_tls(World *w, gconstpointer unused)
{
    const char *const certificates[] = {files.mallory, files.proxy};

    for (gsize i = 0; i < G_N_ELEMENTS(certificates); i++) {
        RawListener *listener = raw_listener_new(w->loop, certificates[i]);
        g_autofree char *uri = g_strdup_printf("sip:bob@%s;transport=tls",
                                               raw_listener_address(listener));
        RawPeer *mallory;

        g_assert_cmpuint(hub_call(&w->hub, uri, NULL), !=, 0);
        mallory = raw_listener_accept(listener, 3000);
        if (mallory != NULL) /* TLS may be done on his side, but nothing comes */
            expect_silence(mallory, 300);
        raw_peer_free(mallory);
        raw_listener_free(listener);
        clv_sip_end(w->hub.sip, w->hub.last_leg, NULL);
        w->hub.n_alive--;
    }
}

int
main(int argc, char **argv)
{
    int result;

    g_test_init(&argc, &argv, NULL);
    make_files();
#define ADD(name, fn) g_test_add("/sip/" name, World, NULL, setup, fn, teardown)
    ADD("call-by-udp", call_by_udp);
    ADD("call-by-tcp", call_by_tcp);
    ADD("call-by-tls", call_by_tls);
    ADD("call-by-ipv6", call_by_ipv6);
    ADD("contact-leads-back", contact_leads_back);
    ADD("retransmissions-are-absorbed", retransmissions_are_absorbed);
    ADD("no-ack-ends-the-call", no_ack_ends_the_call);
    ADD("cancel-before-ringing", cancel_before_ringing);
    ADD("cancel-after-ringing", cancel_after_ringing);
    ADD("cancel-that-crosses-the-200", cancel_that_crosses_the_200);
    ADD("bye-in-an-early-dialog", bye_in_an_early_dialog);
    ADD("hub-hangs-up", the_hub_hangs_up);
    ADD("routes-are-kept", routes_are_kept);
    ADD("no-bye-before-the-ack", no_bye_before_the_ack);
    ADD("hub-ends-an-early-dialog", the_hub_ends_an_early_dialog);
    ADD("hold-by-reinvite", hold_by_reinvite);
    ADD("reinvite-without-offer", reinvite_without_offer);
    ADD("one-offer-at-a-time", one_offer_at_a_time);
    ADD("refused-reoffer-changes-nothing", a_refused_reoffer_changes_nothing);
    ADD("tls-calls-stay-there", a_call_by_tls_stays_there);
    ADD("tls-calls-reach-nobody-else", nobody_else_gets_an_invite_by_tls);
    ADD("reliable-ringing", reliable_ringing);
    ADD("no-prack-ends-the-call", no_prack_ends_the_call);
    ADD("silent-refresher-is-hung-up", a_silent_refresher_is_hung_up);
    ADD("updates-keep-the-session", updates_keep_the_session);
    ADD("peers-min-se-is-kept", the_peers_min_se_is_kept);
    ADD("update-is-asked-to-come-again", an_update_is_asked_to_come_again);
    ADD("we-refresh-with-what-the-peer-knows", we_refresh_with_what_the_peer_knows);
    ADD("peer-who-forgot-is-over", a_peer_who_forgot_is_over);
    ADD("digest-proves-who-calls", digest_proves_who_calls);
    ADD("sha-256-is-offered-when-asked-for", sha_256_is_offered_when_asked_for);
    ADD("wrong-digests-are-asked-again", wrong_digests_are_asked_again);
    ADD("recorded-digest-opens-nothing", a_recorded_digest_opens_nothing);
    ADD("assertions-of-strangers-do-not-count", strangers_assertions_do_not_count);
    ADD("assertions-of-trusted-addresses-count", assertions_of_trusted_addresses_count);
    ADD("assertions-of-trusted-certificates-count", assertions_of_trusted_certificates_count);
    ADD("self-made-certificates-are-refused", self_made_certificates_are_refused);
    ADD("headers-are-reported", headers_are_reported);
    ADD("nonsense-gets-its-status", nonsense_gets_its_status);
    ADD("unreachable-vias-do-no-harm", unreachable_vias_do_no_harm);
    ADD("merged-requests-are-refused", merged_requests_are_refused);
    ADD("calls-beyond-the-limit-wait", calls_beyond_the_limit_wait);
    ADD("unknown-schemes", unknown_uri_schemes_get_416);
    ADD("floods-are-told-to-wait", floods_are_told_to_wait);
    ADD("closing-house-takes-nobody", a_closing_house_takes_nobody);
    ADD("giants-are-refused", giants_are_refused);
    ADD("silence-does-not-keep-others-out", silence_does_not_keep_others_out);
    ADD("half-hearted-peers-are-closed", half_hearted_peers_are_closed);
    ADD("addresses-are-checked", addresses_are_checked);
    result = g_test_run();
    remove_files();
    return result;
}
