// SPDX-License-Identifier: BSD-3-Clause
// bench_lsq.c -- xani bench lsq: many small fits by xani_model_fit beside cminpack's lmder on the same data and starts.
//
// Fits per CPU-second of one thread.  Ours include the errors and stop at 1e-7 standard errors; lmder has an analytic
// Jacobian, ftol = xtol = 1e-8, and gives no errors.  The two must agree to a hundredth of a standard error, or the
// line says so.  cminpack is opened at run time.
#include <dlfcn.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/figures.h"
#include "bench/fit_peers.h"
#include "core/core.h"
#include "core/rng.h"

enum { POINTS = 100, SETS = 2000, PARAMETERS = 4, MOST_REPEATS = 1000 };

typedef int (*lmder_model)(void *user, int m, int n, const double *p, double *r, double *j, int ld, int flag);
typedef int (*lmder_fn)(lmder_model model, void *user, int m, int n, double *x, double *r, double *jac, int ld,
                        double ftol, double xtol, double gtol, int maxfev, double *diag, int mode, double factor,
                        int nprint, int *nfev, int *njev, int *ipvt, double *qtf, double *w1, double *w2, double *w3,
                        double *w4);

typedef struct trial {
    const char *name, *expression;
    double truth[PARAMETERS], noise, high; // x from 0 to high
    lmder_model model;
} trial;

typedef struct lmder_data {
    const double *x, *y;
} lmder_data;

typedef struct room {
    double x[POINTS], y[SETS][POINTS], start[SETS][PARAMETERS], values[SETS][PARAMETERS], errors[SETS][PARAMETERS],
        theirs[SETS][PARAMETERS];
    uint8_t status[SETS];
} room;

static int gaussian(void *user, int m, int n, const double *p, double *r, double *j, int ld, int flag)
{
    (void)n;
    const lmder_data *d = user;
    const double inverse = 1.0 / p[2], norm = inverse / 2.5066282746310005;
    for (int i = 0; i < m; i++) {
        const double u = (d->x[i] - p[1]) * inverse, e = norm * exp(-0.5 * u * u);
        if (flag == 1) {
            r[i] = p[0] * e + p[3] - d->y[i];
            continue;
        }
        const double slope = p[0] * e * inverse;
        j[i] = e, j[ld + i] = slope * u, j[2 * ld + i] = slope * (u * u - 1.0), j[3 * ld + i] = 1.0;
    }
    return 0;
}

static int exponentials(void *user, int m, int n, const double *p, double *r, double *j, int ld, int flag)
{
    (void)n;
    const lmder_data *d = user;
    for (int i = 0; i < m; i++) {
        const double a = exp(-d->x[i] / p[1]), b = exp(-d->x[i] / p[3]);
        if (flag == 1) {
            r[i] = p[0] * a + p[2] * b - d->y[i];
            continue;
        }
        j[i] = a, j[ld + i] = p[0] * a * d->x[i] / (p[1] * p[1]);
        j[2 * ld + i] = b, j[3 * ld + i] = p[2] * b * d->x[i] / (p[3] * p[3]);
    }
    return 0;
}

static const trial trials[] = {
    {"gaussian-100", "gaussian + constant", {5.0, 4.4, 0.9, 1.0}, 0.1, 10.0, gaussian},
    {"exponentials2-100", "exponentials2", {3.0, 0.6, 4.0, 3.5}, 0.03, 10.0, exponentials},
};

static xani_status simulate(xani_context *ctx, const trial *t, const xani_model *m, room *a)
{
    static const double off[] = {1.2, 1.03, 0.8, 0.7};
    xn_rng rng;
    xn_rng_init(&rng, 1, 1);
    for (int i = 0; i < POINTS; i++) a->x[i] = t->high * i / POINTS;
    for (int s = 0; s < SETS; s++) {
        XN_TRY(xani_model_evaluate(ctx, m, t->truth, a->x, POINTS, a->y[s], NULL));
        for (int i = 0; i < POINTS; i++) a->y[s][i] += t->noise * xn_rng_normal(&rng);
        for (int k = 0; k < PARAMETERS; k++) a->start[s][k] = t->truth[k] * off[k];
    }
    return XANI_OK;
}

static xani_status run_ours(xani_context *ctx, const xani_model *m, room *a, bool guessed, double *rate)
{
    xani_model_data data;
    xani_model_options options;
    xani_model_results results;
    xani_model_data_init(&data);
    xani_model_options_init(&options);
    xani_model_results_init(&results);
    data.n_sets = SETS;
    data.n_points = POINTS;
    data.x = a->x;
    data.y = a->y[0];
    data.start = guessed ? NULL : a->start[0];
    options.threads = 1;
    results.values = a->values[0];
    results.errors = a->errors[0];
    results.status = a->status;
    const double begin = xn_bench_cpu_seconds();
    XN_TRY(xani_model_fit(ctx, m, &data, &options, &results));
    *rate = SETS / (xn_bench_cpu_seconds() - begin);
    return XANI_OK;
}

static double run_lmder(lmder_fn lmder, const trial *t, room *a)
{
    double r[POINTS], j[POINTS * PARAMETERS], diag[PARAMETERS], w[5][POINTS];
    int pivot[PARAMETERS], calls, jacobians;
    const double begin = xn_bench_cpu_seconds();
    for (int s = 0; s < SETS; s++) {
        lmder_data d = {a->x, a->y[s]};
        memcpy(a->theirs[s], a->start[s], sizeof a->theirs[s]);
        lmder(t->model, &d, POINTS, PARAMETERS, a->theirs[s], r, j, POINTS, 1e-8, 1e-8, 0.0, 2000, diag, 1, 100.0, 0,
              &calls, &jacobians, pivot, w[0], w[1], w[2], w[3], w[4]);
    }
    return SETS / (xn_bench_cpu_seconds() - begin);
}

// Data sets in which the two do not agree, or ours did not converge.
static int disagreements(const room *a)
{
    int n = 0;
    for (int s = 0; s < SETS; s++) {
        bool same = a->status[s] == XANI_MODEL_CONVERGED;
        for (int k = 0; k < PARAMETERS; k++)
            same = same && fabs(a->values[s][k] - a->theirs[s][k]) <= 0.01 * a->errors[s][k];
        n += !same;
    }
    return n;
}

static xani_status measure(const xn_bench *bench, const trial *t, lmder_fn lmder, room *a)
{
    static double ours[2][MOST_REPEATS], theirs[MOST_REPEATS];
    const int repeats = bench->repeats < MOST_REPEATS ? bench->repeats : MOST_REPEATS;
    xani_model *m = NULL;
    xani_status st = xani_model_create(bench->context, t->expression, NULL, 0, &m);
    if (st == XANI_OK) st = simulate(bench->context, t, m, a);
    for (int i = 0; i < repeats && st == XANI_OK; i++) {
        st = run_ours(bench->context, m, a, true, &ours[1][i]);
        if (st == XANI_OK) st = run_ours(bench->context, m, a, false, &ours[0][i]);
        theirs[i] = lmder != NULL ? run_lmder(lmder, t, a) : NAN;
    }
    xani_model_destroy(&m);
    if (st != XANI_OK) return st;
    const int apart = lmder != NULL ? disagreements(a) : 0;
    char *remark = apart > 0 ? xn_format("%d of %d fits differ", apart, SETS) : NULL;
    for (int guessed = 0; guessed < 2; guessed++) {
        char name[64];
        snprintf(name, sizeof name, "%s%s", t->name, guessed ? "-guessed" : "");
        const double own = xn_bench_median(ours[guessed], repeats),
                     other = lmder != NULL ? xn_bench_median(theirs, repeats) : NAN;
        const xn_bench_line line = {.bench = "lsq",
                                    .name = name,
                                    .peer = "lmder",
                                    .ours = own,
                                    .theirs = other,
                                    .unit = "fits/s",
                                    .ratio = own / other,
                                    .ratio_cpu = NAN,
                                    .why = lmder != NULL ? remark : "libcminpack.so.1 is not installed"};
        bench->emit(bench->user, &line);
    }
    xn_free(remark);
    return XANI_OK;
}

xani_status xn_bench_lsq(const xn_bench *bench)
{
    void *library = dlopen("libcminpack.so.1", RTLD_NOW | RTLD_LOCAL),
         *symbol = library ? dlsym(library, "lmder") : NULL;
    lmder_fn lmder;
    memcpy(&lmder, &symbol, sizeof lmder);
    room *a = xn_alloc(1, sizeof *a);
    if (a == NULL) return xn_fail_memory(bench->context, "a benchmark", sizeof *a);
    xani_status st = XANI_OK;
    for (size_t i = 0; i < sizeof trials / sizeof trials[0] && st == XANI_OK; i++)
        st = measure(bench, &trials[i], lmder, a);
    xn_free(a);
    return st;
}
