// SPDX-License-Identifier: BSD-3-Clause
// test_plan.c -- significance and errors foretold: against the closed form, Cramer-Rao tables, and counted acceptances.
#include "test.h"

#include "core/rng.h"
#include "plan/significance.h"

#define N 100

static double delay[N], share[N];

static xn_plan_trace trace_of(int degree, double begin)
{
    for (int i = 0; i < N; i++) {
        delay[i] = begin + 0.1 * i;
        share[i] = 1.0;
    }
    return (xn_plan_trace){.n = N,
                           .t_ps = delay,
                           .share = share,
                           .begin_ps = -0.05,
                           .end_ps = 9.95,
                           .degree = degree,
                           .band_thz = {0.1, 4.75},
                           .threshold = 24.4};
}

static xn_plan_odds odds_of(const xn_plan_trace *t, const xn_plan_line *l, int n, int which)
{
    double *work = xn_alloc(xn_plan_work(t), sizeof *work);
    ck_assert_ptr_nonnull(work);
    xn_plan_odds o = xn_plan_line_odds(t, l, n, which, work);
    xn_free(work);
    return o;
}

START_TEST(test_cramer_rao)
{
    // science.md 7: A, sigma, tau; sigma_A (the last to two digits), sigma_f
    static const double rows[3][5] = {
        {5e-3, 1e-3, 3, 4.95e-4, 0.0080}, {5e-3, 2e-3, 3, 9.9e-4, 0.0159}, {5e-3, 2e-3, 1, 1.5e-3, 0.0805}};
    xn_plan_trace t = trace_of(0, 0.0);
    for (int i = 0; i < 3; i++) {
        xn_plan_line l = {2.0, rows[i][0], 0.3, 1.0 / rows[i][2], {0, 0}};
        xn_plan_odds o = odds_of(&t, &l, 1, 0);
        double scale = 1.0 / rows[i][1];
        ck_assert_double_eq_tol(rows[i][0] / (o.amplitude_snr * scale), rows[i][3],
                                (i < 2 ? 0.005 : 0.03) * rows[i][3]);
        ck_assert_double_eq_tol(o.sigma_f_thz / scale, rows[i][4], 0.01 * rows[i][4]);
    }
}
END_TEST

START_TEST(test_closed_form)
{
    // science.md 8: rho = (A/sigma) sqrt(tau (1 - exp(-2T/tau))/(4 dt)), without background and far from slow
    xn_plan_trace t = trace_of(-1, 0.05);
    for (int i = 0; i < 4; i++) {
        double tau = (double[]){1, 3, 10, 100}[i];
        xn_plan_line l = {2.2, 0.01, 0.0, 1.0 / tau, {0, 0}};
        double closed = 0.01 * sqrt(tau * -expm1(-2.0 * 10.0 / tau) / 0.4);
        double rho = odds_of(&t, &l, 1, 0).rho;
        ck_assert_double_eq_tol(rho, closed, (tau < 2 ? 0.06 : 0.03) * closed);
    }
    // timing and bins are factors of the amplitude
    xn_plan_line l = {4.0, 0.01, 0.0, 0.33, {0, 0}};
    double all = odds_of(&t, &l, 1, 0).rho;
    t.timing_ps = 0.02;
    ck_assert_double_eq_tol(odds_of(&t, &l, 1, 0).rho, 0.881 * all, 2e-3 * all); // table of science.md 5
    t.timing_ps = 0.0;
    t.width_ps = 0.1;
    ck_assert_double_eq_tol(odds_of(&t, &l, 1, 0).rho, sin(0.4 * M_PI) / (0.4 * M_PI) * all, 1e-9);
}
END_TEST

START_TEST(test_others)
{
    // A background takes what is slow, a line beside takes what is near, one far away nothing.
    xn_plan_trace t = trace_of(-1, 0.05), curved = t;
    curved.degree = 2;
    xn_plan_line slow = {0.12, 0.01, 0.0, 0.1, {0, 0}}, fast = {3.0, 0.01, 0.0, 0.1, {0, 0}};
    ck_assert_double_lt(odds_of(&curved, &slow, 1, 0).rho, 0.65 * odds_of(&t, &slow, 1, 0).rho);
    ck_assert_double_gt(odds_of(&curved, &fast, 1, 0).rho, 0.97 * odds_of(&t, &fast, 1, 0).rho);
    xn_plan_line near[2] = {fast, {3.01, 0.01, 0.0, 0.1, {0, 0}}}, far[2] = {fast, {2.0, 0.01, 0.0, 0.1, {0, 0}}};
    double alone = odds_of(&t, &fast, 1, 0).rho;
    ck_assert_double_lt(odds_of(&t, near, 2, 0).rho, 0.3 * alone);
    ck_assert_double_gt(odds_of(&t, far, 2, 0).rho, 0.99 * alone);
    // a frequency that spreads over the group fades sooner
    fast.across_thz[0] = 0.3;
    ck_assert_double_lt(odds_of(&t, &fast, 1, 0).rho, 0.8 * alone);
}
END_TEST

START_TEST(test_acceptance)
{
    // Fits of simulated traces, N = 100, A/sigma = 1.5, 2, 2.5, tau = 3: accepted in 28, 75, 98 % (science.md 8)
    ck_assert_double_eq_tol(xn_plan_found(4.1, 24.4), 0.28, 0.06);
    ck_assert_double_eq_tol(xn_plan_found(5.5, 24.4), 0.75, 0.06);
    ck_assert_double_eq_tol(xn_plan_found(6.8, 24.4), 0.98, 0.02);
    // noncentral chi^2 by counting
    xn_rng rng;
    xn_rng_init(&rng, 11, 5);
    enum { TIMES = 200000 };
    int above = 0;
    for (int i = 0; i < TIMES; i++) {
        double d = 0.0;
        for (int k = 0; k < 4; k++) {
            double x = xn_rng_normal(&rng) + (k == 1 ? 3.0 : 0.0);
            d += x * x;
        }
        above += d > 12.0;
    }
    double p = xn_plan_found(3.0, 12.0);
    ck_assert_double_eq_tol((double)above / TIMES, p, 4.0 * sqrt(p * (1.0 - p) / TIMES));
    for (double q = 0.05; q < 1.0; q += 0.1)
        ck_assert_double_eq_tol(xn_plan_found(xn_plan_rho_for(q, 24.0), 24.0), q, 1e-6);
    ck_assert_double_eq(xn_plan_found(1000.0, 24.0), 1.0);
    ck_assert_double_eq_tol(xn_plan_found(100.0, 1e4), 0.51, 0.02); // where exp(-rho^2/2) is no number
    ck_assert_double_lt(xn_plan_found(90.0, 1e4), 1e-6);
    ck_assert_double_eq_tol(xn_plan_found(0.0, 24.0), exp(-12.0) * 13.0, 1e-12); // central, 4 degrees of freedom
}
END_TEST

static void add(TCase *t)
{
    tcase_add_test(t, test_cramer_rao);
    tcase_add_test(t, test_closed_form);
    tcase_add_test(t, test_others);
    tcase_add_test(t, test_acceptance);
}

XN_TEST_MAIN("plan/significance.c", add)
