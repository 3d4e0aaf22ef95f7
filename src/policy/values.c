/* SPDX-License-Identifier: Apache-2.0 */
/* policy/values.c - the values that need no decision */
#include "policy/policy-private.h"

const ClvScheme *
clv_policy_schemes(const ClvPolicyView *view)
{
    return view->schemes;
}

const ClvSrtpSuite *
clv_policy_suites(const ClvPolicyView *view)
{
    return view->suites;
}

gint64
clv_policy_empty_timeout_ms(const ClvPolicyView *view)
{
    return view_number(view, KEY_EMPTY_TIMEOUT);
}

gint64
clv_policy_first_join_timeout_ms(const ClvPolicyView *view)
{
    return view_number(view, KEY_FIRST_JOIN_TIMEOUT);
}

gint64
clv_policy_max_duration_ms(const ClvPolicyView *view)
{
    return view_number(view, KEY_MAX_DURATION);
}

gint64
clv_policy_max_ticket_lifetime_s(const ClvPolicyView *view)
{
    return view_number(view, KEY_MAX_TICKET_LIFETIME) / 1000;
}

guint
clv_policy_max_participants(const ClvPolicyView *view)
{
    return (guint)view_number(view, KEY_MAX_PARTICIPANTS);
}

gboolean
clv_policy_scheduled(const ClvPolicyView *view)
{
    return view_number(view, KEY_SCHEDULED) != 0;
}

gboolean
clv_policy_end_when_creator_leaves(const ClvPolicyView *view)
{
    return view_number(view, KEY_END_WHEN_CREATOR_LEAVES) != 0;
}

gint64
clv_policy_creator_grace_ms(const ClvPolicyView *view)
{
    return view_number(view, KEY_CREATOR_GRACE);
}

gboolean
clv_policy_ban_on_removal(const ClvPolicyView *view)
{
    return view_number(view, KEY_BAN_ON_REMOVAL) != 0;
}

gboolean
clv_policy_removes_on_disallow(const ClvPolicyView *view)
{
    return view_number(view, KEY_ON_DISALLOW) == DISALLOW_REMOVE;
}

gboolean
clv_policy_locked(const ClvPolicyView *view)
{
    return view_number(view, KEY_LOCKED) != 0;
}

gint64
clv_policy_not_after_us(const ClvPolicyView *view)
{
    return view_number(view, KEY_NOT_AFTER);
}

const char *
clv_policy_subject(const ClvPolicyView *view)
{
    return view->rules[KEY_SUBJECT]->text;
}

const char *
clv_policy_display_text(const ClvPolicyView *view)
{
    return view->rules[KEY_DISPLAY_TEXT]->text;
}

ClvProof
clv_policy_min_proof(const ClvPolicyView *view)
{
    static const ClvProof needed[] = {
        [AUTH_DIGEST] = CLV_PROOF_DIGEST,
        [AUTH_ASSERTED] = CLV_PROOF_ASSERTED,
        [AUTH_EITHER] = CLV_PROOF_ASSERTED,
        [AUTH_TICKET] = CLV_PROOF_TICKET,
    };

    return needed[view_number(view, KEY_AUTH)];
}

gboolean
clv_policy_creation_redirects(const ClvPolicyView *view)
{
    return view_number(view, KEY_CREATION) == CREATION_REDIRECT;
}

gboolean
clv_policy_refer_needs_ticket(const ClvPolicyView *view)
{
    return view_number(view, KEY_REFER_TICKET) == REFER_TICKET_REQUIRED;
}

gboolean
clv_policy_refer_extends(const ClvPolicyView *view)
{
    return view_number(view, KEY_REFER_EXTENDS) != 0;
}

gboolean
clv_policy_refer_rejects_duplicate(const ClvPolicyView *view)
{
    return view_number(view, KEY_REFER_DUPLICATE) == DUPLICATE_REJECT;
}

gboolean
clv_policy_refer_plain_200(const ClvPolicyView *view)
{
    return view_number(view, KEY_REFER_STATUS) == REFER_200;
}

gboolean
clv_policy_pass_referred_by(const ClvPolicyView *view)
{
    return view_number(view, KEY_PASS_REFERRED_BY) != 0;
}

gboolean
clv_policy_invite_by_refer(const ClvPolicyView *view)
{
    return view_number(view, KEY_INVITE_BY_REFER) != 0;
}

gboolean
clv_policy_demands_tls(const ClvPolicyView *view)
{
    return view_number(view, KEY_SIGNALLING) == SIGNALLING_TLS;
}

gint64
clv_policy_dial_out_timeout_ms(const ClvPolicyView *view)
{
    return view_number(view, KEY_DIAL_OUT_TIMEOUT);
}

guint
clv_policy_dial_out_parallel(const ClvPolicyView *view)
{
    return (guint)view_number(view, KEY_DIAL_OUT_PARALLEL);
}

guint
clv_policy_max_uri_list(const ClvPolicyView *view)
{
    return (guint)view_number(view, KEY_MAX_URI_LIST);
}

gboolean
clv_policy_share_uri_list(const ClvPolicyView *view)
{
    return view_number(view, KEY_SHARE_URI_LIST) != 0;
}

gboolean
clv_policy_follows_diversion(const ClvPolicyView *view)
{
    return view_number(view, KEY_DIVERSION) == DIVERSION_ALLOWED_SET;
}

gint64
clv_policy_lobby_timeout_ms(const ClvPolicyView *view)
{
    return view_number(view, KEY_LOBBY_TIMEOUT);
}

/* Without pin=additional a hash is only one that is ready for it. */
const char *
clv_policy_pin_hash(const ClvPolicyView *view)
{
    return view_number(view, KEY_PIN) == PIN_ADDITIONAL ? view->rules[KEY_PIN_HASH]->text : "";
}

guint
clv_policy_pin_tries(const ClvPolicyView *view)
{
    return (guint)view_number(view, KEY_PIN_TRIES);
}

gint64
clv_policy_pin_timeout_ms(const ClvPolicyView *view)
{
    return view_number(view, KEY_PIN_TIMEOUT);
}

gboolean
clv_policy_end_on_expiry(const ClvPolicyView *view)
{
    return view_number(view, KEY_END_ON_EXPIRY) != 0;
}

gboolean
clv_policy_persist(const ClvPolicyView *view)
{
    return view_number(view, KEY_PERSIST) != 0;
}

gint64
clv_policy_kms_timeout_ms(const ClvPolicyView *view)
{
    return view_number(view, KEY_KMS_TIMEOUT);
}

gboolean
clv_policy_relays_foreign_kms(const ClvPolicyView *view)
{
    return view_number(view, KEY_FOREIGN_KMS) == FOREIGN_RELAY;
}
