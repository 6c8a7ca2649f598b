// SPDX-License-Identifier: BSD-3-Clause
// test_orientation.c -- the orientation that reflections were made with comes back; what fixes none is refused.
#include "context.h"
#include "core/rng.h"
#include "physics/geometry.h"
#include "physics/lattice.h"

static const char base[] = "experiment: {energy_kev: 9.5}\n"
                           "map: {crystal: {cell: [5.1, 6.2, 7.3, 82, 95, 103], centring: P}}\n"
                           "geometry:\n"
                           "  detector: {shape: [400, 500], pixel_mm: 0.2, centre_px: [210, 170]}\n"
                           "  distance_mm: 90\n"
                           "  arm: [{axis: [0, 1, 0], angle_deg: 25}]\n"
                           "  goniometer: [{axis: [0, 1, 0], sign: -1}, {axis: [1, 0, 0]}]\n"
                           "  reflections:\n";

static void random_rotation(uint64_t seed, double u[9])
{
    xn_rng rng;
    xn_rng_init(&rng, seed, 0);
    xn_goniometer g = {2, {{{0, 0, 1}, 1, 360 * xn_rng_uniform(&rng)}, {{0.6, 0.8, 0}, 1, 360 * xn_rng_uniform(&rng)}}};
    xn_goniometer_matrix(&g, u);
}

// R of the goniometer above at these angles.
static void circles(double a, double b, double r[9])
{
    xn_goniometer g = {2, {{{0, 1, 0}, -1, a}, {{1, 0, 0}, 1, b}}};
    xn_goniometer_matrix(&g, r);
}

static xani_status load(const char *reflections, xn_lattice *l)
{
    char yaml[8192];
    xn_config *c = NULL;
    snprintf(yaml, sizeof yaml, "%s%s", base, reflections);
    xani_status st = xn_config_parse(ctx, yaml, "t.yaml", ".", &c);
    ck_assert_msg(st == XANI_OK, "%s", xani_error_text(ctx));
    st = xn_lattice_load(ctx, c, true, l);
    xani_config_destroy(&c);
    return st;
}

static double furthest(const double *a, const double *b)
{
    double most = 0;
    for (int i = 0; i < 9; i++) most = fmax(most, fabs(a[i] - b[i]));
    return most;
}

static void expected_ub(const double u[9], double ub[9])
{
    xn_lattice l;
    const double cell[6] = {5.1, 6.2, 7.3, 82, 95, 103};
    ck_assert_int_eq(xn_lattice_make(ctx, cell, 'P', &l), XANI_OK);
    xn_mat3_mul(u, l.b, ub);
}

// by Q at several sample angles: two fix it, more agree
START_TEST(by_q)
{
    static const double hkl[4][3] = {{1, 0, 0}, {0, 2, -1}, {3, 1, 2}, {-1, -1, 4}};
    for (int n = 2; n <= 4; n++) {
        double u[9], ub[9], r[9], rub[9], q[3];
        char text[4096] = "";
        xn_lattice l;
        random_rotation((uint64_t)n + 7, u);
        expected_ub(u, ub);
        for (int i = 0; i < n; i++) {
            double a = 10.0 * i, b = -7.0 * i;
            circles(a, b, r);
            xn_mat3_mul(r, ub, rub);
            xn_mat3_vec(rub, hkl[i], q);
            snprintf(text + strlen(text), sizeof text - strlen(text),
                     "    - {hkl: [%g, %g, %g], q: [%.15g, %.15g, %.15g], angles_deg: [%g, %g]}\n", hkl[i][0],
                     hkl[i][1], hkl[i][2], q[0], q[1], q[2], a, b);
        }
        xani_status st = load(text, &l);
        ck_assert_msg(st == XANI_OK, "%s", xani_error_text(ctx));
        ck_assert_double_lt(furthest(l.ub, ub), 1e-9);
    }
}
END_TEST

// by pixel on a detector on an arm, fractions of pixels included; hkl -> pixel -> hkl closes
START_TEST(by_pixel)
{
    static const double pixel[3][2] = {{100.25, 300.5}, {420.9, 20.1}, {250.0, 399.5}};
    double u[9], ub[9], inverse[9];
    char text[4096] = "";
    xn_lattice l;
    random_rotation(99, u);
    expected_ub(u, ub);
    ck_assert(xn_mat3_inverse(ub, inverse));
    const double c = cos(25 * M_PI / 180), s = sin(25 * M_PI / 180);
    for (int i = 0; i < 3; i++) {
        double x = (pixel[i][0] - 210) * 2e-4, y = (pixel[i][1] - 170) * 2e-4, z = 0.09, q[3], hkl[3];
        const double r[3] = {c * x + s * z, y, c * z - s * x};
        double size = sqrt(x * x + y * y + z * z), k = XN_K_PER_KEV * 9.5;
        for (int d = 0; d < 3; d++) q[d] = k * (r[d] / size - (d == 2));
        xn_mat3_vec(inverse, q, hkl);
        snprintf(text + strlen(text), sizeof text - strlen(text),
                 "    - {hkl: [%.15g, %.15g, %.15g], pixel: [%g, %g]}\n", hkl[0], hkl[1], hkl[2], pixel[i][0],
                 pixel[i][1]);
    }
    xani_status st = load(text, &l);
    ck_assert_msg(st == XANI_OK, "%s", xani_error_text(ctx));
    ck_assert_double_lt(furthest(l.ub, ub), 1e-6);
}
END_TEST

// of four, one is turned: from 5 degrees on it is named, whichever it is
START_TEST(one_off)
{
    static const double hkl[4][3] = {{1, 0, 0}, {0, 2, -1}, {3, 1, 2}, {-1, -1, 4}};
    static const double off_deg[3] = {4.5, 6.7, 18.7};
    for (int bad = 0; bad < 4; bad++)
        for (int k = 0; k < 3; k++) {
            double u[9], ub[9], q[3];
            char text[4096] = "", wanted[100];
            xn_lattice l;
            random_rotation((uint64_t)bad + 3, u);
            expected_ub(u, ub);
            for (int i = 0; i < 4; i++) {
                xn_mat3_vec(ub, hkl[i], q);
                double size = sqrt(q[0] * q[0] + q[1] * q[1] + q[2] * q[2]), across[3] = {q[1], -q[0], 0};
                double turn = i == bad ? off_deg[k] * M_PI / 180 : 0, flat = hypot(q[0], q[1]);
                for (int d = 0; d < 3; d++) q[d] = q[d] * cos(turn) + size * across[d] / flat * sin(turn);
                snprintf(text + strlen(text), sizeof text - strlen(text),
                         "    - {hkl: [%g, %g, %g], q: [%.15g, %.15g, %.15g]}\n", hkl[i][0], hkl[i][1], hkl[i][2], q[0],
                         q[1], q[2]);
            }
            xn_clear_error(ctx);
            ck_assert_int_eq(load(text, &l), k == 0 ? XANI_OK : XANI_ERR_CONFIG);
            snprintf(wanted, sizeof wanted, "reflections[%d]: %g %g %g lies %.1f degrees from", bad, hkl[bad][0],
                     hkl[bad][1], hkl[bad][2], off_deg[k]);
            if (k > 0) ck_assert_msg(strstr(xani_error_text(ctx), wanted) != NULL, "%s", xani_error_text(ctx));
        }
}
END_TEST

// two near each other and one across: errors of half a degree do not make the third one wrong
START_TEST(near_each_other)
{
    static const double hkl[3][3] = {{6, 0, 1}, {6, 1, 1}, {0, -1, 4}};
    double u[9], ub[9], q[3];
    char text[4096] = "";
    xn_lattice l;
    random_rotation(5, u);
    expected_ub(u, ub);
    for (int i = 0; i < 3; i++) {
        xn_mat3_vec(ub, hkl[i], q);
        double size = sqrt(q[0] * q[0] + q[1] * q[1] + q[2] * q[2]), across[3] = {q[1], -q[0], 0};
        for (int d = 0; d < 3; d++) q[d] += (i == 0 ? 0.008 : 0) * size * across[d] / hypot(q[0], q[1]);
        snprintf(text + strlen(text), sizeof text - strlen(text),
                 "    - {hkl: [%g, %g, %g], q: [%.15g, %.15g, %.15g]}\n", hkl[i][0], hkl[i][1], hkl[i][2], q[0], q[1],
                 q[2]);
    }
    xani_status st = load(text, &l);
    ck_assert_msg(st == XANI_OK, "%s", xani_error_text(ctx));
}
END_TEST

// what gives no orientation, or a wrong one, is refused with its reason
START_TEST(refused)
{
    static const struct {
        const char *text, *wanted;
    } cases[] = {
        {"    - {hkl: [1, 0, 0], q: [1.3, 0, 0]}\n", "1 reflections, 2 to"},
        {"    - {hkl: [1, 0, 0], q: [1.27, 0, 0]}\n    - {hkl: [2, 0, 0], q: [2.54, 0, 0]}\n", "along one direction"},
        {"    - {hkl: [1, 0, 0], q: [2.5, 0, 0]}\n    - {hkl: [0, 1, 0], q: [0, 1.04, 0]}\n", "cell, energy, distance"},
        {"    - {hkl: [0, 0, 0], q: [1, 0, 0]}\n    - {hkl: [0, 1, 0], q: [0, 1.04, 0]}\n", "no direction"},
        {"    - {hkl: [1, 0, 0]}\n    - {hkl: [0, 1, 0], q: [0, 1.04, 0]}\n", "either pixel"},
        {"    - {hkl: [1, 0, 0], pixel: [900, 3]}\n    - {hkl: [0, 1, 0], q: [0, 1.04, 0]}\n", "not on the detector"},
        {"    - {hkl: [1, 0, 0], q: [1.27, 0, 0], angles_deg: [1]}\n    - {hkl: [0, 1, 0], q: [0, 1.04, 0]}\n",
         "1 angles"},
        {"    - {hkl: [1, 0, 0], q: [1.27, 0, 0]}\n    - {hkl: [0, 1, 0], q: [0.9, 0.54, 0]}\n", "apart, in this cell"},
        {"    - {hkl: [1, 0, 0], q: [1, 0, 0]}\n    - {hkl: [0, 1, 0], q: [0, 1, 0]}\n"
         "  orientation: [[1, 0, 0], [0, 1, 0], [0, 0, 1]]\n",
         "both give the orientation"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        xn_lattice l;
        xn_clear_error(ctx);
        ck_assert_int_eq(load(cases[i].text, &l), XANI_ERR_CONFIG);
        ck_assert_msg(strstr(xani_error_text(ctx), cases[i].wanted) != NULL, "%s", xani_error_text(ctx));
    }
}
END_TEST

static void add(TCase *t)
{
    tcase_add_checked_fixture(t, set_up, tear_down);
    tcase_add_test(t, by_q);
    tcase_add_test(t, by_pixel);
    tcase_add_test(t, one_off);
    tcase_add_test(t, near_each_other);
    tcase_add_test(t, refused);
}

XN_TEST_MAIN("orientation", add)
