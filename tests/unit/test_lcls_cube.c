// SPDX-License-Identifier: BSD-3-Clause
// test_lcls_cube.c -- LCLS cubes of both generations: counts and monitors, edges and axes, labels and steps, failures.
#include "h5write.h"
#include "no_memory.h"

#include "source/lcls/cube.h"
#include "source/recognise.h"
#include "source/source.h"

enum { NB = 4, NY = 2, NX = 3, PLANE = NY * NX };

static xn_ctx *ctx;
static xn_config *config;
static char dir[512], on_path[600], off_path[600], second[600];
static const double edges[NB] = {-1, 0, 1, 2}, shots[NB] = {10, 20, 0, 40}, frames[NB] = {8, 20, 0, 10},
                    i0[NB] = {11, 22, 0, 44}, delay_sum[NB] = {-6, 8, 0, 100};

static double pixel(int b, int p) { return shots[b] > 0 ? 100.0 * (b + 1) + p : NAN; }

static void put_first(const char *path)
{
    double data[NB * PLANE];
    for (int b = 0; b < NB; b++)
        for (int p = 0; p < PLANE; p++) data[b * PLANE + p] = pixel(b, p);
    h5_make(path);
    h5_put(path, "binVar_bins", H5T_NATIVE_DOUBLE, H5_SHAPE(NB), edges);
    h5_put(path, "binVar", H5T_NATIVE_DOUBLE, H5_SHAPE(NB), delay_sum);
    h5_put(path, "nEntries", H5T_NATIVE_DOUBLE, H5_SHAPE(NB), shots);
    h5_put(path, "ipm2__sum", H5T_NATIVE_DOUBLE, H5_SHAPE(NB), i0);
    h5_put(path, "det_data", H5T_NATIVE_DOUBLE, H5_SHAPE(NB, NY, NX), data);
    h5_put(path, "det_nEntries", H5T_NATIVE_DOUBLE, H5_SHAPE(NB), frames);
}

// Steps 3, 1, 4, 2 in this order.
static const int order[NB] = {2, 0, 3, 1};

static void put_label(const char *label)
{
    double data[NB * PLANE], count[NB], sum[NB];
    char name[64];
    for (int k = 0; k < NB; k++) {
        count[k] = 10.0 * (order[k] + 1);
        sum[k] = 11.0 * (order[k] + 1);
        for (int p = 0; p < PLANE; p++) data[k * PLANE + p] = 100.0 * (order[k] + 1) + p;
    }
    snprintf(name, sizeof name, "%s/det/calib", label);
    h5_put(second, name, H5T_NATIVE_DOUBLE, H5_SHAPE(NB, NY, NX), data);
    snprintf(name, sizeof name, "%s/det/count", label);
    h5_put(second, name, H5T_NATIVE_DOUBLE, H5_SHAPE(NB, 1), count);
    snprintf(name, sizeof name, "%s/ipm2/sum", label);
    h5_put(second, name, H5T_NATIVE_DOUBLE, H5_SHAPE(NB, 1), sum);
}

static void put_second(void)
{
    double step[2 * NB], lxt[2 * NB];
    for (int k = 0; k < 2 * NB; k++) {
        step[k] = order[k / 2] + 1;
        lxt[k] = 1e-12 * (order[k / 2] - 1);
    }
    h5_make(second);
    h5_put(second, "step_value", H5T_NATIVE_DOUBLE, H5_SHAPE(2 * NB, 1), step);
    h5_put(second, "lxt", H5T_NATIVE_DOUBLE, H5_SHAPE(2 * NB, 1), lxt);
    put_label("on");
    put_label("off");
}

static void configure(const char *layout, const char *file, const char *more)
{
    char yaml[2000];
    xani_config_destroy(&config);
    snprintf(yaml, sizeof yaml, "input:\n  layout: %s\n  files: [%s]\n  delay: {sign: 1, zero_ps: 0}\n%s", layout, file,
             more);
    ck_assert_msg(xn_config_parse(ctx, yaml, "exp.yaml", dir, &config) == XANI_OK, "%s", xani_error_text(ctx));
}

#define FIRST configure("lcls_cube", "Cube_a_on.h5", "  i0: ipm2/sum\n")
#define SECOND configure("lcls2_cube", "cube_r0001.h5", "  i0: ipm2/sum\n  frames: det/calib\n")

static void set_up(void)
{
    H5Eset_auto2(H5E_DEFAULT, NULL, NULL);
    ck_assert_int_eq(xani_create(&ctx), XANI_OK);
    snprintf(dir, sizeof dir, "%s", xn_test_dir("lcls-cube"));
    snprintf(on_path, sizeof on_path, "%s/Cube_a_on.h5", dir);
    snprintf(off_path, sizeof off_path, "%s/Cube_a_off.h5", dir);
    snprintf(second, sizeof second, "%s/cube_r0001.h5", dir);
    put_first(on_path);
    put_first(off_path);
    put_second();
    FIRST;
}

static void tear_down(void)
{
    xani_config_destroy(&config);
    xani_destroy(&ctx);
}

static xani_status load(xn_cube *cube)
{
    xn_source *s = NULL;
    memset(cube, 0, sizeof *cube);
    xani_status st = xn_source_open(ctx, config, -1, &s);
    if (st == XANI_OK) st = s->ops->read_cube(ctx, s, cube);
    xn_source_close(&s);
    return st;
}

static void loads(xn_cube *cube)
{
    xani_status st = load(cube);
    ck_assert_msg(st == XANI_OK, "%s", xani_error_text(ctx));
}

static void fails(xani_status status, const char *text)
{
    xn_cube cube;
    xani_status st = load(&cube);
    ck_assert_msg(st == status, "status %d (%s), not %d", st, xani_error_text(ctx), status);
    ck_assert_msg(strstr(xani_error_text(ctx), text) != NULL, "\"%s\" is not in \"%s\"", text, xani_error_text(ctx));
    xn_clear_error(ctx);
}

START_TEST(test_first)
{
    // The monitor is its mean per shot times the frames; delays are means, of empty bins centres.
    static const double at[NB] = {-0.6, 0.4, 1.5, 2.5};
    xn_cube c;
    loads(&c);
    ck_assert_int_eq(c.nbins, NB);
    for (int b = 0; b < NB; b++) {
        ck_assert_double_eq_tol(c.delay_ps[b], at[b], 1e-12);
        ck_assert_double_eq(c.on_count[b], frames[b]);
        ck_assert_double_eq_tol(c.on_i0[b], shots[b] > 0 ? i0[b] / shots[b] * frames[b] : 0, 1e-12);
        for (int p = 0; p < PLANE; p++) ck_assert_double_eq(c.on_float[b * PLANE + p], shots[b] > 0 ? pixel(b, p) : 0);
    }
    ck_assert_double_eq(c.off_count, 38);
    ck_assert_double_eq(c.off_float[1], 101 + 201 + 401);
    for (int p = 0; p < PLANE; p++) ck_assert_uint_eq(c.mask[p], 0);
    xn_cube_free(&c);
}
END_TEST

START_TEST(test_without_extras)
{
    // Neither binVar nor frame counts: centres of left edges, shots for frames; the usual monitor of a pair.
    const char *const both[] = {on_path, off_path};
    for (int k = 0; k < 2; k++) {
        h5_drop(both[k], "binVar");
        h5_drop(both[k], "det_nEntries");
        h5_put(both[k], "ipm3__sum", H5T_NATIVE_DOUBLE, H5_SHAPE(NB), shots);
    }
    configure("lcls_cube", "Cube_a_on.h5", "");
    xn_cube c;
    loads(&c);
    for (int b = 0; b < NB; b++) {
        ck_assert_double_eq_tol(c.delay_ps[b], edges[b] + 0.5, 1e-12);
        ck_assert_double_eq_tol(c.on_i0[b], i0[b], 1e-12);
    }
    xn_cube_free(&c);
    h5_put(on_path, "binVar_bins", H5T_NATIVE_DOUBLE, H5_SHAPE(NB), (double[NB]){-1, 0, 0, 2});
    fails(XANI_ERR_INPUT, "binVar_bins does not ascend at bin 2");
    h5_put(on_path, "binVar_bins", H5T_NATIVE_DOUBLE, H5_SHAPE(NB), (double[NB]){-1, NAN, 0, 2});
    fails(XANI_ERR_INPUT, "does not ascend at bin 1");
    h5_put(on_path, "binVar_bins", H5T_NATIVE_DOUBLE, H5_SHAPE(NB + 1), (double[NB + 1]){-1, 0, 1, 2, 3});
    fails(XANI_ERR_INPUT, "binVar_bins has 5 numbers, there are 4 bins");
    h5_drop(on_path, "binVar_bins");
    fails(XANI_ERR_INPUT, "has neither binVar_bins nor bins_<var>");
    h5_put(on_path, "bins_lxt", H5T_NATIVE_DOUBLE, H5_SHAPE(NB), (double[NB]){0, 1, 2, 3}); // right edges
    loads(&c);
    for (int b = 0; b < NB; b++) ck_assert_double_eq_tol(c.delay_ps[b], edges[b] + 0.5, 1e-12);
    xn_cube_free(&c);
    h5_put(on_path, "bins_lxt", H5T_NATIVE_DOUBLE, H5_SHAPE(NB + 2), (double[NB + 2]){0, 1, 2, 3, 4, 5});
    fails(XANI_ERR_INPUT, "the length of no axis");
    h5_drop(on_path, "ipm3__sum");
    h5_drop(on_path, "ipm2__sum");
    h5_put(on_path, "bins_lxt", H5T_NATIVE_DOUBLE, H5_SHAPE(NB), edges);
    fails(XANI_ERR_CONFIG, "input.i0 is missing");
}
END_TEST

START_TEST(test_first_faults)
{
    // Shapes that do not fit, numbers that are none.
    h5_put(on_path, "ipm2__sum", H5T_NATIVE_DOUBLE, H5_SHAPE(NB), (double[NB]){11, NAN, 0, 44});
    xn_cube c;
    loads(&c);
    ck_assert_double_eq(c.on_count[1], 0); // a bin without a monitor is empty
    ck_assert_double_eq(c.on_count[3], 10);
    xn_cube_free(&c);
    h5_put(on_path, "det_nEntries", H5T_NATIVE_DOUBLE, H5_SHAPE(NB - 1), frames);
    fails(XANI_ERR_INPUT, "det_nEntries has 3 numbers, there are 4 bins");
    h5_put(on_path, "det_data", H5T_NATIVE_DOUBLE, H5_SHAPE(NB, NX), (double[NB * NX]){0});
    fails(XANI_ERR_INPUT, "sums of frames (bin, y, x) are needed");
    h5_put(on_path, "nEntries", H5T_NATIVE_DOUBLE, 0, NULL, shots);
    fails(XANI_ERR_INPUT, "nEntries is float64 ()");
    h5_drop(on_path, "nEntries");
    fails(XANI_ERR_INPUT, "nEntries");
}
END_TEST

START_TEST(test_second)
{
    // Steps out of order, a row of the root for each label; the sums come out by delay.
    SECOND;
    xn_cube c;
    loads(&c);
    ck_assert_int_eq(c.nbins, NB);
    for (int b = 0; b < NB; b++) {
        ck_assert_double_eq_tol(c.delay_ps[b], b - 1, 1e-9);
        ck_assert_double_eq(c.on_count[b], 10.0 * (b + 1));
        ck_assert_double_eq_tol(c.on_i0[b], 11.0 * (b + 1), 1e-9);
        ck_assert_double_eq(c.on_float[b * PLANE + 2], 100.0 * (b + 1) + 2);
    }
    ck_assert_double_eq(c.off_float[0], 1000);
    xn_cube_free(&c);
    h5_put(second, "on/ipm2/count", H5T_NATIVE_DOUBLE, H5_SHAPE(NB, 1), (double[NB]){1, 1, 1, 1});
    loads(&c);
    ck_assert_double_eq_tol(c.on_i0[2], 11.0 * 3 * 30, 1e-9); // the monitor has a count of its own
    xn_cube_free(&c);
}
END_TEST

START_TEST(test_second_faults)
{
    // Labels, motors and steps that leave something open are asked for by name.
    SECOND;
    h5_put(second, "maybe/det/calib", H5T_NATIVE_DOUBLE, H5_SHAPE(NB, NY, NX), (double[NB * PLANE]){0});
    xn_cube c;
    loads(&c); // its name says neither on nor off
    xn_cube_free(&c);
    h5_put(second, "laser_on/det/calib", H5T_NATIVE_DOUBLE, H5_SHAPE(NB, NY, NX), (double[NB * PLANE]){0});
    fails(XANI_ERR_INPUT, "laser_on, maybe, off, on");
    put_second();
    h5_put(second, "theta", H5T_NATIVE_DOUBLE, H5_SHAPE(2 * NB), (double[2 * NB]){0});
    fails(XANI_ERR_CONFIG, "input.delay.parts");
    put_second();
    h5_put(second, "lxt", H5T_NATIVE_DOUBLE, H5_SHAPE(2 * NB, 1), (double[2 * NB]){NAN});
    fails(XANI_ERR_INPUT, "the delay of row 0 is not a number");
    put_second();
    h5_put(second, "step_value", H5T_NATIVE_DOUBLE, H5_SHAPE(2 * NB, 1), (double[2 * NB]){1, 1, 2, 2, 3, 3, 3, 3});
    fails(XANI_ERR_INPUT, "step_value has 3 different steps, the sums have 4 rows");
    put_second();
    h5_put(second, "on/det/count", H5T_NATIVE_DOUBLE, H5_SHAPE(NB - 1), frames);
    fails(XANI_ERR_INPUT, "on/det/count has 3 numbers, there are 4 bins");
    ck_assert_int_eq(xani_config_assign(ctx, config, "input.frames=det/image"), XANI_OK);
    fails(XANI_ERR_INPUT, "no label and not the root has det/image");
    ck_assert_int_eq(xani_config_assign(ctx, config, "input.frames=null"), XANI_OK);
    fails(XANI_ERR_CONFIG, "input.frames is missing");
}
END_TEST

START_TEST(test_no_memory)
{
    // Whichever allocation fails, it is told as that, and nothing is left behind.
    for (int k = 0; k < 2; k++) {
        if (k == 1) SECOND;
        no_memory n = NO_MEMORY;
        for (; n.reached; no_memory_next(&n)) {
            xn_cube c;
            no_memory_begin(&n);
            xani_status st = load(&c);
            no_memory_end();
            xani_status want = n.reached ? XANI_ERR_MEMORY : XANI_OK;
            ck_assert_msg(st == want, "allocation %d: %s", (int)n.at, xani_error_text(ctx));
            xn_cube_free(&c);
            xn_clear_error(ctx);
        }
        ck_assert_uint_gt(n.at, 40);
    }
}
END_TEST

START_TEST(test_recognised)
{
    // info and init know both, and answer or tell when memory is short.
    const char *paths[] = {on_path, second}, *const layout[] = {"lcls_cube", "lcls2_cube"};
    for (int k = 0; k < 4; k++) {
        no_memory n = NO_MEMORY;
        for (; n.reached; no_memory_next(&n)) {
            char *text = NULL;
            no_memory_begin(&n);
            xani_status st =
                k % 2 ? xn_source_init(ctx, &paths[k / 2], 1, &text) : xn_source_info(ctx, &paths[k / 2], 1, &text);
            no_memory_end();
            ck_assert((st == XANI_OK) == (text != NULL));
            if (!n.reached) ck_assert(st == XANI_OK && strstr(text, layout[k / 2]) != NULL);
            xn_free(text);
            xn_clear_error(ctx);
        }
        ck_assert_uint_gt(n.at, 40);
    }
}
END_TEST

static void add(TCase *t)
{
    tcase_add_checked_fixture(t, set_up, tear_down);
    tcase_add_test(t, test_first);
    tcase_add_test(t, test_without_extras);
    tcase_add_test(t, test_first_faults);
    tcase_add_test(t, test_second);
    tcase_add_test(t, test_second_faults);
    tcase_add_test(t, test_no_memory);
    tcase_add_test(t, test_recognised);
}

XN_TEST_MAIN("lcls cube", add)
