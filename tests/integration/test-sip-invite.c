/* SPDX-License-Identifier: Apache-2.0 */
/* What may an INVITE carry beside an offer, and how may it be answered?
 *
 * Lists of who shall be called, dialogs to take over or to join, reliable answers, preconditions,
 * redirection. A real ClvSip on loopback, a fake hub and raw peers in one thread.
 */
#include "config.h"

#include "sip-world.h"

#define MIXED "Content-Type: multipart/mixed;boundary=xyz\r\n"
#define LISTED "Require: recipient-list-invite\r\n" MIXED
#define SDP_PART "--xyz\r\nContent-Type: application/sdp\r\n\r\n" WORLD_OFFER "\r\n"
#define LIST_PART(inside)                                                                          \
    "--xyz\r\nContent-Type: application/resource-lists+xml\r\n"                                    \
    "Content-Disposition: recipient-list\r\n\r\n"                                                  \
    "<resource-lists xmlns=\"urn:ietf:params:xml:ns:resource-lists\"><list>" inside                \
    "</list></resource-lists>\r\n"
#define END_PART "--xyz--\r\n"

typedef struct Scene {
    World w;
    RawPeer *alice;
    RawCall call;
} Scene;

static void
begin(Scene *s)
{
    g_autofree char *uri = world_uri(&s->w, "abc.conf");

    raw_call_clear(&s->call);
    raw_call_init(&s->call, s->alice, uri);
}

static void
setup(Scene *s, gconstpointer data)
{
    world_setup(&s->w, data);
    s->alice = raw_peer_new(s->w.loop, s->w.udp, NULL);
    begin(s);
}

static void
teardown(Scene *s, gconstpointer data)
{
    raw_call_clear(&s->call);
    raw_peer_free(s->alice);
    world_teardown(&s->w, data);
}

static void
accepted(Scene *s)
{
    g_free(raw_call_expect(&s->call, 180));
    g_free(raw_call_expect(&s->call, 200));
    raw_call_ack(&s->call, NULL);
    world_expect(&s->w, "invite confirmed");
    world_forget(&s->w);
}

/* ---- lists ---- */

static void
a_list_comes_with_the_offer(Scene *s, gconstpointer unused)
{
    raw_call_send(&s->call, "INVITE", LISTED,
                  SDP_PART LIST_PART("<entry uri=\"sip:bob@example.org\"/>"
                                     "<entry uri=\"sip:carol@example.org\"/>") END_PART);
    accepted(s);
    g_assert_nonnull(s->w.hub.uri_list);
    g_assert_cmpuint(s->w.hub.uri_list->len, ==, 2);
    g_assert_cmpstr(((ClvUriEntry *)g_ptr_array_index(s->w.hub.uri_list, 1))->uri, ==,
                    "sip:carol@example.org");
    raw_call_send(&s->call, "INVITE", LISTED,
                  SDP_PART LIST_PART("<entry uri=\"sip:dave@example.org\"/>") END_PART);
    g_free(raw_call_expect(&s->call, 403)); /* not in a re-INVITE */
    raw_call_send(&s->call, "BYE", NULL, NULL);
    g_free(raw_call_expect(&s->call, 200));
    world_expect_empty(&s->w);
}

static void
an_entry_names_a_dialog_of_this_server(Scene *s, gconstpointer unused)
{
    RawCall bob;
    g_autofree char *body = NULL;
    ClvLegId leg;

    world_establish(&s->w, &bob, s->w.bob, NULL);
    leg = s->w.hub.last_leg;
    body = g_strdup_printf(
        SDP_PART LIST_PART("<entry uri=\"sip:bob@example.org?Call-ID=%s&amp;From=%%3Csip:a@b"
                           "%%3E%%3Btag=from1&amp;To=%%3Csip:c@d%%3E%%3Btag=%s\"/>") END_PART,
        bob.call_id, bob.to_tag);
    raw_call_send(&s->call, "INVITE", LISTED, body);
    accepted(s);
    g_assert_cmpuint(((ClvUriEntry *)g_ptr_array_index(s->w.hub.uri_list, 0))->leg, ==, leg);
    raw_call_clear(&bob);
}

static void
bad_bodies_get_their_status(Scene *s, gconstpointer unused)
{
    static const struct {
        const char *extra, *body;
        guint status;
    } cases[] = {
        {"Require: recipient-list-invite\r\n", WORLD_OFFER, 400},
        {LISTED, SDP_PART END_PART, 400},
        {LISTED, SDP_PART LIST_PART("<entry/>") END_PART, 400},
        {LISTED, SDP_PART LIST_PART("<entry uri=\"sip:bob@example.org;method=BYE\"/>") END_PART,
         400},
        {LISTED, SDP_PART LIST_PART("</list>") END_PART, 400},
        {LISTED, SDP_PART, 400},
        {MIXED, SDP_PART "--xyz\r\nContent-Type: text/plain\r\n\r\nhello\r\n" END_PART, 415},
        {"Content-Type: multipart/alternative;boundary=xyz\r\n", SDP_PART END_PART, 415},
        {MIXED, "--xyz\r\nContent-Type: application/sdp\r\n\r\nv=1\r\n" END_PART, 400},
    };

    for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *answer = NULL, *accept = NULL;

        begin(s);
        raw_call_send(&s->call, "INVITE", cases[i].extra, cases[i].body);
        answer = raw_call_expect(&s->call, cases[i].status);
        accept = raw_header(answer, "Accept");
        g_assert_cmpint(accept != NULL && strstr(accept, "multipart/mixed") != NULL, ==,
                        cases[i].status == 415);
        raw_call_same_branch(&s->call, "ACK");
    }
    world_expect_empty(&s->w);
    g_assert_cmpuint(s->w.hub.n_calls, ==, 0);
}

static void
parts_that_may_be_ignored_are(Scene *s, gconstpointer unused)
{
    raw_call_send(&s->call, "INVITE", MIXED,
                  SDP_PART "--xyz\r\nContent-Type: text/plain\r\n"
                           "Content-Disposition: render;handling=optional\r\n\r\nhello\r\n"
                           "--xyz\r\nContent-Type: application/resource-lists+xml\r\n"
                           "Content-Disposition: recipient-list-history;handling=optional\r\n\r\n"
                           "what others were told\r\n" END_PART);
    accepted(s);
    g_assert_null(s->w.hub.uri_list);
}

/* ---- Replaces and Join ---- */

static void
replaces_and_join_find_their_dialog(Scene *s, gconstpointer unused)
{
    RawCall bob;
    g_autofree char *replaces = NULL, *join = NULL, *both = NULL;
    ClvLegId leg;

    world_establish(&s->w, &bob, s->w.bob, NULL);
    leg = s->w.hub.last_leg;
    replaces = g_strdup_printf("Require: replaces\r\nReplaces: %s;to-tag=%s;from-tag=from1\r\n",
                               bob.call_id, bob.to_tag);
    join = g_strdup_printf("Require: join\r\nJoin: %s;from-tag=from1;to-tag=%s\r\n", bob.call_id,
                           bob.to_tag);
    both = g_strconcat(replaces, join, NULL);
    raw_call_send(&s->call, "INVITE", replaces, WORLD_OFFER);
    accepted(s);
    g_assert_cmpuint(s->w.hub.replaces, ==, leg);
    g_assert_cmpuint(s->w.hub.joins, ==, 0);
    begin(s);
    raw_call_send(&s->call, "INVITE", join, WORLD_OFFER);
    accepted(s);
    g_assert_cmpuint(s->w.hub.replaces, ==, 0);
    g_assert_cmpuint(s->w.hub.joins, ==, leg);
    begin(s);
    raw_call_send(&s->call, "INVITE", both, WORLD_OFFER);
    g_free(raw_call_expect(&s->call, 400));
    raw_call_same_branch(&s->call, "ACK");
    raw_call_clear(&bob);
}

static void
unknown_and_answered_dialogs_are_told_apart(Scene *s, gconstpointer unused)
{
    RawCall bob;
    g_autofree char *wrong = NULL, *early = NULL;

    world_establish(&s->w, &bob, s->w.bob, NULL);
    wrong = g_strdup_printf("Replaces: %s;to-tag=%s;from-tag=from2\r\n", bob.call_id, bob.to_tag);
    early = g_strdup_printf("Replaces: %s;to-tag=%s;from-tag=from1;early-only\r\n", bob.call_id,
                            bob.to_tag);
    raw_call_send(&s->call, "INVITE", wrong, WORLD_OFFER);
    g_free(raw_call_expect(&s->call, 481));
    raw_call_same_branch(&s->call, "ACK");
    begin(s);
    raw_call_send(&s->call, "INVITE", early, WORLD_OFFER);
    g_free(raw_call_expect(&s->call, 486));
    raw_call_same_branch(&s->call, "ACK");
    begin(s);
    raw_call_send(&s->call, "INVITE", "Join: nothing\r\n", WORLD_OFFER);
    g_free(raw_call_expect(&s->call, 400));
    raw_call_same_branch(&s->call, "ACK");
    raw_call_clear(&bob);
}

/* ---- who calls ---- */

static void
all_asserted_identities_are_told(Scene *s, gconstpointer unused)
{
    char *trusted[] = {"127.0.0.1", NULL};

    s->w.config.trusted_peers = trusted;
    world_restart(&s->w);
    raw_peer_free(s->alice);
    s->alice = raw_peer_new(s->w.loop, s->w.udp, NULL);
    begin(s);
    raw_call_send(&s->call, "INVITE",
                  "P-Asserted-Identity: <sip:alice@example.org>, <tel:+4930123>\r\n"
                  "P-Charging-Vector: icid-value=1\r\nP-Access-Network-Info: 3GPP-E-UTRAN-FDD\r\n"
                  "Accept-Contact: *;+g.3gpp.icsi-ref=\"urn%3Aurn-7%3A3gpp-service.ims.icsi.mmtel"
                  "\"\r\n",
                  WORLD_OFFER);
    accepted(s);
    g_assert_cmpstr(s->w.hub.identities, ==, "sip:alice@example.org tel:+4930123");
    g_assert_cmpstr(s->w.hub.identity, ==, "sip:alice@example.org");
    g_assert_cmpstr(s->w.hub.peer_name, ==, "127.0.0.1");
}

static void
identities_of_strangers_are_not_told(Scene *s, gconstpointer unused)
{
    raw_call_send(&s->call, "INVITE", "P-Asserted-Identity: <sip:alice@example.org>\r\n",
                  WORLD_OFFER);
    accepted(s);
    g_assert_null(s->w.hub.identities);
    g_assert_null(s->w.hub.identity);
}

/* ---- answers ---- */

static void
progress_is_repeated_until_the_answer(Scene *s, gconstpointer unused)
{
    s->w.hub.mood = HUB_WAITS;
    raw_call_send(&s->call, "INVITE", NULL, WORLD_OFFER);
    world_expect(&s->w, "invite");
    clv_sip_progress(s->w.hub.sip, s->w.hub.last_leg, 182, HUB_CONFERENCE);
    for (guint i = 0; i < 3; i++)
        g_free(raw_call_expect(&s->call, 182));
    hub_accept(&s->w.hub, s->w.hub.last_leg);
    g_free(raw_call_expect(&s->call, 200));
    raw_call_ack(&s->call, NULL);
    world_expect_silence(s->alice, 3000);
}

static void
a_redirection_carries_the_key_message(Scene *s, gconstpointer unused)
{
    static const guint8 mikey[] = {'A', 'B', 0, 'C'};
    g_autofree char *moved = NULL, *contact = NULL, *type = NULL, *length = NULL;

    s->w.hub.mood = HUB_WAITS;
    raw_call_send(&s->call, "INVITE", NULL, WORLD_OFFER);
    world_expect(&s->w, "invite");
    clv_sip_redirect(s->w.hub.sip, s->w.hub.last_leg, HUB_CONFERENCE, mikey, sizeof(mikey));
    moved = raw_call_expect(&s->call, 302);
    contact = raw_header(moved, "Contact");
    type = raw_header(moved, "Content-Type");
    length = raw_header(moved, "Content-Length");
    g_assert_true(g_str_has_suffix(contact, ">;isfocus"));
    g_assert_cmpstr(type, ==, "application/mikey");
    g_assert_cmpstr(length, ==, "4");
    g_assert_cmpint(memcmp(raw_body(moved), mikey, 3), ==, 0); /* raw peers stop at a zero */
    raw_call_same_branch(&s->call, "ACK");
    world_expect_empty(&s->w);
}

/* ---- reliable answers and preconditions ---- */

#define QOS(current)                                                                               \
    "a=curr:qos local " current "\r\na=curr:qos remote none\r\n"                                   \
    "a=des:qos mandatory local sendrecv\r\na=des:qos optional remote sendrecv\r\n"
#define RESERVING "Supported: 100rel\r\nRequire: precondition\r\n"

/* The 183 with the answer, acknowledged. */
static char *
expect_early_answer(Scene *s)
{
    char *early;
    g_autofree char *rseq = NULL, *rack = NULL;
    guint invite = s->call.cseq;

    early = raw_call_expect(&s->call, 183);
    rseq = raw_header(early, "RSeq");
    g_assert_nonnull(rseq);
    rack = g_strdup_printf("RAck: %s %u INVITE\r\n", rseq, invite);
    raw_call_send(&s->call, "PRACK", rack, NULL);
    g_free(raw_call_expect(&s->call, 200));
    return early;
}

static void
ack_of(Scene *s, guint cseq)
{
    guint now = s->call.cseq;

    s->call.cseq = cseq;
    raw_call_ack(&s->call, NULL);
    s->call.cseq = now;
}

/* INVITE (curr none) ->  <- 180  <- 183 (SDP)  PRACK ->  <- 200  UPDATE (curr sendrecv) ->
 * <- 200 (UPDATE, SDP)  <- 200 (INVITE, no SDP)  ACK -> */
static void
the_answer_waits_until_the_caller_has_reserved(Scene *s, gconstpointer unused)
{
    g_autofree char *early = NULL, *updated = NULL, *ok = NULL;

    raw_call_send(&s->call, "INVITE", RESERVING, WORLD_OFFER QOS("none"));
    g_free(raw_call_expect(&s->call, 180));
    early = expect_early_answer(s);
    g_assert_nonnull(strstr(early, "a=curr:qos local sendrecv\r\n"));
    g_assert_nonnull(strstr(early, "a=curr:qos remote none\r\n"));
    g_assert_nonnull(strstr(early, "a=des:qos mandatory remote sendrecv\r\n"));
    g_assert_nonnull(strstr(early, "a=conf:qos remote sendrecv\r\n"));
    g_assert_nonnull(strstr(early, ";isfocus"));
    world_expect_silence(s->alice, 100);
    raw_call_send(&s->call, "UPDATE", NULL, WORLD_OFFER QOS("sendrecv"));
    updated = raw_call_expect(&s->call, 200);
    g_assert_nonnull(strstr(updated, "UPDATE\r\n"));
    g_assert_nonnull(strstr(updated, "a=curr:qos remote sendrecv\r\n"));
    g_assert_null(strstr(updated, "a=conf:"));
    ok = raw_call_expect(&s->call, 200);
    g_assert_nonnull(strstr(ok, "CSeq: 1 INVITE\r\n"));
    g_assert_cmpstr(raw_body(ok), ==, "");
    ack_of(s, 1);
    world_expect(&s->w, "invite reoffer done confirmed");
    raw_call_send(&s->call, "BYE", NULL, NULL);
    g_free(raw_call_expect(&s->call, 200));
    world_expect_empty(&s->w);
}

/* ... <- 183 (SDP)  PRACK ->  <- 200  UPDATE (curr sendrecv) ->  <- 488: nothing has changed
 * UPDATE (curr none) ->  <- 200 (UPDATE)  UPDATE (curr sendrecv) ->  <- 200  <- 200 (INVITE) */
static void
a_refused_early_update_leaves_the_call_as_it_was(Scene *s, gconstpointer unused)
{
    s->w.hub.reoffers_wait = TRUE;
    raw_call_send(&s->call, "INVITE", RESERVING, WORLD_OFFER QOS("none"));
    g_free(raw_call_expect(&s->call, 180));
    g_free(expect_early_answer(s));
    raw_call_send(&s->call, "UPDATE", NULL, WORLD_OFFER QOS("sendrecv"));
    world_expect(&s->w, "invite reoffer");
    clv_sip_refuse(s->w.hub.sip, s->w.hub.last_leg, CLV_CODE_NO_COMMON_MEDIA, 0, NULL);
    g_free(raw_call_expect(&s->call, 488));
    world_expect_silence(s->alice, 100);
    s->w.hub.reoffers_wait = FALSE;
    raw_call_send(&s->call, "UPDATE", NULL, WORLD_OFFER QOS("none"));
    g_free(raw_call_expect(&s->call, 200));
    world_expect_silence(s->alice, 100);
    raw_call_send(&s->call, "UPDATE", NULL, WORLD_OFFER QOS("sendrecv"));
    g_free(raw_call_expect(&s->call, 200));
    g_free(raw_call_expect(&s->call, 200));
    ack_of(s, 1);
    world_expect(&s->w, "invite reoffer reoffer done reoffer done confirmed");
}

/* ... <- 183 (SDP)  PRACK ->  <- 200  INVITE (CSeq 3) ->  <- 500 (Retry-After)  CANCEL of
 * the first ->  <- 200  <- 487 (CSeq 1): RFC 3261 14.2, one INVITE at a time */
static void
an_invite_does_not_take_the_place_of_an_unanswered_one(Scene *s, gconstpointer unused)
{
    g_autofree char *first = NULL, *busy = NULL, *retry_after = NULL, *over = NULL;

    s->w.hub.reoffers_wait = TRUE;
    raw_call_send(&s->call, "INVITE", RESERVING, WORLD_OFFER QOS("none"));
    first = g_strdup(s->call.branch);
    g_free(raw_call_expect(&s->call, 180));
    g_free(expect_early_answer(s));
    raw_call_send(&s->call, "INVITE", RESERVING, WORLD_OFFER QOS("none"));
    busy = raw_call_expect(&s->call, 500);
    retry_after = raw_header(busy, "Retry-After");
    g_assert_nonnull(retry_after);
    raw_call_same_branch(&s->call, "ACK");
    world_expect(&s->w, "invite");

    g_free(s->call.branch);
    s->call.branch = g_steal_pointer(&first);
    s->call.cseq = 1;
    g_clear_pointer(&s->call.to_tag, g_free);
    raw_call_same_branch(&s->call, "CANCEL");
    g_free(raw_call_expect(&s->call, 200));
    over = raw_call_expect(&s->call, 487);
    g_assert_nonnull(strstr(over, "CSeq: 1 INVITE\r\n"));
    world_expect(&s->w, "invite ended:cancel");
    world_expect_empty(&s->w);
}

static void
met_preconditions_are_answered_at_once(Scene *s, gconstpointer unused)
{
    raw_call_send(&s->call, "INVITE", RESERVING, WORLD_OFFER QOS("sendrecv"));
    g_free(raw_call_expect(&s->call, 180));
    g_free(expect_early_answer(s));
    g_free(raw_call_expect(&s->call, 200));
    ack_of(s, 1);
    world_expect(&s->w, "invite confirmed");
}

static void
who_never_reserves_is_refused(Scene *s, gconstpointer unused)
{
    raw_call_send(&s->call, "INVITE", RESERVING, WORLD_OFFER QOS("send"));
    g_free(raw_call_expect(&s->call, 180));
    g_free(expect_early_answer(s));
    g_free(raw_call_expect(&s->call, 580));
    world_expect(&s->w, "invite ended:error");
    s->call.cseq = 1;
    world_expect_empty(&s->w);
}

static void
an_early_answer_can_be_cancelled(Scene *s, gconstpointer unused)
{
    g_autofree char *branch = NULL;

    raw_call_send(&s->call, "INVITE", RESERVING, WORLD_OFFER QOS("none"));
    branch = g_strdup(s->call.branch);
    g_free(raw_call_expect(&s->call, 180));
    g_free(expect_early_answer(s));
    raw_call_send(&s->call, "BYE", NULL, NULL);
    g_free(raw_call_expect(&s->call, 200));
    g_free(raw_call_expect(&s->call, 487));
    world_expect(&s->w, "invite ended:bye");
    world_expect_empty(&s->w);
}

static void
an_early_answer_without_prack_ends_the_call(Scene *s, gconstpointer unused)
{
    s->w.hub.mood = HUB_WAITS;
    raw_call_send(&s->call, "INVITE", "Require: 100rel\r\n", WORLD_OFFER);
    world_expect(&s->w, "invite");
    clv_sip_accept(s->w.hub.sip, s->w.hub.last_leg, HUB_CONFERENCE, WORLD_OFFER);
    g_free(raw_call_expect(&s->call, 183));
    raw_call_send(&s->call, "UPDATE", NULL, WORLD_OFFER); /* too early */
    for (;;) {
        g_autofree char *answer = raw_peer_receive(s->alice, 3000);

        g_assert_nonnull(answer);
        if (raw_status(answer) == 183)
            continue; /* again and again */
        if (raw_status(answer) == 500) {
            g_assert_cmpuint(raw_count_headers(answer, "Retry-After"), ==, 1);
            continue;
        }
        g_assert_cmpuint(raw_status(answer), ==, 504);
        break;
    }
    world_expect(&s->w, "invite ended:no-ack");
    world_expect_empty(&s->w);
}

static void
needs_that_we_cannot_meet_are_refused(Scene *s, gconstpointer unused)
{
    g_autofree char *extension = NULL, *require = NULL;

    raw_call_send(&s->call, "INVITE", RESERVING,
                  WORLD_OFFER "a=curr:sec local none\r\na=des:sec mandatory e2e sendrecv\r\n");
    g_free(raw_call_expect(&s->call, 580));
    raw_call_same_branch(&s->call, "ACK");
    begin(s);
    raw_call_send(&s->call, "INVITE", "Require: precondition\r\n", WORLD_OFFER QOS("none"));
    extension = raw_call_expect(&s->call, 421);
    require = raw_header(extension, "Require");
    g_assert_cmpstr(require, ==, "100rel");
    raw_call_same_branch(&s->call, "ACK");
    g_assert_cmpuint(s->w.hub.n_calls, ==, 0);
    world_expect_empty(&s->w);
}

static void
options_tell_what_we_know(Scene *s, gconstpointer unused)
{
    static const char *const tags[] = {"100rel",   "timer",       "replaces",
                                       "join",     "norefersub",  "tdialog",
                                       "histinfo", "from-change", "recipient-list-invite"};
    g_autofree char *ok = NULL, *supported = NULL, *accept = NULL, *events = NULL;

    raw_call_send(&s->call, "OPTIONS", NULL, NULL);
    ok = raw_call_expect(&s->call, 200);
    supported = raw_header(ok, "Supported");
    accept = raw_header(ok, "Accept");
    events = raw_header(ok, "Allow-Events");
    for (gsize i = 0; i < G_N_ELEMENTS(tags); i++)
        g_assert_nonnull(strstr(supported, tags[i]));
    g_assert_cmpstr(accept, ==,
                    "application/sdp, message/sipfrag, application/resource-lists+xml, "
                    "application/mikey, multipart/mixed");
    g_assert_cmpstr(events, ==, "refer");
}

/* RFC 3261 21.4.13: what would have been read in that very request. */
static void
a_415_lists_what_is_read_in_such_a_request(Scene *s, gconstpointer unused)
{
    static const struct {
        const char *method, *type, *accept;
    } cases[] = {
        {"INVITE", "text/plain", "application/sdp, application/resource-lists+xml, multipart/mixed"},
        {"UPDATE", "text/plain", "application/sdp, multipart/mixed"},
        {"UPDATE", "application/resource-lists+xml", "application/sdp, multipart/mixed"},
        {"REFER", "text/plain", "application/mikey, application/sdp, multipart/mixed"},
    };

    raw_call_clear(&s->call);
    world_establish(&s->w, &s->call, s->alice, NULL);
    for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *extra = g_strdup_printf("Content-Type: %s\r\nRefer-To: <sip:bob@example"
                                                 ".org>\r\n", cases[i].type);
        g_autofree char *refusal = NULL, *accept = NULL;

        raw_call_send(&s->call, cases[i].method, extra, "hello");
        refusal = raw_call_expect(&s->call, 415);
        accept = raw_header(refusal, "Accept");
        g_assert_cmpstr(accept, ==, cases[i].accept);
        if (strcmp(cases[i].method, "INVITE") == 0)
            raw_call_same_branch(&s->call, "ACK");
    }
    world_expect(&s->w, ""); /* and the call lives */
}

/* In an IMS: the ICSI of MMTel beside isfocus; the factory is no focus and has no service. */
static void
in_an_ims_contacts_tell_the_service(Scene *s, gconstpointer unused)
{
    static const char service[] =
        ">;isfocus;+g.3gpp.icsi-ref=\"urn%3Aurn-7%3A3gpp-service.ims.icsi.mmtel\"";
    g_autofree char *ringing = NULL, *ok = NULL, *options = NULL, *factory = NULL;

    s->w.config.ims = TRUE;
    world_restart(&s->w);
    raw_peer_free(s->alice);
    s->alice = raw_peer_new(s->w.loop, s->w.udp, NULL);
    begin(s);
    raw_call_send(&s->call, "OPTIONS", NULL, NULL);
    options = raw_call_expect(&s->call, 200);
    g_assert_nonnull(strstr(options, service));
    begin(s);
    raw_call_send(&s->call, "INVITE", NULL, WORLD_OFFER);
    ringing = raw_call_expect(&s->call, 180);
    g_assert_nonnull(strstr(ringing, service));
    ok = raw_call_expect(&s->call, 200);
    g_assert_nonnull(strstr(ok, service));
    raw_call_ack(&s->call, NULL);
    raw_call_send(&s->call, "BYE", NULL, NULL);
    g_free(raw_call_expect(&s->call, 200));
    raw_call_clear(&s->call);
    raw_call_init(&s->call, s->alice, HUB_FACTORY);
    raw_call_send(&s->call, "OPTIONS", NULL, NULL);
    factory = raw_call_expect(&s->call, 200);
    g_assert_null(strstr(factory, "isfocus"));
    g_assert_null(strstr(factory, "icsi"));
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);

#define ADD(path, fn) g_test_add("/sip/invite/" path, Scene, NULL, setup, fn, teardown)
    ADD("list", a_list_comes_with_the_offer);
    ADD("list-dialog", an_entry_names_a_dialog_of_this_server);
    ADD("bad-bodies", bad_bodies_get_their_status);
    ADD("optional-parts", parts_that_may_be_ignored_are);
    ADD("replaces", replaces_and_join_find_their_dialog);
    ADD("replaces-unknown", unknown_and_answered_dialogs_are_told_apart);
    ADD("identities", all_asserted_identities_are_told);
    ADD("strangers", identities_of_strangers_are_not_told);
    ADD("progress", progress_is_repeated_until_the_answer);
    ADD("redirect", a_redirection_carries_the_key_message);
    ADD("reserving", the_answer_waits_until_the_caller_has_reserved);
    ADD("reserving-refused", a_refused_early_update_leaves_the_call_as_it_was);
    ADD("reserved", met_preconditions_are_answered_at_once);
    ADD("early-invite", an_invite_does_not_take_the_place_of_an_unanswered_one);
    ADD("never-reserved", who_never_reserves_is_refused);
    ADD("early-bye", an_early_answer_can_be_cancelled);
    ADD("early-no-prack", an_early_answer_without_prack_ends_the_call);
    ADD("needs", needs_that_we_cannot_meet_are_refused);
    ADD("options", options_tell_what_we_know);
    ADD("accept", a_415_lists_what_is_read_in_such_a_request);
    ADD("ims-contact", in_an_ims_contacts_tell_the_service);

    return g_test_run();
}
