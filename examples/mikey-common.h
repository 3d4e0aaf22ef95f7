/* SPDX-License-Identifier: Apache-2.0 */
/* examples/mikey-common.h - what both examples need: the time, keys, messages on pipes
 *
 * Messages travel as lines "kind base64". A real program would use SIP between the parties and
 * HTTP to the KMS; here the responder plays the KMS as well.
 */
#pragma once

#include <libmikey/mikey.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define ALICE "sip:alice@example.org"
#define BOB "sip:bob@example.org"
#define KMS "sip:kms@example.org"

/* Keys for an example: everybody can read them here. A program gets its own from a file. */
static const MikeyKey alice_psk = {"the example key of alice, public", 32};

static inline MikeyEnv
example_env(void)
{
    struct timespec now;
    MikeyEnv env = {.random = mikey_random_openssl};

    clock_gettime(CLOCK_REALTIME, &now);
    env.now = mikey_ntp_from_unix_us((int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000);
    return env;
}

/* Ends the program with a sentence when @status is not what everybody hopes for */
static inline void
example_must(MikeyStatus status, const char *what)
{
    if (status == MIKEY_OK)
        return;
    fprintf(stderr, "%s: %s\n", what, mikey_status_string(status));
    exit(1);
}

static inline void
example_send(FILE *to, const char *kind, MikeyBytes message)
{
    MikeyBuffer text = MIKEY_BUFFER_INIT;

    example_must(mikey_base64_encode(message, &text), kind);
    fprintf(to, "%s %s\n", kind, (const char *)text.data);
    fflush(to);
    mikey_buffer_clear(&text);
}

static inline MikeyBuffer
example_receive(FILE *from, const char *kind)
{
    MikeyBuffer message = MIKEY_BUFFER_INIT;
    char *line = NULL;
    size_t room = 0, len = strlen(kind);

    if (getline(&line, &room, from) < 0 || strncmp(line, kind, len) != 0 || line[len] != ' ') {
        fprintf(stderr, "no %s came\n", kind);
        exit(1);
    }
    line[strcspn(line, "\n")] = '\0';
    example_must(mikey_base64_decode(mikey_bytes_str(line + len + 1), &message), kind);
    free(line);
    return message;
}

/* Both ends print the same number when they hold the same key; no key is shown */
static inline void
example_show(const char *who, const MikeyBundle *bundle, uint8_t cs_id)
{
    uint8_t digest[MIKEY_DIGEST_LEN];
    MikeySrtp srtp;

    example_must(mikey_bundle_srtp(bundle, cs_id, &srtp), "keys");
    example_must(mikey_digest(mikey_bytes(srtp.master_key.bytes, srtp.master_key.len), digest),
                 "digest");
    printf("%s: crypto session %u, %s, SSRC %08x, key check %02x%02x\n", who, cs_id,
           mikey_srtp_profile_string(srtp.profile), (unsigned)srtp.ssrc, digest[0], digest[1]);
    mikey_srtp_clear(&srtp);
}
