// SPDX-License-Identifier: BSD-3-Clause
// config_check.c -- checks the tree of a configuration against the table of settings.
//
// Every node is compared with the row of its pattern ("runs[].name"): kind, syntax of numbers, range,
// choice, number of elements, alternatives that exclude each other.  A message names file, line and
// key, and for an unknown key the nearest known one.
#include "core/config_node.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

typedef struct {
    xn_ctx *ctx;
    const xn_config *config;
    char key[XN_KEY_LENGTH];     // of the node at hand, as the user would write it: runs[0].name
    char pattern[XN_KEY_LENGTH]; // runs[].name
} checker;

static xani_status bad(checker *c, const xn_node *node, const char *fmt, ...) XN_PRINTF(3, 4);
static xani_status bad(checker *c, const xn_node *node, const char *fmt, ...)
{
    char what[512];
    va_list args;
    va_start(args, fmt);
    vsnprintf(what, sizeof what, fmt, args);
    va_end(args);
    if (node->line == 0)
        return xn_fail(c->ctx, XANI_ERR_CONFIG, "%s: %s, as assigned: %s", c->config->name, c->key, what);
    return xn_fail(c->ctx, XANI_ERR_CONFIG, "%s:%d: %s: %s", c->config->name, node->line, c->key, what);
}

static xani_status check_range(checker *c, const xn_setting *s, const xn_node *node, double value)
{
    if (value >= s->min && value <= s->max) return XANI_OK;
    const char *text = node->text;
    if (s->min == XN_POSITIVE && s->max == INFINITY) return bad(c, node, "%.60s is not above 0", text);
    if (s->min == XN_POSITIVE) return bad(c, node, "%.60s is not above 0 and up to %g", text, s->max);
    if (s->max == INFINITY || s->max == XN_MANY)
        return bad(c, node, "%.60s is below the least allowed, %g", text, s->min);
    return bad(c, node, "%.60s is outside %g ... %g", text, s->min, s->max);
}

static xani_status check_number(checker *c, const xn_setting *s, xn_node *node)
{
    bool whole = s->type == XN_SET_INT || s->type == XN_SET_INTS;
    const char *kind = whole ? "a whole number" : "a number";
    if (node->kind != XN_NODE_SCALAR)
        return bad(c, node, "%s is expected, not %s", kind, node->kind == XN_NODE_NULL ? "nothing" : "a list or keys");
    if (!xn_parse_double(c->config->number_locale, node->text, &node->number) ||
        (whole && !xn_parse_int(node->text, &node->integer)))
        return bad(c, node, "'%.60s' is not %s", node->text, kind);
    return check_range(c, s, node, node->number);
}

// Readers of YAML 1.1 (PyYAML) take off and on for truth values and write them as false and true: they are taken back.
static const char *unspoilt(const char *word)
{
    return strcmp(word, "false") == 0 ? "off" : strcmp(word, "true") == 0 ? "on" : word;
}

static xani_status rename_to(checker *c, char **text, const char *word)
{
    char *other = xn_strdup(word);
    if (other == NULL) return xn_fail_memory(c->ctx, "the configuration", strlen(word));
    xn_free(*text);
    *text = other;
    return XANI_OK;
}

static bool is_choice(const char *choices, const char *word)
{
    size_t n = strlen(word);
    bool one = n > 0 && strchr(word, '|') == NULL;
    for (const char *p = choices; one && p != NULL; p = strchr(p, '|')) {
        p += *p == '|';
        if (strncmp(p, word, n) == 0 && (p[n] == '|' || p[n] == '\0')) return true;
    }
    return false;
}

static xani_status check_choice(checker *c, const xn_setting *s, xn_node *node)
{
    const char *word = unspoilt(node->text) + (node->text[0] == '+');
    if (!is_choice(s->choices, node->text)) {
        if (!is_choice(s->choices, word)) return bad(c, node, "'%.60s' is none of %s", node->text, s->choices);
        XN_TRY(rename_to(c, &node->text, word));
    }
    xn_parse_int(node->text, &node->integer); // "1|-1" may be asked for as whole numbers
    return XANI_OK;
}

// Numbers in order; rows of a matrix one after the other.
static xani_status check_numbers(checker *c, const xn_setting *s, xn_node *list, int *count, const xn_node **last)
{
    int columns = s->count == 9 ? 3 : s->count == 8 ? 2 : 0;
    bool matrix = columns > 0 && *count == 0 && list->child != NULL && list->child->kind == XN_NODE_LIST;
    for (xn_node *e = list->child; e != NULL; e = e->next) {
        if (matrix) {
            if (e->kind != XN_NODE_LIST || xn_node_count(e) != columns)
                return bad(c, e, "a row of %d numbers is expected", columns);
            XN_TRY(check_numbers(c, s, e, count, last));
            continue;
        }
        XN_TRY(check_number(c, s, e));
        if (s->ascending && *last != NULL && e->number <= (*last)->number)
            return bad(c, e, "%.60s does not exceed %.60s: numbers must increase", e->text, (*last)->text);
        *last = e;
        ++*count;
    }
    return XANI_OK;
}

static xani_status check_number_list(checker *c, const xn_setting *s, xn_node *node)
{
    int count = 0;
    const xn_node *last = NULL;
    if (node->kind == XN_NODE_LIST) {
        XN_TRY(check_numbers(c, s, node, &count, &last));
    } else {
        XN_TRY(check_number(c, s, node));
        count = 1;
    }
    if (s->count > 0 && count != s->count) return bad(c, node, "%d numbers are expected, not %d", s->count, count);
    return XANI_OK;
}

static xani_status check_text(checker *c, const xn_setting *s, xn_node *node)
{
    bool several = s->type == XN_SET_TEXTS || s->type == XN_SET_PATHS;
    if (node->kind == XN_NODE_SCALAR && node->text[0] == '\0') return bad(c, node, "the text is empty");
    if (node->kind == XN_NODE_SCALAR) {
        bool word = s->fallback != NULL && strcmp(s->fallback, unspoilt(node->text)) == 0;
        return word ? rename_to(c, &node->text, s->fallback) : XANI_OK;
    }
    if (node->kind != XN_NODE_LIST || !several)
        return bad(c, node, "%s is expected", several ? "a text or a list of texts" : "one text");
    for (xn_node *e = node->child; e != NULL; e = e->next)
        if (e->kind != XN_NODE_SCALAR || e->text[0] == '\0') return bad(c, e, "an element is not a text");
    return XANI_OK;
}

// A map of no other key than the one that p begins with.
static bool holds_only(const xn_node *map, const char *p)
{
    const xn_node *only = map->kind == XN_NODE_MAP ? map->child : NULL;
    size_t n = strcspn(p, " |");
    return only != NULL && only->next == NULL && strlen(only->key) == n && strncmp(only->key, p, n) == 0;
}

// Which of "a b|c|d-e" has the key of m; -1: none, or d that holds nothing but e.
static int form_of(const char *forms, const xn_node *m)
{
    size_t n = strlen(m->key);
    int form = 0;
    if (m->kind == XN_NODE_NULL) return -1;
    for (const char *p = forms; *p;) {
        size_t length = strcspn(p, " |-");
        if (length == n && strncmp(p, m->key, n) == 0) return p[n] == '-' && holds_only(m, p + n + 1) ? -1 : form;
        p += strcspn(p, " |");
        if (*p == '|') form++;
        if (*p) p++;
    }
    return -1;
}

static xani_status check_forms(checker *c, const xn_node *map)
{
    for (int i = 0;; i++) {
        const char *forms = xn_config_forms(c->pattern, i);
        if (forms == NULL) return XANI_OK;
        const xn_node *first = NULL;
        for (const xn_node *m = map->child; m != NULL; m = m->next) {
            int form = form_of(forms, m);
            if (form < 0) continue;
            if (first != NULL && form_of(forms, first) != form)
                return bad(c, m, "%s and %s are alternatives: give one", first->key, m->key);
            if (first == NULL) first = m;
        }
    }
}

static xani_status check_node(checker *c, xn_node *node);

// The key `false` of a map that has `off`, and not that one too.
static xani_status take_back_off(checker *c, const xn_node *map, xn_node *m)
{
    const char *word = unspoilt(m->key);
    char pattern[XN_KEY_LENGTH];
    if (word == m->key || xn_node_member(map, word) != NULL) return XANI_OK;
    int n = snprintf(pattern, sizeof pattern, "%.*s.%s", XN_KEY_LENGTH - 8, c->pattern, word);
    return xn_setting_find(pattern, (size_t)n) ? rename_to(c, &m->key, word) : XANI_OK;
}

static xani_status check_map(checker *c, xn_node *map)
{
    size_t key_end = strlen(c->key), pattern_end = strlen(c->pattern);
    for (xn_node *m = map->child; m != NULL; m = m->next) {
        XN_TRY(take_back_off(c, map, m));
        if (key_end + strlen(m->key) + 2 > sizeof c->key) return bad(c, m, "a key is too long");
        snprintf(c->key + key_end, sizeof c->key - key_end, "%s%s", key_end ? "." : "", m->key);
        snprintf(c->pattern + pattern_end, sizeof c->pattern - pattern_end, "%s%s", pattern_end ? "." : "", m->key);
        bool one_word = strpbrk(m->key, ".[]") == NULL;
        if (!one_word || xn_setting_find(c->pattern, strlen(c->pattern)) == NULL) {
            c->pattern[pattern_end] = '\0';
            return bad(c, m, "unknown key; the nearest known key is %s", xn_setting_nearest(c->pattern, m->key));
        }
        XN_TRY(check_node(c, m));
        c->key[key_end] = c->pattern[pattern_end] = '\0';
    }
    XN_TRY(check_forms(c, map));
    const xn_node *lo = xn_node_member(map, "min"), *hi = xn_node_member(map, "max");
    if (lo != NULL && hi != NULL && lo->kind == XN_NODE_SCALAR && hi->kind == XN_NODE_SCALAR && lo->number > hi->number)
        return bad(c, hi, "min %.60s is above max %.60s", lo->text, hi->text);
    return XANI_OK;
}

// A word in place of a map becomes {first key: word}; the first key is the row below the list's.
static xani_status spell_out(checker *c, const xn_setting *list, xn_node *e)
{
    xn_node *word = xn_node_create(XN_NODE_SCALAR, e->line, strrchr(list[1].key, '.') + 1, e->text);
    if (word == NULL) return xn_fail_memory(c->ctx, "the configuration", sizeof *word);
    word->plain = e->plain;
    xn_free(e->text);
    e->text = NULL;
    e->kind = XN_NODE_MAP;
    e->child = word;
    return XANI_OK;
}

// {NAME: value, ...} becomes [{first key: NAME, second key: value}, ...]; a map in place of the value is what follows
// the name. The keys are the two rows below the list's.
static xani_status spell_names(checker *c, const xn_setting *list, xn_node *node)
{
    for (const xn_node *e = node->child; e != NULL; e = e->next)
        if (e->kind == XN_NODE_SCALAR) return bad(c, e, "a list or keys are expected");
    for (xn_node *e = node->child; e != NULL; e = e->next) {
        xn_node *name = xn_node_create(XN_NODE_SCALAR, e->line, strrchr(list[1].key, '.') + 1, e->key), *value = NULL;
        if (name == NULL) return xn_fail_memory(c->ctx, "the configuration", sizeof *name);
        if (e->kind == XN_NODE_MAP)
            name->next = e->child;
        else if (e->kind == XN_NODE_LIST) {
            value = xn_node_create(XN_NODE_LIST, e->line, strrchr(list[2].key, '.') + 1, NULL);
            if (value == NULL) {
                xn_node_destroy(name);
                return xn_fail_memory(c->ctx, "the configuration", sizeof *value);
            }
            value->child = e->child;
            name->next = value;
        }
        e->kind = XN_NODE_MAP;
        e->child = name;
        xn_free(e->key);
        e->key = NULL;
    }
    node->kind = XN_NODE_LIST;
    return XANI_OK;
}

static xani_status check_list(checker *c, const xn_setting *s, xn_node *node)
{
    if (s->count > 0 && node->kind == XN_NODE_MAP) XN_TRY(spell_names(c, s, node));
    size_t key_end = strlen(c->key), pattern_end = strlen(c->pattern);
    bool list = node->kind == XN_NODE_LIST;
    int index = 0;
    if (pattern_end + 3 > sizeof c->pattern || key_end + 16 > sizeof c->key) return bad(c, node, "a key is too long");
    memcpy(c->pattern + pattern_end, "[]", 3);
    for (xn_node *e = list ? node->child : node; e != NULL; e = list ? e->next : NULL, index++) {
        if (list) snprintf(c->key + key_end, sizeof c->key - key_end, "[%d]", index);
        if (e->kind == XN_NODE_SCALAR && s->short_form) XN_TRY(spell_out(c, s, e));
        if (e->kind != XN_NODE_MAP) return bad(c, e, "keys are expected, as in {key: value}");
        XN_TRY(check_map(c, e));
    }
    c->key[key_end] = c->pattern[pattern_end] = '\0';
    return XANI_OK;
}

static xani_status check_node(checker *c, xn_node *node)
{
    const xn_setting *s = xn_setting_find(c->pattern, strlen(c->pattern));
    if (node->kind == XN_NODE_NULL) return XANI_OK;
    switch (s->type) {
    case XN_SET_MAP:
        if (node->kind == XN_NODE_MAP) return check_map(c, node);
        if (node->kind == XN_NODE_SCALAR && s->short_form) return XANI_OK;
        return bad(c, node, "keys are expected, as in {key: value}");
    case XN_SET_LIST:
        return check_list(c, s, node);
    case XN_SET_NUMBER:
    case XN_SET_INT:
        return check_number(c, s, node);
    case XN_SET_NUMBERS:
    case XN_SET_INTS:
        return check_number_list(c, s, node);
    case XN_SET_TEXT:
    case XN_SET_PATH:
    case XN_SET_TEXTS:
    case XN_SET_PATHS:
        return check_text(c, s, node);
    case XN_SET_CHOICE:
    case XN_SET_BOOL:
        break;
    }
    if (node->kind != XN_NODE_SCALAR) return bad(c, node, "one word is expected, not a list or keys");
    if (s->type == XN_SET_CHOICE) return check_choice(c, s, node);
    if (strcmp(node->text, "true") == 0 || strcmp(node->text, "false") == 0) return XANI_OK;
    return bad(c, node, "'%.60s' is neither true nor false", node->text);
}

static const xn_node *run_of(const xn_node *runs, int i)
{
    return runs->kind == XN_NODE_LIST ? xn_node_element(runs, i) : runs;
}

// As given, else run0001, run0002, ... by its place (pipeline.c). The node to blame.
static const xn_node *name_of_run(const xn_node *run, int i, char name[XN_KEY_LENGTH])
{
    const xn_node *given = run != NULL && run->kind == XN_NODE_MAP ? xn_node_member(run, "name") : NULL;
    if (given != NULL && given->kind == XN_NODE_SCALAR)
        snprintf(name, XN_KEY_LENGTH, "%s", given->text);
    else
        snprintf(name, XN_KEY_LENGTH, "run%04d", i + 1);
    return given != NULL ? given : run;
}

// A run's name is that of a folder of results, so it is a plain one, no other run has it and nothing beside it.
static xani_status check_run_names(checker *c, const xn_node *root)
{
    static const char *const taken[] = {"dispersion.h5", "report", "report.html", "report.json"};
    const xn_node *runs = xn_node_member(root, "runs");
    int n = runs == NULL ? 0 : runs->kind == XN_NODE_LIST ? xn_node_count(runs) : 1;
    char name[XN_KEY_LENGTH], before[XN_KEY_LENGTH];
    for (int i = 0; i < n; i++) {
        const xn_node *blame = name_of_run(run_of(runs, i), i, name);
        snprintf(c->key, sizeof c->key, "runs[%d].name", i);
        bool plain = name[0] != '.' && strchr(name, '/') == NULL && strlen(name) < XN_KEY_LENGTH - 1;
        for (size_t k = 0; k < sizeof taken / sizeof taken[0]; k++) plain = plain && strcmp(name, taken[k]) != 0;
        if (!plain) return bad(c, blame, "'%.60s' cannot be the name of a folder", name);
        for (int j = 0; j < i; j++) {
            name_of_run(run_of(runs, j), j, before);
            if (strcmp(before, name) == 0)
                return bad(c, blame, "runs %d and %d are both named '%.60s'; each has a folder of results", j + 1,
                           i + 1, name);
        }
    }
    return XANI_OK;
}

xani_status xn_config_check(xn_ctx *ctx, xn_config *config)
{
    checker c = {.ctx = ctx, .config = config};
    if (config->root == NULL || config->root->kind == XN_NODE_NULL) return XANI_OK;
    if (config->root->kind != XN_NODE_MAP)
        return xn_fail(ctx, XANI_ERR_CONFIG, "%s:%d: a configuration is keys and values, as in 'fit: {modes_max: 2}'",
                       config->name, config->root->line);
    XN_TRY(check_map(&c, config->root));
    return check_run_names(&c, config->root);
}
