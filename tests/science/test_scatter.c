// SPDX-License-Identifier: BSD-3-Clause
// test_scatter.c -- diffuse scattering of any crystal and its lines after a sudden change, against the one-atom formula
// and against the equation of motion.
#include "context.h"

#include "physics/forces/scatter.h"

static void make_copper(double factor, xn_crystal *c, xn_forces *f)
{
    ck_assert_int_eq(xn_crystal_load(ctx, "cu_296k", c), XANI_OK);
    if (factor != 1.0) ck_assert_int_eq(xn_crystal_scale(ctx, c, "110", "all", factor), XANI_OK);
    ck_assert_int_eq(xn_forces_from_crystal(ctx, c, f), XANI_OK);
}

START_TEST(test_one_atom)
{
    // Copper: mean squares, intensity and all nine lines equal those of the formula for one atom (science.md 13).
    xn_crystal c0, c1;
    xn_forces f0, f1;
    make_copper(1.0, &c0, &f0);
    make_copper(0.95, &c1, &f1);
    double msd[1][9], msd1 = xn_crystal_msd(&c0, 296, 8);
    int64_t unstable = -1;
    ck_assert_int_eq(xn_forces_msd(ctx, &f0, 296, 8, 1, msd, &unstable), XANI_OK);
    ck_assert_int_eq(unstable, 0);
    for (int k = 0; k < 9; k++) ck_assert_double_eq_tol(msd[0][k], k % 4 == 0 ? msd1 : 0.0, 1e-9);
    double again[1][9];
    ck_assert_int_eq(xn_forces_msd(ctx, &f0, 296, 8, 2, again, &unstable), XANI_OK);
    ck_assert_mem_eq(msd, again, sizeof msd); // for any number of threads
    xn_scattering *s = xn_scattering_open(1);
    ck_assert_ptr_nonnull(s);
    static const double qs[4][3] = {{2.5, .1, .05}, {2.3, 1.8, .2}, {3.4, 1.3, .6}, {2.4, .3, .1}};
    for (int i = 0; i < 4; i++) {
        double q[3], i1, i2, mean1, mean2, nu1[3], nu2[3];
        xn_line old[9];
        xn_squeezed lines[9];
        for (int k = 0; k < 3; k++) q[k] = 2 * M_PI / c0.a_ang * qs[i][k];
        ck_assert_int_eq(xn_crystal_lines(&c0, &c1, qs[i], 296, msd1, &i1, &mean1, nu1, old), 9);
        ck_assert_int_eq(xn_scattering_lines(s, &f0, &f1, q, 296, (const double(*)[9])msd, &i2, &mean2, nu2, lines), 9);
        ck_assert_double_eq_tol(i2 / i1, 1, 1e-8);
        ck_assert_double_eq_tol(mean2, mean1, 1e-9);
        for (int k = 0; k < 3; k++) ck_assert_double_eq_tol(nu2[k], nu1[k], 1e-9);
        for (int k = 0; k < 9; k++) {
            ck_assert_double_eq_tol(lines[k].f_thz, old[k].f_thz, 1e-9);
            ck_assert_double_eq_tol(lines[k].amplitude, old[k].amplitude, 1e-9);
            ck_assert_int_eq(lines[k].difference, old[k].difference);
        }
    }
    xn_scattering_close(&s);
    xn_forces_free(&f0);
    xn_forces_free(&f1);
    xn_crystal_free(&c0);
    xn_crystal_free(&c1);
}
END_TEST

// Two atoms in a triclinic cell without inversion symmetry: the eigenvectors are truly complex.
static void make_pair(double spring, xn_forces *f)
{
    static const double cell[9] = {4, 0, 0, 0.5, 4.5, 0, 0.3, 0.4, 5};
    ck_assert_int_eq(xn_forces_begin(ctx, cell, 2, f), XANI_OK);
    f->mass_u[0] = 20;
    f->mass_u[1] = 50;
    snprintf(f->element[0], 4, "%s", "Na");
    snprintf(f->element[1], 4, "%s", "Ge");
    static const double place[3] = {1.1, 1.7, 2.2};
    memcpy(f->position[1], place, sizeof place);
    for (int i = 0; i < 2; i++) { // springs to the neighbouring cells and between the atoms; self from the sum rule
        double zero[3] = {0}, none[9] = {0};
        ck_assert_int_eq(xn_forces_add(ctx, f, i, i, zero, none), XANI_OK);
        for (int k = 0; k < 6; k++) {
            double r[3], phi[9] = {0};
            for (int c = 0; c < 3; c++) r[c] = (k % 2 ? -1 : 1) * cell[3 * (k / 2) + c];
            for (int c = 0; c < 3; c++) phi[4 * c] = -5 - c - 3 * i;
            ck_assert_int_eq(xn_forces_add(ctx, f, i, i, r, phi), XANI_OK);
        }
        double r[3], phi[9] = {-30 * spring, -5, 2, -5, -20 * spring, 1, 2, 1, -25};
        for (int c = 0; c < 3; c++) r[c] = (i ? -1 : 1) * place[c];
        ck_assert_int_eq(xn_forces_add(ctx, f, i, 1 - i, r, phi), XANI_OK);
    }
    (void)xn_forces_sum_rule(f);
}

enum { N = 6 };
typedef double complex matrix[N * N];

static void multiply(matrix a, matrix b, matrix out)
{
    for (int i = 0; i < N; i++)
        for (int j = 0; j < N; j++) {
            out[i * N + j] = 0;
            for (int k = 0; k < N; k++) out[i * N + j] += a[i * N + k] * b[k * N + j];
        }
}

// One step of x'' = -D x for the columns of x by the classical Runge-Kutta method.
static void step(matrix d, matrix x, matrix v, double h)
{
    matrix k[4], l[4], t;
    static const double at[4] = {0, 0.5, 0.5, 1}, weight[4] = {1, 2, 2, 1};
    for (int s = 0; s < 4; s++) {
        matrix y;
        for (int i = 0; i < N * N; i++) {
            y[i] = x[i] + (s ? at[s] * h * k[s - 1][i] : 0);
            k[s][i] = v[i] + (s ? at[s] * h * l[s - 1][i] : 0);
        }
        multiply(d, y, t);
        for (int i = 0; i < N * N; i++) l[s][i] = -t[i];
    }
    for (int i = 0; i < N * N; i++)
        for (int s = 0; s < 4; s++) {
            x[i] += h / 6 * weight[s] * k[s][i];
            v[i] += h / 6 * weight[s] * l[s][i];
        }
}

START_TEST(test_equation_of_motion)
{
    // y(t) from the lines equals that of the covariances carried along by the equation of motion.
    xn_forces f0, f1;
    make_pair(1.0, &f0);
    make_pair(0.8, &f1);
    static const double q[3] = {1.3, -0.7, 2.1}, temperature = 150;
    double msd[2][9] = {{0.01, 0, 0, 0, 0.02, 0, 0, 0, 0.01}, {0.005, 0.001, 0, 0.001, 0.006, 0, 0, 0, 0.004}};
    double i1, mean, nu[N], nu0[N], a[N];
    double complex e[N * N];
    xn_squeezed lines[N * N];
    xn_scattering *s = xn_scattering_open(2);
    int n = xn_scattering_lines(s, &f0, &f1, q, temperature, (const double(*)[9])msd, &i1, &mean, nu, lines);
    ck_assert_int_eq(n, xn_squeezed_count(N));
    ck_assert_int_eq(xn_forces_modes(ctx, &f0, q, NULL, nu0, e), XANI_OK);
    for (int i = 0; i < N; i++) {
        double twice_m = 0, length = sqrt(q[0] * q[0] + q[1] * q[1] + q[2] * q[2]);
        for (int k = 0; k < 9; k++) twice_m += q[k / 3] * msd[i / 3][k] * q[k % 3];
        a[i] = xn_form_factor(&f0, i / 3, length) * exp(-twice_m / 2) / sqrt(f0.mass_u[i / 3]) * q[i % 3];
    }
    // columns of x: displacement that grows from a unit displacement (x) or from a unit velocity (w); time in 1/(2 pi
    // THz)
    matrix d, x = {0}, xv = {0}, w = {0}, wv = {0};
    xn_forces_matrix(&f1, q, d);
    double unit = 1.66053906660e-27 * pow(2 * M_PI * 1e12, 2);
    for (int i = 0; i < N * N; i++) d[i] /= unit;
    for (int i = 0; i < N; i++) x[i * N + i] = wv[i * N + i] = 1;
    double y0 = 0;
    for (int t = 0; t <= 2000; t++) {
        if (t % 250 == 0) { // a^T (x C_uu x^+ + w C_pp w^+) a, from the old eigenvectors
            double total = 0, sum = mean;
            for (int m = 0; m < N; m++) {
                double complex u = 0, p = 0;
                for (int i = 0; i < N; i++)
                    for (int k = 0; k < N; k++) {
                        u += a[i] * x[i * N + k] * e[m * N + k];
                        p += a[i] * w[i * N + k] * e[m * N + k];
                    }
                double width = 1 / (nu0[m] * tanh(4.7992430734e-11 * 1e12 * nu0[m] / 2 / temperature));
                total += width * (creal(u * conj(u)) + nu0[m] * nu0[m] * creal(p * conj(p)));
            }
            if (t == 0) y0 = total;
            for (int k = 0; k < n; k++) sum += lines[k].amplitude * cos(lines[k].f_thz * 0.002 * t);
            ck_assert_double_eq_tol(sum, total / y0 - 1, 1e-6);
            if (t > 0) ck_assert_double_gt(fabs(sum), 1e-4);
        }
        step(d, x, xv, 0.002);
        step(d, w, wv, 0.002);
    }
    ck_assert_double_gt(i1, 0);
    xn_scattering_close(&s);
    xn_forces_free(&f0);
    xn_forces_free(&f1);
}
END_TEST

START_TEST(test_unstable)
{
    // Imaginary modes and Q = 0 have no lines, and say so by NaN.
    xn_forces f0, f1;
    make_pair(1.0, &f0);
    make_pair(-3.0, &f1);
    double q[3] = {1.3, -0.7, 2.1}, zero[3] = {0}, msd[2][9] = {{0}}, i1, mean, nu[N];
    xn_squeezed lines[N * N];
    xn_scattering *s = xn_scattering_open(2);
    ck_assert_int_eq(xn_scattering_lines(s, &f0, &f1, q, 300, (const double(*)[9])msd, &i1, &mean, nu, lines), 0);
    ck_assert(isnan(i1) && isnan(mean));
    ck_assert_double_lt(nu[0], 0);
    ck_assert_int_eq(xn_scattering_lines(s, &f0, &f0, zero, 300, (const double(*)[9])msd, &i1, &mean, nu, lines), 0);
    int64_t unstable = 0;
    ck_assert_int_eq(xn_forces_msd(ctx, &f1, 300, 3, 1, msd, &unstable), XANI_OK);
    ck_assert_int_gt(unstable, 0);
    xn_scattering_close(&s);
    xn_forces_free(&f0);
    xn_forces_free(&f1);
}
END_TEST

START_TEST(test_elements)
{
    // Form factors begin at the number of electrons, of Cu those of International Tables within 1 %; masses are known.
    xn_forces f;
    make_pair(1.0, &f);
    ck_assert_double_eq_tol(xn_form_factor(&f, 0, 0), 11, 0.01);
    ck_assert_double_eq_tol(xn_form_factor(&f, 1, 0), 32, 0.01);
    snprintf(f.element[0], 4, "%s", "Cu");
    ck_assert_double_eq_tol(xn_form_factor(&f, 0, 0.4 * 4 * M_PI) / 16.5062, 1, 0.01);
    snprintf(f.element[0], 4, "%s", "Xx");
    ck_assert(isnan(xn_form_factor(&f, 0, 1)));
    ck_assert_double_eq_tol(xn_element_mass_u("Na"), 22.98977, 1e-3);
    ck_assert(isnan(xn_element_mass_u("Xx")));
    xn_forces_free(&f);
}
END_TEST

static void add(TCase *t)
{
    tcase_add_checked_fixture(t, set_up, tear_down);
    tcase_add_test(t, test_one_atom);
    tcase_add_test(t, test_equation_of_motion);
    tcase_add_test(t, test_unstable);
    tcase_add_test(t, test_elements);
}
XN_TEST_MAIN("scatter", add)
