// SPDX-License-Identifier: BSD-3-Clause
// test_lsq.c -- fits against lmfit's numbers; bounds, ties, fixed parameters, starts, missing samples, scales.
#include "lsq_common.h"
#include "lsq_reference.h"

enum { N = 60 };

static void check_reference(const char *expression, const char *const *settings, const double *y, const double *sigma,
                            const double *values, const double *errors, const double *statistics,
                            const double *correlation)
{
    xani_model *m = make(expression);
    for (int i = 0; settings[i] != NULL; i++) set(m, settings[i]);
    single s;
    single_init(&s, N, peak_x, y);
    s.data.sigma = sigma;
    s.options.absolute_sigma = sigma != NULL;
    ck_assert_int_eq(single_fit(&s, m), XANI_MODEL_CONVERGED);
    const int n = xani_model_count(m);
    for (int k = 0; k < n; k++) {
        const char *name = xani_model_parameter(m, k);
        ck_assert_msg(fabs(s.values[k] - values[k]) < 1e-4 * errors[k], "%s: %.10g, not %.10g", name, s.values[k],
                      values[k]);
        ck_assert_msg(fabs(s.errors[k] - errors[k]) < 1e-4 * errors[k], "%s: +- %.8g, not %.8g", name, s.errors[k],
                      errors[k]);
    }
    const double found[] = {s.chi2, s.chi2_reduced, s.aic, s.bic};
    for (int i = 0; i < 4; i++) ck_assert_double_eq_tol(found[i] / statistics[i], 1.0, 1e-7);
    ck_assert_double_eq_tol(s.correlations[1], correlation[0], 1e-4); // lmfit's Jacobian is by forward differences
    ck_assert_double_eq_tol(s.correlations[n + 2], correlation[1], 1e-4);
    ck_assert_double_eq_tol(s.covariance[0], errors[0] * errors[0], 2e-4 * errors[0] * errors[0]);
    ck_assert_int_eq(s.points, N);
    ck_assert_int_gt(s.evaluations, 1);
    xani_model_destroy(&m);
}

START_TEST(test_lmfit)
{
    // Values, errors, statistics and correlations are lmfit's, from starts that are guessed.
    static const char *const none[] = {NULL};
    check_reference("gaussian + linear", none, peak_y, NULL, peak_values, peak_errors, peak_statistics,
                    peak_correlation);
    static const char *const order[] = {"decay1=4", "decay2=0.5", NULL};
    check_reference("exponentials2", order, decay_y, NULL, decay_values, decay_errors, decay_statistics,
                    decay_correlation);
    check_reference("lorentzian", none, weighted_y, weighted_sigma, weighted_values, weighted_errors,
                    weighted_statistics, weighted_correlation);
}
END_TEST

START_TEST(test_ties)
{
    // Tied parameters follow the others, with errors and statistics of the parameters that are free.
    static const char *const settings[] = {"b.centre=a.centre+3", "b.sigma=0.5*a.sigma", "a.centre=3", "a.sigma=0.7",
                                           NULL};
    check_reference("a:gaussian + b:gaussian", settings, tied_y, NULL, tied_values, tied_errors, tied_statistics,
                    tied_correlation);
    // A tie to a tied parameter, and both ways of writing a factor.
    xani_model *m = make("a:gaussian + b:gaussian");
    single s;
    single_init(&s, N, peak_x, tied_y);
    set(m, "a.centre=3");
    set(m, "a.sigma=0.7");
    set(m, "b.sigma=a.sigma/2");
    set(m, "b.centre=3 + 10*b.sigma - a.sigma*5 + a.centre");
    ck_assert_int_eq(single_fit(&s, m), XANI_MODEL_CONVERGED);
    for (int k = 0; k < 6; k++) ck_assert_double_eq_tol(s.values[k], tied_values[k], 1e-4 * tied_errors[k]);
    for (int k = 0; k < 6; k++) ck_assert_double_eq_tol(s.errors[k], tied_errors[k], 1e-4 * tied_errors[k]);
    ck_assert_double_eq_tol(s.correlations[1 * 6 + 4], 1.0, 1e-12);
    xani_model_destroy(&m);
}
END_TEST

START_TEST(test_fixed)
{
    // A fixed parameter keeps its value with error 0; one fixed without a value keeps the start of each data set.
    xani_model *m = make("gaussian + linear");
    single s;
    single_init(&s, N, peak_x, peak_y);
    ck_assert_int_eq(xani_model_fix(ctx, m, "centre", 4.4), XANI_OK);
    ck_assert_int_eq(single_fit(&s, m), XANI_MODEL_CONVERGED);
    ck_assert_double_eq(s.values[1], 4.4);
    ck_assert_double_eq(s.errors[1], 0.0);
    ck_assert_double_nan(s.correlations[1]);
    ck_assert_double_gt(s.chi2, peak_statistics[0]);
    ck_assert_double_eq_tol(s.aic, N * log(s.chi2 / N) + 2 * 4, 1e-9);
    const double start[] = {NAN, 4.2, NAN, NAN, NAN};
    s.data.start = start;
    ck_assert_int_eq(xani_model_fix(ctx, m, "centre", NAN), XANI_OK);
    ck_assert_int_eq(single_fit(&s, m), XANI_MODEL_CONVERGED);
    ck_assert_double_eq(s.values[1], 4.2);
    ck_assert_int_eq(xani_model_vary(ctx, m, "centre"), XANI_OK);
    ck_assert_int_eq(single_fit(&s, m), XANI_MODEL_CONVERGED);
    ck_assert_double_eq_tol(s.values[1], peak_values[1], 1e-5 * peak_errors[1]);
    xani_model_destroy(&m);
    // All fixed: nothing to fit, but statistics.
    m = make("constant");
    set(m, "c=1.5,fix");
    ck_assert_int_eq((s.data.start = NULL, single_fit(&s, m)), XANI_MODEL_CONVERGED);
    double sum = 0.0;
    for (int i = 0; i < N; i++) sum += (peak_y[i] - 1.5) * (peak_y[i] - 1.5);
    ck_assert_double_eq_tol(s.chi2 / sum, 1.0, 1e-12);
    xani_model_destroy(&m);
}
END_TEST

START_TEST(test_bounds)
{
    // At a bound: flagged, on it exactly, the rest as if the parameter were fixed there; wide bounds change nothing.
    xani_model *m = make("gaussian + linear");
    single s, fixed;
    single_init(&s, N, peak_x, peak_y);
    single_init(&fixed, N, peak_x, peak_y);
    ck_assert_int_eq(xani_model_fix(ctx, m, "centre", 4.0), XANI_OK);
    ck_assert_int_eq(single_fit(&fixed, m), XANI_MODEL_CONVERGED);
    ck_assert_int_eq(xani_model_vary(ctx, m, "centre"), XANI_OK);
    ck_assert_int_eq(xani_model_bound(ctx, m, "centre", 2.0, 4.0), XANI_OK);
    ck_assert_int_eq(single_fit(&s, m), XANI_MODEL_AT_BOUND);
    ck_assert_double_eq(s.values[1], 4.0);
    ck_assert_double_nan(s.errors[1]);
    ck_assert_double_eq_tol(s.chi2 / fixed.chi2, 1.0, 1e-12);
    for (int k = 0; k < 5; k++) {
        if (k == 1) continue;
        ck_assert_double_eq_tol(s.values[k], fixed.values[k], 1e-5 * fixed.errors[k]);
        // One degree of freedom less is left than with the parameter fixed: it was free until the bound stopped it.
        ck_assert_double_eq_tol(s.errors[k] / fixed.errors[k], sqrt(56.0 / 55.0), 1e-6);
    }
    ck_assert_int_eq(xani_model_bound(ctx, m, "centre", 2.0, 9.0), XANI_OK);
    ck_assert_int_eq(xani_model_bound(ctx, m, "slope", -1.0, 1.0), XANI_OK);
    ck_assert_int_eq(single_fit(&s, m), XANI_MODEL_CONVERGED);
    for (int k = 0; k < 5; k++) ck_assert_double_eq_tol(s.values[k], peak_values[k], 1e-5 * peak_errors[k]);
    // Start on a bound that the minimum is away from: it is left again.
    const double start[] = {5.0, 3.0, 1.0, -1.0, 0.0};
    s.data.start = start;
    ck_assert_int_eq(single_fit(&s, m), XANI_MODEL_CONVERGED);
    for (int k = 0; k < 5; k++) ck_assert_double_eq_tol(s.values[k], peak_values[k], 1e-5 * peak_errors[k]);
    xani_model_destroy(&m);
}
END_TEST

START_TEST(test_width_of_zero)
{
    // A voigt function on a lorentzian ends on sigma = 0 or above it, converged; one started there leaves it where the
    // data are wider, although its derivative is zero there.
    xani_model *m = make("voigt + constant");
    static const double narrow[] = {5.0, 4.0, 0.0, 0.7, 1.0}, wide[] = {5.0, 4.0, 0.6, 0.5, 1.0};
    double y[N];
    single s;
    single_init(&s, N, peak_x, y);
    int at_bound = 0;
    for (uint64_t i = 0; i < 50; i++) {
        simulate(m, narrow, peak_x, N, 0.02, i, y);
        const int status = single_fit(&s, m);
        ck_assert_msg(status == XANI_MODEL_CONVERGED || status == XANI_MODEL_AT_BOUND, "status %d", status);
        at_bound += status == XANI_MODEL_AT_BOUND;
        ck_assert_int_eq(status == XANI_MODEL_AT_BOUND, s.values[2] == 0.0);
    }
    ck_assert(at_bound > 10 && at_bound < 40);
    simulate(m, wide, peak_x, N, 0.01, 1, y);
    s.data.start = narrow;
    ck_assert_int_eq(single_fit(&s, m), XANI_MODEL_CONVERGED);
    for (int k = 0; k < 5; k++) ck_assert_double_le(fabs(s.values[k] - wide[k]), 4.0 * s.errors[k]);
    xani_model_destroy(&m);
}
END_TEST

START_TEST(test_bounded_minimum)
{
    // With random boxes the end is a minimum of the box: no feasible small change of any parameter lowers chi^2.
    xani_model *m = make("gaussian + linear");
    xn_rng rng;
    xn_rng_init(&rng, 11, 0);
    int at_bound = 0;
    for (int trial = 0; trial < 200; trial++) {
        for (int k = 0; k < 5; k++) {
            const double width = 6.0 * peak_errors[k], low = peak_values[k] + width * (xn_rng_uniform(&rng) - 0.8);
            ck_assert_int_eq(xani_model_bound(ctx, m, xani_model_parameter(m, k), low, low + width), XANI_OK);
        }
        single s;
        single_init(&s, N, peak_x, peak_y);
        const int status = single_fit(&s, m);
        ck_assert_msg(status == XANI_MODEL_CONVERGED || status == XANI_MODEL_AT_BOUND, "trial %d: %d", trial, status);
        at_bound += status == XANI_MODEL_AT_BOUND;
        for (int k = 0; k < 5; k++)
            for (int sign = -1; sign <= 1; sign += 2) {
                double p[5], y[N], chi2 = 0.0;
                memcpy(p, s.values, sizeof p);
                p[k] += sign * 1e-3 * peak_errors[k];
                if (xani_model_bound(ctx, m, xani_model_parameter(m, k), fmin(p[k], -1e3), 1e3) != XANI_OK) continue;
                ck_assert_int_eq(xani_model_evaluate(ctx, m, p, peak_x, N, y, NULL), XANI_OK);
                for (int i = 0; i < N; i++) chi2 += (peak_y[i] - y[i]) * (peak_y[i] - y[i]);
                // Outside the box a lower value is allowed, on one side only, and only for those on a bound.
                if (status == XANI_MODEL_CONVERGED)
                    ck_assert_double_ge(chi2, s.chi2 * (1.0 - 1e-12));
                else if (isfinite(s.errors[k]))
                    ck_assert_double_ge(chi2, s.chi2 * (1.0 - 1e-12));
            }
    }
    ck_assert_int_gt(at_bound, 50);
    ck_assert_int_lt(at_bound, 200);
    xani_model_destroy(&m);
}
END_TEST

START_TEST(test_scales)
{
    // Data multiplied by 1e-30 or 1e30 and x by 1e-9 or 1e9 give the same fit in the same number of evaluations.
    xani_model *m = make("gaussian + linear");
    single plain;
    single_init(&plain, N, peak_x, peak_y);
    ck_assert_int_eq(single_fit(&plain, m), XANI_MODEL_CONVERGED);
    static const double y_scales[] = {1e-30, 1e30, 1.0, 1.0}, x_scales[] = {1.0, 1.0, 1e-9, 1e9};
    for (int c = 0; c < 4; c++) {
        double x[N], y[N];
        for (int i = 0; i < N; i++) {
            x[i] = x_scales[c] * peak_x[i];
            y[i] = y_scales[c] * peak_y[i];
        }
        single s;
        single_init(&s, N, x, y);
        ck_assert_int_eq(single_fit(&s, m), XANI_MODEL_CONVERGED);
        const double u = x_scales[c], v = y_scales[c], factors[] = {u * v, u, u, v / u, v};
        for (int k = 0; k < 5; k++) {
            ck_assert_double_eq_tol(s.values[k] / factors[k], plain.values[k], 1e-6 * plain.errors[k]);
            ck_assert_double_eq_tol(s.errors[k] / factors[k] / plain.errors[k], 1.0, 1e-6);
        }
        ck_assert_int_le(llabs(s.evaluations - plain.evaluations), 1);
    }
    xani_model_destroy(&m);
}
END_TEST

START_TEST(test_missing)
{
    // Samples that are NaN, infinite, or without a usable sigma count as absent, wherever they stand.
    xani_model *m = make("gaussian + linear");
    double x[N], y[N], sigma[N], fewer_x[N], fewer_y[N], curve[N];
    int n = 0;
    for (int i = 0; i < N; i++) {
        x[i] = peak_x[i], y[i] = peak_y[i], sigma[i] = 1.0;
        if (i % 7 == 0) y[i] = i % 2 ? NAN : INFINITY;
        if (i % 7 == 3) sigma[i] = i % 2 ? 0.0 : NAN;
        if (i == 19) x[i] = NAN;
        if (i % 7 != 0 && i % 7 != 3 && i != 19) fewer_x[n] = peak_x[i], fewer_y[n++] = peak_y[i];
    }
    single s, fewer;
    single_init(&s, N, x, y);
    s.data.sigma = sigma;
    single_init(&fewer, n, fewer_x, fewer_y);
    ck_assert_int_eq(single_fit(&fewer, m), XANI_MODEL_CONVERGED);
    ck_assert_int_eq(single_fit(&s, m), XANI_MODEL_CONVERGED);
    ck_assert_int_eq(s.points, n);
    for (int k = 0; k < 5; k++) ck_assert_double_eq(s.values[k], fewer.values[k]);
    ck_assert_double_eq(s.chi2, fewer.chi2);
    x[19] = peak_x[19];
    uint8_t status;
    xani_model_results r;
    xani_model_results_init(&r);
    r.curves = curve;
    r.status = &status;
    ck_assert_int_eq(xani_model_fit(ctx, m, &s.data, NULL, &r), XANI_OK);
    for (int i = 0; i < N; i++) ck_assert(isfinite(curve[i])); // the curve is there also where the data are not
    xani_model_destroy(&m);
}
END_TEST

// Largest cosine between the residual and a column of the Jacobian, by the public evaluation alone.
static double alignment(const xani_model *m, const double *p, const double *y)
{
    double f[N], d[MOST * N], r = 0.0, most = 0.0;
    ck_assert_int_eq(xani_model_evaluate(ctx, m, p, peak_x, N, f, d), XANI_OK);
    for (int i = 0; i < N; i++) r += (f[i] - y[i]) * (f[i] - y[i]);
    for (int k = 0; k < xani_model_count(m); k++) {
        double length = 0.0, along = 0.0;
        for (int i = 0; i < N; i++) {
            length += d[k * N + i] * d[k * N + i];
            along += d[k * N + i] * (f[i] - y[i]);
        }
        most = fmax(most, fabs(along) / sqrt(length * r));
    }
    return most;
}

static void check_verdicts(const char *expression, const double *y, const double *centre, const double *spread,
                           int least)
{
    xani_model *m = make(expression);
    const int n = xani_model_count(m);
    xn_rng rng;
    xn_rng_init(&rng, 3, 0);
    int converged = 0, trials = 400;
    for (int k = 0; k < n; k++) // no bounds, so that every minimum is a stationary point
        ck_assert_int_eq(xani_model_bound(ctx, m, xani_model_parameter(m, k), -INFINITY, INFINITY), XANI_OK);
    for (int t = 0; t < trials; t++) {
        double start[MOST];
        for (int k = 0; k < n; k++) start[k] = centre[k] + spread[k] * xn_rng_normal(&rng);
        single s;
        single_init(&s, N, peak_x, y);
        s.data.start = start;
        const int status = single_fit(&s, m);
        if (status != XANI_MODEL_CONVERGED) {
            for (int k = 0; k < n; k++) ck_assert_double_nan(s.errors[k]);
            continue;
        }
        converged++;
        const double cosine = alignment(m, s.values, y);
        ck_assert_msg(cosine < 1e-5, "%s, trial %d: cosine %g at a point called converged", expression, t, cosine);
        for (int k = 0; k < n; k++) ck_assert(isfinite(s.values[k]) && s.errors[k] > 0.0);
    }
    ck_assert_msg(converged >= least, "%s: %d of %d converged", expression, converged, trials);
    xani_model_destroy(&m);
}

START_TEST(test_verdicts)
{
    // From wild starts, far outside the data and with wrong signs: what is called converged is a stationary point.
    static const double peak_spread[] = {20.0, 6.0, 3.0, 3.0, 10.0}, decay_spread[] = {5.0, 5.0, 5.0, 3.0};
    check_verdicts("gaussian + linear", peak_y, peak_values, peak_spread, 250);
    check_verdicts("exponentials2", decay_y, decay_values, decay_spread, 120); // many starts overflow
    static const double wave[] = {2.0, 0.5, 0.0, 0.2, 1.0};
    check_verdicts("sine + linear", peak_y, wave, peak_spread, 250);
}
END_TEST

static void check_status(const char *expression, int n, const double *y, int status)
{
    xani_model *m = make(expression);
    single s;
    single_init(&s, n, peak_x, y);
    const int got = single_fit(&s, m);
    ck_assert_msg(got == status, "%s on %d points: status %d, not %d", expression, n, got, status);
    if (status != XANI_MODEL_CONVERGED)
        for (int k = 0; k < xani_model_count(m); k++) ck_assert_double_nan(s.errors[k]);
    xani_model_destroy(&m);
}

START_TEST(test_hopeless)
{
    // What cannot be fitted says so, with NaN for what is not known; what fits exactly has converged.
    double missing[N], flat[N], zero[N] = {0};
    for (int i = 0; i < N; i++) missing[i] = NAN, flat[i] = 3.25;
    check_status("gaussian", N, missing, XANI_MODEL_MASKED);
    check_status("gaussian", 0, missing, XANI_MODEL_MASKED);
    check_status("gaussian", 2, peak_y, XANI_MODEL_FEW_POINTS);
    check_status("gaussian", N, zero, XANI_MODEL_SINGULAR);
    check_status("constant", N, flat, XANI_MODEL_CONVERGED);
    check_status("constant", N, zero, XANI_MODEL_CONVERGED);
    check_status("a:constant + b:constant", N, peak_y, XANI_MODEL_SINGULAR);
    check_status("constant", 1, flat, XANI_MODEL_CONVERGED);
    // No peak in constant data: where it is not is not known either.
    xani_model *m = make("gaussian + constant");
    single s;
    single_init(&s, N, peak_x, flat);
    const int status = single_fit(&s, m);
    ck_assert(status == XANI_MODEL_SINGULAR || (status == XANI_MODEL_CONVERGED && s.errors[1] > 10.0));
    xani_model_destroy(&m);
}
END_TEST

static void add(TCase *t)
{
    tcase_add_checked_fixture(t, set_up, tear_down);
    tcase_add_test(t, test_lmfit);
    tcase_add_test(t, test_ties);
    tcase_add_test(t, test_fixed);
    tcase_add_test(t, test_bounds);
    tcase_add_test(t, test_width_of_zero);
    tcase_add_test(t, test_bounded_minimum);
    tcase_add_test(t, test_scales);
    tcase_add_test(t, test_missing);
    tcase_add_test(t, test_verdicts);
    tcase_add_test(t, test_hopeless);
}
XN_TEST_MAIN("lsq", add)
