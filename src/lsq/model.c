// SPDX-License-Identifier: BSD-3-Clause
// model.c -- xani_model: made from an expression, with settings for each parameter (xani.h).
//
// Settings are checked when they are made, so that the message can name the parameter; what depends on several of them
// (a circle of ties) is found when the model is made ready for fitting, in scheme.c.
#include <math.h>
#include <string.h>

#include "lsq/lsq.h"

static xani_status check_functions(xn_ctx *ctx, const xani_function *f, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (f[i].size != sizeof *f)
            return xn_fail(ctx, XANI_ERR_USAGE, "function %zu: its size is not that of this version's xani_function",
                           i);
        if (f[i].name == NULL || f[i].parameters == NULL || f[i].value == NULL)
            return xn_fail(ctx, XANI_ERR_USAGE, "function %zu: name, parameters and value are needed", i);
        const char *at = f[i].name;
        const size_t length = xn_word(&at);
        if (at != f[i].name || length == 0 || at[length] != '\0' || !xn_is_name(at))
            return xn_fail(ctx, XANI_ERR_USAGE, "function %zu: \"%s\" is no name", i, f[i].name);
        if (f[i].x_columns < 0)
            return xn_fail(ctx, XANI_ERR_USAGE, "function %s: x_columns is %d", f[i].name, f[i].x_columns);
        for (size_t j = 0; j < i; j++)
            if (strcmp(f[i].name, f[j].name) == 0)
                return xn_fail(ctx, XANI_ERR_USAGE, "function %s: two have this name", f[i].name);
    }
    return XANI_OK;
}

xani_status xani_model_create(xani_context *ctx, const char *expression, const xani_function *functions,
                              size_t n_functions, xani_model **model)
{
    xn_clear_error(ctx);
    if (model == NULL) return xn_fail(ctx, XANI_ERR_USAGE, "a model needs a place to go: model is NULL");
    *model = NULL;
    if (expression == NULL) return xn_fail(ctx, XANI_ERR_USAGE, "a model needs an expression");
    if (functions == NULL && n_functions > 0)
        return xn_fail(ctx, XANI_ERR_USAGE, "model \"%s\": functions is NULL", expression);
    XN_TRY(check_functions(ctx, functions, n_functions));
    xani_model *m = xn_calloc(1, sizeof *m);
    if (m == NULL) return xn_fail_memory(ctx, "a model", sizeof *m);
    m->expression = xn_strdup(expression);
    m->parameter = xn_calloc(XN_MODEL_PARAMETERS, sizeof *m->parameter);
    xani_status st = m->expression && m->parameter ? XANI_OK : xn_fail_memory(ctx, "a model", sizeof *m);
    if (st == XANI_OK) st = xn_model_parse(ctx, m->expression, functions, n_functions, m);
    if (st == XANI_OK)
        *model = m;
    else
        xani_model_destroy(&m);
    return st;
}

void xani_model_destroy(xani_model **model)
{
    if (model == NULL || *model == NULL) return;
    xani_model *m = *model;
    for (int k = 0; m->parameter != NULL && k < m->n_parameters; k++) xn_free(m->parameter[k].name);
    xn_free(m->parameter);
    xn_free(m->expression);
    xn_free(m);
    *model = NULL;
}

int xani_model_count(const xani_model *m) { return m != NULL ? m->n_parameters : 0; }

const char *xani_model_parameter(const xani_model *m, int index)
{
    return index >= 0 && index < xani_model_count(m) ? m->parameter[index].name : NULL;
}

int xn_model_lookup(const xani_model *m, const char *name, size_t length)
{
    for (int k = 0; k < m->n_parameters; k++)
        if (strlen(m->parameter[k].name) == length && memcmp(m->parameter[k].name, name, length) == 0) return k;
    return -1;
}

int xani_model_find(const xani_model *m, const char *name)
{
    return m != NULL && name != NULL ? xn_model_lookup(m, name, strlen(name)) : -1;
}

const char *xn_model_nearest(const xani_model *m, const char *name, size_t length)
{
    char word[64];
    int best = 1 + (int)length / 2;
    const char *found = NULL;
    if (length == 0 || length >= sizeof word) return NULL;
    memcpy(word, name, length);
    word[length] = '\0';
    for (int k = 0; k < m->n_parameters; k++) {
        const int d = xn_edit_distance(word, m->parameter[k].name);
        if (d < best) best = d, found = m->parameter[k].name;
    }
    return found;
}

static xani_status find(xn_ctx *ctx, const xani_model *m, const char *name, size_t length, int *k)
{
    *k = xn_model_lookup(m, name, length);
    if (*k >= 0) return XANI_OK;
    const char *near = xn_model_nearest(m, name, length);
    if (near != NULL)
        return xn_fail(ctx, XANI_ERR_USAGE, "model \"%s\" has no parameter %.*s; did you mean %s?", m->expression,
                       (int)length, name, near);
    return xn_fail(ctx, XANI_ERR_USAGE, "model \"%s\" has no parameter %.*s", m->expression, (int)length, name);
}

static xani_status find_named(xn_ctx *ctx, const xani_model *m, const char *name, int *k)
{
    *k = 0;
    xn_clear_error(ctx);
    if (m == NULL || name == NULL)
        return xn_fail(ctx, XANI_ERR_USAGE, "a setting: %s is NULL", m == NULL ? "model" : "the name of the parameter");
    return find(ctx, m, name, strlen(name), k);
}

// ---- settings; the texts of errors begin with the parameter

static xani_status check_inside(xn_ctx *ctx, const xn_parameter *p)
{
    if (p->role != XN_VARY || !(p->start < p->low || p->start > p->high)) return XANI_OK;
    return xn_fail(ctx, XANI_ERR_USAGE, "%s: the start value %g lies outside its bounds [%g, %g]", p->name, p->start,
                   p->low, p->high);
}

static xani_status set_start(xn_ctx *ctx, xn_parameter *p, double value)
{
    if (isinf(value)) return xn_fail(ctx, XANI_ERR_USAGE, "%s: an infinite start value", p->name);
    p->start = value;
    return check_inside(ctx, p);
}

static xani_status set_bound(xn_ctx *ctx, xn_parameter *p, double low, double high)
{
    if (p->role == XN_TIED)
        return xn_fail(ctx, XANI_ERR_USAGE, "%s: it is tied; bound the parameters it is tied to", p->name);
    if (!(low < high))
        return xn_fail(ctx, XANI_ERR_USAGE, "%s: the bounds [%g, %g] leave no room%s", p->name, low, high,
                       low == high ? "; fix it instead" : "");
    p->low = low;
    p->high = high;
    return check_inside(ctx, p);
}

static xani_status set_tie(xn_ctx *ctx, xani_model *m, xn_parameter *p, const char *text)
{
    double constant, factors[XN_MODEL_PARAMETERS];
    if (text == NULL) return xn_fail(ctx, XANI_ERR_USAGE, "%s: a tie needs an expression", p->name);
    XN_TRY(xn_tie_parse(ctx, m, p->name, text, &constant, factors));
    p->role = XN_TIED;
    p->tie_constant = constant;
    memcpy(p->tie, factors, sizeof factors);
    return XANI_OK;
}

xani_status xani_model_start(xani_context *ctx, xani_model *m, const char *name, double value)
{
    int k;
    XN_TRY(find_named(ctx, m, name, &k));
    return set_start(ctx, &m->parameter[k], value);
}

xani_status xani_model_fix(xani_context *ctx, xani_model *m, const char *name, double value)
{
    int k;
    XN_TRY(find_named(ctx, m, name, &k));
    m->parameter[k].role = XN_FIXED;
    return isnan(value) ? XANI_OK : set_start(ctx, &m->parameter[k], value);
}

xani_status xani_model_vary(xani_context *ctx, xani_model *m, const char *name)
{
    int k;
    XN_TRY(find_named(ctx, m, name, &k));
    m->parameter[k].role = XN_VARY;
    return check_inside(ctx, &m->parameter[k]);
}

xani_status xani_model_bound(xani_context *ctx, xani_model *m, const char *name, double low, double high)
{
    int k;
    XN_TRY(find_named(ctx, m, name, &k));
    return set_bound(ctx, &m->parameter[k], low, high);
}

xani_status xani_model_tie(xani_context *ctx, xani_model *m, const char *name, const char *expression)
{
    int k;
    XN_TRY(find_named(ctx, m, name, &k));
    return set_tie(ctx, m, &m->parameter[k], expression);
}

char *xn_tie_text(const xani_model *m, int k)
{
    const xn_parameter *p = &m->parameter[k];
    char *text = xn_format("%s=%.17g", p->name, p->tie_constant);
    for (int j = 0; j < m->n_parameters && text != NULL; j++) {
        if (p->tie[j] == 0.0) continue;
        char *longer = xn_format("%s%+.17g*%s", text, p->tie[j], m->parameter[j].name);
        xn_free(text);
        text = longer;
    }
    return text;
}

// ---- settings as text: name=VALUE|TIE[,min=X][,max=X][,fix|vary], or name,fix ...

static bool key_is(const char *at, size_t n, const char *key) { return strlen(key) == n && memcmp(at, key, n) == 0; }

// One item behind the first comma.
static xani_status set_item(xn_ctx *ctx, xn_parameter *p, const char *text, const char *at, double bounds[2])
{
    const size_t n = xn_word(&at);
    if (key_is(at, n, "fix") || key_is(at, n, "vary")) {
        p->role = key_is(at, n, "fix") ? XN_FIXED : XN_VARY;
        at += n;
        if (xn_word(&at) == 0 && (*at == ',' || *at == '\0')) return XANI_OK;
    } else if (key_is(at, n, "min") || key_is(at, n, "max")) {
        const bool is_min = key_is(at, n, "min");
        at += n;
        (void)xn_word(&at);
        if (*at == '=') {
            at++;
            if (xn_number(&at, &bounds[is_min ? 0 : 1]) && (xn_word(&at) == 0) && (*at == ',' || *at == '\0'))
                return XANI_OK;
        }
    }
    return xn_fail(ctx, XANI_ERR_USAGE,
                   "%s: \"%s\" is not understood; it takes name=VALUE,min=X,max=X,fix or name=2*other+1", p->name,
                   text);
}

xani_status xani_model_set(xani_context *ctx, xani_model *m, const char *text)
{
    xn_clear_error(ctx);
    if (m == NULL || text == NULL)
        return xn_fail(ctx, XANI_ERR_USAGE, "a setting: %s is NULL", m == NULL ? "model" : "text");
    const char *at = text;
    const size_t n = xn_word(&at);
    int k;
    if (n == 0) return xn_fail(ctx, XANI_ERR_USAGE, "\"%s\": the name of a parameter is missing", text);
    XN_TRY(find(ctx, m, at, n, &k));
    xn_parameter *p = &m->parameter[k];
    at += n;
    (void)xn_word(&at);
    double value, bounds[2] = {p->low, p->high};
    if (*at == '=') {
        const char *rest = ++at;
        const size_t length = strcspn(at, ",");
        if (xn_number(&rest, &value) && (xn_word(&rest), *rest == ',' || *rest == '\0')) {
            p->start = value;
        } else {
            char *tie = xn_format("%.*s", (int)length, at);
            if (tie == NULL) return xn_fail_memory(ctx, "a tie", length);
            xani_status st = set_tie(ctx, m, p, tie);
            xn_free(tie);
            XN_TRY(st);
        }
        at += length;
    } else if (*at != ',') {
        return xn_fail(ctx, XANI_ERR_USAGE,
                       "%s: \"%s\" is not understood; it takes name=VALUE,min=X,max=X,fix or name=2*other+1", p->name,
                       text);
    }
    for (; *at == ','; at += 1 + strcspn(at + 1, ",")) XN_TRY(set_item(ctx, p, text, at + 1, bounds));
    if (isinf(p->start)) return set_start(ctx, p, p->start);
    if (bounds[0] != p->low || bounds[1] != p->high) return set_bound(ctx, p, bounds[0], bounds[1]);
    return check_inside(ctx, p);
}
