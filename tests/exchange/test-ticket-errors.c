/* SPDX-License-Identifier: Apache-2.0 */
/* Which number has the Error message for each thing that can be wrong with a call, and does it have
 * a MAC? (table of the errors in RFC 6043 section 5.4 and RFC 3830 section 6.12)
 *
 * Everything here is found before the caller has proven anything, so no Error has a MAC and no KMS
 * is asked. What is found after that is in test-mikey-ticket.c and test-ticket-update.c; numbers 5,
 * 6 and 8 are about certificates and Diffie-Hellman: test-mikey-pk.c and test-ticket-papers.c.
 */
#include "config.h"

#include "ticket-world.h"

#include "tests/unit/mikey-draft.h"

typedef void (*Spoil)(Draft *d);

/* ---- 0: authentication ---- */

static void
no_list_of_protocols(Draft *d)
{
    draft_drop(d, MIKEY_GENERAL_EXT);
}

static void
another_list_of_protocols(Draft *d)
{
    draft_find(d, MIKEY_GENERAL_EXT)->u.ext.data = mikey_bytes_str("mikey;sdes");
}

/* The list comes as text, not as a hash of it. */
static void
list_as_a_hash(Draft *d)
{
    static guint8 hash[MIKEY_DIGEST_LEN];

    g_assert_cmpint(mikey_digest(mikey_bytes_str("mikey"), hash), ==, MIKEY_OK);
    draft_find(d, MIKEY_GENERAL_EXT)->u.ext.data = mikey_bytes(hash, sizeof(hash));
}

/* ---- 1: time ---- */

static void
counter_for_time(Draft *d)
{
    draft_find(d, MIKEY_T)->u.timestamp.type = MIKEY_TS_COUNTER;
    draft_find(d, MIKEY_T)->u.timestamp.value = 1;
}

static void
early_by_301_s(Draft *d)
{
    draft_find(d, MIKEY_T)->u.timestamp.value += (guint64)301 << 32;
}

static void
late_by_301_s(Draft *d)
{
    draft_find(d, MIKEY_T)->u.timestamp.value -= (guint64)301 << 32;
}

/* Seconds with the top bit clear lie after 2036. */
static void
of_another_era(Draft *d)
{
    draft_find(d, MIKEY_T)->u.timestamp.value &= ~((guint64)1 << 63);
}

/* ---- 2 to 4: algorithms ---- */

static void
unknown_prf(Draft *d)
{
    d->header.prf = 5;
}

static void
prf_of_the_other_suite(Draft *d)
{
    d->header.prf = MIKEY_PRF_MIKEY_1;
}

static void
no_mac(Draft *d)
{
    draft_find(d, MIKEY_V)->u.v = (MikeyV){.alg = MIKEY_MAC_NULL};
}

static void
mac_of_the_other_suite(Draft *d)
{
    MikeyV *v = &draft_find(d, MIKEY_V)->u.v;

    v->alg = MIKEY_MAC_HMAC_SHA_1_160;
    v->mac.len = 20;
}

static void
kemac_of_the_other_suite(Draft *d)
{
    static const guint8 sealed[16] = {1};
    const MikeyPayload kemac = {
        .number = MIKEY_KEMAC,
        .u.kemac = {.encr_alg = MIKEY_ENCR_AES_CM_128, .encr_data = {sealed, sizeof(sealed)}}};

    draft_add(d, &kemac);
}

/* ---- 9 to 12 ---- */

static void
sessions_for_tls(Draft *d)
{
    d->cs[0].prot = d->cs[1].prot = 1;
    for (gsize i = 0; i < d->n; i++)
        if (d->payloads[i].number == MIKEY_SP)
            d->payloads[i].u.sp.prot = 1;
}

static void
no_policy_that_we_know(Draft *d)
{
    static const guint8 rot13[] = {0, 1, 13};

    for (gsize i = 0; i < d->n; i++)
        if (d->payloads[i].number == MIKEY_SP)
            d->payloads[i].u.sp.params = mikey_bytes(rot13, sizeof(rot13));
}

static void
plain_mikey(Draft *d)
{
    d->header.type = 0;
}

static void
an_answer(Draft *d)
{
    d->header.type = MIKEY_TRANSFER_RESP;
}

static void
short_rand(Draft *d)
{
    draft_find(d, MIKEY_RANDR)->u.rand.rand.len = 15;
}

/* ---- 13: cannot be read ---- */

static void
no_initiator(Draft *d)
{
    draft_drop(d, MIKEY_IDR);
}

static void
no_rand(Draft *d)
{
    draft_drop(d, MIKEY_RANDR);
}

static void
time_twice(Draft *d)
{
    const MikeyPayload again = *draft_find(d, MIKEY_T);

    draft_add(d, &again);
}

static void
map_without_ids(Draft *d)
{
    d->header.map_type = MIKEY_MAP_EMPTY;
    d->header.n_cs = 0;
}

static void
no_session_for_the_answer(Draft *d)
{
    d->header.n_cs = 1;
}

/* ---- 14 and 15: the ticket ---- */

static void
unknown_type_of_ticket(Draft *d)
{
    draft_find(d, MIKEY_TICKET)->u.ticket.ticket_type = 77;
    draft_find(d, MIKEY_TICKET)->u.ticket.flags &= ~(MIKEY_FLAG_N | MIKEY_FLAG_O);
}

static void
unknown_version_of_ticket(Draft *d)
{
    draft_find(d, MIKEY_TICKET)->u.ticket.version = 2;
    draft_find(d, MIKEY_TICKET)->u.ticket.flags &= ~(MIKEY_FLAG_N | MIKEY_FLAG_O);
}

static void
forking_without_resolving(Draft *d)
{
    draft_find(d, MIKEY_TICKET)->u.ticket.flags &= ~MIKEY_FLAG_E;
}

static void
neither_g_nor_h(Draft *d)
{
    draft_find(d, MIKEY_TICKET)->u.ticket.flags &= ~(MIKEY_FLAG_G | MIKEY_FLAG_H);
}

static void
forking_without_initiator_data(Draft *d)
{
    draft_find(d, MIKEY_TICKET)->u.ticket.initiator_data.len = 0;
}

static const struct {
    const char *name;
    Spoil spoil;
    guint8 number;
    ClvCode code;
    guint32 more_flags;
} rows[] = {
    {"no-list-of-protocols", no_list_of_protocols, 0, CLV_CODE_KEYMGMT_FAILED, 0},
    {"another-list-of-protocols", another_list_of_protocols, 0, CLV_CODE_KEYMGMT_FAILED, 0},
    {"a-list-of-protocols-as-a-hash", list_as_a_hash, 0, CLV_CODE_KEYMGMT_FAILED, 0},
    {"a-counter-for-time", counter_for_time, 1, CLV_CODE_KEYMGMT_FAILED, 0},
    {"early-by-more-than-the-skew", early_by_301_s, 1, CLV_CODE_KEYMGMT_FAILED, 0},
    {"late-by-more-than-the-skew", late_by_301_s, 1, CLV_CODE_KEYMGMT_FAILED, 0},
    {"a-time-of-another-era", of_another_era, 1, CLV_CODE_KEYMGMT_FAILED, 0},
    {"an-unknown-prf", unknown_prf, 2, CLV_CODE_KEYMGMT_FAILED, 0},
    {"a-prf-that-is-not-the-tickets", prf_of_the_other_suite, 2, CLV_CODE_KEYMGMT_FAILED, 0},
    {"no-mac", no_mac, 3, CLV_CODE_KEYMGMT_FAILED, 0},
    {"a-mac-of-the-other-suite", mac_of_the_other_suite, 3, CLV_CODE_KEYMGMT_FAILED, 0},
    {"keys-under-the-other-suite", kemac_of_the_other_suite, 4, CLV_CODE_KEYMGMT_FAILED,
     MIKEY_FLAG_L},
    {"sessions-for-tls", sessions_for_tls, 9, CLV_CODE_KEYMGMT_UNACCEPTABLE, 0},
    {"no-policy-that-we-know", no_policy_that_we_know, 10, CLV_CODE_KEYMGMT_UNACCEPTABLE, 0},
    {"plain-mikey", plain_mikey, 11, CLV_CODE_KEYMGMT_FAILED, 0},
    {"an-answer-for-an-offer", an_answer, 11, CLV_CODE_KEYMGMT_FAILED, 0},
    {"a-short-rand", short_rand, 12, CLV_CODE_KEYMGMT_FAILED, 0},
    {"no-initiator", no_initiator, 13, CLV_CODE_KEYMGMT_FAILED, 0},
    {"no-rand", no_rand, 13, CLV_CODE_KEYMGMT_FAILED, 0},
    {"time-twice", time_twice, 13, CLV_CODE_KEYMGMT_FAILED, 0},
    {"a-map-without-ids", map_without_ids, 13, CLV_CODE_KEYMGMT_FAILED, 0},
    {"one-session-for-both-directions", no_session_for_the_answer, 13, CLV_CODE_KEYMGMT_FAILED, 0},
    {"an-unknown-type-of-ticket", unknown_type_of_ticket, 14, CLV_CODE_TICKET_REFUSED, 0},
    {"an-unknown-version-of-a-ticket", unknown_version_of_ticket, 14, CLV_CODE_TICKET_REFUSED, 0},
    {"forking-without-resolving", forking_without_resolving, 15, CLV_CODE_TICKET_REFUSED, 0},
    {"neither-g-nor-h", neither_g_nor_h, 15, CLV_CODE_TICKET_REFUSED, 0},
    {"forking-without-initiator-data", forking_without_initiator_data, 15, CLV_CODE_TICKET_REFUSED,
     0},
};

static void
has_its_number(gconstpointer data)
{
    gsize i = GPOINTER_TO_SIZE(data);
    World *world = world_new();
    Caller *bob = caller_new(world, "bob", BOB, FOCUS);
    Draft d;
    MikeyBuffer octets;
    ClvSdp *sdp;
    Server *server;
    gboolean has_mac;

    bob->policy.flags |= rows[i].more_flags;
    make_transfer(bob);
    draft_open(&d, transfer_of(bob));
    rows[i].spoil(&d);
    octets = draft_close(&d, NULL, mikey_bytes(NULL, 0));
    sdp = sdp_with(mikey_bytes(octets.data, octets.len));
    server = server_new(world, CLV_PURPOSE_JOIN, sdp);
    g_assert_cmpint(open_and_ask(server), ==, CLV_KEYMGMT_FAILED);
    g_assert_cmpint(error_number(server, &has_mac), ==, rows[i].number);
    g_assert_false(has_mac);
    g_assert_error(server->error, CLV_KEYMGMT_ERROR, (gint)rows[i].code);
    g_assert_cmpuint(world->n_resolved, ==, 0);
    server_free(server);
    sdp_free(sdp);
    mikey_buffer_clear(&octets);
    caller_free(bob);
    world_free(world);
}

/* Each number of the table is that of a status, and each status has one of the table. */
static void
test_numbers(void)
{
    static const struct {
        MikeyStatus status;
        guint8 number;
    } table[] = {
        {MIKEY_BAD_MAC, 0},        {MIKEY_BAD_INITIATOR_DATA, 0},
        {MIKEY_BAD_TICKET_MAC, 0}, {MIKEY_UNKNOWN_USER, 0},
        {MIKEY_SDP_IDS_DIFFER, 0}, {MIKEY_BAD_TIME, 1},
        {MIKEY_REPLAYED, 1},       {MIKEY_BAD_PRF, 2},
        {MIKEY_BAD_MAC_ALG, 3},    {MIKEY_BAD_ENCR_ALG, 4},
        {MIKEY_BAD_HASH, 5},       {MIKEY_BAD_DH_GROUP, 6},
        {MIKEY_BAD_IDENTITY, 7},   {MIKEY_BAD_CERTIFICATE, 8},
        {MIKEY_BAD_PROTOCOL, 9},   {MIKEY_BAD_PARAMETERS, 10},
        {MIKEY_BAD_DATA_TYPE, 11}, {MIKEY_SHORT_RAND, 12},
        {MIKEY_BAD_KEYS, 12},      {MIKEY_REFUSED, 12},
        {MIKEY_TRUNCATED, 13},     {MIKEY_TRAILING, 13},
        {MIKEY_VERSION, 13},       {MIKEY_UNKNOWN_PAYLOAD, 13},
        {MIKEY_DUPLICATE, 13},     {MIKEY_MISSING, 13},
        {MIKEY_MALFORMED, 13},     {MIKEY_BAD_SESSIONS, 13},
        {MIKEY_TOO_LARGE, 13},     {MIKEY_BAD_TICKET, 14},
        {MIKEY_NOT_REUSABLE, 14},  {MIKEY_BAD_FLAGS, 15},
        {MIKEY_NOT_VALID, 15},     {MIKEY_POLICY_VIOLATED, 15},
        {MIKEY_BAD_POLICY, 15},    {MIKEY_MISMATCH, 12},
        {MIKEY_PEER_ERROR, 12},    {MIKEY_NO_MEMORY, 12},
        {MIKEY_NO_RANDOM, 12},     {MIKEY_CRYPTO, 12},
        {MIKEY_ARGUMENT, 12},      {MIKEY_ORDER, 12},
    };

    g_assert_cmpuint(G_N_ELEMENTS(table), ==, MIKEY_N_STATUS - 1);
    for (guint i = 0; i < G_N_ELEMENTS(table); i++) {
        g_test_message("%s", mikey_status_string(table[i].status));
        g_assert_cmpint(mikey_status_error(table[i].status), ==, table[i].number);
    }
}

/* An Error is not answered by an Error, and what is no message gets none. */
static void
test_no_error_about_an_error(void)
{
    World *world = world_new();
    Caller *bob = caller_new(world, "bob", BOB, FOCUS);
    MikeyEnv env = env_of(world);
    MikeyBuffer error = MIKEY_BUFFER_INIT, none = MIKEY_BUFFER_INIT;

    make_transfer(bob);
    g_assert_cmpint(mikey_error_new(transfer_of(bob), MIKEY_BAD_MAC, &env, &error), ==, MIKEY_OK);
    g_assert_cmpint(mikey_error_new(mikey_bytes(error.data, error.len), MIKEY_BAD_MAC, &env, &none),
                    ==, MIKEY_MALFORMED);
    assert_refused_early(world, CLV_PURPOSE_JOIN, sdp_with(mikey_bytes(error.data, error.len)),
                         CLV_CODE_KEYMGMT_FAILED, -1, "*");
    g_assert_cmpint(mikey_error_new(mikey_bytes_str("\x01\x0e"), MIKEY_TRUNCATED, &env, &none), ==,
                    MIKEY_MALFORMED);
    mikey_buffer_clear(&error);
    caller_free(bob);
    world_free(world);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    for (gsize i = 0; i < G_N_ELEMENTS(rows); i++) {
        g_autofree char *path =
            g_strdup_printf("/ticket-errors/%u/%s", rows[i].number, rows[i].name);

        g_test_add_data_func(path, GSIZE_TO_POINTER(i), has_its_number);
    }
    g_test_add_func("/ticket-errors/every-status-has-its-number", test_numbers);
    g_test_add_func("/ticket-errors/no-error-about-an-error", test_no_error_about_an_error);
    return g_test_run();
}
