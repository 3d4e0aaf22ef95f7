/* SPDX-License-Identifier: Apache-2.0 */
/* Which tickets does the KMS take part in that it does not both make and open? */
#include "config.h"

#include <glib/gstdio.h>
#include <string.h>

#include "kms/keyfile.h"
#include "unit/kms-parties.h"

#define DAVE "sip:dave@example.org"
#define LIFETIME_S (60 * 60)
/* D F G H N O: made by the KMS and opened by the responder; L instead of D: made by the initiator
 */
#define MODE_2                                                                                     \
    (MIKEY_FLAG_D | MIKEY_FLAG_F | MIKEY_FLAG_G | MIKEY_FLAG_H | MIKEY_FLAG_N | MIKEY_FLAG_O)
#define MODE_3 ((MIKEY_FLAGS_PROFILE & ~MIKEY_FLAG_D) | MIKEY_FLAG_L)

#define ANY "may-request = any"
#define FOCUS "sip:c7h2kq4wz5x3n6m2p7ab.lst@example.org"
#define LISTED FOCUS_OF("list;" FOCUS)
#define UNLISTED FOCUS_OF("list")
#define FOCUS_OF(list) "\n[service lst]\nuser = dave\nhost = example.org\nconferences = " list

static MikeyKey
ticket_key(void)
{
    MikeyKey key = {.len = 32};

    for (guint i = 0; i < key.len; i++)
        key.bytes[i] = (guint8)(0x3d + i);
    return key;
}

static ClvKmsService *
service_with(const char *modes, const char *more)
{
    MikeyKey psk = party_psk("dave"), own = ticket_key();
    g_autofree char *key = g_base64_encode(psk.bytes, psk.len);
    g_autofree char *ticket = g_base64_encode(own.bytes, own.len);
    g_autofree char *extra =
        g_strdup_printf("%s\n[user dave]\npsk = base64:%s\nticket-key = base64:%s\n"
                        "identities = " DAVE "\n%s\n",
                        modes, key, ticket, more);

    return parties_service(extra);
}

static guint
verdict(ClvKmsService *service, ClvKmsRequest what, MikeyBytes octets, GByteArray **out_answer)
{
    ClvKmsDecision decision;

    *out_answer = service_ask(service, what, octets, NOW_US, &decision);
    g_assert_nonnull(*out_answer);
    g_assert_true(decision.authenticated);
    g_test_message("%s", decision.rule);
    return decision.granted ? 255 : decision.error;
}

/* ---- mode 2 ---- */

/* Returns: the number of the error, 255: granted, and then dave has opened it and knows who calls
 */
static guint
asked_for_mode_2(const char *modes, const char *more, const char *responder, const char *second,
                 guint32 flags)
{
    g_autoptr(ClvKmsService) service = service_with(modes, more);
    g_autoptr(Wanted) wanted = wanted_new(responder);
    g_autoptr(MikeyRequest) request = NULL;
    g_autoptr(MikeyGrant) grant = NULL;
    g_autoptr(MikeyTransfer) transfer = NULL;
    g_autoptr(MikeyOffer) offer = NULL;
    g_autoptr(MikeyResolution) resolution = NULL;
    g_autoptr(GByteArray) answer = NULL;
    MikeyEnv env = party_env(NOW_US);
    MikeyKey key = ticket_key();
    guint error;

    wanted->policy.flags = flags;
    if (second != NULL)
        wanted_name(wanted, second);
    request = party_request("alice", ALICE, wanted, NOW_US);
    error = verdict(service, CLV_KMS_TICKET_REQUEST, mikey_request_octets(request), &answer);
    if (error != 255)
        return error;
    g_assert_cmpint(
        mikey_request_finish(request, mikey_bytes(answer->data, answer->len), &env, &grant, NULL),
        ==, MIKEY_OK);
    transfer = party_call(grant, responder, NOW_US);
    offer = party_offer(mikey_transfer_octets(transfer), NOW_US);
    g_assert_true(
        mikey_bytes_equal(mikey_ticket_tpk_id(mikey_offer_ticket(offer)), mikey_bytes_str("dave")));
    env.allow = MIKEY_ALLOW_MODE_2;
    g_assert_cmpint(mikey_offer_open_ticket(offer, &key, &env, &resolution), ==, MIKEY_OK);
    g_assert_cmpint(mikey_offer_verify(offer, resolution), ==, MIKEY_OK);
    g_assert_true(mikey_bytes_equal(mikey_offer_initiator(offer).data, mikey_bytes_str(ALICE)));
    return error;
}

static void
test_mode_2(void)
{
    g_assert_cmpuint(asked_for_mode_2("modes = 1;2", ANY, DAVE, NULL, MODE_2), ==, 255);
    g_assert_cmpuint(asked_for_mode_2("", ANY, DAVE, NULL, MODE_2), ==, 15);
    g_assert_cmpuint(asked_for_mode_2("modes = 3", ANY, DAVE, NULL, MODE_2), ==, 15);
    g_assert_cmpuint(asked_for_mode_2("modes = 2", ANY, BOB, NULL, MODE_2), ==,
                     15); /* has no key */
    g_assert_cmpuint(asked_for_mode_2("modes = 2", ANY, DAVE, BOB, MODE_2), ==,
                     15); /* one key for two */
    g_assert_cmpuint(asked_for_mode_2("modes = 2", ANY LISTED, FOCUS, NULL, MODE_2), ==, 255);
    g_assert_cmpuint(asked_for_mode_2("modes = 2", ANY UNLISTED, FOCUS, NULL, MODE_2), ==, 7);
}

/* ---- mode 3 ---- */

typedef struct Own {
    const char *name;
    const char *modes;
    const char *rights; /* of dave */
    const char *tpk_id;
    const char *second; /* (nullable) responder */
    guint32 flags;
    gint64 lifetime_s; /* 0: no end */
    MikeyKeyType type;
    gboolean other_key;
    guint error;           /* 255: bob resolves it */
    const char *initiator; /* (nullable) NULL: dave */
} Own;

static const Own owns[] = {
    {"resolves", "modes = 3", ANY, "dave", NULL, MODE_3, LIFETIME_S, MIKEY_KEY_TGK, FALSE, 255},
    {"for-two", "modes = 3", ANY, "dave", CAROL, MODE_3, LIFETIME_S, MIKEY_KEY_TGK, FALSE, 255},
    {"tek-for-one", "modes = 3", ANY, "dave", NULL, MODE_3, LIFETIME_S, MIKEY_KEY_TEK_SALT, FALSE,
     255},
    {"not-allowed", "", ANY, "dave", NULL, MODE_3, LIFETIME_S, MIKEY_KEY_TGK, FALSE, 15},
    {"mode-2-alone", "modes = 1;2", ANY, "dave", NULL, MODE_3, LIFETIME_S, MIKEY_KEY_TGK, FALSE,
     15},
    {"key-of-nobody", "modes = 3", ANY, "alice", NULL, MODE_3, LIFETIME_S, MIKEY_KEY_TGK, FALSE,
     14},
    {"wrong-key", "modes = 3", ANY, "dave", NULL, MODE_3, LIFETIME_S, MIKEY_KEY_TGK, TRUE, 0},
    {"may-not-request-him", "modes = 3", "may-request = any;!" BOB, "dave", NULL, MODE_3,
     LIFETIME_S, MIKEY_KEY_TGK, FALSE, 7},
    {"for-too-long", "modes = 3", ANY "\nmax-lifetime = 59m", "dave", NULL, MODE_3, LIFETIME_S,
     MIKEY_KEY_TGK, FALSE, 15},
    {"without-an-end", "modes = 3", ANY, "dave", NULL, MODE_3, 0, MIKEY_KEY_TGK, FALSE, 15},
    {"tek-for-two", "modes = 3", ANY, "dave", CAROL, MODE_3, LIFETIME_S, MIKEY_KEY_TEK_SALT, FALSE,
     15},
    {"for-two-and-not-forked", "modes = 3", ANY, "dave", CAROL, MODE_3 & ~MIKEY_FLAG_I, LIFETIME_S,
     MIKEY_KEY_TGK, FALSE, 15},
    {"reuse-without-the-right", "modes = 3", ANY "\nreuse = no", "dave", NULL,
     MODE_3 | MIKEY_FLAG_J, LIFETIME_S, MIKEY_KEY_TGK, FALSE, 15},
    {"other-purposes", "modes = 3", ANY "\npurposes = conclave:refer", "dave", NULL, MODE_3,
     LIFETIME_S, MIKEY_KEY_TGK, FALSE, 15},
    {"revoked", "modes = 3", ANY "\nrevoked = yes", "dave", NULL, MODE_3, LIFETIME_S, MIKEY_KEY_TGK,
     FALSE, 7},
    {"of-an-announced-conference", "modes = 3", ANY LISTED, "dave", NULL, MODE_3, LIFETIME_S,
     MIKEY_KEY_TGK, FALSE, 255, FOCUS},
    {"of-a-conference-that-is-not-announced", "modes = 3", ANY UNLISTED, "dave", NULL, MODE_3,
     LIFETIME_S, MIKEY_KEY_TGK, FALSE, 7, FOCUS},
};

static MikeyGrant *
made_by_dave(const Own *own)
{
    g_autoptr(Wanted) wanted = wanted_new(BOB);
    MikeyKeyWish wish = {.type = own->type,
                         .key_len = 32,
                         .salt_len = own->type == MIKEY_KEY_TEK_SALT ? 14 : 0,
                         .spi_len = 1,
                         .spi = {1}};
    MikeyEnv env = party_env(NOW_US);
    MikeyKey key = ticket_key();
    MikeyGrant *grant = NULL;

    if (own->second != NULL)
        wanted_name(wanted, own->second);
    wanted_purpose(wanted, "conclave:join");
    wanted->policy.flags = own->flags;
    wanted->policy.initiator = mikey_identity_uri(own->initiator != NULL ? own->initiator : DAVE);
    wanted->policy.kms = mikey_identity_uri(KMS_URI);
    wanted->policy.has_end = own->lifetime_s > 0;
    wanted->policy.end_unix = NOW_US / G_USEC_PER_SEC + own->lifetime_s;
    wanted->policy.has_wishes = true;
    wanted->policy.wishes = &wish;
    wanted->policy.n_wishes = 1;
    env.allow = MIKEY_ALLOW_MODE_3;
    key.bytes[0] ^= own->other_key;
    g_assert_cmpint(
        mikey_grant_make(&wanted->policy, &key, mikey_bytes_str(own->tpk_id), &env, &grant), ==,
        MIKEY_OK);
    return grant;
}

static void
test_own_ticket(gconstpointer data)
{
    const Own *own = data;
    g_autoptr(ClvKmsService) service = service_with(own->modes, own->rights);
    g_autoptr(MikeyGrant) grant = made_by_dave(own);
    g_autoptr(MikeyTransfer) transfer = party_call(grant, BOB, NOW_US);
    g_autoptr(MikeyOffer) offer = party_offer(mikey_transfer_octets(transfer), NOW_US);
    g_autoptr(MikeyResolve) resolve = NULL;
    g_autoptr(MikeyResolution) resolution = NULL;
    g_autoptr(GByteArray) answer = NULL;
    MikeyKey psk = party_psk("bob");
    MikeyAccount account = {.psk = &psk,
                            .psk_id = mikey_identity_bytes(mikey_bytes_str("bob")),
                            .self = mikey_identity_uri(BOB),
                            .kms = mikey_identity_uri(KMS_URI),
                            .prf = MIKEY_PRF_HMAC_SHA_256};
    MikeyEnv env = party_env(NOW_US);

    env.allow = MIKEY_ALLOW_MODE_3;
    g_assert_cmpint(mikey_resolve_new(offer, &account, &env, &resolve), ==, MIKEY_OK);
    g_assert_cmpuint(
        verdict(service, CLV_KMS_TICKET_RESOLVE, mikey_resolve_octets(resolve), &answer), ==,
        own->error);
    if (own->error != 255)
        return;
    g_assert_cmpint(mikey_resolve_finish(resolve, mikey_bytes(answer->data, answer->len), &env,
                                         &resolution, NULL),
                    ==, MIKEY_OK);
    g_assert_cmpint(mikey_offer_verify(offer, resolution), ==, MIKEY_OK);
    g_assert_true(
        mikey_bytes_equal(mikey_offer_initiator(offer).data,
                          mikey_bytes_str(own->initiator != NULL ? own->initiator : DAVE)));
}

/* ---- the key file ---- */

static void
test_ticket_key_is_for_this_alone(void)
{
    static const struct {
        const char *key, *found;
    } rows[] = {
        {"ticket-key = 000102030405060708090a0b0c0d0e0f\n", NULL},
        {"ticket-key = 0102030405060708090a0b0c0d0e0f\n", "octets"},
        {"ticket-key = 00000000000000000000000000000000\n", "one octet again and again"},
        {"ticket-key = 000102030405060708090a0b0c0d0e0f\nticket-key-file = key\n",
         "found a second key"},
        {"ticket-key = 000102030405060708090a0b0c0d0e0f\n" /* and that of a peer */
         "[peer net]\nuri = sip:kms@example.net\nidentities = *@example.net\n"
         "psk = 000102030405060708090a0b0c0d0e0f\n",
         "the key of user 'dave' again"},
        {"ticket-key = 0102030405060708090a0b0c0d0e0f1011\n", "a key of user 'dave'"},
        {"ticket-key = x\n", "ticket-key"},
    };

    g_autofree char *folder = g_dir_make_tmp("kms-modes-XXXXXX", NULL);
    g_autofree char *path = g_build_filename(folder, "key", NULL);

    g_assert_true(g_file_set_contents_full(path, "101112131415161718191a1b1c1d1e1f\n", -1,
                                           G_FILE_SET_CONTENTS_NONE, 0600, NULL));
    for (gsize i = 0; i < G_N_ELEMENTS(rows); i++) {
        g_autofree char *extra = g_strconcat(
            "[user dave]\npsk = 0102030405060708090a0b0c0d0e0f1011\nidentities = " DAVE "\n",
            rows[i].key, NULL);
        g_autofree char *text = parties_key_file(extra);
        g_autoptr(GPtrArray) errors = g_ptr_array_new_with_free_func(g_free);
        ClvKmsKeyFile *keys = clv_kms_keyfile_parse_in("keys", folder, text, strlen(text), errors);

        g_assert_cmpuint(errors->len, ==, rows[i].found != NULL ? 1 : 0);
        if (rows[i].found != NULL)
            g_assert_nonnull(strstr(errors->pdata[0], rows[i].found));
        if (keys != NULL)
            clv_kms_keyfile_free(keys);
    }
    g_unlink(path);
    g_rmdir(folder);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/kms-modes/2-the-responder-opens-what-the-kms-made", test_mode_2);
    for (gsize i = 0; i < G_N_ELEMENTS(owns); i++) {
        g_autofree char *name = g_strconcat("/kms-modes/3-own-ticket/", owns[i].name, NULL);

        g_test_add_data_func(name, &owns[i], test_own_ticket);
    }
    g_test_add_func("/kms-modes/a-ticket-key-is-for-this-alone", test_ticket_key_is_for_this_alone);
    return g_test_run();
}
