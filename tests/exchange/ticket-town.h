/* SPDX-License-Identifier: Apache-2.0 */
/* exchange/ticket-town.h - a world whose KMS is the ticket service of the kms room: its key file,
 * its rules, its memory
 */
#pragma once

#include "kms/kms.h"
#include "ticket-world.h"

/* A world with the real service in it. */
typedef struct Town {
    World *world;
    ClvKmsService *service;
    ClvKmsDecision decision; /* of the last question */
    gint64 kms_ahead_us;     /* its clock against ours */
} Town;

/* @alice: more lines in alice's section; NULL: she is not there. @conf1: what the server's own
 * section says of what it may; @kms: more lines in [kms] */
static char *
key_text(const char *alice, const char *conf1, const char *kms)
{
    static const char *const names[] = {"alice", "bob", "carol", "conf1", "conf2"};
    GString *text = g_string_new("[kms]\nuri = " KMS "\nmax-lifetime = 2h\n");

    g_string_append(text, kms);
    for (guint i = 0; i < G_N_ELEMENTS(names); i++) {
        MikeyKey psk = psk_of(names[i], strlen(names[i]));
        g_autofree char *base64 = g_base64_encode(psk.bytes, psk.len);

        if (i == 0 && alice == NULL)
            continue;
        g_string_append_printf(text, "[user %s]\npsk = base64:%s\n%s", names[i], base64,
                               strcmp(names[i], "conf1") == 0 ? conf1 : "may-request = any\n");
        if (i < 3)
            g_string_append_printf(text, "identities = sip:%s@operator.example\n", names[i]);
        if (i == 0)
            g_string_append(text, alice);
    }
    g_string_append(text, "[service conf1]\nuser = conf1\nhost = operator.example\n"
                          "factory = " ALIAS "\n"
                          "[service conf2]\nuser = conf2\nhost = operator.example\n");
    return g_string_free(text, FALSE);
}

static ClvKmsKeyFile *
key_file(const char *alice, const char *conf1)
{
    g_autofree char *text = key_text(alice, conf1, "");
    g_autoptr(GPtrArray) errors = g_ptr_array_new_with_free_func(g_free);
    ClvKmsKeyFile *keys = clv_kms_keyfile_parse("town", text, strlen(text), errors);

    if (errors->len > 0)
        g_error("%s", (const char *)errors->pdata[0]);
    return keys;
}

static GByteArray *
service_kms(World *world, ClvKmsRequest request, MikeyBytes question)
{
    Town *town = world->kms_user;
    GByteArray *answer =
        clv_kms_service_handle(town->service, request, question.data, question.len,
                               world->now_us + town->kms_ahead_us, &town->decision);

    g_assert_nonnull(answer);
    return answer;
}

/* (transfer full) @keys */
static Town *
town_with(ClvKmsKeyFile *keys)
{
    Town *town = g_new0(Town, 1);

    town->world = world_new();
    town->world->kms = service_kms;
    town->world->kms_user = town;
    town->service = clv_kms_service_new(keys, world_random, town->world);
    return town;
}

static Town *
town_new(void)
{
    return town_with(key_file("secure-conference = yes\n", "may-request = any\n"));
}

static void
town_free(Town *town)
{
    clv_kms_service_free(town->service);
    world_free(town->world);
    g_free(town);
}
