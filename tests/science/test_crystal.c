// SPDX-License-Identifier: BSD-3-Clause
// test_crystal.c -- lattice dynamics and diffuse scattering against the values of science.md 13.
#include "physics/crystal.h"
#include "test.h"

#define HBAR_JS 1.054571817e-34
#define KB_JK 1.380649e-23

static xn_crystal load(const char *name)
{
    xn_crystal c;
    ck_assert_int_eq(xn_crystal_load(NULL, name, &c), XANI_OK);
    return c;
}

typedef struct expected {
    double q[3], nu[3];
} expected;

static void check_frequencies(const char *name, const expected *rows, int n)
{
    xn_crystal c = load(name);
    for (int i = 0; i < n; i++) {
        double nu[3];
        xn_crystal_frequencies(&c, rows[i].q, nu);
        for (int j = 0; j < 3; j++)
            ck_assert_msg(fabs(nu[j] - rows[i].nu[j]) < 1e-3, "%s row %d branch %d: %.5f, expected %.5f", name, i, j,
                          nu[j], rows[i].nu[j]);
    }
    xn_crystal_free(&c);
}

// Frequencies at the corners and at general points are those listed, to 1e-3 THz.
START_TEST(frequencies)
{
    const expected al[] = {{{1, 0, 0}, {5.7862, 5.7862, 9.6053}},      {{.5, .5, .5}, {4.2297, 4.2297, 9.7193}},
                           {{.75, .75, 0}, {5.6606, 7.5921, 8.6050}},  {{1, .25, .25}, {5.6606, 7.5921, 8.6050}},
                           {{1, .5, 0}, {6.4834, 7.9615, 7.9615}},     {{.5, 0, 0}, {3.9961, 3.9961, 6.9631}},
                           {{.5, .5, 0}, {4.7080, 6.3582, 8.4108}},    {{.4, .3, .1}, {3.7837, 4.4255, 7.2558}},
                           {{1.4, -.7, 1.1}, {3.7837, 4.4255, 7.2558}}};
    const expected cu296[] = {{{1, 0, 0}, {5.0802, 5.0802, 7.2284}},      {{.5, .5, .5}, {3.3698, 3.3698, 7.2985}},
                              {{.75, .75, 0}, {4.5752, 5.7620, 6.5606}},  {{1, .25, .25}, {4.5752, 5.7620, 6.5606}},
                              {{1, .5, 0}, {4.8537, 6.0593, 6.0593}},     {{.5, 0, 0}, {3.6069, 3.6069, 5.3672}},
                              {{.5, .5, 0}, {3.3224, 5.0901, 6.3592}},    {{.4, .3, .1}, {2.5439, 3.6287, 5.7669}},
                              {{1.4, -.7, 1.1}, {2.5439, 3.6287, 5.7669}}};
    const expected cu49[] = {{{1, 0, 0}, {5.1502, 5.1502, 7.2393}},      {{.5, .5, .5}, {3.3955, 3.3955, 7.2936}},
                             {{.75, .75, 0}, {4.6006, 5.8727, 6.6329}},  {{1, .25, .25}, {4.6006, 5.8727, 6.6329}},
                             {{1, .5, 0}, {4.9450, 6.1403, 6.1403}},     {{.5, 0, 0}, {3.6988, 3.6988, 5.4619}},
                             {{.5, .5, 0}, {3.4208, 5.2277, 6.3762}},    {{.4, .3, .1}, {2.6569, 3.7454, 5.7975}},
                             {{1.4, -.7, 1.1}, {2.6569, 3.7454, 5.7975}}};
    check_frequencies("al_80k", al, 9);
    check_frequencies("cu_296k", cu296, 9);
    check_frequencies("cu_49k", cu49, 9);
}
END_TEST

// Sound velocities along [100] give the listed elastic constants, to the listed digit.
START_TEST(elastic_constants)
{
    const struct {
        const char *name;
        double c11, c44;
    } rows[] = {{"al_80k", 113.8, 31.2}, {"cu_296k", 169.5, 75.4}, {"cu_49k", 175.8, 81.8}};
    for (int i = 0; i < 3; i++) {
        xn_crystal c = load(rows[i].name);
        double nu[3], q[3] = {1e-3, 0, 0}, a = c.a_ang * 1e-10, density = 4 * c.mass_kg / (a * a * a);
        xn_crystal_frequencies(&c, q, nu);
        double vt = nu[0] * 1e12 * a / 1e-3, vl = nu[2] * 1e12 * a / 1e-3;
        ck_assert_double_eq_tol(density * vl * vl * 1e-9, rows[i].c11, 0.06);
        ck_assert_double_eq_tol(density * vt * vt * 1e-9, rows[i].c44, 0.06);
        xn_crystal_free(&c);
    }
}
END_TEST

// The shells have the multiplicities of the fcc lattice.
START_TEST(neighbours)
{
    xn_crystal c = load("al_80k");
    const int count[8] = {12, 6, 24, 12, 24, 8, 48, 6};
    ck_assert_int_eq(c.n_shells, 8);
    for (int s = 0; s < 8; s++) {
        int n = 0;
        for (int i = 0; i < c.n_neighbours; i++) n += c.shell[i] == s;
        ck_assert_int_eq(n, count[s]);
    }
    xn_crystal_free(&c);
}
END_TEST

// Mean square displacement on the shifted 16^3 grid, and the one-phonon intensities that follow from it.
START_TEST(thermal_scattering)
{
    const double q[6][3] = {{2.5, .1, .05}, {2.3, 1.8, .2}, {3.4, 1.3, .6}, {2, 2, 1}, {2.1, .1, 0}, {2.03, 0, 0}};
    const struct {
        const char *name;
        double t, msd, i1[6];
    } rows[] = {{"al_80k", 300, .01020, {4.176, 18.69, 8.774, 6.099, 75.70, 653.9}},
                {"cu_296k", 296, .00696, {21.02, 107.6, 41.98, 22.02, 594.3, 3640}}};
    for (int i = 0; i < 2; i++) {
        xn_crystal c = load(rows[i].name);
        double msd = xn_crystal_msd(&c, rows[i].t, 16);
        ck_assert_double_eq_tol(msd, rows[i].msd, 5.1e-6);
        for (int k = 0; k < 6; k++) {
            double i1, mean, nu[3];
            xn_line lines[9];
            ck_assert_int_eq(xn_crystal_lines(&c, &c, q[k], rows[i].t, msd, &i1, &mean, nu, lines), 9);
            ck_assert_msg(fabs(i1 / rows[i].i1[k] - 1) < 5e-4, "%s Q %d: %.5g, expected %.5g", rows[i].name, k, i1,
                          rows[i].i1[k]);
            ck_assert_double_eq_tol(mean, 0, 1e-12);
            for (int l = 0; l < 9; l++) ck_assert_double_eq_tol(lines[l].amplitude, 0, 1e-12);
        }
        xn_crystal_free(&c);
    }
}
END_TEST

// Sum of the amplitudes of all lines at f.
static double at(const xn_line *lines, int n, double f)
{
    double a = 0;
    for (int i = 0; i < n; i++)
        if (fabs(lines[i].f_thz - f) < 2e-3) a += lines[i].amplitude;
    return a;
}

// Uniform softening of the first shell: the listed lines and mean values; no combination lines of their size.
START_TEST(uniform_softening)
{
    const struct {
        double q[3], nu[3], mean;
        int n;
        double f[3], a[3];
    } rows[] = {
        {{2.5, 0, 0}, {3.5283, 3.5283, 5.2487}, .0228, 1, {10.497}, {-.02283}},
        {{2.5, .5, 0}, {3.2496, 4.9718, 6.2079}, .0235, 2, {6.499, 12.416}, {-.01372, -.00974}},
        {{2.3, 1.8, .2}, {2.1634, 2.3807, 5.0922}, .0231, 3, {4.327, 4.761, 10.184}, {-.01786, -.00493, -.00024}},
        {{2.4, .3, .1}, {2.4880, 3.5488, 5.6368}, .0227, 3, {4.976, 7.098, 11.274}, {-.01461, -.00144, -.00686}},
        {{3.4, 1.3, .6}, {2.9289, 3.2107, 6.6495}, .0227, 2, {5.858, 13.299}, {-.01955, -.00313}}};
    xn_crystal c = load("cu_296k"), soft;
    ck_assert_int_eq(xn_crystal_copy(NULL, &c, &soft), XANI_OK);
    ck_assert_int_eq(xn_crystal_scale(NULL, &soft, "110", NULL, 0.95), XANI_OK);
    for (int i = 0; i < 5; i++) {
        double i1, mean, nu[3];
        xn_line lines[9];
        int n = xn_crystal_lines(&c, &soft, rows[i].q, 296, 0.00696, &i1, &mean, nu, lines);
        for (int j = 0; j < 3; j++) ck_assert_double_eq_tol(nu[j], rows[i].nu[j], 1e-4);
        for (int k = 0; k < rows[i].n; k++) ck_assert_double_eq_tol(at(lines, n, rows[i].f[k]), rows[i].a[k], 6e-6);
        ck_assert_double_eq_tol(mean, rows[i].mean, 6e-5);
    }
    xn_crystal_free(&soft);
    xn_crystal_free(&c);
}
END_TEST

// Softening of one bond direction mixes branches: pair, sum and difference lines as listed.
START_TEST(selective_softening)
{
    const double q[3] = {2.4, .3, .1}, nu1[3] = {2.3785, 3.4776, 5.6984};
    const double f[9] = {4.757, 6.955, 11.397, 5.856, 8.077, 9.176, 1.099, 2.221, 3.320};
    const double a[9] = {-.04508, -.00281, -.00357, .00136, .00485, .00075, .00130, .00069, .00453};
    xn_crystal c = load("cu_296k"), soft;
    ck_assert_int_eq(xn_crystal_copy(NULL, &c, &soft), XANI_OK);
    ck_assert_int_eq(xn_crystal_scale(NULL, &soft, "110", "zz", 2.0), XANI_OK);
    double i1, mean, nu[3];
    xn_line lines[9];
    int n = xn_crystal_lines(&c, &soft, q, 296, 0.00696, &i1, &mean, nu, lines);
    ck_assert_int_eq(n, 9);
    for (int j = 0; j < 3; j++) ck_assert_double_eq_tol(nu[j], nu1[j], 1e-4);
    for (int k = 0; k < 9; k++)
        ck_assert_msg(fabs(at(lines, n, f[k]) - a[k]) < 6e-6, "%.3f THz: %.6f, expected %.5f", f[k], at(lines, n, f[k]),
                      a[k]);
    xn_crystal_free(&soft);
    xn_crystal_free(&c);
}
END_TEST

// Q^T C_uu(t) Q by propagating each thermal mode of D0 with Kc and Ks of D1: u(t) = Kc u + Ks p.
static double propagated(const xn_crystal *c, const xn_crystal *soft, const double q[3], double temperature, double t)
{
    double w0[3], e0[9], w1[3], e1[9], s = 0;
    xn_crystal_modes(c, q, w0, e0);
    xn_crystal_modes(soft, q, w1, e1);
    for (int j = 0; j < 3; j++) {
        double w = sqrt(w0[j]), coth = 1 / tanh(HBAR_JS * w / (2 * KB_JK * temperature)), fromu = 0, fromp = 0;
        for (int k = 0; k < 3; k++) {
            double qe = 0, ee = 0, wk = sqrt(w1[k]);
            for (int i = 0; i < 3; i++) qe += q[i] * e1[3 * k + i], ee += e1[3 * k + i] * e0[3 * j + i];
            fromu += qe * cos(wk * t * 1e-12) * ee;
            fromp += qe * sin(wk * t * 1e-12) / wk * ee;
        }
        s += HBAR_JS / (2 * w) * coth * fromu * fromu + HBAR_JS * w / 2 * coth * fromp * fromp;
    }
    return s;
}

// The sum of lines equals the time evolution of the covariance to 1e-8.
START_TEST(lines_are_the_time_evolution)
{
    const double q[4][3] = {{2.5, 0, 0}, {2.4, .3, .1}, {2.3, 1.8, .2}, {3.4, 1.3, .6}};
    xn_crystal c = load("al_80k"), soft;
    ck_assert_int_eq(xn_crystal_copy(NULL, &c, &soft), XANI_OK);
    ck_assert_int_eq(xn_crystal_scale(NULL, &soft, "110", "xy", 0.9), XANI_OK);
    ck_assert_int_eq(xn_crystal_scale(NULL, &soft, "200", "yy", 1.5), XANI_OK);
    for (int k = 0; k < 4; k++) {
        double i1, mean, nu[3], s0 = propagated(&c, &soft, q[k], 300, 0);
        xn_line lines[9];
        int n = xn_crystal_lines(&c, &soft, q[k], 300, 0.01, &i1, &mean, nu, lines);
        for (int i = 0; i <= 100; i++) {
            double t = 0.05 * i, y = mean;
            for (int l = 0; l < n; l++) y += lines[l].amplitude * cos(2 * M_PI * lines[l].f_thz * t);
            ck_assert_double_eq_tol(y, propagated(&c, &soft, q[k], 300, t) / s0 - 1, 1e-8);
        }
    }
    xn_crystal_free(&soft);
    xn_crystal_free(&c);
}
END_TEST

// Scaling one element keeps the cubic symmetry: frequencies at equivalent q stay equal.
START_TEST(scaling_keeps_symmetry)
{
    xn_crystal c = load("al_80k");
    double a[3], b[3], d[3], q[3] = {.4, .3, .1}, rotated[3] = {.1, -.4, .3}, shifted[3] = {1.4, -.7, 1.1};
    ck_assert_int_eq(xn_crystal_scale(NULL, &c, "211", "xy", 2), XANI_OK);
    ck_assert_int_eq(xn_crystal_scale(NULL, &c, "110", "yy", 1.2), XANI_OK);
    xn_crystal_frequencies(&c, q, a);
    xn_crystal_frequencies(&c, rotated, b);
    xn_crystal_frequencies(&c, shifted, d);
    for (int j = 0; j < 3; j++) {
        ck_assert_double_eq_tol(a[j], b[j], 1e-9);
        ck_assert_double_eq_tol(a[j], d[j], 1e-9);
    }
    ck_assert_int_eq(xn_crystal_scale(NULL, &c, "999", NULL, 2), XANI_ERR_CONFIG);
    ck_assert_int_eq(xn_crystal_scale(NULL, &c, "110", "zx", 2), XANI_ERR_CONFIG);
    xn_crystal_free(&c);
}
END_TEST

// A table that contradicts the symmetry of its crystal, or is not a table, is refused.
START_TEST(bad_tables)
{
    static const char *const text[] = {
        "name x\nelement Al\na_ang 4\nmass_u 27\nshell 110 xx 1 yy 2 zz 3 xy 1\n", // 110 and its mirror image differ
        "name x\nelement Al\na_ang 4\nmass_u 27\nshell 321 xx 1\n",                // cannot be completed
        "name x\nelement Al\na_ang 4\nmass_u 27 \nshell 110 xx 1o zz 2 xy 1\n",    // letter in a number
        "name x\nelement Al\na_ang 4\nshell 110 xx 1 zz 2 xy 1\n",                 // no mass
        "colour blue\n"};
    for (size_t i = 0; i < sizeof text / sizeof text[0]; i++) {
        FILE *f = fopen("scratch-table.txt", "w");
        ck_assert_ptr_nonnull(f);
        fputs(text[i], f);
        fclose(f);
        xn_crystal c;
        ck_assert_int_eq(xn_crystal_load(NULL, "./scratch-table.txt", &c), XANI_ERR_INPUT);
    }
    xn_crystal c;
    ck_assert_int_eq(xn_crystal_load(NULL, "no_such_crystal", &c), XANI_ERR_INPUT);
}
END_TEST

// The highest frequencies that the aliasing warning relies on.
START_TEST(highest_frequency)
{
    ck_assert_double_eq_tol(xn_element_max_thz("Al"), 9.72, 0.01);
    ck_assert_double_eq_tol(xn_element_max_thz("Si"), 15.5, 0.1);
    ck_assert(isnan(xn_element_max_thz("Xx")));
}
END_TEST

static void add(TCase *t)
{
    tcase_add_test(t, frequencies);
    tcase_add_test(t, elastic_constants);
    tcase_add_test(t, neighbours);
    tcase_add_test(t, thermal_scattering);
    tcase_add_test(t, uniform_softening);
    tcase_add_test(t, selective_softening);
    tcase_add_test(t, lines_are_the_time_evolution);
    tcase_add_test(t, scaling_keeps_symmetry);
    tcase_add_test(t, bad_tables);
    tcase_add_test(t, highest_frequency);
}
XN_TEST_MAIN("crystal", add)
