// SPDX-License-Identifier: BSD-3-Clause
// config_differ.c -- where two configurations say different things, by meaning: a default that is written out is none.
#include <stdio.h>
#include <string.h>

#include "core/config_node.h"

typedef struct walk {
    locale_t locale;
    const char *const *skip;
    xn_config_difference *found;
} walk;

// The key with its numbers left out: "runs[2].name" is "runs[].name".
static void pattern_of(const char *key, char pattern[XN_KEY_LENGTH])
{
    size_t n = 0;
    for (; *key != '\0'; key++)
        if (!(*key >= '0' && *key <= '9' && n > 0 && pattern[n - 1] == '[')) pattern[n++] = *key;
    pattern[n] = '\0';
}

static bool skipped(const walk *w, const char *pattern)
{
    for (int i = 0; w->skip[i] != NULL; i++) {
        const size_t n = strlen(w->skip[i]);
        if (strncmp(pattern, w->skip[i], n) == 0 && strchr(".[", pattern[n]) != NULL) return true; // '\0' too
    }
    return false;
}

static const xn_node *given(const xn_node *node) { return node == NULL || node->kind == XN_NODE_NULL ? NULL : node; }

static bool same_scalar(const walk *w, const char *pattern, const xn_node *a, const xn_node *b, const char *text[2])
{
    size_t n = strlen(pattern);
    const xn_setting *row = xn_setting_find(pattern, n);
    while (row == NULL && n > 2 && strncmp(pattern + n - 2, "[]", 2) == 0) row = xn_setting_find(pattern, n -= 2);
    const char *fallback = row != NULL && row->fallback != NULL ? row->fallback : "not set";
    text[0] = a != NULL ? a->text : fallback;
    text[1] = b != NULL ? b->text : fallback;
    if (strcmp(text[0], text[1]) == 0) return true;
    const bool number = row != NULL && (row->type == XN_SET_NUMBER || row->type == XN_SET_NUMBERS ||
                                        row->type == XN_SET_INT || row->type == XN_SET_INTS);
    double x, y;
    if (!number || (a == NULL && row->fallback == NULL) || (b == NULL && row->fallback == NULL)) return false;
    return xn_parse_double(w->locale, text[0], &x) && xn_parse_double(w->locale, text[1], &y) && x == y;
}

static bool same(const walk *w, const char *key, const xn_node *a, const xn_node *b);

static bool same_members(const walk *w, const char *key, const xn_node *a, const xn_node *b)
{
    char below[XN_KEY_LENGTH];
    for (int side = 0; side < 2; side++) {
        const xn_node *one = side == 0 ? a : b, *other = side == 0 ? b : a;
        for (const xn_node *m = one != NULL && one->kind == XN_NODE_MAP ? one->child : NULL; m != NULL; m = m->next) {
            const xn_node *there = other != NULL && other->kind == XN_NODE_MAP ? xn_node_member(other, m->key) : NULL;
            (void)snprintf(below, sizeof below, "%s.%s", key, m->key);
            if (!same(w, below, side == 0 ? m : there, side == 0 ? there : m)) return false;
        }
    }
    return true;
}

// One given for several is a list of one.
static bool same_elements(const walk *w, const char *key, const xn_node *a, const xn_node *b)
{
    char below[XN_KEY_LENGTH];
    const xn_node *list[2] = {a, b};
    int n = 1;
    for (int s = 0; s < 2; s++)
        if (list[s] != NULL && list[s]->kind == XN_NODE_LIST && xn_node_count(list[s]) > n) n = xn_node_count(list[s]);
    for (int i = 0; i < n; i++) {
        const xn_node *element[2];
        for (int s = 0; s < 2; s++)
            element[s] = list[s] == NULL                 ? NULL
                         : list[s]->kind == XN_NODE_LIST ? xn_node_element(list[s], i)
                         : i == 0                        ? list[s]
                                                         : NULL;
        (void)snprintf(below, sizeof below, "%s[%d]", key, i);
        if (!same(w, below, element[0], element[1])) return false;
    }
    return true;
}

static bool same(const walk *w, const char *key, const xn_node *a, const xn_node *b)
{
    char pattern[XN_KEY_LENGTH];
    const char *text[2];
    a = given(a);
    b = given(b);
    pattern_of(key, pattern);
    if ((a == NULL && b == NULL) || skipped(w, pattern)) return true;
    const xn_node *of[2] = {a, b};
    bool list = false, map = false;
    for (int s = 0; s < 2; s++) {
        list |= of[s] != NULL && of[s]->kind == XN_NODE_LIST;
        map |= of[s] != NULL && of[s]->kind == XN_NODE_MAP;
    }
    if (list) return same_elements(w, key, a, b);
    if (map) return same_members(w, key, a, b);
    if (same_scalar(w, pattern, a, b, text)) return true;
    (void)snprintf(w->found->key, sizeof w->found->key, "%s", key);
    for (int s = 0; s < 2; s++) (void)snprintf(w->found->value[s], sizeof w->found->value[s], "%s", text[s]);
    return false;
}

bool xn_config_differ(const xn_config *a, const xn_config *b, const char *part, const char *const *skip,
                      xn_config_difference *found)
{
    const walk w = {a->number_locale, skip, found};
    const xn_node *node[2] = {a->root, b->root};
    char word[XN_KEY_LENGTH];
    int index;
    for (const char *rest = part; *rest != '\0';) {
        if (!xn_key_part(&rest, word, &index)) return false;
        for (int s = 0; s < 2; s++)
            node[s] = node[s] != NULL && node[s]->kind == XN_NODE_MAP ? xn_node_member(node[s], word) : NULL;
    }
    return !same(&w, part, node[0], node[1]);
}
