// SPDX-License-Identifier: BSD-3-Clause
// test_neighbours.c -- start `neighbours`: faint pixels found with their neighbourhood's help, and no others.
#include "context.h"

#include "core/rng.h"
#include "fit/neighbours.h"
#include "xani/xani.h"

#define TWO_PI 6.28318530717958647693
enum { N = 200, G = 1500, P = 9 * G }; // groups of 3 x 3 pixels below one another, as modules

static float y[N * P];
static double t[N], f[G], g[G], amplitude[P], phase[P];
static xani_fit_result results[P], others[P];
static uint8_t shared[P];

// Nine pixels of a group have f and tau in common, amplitudes 0.7 to 1.3: the published test.
static void make(double snr, uint64_t seed)
{
    for (int i = 0; i < N; i++) t[i] = 0.05 * i;
    for (int k = 0; k < G; k++) {
        xn_rng r;
        xn_rng_init(&r, seed, (uint64_t)k);
        f[k] = 0.5 + 5.5 * xn_rng_uniform(&r);
        g[k] = 1.0 / (1.0 + 9.0 * xn_rng_uniform(&r));
        for (int p = 9 * k; p < 9 * k + 9; p++) {
            amplitude[p] = 0.7 + 0.6 * xn_rng_uniform(&r);
            phase[p] = TWO_PI * xn_rng_uniform(&r);
            const double offset = 2.0 * xn_rng_uniform(&r) - 1.0;
            for (int i = 0; i < N; i++)
                y[i * P + p] = (float)(snr * amplitude[p] * exp(-g[k] * t[i]) * cos(TWO_PI * f[k] * t[i] + phase[p]) +
                                       offset + xn_rng_normal(&r));
            amplitude[p] *= snr;
        }
    }
}

static void noise(uint64_t seed)
{
    xn_rng r;
    xn_rng_init(&r, seed, 0);
    for (int i = 0; i < N; i++) t[i] = 0.05 * i;
    for (int i = 0; i < N * P; i++) y[i] = (float)xn_rng_normal(&r);
}

static xani_fit_options options(int modes_max)
{
    xani_fit_options o;
    xani_fit_options_init(&o);
    o.modes_max = modes_max;
    o.background = 0;
    o.threads = 2;
    o.start = 3;
    o.image_width = 45; // of 300 rows
    o.shared = shared;
    return o;
}

// The groups as an engine's job: 3 columns, modules of 3 rows
static void run_groups(int start, xani_fit_result *r, float *start_thz)
{
    static int64_t rows[G];
    for (int i = 0; i < G; i++) rows[i] = 3;
    const xn_fit_setup s = {.delay_ps = t, .n = N, .background = 0, .modes_max = 1, .tests = 2};
    xn_fit_plans plans;
    ck_assert_int_eq(xn_fit_plans_create(ctx, &s, &plans), XANI_OK);
    const xn_fit_job job = {.plans = &plans,
                            .n_delays = N,
                            .y = y,
                            .row_stride = P,
                            .count = P,
                            .start = start,
                            .width = 3,
                            .side = 3,
                            .n_modules = G,
                            .module_rows = rows,
                            .kernels = "auto",
                            .threads = 2,
                            .results = r};
    if (start_thz != NULL) ck_assert_int_eq(xn_neighbours_start(ctx, &job, start_thz), XANI_OK);
    if (r != NULL) ck_assert_int_eq(xn_fit_run(ctx, &job), XANI_OK);
    xn_fit_plans_free(&plans);
}

static bool within(double found, int group) { return fabs(found / f[group] - 1.0) < 0.02; }

START_TEST(test_table)
{
    // Signal to noise 1, pixels in the middle of nine that share f and tau: the pooled start is within 2 % in at least
    // .965 of the groups and the result in at least .93 of all (own start .787, own refit from the pooled start .882).
    static float start[P];
    make(1.0, 1);
    run_groups(XN_FROM_NEIGHBOURS, results, start);
    run_groups(XN_FROM_PERIODOGRAM, others, NULL);
    int pooled = 0, after = 0, own = 0;
    for (int k = 0; k < G; k++) {
        pooled += within((double)start[9 * k + 4], k);
        after += within(results[9 * k + 4].frequency_thz[0], k);
        own += within(others[9 * k + 4].frequency_thz[0], k);
    }
    ck_assert_msg(pooled >= 0.965 * G, "pooled start within 2 %%: %.3f", (double)pooled / G);
    ck_assert_msg(after >= 0.93 * G, "result within 2 %%: %.3f", (double)after / G);
    ck_assert_msg(own <= 0.65 * G, "alone, where significant: %.3f", (double)own / G); // the gain is real
}
END_TEST

START_TEST(test_errors)
{
    // Errors of shared fits at signal to noise 0.75: pulls of A and phase have width 1 within 20 %; that of f, whose
    // error is linear only well above the noise, up to 1.3 (a single trace at signal to noise 1: 1.57).
    make(0.75, 2); // so that most pixels are not significant alone
    double pull[3] = {0.0};
    int n = 0;
    run_groups(XN_FROM_NEIGHBOURS, results, NULL);
    run_groups(XN_FROM_PERIODOGRAM, others, NULL);
    for (int k = 0; k < G; k++) {
        const xani_fit_result *r = &results[9 * k + 4];
        const int p = 9 * k + 4;
        if (others[p].n_modes > 0 || r->status != 0 || !within(r->frequency_thz[0], k)) continue;
        if (r->significance[0] < 8.0) continue; // A is a length: normal only away from zero
        const double phi = r->phase[0] - phase[p];
        const double d[3] = {(r->frequency_thz[0] - f[k]) / r->frequency_error[0],
                             (r->amplitude[0] - amplitude[p]) / r->amplitude_error[0],
                             atan2(sin(phi), cos(phi)) / r->phase_error[0]};
        for (int q = 0; q < 3; q++) pull[q] += d[q] * d[q];
        n++;
    }
    for (int q = 0; q < 3; q++) pull[q] = sqrt(pull[q] / n);
    ck_assert_int_ge(n, 300);
    ck_assert_msg(pull[0] < 1.3 && fabs(pull[1] - 1.0) < 0.2 && fabs(pull[2] - 1.0) < 0.2, "pulls %.3f %.3f %.3f of %d",
                  pull[0], pull[1], pull[2], n);
}
END_TEST

START_TEST(test_false_alarms)
{
    // Pure noise: the share of pixels called a mode, alone or by their neighbourhood, is the one said, half a percent,
    // for 3 x 3 and 5 x 5 pixels; neighbourhoods overlap, so that the share of one image scatters.
    for (int side = 3; side <= 5; side += 2) {
        int joint = 0, all = 0;
        {
            noise(10);
            xani_fit_options o = options(1);
            o.neighbourhood = side;
            ck_assert_int_eq(xani_fit_traces(ctx, &o, y, t, N, P, NULL, results), XANI_OK);
            for (int p = 0; p < P; p++) {
                ck_assert(!shared[p] || results[p].n_modes > 0);
                joint += shared[p];
                all += results[p].n_modes > 0;
            }
        }
        ck_assert_msg(joint <= 0.005 * P && all <= 0.0072 * P && all >= 0.003 * P,
                      "%d x %d: %d shared, %d in all of %d", side, side, joint, all, P);
    }
}
END_TEST

START_TEST(test_strong_neighbour)
{
    // One strong pixel in every 5 x 5 of noise: it is found alone, with the bits it has alone, and does not lend its
    // mode to its neighbours.
    noise(20);
    int strong = 0, lent = 0;
    for (int p = 0; p < P; p++)
        if (p % 45 % 5 == 2 && p / 45 % 5 == 2)
            for (int i = 0; i < N; i++) y[i * P + p] += (float)(20.0 * exp(-0.2 * t[i]) * cos(TWO_PI * 2.5 * t[i] + p));
    xani_fit_options o = options(1);
    ck_assert_int_eq(xani_fit_traces(ctx, &o, y, t, N, P, NULL, results), XANI_OK);
    for (int p = 0; p < P; p++) {
        const bool is = p % 45 % 5 == 2 && p / 45 % 5 == 2;
        if (is) strong++, ck_assert(!shared[p] && fabs(results[p].frequency_thz[0] - 2.5) < 0.01);
        lent += !is && results[p].n_modes > 0;
    }
    ck_assert_int_eq(strong, 9 * 60);
    ck_assert_msg(lent <= 0.015 * P, "%d of %d", lent, P);
}
END_TEST

START_TEST(test_two_modes)
{
    // Two modes in common, each too faint for a pixel: both are found in the inner pixels; covariances are those of the
    // errors; significances are sorted.
    static double c[P][64];
    noise(30);
    for (int p = 0; p < P; p++)
        for (int i = 0; i < N; i++)
            y[i * P + p] += (float)(0.62 * exp(-0.2 * t[i]) * cos(TWO_PI * 2.5 * t[i] + p) +
                                    0.62 * exp(-0.2 * t[i]) * cos(TWO_PI * 4.0 * t[i] + 2 * p));
    xani_fit_options o = options(2);
    o.covariance = &c[0][0];
    ck_assert_int_eq(xani_fit_traces(ctx, &o, y, t, N, P, NULL, results), XANI_OK);
    int both = 0, inner = 0;
    for (int p = 0; p < P; p++) {
        if (!shared[p] || p % 45 == 0 || p % 45 == 44 || p < 45 || p >= P - 45) continue;
        const xani_fit_result *r = &results[p];
        inner++;
        if (r->n_modes < 2) continue;
        both += fabs(fmin(r->frequency_thz[0], r->frequency_thz[1]) - 2.5) < 0.1 &&
                fabs(fmax(r->frequency_thz[0], r->frequency_thz[1]) - 4.0) < 0.1;
        ck_assert(r->significance[0] >= r->significance[1]);
        for (int k = 0; k < 2; k++)
            if (r->status == 0) {
                ck_assert_double_eq_tol(sqrt(c[p][36 * k]) / r->frequency_error[k], 1.0, 1e-9);
                ck_assert_double_eq_tol(sqrt(c[p][36 * k + 27]) / r->phase_error[k], 1.0, 1e-9);
            }
    }
    ck_assert_msg(inner > P / 2 && both >= 0.9 * inner, "%d of %d inner shared pixels have both", both, inner);
}
END_TEST

START_TEST(test_independence)
{
    // The same bits for one thread and two; missing samples and dead pixels are left out and do not spread; what lies
    // in another module does not matter; delays may be jittered.
    make(1.0, 3);
    for (int i = 0; i < N; i++) y[i * P + 100] = NAN;
    for (int p = 0; p < P; p += 7) y[(p % N) * P + p] = NAN;
    xani_fit_options o = options(1);
    ck_assert_int_eq(xani_fit_traces(ctx, &o, y, t, N, P, NULL, results), XANI_OK);
    o.threads = 1;
    ck_assert_int_eq(xani_fit_traces(ctx, &o, y, t, N, P, NULL, others), XANI_OK);
    ck_assert_int_eq(memcmp(results, others, sizeof results), 0);
    ck_assert_int_eq(results[100].status, 3);

    run_groups(XN_FROM_NEIGHBOURS, results, NULL);
    for (int p = 9 * 7; p < 9 * 8; p++)
        for (int i = 0; i < N; i++) y[i * P + p] = (float)(30.0 * cos(TWO_PI * 3.3 * t[i] + p));
    run_groups(XN_FROM_NEIGHBOURS, others, NULL);
    for (int p = 0; p < P; p++)
        if (p / 9 != 7) ck_assert_msg(memcmp(&results[p], &others[p], sizeof results[p]) == 0, "pixel %d changed", p);

    make(1.0, 4);
    xn_rng r;
    xn_rng_init(&r, 5, 5);
    double late[N];
    int right = 0;
    for (int i = 0; i < N; i++) late[i] = t[i] + 0.02 * xn_rng_uniform(&r);
    for (int k = 0; k < G; k++)
        for (int p = 9 * k; p < 9 * k + 9; p++)
            for (int i = 0; i < N; i++) {
                const double before = amplitude[p] * exp(-g[k] * t[i]) * cos(TWO_PI * f[k] * t[i] + phase[p]);
                const double now = amplitude[p] * exp(-g[k] * late[i]) * cos(TWO_PI * f[k] * late[i] + phase[p]);
                y[i * P + p] += (float)(now - before);
            }
    memcpy(t, late, sizeof t);
    run_groups(XN_FROM_NEIGHBOURS, results, NULL);
    for (int k = 0; k < G; k++) right += within(results[9 * k + 4].frequency_thz[0], k);
    ck_assert_msg(right >= 0.92 * G, "jittered delays: %.3f", (double)right / G);
}
END_TEST

START_TEST(test_refused)
{
    // Images that are none, sides that are none, and what does not go together are refused by name; an allocation that
    // fails anywhere is an error and nothing else.
    noise(40);
    for (int i = 0; i < 6; i++) {
        static const char *const names[] = {"image_width", "image_width", "neighbourhood",
                                            "robust",      "counting",    "sample_weight"};
        xani_fit_options o = options(1);
        if (i == 0) o.image_width = 0;
        if (i == 1) o.image_width = 44;
        if (i == 2) o.neighbourhood = 4;
        if (i == 3) o.robust = 1;
        if (i == 4) o.counting = 1;
        if (i == 5) o.sample_weight = y;
        ck_assert_int_eq(xani_fit_traces(ctx, &o, y, t, N, P, NULL, results), XANI_ERR_USAGE);
        ck_assert_msg(strstr(xani_error_text(ctx), names[i]) != NULL, "%s", xani_error_text(ctx));
    }
}
END_TEST

static void add(TCase *c)
{
    tcase_add_checked_fixture(c, set_up, tear_down);
    tcase_add_test(c, test_table);
    tcase_add_test(c, test_errors);
    tcase_add_test(c, test_false_alarms);
    tcase_add_test(c, test_strong_neighbour);
    tcase_add_test(c, test_two_modes);
    tcase_add_test(c, test_independence);
    tcase_add_test(c, test_refused);
}
XN_TEST_MAIN("neighbours", add)
