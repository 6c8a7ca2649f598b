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

// Three modules of ROWS rows in a .geom file.
static void write_file(char *path, size_t room)
{
    snprintf(path, room, "%s/three.geom", xn_test_dir("geometry-region"));
    FILE *f = fopen(path, "w");
    ck_assert_ptr_nonnull(f);
    fprintf(f, "clen = 0.1\nphoton_energy = 9500\nres = 10000\ndata = /data\n");
    for (int m = 0; m < 3; m++)
        fprintf(f,
                "m%d/min_fs = 0\nm%d/max_fs = %d\nm%d/min_ss = %d\nm%d/max_ss = %d\nm%d/corner_x = %d\n"
                "m%d/corner_y = %d\nm%d/fs = x\nm%d/ss = y\n",
                m, m, NX - 1, m, m * ROWS, m, m * ROWS + ROWS - 1, m, 10 * m, m, 7 * m, m, m);
    fprintf(f, "bad/panel = m2\nbad/min_fs = 1\nbad/max_fs = 1\nbad/min_ss = %d\nbad/max_ss = %d\n", 2 * ROWS,
            2 * ROWS);
    fclose(f);
}

static void of_file(const char *path, const char *more)
{
    char yaml[2000];
    xani_config_destroy(&config);
    snprintf(yaml, sizeof yaml, "geometry:\n  file: %s\n%s", path, more);
    ck_assert_msg(xn_config_parse(ctx, yaml, "exp.yaml", ".", &config) == XANI_OK, "%s", xani_error_text(ctx));
}

static void of_file_fails(const char *path, const char *more, int64_t ny, const char *text)
{
    xn_geometry g;
    of_file(path, more);
    ck_assert_int_eq(xn_geometry_load(ctx, config, ny, ny > 0 ? NX : 0, &g), XANI_ERR_CONFIG);
    ck_assert_msg(strstr(xani_error_text(ctx), text) != NULL, "\"%s\" is not in \"%s\"", text, xani_error_text(ctx));
    xn_clear_error(ctx);
}

START_TEST(test_stored_modules_of_a_file)
{
    // Frames that lack modules take theirs of the file of the whole detector, in the order in which they are stored.
    static const int number[2][2] = {{0, 2}, {2, 1}};
    static const char *const key[2] = {"  detector: {stored: [0, 2]}\n", "  detector: {stored: [2, 1]}\n"};
    char path[600];
    write_file(path, sizeof path);
    of_file(path, "");
    xn_geometry whole = loaded(3 * ROWS, NX);
    for (int i = 0; i < 2; i++) {
        of_file(path, key[i]);
        xn_geometry g = loaded(2 * ROWS, NX);
        ck_assert_int_eq(g.n_modules, 2);
        for (int m = 0; m < 2; m++)
            for (int k = 0; k < ROWS * NX; k++) {
                ck_assert_int_eq(g.bad[m * ROWS * NX + k], whole.bad[number[i][m] * ROWS * NX + k]);
                for (int x = 0; x < 3; x++)
                    ck_assert_float_eq(g.position[3 * (m * ROWS * NX + k) + x],
                                       whole.position[3 * (number[i][m] * ROWS * NX + k) + x]);
            }
        xn_geometry_free(&g);
    }
    ck_assert_int_eq(whole.bad[2 * ROWS * NX + 1], XN_GEOMETRY_BAD);
    xn_geometry_free(&whole);
    of_file(path, "  detector: {stored: [0, 2]}\n  region: [2, 6, 0, 6]\n"); // of what is stored
    xn_geometry g = loaded(4, NX);
    ck_assert_int_eq(g.n_modules, 2);
    xn_geometry_free(&g);
}
END_TEST

START_TEST(test_stored_faults)
{
    char path[600];
    write_file(path, sizeof path);
    of_file_fails(path, "", 2 * ROWS, "geometry.detector.stored names those that the frames have, 2 of 0 to 2");
    of_file_fails(path, "", 2 * ROWS + 1, "geometry.region says which");
    of_file_fails(path, "  detector: {stored: [0, 3]}\n", 0, "module 3 of 0 to 2");
    of_file_fails(path, "  detector: {stored: [1, 1]}\n", 0, "module 1 stands there twice");
    of_file_fails(path, "  detector: {stored: [0, 1, 2, 3]}\n", 0, "4 modules are named, geometry.file has 3");
}
END_TEST

static void add(TCase *t)
{
    tcase_add_checked_fixture(t, set_up, tear_down);
    tcase_add_test(t, test_stored_rows);
    tcase_add_test(t, test_modules);
    tcase_add_test(t, test_faults);
    tcase_add_test(t, test_stored_modules_of_a_file);
    tcase_add_test(t, test_stored_faults);
}

XN_TEST_MAIN("geometry region", add)
