/* SPDX-License-Identifier: Apache-2.0 */
/* Who resolves a ticket that names a group or all users of a host, and may a conference system ask
 * for tickets in the names of its conferences alone? */
#include "config.h"

#include <string.h>

#include "unit/kms-parties.h"

#define BOARD "sip:board@example.org"
#define EVERYBODY "sip:*@example.org"
#define DAVE "sip:dave@example.org"
#define DAVE_PSK "psk = 0102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f20\n"
#define GROUP "[group board]\nuri = " BOARD "\nmembers = " BOB ";" CAROL "\n"

/* dave may name groups and wildcards */
static ClvKmsService *
service_with(const char *may_request, const char *wildcards)
{
    MikeyKey psk = party_psk("dave");
    g_autofree char *key = g_base64_encode(psk.bytes, psk.len);
    g_autofree char *extra = g_strdup_printf("[user dave]\npsk = base64:%s\nidentities = " DAVE
                                             "\nmay-request = %s\nwildcards = %s\n" GROUP,
                                             key, may_request, wildcards);

    return parties_service(extra);
}

static guint
request_error(ClvKmsService *service, const char *user, const char *identity, const Wanted *wanted)
{
    g_autoptr(MikeyRequest) request = party_request(user, identity, wanted, NOW_US);
    ClvKmsDecision decision;
    g_autoptr(GByteArray) answer = service_ask(service, CLV_KMS_TICKET_REQUEST,
                                               mikey_request_octets(request), NOW_US, &decision);

    g_assert_nonnull(answer);
    g_assert_true(decision.authenticated);
    return decision.granted ? 255 : decision.error;
}

static MikeyOffer *
call(ClvKmsService *service, const char *user, const char *identity, const char *whom)
{
    g_autoptr(Wanted) wanted = wanted_new(whom);
    g_autoptr(MikeyGrant) grant = party_grant(service, user, identity, wanted, NOW_US);
    g_autoptr(MikeyTransfer) transfer = party_call(grant, whom, NOW_US);

    return party_offer(mikey_transfer_octets(transfer), NOW_US);
}

/* Returns: (nullable): NULL when it is refused by error 7 */
static MikeyResolution *
resolve(ClvKmsService *service, const MikeyOffer *offer, const char *user, const char *identity)
{
    g_autoptr(MikeyResolve) asked = party_resolve(offer, user, identity, NOW_US);
    ClvKmsDecision decision;
    g_autoptr(GByteArray) answer = service_ask(service, CLV_KMS_TICKET_RESOLVE,
                                               mikey_resolve_octets(asked), NOW_US, &decision);
    MikeyEnv env = party_env(NOW_US);
    MikeyResolution *resolution = NULL;

    if (!decision.granted) {
        g_assert_cmpuint(decision.error, ==, 7);
        return NULL;
    }
    g_assert_cmpint(mikey_resolve_finish(asked, mikey_bytes(answer->data, answer->len), &env,
                                         &resolution, NULL),
                    ==, MIKEY_OK);
    return resolution;
}

static void
test_each_member_gets_keys_of_his_own(void)
{
    g_autoptr(ClvKmsService) service = service_with("groups", "no");
    g_autoptr(MikeyOffer) offer = call(service, "dave", DAVE, BOARD);
    g_autoptr(MikeyResolution) bob = resolve(service, offer, "bob", BOB);
    g_autoptr(MikeyResolution) carol = resolve(service, offer, "carol", CAROL);
    MikeyIdentity name = mikey_identity_uri(BOB), answered;

    g_assert_nonnull(bob);
    g_assert_nonnull(carol);
    answered = mikey_resolution_responder(bob);
    g_assert_true(mikey_identity_equal(&answered, &name)); /* the member, not the group */
    g_assert_false(
        mikey_key_equal(&mikey_resolution_key(bob, 0)->key, &mikey_resolution_key(carol, 0)->key));
    g_assert_cmpint(mikey_offer_verify(offer, bob), ==, MIKEY_OK);
}

static void
test_who_is_no_member_gets_nothing(void)
{
    g_autoptr(ClvKmsService) service = service_with("groups", "no");
    g_autoptr(MikeyOffer) offer = call(service, "dave", DAVE, BOARD);

    g_assert_null(resolve(service, offer, "alice", ALICE));
    g_assert_null(resolve(service, offer, "carol", BOARD));
    g_assert_null(resolve(service, offer, "conf1", FOCUS1));
}

static void
test_groups_are_asked_for_by_those_who_may(void)
{
    g_autoptr(ClvKmsService) service = service_with("users", "no");
    g_autoptr(Wanted) wanted = wanted_new(BOARD);

    g_assert_cmpuint(request_error(service, "dave", DAVE, wanted), ==, 7);
    g_assert_cmpuint(request_error(service, "alice", ALICE, wanted), ==, 255); /* any */
}

static void
test_group_ticket_holds_no_common_key(void)
{
    g_autoptr(ClvKmsService) service = service_with("groups", "no");
    g_autoptr(Wanted) wanted = wanted_new(BOARD);

    wanted->policy.has_wishes = true;
    wanted->policy.n_wishes = 1;
    wanted->wishes[0] = (MikeyKeyWish){.type = MIKEY_KEY_GTGK, .key_len = 32};
    g_assert_cmpuint(request_error(service, "dave", DAVE, wanted), ==, 15);
}

static void
test_wildcard_needs_its_right(void)
{
    g_autoptr(ClvKmsService) with = service_with("*@example.org", "yes");
    g_autoptr(ClvKmsService) without = service_with("*@example.org", "no");
    static const char *const clever[] = {"sip:b*@example.org", "sip:*@*.example.org",
                                         "sip:*.conf1@example.org"};
    g_autoptr(Wanted) wanted = wanted_new(EVERYBODY);
    g_autoptr(Wanted) elsewhere = wanted_new("sip:*@example.net");

    g_assert_cmpuint(request_error(with, "dave", DAVE, wanted), ==, 255);
    g_assert_cmpuint(request_error(without, "dave", DAVE, wanted), ==, 7);
    g_assert_cmpuint(request_error(with, "alice", ALICE, wanted), ==, 7);
    g_assert_cmpuint(request_error(with, "dave", DAVE, elsewhere), ==, 7);
    for (guint i = 0; i < G_N_ELEMENTS(clever); i++) {
        g_autoptr(Wanted) odd = wanted_new(clever[i]);

        g_assert_cmpuint(request_error(with, "dave", DAVE, odd), ==, 7);
    }
}

static void
test_wildcard_opens_to_users_and_to_no_conference(void)
{
    g_autoptr(ClvKmsService) service = service_with("*@example.org;!" CAROL, "yes");
    g_autoptr(MikeyOffer) offer = call(service, "dave", DAVE, EVERYBODY);
    g_autoptr(MikeyResolution) bob = resolve(service, offer, "bob", BOB);

    g_assert_nonnull(bob);
    g_assert_null(resolve(service, offer, "carol", CAROL)); /* not to be asked for by name either */
    g_assert_null(resolve(service, offer, "conf1", FOCUS1));
    g_assert_null(resolve(service, offer, "conf1", FACTORY1));
    g_assert_null(resolve(service, offer, "alice", "tel:+4930123456"));
}

static void
test_focus_asks_in_the_name_of_its_conference_alone(void)
{
    g_autoptr(ClvKmsService) service = parties_service(NULL);
    g_autoptr(Wanted) bob = wanted_new(BOB);
    g_autoptr(Wanted) stranger = wanted_new("sip:erin@example.net");

    g_assert_cmpuint(request_error(service, "conf1", FOCUS1, bob), ==, 255);
    g_assert_cmpuint(request_error(service, "conf1", FOCUS1, stranger), ==, 7);
    g_assert_cmpuint(request_error(service, "conf1", FACTORY1, bob), ==, 7);
    g_assert_cmpuint(request_error(service, "conf1", FACTORY1_ALIAS, bob), ==, 7);
    g_assert_cmpuint(request_error(service, "conf1", FOCUS2, bob), ==, 7);
    g_assert_cmpuint(request_error(service, "conf1", ALICE, bob), ==, 7);
    bob->policy.initiator = mikey_identity_uri(FOCUS1_OTHER);
    g_assert_cmpuint(request_error(service, "conf1", FOCUS1, bob), ==, 7);
}

static void
test_ticket_for_a_conference_opens_it_alone(void)
{
    g_autoptr(ClvKmsService) service = parties_service(NULL);
    g_autoptr(MikeyOffer) offer = call(service, "alice", ALICE, FOCUS1);
    g_autoptr(MikeyResolution) own = resolve(service, offer, "conf1", FOCUS1);

    g_assert_nonnull(own);
    g_assert_null(resolve(service, offer, "conf1", FOCUS1_OTHER));
    g_assert_null(resolve(service, offer, "conf2", FOCUS1));
    g_assert_null(resolve(service, offer, "conf2", FOCUS2));
    g_assert_null(resolve(service, offer, "bob", BOB));
}

static const struct BadFile {
    const char *name, *text, *complaint;
} bad_files[] = {
    {"group-is-somebody", "[group g]\nuri = " BOB "\nmembers = " CAROL "\n", "somebody's already"},
    {"group-is-a-conference", "[group g]\nuri = " FOCUS1 "\nmembers = " CAROL "\n",
     "somebody's already"},
    {"two-groups-of-one-name", GROUP "[group h]\nuri = " BOARD "\nmembers = " CAROL "\n",
     "somebody's already"},
    {"group-without-members", "[group g]\nuri = " BOARD "\n", "found no members="},
    {"group-without-uri", "[group g]\nmembers = " BOB "\n", "found no uri="},
    {"group-of-groups", GROUP "[group h]\nuri = sip:all@example.org\nmembers = " BOARD "\n",
     "expected the identity of one user"},
    {"group-of-all", "[group g]\nuri = " BOARD "\nmembers = " EVERYBODY ";" CAROL "\n", "expected a SIP"},
    {"user-who-is-all", "[user x]\n" DAVE_PSK "identities = " EVERYBODY "\n", "expected a SIP"},
};

static void
test_bad_file(gconstpointer data)
{
    const struct BadFile *bad = data;
    g_autofree char *text = parties_key_file(bad->text);
    g_autoptr(GPtrArray) errors = g_ptr_array_new_with_free_func(g_free);

    g_assert_null(clv_kms_keyfile_parse("keys", text, strlen(text), errors));
    g_assert_cmpuint(errors->len, ==, 1);
    g_assert_nonnull(strstr(errors->pdata[0], bad->complaint));
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/kms-groups/each-member-gets-keys-of-his-own",
                    test_each_member_gets_keys_of_his_own);
    g_test_add_func("/kms-groups/who-is-no-member-gets-nothing",
                    test_who_is_no_member_gets_nothing);
    g_test_add_func("/kms-groups/groups-are-asked-for-by-those-who-may",
                    test_groups_are_asked_for_by_those_who_may);
    g_test_add_func("/kms-groups/group-ticket-holds-no-common-key",
                    test_group_ticket_holds_no_common_key);
    g_test_add_func("/kms-groups/wildcard-needs-its-right", test_wildcard_needs_its_right);
    g_test_add_func("/kms-groups/wildcard-opens-to-users-and-to-no-conference",
                    test_wildcard_opens_to_users_and_to_no_conference);
    g_test_add_func("/kms-groups/focus-asks-in-the-name-of-its-conference-alone",
                    test_focus_asks_in_the_name_of_its_conference_alone);
    g_test_add_func("/kms-groups/ticket-for-a-conference-opens-it-alone",
                    test_ticket_for_a_conference_opens_it_alone);
    for (guint i = 0; i < G_N_ELEMENTS(bad_files); i++) {
        g_autofree char *name = g_strconcat("/kms-groups/bad-file/", bad_files[i].name, NULL);

        g_test_add_data_func(name, &bad_files[i], test_bad_file);
    }
    return g_test_run();
}
