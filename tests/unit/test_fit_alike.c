// SPDX-License-Identifier: BSD-3-Clause
// test_fit_alike.c -- modes nearly alike, and modes that do not decay: what is reported is a minimum, and belongs
// together.
#include "test.h"

#include "core/rng.h"
#include "fit/fit.h"

#define TWO_PI 6.28318530717958647693

enum { N = 200, P = 8192 };

static xn_ctx *ctx;
static float y[N * P], sigma[P];
static double t[N];
static xani_fit_result r[P], one[P];

static void set_up(void)
{
    ck_assert_int_eq(xani_create(&ctx), XANI_OK);
    for (int i = 0; i < N; i++) t[i] = 0.05 * i;
}
static void tear_down(void) { xani_destroy(&ctx); }

static void fit(int modes_max, int precision, xani_fit_result *result)
{
    xani_fit_options o;
    xani_fit_options_init(&o);
    o.modes_max = modes_max;
    o.precision = precision;
    o.background = 1;
    ck_assert_int_eq(xani_fit_traces(ctx, &o, y, t, N, P, sigma, result), XANI_OK);
}

// Reduced chi^2 of the numbers in a result.
static double chi2_of(const xani_fit_result *x, int p)
{
    double sum = 0;
    for (int i = 0; i < N; i++) {
        double v = x->background[0] + x->background[1] * (2 * t[i] / t[N - 1] - 1);
        for (int k = 0; k < x->n_modes; k++)
            v += x->amplitude[k] * exp(-x->damping_per_ps[k] * t[i]) *
                 cos(TWO_PI * x->frequency_thz[k] * t[i] + x->phase[k]);
        v = ((double)y[i * P + p] - v) / (double)sigma[p];
        sum += v * v;
    }
    return sum / (N - 2 - 4 * x->n_modes);
}

// A line whose frequency drifts by 3 % (case 0), two lines one over the scan's length apart (1), a line that does not
// decay (2).
static void simulate(int what, double snr)
{
    xn_rng rng;
    xn_rng_init(&rng, 7, (uint64_t)what);
    for (int p = 0; p < P; p++) {
        const double a = TWO_PI * xn_rng_uniform(&rng), b = TWO_PI * xn_rng_uniform(&rng);
        const double f = what == 2 ? 1 + 7 * xn_rng_uniform(&rng) : 3;
        sigma[p] = (float)(1 / snr);
        for (int i = 0; i < N; i++) {
            double v = cos(TWO_PI * f * t[i] + a);
            if (what == 0) v = exp(-0.1 * t[i]) * cos(TWO_PI * (3 * t[i] + 0.09 * exp(-t[i] / 3)) + a);
            if (what == 1) v = exp(-0.2 * t[i]) * (cos(TWO_PI * 2 * t[i] + a) + cos(TWO_PI * 2.1 * t[i] + b));
            y[i * P + p] = (float)(v + xn_rng_normal(&rng) / snr);
        }
    }
}

START_TEST(test_alike)
{
    // No trace is lost or left unfinished, none of the fits is worse than with one mode, and chi^2 is that of the
    // numbers beside it. (A slow drift may be fitted and not reported: 5 % for those.)
    const int what = _i % 3, precision = _i / 3 * 64;
    simulate(what, what == 1 ? 10 : 30);
    fit(3, precision, r);
    fit(1, precision, one);
    int apart = 0;
    for (int p = 0; p < P; p++) {
        ck_assert_msg(r[p].status == XN_FIT_MODES || r[p].status == XN_FIT_AT_BOUND, "%d: status %d", p, r[p].status);
        ck_assert_msg(r[p].chi2_reduced < 1.03 * one[p].chi2_reduced, "%d: chi2 %g, with one mode %g", p,
                      r[p].chi2_reduced, one[p].chi2_reduced);
        const double ratio = chi2_of(&r[p], p) / r[p].chi2_reduced;
        ck_assert_msg(ratio > 0.99 && ratio < 1.5, "%d: chi2 %g times what is told", p, ratio);
        apart += ratio > 1.05;
    }
    ck_assert_msg(apart <= P / 1000, "%d of %d results do not belong together", apart, P);
}
END_TEST

START_TEST(test_undamped)
{
    // A mode that does not decay is one mode at any signal to noise, with or without an error of its damping.
    simulate(2, _i == 0 ? 30 : 1000);
    fit(3, 0, r);
    int single = 0;
    for (int p = 0; p < P; p++) {
        single += r[p].n_modes == 1;
        ck_assert(r[p].n_modes >= 1);
        ck_assert_msg(r[p].damping_per_ps[0] >= 0 && r[p].damping_per_ps[0] < 0.02, "%d: damping %g", p,
                      r[p].damping_per_ps[0]);
    }
    ck_assert_msg(single >= 0.98 * P, "%d of %d with one mode", single, P);
}
END_TEST

static void add(TCase *c)
{
    tcase_add_checked_fixture(c, set_up, tear_down);
    tcase_add_loop_test(c, test_alike, 0, 6);
    tcase_add_loop_test(c, test_undamped, 0, 2);
}
XN_TEST_MAIN("fit_alike", add)
