// SPDX-License-Identifier: BSD-3-Clause
// fitter.c -- one thread's data set: loading, the model with its derivatives, and the residuals that lm.h minimises.
//
// Derivatives of the caller's functions without a Jacobian are differences, with steps measured in the change of the
// parameter that would change the function by its own size (Gill, Murray, Wright, "Practical optimization", 1981,
// section 8.6, ask for a step in the scale of the function's curvature): forward ones on the way, and near the
// minimum central ones extrapolated to fourth order (Richardson), whose error is a few 1e-13 of the value.
#include <float.h>
#include <math.h>
#include <string.h>

#include "lsq/lsq.h"
#include "lsq/qr.h"

// ---- memory: one block

static double *cut(char **at, size_t n) { return xn_cut(at, n, sizeof(double)); }

xani_status xn_fitter_create(xn_ctx *ctx, const xn_scheme *s, int64_t n_points, xn_fitter *f)
{
    memset(f, 0, sizeof *f);
    const xani_model *m = s->model;
    const size_t room = ((size_t)n_points + 7) & ~(size_t)7,
                 lm = (xn_lm_work_bytes(n_points, s->n_free) + 63) & ~(size_t)63;
    const size_t samples =
        (size_t)m->x_columns + 2 + (size_t)m->n_parts + XN_FITTER_SCRATCH + (size_t)m->n_parameters + 1;
    const size_t all = (size_t)m->n_parameters, matrix = (all * (3 * all + 1) + 7) & ~(size_t)7;
    const size_t bytes = lm + sizeof(double) * (samples * room + 2 * XN_MODEL_PARAMETERS + matrix);
    f->memory = xn_alloc(bytes, 1);
    if (f->memory == NULL) return xn_fail_memory(ctx, "fitting", bytes);
    f->scheme = s;
    f->room = (int64_t)room;
    char *at = f->memory;
    xn_lm_work_bind(&f->lm, at, n_points, s->n_free);
    at += lm;
    f->x = cut(&at, room * (size_t)m->x_columns);
    f->y = cut(&at, room);
    f->w = cut(&at, room);
    f->value = cut(&at, room * (size_t)m->n_parts);
    f->other = cut(&at, room * XN_FITTER_SCRATCH);
    f->column = cut(&at, room * (size_t)m->n_parameters);
    f->index = xn_cut(&at, room, sizeof *f->index);
    f->full = cut(&at, XN_MODEL_PARAMETERS);
    f->size = cut(&at, XN_MODEL_PARAMETERS);
    f->matrix = cut(&at, matrix);
    f->covariance = f->matrix + all * (2 * all + 1);
    return XANI_OK;
}

void xn_fitter_free(xn_fitter *f)
{
    xn_free(f->memory);
    f->memory = NULL;
}

void xn_fitter_load(xn_fitter *f, const xani_model_data *d, int64_t set)
{
    const int columns = f->scheme->model->x_columns;
    const double *x = d->x != NULL ? d->x + set * d->x_set : NULL;
    const double *y = d->y + set * (d->y_set != 0 ? d->y_set : d->n_points);
    const double *sigma = d->sigma != NULL ? d->sigma + set * d->sigma_set : NULL;
    const int64_t y_step = d->y_point != 0 ? d->y_point : 1, sigma_step = d->sigma_point != 0 ? d->sigma_point : 1;
    int64_t n = 0;
    double sum = 0.0;
    for (int64_t i = 0; i < d->n_points; i++) {
        const double v = y[i * y_step], s = sigma != NULL ? sigma[i * sigma_step] : 1.0;
        bool good = isfinite(v) && s > 0.0 && isfinite(s) && isfinite(1.0 / s);
        for (int c = 0; c < columns; c++) {
            f->x[n * columns + c] = x != NULL ? x[i * columns + c] : (double)i;
            good = good && isfinite(f->x[n * columns + c]);
        }
        if (!good) continue;
        f->y[n] = v;
        f->w[n] = 1.0 / s;
        f->index[n] = i;
        sum += v * v / (s * s);
        n++;
    }
    f->n = n;
    f->data_norm = sqrt(sum);
    f->evaluations = 0;
    memset(f->size, 0, XN_MODEL_PARAMETERS * sizeof *f->size);
}

// ---- differences

typedef struct difference {
    xn_fitter *f;
    const xn_part *part;
    double p[XN_MODEL_PARAMETERS]; // of the part
    double *v;                     // scratch
} difference;

static bool own_value(difference *d, int k, double at, double *y)
{
    const double p = d->p[k];
    d->p[k] = at;
    d->f->evaluations++;
    const bool good = d->part->own.value(d->part->own.user, d->f->x, d->f->n, d->p, y) == 0;
    d->p[k] = p;
    return good;
}

static bool forward(difference *d, int k, double h, double high, const double *value, double *column)
{
    const double p = d->p[k], at = p + h <= high ? p + h : p - h, step = at - p;
    if (!own_value(d, k, at, column)) return false;
    for (int64_t i = 0; i < d->f->n; i++) column[i] = (column[i] - value[i]) / step;
    return true;
}

// (4 D(h/2) - D(h)) / 3 with D the central difference.
static bool central(difference *d, int k, double h, double *column)
{
    const double p = d->p[k], up = p + h, down = p - h, near_up = p + 0.5 * h, near_down = p - 0.5 * h;
    const double wide = 1.0 / (3.0 * (up - down)), near = 4.0 / (3.0 * (near_up - near_down));
    const int64_t n = d->f->n;
    double *v = d->v;
    if (!own_value(d, k, near_up, column) || !own_value(d, k, near_down, v)) return false;
    for (int64_t i = 0; i < n; i++) column[i] = near * (column[i] - v[i]);
    if (!own_value(d, k, up, v)) return false;
    for (int64_t i = 0; i < n; i++) column[i] -= wide * v[i];
    if (!own_value(d, k, down, v)) return false;
    for (int64_t i = 0; i < n; i++) column[i] += wide * v[i];
    return true;
}

// The change of parameter k that matters: its size, or less where the function bends sooner.
static double scale_of(const xn_fitter *f, int k, double p)
{
    const double size = f->size[k], own = fabs(p);
    if (own == 0.0) return size > 0.0 ? size : 1.0;
    return size > 0.0 ? fmin(own, size) : own;
}

static bool differences(xn_fitter *f, const xn_part *part, const double *p, const double *value, double *const *d,
                        int accuracy)
{
    difference work = {.f = f, .part = part, .v = f->other};
    memcpy(work.p, p, (size_t)part->count * sizeof *p);
    const double length = xn_norm(value, f->n);
    for (int k = 0; k < part->count; k++) {
        const xn_parameter *q = &f->scheme->model->parameter[part->first + k];
        if (q->role == XN_FIXED) continue;
        const double scale = scale_of(f, part->first + k, p[k]);
        const double low = q->role == XN_VARY ? q->low : -INFINITY, high = q->role == XN_VARY ? q->high : INFINITY;
        double h = 7e-4 * scale; // the fifth root of the rounding error
        const bool inside = p[k] - h >= low && p[k] + h <= high;
        bool good = accuracy == XN_LM_CENTRAL && inside && central(&work, k, h, d[k]);
        if (!good) good = forward(&work, k, 1.5e-8 * scale, high, value, d[k]);
        if (!good) return false;
        const double slope = xn_norm(d[k], f->n);
        if (slope > 0.0 && length > 0.0) f->size[part->first + k] = length / slope;
    }
    return true;
}

// ---- the model

static bool part_value(xn_fitter *f, const xn_part *part, const double *p, double *y, double *const *d, int accuracy)
{
    if (part->kind != NULL) {
        part->kind->value(part->order, f->x, f->n, p, y, d);
        return true;
    }
    const xani_function *own = &part->own;
    if (own->value(own->user, f->x, f->n, p, y) != 0) return false;
    if (d == NULL) return true;
    if (own->jacobian != NULL) return own->jacobian(own->user, f->x, f->n, p, d) == 0;
    return differences(f, part, p, y, d, accuracy);
}

// Product rule: each derivative of a part is multiplied by the values of the other parts of its term.
static void multiply_terms(xn_fitter *f, double *const *d)
{
    const xani_model *m = f->scheme->model;
    for (int a = 0; a < m->n_parts && d != NULL; a++)
        for (int b = 0; b < m->n_parts; b++) {
            if (a == b || m->part[a].term != m->part[b].term) continue;
            const double *v = f->value + b * f->room;
            for (int k = m->part[a].first; k < m->part[a].first + m->part[a].count; k++)
                for (int64_t i = 0; i < f->n; i++) d[k][i] *= v[i];
        }
    for (int a = 0; a < m->n_parts; a++) // the parts of a term follow each other: its product goes to the first
        for (int b = a + 1; b < m->n_parts && m->part[b].term == m->part[a].term; b++) {
            if (a > 0 && m->part[a - 1].term == m->part[a].term) continue;
            for (int64_t i = 0; i < f->n; i++) f->value[a * f->room + i] *= f->value[b * f->room + i];
        }
}

bool xn_fitter_model(xn_fitter *f, const double *p, double *y, double *const *d, int accuracy)
{
    const xani_model *m = f->scheme->model;
    f->evaluations++;
    for (int a = 0; a < m->n_parts; a++) {
        const xn_part *part = &m->part[a];
        double *v = m->n_parts > 1 ? f->value + a * f->room : y;
        if (!part_value(f, part, p + part->first, v, d != NULL ? d + part->first : NULL, accuracy)) return false;
    }
    if (m->n_parts == 1) return true;
    if (m->products) multiply_terms(f, d);
    for (int a = 0, term = -1; a < m->n_parts; a++) {
        if (m->part[a].term == term) continue; // its product is in the first part of the term
        const double *v = f->value + a * f->room;
        for (int64_t i = 0; i < f->n; i++) y[i] = term < 0 ? v[i] : y[i] + v[i];
        term = m->part[a].term;
    }
    return true;
}

// ---- residuals

// Derivatives by variables from those by parameters, with weights. Columns of variables without ties are in place.
static void gather(xn_fitter *f, double *jacobian)
{
    const xn_scheme *s = f->scheme;
    for (int v = 0; v < s->n_free; v++) {
        double *column = jacobian + v * f->n;
        for (int t = 0; t < s->n_ties; t++) {
            const double factor = s->factor[(size_t)t * XN_MODEL_PARAMETERS + s->variable[v]];
            const double *tied = f->column + s->tied[t] * f->room;
            for (int64_t i = 0; i < f->n && factor != 0.0; i++) column[i] += factor * tied[i];
        }
        for (int64_t i = 0; i < f->n; i++) column[i] *= f->w[i];
    }
}

static bool evaluate(void *user, const double *z, double *r, double *jacobian, int accuracy)
{
    xn_fitter *f = user;
    const xn_scheme *s = f->scheme;
    double *d[XN_MODEL_PARAMETERS];
    for (int k = 0; k < s->model->n_parameters; k++) d[k] = f->column + k * f->room;
    for (int v = 0; v < s->n_free && jacobian != NULL; v++) d[s->variable[v]] = jacobian + v * f->n;
    xn_fitter_expand(s, z, f->full);
    if (!xn_fitter_model(f, f->full, r, jacobian != NULL ? d : NULL, accuracy)) return false;
    for (int64_t i = 0; i < f->n; i++) r[i] = f->w[i] * (r[i] - f->y[i]);
    if (jacobian != NULL) gather(f, jacobian);
    return true;
}

xn_lm_problem xn_fitter_problem(xn_fitter *f)
{
    const xn_scheme *s = f->scheme;
    return (xn_lm_problem){.m = f->n,
                           .n = s->n_free,
                           .user = f,
                           .evaluate = evaluate,
                           .low = s->low,
                           .high = s->high,
                           .numeric = s->model->numeric,
                           .data_norm = f->data_norm,
                           .tolerance = s->tolerance,
                           .first_radius = 1.0,
                           .evaluations = &f->evaluations,
                           .max_evaluations = s->max_evaluations};
}
