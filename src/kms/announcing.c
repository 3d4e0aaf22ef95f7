/* SPDX-License-Identifier: Apache-2.0 */
/* kms/announcing.c - may this conference system announce or withdraw this conference? */
#include "config.h"

#include "kms/handling.h"

#include <string.h>

#include "base/identity.h"
#include "kms/listing.h"

static guint
list_because(Handling *h, guint http, const char *why)
{
    clv_kms_because(h, MIKEY_OK, "%s", why);
    h->decision->granted = http == 200;
    return http;
}

static guint
list_prove(Handling *h, const ClvKmsList *list, const guint8 *octets)
{
    const guint8 *psk;
    gsize len = 0;

    h->user = clv_kms_keyfile_user(h->keys, list->user, strlen(list->user));
    if (h->user == NULL)
        return list_because(h, 403, "no such user");
    g_strlcpy(h->decision->user, h->user->name, sizeof h->decision->user);
    psk = clv_secret_bytes(h->user->psk, &len);
    if (list->has_mac ? !clv_kms_list_verify(list, octets, psk, len) : h->proven == NULL)
        return list_because(h, 403, "not proven to be the user");
    h->decision->authenticated = TRUE;
    if (clv_kms_check_proven(h) != MIKEY_OK)
        return 403;
    if (clv_kms_check_rate(h) != MIKEY_OK)
        return 429;
    return 200;
}

static guint
list_do(Handling *h, const ClvKmsList *list)
{
    g_autofree char *kms = clv_identity_canonical(list->kms, -1);
    const ClvKmsSystem *system;
    g_autoptr(GError) error = NULL;
    gint64 lifetime_s;
    gboolean good;

    h->identity = clv_identity_canonical(list->conference, -1);
    system = h->identity != NULL ? clv_kms_keyfile_focus(h->keys, h->identity) : NULL;
    if (h->user->revoked)
        return list_because(h, 403, "revoked=yes: this user may not ask for anything");
    if (g_strcmp0(kms, h->keys->canonical_uri) != 0)
        return list_because(h, 403, "the announcement is for another KMS");
    if (system == NULL || system->user != h->user)
        return list_because(h, 403, "no conference of a service of this user");
    if (!system->list)
        return list_because(h, 200, "the naming rule counts");
    lifetime_s = list->lifetime_s > 0 ? MIN(list->lifetime_s, system->list_lifetime_s)
                                      : system->list_lifetime_s;
    good = list->withdraw
               ? clv_kms_roster_remove(h->service->roster, system->name, h->identity, h->now_us,
                                       &error)
               : clv_kms_roster_add(h->service->roster, system->name, h->identity, h->now_us,
                                    h->now_us + lifetime_s * G_USEC_PER_SEC, &error);
    if (!good)
        return list_because(h, 503, error->message);
    clv_kms_because(h, MIKEY_OK,
                    list->withdraw ? "withdrawn" : "announced for %" G_GINT64_FORMAT " s",
                    lifetime_s);
    h->decision->granted = TRUE;
    return 200;
}

/* The same octets again, within seconds, get the same answer: the way to another address of the
 * KMS leads through this. */
static guint
list_once(Handling *h, const ClvKmsList *list, const guint8 *octets, gsize len)
{
    gint64 skew_us = h->keys->skew_s * G_USEC_PER_SEC;
    g_autoptr(GByteArray) before = NULL;
    guint8 digest[MIKEY_DIGEST_LEN], done;
    ClvKmsMemoryVerdict verdict;
    guint status;

    if (ABS(list->made_us - h->now_us) > skew_us ||
        (h->service->keeper != NULL &&
         list->made_us < clv_kms_keeper_not_before_us(h->service->keeper)))
        return list_because(h, 409, "made too long ago, or the clocks differ");
    if (mikey_digest(mikey_bytes(octets, len), digest) != MIKEY_OK)
        return list_because(h, 503, "no digest");
    verdict = clv_kms_memory_enter(h->service->memory, h->user->name, clv_kms_parts_of(h), digest,
                                   h->now_us, list->made_us + skew_us, &before);
    if (verdict == CLV_KMS_MEMORY_FULL)
        return list_because(h, 503, "the replay memory is full");
    if (verdict == CLV_KMS_MEMORY_REPLAYED)
        return list_because(h, 409, "seen before");
    if (verdict == CLV_KMS_MEMORY_ANSWERED) {
        h->decision->repeated = TRUE;
        return list_because(h, before->data[0] != 0 ? 200 : 403, "sent again; answered as before");
    }
    status =
        clv_kms_remember(h, digest, list->made_us + skew_us) == MIKEY_OK ? list_do(h, list) : 503;
    done = status == 200;
    clv_kms_memory_settle(h->service->memory, digest, &done, 1, h->now_us);
    return status;
}

guint
clv_kms_service_list(ClvKmsService *service, const guint8 *octets, gsize len, gint64 now_us,
                     const char *proven, ClvKmsDecision *out_decision)
{
    g_autoptr(ClvKmsKeyFile) keys = clv_kms_ref_keys(service);
    Handling h = {.service = service, .keys = keys, .now_us = now_us, .proven = proven};
    ClvKmsList list;
    guint status;

    h.decision = out_decision;
    *out_decision = (ClvKmsDecision){.user = "-", .request = "list", .subject = "-"};
    if (!clv_kms_list_parse(octets, len, &list))
        return list_because(&h, 400, "the body is no announcement of a conference");
    g_strlcpy(out_decision->request, list.withdraw ? "withdraw" : "announce",
              sizeof out_decision->request);
    g_strlcpy(out_decision->subject, list.conference, sizeof out_decision->subject);
    status = list_prove(&h, &list, octets);
    if (status == 200)
        status = list_once(&h, &list, octets, len);
    clv_kms_list_clear(&list);
    g_free(h.identity);
    return status;
}
