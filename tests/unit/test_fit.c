// SPDX-License-Identifier: BSD-3-Clause
// test_fit.c -- fits of traces in memory and of cubes: values, errors, status, bounds, refusals.
#include "test.h"

#include "core/rng.h"
#include "fit/fit.h"
#include "kernel/kernels.h"

#define TWO_PI 6.28318530717958647693

static xn_ctx *ctx;
static void set_up(void) { ck_assert_int_eq(xani_create(&ctx), XANI_OK); }
static void tear_down(void) { xani_destroy(&ctx); }

typedef struct {
    double f, g, a, phase;
} mode;

static double model(const mode *m, int n_modes, double t)
{
    double y = 0;
    for (int k = 0; k < n_modes; k++) y += m[k].a * exp(-m[k].g * t) * cos(TWO_PI * m[k].f * t + m[k].phase);
    return y;
}

static double angle(double x) { return atan2(sin(x), cos(x)); }

static xani_fit_options options(int modes_max, int background)
{
    return (xani_fit_options){.size = sizeof(xani_fit_options),
                              .modes_max = modes_max,
                              .background = background,
                              .start = 0,
                              .kernels = "auto",
                              .threads = 1};
}

// The result's mode nearest to f
static int nearest(const xani_fit_result *r, double f)
{
    int best = 0;
    for (int k = 1; k < r->n_modes; k++)
        if (fabs(r->frequency_thz[k] - f) < fabs(r->frequency_thz[best] - f)) best = k;
    return best;
}

START_TEST(test_noiseless)
{
    // Traces without noise give back what was put in: frequency to 1e-4 THz, amplitude 2e-3, damping 5e-3, phase 0.01,
    // referred to delay zero, for three lines of very different strength, from either start.
    enum { N = 500, P = 40 };
    static float y[N * P];
    static double t[N];
    static mode truth[P][3];
    xn_rng rng;
    xn_rng_init(&rng, 5, 0);
    for (int i = 0; i < N; i++) t[i] = 0.013 + 0.02 * i;
    for (int p = 0; p < P; p++) {
        double f = 1.5 + 2 * xn_rng_uniform(&rng);
        for (int k = 0; k < 3; k++) {
            truth[p][k] = (mode){f, 0.35, -pow(10, -2 * xn_rng_uniform(&rng)) * 0.05, 0};
            f += 0.45 + 4 * xn_rng_uniform(&rng);
        }
        for (int i = 0; i < N; i++) y[i * P + p] = (float)(model(truth[p], 3, t[i]) - model(truth[p], 3, 0));
    }
    for (int start = 0; start < 3; start++) {
        xani_fit_options o = options(3, 0);
        o.start = start;
        xani_fit_result r[P];
        ck_assert_int_eq(xn_fit_traces(ctx, &o, y, t, N, P, NULL, r), XANI_OK);
        for (int p = 0; p < P; p++) {
            ck_assert_msg(r[p].n_modes == 3 && r[p].status == 0, "trace %d: %d modes, status %d", p, r[p].n_modes,
                          r[p].status);
            for (int k = 0; k < 3; k++) {
                int m = nearest(&r[p], truth[p][k].f);
                ck_assert_double_eq_tol(r[p].frequency_thz[m], truth[p][k].f, 1e-4);
                ck_assert_double_eq_tol(r[p].amplitude[m] / -truth[p][k].a, 1.0, 2e-3);
                ck_assert_double_eq_tol(r[p].damping_per_ps[m], 0.35, 5e-3);
                ck_assert_double_eq_tol(angle(r[p].phase[m] - TWO_PI / 2), 0.0, 0.01);
            }
        }
    }
}
END_TEST

static void add(TCase *t)
{
    tcase_add_checked_fixture(t, set_up, tear_down);
    tcase_add_test(t, test_noiseless);
}
XN_TEST_MAIN("fit", add)
