/* SPDX-License-Identifier: Apache-2.0 */
/* libmikey/base.c - statuses, memory, keys, time */
#include <libmikey/private.h>

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <stdlib.h>
#include <string.h>

#define NTP_UNIX_OFFSET_S 2208988800
#define NTP_ERA_S ((int64_t)1 << 32)
#define US_PER_S 1000000

typedef struct StatusEntry {
    uint8_t error;
    const char *text;
} StatusEntry;

static const StatusEntry statuses[MIKEY_N_STATUS] = {
    [MIKEY_OK] = {12, "no error"},
    [MIKEY_TRUNCATED] = {13, "the octets end too early"},
    [MIKEY_TRAILING] = {13, "octets after the last payload"},
    [MIKEY_TOO_LARGE] = {13, "larger than the limits allow"},
    [MIKEY_VERSION] = {13, "version is not 1"},
    [MIKEY_UNKNOWN_PAYLOAD] = {13, "payload of unknown kind"},
    [MIKEY_DUPLICATE] = {13, "payload occurs twice"},
    [MIKEY_MISSING] = {13, "mandatory payload is missing"},
    [MIKEY_MALFORMED] = {13, "value breaks the layout"},
    [MIKEY_BAD_SESSIONS] = {13, "crypto session map is not acceptable"},
    [MIKEY_BAD_MAC] = {0, "MAC does not fit"},
    [MIKEY_BAD_INITIATOR_DATA] = {0, "ticket was not sent by its owner"},
    [MIKEY_BAD_TICKET_MAC] = {0, "MAC of the ticket does not fit"},
    [MIKEY_UNKNOWN_USER] = {0, "no key for this user"},
    [MIKEY_SDP_IDS_DIFFER] = {0, "list of key management protocols differs"},
    [MIKEY_BAD_TIME] = {1, "timestamp is out of range or of an unusable type"},
    [MIKEY_REPLAYED] = {1, "message was seen before"},
    [MIKEY_BAD_PRF] = {2, "PRF is not supported here"},
    [MIKEY_BAD_MAC_ALG] = {3, "MAC algorithm is not supported here"},
    [MIKEY_BAD_ENCR_ALG] = {4, "encryption algorithm is not supported here"},
    [MIKEY_BAD_HASH] = {5, "hash function is not supported"},
    [MIKEY_BAD_DH_GROUP] = {6, "Diffie-Hellman group is not supported"},
    [MIKEY_BAD_IDENTITY] = {7, "identity is unknown or not authorised"},
    [MIKEY_BAD_CERTIFICATE] = {8, "certificate or signature is not acceptable"},
    [MIKEY_BAD_PROTOCOL] = {9, "security protocol is not supported"},
    [MIKEY_BAD_PARAMETERS] = {10, "no acceptable security policy"},
    [MIKEY_BAD_DATA_TYPE] = {11, "message of this type is not supported here"},
    [MIKEY_SHORT_RAND] = {12, "random value is too short"},
    [MIKEY_BAD_KEYS] = {12, "keys are not the ones needed"},
    [MIKEY_REFUSED] = {12, "refused"},
    [MIKEY_BAD_TICKET] = {14, "ticket of this kind is not accepted"},
    [MIKEY_NOT_REUSABLE] = {14, "kept keys may not be used for this ticket"},
    [MIKEY_BAD_FLAGS] = {15, "flags of the ticket policy contradict each other"},
    [MIKEY_NOT_VALID] = {15, "ticket is not valid now"},
    [MIKEY_POLICY_VIOLATED] = {15, "message does what the ticket policy forbids"},
    [MIKEY_BAD_POLICY] = {15, "ticket policy is not acceptable"},
    [MIKEY_MISMATCH] = {12, "answer belongs to another message"},
    [MIKEY_PEER_ERROR] = {12, "the peer reports an error"},
    [MIKEY_NO_MEMORY] = {12, "out of memory"},
    [MIKEY_NO_RANDOM] = {12, "no random octets"},
    [MIKEY_CRYPTO] = {12, "the cryptographic library failed"},
    [MIKEY_ARGUMENT] = {12, "impossible argument"},
    [MIKEY_ORDER] = {12, "a check that must come first was left out"},
};

static const char *const errors[] = {
    "authentication failure",
    "invalid timestamp",
    "PRF not supported",
    "MAC algorithm not supported",
    "encryption algorithm not supported",
    "hash function not supported",
    "DH group not supported",
    "ID not supported",
    "certificate not supported",
    "security policy type not supported",
    "security policy parameters not supported",
    "data type not supported",
    "unspecified error",
    "unsupported message type",
    "invalid ticket",
    "invalid ticket policy parameters",
};

static MikeyAllocator hooks;

const char *
mikey_status_string(MikeyStatus status)
{
    return (unsigned)status < MIKEY_N_STATUS ? statuses[status].text : "unknown status";
}

uint8_t
mikey_status_error(MikeyStatus status)
{
    return (unsigned)status < MIKEY_N_STATUS ? statuses[status].error : 12;
}

const char *
mikey_error_string(uint8_t number)
{
    return number < sizeof(errors) / sizeof(errors[0]) ? errors[number] : "unknown error";
}

MikeyBytes
mikey_bytes(const void *data, size_t len)
{
    MikeyBytes bytes = {data, len};

    return bytes;
}

MikeyBytes
mikey_bytes_str(const char *text)
{
    return mikey_bytes(text, strlen(text));
}

bool
mikey_bytes_equal(MikeyBytes a, MikeyBytes b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}

void
mikey_set_allocator(const MikeyAllocator *allocator)
{
    static const MikeyAllocator none = {NULL, NULL, NULL};

    hooks = allocator != NULL ? *allocator : none;
}

void *
mikey_alloc(size_t size)
{
    size_t room = size > 0 ? size : 1;
    void *block = hooks.alloc != NULL ? hooks.alloc(room, hooks.data) : malloc(room);

    if (block != NULL)
        memset(block, 0, room);
    return block;
}

void
mikey_release(void *block)
{
    if (block == NULL)
        return;
    if (hooks.alloc != NULL)
        hooks.release(block, hooks.data);
    else
        free(block);
}

void
mikey_release_secret(void *block, size_t size)
{
    if (block != NULL)
        OPENSSL_cleanse(block, size);
    mikey_release(block);
}

void
mikey_buffer_clear(MikeyBuffer *buffer)
{
    mikey_release_secret(buffer->data, buffer->len);
    buffer->data = NULL;
    buffer->len = 0;
}

MikeyStatus
mikey_buffer_set(MikeyBuffer *buffer, MikeyBytes octets)
{
    uint8_t *copy = mikey_alloc(octets.len);

    if (copy == NULL)
        return MIKEY_NO_MEMORY;
    if (octets.len > 0)
        memcpy(copy, octets.data, octets.len);
    mikey_buffer_clear(buffer);
    buffer->data = copy;
    buffer->len = octets.len;
    return MIKEY_OK;
}

MikeyBytes
mikey_buffer_bytes(const MikeyBuffer *buffer)
{
    return mikey_bytes(buffer->data, buffer->len);
}

MikeyStatus
mikey_key_set(MikeyKey *key, const uint8_t *bytes, size_t len)
{
    if (len > MIKEY_MAX_KEY)
        return MIKEY_BAD_KEYS;
    if (len > 0)
        memmove(key->bytes, bytes, len);
    OPENSSL_cleanse(key->bytes + len, MIKEY_MAX_KEY - len);
    key->len = len;
    return MIKEY_OK;
}

void
mikey_key_clear(MikeyKey *key)
{
    OPENSSL_cleanse(key, sizeof(*key));
}

bool
mikey_key_equal(const MikeyKey *a, const MikeyKey *b)
{
    return a->len == b->len && CRYPTO_memcmp(a->bytes, b->bytes, a->len) == 0;
}

bool
mikey_random_openssl(uint8_t *out, size_t len, void *data)
{
    (void)data;
    return len <= INT32_MAX && RAND_priv_bytes(out, (int)len) == 1;
}

MikeyStatus
mikey_env_random(const MikeyEnv *env, uint8_t *out, size_t len)
{
    if (env->random == NULL || !env->random(out, len, env->random_data))
        return MIKEY_NO_RANDOM;
    return MIKEY_OK;
}

uint32_t
mikey_env_skew(const MikeyEnv *env)
{
    return env->skew_s > 0 ? env->skew_s : MIKEY_DEFAULT_SKEW_S;
}

uint32_t
mikey_ntp32_from_unix(int64_t unix_s)
{
    return (uint32_t)((uint64_t)unix_s + NTP_UNIX_OFFSET_S);
}

int64_t
mikey_ntp32_to_unix(uint32_t ntp32)
{
    int64_t seconds = (int64_t)ntp32 - NTP_UNIX_OFFSET_S;

    return (ntp32 & 0x80000000u) != 0 ? seconds : seconds + NTP_ERA_S;
}

MikeyNtp
mikey_ntp_from_unix_us(int64_t unix_us)
{
    int64_t seconds = unix_us / US_PER_S;
    int64_t rest = unix_us % US_PER_S;

    if (rest < 0) {
        rest += US_PER_S;
        seconds -= 1;
    }
    /* rounded up, so that the way back gives the same microsecond */
    return (uint64_t)mikey_ntp32_from_unix(seconds) << 32 |
           (((uint64_t)rest << 32) + US_PER_S - 1) / US_PER_S;
}

int64_t
mikey_ntp_to_unix_us(MikeyNtp ntp)
{
    uint64_t fraction = ntp & 0xffffffffu;

    return mikey_ntp32_to_unix((uint32_t)(ntp >> 32)) * US_PER_S +
           (int64_t)((fraction * US_PER_S) >> 32);
}

bool
mikey_ntp_within(MikeyNtp a, MikeyNtp b, uint32_t skew_s)
{
    int64_t difference = mikey_ntp_to_unix_us(a) - mikey_ntp_to_unix_us(b);
    int64_t skew = (int64_t)skew_s * US_PER_S;

    return difference <= skew && difference >= -skew;
}

bool
mikey_ntp_is_newer(MikeyNtp a, MikeyNtp b)
{
    return a != b && a - b < (MikeyNtp)1 << 63;
}

MikeyStatus
mikey_digest(MikeyBytes octets, uint8_t out_digest[MIKEY_DIGEST_LEN])
{
    static const uint8_t nothing[1] = {0};
    const uint8_t *data = octets.len > 0 ? octets.data : nothing;
    uint8_t digest[EVP_MAX_MD_SIZE];
    unsigned int len = 0;

    if (EVP_Digest(data, octets.len, digest, &len, EVP_sha256(), NULL) != 1 ||
        len != MIKEY_DIGEST_LEN)
        return MIKEY_CRYPTO;
    memcpy(out_digest, digest, MIKEY_DIGEST_LEN);
    return MIKEY_OK;
}
