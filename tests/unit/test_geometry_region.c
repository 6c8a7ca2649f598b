// SPDX-License-Identifier: BSD-3-Clause
// test_geometry_region.c -- a region of a detector keeps the pixels of the whole, where they are.
#include "test.h"

#include "core/config.h"
#include "physics/geometry.h"

enum { NY = 8, NX = 6, ROWS = 4 };

static xn_ctx *ctx;
static xn_config *config;

static void configure(const char *more)
{
    char yaml[2000];
    xani_config_destroy(&config);
    snprintf(
        yaml, sizeof yaml,
        "geometry:\n  distance_mm: 100\n  detector:\n    shape: [%d, %d]\n    pixel_mm: 0.1\n    centre_px: [3, 3]\n"
        "    modules: [{at_px: [0, 0]}, {at_px: [0, 7]}]\n%s",
        ROWS, NX, more);
    ck_assert_msg(xn_config_parse(ctx, yaml, "exp.yaml", ".", &config) == XANI_OK, "%s", xani_error_text(ctx));
}

static void set_up(void) { ck_assert_int_eq(xani_create(&ctx), XANI_OK); }

static void tear_down(void)
{
    xani_config_destroy(&config);
    xani_destroy(&ctx);
}

static xn_geometry loaded(int64_t ny, int64_t nx)
{
    xn_geometry g;
    xani_status st = xn_geometry_load(ctx, config, ny, nx, &g);
    ck_assert_msg(st == XANI_OK, "%s", xani_error_text(ctx));
    return g;
}

// Pixel (y, x) of the region is pixel (row[y], x + column) of the whole.
static void check(const char *region, int64_t ny, int64_t nx, const int *row, int column, int modules, int first_rows)
{
    configure("");
    xn_geometry whole = loaded(NY, NX);
    configure(region);
    xn_geometry g = loaded(ny, nx);
    ck_assert_int_eq(g.n_modules, modules);
    ck_assert_int_eq(g.module_rows[0], first_rows);
    for (int64_t y = 0; y < ny; y++)
        for (int64_t x = 0; x < 3 * nx; x++)
            ck_assert_float_eq(g.position[y * 3 * nx + x], whole.position[row[y] * 3 * NX + 3 * column + x]);
    xn_geometry_free(&g);
    xn_geometry_free(&whole);
}

static void fails(const char *region, const char *text)
{
    xn_geometry g;
    configure(region);
    ck_assert_int_eq(xn_geometry_load(ctx, config, 0, 0, &g), XANI_ERR_CONFIG);
    ck_assert_msg(strstr(xani_error_text(ctx), text) != NULL, "\"%s\" is not in \"%s\"", text, xani_error_text(ctx));
    ck_assert_ptr_null(g.position);
    xn_clear_error(ctx);
}

START_TEST(test_stored_rows)
{
    // Rows and columns of the stored frame: across a module's border, within one.
    check("  region: [2, 6, 1, 5]\n", 4, 4, (int[]){2, 3, 4, 5}, 1, 2, 2);
    check("  region: [5, 7, 0, 6]\n", 2, 6, (int[]){5, 6}, 0, 1, 2);
    check("  region: [0, 8, 0, 6]\n", 8, 6, (int[]){0, 1, 2, 3, 4, 5, 6, 7}, 0, 2, 4);
}
END_TEST

START_TEST(test_modules)
{
    // The same rows of each module.
    check("  region: [0, 2, 1, 3, 2, 6]\n", 4, 4, (int[]){1, 2, 5, 6}, 2, 2, 2);
    check("  region: [1, 2, 0, 4, 0, 3]\n", 4, 3, (int[]){4, 5, 6, 7}, 0, 1, 4);
}
END_TEST

START_TEST(test_faults)
{
    // What is not on the detector is refused with what it has.
    fails("  region: [0, 9, 0, 6]\n", "rows 0 to 9 are not on the detector, which has 8");
    fails("  region: [0, 8, 3, 3]\n", "columns 3 to 3");
    fails("  region: [1, 3, 0, 4, 0, 6]\n", "modules 1 to 3 are not on the detector, which has 2");
    fails("  region: [0, 2, 0, 5, 0, 6]\n", "rows 0 to 5 are not on the detector, which has 4");
    fails("  region: [0, 2, 4]\n", "has 3 numbers");
    fails("  region: [0, 1, 2, 3, 4, 5, 6]\n", "has 7 numbers");
    configure("  region: [2, 6, 1, 5]\n");
    xn_geometry g;
    ck_assert_int_eq(xn_geometry_load(ctx, config, NY, NX, &g), XANI_ERR_CONFIG); // the frames are not the region
    ck_assert_msg(strstr(xani_error_text(ctx), "4 x 4 pixels") != NULL, "%s", xani_error_text(ctx));
}
END_TEST

static void add(TCase *t)
{
    tcase_add_checked_fixture(t, set_up, tear_down);
    tcase_add_test(t, test_stored_rows);
    tcase_add_test(t, test_modules);
    tcase_add_test(t, test_faults);
}

XN_TEST_MAIN("geometry region", add)
