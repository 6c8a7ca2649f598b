// SPDX-License-Identifier: BSD-3-Clause
// test_fit_response.c -- options of a response: what they change, what they go together with, and what is refused, for
// traces and for cubes.
#include "context.h"
#include "no_memory.h"

#include <stddef.h>

#include "core/rng.h"
#include "fit/fit.h"
#include "kernel/response.h"
#include "pipeline.h"
#include "result/result.h"

#define TWO_PI 6.28318530717958647693
#define TO_FWHM 2.35482004503094938202
enum { N = 160, P = 60, ZERO = 40 }; // the first delays lie before time zero

static float y[N * P];
static double t[N];
static xani_fit_result res[P], other[P];
static double f_of(int p) { return 0.8 + 0.03 * p; }
static double g_of(int p) { return 0.3 + 0.005 * p; }

// Level 2, then 5 and, with rate > 0, 1.5 exp(-rate t), and a mode of amplitude 1 and phase 0.7, through rms.
static void make_traces(double rms, double rate, double sigma)
{
    xn_rng r;
    xn_rng_init(&r, 8, 1);
    for (int i = 0; i < N; i++) t[i] = 0.05 * (i - ZERO);
    for (int i = 0; i < N; i++)
        for (int p = 0; p < P; p++) {
            double u[2], e[2] = {0, 0}, slope[2];
            const double on = 0.5 * erfc(-t[i] / rms * M_SQRT1_2);
            xn_response(g_of(p), TWO_PI * f_of(p), rms, t[i], u, slope);
            if (rate > 0) xn_response(rate, 0, rms, t[i], e, slope);
            const double v = 2 + 3 * on + 1.5 * e[0] + u[0] * cos(0.7) - u[1] * sin(0.7);
            y[i * P + p] = (float)(v + sigma * xn_rng_normal(&r));
        }
}

static xani_fit_options options(double rms)
{
    xani_fit_options o;
    xani_fit_options_init(&o);
    o.modes_max = 1;
    o.response_fwhm_ps = rms * TO_FWHM;
    return o;
}

static void fit(const xani_fit_options *o, int first, xani_fit_result *r)
{
    const xani_status st = xani_fit_traces(ctx, o, y + first * P, t + first, N - first, P, NULL, r);
    ck_assert_msg(st == XANI_OK, "%s", xani_error_text(ctx));
}

static void right(const xani_fit_result *r, double most)
{
    for (int p = 0; p < P; p++) {
        ck_assert_msg(r[p].n_modes == 1, "trace %d: %d modes, status %d", p, r[p].n_modes, r[p].status);
        ck_assert_double_eq_tol(r[p].frequency_thz[0], f_of(p), most * r[p].frequency_error[0]);
        ck_assert_double_eq_tol(r[p].amplitude[0], 1.0, most * r[p].amplitude_error[0]);
        ck_assert_double_eq_tol(r[p].phase[0], 0.7, most * r[p].phase_error[0]);
        ck_assert_double_eq_tol(r[p].damping_per_ps[0], g_of(p), most * r[p].damping_error[0]);
    }
}

START_TEST(test_combinations)
{
    // Second rounds, weights, samples missing around time zero, every start, double precision: each gives the truth
    // within five of its errors.
    static float weight[N * P], frequency[P];
    make_traces(0.07, 0, 0.03);
    for (int i = 0; i < N * P; i++) weight[i] = 1.0F + 0.5F * (float)(i % 3);
    for (int p = 0; p < P; p++) frequency[p] = (float)f_of(p) + 0.02F;
    for (int i = 0; i < 12; i++) {
        xani_fit_options o = options(0.07);
        if (i == 1) o.robust = 1;
        if (i == 2) o.robust = 2;
        if (i == 3) o.counting = 1, o.counting_zero = 1;
        if (i == 4) o.sample_weight = weight;
        if (i == 5) o.start = 1;
        if (i == 6) o.start = 2;
        if (i == 7) o.start = 4, o.start_modes = 1, o.start_frequency_thz = frequency;
        if (i == 8) o.precision = 64;
        if (i == 9) o.background = 2;
        if (i == 10) o.modes_max = 3;
        if (i == 11)
            for (int p = 0; p < P; p++) y[(ZERO - 3 + p % 7) * P + p] = y[(ZERO + 30) * P + p] = NAN;
        fit(&o, 0, res);
        right(res, 5);
        for (int p = 0; p < P; p++) {
            ck_assert_double_eq_tol(res[p].background[o.background + 1], 2.0, 0.03); // the level before
            ck_assert_double_eq_tol(res[p].background[0], 5.0, i == 9 ? 0.1 : 0.03);
        }
    }
}
END_TEST

START_TEST(test_outliers)
{
    // A second round saves a fit from outliers near time zero too.
    make_traces(0.07, 0, 0.03);
    for (int p = 0; p < P; p++) y[(ZERO + p % 5) * P + p] += 6.0F;
    xani_fit_options o = options(0.07);
    fit(&o, 0, other);
    o.robust = 2;
    fit(&o, 0, res);
    right(res, 6);
    int worse = 0;
    for (int p = 0; p < P; p++) worse += fabs(other[p].amplitude[0] - 1) > 3 * fabs(res[p].amplitude[0] - 1);
    ck_assert_int_gt(worse, P / 2);
}
END_TEST

START_TEST(test_exponential)
{
    // An exponential begins at time zero as well: offset, strength, rate, then the level before.
    make_traces(0.07, 1.2, 0.003);
    xani_fit_options o = options(0.07);
    o.background = XANI_BACKGROUND_EXPONENTIAL;
    fit(&o, 0, res);
    right(res, 5.5);
    for (int p = 0; p < P; p++) {
        ck_assert_double_eq_tol(res[p].background[0], 5.0, 0.01);
        ck_assert_double_eq_tol(res[p].background[1], 1.5, 0.04);
        ck_assert_double_eq_tol(res[p].background[2], 1.2, 0.04);
        ck_assert_double_eq_tol(res[p].background[3], 2.0, 0.003);
    }
}
END_TEST

START_TEST(test_narrow)
{
    // As the response narrows the fit becomes that of the delays after time zero without one.
    make_traces(1e-5, 0, 0.03);
    xani_fit_options o = options(1e-5);
    o.tolerance = 1e-10, o.precision = 64;
    for (int p = 0; p < P; p++) y[ZERO * P + p] = NAN; // at time zero there is half of everything
    fit(&o, 0, res);
    o.response_fwhm_ps = 0;
    fit(&o, ZERO, other);
    double ratio = 0;
    for (int p = 0; p < P; p++) {
        ck_assert_int_eq(res[p].n_modes, 1);
        ck_assert_double_eq_tol(res[p].frequency_thz[0], other[p].frequency_thz[0], 1e-6);
        ck_assert_double_eq_tol(res[p].amplitude[0], other[p].amplitude[0], 1e-5);
        ck_assert_double_eq_tol(res[p].phase[0], other[p].phase[0], 1e-5);
        ck_assert_double_eq_tol(res[p].damping_per_ps[0], other[p].damping_per_ps[0], 1e-5);
        ratio += res[p].frequency_error[0] / other[p].frequency_error[0] / P; // s^2 is from more samples
    }
    ck_assert_double_eq_tol(ratio, 1, 0.04);
}
END_TEST

START_TEST(test_time_zero)
{
    // Without a response time_zero_ps moves the reference of amplitude and phase, nothing else; with one it is where
    // the modes begin.
    make_traces(0.07, 0, 0.01);
    xani_fit_options o = options(0);
    fit(&o, ZERO + 6, res);
    o.time_zero_ps = 0.4;
    fit(&o, ZERO + 6, other);
    for (int p = 0; p < P; p++) {
        const double turn = (other[p].phase[0] - res[p].phase[0]) / TWO_PI - res[p].frequency_thz[0] * 0.4;
        ck_assert_double_eq(res[p].frequency_thz[0], other[p].frequency_thz[0]);
        ck_assert_double_eq_tol(other[p].amplitude[0], res[p].amplitude[0] * exp(-0.4 * res[p].damping_per_ps[0]),
                                1e-5);
        ck_assert_double_eq_tol(turn, rint(turn), 1e-5);
    }
    for (int i = 0; i < N; i++) t[i] += 3.7;
    o = options(0.07);
    o.time_zero_ps = 3.7;
    fit(&o, 0, res);
    right(res, 5);
}
END_TEST

START_TEST(test_covariance)
{
    // Its diagonal are the stated errors' squares, whether or not the delays come near time zero.
    static double covariance[P * 16];
    make_traces(0.07, 0, 0.03);
    for (int first = 0; first < N / 2; first += ZERO + 20) {
        xani_fit_options o = options(0.07);
        o.covariance = covariance;
        fit(&o, first, res);
        for (int p = 0; p < P; p++) {
            const double want[4] = {res[p].frequency_error[0], res[p].damping_error[0], res[p].amplitude_error[0],
                                    res[p].phase_error[0]};
            for (int j = 0; j < 4; j++) ck_assert_double_eq_tol(sqrt(covariance[p * 16 + 5 * j]) / want[j], 1.0, 2e-3);
        }
    }
}
END_TEST

START_TEST(test_refused)
{
    // What does not go together is refused before anything is fitted, by name.
    make_traces(0.07, 0, 0.03);
    static const char *const text[] = {"start 3, neighbours, goes without response_fwhm_ps",
                                       "response_fwhm_ps is -0.1",
                                       "response_fwhm_ps is nan",
                                       "time_zero_ps inf",
                                       "background of degree 3 leaves no room for a level before time zero",
                                       "lets nothing above",
                                       "delays lie later than time zero"};
    for (int i = 0; i < 7; i++) {
        xani_fit_options o = options(0.07);
        double significance;
        if (i == 0) o.start = 3, o.image_width = P;
        if (i == 1) o.response_fwhm_ps = -0.1;
        if (i == 2) o.response_fwhm_ps = NAN;
        if (i == 3) o.time_zero_ps = INFINITY;
        if (i == 4) o.background = 3;
        if (i == 5) o.response_fwhm_ps = 12, o.time_zero_ps = -20;
        if (i == 6) o.time_zero_ps = t[N - 8] + 0.01;
        ck_assert_int_eq(xani_fit_traces(ctx, &o, y, t, N, P, NULL, res), XANI_ERR_USAGE);
        ck_assert_msg(strstr(xani_error_text(ctx), text[i]) != NULL, "%s: %s", text[i], xani_error_text(ctx));
        ck_assert_ptr_nonnull(strstr(xani_error_text(ctx), i == 3 ? "time_zero_ps" : "response_fwhm_ps"));
        ck_assert_int_eq(xani_fit_threshold(ctx, &o, t, N, &significance, NULL), XANI_ERR_USAGE);
    }
    xani_fit_options o = options(0.07);
    o.background = 3; // room where no delay is before
    fit(&o, ZERO + 5, res);
    o = options(0.07);
    o.response_fwhm_ps = NAN, o.size = offsetof(xani_fit_options, response_fwhm_ps); // a program of an older header
    fit(&o, ZERO + 5, res);
}
END_TEST

START_TEST(test_few_samples)
{
    // Traces of few samples after time zero, or of none but those: flagged or fitted, never a number that is none.
    make_traces(0.07, 0, 0.03);
    for (int p = 0; p < P; p++)
        for (int i = 0; i < N; i++)
            if (p < 20 ? i > ZERO + 8 : p < 40 ? i > ZERO - 5 : i < ZERO + p - 40) y[i * P + p] = NAN;
    xani_fit_options o = options(0.07);
    o.modes_max = 2;
    fit(&o, 0, res);
    for (int p = 0; p < P; p++) {
        ck_assert_int_ge(res[p].status, 0);
        ck_assert_int_le(res[p].status, 5);
        for (int m = 0; m < res[p].n_modes; m++) ck_assert(isfinite(res[p].frequency_thz[m] + res[p].amplitude[m]));
        if (p >= 40) ck_assert_double_eq_tol(res[p].frequency_thz[0], f_of(p), 6 * res[p].frequency_error[0]);
    }
}
END_TEST

START_TEST(test_memory)
{
    static double covariance[P * 16];
    make_traces(0.07, 0, 0.03);
    xani_fit_options o = options(0.07);
    o.start = 2, o.robust = 1, o.covariance = covariance;
    int failed = 0;
    for (no_memory n = NO_MEMORY; n.reached; no_memory_next(&n)) {
        no_memory_begin(&n);
        const xani_status st = xani_fit_traces(ctx, &o, y, t, N, P, NULL, res);
        no_memory_end();
        ck_assert_int_eq(st, n.reached ? XANI_ERR_MEMORY : XANI_OK);
        failed += st != XANI_OK;
    }
    ck_assert_int_gt(failed, 20);
    ck_assert_int_lt(failed, 400);
}
END_TEST

// ---- cubes

static xn_cube cube;
static xn_modes modes, back;

static xani_status fit_cube(const char *yaml)
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

static void attribute(const char *path, const char *name, const char *part)
{
    char *text = NULL;
    ck_assert_int_eq(xani_attribute_read(ctx, path, "/entry/modes", name, &text), XANI_OK);
    ck_assert_msg(strstr(text, part) != NULL, "%s: %s", name, text);
    xani_free(text);
}

START_TEST(test_cube)
{
    // fit.response_fwhm_ps: all bins are used, modes.h5 says so, and the level before is its last background.
    char path[600];
    make_traces(0.07, 0, 0.03);
    memset(&modes, 0, sizeof modes);
    memset(&back, 0, sizeof back);
    cube = (xn_cube){.nbins = N, .ny = 1, .nx = P, .spatial_bin = 1, .time_resolution_ps = 0.07};
    cube.delay_ps = xn_calloc(N, sizeof(double));
    cube.weight = xn_calloc(N, sizeof(double));
    cube.signal = xn_calloc(N * P, sizeof(float));
    cube.errors = xn_calloc(N * P, sizeof(float));
    cube.mask = xn_calloc(P, sizeof(uint32_t));
    cube.run = xn_strdup("r1");
    memcpy(cube.signal, y, sizeof y);
    for (int i = 0; i < N; i++) cube.delay_ps[i] = t[i], cube.weight[i] = 1;
    for (int i = 0; i < N * P; i++) cube.errors[i] = NAN;
    const xani_status st = fit_cube("fit: {modes_max: 1, background: constant, response_fwhm_ps: 0.16483740315}");
    ck_assert_msg(st == XANI_OK, "%s", xani_error_text(ctx));
    ck_assert_int_eq(modes.n_delays, N);
    ck_assert_int_eq(modes.n_background, 2);
    for (int p = 0; p < P; p++) {
        ck_assert_double_eq_tol(modes.phase[p], 0.7, 5 * (double)modes.phase_errors[p]);
        ck_assert_double_eq_tol(modes.background[P + p], 2.0, 0.03);
    }
    snprintf(path, sizeof path, "%s/modes.h5", xn_test_dir("fit-response"));
    unlink(path);
    ck_assert_int_eq(xn_result_write_modes(ctx, path, &modes, NULL), XANI_OK);
    ck_assert_int_eq(xn_result_read_modes(ctx, path, &back), XANI_OK);
    ck_assert_double_eq_tol(back.response_fwhm_ps, 0.16483740315, 1e-12);
    ck_assert_double_eq(back.time_zero_ps, 0.0);
    attribute(path, "model", "convolved");
    attribute(path, "background", "level before time zero");
    ck_assert_int_eq(fit_cube("fit: {modes_max: 1, time_zero_ps: 0.5}"), XANI_OK);
    ck_assert_double_ge(modes.delay_lo_ps, 0.5 + 3 * 0.07 - 0.03); // the default range goes with it
    static const struct {
        const char *yaml, *key;
    } bad[] = {{"fit: {response_fwhm_ps: 0.1, start: neighbours}", "fit.response_fwhm_ps"},
               {"fit: {response_fwhm_ps: 0.1, background: polynomial3}", "fit.response_fwhm_ps"},
               {"fit: {response_fwhm_ps: 0.1, time_zero_ps: 5.7}", "fit.response_fwhm_ps"},
               {"fit: {response_fwhm_ps: 12, time_zero_ps: -20}", "fit.response_fwhm_ps"}};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        ck_assert_int_eq(fit_cube(bad[i].yaml), XANI_ERR_CONFIG);
        ck_assert_msg(strstr(xani_error_text(ctx), bad[i].key) != NULL, "%s", xani_error_text(ctx));
    }
    xn_modes_free(&modes);
    xn_modes_free(&back);
    xn_cube_free(&cube);
}
END_TEST

static void add(TCase *c)
{
    tcase_set_timeout(c, 120);
    tcase_add_checked_fixture(c, set_up, tear_down);
    tcase_add_test(c, test_combinations);
    tcase_add_test(c, test_outliers);
    tcase_add_test(c, test_exponential);
    tcase_add_test(c, test_narrow);
    tcase_add_test(c, test_time_zero);
    tcase_add_test(c, test_covariance);
    tcase_add_test(c, test_refused);
    tcase_add_test(c, test_few_samples);
    tcase_add_test(c, test_memory);
    tcase_add_test(c, test_cube);
}
XN_TEST_MAIN("fit_response", add)
