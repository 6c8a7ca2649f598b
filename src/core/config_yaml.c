// SPDX-License-Identifier: BSD-3-Clause
// config_yaml.c -- YAML text to a tree of nodes and back.
//
// libyaml reports events; they become nodes that keep their line numbers, so that every later message
// can name file and line.  What makes a configuration hard to read is refused: anchors and aliases,
// tags, several documents, keys given twice.  Scalars stay text: typing them is config_table.c's work.
// Text is written through libyaml's emitter, which knows what needs quotes.
#include "core/config_node.h"

#include <assert.h>
#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

// ---- nodes

xn_node *xn_node_create(xn_node_kind kind, int line, const char *key, const char *text)
{
    xn_node *n = xn_calloc(1, sizeof *n);
    if (n == NULL) return NULL;
    n->kind = kind;
    n->line = line;
    n->plain = true;
    n->key = xn_strdup(key);
    n->text = xn_strdup(text);
    if ((key != NULL && n->key == NULL) || (text != NULL && n->text == NULL)) {
        xn_node_destroy(n);
        return NULL;
    }
    return n;
}

void xn_node_destroy(xn_node *node)
{
    while (node != NULL) {
        xn_node *next = node->next;
        xn_node_destroy(node->child);
        xn_free(node->key);
        xn_free(node->text);
        xn_free(node);
        node = next;
    }
}

xn_node *xn_node_copy(const xn_node *node)
{
    xn_node *n = xn_node_create(node->kind, node->line, node->key, node->text);
    if (n == NULL) return NULL;
    n->plain = node->plain;
    n->number = node->number;
    n->integer = node->integer;
    xn_node **tail = &n->child;
    for (const xn_node *c = node->child; c != NULL; c = c->next) {
        *tail = xn_node_copy(c);
        if (*tail == NULL) {
            xn_node_destroy(n);
            return NULL;
        }
        tail = &(*tail)->next;
    }
    return n;
}

int xn_node_count(const xn_node *node)
{
    int n = 0;
    for (const xn_node *c = node->child; c != NULL; c = c->next) n++;
    return n;
}

xn_node *xn_node_member(const xn_node *map, const char *key)
{
    for (xn_node *c = map != NULL ? map->child : NULL; c != NULL; c = c->next)
        if (c->key != NULL && strcmp(c->key, key) == 0) return c;
    return NULL;
}

xn_node *xn_node_element(const xn_node *list, int index)
{
    xn_node *c = list->child;
    for (; c != NULL && index > 0; index--) c = c->next;
    return index == 0 ? c : NULL;
}

// ---- text to nodes

typedef struct {
    xn_ctx *ctx;
    yaml_parser_t parser;
    const char *name, *text;
    bool lines;
} reader;

static xani_status bad(reader *r, size_t mark_line, const char *what)
{
    if (!r->lines) return xn_fail(r->ctx, XANI_ERR_CONFIG, "%s: %s", r->name, what);
    return xn_fail(r->ctx, XANI_ERR_CONFIG, "%s:%zu: %s", r->name, mark_line + 1, what);
}

static xani_status no_memory(reader *r) { return xn_fail_memory(r->ctx, "the configuration", sizeof(xn_node)); }

// libyaml reads ahead of its marks, so that those of undecodable bytes are early: lines are counted up to them.
static size_t problem_line(const reader *r)
{
    if (r->parser.error != YAML_READER_ERROR) return r->parser.problem_mark.line;
    size_t line = 0;
    for (size_t i = 0; i < r->parser.problem_offset; i++) line += r->text[i] == '\n';
    return line;
}

// Whether the line is indented with a tab.
static bool tab_indents(const reader *r, size_t line)
{
    const char *s = r->text;
    for (; s != NULL && line > 0; line--) s = strchr(s, '\n') != NULL ? strchr(s, '\n') + 1 : NULL;
    return s != NULL && s[strspn(s, " ")] == '\t';
}

static xani_status next_event(reader *r, yaml_event_t *event)
{
    if (yaml_parser_parse(&r->parser, event)) return XANI_OK;
    if (r->parser.error == YAML_MEMORY_ERROR) return no_memory(r);
    char what[256];
    const char *problem = r->parser.problem ? r->parser.problem : "unreadable";
    size_t line = problem_line(r);
    bool tab = r->parser.error == YAML_SCANNER_ERROR && tab_indents(r, line);
    snprintf(what, sizeof what, "not valid YAML: %s%s", problem, tab ? "; indent with spaces, not with a tab" : "");
    return bad(r, line, what);
}

static bool plain_null(const char *s)
{
    return s[0] == '\0' || strcmp(s, "~") == 0 || strcmp(s, "null") == 0 || strcmp(s, "Null") == 0 ||
           strcmp(s, "NULL") == 0;
}

static xani_status scalar_node(reader *r, const yaml_event_t *event, const char *key, xn_node **node)
{
    const char *text = (const char *)event->data.scalar.value;
    if (strlen(text) != event->data.scalar.length) return bad(r, event->start_mark.line, "a value holds a zero byte");
    bool plain = event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
    bool null = plain && plain_null(text);
    int line = r->lines ? (int)event->start_mark.line + 1 : 0;
    *node = xn_node_create(null ? XN_NODE_NULL : XN_NODE_SCALAR, line, key, null ? NULL : text);
    if (*node == NULL) return no_memory(r);
    (*node)->plain = plain;
    return XANI_OK;
}

static xani_status build(reader *r, const yaml_event_t *event, const char *key, int depth, xn_node **node);

// One member of a map: `event` is its key.
static xani_status build_member(reader *r, const yaml_event_t *event, xn_node *map, int depth, xn_node **node)
{
    if (event->type != YAML_SCALAR_EVENT) return bad(r, event->start_mark.line, "a key must be one word");
    const char *key = (const char *)event->data.scalar.value;
    if (event->data.scalar.anchor != NULL) return bad(r, event->start_mark.line, "anchors are not supported");
    const xn_node *other = xn_node_member(map, key);
    if (other != NULL) {
        char what[256];
        snprintf(what, sizeof what, "key '%.100s' is given twice (first in line %d)", key, other->line);
        return bad(r, event->start_mark.line, what);
    }
    yaml_event_t value;
    XN_TRY(next_event(r, &value));
    xani_status st = build(r, &value, key, depth, node);
    if (*node != NULL) (*node)->line = r->lines ? (int)event->start_mark.line + 1 : 0;
    yaml_event_delete(&value);
    return st;
}

static xani_status build_members(reader *r, xn_node *parent, yaml_event_type_t end, int depth)
{
    xn_node **tail = &parent->child;
    for (;;) {
        yaml_event_t event;
        XN_TRY(next_event(r, &event));
        bool done = event.type == end;
        xani_status st = XANI_OK;
        if (!done && parent->kind == XN_NODE_MAP) st = build_member(r, &event, parent, depth, tail);
        if (!done && parent->kind == XN_NODE_LIST) st = build(r, &event, NULL, depth, tail);
        yaml_event_delete(&event);
        if (st != XANI_OK || done) return st;
        assert(*tail != NULL);
        tail = &(*tail)->next;
    }
}

// Builds the value that begins with `event`. On failure *node may hold a part; the caller destroys the tree.
static xani_status build(reader *r, const yaml_event_t *event, const char *key, int depth, xn_node **node)
{
    size_t line = event->start_mark.line;
    const yaml_char_t *anchor = NULL, *tag = NULL;
    switch (event->type) {
    case YAML_SCALAR_EVENT:
        anchor = event->data.scalar.anchor, tag = event->data.scalar.tag;
        break;
    case YAML_SEQUENCE_START_EVENT:
        anchor = event->data.sequence_start.anchor, tag = event->data.sequence_start.tag;
        break;
    case YAML_MAPPING_START_EVENT:
        anchor = event->data.mapping_start.anchor, tag = event->data.mapping_start.tag;
        break;
    default:
        return bad(r, line, "aliases (*name) are not supported; write the value again");
    }
    if (anchor != NULL) return bad(r, line, "anchors (&name) are not supported; write the value again");
    if (tag != NULL) return bad(r, line, "tags (!name) are not supported");
    if (depth > XN_CONFIG_DEPTH) return bad(r, line, "nested too deeply");
    if (event->type == YAML_SCALAR_EVENT) return scalar_node(r, event, key, node);
    bool map = event->type == YAML_MAPPING_START_EVENT;
    *node = xn_node_create(map ? XN_NODE_MAP : XN_NODE_LIST, r->lines ? (int)line + 1 : 0, key, NULL);
    if (*node == NULL) return no_memory(r);
    return build_members(r, *node, map ? YAML_MAPPING_END_EVENT : YAML_SEQUENCE_END_EVENT, depth + 1);
}

xani_status xn_yaml_parse(xn_ctx *ctx, const char *yaml, size_t bytes, const char *name, bool lines, xn_node **root)
{
    reader r = {.ctx = ctx, .name = name, .text = yaml, .lines = lines};
    *root = NULL;
    if (!yaml_parser_initialize(&r.parser)) return no_memory(&r);
    yaml_parser_set_input_string(&r.parser, (const unsigned char *)yaml, bytes);
    xani_status st = XANI_OK;
    int documents = 0;
    for (bool more = true; more && st == XANI_OK;) {
        yaml_event_t event;
        st = next_event(&r, &event);
        if (st != XANI_OK) break;
        switch (event.type) {
        case YAML_STREAM_END_EVENT:
            more = false;
            break;
        case YAML_DOCUMENT_START_EVENT:
            if (++documents > 1) st = bad(&r, event.start_mark.line, "only one YAML document is allowed");
            break;
        case YAML_STREAM_START_EVENT:
        case YAML_DOCUMENT_END_EVENT:
            break;
        default:
            st = build(&r, &event, NULL, 0, root);
            break;
        }
        yaml_event_delete(&event);
    }
    yaml_parser_delete(&r.parser);
    if (st != XANI_OK) {
        xn_node_destroy(*root);
        *root = NULL;
    }
    return st;
}

// ---- nodes to text

typedef struct {
    char *data;
    size_t size, room;
    bool failed;
} text_buffer;

static int text_write(void *user, unsigned char *data, size_t size)
{
    text_buffer *t = user;
    if (t->size + size + 1 > t->room) {
        size_t room = 2 * (t->size + size + 1);
        char *p = xn_realloc(t->data, room, 1);
        if (p == NULL) {
            t->failed = true;
            return 0;
        }
        t->data = p;
        t->room = room;
    }
    memcpy(t->data + t->size, data, size);
    t->size += size;
    t->data[t->size] = '\0';
    return 1;
}

static int emit_scalar(yaml_emitter_t *e, const char *text, bool plain)
{
    yaml_event_t event;
    yaml_scalar_style_t style = plain ? YAML_PLAIN_SCALAR_STYLE : YAML_DOUBLE_QUOTED_SCALAR_STYLE;
    return yaml_scalar_event_initialize(&event, NULL, NULL, (const yaml_char_t *)text, (int)strlen(text), plain, 1,
                                        style) &&
           yaml_emitter_emit(e, &event);
}

static int emit(yaml_emitter_t *e, const xn_node *node)
{
    yaml_event_t event;
    bool map = node->kind == XN_NODE_MAP, flow = true;
    if (node->kind == XN_NODE_NULL) return emit_scalar(e, "null", true);
    if (node->kind == XN_NODE_SCALAR) return emit_scalar(e, node->text, node->plain);
    for (const xn_node *c = node->child; c != NULL; c = c->next)
        flow = flow && (c->kind == XN_NODE_SCALAR || (c->kind == XN_NODE_LIST && !map));
    bool brief = flow && !map;
    int ok = map ? yaml_mapping_start_event_initialize(&event, NULL, NULL, 1, YAML_BLOCK_MAPPING_STYLE)
                 : yaml_sequence_start_event_initialize(&event, NULL, NULL, 1,
                                                        brief ? YAML_FLOW_SEQUENCE_STYLE : YAML_BLOCK_SEQUENCE_STYLE);
    ok = ok && yaml_emitter_emit(e, &event);
    for (const xn_node *c = node->child; c != NULL && ok; c = c->next)
        ok = (!map || emit_scalar(e, c->key, true)) && emit(e, c);
    ok = ok && (map ? yaml_mapping_end_event_initialize(&event) : yaml_sequence_end_event_initialize(&event));
    return ok && yaml_emitter_emit(e, &event);
}

xani_status xn_yaml_text(xn_ctx *ctx, const xn_node *root, char **yaml)
{
    *yaml = NULL;
    if (root == NULL) {
        *yaml = xn_strdup("{}\n");
        return *yaml ? XANI_OK : xn_fail_memory(ctx, "the configuration's text", 4);
    }
    yaml_emitter_t e;
    yaml_event_t event;
    text_buffer t = {0};
    if (!yaml_emitter_initialize(&e)) return xn_fail_memory(ctx, "the configuration's text", sizeof e);
    yaml_emitter_set_output(&e, text_write, &t);
    yaml_emitter_set_unicode(&e, 1);
    yaml_emitter_set_width(&e, -1);
    int ok = yaml_stream_start_event_initialize(&event, YAML_UTF8_ENCODING) && yaml_emitter_emit(&e, &event);
    ok = ok && yaml_document_start_event_initialize(&event, NULL, NULL, NULL, 1) && yaml_emitter_emit(&e, &event);
    ok = ok && emit(&e, root);
    ok = ok && yaml_document_end_event_initialize(&event, 1) && yaml_emitter_emit(&e, &event);
    ok = ok && yaml_stream_end_event_initialize(&event) && yaml_emitter_emit(&e, &event);
    bool memory = t.failed || e.error == YAML_MEMORY_ERROR;
    char problem[128];
    snprintf(problem, sizeof problem, "%s", e.problem ? e.problem : "unknown");
    yaml_emitter_delete(&e);
    if (ok) {
        *yaml = t.data;
        return XANI_OK;
    }
    xn_free(t.data);
    if (memory) return xn_fail_memory(ctx, "the configuration's text", t.room);
    return xn_fail(ctx, XANI_ERR_INTERNAL, "configuration cannot be written as YAML: %s", problem);
}

// ---- files of other programs

xani_status xn_yaml_read(xn_ctx *ctx, const char *path, size_t most, xn_node **root)
{
    char *text = NULL;
    size_t bytes = 0;
    *root = NULL;
    XN_TRY(xn_file_text(ctx, path, most, XANI_ERR_INPUT, &text, &bytes));
    xani_status st = xn_yaml_parse(ctx, text, bytes, path, true, root);
    xn_free(text);
    return st == XANI_ERR_CONFIG ? XANI_ERR_INPUT : st;
}

bool xn_node_number(const xn_node *node, double *value)
{
    char *end = NULL;
    if (node == NULL || node->kind != XN_NODE_SCALAR || node->text == NULL) return false;
    locale_t plain = newlocale(LC_ALL_MASK, "C", (locale_t)0);
    if (plain == (locale_t)0) return false;
    *value = strtod_l(node->text, &end, plain);
    freelocale(plain);
    return end != node->text && *end == '\0' && isfinite(*value);
}

static bool take_numbers(const xn_node *node, double *values, int n, int *taken)
{
    if (node == NULL) return false;
    if (node->kind == XN_NODE_SCALAR) {
        if (*taken >= n || !xn_node_number(node, &values[*taken])) return false;
        ++*taken;
        return true;
    }
    if (node->kind != XN_NODE_LIST) return false;
    for (const xn_node *one = node->child; one != NULL; one = one->next)
        if (!take_numbers(one, values, n, taken)) return false;
    return true;
}

bool xn_node_numbers(const xn_node *node, double *values, int n)
{
    int taken = 0;
    return take_numbers(node, values, n, &taken) && taken == n;
}
