/* SPDX-License-Identifier: Apache-2.0 */
/* kms/keyfile.h - who may do what at this KMS, as read from its key file; inside of the room
 *
 * Immutable once loaded, and counted: the service and each request under way hold one reference,
 * so a reload never pulls the file from under a request.
 */
#pragma once

#include "base/secret.h"
#include "kms/kms.h"
#include "base/papers.h"
#include "kms/tpk.h"

#define CLV_KMS_KEYFILE_MAX_BYTES (1u << 20)
#define CLV_KMS_MAX_NAME 64u
#define CLV_KMS_MIN_PSK 16u
#define CLV_KMS_MAX_PSK 64u

/* One word of may-request= */
typedef enum ClvKmsScopeKind {
    CLV_KMS_SCOPE_ANY,
    CLV_KMS_SCOPE_NOBODY,
    CLV_KMS_SCOPE_USERS,    /* identities of users of this file */
    CLV_KMS_SCOPE_SERVICES, /* factories and conferences of services of this file */
    CLV_KMS_SCOPE_GROUPS,   /* identities of groups of this file */
    CLV_KMS_SCOPE_PATTERN,
} ClvKmsScopeKind;

typedef struct ClvKmsScope {
    ClvKmsScopeKind kind;
    gboolean exclude; /* written with "!": wins over all others */
    char *pattern;    /* (nullable) canonical, with CLV_KMS_SCOPE_PATTERN */
} ClvKmsScope;

/* [user NAME]: somebody who shares a key with the KMS */
typedef struct ClvKmsUser {
    char *name; /* IDRpsk */
    guint line;
    ClvSecret *psk;
    ClvSecret *ticket_key; /* (nullable) of tickets that he makes, or opens, himself */
    gboolean psk_refused; /* something stands there that is no key; while a file is read */
    GPtrArray *identities; /* (element-type utf8) canonical */
    GArray *may_request;   /* (element-type ClvKmsScope) */
    GPtrArray *purposes;   /* (nullable) (element-type utf8): NULL: any */
    gint64 max_lifetime_s; /* 0: that of [kms] */
    gboolean secure_conference;
    gboolean reuse;          /* tickets may have the J flag */
    gboolean wildcards;      /* tickets may be for *@example.org */
    GPtrArray *certificates; /* (element-type utf8) URIs, or "cn:" and a common name */
    gint64 rate;             /* messages a second; 0: user-rate of [kms] */
    gboolean revoked;
    gint64 tickets_since_s; /* those made earlier, by or for him, are void; 0: none are */
} ClvKmsUser;

/* [service NAME]: a conference system, its factories and its foci */
typedef struct ClvKmsSystem {
    char *name;
    guint line;
    char *user_name;
    const ClvKmsUser *user;
    char *host;             /* (nullable) */
    GPtrArray *factories;   /* (element-type utf8) canonical */
    GPtrArray *rules;       /* (element-type utf8) ".conf1@example.org": after one label */
    GPtrArray *conferences; /* (element-type utf8) canonical */
    gboolean list;          /* those of the rules are to be announced first */
    gint64 list_lifetime_s; /* how long one announcement holds at most */
} ClvKmsSystem;

/* [group NAME]: an identity whose tickets each of the members resolves */
typedef struct ClvKmsGroup {
    char *name;
    guint line;
    char *uri;          /* canonical */
    GPtrArray *members; /* (element-type utf8) canonical */
} ClvKmsGroup;

/* [peer NAME]: another KMS. Towards us it is a user: "peer NAME", who may ask in the names of
 * user->may_request that are nobody's here. */
typedef struct ClvKmsPeer {
    ClvKmsUser *user;      /* of the name "peer NAME" */
    char *uri;             /* canonical; its tickets name it, and its messages as IDRpsk */
    GPtrArray *urls;       /* (element-type utf8) */
    GPtrArray *server_names; /* (element-type utf8): its certificate has one of them; none: any */
    char *ca, *cert, *key; /* (nullable) files */
    gint64 timeout_s;
    gboolean maps; /* its own users may stand for one another: its factories and conferences */
} ClvKmsPeer;

struct ClvKmsKeyFile {
    gint refs;  /* atomic */
    guint line; /* of [kms] */
    char *uri;  /* IDRkms as written */
    char *canonical_uri;
    gint64 skew_s;
    gint64 max_lifetime_s;
    gint64 max_responders;
    gint64 replay_entries;
    gboolean allow_128;
    guint modes;         /* bits 2 and 3: that mode is taken besides the first */
    char *state_dir;     /* (nullable) absolute, or relative to where the program runs */
    gint64 tpk_rotate_s; /* 0: never */
    char *audit_file;    /* (nullable) */
    ClvKmsHttpAuth http_auth;
    char *http_host;    /* (nullable) */
    char *client_ca;    /* (nullable) */
    char *mikey_cert, *mikey_key, *mikey_ca, *mikey_crl; /* (nullable) paths */
    ClvPapers *papers;  /* (nullable) what those four hold: messages with certificates are taken */
    gint64 rate;        /* messages a second, 0: no limit */
    gint64 user_rate;   /* of one user */
    GPtrArray *tpks;    /* (element-type ClvSecret) first one is for new tickets; may be empty */
    GPtrArray *users;   /* (element-type ClvKmsUser) in file order */
    GPtrArray *systems; /* (element-type ClvKmsSystem) in file order */
    GPtrArray *groups;  /* (element-type ClvKmsGroup) in file order */
    GHashTable *users_by_name;
    GHashTable *users_by_identity;
    GHashTable *users_by_certificate;
    GHashTable *systems_by_factory;
    GHashTable *groups_by_uri;
    GPtrArray *peers; /* (element-type ClvKmsPeer) in file order */
};

#define clv_kms_takes_mode(keys, mode) (((keys)->modes & 1u << (mode)) != 0)

ClvKmsKeyFile *clv_kms_keyfile_ref(ClvKmsKeyFile *keys);
/* @folder: (nullable): where psk-file= and tpk-file= are looked for */
ClvKmsKeyFile *clv_kms_keyfile_parse_in(const char *name, const char *folder, const char *text,
                                        gsize len, GPtrArray *errors);

/* All of these: (transfer none) (nullable). Identities are canonical. */
const ClvKmsUser *clv_kms_keyfile_user(const ClvKmsKeyFile *keys, const char *name, gsize len);
/* Whose identity, factory or conference is this? */
const ClvKmsUser *clv_kms_keyfile_owner(const ClvKmsKeyFile *keys, const char *identity);
const ClvKmsSystem *clv_kms_keyfile_factory(const ClvKmsKeyFile *keys, const char *identity);
const ClvKmsSystem *clv_kms_keyfile_focus(const ClvKmsKeyFile *keys, const char *identity);

const ClvKmsGroup *clv_kms_keyfile_group(const ClvKmsKeyFile *keys, const char *identity);
gboolean clv_kms_group_has(const ClvKmsGroup *group, const char *identity);
/* Does it stand for several ("sip:*@example.org"), and is @identity one of them? Never a factory, a
 * conference or a group. */
gboolean clv_kms_is_wildcard(const char *identity);
gboolean clv_kms_wildcard_holds(const ClvKmsKeyFile *keys, const char *wildcard,
                                const char *identity);

const ClvKmsPeer *clv_kms_keyfile_peer(const ClvKmsKeyFile *keys, const char *uri);
/* Is this a name that the peer may speak for? */
gboolean clv_kms_peer_has(const ClvKmsKeyFile *keys, const ClvKmsPeer *peer, const char *identity);

/* Longest lifetime that any ticket can have */
gint64 clv_kms_keyfile_longest_s(const ClvKmsKeyFile *keys);

gboolean clv_kms_user_may_request(const ClvKmsKeyFile *keys, const ClvKmsUser *user,
                                  const char *identity);
gboolean clv_kms_user_has_purpose(const ClvKmsUser *user, const guint8 *purpose, gsize len);

/* Is this a name that may stand in a group header? */
gboolean clv_kms_name_check(const char *name, GError **error);
