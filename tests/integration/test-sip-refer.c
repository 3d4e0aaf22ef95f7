/* SPDX-License-Identifier: Apache-2.0 */
/* Do REFERs to a conference reach the hub, and does what it says reach the referrer?
 *
 * A real ClvSip on loopback, a fake hub and raw peers in one thread. Above each test stands its
 * ladder: alice on the left, the room on the right.
 */
#include "config.h"

#include <glib/gstdio.h>

#include "sip-world.h"

#define CAROL "Refer-To: <sip:carol@example.com>\r\n"

typedef struct Scene {
    World w;
    RawPeer *alice;
    RawCall call;
} Scene;

static void
setup(Scene *s, gconstpointer data)
{
    world_setup(&s->w, data);
    s->alice = raw_peer_new(s->w.loop, s->w.udp, NULL);
}

static void
teardown(Scene *s, gconstpointer data)
{
    raw_call_clear(&s->call);
    raw_peer_free(s->alice);
    world_teardown(&s->w, data);
}

static void
dial_in(Scene *s)
{
    world_establish(&s->w, &s->call, s->alice, NULL);
}

static void
outside(Scene *s, const char *user)
{
    g_autofree char *uri = world_uri(&s->w, user);

    raw_call_clear(&s->call);
    raw_call_init(&s->call, s->alice, uri);
}

/* The next NOTIFY, answered; its state and body are as expected. */
static char *
expect_notify(Scene *s, const char *state, const char *fragment)
{
    char *notify = world_next(&s->w, s->alice, "NOTIFY");
    g_autofree char *got = raw_header(notify, "Subscription-State");
    g_autofree char *type = raw_header(notify, "Content-Type");

    if (raw_peer_had_before(s->alice, notify)) {
        g_free(notify);
        return expect_notify(s, state, fragment);
    }
    if (!g_str_has_prefix(got, state) || !g_str_has_prefix(raw_body(notify), fragment))
        g_error("expected %s and %s, got\n%s", state, fragment, notify);
    g_assert_true(g_str_has_prefix(type, "message/sipfrag"));
    raw_call_answer(&s->call, notify, 200, NULL, NULL);
    return notify;
}

/* REFER ->  <- 202  <- NOTIFY 100  200 ->  <- NOTIFY 200 (terminated)  200 -> */
static void
a_refer_in_a_call_is_accepted_and_told_about(Scene *s, gconstpointer unused)
{
    g_autofree char *accepted = NULL, *first = NULL, *event = NULL, *contact = NULL, *last = NULL;

    dial_in(s);
    raw_call_send(&s->call, "REFER", CAROL "Referred-By: <sip:Alice@Example.org>\r\n", NULL);
    accepted = raw_call_expect(&s->call, 202);
    world_expect(&s->w, "refer");
    g_assert_cmpstr(s->w.hub.refer_target, ==, "sip:carol@example.com");
    g_assert_false(s->w.hub.refer_removes);
    g_assert_cmpuint(s->w.hub.refer_leg, ==, s->w.hub.last_leg);
    g_assert_false(s->w.hub.refer_leg_is_named);
    g_assert_null(s->w.hub.refer_ticket);
    first = expect_notify(s, "active;expires=", "SIP/2.0 100 Trying\r\n");
    event = raw_header(first, "Event");
    contact = raw_header(first, "Contact");
    g_assert_cmpstr(event, ==, "refer");
    g_assert_null(strstr(contact, "isfocus"));
    clv_sip_refer_notify(s->w.hub.sip, s->w.hub.refer, 200, NULL, TRUE);
    last = expect_notify(s, "terminated;reason=noresource", "SIP/2.0 200 OK\r\n");
    raw_call_send(&s->call, "BYE", NULL, NULL);
    g_free(raw_call_expect(&s->call, 200));
    world_expect_empty(&s->w);
}

static void
a_refer_outside_a_call_makes_a_dialog_of_its_own(Scene *s, gconstpointer unused)
{
    g_autofree char *accepted = NULL;

    outside(s, "abc.conf");
    raw_call_send(&s->call, "REFER", CAROL, NULL);
    accepted = raw_call_expect(&s->call, 202);
    g_assert_nonnull(s->call.to_tag);
    world_expect(&s->w, "refer");
    g_assert_cmpuint(s->w.hub.refer_leg, ==, 0);
    g_free(expect_notify(s, "active", "SIP/2.0 100 Trying\r\n"));
    clv_sip_refer_notify(s->w.hub.sip, s->w.hub.refer, 180, NULL, FALSE);
    g_free(expect_notify(s, "active", "SIP/2.0 180 Ringing\r\n"));
    clv_sip_refer_notify(s->w.hub.sip, s->w.hub.refer, 403, "Diverted", TRUE);
    g_free(expect_notify(s, "terminated;reason=noresource", "SIP/2.0 403 Diverted\r\n"));
    world_expect_empty(&s->w);
    clv_sip_refer_notify(s->w.hub.sip, s->w.hub.refer, 200, NULL, TRUE); /* a dead id */
    world_expect_silence(s->alice, 50);
}

static void
one_notify_is_under_way_and_the_latest_follows(Scene *s, gconstpointer unused)
{
    g_autofree char *first = NULL;

    outside(s, "abc.conf");
    raw_call_send(&s->call, "REFER", CAROL, NULL);
    g_free(raw_call_expect(&s->call, 202));
    first = world_next(&s->w, s->alice, "NOTIFY");
    for (guint i = 0; i < 1000; i++)
        clv_sip_refer_notify(s->w.hub.sip, s->w.hub.refer, 180 + i % 3, NULL, FALSE);
    clv_sip_refer_notify(s->w.hub.sip, s->w.hub.refer, 200, NULL, TRUE);
    raw_call_answer(&s->call, first, 200, NULL, NULL);
    for (;;) {
        g_autofree char *notify = world_next(&s->w, s->alice, "NOTIFY");

        if (strstr(notify, "100 Trying") != NULL)
            continue; /* a repetition of the first */
        g_assert_nonnull(strstr(notify, "SIP/2.0 200 OK"));
        raw_call_answer(&s->call, notify, 200, NULL, NULL);
        break;
    }
    world_expect_empty(&s->w);
}

/* REFER ->  <- 202  <- NOTIFY 100  <- NOTIFY 200 (terminated)  <- BYE */
static void
the_last_word_comes_before_our_bye(Scene *s, gconstpointer unused)
{
    g_autofree char *first = NULL, *last = NULL, *bye = NULL;

    dial_in(s);
    raw_call_send(&s->call, "REFER", "Refer-To: <sip:alice@example.org;method=BYE>\r\n", NULL);
    g_free(raw_call_expect(&s->call, 202));
    world_expect(&s->w, "refer");
    first = world_next(&s->w, s->alice, "NOTIFY");
    g_assert_nonnull(strstr(first, "100 Trying"));
    clv_sip_refer_notify(s->w.hub.sip, s->w.hub.refer, 200, NULL, TRUE);
    clv_sip_end(s->w.hub.sip, s->w.hub.last_leg, NULL);
    last = world_next(&s->w, s->alice, "NOTIFY");
    g_assert_nonnull(strstr(last, "SIP/2.0 200 OK"));
    g_assert_nonnull(strstr(last, "terminated"));
    raw_call_answer(&s->call, first, 200, NULL, NULL);
    raw_call_answer(&s->call, last, 200, NULL, NULL);
    bye = world_next(&s->w, s->alice, "BYE");
    raw_call_answer(&s->call, bye, 200, NULL, NULL);
}

static void
norefersub_brings_no_notify(Scene *s, gconstpointer unused)
{
    g_autofree char *accepted = NULL, *sub = NULL;

    outside(s, "abc.conf");
    raw_call_send(&s->call, "REFER", CAROL "Require: norefersub\r\nRefer-Sub: false\r\n", NULL);
    accepted = raw_call_expect(&s->call, 202);
    sub = raw_header(accepted, "Refer-Sub");
    g_assert_cmpstr(sub, ==, "false");
    clv_sip_refer_notify(s->w.hub.sip, s->w.hub.refer, 200, NULL, TRUE);
    world_expect_silence(s->alice, 50);
    world_expect_empty(&s->w);
}

static void
later_refers_in_a_call_carry_an_id(Scene *s, gconstpointer unused)
{
    g_autofree char *first = NULL, *second = NULL, *event = NULL, *want = NULL;
    ClvReferId one;

    dial_in(s);
    raw_call_send(&s->call, "REFER", CAROL, NULL);
    g_free(raw_call_expect(&s->call, 202));
    first = expect_notify(s, "active", "SIP/2.0 100");
    one = s->w.hub.refer;
    raw_call_send(&s->call, "REFER", "Refer-To: <sip:dave@example.org;method=BYE>\r\n", NULL);
    g_free(raw_call_expect(&s->call, 202));
    g_assert_true(s->w.hub.refer_removes);
    second = expect_notify(s, "active", "SIP/2.0 100");
    event = raw_header(second, "Event");
    want = g_strdup_printf("refer;id=%u", s->call.cseq);
    g_assert_cmpstr(event, ==, want);
    clv_sip_refer_notify(s->w.hub.sip, one, 200, NULL, TRUE);
    g_free(expect_notify(s, "terminated", "SIP/2.0 200"));
    clv_sip_refer_notify(s->w.hub.sip, s->w.hub.refer, 404, NULL, TRUE);
    g_free(expect_notify(s, "terminated", "SIP/2.0 404 Not Found"));
}

/* ---- subscriptions ---- */

static void
subscribe_refreshes_and_ends_a_refer(Scene *s, gconstpointer unused)
{
    g_autofree char *ok = NULL, *expires = NULL;

    outside(s, "abc.conf");
    raw_call_send(&s->call, "REFER", CAROL, NULL);
    g_free(raw_call_expect(&s->call, 202));
    g_free(expect_notify(s, "active", "SIP/2.0 100"));
    raw_call_send(&s->call, "SUBSCRIBE", "Event: refer\r\nExpires: 999999\r\n", NULL);
    ok = raw_call_expect(&s->call, 200);
    expires = raw_header(ok, "Expires");
    g_assert_cmpstr(expires, ==, "3600");
    g_free(expect_notify(s, "active;expires=3", "SIP/2.0 100"));
    raw_call_send(&s->call, "SUBSCRIBE", "Event: conference\r\n", NULL);
    g_free(raw_call_expect(&s->call, 489));
    raw_call_send(&s->call, "SUBSCRIBE", "Event: refer\r\nExpires: 0\r\n", NULL);
    g_free(raw_call_expect(&s->call, 200));
    g_free(expect_notify(s, "terminated;reason=timeout", "SIP/2.0 100"));
    raw_call_send(&s->call, "SUBSCRIBE", "Event: refer\r\n", NULL);
    g_free(raw_call_expect(&s->call, 481));
    clv_sip_refer_notify(s->w.hub.sip, s->w.hub.refer, 200, NULL, TRUE); /* nobody listens */
    world_expect_silence(s->alice, 50);
    world_expect_empty(&s->w);
}

static void
a_subscription_in_a_call_expires(Scene *s, gconstpointer unused)
{
    dial_in(s);
    raw_call_send(&s->call, "REFER", CAROL, NULL);
    g_free(raw_call_expect(&s->call, 202));
    g_free(expect_notify(s, "active", "SIP/2.0 100"));
    raw_call_send(&s->call, "SUBSCRIBE", "Event: refer\r\nExpires: 1\r\n", NULL);
    g_free(raw_call_expect(&s->call, 200));
    g_free(expect_notify(s, "active;expires=", "SIP/2.0 100"));
    g_free(expect_notify(s, "terminated;reason=timeout", "SIP/2.0 100"));
    clv_sip_refer_notify(s->w.hub.sip, s->w.hub.refer, 200, NULL, TRUE);
    world_expect_silence(s->alice, 50);
}

static void
a_notify_that_meets_481_is_the_last(Scene *s, gconstpointer unused)
{
    g_autofree char *notify = NULL;

    outside(s, "abc.conf");
    raw_call_send(&s->call, "REFER", CAROL, NULL);
    g_free(raw_call_expect(&s->call, 202));
    notify = world_next(&s->w, s->alice, "NOTIFY");
    raw_call_answer(&s->call, notify, 481, NULL, NULL);
    raw_run(s->w.loop, 50);
    clv_sip_refer_notify(s->w.hub.sip, s->w.hub.refer, 200, NULL, TRUE);
    world_expect_silence(s->alice, 50);
    world_expect_empty(&s->w);
}

static void
hanging_up_ends_the_notifys_of_a_call(Scene *s, gconstpointer unused)
{
    dial_in(s);
    raw_call_send(&s->call, "REFER", CAROL, NULL);
    g_free(raw_call_expect(&s->call, 202));
    g_free(expect_notify(s, "active", "SIP/2.0 100"));
    raw_call_send(&s->call, "BYE", NULL, NULL);
    g_free(raw_call_expect(&s->call, 200));
    clv_sip_refer_notify(s->w.hub.sip, s->w.hub.refer, 200, NULL, TRUE);
    world_expect_silence(s->alice, 50);
    world_expect_empty(&s->w);
}

static void
subscriptions_to_anything_else_get_489(Scene *s, gconstpointer unused)
{
    g_autofree char *bad = NULL, *events = NULL;

    outside(s, "abc.conf");
    raw_call_send(&s->call, "SUBSCRIBE", "Event: presence\r\n", NULL);
    bad = raw_call_expect(&s->call, 489);
    events = raw_header(bad, "Allow-Events");
    g_assert_nonnull(strstr(events, "refer"));
}

/* ---- what may stand in a REFER ---- */

static void
refers_are_checked_in_order(Scene *s, gconstpointer unused)
{
    static const struct {
        const char *user, *extra;
        guint status;
    } cases[] = {
        {"abc.conf", NULL, 400},
        {"abc.conf", CAROL "Refer-To: <sip:dave@example.org>\r\n", 400},
        {"abc.conf", "Refer-To: <http://example.org/>\r\n", 403},
        {"abc.conf", "Refer-To: <cid:list@example.org>\r\n", 403},
        {"abc.conf", "Refer-To: <sip:carol@example.com;method=SUBSCRIBE>\r\n", 403},
        {"abc.conf", "Refer-To: <sip:carol@example.com?Replaces=nonsense>\r\n", 400},
        {"abc.conf", "Refer-To: <sip:carol@example.com?Replaces=%zz>\r\n", 400},
        {"abc.conf", "Refer-To: <sip:carol@example.com?Call-ID=a&Call-ID=b>\r\n", 400},
        {"abc.conf", "Refer-To: <sip:@>\r\n", 400},
        {"abc.conf", CAROL "Require: multiple-refer\r\n", 420},
        {"abc.conf", CAROL "Max-Forwards: 0\r\n", 0},
        {"abc.conf", CAROL "Contact: <tel:+491234>\r\n", 400},
        {"factory.conf", CAROL, 403},
        {"nobody", CAROL, 404},
        {"gone.conf", CAROL, 404},
        {"off.conf", CAROL, 480},
    };

    for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
        if (cases[i].status == 0)
            continue;
        outside(s, cases[i].user);
        raw_call_send(&s->call, "REFER", cases[i].extra, NULL);
        g_free(raw_call_expect(&s->call, cases[i].status));
    }
    g_assert_cmpuint(s->w.hub.n_refers, ==, 0);
    world_expect_empty(&s->w);
}

static void
bodies_of_refers_are_tickets_or_refused(Scene *s, gconstpointer unused)
{
#define MIKEY "Content-Type: application/mikey\r\n"
#define BASE64 "Content-Transfer-Encoding: base64\r\n"
#define MIXED "Content-Type: multipart/mixed;boundary=\"xyz\"\r\n"
#define KEYED_SDP                                                                                  \
    "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n"                    \
    "a=key-mgmt:mikey AQID\r\n"
    static const struct {
        const char *extra, *body;
        guint status;
        const char *ticket;
    } cases[] = {
        {MIKEY BASE64, "AQ\r\nID\r\n", 202, "mikey AQID"},
        {MIKEY, "\x01\x02\x03", 202, "mikey AQID"},
        {MIKEY BASE64, "AQI*", 400, NULL},
        {MIKEY BASE64, "=AQI", 400, NULL},
        {MIKEY BASE64, "AQI", 400, NULL},
        {"Content-Type: application/sdp\r\n", KEYED_SDP, 202, "mikey AQID"},
        {"Content-Type: application/sdp\r\n", KEYED_SDP "m=audio 9 RTP/SAVP 0\r\n", 400, NULL},
        {"Content-Type: application/sdp\r\n", "v=0\r\n", 400, NULL},
        {"Content-Type: text/plain\r\n", "hello", 415, NULL},
        {MIKEY BASE64 "Content-Encoding: gzip\r\n", "AQID", 415, NULL},
        {MIXED,
         "--xyz\r\nContent-Type: text/plain\r\n\r\nhello\r\n--xyz\r\n" MIKEY BASE64
         "\r\nAQID\r\n--xyz--\r\n",
         202, "mikey AQID"},
        {MIXED, "--xyz\r\n" MIKEY BASE64 "\r\nAQID\r\n", 400, NULL},
        {MIXED,
         "--xyz\r\n" MIKEY BASE64 "\r\nAQID\r\n--xyz\r\n" MIKEY BASE64 "\r\nAQID\r\n--xyz--\r\n",
         400, NULL},
        {"Content-Type: multipart/mixed\r\n", "--\r\n", 400, NULL},
    };

    for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *extra = g_strconcat(CAROL "Refer-Sub: false\r\n", cases[i].extra, NULL);

        outside(s, "abc.conf");
        raw_call_send(&s->call, "REFER", extra, cases[i].body);
        g_free(raw_call_expect(&s->call, cases[i].status));
        if (cases[i].status != 202)
            continue;
        g_assert_cmpstr(s->w.hub.refer_ticket, ==, cases[i].ticket);
        clv_sip_refer_notify(s->w.hub.sip, s->w.hub.refer, 200, NULL, TRUE);
    }
    world_expect_empty(&s->w);
}

static void
escaped_fields_name_a_dialog_and_what_to_replace(Scene *s, gconstpointer unused)
{
    RawCall other;
    RawPeer *bob = s->w.bob;
    g_autofree char *extra = NULL, *target_dialog = NULL;
    ClvLegId leg;

    world_establish(&s->w, &other, bob, NULL);
    leg = s->w.hub.last_leg;
    extra = g_strdup_printf(
        "Refer-To: <sip:bob@example.org;method=BYE?Call-ID=%s&From=%%3csip:x@y%%3e%%3btag%%3d%s"
        "&To=%%3csip:z@y%%3e%%3Btag=%s&Subject=x>\r\nRefer-Sub: false\r\n",
        other.call_id, "from1", other.to_tag);
    outside(s, "abc.conf");
    raw_call_send(&s->call, "REFER", extra, NULL);
    g_free(raw_call_expect(&s->call, 202));
    g_assert_true(s->w.hub.refer_names_dialog);
    g_assert_cmpuint(s->w.hub.refer_target_leg, ==, leg);
    clv_sip_refer_notify(s->w.hub.sip, s->w.hub.refer, 200, NULL, TRUE);

    target_dialog = g_strdup_printf(
        "Refer-To: <sip:carol@example.com?Replaces=a%%40b%%3Bto-tag%%3Dc%%3Bfrom-tag%%3Dd>\r\n"
        "Refer-Sub: false\r\nTarget-Dialog: %s;local-tag=from1;remote-tag=%s\r\n",
        other.call_id, other.to_tag);
    outside(s, "abc.conf");
    raw_call_send(&s->call, "REFER", target_dialog, NULL);
    g_free(raw_call_expect(&s->call, 202));
    g_assert_cmpstr(s->w.hub.refer_replaces, ==, "a@b;to-tag=c;from-tag=d");
    g_assert_cmpuint(s->w.hub.refer_leg, ==, leg);
    g_assert_true(s->w.hub.refer_leg_is_named);
    g_assert_false(s->w.hub.refer_names_dialog);
    clv_sip_refer_notify(s->w.hub.sip, s->w.hub.refer, 200, NULL, TRUE);
    raw_call_clear(&other);
}

/* REFER naming that dialog, either way round, or none. */
static ClvLegId
leg_named(Scene *s, const char *call_id, const char *local, const char *remote)
{
    g_autofree char *extra =
        g_strdup_printf(CAROL "Refer-Sub: false\r\nTarget-Dialog: %s;local-tag=%s;remote-tag=%s\r\n",
                        call_id, local, remote);

    outside(s, "abc.conf");
    raw_call_send(&s->call, "REFER", extra, NULL);
    g_free(raw_call_expect(&s->call, 202));
    clv_sip_refer_notify(s->w.hub.sip, s->w.hub.refer, 200, NULL, TRUE);
    return s->w.hub.refer_leg;
}

static void
dialogs_are_found_by_both_tags(Scene *s, gconstpointer unused)
{
    static const char *const from_tags[] = {"one", "two", "three"};
    RawCall calls[G_N_ELEMENTS(from_tags)];
    ClvLegId legs[G_N_ELEMENTS(from_tags)];
    g_autofree char *uri = world_uri(&s->w, "abc.conf");

    for (gsize i = 0; i < G_N_ELEMENTS(calls); i++) {
        raw_call_init(&calls[i], s->w.bob, uri);
        g_free(calls[i].call_id); /* of all of them */
        calls[i].call_id = g_strdup("same@example.org");
        g_free(calls[i].from_tag);
        calls[i].from_tag = g_strdup(from_tags[i]);
        raw_call_send(&calls[i], "INVITE", NULL, WORLD_OFFER);
        g_free(raw_call_expect(&calls[i], 180));
        g_free(raw_call_expect(&calls[i], 200));
        raw_call_ack(&calls[i], NULL);
        legs[i] = s->w.hub.last_leg;
    }
    for (gsize i = 0; i < G_N_ELEMENTS(calls); i++) {
        const RawCall *next = &calls[(i + 1) % G_N_ELEMENTS(calls)];

        g_assert_cmpuint(leg_named(s, calls[i].call_id, calls[i].to_tag, from_tags[i]), ==, legs[i]);
        g_assert_cmpuint(leg_named(s, calls[i].call_id, from_tags[i], calls[i].to_tag), ==, legs[i]);
        g_assert_cmpuint(leg_named(s, calls[i].call_id, next->to_tag, from_tags[i]), ==, 0);
        g_assert_cmpuint(leg_named(s, "other@example.org", calls[i].to_tag, from_tags[i]), ==, 0);
    }
    raw_call_send(&calls[1], "BYE", NULL, NULL);
    g_free(raw_call_expect(&calls[1], 200));
    g_assert_cmpuint(leg_named(s, calls[1].call_id, calls[1].to_tag, from_tags[1]), ==, 0);
    g_assert_cmpuint(leg_named(s, calls[2].call_id, calls[2].to_tag, from_tags[2]), ==, legs[2]);
    for (gsize i = 0; i < G_N_ELEMENTS(calls); i++)
        raw_call_clear(&calls[i]);
}

static void
the_hub_may_challenge_or_refuse(Scene *s, gconstpointer unused)
{
    g_autofree char *challenge = NULL, *www = NULL;

    s->w.hub.mood = HUB_WANTS_DIGEST;
    outside(s, "abc.conf");
    raw_call_send(&s->call, "REFER", CAROL, NULL);
    challenge = raw_call_expect(&s->call, 401);
    www = raw_header(challenge, "WWW-Authenticate");
    g_assert_true(g_str_has_prefix(www, "Digest "));
    raw_call_send(&s->call, "REFER",
                  CAROL "Authorization: Digest username=\"bob\", realm=\"conclave\", nonce=\"x\", "
                        "uri=\"sip:x\", response=\"y\"\r\n",
                  NULL);
    g_free(raw_call_expect(&s->call, 401));
    g_assert_cmpuint(s->w.hub.n_refers, ==, 1); /* wrong ones do not get that far */
    s->w.hub.mood = HUB_ACCEPTS;
    s->w.hub.refer_code = CLV_CODE_FORBIDDEN;
    raw_call_send(&s->call, "REFER", CAROL, NULL);
    g_free(raw_call_expect(&s->call, 403));
    world_expect_empty(&s->w);
}

/* ---- whose Contact may be anybody's ---- */

#define TICKET CAROL "Content-Type: application/mikey\r\nContent-Transfer-Encoding: base64\r\n"

/* REFER ->  <- 202 ... (proven)  <- NOTIFY 100  200 ->  <- NOTIFY 200 (terminated)  200 -> */
static void
an_unproven_address_hears_nothing_before_the_proof(Scene *s, gconstpointer unused)
{
    outside(s, "abc.conf");
    raw_call_send(&s->call, "REFER", TICKET, "AQID");
    g_free(raw_call_expect(&s->call, 202));
    world_expect_silence(s->alice, 100);
    raw_call_send(&s->call, "SUBSCRIBE", "Event: refer\r\nExpires: 60\r\n", NULL);
    g_free(raw_call_expect(&s->call, 200));
    world_expect_silence(s->alice, 100);
    clv_sip_refer_proven(s->w.hub.sip, s->w.hub.refer);
    g_free(expect_notify(s, "active", "SIP/2.0 100 Trying\r\n"));
    clv_sip_refer_notify(s->w.hub.sip, s->w.hub.refer, 200, NULL, TRUE);
    g_free(expect_notify(s, "terminated;reason=noresource", "SIP/2.0 200 OK\r\n"));
    world_expect_empty(&s->w);
}

/* REFER ->  <- 202 ... (no good)  <- NOTIFY 403 (terminated), never again */
static void
an_unproven_address_hears_the_last_word_once(Scene *s, gconstpointer unused)
{
    g_autofree char *last = NULL;

    outside(s, "abc.conf");
    raw_call_send(&s->call, "REFER", TICKET, "AQID");
    g_free(raw_call_expect(&s->call, 202));
    clv_sip_refer_notify(s->w.hub.sip, s->w.hub.refer, 403, NULL, TRUE);
    last = raw_call_expect_request(&s->call, "NOTIFY");
    g_assert_nonnull(strstr(last, "SIP/2.0 403"));
    g_assert_nonnull(strstr(last, "terminated;reason=noresource"));
    world_expect_silence(s->alice, 5 * WORLD_T1_MS);
    world_expect_empty(&s->w);
    raw_call_answer(&s->call, last, 200, NULL, NULL);
    raw_run(s->w.loop, 20);
}

static void
nobody_else_hears_of_an_unproven_refer(Scene *s, gconstpointer unused)
{
    static const char *const contacts[] = {
        "<sip:alice@localhost:%s>", "<sip:alice@192.0.2.1:%s>", "<sip:alice@127.0.0.2:%s>",
        "<sip:alice@127.0.0.1:%s;transport=tcp>", "<sip:alice@127.0.0.1:%s;maddr=127.0.0.1>",
        "<sip:alice@127.0.0.1:%s>\r\nRecord-Route: <sip:127.0.0.1:9;lr>"};
    const char *port = strrchr(raw_peer_address(s->alice), ':') + 1;

    for (gsize i = 0; i < G_N_ELEMENTS(contacts); i++) {
        g_auto(GStrv) parts = g_strsplit(contacts[i], "%s", 2);
        g_autofree char *extra =
            g_strconcat(TICKET "Contact: ", parts[0], port, parts[1], "\r\n", NULL);

        outside(s, "abc.conf");
        raw_call_send(&s->call, "REFER", extra, "AQID");
        g_free(raw_call_expect(&s->call, 202));
        clv_sip_refer_notify(s->w.hub.sip, s->w.hub.refer, 403, NULL, TRUE);
        world_expect_silence(s->alice, 30);
    }
    world_expect_empty(&s->w);
}

/* A connection shows that somebody is there; what it is for goes by it, wherever the Contact is. */
static void
an_unproven_connection_hears_all(Scene *s, gconstpointer unused)
{
    raw_peer_free(s->alice);
    s->alice = raw_peer_new(s->w.loop, s->w.tcp, NULL);
    outside(s, "abc.conf");
    raw_call_send(&s->call, "REFER", TICKET, "AQID");
    g_free(raw_call_expect(&s->call, 202));
    g_free(expect_notify(s, "active", "SIP/2.0 100 Trying\r\n"));
    clv_sip_refer_notify(s->w.hub.sip, s->w.hub.refer, 403, NULL, TRUE);
    g_free(expect_notify(s, "terminated;reason=noresource", "SIP/2.0 403"));
    world_expect_empty(&s->w);
}

/* ---- too much ---- */

static void
refers_count_as_calls_do(Scene *s, gconstpointer unused)
{
    s->w.config.max_invites_per_s = 3;
    world_restart(&s->w);
    raw_peer_free(s->alice);
    s->alice = raw_peer_new(s->w.loop, s->w.udp, NULL);
    dial_in(s);
    for (guint i = 0; i < 3; i++) {
        RawCall call;
        g_autofree char *uri = world_uri(&s->w, "abc.conf");

        raw_call_init(&call, s->alice, uri);
        raw_call_send(&call, "REFER", CAROL "Refer-Sub: false\r\n", NULL);
        g_free(raw_call_expect(&call, i < 2 ? 202 : 503));
        raw_call_clear(&call);
    }
    raw_call_send(&s->call, "REFER", CAROL "Refer-Sub: false\r\n", NULL); /* is in already */
    g_free(raw_call_expect(&s->call, 202));
}

static void
one_source_cannot_take_all_the_places(Scene *s, gconstpointer unused)
{
    guint accepted = 0;

    for (guint i = 0; i < 140; i++) {
        g_autofree char *answer = NULL;

        outside(s, "abc.conf");
        raw_call_send(&s->call, "REFER", CAROL "Refer-Sub: false\r\n", NULL);
        answer = raw_peer_receive(s->alice, 3000);
        g_assert_nonnull(answer);
        if (raw_status(answer) == 202)
            accepted++;
        else
            g_assert_cmpuint(raw_status(answer), ==, 503);
    }
    g_assert_cmpuint(accepted, ==, 128);
}

/* Anybody can write her address on his packets. */
static void
strangers_do_not_use_up_the_share_of_who_is_in_a_call(Scene *s, gconstpointer unused)
{
    RawCall call = {0};
    g_autofree char *uri = world_uri(&s->w, "abc.conf");

    dial_in(s);
    for (guint i = 0; i < 128; i++) {
        raw_call_clear(&call);
        raw_call_init(&call, s->alice, uri);
        raw_call_send(&call, "REFER", CAROL "Refer-Sub: false\r\n", NULL);
        g_free(raw_call_expect(&call, 202));
    }
    raw_call_clear(&call);
    raw_call_init(&call, s->alice, uri);
    raw_call_send(&call, "REFER", CAROL "Refer-Sub: false\r\n", NULL);
    g_free(raw_call_expect(&call, 503));
    raw_call_send(&s->call, "REFER", CAROL "Refer-Sub: false\r\n", NULL);
    g_free(raw_call_expect(&s->call, 202));
    raw_call_clear(&call);
}

/* Of all the places a quarter is left to who is in a call, or comes by a trusted peer. */
static void
strangers_have_three_quarters_of_the_places(Scene *s, gconstpointer unused)
{
    g_autofree char *uri = world_uri(&s->w, "abc.conf");
    guint accepted = 0, refused = 0;

    for (guint host = 2; host < 28; host++) {
        g_autofree char *from = g_strdup_printf("127.0.0.%u", host);
        RawPeer *peer = raw_peer_from(s->w.loop, s->w.udp, from);

        for (guint i = 0; i < 128 && refused < 10; i++) {
            g_autofree char *answer = NULL;
            RawCall call;

            raw_call_init(&call, peer, uri);
            raw_call_send(&call, "REFER", CAROL "Refer-Sub: false\r\n", NULL);
            answer = raw_peer_receive(peer, 3000);
            g_assert_nonnull(answer);
            accepted += raw_status(answer) == 202;
            refused += raw_status(answer) == 503;
            raw_call_clear(&call);
        }
        raw_peer_free(peer);
    }
    g_assert_cmpuint(accepted, ==, 3072);
    g_assert_cmpuint(refused, ==, 10);
    world_forget(&s->w);
    dial_in(s);
    raw_call_send(&s->call, "REFER", CAROL "Refer-Sub: false\r\n", NULL);
    g_free(raw_call_expect(&s->call, 202));
}

static void
a_thousand_targets_are_refused_at_once(Scene *s, gconstpointer unused)
{
    RawPeer *peer = raw_peer_new(s->w.loop, s->w.tcp, NULL);
    GString *many = g_string_new(NULL);
    g_autofree char *uri = world_uri(&s->w, "abc.conf"), *answer = NULL;
    RawCall call;

    for (guint i = 0; i < 1000; i++)
        g_string_append_printf(many, "Refer-To: <sip:user%u@example.org>\r\n", i);
    raw_call_init(&call, peer, uri);
    raw_call_send(&call, "REFER", many->str, NULL);
    answer = raw_call_expect(&call, 400);
    g_assert_cmpuint(s->w.hub.n_refers, ==, 0);
    raw_call_clear(&call);
    raw_peer_free(peer);
    g_string_free(many, TRUE);
}

/* ---- REFERs of ours ---- */

/* REFER ->  <- 202  <- NOTIFY 180  200 ->  <- NOTIFY 200 (terminated)  200 -> */
static void
a_refer_of_ours_is_sent_and_followed(Scene *s, gconstpointer unused)
{
    static const guint8 mikey[] = {1, 2, 3};
    ClvSipReferOut wish = {77, s->w.bob_uri, HUB_CONFERENCE, mikey, sizeof(mikey)};
    g_autofree char *refer = NULL, *refer_to = NULL, *type = NULL, *encoding = NULL;
    RawCall call;

    g_assert_true(clv_sip_refer(s->w.hub.sip, &wish));
    refer = raw_call_taken(&call, s->w.bob, "REFER", "bob1");
    refer_to = raw_header(refer, "Refer-To");
    type = raw_header(refer, "Content-Type");
    encoding = raw_header(refer, "Content-Transfer-Encoding");
    g_assert_cmpstr(refer_to, ==, "<" HUB_CONFERENCE ">");
    g_assert_cmpstr(type, ==, "application/mikey");
    g_assert_cmpstr(encoding, ==, "base64");
    g_assert_cmpstr(raw_body(refer), ==, "AQID");
    raw_call_answer_as(&call, refer, 202, "bob1", NULL, NULL, NULL);
    world_expect(&s->w, "refer-status:202");
    raw_call_send(&call, "NOTIFY", "Event: presence\r\nSubscription-State: active\r\n", NULL);
    g_free(raw_call_expect(&call, 489));
    raw_call_send(&call, "NOTIFY", "Event: refer\r\n", NULL);
    g_free(raw_call_expect(&call, 400));
    for (guint i = 0; i < 50; i++) { /* a flood of the same is told once */
        raw_call_send(&call, "NOTIFY",
                      "Event: refer\r\nSubscription-State: active;expires=60\r\n"
                      "Content-Type: message/sipfrag\r\n",
                      "SIP/2.0 180 Ringing\r\n");
        g_free(raw_call_expect(&call, 200));
    }
    world_expect(&s->w, "refer-status:202 refer-status:180");
    raw_call_send(&call, "NOTIFY",
                  "Event: refer\r\nSubscription-State: terminated;reason=noresource\r\n"
                  "Content-Type: message/sipfrag\r\n",
                  "SIP/2.0 200 OK\r\n");
    g_free(raw_call_expect(&call, 200));
    world_expect(&s->w, "refer-status:202 refer-status:180 refer-status:200!");
    raw_call_send(&call, "NOTIFY",
                  "Event: refer\r\nSubscription-State: active\r\nContent-Type: message/sipfrag\r\n",
                  "SIP/2.0 100 Trying\r\n");
    g_free(raw_call_expect(&call, 481));
    world_expect_empty(&s->w);
    raw_call_clear(&call);
}

static void
a_refused_refer_of_ours_is_told(Scene *s, gconstpointer unused)
{
    ClvSipReferOut wish = {78, s->w.bob_uri, HUB_CONFERENCE, NULL, 0};
    ClvSipReferOut nonsense = {79, "tel:+4930123", HUB_CONFERENCE, NULL, 0};
    g_autofree char *refer = NULL;
    RawCall call;

    g_assert_false(clv_sip_refer(s->w.hub.sip, &nonsense));
    g_assert_true(clv_sip_refer(s->w.hub.sip, &wish));
    refer = raw_call_taken(&call, s->w.bob, "REFER", "bob1");
    raw_call_answer_as(&call, refer, 603, "bob1", NULL, NULL, NULL);
    world_expect(&s->w, "refer-status:603!");
    world_expect_empty(&s->w);
    raw_call_clear(&call);
}

/* REFER ->  (forgotten)  <- 202;  REFER ->  <- 202  (forgotten)  <- NOTIFY 180  200 ->  <- NOTIFY 200
 * (terminated)  200 ->  and no word of it */
static void
a_refer_of_ours_that_is_forgotten_leaves_nothing(Scene *s, gconstpointer unused)
{
    ClvSipReferOut wish = {77, s->w.bob_uri, HUB_CONFERENCE, NULL, 0}, other = wish;
    g_autofree char *first = NULL, *second = NULL;
    RawCall one, two;

    other.token = 78;
    g_assert_true(clv_sip_refer(s->w.hub.sip, &wish));
    g_assert_false(clv_sip_refer(s->w.hub.sip, &wish)); /* its token is taken */
    first = raw_call_taken(&one, s->w.bob, "REFER", "bob1");
    clv_sip_refer_forget(s->w.hub.sip, 77);
    raw_call_answer_as(&one, first, 202, "bob1", NULL, NULL, NULL);
    g_assert_true(clv_sip_refer(s->w.hub.sip, &other));
    second = raw_call_taken(&two, s->w.bob, "REFER", "bob2");
    raw_call_answer_as(&two, second, 202, "bob2", NULL, NULL, NULL);
    world_expect(&s->w, "refer-status:202");
    clv_sip_refer_forget(s->w.hub.sip, 79); /* nobody's */
    clv_sip_refer_forget(s->w.hub.sip, 78);
    raw_call_send(&two, "NOTIFY",
                  "Event: refer\r\nSubscription-State: active\r\nContent-Type: message/sipfrag\r\n",
                  "SIP/2.0 180 Ringing\r\n");
    g_free(raw_call_expect(&two, 200));
    raw_call_send(&two, "NOTIFY",
                  "Event: refer\r\nSubscription-State: terminated\r\nContent-Type: message/sipfrag\r\n",
                  "SIP/2.0 200 OK\r\n");
    g_free(raw_call_expect(&two, 200));
    world_expect_empty(&s->w);
    world_expect(&s->w, "refer-status:202");
    raw_call_clear(&one);
    raw_call_clear(&two);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);

#define ADD(path, fn) g_test_add("/sip/refer/" path, Scene, NULL, setup, fn, teardown)
    ADD("forged-sources", strangers_do_not_use_up_the_share_of_who_is_in_a_call);
    ADD("in-call", a_refer_in_a_call_is_accepted_and_told_about);
    ADD("outside", a_refer_outside_a_call_makes_a_dialog_of_its_own);
    ADD("one-notify", one_notify_is_under_way_and_the_latest_follows);
    ADD("before-bye", the_last_word_comes_before_our_bye);
    ADD("norefersub", norefersub_brings_no_notify);
    ADD("ids", later_refers_in_a_call_carry_an_id);
    ADD("subscribe", subscribe_refreshes_and_ends_a_refer);
    ADD("expires", a_subscription_in_a_call_expires);
    ADD("481", a_notify_that_meets_481_is_the_last);
    ADD("hang-up", hanging_up_ends_the_notifys_of_a_call);
    ADD("489", subscriptions_to_anything_else_get_489);
    ADD("checks", refers_are_checked_in_order);
    ADD("bodies", bodies_of_refers_are_tickets_or_refused);
    ADD("escaped", escaped_fields_name_a_dialog_and_what_to_replace);
    ADD("by-tags", dialogs_are_found_by_both_tags);
    ADD("challenge", the_hub_may_challenge_or_refuse);
    ADD("unproven", an_unproven_address_hears_nothing_before_the_proof);
    ADD("unproven-no-good", an_unproven_address_hears_the_last_word_once);
    ADD("unproven-elsewhere", nobody_else_hears_of_an_unproven_refer);
    ADD("unproven-connection", an_unproven_connection_hears_all);
    ADD("rate", refers_count_as_calls_do);
    ADD("per-source", one_source_cannot_take_all_the_places);
    ADD("strangers", strangers_have_three_quarters_of_the_places);
    ADD("thousand", a_thousand_targets_are_refused_at_once);
    ADD("ours", a_refer_of_ours_is_sent_and_followed);
    ADD("ours-forgotten", a_refer_of_ours_that_is_forgotten_leaves_nothing);
    ADD("ours-refused", a_refused_refer_of_ours_is_told);

    return g_test_run();
}
