/* SPDX-License-Identifier: Apache-2.0 */
/* base/option.c - a table of options to values, messages and a sample file
 *
 * One reader per kind, chosen by table; nothing here knows what an option is for. Pure but for the
 * file itself.
 */
#include "config.h"

#include "base/option.h"

#include <string.h>

G_DEFINE_QUARK(clv_option_error, clv_option_error)

/* ---- value parsers ---- */

gboolean
clv_parse_bool(const char *text, gboolean *out, GError **error)
{
    static const struct {
        const char *word;
        gboolean value;
    } words[] = {{"yes", TRUE}, {"no", FALSE},  {"true", TRUE}, {"false", FALSE},
                 {"on", TRUE},  {"off", FALSE}, {"1", TRUE},    {"0", FALSE}};

    for (guint i = 0; i < G_N_ELEMENTS(words); i++) {
        if (strcmp(text, words[i].word) == 0) {
            *out = words[i].value;
            return TRUE;
        }
    }
    g_set_error(error, CLV_OPTION_ERROR, 0,
                "found '%s', expected yes, no, true, false, on, off, 1 or 0", text);
    return FALSE;
}

/* Digits alone, no sign, no blank. Returns how many octets were used; 0: none, or too large. */
static gsize
read_digits(const char *text, guint64 *out)
{
    gsize n = 0;
    guint64 value = 0;

    for (; g_ascii_isdigit(text[n]); n++) {
        if (!g_uint64_checked_mul(&value, value, 10) ||
            !g_uint64_checked_add(&value, value, (guint64)(text[n] - '0')))
            return 0;
    }
    *out = value;
    return n;
}

gboolean
clv_parse_int(const char *text, gint64 min, gint64 max, gint64 *out, GError **error)
{
    gboolean negative = text[0] == '-';
    guint64 size;
    gsize used = read_digits(text + negative, &size);
    gint64 value;

    if (used > 0 && text[negative + used] == '\0' && size <= (guint64)G_MAXINT64) {
        value = negative ? -(gint64)size : (gint64)size;
        if (value >= min && value <= max) {
            *out = value;
            return TRUE;
        }
    }
    g_set_error(error, CLV_OPTION_ERROR, 0,
                "found '%s', expected a number from %" G_GINT64_FORMAT " to %" G_GINT64_FORMAT,
                text, min, max);
    return FALSE;
}

typedef struct TimeUnit {
    const char *suffix;
    guint64 ms;
} TimeUnit;

static const TimeUnit time_units[] = {
    {"", 1000}, {"ms", 1}, {"s", 1000}, {"m", 60000}, {"h", 3600000}, {"d", 86400000},
};

gboolean
clv_parse_time_ms(const char *text, gint64 *out, GError **error)
{
    guint64 value;
    gsize used = read_digits(text, &value);

    if (strcmp(text, "none") == 0) {
        *out = 0;
        return TRUE;
    }
    for (guint i = 0; used > 0 && i < G_N_ELEMENTS(time_units); i++) {
        if (strcmp(text + used, time_units[i].suffix) == 0 &&
            g_uint64_checked_mul(&value, value, time_units[i].ms) && value <= (guint64)G_MAXINT64) {
            *out = (gint64)value;
            return TRUE;
        }
    }
    g_set_error(error, CLV_OPTION_ERROR, 0,
                "found '%s', expected a time such as 200ms, 3s, 5m, 1h or 1d", text);
    return FALSE;
}

/* ---- ranges ---- */

static gboolean
has_range(const ClvOption *option)
{
    return option->min != 0 || option->max != 0;
}

static gint64
largest(const ClvOption *option)
{
    return option->max == 0 && option->min >= 0 ? G_MAXINT64 : option->max;
}

static gint64
smallest(const ClvOption *option)
{
    return has_range(option) ? option->min : G_MININT64 + 1;
}

static char *
format_time(gint64 ms)
{
    for (guint i = G_N_ELEMENTS(time_units) - 1; i > 0; i--)
        if (ms % (gint64)time_units[i].ms == 0 && (ms != 0 || time_units[i].ms == 1000))
            return g_strdup_printf("%" G_GINT64_FORMAT "%s", ms / (gint64)time_units[i].ms,
                                   time_units[i].suffix);
    return g_strdup_printf("%" G_GINT64_FORMAT "ms", ms);
}

/* ---- one setter per kind; @folder is that of the configuration file ---- */

typedef gboolean (*SetFunc)(const ClvOption *option, void *member, const char *text,
                            const char *folder, GError **error);

static gboolean
set_string(const ClvOption *option, void *member, const char *text, const char *folder,
           GError **error)
{
    char **string = member;

    g_free(*string);
    *string = g_strdup(text);
    return TRUE;
}

static gboolean
set_strings(const ClvOption *option, void *member, const char *text, const char *folder,
            GError **error)
{
    char ***strings = member;
    g_auto(GStrv) parts = clv_ini_split_list(text);

    for (guint i = 0; parts[i] != NULL; i++) {
        if (parts[i][0] == '\0') {
            g_set_error(error, CLV_OPTION_ERROR, 0,
                        "found '%s' with an empty part, expected values separated by ';'", text);
            return FALSE;
        }
    }
    g_strfreev(*strings);
    *strings = g_steal_pointer(&parts);
    return TRUE;
}

static gboolean
set_path(const ClvOption *option, void *member, const char *text, const char *folder,
         GError **error)
{
    char **path = member;

    g_free(*path);
    if (text[0] == '\0')
        *path = NULL;
    else if (g_path_is_absolute(text) || folder == NULL)
        *path = g_strdup(text);
    else
        *path = g_build_filename(folder, text, NULL);
    return TRUE;
}

static gboolean
set_bool(const ClvOption *option, void *member, const char *text, const char *folder,
         GError **error)
{
    return clv_parse_bool(text, member, error);
}

static gboolean
set_int(const ClvOption *option, void *member, const char *text, const char *folder, GError **error)
{
    return clv_parse_int(text, smallest(option), largest(option), member, error);
}

static gboolean
set_time(const ClvOption *option, void *member, const char *text, const char *folder,
         GError **error)
{
    gint64 value;

    if (!clv_parse_time_ms(text, &value, error))
        return FALSE;
    if (has_range(option) && (value < option->min || value > largest(option))) {
        g_autofree char *min = format_time(option->min);
        g_autofree char *max = format_time(option->max);

        if (option->max == 0)
            g_set_error(error, CLV_OPTION_ERROR, 0, "found '%s', expected a time of at least %s",
                        text, min);
        else
            g_set_error(error, CLV_OPTION_ERROR, 0, "found '%s', expected a time from %s to %s",
                        text, min, max);
        return FALSE;
    }
    *(gint64 *)member = value;
    return TRUE;
}

static char *
list_words(const char *const *words, const char *separator)
{
    return g_strjoinv(separator, (char **)words);
}

static gboolean
set_enum(const ClvOption *option, void *member, const char *text, const char *folder,
         GError **error)
{
    g_autofree char *words = NULL;

    for (int i = 0; option->words[i] != NULL; i++) {
        if (strcmp(text, option->words[i]) == 0) {
            *(int *)member = i;
            return TRUE;
        }
    }
    words = list_words(option->words, ", ");
    g_set_error(error, CLV_OPTION_ERROR, 0, "found '%s', expected one of %s", text, words);
    return FALSE;
}

static const SetFunc set_by_kind[] = {
    [CLV_OPTION_STRING] = set_string, [CLV_OPTION_STRINGS] = set_strings,
    [CLV_OPTION_PATH] = set_path,     [CLV_OPTION_BOOL] = set_bool,
    [CLV_OPTION_INT] = set_int,       [CLV_OPTION_TIME_MS] = set_time,
    [CLV_OPTION_ENUM] = set_enum,
};

static gboolean
set_option(const ClvOption *option, void *target, const char *text, const char *folder,
           GError **error)
{
    return set_by_kind[option->kind](option, (char *)target + option->offset, text, folder, error);
}

/* ---- walking over all tables ---- */

typedef struct Walk {
    const ClvOptionSet *set;
    const ClvOption *option; /* NULL before the first */
} Walk;

/* Moves on to the next option of all sets; FALSE at the end. */
static gboolean
walk_next(Walk *walk)
{
    if (walk->option == NULL)
        walk->option = walk->set->options;
    else
        walk->option++;
    while (walk->option != NULL && walk->option->name == NULL) {
        walk->set++;
        walk->option = walk->set->options;
    }
    return walk->option != NULL;
}

/* "a, b, c": the sections, or with @section the names of the options in it. */
static char *
list_names(const ClvOptionSet *sets, const char *section)
{
    g_autoptr(GString) out = g_string_new(NULL);
    g_autoptr(GHashTable) done = g_hash_table_new(g_str_hash, g_str_equal);

    for (Walk walk = {sets, NULL}; walk_next(&walk);) {
        const char *name = section != NULL ? walk.option->name : walk.option->section;

        if (section != NULL && strcmp(section, walk.option->section) != 0)
            continue;
        if (g_hash_table_add(done, (gpointer)name))
            g_string_append_printf(out, "%s%s", out->len > 0 ? ", " : "", name);
    }
    return g_string_free(g_steal_pointer(&out), FALSE);
}

static gboolean
find_option(const ClvOptionSet *sets, const char *section, const char *name, Walk *out_found,
            gboolean *out_known_section)
{
    *out_known_section = FALSE;
    for (Walk walk = {sets, NULL}; walk_next(&walk);) {
        if (strcmp(walk.option->section, section) != 0)
            continue;
        *out_known_section = TRUE;
        if (name != NULL && strcmp(walk.option->name, name) == 0) {
            *out_found = walk;
            return TRUE;
        }
    }
    return FALSE;
}

static void
load_entry(const ClvOptionSet *sets, const ClvIni *ini, const ClvIniEntry *entry,
           const char *folder, GPtrArray *errors)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *names = NULL;
    gboolean known_section;
    Walk found;

    if (!find_option(sets, entry->group, entry->key, &found, &known_section)) {
        if (!known_section)
            return; /* the group has been reported */
        names = list_names(sets, entry->group);
        g_ptr_array_add(
            errors,
            g_strdup_printf("%s:%u: [%s] found the unknown key '%s', expected one of %s",
                            clv_ini_name(ini), entry->line, entry->group, entry->key, names));
        return;
    }
    if (!set_option(found.option, found.set->target, entry->value, folder, &error))
        g_ptr_array_add(errors,
                        g_strdup_printf("%s:%u: [%s] %s: %s", clv_ini_name(ini), entry->line,
                                        entry->group, entry->key, error->message));
}

static void
check_groups(const ClvOptionSet *sets, const ClvIni *ini, GPtrArray *errors)
{
    for (guint i = 0; i < clv_ini_n_groups(ini); i++) {
        g_autofree char *names = NULL;
        gboolean known;
        guint line;
        const char *group = clv_ini_group(ini, i, &line);
        Walk found;

        find_option(sets, group, NULL, &found, &known);
        if (known)
            continue;
        names = list_names(sets, NULL);
        g_ptr_array_add(errors,
                        g_strdup_printf("%s:%u: found the unknown section [%s], expected one of %s",
                                        clv_ini_name(ini), line, group, names));
    }
}

static void
load_defaults(const ClvOptionSet *sets, const char *folder)
{
    for (Walk walk = {sets, NULL}; walk_next(&walk);) {
        g_autoptr(GError) error = NULL;

        if (walk.option->default_text == NULL)
            continue;
        if (!set_option(walk.option, walk.set->target, walk.option->default_text, folder, &error))
            g_error("default of [%s] %s: %s", walk.option->section, walk.option->name,
                    error->message);
    }
}

gboolean
clv_options_load(const ClvOptionSet *sets, const char *path, GPtrArray *errors)
{
    g_autofree char *folder = path == NULL ? NULL : g_path_get_dirname(path);
    g_autoptr(ClvIni) ini = NULL;

    load_defaults(sets, folder);
    if (path != NULL) {
        ini = clv_ini_read(path, CLV_INI_MAX_BYTES, errors);
        if (ini == NULL)
            return FALSE;
        check_groups(sets, ini, errors);
        for (guint i = 0; i < clv_ini_n_entries(ini); i++)
            load_entry(sets, ini, clv_ini_entry(ini, i), folder, errors);
    }
    return errors->len == 0;
}

void
clv_options_clear(const ClvOptionSet *sets)
{
    for (Walk walk = {sets, NULL}; walk_next(&walk);) {
        void *member = (char *)walk.set->target + walk.option->offset;

        switch (walk.option->kind) {
        case CLV_OPTION_STRING:
        case CLV_OPTION_PATH:
            g_clear_pointer((char **)member, g_free);
            break;
        case CLV_OPTION_STRINGS:
            g_clear_pointer((char ***)member, g_strfreev);
            break;
        default:
            break;
        }
    }
}

/* ---- explaining ---- */

/* What may stand behind the '='. */
static char *
describe_values(const ClvOption *option)
{
    g_autofree char *min = NULL, *max = NULL, *words = NULL;

    switch (option->kind) {
    case CLV_OPTION_STRINGS:
        return g_strdup("a list, separated by ';'");
    case CLV_OPTION_PATH:
        return g_strdup("a file or folder, relative to this file's folder");
    case CLV_OPTION_BOOL:
        return g_strdup("yes or no");
    case CLV_OPTION_INT:
        if (!has_range(option))
            return g_strdup("a number");
        if (option->max == 0)
            return g_strdup_printf("a number from %" G_GINT64_FORMAT, option->min);
        return g_strdup_printf("a number from %" G_GINT64_FORMAT " to %" G_GINT64_FORMAT,
                               option->min, option->max);
    case CLV_OPTION_TIME_MS:
        if (!has_range(option))
            return g_strdup("a time");
        min = format_time(option->min);
        if (option->max == 0)
            return g_strdup_printf("a time of at least %s", min);
        max = format_time(option->max);
        return g_strdup_printf("a time from %s to %s", min, max);
    case CLV_OPTION_ENUM:
        words = list_words(option->words, ", ");
        return g_strdup_printf("one of %s", words);
    default:
        return g_strdup("text");
    }
}

/* Appends "# " lines of at most 78 columns. */
static void
append_comment(GString *out, const char *text)
{
    g_auto(GStrv) words = g_strsplit(text, " ", -1);
    gsize column = 0;

    for (guint i = 0; words[i] != NULL; i++) {
        gsize len = (gsize)g_utf8_strlen(words[i], -1);

        if (column > 0 && column + 1 + len > 78) {
            g_string_append_c(out, '\n');
            column = 0;
        }
        g_string_append(out, column == 0 ? "# " : " ");
        g_string_append(out, words[i]);
        column += (column == 0 ? 2 : 1) + len;
    }
    g_string_append_c(out, '\n');
}

static void
append_option(GString *out, const ClvOption *option)
{
    g_autofree char *values = describe_values(option);
    g_autofree char *comment = g_strdup_printf("%s (%s; a change takes effect on %s)", option->help,
                                               values, option->reloads ? "reload" : "restart");

    g_string_append_c(out, '\n');
    append_comment(out, comment);
    g_string_append_printf(out, "#%s=%s\n", option->name,
                           option->default_text == NULL ? "" : option->default_text);
}

char *
clv_options_sample(const ClvOptionSet *sets)
{
    GString *out = g_string_new("# Every key with its default. Lines that start with '#' are "
                                "comments.\n");
    g_autoptr(GHashTable) done = g_hash_table_new(g_str_hash, g_str_equal);

    /* Tables of several rooms may share a section: gather it where it first appears. */
    for (Walk first = {sets, NULL}; walk_next(&first);) {
        const char *section = first.option->section;

        if (!g_hash_table_add(done, (gpointer)section))
            continue;
        g_string_append_printf(out, "\n[%s]\n", section);
        for (Walk walk = {sets, NULL}; walk_next(&walk);)
            if (strcmp(walk.option->section, section) == 0)
                append_option(out, walk.option);
    }
    return g_string_free(out, FALSE);
}
