// SPDX-License-Identifier: BSD-3-Clause
// lsq_common.h -- what the tests of src/lsq share: a context, a model with data and room for results.
#ifndef XN_LSQ_COMMON_H
#define XN_LSQ_COMMON_H

#include "context.h"

#include "core/rng.h"

#define MOST 16 // parameters

static inline xani_model *make(const char *expression)
{
    xani_model *m = NULL;
    ck_assert_msg(xani_model_create(ctx, expression, NULL, 0, &m) == XANI_OK, "%s", xani_error_text(ctx));
    return m;
}

static inline void set(xani_model *m, const char *text)
{
    ck_assert_msg(xani_model_set(ctx, m, text) == XANI_OK, "%s", xani_error_text(ctx));
}

// One data set and its results.
typedef struct single {
    double values[MOST], errors[MOST], covariance[MOST * MOST], correlations[MOST * MOST];
    double chi2, chi2_reduced, aic, bic;
    int64_t evaluations, points;
    uint8_t status;
    xani_model_data data;
    xani_model_options options;
} single;

static inline void single_init(single *s, int64_t n, const double *x, const double *y)
{
    memset(s, 0, sizeof *s);
    xani_model_data_init(&s->data);
    xani_model_options_init(&s->options);
    s->data.n_sets = 1;
    s->data.n_points = n;
    s->data.x = x;
    s->data.y = y;
}

static inline int single_fit(single *s, const xani_model *m)
{
    xani_model_results r;
    xani_model_results_init(&r);
    r.values = s->values;
    r.errors = s->errors;
    r.covariance = s->covariance;
    r.correlations = s->correlations;
    r.chi2 = &s->chi2;
    r.chi2_reduced = &s->chi2_reduced;
    r.aic = &s->aic;
    r.bic = &s->bic;
    r.evaluations = &s->evaluations;
    r.points = &s->points;
    r.status = &s->status;
    ck_assert_msg(xani_model_fit(ctx, m, &s->data, &s->options, &r) == XANI_OK, "%s", xani_error_text(ctx));
    return s->status;
}

static inline void ramp(double *x, int n, double low, double high)
{
    for (int i = 0; i < n; i++) x[i] = low + (high - low) * i / (n - 1);
}

// The model's values plus sigma times noise number `seed`.
static inline void simulate(const xani_model *m, const double *p, const double *x, int n, double sigma, uint64_t seed,
                            double *y)
{
    ck_assert_int_eq(xani_model_evaluate(ctx, m, p, x, n, y, NULL), XANI_OK);
    xn_rng rng;
    xn_rng_init(&rng, seed, 1);
    for (int i = 0; i < n; i++) y[i] += sigma * xn_rng_normal(&rng);
}

#endif
