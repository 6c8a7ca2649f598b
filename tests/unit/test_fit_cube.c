// SPDX-License-Identifier: BSD-3-Clause
// test_fit_cube.c -- cube to modes: which delays and pixels are used, errors, status of each pixel, refusals.
#include "no_memory.h"
#include "test.h"

#include "core/rng.h"
#include "fit/fit.h"

#define TWO_PI 6.28318530717958647693
enum { NB = 120, NY = 6, NX = 10, NP = NY * NX };
#define STEP 0.05

static xn_ctx *ctx;
static xn_cube cube;
static xn_modes modes;
static char logged[1024];

static void on_log(void *user, xani_log_level level, const char *text)
{
    (void)user;
    if (level <= XANI_LOG_WARNING) snprintf(logged, sizeof logged, "%s", text);
}

static double f_of(int p) { return 1.0 + 0.1 * p; }
static double g_of(int p) { return 0.2 + 0.003 * p; }
static double a_of(int p) { return 0.02 + 0.001 * p; }

// Every pixel its own mode; delays from -0.5 ps, where nothing has happened yet; noise as asked.
static void make_cube(double sigma)
{
    memset(&cube, 0, sizeof cube);
    cube.nbins = NB;
    cube.ny = NY;
    cube.nx = NX;
    cube.spatial_bin = 2;
    cube.n_modules = 2;
    cube.module_rows = xn_calloc(2, sizeof(int64_t));
    cube.module_rows[0] = cube.module_rows[1] = NY / 2;
    cube.delay_ps = xn_calloc(NB, sizeof(double));
    cube.weight = xn_calloc(NB, sizeof(double));
    cube.signal = xn_calloc(NB * NP, sizeof(float));
    cube.errors = xn_calloc(NB * NP, sizeof(float));
    cube.mask = xn_calloc(NP, sizeof(uint32_t));
    cube.time_resolution_ps = NAN;
    cube.n_angles = 1;
    cube.angles_deg[0] = 12.5;
    cube.run = xn_strdup("r7");
    xn_rng r;
    xn_rng_init(&r, 17, 0);
    for (int i = 0; i < NB; i++) {
        cube.delay_ps[i] = STEP * (i - 10);
        cube.weight[i] = 1;
        for (int p = 0; p < NP; p++) {
            double t = cube.delay_ps[i];
            double v = t < 0 ? 0.5 : 0.01 + a_of(p) * exp(-g_of(p) * t) * cos(TWO_PI * f_of(p) * t + 0.1 * p);
            cube.signal[i * NP + p] = (float)(v + sigma * xn_rng_normal(&r));
            cube.errors[i * NP + p] = sigma > 0 ? (float)sigma : NAN;
        }
    }
    cube.errors_counting = sigma > 0;
}

static void set_up(void)
{
    ck_assert_int_eq(xani_create(&ctx), XANI_OK);
    xani_set_log(ctx, on_log, NULL);
    logged[0] = '\0';
    memset(&modes, 0, sizeof modes);
}

static void tear_down(void)
{
    xn_modes_free(&modes);
    xn_cube_free(&cube);
    xani_destroy(&ctx);
}

static xani_status fit(const char *yaml)
{
    xn_config *c = NULL;
    xn_modes_free(&modes);
    xani_status st = xn_config_parse(ctx, yaml, "exp.yaml", ".", &c);
    ck_assert_msg(st == XANI_OK, "%s", xani_error_text(ctx));
    st = xn_fit(ctx, c, &cube, NULL, &modes);
    xani_config_destroy(&c);
    return st;
}

static void good(int p, double tolerance)
{
    ck_assert_msg(modes.status[p] == XN_FIT_MODES && modes.count[p] == 1, "pixel %d: status %d, %d modes", p,
                  modes.status[p], modes.count[p]);
    ck_assert_double_eq_tol(modes.frequency[p], f_of(p), tolerance);
    ck_assert_double_eq_tol(modes.amplitude[p], a_of(p), tolerance * a_of(p) * 50);
    ck_assert_double_eq_tol(modes.damping[p], g_of(p), tolerance * 50);
    ck_assert_double_eq_tol(remainder(modes.phase[p] - 0.1 * p, TWO_PI), 0, tolerance * 50);
}

START_TEST(test_values)
{
    // Every pixel gets back its own mode at delay zero though the fit begins there and not at the first bin; the modes
    // carry the cube's geometry, and unused planes are NaN.
    make_cube(0);
    ck_assert_int_eq(fit("fit: {modes_max: 2, background: constant, start: periodogram}"), XANI_OK);
    for (int p = 0; p < NP; p++) {
        good(p, 1e-5);
        ck_assert_double_eq_tol(modes.background[p], 0.01, 1e-5);
        ck_assert(isnan(modes.frequency[NP + p]) && isnan(modes.significance[NP + p]) &&
                  isnan(modes.phase_errors[NP + p]));
        ck_assert(modes.significance[p] > 1000);
    }
    ck_assert(modes.n_modes == 2 && modes.ny == NY && modes.nx == NX && modes.spatial_bin == 2 &&
              modes.n_background == 1);
    ck_assert(modes.n_modules == 2 && modes.module_rows[1] == NY / 2 && modes.n_angles == 1 &&
              modes.angles_deg[0] == 12.5);
    ck_assert_str_eq(modes.run, "r7");
    ck_assert(!modes.errors_counting && modes.n_delays == NB - 10);
    ck_assert_double_eq_tol(modes.delay_lo_ps, 0, 1e-12);
    ck_assert_double_eq_tol(modes.step_ps, STEP, 1e-12);
    ck_assert(modes.threshold > 15 && modes.threshold < 35 && modes.false_alarm > 0.001 && modes.false_alarm < 0.01);
    ck_assert_ptr_nonnull(modes.kernels);
}
END_TEST

START_TEST(test_masks)
{
    // Masked pixels and pixels without data are status masked; missing samples, other ones in each pixel, change
    // nothing; an empty bin neither; what is missing in one pixel does not touch its neighbours.
    make_cube(0);
    cube.mask[3] = 1;
    for (int i = 0; i < NB; i++) cube.signal[i * NP + 8] = NAN;
    for (int p = 20; p < 40; p++)
        for (int i = 12 + p % 7; i < NB; i += 9 + p % 5) cube.signal[i * NP + p] = p % 2 ? NAN : INFINITY;
    for (int gaps = 0; gaps < 2; gaps++) {
        if (gaps) {
            cube.weight[50] = cube.weight[51] = 0;
            for (int p = 0; p < NP; p++) cube.signal[50 * NP + p] = 1e6f, cube.signal[51 * NP + p] = NAN;
        }
        ck_assert_int_eq(fit("fit: {modes_max: 1, background: polynomial1}"), XANI_OK);
        ck_assert_int_eq(modes.n_delays, NB - 10 - 2 * gaps);
        for (int p = 0; p < NP; p++) {
            if (p != 3 && p != 8) {
                good(p, 1e-5);
                continue;
            }
            ck_assert(modes.status[p] == XN_FIT_MASKED && modes.count[p] == 0 && isnan(modes.frequency[p]));
            ck_assert(isnan(modes.chi2_reduced[p]) && isnan(modes.background[p]));
        }
    }
}
END_TEST

START_TEST(test_errors)
{
    // Counting errors are taken as they are: right ones give chi^2 near 1 and pulls of width 1; doubled ones double the
    // errors and quarter chi^2. Without them errors come from the residual and do not depend on what is stored.
    make_cube(0.004);
    ck_assert_int_eq(fit("fit: {modes_max: 1, background: constant}"), XANI_OK);
    ck_assert(modes.errors_counting);
    double chi2 = 0, pull = 0, first[NP];
    for (int p = 0; p < NP; p++) {
        ck_assert_int_eq(modes.status[p], XN_FIT_MODES);
        chi2 += modes.chi2_reduced[p] / NP;
        pull += pow((modes.frequency[p] - f_of(p)) / modes.frequency_errors[p], 2) / NP;
        first[p] = modes.frequency_errors[p];
    }
    ck_assert_double_eq_tol(chi2, 1, 0.06);
    ck_assert_double_eq_tol(sqrt(pull), 1, 0.3);
    for (int i = 0; i < NB * NP; i++) cube.errors[i] *= 2;
    ck_assert_int_eq(fit("fit: {modes_max: 1, background: constant, significance: 5}"), XANI_OK);
    for (int p = 0; p < NP; p++) ck_assert_double_eq_tol(modes.frequency_errors[p] / first[p], 2, 0.02);
    cube.errors_counting = false;
    ck_assert_int_eq(fit("fit: {modes_max: 1, background: constant}"), XANI_OK);
    double ratio = 0;
    for (int p = 0; p < NP; p++) ratio += modes.frequency_errors[p] / first[p] / NP;
    ck_assert_double_eq_tol(ratio, 1, 0.05);
}
END_TEST

START_TEST(test_weights)
{
    // Bins of unequal weight: noise as the weights say gives pulls of width 1 and chi^2 near 1, with sigma per bin
    // given or not.
    make_cube(0.004);
    xn_rng r;
    xn_rng_init(&r, 18, 0);
    for (int i = 0; i < NB; i++) {
        cube.weight[i] = i % 3 == 0 ? 0.2 : 1.4;
        for (int p = 0; p < NP; p++) {
            double t = cube.delay_ps[i], sigma = 0.004 / sqrt(cube.weight[i]);
            double v = a_of(p) * exp(-g_of(p) * t) * cos(TWO_PI * f_of(p) * t + 0.1 * p);
            cube.signal[i * NP + p] = (float)(v + sigma * xn_rng_normal(&r));
            cube.errors[i * NP + p] = (float)sigma;
        }
    }
    for (int counting = 0; counting < 2; counting++) {
        cube.errors_counting = counting;
        ck_assert_int_eq(fit("fit: {modes_max: 1, background: constant}"), XANI_OK);
        double chi2 = 0, pull = 0;
        for (int p = 0; p < NP; p++) {
            ck_assert_int_eq(modes.count[p], 1);
            chi2 += modes.chi2_reduced[p] / NP;
            pull += pow((modes.frequency[p] - f_of(p)) / modes.frequency_errors[p], 2) / NP;
        }
        ck_assert_double_eq_tol(chi2 / (counting ? 1 : 0.004 * 0.004), 1, 0.08);
        ck_assert_double_eq_tol(sqrt(pull), 1, 0.3);
    }
}
END_TEST

START_TEST(test_delays_used)
{
    // The default window leaves out bins that begin before 3 sigma of the time resolution; fit.delay_ps beats it.
    make_cube(0);
    cube.time_resolution_ps = 0.1;
    ck_assert_int_eq(fit("fit: {modes_max: 1}"), XANI_OK);
    ck_assert_double_eq_tol(modes.delay_lo_ps, 0.3, 1e-9);
    cube.edges_ps = xn_alloc(NB + 1, sizeof(double));
    for (int i = 0; i <= NB; i++) cube.edges_ps[i] = STEP * (i - 10.5);
    ck_assert_int_eq(fit("fit: {modes_max: 1}"), XANI_OK);
    ck_assert_double_eq_tol(modes.delay_lo_ps, 0.35, 1e-9);
    for (int p = 0; p < NP; p++) good(p, 1e-5);
    ck_assert_int_eq(fit("fit: {modes_max: 1, delay_ps: [0.1, 4.0]}"), XANI_OK);
    ck_assert_double_eq_tol(modes.delay_lo_ps, 0.1, 1e-9);
    ck_assert_double_eq_tol(modes.delay_hi_ps, 4.0, 1e-9);
    ck_assert_int_eq(modes.n_delays, 79);
}
END_TEST

START_TEST(test_uneven_delays)
{
    // Mean delays off the grid: with strong modes the exact times are used, so that nothing is lost; far from any grid
    // too.
    make_cube(0);
    xn_rng r;
    xn_rng_init(&r, 19, 0);
    for (int far = 0; far < 2; far++) {
        for (int i = 0; i < NB; i++) {
            double t = far ? 3.0 * pow((double)i / NB, 1.5) : STEP * (i - 10) + 0.002 * xn_rng_normal(&r);
            cube.delay_ps[i] = t;
            for (int p = 0; p < NP; p++)
                cube.signal[i * NP + p] = (float)(a_of(p) * exp(-g_of(p) * t) * cos(TWO_PI * f_of(p) * t + 0.1 * p));
        }
        ck_assert_int_eq(fit("fit: {modes_max: 1, background: constant, frequency_thz: [0.6, 8]}"), XANI_OK);
        for (int p = 0; p < NP; p++) good(p, 1e-4);
        ck_assert(far ? isnan(modes.step_ps) : fabs(modes.step_ps - STEP) < 1e-4);
    }
    ck_assert_int_eq(fit("fit: {start: linear_prediction}"), XANI_ERR_CONFIG);
    ck_assert_ptr_nonnull(strstr(xani_error_text(ctx), "fit.start"));
}
END_TEST

START_TEST(test_bounds)
{
    // A mode that does not decay is reported with status at a bound and no error of damping; a spike at the first
    // sample and a line above the band are not reported as modes.
    make_cube(0);
    xn_rng r;
    xn_rng_init(&r, 20, 0);
    for (int p = 0; p < NP; p++)
        for (int i = 0; i < NB; i++) {
            double t = cube.delay_ps[i], v = 0;
            if (p < 20) v = cos(TWO_PI * f_of(p) * t);
            if (p >= 20 && p < 40) v = i == 10 ? 5 : 0;
            if (p >= 40) v = exp(-0.2 * t) * cos(TWO_PI * 9.2 * t);
            cube.signal[i * NP + p] = (float)(v + 0.05 * xn_rng_normal(&r));
        }
    ck_assert_int_eq(fit("fit: {modes_max: 1, background: constant, frequency_thz: [0.5, 8]}"), XANI_OK);
    for (int p = 0; p < NP; p++) {
        if (p < 20) {
            ck_assert(modes.count[p] == 1 &&
                      (modes.status[p] == XN_FIT_AT_BOUND || modes.damping[p] < 4 * modes.damping_errors[p]));
            ck_assert(modes.status[p] != XN_FIT_AT_BOUND ||
                      (isnan(modes.damping_errors[p]) && modes.frequency_errors[p] > 0));
            ck_assert_double_eq_tol(modes.frequency[p], f_of(p), 0.01);
        } else if (p < 40) {
            ck_assert_int_eq(modes.count[p], 0);
        } else {
            ck_assert(modes.count[p] == 0 || modes.frequency[p] < 7.9);
        }
    }
}
END_TEST

START_TEST(test_highest_frequencies)
{
    // Modes are found up to 0.95 of Nyquist and down to one period in the trace.
    make_cube(0);
    const double nyquist = 0.5 / STEP, lowest = 1 / (STEP * (NB - 10));
    for (int p = 0; p < NP; p++)
        for (int i = 0; i < NB; i++) {
            double f = 1.3 * lowest + (0.945 * nyquist - 1.3 * lowest) * p / (NP - 1.0);
            cube.signal[i * NP + p] =
                (float)(0.1 * exp(-0.2 * cube.delay_ps[i]) * cos(TWO_PI * f * cube.delay_ps[i] + 1));
        }
    for (int start = 0; start < 2; start++) {
        ck_assert_int_eq(fit(start ? "fit: {modes_max: 1, background: constant, start: linear_prediction}"
                                   : "fit: {modes_max: 1, background: constant, start: periodogram}"),
                         XANI_OK);
        for (int p = start ? 2 : 0; p < NP; p++) {
            ck_assert_int_eq(modes.count[p], 1);
            ck_assert_double_eq_tol(modes.frequency[p],
                                    1.3 * lowest + (0.945 * nyquist - 1.3 * lowest) * p / (NP - 1.0), 1e-4);
        }
    }
    ck_assert_int_eq(fit("fit: {frequency_thz: [0.001, 40]}"), XANI_OK);
    ck_assert_ptr_nonnull(strstr(logged, "fit.frequency_thz"));
    ck_assert_int_eq(fit("fit: {frequency_thz: [50, 60]}"), XANI_ERR_CONFIG);
    ck_assert_msg(strstr(xani_error_text(ctx), "fit.frequency_thz: [50, 60] THz") != NULL, "%s", xani_error_text(ctx));
    ck_assert_int_eq(fit("fit: {frequency_thz: [0.001, 0.002]}"), XANI_ERR_CONFIG);
    ck_assert_int_eq(fit("fit: {frequency_thz: [0.001, 40]}"), XANI_OK);
    ck_assert_double_eq_tol(modes.band_thz[0], lowest, 1e-6);
    ck_assert_double_eq_tol(modes.band_thz[1], 0.95 * nyquist, 1e-6);
}
END_TEST

START_TEST(test_exponential)
{
    // An exponential background: offset, c and r of each pixel in the planes of the background, modes as put in.
    make_cube(1e-5);
    for (int i = 0; i < NB; i++)
        for (int p = 0; p < NP; p++) {
            const double t = cube.delay_ps[i];
            if (t >= 0) cube.signal[i * NP + p] += (float)((0.03 + 0.001 * p) * exp(-(0.7 + 0.01 * p) * t));
        }
    ck_assert_int_eq(fit("fit: {modes_max: 2, background: exponential, start: both}"), XANI_OK);
    ck_assert(modes.background_exponential && modes.n_background == 3);
    for (int p = 0; p < NP; p++) {
        good(p, 1e-3);
        ck_assert_double_eq_tol(modes.background[p], 0.01, 1e-3);
        ck_assert_double_eq_tol(modes.background[NP + p], 0.03 + 0.001 * p, 1e-3);
        ck_assert_double_eq_tol(modes.background[2 * NP + p], 0.7 + 0.01 * p, 0.05);
    }
    ck_assert_int_eq(fit("fit: {modes_max: 2, background: polynomial1}"), XANI_OK);
    ck_assert(!modes.background_exponential && modes.n_background == 2);
}
END_TEST

START_TEST(test_refusals)
{
    // What this version cannot do ends with a configuration error that names the key and what to use instead.
    make_cube(0);
    const char *bad[][2] = {{"fit: {start: given}", "fit.start"},
                            {"fit: {background: exponential, start: neighbours}", "fit.background"},
                            {"fit: {background: exponential, modes_max: 4}", "fit.modes_max"},
                            {"engine: {device: cuda, devices: [1000]}", "engine.device"}};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        xn_clear_error(ctx);
        ck_assert_int_eq(fit(bad[i][0]), XANI_ERR_CONFIG);
        ck_assert_msg(strstr(xani_error_text(ctx), bad[i][1]) != NULL, "%s", xani_error_text(ctx));
        ck_assert_ptr_null(modes.frequency);
    }
}
END_TEST

START_TEST(test_few_delays)
{
    // With too few delays every pixel that has data says so, and it is not an error.
    make_cube(0);
    cube.mask[0] = 2;
    ck_assert_int_eq(fit("fit: {delay_ps: [0, 0.4]}"), XANI_OK);
    ck_assert_int_eq(modes.status[0], XN_FIT_MASKED);
    for (int p = 1; p < NP; p++) ck_assert(modes.status[p] == XN_FIT_FEW_DELAYS && modes.count[p] == 0);
    ck_assert_str_ne(logged, "");
    // with none at all the window is wrong
    ck_assert_int_eq(fit("fit: {delay_ps: [100, 200]}"), XANI_ERR_CONFIG);
    ck_assert_msg(strstr(xani_error_text(ctx), "fit.delay_ps") != NULL, "%s", xani_error_text(ctx));
    xn_clear_error(ctx);
    // one pixel with few samples left
    for (int i = 15; i < NB; i++) cube.signal[i * NP + 5] = NAN;
    ck_assert_int_eq(fit("fit: {}"), XANI_OK);
    ck_assert_int_eq(modes.status[5], XN_FIT_FEW_DELAYS);
    good(6, 1e-4);
}
END_TEST

START_TEST(test_no_modes)
{
    // modes_max 0 fits the background alone; a constant trace has none of its own rounding taken for a mode.
    make_cube(0);
    for (int i = 0; i < NB; i++)
        for (int p = 0; p < NP; p++) cube.signal[i * NP + p] = p == 0 ? 0 : (float)(0.1 * p + 1e-3);
    ck_assert_int_eq(fit("fit: {modes_max: 3, background: constant}"), XANI_OK);
    for (int p = 0; p < NP; p++) {
        ck_assert(modes.status[p] == XN_FIT_NONE && modes.count[p] == 0);
        ck_assert_double_eq_tol(modes.background[p], p == 0 ? 0 : 0.1 * p + 1e-3, 1e-6);
    }
    ck_assert_int_eq(fit("fit: {modes_max: 0, background: polynomial3}"), XANI_OK);
    ck_assert_int_eq(modes.n_modes, 0);
    for (int p = 1; p < NP; p++) ck_assert_double_eq_tol(modes.background[p], 0.1 * p + 1e-3, 1e-6);
}
END_TEST

START_TEST(test_interrupt)
{
    // An interruption ends the fit with XANI_INTERRUPTED and leaves no modes.
    make_cube(0.001);
    xani_interrupt(ctx);
    ck_assert_int_eq(fit("fit: {}"), XANI_INTERRUPTED);
    ck_assert_ptr_null(modes.frequency);
}
END_TEST

START_TEST(test_memory)
{
    // Any allocation may fail: the fit ends with the memory error and leaves nothing behind.
    make_cube(0.004);
    cube.signal[30 * NP + 3] = NAN;
    xn_config *c = NULL;
    ck_assert_int_eq(xn_config_parse(ctx, "engine: {threads: 1}", "exp.yaml", ".", &c), XANI_OK);
    int failed = 0;
    for (no_memory n = NO_MEMORY; n.reached; no_memory_next(&n)) {
        xn_clear_error(ctx);
        no_memory_begin(&n);
        xani_status st = xn_fit(ctx, c, &cube, NULL, &modes);
        no_memory_end();
        ck_assert_int_eq(st, n.reached ? XANI_ERR_MEMORY : XANI_OK);
        if (st == XANI_OK) break;
        ck_assert(modes.frequency == NULL && modes.status == NULL);
        failed++;
    }
    ck_assert_int_gt(failed, 20);
    ck_assert_int_lt(failed, 400);
    xani_config_destroy(&c);
}
END_TEST

static void add(TCase *t)
{
    tcase_add_checked_fixture(t, set_up, tear_down);
    tcase_add_test(t, test_values);
    tcase_add_test(t, test_masks);
    tcase_add_test(t, test_errors);
    tcase_add_test(t, test_weights);
    tcase_add_test(t, test_delays_used);
    tcase_add_test(t, test_uneven_delays);
    tcase_add_test(t, test_bounds);
    tcase_add_test(t, test_highest_frequencies);
    tcase_add_test(t, test_exponential);
    tcase_add_test(t, test_refusals);
    tcase_add_test(t, test_few_delays);
    tcase_add_test(t, test_no_modes);
    tcase_add_test(t, test_interrupt);
    tcase_add_test(t, test_memory);
}
XN_TEST_MAIN("fit_cube", add)
