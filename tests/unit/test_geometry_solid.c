// SPDX-License-Identifier: BSD-3-Clause
// test_geometry_solid.c -- solid angles of pixel groups on modules that stand anyhow, beside gaps, at edges.
#include "context.h"

#include "physics/geometry.h"

enum { ROWS = 4, NX = 6, MODULES = 2, NY = MODULES * ROWS };

static const double PIXEL = 1e-3;
static int64_t rows[MODULES] = {ROWS, ROWS};
static float position[NY * NX * 3];

// Module m: first pixel at c, columns along f, rows along s (unit vectors); a gap of `gap` pixels after column 2.
static void place(int m, const double c[3], const double f[3], const double s[3], double gap)
{
    for (int y = 0; y < ROWS; y++)
        for (int x = 0; x < NX; x++)
            for (int k = 0; k < 3; k++)
                position[3 * ((m * ROWS + y) * NX + x) + k] =
                    (float)(c[k] + PIXEL * ((x + (x > 2 ? gap : 0.0)) * f[k] + y * s[k]));
}

START_TEST(test_modules)
{
    // One across the beam with a gap, one turned by 50 degrees: area times the cosine over the distance squared.
    const double c = cos(50 * M_PI / 180), s = sin(50 * M_PI / 180);
    const double normal[MODULES][3] = {{0, 0, 1}, {s, 0, c}};
    place(0, (double[]){0.01, -0.02, 0.1}, (double[]){1, 0, 0}, (double[]){0, 1, 0}, 2.0);
    place(1, (double[]){0.08, 0.01, 0.06}, (double[]){c, 0, -s}, (double[]){0, 1, 0}, 0.0);
    xn_geometry g = {.ny = NY, .nx = NX, .n_modules = MODULES, .module_rows = rows, .position = position};
    for (int bin = 1; bin <= 2; bin++) {
        float *r;
        double *omega;
        int64_t gy, gx;
        ck_assert_int_eq(xn_geometry_group(ctx, &g, bin, &r, &gy, &gx), XANI_OK);
        ck_assert_int_eq(xn_geometry_solid_angles(ctx, &g, bin, r, gx, &omega), XANI_OK);
        for (int64_t i = 0; i < gy * gx; i++) {
            const double *n = normal[i / gx * MODULES / gy];
            double d2 = 0, along = 0;
            for (int k = 0; k < 3; k++) d2 += (double)r[3 * i + k] * r[3 * i + k], along += n[k] * r[3 * i + k];
            double expected = bin * bin * PIXEL * PIXEL * along / pow(d2, 1.5);
            bool beside_gap = bin == 2 && i / gx < gy / MODULES; // a group may lie across it
            if (!beside_gap) ck_assert_double_eq_tol(omega[i] / expected, 1.0, 1e-4);
        }
        xn_free(omega);
        xn_free(r);
    }
}
END_TEST

START_TEST(test_unknown)
{
    // Pixels that no panel covers have none, nor do rows that have no neighbour; short memory is an error.
    place(0, (double[]){0.01, -0.02, 0.1}, (double[]){1, 0, 0}, (double[]){0, 1, 0}, 0.0);
    place(1, (double[]){0.01, 0.02, 0.1}, (double[]){1, 0, 0}, (double[]){0, 1, 0}, 0.0);
    for (int k = 0; k < 3; k++) position[3 * 2 + k] = NAN;
    xn_geometry g = {.ny = NY, .nx = NX, .n_modules = MODULES, .module_rows = rows, .position = position};
    double *omega;
    ck_assert_int_eq(xn_geometry_solid_angles(ctx, &g, 1, position, NX, &omega), XANI_OK);
    for (int i = 0; i < NY * NX; i++) ck_assert_int_eq(isnan(omega[i]), i == 2);
    xn_free(omega);
    int64_t one[MODULES] = {1, 1};
    g.module_rows = one;
    ck_assert_int_eq(xn_geometry_solid_angles(ctx, &g, 1, position, NX, &omega), XANI_OK);
    ck_assert(isnan(omega[0]) && isnan(omega[2 * NX - 1]));
    xn_free(omega);
}
END_TEST

static void add(TCase *t)
{
    tcase_add_checked_fixture(t, set_up, tear_down);
    tcase_add_test(t, test_modules);
    tcase_add_test(t, test_unknown);
}
XN_TEST_MAIN("geometry_solid", add)
