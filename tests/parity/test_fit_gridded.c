// SPDX-License-Identifier: BSD-3-Clause
// test_fit_gridded.c -- gridded fits have the same minimum as explicit sums in double, to a thousandth of an error.
#include "context.h"

#include "core/rng.h"
#include "fit/engine.h"

#define TWO_PI 6.28318530717958647693
enum { N = 200, P = 600 };

static float y[N * P];
static double t[N], weight[N];
typedef enum { WEIGHTS, GAPS, JITTER, JITTER_WEIGHTS, PIECES, LOGARITHMIC, KINDS } kind;

// Delays of each kind; returns the gridded plan they start in.
static int make_delays(kind what)
{
    xn_rng r;
    xn_rng_init(&r, 31, (uint64_t)what);
    double at = 0;
    for (int i = 0; i < N; i++) {
        const bool uneven = what == JITTER || what == JITTER_WEIGHTS;
        t[i] =
            what == PIECES || what == LOGARITHMIC ? at : 0.05 * (i + (uneven ? 0.4 * (xn_rng_uniform(&r) - 0.5) : 0));
        at += what == PIECES ? (i < 120 ? 0.05 : 0.15) : 0.05 * pow(1.004, i);
        weight[i] = what == JITTER || what == PIECES || what == LOGARITHMIC ? 1 : 0.3 + 1.4 * xn_rng_uniform(&r);
        if (what == GAPS && (i % 50 == 17 || i == 3)) weight[i] = 0;
    }
    return what == WEIGHTS || what == GAPS ? XN_PLAN_WEIGHTED : XN_PLAN_UNEVEN;
}

// Damped cosines, f 0.5-6 THz, tau 1-10 ps, a slope; noise goes with the weights.
static void make_traces(int n_modes, double snr, uint64_t seed)
{
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
            double v = offset + 0.02 * t[i] + xn_rng_normal(&r) / (snr * sqrt(weight[i] > 0 ? weight[i] : 1));
            for (int k = 0; k < n_modes; k++) v += a[k] * exp(-g[k] * t[i]) * cos(TWO_PI * f[k] * t[i] + phase[k]);
            y[i * P + p] = weight[i] > 0 ? (float)v : NAN;
        }
    }
}

static void keep(void *user, int64_t i, const xani_fit_result *r, const xn_fit_more *more)
{
    (void)more;
    ((xani_fit_result *)user)[i] = *r;
}

static void run(int first, int n_modes, int precision, const char *kernels, xani_fit_result *r)
{
    const xn_fit_setup s = {.delay_ps = t,
                            .weight = weight,
                            .n = N,
                            .background = 1,
                            .modes_max = n_modes,
                            .significance = 1e-9,
                            .tolerance = 1e-7,
                            .band_thz = {0.3, 9}};
    xn_fit_plans plans;
    ck_assert_int_eq(xn_fit_plans_create(ctx, &s, &plans), XANI_OK);
    ck_assert(plans.has[first]);
    plans.first = first;
    const xn_fit_job job = {.plans = &plans,
                            .n_delays = N,
                            .background = 1,
                            .y = y,
                            .row_stride = P,
                            .count = P,
                            .precision = precision,
                            .kernels = kernels,
                            .threads = 2,
                            .sink = keep,
                            .user = r};
    ck_assert_int_eq(xn_fit_run(ctx, &job), XANI_OK);
    xn_fit_plans_free(&plans);
}

// a must have the minimum of the referee b: frequencies and damping within `sigmas` errors, errors within `relative`.
static void agree(const char *name, int n_modes, const xani_fit_result *a, const xani_fit_result *b, double sigmas,
                  double relative)
{
    int same = 0;
    double f = 0, g = 0, sigma = 0, amplitude = 0, phase = 0, offset = 0;
    for (int p = 0; p < P; p++) {
        bool both = a[p].n_modes == b[p].n_modes && a[p].n_modes == n_modes;
        for (int k = 0; k < a[p].n_modes && both; k++)
            both = fabs(a[p].frequency_thz[k] - b[p].frequency_thz[k]) < b[p].frequency_error[k] &&
                   isfinite(a[p].damping_error[k]) == isfinite(b[p].damping_error[k]);
        same += both;
        for (int k = 0; k < n_modes && both; k++) {
            f = fmax(f, fabs(a[p].frequency_thz[k] - b[p].frequency_thz[k]) / b[p].frequency_error[k]);
            if (isfinite(b[p].damping_error[k]))
                g = fmax(g, fabs(a[p].damping_per_ps[k] - b[p].damping_per_ps[k]) / b[p].damping_error[k]);
            sigma = fmax(sigma, fabs(a[p].frequency_error[k] / b[p].frequency_error[k] - 1));
            amplitude = fmax(amplitude, fabs(a[p].amplitude[k] - b[p].amplitude[k]) / b[p].amplitude_error[k]);
            phase = fmax(phase, fabs(remainder(a[p].phase[k] - b[p].phase[k], TWO_PI)) / b[p].phase_error[k]);
        }
        if (both) offset = fmax(offset, fabs(a[p].background[0] - b[p].background[0]));
    }
    const double worst = fmax(fmax(f, g), fmax(amplitude, phase));
    ck_assert_msg(same >= P - 1, "%s: %d of %d traces have the same modes", name, same, P);
    ck_assert_msg(worst < sigmas, "%s: f %.2g g %.2g A %.2g phi %.2g of an error", name, f, g, amplitude, phase);
    ck_assert_msg(sigma < relative, "%s: error of f differs by %.2g", name, sigma);
    ck_assert_msg(offset < relative, "%s: background differs by %.2g", name, offset);
}

START_TEST(test_same_minimum)
{
    // Weights, empty bins, uneven delays of four kinds: float and double on a grid against explicit double sums.
    static xani_fit_result referee[P], own[P];
    static const char *const names[KINDS] = {"weights", "gaps", "jitter", "jitter, weights", "pieces", "logarithmic"};
    const kind what = (kind)(_i % KINDS);
    const int n_modes = 1 + _i / KINDS, first = make_delays(what);
    char name[80];
    for (int strong = 0; strong < 2; strong++) {
        make_traces(n_modes, strong ? 80 : 10, (uint64_t)(50 + _i));
        run(xn_plan_explicit(first), n_modes, 64, "auto", referee);
        for (int j = 0; xn_fit_kernel_list(j) != NULL; j++) {
            const xn_fit_kernel *k = xn_fit_kernel_list(j);
            run(first, n_modes, k->bits, k->name, own);
            snprintf(name, sizeof name, "%s, %d modes, snr %d, %s%d", names[what], n_modes, strong ? 80 : 10, k->name,
                     k->bits);
            agree(name, n_modes, own, referee,
                  k->bits == 64 ? 1e-3
                  : strong      ? 0.02
                                : 4e-3,
                  k->bits == 64 ? 1e-4 : 1e-3);
        }
    }
}
END_TEST

START_TEST(test_missing_samples)
{
    // A trace with a missing sample leaves the grid, with the result of explicit sums; its neighbours stay.
    static xani_fit_result referee[P], own[P], whole[P];
    const int first = make_delays(_i == 0 ? WEIGHTS : JITTER);
    make_traces(1, 10, 5);
    run(first, 1, 32, "auto", whole);
    for (int p = 0; p < P; p += 7) y[(p % N) * P + p] = p % 2 ? NAN : INFINITY;
    run(first, 1, 32, "auto", own);
    run(xn_plan_explicit(first), 1, 32, "auto", referee);
    for (int p = 0; p < P; p++) {
        const xani_fit_result *same = p % 7 == 0 ? &referee[p] : &whole[p];
        ck_assert_msg(memcmp(&own[p], same, sizeof own[p]) == 0, "trace %d", p);
    }
}
END_TEST

START_TEST(test_few_strewn_samples)
{
    // Few samples over a long time are not worth a grid: no such plan, and explicit sums are used.
    for (int i = 0; i < N; i++) t[i] = i < N / 2 + 5 ? 0.01 * i : 10.0 * (i - N / 2);
    const xn_fit_setup s = {.delay_ps = t, .n = N, .modes_max = 1};
    xn_fit_plans plans;
    ck_assert_int_eq(xn_fit_plans_create(ctx, &s, &plans), XANI_OK);
    ck_assert(!plans.has[XN_PLAN_UNEVEN] && plans.first == XN_PLAN_EXACT);
    xn_fit_plans_free(&plans);
}
END_TEST

static void add(TCase *c)
{
    tcase_set_timeout(c, 120);
    tcase_add_checked_fixture(c, set_up, tear_down);
    tcase_add_loop_test(c, test_same_minimum, 0, 2 * KINDS);
    tcase_add_loop_test(c, test_missing_samples, 0, 2);
    tcase_add_test(c, test_few_strewn_samples);
}
XN_TEST_MAIN("fit_gridded", add)
