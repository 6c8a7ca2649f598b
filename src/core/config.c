// SPDX-License-Identifier: BSD-3-Clause
// config.c -- opening, assigning, text.  See config.h; the parts are named in config_node.h.
//
// An assignment works on a copy of the tree, which replaces it only after it was checked as a whole, so
// a refused assignment changes nothing.
#include "core/config_node.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// ---- making

static xani_status config_make(xn_ctx *ctx, const char *name, const char *dir, xn_config **config)
{
    xn_config *c = xn_calloc(1, sizeof *c);
    *config = c;
    if (c == NULL) return xn_fail_memory(ctx, "the configuration", sizeof *c);
    c->name = xn_strdup(name);
    c->dir = xn_strdup(dir);
    c->number_locale = newlocale(LC_ALL_MASK, "C", (locale_t)0);
    if (c->name == NULL || c->dir == NULL || c->number_locale == (locale_t)0) {
        xani_config_destroy(config);
        return xn_fail_memory(ctx, "the configuration", sizeof *c);
    }
    return XANI_OK;
}

static xani_status parse_bytes(xn_ctx *ctx, const char *yaml, size_t bytes, const char *name, const char *dir,
                               xn_config **config)
{
    assert(yaml != NULL);
    xn_config *c = NULL;
    *config = NULL;
    XN_TRY(config_make(ctx, name, dir, &c));
    assert(c != NULL);
    xani_status st = xn_yaml_parse(ctx, yaml, bytes, name, true, &c->root);
    if (st == XANI_OK) st = xn_config_check(ctx, c);
    char *text = NULL;
    if (st == XANI_OK) {
        text = xn_alloc(bytes + 1, 1);
        if (text == NULL) st = xn_fail_memory(ctx, "the configuration's text", bytes + 1);
    }
    if (text == NULL) {
        xani_config_destroy(&c);
        return st;
    }
    memcpy(text, yaml, bytes);
    text[bytes] = '\0';
    c->text = text;
    *config = c;
    return XANI_OK;
}

xani_status xn_config_parse(xn_ctx *ctx, const char *yaml, const char *name, const char *base_dir, xn_config **config)
{
    return parse_bytes(ctx, yaml, strlen(yaml), name, base_dir, config);
}

xani_status xani_config_create(xani_context *context, xani_config **config)
{
    XN_BEGIN(context);
    XN_NEED(context, config);
    return xn_config_parse(context, "", "configuration", ".", config);
}

xani_status xani_config_open(xani_context *context, const char *path, xani_config **config)
{
    XN_BEGIN(context);
    XN_NEED(context, config);
    *config = NULL;
    XN_NEED(context, path);
    char *text = NULL, *dir = NULL;
    size_t bytes = 0;
    xani_status st;
    XN_GOTO(out, st, xn_file_text(context, path, XN_CONFIG_BYTES, XANI_ERR_CONFIG, &text, &bytes));
    const char *slash = strrchr(path, '/');
    dir = slash == NULL ? xn_strdup(".") : xn_format("%.*s", slash == path ? 1 : (int)(slash - path), path);
    if (dir == NULL) {
        st = xn_fail_memory(context, path, strlen(path));
        goto out;
    }
    st = parse_bytes(context, text, bytes, path, dir, config);
out:
    xn_free(text);
    xn_free(dir);
    return st;
}

void xani_config_destroy(xani_config **config)
{
    if (config == NULL || *config == NULL) return;
    xn_config *c = *config;
    xn_node_destroy(c->root);
    xn_free(c->name);
    xn_free(c->dir);
    xn_free(c->text);
    for (int i = 0; i < c->n_assigned; i++) xn_free(c->assigned[i]);
    xn_free(c->assigned);
    if (c->number_locale != (locale_t)0) freelocale(c->number_locale);
    xn_free(c);
    *config = NULL;
}

xani_status xn_config_text(xn_ctx *ctx, const xn_config *config, char **yaml)
{
    if (config->text == NULL) return xn_yaml_text(ctx, config->root, yaml);
    *yaml = xn_strdup(config->text);
    return *yaml ? XANI_OK : xn_fail_memory(ctx, "the configuration's text", strlen(config->text));
}

xani_status xani_config_text(xani_context *context, const xani_config *config, char **yaml)
{
    XN_BEGIN(context);
    XN_NEED(context, yaml);
    *yaml = NULL;
    XN_NEED(context, config);
    return xn_config_text(context, config, yaml);
}

static xani_status remember(xn_ctx *ctx, xn_config *c, const char *assignment)
{
    char **all = xn_realloc(c->assigned, (size_t)c->n_assigned + 1, sizeof *all), *text = xn_strdup(assignment);
    if (all != NULL) c->assigned = all;
    if (all == NULL || text == NULL) {
        xn_free(text);
        return xn_fail_memory(ctx, "the configuration", strlen(assignment));
    }
    all[c->n_assigned++] = text;
    return XANI_OK;
}

xani_status xn_config_copy(xn_ctx *ctx, const xn_config *c, xn_config **copy)
{
    char *yaml = NULL;
    *copy = NULL;
    xani_status st = xani_config_text(ctx, c, &yaml);
    if (st == XANI_OK) st = xn_config_parse(ctx, yaml, c->name, c->dir, copy);
    xn_free(yaml);
    for (int i = 0; i < c->n_assigned && st == XANI_OK; i++) st = remember(ctx, *copy, c->assigned[i]);
    if (st != XANI_OK) xani_config_destroy(copy);
    return st;
}

// ---- assigning

char *xn_config_quoted(const char *word)
{
    char *text = xn_alloc(2 * strlen(word) + 3, 1), *t = text;
    if (text == NULL) return NULL;
    *t++ = '\'';
    for (const char *p = word; *p; p++) {
        if (*p == '\'') *t++ = '\'';
        *t++ = *p;
    }
    *t++ = '\'';
    *t = '\0';
    return text;
}

static xani_status assign_bad(xn_ctx *ctx, const char *assignment, const char *what)
{
    return xn_fail(ctx, XANI_ERR_CONFIG, "assignment '%.200s': %s", assignment, what);
}

// The member or element of *parent that the part names, made when it is new. A null parent becomes a map or list.
static xani_status descend(xn_ctx *ctx, xn_node *parent, const char *assignment, const char *word, int index,
                           xn_node **node)
{
    xn_node_kind kind = word[0] ? XN_NODE_MAP : XN_NODE_LIST;
    if (parent->kind == XN_NODE_NULL) parent->kind = kind;
    if (parent->kind == XN_NODE_MAP && kind == XN_NODE_LIST && index == 0) { // one given for several
        *node = parent;
        return XANI_OK;
    }
    if (parent->kind != kind)
        return assign_bad(ctx, assignment, word[0] ? "a key is not a map" : "a key is not a list");
    *node = word[0] ? xn_node_member(parent, word) : xn_node_element(parent, index);
    if (*node != NULL) return XANI_OK;
    if (!word[0] && index != xn_node_count(parent)) return assign_bad(ctx, assignment, "the list is not that long");
    xn_node **tail = &parent->child;
    while (*tail != NULL) tail = &(*tail)->next;
    *tail = xn_node_create(XN_NODE_NULL, 0, word[0] ? word : NULL, NULL);
    if (*tail == NULL) return xn_fail_memory(ctx, "the configuration", sizeof **tail);
    *node = *tail;
    return XANI_OK;
}

// Moves the content of `value` into `node`, which keeps its name and place.
static void replace(xn_node *node, xn_node *value)
{
    xn_node_destroy(node->child);
    xn_free(node->text);
    node->kind = value ? value->kind : XN_NODE_NULL;
    node->plain = value ? value->plain : true;
    node->line = 0;
    node->text = value ? value->text : NULL;
    node->child = value ? value->child : NULL;
    xn_free(value);
}

xani_status xani_config_assign(xani_context *context, xani_config *config, const char *assignment)
{
    XN_BEGIN(context);
    XN_NEED(context, config);
    XN_NEED(context, assignment);
    const char *equals = strchr(assignment, '=');
    if (equals == NULL || equals == assignment || equals - assignment >= XN_KEY_LENGTH)
        return assign_bad(context, assignment, "'key=value' is expected");
    char key[XN_KEY_LENGTH], word[XN_KEY_LENGTH];
    snprintf(key, sizeof key, "%.*s", (int)(equals - assignment), assignment);
    xn_node *value = NULL, *old = config->root;
    xani_status st;
    xn_node *root = old ? xn_node_copy(old) : xn_node_create(XN_NODE_NULL, 0, NULL, NULL);
    if (root == NULL) return xn_fail_memory(context, "the configuration", sizeof *root);
    XN_GOTO(out, st, xn_yaml_parse(context, equals + 1, strlen(equals + 1), assignment, false, &value));
    xn_node *node = root;
    for (const char *rest = key; *rest;) {
        int index = 0;
        if (!xn_key_part(&rest, word, &index)) {
            st = assign_bad(context, assignment, "the key is malformed; a.b[0].c is its form");
            goto out;
        }
        XN_GOTO(out, st, descend(context, node, assignment, word, index, &node));
    }
    replace(node, value);
    value = NULL;
    config->root = root;
    st = xn_config_check(context, config);
    if (st == XANI_OK) st = remember(context, config, assignment);
    if (st == XANI_OK) {
        root = old;
        xn_free(config->text);
        config->text = NULL;
    } else
        config->root = old;
out:
    xn_node_destroy(root);
    xn_node_destroy(value);
    return st;
}

xani_status xn_config_replace(xn_ctx *ctx, xn_config *c, const char *part, const char *assignment)
{
    const int n = c->n_assigned;
    const size_t length = strlen(part);
    XN_TRY(xani_config_assign(ctx, c, assignment));
    for (int i = 0; i < n; i++) {
        const char *a = c->assigned[i];
        if (strncmp(a, part, length) == 0 && a[length] == '.') XN_TRY(xani_config_assign(ctx, c, a));
    }
    return XANI_OK;
}
