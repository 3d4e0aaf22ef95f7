/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/mikey-json.h"

#include <stdbool.h>
#include <string.h>

#define MAX_DEPTH 32

static Json *read_value(const char **at, int depth);

static void
skip_space(const char **at)
{
    while (g_ascii_isspace(**at))
        (*at)++;
}

static void
expect(const char **at, char c)
{
    skip_space(at);
    g_assert_cmpint(**at, ==, c);
    (*at)++;
}

static Json *
json_new(char kind)
{
    Json *json = g_new0(Json, 1);

    json->kind = kind;
    json->members = g_ptr_array_new_with_free_func((GDestroyNotify)json_free);
    json->names = g_ptr_array_new_with_free_func(g_free);
    return json;
}

/* "uXXXX"; stays on its last digit */
static void
read_unicode(const char **at, GString *text)
{
    gunichar c = 0;

    for (int i = 0; i < 4; i++) {
        (*at)++;
        g_assert_true(g_ascii_isxdigit(**at));
        c = c << 4 | (gunichar)g_ascii_xdigit_value(**at);
    }
    g_string_append_unichar(text, c);
}

static char *
read_string(const char **at)
{
    GString *text = g_string_new(NULL);

    expect(at, '"');
    for (; **at != '"'; (*at)++) {
        g_assert_cmpint(**at, !=, '\0');
        if (**at == '\\')
            (*at)++;
        if ((*at)[-1] == '\\' && **at == 'u')
            read_unicode(at, text);
        else
            g_string_append_c(text, **at);
    }
    (*at)++;
    return g_string_free(text, FALSE);
}

static bool
read_more(const char **at, char end)
{
    skip_space(at);
    if (**at == ',') {
        (*at)++;
        return true;
    }
    expect(at, end);
    return false;
}

static Json *
read_container(const char **at, int depth)
{
    bool object = **at == '{';
    char end = object ? '}' : ']';
    Json *json = json_new(object ? 'o' : 'a');

    (*at)++;
    skip_space(at);
    if (**at == end) {
        (*at)++;
        return json;
    }
    do {
        if (object) {
            g_ptr_array_add(json->names, read_string(at));
            expect(at, ':');
        }
        g_ptr_array_add(json->members, read_value(at, depth + 1));
    } while (read_more(at, end));
    return json;
}

static Json *
read_word(const char **at)
{
    size_t len = strspn(*at, "+-.0123456789abcdefghijklmnopqrstuvwxyzE");
    Json *json = json_new(**at == 't' || **at == 'f' ? 'b' : **at == 'n' ? 'z' : 'n');

    g_assert_cmpuint(len, >, 0);
    json->text = g_strndup(*at, len);
    *at += len;
    return json;
}

static Json *
read_value(const char **at, int depth)
{
    Json *json;

    g_assert_cmpint(depth, <, MAX_DEPTH);
    skip_space(at);
    if (**at == '{' || **at == '[')
        return read_container(at, depth);
    if (**at != '"')
        return read_word(at);
    json = json_new('s');
    json->text = read_string(at);
    return json;
}

Json *
json_read(const char *text)
{
    Json *json = read_value(&text, 0);

    skip_space(&text);
    g_assert_cmpint(*text, ==, '\0');
    return json;
}

void
json_free(Json *json)
{
    if (json == NULL)
        return;
    g_free(json->text);
    g_ptr_array_unref(json->members);
    g_ptr_array_unref(json->names);
    g_free(json);
}

const Json *
json_find(const Json *object, const char *name)
{
    for (guint i = 0; i < object->names->len; i++) {
        if (g_str_equal(object->names->pdata[i], name))
            return object->members->pdata[i];
    }
    return NULL;
}

const Json *
json_get(const Json *object, const char *name)
{
    const Json *member = json_find(object, name);

    if (member == NULL)
        g_error("no member %s", name);
    return member;
}

const char *
json_text(const Json *object, const char *name)
{
    return json_get(object, name)->text;
}

gint64
json_number(const Json *object, const char *name)
{
    return g_ascii_strtoll(json_text(object, name), NULL, 10);
}

GByteArray *
hex_octets(const char *hex)
{
    GByteArray *octets = g_byte_array_new();

    g_assert_cmpuint(strlen(hex) % 2, ==, 0);
    for (; *hex != '\0'; hex += 2) {
        int high = g_ascii_xdigit_value(hex[0]), low = g_ascii_xdigit_value(hex[1]);
        guint8 octet = (guint8)(high << 4 | low);

        g_assert_true(high >= 0 && low >= 0);
        g_byte_array_append(octets, &octet, 1);
    }
    return octets;
}

GByteArray *
json_hex(const Json *object, const char *name)
{
    return hex_octets(json_text(object, name));
}
