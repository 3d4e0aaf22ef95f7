/* SPDX-License-Identifier: Apache-2.0 */
/* base/ini.c - an INI text to entries with line numbers
 *
 * The rules of a GLib key file as far as configuration needs them; the reader is our own because
 * GKeyFile forgets the lines. Groups, keys and values are cut out of one copy of the text, which is
 * cleansed in the end: it may hold secrets. Pure but for clv_ini_read().
 */
#include "config.h"

#include "base/option.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <string.h>
#include <unistd.h>

#include <openssl/crypto.h>

#include "base/secret.h"

typedef struct Group {
    const char *name;
    guint line;
    guint first, n; /* of its entries, once all are read */
} Group;

struct ClvIni {
    char *name;
    char *text; /* NUL-terminated pieces; everything below points into it */
    gsize size;
    GArray *entries;       /* ClvIniEntry */
    GArray *groups;        /* Group */
    GHashTable *group_set; /* name -> number in groups plus one */
    GHashTable *entry_set; /* of ClvIniEntry *, equal when group and key are */
    GPtrArray *warnings;
};

/* ---- messages ---- */

static void complain(GPtrArray *errors, const char *name, guint line, const char *format, ...)
    G_GNUC_PRINTF(4, 5);

static void
complain(GPtrArray *errors, const char *name, guint line, const char *format, ...)
{
    g_autofree char *message = NULL;
    va_list args;

    va_start(args, format);
    message = g_strdup_vprintf(format, args);
    va_end(args);
    if (line > 0)
        g_ptr_array_add(errors, g_strdup_printf("%s:%u: %s", name, line, message));
    else
        g_ptr_array_add(errors, g_strdup_printf("%s: %s", name, message));
}

/* ---- (group, key) as hash key ---- */

static guint
hash_entry(gconstpointer key)
{
    const ClvIniEntry *entry = key;

    return g_str_hash(entry->group) * 31 + g_str_hash(entry->key);
}

static gboolean
same_entry(gconstpointer a, gconstpointer b)
{
    const ClvIniEntry *x = a, *y = b;

    return strcmp(x->group, y->group) == 0 && strcmp(x->key, y->key) == 0;
}

/* ---- lines ---- */

static char *
strip_in_place(char *text, gsize len)
{
    while (len > 0 && g_ascii_isspace(text[len - 1]))
        len--;
    text[len] = '\0';
    while (g_ascii_isspace(*text))
        text++;
    return text;
}

typedef struct Reader {
    ClvIni *ini;
    GPtrArray *errors;
    const char *group; /* (nullable) the one that entries now belong to */
    guint line;
} Reader;

/* "[name]" */
static void
read_group(Reader *r, char *text)
{
    gsize len = strlen(text);
    char *name;
    Group group;
    guint known;

    r->group = NULL;
    if (text[len - 1] != ']') {
        complain(r->errors, r->ini->name, r->line,
                 "found a group header without a closing ']' at its end, expected [name]");
        return;
    }
    name = strip_in_place(text + 1, len - 2);
    if (*name == '\0' || strpbrk(name, "[]") != NULL) {
        complain(r->errors, r->ini->name, r->line,
                 "found the group name '%s', expected a name without '[' and ']'", name);
        return;
    }

    known = GPOINTER_TO_UINT(g_hash_table_lookup(r->ini->group_set, name));
    if (known != 0) {
        const Group *first = &g_array_index(r->ini->groups, Group, known - 1);

        complain(r->ini->warnings, r->ini->name, r->line,
                 "the group [%s] stands already in line %u; both are taken together", name,
                 first->line);
        r->group = first->name;
        return;
    }
    if (r->ini->groups->len >= CLV_INI_MAX_GROUPS) {
        complain(r->errors, r->ini->name, r->line, "found more than %d groups", CLV_INI_MAX_GROUPS);
        return;
    }
    group = (Group){.name = name, .line = r->line};
    g_array_append_val(r->ini->groups, group);
    g_hash_table_insert(r->ini->group_set, name, GUINT_TO_POINTER(r->ini->groups->len));
    r->group = name;
}

/* "key=value" */
static void
read_entry(Reader *r, char *text, gboolean after_bad_group)
{
    char *equals = strchr(text, '=');
    ClvIniEntry entry;

    if (equals == NULL) {
        complain(r->errors, r->ini->name, r->line,
                 "found a line without '=', expected key=value, [group] or a comment that starts "
                 "with '#'");
        return;
    }
    entry.value = strip_in_place(equals + 1, strlen(equals + 1));
    entry.key = strip_in_place(text, (gsize)(equals - text));
    entry.group = r->group;
    entry.line = r->line;
    if (*entry.key == '\0' || strpbrk(entry.key, "[];#") != NULL) {
        complain(r->errors, r->ini->name, r->line,
                 "found the key '%s', expected a name without '[', ']', ';' and '#'", entry.key);
        return;
    }
    if (r->group != NULL)
        g_array_append_val(r->ini->entries, entry);
    else if (!after_bad_group)
        complain(r->errors, r->ini->name, r->line, "found the key '%s' before the first [group]",
                 entry.key);
}

static gboolean
has_control_character(const char *text, gsize len)
{
    for (gsize i = 0; i < len; i++)
        if ((guchar)text[i] == 0x7f || ((guchar)text[i] < 0x20 && text[i] != '\t'))
            return TRUE;
    return FALSE;
}

static void
read_lines(Reader *r, char *at, char *end)
{
    gboolean bad_group = FALSE;

    for (; at < end; r->line++) {
        char *newline = memchr(at, '\n', (gsize)(end - at));
        char *next = newline == NULL ? end : newline + 1;
        gsize len = (gsize)((newline == NULL ? end : newline) - at);
        char *text;

        if (len > 0 && at[len - 1] == '\r')
            len--;
        if (has_control_character(at, len)) {
            complain(r->errors, r->ini->name, r->line,
                     "found a control character, expected text and tabs");
            at = next;
            continue;
        }
        text = strip_in_place(at, len);
        at = next;
        if (*text == '\0' || *text == '#')
            continue;
        if (*text == '[') {
            read_group(r, text);
            bad_group = r->group == NULL;
        } else {
            read_entry(r, text, bad_group);
        }
    }
}

static Group *
group_of(const ClvIni *ini, const ClvIniEntry *entry)
{
    guint number = GPOINTER_TO_UINT(g_hash_table_lookup(ini->group_set, entry->group));

    return &g_array_index(ini->groups, Group, number - 1);
}

/* Puts the entries that @last still knows together by groups: each group counts, then fills. */
static GArray *
gather_groups(ClvIni *ini, const GArray *all, GHashTable *last)
{
    guint n = g_hash_table_size(last), first = 0;
    GArray *gathered = g_array_sized_new(FALSE, FALSE, sizeof(ClvIniEntry), n);

    g_array_set_size(gathered, n);
    for (guint i = 0; i < all->len; i++) {
        ClvIniEntry *entry = &g_array_index(all, ClvIniEntry, i);

        if (g_hash_table_lookup(last, entry) == entry)
            group_of(ini, entry)->n++;
    }
    for (guint i = 0; i < ini->groups->len; i++) {
        Group *group = &g_array_index(ini->groups, Group, i);

        group->first = first;
        first += group->n;
        group->n = 0;
    }
    for (guint i = 0; i < all->len; i++) {
        ClvIniEntry *entry = &g_array_index(all, ClvIniEntry, i);
        Group *group;

        if (g_hash_table_lookup(last, entry) != entry)
            continue;
        group = group_of(ini, entry);
        g_array_index(gathered, ClvIniEntry, group->first + group->n++) = *entry;
    }
    return gathered;
}

/* Of the entries with the same name the last one stays. */
static void
index_entries(ClvIni *ini)
{
    g_autoptr(GHashTable) last = g_hash_table_new(hash_entry, same_entry);
    g_autoptr(GArray) all = ini->entries;

    for (guint i = 0; i < all->len; i++) {
        ClvIniEntry *entry = &g_array_index(all, ClvIniEntry, i);
        const ClvIniEntry *earlier = g_hash_table_lookup(last, entry);

        if (earlier != NULL)
            complain(ini->warnings, ini->name, entry->line,
                     "[%s] %s stands already in line %u; this one counts", entry->group, entry->key,
                     earlier->line);
        g_hash_table_replace(last, entry, entry);
    }
    ini->entries = gather_groups(ini, all, last);
    for (guint i = 0; i < ini->entries->len; i++)
        g_hash_table_add(ini->entry_set, &g_array_index(ini->entries, ClvIniEntry, i));
}

/* ---- the door ---- */

/* Every line of an INI file must be text. */
static gboolean
check_utf8(const char *name, const char *text, gsize len, GPtrArray *errors)
{
    const char *bad;
    guint line = 1;

    if (g_utf8_validate_len(text, len, &bad))
        return TRUE;
    for (const char *at = text; at < bad; at++)
        line += *at == '\n';
    complain(errors, name, line, "found an octet 0x%02x that is not UTF-8, expected UTF-8 text",
             (guint)(guchar)*bad);
    return FALSE;
}

ClvIni *
clv_ini_parse(const char *name, const char *text, gsize len, GPtrArray *errors)
{
    static const char bom[] = "\xef\xbb\xbf";
    guint errors_before = errors->len;
    Reader reader = {.errors = errors, .line = 1};
    gsize skip;
    ClvIni *ini;

    if (!check_utf8(name, text, len, errors))
        return NULL;
    skip = len >= 3 && memcmp(text, bom, 3) == 0 ? 3 : 0;

    ini = g_new0(ClvIni, 1);
    ini->name = g_strdup(name);
    ini->size = len - skip + 1;
    ini->text = g_malloc(ini->size);
    if (len > skip)
        memcpy(ini->text, text + skip, len - skip);
    ini->text[len - skip] = '\0';
    ini->entries = g_array_new(FALSE, FALSE, sizeof(ClvIniEntry));
    ini->groups = g_array_new(FALSE, FALSE, sizeof(Group));
    ini->group_set = g_hash_table_new(g_str_hash, g_str_equal);
    ini->entry_set = g_hash_table_new(hash_entry, same_entry);
    ini->warnings = g_ptr_array_new_with_free_func(g_free);

    reader.ini = ini;
    read_lines(&reader, ini->text, ini->text + ini->size - 1);
    if (errors->len > errors_before) {
        clv_ini_free(ini);
        return NULL;
    }
    index_entries(ini);
    return ini;
}

/* Returns: (nullable) (transfer full): the file's octets, not NUL-terminated, to be cleansed */
static char *
read_file(int fd, const char *path, gsize max_bytes, gsize *out_len, GPtrArray *errors)
{
    gsize have = 0, size = 4096;
    char *text = OPENSSL_malloc(size);

    while (text != NULL) {
        ssize_t n = read(fd, text + have, size - have);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0) {
            complain(errors, path, 0, "%s", g_strerror(errno));
            break;
        }
        have += (gsize)n;
        if (have > max_bytes) {
            complain(errors, path, 0, "found more than %" G_GSIZE_FORMAT " bytes", max_bytes);
            break;
        }
        if (n == 0) {
            *out_len = have;
            return text;
        }
        if (have == size) {
            char *larger = OPENSSL_clear_realloc(text, size, size * 2);

            if (larger == NULL) {
                complain(errors, path, 0, "out of memory");
                break;
            }
            text = larger;
            size *= 2;
        }
    }
    OPENSSL_clear_free(text, size);
    return NULL;
}

static ClvIni *
read_ini(const char *path, gsize max_bytes, gboolean private, GPtrArray *errors)
{
    g_autoptr(GError) error = NULL;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    char *text = NULL;
    gsize len = 0;
    ClvIni *ini = NULL;

    if (fd < 0) {
        complain(errors, path, 0, "%s", g_strerror(errno));
        return NULL;
    }
    if (private && !clv_secret_check_mode(fd, path, &error))
        g_ptr_array_add(errors, g_strdup(error->message));
    else
        text = read_file(fd, path, max_bytes, &len, errors);
    close(fd);

    if (text != NULL)
        ini = clv_ini_parse(path, text, len, errors);
    OPENSSL_clear_free(text, len);
    return ini;
}

ClvIni *
clv_ini_read(const char *path, gsize max_bytes, GPtrArray *errors)
{
    return read_ini(path, max_bytes, FALSE, errors);
}

ClvIni *
clv_ini_read_private(const char *path, gsize max_bytes, GPtrArray *errors)
{
    return read_ini(path, max_bytes, TRUE, errors);
}

void
clv_ini_free(ClvIni *ini)
{
    if (ini == NULL)
        return;
    g_hash_table_unref(ini->entry_set);
    g_hash_table_unref(ini->group_set);
    g_array_unref(ini->entries);
    g_array_unref(ini->groups);
    g_ptr_array_unref(ini->warnings);
    OPENSSL_cleanse(ini->text, ini->size);
    g_free(ini->text);
    g_free(ini->name);
    g_free(ini);
}

const char *
clv_ini_name(const ClvIni *ini)
{
    return ini->name;
}

guint
clv_ini_n_entries(const ClvIni *ini)
{
    return ini->entries->len;
}

const ClvIniEntry *
clv_ini_entry(const ClvIni *ini, guint i)
{
    g_return_val_if_fail(i < ini->entries->len, NULL);
    return &g_array_index(ini->entries, ClvIniEntry, i);
}

guint
clv_ini_n_groups(const ClvIni *ini)
{
    return ini->groups->len;
}

const char *
clv_ini_group(const ClvIni *ini, guint i, guint *out_line)
{
    const Group *group;

    g_return_val_if_fail(i < ini->groups->len, NULL);
    group = &g_array_index(ini->groups, Group, i);
    if (out_line != NULL)
        *out_line = group->line;
    return group->name;
}

const ClvIniEntry *
clv_ini_group_entries(const ClvIni *ini, guint i, guint *out_n)
{
    const Group *group;

    g_return_val_if_fail(i < ini->groups->len, NULL);
    group = &g_array_index(ini->groups, Group, i);
    *out_n = group->n;
    return group->n == 0 ? NULL : &g_array_index(ini->entries, ClvIniEntry, group->first);
}

const ClvIniEntry *
clv_ini_find(const ClvIni *ini, const char *group, const char *key)
{
    const ClvIniEntry wanted = {.group = group, .key = key};

    return g_hash_table_lookup(ini->entry_set, &wanted);
}

guint
clv_ini_n_warnings(const ClvIni *ini)
{
    return ini->warnings->len;
}

const char *
clv_ini_warning(const ClvIni *ini, guint i)
{
    g_return_val_if_fail(i < ini->warnings->len, NULL);
    return ini->warnings->pdata[i];
}

/* ---- lists ---- */

char **
clv_ini_split_list(const char *value)
{
    g_autoptr(GPtrArray) parts = g_ptr_array_new();
    g_autoptr(GString) part = g_string_new(NULL);

    for (const char *at = value;; at++) {
        if (*at == '\\' && (at[1] == ';' || at[1] == '\\')) {
            g_string_append_c(part, *++at);
        } else if (*at != ';' && *at != '\0') {
            g_string_append_c(part, *at);
        } else {
            g_strstrip(part->str);
            /* Nothing behind the last ';' is no part. */
            if (*at == ';' || part->str[0] != '\0')
                g_ptr_array_add(parts, g_strdup(part->str));
            g_string_truncate(part, 0);
        }
        if (*at == '\0')
            break;
    }
    g_ptr_array_add(parts, NULL);
    return (char **)g_ptr_array_free(g_steal_pointer(&parts), FALSE);
}

char *
clv_ini_join_list(const char *const *parts)
{
    GString *out = g_string_new(NULL);

    for (; *parts != NULL; parts++) {
        for (const char *at = *parts; *at != '\0'; at++) {
            if (*at == ';' || *at == '\\')
                g_string_append_c(out, '\\');
            g_string_append_c(out, *at);
        }
        if (parts[1] != NULL || **parts == '\0')
            g_string_append_c(out, ';');
    }
    return g_string_free(out, FALSE);
}
