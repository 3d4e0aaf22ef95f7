/* SPDX-License-Identifier: Apache-2.0 */
/* Telephone events (RFC 4733): each press is told once, whatever the network did to its packets. */
#include "media/dtmf.h"

#include <glib.h>
#include <string.h>

/* ---- reports ------------------------------------------------------------------------------ */

typedef struct Report {
    guint8 code;
    gboolean marker, end;
    guint32 timestamp;
    guint16 duration;
} Report;

/* Keys told, over many packets. */
typedef struct Told {
    char keys[256];
    guint n, malformed;
} Told;

static void
hear(ClvDtmf *dtmf, const Report *r, Told *told)
{
    const guint8 payload[4] = {r->code, r->end ? 0x8a : 0x0a, (guint8)(r->duration >> 8),
                               (guint8)r->duration};
    ClvDtmfTaken taken;

    clv_dtmf_take(dtmf, r->timestamp, r->marker, payload, sizeof payload, &taken);
    told->malformed += taken.malformed;
    for (guint i = 0; i < taken.n; i++)
        told->keys[told->n++] = taken.keys[i];
    told->keys[told->n] = '\0';
}

/* As phones do it: an update every 20 ms of the press, and the end three times. */
static guint
make_press(Report *out, guint8 code, guint32 from, guint32 length)
{
    guint n = 0;
    guint32 segment = from;

    for (guint32 at = 160; at < length; at += 160) {
        if (from + at - segment > 0xffff) {
            out[n++] = (Report){code, FALSE, FALSE, segment, 0xffff};
            segment += 0xffff;
        }
        out[n] = (Report){code, n == 0, FALSE, segment, (guint16)(from + at - segment)};
        n++;
    }
    for (guint i = 0; i < 3; i++)
        out[n++] = (Report){code, n == 0, TRUE, segment, (guint16)(from + length - segment)};
    return n;
}

static void
shuffle(Report *reports, guint n, guint reach, GRand *rand)
{
    for (guint i = 0; i + 1 < n; i++) {
        guint with = i + (guint)g_rand_int_range(rand, 0, (gint)MIN(reach, n - 1 - i) + 1);
        Report other = reports[i];

        reports[i] = reports[with];
        reports[with] = other;
    }
}

/* ---- one press ---------------------------------------------------------------------------- */

static void
test_a_press_is_told_once_whichever_of_its_packets_come(void)
{
    Report press[16];
    guint n = make_press(press, 5, 1000, 960);

    g_assert_cmpuint(n, ==, 8);
    for (guint set = 1; set < 1u << n; set++) {
        for (guint turned = 0; turned < 2; turned++) { /* in order, and backwards */
            ClvDtmf dtmf;
            Told told = {0};

            clv_dtmf_init(&dtmf);
            for (guint i = 0; i < n; i++) {
                guint at = turned ? n - 1 - i : i;

                if ((set >> at & 1) != 0)
                    hear(&dtmf, &press[at], &told);
            }
            g_assert_cmpstr(told.keys, ==, "5");
        }
    }
}

static void
test_all_sixteen_keys_have_their_names(void)
{
    ClvDtmf dtmf;
    Told told = {0};

    clv_dtmf_init(&dtmf);
    for (guint i = 0; i < 16; i++)
        hear(&dtmf, &(Report){(guint8)i, TRUE, TRUE, 10000 * i, 800}, &told);
    g_assert_cmpstr(told.keys, ==, "0123456789*#ABCD");
    g_assert_cmpuint(told.malformed, ==, 0);
}

/* 30 s of holding a key down are four segments. */
static void
test_a_long_press_is_one_press(void)
{
    GRand *rand = g_rand_new_with_seed(2);
    static Report press[2000];
    guint n = make_press(press, 1, 0xfffff000, 30 * 8000);

    for (guint turn = 0; turn < 200; turn++) {
        Report sent[2000];
        ClvDtmf dtmf;
        Told told = {0};
        double loss = g_rand_double_range(rand, 0, 0.9);

        memcpy(sent, press, sizeof sent);
        shuffle(sent, n, turn % 2 == 0 ? 0 : 8, rand);
        clv_dtmf_init(&dtmf);
        for (guint i = 0; i < n; i++) {
            if (g_rand_double(rand) >= loss)
                hear(&dtmf, &sent[i], &told);
        }
        g_assert_cmpstr(told.keys, ==, "1");
    }
    g_rand_free(rand);
}

/* Against the RFC, but there are such senders. */
static void
test_timestamps_that_move_on_within_a_press_are_forgiven(void)
{
    ClvDtmf dtmf;
    Told told = {0};

    clv_dtmf_init(&dtmf);
    for (guint i = 0; i < 10; i++)
        hear(&dtmf, &(Report){3, i == 0, i >= 8, 5000 + 160 * i, (guint16)(160 * i + 160)}, &told);
    g_assert_cmpstr(told.keys, ==, "3");
}

static void
test_a_first_report_may_have_no_duration(void)
{
    ClvDtmf dtmf;
    Told told = {0};

    clv_dtmf_init(&dtmf);
    hear(&dtmf, &(Report){7, TRUE, FALSE, 400, 0}, &told);
    hear(&dtmf, &(Report){7, FALSE, FALSE, 400, 0}, &told);
    hear(&dtmf, &(Report){7, FALSE, TRUE, 400, 900}, &told);
    hear(&dtmf, &(Report){7, TRUE, FALSE, 2000, 0}, &told);
    g_assert_cmpstr(told.keys, ==, "77");
}

/* ---- many presses ------------------------------------------------------------------------- */

/* A PIN with repeated digits, over a network that loses and turns round; at least one packet of
 * each press gets through. */
static void
test_a_pin_comes_as_it_was_typed(void)
{
    static const guint8 pin[] = {1, 1, 2, 2, 2, 0, 9, 9, 11};
    GRand *rand = g_rand_new_with_seed(4);

    for (guint turn = 0; turn < 2000; turn++) {
        guint32 at = g_rand_int(rand);
        double loss = g_rand_double_range(rand, 0, 0.8);
        ClvDtmf dtmf;
        Told told = {0};

        clv_dtmf_init(&dtmf);
        for (guint k = 0; k < G_N_ELEMENTS(pin); k++) {
            guint32 length = (guint32)g_rand_int_range(rand, 320, 1600);
            Report press[32];
            guint n = make_press(press, pin[k], at, length);
            guint sure = (guint)g_rand_int_range(rand, 0, (gint)n);

            for (guint i = 0; i < n; i++)
                press[i].marker = press[i].marker && turn % 3 != 0; /* some never set it */
            shuffle(press, n, 4, rand);
            for (guint i = 0; i < n; i++) {
                if (i == sure || g_rand_double(rand) >= loss)
                    hear(&dtmf, &press[i], &told);
            }
            at += length + (guint32)g_rand_int_range(rand, 320, 8000);
        }
        g_assert_cmpstr(told.keys, ==, "11222099#");
    }
    g_rand_free(rand);
}

/* The end of one press comes after the beginning of the next. */
static void
test_a_late_packet_of_the_press_before_tells_nothing(void)
{
    ClvDtmf dtmf;
    Told told = {0};

    clv_dtmf_init(&dtmf);
    hear(&dtmf, &(Report){4, TRUE, FALSE, 1000, 160}, &told);
    hear(&dtmf, &(Report){4, TRUE, FALSE, 2600, 160}, &told);
    hear(&dtmf, &(Report){4, FALSE, TRUE, 1000, 800}, &told);
    hear(&dtmf, &(Report){4, FALSE, TRUE, 2600, 800}, &told);
    g_assert_cmpstr(told.keys, ==, "44");
}

/* A press that nothing was heard of but one packet, which was overtaken: late is better than never.
 */
static void
test_an_overtaken_press_is_told_late(void)
{
    ClvDtmf dtmf;
    Told told = {0};

    clv_dtmf_init(&dtmf);
    hear(&dtmf, &(Report){2, TRUE, TRUE, 9000, 800}, &told);
    hear(&dtmf, &(Report){1, FALSE, TRUE, 7000, 800}, &told);
    hear(&dtmf, &(Report){1, FALSE, TRUE, 7000, 800}, &told);
    g_assert_cmpstr(told.keys, ==, "21");
}

static void
test_memory_is_bounded_and_forgets_the_oldest(void)
{
    ClvDtmf dtmf;
    Told told = {0};

    clv_dtmf_init(&dtmf);
    for (guint i = 0; i < 40; i++)
        hear(&dtmf, &(Report){(guint8)(i % 10), TRUE, TRUE, 2000 * i, 800}, &told);
    g_assert_cmpuint(told.n, ==, 40);
    for (guint i = 0; i < 40; i++) /* all of them once more */
        hear(&dtmf, &(Report){(guint8)(i % 10), FALSE, TRUE, 2000 * i, 800}, &told);
    g_assert_cmpuint(told.n, ==, 40);
}

static void
test_a_press_after_days_is_a_press(void)
{
    ClvDtmf dtmf;
    Told told = {0};

    clv_dtmf_init(&dtmf);
    for (guint i = 0; i < 40; i++) /* half a day apart, over several turns of the clock */
        hear(&dtmf, &(Report){8, TRUE, TRUE, 345600000u * i, 800}, &told);
    g_assert_cmpuint(told.n, ==, 40);
}

/* ---- what is no press --------------------------------------------------------------------- */

static void
test_other_events_are_counted_and_left(void)
{
    ClvDtmf dtmf;
    Told told = {0};

    clv_dtmf_init(&dtmf);
    for (guint code = 16; code < 256; code++)
        hear(&dtmf, &(Report){(guint8)code, TRUE, TRUE, 1000 * code, 800}, &told);
    g_assert_cmpuint(told.n, ==, 0);
    g_assert_cmpuint(told.malformed, ==, 240);
}

static void
test_payloads_of_other_lengths_are_malformed(void)
{
    static const guint8 payload[4 * (CLV_DTMF_MAX_REPORTS + 1)] = {1, 0x8a, 3, 0x20};

    for (guint len = 0; len <= sizeof payload; len++) {
        ClvDtmf dtmf;
        ClvDtmfTaken taken;
        gboolean good = len > 0 && len % 4 == 0 && len <= 4 * CLV_DTMF_MAX_REPORTS;

        clv_dtmf_init(&dtmf);
        clv_dtmf_take(&dtmf, 100, TRUE, payload, len, &taken);
        g_assert_cmpint(taken.malformed, ==, !good);
        g_assert_cmpint(taken.n > 0, ==, good);
    }
}

static void
test_reports_in_one_packet_follow_each_other(void)
{
    static const guint8 payload[] = {5, 0x8a, 3, 0x20, 5, 0x8a, 3, 0x20, 6, 0x0a, 0, 0xa0};
    ClvDtmf dtmf;
    ClvDtmfTaken taken;
    Told told = {0};

    clv_dtmf_init(&dtmf);
    clv_dtmf_take(&dtmf, 4000, TRUE, payload, sizeof payload, &taken);
    g_assert_cmpuint(taken.n, ==, 3);
    g_assert_cmpint(memcmp(taken.keys, "556", 3), ==, 0);
    hear(&dtmf, &(Report){6, FALSE, TRUE, 4000 + 1600, 800}, &told); /* alone, it is the same */
    g_assert_cmpuint(told.n, ==, 0);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/dtmf/a-press-is-told-once-whichever-of-its-packets-come",
                    test_a_press_is_told_once_whichever_of_its_packets_come);
    g_test_add_func("/dtmf/all-sixteen-keys-have-their-names",
                    test_all_sixteen_keys_have_their_names);
    g_test_add_func("/dtmf/a-long-press-is-one-press", test_a_long_press_is_one_press);
    g_test_add_func("/dtmf/timestamps-that-move-on-within-a-press-are-forgiven",
                    test_timestamps_that_move_on_within_a_press_are_forgiven);
    g_test_add_func("/dtmf/a-first-report-may-have-no-duration",
                    test_a_first_report_may_have_no_duration);
    g_test_add_func("/dtmf/a-pin-comes-as-it-was-typed", test_a_pin_comes_as_it_was_typed);
    g_test_add_func("/dtmf/a-late-packet-of-the-press-before-tells-nothing",
                    test_a_late_packet_of_the_press_before_tells_nothing);
    g_test_add_func("/dtmf/an-overtaken-press-is-told-late", test_an_overtaken_press_is_told_late);
    g_test_add_func("/dtmf/memory-is-bounded-and-forgets-the-oldest",
                    test_memory_is_bounded_and_forgets_the_oldest);
    g_test_add_func("/dtmf/a-press-after-days-is-a-press", test_a_press_after_days_is_a_press);
    g_test_add_func("/dtmf/other-events-are-counted-and-left",
                    test_other_events_are_counted_and_left);
    g_test_add_func("/dtmf/payloads-of-other-lengths-are-malformed",
                    test_payloads_of_other_lengths_are_malformed);
    g_test_add_func("/dtmf/reports-in-one-packet-follow-each-other",
                    test_reports_in_one_packet_follow_each_other);
    return g_test_run();
}
