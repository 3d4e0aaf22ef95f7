/* SPDX-License-Identifier: Apache-2.0 */
/* sip/resource-list.c - whom a list names (RFC 4826, 5366, 5364) */
#include "config.h"

#include "sip/resource-list.h"

#include <libxml/parser.h>
#include <libxml/tree.h>
#include <string.h>

#include "sip/refer-to.h"

#define LIST_NS "urn:ietf:params:xml:ns:resource-lists"
#define COPY_NS "urn:ietf:params:xml:ns:copycontrol"
#define MAX_DEPTH 16

typedef struct Reader {
    GPtrArray *list;
    GHashTable *seen; /* canonical URIs, owned by the entries */
    ClvFindDialog find;
    void *user;
} Reader;

static void
entry_free(gpointer data)
{
    ClvUriEntry *entry = data;

    g_free(entry->uri);
    g_free(entry);
}

static gboolean
is_element(const xmlNode *node, const char *name)
{
    return node->type == XML_ELEMENT_NODE && strcmp((const char *)node->name, name) == 0 &&
           node->ns != NULL && node->ns->href != NULL &&
           strcmp((const char *)node->ns->href, LIST_NS) == 0;
}

static char *
attribute(xmlNode *node, const char *name, const char *ns)
{
    xmlChar *value = ns != NULL ? xmlGetNsProp(node, (const xmlChar *)name, (const xmlChar *)ns)
                                : xmlGetNoNsProp(node, (const xmlChar *)name);
    char *copy = g_strdup((const char *)value);

    xmlFree(value);
    return copy;
}

static ClvCopy
copy_of(xmlNode *node)
{
    g_autofree char *value = attribute(node, "copyControl", COPY_NS);

    if (value != NULL && strcmp(value, "cc") == 0)
        return CLV_COPY_CC;
    return value != NULL && strcmp(value, "bcc") == 0 ? CLV_COPY_BCC : CLV_COPY_TO;
}

/* FALSE: refuse the whole list. */
static gboolean
read_entry(Reader *r, xmlNode *node)
{
    g_autofree char *uri = attribute(node, "uri", NULL);
    g_autofree char *anonymize = attribute(node, "anonymize", COPY_NS);
    ClvReferTo who = {0};
    ClvUriEntry *entry;
    gboolean good;

    good =
        uri != NULL && clv_refer_to_parse(g_strstrip(uri), &who) == CLV_REFER_TO_OK && !who.removes;
    if (good && r->list->len < CLV_RESOURCE_LIST_MAX &&
        !g_hash_table_contains(r->seen, who.target)) {
        entry = g_new0(ClvUriEntry, 1);
        entry->uri = g_steal_pointer(&who.target);
        entry->copy = copy_of(node);
        entry->anonymize = g_strcmp0(anonymize, "true") == 0 || g_strcmp0(anonymize, "1") == 0;
        if (who.names_dialog && r->find != NULL)
            entry->leg = r->find(r->user, who.call_id, who.from_tag, who.to_tag);
        g_hash_table_add(r->seen, entry->uri);
        g_ptr_array_add(r->list, entry);
    }
    clv_refer_to_clear(&who);
    return good;
}

static gboolean
read_list(Reader *r, xmlNode *list, guint depth)
{
    if (depth > MAX_DEPTH)
        return FALSE;
    for (xmlNode *node = list->children; node != NULL; node = node->next) {
        if (is_element(node, "entry") && !read_entry(r, node))
            return FALSE;
        if (is_element(node, "list") && !read_list(r, node, depth + 1))
            return FALSE;
    }
    return TRUE;
}

static void
be_silent(void *unused, const char *format, ...)
{
}

/* A document type could hold entities; we need none. Text that libxml2 would decode is not searched
 * for one, so it must be UTF-8 and is read as that. */
static xmlDoc *
read_document(const char *xml, gsize len)
{
    g_autofree char *text = g_strndup(xml, len);
    xmlDoc *doc;

    if (len > G_MAXINT || !g_utf8_validate(xml, (gssize)len, NULL) ||
        strstr(text, "<!DOCTYPE") != NULL || strstr(text, "<!ENTITY") != NULL)
        return NULL;
    xmlSetGenericErrorFunc(NULL, be_silent);
    doc = xmlReadMemory(text, (int)len, NULL, "UTF-8",
                        XML_PARSE_NONET | XML_PARSE_NOERROR | XML_PARSE_NOWARNING);
    if (doc != NULL && (doc->intSubset != NULL || doc->extSubset != NULL)) {
        xmlFreeDoc(doc);
        doc = NULL;
    }
    return doc;
}

GPtrArray *
clv_resource_list_parse(const char *xml, gsize len, ClvFindDialog find, void *user)
{
    xmlDoc *doc = read_document(xml, len);
    xmlNode *root = doc != NULL ? xmlDocGetRootElement(doc) : NULL;
    Reader r = {NULL, NULL, find, user};

    if (root != NULL && is_element(root, "resource-lists")) {
        r.list = g_ptr_array_new_with_free_func(entry_free);
        r.seen = g_hash_table_new(g_str_hash, g_str_equal);
        if (!read_list(&r, root, 0))
            g_clear_pointer(&r.list, g_ptr_array_unref);
        g_hash_table_unref(r.seen);
    }
    xmlFreeDoc(doc);
    return r.list;
}
