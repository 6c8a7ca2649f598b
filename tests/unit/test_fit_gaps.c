// SPDX-License-Identifier: BSD-3-Clause
// test_fit_gaps.c -- delays of several steps and with gaps: the band is what they can show, and two modes are found
// where they are, whatever the side lobes of the delays.
#include "test.h"

#include "core/rng.h"
#include "fit/plan.h"

#define TWO_PI 6.28318530717958647693

enum { MOST = 240, P = 256 };

static xn_ctx *ctx;
static float y[MOST * P], sigma[P];
static double t[MOST];
static int n;
static xani_fit_result r[P];

static void set_up(void)
{
    ck_assert_int_eq(xani_create(&ctx), XANI_OK);
    n = 0;
}
static void tear_down(void) { xani_destroy(&ctx); }

// Delays begin, begin + step, ... below end
static void add_delays(double begin, double end, double step)
{
    for (int i = 0; begin + step * i < end - 1e-9; i++) t[n++] = begin + step * i;
}

static void simulate(const double *f, int modes)
{
    static const double amplitude[] = {10, 8};
    xn_rng rng;
    xn_rng_init(&rng, 11, (uint64_t)n);
    for (int p = 0; p < P; p++) {
        const double phase[] = {TWO_PI * xn_rng_uniform(&rng), TWO_PI * xn_rng_uniform(&rng)};
        sigma[p] = 1.0F;
        for (int i = 0; i < n; i++) {
            double v = 40 + xn_rng_normal(&rng);
            for (int k = 0; k < modes; k++) v += amplitude[k] * exp(-0.3 * t[i]) * cos(TWO_PI * f[k] * t[i] + phase[k]);
            y[i * P + p] = (float)v;
        }
    }
}

static void fit(int modes_max, bool known)
{
    xani_fit_options o;
    xani_fit_options_init(&o);
    o.modes_max = modes_max;
    o.background = 0;
    ck_assert_int_eq(xani_fit_traces(ctx, &o, y, t, n, P, known ? sigma : NULL, r), XANI_OK);
}

// Traces where not just the modes at f were found, 0.05 THz apart at most.
static int wrong(const double *f, int modes)
{
    int bad = 0;
    for (int p = 0; p < P; p++) {
        bool good = r[p].n_modes == modes;
        for (int k = 0; k < modes; k++) {
            double nearest = 1e9;
            for (int m = 0; m < r[p].n_modes; m++) nearest = fmin(nearest, fabs(r[p].frequency_thz[m] - f[k]));
            good = good && nearest < 0.05;
        }
        bad += !good;
    }
    return bad;
}

static xn_fit_plans plans_of(void)
{
    xn_fit_plans plans;
    const xn_fit_setup setup = {.delay_ps = t, .n = n, .modes_max = 2};
    ck_assert_int_eq(xn_fit_plans_create(ctx, &setup, &plans), XANI_OK);
    return plans;
}

START_TEST(test_two_steps)
{
    // 40 delays of 50 fs and more or less of 200 fs: the fine ones tell images at 5 THz apart.
    static const int coarse[] = {30, 39, 40, 60, 120};
    const double f[] = {4.3, 7.0};
    add_delays(0.025, 2.025, 0.05);
    add_delays(2.1, 2.1 + 0.2 * coarse[_i], 0.2);
    for (int k = 0; k < 2; k++) {
        simulate(&f[k], 1);
        fit(1, true);
        ck_assert_msg(wrong(&f[k], 1) == 0, "%d coarse steps, %g THz: %d wrong", coarse[_i], f[k], wrong(&f[k], 1));
    }
}
END_TEST

START_TEST(test_band)
{
    double nyquist = 10.0, jitter[] = {0.0, 0.012};
    xn_fit_plans plans;
    xn_rng rng;
    xn_rng_init(&rng, 3, 0);
    for (int i = 0; i < 120; i++) { // pairs 1 fs apart, which tell nothing beyond; those of 50 fs in 400 fs do
        t[n++] = 0.05 * i;
        if (_i == 0) t[n++] = 0.05 * i + 0.001;
        if (_i == 1) t[n - 1] = 0.2 * i - (i & 1 ? 0.15 : 0.0);
        if (_i == 2) t[n - 1] = 0.05 * pow(200.0, i / 119.0);
    }
    if (_i == 2) nyquist = 0.5 / (t[60] - t[59]); // all different: what most are apart
    plans = plans_of();
    ck_assert_msg(fabs(plans.nyquist_thz / nyquist - 1) < 0.03, "case %d: %g THz", _i, plans.nyquist_thz);
    xn_fit_plans_free(&plans);
    for (int k = 0; k < 2; k++) { // even delays, or nearly: as ever, and nothing to be repaired
        n = 0;
        for (int i = 0; i < 120; i++) t[n++] = 0.05 * i + jitter[k] * (xn_rng_uniform(&rng) - 0.5);
        plans = plans_of();
        ck_assert_msg(fabs(plans.nyquist_thz / 10 - 1) < 0.01, "%g THz", plans.nyquist_thz);
        ck_assert_double_eq(plans.plan[plans.first].lobe, 0.0);
        xn_fit_plans_free(&plans);
    }
}
END_TEST

START_TEST(test_gaps)
{
    // Two modes: gaps of 1 and 2 ps, two windows, fine delays before coarse ones. Beforehand 2 to 87 % were wrong.
    static const double lines[][2] = {{2.1, 2.6}, {1.2, 1.9}};
    const double *f = lines[_i % 2];
    switch (_i / 2) {
    case 0:
        add_delays(0.025, 2.0, 0.05);
        add_delays(3.025, 6.0, 0.05);
        break;
    case 1:
        add_delays(0.025, 1.0, 0.05);
        add_delays(3.025, 6.0, 0.05);
        break;
    case 2:
        add_delays(0.025, 1.5, 0.05);
        add_delays(4.025, 5.5, 0.05);
        break;
    default:
        add_delays(0.025, 2.0, 0.05);
        add_delays(2.1, 10.0, 0.2);
    }
    simulate(f, 2);
    for (int way = 0; way < 3; way++) { // errors known, errors from the residual, more modes allowed
        fit(way == 2 ? 4 : 2, way != 1);
        ck_assert_msg(wrong(f, 2) <= P / 50, "case %d, way %d: %d of %d wrong", _i, way, wrong(f, 2), P);
    }
}
END_TEST

START_TEST(test_missing)
{
    // Samples that single traces lack: nothing but chi^2 tells that the fit ended beside the right minimum.
    const double f[] = {2.1, 2.6};
    add_delays(0.025, 6.0, 0.05);
    simulate(f, 2);
    for (int p = 0; p < P; p++)
        for (int i = 40; i < 60; i++) y[i * P + p] = p % 3 ? NAN : y[i * P + p];
    fit(2, true);
    ck_assert_msg(wrong(f, 2) <= P / 100, "%d of %d wrong", wrong(f, 2), P);
}
END_TEST

static void add(TCase *c)
{
    tcase_add_checked_fixture(c, set_up, tear_down);
    tcase_add_loop_test(c, test_two_steps, 0, 5);
    tcase_add_loop_test(c, test_band, 0, 3);
    tcase_add_loop_test(c, test_gaps, 0, 8);
    tcase_add_test(c, test_missing);
}

XN_TEST_MAIN("fit_gaps", add)
