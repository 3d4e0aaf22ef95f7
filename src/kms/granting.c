/* SPDX-License-Identifier: Apache-2.0 */
/* kms/granting.c - may this user have this ticket? */
#include "config.h"

#include "kms/handling.h"

#include <string.h>

#define MAX_WISHES 8u

/* Flags that a ticket of ours must have, and those that it may have (K is ours to set). */
#define FLAGS_WANTED MIKEY_FLAGS_PROFILE
#define FLAGS_ALLOWED                                                                              \
    (MIKEY_FLAGS_PROFILE | MIKEY_FLAG_J | MIKEY_FLAG_K | MIKEY_FLAG_L | MIKEY_FLAG_M)

static gboolean
policy_says_purpose(const MikeyPolicy *policy, const char *purpose)
{
    return policy->n_applications > 0 &&
           mikey_policy_allows_application(policy, mikey_bytes_str(purpose));
}

/* The factory is nobody's to speak for: a conference has its URI before anybody is called. */
static MikeyStatus
check_asker(Handling *h, const MikeyPolicy *policy)
{
    if (clv_kms_keyfile_factory(h->keys, h->identity) != NULL)
        return clv_kms_because(h, MIKEY_BAD_IDENTITY, "%.100s is a factory, expected a conference",
                               h->identity);
    return MIKEY_OK;
}

static MikeyStatus
check_type(Handling *h, const MikeyPolicy *policy)
{
    if (policy->ticket_type != MIKEY_TICKET_BASE || policy->subtype != 1 || policy->version != 1)
        return clv_kms_because(h, MIKEY_BAD_TICKET,
                               "ticket type %u/%u/%u: tickets here are of type 1/1/1",
                               policy->ticket_type, policy->subtype, policy->version);
    return MIKEY_OK;
}

static MikeyStatus
check_flags(Handling *h, const MikeyPolicy *policy)
{
    if (clv_kms_is_for_itself(policy))
        return MIKEY_OK; /* clv_kms_key_of_responder() */
    if ((policy->flags & FLAGS_WANTED) != FLAGS_WANTED || (policy->flags & ~FLAGS_ALLOWED) != 0)
        return clv_kms_because(h, MIKEY_BAD_FLAGS,
                               "flags %06x: tickets here are made by the KMS, resolved and forked "
                               "(D E F G H I N O)",
                               policy->flags);
    return MIKEY_OK;
}

/* All users of one host, and nothing cleverer: what a star inside of a name means is not agreed. */
static gboolean
is_good_wildcard(const ClvKmsUser *user, const char *responder)
{
    return user->wildcards && g_str_has_prefix(responder, "sip:*@") &&
           !clv_kms_is_wildcard(responder + strlen("sip:*@"));
}

static MikeyStatus
check_policy_names(Handling *h, const MikeyPolicy *policy)
{
    g_autoptr(GPtrArray) responders = NULL;

    if (!clv_kms_is_absent_or(&policy->kms, h->keys->canonical_uri))
        return clv_kms_because(h, MIKEY_BAD_IDENTITY,
                               "the ticket is to be resolved by another KMS");
    if (!clv_kms_is_absent_or(&policy->initiator, h->identity))
        return clv_kms_because(h, MIKEY_BAD_IDENTITY,
                               "the ticket is for somebody else than its requester");
    if (policy->n_responders > (gsize)h->keys->max_responders)
        return clv_kms_because(h, MIKEY_BAD_POLICY, "%" G_GSIZE_FORMAT " responders, at most %d",
                               policy->n_responders, (int)h->keys->max_responders);
    responders = clv_kms_responders_of(h, policy);
    if (responders == NULL)
        return MIKEY_BAD_IDENTITY;
    for (guint i = 0; i < responders->len; i++) {
        const char *responder = responders->pdata[i];

        if (clv_kms_is_wildcard(responder) && !is_good_wildcard(h->user, responder))
            return clv_kms_because(
                h, MIKEY_BAD_IDENTITY,
                "%.100s: tickets for many are of the form sip:*@host, with wildcards=yes",
                responder);
        if (!clv_kms_user_may_request(h->keys, h->user, responder))
            return clv_kms_because(h, MIKEY_BAD_IDENTITY, "may-request does not hold %.100s",
                                   responder);
    }
    return MIKEY_OK;
}

static MikeyStatus
check_purposes(Handling *h, const MikeyPolicy *policy)
{
    if (!h->user->secure_conference && policy_says_purpose(policy, PURPOSE_CREATE))
        return clv_kms_because(h, MIKEY_BAD_IDENTITY,
                               "secure-conference=no: this user may not set up secure conferences");
    for (gsize i = 0; i < policy->n_applications; i++) {
        MikeyBytes purpose = policy->applications[i].data;
        char shown[64];

        if (clv_kms_user_has_purpose(h->user, purpose.data, purpose.len))
            continue;
        clv_kms_show_octets(shown, sizeof shown, purpose);
        return clv_kms_because(h, MIKEY_BAD_POLICY, "purposes does not hold '%s'", shown);
    }
    return MIKEY_OK;
}

/* A ticket that several may resolve carries TGKs alone: they are forked, the others would be one
 * key for all of them. */
gboolean
clv_kms_is_for_several(const Handling *h, const MikeyPolicy *policy)
{
    g_autofree char *first = clv_kms_canonical_of(&policy->responders[0]);

    return policy->n_responders > 1 || first == NULL || clv_kms_is_wildcard(first) ||
           clv_kms_keyfile_group(h->keys, first) != NULL;
}

static MikeyStatus
check_wishes(Handling *h, const MikeyPolicy *policy)
{
    gboolean for_several = clv_kms_is_for_several(h, policy);

    if (policy->n_wishes > MAX_WISHES)
        return clv_kms_because(h, MIKEY_BAD_POLICY,
                               "%" G_GSIZE_FORMAT " session keys wanted, at most %u",
                               policy->n_wishes, MAX_WISHES);
    for (gsize i = 0; i < policy->n_wishes; i++) {
        MikeyKeyType type = policy->wishes[i].type;

        if (for_several && type != MIKEY_KEY_TGK && type != MIKEY_KEY_TGK_SALT)
            return clv_kms_because(
                h, MIKEY_BAD_POLICY,
                "a %s in a ticket for several responders would be one key for all of "
                "them",
                mikey_key_type_string(type));
    }
    return MIKEY_OK;
}

static gint64
lifetime_of(const Handling *h)
{
    return h->user->max_lifetime_s > 0 ? h->user->max_lifetime_s : h->keys->max_lifetime_s;
}

/* Cuts the validity to what the user may have. */
static MikeyStatus
limit_lifetime(Handling *h, MikeyPolicy *policy)
{
    gint64 now_s = h->now_us / G_USEC_PER_SEC;
    gint64 lifetime_s = lifetime_of(h);
    gint64 start_s = policy->has_start ? MAX(policy->start_unix, now_s) : now_s;
    gint64 latest_s = start_s + lifetime_s;

    if (start_s > now_s + lifetime_s)
        return clv_kms_because(h, MIKEY_NOT_VALID,
                               "the ticket would start in %" G_GINT64_FORMAT
                               " s, later than max-lifetime",
                               start_s - now_s);
    if (policy->has_end && policy->end_unix <= start_s)
        return clv_kms_because(h, MIKEY_NOT_VALID, "the ticket would end before it starts");
    if (!policy->has_end || policy->end_unix > latest_s)
        policy->end_unix = latest_s;
    policy->has_end = TRUE;
    return MIKEY_OK;
}

/* Returns: (transfer full) (nullable): the purposes a ticket without any is narrowed to */
static MikeyIdentity *
narrow_purposes(const ClvKmsUser *user, MikeyPolicy *policy)
{
    MikeyIdentity *list = NULL;

    if (policy->n_applications > 0 || user->purposes == NULL)
        return NULL;
    list = g_new0(MikeyIdentity, user->purposes->len);
    for (guint i = 0; i < user->purposes->len; i++)
        list[i] = mikey_identity_bytes(mikey_bytes_str(user->purposes->pdata[i]));
    policy->applications = list;
    policy->n_applications = user->purposes->len;
    return list;
}

static MikeyStatus
grant(Handling *h, const MikeyPolicy *wanted)
{
    MikeyPolicy policy = *wanted;
    g_autofree MikeyIdentity *purposes = narrow_purposes(h->user, &policy);
    MikeyKey tpk;
    char name[CLV_KMS_TPK_NAME_LEN + 1];
    MikeyGrantSetup setup = {.policy = &policy, .tpk = &tpk};
    MikeyStatus status = limit_lifetime(h, &policy);

    if (status != MIKEY_OK)
        return status;
    policy.has_wishes = FALSE;
    policy.wishes = NULL;
    policy.n_wishes = 0;
    policy.flags &= h->user->reuse ? ~0u : ~MIKEY_FLAG_J;
    if (policy.kms.data.len == 0)
        policy.kms = mikey_identity_uri(h->keys->uri);
    if (policy.initiator.data.len == 0)
        policy.initiator = mikey_query_identity(h->query);
    if (clv_kms_is_for_itself(&policy)) {
        status = clv_kms_key_of_responder(h, &policy, &tpk, &setup.tpk_id);
        if (status != MIKEY_OK)
            return status;
    } else if (!clv_kms_copy_tpk(h->service, TRUE, mikey_bytes(NULL, 0), &tpk, name)) {
        return clv_kms_because(h, MIKEY_REFUSED, "no ticket protection key");
    } else {
        setup.tpk_id = mikey_bytes_str(name);
    }
    status = mikey_query_grant(h->query, &setup, &h->env, &h->answer);
    mikey_key_clear(&tpk);
    if (status != MIKEY_OK)
        return clv_kms_because(h, status, "making the ticket: %s", mikey_status_string(status));
    return clv_kms_because(h, MIKEY_OK, "granted for %" G_GINT64_FORMAT " s",
                           policy.end_unix - h->now_us / G_USEC_PER_SEC);
}

typedef MikeyStatus (*Check)(Handling *h, const MikeyPolicy *policy);

static MikeyStatus
check_all(Handling *h, const MikeyPolicy *policy, const Check *checks, guint n)
{
    MikeyStatus status = MIKEY_OK;

    for (guint i = 0; i < n && status == MIKEY_OK; i++)
        status = checks[i](h, policy);
    return status;
}

MikeyStatus
clv_kms_check_wanted(Handling *h, const MikeyPolicy *policy)
{
    static const Check checks[] = {check_asker, check_type, check_policy_names, check_purposes};

    return check_all(h, policy, checks, G_N_ELEMENTS(checks));
}

MikeyStatus
clv_kms_answer_request(Handling *h)
{
    static const Check checks[] = {
        check_asker, check_type, check_flags, check_policy_names, check_purposes, check_wishes,
    };
    const MikeyPolicy *wanted = mikey_query_policy(h->query);
    MikeyStatus status = mikey_policy_check(wanted, FALSE, &h->env);

    if (status != MIKEY_OK)
        return clv_kms_because(h, status, "the policy asked for: %s", mikey_status_string(status));
    status = check_all(h, wanted, checks, G_N_ELEMENTS(checks));
    return status == MIKEY_OK ? grant(h, wanted) : status;
}
