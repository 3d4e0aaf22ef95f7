/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/mikey-json.h - reads the JSON of test vectors; aborts the test on anything odd */
#pragma once

#include <glib.h>

typedef struct Json Json;

struct Json {
    char kind;          /* o object, a array, s string, n number, b boolean, z null */
    char *text;         /* string, number, boolean */
    GPtrArray *members; /* of Json, objects and arrays */
    GPtrArray *names;   /* objects */
};

Json *json_read(const char *text);
void json_free(Json *json);
/* Returns: (nullable) */
const Json *json_find(const Json *object, const char *name);
const Json *json_get(const Json *object, const char *name);
const char *json_text(const Json *object, const char *name);
gint64 json_number(const Json *object, const char *name);
/* Octets out of a hex string */
GByteArray *json_hex(const Json *object, const char *name);
GByteArray *hex_octets(const char *hex);
