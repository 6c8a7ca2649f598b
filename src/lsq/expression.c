// SPDX-License-Identifier: BSD-3-Clause
// expression.c -- the small languages of this folder: models, parameter lists, ties.
//
//   model       term { + term }        term = part { * part }      part = [ prefix : ] function
//   parameters  name[*][~][[lo,hi]]    as in kinds.def: "amplitude#* centre sigma[0,] phase~"
//   tie         [+-] item { +- item }  item = number | name | number * name | name * number | name / number
//
// Numbers are read in the C locale.  Every message names the text and the word that is wrong in it.
#include <ctype.h>
#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lsq/lsq.h"

static bool is_word(char c) { return isalnum((unsigned char)c) || c == '_' || c == '.'; }

static void skip_blanks(const char **at)
{
    while (isspace((unsigned char)**at)) (*at)++;
}

size_t xn_word(const char **at)
{
    skip_blanks(at);
    size_t n = 0;
    while (is_word((*at)[n])) n++;
    return n;
}

bool xn_is_name(const char *word) { return isalpha((unsigned char)*word) || *word == '_'; }

bool xn_number(const char **at, double *value)
{
    skip_blanks(at);
    locale_t c = newlocale(LC_ALL_MASK, "C", (locale_t)0);
    if (c == (locale_t)0) return false;
    char *end;
    const double number = strtod_l(*at, &end, c);
    freelocale(c);
    if (end == *at || isnan(number)) return false;
    *value = number;
    *at = end;
    return true;
}

// ---- parameters

typedef struct spec {
    const char *name;
    size_t length;
    bool numbered, linear, angle;
    double low, high;
} spec;

// The next entry of a list of parameters. 0: end, 1: one, -1: malformed.
static int next_spec(const char **at, spec *s)
{
    skip_blanks(at);
    if (**at == '\0') return 0;
    *s = (spec){.name = *at, .low = -INFINITY, .high = INFINITY};
    s->length = xn_word(at);
    if (s->length == 0 || !xn_is_name(*at)) return -1;
    *at += s->length;
    for (;; (*at)++) {
        if (**at == '#')
            s->numbered = true;
        else if (**at == '*')
            s->linear = true;
        else if (**at == '~')
            s->angle = true;
        else
            break;
    }
    if (**at == '[') {
        (*at)++;
        (void)xn_number(at, &s->low);
        if (*(*at)++ != ',') return -1;
        (void)xn_number(at, &s->high);
        if (*(*at)++ != ']' || !(s->low < s->high)) return -1;
    }
    return **at == '\0' || isspace((unsigned char)**at) ? 1 : -1;
}

static xani_status add_parameter(xn_ctx *ctx, xani_model *m, const spec *s, const char *prefix, size_t n_prefix,
                                 int number)
{
    char digits[16] = "";
    if (number >= 0) snprintf(digits, sizeof digits, "%d", number);
    char *name =
        xn_format("%.*s%s%.*s%s", (int)n_prefix, prefix, n_prefix > 0 ? "." : "", (int)s->length, s->name, digits);
    if (name == NULL) return xn_fail_memory(ctx, "a model", 64);
    xani_status st = XANI_OK;
    if (xani_model_find(m, name) >= 0)
        st = xn_fail(ctx, XANI_ERR_USAGE,
                     "model \"%s\": two parameters are called %s; name the functions, as in a:gaussian + b:gaussian",
                     m->expression, name);
    else if (m->n_parameters == XN_MODEL_PARAMETERS)
        st = xn_fail(ctx, XANI_ERR_USAGE, "model \"%s\": more than %d parameters", m->expression, XN_MODEL_PARAMETERS);
    if (st != XANI_OK) {
        xn_free(name);
        return st;
    }
    m->parameter[m->n_parameters++] = (xn_parameter){
        .name = name, .start = NAN, .low = s->low, .high = s->high, .linear = s->linear, .angle = s->angle};
    return XANI_OK;
}

static xani_status add_parameters(xn_ctx *ctx, xani_model *m, xn_part *part, const char *list, const char *prefix,
                                  size_t n_prefix)
{
    const int first = part->kind != NULL ? part->kind->order_first : 0;
    const int last = part->order > 0 || (part->kind != NULL && part->kind->order_max > 0) ? part->order : -1;
    part->first = m->n_parameters;
    for (int number = last < 0 ? -1 : first; number <= last; number++) {
        const char *at = list;
        spec s;
        int found;
        while ((found = next_spec(&at, &s)) > 0)
            XN_TRY(add_parameter(ctx, m, &s, prefix, n_prefix, s.numbered ? number : -1));
        if (found < 0)
            return xn_fail(ctx, XANI_ERR_USAGE, "model \"%s\": the list of parameters \"%s\" is malformed",
                           m->expression, list);
    }
    part->count = m->n_parameters - part->first;
    return XANI_OK;
}

// ---- models

// Whether the word is the name of a family with a number that it does not have.
static const xn_kind *family_of(const char *word)
{
    for (int i = 0; i < xn_n_kinds; i++) {
        const size_t stem = strlen(xn_kinds[i].name) - 1;
        if (xn_kinds[i].name[stem] != '#' || strncmp(word, xn_kinds[i].name, stem) != 0) continue;
        if (word[stem] != '\0' && strspn(word + stem, "0123456789") == strlen(word + stem)) return &xn_kinds[i];
    }
    return NULL;
}

// The shortest name that the word begins, else the one with the fewest letters changed, about one in three at most.
static const char *nearest_function(const xani_function *own, size_t n_own, const char *word)
{
    int best = (int)xn_min64(4, ((int64_t)strlen(word) + 1) / 3 + 1);
    size_t shortest = 0;
    const char *found = NULL, *begun = NULL;
    for (size_t i = 0; i < n_own + (size_t)xn_n_kinds; i++) {
        const char *name = i < n_own ? own[i].name : xn_kinds[i - n_own].name;
        const int d = xn_edit_distance(word, name);
        if (d < best) best = d, found = name;
        const bool begins = strlen(word) > 2 && strncmp(word, name, strlen(word)) == 0;
        if (begins && (begun == NULL || strlen(name) < shortest)) begun = name, shortest = strlen(name);
    }
    return begun != NULL && best > 1 ? begun : found;
}

static xani_status add_part(xn_ctx *ctx, xani_model *m, const xani_function *own, size_t n_own, const char *name,
                            size_t length, const char *prefix, size_t n_prefix)
{
    if (m->n_parts == XN_MODEL_PARTS)
        return xn_fail(ctx, XANI_ERR_USAGE, "model \"%s\": more than %d functions", m->expression, XN_MODEL_PARTS);
    xn_part *part = &m->part[m->n_parts];
    *part = (xn_part){.term = m->n_terms};
    const char *list = NULL;
    int columns = xn_kind_takes_x(name, length) ? 1 : m->x_columns;
    for (size_t i = 0; i < n_own && list == NULL; i++) {
        if (strlen(own[i].name) != length || memcmp(own[i].name, name, length) != 0) continue;
        part->own = own[i];
        list = own[i].parameters;
        columns = own[i].x_columns > 0 ? own[i].x_columns : 1;
        m->numeric |= own[i].jacobian == NULL;
    }
    if (list == NULL && (part->kind = xn_kind_find(name, length, &part->order)) != NULL) list = part->kind->parameters;
    if (list == NULL) {
        char word[64];
        snprintf(word, sizeof word, "%.*s", (int)length, name);
        const xn_kind *family = family_of(word);
        if (family != NULL)
            return xn_fail(ctx, XANI_ERR_USAGE, "model \"%s\": unknown function %s; # of %s is %d to %d", m->expression,
                           word, family->name, family->order_min, family->order_max);
        const char *near = nearest_function(own, n_own, word);
        return xn_fail(ctx, XANI_ERR_USAGE,
                       near ? "model \"%s\": unknown function %s; did you mean %s?"
                            : "model \"%s\": unknown function %s",
                       m->expression, word, near);
    }
    if (m->x_columns != 0 && m->x_columns != columns)
        return xn_fail(ctx, XANI_ERR_USAGE, "model \"%s\": %.*s takes x of %d columns, another function %d",
                       m->expression, (int)length, name, columns, m->x_columns);
    m->x_columns = columns;
    m->n_parts++;
    return add_parameters(ctx, m, part, list, prefix, n_prefix);
}

xani_status xn_model_parse(xn_ctx *ctx, const char *expression, const xani_function *functions, size_t n, xani_model *m)
{
    const char *at = expression;
    for (;;) {
        size_t length = xn_word(&at), n_prefix = 0;
        const char *name = at, *prefix = "";
        at += length;
        skip_blanks(&at);
        if (*at == ':' && length > 0) {
            at++;
            if (!xn_is_name(name))
                return xn_fail(ctx, XANI_ERR_USAGE, "model \"%s\": prefix %.*s does not begin with a letter",
                               expression, (int)length, name);
            prefix = name;
            n_prefix = length;
            length = xn_word(&at);
            name = at;
            at += length;
            skip_blanks(&at);
        }
        if (length == 0)
            return xn_fail(ctx, XANI_ERR_USAGE, "model \"%s\": a function is missing at \"%s\"", expression, at);
        XN_TRY(add_part(ctx, m, functions, n, name, length, prefix, n_prefix));
        const char joint = *at++;
        if (joint == '*') {
            m->products = true;
            continue;
        }
        m->n_terms++;
        if (joint == '\0') {
            if (m->x_columns == 0) m->x_columns = 1;
            return XANI_OK;
        }
        if (joint != '+')
            return xn_fail(ctx, XANI_ERR_USAGE, "model \"%s\": + or * is expected at \"%s\"", expression, at - 1);
    }
}

// ---- ties

static xani_status tie_item(xn_ctx *ctx, const xani_model *m, const char *name, const char *text, const char **at,
                            double sign, double *constant, double *factors)
{
    double factor = sign, number;
    skip_blanks(at);
    const bool leads = isdigit((unsigned char)**at) || **at == '.';
    if (leads) {
        if (!xn_number(at, &number))
            return xn_fail(ctx, XANI_ERR_USAGE, "%s: tie \"%s\": a number is expected at \"%s\"", name, text, *at);
        factor *= number;
        skip_blanks(at);
        if (**at != '*') {
            *constant += factor;
            return XANI_OK;
        }
        (*at)++;
    }
    const size_t length = xn_word(at);
    const int k = length > 0 ? xn_model_lookup(m, *at, length) : -1;
    if (k < 0) {
        const char *near = xn_model_nearest(m, *at, length);
        return xn_fail(ctx, XANI_ERR_USAGE,
                       near ? "%s: tie \"%s\": no parameter at \"%s\"; did you mean %s?"
                            : "%s: tie \"%s\": no parameter at \"%s\"",
                       name, text, *at, near);
    }
    *at += length;
    skip_blanks(at);
    if (!leads && (**at == '*' || **at == '/')) {
        const bool divide = *(*at)++ == '/';
        if (!xn_number(at, &number) || (divide && number == 0.0))
            return xn_fail(ctx, XANI_ERR_USAGE, "%s: tie \"%s\": a number is expected at \"%s\"; ties are linear", name,
                           text, *at);
        factor = divide ? factor / number : factor * number;
    }
    factors[k] += factor;
    return XANI_OK;
}

xani_status xn_tie_parse(xn_ctx *ctx, const xani_model *m, const char *name, const char *text, double *constant,
                         double *factors)
{
    const char *at = text;
    double sign = 1.0;
    *constant = 0.0;
    memset(factors, 0, XN_MODEL_PARAMETERS * sizeof *factors);
    skip_blanks(&at);
    if (*at == '-' || *at == '+') sign = *at++ == '-' ? -1.0 : 1.0;
    for (;;) {
        XN_TRY(tie_item(ctx, m, name, text, &at, sign, constant, factors));
        skip_blanks(&at);
        if (*at == '\0') break;
        if (*at != '+' && *at != '-')
            return xn_fail(ctx, XANI_ERR_USAGE, "%s: tie \"%s\": + or - is expected at \"%s\"; ties are linear", name,
                           text, at);
        sign = *at++ == '-' ? -1.0 : 1.0;
    }
    const int own = xani_model_find(m, name);
    if (own >= 0 && factors[own] != 0.0)
        return xn_fail(ctx, XANI_ERR_USAGE, "%s: tie \"%s\": it is tied to itself", name, text);
    return XANI_OK;
}
