/* SPDX-License-Identifier: Apache-2.0 */
/* Do calls of ours end well, whoever answers them and how?
 *
 * A real ClvSip on loopback, a fake hub and raw peers in one thread. Above each test stands its
 * ladder: the room on the left, bob on the right.
 */
#include "config.h"

#include "sip-world.h"

static char *
ring_bob(World *w, RawCall *call)
{
    g_assert_cmpuint(hub_call(&w->hub, w->bob_uri, NULL), !=, 0);
    return raw_call_taken(call, w->bob, "INVITE", "bob1");
}

static void
hang_up(World *w, RawCall *call)
{
    raw_call_send(call, "BYE", NULL, NULL);
    g_free(raw_call_expect(call, 200));
    world_expect_empty(w);
    g_assert_cmpuint(w->hub.n_alive, ==, 0);
    raw_call_clear(call);
}

/* INVITE ->  <- 180  <- 200   ACK ->   <- BYE  200 -> */
static void
a_call_is_answered_and_lives(World *w, gconstpointer unused)
{
    RawCall call;
    g_autofree char *invite = ring_bob(w, &call), *ack = NULL;
    g_autofree char *from = raw_header(invite, "From"), *contact = raw_header(invite, "Contact");
    g_autofree char *supported = raw_header(invite, "Supported");
    g_autofree char *expires = raw_header(invite, "Session-Expires");
    g_autofree char *history = raw_header(invite, "History-Info"), *own = NULL;

    g_assert_true(g_str_has_prefix(from, "\"Weekly \\\"meeting\\\"\" <" HUB_CONFERENCE ">;tag="));
    g_assert_true(g_str_has_suffix(contact, ">;isfocus"));
    g_assert_nonnull(strstr(supported, "histinfo"));
    g_assert_nonnull(strstr(supported, "from-change"));
    g_assert_cmpstr(expires, ==, "1800;refresher=uac");
    own = g_strdup_printf("<%s>;index=1", w->bob_uri);
    g_assert_cmpstr(history, ==, own);
    g_assert_cmpuint(raw_count_headers(invite, "P-Asserted-Identity"), ==, 0);
    g_assert_cmpuint(raw_count_headers(invite, "P-Charging-Vector"), ==, 0);
    g_assert_nonnull(strstr(raw_body(invite), "a=crypto:" HUB_KEY));

    raw_call_answer_as(&call, invite, 180, "bob1", NULL, NULL, NULL);
    world_expect(w, "ringing:180");
    raw_call_answer_as(&call, invite, 200, "bob1", NULL, NULL, WORLD_OFFER);
    ack = world_next(w, w->bob, "ACK");
    world_expect(w, "ringing:180 answered:200");
    g_assert_true(w->hub.has_answer);
    g_assert_false(w->hub.secured);
    g_assert_false(w->hub.call_diverted);
    g_assert_cmpuint(world_dialogs(w), ==, 1);
    hang_up(w, &call);
    world_expect(w, "ringing:180 answered:200 ended:bye");
}

/* INVITE ->  <- 180   CANCEL ->  <- 200  <- 487   ACK -> */
static void
end_before_an_answer_cancels(World *w, gconstpointer unused)
{
    RawCall call;
    g_autofree char *invite = ring_bob(w, &call), *cancel = NULL, *reason = NULL, *ack = NULL;

    raw_call_answer_as(&call, invite, 180, "bob1", NULL, NULL, NULL);
    world_expect(w, "ringing:180");
    clv_sip_end(w->hub.sip, w->hub.last_leg, "SIP;cause=403;text=\"diverted\"");
    cancel = world_next(w, w->bob, "CANCEL");
    reason = raw_header(cancel, "Reason");
    g_assert_cmpstr(reason, ==, "SIP;cause=403;text=\"diverted\"");
    raw_call_answer_as(&call, cancel, 200, "bob1", NULL, NULL, NULL);
    raw_call_answer_as(&call, invite, 487, "bob1", NULL, NULL, NULL);
    ack = world_next(w, w->bob, "ACK");
    world_expect_empty(w);
    world_expect(w, "ringing:180"); /* the hub ended it: it is told nothing */
    raw_call_clear(&call);
}

/* INVITE ->   end()   (nothing)   <- 180   CANCEL -> */
static void
a_cancel_waits_for_a_provisional_answer(World *w, gconstpointer unused)
{
    RawCall call;
    g_autofree char *invite = ring_bob(w, &call), *cancel = NULL;

    clv_sip_end(w->hub.sip, w->hub.last_leg, NULL);
    for (guint i = 0; i < 2; i++) {
        g_autofree char *again = world_next(w, w->bob, "INVITE"); /* and no CANCEL */

        g_assert_nonnull(again);
    }
    raw_call_answer_as(&call, invite, 180, "bob1", NULL, NULL, NULL);
    cancel = world_next(w, w->bob, "CANCEL");
    raw_call_answer_as(&call, cancel, 200, "bob1", NULL, NULL, NULL);
    raw_call_answer_as(&call, invite, 487, "bob1", NULL, NULL, NULL);
    world_expect_empty(w);
    raw_call_clear(&call);
}

/* INVITE ->  <- 180  CANCEL ->  <- 200 (INVITE)   ACK ->  BYE -> */
static void
an_answer_that_crosses_the_cancel_gets_ack_and_bye(World *w, gconstpointer unused)
{
    RawCall call;
    g_autofree char *invite = ring_bob(w, &call), *cancel = NULL, *ack = NULL, *bye = NULL;

    raw_call_answer_as(&call, invite, 180, "bob1", NULL, NULL, NULL);
    world_expect(w, "ringing:180");
    clv_sip_end(w->hub.sip, w->hub.last_leg, NULL);
    cancel = world_next(w, w->bob, "CANCEL");
    raw_call_answer_as(&call, invite, 200, "bob1", NULL, NULL, WORLD_OFFER);
    ack = world_next(w, w->bob, "ACK");
    bye = world_next(w, w->bob, "BYE");
    raw_call_answer_as(&call, bye, 200, "bob1", NULL, NULL, NULL);
    world_expect_empty(w);
    world_expect(w, "ringing:180");
    raw_call_clear(&call);
}

/* INVITE ->  <- 180   CANCEL ->   (nothing any more) */
static void
a_cancelled_call_without_an_end_is_forgotten(World *w, gconstpointer unused)
{
    RawCall call;
    g_autofree char *invite = ring_bob(w, &call);

    raw_call_answer_as(&call, invite, 180, "bob1", NULL, NULL, NULL);
    world_expect(w, "ringing:180");
    clv_sip_end(w->hub.sip, w->hub.last_leg, NULL);
    world_expect_empty(w);
    raw_call_clear(&call);
}

/* INVITE ->  <- 200   end()   ACK ->  BYE (Reason) -> */
static void
end_after_the_answer_sends_ack_and_bye(World *w, gconstpointer unused)
{
    RawCall call;
    g_autofree char *invite = NULL, *ack = NULL, *bye = NULL, *reason = NULL;

    w->hub.confirms = FALSE;
    invite = ring_bob(w, &call);
    raw_call_answer_as(&call, invite, 200, "bob1", NULL, NULL, WORLD_OFFER);
    world_expect(w, "answered:200");
    world_expect_silence(w->bob, 50); /* no ACK before the hub likes it */
    clv_sip_end(w->hub.sip, w->hub.last_leg, "SIP;cause=488");
    ack = world_next(w, w->bob, "ACK");
    bye = world_next(w, w->bob, "BYE");
    reason = raw_header(bye, "Reason");
    g_assert_cmpstr(reason, ==, "SIP;cause=488");
    raw_call_answer_as(&call, bye, 200, "bob1", NULL, NULL, NULL);
    world_expect_empty(w);
    raw_call_clear(&call);
}

static void
a_repeated_answer_is_acknowledged_again(World *w, gconstpointer unused)
{
    RawCall call;
    g_autofree char *invite = ring_bob(w, &call);

    raw_call_answer_as(&call, invite, 200, "bob1", NULL, NULL, WORLD_OFFER);
    for (guint i = 0; i < 3; i++) {
        g_autofree char *ack = world_next(w, w->bob, "ACK"), *cseq = raw_header(ack, "CSeq");
        g_autofree char *asked = raw_header(invite, "CSeq");

        g_assert_cmpint(atoi(cseq), ==, atoi(asked));
        raw_call_answer_as(&call, invite, 200, "bob1", NULL, NULL, WORLD_OFFER);
    }
    g_free(world_next(w, w->bob, "ACK"));
    world_expect(w, "answered:200");
    hang_up(w, &call);
}

/* INVITE ->  <- 180 (bob1)  <- 183 (bob2)  <- 200 (bob2)  ACK ->  <- 200 (bob1)  ACK -> BYE -> */
static void
the_first_fork_that_answers_wins_and_others_get_bye(World *w, gconstpointer unused)
{
    RawCall call;
    g_autofree char *invite = ring_bob(w, &call), *ack = NULL, *second = NULL, *bye = NULL,
                    *to = NULL;

    raw_call_answer_as(&call, invite, 180, "bob1", NULL, NULL, NULL);
    raw_call_answer_as(&call, invite, 183, "bob2", NULL, NULL, NULL);
    world_expect(w, "ringing:180 ringing:183");
    raw_call_answer_as(&call, invite, 200, "bob2", NULL, NULL, WORLD_OFFER);
    ack = world_next(w, w->bob, "ACK");
    g_assert_nonnull(strstr(ack, ";tag=bob2"));
    raw_call_answer_as(&call, invite, 200, "bob1", NULL, NULL, WORLD_OFFER);
    second = world_next(w, w->bob, "ACK");
    g_assert_nonnull(strstr(second, ";tag=bob1"));
    bye = world_next(w, w->bob, "BYE");
    to = raw_header(bye, "To");
    g_assert_nonnull(strstr(to, ";tag=bob1"));
    raw_call_answer_as(&call, bye, 200, "bob1", NULL, NULL, NULL);
    world_expect(w, "ringing:180 ringing:183 answered:200");
    g_assert_cmpuint(world_dialogs(w), ==, 1);
    g_free(call.from_tag);
    call.from_tag = g_strdup("bob2");
    hang_up(w, &call);
}

/* INVITE ->  <- 183 (reliable, SDP)  PRACK ->  <- 200  <- 200 (no SDP)  ACK -> */
static void
the_answer_of_a_reliable_183_is_that_of_its_fork(World *w, gconstpointer unused)
{
    RawCall call;
    g_autofree char *invite = ring_bob(w, &call), *prack = NULL, *other = NULL, *rack = NULL,
                    *want = NULL, *cseq = raw_header(invite, "CSeq");

    raw_call_answer_as(&call, invite, 183, "bob1", NULL, "Require: 100rel\r\nRSeq: 7\r\n",
                       WORLD_OFFER);
    prack = world_next(w, w->bob, "PRACK");
    rack = raw_header(prack, "RAck");
    want = g_strdup_printf("7 %s", cseq);
    g_assert_cmpstr(rack, ==, want);
    g_assert_nonnull(strstr(prack, ";tag=bob1"));
    raw_call_answer_as(&call, prack, 200, "bob1", NULL, NULL, NULL);
    raw_call_answer_as(&call, invite, 180, "bob2", NULL, "Require: 100rel\r\nRSeq: 1\r\n", NULL);
    other = world_next(w, w->bob, "PRACK");
    g_assert_nonnull(strstr(other, ";tag=bob2"));
    raw_call_answer_as(&call, other, 200, "bob2", NULL, NULL, NULL);
    raw_call_answer_as(&call, invite, 200, "bob1", NULL, NULL, NULL);
    world_expect(w, "ringing:183 ringing:180 answered:200");
    g_assert_true(w->hub.has_answer);
    g_free(world_next(w, w->bob, "ACK"));
    hang_up(w, &call);
}

static void
reliable_answers_out_of_order_are_not_heeded(World *w, gconstpointer unused)
{
    RawCall call;
    g_autofree char *invite = ring_bob(w, &call), *prack = NULL, *next = NULL, *rack = NULL;

    raw_call_answer_as(&call, invite, 180, "bob1", NULL, "Require: 100rel\r\nRSeq: 1\r\n", NULL);
    prack = world_next(w, w->bob, "PRACK");
    raw_call_answer_as(&call, prack, 200, "bob1", NULL, NULL, NULL);
    raw_call_answer_as(&call, invite, 183, "bob1", NULL, "Require: 100rel\r\nRSeq: 3\r\n", NULL);
    raw_call_answer_as(&call, invite, 183, "bob1", NULL, "Require: 100rel\r\nRSeq: 1\r\n", NULL);
    world_expect_silence(w->bob, 60);
    raw_call_answer_as(&call, invite, 183, "bob1", NULL, "Require: 100rel\r\nRSeq: 2\r\n", NULL);
    next = world_next(w, w->bob, "PRACK");
    rack = raw_header(next, "RAck");
    g_assert_true(g_str_has_prefix(rack, "2 "));
    raw_call_answer_as(&call, next, 200, "bob1", NULL, NULL, NULL);
    world_expect(w, "ringing:180 ringing:183");
    raw_call_answer_as(&call, invite, 486, "bob1", NULL, NULL, NULL);
    world_expect(w, "ringing:180 ringing:183 failed:486");
    world_expect_empty(w);
    raw_call_clear(&call);
}

/* Each makes us send a PRACK to where the callee wants it; a call lives without, too. */
static void
sixty_four_reliable_answers_are_acknowledged(World *w, gconstpointer unused)
{
    RawCall call;
    g_autofree char *invite = ring_bob(w, &call);
    guint n = 0;

    for (guint rseq = 1; rseq <= 70; rseq++) {
        g_autofree char *extra = g_strdup_printf("Require: 100rel\r\nRSeq: %u\r\n", rseq);
        g_autofree char *prack = NULL, *rack = NULL, *want = g_strdup_printf("%u ", rseq);

        raw_call_answer_as(&call, invite, 183, "bob1", NULL, extra, NULL);
        if (rseq > 64) {
            world_expect_silence(w->bob, 2 * WORLD_T1_MS);
            continue;
        }
        do {
            g_free(rack);
            g_free(prack);
            prack = world_next(w, w->bob, "PRACK");
            rack = raw_header(prack, "RAck");
        } while (!g_str_has_prefix(rack, want)); /* not one that is repeated */
        raw_call_answer_as(&call, prack, 200, "bob1", NULL, NULL, NULL);
        n++;
    }
    g_assert_cmpuint(n, ==, 64);
    raw_call_answer_as(&call, invite, 200, "bob1", NULL, NULL, WORLD_OFFER);
    g_free(world_next(w, w->bob, "ACK"));
    hang_up(w, &call);
}

static void
refusals_are_told_by_their_status(World *w, gconstpointer unused)
{
    static const guint statuses[] = {302, 401, 407, 404, 486, 488, 500, 603};

    for (gsize i = 0; i < G_N_ELEMENTS(statuses); i++) {
        RawCall call;
        g_autofree char *invite = ring_bob(w, &call);
        g_autofree char *want = g_strdup_printf("failed:%u", statuses[i]);

        raw_call_answer_as(&call, invite, statuses[i], "bob1", NULL, NULL, NULL);
        g_free(world_next(w, w->bob, "ACK"));
        world_expect(w, want);
        world_expect_empty(w);
        world_forget(w);
        raw_call_clear(&call);
    }
    g_assert_cmpuint(w->hub.n_alive, ==, 0);
}

/* INVITE ->  <- 422 (Min-SE 3600)  ACK ->  INVITE (Session-Expires 3600) -> */
static void
a_422_makes_us_ask_for_a_longer_interval(World *w, gconstpointer unused)
{
    RawCall call;
    g_autofree char *invite = ring_bob(w, &call), *again = NULL, *expires = NULL, *min_se = NULL;

    raw_call_answer_as(&call, invite, 422, "bob1", NULL, "Min-SE: 3600\r\n", NULL);
    g_free(world_next(w, w->bob, "ACK"));
    again = world_next(w, w->bob, "INVITE");
    expires = raw_header(again, "Session-Expires");
    min_se = raw_header(again, "Min-SE");
    g_assert_cmpstr(expires, ==, "3600;refresher=uac");
    g_assert_cmpstr(min_se, ==, "3600");
    raw_call_answer_as(&call, again, 200, "bob2", NULL, NULL, WORLD_OFFER);
    g_free(world_next(w, w->bob, "ACK"));
    world_expect(w, "answered:200");
    g_free(call.from_tag);
    call.from_tag = g_strdup("bob2");
    hang_up(w, &call);
}

/* On a stream nothing is repeated, and nta forgets a finished transaction with its messages.
 *
 * INVITE ->  <- 422  ACK ->  INVITE ->  <- 200 (Session-Expires 2)  ACK ->  UPDATE ->  <- 200 (1800) */
static void
answers_over_tcp_are_read_before_they_go(World *w, gconstpointer unused)
{
    RawListener *listener = raw_listener_new(w->loop, NULL);
    g_autofree char *uri =
        g_strdup_printf("sip:bob@%s;transport=tcp", raw_listener_address(listener));
    g_autofree char *contact = g_strdup_printf("Contact: <%s>\r\n", uri);
    g_autofree char *invite = NULL, *again = NULL, *expires = NULL, *update = NULL, *bye = NULL;
    RawPeer *bob;
    RawCall call;

    w->config.min_se_s = 1;
    world_restart(w);
    g_assert_cmpuint(hub_call(&w->hub, uri, NULL), !=, 0);
    bob = raw_listener_accept(listener, 3000);
    g_assert_nonnull(bob);
    invite = raw_call_taken(&call, bob, "INVITE", "bob1");
    raw_call_answer_as(&call, invite, 422, "bob1", NULL, "Min-SE: 3600\r\n", NULL);
    g_free(world_next(w, bob, "ACK"));
    again = world_next(w, bob, "INVITE");
    expires = raw_header(again, "Session-Expires");
    g_assert_cmpstr(expires, ==, "3600;refresher=uac");
    raw_call_answer_as(&call, again, 200, "bob1", contact,
                       "Allow: INVITE, ACK, BYE, UPDATE\r\nRequire: timer\r\n"
                       "Session-Expires: 2;refresher=uac\r\n",
                       WORLD_OFFER);
    g_free(world_next(w, bob, "ACK"));
    update = world_next(w, bob, "UPDATE");
    raw_call_answer_as(&call, update, 200, "bob1", NULL, "Session-Expires: 1800;refresher=uac\r\n",
                       NULL);
    world_expect_silence(bob, 1500);
    clv_sip_end(w->hub.sip, w->hub.last_leg, NULL);
    bye = world_next(w, bob, "BYE");
    raw_call_answer_as(&call, bye, 200, "bob1", NULL, NULL, NULL);
    world_expect_empty(w);
    raw_call_clear(&call);
    raw_peer_free(bob);
    raw_listener_free(listener);
}

static void
nobody_who_asks_for_longer_and_longer_keeps_us_busy(World *w, gconstpointer unused)
{
    RawCall call;
    g_autofree char *first = ring_bob(w, &call);
    g_autofree char *invite = g_strdup(first);

    for (guint i = 1; i <= 3; i++) {
        g_autofree char *min_se = g_strdup_printf("Min-SE: %u\r\n", 2000 * i);

        raw_call_answer_as(&call, invite, 422, "bob1", NULL, min_se, NULL);
        g_free(world_next(w, w->bob, "ACK"));
        if (i == 3)
            break;
        g_free(invite);
        invite = world_next(w, w->bob, "INVITE");
    }
    world_expect(w, "failed:422");
    world_expect_empty(w);
    raw_call_clear(&call);
}

static void
who_never_answers_has_failed(World *w, gconstpointer unused)
{
    RawCall call;
    g_autofree char *invite = ring_bob(w, &call);

    world_expect(w, "failed:408");
    world_expect_empty(w);
    g_assert_cmpuint(w->hub.n_alive, ==, 0);
    raw_call_clear(&call);
}

/* ---- who answers? ---- */

static void
forwarding_and_history_are_told(World *w, gconstpointer unused)
{
    RawCall call;
    g_autofree char *invite = ring_bob(w, &call);

    raw_call_answer_as(&call, invite, 180, "bob1", NULL,
                       "History-Info: <sip:bob@example.org>;index=1\r\n", NULL);
    world_expect(w, "ringing:180");
    g_assert_false(w->hub.forwarded);
    g_assert_false(w->hub.call_diverted);
    raw_call_answer_as(&call, invite, 181, "bob2", NULL, NULL, NULL);
    world_expect(w, "ringing:180 ringing:181");
    g_assert_true(w->hub.forwarded);
    raw_call_answer_as(&call, invite, 180, "bob2", NULL,
                       "History-Info: <sip:bob@example.org>;index=1\r\n"
                       "History-Info: <sip:carol@example.org;cause=302>;index=1.1;mp=1\r\n",
                       NULL);
    world_expect(w, "ringing:180 ringing:181 ringing:180");
    g_assert_true(w->hub.call_diverted);
    raw_call_answer_as(&call, invite, 486, "bob1", NULL, NULL, NULL);
    world_expect_empty(w);
    raw_call_clear(&call);
}

static void
assertions_of_strangers_are_not_read(World *w, gconstpointer unused)
{
    RawCall call;
    g_autofree char *invite = ring_bob(w, &call);

    raw_call_answer_as(&call, invite, 200, "bob1", NULL,
                       "P-Asserted-Identity: <sip:carol@example.org>\r\n", WORLD_OFFER);
    world_expect(w, "answered:200");
    g_assert_null(w->hub.asserted);
    g_free(world_next(w, w->bob, "ACK"));
    hang_up(w, &call);
}

static void
assertions_of_trusted_hops_are_told_also_later_ones(World *w, gconstpointer unused)
{
    char *trusted[] = {"127.0.0.1", NULL};
    RawCall call;
    g_autofree char *invite = NULL, *own = NULL, *charging = NULL, *contact = NULL;

    w->config.trusted_peers = trusted;
    w->config.ims = TRUE;
    world_restart(w);
    /* trust hides no key on the way */
    g_assert_false(clv_sip_call_is_tls(w->hub.sip, "sip:bob@127.0.0.1"));
    invite = ring_bob(w, &call);
    own = raw_header(invite, "P-Asserted-Identity");
    charging = raw_header(invite, "P-Charging-Vector");
    g_assert_cmpstr(own, ==, "<" HUB_CONFERENCE ">");
    g_assert_true(g_str_has_prefix(charging, "icid-value="));
    contact = raw_header(invite, "Contact");
    g_assert_true(g_str_has_suffix(contact, ">;isfocus;+g.3gpp.icsi-ref="
                                            "\"urn%3Aurn-7%3A3gpp-service.ims.icsi.mmtel\""));
    raw_call_answer_as(&call, invite, 200, "bob1", NULL,
                       "P-Asserted-Identity: \"Carol\" <sip:Carol@Example.org:5070>\r\n",
                       WORLD_OFFER);
    world_expect(w, "answered:200");
    g_assert_cmpstr(w->hub.asserted, ==, "sip:Carol@example.org");
    g_assert_cmpstr(w->hub.callee, ==, "Carol");
    g_assert_true(w->hub.secured);
    g_free(world_next(w, w->bob, "ACK"));

    raw_call_send(&call, "UPDATE", "P-Asserted-Identity: <sip:dave@example.org>\r\n", NULL);
    g_free(raw_call_expect(&call, 200));
    world_expect(w, "answered:200 identity");
    g_assert_cmpstr(w->hub.asserted, ==, "sip:dave@example.org");
    g_assert_cmpstr(w->hub.claimed, ==, "sip:alice@example.org"); /* a raw peer's From */
    raw_call_send(&call, "UPDATE", "P-Asserted-Identity: <sip:dave@example.org>\r\n", NULL);
    g_free(raw_call_expect(&call, 200));
    world_expect(w, "answered:200 identity"); /* nothing new */
    hang_up(w, &call);
}

/* RFC 4916: who is about to answer may say so before, and is told apart from who asserts it. */
static void
an_early_update_tells_who_is_about_to_answer(World *w, gconstpointer unused)
{
    RawCall call;
    g_autofree char *invite = ring_bob(w, &call);

    raw_call_answer_as(&call, invite, 180, "bob1", NULL, NULL, NULL);
    world_expect(w, "ringing:180");
    g_assert_null(w->hub.claimed);
    raw_call_send(&call, "UPDATE", "P-Asserted-Identity: <sip:dave@example.org>\r\n", NULL);
    g_free(raw_call_expect(&call, 200));
    world_expect(w, "ringing:180 ringing:180");
    g_assert_cmpstr(w->hub.claimed, ==, "sip:alice@example.org"); /* a raw peer's From */
    g_assert_null(w->hub.asserted);                               /* by a stranger */
    raw_call_send(&call, "UPDATE", NULL, NULL);
    g_free(raw_call_expect(&call, 200));
    raw_call_answer_as(&call, invite, 200, "bob1", NULL, NULL, WORLD_OFFER);
    world_expect(w, "ringing:180 ringing:180 answered:200"); /* the second was no news */
    g_assert_cmpstr(w->hub.claimed, ==, "sip:alice@example.org");
    g_free(world_next(w, w->bob, "ACK"));
    hang_up(w, &call);
}

/* INVITE ->  <- 180  UPDATE (offer) ->  <- 491  <- 183 (answer)  PRACK ->  UPDATE (offer) ->  <- 504
 * <- 200 (no SDP): the answer of the 183 counts */
static void
no_offer_is_taken_before_the_answer(World *w, gconstpointer unused)
{
    RawCall call;
    g_autofree char *invite = ring_bob(w, &call), *prack = NULL, *late = NULL;
    g_autofree char *supported = raw_header(invite, "Supported");

    g_assert_null(strstr(supported, "precondition")); /* or bob might wait for an UPDATE of ours */
    raw_call_answer_as(&call, invite, 180, "bob1", NULL, NULL, NULL);
    world_expect(w, "ringing:180");
    raw_call_send(&call, "UPDATE", NULL, WORLD_OFFER);
    g_free(raw_call_expect(&call, 491)); /* ours is not answered */
    raw_call_answer_as(&call, invite, 183, "bob1", NULL, "Require: 100rel\r\nRSeq: 1\r\n",
                       WORLD_OFFER);
    prack = world_next(w, w->bob, "PRACK");
    raw_call_answer_as(&call, prack, 200, "bob1", NULL, NULL, NULL);
    raw_call_send(&call, "UPDATE", NULL, WORLD_OFFER);
    late = raw_call_expect(&call, 504);
    g_assert_cmpuint(raw_count_headers(late, "Retry-After"), ==, 0);
    raw_call_answer_as(&call, invite, 200, "bob1", NULL, NULL, NULL);
    g_free(world_next(w, w->bob, "ACK"));
    world_expect(w, "ringing:180 ringing:183 answered:200");
    g_assert_true(w->hub.has_answer);
    hang_up(w, &call);
}

/* ---- the dialog afterwards ---- */

static void
reinvites_and_updates_work_as_in_any_dialog(World *w, gconstpointer unused)
{
    RawCall call;
    g_autofree char *invite = ring_bob(w, &call), *contact = NULL, *ok = NULL;

    raw_call_answer_as(&call, invite, 200, "bob1", NULL, NULL, WORLD_OFFER);
    g_free(world_next(w, w->bob, "ACK"));
    world_forget(w);
    raw_call_send(&call, "INVITE", NULL, WORLD_OFFER);
    ok = raw_call_expect(&call, 200);
    contact = raw_header(ok, "Contact");
    g_assert_true(g_str_has_suffix(contact, ";isfocus"));
    raw_call_ack(&call, NULL);
    world_expect(w, "identity reoffer done"); /* From is alice now */
    raw_call_send(&call, "UPDATE", NULL, WORLD_OFFER);
    g_free(raw_call_expect(&call, 200));
    world_expect(w, "identity reoffer done reoffer done");
    hang_up(w, &call);
}

/* OPTIONS ->  <- 200   OPTIONS ->  <- 405   OPTIONS ->  <- 503: whoever answers is there */
static void
who_answers_a_probe_lives(World *w, gconstpointer unused)
{
    static const guint statuses[] = {200, 405, 503};
    RawCall call;

    world_establish(w, &call, w->bob, NULL);
    world_forget(w);
    for (guint i = 0; i < G_N_ELEMENTS(statuses); i++) {
        g_autofree char *options = NULL, *contact = NULL, *word = NULL;

        clv_sip_probe(w->hub.sip, w->hub.last_leg);
        clv_sip_probe(w->hub.sip, w->hub.last_leg); /* one at a time */
        options = world_next(w, w->bob, "OPTIONS");
        contact = raw_header(options, "Contact");
        g_assert_true(g_str_has_suffix(contact, ";isfocus"));
        world_forget(w);
        raw_call_answer(&call, options, statuses[i], NULL, NULL);
        word = g_strdup_printf("probed:%u", statuses[i]);
        world_expect(w, word);
        world_expect_silence(w->bob, 30);
    }
    hang_up(w, &call);
}

/* OPTIONS ->  <- 481;  OPTIONS -> (nothing);  OPTIONS -> (the connection is gone) */
static void
who_does_not_answer_a_probe_is_lost(World *w, gconstpointer unused)
{
    static const char *const words[] = {"probed:481-lost", "probed:408-lost", "probed:503-lost"};
    RawCall call;

    for (guint i = 0; i < G_N_ELEMENTS(words); i++) {
        RawPeer *peer = raw_peer_new(w->loop, i == 2 ? w->tcp : w->udp, NULL);

        world_forget(w);
        world_establish(w, &call, peer, NULL);
        world_forget(w);
        if (i == 2) {
            raw_peer_free(peer);
            raw_run(w->loop, 50);
        }
        clv_sip_probe(w->hub.sip, w->hub.last_leg);
        if (i == 0) {
            g_autofree char *options = world_next(w, peer, "OPTIONS");

            raw_call_answer(&call, options, 481, NULL, NULL);
        }
        world_expect(w, words[i]);
        clv_sip_end(w->hub.sip, w->hub.last_leg, NULL);
        world_expect_empty(w);
        raw_call_clear(&call);
        if (i < 2)
            raw_peer_free(peer);
    }
}

/* A BYE while the probe is out: it is forgotten. */
static void
a_probe_ends_with_its_call(World *w, gconstpointer unused)
{
    RawCall call;

    world_establish(w, &call, w->bob, NULL);
    clv_sip_probe(w->hub.sip, w->hub.last_leg);
    g_free(world_next(w, w->bob, "OPTIONS"));
    world_forget(w);
    hang_up(w, &call);
    world_expect(w, "ended:bye");
    clv_sip_probe(w->hub.sip, w->hub.last_leg); /* of nobody */
}

static void
we_refresh_the_session_of_a_call_of_ours(World *w, gconstpointer unused)
{
    RawCall call;
    g_autofree char *invite = NULL, *update = NULL, *expires = NULL;

    w->config.session_expires_s = 1;
    w->config.min_se_s = 1;
    world_restart(w);
    invite = ring_bob(w, &call);
    raw_call_answer_as(&call, invite, 200, "bob1", NULL,
                       "Allow: INVITE, ACK, BYE, UPDATE\r\nRequire: timer\r\n"
                       "Session-Expires: 2;refresher=uac\r\n",
                       WORLD_OFFER);
    g_free(world_next(w, w->bob, "ACK"));
    update = world_next(w, w->bob, "UPDATE");
    expires = raw_header(update, "Session-Expires");
    g_assert_cmpstr(expires, ==, "2;refresher=uac");
    raw_call_answer_as(&call, update, 200, "bob1", NULL, "Session-Expires: 1800;refresher=uac\r\n",
                       NULL);
    hang_up(w, &call);
}

static void
a_call_carries_the_list_of_the_others(World *w, gconstpointer unused)
{
    ClvUriEntry entries[] = {{"sip:alice@example.org", CLV_COPY_TO, FALSE, 0},
                             {"sip:carol&co@example.org", CLV_COPY_CC, FALSE, 0},
                             {"sip:dave@example.org", CLV_COPY_BCC, FALSE, 0},
                             {"sip:erin@example.org", CLV_COPY_TO, TRUE, 0}};
    g_autoptr(GPtrArray) list = g_ptr_array_new();
    RawCall call;
    g_autofree char *invite = NULL, *type = NULL;

    for (gsize i = 0; i < G_N_ELEMENTS(entries); i++)
        g_ptr_array_add(list, &entries[i]);
    g_assert_cmpuint(hub_call(&w->hub, w->bob_uri, list), !=, 0);
    invite = raw_call_taken(&call, w->bob, "INVITE", "bob1");
    type = raw_header(invite, "Content-Type");
    g_assert_true(g_str_has_prefix(type, "multipart/mixed"));
    g_assert_nonnull(strstr(invite, "m=audio 40000 RTP/SAVP 8\r\n"));
    g_assert_nonnull(strstr(invite, "recipient-list-history; handling=optional"));
    g_assert_nonnull(strstr(invite, "uri=\"sip:alice@example.org\" cp:copyControl=\"to\""));
    g_assert_nonnull(strstr(invite, "uri=\"sip:carol&amp;co@example.org\" cp:copyControl=\"cc\""));
    g_assert_nonnull(strstr(invite, "uri=\"sip:anonymous@anonymous.invalid\""));
    g_assert_null(strstr(invite, "dave"));
    g_assert_null(strstr(invite, "erin"));
    raw_call_answer_as(&call, invite, 486, "bob1", NULL, NULL, NULL);
    world_expect_empty(w);
    raw_call_clear(&call);
}

/* ---- other ways ---- */

static void
calls_go_through_the_outbound_proxy(World *w, gconstpointer unused)
{
    RawListener *listener = raw_listener_new(w->loop, NULL);
    g_autofree char *outbound =
        g_strdup_printf("sip:%s;transport=tcp;lr", raw_listener_address(listener));
    g_autofree char *invite = NULL, *route = NULL, *bye = NULL;
    RawCall call;
    RawPeer *proxy;

    w->config.outbound = outbound;
    world_restart(w);
    g_assert_false(clv_sip_call_is_tls(w->hub.sip, "sip:bob@example.org"));
    g_assert_cmpuint(hub_call(&w->hub, "sip:bob@example.org", NULL), !=, 0);
    proxy = raw_listener_accept(listener, 3000);
    g_assert_nonnull(proxy);
    invite = raw_call_taken(&call, proxy, "INVITE", "bob1");
    g_assert_true(g_str_has_prefix(invite, "INVITE sip:bob@example.org SIP/2.0\r\n"));
    route = raw_header(invite, "Route");
    g_assert_nonnull(strstr(route, outbound));
    raw_call_answer_as(&call, invite, 200, "bob1", "Contact: <sip:bob@192.0.2.1>\r\n", NULL,
                       WORLD_OFFER);
    g_free(world_next(w, proxy, "ACK")); /* by the same connection */
    clv_sip_end(w->hub.sip, w->hub.last_leg, NULL);
    bye = world_next(w, proxy, "BYE");
    g_assert_true(g_str_has_prefix(bye, "BYE sip:bob@192.0.2.1 SIP/2.0\r\n"));
    raw_call_answer_as(&call, bye, 200, "bob1", NULL, NULL, NULL);
    world_expect_empty(w);
    raw_call_clear(&call);
    raw_peer_free(proxy);
    raw_listener_free(listener);
}

static void
nonsense_targets_are_not_called(World *w, gconstpointer unused)
{
    static const char *const targets[] = {"mailto:bob@example.org",
                                          "*",
                                          "sip:",
                                          "sip:bob@",
                                          "tel:+4930123",
                                          "sips:bob@example.org",
                                          "sip:bob@127.0.0.1:99999",
                                          "sip:bob@127.0.0.1;transport=sctp",
                                          "sip:bob@127.0.0.1?Route=%3Csip:evil%3E",
                                          "sip:bob@127.0.0.1>\r\nEvil: yes"};

    for (gsize i = 0; i < G_N_ELEMENTS(targets); i++)
        g_assert_cmpuint(hub_call(&w->hub, targets[i], NULL), ==, 0);
    g_assert_cmpuint(world_dialogs(w), ==, 0);
}

/* ---- hostile answers ---- */

static void
answers_without_a_usable_contact_or_sdp_end_the_call(World *w, gconstpointer unused)
{
    static const struct {
        const char *contact, *body;
        const char *want;
    } cases[] = {
        {"", WORLD_OFFER, "failed:502"},
        {"Contact: *\r\n", WORLD_OFFER, "failed:502"},
        {"Contact: <tel:+4930123>\r\n", WORLD_OFFER, "failed:502"},
        {"Contact: <mailto:bob@example.org>\r\n", WORLD_OFFER, "failed:502"},
        {NULL, "v=0\r\nm=audio 9 FOO (\r\n", "failed:488"},
        {NULL, "complete nonsense", "failed:488"},
        {NULL, NULL, "failed:488"},
    };

    for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
        RawCall call;
        g_autofree char *invite = ring_bob(w, &call), *bye = NULL;

        raw_call_answer_as(&call, invite, 180, "bob1", cases[i].contact, NULL, NULL);
        raw_call_answer_as(&call, invite, 183, "bob1", cases[i].contact,
                           "Require: 100rel\r\nRSeq: 1\r\n", "nonsense");
        raw_call_answer_as(&call, invite, 200, "bob1", cases[i].contact, NULL, cases[i].body);
        g_free(world_next(w, w->bob, "ACK"));
        bye = world_next(w, w->bob, "BYE");
        raw_call_answer_as(&call, bye, 200, "bob1", NULL, NULL, NULL);
        world_expect_empty(w);
        g_assert_nonnull(strstr(w->hub.events->str, cases[i].want));
        g_assert_null(strstr(w->hub.events->str, "answered"));
        world_forget(w);
        raw_call_clear(&call);
    }
    g_assert_cmpuint(w->hub.n_alive, ==, 0);
}

static void
two_hundred_forks_are_survived(World *w, gconstpointer unused)
{
    RawCall call;
    g_autofree char *invite = ring_bob(w, &call), *ack = NULL;

    for (guint i = 0; i < 200; i++) {
        g_autofree char *tag = g_strdup_printf("fork%u", i);

        raw_call_answer_as(&call, invite, 180, tag, NULL, NULL, NULL);
        if (i % 20 == 0)
            raw_run(w->loop, 2);
    }
    raw_run(w->loop, 20);
    g_assert_cmpuint(world_dialogs(w), ==, 1);
    raw_call_answer_as(&call, invite, 200, "fork199", NULL, NULL, WORLD_OFFER);
    ack = world_next(w, w->bob, "ACK");
    g_assert_nonnull(strstr(ack, ";tag=fork199"));
    for (guint i = 0; i < 20; i++) { /* and half of them answer */
        g_autofree char *tag = g_strdup_printf("fork%u", i);
        const char *contact = i % 3 == 0 ? "Contact: *\r\n" : i % 3 == 1 ? "" : NULL;

        raw_call_answer_as(&call, invite, 200, tag, contact, NULL, WORLD_OFFER);
    }
    raw_run(w->loop, 50);
    g_assert_cmpuint(world_dialogs(w), ==, 1);
    g_free(call.from_tag);
    call.from_tag = g_strdup("fork199");
    while (TRUE) { /* ACKs and BYEs of the others */
        g_autofree char *message = raw_peer_receive(w->bob, 50);

        if (message == NULL)
            break;
        if (g_str_has_prefix(message, "BYE"))
            raw_call_answer_as(&call, message, 200, NULL, NULL, NULL, NULL);
    }
    hang_up(w, &call);
}

static void
a_huge_history_is_a_diversion(World *w, gconstpointer unused)
{
    RawCall call;
    g_autofree char *invite = ring_bob(w, &call);
    GString *history = g_string_new("History-Info: <sip:bob@example.org>;index=1");

    for (guint i = 0; i < 900; i++)
        g_string_append_printf(history, ",<sip:bob@example.org>;index=1.%u;np=1", i);
    g_string_append(history, "\r\n");
    raw_call_answer_as(&call, invite, 180, "bob1", NULL, history->str, NULL);
    world_expect(w, "ringing:180");
    g_assert_true(w->hub.call_diverted);
    raw_call_answer_as(&call, invite, 486, "bob1", NULL, NULL, NULL);
    world_expect_empty(w);
    g_string_free(history, TRUE);
    raw_call_clear(&call);
}

static void
a_room_with_calls_in_every_state_closes(World *w, gconstpointer unused)
{
    w->hub.confirms = FALSE;
    for (guint i = 0; i < 4; i++) {
        RawCall call;
        g_autofree char *invite = ring_bob(w, &call);

        if (i >= 1)
            raw_call_answer_as(&call, invite, 180, "bob1", NULL, NULL, NULL);
        if (i >= 2)
            raw_call_answer_as(&call, invite, 200, "bob1", NULL, NULL, WORLD_OFFER);
        raw_run(w->loop, 20);
        if (i == 3)
            clv_sip_confirm(w->hub.sip, w->hub.last_leg);
        else
            g_free(raw_peer_receive(w->bob, 1));
        while (TRUE) {
            g_autofree char *message = raw_peer_receive(w->bob, 1);

            if (message == NULL)
                break;
        }
        raw_call_clear(&call);
    }
    g_assert_cmpuint(world_dialogs(w), ==, 4);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);

#define ADD(path, fn) g_test_add("/sip/call/" path, World, NULL, world_setup, fn, world_teardown)
    ADD("answered", a_call_is_answered_and_lives);
    ADD("cancel", end_before_an_answer_cancels);
    ADD("cancel-waits", a_cancel_waits_for_a_provisional_answer);
    ADD("cancel-crosses", an_answer_that_crosses_the_cancel_gets_ack_and_bye);
    ADD("cancel-forgotten", a_cancelled_call_without_an_end_is_forgotten);
    ADD("ack-bye", end_after_the_answer_sends_ack_and_bye);
    ADD("repeated-answer", a_repeated_answer_is_acknowledged_again);
    ADD("forks", the_first_fork_that_answers_wins_and_others_get_bye);
    ADD("reliable", the_answer_of_a_reliable_183_is_that_of_its_fork);
    ADD("reliable-order", reliable_answers_out_of_order_are_not_heeded);
    ADD("reliable-64", sixty_four_reliable_answers_are_acknowledged);
    ADD("refusals", refusals_are_told_by_their_status);
    ADD("422", a_422_makes_us_ask_for_a_longer_interval);
    ADD("stream", answers_over_tcp_are_read_before_they_go);
    ADD("422-again", nobody_who_asks_for_longer_and_longer_keeps_us_busy);
    ADD("silence", who_never_answers_has_failed);
    ADD("forwarding", forwarding_and_history_are_told);
    ADD("strangers-assertion", assertions_of_strangers_are_not_read);
    ADD("trusted-assertion", assertions_of_trusted_hops_are_told_also_later_ones);
    ADD("early-identity", an_early_update_tells_who_is_about_to_answer);
    ADD("early-offer", no_offer_is_taken_before_the_answer);
    ADD("reoffer", reinvites_and_updates_work_as_in_any_dialog);
    ADD("session-timer", we_refresh_the_session_of_a_call_of_ours);
    ADD("list", a_call_carries_the_list_of_the_others);
    ADD("outbound", calls_go_through_the_outbound_proxy);
    ADD("nonsense", nonsense_targets_are_not_called);
    ADD("bad-answers", answers_without_a_usable_contact_or_sdp_end_the_call);
    ADD("many-forks", two_hundred_forks_are_survived);
    ADD("huge-history", a_huge_history_is_a_diversion);
    ADD("close", a_room_with_calls_in_every_state_closes);

    ADD("probe-lives", who_answers_a_probe_lives);
    ADD("probe-lost", who_does_not_answer_a_probe_is_lost);
    ADD("probe-ends", a_probe_ends_with_its_call);

    return g_test_run();
}
