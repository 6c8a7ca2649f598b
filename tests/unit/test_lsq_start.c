// SPDX-License-Identifier: BSD-3-Clause
// test_lsq_start.c -- from data alone: every function, alone and on a background, is found without any start value.
#include "lsq_common.h"

enum { N = 200, SETS = 100 };

typedef struct example {
    const char *model;
    double p[MOST];
    double low, high, sigma; // x; noise
    double found;            // least share of data sets whose fit reaches at least the chi^2 of the truth
} example;

static const example examples[] = {
    {"constant", {3.2}, 0, 10, 0.5, 1.0},
    {"linear", {0.7, -2.0}, 0, 10, 0.5, 1.0},
    {"polynomial4", {1.0, -2.0, 0.3, 0.05, -0.008}, 0, 10, 0.5, 1.0},
    {"gaussian", {5.0, 4.3, 0.8}, 0, 10, 0.1, 1.0},
    {"gaussian + constant", {-5.0, 4.3, 0.8, 30.0}, 0, 10, 0.1, 1.0},
    {"gaussian + linear", {5.0, 6.9, 0.5, 0.4, -3.0}, 0, 10, 0.1, 1.0},
    {"lorentzian + polynomial2", {5.0, 4.3, 0.5, 2.0, -0.2, 0.03}, 0, 10, 0.1, 1.0},
    {"pseudo_voigt + constant", {5.0, 4.3, 0.6, 0.4, 1.0}, 0, 10, 0.02, 1.0},
    {"voigt + constant", {5.0, 4.3, 0.6, 0.3, 1.0}, 0, 10, 0.02, 1.0},
    {"moffat", {2.0, 4.3, 1.1, 1.6}, 0, 10, 0.02, 1.0},
    {"skewed_gaussian", {5.0, 3.3, 1.4, 2.0}, 0, 10, 0.02, 0.99},
    {"lognormal", {5.0, 0.9, 0.4}, 0.05, 12, 0.02, 1.0},
    {"fano", {1.0, 4.3, 1.2, 1.8}, 0, 10, 0.05, 0.97},
    {"damped_oscillator", {1.0, 4.3, 0.1}, 0, 10, 0.05, 1.0},
    {"a:gaussian + b:gaussian + constant", {5.0, 3.0, 0.5, 3.0, 7.0, 0.8, 1.0}, 0, 10, 0.05, 1.0},
    {"a:gaussian + b:lorentzian + linear", {5.0, 3.0, 0.5, 3.0, 7.0, 0.4, 0.1, 1.0}, 0, 10, 0.05, 0.99},
    {"exponential", {4.0, 2.0}, 0, 10, 0.1, 1.0},
    {"exponential + constant", {4.0, 2.0, 7.0}, 0, 10, 0.1, 1.0},
    {"exponential + constant", {-4.0, 0.7, 1.0}, 0, 10, 0.1, 1.0},
    {"exponentials2", {3.0, 0.6, 4.0, 3.5}, 0, 10, 0.03, 1.0},
    {"exponentials2 + constant", {3.0, 0.6, 4.0, 2.5, 1.0}, 0, 15, 0.03, 0.97},
    {"exponentials3", {5.0, 0.3, 4.0, 1.5, 5.0, 9.0}, 0, 20, 0.003, 0.95},
    {"stretched_exponential", {3.0, 1.5, 0.7}, 0, 10, 0.02, 1.0},
    {"exponential_step", {3.0, 2.1, 0.15, 2.5}, -2, 10, 0.1, 1.0},
    {"exponential_step + constant", {-3.0, 2.1, 0.15, 2.5, 0.4}, -2, 10, 0.1, 1.0},
    {"power_law", {2.0, -1.5}, 0.5, 10, 0.02, 1.0},
    {"power_law", {0.2, 2.5}, 0, 10, 0.5, 1.0},
    {"step_erf + constant", {3.0, 4.2, 0.7, 1.0}, 0, 10, 0.1, 1.0},
    {"step_arctan", {-3.0, 4.2, 0.7}, 0, 10, 0.1, 1.0},
    {"logistic + constant", {3.0, 4.2, 0.5, -1.0}, 0, 10, 0.1, 1.0},
    {"sine", {1.5, 0.83, 0.4}, 0, 10, 0.3, 1.0},
    {"sine + linear", {1.5, 3.17, -2.0, 0.05, 5.0}, 0, 10, 0.3, 1.0},
    {"damped_cosines1 + constant", {1.0, 0.3, 2.4, 0.5, 3.0}, 0.05, 10, 0.1, 1.0},
    {"damped_cosines2 + polynomial1", {1.0, 0.3, 2.4, 0.5, 0.7, 0.2, 4.4, -2.0, 1.0, 0.01}, 0.05, 10, 0.1, 0.99},
};

static double sum_of_squares(const double *a, const double *b)
{
    double sum = 0.0;
    for (int i = 0; i < N; i++) sum += (a[i] - b[i]) * (a[i] - b[i]);
    return sum;
}

START_TEST(test_found)
{
    // Simulated data sets are fitted as well as by the truth, none worse is called converged, and errors are honest:
    // the spread of (value - truth)/error is one.
    const example *e = &examples[_i];
    static double y[SETS][N], truth[N], values[SETS * MOST], errors[SETS * MOST], chi2[SETS], x[N];
    static uint8_t status[SETS];
    xani_model *m = make(e->model);
    const int n = xani_model_count(m);
    ramp(x, N, e->low, e->high);
    for (int i = 0; i < SETS; i++) simulate(m, e->p, x, N, e->sigma, (uint64_t)(100 + i), y[i]);
    ck_assert_int_eq(xani_model_evaluate(ctx, m, e->p, x, N, truth, NULL), XANI_OK);
    xani_model_data data;
    xani_model_data_init(&data);
    data.n_sets = SETS;
    data.n_points = N;
    data.x = x;
    data.y = y[0];
    xani_model_results r;
    xani_model_results_init(&r);
    r.values = values, r.errors = errors, r.chi2 = chi2, r.status = status;
    ck_assert_msg(xani_model_fit(ctx, m, &data, NULL, &r) == XANI_OK, "%s", xani_error_text(ctx));
    int found = 0;
    double pulls = 0.0;
    for (int i = 0; i < SETS; i++) {
        const bool good = chi2[i] <= sum_of_squares(y[i], truth) * (1.0 + 1e-9);
        found += good && (status[i] == XANI_MODEL_CONVERGED || status[i] == XANI_MODEL_AT_BOUND);
        const double pull = (values[i * n] - e->p[0]) / errors[i * n];
        pulls += good && isfinite(pull) ? fmin(pull * pull, 25.0) / SETS : 0.0;
    }
    ck_assert_msg(found >= e->found * SETS, "%s: %d of %d found", e->model, found, SETS);
    if (n <= 4) ck_assert_msg(pulls > 0.6 && pulls < 1.6, "%s: mean square of pulls %.2f", e->model, pulls);
    xani_model_destroy(&m);
}
END_TEST

START_TEST(test_peak_at_an_end)
{
    // A peak that reaches an end of x, up to half cut off and of either sign, is found beside its background.
    xani_model *m = make("gaussian + constant");
    double x[N], y[N], truth[N];
    single s;
    ramp(x, N, 0, 10);
    single_init(&s, N, x, y);
    for (int i = 0; i < 40; i++) {
        const double off = 0.2 + 0.045 * i, height = i % 2 ? -5.0 : 5.0; // from the end, in sigma
        const double p[] = {height, i % 4 < 2 ? off : 10.0 - off, 1.0, 2.0};
        simulate(m, p, x, N, 0.07, (uint64_t)i, y);
        ck_assert_int_eq(xani_model_evaluate(ctx, m, p, x, N, truth, NULL), XANI_OK);
        ck_assert_int_eq(single_fit(&s, m), XANI_MODEL_CONVERGED);
        ck_assert_msg(s.chi2 <= sum_of_squares(y, truth), "centre %g: found %g, chi2 %g", p[1], s.values[1], s.chi2);
    }
    xani_model_destroy(&m);
}
END_TEST

static void add(TCase *t)
{
    tcase_add_checked_fixture(t, set_up, tear_down);
    tcase_add_test(t, test_peak_at_an_end);
    tcase_add_loop_test(t, test_found, 0, (int)(sizeof examples / sizeof examples[0]));
}
XN_TEST_MAIN("lsq start", add)
