// SPDX-License-Identifier: BSD-3-Clause
// config_get.c -- asking a configuration for values.
//
// Keys are walked part by part through the tree; what the tree lacks comes from the table's default.
// Two conveniences: where one may be given for several, [0] of the one is the one; where a map may be
// given as one word, asking the map for text gives the word.
#include "core/config_node.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// ---- walking a key

bool xn_key_part(const char **key, char word[XN_KEY_LENGTH], int *index)
{
    const char *s = *key;
    word[0] = '\0';
    if (*s == '[') {
        char *end;
        long value = strtol(s + 1, &end, 10);
        if (s[1] < '0' || s[1] > '9' || *end != ']' || value > 1000000) return false;
        *index = (int)value;
        s = end + 1;
    } else {
        size_t n = strcspn(s, ".[");
        if (n == 0 || n >= XN_KEY_LENGTH) return false;
        memcpy(word, s, n);
        word[n] = '\0';
        s += n;
    }
    if (*s == '.' && (s[1] == '\0' || s[1] == '.' || s[1] == '[')) return false;
    *key = s + (*s == '.');
    return true;
}

// The row of a key as asked for; an element of a list of plain values has the row of its list.
static const xn_setting *row_for(const char *key)
{
    char pattern[XN_KEY_LENGTH] = "";
    size_t n = 0;
    for (const char *s = key; *s && n + 1 < sizeof pattern; s++) {
        if (*s >= '0' && *s <= '9' && n > 0 && pattern[n - 1] == '[') continue;
        pattern[n++] = *s;
    }
    const xn_setting *row = xn_setting_find(pattern, n);
    while (row == NULL && n > 2 && strncmp(pattern + n - 2, "[]", 2) == 0) row = xn_setting_find(pattern, n -= 2);
    assert(row != NULL && "key is not in config.def");
    return row;
}

static const xn_node *find(const xn_config *c, const char *key)
{
    const xn_node *node = c->root;
    char word[XN_KEY_LENGTH];
    int index = 0;
    for (const char *rest = key; *rest && node != NULL;) {
        bool formed = xn_key_part(&rest, word, &index);
        assert(formed);
        if (!formed) return NULL;
        if (word[0] != '\0' && node->kind == XN_NODE_MAP)
            node = xn_node_member(node, word);
        else if (word[0] == '\0' && node->kind == XN_NODE_LIST)
            node = xn_node_element(node, index);
        else if (word[0] == '\0' && index == 0)
            continue; // one given for several
        else
            node = NULL;
    }
    return node == NULL || node->kind == XN_NODE_NULL ? NULL : node;
}

const char *xn_key(char buf[XN_KEY_LENGTH], const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    int n = vsnprintf(buf, XN_KEY_LENGTH, fmt, args);
    va_end(args);
    assert(n >= 0 && n < XN_KEY_LENGTH);
    (void)n;
    return buf;
}

// ---- asking

bool xn_config_has(const xn_config *c, const char *key)
{
    (void)row_for(key);
    return find(c, key) != NULL;
}

// The index-th number of a default such as "1, 0, 0"; NaN past the end or without a default.
static double fallback_number(const xn_config *c, const xn_setting *row, int index)
{
    const char *s = row->fallback;
    for (; s != NULL; s = strchr(s, ',') ? strchr(s, ',') + 1 : NULL) {
        if (index-- > 0) continue;
        char text[64];
        double value;
        s += strspn(s, " ");
        snprintf(text, sizeof text, "%.*s", (int)strcspn(s, ", "), s);
        bool number = xn_parse_double(c->number_locale, text, &value);
        assert(number && "default in config.def is not a number");
        return number ? value : NAN;
    }
    return NAN;
}

static int key_index(const char *key)
{
    const char *bracket = strrchr(key, '[');
    return bracket != NULL && key[strlen(key) - 1] == ']' ? (int)strtol(bracket + 1, NULL, 10) : 0;
}

double xn_config_double(const xn_config *c, const char *key)
{
    const xn_setting *row = row_for(key);
    assert(row->type == XN_SET_NUMBER || row->type == XN_SET_INT || row->type == XN_SET_NUMBERS ||
           row->type == XN_SET_INTS);
    const xn_node *node = find(c, key);
    if (node != NULL) return node->kind == XN_NODE_SCALAR ? node->number : NAN;
    bool several = row->type == XN_SET_NUMBERS || row->type == XN_SET_INTS;
    return fallback_number(c, row, several ? key_index(key) : 0);
}

int64_t xn_config_int(const xn_config *c, const char *key)
{
    const xn_setting *row = row_for(key);
    assert(row->type == XN_SET_INT || row->type == XN_SET_INTS || row->type == XN_SET_CHOICE);
    const xn_node *node = find(c, key);
    if (node != NULL) return node->kind == XN_NODE_SCALAR ? node->integer : 0;
    double value = fallback_number(c, row, row->type == XN_SET_INTS ? key_index(key) : 0);
    return isnan(value) ? 0 : (int64_t)value;
}

bool xn_config_bool(const xn_config *c, const char *key)
{
    const xn_setting *row = row_for(key);
    assert(row->type == XN_SET_BOOL);
    const xn_node *node = find(c, key);
    return strcmp(node != NULL ? node->text : row->fallback, "true") == 0;
}

const char *xn_config_string(const xn_config *c, const char *key)
{
    const xn_setting *row = row_for(key);
    assert(row->type == XN_SET_TEXT || row->type == XN_SET_PATH || row->type == XN_SET_CHOICE ||
           row->type == XN_SET_TEXTS || row->type == XN_SET_PATHS || row->short_form);
    const xn_node *node = find(c, key);
    if (node == NULL) return row->fallback;
    return node->kind == XN_NODE_SCALAR ? node->text : NULL;
}

int xn_config_count(const xn_config *c, const char *key)
{
    (void)row_for(key);
    const xn_node *node = find(c, key);
    if (node == NULL) return 0;
    return node->kind == XN_NODE_LIST ? xn_node_count(node) : 1;
}

static int flatten(const xn_node *node, double *out, int max, int n)
{
    if (node->kind == XN_NODE_SCALAR) {
        if (n < max) out[n] = node->number;
        return n + 1;
    }
    for (const xn_node *e = node->child; e != NULL; e = e->next) n = flatten(e, out, max, n);
    return n;
}

int xn_config_doubles(const xn_config *c, const char *key, double *out, int max)
{
    const xn_setting *row = row_for(key);
    assert(row->type == XN_SET_NUMBERS || row->type == XN_SET_INTS);
    const xn_node *node = find(c, key);
    if (node != NULL) return flatten(node, out, max, 0);
    int n = 0;
    for (const char *s = row->fallback; s != NULL; s = strchr(s, ',') ? strchr(s, ',') + 1 : NULL, n++)
        if (n < max) out[n] = fallback_number(c, row, n);
    return n;
}

const char *xn_config_map_key(const xn_config *c, const char *key, int index)
{
    const xn_node *node = key[0] ? find(c, key) : c->root;
    if (node == NULL || node->kind != XN_NODE_MAP) return NULL;
    for (const xn_node *m = node->child; m != NULL; m = m->next)
        if (m->kind != XN_NODE_NULL && index-- == 0) return m->key;
    return NULL;
}

char *xn_config_path(const xn_config *c, const char *key)
{
    const char *path = xn_config_string(c, key);
    if (path == NULL) return NULL;
    if (path[0] == '/' || strcmp(c->dir, ".") == 0) return xn_strdup(path);
    return xn_format("%s%s%s", c->dir, strcmp(c->dir, "/") == 0 ? "" : "/", path);
}

const char *xn_config_dir(const xn_config *c) { return c->dir; }
const char *xn_config_name(const xn_config *c) { return c->name; }

xani_status xn_config_require(xn_ctx *ctx, const xn_config *c, const char *key, const char *why)
{
    if (xn_config_has(c, key)) return XANI_OK;
    return xn_fail(ctx, XANI_ERR_CONFIG, "%s: %s is missing: %s", c->name, key, why);
}

xani_status xn_config_bad(xn_ctx *ctx, const xn_config *c, const char *key, const char *fmt, ...)
{
    char what[512];
    va_list args;
    va_start(args, fmt);
    vsnprintf(what, sizeof what, fmt, args);
    va_end(args);
    const xn_node *node = find(c, key);
    if (node == NULL || node->line == 0) return xn_fail(ctx, XANI_ERR_CONFIG, "%s: %s: %s", c->name, key, what);
    return xn_fail(ctx, XANI_ERR_CONFIG, "%s:%d: %s: %s", c->name, node->line, key, what);
}

xani_status xn_config_part(xn_ctx *ctx, const xn_config *c, const char *key, char **yaml)
{
    const xn_node *node = find(c, key);
    if (node != NULL) return xn_yaml_text(ctx, node, yaml);
    *yaml = xn_strdup("");
    return *yaml ? XANI_OK : xn_fail_memory(ctx, "the configuration's text", 1);
}

xani_status xn_config_same_part(xn_ctx *ctx, const xn_config *a, const xn_config *b, const char *key, bool *same)
{
    char *x = NULL, *y = NULL;
    xani_status st = xn_config_part(ctx, a, key, &x);
    if (st == XANI_OK) st = xn_config_part(ctx, b, key, &y);
    *same = st == XANI_OK && strcmp(x, y) == 0;
    xn_free(x);
    xn_free(y);
    return st;
}
