// SPDX-License-Identifier: BSD-3-Clause
// test_fit_variants.c -- the same traces through every instruction set, precision, tile, thread count and path.
#include "context.h"

#include "core/rng.h"
#include "fit/engine.h"
#include "fit/fit.h"

#define TWO_PI 6.28318530717958647693
enum { N = 200, P = 1000 };

static float y[N * P];
static double t[N];
// Damped cosines as in the published test data: f 0.5-6 THz, tau 1-10 ps, offset +-1, a second mode 0.5-1 as strong.
static void make_traces(int n_modes, double snr, uint64_t seed)
{
    for (int i = 0; i < N; i++) t[i] = 0.05 * i;
    for (int p = 0; p < P; p++) {
        xn_rng r;
        xn_rng_init(&r, seed, (uint64_t)p);
        double f[2] = {0.5 + 5.5 * xn_rng_uniform(&r), 0}, g[2], phase[2], a[2] = {1, 0.5 + 0.5 * xn_rng_uniform(&r)};
        do f[1] = 0.5 + 5.5 * xn_rng_uniform(&r);
        while (fabs(f[1] - f[0]) < 0.5);
        const double offset = 2 * xn_rng_uniform(&r) - 1;
        for (int k = 0; k < 2; k++) {
            g[k] = 1 / (1 + 9 * xn_rng_uniform(&r));
            phase[k] = TWO_PI * xn_rng_uniform(&r);
        }
        for (int i = 0; i < N; i++) {
            double v = offset + xn_rng_normal(&r) / snr;
            for (int k = 0; k < n_modes; k++) v += a[k] * exp(-g[k] * t[i]) * cos(TWO_PI * f[k] * t[i] + phase[k]);
            y[i * P + p] = (float)v;
        }
    }
}

static void fit(const char *kernels, int precision, int n_modes, double tolerance, int threads, xani_fit_result *r)
{
    xani_fit_options o = {.size = sizeof o,
                          .modes_max = n_modes,
                          .kernels = kernels,
                          .threads = threads,
                          .tolerance = tolerance,
                          .precision = precision};
    ck_assert_int_eq(xn_fit_traces(ctx, &o, y, t, N, P, NULL, r), XANI_OK);
}

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, z = *(const double *)b;
    return (x > z) - (x < z);
}

static void agree(const xani_fit_result *a, const xani_fit_result *b, double median, double most, double same,
                  double sigmas)
{
    static double d[P * 2], ratio[P * 2];
    int n = 0, equal = 0, both = 0;
    for (int p = 0; p < P; p++) {
        equal += a[p].n_modes == b[p].n_modes;
        if (a[p].n_modes != b[p].n_modes || a[p].status != b[p].status) continue;
        bool close = true;
        for (int k = 0; k < a[p].n_modes; k++)
            close &= fabs(a[p].frequency_thz[k] - b[p].frequency_thz[k]) < a[p].frequency_error[k];
        both += close;
        for (int k = 0; k < a[p].n_modes && close; k++) {
            ratio[n] = fabs(a[p].frequency_error[k] / b[p].frequency_error[k] - 1.0);
            d[n++] = fabs(a[p].frequency_thz[k] - b[p].frequency_thz[k]) / a[p].frequency_error[k];
        }
    }
    qsort(d, (size_t)n, sizeof *d, ascending);
    qsort(ratio, (size_t)n, sizeof *ratio, ascending);
    ck_assert_double_le(ratio[n * 98 / 100], sigmas);
    ck_assert_msg(n > P / 2 && d[n / 2] < median && d[n * 99 / 100] < most && both >= same * P,
                  "median %.2g, 99%% %.2g of an error, same minimum %.4f, same number %.4f", d[n / 2], d[n * 99 / 100],
                  (double)both / P, (double)equal / P);
}

START_TEST(test_against_referee)
{
    // Every float variant finds the minimum that the scalar double one finds: within 1e-3 of an error (median) at
    // tolerance 1e-5 and 1e-2 at the default, 98 % of the errors within 0.2 % (default: 1 %), for one and two modes at
    // signal to noise 3 and 10.
    const xn_fit_kernel *k = xn_fit_kernel_list(_i);
    if (k == NULL) return;
    static xani_fit_result r[P], s[P];
    for (int n_modes = 1; n_modes <= 2; n_modes++)
        for (int snr = 3; snr <= 10; snr += 7) {
            make_traces(n_modes, snr, 11);
            fit("scalar", 64, n_modes, 1e-5, 1, r);
            fit(k->name, k->bits, n_modes, 1e-5, 1, s);
            agree(r, s, k->bits == 64 ? 1e-9 : 1.5e-3, 0.05, 0.995, 2e-3);
            fit(k->name, k->bits, n_modes, 0, 1, s);
            agree(r, s, 1e-2, 0.2, 0.99, 1e-2);
        }
}
END_TEST

static void keep(void *user, int64_t i, const xani_fit_result *r, const xn_fit_more *more)
{
    (void)more;
    ((xani_fit_result *)user)[i] = *r;
}

static void run(int64_t tile, int threads, const char *kernels, int modes_max, xani_fit_result *r)
{
    const xn_fit_setup s = {.delay_ps = t, .n = N, .background = 1, .modes_max = modes_max};
    xn_fit_plans plans;
    ck_assert_int_eq(xn_fit_plans_create(ctx, &s, &plans), XANI_OK);
    const xn_fit_job job = {.plans = &plans,
                            .n_delays = N,
                            .background = 1,
                            .y = y,
                            .row_stride = P,
                            .count = P,
                            .start = XN_FROM_BOTH,
                            .kernels = kernels,
                            .threads = threads,
                            .tile = tile,
                            .sink = keep,
                            .user = r};
    ck_assert_int_eq(xn_fit_run(ctx, &job), XANI_OK);
    xn_fit_plans_free(&plans);
}

START_TEST(test_tiles_and_threads)
{
    // Results have the same bits for any tile size and number of threads: lanes, packing and neighbours do not matter.
    const xn_fit_kernel *k = xn_fit_kernel_list(_i);
    if (k == NULL || k->bits != 32) return;
    static xani_fit_result r[P], s[P];
    make_traces(2, 3, 5);
    for (int p = 0; p < P; p += 37)
        for (int i = 3; i < N; i += 50) y[i * P + p] = NAN; // some take the explicit path
    for (int p = 5; p < P; p += 41)
        for (int i = 0; i < N; i++) y[i * P + p] = (float)cos(0.3 * i + p); // some go to double precision
    run(0, 1, k->name, 3, r);
    const int64_t tiles[] = {1, 64, 100, 1000};
    for (int i = 0; i < 4; i++) {
        run(tiles[i], 1 + i % 2 * 2, k->name, 3, s);
        for (int p = 0; p < P; p++)
            ck_assert_msg(memcmp(&r[p], &s[p], sizeof r[p]) == 0, "%s: trace %d differs with tiles of %d: %.9g, %.9g",
                          k->name, p, (int)tiles[i], r[p].frequency_thz[0], s[p].frequency_thz[0]);
    }
}
END_TEST

START_TEST(test_order_of_traces)
{
    // A trace alone gives the same bits as among others, in any order.
    static xani_fit_result r[P], s[P];
    make_traces(2, 3, 6);
    fit("auto", 0, 2, 0, 1, r);
    for (int i = 0; i < N; i++)
        for (int p = 0; p < P / 2; p++) {
            float v = y[i * P + p];
            y[i * P + p] = y[i * P + P - 1 - p];
            y[i * P + P - 1 - p] = v;
        }
    fit("auto", 0, 2, 0, 1, s);
    for (int p = 0; p < P; p++) ck_assert_msg(memcmp(&r[p], &s[P - 1 - p], sizeof r[p]) == 0, "trace %d", p);
}
END_TEST

START_TEST(test_scale)
{
    // Data times a power of two give the same frequencies bit for bit and scaled amplitudes, from 1e-27 to 1e24.
    static xani_fit_result r[P], s[P];
    make_traces(1, 5, 7);
    fit("auto", 0, 1, 0, 1, r);
    for (int e = -90; e <= 80; e += 85) {
        make_traces(1, 5, 7);
        for (int i = 0; i < N * P; i++) y[i] = ldexpf(y[i], e);
        fit("auto", 0, 1, 0, 1, s);
        for (int p = 0; p < P; p++) {
            ck_assert_int_eq(r[p].n_modes, s[p].n_modes);
            if (r[p].n_modes == 0) continue;
            ck_assert(r[p].frequency_thz[0] == s[p].frequency_thz[0] && r[p].significance[0] == s[p].significance[0]);
            ck_assert(ldexp(r[p].amplitude[0], e) == s[p].amplitude[0]);
            ck_assert_double_eq_tol(ldexp(r[p].chi2_reduced, 2 * e) / s[p].chi2_reduced, 1.0, 1e-12);
        }
    }
}
END_TEST

START_TEST(test_offset)
{
    // An offset of 1000 amplitudes moves no frequency by more than what rounding the samples to float does.
    static xani_fit_result r[P], s[P];
    make_traces(1, 10, 8);
    fit("auto", 0, 1, 1e-5, 1, r);
    for (int i = 0; i < N * P; i++) y[i] += 1000;
    fit("auto", 0, 1, 1e-5, 1, s);
    double worst = 0;
    for (int p = 0; p < P; p++) {
        ck_assert_int_eq(r[p].n_modes, s[p].n_modes);
        worst = fmax(worst, fabs(r[p].frequency_thz[0] - s[p].frequency_thz[0]) / r[p].frequency_error[0]);
    }
    ck_assert_msg(worst < 0.05, "moved by %.3g of an error", worst);
}
END_TEST

START_TEST(test_paths)
{
    // Closed forms, explicit sums on the grid, and gridded and explicit sums at the times give the same fits.
    static const int kinds[] = {XN_PLAN_CLOSED, XN_PLAN_EXPLICIT, XN_PLAN_UNEVEN, XN_PLAN_EXACT};
    static xani_fit_result r[4][P];
    make_traces(2, 10, 9);
    for (int path = 0; path < 4; path++) {
        const xn_fit_setup s = {.delay_ps = t, .n = N, .background = 2, .modes_max = 2, .tolerance = 1e-6};
        xn_fit_plans plans;
        if (path == 2) t[100] += 1e-7; // not a grid by the last digits: exact times are laid out as well
        ck_assert_int_eq(xn_fit_plans_create(ctx, &s, &plans), XANI_OK);
        ck_assert(plans.has[kinds[path]]);
        plans.first = kinds[path];
        const xn_fit_job job = {.plans = &plans,
                                .n_delays = N,
                                .background = 2,
                                .y = y,
                                .row_stride = P,
                                .count = P,
                                .kernels = "auto",
                                .threads = 1,
                                .sink = keep,
                                .user = r[path]};
        ck_assert_int_eq(xn_fit_run(ctx, &job), XANI_OK);
        xn_fit_plans_free(&plans);
        if (path > 0) agree(r[0], r[path], 1.5e-3, 0.05, 0.997, 2e-3);
        for (int p = 0; p < P; p++)
            for (int b = 0; b < 3; b++)
                if (r[path][p].n_modes == r[0][p].n_modes)
                    ck_assert_double_eq_tol(r[path][p].background[b], r[0][p].background[b], 2e-3);
    }
}
END_TEST

static void add(TCase *tc)
{
    tcase_add_checked_fixture(tc, set_up, tear_down);
    tcase_add_loop_test(tc, test_against_referee, 0, 6);
    tcase_add_loop_test(tc, test_tiles_and_threads, 0, 6);
    tcase_add_test(tc, test_order_of_traces);
    tcase_add_test(tc, test_scale);
    tcase_add_test(tc, test_offset);
    tcase_add_test(tc, test_paths);
}
XN_TEST_MAIN("fit_variants", add)
