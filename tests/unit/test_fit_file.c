// SPDX-License-Identifier: BSD-3-Clause
// test_fit_file.c -- xani_model_fit_file: blocks, interruption, every allocation and every write that may fail.
#include "disk_full.h"
#include "h5write.h"
#include "io/write/publish.h"
#include "lsq_common.h"
#include "no_memory.h"

enum { POINTS = 12, WIDE = 4500 }; // more traces than one block

static const char *const input = "scratch-fit_file/input.h5", *const output = "scratch-fit_file/fit.h5";

static void remove_output(void)
{
    unlink(output);
    unlink("scratch-fit_file/fit.h5.manifest.json");
}

// WIDE straight lines over 12 points, number i with slope i and intercept -i; one has no data.
static void write_input(void)
{
    static double y[POINTS][WIDE];
    double x[POINTS];
    xn_test_dir("fit_file");
    remove_output();
    ramp(x, POINTS, 0.0, 1.0);
    for (int s = 0; s < POINTS; s++)
        for (int i = 0; i < WIDE; i++) y[s][i] = i == 4444 ? NAN : i * x[s] - i;
    h5_make(input);
    h5_put(input, "y", H5T_NATIVE_DOUBLE, H5_SHAPE(POINTS, WIDE), y);
    h5_put(input, "few", H5T_NATIVE_DOUBLE, H5_SHAPE(POINTS, 3), y);
    h5_put(input, "x", H5T_NATIVE_DOUBLE, H5_SHAPE(POINTS), x);
}

static xani_model_file description(const char *data)
{
    xani_model_file file;
    xani_model_file_init(&file);
    file.input = input;
    file.data = data;
    file.x = "x";
    return file;
}

START_TEST(test_range)
{
    // A range without a sample is refused with what there is; one with some is taken.
    write_input();
    xani_model *m = make("linear");
    xani_model_file file = description("few");
    char *summary = NULL;
    file.range[0] = 70, file.range[1] = 80;
    ck_assert_int_eq(xani_model_fit_file(ctx, NULL, m, NULL, &file, output, &summary), XANI_ERR_USAGE);
    ck_assert_ptr_nonnull(strstr(xani_error_text(ctx), "range 70 to 80; they go from 0 to 1"));
    file.range[0] = 0.5, file.range[1] = NAN;
    ck_assert_int_eq(xani_model_fit_file(ctx, NULL, m, NULL, &file, output, &summary), XANI_OK);
    xani_free(summary);
    xani_model_destroy(&m);
}
END_TEST

START_TEST(test_flat)
{
    // Of a constant trace nothing determines centre and width of a peak: singular, without errors.
    double flat[POINTS][2];
    write_input();
    for (int s = 0; s < POINTS; s++) flat[s][0] = flat[s][1] = 0.5;
    h5_put(input, "flat", H5T_NATIVE_DOUBLE, H5_SHAPE(POINTS, 2), flat);
    static const char *const models[] = {"gaussian + constant", "exponential + constant", "damped_cosines1 + constant"};
    for (size_t k = 0; k < sizeof models / sizeof models[0]; k++) {
        xani_model *m = make(models[k]);
        xani_model_file file = description("flat");
        xani_array status;
        char *summary = NULL;
        remove_output();
        ck_assert_int_eq(xani_model_fit_file(ctx, NULL, m, NULL, &file, output, &summary), XANI_OK);
        ck_assert_int_eq(xani_array_read(ctx, output, "/entry/fit_status", &status), XANI_OK);
        ck_assert_msg(status.i64[0] == XANI_MODEL_SINGULAR, "%s: status %d", models[k], (int)status.i64[0]);
        xani_array_free(&status);
        xani_free(summary);
        xani_model_destroy(&m);
    }
}
END_TEST

START_TEST(test_blocks)
{
    // Traces beyond the first block come out in their places, and progress counts all of them.
    write_input();
    xani_model *m = make("linear");
    xani_model_file file = description("y");
    char *summary = NULL;
    ck_assert_msg(xani_model_fit_file(ctx, NULL, m, NULL, &file, output, &summary) == XANI_OK, "%s",
                  xani_error_text(ctx));
    ck_assert_ptr_nonnull(strstr(summary, "\"converged\": 4499"));
    ck_assert_ptr_nonnull(strstr(summary, "\"masked\": 1"));
    xani_free(summary);
    xani_array slope, status;
    ck_assert_int_eq(xani_array_read(ctx, output, "/entry/fit/slope", &slope), XANI_OK);
    ck_assert_int_eq(xani_array_read(ctx, output, "/entry/fit_status", &status), XANI_OK);
    ck_assert_int_eq(slope.size, WIDE);
    for (int i = 0; i < WIDE; i++) {
        ck_assert_int_eq(status.i64[i], i == 4444 ? XANI_MODEL_MASKED : XANI_MODEL_CONVERGED);
        if (i != 4444) ck_assert_double_eq_tol(slope.f64[i], i, 1e-9);
    }
    ck_assert_double_nan(slope.f64[4444]);
    xani_array_free(&slope);
    xani_array_free(&status);
    xani_model_destroy(&m);
}
END_TEST

static void interrupt_at_once(void *user, const char *stage, int64_t done, int64_t total, const char *unit,
                              double seconds)
{
    (void)stage, (void)unit, (void)seconds;
    ck_assert_int_eq(total, WIDE);
    ck_assert_int_le(done, total);
    xani_interrupt(user);
}

START_TEST(test_interrupt)
{
    // Interrupted: the status says so and nothing is written.
    write_input();
    xani_model *m = make("linear");
    xani_model_file file = description("y");
    xani_model_options o;
    xani_model_options_init(&o);
    o.threads = 1;
    xani_set_progress(ctx, interrupt_at_once, ctx);
    ck_assert_int_eq(xani_model_fit_file(ctx, NULL, m, &o, &file, output, NULL), XANI_INTERRUPTED);
    ck_assert(!xn_test_exists(output));
    xani_model_destroy(&m);
}
END_TEST

START_TEST(test_memory)
{
    // Whichever allocation fails, the call ends with that status, or does without; a file that appears is whole.
    write_input();
    xani_model *m = make("linear");
    xani_model_file file = description("few");
    file.covariance = 1;
    int failures = 0;
    for (no_memory n = NO_MEMORY;; no_memory_next(&n)) {
        remove_output();
        char *summary = NULL;
        no_memory_begin(&n);
        xani_status st = xani_model_fit_file(ctx, NULL, m, NULL, &file, output, &summary);
        no_memory_end();
        xani_free(summary);
        if (!n.reached) {
            ck_assert_int_eq(st, XANI_OK);
            break;
        }
        failures += st != XANI_OK;
        if (st == XANI_OK) ck_assert(xn_test_exists(output)); // an allocation that can be done without
        if (xn_test_exists(output)) ck_assert_int_eq(xn_publish_verify(ctx, output), XANI_OK);
        ck_assert_msg(st == XANI_OK || strlen(xani_error_text(ctx)) > 0, "allocation %d: %d without a text", (int)n.at,
                      (int)st);
        xn_clear_error(ctx);
    }
    ck_assert_int_ge(failures, 30);
    xani_model_destroy(&m);
}
END_TEST

START_TEST(test_writes)
{
    // Whichever write fails, the output's name stays free or holds a whole file.
    write_input();
    xani_model *m = make("linear");
    xani_model_file file = description("few");
    for (disk_full d = DISK_FULL(false);; d.at++) {
        remove_output();
        disk_full_begin(&d);
        xani_status st = xani_model_fit_file(ctx, NULL, m, NULL, &file, output, NULL);
        disk_full_end();
        if (!d.reached) {
            ck_assert_int_eq(st, XANI_OK);
            ck_assert_uint_gt(d.at, 4);
            break;
        }
        if (st == XANI_OK) continue; // the removal of a leftover may fail
        ck_assert_int_eq(st, XANI_ERR_OUTPUT);
        ck_assert(!xn_test_exists(output));
        ck_assert_msg(strstr(xani_error_text(ctx), "fit.h5") != NULL, "operation %d: %s", (int)d.at,
                      xani_error_text(ctx));
    }
    xani_model_destroy(&m);
}
END_TEST

static void add(TCase *t)
{
    tcase_add_checked_fixture(t, set_up, tear_down);
    tcase_add_test(t, test_blocks);
    tcase_add_test(t, test_range);
    tcase_add_test(t, test_flat);
    tcase_add_test(t, test_interrupt);
    tcase_add_test(t, test_memory);
    tcase_add_test(t, test_writes);
}
XN_TEST_MAIN("fit_file", add)
