// SPDX-License-Identifier: BSD-3-Clause
// test_fit_keys.c -- keys of the fit on a cube: starts from an earlier modes.h5 and from neighbours, second rounds,
// covariance; what is written about them; combinations that are refused.
#include "test.h"

#include "core/rng.h"
#include "fit/fit.h"
#include "pipeline.h"
#include "result/result.h"

#define TWO_PI 6.28318530717958647693
enum { NB = 150, NY = 12, NX = 20, NP = NY * NX };

static xn_ctx *ctx;
static xn_cube cube;
static xn_modes modes, back;
static char path[600];

static void set_up(void)
{
    ck_assert_int_eq(xani_create(&ctx), XANI_OK);
    memset(&cube, 0, sizeof cube);
    memset(&modes, 0, sizeof modes);
    memset(&back, 0, sizeof back);
    snprintf(path, sizeof path, "%s/modes.h5", xn_test_dir("fit-keys"));
    unlink(path);
}

static void tear_down(void)
{
    xn_modes_free(&modes);
    xn_modes_free(&back);
    xn_cube_free(&cube);
    xani_destroy(&ctx);
}

static double f_of(int p) { return 2.0 + 0.002 * (p % NX) + 0.004 * (p / NX); }

// One mode whose frequency varies slowly over two modules, amplitude 0.02, in noise of `sigma`; errors not known.
static void make_cube(double sigma)
{
    cube.nbins = NB;
    cube.ny = NY;
    cube.nx = NX;
    cube.spatial_bin = 1;
    cube.n_modules = 2;
    cube.module_rows = xn_calloc(2, sizeof(int64_t));
    cube.module_rows[0] = cube.module_rows[1] = NY / 2;
    cube.delay_ps = xn_calloc(NB, sizeof(double));
    cube.weight = xn_calloc(NB, sizeof(double));
    cube.signal = xn_calloc(NB * NP, sizeof(float));
    cube.errors = xn_calloc(NB * NP, sizeof(float));
    cube.mask = xn_calloc(NP, sizeof(uint32_t));
    cube.time_resolution_ps = NAN;
    cube.run = xn_strdup("r1");
    xn_rng r;
    xn_rng_init(&r, 3, 0);
    for (int i = 0; i < NB; i++) {
        cube.delay_ps[i] = 0.05 * (i + 1);
        cube.weight[i] = 1.0;
        for (int p = 0; p < NP; p++) {
            const double t = cube.delay_ps[i], m = 0.02 * exp(-0.2 * t) * cos(TWO_PI * f_of(p) * t + 0.1 * p);
            cube.signal[i * NP + p] = (float)(m + sigma * xn_rng_normal(&r));
            cube.errors[i * NP + p] = NAN;
        }
    }
}

static xani_status fit(const char *yaml)
{
    xn_config *c = NULL;
    xn_modes_free(&modes);
    xn_clear_error(ctx);
    xani_status st = xn_config_parse(ctx, yaml, "exp.yaml", ".", &c);
    ck_assert_msg(st == XANI_OK, "%s", xani_error_text(ctx));
    st = xn_stage_fit(ctx, c, &cube, &modes);
    xani_config_destroy(&c);
    return st;
}

static void ok(xani_status st) { ck_assert_msg(st == XANI_OK, "%s", xani_error_text(ctx)); }

static void attribute(const char *name, const char *want)
{
    char *text = NULL;
    ok(xani_attribute_read(ctx, path, "/entry/modes", name, &text));
    ck_assert_str_eq(text, want);
    xani_free(text);
}

START_TEST(test_given)
{
    // fit.start given with the modes.h5 of an earlier fit reaches the same minimum; a pixel that had no mode there is
    // searched; the file says how its modes were started.
    make_cube(0.004);
    ok(fit("fit: {modes_max: 1, background: constant}"));
    modes.frequency[7] = modes.damping[7] = NAN;
    ok(xn_result_write_modes(ctx, path, &modes, NULL));
    attribute("start", "both");
    attribute("rounds", "none");
    xn_modes first = modes;
    memset(&modes, 0, sizeof modes);
    char yaml[800];
    snprintf(yaml, sizeof yaml, "fit: {modes_max: 1, background: constant, start: given, start_modes: %s}", path);
    ok(fit(yaml));
    for (int p = 0; p < NP; p++) {
        ck_assert_int_eq(modes.count[p], 1);
        ck_assert_double_eq_tol(modes.frequency[p], f_of(p), 0.05);
        if (p != 7) ck_assert(fabsf(modes.frequency[p] - first.frequency[p]) < 0.1F * first.frequency_errors[p]);
    }
    xn_modes_free(&first);
    ck_assert_str_eq(modes.start, "given");
    ck_assert_int_eq(fit("fit: {start: given}"), XANI_ERR_CONFIG);
    ck_assert_ptr_nonnull(strstr(xani_error_text(ctx), "fit.start_modes"));
    ck_assert_int_eq(fit("fit: {start: given, start_modes: nowhere.h5}"), XANI_ERR_INPUT);
    ck_assert_ptr_nonnull(strstr(xani_error_text(ctx), "nowhere.h5"));
    cube.ny = NY - 1;
    cube.module_rows[1]--;
    ck_assert_int_eq(fit(yaml), XANI_ERR_CONFIG);
    ck_assert_ptr_nonnull(strstr(xani_error_text(ctx), "fit.start_modes"));
}
END_TEST

START_TEST(test_neighbours)
{
    // fit.start neighbours finds a mode in nearly every pixel at signal to noise 0.8, where pixels alone hardly do; the
    // file says which are shared; rows beyond a module's end are no neighbours.
    make_cube(0.025);
    ok(fit("fit: {modes_max: 1, background: constant, start: periodogram}"));
    int alone = 0, found = 0, shared = 0;
    for (int p = 0; p < NP; p++) alone += modes.count[p] > 0;
    ck_assert_ptr_null(modes.shared);
    ok(fit("fit: {modes_max: 1, background: constant, start: neighbours}"));
    for (int p = 0; p < NP; p++) {
        found += modes.count[p] > 0 && fabs((double)modes.frequency[p] - f_of(p)) < 0.06;
        shared += modes.shared[p];
        ck_assert(!modes.shared[p] || modes.count[p] > 0);
    }
    ck_assert_msg(found >= NP * 9 / 10 && alone <= NP / 2 && shared >= NP / 3, "%d found, %d alone, %d shared", found,
                  alone, shared);
    ok(xn_result_write_modes(ctx, path, &modes, NULL));
    ok(xn_result_read_modes(ctx, path, &back));
    ck_assert_int_eq(memcmp(back.shared, modes.shared, NP), 0);
    attribute("start", "neighbours");
    // the lower module without signal: the upper one's pixels do not change, though their edge lies beside it
    xn_modes before = modes;
    memset(&modes, 0, sizeof modes);
    xn_rng r;
    xn_rng_init(&r, 4, 4);
    for (int i = 0; i < NB; i++)
        for (int p = NP / 2; p < NP; p++) cube.signal[i * NP + p] = (float)(0.025 * xn_rng_normal(&r));
    ok(fit("fit: {modes_max: 1, background: constant, start: neighbours}"));
    ck_assert_int_eq(memcmp(before.frequency, modes.frequency, NP / 2 * sizeof(float)), 0);
    xn_modes_free(&before);
}
END_TEST

START_TEST(test_covariance)
{
    // fit.covariance: the lower triangle, its diagonal the errors' squares, survives the file; NaN where there is no
    // mode; without the key there is no dataset.
    make_cube(0.004);
    ok(fit("fit: {modes_max: 2, background: constant, covariance: true}"));
    ck_assert_int_eq(modes.n_covariance, 36);
    for (int p = 0; p < NP; p++) {
        const float *const errors[] = {modes.frequency_errors, modes.damping_errors, modes.amplitude_errors,
                                       modes.phase_errors};
        for (int i = 0, entry = 0; i < 8; i++)
            for (int j = 0; j <= i; j++, entry++) {
                const float c = modes.covariance[entry * NP + p];
                if (i >= 4 * modes.count[p]) ck_assert(isnan(c));
                if (i != j || i >= 4 * modes.count[p]) continue;
                const float error = errors[i % 4][i / 4 * NP + p];
                ck_assert(isnan(error) ? isnan(c) != 0 : fabsf(sqrtf(c) / error - 1.0F) < 5e-3F);
            }
    }
    ok(xn_result_write_modes(ctx, path, &modes, NULL));
    ok(xn_result_read_modes(ctx, path, &back));
    ck_assert_int_eq(back.n_covariance, 36);
    ck_assert_int_eq(memcmp(back.covariance, modes.covariance, 36 * NP * sizeof(float)), 0);
    char *layout = NULL;
    ok(xani_attribute_read(ctx, path, "/entry/covariance", "layout", &layout));
    ck_assert_ptr_nonnull(strstr(layout, "i (i + 1)/2 + j"));
    xani_free(layout);
    ok(fit("fit: {modes_max: 2}"));
    ok(xn_result_write_modes(ctx, path, &modes, NULL));
    ck_assert_int_eq(xani_array_exists(ctx, path, "/entry/covariance"), 0);
}
END_TEST

START_TEST(test_rounds)
{
    // fit.robust: outliers in every trace move the frequencies less; it and fit.counting are recorded in the file.
    make_cube(0.004);
    xn_rng r;
    xn_rng_init(&r, 5, 5);
    for (int i = 0; i < NB * NP; i++)
        if (xn_rng_uniform(&r) < 0.04) cube.signal[i] += 0.08F;
    double rms[2] = {0.0};
    for (int robust = 0; robust < 2; robust++) {
        ok(fit(robust ? "fit: {modes_max: 1, background: constant, robust: tukey}"
                      : "fit: {modes_max: 1, background: constant}"));
        for (int p = 0; p < NP; p++) {
            const double d = modes.count[p] > 0 ? (double)modes.frequency[p] - f_of(p) : 0.1;
            rms[robust] += fmin(d * d, 0.01);
        }
    }
    ck_assert_msg(rms[1] < 0.4 * rms[0], "%.3e, without %.3e", rms[1], rms[0]);
    ok(xn_result_write_modes(ctx, path, &modes, NULL));
    attribute("rounds", "tukey");
    ok(fit("fit: {modes_max: 1, robust: huber, counting: true}"));
    ok(xn_result_write_modes(ctx, path, &modes, NULL));
    attribute("rounds", "counting, huber");
    ok(fit("fit: {modes_max: 1, counting: true}"));
    ck_assert_str_eq(modes.rounds, "counting");
}
END_TEST

START_TEST(test_no_modes)
{
    // modes_max 0: background and chi^2 of every pixel, files included.
    make_cube(0.004);
    ok(fit("fit: {modes_max: 0, background: constant, covariance: true, start: neighbours}"));
    for (int p = 0; p < NP; p++)
        ck_assert(modes.status[p] == XN_FIT_NONE && isfinite(modes.chi2_reduced[p]) && isfinite(modes.background[p]));
    ok(xn_result_write_modes(ctx, path, &modes, NULL));
    ok(xn_result_read_modes(ctx, path, &back));
    ck_assert_int_eq(back.n_modes, 0);
}
END_TEST

START_TEST(test_refused)
{
    // What does not go together names a key.
    make_cube(0.004);
    const char *bad[][2] = {{"fit: {start: neighbours, robust: huber}", "fit.robust"},
                            {"fit: {start: neighbours, counting: true}", "fit.counting"}};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        ck_assert_int_eq(fit(bad[i][0]), XANI_ERR_CONFIG);
        ck_assert_msg(strstr(xani_error_text(ctx), bad[i][1]) != NULL, "%s", xani_error_text(ctx));
        ck_assert_ptr_null(modes.frequency);
    }
}
END_TEST

static void add(TCase *c)
{
    tcase_add_checked_fixture(c, set_up, tear_down);
    tcase_add_test(c, test_given);
    tcase_add_test(c, test_neighbours);
    tcase_add_test(c, test_covariance);
    tcase_add_test(c, test_rounds);
    tcase_add_test(c, test_no_modes);
    tcase_add_test(c, test_refused);
}
XN_TEST_MAIN("fit keys", add)
