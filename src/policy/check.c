/* SPDX-License-Identifier: Apache-2.0 */
/* policy/check.c - do the effective values of a factory or conference contradict each other? */
#include "policy/load-private.h"

#define fail clv_policy_fail_rule

static const Rule *
rule_of(const Effective *effective, KeyId id)
{
    return effective->rules[id];
}

static gboolean
allows_scheme(const Effective *effective, ClvScheme scheme)
{
    const GArray *set = rule_of(effective, KEY_KEY_MGMT_ALLOW)->set;

    for (guint i = 0; i < set->len; i++) {
        if (g_array_index(set, guint8, i) + 1u == (guint)scheme)
            return TRUE;
    }
    return FALSE;
}

/* secure=required: something to key with, something to protect with, nobody anonymous. */
static void
check_secure(Loader *loader, const Group *group, const Effective *effective)
{
    const Rule *schemes = rule_of(effective, KEY_KEY_MGMT_ALLOW);
    const Rule *suites = rule_of(effective, KEY_SRTP_SUITES);
    const Rule *anonymity = rule_of(effective, KEY_ANONYMITY);

    if (rule_of(effective, KEY_SECURE)->number != SECURE_REQUIRED)
        return;
    if (schemes->set->len == 0)
        fail(loader, group, schemes, "found no scheme, expected one at least with secure=required");
    if (suites->set->len == 0)
        fail(loader, group, suites, "found no suite, expected one at least with secure=required");
    if (anonymity->number == ANONYMITY_ALLOW)
        fail(loader, group, anonymity,
             "found 'allow', expected hide or reject with "
             "secure=required");
}

static void
check_auth(Loader *loader, const Group *group, const Effective *effective)
{
    if (rule_of(effective, KEY_AUTH)->number == AUTH_TICKET &&
        !allows_scheme(effective, CLV_SCHEME_MIKEY_TICKET) &&
        rule_of(effective, KEY_KEY_MGMT_ALLOW)->set->len > 0)
        fail(loader, group, rule_of(effective, KEY_KEY_MGMT_ALLOW),
             "found no scheme with tickets, expected mikey-ticket among them with auth=ticket");
}

static void
check_sdes(Loader *loader, const Group *group, const Effective *effective)
{
    if (allows_scheme(effective, CLV_SCHEME_SDES) &&
        rule_of(effective, KEY_SIGNALLING)->number != SIGNALLING_TLS)
        fail(loader, group, rule_of(effective, KEY_KEY_MGMT_ALLOW),
             "found 'sdes', whose keys stand readable in the signalling, expected it together "
             "with signalling=tls alone");
}

static void
check_dates(Loader *loader, const Group *group, const Effective *effective)
{
    const Rule *before = rule_of(effective, KEY_NOT_BEFORE);
    const Rule *after = rule_of(effective, KEY_NOT_AFTER);

    if (before->number != 0 && after->number != 0 && before->number >= after->number)
        fail(loader, group, after,
             "found a time that is not later than not-before, expected a "
             "later one");
}

/* A conference whose tickets no factory's KMS service can resolve. */
static void
check_service(Loader *loader, const Group *group, const Effective *effective)
{
    if (group->kind == GROUP_CONFERENCE && group->uris != NULL && group->factory == NULL &&
        rule_of(effective, KEY_SCHEDULED)->number &&
        allows_scheme(effective, CLV_SCHEME_MIKEY_TICKET))
        clv_policy_fail(loader, group, "uri",
                        "found '%s', which belongs to no factory, expected "
                        "sip:NAME.SERVICE@HOST with the service and host of "
                        "a [factory], for tickets to be resolved",
                        group->uris[0]);
}

/* Some way in there must be. */
static void
check_ways_in(Loader *loader, const Group *group, const Effective *effective)
{
    const Rule *dial_in = rule_of(effective, KEY_DIAL_IN);
    const Rule *dial_out = rule_of(effective, KEY_DIAL_OUT);

    if (!dial_in->number && !dial_out->number)
        fail(loader, group, dial_out, "found 'no' together with dial-in=no, expected one way in");
}

static void
check_pin(Loader *loader, const Group *group, const Effective *effective)
{
    const Rule *hash = rule_of(effective, KEY_PIN_HASH);

    if (rule_of(effective, KEY_PIN)->number == PIN_ADDITIONAL && hash->text[0] == '\0' &&
        !hash->broken)
        fail(loader, group, rule_of(effective, KEY_PIN),
             "found 'additional' without a hash, expected pin-hash= as well");
}

static void (*const checks[])(Loader *, const Group *, const Effective *) = {
    check_secure, check_auth, check_sdes, check_dates, check_service, check_ways_in, check_pin,
};

void
clv_policy_check_rules(Loader *loader, const Group *group, const Effective *effective)
{
    for (guint i = 0; i < G_N_ELEMENTS(checks); i++)
        checks[i](loader, group, effective);
}
