// SPDX-License-Identifier: BSD-3-Clause
// scheme.c -- a model's settings made ready for fitting: variables, bounds, and ties without ties in them.
#include <math.h>
#include <string.h>

#include "lsq/lsq.h"

#define TOLERANCE 1e-7
#define EVALUATIONS 2000

// Row of parameter k in terms of parameters that are not tied. depth counts ties followed; a circle has no end.
static xani_status resolve(xn_ctx *ctx, const xani_model *m, int k, double factor, int depth, double *constant,
                           double *row)
{
    const xn_parameter *p = &m->parameter[k];
    if (p->role != XN_TIED) {
        row[k] += factor;
        return XANI_OK;
    }
    if (depth > m->n_parameters) return xn_fail(ctx, XANI_ERR_USAGE, "%s: its tie leads back to itself", p->name);
    *constant += factor * p->tie_constant;
    for (int j = 0; j < m->n_parameters; j++)
        if (p->tie[j] != 0.0) XN_TRY(resolve(ctx, m, j, factor * p->tie[j], depth + 1, constant, row));
    return XANI_OK;
}

static xani_status check_guess(xn_ctx *ctx, const xani_model *m, const xn_part *part)
{
    const bool single = !m->products && m->x_columns == 1, guessed = single && (part->kind || part->own.guess);
    for (int k = part->first; k < part->first + part->count && !guessed; k++)
        if (m->parameter[k].role != XN_TIED && isnan(m->parameter[k].start))
            return xn_fail(ctx, XANI_ERR_USAGE, "%s: it needs a start value: %s", m->parameter[k].name,
                           m->products         ? "none is guessed for products of functions"
                           : m->x_columns != 1 ? "none is guessed where x has several columns"
                                               : "its function has no guess");
    return XANI_OK;
}

xani_status xn_scheme_make(xn_ctx *ctx, const xani_model *m, const xani_model_options *o, bool has_starts, xn_scheme *s)
{
    memset(s, 0, sizeof *s);
    s->model = m;
    if (o != NULL && o->size != sizeof *o)
        return xn_fail(ctx, XANI_ERR_USAGE, "options were not made by xani_model_options_init of this version");
    if (o != NULL && (!(o->tolerance >= 0.0) || o->max_evaluations < 0 || o->threads < 0))
        return xn_fail(ctx, XANI_ERR_USAGE,
                       "model options: tolerance, max_evaluations and threads must not be negative");
    for (int k = 0; k < m->n_parameters; k++) {
        const xn_parameter *p = &m->parameter[k];
        if (p->role == XN_VARY) {
            s->low[s->n_free] = p->low;
            s->high[s->n_free] = p->high;
            s->variable[s->n_free++] = k;
        } else if (p->role == XN_TIED) {
            double *row = s->factor + (size_t)s->n_ties * XN_MODEL_PARAMETERS;
            XN_TRY(resolve(ctx, m, k, 1.0, 0, &s->constant[s->n_ties], row));
            s->tied[s->n_ties++] = k;
        }
    }
    for (int i = 0; i < m->n_parts && !has_starts; i++) XN_TRY(check_guess(ctx, m, &m->part[i]));
    s->tolerance = o != NULL && o->tolerance > 0.0 ? o->tolerance : TOLERANCE;
    s->max_evaluations = o != NULL && o->max_evaluations > 0 ? o->max_evaluations : EVALUATIONS * (s->n_free + 1);
    s->absolute_sigma = o != NULL && o->absolute_sigma != 0;
    return XANI_OK;
}

void xn_fitter_tie(const xn_scheme *s, double *p)
{
    const int n = s->model->n_parameters;
    for (int t = 0; t < s->n_ties; t++) {
        const double *row = s->factor + (size_t)t * XN_MODEL_PARAMETERS;
        double sum = s->constant[t];
        for (int k = 0; k < n; k++)
            if (row[k] != 0.0) sum += row[k] * p[k];
        p[s->tied[t]] = sum;
    }
}

void xn_fitter_expand(const xn_scheme *s, const double *z, double *p)
{
    for (int k = 0; k < s->n_free; k++) p[s->variable[k]] = z[k];
    xn_fitter_tie(s, p);
}
