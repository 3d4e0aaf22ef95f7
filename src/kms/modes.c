/* SPDX-License-Identifier: Apache-2.0 */
/* kms/modes.c - which tickets are good that the KMS does not both make and open (RFC 6043, 4.1.1)?
 *
 *   mode 2  it makes them, under the ticket-key of the one whom they name; he opens them himself
 *   mode 3  their initiator made them, under his own; it opens them
 *
 * Of mode 4 it hears nothing.
 */
#include "config.h"

#include "kms/handling.h"

#define MODE_2_WANTED (MIKEY_FLAG_D | MIKEY_FLAG_N | MIKEY_FLAG_O)
#define MODE_2_ALLOWED                                                                             \
    (MODE_2_WANTED | MIKEY_FLAG_F | MIKEY_FLAG_G | MIKEY_FLAG_H | MIKEY_FLAG_J | MIKEY_FLAG_K |    \
     MIKEY_FLAG_L | MIKEY_FLAG_M)

gboolean
clv_kms_is_for_itself(const MikeyPolicy *policy)
{
    return (policy->flags & MIKEY_FLAG_D) != 0 && (policy->flags & MIKEY_FLAG_E) == 0;
}

static MikeyStatus
copy_ticket_key(Handling *h, const ClvKmsUser *user, MikeyKey *out_key)
{
    gsize len = 0;
    const guint8 *bytes = clv_secret_bytes(user->ticket_key, &len);
    MikeyStatus status = mikey_key_set(out_key, bytes, len);

    return status == MIKEY_OK ? status
                              : clv_kms_because(h, status, "ticket-key of '%s'", user->name);
}

/* ---- mode 2 ---- */

MikeyStatus
clv_kms_key_of_responder(Handling *h, const MikeyPolicy *policy, MikeyKey *out_key,
                         MikeyBytes *out_name)
{
    g_autofree char *responder = clv_kms_canonical_of(&policy->responders[0]);
    const ClvKmsUser *owner = responder != NULL ? clv_kms_keyfile_owner(h->keys, responder) : NULL;

    if (!clv_kms_takes_mode(h->keys, 2))
        return clv_kms_because(h, MIKEY_BAD_FLAGS,
                               "flags %06x: the ticket is not to be resolved, and modes= does not "
                               "hold 2",
                               policy->flags);
    if ((policy->flags & MODE_2_WANTED) != MODE_2_WANTED || (policy->flags & ~MODE_2_ALLOWED) != 0)
        return clv_kms_because(h, MIKEY_BAD_FLAGS, "flags %06x in mode 2", policy->flags);
    if (policy->n_responders != 1 || owner == NULL || owner->revoked || owner->ticket_key == NULL)
        return clv_kms_because(h, MIKEY_BAD_POLICY,
                               "a ticket that is not to be resolved is for one user with a "
                               "ticket-key");
    if (!clv_kms_is_announced(h, responder))
        return clv_kms_because(h, MIKEY_BAD_IDENTITY, "%.100s is not announced", responder);
    *out_name = mikey_bytes_str(owner->name);
    return copy_ticket_key(h, owner, out_key);
}

/* ---- mode 3 ---- */

static MikeyStatus
check_session_keys(Handling *h, const MikeyPolicy *policy)
{
    if (!clv_kms_is_for_several(h, policy))
        return MIKEY_OK;
    if ((policy->flags & MIKEY_FLAG_I) == 0)
        return clv_kms_because(h, MIKEY_BAD_POLICY, "for several responders, and not forked");
    for (gsize i = 0; i < mikey_query_n_keys(h->query); i++) {
        MikeyKeyType type = mikey_query_key(h->query, i)->type;

        if (type != MIKEY_KEY_TGK && type != MIKEY_KEY_TGK_SALT)
            return clv_kms_because(h, MIKEY_BAD_POLICY, "a %s in a ticket for several responders",
                                   mikey_key_type_string(type));
    }
    return MIKEY_OK;
}

/* He may make no more than he would have been granted. When it was made is for him to say, so its
 * end counts from now. */
static MikeyStatus
check_made(Handling *h, const MikeyPolicy *policy, const ClvKmsUser *maker, char *initiator)
{
    Handling made = *h; /* as if he had asked */
    gint64 latest_s = h->now_us / G_USEC_PER_SEC;
    MikeyStatus status;

    made.user = maker;
    made.identity = initiator;
    latest_s += maker->max_lifetime_s > 0 ? maker->max_lifetime_s : h->keys->max_lifetime_s;
    status = clv_kms_check_wanted(&made, policy);
    if (status == MIKEY_OK)
        status = check_session_keys(h, policy);
    if (status != MIKEY_OK)
        return status;
    if (!clv_kms_is_announced(h, initiator))
        return clv_kms_because(h, MIKEY_BAD_IDENTITY, "%.100s is not announced", initiator);
    if (!policy->has_end || policy->end_unix > latest_s)
        return clv_kms_because(h, MIKEY_NOT_VALID, "of '%s', valid for longer than max-lifetime",
                               maker->name);
    if ((policy->flags & MIKEY_FLAG_J) != 0 && !maker->reuse)
        return clv_kms_because(h, MIKEY_BAD_POLICY, "of '%s', and reuse=no", maker->name);
    return MIKEY_OK;
}

MikeyStatus
clv_kms_open_own_ticket(Handling *h, const MikeyPolicy *policy)
{
    MikeyBytes name = mikey_query_tpk_id(h->query);
    g_autofree char *initiator = clv_kms_canonical_of(&policy->initiator);
    const ClvKmsUser *maker = initiator != NULL ? clv_kms_keyfile_owner(h->keys, initiator) : NULL;
    MikeyKey key;
    MikeyStatus status;

    if (!clv_kms_takes_mode(h->keys, 3))
        return clv_kms_because(h, MIKEY_BAD_POLICY,
                               "the ticket is of its initiator's own making, and modes= does not "
                               "hold 3");
    if (maker == NULL || maker->ticket_key == NULL ||
        !mikey_bytes_equal(name, mikey_bytes_str(maker->name)))
        return clv_kms_because(h, MIKEY_BAD_TICKET,
                               "the ticket is under no ticket-key of its initiator's");
    status = copy_ticket_key(h, maker, &key);
    if (status == MIKEY_OK)
        status = mikey_query_open_ticket(h->query, &key, &h->env);
    mikey_key_clear(&key);
    if (status != MIKEY_OK)
        return clv_kms_because(h, status, "the ticket: %s", mikey_status_string(status));
    return check_made(h, policy, maker, initiator);
}
