/* SPDX-License-Identifier: Apache-2.0 */
/* base/option.h - option tables: parse, check, explain
 *
 * Each room declares one table; from it come parsing, checking, the sample file and the man page.
 * Files are INI (GKeyFile rules), errors name file, line, what was found and what was expected.
 */
#pragma once

#include <glib.h>

typedef enum ClvOptionKind {
    CLV_OPTION_STRING,   /* char * (g_free) */
    CLV_OPTION_STRINGS,  /* char ** (g_strfreev); ';' separates */
    CLV_OPTION_PATH,     /* char *; relative to the configuration file's folder */
    CLV_OPTION_BOOL,     /* gboolean; yes no true false on off 1 0 */
    CLV_OPTION_INT,      /* gint64, min..max */
    CLV_OPTION_TIME_MS,  /* gint64 milliseconds; "3s", "200ms", "5m", "1h", bare number = seconds */
    CLV_OPTION_ENUM,     /* int; index into words */
} ClvOptionKind;

typedef struct ClvOption {
    const char *section; /* "sip" */
    const char *name;    /* "listen" */
    ClvOptionKind kind;
    gsize offset;            /* of the member in the target struct */
    const char *default_text; /* (nullable) parsed like a value; NULL leaves the member as it is */
    gint64 min, max;         /* INT and TIME_MS */
    const char *const *words; /* ENUM */
    gboolean reloads;        /* takes effect on reload, else on restart */
    const char *help;        /* one sentence */
} ClvOption;

#define CLV_OPTION_ERROR (clv_option_error_quark())
GQuark clv_option_error_quark(void);

/* A group of tables with the structs that they fill. Ended by {NULL, NULL}. */
typedef struct ClvOptionSet {
    const ClvOption *options; /* ended by .name == NULL */
    void *target;
} ClvOptionSet;

/**
 * clv_options_load:
 * @path: (nullable): NULL sets the defaults alone
 * @errors: (element-type utf8): one "file:line: ..." sentence each, all of them, not only the first
 *
 * Returns: TRUE when errors is empty
 */
gboolean clv_options_load(const ClvOptionSet *sets, const char *path, GPtrArray *errors);
void clv_options_clear(const ClvOptionSet *sets);
/* The commented sample file made from the tables. */
char *clv_options_sample(const ClvOptionSet *sets);
/* Value parsers that policy files share. */
gboolean clv_parse_bool(const char *text, gboolean *out, GError **error);
gboolean clv_parse_time_ms(const char *text, gint64 *out, GError **error);
gboolean clv_parse_int(const char *text, gint64 min, gint64 max, gint64 *out, GError **error);

/* An INI file with positions, for whoever needs line numbers (options, policies, users, keys).
 * Comments are lines that start with '#'; there are no trailing ones. Keys and values are stripped.
 * A group that comes twice is merged; of a key that comes twice the last one counts. Messages name
 * keys but never quote values, and the text is cleansed when freed: the file may hold secrets. */
typedef struct ClvIniEntry {
    const char *group;
    const char *key;
    const char *value; /* stripped; never NULL */
    guint line;        /* from 1 */
} ClvIniEntry;
typedef struct ClvIni ClvIni;
/* @name is used in messages only. Syntax errors are collected in @errors; NULL when there are any. */
ClvIni *clv_ini_parse(const char *name, const char *text, gsize len, GPtrArray *errors);
ClvIni *clv_ini_read(const char *path, gsize max_bytes, GPtrArray *errors);
/* The same for a file that must be private: clv_secret_check_mode() refuses it otherwise. */
ClvIni *clv_ini_read_private(const char *path, gsize max_bytes, GPtrArray *errors);
void clv_ini_free(ClvIni *ini);
const char *clv_ini_name(const ClvIni *ini);
guint clv_ini_n_entries(const ClvIni *ini);
const ClvIniEntry *clv_ini_entry(const ClvIni *ini, guint i);
/* Groups in file order with the line of their header; groups without entries are listed too. */
guint clv_ini_n_groups(const ClvIni *ini);
const char *clv_ini_group(const ClvIni *ini, guint i, guint *out_line);

/* The entries of one group, together and in file order; @out_n: how many. Entries of
 * clv_ini_entry() come group by group in the same way. */
const ClvIniEntry *clv_ini_group_entries(const ClvIni *ini, guint i, guint *out_n);
/* The last entry of this name, or NULL. */
const ClvIniEntry *clv_ini_find(const ClvIni *ini, const char *group, const char *key);
/* Things that are allowed but look like mistakes (a group or a key twice): "file:line: ..." */
guint clv_ini_n_warnings(const ClvIni *ini);
const char *clv_ini_warning(const ClvIni *ini, guint i);

/**
 * clv_ini_split_list:
 *
 * Splits at ';', strips each part, takes "\;" for a literal ';' and "\\" for a backslash. One ';' at
 * the end is allowed; empty parts elsewhere are kept, for the caller to complain about.
 *
 * Returns: (transfer full): NULL-terminated, for g_strfreev()
 */
char **clv_ini_split_list(const char *value);
/* Joins the other way; for messages and for writing files. */
char *clv_ini_join_list(const char *const *parts);

#define CLV_INI_MAX_BYTES (1u << 20)
#define CLV_INI_MAX_GROUPS 100000

G_DEFINE_AUTOPTR_CLEANUP_FUNC(ClvIni, clv_ini_free)
