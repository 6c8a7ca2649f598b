// SPDX-License-Identifier: BSD-3-Clause
// test_lp_start.c -- linear prediction as the start of the fit: each method finds the modes, through the options of
// traces in memory and through the configuration; rank and threshold do what they say; wrong values are named.
#include "test.h"

#include "core/rng.h"
#include "fit/fit.h"

#define TWO_PI 6.28318530717958647693
enum { N = 120, P = 24 };
#define STEP 0.05

static xn_ctx *ctx;
static float y[N * P];
static double t[N];

static double f_of(int p) { return 1 + 0.3 * p; }

// A mode of amplitude 1 and a weak one, with little noise.
static void set_up(void)
{
    ck_assert_int_eq(xani_create(&ctx), XANI_OK);
    xn_rng r;
    xn_rng_init(&r, 3, 0);
    for (int i = 0; i < N; i++) {
        t[i] = STEP * i;
        for (int p = 0; p < P; p++)
            y[i * P + p] =
                (float)(exp(-0.2 * t[i]) * cos(TWO_PI * f_of(p) * t[i] + 0.2 * p) +
                        0.2 * exp(-0.3 * t[i]) * cos(TWO_PI * (f_of(p) + 1.1) * t[i]) + 0.01 * xn_rng_normal(&r));
    }
}

static void tear_down(void) { xani_destroy(&ctx); }

static xani_status fit(const xani_lp_options *lp, xani_fit_result *results)
{
    xani_fit_options o;
    xani_fit_options_init(&o);
    o.modes_max = 2;
    o.background = 0;
    o.start = 1;
    o.linear_prediction = lp;
    return xani_fit_traces(ctx, &o, y, t, N, P, NULL, results);
}

static bool has(const double *f, int n, double wanted)
{
    for (int k = 0; k < n; k++)
        if (fabs(f[k] - wanted) < 0.03) return true;
    return false;
}

START_TEST(test_methods)
{
    // Every method, in both directions, leads to both modes of every trace, as the usual start does.
    for (int method = XANI_LP_HSVD; method <= XANI_LP_LPSVD; method++)
        for (int direction = -1; direction <= 1; direction++) {
            xani_lp_options o;
            xani_fit_result r[P];
            xani_lp_options_init(&o);
            o.method = method;
            o.direction = direction;
            ck_assert_int_eq(fit(direction == 0 && method == 0 ? NULL : &o, r), XANI_OK);
            for (int p = 0; p < P; p++) {
                ck_assert_msg(r[p].n_modes == 2, "method %d, direction %d, trace %d: %d modes", method, direction, p,
                              r[p].n_modes);
                ck_assert(has(r[p].frequency_thz, 2, f_of(p)) && has(r[p].frequency_thz, 2, f_of(p) + 1.1));
            }
        }
}
END_TEST

START_TEST(test_rank_and_threshold)
{
    // Two poles can start one mode only; a start weaker than the fraction asked for is left out.
    xani_lp_options o;
    xani_fit_result r[P];
    xani_lp_options_init(&o);
    o.rank = 2;
    ck_assert_int_eq(fit(&o, r), XANI_OK);
    for (int p = 0; p < P; p++) ck_assert(r[p].n_modes == 1 && has(r[p].frequency_thz, 1, f_of(p)));
    o.rank = 0;
    o.amplitude_threshold = 0.5;
    ck_assert_int_eq(fit(&o, r), XANI_OK);
    for (int p = 0; p < P; p++) ck_assert(r[p].n_modes == 1 && has(r[p].frequency_thz, 1, f_of(p)));
    o.method = 7;
    ck_assert_int_eq(fit(&o, r), XANI_ERR_USAGE);
    ck_assert_ptr_nonnull(strstr(xani_error_text(ctx), "method"));
}
END_TEST

static xani_status fit_cube(const char *yaml, xn_modes *modes)
{
    double weight[N];
    float errors[N * P];
    uint32_t mask[P] = {0};
    int64_t rows[1] = {1};
    char run[] = "r1";
    for (int i = 0; i < N; i++) weight[i] = 1;
    for (int i = 0; i < N * P; i++) errors[i] = NAN;
    xn_cube cube = {.nbins = N,
                    .ny = 1,
                    .nx = P,
                    .spatial_bin = 1,
                    .n_modules = 1,
                    .module_rows = rows,
                    .delay_ps = t,
                    .weight = weight,
                    .signal = y,
                    .errors = errors,
                    .mask = mask,
                    .time_resolution_ps = NAN,
                    .run = run};
    xn_config *c = NULL;
    xani_status st = xn_config_parse(ctx, yaml, "exp.yaml", ".", &c);
    if (st == XANI_OK) st = xn_fit(ctx, c, &cube, NULL, modes);
    xani_config_destroy(&c);
    return st;
}

START_TEST(test_configuration)
{
    // fit.linear_prediction reaches the fit: each method finds both modes, threshold and rank leave one; a word that
    // is no method is refused.
    static const struct {
        const char *yaml;
        int modes;
    } rows[] = {{"{method: hsvd}", 2},
                {"{method: htls}", 2},
                {"{method: lpsvd}", 2},
                {"{method: lpsvd, rank: 2}", 1},
                {"{amplitude_threshold: 0.5}", 1}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char yaml[200];
        xn_modes m;
        snprintf(yaml, sizeof yaml,
                 "fit: {modes_max: 2, background: constant, start: linear_prediction, linear_prediction: %s}",
                 rows[i].yaml);
        const xani_status st = fit_cube(yaml, &m);
        ck_assert_msg(st == XANI_OK, "%s: %s", rows[i].yaml, xani_error_text(ctx));
        for (int p = 0; p < P; p++) {
            ck_assert_msg(m.count[p] == rows[i].modes, "%s, pixel %d: %d modes", rows[i].yaml, p, m.count[p]);
            bool found = false;
            for (int k = 0; k < m.count[p]; k++) found = found || fabs(m.frequency[k * P + p] - f_of(p)) < 0.03;
            ck_assert(found);
        }
        xn_modes_free(&m);
    }
    xn_modes none;
    ck_assert_int_eq(fit_cube("fit: {linear_prediction: {method: esprit}}", &none), XANI_ERR_CONFIG);
    ck_assert_ptr_nonnull(strstr(xani_error_text(ctx), "fit.linear_prediction.method"));
}
END_TEST

static void add(TCase *tcase)
{
    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_add_test(tcase, test_methods);
    tcase_add_test(tcase, test_rank_and_threshold);
    tcase_add_test(tcase, test_configuration);
}

XN_TEST_MAIN("linear prediction as start", add)
