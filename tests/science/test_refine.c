// SPDX-License-Identifier: BSD-3-Clause
// test_refine.c -- free parameters of shells under symmetry, and force constants refined to simulated points.
#include "test.h"

#include "core/rng.h"
#include "physics/forces/refine.h"

static xn_ctx *ctx;
static xn_crystal table;
static xn_forces copper;

static void setup(void)
{
    ck_assert_int_eq(xani_create(&ctx), XANI_OK);
    ck_assert_int_eq(xn_crystal_load(ctx, "cu_296k", &table), XANI_OK);
    ck_assert_int_eq(xn_forces_from_crystal(ctx, &table, &copper), XANI_OK);
}

static void teardown(void)
{
    xn_forces_free(&copper);
    xn_crystal_free(&table);
    xani_destroy(&ctx);
}

START_TEST(test_counts)
{
    // Shells 110, 200, 211, 220, 310, 222 of a face-centred crystal have 3, 2, 4, 3, 4, 2 constants (science.md 13.1);
    // 12, 6, 24, 12, 24, 8 neighbours.
    static const int constants[6] = {3, 2, 4, 3, 4, 2}, neighbours[6] = {12, 6, 24, 12, 24, 8};
    int sum = 0, bonds = 0;
    for (int shells = 1; shells <= 6; shells++) {
        xn_shells s;
        // by distance: 110, 200, 211, 220, 310, 222
        ck_assert_int_eq(xn_shells_find(ctx, &copper, shells, &s), XANI_OK);
        sum += constants[shells - 1];
        bonds += neighbours[shells - 1];
        ck_assert_int_eq(s.n, sum);
        ck_assert_int_eq(s.n_bonds, bonds);
        ck_assert_int_eq(s.n_orbits, shells);
        ck_assert_int_eq(s.parameter[s.n - 1].shell, shells);
        xn_shells_free(&s);
    }
}
END_TEST

START_TEST(test_apply)
{
    // A change of parameters keeps the symmetry and the sum rule, and changes D as its derivative says.
    xn_shells s;
    xn_forces changed;
    ck_assert_int_eq(xn_shells_find(ctx, &copper, 2, &s), XANI_OK);
    double theta[5] = {0.7, -0.3, 0.2, 0.4, -0.1}, nu[3], q[3] = {0.4, -1.1, 0.9};
    ck_assert_int_eq(xn_shells_apply(ctx, &s, &copper, theta, &changed), XANI_OK);
    static const double images[4][3] = {{0.4, -1.1, 0.9}, {-1.1, 0.9, 0.4}, {0.4, 1.1, 0.9}, {0.9, 0.4, 1.1}};
    double first[3];
    for (int k = 0; k < 4; k++) {
        ck_assert_int_eq(xn_forces_modes(ctx, &changed, images[k], NULL, k ? nu : first, NULL), XANI_OK);
        for (int b = 0; k && b < 3; b++) ck_assert_double_eq_tol(nu[b], first[b], 1e-9);
    }
    ck_assert_int_eq(xn_forces_modes(ctx, &changed, (double[3]){0, 0, 0}, NULL, nu, NULL), XANI_OK);
    ck_assert_double_lt(fabs(nu[0]) + fabs(nu[2]), 1e-5);
    double complex d0[9], d1[9], sum[9] = {0};
    xn_forces_matrix(&copper, q, d0);
    xn_forces_matrix(&changed, q, d1);
    for (int k = 0; k < s.n; k++) {
        double complex one[9] = {0};
        xn_shells_matrix(&s, &copper, k, q, one);
        for (int c = 0; c < 9; c++) sum[c] += theta[k] * one[c];
    }
    for (int c = 0; c < 9; c++) ck_assert_double_lt(cabs(d1[c] - d0[c] - sum[c]), 1e-10);
    xn_forces_free(&changed);
    xn_shells_free(&s);
}
END_TEST

// Points of the crystal `truth` at random Q: one visible branch each, with noise.
static void make_points(const xn_forces *truth, int n, double sigma, uint64_t seed, xn_observed *points)
{
    xn_rng rng;
    xn_rng_init(&rng, seed, 1);
    for (int i = 0; i < n; i++) {
        double nu[3], share[3], sum = 0, pick;
        double complex e[9];
        points[i] = (xn_observed){.window_ps = 0};
        for (int c = 0; c < 3; c++) points[i].q[c] = 8 * xn_rng_uniform(&rng) - 4;
        ck_assert_int_eq(xn_forces_modes(ctx, truth, points[i].q, NULL, nu, e), XANI_OK);
        for (int b = 0; b < 3; b++) { // lines are seen as |Q.e|^2 / nu^2
            double along = 0;
            for (int c = 0; c < 3; c++) along += points[i].q[c] * creal(e[3 * b + c]);
            sum += share[b] = along * along / (nu[b] * nu[b]);
        }
        pick = xn_rng_uniform(&rng) * sum;
        int b = 0;
        while (b < 2 && pick > share[b]) pick -= share[b++];
        points[i].nu_thz =
            nu[b] + sigma * sqrt(-2 * log(1 - xn_rng_uniform(&rng))) * cos(2 * M_PI * xn_rng_uniform(&rng));
        points[i].sigma_thz = sigma;
    }
}

static const xn_refine_options options = {.match = {.temperature_k = 296, .reach = 5}, .prior = 0.5, .threads = 2};

START_TEST(test_softened_bond)
{
    // First neighbours softened by 8 %: their constants are found within 2 sigma, chi^2 per degree of freedom is 1.
    enum { N = 3000 };
    xn_observed *points = xn_alloc(N, sizeof *points);
    xn_shells s;
    xn_crystal soft;
    xn_forces truth;
    ck_assert_int_eq(xn_crystal_copy(ctx, &table, &soft), XANI_OK);
    ck_assert_int_eq(xn_crystal_scale(ctx, &soft, "110", "all", 0.92), XANI_OK);
    ck_assert_int_eq(xn_forces_from_crystal(ctx, &soft, &truth), XANI_OK);
    make_points(&truth, N, 0.03, 7, points);
    ck_assert_int_eq(xn_shells_find(ctx, &copper, 2, &s), XANI_OK);
    xn_refined r, again;
    ck_assert_int_eq(xn_forces_refine(ctx, &copper, &s, points, N, &options, NULL, &r), XANI_OK);
    ck_assert(r.converged);
    ck_assert_double_gt(r.chi2 / r.dof, 0.8);
    ck_assert_double_lt(r.chi2 / r.dof, 1.25);
    ck_assert_double_gt(r.chi2_before, 3 * r.chi2);
    ck_assert_int_lt(r.refused, N / 50);
    for (int k = 0; k < s.n; k++) {
        double want = s.parameter[k].shell == 1 ? -0.08 * s.parameter[k].start : 0.0;
        double sigma = sqrt(r.covariance[k * s.n + k]);
        ck_assert_msg(fabs(r.theta[k] - want) < 2.5 * sigma, "%s: %g, not %g +- %g", s.parameter[k].name, r.theta[k],
                      want, sigma);
        ck_assert(r.determined[k]);
    }
    xn_refine_options one = options;
    one.threads = 1;
    ck_assert_int_eq(xn_forces_refine(ctx, &copper, &s, points, N, &one, NULL, &again), XANI_OK);
    ck_assert_mem_eq(r.theta, again.theta, (size_t)s.n * sizeof *r.theta); // the same bits for any number of threads
    xn_refined_free(&again);
    xn_refined_free(&r);
    xn_shells_free(&s);
    xn_forces_free(&truth);
    xn_crystal_free(&soft);
    xn_free(points);
}
END_TEST

START_TEST(test_shell_without_constants)
{
    // A shell that is refined but has no constants to begin with moves little and does not hold up the others.
    enum { N = 3000 };
    xn_observed *points = xn_alloc(N, sizeof *points);
    xn_shells s;
    xn_crystal without;
    xn_forces start, truth;
    ck_assert_int_eq(xn_crystal_copy(ctx, &table, &without), XANI_OK);
    for (int k = 0; k < 3; k++) {
        static const char *const shell[3] = {"211", "310", "222"};
        ck_assert_int_eq(xn_crystal_scale(ctx, &without, shell[k], "all", 0), XANI_OK);
    }
    ck_assert_int_eq(xn_forces_from_crystal(ctx, &without, &start), XANI_OK);
    ck_assert_int_eq(xn_crystal_scale(ctx, &without, "110", "all", 0.88), XANI_OK);
    ck_assert_int_eq(xn_forces_from_crystal(ctx, &without, &truth), XANI_OK);
    make_points(&truth, N, 0.01, 9, points);
    ck_assert_int_eq(xn_shells_find(ctx, &start, 3, &s), XANI_OK);
    xn_refined r;
    ck_assert_int_eq(xn_forces_refine(ctx, &start, &s, points, N, &options, NULL, &r), XANI_OK);
    ck_assert(r.converged);
    ck_assert_double_lt(r.chi2 / r.dof, 1.25);
    ck_assert_int_lt(r.refused, N / 50);
    for (int k = 0; k < s.n; k++) {
        double want = s.parameter[k].shell == 1 ? -0.12 * s.parameter[k].start : 0.0;
        ck_assert_double_eq_tol(r.theta[k], want, 3.5 * sqrt(r.covariance[k * s.n + k]));
    }
    xn_refined_free(&r);
    xn_shells_free(&s);
    xn_forces_free(&truth);
    xn_forces_free(&start);
    xn_crystal_free(&without);
    xn_free(points);
}
END_TEST

START_TEST(test_pulls)
{
    // Over many noises the changes found scatter as their errors say.
    enum { N = 400, TRIES = 40 };
    xn_observed points[N];
    xn_shells s;
    double sum = 0, squares = 0;
    int n = 0;
    ck_assert_int_eq(xn_shells_find(ctx, &copper, 1, &s), XANI_OK);
    for (int t = 0; t < TRIES; t++) {
        xn_refined r;
        make_points(&copper, N, 0.05, 100 + (uint64_t)t, points);
        ck_assert_int_eq(xn_forces_refine(ctx, &copper, &s, points, N, &options, NULL, &r), XANI_OK);
        for (int k = 0; k < s.n; k++, n++) {
            double z = r.theta[k] / sqrt(r.covariance[k * s.n + k]);
            sum += z;
            squares += z * z;
        }
        xn_refined_free(&r);
    }
    ck_assert_double_lt(fabs(sum / n), 0.35);
    ck_assert_double_eq_tol(sqrt(squares / n), 1, 0.25);
    xn_shells_free(&s);
}
END_TEST

// Moves the points as errors of the delays of their run's bins do, which are the same in all pixels.
static void blur_delays(xn_observed *points, int n, int runs, double rms_ps, double window_ps, uint64_t seed)
{
    enum { BINS = 200 };
    xn_rng rng;
    xn_rng_init(&rng, seed, 2);
    for (int run = 0; run < runs; run++) {
        double error[BINS];
        for (int b = 0; b < BINS; b++) error[b] = rms_ps * xn_rng_normal(&rng);
        for (int i = run; i < n; i += runs) {
            double up = 0, down = 0;
            for (int b = 0; b < BINS; b++) {
                const double t = window_ps * (b + 0.5) / BINS, middle = t - window_ps / 2;
                const double sine = sin(4 * M_PI * points[i].nu_thz * t);
                up += middle * sine * sine * error[b];
                down += middle * middle * sine * sine;
            }
            points[i].nu_thz *= 1 - up / down;
            points[i].window_ps = window_ps;
            points[i].f_per_nu = 2;
            points[i].run = run;
        }
    }
}

START_TEST(test_common)
{
    // What all lines of a run are off by together is in the errors of the constants, however many lines there are;
    // where there is no such thing they are as they were.
    enum { N = 800, TRIES = 16 };
    xn_observed *points = xn_alloc(N, sizeof *points);
    xn_shells s;
    ck_assert_int_eq(xn_shells_find(ctx, &copper, 1, &s), XANI_OK);
    for (int blurred = 0; blurred < 2; blurred++) {
        double squares = 0, common = 0;
        for (int t = 0; t < TRIES; t++) {
            xn_refined r;
            make_points(&copper, N, 0.02, 300 + (uint64_t)t, points);
            blur_delays(points, N, 2, blurred ? 0.15 : 0, 20, 500 + (uint64_t)t);
            ck_assert_int_eq(xn_forces_refine(ctx, &copper, &s, points, N, &options, NULL, &r), XANI_OK);
            for (int k = 0; k < s.n; k++)
                squares += r.theta[k] * r.theta[k] / r.covariance[k * s.n + k] / (s.n * TRIES);
            common += r.common / TRIES;
            xn_refined_free(&r);
        }
        if (blurred) {
            ck_assert_double_gt(squares, 0.5);
            ck_assert_double_lt(squares, 4.0); // errors of independent lines: 6 and more
            ck_assert_double_eq_tol(common, 2.7e-3, 1e-3);
        } else {
            ck_assert_double_gt(squares, 0.5);
            ck_assert_double_lt(squares, 1.5);
            ck_assert_double_lt(common, 5e-4);
        }
    }
    xn_shells_free(&s);
    xn_free(points);
}
END_TEST

START_TEST(test_undetermined)
{
    // Points along one line do not determine six shells: what they do not is said, and stays at its start.
    enum { N = 60 };
    xn_observed points[N];
    xn_shells s;
    xn_refined r;
    for (int i = 0; i < N; i++) {
        double nu[3], q = 0.3 + 1.2 * i / N;
        points[i] = (xn_observed){.q = {q, 0, 0}, .sigma_thz = 0.05};
        ck_assert_int_eq(xn_forces_modes(ctx, &copper, points[i].q, NULL, nu, NULL), XANI_OK);
        points[i].nu_thz = nu[2];
    }
    ck_assert_int_eq(xn_shells_find(ctx, &copper, 6, &s), XANI_OK);
    ck_assert_int_eq(xn_forces_refine(ctx, &copper, &s, points, N, &options, NULL, &r), XANI_OK);
    int determined = 0;
    for (int k = 0; k < s.n; k++) {
        determined += r.determined[k];
        ck_assert_double_lt(fabs(r.theta[k]), r.prior[k]);
    }
    ck_assert_int_lt(determined, s.n / 2);
    xn_refined_free(&r);
    int32_t branch[N];
    for (int i = 0; i < N; i++) points[i].nu_thz = 40; // nothing is there
    ck_assert_int_eq(xn_forces_refine(ctx, &copper, &s, points, N, &options, branch, &r), XANI_OK);
    ck_assert_int_eq(r.refused, N);
    for (int i = 0; i < N; i++) ck_assert_int_eq(branch[i], -1);
    xn_refined_free(&r);
    xn_shells_free(&s);
}
END_TEST

static void add(TCase *t)
{
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, test_counts);
    tcase_add_test(t, test_apply);
    tcase_add_test(t, test_softened_bond);
    tcase_add_test(t, test_shell_without_constants);
    tcase_add_test(t, test_pulls);
    tcase_add_test(t, test_common);
    tcase_add_test(t, test_undetermined);
}
XN_TEST_MAIN("refine", add)
