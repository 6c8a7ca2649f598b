// SPDX-License-Identifier: BSD-3-Clause
// test_fit_response_model.c -- fits near time zero by variable projection and by the general least squares agree: in
// values and errors, for a mode through a response and for an exponential; the latter finds time zero and width too.
#include "context.h"

#include "core/rng.h"
#include "lsq/kinds.h"
#include "xani/xani.h"

#define TWO_PI 6.28318530717958647693
#define TO_FWHM 2.35482004503094938202
#define RMS 0.07
enum { N = 160, P = 40, ALL = 8 };

static float y[N * P];
static double t[N], y64[N * P];
static xani_fit_result res[P];
static double f_of(int p) { return 1.0 + 0.05 * p; }

// exp(z t) from 0 on through a response, with the Faddeeva function of the models: U = exp(-tau^2/2) w(i x)/2 where x,
// the argument of erfc, has no negative part, else 2 less that of -x.
static void pole(double g, double w, double s, double time, double u[2])
{
    const double re = -(time / s - g * s) * M_SQRT1_2, im = -w * s * M_SQRT1_2, tau = time / s;
    double c, d;
    xn_faddeeva(re >= 0 ? -im : im, fabs(re), &c, &d);
    const double edge = 0.5 * exp(-0.5 * tau * tau), sign = re >= 0 ? 1 : -1;
    u[0] = sign * edge * c, u[1] = sign * edge * d;
    if (re >= 0) return;
    const double grow = exp(-g * time + 0.5 * s * s * (g * g - w * w)), turn = w * time - g * w * s * s;
    u[0] += grow * cos(turn), u[1] += grow * sin(turn);
}

// p: frequency damping c s on level zero rms
static int value(void *user, const double *x, int64_t n, const double *p, double *out)
{
    (void)user;
    for (int64_t i = 0; i < n; i++) {
        double u[2];
        const double on = 0.5 * erfc(-(x[i] - p[6]) / p[7] * M_SQRT1_2);
        pole(p[1], TWO_PI * p[0], p[7], x[i] - p[6], u);
        out[i] = p[2] * u[0] + p[3] * u[1] + p[4] * on + p[5] * (1 - on);
    }
    return 0;
}

static void make_traces(double sigma)
{
    xn_rng r;
    xn_rng_init(&r, 12, 1);
    for (int i = 0; i < N; i++) t[i] = 0.05 * (i - 40);
    for (int p = 0; p < P; p++) {
        const double truth[ALL] = {f_of(p), 0.4, cos(0.3 * p), -sin(0.3 * p), 1.5, 1.0, 0, RMS};
        double clean[N];
        (void)value(NULL, t, N, truth, clean);
        for (int i = 0; i < N; i++) {
            y[i * P + p] = (float)(clean[i] + sigma * xn_rng_normal(&r));
            y64[i * P + p] = y[i * P + p];
        }
    }
}

// Fits `model` to all traces.
static void fit_model(xani_model *model, double *values, double *errors)
{
    uint8_t status[P];
    xani_model_data data;
    xani_model_results results;
    xani_model_data_init(&data);
    xani_model_results_init(&results);
    data.n_sets = P, data.n_points = N, data.x = t, data.y = y64, data.y_set = 1, data.y_point = P;
    results.values = values, results.errors = errors, results.status = status;
    const xani_status st = xani_model_fit(ctx, model, &data, NULL, &results);
    ck_assert_msg(st == XANI_OK, "%s", xani_error_text(ctx));
    for (int p = 0; p < P; p++) ck_assert_int_eq(status[p], XANI_MODEL_CONVERGED);
    xani_model_destroy(&model);
}

static xani_model *make_model(const char *expression, const xani_function *function, const char *const *settings)
{
    xani_model *model;
    xani_status st = xani_model_create(ctx, expression, function, function != NULL, &model);
    for (int i = 0; st == XANI_OK && settings[i] != NULL; i++) st = xani_model_set(ctx, model, settings[i]);
    ck_assert_msg(st == XANI_OK, "%s", xani_error_text(ctx));
    return model;
}

static const xani_function mode = {.size = sizeof mode,
                                   .name = "mode",
                                   .parameters = "frequency[0,] damping[0,] c* s* on* level* zero rms[0.01,]",
                                   .value = value};

static double phase_apart(double a, double b) { return fabs((a - b) / TWO_PI - rint((a - b) / TWO_PI)) * TWO_PI; }

START_TEST(test_mode)
{
    // Values within a thousandth of their errors, errors within a thousandth of each other.
    static double v[P * ALL], e[P * ALL];
    static const char *const settings[] = {"frequency=2", "damping=0.4", "c=1",          "s=0", "on=1.5",
                                           "level=1",     "zero=0,fix",  "rms=0.07,fix", NULL};
    make_traces(0.05);
    xani_fit_options o;
    xani_fit_options_init(&o);
    o.modes_max = 1, o.response_fwhm_ps = RMS * TO_FWHM, o.precision = 64, o.tolerance = 1e-12;
    ck_assert_int_eq(xani_fit_traces(ctx, &o, y, t, N, P, NULL, res), XANI_OK);
    for (int p = 0; p < P; p++) ck_assert_int_eq(res[p].n_modes, 1);
    xani_model *model = make_model("mode", &mode, settings);
    static double start[P * ALL];
    for (int p = 0; p < P; p++) { // the optimiser is local: near the truth
        const double at[ALL] = {f_of(p) + 0.03, 0.5, 0.7, 0.1, 1.2, 0.8, 0, RMS};
        memcpy(start + p * ALL, at, sizeof at);
    }
    uint8_t status[P];
    xani_model_data data;
    xani_model_results results;
    xani_model_data_init(&data);
    xani_model_results_init(&results);
    data.n_sets = P, data.n_points = N, data.x = t, data.y = y64, data.y_set = 1, data.y_point = P, data.start = start;
    results.values = v, results.errors = e, results.status = status;
    ck_assert_int_eq(xani_model_fit(ctx, model, &data, NULL, &results), XANI_OK);
    for (int p = 0; p < P; p++) {
        const double *a = v + p * ALL, *b = e + p * ALL;
        ck_assert_int_eq(status[p], XANI_MODEL_CONVERGED);
        ck_assert_double_eq_tol(res[p].frequency_thz[0], a[0], 1e-3 * b[0]);
        ck_assert_double_eq_tol(res[p].damping_per_ps[0], a[1], 1e-3 * b[1]);
        ck_assert_double_eq_tol(res[p].amplitude[0], hypot(a[2], a[3]), 1e-3 * b[2]);
        ck_assert_double_le(phase_apart(res[p].phase[0], atan2(-a[3], a[2])), 1e-3 * b[2]);
        ck_assert_double_eq_tol(res[p].background[0], a[4], 1e-3 * b[4]);
        ck_assert_double_eq_tol(res[p].background[1], a[5], 1e-3 * b[5]);
        ck_assert_double_eq_tol(res[p].frequency_error[0] / b[0], 1, 1e-3);
        ck_assert_double_eq_tol(res[p].damping_error[0] / b[1], 1, 1e-3);
    }
    // Time zero and width free, of strong traces: within their errors of what went in, which is how they are found.
    make_traces(0.005);
    ck_assert_int_eq(xani_model_vary(ctx, model, "zero"), XANI_OK);
    ck_assert_int_eq(xani_model_vary(ctx, model, "rms"), XANI_OK);
    ck_assert_int_eq(xani_model_fit(ctx, model, &data, NULL, &results), XANI_OK);
    double zero = 0, width = 0;
    for (int p = 0; p < P; p++) {
        ck_assert_int_eq(status[p], XANI_MODEL_CONVERGED);
        zero += v[p * ALL + 6] / e[p * ALL + 6] / sqrt(P);
        width += (v[p * ALL + 7] - RMS) / e[p * ALL + 7] / sqrt(P);
    }
    ck_assert_msg(fabs(zero) < 4 && fabs(width) < 4, "time zero %.2f, width %.2f errors", zero, width);
    xani_model_destroy(&model);
}
END_TEST

START_TEST(test_exponential)
{
    // No modes: offset + c exp(-r t) from time zero on and a level before, against functions of the table.
    static double v[P * 16], e[P * 16];
    static const char *const settings[] = {"c=1",
                                           "a.amplitude=1",
                                           "a.centre=0,fix",
                                           "a.sigma=0.0989949493661167,fix",
                                           "b.amplitude=1.5",
                                           "b.centre=0,fix",
                                           "b.sigma=0.07,fix",
                                           "b.decay=1,min=0.05",
                                           NULL};
    xn_rng r;
    xn_rng_init(&r, 13, 1);
    for (int i = 0; i < N; i++) t[i] = 0.05 * (i - 40);
    for (int i = 0; i < N; i++)
        for (int p = 0; p < P; p++) {
            double u[2];
            const double on = 0.5 * erfc(-t[i] / RMS * M_SQRT1_2);
            pole(0.5 + 0.03 * p, 0, RMS, t[i], u);
            y64[i * P + p] = y[i * P + p] = (float)(2 - on + 1.5 * u[0] + 0.02 * xn_rng_normal(&r));
        }
    xani_fit_options o;
    xani_fit_options_init(&o);
    o.modes_max = 0, o.background = XANI_BACKGROUND_EXPONENTIAL;
    o.response_fwhm_ps = RMS * TO_FWHM, o.precision = 64, o.tolerance = 1e-12;
    ck_assert_int_eq(xani_fit_traces(ctx, &o, y, t, N, P, NULL, res), XANI_OK);
    xani_model *model = make_model("constant + a:step_erf + b:exponential_step", NULL, settings);
    const int all = xani_model_count(model), level = xani_model_find(model, "c");
    const int step = xani_model_find(model, "a.amplitude"), c = xani_model_find(model, "b.amplitude");
    const int decay = xani_model_find(model, "b.decay");
    ck_assert(all <= 16 && level >= 0 && step >= 0 && c >= 0 && decay >= 0);
    fit_model(model, v, e);
    for (int p = 0; p < P; p++) {
        const double *a = v + p * all, *b = e + p * all;
        ck_assert_double_eq_tol(res[p].background[3], a[level], 2e-3 * b[level]);
        ck_assert_double_eq_tol(res[p].background[0], a[level] + a[step], 2e-3 * b[step]);
        ck_assert_double_eq_tol(res[p].background[1], a[c], 2e-3 * b[c]);
        ck_assert_double_eq_tol(1 / res[p].background[2], a[decay], 2e-3 * b[decay]);
    }
}
END_TEST

static void add(TCase *c)
{
    tcase_set_timeout(c, 120);
    tcase_add_checked_fixture(c, set_up, tear_down);
    tcase_add_test(c, test_mode);
    tcase_add_test(c, test_exponential);
}
XN_TEST_MAIN("fit_response_model", add)
