/* SPDX-License-Identifier: Apache-2.0 */
/* Does it all hold over TCP as well? There nothing is repeated, and nta forgets a finished
 * transaction with its messages at once: who reads an answer late reads freed memory, which a
 * sanitizer sees.
 */
#include "config.h"

#include "sip-world.h"

#define HAS_UPDATE "Allow: INVITE, ACK, BYE, CANCEL, UPDATE\r\n"

typedef struct Scene {
    World w;
    RawListener *listener; /* where bob is called */
    char *bob_uri;
    RawPeer *peer; /* alice, or bob's end of the connection */
    RawCall call;
} Scene;

static void
setup(Scene *s, gconstpointer data)
{
    world_setup(&s->w, data);
    s->listener = raw_listener_new(s->w.loop, NULL);
    s->bob_uri = g_strdup_printf("sip:bob@%s;transport=tcp", raw_listener_address(s->listener));
}

static void
teardown(Scene *s, gconstpointer data)
{
    raw_call_clear(&s->call);
    raw_peer_free(s->peer);
    raw_listener_free(s->listener);
    g_free(s->bob_uri);
    world_teardown(&s->w, data);
}

static void
restart(Scene *s, gint64 session_s)
{
    s->w.config.session_expires_s = session_s;
    s->w.config.min_se_s = 1;
    world_restart(&s->w);
}

/* Alice has a connection, and a call that nobody knows of yet. */
static void
connect_alice(Scene *s)
{
    g_autofree char *uri = world_uri(&s->w, "abc.conf");

    s->peer = raw_peer_new(s->w.loop, s->w.tcp, NULL);
    g_assert_nonnull(s->peer);
    raw_call_init(&s->call, s->peer, uri);
}

static void
dial_in(Scene *s, const char *extra)
{
    s->peer = raw_peer_new(s->w.loop, s->w.tcp, NULL);
    g_assert_nonnull(s->peer);
    world_establish(&s->w, &s->call, s->peer, extra);
}

static char *
ring_bob(Scene *s)
{
    g_assert_cmpuint(hub_call(&s->w.hub, s->bob_uri, NULL), !=, 0);
    s->peer = raw_listener_accept(s->listener, 3000);
    g_assert_nonnull(s->peer);
    return raw_call_taken(&s->call, s->peer, "INVITE", "bob1");
}

static void
hang_up(Scene *s)
{
    raw_call_send(&s->call, "BYE", NULL, NULL);
    g_free(raw_call_expect(&s->call, 200));
    world_expect_empty(&s->w);
    g_assert_cmpuint(s->w.hub.n_alive, ==, 0);
}

/* INVITE (Session-Expires 5) ->  <- 422  ACK ->  INVITE (90) ->  <- 200 */
static void
who_wants_too_short_a_session_asks_again(Scene *s, gconstpointer unused)
{
    g_autofree char *refusal = NULL, *min_se = NULL, *ok = NULL, *expires = NULL;

    connect_alice(s);
    raw_call_send(&s->call, "INVITE", "Supported: timer\r\nSession-Expires: 5\r\n", WORLD_OFFER);
    refusal = raw_call_expect(&s->call, 422);
    min_se = raw_header(refusal, "Min-SE");
    g_assert_cmpstr(min_se, ==, "90");
    raw_call_same_branch(&s->call, "ACK");
    g_clear_pointer(&s->call.to_tag, g_free);
    raw_call_send(&s->call, "INVITE", "Supported: timer\r\nSession-Expires: 90\r\n", WORLD_OFFER);
    g_free(raw_call_expect(&s->call, 180));
    ok = raw_call_expect(&s->call, 200);
    expires = raw_header(ok, "Session-Expires");
    g_assert_cmpstr(expires, ==, "90;refresher=uac");
    raw_call_ack(&s->call, NULL);
    hang_up(s);
}

/* UPDATE ->  <- 422 (Min-SE 5)  UPDATE (5) ->  <- 200 (1800): ours, as refresher */
static void
a_refresh_that_is_too_short_is_sent_again(Scene *s, gconstpointer unused)
{
    g_autofree char *update = NULL, *again = NULL, *expires = NULL;

    restart(s, 4);
    dial_in(s, HAS_UPDATE);
    update = raw_call_expect_request(&s->call, "UPDATE");
    raw_call_answer(&s->call, update, 422, "Min-SE: 5\r\n", NULL);
    again = raw_call_expect_request(&s->call, "UPDATE");
    expires = raw_header(again, "Session-Expires");
    g_assert_cmpstr(expires, ==, "5;refresher=uac");
    raw_call_answer(&s->call, again, 200, "Session-Expires: 1800;refresher=uac\r\n", NULL);
    world_expect_silence(s->peer, 1200);
    hang_up(s);
}

/* INVITE ->  <- 491  ACK ->  INVITE ->  <- 200  ACK -> */
static void
a_refresh_that_met_glare_is_sent_again(Scene *s, gconstpointer unused)
{
    g_autofree char *invite = NULL, *again = NULL, *ack = NULL, *cseq = NULL;

    restart(s, 2);
    dial_in(s, NULL);
    invite = raw_call_expect_request(&s->call, "INVITE");
    raw_call_answer(&s->call, invite, 491, NULL, NULL);
    g_free(raw_call_expect_request(&s->call, "ACK"));
    again = raw_call_expect_request(&s->call, "INVITE");
    g_assert_cmpstr(raw_body(again), ==, raw_body(invite));
    raw_call_answer(&s->call, again, 200, "Session-Expires: 1800;refresher=uac\r\n", WORLD_OFFER);
    ack = raw_call_expect_request(&s->call, "ACK");
    cseq = raw_header(ack, "CSeq");
    g_assert_true(g_str_has_suffix(cseq, " ACK"));
    world_expect_silence(s->peer, 100);
    hang_up(s);
}

/* The same in a call of ours: who owns the Call-ID waits longer, 4.2 to 8 T1 (RFC 3261 14.1). */
static void
the_owner_of_the_call_id_waits_longer_after_glare(Scene *s, gconstpointer unused)
{
    g_autofree char *contact = g_strdup_printf("Contact: <%s>\r\n", s->bob_uri);
    g_autofree char *invite = NULL, *refresh = NULL, *again = NULL;
    gint64 began;

    restart(s, 2);
    invite = ring_bob(s);
    raw_call_answer_as(&s->call, invite, 200, "bob1", contact,
                       "Require: timer\r\nSession-Expires: 2;refresher=uac\r\n", WORLD_OFFER);
    g_free(world_next(&s->w, s->peer, "ACK"));
    refresh = world_next(&s->w, s->peer, "INVITE");
    began = g_get_monotonic_time();
    raw_call_answer(&s->call, refresh, 491, NULL, NULL);
    g_free(world_next(&s->w, s->peer, "ACK"));
    again = world_next(&s->w, s->peer, "INVITE");
    g_assert_cmpint(g_get_monotonic_time() - began, >=, WORLD_T1_MS * 4200);
    raw_call_answer(&s->call, again, 200, "Session-Expires: 1800;refresher=uac\r\n", WORLD_OFFER);
    g_free(world_next(&s->w, s->peer, "ACK"));
    hang_up(s);
}

/* INVITE (ours) ->   <- INVITE (hers)   491 ->  <- ACK   <- 200 (ours)  ACK ->   <- INVITE  200 ->
 */
static void
an_offer_that_crosses_ours_gets_491(Scene *s, gconstpointer unused)
{
    g_autofree char *ours = NULL;

    restart(s, 2);
    dial_in(s, NULL);
    ours = raw_call_expect_request(&s->call, "INVITE");
    raw_call_send(&s->call, "INVITE", NULL, WORLD_OFFER);
    g_free(raw_call_expect(&s->call, 491));
    raw_call_same_branch(&s->call, "ACK");
    raw_call_send(&s->call, "UPDATE", NULL, WORLD_OFFER);
    g_free(raw_call_expect(&s->call, 491));
    raw_call_answer(&s->call, ours, 200, "Session-Expires: 1800;refresher=uac\r\n", WORLD_OFFER);
    g_free(raw_call_expect_request(&s->call, "ACK"));
    raw_call_send(&s->call, "INVITE", NULL, WORLD_OFFER);
    g_free(raw_call_expect(&s->call, 200));
    raw_call_ack(&s->call, NULL);
    world_expect(&s->w, "reoffer done");
    hang_up(s);
}

/* INVITE ->  <- 180  CANCEL ->  <- 200  <- 487  ACK -> */
static void
her_cancel_ends_the_call(Scene *s, gconstpointer unused)
{
    s->w.hub.mood = HUB_RINGS;
    connect_alice(s);
    raw_call_send(&s->call, "INVITE", NULL, WORLD_OFFER);
    g_free(raw_call_expect(&s->call, 180));
    raw_call_same_branch(&s->call, "CANCEL");
    g_free(raw_call_expect(&s->call, 200));
    g_free(raw_call_expect(&s->call, 487));
    raw_call_same_branch(&s->call, "ACK");
    world_expect(&s->w, "invite ended:cancel");
    world_expect_empty(&s->w);
}

/* INVITE ->  <- 180   CANCEL ->  <- 200  <- 487   ACK ->;  and with a 200 that crosses: ACK, BYE ->
 */
static void
our_cancel_ends_the_call(Scene *s, gconstpointer unused)
{
    g_autofree char *contact = g_strdup_printf("Contact: <%s>\r\n", s->bob_uri);

    for (guint i = 0; i < 2; i++) {
        g_autofree char *invite = NULL, *cancel = NULL;

        if (i == 0) {
            invite = ring_bob(s);
        } else { /* by the connection that is there */
            g_assert_cmpuint(hub_call(&s->w.hub, s->bob_uri, NULL), !=, 0);
            raw_call_clear(&s->call);
            invite = raw_call_taken(&s->call, s->peer, "INVITE", "bob1");
        }
        raw_call_answer_as(&s->call, invite, 180, "bob1", contact, NULL, NULL);
        world_expect(&s->w, "ringing:180");
        world_forget(&s->w);
        clv_sip_end(s->w.hub.sip, s->w.hub.last_leg, NULL);
        cancel = world_next(&s->w, s->peer, "CANCEL");
        raw_call_answer_as(&s->call, cancel, 200, "bob1", contact, NULL, NULL);
        if (i == 0) {
            raw_call_answer_as(&s->call, invite, 487, "bob1", contact, NULL, NULL);
            g_free(world_next(&s->w, s->peer, "ACK"));
        } else {
            g_autofree char *bye = NULL;

            raw_call_answer_as(&s->call, invite, 200, "bob1", contact, NULL, WORLD_OFFER);
            g_free(world_next(&s->w, s->peer, "ACK"));
            bye = world_next(&s->w, s->peer, "BYE");
            raw_call_answer_as(&s->call, bye, 200, "bob1", contact, NULL, NULL);
        }
        world_expect_empty(&s->w);
    }
}

static void
expect_notify(Scene *s, const char *state, const char *fragment)
{
    g_autofree char *notify = world_next(&s->w, s->peer, "NOTIFY");
    g_autofree char *got = raw_header(notify, "Subscription-State");

    g_assert_true(g_str_has_prefix(got, state));
    g_assert_true(g_str_has_prefix(raw_body(notify), fragment));
    raw_call_answer(&s->call, notify, 200, NULL, NULL);
}

/* REFER ->  <- 202  <- NOTIFY 100  <- NOTIFY 200;  REFER ->  <- 403;  in the call and outside */
static void
her_refers_are_answered(Scene *s, gconstpointer unused)
{
    static const char carol[] = "Refer-To: <sip:carol@example.com>\r\n";

    for (guint inside = 0; inside < 2; inside++) {
        if (inside)
            dial_in(s, NULL);
        else
            connect_alice(s);
        s->w.hub.refer_code = CLV_CODE_OK;
        raw_call_send(&s->call, "REFER", carol, NULL);
        g_free(raw_call_expect(&s->call, 202));
        expect_notify(s, "active;expires=", "SIP/2.0 100 Trying\r\n");
        clv_sip_refer_notify(s->w.hub.sip, s->w.hub.refer, 200, NULL, TRUE);
        expect_notify(s, "terminated;reason=noresource", "SIP/2.0 200 OK\r\n");
        if (inside) {
            s->w.hub.refer_code = CLV_CODE_FORBIDDEN;
            raw_call_send(&s->call, "REFER", carol, NULL);
            g_free(raw_call_expect(&s->call, 403));
            hang_up(s);
            return;
        }
        world_expect_empty(&s->w);
        raw_call_clear(&s->call);
        raw_peer_free(s->peer);
        world_forget(&s->w);
    }
}

static gboolean
ask_bob(Scene *s, guint64 token)
{
    ClvSipReferOut wish = {token, s->bob_uri, HUB_CONFERENCE, NULL, 0};

    return clv_sip_refer(s->w.hub.sip, &wish);
}

/* REFER (ours) ->  <- 202  <- NOTIFY 200 (terminated);  REFER ->  <- 603;  REFER ->  (closed) */
static void
our_refers_are_answered(Scene *s, gconstpointer unused)
{
    g_autofree char *contact = g_strdup_printf("Contact: <%s>\r\n", s->bob_uri);
    g_autofree char *refer = NULL, *refused = NULL;

    g_assert_true(ask_bob(s, 1));
    s->peer = raw_listener_accept(s->listener, 3000);
    g_assert_nonnull(s->peer);
    refer = raw_call_taken(&s->call, s->peer, "REFER", "bob1");
    raw_call_answer_as(&s->call, refer, 202, "bob1", contact, NULL, NULL);
    world_expect(&s->w, "refer-status:202");
    raw_call_send(&s->call, "NOTIFY",
                  "Event: refer\r\nSubscription-State: terminated;reason=noresource\r\n"
                  "Content-Type: message/sipfrag\r\n",
                  "SIP/2.0 200 OK\r\n");
    g_free(raw_call_expect(&s->call, 200));
    world_expect(&s->w, "refer-status:202 refer-status:200!");
    world_forget(&s->w);

    raw_call_clear(&s->call);
    g_assert_true(ask_bob(s, 2));
    refused = raw_call_taken(&s->call, s->peer, "REFER", "bob1");
    raw_call_answer_as(&s->call, refused, 603, "bob1", contact, NULL, NULL);
    world_expect(&s->w, "refer-status:603!");
    world_forget(&s->w);

    raw_call_clear(&s->call);
    g_assert_true(ask_bob(s, 3));
    g_free(raw_call_taken(&s->call, s->peer, "REFER", "bob1"));
    g_clear_pointer(&s->peer, raw_peer_free);
    g_clear_pointer(&s->listener, raw_listener_free);
    s->listener = raw_listener_new(s->w.loop, NULL);
    raw_run(s->w.loop, 1500); /* 64*T1 */
    world_expect_empty(&s->w);
}

/* OPTIONS ->  <- 200;  OPTIONS ->  <- 501;  OPTIONS ->  <- 481 */
static void
probes_go_by_the_connection(Scene *s, gconstpointer unused)
{
    static const guint statuses[] = {200, 501, 481};

    dial_in(s, NULL);
    for (guint i = 0; i < G_N_ELEMENTS(statuses); i++) {
        g_autofree char *options = NULL, *word = NULL;

        world_forget(&s->w);
        clv_sip_probe(s->w.hub.sip, s->w.hub.last_leg);
        options = raw_call_expect_request(&s->call, "OPTIONS");
        raw_call_answer(&s->call, options, statuses[i], NULL, NULL);
        word = g_strdup_printf("probed:%u%s", statuses[i], statuses[i] == 481 ? "-lost" : "");
        world_expect(&s->w, word);
    }
    hang_up(s);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);

#define ADD(path, fn) g_test_add("/sip/stream/" path, Scene, NULL, setup, fn, teardown)
    ADD("422", who_wants_too_short_a_session_asks_again);
    ADD("refresh-422", a_refresh_that_is_too_short_is_sent_again);
    ADD("refresh-491", a_refresh_that_met_glare_is_sent_again);
    ADD("our-refresh-491", the_owner_of_the_call_id_waits_longer_after_glare);
    ADD("glare", an_offer_that_crosses_ours_gets_491);
    ADD("cancel", her_cancel_ends_the_call);
    ADD("our-cancel", our_cancel_ends_the_call);
    ADD("refer", her_refers_are_answered);
    ADD("our-refer", our_refers_are_answered);
    ADD("probe", probes_go_by_the_connection);

    return g_test_run();
}
