// SPDX-License-Identifier: BSD-3-Clause
// test_fit.c -- fits of traces in memory and of cubes: values, errors, status, bounds, refusals.
#include "context.h"

#include "core/rng.h"
#include "fit/fit.h"
#include "kernel/kernels.h"

#define TWO_PI 6.28318530717958647693

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

// K modes at least 0.4 THz apart, 200 samples of 0.05 ps from 0.02 ps on
enum { N2 = 200, P2 = 300 };
static float y2[N2 * P2];
static double t2[N2];
static mode truth2[P2][4];

static void make_traces(int n_modes, double apart, double sigma, uint64_t seed)
{
    for (int i = 0; i < N2; i++) t2[i] = 0.02 + 0.05 * i;
    for (int p = 0; p < P2; p++) {
        xn_rng rng;
        xn_rng_init(&rng, seed, (uint64_t)p);
        double f = 0.7 + xn_rng_uniform(&rng);
        for (int k = 0; k < n_modes; k++) {
            truth2[p][k] = (mode){f, 1 / (2 + 6 * xn_rng_uniform(&rng)), 0.5 + 0.5 * xn_rng_uniform(&rng),
                                  TWO_PI * xn_rng_uniform(&rng)};
            f += apart * (1 + xn_rng_uniform(&rng));
        }
        for (int i = 0; i < N2; i++)
            y2[i * P2 + p] = (float)(model(truth2[p], n_modes, t2[i]) + 0.3 + sigma * xn_rng_normal(&rng));
    }
}

START_TEST(test_modes)
{
    // One to four modes at signal to noise 30 are all found, from either start and both; pulls of all four parameters
    // have width 1 within 12 %; results are sorted by significance.
    const int n_modes = _i + 1;
    for (int start = 0; start < 3; start++) {
        make_traces(n_modes, 0.5, 1.0 / 30, 3);
        xani_fit_options o = options(n_modes, 0);
        o.start = start;
        static xani_fit_result r[P2];
        ck_assert_int_eq(xn_fit_traces(ctx, &o, y2, t2, N2, P2, NULL, r), XANI_OK);
        double pull[4] = {0};
        int n = 0, complete = 0;
        for (int p = 0; p < P2; p++) {
            complete += r[p].n_modes == n_modes && r[p].status == 0;
            for (int k = 0; k + 1 < r[p].n_modes; k++) ck_assert(r[p].significance[k] >= r[p].significance[k + 1]);
            for (int k = 0; k < n_modes && r[p].n_modes == n_modes; k++) {
                const mode *m = &truth2[p][k];
                const int j = nearest(&r[p], m->f);
                const double d[4] = {(r[p].frequency_thz[j] - m->f) / r[p].frequency_error[j],
                                     (r[p].damping_per_ps[j] - m->g) / r[p].damping_error[j],
                                     (r[p].amplitude[j] - m->a) / r[p].amplitude_error[j],
                                     angle(r[p].phase[j] - m->phase) / r[p].phase_error[j]};
                for (int q = 0; q < 4; q++) pull[q] += fmin(d[q] * d[q], 25);
                n++;
            }
        }
        ck_assert_msg(complete >= P2 * 98 / 100, "%d modes, start %d: %d of %d complete", n_modes, start, complete, P2);
        for (int q = 0; q < 4; q++)
            ck_assert_msg(fabs(sqrt(pull[q] / n) - 1) < 0.12, "%d modes, start %d: pull of parameter %d has width %.3f",
                          n_modes, start, q, sqrt(pull[q] / n));
    }
}
END_TEST

START_TEST(test_both)
{
    // With start `both` chi^2 is that of the better start wherever all found as many modes: close pairs and triples.
    for (int n_modes = 2; n_modes <= 3; n_modes++) {
        make_traces(n_modes, 0.06, 0.1, 4);
        static xani_fit_result r[3][P2];
        for (int start = 0; start < 3; start++) {
            xani_fit_options o = options(n_modes, 0);
            o.start = start;
            o.tolerance = 1e-6;
            ck_assert_int_eq(xn_fit_traces(ctx, &o, y2, t2, N2, P2, NULL, r[start]), XANI_OK);
        }
        int compared = 0;
        for (int p = 0; p < P2; p++) {
            if (r[0][p].n_modes != r[1][p].n_modes || r[2][p].n_modes != r[0][p].n_modes) continue;
            // chi^2 is a difference of sums in float, of data some thirty times as large
            ck_assert_double_le(r[2][p].chi2_reduced, 1.0002 * fmin(r[0][p].chi2_reduced, r[1][p].chi2_reduced));
            compared++;
        }
        ck_assert_int_gt(compared, P2 / 2);
    }
}
END_TEST

START_TEST(test_sigma)
{
    // Given sigmas are used for errors and significance as they are, each trace its own.
    make_traces(1, 0.5, 0.1, 5);
    static xani_fit_result r[2][P2];
    float sigma[P2];
    for (int p = 0; p < P2; p++) sigma[p] = 0.1f * (float)(1 + p % 3);
    xani_fit_options o = options(1, 0);
    o.significance = 5;
    ck_assert_int_eq(xn_fit_traces(ctx, &o, y2, t2, N2, P2, NULL, r[0]), XANI_OK);
    ck_assert_int_eq(xn_fit_traces(ctx, &o, y2, t2, N2, P2, sigma, r[1]), XANI_OK);
    for (int p = 0; p < P2; p++) {
        const double s = sqrt(r[0][p].chi2_reduced) / sigma[p]; // residual over given
        ck_assert_double_eq_tol(r[1][p].chi2_reduced, s * s, 0.02 * s * s);
        ck_assert_double_eq_tol(r[1][p].frequency_error[0] / r[0][p].frequency_error[0] * s, 1, 0.02);
        ck_assert_double_eq_tol(r[1][p].significance[0] / r[0][p].significance[0] / (s * s), 1, 0.02);
    }
}
END_TEST

START_TEST(test_options)
{
    // Wrong options and delays are refused with one line; no traces are no error; one NaN trace is only its own.
    make_traces(1, 0.5, 0.1, 6);
    static xani_fit_result r[P2];
    xani_fit_options wrong[9];
    for (int i = 0; i < 9; i++) wrong[i] = options(1, 0);
    wrong[0].modes_max = 5;
    wrong[1].background = 5;
    wrong[2].frequency_thz[0] = 3;
    wrong[2].frequency_thz[1] = 2;
    wrong[3].significance = -1;
    wrong[4].start = 5;
    wrong[5].precision = 16;
    wrong[6].kernels = "sse9";
    wrong[7].size = 4;
    wrong[8].tolerance = NAN;
    for (int i = 0; i < 9; i++) {
        xn_clear_error(ctx);
        ck_assert_int_eq(xn_fit_traces(ctx, &wrong[i], y2, t2, N2, P2, NULL, r), XANI_ERR_USAGE);
        ck_assert_msg(strstr(xani_error_text(ctx), "fit options") != NULL, "%d: %s", i, xani_error_text(ctx));
    }
    xani_fit_options o = options(1, 0);
    ck_assert_int_eq(xn_fit_traces(ctx, &o, NULL, NULL, 0, 0, NULL, NULL), XANI_OK);
    double late[N2];
    memcpy(late, t2, sizeof late);
    late[7] = late[6];
    ck_assert_int_eq(xn_fit_traces(ctx, &o, y2, late, N2, P2, NULL, r), XANI_ERR_USAGE);
    late[7] = NAN;
    ck_assert_int_eq(xn_fit_traces(ctx, &o, y2, late, N2, P2, NULL, r), XANI_ERR_USAGE);
    for (int i = 0; i < N2; i++) y2[i * P2 + 4] = NAN;
    ck_assert_int_eq(xn_fit_traces(ctx, &o, y2, t2, N2, P2, NULL, r), XANI_OK);
    for (int p = 0; p < P2; p++) {
        ck_assert(p == 4 ? r[p].status == 3 && r[p].n_modes == 0 : r[p].n_modes == 1);
        ck_assert(p != 4 || (isnan(r[p].frequency_thz[0]) && isnan(r[p].chi2_reduced)));
    }
}
END_TEST

static void add(TCase *t)
{
    tcase_add_checked_fixture(t, set_up, tear_down);
    tcase_add_test(t, test_noiseless);
    tcase_add_loop_test(t, test_modes, 0, 4);
    tcase_add_test(t, test_both);
    tcase_add_test(t, test_sigma);
    tcase_add_test(t, test_options);
}
XN_TEST_MAIN("fit", add)
