/* SPDX-License-Identifier: BSD-3-Clause */
/* fit_peaks.c -- uses libxani's least squares from a C program: many data sets, models of the table and one's own.
 *
 * First 1000 spectra, each two peaks on a sloping background, the second peak tied to the first in width; then one
 * decay with a function of the program's own, with an interval by profile.  It ends with 1 if what was put in does not
 * come out within five standard errors, for the spectra those of the mean.
 *
 *   cc fit_peaks.c $(pkg-config --cflags --libs xani) -lm && ./a.out
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <xani/xani.h>

enum { N_SETS = 1000, N_POINTS = 120, N_PARAMETERS = 8 };

static double gauss(unsigned long long *state) /* Knuth's MMIX constants, Box and Muller's transform */
{
    double u[2];
    for (int i = 0; i < 2; i++) {
        *state = *state * 6364136223846793005ULL + 1442695040888963407ULL;
        u[i] = ((double)(*state >> 11) + 0.5) / 9007199254740992.0;
    }
    return sqrt(-2.0 * log(u[0])) * cos(2.0 * acos(-1.0) * u[1]);
}

static int fail(xani_context *context)
{
    fprintf(stderr, "fit_peaks: %s\n", xani_error_text(context));
    return 1;
}

static int fit_spectra(xani_context *context, unsigned long long *state)
{
    static double x[N_POINTS], y[N_SETS][N_POINTS], values[N_SETS][N_PARAMETERS], errors[N_SETS][N_PARAMETERS];
    static unsigned char status[N_SETS];
    static const double truth[N_PARAMETERS] = {5.0, 3.0, 0.5, 3.0, 7.0, 0.5, 0.1, 1.0};
    xani_model *model = NULL;
    if (xani_model_create(context, "a:gaussian + b:gaussian + linear", NULL, 0, &model) != XANI_OK)
        return fail(context);
    for (int i = 0; i < N_POINTS; i++) x[i] = 10.0 * i / (N_POINTS - 1);
    for (int s = 0; s < N_SETS; s++) {
        if (xani_model_evaluate(context, model, truth, x, N_POINTS, y[s], NULL) != XANI_OK) return fail(context);
        for (int i = 0; i < N_POINTS; i++) y[s][i] += 0.1 * gauss(state);
    }
    if (xani_model_tie(context, model, "b.sigma", "a.sigma") != XANI_OK ||
        xani_model_bound(context, model, "a.centre", 2.0, 4.0) != XANI_OK ||
        xani_model_start(context, model, "b.centre", 6.8) != XANI_OK) /* the others are guessed */
        return fail(context);

    xani_model_data data;
    xani_model_data_init(&data);
    data.n_sets = N_SETS;
    data.n_points = N_POINTS;
    data.x = x;
    data.y = y[0];
    xani_model_results results;
    xani_model_results_init(&results);
    results.values = values[0];
    results.errors = errors[0];
    results.status = status;
    if (xani_model_fit(context, model, &data, NULL, &results) != XANI_OK) return fail(context);
    int converged = 0, wrong = 0;
    for (int s = 0; s < N_SETS; s++) converged += status[s] == XANI_MODEL_CONVERGED;
    for (int k = 0; k < N_PARAMETERS; k++) { /* the mean over all spectra */
        double mean = 0.0;
        for (int s = 0; s < N_SETS; s++) mean += values[s][k] / N_SETS;
        wrong += !(fabs(mean - truth[k]) < 5.0 * errors[0][k] / sqrt((double)N_SETS));
    }
    printf("%d of %d spectra converged; the first one:\n", converged, N_SETS);
    for (int k = 0; k < N_PARAMETERS; k++)
        printf("  %-12s %8.4f +- %.4f  (put in: %g)\n", xani_model_parameter(model, k), values[0][k], errors[0][k],
               truth[k]);
    xani_model_destroy(&model);
    return converged < N_SETS || wrong > 0;
}

/* A function of one's own: second-order decay, a/(1 + a k t). Derivatives are taken by differences. */
static int second_order(void *user, const double *t, int64_t n, const double *p, double *y)
{
    (void)user;
    for (int64_t i = 0; i < n; i++) y[i] = p[0] / (1.0 + p[0] * p[1] * t[i]);
    return 0;
}

static int fit_decay(xani_context *context, unsigned long long *state)
{
    static const double truth[2] = {2.0, 0.35}, level = 0.6827;
    double t[40], y[40], values[2], errors[2], ends[2];
    const xani_function own = {
        .size = sizeof own, .name = "second_order", .parameters = "a k[0,]", .value = second_order};
    xani_model *model = NULL;
    if (xani_model_create(context, "second_order", &own, 1, &model) != XANI_OK ||
        xani_model_set(context, model, "a=1") != XANI_OK || xani_model_set(context, model, "k=1") != XANI_OK)
        return fail(context);
    for (int i = 0; i < 40; i++) {
        t[i] = 0.25 * i;
        y[i] = truth[0] / (1.0 + truth[0] * truth[1] * t[i]) + 0.03 * gauss(state);
    }
    xani_model_data data;
    xani_model_data_init(&data);
    data.n_sets = 1;
    data.n_points = 40;
    data.x = t;
    data.y = y;
    xani_model_results results;
    xani_model_results_init(&results);
    results.values = values;
    results.errors = errors;
    if (xani_model_fit(context, model, &data, NULL, &results) != XANI_OK ||
        xani_model_interval(context, model, &data, NULL, values, "k", &level, 1, ends) != XANI_OK)
        return fail(context);
    printf("decay: k = %.4f +- %.4f, between %.4f and %.4f at 68 %% (put in: %g)\n", values[1], errors[1], ends[0],
           ends[1], truth[1]);
    xani_model_destroy(&model);
    return !(fabs(values[1] - truth[1]) < 5.0 * errors[1] && ends[0] < values[1] && values[1] < ends[1]);
}

int main(void)
{
    unsigned long long state = 1;
    xani_context *context = NULL;
    if (xani_create(&context) != XANI_OK) return 1;
    int wrong = fit_spectra(context, &state);
    wrong |= fit_decay(context, &state);
    xani_destroy(&context);
    return wrong;
}
