// SPDX-License-Identifier: BSD-3-Clause
// test_forces.c -- force constants in memory: images, sum rule, primitive cell; memory that runs out at any point.
#include "context.h"
#include "no_memory.h"

#include "physics/forces/supercell.h"

START_TEST(test_nearest_images)
{
    // An atom in the middle of a cube of side 2 has 8 images at the same distance, on a face 2, inside 1.
    static const double cube[9] = {2, 0, 0, 0, 2, 0, 0, 0, 2}, origin[3] = {0, 0, 0};
    static const struct {
        double to[3];
        int n;
        double length;
    } rows[] = {
        {{1, 1, 1}, 8, 1.7320508}, {{1, 0, 0}, 2, 1}, {{0.3, 0, 0}, 1, 0.3}, {{-7, 0, 0}, 2, 1}, {{0, 0, 0}, 1, 0}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        double image[XN_IMAGES][3];
        ck_assert_int_eq(xn_nearest_images(origin, rows[i].to, cube, image), rows[i].n);
        for (int k = 0; k < rows[i].n; k++)
            ck_assert_double_eq_tol(
                sqrt(image[k][0] * image[k][0] + image[k][1] * image[k][1] + image[k][2] * image[k][2]), rows[i].length,
                1e-6);
    }
    static const double flat[9] = {1, 0, 0, 2, 0, 0, 0, 0, 1};
    double image[XN_IMAGES][3];
    ck_assert_int_eq(xn_nearest_images(origin, rows[0].to, flat, image), 0);
}
END_TEST

// A chain of one atom along x, spring k to both neighbours; the self term is wrong by `excess`.
static void make_chain(double k, double excess, xn_forces *f)
{
    static const double cell[9] = {2, 0, 0, 0, 2, 0, 0, 0, 2};
    ck_assert_int_eq(xn_forces_begin(ctx, cell, 1, f), XANI_OK);
    f->mass_u[0] = 10;
    double minus[9] = {-k}, self[9] = {2 * k + excess};
    ck_assert_int_eq(xn_forces_add(ctx, f, 0, 0, (double[3]){0, 0, 0}, self), XANI_OK);
    ck_assert_int_eq(xn_forces_add(ctx, f, 0, 0, (double[3]){2, 0, 0}, minus), XANI_OK);
    ck_assert_int_eq(xn_forces_add(ctx, f, 0, 0, (double[3]){-2, 0, 0}, minus), XANI_OK);
}

START_TEST(test_chain)
{
    // Linear chain: w = 2 sqrt(k/m) |sin(q a / 2)|; the sum rule takes off what is too much and says how much.
    xn_forces f;
    make_chain(16, 0.5, &f);
    ck_assert_double_eq_tol(xn_forces_sum_rule(&f), 0.5, 1e-12);
    for (int i = 0; i <= 10; i++) {
        double q[3] = {0.3 * i, 0, 0}, nu[3];
        ck_assert_int_eq(xn_forces_modes(ctx, &f, q, NULL, nu, NULL), XANI_OK);
        double want = 2 * sqrt(16 / (10 * 1.66053906660e-27)) * fabs(sin(q[0])) / (2 * M_PI) * 1e-12;
        ck_assert_double_eq_tol(nu[2], want, 1e-6);
    }
    xn_forces_free(&f);
    make_chain(-16, 0, &f); // unstable: imaginary frequencies are negative
    double q[3] = {1, 0, 0}, nu[3];
    ck_assert_int_eq(xn_forces_modes(ctx, &f, q, NULL, nu, NULL), XANI_OK);
    ck_assert_double_lt(nu[0], -1);
    xn_forces_free(&f);
}
END_TEST

START_TEST(test_no_crystal)
{
    // A cell without volume, or without atoms, is refused.
    static const double flat[9] = {1, 0, 0, 2, 0, 0, 0, 0, 1}, cube[9] = {1, 0, 0, 0, 1, 0, 0, 0, 1};
    xn_forces f;
    ck_assert_int_eq(xn_forces_begin(ctx, flat, 1, &f), XANI_ERR_INPUT);
    xn_clear_error(ctx);
    ck_assert_int_eq(xn_forces_begin(ctx, cube, 0, &f), XANI_ERR_INPUT);
    ck_assert_int_eq(xn_forces_load(ctx, "x.txt", NULL, NULL, XN_POLAR_DIPOLES, &f), XANI_ERR_INPUT);
    xn_clear_error(ctx);
    ck_assert_int_eq(xn_forces_load(ctx, "x.txt", "siesta", NULL, XN_POLAR_DIPOLES, &f), XANI_ERR_CONFIG);
    ck_assert_ptr_nonnull(strstr(xani_error_text(ctx), "siesta"));
}
END_TEST

// ---- a small polar crystal as files

static void write_file(const char *path, const char *text)
{
    FILE *f = fopen(path, "w");
    ck_assert_ptr_nonnull(f);
    ck_assert_int_ge(fputs(text, f), 0);
    ck_assert_int_eq(fclose(f), 0);
}

static void write_crystal(const char *dir)
{
    char path[1024];
    snprintf(path, sizeof path, "%s/SPOSCAR", dir);
    write_file(path, "caesium chloride\n1\n8 0 0\n0 4 0\n0 0 4\nCs Cl\n2 2\nDirect\n"
                     "0 0 0\n.5 0 0\n.25 .5 .5\n.75 .5 .5\n");
    snprintf(path, sizeof path, "%s/FORCE_CONSTANTS", dir);
    FILE *f = fopen(path, "w");
    ck_assert_ptr_nonnull(f);
    fprintf(f, "4 4\n");
    for (int i = 1; i <= 4; i++)
        for (int j = 1; j <= 4; j++) {
            double k = i == j ? 3 : -1;
            fprintf(f, "%d %d\n%g 0 0\n0 %g 0\n0 0 %g\n", i, j, k, k, k);
        }
    ck_assert_int_eq(fclose(f), 0);
    snprintf(path, sizeof path, "%s/BORN", dir);
    write_file(path, "14.4\n3 0 0 0 3 0 0 0 3\n1 0 0 0 1 0 0 0 1\n-1 0 0 0 -1 0 0 0 -1\n");
}

START_TEST(test_memory)
{
    // Whatever allocation fails, loading says so and leaves nothing behind.
    write_crystal(xn_test_dir("forces"));
    for (no_memory n = NO_MEMORY;; no_memory_next(&n)) {
        xn_forces f;
        no_memory_begin(&n);
        xani_status st = xn_forces_load(ctx, "scratch-forces/FORCE_CONSTANTS", NULL, NULL, XN_POLAR_DIPOLES, &f);
        no_memory_end();
        if (!n.reached) {
            ck_assert_int_eq(st, XANI_OK);
            ck_assert_int_eq(f.n_atoms, 2);
            ck_assert(f.polar);
            ck_assert_uint_gt(n.at, 20);
            xn_forces_free(&f);
            break;
        }
        ck_assert_int_eq(st, XANI_ERR_MEMORY);
        ck_assert_ptr_null(f.force);
        xn_clear_error(ctx);
    }
}
END_TEST

static void add(TCase *t)
{
    tcase_add_checked_fixture(t, set_up, tear_down);
    tcase_add_test(t, test_nearest_images);
    tcase_add_test(t, test_chain);
    tcase_add_test(t, test_no_crystal);
    tcase_add_test(t, test_memory);
}
XN_TEST_MAIN("forces", add)
