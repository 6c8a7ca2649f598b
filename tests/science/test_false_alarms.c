// SPDX-License-Identifier: BSD-3-Clause
// test_false_alarms.c -- noise alone: the share of traces with a mode is what the threshold says, below 1 %.
#include "context.h"

#include "core/rng.h"
#include "fit/fit.h"
#include "fit/plan.h"

enum { P = 12000 };
static xani_fit_result r[P];
static double absent; // share of samples that are missing

// Share of traces of white noise with at least one mode
static double share(int n, int background, int modes_max, int start, double significance, const float *sigma,
                    double band)
{
    float *y = xn_alloc((size_t)n * P, sizeof *y);
    double *t = xn_alloc((size_t)n, sizeof *t);
    xn_rng rng;
    xn_rng_init(&rng, 31, (uint64_t)(n + background));
    for (int i = 0; i < n * P; i++) y[i] = (float)xn_rng_normal(&rng);
    for (int i = 0; i < n * P && absent > 0; i++)
        if (xn_rng_uniform(&rng) < absent) y[i] = NAN;
    for (int i = 0; i < n; i++) t[i] = 0.05 * i;
    xani_fit_options o = {.size = sizeof o,
                          .modes_max = modes_max,
                          .background = background,
                          .start = start,
                          .significance = significance,
                          .kernels = "auto",
                          .frequency_thz = {0, band}};
    ck_assert_int_eq(xn_fit_traces(ctx, &o, y, t, n, P, sigma, r), XANI_OK);
    xn_free(y);
    xn_free(t);
    int found = 0;
    for (int p = 0; p < P; p++) found += r[p].n_modes > 0;
    return found / (double)P;
}

START_TEST(test_default)
{
    // At the default threshold 0.2 to 0.9 % of noise traces show a mode, for 60 to 400 samples, constant or quadratic
    // background, one or three modes, either start; with known sigma no more than that.
    static const int cases[][4] = {{60, 0, 1, 0}, {100, 2, 3, 0}, {200, 0, 3, 2}, {200, 2, 3, 0}, {400, 0, 1, 0}};
    static float one[P];
    for (int p = 0; p < P; p++) one[p] = 1;
    for (size_t c = 0; c < sizeof cases / sizeof cases[0]; c++) {
        const int *q = cases[c];
        double s = share(q[0], q[1], q[2], q[3], 0, NULL, 0);
        ck_assert_msg(s > 0.002 && s < 0.009, "%d samples, background %d: %.2f %%", q[0], q[1], 100 * s);
        s = share(q[0], q[1], q[2], q[3], 0, one, 0);
        ck_assert_msg(s < 0.007, "%d samples, background %d, sigma known: %.2f %%", q[0], q[1], 100 * s);
    }
}
END_TEST

START_TEST(test_formula)
{
    // The share that the formula gives for a threshold is the share of noise traces above it, within a third; a narrow
    // band needs less.
    for (int n = 100; n <= 200; n += 100)
        for (double x = 12; x < 22; x += 3)
            for (double band = 0; band <= 3; band += 3) {
                double expected, lines = ((band > 0 ? band : 9.5) - 1 / (0.05 * n)) * 0.05 * n;
                xn_fit_threshold(x, lines, n - 1, 1, &expected);
                const double s = share(n, 0, 1, 0, x, NULL, band);
                ck_assert_msg(s > 0.66 * expected - 0.002 && s < 1.33 * expected + 0.002,
                              "%d samples, D > %g, band %g: %.2f %%, formula %.2f %%", n, x, band, 100 * s,
                              100 * expected);
            }
    double share_wide, share_narrow;
    ck_assert_double_gt(xn_fit_threshold(0, 94, 199, 1, &share_wide),
                        xn_fit_threshold(0, 10, 199, 1, &share_narrow) + 3);
    ck_assert_double_eq_tol(share_wide, 0.005, 1e-6);
    ck_assert_double_eq_tol(share_narrow, 0.005, 1e-6);
}
END_TEST

START_TEST(test_narrow)
{
    // A band of less than one line, also at the upper end, has no more alarms than the calibrated threshold says.
    static const double bands[][2] = {{3, 3.001}, {3, 3.02}, {3.05, 3.1}, {9.49, 9.5}, {9.4, 9.5}, {0.1, 0.15}};
    const int n = 200;
    float *y = xn_alloc((size_t)n * P, sizeof *y);
    double t[200];
    xn_rng rng;
    xn_rng_init(&rng, 31, 5);
    for (int i = 0; i < n * P; i++) y[i] = (float)xn_rng_normal(&rng);
    for (int i = 0; i < n; i++) t[i] = 0.05 * i;
    for (size_t k = 0; k < sizeof bands / sizeof bands[0]; k++) {
        xani_fit_options o;
        xani_fit_options_init(&o);
        o.frequency_thz[0] = bands[k][0], o.frequency_thz[1] = bands[k][1];
        double threshold, said;
        ck_assert_int_eq(xn_fit_threshold_of(ctx, &o, t, n, &threshold, &said), XANI_OK);
        ck_assert_double_eq_tol(said, 0.005, 1e-6);
        ck_assert_int_eq(xn_fit_traces(ctx, &o, y, t, n, P, NULL, r), XANI_OK);
        int found = 0;
        for (int p = 0; p < P; p++) found += r[p].n_modes > 0;
        ck_assert_msg(found < 0.0075 * P, "[%g, %g]: %.2f %%", bands[k][0], bands[k][1], 100.0 * found / P);
    }
    xani_fit_options o;
    xani_fit_options_init(&o);
    o.frequency_thz[0] = 50, o.frequency_thz[1] = 60;
    ck_assert_int_eq(xn_fit_traces(ctx, &o, y, t, n, P, NULL, r), XANI_ERR_USAGE);
    ck_assert_ptr_nonnull(strstr(xani_error_text(ctx), "frequency_thz: [50, 60]"));
    xn_free(y);
}
END_TEST

START_TEST(test_missing)
{
    // Of a trace with few samples left the variance is less certain: the threshold follows, trace by trace.
    static const double shares[] = {0.3, 0.7, 0.85, 0.93};
    for (int i = 0; i < 4; i++) {
        absent = shares[i];
        const double s = share(200, 1, 3, 0, 0, NULL, 0);
        ck_assert_msg(s < 0.009, "%.0f %% missing: %.2f %%", 100 * absent, 100 * s);
        ck_assert_msg(absent > 0.9 || s > 0.0005, "%.0f %% missing: %.2f %%", 100 * absent, 100 * s);
    }
    absent = 0;
}
END_TEST

static void add(TCase *t)
{
    tcase_add_checked_fixture(t, set_up, tear_down);
    tcase_add_test(t, test_default);
    tcase_add_test(t, test_formula);
    tcase_add_test(t, test_narrow);
    tcase_add_test(t, test_missing);
}
XN_TEST_MAIN("false_alarms", add)
