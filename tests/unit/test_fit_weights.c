// SPDX-License-Identifier: BSD-3-Clause
// test_fit_weights.c -- weights and missing samples: the minimum is that of an independent weighted fit.
#include "context.h"

#include "core/rng.h"
#include "fit_referee.h"
#include "xani/xani.h"

#define TWO_PI 6.28318530717958647693
enum { N = 160, P = 200 };

static float y[N * P];
static double t[N], weight[N];
static double truth[P][4]; // f, g, A, phase

static xani_fit_options options(void)
{
    xani_fit_options o;
    xani_fit_options_init(&o);
    o.modes_max = 1;
    o.background = 1;
    o.threads = 1;
    o.tolerance = 1e-6;
    return o;
}

// One mode, amplitude about 1; noise sigma/sqrt(weight); step jittered where asked.
static void make(double sigma, double jitter, uint64_t seed)
{
    xn_rng r;
    xn_rng_init(&r, seed, 99999);
    for (int i = 0; i < N; i++) t[i] = 0.1 + 0.05 * (i + jitter * (xn_rng_uniform(&r) - 0.5));
    for (int p = 0; p < P; p++) {
        xn_rng_init(&r, seed, (uint64_t)p);
        truth[p][0] = 1.0 + 6.0 * xn_rng_uniform(&r);
        truth[p][1] = 1.0 / (2.0 + 6.0 * xn_rng_uniform(&r));
        truth[p][2] = 0.7 + 0.6 * xn_rng_uniform(&r);
        truth[p][3] = TWO_PI * xn_rng_uniform(&r);
        for (int i = 0; i < N; i++) {
            const double s = weight[i] > 0.0 ? sigma / sqrt(weight[i]) : 100.0;
            y[i * P + p] =
                (float)(truth[p][2] * exp(-truth[p][1] * t[i]) * cos(TWO_PI * truth[p][0] * t[i] + truth[p][3]) + 0.5 +
                        0.1 * t[i] + s * xn_rng_normal(&r));
        }
    }
}

// Weights of mean 1 over those above zero; every `gap`-th is zero.
static void uneven(double spread, int gap)
{
    double sum = 0.0;
    int filled = 0;
    for (int i = 0; i < N; i++) {
        weight[i] = gap > 0 && i % gap == gap - 1 ? 0.0 : 1.0 + spread * sin(0.31 * i);
        sum += weight[i];
        filled += weight[i] > 0.0;
    }
    for (int i = 0; i < N; i++) weight[i] *= filled / sum;
}

// The independent fit of trace p with row weights w
static referee_fit refer(int p, const double *w)
{
    double v[N];
    referee_data d = {v, t, w, N, 1, 2, {t[0], t[N - 1]}};
    referee_fit f = {.p = {truth[p][0], truth[p][1], truth[p][2], truth[p][3], 0.5, 0.0}};
    for (int i = 0; i < N; i++) v[i] = isfinite(y[i * P + p]) ? (double)y[i * P + p] : 0.0;
    ck_assert(referee_run(&d, &f));
    return f;
}

static double angle(double x) { return atan2(sin(x), cos(x)); }

// Values within 0.01 errors, errors within 0.5 %, chi^2 within 1e-4 of the referee's
static void compare(const xani_fit_result *r, const referee_fit *f, double freedom)
{
    const double s2 = f->chi2 / freedom,
                 value[4] = {r->frequency_thz[0], r->damping_per_ps[0], r->amplitude[0], r->phase[0]};
    const double error[4] = {r->frequency_error[0], r->damping_error[0], r->amplitude_error[0], r->phase_error[0]};
    ck_assert_int_eq(r->n_modes, 1);
    ck_assert_double_eq_tol(r->chi2_reduced / s2, 1.0, 1e-4);
    for (int q = 0; q < 4; q++) {
        const double sigma = sqrt(s2 * f->inverse[q][q]), d = value[q] - f->p[q];
        ck_assert_double_eq_tol((q == 3 ? angle(d) : d) / sigma, 0.0, 0.01);
        ck_assert_double_eq_tol(error[q] / sigma, 1.0, 5e-3);
    }
}

START_TEST(test_delay_weights)
{
    // Weights of the delays, on a grid with and without empty delays and on jittered delays: the minimum and errors of
    // an independent weighted fit; pulls have width 1; scaling all weights by 1000 changes nothing.
    uneven(0.9, _i == 1 ? 7 : 0);
    make(0.15, _i == 2 ? 0.9 : 0.0, 1);
    static xani_fit_result r[P], s[P];
    double times[N], pull = 0.0;
    int filled = 0, n = 0;
    for (int i = 0; i < N; i++) times[i] = 1000.0 * weight[i], filled += weight[i] > 0.0;
    xani_fit_options o = options();
    o.weight = weight;
    ck_assert_int_eq(xani_fit_traces(ctx, &o, y, t, N, P, NULL, r), XANI_OK);
    o.weight = times;
    ck_assert_int_eq(xani_fit_traces(ctx, &o, y, t, N, P, NULL, s), XANI_OK);
    for (int p = 0; p < P; p++) {
        ck_assert_double_eq_tol(r[p].frequency_thz[0], s[p].frequency_thz[0], 1e-6);
        if (r[p].status != 0 || fabs(r[p].frequency_thz[0] - truth[p][0]) > 0.2) continue;
        const referee_fit f = refer(p, weight);
        compare(&r[p], &f, filled - 6);
        const double d = (r[p].frequency_thz[0] - truth[p][0]) / r[p].frequency_error[0];
        pull += fmin(d * d, 25.0);
        n++;
    }
    ck_assert_int_ge(n, P * 97 / 100);
    ck_assert_double_eq_tol(sqrt(pull / n), 1.0, 0.15);
}
END_TEST

START_TEST(test_weights_gain)
{
    // Where noise follows the weights, using them lowers the spread of f as the ratio of the bounds says.
    uneven(0.95, 0);
    make(0.3, 0.0, 2);
    static xani_fit_result r[2][P];
    double spread[2] = {0};
    int n = 0;
    xani_fit_options o = options();
    for (int with = 0; with < 2; with++) {
        o.weight = with ? weight : NULL;
        ck_assert_int_eq(xani_fit_traces(ctx, &o, y, t, N, P, NULL, r[with]), XANI_OK);
    }
    for (int p = 0; p < P; p++) {
        const double d[2] = {r[0][p].frequency_thz[0] - truth[p][0], r[1][p].frequency_thz[0] - truth[p][0]};
        if (!(fabs(d[0]) < 0.2 && fabs(d[1]) < 0.2)) continue;
        for (int with = 0; with < 2; with++) spread[with] += d[with] * d[with];
        n++;
    }
    ck_assert_int_ge(n, P * 9 / 10);
    ck_assert_msg(spread[1] < 0.8 * spread[0], "variance with weights %.3g, without %.3g", spread[1] / n,
                  spread[0] / n);
}
END_TEST

START_TEST(test_nearly_alike)
{
    // Weights that spread by less than 20 % are taken as equal on a grid (the same bits) and used as they are
    // elsewhere.
    uneven(0.2, 0);
    static xani_fit_result r[P], s[P];
    for (int off_grid = 0; off_grid < 2; off_grid++) {
        make(0.15, off_grid ? 0.9 : 0.0, 3);
        xani_fit_options o = options();
        ck_assert_int_eq(xani_fit_traces(ctx, &o, y, t, N, P, NULL, r), XANI_OK);
        o.weight = weight;
        ck_assert_int_eq(xani_fit_traces(ctx, &o, y, t, N, P, NULL, s), XANI_OK);
        ck_assert_int_eq(memcmp(r, s, sizeof r) == 0, !off_grid);
    }
}
END_TEST

START_TEST(test_missing)
{
    // Delays missing in all traces (weight 0) and in single ones (NaN, Inf) count for nothing, whatever stands there.
    uneven(0.0, 9);
    make(0.15, 0.0, 4);
    static double own[P][N];
    for (int p = 0; p < P; p++)
        for (int i = 0; i < N; i++) {
            const bool gone = p % 2 == 1 && (i * 7 + p) % 5 == 0;
            own[p][i] = gone ? 0.0 : weight[i];
            if (gone) y[i * P + p] = i % 2 ? NAN : INFINITY;
        }
    static xani_fit_result r[P];
    xani_fit_options o = options();
    o.weight = weight;
    ck_assert_int_eq(xani_fit_traces(ctx, &o, y, t, N, P, NULL, r), XANI_OK);
    int n = 0;
    for (int p = 0; p < P; p++) {
        if (r[p].status != 0 || fabs(r[p].frequency_thz[0] - truth[p][0]) > 0.2) continue;
        int filled = 0;
        for (int i = 0; i < N; i++) filled += own[p][i] > 0.0;
        const referee_fit f = refer(p, own[p]);
        compare(&r[p], &f, filled - 6);
        n++;
    }
    ck_assert_int_ge(n, P * 97 / 100);
}
END_TEST

START_TEST(test_refused)
{
    // Negative, infinite and NaN weights are refused by name, all weights zero too; an older, shorter options struct is
    // taken, a longer one refused.
    uneven(0.0, 0);
    make(0.15, 0.0, 5);
    static xani_fit_result r[P], s[P];
    xani_fit_options o = options();
    o.weight = weight;
    const double wrong[] = {-1.0, INFINITY, NAN};
    for (int i = 0; i < 3; i++) {
        weight[17] = wrong[i];
        ck_assert_int_eq(xani_fit_traces(ctx, &o, y, t, N, P, NULL, r), XANI_ERR_USAGE);
        ck_assert_ptr_nonnull(strstr(xani_error_text(ctx), "weight of delay 17"));
    }
    memset(weight, 0, sizeof weight);
    ck_assert_int_eq(xani_fit_traces(ctx, &o, y, t, N, P, NULL, r), XANI_ERR_INPUT);
    o.size = offsetof(xani_fit_options, weight); // as before weights existed: what follows is not looked at
    ck_assert_int_eq(xani_fit_traces(ctx, &o, y, t, N, P, NULL, r), XANI_OK);
    o = options();
    ck_assert_int_eq(xani_fit_traces(ctx, &o, y, t, N, P, NULL, s), XANI_OK);
    ck_assert_int_eq(memcmp(r, s, sizeof r), 0);
    o.size = sizeof o + 8;
    ck_assert_int_eq(xani_fit_traces(ctx, &o, y, t, N, P, NULL, r), XANI_ERR_USAGE);
    ck_assert_ptr_nonnull(strstr(xani_error_text(ctx), "size"));
}
END_TEST

static void add(TCase *c)
{
    tcase_add_checked_fixture(c, set_up, tear_down);
    tcase_add_loop_test(c, test_delay_weights, 0, 3);
    tcase_add_test(c, test_weights_gain);
    tcase_add_test(c, test_nearly_alike);
    tcase_add_test(c, test_missing);
    tcase_add_test(c, test_refused);
}
XN_TEST_MAIN("fit weights", add)
